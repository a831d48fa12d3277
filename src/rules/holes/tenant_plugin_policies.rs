//! A tenant can write policies of the network plugin of the host.

use crate::rules::config::{Field, Findings, View};
use crate::rules::{Audience, Rule};
use manifest::diagnostic::Diagnostic;
use manifest::schema;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP302",
    title: "tenants write policies of the network plugin",
    audience: Audience::OnRequest,
    documentation: "\
**The tenant can write policies of Calico or Cilium.** `sync.toHost.customResources` copies them to the host cluster as they are. vCluster does not limit their selectors to the pods of the tenant, so such a policy can select and open pods of others.

Fix: don't sync these kinds.",
    check: Some(check),
};

/// The API groups of policies that network plugins enforce.
const GROUPS: [&str; 4] = [
    "projectcalico.org",
    "cilium.io",
    "antrea.io",
    "policy.networking.k8s.io",
];

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "sync.toHost.customResources";
    for (kind, settings) in view.values.entries(value) {
        // The name of the resource can have a version behind a slash.
        let group = kind.split_once('.').map_or("", |(_, group)| group);
        let group = group.split('/').next().unwrap_or_default();
        let is_known = GROUPS.iter().any(|known| {
            group
                .strip_suffix(known)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        if !is_known || !settings.is_on("enabled") {
            continue;
        }
        let message = "objects of the network plugin that the tenant writes are copied to the host \
                       as they are, and can select pods of others";
        let problem = Diagnostic::warning(RULE.code, message)
            .help("don't sync custom resources of the network plugin");
        findings.note(Field::Value(schema::join(value, kind)), problem);
    }
}
