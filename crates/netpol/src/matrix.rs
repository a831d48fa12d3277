//! The whole picture: which namespace may talk to which, for every pod of a cluster model.
//!
//! Pods that no policy can tell apart are one class, and only classes are judged against each
//! other; so thousands of pods cost what their few kinds do.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::evaluate::{Extent, Verdict};
use crate::model::cluster::ClusterModel;
use crate::model::pod::{Endpoint, Pod};
use crate::model::policy::{Direction, Namespaces, Peer};
use crate::sets::ports::{NamedPort, Ports};

/// Pods that no policy of the cluster model can tell apart.
#[derive(Debug, Clone)]
pub struct Class {
    /// The pods: at least one.
    pub pods: Vec<Arc<Pod>>,
}

/// From one namespace to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// How much is open: all ports between all pods, some, or nothing.
    pub extent: Extent,
    /// The ports that are open between some two pods.
    pub ports: Ports,
}

/// Who may talk to whom, by namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The namespaces that have pods, in order.
    pub namespaces: Vec<String>,
    /// The cells by source and destination; a pair without two different pods has none.
    pub cells: BTreeMap<(String, String), Cell>,
}

/// Everything about a pod that a policy can ask: equal keys, equal verdicts.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Key {
    namespace: String,
    selected_by: Vec<usize>,
    meant_by: Vec<usize>,
    ports: Vec<NamedPort>,
    addresses: Vec<(bool, Vec<usize>)>,
}

impl ClusterModel {
    /// The pods, sorted into classes.
    #[must_use]
    pub fn classes(&self) -> Vec<Class> {
        let mut by_namespace: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, pod) in self.pods().iter().enumerate() {
            by_namespace.entry(&pod.namespace).or_default().push(i);
        }
        let mut keys: Vec<Key> = Vec::with_capacity(self.pods().len());
        for pod in self.pods() {
            let mut ports = pod.ports.clone().unwrap_or_default();
            ports.sort();
            keys.push(Key {
                namespace: pod.namespace.clone(),
                ports,
                ..Key::default()
            });
        }
        // What is true of a pod is noted by number; the numbers come in rising order.
        let mut mark = |list: fn(&mut Key) -> &mut Vec<usize>,
                        number: usize,
                        namespace: &str,
                        holds: &dyn Fn(&Pod) -> bool| {
            for &i in by_namespace.get(namespace).into_iter().flatten() {
                if let (Some(pod), Some(key)) = (self.pods().get(i), keys.get_mut(i))
                    && holds(pod)
                {
                    list(key).push(number);
                }
            }
        };
        let mut peers: HashMap<&Peer, usize> = HashMap::new();
        for (number, policy) in self.policies().iter().enumerate() {
            let selects = |pod: &Pod| policy.selector.matches(&pod.labels);
            mark(
                |key| &mut key.selected_by,
                number,
                &policy.namespace,
                &selects,
            );
            for direction in [Direction::Ingress, Direction::Egress] {
                let rules = policy.rules(direction).unwrap_or_default();
                for peer in rules.iter().flat_map(|rule| rule.peers.iter().flatten()) {
                    let number = peers.len();
                    peers.entry(peer).or_insert(number);
                }
            }
        }
        let mut peers: Vec<(&Peer, usize)> = peers.into_iter().collect();
        peers.sort_by_key(|(_, number)| *number);
        let mut blocks = Vec::new();
        for (peer, number) in peers {
            match peer {
                Peer::Block(addresses) => blocks.push((addresses, number)),
                Peer::Pods { namespaces, pods } => {
                    let selects = |pod: &Pod| pods.matches(&pod.labels);
                    match namespaces {
                        Namespaces::Own(name) => {
                            mark(|key| &mut key.meant_by, number, name, &selects);
                        }
                        Namespaces::Labelled(selector) => {
                            for (name, labels) in self.namespaces() {
                                if selector.matches(labels) {
                                    mark(|key| &mut key.meant_by, number, name, &selects);
                                }
                            }
                        }
                    }
                }
            }
        }
        let mut classes: HashMap<Key, usize> = HashMap::new();
        let mut found: Vec<Class> = Vec::new();
        for (pod, mut key) in self.pods().iter().zip(keys) {
            for net in pod.addresses.cidrs() {
                let address: IpAddr = net.addr();
                let within = blocks.iter().filter(|(block, _)| block.contains(address));
                key.addresses
                    .push((address.is_ipv4(), within.map(|(_, n)| *n).collect()));
            }
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

    /// Every namespace against every other, and against itself.
    #[must_use]
    pub fn matrix(&self) -> Matrix {
        let classes = self.classes();
        let every = Ports::all_numbers();
        let mut cells: BTreeMap<(String, String), Cell> = BTreeMap::new();
        for from in &classes {
            for to in &classes {
                let Some((source, destination)) = two_pods(from, to) else {
                    continue;
                };
                let verdict = self.policies().check(
                    &Endpoint::pod(Arc::clone(source)),
                    &Endpoint::pod(Arc::clone(destination)),
                    &every,
                );
                let (extent, ports) = (verdict.extent(), open_ports(&verdict));
                cells
                    .entry((source.namespace.clone(), destination.namespace.clone()))
                    .and_modify(|cell| {
                        if cell.extent != extent {
                            cell.extent = Extent::Part;
                        }
                        cell.ports = cell.ports.union(&ports);
                    })
                    .or_insert(Cell { extent, ports });
            }
        }
        let mut namespaces: Vec<String> = self.pods().iter().map(|p| p.namespace.clone()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        Matrix { namespaces, cells }
    }
}

/// A pod of each class, two different ones: what a pod does with itself says nothing about others.
fn two_pods<'c>(from: &'c Class, to: &'c Class) -> Option<(&'c Arc<Pod>, &'c Arc<Pod>)> {
    let source = from.pods.first()?;
    let destination = to.pods.iter().find(|pod| !Arc::ptr_eq(pod, source))?;
    Some((source, destination))
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
