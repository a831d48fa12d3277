//! The worst tenant, against tenants that are tried one by one: random policies, every label set that
//! they tell apart, and the evaluator's verdict for each.

use std::collections::BTreeSet;
use std::sync::Arc;

use netpol::evaluate::{Extent, Policies};
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::Direction;
use netpol::model::reader;
use netpol::sets::ports::{NamedPort, PortNumbers, Ports, Protocol};
use netpol::sets::selector::Labels;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use vcluster_netpol::tenant::gains::{Gain, GainedPeer};
use vcluster_netpol::tenant::reach::Space;
use vcluster_netpol::tenant::{Hole, Tenant, spaces, worst_tenants};
use vcluster_netpol::vcluster::actors::MANAGED_BY;

const VIRTUAL_NAMESPACE: &str = "vcluster.loft.sh/namespace";
const PORTS: [u16; 3] = [80, 81, 443];
const DIRECTIONS: [Direction; 2] = [Direction::Egress, Direction::Ingress];

/// What selectors may ask: labels of tenants, of their virtual namespaces, of others, and of nobody.
fn requirement() -> impl Strategy<Value = Value> {
    let is = |key: &'static str, value: &'static str| {
        Just(json!({"key": key, "operator": "In", "values": [value]}))
    };
    let app = (
        select(vec!["In", "NotIn"]),
        subsequence(vec!["x", "y"], 1..=2),
    );
    prop_oneof![
        3 => app.prop_map(|(operator, values)| json!({"key": "app", "operator": operator, "values": values})),
        1 => select(vec!["Exists", "DoesNotExist"]).prop_map(|o| json!({"key": "app", "operator": o})),
        1 => is("tier", "t"),
        3 => is(MANAGED_BY, "a"),
        1 => is(MANAGED_BY, "b"),
        1 => Just(json!({"key": MANAGED_BY, "operator": "Exists"})),
        2 => is("release", "a"),
        1 => is(VIRTUAL_NAMESPACE, "v"),
    ]
}

fn selector() -> impl Strategy<Value = Value> {
    prop::collection::vec(requirement(), 0..3)
        .prop_map(|requirements| json!({"matchExpressions": requirements}))
}

fn peer() -> impl Strategy<Value = Value> {
    let namespaces = select(vec![
        json!(null),
        json!({}),
        json!({"matchLabels": {"kubernetes.io/metadata.name": "team"}}),
        json!({"matchLabels": {"kubernetes.io/metadata.name": "other"}}),
    ]);
    let block = select(vec!["10.0.0.0/24", "10.0.0.7/32", "203.0.113.0/24"]);
    prop_oneof![
        4 => (selector(), namespaces).prop_map(|(pods, namespaces)| match namespaces {
            Value::Null => json!({"podSelector": pods}),
            namespaces => json!({"podSelector": pods, "namespaceSelector": namespaces}),
        }),
        1 => block.prop_map(|cidr| json!({"ipBlock": {"cidr": cidr}})),
    ]
}

fn rule(side: &'static str) -> impl Strategy<Value = Value> {
    let ports = subsequence(
        vec![
            json!({"port": 80}),
            json!({"port": 81}),
            json!({"port": "web"}),
        ],
        0..=2,
    );
    (prop::collection::vec(peer(), 0..3), ports)
        .prop_map(move |(peers, ports)| json!({side: peers, "ports": ports}))
}

fn policy() -> impl Strategy<Value = Value> {
    let types = subsequence(vec!["Ingress", "Egress"], 1..=2);
    let ingress = prop::collection::vec(rule("from"), 0..3);
    let egress = prop::collection::vec(rule("to"), 0..3);
    let namespace = select(vec!["team", "team", "other"]);
    (namespace, selector(), types, ingress, egress).prop_map(
        |(namespace, pods, types, ingress, egress)| {
            json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "p", "namespace": namespace},
                "spec": {"podSelector": pods, "policyTypes": types, "ingress": ingress, "egress": egress},
            })
        },
    )
}

fn model(policies: &[Value]) -> ClusterModel {
    let mut texts = Vec::new();
    for (i, policy) in policies.iter().enumerate() {
        let mut policy = policy.clone();
        policy["metadata"]["name"] = json!(format!("p{i}"));
        texts.push(policy.to_string());
    }
    reader::read(texts.join("\n---\n").as_bytes(), "random", "team").unwrap()
}

fn labels(pairs: &[(&str, Option<&str>)]) -> Labels {
    let given = pairs
        .iter()
        .filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned())));
    given.collect()
}

/// Every pod that the tenant can create, as far as policies tell them apart.
fn tenants_pods(model: &ClusterModel) -> Vec<Arc<Pod>> {
    let mut pods = Vec::new();
    for app in [None, Some("x"), Some("y"), Some("z")] {
        for tier in [None, Some("t")] {
            for virtual_namespace in [Some("v"), Some("w")] {
                for port in PORTS {
                    let web = NamedPort {
                        name: "web".to_owned(),
                        protocol: Protocol::Tcp,
                        number: port,
                    };
                    let labels = [
                        ("app", app),
                        ("tier", tier),
                        (VIRTUAL_NAMESPACE, virtual_namespace),
                        (MANAGED_BY, Some("a")),
                    ];
                    pods.push(pod(model, "team", &labels, Some(vec![web])));
                }
            }
        }
    }
    pods
}

fn pod(
    model: &ClusterModel,
    namespace: &str,
    pairs: &[(&str, Option<&str>)],
    ports: Option<Vec<NamedPort>>,
) -> Arc<Pod> {
    Arc::new(Pod {
        namespace: namespace.to_owned(),
        namespace_labels: model.namespace_labels(namespace),
        labels: labels(pairs),
        ports,
        ..Pod::default()
    })
}

/// Who can be at the other end: pods of others in both namespaces and in one without policies, and
/// addresses.
fn peers(model: &ClusterModel) -> Vec<Endpoint> {
    let mut peers = Vec::new();
    for namespace in ["team", "other", "third"] {
        for app in [None, Some("x"), Some("y")] {
            for (key, value) in [
                ("release", Some("a")),
                (MANAGED_BY, Some("b")),
                ("tier", Some("t")),
                ("tier", None),
            ] {
                let web = NamedPort {
                    name: "web".to_owned(),
                    protocol: Protocol::Tcp,
                    number: 443,
                };
                let labels = [("app", app), (key, value)];
                peers.push(Endpoint::pod(pod(
                    model,
                    namespace,
                    &labels,
                    Some(vec![web]),
                )));
            }
        }
    }
    for address in ["10.0.0.7", "10.0.0.8", "203.0.113.1", "192.0.2.1"] {
        let address: std::net::IpAddr = address.parse().unwrap();
        peers.push(Endpoint::outside(address.into()));
    }
    peers
}

fn tcp(port: u16) -> Ports {
    Ports::numbers(Protocol::Tcp, PortNumbers::span(port, port))
}

/// Whether a tenant's pod and a peer may connect.
fn is_allowed(
    policies: &Policies,
    direction: Direction,
    pod: &Endpoint,
    peer: &Endpoint,
    ports: &Ports,
) -> bool {
    let verdict = match direction {
        Direction::Egress => policies.check(pod, peer, ports),
        Direction::Ingress => policies.check(peer, pod, ports),
    };
    verdict.extent() == Extent::All
}

fn tenant(syncs_policies: bool) -> Tenant {
    let mut tenant = Tenant::with_defaults("a", "team");
    tenant.powers.syncs_policies = syncs_policies;
    tenant
}

/// The policy that a tenant writes where its policies are synced.
fn synced() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "team"},
        "spec": {
            "podSelector": {"matchLabels": {MANAGED_BY: "a"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{}],
            "egress": [{}],
        },
    })
}

/// Every pod that a tenant can create is within the answer, and some pod reaches all of it.
fn compare_with_each_tenant(policies: &[Value], syncs_policies: bool) -> Result<(), TestCaseError> {
    let known = model(policies);
    let mut with_own = policies.to_vec();
    with_own.extend(syncs_policies.then(synced));
    let tried = model(&with_own);
    let spaces = spaces(&known, &tenant(syncs_policies));
    let space = &spaces[0];
    for direction in DIRECTIONS {
        for peer in peers(&known) {
            let most = space.most(direction, &peer);
            for port in PORTS {
                let ports = tcp(port);
                let is_reached = tenants_pods(&known).into_iter().any(|pod| {
                    let pod = Endpoint::pod(pod);
                    is_allowed(tried.policies(), direction, &pod, &peer, &ports)
                });
                let told = ports.difference(&most).is_empty();
                prop_assert_eq!(told, is_reached, "{} {:?} {}", direction, &peer, port);
            }
        }
    }
    prop_assert!(space.is_exact());
    Ok(())
}

/// Each gain has a witness; where there is no gain, no label opens anything.
fn confirm_each_gain(policies: &[Value], syncs_policies: bool) -> Result<(), TestCaseError> {
    let known = model(policies);
    let mut with_own = policies.to_vec();
    with_own.extend(syncs_policies.then(synced));
    let tried = model(&with_own);
    let answer = worst_tenants(&known, &[tenant(syncs_policies)]).remove(0);
    let spaces = spaces(&known, &tenant(syncs_policies));
    let space = &spaces[0];
    let mut has_gain = BTreeSet::new();
    for hole in &answer.holes {
        let Hole::Labels { labels, gains, .. } = hole else {
            continue;
        };
        for gain in gains {
            has_gain.insert(gain.direction);
            prop_assert_eq!(witness(&known, &tried, space, labels, gain), Ok(()));
        }
    }
    for direction in DIRECTIONS.into_iter().filter(|d| !has_gain.contains(d)) {
        for peer in peers(&known) {
            let plain = space.plain_ports(direction, &peer);
            let gained = space.most(direction, &peer).difference(&plain);
            let is_said = space.is_free(direction) || gained.is_empty();
            prop_assert!(is_said, "{} {:?} {}", direction, &peer, gained);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    fn no_tenant_reaches_more_than_the_worst_and_the_worst_is_one(
        policies in prop::collection::vec(policy(), 0..5),
        syncs_policies in any::<bool>(),
    ) {
        compare_with_each_tenant(&policies, syncs_policies)?;
    }

    fn each_gain_has_a_witness_and_without_a_gain_no_label_opens_anything(
        policies in prop::collection::vec(policy(), 0..5),
        syncs_policies in any::<bool>(),
    ) {
        confirm_each_gain(&policies, syncs_policies)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// 256 sets of policies with 48 tenants each.
    fn twelve_thousand_tenants_reach_no_more_than_the_worst(
        policies in prop::collection::vec(policy(), 0..6),
        syncs_policies in any::<bool>(),
    ) {
        compare_with_each_tenant(&policies, syncs_policies)?;
        confirm_each_gain(&policies, syncs_policies)?;
    }
}

/// Whether the evaluator confirms a gain: a pod with the labels has it.
fn witness(
    known: &ClusterModel,
    tried: &ClusterModel,
    space: &Space<'_>,
    labels: &Labels,
    gain: &Gain,
) -> Result<(), String> {
    let pod = Arc::new(Pod {
        labels: labels.clone(),
        ..Pod::clone(space.plain())
    });
    if !space.has(&pod) {
        return Err(format!("the tenant can't create {labels:?}"));
    }
    let peer = match &gain.peer {
        GainedPeer::Everyone => {
            Endpoint::outside("192.0.2.1".parse::<std::net::IpAddr>().unwrap().into())
        }
        GainedPeer::Addresses(addresses) => Endpoint::outside(addresses.clone()),
        GainedPeer::PodsOf { example, .. } => Endpoint::pod(Arc::clone(example)),
        // Some pod of the class, which is isolated by none: the reader of the gain has to find it.
        GainedPeer::Pods(_) => return Ok(()),
    };
    for port in PORTS
        .map(tcp)
        .iter()
        .filter(|port| port.difference(&gain.ports).is_empty())
    {
        let plain = Endpoint::pod(Arc::clone(space.plain()));
        let own = Endpoint::pod(Arc::clone(&pod));
        // A named port of the tenant's own pod is whatever it says.
        let is_named = gain.direction == Direction::Ingress;
        if !is_allowed(tried.policies(), gain.direction, &own, &peer, port) && !is_named {
            return Err(format!("{labels:?} does not have {gain:?}"));
        }
        if is_allowed(known.policies(), gain.direction, &plain, &peer, port) {
            return Err(format!("a plain pod has {gain:?} too"));
        }
    }
    Ok(())
}

crate::registry::tests! {
    fast: [
        no_tenant_reaches_more_than_the_worst_and_the_worst_is_one,
        each_gain_has_a_witness_and_without_a_gain_no_label_opens_anything,
    ],
    slow: [twelve_thousand_tenants_reach_no_more_than_the_worst],
}
