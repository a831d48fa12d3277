//! What closes the holes that a NetworkPolicy can't close: admission policies for what a tenant's
//! syncer writes, and a policy of the cluster's administrator.
//!
//! Pure: the policies of a virtual cluster and what its values say go in, Kubernetes objects come
//! out. A NetworkPolicy only adds, so a tenant who chooses labels, whose own policies are synced, or
//! whose pods use the network of a node gets around it. Each object says in a comment what it closes.

mod admission;
mod cel;
mod cluster_policy;
pub mod in_force;
mod write;

use serde_json::Value;

use crate::filter::GeneratedPolicies;
use crate::fnv::fnv1a;
use crate::vcluster::policies::{Policy, Role};
use manifest::diagnostic::Diagnostic;
use netpol::model::cluster::NAMESPACE_NAME_LABEL;

/// What is made, and how strict it is.
#[derive(Debug, Clone, Default)]
pub struct GuardOptions {
    /// What the API server does with a request that an admission policy refuses.
    pub action: Action,
    /// The kind of the administrator's network policy.
    pub dialect: Dialect,
    /// Its priority for control planes; that for workloads is the next. A lower number comes first.
    pub priority: i32,
    /// Whether workloads are cut off from everything in the host cluster but what their policies
    /// name.
    pub deny_host: bool,
    /// Whether workloads are cut off from other virtual clusters.
    pub deny_tenants: bool,
    /// Users that may change the policies; with any of these, nobody else may.
    pub allow_users: Vec<String>,
    /// Groups that may.
    pub allow_groups: Vec<String>,
}

/// What happens to a request that an admission policy refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// It is refused.
    #[default]
    Deny,
    /// It passes, with a warning for the caller and an entry in the audit log.
    Warn,
}

/// The API of the administrator's network policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// `ClusterNetworkPolicy` of policy.networking.k8s.io/v1alpha2.
    #[default]
    Cnp,
    /// `AdminNetworkPolicy` of policy.networking.k8s.io/v1alpha1.
    Anp,
}

/// An object, and what it is for.
#[derive(Debug, Clone)]
struct Object {
    comment: Vec<String>,
    value: Value,
}

/// A virtual cluster that is to be guarded.
pub(crate) struct Protected<'a> {
    name: &'a str,
    namespace: &'a str,
    made: &'a GeneratedPolicies,
}

impl<'a> Protected<'a> {
    /// The user name of the syncer.
    fn syncer(&self) -> String {
        let account = &self.made.syncer.account;
        format!("system:serviceaccount:{}:{account}", self.namespace)
    }

    /// The namespaces of its pods that are known: that of the release first.
    fn namespaces(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mapped = self.made.powers.namespaces.iter().map(String::as_str);
        std::iter::once(self.namespace).chain(mapped)
    }

    /// A selector of these namespaces, or of all others.
    fn namespace_selector(&self, operator: &str) -> Value {
        let names: Vec<&str> = self.namespaces().collect();
        serde_json::json!({"matchExpressions": [
            {"key": NAMESPACE_NAME_LABEL, "operator": operator, "values": names}
        ]})
    }

    /// Its policies of one kind: those for workloads can be several, one for each namespace.
    fn policies(&self, role: Role) -> impl Iterator<Item = &'a Policy> {
        (self.made.policies.iter()).filter(move |policy| policy.role == role)
    }

    /// The name of an object for this virtual cluster, at most `longest` bytes.
    fn object_name(&self, what: &str, longest: usize) -> String {
        // A namespace has no dot, so two virtual clusters never share a name.
        let name = format!("vcluster-netpol.{what}.{}.{}", self.namespace, self.name);
        if name.len() <= longest {
            return name;
        }
        let hash = fnv1a(name.bytes());
        let kept = name.get(..longest.saturating_sub(17)).unwrap_or_default();
        format!("{}-{hash:016x}", kept.trim_end_matches(['.', '-']))
    }

    /// The metadata of an object for this virtual cluster.
    fn metadata(&self, name: &str) -> Value {
        serde_json::json!({"name": name, "labels": {
            "app.kubernetes.io/managed-by": "vcluster-netpol",
            "vcluster-netpol/namespace": self.namespace,
            "vcluster-netpol/release": self.name,
        }})
    }
}

/// The objects that guard a virtual cluster, as YAML documents.
///
/// # Errors
/// When the namespace is not known, or the config has more rules than the administrator's policy
/// can hold.
pub fn guard(made: &GeneratedPolicies, options: &GuardOptions) -> Result<String, Diagnostic> {
    let Some(namespace) = made.namespace.as_deref() else {
        let message = format!(
            "the namespace of the virtual cluster {} is not known, and admission policies name it",
            made.name
        );
        return Err(Diagnostic::error(message).help("name it with --namespace"));
    };
    let cluster = Protected {
        name: &made.name,
        namespace,
        made,
    };
    let mut objects = admission::objects(&cluster, options);
    objects.extend(cluster_policy::objects(&cluster, options)?);
    Ok(write::documents(&cluster, &objects))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_and_stay_different() {
        assert_eq!(fnv1a("".bytes()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a".bytes()), 0xaf63_dc4c_8601_ec8c);
    }
}
