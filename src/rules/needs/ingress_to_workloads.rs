//! An ingress controller of the host can't reach the workloads.

use super::{Need, Other, fill_in};
use crate::rules::config::{Direction, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP201",
    title: "ingress to workloads is blocked",
    audience: Audience::OnRequest,
    documentation: "\
**The ingress controller can't reach the workloads.** Ingresses or Gateway API routes of the virtual cluster are synced to the host cluster. The controller there connects to the pods of the virtual cluster, but `vc-work-NAME` lets in only pods of the virtual cluster itself. Charts before 0.31 restricted egress only, so an upgrade closes this way.

Fix: add the rule to `workload.ingress`, with the namespace of the ingress controller.",
    check: Some(check),
};

/// The values that sync routes to workloads to the host cluster.
const SWITCHES: [&str; 5] = [
    "sync.toHost.ingresses.enabled",
    "sync.toHost.gatewayApi.enabled",
    "sync.toHost.gatewayApi.httpRoutes.enabled",
    "sync.toHost.gatewayApi.gateways.enabled",
    "sync.toHost.gatewayApi.tlsRoutes.enabled",
];

fn check(view: &View<'_>, findings: &mut Findings) {
    let Some(value) = SWITCHES.into_iter().find(|path| view.values.is_on(path)) else {
        return;
    };
    Need {
        rule: &RULE,
        value,
        role: Role::Workload,
        direction: Direction::Ingress,
        others: vec![Other::UnknownNamespace(fill_in(
            "INGRESS_NAMESPACE",
            "the namespace in which the ingress controller of the host cluster runs",
        ))],
        ports: vec![],
        message: "routes of the virtual cluster are synced to the host, but no ingress controller \
                  there can reach the workloads"
            .to_owned(),
        fill_in: vec![],
    }
    .check(view, findings);
}
