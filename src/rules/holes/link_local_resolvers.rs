//! Excepts of public egress close resolvers that nodes have at link-local addresses.

use crate::rules::config::{Dns, Field, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::policies::Role;
use manifest::diagnostic::Diagnostic;
use manifest::schema;
use netpol::cidr::Cidr;
use netpol::evaluate::Extent;
use netpol::model::pod::Endpoint;
use netpol::model::policy::Direction;
use netpol::sets::addresses::parse_net;
use netpol::sets::ports::{PortNumbers, Ports, Protocol};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP306",
    title: "excepts close resolvers of nodes",
    audience: Audience::OnRequest,
    documentation: "\
**The excepts close link-local resolvers.** CoreDNS in separate pods asks the resolvers of its node first. On Google Cloud that is 169.254.169.254, on AWS it can be 169.254.169.253, and NodeLocal DNSCache has 169.254.20.10. An except for 169.254.0.0/16 closes them together with the metadata services. Excepts have no ports, so on Google Cloud the two can't be told apart. CoreDNS then uses `fallbackDns`, and names that only the resolver of the node knows don't resolve.

Fix: if that matters, allow port 53 (UDP and TCP) of the resolver in `workload.egress`. On Google Cloud this is the address of the metadata service, which uses port 80, so it stays closed.",
    check: Some(check),
};

/// Resolvers that nodes have at link-local addresses.
const RESOLVERS: [(&str, &str); 3] = [
    ("169.254.169.254/32", "Google Cloud"),
    ("169.254.169.253/32", "AWS"),
    ("169.254.20.10/32", "NodeLocal DNSCache"),
];

fn check(view: &View<'_>, findings: &mut Findings) {
    let public = &view.settings.public_egress;
    let (Some(planned), Some(cidr)) = (view.planned(), Cidr::parse(&public.cidr)) else {
        return;
    };
    if view.dns == Dns::Embedded || !public.enabled {
        return;
    }
    let excepts: Vec<Cidr> = public
        .except
        .iter()
        .filter_map(|e| Cidr::parse(e))
        .collect();
    let dns = Ports::numbers(Protocol::Udp, PortNumbers::span(53, 53));
    let workload = view.pod_of(Role::Workload);
    let is_closed_by_except = |text: &str| {
        let (Some(address), Some(net)) = (Cidr::parse(text), parse_net(text)) else {
            return false;
        };
        let there = Endpoint::outside(net.into());
        let decision = planned.decide(Direction::Egress, &workload, &there, &dns);
        cidr.contains(address)
            && excepts.iter().any(|except| except.contains(address))
            && decision.extent() != Extent::All
    };
    let closed = RESOLVERS
        .iter()
        .filter(|(address, _)| is_closed_by_except(address));
    let closed: Vec<String> = closed
        .map(|(address, of)| format!("{} ({of})", address.trim_end_matches("/32")))
        .collect();
    if closed.is_empty() {
        return;
    }
    let message = format!(
        "the excepts close resolvers that CoreDNS asks first on some nodes: {}",
        closed.join(", ")
    );
    let problem = Diagnostic::warning(RULE.code, message).help(
        "where the nodes have such a resolver, allow port 53 to it in workload.egress; else CoreDNS \
         uses fallbackDns alone",
    );
    let path = schema::join(public.field, "except");
    findings.note(Field::Config(path), problem);
}
