//! From the policies that the filter makes to those that the evaluator asks, each rule with its
//! comment and its origin.
//!
//! Where the config was found and what it says is settled in [`crate::filter`].

use k8s_openapi::api::networking::v1::NetworkPolicySpec;

use crate::filter::GeneratedPolicies;
use crate::vcluster::policies;
use netpol::model::policy::{Direction, Policy, PolicyError};

/// The policies of all virtual clusters whose config enables them; those without a namespace are
/// put into `namespace`.
///
/// # Errors
/// A policy that has no meaning, which the filter would not have made.
pub fn policies(made: &[GeneratedPolicies], namespace: &str) -> Result<Vec<Policy>, PolicyError> {
    made.iter()
        .filter(|made| made.enabled)
        .flat_map(|made| &made.policies)
        .map(|policy| readable(policy, namespace))
        .collect()
}

fn readable(policy: &policies::Policy, namespace: &str) -> Result<Policy, PolicyError> {
    let spec: NetworkPolicySpec = policy.spec();
    let namespace = policy.namespace.as_deref().unwrap_or(namespace);
    let mut read = Policy::read(namespace, &policy.name, Some(&spec))?;
    let egress = policy.egress.iter();
    let egress = egress.map(|r| (r.comment.clone(), r.origin.clone()));
    read.annotate(Direction::Egress, egress);
    let ingress = policy.ingress.iter();
    let ingress = ingress.map(|r| (r.comment.clone(), r.origin.clone()));
    read.annotate(Direction::Ingress, ingress);
    Ok(read)
}
