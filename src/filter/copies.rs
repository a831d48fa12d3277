//! The policies of ours that a stream has already, each with the virtual cluster that it belongs to.
//!
//! Each copy is given to one virtual cluster, in the order of the stream. Those of a virtual cluster
//! without policies of its own stay as they are, and a warning says so.

use std::cell::Cell;
use std::collections::HashMap;

use super::plan::Plan;
use crate::filter::index::{Index, IndexedObject as Object};
use crate::rules::disabled_with_policies;
use crate::vcluster::policies::Role;
use crate::vcluster::sources::VirtualCluster;
use manifest::diagnostic::Diagnostic;

/// The copies that the stream has.
pub(super) struct Copies<'a> {
    stream: &'a [u8],
    index: &'a Index,
    /// The namespace of objects that say none.
    default_namespace: Option<&'a str>,
    /// The policies of each name and namespace that nobody has taken yet, as places in the index.
    unclaimed: HashMap<(&'a str, Option<&'a str>), Cell<Vec<usize>>>,
}

/// The copies of the policies of one virtual cluster, in the order of its plan.
#[derive(Default)]
pub(super) struct OwnCopies<'a> {
    pub(super) policies: Vec<Vec<&'a Object>>,
    pub(super) companions: Vec<Vec<&'a Object>>,
    /// Those that its edition does not have.
    pub(super) unwanted: Vec<&'a Object>,
}

impl<'a> Copies<'a> {
    pub(super) fn new(
        stream: &'a [u8],
        index: &'a Index,
        default_namespace: Option<&'a str>,
    ) -> Self {
        let mut unclaimed: HashMap<_, Cell<Vec<usize>>> = HashMap::new();
        for (i, object) in index.objects.iter().enumerate() {
            if let (true, Some(name)) = (
                object.is_network_policy() && !object.is_hook(),
                &object.name,
            ) {
                let place = (name.as_str(), object.namespace.as_deref());
                unclaimed.entry(place).or_default().get_mut().push(i);
            }
        }
        Self {
            stream,
            index,
            default_namespace,
            unclaimed,
        }
    }

    /// Takes the copies of all policies of a plan.
    pub(super) fn of_plan(&self, cluster: &VirtualCluster, plan: &Plan) -> OwnCopies<'a> {
        let take = |name: &str, namespace: Option<&str>| self.take(cluster, name, namespace);
        let of = |policies: &[crate::vcluster::policies::Policy]| {
            let copies = policies.iter();
            copies
                .map(|policy| take(&policy.name, policy.namespace.as_deref()))
                .collect()
        };
        OwnCopies {
            policies: of(&plan.policies),
            companions: of(&plan.companions),
            unwanted: plan
                .unwanted
                .iter()
                .flat_map(|name| take(name, cluster.namespace.as_deref()))
                .collect(),
        }
    }

    /// Takes the copies of a virtual cluster whose config is disabled. They stay, and a warning says
    /// so.
    pub(super) fn of_disabled(&self, cluster: &VirtualCluster) -> Vec<Diagnostic> {
        let message = format!(
            "the config of {} is disabled, but this policy is in the stream and stays",
            cluster.describe()
        );
        let names =
            [Role::Workload, Role::ControlPlane].map(|role| role.policy_name(&cluster.name));
        let copies = names
            .iter()
            .flat_map(|name| self.take(cluster, name, cluster.namespace.as_deref()));
        let warning = |object: &Object| {
            Diagnostic::warning(disabled_with_policies::RULE.code, message.clone())
                .help("enable the config, or remove the policy from the chart")
                .at(object.place(self.stream))
        };
        copies.map(warning).collect()
    }

    /// The warnings about the policies of a stream without any config. They stay as they are.
    pub(super) fn without_config(&self) -> Vec<Diagnostic> {
        let ours = |o: &&Object| o.is_own_policy() && !o.is_hook();
        let warning = |object: &Object| {
            let message = "the stream holds no config, so this policy stays as the chart has it";
            Diagnostic::warning(disabled_with_policies::RULE.code, message)
                .help("was the config Secret hidden? Set the annotation, or use --config FILE")
                .at(object.place(self.stream))
        };
        self.index
            .objects
            .iter()
            .filter(ours)
            .map(warning)
            .collect()
    }

    /// Takes the copies of a policy of a virtual cluster, none of which has been taken for another's.
    fn take(
        &self,
        cluster: &VirtualCluster,
        name: &str,
        namespace: Option<&str>,
    ) -> Vec<&'a Object> {
        let namespaces = [namespace, cluster.stream_namespace.as_deref()];
        let mut found: Vec<usize> = Vec::new();
        let mut take = |namespace: Option<&str>| {
            let places = self.unclaimed.get(&(name, namespace));
            found.extend(places.map(Cell::take).into_iter().flatten());
        };
        for namespace in namespaces.into_iter().flatten() {
            take(Some(namespace));
        }
        // One without a namespace is of the release's; of which, only the environment says.
        let is_default_meant =
            |default| cluster.has_name_alone || namespaces.contains(&Some(default));
        if self.default_namespace.is_none_or(is_default_meant) {
            take(None);
        }
        found.sort_unstable();
        let objects = &self.index.objects;
        found.iter().filter_map(|i| objects.get(*i)).collect()
    }
}
