//! A tenant can run pods to which no network policy applies.

use crate::rules::config::{Field, Findings, View};
use crate::rules::{Audience, Rule};
use manifest::diagnostic::Diagnostic;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP303",
    title: "pods on the network of the host",
    audience: Audience::OnRequest,
    documentation: "\
**Pods on the network of the host are outside of every policy.** Without `policies.podSecurityStandard` a tenant can run pods with `hostNetwork: true`. Network policies do not apply to them. They reach everything that the node reaches, the cloud's metadata service among it.

Fix: set `policies.podSecurityStandard` to `baseline` or `restricted`. Suppress the warning if an admission policy of the host cluster refuses such pods.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "policies.podSecurityStandard";
    let level = view.values.text(value).unwrap_or_default();
    let is_closed = matches!(level, "baseline" | "restricted");
    if !view.values.are_known() || is_closed || view.values.is_on("privateNodes.enabled") {
        return;
    }
    let message = "nothing keeps the tenant from pods with hostNetwork, which are outside of every \
                   network policy";
    let problem = Diagnostic::warning(RULE.code, message)
        .help("set it to baseline or restricted, or refuse such pods in the host cluster");
    findings.note(Field::Value(value.to_owned()), problem);
}
