//! Which rules allow nothing that another one does not allow already.
//!
//! Comparing each rule with all others takes time in the square of their number. Here each rule is
//! compared with those alone that could be wider: those that name its first peer or a wider one, or
//! its first port. The work has a bound in proportion to the rules; beyond it only equal rules are
//! found. When in doubt, a rule is not covered.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::rules::config::Flow;
use netpol::cidr::{Cidr, Network};

/// How many rules that name the same peer or port a rule is compared with.
const MAX_CANDIDATES: usize = 256;

/// How many steps of comparing there are for any rules, and for each peer, port and except.
const STEPS: usize = 500_000;
const STEPS_FOR_EACH_PART: usize = 64;

/// The rules of one direction, ready to be compared.
pub(super) struct Coverage<'a> {
    rules: Vec<Rule<'a>>,
    /// For each rule the first one that is equal to it.
    first_equal: Vec<usize>,
    /// The rules without peers, and without ports.
    everybody: Vec<usize>,
    every_port: Vec<usize>,
    by_block: HashMap<Network, Vec<usize>>,
    by_pods: HashMap<Pods, Vec<usize>>,
    by_port: HashMap<Port<'a>, Vec<usize>>,
    /// The lengths of the prefixes in `by_block`.
    prefixes: BTreeSet<u32>,
    /// How many steps are left.
    steps: Cell<usize>,
}

/// A rule, its peers and ports in sets.
struct Rule<'a> {
    peers: Vec<Peer>,
    ports: Vec<Port<'a>>,
    /// Where each block is in `peers`.
    blocks: HashMap<Network, Vec<usize>>,
    prefixes: BTreeSet<u32>,
    pods: HashSet<Pods>,
    opened: HashMap<&'a str, Opened<'a>>,
}

enum Peer {
    Block(Network, Holes),
    Pods(Pods),
    /// No range of addresses.
    Unreadable,
}

/// Selectors as text: of namespaces, if there is one, and of pods. An empty one is an empty text,
/// and a missing one of pods is an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pods {
    namespaces: Option<String>,
    pods: String,
}

/// A port entry: its protocol, and what it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Port<'a> {
    protocol: &'a str,
    opens: Opens<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Opens<'a> {
    All,
    Range(i32, i32),
    Name(&'a str),
}

/// The ports that a rule opens for one protocol.
#[derive(Default)]
struct Opened<'a> {
    all: bool,
    /// The ranges by their first port, each with the greatest last port up to there.
    ranges: Vec<(i32, i32)>,
    names: HashSet<&'a str>,
}

/// The ranges that are left out of a block.
struct Holes {
    sorted: Vec<Network>,
    known: HashSet<Network>,
    prefixes: BTreeSet<u32>,
}

impl<'a> Coverage<'a> {
    pub(super) fn of(rules: &[Flow<'a>]) -> Self {
        let mut coverage = Self {
            rules: rules.iter().map(Rule::of).collect(),
            first_equal: Vec::with_capacity(rules.len()),
            everybody: Vec::new(),
            every_port: Vec::new(),
            by_block: HashMap::new(),
            by_pods: HashMap::new(),
            by_port: HashMap::new(),
            prefixes: BTreeSet::new(),
            steps: Cell::new(0),
        };
        let mut known = HashMap::new();
        for (i, flow) in rules.iter().enumerate() {
            let first = *known.entry(canonical(flow)).or_insert(i);
            coverage.first_equal.push(first);
        }
        let mut parts = 0;
        for (i, rule) in coverage.rules.iter().enumerate() {
            if rule.peers.is_empty() {
                coverage.everybody.push(i);
            }
            if rule.ports.is_empty() {
                coverage.every_port.push(i);
            }
            for network in rule.blocks.keys() {
                coverage.by_block.entry(*network).or_default().push(i);
            }
            for pods in &rule.pods {
                coverage.by_pods.entry(pods.clone()).or_default().push(i);
            }
            for port in rule.ports.iter().collect::<HashSet<_>>() {
                coverage.by_port.entry(port.group()).or_default().push(i);
            }
            coverage.prefixes.extend(&rule.prefixes);
            parts += 1 + rule.size();
        }
        coverage.steps = Cell::new(STEPS + parts * STEPS_FOR_EACH_PART);
        coverage
    }

    /// The first rule that makes this one needless: one that allows all of it, and of two that
    /// allow the same the first one.
    pub(super) fn wider(&self, i: usize) -> Option<usize> {
        let rule = self.rules.get(i)?;
        let equal = self.first_equal.get(i).copied().filter(|first| *first < i);
        let found = self.candidates(rule).into_iter().find(|j| {
            self.rules.get(*j).is_some_and(|other| {
                *j != i && self.covers(other, rule) && (*j < i || !self.covers(rule, other))
            })
        });
        match (found, equal) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (found, equal) => found.or(equal),
        }
    }

    /// The rules that may be wider than a rule, in order.
    fn candidates(&self, rule: &Rule<'a>) -> Vec<usize> {
        let by_peer = self.by_peer(rule);
        let by_port = self.by_port(rule);
        let size = |lists: &[&[usize]]| lists.iter().map(|list| list.len()).sum::<usize>();
        let lists = if size(&by_peer) <= size(&by_port) {
            by_peer
        } else {
            by_port
        };
        let mut found: Vec<usize> = lists
            .into_iter()
            .flat_map(|list| list.iter().copied().take(MAX_CANDIDATES))
            .collect();
        found.sort_unstable();
        found.dedup();
        if self.spend(found.len()) {
            found
        } else {
            Vec::new()
        }
    }

    /// The rules that name everybody, or the rule's first peer or a wider one.
    fn by_peer(&self, rule: &Rule<'a>) -> Vec<&[usize]> {
        let mut lists = vec![self.everybody.as_slice()];
        match rule.peers.first() {
            None | Some(Peer::Unreadable) => {}
            Some(Peer::Block(network, _)) => {
                let wider = around(*network, &self.prefixes);
                lists.extend(wider.filter_map(|n| self.by_block.get(&n).map(Vec::as_slice)));
            }
            Some(Peer::Pods(pods)) => {
                let wider = pods.wider().into_iter();
                lists.extend(wider.filter_map(|p| self.by_pods.get(&p).map(Vec::as_slice)));
            }
        }
        lists
    }

    /// The rules that open every port, or the rule's first port; all ranges of its protocol are
    /// among them.
    fn by_port(&self, rule: &Rule<'a>) -> Vec<&[usize]> {
        let mut lists = vec![self.every_port.as_slice()];
        if let Some(port) = rule.ports.first() {
            let all = Port {
                opens: Opens::All,
                ..*port
            };
            let range = Port {
                opens: RANGES,
                ..*port
            };
            let groups: HashSet<Port<'_>> = [port.group(), all, range].into_iter().collect();
            lists.extend(
                groups
                    .iter()
                    .filter_map(|p| self.by_port.get(p).map(Vec::as_slice)),
            );
        }
        lists
    }

    /// Whether everything that `narrow` allows is allowed by `wide`.
    fn covers(&self, wide: &Rule<'_>, narrow: &Rule<'_>) -> bool {
        let ports = wide.ports.is_empty()
            || (!narrow.ports.is_empty()
                && narrow
                    .ports
                    .iter()
                    .all(|port| self.spend(1) && wide.opens(port)));
        let peers = || {
            wide.peers.is_empty()
                || (!narrow.peers.is_empty()
                    && narrow.peers.iter().all(|peer| self.names(wide, peer)))
        };
        ports && peers()
    }

    /// Whether a rule names all of a peer with one of its own.
    fn names(&self, wide: &Rule<'_>, peer: &Peer) -> bool {
        match peer {
            Peer::Unreadable => false,
            Peer::Pods(pods) => {
                self.spend(1) && pods.wider().iter().any(|wider| wide.pods.contains(wider))
            }
            Peer::Block(inner, left_out) => {
                let outer = around(*inner, &wide.prefixes);
                let mut blocks = outer.filter_map(|n| wide.blocks.get(&n)).flatten();
                blocks.any(|i| match wide.peers.get(*i) {
                    Some(Peer::Block(_, holes)) => self.leaves_open(holes, *inner, left_out),
                    _ => false,
                })
            }
        }
    }

    /// Whether each hole that meets a range is left out of the range anyway.
    fn leaves_open(&self, holes: &Holes, inner: Network, left_out: &Holes) -> bool {
        let around = around(inner, &holes.prefixes).filter(|n| holes.known.contains(n));
        let inside = holes.inside(inner);
        self.spend(1)
            && around
                .chain(inside.iter().copied())
                .all(|hole| self.spend(1) && left_out.hold(hole))
    }

    /// Takes steps, and says whether there were so many left.
    fn spend(&self, steps: usize) -> bool {
        let left = self.steps.get().checked_sub(steps);
        self.steps.set(left.unwrap_or(0));
        left.is_some()
    }
}

/// Stands for every range of more than one port.
const RANGES: Opens<'static> = Opens::Range(0, -1);

impl<'a> Rule<'a> {
    fn of(flow: &Flow<'a>) -> Self {
        let peers: Vec<Peer> = flow.peers.iter().map(Peer::of).collect();
        let ports: Vec<Port<'a>> = flow.ports.iter().map(Port::of).collect();
        let mut blocks: HashMap<Network, Vec<usize>> = HashMap::new();
        let mut prefixes = BTreeSet::new();
        let mut pods = HashSet::new();
        for (i, peer) in peers.iter().enumerate() {
            match peer {
                Peer::Block(network, _) => {
                    blocks.entry(*network).or_default().push(i);
                    prefixes.insert(network.prefix);
                }
                Peer::Pods(known) => {
                    pods.insert(known.clone());
                }
                Peer::Unreadable => {}
            }
        }
        let opened = opened(&ports);
        Self {
            peers,
            ports,
            blocks,
            prefixes,
            pods,
            opened,
        }
    }

    /// Whether one of its entries opens all of a port entry.
    fn opens(&self, port: &Port<'_>) -> bool {
        let Some(opened) = self.opened.get(port.protocol) else {
            return false;
        };
        opened.all
            || match port.opens {
                Opens::All => false,
                Opens::Name(name) => opened.names.contains(name),
                Opens::Range(first, last) => {
                    let before = opened.ranges.partition_point(|(low, _)| *low <= first);
                    let widest = before.checked_sub(1).and_then(|i| opened.ranges.get(i));
                    widest.is_some_and(|(_, high)| last <= *high)
                }
            }
    }

    /// How many peers, ports and excepts it has.
    fn size(&self) -> usize {
        let of_peer = |peer: &Peer| match peer {
            Peer::Block(_, holes) => 1 + holes.sorted.len(),
            _ => 1,
        };
        self.ports.len() + self.peers.iter().map(of_peer).sum::<usize>()
    }
}

/// The port entries of a rule by their protocol.
fn opened<'a>(ports: &[Port<'a>]) -> HashMap<&'a str, Opened<'a>> {
    let mut opened: HashMap<&'a str, Opened<'a>> = HashMap::new();
    for port in ports {
        let entry = opened.entry(port.protocol).or_default();
        match port.opens {
            Opens::All => entry.all = true,
            Opens::Range(first, last) => entry.ranges.push((first, last)),
            Opens::Name(name) => {
                entry.names.insert(name);
            }
        }
    }
    for entry in opened.values_mut() {
        entry.ranges.sort_unstable();
        let mut greatest = i32::MIN;
        for (_, last) in &mut entry.ranges {
            greatest = greatest.max(*last);
            *last = greatest;
        }
    }
    opened
}

impl Peer {
    fn of(peer: &NetworkPolicyPeer) -> Self {
        let Some(block) = &peer.ip_block else {
            return Self::Pods(Pods {
                namespaces: peer.namespace_selector.as_ref().map(text),
                pods: peer.pod_selector.as_ref().map(text).unwrap_or_default(),
            });
        };
        let Some(cidr) = Cidr::parse(&block.cidr) else {
            return Self::Unreadable;
        };
        let excepts = block.except.iter().flatten();
        let mut sorted: Vec<Network> = excepts
            .filter_map(|e| Cidr::parse(e).map(Cidr::range))
            .collect();
        sorted.sort_unstable();
        Self::Block(
            cidr.range(),
            Holes {
                known: sorted.iter().copied().collect(),
                prefixes: sorted.iter().map(|n| n.prefix).collect(),
                sorted,
            },
        )
    }
}

impl Pods {
    /// All that names these pods: their own namespaces or all, their own labels or any.
    fn wider(&self) -> [Self; 4] {
        let pods = |namespaces: Option<&str>, pods: &str| Self {
            namespaces: namespaces.map(str::to_owned),
            pods: pods.to_owned(),
        };
        let own = self.namespaces.as_deref();
        [
            self.clone(),
            pods(own, ""),
            pods(Some(""), &self.pods),
            pods(Some(""), ""),
        ]
    }
}

impl<'a> Port<'a> {
    fn of(port: &'a NetworkPolicyPort) -> Self {
        Self {
            protocol: port.protocol.as_deref().unwrap_or("TCP"),
            opens: match &port.port {
                None => Opens::All,
                Some(IntOrString::Int(first)) => {
                    Opens::Range(*first, port.end_port.unwrap_or(*first))
                }
                Some(IntOrString::String(name)) => Opens::Name(name),
            },
        }
    }

    /// What the port is looked up by: itself, or all ranges together.
    fn group(&self) -> Self {
        match self.opens {
            Opens::Range(first, last) if first != last => Self {
                opens: RANGES,
                ..*self
            },
            _ => *self,
        }
    }
}

impl Holes {
    /// The ranges that lie inside of another.
    fn inside(&self, outer: Network) -> &[Network] {
        let from = self.sorted.partition_point(|n| *n < outer);
        let rest = self.sorted.get(from..).unwrap_or_default();
        // What begins in it and is no wider lies in it: ranges never overlap in part.
        let count = rest.partition_point(|n| outer.contains(*n));
        rest.get(..count).unwrap_or_default()
    }

    /// Whether one of the ranges holds all of another.
    fn hold(&self, inner: Network) -> bool {
        around(inner, &self.prefixes).any(|n| self.known.contains(&n))
    }
}

/// The ranges with these lengths of prefixes that hold a range, the widest first.
fn around(inner: Network, prefixes: &BTreeSet<u32>) -> impl Iterator<Item = Network> {
    prefixes
        .range(..=inner.prefix)
        .map(move |prefix| inner.widened(*prefix))
}

/// A selector as text, the same for equal ones; nothing for one that selects all.
fn text(selector: &LabelSelector) -> String {
    if is_empty(selector) {
        return String::new();
    }
    serde_json::to_string(selector).unwrap_or_default()
}

/// Whether a selector selects all.
fn is_empty(selector: &LabelSelector) -> bool {
    selector
        .match_labels
        .as_ref()
        .is_none_or(std::collections::BTreeMap::is_empty)
        && selector
            .match_expressions
            .as_ref()
            .is_none_or(Vec::is_empty)
}

/// The peers and ports of a rule as text, the same whatever their order.
fn canonical(flow: &Flow<'_>) -> (BTreeSet<String>, BTreeSet<String>) {
    let peers = flow.peers.iter().map(serde_json::to_string);
    let ports = flow.ports.iter().map(serde_json::to_string);
    (peers.flatten().collect(), ports.flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpol::model::policy::Origin;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    type Parts = (Vec<NetworkPolicyPeer>, Vec<NetworkPolicyPort>);

    /// The same question, answered by comparing each with each.
    fn covers(wide: &Flow<'_>, narrow: &Flow<'_>) -> bool {
        let ports = wide.ports.is_empty()
            || (!narrow.ports.is_empty()
                && narrow
                    .ports
                    .iter()
                    .all(|n| wide.ports.iter().any(|w| covers_port(w, n))));
        let peers = wide.peers.is_empty()
            || (!narrow.peers.is_empty()
                && narrow
                    .peers
                    .iter()
                    .all(|n| wide.peers.iter().any(|w| covers_peer(w, n))));
        ports && peers
    }

    fn covers_port(wide: &NetworkPolicyPort, narrow: &NetworkPolicyPort) -> bool {
        let protocol =
            |p: &NetworkPolicyPort| p.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        if protocol(wide) != protocol(narrow) {
            return false;
        }
        match (&wide.port, &narrow.port) {
            (None, _) => true,
            (Some(IntOrString::Int(first)), Some(IntOrString::Int(n))) => {
                *first <= *n && narrow.end_port.unwrap_or(*n) <= wide.end_port.unwrap_or(*first)
            }
            (wide, narrow) => wide == narrow,
        }
    }

    fn covers_peer(wide: &NetworkPolicyPeer, narrow: &NetworkPolicyPeer) -> bool {
        match (&wide.ip_block, &narrow.ip_block) {
            (Some(wide), Some(narrow)) => {
                let (Some(outer), Some(inner)) =
                    (Cidr::parse(&wide.cidr), Cidr::parse(&narrow.cidr))
                else {
                    return false;
                };
                let parse = |list: &Option<Vec<String>>| -> Vec<Cidr> {
                    let list = list.as_deref().unwrap_or_default();
                    list.iter().filter_map(|e| Cidr::parse(e)).collect()
                };
                let left_out = parse(&narrow.except);
                outer.contains(inner)
                    && parse(&wide.except).iter().all(|hole| {
                        let apart = !hole.contains(inner) && !inner.contains(*hole);
                        apart || left_out.iter().any(|e| e.contains(*hole))
                    })
            }
            (None, None) => {
                let namespaces = match (&wide.namespace_selector, &narrow.namespace_selector) {
                    (None, None) => true,
                    (None, Some(_)) => false,
                    (Some(wide), narrow) => is_empty(wide) || Some(wide) == narrow.as_ref(),
                };
                let pods = match &wide.pod_selector {
                    None => true,
                    Some(wide) => is_empty(wide) || Some(wide) == narrow.pod_selector.as_ref(),
                };
                namespaces && pods
            }
            _ => false,
        }
    }

    fn flows(rules: &[Parts]) -> Vec<Flow<'_>> {
        rules
            .iter()
            .map(|(peers, ports)| Flow {
                origin: &Origin::BuiltIn,
                peers,
                ports,
            })
            .collect()
    }

    fn peer() -> impl Strategy<Value = Value> {
        let selector = prop_oneof![
            Just(json!({})),
            Just(json!({"matchLabels": {"a": "b"}})),
            Just(json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]})),
        ];
        let range = prop_oneof![
            Just("10.0.0.0/8"),
            Just("10.0.0.0/9"),
            Just("10.128.0.0/9"),
            Just("10.1.0.0/16"),
            Just("10.1.2.3/32"),
            Just("::ffff:10.0.0.0/104"),
            Just("fd00::/8"),
            Just("0.0.0.0/0"),
        ];
        let excepts = prop::collection::vec(range.clone(), 0..3);
        prop_oneof![
            (range, excepts).prop_map(|(cidr, except)| match except.len() {
                0 => json!({"ipBlock": {"cidr": cidr}}),
                _ => json!({"ipBlock": {"cidr": cidr, "except": except}}),
            }),
            selector
                .clone()
                .prop_map(|pods| json!({"podSelector": pods})),
            selector
                .clone()
                .prop_map(|s| json!({"namespaceSelector": s})),
            (selector.clone(), selector)
                .prop_map(|(n, p)| json!({"namespaceSelector": n, "podSelector": p})),
        ]
    }

    fn port() -> impl Strategy<Value = Value> {
        let protocol = prop_oneof![Just("TCP"), Just("UDP")];
        prop_oneof![
            Just(json!({"port": 80})),
            Just(json!({"port": "http"})),
            Just(json!({"port": "dns", "protocol": "UDP"})),
            protocol.clone().prop_map(|p| json!({"protocol": p})),
            (1..5, protocol.clone()).prop_map(|(n, p)| json!({"port": n, "protocol": p})),
            (1..5, 0..4, protocol)
                .prop_map(|(n, m, p)| json!({"port": n, "endPort": n + m, "protocol": p})),
        ]
    }

    fn rule() -> impl Strategy<Value = Parts> {
        let peers = prop::collection::vec(peer(), 0..3);
        let ports = prop::collection::vec(port(), 0..3);
        (peers, ports).prop_map(|(peers, ports)| {
            (
                serde_json::from_value(json!(peers)).unwrap(),
                serde_json::from_value(json!(ports)).unwrap(),
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_same_as_comparing_each_with_each(rules in prop::collection::vec(rule(), 0..8)) {
            let flows = flows(&rules);
            let coverage = Coverage::of(&flows);
            for (i, rule) in flows.iter().enumerate() {
                let expected = flows.iter().enumerate().position(|(j, other)| {
                    j != i && covers(other, rule) && (j < i || !covers(rule, other))
                });
                prop_assert_eq!(coverage.wider(i), expected, "{} of {:?}", i, rules);
            }
        }
    }

    #[test]
    fn equal_rules_are_found_when_no_steps_are_left() {
        let rule = |n: i32| -> Parts {
            let ports = json!([{"port": n}, {"port": 1}]);
            (Vec::new(), serde_json::from_value(ports).unwrap())
        };
        let rules: Vec<Parts> = (0..5000).map(|n| rule(n % 4999)).collect();
        let flows = flows(&rules);
        let coverage = Coverage::of(&flows);
        coverage.steps.set(0);
        assert_eq!(coverage.wider(4999), Some(0));
        assert_eq!(coverage.wider(4998), None);
    }
}
