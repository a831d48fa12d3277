//! The config of a virtual cluster: how it is read, which fields it has, and what it says.

pub mod document;
pub mod fields;
pub mod host_fit;
mod public_egress;
pub mod settings;
