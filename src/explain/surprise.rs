//! What is open and may not be expected, asked of the evaluator: nothing here is known beforehand
//! of any policy, and where a config closes a hole, nothing is said of it any more.
//!
//! Each finding names the rules that open it and how to close it.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::causes::BUILT_IN;
use super::words::Party;
use crate::vcluster::actors::MANAGED_BY;
use netpol::allowed::Allowance;
use netpol::evaluate::{Extent, Policies, RuleRef, Why};
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::{Direction, Namespaces, Peer};
use netpol::sets::addresses::parse_net;
use netpol::sets::ports::{PortNumbers, Ports, Protocol};
use netpol::sets::selector::Selector;

/// Where clouds hand out the credentials of the node, and what is to be excepted for it.
const METADATA: [(&str, &str); 2] = [
    ("169.254.169.254", "169.254.0.0/16"),
    ("fd00:ec2::254", "fd00:ec2::254/128"),
];

/// The namespace of a pod that is in none of those that the policies speak of.
const ELSEWHERE: &str = "(elsewhere)";

/// The label that a tenant's pod brings along to the host cluster, whatever its value.
const TENANTS_LABEL: &str = "app";

/// Something that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Surprise {
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
}

impl Subject {
    fn endpoint(&self) -> Endpoint {
        Endpoint::pod(Arc::clone(&self.pod))
    }

    /// Whether it is any pod that a tenant runs.
    fn is_tenants(&self) -> bool {
        self.pod.labels.len() == 1 && self.pod.labels.contains_key(MANAGED_BY)
    }

    /// The same pod with one more label.
    fn with(&self, key: &str, value: &str) -> Endpoint {
        let mut pod = Pod::clone(&self.pod);
        pod.labels.insert(key.to_owned(), value.to_owned());
        Endpoint::pod(Arc::new(pod))
    }
}

/// Everything that is found, one finding after the other for each kind of pod.
#[must_use]
pub fn find(policies: &Policies) -> Vec<Surprise> {
    let subjects = subjects(policies);
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
    for tenant in subjects.iter().filter(|s| s.is_tenants()) {
        found.extend(borrowed_labels(policies, tenant, &subjects));
    }
    found
}

fn subjects(policies: &Policies) -> Vec<Subject> {
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

/// What everyone gets, wherever he is.
fn open_to_everyone(
    policies: &Policies,
    subject: &Subject,
    direction: Direction,
) -> Option<Surprise> {
    let ports = policies.allowance(&subject.pod, direction);
    let ports = ports.everyone();
    if ports.is_empty() {
        return None;
    }
    let name = &subject.name;
    let grants = policies.grants(&subject.pod, direction);
    let rules: Vec<RuleRef<'_>> = (grants.iter())
        .filter(|grant| grant.peer.is_none())
        .filter_map(|grant| grant.rule)
        .collect();
    let what = match direction {
        Direction::Egress => {
            format!("{name} may talk to everyone on {ports}: any address, inside and outside")
        }
        Direction::Ingress => format!("everyone may come in to {name} on {ports}"),
    };
    if rules.is_empty() {
        let kind = match direction {
            Direction::Egress => "Egress",
            Direction::Ingress => "Ingress",
        };
        return Some(Surprise {
            what,
            rules: vec![format!("no policy with the type {kind} selects them")],
            close: format!("add a policy for these pods with {kind} among its policyTypes"),
        });
    }
    let side = match direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    };
    Some(Surprise {
        what,
        close: closing(&rules, &format!("name those who are meant in `{side}`")),
        rules: names(&rules),
    })
}

/// The addresses at which clouds hand out credentials; said once of all pods that reach them by the
/// same rules.
fn metadata(policies: &Policies, subjects: &[Subject]) -> Vec<Surprise> {
    let http = Ports::numbers(Protocol::Tcp, PortNumbers::span(80, 80));
    let mut found: Vec<(Vec<&str>, Vec<&str>, Vec<RuleRef<'_>>)> = Vec::new();
    for subject in subjects {
        let mut open: Vec<&str> = Vec::new();
        let mut rules: Vec<RuleRef<'_>> = Vec::new();
        for (address, _) in METADATA {
            let Some(net) = parse_net(address) else {
                continue;
            };
            let there = Endpoint::outside(net.into());
            let decision = policies.decide(Direction::Egress, &subject.endpoint(), &there, &http);
            // Where nothing is restricted, more has been said already.
            if decision.extent() == Extent::All && decision.why == Why::Rules {
                open.push(address);
                rules.extend(decision.rules);
            }
        }
        if open.is_empty() {
            continue;
        }
        match found.iter_mut().find(|(_, a, r)| (a, r) == (&open, &rules)) {
            Some((who, _, _)) if who.contains(&subject.name.as_str()) => {}
            Some((who, _, _)) => who.push(&subject.name),
            None => found.push((vec![&subject.name], open, rules)),
        }
    }
    (found.iter())
        .map(|(who, open, rules)| Surprise {
            what: format!(
                "{} reach {}, port 80: there clouds hand out the credentials of the node",
                who.join(" and "),
                open.join(" and ")
            ),
            rules: names(rules),
            close: close_metadata(open, rules),
        })
        .collect()
}

fn close_metadata(open: &[&str], rules: &[RuleRef<'_>]) -> String {
    let ranges: Vec<&str> = (METADATA.iter())
        .filter(|(address, _)| open.contains(address))
        .map(|(_, range)| *range)
        .collect();
    let ranges = ranges.join(" and ");
    let public = (rules.iter())
        .filter_map(|rule| rule.rule()?.cause.as_deref())
        .map(|cause| cause.strip_prefix("default of ").unwrap_or(cause))
        .find(|cause| cause.ends_with("publicEgress") || cause.ends_with("ipBlock"));
    match (public, rules) {
        (Some(field), [_]) => format!("put {ranges} into {field}.except, beside the ranges there"),
        _ => closing(
            rules,
            &format!("put {ranges} into the `except` of an ipBlock"),
        ),
    }
}

/// Pods that may come in by a label that anyone may have who can create pods, in any namespace.
fn from_any_namespace(policies: &Policies, subject: &Subject) -> Vec<Surprise> {
    let mut found = Vec::new();
    let everyone = policies.allowance(&subject.pod, Direction::Ingress);
    for grant in policies.grants(&subject.pod, Direction::Ingress) {
        let Some((Peer::Pods { namespaces, pods }, rule)) = grant.peer.zip(grant.rule) else {
            continue;
        };
        if !matches!(namespaces, Namespaces::Labelled(s) if s.is_empty()) {
            continue;
        }
        let Some(labels) = pods.examples().into_iter().next() else {
            continue;
        };
        let stranger = Endpoint::pod(Arc::new(Pod {
            namespace: ELSEWHERE.to_owned(),
            labels,
            ..Pod::default()
        }));
        let asked = grant.ports.clone();
        let decision = policies.decide(Direction::Ingress, &subject.endpoint(), &stranger, &asked);
        if decision.extent() != Extent::All || asked.difference(everyone.everyone()).is_empty() {
            continue;
        }
        let label = if pods.is_empty() {
            "every pod".to_owned()
        } else {
            format!("every pod with {pods}")
        };
        let close = format!(
            "let an admission policy of the host cluster keep {pods} off pods outside the \
             namespace that is meant, pods with {MANAGED_BY} among them"
        );
        found.push(Surprise {
            what: format!(
                "{label}, in whatever namespace, may come in to {} on {}",
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

/// What a tenant gains by a label that the syncer brings from the tenant's pod to the host's.
fn borrowed_labels(policies: &Policies, tenant: &Subject, subjects: &[Subject]) -> Vec<Surprise> {
    let mut values: Vec<String> = Vec::new();
    let mut note = |selector: &Selector| {
        if let Some(value) = selector.fixed_labels().get(TENANTS_LABEL)
            && !values.contains(value)
        {
            values.push(value.clone());
        }
    };
    let home = &tenant.pod.namespace;
    for policy in policies.iter().filter(|p| p.namespace == *home) {
        note(&policy.selector);
        for rule in policy.rules(Direction::Ingress).unwrap_or_default() {
            for peer in rule.peers.iter().flatten() {
                if let Peer::Pods {
                    namespaces: Namespaces::Own(_),
                    pods,
                } = peer
                {
                    note(pods);
                }
            }
        }
    }
    let plain = tenant.endpoint();
    let mut found = Vec::new();
    for value in values {
        let posing = tenant.with(TENANTS_LABEL, &value);
        let mut gains: Vec<String> = Vec::new();
        let mut rules: Vec<RuleRef<'_>> = Vec::new();
        if let Some(pod) = posing.pod.as_deref() {
            let old = policies.allowance(&tenant.pod, Direction::Egress);
            for grant in policies.grants(pod, Direction::Egress) {
                let more: Allowance = std::iter::once(&grant).collect();
                let Some(rule) = grant.rule.filter(|_| !more.difference(&old).is_empty()) else {
                    continue;
                };
                let peer = grant.peer.map_or_else(Party::everyone, Party::peer);
                gains.push(format!("may talk to {} on {}", peer.who, grant.ports));
                rules.push(rule);
            }
        }
        for subject in subjects.iter().filter(|s| s.pod.namespace == *home) {
            if subject.pod.labels == tenant.pod.labels {
                continue;
            }
            let every = Ports::all_numbers();
            let ask = |peer| policies.decide(Direction::Ingress, &subject.endpoint(), peer, &every);
            let (new, old) = (ask(&posing), ask(&plain));
            let gain = new.open.ports().difference(&old.open.ports());
            if gain.is_empty() {
                continue;
            }
            // Both ends have to agree; it is said what comes of it.
            let both = policies.check(&posing, &subject.endpoint(), &every);
            let out = both.egress.open.ports();
            let limit = if out.intersection(&gain) == gain {
                String::new()
            } else {
                format!(" (though its own egress lets it use no more than {out})")
            };
            let ports = new.open.ports();
            gains.push(format!("is let in to {} on {ports}{limit}", subject.name));
            rules.extend(new.rules.into_iter().filter(|r| !old.rules.contains(r)));
        }
        if gains.is_empty() {
            continue;
        }
        let label = format!("{TENANTS_LABEL}={value}");
        found.push(Surprise {
            what: format!(
                "a tenant's pod can bear {label}, for the label {TENANTS_LABEL} comes along to the \
                 host cluster; such a pod among the {} {}",
                tenant.name,
                listed(&gains)
            ),
            rules: names(&rules),
            close: format!(
                "let an admission policy of the host cluster refuse {label} on pods with \
                 {MANAGED_BY}"
            ),
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

fn name(rule: &RuleRef<'_>) -> String {
    format!("{} {}[{}]", rule.policy.name, rule.direction, rule.index)
}

fn names(rules: &[RuleRef<'_>]) -> Vec<String> {
    unique(rules.iter().map(name))
}

fn is_built_in(rule: &RuleRef<'_>) -> bool {
    let cause = rule.rule().and_then(|rule| rule.cause.as_deref());
    cause == Some(BUILT_IN)
}

/// How to close what some rules open: at the field that made them, or where they are written; a
/// built-in rule can only be overruled.
fn closing(rules: &[RuleRef<'_>], how: &str) -> String {
    let places = rules.iter().filter(|rule| !is_built_in(rule)).map(|rule| {
        let cause = rule.rule().and_then(|rule| rule.cause.clone());
        cause.unwrap_or_else(|| name(rule))
    });
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
