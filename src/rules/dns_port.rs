//! Port 53 towards a DNS server that listens on 1053.

use super::config::{Direction, Findings, Flow, View, includes};
use super::{Audience, Rule};
use crate::vcluster::policies::Role;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use manifest::diagnostic::{Diagnostic, Suggestion};

/// The port of DNS, and the one on which the DNS of a virtual cluster listens.
const DNS_PORT: i32 = 53;
const VCLUSTER_DNS_PORT: i32 = 1053;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP102",
    title: "port 53 towards a DNS server on port 1053",
    audience: Audience::Everyone,
    documentation: "\
**Port 53 towards the DNS of the virtual cluster.** The DNS of a virtual cluster listens on port 1053. Pods send queries to port 53 of the Service. A network policy is applied after the address of the Service was translated to a pod, where the port is 1053. So a rule for port 53 allows nothing.

Fix: write `port: 1053`, for UDP and TCP. Keep port 53 in rules towards the host's DNS in another namespace; they cause no warning.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    for list in view.rule_lists() {
        for (index, field, rule) in list.written() {
            let Some(port) = dns_port(list.direction, rule) else {
                continue;
            };
            let to = if list.direction == Direction::Ingress && list.role == Role::ControlPlane {
                "the DNS in the control plane listens"
            } else {
                "the DNS of the virtual cluster listens"
            };
            let path = format!("{field}.ports[{port}]");
            let message = format!("{to} on port {VCLUSTER_DNS_PORT}, not on {DNS_PORT}");
            let problem = Diagnostic::warning(RULE.code, message)
                .help("write port: 1053; the service's port 53 is translated before policies apply")
                .suggestion(Suggestion::set(
                    format!("{path}.port"),
                    VCLUSTER_DNS_PORT.into(),
                ));
            findings.add_problem(list.part(index), &path, problem);
        }
    }
}

/// The port 53 of a rule that can only mean the virtual cluster's own DNS.
fn dns_port(direction: Direction, rule: &Flow<'_>) -> Option<usize> {
    // In the namespace of a virtual cluster there is no other DNS; beyond it there is the host's.
    let own = match direction {
        Direction::Ingress => true,
        Direction::Egress => {
            !rule.peers.is_empty()
                && rule
                    .peers
                    .iter()
                    .all(|p| p.ip_block.is_none() && p.namespace_selector.is_none())
        }
    };
    let reaches_it = rule.ports.iter().any(|p| includes(p, VCLUSTER_DNS_PORT));
    if !own || reaches_it {
        return None;
    }
    rule.ports
        .iter()
        .position(|port| port.port == Some(IntOrString::Int(DNS_PORT)))
}
