//! Whether the virtual clusters of a stream are isolated, each with a verdict and its reasons.
//!
//! ```text
//! stream ──▶ virtual clusters, configs ──▶ the policies that each should have ─┐
//!    └─────▶ policies, pods of the stream ─────────────────────────────────────┴▶ findings ▶ verdict
//! ```
//!
//! A stream is a rendered chart, what `helm get manifest` prints, or objects of a cluster. Policies
//! are compared by what they allow, so defaults of the server, the order of keys and the fields that
//! a server adds are no difference. A verdict is never better than what is proved: without a config
//! it is unknown. [`verdict`] has the facts, [`words`] the sentences, [`formats`] the outputs.

mod evidence;
pub mod formats;
mod large;
pub mod live;
mod openings;
pub mod reach;
pub mod verdict;
pub mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::explain::diff::Diff;
use crate::explain::origins;
use crate::explain::tenant::TenantReport;
use crate::filter::clusters::{self, ClusterPlan, PlannedCluster};
use crate::filter::{GeneratedPolicies, Options, Requirement};
use crate::guard::in_force::AdmissionObjects;
use crate::tenant::{Tenant, worst_tenants};
use crate::vcluster::actors::{COMPANION_PREFIXES, MANAGED_BY, POLICY_PREFIXES};
use crate::vcluster::mapped::MappedNamespaces;
use crate::vcluster::policies::Role;
use evidence::Evidence;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location};
use manifest::documents;
use netpol::evaluate::Policies;
use netpol::kubernetes;
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::{Pod, PodNetwork};
use netpol::model::policy::Policy;
use netpol::model::reader;
use openings::{Baseline, ControlPlanes, OtherPolicies, RELEASE, Subject};
use reach::ReachMatrix;
use verdict::{Finding, PolicyName, Unknown, Verdict};

/// The audit of all inputs.
#[derive(Debug, Default)]
pub struct Report {
    /// One for each stream, in the order of the inputs.
    pub streams: Vec<StreamAudit>,
}

/// The audit of one stream.
#[derive(Debug, Default)]
pub struct StreamAudit {
    /// The file, or what else it was read from.
    pub name: String,
    /// The file, where it is one.
    pub file: Option<String>,
    /// Its virtual clusters.
    pub clusters: Vec<ClusterAudit>,
    /// Why nothing in it could be judged.
    pub errors: Diagnostics,
    /// Policies of kinds that are not evaluated, and that can allow something.
    pub unevaluated: Vec<String>,
    /// What is wrong with its policies, although they could be read.
    pub warnings: Diagnostics,
    /// Whether it holds no object at all.
    pub is_empty: bool,
    /// Whether there must be a virtual cluster in it: the caller named it.
    pub is_named: bool,
    /// Who reaches whom among its virtual clusters, where there are several and not too many.
    pub reach: Option<ReachMatrix>,
    /// The policies in it that are named like those of a virtual cluster.
    own_policies: BTreeSet<PolicyName>,
}

/// The audit of one virtual cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAudit {
    /// The Helm release.
    pub release: String,
    /// Its namespace, if anything says it.
    pub namespace: Option<String>,
    /// The label `chart`.
    pub chart: Option<String>,
    /// What the config was read from, in words.
    pub config: Option<String>,
    /// The companions of its policies that are there and as the chart makes them.
    pub companions: Vec<String>,
    /// Why it is not isolated, the worst first.
    pub findings: Vec<Finding>,
    /// The object that speaks of it first.
    pub place: Location,
    /// What its values need and the policies block, and what they open. The verdict is not about it.
    pub notes: Vec<Diagnostic>,
    /// What a tenant reaches that uses all that it may do, by the policies that are there, where it
    /// was asked for. The verdict is not about it.
    pub worst_tenant: Option<TenantReport>,
}

impl StreamAudit {
    /// Whether nothing speaks against it but its virtual clusters.
    fn is_judged(&self) -> bool {
        self.errors.is_empty() && !self.is_empty && !self.has_nothing()
    }

    /// Whether the caller named it and there is no virtual cluster in it.
    #[must_use]
    pub fn has_nothing(&self) -> bool {
        self.is_named && self.clusters.is_empty() && self.errors.is_empty() && !self.is_empty
    }
}

impl ClusterAudit {
    /// The verdict: that of its worst finding.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.findings.iter().map(Finding::verdict);
        verdicts.min().unwrap_or(Verdict::Isolated)
    }

    /// Its namespace and name.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.release),
            None => self.release.clone(),
        }
    }

    fn of(planned: &PlannedCluster) -> Self {
        let summary = &planned.summary;
        Self {
            release: summary.release.clone(),
            namespace: summary.namespace.clone(),
            chart: summary.chart.clone(),
            config: summary.config.clone(),
            companions: Vec::new(),
            findings: Vec::new(),
            place: planned.place.clone(),
            notes: policies_of(planned).map_or_else(Vec::new, |made| made.notes.clone()),
            worst_tenant: None,
        }
    }
}

impl Report {
    /// Puts the audits of streams together, and notes which stream has what another one misses.
    #[must_use]
    pub fn of(mut streams: Vec<StreamAudit>) -> Self {
        let mut holders: HashMap<PolicyName, Vec<usize>> = HashMap::new();
        for (i, stream) in streams.iter().enumerate() {
            for policy in &stream.own_policies {
                holders.entry(policy.clone()).or_default().push(i);
            }
        }
        let names: Vec<String> = streams.iter().map(|stream| stream.name.clone()).collect();
        for stream in &mut streams {
            for cluster in &mut stream.clusters {
                let namespace = cluster.namespace.clone().unwrap_or_default();
                for finding in &mut cluster.findings {
                    let Finding::Missing {
                        policies,
                        elsewhere,
                    } = finding
                    else {
                        continue;
                    };
                    let first = policies.first().map(|name| PolicyName {
                        namespace: namespace.clone(),
                        name: name.clone(),
                    });
                    let holders = first.and_then(|first| holders.get(&first));
                    let holders = holders.into_iter().flatten().filter_map(|i| names.get(*i));
                    elsewhere.extend(holders.cloned());
                }
            }
        }
        Self { streams }
    }

    /// All virtual clusters.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterAudit> {
        self.streams.iter().flat_map(|stream| &stream.clusters)
    }

    /// How many virtual clusters have each verdict.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Verdict, usize> {
        let mut counts = BTreeMap::new();
        for cluster in self.clusters() {
            *counts.entry(cluster.verdict()).or_default() += 1;
        }
        counts
    }

    /// Whether there is a virtual cluster, and all of them are isolated.
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        self.streams.iter().all(StreamAudit::is_judged)
            && self.clusters().next().is_some()
            && self.clusters().all(|c| c.verdict() == Verdict::Isolated)
    }

    /// Notes for every virtual cluster that is not known to be worse what the cluster's network
    /// plugin does about policies.
    pub fn note_enforcement(&mut self, finding: &Finding) {
        let clusters = self
            .streams
            .iter_mut()
            .flat_map(|stream| &mut stream.clusters);
        for cluster in clusters {
            if !matches!(cluster.verdict(), Verdict::Off) {
                cluster.findings.push(finding.clone());
                cluster.findings.sort_by_key(Finding::verdict);
            }
        }
    }
}

/// What an audit says beside the verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Detail {
    /// Nothing.
    #[default]
    Verdicts,
    /// What a tenant reaches that uses all that it may do.
    WorstTenants,
    /// That, and who reaches whom among the virtual clusters.
    Reach,
}

/// How a stream is judged.
#[derive(Debug, Clone, Default)]
pub struct AuditOptions {
    /// What the filter is told: files, names, namespaces, the edition.
    pub filter: Options,
    /// A policy of a kind that is not evaluated makes the verdict unknown.
    pub strict: bool,
    /// A companion that is not there is missing.
    pub companions: bool,
    /// What to say beside the verdicts.
    pub detail: Detail,
}

/// A stream to audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file, or what else it was read from.
    pub name: String,
    /// The file, where it is one.
    pub file: Option<String>,
    /// Its bytes.
    pub stream: Vec<u8>,
    /// Whether the caller named it: then there must be a virtual cluster in it.
    pub is_named: bool,
}

/// Several streams as one.
fn joined<'s>(streams: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut whole = Vec::new();
    for stream in streams {
        whole.extend_from_slice(b"---\n");
        whole.extend_from_slice(stream.strip_prefix(documents::BOM).unwrap_or(stream));
        whole.push(b'\n');
    }
    whole
}

impl Input {
    /// The inputs as one, which holds the objects of one cluster.
    #[must_use]
    pub fn joined(inputs: &[Self]) -> Self {
        Self {
            name: words::counted(inputs.len(), "input"),
            file: None,
            stream: joined(inputs.iter().map(|input| input.stream.as_slice())),
            is_named: true,
        }
    }
}

/// Whether inputs are parts of what one cluster holds: all their objects come from an API server,
/// and none is in two of them. A dump that is split by kind is such; dumps of two clusters share
/// objects that every cluster has.
#[must_use]
pub fn are_parts_of_one_cluster(inputs: &[Input]) -> bool {
    let mut seen: HashSet<(String, Option<String>, Option<String>)> = HashSet::new();
    inputs
        .iter()
        .all(|input| evidence::is_new_dump(&input.stream, &mut seen))
}

/// Audits the virtual clusters of a stream.
#[must_use]
pub fn audit(input: &Input, options: &AuditOptions) -> StreamAudit {
    let stream = &*large::split_lists(&input.stream);
    let mut audit = StreamAudit {
        name: input.name.clone(),
        file: input.file.clone(),
        is_empty: documents::says_nothing(stream),
        is_named: input.is_named,
        ..StreamAudit::default()
    };
    // Companions are compared where they are there. An annotation that opens more than the Secret
    // proves nothing, as with --require.
    let filter = Options {
        companions: true,
        require: Requirement::Policies,
        ..options.filter.clone()
    };
    let planned = match clusters::clusters(stream, &filter) {
        Ok(planned) => planned,
        Err(problems) => {
            audit.errors = problems;
            return audit;
        }
    };
    match Scene::read(&input.name, stream, &planned, &filter) {
        Ok(scene) => scene.judge(&mut audit, options),
        // What the policies are is unknown, and so is whether those asked for are there.
        Err(problems) if planned.is_empty() => audit.errors = problems,
        Err(problems) => audit.clusters.extend(planned.iter().map(|planned| {
            let mut cluster = ClusterAudit::of(planned);
            cluster.findings = vec![without_policies(planned, Vec::new()).unwrap_or_else(|| {
                Finding::Unknown(Unknown::Unreadable {
                    problems: problems.clone(),
                })
            })];
            cluster
        })),
    }
    audit
}

/// What is to be said of a virtual cluster whose config makes no policies; `present` are policies of
/// its own that are there nevertheless.
fn without_policies(planned: &PlannedCluster, present: Vec<String>) -> Option<Finding> {
    let summary = &planned.summary;
    let reason = summary.reason.clone().unwrap_or_default();
    let remedy = summary.remedy.clone().unwrap_or_default();
    match &planned.plan {
        ClusterPlan::Policies(_) => None,
        ClusterPlan::Disabled => Some(Finding::Off {
            reason,
            remedy,
            present,
        }),
        ClusterPlan::WithoutConfig => Some(Finding::Unknown(Unknown::NoConfig {
            reason,
            remedy,
            present,
        })),
        ClusterPlan::Rejected(problems) => Some(Finding::Unknown(Unknown::Rejected {
            problems: problems.clone(),
        })),
    }
}

/// All that is known of a stream.
struct Scene<'p> {
    planned: &'p [PlannedCluster],
    /// What the configs make, companions included, by namespace and name.
    expected: HashMap<PolicyName, Policy>,
    model: ClusterModel,
    evidence: Evidence,
    admission: AdmissionObjects,
    /// The namespace of objects that state none; empty where nothing says it.
    namespace: String,
}

impl<'p> Scene<'p> {
    fn read(
        name: &str,
        stream: &[u8],
        planned: &'p [PlannedCluster],
        options: &Options,
    ) -> Result<Self, Diagnostics> {
        let stated = planned.iter().filter_map(|p| p.summary.namespace.as_ref());
        let namespace = options.overrides.namespace_or_sole(stated);
        let model = reader::read_all([(name, stream)], &namespace)?;
        let mut expected = HashMap::new();
        for made in planned.iter().filter_map(policies_of) {
            let policies = origins::policies(std::slice::from_ref(made), &namespace)
                .map_err(|e| Diagnostics::from(Diagnostic::error(e.to_string())))?;
            expected.extend(policies.into_iter().map(|p| (name_of(&p), p)));
        }
        Ok(Self {
            planned,
            expected,
            evidence: Evidence::of(stream, &namespace),
            admission: AdmissionObjects::read(stream),
            model,
            namespace,
        })
    }

    fn judge(&self, audit: &mut StreamAudit, options: &AuditOptions) {
        let mut present: HashMap<PolicyName, Vec<&Policy>> = HashMap::new();
        for policy in self.model.policies().iter() {
            let name = name_of(policy);
            let metadata = self.evidence.policies.get(&name);
            // A hook is no part of the release: it comes and goes.
            if !metadata.is_some_and(|m| m.is_hook) {
                present.entry(name).or_default().push(policy);
            }
        }
        let as_expected: HashSet<&PolicyName> = (self.expected.iter())
            .filter(|(name, policy)| {
                present
                    .get(name)
                    .is_some_and(|p| difference(policy, p, None).is_empty())
            })
            .map(|(name, _)| name)
            .collect();
        let is_other = |policy: &&Policy| !as_expected.contains(&name_of(policy));
        let judge = Judge {
            scene: self,
            others: self.model.policies().iter().filter(is_other).collect(),
            control_planes: ControlPlanes::of(&self.model),
            present,
            as_expected,
            pods: PodsOfClusters::of(self),
            known: self.known(),
            is_strict: options.strict,
            needs_companions: options.companions,
        };
        audit.clusters = self.planned.iter().map(|p| judge.cluster(p)).collect();
        if options.detail >= Detail::WorstTenants {
            self.note_worst_tenants(&mut audit.clusters);
        }
        audit.clusters.extend(judge.without_a_config());
        audit.unevaluated = (self.evidence.other_policies.iter())
            .map(evidence::OtherPolicy::describe)
            .collect();
        audit.warnings = self.model.warnings().clone();
        audit.own_policies = self.own_policies().map(name_of).collect();
        if options.detail >= Detail::Reach {
            audit.reach = ReachMatrix::of(&audit.clusters, &self.model, &self.namespace);
        }
    }

    /// Notes for the planned virtual clusters, which are in the order of the plan, what their worst
    /// tenants reach.
    fn note_worst_tenants(&self, clusters: &mut [ClusterAudit]) {
        let mut tenants = Vec::new();
        let mut judged = Vec::new();
        for (planned, cluster) in self.planned.iter().zip(clusters) {
            if let Some(made) = policies_of(planned) {
                let admission = self.admission.for_pods(made);
                tenants.push(Tenant {
                    admission,
                    ..Tenant::of(made, &self.namespace)
                });
                judged.push(cluster);
            }
        }
        let answers = worst_tenants(&self.model, &tenants);
        for (cluster, answer) in judged.into_iter().zip(&answers) {
            cluster.worst_tenant = Some(TenantReport::of(cluster.title(), answer));
        }
    }

    /// Namespace and release of each planned virtual cluster.
    fn known(&self) -> HashSet<(&str, &str)> {
        let summaries = self.planned.iter().map(|planned| &planned.summary);
        summaries
            .map(|summary| {
                let namespace = summary.namespace.as_deref().unwrap_or(&self.namespace);
                (namespace, summary.release.as_str())
            })
            .collect()
    }

    /// The policies that are named like those of a virtual cluster, and that no tenant made.
    fn own_policies(&self) -> impl Iterator<Item = &Policy> {
        self.model.policies().iter().filter(|policy| {
            let metadata = self.evidence.policies.get(&name_of(policy));
            own_release(policy).is_some() && metadata.is_none_or(|m| m.tenant.is_none())
        })
    }

    /// The namespace of a virtual cluster; empty where nothing says it.
    fn namespace_of<'a>(&'a self, cluster: &'a ClusterAudit) -> &'a str {
        cluster.namespace.as_deref().unwrap_or(&self.namespace)
    }
}

/// The release that the name of a policy speaks of, where it is one of the two.
fn own_release(policy: &Policy) -> Option<&str> {
    (POLICY_PREFIXES.iter()).find_map(|prefix| policy.name.strip_prefix(prefix))
}

fn policies_of(planned: &PlannedCluster) -> Option<&GeneratedPolicies> {
    match &planned.plan {
        ClusterPlan::Policies(made) => Some(made),
        _ => None,
    }
}

fn name_of(policy: &Policy) -> PolicyName {
    PolicyName {
        namespace: policy.namespace.clone(),
        name: policy.name.clone(),
    }
}

/// What changes in reachability from a policy to those that have its name, beside another policy
/// for the same pods.
fn difference(expected: &Policy, present: &[&Policy], beside: Option<&Policy>) -> Diff {
    let beside = || beside.into_iter();
    let expected: Policies = beside().chain([expected]).cloned().collect();
    let present: Policies = beside().chain(present.iter().copied()).cloned().collect();
    Diff::between(&expected, &present)
}

/// The pods of virtual clusters, found by the name of the virtual cluster.
#[derive(Debug, Default)]
struct PodsOfClusters<'m> {
    /// The pods that the syncer made.
    workloads: HashMap<&'m str, Vec<&'m Pod>>,
    /// The pods on the network of their node.
    on_host_network: HashMap<&'m str, Vec<&'m Pod>>,
}

impl<'m> PodsOfClusters<'m> {
    fn of(scene: &'m Scene<'_>) -> Self {
        let mut found = Self::default();
        let pods = scene.model.pods().iter();
        for pod in pods.filter(|pod| pod.network != PodNetwork::Ended) {
            let workload = pod.labels.get(MANAGED_BY);
            if let Some(cluster) = workload {
                found.workloads.entry(cluster).or_default().push(pod);
            }
            if let (PodNetwork::Host, Some(cluster)) =
                (pod.network, workload.or(pod.labels.get(RELEASE)))
            {
                found.on_host_network.entry(cluster).or_default().push(pod);
            }
        }
        found
    }
}

/// Namespaces and names of pods.
fn names_of<'p>(pods: impl Iterator<Item = &'p Pod>) -> Vec<String> {
    pods.map(|pod| format!("{}/{}", pod.namespace, pod.name))
        .collect()
}

/// The policies that the config of a virtual cluster makes, and what is there of them.
#[derive(Debug, Default)]
struct OwnPolicies<'s> {
    /// Those for workloads and control plane.
    subjects: Vec<(Subject, &'s Policy)>,
    /// All that should be there, and the companions that are.
    baseline: Policies,
    /// From those that the config makes to those that are there, each by itself: no pod is both a
    /// workload and a member of the control plane.
    diff: Diff,
    missing: Vec<String>,
    companions: Vec<String>,
}

/// Judges the virtual clusters of one stream.
struct Judge<'s> {
    scene: &'s Scene<'s>,
    /// All policies of the stream that are not just what some config makes.
    others: OtherPolicies<'s>,
    control_planes: ControlPlanes<'s>,
    /// The policies of the stream, by name; hooks are left out.
    present: HashMap<PolicyName, Vec<&'s Policy>>,
    /// The policies that allow just what a config says.
    as_expected: HashSet<&'s PolicyName>,
    pods: PodsOfClusters<'s>,
    /// Namespace and release of each virtual cluster that more than its policies or pods speak of.
    known: HashSet<(&'s str, &'s str)>,
    is_strict: bool,
    needs_companions: bool,
}

impl Judge<'_> {
    fn cluster(&self, planned: &PlannedCluster) -> ClusterAudit {
        let mut audit = ClusterAudit::of(planned);
        if let ClusterPlan::Policies(made) = &planned.plan {
            self.compare(made, &planned.mapped, &mut audit);
        } else {
            let present = self.own_names(&audit);
            audit.findings.extend(without_policies(planned, present));
        }
        audit.findings.sort_by_key(Finding::verdict);
        audit
    }

    /// Compares what a config makes with what is there.
    fn compare(
        &self,
        made: &GeneratedPolicies,
        mapped: &MappedNamespaces,
        audit: &mut ClusterAudit,
    ) {
        let own = self.own_policies(made);
        if !own.missing.is_empty() {
            audit.findings.push(Finding::Missing {
                policies: own.missing,
                elsewhere: Vec::new(),
            });
        }
        if !own.diff.is_empty() {
            audit.findings.push(Finding::Different { diff: own.diff });
        }
        audit.companions = own.companions;
        self.widened(&own.baseline, &own.subjects, audit);
        self.uncovered(&own.baseline, audit);
        let mut namespaces = mapped.exact.clone();
        namespaces.retain(|name| own.baseline.iter().all(|policy| policy.namespace != *name));
        if mapped.has_patterns || !namespaces.is_empty() {
            audit.findings.push(Finding::MappedNamespaces {
                namespaces,
                has_patterns: mapped.has_patterns,
            });
        }
        self.unevaluated(audit);
    }

    /// Finds the policies that a config makes among those that are there.
    fn own_policies(&self, made: &GeneratedPolicies) -> OwnPolicies<'_> {
        let mut own = OwnPolicies::default();
        for policy in &made.policies {
            let namespace = policy.namespace.as_ref();
            let name = PolicyName {
                namespace: namespace.unwrap_or(&self.scene.namespace).clone(),
                name: policy.name.clone(),
            };
            let Some(expected) = self.scene.expected.get(&name) else {
                continue;
            };
            let subject = match policy.role {
                Role::Workload => Some(Subject::Workload),
                Role::ControlPlane => Some(Subject::ControlPlane),
                Role::KubeDns | Role::Snapshot => None,
            };
            own.subjects
                .extend(subject.map(|subject| (subject, expected)));
            if let Some(present) = self.present.get(&name) {
                own.baseline.add(expected.clone());
                // What allows the same need not be compared again.
                if !self.as_expected.contains(&name) {
                    // The pods of the DNS are workloads too.
                    let workload = own.subjects.first().map(|(_, policy)| *policy);
                    let beside = workload.filter(|_| policy.role == Role::KubeDns);
                    let diff = difference(expected, present, beside);
                    own.diff.changes.extend(diff.changes);
                    own.diff.not_compared.extend(diff.not_compared);
                }
                if subject.is_none() {
                    own.companions.push(name.name);
                }
            } else if subject.is_some() || self.needs_companions {
                own.baseline.add(expected.clone());
                // The policies of a virtual cluster can be in several namespaces.
                let is_at_home = policy.namespace == made.namespace;
                own.missing.push(if is_at_home {
                    name.name
                } else {
                    name.to_string()
                });
            }
        }
        own
    }

    /// What other policies open to its pods.
    fn widened(&self, baseline: &Policies, own: &[(Subject, &Policy)], audit: &mut ClusterAudit) {
        let own_names: HashSet<PolicyName> = baseline.iter().map(name_of).collect();
        let namespaces: BTreeSet<&str> = own.iter().map(|(_, p)| p.namespace.as_str()).collect();
        let release = audit.release.clone();
        let held_against = Baseline {
            release: &release,
            policies: baseline,
            control_planes: &self.control_planes,
        };
        for namespace in namespaces {
            let in_namespace = own.iter().filter(|(_, p)| p.namespace == namespace);
            let in_namespace: Vec<(Subject, &Policy)> = in_namespace.copied().collect();
            for other in self.others.of(namespace, &release) {
                let policy = name_of(other);
                if own_names.contains(&policy) {
                    continue;
                }
                let diff = held_against.opened_by(&in_namespace, other);
                if !diff.is_empty() {
                    let metadata = self.scene.evidence.policies.get(&policy);
                    audit.findings.push(Finding::Widened {
                        kind: kubernetes::KIND.to_owned(),
                        tenant: metadata.and_then(|m| m.tenant.clone()),
                        line: metadata.map(|m| m.line),
                        policy,
                        diff,
                    });
                }
            }
            self.accepted(&held_against, &in_namespace, namespace, audit);
        }
    }

    /// What policies of the whole cluster accept for its pods in a namespace, whatever `own`, its
    /// policies there, say.
    fn accepted(
        &self,
        held_against: &Baseline<'_>,
        own: &[(Subject, &Policy)],
        namespace: &str,
        audit: &mut ClusterAudit,
    ) {
        let labels = self.scene.model.namespace_labels(namespace);
        for policy in self.scene.model.policies().tiers() {
            let Some(accepted) = policy.accepted_in(namespace, &labels) else {
                continue;
            };
            let diff = held_against.opened_by(own, &accepted);
            if !diff.is_empty() {
                audit.findings.push(Finding::Widened {
                    kind: policy.kind.clone(),
                    policy: PolicyName {
                        namespace: String::new(),
                        name: policy.name.clone(),
                    },
                    tenant: None,
                    line: None,
                    diff,
                });
            }
        }
    }

    /// Pods to which its policies do not apply.
    fn uncovered(&self, baseline: &Policies, audit: &mut ClusterAudit) {
        let namespace = self.scene.namespace_of(audit).to_owned();
        let release = audit.release.as_str();
        // Pods of a control plane are in its namespace.
        let is_own = |pod: &&Pod| pod.labels.contains_key(MANAGED_BY) || pod.namespace == namespace;
        let pods = self.pods.on_host_network.get(release);
        let pods = names_of(pods.into_iter().flatten().copied().filter(is_own));
        if !pods.is_empty() {
            audit.findings.push(Finding::HostNetwork { pods });
        }
        let covered: BTreeSet<&str> = baseline.iter().map(|p| p.namespace.as_str()).collect();
        let is_outside = |pod: &&Pod| {
            let place = pod.namespace.as_str();
            // Another virtual cluster of this name can be there.
            !covered.contains(place) && !self.known.contains(&(place, release))
        };
        let pods = self.pods.workloads.get(release);
        let pods = names_of(pods.into_iter().flatten().copied().filter(is_outside));
        if !pods.is_empty() {
            audit.findings.push(Finding::OutsideOfPolicies { pods });
        }
    }

    /// Policies that could allow more, and that nobody evaluates.
    fn unevaluated(&self, audit: &mut ClusterAudit) {
        let namespace = self.scene.namespace_of(audit).to_owned();
        let mut policies: Vec<String> = Vec::new();
        if self.is_strict {
            let all = self.scene.evidence.other_policies.iter();
            let can_matter = all.filter(|p| p.namespace.as_ref().is_none_or(|n| *n == namespace));
            policies.extend(can_matter.map(evidence::OtherPolicy::describe));
        }
        // Where the namespaces are several, a policy that states none can be in any of them.
        if self.scene.namespace.is_empty() && !namespace.is_empty() {
            let nowhere = self.others.of("", &audit.release).into_iter();
            policies.extend(nowhere.map(|p| format!("NetworkPolicy {} (no namespace)", p.name)));
        }
        if !policies.is_empty() {
            let unknown = Unknown::UnevaluatedPolicies { policies };
            audit.findings.push(Finding::Unknown(unknown));
        }
    }

    /// The names of the policies that are named like its own.
    fn own_names(&self, audit: &ClusterAudit) -> Vec<String> {
        let namespace = self.scene.namespace_of(audit);
        let names = POLICY_PREFIXES.iter().chain(&COMPANION_PREFIXES);
        let names = names.map(|prefix| format!("{prefix}{}", audit.release));
        let is_there = |name: &String| {
            self.present.contains_key(&PolicyName {
                namespace: namespace.to_owned(),
                name: name.clone(),
            })
        };
        names.filter(is_there).collect()
    }

    /// The virtual clusters of which only policies or pods are there.
    fn without_a_config(&self) -> Vec<ClusterAudit> {
        let names: HashSet<&str> = self.known.iter().map(|(_, release)| *release).collect();
        let mut found: BTreeSet<(&str, &str)> = BTreeSet::new();
        let unexpected = (self.scene.own_policies())
            .filter(|policy| !self.scene.expected.contains_key(&name_of(policy)));
        for policy in unexpected {
            found.extend(own_release(policy).map(|release| (policy.namespace.as_str(), release)));
        }
        for pod in self.scene.model.pods() {
            // The syncer can put pods into other namespaces than the virtual cluster's.
            let of_workload = pod.labels.get(MANAGED_BY);
            let of_workload = of_workload.filter(|release| !names.contains(release.as_str()));
            let is_control_plane = pod.labels.get("app").is_some_and(|app| app == "vcluster")
                && !pod.labels.contains_key(MANAGED_BY);
            let of_control_plane = pod.labels.get(RELEASE).filter(|_| is_control_plane);
            let release = of_workload.or(of_control_plane);
            found.extend(release.map(|release| (pod.namespace.as_str(), release.as_str())));
        }
        let unknown = found
            .into_iter()
            .filter(|place| !self.known.contains(place));
        unknown
            .map(|(namespace, release)| self.unknown(namespace, release))
            .collect()
    }

    fn unknown(&self, namespace: &str, release: &str) -> ClusterAudit {
        let mut audit = ClusterAudit {
            release: release.to_owned(),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            chart: None,
            config: None,
            companions: Vec::new(),
            findings: Vec::new(),
            place: Location::default(),
            notes: Vec::new(),
            worst_tenant: None,
        };
        let present = self.own_names(&audit);
        audit.findings.push(Finding::Unknown(Unknown::NoConfig {
            reason: format!("the input has no config for it, neither the Secret vc-config-{release} nor an annotation"),
            remedy: format!("add the Secret vc-config-{release} to the input, or give the config with --config FILE"),
            present,
        }));
        audit
    }
}
