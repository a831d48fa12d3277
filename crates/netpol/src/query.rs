//! The words in which people ask: `workload`, `10.0.0.0/8`, `team-a/web-0`, `pod:app=web,ns:team=a`,
//! and `:443/TCP` behind the destination. They become endpoints and ports here.
//!
//! Words for pods of a system, such as its control plane, come from the caller: see [`Vocabulary`].

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;

use crate::model::cluster::{ClusterModel, NAMESPACE_NAME_LABEL};
use crate::model::pod::{Endpoint, Pod};
use crate::sets::addresses::{AddressSet, parse_address, parse_net};
use crate::sets::ports::{PortNumbers, Ports, Protocol};
use crate::sets::selector::Labels;

/// What the internet is not: the special-purpose blocks of IPv4 (IANA registry).
const NOT_PUBLIC: [&str; 16] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
];

/// Every public IPv4 address.
#[must_use]
pub fn internet() -> AddressSet {
    all_but("0.0.0.0/0", &NOT_PUBLIC)
}

/// Every public IPv6 address: 2000::/3 is what is given out; documentation addresses lie in it.
#[must_use]
pub fn internet6() -> AddressSet {
    all_but("2000::/3", &["2001:db8::/32"])
}

fn all_but(whole: &str, special: &[&str]) -> AddressSet {
    let net = |cidr: &&str| parse_net(cidr).map(AddressSet::from);
    let special: AddressSet = special.iter().filter_map(net).collect();
    net(&whole).unwrap_or_default().difference(&special)
}

/// A word for a pod that policies know by its labels.
#[derive(Debug)]
pub struct Role {
    /// The word.
    pub name: &'static str,
    /// The pod that it means.
    pub endpoint: fn(&QueryScope, &ClusterModel) -> Result<Endpoint, QueryError>,
}

/// The words of a system whose pods are asked about.
#[derive(Debug)]
pub struct Vocabulary {
    /// Its roles.
    pub roles: &'static [Role],
    /// The namespace of the system, where the question names none and policies are in several.
    pub namespace: fn(&QueryScope, &ClusterModel) -> Option<String>,
}

/// No words but those that every cluster has.
pub static NO_ROLES: Vocabulary = Vocabulary {
    roles: &[],
    namespace: |_, _| None,
};

/// Makes a set of addresses.
type Addresses = fn() -> AddressSet;

/// The words that need no system: public addresses.
const INTERNET: [(&str, Addresses); 2] = [("internet", internet), ("internet6", internet6)];

impl Vocabulary {
    fn role(&self, name: &str) -> Option<&'static Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// The word in `text`, if it is one of a role or of public addresses.
    fn word(&self, text: &str) -> Option<&'static str> {
        let role = self.role(text).map(|role| role.name);
        role.or_else(|| {
            INTERNET
                .iter()
                .map(|(name, _)| *name)
                .find(|name| *name == text)
        })
    }

    /// All words, for a message.
    fn words(&self) -> String {
        let roles = self.roles.iter().map(|role| role.name);
        let words: Vec<&str> = roles
            .chain(INTERNET.iter().map(|(name, _)| *name))
            .collect();
        words.join(", ")
    }
}

/// Who stands at one end, as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointSpec {
    /// A role of the vocabulary, or public addresses, by the word.
    Role(&'static str),
    /// Addresses, of pods or of anything else.
    Net(IpNet),
    /// A pod of the manifest.
    Named {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A pod that need not exist.
    Described {
        /// Its labels.
        labels: Labels,
        /// The labels of its namespace; `None` for the namespace that the policies are in.
        namespace: Option<Labels>,
        /// Its addresses, if they matter.
        addresses: AddressSet,
    },
}

/// Which ports were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortSpec {
    /// All, of one protocol or of each.
    Every(Option<Protocol>),
    /// Numbers.
    Numbers(Protocol, u16, u16),
    /// A name, to be looked up on the destination.
    Name(Protocol, String),
}

/// A question that can't be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryError {
    /// Not a word that means anybody: the text, and the words that there are.
    EndpointSpec(String, String),
    /// A label that is not `key=value`.
    Label(String),
    /// Not an address.
    Address(String),
    /// No port, range or name.
    Port(String),
    /// No protocol.
    Protocol(String),
    /// The manifest has no such pod.
    NoPod {
        /// The namespace asked for.
        namespace: String,
        /// The name asked for.
        name: String,
    },
    /// The pod gives no port that name.
    NoPortOfThatName {
        /// The pod.
        pod: String,
        /// The name and protocol.
        port: String,
    },
    /// Nothing says which pod a role is: why, and what to do.
    Role(String),
    /// The policies lie in several namespaces or in none, so one has to be named.
    WhichNamespace,
    /// The pods of two CIDRs make too many pairs.
    TooMany(usize),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndpointSpec(text, words) => write!(
                f,
                "{text:?} means nobody; write one of {words}, an address or CIDR, namespace/pod, \
                 or labels (pod:app=web,ns:team=a)"
            ),
            Self::Label(text) => write!(
                f,
                "{text:?} is no label; write key=value, several with commas: \
                 pod:app=web,tier=db,ns:team=a"
            ),
            Self::Address(text) => write!(
                f,
                "{text:?} is no address; write ip:10.0.0.1 or ip:[fd00::1]"
            ),
            Self::Port(text) => write!(
                f,
                "{text:?} is no port; write a number from 1 to 65535, a range (8000-8999), a name, \
                 or * for all"
            ),
            Self::Protocol(text) => write!(f, "{text:?} is none of TCP, UDP, SCTP"),
            Self::NoPod { namespace, name } => write!(
                f,
                "there is no pod {namespace}/{name} in the manifest; describe it by its labels \
                 instead (pod:app=web,ns:{NAMESPACE_NAME_LABEL}={namespace})"
            ),
            Self::NoPortOfThatName { pod, port } => {
                write!(f, "pod {pod} has no port {port}")
            }
            Self::Role(message) => f.write_str(message),
            Self::WhichNamespace => f.write_str(
                "the policies don't tell in which namespace the pod is; add \
                 ns:kubernetes.io/metadata.name=NAME, or --namespace",
            ),
            Self::TooMany(pairs) => write!(
                f,
                "the pods at both ends make {pairs} pairs; ask about smaller CIDRs"
            ),
        }
    }
}

impl std::error::Error for QueryError {}

impl EndpointSpec {
    /// Reads one end.
    ///
    /// # Errors
    /// When the words mean nobody.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Self, QueryError> {
        let text = text.trim();
        if let Some(word) = vocabulary.word(text) {
            return Ok(Self::Role(word));
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        if let Some(net) = parse_net(bare) {
            return Ok(Self::Net(net));
        }
        if ["pod:", "ns:", "ip:"].iter().any(|p| text.starts_with(p)) {
            return Self::described(text);
        }
        let plain = |part: &str, others: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
            !part.is_empty() && part.chars().all(allowed)
        };
        match text.split_once('/') {
            // A namespace has no dots, so a CIDR that went wrong is no pod.
            Some((namespace, name)) if plain(namespace, "-") && plain(name, "-._") => {
                Ok(Self::Named {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err(QueryError::EndpointSpec(
                text.to_owned(),
                vocabulary.words(),
            )),
        }
    }

    fn described(text: &str) -> Result<Self, QueryError> {
        let (mut labels, mut namespace) = (Labels::new(), None);
        let mut addresses = AddressSet::default();
        // What a prefix begins goes on until the next one.
        let mut part = "pod";
        for word in text.split(',') {
            let mut word = word.trim();
            for prefix in ["pod", "ns", "ip"] {
                let rest = word.strip_prefix(prefix).and_then(|r| r.strip_prefix(':'));
                if let Some(rest) = rest {
                    (part, word) = (prefix, rest);
                    break;
                }
            }
            if part == "ip" {
                let bare = word.trim_start_matches('[').trim_end_matches(']');
                let address = parse_address(bare);
                let address = address.ok_or_else(|| QueryError::Address(word.to_owned()))?;
                addresses = addresses.union(&address.into());
                continue;
            }
            let into = match part {
                "ns" => namespace.get_or_insert_with(Labels::new),
                _ => &mut labels,
            };
            if word.is_empty() {
                continue;
            }
            match word.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    into.insert(key.to_owned(), value.to_owned());
                }
                _ => return Err(QueryError::Label(word.to_owned())),
            }
        }
        Ok(Self::Described {
            labels,
            namespace,
            addresses,
        })
    }
}

impl PortSpec {
    /// Reads a port and a protocol that stand apart; nothing at all is every port.
    ///
    /// # Errors
    /// When one of them is neither empty nor what it should be.
    pub fn parse(port: &str, protocol: &str) -> Result<Self, QueryError> {
        let (port, protocol) = (port.trim(), protocol.trim());
        let known = match protocol {
            "" | "*" => None,
            text => Some(
                text.to_ascii_uppercase()
                    .parse::<Protocol>()
                    .map_err(|_| QueryError::Protocol(text.to_owned()))?,
            ),
        };
        if matches!(port, "" | "*") {
            return Ok(Self::Every(known));
        }
        let protocol = known.unwrap_or(Protocol::Tcp);
        let number = |text: &str| text.parse::<u16>().ok().filter(|n| *n > 0);
        let wrong = || QueryError::Port(port.to_owned());
        if port.bytes().all(|b| b.is_ascii_digit()) {
            let number = number(port).ok_or_else(wrong)?;
            return Ok(Self::Numbers(protocol, number, number));
        }
        if let Some((low, high)) = port.split_once('-')
            && let (Some(low), Some(high)) = (number(low), number(high))
        {
            if low > high {
                return Err(wrong());
            }
            return Ok(Self::Numbers(protocol, low, high));
        }
        if is_port_name(port) {
            return Ok(Self::Name(protocol, port.to_owned()));
        }
        Err(wrong())
    }

    /// The set that is asked for.
    #[must_use]
    pub fn ports(&self) -> Ports {
        match self {
            Self::Every(None) => Ports::all_numbers(),
            Self::Every(Some(p)) => Ports::numbers(*p, crate::sets::ports::every_number()),
            Self::Numbers(p, low, high) => Ports::numbers(*p, PortNumbers::span(*low, *high)),
            Self::Name(p, name) => Ports::named(*p, name.as_str()),
        }
    }
}

/// As the API server wants it: at most 15 of `a-z`, `0-9` and `-`, a letter among them.
fn is_port_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.len() <= 15
        && text.bytes().all(allowed)
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Reads a destination: who, and behind a colon the port and the protocol.
///
/// # Errors
/// When either means nothing.
pub fn parse_destination(
    text: &str,
    vocabulary: &Vocabulary,
) -> Result<(EndpointSpec, PortSpec), QueryError> {
    let text = text.trim();
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, last)) if last.to_ascii_uppercase().parse::<Protocol>().is_ok() => (rest, last),
        _ => (text, ""),
    };
    // An IPv6 address has colons of its own, and so have labels: the whole comes first.
    if parse_net(rest).is_none()
        && let Some((who, port)) = rest.rsplit_once(':')
        && !matches!(who, "pod" | "ns" | "ip")
        && !who.ends_with(",pod")
        && !who.ends_with(",ns")
        && !who.ends_with(",ip")
        && !port.contains(['=', ']', ','])
    {
        return Ok((
            EndpointSpec::parse(who, vocabulary)?,
            PortSpec::parse(port, protocol)?,
        ));
    }
    Ok((
        EndpointSpec::parse(rest, vocabulary)?,
        PortSpec::parse("", protocol)?,
    ))
}

/// The system whose roles are meant, and the namespace that pods without one are in.
#[derive(Debug, Clone)]
pub struct QueryScope {
    /// The words that there are.
    pub vocabulary: &'static Vocabulary,
    /// The name of the system, if it was given.
    pub subject: Option<String>,
    /// The namespace, if it was given.
    pub namespace: Option<String>,
}

impl Default for QueryScope {
    fn default() -> Self {
        Self {
            vocabulary: &NO_ROLES,
            subject: None,
            namespace: None,
        }
    }
}

impl QueryScope {
    /// The namespace that is meant where none is named.
    fn own_namespace(&self, model: &ClusterModel) -> Result<String, QueryError> {
        if let Some(namespace) = &self.namespace {
            return Ok(namespace.clone());
        }
        let mut names = model.policies().iter().map(|p| &p.namespace);
        let first = names.next().ok_or(QueryError::WhichNamespace)?;
        if names.all(|name| name == first) {
            return Ok(first.clone());
        }
        (self.vocabulary.namespace)(self, model).ok_or(QueryError::WhichNamespace)
    }

    /// Everyone who is meant: a CIDR can hold pods beside plain addresses.
    ///
    /// # Errors
    /// When the manifest doesn't have the pod, or nothing says which pod a role is.
    pub fn endpoints(
        &self,
        who: &EndpointSpec,
        model: &ClusterModel,
    ) -> Result<Vec<Endpoint>, QueryError> {
        match who {
            EndpointSpec::Role(name) => Ok(vec![self.role(name, model)?]),
            EndpointSpec::Net(net) => Ok(model.at(&(*net).into())),
            EndpointSpec::Named { namespace, name } => match model.pod(namespace, name) {
                Some(pod) => Ok(vec![Endpoint::pod(Arc::clone(pod))]),
                None => Err(QueryError::NoPod {
                    namespace: namespace.clone(),
                    name: name.clone(),
                }),
            },
            EndpointSpec::Described {
                labels,
                namespace,
                addresses,
            } => {
                let (namespace, namespace_labels) = match namespace {
                    None => {
                        let name = self.own_namespace(model)?;
                        let labels = model.namespace_labels(&name);
                        (name, labels)
                    }
                    Some(labels) => described_namespace(labels, model),
                };
                Ok(vec![Endpoint::pod(Arc::new(Pod {
                    namespace,
                    namespace_labels,
                    labels: labels.clone(),
                    addresses: addresses.clone(),
                    ..Pod::default()
                }))])
            }
        }
    }

    fn role(&self, name: &str, model: &ClusterModel) -> Result<Endpoint, QueryError> {
        if let Some((_, addresses)) = INTERNET.iter().find(|(known, _)| *known == name) {
            return Ok(Endpoint::outside(addresses()));
        }
        match self.vocabulary.role(name) {
            Some(role) => (role.endpoint)(self, model),
            None => Err(QueryError::EndpointSpec(
                name.to_owned(),
                self.vocabulary.words(),
            )),
        }
    }
}

/// A pod that need not exist, in a namespace of the model.
#[must_use]
pub fn described_pod(namespace: &str, labels: &[(&str, &str)], model: &ClusterModel) -> Endpoint {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Endpoint::pod(Arc::new(Pod {
        namespace: namespace.to_owned(),
        namespace_labels: model.namespace_labels(namespace),
        labels: labels.iter().map(own).collect(),
        ..Pod::default()
    }))
}

/// A namespace by its labels: the one that has them, where there is just one, else a made-up one.
fn described_namespace(labels: &Labels, model: &ClusterModel) -> (String, Arc<Labels>) {
    if let Some(name) = labels.get(NAMESPACE_NAME_LABEL) {
        let mut all = model.namespace_labels(name).as_ref().clone();
        all.extend(labels.clone());
        return (name.clone(), Arc::new(all));
    }
    let has_them = |own: &Labels| {
        labels
            .iter()
            .all(|(key, value)| own.get(key) == Some(value))
    };
    let mut fitting = model.namespaces().filter(|(_, own)| has_them(own));
    match (fitting.next(), fitting.next()) {
        (Some((name, own)), None) if !labels.is_empty() => (name.to_owned(), Arc::clone(own)),
        // No real namespace is called nothing, so no policy takes it for its own.
        _ => (String::new(), Arc::new(labels.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(text: &str) -> (EndpointSpec, PortSpec) {
        parse_destination(text, &NO_ROLES).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn a_destination_is_who_and_port_and_protocol() {
        use PortSpec::{Every, Name, Numbers};
        let cases = [
            ("internet", Every(None)),
            ("internet:443", Numbers(Protocol::Tcp, 443, 443)),
            ("internet:53/udp", Numbers(Protocol::Udp, 53, 53)),
            ("internet/UDP", Every(Some(Protocol::Udp))),
            ("internet:*/SCTP", Every(Some(Protocol::Sctp))),
            ("internet:8000-8999", Numbers(Protocol::Tcp, 8000, 8999)),
            ("internet:https", Name(Protocol::Tcp, "https".to_owned())),
        ];
        for (text, ports) in cases {
            assert_eq!(
                destination(text),
                (EndpointSpec::Role("internet"), ports),
                "{text}"
            );
        }
    }

    #[test]
    fn colons_of_addresses_and_labels_are_not_those_of_ports() {
        let v6 = EndpointSpec::Net("2001:db8::1/128".parse().unwrap());
        assert_eq!(destination("2001:db8::1").0, v6);
        assert_eq!(destination("[2001:db8::1]:80").0, v6);
        assert_eq!(
            destination("10.0.0.0/8:80/TCP").1.ports().to_string(),
            "80/TCP"
        );
        assert_eq!(
            destination("2001:db8::/32/UDP").1,
            PortSpec::Every(Some(Protocol::Udp))
        );
        let (who, ports) = destination("pod:app=web,tier=db,ns:team=a,ip:[fd00::7]:http/TCP");
        assert_eq!(ports, PortSpec::Name(Protocol::Tcp, "http".to_owned()));
        let EndpointSpec::Described {
            labels,
            namespace,
            addresses,
        } = who
        else {
            panic!("not described")
        };
        assert_eq!((labels.len(), namespace.unwrap().len()), (2, 1));
        assert_eq!(addresses.to_string(), "fd00::7");
        assert_eq!(destination("pod:app=web").1, PortSpec::Every(None));
        assert_eq!(destination("pod:").1, PortSpec::Every(None));
        assert_eq!(
            destination("ip:10.0.0.1:80").1.ports().to_string(),
            "80/TCP"
        );
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for wrong in [
            "",
            "web",
            "a/b/c",
            "10.0.0.0/33",
            "internet:0",
            "internet:65536",
            "internet:9-8",
            "internet:HTTP",
            "pod:web",
            "ip:x",
            "/",
            "internet:/",
            "a b/c",
            "internet:1-2-3",
        ] {
            let parsed = parse_destination(wrong, &NO_ROLES);
            assert!(parsed.is_err(), "{wrong}: {parsed:?}");
        }
    }
}
