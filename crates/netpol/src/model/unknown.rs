//! Policies of kinds that are not evaluated, and which pods each can select.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::pod::Pod;

/// A policy of a kind that is not evaluated, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPolicy {
    /// Its kind.
    pub kind: String,
    /// Its API version.
    pub api_version: String,
    /// The namespace whose pods alone it can select; `None` if it can select pods anywhere.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// What it says, without its metadata and its status.
    pub content: serde_json::Value,
}

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name)?,
            None => write!(f, "{} {}", self.kind, self.name)?,
        }
        write!(f, " of {}", self.api_version)
    }
}

/// The policies of a cluster that are not evaluated.
#[derive(Debug, Clone, Default)]
pub struct UnknownPolicies {
    all: Vec<UnknownPolicy>,
    /// The places of those that can select only pods of a namespace.
    by_namespace: BTreeMap<String, Vec<usize>>,
    /// The places of those that can select pods anywhere.
    anywhere: Vec<usize>,
}

impl UnknownPolicies {
    pub(crate) fn new(all: Vec<UnknownPolicy>) -> Self {
        let mut policies = Self::default();
        for (place, policy) in all.iter().enumerate() {
            let places = match &policy.namespace {
                Some(namespace) => policies.by_namespace.entry(namespace.clone()).or_default(),
                None => &mut policies.anywhere,
            };
            places.push(place);
        }
        Self { all, ..policies }
    }

    /// All of them, as they were read.
    pub fn iter(&self) -> impl Iterator<Item = &UnknownPolicy> {
        self.all.iter()
    }

    /// Whether one of them can select the pod. One that is only described can be in any namespace.
    pub(crate) fn can_select(&self, pod: &Pod) -> bool {
        let is_anywhere = pod.namespace.is_empty() && !self.all.is_empty();
        is_anywhere || !self.anywhere.is_empty() || self.by_namespace.contains_key(&pod.namespace)
    }

    /// Those that can select one of the pods, in the order in which they were read.
    pub(crate) fn that_can_select<'p>(
        &self,
        pods: impl Iterator<Item = &'p Pod>,
    ) -> Vec<&UnknownPolicy> {
        let namespaces: BTreeSet<&str> = pods.map(|pod| pod.namespace.as_str()).collect();
        if namespaces.contains("") {
            return self.all.iter().collect();
        }
        let own = namespaces
            .iter()
            .filter_map(|name| self.by_namespace.get(*name));
        let mut places: Vec<usize> = own.flatten().copied().collect();
        if !namespaces.is_empty() {
            places.extend(&self.anywhere);
        }
        places.sort_unstable();
        places
            .iter()
            .filter_map(|place| self.all.get(*place))
            .collect()
    }
}
