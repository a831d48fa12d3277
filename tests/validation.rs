//! The verdicts of real API servers, case by case.
//!
//! The cases lie beside the repository: `ID.yaml` was sent to a server, `ID.json` is its answer.
//! `VCLUSTER_NETPOL_SHARED` names the folder that holds `validation/`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vcluster_netpol::report::{Place, Problem, Quoting, Severity};
use vcluster_netpol::shape::Origin;
use vcluster_netpol::validate::document::policy_document;
use vcluster_netpol::validate::{CidrRule, Context};
use vcluster_netpol::yaml::Tree;

/// The folder of the cases, or `None` where they were not brought along.
fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("VCLUSTER_NETPOL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    if !shared.exists() {
        eprintln!(
            "LEFT OUT: {} is not there, so no verdict of a real API server was compared",
            shared.display()
        );
        return None;
    }
    Some(shared.join("validation"))
}

struct Case {
    name: String,
    text: String,
    verdict: Value,
}

fn cases(folder: &Path) -> Vec<Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no case", folder.display());
    paths
        .into_iter()
        .map(|path| Case {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            text: std::fs::read_to_string(&path).unwrap(),
            verdict: serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap())
                .unwrap(),
        })
        .collect()
}

fn judge(case: &Case, cidr: CidrRule) -> Vec<Problem> {
    let origin = Origin {
        place: Place::default(),
        quoting: Quoting::Show,
    };
    let ctx = Context {
        origin: &origin,
        cidr,
    };
    match Tree::parse(&case.text) {
        Ok(tree) => policy_document(tree.root(), case.verdict["namespace"].as_str(), &ctx),
        Err(error) => vec![Problem::error(error.to_string())],
    }
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

#[test]
fn every_case_is_judged_as_the_server_judged_it() {
    let Some(folder) = folder() else { return };
    let mut wrong = BTreeSet::new();
    for case in cases(&folder) {
        for (rule, field) in [
            (CidrRule::From136, "valid"),
            (CidrRule::UpTo135, "valid_legacy_cidr"),
        ] {
            let problems = judge(&case, rule);
            let errors: Vec<&Problem> = problems
                .iter()
                .filter(|p| p.severity == Severity::Error)
                .collect();
            let valid = case.verdict[field].as_bool().unwrap();
            if errors.is_empty() != valid {
                wrong.insert(format!(
                    "{} {rule:?}: valid {valid}, {problems:?}",
                    case.name
                ));
            }
            let Some(theirs) = case.verdict["error_field"].as_str() else {
                continue;
            };
            if let Some(first) = errors.first() {
                let ours = first.place.path.as_deref().unwrap_or_default();
                let decoding = case.verdict["stage"] == "decode";
                if !is_same_field(ours, theirs, decoding) {
                    wrong.insert(format!(
                        "{} {rule:?}: field {theirs}, not {ours}",
                        case.name
                    ));
                }
            }
            for warning in case.verdict["warnings"].as_array().into_iter().flatten() {
                let path = warning.as_str().unwrap().split(": ").next();
                if !problems.iter().any(|p| p.place.path.as_deref() == path) {
                    wrong.insert(format!("{} {rule:?}: no warning at {path:?}", case.name));
                }
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
