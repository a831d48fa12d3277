//! What a policy that is not one of its own opens to the pods of a virtual cluster.
//!
//! Policies only add, so what one opens is what it allows the pods that it selects, less what the
//! virtual cluster's own policies allow the same pods. Both are computed as sets. A tenant chooses
//! the labels of its pods, so for workloads every label counts that the other policy asks for. The
//! labels of a control plane are those of the pods that are there.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::explain::diff::{Change, Diff, entries};
use crate::explain::words::Party;
use crate::vcluster::actors::MANAGED_BY;
use netpol::evaluate::Policies;
use netpol::model::cluster::ClusterModel;
use netpol::model::pod::Pod;
use netpol::model::policy::{Direction, Policy};
use netpol::sets::selector::{Labels, Selector};

/// The label by which a policy for control planes selects them.
pub(super) const RELEASE: &str = "release";

/// The policies of a stream that belong to no virtual cluster, found by the pods that they can
/// select.
#[derive(Debug, Default)]
pub(super) struct OtherPolicies<'p> {
    by_namespace: HashMap<&'p str, InNamespace<'p>>,
}

#[derive(Debug, Default)]
struct InNamespace<'p> {
    /// Those that ask for the pods of one virtual cluster, by its name.
    by_cluster: HashMap<String, Vec<&'p Policy>>,
    /// All others.
    rest: Vec<&'p Policy>,
}

impl<'p> FromIterator<&'p Policy> for OtherPolicies<'p> {
    fn from_iter<I: IntoIterator<Item = &'p Policy>>(policies: I) -> Self {
        let mut others = Self::default();
        // A policy without rules, such as one that denies everything, opens nothing.
        let has_rules = |policy: &&Policy| {
            let directions = [Direction::Egress, Direction::Ingress];
            let rules = directions.map(|direction| policy.rules(direction).unwrap_or_default());
            rules.iter().any(|rules| !rules.is_empty())
        };
        for policy in policies.into_iter().filter(has_rules) {
            let place = others.by_namespace.entry(&policy.namespace).or_default();
            let workload = policy.selector.fixed(MANAGED_BY);
            let control_plane = policy.selector.fixed(RELEASE);
            match workload.or(control_plane) {
                Some(cluster) => {
                    let list = place.by_cluster.entry(cluster.to_owned()).or_default();
                    list.push(policy);
                }
                None => place.rest.push(policy),
            }
        }
        others
    }
}

impl<'p> OtherPolicies<'p> {
    /// Those that can select pods of a virtual cluster in a namespace.
    pub(super) fn of(&self, namespace: &str, cluster: &str) -> Vec<&'p Policy> {
        let Some(place) = self.by_namespace.get(namespace) else {
            return Vec::new();
        };
        let own = place.by_cluster.get(cluster).into_iter().flatten();
        own.chain(&place.rest).copied().collect()
    }
}

/// The labels of the pods of control planes that are there, by namespace and release.
#[derive(Debug, Default)]
pub(super) struct ControlPlanes<'m> {
    by_release: HashMap<(&'m str, &'m str), BTreeSet<&'m Labels>>,
}

impl<'m> ControlPlanes<'m> {
    pub(super) fn of(model: &'m ClusterModel) -> Self {
        let mut found = Self::default();
        for pod in model.pods() {
            let is_synced = pod.labels.contains_key(MANAGED_BY);
            if let (Some(release), false) = (pod.labels.get(RELEASE), is_synced) {
                let place = (pod.namespace.as_str(), release.as_str());
                found
                    .by_release
                    .entry(place)
                    .or_default()
                    .insert(&pod.labels);
            }
        }
        found
    }

    fn labels<'a>(
        &'a self,
        namespace: &'a str,
        release: &'a str,
    ) -> Option<&'a BTreeSet<&'m Labels>> {
        self.by_release.get(&(namespace, release))
    }
}

/// Which of the virtual cluster's pods a policy of its own is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Workload,
    ControlPlane,
}

/// The own policies of one virtual cluster, to hold others against.
#[derive(Debug)]
pub(super) struct Baseline<'b> {
    pub(super) release: &'b str,
    /// What the config says, the companions that are there included.
    pub(super) policies: &'b Policies,
    pub(super) control_planes: &'b ControlPlanes<'b>,
}

impl Baseline<'_> {
    /// What another policy opens beyond the own ones.
    pub(super) fn opened_by(&self, own: &[(Subject, &Policy)], other: &Policy) -> Diff {
        let alone: Policies = std::iter::once(other.clone()).collect();
        let mut changes: Vec<Change> = Vec::new();
        for (subject, policy) in own {
            for labels in self.pods(*subject, policy, other) {
                let pod = Pod {
                    namespace: policy.namespace.clone(),
                    namespace_labels: Arc::default(),
                    labels,
                    ..Pod::default()
                };
                for direction in [Direction::Egress, Direction::Ingress] {
                    let change = self.change(&pod, policy, &alone, other, direction);
                    let is_new = |change: &Change| {
                        let same = |known: &Change| {
                            (&known.direction, &known.newly_allowed, &known.policies)
                                == (&change.direction, &change.newly_allowed, &change.policies)
                        };
                        !changes.iter().any(same)
                    };
                    changes.extend(change.filter(is_new));
                }
            }
        }
        Diff {
            changes,
            ..Diff::default()
        }
    }

    /// The labels of pods that both policies select.
    fn pods(&self, subject: Subject, policy: &Policy, other: &Policy) -> Vec<Labels> {
        let by_both = policy.selector.and(&other.selector);
        if subject == Subject::Workload {
            let mut pods = by_both.examples();
            // The syncer renames a tenant's own label of this name, so no workload has it.
            pods.retain(|labels| !labels.contains_key(RELEASE));
            return pods;
        }
        let known = self.control_planes.labels(&policy.namespace, self.release);
        match known {
            Some(known) => {
                let known = known.iter().copied();
                known.filter(|l| by_both.matches(l)).cloned().collect()
            }
            None => control_plane(self.release).and(&by_both).examples(),
        }
    }

    fn change(
        &self,
        pod: &Pod,
        policy: &Policy,
        alone: &Policies,
        other: &Policy,
        direction: Direction,
    ) -> Option<Change> {
        // A policy without rules for a direction adds nothing to it.
        alone.isolating(pod, direction).next()?;
        self.policies.isolating(pod, direction).next()?;
        let before = self.policies.allowance(pod, direction);
        let more = alone.allowance(pod, direction).difference(&before);
        if more.is_empty() {
            return None;
        }
        Some(Change {
            policies: vec![other.name.clone()],
            namespace: (!other.namespace.is_empty()).then(|| other.namespace.clone()),
            pods: subject_in_words(policy, other),
            except: Vec::new(),
            direction: direction.to_string(),
            restricted: [true, true],
            newly_allowed: entries(&more, &before),
            no_longer_allowed: Vec::new(),
        })
    }
}

/// The pods of a control plane, as the chart labels them.
fn control_plane(release: &str) -> Selector {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
    let labels = [("app", "vcluster"), (RELEASE, release)];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let selector = LabelSelector {
        match_labels: Some(labels.into()),
        match_expressions: None,
    };
    Selector::read(Some(&selector)).unwrap_or_default()
}

/// The pods of the own policy, or those among them that the other one selects.
fn subject_in_words(policy: &Policy, other: &Policy) -> Party {
    let all = Party::subject(policy);
    if policy.selector.is_within(&other.selector) {
        return all;
    }
    Party {
        who: format!("{} that have labels", all.who),
        by: other.selector.to_string(),
        short: None,
    }
}
