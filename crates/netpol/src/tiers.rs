//! What the policies of the whole cluster make of a decision of the NetworkPolicies.
//!
//! Every rule is a set of addresses and ports of one question. What an earlier rule has decided is
//! taken out before the next one is asked.

use std::fmt;

use crate::evaluate::{Decision, Part, Policies, Why, at_destination, has_unknown_port_names};
use crate::model::pod::{Endpoint, PodNetwork};
use crate::model::policy::{Direction, Peer};
use crate::model::tier::{Action, Tier, TierPolicy, TierRule};
use crate::sets::address_ports::AddressPortSet;
use crate::sets::addresses::AddressSet;
use crate::sets::ports::Ports;

/// One rule of a policy of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierRuleRef<'a> {
    /// The policy.
    pub policy: &'a TierPolicy,
    /// In which list the rule stands.
    pub direction: Direction,
    /// Where in that list, from 0.
    pub index: usize,
}

impl<'a> TierRuleRef<'a> {
    /// The rule itself.
    #[must_use]
    pub fn rule(&self) -> Option<&'a TierRule> {
        self.policy.rules(self.direction).get(self.index)
    }
}

impl fmt::Display for TierRuleRef<'_> {
    /// `AdminNetworkPolicy closed egress[2]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[{}]", self.policy, self.direction, self.index)
    }
}

/// One question about a pod and a peer.
struct Question<'q> {
    direction: Direction,
    subject: &'q Endpoint,
    peer: &'q Endpoint,
    /// The peer's addresses; all, if none is known.
    addresses: AddressSet,
}

/// What a tier has decided.
#[derive(Default)]
struct Decided<'a> {
    accepted: AddressPortSet,
    /// What no rule has matched, and what was passed on.
    left: AddressPortSet,
    rules: Vec<TierRuleRef<'a>>,
    /// Rules that would match if the peer's address were in one of their networks.
    unknown: Vec<TierRuleRef<'a>>,
    /// Rules that would match if the destination gave a port the name, or the number, in them.
    unknown_names: Vec<TierRuleRef<'a>>,
}

/// The addresses at which the peer can talk with the subject; all, if none is known.
fn possible_addresses(peer: &Endpoint, subject: &Endpoint) -> AddressSet {
    if peer.addresses.is_empty() {
        return AddressSet::all();
    }
    if subject.addresses.is_empty() {
        return peer.addresses.clone();
    }
    let common = peer.addresses.of_the_families_of(&subject.addresses);
    if common.is_empty() {
        peer.addresses.clone()
    } else {
        common
    }
}

impl Policies {
    /// The decision of the NetworkPolicies about these ports, as the policies of the cluster leave
    /// it.
    pub(crate) fn with_tiers<'p>(
        &'p self,
        below: Decision<'p>,
        subject: &Endpoint,
        peer: &Endpoint,
        asked: &Ports,
    ) -> Decision<'p> {
        let Some(pod) = &subject.pod else {
            return below;
        };
        let selecting: Vec<&TierPolicy> = (self.tiers())
            .filter(|policy| policy.selects(pod) && !policy.rules(below.direction).is_empty())
            .collect();
        if selecting.is_empty() || below.why == Why::Itself {
            return below;
        }
        let question = Question {
            direction: below.direction,
            subject,
            peer,
            addresses: possible_addresses(peer, subject),
        };
        let everything = AddressPortSet::new(question.addresses.clone(), asked.clone());
        let admin = question.decide(&selecting, Tier::Admin, everything.clone());
        let mut accepted = vec![admin.accepted];
        let mut below = below;
        let (mut rules, mut unknown) = (admin.rules, admin.unknown);
        let mut unknown_names = admin.unknown_names;
        if below.why == Why::Rules {
            let open = question.region(&below.open);
            let by_policies = open.intersection(&admin.left);
            if by_policies.is_empty() {
                below.rules.clear();
            }
            if admin.left.is_empty() {
                below.depends_on_address.clear();
                below.depends_on_port_names.clear();
            }
            accepted.push(by_policies);
        } else {
            let baseline = question.decide(&selecting, Tier::Baseline, admin.left);
            accepted.extend([baseline.accepted, baseline.left]);
            rules.extend(baseline.rules);
            unknown.extend(baseline.unknown);
            unknown_names.extend(baseline.unknown_names);
        }
        let open = AddressPortSet::union_of(accepted.iter().flat_map(AddressPortSet::pieces));
        let closed = everything.difference(&open);
        unknown_names.retain(|rule| match rule.rule().map(|rule| rule.action) {
            Some(Action::Accept) => !closed.is_empty(),
            Some(Action::Deny) => !open.is_empty(),
            // It only keeps other rules from deciding.
            Some(Action::Pass) | None => !rules.is_empty(),
        });
        let why = if rules.is_empty() {
            below.why
        } else {
            Why::Tiers
        };
        Decision {
            why,
            open: question.part(open),
            closed: question.part(closed),
            tier_rules: rules,
            tiers_depend_on_address: unknown,
            tiers_depend_on_port_names: unknown_names,
            ..below
        }
    }
}

impl Question<'_> {
    /// What a part of an answer is, as addresses and ports.
    fn region(&self, part: &Part) -> AddressPortSet {
        match part {
            Part::Ports(ports) => AddressPortSet::new(self.addresses.clone(), ports.clone()),
            Part::AddressPortSet(region) => region.clone(),
        }
    }

    /// Addresses and ports as a part of an answer.
    fn part(&self, region: AddressPortSet) -> Part {
        // Of a peer whose address is not known, only the ports can be told apart.
        if self.peer.addresses.is_empty() {
            Part::Ports(region.ports())
        } else {
            Part::AddressPortSet(region)
        }
    }

    /// Asks the rules of a tier about what is left, in their order.
    fn decide<'a>(
        &self,
        policies: &[&'a TierPolicy],
        tier: Tier,
        asked: AddressPortSet,
    ) -> Decided<'a> {
        let mut decided = Decided {
            left: asked,
            ..Decided::default()
        };
        let mut passed = AddressPortSet::default();
        for &policy in policies.iter().filter(|policy| policy.tier == tier) {
            for (index, rule) in policy.rules(self.direction).iter().enumerate() {
                if decided.left.is_empty() {
                    break;
                }
                let rule_ref = TierRuleRef {
                    policy,
                    direction: self.direction,
                    index,
                };
                if self.peer.addresses.is_empty() && self.is_by_network(rule) {
                    decided.unknown.push(rule_ref);
                }
                if self.is_by_port_name(rule, &decided.left) {
                    decided.unknown_names.push(rule_ref);
                }
                let matched = self.matched(rule).intersection(&decided.left);
                if matched.is_empty() {
                    continue;
                }
                decided.left = decided.left.difference(&matched);
                let into = match rule.action {
                    Action::Accept => Some(&mut decided.accepted),
                    Action::Deny => None,
                    Action::Pass => Some(&mut passed),
                };
                if let Some(into) = into {
                    *into = AddressPortSet::union_of(into.pieces().chain(matched.pieces()));
                }
                decided.rules.push(rule_ref);
            }
        }
        let left = decided.left.pieces().chain(passed.pieces());
        decided.left = AddressPortSet::union_of(left);
        decided
    }

    /// Whether only the peer's address says if a rule is about it.
    fn is_by_network(&self, rule: &TierRule) -> bool {
        let has_network = rule.peers.iter().any(|peer| matches!(peer, Peer::Block(_)));
        has_network && !self.is_by_label(rule)
    }

    /// Whether only the names of the destination's ports say if a rule is about some of these.
    fn is_by_port_name(&self, rule: &TierRule, left: &AddressPortSet) -> bool {
        has_unknown_port_names(self.destination())
            && !rule.ports.unknown_among(&left.ports()).is_empty()
            && (!self.matched_addresses(rule).is_empty()
                || self.peer.addresses.is_empty() && self.is_by_network(rule))
    }

    fn destination(&self) -> &Endpoint {
        match self.direction {
            Direction::Egress => self.peer,
            Direction::Ingress => self.subject,
        }
    }

    fn is_by_label(&self, rule: &TierRule) -> bool {
        let pod = self.peer.pod.as_ref();
        let pod = pod.filter(|pod| pod.network != PodNetwork::Host);
        pod.is_some_and(|pod| rule.peers.iter().any(|peer| peer.selects(pod)))
    }

    /// What of the question a rule matches.
    fn matched(&self, rule: &TierRule) -> AddressPortSet {
        let addresses = self.matched_addresses(rule);
        if addresses.is_empty() {
            return AddressPortSet::default();
        }
        let ports = at_destination(&rule.ports, self.destination());
        AddressPortSet::new(addresses, ports.into_owned())
    }

    /// The addresses of the question at which a rule matches.
    fn matched_addresses(&self, rule: &TierRule) -> AddressSet {
        if self.is_by_label(rule) {
            self.addresses.clone()
        } else if self.peer.addresses.is_empty() {
            // The address is not known, so no network is known to hold it.
            AddressSet::default()
        } else {
            let blocks = rule.peers.iter().filter_map(|peer| match peer {
                Peer::Block(block) => Some(self.addresses.intersection(block)),
                Peer::Pods { .. } => None,
            });
            blocks.collect()
        }
    }
}
