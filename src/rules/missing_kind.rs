//! A policy that does not say what it is.
//!
//! Given by [`netpol::validate`], for `lint` only: elsewhere it is no NetworkPolicy.

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: netpol::codes::MISSING_KIND,
    title: "policy without apiVersion or kind",
    audience: Audience::Reviewer,
    documentation: "\
**A policy without apiVersion or kind.** The API server adds them to objects sent to it directly. kubectl and Helm reject such a document.

Fix: write `apiVersion: networking.k8s.io/v1` and `kind: NetworkPolicy`.",
    check: None,
};
