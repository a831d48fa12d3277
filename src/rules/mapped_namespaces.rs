//! Namespaces of workloads that get no policy, though the config asks for it.
//!
//! Given where the policies are planned (`filter::plan`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP122",
    title: "mapped namespaces without a policy",
    audience: Audience::Everyone,
    documentation: "\
**Mapped namespaces without a policy.** With `mappedNamespaces: true`, each host namespace that `sync.toHost.namespaces.mappings.byName` names exactly gets a policy for the workloads in it. The namespaces of a pattern such as `team-*: host-team-*` are known only in the cluster, so their workloads stay without a policy. The warning is also given when the values map nothing, or when there are no values to read.

Fix: list the namespaces by name, or give the namespaces of a pattern a policy in another way. Where the config is in an annotation, keep the Secret `vc-config-NAME` in the stream: it has the values.",
    check: None,
};
