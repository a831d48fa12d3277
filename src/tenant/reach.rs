//! What the pods of a tenant reach, and what reaches them, at most: exact for each pod or address at
//! the other end.
//!
//! A tenant chooses labels, so the policies that select its pod, and the rules of others that name
//! it, are chosen with them. Each way through is one rule at either end and a selector for the
//! labels that fit both; the most is the union of the ways whose selector some labels match. So the
//! labels are never enumerated, but where they must escape every policy.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::vcluster::actors::MANAGED_BY;
use netpol::evaluate::{Policies, RuleRef};
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::{Direction, Namespaces, Peer, Policy, Rule};
use netpol::sets::addresses::{AddressSet, parse_net};
use netpol::sets::bits::Bits;
use netpol::sets::label_classes::{LabelsOf, classes};
use netpol::sets::ports::Ports;
use netpol::sets::selector::{Labels, Selector};

/// The label with the tenant's own namespace of a pod. The tenant can create a namespace of any
/// name.
pub const VIRTUAL_NAMESPACE: &str = "vcluster.loft.sh/namespace";

/// The labels that no pod of a tenant can have.
pub const NEVER: [&str; 2] = ["release", "vcluster.loft.sh/controlled-by"];

/// The most classes of labels that are looked at for a way past all policies.
const MOST_CLASSES: usize = 4096;

/// The most pairs of rules that are compared for one peer.
const MOST_PAIRS: usize = 65_536;

/// The pods that a tenant can create in one namespace of the host.
#[derive(Debug)]
pub struct Space<'p> {
    policies: &'p Policies,
    namespace: String,
    namespace_labels: NamespaceLabels,
    /// What all labels of its pods match, and only these.
    pods: Selector,
    /// A pod with no label but those that it must have.
    plain: Arc<Pod>,
    egress: Own<'p>,
    ingress: Own<'p>,
    /// Whether everything could be compared. Else the answer may be too large, never too small.
    is_exact: Cell<bool>,
}

/// Who decides about the labels of a namespace.
#[derive(Debug, Clone)]
pub enum NamespaceLabels {
    /// The host: they are known.
    Known(Arc<Labels>),
    /// The tenant, whose namespace is synced with its labels; only the name is fixed.
    Chosen,
}

/// The policies that can select a pod of the space in one direction.
#[derive(Debug)]
struct Own<'p> {
    policies: Vec<&'p Policy>,
    freedom: Freedom,
}

/// Whether a pod can be without restriction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freedom {
    /// Some policy selects every pod of the space.
    Never,
    /// Some labels may match no policy.
    ByLabels,
    /// Every pod: no policy selects any, or the tenant writes a policy that opens everything.
    Always,
}

/// One end of a way: the labels that it needs, the ports that it opens, and the rule; none where no
/// policy restricts that end.
#[derive(Debug, Clone)]
struct Half<'p> {
    need: Selector,
    ports: Ports,
    rule: Option<RuleRef<'p>>,
    /// Whether the labels must match no policy of the space.
    is_escape: bool,
}

/// A way for a connection to or from a pod of the tenant.
#[derive(Debug, Clone)]
pub struct Way<'p> {
    /// Labels of a pod that has the way.
    pub labels: Labels,
    /// The ports.
    pub ports: Ports,
    /// The rules that open it, the tenant's end first; none for an end without restriction.
    pub rules: [Option<RuleRef<'p>>; 2],
}

/// The selector of a tenant's pods.
#[must_use]
pub fn pods_of(name: &str) -> Selector {
    let ask = |key: &str, operator: &str| LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: None,
    };
    let never = NEVER.iter().map(|key| ask(key, "DoesNotExist"));
    let selector = LabelSelector {
        match_labels: Some([(MANAGED_BY.to_owned(), name.to_owned())].into()),
        match_expressions: Some(never.chain([ask(VIRTUAL_NAMESPACE, "Exists")]).collect()),
    };
    Selector::read(Some(&selector)).unwrap_or_default()
}

impl<'p> Space<'p> {
    /// The pods of the tenant `name` in a namespace of the host. `is_free` says whether the tenant's
    /// own NetworkPolicies come to the host; `candidates` are the policies that can select its pods.
    #[must_use]
    pub fn new(
        policies: &'p Policies,
        name: &str,
        namespace: &str,
        namespace_labels: NamespaceLabels,
        is_free: bool,
        candidates: &[&'p Policy],
    ) -> Self {
        let pods = pods_of(name);
        let own = |direction| Own::of(&pods, direction, is_free, candidates);
        let (egress, ingress) = (own(Direction::Egress), own(Direction::Ingress));
        let labels = plain_labels(name, candidates);
        let known = match &namespace_labels {
            NamespaceLabels::Known(labels) => Arc::clone(labels),
            NamespaceLabels::Chosen => Arc::new(Selector::namespace(namespace).fixed_labels()),
        };
        let plain = Pod {
            namespace: namespace.to_owned(),
            namespace_labels: known,
            labels,
            ..Pod::default()
        };
        Self {
            policies,
            namespace: namespace.to_owned(),
            namespace_labels,
            pods,
            plain: Arc::new(plain),
            egress,
            ingress,
            is_exact: Cell::new(true),
        }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A pod with no label but those that it must have.
    #[must_use]
    pub fn plain(&self) -> &Arc<Pod> {
        &self.plain
    }

    /// Whether a pod is one that the tenant can create here.
    #[must_use]
    pub fn has(&self, pod: &Pod) -> bool {
        pod.namespace == self.namespace && self.pods.matches(&pod.labels)
    }

    /// Whether everything could be compared so far. Else an answer may be too large, never too
    /// small.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.is_exact.get()
    }

    /// Whether a pod is one of the tenant's here, by the label that all of them have.
    #[must_use]
    pub fn owns(&self, pod: &Pod) -> bool {
        pod.namespace == self.namespace
            && pod.labels.get(MANAGED_BY) == self.plain.labels.get(MANAGED_BY)
    }

    /// Notes that something was left out of a comparison.
    pub(super) fn note_incomplete(&self) {
        self.is_exact.set(false);
    }

    /// The policies that can select a pod of the tenant in a direction.
    #[must_use]
    pub fn own_policies(&self, direction: Direction) -> &[&'p Policy] {
        &self.own(direction).policies
    }

    /// Whether every pod is without restriction, or the tenant can make it so.
    #[must_use]
    pub fn is_free(&self, direction: Direction) -> bool {
        self.own(direction).freedom == Freedom::Always
    }

    /// Whether a pod can be without restriction, by some labels or whatever they are.
    #[must_use]
    pub fn is_unrestricted(&self, direction: Direction) -> bool {
        self.escape(direction, &Selector::default()).is_some()
    }

    fn own(&self, direction: Direction) -> &Own<'p> {
        match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        }
    }

    /// Labels of a pod that matches a selector too, and that can be written in a manifest.
    #[must_use]
    pub fn labels_for(&self, need: &Selector) -> Option<Labels> {
        self.pods.and(need).example()
    }

    /// Labels with which a pod that matches `need` is selected by no policy of the direction.
    #[must_use]
    pub fn escape(&self, direction: Direction, need: &Selector) -> Option<Labels> {
        let own = self.own(direction);
        match own.freedom {
            Freedom::Never => None,
            Freedom::Always => self.labels_for(need),
            Freedom::ByLabels => {
                let wanted = self.pods.and(need);
                let selectors = own.policies.iter().map(|policy| &policy.selector);
                match unselected(&wanted, selectors) {
                    Unselected::Labels(labels) => Some(labels),
                    Unselected::None => None,
                    Unselected::Unknown => {
                        self.is_exact.set(false);
                        wanted.example()
                    }
                }
            }
        }
    }

    /// Whether a peer of a rule means pods of the tenant, and for which labels.
    #[must_use]
    pub fn need_of(&self, namespaces: &Namespaces, pods: &Selector) -> Option<Selector> {
        let is_here = match (namespaces, &self.namespace_labels) {
            (Namespaces::Own(name), _) => *name == self.namespace,
            (Namespaces::Labelled(selector), NamespaceLabels::Known(labels)) => {
                selector.matches(labels)
            }
            (Namespaces::Labelled(selector), NamespaceLabels::Chosen) => selector
                .and(&Selector::namespace(&self.namespace))
                .can_match_namespace(),
        };
        (is_here && self.pods.and(pods).can_match()).then(|| pods.clone())
    }

    /// All ports that are open between some pod of the tenant and a peer. Where the peer has
    /// several addresses, those that are open at one of them.
    #[must_use]
    pub fn most(&self, direction: Direction, peer: &Endpoint) -> Ports {
        let ways = self.ways(direction, peer, &Ports::default());
        Ports::union_of(ways.iter().map(|way| &way.ports))
    }

    /// The ports that are open between the plain pod and a peer.
    #[must_use]
    pub fn plain_ports(&self, direction: Direction, peer: &Endpoint) -> Ports {
        let fits = |half: &Half<'p>| half.need.matches(&self.plain.labels);
        let own = self.own(direction).policies.iter();
        let is_isolated = own.clone().any(|p| p.selector.matches(&self.plain.labels));
        let mine = self.mine(direction, peer).into_iter();
        let mine: Vec<Half<'p>> = mine.filter(|half| !half.is_escape && fits(half)).collect();
        let mine = if is_isolated {
            Ports::union_of(mine.iter().map(|half| &half.ports))
        } else {
            Ports::all()
        };
        let theirs = self.theirs(direction, peer).into_iter();
        let theirs: Vec<Half<'p>> = theirs.filter(fits).collect();
        mine.intersection(&Ports::union_of(theirs.iter().map(|half| &half.ports)))
    }

    /// The ways to a peer, or from it, that open more than `known`; each opens something that those
    /// before it don't.
    #[must_use]
    pub fn ways(&self, direction: Direction, peer: &Endpoint, known: &Ports) -> Vec<Way<'p>> {
        let mine = self.mine(direction, peer);
        let theirs = self.theirs(direction, peer);
        let mut ways = Vec::new();
        let mut open = known.clone();
        let mut left = MOST_PAIRS;
        for my in &mine {
            for their in &theirs {
                let ports = my.ports.intersection(&their.ports);
                if ports.difference(&open).is_empty() {
                    continue;
                }
                let need = my.need.and(&their.need);
                left = left.saturating_sub(1);
                let labels = if left == 0 {
                    // Too many to compare: it is assumed that the labels fit.
                    self.is_exact.set(false);
                    Some(self.plain.labels.clone())
                } else if my.is_escape {
                    self.escape(direction, &need)
                } else {
                    self.labels_for(&need)
                };
                if let Some(labels) = labels {
                    open = open.union(&ports);
                    let rules = [my.rule, their.rule];
                    ways.push(Way {
                        labels,
                        ports,
                        rules,
                    });
                }
            }
        }
        ways
    }

    /// The tenant's end. What the plain pod has comes first.
    fn mine(&self, direction: Direction, peer: &Endpoint) -> Vec<Half<'p>> {
        let own = self.own(direction);
        let mut halves = Vec::new();
        if own.freedom != Freedom::Never {
            halves.push(Half {
                need: Selector::default(),
                ports: Ports::all(),
                rule: None,
                is_escape: true,
            });
        }
        for policy in &own.policies {
            let rules = policy.rules(direction).unwrap_or_default();
            for (index, rule) in rules.iter().enumerate() {
                if is_for(rule, peer) {
                    halves.push(Half {
                        need: policy.selector.clone(),
                        ports: ports_of(direction, rule, peer),
                        rule: Some(RuleRef {
                            policy,
                            direction,
                            index,
                        }),
                        is_escape: false,
                    });
                }
            }
        }
        halves.sort_by_key(|half| (!half.need.matches(&self.plain.labels), half.need.clone()));
        halves
    }

    /// The peer's end: what it lets in from pods of the tenant, or out to them.
    fn theirs(&self, direction: Direction, peer: &Endpoint) -> Vec<Half<'p>> {
        let open = Half {
            need: Selector::default(),
            ports: Ports::all(),
            rule: None,
            is_escape: false,
        };
        let Some(pod) = &peer.pod else {
            return vec![open];
        };
        let other = opposite(direction);
        let mut halves = Vec::new();
        let mut is_isolated = false;
        for policy in self.policies.isolating(pod, other) {
            is_isolated = true;
            let rules = policy.rules(other).unwrap_or_default();
            for (index, rule) in rules.iter().enumerate() {
                let ports = ports_of(direction, rule, peer);
                let rule_ref = RuleRef {
                    policy,
                    direction: other,
                    index,
                };
                for need in self.needs_of(rule) {
                    halves.push(Half {
                        need,
                        ports: ports.clone(),
                        rule: Some(rule_ref),
                        is_escape: false,
                    });
                }
            }
        }
        if !is_isolated {
            return vec![open];
        }
        halves.sort_by_key(|half| (!half.need.matches(&self.plain.labels), half.need.clone()));
        halves
    }

    /// For which labels a rule of somebody else means pods of the tenant. Blocks mean addresses,
    /// which a tenant can't choose.
    fn needs_of(&self, rule: &Rule) -> Vec<Selector> {
        let Some(peers) = &rule.peers else {
            return vec![Selector::default()];
        };
        let needs = peers.iter().filter_map(|peer| match peer {
            Peer::Pods { namespaces, pods } => self.need_of(namespaces, pods),
            Peer::Block(block) => covers_a_family(block).then(Selector::default),
        });
        needs.collect()
    }
}

impl<'p> Own<'p> {
    fn of(pods: &Selector, direction: Direction, is_free: bool, all: &[&'p Policy]) -> Self {
        let policies = all.iter().copied().filter(|policy| {
            policy.rules(direction).is_some() && policy.selector.and(pods).can_match()
        });
        let policies: Vec<&Policy> = policies.collect();
        let freedom = if is_free || policies.is_empty() {
            Freedom::Always
        } else if policies
            .iter()
            .any(|policy| pods.is_within(&policy.selector))
        {
            Freedom::Never
        } else {
            Freedom::ByLabels
        };
        Self { policies, freedom }
    }
}

/// The other end's direction.
pub(super) fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Egress => Direction::Ingress,
        Direction::Ingress => Direction::Egress,
    }
}

/// The labels that every pod of the tenant has, and a namespace that no selector names.
fn plain_labels(name: &str, policies: &[&Policy]) -> Labels {
    let named: BTreeSet<&str> = (policies.iter())
        .flat_map(|policy| policy.selector.named_values())
        .filter(|(key, _)| *key == VIRTUAL_NAMESPACE)
        .flat_map(|(_, values)| values)
        .collect();
    let fresh = (0..).map(|i| format!("any-{i}"));
    let mut fresh = std::iter::once("any".to_owned()).chain(fresh);
    let namespace = fresh.find(|value| !named.contains(value.as_str()));
    Labels::from([
        (MANAGED_BY.to_owned(), name.to_owned()),
        (VIRTUAL_NAMESPACE.to_owned(), namespace.unwrap_or_default()),
    ])
}

/// Whether a rule means the peer. A peer without known addresses is meant by a block only where it
/// has every address of a family.
fn is_for(rule: &Rule, peer: &Endpoint) -> bool {
    let Some(peers) = &rule.peers else {
        return true;
    };
    peers.iter().any(|meant| match (meant, &peer.pod) {
        (Peer::Block(block), _) if peer.addresses.is_empty() => covers_a_family(block),
        (Peer::Block(block), _) => !block.intersection(&peer.addresses).is_empty(),
        (Peer::Pods { .. }, Some(pod)) => meant.selects(pod),
        (Peer::Pods { .. }, None) => false,
    })
}

pub(super) fn covers_a_family(block: &AddressSet) -> bool {
    ["0.0.0.0/0", "::/0"].into_iter().any(|family| {
        let family: AddressSet = parse_net(family).into_iter().collect();
        family.difference(block).is_empty()
    })
}

/// The ports of a rule at the destination. A tenant gives the ports of its own pods any names.
fn ports_of(direction: Direction, rule: &Rule, peer: &Endpoint) -> Ports {
    match (direction, &peer.pod) {
        (Direction::Ingress, _) => rule.ports.with_any_number_for_names(),
        (Direction::Egress, None) => rule.ports.resolved(&[]),
        (Direction::Egress, Some(pod)) => match &pod.ports {
            Some(known) => rule.ports.resolved(known),
            None => rule.ports.clone(),
        },
    }
}

/// What was found when labels were looked for that no selector matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unselected {
    /// These.
    Labels(Labels),
    /// Every label set is matched by one of them.
    None,
    /// There are too many combinations to say.
    Unknown,
}

/// Labels that `wanted` matches and none of the selectors.
pub(super) fn unselected<'s>(
    wanted: &'s Selector,
    selectors: impl Iterator<Item = &'s Selector>,
) -> Unselected {
    let all: Vec<&Selector> = std::iter::once(wanted).chain(selectors).collect();
    let first = Bits::of(all.len(), [0]);
    match classes(&all, LabelsOf::Pods, &first, MOST_CLASSES) {
        None => Unselected::Unknown,
        Some(found) => {
            let class = found.into_iter().find(|class| class.matched == first);
            class.map_or(Unselected::None, |class| {
                Unselected::Labels(netpol::sets::selector::writable(class.labels, &all))
            })
        }
    }
}
