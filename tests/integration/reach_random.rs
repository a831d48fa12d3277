//! Random namespaces, pods and policies, judged twice: by the evaluator, and by the plainest reading
//! of the API reference, one packet at a time.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use netpol::allowed::PodClass;
use netpol::assertions;
use netpol::connections::{End, Group, Wanted};
use netpol::evaluate::{Decision, Extent, Part, Why};
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::Endpoint;
use netpol::model::policy::{Direction, Namespaces, Peer};
use netpol::model::reader;
use netpol::probe;
use netpol::query::{QueryScope, parse_destination};
use netpol::sets::addresses::{AddressSet, parse_net};
use netpol::sets::ports::{PortNumbers, Ports, Protocol};
use netpol::sets::selector::Selector;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use vcluster_netpol::vcluster::actors::VOCABULARY;

type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub(crate) struct NaivePod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) ports: Vec<(String, &'static str, u16)>,
}

#[derive(Debug, Clone)]
pub(crate) struct NaiveWorld {
    pub(crate) namespaces: BTreeMap<String, Labels>,
    pub(crate) pods: Vec<NaivePod>,
    pub(crate) policies: Vec<(String, Value)>,
}

/// One packet: who, from and to which address, protocol, port.
pub(crate) struct Packet<'p> {
    pub(crate) from: (Option<&'p NaivePod>, IpAddr),
    pub(crate) to: (Option<&'p NaivePod>, IpAddr),
    pub(crate) protocol: &'static str,
    pub(crate) port: u16,
}

// ---- the second opinion ----

pub(crate) fn naive_selector(selector: &LabelSelector, labels: &Labels) -> bool {
    for (key, value) in selector.match_labels.iter().flatten() {
        if labels.get(key) != Some(value) {
            return false;
        }
    }
    for e in selector.match_expressions.iter().flatten() {
        let values = e.values.clone().unwrap_or_default();
        let has = labels.contains_key(&e.key);
        let among = has && values.contains(&labels[&e.key]);
        let holds = match e.operator.as_str() {
            "In" => among,
            "NotIn" => !among,
            "Exists" => has,
            "DoesNotExist" => !has,
            other => panic!("{other}"),
        };
        if !holds {
            return false;
        }
    }
    true
}

fn bits(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(a) => (32, u128::from(a.to_bits())),
        IpAddr::V6(a) => (128, a.to_bits()),
    }
}

pub(crate) fn naive_cidr(cidr: &str, address: IpAddr) -> bool {
    let (net, prefix) = cidr.split_once('/').unwrap();
    let (width, net) = bits(net.parse().unwrap());
    let (own_width, own) = bits(address);
    let shift = width - prefix.parse::<u32>().unwrap();
    width == own_width && net.checked_shr(shift).unwrap_or(0) == own.checked_shr(shift).unwrap_or(0)
}

pub(crate) fn naive_block(block: &IPBlock, address: IpAddr) -> bool {
    let mut except = block.except.iter().flatten();
    naive_cidr(&block.cidr, address) && !except.any(|e| naive_cidr(e, address))
}

fn naive_peers(
    model: &NaiveWorld,
    home: &str,
    peers: Option<&Vec<NetworkPolicyPeer>>,
    who: (Option<&NaivePod>, IpAddr),
) -> bool {
    let peers = match peers {
        None => return true,
        Some(peers) if peers.is_empty() => return true,
        Some(peers) => peers,
    };
    peers.iter().any(|peer| {
        if let Some(block) = &peer.ip_block {
            return naive_block(block, who.1);
        }
        let Some(pod) = who.0 else { return false };
        let namespace = match &peer.namespace_selector {
            None => pod.namespace == home,
            Some(s) => naive_selector(s, &model.namespaces[&pod.namespace]),
        };
        let labels = match &peer.pod_selector {
            None => true,
            Some(s) => naive_selector(s, &pod.labels),
        };
        namespace && labels
    })
}

fn naive_ports(ports: Option<&Vec<NetworkPolicyPort>>, packet: &Packet<'_>) -> bool {
    let ports = match ports {
        None => return true,
        Some(ports) if ports.is_empty() => return true,
        Some(ports) => ports,
    };
    ports.iter().any(|p| {
        if p.protocol.as_deref().unwrap_or("TCP") != packet.protocol {
            return false;
        }
        match &p.port {
            None => true,
            Some(IntOrString::Int(low)) => {
                let high = p.end_port.unwrap_or(*low);
                (*low..=high).contains(&i32::from(packet.port))
            }
            Some(IntOrString::String(name)) => packet.to.0.is_some_and(|pod| {
                pod.ports
                    .contains(&(name.clone(), packet.protocol, packet.port))
            }),
        }
    })
}

/// Whether the packet may leave (egress) or come in (ingress).
fn naive_direction(model: &NaiveWorld, egress: bool, packet: &Packet<'_>) -> bool {
    let (subject, peer) = if egress {
        (packet.from, packet.to)
    } else {
        (packet.to, packet.from)
    };
    let Some(pod) = subject.0 else { return true };
    if peer.0.is_some_and(|other| std::ptr::eq(other, pod)) {
        return true;
    }
    naive_network_policies(model, egress, packet).unwrap_or(true)
}

/// Whether the NetworkPolicies let the packet through; `None` if none isolates the pod.
pub(crate) fn naive_network_policies(
    model: &NaiveWorld,
    egress: bool,
    packet: &Packet<'_>,
) -> Option<bool> {
    let (subject, peer) = if egress {
        (packet.from, packet.to)
    } else {
        (packet.to, packet.from)
    };
    let pod = subject.0?;
    let mut isolated = false;
    for (namespace, spec) in &model.policies {
        let spec: NetworkPolicySpec = serde_json::from_value(spec.clone()).unwrap();
        let selected = *namespace == pod.namespace
            && naive_selector(&spec.pod_selector.clone().unwrap_or_default(), &pod.labels);
        let has_egress_rules = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
        let types = match spec.policy_types.clone() {
            Some(types) if !types.is_empty() => types,
            _ if has_egress_rules => vec!["Ingress".to_owned(), "Egress".to_owned()],
            _ => vec!["Ingress".to_owned()],
        };
        let applies = types
            .iter()
            .any(|t| t == if egress { "Egress" } else { "Ingress" });
        if !selected || !applies {
            continue;
        }
        isolated = true;
        let open = if egress {
            spec.egress.iter().flatten().any(|rule| {
                naive_peers(model, namespace, rule.to.as_ref(), peer)
                    && naive_ports(rule.ports.as_ref(), packet)
            })
        } else {
            spec.ingress.iter().flatten().any(|rule| {
                naive_peers(model, namespace, rule.from.as_ref(), peer)
                    && naive_ports(rule.ports.as_ref(), packet)
            })
        };
        if open {
            return Some(true);
        }
    }
    isolated.then_some(false)
}

// ---- random worlds ----

const NAMESPACES: [&str; 3] = ["one", "two", "three"];
pub(crate) const PORTS: [u16; 5] = [1, 53, 80, 8080, 65535];
pub(crate) const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const PORT_NAMES: [&str; 2] = ["http", "dns"];
const CIDRS: [&str; 9] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/29",
    "10.0.0.4/30",
    "10.0.0.5/32",
    "::/0",
    "fd00::/16",
    "fd00::4/126",
    "128.0.0.0/1",
];
pub(crate) const OUTSIDE: [&str; 6] = [
    "0.0.0.0",
    "10.0.0.77",
    "10.9.9.9",
    "255.255.255.255",
    "fd00::77",
    "::",
];

fn labels() -> impl Strategy<Value = Labels> {
    let value = || prop::option::of(select(vec!["x", "y"]));
    (value(), value()).prop_map(|(a, b)| {
        let pairs = [("a", a), ("b", b)].into_iter();
        pairs
            .filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned())))
            .collect()
    })
}

pub(crate) fn selector() -> impl Strategy<Value = Value> {
    let expression = (
        select(vec!["a", "b"]),
        select(vec!["In", "NotIn", "Exists", "DoesNotExist"]),
        subsequence(vec!["x", "y"], 1..=2),
    )
        .prop_map(|(key, operator, values)| {
            if operator.ends_with("In") {
                json!({"key": key, "operator": operator, "values": values})
            } else {
                json!({"key": key, "operator": operator})
            }
        });
    prop_oneof![
        2 => Just(json!({})),
        3 => labels().prop_map(|l| json!({"matchLabels": l})),
        3 => (labels(), prop::collection::vec(expression, 1..3)).prop_map(
            |(l, e)| json!({"matchLabels": l, "matchExpressions": e})
        ),
    ]
}

fn peer() -> impl Strategy<Value = Value> {
    prop_oneof![
        selector().prop_map(|p| json!({"podSelector": p})),
        selector().prop_map(|n| json!({"namespaceSelector": n})),
        (selector(), selector())
            .prop_map(|(n, p)| json!({"namespaceSelector": n, "podSelector": p})),
        (select(CIDRS.to_vec()), subsequence(CIDRS.to_vec(), 0..3))
            .prop_map(|(cidr, except)| json!({"ipBlock": {"cidr": cidr, "except": except}})),
    ]
}

pub(crate) fn port() -> impl Strategy<Value = Value> {
    let protocol = || prop::option::of(select(PROTOCOLS.to_vec()));
    prop_oneof![
        1 => protocol().prop_map(|p| json!({"protocol": p})),
        3 => (protocol(), select(PORTS.to_vec()))
            .prop_map(|(p, n)| json!({"protocol": p, "port": n})),
        2 => (protocol(), select(PORT_NAMES.to_vec()))
            .prop_map(|(p, n)| json!({"protocol": p, "port": n})),
        2 => (protocol(), select(PORTS.to_vec()), select(PORTS.to_vec())).prop_map(
            |(p, a, b)| json!({"protocol": p, "port": a.min(b), "endPort": a.max(b)})
        ),
    ]
}

fn rules(side: &'static str) -> impl Strategy<Value = Option<Vec<Value>>> {
    let peers = prop::option::of(prop::collection::vec(peer(), 0..3));
    let ports = prop::option::of(prop::collection::vec(port(), 0..3));
    let rule = (peers, ports).prop_map(move |(peers, ports)| json!({side: peers, "ports": ports}));
    prop::option::of(prop::collection::vec(rule, 0..3))
}

pub(crate) fn policy() -> impl Strategy<Value = (String, Value)> {
    (
        select(NAMESPACES.to_vec()),
        selector(),
        prop::option::of(subsequence(vec!["Ingress", "Egress"], 0..=2)),
        rules("from"),
        rules("to"),
    )
        .prop_map(|(namespace, pods, types, ingress, egress)| {
            let spec = json!({
                "podSelector": pods, "policyTypes": types, "ingress": ingress, "egress": egress,
            });
            (namespace.to_owned(), spec)
        })
}

pub(crate) fn model() -> impl Strategy<Value = NaiveWorld> {
    let named = (
        select(PORT_NAMES.to_vec()),
        select(PROTOCOLS.to_vec()),
        select(PORTS.to_vec()),
    )
        .prop_map(|(name, protocol, port)| (name.to_owned(), protocol, port));
    let pod = (
        select(NAMESPACES.to_vec()),
        labels(),
        select(vec![(true, false), (false, true), (true, true)]),
        prop::collection::vec(named, 0..3),
    );
    (
        prop::collection::vec(labels(), NAMESPACES.len()),
        prop::collection::vec(pod, 1..5),
        prop::collection::vec(policy(), 0..6),
    )
        .prop_map(|(namespaces, pods, policies)| NaiveWorld {
            namespaces: NAMESPACES
                .iter()
                .map(|n| (*n).to_owned())
                .zip(namespaces)
                .collect(),
            pods: pods
                .into_iter()
                .enumerate()
                .map(|(i, (namespace, labels, (v4, v6), ports))| {
                    let mut addresses: Vec<IpAddr> = Vec::new();
                    if v4 {
                        addresses.push(format!("10.0.0.{}", i + 3).parse().unwrap());
                    }
                    if v6 {
                        addresses.push(format!("fd00::{}", i + 3).parse().unwrap());
                    }
                    NaivePod {
                        namespace: namespace.to_owned(),
                        name: format!("pod-{i}"),
                        labels,
                        addresses,
                        ports,
                    }
                })
                .collect(),
            policies,
        })
}

/// The model as a manifest: JSON is YAML, and one document for all is a List.
pub(crate) fn manifest_of(model: &NaiveWorld) -> String {
    let namespaces = model.namespaces.iter().map(|(name, labels)| {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    });
    let pods = model.pods.iter().map(|pod| {
        let ports: Vec<Value> = pod
            .ports
            .iter()
            .map(|(name, protocol, n)| {
                json!({"name": name, "protocol": protocol, "containerPort": n})
            })
            .collect();
        let ips: Vec<Value> = pod
            .addresses
            .iter()
            .map(|ip| json!({"ip": ip.to_string()}))
            .collect();
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "labels": pod.labels},
            "spec": {"containers": [{"name": "c", "ports": ports}]},
            "status": {"podIPs": ips},
        })
    });
    let policies = model
        .policies
        .iter()
        .enumerate()
        .map(|(i, (namespace, spec))| {
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": format!("policy-{i}"), "namespace": namespace}, "spec": spec,
            })
        });
    let items: Vec<Value> = namespaces.chain(pods).chain(policies).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn holds(decision: &Decision<'_>, address: IpAddr, port: &Ports) -> bool {
    match &decision.open {
        Part::Ports(ports) => port.difference(ports).is_empty(),
        Part::AddressPortSet(region) => region.pieces().any(|(addresses, ports)| {
            addresses.contains(address) && port.difference(ports).is_empty()
        }),
    }
}

/// A hundred worlds, or as many as PROPTEST_CASES says.
pub(crate) fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return default;
    }
    ProptestConfig {
        cases: 100,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    fn both_readings_agree_on_every_packet(naive in model()) {
        let text = manifest_of(&naive);
        let model = reader::read(text.as_bytes(), "random", "default").unwrap();
        let outside: Vec<IpAddr> = OUTSIDE.iter().map(|a| a.parse().unwrap()).collect();
        // Everyone at each of their addresses.
        let mut ends: Vec<(Option<&NaivePod>, IpAddr, Endpoint)> = Vec::new();
        for pod in &naive.pods {
            let ours = model.pod(&pod.namespace, &pod.name).unwrap();
            for address in &pod.addresses {
                let endpoint = Endpoint { pod: Some(ours.clone()), addresses: (*address).into() };
                ends.push((Some(pod), *address, endpoint));
            }
        }
        for address in &outside {
            ends.push((None, *address, Endpoint::outside((*address).into())));
        }
        let everywhere = |pod: Option<&NaivePod>| match pod {
            Some(pod) => Endpoint::pod(model.pod(&pod.namespace, &pod.name).unwrap().clone()),
            None => Endpoint::outside(AddressSet::all()),
        };
        for (from, from_ip, from_end) in &ends {
            for (to, to_ip, to_end) in &ends {
                if from_ip.is_ipv4() != to_ip.is_ipv4() {
                    continue;
                }
                // The same question as a set: every port, at every address of both.
                let (wide_from, wide_to) = (everywhere(*from), everywhere(*to));
                let wide = model.policies().check(&wide_from, &wide_to, &Ports::all_numbers());
                for protocol in PROTOCOLS {
                    for port in PORTS {
                        let packet = Packet { from: (*from, *from_ip), to: (*to, *to_ip), protocol, port };
                        let ports = Ports::numbers(
                            protocol.parse::<Protocol>().unwrap(),
                            PortNumbers::span(port, port),
                        );
                        let ours = model.policies().check(from_end, to_end, &ports);
                        let egress = naive_direction(&naive, true, &packet);
                        let ingress = naive_direction(&naive, false, &packet);
                        let told = format!("{from_ip} to {to_ip} {port}/{protocol}");
                        prop_assert_eq!(ours.egress.extent() == Extent::All, egress, "egress {}", &told);
                        prop_assert_eq!(ours.ingress.extent() == Extent::All, ingress, "ingress {}", &told);
                        prop_assert_eq!(ours.allowed(), egress && ingress);
                        prop_assert_eq!(holds(&wide.egress, *to_ip, &ports), egress, "wide egress {}", &told);
                        prop_assert_eq!(holds(&wide.ingress, *from_ip, &ports), ingress, "wide ingress {}", &told);
                        // An open side names its rules, unless no policy has a say.
                        prop_assert!(!egress || !ours.egress.rules.is_empty() || ours.egress.why != Why::Rules);
                    }
                }
            }
        }
    }

    fn open_and_closed_make_up_the_question(naive in model(), cidr in select(CIDRS.to_vec())) {
        let text = manifest_of(&naive);
        let model = reader::read(text.as_bytes(), "random", "default").unwrap();
        let asked: AddressSet = parse_net(cidr).unwrap().into();
        for pod in model.pods() {
            let (pod, there) = (Endpoint::pod(pod.clone()), Endpoint::outside(asked.clone()));
            let verdict = model.policies().check(&pod, &there, &Ports::all_numbers());
            let decision = &verdict.egress;
            if let (Part::AddressPortSet(open), Part::AddressPortSet(closed)) = (&decision.open, &decision.closed) {
                prop_assert!(open.intersection(closed).is_empty());
                let mut all = open.clone();
                for (addresses, ports) in closed.pieces() {
                    all.add(addresses, ports);
                }
                let addresses: Vec<_> = all.pieces().collect();
                prop_assert_eq!(addresses.len(), 1);
                // A union of all numbers of a protocol has the names of its ports too.
                prop_assert!(Ports::all_numbers().difference(addresses[0].1).is_empty());
            }
        }
    }

    fn a_difference_is_what_one_allows_and_the_other_does_not(
        naive in model(),
        others in prop::collection::vec(policy(), 0..6),
    ) {
        let changed = NaiveWorld { policies: others, ..naive.clone() };
        let read = |naive: &NaiveWorld| {
            reader::read(manifest_of(naive).as_bytes(), "random", "default").unwrap()
        };
        let (old_world, new_world) = (read(&naive), read(&changed));
        let address: Vec<IpAddr> = OUTSIDE.iter().map(|a| a.parse().unwrap()).collect();
        for pod in old_world.pods() {
            for direction in [Direction::Ingress, Direction::Egress] {
                let old = old_world.policies().allowance(pod, direction);
                let new = new_world.policies().allowance(pod, direction);
                let added = new.difference(&old);
                prop_assert!(new.difference(&new).is_empty());
                let me = Endpoint::pod(pod.clone());
                for address in &address {
                    let there = Endpoint::outside((*address).into());
                    for protocol in PROTOCOLS {
                        for port in PORTS {
                            let ports = Ports::numbers(
                                protocol.parse::<Protocol>().unwrap(),
                                PortNumbers::span(port, port),
                            );
                            let open = |model: &ClusterModel| {
                                let policies = model.policies();
                                policies.decide(direction, &me, &there, &ports).extent()
                                    == Extent::All
                            };
                            let told = added.addresses().pieces().any(|(addresses, open)| {
                                addresses.contains(*address) && ports.difference(open).is_empty()
                            });
                            prop_assert_eq!(told, open(&new_world) && !open(&old_world));
                        }
                    }
                }
                // Who is newly let in by labels is in the difference, by labels or as everyone.
                for peer in old_world.pods() {
                    let class = PodClass {
                        namespaces: Namespaces::Own(peer.namespace.clone()),
                        pods: Selector::default(),
                    };
                    let there = Endpoint {
                        pod: Some(peer.clone()),
                        addresses: AddressSet::default(),
                    };
                    let every = Ports::all_numbers();
                    let opened = |model: &ClusterModel| {
                        model.policies().decide(direction, &me, &there, &every).open.ports()
                    };
                    let gained = opened(&new_world).difference(&opened(&old_world));
                    let by_label = added
                        .pods()
                        .filter(|(class, _)| {
                            let peer_of = Peer::Pods {
                                namespaces: class.namespaces.clone(),
                                pods: class.pods.clone(),
                            };
                            peer_of.selects(peer)
                        })
                        .fold(added.everyone().clone(), |all, (_, ports)| all.union(ports));
                    let known = peer.ports.as_deref().unwrap_or_default();
                    let by_label = by_label.resolved(known);
                    let same = old_world.pods().iter().position(|p| p.name == pod.name)
                        == old_world.pods().iter().position(|p| p.name == peer.name);
                    prop_assert!(same || gained.difference(&by_label).is_empty());
                    // What is surely given to all of a namespace is given to each.
                    let sure = new.ports_for(&class).resolved(known);
                    let sure = sure.intersection(&every);
                    prop_assert!(same || sure.difference(&opened(&new_world)).is_empty());
                }
            }
        }
    }

    fn a_list_has_every_connection_and_no_other(naive in model()) {
        let text = manifest_of(&naive);
        let model = reader::read(text.as_bytes(), "random", "default").unwrap();
        let found = model.connections(&Wanted::default());
        let place_of = |pod: &NaivePod| {
            let is_in = |group: &Group| {
                group.workloads.iter().any(|w| w.namespace == pod.namespace && w.name == pod.name)
            };
            found.groups.iter().position(is_in).unwrap()
        };
        let port_of = |protocol: &str, port: u16| {
            Ports::numbers(protocol.parse::<Protocol>().unwrap(), PortNumbers::span(port, port))
        };
        let listed = |from: usize, to: usize, ports: &Ports| {
            let (from, to) = (End::Group(from), End::Group(to));
            let line = found.connections.iter().find(|c| c.from == from && c.to == to);
            line.is_some_and(|c| ports.difference(&c.ports).is_empty())
        };
        let outside = |place: usize, egress: bool, address: IpAddr, ports: &Ports| {
            found.connections.iter().any(|c| {
                let (end, other) = if egress { (&c.from, &c.to) } else { (&c.to, &c.from) };
                let is_there = match other {
                    End::Everyone => true,
                    End::Addresses(addresses) => addresses.contains(address),
                    End::Group(_) | End::Pods(_) => false,
                };
                *end == End::Group(place) && is_there && ports.difference(&c.ports).is_empty()
            })
        };
        for pod in &naive.pods {
            for (protocol, port) in PROTOCOLS.iter().flat_map(|p| PORTS.map(|n| (*p, n))) {
                let ports = port_of(protocol, port);
                for other in naive.pods.iter().filter(|other| other.name != pod.name) {
                    let mut can = false;
                    for (from, to) in pod.addresses.iter().flat_map(|a| other.addresses.iter().map(move |b| (*a, *b))) {
                        let packet = Packet { from: (Some(pod), from), to: (Some(other), to), protocol, port };
                        can |= from.is_ipv4() == to.is_ipv4()
                            && naive_direction(&naive, true, &packet)
                            && naive_direction(&naive, false, &packet);
                    }
                    let told = listed(place_of(pod), place_of(other), &ports);
                    prop_assert!(told || !can, "{} to {} {port}/{protocol}", pod.name, other.name);
                    let is_plain = pod.addresses.len() == 1
                        && other.addresses.len() == 1
                        && pod.addresses[0].is_ipv4() == other.addresses[0].is_ipv4();
                    prop_assert!(!is_plain || can == told, "{} to {} {port}/{protocol}", pod.name, other.name);
                }
                for address in OUTSIDE.iter().map(|a| a.parse::<IpAddr>().unwrap()) {
                    for egress in [true, false] {
                        let (me, them) = ((Some(pod), pod.addresses[0]), (None, address));
                        let (from, to) = if egress { (me, them) } else { (them, me) };
                        let can = naive_direction(&naive, egress, &Packet { from, to, protocol, port });
                        prop_assert_eq!(outside(place_of(pod), egress, address, &ports), can);
                    }
                }
            }
        }
    }

    fn nothing_that_is_read_makes_it_panic(text in "\\PC{0,60}", words in "[-a-z0-9:/,=\\[\\].*\"\n]{0,40}") {
        for text in [&text, &words] {
            let _ = parse_destination(text, &VOCABULARY);
            let _ = probe::read(text);
            let _ = assertions::read(text, "random", &VOCABULARY);
            let header = format!("from,to,protocol,port\n{text}");
            let _ = probe::read(&header).map(|probes| {
                probe::run(probes, &ClusterModel::default(), &QueryScope::default()).is_ok()
            });
            let policy = format!("kind: NetworkPolicy\nspec: {text}");
            let _ = reader::read(policy.as_bytes(), "random", "default");
        }
    }
}

crate::registry::tests! {
    fast: [
        both_readings_agree_on_every_packet,
        open_and_closed_make_up_the_question,
        a_difference_is_what_one_allows_and_the_other_does_not,
        a_list_has_every_connection_and_no_other,
        nothing_that_is_read_makes_it_panic,
    ],
}
