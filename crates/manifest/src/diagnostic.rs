//! What the user is told: one problem with its place, the sink that gathers them, and the report.
//!
//! Every room says what it found in these terms. How they are shown (text, JSON, the block scalar
//! that Helm 4 prints) is decided at the edge; nothing here reads YAML or knows a policy.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::escape;
use crate::yaml::write;

/// How much a problem weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The work goes on; somebody should know.
    Warning,
    /// Nothing is written.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A point in a text, both numbers counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// The same point of a text that begins behind so many lines of a file.
    #[must_use]
    pub fn behind_lines(self, lines: usize) -> Self {
        Self {
            line: self.line + lines,
            ..self
        }
    }
}

/// Whether a message may hold values of the text that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// A file or an annotation: the value helps.
    Show,
    /// A Secret: not a word of it.
    Hide,
}

impl Quoting {
    /// The value in quotes, or words that stand for it.
    #[must_use]
    pub fn value(self, value: &str) -> String {
        match self {
            Self::Show => format!("{value:?}"),
            Self::Hide => "the value".to_owned(),
        }
    }
}

/// Where a problem lies, from the outside in: document, object, part of it, field, position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Location {
    /// The file that the stream was read from, where a command reads several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The object (`Secret team-a/vc-config-a`) or the file that it was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The chart's template, as Helm names it (`vcluster/templates/config-secret.yaml`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The document of the stream, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The line of the stream at which that document begins, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_line: Option<usize>,
    /// The part of the object that holds the text (`data["config.yaml"]`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The field, as the user wrote it (`policies.networkPolicy.labels`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Line and column inside the part, or inside the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

impl Location {
    /// The same place, narrowed to one field.
    #[must_use]
    pub fn at(&self, path: impl Into<String>, position: Option<Position>) -> Self {
        Self {
            path: Some(path.into()),
            position,
            ..self.clone()
        }
    }
}

impl fmt::Display for Location {
    /// One line, whatever the names in it hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        // As compilers write it, so that editors find it.
        let in_file = self.file.as_ref().zip(self.position);
        match (in_file, &self.part) {
            (Some((file, Position { line, column })), None) => {
                parts.push(format!("{file}:{line}:{column}"));
            }
            _ => parts.extend(self.file.clone()),
        }
        parts.extend(self.object.clone());
        parts.extend(self.part.clone());
        if let Some(Position { line, column }) = self.position
            && (self.part.is_some() || self.file.is_none())
        {
            parts.push(format!("line {line}, column {column}"));
        }
        f.write_str(&escape::terminal(&parts.join(", ")))?;
        let mut stream: Vec<String> = Vec::new();
        if let Some(document) = self.document {
            stream.push(match self.stream_line {
                Some(line) => format!("document {document}, from line {line} of the stream"),
                None => format!("document {document} of the stream"),
            });
        }
        if let Some(source) = &self.source {
            stream.push(format!("# Source: {source}"));
        }
        if !stream.is_empty() {
            let gap = if parts.is_empty() { "" } else { " " };
            write!(f, "{gap}({})", escape::terminal(&stream.join("; ")))?;
        }
        Ok(())
    }
}

/// One thing that is wrong: what, where, and what to do.
///
/// The message never holds the text of a Secret beyond the names and values of the
/// network-policy config itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The stable name of a warning (`VNP101`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where.
    pub place: Location,
    /// The change that settles it, where there is one that a program can make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Box<Suggestion>>,
}

/// A change of a text that settles a problem.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suggestion {
    /// The field that changes, as the user writes it.
    pub path: String,
    /// What is done to it.
    #[serde(flatten)]
    pub change: Change,
    /// What a person must fill in or look at first. With nothing of that, the change is exact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fill_in: Vec<FillIn>,
    /// Whether a person must decide where to write it: other values lie over or under this place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

/// What is done to a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// An item is added to the list.
    Add(Value),
    /// The value takes the place of what is there.
    Set(Value),
}

/// A part of a suggestion that only a person knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FillIn {
    /// The text that stands for it in the suggestion.
    pub placeholder: String,
    /// What it is.
    pub meaning: String,
}

impl Suggestion {
    /// An item that is to be added to a list.
    #[must_use]
    pub fn add(path: impl Into<String>, item: Value) -> Self {
        Self {
            path: path.into(),
            change: Change::Add(item),
            fill_in: Vec::new(),
            by_hand: false,
        }
    }

    /// A value that is to stand in a field.
    #[must_use]
    pub fn set(path: impl Into<String>, value: Value) -> Self {
        Self {
            path: path.into(),
            change: Change::Set(value),
            fill_in: Vec::new(),
            by_hand: false,
        }
    }

    /// Whether a program can make the change without asking.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.fill_in.is_empty() && !self.by_hand
    }

    /// The change in one line.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let (verb, value) = match &self.change {
            Change::Add(item) => ("add to", item),
            Change::Set(value) => ("set", value),
        };
        let mut line = format!("{verb} {}: {}", self.path, write::flow(value));
        for part in &self.fill_in {
            line.push_str("; fill in ");
            line.push_str(&part.placeholder);
            line.push_str(": ");
            line.push_str(&part.meaning);
        }
        line
    }

    /// The change as YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        match &self.change {
            Change::Add(item) => write::block(&Value::Array(vec![item.clone()])),
            Change::Set(value) => write::block(value),
        }
    }
}

impl fmt::Display for Suggestion {
    /// What to do, and the YAML below it, each line of it indented. Without a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.change {
            Change::Add(_) => "add to",
            Change::Set(_) => "set",
        };
        write!(f, "{verb} {}:", escape::terminal(&self.path))?;
        for line in self.yaml().lines() {
            write!(f, "\n  {}", escape::terminal(line))?;
        }
        for part in &self.fill_in {
            let text = format!("{}: {}", part.placeholder, part.meaning);
            write!(f, "\nfill in {}", escape::terminal(&text))?;
        }
        Ok(())
    }
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: None,
            message: message.into(),
            help: None,
            place: Location::default(),
            suggestion: None,
        }
    }

    /// A warning without a place yet; `code` is its stable name.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            code: Some(code),
            ..Self::error(message)
        }
    }

    /// The same problem with a word on what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same problem with a change that settles it.
    #[must_use]
    pub fn suggestion(mut self, suggestion: Suggestion) -> Self {
        self.suggestion = Some(Box::new(suggestion));
        self
    }

    /// What it suggests to add. A value to set is in the help too, so only programs need it.
    #[must_use]
    pub fn addition(&self) -> Option<&Suggestion> {
        let suggestion = self.suggestion.as_deref()?;
        match suggestion.change {
            Change::Add(_) => Some(suggestion),
            Change::Set(_) => None,
        }
    }

    /// The same problem at a place.
    #[must_use]
    pub fn at(mut self, place: Location) -> Self {
        self.place = place;
        self
    }
}

impl fmt::Display for Diagnostic {
    /// Several lines, the message, the place and the help; each of them is one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.severity)?;
        if let Some(code) = self.code {
            write!(f, "[{code}]")?;
        }
        f.write_str(": ")?;
        if let Some(path) = &self.place.path {
            write!(f, "{}: ", escape::terminal(path))?;
        }
        f.write_str(&escape::terminal(&self.message))?;
        let place = self.place.to_string();
        if !place.is_empty() {
            write!(f, "\n  --> {place}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {}", escape::terminal(help))?;
        }
        if let Some(suggestion) = self.addition() {
            for line in suggestion.to_string().lines() {
                write!(f, "\n  {line}")?;
            }
        }
        Ok(())
    }
}

/// All problems of one run, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    problems: Vec<Diagnostic>,
    /// The same, to find what is there already among thousands.
    #[serde(skip)]
    seen: HashSet<Diagnostic>,
}

impl Diagnostics {
    /// Adds a problem, unless the very same one is there already.
    pub fn push(&mut self, problem: Diagnostic) {
        if self.seen.insert(problem.clone()) {
            self.problems.push(problem);
        }
    }

    /// Adds all problems of another report.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Diagnostic>) {
        for problem in problems {
            self.push(problem);
        }
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.iter().any(|p| p.severity == Severity::Error)
    }

    /// How many errors and how many warnings there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self
            .iter()
            .filter(|p| p.severity == Severity::Error)
            .count();
        (errors, self.problems.len() - errors)
    }

    /// Ends a run of one subject, as [`Sink::finish`] does.
    #[must_use]
    pub fn finish(self, allow: &[String], strict: bool) -> Self {
        let mut sink = Sink::default();
        sink.extend(None, self);
        sink.finish(allow, strict).into()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.problems.iter()
    }
}

/// What a run has found so far about a stream and about the subjects in it, such as the virtual
/// clusters of a chart.
///
/// Errors and warnings of all steps go in here. [`finish`](Self::finish) decides once which warnings
/// are allowed and which are errors, so that every output tells the same.
#[derive(Debug, Default)]
pub struct Sink {
    entries: Vec<Entry>,
    /// The codes that a subject allows.
    allowed: HashMap<usize, Vec<String>>,
}

/// A diagnostic, the subject that it is about, and who can allow it.
#[derive(Debug)]
struct Entry {
    subject: Option<usize>,
    diagnostic: Diagnostic,
    is_for_caller: bool,
}

impl Sink {
    /// Adds a diagnostic about a subject, or about the stream.
    pub fn push(&mut self, subject: Option<usize>, diagnostic: Diagnostic) {
        self.entries.push(Entry {
            subject,
            diagnostic,
            is_for_caller: false,
        });
    }

    /// Adds a diagnostic about a subject that the subject itself can't allow, only the caller.
    pub fn push_for_caller(&mut self, subject: usize, diagnostic: Diagnostic) {
        self.entries.push(Entry {
            subject: Some(subject),
            diagnostic,
            is_for_caller: true,
        });
    }

    /// Adds several.
    pub fn extend(
        &mut self,
        subject: Option<usize>,
        diagnostics: impl IntoIterator<Item = Diagnostic>,
    ) {
        for diagnostic in diagnostics {
            self.push(subject, diagnostic);
        }
    }

    /// Adds the codes of warnings that a subject allows.
    pub fn allow(&mut self, subject: usize, codes: impl IntoIterator<Item = String>) {
        self.allowed.entry(subject).or_default().extend(codes);
    }

    /// Whether any of them is an error already.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        let is_error = |entry: &Entry| entry.diagnostic.severity == Severity::Error;
        self.entries.iter().any(is_error)
    }

    /// Ends a run: leaves out the warnings that the caller or their subject allows, and makes errors
    /// of the others where the run is strict.
    #[must_use]
    pub fn finish(self, allow: &[String], strict: bool) -> Finished {
        let names =
            |codes: &[String], code: &str| codes.iter().any(|c| c.eq_ignore_ascii_case(code));
        let mut finished = Finished::default();
        for entry in self.entries {
            let mut diagnostic = entry.diagnostic;
            if let (Severity::Warning, Some(code)) = (diagnostic.severity, diagnostic.code) {
                let own = entry.subject.and_then(|subject| self.allowed.get(&subject));
                let is_allowed = own.is_some_and(|own| !entry.is_for_caller && names(own, code));
                if is_allowed || names(allow, code) {
                    continue;
                }
            }
            if strict {
                diagnostic.severity = Severity::Error;
            }
            finished.entries.push((entry.subject, diagnostic));
        }
        finished
    }
}

/// What a run has found, finished.
#[derive(Debug, Default)]
pub struct Finished {
    entries: Vec<(Option<usize>, Diagnostic)>,
}

impl Finished {
    /// The diagnostics of each subject, each of them once; those of the stream are under `None`.
    #[must_use]
    pub fn by_subject(&self) -> HashMap<Option<usize>, Diagnostics> {
        let mut subjects: HashMap<Option<usize>, Diagnostics> = HashMap::new();
        for (subject, diagnostic) in &self.entries {
            let found = subjects.entry(*subject).or_default();
            found.push(diagnostic.clone());
        }
        subjects
    }
}

impl From<Finished> for Diagnostics {
    /// All of them, each once, although several subjects may have it.
    fn from(finished: Finished) -> Self {
        let mut report = Self::default();
        report.extend(
            finished
                .entries
                .into_iter()
                .map(|(_, diagnostic)| diagnostic),
        );
        report
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(problem: Diagnostic) -> Self {
        let mut report = Self::default();
        report.push(problem);
        report
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.problems.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    /// Each problem in its lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(report: &Diagnostics) -> Vec<(&str, Severity)> {
        let code = |d: &Diagnostic| (d.code.unwrap_or_default(), d.severity);
        report.problems.iter().map(code).collect()
    }

    #[test]
    fn a_problem_is_there_once() {
        let warning = || Diagnostic::warning("X1", "w");
        let report = Diagnostics::from(warning()).finish(&["x1".to_owned()], true);
        assert!(report.is_empty());
        let mut report = Diagnostics::from(warning()).finish(&[], true);
        report.push(Diagnostic {
            severity: Severity::Error,
            ..warning()
        });
        assert_eq!(report.counts(), (1, 0));
    }

    #[test]
    fn warnings_are_allowed_by_their_subject_or_by_the_caller() {
        let fill = || {
            let mut sink = Sink::default();
            for subject in [None, Some(0), Some(1)] {
                let of = format!("{subject:?}");
                sink.push(subject, Diagnostic::warning("X1", of.clone()));
                sink.push(subject, Diagnostic::warning("X2", of));
            }
            sink.push(Some(0), Diagnostic::error("e"));
            sink.push_for_caller(0, Diagnostic::warning("X3", "w"));
            sink.allow(0, ["x1".to_owned(), "X3".to_owned()]);
            sink
        };
        let by_subject = fill().finish(&[], false).by_subject();
        let of = |subject| codes(&by_subject[&subject]);
        let (warning, error) = (Severity::Warning, Severity::Error);
        assert_eq!(of(None), [("X1", warning), ("X2", warning)]);
        assert_eq!(of(Some(0)), [("X2", warning), ("", error), ("X3", warning)]);
        assert_eq!(of(Some(1)), [("X1", warning), ("X2", warning)]);
        let allow = ["X2".to_owned(), "X3".to_owned()];
        let all = Diagnostics::from(fill().finish(&allow, true));
        assert_eq!(codes(&all), [("X1", error), ("X1", error), ("", error)]);
    }
}
