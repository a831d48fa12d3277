//! A tenant can run pods to which no network policy applies.

use crate::rules::config::{Field, Findings, View};
use crate::rules::{Audience, Rule};
use crate::tenant::powers::{Networks, POD_SECURITY, Powers};
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
    let powers = Powers::of(view.values.root(), view.release, view.namespace);
    if !powers.values_known || powers.networks != Networks::PodsAndHost {
        return;
    }
    let message = "nothing keeps the tenant from pods with hostNetwork, which are outside of every \
                   network policy";
    let problem = Diagnostic::warning(RULE.code, message)
        .help("set it to baseline or restricted, or refuse such pods in the host cluster");
    findings.note(Field::Value(POD_SECURITY.to_owned()), problem);
}
