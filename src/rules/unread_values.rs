//! Values that a Flux HelmRelease or an Argo CD Application takes from elsewhere.
//!
//! Given where values files are read (`values_files`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP129",
    title: "values from elsewhere",
    audience: Audience::Everyone,
    documentation: "\
**Values from elsewhere.** The object takes values from a ConfigMap, a Secret or a file, for example with `valuesFrom` of a HelmRelease or `valueFiles` of an Application. `lint` and `migrate` read only the values that are in the object. The others can enable, disable or change the policies.

Fix: give the files to `lint` too. To check what is really installed, give it the output of `helm template`, or use `audit`.",
    check: None,
};
