//! What a config says, once defaults and deprecated fields have found their place.
//!
//! Pure: JSON of checked shape goes in, typed settings and problems come out, the problems with
//! paths below the config (`workload.egress[0]`). Where the text was, and what the policies make of
//! it, is the business of others.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyIngressRule};
use serde::Deserialize;
use serde_json::Value;

use crate::rules::{default_excepts, deprecated_field, missing_enabled};
use manifest::diagnostic::{Diagnostic, Quoting};
use netpol::cidr::Cidr;

/// The ranges that public egress leaves out by default.
pub const DEFAULT_EXCEPT: [&str; 5] = [
    "100.64.0.0/10",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
];

/// What public egress reaches by default.
pub const DEFAULT_CIDR: &str = "0.0.0.0/0";

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

/// The rule that lets workloads reach the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicEgress {
    /// Whether it is there.
    pub enabled: bool,
    /// What may be reached.
    pub cidr: String,
    /// What may not, of it.
    pub except: Vec<String>,
    /// Where in the text's list each of them stands: defaults may have been dropped between them.
    pub except_index: Vec<usize>,
    /// Whether the excepts are the default ones, or those of them that lie inside the cidr.
    pub has_default_excepts: bool,
    /// The field that holds the two: `workload.publicEgress`, or the deprecated one.
    pub field: &'static str,
}

impl PublicEgress {
    /// Whether it is what a config gets that says nothing of it.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.enabled && self.cidr == DEFAULT_CIDR && self.except == DEFAULT_EXCEPT
    }

    /// A problem with an except, counted as the text counts.
    #[must_use]
    pub fn reindexed(&self, mut problem: Diagnostic) -> Diagnostic {
        if let Some(path) = &mut problem.place.path
            && let Some((head, tail)) = path.split_once("except[")
            && let Some((number, rest)) = tail.split_once(']')
            && let Some(index) = number
                .parse()
                .ok()
                .and_then(|i: usize| self.except_index.get(i))
        {
            *path = format!("{head}except[{index}]{rest}");
        }
        problem
    }
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
}

impl Settings {
    /// Writes every CIDR as [`Cidr::for_policy`] does. Judge the config first: what is judged is
    /// the text of the user.
    pub fn write_cidrs_for_policies(&mut self) {
        let public = &mut self.public_egress;
        write_for_policy(&mut public.cidr);
        public.except.iter_mut().for_each(write_for_policy);
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
struct RawPublicEgress {
    enabled: Option<bool>,
    cidr: Option<String>,
    except: Option<Vec<String>>,
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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
struct RawIpBlock {
    cidr: Option<String>,
    except: Option<Vec<String>>,
}

impl Settings {
    /// The settings of a config whose shape has been checked, and what is to be said of it.
    ///
    /// # Errors
    /// When a deprecated field and its successor contradict each other, or a value does not decode.
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
        raw.settle(quoting)
    }
}

impl Raw {
    fn settle(self, quoting: Quoting) -> Result<(Settings, Vec<Diagnostic>), Vec<Diagnostic>> {
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
        let platform = self.outgoing_connections.platform.unwrap_or(true);
        if !platform {
            let problem = Diagnostic::warning(
                deprecated_field::RULE.code,
                "the field is deprecated and has no successor in the chart since 0.31; it is still \
                 honoured: the control plane gets no egress rule towards the Platform",
            )
            .help(
                "keep it in the annotation vcluster-netpol/config, which takes it in every chart",
            );
            problems.push(at("outgoingConnections.platform", problem));
        }
        let public_egress = public_egress(
            self.workload.public_egress,
            self.outgoing_connections.ip_block,
            quoting,
            &mut problems,
        );
        if self.enabled.is_none() {
            let problem = Diagnostic::warning(
                missing_enabled::RULE.code,
                "the config does not say whether the policies are enabled, and the default is false",
            )
            .help("set enabled: true, or enabled: false to silence this");
            problems.push(at("enabled", problem));
        }
        let (errors, warnings): (Vec<_>, Vec<_>) = problems
            .into_iter()
            .partition(|p| p.severity == manifest::diagnostic::Severity::Error);
        if !errors.is_empty() {
            return Err(errors);
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
            platform,
            companions: self.companions,
            allow: self.allow,
        };
        Ok((settings, warnings))
    }
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

fn deprecated(old: &str, new: &str) -> Diagnostic {
    let message = format!("the field is deprecated, its successor is {new}");
    at(
        old,
        Diagnostic::warning(deprecated_field::RULE.code, message),
    )
    .help("vcluster-netpol migrate rewrites it")
}

fn contradiction(old: &str, new: &str) -> Diagnostic {
    let message = format!("the deprecated field and its successor {new} are both set, and differ");
    at(old, Diagnostic::error(message)).help(format!("move what it holds to {new} and remove it"))
}

fn at(field: &str, mut problem: Diagnostic) -> Diagnostic {
    problem.place.path = Some(field.to_owned());
    problem
}

fn public_egress(
    new: RawPublicEgress,
    old: RawIpBlock,
    quoting: Quoting,
    problems: &mut Vec<Diagnostic>,
) -> PublicEgress {
    const NEW: &str = "workload.publicEgress";
    const OLD: &str = "outgoingConnections.ipBlock";
    // A chart up to 0.30 writes its defaults into the deprecated fields; those say nothing, unless
    // somebody wrote the new field beside them.
    let written = |new_set: bool| quoting == Quoting::Show && new_set;
    let old_cidr = old
        .cidr
        .filter(|cidr| written(new.cidr.is_some()) || cidr != DEFAULT_CIDR);
    let old_except = old
        .except
        .filter(|except| written(new.except.is_some()) || !is_default_except(except));
    let mut field = NEW;
    let mut settle = |old_set: bool, new_set: bool, equal: bool, name: &str| {
        if !old_set {
            return;
        }
        let (old_field, new_field) = (format!("{OLD}.{name}"), format!("{NEW}.{name}"));
        if new_set && !equal {
            problems.push(contradiction(&old_field, &new_field));
        } else {
            problems.push(deprecated(&old_field, &new_field));
        }
        if !new_set {
            field = OLD;
        }
    };
    settle(
        old_cidr.is_some(),
        new.cidr.is_some(),
        old_cidr == new.cidr,
        "cidr",
    );
    settle(
        old_except.is_some(),
        new.except.is_some(),
        old_except == new.except,
        "except",
    );
    let cidr = new
        .cidr
        .or(old_cidr)
        .unwrap_or_else(|| DEFAULT_CIDR.to_owned());
    let mut except: Vec<(usize, String)> = new
        .except
        .or(old_except)
        .unwrap_or_else(|| DEFAULT_EXCEPT.map(str::to_owned).to_vec())
        .into_iter()
        .enumerate()
        .collect();
    let enabled = new.enabled.unwrap_or(true);
    let has_default_excepts =
        is_default_except(&except.iter().map(|(_, e)| e.clone()).collect::<Vec<_>>());
    // A list of the user's own is taken at its word.
    if enabled && has_default_excepts {
        drop_default_excepts(&cidr, &mut except, field, quoting, problems);
    }
    let (except_index, except) = except.into_iter().unzip();
    PublicEgress {
        enabled,
        cidr,
        except,
        except_index,
        has_default_excepts,
        field,
    }
}

/// Whether a list is that of the default excepts, in any order.
pub(super) fn is_default_except(except: &[String]) -> bool {
    except.len() == DEFAULT_EXCEPT.len()
        && DEFAULT_EXCEPT
            .iter()
            .all(|default| except.iter().any(|entry| entry == default))
}

/// Helm merges the default excepts in under a cidr of the user's, where the API server refuses
/// those that are not strictly inside.
fn drop_default_excepts(
    cidr: &str,
    except: &mut Vec<(usize, String)>,
    field: &str,
    quoting: Quoting,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(range) = Cidr::parse(cidr) else {
        return;
    };
    // An IPv4-mapped cidr goes out as IPv4, so it is measured as IPv4.
    let inside = |e: Cidr| range.contains(e) && !e.contains(range);
    let outside = |entry: &str| Cidr::parse(entry).is_some_and(|e| !inside(e));
    let dropped: Vec<String> = except
        .iter()
        .filter(|(_, e)| outside(e))
        .map(|(_, e)| e.clone())
        .collect();
    if dropped.is_empty() {
        return;
    }
    except.retain(|(_, e)| !outside(e));
    let shown = match quoting {
        Quoting::Show => cidr,
        Quoting::Hide => "cidr",
    };
    let message = format!(
        "the default excepts {} are not strictly inside {shown}; they are dropped, as the API \
         server would refuse them",
        dropped.join(", "),
    );
    problems.push(
        at(
            &format!("{field}.except"),
            Diagnostic::warning(default_excepts::RULE.code, message),
        )
        .help("set except to the ranges that lie inside, or to []"),
    );
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
            Shape::Object(object) => object
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
        assert!(Settings::from_json(config(1), Quoting::Show).is_ok());
        let errors = Settings::from_json(config(2), Quoting::Show).unwrap_err();
        assert_eq!(errors[0].place.path.as_deref(), Some("extraWorkloadRules"));
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
