//! The whole way of a stream, from bytes to bytes: what the filter does.
//!
//! This room only leads the others: it finds the virtual clusters, has their policies made and
//! judged, and has the stream edited. Nothing goes out before everything is known to be right.

pub mod clusters;
mod copies;
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
use copies::{Copies, OwnCopies};
use index::Index;
use isolation::NotIsolated;
use krm::SoleList;
use manifest::diagnostic::{Diagnostic, Diagnostics, Finished, Location, Severity, Sink};
use manifest::documents;
use manifest::edit::{self, Edit};
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
    /// Nobody reads the notes, so they are not looked for. A reviewer gets them all the same.
    pub without_notes: bool,
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
    /// What the values need and the policies block, and what the values open. To a reviewer these
    /// are warnings.
    pub notes: Diagnostics,
}

/// Filters a stream.
///
/// # Errors
/// With all that is wrong at once, errors first; then nothing may be written.
pub fn render<'s>(stream: &'s [u8], options: &Options) -> Result<Output<'s>, Diagnostics> {
    let mut reading = Reading::of(stream, options)?;
    reading.ignore_files_if_idle();
    let mut sink = Sink::default();
    let found = discover(&reading, options, &mut sink);
    let mut plans = plan(&reading, found, options, &mut sink);
    let copies = locate(&reading, &plans, &mut sink);
    let finished = sink.finish(&options.allow, options.strict);
    plans.comment(&finished);
    let warnings = accepted(finished.into())?;
    let changes = insert(&reading, &plans, copies, &warnings)?;
    let pieces = verify(&reading, changes.edits, &changes.expected)?;
    Ok(Output {
        pieces,
        found: plans.summaries(),
        actions: changes.actions,
        warnings,
        notes: plans.notes(options),
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
    let reading = Reading::of(stream, options)?;
    let mut sink = Sink::default();
    let found = discover(&reading, options, &mut sink);
    let plans = plan(&reading, found, options, &mut sink);
    let finished = sink.finish(&options.allow, options.strict);
    let warnings = accepted(finished.into())?;
    let planned = plans.with_config.into_iter();
    let made = planned.map(|planned| planned.plan.made(planned.cluster));
    Ok((made.collect(), warnings))
}

/// A stream as it was read, and what the user says beside it.
struct Reading<'s> {
    stream: &'s [u8],
    /// The stream's only object, where it is a list.
    list: Option<SoleList>,
    overrides: Overrides,
    index: Index,
}

impl<'s> Reading<'s> {
    /// Reads what can matter of a stream.
    fn of(stream: &'s [u8], options: &Options) -> Result<Self, Diagnostics> {
        if let Some(problem) = foreign_encoding(stream).or_else(|| SoleList::unreadable(stream)) {
            return Err(problem.into());
        }
        let list = SoleList::of(stream);
        Ok(Self {
            stream,
            overrides: effective_overrides(&options.overrides, list.as_ref()),
            list,
            index: Index::of(stream),
        })
    }

    /// Ignores `--config` when the stream has only hooks or is empty.
    fn ignore_files_if_idle(&mut self) {
        if !self.overrides.files.is_empty() && install_order::is_idle(self.stream) {
            self.overrides.files.clear();
        }
    }
}

/// The virtual clusters of a stream. Each is the subject of diagnostics by its number.
#[derive(Default)]
struct Discovered {
    with_config: Vec<(usize, VirtualCluster)>,
    without_config: Vec<NotIsolated>,
    /// Whether the list is whole: nothing was rejected that could be a virtual cluster.
    is_complete: bool,
}

/// Finds the virtual clusters of a stream.
fn discover(reading: &Reading<'_>, options: &Options, sink: &mut Sink) -> Discovered {
    sink.extend(None, unreadable(&reading.index, reading.stream));
    let Reading {
        stream,
        overrides,
        index,
        ..
    } = reading;
    let Some(clusters) = sources::virtual_clusters(index, overrides, stream, sink) else {
        return Discovered::default();
    };
    let VirtualClusters { found, running } = clusters;
    let (with_config, silent): (Vec<_>, Vec<_>) = found
        .into_iter()
        .enumerate()
        .partition(|(_, cluster)| !cluster.documents.is_empty());
    let silent = silent
        .iter()
        .map(|(_, cluster)| NotIsolated::silent(cluster, options));
    let running = running.iter().map(|r| NotIsolated::running(r, options));
    Discovered {
        with_config,
        without_config: silent.chain(running).collect(),
        is_complete: !sink.has_errors(),
    }
}

/// A virtual cluster that has a config, and what is to be done for it.
struct Planned {
    /// The number by which diagnostics are about it.
    subject: usize,
    cluster: VirtualCluster,
    plan: Plan,
}

/// What is to be done for a stream.
struct Plans {
    with_config: Vec<Planned>,
    without_config: Vec<NotIsolated>,
}

impl Plans {
    /// Adds the warnings about each virtual cluster to the comments of its policies.
    fn comment(&mut self, finished: &Finished) {
        let warnings = finished.by_subject();
        for planned in &mut self.with_config {
            if let Some(warnings) = warnings.get(&Some(planned.subject)) {
                planned.plan.comment(warnings);
            }
        }
    }

    /// What is to be said of the values, where it is not among the warnings.
    fn notes(&self, options: &Options) -> Diagnostics {
        let mut notes = Diagnostics::default();
        if options.audience != Audience::Reviewer {
            let plans = self.with_config.iter().map(|planned| &planned.plan);
            notes.extend(plans.flat_map(|plan| plan.notes.iter().cloned()));
        }
        notes
    }

    fn summaries(&self) -> Vec<ClusterSummary> {
        let with_config = self.with_config.iter();
        let without_config = self.without_config.iter();
        with_config
            .map(|planned| summary(&planned.cluster, &planned.plan))
            .chain(without_config.map(|cluster| cluster.found.clone()))
            .collect()
    }
}

/// Settles the policies of each virtual cluster, and judges them.
fn plan(reading: &Reading<'_>, found: Discovered, options: &Options, sink: &mut Sink) -> Plans {
    let Discovered {
        with_config,
        without_config,
        is_complete,
    } = found;
    let has_config = !with_config.is_empty();
    let mut plans = Plans {
        with_config: Vec::new(),
        without_config,
    };
    for (subject, cluster) in with_config {
        if let Some(plan) = Plan::of(subject, &cluster, options, sink) {
            plans.with_config.push(Planned {
                subject,
                cluster,
                plan,
            });
        }
    }
    sink.extend(None, unique(&plans.with_config));
    if is_complete && options.require.is_some() && !install_order::holds_only_hooks(reading.stream)
    {
        sink.extend(None, required(reading.stream, options, has_config, &plans));
    }
    plans
}

/// Finds the copies of the policies that the stream has, those of each plan in its order.
fn locate<'r>(reading: &'r Reading<'_>, plans: &Plans, sink: &mut Sink) -> Vec<OwnCopies<'r>> {
    let default_namespace = reading.overrides.default_namespace();
    let copies = Copies::new(reading.stream, &reading.index, default_namespace);
    if plans.with_config.is_empty() && !sink.has_errors() {
        sink.extend(None, copies.without_config());
    }
    let mut located = Vec::new();
    for planned in &plans.with_config {
        let Planned {
            subject,
            cluster,
            plan,
        } = planned;
        if plan.enabled {
            located.push(copies.of_plan(cluster, plan));
        } else {
            located.push(OwnCopies::default());
            sink.extend(Some(*subject), copies.of_disabled(cluster));
        }
    }
    located
}

/// The warnings of a run without errors.
fn accepted(found: Diagnostics) -> Result<Diagnostics, Diagnostics> {
    if !found.has_errors() {
        return Ok(found);
    }
    let (errors, warnings): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|problem| problem.severity == Severity::Error);
    let mut all = Diagnostics::default();
    all.extend(errors);
    all.extend(warnings);
    Err(all)
}

/// What is changed in the stream.
struct Changes<'p> {
    edits: Vec<Edit>,
    actions: Vec<Action>,
    /// What the stream must hold once it is written.
    expected: Vec<placement::Expected<'p>>,
}

/// Puts the policies where they belong.
fn insert<'p>(
    reading: &'p Reading<'_>,
    plans: &'p Plans,
    copies: Vec<OwnCopies<'p>>,
    warnings: &Diagnostics,
) -> Result<Changes<'p>, Diagnostics> {
    let list = reading.list.as_ref();
    let mut placement = Placement::new(reading.stream, list);
    for (planned, copies) in plans.with_config.iter().zip(copies) {
        if planned.plan.enabled {
            placement.place(&planned.cluster, &planned.plan, copies);
        }
    }
    placement.finish();
    if placement.errors.has_errors() {
        placement.errors.extend(warnings.clone());
        return Err(placement.errors);
    }
    if let Some(list) = list.filter(|_| !plans.with_config.is_empty()) {
        let enabled = plans.with_config.iter().filter(|p| p.plan.enabled);
        let made = enabled.flat_map(|planned| {
            let policies = planned.plan.policies.iter();
            policies.map(|policy| krm::made(policy, &planned.cluster.source))
        });
        let results: Vec<Value> = made.chain(warnings.iter().map(krm::result)).collect();
        placement
            .edits
            .extend(list.results(reading.stream, &results));
    }
    Ok(Changes {
        edits: placement.edits,
        actions: placement.actions,
        expected: placement.expected,
    })
}

/// Proves that the edited stream is what was planned, and gives its pieces.
fn verify<'s>(
    reading: &Reading<'s>,
    edits: Vec<Edit>,
    expected: &[placement::Expected<'_>],
) -> Result<Vec<Cow<'s, [u8]>>, Diagnostics> {
    verify::prove(&verify::Claim {
        stream: reading.stream,
        index: &reading.index,
        is_list: reading.list.is_some(),
        edits: &edits,
        expected,
    })?;
    edit::apply(reading.stream, edits).map_err(|at| {
        let line = documents::line_of(reading.stream, at);
        Diagnostic::error(format!("two changes meet at line {line} of the stream"))
            .help("please report this with the stream, its secrets removed")
            .into()
    })
}

/// What `--require` finds missing.
fn required(stream: &[u8], options: &Options, has_config: bool, plans: &Plans) -> Vec<Diagnostic> {
    let are_missed = options.require == Requirement::Policies;
    if !has_config && (plans.without_config.is_empty() || !are_missed) {
        return vec![no_config(stream, options.require)];
    }
    if !are_missed {
        return Vec::new();
    }
    let disabled = plans.with_config.iter().filter(|p| !p.plan.enabled);
    let disabled = disabled.map(|p| NotIsolated::disabled(&p.cluster, &p.plan).refused());
    disabled
        .chain(plans.without_config.iter().map(NotIsolated::refused))
        .collect()
}

fn summary(cluster: &VirtualCluster, plan: &Plan) -> ClusterSummary {
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
fn effective_overrides(overrides: &Overrides, list: Option<&SoleList>) -> Overrides {
    let mut overrides = overrides.clone();
    let function_config = list.and_then(|l| l.function_config.clone());
    if let (Some(text), true) = (function_config, overrides.files.is_empty()) {
        overrides.files.push(ConfigFile {
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
fn unique(plans: &[Planned]) -> Diagnostics {
    let mut report = Diagnostics::default();
    let mut owners: HashMap<&str, HashMap<Option<&str>, &VirtualCluster>> = HashMap::new();
    for Planned { cluster, plan, .. } in plans.iter().filter(|p| p.plan.enabled) {
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
