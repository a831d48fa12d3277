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
**CoreDNS can't reach `fallbackDns`.** CoreDNS queries the host's DNS first, and `fallbackDns` second. If it runs in separate pods, the rules for workloads apply to it. Without public egress towards that server it gets no answer from there. Charts before 0.31 have no policy `vc-kube-dns-NAME`, so CoreDNS can't query the host's DNS either. Then names outside of the virtual cluster may not resolve at all. With `vc-kube-dns-NAME`, only `lint` prints this warning.

Fix: one of
- a rule in `workload.egress` to port 53 of the server (UDP and TCP),
- `companions: true`, which generates `vc-kube-dns-NAME`,
- a `fallbackDns` inside the public egress.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    match view.dns {
        Dns::Embedded => return,
        // CoreDNS can query the host's DNS, so only its fallback is missing.
        Dns::WithPolicy if view.audience != Audience::Reviewer => return,
        Dns::WithPolicy | Dns::AsWorkload => {}
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
            "allow port 53 to it in workload.egress, or set companions: true, so that CoreDNS may \
             ask the host's DNS",
        ),
        _ => (
            format!("CoreDNS can't fall back to {server}: {why}"),
            "allow port 53 to it in workload.egress, or set fallbackDns to a server within reach",
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
