//! Promises about who may talk to whom, kept in a file and held against a model of the cluster.
//!
//! An `allow` is kept if all of it is open, a `deny` only if nothing of it is. How the result is
//! shown (table, JSON, JUnit) is here; where the file comes from is not.

use std::fmt::Write as _;

use serde::Serialize;

use crate::evaluate::Extent;
use crate::model::cluster::ClusterModel;
use crate::model::policy::Direction;
use crate::query::{EndpointSpec, QueryError, QueryScope, Vocabulary, parse_destination};
use crate::verdict::Question;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position, Quoting};
use manifest::escape;
use manifest::schema::{self, Field, Object, Origin, Shape, Unknown};
use manifest::yaml::{Node, Tree};

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
    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// One promise.
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

/// A promise and what became of it.
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
    /// Whether it is kept.
    pub kept: bool,
    /// What is so instead, or what makes it so: the rules or policies that decide.
    pub decided_by: Vec<String>,
    /// The answer in lines, for a promise that is not kept, or kept only as long as a described
    /// pod has no address that some block holds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
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
        object: Some(file.to_owned()),
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

/// A file that promises nothing would always be kept: somebody made a mistake.
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

/// Holds every expectation against the cluster model.
///
/// # Errors
/// Those whose question can't be put there, all of them.
pub fn run(
    expectations: &[Expectation],
    model: &ClusterModel,
    scope: &QueryScope,
) -> Result<Vec<Outcome>, Diagnostics> {
    let mut outcomes = Vec::new();
    let mut report = Diagnostics::default();
    for expectation in expectations {
        let answer = match expectation.question.ask(model, scope) {
            Ok(answer) => answer,
            Err(error) => {
                let place = expectation.place.clone();
                report.push(Diagnostic::error(error.to_string()).at(place));
                continue;
            }
        };
        let kept = match expectation.expected {
            Expected::Allow => answer.extent() == Extent::All,
            Expected::Deny => answer.extent() == Extent::Nothing,
        };
        let mut decided_by = answer.decided_by(Direction::Egress);
        for name in answer.decided_by(Direction::Ingress) {
            if !decided_by.contains(&name) {
                decided_by.push(name);
            }
        }
        outcomes.push(Outcome {
            expected: expectation.expected,
            from: expectation.from.clone(),
            to: expectation.to.clone(),
            reason: expectation.reason.clone(),
            kept,
            decided_by,
            detail: if kept && !answer.depends_on_address() {
                String::new()
            } else {
                answer.in_words()
            },
        });
    }
    if report.has_errors() {
        return Err(report);
    }
    Ok(outcomes)
}

/// How many are not kept.
#[must_use]
pub fn broken(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|o| !o.kept).count()
}

/// A table with a line for each, what is wrong below those that are not kept, and a summary.
#[must_use]
pub fn to_table(outcomes: &[Outcome]) -> String {
    let connection = |o: &Outcome| {
        let (from, to) = (escape::terminal(&o.from), escape::terminal(&o.to));
        format!("{from} -> {to}")
    };
    let widths = outcomes.iter().map(|o| connection(o).chars().count());
    // One long line should not push the reasons of all others out of sight.
    let width = widths.filter(|w| *w <= 60).max().unwrap_or(0);
    let mut text = String::new();
    for outcome in outcomes {
        let mark = if outcome.kept { "ok    " } else { "BROKEN" };
        let expected = outcome.expected.as_str();
        let line = format!(
            "{mark}  {expected:5}  {:width$}  {}",
            connection(outcome),
            escape::terminal(&outcome.reason)
        );
        let _ = writeln!(text, "{}", line.trim_end());
        for line in outcome.detail.lines() {
            let _ = writeln!(text, "          {line}");
        }
    }
    let (all, broken) = (outcomes.len(), broken(outcomes));
    let _ = writeln!(
        text,
        "\n{all} expectations: {} kept, {broken} broken",
        all - broken
    );
    text
}

/// The outcomes as a JUnit report.
#[must_use]
pub fn to_junit(outcomes: &[Outcome]) -> String {
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\"",
        outcomes.len(),
        broken(outcomes)
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  \
         <testsuite name=\"vcluster-netpol\" {counts} skipped=\"0\">\n"
    );
    for outcome in outcomes {
        let mut name = format!("{} -> {}", outcome.from, outcome.to);
        if !outcome.reason.is_empty() {
            let _ = write!(name, ": {}", outcome.reason);
        }
        let class = format!("vcluster-netpol.{}", outcome.expected.as_str());
        let _ = write!(
            text,
            "    <testcase classname=\"{class}\" name=\"{}\"",
            escape::xml(&escape::terminal(&name))
        );
        if outcome.kept {
            text.push_str("/>\n");
            continue;
        }
        let message = match outcome.expected {
            Expected::Allow => "should be open, but is closed in whole or in part",
            Expected::Deny => "should be closed, but is open in whole or in part",
        };
        let _ = write!(
            text,
            ">\n      <failure message=\"{message}\">{}</failure>\n    </testcase>\n",
            escape::xml(&outcome.detail)
        );
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
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
            let report = read(text, "promises.yaml", &crate::query::NO_ROLES)
                .unwrap_err()
                .to_string();
            assert!(report.contains(part), "{text}: {report}");
            assert!(report.contains("promises.yaml"), "{report}");
        }
    }

    #[test]
    fn junit_is_xml_whatever_stands_in_the_reason() {
        let outcome = Outcome {
            expected: Expected::Deny,
            from: "workload".to_owned(),
            to: "internet".to_owned(),
            reason: "a < b & \"c\"\u{1}".to_owned(),
            kept: false,
            decided_by: Vec::new(),
            detail: "]]>".to_owned(),
        };
        let report = to_junit(&[outcome]);
        assert!(
            report.contains("a &lt; b &amp; &quot;c&quot;\\x01"),
            "{report}"
        );
        assert!(report.contains("]]&gt;"), "{report}");
    }
}
