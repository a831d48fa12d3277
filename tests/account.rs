//! What the filter says beside its output: lines on stderr, the report, completions and the manual.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by stopping"
)]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/helm.rs"]
mod helm;

use std::fs;
use std::process::Command;

use helm::{FILTER, Run};
use serde_json::Value;

/// A virtual cluster without policies yet.
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

#[test]
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

#[test]
fn quiet_says_nothing_and_verbose_says_all() {
    assert_eq!(filter(&["--quiet"], STREAM).stderr, "");
    let printed = filter(&["--quiet"], STREAM).stdout;
    let said = filter(&["--verbose"], &printed).stderr;
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

#[test]
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
    assert_eq!(report["actions"][0]["deed"], "injected");
    assert_eq!(report["actions"][0]["policy"], "vc-work-a");
    assert_eq!(report["actions"][1]["policy"], "vc-cp-a");

    let (_, again) = reported(&[], &run.stdout);
    assert_eq!(again["actions"][0]["deed"], "unchanged");
    assert!(again["actions"][0]["document"].is_number(), "{again}");
}

#[test]
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

#[test]
fn a_report_that_cannot_be_written_is_an_error_and_nothing_goes_out() {
    let run = filter(&["--report=/no/such/folder/report.json"], STREAM);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""));
    assert!(
        run.stderr.contains("can't write the report"),
        "{}",
        run.stderr
    );
}

#[test]
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

#[test]
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
