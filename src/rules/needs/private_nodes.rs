//! Private nodes can't reach the control plane.

use super::{API_PORT, Need, Other};
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};

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
    let who = Other::Anyone;
    let message = "private nodes and their Konnectivity agents can't reach the control plane";
    Need::of_control_plane(&RULE, value, who, API_PORT, message).check(view, findings);
}
