//! The whole way of a stream, from bytes to bytes: what the filter does.
//!
//! This room only leads the others: it finds the virtual clusters, has their policies made and
//! judged, and has the stream edited. Nothing goes out before everything is known to be right.

pub mod clusters;
#[cfg(test)]
mod edit_tests;
pub mod emit;
mod escapes;
pub mod helm;
pub mod index;
pub mod install_order;
mod isolation;
pub mod krm;
mod look;
mod placement;
mod plan;
pub mod prefilter;
pub mod roundtrip;
mod verify;
mod widening;

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::rules::Audience;
use crate::vcluster::edition::Edition;
use crate::vcluster::sources::{self, ConfigFile, Overrides, VirtualCluster, VirtualClusters};
use index::Index;
use isolation::NotIsolated;
use krm::SoleList;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location};
use manifest::documents;
use manifest::edit;
use netpol::validate::CidrRule;
use placement::Placement;
use plan::Plan;

pub use isolation::Requirement;
pub use plan::GeneratedPolicies;

/// What the user asks for beside the stream.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Files, names and namespaces.
    pub overrides: Overrides,
    /// `--edition`; else the chart's.
    pub edition: Option<Edition>,
    /// `--require`: what is an error where it is missing.
    pub require: Requirement,
    /// `--companions`: generate the companions that are missing.
    pub companions: bool,
    /// `--project`.
    pub project: Option<String>,
    /// `--project-namespace-label`.
    pub project_namespace_label: Option<String>,
    /// `--strict`: warnings are errors.
    pub strict: bool,
    /// `--allow`: codes of warnings that are not to be given.
    pub allow: Vec<String>,
    /// `--kube-version`: which CIDRs the target server takes.
    pub cidr: CidrRule,
    /// Who reads the warnings.
    pub audience: Audience,
}

/// What became of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyChange {
    /// It took the place of one that was there.
    Replaced,
    /// It was not there.
    Injected,
    /// It was there twice, or does not belong to the edition.
    Removed,
    /// It was there as it has to be.
    Unchanged,
}

/// One policy and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// What became of it.
    pub change: PolicyChange,
    /// `metadata.name`.
    pub policy: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// The document of the input, counted from 1.
    pub document: Option<usize>,
}

/// A virtual cluster of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterSummary {
    /// The Helm release.
    pub release: String,
    /// The namespace of its policies, if anything says.
    pub namespace: Option<String>,
    /// The label `chart`, as it stands.
    pub chart: Option<String>,
    /// The edition of its policies.
    pub edition: &'static str,
    /// What the config was read from, in words: `the Secret vc-config-a`. `None` without a config.
    pub config: Option<String>,
    /// Whether the config asks for policies.
    pub enabled: bool,
    /// Whether it has its policies in the new stream.
    pub isolated: bool,
    /// Why it is not isolated.
    pub reason: Option<String>,
    /// What to set so that it is.
    #[serde(skip)]
    pub remedy: Option<String>,
}

impl ClusterSummary {
    /// The virtual cluster in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("virtual cluster {namespace}/{}", self.release),
            None => format!("virtual cluster {}", self.release),
        }
    }
}

/// A new stream.
#[derive(Debug)]
pub struct Output<'s> {
    /// Its bytes: parts of the old stream, and new text.
    pub pieces: Vec<Cow<'s, [u8]>>,
    /// The virtual clusters of the stream.
    pub found: Vec<ClusterSummary>,
    /// What became of each policy.
    pub actions: Vec<Action>,
    /// Warnings.
    pub warnings: Diagnostics,
}

/// Filters a stream.
///
/// # Errors
/// With all that is wrong at once; then nothing may be written.
pub fn render<'s>(stream: &'s [u8], options: &Options) -> Result<Output<'s>, Diagnostics> {
    if let Some(problem) = foreign_encoding(stream).or_else(|| SoleList::unreadable(stream)) {
        return Err(problem.into());
    }
    let list = SoleList::of(stream);
    let mut overrides = effective_overrides(&options.overrides, list.as_ref());
    // Ignore `--config` when the stream has only hooks or is empty.
    if !overrides.files.is_empty() && install_order::is_idle(stream) {
        overrides.to_mut().files.clear();
    }
    let index = Index::of(stream);
    let Settled {
        plans,
        without_config,
        mut warnings,
    } = settle(stream, &index, &overrides, options)?;
    let default_namespace = overrides
        .namespace
        .as_deref()
        .or(overrides.fallback_namespace.as_deref());
    let mut placement = Placement::new(stream, &index, list.as_ref(), default_namespace);
    if plans.is_empty() {
        warnings.extend(placement.left_alone());
    }
    for (cluster, plan) in &plans {
        if plan.enabled {
            placement.place(cluster, plan);
        } else {
            warnings.extend(placement.disabled(cluster));
        }
    }
    let allowed: Vec<&str> = options.allow.iter().map(String::as_str).collect();
    warnings.allow(&allowed);
    if options.strict {
        placement.errors.extend(warnings.clone());
        placement.errors.be_strict();
    }
    placement.finish();
    if placement.errors.has_errors() {
        return Err(placement.errors);
    }
    if let Some(list) = list.as_ref().filter(|_| !plans.is_empty()) {
        let results: Vec<Value> = plans
            .iter()
            .filter(|(_, plan)| plan.enabled)
            .flat_map(|(cluster, plan)| plan.policies.iter().map(|p| krm::made(p, &cluster.source)))
            .chain(warnings.iter().map(krm::result))
            .collect();
        placement.edits.extend(list.results(stream, &results));
    }
    verify::prove(&verify::Claim {
        stream,
        index: &index,
        is_list: list.is_some(),
        edits: &placement.edits,
        expected: &placement.expected,
    })?;
    let pieces = edit::apply(stream, placement.edits).map_err(|at| {
        let line = documents::line_of(stream, at);
        Diagnostic::error(format!("two changes meet at line {line} of the stream"))
            .help("please report this with the stream, its secrets removed")
    })?;
    Ok(Output {
        pieces,
        found: plans
            .iter()
            .map(|(cluster, plan)| found(cluster, plan))
            .chain(without_config.into_iter().map(|cluster| cluster.found))
            .collect(),
        actions: placement.actions,
        warnings,
    })
}

/// The policies that the filter would give to a stream, and nothing of where they would go.
///
/// Files count here even where the stream is empty: the caller wants to see what they make.
///
/// # Errors
/// With all that is wrong at once, as [`render`] does.
pub fn plans(
    stream: &[u8],
    options: &Options,
) -> Result<(Vec<GeneratedPolicies>, Diagnostics), Diagnostics> {
    if let Some(problem) = foreign_encoding(stream).or_else(|| SoleList::unreadable(stream)) {
        return Err(problem.into());
    }
    let list = SoleList::of(stream);
    let overrides = effective_overrides(&options.overrides, list.as_ref());
    let settled = settle(stream, &Index::of(stream), &overrides, options)?;
    let plans = settled.plans.into_iter();
    let made = plans.map(|(cluster, plan)| plan.made(cluster));
    Ok((made.collect(), settled.warnings))
}

/// What is known of a stream before it is edited.
struct Settled {
    /// The virtual clusters that have a config, each with what is to be done for it.
    plans: Vec<(VirtualCluster, Plan)>,
    /// The others.
    without_config: Vec<NotIsolated>,
    warnings: Diagnostics,
}

/// Finds the virtual clusters of a stream, and what is to be done for each.
fn settle(
    stream: &[u8],
    index: &Index,
    overrides: &Overrides,
    options: &Options,
) -> Result<Settled, Diagnostics> {
    let mut errors = unreadable(index, stream);
    let VirtualClusters {
        found: clusters,
        running,
        mut warnings,
    } = match sources::virtual_clusters(index, overrides, stream) {
        Ok(found) => found,
        Err(found) => {
            errors.extend(found);
            return Err(errors);
        }
    };
    let (clusters, silent): (Vec<_>, Vec<_>) =
        clusters.into_iter().partition(|c| !c.documents.is_empty());
    let silent = silent.iter().map(|c| NotIsolated::silent(c, options));
    let running = running.iter().map(|r| NotIsolated::running(r, options));
    let without_config: Vec<NotIsolated> = silent.chain(running).collect();
    let has_config = !clusters.is_empty();
    let mut plans = Vec::new();
    for cluster in clusters {
        match Plan::of(&cluster, options) {
            Ok((plan, found)) => {
                warnings.extend(found);
                plans.push((cluster, plan));
            }
            Err(found) => errors.extend(found),
        }
    }
    errors.extend(unique(&plans));
    if options.require.is_some() && !install_order::holds_only_hooks(stream) {
        errors.extend(required(
            stream,
            options,
            has_config,
            &plans,
            &without_config,
        ));
    }
    if errors.has_errors() {
        return Err(errors);
    }
    Ok(Settled {
        plans,
        without_config,
        warnings,
    })
}

/// What `--require` finds missing.
fn required(
    stream: &[u8],
    options: &Options,
    has_config: bool,
    plans: &[(VirtualCluster, Plan)],
    without_config: &[NotIsolated],
) -> Vec<Diagnostic> {
    let are_missed = options.require == Requirement::Policies;
    if !has_config && (without_config.is_empty() || !are_missed) {
        return vec![no_config(stream, options.require)];
    }
    if !are_missed {
        return Vec::new();
    }
    let disabled = plans.iter().filter(|(_, plan)| !plan.enabled);
    let disabled = disabled.map(|(cluster, plan)| NotIsolated::disabled(cluster, plan).refused());
    disabled
        .chain(without_config.iter().map(NotIsolated::refused))
        .collect()
}

fn found(cluster: &VirtualCluster, plan: &Plan) -> ClusterSummary {
    if !plan.enabled {
        return NotIsolated::disabled(cluster, plan).found;
    }
    ClusterSummary {
        release: cluster.name.clone(),
        namespace: cluster.namespace.clone(),
        chart: cluster.chart.clone(),
        edition: plan.edition.name,
        config: Some(cluster.source.clone()),
        enabled: true,
        isolated: true,
        reason: None,
        remedy: None,
    }
}

/// What the user says, with the config that a ResourceList brings along.
fn effective_overrides<'o>(
    overrides: &'o Overrides,
    list: Option<&SoleList>,
) -> Cow<'o, Overrides> {
    let mut overrides = Cow::Borrowed(overrides);
    let function_config = list.and_then(|l| l.function_config.clone());
    if let (Some(text), true) = (function_config, overrides.files.is_empty()) {
        overrides.to_mut().files.push(ConfigFile {
            name: "functionConfig.spec".to_owned(),
            text,
        });
    }
    overrides
}

/// UTF-16 and UTF-32 have zero bytes or their marks at the beginning.
fn foreign_encoding(stream: &[u8]) -> Option<Diagnostic> {
    let marked = stream.starts_with(b"\xff\xfe") || stream.starts_with(b"\xfe\xff");
    let zeros = stream
        .get(..4)
        .map(|head| head.iter().map(|b| *b == 0).collect::<Vec<_>>());
    let wide = [
        [true, false, true, false],
        [false, true, false, true],
        [true, true, true, false],
        [false, true, true, true],
    ];
    let spaced = zeros.is_some_and(|zeros| wide.iter().any(|w| w.as_slice() == zeros));
    (marked || spaced).then(|| {
        Diagnostic::error("the stream is in UTF-16 or UTF-32, and UTF-8 is expected")
            .help("convert it, for example with `iconv -f UTF-16 -t UTF-8`")
    })
}

/// Each policy has one virtual cluster: two of them in one namespace would take turns.
fn unique(plans: &[(VirtualCluster, Plan)]) -> Diagnostics {
    let mut report = Diagnostics::default();
    let mut owners: HashMap<&str, HashMap<Option<&str>, &VirtualCluster>> = HashMap::new();
    for (cluster, plan) in plans.iter().filter(|(_, plan)| plan.enabled) {
        for policy in plan.policies.iter().chain(&plan.companions) {
            let namespace = policy.namespace.as_deref();
            let owners = owners.entry(&policy.name).or_default();
            // One without a namespace goes to the release's, which may be any.
            let other = match namespace {
                Some(_) => owners.get(&namespace).or_else(|| owners.get(&None)),
                None => owners.iter().min_by_key(|(ns, _)| **ns).map(|(_, c)| c),
            };
            if let Some(other) = other {
                report.push(two_owners(&policy.name, cluster, other));
            }
            owners.insert(namespace, cluster);
        }
    }
    report
}

fn two_owners(policy: &str, cluster: &VirtualCluster, other: &VirtualCluster) -> Diagnostic {
    let message = format!(
        "the {} (config from {}) and the {} (config from {}) would both have the policy {policy}",
        other.describe(),
        other.source,
        cluster.describe(),
        cluster.source
    );
    Diagnostic::error(message).help(
        "give the objects of both a metadata.namespace, and use --namespace for one virtual \
         cluster alone",
    )
}

fn no_config(stream: &[u8], requirement: Requirement) -> Diagnostic {
    let problem = Diagnostic::error(format!(
        "the stream holds no network-policy config, and {} is set",
        requirement.option()
    ));
    if stream.trim_ascii().is_empty() {
        return problem.help(
            "the stream is empty: did the chart render anything? With --output-dir, Helm 3 gives \
             its post-renderer nothing",
        );
    }
    problem.help(
        "set policies.networkPolicy.enabled: true in the chart's values, or the annotation \
         vcluster-netpol/config, or --config FILE; with --hide-secret Helm 3 takes the config \
         Secret away",
    )
}

/// Documents that look like ours but cannot be read: to pass over them would be a silent no-op.
fn unreadable(index: &Index, stream: &[u8]) -> Diagnostics {
    let mut report = Diagnostics::default();
    for document in &index.unreadable {
        let Some(object) = &document.looks_like else {
            continue;
        };
        let place = Location {
            object: Some(object.clone()),
            document: Some(document.number),
            stream_line: Some(index.lines.line(stream, document.document.span.start)),
            ..Location::default()
        };
        let message = format!("the document cannot be read: {}", document.reason);
        report.push(
            Diagnostic::error(message)
                .help("correct the template that renders it")
                .at(place),
        );
    }
    report
}
