//! What a careful colleague would say of policies that the API server accepts.
//!
//! Pure: settings and the policies made of them go in, warnings come out, with paths below the
//! config (`workload.egress[0]`). Every warning has a code and a section in docs/warnings.md. What
//! the server refuses is judged in [`netpol::validate`], and deprecated fields are found where the
//! config is read.

mod coverage;

use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::rules::codes::{self, Audience};
use crate::vcluster::config::settings::Settings;
use crate::vcluster::policies::{Policy, Role};
use coverage::Coverage;
use manifest::diagnostic::{Problem, Quoting};
use manifest::schema;
use netpol::cidr::Cidr;
use netpol::model::policy::Origin;

/// The port of DNS, and the one on which the DNS of a virtual cluster listens.
const DNS_PORT: i32 = 53;
const VCLUSTER_DNS_PORT: i32 = 1053;

/// The address at which clouds hand out credentials to whoever asks.
const METADATA_SERVICE: &str = "169.254.169.254/32";

/// How CoreDNS gets to names outside of the virtual cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dns {
    /// It runs in the control plane, which may ask the host's DNS.
    Embedded,
    /// It runs in pods of its own, and vc-kube-dns lets those ask the host's DNS.
    WithPolicy,
    /// It runs in pods of its own that have the rules of a workload and no others.
    AsWorkload,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The policies made of them.
    pub policies: &'a [Policy],
    /// How CoreDNS gets to names outside.
    pub dns: Dns,
    /// Whether values may be shown.
    pub quoting: Quoting,
    /// Who is told.
    pub audience: Audience,
}

/// The warnings.
#[must_use]
pub fn warnings(view: &View<'_>) -> Vec<Problem> {
    let mut warnings = Vec::new();
    if view.settings.enabled {
        public_egress(view, &mut warnings);
        fallback_dns(view, &mut warnings);
        for policy in view.policies {
            for (direction, rules) in directions(policy) {
                judge_rules(policy.role, direction, &rules, &mut warnings);
            }
        }
    }
    warnings
        .into_iter()
        .filter(|(audience, _)| *audience == Audience::Everyone || view.audience == *audience)
        .map(|(_, problem)| problem)
        .collect()
}

type Warnings = Vec<(Audience, Problem)>;

fn warn(
    code: &'static str,
    path: &str,
    message: impl Into<String>,
    help: &str,
) -> (Audience, Problem) {
    let mut problem = Problem::warning(code, message).help(help);
    problem.place.path = Some(path.to_owned());
    let audience = codes::find(code).map_or(Audience::Everyone, |code| code.audience);
    (audience, problem)
}

/// The direction in which a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

/// A rule of either direction: nobody named is everybody.
struct Flow<'a> {
    origin: &'a Origin,
    peers: &'a [NetworkPolicyPeer],
    ports: &'a [NetworkPolicyPort],
}

fn directions(policy: &Policy) -> [(Direction, Vec<Flow<'_>>); 2] {
    let ingress = policy
        .ingress
        .iter()
        .map(|r| Flow {
            origin: &r.origin,
            peers: r.rule.from.as_deref().unwrap_or_default(),
            ports: r.rule.ports.as_deref().unwrap_or_default(),
        })
        .collect();
    let egress = policy
        .egress
        .iter()
        .map(|r| Flow {
            origin: &r.origin,
            peers: r.rule.to.as_deref().unwrap_or_default(),
            ports: r.rule.ports.as_deref().unwrap_or_default(),
        })
        .collect();
    [(Direction::Ingress, ingress), (Direction::Egress, egress)]
}

fn public_egress(view: &View<'_>, warnings: &mut Warnings) {
    let public = &view.settings.public_egress;
    let Some(cidr) = Cidr::parse(&public.cidr).filter(|_| public.enabled) else {
        return;
    };
    let excepts: Vec<Cidr> = public
        .except
        .iter()
        .filter_map(|e| Cidr::parse(e))
        .collect();
    let path = |field| schema::join(public.field, field);
    if reaches(cidr, &excepts, METADATA_SERVICE) {
        warnings.push(warn(
            codes::METADATA_SERVICE,
            &path("except"),
            "public egress leaves the cloud's metadata service at 169.254.169.254 within reach",
            "add 169.254.0.0/16 to except, or at least 169.254.169.254/32",
        ));
    }
    let (has, lacks, all) = if cidr.is_v6() {
        ("IPv6", "IPv4", "0.0.0.0/0")
    } else {
        ("IPv4", "IPv6", "::/0")
    };
    warnings.push(warn(
        codes::ONE_FAMILY,
        &path("cidr"),
        format!("public egress is for {has} alone, so {lacks} is closed"),
        &format!(
            "in a cluster that has {lacks}, add a rule to workload.egress with the ipBlock {all}"
        ),
    ));
}

/// Whether a block lets all of a range through.
fn reaches(cidr: Cidr, excepts: &[Cidr], range: &str) -> bool {
    let Some(range) = Cidr::parse(range) else {
        return false;
    };
    cidr.contains(range) && !excepts.iter().any(|e| e.contains(range))
}

fn fallback_dns(view: &View<'_>, warnings: &mut Warnings) {
    if view.dns == Dns::Embedded {
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
            "allow port 53 to it in workload.egress, or set companions: true, so that CoreDNS may \
             ask the host's DNS",
        ),
        _ => (
            format!("CoreDNS can't fall back to {server}: {why}"),
            "allow port 53 to it in workload.egress, or set fallbackDns to a server within reach",
        ),
    };
    let (_, problem) = warn(codes::FALLBACK_DNS, "fallbackDns", message, help);
    // With vc-kube-dns it is but a fallback that is missing.
    let audience = match view.dns {
        Dns::AsWorkload => Audience::Everyone,
        _ => Audience::Reviewer,
    };
    warnings.push((audience, problem));
}

/// Whether workloads may ask a DNS server outside; one that is no address is given the benefit of
/// the doubt where any address is open.
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
    let Some(policy) = view.policies.iter().find(|p| p.role == Role::Workload) else {
        return true;
    };
    let [_, (_, rules)] = directions(policy);
    rules.iter().any(|rule| {
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

fn judge_rules(role: Role, direction: Direction, rules: &[Flow<'_>], warnings: &mut Warnings) {
    let coverage = Coverage::of(rules);
    for (i, rule) in rules.iter().enumerate() {
        let (Origin::Setting(field) | Origin::Default(field)) = rule.origin else {
            continue;
        };
        if rule.ports.is_empty() && is_everybody(rule.peers) {
            let message = match direction {
                Direction::Egress => "the rule lets everything out, to everywhere",
                Direction::Ingress => "the rule lets everything in, from everywhere",
            };
            let help = "name the ports or the peers that are meant";
            warnings.push(warn(codes::OPEN_RULE, field, message, help));
        }
        if let Some(port) = dns_port(direction, rule) {
            let to = if direction == Direction::Ingress && role == Role::ControlPlane {
                "the DNS in the control plane listens"
            } else {
                "the DNS of the virtual cluster listens"
            };
            warnings.push(warn(
                codes::DNS_PORT,
                &format!("{field}.ports[{port}]"),
                format!("{to} on port {VCLUSTER_DNS_PORT}, not on {DNS_PORT}"),
                "write port: 1053; the service's port 53 is translated before policies apply",
            ));
        }
        // Public egress is one of the documented rules: nobody wrote it beside the wider one.
        if !field.ends_with(']') {
            continue;
        }
        if let Some(wider) = coverage.wider(i).and_then(|j| rules.get(j)) {
            let by = match wider.origin {
                Origin::BuiltIn => "a built-in rule".to_owned(),
                Origin::Label(_) => "a rule of the project".to_owned(),
                Origin::Setting(field) | Origin::Default(field) => field.clone(),
            };
            let message = format!("the rule allows nothing that {by} does not allow already");
            let help = "remove it, or narrow the other one";
            warnings.push(warn(codes::COVERED_RULE, field, message, help));
        }
    }
}

/// Whether peers are everybody, for all that addresses can tell.
fn is_everybody(peers: &[NetworkPolicyPeer]) -> bool {
    peers.is_empty()
        || peers.iter().any(|peer| {
            peer.ip_block.as_ref().is_some_and(|block| {
                Cidr::parse(&block.cidr).is_some_and(|cidr| cidr.prefix() == 0)
                    && block.except.as_deref().unwrap_or_default().is_empty()
            })
        })
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
    let is_53 = |p: &NetworkPolicyPort| p.port == Some(IntOrString::Int(DNS_PORT));
    (own && !reaches_it)
        .then(|| rule.ports.iter().position(is_53))
        .flatten()
}

/// Whether a port entry includes a number, whatever the protocol.
fn includes(port: &NetworkPolicyPort, number: i32) -> bool {
    match &port.port {
        None => true,
        Some(IntOrString::Int(first)) => {
            (*first..=port.end_port.unwrap_or(*first)).contains(&number)
        }
        Some(IntOrString::String(_)) => false,
    }
}

/// Whether a selector selects all.
fn is_empty(selector: &LabelSelector) -> bool {
    selector
        .match_labels
        .as_ref()
        .is_none_or(std::collections::BTreeMap::is_empty)
        && selector
            .match_expressions
            .as_ref()
            .is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcluster::edition::Edition;
    use crate::vcluster::policies::{PROJECT_NAMESPACE_LABEL, Subject, policies};
    use serde_json::{Value, json};

    fn advice(config: Value, dns: Dns, audience: Audience) -> Vec<String> {
        let (settings, _) = Settings::from_json(config, Quoting::Show).unwrap();
        let none = std::collections::BTreeMap::new();
        let subject = Subject {
            release: "a",
            namespace: None,
            workload_namespace: None,
            chart: None,
            heritage: "Helm",
            edition: Edition::documented(),
            private_nodes: false,
            separate_dns: dns != Dns::Embedded,
            global_annotations: &none,
            project_namespace_label: PROJECT_NAMESPACE_LABEL,
        };
        let policies = policies(&subject, &settings);
        warnings(&View {
            settings: &settings,
            policies: &policies,
            dns,
            quoting: Quoting::Show,
            audience,
        })
        .iter()
        .map(|p| format!("{} {}", p.code.unwrap(), p.place.path.as_deref().unwrap()))
        .collect()
    }

    #[test]
    fn the_defaults_trouble_nobody_but_reviewers() {
        let defaults = || json!({"enabled": true});
        for dns in [Dns::Embedded, Dns::WithPolicy, Dns::AsWorkload] {
            assert!(advice(defaults(), dns, Audience::Everyone).is_empty());
        }
        assert_eq!(
            advice(defaults(), Dns::Embedded, Audience::Reviewer),
            [
                "VNP105 workload.publicEgress.except",
                "VNP107 workload.publicEgress.cidr"
            ]
        );
    }

    #[test]
    fn dns_rules_must_name_port_1053() {
        let rule = |to: Value| json!([{"to": to, "ports": [{"port": 1}, {"port": 53, "protocol": "UDP"}]}]);
        let own = json!([{"podSelector": {"matchLabels": {"release": "a"}}}]);
        let host = json!([{"podSelector": {}, "namespaceSelector": {}}]);
        let egress = |to| json!({"enabled": true, "workload": {"egress": rule(to)}});
        let everyone = |config| advice(config, Dns::Embedded, Audience::Everyone);
        assert_eq!(
            everyone(egress(own)),
            ["VNP102 workload.egress[0].ports[1]"]
        );
        assert!(everyone(egress(host)).is_empty());
        assert!(everyone(egress(json!([{"ipBlock": {"cidr": "8.8.8.8/32"}}]))).is_empty());
        assert_eq!(
            everyone(
                json!({"enabled": true, "controlPlane": {"ingress": [{"ports": [{"port": 53}]}]}})
            ),
            ["VNP102 controlPlane.ingress[0].ports[0]"]
        );
    }

    #[test]
    fn the_fallback_must_be_within_reach() {
        let off = |egress: Value| json!({"enabled": true, "workload": {"publicEgress": {"enabled": false}, "egress": egress}});
        let everyone = |config, dns| advice(config, dns, Audience::Everyone);
        assert_eq!(
            everyone(off(json!([])), Dns::AsWorkload),
            ["VNP103 fallbackDns"]
        );
        assert!(everyone(off(json!([])), Dns::WithPolicy).is_empty());
        let rule = json!([{"to": [{"ipBlock": {"cidr": "8.8.8.0/24"}}], "ports": [{"port": 53}]}]);
        assert!(everyone(off(rule), Dns::AsWorkload).is_empty());
        let private = json!({"enabled": true, "fallbackDns": "10.1.2.3:53"});
        assert_eq!(everyone(private, Dns::AsWorkload), ["VNP103 fallbackDns"]);
    }

    #[test]
    fn open_and_covered_rules_are_found() {
        let config = json!({"enabled": true, "workload": {
            "egress": [
                {"to": [{"ipBlock": {"cidr": "1.2.3.0/24"}}], "ports": [{"port": 443}]},
                {"to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}]},
                {"to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}]},
            ],
            "ingress": [{}, {"from": [], "ports": [{"port": 80, "endPort": 90}]}],
        }});
        assert_eq!(
            advice(config, Dns::Embedded, Audience::Reviewer),
            [
                "VNP105 workload.publicEgress.except",
                "VNP107 workload.publicEgress.cidr",
                "VNP106 workload.ingress[0]",
                "VNP108 workload.ingress[1]",
                "VNP108 workload.egress[0]",
                "VNP108 workload.egress[2]",
            ]
        );
    }
}
