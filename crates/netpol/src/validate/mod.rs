//! The API server's rules for a NetworkPolicy: all of them, and no others.
//!
//! Typed values in, problems out, each at the field where the server would name it, and in the
//! order in which it would. [`document`] reads a whole object as strictly as the server decodes
//! it. Sources: the API reference of networking.k8s.io/v1 and the verdicts of real servers. It
//! knows neither Helm nor vCluster, and gives no advice on what a policy should say.

pub mod document;
pub mod names;

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub use crate::cidr::CidrRule;
use crate::cidr::{self, Cidr, Oddity};
use crate::codes;
use crate::kubernetes;
use manifest::diagnostic::{Diagnostic, Position, Quoting, Suggestion};
use manifest::schema::{self, Origin};
use manifest::yaml::Node;
use names::Fault;

/// The largest sum of the bytes of all keys and values of annotations.
pub const MAX_ANNOTATIONS: usize = 256 * 1024;

/// How many problems one map may have: who has more reads no further.
const MAX_FAULTS: usize = 25;

/// By whose rules, and in whose name.
#[derive(Debug, Clone, Copy)]
pub struct Context<'o> {
    /// The object or file that the values come from.
    pub origin: &'o Origin,
    /// Which CIDRs the target server takes.
    pub cidr: CidrRule,
    /// What becomes of the values.
    pub use_of: Use,
}

/// What becomes of the values that are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// They are sent to the server as they are.
    AsTheyAre,
    /// Policies are made of them, with CIDRs as [`Cidr::for_policy`] writes them.
    ForPolicies,
}

/// A field: its path, and where it stands in the text, if it was read from one.
#[derive(Debug, Clone)]
pub struct FieldSpot<'a> {
    path: String,
    node: Option<Node<'a>>,
    position: Option<Position>,
}

impl<'a> FieldSpot<'a> {
    /// The field of that path, with its node where there is one.
    pub fn new(path: impl Into<String>, node: Option<Node<'a>>) -> Self {
        Self {
            path: path.into(),
            node,
            position: node.map(Node::position),
        }
    }

    /// A field of this field.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.inner(
            schema::join(&self.path, name),
            self.node.and_then(|node| node.get(name)),
        )
    }

    /// The first `count` items of this list.
    fn items(&self, count: usize) -> Vec<Self> {
        let mut nodes = self.node.into_iter().flat_map(Node::items);
        (0..count)
            .map(|i| self.inner(format!("{}[{i}]", self.path), nodes.next()))
            .collect()
    }

    /// What is not there stands where its parent does.
    fn inner(&self, path: String, node: Option<Node<'a>>) -> Self {
        Self {
            path,
            node,
            position: node.map(Node::position).or(self.position),
        }
    }

    /// This path, but the place of one of its keys.
    fn at_key(&self, key: &str) -> Self {
        let pair = self.node.and_then(|node| {
            node.pairs()
                .find(|(k, _)| k.key_text().is_some_and(|text| text == key))
        });
        Self {
            position: pair.map(|(k, _)| k.position()).or(self.position),
            ..self.clone()
        }
    }

    /// This path, but the place of the value of one of its keys.
    fn at_value(&self, key: &str) -> Self {
        let value = self.node.and_then(|node| node.get(key));
        Self {
            position: value.map(Node::position).or(self.position),
            ..self.clone()
        }
    }
}

impl Context<'_> {
    fn error(&self, spot: &FieldSpot<'_>, message: impl Into<String>) -> Diagnostic {
        self.origin.error(&spot.path, spot.position, message)
    }

    fn fault(&self, spot: &FieldSpot<'_>, value: &str, fault: &Fault) -> Diagnostic {
        let value = self.origin.quoting.value(value);
        self.error(spot, format!("{value} {}", fault.what))
            .help(fault.help)
    }

    fn shows(&self) -> bool {
        self.origin.quoting == Quoting::Show
    }
}

/// What is wrong with the spec of a policy.
#[must_use]
pub fn policy(spec: &NetworkPolicySpec, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(selector) = &spec.pod_selector {
        problems.extend(label_selector(selector, &at.field("podSelector"), ctx));
    }
    if let Some(rules) = &spec.ingress {
        problems.extend(ingress_rules(rules, &at.field("ingress"), ctx));
    }
    if let Some(rules) = &spec.egress {
        problems.extend(egress_rules(rules, &at.field("egress"), ctx));
    }
    if let Some(types) = &spec.policy_types {
        problems.extend(policy_types(types, &at.field("policyTypes"), ctx));
    }
    problems
}

/// What is wrong with ingress rules; `at` is the list.
#[must_use]
pub fn ingress_rules(
    rules: &[NetworkPolicyIngressRule],
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let spots = at.items(rules.len());
    let each = rules.iter().zip(&spots);
    each.flat_map(|(rule, at)| ingress_rule(rule, at, ctx))
        .collect()
}

/// What is wrong with an ingress rule.
#[must_use]
pub fn ingress_rule(
    rule: &NetworkPolicyIngressRule,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let mut problems = ports(rule.ports.as_deref(), &at.field("ports"), ctx);
    problems.extend(peers(rule.from.as_deref(), &at.field("from"), ctx));
    problems
}

/// What is wrong with egress rules; `at` is the list.
#[must_use]
pub fn egress_rules(
    rules: &[NetworkPolicyEgressRule],
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let spots = at.items(rules.len());
    let each = rules.iter().zip(&spots);
    each.flat_map(|(rule, at)| egress_rule(rule, at, ctx))
        .collect()
}

/// What is wrong with an egress rule.
#[must_use]
pub fn egress_rule(
    rule: &NetworkPolicyEgressRule,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let mut problems = ports(rule.ports.as_deref(), &at.field("ports"), ctx);
    problems.extend(peers(rule.to.as_deref(), &at.field("to"), ctx));
    problems
}

fn ports(
    ports: Option<&[NetworkPolicyPort]>,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let ports = ports.unwrap_or_default();
    ports
        .iter()
        .zip(at.items(ports.len()))
        .flat_map(|(value, at)| port(value, &at, ctx))
        .collect()
}

fn port(port: &NetworkPolicyPort, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(protocol) = &port.protocol {
        problems.extend(one_of(
            protocol,
            &kubernetes::PROTOCOLS,
            "a protocol",
            &at.field("protocol"),
            ctx,
        ));
    }
    let end_at = at.field("endPort");
    match (&port.port, port.end_port) {
        (Some(IntOrString::Int(number)), end) => {
            problems.extend(port_number(*number, &at.field("port"), ctx));
            if let Some(end) = end {
                if end < *number {
                    problems.push(
                        ctx.error(&end_at, "endPort is below port")
                            .help("endPort is the last port of a range that begins at port"),
                    );
                }
                problems.extend(port_number(end, &end_at, ctx));
            }
        }
        (Some(IntOrString::String(name)), end) => {
            if end.is_some() {
                problems.push(
                    ctx.error(&end_at, "endPort can't stand beside a port that is a name")
                        .help("give port as a number, without quotes, or remove endPort"),
                );
            }
            if let Some(fault) = names::port_name(name) {
                problems.push(ctx.fault(&at.field("port"), name, &fault));
            }
        }
        (None, Some(_)) => problems.push(
            ctx.error(&end_at, "endPort can't stand without port")
                .help("add the first port of the range as port"),
        ),
        (None, None) => {}
    }
    problems
}

/// What is wrong with the number of a port.
#[must_use]
pub fn port_number(number: i32, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Option<Diagnostic> {
    if (1..=65535).contains(&number) {
        return None;
    }
    let number = if ctx.shows() {
        number.to_string()
    } else {
        "the value".to_owned()
    };
    Some(
        ctx.error(at, format!("{number} is not a port"))
            .help("write a number from 1 to 65535"),
    )
}

fn peers(
    peers: Option<&[NetworkPolicyPeer]>,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let peers = peers.unwrap_or_default();
    peers
        .iter()
        .zip(at.items(peers.len()))
        .flat_map(|(value, at)| peer(value, &at, ctx))
        .collect()
}

fn peer(peer: &NetworkPolicyPeer, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(selector) = &peer.pod_selector {
        problems.extend(label_selector(selector, &at.field("podSelector"), ctx));
    }
    if let Some(selector) = &peer.namespace_selector {
        problems.extend(label_selector(
            selector,
            &at.field("namespaceSelector"),
            ctx,
        ));
    }
    let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    match &peer.ip_block {
        Some(block) => {
            problems.extend(ip_block(block, &at.field("ipBlock"), ctx));
            if selects {
                problems.push(
                    ctx.error(at, "ipBlock can't stand beside a selector in one peer")
                        .help("make it two peers, each behind a \"- \" of its own"),
                );
            }
        }
        None if !selects => problems.push(ctx.error(at, "the peer is empty").help(
            "give it an ipBlock, a podSelector or a namespaceSelector; for everybody, leave \
                 the whole list of peers out",
        )),
        None => {}
    }
    problems
}

/// What is wrong with a range of addresses and its exceptions.
#[must_use]
pub fn ip_block(block: &IPBlock, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let cidr_at = at.field("cidr");
    if block.cidr.is_empty() {
        return vec![
            ctx.error(&cidr_at, "cidr is missing")
                .help("write a range such as 10.9.8.0/24 or 2001:db8::/64"),
        ];
    }
    let mut problems: Vec<Diagnostic> = cidr(&block.cidr, &cidr_at, ctx).into_iter().collect();
    let Some(outer) = Cidr::parse(&block.cidr) else {
        return problems;
    };
    let excepts = block.except.as_deref().unwrap_or_default();
    for (text, at) in excepts.iter().zip(at.field("except").items(excepts.len())) {
        problems.extend(cidr(text, &at, ctx));
        let Some(inner) = Cidr::parse(text) else {
            continue;
        };
        // The server compares the lengths of prefixes as they are written: it takes 10.0.0.0/8
        // without ::ffff:10.0.0.0/104, but not without 10.0.0.0/8, which goes out in its place.
        let is_refused_later = ctx.use_of == Use::ForPolicies && inner.contains(outer);
        if is_refused_later || !outer.strictly_contains(inner) {
            problems.push(outside(text, &block.cidr, outer, inner, &at, ctx));
        }
    }
    problems
}

fn outside(
    text: &str,
    cidr: &str,
    outer: Cidr,
    inner: Cidr,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Diagnostic {
    let (text, cidr) = (
        ctx.origin.quoting.value(text),
        if ctx.shows() { cidr } else { "the cidr" },
    );
    if outer.is_v6() != inner.is_v6() {
        return ctx
            .error(at, format!("{text} is not of the same IP family as {cidr}"))
            .help("remove it; an ipBlock holds addresses of one family only");
    }
    if inner.contains(outer) {
        return ctx
            .error(at, format!("{text} leaves nothing of {cidr}"))
            .help("an except must be smaller than the cidr; remove the peer if nothing is meant");
    }
    if outer.contains(inner) {
        return ctx
            .error(at, format!("{text} counts as no smaller than {cidr}"))
            .help("write both as IPv4 ranges, or both as IPv6 ranges");
    }
    ctx.error(at, format!("{text} is not inside {cidr}"))
        .help("remove it, or make the cidr wider")
}

fn not_a_cidr(text: &str, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Diagnostic {
    let shown = ctx.origin.quoting.value(text);
    let better = cidr::suggestion(text).filter(|_| ctx.shows());
    let help = better.as_ref().map_or_else(
        || "write a range such as 10.9.8.0/24 or 2001:db8::/64".to_owned(),
        |better| format!("write {better}"),
    );
    let problem = ctx.error(at, format!("{shown} is not a CIDR")).help(help);
    match better {
        Some(better) => problem.suggestion(Suggestion::set(at.path.as_str(), better.into())),
        None => problem,
    }
}

/// What is wrong, or merely unusual, with a single CIDR.
#[must_use]
pub fn cidr(text: &str, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Option<Diagnostic> {
    let shown = ctx.origin.quoting.value(text);
    let Some(cidr) = Cidr::parse(text) else {
        return Some(not_a_cidr(text, at, ctx));
    };
    let oddity = cidr.oddity(text)?;
    let what = match oddity {
        Oddity::Mapped if cidr.is_v6() => {
            "is an IPv6 range that begins with an IPv4-mapped address"
        }
        Oddity::Mapped => "is an IPv4 range in IPv6 notation",
        Oddity::LeadingZeros => "has zeros in front of a number",
        Oddity::HostBits => "has bits set beyond its prefix",
        Oddity::NotCanonical => "is not in the usual spelling of IPv6",
    };
    let help = match oddity {
        _ if !ctx.shows() => "write it in the canonical form".to_owned(),
        Oddity::HostBits => format!(
            "write {} for the range, or {} for the one address",
            cidr.canonical(),
            cidr.single()
        ),
        _ => format!("write {}", cidr.canonical()),
    };
    let problem = match (oddity, ctx.cidr) {
        (Oddity::NotCanonical, _) => ctx.origin.warning(
            codes::LEGACY_CIDR,
            &at.path,
            at.position,
            format!("{shown} {what}"),
        ),
        (_, CidrRule::UpTo135) => {
            let written = cidr.for_policy(text);
            let instead = match (ctx.use_of, ctx.shows()) {
                (Use::ForPolicies, true) if written != text => {
                    format!("; the policy has {written}")
                }
                (Use::ForPolicies, false) if written != text => {
                    "; the policy has the canonical form".to_owned()
                }
                _ => String::new(),
            };
            ctx.origin.warning(
                codes::LEGACY_CIDR,
                &at.path,
                at.position,
                format!("{shown} {what}, which Kubernetes refuses from 1.36 on{instead}"),
            )
        }
        (_, CidrRule::From136) => ctx.error(
            at,
            format!("{shown} {what}, which Kubernetes refuses since 1.36"),
        ),
    };
    let problem = problem.help(help);
    // With host bits it is open whether the range or the address is meant.
    if oddity == Oddity::HostBits || !ctx.shows() {
        return Some(problem);
    }
    let canonical = cidr.canonical();
    Some(problem.suggestion(Suggestion::set(at.path.as_str(), canonical.into())))
}

fn policy_types(types: &[String], at: &FieldSpot<'_>, ctx: &Context<'_>) -> Vec<Diagnostic> {
    if types.len() > kubernetes::POLICY_TYPES.len() {
        return vec![
            ctx.error(at, "there are more than two policyTypes")
                .help("write Ingress, Egress or both, each once"),
        ];
    }
    types
        .iter()
        .zip(at.items(types.len()))
        .filter_map(|(value, at)| {
            one_of(value, &kubernetes::POLICY_TYPES, "a policy type", &at, ctx)
        })
        .collect()
}

fn one_of(
    value: &str,
    allowed: &[&str],
    what: &str,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Option<Diagnostic> {
    if allowed.contains(&value) {
        return None;
    }
    let trimmed = value.trim();
    let meant = allowed
        .iter()
        .find(|known| known.eq_ignore_ascii_case(trimmed));
    let help = meant.map_or_else(
        || format!("write {}", allowed.join(" or ")),
        |known| format!("write {known}"),
    );
    let shown = ctx.origin.quoting.value(value);
    let problem = ctx.error(at, format!("{shown} is not {what}")).help(help);
    Some(match meant {
        Some(known) => problem.suggestion(Suggestion::set(at.path.as_str(), (*known).into())),
        None => problem,
    })
}

/// What is wrong with a selector.
#[must_use]
pub fn label_selector(
    selector: &LabelSelector,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Some(map) = &selector.match_labels {
        problems.extend(labels(map, &at.field("matchLabels"), ctx));
    }
    let requirements = selector.match_expressions.as_deref().unwrap_or_default();
    let spots = at.field("matchExpressions").items(requirements.len());
    for (requirement, at) in requirements.iter().zip(spots) {
        problems.extend(label_requirement(requirement, &at, ctx));
    }
    problems
}

fn label_requirement(
    requirement: &LabelSelectorRequirement,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let values = requirement.values.as_deref().unwrap_or_default();
    let values_at = at.field("values");
    match requirement.operator.as_str() {
        operator @ ("In" | "NotIn") if values.is_empty() => problems.push(
            ctx.error(&values_at, format!("operator {operator} needs values"))
                .help("add the list of values, or use Exists or DoesNotExist"),
        ),
        operator @ ("Exists" | "DoesNotExist") if !values.is_empty() => problems.push(
            ctx.error(&values_at, format!("operator {operator} takes no values"))
                .help("remove the values, or use In or NotIn"),
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        operator => problems.extend(one_of(
            operator,
            &kubernetes::OPERATORS,
            "an operator",
            &at.field("operator"),
            ctx,
        )),
    }
    if let Some(fault) = names::qualified(&requirement.key) {
        problems.push(ctx.fault(&at.field("key"), &requirement.key, &fault));
    }
    for (value, at) in values.iter().zip(values_at.items(values.len())) {
        if let Some(fault) = names::label_value(value) {
            problems.push(ctx.fault(&at, value, &fault));
        }
    }
    problems
}

/// What is wrong with labels; `at` is the mapping.
#[must_use]
pub fn labels(
    labels: &BTreeMap<String, String>,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for (key, value) in labels {
        if problems.len() >= MAX_FAULTS {
            break;
        }
        if let Some(fault) = names::qualified(key) {
            problems.push(ctx.fault(&at.at_key(key), key, &fault));
        }
        if let Some(fault) = names::label_value(value) {
            problems.push(ctx.fault(&at.at_value(key), value, &fault));
        }
    }
    problems
}

/// What is wrong with annotations; `at` is the mapping.
#[must_use]
pub fn annotations(
    annotations: &BTreeMap<String, String>,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for key in annotations.keys() {
        if problems.len() >= MAX_FAULTS {
            break;
        }
        // Unlike those of labels, the keys of annotations may have upper-case prefixes.
        if let Some(fault) = names::qualified(&key.to_lowercase()) {
            problems.push(ctx.fault(&at.at_key(key), key, &fault));
        }
    }
    let size: usize = annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > MAX_ANNOTATIONS {
        problems.push(
            ctx.error(
                at,
                format!("the annotations have {size} bytes, {MAX_ANNOTATIONS} is the most"),
            )
            .help("shorten them"),
        );
    }
    problems
}

/// Annotations whose value does not survive Helm 4.
///
/// Helm 4 applies on the server's side: it sends JSON, which the server reads as YAML. JSON has
/// these characters as they are, and YAML refuses them, or, of NEL, makes a space.
#[must_use]
pub fn annotations_through_helm_4(
    annotations: &BTreeMap<String, String>,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let lost = |c: &char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    annotations
        .iter()
        .filter_map(|(key, value)| {
            let (i, c) = value.chars().enumerate().find(|(_, c)| lost(c))?;
            let message = format!(
                "Helm 4 can't send the character U+{:04X}, which is number {} of the value",
                u32::from(c),
                i + 1
            );
            let help = "remove it; Helm 4 would fail after it has created other objects";
            Some(ctx.error(&at.field(key), message).help(help))
        })
        .take(MAX_FAULTS)
        .collect()
}

/// What is wrong with the name of a policy.
#[must_use]
pub fn name(text: &str, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Option<Diagnostic> {
    if text.is_empty() {
        return Some(
            ctx.error(at, "a name is missing")
                .help("add metadata.name or metadata.generateName"),
        );
    }
    names::subdomain(text).map(|fault| ctx.fault(at, text, &fault))
}

/// What is wrong with the name of a namespace.
#[must_use]
pub fn namespace(text: &str, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Option<Diagnostic> {
    names::dns_label(text).map(|fault| ctx.fault(at, text, &fault))
}
