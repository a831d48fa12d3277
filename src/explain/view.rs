//! What is to be explained: the policies of a stream, and those that its config asks for.
//!
//! Policies that stand in the stream are taken as they stand, and learn from the config what made
//! them; those that the config asks for and that are missing are added as the filter would make
//! them. Nothing is said here of what they mean.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::explained::Presence;
use super::origins;
use crate::filter::{self, GeneratedPolicies, Options};
use crate::guard::in_force::AdmissionObjects;
use crate::tenant::{PodAdmission, Tenant};
use crate::vcluster::actors::{COMPANION_PREFIXES, POLICY_PREFIXES};
use crate::vcluster::edition::Edition;
use manifest::diagnostic::{Diagnostic, Diagnostics};
use manifest::documents;
use manifest::yaml::{Node, Tree};
use netpol::model::cluster::ClusterModel;
use netpol::model::policy::Policy;
use netpol::model::reader;

/// A cluster model, and the configs that its policies come from.
#[derive(Debug)]
pub struct View {
    /// Pods, namespaces and policies.
    pub model: ClusterModel,
    /// The virtual clusters that have a config.
    pub made: Vec<GeneratedPolicies>,
    /// Their policies as the filter makes them.
    pub makes: Vec<Policy>,
    /// The namespace that objects without one were put into; empty where nothing tells it.
    pub namespace: String,
    /// The edition that was assumed, as there is a config and no stream that names a chart.
    pub assumed_edition: Option<Edition>,
    /// What the filter would warn of.
    pub warnings: Diagnostics,
    /// What is in force for the pods of each virtual cluster.
    admission: HashMap<String, PodAdmission>,
    /// The place of each planned policy in `makes`, by its name.
    planned: HashMap<PolicyName, usize>,
    /// Whether the stream has each planned policy; it has all others.
    presence: HashMap<PolicyName, Presence>,
    /// The virtual cluster of each policy that belongs to one.
    clusters: HashMap<PolicyName, String>,
}

/// Namespace and name of a policy.
type PolicyName = (String, String);

fn name_of(policy: &Policy) -> PolicyName {
    (policy.namespace.clone(), policy.name.clone())
}

impl View {
    /// Reads a stream. Where the options bring a config, its policies take the place of those in
    /// the stream.
    ///
    /// # Errors
    /// A config that the filter would refuse, a document that can't be read.
    pub fn read(stream: &[u8], file: &str, options: &Options) -> Result<Self, Diagnostics> {
        Self::read_all(&[(file, stream)], options)
    }

    /// Reads several files that belong to one cluster, as `kubectl apply` takes them: a config can
    /// be in one of them, and the policies in another.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_all(files: &[(&str, &[u8])], options: &Options) -> Result<Self, Diagnostics> {
        let joined = joined(files);
        let stream = joined.as_ref();
        let assumed_edition = assumed_edition(stream, options);
        let options = &Options {
            edition: options.edition.or(assumed_edition),
            ..options.clone()
        };
        let (made, mut warnings) = filter::plans(stream, options)?;
        let stated = made.iter().filter_map(|m| m.namespace.as_ref());
        let namespace = options.overrides.namespace_or_sole(stated);
        let makes = origins::policies(&made, &namespace)
            .map_err(|e| Diagnostics::from(Diagnostic::error(e.to_string())))?;
        let mut model = reader::read_all(files.iter().copied(), &namespace)?;
        let presence = presence(&model, &made, &makes, &namespace, stream, options);
        warnings.extend(model.warnings().iter().cloned());
        warnings.extend(model.not_understood().iter().cloned());
        let policies = model.policies_mut();
        let replaces = !options.overrides.files.is_empty();
        let put = makes.iter().filter(|policy| {
            let is_missing = presence.get(&name_of(policy)) == Some(&Presence::Missing);
            is_missing || replaces
        });
        policies.put(put.cloned());
        policies.note_origins(&makes);
        // The chart's own companions have origins too, whether or not the missing ones are made.
        if !options.companions && policies.iter().count() > makes.len() {
            let all = Options {
                companions: true,
                ..options.clone()
            };
            let all = filter::plans(stream, &all).unwrap_or_default().0;
            policies.note_origins(&origins::policies(&all, &namespace).unwrap_or_default());
        }
        let clusters = clusters(&model, &made, &namespace);
        let admission = admission(stream, options, &namespace);
        let planned = makes.iter().enumerate();
        Ok(Self {
            planned: planned.map(|(place, p)| (name_of(p), place)).collect(),
            model,
            made,
            makes,
            namespace,
            assumed_edition,
            warnings,
            admission,
            presence,
            clusters,
        })
    }

    /// That there are policies of the whole cluster, for commands that do not judge them.
    #[must_use]
    pub fn cluster_policies(&self) -> Option<String> {
        let names: Vec<String> = self
            .model
            .policies()
            .tiers()
            .map(ToString::to_string)
            .collect();
        (!names.is_empty()).then(|| {
            let names = manifest::escape::terminal(&names.join(", ")).into_owned();
            format!(
                "note: policies of the whole cluster are not taken into account here ({names}); ask \
                 check or list"
            )
        })
    }

    /// The policy that the filter would write under this name.
    #[must_use]
    pub fn planned(&self, policy: &Policy) -> Option<&Policy> {
        self.makes.get(*self.planned.get(&name_of(policy))?)
    }

    /// Whether the stream has a policy as it is explained.
    #[must_use]
    pub fn presence(&self, policy: &Policy) -> Presence {
        let presence = self.presence.get(&name_of(policy));
        presence.copied().unwrap_or(Presence::InStream)
    }

    /// The virtual cluster that a policy belongs to: the one that has it by its name, or else the
    /// only one of its namespace.
    #[must_use]
    pub fn cluster_of(&self, policy: &Policy) -> Option<&str> {
        self.clusters.get(&name_of(policy)).map(String::as_str)
    }

    /// The tenants, each with the identifier of its virtual cluster. Of those without a config only
    /// the policies are known.
    #[must_use]
    pub fn tenants(&self) -> Vec<(String, Tenant)> {
        let mut known = HashSet::new();
        let mut tenants = Vec::new();
        for made in &self.made {
            let mut tenant = Tenant::of(made, &self.namespace);
            let id = self.id_of(made);
            if let Some(admission) = self.admission.get(&id) {
                tenant.admission = admission.clone();
            }
            if known.insert(id.clone()) {
                tenants.push((id, tenant));
            }
        }
        for policy in self.model.policies().iter() {
            let mut prefixes = POLICY_PREFIXES.iter();
            let name = prefixes.find_map(|prefix| policy.name.strip_prefix(prefix));
            let id = self.cluster_of(policy);
            if let (Some(name), Some(id)) = (name, id)
                && known.insert(id.to_owned())
            {
                let tenant = Tenant::with_defaults(name, &policy.namespace);
                tenants.push((id.to_owned(), tenant));
            }
        }
        tenants
    }

    /// What policies and findings call a virtual cluster.
    #[must_use]
    pub fn id_of(&self, made: &GeneratedPolicies) -> String {
        id_of(made, &self.namespace)
    }
}

/// What is in force for the pods of each virtual cluster.
fn admission(stream: &[u8], options: &Options, namespace: &str) -> HashMap<String, PodAdmission> {
    let objects = AdmissionObjects::read(stream);
    if objects.is_empty() {
        return HashMap::new();
    }
    // `guard` takes the companions into account, whether or not they are made.
    let all = Options {
        companions: true,
        ..options.clone()
    };
    let made = filter::plans(stream, &all).unwrap_or_default().0;
    made.iter()
        .map(|made| (id_of(made, namespace), objects.for_pods(made)))
        .collect()
}

fn id_of(made: &GeneratedPolicies, namespace: &str) -> String {
    id(made.namespace.as_deref().unwrap_or(namespace), &made.name)
}

fn id(namespace: &str, name: &str) -> String {
    if namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}/{name}")
    }
}

/// Whether the stream has each of the planned policies.
fn presence(
    stream: &ClusterModel,
    made: &[GeneratedPolicies],
    makes: &[Policy],
    namespace: &str,
    text: &[u8],
    options: &Options,
) -> HashMap<PolicyName, Presence> {
    let mut there: HashMap<PolicyName, &Policy> = HashMap::new();
    for policy in stream.policies().iter() {
        there.insert(name_of(policy), policy);
    }
    // Companions are only added where they are missing, never replaced.
    let companions: HashSet<PolicyName> = (made.iter().flat_map(|made| &made.policies))
        .filter(|policy| policy.role.is_companion())
        .map(|policy| {
            let own = policy.namespace.as_deref().unwrap_or(namespace);
            (own.to_owned(), policy.name.clone())
        })
        .collect();
    let is_config_alone = !options.overrides.files.is_empty() && text.trim_ascii().is_empty();
    let replaces = !options.overrides.files.is_empty();
    let presence = |policy: &Policy| {
        let name = name_of(policy);
        let presence = match there.get(&name) {
            None if is_config_alone => Presence::WithoutStream,
            None => Presence::Missing,
            Some(old) if old.allows_the_same_as(policy) => Presence::InStream,
            Some(_) if replaces => Presence::Replaced,
            Some(_) if companions.contains(&name) => Presence::InStream,
            Some(_) => Presence::Outdated,
        };
        (name, presence)
    };
    makes.iter().map(presence).collect()
}

/// The virtual cluster of each policy.
fn clusters(
    model: &ClusterModel,
    made: &[GeneratedPolicies],
    namespace: &str,
) -> HashMap<PolicyName, String> {
    let mut clusters = HashMap::new();
    let mut by_namespace: HashMap<String, BTreeSet<String>> = HashMap::new();
    for made in made {
        let id = id_of(made, namespace);
        for policy in &made.policies {
            let own = policy.namespace.as_deref().unwrap_or(namespace);
            clusters.insert((own.to_owned(), policy.name.clone()), id.clone());
            by_namespace
                .entry(own.to_owned())
                .or_default()
                .insert(id.clone());
        }
    }
    for policy in model.policies().iter() {
        let mut prefixes = POLICY_PREFIXES.iter().chain(&COMPANION_PREFIXES);
        let named = prefixes.find_map(|prefix| policy.name.strip_prefix(prefix));
        if let Some(name) = named {
            let id = id(&policy.namespace, name);
            by_namespace
                .entry(policy.namespace.clone())
                .or_default()
                .insert(id.clone());
            clusters.entry(name_of(policy)).or_insert(id);
        }
    }
    for policy in model.policies().iter() {
        let of_namespace = by_namespace.get(&policy.namespace);
        if let Some(ids) = of_namespace.filter(|ids| ids.len() == 1) {
            let id = ids.iter().next().cloned().unwrap_or_default();
            clusters.entry(name_of(policy)).or_insert(id);
        }
    }
    clusters
}

/// The files as one stream.
fn joined<'t>(files: &[(&str, &'t [u8])]) -> Cow<'t, [u8]> {
    match files {
        [] => Cow::Borrowed(&[]),
        [(_, only)] => Cow::Borrowed(only),
        several => {
            let texts: Vec<&[u8]> = several.iter().map(|(_, text)| *text).collect();
            Cow::Owned(texts.join(&b"\n---\n"[..]))
        }
    }
}

/// The newest edition for a config alone, unless the options name one.
fn assumed_edition(stream: &[u8], options: &Options) -> Option<Edition> {
    let is_config_alone = !options.overrides.files.is_empty() && stream.trim_ascii().is_empty();
    if is_config_alone && options.edition.is_none() {
        Some(Edition::newest())
    } else {
        None
    }
}

/// Whether a text is a config and no stream: one document, and no object of Kubernetes but a
/// VirtualClusterTemplate.
#[must_use]
pub fn is_config(text: &[u8]) -> bool {
    let mut documents = documents::split(text)
        .map(|d| text.get(d.body).unwrap_or_default())
        .filter(|body| !is_blank(body));
    let (Some(body), None) = (documents.next(), documents.next()) else {
        return false;
    };
    let Some(tree) = std::str::from_utf8(body)
        .ok()
        .and_then(|t| Tree::parse(t).ok())
    else {
        return false;
    };
    let root = tree.root().filter(|root| root.is_mapping());
    root.is_some_and(|root| match root.get("kind").and_then(Node::text) {
        Some(kind) => kind == "VirtualClusterTemplate",
        None => true,
    })
}

fn is_blank(body: &[u8]) -> bool {
    body.split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .all(|line| line.is_empty() || line.starts_with(b"#"))
}
