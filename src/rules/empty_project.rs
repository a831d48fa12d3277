//! The label of a project without a value.
//!
//! Given where the policies are planned (`filter::plan`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP110",
    title: "project label without a project",
    audience: Audience::Everyone,
    documentation: "\
**Project label without a project.** `vcluster.io/project` has an empty value, so no project rules are generated.

Fix: set it to the name of the project, or remove it.",
    check: None,
};
