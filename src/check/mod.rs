//! The model that `check` asks: what manifests say, and the policies that the filter would add to
//! them.
//!
//! A rendered chart is asked about before it is filtered. Without the policies that it will have,
//! every answer about it would be wrong.

use std::collections::HashSet;

use crate::explain::origins;
use crate::filter::{self, GeneratedPolicies, Options};
use crate::vcluster::actors::{COMPANION_PREFIXES, POLICY_PREFIXES};
use crate::vcluster::sources::Overrides;
use manifest::diagnostic::{Diagnostic, Diagnostics};
use netpol::model::cluster::ClusterModel;
use netpol::model::policy::Policy;
use netpol::model::reader;

/// How many virtual clusters a note names.
const MAX_NAMED: usize = 5;

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

/// What is asked, and what is to be said about it.
#[derive(Debug, Default)]
pub struct CheckModel {
    /// Pods, namespaces and policies.
    pub model: ClusterModel,
    /// What is not in the manifests, in sentences.
    pub notes: Vec<String>,
    /// The virtual clusters whose config does not enable the policies, and that have none.
    pub not_isolated: Vec<NotIsolated>,
    /// Configs that the filter would reject. The policies of their manifests are taken as they are.
    pub rejected: Diagnostics,
}

impl CheckModel {
    /// Reads manifests into one model. Objects without a namespace are put into `namespace`, or
    /// `default`.
    ///
    /// # Errors
    /// A document that cannot be read, and a policy that has no meaning.
    pub fn read(manifests: &[Manifest], namespace: Option<&str>) -> Result<Self, Diagnostics> {
        let home = namespace.unwrap_or("default");
        let named = manifests.iter().map(|m| (m.name.as_str(), &m.text[..]));
        let mut check = Self {
            model: reader::read_all(named, home)?,
            ..Self::default()
        };
        let made = check.plans(manifests, namespace, false);
        check.add(&made, home)?;
        // Companions that the chart rendered have origins too; none are added here.
        if check.has_companions() {
            let made = check.plans(manifests, namespace, true);
            let makers = origins::policies(&made, home).unwrap_or_default();
            check.model.policies_mut().note_origins(&makers);
        }
        Ok(check)
    }

    /// What the filter would make of the manifests, each a stream of its own.
    fn plans(
        &mut self,
        manifests: &[Manifest],
        namespace: Option<&str>,
        companions: bool,
    ) -> Vec<GeneratedPolicies> {
        let options = Options {
            overrides: Overrides {
                fallback_namespace: namespace.map(str::to_owned),
                ..Overrides::default()
            },
            companions,
            ..Options::default()
        };
        let mut made = Vec::new();
        for manifest in manifests {
            match filter::plans(&manifest.text, &options) {
                Ok((plans, _)) => made.extend(plans),
                Err(_) if companions => {}
                Err(rejected) => self.rejected.extend(rejected),
            }
        }
        made
    }

    /// Adds the policies that are missing, and notes what made the others.
    fn add(&mut self, made: &[GeneratedPolicies], home: &str) -> Result<(), Diagnostics> {
        let policies = origins::policies(made, home)
            .map_err(|e| Diagnostics::from(Diagnostic::error(e.to_string())))?;
        let name = |p: &Policy| (p.namespace.clone(), p.name.clone());
        let mut there: HashSet<_> = self.model.policies().iter().map(name).collect();
        let mut added: Vec<String> = Vec::new();
        for cluster in made {
            let namespace = cluster.namespace.as_deref().unwrap_or(home);
            let own = POLICY_PREFIXES.map(|prefix| format!("{prefix}{}", cluster.name));
            let mut own = own.into_iter().map(|own| (namespace.to_owned(), own));
            let is_there = own.any(|own| there.contains(&own));
            if cluster.enabled && !is_there {
                added.push(format!("{namespace}/{}", cluster.name));
            } else if !cluster.enabled && !is_there {
                self.not_isolated.push(NotIsolated {
                    name: cluster.name.clone(),
                    namespace: namespace.to_owned(),
                    reason: format!(
                        "the config from {} does not enable the policies; set \
                         policies.networkPolicy.enabled: true",
                        cluster.source
                    ),
                });
            }
        }
        let missing = policies.iter().filter(|p| there.insert(name(p))).cloned();
        let missing: Vec<Policy> = missing.collect();
        self.model.policies_mut().put(missing);
        self.model.policies_mut().note_origins(&policies);
        self.notes.extend(note_of_added(&added));
        Ok(())
    }

    fn has_companions(&self) -> bool {
        let mut policies = self.model.policies().iter();
        policies.any(|p| {
            COMPANION_PREFIXES
                .iter()
                .any(|prefix| p.name.starts_with(prefix))
        })
    }
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
