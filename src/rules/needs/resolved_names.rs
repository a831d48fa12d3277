//! Targets of names that the virtual cluster maps are out of reach.

use super::{Need, Other, namespace_of_service};
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP210",
    title: "targets of resolveDNS are out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**Workloads can't reach what a name resolves to.** `networking.resolveDNS` maps names to services or namespaces of the host cluster, or to an address. The policies let workloads talk only among themselves and to public addresses.

Fix: add the rule for the named namespaces and addresses to `workload.egress`. Add the ports if you know them.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "networking.resolveDNS";
    let mut others = Vec::new();
    for item in view.values.items(value) {
        let service = item
            .text("target.hostService")
            .and_then(namespace_of_service);
        let namespace = || Other::namespace(item.text("target.hostNamespace")?);
        // The form is namespace/name/..., so the first part is the host namespace here too.
        let of_virtual_cluster =
            || Other::namespace(item.text("target.vClusterService")?.split('/').next()?);
        let address = || Some(Other::Address(item.text("target.ip")?.parse().ok()?));
        let target = service.or_else(namespace).or_else(of_virtual_cluster);
        others.extend(target.or_else(address));
    }
    if others.is_empty() {
        return;
    }
    Need::of_connections_from(
        Role::Workload,
        &RULE,
        value,
        others,
        vec![],
        "names are mapped to targets in the host cluster that workloads can't reach",
    )
    .check(view, findings);
}
