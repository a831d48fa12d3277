//! Random policies of the whole cluster beside random NetworkPolicies, judged twice: by the
//! evaluator, and one packet at a time, as the API documentation of the tiers reads.

use std::fmt::Write as _;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use manifest::diagnostic::Diagnostic;
use netpol::evaluate::Extent;
use netpol::model::pod::Endpoint;
use netpol::model::policy::Direction;
use netpol::model::reader;
use netpol::sets::ports::{PortNumbers, Ports, Protocol};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::reach_random::{
    NaivePod, NaiveWorld, OUTSIDE, PORTS, PROTOCOLS, Packet, manifest_of, model, naive_cidr,
    naive_network_policies, naive_selector, selector,
};

const CIDRS: [&str; 5] = [
    "0.0.0.0/0",
    "10.0.0.0/29",
    "10.0.0.4/30",
    "::/0",
    "fd00::4/126",
];

// ---- the second opinion ----

fn selects(selector: &Value, labels: &std::collections::BTreeMap<String, String>) -> bool {
    let selector: LabelSelector = serde_json::from_value(selector.clone()).unwrap();
    naive_selector(&selector, labels)
}

fn is_peer(world: &NaiveWorld, peer: &Value, who: (Option<&NaivePod>, IpAddr)) -> bool {
    if let Some(networks) = peer["networks"].as_array() {
        return networks
            .iter()
            .any(|net| naive_cidr(net.as_str().unwrap(), who.1));
    }
    let Some(pod) = who.0 else { return false };
    let namespace = &world.namespaces[&pod.namespace];
    if peer["namespaces"].is_object() {
        return selects(&peer["namespaces"], namespace);
    }
    selects(&peer["pods"]["namespaceSelector"], namespace)
        && selects(&peer["pods"]["podSelector"], &pod.labels)
}

fn is_port(port: &Value, packet: &Packet<'_>) -> bool {
    let number = i64::from(packet.port);
    let within = |low: &Value, high: &Value| {
        low.as_i64().unwrap() <= number && number <= high.as_i64().unwrap()
    };
    for key in ["namedPort", "destinationNamedPort"] {
        if let Some(name) = port[key].as_str() {
            let own = (name.to_owned(), packet.protocol, packet.port);
            return packet.to.0.is_some_and(|pod| pod.ports.contains(&own));
        }
    }
    if port["portNumber"].is_object() {
        let port = &port["portNumber"];
        return port["protocol"] == packet.protocol && within(&port["port"], &port["port"]);
    }
    if port["portRange"].is_object() {
        let port = &port["portRange"];
        return port["protocol"] == packet.protocol && within(&port["start"], &port["end"]);
    }
    let own = &port[packet.protocol.to_lowercase()]["destinationPort"];
    match (own["number"].is_number(), own["range"].is_object()) {
        (true, _) => within(&own["number"], &own["number"]),
        (_, true) => within(&own["range"]["start"], &own["range"]["end"]),
        _ => false,
    }
}

/// What the first matching rule of a tier does.
fn first_match<'v>(
    world: &NaiveWorld,
    policies: &'v [Value],
    tier: &str,
    egress: bool,
    packet: &Packet<'_>,
) -> Option<&'v str> {
    let (subject, peer) = if egress {
        (packet.from, packet.to)
    } else {
        (packet.to, packet.from)
    };
    let own_tier = |policy: &Value| match policy["kind"].as_str().unwrap() {
        "AdminNetworkPolicy" => "Admin".to_owned(),
        "BaselineAdminNetworkPolicy" => "Baseline".to_owned(),
        _ => policy["spec"]["tier"].as_str().unwrap().to_owned(),
    };
    let mut ordered: Vec<&Value> = policies.iter().filter(|p| own_tier(p) == tier).collect();
    // The one without a priority comes last: it is the only one of its kind.
    ordered.sort_by_key(|p| p["spec"]["priority"].as_i64().unwrap_or(i64::MAX));
    for policy in ordered {
        let spec = &policy["spec"];
        if !is_peer(world, &spec["subject"], subject) {
            continue;
        }
        let (list, side) = if egress {
            ("egress", "to")
        } else {
            ("ingress", "from")
        };
        for rule in spec[list].as_array().into_iter().flatten() {
            let peers = rule[side].as_array().unwrap();
            let ports = rule.get("ports").or_else(|| rule.get("protocols"));
            let ports = ports.and_then(Value::as_array);
            if peers.iter().any(|p| is_peer(world, p, peer))
                && ports.is_none_or(|ports| ports.iter().any(|port| is_port(port, packet)))
            {
                return rule["action"].as_str();
            }
        }
    }
    None
}

fn naive(world: &NaiveWorld, policies: &[Value], egress: bool, packet: &Packet<'_>) -> bool {
    let (subject, peer) = if egress {
        (packet.from.0, packet.to.0)
    } else {
        (packet.to.0, packet.from.0)
    };
    let Some(pod) = subject else { return true };
    if peer.is_some_and(|other| std::ptr::eq(other, pod)) {
        return true;
    }
    match first_match(world, policies, "Admin", egress, packet) {
        Some("Accept" | "Allow") => return true,
        Some("Deny") => return false,
        _ => {}
    }
    if let Some(allowed) = naive_network_policies(world, egress, packet) {
        return allowed;
    }
    !matches!(
        first_match(world, policies, "Baseline", egress, packet),
        Some("Deny")
    )
}

// ---- random policies ----

fn peer(networks: bool) -> impl Strategy<Value = Value> {
    let pods = prop_oneof![
        selector().prop_map(|n| json!({"namespaces": n})),
        (selector(), selector())
            .prop_map(|(n, p)| json!({"pods": {"namespaceSelector": n, "podSelector": p}})),
    ];
    let nets = subsequence(CIDRS.to_vec(), 1..3).prop_map(|nets| json!({"networks": nets}));
    let weight = u32::from(networks);
    prop_oneof![3 => pods.clone(), weight => nets, 1 => pods]
}

fn port(is_cluster: bool) -> impl Strategy<Value = Value> {
    let protocol = || select(PROTOCOLS.to_vec());
    let number = || select(PORTS.to_vec());
    prop_oneof![
        (protocol(), number()).prop_map(move |(p, n)| if is_cluster {
            json!({p.to_lowercase(): {"destinationPort": {"number": n}}})
        } else {
            json!({"portNumber": {"protocol": p, "port": n}})
        }),
        (protocol(), number(), number()).prop_map(move |(p, a, b)| {
            let (low, high) = (a.min(b), a.max(b));
            if is_cluster && low == high {
                json!({p.to_lowercase(): {"destinationPort": {"number": low}}})
            } else if is_cluster {
                json!({p.to_lowercase(): {"destinationPort": {"range": {"start": low, "end": high}}}})
            } else {
                json!({"portRange": {"protocol": p, "start": low, "end": high}})
            }
        }),
        select(vec!["http", "dns"]).prop_map(move |name| if is_cluster {
            json!({"destinationNamedPort": name})
        } else {
            json!({"namedPort": name})
        }),
    ]
}

fn rules(kind: &'static str, egress: bool) -> impl Strategy<Value = Vec<Value>> {
    let is_cluster = kind == "ClusterNetworkPolicy";
    let actions = match kind {
        "ClusterNetworkPolicy" => vec!["Accept", "Deny", "Pass"],
        "AdminNetworkPolicy" => vec!["Allow", "Deny", "Pass"],
        _ => vec!["Allow", "Deny"],
    };
    let side = if egress { "to" } else { "from" };
    let field = if is_cluster { "protocols" } else { "ports" };
    let rule = (
        select(actions),
        prop::collection::vec(peer(egress), 1..3),
        prop::option::of(prop::collection::vec(port(is_cluster), 1..3)),
    )
        .prop_map(move |(action, peers, ports)| match ports {
            Some(ports) => json!({"action": action, side: peers, field: ports}),
            None => json!({"action": action, side: peers}),
        });
    prop::collection::vec(rule, 0..4)
}

fn policy() -> impl Strategy<Value = Value> {
    let kinds = vec![
        "ClusterNetworkPolicy",
        "ClusterNetworkPolicy",
        "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy",
    ];
    select(kinds).prop_flat_map(|kind| {
        (
            peer(false),
            rules(kind, false),
            rules(kind, true),
            select(vec!["Admin", "Baseline"]),
        )
            .prop_map(move |(subject, ingress, egress, tier)| {
                let mut spec = json!({"subject": subject, "ingress": ingress, "egress": egress});
                if kind == "ClusterNetworkPolicy" {
                    spec["tier"] = json!(tier);
                }
                let version = if kind == "ClusterNetworkPolicy" {
                    "v1alpha2"
                } else {
                    "v1alpha1"
                };
                json!({
                    "apiVersion": format!("policy.networking.k8s.io/{version}"),
                    "kind": kind, "metadata": {"name": "default"}, "spec": spec,
                })
            })
    })
}

/// Policies with names and priorities of their own; at most one baseline policy of the old kind.
fn policies() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec((policy(), 0..1000_i64), 0..5).prop_map(|all| {
        let mut found: Vec<Value> = Vec::new();
        for (mut policy, priority) in all {
            let is_baseline = policy["kind"] == "BaselineAdminNetworkPolicy";
            if is_baseline && found.iter().any(|p| p["kind"] == policy["kind"]) {
                continue;
            }
            if !is_baseline {
                if found.iter().any(|p| p["spec"]["priority"] == priority) {
                    continue;
                }
                policy["spec"]["priority"] = json!(priority);
                policy["metadata"]["name"] = json!(format!("p{}", found.len()));
            }
            found.push(policy);
        }
        found
    })
}

proptest! {
    #![proptest_config(crate::reach_random::config())]

    fn both_readings_of_the_tiers_agree_on_every_packet(world in model(), tiers in policies()) {
        let mut text = manifest_of(&world);
        for policy in &tiers {
            let _ = write!(text, "\n---\n{policy}");
        }
        let model = reader::read(text.as_bytes(), "random", "default").unwrap();
        let is_of_tier = |w: &&Diagnostic| {
            let object = w.place.object.as_deref().unwrap_or_default();
            !object.starts_with("NetworkPolicy")
        };
        prop_assert_eq!(model.warnings().iter().find(is_of_tier), None);
        let mut ends: Vec<(Option<&NaivePod>, IpAddr, Endpoint)> = Vec::new();
        for pod in &world.pods {
            let ours = model.pod(&pod.namespace, &pod.name).unwrap();
            for address in &pod.addresses {
                let endpoint = Endpoint { pod: Some(ours.clone()), addresses: (*address).into() };
                ends.push((Some(pod), *address, endpoint));
            }
        }
        for address in OUTSIDE.map(|a| a.parse::<IpAddr>().unwrap()) {
            ends.push((None, address, Endpoint::outside(address.into())));
        }
        for (from, from_address, source) in &ends {
            for (to, to_address, destination) in &ends {
                if from_address.is_ipv4() != to_address.is_ipv4() {
                    continue;
                }
                for (protocol, port) in PROTOCOLS.iter().flat_map(|p| PORTS.map(|n| (*p, n))) {
                    let packet = Packet {
                        from: (*from, *from_address),
                        to: (*to, *to_address),
                        protocol,
                        port,
                    };
                    let ports = Ports::numbers(
                        protocol.parse::<Protocol>().unwrap(),
                        PortNumbers::span(port, port),
                    );
                    for (egress, direction) in [(true, Direction::Egress), (false, Direction::Ingress)] {
                        let (me, other) = if egress { (source, destination) } else { (destination, source) };
                        let decision = model.policies().decide(direction, me, other, &ports);
                        prop_assert_eq!(
                            decision.extent() == Extent::All,
                            naive(&world, &tiers, egress, &packet),
                            "{} from {} to {} on {}/{}", direction, from_address, to_address, port, protocol
                        );
                    }
                }
            }
        }
    }
}

crate::registry::tests! {
    fast: [both_readings_of_the_tiers_agree_on_every_packet],
}
