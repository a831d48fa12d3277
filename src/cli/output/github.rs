//! Annotations of a GitHub workflow: one command on a line for each diagnostic.
//!
//! Source: "Workflow commands for GitHub Actions" (`::error file=…,line=…::message`).

use std::fmt::Write as _;

use super::{Report, message_with_help, point, without_point};
use manifest::escape;

/// The annotations of a report.
pub(super) fn write(report: &Report<'_>) -> String {
    let mut text = String::new();
    for diagnostic in report.diagnostics() {
        let mut title = format!("vcluster-netpol {}", report.command);
        if let Some(code) = diagnostic.code {
            let _ = write!(title, " {code}");
        }
        let mut properties = Vec::new();
        if let Some(file) = &diagnostic.place.file {
            properties.push(format!("file={}", escape::github_property(file)));
        }
        if let Some(point) = point(&diagnostic.place) {
            properties.push(format!("line={}", point.line));
            properties.extend(point.column.map(|column| format!("col={column}")));
        }
        properties.push(format!("title={}", escape::github_property(&title)));
        let mut message = message_with_help(diagnostic);
        let place = without_point(&diagnostic.place).to_string();
        if !place.is_empty() {
            let _ = write!(message, "\nin {place}");
        }
        let _ = writeln!(
            text,
            "::{} {}::{}",
            diagnostic.severity,
            properties.join(","),
            escape::github_message(&message)
        );
    }
    text
}
