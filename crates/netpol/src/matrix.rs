//! The whole picture: which namespace, or other unit, may talk to which, for every pod of a cluster
//! model.
//!
//! Pods that no policy can tell apart are one class, and only classes are judged against each
//! other; so thousands of pods cost what their few kinds do.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::evaluate::{Extent, Verdict};
use crate::model::cluster::ClusterModel;
use crate::model::pod::{Endpoint, Pod};
use crate::model::policy::{Direction, Namespaces, Peer};
use crate::sets::addresses::AddressSet;
use crate::sets::ports::{NamedPort, Ports};
use crate::sets::selector::Selector;

/// Pods that no policy of the cluster model can tell apart.
#[derive(Debug, Clone)]
pub struct Class {
    /// The pods: at least one.
    pub pods: Vec<Arc<Pod>>,
}

/// From one unit to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// How much is open: all ports between all pods, some, or nothing.
    pub extent: Extent,
    /// The ports that are open between some two pods.
    pub ports: Ports,
}

/// Who may talk to whom, by namespace or another unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The units that have pods, in order.
    pub units: Vec<String>,
    /// The cells by source and destination; a pair without two different pods has none.
    pub cells: BTreeMap<(String, String), Cell>,
}

/// Everything about a pod that a policy can ask: equal keys, equal verdicts.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Key {
    unit: String,
    selected_by: Vec<usize>,
    meant_by: Vec<usize>,
    ports: Option<Vec<NamedPort>>,
    addresses: Vec<(bool, Vec<usize>)>,
}

impl Key {
    fn selected_by(&mut self) -> &mut Vec<usize> {
        &mut self.selected_by
    }

    fn meant_by(&mut self) -> &mut Vec<usize> {
        &mut self.meant_by
    }
}

/// The pods that are sorted into classes, and what is known of each so far.
struct Classifier<'m> {
    pods: &'m [Arc<Pod>],
    by_namespace: BTreeMap<&'m str, Vec<usize>>,
    keys: Vec<Key>,
}

impl<'m> Classifier<'m> {
    fn new(pods: &'m [Arc<Pod>], unit: &impl Fn(&Pod) -> String) -> Self {
        let mut by_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, pod) in pods.iter().enumerate() {
            by_namespace.entry(&pod.namespace).or_default().push(i);
        }
        let keys = pods.iter().map(|pod| {
            let mut ports = pod.ports.clone();
            if let Some(ports) = &mut ports {
                ports.sort();
            }
            Key {
                unit: unit(pod),
                ports,
                ..Key::default()
            }
        });
        Self {
            pods,
            keys: keys.collect(),
            by_namespace,
        }
    }

    /// Notes a number at the pods of a namespace for which something holds. The numbers must come
    /// in rising order.
    fn mark(
        &mut self,
        list: fn(&mut Key) -> &mut Vec<usize>,
        number: usize,
        namespace: &str,
        selector: &Selector,
    ) {
        for &i in self.by_namespace.get(namespace).into_iter().flatten() {
            if let (Some(pod), Some(key)) = (self.pods.get(i), self.keys.get_mut(i))
                && selector.matches(&pod.labels)
            {
                list(key).push(number);
            }
        }
    }

    /// Notes a number at the pods that are meant by a selector of pods.
    fn mark_peer(
        &mut self,
        number: usize,
        namespaces: &Namespaces,
        pods: &Selector,
        model: &ClusterModel,
    ) {
        match namespaces {
            Namespaces::Own(name) => self.mark(Key::meant_by, number, name, pods),
            Namespaces::Labelled(selector) => {
                for (name, _) in model.namespaces().filter(|(_, own)| selector.matches(own)) {
                    self.mark(Key::meant_by, number, name, pods);
                }
            }
        }
    }

    /// Notes at each of a pod's addresses which blocks hold it.
    fn mark_addresses(&mut self, blocks: &[(&AddressSet, usize)]) {
        for (pod, key) in self.pods.iter().zip(&mut self.keys) {
            for net in pod.addresses.cidrs() {
                let address: IpAddr = net.addr();
                let within = blocks.iter().filter(|(block, _)| block.contains(address));
                key.addresses
                    .push((address.is_ipv4(), within.map(|(_, n)| *n).collect()));
            }
        }
    }

    fn into_classes(self) -> Vec<Class> {
        let mut classes: HashMap<Key, usize> = HashMap::new();
        let mut found: Vec<Class> = Vec::new();
        for (pod, key) in self.pods.iter().zip(self.keys) {
            let class = *classes.entry(key).or_insert_with(|| {
                found.push(Class { pods: Vec::new() });
                found.len() - 1
            });
            if let Some(class) = found.get_mut(class) {
                class.pods.push(Arc::clone(pod));
            }
        }
        found
    }
}

impl ClusterModel {
    /// The pods, sorted into classes; pods of different namespaces are never of one class.
    #[must_use]
    pub fn classes(&self) -> Vec<Class> {
        self.classes_of(self.pods(), |pod| pod.namespace.clone())
    }

    /// Some pods, sorted into classes; pods of different units are never of one class.
    #[must_use]
    pub fn classes_of(&self, pods: &[Arc<Pod>], unit: impl Fn(&Pod) -> String) -> Vec<Class> {
        let mut classifier = Classifier::new(pods, &unit);
        let mut peers: Vec<&Peer> = Vec::new();
        let mut known: HashSet<&Peer> = HashSet::new();
        for (number, policy) in self.policies().iter().enumerate() {
            classifier.mark(
                Key::selected_by,
                number,
                &policy.namespace,
                &policy.selector,
            );
            for direction in [Direction::Ingress, Direction::Egress] {
                let rules = policy.rules(direction).unwrap_or_default();
                let own = rules.iter().flat_map(|rule| rule.peers.iter().flatten());
                peers.extend(own.filter(|peer| known.insert(peer)));
            }
        }
        for policy in self.policies().tiers() {
            peers.extend(policy.peers().filter(|peer| known.insert(peer)));
        }
        let mut blocks = Vec::new();
        for (number, peer) in peers.into_iter().enumerate() {
            match peer {
                Peer::Block(addresses) => blocks.push((addresses, number)),
                Peer::Pods { namespaces, pods } => {
                    classifier.mark_peer(number, namespaces, pods, self);
                }
            }
        }
        classifier.mark_addresses(&blocks);
        classifier.into_classes()
    }

    /// Every namespace against every other, and against itself.
    #[must_use]
    pub fn matrix(&self) -> Matrix {
        self.matrix_of(self.pods(), |pod| pod.namespace.clone())
    }

    /// Every unit of some pods against every other, and against itself.
    #[must_use]
    pub fn matrix_of(&self, pods: &[Arc<Pod>], unit: impl Fn(&Pod) -> String) -> Matrix {
        let classes = self.classes_of(pods, &unit);
        let every = Ports::all_numbers();
        let mut cells: BTreeMap<(String, String), Cell> = BTreeMap::new();
        for from in &classes {
            for to in &classes {
                let Some((source, destination)) = from.pair_with(to) else {
                    continue;
                };
                let verdict = self.policies().check(
                    &Endpoint::pod(Arc::clone(source)),
                    &Endpoint::pod(Arc::clone(destination)),
                    &every,
                );
                let (extent, ports) = (verdict.extent(), open_ports(&verdict));
                cells
                    .entry((unit(source), unit(destination)))
                    .and_modify(|cell| {
                        if cell.extent != extent {
                            cell.extent = Extent::Part;
                        }
                        cell.ports = cell.ports.union(&ports);
                    })
                    .or_insert(Cell { extent, ports });
            }
        }
        let units: BTreeSet<String> = pods.iter().map(|pod| unit(pod)).collect();
        Matrix {
            units: units.into_iter().collect(),
            cells,
        }
    }
}

impl Class {
    /// A pod of each class, two different ones: what a pod does with itself says nothing about
    /// others. Of one template there can be two.
    #[must_use]
    pub fn pair_with<'c>(&'c self, to: &'c Self) -> Option<(&'c Arc<Pod>, &'c Arc<Pod>)> {
        let source = self.pods.first()?;
        let is_other = |pod: &&Arc<Pod>| !Arc::ptr_eq(pod, source) || source.is_template();
        Some((source, to.pods.iter().find(is_other)?))
    }
}

fn open_ports(verdict: &Verdict<'_>) -> Ports {
    let out = verdict.egress.open.ports();
    out.intersection(&verdict.ingress.open.ports())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::model::reader;

    #[test]
    fn pods_alike_are_one_class_and_the_matrix_sees_all_of_them() {
        let mut text = String::from(
            "kind: NetworkPolicy\nmetadata: {name: p, namespace: a}\nspec: {podSelector: {}, \
             ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}\n",
        );
        for (namespace, count) in [("a", 5), ("b", 1)] {
            for i in 0..count {
                let _ = write!(
                    text,
                    "---\nkind: Pod\nmetadata: {{name: p{i}, namespace: {namespace}, \
                     labels: {{n: '{i}'}}}}\n"
                );
            }
        }
        let model = reader::read(text.as_bytes(), "test", "a").unwrap();
        assert_eq!(model.classes().len(), 2);
        let matrix = model.matrix();
        let cell = |from: &str, to: &str| {
            let cell = matrix.cells.get(&(from.to_owned(), to.to_owned()));
            cell.map(|cell| (cell.extent, cell.ports.to_string()))
        };
        assert_eq!(cell("a", "a"), Some((Extent::Part, "80/TCP".to_owned())));
        assert_eq!(
            cell("b", "a"),
            Some((Extent::Nothing, "no port".to_owned()))
        );
        assert_eq!(cell("a", "b"), Some((Extent::All, "every port".to_owned())));
        assert_eq!(cell("b", "b"), None);
    }
}
