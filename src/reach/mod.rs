//! Who may talk to whom: NetworkPolicies and pods in, exact answers out.
//!
//! ```text
//! manifest ──▶ World: namespaces, pods, Policies ──▶ Verdict: both directions, with their rules
//! words ─────▶ Endpoints and Ports ──────────────────▲
//! ```
//!
//! [`selector`], [`addresses`], [`ports`] and [`region`] are the sets that everything else is said
//! in; [`policy`] reads `networking.k8s.io/v1` into them; [`evaluate`] decides. No answer is found
//! by trying samples. [`ask`] and [`answer`] put it into words, [`probe`] and [`expect`] put many
//! questions from a file; [`allowance`] and [`matrix`] say everything at once.
//!
//! It speaks of Kubernetes as documented and as real packets confirm it: policies add up, a pod is
//! isolated only in the directions of the policies that select it, an address block means pods too,
//! and a pod always reaches itself. What is left to the network plugin (pods on the host's network,
//! addresses that a Service or a gateway rewrites, ICMP) is left out here. The filter never
//! imports this module.

pub mod addresses;
pub mod allowance;
pub mod answer;
pub mod ask;
pub mod cells;
pub mod evaluate;
pub mod expect;
pub mod intervals;
pub mod manifest;
pub mod matrix;
pub mod pod;
pub mod policy;
pub mod ports;
pub mod probe;
pub mod region;
pub mod selector;
pub mod world;
