//! What is planned for each virtual cluster of a stream, judged by itself.
//!
//! [`render`](super::render) writes all or nothing, so one config that is rejected rejects the
//! stream. Who audits a stream needs an answer for each of the others too.

use super::index::Index;
use super::isolation::NotIsolated;
use super::krm::SoleList;
use super::plan::{GeneratedPolicies, Plan};
use super::{ClusterSummary, Options, Planned};
use crate::vcluster::mapped::MappedNamespaces;
use crate::vcluster::sources::{self, Source, VirtualCluster};
use manifest::diagnostic::{Diagnostics, Location, Severity, Sink};

/// A virtual cluster of a stream, and what its config makes.
#[derive(Debug)]
pub struct PlannedCluster {
    /// Who it is, and why it gets no policies where it gets none.
    pub summary: ClusterSummary,
    /// What its config makes.
    pub plan: ClusterPlan,
    /// The object that speaks of it first.
    pub place: Location,
    /// The other host namespaces that its workloads run in.
    pub mapped: MappedNamespaces,
}

/// What the config of a virtual cluster makes.
#[derive(Debug)]
pub enum ClusterPlan {
    /// These policies.
    Policies(GeneratedPolicies),
    /// None: the config does not enable them.
    Disabled,
    /// It is not known: the stream has no config for the virtual cluster.
    WithoutConfig,
    /// It is not known: the config is rejected.
    Rejected(Diagnostics),
}

/// The virtual clusters of a stream, each with what its config makes.
///
/// # Errors
/// What prevents the discovery of virtual clusters and their configs, and two virtual clusters that
/// claim the same policy.
pub fn clusters(stream: &[u8], options: &Options) -> Result<Vec<PlannedCluster>, Diagnostics> {
    if let Some(problem) = super::foreign_encoding(stream).or_else(|| SoleList::unreadable(stream))
    {
        return Err(problem.into());
    }
    let index = Index::of(stream);
    let mut sink = Sink::default();
    sink.extend(None, super::unreadable(&index, stream));
    let found = sources::virtual_clusters(&index, &options.overrides, stream, &mut sink);
    let Some(found) = found.filter(|_| !sink.has_errors()) else {
        return Err(errors_of(sink));
    };
    let mut planned = Vec::new();
    let mut enabled = Vec::new();
    for (subject, cluster) in found.found.into_iter().enumerate() {
        if cluster.documents.is_empty() {
            planned.push(silent(&cluster, options));
            continue;
        }
        let mut own = Sink::default();
        match Plan::of(subject, &cluster, options, &mut own) {
            Some(plan) => enabled.push(Planned {
                subject,
                cluster,
                plan,
            }),
            None => planned.push(rejected(&cluster, errors_of(own), options)),
        }
    }
    sink.extend(None, super::unique(&enabled));
    if sink.has_errors() {
        return Err(errors_of(sink));
    }
    planned.extend(enabled.into_iter().map(|planned| PlannedCluster {
        summary: super::summary(&planned.cluster, &planned.plan),
        place: planned.cluster.place.clone(),
        mapped: mapped(&planned.cluster),
        plan: if planned.plan.enabled {
            ClusterPlan::Policies(planned.plan.made(planned.cluster))
        } else {
            ClusterPlan::Disabled
        },
    }));
    planned.extend(found.running.iter().map(|running| PlannedCluster {
        summary: NotIsolated::running(running, options).found,
        plan: ClusterPlan::WithoutConfig,
        place: running.place.clone(),
        mapped: MappedNamespaces::default(),
    }));
    Ok(planned)
}

/// The errors of a sink. Warnings are told by the filter and by `lint`.
fn errors_of(sink: Sink) -> Diagnostics {
    let found = Diagnostics::from(sink.finish(&[], false)).into_iter();
    let mut errors = Diagnostics::default();
    errors.extend(found.filter(|problem| problem.severity == Severity::Error));
    errors
}

fn mapped(cluster: &VirtualCluster) -> MappedNamespaces {
    let namespace = cluster.namespace.as_deref();
    MappedNamespaces::of(cluster.values.as_ref(), &cluster.name, namespace)
}

/// A virtual cluster whose Secret or annotation has no network-policy config.
fn silent(cluster: &VirtualCluster, options: &Options) -> PlannedCluster {
    PlannedCluster {
        summary: NotIsolated::silent(cluster, options).found,
        plan: match cluster.origin {
            // The Secret has all values, so the policies are not asked for.
            Source::Secret => ClusterPlan::Disabled,
            Source::Annotation | Source::Files => ClusterPlan::WithoutConfig,
        },
        place: cluster.place.clone(),
        mapped: mapped(cluster),
    }
}

fn rejected(cluster: &VirtualCluster, errors: Diagnostics, options: &Options) -> PlannedCluster {
    PlannedCluster {
        summary: NotIsolated::rejected(cluster, options).found,
        plan: ClusterPlan::Rejected(errors),
        place: cluster.place.clone(),
        mapped: mapped(cluster),
    }
}
