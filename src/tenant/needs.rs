//! The rules of all policies that name peers by labels which a tenant can choose, so that the rules
//! for one tenant are found without looking at all others.

use std::collections::HashMap;

use super::reach::NEVER;
use crate::vcluster::actors::MANAGED_BY;
use netpol::evaluate::Policies;
use netpol::model::policy::{Direction, Namespaces, Peer, Policy};
use netpol::sets::ports::Ports;
use netpol::sets::selector::Selector;

/// Rules of one direction that name the same peers on the same ports.
pub(super) struct Need<'p> {
    /// Where the peers live.
    pub(super) namespaces: &'p Namespaces,
    /// Their labels.
    pub(super) pods: &'p Selector,
    /// The policies that have such a rule.
    pub(super) policies: Vec<&'p Policy>,
    index: PolicyIndex<'p>,
}

/// Which tenants a rule can mean: by their namespace and name, where it fixes them.
type Audience = (Direction, Option<String>, Option<String>);

/// The rules of a set of policies.
pub(super) struct Needs<'p> {
    needs: Vec<Need<'p>>,
    by_audience: HashMap<Audience, Vec<usize>>,
}

impl<'p> Needs<'p> {
    pub(super) fn of(policies: &'p Policies) -> Self {
        let mut found = Self {
            needs: Vec::new(),
            by_audience: HashMap::new(),
        };
        let mut places: HashMap<(Direction, &Namespaces, &Selector, &Ports), usize> =
            HashMap::new();
        for policy in policies.iter() {
            for direction in [Direction::Egress, Direction::Ingress] {
                let rules = policy.rules(direction).unwrap_or_default();
                for rule in rules {
                    for peer in rule.peers.iter().flatten() {
                        let Peer::Pods { namespaces, pods } = peer else {
                            continue;
                        };
                        if pods.is_empty() || NEVER.iter().any(|key| pods.fixed(key).is_some()) {
                            continue;
                        }
                        let key = (direction, namespaces, pods, &rule.ports);
                        let place = *places
                            .entry(key)
                            .or_insert_with(|| found.add(direction, namespaces, pods));
                        if let Some(need) = found.needs.get_mut(place) {
                            need.push(policy);
                        }
                    }
                }
            }
        }
        found
    }

    fn add(
        &mut self,
        direction: Direction,
        namespaces: &'p Namespaces,
        pods: &'p Selector,
    ) -> usize {
        let namespace = match namespaces {
            Namespaces::Own(name) => Some(name.clone()),
            Namespaces::Labelled(_) => None,
        };
        let name = pods.fixed(MANAGED_BY).map(str::to_owned);
        let place = self.needs.len();
        let audience = (direction, namespace, name);
        self.by_audience.entry(audience).or_default().push(place);
        self.needs.push(Need {
            namespaces,
            pods,
            policies: Vec::new(),
            index: PolicyIndex::default(),
        });
        place
    }

    /// The rules of a direction that can mean pods of a tenant in a namespace.
    pub(super) fn for_tenant(
        &self,
        direction: Direction,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &Need<'p>> {
        let namespaces = [Some(namespace.to_owned()), None];
        let audiences = namespaces.into_iter().flat_map(move |namespace| {
            let names = [Some(name.to_owned()), None];
            names.map(|name| (direction, namespace.clone(), name))
        });
        let places = audiences.filter_map(|audience| self.by_audience.get(&audience));
        places.flatten().filter_map(|place| self.needs.get(*place))
    }
}

impl<'p> Need<'p> {
    fn push(&mut self, policy: &'p Policy) {
        let last = self.policies.last();
        if !last.is_some_and(|last| std::ptr::eq(*last, policy)) {
            self.policies.push(policy);
            self.index.push(policy);
        }
    }

    /// The policies whose pods a selector can match too.
    pub(super) fn policies_for(&self, pods: &Selector) -> Vec<&'p Policy> {
        self.index.policies_for(pods)
    }
}

/// The labels of which a pod has one at most: a pod of a control plane is no pod of a tenant.
const IDENTITIES: [&str; 2] = ["release", MANAGED_BY];

/// Policies by the label that says whose pods they select.
#[derive(Default)]
pub(super) struct PolicyIndex<'p> {
    by_identity: HashMap<(&'static str, String), Vec<&'p Policy>>,
    of_any: Vec<&'p Policy>,
}

impl<'p> PolicyIndex<'p> {
    pub(super) fn push(&mut self, policy: &'p Policy) {
        match identity(&policy.selector) {
            Some(identity) => self.by_identity.entry(identity).or_default().push(policy),
            None => self.of_any.push(policy),
        }
    }

    /// The policies whose pods a selector can match too.
    pub(super) fn policies_for(&self, pods: &Selector) -> Vec<&'p Policy> {
        let named: Vec<&'p Policy> = match identity(pods) {
            Some(identity) => {
                let named = self.by_identity.get(&identity);
                named.into_iter().flatten().copied().collect()
            }
            None => self.by_identity.values().flatten().copied().collect(),
        };
        let all = named.into_iter().chain(self.of_any.iter().copied());
        all.filter(|policy| policy.selector.and(pods).can_match())
            .collect()
    }
}

/// The label that says whose pods a selector matches, where it fixes one.
fn identity(selector: &Selector) -> Option<(&'static str, String)> {
    let mut identities = IDENTITIES.iter();
    identities.find_map(|key| Some((*key, selector.fixed(key)?.to_owned())))
}
