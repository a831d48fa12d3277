//! An annotation that disables what the Secret's config enables.
//!
//! Given where the policies are planned (`filter::plan`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP118",
    title: "annotation that disables the Secret's config",
    audience: Audience::Everyone,
    documentation: "\
**An annotation disables what the Secret enables.** The values in the Secret `vc-config-NAME` enable the policies, but the annotation `vcluster-netpol/config` of an object contains `enabled: false`. The annotation has priority, so the virtual cluster gets no policies. Anyone who can add an object to the chart can write such an annotation. With `--require` this is an error.

Fix: set `policies.networkPolicy.enabled: false` in the values, or remove the annotation. To accept it, use `--allow VNP118` on the command line, or `allow` in the Secret's config. In the annotation itself it has no effect.",
    check: None,
};
