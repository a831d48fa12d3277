//! CoreDNS can't ask the DNS of the host cluster.

use super::{Need, Other};
use crate::rules::config::Dns;
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;
use netpol::sets::ports::Protocol;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP208",
    title: "CoreDNS can't ask the host's DNS",
    audience: Audience::OnRequest,
    documentation: "\
**CoreDNS can't ask the host's DNS.** With `networking.advanced.fallbackHostCluster` CoreDNS passes names that the virtual cluster does not know to the DNS of the host cluster. In separate pods it has the rules of a workload, and charts before 0.31 have no `vc-kube-dns-NAME` that lets it do so.

Fix: add the rule to `workload.egress`, or set `companions: true`, which generates `vc-kube-dns-NAME`.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "networking.advanced.fallbackHostCluster";
    if !view.values.is_on(value) || view.dns != Dns::AsWorkload {
        return;
    }
    let Some(other) = Other::namespace("kube-system") else {
        return;
    };
    Need::of_connections_from(
        Role::Workload,
        &RULE,
        value,
        vec![other],
        vec![(53, Protocol::Udp), (53, Protocol::Tcp)],
        "CoreDNS falls back to the host's DNS, and can't reach it",
    )
    .check(view, findings);
}
