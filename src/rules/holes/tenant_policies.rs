//! A tenant can add network policies to those of the virtual cluster.

use crate::rules::config::{Field, Findings, View};
use crate::rules::{Audience, Rule};
use crate::tenant::powers::SYNCED_POLICIES;
use manifest::diagnostic::Diagnostic;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP301",
    title: "tenants write network policies",
    audience: Audience::OnRequest,
    documentation: "\
**The tenant can add rules to the policies.** With `sync.toHost.networkPolicies` the network policies that a tenant writes are copied to the host cluster. Policies only add: one with `egress: [{}]` opens the egress of all pods of the tenant, to private ranges and to other namespaces too. Together with a label such as `app: loft` that another control plane lets in, a tenant reaches the control plane of another tenant.

Fix: leave the switch off, or close the ranges with a policy that tenants can't add to, such as a ClusterNetworkPolicy.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    if !view.values.is_on(SYNCED_POLICIES) {
        return;
    }
    let message = "network policies that the tenant writes are added to these, so the tenant can \
                   open its own egress and ingress completely";
    let problem = Diagnostic::warning(RULE.code, message).help(
        "leave it off, or close what must stay closed with a policy of the host cluster that \
         tenants can't add to, such as a ClusterNetworkPolicy",
    );
    findings.note(Field::Value(SYNCED_POLICIES.to_owned()), problem);
}
