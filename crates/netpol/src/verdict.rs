//! One question put to a cluster model, and its answer in words and in JSON.
//!
//! Who is meant at each end can be several (the pods in a CIDR and the addresses beside them), so
//! an answer is made of verdicts. What a verdict is based on is decided in
//! [`evaluate`](crate::evaluate).

use std::fmt::Write as _;

use serde::Serialize;

use crate::evaluate::{Decision, Extent, Part, Verdict, Why};
use crate::model::cluster::ClusterModel;
use crate::model::pod::Endpoint;
use crate::model::policy::Direction;
use crate::query::{EndpointSpec, PortSpec, QueryError, QueryScope};
use manifest::escape;

/// The most pairs of endpoints that one question may make.
const MAX_PAIRS: usize = 200_000;

/// How many pairs are told one by one.
const MAX_TOLD: usize = 10;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The source.
    pub from: EndpointSpec,
    /// The destination.
    pub to: EndpointSpec,
    /// The destination's ports.
    pub ports: PortSpec,
}

/// The verdict on one source and one destination.
#[derive(Debug, Clone)]
pub struct Pair<'w> {
    /// The source.
    pub from: Endpoint,
    /// The destination.
    pub to: Endpoint,
    /// What the policies say.
    pub verdict: Verdict<'w>,
}

/// The answer to a question.
#[derive(Debug, Clone)]
pub struct Answer<'w> {
    /// A verdict on each pair of endpoints that the question is about.
    pub pairs: Vec<Pair<'w>>,
}

impl Question {
    /// Puts the question.
    ///
    /// # Errors
    /// When the model doesn't know who is meant.
    pub fn ask<'w>(
        &self,
        model: &'w ClusterModel,
        scope: &QueryScope,
    ) -> Result<Answer<'w>, QueryError> {
        let sources = scope.endpoints(&self.from, model)?;
        let destinations = scope.endpoints(&self.to, model)?;
        let count = sources.len().saturating_mul(destinations.len());
        if count > MAX_PAIRS {
            return Err(QueryError::TooMany(count));
        }
        let ports = self.ports.ports();
        if let ([Endpoint { pod: Some(pod), .. }], PortSpec::Name(protocol, name)) =
            (destinations.as_slice(), &self.ports)
            && let Some(known) = &pod.ports
            && ports.resolved(known).is_empty()
        {
            return Err(QueryError::NoPortOfThatName {
                pod: format!("{}/{}", pod.namespace, pod.name),
                port: format!("{name}/{protocol}"),
            });
        }
        let mut pairs = Vec::with_capacity(count);
        for from in &sources {
            for to in &destinations {
                pairs.push(Pair {
                    from: from.clone(),
                    to: to.clone(),
                    verdict: model.policies().check(from, to, &ports),
                });
            }
        }
        Ok(Answer { pairs })
    }
}

/// All, nothing, or part of several.
fn together(extents: impl Iterator<Item = Extent>) -> Extent {
    extents
        .reduce(|a, b| if a == b { a } else { Extent::Part })
        .unwrap_or(Extent::Nothing)
}

impl<'w> Answer<'w> {
    /// How much of what was asked is open, both directions taken together.
    #[must_use]
    pub fn extent(&self) -> Extent {
        together(self.pairs.iter().map(|pair| pair.verdict.extent()))
    }

    /// How much one direction leaves open.
    #[must_use]
    pub fn extent_of(&self, direction: Direction) -> Extent {
        together(self.decisions(direction).map(Decision::extent))
    }

    /// Whether all of it is open.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.extent() == Extent::All
    }

    /// Whether the address of a pod, which nobody has told, could open more.
    #[must_use]
    pub fn depends_on_address(&self) -> bool {
        [Direction::Egress, Direction::Ingress]
            .into_iter()
            .any(|direction| {
                self.decisions(direction)
                    .any(|decision| !decision.depends_on_address.is_empty())
            })
    }

    /// What one direction says about each pair.
    pub fn decisions(&self, direction: Direction) -> impl Iterator<Item = &Decision<'w>> {
        self.pairs
            .iter()
            .map(move |pair| of(&pair.verdict, direction))
    }

    /// What decides a direction, by name: the rules that open something (`ns/policy egress[0]`), or
    /// else the policies that isolate and open nothing (`ns/policy`).
    #[must_use]
    pub fn decided_by(&self, direction: Direction) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for decision in self.decisions(direction) {
            let rules = decision.rules.iter().map(ToString::to_string);
            let policies = decision.policies.iter().map(ToString::to_string);
            let own: Vec<String> = if decision.rules.is_empty() {
                policies.collect()
            } else {
                rules.collect()
            };
            for name in own {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// The answer in lines, for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut text = format!("{}\n", verdict_word(self.extent()));
        let told = self.pairs.iter().take(MAX_TOLD);
        for pair in told {
            if self.pairs.len() > 1 {
                let (from, to) = (shown(&name(&pair.from)), shown(&name(&pair.to)));
                let word = verdict_word(pair.verdict.extent());
                let _ = writeln!(text, "{from} to {to}: {word}");
            }
            for direction in [Direction::Egress, Direction::Ingress] {
                text.push_str(&decision_in_words(of(&pair.verdict, direction)));
            }
        }
        if let Some(more @ 1..) = self.pairs.len().checked_sub(MAX_TOLD) {
            let _ = writeln!(text, "and {more} more pairs");
        }
        text
    }

    /// The answer for machines.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let direction = |direction| DirectionJson {
            extent: extent_word(self.extent_of(direction)),
            decided_by: self.decided_by(direction),
        };
        let pairs: Vec<PairJson> = self
            .pairs
            .iter()
            .map(|pair| PairJson {
                from: name(&pair.from),
                to: name(&pair.to),
                extent: extent_word(pair.verdict.extent()),
                egress: decision_json(&pair.verdict.egress),
                ingress: decision_json(&pair.verdict.ingress),
            })
            .collect();
        serde_json::json!({
            "allowed": self.allowed(),
            "extent": extent_word(self.extent()),
            "egress": direction(Direction::Egress),
            "ingress": direction(Direction::Ingress),
            "pairs": pairs,
        })
    }
}

fn of<'v, 'w>(verdict: &'v Verdict<'w>, direction: Direction) -> &'v Decision<'w> {
    match direction {
        Direction::Ingress => &verdict.ingress,
        Direction::Egress => &verdict.egress,
    }
}

/// An endpoint's name, as short as it can be.
fn name(endpoint: &Endpoint) -> String {
    match endpoint.pod.as_deref() {
        None => endpoint.addresses.to_string(),
        Some(pod) if !pod.name.is_empty() => format!("{}/{}", pod.namespace, pod.name),
        Some(pod) => {
            let labels: Vec<String> = pod.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let place = if pod.namespace.is_empty() {
                "another namespace"
            } else {
                &pod.namespace
            };
            format!("a pod {} in {place}", labels.join(","))
        }
    }
}

fn verdict_word(extent: Extent) -> &'static str {
    match extent {
        Extent::All => "allowed",
        Extent::Part => "denied: only a part of it is open",
        Extent::Nothing => "denied",
    }
}

fn extent_word(extent: Extent) -> &'static str {
    match extent {
        Extent::All => "all",
        Extent::Part => "part",
        Extent::Nothing => "nothing",
    }
}

/// A text out of a manifest, in one line.
fn shown(text: &(impl ToString + ?Sized)) -> String {
    escape::terminal(&text.to_string()).into_owned()
}

fn decision_in_words(decision: &Decision<'_>) -> String {
    let side = match decision.direction {
        Direction::Egress => "egress ",
        Direction::Ingress => "ingress",
    };
    let mut text = format!("  {side} ");
    let policies: Vec<String> = decision.policies.iter().map(ToString::to_string).collect();
    match (decision.why, decision.extent()) {
        (Why::NotAPod, _) => text.push_str("open: not a pod, so no policy speaks about it\n"),
        (Why::Itself, _) => text.push_str("open: a pod always reaches itself\n"),
        (Why::NotIsolated, _) => text.push_str("open: no policy selects the pod\n"),
        (Why::Rules, Extent::All) => text.push_str("open\n"),
        (Why::Rules, Extent::Nothing) => {
            let _ = writeln!(
                text,
                "closed: {} isolates the pod",
                shown(&policies.join(", "))
            );
        }
        (Why::Rules, Extent::Part) => {
            let _ = writeln!(text, "open in part ({})", shown(&policies.join(", ")));
            let _ = writeln!(text, "          open:   {}", shown(&decision.open));
            let _ = writeln!(text, "          closed: {}", shown(&decision.closed));
        }
    }
    let rule_line = |text: &mut String, word: &str, rule: &crate::evaluate::RuleRef<'_>| {
        let what = rule.rule().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "          {word} {}: {}", shown(rule), shown(&what));
        if let Some(comment) = rule.rule().and_then(|rule| rule.comment.as_deref()) {
            let _ = writeln!(text, "            # {}", shown(comment));
        }
        if let Some(origin) = rule.rule().and_then(|rule| rule.origin.as_ref()) {
            let _ = writeln!(text, "            cause: {}", shown(origin));
        }
    };
    for rule in &decision.rules {
        rule_line(&mut text, "by", rule);
    }
    for rule in &decision.depends_on_address {
        rule_line(&mut text, "unless the peer's address is in", rule);
    }
    text
}

#[derive(Serialize)]
struct DirectionJson {
    extent: &'static str,
    decided_by: Vec<String>,
}

#[derive(Serialize)]
struct PairJson {
    from: String,
    to: String,
    extent: &'static str,
    egress: DecisionJson,
    ingress: DecisionJson,
}

#[derive(Serialize)]
struct DecisionJson {
    extent: &'static str,
    why: &'static str,
    open: String,
    closed: String,
    policies: Vec<String>,
    rules: Vec<RuleJson>,
    depends_on_address: Vec<RuleJson>,
}

#[derive(Serialize)]
struct RuleJson {
    namespace: String,
    policy: String,
    direction: String,
    index: usize,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

fn decision_json(decision: &Decision<'_>) -> DecisionJson {
    let part = |part: &Part| part.to_string();
    let rules = |rules: &[crate::evaluate::RuleRef<'_>]| {
        rules
            .iter()
            .map(|rule| RuleJson {
                namespace: rule.policy.namespace.clone(),
                policy: rule.policy.name.clone(),
                direction: rule.direction.to_string(),
                index: rule.index,
                rule: rule.rule().map(ToString::to_string).unwrap_or_default(),
                comment: rule.rule().and_then(|rule| rule.comment.clone()),
                cause: rule
                    .rule()
                    .and_then(|rule| rule.origin.as_ref())
                    .map(ToString::to_string),
            })
            .collect()
    };
    DecisionJson {
        extent: extent_word(decision.extent()),
        why: match decision.why {
            Why::NotAPod => "not a pod",
            Why::Itself => "itself",
            Why::NotIsolated => "not isolated",
            Why::Rules => "rules",
        },
        open: part(&decision.open),
        closed: part(&decision.closed),
        policies: decision.policies.iter().map(ToString::to_string).collect(),
        rules: rules(&decision.rules),
        depends_on_address: rules(&decision.depends_on_address),
    }
}
