//! The checks over settings and policies: what they read, and how they report.
//!
//! Pure: settings and the policies made of them go in, warnings come out, with paths below the
//! config (`workload.egress[0]`). What the API server refuses is judged in [`netpol::validate`].

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::values::Values;
use super::{Audience, RULES, Rule};
use crate::vcluster::actors::MANAGED_BY;
use crate::vcluster::config::settings::Settings;
use crate::vcluster::policies::{Policy, Role};
use manifest::diagnostic::{Diagnostic, Quoting};
use netpol::cidr::Cidr;
use netpol::evaluate::Policies;
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::{self, Origin};

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

/// What a check reads.
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
    /// Who reads the warnings.
    pub audience: Audience,
    /// The Helm release.
    pub release: &'a str,
    /// Its namespace, if anything says.
    pub namespace: Option<&'a str>,
    /// All values, where they are known.
    pub values: Values<'a>,
    /// The policies for the evaluator, once a check has asked for them.
    pub planned: &'a OnceCell<Option<Policies>>,
}

/// A field that a warning is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// A field of the network-policy config, by its path below the config.
    Config(String),
    /// Another value of the chart, by its path from the root of the values.
    Value(String),
    /// The same, where the text can hold a password: its line must not be quoted.
    HiddenValue(String),
}

/// A warning about what the values need or open, and the field that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The field.
    pub field: Field,
    /// The warning, without a place yet.
    pub problem: Diagnostic,
}

/// What the values need and the policies block, and what the values open.
#[must_use]
pub fn notes(view: &View<'_>) -> Vec<Note> {
    let mut findings = Findings::default();
    if view.settings.enabled {
        for rule in RULES {
            if let Some(check) = rule.check.filter(|_| rule.audience == Audience::OnRequest) {
                check(view, &mut findings);
            }
        }
    }
    findings.notes
}

/// The warnings that the audience reads: of public egress, of `fallbackDns`, then rule by rule.
#[must_use]
pub fn warnings(view: &View<'_>) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    if view.settings.enabled {
        for rule in RULES {
            let is_read = match rule.audience {
                Audience::Everyone => true,
                Audience::Reviewer => view.audience == Audience::Reviewer,
                Audience::OnRequest => false,
            };
            if let Some(check) = rule.check.filter(|_| is_read) {
                check(view, &mut findings);
            }
        }
    }
    findings.into_problems()
}

/// What the checks have found.
#[derive(Debug, Default)]
pub struct Findings {
    found: Vec<(Part, Diagnostic)>,
    notes: Vec<Note>,
}

impl Findings {
    /// Adds a warning about what the values need or open.
    pub(super) fn note(&mut self, field: Field, problem: Diagnostic) {
        self.notes.push(Note { field, problem });
    }

    /// Adds a warning for a field of the config.
    pub(super) fn add(
        &mut self,
        rule: &Rule,
        part: Part,
        path: &str,
        message: impl Into<String>,
        help: &str,
    ) {
        let problem = Diagnostic::warning(rule.code, message).help(help);
        self.add_problem(part, path, problem);
    }

    /// Adds a warning that is made already.
    pub(super) fn add_problem(&mut self, part: Part, path: &str, mut problem: Diagnostic) {
        problem.place.path = Some(path.to_owned());
        self.found.push((part, problem));
    }

    /// The warnings in the order of their parts; the sort keeps the order of the codes.
    fn into_problems(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|(part, _)| *part);
        self.found.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// The part of a config that a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The addresses that workloads reach by default.
    PublicEgress,
    /// The DNS server that CoreDNS queries second.
    FallbackDns,
    /// A rule, by the positions of the policy and of the rule.
    Rule {
        policy: usize,
        direction: Direction,
        rule: usize,
    },
}

/// The direction in which a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

/// A rule of either direction: nobody named is everybody.
pub(super) struct Flow<'a> {
    pub(super) origin: &'a Origin,
    pub(super) peers: &'a [NetworkPolicyPeer],
    pub(super) ports: &'a [NetworkPolicyPort],
}

/// The rules of a policy in one direction.
pub(super) struct RuleList<'a> {
    /// The position of the policy.
    policy: usize,
    pub(super) role: Role,
    pub(super) direction: Direction,
    pub(super) flows: Vec<Flow<'a>>,
}

/// The fields of the config that hold rules of the user.
const RULE_FIELDS: [&str; 4] = [
    "workload.ingress",
    "workload.egress",
    "controlPlane.",
    "extra",
];

impl<'a> View<'a> {
    /// The policies as the evaluator takes them; `None` where one can't be read, which is an error
    /// that is reported elsewhere.
    pub(super) fn planned(&self) -> Option<&'a Policies> {
        let read = |policy: &Policy| {
            let namespace = policy.namespace.as_deref().unwrap_or_default();
            policy::Policy::read(namespace, &policy.name, Some(&policy.spec())).ok()
        };
        let planned = (self.planned).get_or_init(|| {
            self.policies
                .iter()
                .map(read)
                .collect::<Option<Vec<_>>>()
                .map(|policies| policies.into_iter().collect())
        });
        planned.as_ref()
    }

    /// A pod that the policy of a role is for.
    pub(super) fn pod_of(&self, role: Role) -> Endpoint {
        let labels: &[(&str, &str)] = match role {
            Role::Workload => &[(MANAGED_BY, self.release)],
            Role::ControlPlane => &[("app", "vcluster"), ("release", self.release)],
            Role::KubeDns => &[("k8s-app", "vcluster-kube-dns"), (MANAGED_BY, self.release)],
            Role::Snapshot => &[("app", "vcluster-snapshot")],
        };
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let policy = self.policies.iter().find(|policy| policy.role == role);
        let namespace = policy.and_then(|policy| policy.namespace.as_deref());
        Endpoint::pod(Arc::new(Pod {
            namespace: namespace.or(self.namespace).unwrap_or_default().to_owned(),
            labels: labels.iter().map(own).collect(),
            ..Pod::default()
        }))
    }

    /// The rules that the user wrote for a role in one direction.
    pub(super) fn written<'p>(
        &self,
        planned: &'p Policies,
        role: Role,
        direction: policy::Direction,
    ) -> Vec<&'p policy::Rule> {
        let mut written = Vec::new();
        for (policy, planned) in self.policies.iter().zip(planned.iter()) {
            let rules = planned.rules(direction).unwrap_or_default().iter();
            if policy.role != role {
                continue;
            }
            let origins: Vec<&Origin> = match direction {
                policy::Direction::Ingress => policy.ingress.iter().map(|r| &r.origin).collect(),
                policy::Direction::Egress => policy.egress.iter().map(|r| &r.origin).collect(),
            };
            let is_written = |origin: &Origin| {
                let field = origin.setting().unwrap_or_default();
                RULE_FIELDS.iter().any(|known| field.starts_with(known))
            };
            let found = rules.zip(origins).filter(|(_, origin)| is_written(origin));
            written.extend(found.map(|(rule, _)| rule));
        }
        written
    }

    /// The rules of all policies, ingress before egress.
    pub(super) fn rule_lists(&self) -> Vec<RuleList<'a>> {
        let mut lists = Vec::new();
        for (index, policy) in self.policies.iter().enumerate() {
            let ingress = policy.ingress.iter().map(|r| Flow {
                origin: &r.origin,
                peers: r.rule.from.as_deref().unwrap_or_default(),
                ports: r.rule.ports.as_deref().unwrap_or_default(),
            });
            let egress = policy.egress.iter().map(|r| Flow {
                origin: &r.origin,
                peers: r.rule.to.as_deref().unwrap_or_default(),
                ports: r.rule.ports.as_deref().unwrap_or_default(),
            });
            for (direction, flows) in [
                (Direction::Ingress, ingress.collect()),
                (Direction::Egress, egress.collect()),
            ] {
                lists.push(RuleList {
                    policy: index,
                    role: policy.role,
                    direction,
                    flows,
                });
            }
        }
        lists
    }
}

impl RuleList<'_> {
    /// The rules that come from a field of the config: position, path of the field, and rule.
    pub(super) fn written(&self) -> impl Iterator<Item = (usize, &str, &Flow<'_>)> {
        let flows = self.flows.iter().enumerate();
        flows.filter_map(|(index, flow)| match flow.origin {
            Origin::Setting(field) | Origin::Default(field) => Some((index, field.as_str(), flow)),
            Origin::BuiltIn | Origin::Label(_) => None,
        })
    }

    /// The part of the config that a rule of this list is.
    pub(super) fn part(&self, rule: usize) -> Part {
        Part::Rule {
            policy: self.policy,
            direction: self.direction,
            rule,
        }
    }
}

/// Whether a block lets all of a range through.
pub(super) fn reaches(cidr: Cidr, excepts: &[Cidr], range: &str) -> bool {
    let Some(range) = Cidr::parse(range) else {
        return false;
    };
    cidr.contains(range) && !excepts.iter().any(|e| e.contains(range))
}

/// The block of one address.
pub(super) fn host_block(address: IpAddr) -> String {
    let length = if address.is_ipv6() { 128 } else { 32 };
    format!("{address}/{length}")
}

/// Whether a port entry includes a number, whatever the protocol.
pub(super) fn includes(port: &NetworkPolicyPort, number: i32) -> bool {
    match &port.port {
        None => true,
        Some(IntOrString::Int(first)) => {
            (*first..=port.end_port.unwrap_or(*first)).contains(&number)
        }
        Some(IntOrString::String(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcluster::policies::{Subject, policies};
    use serde_json::{Value, json};

    fn advice(config: Value, dns: Dns, audience: Audience) -> Vec<String> {
        let (settings, _) = Settings::from_json(config, Quoting::Show).unwrap();
        let subject = Subject {
            separate_dns: dns != Dns::Embedded,
            ..Subject::for_tests()
        };
        let policies = policies(&subject, &settings);
        warnings(&View {
            settings: &settings,
            policies: &policies,
            dns,
            quoting: Quoting::Show,
            audience,
            release: "a",
            namespace: None,
            values: Values::default(),
            planned: &OnceCell::new(),
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
