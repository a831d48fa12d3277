//! Gives every vCluster in a rendered chart its two network policies.

pub mod advice;
pub mod cli;
pub mod codes;
pub mod config;
pub mod edit;
pub mod edition;
pub mod emit;
pub mod helm;
pub mod index;
pub mod krm;
pub mod kube;
pub mod lint;
pub mod migrate;
pub mod policy;
pub mod reach;
pub mod readback;
pub mod render;
pub mod report;
pub mod shape;
pub mod stream;
pub mod survey;
pub mod validate;
pub mod yaml;
