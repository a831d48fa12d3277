//! A disabled config while policies of ours are in the stream.
//!
//! Given where the place of the policies is found (`filter::placement`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP109",
    title: "disabled, but policies are there",
    audience: Audience::Everyone,
    documentation: "\
**Disabled, but policies exist.** With `enabled: false` the stream is not changed. If the chart rendered `vc-work-NAME` or `vc-cp-NAME`, these stay, with the rules of the chart.

Fix: enable the config, or disable it in the chart's values too.",
    check: None,
};
