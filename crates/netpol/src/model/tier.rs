//! A policy of the whole cluster: ClusterNetworkPolicy, AdminNetworkPolicy and
//! BaselineAdminNetworkPolicy of policy.networking.k8s.io.
//!
//! The Admin tier decides before every NetworkPolicy, the Baseline tier after them and only for pods
//! that none isolates. In a tier the lowest priority comes first, and the first rule that matches
//! decides: it accepts, denies, or passes the connection on to the next tier.

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::kubernetes;
use crate::model::pod::{Pod, PodNetwork};
use crate::model::policy::{Direction, Namespaces, Peer, Policy, Rule};
use crate::sets::addresses::{AddressSet, parse_net};
use crate::sets::ports::{PortNumbers, Ports, Protocol};
use crate::sets::selector::{Labels, Selector};
use crate::validate::document;
use manifest::diagnostic::Position;
use manifest::schema::Shape;
use manifest::yaml::{Node, Paths};

/// The API group of these policies.
pub const GROUP: &str = "policy.networking.k8s.io";

/// The kinds, and the versions of each that are understood.
const KINDS: [(&str, &str, Dialect); 3] = [
    ("ClusterNetworkPolicy", "v1alpha2", Dialect::Cluster),
    ("AdminNetworkPolicy", "v1alpha1", Dialect::Admin),
    ("BaselineAdminNetworkPolicy", "v1alpha1", Dialect::Baseline),
];

/// The most networks of one peer.
const MAX_NETWORKS: usize = 25;

/// What a kind calls its fields, and what it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// ClusterNetworkPolicy.
    Cluster,
    /// AdminNetworkPolicy.
    Admin,
    /// BaselineAdminNetworkPolicy.
    Baseline,
}

impl Dialect {
    /// The dialect of a kind, if the version is one that is understood.
    #[must_use]
    pub fn of(kind: &str, api_version: &str) -> Option<Self> {
        let (group, version) = api_version.split_once('/')?;
        let known = KINDS
            .iter()
            .find(|(known, of, _)| *known == kind && *of == version);
        known
            .filter(|_| group == GROUP)
            .map(|(_, _, dialect)| *dialect)
    }

    /// The most rules, and peers in a rule.
    fn most(self) -> usize {
        if self == Self::Cluster { 25 } else { 100 }
    }

    fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Cluster => &["Accept", "Deny", "Pass"],
            Self::Admin => &["Allow", "Deny", "Pass"],
            Self::Baseline => &["Allow", "Deny"],
        }
    }

    fn ports_field(self) -> &'static str {
        if self == Self::Cluster {
            "protocols"
        } else {
            "ports"
        }
    }
}

/// When a policy of the cluster is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Before every NetworkPolicy.
    Admin,
    /// After them, for pods that none isolates.
    Baseline,
}

/// What a rule does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Lets it through, whatever later policies say.
    Accept,
    /// Stops it.
    Deny,
    /// Leaves it to the next tier.
    Pass,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierRule {
    /// What it does.
    pub action: Action,
    /// Whose connections.
    pub peers: Vec<Peer>,
    /// On which ports.
    pub ports: Ports,
}

impl TierRule {
    fn as_rule(&self) -> Rule {
        Rule {
            peers: Some(self.peers.clone()),
            ports: self.ports.clone(),
            comment: None,
            origin: None,
        }
    }
}

/// Whether a subject can be in a namespace. Of a namespace that nobody has described only the name
/// is known, so it can have any other labels.
fn may_be_in(namespaces: &Namespaces, name: &str, labels: &Labels) -> bool {
    match namespaces {
        Namespaces::Own(own) => own == name,
        Namespaces::Labelled(selector) if labels.len() > 1 => selector.matches(labels),
        Namespaces::Labelled(selector) => {
            let known = Selector::of_labels(labels);
            selector.and(&known).can_match()
        }
    }
}

/// A policy of the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierPolicy {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: Tier,
    /// Its place in the tier: the lowest is asked first.
    pub priority: i64,
    /// The pods that it is for.
    pub subject: Peer,
    ingress: Vec<TierRule>,
    egress: Vec<TierRule>,
}

/// Something that the API server rejects, or that can't be judged: where, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// Whether the API server rejects it.
    pub is_rejected: bool,
    /// Where it stands in the text of the object; a missing field reports its parent's position.
    pub position: Option<Position>,
}

impl TierPolicy {
    /// Reads a policy, and says what is wrong with it. A rule whose meaning is not known matches
    /// nothing.
    #[must_use]
    pub fn read(dialect: Dialect, kind: &str, object: Node<'_>) -> (Self, Vec<Problem>) {
        let mut reader = Reader {
            dialect,
            problems: Vec::new(),
        };
        let spec = object.get("spec");
        let name = text(object.dig(&["metadata", "name"])).unwrap_or_default();
        if dialect == Dialect::Baseline && name != "default" {
            reader.reject("metadata.name", "the only name that is accepted is default");
        }
        let tier = match (dialect, text(spec.and_then(|s| s.get("tier"))).as_deref()) {
            (Dialect::Admin, _) | (Dialect::Cluster, Some("Admin")) => Tier::Admin,
            (Dialect::Baseline, _) | (Dialect::Cluster, Some("Baseline")) => Tier::Baseline,
            (Dialect::Cluster, _) => {
                reader.reject(
                    "spec.tier",
                    "it must be Admin or Baseline; Admin is assumed",
                );
                Tier::Admin
            }
        };
        let priority = spec
            .and_then(|s| s.get("priority"))
            .and_then(manifest::schema::whole_number);
        if dialect != Dialect::Baseline && !priority.is_some_and(|p| (0..=1000).contains(&p)) {
            reader.reject("spec.priority", "it must be a number from 0 to 1000");
        }
        let subject = spec.and_then(|s| s.get("subject"));
        let subject = reader
            .peer("spec.subject", subject, false)
            .unwrap_or_else(nobody);
        let ingress = reader.rules("ingress", "from", spec);
        let egress = reader.rules("egress", "to", spec);
        let policy = Self {
            kind: kind.to_owned(),
            name,
            tier,
            priority: priority.unwrap_or(i64::MAX),
            subject,
            ingress,
            egress,
        };
        let mut paths = Paths::new(object);
        for problem in &mut reader.problems {
            let found = paths.find(&problem.path);
            let nearest = found.or_else(|| paths.nearest(&problem.path));
            problem.position = Some(nearest.unwrap_or(object).position());
        }
        (policy, reader.problems)
    }

    /// The pods that it is for, and the peers of all its rules.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        let rules = self.ingress.iter().chain(&self.egress);
        std::iter::once(&self.subject).chain(rules.flat_map(|rule| &rule.peers))
    }

    /// The rules of a direction, in their order.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> &[TierRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// What its rules accept before any NetworkPolicy is asked, as a policy of one namespace that is
    /// called as [`Display`](fmt::Display) writes it. Where
    /// an earlier rule denies or passes, it is less. `None` where it accepts nothing there: a
    /// Baseline policy does not for pods that a NetworkPolicy isolates.
    #[must_use]
    pub fn accepted_in(&self, namespace: &str, labels: &Labels) -> Option<Policy> {
        let Peer::Pods { namespaces, pods } = &self.subject else {
            return None;
        };
        if self.tier != Tier::Admin || !may_be_in(namespaces, namespace, labels) {
            return None;
        }
        let accepted = |direction| {
            let rules = self.rules(direction).iter();
            let accepted = rules.filter(|rule| rule.action == Action::Accept);
            let rules: Vec<Rule> = accepted.map(TierRule::as_rule).collect();
            Some(rules).filter(|rules| !rules.is_empty())
        };
        let (ingress, egress) = (accepted(Direction::Ingress), accepted(Direction::Egress));
        if ingress.is_none() && egress.is_none() {
            return None;
        }
        let name = (namespace.to_owned(), self.to_string());
        Some(Policy::of_rules(name, pods.clone(), ingress, egress))
    }

    /// Whether it is for the pod. Pods on the network of their node are in no subject.
    #[must_use]
    pub fn selects(&self, pod: &Pod) -> bool {
        pod.network != PodNetwork::Host && self.subject.selects(pod)
    }
}

impl fmt::Display for TierPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl fmt::Display for TierRule {
    /// `Deny of pods app=web in any namespace on every port`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Accept => "accepts",
            Action::Deny => "denies",
            Action::Pass => "passes on",
        };
        let peers: Vec<String> = self.peers.iter().map(ToString::to_string).collect();
        write!(f, "{action} {} on {}", peers.join(", "), self.ports)
    }
}

/// A peer that is no pod and no address.
fn nobody() -> Peer {
    Peer::Block(AddressSet::default())
}

fn text(node: Option<Node<'_>>) -> Option<String> {
    Some(node?.text()?.into_owned())
}

struct Reader {
    dialect: Dialect,
    problems: Vec<Problem>,
}

impl Reader {
    fn reject(&mut self, path: &str, message: &str) {
        self.problem(path, message, true);
    }

    fn problem(&mut self, path: &str, message: &str, is_rejected: bool) {
        self.problems.push(Problem {
            path: path.to_owned(),
            message: message.to_owned(),
            is_rejected,
            position: None,
        });
    }

    fn rules(&mut self, list: &str, side: &str, spec: Option<Node<'_>>) -> Vec<TierRule> {
        let items = spec
            .and_then(|spec| spec.get(list))
            .into_iter()
            .flat_map(Node::items);
        let rules: Vec<TierRule> = items
            .enumerate()
            .filter_map(|(i, rule)| self.rule(&format!("spec.{list}[{i}]"), side, rule))
            .collect();
        if rules.len() > self.dialect.most() {
            let message = format!("more than {} rules", self.dialect.most());
            self.reject(&format!("spec.{list}"), &message);
        }
        rules
    }

    fn rule(&mut self, path: &str, side: &str, rule: Node<'_>) -> Option<TierRule> {
        let action = text(rule.get("action")).unwrap_or_default();
        if !self.dialect.actions().contains(&action.as_str()) {
            let known = self.dialect.actions().join(", ");
            self.reject(
                &format!("{path}.action"),
                &format!("{action:?} is none of {known}; the rule is left out"),
            );
            return None;
        }
        if text(rule.get("name")).is_some_and(|name| name.chars().count() > 100) {
            self.reject(&format!("{path}.name"), "longer than 100 characters");
        }
        let peers: Vec<Node<'_>> = rule.get(side).into_iter().flat_map(Node::items).collect();
        if peers.is_empty() || peers.len() > self.dialect.most() {
            let message = format!("it must have from 1 to {} peers", self.dialect.most());
            self.reject(&format!("{path}.{side}"), &message);
        }
        let peers = (peers.into_iter().enumerate()).filter_map(|(i, peer)| {
            self.peer(&format!("{path}.{side}[{i}]"), Some(peer), side == "to")
        });
        let peers: Vec<Peer> = peers.collect();
        let ports = self.ports(path, rule);
        Some(TierRule {
            action: match action.as_str() {
                "Deny" => Action::Deny,
                "Pass" => Action::Pass,
                _ => Action::Accept,
            },
            peers,
            ports,
        })
    }

    /// The one field of an object that can have one of several.
    fn only_field<'n>(&mut self, path: &str, node: Option<Node<'n>>) -> Option<(String, Node<'n>)> {
        let fields = node.map(Node::entries).unwrap_or_default();
        let mut fields = fields.into_iter().filter(|(_, value)| !value.is_null());
        if let (Some((name, value)), None) = (fields.next(), fields.next()) {
            return Some((name.into_owned(), value));
        }
        self.reject(path, "it must have exactly one field");
        None
    }

    fn peer(&mut self, path: &str, node: Option<Node<'_>>, is_egress: bool) -> Option<Peer> {
        let (name, value) = self.only_field(path, node)?;
        let path = &format!("{path}.{name}");
        let pods = |namespaces: Selector, pods: Selector| Peer::Pods {
            namespaces: Namespaces::Labelled(namespaces.of_namespaces()),
            pods,
        };
        match name.as_str() {
            "namespaces" => Some(pods(self.selector(path, Some(value))?, Selector::default())),
            "pods" => {
                let namespaces = value.get("namespaceSelector");
                let namespaces = self.selector(&format!("{path}.namespaceSelector"), namespaces)?;
                let selector = value.get("podSelector");
                Some(pods(
                    namespaces,
                    self.selector(&format!("{path}.podSelector"), selector)?,
                ))
            }
            "networks" if is_egress => {
                self.limits(path, value);
                let nets = value.items().enumerate().filter_map(|(i, net)| {
                    let text = net.text().unwrap_or_default();
                    let net = parse_net(&text).filter(|_| text.contains('/'));
                    if net.is_none() {
                        self.reject(&format!("{path}[{i}]"), &format!("{text:?} is no CIDR"));
                    }
                    net.map(AddressSet::from)
                });
                Some(Peer::Block(nets.collect()))
            }
            "nodes" | "domainNames" if is_egress => {
                let message = "what it means is known in the cluster only, so the peer is left out";
                self.problem(path, message, false);
                None
            }
            _ => {
                self.reject(path, "there is no such field here, so the peer is left out");
                None
            }
        }
    }

    /// What the server asks of a list of networks as a whole.
    fn limits(&mut self, path: &str, networks: Node<'_>) {
        let texts: Vec<_> = networks.items().filter_map(Node::text).collect();
        let distinct: BTreeSet<&str> = texts.iter().map(AsRef::as_ref).collect();
        if texts.is_empty() || texts.len() > MAX_NETWORKS {
            let message = format!("it must have from 1 to {MAX_NETWORKS} networks");
            self.reject(path, &message);
        } else if distinct.len() < texts.len() {
            self.reject(path, "a network is in it twice");
        }
    }

    fn selector(&mut self, path: &str, node: Option<Node<'_>>) -> Option<Selector> {
        if node.is_none() {
            self.reject(path, "it is missing; {} means all");
            return None;
        }
        // The server takes an operator or a value that is none, and nothing ever matches it.
        let typed = document::read::<LabelSelector>(node, Shape::Object(&kubernetes::SELECTOR));
        let selector =
            typed.and_then(|typed| Selector::read(Some(&typed)).map_err(|e| e.to_string()));
        match selector {
            Ok(selector) => Some(selector),
            Err(error) => {
                self.problem(path, &format!("{error}, so it matches nothing"), false);
                None
            }
        }
    }

    fn ports(&mut self, path: &str, rule: Node<'_>) -> Ports {
        let field = self.dialect.ports_field();
        for other in ["ports", "protocols"] {
            if other != field && rule.get(other).is_some() {
                let message = format!(
                    "the API server drops this field, so all ports are meant; the field is {field}"
                );
                self.problem(&format!("{path}.{other}"), &message, false);
            }
        }
        let Some(list) = rule.get(field).filter(|list| !list.is_null()) else {
            return Ports::all();
        };
        let items: Vec<Node<'_>> = list.items().collect();
        if items.is_empty() && self.dialect == Dialect::Cluster {
            self.reject(
                &format!("{path}.{field}"),
                "it must have an entry, or be left out",
            );
        }
        if items.len() > self.dialect.most() {
            let message = format!("more than {} entries", self.dialect.most());
            self.reject(&format!("{path}.{field}"), &message);
        }
        if items.is_empty() {
            return Ports::all();
        }
        let all = items.into_iter().enumerate().filter_map(|(i, item)| {
            let path = format!("{path}.{field}[{i}]");
            let (name, value) = self.only_field(&path, Some(item))?;
            self.port(&format!("{path}.{name}"), &name, value)
        });
        let all: Vec<Ports> = all.collect();
        Ports::union_of(&all).with_names_of_whole_protocols()
    }

    fn port(&mut self, path: &str, name: &str, value: Node<'_>) -> Option<Ports> {
        let protocol_field = text(value.get("protocol")).unwrap_or_else(|| "TCP".to_owned());
        let (protocol, numbers) = match name {
            "namedPort" | "destinationNamedPort" => {
                let name = text(Some(value))?;
                let named = Protocol::ALL.map(|protocol| Ports::named(protocol, name.as_str()));
                return Some(Ports::union_of(&named));
            }
            "tcp" | "udp" | "sctp" => {
                let Some(port) = value.get("destinationPort") else {
                    let protocol = name.to_ascii_uppercase().parse().ok()?;
                    return Some(Ports::whole(protocol));
                };
                let (field, value) =
                    self.only_field(&format!("{path}.destinationPort"), Some(port))?;
                (name.to_ascii_uppercase(), (field, value))
            }
            "portNumber" => (protocol_field, ("number".to_owned(), value.get("port")?)),
            "portRange" => (protocol_field, ("range".to_owned(), value)),
            _ => {
                self.reject(path, "there is no such field here, so it matches nothing");
                return None;
            }
        };
        let Ok(protocol) = protocol.parse::<Protocol>() else {
            self.reject(path, &format!("{protocol:?} is none of TCP, UDP, SCTP"));
            return None;
        };
        let number = |node: Option<Node<'_>>| {
            let number = node.and_then(manifest::schema::whole_number)?;
            u16::try_from(number).ok().filter(|number| *number > 0)
        };
        let is_range = numbers.0 != "number";
        let (low, high) = match numbers {
            (field, value) if field == "number" => (number(Some(value)), number(Some(value))),
            (_, range) => (number(range.get("start")), number(range.get("end"))),
        };
        let (Some(low), Some(high)) = (low, high) else {
            self.reject(path, "a port is a number from 1 to 65535");
            return None;
        };
        if is_range && self.dialect == Dialect::Cluster && low >= high {
            self.reject(path, "the start of a range must be less than its end");
        } else if low > high {
            let message = "the range ends before it starts, so it matches nothing";
            self.problem(path, message, false);
        }
        Some(Ports::numbers(protocol, PortNumbers::span(low, high)))
    }
}
