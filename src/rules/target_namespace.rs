//! Workloads that run in another namespace than the control plane.
//!
//! Given where the policies are planned (`filter::plan`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP113",
    title: "workloads in another namespace",
    audience: Audience::Everyone,
    documentation: "\
**Workloads in another namespace.** With `experimental.syncSettings.targetNamespace` (charts up to 0.28) workloads and control plane are in two namespaces. The documented rules select pods of their own namespace only, so they do not allow connections between the two.

Fix: allow the necessary connections with a `namespaceSelector`, in `workload.egress`, `workload.ingress`, `controlPlane.egress` and `controlPlane.ingress`.",
    check: None,
};
