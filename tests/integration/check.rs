//! `vcluster-netpol check` as a user calls it: words in, words and exit codes out.

use std::io::Write as _;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::NamedTempFile;

/// The documented policies of one virtual cluster.
const POLICIES: &str = r"
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: vc-work-a, namespace: team-a}
spec:
  podSelector: {matchLabels: {vcluster.loft.sh/managed-by: a}}
  policyTypes: [Egress, Ingress]
  egress:
  - ports: [{port: 1053, protocol: UDP}, {port: 1053, protocol: TCP}, {port: 8443, protocol: TCP}]
    to: [{podSelector: {matchLabels: {release: a}}}]
  - to: [{podSelector: {matchLabels: {vcluster.loft.sh/managed-by: a}}}]
  # Workloads reach the internet.
  - to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: [100.64.0.0/10, 127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]
  ingress:
  - from: [{podSelector: {matchLabels: {release: a}}}]
  - from: [{podSelector: {matchLabels: {vcluster.loft.sh/managed-by: a}}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: vc-cp-a, namespace: team-a}
spec:
  podSelector: {matchLabels: {release: a}}
  policyTypes: [Egress, Ingress]
  egress:
  - to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
      podSelector: {matchLabels: {k8s-app: kube-dns}}
  - ports: [{port: 443}, {port: 8443}, {port: 6443}]
  - to: [{podSelector: {matchLabels: {release: a}}}]
  - to: [{podSelector: {matchLabels: {vcluster.loft.sh/managed-by: a}}}]
  - to: [{podSelector: {matchLabels: {app: loft}}, namespaceSelector: {}}]
  ingress:
  - from: [{podSelector: {matchLabels: {release: a}}}]
  - ports: [{port: 1053, protocol: UDP}, {port: 1053, protocol: TCP}, {port: 8443, protocol: TCP}]
    from: [{podSelector: {matchLabels: {vcluster.loft.sh/managed-by: a}}}]
  - from: [{podSelector: {matchLabels: {app: vcluster-snapshot}}}]
  - from: [{podSelector: {matchLabels: {app: loft}}, namespaceSelector: {}}]
";

/// A few pods, its own and another.
const PODS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: team-a, labels: {team: a}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: team-a, labels: {vcluster.loft.sh/managed-by: a, app: web}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
status: {podIP: 10.244.0.5, podIPs: [{ip: 10.244.0.5}, {ip: "fd00::5"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: team-b, labels: {app: db}}
status: {podIP: 10.244.0.6}
"#;

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Runs `check` with the stream on standard input: exit code, standard output, standard error.
fn check(args: &[&str], stream: &str) -> (i32, String, String) {
    let output = Command::cargo_bin("vcluster-netpol")
        .unwrap()
        .arg("check")
        .args(args)
        .write_stdin(stream)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn stream() -> String {
    format!("{POLICIES}---{PODS}")
}

fn ask(from: &str, to: &str) -> (i32, String) {
    let (code, out, err) = check(&["--from", from, "--to", to], &stream());
    (code, out + &err)
}

fn roles_addresses_names_and_labels_are_answered() {
    let allowed = [
        ("workload", "workload"),
        ("workload", "control-plane:8443/TCP"),
        ("workload", "dns:1053/UDP"),
        ("workload", "internet:443"),
        ("workload", "internet"),
        ("workload", "169.254.169.254:80"),
        ("control-plane", "host-dns:53/UDP"),
        ("control-plane", "internet:6443"),
        ("snapshot", "control-plane"),
        ("platform", "control-plane"),
        ("team-b/db", "internet6"),
        ("workload", "team-a/web:http"),
        (
            "10.244.0.6",
            "pod:app=x,ns:kubernetes.io/metadata.name=team-b",
        ),
        ("pod:release=a", "10.244.0.5:8080"),
    ];
    for (from, to) in allowed {
        let (code, text) = ask(from, to);
        assert_eq!(code, 0, "{from} to {to}: {text}");
        assert!(text.starts_with("allowed\n"), "{text}");
    }
    let denied = [
        ("workload", "control-plane:2379"),
        ("workload", "10.0.0.0/8"),
        ("workload", "internet6"),
        ("workload", "team-b/db"),
        ("team-b/db", "workload"),
        ("internet", "workload"),
        ("internet", "control-plane:8443"),
        ("pod:app=x,ns:team=a", "control-plane:8443"),
        ("10.244.0.6", "10.244.0.5:8080"),
    ];
    for (from, to) in denied {
        let (code, text) = ask(from, to);
        assert_eq!(code, 1, "{from} to {to}: {text}");
        assert!(text.starts_with("denied"), "{text}");
    }
}

fn the_rule_that_decides_is_named() {
    let (_, text) = ask("workload", "control-plane:8443/TCP");
    assert!(
        text.contains("by team-a/vc-work-a egress[0]: pods release=a in team-a"),
        "{text}"
    );
    assert!(text.contains("by team-a/vc-cp-a ingress[1]"), "{text}");
    let (_, text) = ask("team-b/db", "workload");
    assert!(text.contains("team-a/vc-work-a isolates the pod"), "{text}");
    // With the comment that stands above it.
    let (_, text) = ask("workload", "internet:443");
    assert!(text.contains("# Workloads reach the internet.\n"), "{text}");
    // What nobody has told is said to be open.
    let (_, text) = ask("workload", "pod:app=x,ns:team=z");
    assert!(
        text.contains("unless the peer's address is in team-a/vc-work-a egress[2]"),
        "{text}"
    );
}

fn the_field_or_default_that_made_the_rule_is_named() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: vc-config-a\n  namespace: team-a\n  \
                  labels: {app: vcluster, release: a}\nstringData:\n  config.yaml: |\n    policies: \
                  {networkPolicy: {enabled: true}}\n---";
    let stream = format!("{secret}{POLICIES}");
    let ask = |to: &str, stream: &str| check(&["--from", "workload", "--to", to], stream).1;
    let text = ask("internet:443", &stream);
    let field = "cause: default of policies.networkPolicy.workload.publicEgress\n";
    assert!(text.contains(field), "{text}");
    let text = ask("dns:1053/UDP", &stream);
    assert!(text.contains("cause: built-in default\n"), "{text}");
    // A rule that the config does not make, and a stream without a config.
    let edited = stream.replace("cidr: 0.0.0.0/0", "cidr: 0.0.0.0/1");
    assert!(!ask("8.8.8.8:443", &edited).contains("cause:"));
    assert!(!ask("internet:443", POLICIES).contains("cause:"));
}

fn a_cidr_that_is_open_in_part_is_denied_and_the_part_is_named() {
    let (code, text) = ask("workload", "0.0.0.0/0:443");
    assert_eq!(code, 1);
    assert!(
        text.starts_with("denied: only a part of it is open\n"),
        "{text}"
    );
    // One of the addresses is a pod that may be reached.
    let (code, text) = ask("workload", "10.244.0.0/16:443");
    assert_eq!(code, 1);
    assert!(text.contains("team-a/web: allowed"), "{text}");
    assert!(
        text.contains("to 10.244.0.0/16 except 10.244.0.5, 10.244.0.6: denied"),
        "{text}"
    );
    let (_, text) = ask("workload", "8.0.0.0/6:443");
    assert!(
        text.contains("open:   8.0.0.0/7, 11.0.0.0/8 on 443/TCP"),
        "{text}"
    );
    assert!(
        text.contains("closed: 10.0.0.0/8 except 10.244.0.5, 10.244.0.6 on"),
        "{text}"
    );
}

fn what_cannot_be_answered_is_no_answer() {
    let cases = [
        (vec!["--from", "workload", "--to", "nobody"], "means nobody"),
        (
            vec!["--from", "workload", "--to", "internet:70000"],
            "no port",
        ),
        (
            vec!["--from", "team-a/x", "--to", "internet"],
            "no pod team-a/x",
        ),
        (
            vec!["--from", "workload", "--to", "team-a/web:dns"],
            "no port dns/TCP",
        ),
        (vec!["--from", "workload"], "--to"),
        (vec![], "required"),
        (
            vec!["--from", "workload", "--to", "dns", "--output", "csv"],
            "text or json",
        ),
        (
            vec!["--from", "workload", "--to", "dns", "--release", "b"],
            "no virtual cluster b",
        ),
    ];
    for (args, part) in cases {
        let (code, out, err) = check(&args, &stream());
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.contains(part), "{args:?}: {err}");
    }
    let args = [
        "--from",
        "workload",
        "--to",
        "dns",
        "--policies",
        "/no/such/file",
    ];
    assert_eq!(check(&args, "").0, 3);
    // A stream without policies must not make every promise of isolation an error-free yes.
    assert_eq!(check(&["--from", "internet", "--to", "workload"], "").0, 2);
    let broken = "kind: NetworkPolicy\nmetadata: {name: p}\nspec: {ingress: [{from: [{}]}]}\n";
    let (code, _, err) = check(&["--from", "10.0.0.1", "--to", "10.0.0.2"], broken);
    assert_eq!(code, 1);
    assert!(err.contains("spec.ingress[0].from[0]"), "{err}");
}

fn two_virtual_clusters_have_to_be_told_apart() {
    let other = POLICIES
        .replace("vc-work-a", "vc-work-b")
        .replace("vc-cp-a", "vc-cp-b")
        .replace("managed-by: a", "managed-by: b")
        .replace("release: a", "release: b");
    let both = format!("{POLICIES}---{other}");
    let question = ["--from", "workload", "--to", "dns:1053/UDP"];
    let (code, _, err) = check(&question, &both);
    assert_eq!(code, 2);
    assert!(err.contains("team-a/a, team-a/b"), "{err}");
    let (code, out, _) = check(&[&question[..], &["--release", "b"]].concat(), &both);
    assert_eq!(code, 0);
    assert!(out.contains("vc-work-b"), "{out}");
    let stranger = [
        "--from",
        "pod:vcluster.loft.sh/managed-by=a",
        "--to",
        "workload",
    ];
    assert_eq!(
        check(&[&stranger[..], &["--release", "b"]].concat(), &both).0,
        1
    );
}

fn probes_come_back_in_order_as_csv_and_as_json() {
    let policies = file(&stream());
    let policies = policies.path().to_str().unwrap();
    let probes = file(
        "from,to,protocol,port\nteam-a/web,team-b/db,TCP,80\nteam-b/db,10.244.0.5,tcp,http\n\
         workload,\"pod:release=a,app=vcluster\",UDP,1053\nteam-a/web,team-a/web,,\n",
    );
    let args = [
        "--probes",
        probes.path().to_str().unwrap(),
        "--policies",
        policies,
    ];
    let (code, csv, err) = check(&args, "");
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        csv.lines().collect::<Vec<_>>(),
        [
            "from,to,protocol,port,ingress_ok,egress_ok,allowed,decided_by,caveats",
            "team-a/web,team-b/db,TCP,80,true,false,false,team-a/vc-work-a,",
            "team-b/db,10.244.0.5,tcp,http,false,true,false,team-a/vc-work-a,",
            "workload,\"pod:release=a,app=vcluster\",UDP,1053,true,true,true,\
             team-a/vc-work-a egress[0]; team-a/vc-cp-a ingress[1],",
            "team-a/web,team-a/web,,,true,true,true,,",
        ]
    );
    let (_, json, _) = check(&[&args[..], &["--output", "json"]].concat(), "");
    let rows: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(rows[2]["decided_by"][1], "team-a/vc-cp-a ingress[1]");
    assert_eq!(rows[0]["egress_ok"], false);

    let wrong = file("from,to,protocol,port\nteam-a/web,team-b/db,TCP,80\nteam-a/web,x,TCP,1\n");
    let args = [
        "--probes",
        wrong.path().to_str().unwrap(),
        "--policies",
        policies,
    ];
    let (code, out, err) = check(&args, "");
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("row 2"), "{err}");
}

const EXPECTATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/expectations.yaml");

fn the_starter_file_is_kept_by_the_documented_policies() {
    let (code, table, err) = check(&["--expect", EXPECTATIONS], POLICIES);
    assert_eq!(code, 0, "{table}{err}");
    assert!(table.ends_with(" passed, 0 failed\n"), "{table}");
    assert!(!table.contains("unless"), "{table}");
}

fn the_comment_on_the_metadata_address_tells_the_truth() {
    let closed = POLICIES.replace("192.168.0.0/16]", "192.168.0.0/16, 169.254.0.0/16]");
    let (code, table, _) = check(&["--expect", EXPECTATIONS], &closed);
    assert_eq!(code, 1);
    let broken: Vec<&str> = table.lines().filter(|l| l.starts_with("FAILED")).collect();
    assert_eq!(broken.len(), 1, "{table}");
    assert!(broken[0].contains("169.254.169.254"), "{table}");
    let (code, junit, _) = check(&["--expect", EXPECTATIONS, "--output", "junit"], &closed);
    assert_eq!(code, 1);
    assert_eq!(junit.matches("<failure ").count(), 1, "{junit}");
    assert!(junit.contains("failures=\"1\""), "{junit}");
}

fn a_denial_that_is_only_partly_so_is_broken() {
    let promises = file("deny:\n- {from: workload, to: 8.0.0.0/6, reason: not private alone}\n");
    let path = promises.path().to_str().unwrap();
    let (code, json, _) = check(&["--expect", path, "--output", "json"], POLICIES);
    assert_eq!(code, 1);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["groups"][0]["outcomes"][0]["passed"], false);
}

crate::registry::tests! {
    fast: [
        roles_addresses_names_and_labels_are_answered,
        the_rule_that_decides_is_named,
        the_field_or_default_that_made_the_rule_is_named,
        a_cidr_that_is_open_in_part_is_denied_and_the_part_is_named,
        what_cannot_be_answered_is_no_answer,
        two_virtual_clusters_have_to_be_told_apart,
        probes_come_back_in_order_as_csv_and_as_json,
        the_starter_file_is_kept_by_the_documented_policies,
        the_comment_on_the_metadata_address_tells_the_truth,
        a_denial_that_is_only_partly_so_is_broken,
    ],
}
