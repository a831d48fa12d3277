//! A NetworkPolicy, read once into what the evaluator asks it: whom it selects, which directions it
//! isolates, and what each rule lets through.
//!
//! This is no validator: it refuses only what has no meaning at all.

use std::fmt;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::model::pod::Pod;
use crate::sets::addresses::{AddressSet, parse_net};
use crate::sets::ports::{PortNumbers, Ports, Protocol};
use crate::sets::selector::Selector;

/// Which way the connection goes, seen from the pod that a policy selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the pod.
    Ingress,
    /// From the pod.
    Egress,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

/// Who is meant by one entry of `from` or `to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Pods by their labels.
    Pods {
        /// Where they live.
        namespaces: Namespaces,
        /// Their labels.
        pods: Selector,
    },
    /// Addresses, a pod's own included.
    Block(AddressSet),
}

/// Where the pods of a peer live.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespaces {
    /// In the policy's own namespace.
    Own(String),
    /// In the namespaces with these labels.
    Labelled(Selector),
}

impl Peer {
    /// Whether the pod is meant by its labels; a block never is.
    #[must_use]
    pub fn selects(&self, pod: &Pod) -> bool {
        match self {
            Self::Pods { namespaces, pods } => {
                let namespace = match namespaces {
                    Namespaces::Own(name) => *name == pod.namespace,
                    Namespaces::Labelled(selector) => selector.matches(&pod.namespace_labels),
                };
                namespace && pods.matches(&pod.labels)
            }
            Self::Block(_) => false,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(addresses) => addresses.fmt(f),
            Self::Pods { namespaces, pods } => {
                if pods.is_empty() {
                    f.write_str("every pod")?;
                } else {
                    write!(f, "pods {pods}")?;
                }
                match namespaces {
                    Namespaces::Own(name) => write!(f, " in {name}"),
                    Namespaces::Labelled(s) if s.is_empty() => f.write_str(" in any namespace"),
                    Namespaces::Labelled(s) => write!(f, " in namespaces {s}"),
                }
            }
        }
    }
}

/// What made a rule, where the program that generated the policy says so.
///
/// Code matches on the variants. The words are for readers: only `Display` writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Every policy of this kind has the rule; no setting made it.
    BuiltIn,
    /// A setting, by its path.
    Setting(String),
    /// A setting that has its default value, by its path.
    Default(String),
    /// A label, by its key.
    Label(String),
}

impl Origin {
    /// The path of the setting that made the rule, whether or not it has its default value.
    #[must_use]
    pub fn setting(&self) -> Option<&str> {
        match self {
            Self::Setting(path) | Self::Default(path) => Some(path),
            Self::BuiltIn | Self::Label(_) => None,
        }
    }

    /// The same, to be replaced by a longer path.
    pub fn setting_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Setting(path) | Self::Default(path) => Some(path),
            Self::BuiltIn | Self::Label(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    /// The words of the JSON output too, where they are a documented format.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in default"),
            Self::Setting(path) => f.write_str(path),
            Self::Default(path) => write!(f, "default of {path}"),
            Self::Label(key) => write!(f, "the label {key}"),
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whom it lets through; `None` is everyone.
    pub peers: Option<Vec<Peer>>,
    /// On which ports; the names among them belong to the destination.
    pub ports: Ports,
    /// The comment that stands above it in the manifest: often the only word on why it is there.
    pub comment: Option<String>,
    /// What made it, where that is known.
    pub origin: Option<Origin>,
}

impl fmt::Display for Rule {
    /// `everyone on 443/TCP`, `pods app=web in team-a, 10.0.0.0/8 on every port`. `{:#}` leaves no
    /// peer out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peers {
            None => f.write_str("everyone")?,
            Some(peers) => {
                // A generated policy can name thousands; a line of text should stay one.
                const SHOWN: usize = 6;
                let shown = if f.alternate() { peers.len() } else { SHOWN };
                let words: Vec<String> = (peers.iter().take(shown))
                    .map(|peer| {
                        if f.alternate() {
                            format!("{peer:#}")
                        } else {
                            peer.to_string()
                        }
                    })
                    .collect();
                f.write_str(&words.join(", "))?;
                if let Some(more @ 1..) = peers.len().checked_sub(shown) {
                    write!(f, " and {more} more")?;
                }
            }
        }
        write!(f, " on {}", self.ports)
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pods of its namespace that it selects.
    pub selector: Selector,
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
}

/// A policy that can't be understood: where, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The policy, as namespace/name.
    pub policy: String,
    /// The field.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "NetworkPolicy {}: {}: {}",
            self.policy, self.path, self.message
        )
    }
}

impl std::error::Error for PolicyError {}

/// A message that still lacks its policy.
type Fault = (String, String);

impl Policy {
    /// A policy of given rules; `None` leaves a direction alone.
    #[must_use]
    pub fn of_rules(
        (namespace, name): (String, String),
        selector: Selector,
        ingress: Option<Vec<Rule>>,
        egress: Option<Vec<Rule>>,
    ) -> Self {
        Self {
            namespace,
            name,
            selector,
            ingress,
            egress,
        }
    }

    /// Reads a policy; one without a spec selects every pod and isolates its ingress.
    ///
    /// # Errors
    /// What has no meaning: a CIDR or port that is none, a peer that is empty or two things at
    /// once, an unknown protocol, operator or policy type.
    pub fn read(
        namespace: &str,
        name: &str,
        spec: Option<&NetworkPolicySpec>,
    ) -> Result<Self, PolicyError> {
        let fallback = NetworkPolicySpec::default();
        let spec = spec.unwrap_or(&fallback);
        Self::from_spec(namespace, name, spec).map_err(|(path, message)| PolicyError {
            policy: format!("{namespace}/{name}"),
            path,
            message,
        })
    }

    fn from_spec(namespace: &str, name: &str, spec: &NetworkPolicySpec) -> Result<Self, Fault> {
        let ingress = spec.ingress.as_deref().unwrap_or_default();
        let egress = spec.egress.as_deref().unwrap_or_default();
        let mut types = (false, false);
        match spec.policy_types.as_deref() {
            // Left out: ingress always, egress only if there is something to say about it.
            None | Some([]) => types = (true, !egress.is_empty()),
            Some(named) => {
                for (i, kind) in named.iter().enumerate() {
                    match kind.as_str() {
                        "Ingress" => types.0 = true,
                        "Egress" => types.1 = true,
                        _ => {
                            return Err((
                                format!("spec.policyTypes[{i}]"),
                                format!("{kind:?} is neither Ingress nor Egress"),
                            ));
                        }
                    }
                }
            }
        }
        let ingress = ingress.iter().enumerate().map(|(i, rule)| {
            let path = format!("spec.ingress[{i}]");
            read_rule(
                namespace,
                &path,
                "from",
                rule.from.as_deref(),
                rule.ports.as_deref(),
            )
        });
        let egress = egress.iter().enumerate().map(|(i, rule)| {
            let path = format!("spec.egress[{i}]");
            read_rule(
                namespace,
                &path,
                "to",
                rule.to.as_deref(),
                rule.ports.as_deref(),
            )
        });
        // Rules of a type that doesn't apply are read too: what is wrong in them is wrong.
        let ingress = ingress.collect::<Result<Vec<_>, _>>()?;
        let egress = egress.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            selector: read_selector("spec.podSelector", spec.pod_selector.as_ref())?,
            ingress: types.0.then_some(ingress),
            egress: types.1.then_some(egress),
        })
    }

    /// Notes the comments above the rules of a direction, in the order of the rules.
    pub fn note_comments(
        &mut self,
        direction: Direction,
        comments: impl IntoIterator<Item = Option<String>>,
    ) {
        let rules = match direction {
            Direction::Ingress => &mut self.ingress,
            Direction::Egress => &mut self.egress,
        };
        for (rule, comment) in rules.iter_mut().flatten().zip(comments) {
            rule.comment = comment;
        }
    }

    /// Notes what made the rules that are the same in `maker`, which was made from a config: same
    /// direction, same place in the list, same peers and ports.
    pub fn note_origins(&mut self, maker: &Self) {
        for (rules, theirs) in [
            (&mut self.ingress, &maker.ingress),
            (&mut self.egress, &maker.egress),
        ] {
            let pairs = rules.iter_mut().flatten().zip(theirs.iter().flatten());
            for (rule, made) in pairs {
                if (&rule.peers, &rule.ports) == (&made.peers, &made.ports) {
                    rule.origin.clone_from(&made.origin);
                    rule.comment = rule.comment.take().or_else(|| made.comment.clone());
                }
            }
        }
    }

    /// Notes the comments and origins of the rules of a direction, in their order.
    pub fn annotate(
        &mut self,
        direction: Direction,
        notes: impl IntoIterator<Item = (String, Origin)>,
    ) {
        let rules = match direction {
            Direction::Ingress => &mut self.ingress,
            Direction::Egress => &mut self.egress,
        };
        for (rule, (comment, origin)) in rules.iter_mut().flatten().zip(notes) {
            rule.comment = Some(comment);
            rule.origin = Some(origin);
        }
    }

    /// The rules of a direction, or `None` where the policy has no say in it.
    #[must_use]
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }

    /// Whether another policy selects the same pods and has the same rules in the same order,
    /// whatever their comments and origins.
    #[must_use]
    pub fn allows_the_same_as(&self, other: &Self) -> bool {
        let same = |ours: Option<&[Rule]>, theirs: Option<&[Rule]>| match (ours, theirs) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => {
                let mut pairs = ours.iter().zip(theirs);
                ours.len() == theirs.len()
                    && pairs.all(|(a, b)| (&a.peers, &a.ports) == (&b.peers, &b.ports))
            }
            _ => false,
        };
        self.selector == other.selector
            && same(self.ingress.as_deref(), other.ingress.as_deref())
            && same(self.egress.as_deref(), other.egress.as_deref())
    }

    /// The same policy with one more rule, if it restricts the direction.
    #[must_use]
    pub fn with_rule(&self, direction: Direction, rule: Rule) -> Self {
        let mut policy = self.clone();
        let rules = match direction {
            Direction::Ingress => &mut policy.ingress,
            Direction::Egress => &mut policy.egress,
        };
        if let Some(rules) = rules {
            rules.push(rule);
        }
        policy
    }

    /// Whether it selects the pod.
    #[must_use]
    pub fn selects(&self, pod: &Pod) -> bool {
        self.namespace == pod.namespace && self.selector.matches(&pod.labels)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn read_selector(path: &str, selector: Option<&LabelSelector>) -> Result<Selector, Fault> {
    Selector::read(selector).map_err(|e| (path.to_owned(), e.to_string()))
}

fn read_rule(
    namespace: &str,
    path: &str,
    side: &str,
    peers: Option<&[NetworkPolicyPeer]>,
    ports: Option<&[NetworkPolicyPort]>,
) -> Result<Rule, Fault> {
    let peers = match peers {
        None | Some([]) => None,
        Some(peers) => Some(
            peers
                .iter()
                .enumerate()
                .map(|(i, peer)| read_peer(namespace, &format!("{path}.{side}[{i}]"), peer))
                .collect::<Result<_, _>>()?,
        ),
    };
    let set = match ports {
        None | Some([]) => Ports::all(),
        Some(ports) => {
            let ports = ports.iter().enumerate();
            let ports = ports.map(|(i, port)| read_port(&format!("{path}.ports[{i}]"), port));
            Ports::union_of(&ports.collect::<Result<Vec<_>, _>>()?)
        }
    };
    let ports = set.with_names_of_whole_protocols();
    Ok(Rule {
        peers,
        ports,
        comment: None,
        origin: None,
    })
}

fn read_peer(namespace: &str, path: &str, peer: &NetworkPolicyPeer) -> Result<Peer, Fault> {
    let selected_namespaces = peer.namespace_selector.as_ref();
    let pods = peer.pod_selector.as_ref();
    match (&peer.ip_block, selected_namespaces, pods) {
        (Some(block), None, None) => read_block(&format!("{path}.ipBlock"), block),
        (Some(_), _, _) => Err((
            path.to_owned(),
            "ipBlock stands beside a selector; a peer is either of them".to_owned(),
        )),
        (None, None, None) => Err((
            path.to_owned(),
            "an empty peer; leave the whole list out to mean everyone".to_owned(),
        )),
        (None, selected_namespaces, pods) => Ok(Peer::Pods {
            namespaces: match selected_namespaces {
                None => Namespaces::Own(namespace.to_owned()),
                Some(_) => Namespaces::Labelled(
                    read_selector(&format!("{path}.namespaceSelector"), selected_namespaces)?
                        .of_namespaces(),
                ),
            },
            pods: read_selector(&format!("{path}.podSelector"), pods)?,
        }),
    }
}

fn read_block(path: &str, block: &IPBlock) -> Result<Peer, Fault> {
    let net = |path: String, text: &str| -> Result<AddressSet, Fault> {
        match parse_net(text) {
            Some(net) if text.contains('/') => Ok(net.into()),
            _ => Err((path, format!("{text:?} is no CIDR"))),
        }
    };
    let addresses = net(format!("{path}.cidr"), &block.cidr)?;
    let excepts = block.except.iter().flatten().enumerate();
    let excepts = excepts.map(|(i, except)| net(format!("{path}.except[{i}]"), except));
    let excepts: AddressSet = excepts
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .collect();
    Ok(Peer::Block(addresses.difference(&excepts)))
}

fn read_port(path: &str, port: &NetworkPolicyPort) -> Result<Ports, Fault> {
    let protocol = match port.protocol.as_deref() {
        None => Protocol::Tcp,
        Some(text) => text
            .parse::<Protocol>()
            .map_err(|e| (format!("{path}.protocol"), e.to_string()))?,
    };
    match (&port.port, port.end_port) {
        (None, None) => Ok(Ports::whole(protocol)),
        (Some(IntOrString::String(name)), None) => Ok(Ports::named(protocol, name.as_str())),
        (Some(IntOrString::Int(low)), end) => {
            let low = u16::try_from(*low)
                .ok()
                .filter(|low| *low > 0)
                .ok_or_else(|| {
                    (
                        format!("{path}.port"),
                        format!("{low} is no port (1-65535)"),
                    )
                })?;
            // Nothing is beyond the last port, so a range that goes on ends there.
            let high = end.map_or(low, |end| {
                u16::try_from(end.clamp(0, i32::from(u16::MAX))).unwrap_or(u16::MAX)
            });
            Ok(Ports::numbers(protocol, PortNumbers::span(low, high)))
        }
        (_, Some(_)) => Err((
            format!("{path}.endPort"),
            "a range needs a numeric port to begin at".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(spec: &str) -> Result<Policy, PolicyError> {
        Policy::read("ns", "p", Some(&serde_yaml::from_str(spec).unwrap()))
    }

    fn types(spec: &str) -> (bool, bool) {
        let policy = policy(spec).unwrap();
        (
            policy.rules(Direction::Ingress).is_some(),
            policy.rules(Direction::Egress).is_some(),
        )
    }

    #[test]
    fn types_left_out_follow_the_rules() {
        assert_eq!(types("{}"), (true, false));
        assert_eq!(types("{egress: []}"), (true, false));
        assert_eq!(types("{egress: [{}]}"), (true, true));
        assert_eq!(
            types("{egress: [{}], policyTypes: [Ingress]}"),
            (true, false)
        );
        assert_eq!(
            types("{ingress: [{}], policyTypes: [Egress]}"),
            (false, true)
        );
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_its_place() {
        let cases = [
            ("{policyTypes: [ingress]}", "spec.policyTypes[0]"),
            ("{ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]"),
            (
                "{egress: [{}, {to: [{ipBlock: {cidr: 10.0.0.0/8, except: [x]}}]}]}",
                "spec.egress[1].to[0].ipBlock.except[0]",
            ),
            (
                "{egress: [{ports: [{port: 0}]}]}",
                "spec.egress[0].ports[0].port",
            ),
            (
                "{egress: [{ports: [{protocol: tcp}]}]}",
                "spec.egress[0].ports[0].protocol",
            ),
            (
                "{egress: [{ports: [{port: a, endPort: 9}]}]}",
                "spec.egress[0].ports[0].endPort",
            ),
        ];
        for (spec, path) in cases {
            assert_eq!(policy(spec).unwrap_err().path, path, "{spec}");
        }
    }

    #[test]
    fn a_port_without_protocol_is_tcp_and_a_range_is_a_set() {
        let policy =
            policy("{ingress: [{ports: [{port: 30000, endPort: 70000}, {protocol: UDP}]}]}");
        let policy = policy.unwrap();
        let ports = &policy.rules(Direction::Ingress).unwrap()[0].ports;
        assert_eq!(ports.to_string(), "30000-65535/TCP, every UDP port");
    }
}
