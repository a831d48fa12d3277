//! A report as Markdown: what did not pass, and a table of the diagnostics.

use std::fmt::Write as _;

use super::{Outcome, Report, help_in_one_line, message};
use manifest::escape;

/// The Markdown of a report.
pub(super) fn write(report: &Report<'_>) -> String {
    let mut text = format!(
        "### vcluster-netpol {}\n\n{}\n",
        report.command,
        escape::markdown(&report.summary)
    );
    let failed = report
        .subjects
        .iter()
        .filter(|s| s.outcome == Outcome::Failed);
    let failed: Vec<String> = failed
        .map(|subject| format!("- {}\n", escape::markdown_code(&subject.name)))
        .collect();
    if !failed.is_empty() {
        let _ = write!(text, "\nDid not pass:\n\n{}", failed.concat());
    }
    let mut diagnostics = report.diagnostics().peekable();
    if diagnostics.peek().is_some() {
        text.push_str("\n| | what | where | what to do |\n|---|---|---|---|\n");
    }
    for diagnostic in diagnostics {
        let severity = match diagnostic.code {
            Some(code) => format!("{} {code}", diagnostic.severity),
            None => diagnostic.severity.to_string(),
        };
        let place = diagnostic.place.to_string();
        let place = if place.is_empty() {
            String::new()
        } else {
            escape::markdown_code(&place)
        };
        let _ = writeln!(
            text,
            "| {severity} | {} | {place} | {} |",
            escape::markdown(&message(diagnostic)),
            escape::markdown(&help_in_one_line(diagnostic))
        );
    }
    text
}
