//! Who reaches whom among the virtual clusters of a stream.

use std::sync::Arc;

use serde::Serialize;

use super::ClusterAudit;
use super::openings::RELEASE;
use crate::vcluster::actors::MANAGED_BY;
use netpol::evaluate::{Decision, Verdict};
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::{Endpoint, Pod};
use netpol::sets::ports::Ports;

/// The most virtual clusters that are held against each other: the matrix grows by their square.
pub const MAX_CLUSTERS: usize = 50;

/// From the workloads of each virtual cluster to each other one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachMatrix {
    /// The virtual clusters, in order.
    pub clusters: Vec<String>,
    /// One row for each source, with a cell for each destination.
    pub rows: Vec<Vec<ReachCell>>,
}

/// What the workloads of one virtual cluster reach of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachCell {
    /// Its workloads.
    pub workloads: Reach,
    /// Its control plane.
    pub control_plane: Reach,
}

/// How much is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// The open ports; `None` where none is.
    pub ports: Option<String>,
    /// Whether more can be open, depending on the addresses of the pods.
    pub depends_on_address: bool,
}

impl ReachMatrix {
    /// The matrix of several virtual clusters; `None` for one, and for more than [`MAX_CLUSTERS`].
    #[must_use]
    pub(super) fn of(
        clusters: &[ClusterAudit],
        model: &ClusterModel,
        namespace: &str,
    ) -> Option<Self> {
        if !(2..=MAX_CLUSTERS).contains(&clusters.len()) {
            return None;
        }
        let ends: Vec<Ends> = (clusters.iter())
            .map(|cluster| Ends::of(cluster, model, namespace))
            .collect();
        let cell = |from: &Ends, to: &Ends| ReachCell {
            workloads: reach(model, &from.workload, &to.other_workload),
            control_plane: reach(model, &from.workload, &to.control_plane),
        };
        let row = |from: &Ends| ends.iter().map(|to| cell(from, to)).collect();
        Some(Self {
            clusters: clusters.iter().map(ClusterAudit::title).collect(),
            rows: ends.iter().map(row).collect(),
        })
    }
}

/// Pods that stand for those of a virtual cluster.
struct Ends {
    workload: Endpoint,
    /// Another pod of the same labels: a pod always reaches itself.
    other_workload: Endpoint,
    control_plane: Endpoint,
}

impl Ends {
    fn of(cluster: &ClusterAudit, model: &ClusterModel, namespace: &str) -> Self {
        let namespace = cluster.namespace.as_deref().unwrap_or(namespace);
        let release = cluster.release.as_str();
        let pod = |labels: &[(&str, &str)]| {
            let labels = labels.iter();
            Endpoint::pod(Arc::new(Pod {
                namespace: namespace.to_owned(),
                namespace_labels: model.namespace_labels(namespace),
                labels: labels
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
                ..Pod::default()
            }))
        };
        let workload = [(MANAGED_BY, release)];
        Self {
            workload: pod(&workload),
            other_workload: pod(&workload),
            control_plane: pod(&[("app", "vcluster"), (RELEASE, release)]),
        }
    }
}

fn reach(model: &ClusterModel, from: &Endpoint, to: &Endpoint) -> Reach {
    let verdict: Verdict<'_> = model.policies().check(from, to, &Ports::all_numbers());
    let out = verdict.egress.open.ports();
    let open = out.intersection(&verdict.ingress.open.ports());
    // By addresses more can be open on a side, as far as the other side lets it.
    let most = |decision: &Decision<'_>| {
        let is_open = decision.depends_on_address.is_empty();
        let open = decision.open.ports();
        if is_open { open } else { Ports::all_numbers() }
    };
    let most = most(&verdict.egress).intersection(&most(&verdict.ingress));
    Reach {
        ports: (!open.is_empty()).then(|| open.to_string()),
        depends_on_address: !most.difference(&open).is_empty(),
    }
}
