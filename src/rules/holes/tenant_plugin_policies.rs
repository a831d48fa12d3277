//! A tenant can write policies of the network plugin of the host.

use crate::rules::config::{Field, Findings, View};
use crate::rules::{Audience, Rule};
use crate::tenant::powers::{CUSTOM_RESOURCES, Powers};
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

fn check(view: &View<'_>, findings: &mut Findings) {
    let powers = Powers::of(view.values.root(), view.release, view.namespace);
    for kind in &powers.policy_resources {
        let message = "objects of the network plugin that the tenant writes are copied to the host \
                       as they are, and can select pods of others";
        let problem = Diagnostic::warning(RULE.code, message)
            .help("don't sync custom resources of the network plugin");
        findings.note(Field::Value(schema::join(CUSTOM_RESOURCES, kind)), problem);
    }
}
