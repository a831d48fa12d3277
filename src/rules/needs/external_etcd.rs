//! The control plane can't reach its external etcd.

use super::fill_in;
use super::server;
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP207",
    title: "external etcd is out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**The control plane can't reach its etcd.** The policies have no rule for the server in `controlPlane.backingStore.etcd.external.endpoint`. Without it the control plane does not start.

Fix: add the rule to `controlPlane.egress`. An IP address in `endpoint` makes the rule exact. The name of a Service gives its namespace, and the port can differ from that of the pods. For any other name, fill in the addresses of the server.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let external = "controlPlane.backingStore.etcd.external";
    if !view.values.is_on(&format!("{external}.enabled")) {
        return;
    }
    let value = format!("{external}.endpoint");
    let endpoint = view.values.text(&value).unwrap_or_default();
    let unknown = fill_in("ETCD_CIDR", "the addresses of etcd, such as 10.1.2.3/32");
    for server in server::of_endpoints(endpoint, 2379) {
        server
            .need(&RULE, &value, "external etcd", &unknown, view)
            .check(view, findings);
    }
}
