//! Private nodes can't reach the control plane.

use super::{API_PORT, Need, Other};
use crate::rules::config::{Direction, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;
use netpol::sets::ports::Protocol;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP215",
    title: "private nodes can't reach the control plane",
    audience: Audience::OnRequest,
    documentation: "\
**Private nodes can't reach the control plane.** The nodes of a virtual cluster with `privateNodes` and their Konnectivity agents connect to port 8443 of the control plane. The policies of edition 0.31 let in only the virtual cluster's own pods and the Platform. Since edition 0.33.2 the built-in rules allow this traffic.

Fix: add the rule to `controlPlane.ingress`. If you know the addresses of the nodes, name them in `from`.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "privateNodes.enabled";
    if !view.values.is_on(value) {
        return;
    }
    Need {
        rule: &RULE,
        value,
        role: Role::ControlPlane,
        direction: Direction::Ingress,
        others: vec![Other::Anyone],
        ports: vec![(API_PORT, Protocol::Tcp)],
        message: "private nodes and their Konnectivity agents can't reach the control plane"
            .to_owned(),
        fill_in: vec![],
    }
    .check(view, findings);
}
