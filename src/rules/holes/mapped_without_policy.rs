//! Pods of the virtual cluster run where no policy selects them.

use crate::rules::config::{Field, Findings, View};
use crate::rules::{Audience, Rule};
use crate::vcluster::mapped::{self, MappedNamespaces};
use manifest::diagnostic::Diagnostic;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP304",
    title: "pods in mapped namespaces have no policy",
    audience: Audience::OnRequest,
    documentation: "\
**Pods in mapped namespaces have no policy.** With `sync.toHost.namespaces` pods of the virtual cluster run in other host namespaces too. The policies exist only in the namespace of the release. Where no policy selects a pod, everything is allowed.

Fix: set `mappedNamespaces: true` in the annotation `vcluster-netpol/config` or in a file for `--config`. It gives the namespaces that `mappings.byName` names exactly their own `vc-work-NAME`. Give the namespaces of patterns policies in another way.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let mapped = MappedNamespaces::of(view.values.root(), view.release, view.namespace);
    let names = if view.settings.host.mapped_namespaces {
        // Patterns have a warning of their own where the option is set.
        return;
    } else if mapped.exact.is_empty() && !mapped.has_patterns {
        return;
    } else if mapped.has_patterns {
        "pods of the virtual cluster in mapped namespaces, those of patterns among them,"
    } else {
        "pods of the virtual cluster in mapped namespaces"
    };
    let message = format!("{names} have no network policy, so everything is open to them");
    let problem = Diagnostic::warning(RULE.code, message).help(
        "set mappedNamespaces: true in the annotation or a --config file, for the namespaces that \
         are named exactly",
    );
    findings.note(Field::Value(mapped::MAPPINGS.to_owned()), problem);
}
