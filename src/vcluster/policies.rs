//! The policies of one virtual cluster, rule by rule, each with its origin.
//!
//! Pure: settings and an edition go in, typed policies come out. It reads like the vCluster
//! documentation page on network policies, which it implements; bytes and YAML are not its
//! business. Where editions differ, the difference stands at the rule.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::egress_only;
use super::peers::{
    Peers, Target, control_plane_pods, pods, port, project_workloads, workload_pods,
};
use crate::vcluster::config::settings::{PublicEgress, Settings, UserRule};
use crate::vcluster::edition::Edition;
use netpol::model::policy::Origin;

/// The label of the policies that names the project of a virtual cluster.
pub const PROJECT_LABEL: &str = "vcluster.io/project";

/// The label by which the Platform names the project of a host namespace.
pub const PROJECT_NAMESPACE_LABEL: &str = "loft.sh/vcluster-instance-project";

/// The labels of the policies that come from the chart and the release.
pub const CHART_LABELS: [&str; 4] = ["app", "chart", "heritage", "release"];

/// Which of the policies of a virtual cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `vc-work-NAME`: the pods of the virtual cluster.
    Workload,
    /// `vc-cp-NAME`: its control plane.
    ControlPlane,
    /// `vc-kube-dns-NAME`: its DNS, where that is not embedded in the control plane.
    KubeDns,
    /// `vc-snapshot-NAME`: the pods that take snapshots.
    Snapshot,
}

impl Role {
    /// Whether it is a companion, which is written only where it is missing.
    #[must_use]
    pub fn is_companion(self) -> bool {
        matches!(self, Self::KubeDns | Self::Snapshot)
    }

    /// The name of the policy.
    #[must_use]
    pub fn policy_name(self, release: &str) -> String {
        let prefix = match self {
            Self::Workload => "vc-work",
            Self::ControlPlane => "vc-cp",
            Self::KubeDns => "vc-kube-dns",
            Self::Snapshot => "vc-snapshot",
        };
        format!("{prefix}-{release}")
    }
}

/// A rule with its origin and the comment that is written above it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule<R> {
    /// What made it. A setting is a field of the config, by its path below the config.
    pub origin: Origin,
    /// Why it is there, in one line.
    pub comment: String,
    /// The rule.
    pub rule: R,
}

/// A NetworkPolicy.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Which one.
    pub role: Role,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// `metadata.labels`, in the order in which they are written.
    pub labels: Vec<(String, String)>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `spec.podSelector`.
    pub pod_selector: LabelSelector,
    /// `spec.egress`.
    pub egress: Vec<Rule<NetworkPolicyEgressRule>>,
    /// `spec.ingress`.
    pub ingress: Vec<Rule<NetworkPolicyIngressRule>>,
    /// Whether `spec.policyTypes` is egress alone, so that ingress is not restricted.
    pub is_egress_only: bool,
}

impl Policy {
    /// The policy's spec as Kubernetes has it.
    #[must_use]
    pub fn spec(&self) -> NetworkPolicySpec {
        let rules = |none: bool| !none;
        let mut types = vec!["Egress".to_owned()];
        if !self.is_egress_only {
            types.push("Ingress".to_owned());
        }
        NetworkPolicySpec {
            pod_selector: Some(self.pod_selector.clone()),
            policy_types: Some(types),
            egress: rules(self.egress.is_empty())
                .then(|| self.egress.iter().map(|r| r.rule.clone()).collect()),
            ingress: rules(self.ingress.is_empty())
                .then(|| self.ingress.iter().map(|r| r.rule.clone()).collect()),
        }
    }
}

/// What the policies are made for.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// The Helm release.
    pub release: &'a str,
    /// The namespace of the policies.
    pub namespace: Option<&'a str>,
    /// The namespace of the workloads, where it is another.
    pub workload_namespace: Option<&'a str>,
    /// Further namespaces of workloads, which get a policy of their own.
    pub mapped_namespaces: &'a [String],
    /// The label `chart`, a valid label value.
    pub chart: Option<&'a str>,
    /// The label `heritage`.
    pub heritage: &'a str,
    /// The shape of the policies.
    pub edition: Edition,
    /// Whether the virtual cluster has nodes of its own (`privateNodes.enabled`).
    pub private_nodes: bool,
    /// Whether its DNS runs in pods of its own: enabled and not embedded in the control plane.
    pub separate_dns: bool,
    /// `controlPlane.advanced.globalMetadata.annotations`.
    pub global_annotations: &'a BTreeMap<String, String>,
    /// The namespace label that names the project.
    pub project_namespace_label: &'a str,
}

#[cfg(test)]
impl Subject<'static> {
    /// The virtual cluster `a` with the defaults of the chart, for tests to change.
    pub(crate) fn for_tests() -> Self {
        static NO_ANNOTATIONS: BTreeMap<String, String> = BTreeMap::new();
        Self {
            release: "a",
            namespace: None,
            workload_namespace: None,
            mapped_namespaces: &[],
            chart: None,
            heritage: "Helm",
            edition: Edition::documented(),
            private_nodes: false,
            separate_dns: false,
            global_annotations: &NO_ANNOTATIONS,
            project_namespace_label: PROJECT_NAMESPACE_LABEL,
        }
    }
}

impl Subject<'_> {
    /// Whether pods of the workloads need policies in the host cluster: those on private nodes are
    /// out of its reach.
    fn runs_workloads_in_host_cluster(&self) -> bool {
        !(self.private_nodes && self.edition.private_nodes_have_no_workload_policy)
    }
}

/// The policies of a virtual cluster: those for workloads, one for each of their namespaces, and
/// that for the control plane, in this order.
#[must_use]
pub fn policies(subject: &Subject<'_>, settings: &Settings) -> Vec<Policy> {
    if subject.edition.is_egress_only {
        return egress_only::policies(subject, settings);
    }
    let mut policies = Vec::new();
    if subject.runs_workloads_in_host_cluster() {
        policies.push(workload(subject, settings));
        let mapped = subject.mapped_namespaces.iter();
        policies.extend(mapped.map(|name| workload_in(subject, settings, Some(name))));
    }
    policies.push(control_plane(subject, settings));
    policies
}

/// The companions of the two: for DNS and for snapshots.
#[must_use]
pub fn companions(subject: &Subject<'_>, settings: &Settings) -> Vec<Policy> {
    let mut policies = Vec::new();
    if subject.separate_dns && subject.runs_workloads_in_host_cluster() {
        policies.push(kube_dns(subject, settings));
    }
    policies.push(snapshot(subject, settings));
    policies
}

fn workload(subject: &Subject<'_>, settings: &Settings) -> Policy {
    let namespace = subject.workload_namespace.or(subject.namespace);
    workload_in(subject, settings, namespace)
}

/// The policy for the workloads of one namespace.
fn workload_in(subject: &Subject<'_>, settings: &Settings, namespace: Option<&str>) -> Policy {
    let peers = Peers::new(subject, &settings.host, namespace);
    let mut egress = vec![
        built_in(
            "Workloads resolve names and call the API at their own control plane.",
            egress(api_and_dns_ports(), peers.control_plane()),
        ),
        built_in(
            "Workloads talk to each other, and to CoreDNS where it is not embedded.",
            egress(vec![], peers.workloads()),
        ),
    ];
    let mut ingress = vec![
        built_in(
            "The control plane reaches its workloads.",
            ingress(vec![], peers.control_plane()),
        ),
        built_in(
            "Workloads talk to each other.",
            ingress(vec![], peers.workloads()),
        ),
    ];
    set_origin(&mut egress, &peers.inner_origin());
    set_origin(&mut ingress, &peers.inner_origin());
    egress.extend(public_egress(&settings.public_egress));
    if let Some(project) = project(settings) {
        let label = subject.project_namespace_label;
        ingress.push(of_project(
            "Workloads of other virtual clusters of the project may come in.",
            self::ingress(vec![], vec![project_workloads(label, project)]),
        ));
        egress.push(of_project(
            "Workloads reach those of other virtual clusters of the project.",
            self::egress(vec![], vec![project_workloads(label, project)]),
        ));
        egress.push(of_project(
            "Workloads call the APIs of other virtual clusters of the project.",
            self::egress(
                vec![port(8443, "TCP")],
                vec![peers.project_control_planes(project)],
            ),
        ));
    }
    egress.extend(settings.workload.egress.iter().map(of_user));
    ingress.extend(settings.workload.ingress.iter().map(of_user));
    let pods = workload_pods(subject.release);
    Policy {
        namespace: namespace.map(str::to_owned),
        ..policy(subject, settings, Role::Workload, pods, egress, ingress)
    }
}

/// The rules that let workloads reach the internet.
fn public_egress(public: &PublicEgress) -> Vec<Rule<NetworkPolicyEgressRule>> {
    if !public.enabled {
        return Vec::new();
    }
    let rule = |block| {
        let peer = NetworkPolicyPeer {
            ip_block: Some(block),
            ..NetworkPolicyPeer::default()
        };
        egress(vec![], vec![peer])
    };
    let mut rules = vec![Rule {
        origin: match (public.is_default(), public.is_hardened()) {
            (false, _) => Origin::Setting(public.field.to_owned()),
            (true, true) => Origin::Setting("hardened".to_owned()),
            (true, false) => Origin::Default(public.field.to_owned()),
        },
        comment: "Workloads reach the internet, but not the excepted ranges.".to_owned(),
        rule: rule(public.block()),
    }];
    let further = public.further.iter().enumerate();
    rules.extend(further.map(|(index, block)| {
        let field = PublicEgress::field_of_further(index);
        Rule {
            comment: comment_of_field(&field),
            origin: Origin::Setting(field),
            rule: rule(block.clone()),
        }
    }));
    rules
}

fn control_plane(subject: &Subject<'_>, settings: &Settings) -> Policy {
    let peers = Peers::new(subject, &settings.host, subject.namespace);
    let mut egress = control_plane_egress(&peers, settings);
    let mut ingress = control_plane_ingress(subject, &peers);
    if let Some(project) = project(settings) {
        ingress.push(of_project(
            "Workloads of other virtual clusters of the project call the API.",
            self::ingress(
                vec![port(8443, "TCP")],
                vec![project_workloads(subject.project_namespace_label, project)],
            ),
        ));
    }
    egress.extend(settings.control_plane.egress.iter().map(of_user));
    ingress.extend(settings.control_plane.ingress.iter().map(of_user));
    let pods = control_plane_pods(subject.release);
    policy(subject, settings, Role::ControlPlane, pods, egress, ingress)
}

fn control_plane_egress(
    peers: &Peers<'_>,
    settings: &Settings,
) -> Vec<Rule<NetworkPolicyEgressRule>> {
    let mut rules = vec![
        egress_to(
            "The control plane resolves names at the host's DNS.",
            peers.host_dns(),
        ),
        egress_to_host_api("The control plane calls", peers.host_api()),
        built_in(
            "Members of the control plane, etcd among them, talk to each other.",
            egress(vec![], peers.control_plane()),
        ),
        Rule {
            origin: peers.inner_origin(),
            ..built_in(
                "The control plane reaches its workloads.",
                egress(vec![], peers.workloads()),
            )
        },
    ];
    if let Some(platform) = peers.platform().filter(|_| settings.platform) {
        rules.push(egress_to(
            "The control plane reaches the vCluster Platform.",
            platform,
        ));
    }
    rules
}

fn control_plane_ingress(
    subject: &Subject<'_>,
    peers: &Peers<'_>,
) -> Vec<Rule<NetworkPolicyIngressRule>> {
    let mut rules = Vec::new();
    if subject.edition.api_open_to_everyone {
        rules.push(built_in(
            "The virtual cluster's API is reachable from anywhere.",
            ingress(vec![port(8443, "TCP")], vec![]),
        ));
    }
    rules.extend([
        built_in(
            "Members of the control plane, etcd among them, talk to each other.",
            ingress(vec![], peers.control_plane()),
        ),
        Rule {
            origin: peers.inner_origin(),
            ..built_in(
                "Workloads resolve names and call the API.",
                ingress(api_and_dns_ports(), peers.workloads()),
            )
        },
        Rule {
            origin: peers.hardened_origin(),
            ..built_in(
                "Snapshot pods may come in.",
                ingress(vec![], vec![pods(peers.snapshots())]),
            )
        },
    ]);
    if let Some(platform) = peers.platform() {
        rules.push(Rule {
            origin: platform.origin,
            ..built_in(
                "The vCluster Platform may come in.",
                ingress(platform.ports, platform.peers),
            )
        });
    }
    rules
}

fn kube_dns(subject: &Subject<'_>, settings: &Settings) -> Policy {
    let peers = Peers::new(subject, &settings.host, subject.namespace);
    let egress = vec![
        egress_to(
            "The virtual cluster's DNS asks the host's.",
            peers.host_dns(),
        ),
        built_in(
            "The virtual cluster's DNS calls the API of its control plane.",
            egress(vec![port(8443, "TCP")], peers.control_plane()),
        ),
    ];
    let ingress = vec![Rule {
        origin: peers.inner_origin(),
        ..built_in(
            "Workloads resolve names.",
            ingress(
                vec![port(1053, "TCP"), port(1053, "UDP")],
                peers.workloads(),
            ),
        )
    }];
    let pods = peers.own_dns();
    policy(subject, settings, Role::KubeDns, pods, egress, ingress)
}

fn snapshot(subject: &Subject<'_>, settings: &Settings) -> Policy {
    let peers = Peers::new(subject, &settings.host, subject.namespace);
    let egress = vec![
        built_in(
            "Snapshot pods reach the control plane.",
            egress(vec![], peers.control_plane()),
        ),
        egress_to(
            "Snapshot pods resolve names at the host's DNS.",
            peers.host_dns(),
        ),
        egress_to_host_api("Snapshot pods call", peers.host_api()),
    ];
    let pods = peers.snapshots();
    policy(subject, settings, Role::Snapshot, pods, egress, vec![])
}

pub(super) fn policy(
    subject: &Subject<'_>,
    settings: &Settings,
    role: Role,
    pod_selector: LabelSelector,
    egress: Vec<Rule<NetworkPolicyEgressRule>>,
    ingress: Vec<Rule<NetworkPolicyIngressRule>>,
) -> Policy {
    Policy {
        role,
        name: role.policy_name(subject.release),
        namespace: subject.namespace.map(str::to_owned),
        labels: labels(subject, settings),
        annotations: annotations(subject, settings),
        pod_selector,
        egress,
        ingress,
        is_egress_only: false,
    }
}

/// The chart's four labels, and the user's behind them: those can't override the chart's.
fn labels(subject: &Subject<'_>, settings: &Settings) -> Vec<(String, String)> {
    let own = [
        ("app", Some("vcluster")),
        ("chart", subject.chart),
        ("heritage", Some(subject.heritage)),
        ("release", Some(subject.release)),
    ];
    let user = settings
        .labels
        .iter()
        .filter(|(key, _)| !own.iter().any(|(name, _)| name == key));
    own.iter()
        .filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned())))
        .chain(user.map(|(k, v)| (k.clone(), v.clone())))
        .collect()
}

/// The user's annotations; the global ones win, but an empty one loses to one that is not.
fn annotations(subject: &Subject<'_>, settings: &Settings) -> BTreeMap<String, String> {
    let mut merged = settings.annotations.clone();
    for (key, value) in subject.global_annotations {
        if !(value.is_empty() && merged.get(key).is_some_and(|v| !v.is_empty())) {
            merged.insert(key.clone(), value.clone());
        }
    }
    merged
}

fn project(settings: &Settings) -> Option<&str> {
    settings
        .labels
        .get(PROJECT_LABEL)
        .map(String::as_str)
        .filter(|project| !project.is_empty())
}

pub(super) fn built_in<R>(comment: &str, rule: R) -> Rule<R> {
    Rule {
        origin: Origin::BuiltIn,
        comment: comment.to_owned(),
        rule,
    }
}

fn of_project<R>(comment: &str, rule: R) -> Rule<R> {
    Rule {
        origin: Origin::Label(PROJECT_LABEL.to_owned()),
        comment: comment.to_owned(),
        rule,
    }
}

/// The comment above a rule of the user, which says no more than its field.
#[must_use]
pub fn comment_of_field(field: &str) -> String {
    format!("From {field}.")
}

pub(super) fn of_user<R: Clone>(user: &UserRule<R>) -> Rule<R> {
    Rule {
        origin: Origin::Setting(user.field.clone()),
        comment: comment_of_field(&user.field),
        rule: user.rule.clone(),
    }
}

pub(super) fn egress(
    ports: Vec<NetworkPolicyPort>,
    to: Vec<NetworkPolicyPeer>,
) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        ports: (!ports.is_empty()).then_some(ports),
        to: (!to.is_empty()).then_some(to),
    }
}

/// An egress rule to a target that the config can change.
fn egress_to(comment: &str, target: Target) -> Rule<NetworkPolicyEgressRule> {
    Rule {
        origin: target.origin,
        ..built_in(comment, egress(target.ports, target.peers))
    }
}

/// The rule for the host's API server; `who_calls` begins its comment.
fn egress_to_host_api(who_calls: &str, target: Target) -> Rule<NetworkPolicyEgressRule> {
    let address = if target.peers.is_empty() {
        ", at whatever address"
    } else {
        ""
    };
    let comment = format!("{who_calls} the host's API server{address}.");
    egress_to(&comment, target)
}

fn set_origin<R>(rules: &mut [Rule<R>], origin: &Origin) {
    for rule in rules {
        rule.origin = origin.clone();
    }
}

/// Where the control plane answers queries for names, and where its API listens.
fn api_and_dns_ports() -> Vec<NetworkPolicyPort> {
    vec![port(1053, "UDP"), port(1053, "TCP"), port(8443, "TCP")]
}

fn ingress(
    ports: Vec<NetworkPolicyPort>,
    from: Vec<NetworkPolicyPeer>,
) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        ports: (!ports.is_empty()).then_some(ports),
        from: (!from.is_empty()).then_some(from),
    }
}
