//! The model that `check` asks: what manifests say, and the policies that the filter would add to
//! them.
//!
//! A rendered chart is asked about before it is filtered. Without the policies that it will have,
//! every answer about it would be wrong.

use std::collections::HashSet;

use crate::explain::origins;
use crate::filter::clusters::{ClusterPlan, PlannedCluster, clusters};
use crate::filter::{GeneratedPolicies, Options};
use crate::vcluster::actors::{COMPANION_PREFIXES, POLICY_PREFIXES};
use crate::vcluster::sources::Overrides;
use manifest::diagnostic::{Diagnostic, Diagnostics};
use netpol::model::cluster::ClusterModel;
use netpol::model::policy::Policy;
use netpol::model::reader;

/// How many virtual clusters a note names.
const MAX_NAMED: usize = 5;

/// The namespace of objects that state none, where nothing else says it.
const DEFAULT_NAMESPACE: &str = "default";

/// A manifest and its name.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The name, for messages.
    pub name: String,
    /// The text.
    pub text: Vec<u8>,
}

/// A virtual cluster that has no policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotIsolated {
    /// The Helm release.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Why, and what to set.
    pub reason: String,
}

/// What the filter would make of a manifest.
#[derive(Debug)]
pub struct ManifestPlan {
    clusters: Result<Vec<PlannedCluster>, Diagnostics>,
    /// The policies with companions, where the manifest has some: what made them can be said too.
    with_companions: Vec<GeneratedPolicies>,
}

impl ManifestPlan {
    /// Plans one manifest, a stream of its own.
    #[must_use]
    pub fn of(manifest: &Manifest, namespace: Option<&str>) -> Self {
        let options = Options {
            overrides: Overrides {
                fallback_namespace: namespace.map(str::to_owned),
                ..Overrides::default()
            },
            ..Options::default()
        };
        let text = manifest.text.as_slice();
        let has_companions = COMPANION_PREFIXES
            .iter()
            .any(|prefix| memchr::memmem::find(text, prefix.as_bytes()).is_some());
        let with_companions = if has_companions {
            let options = Options {
                companions: true,
                ..options.clone()
            };
            clusters(text, &options).unwrap_or_default()
        } else {
            Vec::new()
        };
        Self {
            clusters: clusters(text, &options),
            with_companions: (with_companions.into_iter())
                .filter_map(|cluster| match cluster.plan {
                    ClusterPlan::Policies(policies) => Some(policies),
                    _ => None,
                })
                .collect(),
        }
    }
}

/// What is asked, and what is to be said about it.
#[derive(Debug, Default)]
pub struct CheckModel {
    /// Pods, namespaces and policies.
    pub model: ClusterModel,
    /// What is not in the manifests, in sentences.
    pub notes: Vec<String>,
    /// The virtual clusters that have no policies, and get none.
    pub not_isolated: Vec<NotIsolated>,
    /// The names of manifests whose virtual clusters are unknown, because a config is rejected.
    pub not_planned: Vec<String>,
    /// What the filter would reject. The policies of these manifests are taken as they are.
    pub rejected: Diagnostics,
}

impl CheckModel {
    /// Reads manifests into one model, each with what the filter would make of it. Objects without
    /// a namespace are put into `namespace`, or `default`.
    ///
    /// # Errors
    /// A document that cannot be read, and a policy that has no meaning.
    pub fn read(
        manifests: &[Manifest],
        plans: Vec<ManifestPlan>,
        namespace: Option<&str>,
    ) -> Result<Self, Diagnostics> {
        let home = namespace.unwrap_or(DEFAULT_NAMESPACE);
        let named = manifests.iter().map(|m| (m.name.as_str(), &m.text[..]));
        let mut check = Self {
            model: reader::read_all(named, home)?,
            ..Self::default()
        };
        let mut made = Vec::new();
        let mut makers = Vec::new();
        let mut others = Vec::new();
        for (manifest, plan) in manifests.iter().zip(plans) {
            makers.extend(plan.with_companions);
            match plan.clusters {
                Err(rejected) => {
                    check.not_planned.push(manifest.name.clone());
                    check.rejected.extend(rejected);
                }
                Ok(clusters) => {
                    for cluster in clusters {
                        match cluster.plan {
                            ClusterPlan::Policies(policies) => made.push(policies),
                            _ => others.push(cluster),
                        }
                    }
                }
            }
        }
        let there = check.names();
        for cluster in others {
            check.take_without_policies(cluster, &there, home);
        }
        check.add(&made, &there, home)?;
        let makers = origins::policies(&makers, home).unwrap_or_default();
        check.model.policies_mut().note_origins(&makers);
        Ok(check)
    }

    /// Namespace and name of each policy.
    fn names(&self) -> HashSet<(String, String)> {
        let policies = self.model.policies().iter();
        policies
            .map(|p| (p.namespace.clone(), p.name.clone()))
            .collect()
    }

    /// Notes a virtual cluster that gets no policies, unless it has some.
    fn take_without_policies(
        &mut self,
        cluster: PlannedCluster,
        there: &HashSet<(String, String)>,
        home: &str,
    ) {
        let summary = cluster.summary;
        let namespace = summary.namespace.as_deref().unwrap_or(home);
        if has_policies(namespace, &summary.release, there) {
            return;
        }
        let reason = summary.reason.unwrap_or_default();
        self.not_isolated.push(NotIsolated {
            namespace: namespace.to_owned(),
            reason: match summary.remedy {
                Some(remedy) => format!("{reason}; {remedy}"),
                None => reason,
            },
            name: summary.release,
        });
        if let ClusterPlan::Rejected(problems) = cluster.plan {
            self.rejected.extend(problems);
        }
    }

    /// Adds the policies that are missing, and notes what made the others.
    fn add(
        &mut self,
        made: &[GeneratedPolicies],
        there: &HashSet<(String, String)>,
        home: &str,
    ) -> Result<(), Diagnostics> {
        let policies = origins::policies(made, home)
            .map_err(|e| Diagnostics::from(Diagnostic::error(e.to_string())))?;
        let mut added: Vec<String> = Vec::new();
        for cluster in made {
            let namespace = cluster.namespace.as_deref().unwrap_or(home);
            if !has_policies(namespace, &cluster.name, there) {
                added.push(format!("{namespace}/{}", cluster.name));
            }
        }
        let is_missing = |p: &&Policy| !there.contains(&(p.namespace.clone(), p.name.clone()));
        let missing: Vec<Policy> = policies.iter().filter(is_missing).cloned().collect();
        self.model.policies_mut().put(missing);
        self.model.policies_mut().note_origins(&policies);
        self.notes.extend(note_of_added(&added));
        Ok(())
    }
}

/// Whether one of the two policies of a virtual cluster is there.
fn has_policies(namespace: &str, release: &str, there: &HashSet<(String, String)>) -> bool {
    POLICY_PREFIXES
        .map(|prefix| (namespace.to_owned(), format!("{prefix}{release}")))
        .iter()
        .any(|name| there.contains(name))
}

/// Which virtual clusters are judged by policies that are not in the manifests.
fn note_of_added(added: &[String]) -> Option<String> {
    let named = added.get(..MAX_NAMED).unwrap_or(added).join(", ");
    let more = match added.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match added.len() {
        0 => None,
        1 => Some(format!(
            "the manifests have no policies of the virtual cluster {named}; it is judged by those \
             that the filter would add"
        )),
        count => Some(format!(
            "the manifests have no policies of {count} virtual clusters ({named}{more}); they are \
             judged by those that the filter would add"
        )),
    }
}
