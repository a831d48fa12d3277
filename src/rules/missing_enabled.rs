//! A config that does not say whether the policies are enabled.
//!
//! Given where the config is read (`vcluster::config::settings`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP114",
    title: "config without enabled",
    audience: Audience::Everyone,
    documentation: "\
**The config does not set `enabled`.** The default of the chart is `false`: without `enabled: true` there are no policies.

Fix: set `enabled` to `true` or `false`.",
    check: None,
};
