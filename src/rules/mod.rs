//! The warnings: what is accepted, but may not do what is meant.

pub mod codes;
pub mod config;
