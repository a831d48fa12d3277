//! What the filter says beside its output: lines on stderr, the report, completions and the manual.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use vcluster_netpol::filter::{Options, render};
use vcluster_netpol::rules::Audience;

use crate::support::helm::{FILTER, Run};

/// A virtual cluster without policies yet.
const VALUES: &str = "policies: {networkPolicy: {enabled: true}}\n";

const STREAM: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: a
  namespace: team-a
  labels: {app: vcluster, release: a, chart: vcluster-0.31.0}
  annotations: {vcluster-netpol/config: 'enabled: true'}
";

fn filter(words: &[&str], stream: &str) -> Run {
    Run::of(Command::new(FILTER).args(words), stream)
}

/// Runs the filter with a report, and reads it.
fn reported(words: &[&str], stream: &str) -> (Run, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.json");
    let option = format!("--report={}", file.display());
    let run = filter(&[&[option.as_str()], words].concat(), stream);
    let text = fs::read_to_string(file).expect("a report");
    (run, serde_json::from_str(&text).expect("JSON"))
}

fn each_change_is_one_line_on_stderr() {
    let run = filter(&[], STREAM);
    assert_eq!(
        run.stderr,
        "injected NetworkPolicy team-a/vc-work-a\ninjected NetworkPolicy team-a/vc-cp-a\n"
    );
    let again = filter(&[], &run.stdout);
    assert_eq!(again.stderr, "", "nothing was changed");
    let other = run.stdout.replace("port: 1053", "port: 1054");
    let replaced = filter(&[], &other);
    let lines: Vec<&str> = replaced.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, policy) in lines.iter().zip(["vc-work-a", "vc-cp-a"]) {
        let start = format!("replaced NetworkPolicy team-a/{policy} (document ");
        assert!(line.starts_with(&start), "{line}");
    }
}

fn quiet_says_nothing_and_verbose_says_all() {
    assert_eq!(filter(&["--quiet"], STREAM).stderr, "");
    let printed = filter(&["--quiet"], STREAM).stdout;
    let said = filter(&["--verbose", "--allow", "VNP305"], &printed).stderr;
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(
        said.starts_with(
            "found virtual cluster team-a/a of vcluster-0.31.0: edition 0.31, enabled by"
        ),
        "{said}"
    );
    assert!(
        said.contains("unchanged NetworkPolicy team-a/vc-work-a"),
        "{said}"
    );
    let said = filter(&["--verbose"], "kind: ConfigMap\n").stderr;
    assert!(
        said.contains("no network-policy config was found"),
        "{said}"
    );
    let run = filter(&["--quiet", "--verbose"], STREAM);
    assert_eq!(run.code, Some(2));
    let run = filter(&["--quiet", "--require"], "kind: ConfigMap\n");
    assert!(
        run.stderr.contains("--require"),
        "errors are told: {}",
        run.stderr
    );
}

fn the_report_holds_all_of_it() {
    let (run, report) = reported(&[], STREAM);
    assert_eq!(run.code, Some(0));
    assert_eq!(report["result"], "done");
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    let found = &report["virtualClusters"][0];
    assert_eq!(found["release"], "a");
    assert_eq!(found["namespace"], "team-a");
    assert_eq!(found["chart"], "vcluster-0.31.0");
    assert_eq!(found["edition"], "0.31");
    assert_eq!(found["enabled"], true);
    assert_eq!(report["actions"][0]["change"], "injected");
    assert_eq!(report["actions"][0]["policy"], "vc-work-a");
    assert_eq!(report["actions"][1]["policy"], "vc-cp-a");

    let (_, again) = reported(&[], &run.stdout);
    assert_eq!(again["actions"][0]["change"], "unchanged");
    assert!(again["actions"][0]["document"].is_number(), "{again}");
}

fn the_report_says_who_is_not_isolated_and_why() {
    let (_, report) = reported(&[], STREAM);
    let found = &report["virtualClusters"][0];
    assert_eq!(
        (&found["isolated"], &found["reason"]),
        (&json!(true), &Value::Null)
    );

    let running = "---\nkind: StatefulSet\nmetadata:\n  name: b\n  namespace: team-b\n  \
                   labels: {app: vcluster, release: b}\n";
    let off = format!("{}{running}", STREAM.replace("true", "false"));
    let (run, report) = reported(&["--quiet"], &off);
    assert_eq!((run.stderr.as_str(), run.stdout), ("", off));
    let found = &report["virtualClusters"];
    assert_eq!(found[0]["isolated"], false);
    let reason = "the config from the annotation of Service a says enabled: false";
    assert_eq!(found[0]["reason"], reason);
    assert_eq!(
        (&found[1]["release"], &found[1]["config"]),
        (&json!("b"), &Value::Null)
    );
    assert_eq!(
        (&found[1]["enabled"], &found[1]["isolated"]),
        (&json!(false), &json!(false))
    );
    let reason = found[1]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no config for it"), "{reason}");
}

fn the_report_tells_warnings_and_errors_too() {
    let old = STREAM.replace(
        "'enabled: true'",
        "'{enabled: true, outgoingConnections: {platform: false}}'",
    );
    let (run, report) = reported(&["--quiet"], &old);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(report["problems"][0]["severity"], "warning");
    assert!(report["problems"][0]["code"].is_string(), "{report}");

    let (run, report) = reported(&["--strict"], &old);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert_eq!(report["result"], "rejected");
    assert_eq!(report["problems"][0]["severity"], "error");
    assert_eq!(report["actions"], Value::Array(Vec::new()));
}

fn a_report_that_cannot_be_written_is_an_error_and_nothing_goes_out() {
    let run = filter(&["--report=/no/such/folder/report.json"], STREAM);
    run.assert_refused(3, "can't write the report");
}

fn completions_know_the_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = filter(&["completions", shell], "").printed();
        for word in ["exec", "argocd", "require", "report"] {
            assert!(text.contains(word), "{shell} lacks {word}");
        }
    }
    assert_eq!(filter(&["completions", "nosuchshell"], "").code, Some(2));
    let text = filter(&["completions", "bash"], "").printed();
    let script = format!(
        "{text}\nCOMP_WORDS=(vcluster-netpol exe)\nCOMP_CWORD=1\n\
         _vcluster__netpol vcluster-netpol exe vcluster-netpol\necho \"${{COMPREPLY[@]}}\"\n"
    );
    let said = Run::of(Command::new("bash").args(["--norc", "-c", &script]), "").printed();
    assert_eq!(said.trim(), "exec");
}

fn every_command_has_a_manual_page() {
    let page = filter(&["man"], "").printed();
    assert!(page.contains(".TH vcluster\\-netpol 1") || page.contains(".TH vcluster-netpol 1"));
    let commands = filter(&["--help"], "").printed();
    let listed = commands
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What is set in deeper goes on from the line above.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    for command in listed {
        let page = filter(&["man", command], "").printed();
        assert!(page.contains(command), "{command}: {page}");
    }
    assert_eq!(filter(&["man", "nosuchcommand"], "").code, Some(2));
}

/// Runs a line of a shell in a folder with `stream.yaml` and `values.yaml`, in which `$PROGRAM` is ours.
fn shell(folder: &std::path::Path, line: &str) -> Run {
    fs::write(folder.join("stream.yaml"), STREAM).expect("a file");
    fs::write(folder.join("values.yaml"), VALUES).expect("a file");
    crate::support::helm::shell(folder, line)
}

/// What fails with exit code 3, each with a word of the message.
#[track_caller]
fn fail(lines: &[(&str, &str)]) {
    for (line, said) in lines {
        let folder = tempfile::tempdir().expect("a folder");
        let run = shell(folder.path(), line);
        assert_eq!(run.code, Some(3), "{line}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{line}: {}", run.stderr);
    }
}

fn a_stream_that_is_closed_is_an_error() {
    fail(&[
        ("\"$PROGRAM\" <stream.yaml >&-", "standard output is closed"),
        ("\"$PROGRAM\" <&-", "standard input is closed"),
        ("\"$PROGRAM\" <&- >&-", "standard input is closed"),
        (
            "\"$PROGRAM\" exec -- cat stream.yaml >&-",
            "standard output is closed",
        ),
        ("\"$PROGRAM\" schema >&-", "standard output is closed"),
        ("\"$PROGRAM\" lint <&-", "standard input is closed"),
        ("\"$PROGRAM\" migrate <&-", "standard input is closed"),
        (
            "\"$PROGRAM\" migrate values.yaml >&-",
            "standard output is closed",
        ),
        ("\"$PROGRAM\" explain <&-", "standard input is closed"),
        (
            "\"$PROGRAM\" check --from workload --to dns <&-",
            "standard input is closed",
        ),
    ]);
}

fn dev_null_in_one_direction_is_what_the_caller_wants() {
    let folder = tempfile::tempdir().expect("a folder");
    for line in [
        "\"$PROGRAM\" <stream.yaml >/dev/null",
        "\"$PROGRAM\" </dev/null >/dev/null",
        "\"$PROGRAM\" <stream.yaml 2>&-",
    ] {
        let run = shell(folder.path(), line);
        assert_eq!(run.code, Some(0), "{line}: {}", run.stderr);
    }
}

fn output_that_cannot_be_written_is_an_error() {
    let full = "No space left";
    fail(&[
        ("\"$PROGRAM\" <stream.yaml >/dev/full", full),
        ("\"$PROGRAM\" exec -- cat stream.yaml >/dev/full", full),
        ("\"$PROGRAM\" explain <stream.yaml >/dev/full", full),
        (
            "\"$PROGRAM\" lint --output json <stream.yaml >/dev/full",
            full,
        ),
        ("\"$PROGRAM\" schema >/dev/full", full),
        ("\"$PROGRAM\" man >/dev/full", full),
        ("\"$PROGRAM\" --help >/dev/full", full),
        ("\"$PROGRAM\" migrate values.yaml >/dev/full", full),
        (
            "\"$PROGRAM\" diff --output json stream.yaml stream.yaml >/dev/full",
            full,
        ),
    ]);
}

fn a_message_that_cannot_be_written_is_no_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    for (line, code) in [
        ("\"$PROGRAM\" <stream.yaml 2>/dev/full", 0),
        ("\"$PROGRAM\" exec -- false 2>/dev/full", 1),
        ("\"$PROGRAM\" argocd generate 2>/dev/full", 2),
        ("\"$PROGRAM\" migrate a b 2>/dev/full", 2),
        ("\"$PROGRAM\" check --from x --to y 2>/dev/full", 2),
    ] {
        let run = shell(folder.path(), line);
        assert_eq!(run.code, Some(code), "{line}");
    }
}

/// Runs the program with a stdout whose reader is gone before anything is written.
fn without_reader(words: &[&str]) -> (Option<i32>, String) {
    let is_migrate = words.first() == Some(&"migrate");
    let input = if is_migrate { VALUES } else { STREAM };
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut child = Command::new(FILTER)
        .args(words)
        .stdin(std::process::Stdio::piped())
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("a start");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A call that fails before it reads has closed its end.
    let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

fn half_a_stream_does_not_look_like_a_whole_one() {
    for words in [&[][..], &["migrate"]] {
        let (code, said) = without_reader(words);
        assert_eq!(code, Some(3), "{words:?}: {said}");
        assert!(said.contains("can't write standard output"), "{said}");
    }
    // Who reads a picture or a list has seen enough, and the exit code says the same as before.
    assert_eq!(without_reader(&["explain"]).0, Some(0));
    assert_eq!(without_reader(&["schema"]).0, Some(0));
    assert_eq!(without_reader(&["diff", "-", "/dev/null"]).0, Some(1));
    let nothing_there = [
        "lint",
        "--output",
        "json",
        "--namespace",
        "other",
        "/dev/null",
    ];
    assert_eq!(without_reader(&nothing_there).0, Some(1));
}

fn standard_input_that_is_no_stream_is_an_error() {
    fail(&[
        ("\"$PROGRAM\" <.", "can't read standard input"),
        ("\"$PROGRAM\" lint <.", "can't read standard input"),
        (
            "\"$PROGRAM\" <stream.yaml >>stream.yaml",
            "are the same file",
        ),
        (
            "\"$PROGRAM\" <stream.yaml >stream.yaml",
            "are the same file",
        ),
        (
            "\"$PROGRAM\" <stream.yaml 1<>stream.yaml",
            "are the same file",
        ),
    ]);
}

fn an_argument_or_variable_that_is_not_utf8_is_an_error() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let bad = OsStr::from_bytes(b"\xff");
    let run = |words: &[&OsStr], variable: &str| {
        let mut command = Command::new(FILTER);
        if !variable.is_empty() {
            command.env(variable, bad);
        }
        Run::of(command.args(words), STREAM)
    };
    let release = OsStr::from_bytes(b"--release=\xff");
    let exec = OsStr::new("exec");
    let lint = OsStr::new("lint");
    for words in [&[bad][..], &[release], &[exec, release], &[lint, release]] {
        let run = run(words, "");
        assert_eq!(run.code, Some(2), "{words:?}: {}", run.stderr);
    }
    // A path may be anything.
    let config = OsStr::from_bytes(b"--config=\xff");
    let missing = run(&[config], "");
    assert_eq!(missing.code, Some(3), "{}", missing.stderr);
    let of_explain = [OsStr::new("explain")];
    for name in ["HELM_NAMESPACE", "ARGOCD_APP_NAME", "ARGOCD_APP_NAMESPACE"] {
        for words in [&[][..], &of_explain] {
            let run = run(words, name);
            assert_eq!(run.code, Some(3), "{name}: {}", run.stderr);
            assert!(run.stderr.contains(name), "{}", run.stderr);
            assert_eq!(run.stdout, "");
        }
    }
    assert_eq!(run(&[], "KUBE_VERSION").code, Some(2));
    assert_eq!(run(&[], "HELM_PLUGIN_NAME").code, Some(0));
    let generate = [OsStr::new("argocd"), OsStr::new("generate")];
    let argocd = run(&generate, "ARGOCD_APP_PARAMETERS");
    assert_eq!(argocd.code, Some(2));
    assert!(argocd.stderr.contains("ARGOCD_APP_PARAMETERS is not UTF-8"));
}

fn a_report_is_whole_or_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = folder.path().join("r.json");
    // The file that is written first is larger than the limit.
    let long = "x".repeat(2000);
    let line = format!(
        "trap '' XFSZ; ulimit -f 1; exec \"$PROGRAM\" --report r.json --release {long} <stream.yaml"
    );
    fs::write(&old, "old").expect("a file");
    let run = shell(folder.path(), &line);
    assert_ne!(run.code, Some(0));
    let now = fs::read_to_string(&old).expect("a report");
    assert!(now == "old" || now.ends_with("}\n"), "{now}");
    for line in [
        "\"$PROGRAM\" --report n.json <stream.yaml",
        "\"$PROGRAM\" --report /dev/fd/3 3>n.json <stream.yaml",
        "ln -s n.json l; \"$PROGRAM\" --report l <stream.yaml && test -L l",
        "ln n.json m.json; \"$PROGRAM\" --report n.json <stream.yaml && cmp m.json n.json",
    ] {
        let run = shell(folder.path(), line);
        assert_eq!(run.code, Some(0), "{line}: {}", run.stderr);
        let text = fs::read_to_string(folder.path().join("n.json")).expect("a report");
        let _: Value = serde_json::from_str(&text).expect("JSON");
    }
    let run = shell(folder.path(), "\"$PROGRAM\" --report o <stream.yaml >o");
    assert_eq!(run.code, Some(3), "{}", run.stderr);
}

/// A name that acts on a terminal, and in the logs of GitHub and Azure.
const NASTY: &str = "x\n::error::y\u{1b}[31m\u{202e}\u{9b}2J##[error]z\r";

/// A stream whose names are of that kind, in whatever YAML allows for them.
const NASTY_STREAM: &str = r#"---
# Source: vcluster/templates/::error::a.yaml
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: "my\n::error::vc\e[31m"
  namespace: "a\n::add-mask::b"
  labels: {app: vcluster, chart: "vcluster-0.24.2\n::error::c", release: "my\n::error::vc\e[31m", heritage: "H\n::error::"}
  annotations:
    vcluster-netpol/config: |
      enabled: true
      labels: {"k\n::error::\e": "v\n::error::x"}
      workload: {egress: [{to: [{ipBlock: {cidr: "1\n::error::\e[3m"}}], ports: [{port: "p\n::error::"}]}], "unk\n::error::\x9b": 1}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: "n\n::error::a\e", namespace: "q\n::error::z"}
spec: {podSelector: {matchLabels: {"l\n::error::": "\e"}}, policyTypes: ["Bad\n::error::"]}
"#;

/// A stream that is filtered, with a comment and a label of that kind.
const NASTY_COMMENT: &str = r#"# Source: vcluster/templates/##[error]a.yaml
apiVersion: v1
kind: Service
metadata:
  name: a
  namespace: team-a
  labels: {app: vcluster, release: a, chart: "vcluster-0.99.0\n::error::x"}
  annotations: {vcluster-netpol/config: 'enabled: true'}
"#;

fn assert_harmless(what: &str, text: &str) {
    let hidden = |c: &char| *c != '\n' && manifest::escape::is_hidden(*c);
    assert_eq!(text.chars().find(hidden), None, "{what}: {text:?}");
    let is_command = |line: &str| line.trim_start().starts_with("::e") || line.contains("##[");
    assert!(!text.lines().any(is_command), "{what}: {text}");
}

fn no_name_acts_on_the_terminal_or_in_a_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let stream = &file(&format!("{NASTY}.yaml"), NASTY_STREAM);
    let rules = "policies: {networkPolicy: {enabled: true, extraWorkloadRules: [{to: []}], \
                 \"z\\n::error::\\e[1m\": 3}}\n";
    let config = &file(&format!("v{NASTY}.yaml"), rules);
    let absent = &format!("{stream}.absent");
    let runs: &[&[&str]] = &[
        &["--verbose"],
        &["--strict"],
        &["--config", stream],
        &["--config", config, "--release", "a"],
        &["--config", absent],
        &["lint", stream],
        &["lint", stream, "--output=json"],
        &["lint", "--config", config],
        &["explain", stream],
        &["explain", absent],
        &[
            "check",
            "--from=workload",
            "--to=internet",
            "--policies",
            stream,
        ],
        &[
            "check",
            "--from",
            NASTY,
            "--to=internet",
            "--policies",
            stream,
        ],
        &["check", "--expect", stream, "--policies", stream],
        &["check", "--probes", stream, "--policies", stream],
        &["diff", stream, config],
        &["diff", stream, stream],
        &["migrate", "--check", config],
        &["migrate", "--check", stream],
        &["exec", "--", NASTY],
        &["doctor", "--kubectl", NASTY],
        &["--edition", NASTY],
        &["--allow", NASTY],
        &["--kube-version", NASTY],
        &["--release", NASTY, "--namespace", NASTY, "--verbose"],
        &[NASTY],
        &[&format!("--{NASTY}")],
    ];
    for words in runs {
        let run = filter(words, NASTY_STREAM);
        assert_harmless(&format!("{words:?}"), &run.stderr);
        assert_harmless(&format!("{words:?}"), &run.stdout);
    }
}

fn comments_and_reports_hold_no_control_characters() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    let option = format!("--report={}", report.display());
    let run = filter(&["--verbose", &option], NASTY_COMMENT);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_harmless("stderr", &run.stderr);
    assert_harmless("report", &fs::read_to_string(report).expect("a report"));
    let policies = run
        .stdout
        .strip_prefix(NASTY_COMMENT)
        .expect("the stream as it came");
    assert_harmless("policies", policies);
}

/// What must not be seen: parts of words and numbers that stand nowhere else.
const MARKERS: [&str; 2] = ["xq7z", "1737373"];

/// What a value of the Secret may be replaced with: valid names, and all that is no valid name.
fn replacements() -> Vec<Value> {
    vec![
        json!("xq7z"),
        json!("Not a name: xq7z!"),
        json!("xq7z/xq7z/xq7z"),
        json!("::ffff:10.0.0.0/104 xq7z"),
        json!(1_737_373),
        json!(1_737_373_737_373_737_373_u64),
        json!(["xq7z"]),
        json!({ "Not a name: xq7z!": "xq7z" }),
    ]
}

/// The values that a Secret keeps, with every field of the config.
fn secret_values() -> Value {
    let selector = json!({
        "matchLabels": { "tier": "db" },
        "matchExpressions": [{ "key": "team", "operator": "In", "values": ["a", "b"] }],
    });
    let peers = json!([
        { "podSelector": selector, "namespaceSelector": selector },
        { "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] } },
    ]);
    let ports = json!([{ "port": 80, "endPort": 90, "protocol": "TCP" }, { "port": "http" }]);
    let rules = json!({
        "egress": [{ "to": peers, "ports": ports }],
        "ingress": [{ "from": peers, "ports": ports }],
    });
    let mut workload = rules.clone();
    workload["publicEgress"] =
        json!({ "enabled": true, "cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"] });
    json!({
        "token": "t",
        "loft": { "project": "p" },
        "privateNodes": { "enabled": false },
        "controlPlane": {
            "coredns": { "enabled": true, "embedded": false },
            "advanced": { "globalMetadata": { "annotations": { "example.com/a": "b" } } },
        },
        "experimental": { "syncSettings": { "targetNamespace": "elsewhere" } },
        "policies": { "networkPolicy": {
            "enabled": true,
            "fallbackDns": "10.9.9.9",
            "labels": { "cost": "1a", "vcluster.io/project": "{{ .Values.loft.project }}" },
            "annotations": { "example.com/c": "d" },
            "companions": true,
            "allow": ["VNP105"],
            "workload": workload,
            "controlPlane": rules,
            "outgoingConnections": { "platform": false },
        }},
    })
}

/// The same values with one thing changed: each leaf replaced, a free key added to each mapping.
fn changed(values: &Value) -> Vec<Value> {
    fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(map) => map
                .iter()
                .for_each(|(k, v)| pointers(v, &format!("{at}/{}", k.replace('/', "~1")), found)),
            Value::Array(items) => (items.iter().enumerate())
                .for_each(|(i, v)| pointers(v, &format!("{at}/{i}"), found)),
            _ => {}
        }
    }
    let mut places = Vec::new();
    pointers(values, "", &mut places);
    let mut all = Vec::new();
    for (i, place) in places.into_iter().enumerate() {
        let is_map = values.pointer(&place).is_some_and(Value::is_object);
        // Neighbours are alike: every other replacement at each is enough.
        for replacement in replacements().into_iter().skip(i % 2).step_by(2) {
            let mut copy = values.clone();
            let node = copy.pointer_mut(&place).expect("its own place");
            match (node.as_object_mut(), &replacement) {
                (Some(map), Value::String(key)) if is_map && key != "xq7z" => {
                    map.insert(key.clone(), replacement);
                }
                _ => *node = replacement,
            }
            all.push(copy);
        }
    }
    all
}

fn stream_of(values: &Value, chart: &str) -> String {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "vc-config-a",
            "namespace": "team-a",
            "labels": { "app": "vcluster", "release": "a", "chart": chart, "heritage": "Helm" },
        },
        "stringData": { "config.yaml": values.to_string() },
    });
    format!("---\n# Source: vcluster/templates/config-secret.yaml\n{secret}\n")
}

fn assert_tells_nothing(what: &str, text: &str, values: &Value) {
    let seen = MARKERS.iter().find(|marker| text.contains(**marker));
    assert_eq!(seen, None, "{what}: {text}\n{values}");
}

fn no_message_holds_a_value_or_a_free_key_of_the_secret() {
    let mut rejected = 0;
    let charts = ["vcluster-0.24.2", "vcluster-0.33.2", "vcluster-0.99.0"];
    let all = changed(&secret_values());
    for (values, chart) in all.into_iter().zip(charts.into_iter().cycle()) {
        let stream = stream_of(&values, chart);
        let options = Options {
            audience: Audience::Reviewer,
            ..Options::default()
        };
        let (problems, comments) = match render(stream.as_bytes(), &options) {
            Ok(output) => {
                let text = String::from_utf8(output.pieces.concat()).expect("UTF-8");
                let is_comment = |line: &&str| line.trim_start().starts_with('#');
                let comments: Vec<String> =
                    text.lines().filter(is_comment).map(str::to_owned).collect();
                (output.warnings, comments.join("\n"))
            }
            Err(errors) => {
                rejected += 1;
                (errors, String::new())
            }
        };
        assert_tells_nothing("message", &problems.to_string(), &values);
        assert_tells_nothing("report", &json!(problems).to_string(), &values);
        assert_tells_nothing("comment", &comments, &values);
    }
    assert!(rejected > 100, "{rejected}");
}

fn no_command_tells_a_value_of_the_secret() {
    let mut good = secret_values();
    good["policies"]["networkPolicy"]["labels"]["xq7z"] = json!("xq7z");
    good["policies"]["networkPolicy"]["annotations"]["xq7z"] = json!("xq7z");
    good["policies"]["networkPolicy"]["fallbackDns"] = json!("10.9.9.9 xq7z");
    good["controlPlane"]["advanced"]["globalMetadata"]["annotations"]["xq7z"] = json!("xq7z");
    good["loft"]["project"] = json!("xq7z");
    good["token"] = json!("xq7z");
    let mut bad = good.clone();
    bad["policies"]["networkPolicy"]["labels"]["xq7z!"] = json!("xq7z!");
    bad["policies"]["networkPolicy"]["workload"]["egress"][0]["ports"][1]["port"] =
        json!("XQ7Z-xq7z");
    bad["controlPlane"]["advanced"]["globalMetadata"]["annotations"]["xq7z!"] = json!("xq7z!");
    let mut target = good.clone();
    target["experimental"]["syncSettings"]["targetNamespace"] = json!("Xq7z.xq7z");
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("report.json");
    let option = &format!("--report={}", report.display());
    for values in [good, bad, target] {
        let stream = stream_of(&values, "vcluster-0.24.2");
        for words in [
            &["--verbose", option][..],
            &["--strict", option],
            &["--require", option, "--kube-version=1.36"],
            &["lint"],
            &["lint", "--strict", "--output=json"],
            &["explain"],
        ] {
            let run = filter(words, &stream);
            assert_tells_nothing(&words.join(" "), &run.stderr, &values);
            if words[0] == "lint" {
                assert_tells_nothing(&words.join(" "), &run.stdout, &values);
            }
            let told = fs::read_to_string(&report).unwrap_or_default();
            assert_tells_nothing("report", &told, &values);
        }
    }
}

crate::registry::tests! {
    fast: [
        each_change_is_one_line_on_stderr,
        quiet_says_nothing_and_verbose_says_all,
        the_report_holds_all_of_it,
        the_report_says_who_is_not_isolated_and_why,
        the_report_tells_warnings_and_errors_too,
        a_report_that_cannot_be_written_is_an_error_and_nothing_goes_out,
        completions_know_the_commands_and_options,
        every_command_has_a_manual_page,
        a_stream_that_is_closed_is_an_error,
        dev_null_in_one_direction_is_what_the_caller_wants,
        output_that_cannot_be_written_is_an_error,
        a_message_that_cannot_be_written_is_no_panic,
        half_a_stream_does_not_look_like_a_whole_one,
        standard_input_that_is_no_stream_is_an_error,
        an_argument_or_variable_that_is_not_utf8_is_an_error,
        a_report_is_whole_or_not_there,
        no_name_acts_on_the_terminal_or_in_a_log,
        comments_and_reports_hold_no_control_characters,
        no_message_holds_a_value_or_a_free_key_of_the_secret,
        no_command_tells_a_value_of_the_secret,
    ],
}
