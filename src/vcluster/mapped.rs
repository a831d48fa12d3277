//! The host namespaces to which a virtual cluster syncs its own namespaces by name.
//!
//! Reads `sync.toHost.namespaces` of the values. Pods of a mapped namespace run in the host
//! namespace that the mapping names, not in that of the release.

use std::collections::BTreeSet;

use serde_json::Value;

/// Where the values say it.
pub const MAPPINGS: &str = "sync.toHost.namespaces.mappings.byName";

/// What the vCluster chart replaces by the name of the virtual cluster.
const NAME_PLACEHOLDER: &str = "${name}";

/// The host namespaces of the mappings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MappedNamespaces {
    /// Those that are named exactly, in the order of their names.
    pub exact: Vec<String>,
    /// Whether some mappings are patterns, whose namespaces only the cluster knows.
    pub has_patterns: bool,
}

impl MappedNamespaces {
    /// The host namespaces that values map to, other than the virtual cluster's own.
    #[must_use]
    pub fn of(values: Option<&Value>, release: &str, namespace: Option<&str>) -> Self {
        let namespaces = values.and_then(|values| values.pointer("/sync/toHost/namespaces"));
        let is_on = namespaces
            .and_then(|fields| fields.get("enabled")?.as_bool())
            .unwrap_or(false);
        let mappings = namespaces
            .filter(|_| is_on)
            .and_then(|fields| fields.pointer("/mappings/byName")?.as_object());
        let mut exact = BTreeSet::new();
        let mut has_patterns = false;
        for (tenant, host) in mappings.into_iter().flatten() {
            let Some(host) = host.as_str() else { continue };
            if tenant.contains('*') || host.contains('*') {
                has_patterns = true;
                continue;
            }
            let host = host.replace(NAME_PLACEHOLDER, release);
            if namespace != Some(host.as_str()) {
                exact.insert(host);
            }
        }
        Self {
            exact: exact.into_iter().collect(),
            has_patterns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_read_and_patterns_are_noted() {
        let values = |enabled: bool| {
            json!({"sync": {"toHost": {"namespaces": {"enabled": enabled, "mappings": {"byName": {
                "web": "host-web", "db": "${name}-db", "own": "t", "odd": 1, "team-*": "x-*",
            }}}}}})
        };
        let on = MappedNamespaces::of(Some(&values(true)), "a", Some("t"));
        assert_eq!(on.exact, ["a-db", "host-web"]);
        assert!(on.has_patterns);
        let off = MappedNamespaces::of(Some(&values(false)), "a", Some("t"));
        assert_eq!(off, MappedNamespaces::default());
        assert_eq!(
            MappedNamespaces::of(None, "a", None),
            MappedNamespaces::default()
        );
    }
}
