//! Default excepts that a null has removed.
//!
//! Given where the config is read (`vcluster::config::document`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP120",
    title: "default excepts removed by a null",
    audience: Audience::Everyone,
    documentation: "\
**A null removed the default excepts.** The Secret of a chart since 0.31 contains all values, but `workload.publicEgress` has no `except`. So somebody set it to `null`, and Helm deleted it. As in the chart, public egress then includes private ranges too. In the same way, a missing `enabled` means that there is no public egress.

Fix: remove the `except: null` from the values to get the default list, or set it to `[]` if you need no excepts.",
    check: None,
};
