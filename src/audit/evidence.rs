//! What the evaluator does not read and an audit needs: who wrote a policy, and policies of other
//! kinds.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::verdict::PolicyName;
use crate::vcluster::actors::MANAGED_BY;
use manifest::documents;
use manifest::objects::{self, Object, ObjectLocation};
use manifest::yaml::{Node, Tree};
use netpol::kubernetes;
use netpol::model::tier::Dialect;

/// What a policy is beside its rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PolicyMetadata {
    /// The virtual cluster out of which the syncer copied it.
    pub(super) tenant: Option<String>,
    /// Whether Helm runs it as a hook, so it is no part of the release.
    pub(super) is_hook: bool,
    /// The line of the stream at which its document begins.
    pub(super) line: usize,
}

/// A policy of a kind that is not evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OtherPolicy {
    pub(super) kind: String,
    pub(super) api_version: String,
    /// `None` for one that applies to the whole cluster.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl OtherPolicy {
    pub(super) fn describe(&self) -> String {
        let Self { kind, name, .. } = self;
        let version = &self.api_version;
        match &self.namespace {
            Some(namespace) => format!("{kind} {namespace}/{name} ({version})"),
            None => format!("{kind} {name} ({version})"),
        }
    }
}

/// What was found in a stream.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) policies: HashMap<PolicyName, PolicyMetadata>,
    /// Those that can allow something.
    pub(super) other_policies: Vec<OtherPolicy>,
}

impl Evidence {
    /// Reads the documents of a stream that can hold any of it; objects without a namespace are
    /// put into `namespace`.
    pub(super) fn of(stream: &[u8], namespace: &str) -> Self {
        let mut evidence = Self::default();
        let (mut line, mut counted) = (1, 0);
        // A string with escapes can spell the kind in another way.
        let words = [kubernetes::KIND, "\\"];
        objects::walk_documents_with(stream, &words, &mut |object, node, document| {
            let before = stream.get(counted..document.body.start).unwrap_or_default();
            line += memchr::memchr_iter(b'\n', before).count();
            counted = document.body.start;
            evidence.take(object, node, namespace, line);
        });
        evidence
    }

    fn take(&mut self, object: Object, node: Node<'_>, namespace: &str, line: usize) {
        let own = object.namespace.clone();
        let in_namespace = own.clone().unwrap_or_else(|| namespace.to_owned());
        let name = object.name.clone().unwrap_or_default();
        let group = object.group();
        let groups = ["", kubernetes::GROUP, kubernetes::OLD_GROUP];
        if object.kind == kubernetes::KIND && groups.contains(&group) {
            let metadata = PolicyMetadata {
                tenant: object.labels.get(MANAGED_BY).cloned(),
                is_hook: object.is_hook(),
                line,
            };
            let name = PolicyName {
                namespace: in_namespace,
                name,
            };
            self.policies.insert(name, metadata);
        } else if object.kind.contains(kubernetes::KIND) {
            let spec = node.to_json();
            // Policies of the whole cluster are read with the NetworkPolicies.
            let is_evaluated = Dialect::of(&object.kind, &object.api_version).is_some();
            if !is_evaluated && may_allow(&object.kind, group, &spec) {
                self.other_policies.push(OtherPolicy {
                    kind: object.kind,
                    api_version: object.api_version,
                    namespace: own,
                    name,
                });
            }
        }
    }
}

/// An object by kind, namespace and name.
type Identity = (String, Option<String>, Option<String>);

/// Whether a stream holds objects of an API server alone, and none that was seen before.
pub(super) fn is_new_dump(stream: &[u8], seen: &mut HashSet<Identity>) -> bool {
    // Rendered charts have no such field, and need not be parsed for this.
    if memchr::memmem::find(stream, b"resourceVersion").is_none() {
        return false;
    }
    let mut is_new = true;
    for document in documents::split(stream) {
        let body = stream.get(document.body.clone()).unwrap_or_default();
        let tree = std::str::from_utf8(body)
            .ok()
            .and_then(|text| Tree::parse_cluster(text).ok());
        let Some(tree) = tree else { return false };
        let Some(root) = tree.root() else { continue };
        let location = ObjectLocation::of_document(document.clone());
        objects::walk(root, document.body.start, &location, &mut |object, node| {
            is_new &= node.dig(&["metadata", "uid"]).is_some();
            is_new &= seen.insert((object.kind, object.namespace, object.name));
        });
    }
    is_new
}

/// Whether a policy of another kind can allow anything. One that only denies opens nothing.
fn may_allow(kind: &str, group: &str, object: &Value) -> bool {
    // Calico's staged policies have no effect.
    if kind.starts_with("Staged") {
        return false;
    }
    let specs = [object.get("spec"), object.get("specs")];
    let specs = || specs.iter().flatten().copied();
    if group == "cilium.io" {
        // Rules allow, except those of ingressDeny and egressDeny.
        return specs().any(|spec| has_list(spec, &["ingress", "egress"]));
    }
    let acts = |spec: &Value| has_action(spec, &["allow", "accept"]);
    let known = [
        "projectcalico.org",
        "crd.projectcalico.org",
        "policy.networking.k8s.io",
        "crd.antrea.io",
    ];
    !known.contains(&group) || specs().any(acts)
}

/// Whether one of the fields holds a list that is not empty, at any depth.
fn has_list(value: &Value, fields: &[&str]) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| {
            let is_list = value.as_array().is_some_and(|list| !list.is_empty());
            (fields.contains(&key.as_str()) && is_list) || has_list(value, fields)
        }),
        Value::Array(items) => items.iter().any(|item| has_list(item, fields)),
        _ => false,
    }
}

/// Whether a field `action` has one of the values, at any depth.
fn has_action(value: &Value, actions: &[&str]) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| {
            let text = value.as_str().unwrap_or_default();
            let is_meant = actions.iter().any(|a| a.eq_ignore_ascii_case(text));
            (key == "action" && is_meant) || has_action(value, actions)
        }),
        Value::Array(items) => items.iter().any(|item| has_action(item, actions)),
        _ => false,
    }
}
