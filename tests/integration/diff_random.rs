//! Random pairs of policy sets, compared twice: by `diff`, and by asking of every kind of pod at
//! both ends, every address and every port whether the one set lets it through and the other not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use netpol::allowed::AllowedTraffic;
use netpol::difference::{Change, Difference};
use netpol::evaluate::Policies;
use netpol::model::policy::{Direction, Namespaces, Policy};
use netpol::sets::ports::{NamedPort, Ports, Protocol};
use netpol::sets::selector::{Labels, Selector};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::reach_random::{naive_block, naive_selector, port, selector};

const NAME: &str = "kubernetes.io/metadata.name";
const ADDRESSES: [&str; 10] = [
    "0.0.0.0",
    "10.0.0.1",
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.9",
    "10.9.9.9",
    "200.0.0.0",
    "fd00::9",
    "fd00::5",
    "::",
];
/// Each end of a range that a rule can have, and a number between any two.
const NUMBERS: [u16; 9] = [1, 2, 53, 60, 80, 90, 8080, 9000, 65535];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const NAMES: [Option<&str>; 3] = [None, Some("http"), Some("dns")];

/// A set of ports: one bit for each protocol, number and name of that number.
type Mask = u128;

fn points() -> impl Iterator<Item = (Mask, &'static str, u16, Option<&'static str>)> {
    let all = PROTOCOLS.iter().flat_map(|protocol| {
        let numbers = NUMBERS.iter();
        numbers.flat_map(move |number| NAMES.iter().map(move |name| (*protocol, *number, *name)))
    });
    all.enumerate()
        .map(|(i, (protocol, number, name))| (1 << i, protocol, number, name))
}

/// Every pod that the selectors of the tests can tell from another, by its labels.
fn label_sets() -> Vec<Labels> {
    let values = [None, Some("x"), Some("y"), Some("z")];
    let pair = |a: Option<&str>, b: Option<&str>| {
        let pairs = [("a", a), ("b", b)].into_iter();
        pairs
            .filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned())))
            .collect()
    };
    values
        .iter()
        .flat_map(|a| values.iter().map(move |b| pair(*a, *b)))
        .collect()
}

/// A namespace's name and its labels, and the pod's labels.
type PeerPod = (&'static str, Labels, Labels);

fn peer_pods() -> Vec<PeerPod> {
    let mut pods = Vec::new();
    for name in ["one", "two", "three"] {
        for namespace in label_sets() {
            let mut namespace = namespace.clone();
            namespace.insert(NAME.to_owned(), name.to_owned());
            pods.extend(
                label_sets()
                    .into_iter()
                    .map(|labels| (name, namespace.clone(), labels)),
            );
        }
    }
    pods
}

// ---- the naive reading ----

struct Naive {
    specs: Vec<(String, NetworkPolicySpec)>,
}

/// What a kind of pods lets through: to or from each pod, and to or from each address.
#[derive(Clone, PartialEq)]
struct Open {
    pods: Vec<Mask>,
    addresses: Vec<Mask>,
}

impl Naive {
    /// The policies that isolate a pod, by number.
    fn isolating(&self, namespace: &str, labels: &Labels, egress: bool) -> Vec<usize> {
        let applies = |spec: &NetworkPolicySpec| match spec.policy_types.as_deref() {
            None | Some([]) => !egress || spec.egress.as_ref().is_some_and(|r| !r.is_empty()),
            Some(types) => types
                .iter()
                .any(|t| t == if egress { "Egress" } else { "Ingress" }),
        };
        let selects = |spec: &NetworkPolicySpec| {
            naive_selector(&spec.pod_selector.clone().unwrap_or_default(), labels)
        };
        (self.specs.iter().enumerate())
            .filter(|(_, (own, spec))| own == namespace && applies(spec) && selects(spec))
            .map(|(i, _)| i)
            .collect()
    }

    fn open(&self, isolating: &[usize], egress: bool, pods: &[PeerPod]) -> Open {
        let addresses: Vec<IpAddr> = ADDRESSES.iter().map(|a| a.parse().unwrap()).collect();
        let start = if isolating.is_empty() { Mask::MAX } else { 0 };
        let mut open = Open {
            pods: vec![start; pods.len()],
            addresses: vec![start; addresses.len()],
        };
        for i in isolating {
            let (own, spec) = &self.specs[*i];
            let rules: Vec<(Vec<NetworkPolicyPeer>, Mask)> = if egress {
                let rules = spec.egress.iter().flatten();
                rules
                    .map(|r| (r.to.clone().unwrap_or_default(), mask_of(r.ports.as_ref())))
                    .collect()
            } else {
                let rules = spec.ingress.iter().flatten();
                rules
                    .map(|r| {
                        (
                            r.from.clone().unwrap_or_default(),
                            mask_of(r.ports.as_ref()),
                        )
                    })
                    .collect()
            };
            for (peers, mask) in rules {
                for (pod, open) in pods.iter().zip(&mut open.pods) {
                    if peers.is_empty() || peers.iter().any(|peer| is_pod(peer, own, pod)) {
                        *open |= mask;
                    }
                }
                for (address, open) in addresses.iter().zip(&mut open.addresses) {
                    let within = |peer: &NetworkPolicyPeer| {
                        peer.ip_block
                            .as_ref()
                            .is_some_and(|block| naive_block(block, *address))
                    };
                    if peers.is_empty() || peers.iter().any(within) {
                        *open |= mask;
                    }
                }
            }
        }
        open
    }
}

fn is_pod(peer: &NetworkPolicyPeer, own: &str, (name, namespace, labels): &PeerPod) -> bool {
    if peer.ip_block.is_some() {
        return false;
    }
    let namespace = match &peer.namespace_selector {
        None => *name == own,
        Some(selector) => naive_selector(selector, namespace),
    };
    let pod = peer
        .pod_selector
        .as_ref()
        .is_none_or(|selector| naive_selector(selector, labels));
    namespace && pod
}

fn mask_of(ports: Option<&Vec<NetworkPolicyPort>>) -> Mask {
    let ports = match ports {
        None => return Mask::MAX,
        Some(ports) if ports.is_empty() => return Mask::MAX,
        Some(ports) => ports,
    };
    let holds = |p: &NetworkPolicyPort, protocol: &str, number: u16, name: Option<&str>| {
        p.protocol.as_deref().unwrap_or("TCP") == protocol
            && match &p.port {
                None => true,
                Some(IntOrString::Int(low)) => {
                    (*low..=p.end_port.unwrap_or(*low)).contains(&i32::from(number))
                }
                Some(IntOrString::String(own)) => Some(own.as_str()) == name,
            }
    };
    let points = points().filter(|(_, protocol, number, name)| {
        ports.iter().any(|p| holds(p, protocol, *number, *name))
    });
    points.fold(0, |mask, (bit, ..)| mask | bit)
}

/// What is open now and was not: for pods at each address, and for addresses of no pod.
fn newly(old: &Open, new: &Open) -> Vec<Mask> {
    let alone = old
        .addresses
        .iter()
        .zip(&new.addresses)
        .map(|(old, new)| new & !old);
    let pods = old
        .pods
        .iter()
        .zip(&new.pods)
        .flat_map(|(old_pod, new_pod)| {
            let addresses = old.addresses.iter().zip(&new.addresses);
            addresses.map(move |(old, new)| (new | new_pod) & !(old | old_pod))
        });
    alone.chain(pods).map(|mask| mask & ALL).collect()
}

const ALL: Mask = (1 << (PROTOCOLS.len() * NUMBERS.len() * NAMES.len())) - 1;

// ---- ours, in the same terms ----

fn ours_of(ports: &Ports) -> Mask {
    let points = points().filter(|(_, protocol, number, name)| {
        let protocol: Protocol = protocol.parse().unwrap();
        let known = name.map(|name| NamedPort {
            name: name.to_owned(),
            protocol,
            number: *number,
        });
        let known: Vec<NamedPort> = known.into_iter().collect();
        ports
            .resolved(&known)
            .numbers_of(protocol)
            .contains(*number)
    });
    points.fold(0, |mask, (bit, ..)| mask | bit)
}

/// Each entry of a difference: which pods and addresses it is about, and the ports.
fn entries(traffic: &AllowedTraffic, pods: &[PeerPod]) -> Vec<(Vec<bool>, Mask)> {
    let cells = ADDRESSES.len() * (1 + pods.len());
    let mut entries = Vec::new();
    if !traffic.everyone().is_empty() {
        entries.push((vec![true; cells], ours_of(traffic.everyone())));
    }
    for (addresses, ports) in traffic.addresses().pieces() {
        let within: Vec<bool> = ADDRESSES
            .iter()
            .map(|a| addresses.contains(a.parse().unwrap()))
            .collect();
        let cells = (0..=pods.len()).flat_map(|_| within.iter().copied());
        entries.push((cells.collect(), ours_of(ports)));
    }
    for (class, ports) in traffic.pods() {
        let is_in = |(name, namespace, labels): &PeerPod| {
            let namespace = match &class.namespaces {
                Namespaces::Own(own) => own == name,
                Namespaces::Labelled(selector) => selector.matches(namespace),
            };
            namespace && class.pods.matches(labels)
        };
        let pods = pods
            .iter()
            .flat_map(|pod| vec![is_in(pod); ADDRESSES.len()]);
        let cells = vec![false; ADDRESSES.len()].into_iter().chain(pods);
        entries.push((cells.collect(), ours_of(ports)));
    }
    entries
}

// ---- random pairs ----

fn namespace_selector() -> impl Strategy<Value = Value> {
    let by_name = (
        select(vec!["In", "NotIn", "Exists", "DoesNotExist"]),
        subsequence(vec!["one", "two"], 1..=2),
    )
        .prop_map(|(operator, values)| {
            if operator.ends_with("In") {
                json!({"matchExpressions": [{"key": NAME, "operator": operator, "values": values}]})
            } else {
                json!({"matchExpressions": [{"key": NAME, "operator": operator}]})
            }
        });
    prop_oneof![3 => selector(), 2 => by_name]
}

fn peer() -> impl Strategy<Value = Value> {
    let cidrs = vec![
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.0.0.0/29",
        "10.0.0.4/30",
        "::/0",
        "fd00::/16",
    ];
    prop_oneof![
        selector().prop_map(|p| json!({"podSelector": p})),
        namespace_selector().prop_map(|n| json!({"namespaceSelector": n})),
        (namespace_selector(), selector())
            .prop_map(|(n, p)| json!({"namespaceSelector": n, "podSelector": p})),
        (select(cidrs.clone()), subsequence(cidrs, 0..2))
            .prop_map(|(cidr, except)| json!({"ipBlock": {"cidr": cidr, "except": except}})),
    ]
}

fn rules(side: &'static str) -> impl Strategy<Value = Option<Vec<Value>>> {
    let peers = prop::option::of(prop::collection::vec(peer(), 0..3));
    let ports = prop::option::of(prop::collection::vec(port(), 0..3));
    let rule = (peers, ports).prop_map(move |(peers, ports)| json!({side: peers, "ports": ports}));
    prop::option::of(prop::collection::vec(rule, 0..3))
}

type Spec = (&'static str, Value);

fn policy() -> impl Strategy<Value = Spec> {
    let types = prop::option::of(subsequence(vec!["Ingress", "Egress"], 0..=2));
    (
        select(vec!["one", "one", "two"]),
        selector(),
        types,
        rules("from"),
        rules("to"),
    )
        .prop_map(|(namespace, pods, types, ingress, egress)| {
            let spec = json!({
                "podSelector": pods, "policyTypes": types, "ingress": ingress, "egress": egress,
            });
            (namespace, spec)
        })
}

/// Two sets that have some policies in common, and some that differ in one field.
fn pair() -> impl Strategy<Value = [Vec<Spec>; 2]> {
    let change = (
        policy(),
        prop::sample::subsequence(
            vec!["podSelector", "policyTypes", "egress", "ingress"],
            0..3,
        ),
    );
    (prop::collection::vec((policy(), change, 0..4_u8), 0..5)).prop_map(|all| {
        let [mut old, mut new] = [Vec::new(), Vec::new()];
        for (one, (other, fields), fate) in all {
            match fate {
                0 => old.push(one),
                1 => new.push(one),
                _ => {
                    let mut changed = one.clone();
                    for field in fields {
                        changed.1[field] = other.1[field].clone();
                    }
                    old.push(one);
                    new.push(changed);
                }
            }
        }
        [old, new]
    })
}

fn both(specs: &[Spec]) -> (Naive, Policies) {
    let parsed: Vec<(String, NetworkPolicySpec)> = (specs.iter())
        .map(|(namespace, spec)| {
            (
                (*namespace).to_owned(),
                serde_json::from_value(spec.clone()).unwrap(),
            )
        })
        .collect();
    let policies = parsed.iter().enumerate().map(|(i, (namespace, spec))| {
        Policy::read(namespace, &format!("p{i}"), Some(spec)).unwrap()
    });
    let policies = policies.collect();
    (Naive { specs: parsed }, policies)
}

/// What is newly open, and what no longer is.
type NaiveChange = [Vec<Mask>; 2];

/// What the difference lists for some pods: a place in `NaiveChange`, peers and their ports.
#[derive(Debug)]
struct Listed<'d> {
    change: &'d Change<'d>,
    traffic: &'d AllowedTraffic,
    side: usize,
    cells: Vec<bool>,
    mask: Mask,
    /// Whether it happens to some pod.
    is_true: bool,
}

impl Listed<'_> {
    fn is_about(&self, namespace: &str, labels: &Labels) -> bool {
        self.change.namespace == namespace
            && self.change.pods.matches(labels)
            && !(self.change.except.iter()).any(|other| other.matches(labels))
    }
}

fn listed<'d>(
    difference: &'d Difference<'d>,
    direction: Direction,
    pods: &[PeerPod],
) -> Vec<Listed<'d>> {
    let mut listed = Vec::new();
    let changes = difference.changes.iter();
    for change in changes.filter(|change| change.direction == direction) {
        let sides = [&change.newly_allowed, &change.no_longer_allowed];
        for (side, traffic) in sides.into_iter().enumerate() {
            for (cells, mask) in entries(traffic, pods) {
                listed.push(Listed {
                    change,
                    traffic,
                    side,
                    cells,
                    mask,
                    is_true: false,
                });
            }
        }
    }
    listed
}

/// Compares both readings of one direction. Every change that the naive one finds must be listed
/// for these pods, and everything that is listed must happen to some pod that it is listed for.
fn compare(old: &(Naive, Policies), new: &(Naive, Policies), egress: bool, pods: &[PeerPod]) {
    let difference = Difference::between(&old.1, &new.1);
    assert!(difference.not_compared.is_empty());
    let direction = if egress {
        Direction::Egress
    } else {
        Direction::Ingress
    };
    // The number behind a name is not known, so what a name opens is listed beside the numbers.
    let nameless = points().filter(|(.., name)| name.is_none());
    let nameless = nameless.fold(0, |mask, (bit, ..)| mask | bit);
    let mut listed = listed(&difference, direction, pods);
    let mut known: BTreeMap<[Vec<usize>; 2], NaiveChange> = BTreeMap::new();
    for namespace in ["one", "two"] {
        for labels in label_sets() {
            let sets = [old, new].map(|set| set.0.isolating(namespace, &labels, egress));
            let naive = known.entry(sets.clone()).or_insert_with(|| {
                let [before, after] = [
                    old.0.open(&sets[0], egress, pods),
                    new.0.open(&sets[1], egress, pods),
                ];
                [newly(&before, &after), newly(&after, &before)]
            });
            let mut covered = [vec![0; naive[0].len()], vec![0; naive[0].len()]];
            let mut at_addresses = [[0; ADDRESSES.len()]; 2];
            let own = |entry: &&mut Listed<'_>| entry.is_about(namespace, &labels);
            for entry in listed.iter_mut().filter(own) {
                let side = entry.side;
                for (address, mask) in ADDRESSES.iter().zip(&mut at_addresses[side]) {
                    let pieces = entry.traffic.addresses().pieces();
                    let own = pieces.filter(|(a, _)| a.contains(address.parse().unwrap()));
                    *mask |= own.fold(0, |mask, (_, ports)| mask | ours_of(ports));
                }
                for (i, _) in entry.cells.iter().enumerate().filter(|(_, is_in)| **is_in) {
                    covered[side][i] |= entry.mask;
                    entry.is_true |= naive[side][i] & entry.mask != 0;
                }
            }
            let is_exact = is_exact(&[old, new].map(|set| &set.1), namespace, &labels);
            for (side, (naive, covered)) in naive.iter().zip(&covered).enumerate() {
                let addresses = at_addresses[side].iter().zip(naive);
                let too_much = addresses.clone().position(|(c, n)| c & !n & nameless != 0);
                assert!(
                    !is_exact || too_much.is_none(),
                    "too much: side {side}, {namespace} {labels:?} {direction}, {too_much:?}"
                );
                let missed = naive.iter().zip(covered).position(|(n, c)| n & !c != 0);
                assert_eq!(
                    missed, None,
                    "missed: side {side}, {namespace} {labels:?} {direction}"
                );
            }
        }
    }
    let invented = listed.iter().find(|entry| !entry.is_true);
    assert!(invented.is_none(), "invented: {invented:#?}");
}

/// Whether what is listed for a pod is just what happens to it: no two policies select it by labels
/// that nothing asks for together.
fn is_exact(sets: &[&Policies; 2], namespace: &str, labels: &Labels) -> bool {
    let policies = sets.iter().flat_map(|set| set.iter());
    let own = policies.filter(|p| p.namespace == namespace);
    let selectors: Vec<&Selector> = own.map(|p| &p.selector).collect();
    let keys = |selector: &Selector| -> BTreeSet<String> {
        selector
            .named_values()
            .map(|(key, _)| key.to_owned())
            .collect()
    };
    let selecting = selectors.iter().filter(|selector| selector.matches(labels));
    let selecting: BTreeSet<String> = selecting.flat_map(|selector| keys(selector)).collect();
    selecting.len() < 2 || selectors.iter().any(|selector| keys(selector).len() > 1)
}

/// Sixty pairs, or as many as PROPTEST_CASES says.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(60),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    fn no_change_is_missed_and_none_is_invented(specs in pair()) {
        let [old, new] = specs.each_ref().map(|specs| both(specs));
        let pods = peer_pods();
        compare(&old, &new, true, &pods);
        compare(&old, &new, false, &pods);
    }
}

/// The selectors of one key that name more values than anybody could try one by one.
fn many_values_are_compared_one_by_one() {
    let policy = |name: &str, selector: &str, port: u16| {
        let spec = format!("{{podSelector: {selector}, ingress: [{{ports: [{{port: {port}}}]}}]}}");
        Policy::read("one", name, Some(&serde_yaml::from_str(&spec).unwrap())).unwrap()
    };
    let values: BTreeSet<String> = (0..300).map(|i| format!("v{i}")).collect();
    let list = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(", ");
    let within = |values: &BTreeSet<String>| {
        format!(
            "{{matchExpressions: [{{key: app, operator: In, values: [{}]}}]}}",
            list(values)
        )
    };
    let each = values
        .iter()
        .map(|value| policy(value, &format!("{{matchLabels: {{app: {value}}}}}"), 80));
    let one_by_one: Policies = each.collect();
    let together: Policies = [policy("all", &within(&values), 80)].into_iter().collect();
    assert!(Difference::between(&one_by_one, &together).is_empty());
    let mut fewer = values.clone();
    fewer.remove("v217");
    let but_one: Policies = [policy("all", &within(&fewer), 80)].into_iter().collect();
    let difference = Difference::between(&one_by_one, &but_one);
    let pods: Vec<String> = difference
        .changes
        .iter()
        .map(|c| c.pods.to_string())
        .collect();
    assert_eq!(pods, ["app=v217"]);
}

crate::registry::tests! {
    fast: [
        no_change_is_missed_and_none_is_invented,
        many_values_are_compared_one_by_one,
    ],
}
