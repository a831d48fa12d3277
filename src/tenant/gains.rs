//! What a tenant gains by the labels of a pod, beyond what its plain pods have.
//!
//! A gain has a witness, the labels of a pod, and the rules at both ends that open it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Hole;
use super::needs::{Need, Needs, PolicyIndex};
use super::reach::{Space, Unselected, covers_a_family, opposite, unselected};
use crate::vcluster::actors::MANAGED_BY;
use netpol::allowed::{AllowRule, AllowedTraffic, Known, PodClass};
use netpol::evaluate::{Policies, RuleRef};
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::{Direction, Namespaces, Origin, Peer, Policy};
use netpol::sets::addresses::AddressSet;
use netpol::sets::label_classes::namespace_selector;
use netpol::sets::ports::Ports;
use netpol::sets::selector::{Labels, Selector};

/// The most pods that are tried for one rule at each end.
const MOST_TRIED: usize = 64;

/// What a pod gains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gain {
    /// To the peer, or from it.
    pub direction: Direction,
    /// Who is at the other end.
    pub peer: GainedPeer,
    /// On which ports.
    pub ports: Ports,
    /// The rules that open it, by the names of their policies; none where nothing restricts an end.
    pub rules: Vec<String>,
    /// Whether a rule among them is built in, so that only an option of the config narrows it.
    pub is_built_in: bool,
}

/// Whether a rule is there without a user who wrote it.
fn is_built_in(rule: &RuleRef<'_>) -> bool {
    let origin = rule.rule().and_then(|rule| rule.origin.as_ref());
    matches!(origin, Some(Origin::BuiltIn | Origin::Default(_)))
}

/// The other end of a gain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GainedPeer {
    /// Everyone, unless the other end's own policies say otherwise.
    Everyone,
    /// Addresses.
    Addresses(AddressSet),
    /// Pods that no policy isolates.
    Pods(PodClass),
    /// Pods that a policy isolates, and that let the tenant in or out.
    PodsOf {
        /// The pods.
        pods: PodClass,
        /// How many more policies have the same rule.
        others: usize,
        /// One of the pods.
        example: Arc<Pod>,
    },
}

/// The rules of a policy, each peer by itself.
pub(super) fn allow_rules(
    policy: &Policy,
    direction: Direction,
) -> impl Iterator<Item = AllowRule<'_>> {
    let rules = policy.rules(direction).unwrap_or_default().iter();
    rules.enumerate().flat_map(move |(index, rule)| {
        let rule_ref = RuleRef {
            policy,
            direction,
            index,
        };
        let allow = move |peer| AllowRule {
            rule: Some(rule_ref),
            peer,
            ports: rule.ports.clone(),
        };
        match &rule.peers {
            None => vec![allow(None)],
            Some(peers) => peers.iter().map(|peer| allow(Some(peer))).collect(),
        }
    })
}

/// The gains of one space, those of the same labels together. `others` are all policies by namespace.
pub(super) fn by_labels<'p>(
    model: &'p ClusterModel,
    needs: &Needs<'p>,
    others: &ByNamespace<'p>,
    space: &Space<'p>,
    all: &[Space<'p>],
) -> Vec<Hole> {
    let mut found = Found {
        model,
        others,
        space,
        all,
        by_labels: BTreeMap::new(),
        tried: BTreeSet::new(),
    };
    for direction in [Direction::Egress, Direction::Ingress] {
        if !space.is_free(direction) {
            found.escape(direction);
            found.own_rules(direction);
        }
        found.rules_of_others(direction, needs);
    }
    let by_labels = found.by_labels.into_iter();
    by_labels
        .map(|(labels, gains)| Hole::Labels {
            namespace: space.namespace().to_owned(),
            labels,
            gains,
        })
        .collect()
}

/// Policies by their namespace and by whose pods they select.
#[derive(Default)]
pub(super) struct ByNamespace<'p> {
    policies: BTreeMap<&'p str, PolicyIndex<'p>>,
}

impl<'p> ByNamespace<'p> {
    pub(super) fn of(policies: &'p Policies) -> Self {
        let mut found = Self::default();
        for policy in policies.iter() {
            let own = found.policies.entry(policy.namespace.as_str());
            own.or_default().push(policy);
        }
        found
    }

    /// The policies of a direction whose pods can be in a class.
    fn policies_for(&self, class: &PodClass, direction: Direction) -> Vec<&'p Policy> {
        let indices: Vec<&PolicyIndex<'p>> = match &class.namespaces {
            Namespaces::Own(name) => self.policies.get(name.as_str()).into_iter().collect(),
            labelled @ Namespaces::Labelled(_) => (self.policies.iter())
                .filter(|(name, _)| can_be(labelled, name))
                .map(|(_, index)| index)
                .collect(),
        };
        let policies = indices
            .into_iter()
            .flat_map(|i| i.policies_for(&class.pods));
        policies
            .filter(|policy| policy.rules(direction).is_some())
            .collect()
    }
}

struct Found<'a, 'p> {
    model: &'p ClusterModel,
    others: &'a ByNamespace<'p>,
    space: &'a Space<'p>,
    /// All spaces of the tenant: its own pods are no gain.
    all: &'a [Space<'p>],
    by_labels: BTreeMap<Labels, Vec<Gain>>,
    /// The pods that were tried, by direction, namespace and labels.
    tried: BTreeSet<(Direction, String, Labels)>,
}

impl<'p> Found<'_, 'p> {
    fn push(&mut self, labels: Labels, gain: Gain) {
        self.by_labels.entry(labels).or_default().push(gain);
    }

    /// Labels with which no policy selects a pod, where the plain pod is selected.
    fn escape(&mut self, direction: Direction) {
        if let Some(labels) = self.space.escape(direction, &Selector::default()) {
            let plain = self.space.plain();
            let known = self.model.policies().allowance(plain, direction);
            let more = AllowedTraffic::everything().difference(&known);
            self.own_gain(direction, &labels, &more, None);
        }
    }

    /// What the policies open that select a pod by labels which the tenant chooses.
    fn own_rules(&mut self, direction: Direction) {
        let plain = self.space.plain();
        let known = Known::from(self.model.policies().allowance(plain, direction));
        let policies = self.space.own_policies(direction).to_vec();
        for policy in policies {
            if policy.selector.matches(&plain.labels) {
                continue;
            }
            let Some(labels) = self.space.labels_for(&policy.selector) else {
                continue;
            };
            for allowed in allow_rules(policy, direction) {
                let more: AllowedTraffic = std::iter::once(&allowed).collect();
                let more = more.difference_from(&known);
                self.own_gain(direction, &labels, &more, allowed.rule.as_ref());
            }
        }
    }

    fn own_gain(
        &mut self,
        direction: Direction,
        labels: &Labels,
        more: &AllowedTraffic,
        rule: Option<&RuleRef<'_>>,
    ) {
        let gain = |peer, ports: &Ports| Gain {
            direction,
            peer,
            ports: ports.clone(),
            rules: rule.map(RuleRef::name).into_iter().collect(),
            is_built_in: rule.is_some_and(is_built_in),
        };
        let everyone = more.everyone();
        if !everyone.is_empty() {
            self.push(labels.clone(), gain(GainedPeer::Everyone, everyone));
        }
        for (addresses, ports) in more.addresses().pieces() {
            let ports = ports.difference(everyone);
            if !ports.is_empty() {
                let peer = GainedPeer::Addresses(addresses.clone());
                self.push(labels.clone(), gain(peer, &ports));
            }
        }
        for (class, ports) in more.pods() {
            let isolating = self.others.policies_for(class, opposite(direction));
            if self.is_open_at_other_end(class, &isolating) {
                self.push(labels.clone(), gain(GainedPeer::Pods(class.clone()), ports));
            }
            // The pods of the class that policies isolate at the other end.
            self.try_all(direction, isolating, class);
        }
    }

    /// Whether some pod of a class is isolated at its own end by none of the policies that can
    /// select it there.
    fn is_open_at_other_end(&self, class: &PodClass, isolating: &[&Policy]) -> bool {
        match &class.namespaces {
            Namespaces::Own(_) => {
                let selectors = isolating.iter().map(|policy| &policy.selector);
                match unselected(&class.pods, selectors) {
                    Unselected::None => false,
                    Unselected::Labels(_) => true,
                    Unselected::Unknown => {
                        self.space.note_incomplete();
                        true
                    }
                }
            }
            // There can be a namespace of which the stream says nothing.
            Namespaces::Labelled(_) => true,
        }
    }

    fn try_all(&mut self, direction: Direction, policies: Vec<&'p Policy>, class: &PodClass) {
        if policies.len() > MOST_TRIED {
            self.space.note_incomplete();
        }
        let policies = policies.into_iter().take(MOST_TRIED);
        let policies = policies.filter(|policy| can_be(&class.namespaces, &policy.namespace));
        // Pods that a policy selects and the class names come first. A pod that has the labels of
        // both only by chance is of interest where none of the others is a gain.
        let (related, unrelated): (Vec<&Policy>, Vec<&Policy>) = policies.partition(|policy| {
            policy.selector.is_within(&class.pods) || class.pods.is_within(&policy.selector)
        });
        let mut is_gain = false;
        for policy in related {
            is_gain |= self.try_pods(direction, policy, &class.pods, 0);
        }
        for policy in unrelated {
            if is_gain {
                return;
            }
            is_gain = self.try_pods(direction, policy, &class.pods, 0);
        }
    }

    /// What others let in or out for labels that the tenant chooses.
    fn rules_of_others(&mut self, direction: Direction, needs: &Needs<'p>) {
        let plain = Arc::clone(self.space.plain());
        let name = plain.labels.get(MANAGED_BY).cloned().unwrap_or_default();
        let namespace = self.space.namespace().to_owned();
        let classes = self.classes_of_own_rules(direction);
        for need in needs.for_tenant(opposite(direction), &namespace, &name) {
            let is_given = need.pods.matches(&plain.labels);
            if is_given || self.space.need_of(need.namespaces, need.pods).is_none() {
                continue;
            }
            let Some(classes) = &classes else {
                self.first_of(direction, need);
                continue;
            };
            for class in classes {
                self.try_all(direction, need.policies_for(&class.pods), class);
            }
        }
    }

    /// Tries the pods of the policies that have a rule, until one of them is a gain.
    fn first_of(&mut self, direction: Direction, need: &Need<'p>) {
        let others = need.policies.len().saturating_sub(1);
        for policy in need.policies.iter().take(MOST_TRIED) {
            if self.try_pods(direction, policy, &Selector::default(), others) {
                return;
            }
        }
        if need.policies.len() > MOST_TRIED {
            self.space.note_incomplete();
        }
    }

    /// Whom the tenant's own end names, whatever the labels; `None` for everyone.
    fn classes_of_own_rules(&self, direction: Direction) -> Option<BTreeSet<PodClass>> {
        if self.space.is_unrestricted(direction) {
            return None;
        }
        let mut classes = BTreeSet::new();
        let policies = self.space.own_policies(direction).iter();
        for allowed in policies.flat_map(|policy| allow_rules(policy, direction)) {
            match allowed.peer {
                Some(Peer::Pods { namespaces, pods }) => {
                    classes.insert(PodClass {
                        namespaces: namespaces.clone(),
                        pods: pods.clone(),
                    });
                }
                Some(Peer::Block(block)) if !covers_a_family(block) => {}
                Some(Peer::Block(_)) | None => return None,
            }
        }
        Some(classes)
    }

    /// Tries a pod that a policy isolates and that a selector matches. Says whether it is a gain.
    fn try_pods(
        &mut self,
        direction: Direction,
        policy: &'p Policy,
        pods: &Selector,
        others: usize,
    ) -> bool {
        let Some(labels) = policy.selector.and(pods).example() else {
            return false;
        };
        let key = (direction, policy.namespace.clone(), labels.clone());
        if !self.tried.insert(key) {
            return false;
        }
        let pod = Arc::new(Pod {
            namespace: policy.namespace.clone(),
            namespace_labels: self.model.namespace_labels(&policy.namespace),
            labels,
            ..Pod::default()
        });
        if self.all.iter().any(|space| space.owns(&pod)) {
            return false;
        }
        let peer = Endpoint::pod(Arc::clone(&pod));
        let plain = self.space.plain_ports(direction, &peer);
        let ways = self.space.ways(direction, &peer, &plain);
        let is_gain = !ways.is_empty();
        for way in ways {
            let rules = way.rules.iter().flatten().map(RuleRef::name);
            let is_built_in = way.rules.iter().flatten().any(is_built_in);
            let gain = Gain {
                direction,
                peer: GainedPeer::PodsOf {
                    pods: PodClass {
                        namespaces: Namespaces::Own(policy.namespace.clone()),
                        pods: policy.selector.clone(),
                    },
                    others,
                    example: Arc::clone(&pod),
                },
                ports: way.ports.difference(&plain),
                rules: rules.collect(),
                is_built_in,
            };
            self.push(way.labels, gain);
        }
        is_gain
    }
}

/// Whether a namespace of this name can be meant.
fn can_be(namespaces: &Namespaces, name: &str) -> bool {
    match namespaces {
        Namespaces::Own(own) => own == name,
        labelled @ Namespaces::Labelled(_) => namespace_selector(labelled)
            .and(&Selector::namespace(name))
            .can_match_namespace(),
    }
}
