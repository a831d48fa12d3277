//! What a config says, once defaults and deprecated fields have found their place.
//!
//! Pure: JSON of checked shape goes in, typed settings and problems come out, the problems with
//! paths below the config (`workload.egress[0]`). Where the text was, and what the policies make of
//! it, is the business of others.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyIngressRule};
use serde::Deserialize;
use serde_json::Value;

use super::host_fit::{ApiServer, HostFit, PlatformFit, RawHostDns};
use super::public_egress::{RawIpBlock, RawPublicEgress, public_egress};
use crate::rules::{deprecated_field, missing_enabled};
use manifest::diagnostic::{Diagnostic, Quoting};
use netpol::cidr::Cidr;

pub use super::public_egress::{DEFAULT_CIDR, DEFAULT_EXCEPT, PublicEgress};

/// The DNS server that CoreDNS falls back to by default.
pub const DEFAULT_FALLBACK_DNS: &str = "8.8.8.8";

/// A rule that the user wrote, and the field in which.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRule<R> {
    /// The path below the config: `workload.egress[0]`.
    pub field: String,
    /// The rule.
    pub rule: R,
}

/// The user's rules for one kind of pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// What may come in.
    pub ingress: Vec<UserRule<NetworkPolicyIngressRule>>,
    /// What may go out.
    pub egress: Vec<UserRule<NetworkPolicyEgressRule>>,
}

/// The settings of one virtual cluster's policies. Source: `policies.networkPolicy` of the vCluster
/// chart since 0.31.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whether there are to be policies.
    pub enabled: bool,
    /// The DNS server that CoreDNS falls back to.
    pub fallback_dns: String,
    /// Extra labels.
    pub labels: BTreeMap<String, String>,
    /// Extra annotations.
    pub annotations: BTreeMap<String, String>,
    /// The rule that lets workloads reach the internet.
    pub public_egress: PublicEgress,
    /// Further rules for workloads.
    pub workload: Rules,
    /// Further rules for the control plane.
    pub control_plane: Rules,
    /// Whether the control plane may reach the Platform (deprecated).
    pub platform: bool,
    /// Whether the companions are to be generated.
    pub companions: bool,
    /// Codes of warnings that are not to be given.
    pub allow: Vec<String>,
    /// What the host cluster is like, and how strict the built-in rules are.
    pub host: HostFit,
}

impl Settings {
    /// Writes every CIDR as [`Cidr::for_policy`] does. Judge the config first: what is judged is
    /// the text of the user.
    pub fn write_cidrs_for_policies(&mut self) {
        let public = &mut self.public_egress;
        write_for_policy(&mut public.cidr);
        public.except.iter_mut().for_each(write_for_policy);
        for block in &mut public.further {
            write_for_policy(&mut block.cidr);
            block.except.iter_mut().flatten().for_each(write_for_policy);
        }
        self.host.cidrs_mut().for_each(write_for_policy);
        for rules in [&mut self.workload, &mut self.control_plane] {
            let egress = rules.egress.iter_mut().filter_map(|r| r.rule.to.as_mut());
            let ingress = rules
                .ingress
                .iter_mut()
                .filter_map(|r| r.rule.from.as_mut());
            for block in egress
                .chain(ingress)
                .flatten()
                .filter_map(|peer| peer.ip_block.as_mut())
            {
                write_for_policy(&mut block.cidr);
                let excepts = block.except.iter_mut().flatten();
                excepts.for_each(write_for_policy);
            }
        }
    }
}

fn write_for_policy(cidr: &mut String) {
    if let Some(parsed) = Cidr::parse(cidr) {
        *cidr = parsed.for_policy(cidr);
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
struct Raw {
    enabled: Option<bool>,
    fallback_dns: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    workload: RawWorkload,
    control_plane: RawControlPlane,
    companions: bool,
    allow: Vec<String>,
    host_dns: Option<RawHostDns>,
    api_server: ApiServer,
    platform: PlatformFit,
    hardened: bool,
    mapped_namespaces: bool,
    extra_control_plane_rules: Vec<NetworkPolicyEgressRule>,
    extra_workload_rules: Vec<NetworkPolicyEgressRule>,
    outgoing_connections: RawOutgoing,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
struct RawWorkload {
    public_egress: RawPublicEgress,
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
struct RawControlPlane {
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
struct RawOutgoing {
    platform: Option<bool>,
    ip_block: RawIpBlock,
}

impl Settings {
    /// The settings of a config whose shape has been checked, and what is to be said of it. Where an
    /// error is among that, the settings serve only to find further mistakes.
    ///
    /// # Errors
    /// When a value does not decode.
    pub fn from_json(
        config: Value,
        quoting: Quoting,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let raw: Raw = serde_json::from_value(without_nulls(config)).map_err(|e| {
            // The shape has been checked, so this says where the two disagree.
            let detail = match quoting {
                Quoting::Show => e.to_string(),
                Quoting::Hide => "a value has the wrong type".to_owned(),
            };
            vec![at(
                "",
                Diagnostic::error(format!("the config can't be decoded: {detail}")),
            )]
        })?;
        Ok(raw.settle(quoting))
    }
}

impl Raw {
    fn settle(self, quoting: Quoting) -> (Settings, Vec<Diagnostic>) {
        let mut problems = Vec::new();
        let control_plane_egress = successor(
            (self.control_plane.egress, "controlPlane.egress"),
            (self.extra_control_plane_rules, "extraControlPlaneRules"),
            &mut problems,
        );
        let workload_egress = successor(
            (self.workload.egress, "workload.egress"),
            (self.extra_workload_rules, "extraWorkloadRules"),
            &mut problems,
        );
        let platform = self.outgoing_connections.platform;
        if platform == Some(false) {
            problems.push(deprecated_platform());
        }
        let mut public_egress = public_egress(
            self.workload.public_egress,
            self.outgoing_connections.ip_block,
            quoting,
            &mut problems,
        );
        let host = HostFit {
            dns: settled(self.host_dns.map(RawHostDns::settle), &mut problems),
            api_server: self.api_server,
            platform: self.platform,
            hardened: self.hardened,
            mapped_namespaces: self.mapped_namespaces,
        };
        problems.extend(host.contradictions(platform));
        if host.hardened {
            public_egress.harden(&mut problems);
        }
        if self.enabled.is_none() {
            problems.push(missing_enabled());
        }
        let settings = Settings {
            enabled: self.enabled.unwrap_or(false),
            fallback_dns: self
                .fallback_dns
                .unwrap_or_else(|| DEFAULT_FALLBACK_DNS.to_owned()),
            labels: self.labels,
            annotations: self.annotations,
            public_egress,
            workload: Rules {
                ingress: user_rules(self.workload.ingress, "workload.ingress"),
                egress: workload_egress,
            },
            control_plane: Rules {
                ingress: user_rules(self.control_plane.ingress, "controlPlane.ingress"),
                egress: control_plane_egress,
            },
            platform: platform.unwrap_or(true),
            companions: self.companions,
            allow: self.allow,
            host,
        };
        (settings, problems)
    }
}

/// A settled value; what is wrong with it is noted.
fn settled<T>(value: Option<Result<T, Diagnostic>>, problems: &mut Vec<Diagnostic>) -> Option<T> {
    match value? {
        Ok(value) => Some(value),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn deprecated_platform() -> Diagnostic {
    let problem = Diagnostic::warning(
        deprecated_field::RULE.code,
        "the field is deprecated and has no successor in the chart since 0.31; it is still \
         honoured: the control plane gets no egress rule towards the Platform",
    )
    .help("keep it in the annotation vcluster-netpol/config, which takes it in every chart");
    at("outgoingConnections.platform", problem)
}

fn missing_enabled() -> Diagnostic {
    let problem = Diagnostic::warning(
        missing_enabled::RULE.code,
        "the config does not say whether the policies are enabled, and the default is false",
    )
    .help("set enabled: true, or enabled: false to silence this");
    at("enabled", problem)
}

fn user_rules<R>(rules: Vec<R>, field: &str) -> Vec<UserRule<R>> {
    rules
        .into_iter()
        .enumerate()
        .map(|(i, rule)| UserRule {
            field: format!("{field}[{i}]"),
            rule,
        })
        .collect()
}

/// The rules of a field or of its deprecated predecessor.
fn successor<R: PartialEq>(
    (new, new_field): (Vec<R>, &'static str),
    (old, old_field): (Vec<R>, &'static str),
    problems: &mut Vec<Diagnostic>,
) -> Vec<UserRule<R>> {
    if old.is_empty() {
        return user_rules(new, new_field);
    }
    if new.is_empty() || new == old {
        problems.push(deprecated(old_field, new_field));
    } else {
        problems.push(contradiction(old_field, new_field));
    }
    if new.is_empty() {
        user_rules(old, old_field)
    } else {
        user_rules(new, new_field)
    }
}

pub(super) fn deprecated(old: &str, new: &str) -> Diagnostic {
    let message = format!("the field is deprecated, its successor is {new}");
    at(
        old,
        Diagnostic::warning(deprecated_field::RULE.code, message),
    )
    .help("vcluster-netpol migrate rewrites it")
}

pub(super) fn contradiction(old: &str, new: &str) -> Diagnostic {
    let message = format!("the deprecated field and its successor {new} are both set, and differ");
    at(old, Diagnostic::error(message)).help(format!("move what it holds to {new} and remove it"))
}

pub(super) fn at(field: &str, mut problem: Diagnostic) -> Diagnostic {
    problem.place.path = Some(field.to_owned());
    problem
}

/// Drops the nulls of mappings: a null field is an absent field.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k, without_nulls(v)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Lays one config over another, as Helm merges values: mappings key by key, a null removes a key,
/// anything else replaces.
#[must_use]
pub fn merge(under: Value, over: Value) -> Value {
    match (under, over) {
        (Value::Object(mut under), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    under.remove(&key);
                    continue;
                }
                let merged = match under.remove(&key) {
                    Some(below) => merge(below, value),
                    None => value,
                };
                under.insert(key, merged);
            }
            Value::Object(under)
        }
        (_, over) => over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcluster::config::fields;
    use manifest::diagnostic::Severity;
    use manifest::schema::Shape;
    use serde_json::json;

    fn settle(config: Value) -> (Settings, Vec<String>) {
        let (settings, problems) = Settings::from_json(config, Quoting::Show).unwrap();
        let codes = problems
            .iter()
            .map(|p| format!("{} {}", p.code.unwrap(), p.place.path.as_deref().unwrap()))
            .collect();
        (settings, codes)
    }

    #[test]
    fn an_empty_config_is_the_documented_default() {
        let (settings, problems) = settle(json!({"enabled": false}));
        assert!(problems.is_empty());
        assert_eq!(settings.public_egress.cidr, "0.0.0.0/0");
        assert_eq!(settings.public_egress.except, DEFAULT_EXCEPT);
        assert!(settings.public_egress.enabled && settings.platform && !settings.enabled);
    }

    /// A value of the type that a field must have, with all fields below it.
    fn sample(shape: Shape) -> Value {
        match shape {
            Shape::Object(object) | Shape::NameOr(_, object) => object
                .fields
                .iter()
                .map(|field| (field.name.to_owned(), sample(field.shape)))
                .collect::<serde_json::Map<String, Value>>()
                .into(),
            Shape::List(items) => json!([sample(*items)]),
            Shape::Map(values) => json!({"k": sample(*values)}),
            Shape::Bool => json!(true),
            Shape::Integer | Shape::Long | Shape::IntOrString => json!(1),
            _ => json!("x"),
        }
    }

    #[test]
    fn no_field_is_accepted_and_then_ignored() {
        let config = sample(Shape::Object(&fields::NETWORK_POLICY));
        // The structs refuse unknown fields in tests.
        let raw: Result<Raw, _> = serde_json::from_value(config);
        assert!(raw.is_ok(), "{raw:?}");
    }

    #[test]
    fn deprecated_fields_find_their_successors() {
        let (settings, problems) = settle(json!({
            "enabled": true,
            "extraControlPlaneRules": [{"ports": [{"port": 8443}]}],
            "extraWorkloadRules": [{"ports": [{"port": 6060}]}],
            "outgoingConnections": {"platform": false, "ipBlock": {"cidr": "172.19.10.23/32"}},
        }));
        assert_eq!(
            problems,
            [
                "VNP101 extraControlPlaneRules",
                "VNP101 extraWorkloadRules",
                "VNP101 outgoingConnections.platform",
                "VNP101 outgoingConnections.ipBlock.cidr",
                "VNP104 outgoingConnections.ipBlock.except",
            ]
        );
        assert_eq!(settings.public_egress.cidr, "172.19.10.23/32");
        assert!(settings.public_egress.except.is_empty());
        assert_eq!(settings.workload.egress[0].field, "extraWorkloadRules[0]");
        assert!(!settings.platform);
    }

    #[test]
    fn defaults_in_deprecated_fields_say_nothing() {
        let (_, problems) = settle(json!({
            "enabled": true,
            "outgoingConnections": {"platform": true, "ipBlock": {"cidr": "0.0.0.0/0", "except": DEFAULT_EXCEPT}},
            "extraWorkloadRules": [],
        }));
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn old_and_new_may_agree_but_not_differ() {
        let config = |old: u16| {
            json!({
                "enabled": true,
                "extraWorkloadRules": [{"ports": [{"port": old}]}],
                "workload": {"egress": [{"ports": [{"port": 1}]}]},
            })
        };
        let errors = |port| {
            let (_, found) = Settings::from_json(config(port), Quoting::Show).unwrap();
            let errors = found.into_iter().filter(|p| p.severity == Severity::Error);
            errors.map(|p| p.place.path.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(errors(1), Vec::<String>::new());
        assert_eq!(errors(2), ["extraWorkloadRules"]);
    }

    #[test]
    fn files_merge_as_values_do() {
        assert_eq!(
            merge(
                json!({"a": {"b": 1, "c": [1]}, "d": 1, "e": 2}),
                json!({"a": {"c": [2]}, "d": null, "f": null}),
            ),
            json!({"a": {"b": 1, "c": [2]}, "e": 2})
        );
    }
}
