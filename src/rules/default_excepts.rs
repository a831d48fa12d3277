//! Default excepts that are not inside a custom cidr.
//!
//! Given where the config is read (`vcluster::config::settings`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP104",
    title: "default excepts outside of the cidr",
    audience: Audience::Everyone,
    documentation: "\
**Default excepts removed.** Helm merges the chart's default `except` list under your `cidr`. The API server accepts only excepts strictly inside the cidr. So the program removes those of the default list that are outside. This allows nothing new, because they were never part of the cidr.

Fix: set `except` yourself, or to `[]` if you need none.",
    check: None,
};
