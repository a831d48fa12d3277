//! Why a question cannot be put: what is wrong with its words, and what to write instead.

use std::fmt;

use crate::model::cluster::NAMESPACE_NAME_LABEL;

/// A question that cannot be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryError {
    /// The text means no endpoint.
    EndpointSpec {
        /// The text.
        text: String,
        /// All words that mean one.
        words: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// A part of a description that is no label: the part, and what is wrong or what to write.
    Label(String, String),
    /// Not an address.
    Address(String),
    /// `except` where it cannot stand, or with something that cannot be excepted.
    Except(String),
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
    /// No destination has a port of that name: the destination, and the name and protocol.
    NoPortOfThatName {
        /// The destination.
        destination: String,
        /// The name and protocol.
        port: String,
    },
    /// No system tells which pod a role is: why, and what to do.
    Role(String),
    /// The policies are in several namespaces or in none, so one has to be named.
    WhichNamespace,
    /// The pods of two CIDRs make too many pairs.
    TooMany(usize),
    /// Policies tell more kinds of pods apart than one question can be about.
    TooManyKinds(usize),
    /// The exceptions leave no pod and no address.
    NothingLeft(String),
    /// Neither end is a pod that a policy could select.
    NothingJudged,
}

impl QueryError {
    /// Whether it knows what was probably meant by words that mean nobody.
    pub(super) fn has_hint(&self) -> bool {
        !matches!(self, Self::EndpointSpec { hint: None, .. })
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndpointSpec { text, words, hint } => match hint {
                Some(hint) => write!(f, "{text:?} means nobody; {hint}"),
                None => write!(
                    f,
                    "{text:?} means nobody; write one of {words}, an address or CIDR, \
                     namespace/pod, or labels (pod:app=web,ns:team-a)"
                ),
            },
            Self::Label(text, why) => write!(f, "{text:?} is no label: {why}"),
            Self::Address(text) => write!(
                f,
                "{text:?} is no address; write ip:10.0.0.1 or ip:[fd00::1]"
            ),
            Self::Except(message) | Self::Role(message) => f.write_str(message),
            Self::Port(text) => write!(
                f,
                "{text:?} is no port; write a number from 1 to 65535, a range (8000-8999), a name, \
                 several with commas, * for all, or !443 for all but 443"
            ),
            Self::Protocol(text) => write!(f, "{text:?} is none of TCP, UDP, SCTP"),
            Self::NoPod { namespace, name } => write!(
                f,
                "there is no pod {namespace}/{name} in the manifest; describe it by its labels \
                 instead (pod:app=web,ns:{namespace})"
            ),
            Self::NoPortOfThatName { destination, port } => write!(
                f,
                "{destination} has no port {port}, so the question is about nothing; write the \
                 number of the port"
            ),
            Self::WhichNamespace => write!(
                f,
                "the policies do not tell in which namespace the pod is; add ns:NAME (the same as \
                 ns:{NAMESPACE_NAME_LABEL}=NAME), or --namespace"
            ),
            Self::TooMany(pairs) => write!(
                f,
                "the pods at both ends make {pairs} pairs; ask about smaller CIDRs"
            ),
            Self::TooManyKinds(most) => write!(
                f,
                "the policies tell more than {most} kinds of these pods apart; ask about one of \
                 them by its labels"
            ),
            Self::NothingLeft(text) => {
                write!(f, "{text:?} means nobody: the exceptions leave nothing")
            }
            Self::NothingJudged => f.write_str(
                "no policy applies to this connection: neither end is a pod that a policy of the \
                 manifests could select",
            ),
        }
    }
}

impl std::error::Error for QueryError {}
