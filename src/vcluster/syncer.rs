//! What the values of a virtual cluster say about the syncer, which writes the tenant's objects into
//! the host cluster.
//!
//! Sources: the vCluster chart, and the code of its syncer.

use serde_json::Value;

/// The syncer of a virtual cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syncer {
    /// Its service account, in the namespace of the release.
    pub account: String,
    /// Whether CoreDNS runs in pods that it writes, which are pods of the tenant's `kube-system`.
    pub has_dns_pods: bool,
}

impl Syncer {
    /// What values say. A missing field has the chart's default.
    #[must_use]
    pub fn of(values: Option<&Value>, release: &str) -> Self {
        let value = |path: &str| values.and_then(|values| values.pointer(path));
        let flag = |path: &str, default| value(path).and_then(Value::as_bool).unwrap_or(default);
        let account = value("/controlPlane/advanced/serviceAccount/name").and_then(Value::as_str);
        Self {
            account: match account.filter(|name| !name.is_empty()) {
                Some(name) => name.to_owned(),
                None => format!("vc-{release}"),
            },
            has_dns_pods: flag("/controlPlane/coredns/enabled", true)
                && !flag("/controlPlane/coredns/embedded", false),
        }
    }
}
