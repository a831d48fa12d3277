//! Kubernetes network policies, for anyone: what the API server takes, and what policies allow.
//!
//! This crate knows no Helm and no vCluster.
//!
//! ```text
//! manifests ──▶ model::cluster::ClusterModel: namespaces, pods, policies ──▶ Verdict: both directions
//! words ──────▶ query: endpoints and ports ──────────────────────────▲
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`cidr`] | the one parser of CIDRs, as generous as the API server |
//! | [`kubernetes`] | the fields of a NetworkPolicy, as tables |
//! | [`validate`] | what the API server takes, all of it and no more |
//! | [`sets`] | addresses, ports, selectors: the sets in which everything else is expressed |
//! | [`model`] | namespaces, pods and policies, read from manifests |
//! | [`evaluate`], [`allowed`] | verdicts; everything that is allowed, as sets |
//! | [`tiers`] | what ClusterNetworkPolicy and AdminNetworkPolicy make of a verdict |
//! | [`difference`] | what changes from one set of policies to another, for every kind of pod |
//! | [`connections`] | every connection that is allowed, between workloads and with the outside |
//! | [`metadata`] | the addresses at which clouds give out metadata |
//! | [`query`], [`verdict`] | questions in words, and their answers |
//! | [`other_pods`] | every pod that is not of a system, as one end of a connection |
//! | [`denial`] | the rule that is nearest to a denied connection, and the one that would allow it |
//! | [`probe`], [`assertions`], [`matrix`] | many questions at once |
//!
//! Policies add up. A pod is isolated only in the directions of the policies that select it. An
//! address block means pods too, and a pod always reaches itself. What is left to the network plugin
//! (pods on the host's network, addresses that a Service or a gateway rewrites, ICMP) is left out.

pub mod allowed;
pub mod assertions;
pub mod cidr;
mod class_index;
pub mod codes;
pub mod connections;
pub mod denial;
pub mod difference;
pub mod evaluate;
pub mod kubernetes;
pub mod matrix;
pub mod metadata;
pub mod model;
pub mod other_pods;
pub mod probe;
pub mod query;
pub mod sets;
pub mod tiers;
pub mod validate;
pub mod verdict;
