//! An audit for a comment on a pull request or the summary of a CI job.

use std::fmt::Write as _;

use super::{diff, shown, summary};
use crate::audit::Report;
use crate::audit::words::{help, listed, message};
use crate::explain::diff as difference;
use manifest::escape::{markdown as escaped, markdown_code as code};

/// A table of the virtual clusters that are not isolated, or of `all`, and what each one's
/// differences are.
#[must_use]
pub fn markdown(report: &Report, all: bool) -> String {
    let mut text = String::from("### Isolation of virtual clusters\n");
    let _ = writeln!(text, "\n{}\n", escaped(&summary(report)));
    let mut rows = String::new();
    let mut details = String::new();
    for stream in &report.streams {
        for cluster in shown(stream, all) {
            let mut cells = Vec::new();
            for finding in &cluster.findings {
                let help = help(finding).map(|help| format!(" ({})", escaped(&help)));
                let help = help.unwrap_or_default();
                cells.push(format!("{}{help}", escaped(&message(finding))));
                if let Some(diff) = diff(finding) {
                    let title = format!("{}: {}", cluster.title(), message(finding));
                    let _ = writeln!(details, "\n#### {}", escaped(&title));
                    details.push_str(&difference::changes_as_markdown(diff));
                }
            }
            let _ = writeln!(
                rows,
                "| {} | {} | {} | {} |",
                code(&cluster.title()),
                code(&stream.name),
                cluster.verdict().as_str(),
                cells.join("<br>")
            );
        }
        for problem in stream.errors.iter() {
            let problem = escaped(&problem.message);
            let _ = writeln!(
                rows,
                "| | {} | not judged | {problem} |",
                code(&stream.name)
            );
        }
        for problem in stream.warnings.iter() {
            let name = code(&stream.name);
            let problem = escaped(&problem.message);
            let _ = writeln!(rows, "| | {name} | warning | {problem} |");
        }
        if stream.is_empty {
            let _ = writeln!(rows, "| | {} | empty | |", code(&stream.name));
        }
        if stream.has_nothing() {
            let name = code(&stream.name);
            let _ = writeln!(rows, "| | {name} | not judged | no virtual cluster |");
        }
        if !stream.unevaluated.is_empty() {
            let policies = escaped(&listed(&stream.unevaluated));
            let name = code(&stream.name);
            let _ = writeln!(rows, "| | {name} | warning | not evaluated: {policies} |");
        }
    }
    if !rows.is_empty() {
        text.push_str("| virtual cluster | input | verdict | why |\n|---|---|---|---|\n");
        text.push_str(&rows);
    }
    text.push_str(&details);
    text
}
