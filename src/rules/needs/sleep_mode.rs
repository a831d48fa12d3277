//! An ingress can't wake a sleeping virtual cluster.

use super::{API_PORT, Need, Other};
use crate::rules::config::{Findings, View};
use crate::rules::values::Values;
use crate::rules::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP214",
    title: "ingress can't wake the virtual cluster",
    audience: Audience::OnRequest,
    documentation: "\
**Requests through an ingress can't wake the virtual cluster.** While a virtual cluster sleeps, its synced ingresses lead to port 8443 of the control plane, which wakes it. The policies of edition 0.31 don't let an ingress controller in there. Since edition 0.33.2 the built-in rules allow this traffic.

Fix: add the rule to `controlPlane.ingress`. If you know the namespace of the ingress controller, name it in `from`.",
    check: Some(check),
};

/// Whether the virtual cluster goes to sleep: `sleep` since chart 0.32, `sleepMode` before.
pub(super) fn is_configured(values: Values<'_>) -> bool {
    values.is_on("sleepMode.enabled")
        || values
            .get("sleep")
            .is_some_and(|sleep| sleep.as_object().is_some_and(|fields| !fields.is_empty()))
}

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "sync.toHost.ingresses.enabled";
    if !view.values.is_on(value) || !is_configured(view.values) {
        return;
    }
    let who = Other::Anyone;
    let message = "the virtual cluster sleeps, but its synced ingresses can't reach the control \
                  plane to wake it";
    Need::of_control_plane(&RULE, value, who, API_PORT, message).check(view, findings);
}
