//! The warnings about traffic that the values of a virtual cluster need and its policies block.
//!
//! A rule here reads the values and says which traffic a feature needs, as a `Need`. Whether the
//! planned policies let it pass is asked of the evaluator. If they do not, the need is also the
//! network-policy rule to add, as narrow as the values allow.

pub mod admission_webhooks;
pub mod api_from_outside;
pub mod coredns_host_dns;
pub mod external_database;
pub mod external_etcd;
pub mod iam_credentials;
pub mod ingress_to_workloads;
pub mod istio_mesh;
pub mod istio_sleep;
pub mod mapped_namespaces;
pub mod metrics_server;
pub mod node_kubelets;
pub mod private_nodes;
pub mod proxy;
pub mod replicated_services;
pub mod resolved_names;
pub mod server;
pub mod service_monitor;
pub mod sleep_mode;

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::Rule;
use super::config::{Direction, Field, Findings, View, host_block};
use crate::vcluster::actors::MANAGED_BY;
use crate::vcluster::policies::Role;
use manifest::diagnostic::{Diagnostic, FillIn, Suggestion};
use netpol::allowed::PodClass;
use netpol::evaluate::{Extent, Policies};
use netpol::model::cluster::NAMESPACE_NAME_LABEL;
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::{self, Namespaces, Peer};
use netpol::sets::addresses::{AddressSet, parse_net};
use netpol::sets::ports::{PortNumbers, Ports, Protocol};
use netpol::sets::selector::{Labels, Selector};

/// The most namespaces or addresses that one warning names. Each is held against all rules.
const MAX_PEERS: usize = 64;

/// Values below which a password can stand.
const PASSWORDS: [&str; 2] = ["controlPlane.backingStore", "controlPlane.statefulSet.env"];

/// The ranges in which pods have their addresses, for blocks that may stand for pods.
const POD_RANGES: [&str; 4] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
];

/// The port of the control plane's API in its pods.
pub(super) const API_PORT: u16 = 8443;

/// The other side of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Other {
    /// Everyone: the other side has no address that the values tell, and can be outside.
    Anyone,
    /// The pods of every namespace.
    AnyPod,
    /// The pods of a namespace.
    Namespace(String),
    /// The pods of a virtual cluster in another namespace.
    Workloads { namespace: String, release: String },
    /// One address.
    Address(IpAddr),
    /// The pods of a namespace that the values don't name.
    UnknownNamespace(FillIn),
    /// Addresses that the values don't name.
    UnknownAddress(FillIn),
}

/// Traffic that a feature needs.
#[derive(Debug, Clone)]
pub(super) struct Need<'a> {
    /// The rule that found it.
    pub(super) rule: &'static Rule,
    /// The value that needs it.
    pub(super) value: &'a str,
    /// Whose pods have the traffic.
    pub(super) role: Role,
    /// From where it is seen from these pods.
    pub(super) direction: Direction,
    /// Who is at the other side.
    pub(super) others: Vec<Other>,
    /// The ports of the destination; none for all.
    pub(super) ports: Vec<(u16, Protocol)>,
    /// What is blocked, in words.
    pub(super) message: String,
    /// What to look at before the rule is added.
    pub(super) fill_in: Vec<FillIn>,
}

impl<'a> Need<'a> {
    /// A TCP port of the control plane that others connect to.
    pub(super) fn of_control_plane(
        rule: &'static Rule,
        value: &'a str,
        who: Other,
        port: u16,
        message: &str,
    ) -> Self {
        Self {
            rule,
            value,
            role: Role::ControlPlane,
            direction: Direction::Ingress,
            others: vec![who],
            ports: vec![(port, Protocol::Tcp)],
            message: message.to_owned(),
            fill_in: Vec::new(),
        }
    }

    /// Connections that the pods of a role open to others; no ports for all.
    pub(super) fn of_connections_from(
        client: Role,
        rule: &'static Rule,
        value: &'a str,
        others: Vec<Other>,
        ports: Vec<(u16, Protocol)>,
        message: &str,
    ) -> Self {
        Self {
            rule,
            value,
            role: client,
            direction: Direction::Egress,
            others,
            ports,
            message: message.to_owned(),
            fill_in: Vec::new(),
        }
    }
}

impl Need<'_> {
    /// Warns if the policies block any of it.
    pub(super) fn check(mut self, view: &View<'_>, findings: &mut Findings) {
        self.others.sort();
        self.others.dedup();
        let Some(planned) = view.planned() else {
            return;
        };
        let more = self.others.len().saturating_sub(MAX_PEERS);
        self.others.truncate(MAX_PEERS);
        let question = Question::new(&self, view, planned);
        let blocked = self.others.iter().filter(|other| !question.passes(other));
        // What the values name makes an exact rule, which must not wait for the rest.
        let (unknown, named): (Vec<Other>, Vec<Other>) =
            blocked.cloned().partition(Other::is_unknown);
        if more > 0 {
            self.message = format!("{} ({more} more were not looked at)", self.message);
        }
        for others in [named, unknown] {
            if others.is_empty() {
                continue;
            }
            self.others = others;
            let problem = Diagnostic::warning(self.rule.code, self.message.clone());
            let value = self.value.to_owned();
            let field = if PASSWORDS.iter().any(|path| value.starts_with(path)) {
                Field::HiddenValue(value)
            } else {
                Field::Value(value)
            };
            findings.note(field, problem.suggestion(self.suggestion()));
        }
    }

    /// The rule to add.
    fn suggestion(&self) -> Suggestion {
        let (list, peers) = match self.direction {
            Direction::Ingress => ("ingress", "from"),
            Direction::Egress => ("egress", "to"),
        };
        let who = match self.role {
            Role::Workload | Role::KubeDns => "workload",
            Role::ControlPlane | Role::Snapshot => "controlPlane",
        };
        let mut rule = serde_json::Map::new();
        if !self.ports.is_empty() {
            let port = |(number, protocol): &(u16, Protocol)| json!({"port": number, "protocol": protocol.as_str()});
            rule.insert("ports".to_owned(), self.ports.iter().map(port).collect());
        }
        if !self.others.contains(&Other::Anyone) {
            rule.insert(
                peers.to_owned(),
                self.others.iter().map(Other::peer).collect(),
            );
        }
        let mut suggestion = Suggestion::add(format!("{who}.{list}"), Value::Object(rule));
        suggestion.fill_in = (self.others.iter())
            .filter_map(|other| match other {
                Other::UnknownNamespace(fill_in) | Other::UnknownAddress(fill_in) => Some(fill_in),
                _ => None,
            })
            .chain(&self.fill_in)
            .cloned()
            .collect();
        suggestion
    }
}

impl Other {
    /// A namespace, if the name can be one.
    pub(super) fn namespace(name: &str) -> Option<Self> {
        is_namespace(name).then(|| Self::Namespace(name.to_owned()))
    }

    /// Whether the values don't say who it is.
    fn is_unknown(&self) -> bool {
        matches!(self, Self::UnknownNamespace(_) | Self::UnknownAddress(_))
    }

    /// As an entry of `from` or `to`.
    fn peer(&self) -> Value {
        let namespace = |name: &str| json!({"namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: name}}});
        match self {
            Self::Anyone => json!({}),
            Self::AnyPod => json!({"namespaceSelector": {}}),
            Self::Namespace(name) => namespace(name),
            // The name of the release may be unknown where a values file alone is checked.
            Self::Workloads { namespace, .. } => json!({
                "namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: namespace}},
                "podSelector": {"matchExpressions": [{"key": MANAGED_BY, "operator": "Exists"}]},
            }),
            Self::Address(address) => json!({"ipBlock": {"cidr": host_block(*address)}}),
            Self::UnknownNamespace(fill_in) => namespace(&fill_in.placeholder),
            Self::UnknownAddress(fill_in) => json!({"ipBlock": {"cidr": fill_in.placeholder}}),
        }
    }

    /// One that stands for all of them, to ask the evaluator about.
    fn example(&self) -> Endpoint {
        match self {
            Self::Anyone | Self::UnknownAddress(_) => Endpoint::outside(AddressSet::all()),
            Self::Address(address) => Endpoint::outside((*address).into()),
            Self::AnyPod | Self::UnknownNamespace(_) => some_pod(UNKNOWN_NAMESPACE, Labels::new()),
            Self::Namespace(name) => some_pod(name, Labels::new()),
            Self::Workloads { namespace, release } => {
                let labels = Labels::from([(MANAGED_BY.to_owned(), release.clone())]);
                some_pod(namespace, labels)
            }
        }
    }

    /// Whether a peer that the user named can be this one.
    fn can_be(&self, peer: &Peer) -> bool {
        let class = match (self, peer) {
            (Self::Anyone | Self::UnknownAddress(_), _)
            | (Self::Address(_) | Self::AnyPod | Self::UnknownNamespace(_), Peer::Pods { .. }) => {
                return true;
            }
            // The evaluator compares addresses.
            (Self::Address(_), Peer::Block(_)) => return false,
            (_, Peer::Block(addresses)) => {
                return !addresses.intersection(&pod_addresses()).is_empty();
            }
            (Self::Namespace(name), Peer::Pods { .. }) => PodClass {
                namespaces: Namespaces::Labelled(Selector::namespace(name)),
                pods: Selector::default(),
            },
            (Self::Workloads { namespace, release }, Peer::Pods { .. }) => PodClass {
                namespaces: Namespaces::Labelled(Selector::namespace(namespace)),
                pods: labelled(MANAGED_BY, release),
            },
        };
        let Peer::Pods { namespaces, pods } = peer else {
            return false;
        };
        class.overlaps(&PodClass {
            namespaces: namespaces.clone(),
            pods: pods.clone(),
        })
    }
}

/// A namespace that nothing names.
const UNKNOWN_NAMESPACE: &str = "unknown.namespace";

fn some_pod(namespace: &str, labels: Labels) -> Endpoint {
    let own = Labels::from([(NAMESPACE_NAME_LABEL.to_owned(), namespace.to_owned())]);
    let pod = Pod {
        namespace: namespace.to_owned(),
        namespace_labels: Arc::new(own),
        labels,
        addresses: pod_addresses(),
        ..Pod::default()
    };
    Endpoint::pod(Arc::new(pod))
}

fn labelled(key: &str, value: &str) -> Selector {
    let labels = [(key.to_owned(), value.to_owned())].into();
    let selector = LabelSelector {
        match_labels: Some(labels),
        match_expressions: None,
    };
    Selector::read(Some(&selector)).unwrap_or_default()
}

fn pod_addresses() -> AddressSet {
    let nets = POD_RANGES.iter().filter_map(|range| parse_net(range));
    nets.map(AddressSet::from).collect()
}

/// Whether a need passes, for one other side after the other.
struct Question<'v> {
    planned: &'v Policies,
    subject: Endpoint,
    direction: policy::Direction,
    ports: Ports,
    /// The rules that the user wrote for this direction.
    written: Vec<&'v policy::Rule>,
}

impl<'v> Question<'v> {
    fn new(need: &Need<'_>, view: &View<'_>, planned: &'v Policies) -> Self {
        let direction = match need.direction {
            Direction::Ingress => policy::Direction::Ingress,
            Direction::Egress => policy::Direction::Egress,
        };
        let ports = need.ports.iter().map(|(number, protocol)| {
            Ports::numbers(*protocol, PortNumbers::span(*number, *number))
        });
        let ports: Vec<Ports> = ports.collect();
        let ports = if ports.is_empty() {
            Ports::all()
        } else {
            Ports::union_of(&ports)
        };
        Self {
            planned,
            subject: view.pod_of(need.role),
            direction,
            ports,
            written: view.written(planned, need.role, direction),
        }
    }

    fn passes(&self, other: &Other) -> bool {
        let example = other.example();
        let decision = (self.planned).decide(self.direction, &self.subject, &example, &self.ports);
        if decision.extent() == Extent::All {
            return true;
        }
        // The user may know the labels, the addresses or the port better than the values say.
        let rules = self.written.iter().filter(|rule| {
            let mut peers = rule.peers.iter().flatten();
            rule.peers.is_none() || peers.any(|peer| other.can_be(peer))
        });
        let rules: Vec<&Ports> = rules.map(|rule| &rule.ports).collect();
        if rules.iter().any(|ports| ports.has_names()) {
            return true;
        }
        let open = Ports::union_of(rules);
        if self.ports == Ports::all() {
            !open.is_empty()
        } else {
            self.ports.difference(&open).is_empty()
        }
    }
}

/// Whether a text can be the name of a namespace.
fn is_namespace(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= 63
        && name.chars().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A part of a suggestion that the user must fill in.
pub(super) fn fill_in(placeholder: &str, meaning: &str) -> FillIn {
    FillIn {
        placeholder: placeholder.to_owned(),
        meaning: meaning.to_owned(),
    }
}

/// The namespace of a service that is written as `namespace/name`.
pub(super) fn namespace_of_service(service: &str) -> Option<Other> {
    let (namespace, name) = service.split_once('/')?;
    if name.is_empty() {
        return None;
    }
    Other::namespace(namespace)
}
