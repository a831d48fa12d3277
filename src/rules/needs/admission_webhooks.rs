//! The control plane can't call the admission webhooks of the host.

use super::{Need, Other};
use crate::rules::config::{Direction, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP211",
    title: "admission webhooks are out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**The control plane can't call an admission webhook.** Webhooks in `policies.centralAdmission` run in the host cluster. The control plane may connect to other namespaces only on ports 443, 8443 and 6443, and most webhook pods listen on another port, such as 9443. The port in the values is that of the Service.

Fix: add the rule for the named namespaces to `controlPlane.egress`. Add the port of the webhook's pods if you know it. If the pods listen on 443, 8443 or 6443, suppress the warning.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    for kind in ["validatingWebhooks", "mutatingWebhooks"] {
        let value = format!("policies.centralAdmission.{kind}");
        let configurations = view.values.items(&value);
        let webhooks = configurations.flat_map(|configuration| configuration.items("webhooks"));
        let services = webhooks.filter_map(|webhook| {
            Other::namespace(webhook.text("clientConfig.service.namespace")?)
        });
        let others: Vec<Other> = services.collect();
        if others.is_empty() {
            continue;
        }
        Need {
            rule: &RULE,
            value: &value,
            role: Role::ControlPlane,
            direction: Direction::Egress,
            others,
            ports: vec![],
            message: "the control plane can call these webhooks only on ports 443, 8443 and 6443 \
                      of their pods"
                .to_owned(),
            fill_in: vec![],
        }
        .check(view, findings);
    }
}
