//! A config at the root of the values of a chart that depends on vCluster.
//!
//! Given where values files are read (`values_files`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP128",
    title: "config outside of the dependency's values",
    audience: Audience::Everyone,
    documentation: "\
**Config outside of the dependency's values.** A chart that depends on vCluster passes to it only the values below the name or the alias of the dependency. `policies.networkPolicy` at the root of such values has no effect: the virtual cluster is not isolated. `lint`, `migrate` and `argocd generate` find the dependencies in `Chart.yaml` and `charts/`. Without a chart beside the values, `lint` and `migrate` give this warning if there is a config at the root and another one below a key.

Fix: write the config below the name or the alias, for example `vcluster.policies.networkPolicy`. A file that is meant for `--config` is checked with `lint --config FILE`.",
    check: None,
};
