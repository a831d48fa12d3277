//! The virtual clusters that run in a stream although no config in it belongs to them.
//!
//! Every chart labels the StatefulSet or Deployment of the control plane. So a virtual cluster is
//! seen even where Helm took its Secret out of the stream, and nobody has to guess why it got no
//! policies. Namespaces are compared as the policies will have them: a namesake elsewhere is another
//! virtual cluster.

use std::collections::{HashMap, HashSet};

use super::ownership::{Draft, ReleaseObjects, stated_namespace};
use super::sources::{Overrides, object_place};
use crate::filter::index::IndexedObject as Object;
use manifest::diagnostic::Location;

/// A virtual cluster that runs and has no config.
#[derive(Debug, Clone)]
pub struct Running {
    /// The Helm release.
    pub name: String,
    /// Its namespace, if anything says.
    pub namespace: Option<String>,
    /// The label `chart` of what runs, as it stands.
    pub chart: Option<String>,
    /// What runs.
    pub place: Location,
}

/// The drafts of one name, by the namespaces that they are in.
#[derive(Default)]
struct Namesakes<'d> {
    namespaces: HashSet<Option<&'d str>>,
    /// How many drafts may be anywhere: nothing says their namespace, or an option says another.
    anywhere: usize,
}

/// The virtual clusters that run in the stream and that no draft is of.
pub(super) fn without_config(
    drafts: &[Draft<'_>],
    release_objects: &ReleaseObjects<'_>,
    overrides: &Overrides,
    stream: &[u8],
) -> Vec<Running> {
    let objects = release_objects.main_workloads();
    if objects.is_empty() {
        return Vec::new();
    }
    let option = overrides.namespace.as_deref();
    let default_namespace = overrides.default_namespace();
    let mut namesakes: HashMap<&str, Namesakes<'_>> = HashMap::new();
    for draft in drafts {
        let known = namesakes.entry(draft.name.as_str()).or_default();
        let stated = draft.namespace.as_deref();
        known.namespaces.insert(stated.or(default_namespace));
        // An option moves the policies, and settles where a contradicting stream runs.
        known.namespaces.extend(option.map(Some));
        if stated.is_none() && (option.is_some() || default_namespace.is_none()) {
            known.anywhere += 1;
        }
    }
    let mut seen: HashSet<(&str, Option<&str>)> = HashSet::new();
    let mut found = Vec::new();
    for object in &objects {
        let release = object.name.as_deref().unwrap_or_default();
        let namespace = stated_namespace(object).or(default_namespace);
        if !seen.insert((release, namespace)) {
            continue;
        }
        let is_known = namesakes
            .get_mut(release)
            .is_some_and(|known| takes(known, namespace));
        if !is_known {
            found.push(running(object, release, namespace, stream));
        }
    }
    found
}

/// Whether one of the drafts is of what runs in a namespace. A draft that may be anywhere is in one
/// namespace only.
fn takes(known: &mut Namesakes<'_>, namespace: Option<&str>) -> bool {
    if namespace.is_none() || known.namespaces.contains(&namespace) {
        return true;
    }
    let is_somewhere = known.anywhere > 0;
    known.anywhere = known.anywhere.saturating_sub(1);
    is_somewhere
}

fn running(object: &Object, release: &str, namespace: Option<&str>, stream: &[u8]) -> Running {
    Running {
        name: release.to_owned(),
        namespace: namespace.map(str::to_owned),
        chart: object.labels.get("chart").cloned(),
        place: object_place(object, stream),
    }
}
