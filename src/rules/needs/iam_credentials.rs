//! The control plane can't get the AWS credentials for its database.

use std::net::{IpAddr, Ipv4Addr};

use super::{Need, Other};
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;
use netpol::sets::ports::Protocol;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP206",
    title: "credentials for the database are out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**The control plane can't get AWS credentials.** With `identityProvider: aws` the control plane asks for credentials before it connects to the database: at 169.254.170.23 with EKS Pod Identity, or at 169.254.169.254, the metadata service of the node. Both listen on port 80, which the policies don't allow.

Fix: add the rule to `controlPlane.egress`. If you know which of the two is used, remove the other one. IAM roles for service accounts need neither: they use port 443.",
    check: Some(check),
};

/// EKS Pod Identity, and the metadata service of the node.
const SERVICES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
];

fn check(view: &View<'_>, findings: &mut Findings) {
    let external = "controlPlane.backingStore.database.external";
    let value = format!("{external}.identityProvider");
    let is_on = view.values.is_on(&format!("{external}.enabled"));
    if !is_on || view.values.text(&value) != Some("aws") {
        return;
    }
    Need::of_connections_from(
        Role::ControlPlane,
        &RULE,
        &value,
        SERVICES.into_iter().map(Other::Address).collect(),
        vec![(80, Protocol::Tcp)],
        "the control plane can't get AWS credentials for its database",
    )
    .check(view, findings);
}
