//! The control plane can't reach the metrics-server of the host.

use super::{Need, Other};
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;
use netpol::sets::ports::Protocol;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP204",
    title: "metrics-server is out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**The control plane can't reach metrics-server.** With `integrations.metricsServer` the control plane passes requests for metrics to the metrics-server of the host cluster. Its pods usually listen on port 10250, and a network policy is applied after the address of the Service was translated to a pod. The control plane may connect to other namespaces only on ports 443, 8443 and 6443.

Fix: add the rule to `controlPlane.egress`. If your metrics-server listens on another port, change it.",
    check: Some(check),
};

/// Where metrics-server runs unless the values say otherwise.
const NAMESPACE: &str = "kube-system";

/// The port of its pods in its own manifests and charts.
const PORT: u16 = 10250;

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "integrations.metricsServer.enabled";
    if !view.values.is_on(value) || view.values.is_on("privateNodes.enabled") {
        return;
    }
    let namespace = "integrations.metricsServer.apiService.service.namespace";
    let namespace = view.values.text(namespace).unwrap_or(NAMESPACE);
    let Some(other) = Other::namespace(namespace) else {
        return;
    };
    Need::of_connections_from(
        Role::ControlPlane,
        &RULE,
        value,
        vec![other],
        vec![(PORT, Protocol::Tcp)],
        &format!(
            "the control plane can't reach the metrics-server in {namespace}, whose pods listen on \
             port {PORT}"
        ),
    )
    .check(view, findings);
}
