//! An audit as diagnostics, for the formats that all commands share.

use super::diff;
use crate::audit::verdict::{Finding, Verdict};
use crate::audit::words::{help, listed, message};
use crate::audit::{ClusterAudit, StreamAudit};
use crate::explain::diff as difference;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location};

/// The stable name of a diagnostic for a verdict, a title, and what it means.
#[must_use]
pub fn code(verdict: Verdict) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Isolated => (
            "audit-isolated",
            "isolated",
            "The virtual cluster is isolated.",
        ),
        Verdict::Off => (
            "audit-off",
            "the config of a virtual cluster does not enable its policies",
            "Set `policies.networkPolicy.enabled: true` in the chart's values.",
        ),
        Verdict::Missing => (
            "audit-missing",
            "policies that a config asks for are not there",
            "Upgrade the release with `--post-renderer vcluster-netpol`.",
        ),
        Verdict::NotEnforced => (
            "audit-not-enforced",
            "policies have no effect on some pods or all",
            "The network plugin must enforce NetworkPolicy, and pods must not use the network of \
             their node or run in namespaces without policies.",
        ),
        Verdict::Different => (
            "audit-different",
            "policies allow other traffic than the config says",
            "Upgrade the release with `--post-renderer vcluster-netpol`, which replaces the \
             policies.",
        ),
        Verdict::Widened => (
            "audit-widened",
            "another policy allows pods of a virtual cluster more",
            "Remove the policy or narrow its podSelector. What the pods need belongs in the config.",
        ),
        Verdict::Unknown => (
            "audit-unknown",
            "a virtual cluster could not be judged",
            "Give `audit` the Secret `vc-config-NAME` or the config with `--config FILE`. What is \
             not known never counts as isolated.",
        ),
    }
}

/// The name of the warning about policies that are not evaluated.
pub const UNEVALUATED: (&str, &str, &str) = (
    "audit-unevaluated",
    "policies of kinds that are not evaluated can allow more",
    "Look at these policies. With `--strict` the verdict is `unknown` where they apply.",
);

/// The reasons for which a virtual cluster is not isolated, and with `notes` what is to be said of
/// its values.
#[must_use]
pub fn of_cluster(cluster: &ClusterAudit, stream: &StreamAudit, notes: bool) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    diagnostics.extend(cluster.findings.iter().map(|finding| {
        let verdict = finding.verdict();
        let mut text = format!(
            "virtual cluster {}: {}: {}",
            cluster.title(),
            verdict.as_str(),
            message(finding)
        );
        if let Some(diff) = diff(finding) {
            text = format!("{text}: {}", listed(&difference::in_lines(diff)));
        }
        let problem = Diagnostic {
            code: Some(code(verdict).0),
            ..Diagnostic::error(text)
        };
        let problem = problem.at(place(finding, cluster, stream));
        match help(finding) {
            Some(help) => problem.help(help),
            None => problem,
        }
    }));
    if notes {
        diagnostics.extend(cluster.notes.iter().cloned().map(|mut note| {
            note.place.file.clone_from(&stream.file);
            note
        }));
    }
    diagnostics
}

/// Where the reason is: the other policy that widens, else what speaks of the virtual cluster.
fn place(finding: &Finding, cluster: &ClusterAudit, stream: &StreamAudit) -> Location {
    let place = match finding {
        Finding::Widened {
            kind, policy, line, ..
        } => Location {
            object: Some(format!("{kind} {policy}")),
            stream_line: *line,
            ..Location::default()
        },
        _ => cluster.place.clone(),
    };
    Location {
        file: stream.file.clone(),
        ..place
    }
}

/// What is to be said of a stream as a whole; `None` where it is judged by its virtual clusters
/// alone.
#[must_use]
pub fn of_stream(stream: &StreamAudit) -> Option<Diagnostics> {
    let place = Location {
        file: stream.file.clone(),
        ..Location::default()
    };
    let mut diagnostics = Diagnostics::default();
    let problems = stream.errors.iter().chain(stream.warnings.iter());
    diagnostics.extend(problems.cloned().map(|mut problem| {
        problem.place.file.clone_from(&stream.file);
        problem
    }));
    if stream.is_empty {
        let problem = Diagnostic::error("the input is empty");
        diagnostics.push(
            problem
                .help("did the chart render anything?")
                .at(place.clone()),
        );
    }
    if stream.has_nothing() {
        let problem = Diagnostic::error("there is no virtual cluster in the input");
        diagnostics.push(problem.at(place.clone()));
    }
    if !stream.unevaluated.is_empty() {
        let message = format!("{}: {}", UNEVALUATED.1, listed(&stream.unevaluated));
        diagnostics.push(Diagnostic::warning(UNEVALUATED.0, message).at(place));
    }
    (!diagnostics.is_empty()).then_some(diagnostics)
}
