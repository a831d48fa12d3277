//! Expectations about who can connect to whom, read from a file and compared with a model.
//!
//! An `allow` passes if all of the connection is surely open. A `deny` passes if nothing of it can be
//! open, whatever the addresses and port names are that nobody has told. How the result is shown is in
//! `report`; where the file comes from is not known here.

mod report;

use serde::Serialize;

use crate::evaluate::Extent;
use crate::model::cluster::ClusterModel;
use crate::query::{EndpointSpec, QueryError, QueryScope, Vocabulary, parse_destination};
use crate::verdict::Question;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position, Quoting};
use manifest::schema::{self, Field, Object, Origin, Shape, Unknown};
use manifest::yaml::{Node, Tree};

pub use report::{Group, Report, to_junit, to_table, why};

/// The file: `allow` and `deny`, each a list.
pub static FILE: Object = Object {
    name: "Expectations",
    fields: &[
        Field::new(
            "allow",
            Shape::List(&Shape::Object(&EXPECTATION)),
            "Connections that must be open.",
        ),
        Field::new(
            "deny",
            Shape::List(&Shape::Object(&EXPECTATION)),
            "Connections that must be closed, all of them.",
        ),
    ],
};

/// One line of it.
pub static EXPECTATION: Object = Object {
    name: "Expectation",
    fields: &[
        Field::new("from", Shape::String, "The source."),
        Field::new(
            "to",
            Shape::String,
            "The destination with port and protocol.",
        ),
        Field::new("reason", Shape::String, "Why it must be so."),
    ],
};

/// Which way an expectation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// All of it must be open.
    Allow,
    /// Nothing of it may be open.
    Deny,
}

impl Expected {
    /// The name of its list in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// One expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Open or closed.
    pub expected: Expected,
    /// The source, as written.
    pub from: String,
    /// The destination, as written.
    pub to: String,
    /// Why.
    pub reason: String,
    /// The question that it puts.
    pub question: Question,
    place: Location,
}

/// An expectation and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Open or closed.
    pub expected: Expected,
    /// The source, as written.
    pub from: String,
    /// The destination, as written.
    pub to: String,
    /// Why.
    pub reason: String,
    /// Whether it is so.
    pub passed: bool,
    /// The rules or policies that decide.
    pub decided_by: Vec<String>,
    /// On what the result depends that nobody has told: addresses of pods, names of ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
    /// The answer in lines, where it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Where the expectation is written.
    #[serde(skip)]
    pub place: Location,
}

/// Reads a file of expectations.
///
/// # Errors
/// Everything that is wrong with it, with line and column.
pub fn read(
    text: &str,
    file: &str,
    vocabulary: &Vocabulary,
) -> Result<Vec<Expectation>, Diagnostics> {
    let place = Location {
        file: Some(file.to_owned()),
        ..Location::default()
    };
    let unreadable = |e: manifest::yaml::YamlError| {
        Diagnostics::from(Diagnostic::error(e.message).at(Location {
            position: Some(e.position),
            ..place.clone()
        }))
    };
    let tree = Tree::parse(text).map_err(unreadable)?;
    let mut report = Diagnostics::default();
    let Some(root) = tree.root() else {
        return Err(empty(&place));
    };
    let origin = Origin {
        place: place.clone(),
        quoting: Quoting::Show,
    };
    let found = schema::check(root, Shape::Object(&FILE), "", &origin, Unknown::Refuse);
    report.extend(found);
    if report.has_errors() {
        return Err(report);
    }
    let mut expectations = Vec::new();
    for (expected, list) in [(Expected::Allow, "allow"), (Expected::Deny, "deny")] {
        let items = root.get(list).into_iter().flat_map(Node::items);
        for (i, item) in items.enumerate() {
            let path = format!("{list}[{i}]");
            match expectation(expected, item, &path, (&place, vocabulary)) {
                Ok(expectation) => expectations.push(expectation),
                Err(problem) => report.push(*problem),
            }
        }
    }
    if report.has_errors() {
        return Err(report);
    }
    if expectations.is_empty() {
        return Err(empty(&place));
    }
    Ok(expectations)
}

/// A file without an expectation would always pass: somebody made a mistake.
fn empty(place: &Location) -> Diagnostics {
    Diagnostic::error("there is no expectation in the file")
        .help("write a list `allow:` or `deny:` with from, to and reason")
        .at(place.clone())
        .into()
}

fn expectation(
    expected: Expected,
    item: Node<'_>,
    path: &str,
    (place, vocabulary): (&Location, &Vocabulary),
) -> Result<Expectation, Box<Diagnostic>> {
    let field = |name: &str| -> Option<(String, Position)> {
        let node = item.get(name)?;
        Some((node.text()?.into_owned(), node.position()))
    };
    let wanted = |name: &str| {
        field(name).ok_or_else(|| {
            let message = format!("{name} is missing");
            Box::new(Diagnostic::error(message).at(place.at(path, Some(item.position()))))
        })
    };
    let (from, from_at) = wanted("from")?;
    let (to, to_at) = wanted("to")?;
    let wrong = |name: &str, at: Position, error: &QueryError| {
        Diagnostic::error(error.to_string()).at(place.at(schema::join(path, name), Some(at)))
    };
    let source = EndpointSpec::parse(&from, vocabulary).map_err(|e| wrong("from", from_at, &e))?;
    let (destination, ports) =
        parse_destination(&to, vocabulary).map_err(|e| wrong("to", to_at, &e))?;
    Ok(Expectation {
        expected,
        reason: field("reason").map(|(text, _)| text).unwrap_or_default(),
        question: Question {
            from: source,
            to: destination,
            ports,
        },
        place: place.at(path, Some(item.position())),
        from,
        to,
    })
}

/// Compares every expectation with the model.
///
/// # Errors
/// Those whose question cannot be put there, all of them.
pub fn run(
    expectations: &[Expectation],
    model: &ClusterModel,
    scope: &QueryScope,
) -> Result<Vec<Outcome>, Diagnostics> {
    let mut outcomes = Vec::new();
    let mut report = Diagnostics::default();
    for expectation in expectations {
        match expectation.outcome(model, scope) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => {
                let place = expectation.place.clone();
                report.push(Diagnostic::error(error.to_string()).at(place));
            }
        }
    }
    if report.has_errors() {
        return Err(report);
    }
    Ok(outcomes)
}

impl Expectation {
    fn outcome(&self, model: &ClusterModel, scope: &QueryScope) -> Result<Outcome, QueryError> {
        let answer = self.question.ask(model, scope)?.judged()?;
        let passed = match self.expected {
            Expected::Allow => answer.surely_allowed(),
            Expected::Deny => answer.surely_denied(),
        };
        let detail = match self.expected {
            _ if passed => String::new(),
            Expected::Allow if answer.allowed() => {
                let known = answer.headline();
                let why = format!("{known} as far as is known; it fails because it may be closed");
                answer.closed_in_words().replacen(known, &why, 1)
            }
            Expected::Allow => answer.closed_in_words(),
            Expected::Deny if answer.extent() == Extent::Nothing => {
                let known = answer.headline();
                let why = format!("{known}; it fails because it may be open");
                answer.open_in_words().replacen(known, &why, 1)
            }
            Expected::Deny => answer.open_in_words(),
        };
        Ok(Outcome {
            expected: self.expected,
            from: self.from.clone(),
            to: self.to.clone(),
            reason: self.reason.clone(),
            passed,
            decided_by: answer.decided(),
            caveats: if passed { Vec::new() } else { answer.caveats() },
            detail,
            place: self.place.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_the_file_is_named_with_its_place() {
        let cases = [
            ("allow:\n- from: internet\n", "to is missing"),
            ("allow:\n- {from: internet, to: nobody}\n", "allow[0].to"),
            ("deny:\n- {from: internet, to: internet6, why: x}\n", "why"),
            ("allow: []\n", "no expectation"),
            ("", "no expectation"),
        ];
        for (text, part) in cases {
            let report = read(text, "expectations.yaml", &crate::query::NO_ROLES)
                .unwrap_err()
                .to_string();
            assert!(report.contains(part), "{text}: {report}");
            assert!(report.contains("expectations.yaml"), "{report}");
        }
    }
}
