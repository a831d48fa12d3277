//! The API of the virtual cluster is published, but closed.

use super::{API_PORT, Need, Other};
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP202",
    title: "API is closed to outside",
    audience: Audience::OnRequest,
    documentation: "\
**The API of the virtual cluster can't be reached from outside.** The values publish it, by an Ingress, a TLSRoute, or a Service of type LoadBalancer or NodePort. The policies of edition 0.31 let in only the virtual cluster's own pods and the Platform. Since edition 0.33.2 the built-in rules allow this traffic.

Fix: add the rule to `controlPlane.ingress`. The API authenticates its clients. If you know the addresses of the clients or the namespace of the ingress controller, name them in `from`.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let service = "controlPlane.service.spec.type";
    let switches = [
        "controlPlane.ingress.enabled",
        "controlPlane.tlsRoute.enabled",
    ];
    let published = switches.into_iter().find(|path| view.values.is_on(path));
    let is_open_service = || {
        let kind = view.values.text(service);
        kind.is_some_and(|kind| matches!(kind, "LoadBalancer" | "NodePort"))
    };
    let Some(value) = published.or_else(|| is_open_service().then_some(service)) else {
        return;
    };
    let who = Other::Anyone;
    let message = "the API of the virtual cluster is published, but nobody outside can reach it";
    Need::of_control_plane(&RULE, value, who, API_PORT, message).check(view, findings);
}
