//! What the values of a virtual cluster let its tenant do on the host.
//!
//! Pure: reads values, and knows no policy.

use serde::Serialize;
use serde_json::Value;

use crate::vcluster::mapped::MappedNamespaces;

/// The value that keeps pods with hostNetwork out.
pub const POD_SECURITY: &str = "policies.podSecurityStandard";

/// The value by which NetworkPolicies of the tenant come to the host.
pub const SYNCED_POLICIES: &str = "sync.toHost.networkPolicies.enabled";

/// The value by which other objects of the tenant come to the host.
pub const CUSTOM_RESOURCES: &str = "sync.toHost.customResources";

/// The standards of Pod Security that refuse hostNetwork.
const WITHOUT_HOST_NETWORK: [&str; 2] = ["baseline", "restricted"];

/// The groups of the policies of network plugins.
const POLICY_GROUPS: [&str; 4] = [
    "projectcalico.org",
    "cilium.io",
    "antrea.io",
    "policy.networking.k8s.io",
];

/// What a tenant may do, beside choosing labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Powers {
    /// Whether the values are known. Else the chart's defaults are assumed.
    pub values_known: bool,
    /// Whether NetworkPolicies of the tenant are added to those of the host.
    pub syncs_policies: bool,
    /// In which networks its pods may run.
    pub networks: Networks,
    /// The host namespaces beside its own in which pods of the tenant run.
    pub namespaces: Vec<String>,
    /// Whether there are more of them, that only patterns name.
    pub has_namespace_patterns: bool,
    /// The resources of network plugins that the tenant may write, which no NetworkPolicy overrules.
    pub policy_resources: Vec<String>,
}

/// In which networks the pods of a tenant may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Networks {
    /// That of pods, and that of their node.
    PodsAndHost,
    /// That of pods.
    Pods,
    /// That of nodes of its own: no pod runs on the host.
    PrivateNodes,
}

impl Powers {
    /// What the values say; without values, what the chart's defaults say.
    #[must_use]
    pub fn of(values: Option<&Value>, release: &str, namespace: Option<&str>) -> Self {
        let value = |path: &str| values.and_then(|values| values.pointer(path));
        let mapped = MappedNamespaces::of(values, release, namespace);
        let standard = value("/policies/podSecurityStandard").and_then(Value::as_str);
        let is_on = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
        Self {
            values_known: values.is_some(),
            syncs_policies: is_on(value("/sync/toHost/networkPolicies/enabled")),
            networks: if is_on(value("/privateNodes/enabled")) {
                Networks::PrivateNodes
            } else if standard.is_some_and(|name| WITHOUT_HOST_NETWORK.contains(&name)) {
                Networks::Pods
            } else {
                Networks::PodsAndHost
            },
            namespaces: mapped.exact,
            has_namespace_patterns: mapped.has_patterns,
            policy_resources: policy_resources(value("/sync/toHost/customResources")),
        }
    }
}

/// The custom resources that are synced and are policies of a network plugin.
fn policy_resources(synced: Option<&Value>) -> Vec<String> {
    let synced = synced.and_then(Value::as_object).into_iter().flatten();
    let names = synced.filter(|(name, fields)| {
        let is_on = fields.get("enabled").and_then(Value::as_bool) == Some(true);
        is_on && is_policy_resource(name)
    });
    names.map(|(name, _)| name.clone()).collect()
}

/// Whether a key of `sync.toHost.customResources` names a resource of a network plugin. The key is
/// `PLURAL.GROUP`, and can have a version behind a slash.
fn is_policy_resource(key: &str) -> bool {
    let group = key.split_once('.').map_or("", |(_, group)| group);
    let group = group.split('/').next().unwrap_or_default();
    POLICY_GROUPS.iter().any(|known| {
        let rest = group.strip_suffix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn without_values_the_defaults_of_the_chart_are_assumed() {
        let powers = Powers::of(None, "a", None);
        assert!(!powers.values_known && !powers.syncs_policies);
        assert_eq!(powers.networks, Networks::PodsAndHost);
        let values = json!({
            "policies": {"podSecurityStandard": "baseline"},
            "sync": {"toHost": {
                "networkPolicies": {"enabled": true},
                "namespaces": {"enabled": true, "mappings": {"byName": {"x": "host-x", "y-*": "h-*"}}},
                "customResources": {
                    "networkpolicies.crd.projectcalico.org": {"enabled": true},
                    "ciliumnetworkpolicies.cilium.io": {"enabled": false},
                    "widgets.example.org": {"enabled": true},
                },
            }},
        });
        let powers = Powers::of(Some(&values), "a", Some("team"));
        assert!(powers.values_known && powers.syncs_policies);
        assert_eq!(powers.networks, Networks::Pods);
        assert_eq!(powers.namespaces, ["host-x"]);
        assert!(powers.has_namespace_patterns);
        let resources = ["networkpolicies.crd.projectcalico.org"];
        assert_eq!(powers.policy_resources, resources);
    }

    #[test]
    fn resources_of_network_plugins_are_known_by_group_whatever_the_version() {
        for key in [
            "ciliumnetworkpolicies.cilium.io/v2",
            "networkpolicies.crd.projectcalico.org/v1",
            "networkpolicies.crd.antrea.io",
        ] {
            assert!(is_policy_resource(key), "{key}");
        }
        for key in [
            "widgets.notcilium.io",
            "cilium.io",
            "a.cilium.io.example.org",
        ] {
            assert!(!is_policy_resource(key), "{key}");
        }
    }
}
