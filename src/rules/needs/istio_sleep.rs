//! A gateway of Istio can't wake a sleeping virtual cluster.

use super::{Need, Other};
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP213",
    title: "gateway can't wake the virtual cluster",
    audience: Audience::OnRequest,
    documentation: "\
**A gateway of Istio can't wake the virtual cluster.** With `integrations.istio` and sleep mode, requests to a sleeping virtual cluster go to port 9090 of its control plane, which wakes it. The policies don't let a gateway in there.

Fix: add the rule to `controlPlane.ingress`. It names every namespace, because the values don't say where the gateway runs. Narrow it if you know.",
    check: Some(check),
};

/// The port at which the control plane takes requests that wake the virtual cluster.
const WAKE_PORT: u16 = 9090;

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "integrations.istio.enabled";
    if !view.values.is_on(value) || !super::sleep_mode::is_configured(view.values) {
        return;
    }
    let who = Other::AnyPod;
    let message = "the virtual cluster sleeps, but no gateway can reach port 9090 to wake it";
    Need::of_control_plane(&RULE, value, who, WAKE_PORT, message).check(view, findings);
}
