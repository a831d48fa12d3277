//! What must be true of every rule that lint suggests. The cases are those of
//! tests/cases/lint/good-vnp2*: values that need traffic which the policies block.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use manifest::diagnostic::{Change, Diagnostic, Suggestion};
use manifest::yaml::Tree;
use netpol::allowed::AllowedTraffic;
use netpol::evaluate::Policies;
use netpol::model::pod::Pod;
use netpol::model::policy::{Direction, Policy};
use serde_json::{Value, json};
use vcluster_netpol::explain::view::View;
use vcluster_netpol::filter::Options;
use vcluster_netpol::vcluster::actors::MANAGED_BY;
use vcluster_netpol::vcluster::edition::Edition;
use vcluster_netpol::vcluster::sources::{ConfigFile, Overrides};

const RELEASE: &str = "vcluster";
const NAMESPACE: &str = "team-a";

/// The values and the edition of each case.
fn cases() -> Vec<(PathBuf, String, Edition)> {
    let folder = Path::new(crate::cases::FOLDER).join("lint");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut cases = Vec::new();
    for entry in entries.map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("good-vnp2") {
            continue;
        }
        // A case with a stream has no values of its own.
        let Ok(values) = std::fs::read_to_string(entry.join("values.yaml")) else {
            continue;
        };
        let inner = std::fs::read_dir(&entry)
            .unwrap()
            .map(|e| e.unwrap().path());
        for case in inner.chain([entry.clone()]) {
            if let Ok(args) = std::fs::read_to_string(case.join("args")) {
                let edition = args.lines().skip_while(|arg| *arg != "--edition").nth(1);
                let edition = edition.unwrap().parse().unwrap();
                cases.push((case, values.clone(), edition));
            }
        }
    }
    assert!(cases.len() > 25, "{}", cases.len());
    cases.sort_by(|(a, _, _), (b, _, _)| a.cmp(b));
    cases
}

fn view(texts: &[&str], edition: Edition) -> View {
    let files = texts.iter().enumerate().map(|(index, text)| ConfigFile {
        name: format!("{index}.yaml"),
        text: (*text).to_owned(),
    });
    let options = Options {
        overrides: Overrides {
            files: files.collect(),
            release: Some(RELEASE.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            ..Overrides::default()
        },
        edition: Some(edition),
        ..Options::default()
    };
    View::read(b"", "nothing", &options).unwrap_or_else(|e| panic!("{e}"))
}

fn notes(view: &View) -> Vec<Diagnostic> {
    view.made
        .iter()
        .flat_map(|made| made.notes.clone())
        .collect()
}

/// The rules that are suggested, each with its code and with its placeholders filled in.
fn suggestions(notes: &[Diagnostic]) -> BTreeSet<(&'static str, String, String)> {
    let of = |note: &Diagnostic| {
        let suggestion = note.suggestion.as_ref()?;
        let rule = filled_in(suggestion).to_string();
        Some((note.code?, suggestion.path.clone(), rule))
    };
    notes.iter().filter_map(of).collect()
}

fn filled_in(suggestion: &Suggestion) -> Value {
    let (Change::Add(value) | Change::Set(value)) = &suggestion.change;
    let mut text = value.to_string();
    for part in &suggestion.fill_in {
        if part.placeholder.ends_with("_CIDR") {
            text = text.replace(&part.placeholder, "10.77.0.0/24");
        } else if part.placeholder.ends_with("_NAMESPACE") {
            text = text.replace(&part.placeholder, "filled-in");
        }
    }
    serde_json::from_str(&text).unwrap()
}

/// A file that adds a rule to those of the values: lists of a later file take the place of lists of
/// an earlier one.
fn with_rule(values: &str, path: &str, rule: &Value) -> String {
    let tree = Tree::parse(values).unwrap();
    let written = tree.root().unwrap().to_json();
    let mut keys: Vec<&str> = path.split('.').collect();
    let mut list = written.pointer(&format!("/{}", keys.join("/"))).cloned();
    let list = list.get_or_insert_with(|| json!([]));
    list.as_array_mut().unwrap().push(rule.clone());
    let mut file = list.clone();
    while let Some(key) = keys.pop() {
        file = json!({ key: file });
    }
    file.to_string()
}

fn pods() -> [Pod; 2] {
    let pod = |labels: &[(&str, &str)]| Pod {
        namespace: NAMESPACE.to_owned(),
        labels: (labels.iter())
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Pod::default()
    };
    [
        pod(&[(MANAGED_BY, RELEASE)]),
        pod(&[("app", "vcluster"), ("release", RELEASE)]),
    ]
}

/// What a rule alone allows to or from a pod.
fn alone(pod: &Pod, path: &str, rule: &Value) -> (Direction, AllowedTraffic) {
    let direction = path.rsplit('.').next().unwrap();
    let (direction, kind) = match direction {
        "ingress" => (Direction::Ingress, "Ingress"),
        "egress" => (Direction::Egress, "Egress"),
        other => panic!("{other}"),
    };
    let spec = json!({
        "podSelector": {},
        "policyTypes": [kind],
        kind.to_lowercase(): [rule],
    });
    let spec = serde_json::from_value(spec).unwrap();
    let policy = Policy::read(&pod.namespace, "alone", Some(&spec)).unwrap();
    let policies: Policies = [policy].into_iter().collect();
    (direction, policies.allowance(pod, direction))
}

/// With the rule added, nothing is warned of any more, and nothing but the rule is open.
fn a_suggested_rule_opens_what_is_needed_and_nothing_else() {
    let [workload, control_plane] = pods();
    for (case, values, edition) in cases() {
        let name = case.display();
        let before = view(&[&values], edition);
        for note in notes(&before) {
            let Some(suggestion) = &note.suggestion else {
                continue;
            };
            let rule = filled_in(suggestion);
            let overlay = with_rule(&values, &suggestion.path, &rule);
            let after = view(&[&values, &overlay], edition);
            let message = &note.message;
            let left = notes(&after);
            let is_left = left.iter().any(|left| {
                left.code == note.code
                    && left.message == *message
                    && suggestions(std::slice::from_ref(left))
                        == suggestions(std::slice::from_ref(&note))
            });
            assert!(!is_left, "{name}: {message} after adding {rule}");
            let is_workload = suggestion.path.contains("workload");
            let (changed, other) = if is_workload {
                (&workload, &control_plane)
            } else {
                (&control_plane, &workload)
            };
            let (old, new) = (before.model.policies(), after.model.policies());
            let (direction, opened) = alone(changed, &suggestion.path, &rule);
            for pod in [changed, other] {
                for side in [Direction::Ingress, Direction::Egress] {
                    let (was, is) = (old.allowance(pod, side), new.allowance(pod, side));
                    let gained = is.difference(&was);
                    if std::ptr::eq(pod, changed) && side == direction {
                        assert!(!gained.is_empty(), "{name}: {rule} opens nothing");
                        assert_eq!(gained, opened.difference(&was), "{name}: {rule}");
                    } else {
                        assert!(gained.is_empty(), "{name}: {rule} opens {gained}");
                    }
                    assert!(was.difference(&is).is_empty(), "{name}: {rule} closes");
                }
            }
        }
    }
}

/// All values of the case in the chart's Secret, as a chart of the edition renders it.
fn the_secret_gives_the_same_as_a_file() {
    for (case, values, edition) in cases() {
        let tree = Tree::parse(&values).unwrap();
        let values_of_secret = tree.root().unwrap().to_json();
        let config = values_of_secret.pointer("/policies/networkPolicy").unwrap();
        // A chart's schema takes no field of the annotation form.
        if config.get("mappedNamespaces").is_some() {
            continue;
        }
        let labels = json!({"app": "vcluster", "release": RELEASE, "chart": "vcluster-0.31.0"});
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": format!("vc-config-{RELEASE}"),
                "namespace": NAMESPACE,
                "labels": labels,
            },
            "stringData": {"config.yaml": values},
        });
        let options = Options {
            edition: Some(edition),
            ..Options::default()
        };
        let stream = secret.to_string();
        let of_secret = View::read(stream.as_bytes(), "stream", &options).unwrap();
        let of_file = view(&[&values], edition);
        let (secret, file) = (notes(&of_secret), notes(&of_file));
        assert_eq!(
            suggestions(&secret),
            suggestions(&file),
            "{}",
            case.display()
        );
        let shown: String = secret.iter().map(ToString::to_string).collect();
        assert!(!shown.contains("password"), "{shown}");
    }
}

crate::registry::tests! {
    fast: [
        a_suggested_rule_opens_what_is_needed_and_nothing_else,
        the_secret_gives_the_same_as_a_file,
    ],
}
