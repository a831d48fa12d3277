//! Every pod that is not of a system, whatever its labels and its namespace, as one end of a
//! connection.
//!
//! Only the policies at the other end are asked. Others can change their own policies at any time,
//! so isolation that rests on them is none.

use std::borrow::Cow;

use crate::allowed::{AllowedTraffic, PodClass};
use crate::evaluate::{
    Decision, Part, Policies, RuleRef, Why, at_destination, has_unknown_port_names,
};
use crate::model::pod::Endpoint;
use crate::model::policy::{Direction, Peer, Rule};
use crate::model::tier::{Action, TierPolicy};
use crate::sets::addresses::AddressSet;
use crate::sets::bits::Bits;
use crate::sets::label_classes::{LabelsOf, classes, namespace_selector};
use crate::sets::ports::Ports;
use crate::sets::selector::Selector;
use crate::tiers::TierRuleRef;

/// The most classes of labels that are looked at to find a pod outside of some classes.
const MAX_CLASSES: usize = 4096;

/// Every pod but those of some classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherPods {
    /// The pods that are not meant.
    pub except: Vec<PodClass>,
    /// The addresses that the pods can have.
    pub addresses: AddressSet,
    /// Whether the question did not say the addresses.
    pub are_addresses_assumed: bool,
}

impl OtherPods {
    /// Whether there can be no such pod.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_some_of(&PodClass::any())
    }

    /// Whether a pod of the class can be among them.
    ///
    /// Exact by label classes. Where there are too many of them, the answer is yes.
    #[must_use]
    pub fn has_some_of(&self, class: &PodClass) -> bool {
        let own = namespace_selector(&class.namespaces);
        let namespaces: Vec<Selector> = (self.except.iter())
            .map(|exception| namespace_selector(&exception.namespaces))
            .collect();
        let namespaces: Vec<&Selector> = [&own].into_iter().chain(&namespaces).collect();
        let pods = self.except.iter().map(|exception| &exception.pods);
        let pods: Vec<&Selector> = [&class.pods].into_iter().chain(pods).collect();
        // The first selector is that of the class, the others are those of the exceptions.
        let of_class = Bits::of(pods.len(), [0]);
        let of = |selectors: &[&Selector], of| classes(selectors, of, &of_class, MAX_CLASSES);
        let (Some(namespaces), Some(pods)) = (
            of(&namespaces, LabelsOf::Namespaces),
            of(&pods, LabelsOf::Pods),
        ) else {
            return true;
        };
        namespaces.iter().any(|namespace| {
            pods.iter()
                .any(|pod| namespace.matched.and(&pod.matched) == of_class)
        })
    }

    /// What the policies of `subject` say about these pods in one direction.
    ///
    /// `open` is what some of the pods get. `closed` is what some of them do not get.
    #[must_use]
    pub fn decide<'p>(
        &self,
        policies: &'p Policies,
        direction: Direction,
        subject: &Endpoint,
        ports: &Ports,
    ) -> Decision<'p> {
        let asked = match direction {
            Direction::Ingress => at_destination(ports, subject).into_owned(),
            // The pods are not known, so neither are the names of their ports.
            Direction::Egress => ports.clone(),
        };
        let Some(pod) = &subject.pod else {
            return Decision::open(direction, Why::NotAPod, asked);
        };
        let isolating: Vec<_> = policies.isolating(pod, direction).collect();
        if isolating.is_empty() {
            return self.decide_not_isolated(policies, direction, subject, asked);
        }
        let mut open: Vec<Ports> = Vec::new();
        let mut rules = Vec::new();
        let mut depends_on_port_names = Vec::new();
        for &policy in &isolating {
            let list = policy.rules(direction).unwrap_or_default();
            for (index, rule) in list.iter().enumerate() {
                if !self.is_let_through(rule, subject) {
                    continue;
                }
                let rule_ref = RuleRef {
                    policy,
                    direction,
                    index,
                };
                let ports = ports_of(&rule.ports, direction, subject);
                if has_unknown_names(direction, subject) && !ports.unknown_among(&asked).is_empty()
                {
                    depends_on_port_names.push(rule_ref);
                }
                let ports = ports.intersection(&asked);
                if !ports.is_empty() {
                    open.push(ports);
                    rules.push(rule_ref);
                }
            }
        }
        let tiers = TierPorts::of(self, policies, direction, subject, &asked);
        open.push(tiers.open);
        let sure = self.sure(&policies.allowance(pod, direction));
        let sure = sure.difference(&tiers.closed);
        Decision {
            direction,
            why: Why::Rules,
            open: Part::Ports(Ports::union_of(&open)),
            closed: Part::Ports(asked.difference(&sure)),
            policies: isolating,
            rules,
            depends_on_address: Vec::new(),
            depends_on_port_names,
            tier_rules: Vec::new(),
            tiers_depend_on_address: Vec::new(),
            tiers_depend_on_port_names: tiers.depends_on_port_names,
        }
    }

    /// What they get of a pod that no NetworkPolicy isolates: everything, but for what a policy of
    /// the whole cluster denies to some of them.
    fn decide_not_isolated<'p>(
        &self,
        policies: &'p Policies,
        direction: Direction,
        subject: &Endpoint,
        asked: Ports,
    ) -> Decision<'p> {
        let tiers = TierPorts::of(self, policies, direction, subject, &asked);
        let closed = asked.intersection(&tiers.closed);
        let why = if closed.is_empty() {
            Why::NotIsolated
        } else {
            Why::Tiers
        };
        Decision {
            closed: Part::Ports(closed),
            tier_rules: tiers.closing,
            tiers_depend_on_port_names: tiers.depends_on_port_names,
            ..Decision::open(direction, why, asked)
        }
    }

    /// What these pods say about a connection with others: nothing, see the module's introduction.
    #[must_use]
    pub fn own_decision<'p>(direction: Direction, ports: &Ports) -> Decision<'p> {
        Decision::open(direction, Why::OtherPods, ports.clone())
    }

    /// Whether a rule lets some of the pods through, by a label or by an address.
    fn is_let_through(&self, rule: &Rule, subject: &Endpoint) -> bool {
        (rule.peers.as_deref()).is_none_or(|peers| self.are_some_of(peers, subject))
    }

    /// Whether some of the pods are among the peers, by a label or by an address.
    fn are_some_of(&self, peers: &[Peer], subject: &Endpoint) -> bool {
        let mut addresses = self.addresses.clone();
        if !subject.addresses.is_empty() {
            addresses = addresses.of_the_families_of(&subject.addresses);
        }
        peers.iter().any(|peer| match peer {
            Peer::Block(block) => !block.intersection(&addresses).is_empty(),
            Peer::Pods { namespaces, pods } => self.has_some_of(&PodClass {
                namespaces: namespaces.clone(),
                pods: pods.clone(),
            }),
        })
    }

    /// The ports that each of the pods surely gets: by the labels that every pod has, or at each
    /// address.
    fn sure(&self, allowed: &AllowedTraffic) -> Ports {
        let by_labels = allowed.ports_for(&PodClass::any());
        by_labels.union(&allowed.at_all_of(&self.addresses))
    }
}

/// The ports of a rule as their destination names them: the subject, or these pods, which are not
/// known.
fn ports_of<'r>(ports: &'r Ports, direction: Direction, subject: &Endpoint) -> Cow<'r, Ports> {
    match direction {
        Direction::Ingress => at_destination(ports, subject),
        Direction::Egress => Cow::Borrowed(ports),
    }
}

fn has_unknown_names(direction: Direction, subject: &Endpoint) -> bool {
    direction == Direction::Egress || has_unknown_port_names(subject)
}

/// The ports that policies of the whole cluster open and close. A rule may be about some of these
/// pods, so it counts both ways.
struct TierPorts<'p> {
    open: Ports,
    closed: Ports,
    /// The rules that close some of the ports that are asked for.
    closing: Vec<TierRuleRef<'p>>,
    /// Rules that would open or close more if a port had the name in them.
    depends_on_port_names: Vec<TierRuleRef<'p>>,
}

impl<'p> TierPorts<'p> {
    fn of(
        others: &OtherPods,
        policies: &'p Policies,
        direction: Direction,
        subject: &Endpoint,
        asked: &Ports,
    ) -> Self {
        let is_unknown = has_unknown_names(direction, subject);
        let pod = subject.pod.as_ref();
        let selects = |policy: &&TierPolicy| pod.is_some_and(|pod| policy.selects(pod));
        let (mut open, mut closed) = (Vec::new(), Vec::new());
        let (mut closing, mut by_name) = (Vec::new(), Vec::new());
        for policy in policies.tiers().filter(selects) {
            for (index, rule) in policy.rules(direction).iter().enumerate() {
                if !others.are_some_of(&rule.peers, subject) {
                    continue;
                }
                let rule_ref = TierRuleRef {
                    policy,
                    direction,
                    index,
                };
                let ports = ports_of(&rule.ports, direction, subject);
                if rule.action == Action::Deny && !ports.intersection(asked).is_empty() {
                    closing.push(rule_ref);
                }
                match rule.action {
                    Action::Accept => open.push(ports.intersection(asked)),
                    Action::Deny if is_unknown => closed.push(ports.with_any_number_for_names()),
                    Action::Deny => closed.push(ports.as_ref().clone()),
                    Action::Pass => continue,
                }
                if is_unknown && !ports.unknown_among(asked).is_empty() {
                    by_name.push(rule_ref);
                }
            }
        }
        Self {
            open: Ports::union_of(&open),
            closed: Ports::union_of(&closed),
            closing,
            depends_on_port_names: by_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::Namespaces;

    fn selector(yaml: &str) -> Selector {
        Selector::read(Some(&serde_yaml::from_str(yaml).unwrap())).unwrap()
    }

    fn class(namespaces: Namespaces, pods: &str) -> PodClass {
        PodClass {
            namespaces,
            pods: selector(pods),
        }
    }

    #[test]
    fn a_class_is_among_them_unless_the_exceptions_cover_it() {
        let own = |pods| class(Namespaces::Own("a".to_owned()), pods);
        let anywhere = |pods| class(Namespaces::Labelled(Selector::default()), pods);
        let others = OtherPods {
            except: vec![
                own("{matchLabels: {release: x}}"),
                own("{matchLabels: {managed-by: x}}"),
                anywhere("{matchLabels: {app: loft}}"),
            ],
            addresses: AddressSet::default(),
            are_addresses_assumed: true,
        };
        let not_in = "{matchExpressions: [{key: app, operator: NotIn, values: [loft]}]}";
        let only_in = "{matchExpressions: [{key: release, operator: In, values: [x, y]}]}";
        for (class, is_among) in [
            (own("{}"), true),
            (own("{matchLabels: {release: x}}"), false),
            (own("{matchLabels: {release: x, z: z}}"), false),
            (own("{matchLabels: {release: y}}"), true),
            (own(only_in), true),
            (anywhere("{matchLabels: {release: x}}"), true),
            (anywhere("{matchLabels: {app: loft}}"), false),
            (own("{matchLabels: {app: loft}}"), false),
            (anywhere(not_in), true),
            (
                own(
                    "{matchExpressions: [{key: a, operator: Exists}, {key: a, operator: DoesNotExist}]}",
                ),
                false,
            ),
            (
                class(
                    Namespaces::Labelled(selector(
                        "{matchLabels: {kubernetes.io/metadata.name: a}}",
                    )),
                    "{matchLabels: {managed-by: x}}",
                ),
                false,
            ),
            (
                class(
                    Namespaces::Labelled(selector("{matchLabels: {team: a}}")),
                    "{matchLabels: {managed-by: x}}",
                ),
                true,
            ),
        ] {
            assert_eq!(others.has_some_of(&class), is_among, "{class}");
        }
        assert!(!others.is_empty());
        let nobody = OtherPods {
            except: vec![
                anywhere("{matchExpressions: [{key: a, operator: Exists}]}"),
                anywhere("{matchExpressions: [{key: a, operator: DoesNotExist}]}"),
            ],
            ..others
        };
        assert!(nobody.is_empty());
    }
}
