//! The warnings about values that open what the policies are believed to close.
//!
//! Each rule here reads the values, or asks the evaluator about the planned policies. No rule of a
//! network policy can close what they find; their texts say what can.

pub mod borrowed_labels;
pub mod host_network;
pub mod link_local_resolvers;
pub mod mapped_without_policy;
pub mod tenant_plugin_policies;
pub mod tenant_policies;
