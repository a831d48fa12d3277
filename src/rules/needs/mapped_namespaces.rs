//! Pods of the virtual cluster in mapped namespaces are cut off.

use super::{API_PORT, Need, Other, fill_in, is_namespace};
use crate::rules::config::{Direction, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::mapped::{self, MappedNamespaces};
use crate::vcluster::policies::Role;
use netpol::sets::ports::Protocol;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP218",
    title: "mapped namespaces are cut off",
    audience: Audience::OnRequest,
    documentation: "\
**Pods in mapped namespaces can't reach the control plane.** With `sync.toHost.namespaces` pods of the virtual cluster run in other host namespaces too. The rules of `vc-cp-NAME` and `vc-work-NAME` mean pods in the namespace of the release only. So the pods in a mapped namespace can't use the DNS and the API of the virtual cluster, and can't talk to its other pods.

Fix: add the rules. They name the namespaces that `mappings.byName` names exactly. Namespaces of patterns must be filled in.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let mapped = MappedNamespaces::of(view.values.root(), view.release, view.namespace);
    let mut others: Vec<Other> = mapped
        .exact
        .into_iter()
        .filter(|namespace| is_namespace(namespace))
        .map(|namespace| Other::Workloads {
            namespace,
            release: view.release.to_owned(),
        })
        .collect();
    if mapped.has_patterns {
        others.push(Other::UnknownNamespace(fill_in(
            "MAPPED_NAMESPACE",
            "a host namespace that a pattern of the mappings makes",
        )));
    }
    if others.is_empty() {
        return;
    }
    let need = |role, direction, ports, message: &str| Need {
        rule: &RULE,
        value: mapped::MAPPINGS,
        role,
        direction,
        others: others.clone(),
        ports,
        message: message.to_owned(),
        fill_in: vec![],
    };
    let calls = vec![
        (1053, Protocol::Udp),
        (1053, Protocol::Tcp),
        (API_PORT, Protocol::Tcp),
    ];
    let message = "pods in mapped namespaces can't use the DNS and API of the virtual cluster";
    need(Role::ControlPlane, Direction::Ingress, calls, message).check(view, findings);
    let message = "the control plane can't reach pods in mapped namespaces";
    need(Role::ControlPlane, Direction::Egress, vec![], message).check(view, findings);
    let message = "pods in mapped namespaces can't reach the other workloads";
    need(Role::Workload, Direction::Ingress, vec![], message).check(view, findings);
    let message = "workloads can't reach pods in mapped namespaces";
    need(Role::Workload, Direction::Egress, vec![], message).check(view, findings);
}
