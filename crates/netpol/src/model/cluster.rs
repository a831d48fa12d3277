//! Everything that a manifest says about who is there: namespaces, pods, policies.
//!
//! It finds pods by name and by address and gives them the labels of their namespaces. How the
//! manifest was read is the matter of [`manifest`](crate::model::reader).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::evaluate::Policies;
use crate::model::pod::{Endpoint, Pod, PodNetwork};
use crate::model::policy::Policy;
use crate::model::unknown::{UnknownPolicies, UnknownPolicy};
use crate::sets::addresses::AddressSet;
use crate::sets::selector::Labels;
use manifest::diagnostic::Diagnostics;

/// The label that every namespace has without being given it.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A pod as it was read, before it is known what its namespace is like.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The pod; the labels of its namespace are filled in later.
    pub pod: Pod,
    /// Its addresses one by one, as the pod is to be found by them.
    pub addresses: Vec<IpAddr>,
    /// Whether it is a running pod and not the template of some.
    pub is_pod: bool,
}

/// Namespaces, pods and policies.
#[derive(Debug, Clone, Default)]
pub struct ClusterModel {
    namespaces: BTreeMap<String, Arc<Labels>>,
    pods: Vec<Arc<Pod>>,
    by_name: HashMap<String, HashMap<String, usize>>,
    by_address: BTreeMap<IpAddr, Vec<usize>>,
    pod_addresses: AddressSet,
    nodes: AddressSet,
    policies: Policies,
    warnings: Diagnostics,
    not_understood: Diagnostics,
    unknown_policies: UnknownPolicies,
}

impl ClusterModel {
    /// Puts together what was read, in any order.
    #[must_use]
    pub fn new(
        namespaces: BTreeMap<String, Labels>,
        mut drafts: Vec<Draft>,
        policies: Policies,
    ) -> Self {
        let mut model = Self {
            policies,
            ..Self::default()
        };
        for (name, labels) in namespaces {
            let labels = Arc::new(with_name(&name, labels));
            model.namespaces.insert(name, labels);
        }
        // A pod and a template of one name: the pod is the one that is meant.
        drafts.sort_by_key(|draft| !draft.is_pod);
        for mut draft in drafts {
            let namespace = draft.pod.namespace.clone();
            draft.pod.namespace_labels = Arc::clone(
                (model.namespaces)
                    .entry(namespace.clone())
                    .or_insert_with(|| Arc::new(with_name(&namespace, Labels::new()))),
            );
            draft.pod.addresses = draft.addresses.iter().copied().collect();
            let index = model.pods.len();
            model
                .by_name
                .entry(namespace)
                .or_default()
                .entry(draft.pod.name.clone())
                .or_insert(index);
            // What uses the network of its node, or none any more, is not who answers there.
            let has_addresses = draft.pod.network == PodNetwork::Own;
            for address in draft.addresses.into_iter().filter(|_| has_addresses) {
                let pods = model.by_address.entry(address).or_default();
                if pods.last() != Some(&index) {
                    pods.push(index);
                }
            }
            model.pods.push(Arc::new(draft.pod));
        }
        model.pod_addresses = model.by_address.keys().copied().collect();
        for policy in model.policies.iter() {
            let name = &policy.namespace;
            (model.namespaces)
                .entry(name.clone())
                .or_insert_with(|| Arc::new(with_name(name, Labels::new())));
        }
        model
    }

    /// The addresses of all pods.
    #[must_use]
    pub fn pod_addresses(&self) -> &AddressSet {
        &self.pod_addresses
    }

    /// The addresses of the nodes that are described, and of those that pods run on.
    #[must_use]
    pub fn nodes(&self) -> &AddressSet {
        &self.nodes
    }

    /// The same model with the addresses of its nodes.
    #[must_use]
    pub fn with_nodes(self, nodes: AddressSet) -> Self {
        Self { nodes, ..self }
    }

    /// The policies.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The policies, to note something at them.
    pub fn policies_mut(&mut self) -> &mut Policies {
        &mut self.policies
    }

    /// What is wrong with what was read, although it could be read.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// The policies of kinds that are not understood: nothing here takes them into account.
    #[must_use]
    pub fn not_understood(&self) -> &Diagnostics {
        &self.not_understood
    }

    /// The policies of kinds that are not evaluated. Each can open or close what others do not.
    #[must_use]
    pub fn unknown_policies(&self) -> &UnknownPolicies {
        &self.unknown_policies
    }

    /// The same model with policies that are not evaluated.
    #[must_use]
    pub fn with_unknown_policies(self, policies: Vec<UnknownPolicy>) -> Self {
        Self {
            unknown_policies: UnknownPolicies::new(policies),
            ..self
        }
    }

    /// The same model with warnings of policies that are not understood.
    #[must_use]
    pub fn with_not_understood(mut self, not_understood: Diagnostics) -> Self {
        self.not_understood = not_understood;
        self
    }

    /// The same model with these warnings.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Diagnostics) -> Self {
        self.warnings = warnings;
        self
    }

    /// The pods, templates of pods behind them.
    #[must_use]
    pub fn pods(&self) -> &[Arc<Pod>] {
        &self.pods
    }

    /// Adds pods that were not read. They are found by no name and no address.
    pub fn add_pods(&mut self, pods: Vec<Pod>) {
        for mut pod in pods {
            pod.namespace_labels = self.namespace_labels(&pod.namespace);
            self.pods.push(Arc::new(pod));
        }
    }

    /// The namespaces that are described, or that something lives in, with their labels.
    pub fn namespaces(&self) -> impl Iterator<Item = (&str, &Arc<Labels>)> {
        self.namespaces.iter().map(|(n, l)| (n.as_str(), l))
    }

    /// The labels of a namespace; of one that nobody has described, its name alone.
    #[must_use]
    pub fn namespace_labels(&self, name: &str) -> Arc<Labels> {
        self.namespaces
            .get(name)
            .map_or_else(|| Arc::new(with_name(name, Labels::new())), Arc::clone)
    }

    /// A pod by its name.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        let index = self.by_name.get(namespace)?.get(name)?;
        self.pods.get(*index)
    }

    /// Who has these addresses: the pods, each with those of its addresses that are among them, and
    /// what is left over. An address that several pods share (that of their node) is no pod's.
    #[must_use]
    pub fn at(&self, addresses: &AddressSet) -> Vec<Endpoint> {
        let mut found: BTreeMap<usize, AddressSet> = BTreeMap::new();
        let mut rest = addresses.clone();
        let mut count = |address: IpAddr, owners: &[usize]| {
            let &[owner] = owners else { return };
            let part = found.entry(owner).or_default();
            *part = part.union(&address.into());
        };
        for net in addresses.cidrs() {
            let within = self.by_address.range(net.network()..=net.broadcast());
            for (address, owners) in within {
                count(*address, owners);
            }
        }
        let taken: AddressSet = found.values().cloned().collect();
        rest = rest.difference(&taken);
        let mut endpoints = Vec::new();
        if !rest.is_empty() {
            endpoints.push(Endpoint::outside(rest));
        }
        endpoints.extend(found.into_iter().filter_map(|(index, addresses)| {
            let pod = Some(Arc::clone(self.pods.get(index)?));
            Some(Endpoint { pod, addresses })
        }));
        endpoints
    }
}

impl From<Vec<Policy>> for ClusterModel {
    fn from(policies: Vec<Policy>) -> Self {
        Self::new(BTreeMap::new(), Vec::new(), policies.into_iter().collect())
    }
}

fn with_name(name: &str, mut labels: Labels) -> Labels {
    labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.to_owned());
    labels
}
