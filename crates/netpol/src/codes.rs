//! The stable names of the warnings that this crate gives.

/// A CIDR that Kubernetes 1.36 refuses, or would write in another way.
pub const LEGACY_CIDR: &str = "VNP112";

/// A policy that does not say what it is.
pub const MISSING_KIND: &str = "VNP117";
