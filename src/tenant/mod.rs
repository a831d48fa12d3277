//! The worst tenant of a virtual cluster: the most that its pods reach, and that reaches them, when
//! it uses all that it may do.
//!
//! ```text
//! values ──▶ Powers ─┐
//! policies ──────────┴▶ Space (reach) ──▶ Gain, with a witness ──▶ WorstTenant
//! ```
//!
//! The tenant chooses every label of its pods but four, may have its NetworkPolicies synced, may use
//! the network of the node, and may run in mapped namespaces. Everything is computed from the
//! policies that are given: a hole that a policy closes is not found. A gain is what no plain pod of
//! the tenant has, one that has only the labels that it must have.

pub mod gains;
mod needs;
pub mod powers;
pub mod reach;

use std::collections::HashMap;

use crate::filter::GeneratedPolicies;
use crate::vcluster::actors::MANAGED_BY;
use crate::vcluster::policies::Role;
use gains::{ByNamespace, Gain};
use needs::Needs;
use netpol::allowed::AllowedTraffic;
use netpol::evaluate::Policies;
use netpol::model::cluster::ClusterModel;
use netpol::model::policy::{Direction, Policy};
use netpol::sets::selector::Labels;
use powers::{Networks, Powers};
use reach::{NEVER, NamespaceLabels, Space};

/// Whose pods are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The name of the virtual cluster, which its pods have as their label.
    pub name: String,
    /// The host namespace of its pods.
    pub namespace: String,
    /// What its values let it do.
    pub powers: Powers,
    /// What the host cluster's API server refuses of its pods.
    pub admission: PodAdmission,
}

/// Whether the admission policy that `guard` prints for the tenant's pods is among the objects of
/// the cluster. It refuses pods in the network of their node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodAdmission {
    /// None of its name is there.
    Absent,
    /// One of its name is there and counts for nothing.
    Different {
        /// Its name.
        name: String,
        /// Why.
        differs: &'static str,
    },
    /// It is there, and denies.
    InForce {
        /// Its name.
        name: String,
    },
}

/// The answer for one tenant.
#[derive(Debug, Clone)]
pub struct WorstTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// What its own end lets out at most, whatever its labels and policies.
    pub egress: AllowedTraffic,
    /// What its own end lets in at most.
    pub ingress: AllowedTraffic,
    /// What it gains, and how. Empty where nothing that it may do changes what it reaches.
    pub holes: Vec<Hole>,
    /// Whether everything could be compared. Else the answer may be too large, never too small.
    pub is_exact: bool,
    /// Whether the cluster has policies of other tiers, which are not taken into account: where they
    /// deny, the answer is too large, and where they allow, it can be too small.
    pub leaves_out_tiers: bool,
}

/// A way past the policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hole {
    /// A pod in the network of its node is in no policy.
    HostNetwork,
    /// Its own NetworkPolicies open what its pods let out and in.
    SyncedPolicies,
    /// Its policies of a network plugin come to the host; what they say is not looked at.
    PolicyResources(Vec<String>),
    /// No policy restricts its pods in a namespace of the host.
    NoPolicy {
        /// The namespace.
        namespace: String,
        /// The directions that are open.
        directions: Vec<Direction>,
    },
    /// Its pods run in namespaces that only patterns name, of which no policy can be known.
    NamespacePatterns,
    /// A pod gains something by labels.
    Labels {
        /// Its namespace.
        namespace: String,
        /// The labels of a pod that has the gains.
        labels: Labels,
        /// What it gains.
        gains: Vec<Gain>,
    },
}

/// The labels of a pod beside the one that every pod of the tenant has.
#[must_use]
pub fn chosen(labels: &Labels) -> Labels {
    let mut chosen = labels.clone();
    chosen.remove(MANAGED_BY);
    chosen
}

/// Answers for several tenants of one cluster. The time grows with the policies, not with the
/// product of tenants and policies.
#[must_use]
pub fn worst_tenants(model: &ClusterModel, tenants: &[Tenant]) -> Vec<WorstTenant> {
    let policies = model.policies();
    let candidates = Candidates::of(policies);
    let needs = Needs::of(policies);
    let others = ByNamespace::of(policies);
    let answer = |tenant| worst_tenant(model, &candidates, (&needs, &others), tenant);
    tenants.iter().map(answer).collect()
}

/// The pods that a tenant can create, one space for each namespace of the host.
#[must_use]
pub fn spaces<'p>(model: &'p ClusterModel, tenant: &Tenant) -> Vec<Space<'p>> {
    spaces_of(model, &Candidates::of(model.policies()), tenant)
}

fn spaces_of<'p>(
    model: &'p ClusterModel,
    candidates: &Candidates<'p>,
    tenant: &Tenant,
) -> Vec<Space<'p>> {
    let own = (tenant.namespace.as_str(), true);
    let mapped = tenant.powers.namespaces.iter();
    let mapped = mapped.map(|name| (name.as_str(), false));
    std::iter::once(own)
        .chain(mapped)
        .map(|(namespace, is_own)| {
            let labels = if is_own {
                NamespaceLabels::Known(model.namespace_labels(namespace))
            } else {
                NamespaceLabels::Chosen
            };
            Space::new(
                model.policies(),
                &tenant.name,
                namespace,
                labels,
                tenant.powers.syncs_policies,
                &candidates.for_tenant(namespace, &tenant.name),
            )
        })
        .collect()
}

fn worst_tenant<'p>(
    model: &'p ClusterModel,
    candidates: &Candidates<'p>,
    (needs, others): (&Needs<'p>, &ByNamespace<'p>),
    tenant: &Tenant,
) -> WorstTenant {
    let powers = &tenant.powers;
    if powers.networks == Networks::PrivateNodes {
        return WorstTenant {
            tenant: tenant.clone(),
            egress: AllowedTraffic::default(),
            ingress: AllowedTraffic::default(),
            holes: Vec::new(),
            is_exact: true,
            leaves_out_tiers: false,
        };
    }
    let mut holes = by_values(tenant);
    let spaces = spaces_of(model, candidates, tenant);
    for space in &spaces {
        let directions = [Direction::Egress, Direction::Ingress];
        let directions: Vec<Direction> = (directions.into_iter())
            .filter(|direction| space.own_policies(*direction).is_empty())
            .collect();
        if !directions.is_empty() {
            holes.push(Hole::NoPolicy {
                namespace: space.namespace().to_owned(),
                directions,
            });
        }
    }
    for space in &spaces {
        holes.extend(gains::by_labels(model, needs, others, space, &spaces));
    }
    WorstTenant {
        tenant: tenant.clone(),
        egress: most(&spaces, tenant, Direction::Egress),
        ingress: most(&spaces, tenant, Direction::Ingress),
        holes,
        is_exact: spaces.iter().all(Space::is_exact),
        leaves_out_tiers: model.policies().tiers().next().is_some(),
    }
}

/// The holes that the values open, whatever the policies.
fn by_values(tenant: &Tenant) -> Vec<Hole> {
    let powers = &tenant.powers;
    let mut holes = Vec::new();
    if tenant.uses_host_network() {
        holes.push(Hole::HostNetwork);
    }
    if powers.syncs_policies {
        holes.push(Hole::SyncedPolicies);
    }
    if !powers.policy_resources.is_empty() {
        holes.push(Hole::PolicyResources(powers.policy_resources.clone()));
    }
    if powers.has_namespace_patterns {
        holes.push(Hole::NamespacePatterns);
    }
    holes
}

/// What the tenant's own end lets through at most.
fn most(spaces: &[Space<'_>], tenant: &Tenant, direction: Direction) -> AllowedTraffic {
    let everything = tenant.uses_host_network()
        || tenant.powers.has_namespace_patterns
        || spaces.iter().any(|space| space.is_unrestricted(direction));
    if everything {
        return AllowedTraffic::everything();
    }
    let policies = spaces.iter().flat_map(|s| s.own_policies(direction));
    let rules = policies.flat_map(|policy| gains::allow_rules(policy, direction));
    let rules: Vec<_> = rules.collect();
    rules.iter().collect()
}

/// The policies of a cluster by the tenants whose pods they can select.
struct Candidates<'p> {
    by_tenant: HashMap<(&'p str, String), Vec<&'p Policy>>,
    of_any: HashMap<&'p str, Vec<&'p Policy>>,
}

impl<'p> Candidates<'p> {
    fn of(policies: &'p Policies) -> Self {
        let mut found = Self {
            by_tenant: HashMap::new(),
            of_any: HashMap::new(),
        };
        for policy in policies.iter() {
            let namespace = policy.namespace.as_str();
            if NEVER.iter().any(|key| policy.selector.fixed(key).is_some()) {
                continue;
            }
            match policy.selector.fixed(MANAGED_BY) {
                Some(name) => {
                    let key = (namespace, name.to_owned());
                    found.by_tenant.entry(key).or_default().push(policy);
                }
                None => found.of_any.entry(namespace).or_default().push(policy),
            }
        }
        found
    }

    fn for_tenant(&self, namespace: &str, name: &str) -> Vec<&'p Policy> {
        let own = self.by_tenant.get(&(namespace, name.to_owned()));
        let any = self.of_any.get(namespace);
        own.into_iter().chain(any).flatten().copied().collect()
    }
}

impl Tenant {
    /// The tenant of a virtual cluster with a config; `default_namespace` is that of objects that
    /// state none.
    #[must_use]
    pub fn of(made: &GeneratedPolicies, default_namespace: &str) -> Self {
        let mut policies = made.policies.iter();
        let workload = policies.find(|policy| policy.role == Role::Workload);
        let namespace = workload.map_or(&made.namespace, |policy| &policy.namespace);
        Self {
            name: made.name.clone(),
            namespace: namespace.as_deref().unwrap_or(default_namespace).to_owned(),
            powers: made.powers.clone(),
            admission: PodAdmission::Absent,
        }
    }

    /// The admission policy that refuses its pods in the network of a node, which its values allow.
    #[must_use]
    pub fn host_network_closed_by(&self) -> Option<&str> {
        match &self.admission {
            // Which namespaces a pattern means is not known, and so not what is looked at there.
            PodAdmission::InForce { name }
                if self.powers.networks == Networks::PodsAndHost
                    && !self.powers.has_namespace_patterns =>
            {
                Some(name)
            }
            _ => None,
        }
    }

    /// Whether new pods can be in the network of a node.
    fn uses_host_network(&self) -> bool {
        self.powers.networks == Networks::PodsAndHost && self.host_network_closed_by().is_none()
    }

    /// A tenant with the powers that the chart's defaults give it.
    #[must_use]
    pub fn with_defaults(name: &str, namespace: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            powers: Powers::of(None, name, Some(namespace)),
            admission: PodAdmission::Absent,
        }
    }
}
