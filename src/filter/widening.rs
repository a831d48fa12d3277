//! Whether the config of an annotation opens more than the config of the Secret that it overrides.
//!
//! Anybody who may add an object to a stream can annotate it, so an annotation that opens what the
//! values close has to be noticed. The answer is exact: both sets of policies are evaluated for
//! every kind of pod that they select.

use crate::vcluster::policies::Policy;
use netpol::evaluate::Policies;
use netpol::model::pod::Pod;
use netpol::model::policy::{Direction, Policy as Evaluated};

/// The first policy, and its direction, of which `new` lets more through than `old`.
///
/// A policy that can't be evaluated counts as one that opens more.
pub(super) fn widened<'p>(old: &[Policy], new: &'p [Policy]) -> Option<(&'p str, Direction)> {
    let (Some(before), Some(after)) = (evaluated(old), evaluated(new)) else {
        return new.first().map(|p| (p.name.as_str(), Direction::Egress));
    };
    for policy in new {
        let namespace = policy.namespace.as_deref().unwrap_or_default();
        let is_same = |p: &&Evaluated| p.name == policy.name && p.namespace == namespace;
        let Some(subject) = after.iter().find(is_same) else {
            continue;
        };
        for labels in subject.selector.examples() {
            let pod = Pod {
                namespace: subject.namespace.clone(),
                labels,
                ..Pod::default()
            };
            for direction in [Direction::Egress, Direction::Ingress] {
                let more = after.allowance(&pod, direction);
                let less = before.allowance(&pod, direction);
                if !more.difference(&less).is_empty() {
                    return Some((&policy.name, direction));
                }
            }
        }
    }
    None
}

fn evaluated(policies: &[Policy]) -> Option<Policies> {
    let read = |policy: &Policy| {
        let namespace = policy.namespace.as_deref().unwrap_or_default();
        Evaluated::read(namespace, &policy.name, Some(&policy.spec())).ok()
    };
    policies.iter().map(read).collect()
}
