//! A report as `JUnit` XML: one test case for each subject.

use std::fmt::Write as _;

use super::{Outcome, Report, Subject, message};
use manifest::diagnostic::{Diagnostic, Severity};
use manifest::escape;

/// The XML of a report.
pub(super) fn write(report: &Report<'_>) -> String {
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\"",
        report.subjects.len(),
        report.count(Outcome::Failed),
        report.count(Outcome::Skipped)
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite \
         name=\"vcluster-netpol {}\" {counts}>\n",
        report.command
    );
    for subject in &report.subjects {
        case(&mut text, report.command, subject);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn case(text: &mut String, command: &str, subject: &Subject) {
    let _ = write!(
        text,
        "    <testcase classname=\"vcluster-netpol.{command}\" name=\"{}\"",
        escape::xml(&escape::terminal(&subject.name))
    );
    if let Some(file) = &subject.file {
        let _ = write!(text, " file=\"{}\"", escape::xml(&escape::terminal(file)));
    }
    let of = |severity| {
        let same = move |diagnostic: &&Diagnostic| diagnostic.severity == severity;
        subject.diagnostics.iter().filter(same)
    };
    let mut inner = String::new();
    match subject.outcome {
        Outcome::Passed => {}
        Outcome::Skipped => inner.push_str("      <skipped message=\"nothing to judge\"/>\n"),
        Outcome::Failed => {
            let first = of(Severity::Error).next().map(message).unwrap_or_default();
            let _ = writeln!(
                inner,
                "      <failure message=\"{}\">{}</failure>",
                escape::xml(&escape::terminal(&first)),
                escape::xml(&lines(of(Severity::Error)))
            );
        }
    }
    let warnings = lines(of(Severity::Warning));
    if !warnings.is_empty() {
        let _ = writeln!(
            inner,
            "      <system-out>{}</system-out>",
            escape::xml(&warnings)
        );
    }
    if inner.is_empty() {
        text.push_str("/>\n");
    } else {
        let _ = write!(text, ">\n{inner}    </testcase>\n");
    }
}

fn lines<'d>(diagnostics: impl Iterator<Item = &'d Diagnostic>) -> String {
    let texts: Vec<String> = diagnostics.map(ToString::to_string).collect();
    texts.join("\n")
}
