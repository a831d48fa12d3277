//! What a command found, in the formats that people and programs read.
//!
//! A command makes one [`Report`]: what it judged, the diagnostics of each, and a line that sums up.
//! Each format is a file beside this one that writes a report; none of them knows the command.

pub(super) mod color;
mod github;
mod json;
mod junit;
mod markdown;
mod sarif;
mod text;

use std::collections::HashSet;
use std::io;

use clap::ValueEnum;

use super::pipe;
use crate::rules;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Severity, Suggestion};
use manifest::escape;

pub(super) use text::{Source, log_diagnostics};

/// The flag that chooses the format of a report.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Output {
    /// The output format
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(super) output: Format,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, on standard error
    Text,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations in the log of a GitHub workflow
    Github,
    /// JUnit XML, for the test reports of CI systems
    Junit,
    /// For a comment on a pull request, or a job summary
    Markdown,
}

/// All that a command found.
#[derive(Debug)]
pub(super) struct Report<'r> {
    /// The command, such as `lint`.
    pub(super) command: &'static str,
    /// What was judged, in order.
    pub(super) subjects: Vec<Subject>,
    /// What was judged and how it ended, in one line.
    pub(super) summary: String,
    /// The texts that may be quoted beside a diagnostic.
    pub(super) sources: Vec<Source<'r>>,
    /// What the codes of the diagnostics mean, beyond those of [`rules`].
    pub(super) codes: &'r [Code],
}

/// One thing that was judged: a file, a virtual cluster, an expectation.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its name among the others.
    pub(super) name: String,
    /// The file that it was read from; standard input has none.
    pub(super) file: Option<String>,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// What is to be said about it, finished with `allow` and `strict`.
    pub(super) diagnostics: Diagnostics,
}

/// How the judgement of a subject ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It is as it must be.
    Passed,
    /// It is not.
    Failed,
    /// It has nothing to judge.
    Skipped,
}

/// A code of diagnostics, for the formats that explain codes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code {
    /// The stable name.
    pub(super) name: &'static str,
    /// What it is about, in a few words.
    pub(super) title: &'static str,
    /// What it means and what to do, in Markdown.
    pub(super) documentation: &'static str,
}

/// The code of diagnostics that have none: what is rejected needs no name to be allowed by.
const REJECTED: Code = Code {
    name: "rejected",
    title: "rejected by the API server, or by the rules of the config",
    documentation: "The Kubernetes API server, Helm or vcluster-netpol rejects this. The message \
                    says what to write instead.",
};

impl Report<'_> {
    /// Prints the report: text on standard error, other formats on standard output.
    pub(super) fn print(&self, format: Format) -> io::Result<()> {
        let text = match format {
            Format::Text => return pipe::until_enough(text::log_report(self)),
            Format::Json => json::write(self)?,
            Format::Sarif => sarif::write(self)?,
            Format::Github => {
                let annotations = github::write(self);
                pipe::answer(annotations.as_bytes())?;
                super::log(escape::terminal(&self.summary));
                return Ok(());
            }
            Format::Junit => junit::write(self),
            Format::Markdown => markdown::write(self),
        };
        pipe::answer(text.as_bytes())
    }

    /// Whether anything did not pass.
    pub(super) fn has_failed(&self) -> bool {
        self.count(Outcome::Failed) > 0
    }

    /// How many subjects ended so.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        let same = |subject: &&Subject| subject.outcome == outcome;
        self.subjects.iter().filter(same).count()
    }

    /// How many errors and how many warnings there are.
    pub(super) fn problem_counts(&self) -> (usize, usize) {
        self.diagnostics()
            .fold((0, 0), |(errors, warnings), d| match d.severity {
                Severity::Error => (errors + 1, warnings),
                Severity::Warning => (errors, warnings + 1),
            })
    }

    /// All diagnostics, in the order of the subjects. One that several subjects have, such as that of
    /// a config for all of them, is there once.
    fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let mut seen = HashSet::new();
        let all = self
            .subjects
            .iter()
            .flat_map(|subject| subject.diagnostics.iter());
        all.filter(move |diagnostic| seen.insert(*diagnostic))
    }

    /// What the code of a diagnostic means.
    fn code_of(&self, diagnostic: &Diagnostic) -> Code {
        let Some(code) = diagnostic.code else {
            return REJECTED;
        };
        let own = self.codes.iter().find(|known| known.name == code);
        let of_rule = rules::find(code).map(|rule| Code {
            name: rule.code,
            title: rule.title,
            documentation: rule.documentation,
        });
        own.copied().or(of_rule).unwrap_or(Code {
            name: code,
            ..REJECTED
        })
    }
}

/// The line and column of a file, or of standard input, at which a diagnostic is shown.
#[derive(Debug, Clone, Copy)]
struct Point {
    line: usize,
    column: Option<usize>,
}

/// Where in its file a diagnostic lies. A position inside a part of an object (an annotation) is not
/// one of the file; then it is the document's first line.
fn point(place: &Location) -> Option<Point> {
    let exact = place.position.filter(|_| place.part.is_none());
    let exact = exact.map(|position| Point {
        line: position.line,
        column: Some(position.column),
    });
    exact.or_else(|| place.stream_line.map(|line| Point { line, column: None }))
}

/// A place without the file and the position, for formats that show these in their own way.
fn without_point(place: &Location) -> Location {
    let mut rest = place.clone();
    rest.file = None;
    if rest.part.is_none() {
        rest.position = None;
    }
    rest
}

/// The message behind the path of its field.
fn message(diagnostic: &Diagnostic) -> String {
    match &diagnostic.place.path {
        Some(path) => format!("{path}: {}", diagnostic.message),
        None => diagnostic.message.clone(),
    }
}

/// The message, and behind line breaks what to do.
fn message_with_help(diagnostic: &Diagnostic) -> String {
    let mut text = escape::terminal(&message(diagnostic)).into_owned();
    if let Some(help) = &diagnostic.help {
        text.push_str("\nhelp: ");
        text.push_str(&escape::terminal(help));
    }
    if let Some(suggestion) = diagnostic.addition() {
        text.push('\n');
        text.push_str(&suggestion.to_string());
    }
    text
}

/// What to do, in one line.
fn help_in_one_line(diagnostic: &Diagnostic) -> String {
    let suggestion = diagnostic.addition().map(Suggestion::in_one_line);
    let parts: Vec<String> = diagnostic.help.iter().cloned().chain(suggestion).collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::diagnostic::Position;
    use serde_json::Value;

    /// What acts in some format, or in the log that shows it.
    const NASTY: &str = "a\n::error::x\r\n##[error]\u{1b}[31m\u{202e}|`<img>&\"'%0A,:]]>\u{85}é";

    fn report(text: &str) -> Report<'static> {
        let place = Location {
            file: Some(text.to_owned()),
            object: Some(text.to_owned()),
            ..Location::default()
        };
        let position = Position { line: 3, column: 5 };
        let wrong = Diagnostic::error(text)
            .help(text)
            .at(place.at(text, Some(position)));
        let odd = Diagnostic::warning("VNP102", text).at(place);
        let mut diagnostics = Diagnostics::default();
        diagnostics.extend([wrong.clone(), odd, wrong]);
        let subject = |name: &str, outcome| Subject {
            name: name.to_owned(),
            file: Some(text.to_owned()),
            outcome,
            diagnostics: diagnostics.clone(),
        };
        Report {
            command: "lint",
            subjects: vec![
                subject(text, Outcome::Failed),
                subject("b", Outcome::Passed),
                subject("c", Outcome::Skipped),
            ],
            summary: text.to_owned(),
            sources: Vec::new(),
            codes: &[],
        }
    }

    #[test]
    fn no_text_acts_in_any_format() {
        let report = report(NASTY);
        let json = json::write(&report).unwrap();
        let sarif = sarif::write(&report).unwrap();
        let github = github::write(&report);
        for text in [
            &json,
            &sarif,
            &github,
            &junit::write(&report),
            &markdown::write(&report),
        ] {
            let acts = |c: char| c != '\n' && escape::is_hidden(c);
            assert!(!text.contains(acts), "{text:?}");
            let is_command = |line: &str| line.trim_start().starts_with("::error::x");
            assert!(
                !text.lines().any(is_command) && !text.contains("##["),
                "{text}"
            );
        }
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["problems"][0]["message"], NASTY);
        // Each diagnostic is told once, although several subjects have it.
        assert_eq!(
            (&value["errors"], &value["warnings"]),
            (&1.into(), &1.into())
        );
        let lines: Vec<&str> = github.lines().collect();
        assert_eq!(lines.len(), 2, "{github}");
        assert!(lines[0].starts_with("::error file=a\\n\\x3a"), "{github}");
        assert!(
            lines[0].contains(",line=3,col=5,title=vcluster-netpol lint::"),
            "{github}"
        );
    }

    #[test]
    fn sarif_names_each_rule_once_and_results_by_what_they_are() {
        let sarif = |report: &Report<'_>| -> Value {
            serde_json::from_str(&sarif::write(report).unwrap()).unwrap()
        };
        let one = sarif(&report("x"));
        let run = &one["runs"][0];
        assert_eq!(one["version"], "2.1.0");
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(rules[index]["help"]["text"].is_string());
        }
        // A result keeps its fingerprint where it moves.
        let mut moved = report("x");
        for subject in &mut moved.subjects {
            let shifted = subject
                .diagnostics
                .clone()
                .into_iter()
                .map(|mut diagnostic| {
                    if let Some(position) = &mut diagnostic.place.position {
                        position.line += 7;
                    }
                    diagnostic
                });
            let shifted: Vec<_> = shifted.collect();
            subject.diagnostics = Diagnostics::default();
            subject.diagnostics.extend(shifted);
        }
        let fingerprint = |log: &Value| log["runs"][0]["results"][0]["partialFingerprints"].clone();
        assert_eq!(fingerprint(&one), fingerprint(&sarif(&moved)));
    }
}
