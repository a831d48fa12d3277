//! Why a direction of a connection is denied, and what would allow it: the rule that is nearest to
//! it and what differs, and the rule to add with all that it newly allows.
//!
//! Only facts are found here; the words for them are in [`verdict`](crate::verdict).

use std::fmt;

use serde_json::{Value, json};

use crate::allowed::AllowedTraffic;
use crate::evaluate::{Decision, Extent, Policies, RuleRef};
use crate::model::pod::{Endpoint, Pod};
use crate::model::policy::{Direction, Namespaces, Peer, Policy, Rule};
use crate::query::PortSpec;
use crate::sets::ports::{Ports, Protocol};
use crate::sets::selector::{Labels, Selector};

/// Labels that controllers give to one pod or one generation of pods. A rule does not ask for them.
const GENERATED_LABELS: [&str; 7] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
];

/// The most blocks of a rule that is proposed: more is nothing that somebody should add.
const MAX_BLOCKS: usize = 16;

/// What keeps a rule from allowing a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The ports: those that are asked for and not in the rule.
    Ports(Ports),
    /// A label of the pod: what it has (`None`: nothing), and what the rule requires.
    Label {
        /// The key.
        key: String,
        /// The value that the pod has.
        has: Option<String>,
        /// The requirement.
        requires: String,
    },
    /// The namespace: its name or label, and what the rule requires.
    Namespace {
        /// What the pod's namespace is or has.
        has: String,
        /// The requirement.
        requires: String,
    },
    /// The address: the one that is asked for, and those of the rule.
    Address {
        /// Asked for.
        has: String,
        /// In the rule.
        requires: String,
        /// Whether the other end is a pod.
        is_pod: bool,
    },
    /// The rule names pods, and the other end is an address that is no pod's.
    NotAPod,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(ports) => write!(f, "port: {ports} is not in the rule"),
            Self::Label { key, has, requires } => match has {
                Some(value) => write!(f, "label: {key} is {value}, the rule requires {requires}"),
                None => write!(f, "label: {key} is missing, the rule requires {requires}"),
            },
            Self::Namespace { has, requires } => {
                write!(f, "namespace: it is {has}, the rule requires {requires}")
            }
            Self::Address { has, requires, .. } => {
                write!(f, "address: {has} is not in {requires}")
            }
            Self::NotAPod => f.write_str("address: the rule names pods, and this is no pod"),
        }
    }
}

impl Difference {
    /// How far it keeps the rule from the connection. A rule for the peer on other ports is nearer
    /// than one for another peer. A rule about addresses is far from a pod, and so is a rule about
    /// pods from an address.
    fn weight(&self) -> usize {
        match self {
            Self::Address { is_pod: true, .. } | Self::NotAPod => 6,
            Self::Label { .. } | Self::Namespace { .. } | Self::Address { .. } => 2,
            Self::Ports(_) => 1,
        }
    }
}

/// The rule that differs least from what would allow the connection.
#[derive(Debug, Clone)]
pub struct Nearest<'p> {
    /// The rule.
    pub rule: RuleRef<'p>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// A rule that would allow the connection in one direction.
#[derive(Debug, Clone)]
pub struct Addition {
    /// The policy to add it to, as namespace/name.
    pub policy: String,
    /// The list.
    pub direction: Direction,
    /// The setting that adds a rule there, where the policy is made from settings.
    pub setting: Option<String>,
    /// The rule.
    pub rule: Value,
    /// All that the pods of the policy get by it and did not have.
    pub newly_allowed: AllowedTraffic,
}

/// The rule that is nearest to a connection that a decision denies, all or in part.
#[must_use]
pub fn nearest<'p>(decision: &Decision<'p>, peer: &Endpoint, asked: &Ports) -> Option<Nearest<'p>> {
    let direction = decision.direction;
    let mut best: Option<(usize, Nearest<'p>)> = None;
    for &policy in &decision.policies {
        let rules = policy.rules(direction).unwrap_or_default();
        for (index, rule) in rules.iter().enumerate() {
            let differences = differences(rule, peer, asked);
            let weight = weight(&differences);
            let is_better = best.as_ref().is_none_or(|(least, _)| weight < *least);
            if is_better && weight > 0 {
                let rule = RuleRef {
                    policy,
                    direction,
                    index,
                };
                best = Some((weight, Nearest { rule, differences }));
            }
        }
    }
    best.map(|(_, nearest)| nearest)
}

fn weight(differences: &[Difference]) -> usize {
    differences.iter().map(Difference::weight).sum()
}

/// What differs between a rule and a connection: the ports, and the peer that is nearest.
fn differences(rule: &Rule, peer: &Endpoint, asked: &Ports) -> Vec<Difference> {
    let missing = asked.difference(&rule.ports);
    let ports = (!missing.is_empty()).then_some(Difference::Ports(missing));
    let peers = rule.peers.iter().flatten();
    let of_peer = peers
        .map(|theirs| differences_of_peer(theirs, peer))
        .min_by_key(|differences| weight(differences))
        .unwrap_or_default();
    ports.into_iter().chain(of_peer).collect()
}

fn differences_of_peer(theirs: &Peer, peer: &Endpoint) -> Vec<Difference> {
    match (theirs, peer.pod.as_deref()) {
        (Peer::Block(block), _) => {
            let is_inside =
                !peer.addresses.is_empty() && peer.addresses.difference(block).is_empty();
            if is_inside {
                return Vec::new();
            }
            let has = if peer.addresses.is_empty() {
                "the pod's address, which is not known,".to_owned()
            } else {
                peer.addresses.difference(block).to_string()
            };
            vec![Difference::Address {
                has,
                requires: block.to_string(),
                is_pod: peer.pod.is_some(),
            }]
        }
        (Peer::Pods { .. }, None) => vec![Difference::NotAPod],
        (Peer::Pods { namespaces, pods }, Some(pod)) => {
            let mut found = differences_of_namespace(namespaces, pod);
            found.extend(
                pods.unmet(&pod.labels)
                    .map(|(key, requires)| Difference::Label {
                        key: key.to_owned(),
                        has: pod.labels.get(key).cloned(),
                        requires,
                    }),
            );
            found
        }
    }
}

fn differences_of_namespace(namespaces: &Namespaces, pod: &Pod) -> Vec<Difference> {
    let name = || {
        if pod.namespace.is_empty() {
            "another one".to_owned()
        } else {
            pod.namespace.clone()
        }
    };
    match namespaces {
        Namespaces::Own(own) if *own == pod.namespace => Vec::new(),
        Namespaces::Own(own) => vec![Difference::Namespace {
            has: name(),
            requires: own.clone(),
        }],
        Namespaces::Labelled(selector) => (selector.unmet(&pod.namespace_labels))
            .map(|(_, requires)| Difference::Namespace {
                has: name(),
                requires,
            })
            .collect(),
    }
}

/// The rule that opens a direction for one peer, and for nobody else as far as labels can tell.
///
/// It is added to one of the policies that isolate the subject, and the question is put again: only
/// a rule that answers it is proposed. What else it opens follows by difference.
#[must_use]
pub fn addition(
    decision: &Decision<'_>,
    (subject, peer): (&Endpoint, &Endpoint),
    spec: &PortSpec,
    setting: fn(&Policy, Direction) -> Option<String>,
) -> Option<Addition> {
    let direction = decision.direction;
    let pod = subject.pod.as_deref()?;
    let with_setting = decision
        .policies
        .iter()
        .find(|p| setting(p, direction).is_some());
    let policy = *with_setting.or_else(|| decision.policies.first())?;
    let peers = peers(peer, &policy.namespace)?;
    let rule = Rule {
        peers: Some(peers),
        ports: rule_ports(spec),
        comment: None,
        origin: None,
    };
    let value = rule_value(&rule, spec, direction)?;
    let before: Policies = decision.policies.iter().map(|p| (*p).clone()).collect();
    let mut after = before.clone();
    after.put([policy.with_rule(direction, rule)]);
    let asked = spec.ports();
    if after.decide(direction, subject, peer, &asked).extent() != Extent::All {
        return None;
    }
    let newly_allowed =
        (after.allowance(pod, direction)).difference(&before.allowance(pod, direction));
    Some(Addition {
        policy: policy.to_string(),
        direction,
        setting: setting(policy, direction),
        rule: value,
        newly_allowed,
    })
}

/// The peers of a rule that mean this endpoint.
fn peers(peer: &Endpoint, own_namespace: &str) -> Option<Vec<Peer>> {
    let Some(pod) = peer.pod.as_deref() else {
        let nets = peer.addresses.cidrs();
        if nets.len() > MAX_BLOCKS {
            return None;
        }
        return Some(
            nets.into_iter()
                .map(|net| Peer::Block(net.into()))
                .collect(),
        );
    };
    let labels: Labels = (pod.labels.iter())
        .filter(|(key, _)| !GENERATED_LABELS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let namespaces = if pod.namespace == own_namespace {
        Namespaces::Own(own_namespace.to_owned())
    } else if pod.namespace.is_empty() {
        Namespaces::Labelled(Selector::of_labels(&pod.namespace_labels))
    } else {
        Namespaces::Labelled(Selector::namespace(&pod.namespace))
    };
    Some(vec![Peer::Pods {
        namespaces,
        pods: Selector::of_labels(&labels),
    }])
}

/// The set of a rule with these ports: all of a protocol includes the names of its ports.
fn rule_ports(spec: &PortSpec) -> Ports {
    match spec {
        PortSpec::Every(None) => Ports::all(),
        spec => spec.ports().with_names_of_whole_protocols(),
    }
}

/// The rule as the API has it.
fn rule_value(rule: &Rule, spec: &PortSpec, direction: Direction) -> Option<Value> {
    let side = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let labels = |selector: &Selector| json!({ "matchLabels": selector.fixed_labels() });
    let selector = |selector: &Selector| {
        if selector.is_empty() {
            json!({})
        } else {
            labels(selector)
        }
    };
    let peers: Vec<Value> = (rule.peers.iter().flatten())
        .flat_map(|peer| match peer {
            Peer::Block(block) => (block.cidrs().iter())
                .map(|net| json!({ "ipBlock": { "cidr": net.to_string() } }))
                .collect(),
            Peer::Pods { namespaces, pods } => vec![match namespaces {
                Namespaces::Own(_) => json!({ "podSelector": selector(pods) }),
                Namespaces::Labelled(home) => json!({
                    "namespaceSelector": selector(home),
                    "podSelector": selector(pods),
                }),
            }],
        })
        .collect();
    let ports = port_values(spec)?;
    Some(if ports.is_empty() {
        json!({ side: peers })
    } else {
        json!({ side: peers, "ports": ports })
    })
}

/// The `ports` of a rule; empty for every port. `None` where no rule is made of that.
fn port_values(spec: &PortSpec) -> Option<Vec<Value>> {
    Some(match spec {
        PortSpec::Every(None) => Vec::new(),
        PortSpec::Every(Some(protocol)) => vec![json!({ "protocol": protocol.as_str() })],
        PortSpec::Name(protocol, name) => {
            vec![json!({ "port": name, "protocol": protocol.as_str() })]
        }
        PortSpec::Numbers(protocol, low, high) => vec![span_value(*protocol, *low, *high)],
        PortSpec::Several(items) => {
            let items = items.iter().map(port_values).collect::<Option<Vec<_>>>()?;
            if items.iter().any(Vec::is_empty) {
                return Some(Vec::new());
            }
            items.into_iter().flatten().collect()
        }
        PortSpec::AllBut(_) => {
            let ports = spec.ports();
            let spans = Protocol::ALL.into_iter().flat_map(|protocol| {
                let spans: Vec<(u16, u16)> = ports.numbers_of(protocol).spans().collect();
                spans
                    .into_iter()
                    .map(move |(low, high)| span_value(protocol, low, high))
            });
            spans.collect()
        }
    })
}

fn span_value(protocol: Protocol, low: u16, high: u16) -> Value {
    let protocol = protocol.as_str();
    if low < high {
        json!({ "port": low, "endPort": high, "protocol": protocol })
    } else {
        json!({ "port": low, "protocol": protocol })
    }
}

/// A rule as an item of a YAML list, indented.
#[must_use]
pub fn to_yaml(rule: &Value, indent: usize) -> String {
    let mut text = String::new();
    item(&mut text, rule, indent);
    text
}

/// One item of a list: its first line begins with a dash.
fn item(text: &mut String, value: &Value, indent: usize) {
    let at = text.len();
    fields(text, value, indent + 2);
    let dash = at + indent;
    text.replace_range(dash..=dash, "-");
}

fn fields(text: &mut String, value: &Value, indent: usize) {
    let Value::Object(map) = value else { return };
    // The API's order: peers and the port first.
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_by_key(|key| match key.as_str() {
        "from" | "to" | "port" => 0,
        "endPort" => 1,
        _ => 2,
    });
    for key in keys {
        let start = format!("{}{}:", " ".repeat(indent), scalar(key));
        match map.get(key) {
            Some(Value::Object(inner)) if inner.is_empty() => push_line(text, &start, " {}"),
            Some(inner @ Value::Object(_)) => {
                push_line(text, &start, "");
                fields(text, inner, indent + 2);
            }
            Some(Value::Array(items)) => {
                push_line(text, &start, "");
                for value in items {
                    item(text, value, indent + 2);
                }
            }
            Some(Value::String(value)) => push_line(text, &start, &format!(" {}", scalar(value))),
            Some(other) => push_line(text, &start, &format!(" {other}")),
            None => {}
        }
    }
}

fn push_line(text: &mut String, start: &str, end: &str) {
    text.push_str(start);
    text.push_str(end);
    text.push('\n');
}

/// A text that every YAML reader takes for a string.
fn scalar(text: &str) -> String {
    const TYPED: [&str; 10] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "none",
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !TYPED.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_yaml_that_reads_back_as_itself() {
        let labels: Labels = [("app", "yes"), ("a.b/c", "web"), ("n", "1e3"), ("e", "")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let pod = Pod {
            namespace: "other".to_owned(),
            labels,
            ..Pod::default()
        };
        let peer = Endpoint::pod(pod.into());
        for ports in ["", "443", "http,8000-8999/TCP,*/UDP", "!443/TCP"] {
            let spec = PortSpec::parse(ports, "").unwrap();
            let rule = Rule {
                peers: peers(&peer, "own"),
                ports: rule_ports(&spec),
                comment: None,
                origin: None,
            };
            let value = rule_value(&rule, &spec, Direction::Ingress).unwrap();
            let text = to_yaml(&value, 2);
            let read: Value = serde_yaml::from_str(&text).unwrap();
            assert_eq!(read, Value::Array(vec![value]), "{text}");
            assert_eq!(rule_ports(&spec), {
                let spec = json!({ "ingress": read });
                let spec = serde_json::from_value(spec).unwrap();
                let policy = Policy::read("own", "p", Some(&spec)).unwrap();
                policy.rules(Direction::Ingress).unwrap()[0].ports.clone()
            });
        }
    }
}
