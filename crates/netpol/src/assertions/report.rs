//! The results of expectations as a table, as JSON and as JUnit, for one system or for many.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Expected, Outcome};
use crate::verdict::JSON_VERSION;
use manifest::escape;

/// How many systems are named below an expectation that failed.
const MAX_NAMED: usize = 10;

/// The results for one system.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Group {
    /// The system, as namespace/name; `None` where the expectations name none.
    pub name: Option<String>,
    /// Why nothing could be judged: the system has no policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<String>,
    /// The results, in the order of the file.
    pub outcomes: Vec<Outcome>,
}

/// All results.
#[derive(Debug, Clone)]
pub struct Report {
    /// What a system is called.
    pub kind: &'static str,
    /// One for each system.
    pub groups: Vec<Group>,
    /// What is to be known about the manifests, in sentences.
    pub notes: Vec<String>,
}

impl Group {
    fn failed(&self) -> usize {
        self.outcomes.iter().filter(|o| !o.passed).count()
    }

    fn has_passed(&self) -> bool {
        self.not_judged.is_none() && self.failed() == 0
    }

    fn shown_name(&self) -> String {
        let name = self.name.as_deref().unwrap_or("manifests");
        escape::terminal(name).into_owned()
    }
}

impl Report {
    /// Whether every expectation passed for every system.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.groups.iter().all(Group::has_passed)
    }

    fn count(&self) -> usize {
        self.groups.iter().map(|group| group.outcomes.len()).sum()
    }

    fn failed(&self) -> usize {
        self.groups.iter().map(Group::failed).sum()
    }

    fn not_judged(&self) -> usize {
        let groups = self.groups.iter();
        groups.filter(|group| group.not_judged.is_some()).count()
    }

    /// The results for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "version": JSON_VERSION,
            "passed": self.has_passed(),
            "summary": {
                "expectations": self.count(),
                "passed": self.count() - self.failed(),
                "failed": self.failed(),
                "not_judged": self.not_judged(),
            },
            "notes": self.notes,
            "groups": self.groups,
        })
    }
}

fn connection(o: &Outcome) -> String {
    let (from, to) = (escape::terminal(&o.from), escape::terminal(&o.to));
    format!("{from} -> {to}")
}

/// One result in a line.
fn line(outcome: &Outcome, width: usize) -> String {
    let mark = if outcome.passed { "passed" } else { "FAILED" };
    let expected = outcome.expected.as_str();
    let line = format!(
        "{mark}  {expected:5}  {:width$}  {}",
        connection(outcome),
        escape::terminal(&outcome.reason)
    );
    line.trim_end().to_owned()
}

/// The width of the column of connections. One long line should not push the reasons of all others
/// out of sight.
fn width<'o>(outcomes: impl Iterator<Item = &'o Outcome>) -> usize {
    let widths = outcomes.map(|o| connection(o).chars().count());
    widths.filter(|w| *w <= 60).max().unwrap_or(0)
}

/// For one system a line for each expectation, with the answer below those that failed. For several
/// a line for each system, and below it the expectations that failed, each with the systems.
#[must_use]
pub fn to_table(report: &Report) -> String {
    let mut text = match report.groups.as_slice() {
        [group] if group.not_judged.is_none() => table_of_one(group),
        groups => table_of_several(report.kind, groups),
    };
    let (all, failed) = (report.count(), report.failed());
    let _ = write!(
        text,
        "\n{all} expectations: {} passed, {failed} failed",
        all - failed
    );
    let groups = report.groups.len();
    if groups > 1 || report.not_judged() > 0 {
        let passed = report.groups.iter().filter(|g| g.has_passed()).count();
        let unjudged = report.not_judged();
        let _ = write!(
            text,
            "\n{groups} {}s: {passed} passed, {} failed, {unjudged} without policies",
            report.kind,
            groups - passed - unjudged
        );
    }
    text.push('\n');
    text
}

fn table_of_one(group: &Group) -> String {
    let width = width(group.outcomes.iter());
    let mut text = String::new();
    for outcome in &group.outcomes {
        let _ = writeln!(text, "{}", line(outcome, width));
        for line in outcome.detail.lines() {
            let _ = writeln!(text, "          {line}");
        }
    }
    text
}

fn table_of_several(kind: &str, groups: &[Group]) -> String {
    let names = groups.iter().map(|g| g.shown_name().chars().count());
    let width = names.chain([kind.len()]).max().unwrap_or(0);
    let mut text = format!("{kind:width$}  passed  failed\n");
    for group in groups {
        let name = group.shown_name();
        let failed = group.failed();
        let passed = group.outcomes.len() - failed;
        let result = match &group.not_judged {
            Some(why) => format!("NOT ISOLATED: {}", escape::terminal(why)),
            None => format!("{passed:6}  {failed:6}"),
        };
        let _ = writeln!(text, "{name:width$}  {result}");
    }
    text.push_str(&failures_of_several(groups));
    text
}

/// Each expectation that failed anywhere, with the systems for which it failed.
fn failures_of_several(groups: &[Group]) -> String {
    let most = groups.iter().map(|g| g.outcomes.len()).max().unwrap_or(0);
    let mut text = String::new();
    for i in 0..most {
        let outcomes = groups.iter().filter_map(|g| Some((g, g.outcomes.get(i)?)));
        let failed: Vec<(&Group, &Outcome)> = outcomes.filter(|(_, o)| !o.passed).collect();
        let Some((_, first)) = failed.first() else {
            continue;
        };
        let _ = writeln!(text, "\n{}", line(first, 0));
        for (group, outcome) in failed.iter().take(MAX_NAMED) {
            let (name, why) = (group.shown_name(), why(outcome));
            let _ = writeln!(text, "        {name}: {}", escape::terminal(&why));
        }
        if let Some(more @ 1..) = failed.len().checked_sub(MAX_NAMED) {
            let _ = writeln!(text, "        and {more} more");
        }
    }
    text
}

/// Why an expectation failed, in a few words.
#[must_use]
pub fn why(outcome: &Outcome) -> String {
    let rules = if outcome.caveats.is_empty() {
        &outcome.decided_by
    } else {
        &outcome.caveats
    };
    let rules = match rules.as_slice() {
        [] => "no policy".to_owned(),
        [one] => one.clone(),
        [one, more @ ..] => format!("{one} and {} more", more.len()),
    };
    let word = match outcome.expected {
        Expected::Allow if outcome.caveats.is_empty() => "closed by",
        Expected::Allow => "not surely open:",
        Expected::Deny if outcome.caveats.is_empty() => "open by",
        Expected::Deny => "may be open:",
    };
    format!("{word} {rules}")
}

/// The results as a JUnit report, with a suite for each system.
#[must_use]
pub fn to_junit(report: &Report) -> String {
    let counts = |tests: usize, failures: usize, errors: usize| {
        format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
    };
    let unjudged = report.not_judged();
    let all = counts(report.count() + unjudged, report.failed(), unjudged);
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {all}>\n");
    for group in &report.groups {
        let errors = usize::from(group.not_judged.is_some());
        let own = counts(group.outcomes.len() + errors, group.failed(), errors);
        let name = match &group.name {
            Some(_) => format!("vcluster-netpol {}", group.shown_name()),
            None => "vcluster-netpol".to_owned(),
        };
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" {own} skipped=\"0\">",
            escape::xml(&name)
        );
        if let Some(why) = &group.not_judged {
            let why = escape::terminal(why);
            let _ = writeln!(
                text,
                "    <testcase classname=\"vcluster-netpol\" name=\"has policies\">\n      \
                 <error message=\"{}\"/>\n    </testcase>",
                escape::xml(&why)
            );
        }
        for outcome in &group.outcomes {
            text.push_str(&junit_case(outcome));
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn junit_case(outcome: &Outcome) -> String {
    let mut name = format!("{} -> {}", outcome.from, outcome.to);
    if !outcome.reason.is_empty() {
        let _ = write!(name, ": {}", outcome.reason);
    }
    let mut text = format!(
        "    <testcase classname=\"vcluster-netpol.{}\" name=\"{}\"",
        outcome.expected.as_str(),
        escape::xml(&escape::terminal(&name))
    );
    if outcome.passed {
        text.push_str("/>\n");
        return text;
    }
    let message = match outcome.expected {
        Expected::Allow => "should be open, but is closed in whole or in part",
        Expected::Deny => "should be closed, but is or may be open in whole or in part",
    };
    let _ = write!(
        text,
        ">\n      <failure message=\"{message}\">{}</failure>\n    </testcase>\n",
        escape::xml(&outcome.detail)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::diagnostic::Location;

    #[test]
    fn junit_is_xml_whatever_stands_in_the_reason() {
        let outcome = Outcome {
            expected: Expected::Deny,
            from: "workload".to_owned(),
            to: "internet".to_owned(),
            reason: "a < b & \"c\"\u{1}".to_owned(),
            passed: false,
            decided_by: Vec::new(),
            caveats: Vec::new(),
            detail: "]]>".to_owned(),
            place: Location::default(),
        };
        let group = Group {
            name: Some("a<b".to_owned()),
            not_judged: Some("\"x\"".to_owned()),
            outcomes: vec![outcome],
        };
        let report = to_junit(&Report {
            kind: "system",
            groups: vec![group],
            notes: Vec::new(),
        });
        for part in [
            "a &lt; b &amp; &quot;c&quot;\\x01",
            "]]&gt;",
            "a&lt;b",
            "&quot;x&quot;",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
}
