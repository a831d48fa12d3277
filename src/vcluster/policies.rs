//! The policies of one virtual cluster, rule by rule, each with its origin.
//!
//! Pure: settings and an edition go in, typed policies come out. It reads like the vCluster
//! documentation page on network policies, which it implements; bytes and YAML are not its
//! business. Where editions differ, the difference stands at the rule.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::vcluster::actors::MANAGED_BY;
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
}

impl Policy {
    /// The policy's spec as Kubernetes has it.
    #[must_use]
    pub fn spec(&self) -> NetworkPolicySpec {
        let rules = |none: bool| !none;
        NetworkPolicySpec {
            pod_selector: Some(self.pod_selector.clone()),
            policy_types: Some(vec!["Egress".to_owned(), "Ingress".to_owned()]),
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

impl Subject<'_> {
    /// Whether pods of the workloads need policies in the host cluster: those on private nodes are
    /// out of its reach.
    fn runs_workloads_in_host_cluster(&self) -> bool {
        !(self.private_nodes && self.edition.private_nodes_have_no_workload_policy)
    }
}

/// The policies of a virtual cluster: those for workloads and control plane, in this order.
#[must_use]
pub fn policies(subject: &Subject<'_>, settings: &Settings) -> Vec<Policy> {
    let mut policies = Vec::new();
    if subject.runs_workloads_in_host_cluster() {
        policies.push(workload(subject, settings));
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

/// The range that workloads reach beyond the cluster.
#[must_use]
pub fn public_block(public: &PublicEgress) -> IPBlock {
    IPBlock {
        cidr: public.cidr.clone(),
        except: (!public.except.is_empty()).then(|| public.except.clone()),
    }
}

fn workload(subject: &Subject<'_>, settings: &Settings) -> Policy {
    let release = subject.release;
    let mut egress = vec![
        built_in(
            "Workloads resolve names and call the API at their own control plane.",
            egress(
                vec![port(1053, "UDP"), port(1053, "TCP"), port(8443, "TCP")],
                vec![pods(control_plane_pods(release))],
            ),
        ),
        built_in(
            "Workloads talk to each other, and to CoreDNS where it is not embedded.",
            egress(vec![], vec![pods(workload_pods(release))]),
        ),
    ];
    let public = &settings.public_egress;
    if public.enabled {
        egress.push(Rule {
            origin: if public.is_default() {
                Origin::Default(public.field.to_owned())
            } else {
                Origin::Setting(public.field.to_owned())
            },
            comment: "Workloads reach the internet, but not the excepted ranges.".to_owned(),
            rule: self::egress(
                vec![],
                vec![NetworkPolicyPeer {
                    ip_block: Some(IPBlock {
                        cidr: public.cidr.clone(),
                        except: (!public.except.is_empty()).then(|| public.except.clone()),
                    }),
                    ..NetworkPolicyPeer::default()
                }],
            ),
        });
    }
    let mut ingress = vec![
        built_in(
            "The control plane reaches its workloads.",
            self::ingress(vec![], vec![pods(control_plane_pods(release))]),
        ),
        built_in(
            "Workloads talk to each other.",
            self::ingress(vec![], vec![pods(workload_pods(release))]),
        ),
    ];
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
                vec![NetworkPolicyPeer {
                    namespace_selector: Some(labelled(label, project)),
                    pod_selector: Some(labelled("app", "vcluster")),
                    ip_block: None,
                }],
            ),
        ));
    }
    egress.extend(settings.workload.egress.iter().map(of_user));
    ingress.extend(settings.workload.ingress.iter().map(of_user));
    Policy {
        namespace: subject
            .workload_namespace
            .or(subject.namespace)
            .map(str::to_owned),
        ..policy(
            subject,
            settings,
            Role::Workload,
            workload_pods(release),
            egress,
            ingress,
        )
    }
}

fn control_plane(subject: &Subject<'_>, settings: &Settings) -> Policy {
    let release = subject.release;
    let mut egress = vec![
        built_in(
            "The control plane resolves names at the host's DNS.",
            egress(vec![], vec![host_dns()]),
        ),
        built_in(
            "The control plane calls the host's API server, at whatever address.",
            egress(host_api_ports(), vec![]),
        ),
        built_in(
            "Members of the control plane, etcd among them, talk to each other.",
            egress(vec![], vec![pods(control_plane_pods(release))]),
        ),
        built_in(
            "The control plane reaches its workloads.",
            egress(vec![], vec![pods(workload_pods(release))]),
        ),
    ];
    if settings.platform {
        egress.push(built_in(
            "The control plane reaches the vCluster Platform.",
            self::egress(vec![], vec![platform()]),
        ));
    }
    let mut ingress = Vec::new();
    if subject.edition.api_open_to_everyone {
        ingress.push(built_in(
            "The virtual cluster's API is reachable from anywhere.",
            self::ingress(vec![port(8443, "TCP")], vec![]),
        ));
    }
    ingress.extend([
        built_in(
            "Members of the control plane, etcd among them, talk to each other.",
            self::ingress(vec![], vec![pods(control_plane_pods(release))]),
        ),
        built_in(
            "Workloads resolve names and call the API.",
            self::ingress(
                vec![port(1053, "UDP"), port(1053, "TCP"), port(8443, "TCP")],
                vec![pods(workload_pods(release))],
            ),
        ),
        built_in(
            "Snapshot pods may come in.",
            self::ingress(vec![], vec![pods(labelled("app", "vcluster-snapshot"))]),
        ),
        built_in(
            "The vCluster Platform may come in.",
            self::ingress(vec![], vec![platform()]),
        ),
    ]);
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
    policy(
        subject,
        settings,
        Role::ControlPlane,
        control_plane_pods(release),
        egress,
        ingress,
    )
}

fn kube_dns(subject: &Subject<'_>, settings: &Settings) -> Policy {
    let release = subject.release;
    let mut pods_of_dns = workload_pods(release);
    if let Some(labels) = &mut pods_of_dns.match_labels {
        labels.insert("k8s-app".to_owned(), "vcluster-kube-dns".to_owned());
    }
    let egress = vec![
        built_in(
            "The virtual cluster's DNS asks the host's.",
            egress(vec![], vec![host_dns()]),
        ),
        built_in(
            "The virtual cluster's DNS calls the API of its control plane.",
            egress(
                vec![port(8443, "TCP")],
                vec![pods(control_plane_pods(release))],
            ),
        ),
    ];
    let ingress = vec![built_in(
        "Workloads resolve names.",
        ingress(
            vec![port(1053, "TCP"), port(1053, "UDP")],
            vec![pods(workload_pods(release))],
        ),
    )];
    policy(
        subject,
        settings,
        Role::KubeDns,
        pods_of_dns,
        egress,
        ingress,
    )
}

fn snapshot(subject: &Subject<'_>, settings: &Settings) -> Policy {
    let egress = vec![
        built_in(
            "Snapshot pods reach the control plane.",
            egress(vec![], vec![pods(control_plane_pods(subject.release))]),
        ),
        built_in(
            "Snapshot pods resolve names at the host's DNS.",
            egress(vec![], vec![host_dns()]),
        ),
        built_in(
            "Snapshot pods call the host's API server, at whatever address.",
            egress(host_api_ports(), vec![]),
        ),
    ];
    let selector = labelled("app", "vcluster-snapshot");
    policy(subject, settings, Role::Snapshot, selector, egress, vec![])
}

fn policy(
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

fn built_in<R>(comment: &str, rule: R) -> Rule<R> {
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

fn of_user<R: Clone>(user: &UserRule<R>) -> Rule<R> {
    Rule {
        origin: Origin::Setting(user.field.clone()),
        comment: comment_of_field(&user.field),
        rule: user.rule.clone(),
    }
}

fn egress(ports: Vec<NetworkPolicyPort>, to: Vec<NetworkPolicyPeer>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        ports: (!ports.is_empty()).then_some(ports),
        to: (!to.is_empty()).then_some(to),
    }
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

fn port(number: i32, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    }
}

/// Where API servers listen: in the host cluster, in a vCluster, in kubeadm's clusters.
fn host_api_ports() -> Vec<NetworkPolicyPort> {
    vec![port(443, "TCP"), port(8443, "TCP"), port(6443, "TCP")]
}

fn labelled(key: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some([(key.to_owned(), value.to_owned())].into()),
        match_expressions: None,
    }
}

fn workload_pods(release: &str) -> LabelSelector {
    labelled(MANAGED_BY, release)
}

fn control_plane_pods(release: &str) -> LabelSelector {
    labelled("release", release)
}

fn pods(selector: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(selector),
        ..NetworkPolicyPeer::default()
    }
}

fn host_dns() -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(labelled("kubernetes.io/metadata.name", "kube-system")),
        pod_selector: Some(labelled("k8s-app", "kube-dns")),
        ip_block: None,
    }
}

/// The Platform, in whatever namespace it runs.
fn platform() -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(labelled("app", "loft")),
        ip_block: None,
    }
}

/// The workloads of all virtual clusters in the namespaces of a project.
fn project_workloads(namespace_label: &str, project: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(labelled(namespace_label, project)),
        pod_selector: Some(LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: MANAGED_BY.to_owned(),
                operator: "Exists".to_owned(),
                values: None,
            }]),
        }),
        ip_block: None,
    }
}
