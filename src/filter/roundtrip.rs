//! The last look at a policy before it goes out: is the text what was meant?
//!
//! The text is read by serde_yaml, which shares nothing with our own emitter and reader, and must
//! give the very values that the policy holds. A fault in the emitter becomes an error here, never
//! a policy with another meaning.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use serde::Deserialize;

use crate::vcluster::policies::Policy;
use manifest::diagnostic::Diagnostic;

/// A policy as somebody reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Written {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: NetworkPolicySpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Written {
    /// The first field that is not what was meant.
    #[must_use]
    pub fn difference(
        self,
        policy: &Policy,
        annotations: &BTreeMap<String, String>,
    ) -> Option<&'static str> {
        let labels: BTreeMap<String, String> = policy.labels.iter().cloned().collect();
        let same = [
            ("apiVersion", self.api_version == "networking.k8s.io/v1"),
            ("kind", self.kind == "NetworkPolicy"),
            ("metadata.name", self.metadata.name == policy.name),
            (
                "metadata.namespace",
                self.metadata.namespace == policy.namespace,
            ),
            ("metadata.labels", self.metadata.labels == labels),
            (
                "metadata.annotations",
                self.metadata.annotations == *annotations,
            ),
            ("spec", normal(self.spec) == normal(policy.spec())),
        ];
        same.iter().find(|(_, same)| !same).map(|(field, _)| *field)
    }
}

/// Reads the text of a policy back.
///
/// # Errors
/// When it says anything else than the policy does.
pub fn check(
    text: &str,
    policy: &Policy,
    annotations: &BTreeMap<String, String>,
) -> Result<(), Diagnostic> {
    let fault = |what: &str| {
        let message = format!(
            "the text written for {} is not what was meant: {what}",
            policy.name
        );
        Diagnostic::error(message).help("please report this with the config")
    };
    let written: Written = serde_yaml::from_str(text).map_err(|e| {
        let place = e
            .location()
            .map_or(String::new(), |l| format!(" in line {}", l.line()));
        fault(&format!("it can't be read{place}"))
    })?;
    match written.difference(policy, annotations) {
        Some(field) => Err(fault(&format!("{field} differs"))),
        None => Ok(()),
    }
}

/// Empty lists are written as absent ones, which is the same to Kubernetes.
fn normal(mut spec: NetworkPolicySpec) -> NetworkPolicySpec {
    fn full<T>(list: &mut Option<Vec<T>>) {
        if list.as_ref().is_some_and(Vec::is_empty) {
            *list = None;
        }
    }
    use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
    fn selector(selector: &mut LabelSelector) {
        if selector
            .match_labels
            .as_ref()
            .is_some_and(BTreeMap::is_empty)
        {
            selector.match_labels = None;
        }
        full(&mut selector.match_expressions);
        for requirement in selector.match_expressions.iter_mut().flatten() {
            full(&mut requirement.values);
        }
    }
    fn peers(list: &mut Option<Vec<NetworkPolicyPeer>>) {
        full(list);
        for peer in list.iter_mut().flatten() {
            peer.pod_selector.iter_mut().for_each(selector);
            peer.namespace_selector.iter_mut().for_each(selector);
            if let Some(block) = &mut peer.ip_block {
                full(&mut block.except);
            }
        }
    }
    spec.pod_selector.iter_mut().for_each(selector);
    for rule in spec.egress.iter_mut().flatten() {
        full(&mut rule.ports);
        peers(&mut rule.to);
    }
    for rule in spec.ingress.iter_mut().flatten() {
        full(&mut rule.ports);
        peers(&mut rule.from);
    }
    spec
}
