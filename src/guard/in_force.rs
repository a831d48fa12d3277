//! Whether an admission policy of [`guard`](super::guard) is among the objects of a stream, as it is
//! printed for a virtual cluster.
//!
//! Only what has exactly the meaning of our own output counts: another object can let through what
//! ours refuses. Fields that the API server adds with their default are no difference.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Protected;
use super::admission::{self, API_VERSION, BINDING, POLICY};
use crate::filter::GeneratedPolicies;
use crate::tenant::PodAdmission;
use manifest::objects::{self, Object};
use manifest::yaml::Node;

/// The admission policies and bindings of a stream, by kind and name.
#[derive(Debug, Default)]
pub struct AdmissionObjects {
    specs: HashMap<(String, String), Vec<Value>>,
}

impl AdmissionObjects {
    /// Reads a stream. What is no YAML is an error of those who read policies and configs.
    #[must_use]
    pub fn read(stream: &[u8]) -> Self {
        let mut found = Self::default();
        // Most streams have none, and need not be cut into documents for this.
        if memchr::memmem::find(stream, POLICY.as_bytes()).is_none() {
            return found;
        }
        objects::walk_documents_with(stream, &[POLICY], &mut |object, node, _| {
            found.take(object, node);
        });
        found
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    fn take(&mut self, object: Object, node: Node<'_>) {
        if object.kind != POLICY && object.kind != BINDING {
            return;
        }
        let is_going = node.dig(&["metadata", "deletionTimestamp"]).is_some();
        // A hook comes and goes, and other versions are not what is printed.
        let spec = if object.is_hook() || is_going || object.api_version != API_VERSION {
            Value::Null
        } else {
            node.get("spec").map_or(Value::Null, Node::to_json)
        };
        let name = object.name.clone().unwrap_or_default();
        let specs = self.specs.entry((object.kind, name)).or_default();
        specs.push(without_defaults(spec));
    }

    /// What is there for the pods of a virtual cluster; `made` must have its companions, as those of
    /// `guard` have.
    #[must_use]
    pub fn for_pods(&self, made: &GeneratedPolicies) -> PodAdmission {
        let Some(namespace) = made.namespace.as_deref() else {
            return PodAdmission::Absent;
        };
        let cluster = Protected {
            name: &made.name,
            namespace,
            made,
        };
        let [policy, binding] = admission::for_pods(&cluster);
        let name = policy.value.pointer("/metadata/name");
        let name = name.and_then(Value::as_str).unwrap_or_default().to_owned();
        let there = |kind: &str| self.specs.get(&(kind.to_owned(), name.clone()));
        let Some(policies) = there(POLICY) else {
            return PodAdmission::Absent;
        };
        // Of several with one name, it is not known which is applied last.
        if !policies
            .iter()
            .all(|spec| Some(spec) == policy.value.get("spec"))
        {
            let differs = "it is not what guard prints for this virtual cluster";
            return PodAdmission::Different { name, differs };
        }
        let Some(bindings) = there(BINDING) else {
            let differs = "no binding of this name puts it in force";
            return PodAdmission::Different { name, differs };
        };
        let wanted = binding.value.get("spec");
        if let Some(differs) = bindings.iter().find_map(|spec| differs(spec, wanted)) {
            return PodAdmission::Different { name, differs };
        }
        PodAdmission::InForce { name }
    }
}

/// In what a binding is weaker than the wanted one, if it may be.
fn differs(spec: &Value, wanted: Option<&Value>) -> Option<&'static str> {
    let actions = spec.get("validationActions").and_then(Value::as_array);
    if !actions.is_some_and(|actions| actions.contains(&json!("Deny"))) {
        return Some("its binding does not deny");
    }
    let without_actions = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(fields) = spec.as_object_mut() {
            fields.remove("validationActions");
        }
        spec
    };
    if Some(without_actions(spec)) == wanted.map(without_actions) {
        None
    } else {
        Some("its binding is not what guard prints for this virtual cluster")
    }
}

/// A spec without the fields that the API server adds with their default.
fn without_defaults(mut spec: Value) -> Value {
    let Some(constraints) = spec
        .get_mut("matchConstraints")
        .and_then(Value::as_object_mut)
    else {
        return spec;
    };
    for (field, default) in [
        ("matchPolicy", json!("Equivalent")),
        ("objectSelector", json!({})),
    ] {
        if constraints.get(field) == Some(&default) {
            constraints.remove(field);
        }
    }
    let rules = constraints.get_mut("resourceRules");
    for rule in rules.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(rule) = rule.as_object_mut()
            && rule.get("scope") == Some(&json!("*"))
        {
            rule.remove("scope");
        }
    }
    spec
}
