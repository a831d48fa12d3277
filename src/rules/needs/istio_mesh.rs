//! Traffic of the Istio ambient mesh is blocked.

use std::net::{IpAddr, Ipv4Addr};

use super::{Need, Other};
use crate::rules::config::{Direction, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;
use netpol::sets::ports::Protocol;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP212",
    title: "traffic of the Istio mesh is blocked",
    audience: Audience::OnRequest,
    documentation: "\
**Traffic of the Istio ambient mesh is blocked.** With `integrations.istio` the workloads join the ambient mesh of the host cluster. Its traffic between pods goes to port 15008, and the kubelet's health checks come from 169.254.7.127. The policies allow neither, except among the workloads themselves.

Fix: add the rules to `workload.ingress` and `workload.egress`.",
    check: Some(check),
};

/// The port of the tunnel between the pods of the mesh.
const HBONE_PORT: u16 = 15008;

/// The address from which health checks of the kubelet come to pods of the mesh.
const KUBELET: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 7, 127));

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "integrations.istio.enabled";
    if !view.values.is_on(value) {
        return;
    }
    let need = |direction, other, ports, message: &str| Need {
        rule: &RULE,
        value,
        role: Role::Workload,
        direction,
        others: vec![other],
        ports,
        message: message.to_owned(),
        fill_in: vec![],
    };
    let tunnel = || vec![(HBONE_PORT, Protocol::Tcp)];
    let into = "pods of the mesh can't reach the workloads on port 15008";
    need(Direction::Ingress, Other::AnyPod, tunnel(), into).check(view, findings);
    let checks =
        "the kubelet's health checks, which come from 169.254.7.127, can't reach workloads";
    need(Direction::Ingress, Other::Address(KUBELET), vec![], checks).check(view, findings);
    let out = "workloads can't reach waypoints and pods of the mesh on port 15008";
    need(Direction::Egress, Other::AnyPod, tunnel(), out).check(view, findings);
}
