//! What the filter says beside its output: lines on stderr, and a report in a file.
//!
//! Helm shows neither stderr nor an exit code of 0 to its user, so what is worth knowing can also be
//! had as JSON in a file. Errors are not told here: where they can be seen is the filter's affair.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use serde_json::{Value, json};

use super::file;
use super::log;
use crate::filter::{Action, ClusterSummary, Output, PolicyChange};
use manifest::diagnostic::{Diagnostics, Severity};
use manifest::escape;

/// How much is said, and where.
#[derive(Debug, Clone, Default, Parser)]
#[group(skip)]
pub(super) struct Args {
    /// Write a JSON report to FILE: virtual clusters, changes and warnings
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print only errors on stderr
    #[arg(long, conflicts_with = "verbose")]
    quiet: bool,
    /// Also print on stderr what was found, what did not change, and what the values need
    #[arg(long)]
    verbose: bool,
}

impl Args {
    /// Whether anybody reads the notes.
    pub(super) fn wants_notes(&self) -> bool {
        self.verbose || self.report.is_some()
    }

    /// Writes the report, if one is wanted.
    pub(super) fn report(&self, ended: &Result<&Output<'_>, &Diagnostics>) -> anyhow::Result<()> {
        let Some(path) = &self.report else {
            return Ok(());
        };
        let text = escape::json(&format!("{:#}\n", report(ended)));
        file::report(path, text.as_bytes())
            .with_context(|| format!("can't write the report {}", path.display()))
    }

    /// What is said of a stream that is rejected: the warnings too, unless only errors are wanted.
    pub(super) fn rejection(&self, found: &Diagnostics) -> String {
        if !self.quiet {
            return found.to_string();
        }
        let errors = found.iter().filter(|p| p.severity == Severity::Error);
        let mut report = Diagnostics::default();
        report.extend(errors.cloned());
        report.to_string()
    }

    /// Says on stderr what was done.
    pub(super) fn log(&self, output: &Output<'_>) {
        if self.quiet {
            return;
        }
        if !output.warnings.is_empty() {
            log(&output.warnings);
        }
        let exposed = output.found.iter().filter(|found| !found.isolated);
        exposed.map(not_isolated).for_each(log);
        if self.verbose {
            if !output.notes.is_empty() {
                log(&output.notes);
            }
            if output.found.iter().all(|found| found.config.is_none()) {
                log("no network-policy config was found, and the stream goes out as it came");
            }
            output.found.iter().filter_map(found).for_each(log);
        }
        let worth_it = |action: &&Action| self.verbose || action.change != PolicyChange::Unchanged;
        output
            .actions
            .iter()
            .filter(worth_it)
            .map(done)
            .for_each(log);
    }
}

fn report(ended: &Result<&Output<'_>, &Diagnostics>) -> Value {
    let (result, found, actions, problems, notes) = match ended {
        Ok(output) => (
            "done",
            json!(output.found),
            json!(output.actions),
            &output.warnings,
            json!(output.notes),
        ),
        Err(errors) => ("rejected", json!([]), json!([]), *errors, json!([])),
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "result": result,
        "virtualClusters": found,
        "actions": actions,
        "problems": problems,
        "notes": notes,
    })
}

/// Nobody may believe that a virtual cluster is isolated and is not.
fn not_isolated(found: &ClusterSummary) -> String {
    let line = format!(
        "NOT ISOLATED: {}: {}; {}",
        found.describe(),
        found.reason.as_deref().unwrap_or_default(),
        found.remedy.as_deref().unwrap_or_default()
    );
    escape::terminal(&line).into_owned()
}

/// The virtual cluster and its config, where it has one.
fn found(found: &ClusterSummary) -> Option<String> {
    let config = found.config.as_deref()?;
    let chart = found.chart.as_deref().unwrap_or("an unknown chart");
    let enabled = if found.enabled { "enabled" } else { "disabled" };
    let line = format!(
        "found virtual cluster {} of {chart}: edition {}, {enabled} by {}",
        named(found.namespace.as_deref(), &found.release),
        found.edition,
        config
    );
    Some(escape::terminal(&line).into_owned())
}

fn done(action: &Action) -> String {
    let change = match action.change {
        PolicyChange::Replaced => "replaced",
        PolicyChange::Injected => "injected",
        PolicyChange::Removed => "removed",
        PolicyChange::Unchanged => "unchanged",
    };
    let name = named(action.namespace.as_deref(), &action.policy);
    let name = escape::terminal(&name);
    match action.document {
        Some(document) => {
            format!("{change} NetworkPolicy {name} (document {document} of the stream)")
        }
        None => format!("{change} NetworkPolicy {name}"),
    }
}

fn named(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}
