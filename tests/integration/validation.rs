//! The verdicts of real API servers, case by case.
//!
//! The cases lie beside the repository: `ID.yaml` was sent to a server, `ID.json` is its answer.
//! `VCLUSTER_NETPOL_SHARED` names the folder that holds `validation/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::registry::{ClusterSummary, Group, LeftOut, Tier};
use crate::support::shared::{files, root, stem};

/// One test for each case.
pub(crate) fn trials() -> Vec<Trial> {
    let group = Group {
        tier: Tier::Slow,
        module: module_path!(),
        name: "every_case_is_judged_as_the_server_judged_it",
    };
    group.trials(cases(), |path| stem(path), |path| judge(&Case::read(path)))
}

/// The cases, where they were brought along.
fn cases() -> ClusterSummary<PathBuf> {
    let shared = root();
    if !shared.exists() {
        return Err(LeftOut(format!(
            "LEFT OUT: {} is not there, so no verdict of a real API server was compared",
            shared.display()
        )));
    }
    Ok(files(&shared.join("validation"), "yaml"))
}

struct Case {
    path: PathBuf,
    verdict: Value,
}

impl Case {
    fn read(path: &Path) -> Self {
        let verdict = std::fs::read(path.with_extension("json")).unwrap();
        Self {
            path: path.to_owned(),
            verdict: serde_json::from_slice(&verdict).unwrap(),
        }
    }
}

/// Whether `lint` accepts a case for a Kubernetes version, and its problems.
fn lint(case: &Case, version: &str) -> (bool, Vec<Value>) {
    let output = Command::new(env!("CARGO_BIN_EXE_vcluster-netpol"))
        .args(["lint", "--output", "json", "--namespace"])
        .arg(case.verdict["namespace"].as_str().unwrap())
        .arg(&case.path)
        .env("KUBE_VERSION", version)
        .output()
        .unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = found["problems"].as_array().unwrap().clone();
    (output.status.success(), problems)
}

fn path_of(problem: &Value) -> &str {
    problem["place"]["path"].as_str().unwrap_or_default()
}

/// The server names a field of the wrong type without the indices, and the map instead of the key.
fn is_same_field(ours: &str, theirs: &str, decoding: bool) -> bool {
    if ours == theirs {
        return true;
    }
    let mut plain = String::new();
    let mut inside = false;
    for c in ours.chars() {
        inside = (inside || c == '[') && c != ']';
        if !inside && c != ']' {
            plain.push(c);
        }
    }
    decoding
        && (plain == theirs
            || plain
                .strip_suffix(|c: char| c != '.')
                .is_some_and(|_| plain.rsplit_once('.').is_some_and(|(map, _)| map == theirs)))
}

fn judge(case: &Case) -> Result<(), String> {
    let mut wrong = BTreeSet::new();
    for (version, field) in [
        ("v1.36.2-gke.1", "valid"),
        ("v1.35.0", "valid_legacy_cidr"),
        ("", "valid_legacy_cidr"),
    ] {
        let mut complain = |what: String| {
            wrong.insert(format!("{version}: {what}"));
        };
        let (accepted, problems) = lint(case, version);
        let valid = case.verdict[field].as_bool().unwrap();
        if accepted != valid {
            complain(format!("valid is {valid}: {problems:?}"));
        }
        let first = problems.iter().find(|p| p["severity"] == "error");
        if let (Some(theirs), Some(first)) = (case.verdict["error_field"].as_str(), first) {
            let decoding = case.verdict["stage"] == "decode";
            let ours = path_of(first);
            if !is_same_field(ours, theirs, decoding) {
                complain(format!("the field is {theirs}, not {ours}"));
            }
        }
        for warning in case.verdict["warnings"].as_array().into_iter().flatten() {
            let theirs = warning.as_str().unwrap().split(": ").next().unwrap();
            if !problems.iter().any(|p| path_of(p) == theirs) {
                complain(format!("no warning at {theirs}"));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    Err(wrong.join("\n"))
}
