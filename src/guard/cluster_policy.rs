//! The administrator's network policies of a virtual cluster: ClusterNetworkPolicy, or the older
//! AdminNetworkPolicy. They decide before any NetworkPolicy, so no tenant opens what they close.
//!
//! What the config of the virtual cluster allows is passed on to its NetworkPolicies first. Pass
//! opens nothing: the NetworkPolicies decide then.

use k8s_openapi::api::networking::v1::{
    NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::admission::is_of_user;
use super::{Dialect, GuardOptions, Object, Protected};
use crate::vcluster::actors::MANAGED_BY;
use crate::vcluster::policies::{Role, Rule};
use manifest::diagnostic::Diagnostic;
use netpol::cidr::Cidr;
use netpol::metadata::{METADATA_SERVICES, excepts};
use netpol::model::cluster::NAMESPACE_NAME_LABEL;
use netpol::model::policy::Origin;

/// The ranges of metadata services: a config that names a block inside one of them means it.
const SPECIAL: [&str; 8] = [
    "169.254.0.0/16",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.0/24",
    "fd00:ec2::/32",
    "fd00:42::/32",
    "fd20:ce::/32",
    "fe80::/10",
];

/// Everything beyond the cluster.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// How many rules one direction may have, and how many peers a rule.
const LIMITS_CNP: (usize, usize) = (25, 25);
const LIMITS_ANP: (usize, usize) = (100, 100);

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Pass,
    Deny,
}

/// A rule of either direction.
struct TierRule {
    verb: Verb,
    name: String,
    peers: Vec<Value>,
    ports: Vec<NetworkPolicyPort>,
}

/// The policies for the control plane and for the workloads.
pub(super) fn objects(
    cluster: &Protected<'_>,
    options: &GuardOptions,
) -> Result<Vec<Object>, Diagnostic> {
    let control_plane = TierPolicy {
        what: "control-plane",
        priority: options.priority,
        comment: "Closes the control plane to pods of other virtual clusters that have a label which \
                  its network policy trusts, such as app: loft.",
        pods: json!({"matchLabels": {"release": cluster.name}}),
        namespaces: json!({"matchLabels": {NAMESPACE_NAME_LABEL: cluster.namespace}}),
        ingress: control_plane_ingress(cluster),
        egress: Vec::new(),
    };
    let mut policies = vec![control_plane];
    if cluster.policies(Role::Workload).next().is_some() {
        policies.push(TierPolicy {
            what: "workloads",
            // Equal priorities of two policies are undefined where both match.
            priority: options.priority.saturating_add(1),
            comment: "Closes to workloads what no network policy of the tenant may open: the metadata \
                      services of clouds, and what was asked for.",
            pods: json!({"matchLabels": {MANAGED_BY: cluster.name}}),
            namespaces: cluster.namespace_selector("In"),
            ingress: if options.deny_tenants {
                workload_ingress(cluster)
            } else {
                Vec::new()
            },
            egress: workload_egress(cluster, options),
        });
    }
    policies
        .into_iter()
        .map(|policy| policy.object(cluster, options))
        .collect()
}

/// Pods of other virtual clusters.
fn other_tenants(cluster: &Protected<'_>) -> Value {
    json!({"pods": {
        "namespaceSelector": cluster.namespace_selector("NotIn"),
        "podSelector": {"matchExpressions": [{"key": MANAGED_BY, "operator": "Exists"}]},
    }})
}

fn deny(name: &str, peers: Vec<Value>) -> TierRule {
    TierRule {
        verb: Verb::Deny,
        name: name.to_owned(),
        peers,
        ports: Vec::new(),
    }
}

fn deny_other_tenants(cluster: &Protected<'_>) -> TierRule {
    deny(
        "pods of other virtual clusters",
        vec![other_tenants(cluster)],
    )
}

fn control_plane_ingress(cluster: &Protected<'_>) -> Vec<TierRule> {
    let rules = cluster
        .policies(Role::ControlPlane)
        .flat_map(|p| &p.ingress);
    let mut tier: Vec<TierRule> = rules
        .filter(|rule| is_meant(&rule.origin) || rule.rule.from.is_none())
        .filter_map(|rule| passed_ingress(rule, cluster))
        .collect();
    tier.push(deny_other_tenants(cluster));
    tier
}

fn workload_ingress(cluster: &Protected<'_>) -> Vec<TierRule> {
    let rules = cluster.policies(Role::Workload).flat_map(|p| &p.ingress);
    let mut tier: Vec<TierRule> = rules
        .filter(|rule| is_meant(&rule.origin))
        .filter_map(|rule| passed_ingress(rule, cluster))
        .collect();
    tier.push(deny_other_tenants(cluster));
    unique(tier)
}

fn workload_egress(cluster: &Protected<'_>, options: &GuardOptions) -> Vec<TierRule> {
    let work = || cluster.policies(Role::Workload).flat_map(|p| &p.egress);
    let network = |ranges: &[String]| json!({"networks": ranges});
    let metadata = excepts(&METADATA_SERVICES.map(|service| service.address), false);
    let dns = |protocol: &str| NetworkPolicyPort {
        port: Some(IntOrString::Int(53)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    };
    // In some clouds the resolver of the node has the address of the metadata service.
    let mut tier = vec![TierRule {
        verb: Verb::Pass,
        name: "resolvers of the node".to_owned(),
        peers: vec![network(&metadata)],
        ports: vec![dns("UDP"), dns("TCP")],
    }];
    tier.extend(
        work()
            .filter(|rule| names_special(rule))
            .filter_map(|rule| passed_egress(rule, cluster)),
    );
    tier.push(deny(
        "metadata services of clouds",
        vec![network(&metadata)],
    ));
    if !options.deny_host && !options.deny_tenants {
        return tier;
    }
    // Public egress needs no pass: what is denied below is left out of it, or is closed on purpose.
    let dns_rules = cluster.policies(Role::KubeDns).flat_map(|p| &p.egress);
    let dns_rules = dns_rules.filter(|_| cluster.made.syncer.has_dns_pods);
    tier.extend(
        work()
            .filter(|rule| !is_public(&rule.origin))
            .chain(dns_rules)
            .filter_map(|rule| passed_egress(rule, cluster)),
    );
    if options.deny_tenants {
        let control_planes = json!({"pods": {
            "namespaceSelector": cluster.namespace_selector("NotIn"),
            "podSelector": {"matchLabels": {"app": "vcluster"}},
        }});
        tier.push(deny(
            "other virtual clusters",
            vec![other_tenants(cluster), control_planes],
        ));
    }
    if options.deny_host {
        let private = private_ranges(cluster);
        tier.push(deny(
            "pods of the host cluster",
            vec![json!({"namespaces": {}})],
        ));
        if !private.is_empty() {
            tier.push(deny(
                "networks of the host",
                vec![json!({"networks": private})],
            ));
        }
    }
    unique(tier)
}

/// Whether a rule of the workloads is public egress, whichever setting made it.
fn is_public(origin: &Origin) -> bool {
    let made_by = ["publicEgress", "outgoingConnections", "hardened"];
    let field = origin.setting();
    field.is_some_and(|field| made_by.iter().any(|name| field.contains(name)))
}

/// Whether a rule lets in pods that somebody has named, and not those that a label happens to make.
fn is_meant(origin: &Origin) -> bool {
    matches!(origin, Origin::Label(_)) || is_of_user(origin)
}

/// Whether a rule of the user names a special address, and so means it.
fn names_special(rule: &Rule<NetworkPolicyEgressRule>) -> bool {
    let blocks = rule.rule.to.iter().flatten();
    let blocks =
        blocks.filter_map(|peer| Some(Cidr::parse(&peer.ip_block.as_ref()?.cidr)?.range()));
    let special: Vec<_> = SPECIAL
        .iter()
        .filter_map(|text| Some(Cidr::parse(text)?.range()))
        .collect();
    is_of_user(&rule.origin)
        && blocks
            .into_iter()
            .any(|block| special.iter().any(|range| range.contains(block)))
}

/// What public egress leaves out, in the order of the config.
fn private_ranges(cluster: &Protected<'_>) -> Vec<String> {
    let rules = cluster.policies(Role::Workload).flat_map(|p| &p.egress);
    let rules = rules.filter(|rule| !is_of_user(&rule.origin));
    let peers = rules.flat_map(|rule| rule.rule.to.iter().flatten());
    let excepts = peers.filter_map(|peer| peer.ip_block.as_ref()?.except.as_ref());
    let mut ranges = Vec::new();
    for range in excepts.flatten() {
        if !ranges.contains(range) {
            ranges.push(range.clone());
        }
    }
    ranges
}

fn passed_ingress(
    rule: &Rule<NetworkPolicyIngressRule>,
    cluster: &Protected<'_>,
) -> Option<TierRule> {
    let peers = pod_peers(rule.rule.from.as_deref(), cluster);
    passed(rule, peers, rule.rule.ports.as_deref())
}

fn passed_egress(
    rule: &Rule<NetworkPolicyEgressRule>,
    cluster: &Protected<'_>,
) -> Option<TierRule> {
    let peers = egress_peers(rule.rule.to.as_deref(), cluster);
    passed(rule, peers, rule.rule.ports.as_deref())
}

/// A rule that passes on what a rule of the config allows; none where it names nobody.
fn passed<R>(
    rule: &Rule<R>,
    peers: Vec<Value>,
    ports: Option<&[NetworkPolicyPort]>,
) -> Option<TierRule> {
    if peers.is_empty() {
        return None;
    }
    // The API server takes names of up to 100 characters.
    let name: String = rule.comment.chars().take(100).collect();
    Some(TierRule {
        verb: Verb::Pass,
        name: name.trim_end_matches('.').to_owned(),
        peers,
        ports: ports.unwrap_or_default().to_vec(),
    })
}

/// The peers of an ingress rule. Addresses are left out: they are not those of pods here.
fn pod_peers(peers: Option<&[NetworkPolicyPeer]>, cluster: &Protected<'_>) -> Vec<Value> {
    let Some(peers) = peers.filter(|peers| !peers.is_empty()) else {
        return vec![json!({"namespaces": {}})];
    };
    let pods = peers.iter().filter(|peer| peer.ip_block.is_none());
    pods.map(|peer| pods_of(peer, cluster)).collect()
}

/// The peers of an egress rule, addresses among them.
fn egress_peers(peers: Option<&[NetworkPolicyPeer]>, cluster: &Protected<'_>) -> Vec<Value> {
    let Some(peers) = peers.filter(|peers| !peers.is_empty()) else {
        return vec![json!({"namespaces": {}}), json!({"networks": EVERYWHERE})];
    };
    let peer = |peer: &NetworkPolicyPeer| match &peer.ip_block {
        Some(block) => json!({"networks": [block.cidr]}),
        None => pods_of(peer, cluster),
    };
    peers.iter().map(peer).collect()
}

fn pods_of(peer: &NetworkPolicyPeer, cluster: &Protected<'_>) -> Value {
    let selector = |selector: &LabelSelector| serde_json::to_value(selector).unwrap_or_default();
    let namespaces = match &peer.namespace_selector {
        Some(namespaces) => selector(namespaces),
        None => cluster.namespace_selector("In"),
    };
    match &peer.pod_selector {
        Some(pods) => {
            json!({"pods": {"namespaceSelector": namespaces, "podSelector": selector(pods)}})
        }
        None => json!({"namespaces": namespaces}),
    }
}

/// The rules without those that are there twice: the policies of several namespaces have the same.
fn unique(rules: Vec<TierRule>) -> Vec<TierRule> {
    let mut kept: Vec<TierRule> = Vec::new();
    for rule in rules {
        let is_known = kept.iter().any(|known| {
            known.verb == rule.verb && known.peers == rule.peers && known.ports == rule.ports
        });
        if !is_known {
            kept.push(rule);
        }
    }
    kept
}

/// One policy of a tier.
struct TierPolicy {
    what: &'static str,
    priority: i32,
    comment: &'static str,
    pods: Value,
    namespaces: Value,
    ingress: Vec<TierRule>,
    egress: Vec<TierRule>,
}

impl TierPolicy {
    fn object(
        &self,
        cluster: &Protected<'_>,
        options: &GuardOptions,
    ) -> Result<Object, Diagnostic> {
        let (rules, peers) = match options.dialect {
            Dialect::Cnp => LIMITS_CNP,
            Dialect::Anp => LIMITS_ANP,
        };
        for side in [&self.ingress, &self.egress] {
            let has_too_many = side.len() > rules || side.iter().any(|r| r.peers.len() > peers);
            if has_too_many {
                let message = format!(
                    "the config of the virtual cluster {}/{} has more rules than the policy of the \
                     cluster can pass on: {rules} rules of {peers} peers",
                    cluster.namespace, cluster.name
                );
                let help =
                    "leave --deny-host and --deny-tenants out, merge rules, or use --dialect anp";
                return Err(Diagnostic::error(message).help(help));
            }
        }
        let side = |side: &[TierRule], peers: &str| -> Vec<Value> {
            let rules = side.iter();
            rules
                .map(|rule| rule.value(peers, options.dialect))
                .collect()
        };
        let mut spec = json!({
            "priority": self.priority,
            "subject": {"pods": {"namespaceSelector": self.namespaces, "podSelector": self.pods}},
        });
        if let Some(spec) = spec.as_object_mut() {
            if options.dialect == Dialect::Cnp {
                spec.insert("tier".to_owned(), json!("Admin"));
            }
            if !self.ingress.is_empty() {
                spec.insert("ingress".to_owned(), side(&self.ingress, "from").into());
            }
            if !self.egress.is_empty() {
                spec.insert("egress".to_owned(), side(&self.egress, "to").into());
            }
        }
        let (version, kind) = match options.dialect {
            Dialect::Cnp => ("v1alpha2", "ClusterNetworkPolicy"),
            Dialect::Anp => ("v1alpha1", "AdminNetworkPolicy"),
        };
        Ok(Object {
            comment: vec![
                self.comment.to_owned(),
                "Needs a network plugin that implements it. Pass leaves the decision to the \
                 NetworkPolicies. A policy of a lower priority number decides before it."
                    .to_owned(),
            ],
            value: json!({
                "apiVersion": format!("policy.networking.k8s.io/{version}"),
                "kind": kind,
                "metadata": cluster.metadata(&cluster.object_name(self.what, 100)),
                "spec": spec,
            }),
        })
    }
}

impl TierRule {
    fn value(&self, peers: &str, dialect: Dialect) -> Value {
        let action = match self.verb {
            Verb::Pass => "Pass",
            Verb::Deny => "Deny",
        };
        let mut value = json!({"name": self.name, "action": action, peers: self.peers});
        if let Some(fields) = value.as_object_mut()
            && !self.ports.is_empty()
        {
            let (name, port): (&str, fn(&NetworkPolicyPort) -> Value) = match dialect {
                Dialect::Cnp => ("protocols", protocol_of),
                Dialect::Anp => ("ports", port_of),
            };
            fields.insert(name.to_owned(), self.ports.iter().map(port).collect());
        }
        value
    }
}

/// The numbers of a port entry: every port where it names none.
fn numbers(port: &NetworkPolicyPort) -> Result<(i32, i32), &str> {
    match &port.port {
        None => Ok((1, 65535)),
        Some(IntOrString::Int(first)) => Ok((*first, port.end_port.unwrap_or(*first))),
        Some(IntOrString::String(name)) => Err(name),
    }
}

/// A port as a ClusterNetworkPolicy has it.
fn protocol_of(port: &NetworkPolicyPort) -> Value {
    let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
    match numbers(port) {
        Err(name) => json!({"destinationNamedPort": name}),
        Ok((first, last)) if first == last => {
            json!({protocol: {"destinationPort": {"number": first}}})
        }
        Ok((start, end)) => {
            json!({protocol: {"destinationPort": {"range": {"start": start, "end": end}}}})
        }
    }
}

/// A port as an AdminNetworkPolicy has it.
fn port_of(port: &NetworkPolicyPort) -> Value {
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    match numbers(port) {
        Err(name) => json!({"namedPort": name}),
        Ok((first, last)) if first == last => {
            json!({"portNumber": {"protocol": protocol, "port": first}})
        }
        Ok((start, end)) => {
            json!({"portRange": {"protocol": protocol, "start": start, "end": end}})
        }
    }
}
