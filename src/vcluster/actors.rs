//! Who has a part in a virtual cluster, and the labels, ports and names by which policies know them.
//!
//! Sources: the vCluster chart, its syncer, and the documentation of its network policies.

use std::collections::HashSet;

use netpol::model::cluster::ClusterModel;
use netpol::query::{QueryError, QueryScope, Role, Vocabulary, described_pod};

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
    roles: &[
        Role {
            name: "workload",
            endpoint: |scope, model| {
                let (name, namespace) = virtual_cluster(scope, model)?;
                Ok(described_pod(&namespace, &[(MANAGED_BY, &name)], model))
            },
        },
        Role {
            name: "control-plane",
            endpoint: |scope, model| {
                let (name, namespace) = virtual_cluster(scope, model)?;
                let labels = [("app", "vcluster"), ("release", name.as_str())];
                Ok(described_pod(&namespace, &labels, model))
            },
        },
        Role {
            name: "dns",
            endpoint: |scope, model| {
                let (name, namespace) = virtual_cluster(scope, model)?;
                let labels = [("k8s-app", "vcluster-kube-dns"), (MANAGED_BY, &name)];
                Ok(described_pod(&namespace, &labels, model))
            },
        },
        Role {
            name: "host-dns",
            endpoint: |_, model| {
                let labels = [("k8s-app", "kube-dns")];
                Ok(described_pod("kube-system", &labels, model))
            },
        },
        Role {
            name: "snapshot",
            endpoint: |scope, model| {
                let (_, namespace) = virtual_cluster(scope, model)?;
                let labels = [("app", "vcluster-snapshot")];
                Ok(described_pod(&namespace, &labels, model))
            },
        },
        Role {
            name: "platform",
            endpoint: |_, model| {
                let labels = [("app", "loft")];
                Ok(described_pod("vcluster-platform", &labels, model))
            },
        },
    ],
    namespace: |scope, model| {
        let found = virtual_cluster(scope, model);
        found.ok().map(|(_, namespace)| namespace)
    },
};

/// The name and namespace of the virtual cluster: as given, else as the policies' names say.
fn virtual_cluster(
    scope: &QueryScope,
    model: &ClusterModel,
) -> Result<(String, String), QueryError> {
    let mut found: Vec<(String, String)> = Vec::new();
    let [workload, control_plane] = POLICY_PREFIXES;
    let controlled: HashSet<&str> = (model.policies().iter())
        .filter_map(|policy| policy.name.strip_prefix(control_plane))
        .collect();
    for policy in model.policies().iter() {
        let of_workload = policy.name.strip_prefix(workload);
        // Workloads can have a policy in further namespaces; the other one is in the release's.
        let of_workload = of_workload.filter(|name| !controlled.contains(name));
        let name = of_workload.or_else(|| policy.name.strip_prefix(control_plane));
        let Some(name) = name else { continue };
        let fits = |given: &Option<String>, own: &str| given.as_ref().is_none_or(|g| g == own);
        let one = (name.to_owned(), policy.namespace.clone());
        if fits(&scope.subject, name)
            && fits(&scope.namespace, &policy.namespace)
            && !found.contains(&one)
        {
            found.push(one);
        }
    }
    match (found.as_slice(), &scope.subject, &scope.namespace) {
        ([one], _, _) => Ok(one.clone()),
        ([], Some(release), Some(namespace)) => Ok((release.clone(), namespace.clone())),
        ([], _, _) => Err(QueryError::Role(
            "there is no policy vc-work-NAME or vc-cp-NAME to tell the virtual cluster; name it \
             with --release and --namespace"
                .to_owned(),
        )),
        (several, _, _) => {
            let names: Vec<String> = several.iter().map(|(n, ns)| format!("{ns}/{n}")).collect();
            Err(QueryError::Role(format!(
                "the policies belong to several virtual clusters ({}); choose one with --release \
                 (and --namespace)",
                names.join(", ")
            )))
        }
    }
}
