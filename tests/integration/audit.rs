//! `audit`: fleets, and clusters that kubectl sees.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use vcluster_netpol::audit::verdict::Finding;
use vcluster_netpol::audit::{AuditOptions, Input};
use vcluster_netpol::{Options, render};

use crate::reach_random::{naive_block, naive_selector, policy};
use crate::support::cluster::Cluster;
use crate::support::helm::{ALL, FILTER, Run, kubectl};
use crate::support::release::script;

/// The Secret and the StatefulSet of a virtual cluster, as the chart renders them without policies.
fn chart(name: &str, enabled: bool) -> String {
    let labels = format!("{{app: vcluster, chart: vcluster-0.36.1, release: {name}}}");
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: vc-config-{name}, namespace: \
         team-{name}, labels: {labels}}}\nstringData:\n  config.yaml: |\n    policies: \
         {{networkPolicy: {{enabled: {enabled}}}}}\n---\napiVersion: apps/v1\nkind: StatefulSet\n\
         metadata: {{name: {name}, namespace: team-{name}, labels: {labels}}}\nspec: {{template: \
         {{metadata: {{labels: {{app: vcluster, release: {name}}}}}}}}}\n"
    )
}

/// The same with its policies.
fn isolated(name: &str) -> String {
    let stream = chart(name, true);
    let output = render(stream.as_bytes(), &Options::default()).expect("a good config");
    String::from_utf8(output.pieces.concat()).expect("UTF-8")
}

/// The same with a policy that the tenant made.
fn widened(name: &str) -> String {
    let labels = format!("{{vcluster.loft.sh/managed-by: {name}}}");
    let mut stream = isolated(name);
    let _ = write!(
        stream,
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: \
         open-x-default-x-{name}, namespace: team-{name}, labels: {labels}}}\nspec: {{podSelector: \
         {{matchLabels: {labels}}}, policyTypes: [Egress], egress: [{{}}]}}\n"
    );
    stream
}

/// What virtual cluster number `i` of a fleet is, and its stream: of 200, 20 are off, 3 are widened
/// and 2 have no policies.
fn member(i: usize) -> (&'static str, String) {
    let name = format!("v{i}");
    match i % 200 {
        0..20 => ("off", chart(&name, false)),
        20..23 => ("widened", widened(&name)),
        23..25 => ("missing", chart(&name, true)),
        _ => ("isolated", isolated(&name)),
    }
}

fn audit(args: &[&str], folder: &Path, input: &str) -> Run {
    let mut command = Command::new(FILTER);
    command
        .arg("audit")
        .args(args)
        .current_dir(folder)
        .env_clear();
    Run::of(&mut command, input)
}

/// The verdict of each virtual cluster in a JSON output.
fn verdicts(run: &Run) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let streams = report["inputs"].as_array().expect("inputs");
    let clusters = streams
        .iter()
        .flat_map(|stream| stream["virtual_clusters"].as_array().expect("a list"));
    clusters
        .map(|cluster| (text(&cluster["release"]), text(&cluster["verdict"])))
        .collect()
}

/// One file for each, and all of them in one stream: the same verdicts, and only those that are not
/// isolated are named.
fn a_fleet_is_named_by_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let fleet: Vec<(&str, String)> = (0..200).map(member).collect();
    for (i, (_, stream)) in fleet.iter().enumerate() {
        fs::write(folder.path().join(format!("v{i}.yaml")), stream).expect("a file");
    }
    let expected: BTreeMap<String, String> = (fleet.iter().enumerate())
        .map(|(i, (verdict, _))| (format!("v{i}"), (*verdict).to_owned()))
        .collect();
    let whole: String = fleet.iter().map(|(_, stream)| stream.as_str()).collect();

    let run = audit(&["."], folder.path(), "");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let named = run
        .stdout
        .lines()
        .filter(|line| line.contains(": team-v"))
        .count();
    assert_eq!(named, 25, "{}", run.stdout);
    let summary =
        "200 virtual clusters in 200 inputs: 175 isolated, 20 off, 2 missing, 3 widened\n";
    assert!(run.stdout.ends_with(summary), "{}", run.stdout);

    let json = ["--output=json"];
    for run in [
        audit(&["--output=json", "."], folder.path(), ""),
        audit(&json, folder.path(), &whole),
    ] {
        assert_eq!(verdicts(&run), expected);
    }
}

/// Answers of a cluster with an isolated, a widened and a missing virtual cluster, by what kubectl
/// is asked for.
fn answers(plugin: &str) -> Vec<(&'static str, String)> {
    let list =
        |items: &[String]| format!("{{\"kind\": \"List\", \"items\": [{}]}}", items.join(","));
    let objects: Vec<Value> = [isolated("a"), widened("b"), chart("c", true)]
        .iter()
        .flat_map(|stream| serde_yaml::Deserializer::from_str(stream))
        .map(|document| serde::Deserialize::deserialize(document).expect("an object"))
        .collect();
    let of = |kind: &str| -> Vec<String> {
        let objects = objects.iter().filter(|object| object["kind"] == kind);
        objects.map(Value::to_string).collect()
    };
    let configs: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            // policies: {networkPolicy: {enabled: true}}
            let config = "cG9saWNpZXM6IHtuZXR3b3JrUG9saWN5OiB7ZW5hYmxlZDogdHJ1ZX19Cg==";
            format!("team-{name}\tvc-config-{name}\t{name}\tvcluster-0.36.1\t{config}")
        })
        .collect();
    vec![
        ("networkpolicies.networking", list(&of("NetworkPolicy"))),
        ("statefulsets", list(&of("StatefulSet"))),
        ("pods", list(&[])),
        ("get namespaces", list(&[])),
        ("secrets", configs.join("\n")),
        (
            "api-resources",
            "pods\nciliumnetworkpolicies.cilium.io\n".to_owned(),
        ),
        ("ciliumnetworkpolicies", list(&[])),
        (
            "daemonsets",
            format!("{{\"items\": [{{\"metadata\": {{\"name\": \"{plugin}\"}}}}]}}"),
        ),
    ]
}

/// Runs `audit --live` with a kubectl that gives these answers, and notes what it is asked.
fn live(answers: &[(&str, String)], args: &[&str]) -> (Run, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = "printf '%s\\n' \"$*\" >> asked\ncase \"$*\" in\n".to_owned();
    for (i, (words, answer)) in answers.iter().enumerate() {
        fs::write(folder.path().join(format!("answer-{i}")), answer).expect("an answer");
        let _ = writeln!(text, "*'{words}'*) cat answer-{i} ;;");
    }
    text.push_str("*) echo 'Error from server (Forbidden): not for you' >&2; exit 1 ;;\nesac\n");
    let program = folder.path().join("kubectl");
    script(&program, &text);
    let program = format!("--kubectl={}", program.display());
    let mut all = vec!["--live", &program];
    all.extend(args);
    let mut command = Command::new(FILTER);
    command
        .arg("audit")
        .args(&all)
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    let run = Run::of(&mut command, "");
    let asked = fs::read_to_string(folder.path().join("asked")).unwrap_or_default();
    (run, asked)
}

fn a_live_cluster_is_judged() {
    let (run, asked) = live(&answers("cilium"), &["--output=json"]);
    let expected = [("a", "isolated"), ("b", "widened"), ("c", "missing")];
    let expected = expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned()));
    assert_eq!(verdicts(&run), expected.into(), "{}", run.stderr);
    assert_eq!(run.code, Some(1));
    let of_secrets = asked.lines().filter(|line| line.contains("secrets"));
    for line in of_secrets {
        let is_narrow =
            line.contains("--selector=app=vcluster") && !line.contains("--output=json ");
        assert!(is_narrow, "{line}");
    }
    assert!(
        asked.lines().all(|line| !line.contains("--context")),
        "{asked}"
    );

    let (run, asked) = live(
        &answers("cilium"),
        &["-n", "team-a", "--context=prod", "--timeout=5"],
    );
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let policies = asked.lines().next().unwrap_or_default();
    for word in [
        "--namespace=team-a",
        "--context=prod",
        "--request-timeout=5s",
    ] {
        assert!(policies.contains(word), "{policies}");
    }
}

fn a_cluster_that_does_not_enforce_isolates_nobody() {
    let not_enforced = |plugin: &str, args: &[&str]| {
        let mut args = args.to_vec();
        args.push("--output=json");
        verdicts(&live(&answers(plugin), &args).0)["a"].clone()
    };
    assert_eq!(not_enforced("kube-flannel-ds", &[]), "not-enforced");
    assert_eq!(
        not_enforced("kube-flannel-ds", &["--assume-enforced"]),
        "not-enforced"
    );
    assert_eq!(not_enforced("somebodys-cni", &[]), "unknown");
    assert_eq!(
        not_enforced("somebodys-cni", &["--assume-enforced"]),
        "isolated"
    );
}

/// What can't be read never counts as read: without Secrets nothing is known, and without policies
/// nothing is judged.
fn what_cannot_be_read_of_a_cluster_is_unknown() {
    let without = |words: &str| -> Vec<(&'static str, String)> {
        let all = answers("cilium").into_iter();
        all.filter(|(asked, _)| *asked != words).collect()
    };
    let (run, _) = live(&without("secrets"), &["--output=json"]);
    assert!(
        verdicts(&run).values().all(|verdict| verdict == "unknown"),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr
            .contains("vc-config-NAME of the cluster can't be read"),
        "{}",
        run.stderr
    );
    for needed in ["networkpolicies.networking", "statefulsets", "pods"] {
        let (run, _) = live(&without(needed), &[]);
        assert_eq!(run.code, Some(3), "{needed}: {}", run.stdout);
        assert!(run.stderr.contains("can't be read"), "{}", run.stderr);
    }
    let mut cut = answers("cilium");
    cut[0].1.truncate(100);
    assert_eq!(live(&cut, &[]).0.code, Some(3));
}

/// The real kubectl, asked of an API server: it understands every word.
fn the_real_kubectl_is_understood() {
    for helm in ALL {
        let folder = tempfile::tempdir().expect("a folder");
        let cluster = Cluster::start();
        let stream = [isolated("a"), widened("b"), chart("c", false)].concat();
        cluster.put(&stream);
        let kubectl = kubectl(helm, [""; 0]);
        let mut command = Command::new(FILTER);
        command
            .args([
                "audit",
                "--live",
                "--assume-enforced",
                "--output=json",
                "--kubectl",
            ])
            .arg(kubectl.get_program())
            .env_clear()
            .env("HOME", folder.path())
            .env("KUBECONFIG", cluster.kubeconfig(folder.path()));
        let run = Run::of(&mut command, "");
        let expected = [("a", "isolated"), ("b", "widened"), ("c", "off")];
        let expected = expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned()));
        assert_eq!(verdicts(&run), expected.into(), "{helm}: {}", run.stderr);
        assert_eq!(run.stderr, "", "{helm}");
    }
}

/// The chart rendered by the real Helms: without the post-renderer its policies are missing.
fn an_upgrade_without_the_post_renderer_is_seen() {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charts/vcluster-mini");
    for helm in ALL {
        let words = ["template", "a", chart, "--namespace=team"];
        let on = "--set=policies.networkPolicy.enabled=true";
        for (more, verdict) in [
            (vec![on], "missing"),
            (vec![on, helm.filtered()], "isolated"),
            (vec![], "off"),
            (vec![helm.filtered()], "off"),
        ] {
            let printed = helm
                .run(words.into_iter().chain(more.iter().copied()))
                .printed();
            let run = audit(&["--output=json"], Path::new("."), &printed);
            let expected = BTreeMap::from([("a".to_owned(), verdict.to_owned())]);
            assert_eq!(verdicts(&run), expected, "{helm} {more:?}: {}", run.stderr);
        }
    }
}

// ---- the second opinion ----

type Labels = BTreeMap<String, String>;

/// Somebody at the other end: a pod with the labels of its namespace, or an address.
enum Peer {
    Pod(&'static str, Labels, Labels),
    Address(IpAddr),
}

/// Whether a policy of a namespace lets a packet through to or from a peer, by the plainest reading.
fn lets_through(
    (home, spec): &(String, NetworkPolicySpec),
    egress: bool,
    peer: &Peer,
    (protocol, port): (&str, u16),
) -> bool {
    let is_peer = |wanted: &NetworkPolicyPeer| match (peer, &wanted.ip_block) {
        (Peer::Address(address), Some(block)) => naive_block(block, *address),
        (Peer::Pod(namespace, of_namespace, labels), None) => {
            let is_home = match &wanted.namespace_selector {
                None => namespace == home,
                Some(selector) => naive_selector(selector, of_namespace),
            };
            let pods = wanted.pod_selector.clone().unwrap_or_default();
            is_home && naive_selector(&pods, labels)
        }
        _ => false,
    };
    let is_port = |wanted: &NetworkPolicyPort| {
        let numbers = match &wanted.port {
            None => return wanted.protocol.as_deref().unwrap_or("TCP") == protocol,
            Some(IntOrString::Int(low)) => *low..=wanted.end_port.unwrap_or(*low),
            // A tenant gives its ports the names that it likes.
            Some(IntOrString::String(_)) => NAMED..=NAMED,
        };
        wanted.protocol.as_deref().unwrap_or("TCP") == protocol && numbers.contains(&port.into())
    };
    let rule = |peers: &Option<Vec<NetworkPolicyPeer>>, ports: &Option<Vec<NetworkPolicyPort>>| {
        let peers = peers.as_ref().filter(|list| !list.is_empty());
        let ports = ports.as_ref().filter(|list| !list.is_empty());
        peers.is_none_or(|list| list.iter().any(is_peer))
            && ports.is_none_or(|list| list.iter().any(is_port))
    };
    if egress {
        spec.egress.iter().flatten().any(|r| rule(&r.to, &r.ports))
    } else {
        spec.ingress
            .iter()
            .flatten()
            .any(|r| rule(&r.from, &r.ports))
    }
}

/// Whether it has a say in a direction.
fn applies((_, spec): &(String, NetworkPolicySpec), egress: bool) -> bool {
    let types = spec.policy_types.iter().flatten();
    let named: Vec<&str> = types.map(String::as_str).collect();
    match (named.is_empty(), egress) {
        (true, true) => spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
        (true, false) => true,
        (false, true) => named.contains(&"Egress"),
        (false, false) => named.contains(&"Ingress"),
    }
}

/// The port that pods give a name to.
const NAMED: i32 = 7777;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Every choice of the labels that random selectors ask for, beside some that are given.
fn every_label(given: &[(&str, &str)]) -> Vec<Labels> {
    let choices = [None, Some("x"), Some("y"), Some("z")];
    let pairs = choices
        .iter()
        .flat_map(|a| choices.iter().map(move |b| (*a, *b)));
    pairs
        .map(|(a, b)| {
            let mut all = labels(given);
            all.extend(a.map(|a| ("a".to_owned(), a.to_owned())));
            all.extend(b.map(|b| ("b".to_owned(), b.to_owned())));
            all
        })
        .collect()
}

fn peers() -> Vec<Peer> {
    let managed_by = "vcluster.loft.sh/managed-by";
    let own = |labels: Labels| Peer::Pod("one", Labels::new(), labels);
    let mut all: Vec<Peer> = every_label(&[(managed_by, "v")])
        .into_iter()
        .map(own)
        .collect();
    all.extend(every_label(&[]).into_iter().map(own));
    all.push(own(labels(&[("app", "vcluster"), ("release", "v")])));
    for namespace in every_label(&[]) {
        let pods = every_label(&[]).into_iter();
        all.extend(pods.map(|pod| Peer::Pod("elsewhere", namespace.clone(), pod)));
    }
    let addresses = [
        "10.0.0.0",
        "10.0.0.4",
        "10.0.0.5",
        "10.0.0.7",
        "10.0.0.77",
        "10.9.9.9",
        "8.8.8.8",
        "172.16.0.1",
        "192.168.0.1",
        "224.0.0.1",
        "fd00::4",
        "fd00::77",
        "::",
        "2001::1",
    ];
    all.extend(addresses.map(|address| Peer::Address(address.parse().expect("an address"))));
    all
}

/// Whether a policy opens something to the pods of virtual cluster v that `own` does not.
fn opens(own: &[(String, NetworkPolicySpec)], other: &(String, NetworkPolicySpec)) -> bool {
    let mut subjects = every_label(&[("vcluster.loft.sh/managed-by", "v")]);
    subjects.push(labels(&[("app", "vcluster"), ("release", "v")]));
    let selects = |(home, spec): &(String, NetworkPolicySpec), pod: &Labels| {
        home == "one" && naive_selector(&spec.pod_selector.clone().unwrap_or_default(), pod)
    };
    let ports = [1, 2, 53, 80, 443, 1053, 7777, 8080, 8443, 65535];
    let packets: Vec<(&str, u16)> = ["TCP", "UDP", "SCTP"]
        .into_iter()
        .flat_map(|protocol| ports.map(|port| (protocol, port)))
        .collect();
    let peers = peers();
    subjects
        .iter()
        .filter(|pod| selects(other, pod))
        .any(|pod| {
            let own: Vec<_> = own.iter().filter(|policy| selects(policy, pod)).collect();
            [true, false]
                .into_iter()
                .filter(|egress| applies(other, *egress))
                .any(|egress| {
                    peers.iter().any(|peer| {
                        packets.iter().any(|packet| {
                            lets_through(other, egress, peer, *packet)
                                && !own
                                    .iter()
                                    .any(|own| lets_through(own, egress, peer, *packet))
                        })
                    })
                })
        })
}

/// Random policies beside those of a virtual cluster: those that open something are named, and no
/// others.
fn what_widens_is_named_and_nothing_else() {
    let base = isolated("v").replace("team-v", "one");
    let own: Vec<(String, NetworkPolicySpec)> = serde_yaml::Deserializer::from_str(&base)
        .map(|document| -> Value { serde::Deserialize::deserialize(document).expect("YAML") })
        .filter(|object| object["kind"] == "NetworkPolicy")
        .map(|policy| {
            let spec = serde_json::from_value(policy["spec"].clone());
            ("one".to_owned(), spec.expect("a spec"))
        })
        .collect();
    assert_eq!(own.len(), 2);
    let others = prop::collection::vec((policy(), select(vec!["", "v", "w"])), 1..4);
    let mut runner = TestRunner::new(Config::with_cases(60));
    let judged = runner.run(&others, |others| {
        let mut stream = base.clone();
        let mut expected = BTreeSet::new();
        for (i, ((namespace, mut spec), managed_by)) in others.into_iter().enumerate() {
            if !managed_by.is_empty() {
                spec["podSelector"]["matchLabels"]["vcluster.loft.sh/managed-by"] =
                    json!(managed_by);
            }
            let name = format!("p{i}");
            let object = json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                "metadata": {"name": name, "namespace": namespace}, "spec": spec,
            });
            let _ = write!(stream, "---\n{object}\n");
            let typed = (namespace, serde_json::from_value(spec).expect("a spec"));
            if opens(&own, &typed) {
                expected.insert(name);
            }
        }
        let input = Input {
            name: "random".to_owned(),
            file: None,
            stream: stream.clone().into_bytes(),
            is_named: true,
        };
        let audited = vcluster_netpol::audit::audit(&input, &AuditOptions::default());
        let named: BTreeSet<String> = audited
            .clusters
            .iter()
            .flat_map(|c| &c.findings)
            .filter_map(|finding| match finding {
                Finding::Widened { policy, .. } => Some(policy.name.clone()),
                _ => None,
            })
            .collect();
        prop_assert_eq!(named, expected, "{}\n{}", audited.errors, stream);
        Ok(())
    });
    if let Err(error) = judged {
        panic!("{error}");
    }
}

crate::registry::tests! {
    fast: [
        a_fleet_is_named_by_what_is_wrong,
        a_live_cluster_is_judged,
        a_cluster_that_does_not_enforce_isolates_nobody,
        what_cannot_be_read_of_a_cluster_is_unknown,
        what_widens_is_named_and_nothing_else,
    ],
    slow: [
        an_upgrade_without_the_post_renderer_is_seen,
        the_real_kubectl_is_understood,
    ],
}
