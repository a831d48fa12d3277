//! A field of an older chart.
//!
//! Given where the config is read (`vcluster::config::settings`) and by `migrate`.

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP101",
    title: "deprecated field",
    audience: Audience::Everyone,
    documentation: "\
**Deprecated field.** Chart 0.31 replaced the field. The program still reads it, but charts since 0.31 reject it in their values.

Fix: `vcluster-netpol migrate values.yaml` shows the new fields, and `--in-place` writes them. `outgoingConnections.platform: false` has no successor. Keep it in the annotation, or remove it if the control plane may connect to the Platform.",
    check: None,
};
