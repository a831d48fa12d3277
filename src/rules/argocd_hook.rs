//! An annotation that makes hooks of the policies in Argo CD.
//!
//! Given where the policies are planned (`filter::plan`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP121",
    title: "annotation that makes hooks in Argo CD",
    audience: Audience::Everyone,
    documentation: "\
**An annotation makes the policies hooks in Argo CD.** The policies' annotations, or the chart's global ones, contain `argocd.argoproj.io/hook` or a related annotation. Argo CD deletes a hook and creates it again at each sync. Until it is created again, nothing isolates the virtual cluster. A hook is also not pruned with the application. Helm ignores these annotations, so outside of Argo CD this is a warning. If ARGOCD_APP_NAME is set, it is an error. `helm.sh/hook` is always an error.

Fix: remove the annotation. `argocd.argoproj.io/sync-wave` is allowed.",
    check: None,
};
