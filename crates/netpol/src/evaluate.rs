//! Policies and two endpoints in, a verdict out, with the rules that made it.
//!
//! One decision for each direction: what the source's policies let out, and what the destination's
//! let in. Both are sets, so the answer to "10.0.0.0/8, every port" says which part is open.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::model::pod::{Endpoint, Pod};
use crate::model::policy::{Direction, Peer, Policy, Rule};
use crate::model::tier::{Action, TierPolicy, TierRule};
use crate::sets::address_ports::AddressPortSet;
use crate::sets::addresses::AddressSet;
use crate::sets::ports::Ports;
use crate::sets::selector::{Labels, Selector};
use crate::tiers::TierRuleRef;

/// Policies, found by namespace.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    all: Vec<Policy>,
    by_namespace: HashMap<String, Namespace>,
    /// Those of the whole cluster, in the order in which they are asked.
    tiers: Vec<TierPolicy>,
}

/// The policies of one namespace, as places among all.
#[derive(Debug, Clone, Default)]
struct Namespace {
    /// Those that ask for no label of one value.
    any: Vec<usize>,
    /// The others, each at one label that its selector asks for, by key and value.
    by_label: HashMap<String, HashMap<String, Vec<usize>>>,
}

impl Namespace {
    fn add(&mut self, place: usize, selector: &Selector) {
        let labels = selector.fixed_labels().into_iter();
        // The label that the fewest others ask for tells the most.
        let rarest = labels.min_by_key(|(key, value)| self.at(key, value).len());
        match rarest {
            Some((key, value)) => {
                let by_value = self.by_label.entry(key).or_default();
                by_value.entry(value).or_default().push(place);
            }
            None => self.any.push(place),
        }
    }

    /// The places of the policies that are found at a label.
    fn at(&self, key: &str, value: &str) -> &[usize] {
        let places = self.by_label.get(key).and_then(|values| values.get(value));
        places.map_or(&[], Vec::as_slice)
    }

    /// The places of all policies that can select a pod that has `labels`, lacks the keys `absent`,
    /// and may have any other label.
    fn possible(&self, labels: &Labels, absent: &[&str]) -> Vec<usize> {
        let mut found = self.any.clone();
        for (key, by_value) in &self.by_label {
            match labels.get(key) {
                Some(value) => found.extend(self.at(key, value)),
                None if absent.contains(&key.as_str()) => {}
                None => found.extend(by_value.values().flatten()),
            }
        }
        found.sort_unstable();
        found
    }

    /// The places of all policies that can select a pod of these labels, in order.
    fn candidates(&self, labels: &Labels) -> Vec<usize> {
        let mut found = self.any.clone();
        for (key, value) in labels {
            if self.by_label.is_empty() {
                break;
            }
            found.extend(self.at(key, value));
        }
        found.sort_unstable();
        found
    }
}

/// One rule of one policy.
#[derive(Debug, Clone, Copy, Eq)]
pub struct RuleRef<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// In which list the rule stands.
    pub direction: Direction,
    /// Where in that list, from 0.
    pub index: usize,
}

impl PartialEq for RuleRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Most are of one and the same policy, which need not be compared with itself.
        self.index == other.index
            && self.direction == other.direction
            && (std::ptr::eq(self.policy, other.policy) || self.policy == other.policy)
    }
}

impl<'a> RuleRef<'a> {
    /// What tells it from the other rules of the same set of policies and direction.
    #[must_use]
    pub fn key(&self) -> (*const Policy, usize) {
        (std::ptr::from_ref(self.policy), self.index)
    }

    /// `vc-work-a egress[2]`: its policy is named without the namespace.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}[{}]", self.policy.name, self.direction, self.index)
    }

    /// The rule itself.
    #[must_use]
    pub fn rule(&self) -> Option<&'a Rule> {
        self.policy.rules(self.direction)?.get(self.index)
    }
}

impl fmt::Display for RuleRef<'_> {
    /// `team-a/vc-work-a egress[2]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[{}]", self.policy, self.direction, self.index)
    }
}

/// How much of what was asked is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    All,
    /// Some of it. For a question about all of it, the answer is no.
    Part,
    /// Nothing.
    Nothing,
}

/// Why a direction is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is no pod, so no policy speaks about it.
    NotAPod,
    /// A pod always reaches itself.
    Itself,
    /// Pods of others: their own policies are not relied on.
    OtherPods,
    /// No policy of that direction selects the pod.
    NotIsolated,
    /// Policies select the pod; their rules decide.
    Rules,
    /// Rules of policies of the whole cluster decide, at least on a part.
    Tiers,
}

/// A part of what was asked: these ports, at these addresses where addresses tell it apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Ports, at whatever address.
    Ports(Ports),
    /// Ports at addresses.
    AddressPortSet(AddressPortSet),
}

impl Part {
    fn is_empty(&self) -> bool {
        match self {
            Self::Ports(ports) => ports.is_empty(),
            Self::AddressPortSet(region) => region.is_empty(),
        }
    }

    /// The ports, each open (or closed) at one address at least.
    #[must_use]
    pub fn ports(&self) -> Ports {
        match self {
            Self::Ports(ports) => ports.clone(),
            Self::AddressPortSet(region) => region.ports(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(ports) => write!(f, "{ports}"),
            Self::AddressPortSet(region) => write!(f, "{region}"),
        }
    }
}

/// What one direction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Which direction.
    pub direction: Direction,
    /// Why.
    pub why: Why,
    /// What of the question is open.
    pub open: Part,
    /// What of the question is closed.
    pub closed: Part,
    /// The policies that isolate the pod.
    pub policies: Vec<&'a Policy>,
    /// The rules that open something of it.
    pub rules: Vec<RuleRef<'a>>,
    /// Rules that might open more, if only the address of the peer were known.
    pub depends_on_address: Vec<RuleRef<'a>>,
    /// Rules that might open more, if only the names of the destination's ports were known.
    pub depends_on_port_names: Vec<RuleRef<'a>>,
    /// The rules of policies of the whole cluster that decide on a part of it.
    pub tier_rules: Vec<TierRuleRef<'a>>,
    /// Rules of policies of the whole cluster that would decide, if only the address of the peer
    /// were known.
    pub tiers_depend_on_address: Vec<TierRuleRef<'a>>,
    /// Rules of policies of the whole cluster that would decide, if only the names of the
    /// destination's ports were known.
    pub tiers_depend_on_port_names: Vec<TierRuleRef<'a>>,
}

impl Decision<'_> {
    /// A decision that opens all ports that are asked for, by no rule.
    pub(crate) fn open(direction: Direction, why: Why, asked: Ports) -> Self {
        Self {
            direction,
            why,
            open: Part::Ports(asked),
            closed: Part::Ports(Ports::default()),
            policies: Vec::new(),
            rules: Vec::new(),
            depends_on_address: Vec::new(),
            depends_on_port_names: Vec::new(),
            tier_rules: Vec::new(),
            tiers_depend_on_address: Vec::new(),
            tiers_depend_on_port_names: Vec::new(),
        }
    }

    /// The ports that are open, or could be if what is not known turned out so.
    #[must_use]
    pub fn possible_ports(&self, asked: &Ports) -> Ports {
        let mut ports = vec![self.open.ports()];
        let by_address = self.depends_on_address.iter();
        for rule in by_address.filter_map(RuleRef::rule) {
            ports.push(rule.ports.intersection(asked));
        }
        let by_tier = self
            .tiers_depend_on_address
            .iter()
            .filter_map(TierRuleRef::rule);
        for rule in by_tier.filter(|rule| rule.action != Action::Deny) {
            ports.push(rule.ports.intersection(asked));
        }
        let by_tier_name = self.tiers_depend_on_port_names.iter();
        let by_tier_name = by_tier_name.filter_map(TierRuleRef::rule);
        for rule in by_tier_name.filter(|rule| rule.action != Action::Deny) {
            ports.push(rule.ports.unknown_among(asked));
        }
        let by_name = self.depends_on_port_names.iter();
        for rule in by_name.filter_map(RuleRef::rule) {
            ports.push(rule.ports.unknown_among(asked));
        }
        Ports::union_of(&ports)
    }

    /// Whether what is not known could close some of these ports: an address in a network that a
    /// policy of the whole cluster denies, or a port name in it.
    #[must_use]
    pub fn could_be_closed(&self, asked: &Ports) -> bool {
        let has_accepted = !self.tier_rules.is_empty();
        let can_close = |action: Action| match action {
            Action::Accept => false,
            Action::Deny => true,
            // It only keeps a rule of a later place from accepting.
            Action::Pass => has_accepted,
        };
        let by_address = (self.tiers_depend_on_address.iter()).filter_map(TierRuleRef::rule);
        let by_name = (self.tiers_depend_on_port_names.iter()).filter_map(TierRuleRef::rule);
        let is_about = |rule: &TierRule| {
            !rule.ports.intersection(asked).is_empty()
                || !rule.ports.unknown_among(asked).is_empty()
        };
        by_address
            .chain(by_name)
            .any(|rule| can_close(rule.action) && is_about(rule))
    }

    /// How much is open.
    #[must_use]
    pub fn extent(&self) -> Extent {
        match (self.open.is_empty(), self.closed.is_empty()) {
            // Asked about no port at all (a name that the pod doesn't have): nothing is open.
            (true, _) => Extent::Nothing,
            (false, true) => Extent::All,
            (false, false) => Extent::Part,
        }
    }
}

/// Both directions of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// What the source may send.
    pub egress: Decision<'a>,
    /// What the destination takes.
    pub ingress: Decision<'a>,
}

impl Verdict<'_> {
    /// How much of the connection is open: both sides must agree.
    #[must_use]
    pub fn extent(&self) -> Extent {
        match (self.egress.extent(), self.ingress.extent()) {
            (Extent::All, Extent::All) => Extent::All,
            (Extent::Nothing, _) | (_, Extent::Nothing) => Extent::Nothing,
            // Egress narrows the destination's addresses, ingress the source's: any pair of them
            // meets, so only the ports can fail to.
            _ => {
                let (out, into) = (self.egress.open.ports(), self.ingress.open.ports());
                if out.intersection(&into).is_empty() {
                    Extent::Nothing
                } else {
                    Extent::Part
                }
            }
        }
    }

    /// Whether all of it is open.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.extent() == Extent::All
    }
}

impl FromIterator<Policy> for Policies {
    fn from_iter<I: IntoIterator<Item = Policy>>(policies: I) -> Self {
        let mut all = Self::default();
        for policy in policies {
            all.add(policy);
        }
        all
    }
}

impl Policies {
    /// Adds one. Two of the same name stay two: the caller knows whether that can be.
    pub fn add(&mut self, policy: Policy) {
        self.by_namespace
            .entry(policy.namespace.clone())
            .or_default()
            .add(self.all.len(), &policy.selector);
        self.all.push(policy);
    }

    /// Puts each policy in the place of those of its name and namespace, and adds it where there
    /// are none.
    pub fn put(&mut self, policies: impl IntoIterator<Item = Policy>) {
        let mut all = std::mem::take(&mut self.all);
        let name = |p: &Policy| (p.namespace.clone(), p.name.clone());
        let mut places: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, policy) in all.iter().enumerate() {
            places.entry(name(policy)).or_default().push(place);
        }
        for policy in policies {
            let same = places.entry(name(&policy)).or_default();
            if same.is_empty() {
                same.push(all.len());
                all.push(policy);
                continue;
            }
            for place in same {
                if let Some(old) = all.get_mut(*place) {
                    old.clone_from(&policy);
                }
            }
        }
        // A policy may select other pods than the one that it replaces.
        let tiers = std::mem::take(&mut self.tiers);
        *self = all.into_iter().collect();
        self.tiers = tiers;
    }

    /// Notes what made the rules of policies, as [`Policy::note_origins`] does, by name.
    pub fn note_origins(&mut self, makers: &[Policy]) {
        let mut by_name: HashMap<(&str, &str), &Policy> = HashMap::new();
        for maker in makers {
            let name = (maker.namespace.as_str(), maker.name.as_str());
            by_name.entry(name).or_insert(maker);
        }
        for policy in &mut self.all {
            let name = (policy.namespace.as_str(), policy.name.as_str());
            if let Some(maker) = by_name.get(&name) {
                policy.note_origins(maker);
            }
        }
    }

    /// Adds a policy of the whole cluster. One of the same kind and name is replaced.
    pub fn add_tier(&mut self, policy: TierPolicy) {
        (self.tiers).retain(|known| (&known.kind, &known.name) != (&policy.kind, &policy.name));
        let order = |p: &TierPolicy| (p.tier, p.priority, p.kind.clone(), p.name.clone());
        let own = order(&policy);
        let place = self.tiers.partition_point(|known| order(known) < own);
        self.tiers.insert(place, policy);
    }

    /// The policies of the whole cluster, in the order in which they are asked.
    pub fn tiers(&self) -> impl Iterator<Item = &TierPolicy> {
        self.tiers.iter()
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.all.iter()
    }

    /// Whether there are none, those of the whole cluster included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.tiers.is_empty()
    }

    /// The policies of a namespace that can select a pod that has `labels`, lacks the keys
    /// `absent`, and may have any other label. Some more can be among them.
    pub fn possible(
        &self,
        namespace: &str,
        labels: &Labels,
        absent: &[&str],
    ) -> impl Iterator<Item = &Policy> {
        let places = self.by_namespace.get(namespace);
        let places = places.map(|namespace| namespace.possible(labels, absent));
        places
            .into_iter()
            .flatten()
            .filter_map(|place| self.all.get(place))
    }

    /// The policies that isolate the pod in a direction.
    pub fn isolating(&self, pod: &Pod, direction: Direction) -> impl Iterator<Item = &Policy> {
        self.by_namespace
            .get(&pod.namespace)
            .map(|namespace| namespace.candidates(&pod.labels))
            .into_iter()
            .flatten()
            .filter_map(|i| self.all.get(i))
            .filter(move |p| p.rules(direction).is_some() && p.selector.matches(&pod.labels))
    }

    /// Both directions of a connection to these ports of `to`.
    #[must_use]
    pub fn check(&self, from: &Endpoint, to: &Endpoint, ports: &Ports) -> Verdict<'_> {
        Verdict {
            egress: self.decide(Direction::Egress, from, to, ports),
            ingress: self.decide(Direction::Ingress, to, from, ports),
        }
    }

    /// What the policies of `subject` say about `peer` in one direction. The ports are those of the
    /// destination: the peer's for egress, the subject's for ingress.
    #[must_use]
    pub fn decide(
        &self,
        direction: Direction,
        subject: &Endpoint,
        peer: &Endpoint,
        ports: &Ports,
    ) -> Decision<'_> {
        let destination = match direction {
            Direction::Egress => peer,
            Direction::Ingress => subject,
        };
        let asked = at_destination(ports, destination);
        let below = self.decide_below(direction, subject, peer, &asked, destination);
        if self.tiers.is_empty() {
            return below;
        }
        self.with_tiers(below, subject, peer, &asked)
    }

    /// What the NetworkPolicies say.
    fn decide_below(
        &self,
        direction: Direction,
        subject: &Endpoint,
        peer: &Endpoint,
        asked: &Ports,
        destination: &Endpoint,
    ) -> Decision<'_> {
        let open = |why| Decision::open(direction, why, asked.clone());
        let Some(pod) = &subject.pod else {
            return open(Why::NotAPod);
        };
        if subject.is_same_pod(peer) {
            return open(Why::Itself);
        }
        let policies: Vec<&Policy> = self.isolating(pod, direction).collect();
        if policies.is_empty() {
            return open(Why::NotIsolated);
        }
        let mut tally = Tally::new(asked, subject, peer);
        for &policy in &policies {
            let rules = policy.rules(direction).unwrap_or_default();
            for (index, rule) in rules.iter().enumerate() {
                let rule_ref = RuleRef {
                    policy,
                    direction,
                    index,
                };
                tally.count(rule_ref, rule, destination);
            }
        }
        tally.into_decision(direction, policies)
    }
}

/// Ports with their names looked up on the destination: a pod that lists its ports gives each a
/// number or none, an address that is no pod's has no names, and what is only described keeps them.
pub(crate) fn at_destination<'p>(ports: &'p Ports, destination: &Endpoint) -> Cow<'p, Ports> {
    let known = match &destination.pod {
        None => &[][..],
        Some(pod) => match &pod.ports {
            Some(known) => known,
            None => return Cow::Borrowed(ports),
        },
    };
    if ports.has_names() {
        Cow::Owned(ports.resolved(known))
    } else {
        Cow::Borrowed(ports)
    }
}

/// Whether the destination is a pod of which nobody has told the names of its ports.
pub(crate) fn has_unknown_port_names(destination: &Endpoint) -> bool {
    let pod = destination.pod.as_ref();
    pod.is_some_and(|pod| pod.ports.is_none())
}

/// What the rules have opened so far, of one question.
struct Tally<'a, 'q> {
    asked: &'q Ports,
    peer: &'q Endpoint,
    /// The peer's addresses that the subject can talk to at all.
    addresses: AddressSet,
    anywhere: Vec<Ports>,
    blocks: Vec<(AddressSet, Ports)>,
    rules: Vec<RuleRef<'a>>,
    /// Rules by address, where the peer's address is not known: their blocks and ports.
    depends_on_address: Vec<(RuleRef<'a>, AddressSet, Ports)>,
    depends_on_port_names: Vec<RuleRef<'a>>,
}

impl<'a, 'q> Tally<'a, 'q> {
    fn new(asked: &'q Ports, subject: &Endpoint, peer: &'q Endpoint) -> Self {
        let mut addresses = peer.addresses.clone();
        if !subject.addresses.is_empty() {
            let common = addresses.of_the_families_of(&subject.addresses);
            // With no family in common nothing can be sent; the question is then only whether the
            // policies would mind.
            if !common.is_empty() {
                addresses = common;
            }
        }
        Self {
            asked,
            peer,
            addresses,
            anywhere: Vec::new(),
            blocks: Vec::new(),
            rules: Vec::new(),
            depends_on_address: Vec::new(),
            depends_on_port_names: Vec::new(),
        }
    }

    fn count(&mut self, rule_ref: RuleRef<'a>, rule: &Rule, destination: &Endpoint) {
        let by_label = match (&rule.peers, self.peer.pod.as_deref()) {
            (None, _) => true,
            (Some(peers), Some(pod)) => peers.iter().any(|peer| peer.selects(pod)),
            (Some(_), None) => false,
        };
        let blocks = rule.peers.iter().flatten().filter_map(|peer| match peer {
            Peer::Block(block) if !by_label => Some(block),
            _ => None,
        });
        let depends = self.addresses.is_empty() && blocks.clone().next().is_some();
        let addresses: AddressSet = (blocks.clone())
            .map(|block| self.addresses.intersection(block))
            .collect();
        // Most rules are about somebody else; only now is it worth looking at ports.
        if !by_label && !depends && addresses.is_empty() {
            return;
        }
        if has_unknown_port_names(destination) && !rule.ports.unknown_among(self.asked).is_empty() {
            self.depends_on_port_names.push(rule_ref);
        }
        let ports = at_destination(&rule.ports, destination).intersection(self.asked);
        if ports.is_empty() {
            return;
        }
        if depends {
            let named = blocks.cloned().collect();
            self.depends_on_address.push((rule_ref, named, ports));
            return;
        }
        if by_label {
            self.anywhere.push(ports);
        } else {
            self.blocks.push((addresses, ports));
        }
        self.rules.push(rule_ref);
    }

    /// What is open at every address is open to a peer whose address is not known.
    fn count_everywhere(&mut self) {
        if self.depends_on_address.is_empty() {
            return;
        }
        let blocks = self.depends_on_address.iter();
        let named = AddressPortSet::union_of(blocks.map(|(_, block, ports)| (block, ports)));
        let all = AddressPortSet::new(AddressSet::all(), self.asked.clone());
        let everywhere = self.asked.difference(&all.difference(&named).ports());
        if everywhere.is_empty() {
            return;
        }
        let blocks = self.depends_on_address.iter();
        let rules = blocks.filter(|(_, _, ports)| !ports.intersection(&everywhere).is_empty());
        self.rules.extend(rules.map(|(rule, _, _)| *rule));
        self.depends_on_address
            .retain(|(_, _, ports)| !ports.difference(&everywhere).is_empty());
        self.anywhere.push(everywhere);
    }

    fn into_decision(mut self, direction: Direction, policies: Vec<&'a Policy>) -> Decision<'a> {
        self.count_everywhere();
        let anywhere = Ports::union_of(&self.anywhere);
        let left = self.asked.difference(&anywhere);
        let (open, closed) = if left.is_empty() || self.blocks.is_empty() {
            (Part::Ports(anywhere), Part::Ports(left))
        } else {
            let asked = AddressPortSet::new(self.addresses.clone(), self.asked.clone());
            let blocks = self.blocks.iter().map(|(a, p)| (a, p));
            let open = AddressPortSet::union_of(blocks.chain([(&self.addresses, &anywhere)]));
            let closed = asked.difference(&open);
            (Part::AddressPortSet(open), Part::AddressPortSet(closed))
        };
        let (mut depends_on_address, mut depends_on_port_names) = (Vec::new(), Vec::new());
        if !closed.is_empty() {
            let by_address = self.depends_on_address.into_iter();
            depends_on_address = by_address.map(|(rule, _, _)| rule).collect();
            depends_on_port_names = self.depends_on_port_names;
        }
        Decision {
            direction,
            why: Why::Rules,
            open,
            closed,
            policies,
            rules: self.rules,
            depends_on_address,
            depends_on_port_names,
            tier_rules: Vec::new(),
            tiers_depend_on_address: Vec::new(),
            tiers_depend_on_port_names: Vec::new(),
        }
    }
}
