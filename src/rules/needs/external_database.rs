//! The control plane can't reach its external database.

use super::server;
use super::{Need, Other, fill_in};
use crate::rules::config::{Direction, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP205",
    title: "external database is out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**The control plane can't reach its database.** The policies have no rule for the server in `controlPlane.backingStore.database.external`. Without it the control plane does not start.

Fix: add the rule to `controlPlane.egress`. The port comes from `dataSource`. An IP address there makes the rule exact. The name of a Service gives its namespace, and the port can differ from that of the pods. For any other name, fill in the addresses of the server.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let external = "controlPlane.backingStore.database.external";
    if !view.values.is_on(&format!("{external}.enabled")) {
        return;
    }
    let value = format!("{external}.dataSource");
    let source = view.values.text(&value).unwrap_or_default();
    let unknown = fill_in(
        "DATABASE_CIDR",
        "the addresses of the database, such as 10.1.2.3/32",
    );
    let servers = server::of_data_source(source);
    if servers.is_empty() {
        // The Platform gives the address, or the text is in a form that is not known.
        Need {
            rule: &RULE,
            value: if source.is_empty() { external } else { &value },
            role: Role::ControlPlane,
            direction: Direction::Egress,
            others: vec![Other::UnknownAddress(unknown)],
            ports: vec![],
            message: "the control plane can't reach its external database".to_owned(),
            fill_in: vec![fill_in("ports", "the rule needs the database's port too")],
        }
        .check(view, findings);
        return;
    }
    for server in servers {
        server
            .need(&RULE, &value, "external database", &unknown, view)
            .check(view, findings);
    }
}
