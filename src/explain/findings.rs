//! What is open and may not be expected, asked of the evaluator: nothing here is known beforehand
//! of any policy, and where a config closes a hole, nothing is said of it any more.
//!
//! Each finding names the rules that open it and how to close it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::explained::is_every_namespace;
use super::words::Party;
use crate::vcluster::actors::MANAGED_BY;
use netpol::allowed::{AllowRule, AllowedTraffic};
use netpol::evaluate::{Extent, Policies, RuleRef, Why};
use netpol::metadata::{LINK_LOCAL, METADATA_SERVICES, excepts};
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::{Direction, Namespaces, Origin, Peer, Policy};
use netpol::sets::addresses::{AddressSet, parse_net};
use netpol::sets::ports::{PortNumbers, Ports, Protocol};
use netpol::sets::selector::Selector;

/// Something that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The virtual cluster that it concerns, by its identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What is open, in one sentence.
    pub what: String,
    /// The rules that open it.
    pub rules: Vec<String>,
    /// How to close it.
    pub close: String,
}

/// The pods of a policy, and one that stands for all of them.
struct Subject {
    name: String,
    pod: Arc<Pod>,
    cluster: Option<String>,
}

impl Subject {
    fn endpoint(&self) -> Endpoint {
        Endpoint::pod(Arc::clone(&self.pod))
    }
}

/// Everything that is found, one finding after the other for each kind of pod. `cluster_of` says
/// which virtual cluster a policy belongs to.
#[must_use]
pub fn find<'p>(
    policies: &'p Policies,
    cluster_of: impl Fn(&'p Policy) -> Option<&'p str>,
) -> Vec<Finding> {
    let subjects = subjects(policies, cluster_of);
    let mut found = Vec::new();
    for subject in &subjects {
        for direction in [Direction::Egress, Direction::Ingress] {
            found.extend(open_to_everyone(policies, subject, direction));
        }
    }
    found.extend(metadata(policies, &subjects));
    for subject in &subjects {
        found.extend(from_any_namespace(policies, subject));
    }
    found
}

fn subjects<'p>(
    policies: &'p Policies,
    cluster_of: impl Fn(&'p Policy) -> Option<&'p str>,
) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    let mut known = HashSet::new();
    for policy in policies.iter() {
        for labels in policy.selector.examples() {
            if !known.insert((policy.namespace.clone(), labels.clone())) {
                continue;
            }
            let party = Party::subject(policy);
            let name = if party.who == "pods" {
                format!("pods {}", party.by)
            } else {
                party.who
            };
            subjects.push(Subject {
                name,
                cluster: cluster_of(policy).map(str::to_owned),
                pod: Arc::new(Pod {
                    namespace: policy.namespace.clone(),
                    labels,
                    ..Pod::default()
                }),
            });
        }
    }
    subjects
}

/// The addresses of which a rule can take all.
const FAMILIES: [(&str, &str); 2] = [
    ("every IPv4 address", "0.0.0.0/0"),
    ("every IPv6 address", "::/0"),
];

/// What everyone gets, wherever he is; or at least every address of a family.
fn open_to_everyone(policies: &Policies, subject: &Subject, direction: Direction) -> Vec<Finding> {
    let grants = policies.grants(&subject.pod, direction);
    let allowed: AllowedTraffic = grants.iter().collect();
    let everywhere = allowed.everywhere();
    let mut found = Vec::new();
    if !everywhere.is_empty() {
        let who = Who {
            name: "everyone",
            addresses: AddressSet::all(),
        };
        found.push(open_to(subject, direction, &who, &everywhere, &grants));
    }
    for (name, net) in FAMILIES {
        let addresses: AddressSet = parse_net(net).into_iter().collect();
        let ports = allowed.at_all_of(&addresses).difference(&everywhere);
        if !ports.is_empty() {
            let who = Who { name, addresses };
            found.push(open_to(subject, direction, &who, &ports, &grants));
        }
    }
    found
}

/// Somebody who needs no label.
struct Who {
    name: &'static str,
    addresses: AddressSet,
}

fn open_to(
    subject: &Subject,
    direction: Direction,
    who: &Who,
    ports: &Ports,
    grants: &[AllowRule<'_>],
) -> Finding {
    let (name, who_name) = (&subject.name, who.name);
    let rules: Vec<RuleRef<'_>> = (grants.iter())
        .filter(|grant| !grant.ports.intersection(ports).is_empty())
        .filter(|grant| match grant.peer {
            None => true,
            Some(Peer::Block(block)) => !block.intersection(&who.addresses).is_empty(),
            Some(Peer::Pods { .. }) => false,
        })
        .filter_map(|grant| grant.rule)
        .collect();
    let what = match (direction, who_name) {
        (Direction::Egress, "everyone") => {
            format!("{name} may talk to everyone on {ports}: any address, inside and outside")
        }
        (Direction::Egress, _) => format!("{name} may talk to {who_name} on {ports}"),
        (Direction::Ingress, _) => format!("{who_name} may come in to {name} on {ports}"),
    };
    let (kind, side) = match direction {
        Direction::Egress => ("Egress", "to"),
        Direction::Ingress => ("Ingress", "from"),
    };
    let (rules, close) = if rules.is_empty() {
        (
            vec![format!("no policy with the type {kind} selects them")],
            format!("add a policy for these pods with {kind} among its policyTypes"),
        )
    } else {
        let close = closing(&rules, &format!("name those who are meant in `{side}`"));
        (names(&rules), close)
    };
    Finding {
        cluster: subject.cluster.clone(),
        what,
        rules,
        close,
    }
}

/// The pods that reach metadata services by the same rules.
struct MetadataReach<'s, 'p> {
    subjects: Vec<&'s Subject>,
    addresses: Vec<IpAddr>,
    /// Whether the whole range of link-local addresses is open.
    has_link_local: bool,
    rules: Vec<RuleRef<'p>>,
}

/// The addresses at which clouds hand out credentials; said once of all pods and addresses that the
/// same rules open.
fn metadata(policies: &Policies, subjects: &[Subject]) -> Vec<Finding> {
    let http = Ports::numbers(Protocol::Tcp, PortNumbers::span(80, 80));
    let link_local = parse_net(LINK_LOCAL).map(AddressSet::from);
    let mut found: Vec<MetadataReach<'_, '_>> = Vec::new();
    let mut places = HashMap::new();
    for subject in subjects {
        let from = subject.endpoint();
        let egress = |addresses| {
            let there = Endpoint::outside(addresses);
            policies.decide(Direction::Egress, &from, &there, &http)
        };
        let mut of_subject: Vec<(Vec<_>, MetadataReach<'_, '_>)> = Vec::new();
        for service in &METADATA_SERVICES {
            let decision = egress(service.address.into());
            // Where nothing is restricted, more has been said already.
            if decision.extent() != Extent::All || decision.why != Why::Rules {
                continue;
            }
            let keys: Vec<_> = decision.rules.iter().map(RuleRef::key).collect();
            if let Some((_, same)) = of_subject.iter_mut().find(|(known, _)| *known == keys) {
                same.addresses.push(service.address);
                continue;
            }
            let range = link_local.clone();
            let reach = MetadataReach {
                subjects: vec![subject],
                addresses: vec![service.address],
                has_link_local: range.is_some_and(|range| egress(range).extent() == Extent::All),
                rules: decision.rules,
            };
            of_subject.push((keys, reach));
        }
        for (keys, reach) in of_subject {
            let place = (reach.addresses.clone(), keys);
            let place = *places.entry(place).or_insert(found.len());
            match found.get_mut(place) {
                Some(same) => {
                    if same.subjects.iter().all(|known| known.name != subject.name) {
                        same.subjects.push(subject);
                    }
                }
                None => found.push(reach),
            }
        }
    }
    found.iter().map(MetadataReach::finding).collect()
}

impl MetadataReach<'_, '_> {
    fn finding(&self) -> Finding {
        let who: Vec<String> = self.subjects.iter().map(|s| s.name.clone()).collect();
        let first = self.subjects.first();
        let addresses: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        let services = match self.addresses.as_slice() {
            [_] => "a cloud's metadata service, which gives",
            _ => "metadata services of clouds, which give",
        };
        Finding {
            cluster: first.and_then(|subject| subject.cluster.clone()),
            what: format!(
                "{} can reach {}, port 80: {services} out the node's credentials",
                listed(&who),
                listed(&addresses)
            ),
            rules: names(&self.rules),
            close: self.close(),
        }
    }

    fn close(&self) -> String {
        let ranges = listed(&excepts(&self.addresses, self.has_link_local));
        let public = (self.rules.iter())
            .filter_map(|rule| origin(rule)?.setting())
            // The option adds to the excepts of public egress, which are written there.
            .map(|field| match field.strip_suffix("hardened") {
                Some(before) => format!("{before}workload.publicEgress"),
                None => field.to_owned(),
            })
            .find(|field| field.contains("publicEgress") || field.ends_with("ipBlock"));
        match (public, self.rules.as_slice()) {
            (Some(field), [_]) => {
                format!("put {ranges} into {field}.except, beside the ranges there")
            }
            (_, rules) => closing(
                rules,
                &format!("put {ranges} into the `except` of an ipBlock"),
            ),
        }
    }
}

/// Pods that may come in by a label that anyone may have who can create pods, in any namespace.
fn from_any_namespace(policies: &Policies, subject: &Subject) -> Vec<Finding> {
    let mut found = Vec::new();
    let grants = policies.grants(&subject.pod, Direction::Ingress);
    let everywhere = grants.iter().collect::<AllowedTraffic>().everywhere();
    for grant in &grants {
        let Some((Peer::Pods { namespaces, pods }, rule)) = grant.peer.zip(grant.rule) else {
            continue;
        };
        let Namespaces::Labelled(selector) = namespaces else {
            continue;
        };
        // A namespace of which nothing is known but that it has a name.
        if !Selector::namespace("(unknown)").is_within(selector) {
            continue;
        }
        // The rule opens these ports to any pod that its selector takes; no other rule closes them.
        let is_for_nobody = pods.examples().is_empty();
        if is_for_nobody || grant.ports.difference(&everywhere).is_empty() {
            continue;
        }
        let label = if pods.is_empty() {
            "every pod".to_owned()
        } else {
            format!("every pod with {pods}")
        };
        let place = if is_every_namespace(selector) {
            "in whatever namespace".to_owned()
        } else {
            format!("in whatever namespace with {selector}")
        };
        let close = format!(
            "let an admission policy of the host cluster keep {pods} off pods outside the \
             namespace that is meant, pods with {MANAGED_BY} among them"
        );
        found.push(Finding {
            cluster: subject.cluster.clone(),
            what: format!(
                "{label}, {place}, may come in to {} on {}",
                subject.name, grant.ports
            ),
            rules: names(&[rule]),
            close: if is_built_in(&rule) {
                close
            } else {
                closing(&[rule], "narrow its namespaceSelector")
            },
        });
    }
    found
}

/// `a, b and c`.
fn listed(words: &[String]) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
    }
}

/// Each of them once, in order.
fn unique(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = HashSet::new();
    all.filter(|one| seen.insert(one.clone())).collect()
}

fn names(rules: &[RuleRef<'_>]) -> Vec<String> {
    unique(rules.iter().map(RuleRef::name))
}

fn origin<'p>(rule: &RuleRef<'p>) -> Option<&'p Origin> {
    rule.rule()?.origin.as_ref()
}

fn is_built_in(rule: &RuleRef<'_>) -> bool {
    matches!(origin(rule), Some(Origin::BuiltIn))
}

/// How to close what some rules open: at the field that made them, or where they are written; a
/// built-in rule can only be overruled.
fn closing(rules: &[RuleRef<'_>], how: &str) -> String {
    let places = rules
        .iter()
        .filter(|rule| !is_built_in(rule))
        .map(|rule| origin(rule).map_or_else(|| rule.name(), ToString::to_string));
    let places = unique(places);
    let mut ways = Vec::new();
    if !places.is_empty() {
        ways.push(format!("in {}: {how}, or remove the rule", listed(&places)));
    }
    if rules.iter().any(is_built_in) {
        ways.push(
            "no field of the config narrows a built-in rule, and a NetworkPolicy can only add; \
             deny it with a policy of the network plugin that can deny (AdminNetworkPolicy, \
             CiliumNetworkPolicy, Calico's NetworkPolicy)"
                .to_owned(),
        );
    }
    ways.join("; ")
}
