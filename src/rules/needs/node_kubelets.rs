//! The control plane can't reach the kubelets of private nodes.

use super::{Need, Other, fill_in};
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;
use netpol::sets::ports::Protocol;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP216",
    title: "kubelets of private nodes are out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**The control plane can't reach the kubelets of private nodes.** Without Konnectivity the control plane connects to port 10250 of each node, for logs, `exec` and metrics. The policies don't allow that port.

Fix: add the rule to `controlPlane.egress`, with the addresses of the nodes.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let server = "controlPlane.advanced.konnectivity.server.enabled";
    let agent = "controlPlane.advanced.konnectivity.agent.enabled";
    let off = [server, agent]
        .into_iter()
        .find(|path| !view.values.is_on_by_default(path));
    let Some(value) = off.filter(|_| view.values.is_on("privateNodes.enabled")) else {
        return;
    };
    Need::of_connections_from(
        Role::ControlPlane,
        &RULE,
        value,
        vec![Other::UnknownAddress(fill_in(
            "NODE_CIDR",
            "the addresses of the private nodes, such as 10.1.0.0/16",
        ))],
        vec![(10250, Protocol::Tcp)],
        "without Konnectivity the control plane can't reach the kubelets of private nodes",
    )
    .check(view, findings);
}
