//! A chart newer than the newest known, or an unknown field in the values of one.
//!
//! Given where the values are read (`vcluster::sources`) and the policies planned (`filter::plan`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP111",
    title: "chart newer than the newest known",
    audience: Audience::Everyone,
    documentation: "\
**The chart is newer than the newest known.** The policies are those for the newest chart that this version knows. Fields that it does not know are ignored.

Fix: update vcluster-netpol. If there is no newer version, compare the policies that the chart renders with the generated ones.",
    check: None,
};
