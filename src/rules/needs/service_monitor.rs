//! Prometheus can't scrape the control plane.

use super::{API_PORT, Need, Other};
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP203",
    title: "Prometheus can't reach the control plane",
    audience: Audience::OnRequest,
    documentation: "\
**Prometheus can't scrape the control plane.** The values create a ServiceMonitor for port 8443 of the control plane. The policies of edition 0.31 let in only the virtual cluster's own pods and the Platform. Since edition 0.33.2 the built-in rules allow this traffic.

Fix: add the rule to `controlPlane.ingress`. It names every namespace, because the values don't say where Prometheus runs. Narrow it if you know.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "controlPlane.serviceMonitor.enabled";
    if !view.values.is_on(value) {
        return;
    }
    let who = Other::AnyPod;
    let message = "a ServiceMonitor is created, but Prometheus can't reach the control plane";
    Need::of_control_plane(&RULE, value, who, API_PORT, message).check(view, findings);
}
