//! Prometheus can't scrape the control plane.

use super::{API_PORT, Need, Other};
use crate::rules::config::{Direction, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;
use netpol::sets::ports::Protocol;

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
    Need {
        rule: &RULE,
        value,
        role: Role::ControlPlane,
        direction: Direction::Ingress,
        others: vec![Other::AnyPod],
        ports: vec![(API_PORT, Protocol::Tcp)],
        message: "a ServiceMonitor is created, but Prometheus can't reach the control plane"
            .to_owned(),
        fill_in: vec![],
    }
    .check(view, findings);
}
