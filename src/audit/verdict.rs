//! The verdict on a virtual cluster, and the facts that lead to it.
//!
//! Facts only: [`words`](super::words) says them in sentences.

use serde::Serialize;

use crate::explain::diff::Diff;
use manifest::diagnostic::Diagnostics;

/// Whether a virtual cluster is isolated, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The config does not enable the policies.
    Off,
    /// The config enables the policies, and they are not there.
    Missing,
    /// The policies are there and have no effect on all of the pods or on some.
    NotEnforced,
    /// The policies are there and allow other traffic than the config says.
    Different,
    /// Other policies allow its pods more than its own policies do.
    Widened,
    /// Nothing is proved.
    Unknown,
    /// The policies are there and allow exactly what the config says.
    Isolated,
}

impl Verdict {
    /// All of them, in the order of a summary.
    pub const ALL: [Self; 7] = [
        Self::Isolated,
        Self::Off,
        Self::Missing,
        Self::NotEnforced,
        Self::Different,
        Self::Widened,
        Self::Unknown,
    ];

    /// The word for it: the value in JSON too.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Missing => "missing",
            Self::NotEnforced => "not-enforced",
            Self::Different => "different",
            Self::Widened => "widened",
            Self::Unknown => "unknown",
            Self::Isolated => "isolated",
        }
    }
}

/// Something because of which a virtual cluster is not isolated, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The config does not enable the policies.
    Off {
        /// Why not, in words.
        reason: String,
        /// The value to set.
        remedy: String,
        /// Policies of its own that are there nevertheless.
        present: Vec<String>,
    },
    /// Policies that the config asks for are not there.
    Missing {
        /// Their names.
        policies: Vec<String>,
        /// Other inputs that hold all of them.
        elsewhere: Vec<String>,
    },
    /// The network plugin does not enforce policies.
    NoEnforcement {
        /// What is known of the network plugin.
        reason: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// Pods on the network of their node, to which no policy applies.
    HostNetwork {
        /// Their namespaces and names.
        pods: Vec<String>,
    },
    /// Pods of the workload in a namespace where the virtual cluster has no policy.
    OutsideOfPolicies {
        /// Their namespaces and names.
        pods: Vec<String>,
    },
    /// The values put workloads into namespaces where the virtual cluster has no policy.
    MappedNamespaces {
        /// Those that the values name.
        namespaces: Vec<String>,
        /// Whether the values have patterns, whose namespaces only the cluster knows.
        has_patterns: bool,
    },
    /// Its own policies allow other traffic than the config says.
    Different {
        /// From what the config says to what is there.
        diff: Diff,
    },
    /// Another policy allows its pods more.
    Widened {
        /// The kind of the other policy.
        kind: String,
        /// The other policy. One of the whole cluster has no namespace.
        policy: PolicyName,
        /// The virtual cluster out of which the syncer copied it.
        tenant: Option<String>,
        /// The line of the stream at which its document begins.
        line: Option<usize>,
        /// What it adds.
        diff: Diff,
    },
    /// It could not be judged.
    Unknown(Unknown),
}

/// Why a virtual cluster could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// The input has no config for it.
    NoConfig {
        /// What is missing, in words.
        reason: String,
        /// What to do.
        remedy: String,
        /// Policies of its own that are there.
        present: Vec<String>,
    },
    /// The config is rejected.
    Rejected {
        /// What is wrong with it.
        problems: Diagnostics,
    },
    /// A policy of the input can't be read.
    Unreadable {
        /// What is wrong with it.
        problems: Diagnostics,
    },
    /// Nothing is known of the network plugin.
    Enforcement {
        /// What is known.
        reason: String,
        /// What to do.
        remedy: Option<String>,
    },
    /// Policies of kinds that are not evaluated can allow its pods more.
    UnevaluatedPolicies {
        /// The policies, with their kinds.
        policies: Vec<String>,
    },
}

impl Finding {
    /// The verdict that it leads to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Off { .. } => Verdict::Off,
            Self::Missing { .. } => Verdict::Missing,
            Self::NoEnforcement { .. }
            | Self::HostNetwork { .. }
            | Self::MappedNamespaces { .. }
            | Self::OutsideOfPolicies { .. } => Verdict::NotEnforced,
            Self::Different { .. } => Verdict::Different,
            Self::Widened { .. } => Verdict::Widened,
            Self::Unknown(_) => Verdict::Unknown,
        }
    }
}

/// A policy by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PolicyName {
    /// `metadata.namespace`; empty where nothing says it.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl std::fmt::Display for PolicyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}
