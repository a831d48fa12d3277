//! Services replicated between host and virtual cluster are out of reach.

use super::{Need, Other, fill_in, namespace_of_service};
use crate::rules::config::{Direction, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP209",
    title: "replicated services are out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**Traffic of a replicated service is blocked.** `networking.replicateServices.fromHost` gives the virtual cluster services of other host namespaces, and `toHost` gives its services to the host cluster. The policies let workloads talk only among themselves and to public addresses.

Fix: add the rule for the named namespaces to `workload.egress` or `workload.ingress`. Add the ports if you know them. For `toHost`, fill in the namespace of the clients if it is not the namespace of the service.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let from_host = "networking.replicateServices.fromHost";
    let services = view
        .values
        .items(from_host)
        .filter_map(|item| item.text("from"));
    let others: Vec<Other> = services.filter_map(namespace_of_service).collect();
    if !others.is_empty() {
        Need {
            rule: &RULE,
            value: from_host,
            role: Role::Workload,
            direction: Direction::Egress,
            others,
            ports: vec![],
            message: "services of other host namespaces are replicated into the virtual cluster, \
                      but workloads can't reach them"
                .to_owned(),
            fill_in: vec![],
        }
        .check(view, findings);
    }
    let to_host = "networking.replicateServices.toHost";
    let mut others = Vec::new();
    for item in view.values.items(to_host) {
        others.push(
            item.text("to")
                .and_then(namespace_of_service)
                .unwrap_or_else(|| {
                    Other::UnknownNamespace(fill_in(
                        "CLIENT_NAMESPACE",
                        "the namespace of the pods that use the replicated service",
                    ))
                }),
        );
    }
    if !others.is_empty() {
        Need {
            rule: &RULE,
            value: to_host,
            role: Role::Workload,
            direction: Direction::Ingress,
            others,
            ports: vec![],
            message:
                "services of the virtual cluster are replicated to the host, but no pod there \
                      can reach the workloads behind them"
                    .to_owned(),
            fill_in: vec![],
        }
        .check(view, findings);
    }
}
