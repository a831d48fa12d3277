//! What policies are about: namespaces, pods, and the policies themselves.

pub mod cluster;
pub mod pod;
pub mod policy;
pub mod reader;
pub mod tier;
pub mod unknown;
