//! CoreDNS can't reach its fallback.

use std::net::IpAddr;

use super::config::{Direction, Dns, Findings, Part, View, includes, reaches};
use super::{Audience, Rule};
use crate::vcluster::policies::Role;
use manifest::diagnostic::Quoting;
use netpol::cidr::Cidr;

/// The port of DNS servers outside of the virtual cluster.
const DNS_PORT: i32 = 53;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP103",
    title: "fallbackDns out of reach",
    audience: Audience::Everyone,
    documentation: "\
**CoreDNS can't reach `fallbackDns`.** CoreDNS in separate pods passes names outside of the virtual cluster to the resolvers of its node (`dnsPolicy: Default`), and to `fallbackDns` when those don't answer. The rules for workloads apply to both ways. Resolvers of nodes often have private or link-local addresses that the excepts of public egress close, and then `fallbackDns` is the only way. `vc-kube-dns-NAME` does not help here: it opens the way to the DNS of the host cluster, which CoreDNS uses only with `networking.advanced.fallbackHostCluster`. With `vc-kube-dns-NAME`, only `lint` prints this warning.

Fix: one of
- a rule in `workload.egress` to port 53 of the server (UDP and TCP),
- a rule in `workload.egress` to port 53 of the nodes' resolvers,
- a `fallbackDns` inside the public egress.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    match view.dns {
        Dns::Embedded => return,
        // As the chart has it: worth knowing, but not a mistake of the config.
        Dns::WithPolicy if view.audience != Audience::Reviewer => return,
        Dns::WithPolicy | Dns::AsWorkload => {}
    }
    // CoreDNS then asks the host's DNS alone.
    if view.values.is_on("networking.advanced.fallbackHostCluster") {
        return;
    }
    let servers: Vec<&str> = view.settings.fallback_dns.split_whitespace().collect();
    let out_of_reach: Vec<&str> = servers
        .into_iter()
        .filter(|server| !is_reached(server, view))
        .collect();
    let Some(server) = out_of_reach.first() else {
        return;
    };
    let server = match view.quoting {
        Quoting::Show => server,
        Quoting::Hide => "the server",
    };
    let public = &view.settings.public_egress;
    let why = if public.enabled {
        "public egress does not reach it"
    } else {
        "public egress is off"
    };
    let (message, help) = match view.dns {
        Dns::AsWorkload => (
            format!("CoreDNS can't reach {server}, its way to names outside: {why}"),
            "allow port 53 to it, or to the resolvers of the nodes, in workload.egress",
        ),
        _ => (
            format!("CoreDNS can't fall back to {server}: {why}"),
            "allow port 53 to it in workload.egress, or set fallbackDns to a server within reach; \
             CoreDNS asks it when the resolvers of its node don't answer",
        ),
    };
    findings.add(&RULE, Part::FallbackDns, "fallbackDns", message, help);
}

/// Whether workloads can query a DNS server outside. A server given by name counts as reached where
/// a rule opens port 53 to a range of addresses: its address is unknown.
fn is_reached(server: &str, view: &View<'_>) -> bool {
    let address = server
        .rsplit_once("://")
        .map_or(server, |(_, address)| address);
    let host = address.parse::<IpAddr>().ok().or_else(|| {
        let (host, port) = address.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        host.trim_matches(['[', ']']).parse().ok()
    });
    let range = host.map(|ip| format!("{ip}/{}", if ip.is_ipv6() { 128 } else { 32 }));
    let lists = view.rule_lists();
    let Some(list) = lists
        .iter()
        .find(|list| list.role == Role::Workload && list.direction == Direction::Egress)
    else {
        return true;
    };
    list.flows.iter().any(|rule| {
        let port = rule.ports.is_empty() || rule.ports.iter().any(|p| includes(p, DNS_PORT));
        let peer = rule.peers.is_empty()
            || rule
                .peers
                .iter()
                .filter_map(|p| p.ip_block.as_ref())
                .any(|block| {
                    let excepts = block.except.as_deref().unwrap_or_default();
                    let excepts: Vec<Cidr> =
                        excepts.iter().filter_map(|e| Cidr::parse(e)).collect();
                    match (&range, Cidr::parse(&block.cidr)) {
                        (Some(range), Some(cidr)) => reaches(cidr, &excepts, range),
                        _ => true,
                    }
                });
        port && peer
    })
}
