//! The starter file of expectations: the documented policies of every edition pass it, and a rule
//! that opens more than they do makes an expectation fail.
//!
//! Each mutation adds one rule to one of the two policies. What it opens is said beside it by hand,
//! so nothing here is decided by the code that is tested.

use std::fs;

use netpol::assertions::{self, Expectation};
use netpol::model::cluster::ClusterModel;
use netpol::model::policy::Policy;
use netpol::query::QueryScope;
use serde_json::{Value, json};
use vcluster_netpol::vcluster::actors::VOCABULARY;
use vcluster_netpol::vcluster::edition::Edition;
use vcluster_netpol::{Options, render};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/expectations.yaml");

/// A config that enables the policies, and nothing else.
const CHART: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: vc-config-a\n  namespace: \
                     team-a\n  labels: {app: vcluster, release: a}\nstringData:\n  config.yaml: \
                     '{policies: {networkPolicy: {enabled: true}}}'\n";

fn expectations() -> Vec<Expectation> {
    let text = fs::read_to_string(FILE).unwrap();
    assertions::read(&text, FILE, &VOCABULARY).unwrap()
}

/// The policies that the filter makes for an edition, workloads first.
fn made(edition: Edition, companions: bool) -> Vec<Value> {
    let options = Options {
        edition: Some(edition),
        companions,
        ..Options::default()
    };
    let output = render(CHART.as_bytes(), &options).unwrap();
    let text = String::from_utf8(output.pieces.concat()).unwrap();
    let documents = text.split("\n---\n");
    documents
        .map(|document| serde_yaml::from_str::<Value>(document).unwrap_or_default())
        .filter(|object| object["kind"] == "NetworkPolicy")
        .collect()
}

/// The documented policies of an edition, workloads first.
fn documented(edition: Edition) -> [Value; 2] {
    made(edition, false).try_into().unwrap()
}

/// The first expectation that fails for some policies.
fn failed(policies: &[Value], expectations: &[Expectation]) -> Option<String> {
    let read = |policy: &Value| {
        let name = policy["metadata"]["name"].as_str().unwrap();
        let spec = serde_json::from_value(policy["spec"].clone()).unwrap();
        Policy::read("team-a", name, Some(&spec)).unwrap()
    };
    let model = ClusterModel::from(policies.iter().map(read).collect::<Vec<_>>());
    let scope = QueryScope {
        vocabulary: &VOCABULARY,
        ..QueryScope::default()
    };
    expectations.iter().find_map(|expectation| {
        let one = std::slice::from_ref(expectation);
        let outcomes = assertions::run(one, &model, &scope).unwrap();
        let failed = outcomes.into_iter().find(|outcome| !outcome.passed)?;
        Some(format!(
            "{} -> {}: {}",
            failed.from, failed.to, failed.detail
        ))
    })
}

fn the_documented_policies_of_each_edition_pass() {
    let expectations = expectations();
    for edition in Edition::all() {
        for companions in [false, true] {
            let policies = made(edition, companions);
            assert_eq!(policies.len(), if companions { 4 } else { 2 });
            let failed = failed(&policies, &expectations);
            assert_eq!(failed, None, "{}", edition.name);
        }
    }
}

/// A peer, and whether a rule for it opens something to somebody else than the virtual cluster,
/// whatever its ports are: for workloads in, workloads out, control plane in, control plane out.
type Case = (Value, [bool; 4]);

const NEVER: [bool; 4] = [false; 4];
const ALWAYS: [bool; 4] = [true; 4];

fn pods(labels: &Value) -> Value {
    json!({ "podSelector": { "matchLabels": labels } })
}

fn pods_in(namespaces: &Value, labels: &Value) -> Value {
    json!({
        "podSelector": { "matchLabels": labels },
        "namespaceSelector": { "matchLabels": namespaces },
    })
}

fn block(cidr: &str) -> Value {
    json!({ "ipBlock": { "cidr": cidr } })
}

fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
    let mut expression = json!({ "key": key, "operator": operator });
    if !values.is_empty() {
        expression["values"] = json!(values);
    }
    json!({ "matchExpressions": [expression] })
}

/// Peers that are, or can be, pods of somebody else.
fn peers_of_others() -> Vec<Value> {
    let name = |name: &str| json!({ "kubernetes.io/metadata.name": name });
    let managed_by = "vcluster.loft.sh/managed-by";
    vec![
        json!({ "podSelector": {} }),
        json!({ "namespaceSelector": {} }),
        json!({ "namespaceSelector": {}, "podSelector": {} }),
        pods(&json!({ "app": "web" })),
        pods(&json!({ "release": "b" })),
        pods(&json!({ managed_by: "b" })),
        pods(&json!({ "app": "vcluster" })),
        json!({ "podSelector": expression(managed_by, "Exists", &[]) }),
        json!({ "podSelector": expression(managed_by, "NotIn", &["a"]) }),
        json!({ "podSelector": expression(managed_by, "In", &["a", "b"]) }),
        json!({ "podSelector": expression(managed_by, "DoesNotExist", &[]) }),
        json!({ "podSelector": expression("release", "Exists", &[]) }),
        json!({ "podSelector": expression("app", "NotIn", &["loft", "vcluster"]) }),
        json!({ "namespaceSelector": expression("kubernetes.io/metadata.name", "Exists", &[]) }),
        json!({ "namespaceSelector": expression("kubernetes.io/metadata.name", "NotIn", &["team-a"]) }),
        json!({ "namespaceSelector": expression("team", "DoesNotExist", &[]) }),
        json!({ "namespaceSelector": {}, "podSelector": { "matchLabels": { managed_by: "a" } } }),
        json!({ "namespaceSelector": {}, "podSelector": { "matchLabels": { "release": "a" } } }),
        json!({ "namespaceSelector": { "matchLabels": name("kube-system") } }),
        json!({ "namespaceSelector": { "matchLabels": name("team-b") } }),
        json!({ "namespaceSelector": { "matchLabels": { "team": "a" } } }),
        pods_in(&name("monitoring"), &json!({ "app": "prometheus" })),
        pods_in(&name("kube-system"), &json!({ "app": "metrics-server" })),
        pods_in(&json!({ "team": "a" }), &json!({ managed_by: "a" })),
        pods_in(&name("team-b"), &json!({ managed_by: "b" })),
        json!({ "namespaceSelector": expression("team", "NotIn", &["b"]) }),
        json!({ "namespaceSelector": expression("team", "Exists", &[]) }),
        json!({
            "namespaceSelector": expression("kubernetes.io/metadata.name", "NotIn", &["team-b"]),
            "podSelector": expression("app", "Exists", &[]),
        }),
        json!({
            "namespaceSelector": expression("team", "Exists", &[]),
            "podSelector": expression(managed_by, "NotIn", &["a"]),
        }),
    ]
}

/// Peers by labels.
fn peers_by_label() -> Vec<Case> {
    let name = |name: &str| json!({ "kubernetes.io/metadata.name": name });
    let managed_by = "vcluster.loft.sh/managed-by";
    // Its own policy guards the control plane: that of the workloads does so only while the control
    // plane has no public address.
    let workloads = [
        pods(&json!({ managed_by: "a" })),
        pods_in(&name("team-a"), &json!({ managed_by: "a" })),
    ];
    let own = [
        pods(&json!({ managed_by: "a", "app": "web" })),
        pods(&json!({ managed_by: "a", "k8s-app": "vcluster-kube-dns" })),
        pods(&json!({ "release": "a", managed_by: "a" })),
        pods_in(&name("team-a"), &json!({ "release": "a" })),
    ];
    let others = peers_of_others();
    let loft =
        json!({ "namespaceSelector": {}, "podSelector": { "matchLabels": { "app": "loft" } } });
    let snapshot = pods(&json!({ "app": "vcluster-snapshot" }));
    let host_dns = pods_in(&name("kube-system"), &json!({ "k8s-app": "kube-dns" }));
    let known = [
        // The platform may talk to the control plane, both ways.
        (loft, [true, true, false, false]),
        (pods(&json!({ "app": "loft" })), [true, true, false, false]),
        // Snapshots come in from the control plane's own namespace.
        (snapshot, [true, true, false, true]),
        (
            json!({ "namespaceSelector": {}, "podSelector": { "matchLabels": { "app": "vcluster-snapshot" } } }),
            ALWAYS,
        ),
        (host_dns, [true, true, true, false]),
    ];
    let own = own.into_iter().map(|peer| (peer, NEVER));
    let others = others.into_iter().map(|peer| (peer, ALWAYS));
    let workloads = workloads.map(|peer| (peer, [false, false, true, false]));
    (own.chain(others).chain(known)).chain(workloads).collect()
}

/// Peers by address.
fn peers_by_address() -> Vec<Case> {
    // Public IPv4 is what workloads reach anyway.
    let public = [
        "8.8.8.8/32",
        "1.0.0.0/8",
        "169.254.169.254/32",
        "203.0.113.0/24",
    ];
    let closed = [
        "0.0.0.0/0",
        "0.0.0.0/1",
        "10.0.0.0/8",
        "10.96.0.1/32",
        "172.16.0.0/12",
        "172.31.255.255/32",
        "192.168.0.0/16",
        "192.168.1.1/32",
        "100.64.0.0/10",
        "100.100.100.200/32",
        "127.0.0.1/32",
        "::/0",
        "2000::/3",
        "2001:db8::/32",
        "fc00::/7",
        "fd00:ec2::254/128",
        "fe80::/10",
        "::1/128",
        "2001:db8::1/128",
        "fd00::/8",
        "8000::/1",
    ];
    // The private range that lies between the excepts is open.
    let gaps = [
        json!({ "cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "192.168.0.0/16"] }),
        json!({ "cidr": "10.0.0.0/8", "except": ["10.0.0.0/9", "10.128.0.0/10"] }),
        json!({ "cidr": "::/0", "except": ["2000::/3"] }),
    ];
    let gaps = gaps.map(|gap| (json!({ "ipBlock": gap }), ALWAYS));
    let public = public
        .into_iter()
        .map(|cidr| (block(cidr), [true, false, true, true]));
    let closed = closed.into_iter().map(|cidr| (block(cidr), ALWAYS));
    public.chain(closed).chain(gaps).collect()
}

/// Ports of a rule, and whether they are those that everybody may use anyway: for the control plane
/// in (8443, as the newer edition opens it) and out (those of API servers).
fn ports() -> Vec<(Value, [bool; 2])> {
    vec![
        (json!([{ "port": 2379 }]), [false, false]),
        (json!([{ "port": 443 }]), [false, true]),
        (json!([{ "port": 8443, "protocol": "TCP" }]), [true, true]),
        (json!([{ "port": 53, "protocol": "UDP" }]), [false, false]),
        (
            json!([{ "port": 8443, "protocol": "SCTP" }]),
            [false, false],
        ),
        (json!([{ "port": 8000, "endPort": 9000 }]), [false, false]),
        (json!([{ "port": "https" }]), [false, false]),
        (json!([{ "protocol": "UDP" }]), [false, false]),
        (json!([{ "port": 8443, "endPort": 8444 }]), [false, false]),
        (json!([{ "port": 2379, "endPort": 2380 }]), [false, false]),
    ]
}

/// One more rule, and whether it opens something to somebody else.
struct Mutation {
    workloads: bool,
    ingress: bool,
    rule: Value,
    opens: bool,
}

/// Every peer with every port, and some of them with each kind of ports.
fn mutations(with_ports: bool) -> Vec<Mutation> {
    let mut mutations = Vec::new();
    let everybody = (Value::Null, ALWAYS);
    let cases = peers_by_label().into_iter().chain(peers_by_address());
    for (number, (peer, opens)) in cases.chain([everybody]).enumerate() {
        for (side, opens) in opens.into_iter().enumerate() {
            let (workloads, ingress) = (side < 2, side % 2 == 0);
            let every = (json!(null), [false, false]);
            let some = if with_ports && number % 7 == 0 {
                ports()
            } else {
                Vec::new()
            };
            for (ports, is_open_anyway) in std::iter::once(every).chain(some) {
                let anyway = !workloads && is_open_anyway[usize::from(!ingress)];
                // An address has no port names, so a rule with one lets no address in or out.
                let is_name = ports[0]["port"].is_string();
                let is_idle = is_name && !ingress && peer.get("ipBlock").is_some();
                let mut rule = json!({});
                if !peer.is_null() {
                    rule[if ingress { "from" } else { "to" }] = json!([peer]);
                }
                if !ports.is_null() {
                    rule["ports"] = ports;
                }
                mutations.push(Mutation {
                    workloads,
                    ingress,
                    rule,
                    opens: opens && !anyway && !is_idle,
                });
            }
        }
    }
    mutations
}

/// Whether a rule names a port at private addresses, which pods can have: there the name can be any
/// number.
fn names_a_port_of_pods(rule: &Value) -> bool {
    let cidr = rule["to"][0]["ipBlock"]["cidr"]
        .as_str()
        .unwrap_or_default();
    let private = [
        "0.0.0.0/0",
        "0.0.0.0/1",
        "10.",
        "172.",
        "192.168.",
        "100.",
        "::/0",
        "fc00",
        "fd00",
    ];
    let is_name = rule["ports"][0]["port"].is_string();
    is_name && private.iter().any(|start| cidr.starts_with(start))
}

fn every_rule_that_opens_more_makes_an_expectation_fail() {
    let expectations = expectations();
    let mut wrong = Vec::new();
    for edition in Edition::all() {
        let mutations = mutations(edition == Edition::newest());
        assert!(mutations.len() > 200, "{}", mutations.len());
        let documented = documented(edition);
        let opening = mutations.iter().filter(|mutation| mutation.opens).count();
        assert!(opening > 150 && opening < mutations.len(), "{opening}");
        for mutation in &mutations {
            let mut policies = documented.clone();
            let policy = &mut policies[usize::from(!mutation.workloads)];
            let direction = if mutation.ingress {
                "ingress"
            } else {
                "egress"
            };
            let rules = policy["spec"][direction].as_array_mut().unwrap();
            rules.push(mutation.rule.clone());
            let opens =
                mutation.opens || (!mutation.ingress && names_a_port_of_pods(&mutation.rule));
            let failed = failed(&policies, &expectations);
            if failed.is_some() != opens {
                let (edition, rule) = (edition.name, &mutation.rule);
                let name = &policies[usize::from(!mutation.workloads)]["metadata"]["name"];
                wrong.push(format!("{edition} {name} {direction} {rule}: {failed:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong: {wrong:#?}", wrong.len());
}

/// One more policy beside the documented ones. Whatever pods of the virtual cluster it selects, what
/// it lets through is seen.
fn a_policy_that_opens_more_to_some_pods_makes_an_expectation_fail() {
    let expectations = expectations();
    let managed_by = "vcluster.loft.sh/managed-by";
    let selectors = [
        (json!({}), true),
        (json!({ "matchLabels": { "app": "web" } }), true),
        (
            json!({ "matchLabels": { managed_by: "a", "app": "web" } }),
            true,
        ),
        (
            json!({ "matchLabels": { "release": "a", "app": "etcd" } }),
            true,
        ),
        (
            json!({ "matchExpressions": [{ "key": "app", "operator": "NotIn", "values": ["x"] }] }),
            true,
        ),
        (json!({ "matchLabels": { "release": "b" } }), false),
        (
            json!({ "matchLabels": { managed_by: "b", "app": "web" } }),
            false,
        ),
        (
            json!({ "matchLabels": { managed_by: "a", "release": "b" } }),
            false,
        ),
    ];
    let rules = [
        json!({ "ingress": [{}] }),
        json!({ "ingress": [{ "from": [{ "podSelector": {} }], "ports": [{ "port": 2379 }] }] }),
        json!({ "policyTypes": ["Egress"], "egress": [{ "to": [block("10.0.0.0/8")], "ports": [{ "port": 22 }] }] }),
        json!({ "egress": [{ "to": [{ "namespaceSelector": {} }] }] }),
    ];
    for edition in Edition::all() {
        for (selector, is_own) in &selectors {
            for rule in &rules {
                let mut spec = rule.clone();
                spec["podSelector"] = selector.clone();
                let other = json!({ "metadata": { "name": "other" }, "spec": spec });
                let [workload, control_plane] = documented(edition);
                let failed = failed(&[workload, control_plane, other], &expectations);
                assert_eq!(failed.is_some(), *is_own, "{selector} {rule}: {failed:?}");
            }
        }
    }
}

crate::registry::tests! {
    fast: [
        the_documented_policies_of_each_edition_pass,
        every_rule_that_opens_more_makes_an_expectation_fail,
        a_policy_that_opens_more_to_some_pods_makes_an_expectation_fail,
    ],
}
