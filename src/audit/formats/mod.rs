//! The outputs of an audit. Each has a file of its own; all say the same in the same words.

pub mod diagnostics;
mod html;
mod json;
mod markdown;
mod text;

pub use html::html;
pub use json::json;
pub use markdown::markdown;
pub use text::text;

use super::verdict::{Finding, Verdict};
use super::words::counted;
use super::{ClusterAudit, Report, StreamAudit};
use crate::explain::diff::Diff;

/// One line that counts: `3 virtual clusters in 2 inputs: 1 isolated, 2 off`.
#[must_use]
pub fn summary(report: &Report) -> String {
    let counts = report.counts();
    let total: usize = counts.values().sum();
    let found = format!(
        "{} in {}",
        counted(total, "virtual cluster"),
        counted(report.streams.len(), "input")
    );
    let mut parts: Vec<String> = Verdict::ALL
        .iter()
        .filter_map(|verdict| {
            let count = counts.get(verdict)?;
            Some(format!("{count} {}", verdict.as_str()))
        })
        .collect();
    let failed = report
        .streams
        .iter()
        .filter(|s| !s.errors.is_empty())
        .count();
    if failed > 0 {
        parts.push(format!("{} could not be judged", counted(failed, "input")));
    }
    let empty = report.streams.iter().filter(|s| s.is_empty).count();
    if empty > 0 {
        let verb = if empty == 1 { "is" } else { "are" };
        parts.push(format!("{} {verb} empty", counted(empty, "input")));
    }
    let nothing = report.streams.iter().filter(|s| s.has_nothing()).count();
    if nothing > 0 {
        let verb = if nothing == 1 { "holds" } else { "hold" };
        parts.push(format!("{} {verb} none", counted(nothing, "input")));
    }
    if parts.is_empty() {
        found
    } else {
        format!("{found}: {}", parts.join(", "))
    }
}

/// What a finding says of reachability.
fn diff(finding: &Finding) -> Option<&Diff> {
    match finding {
        Finding::Different { diff } | Finding::Widened { diff, .. } => Some(diff),
        _ => None,
    }
}

/// The virtual clusters of a stream that are to be shown.
fn shown(stream: &StreamAudit, all: bool) -> impl Iterator<Item = &ClusterAudit> {
    let clusters = stream.clusters.iter();
    clusters.filter(move |cluster| all || cluster.verdict() != Verdict::Isolated)
}
