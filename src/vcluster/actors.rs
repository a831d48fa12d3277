//! Who has a part in a virtual cluster, and the labels, ports and names by which policies know them.
//!
//! Sources: the vCluster chart, its syncer, and the documentation of its network policies.

use std::collections::{BTreeMap, BTreeSet};

use netpol::model::cluster::ClusterModel;
use netpol::model::policy::{Direction, Policy};
use netpol::query::{Role, RoleNamespace, System, Vocabulary};

/// The label that the syncer puts on every pod of a virtual cluster: the virtual cluster's name.
pub const MANAGED_BY: &str = "vcluster.loft.sh/managed-by";

/// How the names of the two policies begin, the workloads' first.
pub const POLICY_PREFIXES: [&str; 2] = ["vc-work-", "vc-cp-"];

/// How the names of their companions begin: that of the virtual cluster's DNS, and that of snapshots.
pub const COMPANION_PREFIXES: [&str; 2] = ["vc-kube-dns-", "vc-snapshot-"];

/// How the name of the Secret with all values begins.
pub const SECRET_PREFIX: &str = "vc-config-";

/// The words in which people ask about the pods of a virtual cluster.
pub static VOCABULARY: Vocabulary = Vocabulary {
    kind: "virtual cluster",
    roles: &[
        Role {
            name: "workload",
            namespace: RoleNamespace::Workloads,
            labels: |name| vec![(MANAGED_BY, name.to_owned())],
            absent: &["release"],
        },
        Role {
            name: "control-plane",
            namespace: RoleNamespace::System,
            labels: |name| vec![("app", "vcluster".to_owned()), ("release", name.to_owned())],
            absent: &[],
        },
        Role {
            name: "dns",
            namespace: RoleNamespace::Workloads,
            labels: |name| {
                let app = "vcluster-kube-dns".to_owned();
                vec![("k8s-app", app), (MANAGED_BY, name.to_owned())]
            },
            absent: &["release"],
        },
        Role {
            name: "host-dns",
            namespace: RoleNamespace::Named("kube-system"),
            labels: |_| vec![("k8s-app", "kube-dns".to_owned())],
            absent: &[],
        },
        Role {
            name: "snapshot",
            namespace: RoleNamespace::System,
            labels: |_| vec![("app", "vcluster-snapshot".to_owned())],
            absent: &[],
        },
        Role {
            name: "platform",
            namespace: RoleNamespace::Any("vcluster-platform"),
            labels: |_| vec![("app", "loft".to_owned())],
            absent: &[],
        },
    ],
    own: &[
        Role {
            name: "any-workload",
            namespace: RoleNamespace::Workloads,
            labels: |name| vec![(MANAGED_BY, name.to_owned())],
            absent: &["release"],
        },
        Role {
            name: "any-control-plane",
            namespace: RoleNamespace::System,
            labels: |name| vec![("release", name.to_owned())],
            absent: &[MANAGED_BY],
        },
    ],
    systems,
    evidence: "policy vc-work-NAME or vc-cp-NAME",
    setting: |policy, direction| setting(policy, direction).map(str::to_owned),
};

/// The virtual clusters whose policies are in the model.
///
/// Each has one policy for its control plane. Its workloads can run in other namespaces too, each
/// with a policy for workloads of the same name.
fn systems(model: &ClusterModel) -> Vec<System> {
    let [workloads, control_plane] = POLICY_PREFIXES;
    let mut by_name: BTreeMap<&str, [BTreeSet<&str>; 2]> = BTreeMap::new();
    for policy in model.policies().iter() {
        for (i, prefix) in [workloads, control_plane].into_iter().enumerate() {
            let name = policy.name.strip_prefix(prefix).filter(|n| !n.is_empty());
            if let Some(name) = name
                && let Some(namespaces) = by_name.entry(name).or_default().get_mut(i)
            {
                namespaces.insert(&policy.namespace);
            }
        }
    }
    let mut systems: Vec<System> = Vec::new();
    for (name, [workloads, control_planes]) in by_name {
        let only = match control_planes.len() {
            1 => control_planes.first().copied(),
            _ => None,
        };
        for namespace in control_planes.union(&workloads) {
            // Workloads beside no control plane belong to the only one of that name.
            if only.is_some_and(|only| only != *namespace) {
                continue;
            }
            let mut of_workloads: Vec<String> = match only {
                Some(_) => workloads.iter().map(|n| (*n).to_owned()).collect(),
                None => vec![(*namespace).to_owned()],
            };
            if of_workloads.is_empty() {
                of_workloads.push((*namespace).to_owned());
            }
            systems.push(System {
                namespace: (*namespace).to_owned(),
                name: name.to_owned(),
                workload_namespaces: of_workloads,
            });
        }
    }
    systems.sort();
    systems
}

/// The list of the config whose rules go into a policy.
fn setting(policy: &Policy, direction: Direction) -> Option<&'static str> {
    let [workloads, control_plane] = POLICY_PREFIXES;
    if policy.name.starts_with(workloads) {
        Some(match direction {
            Direction::Ingress => "policies.networkPolicy.workload.ingress",
            Direction::Egress => "policies.networkPolicy.workload.egress",
        })
    } else if policy.name.starts_with(control_plane) {
        Some(match direction {
            Direction::Ingress => "policies.networkPolicy.controlPlane.ingress",
            Direction::Egress => "policies.networkPolicy.controlPlane.egress",
        })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_cluster_has_one_control_plane_and_workloads_in_any_namespaces() {
        let model = |policies: &[(&str, &str)]| {
            let read = |(namespace, name): &(&str, &str)| Policy::read(namespace, name, None);
            let policies = policies.iter().map(read);
            ClusterModel::from(policies.collect::<Result<Vec<_>, _>>().unwrap())
        };
        let shown = |policies: &[(&str, &str)]| -> Vec<String> {
            let systems = systems(&model(policies)).into_iter();
            systems
                .map(|s| {
                    format!(
                        "{}/{} {}",
                        s.namespace,
                        s.name,
                        s.workload_namespaces.join(",")
                    )
                })
                .collect()
        };
        let usual = [
            ("a", "vc-work-x"),
            ("a", "vc-cp-x"),
            ("b", "vc-work-x"),
            ("a", "vc-cp-y"),
        ];
        assert_eq!(shown(&usual), ["a/x a,b", "a/y a"]);
        let namesakes = [("a", "vc-cp-x"), ("b", "vc-cp-x"), ("b", "vc-work-x")];
        assert_eq!(shown(&namesakes), ["a/x a", "b/x b"]);
        assert_eq!(
            shown(&[("a", "vc-work-x"), ("a", "vc-kube-dns-x")]),
            ["a/x a"]
        );
    }
}
