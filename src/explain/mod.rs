//! What the policies of a stream do, for people who must decide whether to trust them.
//!
//! ```text
//! stream, config ──▶ View ──▶ Explanation ──▶ text, Markdown, Mermaid, DOT, SVG, JSON
//! two of them ─────▶ Views ──▶ Diff ────────▶ text, Markdown, JSON
//! ```
//!
//! [`view`] reads, [`origins`] brings the config's part in, [`words`] says who is who, [`findings`]
//! asks the evaluator for what is open and may not be expected. Each form has a file of its own.
//! What a policy lets through is decided in [`netpol`], never here.

pub mod diff;
mod dot;
pub mod findings;
mod markdown;
mod mermaid;
pub mod origins;
mod svg;
pub mod table;
mod text;
pub mod view;
pub mod words;

use std::fmt;

use serde::{Serialize, Serializer};

use findings::Finding;
use manifest::escape::terminal;
use netpol::model::policy::{Direction, Origin, Policy, Rule};
use view::View;
use words::Party;

use crate::vcluster::policies::comment_of_field;

pub use dot::dot;
pub use markdown::markdown;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

/// All policies of a stream, and what may finding in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Which configs there are and what comes of them, in sentences.
    pub configs: Vec<String>,
    /// The policies, in the order of the stream, generated ones behind them.
    pub policies: Vec<Explained>,
    /// What is open and may not be expected.
    pub findings: Vec<Finding>,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its name.
    pub name: String,
    /// Its namespace, where anything tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The pods that it is for.
    pub pods: Party,
    /// What they may talk to.
    pub egress: Side,
    /// What may talk to them.
    pub ingress: Side,
}

/// One direction of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Whether the policy speaks about it; where none does, everything is open.
    pub restricted: bool,
    /// What is let through; nothing, if there is no rule.
    pub rules: Vec<Line>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Where it stands in its list.
    pub index: usize,
    /// Whom it lets through.
    pub peers: Vec<Party>,
    /// On which ports.
    pub ports: String,
    /// Why, as the comment above it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What made it, or else where it is written.
    pub cause: Cause,
}

/// What made a rule, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The config makes just this rule.
    Origin(Origin),
    /// No config makes it; this is its path in its policy.
    Written(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(origin) => origin.fmt(f),
            Self::Written(path) => f.write_str(path),
        }
    }
}

impl Serialize for Cause {
    /// In words: the documented format of the JSON output.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Cause {
    /// The same, fit to be shown.
    fn shown(&self) -> Self {
        let mut shown = self.clone();
        let path = match &mut shown {
            Self::Origin(origin) => origin.setting_mut(),
            Self::Written(path) => Some(path),
        };
        if let Some(path) = path {
            *path = terminal(path).into_owned();
        }
        shown
    }
}

impl Explanation {
    /// Explains all policies of a view.
    #[must_use]
    pub fn of(view: &View) -> Self {
        let policies = view.model.policies();
        Self {
            configs: (view.made.iter())
                .map(|made| config_in_words(made, view.assumed_edition.is_some()))
                .collect(),
            policies: policies.iter().map(Explained::of).collect(),
            findings: findings::find(policies),
        }
    }

    /// The same with every text in one line, fit to be shown: the first step of each form that
    /// people read.
    #[must_use]
    fn shown(&self) -> Self {
        Self {
            configs: shown(&self.configs),
            policies: self.policies.iter().map(Explained::shown).collect(),
            findings: (self.findings.iter())
                .map(|finding| Finding {
                    what: terminal(&finding.what).into_owned(),
                    rules: shown(&finding.rules),
                    close: terminal(&finding.close).into_owned(),
                })
                .collect(),
        }
    }
}

fn shown(texts: &[String]) -> Vec<String> {
    texts.iter().map(|t| terminal(t).into_owned()).collect()
}

fn config_in_words(made: &crate::filter::GeneratedPolicies, is_assumed: bool) -> String {
    let cluster = match &made.namespace {
        Some(namespace) => format!("{namespace}/{}", made.name),
        None => made.name.clone(),
    };
    let source = &made.source;
    if made.enabled {
        let edition = made.edition;
        let assumed = if is_assumed {
            " (the newest, assumed; set another with --edition)"
        } else {
            ""
        };
        format!("virtual cluster {cluster}: config from {source}, edition {edition}{assumed}")
    } else {
        format!("virtual cluster {cluster}: the config from {source} does not enable the policies")
    }
}

impl Explained {
    fn of(policy: &Policy) -> Self {
        Self {
            name: policy.name.clone(),
            namespace: (!policy.namespace.is_empty()).then(|| policy.namespace.clone()),
            pods: Party::subject(policy),
            egress: Side::of(policy, Direction::Egress),
            ingress: Side::of(policy, Direction::Ingress),
        }
    }

    fn shown(&self) -> Self {
        let side = |side: &Side| Side {
            restricted: side.restricted,
            rules: side.rules.iter().map(Line::shown).collect(),
        };
        Self {
            name: terminal(&self.name).into_owned(),
            namespace: self.namespace.as_deref().map(|n| terminal(n).into_owned()),
            pods: self.pods.shown(),
            egress: side(&self.egress),
            ingress: side(&self.ingress),
        }
    }

    /// Both directions with their names.
    fn sides(&self) -> [(Direction, &Side); 2] {
        [
            (Direction::Egress, &self.egress),
            (Direction::Ingress, &self.ingress),
        ]
    }

    /// Name and namespace.
    fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in namespace {namespace}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Side {
    fn of(policy: &Policy, direction: Direction) -> Self {
        let rules = policy.rules(direction);
        Self {
            restricted: rules.is_some(),
            rules: rules
                .unwrap_or_default()
                .iter()
                .enumerate()
                .map(|(index, rule)| Line::of(direction, index, rule))
                .collect(),
        }
    }

    /// What there is to say instead of rules.
    fn without_rules(&self) -> Option<&'static str> {
        match (self.restricted, self.rules.is_empty()) {
            (false, _) => Some("not restricted by this policy"),
            (true, true) => Some("nobody, as far as this policy goes"),
            (true, false) => None,
        }
    }
}

impl Line {
    fn shown(&self) -> Self {
        Self {
            index: self.index,
            peers: self.peers.iter().map(Party::shown).collect(),
            ports: terminal(&self.ports).into_owned(),
            why: self.why.as_deref().map(|why| terminal(why).into_owned()),
            cause: self.cause.shown(),
        }
    }

    fn of(direction: Direction, index: usize, rule: &Rule) -> Self {
        Self {
            index,
            peers: match &rule.peers {
                None => vec![Party::everyone()],
                Some(peers) => peers.iter().map(Party::peer).collect(),
            },
            ports: rule.ports.to_string(),
            why: (rule.comment.clone()).filter(|comment| !repeats(comment, rule.origin.as_ref())),
            cause: match &rule.origin {
                Some(origin) => Cause::Origin(origin.clone()),
                None => Cause::Written(format!("spec.{direction}[{index}]")),
            },
        }
    }
}

/// Whether a comment is the one that the filter writes above a rule of this field, which says no
/// more than the origin. The filter names the field by its path below the config; the path of the
/// origin can be longer (`policies.networkPolicy.workload.egress[0]`).
fn repeats(comment: &str, origin: Option<&Origin>) -> bool {
    let Some(Origin::Setting(path)) = origin else {
        return false;
    };
    let below = path
        .match_indices('.')
        .filter_map(|(i, _)| path.get(i + 1..));
    std::iter::once(path.as_str())
        .chain(below)
        .any(|field| comment == comment_of_field(field))
}

/// Who is at the other end, as a heading.
fn heading(direction: Direction) -> &'static str {
    match direction {
        Direction::Egress => "may talk to",
        Direction::Ingress => "may be reached by",
    }
}
