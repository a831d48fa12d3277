//! Every connection that is allowed: between the workloads of a model, and from or to what is not
//! in it.
//!
//! Pods that no policy can tell apart are one group, and only groups are held against each other,
//! so thousands of pods cost what their few kinds do. Both ends must agree where both are in the
//! model.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::allowed::PodClass;
use crate::difference::baseline_for_other_pods;
use crate::evaluate::{Decision, Part, RuleRef};
use crate::matrix::Class;
use crate::model::cluster::{ClusterModel, NAMESPACE_NAME_LABEL};
use crate::model::pod::{Endpoint, POD, Pod, PodNetwork};
use crate::model::policy::{Direction, Peer, Policy};
use crate::model::tier::Action;
use crate::sets::addresses::AddressSet;
use crate::sets::label_classes::namespace_selector;
use crate::sets::ports::{NamedPort, Ports};
use crate::sets::selector::{Labels, Selector};
use crate::tiers::TierRuleRef;

/// The label by which a Deployment knows the pods of one of its ReplicaSets.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// How far owners of owners are followed.
const MAX_OWNERS: usize = 4;

/// What runs pods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its kind: `Deployment`, `Pod`, …
    pub kind: String,
}

impl fmt::Display for Workload {
    /// `shop/web[Deployment]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}[{}]", self.namespace, self.name, self.kind)
    }
}

/// Workloads that are asked for: `web`, `shop/web`, `shop/web[Deployment]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadName {
    /// The namespace, if it was given.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The kind, if it was given.
    pub kind: Option<String>,
}

impl std::str::FromStr for WorkloadName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, kind) = match text.strip_suffix(']').and_then(|t| t.rsplit_once('[')) {
            Some((rest, kind)) => (rest, Some(kind.to_owned())),
            None => (text, None),
        };
        let (namespace, name) = match rest.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, rest),
        };
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        if name.is_empty()
            || name.contains(['/', '[', ']'])
            || is_empty(&namespace)
            || is_empty(&kind)
        {
            return Err("a workload is NAME, NAMESPACE/NAME or NAMESPACE/NAME[KIND]".to_owned());
        }
        Ok(Self {
            namespace,
            name: name.to_owned(),
            kind,
        })
    }
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)?;
        match &self.kind {
            Some(kind) => write!(f, "[{kind}]"),
            None => Ok(()),
        }
    }
}

impl WorkloadName {
    /// Whether the workload is one of those that are meant.
    #[must_use]
    pub fn is(&self, workload: &Workload) -> bool {
        let fits = |asked: &Option<String>, own: &str| asked.as_ref().is_none_or(|a| a == own);
        self.name == workload.name
            && fits(&self.namespace, &workload.namespace)
            && fits(&self.kind, &workload.kind)
    }
}

/// Which connections are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only those that one of these takes part in; any, if it is empty.
    pub focus: Vec<WorkloadName>,
    /// Only those into, or out of, a workload that is meant.
    pub direction: Option<Direction>,
    /// Only these ports; `None` is all.
    pub ports: Option<Ports>,
}

/// Workloads whose pods no policy tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The workloads, in order.
    pub workloads: Vec<Workload>,
    /// How many pods and templates of pods they have.
    pub pods: usize,
    /// Whether a policy restricts the direction: ingress, egress.
    pub restricted: [bool; 2],
    /// Whether it was asked for.
    pub is_in_focus: bool,
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Workloads of the model, by the place of their group.
    Group(usize),
    /// Every address, and every pod that is not in the model.
    Everyone,
    /// Addresses of no pod of the model.
    Addresses(AddressSet),
    /// Pods of which the model has none.
    Pods(PodClass),
}

/// An allowed connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The source.
    pub from: End,
    /// The destination.
    pub to: End,
    /// The ports that are open.
    pub ports: Ports,
    /// Further ports that are open if a pod, whose address nobody knows, is in a block of a rule.
    pub by_address: Ports,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connections {
    /// The groups.
    pub groups: Vec<Group>,
    /// The connections, ordered by their source.
    pub connections: Vec<Connection>,
    /// Workloads on the network of their node, of which Kubernetes leaves open what policies do.
    pub on_host: Vec<Workload>,
}

/// Finds the workload that runs a pod.
struct Owners<'m> {
    templates: HashMap<(&'m str, &'m str, &'m str), &'m Pod>,
}

impl<'m> Owners<'m> {
    fn of(model: &'m ClusterModel) -> Self {
        let templates = model.pods().iter().filter(|pod| pod.is_template());
        let key = |pod: &'m Arc<Pod>| {
            let key = (pod.namespace.as_str(), pod.kind.as_str(), pod.name.as_str());
            (key, pod.as_ref())
        };
        Self {
            templates: templates.map(key).collect(),
        }
    }

    fn workload(&self, pod: &Pod) -> Workload {
        let (mut kind, mut name) = (pod.kind.clone(), pod.name.clone());
        let mut owner = pod.owner.clone();
        for _ in 0..MAX_OWNERS {
            let Some((of, named)) = owner else { break };
            owner = (self.templates)
                .get(&(pod.namespace.as_str(), of.as_str(), named.as_str()))
                .and_then(|template| template.owner.clone());
            (kind, name) = (of, named);
        }
        // A ReplicaSet that is not in the model is that of a Deployment by its name.
        if kind == "ReplicaSet"
            && let Some(hash) = pod.labels.get(TEMPLATE_HASH)
            && let Some(deployment) = name.strip_suffix(hash.as_str())
            && let Some(deployment) = deployment.strip_suffix('-')
        {
            (kind, name) = ("Deployment".to_owned(), deployment.to_owned());
        }
        Workload {
            namespace: pod.namespace.clone(),
            name,
            kind,
        }
    }
}

impl ClusterModel {
    /// The workloads that the model has, on whatever network.
    #[must_use]
    pub fn workloads(&self) -> BTreeSet<Workload> {
        let owners = Owners::of(self);
        self.pods().iter().map(|pod| owners.workload(pod)).collect()
    }

    /// The workloads on the network of their node, to which network plugins apply no policy.
    #[must_use]
    pub fn workloads_on_host(&self) -> BTreeSet<Workload> {
        let running = self.running(&Owners::of(self)).into_iter();
        let on_host = running.filter(|(_, pod)| pod.network == PodNetwork::Host);
        on_host.map(|(workload, _)| workload).collect()
    }

    /// Every connection that is wanted and allowed.
    #[must_use]
    pub fn connections(&self, wanted: &Wanted) -> Connections {
        let owners = Owners::of(self);
        let running = self.running(&owners);
        let (on_host, pods): (Vec<_>, Vec<_>) =
            (running.into_iter()).partition(|(_, pod)| pod.network == PodNetwork::Host);
        let on_host: BTreeSet<Workload> =
            on_host.into_iter().map(|(workload, _)| workload).collect();
        let is_meant = |workload: &Workload| {
            wanted.focus.is_empty() || wanted.focus.iter().any(|name| name.is(workload))
        };
        let meant: HashSet<*const Pod> = (pods.iter())
            .filter(|(workload, _)| is_meant(workload))
            .map(|(_, pod)| Arc::as_ptr(pod))
            .collect();
        let pods: Vec<Arc<Pod>> = pods.into_iter().map(|(_, pod)| pod).collect();
        let classes = self.classes_of(&pods, |pod| {
            meant.contains(&std::ptr::from_ref(pod)).to_string()
        });
        let search = Search {
            model: self,
            classes: &classes,
            wanted,
            every: wanted.ports.clone().unwrap_or_else(Ports::all_numbers),
            known: pods.iter().map(|pod| pod.addresses.clone()).collect(),
            isolating: (classes.iter())
                .map(|class| {
                    [Direction::Ingress, Direction::Egress].map(|direction| {
                        let pod = class.pods.first().into_iter();
                        pod.flat_map(|pod| self.policies().isolating(pod, direction))
                            .collect()
                    })
                })
                .collect(),
            has_pods: RefCell::default(),
        };
        let groups: Vec<Group> = (classes.iter())
            .map(|class| search.group(class, &owners, &meant))
            .collect();
        Connections {
            connections: search.connections_of(&groups),
            groups,
            on_host: on_host.into_iter().collect(),
        }
    }

    /// The pods that run, or will: those of a workload, or its template where it has none yet.
    fn running(&self, owners: &Owners<'_>) -> Vec<(Workload, Arc<Pod>)> {
        let of = |pod: &Arc<Pod>| (owners.workload(pod), Arc::clone(pod));
        let all: Vec<(Workload, Arc<Pod>)> = (self.pods().iter())
            .filter(|pod| pod.network != PodNetwork::Ended)
            .map(of)
            .collect();
        let with_pods: HashSet<Workload> = (all.iter())
            .filter(|(_, pod)| pod.kind == POD)
            .map(|(workload, _)| workload.clone())
            .collect();
        let mut seen: HashSet<Workload> = HashSet::new();
        let mut all = all;
        all.retain(|(workload, pod)| {
            if !pod.is_template() {
                return true;
            }
            // Of the templates of one workload that of the owner is the one that counts.
            let is_own = pod.owner.is_none() || !owners.has(workload);
            is_own && !with_pods.contains(workload) && seen.insert(workload.clone())
        });
        all
    }
}

impl Owners<'_> {
    fn has(&self, workload: &Workload) -> bool {
        let Workload {
            namespace,
            name,
            kind,
        } = workload;
        self.templates
            .contains_key(&(namespace.as_str(), kind.as_str(), name.as_str()))
    }
}

struct Search<'s> {
    model: &'s ClusterModel,
    classes: &'s [Class],
    wanted: &'s Wanted,
    every: Ports,
    /// The addresses of all pods.
    known: AddressSet,
    /// The policies that isolate each group: ingress, egress.
    isolating: Vec<[Vec<&'s Policy>; 2]>,
    /// Which classes of pods the model has some of. Most rules name the same ones.
    has_pods: RefCell<HashMap<PodClass, bool>>,
}

impl Search<'_> {
    /// The connections that are wanted: between two groups, and with addresses outside.
    fn connections_of(&self, groups: &[Group]) -> Vec<Connection> {
        let direction = self.wanted.direction;
        let mut connections = Vec::new();
        for (place, group) in groups.iter().enumerate() {
            if group.is_in_focus && direction != Some(Direction::Egress) {
                connections.extend(self.outside(place, Direction::Ingress));
            }
        }
        for (from, source) in groups.iter().enumerate() {
            for (to, destination) in groups.iter().enumerate() {
                let is_wanted = match direction {
                    None => source.is_in_focus || destination.is_in_focus,
                    Some(Direction::Ingress) => destination.is_in_focus,
                    Some(Direction::Egress) => source.is_in_focus,
                };
                if is_wanted {
                    connections.extend(self.between(from, to));
                }
            }
            if source.is_in_focus && direction != Some(Direction::Ingress) {
                connections.extend(self.outside(from, Direction::Egress));
            }
        }
        connections
    }

    fn group(&self, class: &Class, owners: &Owners<'_>, meant: &HashSet<*const Pod>) -> Group {
        let workloads: BTreeSet<Workload> =
            class.pods.iter().map(|pod| owners.workload(pod)).collect();
        let restricts = |direction| {
            let policies = self.model.policies();
            let Some(pod) = class.pods.first() else {
                return false;
            };
            let mut tiers = policies.tiers().filter(|policy| policy.selects(pod));
            policies.isolating(pod, direction).next().is_some()
                || tiers.any(|policy| !policy.rules(direction).is_empty())
        };
        Group {
            workloads: workloads.into_iter().collect(),
            pods: class.pods.len(),
            restricted: [restricts(Direction::Ingress), restricts(Direction::Egress)],
            is_in_focus: class
                .pods
                .first()
                .is_some_and(|pod| meant.contains(&Arc::as_ptr(pod))),
        }
    }

    /// What is allowed from one group to another.
    fn between(&self, from: usize, to: usize) -> Option<Connection> {
        let (source, destination) = self.classes.get(from)?.pair_with(self.classes.get(to)?)?;
        let source = Endpoint::pod(Arc::clone(source));
        let destination = Endpoint::pod(Arc::clone(destination));
        let policies = self.model.policies();
        let has_tiers = policies.tiers().next().is_some();
        let are_named = self.is_named(to, Direction::Ingress, &source)
            && self.is_named(from, Direction::Egress, &destination);
        if !has_tiers && !are_named {
            return None;
        }
        let ingress = policies.decide(Direction::Ingress, &destination, &source, &self.every);
        let into = possible(&ingress, &self.every);
        // Most pairs fail at the destination, which is asked first.
        if into.is_empty() {
            return None;
        }
        let egress = policies.decide(Direction::Egress, &source, &destination, &self.every);
        let ports = ingress.open.ports().intersection(&egress.open.ports());
        let by_address = into
            .intersection(&possible(&egress, &self.every))
            .difference(&ports);
        (!ports.is_empty() || !by_address.is_empty()).then_some(Connection {
            from: End::Group(from),
            to: End::Group(to),
            ports,
            by_address,
        })
    }

    /// Whether a rule for a group names a peer, or none is needed. It costs less than a decision,
    /// and few pairs have one.
    fn is_named(&self, place: usize, direction: Direction, peer: &Endpoint) -> bool {
        let sides = self.isolating.get(place);
        let Some(policies) = sides.map(|[ingress, egress]| match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        }) else {
            return true;
        };
        let names = |named: &Peer| match named {
            Peer::Pods { .. } => peer.pod.as_ref().is_some_and(|pod| named.selects(pod)),
            Peer::Block(block) => {
                peer.addresses.is_empty() || !block.intersection(&peer.addresses).is_empty()
            }
        };
        let mut rules = policies
            .iter()
            .flat_map(|p| p.rules(direction).unwrap_or_default());
        policies.is_empty()
            || rules.any(|rule| {
                rule.peers
                    .as_ref()
                    .is_none_or(|peers| peers.iter().any(names))
            })
    }

    /// What a group may exchange with what is not in the model.
    fn outside(&self, place: usize, direction: Direction) -> Vec<Connection> {
        let Some(pod) = self.classes.get(place).and_then(|class| class.pods.first()) else {
            return Vec::new();
        };
        if self.model.policies().tiers().next().is_some() {
            return self.outside_of_tiers(place, pod, direction);
        }
        let allowed = self.model.policies().allowance(pod, direction);
        let mut ends: Vec<(End, Ports)> = vec![(End::Everyone, allowed.everyone().clone())];
        for (addresses, ports) in allowed.addresses().pieces() {
            let addresses = addresses.difference(&self.known);
            let ports = ports.difference(allowed.everyone());
            if !addresses.is_empty() {
                ends.push((End::Addresses(addresses), ports));
            }
        }
        for (class, ports) in allowed.pods() {
            if !self.has_pods(class) {
                let ports = ports.difference(allowed.everyone());
                ends.push((End::Pods(class.clone()), ports));
            }
        }
        self.with_outside(place, direction, ends)
    }

    /// The same where policies of the whole cluster decide too. What they say of pods that the model
    /// does not have is asked of one pod of each kind that the NetworkPolicies name, and of one pod
    /// without labels.
    fn outside_of_tiers(
        &self,
        place: usize,
        pod: &Arc<Pod>,
        direction: Direction,
    ) -> Vec<Connection> {
        let policies = self.model.policies();
        let me = Endpoint::pod(Arc::clone(pod));
        let decide = |peer: &Endpoint| policies.decide(direction, &me, peer, &self.every);
        let elsewhere = Endpoint::outside(AddressSet::all().difference(&self.known));
        let mut ends: Vec<(End, Ports)> = match decide(&elsewhere).open {
            Part::Ports(ports) => vec![(End::Addresses(elsewhere.addresses), ports)],
            Part::AddressPortSet(region) => (region.pieces())
                .map(|(addresses, ports)| (End::Addresses(addresses.clone()), ports.clone()))
                .collect(),
        };
        let any = PodClass::any();
        let allowed = policies.allowance(pod, direction);
        let classes = allowed
            .pods()
            .map(|(class, _)| class)
            .filter(|class| !self.has_pods(class));
        for class in classes.chain([&any]) {
            let namespaces = namespace_selector(&class.namespaces);
            let example = |selector: &Selector| selector.examples().into_iter().next();
            let (Some(labels), Some(namespace)) = (example(&class.pods), example(&namespaces))
            else {
                continue;
            };
            let namespace_name = namespace.get(NAMESPACE_NAME_LABEL).cloned();
            let peer = Endpoint::pod(Arc::new(Pod {
                labels,
                namespace: namespace_name.unwrap_or_default(),
                namespace_labels: Arc::new(namespace),
                ..Pod::default()
            }));
            ends.push((End::Pods(class.clone()), decide(&peer).open.ports()));
        }
        self.with_outside(place, direction, ends)
    }

    /// The connections of a group with these ends, on the wanted ports.
    fn with_outside(
        &self,
        place: usize,
        direction: Direction,
        ends: Vec<(End, Ports)>,
    ) -> Vec<Connection> {
        let of_interest = |ports: &Ports| match &self.wanted.ports {
            Some(wanted) => ports.intersection(wanted),
            None => ports.clone(),
        };
        let connection = |(end, ports): (End, Ports)| {
            let ports = of_interest(&ports);
            let (from, to) = match direction {
                Direction::Ingress => (end, End::Group(place)),
                Direction::Egress => (End::Group(place), end),
            };
            (!ports.is_empty()).then_some(Connection {
                from,
                to,
                ports,
                by_address: Ports::default(),
            })
        };
        ends.into_iter().filter_map(connection).collect()
    }

    /// Whether some pod of the model is of a class: then the groups say what it gets.
    fn has_pods(&self, class: &PodClass) -> bool {
        let mut answers = self.has_pods.borrow_mut();
        if let Some(answer) = answers.get(class) {
            return *answer;
        }
        let peer = Peer::Pods {
            namespaces: class.namespaces.clone(),
            pods: class.pods.clone(),
        };
        let mut pods = self.classes.iter().flat_map(|class| &class.pods);
        let answer = pods.any(|pod| peer.selects(pod));
        answers.insert(class.clone(), answer);
        answer
    }
}

/// The ports that are open, or would be with another address of the peer.
fn possible(decision: &Decision<'_>, every: &Ports) -> Ports {
    let by_tier = decision
        .tiers_depend_on_address
        .iter()
        .filter_map(TierRuleRef::rule);
    let by_tier = by_tier.filter(|rule| rule.action != Action::Deny);
    let by_tier: Vec<Ports> = by_tier.map(|rule| rule.ports.intersection(every)).collect();
    let by_address = decision.depends_on_address.iter().filter_map(RuleRef::rule);
    let by_address: Vec<Ports> = by_address
        .map(|rule| rule.ports.intersection(every))
        .collect();
    Ports::union_of((by_address.iter().chain(&by_tier)).chain([&decision.open.ports()]))
}

impl Connections {
    /// The groups that are an end of some connection, or were asked for.
    #[must_use]
    pub fn shown_groups(&self) -> BTreeMap<usize, &Group> {
        let ends = self.connections.iter().flat_map(|c| [&c.from, &c.to]);
        let places = ends.filter_map(|end| match end {
            End::Group(place) => Some(*place),
            _ => None,
        });
        let focus =
            (0..self.groups.len()).filter(|i| self.groups.get(*i).is_some_and(|g| g.is_in_focus));
        let places: BTreeSet<usize> = places.chain(focus).collect();
        places
            .into_iter()
            .filter_map(|i| Some((i, self.groups.get(i)?)))
            .collect()
    }
}

/// What changes between two workloads because one of them changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairChange {
    /// The source.
    pub from: Workload,
    /// The destination.
    pub to: Workload,
    /// The ports that are open now and were not.
    pub newly_allowed: Ports,
    /// The ports that were open and are not now.
    pub no_longer_allowed: Ports,
}

/// The most pairs of workloads that are compared one by one.
const MAX_PAIRS: usize = 50_000;

/// What policies can see of a workload: the labels, namespace labels and named ports of its pods.
type Seen<'m> = BTreeSet<(&'m Labels, &'m Labels, Option<&'m Vec<NamedPort>>)>;

fn seen<'m>(model: &'m ClusterModel, owners: &Owners<'_>) -> BTreeMap<Workload, Seen<'m>> {
    let mut seen: BTreeMap<Workload, Seen<'m>> = BTreeMap::new();
    for pod in model.pods() {
        let looks = (
            &pod.labels,
            pod.namespace_labels.as_ref(),
            pod.ports.as_ref(),
        );
        seen.entry(owners.workload(pod)).or_default().insert(looks);
    }
    seen
}

/// What changes for workloads that are new, gone, or have other labels or ports, and for all where
/// a policy of the whole cluster changes or decides for other pods, with all policies of each side;
/// nothing where one side has no workload at all, and `None` where they make too many pairs. What
/// only policies change is a matter of [`difference`](crate::difference).
#[must_use]
pub fn changes_of_workloads(old: &ClusterModel, new: &ClusterModel) -> Option<Vec<PairChange>> {
    let (old_owners, new_owners) = (Owners::of(old), Owners::of(new));
    let (before, after) = (seen(old, &old_owners), seen(new, &new_owners));
    let all: BTreeSet<&Workload> = before.keys().chain(after.keys()).collect();
    let different = all.into_iter().filter(|w| before.get(w) != after.get(w));
    let can_tiers_change_all = !old.policies().tiers().eq(new.policies().tiers())
        || !baseline_for_other_pods(old.policies(), new.policies()).is_empty();
    let focus: Vec<WorkloadName> = different
        .map(|workload| WorkloadName {
            namespace: Some(workload.namespace.clone()),
            name: workload.name.clone(),
            kind: Some(workload.kind.clone()),
        })
        .collect();
    let is_alike = focus.is_empty() && !can_tiers_change_all;
    if is_alike || before.is_empty() || after.is_empty() {
        return Some(Vec::new());
    }
    let wanted = Wanted {
        // What a policy of the whole cluster changes can be about every workload.
        focus: if can_tiers_change_all {
            Vec::new()
        } else {
            focus
        },
        ..Wanted::default()
    };
    let (before, after) = (by_pair(old, &wanted)?, by_pair(new, &wanted)?);
    let pairs: BTreeSet<&(Workload, Workload)> = before.keys().chain(after.keys()).collect();
    let none = Ports::default();
    let changes = pairs.into_iter().map(|pair| {
        let old = before.get(pair).unwrap_or(&none);
        let new = after.get(pair).unwrap_or(&none);
        PairChange {
            from: pair.0.clone(),
            to: pair.1.clone(),
            newly_allowed: new.difference(old),
            no_longer_allowed: old.difference(new),
        }
    });
    let some = |c: &PairChange| !c.newly_allowed.is_empty() || !c.no_longer_allowed.is_empty();
    Some(changes.filter(some).collect())
}

/// The ports that are open between workloads, or can be, whatever their addresses are.
fn by_pair(model: &ClusterModel, wanted: &Wanted) -> Option<BTreeMap<(Workload, Workload), Ports>> {
    let found = model.connections(wanted);
    let mut pairs: BTreeMap<(Workload, Workload), Ports> = BTreeMap::new();
    for connection in &found.connections {
        let (End::Group(from), End::Group(to)) = (&connection.from, &connection.to) else {
            continue;
        };
        let workloads = |place: &usize| found.groups.get(*place).map(|group| &group.workloads);
        let ports = connection.ports.union(&connection.by_address);
        for from in workloads(from).into_iter().flatten() {
            for to in workloads(to).into_iter().flatten() {
                let known = pairs.entry((from.clone(), to.clone())).or_default();
                *known = known.union(&ports);
            }
            if pairs.len() > MAX_PAIRS {
                return None;
            }
        }
    }
    Some(pairs)
}
