//! What a pod lets in or out as a whole: not one question, but the set of all answers.
//!
//! Peers are kept as policies name them (everyone, addresses, pods by their labels), for nobody
//! knows yet which pods there will be. Two such sets can be subtracted: what is newly allowed, what
//! no longer is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::class_index::ClassIndex;
use crate::evaluate::{Policies, RuleRef};
use crate::model::pod::Pod;
use crate::model::policy::{Direction, Namespaces, Peer, Policy};
use crate::sets::address_ports::AddressPortSet;
use crate::sets::addresses::AddressSet;
use crate::sets::bits::Bits;
use crate::sets::label_classes::{LabelsOf, classes, groups_by, namespace_selector};
use crate::sets::ports::Ports;
use crate::sets::selector::Selector;

/// The most classes of labels that are looked at for one class of pods.
const MAX_CLASSES: usize = 4096;

/// The most comparisons of kinds of pods with other classes that are made for one class.
const MAX_COMPARISONS: usize = 262_144;

/// Pods that a policy names together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodClass {
    /// Where they live.
    pub namespaces: Namespaces,
    /// Their labels.
    pub pods: Selector,
}

impl PodClass {
    /// Every pod.
    #[must_use]
    pub fn any() -> Self {
        Self {
            namespaces: Namespaces::Labelled(Selector::default()),
            pods: Selector::default(),
        }
    }

    /// The same as the peer of a rule.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::Pods {
            namespaces: self.namespaces.clone(),
            pods: self.pods.clone(),
        }
    }

    /// Whether every pod of this class is surely in the other too.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let namespace = match (&self.namespaces, &other.namespaces) {
            (Namespaces::Own(a), Namespaces::Own(b)) => a == b,
            (Namespaces::Labelled(a), Namespaces::Labelled(b)) => a.is_within(b),
            // By the one label that every namespace is known to have.
            (Namespaces::Own(a), Namespaces::Labelled(b)) => Selector::namespace(a).is_within(b),
            (Namespaces::Labelled(a), Namespaces::Own(b)) => a.is_within(&Selector::namespace(b)),
        };
        namespace && self.pods.is_within(&other.pods)
    }

    /// Whether some pod can be in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.pods.differs_in_a_label(&other.pods) {
            return false;
        }
        let namespaces = match (&self.namespaces, &other.namespaces) {
            (Namespaces::Own(a), Namespaces::Own(b)) => a == b,
            (a, b) => namespace_selector(a)
                .and(&namespace_selector(b))
                .can_match_namespace(),
        };
        namespaces && self.pods.and(&other.pods).can_match()
    }

    /// Whether some pod can be in it.
    #[must_use]
    pub fn can_match(&self) -> bool {
        let namespaces = match &self.namespaces {
            Namespaces::Own(_) => true,
            Namespaces::Labelled(selector) => selector.can_match_namespace(),
        };
        namespaces && self.pods.can_match()
    }
}

impl fmt::Display for PodClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = Peer::Pods {
            namespaces: self.namespaces.clone(),
            pods: self.pods.clone(),
        };
        write!(f, "{peer}")
    }
}

/// One peer of one rule, with what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowRule<'a> {
    /// The rule; `None` where no policy isolates the pod.
    pub rule: Option<RuleRef<'a>>,
    /// The peer; `None` is everyone.
    pub peer: Option<&'a Peer>,
    /// The ports.
    pub ports: Ports,
}

/// A set of peers and ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedTraffic {
    everyone: Ports,
    addresses: AddressPortSet,
    pods: BTreeMap<PodClass, Ports>,
}

/// A set of peers and ports that others are held against.
#[derive(Debug, Clone)]
pub struct Known {
    allowance: AllowedTraffic,
    everywhere: Ports,
}

impl From<AllowedTraffic> for Known {
    fn from(allowance: AllowedTraffic) -> Self {
        Self {
            everywhere: allowance.everywhere(),
            allowance,
        }
    }
}

impl Policies {
    /// What the pod lets through in a direction, rule by rule, in the order of the policies.
    ///
    /// The names of ports are looked up where the pod is the destination and its ports are known;
    /// elsewhere they stay names.
    #[must_use]
    pub fn grants(&self, pod: &Pod, direction: Direction) -> Vec<AllowRule<'_>> {
        let policies: Vec<&Policy> = self.isolating(pod, direction).collect();
        if policies.is_empty() {
            return vec![AllowRule {
                rule: None,
                peer: None,
                ports: Ports::all(),
            }];
        }
        let mut grants = Vec::new();
        for policy in policies {
            let rules = policy.rules(direction).unwrap_or_default();
            for (index, rule) in rules.iter().enumerate() {
                let ports = match (direction, &pod.ports) {
                    (Direction::Ingress, Some(known)) => rule.ports.resolved(known),
                    _ => rule.ports.clone(),
                };
                let rule_ref = Some(RuleRef {
                    policy,
                    direction,
                    index,
                });
                let grant = |peer| AllowRule {
                    rule: rule_ref,
                    peer,
                    ports: ports.clone(),
                };
                match &rule.peers {
                    None => grants.push(grant(None)),
                    Some(peers) => grants.extend(peers.iter().map(|peer| grant(Some(peer)))),
                }
            }
        }
        grants
    }

    /// What the pod lets through in a direction, all rules together.
    #[must_use]
    pub fn allowance(&self, pod: &Pod, direction: Direction) -> AllowedTraffic {
        self.grants(pod, direction).iter().collect()
    }
}

impl<'g, 'a: 'g> FromIterator<&'g AllowRule<'a>> for AllowedTraffic {
    fn from_iter<I: IntoIterator<Item = &'g AllowRule<'a>>>(grants: I) -> Self {
        let everywhere = AddressSet::all();
        let mut everyone: Vec<&Ports> = Vec::new();
        let mut addresses: Vec<(&AddressSet, &Ports)> = Vec::new();
        let mut pods: BTreeMap<PodClass, Vec<&Ports>> = BTreeMap::new();
        for grant in grants {
            let ports = &grant.ports;
            match grant.peer {
                None => {
                    everyone.push(ports);
                    addresses.push((&everywhere, ports));
                }
                Some(Peer::Block(block)) => addresses.push((block, ports)),
                Some(Peer::Pods {
                    namespaces,
                    pods: selector,
                }) => {
                    let class = PodClass {
                        namespaces: namespaces.clone(),
                        pods: selector.clone(),
                    };
                    pods.entry(class).or_default().push(ports);
                }
            }
        }
        // A peer that no pod can match lets nobody through.
        let pods = pods.into_iter().filter(|(class, _)| class.can_match());
        Self {
            everyone: union(everyone),
            addresses: AddressPortSet::union_of(addresses).with_names_of_whole_protocols(),
            pods: pods.map(|(class, ports)| (class, union(ports))).collect(),
        }
    }
}

impl AllowedTraffic {
    /// Everyone on every port: what a pod lets through that no policy isolates.
    #[must_use]
    pub fn everything() -> Self {
        let rule = AllowRule {
            rule: None,
            peer: None,
            ports: Ports::all(),
        };
        std::iter::once(&rule).collect()
    }

    /// The ports that are open to everyone.
    #[must_use]
    pub fn everyone(&self) -> &Ports {
        &self.everyone
    }

    /// Which addresses get what, those of pods too; what everyone gets is among it.
    #[must_use]
    pub fn addresses(&self) -> &AddressPortSet {
        &self.addresses
    }

    /// What pods get by their labels alone; what everyone gets is not repeated.
    pub fn pods(&self) -> impl Iterator<Item = (&PodClass, &Ports)> {
        self.pods.iter()
    }

    /// Whether nothing is let through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.everyone.is_empty()
            && self.addresses.is_empty()
            && self.pods.values().all(Ports::is_empty)
    }

    /// The ports that are open to everyone, or what is the same, at every address.
    #[must_use]
    pub fn everywhere(&self) -> Ports {
        union([&self.everyone, &self.at_all_of(&AddressSet::all())])
    }

    /// The ports that are open at each of the addresses.
    #[must_use]
    pub fn at_all_of(&self, addresses: &AddressSet) -> Ports {
        let all = Ports::all();
        let closed =
            AddressPortSet::new(addresses.clone(), all.clone()).difference(&self.addresses);
        all.difference(&closed.ports())
    }

    /// What every pod of the class gets.
    ///
    /// Classes that only together hold this one are put together, as long as their labels do not
    /// make too many kinds; then it is rather too little than too much.
    #[must_use]
    pub fn ports_for(&self, class: &PodClass) -> Ports {
        self.by_label().given_to(class, &self.everywhere())
    }

    fn by_label(&self) -> ByLabel<'_> {
        ByLabel {
            index: ClassIndex::of(self.pods.keys()),
            pods: self.pods.iter().collect(),
        }
    }

    /// What this one allows and the other doesn't.
    ///
    /// Exact for everyone and for addresses. A class of pods is named as soon as one of its pods
    /// gains something; which of them had it before, the other one tells.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.without(other, &other.everywhere())
    }

    /// The same beside a set that many are held against.
    #[must_use]
    pub fn difference_from(&self, known: &Known) -> Self {
        self.without(&known.allowance, &known.everywhere)
    }

    fn without(&self, other: &Self, theirs: &Ports) -> Self {
        let ours = self.everywhere();
        let by_label = other.by_label();
        let pods = self.pods.iter().filter_map(|(class, ports)| {
            // What everyone gets here anyway is said once, of everyone.
            let left = ports.difference(&ours).difference(theirs);
            let left = if left.is_empty() {
                left
            } else {
                left.difference(&by_label.given_to(class, theirs))
            };
            (!left.is_empty()).then(|| (class.clone(), left))
        });
        Self {
            everyone: self.everyone.difference(theirs),
            addresses: self.addresses.difference(&other.addresses),
            pods: pods.collect(),
        }
    }
}

/// What pods get by their labels, to be found by them.
struct ByLabel<'t> {
    index: ClassIndex<'t>,
    pods: Vec<(&'t PodClass, &'t Ports)>,
}

impl ByLabel<'_> {
    /// What every pod of the class gets by its labels, or as everybody does.
    fn given_to(&self, class: &PodClass, everywhere: &Ports) -> Ports {
        let (wider, rest): (Vec<_>, Vec<_>) = (self.index.that_can_hold(class).into_iter())
            .filter_map(|place| self.pods.get(place).copied())
            .partition(|(known, _)| class.is_within(known));
        let sure = union((wider.iter().map(|(_, ports)| *ports)).chain([everywhere]));
        let parts: Vec<Part<'_>> = (rest.iter())
            .filter(|(known, ports)| class.overlaps(known) && !ports.difference(&sure).is_empty())
            .map(|(known, ports)| Part {
                namespace: namespace_selector(&known.namespaces),
                pods: &known.pods,
                ports,
            })
            .collect();
        together(class, &parts, &sure).unwrap_or(sure)
    }
}

/// A class of pods that overlaps another, and what it gets.
struct Part<'p> {
    namespace: Selector,
    pods: &'p Selector,
    ports: &'p Ports,
}

/// What is in any of the sets, and the names of the protocols of which all numbers are in them.
fn union<'p>(sets: impl IntoIterator<Item = &'p Ports>) -> Ports {
    Ports::union_of(sets).with_names_of_whole_protocols()
}

/// What every pod of a class gets by one part or another, beside what is `sure`; `None` where that
/// is too much to look at, or no more than is sure.
///
/// Parts that have no key in common are looked at apart: a pod can be in none of the one and in none
/// of the other, so only what all parts of one group give together is given to every pod.
fn together(class: &PodClass, parts: &[Part<'_>], sure: &Ports) -> Option<Ports> {
    let own = namespace_selector(&class.namespaces);
    let keys = parts.iter().map(|part| {
        let keys = |selector: &Selector, is_met: bool| -> Vec<String> {
            let named = selector.keys().map(str::to_owned);
            // What every pod of the class meets tells none of them from another.
            named.filter(|_| !is_met).collect()
        };
        let namespaces = keys(&part.namespace, own.is_within(&part.namespace)).into_iter();
        let pods = keys(part.pods, class.pods.is_within(part.pods)).into_iter();
        namespaces
            .map(|key| (true, key))
            .chain(pods.map(|key| (false, key)))
    });
    let given = groups_by(keys).into_iter().filter_map(|group| {
        // One alone does not hold the class, or it would be among the wider ones.
        if group.len() < 2 {
            return None;
        }
        let group: Vec<&Part<'_>> = group.into_iter().filter_map(|i| parts.get(i)).collect();
        together_in_group(class, &group, sure)
    });
    let given: Vec<Ports> = given.collect();
    (!given.is_empty()).then(|| union(given.iter().chain([sure])))
}

/// The same for parts that can't be looked at apart.
fn together_in_group(class: &PodClass, parts: &[&Part<'_>], sure: &Ports) -> Option<Ports> {
    let own = namespace_selector(&class.namespaces);
    let namespaces: Vec<&Selector> = [&own]
        .into_iter()
        .chain(parts.iter().map(|p| &p.namespace))
        .collect();
    let pods: Vec<&Selector> = [&class.pods]
        .into_iter()
        .chain(parts.iter().map(|p| p.pods))
        .collect();
    // Only what the class holds is looked at: the first selector is its own.
    let of_class = Bits::of(namespaces.len(), [0]);
    let namespaces = classes(&namespaces, LabelsOf::Namespaces, &of_class, MAX_CLASSES)?;
    let pods = classes(&pods, LabelsOf::Pods, &of_class, MAX_CLASSES)?;
    let pairs = namespaces.len().saturating_mul(pods.len());
    if pairs.saturating_mul(parts.len()) > MAX_COMPARISONS {
        return None;
    }
    let holding: BTreeSet<Bits> = (namespaces.iter())
        .flat_map(|namespace| pods.iter().map(|pod| namespace.matched.and(&pod.matched)))
        .collect();
    let mut common: Option<Ports> = None;
    for these in holding {
        let held = these.iter().skip(1).filter_map(|i| parts.get(i - 1));
        let open = union(held.map(|part| part.ports).chain([sure]));
        let left = match common {
            None => open,
            Some(common) => common.intersection(&open),
        };
        if left.difference(sure).is_empty() {
            return None;
        }
        common = Some(left);
    }
    common
}

impl fmt::Display for AllowedTraffic {
    /// One line for each peer; nothing for an empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.everyone.is_empty() {
            writeln!(f, "everyone on {}", self.everyone)?;
        }
        for (addresses, ports) in self.addresses.pieces() {
            // Everyone has addresses; what they get beyond that is left.
            let ports = ports.difference(&self.everyone);
            if !ports.is_empty() {
                writeln!(f, "{addresses} on {ports}")?;
            }
        }
        for (class, ports) in &self.pods {
            writeln!(f, "{class} on {ports}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(egress: &str) -> AllowedTraffic {
        let spec = format!("{{policyTypes: [Egress], egress: {egress}}}");
        let spec = serde_yaml::from_str(&spec).unwrap();
        let policy = Policy::read("home", "p", Some(&spec)).unwrap();
        let policies: Policies = [policy].into_iter().collect();
        let pod = Pod {
            namespace: "home".to_owned(),
            ..Pod::default()
        };
        policies.allowance(&pod, Direction::Egress)
    }

    #[test]
    fn a_wider_block_newly_allows_just_the_rest() {
        let old = allowance("[{to: [{ipBlock: {cidr: 10.0.0.0/9}}], ports: [{port: 443}]}]");
        let new = allowance("[{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 443}]}]");
        assert_eq!(
            new.difference(&old).to_string(),
            "10.128.0.0/9 on 443/TCP\n"
        );
        assert!(old.difference(&new).is_empty());
    }

    #[test]
    fn pods_are_covered_by_wider_selectors() {
        let narrow = allowance(
            "[{to: [{podSelector: {matchLabels: {a: b, c: d}}}], ports: [{port: 80}, {port: 81}]}]",
        );
        let wide = allowance(
            "[{to: [{podSelector: {matchLabels: {a: b}}, namespaceSelector: {}}], \
             ports: [{port: 80}]}]",
        );
        let left = narrow.difference(&wide).to_string();
        assert_eq!(left, "pods a=b,c=d in home on 81/TCP\n");
        let new = wide.difference(&narrow).to_string();
        assert_eq!(new, "pods a=b in any namespace on 80/TCP\n");
    }

    #[test]
    fn everyone_covers_all_others_and_is_covered_by_none_of_them() {
        let everyone = allowance("[{ports: [{port: 443}]}]");
        let some = allowance("[{to: [{podSelector: {}}], ports: [{port: 443}]}]");
        assert!(some.difference(&everyone).is_empty());
        let new = everyone.difference(&some).to_string();
        assert_eq!(new, "everyone on 443/TCP\n");
    }

    #[test]
    fn classes_that_together_hold_another_are_put_together() {
        let one = allowance(
            "[{to: [{podSelector: {matchExpressions: [{key: a, operator: In, values: [x, y]}]}}]}]",
        );
        let two = allowance(
            "[{to: [{podSelector: {matchLabels: {a: x}}}, {podSelector: {matchLabels: {a: y}}}]}]",
        );
        assert!(one.difference(&two).is_empty() && two.difference(&one).is_empty());
        let every = allowance("[{to: [{podSelector: {}}], ports: [{port: 80}]}]");
        let with_and_without = allowance(
            "[{to: [{podSelector: {matchExpressions: [{key: a, operator: Exists}]}}], \
             ports: [{port: 80}, {port: 81}]}, \
             {to: [{podSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}}], \
             ports: [{port: 80}]}]",
        );
        assert!(every.difference(&with_and_without).is_empty());
        let back = with_and_without.difference(&every).to_string();
        assert_eq!(back, "pods a in home on 81/TCP\n");
    }

    #[test]
    fn every_address_is_everyone() {
        let everyone = allowance("[{ports: [{port: 443}]}]");
        let blocks = allowance(
            "[{to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: '::/0'}}], ports: [{port: 443}]}]",
        );
        assert!(everyone.difference(&blocks).is_empty());
        assert!(blocks.difference(&everyone).is_empty());
    }

    #[test]
    fn no_policy_is_everything() {
        let open = Policies::default().allowance(&Pod::default(), Direction::Ingress);
        assert_eq!(open.to_string(), "everyone on every port\n");
        assert_eq!(open.difference(&allowance("[]")), open);
    }
}
