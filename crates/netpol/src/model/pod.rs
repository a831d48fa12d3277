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
}

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

    /// Whether both are the very same pod, which always reaches itself.
    #[must_use]
    pub fn is_same_pod(&self, other: &Self) -> bool {
        match (&self.pod, &other.pod) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}
