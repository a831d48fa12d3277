//! An annotation that opens more than the Secret's config.
//!
//! Given where the policies are planned (`filter::plan`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP119",
    title: "annotation that opens more than the Secret's config",
    audience: Audience::Everyone,
    documentation: "\
**An annotation opens more than the Secret's config.** Both the Secret `vc-config-NAME` and the annotation `vcluster-netpol/config` enable the policies. The annotation has priority, and its policies allow a connection that those of the Secret would not. The program compares the two sets of policies exactly. With `--require` this is an error.

Fix: write the rules into the values, or remove the annotation. Charts before 0.31 reject the new fields in their values. There, remove `enabled` from the values, and set it only in the annotation. To accept it, use `--allow VNP119` on the command line, or `allow` in the Secret's config. In the annotation itself it has no effect.",
    check: None,
};
