//! The virtual clusters of a model, and the pods that stand for them where it has none.
//!
//! A rendered chart holds the control plane and no workload: the workloads come later, with the
//! labels that the syncer gives them. So that a list has them too, each virtual cluster gets a pod
//! that stands for its workloads.

use std::collections::BTreeSet;

use crate::explain::view::View;
use crate::vcluster::actors::{MANAGED_BY, POLICY_PREFIXES};
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::Pod;

/// The kind of the pod that stands for the workloads of a virtual cluster.
const WORKLOADS: &str = "VirtualClusterWorkloads";

/// The kind of the pod that stands for a control plane.
const CONTROL_PLANE: &str = "VirtualClusterControlPlane";

/// The virtual clusters, by namespace and name: those that have a config or policies.
#[must_use]
pub fn of(view: &View) -> BTreeSet<(String, String)> {
    let made = view.made.iter().map(|made| {
        let namespace = made
            .namespace
            .clone()
            .unwrap_or_else(|| view.namespace.clone());
        (namespace, made.name.clone())
    });
    let [_, control_plane] = POLICY_PREFIXES;
    let named = view.model.policies().iter().filter_map(|policy| {
        let name = policy.name.strip_prefix(control_plane)?;
        Some((policy.namespace.clone(), name.to_owned()))
    });
    made.chain(named).collect()
}

/// The pods that stand for what the model does not have of its virtual clusters.
#[must_use]
pub fn missing_pods(clusters: &BTreeSet<(String, String)>, model: &ClusterModel) -> Vec<Pod> {
    let mut pods = Vec::new();
    for (namespace, name) in clusters {
        for (kind, labels) in [
            (WORKLOADS, vec![(MANAGED_BY, name.as_str())]),
            (
                CONTROL_PLANE,
                vec![("app", "vcluster"), ("release", name.as_str())],
            ),
        ] {
            let is_there = model.pods().iter().any(|pod| {
                let has = |(key, value): &(&str, &str)| {
                    pod.labels.get(*key).is_some_and(|own| own == value)
                };
                pod.namespace == *namespace && labels.iter().all(has)
            });
            if !is_there {
                let own = labels
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
                pods.push(Pod {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    labels: own.collect(),
                    kind: kind.to_owned(),
                    ..Pod::default()
                });
            }
        }
    }
    pods
}

/// What a matrix of virtual clusters calls the owner of a pod.
#[must_use]
pub fn unit(pod: &Pod, clusters: &BTreeSet<(String, String)>) -> String {
    for key in [MANAGED_BY, "release"] {
        if let Some(name) = pod.labels.get(key)
            && clusters.contains(&(pod.namespace.clone(), name.clone()))
        {
            return format!("{}/{name}", pod.namespace);
        }
    }
    format!("namespace {}", pod.namespace)
}
