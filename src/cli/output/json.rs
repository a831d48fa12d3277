//! A report as JSON, for programs.

use std::io;

use serde::Serialize;

use super::{Outcome, Report};
use manifest::diagnostic::Diagnostic;
use manifest::escape;

/// The version of the form: it rises when a field changes its meaning or goes away.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Json<'r> {
    version: u32,
    command: &'r str,
    summary: &'r str,
    passed: usize,
    failed: usize,
    skipped: usize,
    errors: usize,
    warnings: usize,
    subjects: Vec<Subject<'r>>,
    problems: Vec<&'r Diagnostic>,
}

#[derive(Serialize)]
struct Subject<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'r str>,
    outcome: Outcome,
    errors: usize,
    warnings: usize,
}

/// The JSON of a report.
pub(super) fn write<'r>(report: &'r Report<'_>) -> io::Result<String> {
    let (errors, warnings) = report.problem_counts();
    let subject = |subject: &'r super::Subject| {
        let (errors, warnings) = subject.diagnostics.counts();
        Subject {
            name: &subject.name,
            file: subject.file.as_deref(),
            outcome: subject.outcome,
            errors,
            warnings,
        }
    };
    let json = Json {
        version: VERSION,
        command: report.command,
        summary: &report.summary,
        passed: report.count(Outcome::Passed),
        failed: report.count(Outcome::Failed),
        skipped: report.count(Outcome::Skipped),
        errors,
        warnings,
        subjects: report.subjects.iter().map(subject).collect(),
        problems: report.diagnostics().collect(),
    };
    let text = serde_json::to_string_pretty(&json)?;
    Ok(escape::json(&text) + "\n")
}
