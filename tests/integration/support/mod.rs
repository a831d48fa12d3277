//! What the tests share.

pub(crate) mod cluster;
pub(crate) mod helm;
pub(crate) mod policy;
pub(crate) mod release;
pub(crate) mod shared;
pub(crate) mod stream;
