//! Who can be at one end of a connection: pods, and addresses that are no pod's.
//!
//! Where they come from (a manifest, a word on the command line) is not known here.

use std::sync::Arc;

use crate::sets::addresses::AddressSet;
use crate::sets::ports::NamedPort;
use crate::sets::selector::Labels;

/// A pod, as far as a policy can see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// The labels of its namespace.
    pub namespace_labels: Arc<Labels>,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its addresses; none if they aren't known.
    pub addresses: AddressSet,
    /// Its named ports; `None` if they aren't known, as for a pod that is only described.
    pub ports: Option<Vec<NamedPort>>,
    /// The kind of the object that it was read from: `Pod`, or the kind whose template it is. Empty
    /// for a pod that is only described.
    pub kind: String,
    /// The network that it uses.
    pub network: PodNetwork,
    /// The object that made it, by kind and name.
    pub owner: Option<(String, String)>,
}

/// Whose network a pod uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PodNetwork {
    /// Its own: it has addresses that no other pod has.
    #[default]
    Own,
    /// That of its node. Kubernetes leaves open whether policies select it.
    Host,
    /// None any more: all its containers have ended.
    Ended,
}

impl Pod {
    /// Whether it is the template of any number of pods.
    #[must_use]
    pub fn is_template(&self) -> bool {
        !matches!(self.kind.as_str(), "" | POD)
    }
}

/// The kind of a pod.
pub const POD: &str = "Pod";

/// One end of a connection.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The pod, if it is one.
    pub pod: Option<Arc<Pod>>,
    /// Its addresses, or those of them that are asked about. None if they aren't known.
    pub addresses: AddressSet,
}

impl Endpoint {
    /// A pod with all its addresses.
    #[must_use]
    pub fn pod(pod: Arc<Pod>) -> Self {
        Self {
            addresses: pod.addresses.clone(),
            pod: Some(pod),
        }
    }

    /// Addresses that belong to no pod.
    #[must_use]
    pub fn outside(addresses: AddressSet) -> Self {
        Self {
            pod: None,
            addresses,
        }
    }

    /// Whether both are the very same pod, which always reaches itself. Two pods of one template
    /// are not.
    #[must_use]
    pub fn is_same_pod(&self, other: &Self) -> bool {
        match (&self.pod, &other.pod) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) && !a.is_template(),
            _ => false,
        }
    }
}
