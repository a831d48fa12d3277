//! Verdicts that are not ours: a public conformance suite, two other engines' own tests, and real
//! packets.
//!
//! The cases live in a folder beside the repository (`VCLUSTER_NETPOL_SHARED`, else `../shared`);
//! without it this test says so and passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use netpol::evaluate::Extent;
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::Endpoint;
use netpol::model::reader;
use netpol::sets::addresses::parse_net;
use netpol::sets::ports::{PortNumbers, Ports};
use serde_json::Value;

use crate::registry::{ClusterSummary, Group, LeftOut, Tier};
use crate::support::shared::{files, root, stem};

/// Cases whose expectation contradicts Kubernetes, with the reason.
const DISAGREE: [(&str, &str); 1] = [(
    "knp-engine-05-allow-all-override-deny-ingress",
    "the policy that should allow everything has no ingress rule at all, so it allows nothing",
)];

/// One test for each case of both kinds.
pub(crate) fn trials() -> Vec<Trial> {
    let group = |name| Group {
        tier: Tier::Slow,
        module: module_path!(),
        name,
    };
    let packets = group("the_conformance_suite_and_its_packets_agree");
    let packets = packets.trials(
        cases("cyclonus"),
        |file| stem(file),
        |file| conformance(file),
    );
    let engines = group("the_tests_of_other_engines_agree");
    let engines = engines.trials(cases("units"), |file| stem(file), |file| other_engine(file));
    packets.into_iter().chain(engines).collect()
}

fn cases(folder: &str) -> ClusterSummary<PathBuf> {
    let folder = root().join("reachability").join(folder);
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(LeftOut(format!("LEFT OUT: there is no folder {folder}")));
    }
    Ok(files(&folder, "yaml"))
}

fn read(file: &Path) -> (ClusterModel, Value) {
    let name = file.display().to_string();
    let model = reader::read(&std::fs::read(file).unwrap(), &name, "default")
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    let expected = std::fs::read(file.with_extension("expected.json")).unwrap();
    (model, serde_json::from_slice(&expected).unwrap())
}

/// A pod by name; an address as the pod that has it.
fn endpoint(model: &ClusterModel, text: &str) -> Endpoint {
    if let Some(net) = parse_net(text) {
        let mut at = model.at(&net.into());
        assert_eq!(at.len(), 1, "{text}");
        return at.remove(0);
    }
    let (namespace, name) = text.split_once('/').unwrap();
    let pod = model.pod(namespace, name);
    Endpoint::pod(pod.unwrap_or_else(|| panic!("no pod {text}")).clone())
}

fn port(protocol: &Value, port: &Value) -> Ports {
    let number = match port {
        Value::String(text) => text.parse().unwrap(),
        number => u16::try_from(number.as_u64().unwrap()).unwrap(),
    };
    let protocol = protocol.as_str().unwrap().parse().unwrap();
    Ports::numbers(protocol, PortNumbers::span(number, number))
}

/// `TCP 80,UDP 53`, or a word for all or nothing.
fn connections(text: &str) -> Ports {
    match text {
        "All Connections" => Ports::all_numbers(),
        "No Connections" => Ports::default(),
        some => some.split(',').fold(Ports::default(), |all, one| {
            let (protocol, number) = one.split_once(' ').unwrap();
            let one = port(&protocol.into(), &number.into());
            all.union(&one)
        }),
    }
}

fn conformance(file: &Path) -> Result<(), String> {
    let (mut checks, mut wrong) = (0, Vec::new());
    let (model, expected) = read(file);
    let columns: BTreeMap<&str, usize> = expected["columns"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(i, column)| (column.as_str().unwrap(), i))
        .collect();
    for row in expected["checks"].as_array().unwrap() {
        let at = |column| &row[columns[column]];
        let from = endpoint(&model, at("from").as_str().unwrap());
        let to = endpoint(&model, at("to").as_str().unwrap());
        let ports = port(at("protocol"), at("port"));
        let verdict = model.policies().check(&from, &to, &ports);
        let ours = [
            ("ingress_ok", verdict.ingress.extent() == Extent::All),
            ("egress_ok", verdict.egress.extent() == Extent::All),
            ("allowed", verdict.allowed()),
            ("real_packets", verdict.allowed()),
        ];
        checks += 1;
        for (column, ours) in ours {
            // What was not measured is null.
            if at(column).as_bool().is_some_and(|theirs| theirs != ours) {
                wrong.push(format!("{row}: {column}"));
            }
        }
    }
    if checks == 0 {
        return Err("the file has no check".to_owned());
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let count = wrong.len();
    wrong.truncate(20);
    Err(format!("{count} of {checks} differ:\n{}", wrong.join("\n")))
}

fn other_engine(file: &Path) -> Result<(), String> {
    let mut wrong = Vec::new();
    let (model, expected) = read(file);
    let any = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| expected.get(name));
        found
            .unwrap_or_else(|| panic!("{}: no {names:?}", file.display()))
            .clone()
    };
    let from = endpoint(&model, any(["src", "src_ip"]).as_str().unwrap());
    let to = endpoint(&model, any(["dst", "dst_ip"]).as_str().unwrap());
    if let Some(all) = expected.get("all_connections").and_then(Value::as_str) {
        let verdict = model.policies().check(&from, &to, &Ports::all_numbers());
        let out = verdict.egress.open.ports();
        let ours = out.intersection(&verdict.ingress.open.ports());
        let theirs = connections(all);
        if ours != theirs {
            wrong.push(format!("{ours}, should be {theirs}"));
        }
    }
    let ports = port(&expected["protocol"], &any(["port", "dst_port"]));
    let ours = model.policies().check(&from, &to, &ports).allowed();
    let theirs = expected["allowed"].as_bool().unwrap();
    let name = stem(file);
    match DISAGREE.iter().find(|(case, _)| *case == name) {
        None if ours != theirs => wrong.push(format!("allowed is {ours}, should be {theirs}")),
        Some(_) if ours == theirs => wrong.push("agrees now, take it off the list".to_owned()),
        Some((case, reason)) => eprintln!("LEFT OUT: {case}: {reason}"),
        None => {}
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n"))
}
