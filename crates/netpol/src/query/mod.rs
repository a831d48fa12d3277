//! The words in which people ask: `workload`, `10.0.0.0/8`, `team-a/web-0`, `pod:app=web,ns:team-a`,
//! `any-other-pod except platform`, and `:443/TCP` behind the destination. They become endpoints
//! and ports here.
//!
//! Words for pods of a system, such as its control plane, come from the caller: see [`Vocabulary`].

mod addresses;
mod error;
mod ports;
mod syntax;

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::allowed::PodClass;
use crate::model::cluster::{ClusterModel, NAMESPACE_NAME_LABEL};
use crate::model::pod::{Endpoint, Pod};
use crate::model::policy::{Direction, Namespaces, Peer, Policy};
use crate::model::tier::TierPolicy;
use crate::other_pods::OtherPods;
use crate::sets::addresses::{AddressSet, parse_net};
use crate::sets::bits::Bits;
use crate::sets::label_classes::{self, LabelsOf};
use crate::sets::selector::{Labels, Selector};
use manifest::schema;

pub use addresses::{ADDRESS_WORDS, AddressWord, internet, internet6, private};
pub use error::QueryError;
pub use ports::PortSpec;
pub use syntax::parse_destination;

/// The word for every pod that is not of the system.
pub const OTHER_PODS: &str = "any-other-pod";

/// In which namespaces the pods of a role are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleNamespace {
    /// In the namespace of the system.
    System,
    /// In each namespace in which workloads of the system run.
    Workloads,
    /// In the namespace of that name.
    Named(&'static str),
    /// In any namespace. A question about one pod takes it from the namespace of that name.
    Any(&'static str),
}

/// A word for pods that policies know by their labels.
#[derive(Debug)]
pub struct Role {
    /// The word.
    pub name: &'static str,
    /// Where the pods are.
    pub namespace: RoleNamespace,
    /// Their labels, by the name of the system.
    pub labels: fn(&str) -> Vec<(&'static str, String)>,
    /// Keys of labels that none of them has.
    pub absent: &'static [&'static str],
}

/// A system of which roles are parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct System {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The namespaces in which its workloads run: its own as a rule.
    pub workload_namespaces: Vec<String>,
}

/// The words of a kind of system whose pods are asked about.
#[derive(Debug)]
pub struct Vocabulary {
    /// What a system is called: `virtual cluster`.
    pub kind: &'static str,
    /// The roles of its pods, and of those that it knows.
    pub roles: &'static [Role],
    /// Words for all pods that are its own, by the labels that its policies select, whatever other
    /// labels they have.
    pub own: &'static [Role],
    /// The systems whose policies are in the model.
    pub systems: fn(&ClusterModel) -> Vec<System>,
    /// By what a system is recognized, for the message that there is none.
    pub evidence: &'static str,
    /// The setting that adds a rule to a policy, where the policy is made from settings.
    pub setting: fn(&Policy, Direction) -> Option<String>,
}

/// No words but those that every cluster has.
pub static NO_ROLES: Vocabulary = Vocabulary {
    kind: "system",
    roles: &[],
    own: &[],
    systems: |_| Vec::new(),
    evidence: "policy",
    setting: |_, _| None,
};

impl Vocabulary {
    fn role(&self, name: &str) -> Option<&'static Role> {
        self.roles.iter().find(|role| role.name == name)
    }
}

/// Addresses by a word or as a CIDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressBase {
    /// One of [`ADDRESS_WORDS`].
    Word(&'static str),
    /// A CIDR.
    Net(IpNet),
}

impl AddressBase {
    fn addresses(self, model: &ClusterModel) -> AddressSet {
        match self {
            Self::Net(net) => net.into(),
            Self::Word(name) => {
                addresses::word(name).map_or_else(AddressSet::default, |w| (w.addresses)(model))
            }
        }
    }
}

/// Who is at one end, as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointSpec {
    /// A role of the vocabulary, by its word.
    Role(&'static str),
    /// Every pod of a kind that is the system's own, by its word.
    OwnPods {
        /// The word.
        word: &'static str,
        /// Those that are not meant.
        except: Vec<EndpointSpec>,
    },
    /// Every pod that is not of the system.
    OtherPods {
        /// Those that are not meant.
        except: Vec<EndpointSpec>,
        /// The addresses that they can have, where the question says so.
        addresses: Option<AddressSet>,
    },
    /// Addresses. A CIDR also means the pods of the model that have them; a word does not.
    Addresses {
        /// Which ones.
        base: AddressBase,
        /// Those that are not meant.
        except: Vec<AddressBase>,
    },
    /// A pod of the manifest.
    Named {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A pod that need not exist.
    Described {
        /// Its labels.
        labels: Labels,
        /// The labels of its namespace; `None` for the namespace that the policies are in. Empty
        /// for every namespace, which only an exception can be in.
        namespace: Option<Labels>,
        /// Its addresses, if they matter.
        addresses: AddressSet,
    },
}

impl EndpointSpec {
    /// Whether it is a pod or a CIDR, and not all that are of a kind.
    #[must_use]
    pub fn is_concrete(&self) -> bool {
        match self {
            Self::Role(_) | Self::Named { .. } | Self::Described { .. } => true,
            Self::Addresses { base, except } => {
                matches!(base, AddressBase::Net(_)) && except.is_empty()
            }
            Self::OwnPods { .. } | Self::OtherPods { .. } => false,
        }
    }
}

/// Reads `,ip:CIDR,CIDR` behind [`OTHER_PODS`].
fn quantified_addresses(text: &str) -> Result<Option<AddressSet>, QueryError> {
    let Some(list) = text.strip_prefix(',') else {
        return Ok(None);
    };
    let wrong = |text: &str| QueryError::Address(text.trim().to_owned());
    let list = list.trim();
    let list = list.strip_prefix("ip:").ok_or_else(|| wrong(list))?;
    let nets = list.split(',').map(|item| {
        let item = item.trim();
        let bare = item.trim_start_matches('[').trim_end_matches(']');
        parse_net(bare).ok_or_else(|| wrong(item))
    });
    let nets = nets.collect::<Result<Vec<IpNet>, _>>()?;
    Ok(Some(nets.into_iter().collect()))
}

/// One end of a connection, found in the model.
#[derive(Debug, Clone)]
pub enum End {
    /// A pod, or addresses.
    One(Endpoint),
    /// Every pod that is not of a system.
    OtherPods(Arc<OtherPods>),
}

/// The system whose roles are meant, and the namespace that pods without one are in.
#[derive(Debug, Clone)]
pub struct QueryScope {
    /// The words that there are.
    pub vocabulary: &'static Vocabulary,
    /// The name of the system, if it was given.
    pub subject: Option<String>,
    /// The namespace, if it was given.
    pub namespace: Option<String>,
    /// The system, where it was chosen among those of the model.
    pub system: Option<System>,
}

impl Default for QueryScope {
    fn default() -> Self {
        Self {
            vocabulary: &NO_ROLES,
            subject: None,
            namespace: None,
            system: None,
        }
    }
}

impl QueryScope {
    /// The same for one system of the model.
    #[must_use]
    pub fn of(&self, system: System) -> Self {
        Self {
            system: Some(system),
            ..self.clone()
        }
    }

    /// The systems of the model that have the name and the namespace that were given.
    ///
    /// # Errors
    /// When there is none.
    pub fn systems(&self, model: &ClusterModel) -> Result<Vec<System>, QueryError> {
        let all = (self.vocabulary.systems)(model);
        let fits = |given: &Option<String>, own: &str| given.as_ref().is_none_or(|g| g == own);
        let fitting: Vec<System> = (all.iter())
            .filter(|s| fits(&self.subject, &s.name) && fits(&self.namespace, &s.namespace))
            .cloned()
            .collect();
        if fitting.is_empty() {
            return Err(QueryError::Role(self.no_system(&all)));
        }
        Ok(fitting)
    }

    /// Why there is no system, and which ones there are.
    fn no_system(&self, all: &[System]) -> String {
        let Vocabulary { kind, evidence, .. } = self.vocabulary;
        if all.is_empty() {
            return format!(
                "there is no {kind} in the manifests: no {evidence}; give the policies that the \
                 filter writes, or the rendered chart"
            );
        }
        let wanted = match (&self.subject, &self.namespace) {
            (Some(name), Some(namespace)) => format!("no {kind} {namespace}/{name}"),
            (Some(name), None) => format!("no {kind} {name}"),
            (None, Some(namespace)) => format!("no {kind} in the namespace {namespace}"),
            (None, None) => format!("no {kind}"),
        };
        let near = |wanted: &Option<String>, own: fn(&System) -> &str| {
            let names = all.iter().map(own);
            let near = wanted.as_ref().and_then(|w| schema::nearest(w, names));
            near.filter(|near| wanted.as_deref() != Some(near))
        };
        let near = (near(&self.subject, |s| &s.name).map(|n| ("--release", n)))
            .or_else(|| near(&self.namespace, |s| &s.namespace).map(|n| ("--namespace", n)));
        match near {
            Some((option, name)) => {
                format!("there is {wanted} among the policies; did you mean {option} {name}?")
            }
            None => format!(
                "there is {wanted} among the policies; there is {}",
                names_of(all)
            ),
        }
    }

    /// The one system that is meant.
    fn system(&self, model: &ClusterModel) -> Result<System, QueryError> {
        if let Some(system) = &self.system {
            return Ok(system.clone());
        }
        let systems = self.systems(model)?;
        match systems.as_slice() {
            [one] => Ok(one.clone()),
            several => Err(QueryError::Role(format!(
                "the policies belong to several {}s ({}); choose one with --release (and \
                 --namespace)",
                self.vocabulary.kind,
                names_of(several)
            ))),
        }
    }

    /// The namespace that is meant where none is named.
    fn own_namespace(&self, model: &ClusterModel) -> Result<String, QueryError> {
        if let Some(system) = &self.system {
            return Ok(system.namespace.clone());
        }
        if let Some(namespace) = &self.namespace {
            return Ok(namespace.clone());
        }
        let mut names = model.policies().iter().map(|p| &p.namespace);
        let first = names.next().ok_or(QueryError::WhichNamespace)?;
        if names.all(|name| name == first) {
            return Ok(first.clone());
        }
        let system = self.system(model).map_err(|_| QueryError::WhichNamespace)?;
        Ok(system.namespace)
    }

    /// Both ends of a connection. Of the system's own pods there is one of each kind that the
    /// policies of the two ends tell apart.
    ///
    /// # Errors
    /// When the manifest does not have the pod, or nothing says which pod a role is.
    pub fn both_ends(
        &self,
        from: &EndpointSpec,
        to: &EndpointSpec,
        model: &ClusterModel,
    ) -> Result<(Vec<End>, Vec<End>), QueryError> {
        let (mut sources, mut destinations) = (self.ends(from, model)?, self.ends(to, model)?);
        if let EndpointSpec::OwnPods { word, except } = from {
            let others = (destinations.as_slice(), Direction::Ingress);
            sources = self.own_pods(word, except, others, model)?;
        }
        if let EndpointSpec::OwnPods { word, except } = to {
            let others = (sources.as_slice(), Direction::Egress);
            destinations = self.own_pods(word, except, others, model)?;
        }
        Ok((sources, destinations))
    }

    /// Everyone who is meant: a CIDR can hold pods beside plain addresses. Of the system's own pods
    /// there is one of each kind that the policies of their namespaces tell apart.
    ///
    /// # Errors
    /// When the manifest does not have the pod, or nothing says which pod a role is.
    pub fn ends(&self, who: &EndpointSpec, model: &ClusterModel) -> Result<Vec<End>, QueryError> {
        let endpoints = match who {
            EndpointSpec::Role(name) => self.role(self.find_role(name)?, model)?,
            EndpointSpec::OwnPods { word, except } => {
                return self.own_pods(word, except, (&[], Direction::Egress), model);
            }
            EndpointSpec::OtherPods { except, addresses } => {
                let others = self.other_pods(except, addresses.as_ref(), model)?;
                return Ok(vec![End::OtherPods(Arc::new(others))]);
            }
            EndpointSpec::Addresses { base, except } => at_addresses(*base, except, model)?,
            EndpointSpec::Named { namespace, name } => match model.pod(namespace, name) {
                Some(pod) => vec![Endpoint::pod(Arc::clone(pod))],
                None => {
                    return Err(QueryError::NoPod {
                        namespace: namespace.clone(),
                        name: name.clone(),
                    });
                }
            },
            EndpointSpec::Described {
                labels,
                namespace,
                addresses,
            } => {
                let (namespace, namespace_labels) = match namespace {
                    None => {
                        let name = self.own_namespace(model)?;
                        let labels = model.namespace_labels(&name);
                        (name, labels)
                    }
                    Some(labels) => described_namespace(labels, model),
                };
                vec![Endpoint::pod(Arc::new(Pod {
                    namespace,
                    namespace_labels,
                    labels: labels.clone(),
                    addresses: addresses.clone(),
                    ..Pod::default()
                }))]
            }
        };
        Ok(endpoints.into_iter().map(End::One).collect())
    }

    fn find_own(&self, word: &str) -> Result<&'static Role, QueryError> {
        let role = self.vocabulary.own.iter().find(|role| role.name == word);
        role.ok_or_else(|| self.unknown(word))
    }

    fn unknown(&self, text: &str) -> QueryError {
        QueryError::EndpointSpec {
            text: text.to_owned(),
            words: self.vocabulary.words(),
            hint: None,
        }
    }

    fn find_role(&self, name: &str) -> Result<&'static Role, QueryError> {
        let role = self.vocabulary.role(name);
        role.ok_or_else(|| self.unknown(name))
    }

    /// The name of the system and the namespaces of a role; no namespace is every one.
    fn role_namespaces(
        &self,
        role: &Role,
        model: &ClusterModel,
    ) -> Result<(String, Vec<String>), QueryError> {
        match role.namespace {
            RoleNamespace::Named(name) => Ok((String::new(), vec![name.to_owned()])),
            RoleNamespace::Any(_) => Ok((String::new(), Vec::new())),
            RoleNamespace::System => {
                let system = self.system(model)?;
                Ok((system.name, vec![system.namespace]))
            }
            RoleNamespace::Workloads => {
                let system = self.system(model)?;
                Ok((system.name, system.workload_namespaces))
            }
        }
    }

    fn role(&self, role: &Role, model: &ClusterModel) -> Result<Vec<Endpoint>, QueryError> {
        let (name, mut namespaces) = self.role_namespaces(role, model)?;
        if let RoleNamespace::Any(example) = role.namespace {
            namespaces.push(example.to_owned());
        }
        let labels = (role.labels)(&name);
        let pods = namespaces.iter().map(|namespace| {
            Endpoint::pod(Arc::new(Pod {
                namespace: namespace.clone(),
                namespace_labels: model.namespace_labels(namespace),
                labels: (labels.iter())
                    .map(|(key, value)| ((*key).to_owned(), value.clone()))
                    .collect(),
                ..Pod::default()
            }))
        });
        Ok(pods.collect())
    }

    /// The classes of all pods of a role.
    fn classes(&self, role: &Role, model: &ClusterModel) -> Result<Vec<PodClass>, QueryError> {
        let (name, namespaces) = self.role_namespaces(role, model)?;
        let labels = (role.labels)(&name);
        let labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let pods = Selector::of_labels(&labels);
        if let RoleNamespace::Any(_) = role.namespace {
            return Ok(vec![PodClass {
                namespaces: Namespaces::Labelled(Selector::default()),
                pods,
            }]);
        }
        let class = |namespace| PodClass {
            namespaces: Namespaces::Own(namespace),
            pods: pods.clone(),
        };
        Ok(namespaces.into_iter().map(class).collect())
    }

    /// The classes of exceptions.
    fn excluded(
        &self,
        except: &[EndpointSpec],
        model: &ClusterModel,
    ) -> Result<Vec<PodClass>, QueryError> {
        let mut excluded = Vec::new();
        for exception in except {
            match exception {
                EndpointSpec::Role(name) => {
                    excluded.extend(self.classes(self.find_role(name)?, model)?);
                }
                EndpointSpec::Described {
                    labels, namespace, ..
                } => excluded.push(PodClass {
                    namespaces: match namespace {
                        None => Namespaces::Own(self.own_namespace(model)?),
                        Some(labels) => Namespaces::Labelled(Selector::of_labels(labels)),
                    },
                    pods: Selector::of_labels(labels),
                }),
                _ => {}
            }
        }
        Ok(excluded)
    }

    /// The system's own pods that a word means, one of each kind that policies tell apart: those of
    /// their namespaces by whom they select, and those of the other end, in its direction, by whom
    /// they let through.
    fn own_pods(
        &self,
        word: &str,
        except: &[EndpointSpec],
        (others, direction): (&[End], Direction),
        model: &ClusterModel,
    ) -> Result<Vec<End>, QueryError> {
        let except = self.excluded(except, model)?;
        let role = self.find_own(word)?;
        let peers = peers_of(others, direction, model);
        let addresses = pod_addresses(model);
        let mut ends = Vec::new();
        for class in self.classes(role, model)? {
            let Namespaces::Own(namespace) = &class.namespaces else {
                continue;
            };
            let labels = class.pods.fixed_labels();
            let policies = model.policies();
            let own = policies.possible(namespace, &labels, role.absent);
            let mut told_apart: BTreeSet<&Selector> = own.map(|policy| &policy.selector).collect();
            told_apart.extend(&peers);
            told_apart.extend(cluster_wide_selectors(model));
            told_apart.extend(except.iter().map(|class| &class.pods));
            let own = class.pods.clone().without_keys(role.absent);
            let pods = kinds(&own, &told_apart)?.into_iter().map(|labels| Pod {
                namespace: namespace.clone(),
                namespace_labels: model.namespace_labels(namespace),
                labels,
                addresses: addresses.clone(),
                ..Pod::default()
            });
            let is_meant = |pod: &Pod| !except.iter().any(|class| is_in(pod, class));
            let pods = pods
                .filter(is_meant)
                .map(|pod| Endpoint::pod(Arc::new(pod)));
            ends.extend(pods.map(End::One));
        }
        if ends.is_empty() {
            return Err(QueryError::NothingLeft(word.to_owned()));
        }
        Ok(ends)
    }

    fn other_pods(
        &self,
        except: &[EndpointSpec],
        addresses: Option<&AddressSet>,
        model: &ClusterModel,
    ) -> Result<OtherPods, QueryError> {
        let mut excluded = self.excluded(except, model)?;
        for role in self.vocabulary.own {
            excluded.extend(self.classes(role, model)?);
        }
        let others = OtherPods {
            except: excluded,
            are_addresses_assumed: addresses.is_none(),
            addresses: addresses.map_or_else(|| pod_addresses(model), Clone::clone),
        };
        if others.is_empty() {
            return Err(QueryError::NothingLeft(OTHER_PODS.to_owned()));
        }
        Ok(others)
    }

    /// What was assumed to answer a question about this end, in sentences.
    #[must_use]
    pub fn assumptions(&self, who: &EndpointSpec, model: &ClusterModel) -> Option<String> {
        let (base, except) = match who {
            EndpointSpec::Addresses { base, except } => (base, except),
            EndpointSpec::OwnPods { word, .. } => {
                return Some(format!(
                    "the pods of {word} have private addresses, or those of the pods in the \
                     manifests"
                ));
            }
            _ => return None,
        };
        let is_node = std::iter::once(base)
            .chain(except)
            .any(|base| *base == AddressBase::Word(addresses::NODE));
        if is_node && addresses::nodes(model).is_none() {
            return Some(
                "the manifests have no Node, so node means every private address".to_owned(),
            );
        }
        None
    }
}

/// The most kinds of the system's own pods that one question is about.
const MAX_KINDS: usize = 1024;

/// The pods that the policies of some ends name as peers in a direction.
fn peers_of<'m>(
    ends: &[End],
    direction: Direction,
    model: &'m ClusterModel,
) -> BTreeSet<&'m Selector> {
    let pods = ends.iter().filter_map(|end| match end {
        End::One(endpoint) => endpoint.pod.as_ref(),
        End::OtherPods(_) => None,
    });
    let policies = pods.flat_map(|pod| model.policies().isolating(pod, direction));
    let rules = policies
        .filter_map(|policy| policy.rules(direction))
        .flatten();
    let peers = rules.flat_map(|rule| rule.peers.iter().flatten());
    peers
        .filter_map(|peer| match peer {
            Peer::Pods { pods, .. } => Some(pods),
            Peer::Block(_) => None,
        })
        .collect()
}

/// The pods that policies of the whole cluster are for, or are about.
fn cluster_wide_selectors(model: &ClusterModel) -> impl Iterator<Item = &Selector> {
    let peers = model.policies().tiers().flat_map(TierPolicy::peers);
    peers.filter_map(|peer| match peer {
        Peer::Pods { pods, .. } => Some(pods),
        Peer::Block(_) => None,
    })
}

fn is_in(pod: &Pod, class: &PodClass) -> bool {
    let peer = class.peer();
    peer.selects(pod)
}

/// Labels of one pod of each kind that a selector matches and others tell apart.
fn kinds(own: &Selector, told_apart: &BTreeSet<&Selector>) -> Result<Vec<Labels>, QueryError> {
    let both_match = |other: &&&Selector| own.and(other).can_match();
    let selectors: Vec<&Selector> = std::iter::once(own)
        .chain(told_apart.iter().filter(both_match).copied())
        .collect();
    let wanted = Bits::of(selectors.len(), [0]);
    let found = label_classes::classes(&selectors, LabelsOf::Pods, &wanted, MAX_KINDS);
    let found = found.ok_or(QueryError::TooManyKinds(MAX_KINDS))?;
    Ok(found.into_iter().map(|class| class.labels).collect())
}

/// The addresses of pods that nobody has described: private ones, and those of all pods that are.
fn pod_addresses(model: &ClusterModel) -> AddressSet {
    private().union(model.pod_addresses())
}

fn names_of(systems: &[System]) -> String {
    const MOST: usize = 8;
    let names = systems.iter().take(MOST);
    let names: Vec<String> = names
        .map(|s| format!("{}/{}", s.namespace, s.name))
        .collect();
    let more = systems.len().saturating_sub(MOST);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", names.join(", "))
}

/// Who has the addresses: for a CIDR also the pods of the model, for a word nobody in particular.
fn at_addresses(
    base: AddressBase,
    except: &[AddressBase],
    model: &ClusterModel,
) -> Result<Vec<Endpoint>, QueryError> {
    let excepted: AddressSet = except.iter().map(|base| base.addresses(model)).collect();
    let addresses = base.addresses(model).difference(&excepted);
    if addresses.is_empty() {
        let text = match base {
            AddressBase::Word(word) => word.to_owned(),
            AddressBase::Net(net) => net.to_string(),
        };
        return Err(QueryError::NothingLeft(text));
    }
    Ok(match base {
        AddressBase::Word(_) => vec![Endpoint::outside(addresses)],
        AddressBase::Net(_) => model.at(&addresses),
    })
}

/// A namespace by its labels: the one that has them, where there is just one, else a made-up one.
fn described_namespace(labels: &Labels, model: &ClusterModel) -> (String, Arc<Labels>) {
    if let Some(name) = labels.get(NAMESPACE_NAME_LABEL) {
        let mut all = model.namespace_labels(name).as_ref().clone();
        all.extend(labels.clone());
        return (name.clone(), Arc::new(all));
    }
    let has_them = |own: &Labels| {
        labels
            .iter()
            .all(|(key, value)| own.get(key) == Some(value))
    };
    let mut fitting = model.namespaces().filter(|(_, own)| has_them(own));
    match (fitting.next(), fitting.next()) {
        (Some((name, own)), None) if !labels.is_empty() => (name.to_owned(), Arc::clone(own)),
        // No real namespace has an empty name, so no policy takes it for its own.
        _ => (String::new(), Arc::new(labels.clone())),
    }
}

#[cfg(test)]
mod tests;
