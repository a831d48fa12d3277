//! Names that no cluster takes and every text may hold, through every form in which names are shown.

use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position};
use manifest::escape;
use netpol::assertions::{self, Group, Report};
use netpol::connections::Wanted;
use netpol::model::cluster::ClusterModel;
use netpol::model::reader;
use netpol::probe;
use netpol::query::{EndpointSpec, QueryScope, parse_destination};
use netpol::verdict::Question;
use proptest::prelude::*;
use serde_json::{Value, json};
use vcluster_netpol::doctor::{Finding, Health};
use vcluster_netpol::explain::diff::{self, Diff};
use vcluster_netpol::explain::view::View;
use vcluster_netpol::explain::{self, Explanation};
use vcluster_netpol::filter::Options;
use vcluster_netpol::filter::helm;
use vcluster_netpol::filter::krm;
use vcluster_netpol::list;
use vcluster_netpol::vcluster::actors::VOCABULARY;

/// What a name may be made of.
const PARTS: [&str; 28] = [
    "a",
    "z-1",
    "ü",
    "\n",
    "\r\n",
    "\n::error::x",
    "::add-mask::y",
    "::group:: z",
    "##[error]",
    "##vso[task]",
    "\u{1b}[31m",
    "\u{7}",
    "\t",
    "\0",
    "\u{7f}",
    "\u{85}",
    "\u{9b}2J",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{2028}",
    "|",
    "`",
    "<img src=x>",
    "[x](http://e.org)",
    "\\",
    "\"'&lt;{}",
    "%%{init",
];

fn nasty() -> impl Strategy<Value = String> {
    let parts = proptest::sample::select(PARTS.to_vec());
    proptest::collection::vec(parts, 1..6).prop_map(|parts| parts.concat())
}

/// A stream in which everything is named alike.
fn manifest_of(name: &str) -> String {
    let labels = json!({ name: name });
    let pods = json!({ "matchLabels": labels });
    let peer = json!({ "podSelector": pods, "namespaceSelector": pods });
    let named = json!({ "from": [peer], "ports": [{ "port": name }] });
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": name, "namespace": name },
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [named, {}],
            "egress": [{ "to": [peer] }],
        },
    });
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": name, "labels": labels },
        "spec": { "containers": [{ "ports": [{ "name": name, "containerPort": 80 }] }] },
    });
    let (policy, pod) = (policy.to_string(), pod.to_string());
    // Some readers of YAML refuse raw control characters.
    format!(
        "{}
---
{}
",
        escape::json(&policy),
        escape::json(&pod)
    )
}

fn view(text: &str) -> View {
    View::read(text.as_bytes(), "f", &Options::default()).unwrap()
}

fn question(name: &str) -> Question {
    let (to, ports) = parse_destination("internet:443", &VOCABULARY).unwrap();
    let from = EndpointSpec::Named {
        namespace: name.to_owned(),
        name: name.to_owned(),
    };
    Question { from, to, ports }
}

fn check(name: &str, model: &ClusterModel) -> Vec<(&'static str, String)> {
    let scope = QueryScope::default();
    let mut forms = Vec::new();
    for (from, to) in [("10.0.0.1", "0.0.0.0/0"), ("0.0.0.0/0", "::/0")] {
        let from = EndpointSpec::parse(from, &VOCABULARY).unwrap();
        let (to, ports) = parse_destination(to, &VOCABULARY).unwrap();
        let answer = Question { from, to, ports }.ask(model, &scope).unwrap();
        forms.push(("check", answer.in_words()));
    }
    let answer = question(name).ask(model, &scope).unwrap();
    forms.push(("check", answer.in_words()));
    forms.push(("check", answer.additions_in_words()));
    let expectations = json!({
        "allow": [{ "from": "ns:a", "to": "internet", "reason": name }],
        "deny": [{ "from": "internet", "to": "ns:a", "reason": name }],
    });
    let text = escape::json(&expectations.to_string());
    let expectations = assertions::read(&text, name, &VOCABULARY).unwrap();
    let mut outcomes = assertions::run(&expectations, model, &scope).unwrap();
    for outcome in &mut outcomes {
        outcome.passed = false;
        outcome.detail = answer.in_words();
        outcome.decided_by = vec![name.to_owned()];
    }
    let group = |not_judged| Group {
        name: Some(name.to_owned()),
        not_judged,
        outcomes: outcomes.clone(),
    };
    for groups in [
        vec![group(None)],
        vec![group(None), group(Some(name.to_owned()))],
    ] {
        let report = Report {
            kind: "virtual cluster",
            groups,
            notes: Vec::new(),
        };
        forms.push(("table", assertions::to_table(&report)));
        forms.push(("junit", assertions::to_junit(&report)));
    }
    let probes = probe::read("from,to,protocol,port\n10.0.0.1,internet,TCP,443\n").unwrap();
    let mut rows = probe::run(probes, model, &scope).unwrap();
    for row in &mut rows {
        row.decided_by = vec![name.to_owned()];
    }
    forms.push(("csv", probe::to_csv(&rows)));
    forms
}

/// Problems of every kind with the name in every part.
fn problems(name: &str) -> Diagnostics {
    let place = Location {
        file: Some(name.to_owned()),
        object: Some(format!("Secret {name}/{name}")),
        source: Some(name.to_owned()),
        document: Some(1),
        stream_line: Some(1),
        part: Some(name.to_owned()),
        path: Some(name.to_owned()),
        position: Some(Position { line: 1, column: 1 }),
    };
    let mut report = Diagnostics::from(Diagnostic::error(name).help(name).at(place));
    report.push(Diagnostic::warning("VNP101", name).help(name));
    report
}

/// Every form in which a name can be shown to people.
fn forms(name: &str) -> Vec<(&'static str, String)> {
    let text = manifest_of(name);
    let read = view(&text);
    let explanation = Explanation::of(&read);
    // So wide that no line is broken for its length.
    let mut forms = vec![
        ("text", explain::text(&explanation, 100_000)),
        ("markdown", explain::markdown(&explanation)),
        ("mermaid", explain::mermaid(&explanation)),
        ("dot", explain::dot(&explanation)),
    ];
    let open = view("kind: ConfigMap\n");
    let changes = Diff::between(read.model.policies(), open.model.policies());
    forms.push(("diff", diff::text(&changes, 100_000)));
    forms.push(("diff as markdown", diff::markdown(&changes)));
    let listing = list::Listing::of(&read.model.connections(&Wanted::default()));
    forms.push(("list", list::text(&listing)));
    forms.push(("list as csv", list::csv(&listing)));
    forms.push(("list as markdown", list::markdown(&listing)));
    forms.push(("list as dot", list::dot(&listing)));
    let model = reader::read(text.as_bytes(), name, name).unwrap();
    forms.extend(check(name, &model));
    let report = problems(name);
    forms.push(("report", report.to_string()));
    forms.push(("helm 4", helm::block_scalar(&report.to_string())));
    let finding = Finding::new(Health::Bad, name).help(name);
    forms.push(("doctor", finding.to_string()));
    let results: Vec<Value> = report.iter().map(krm::result).collect();
    forms.push(("krm", escape::json(&Value::Array(results).to_string())));
    forms
}

/// Whether a line is a command for the log of GitHub or Azure.
fn is_command(line: &str) -> bool {
    let rest = line.trim_start().strip_prefix("::");
    rest.is_some_and(|rest| rest.starts_with(char::is_alphabetic) && rest.contains("::"))
        || line.contains("##[")
        || line.contains("##vso[")
}

/// The pipes that part the cells of a row.
fn cells(line: &str) -> usize {
    line.replace("\\|", "").matches('|').count()
}

/// Whether a line of Markdown holds a tag that is not one of ours.
fn holds_html(line: &str) -> bool {
    let own = ["<br>", "<code>", "</code>"];
    let line = own
        .iter()
        .fold(line.to_owned(), |line, tag| line.replace(tag, ""));
    let (mut in_code, mut is_escaped) = (false, false);
    line.chars().any(|c| {
        let is_tag = c == '<' && !in_code && !is_escaped;
        in_code ^= c == '`' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped && !in_code;
        is_tag
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    fn no_name_acts_in_any_form(name in nasty()) {
        let tame = forms("tame");
        for ((form, text), (_, plain)) in forms(&name).into_iter().zip(tame) {
            let hidden = text.chars().find(|c| *c != '\n' && escape::is_hidden(*c));
            prop_assert_eq!(hidden, None, "{}: {}", form, &text);
            prop_assert!(!text.lines().any(is_command), "{}: {}", form, &text);
            prop_assert_eq!(text.lines().count(), plain.lines().count(), "{}:\n{}\n{}", form, &text, &plain);
            if form.contains("markdown") {
                for (line, plain) in text.lines().zip(plain.lines()) {
                    prop_assert_eq!(cells(line), cells(plain), "{}", line);
                }
prop_assert!(!text.lines().any(holds_html), "{}", &text);
            }
        }
        // The picture breaks lines by itself; each of them begins with a tag.
        let svg = explain::svg(&Explanation::of(&view(&manifest_of(&name))));
        prop_assert!(!svg.contains(|c| c != '\n' && escape::is_hidden(c)));
        let (_, body) = svg.split_once("</defs>\n").unwrap();
        prop_assert!(body.lines().all(|line| line.starts_with('<')), "{}", body);
    }
}

fn names_that_are_names_stay_as_they_are() {
    let text = explain::text(
        &Explanation::of(&view(&manifest_of("größe-1.example.com/a"))),
        500,
    );
    assert!(
        text.contains("\ngröße-1.example.com/a in namespace"),
        "{text}"
    );
}

crate::registry::tests! {
    fast: [
        no_name_acts_in_any_form,
        names_that_are_names_stay_as_they_are,
    ],
}
