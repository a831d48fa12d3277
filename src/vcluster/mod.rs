//! vCluster: which virtual clusters a stream holds, what their configs mean, and the policies that
//! come of them.

pub mod actors;
pub mod config;
pub mod edition;
mod egress_only;
pub mod mapped;
pub mod ownership;
mod peers;
pub mod policies;
pub mod running;
pub mod sources;
pub mod syncer;
