//! A tenant's pod can have a label that the control plane of another tenant lets in.

use std::sync::Arc;

use crate::rules::config::{Field, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::actors::MANAGED_BY;
use crate::vcluster::policies::Role;
use manifest::diagnostic::Diagnostic;
use netpol::evaluate::Extent;
use netpol::model::cluster::NAMESPACE_NAME_LABEL;
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::Direction;
use netpol::sets::ports::{PortNumbers, Ports, Protocol};
use netpol::sets::selector::Labels;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP305",
    title: "labels that any tenant can set",
    audience: Audience::OnRequest,
    documentation: "\
**The control plane lets in pods by a label that tenants can set.** vCluster copies labels of a tenant's pods to the host cluster, except for a few of its own. The documented rules let pods with `app: loft` of any namespace reach the control plane, on every port. So can a pod of any tenant that has this label.

Fix: set `hardened: true` and `platform: {namespace: ...}` in the annotation `vcluster-netpol/config` or in a file for `--config`, or let an admission policy of the host cluster refuse the label on pods with `vcluster.loft.sh/managed-by`. The command `explain` lists every label of this kind and what it opens.",
    check: Some(check),
};

/// The label of the Platform's pods.
const PLATFORM: (&str, &str) = ("app", "loft");

/// A port that only this label opens: the API's own port can be open to everyone.
const SOME_PORT: u16 = 2379;

fn check(view: &View<'_>, findings: &mut Findings) {
    let Some(planned) = view.planned() else {
        return;
    };
    let other_tenant = |label: Option<(&str, &str)>| {
        let label = label.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let managed = (MANAGED_BY.to_owned(), "another-virtual-cluster".to_owned());
        let namespace = "namespace-of-another-tenant".to_owned();
        let named = Labels::from([(NAMESPACE_NAME_LABEL.to_owned(), namespace.clone())]);
        Endpoint::pod(Arc::new(Pod {
            namespace,
            namespace_labels: Arc::new(named),
            labels: label.into_iter().chain([managed]).collect(),
            ..Pod::default()
        }))
    };
    let port = Ports::numbers(Protocol::Tcp, PortNumbers::span(SOME_PORT, SOME_PORT));
    let control_plane = view.pod_of(Role::ControlPlane);
    let is_open = |label| {
        let from = other_tenant(label);
        let decision = planned.decide(Direction::Ingress, &control_plane, &from, &port);
        decision.extent() == Extent::All
    };
    if is_open(None) || !is_open(Some(PLATFORM)) {
        return;
    }
    let message = "a pod of any tenant that has the label app: loft may connect to the control \
                   plane, on every port";
    let problem = Diagnostic::warning(RULE.code, message).help(
        "set hardened: true and platform.namespace in the annotation or a --config file, or refuse \
         the label on tenants' pods in the host cluster",
    );
    findings.note(Field::Config("enabled".to_owned()), problem);
}
