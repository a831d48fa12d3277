//! What the user is told: one problem with its place, and the report that gathers them.
//!
//! Every room says what it found in these terms. How they are shown (text, JSON, the block scalar
//! that Helm 4 prints) is decided at the edge; nothing here reads YAML or knows a policy.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use crate::escape;

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

    /// Ends a run: leaves out the warnings that are allowed, and makes errors of the others where
    /// the run is strict.
    #[must_use]
    pub fn finish(mut self, allow: &[String], strict: bool) -> Self {
        let is_allowed = |p: &Diagnostic| {
            let code = p.code.unwrap_or_default();
            p.severity == Severity::Warning && allow.iter().any(|a| a.eq_ignore_ascii_case(code))
        };
        self.problems.retain(|p| !is_allowed(p));
        if strict {
            self.be_strict();
        }
        self.seen = self.problems.iter().cloned().collect();
        self
    }

    /// Leaves the warnings of these codes out.
    pub fn allow(&mut self, codes: &[&str]) {
        self.problems
            .retain(|p| p.code.is_none_or(|code| !codes.contains(&code)));
        self.seen = self.problems.iter().cloned().collect();
    }

    /// Makes errors of all warnings.
    pub fn be_strict(&mut self) {
        for problem in &mut self.problems {
            problem.severity = Severity::Error;
        }
        self.seen = self.problems.iter().cloned().collect();
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

    #[test]
    fn a_problem_is_there_once_whatever_happened_to_it_before() {
        let warning = || Diagnostic::warning("X1", "w");
        let mut report = Diagnostics::from(warning());
        report.allow(&["X1"]);
        report.push(warning());
        assert_eq!(report.counts(), (0, 1));
        report.be_strict();
        report.push(Diagnostic {
            severity: Severity::Error,
            ..warning()
        });
        assert_eq!(report.counts(), (1, 0));
    }
}
