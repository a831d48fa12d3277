//! What is to be explained: the policies of a stream, and those that its config asks for.
//!
//! Policies that stand in the stream are taken as they stand, and learn from the config what made
//! them; those that the config asks for and that are missing are added as the filter would make
//! them. Nothing is said here of what they mean.

use std::collections::HashSet;

use super::origins;
use crate::filter::{self, GeneratedPolicies, Options};
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
}

impl View {
    /// Reads a stream. Where the options bring a config, its policies take the place of those in
    /// the stream.
    ///
    /// # Errors
    /// A config that the filter would refuse, a document that can't be read.
    pub fn read(stream: &[u8], file: &str, options: &Options) -> Result<Self, Diagnostics> {
        let assumed_edition = assumed_edition(stream, options);
        let options = &Options {
            edition: options.edition.or(assumed_edition),
            ..options.clone()
        };
        let (made, warnings) = filter::plans(stream, options)?;
        let namespace = namespace(&made, options);
        let makes = origins::policies(&made, &namespace)
            .map_err(|e| Diagnostics::from(Diagnostic::error(e.to_string())))?;
        let mut model = reader::read_all([(file, stream)], &namespace)?;
        let policies = model.policies_mut();
        let name = |p: &Policy| (p.namespace.clone(), p.name.clone());
        let mut there: HashSet<_> = policies.iter().map(name).collect();
        let replaces = !options.overrides.files.is_empty();
        let put = makes.iter().filter(|p| there.insert(name(p)) || replaces);
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
        Ok(Self {
            model,
            made,
            makes,
            namespace,
            assumed_edition,
            warnings,
        })
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

/// The namespace that is told, or the only one that the configs belong to.
fn namespace(made: &[GeneratedPolicies], options: &Options) -> String {
    let mut own = made.iter().filter_map(|m| m.namespace.as_ref());
    let first = own.next();
    let sole = first.filter(|first| own.all(|other| other == *first));
    (options.overrides.namespace.as_ref())
        .or(sole)
        .or(options.overrides.fallback_namespace.as_ref())
        .cloned()
        .unwrap_or_default()
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
