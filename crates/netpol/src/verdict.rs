//! One question put to a model, and its answer in words and in JSON.
//!
//! Who is meant at each end can be several (the pods in a CIDR and the addresses beside them), so
//! an answer is made of verdicts. What a verdict is based on is decided in
//! [`evaluate`](crate::evaluate) and [`other_pods`](crate::other_pods).

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::denial::{self, Addition, Nearest};
use crate::evaluate::{Decision, Extent, Part, RuleRef, Verdict, Why, at_destination};
use crate::model::cluster::ClusterModel;
use crate::model::pod::{Endpoint, Pod, PodNetwork};
use crate::model::policy::{Direction, Policy};
use crate::model::unknown::UnknownPolicies;
use crate::other_pods::OtherPods;
use crate::query::{End, EndpointSpec, OTHER_PODS, PortSpec, QueryError, QueryScope};
use crate::sets::ports::Ports;
use crate::tiers::TierRuleRef;
use manifest::escape;

/// The version of the JSON output. It changes when a field changes its meaning or goes away.
pub const JSON_VERSION: u32 = 1;

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
pub struct Pair<'m> {
    /// The source.
    pub from: End,
    /// The destination.
    pub to: End,
    /// What the policies say.
    pub verdict: Verdict<'m>,
}

/// The answer to a question.
#[derive(Debug, Clone)]
pub struct Answer<'m> {
    /// A verdict on each pair of endpoints that the question is about.
    pub pairs: Vec<Pair<'m>>,
    /// What was assumed, in sentences.
    pub assumptions: Vec<String>,
    ports: PortSpec,
    asked: Ports,
    /// Whether both ends are single pods or addresses that the question names itself.
    is_concrete: bool,
    unknown: &'m UnknownPolicies,
    setting: fn(&Policy, Direction) -> Option<String>,
}

impl Question {
    /// Puts the question.
    ///
    /// # Errors
    /// When the model does not know who is meant, or when nobody is: no end is a pod, or no
    /// destination has the port.
    pub fn ask<'m>(
        &self,
        model: &'m ClusterModel,
        scope: &QueryScope,
    ) -> Result<Answer<'m>, QueryError> {
        let (sources, destinations) = scope.both_ends(&self.from, &self.to, model)?;
        let count = sources.len().saturating_mul(destinations.len());
        if count > MAX_PAIRS {
            return Err(QueryError::TooMany(count));
        }
        let asked = self.ports.ports();
        let destinations: Vec<&End> = (destinations.iter())
            .filter(|to| !self.ports.has_name() || has_port(to, &asked))
            .collect();
        if destinations.is_empty() {
            return Err(QueryError::NoPortOfThatName {
                destination: "the destination".to_owned(),
                port: asked.to_string(),
            });
        }
        let mut pairs = Vec::with_capacity(count);
        for from in &sources {
            for to in &destinations {
                pairs.push(Pair {
                    from: from.clone(),
                    to: (*to).clone(),
                    verdict: verdict(model, from, to, &asked),
                });
            }
        }
        let ends = [&self.from, &self.to].into_iter();
        let is_concrete = ends.clone().all(EndpointSpec::is_concrete);
        let mut answer = Answer {
            pairs,
            assumptions: ends
                .filter_map(|end| scope.assumptions(end, model))
                .collect(),
            ports: self.ports.clone(),
            asked,
            is_concrete,
            unknown: model.unknown_policies(),
            setting: scope.vocabulary.setting,
        };
        answer.note_assumed_addresses();
        Ok(answer)
    }
}

/// Whether a destination can have one of the ports: an address has no names, and a pod of the
/// model has those of its containers.
fn has_port(to: &End, asked: &Ports) -> bool {
    let End::One(to) = to else { return true };
    !at_destination(asked, to).is_empty()
}

fn verdict<'m>(model: &'m ClusterModel, from: &End, to: &End, ports: &Ports) -> Verdict<'m> {
    let policies = model.policies();
    match (from, to) {
        (End::One(from), End::One(to)) => policies.check(from, to, ports),
        (End::OtherPods(from), End::One(to)) => Verdict {
            egress: OtherPods::own_decision(Direction::Egress, ports),
            ingress: from.decide(policies, Direction::Ingress, to, ports),
        },
        (End::One(from), End::OtherPods(to)) => Verdict {
            egress: to.decide(policies, Direction::Egress, from, ports),
            ingress: OtherPods::own_decision(Direction::Ingress, ports),
        },
        (End::OtherPods(_), End::OtherPods(_)) => Verdict {
            egress: OtherPods::own_decision(Direction::Egress, ports),
            ingress: OtherPods::own_decision(Direction::Ingress, ports),
        },
    }
}

/// All, nothing, or part of several.
fn together(extents: impl Iterator<Item = Extent>) -> Extent {
    extents
        .reduce(|a, b| if a == b { a } else { Extent::Part })
        .unwrap_or(Extent::Nothing)
}

impl<'m> Answer<'m> {
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

    /// Whether nothing of it can be open, whatever the addresses and port names are that nobody
    /// has told.
    #[must_use]
    pub fn surely_denied(&self) -> bool {
        self.pairs.iter().all(|pair| self.is_surely_denied(pair))
    }

    /// Whether all of it is open, whatever the addresses and port names are that nobody has told.
    #[must_use]
    pub fn surely_allowed(&self) -> bool {
        self.pairs.iter().all(|pair| self.is_surely_allowed(pair))
    }

    fn is_surely_allowed(&self, pair: &Pair<'_>) -> bool {
        let decisions = [&pair.verdict.egress, &pair.verdict.ingress].into_iter();
        let could_be_closed = |decision: &Decision<'_>| decision.could_be_closed(&self.asked);
        pair.verdict.allowed() && !decisions.into_iter().any(could_be_closed)
    }

    fn is_surely_denied(&self, pair: &Pair<'_>) -> bool {
        let possible = |end: &End, decision: &Decision<'_>| match &pair.to {
            _ if !self.is_undecided(end) => decision.possible_ports(&self.asked),
            End::One(to) => at_destination(&self.asked, to).into_owned(),
            End::OtherPods(_) => self.asked.clone(),
        };
        let out = possible(&pair.from, &pair.verdict.egress);
        let into = possible(&pair.to, &pair.verdict.ingress);
        out.intersection(&into).is_empty()
    }

    /// Whether something else than the policies that are evaluated can decide for the end: a policy
    /// that is not, or the network of a node, which policies may not apply to.
    fn is_undecided(&self, end: &End) -> bool {
        pod_of(end).is_some_and(|pod| is_on_host(pod) || self.unknown.can_select(pod))
    }

    /// The pods that use the network of their node, in sentences.
    fn caveats_of_host_network(&self) -> Vec<String> {
        let ends = self.pairs.iter().flat_map(|pair| [&pair.from, &pair.to]);
        let on_host = ends.filter(|end| pod_of(end).is_some_and(is_on_host));
        let names: BTreeSet<String> = on_host.map(name).collect();
        let sentence = |name: &String| {
            format!("{name} uses the network of its node, so policies may not apply to it")
        };
        names.iter().map(sentence).collect()
    }

    /// The policies that are not evaluated and can decide for an end, in sentences.
    fn caveats_of_unknown(&self) -> Vec<String> {
        let ends = self.pairs.iter().flat_map(|pair| [&pair.from, &pair.to]);
        let policies = self.unknown.that_can_select(ends.filter_map(pod_of));
        policies
            .into_iter()
            .map(|policy| format!("{policy} is not evaluated, and may allow or deny it"))
            .collect()
    }

    /// Whether a policy can speak about the connection: an end of some pair is a pod whose policies
    /// count.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.pairs.iter().any(|pair| {
            let ends = [&pair.from, &pair.to];
            ends.into_iter()
                .any(|end| matches!(end, End::One(endpoint) if endpoint.pod.is_some()))
        })
    }

    /// The same answer, unless no policy can speak about the connection.
    ///
    /// # Errors
    /// When no end is a pod whose policies count.
    pub fn judged(self) -> Result<Self, QueryError> {
        if self.is_judged() {
            Ok(self)
        } else {
            Err(QueryError::NothingJudged)
        }
    }

    /// On what the answer depends that nobody has told, by the rules that would decide; empty where
    /// the answer is the same for all addresses and port names.
    #[must_use]
    pub fn caveats(&self) -> Vec<String> {
        let mut caveats: Vec<String> = Vec::new();
        let pairs = self.pairs.iter();
        let decisions = pairs.flat_map(|pair| [&pair.verdict.egress, &pair.verdict.ingress]);
        for decision in decisions {
            let address = decision.depends_on_address.iter();
            let address = address.map(|rule| format!("the peer's address may be in {rule}"));
            let names = decision.depends_on_port_names.iter();
            let names = names.map(|rule| format!("a port may have the name in {rule}"));
            let tiers = decision.tiers_depend_on_address.iter();
            let tiers = tiers.map(|rule| format!("the peer's address may be in {rule}"));
            let tier_names = decision.tiers_depend_on_port_names.iter();
            let tier_names = tier_names.map(|rule| format!("a port may have the name in {rule}"));
            for caveat in tiers.chain(tier_names).chain(address).chain(names) {
                if !caveats.contains(&caveat) {
                    caveats.push(caveat);
                }
            }
        }
        caveats.extend(self.caveats_of_unknown());
        caveats.extend(self.caveats_of_host_network());
        caveats
    }

    /// What one direction says about each pair.
    pub fn decisions(&self, direction: Direction) -> impl Iterator<Item = &Decision<'m>> {
        self.pairs
            .iter()
            .map(move |pair| of(&pair.verdict, direction))
    }

    /// What decides both directions, by name, each once.
    #[must_use]
    pub fn decided(&self) -> Vec<String> {
        let mut names = self.decided_by(Direction::Egress);
        for name in self.decided_by(Direction::Ingress) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What decides a direction, by name: the rules that open something (`ns/policy egress[0]`), or
    /// else the policies that isolate and open nothing (`ns/policy`).
    #[must_use]
    pub fn decided_by(&self, direction: Direction) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for decision in self.decisions(direction) {
            let rules = decision.rules.iter().map(ToString::to_string);
            let policies = decision.policies.iter().map(ToString::to_string);
            let tiers = decision.tier_rules.iter().map(ToString::to_string);
            let own: Vec<String> = if !decision.rules.is_empty() {
                tiers.chain(rules).collect()
            } else if decision.tier_rules.is_empty() {
                policies.collect()
            } else {
                tiers.collect()
            };
            for name in own {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// The rules that would allow a denied connection, one for each direction that denies it. Only
    /// for a question about two ends that it names: nobody should open a connection to all private
    /// addresses because a message proposes it.
    #[must_use]
    pub fn additions(&self) -> Vec<Addition> {
        let [pair] = self.pairs.as_slice() else {
            return Vec::new();
        };
        if !self.is_concrete {
            return Vec::new();
        }
        let (End::One(from), End::One(to)) = (&pair.from, &pair.to) else {
            return Vec::new();
        };
        let (egress, ingress) = (&pair.verdict.egress, &pair.verdict.ingress);
        // No rule of a NetworkPolicy allows what a policy of the whole cluster denies.
        if [egress, ingress]
            .iter()
            .any(|decision| decision.why == Why::Tiers)
        {
            return Vec::new();
        }
        let denied = [(egress, (from, to)), (ingress, (to, from))].into_iter();
        let denied = denied.filter(|(decision, _)| decision.extent() != Extent::All);
        let additions = denied
            .map(|(decision, ends)| denial::addition(decision, ends, &self.ports, self.setting));
        // A rule for one direction alone would not allow the connection.
        additions.collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    /// The addresses of other pods are assumed. That matters where an address elsewhere would be
    /// let through.
    fn note_assumed_addresses(&mut self) {
        let is_assumed = |end: &End| matches!(end, End::OtherPods(o) if o.are_addresses_assumed);
        if self
            .pairs
            .iter()
            .any(|p| is_assumed(&p.from) || is_assumed(&p.to))
        {
            self.assumptions.push(format!(
                "other pods have private addresses, or those of the pods in the manifests; \
                 {OTHER_PODS},ip:CIDR says others"
            ));
        }
    }

    /// The answer in lines, for people: with the nearest rule where a direction is denied.
    #[must_use]
    pub fn in_words(&self) -> String {
        self.lines(true, |_| true)
    }

    /// The same for somebody who wanted it to be open: without the pairs that are.
    #[must_use]
    pub fn closed_in_words(&self) -> String {
        self.lines(true, |pair| !self.is_surely_allowed(pair))
    }

    /// The same for somebody who wanted it to be closed: without the pairs that are, and without the
    /// rules that are near.
    #[must_use]
    pub fn open_in_words(&self) -> String {
        self.lines(false, |pair| !self.is_surely_denied(pair))
    }

    /// The verdict in a few words. What is only denied as far as is known is told apart.
    #[must_use]
    pub fn headline(&self) -> &'static str {
        match self.extent() {
            Extent::Nothing if !self.surely_denied() => "denied as far as is known",
            extent => verdict_word(extent),
        }
    }

    fn lines(&self, with_nearest: bool, is_shown: impl Fn(&Pair<'m>) -> bool) -> String {
        let mut text = format!("{}\n", self.headline());
        let pairs: Vec<&Pair<'m>> = self.pairs.iter().filter(|pair| is_shown(pair)).collect();
        for pair in pairs.iter().take(MAX_TOLD) {
            if self.pairs.len() > 1 {
                let (from, to) = (shown(&name(&pair.from)), shown(&name(&pair.to)));
                let word = verdict_word(pair.verdict.extent());
                let _ = writeln!(text, "{from} to {to}: {word}");
            }
            for (direction, peer) in [
                (Direction::Egress, &pair.to),
                (Direction::Ingress, &pair.from),
            ] {
                let decision = of(&pair.verdict, direction);
                let is_many = matches!(peer, End::OtherPods(_));
                text.push_str(&decision_in_words(decision, is_many));
                if with_nearest && let Some(nearest) = self.nearest(decision, peer) {
                    text.push_str(&nearest_in_words(&nearest));
                }
            }
        }
        if let Some(more @ 1..) = pairs.len().checked_sub(MAX_TOLD) {
            let _ = writeln!(text, "and {more} more pairs");
        }
        let of_host = self.caveats_of_host_network();
        for caveat in self.caveats_of_unknown().iter().chain(&of_host) {
            let _ = writeln!(text, "not known: {}", shown(caveat));
        }
        for assumption in &self.assumptions {
            let _ = writeln!(text, "assumed: {assumption}");
        }
        text
    }

    /// The rules to add, in lines; empty where there are none.
    #[must_use]
    pub fn additions_in_words(&self) -> String {
        let mut text = String::new();
        for addition in self.additions() {
            let policy = shown(&addition.policy);
            let direction = addition.direction;
            let setting = addition.setting.as_deref();
            let place = setting.map(|s| format!(", in the config: {}", shown(s)));
            let _ = writeln!(
                text,
                "To allow it, add to {direction} of NetworkPolicy {policy}{}",
                place.unwrap_or_default()
            );
            text.push_str(&denial::to_yaml(&addition.rule, 2));
            let _ = writeln!(
                text,
                "For the pods of {policy} this newly allows, and nothing else:"
            );
            for line in addition.newly_allowed.to_string().lines() {
                let _ = writeln!(text, "  {direction} {}", shown(line));
            }
        }
        text
    }

    fn nearest(&self, decision: &Decision<'m>, peer: &End) -> Option<Nearest<'m>> {
        let End::One(peer) = peer else { return None };
        if decision.extent() == Extent::All {
            return None;
        }
        denial::nearest(decision, peer, &self.asked)
    }

    /// The answer for machines.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let direction = |direction| DirectionJson {
            extent: extent_word(self.extent_of(direction)),
            decided_by: self.decided_by(direction),
        };
        let pairs = self.pairs.iter().map(|pair| PairJson {
            from: name(&pair.from),
            to: name(&pair.to),
            extent: extent_word(pair.verdict.extent()),
            egress: self.decision_json(&pair.verdict.egress, &pair.to),
            ingress: self.decision_json(&pair.verdict.ingress, &pair.from),
        });
        let additions = self.additions();
        let additions: Vec<AdditionJson<'_>> = additions.iter().map(AdditionJson::of).collect();
        serde_json::json!({
            "version": JSON_VERSION,
            "allowed": self.allowed(),
            "extent": extent_word(self.extent()),
            "surely_denied": self.surely_denied(),
            "egress": direction(Direction::Egress),
            "ingress": direction(Direction::Ingress),
            "pairs": pairs.collect::<Vec<_>>(),
            "caveats": self.caveats(),
            "assumptions": self.assumptions,
            "rules_to_add": additions,
        })
    }

    fn decision_json(&self, decision: &Decision<'m>, peer: &End) -> DecisionJson {
        DecisionJson {
            nearest: self.nearest(decision, peer).map(|nearest| NearestJson {
                differences: nearest
                    .differences
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                rule: rule_json(&nearest.rule),
            }),
            ..decision_json(decision)
        }
    }
}

fn is_on_host(pod: &Pod) -> bool {
    pod.network == PodNetwork::Host
}

fn pod_of(end: &End) -> Option<&Pod> {
    match end {
        End::One(endpoint) => endpoint.pod.as_deref(),
        End::OtherPods(_) => None,
    }
}

fn of<'v, 'm>(verdict: &'v Verdict<'m>, direction: Direction) -> &'v Decision<'m> {
    match direction {
        Direction::Ingress => &verdict.ingress,
        Direction::Egress => &verdict.egress,
    }
}

/// The name of an end, as short as it can be.
fn name(end: &End) -> String {
    let End::One(endpoint) = end else {
        return OTHER_PODS.to_owned();
    };
    name_of(endpoint)
}

fn name_of(endpoint: &Endpoint) -> String {
    match endpoint.pod.as_deref() {
        None => endpoint.addresses.to_string(),
        Some(pod) if !pod.name.is_empty() => format!("{}/{}", pod.namespace, pod.name),
        Some(pod) => {
            let labels: Vec<String> = pod.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let namespace = if pod.namespace.is_empty() {
                "another namespace"
            } else {
                &pod.namespace
            };
            format!("a pod {} in {namespace}", labels.join(","))
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

/// One direction in lines. Of many peers, what is open is open to some of them, and what is closed
/// is closed to some.
fn decision_in_words(decision: &Decision<'_>, is_many: bool) -> String {
    let side = match decision.direction {
        Direction::Egress => "egress ",
        Direction::Ingress => "ingress",
    };
    let mut text = format!("  {side} ");
    let policies: Vec<String> = decision.policies.iter().map(ToString::to_string).collect();
    match (decision.why, decision.extent()) {
        (Why::NotAPod, _) => text.push_str("open: not a pod, so no policy applies\n"),
        (Why::Itself, _) => text.push_str("open: a pod always reaches itself\n"),
        (Why::NotIsolated, _) => text.push_str("open: no policy selects the pod\n"),
        (Why::OtherPods, _) => {
            text.push_str("open: policies of other pods are not relied on\n");
        }
        (Why::Rules | Why::Tiers, Extent::All) => text.push_str("open\n"),
        (Why::Tiers, Extent::Nothing) => text.push_str("closed\n"),
        (Why::Rules, Extent::Nothing) => {
            let _ = writeln!(
                text,
                "closed: {} isolates the pod",
                shown(&policies.join(", "))
            );
        }
        (Why::Rules | Why::Tiers, Extent::Part) => {
            let names = shown(&policies.join(", "));
            let names = if names.is_empty() {
                names
            } else {
                format!(" ({names})")
            };
            let _ = writeln!(text, "open in part{names}");
            let some = if is_many { " for some" } else { "" };
            let _ = writeln!(text, "          open{some}:   {}", shown(&decision.open));
            let _ = writeln!(text, "          closed{some}: {}", shown(&decision.closed));
        }
    }
    rules_in_words(&mut text, decision);
    text
}

/// The rules that decide one direction, and those that would.
fn rules_in_words(text: &mut String, decision: &Decision<'_>) {
    for (word, rules) in [
        ("by", &decision.tier_rules),
        (
            "unless the peer's address is in",
            &decision.tiers_depend_on_address,
        ),
        (
            "unless a port has the name in",
            &decision.tiers_depend_on_port_names,
        ),
    ] {
        for rule in rules {
            let what = rule.rule().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "          {word} {}: {}", shown(rule), shown(&what));
        }
    }
    for rule in &decision.rules {
        rule_in_words(text, "by", rule);
    }
    for rule in &decision.depends_on_address {
        rule_in_words(text, "unless the peer's address is in", rule);
    }
    for rule in &decision.depends_on_port_names {
        rule_in_words(text, "unless a port has the name in", rule);
    }
}

fn rule_in_words(text: &mut String, word: &str, rule: &RuleRef<'_>) {
    let what = rule.rule().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(text, "          {word} {}: {}", shown(rule), shown(&what));
    if let Some(comment) = rule.rule().and_then(|rule| rule.comment.as_deref()) {
        let _ = writeln!(text, "            # {}", shown(comment));
    }
    if let Some(origin) = rule.rule().and_then(|rule| rule.origin.as_ref()) {
        let _ = writeln!(text, "            cause: {}", shown(origin));
    }
}

fn nearest_in_words(nearest: &Nearest<'_>) -> String {
    let rule = &nearest.rule;
    let what = rule.rule().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("          nearest {}: {}\n", shown(rule), shown(&what));
    for difference in &nearest.differences {
        let _ = writeln!(text, "            differs in {}", shown(difference));
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
    depends_on_port_names: Vec<RuleJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cluster_rules: Vec<TierRuleJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cluster_rules_depending_on_address: Vec<TierRuleJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cluster_rules_depending_on_port_names: Vec<TierRuleJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<NearestJson>,
}

#[derive(Serialize)]
struct TierRuleJson {
    kind: String,
    policy: String,
    direction: String,
    index: usize,
    rule: String,
}

/// A rule in words with all its peers; nothing for one that is not there.
fn whole(rule: Option<&impl fmt::Display>) -> String {
    rule.map(|rule| format!("{rule:#}")).unwrap_or_default()
}

fn tier_rule_json(rule: &TierRuleRef<'_>) -> TierRuleJson {
    TierRuleJson {
        kind: rule.policy.kind.clone(),
        policy: rule.policy.name.clone(),
        direction: rule.direction.to_string(),
        index: rule.index,
        rule: whole(rule.rule()),
    }
}

#[derive(Serialize)]
struct NearestJson {
    rule: RuleJson,
    differences: Vec<String>,
}

#[derive(Serialize)]
struct AdditionJson<'a> {
    policy: &'a str,
    direction: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    setting: Option<&'a str>,
    rule: &'a serde_json::Value,
    newly_allowed: Vec<String>,
}

impl<'a> AdditionJson<'a> {
    fn of(addition: &'a Addition) -> Self {
        let newly_allowed = addition.newly_allowed.to_string();
        Self {
            policy: &addition.policy,
            direction: addition.direction.to_string(),
            setting: addition.setting.as_deref(),
            rule: &addition.rule,
            newly_allowed: newly_allowed.lines().map(str::to_owned).collect(),
        }
    }
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

fn rule_json(rule: &RuleRef<'_>) -> RuleJson {
    let origin = rule.rule().and_then(|rule| rule.origin.as_ref());
    RuleJson {
        namespace: rule.policy.namespace.clone(),
        policy: rule.policy.name.clone(),
        direction: rule.direction.to_string(),
        index: rule.index,
        rule: whole(rule.rule()),
        comment: rule.rule().and_then(|rule| rule.comment.clone()),
        cause: origin.map(ToString::to_string),
    }
}

fn decision_json(decision: &Decision<'_>) -> DecisionJson {
    let part = |part: &Part| match part {
        Part::Ports(ports) => ports.to_string(),
        Part::AddressPortSet(region) => format!("{region:#}"),
    };
    let rules = |rules: &[RuleRef<'_>]| rules.iter().map(rule_json).collect();
    DecisionJson {
        extent: extent_word(decision.extent()),
        why: match decision.why {
            Why::NotAPod => "not a pod",
            Why::Itself => "itself",
            Why::NotIsolated => "not isolated",
            Why::OtherPods => "policies of other pods are not relied on",
            Why::Rules => "rules",
            Why::Tiers => "rules for the whole cluster",
        },
        open: part(&decision.open),
        closed: part(&decision.closed),
        policies: decision.policies.iter().map(ToString::to_string).collect(),
        rules: rules(&decision.rules),
        depends_on_address: rules(&decision.depends_on_address),
        depends_on_port_names: rules(&decision.depends_on_port_names),
        cluster_rules: decision.tier_rules.iter().map(tier_rule_json).collect(),
        cluster_rules_depending_on_address: (decision.tiers_depend_on_address.iter())
            .map(tier_rule_json)
            .collect(),
        cluster_rules_depending_on_port_names: (decision.tiers_depend_on_port_names.iter())
            .map(tier_rule_json)
            .collect(),
        nearest: None,
    }
}
