//! What `guard` prints, tried: each expression runs on requests that must pass and that must not,
//! and the administrator's policies are read rule by rule beside the NetworkPolicies.
//!
//! The functions for addresses that Kubernetes adds to CEL are written here once more.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use cel::extractors::This;
use cel::{Context, Env, Value as CelValue};
use manifest::documents;
use manifest::yaml::{Node, Tree};
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::reader;
use netpol::sets::addresses::{AddressSet, parse_net};
use netpol::sets::ports::{PortNumbers, Ports, Protocol};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use vcluster_netpol::filter::clusters::{self, ClusterPlan};
use vcluster_netpol::filter::{self, Options};
use vcluster_netpol::guard::{self, GuardOptions};

use crate::support::cluster::Cluster;
use crate::support::helm::{ALL, kubectl};

crate::registry::tests! {
    fast: [
        controllers_may_touch_what_was_there_before,
        embedded_dns_needs_no_pod_with_its_label,
        nothing_is_printed_for_policies_that_are_not_synced,
        nothing_that_the_config_allows_is_cut,
        pods_are_refused_that_widen_the_boundary,
        synced_policies_are_refused_that_open_more,
        synced_policies_never_open_more_than_the_config,
        the_evaluator_reads_them_alike,
        the_policies_are_protected,
        the_worst_tenant_is_closed,
    ],
    slow: [kubectl_takes_what_is_printed],
}

const CONFIG: &str = "
policies: {networkPolicy: {enabled: true}}
sync: {toHost: {networkPolicies: {enabled: true}}}
";

const SYNCER: &str = "system:serviceaccount:team-a:vc-my-vc";

/// The Secret of a virtual cluster with these values.
fn secret(name: &str, namespace: &str, values: &str) -> String {
    let values = values.replace('\n', "\n    ");
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: vc-config-{name}\n  namespace: {namespace}\n  \
         labels: {{app: vcluster, chart: vcluster-0.36.1, release: {name}, heritage: Helm}}\n\
         stringData:\n  config.yaml: |\n    {values}\n"
    )
}

/// The objects that guard the virtual clusters of a stream.
fn guarded(stream: &str, options: &GuardOptions) -> Vec<Value> {
    objects(&text(stream, options))
}

/// The same as text; made twice, it is the same to the byte.
fn text(stream: &str, options: &GuardOptions) -> String {
    let made = [(); 2].map(|()| text_once(stream, options));
    assert_eq!(made[0], made[1]);
    made[0].clone()
}

fn text_once(stream: &str, options: &GuardOptions) -> String {
    let all = Options {
        companions: true,
        ..Options::default()
    };
    let mut text = String::new();
    for cluster in clusters::clusters(stream.as_bytes(), &all).unwrap() {
        let ClusterPlan::Policies(made) = cluster.plan else {
            panic!("{:?}", cluster.summary)
        };
        text.push_str(&guard::guard(&made, options).unwrap());
    }
    text
}

fn objects(text: &str) -> Vec<Value> {
    let read = |body: &str| Tree::parse(body).unwrap().root().map(Node::to_json);
    documents::split(text.as_bytes())
        .filter_map(|document| read(&text[document.body]))
        .filter(|object| !object.is_null())
        .collect()
}

// ---- the admission policies ----

fn parsed(text: &str) -> Option<(IpAddr, u32)> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let plain = prefix
        .parse::<u32>()
        .ok()
        .filter(|p| p.to_string() == prefix)?;
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    (plain <= if address.is_ipv4() { 32 } else { 128 } && !mapped).then_some((address, plain))
}

fn masked((address, prefix): (IpAddr, u32)) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            IpAddr::V4((u32::from(v4) & u32::MAX.checked_shl(32 - prefix).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6((u128::from(v6) & u128::MAX.checked_shl(128 - prefix).unwrap_or(0)).into())
        }
    }
}

/// The standard functions, set up once.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// CEL with the functions of Kubernetes for addresses; an address and a range are their texts.
fn environment<'v>() -> Context<'static, 'v> {
    let mut context = Context::with_env(STANDARD.clone());
    let range =
        |text: &str| parsed(text).ok_or_else(|| cel::ExecutionError::function_error("cidr", text));
    let add = "a function of Kubernetes";
    context
        .add_function("isCIDR", |text: Arc<String>| parsed(&text).is_some())
        .expect(add);
    context
        .add_function("cidr", move |text: Arc<String>| {
            range(&text).map(|(a, p)| CelValue::from(format!("{a}/{p}")))
        })
        .expect(add);
    context
        .add_function("prefixLength", move |This(text): This<Arc<String>>| {
            range(&text).map(|(_, p)| i64::from(p))
        })
        .expect(add);
    context
        .add_function("ip", move |This(text): This<Arc<String>>| {
            range(&text).map(|(a, _)| CelValue::from(a.to_string()))
        })
        .expect(add);
    context
        .add_function("masked", move |This(text): This<Arc<String>>| {
            range(&text).map(|r| CelValue::from(format!("{}/{}", masked(r), r.1)))
        })
        .expect(add);
    context
        .add_function(
            "containsIP",
            move |This(text): This<Arc<String>>, ip: Arc<String>| {
                range(&text).map(|(address, prefix)| {
                    let ip: IpAddr = ip.parse().unwrap();
                    ip.is_ipv4() == address.is_ipv4()
                        && masked((ip, prefix)) == masked((address, prefix))
                })
            },
        )
        .expect(add);
    context
}

/// A request, as an admission policy sees it.
#[derive(Clone)]
struct Request {
    user: String,
    groups: Vec<String>,
    namespace: String,
    object: Value,
    old: Option<Value>,
}

impl Request {
    fn of_syncer(object: Value) -> Self {
        Self {
            user: SYNCER.to_owned(),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                "system:serviceaccounts:team-a".to_owned(),
            ],
            namespace: "team-a".to_owned(),
            object,
            old: None,
        }
    }
}

/// What the API server answers: the message of the refusal, if it is one. An expression that fails
/// refuses too, as `failurePolicy: Fail` says.
fn answer(policy: &Value, request: &Request) -> Option<String> {
    let spec = &policy["spec"];
    assert_eq!(spec["failurePolicy"], "Fail");
    let mut context = environment();
    let operation = match (&request.old, request.object.is_null()) {
        (None, _) => "CREATE",
        (Some(_), false) => "UPDATE",
        (Some(_), true) => "DELETE",
    };
    context
        .add_variable(
            "request",
            json!({
                "operation": operation,
                "namespace": request.namespace,
                "userInfo": {"username": request.user, "groups": request.groups},
            }),
        )
        .unwrap();
    context.add_variable("object", &request.object).unwrap();
    context
        .add_variable("oldObject", request.old.clone().unwrap_or_default())
        .unwrap();
    let mut variables = serde_json::Map::new();
    let run = |context: &Context<'_, '_>, expression: &Value| -> Result<CelValue, String> {
        let text = expression.as_str().unwrap();
        let program = STANDARD
            .compile(text)
            .unwrap_or_else(|e| panic!("{text}: {e}"));
        program.execute(context).map_err(|e| e.to_string())
    };
    let list = |name: &str| spec[name].as_array().cloned().unwrap_or_default();
    for condition in list("matchConditions") {
        match run(&context, &condition["expression"]) {
            Ok(CelValue::Bool(true)) => {}
            Ok(CelValue::Bool(false)) => return None,
            other => return Some(format!("{condition}: {other:?}")),
        }
    }
    for variable in list("variables") {
        let value =
            run(&context, &variable["expression"]).unwrap_or_else(|e| panic!("{variable}: {e}"));
        variables.insert(
            variable["name"].as_str().unwrap().to_owned(),
            value.json().unwrap(),
        );
        context.add_variable("variables", &variables).unwrap();
    }
    for validation in list("validations") {
        let message = validation["message"].as_str().unwrap().to_owned();
        match run(&context, &validation["expression"]) {
            Ok(CelValue::Bool(true)) => {}
            Ok(CelValue::Bool(false)) => return Some(message),
            other => return Some(format!("{message}: {other:?}")),
        }
    }
    None
}

fn policy(objects: &[Value], what: &str) -> Value {
    let name = format!("vcluster-netpol.{what}.team-a.my-vc");
    objects
        .iter()
        .find(|o| {
            o["metadata"]["name"] == name.as_str()
                && o["kind"] != "ValidatingAdmissionPolicyBinding"
        })
        .cloned()
        .unwrap_or_else(|| panic!("{name}"))
}

fn pod(labels: &Value, spec: &Value) -> Value {
    let mut all =
        json!({"vcluster.loft.sh/managed-by": "my-vc", "vcluster.loft.sh/namespace": "default"});
    all.as_object_mut()
        .unwrap()
        .extend(labels.as_object().unwrap().clone());
    json!({"metadata": {"name": "p", "namespace": "team-a", "labels": all}, "spec": spec})
}

fn pods_are_refused_that_widen_the_boundary() {
    let objects = guarded(&secret("my-vc", "team-a", CONFIG), &GuardOptions::default());
    let rules = policy(&objects, "pods");
    let answer = |request: &Request| answer(&rules, request);
    let syncer = |labels: Value, spec: Value| Request::of_syncer(pod(&labels, &spec));
    let dns = json!({"k8s-app": "vcluster-kube-dns", "vcluster.loft.sh/namespace": "kube-system"});
    for request in [
        syncer(json!({}), json!({})),
        syncer(
            json!({"app": "web", "k8s-app": "kube-dns"}),
            json!({"hostNetwork": false}),
        ),
        syncer(dns, json!({})),
    ] {
        assert_eq!(answer(&request), None, "{}", request.object);
    }
    for (labels, spec, message) in [
        (json!({"app": "loft"}), json!({}), "app=loft"),
        (
            json!({"app": "vcluster-snapshot"}),
            json!({}),
            "app=vcluster-snapshot",
        ),
        (
            json!({"k8s-app": "vcluster-kube-dns"}),
            json!({}),
            "k8s-app=vcluster-kube-dns",
        ),
        (
            json!({"vcluster.loft.sh/managed-by": "other"}),
            json!({}),
            "managed-by=my-vc",
        ),
        (
            json!({}),
            json!({"hostNetwork": true}),
            "network of the node",
        ),
    ] {
        let told = answer(&syncer(labels, spec));
        assert!(
            told.as_deref().is_some_and(|told| told.contains(message)),
            "{message}: {told:?}"
        );
    }
}

fn embedded_dns_needs_no_pod_with_its_label() {
    let config = format!("{CONFIG}controlPlane: {{coredns: {{embedded: true}}}}");
    let rules = policy(
        &guarded(
            &secret("my-vc", "team-a", &config),
            &GuardOptions::default(),
        ),
        "pods",
    );
    let labels =
        json!({"k8s-app": "vcluster-kube-dns", "vcluster.loft.sh/namespace": "kube-system"});
    let told = answer(&rules, &Request::of_syncer(pod(&labels, &json!({}))));
    assert!(told.unwrap().contains("in the control plane"));
}

fn controllers_may_touch_what_was_there_before() {
    let rules = policy(
        &guarded(&secret("my-vc", "team-a", CONFIG), &GuardOptions::default()),
        "pods",
    );
    let bad = pod(&json!({"app": "loft"}), &json!({"hostNetwork": true}));
    let of_controller = |object: Value| Request {
        user: "system:node:n1".to_owned(),
        groups: Vec::new(),
        old: Some(bad.clone()),
        ..Request::of_syncer(object)
    };
    assert_eq!(answer(&rules, &of_controller(bad.clone())), None);
    let mut other = bad.clone();
    other["metadata"]["labels"]["app"] = json!("vcluster-snapshot");
    assert!(answer(&rules, &of_controller(other.clone())).is_some());
    // What is being deleted may lose its finalizers, also by the syncer.
    other["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(
        answer(
            &rules,
            &Request {
                old: Some(bad.clone()),
                ..Request::of_syncer(other)
            }
        ),
        None
    );
    // Pods of others, in the namespace and beyond it, are not looked at.
    for (namespace, labels) in [
        ("team-a", json!({"app": "loft"})),
        (
            "team-b",
            json!({"vcluster.loft.sh/managed-by": "my-vc", "app": "loft"}),
        ),
    ] {
        let object =
            json!({"metadata": {"name": "p", "labels": labels}, "spec": {"hostNetwork": true}});
        let request = Request {
            user: "someone".to_owned(),
            namespace: namespace.to_owned(),
            ..Request::of_syncer(object)
        };
        assert_eq!(answer(&rules, &request), None, "{namespace}");
    }
}

/// A policy as the syncer writes it.
fn synced(spec: &Value) -> Value {
    let mark = json!({"matchLabels": {"vcluster.loft.sh/managed-by": "my-vc", "a": "b"}});
    let mut all = json!({"podSelector": mark, "policyTypes": ["Egress", "Ingress"]});
    all.as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    json!({"metadata": {"name": "n-x-default-x-my-vc", "namespace": "team-a", "labels": {"vcluster.loft.sh/managed-by": "my-vc"}}, "spec": all})
}

const PRIVATE: [&str; 5] = [
    "100.64.0.0/10",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
];

/// A network policy with egress to one block.
fn egress_to(cidr: &str, except: &[&str]) -> Value {
    json!({"egress": [{"to": [{"ipBlock": {"cidr": cidr, "except": except}}]}]})
}

/// Network policies that open more than the virtual cluster, with a part of the message.
fn refused_policies() -> Vec<(Value, &'static str)> {
    let mark = json!({"matchLabels": {"vcluster.loft.sh/managed-by": "my-vc"}});
    let others = json!({"matchLabels": {"vcluster.loft.sh/managed-by": "other"}});
    let many = |n: usize, item: Value| Value::from(vec![item; n]);
    let mut refused = refused_blocks();
    refused.extend([
        (json!({"egress": [{}]}), "without peers"),
        (json!({"ingress": [{"from": []}]}), "without peers"),
        (
            json!({"egress": [{"ports": [{"port": 443}]}]}),
            "without peers",
        ),
        (json!({"podSelector": {}}), "must select pods"),
        (json!({"podSelector": others}), "must select pods"),
        (
            json!({"egress": [{"to": [{"podSelector": {}}]}]}),
            "peers must be",
        ),
        (
            json!({"egress": [{"to": [{"podSelector": mark, "namespaceSelector": {}}]}]}),
            "peers must be",
        ),
        (
            json!({"ingress": [{"from": [{"namespaceSelector": {}}]}]}),
            "peers must be",
        ),
        (
            json!({"ingress": [{"from": [{"ipBlock": {"cidr": "8.8.8.8/32"}}]}]}),
            "may not reach it",
        ),
        (
            json!({"egress": many(101, json!({"to": [{"podSelector": mark}]}))}),
            "may have",
        ),
        (
            json!({"egress": [{"to": many(51, json!({"podSelector": mark}))}]}),
            "may have",
        ),
    ]);
    refused
}

/// The same for blocks of addresses.
fn refused_blocks() -> Vec<(Value, &'static str)> {
    vec![
        (egress_to("0.0.0.0/0", &[]), "opens addresses"),
        (egress_to("0.0.0.0/0", &PRIVATE[1..]), "opens addresses"),
        (egress_to("10.1.0.0/16", &[]), "opens addresses"),
        (egress_to("8.0.0.0/5", &[]), "opens addresses"),
        (
            egress_to("8.0.0.0/5", &["10.0.0.0/9", "10.128.0.0/9"]),
            "opens addresses",
        ),
        (egress_to("8.8.8.8/24", &[]), "opens addresses"),
        (egress_to("010.0.0.0/8", &[]), "opens addresses"),
        (egress_to("8.8.8.0/024", &[]), "opens addresses"),
        (egress_to("::ffff:8.8.8.8/128", &[]), "opens addresses"),
        (egress_to("::/0", &[]), "opens addresses"),
        (egress_to("2001:db8::/32", &[]), "opens addresses"),
        (
            egress_to("0.0.0.0/0", &[PRIVATE.as_slice(); 7].concat()),
            "may have",
        ),
    ]
}

fn synced_policies_are_refused_that_open_more() {
    let rules = policy(
        &guarded(&secret("my-vc", "team-a", CONFIG), &GuardOptions::default()),
        "networkpolicies",
    );
    let told = |spec: &Value| answer(&rules, &Request::of_syncer(synced(spec)));
    let mark = json!({"matchLabels": {"vcluster.loft.sh/managed-by": "my-vc"}});
    for spec in [
        json!({}),
        json!({"egress": [], "ingress": []}),
        json!({"egress": [{"to": [{"podSelector": mark}], "ports": [{"port": 80}]}], "ingress": [{"from": [{"podSelector": mark}]}]}),
        egress_to("8.8.8.8/32", &[]),
        egress_to("0.0.0.0/0", &PRIVATE),
        egress_to("0.0.0.0/0", &["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"]),
        egress_to("172.0.0.0/8", &["172.0.0.0/9"]),
    ] {
        assert_eq!(told(&spec), None, "{spec}");
    }
    for (spec, message) in refused_policies() {
        let told = told(&spec);
        assert!(
            told.as_deref().is_some_and(|told| told.contains(message)),
            "{message}: {told:?}, {spec}"
        );
    }
}

const CIDRS: [&str; 14] = [
    "0.0.0.0/0",
    "8.0.0.0/5",
    "8.0.0.0/7",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.128.0.0/9",
    "10.1.0.0/16",
    "11.0.0.0/8",
    "12.0.0.0/6",
    "10.1.2.3/32",
    "::/0",
    "fc00::/7",
    "fd00::/8",
    "2001:db8::/32",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    /// What the expressions accept is inside of what the config allows, for any config.
    fn synced_policies_never_open_more_than_the_config(
        base in select(CIDRS.to_vec()),
        base_except in proptest::collection::vec(select(CIDRS.to_vec()), 0..3),
        further in select(CIDRS.to_vec()),
        block in select(CIDRS.to_vec()),
        block_except in proptest::collection::vec(select(CIDRS.to_vec()), 0..3),
    ) {
        let set = |text: &str| -> AddressSet { parse_net(text).unwrap().into() };
        let inside = |outer: &str, list: &[&'static str]| -> Vec<&'static str> {
            let holds = |text: &&&str| **text != outer && set(text).difference(&set(outer)).is_empty();
            list.iter().filter(holds).copied().collect()
        };
        let open = |cidr: &str, except: &[&str]| except.iter().fold(set(cidr), |open, e| open.difference(&set(e)));
        let (base_except, block_except) = (inside(base, &base_except), inside(block, &block_except));
        let config = json!({"policies": {"networkPolicy": {"enabled": true, "workload": {
            "publicEgress": {"enabled": true, "cidr": base, "except": base_except},
            "egress": [{"to": [{"ipBlock": {"cidr": further}}]}, {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}],
        }}}});
        let config = json!({"sync": {"toHost": {"networkPolicies": {"enabled": true}}}, "policies": config["policies"]});
        let objects = guarded(&secret("my-vc", "team-a", &config.to_string()), &GuardOptions::default());
        let rules = policy(&objects, "networkpolicies");
        let spec = json!({"egress": [{"to": [{"ipBlock": {"cidr": block, "except": block_except}}]}]});
        let accepted = answer(&rules, &Request::of_syncer(synced(&spec))).is_none();
        let allowed = [open(base, &base_except), set(further)];
        let opened = open(block, &block_except);
        let fits = allowed.iter().any(|allowed| opened.difference(allowed).is_empty());
        prop_assert!(!accepted || fits, "{opened} was accepted beside {allowed:?}");
        // Without excepts the answer is exact.
        prop_assert!(accepted || !(fits && block_except.is_empty()), "{opened} was refused beside {allowed:?}");
    }
}

fn nothing_is_printed_for_policies_that_are_not_synced() {
    let config = "policies: {networkPolicy: {enabled: true}}";
    let objects = guarded(&secret("my-vc", "team-a", config), &GuardOptions::default());
    let names = objects
        .iter()
        .map(|object| object["metadata"]["name"].to_string());
    assert_eq!(
        names
            .filter(|name| name.contains(".networkpolicies."))
            .count(),
        0
    );
}

fn the_policies_are_protected() {
    let stream = secret("my-vc", "team-a", CONFIG);
    let ours = |name: &str| json!({"metadata": {"name": name, "namespace": "team-a"}});
    let told = |options: &GuardOptions, user: &str, group: &str, name: &str, object: Value| {
        answer(
            &policy(&guarded(&stream, options), "protection"),
            &Request {
                user: user.to_owned(),
                groups: vec![group.to_owned()],
                old: Some(ours(name)),
                ..Request::of_syncer(object)
            },
        )
    };
    let open = GuardOptions::default();
    let of_list = GuardOptions {
        allow_users: vec!["o'neil".to_owned()],
        allow_groups: vec!["platform".to_owned()],
        ..GuardOptions::default()
    };
    let own = "system:serviceaccounts:team-a";
    for name in ["vc-work-my-vc", "vc-cp-my-vc", "vc-kube-dns-my-vc"] {
        for object in [ours(name), Value::Null] {
            for (options, user, group, passes) in [
                (&open, SYNCER, own, false),
                (&open, "system:serviceaccount:team-a:default", own, false),
                (&open, "helm-user", "system:authenticated", true),
                (&of_list, SYNCER, own, false),
                (&of_list, "helm-user", "system:authenticated", false),
                (&of_list, "o'neil", "system:authenticated", true),
                (&of_list, "jane", "platform", true),
                (&of_list, "admin", "system:masters", true),
                (
                    &of_list,
                    "system:serviceaccount:kube-system:namespace-controller",
                    "x",
                    true,
                ),
                (
                    &of_list,
                    "system:serviceaccount:kube-system:generic-garbage-collector",
                    "x",
                    true,
                ),
            ] {
                assert_eq!(
                    told(options, user, group, name, object.clone()).is_none(),
                    passes,
                    "{user} {name}"
                );
            }
        }
    }
    assert_eq!(told(&of_list, SYNCER, own, "another", Value::Null), None);
}

// ---- the administrator's policies ----

/// A connection to a port of a pod, or of an address.
struct Packet<'p> {
    from: &'p Arc<Pod>,
    to: Result<&'p Arc<Pod>, IpAddr>,
    protocol: &'static str,
    port: u16,
}

/// The first action that a policy of the tier has for a packet in a direction: the plainest reading
/// of the API reference.
fn action(policy: &Value, packet: &Packet<'_>, direction: &str) -> Option<String> {
    let (subject, other) = match direction {
        "egress" => (Ok(packet.from), packet.to),
        _ => (packet.to, Ok(packet.from)),
    };
    if !selects(&policy["spec"]["subject"], subject) {
        return None;
    }
    let rules = policy["spec"][direction].as_array()?;
    let peers = if direction == "egress" { "to" } else { "from" };
    let rule = rules.iter().find(|rule| {
        let meets = |port: &Value| meets(port, packet);
        let ports = rule["protocols"].as_array().or(rule["ports"].as_array());
        rule[peers]
            .as_array()
            .unwrap()
            .iter()
            .any(|peer| selects(peer, other))
            && ports.is_none_or(|ports| ports.iter().any(meets))
    })?;
    rule["action"].as_str().map(str::to_owned)
}

fn selects(peer: &Value, end: Result<&Arc<Pod>, IpAddr>) -> bool {
    if let Some(networks) = peer["networks"].as_array() {
        let addresses = match end {
            Ok(pod) => pod.addresses.clone(),
            Err(address) => AddressSet::from(address),
        };
        let holds = |text: &Value| {
            let network: AddressSet = parse_net(text.as_str().unwrap()).unwrap().into();
            addresses.difference(&network).is_empty()
        };
        return networks.iter().any(holds);
    }
    let Ok(pod) = end else { return false };
    let matches = |selector: &Value, labels| {
        crate::reach_random::naive_selector(
            &serde_json::from_value(selector.clone()).unwrap(),
            labels,
        )
    };
    match peer.get("namespaces") {
        Some(namespaces) => matches(namespaces, &pod.namespace_labels),
        None => {
            matches(&peer["pods"]["namespaceSelector"], &pod.namespace_labels)
                && matches(&peer["pods"]["podSelector"], &pod.labels)
        }
    }
}

fn meets(port: &Value, packet: &Packet<'_>) -> bool {
    let (numbers, protocol) = match port.as_object().unwrap().iter().next().unwrap() {
        (name, value) if name.starts_with("port") => {
            (value, value["protocol"].as_str().unwrap().to_owned())
        }
        (protocol, value) => (&value["destinationPort"], protocol.to_uppercase()),
    };
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let range = if numbers["range"].is_null() {
        numbers
    } else {
        &numbers["range"]
    };
    let one = number(&numbers["number"]).max(number(&numbers["port"]));
    let (first, last) = if one > 0 {
        (one, one)
    } else {
        (number(&range["start"]), number(&range["end"]))
    };
    protocol == packet.protocol && (first..=last).contains(&u64::from(packet.port))
}

/// Whether a packet passes the tier, and then the NetworkPolicies.
fn passes(tier: &[Value], model: &ClusterModel, packet: &Packet<'_>) -> bool {
    let denied = |direction: &str| {
        tier.iter()
            .find_map(|policy| action(policy, packet, direction))
            .is_some_and(|action| action == "Deny")
    };
    !denied("egress") && !denied("ingress") && allowed(model, packet)
}

/// What the evaluator says of a packet, with all policies of a model.
fn allowed(model: &ClusterModel, packet: &Packet<'_>) -> bool {
    let to = match packet.to {
        Ok(pod) => Endpoint::pod(pod.clone()),
        Err(address) => Endpoint::outside(address.into()),
    };
    let ports = Ports::numbers(
        packet.protocol.parse::<Protocol>().unwrap(),
        PortNumbers::span(packet.port, packet.port),
    );
    let from = Endpoint::pod(packet.from.clone());
    model.policies().check(&from, &to, &ports).allowed()
}

/// Two virtual clusters of one project, a host with DNS, an ingress controller and a database; and
/// what a tenant adds.
fn world(tenant: &str) -> (ClusterModel, String) {
    let (text, stream) = world_text(tenant);
    (
        reader::read(text.as_bytes(), "world", "default").unwrap(),
        stream,
    )
}

/// The same as text, and the charts alone.
fn world_text(tenant: &str) -> (String, String) {
    let config = "
policies:
  networkPolicy:
    enabled: true
    labels: {vcluster.io/project: p}
    workload:
      ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}], ports: [{port: 80}]}]
      egress: [{to: [{ipBlock: {cidr: 10.9.0.0/16}}], ports: [{port: 5432}]}, {to: [{ipBlock: {cidr: 169.254.170.23/32}}], ports: [{port: 80}]}]
    controlPlane:
      ingress: [{from: [{podSelector: {matchLabels: {tool: backup}}, namespaceSelector: {}}], ports: [{port: 2379}]}]
sync: {toHost: {networkPolicies: {enabled: true}}}
";
    let stream = secret("my-vc", "team-a", config) + &secret("other", "team-b", config);
    let output = filter::render(
        stream.as_bytes(),
        &Options {
            companions: true,
            ..Options::default()
        },
    )
    .unwrap();
    let mut text = String::from_utf8(output.pieces.concat()).unwrap();
    text += &host_objects();
    text += tenant;
    (text, stream)
}

/// The pods of the host: namespace, name, labels, address.
const PODS: [(&str, &str, &str, &str); 10] = [
    (
        "team-a",
        "web",
        "{vcluster.loft.sh/managed-by: my-vc}",
        "10.0.0.1",
    ),
    (
        "team-a",
        "forged",
        "{vcluster.loft.sh/managed-by: my-vc, app: loft}",
        "10.0.0.2",
    ),
    (
        "team-a",
        "coredns",
        "{vcluster.loft.sh/managed-by: my-vc, k8s-app: vcluster-kube-dns, vcluster.loft.sh/namespace: kube-system}",
        "10.0.0.3",
    ),
    (
        "team-a",
        "cp",
        "{app: vcluster, release: my-vc}",
        "10.0.0.4",
    ),
    (
        "team-b",
        "web",
        "{vcluster.loft.sh/managed-by: other}",
        "10.0.1.1",
    ),
    (
        "team-b",
        "backup",
        "{vcluster.loft.sh/managed-by: other, tool: backup}",
        "10.0.1.2",
    ),
    (
        "team-b",
        "cp",
        "{app: vcluster, release: other}",
        "10.0.1.4",
    ),
    ("kube-system", "dns", "{k8s-app: kube-dns}", "10.0.2.1"),
    ("ingress", "controller", "{app: nginx}", "10.0.3.1"),
    ("db", "db", "{}", "10.9.0.1"),
];

/// The namespaces and pods of the host.
fn host_objects() -> String {
    let mut text = String::new();
    for (namespace, labels) in [
        ("team-a", "{loft.sh/vcluster-instance-project: p}"),
        ("team-b", "{loft.sh/vcluster-instance-project: p}"),
        ("kube-system", "{}"),
        ("ingress", "{}"),
        ("db", "{}"),
    ] {
        write!(
            text,
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {labels}}}\n"
        )
        .unwrap();
    }
    for (namespace, name, labels, ip) in PODS {
        write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}\nstatus: {{podIP: {ip}}}\n"
        ).unwrap();
    }
    text
}

const OUTSIDE: [&str; 5] = [
    "1.1.1.1",
    "169.254.169.254",
    "169.254.170.23",
    "10.9.7.7",
    "192.168.1.1",
];

/// Calls a function for each connection between pods, and from pods to the outside.
fn each_packet(model: &ClusterModel, mut judge: impl FnMut(&Packet<'_>)) {
    let pods = model.pods();
    let outside = OUTSIDE.map(|address| address.parse().unwrap());
    for from in pods {
        for to in pods.iter().map(Ok).chain(outside.map(Err)) {
            for (protocol, port) in [
                ("TCP", 80),
                ("TCP", 443),
                ("TCP", 8443),
                ("TCP", 1053),
                ("UDP", 1053),
                ("UDP", 53),
                ("TCP", 53),
                ("TCP", 2379),
                ("TCP", 5432),
            ] {
                judge(&Packet {
                    from,
                    to,
                    protocol,
                    port,
                });
            }
        }
    }
}

/// The administrator's policies, in both dialects.
fn tiers(stream: &str, options: &GuardOptions) -> Vec<Vec<Value>> {
    let kinds = [
        (guard::Dialect::Cnp, "ClusterNetworkPolicy"),
        (guard::Dialect::Anp, "AdminNetworkPolicy"),
    ];
    kinds
        .map(|(dialect, kind)| {
            let all = guarded(
                stream,
                &GuardOptions {
                    dialect,
                    ..options.clone()
                },
            );
            all.into_iter()
                .filter(|object| object["kind"] == kind)
                .collect()
        })
        .into()
}

/// Whether a packet goes to a metadata service, and the config does not name this one.
fn is_metadata(packet: &Packet<'_>) -> bool {
    let Err(address) = packet.to else {
        return false;
    };
    let address = address.to_string();
    let is_named = address == "169.254.170.23" && (packet.protocol, packet.port) == ("TCP", 80);
    address.starts_with("169.254.") && packet.port != 53 && !is_named
}

fn is_tenant(pod: &Pod) -> bool {
    pod.labels.contains_key("vcluster.loft.sh/managed-by")
}

/// What the policies of the virtual clusters let through is let through, unless it is named as closed.
fn the_evaluator_reads_them_alike() {
    let tenant = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: open, namespace: team-a}\n\
                  spec: {podSelector: {}, policyTypes: [Egress, Ingress], egress: [{}], ingress: [{}]}\n";
    let (world, stream) = world_text(tenant);
    let model = reader::read(world.as_bytes(), "world", "default").unwrap();
    let options = GuardOptions {
        deny_host: true,
        deny_tenants: true,
        ..GuardOptions::default()
    };
    for tier in tiers(&stream, &options) {
        let mut text = world.clone();
        for policy in &tier {
            write!(text, "---\n{policy}\n").unwrap();
        }
        let guarded = reader::read(text.as_bytes(), "world", "default").unwrap();
        let mut closed = 0;
        each_packet(&model, |packet| {
            let after = passes(&tier, &model, packet);
            assert_eq!(
                allowed(&guarded, packet),
                after,
                "{} {:?}",
                packet.from.name,
                packet.to
            );
            closed += usize::from(!after && allowed(&model, packet));
        });
        assert!(closed > 0);
    }
}

fn nothing_that_the_config_allows_is_cut() {
    let (model, stream) = world("");
    for (deny_host, deny_tenants) in [(false, false), (true, false), (false, true), (true, true)] {
        for tier in tiers(
            &stream,
            &GuardOptions {
                deny_host,
                deny_tenants,
                ..GuardOptions::default()
            },
        ) {
            let mut cut = 0;
            each_packet(&model, |packet| {
                let (before, after) = (passes(&[], &model, packet), passes(&tier, &model, packet));
                assert!(before || !after, "a tier opens nothing");
                // Closed by name: metadata, and what a label alone lets into another's control plane.
                let to_foreign = packet.to.is_ok_and(|to| {
                    to.namespace != packet.from.namespace
                        && to.labels.get("app").is_some_and(|app| app == "vcluster")
                });
                let is_named = (is_tenant(packet.from) && is_metadata(packet))
                    || (is_tenant(packet.from)
                        && to_foreign
                        && packet.port != 8443
                        && packet.port != 2379);
                assert!(
                    after || !before || is_named,
                    "{}/{} to {:?} {}/{} was cut",
                    packet.from.namespace,
                    packet.from.name,
                    packet.to,
                    packet.port,
                    packet.protocol
                );
                cut += usize::from(before && !after);
            });
            assert!(cut > 0);
        }
    }
}

/// What the tenant's pods reach outside of its namespace.
fn reached_by_tenant(model: &ClusterModel, tier: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    each_packet(model, |packet| {
        let is_foreign = packet.to.map_or(true, |to| to.namespace != "team-a");
        if packet.from.namespace == "team-a"
            && is_tenant(packet.from)
            && is_foreign
            && passes(tier, model, packet)
        {
            let to = packet.to.map_or_else(
                |ip| ip.to_string(),
                |to| format!("{}/{}", to.namespace, to.name),
            );
            found.push(format!("{to} {}/{}", packet.port, packet.protocol));
        }
    });
    found.sort();
    found.dedup();
    found
}

/// A tenant who wears every label and whose policies open everything reaches no more than its own.
fn the_worst_tenant_is_closed() {
    let tenant = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: open, namespace: team-a}\n\
                  spec: {podSelector: {matchLabels: {vcluster.loft.sh/managed-by: my-vc}}, policyTypes: [Egress, Ingress], egress: [{}], ingress: [{}]}\n";
    let (model, stream) = world(tenant);
    let reached = |tier: &[Value]| reached_by_tenant(&model, tier);
    let before = reached(&[]);
    for hole in [
        "169.254.169.254 80/TCP",
        "team-b/cp 1053/TCP",
        "kube-system/dns 443/TCP",
        "192.168.1.1 443/TCP",
    ] {
        assert!(before.contains(&hole.to_owned()), "{hole} is open before");
    }
    for tier in tiers(
        &stream,
        &GuardOptions {
            deny_host: true,
            deny_tenants: true,
            ..GuardOptions::default()
        },
    ) {
        let after = reached(&tier);
        let is_left = |way: &&String| {
            let named = [
                "1.1.1.1 ",
                "169.254.170.23 80/TCP",
                "team-b/cp 8443/TCP",
                "team-b/web ",
                "team-b/backup ",
                "kube-system/dns ",
                "10.9.7.7 5432/TCP",
                "db/db 5432/TCP",
            ];
            let resolver = way.starts_with("169.254.") && way.contains(" 53/");
            resolver || named.iter().any(|named| way.starts_with(named))
        };
        let wrong: Vec<&String> = after.iter().filter(|way| !is_left(way)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(after.len() < before.len());
    }
    // Safe by default: the metadata service and the forged label.
    for tier in tiers(&stream, &GuardOptions::default()) {
        let after = reached(&tier);
        assert!(!after.contains(&"169.254.169.254 80/TCP".to_owned()));
        assert!(!after.contains(&"team-b/cp 1053/TCP".to_owned()));
        assert!(after.contains(&"192.168.1.1 443/TCP".to_owned()));
    }
}

// ---- kubectl ----

fn kubectl_takes_what_is_printed() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    let config = cluster.kubeconfig(folder.path());
    for (helm, dialect) in ALL.into_iter().zip([
        guard::Dialect::Cnp,
        guard::Dialect::Anp,
        guard::Dialect::Cnp,
    ]) {
        let options = GuardOptions {
            dialect,
            deny_host: true,
            deny_tenants: true,
            ..GuardOptions::default()
        };
        let file = folder.path().join("guard.yaml");
        std::fs::write(&file, text(&world("").1, &options)).unwrap();
        let args = [
            "--kubeconfig",
            &config,
            "apply",
            "--dry-run=client",
            "--validate=false",
            "-o",
            "name",
            "-f",
        ];
        let output = kubectl(helm, args).arg(&file).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{helm}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(printed.lines().count(), 16, "{helm}: {printed}");
    }
}
