//! The whole way of a stream, from bytes to bytes: what the filter does.
//!
//! This room only leads the others: it finds the virtual clusters, has their policies made and
//! judged, and has the stream edited. Nothing goes out before everything is known to be right.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::cluster::{self, Said, VirtualCluster};
use crate::config::settings::{Settings, merge};
use crate::edit::{self, Edit};
use crate::edition::{self, Edition};
use crate::emit;
use crate::index::{FILENAME, Index, Object};
use crate::krm::{self, SoleList};
use crate::policy::{self, PROJECT_LABEL, PROJECT_NAMESPACE_LABEL, Policy, Subject};
use crate::report::{Place, Problem, Quoting, Report, Severity, code};
use crate::shape::Origin;
use crate::survey::{self, Closing};
use crate::validate::{self, CidrRule, Spot};
use crate::{readback, stream};

/// The value of the project label that the Platform expands before Helm runs.
const PROJECT_PLACEHOLDER: &str = ".Values.loft.project";

/// What the user asks for beside the stream.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Files, names and namespaces.
    pub said: Said,
    /// `--edition`; else the chart's.
    pub edition: Option<Edition>,
    /// `--require`: a stream without config is an error.
    pub require: bool,
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
}

/// What became of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What became of it.
    pub deed: Deed,
    /// `metadata.name`.
    pub policy: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// The document of the input, counted from 1.
    pub document: Option<usize>,
}

/// A new stream.
#[derive(Debug)]
pub struct Output<'s> {
    /// Its bytes: parts of the old stream, and new text.
    pub pieces: Vec<Cow<'s, [u8]>>,
    /// What became of each policy.
    pub actions: Vec<Action>,
    /// Warnings.
    pub warnings: Report,
}

impl<'s> Output<'s> {
    fn unchanged(stream: &'s [u8], warnings: Report) -> Self {
        Self {
            pieces: vec![Cow::Borrowed(stream)],
            actions: Vec::new(),
            warnings,
        }
    }
}

/// Filters a stream.
///
/// # Errors
/// With all that is wrong at once; then nothing may be written.
pub fn render<'s>(stream: &'s [u8], options: &Options) -> Result<Output<'s>, Report> {
    if let Some(problem) = foreign_encoding(stream) {
        return Err(problem.into());
    }
    let list = SoleList::of(stream);
    let mut said = Cow::Borrowed(&options.said);
    if let Some(text) = list.as_ref().and_then(|l| l.function_config.clone())
        && said.files.is_empty()
    {
        said.to_mut().files.push(cluster::ConfigFile {
            name: "functionConfig.spec".to_owned(),
            text,
        });
    }
    let index = Index::of(stream);
    let mut errors = unreadable(&index, stream);
    // Hooks alone, or nothing at all: files hold for nothing here.
    if !said.files.is_empty() && survey::is_idle(stream) {
        said.to_mut().files.clear();
    }
    let (clusters, mut warnings) = match cluster::virtual_clusters(&index, &said, stream) {
        Ok(found) => found,
        Err(found) => {
            errors.extend(found);
            return Err(errors);
        }
    };
    let configured: Vec<&VirtualCluster> = clusters
        .iter()
        .filter(|c| !c.documents.is_empty())
        .collect();
    if configured.is_empty() && options.require {
        errors.push(no_config(stream));
    }
    let mut plans = Vec::new();
    for cluster in configured {
        match plan(cluster, options) {
            Ok((plan, found)) => {
                warnings.extend(found);
                plans.push((cluster, plan));
            }
            Err(found) => errors.extend(found),
        }
    }
    if options.strict {
        for warning in warnings.iter() {
            errors.push(Problem {
                severity: Severity::Error,
                ..warning.clone()
            });
        }
    }
    if errors.has_errors() {
        return Err(errors);
    }
    let mut work = Work {
        stream,
        index: &index,
        claimed: vec![false; index.objects.len()],
        edits: Vec::new(),
        missing: Vec::new(),
        actions: Vec::new(),
        errors: Report::default(),
    };
    for (cluster, plan) in &plans {
        if plan.enabled {
            work.place(cluster, plan);
        } else {
            warnings.extend(work.disabled(cluster));
        }
    }
    if options.strict && warnings.iter().any(|w| w.code == Some(code::DISABLED)) {
        work.errors
            .extend(warnings.clone().into_iter().map(|w| Problem {
                severity: Severity::Error,
                ..w
            }));
    }
    if work.errors.has_errors() {
        return Err(work.errors);
    }
    work.insert(list.as_ref());
    if let Some(list) = &list
        && !plans.is_empty()
    {
        let results: Vec<Value> = warnings.iter().map(krm::result).collect();
        work.edits.extend(list.results(stream, &results));
    }
    if work.edits.is_empty() {
        let mut output = Output::unchanged(stream, warnings);
        output.actions = work.actions;
        return Ok(output);
    }
    let pieces = edit::apply(stream, work.edits).map_err(|at| {
        let line = stream::line_of(stream, at);
        Problem::error(format!("two changes meet at line {line} of the stream"))
            .help("please report this with the stream, its secrets removed")
    })?;
    Ok(Output {
        pieces,
        actions: work.actions,
        warnings,
    })
}

/// UTF-16 and UTF-32 have zero bytes or their marks at the beginning.
fn foreign_encoding(stream: &[u8]) -> Option<Problem> {
    let head = stream.get(..4).unwrap_or(stream);
    let marked = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    (marked || head.contains(&0)).then(|| {
        Problem::error("the stream is in UTF-16 or UTF-32, and UTF-8 is expected")
            .help("convert it, for example with `iconv -f UTF-16 -t UTF-8`")
    })
}

fn no_config(stream: &[u8]) -> Problem {
    let problem = Problem::error("the stream holds no network-policy config, and --require is set");
    if stream.trim_ascii().is_empty() {
        return problem.help(
            "the stream is empty: did the chart render anything? With --output-dir, Helm 3 gives \
             its post-renderer nothing",
        );
    }
    problem.help(
        "set policies.networkPolicy in the chart's values, or the annotation \
         vcluster-netpol/config, or --config FILE; with --hide-secret Helm 3 takes the config \
         Secret away",
    )
}

/// Documents that look like ours but cannot be read: to pass over them would be a silent no-op.
fn unreadable(index: &Index, stream: &[u8]) -> Report {
    let mut report = Report::default();
    for document in &index.unreadable {
        let Some(object) = &document.looks_like else {
            continue;
        };
        let place = Place {
            object: Some(object.clone()),
            document: Some(document.number),
            stream_line: Some(stream::line_of(stream, document.document.span.start)),
            ..Place::default()
        };
        let message = format!("the document cannot be read: {}", document.reason);
        report.push(
            Problem::error(message)
                .help("correct the template that renders it")
                .at(place),
        );
    }
    report
}

/// What is to be done for one virtual cluster.
#[derive(Debug)]
struct Plan {
    enabled: bool,
    policies: Vec<Policy>,
    /// Written only where the stream has none.
    companions: Vec<Policy>,
    /// The roles that the edition does not have.
    unwanted: Vec<String>,
    comments: Vec<String>,
}

fn plan(cluster: &VirtualCluster, options: &Options) -> Result<(Plan, Vec<Problem>), Vec<Problem>> {
    let quoting = cluster
        .documents
        .last()
        .map_or(Quoting::Hide, |d| d.origin().quoting);
    let config = cluster
        .documents
        .iter()
        .filter_map(|d| d.network_policy.as_ref())
        .map(|(value, _)| value.clone())
        .reduce(merge)
        .unwrap_or_default();
    let config = if config.is_null() {
        Value::Object(serde_json::Map::new())
    } else {
        config
    };
    let relocate = |problems: Vec<Problem>| -> Vec<Problem> {
        problems.into_iter().map(|p| relocate(cluster, p)).collect()
    };
    let (mut settings, mut warnings) = Settings::from_json(config, quoting).map_err(relocate)?;
    let mut errors = Vec::new();
    if settings.enabled {
        resolve_project(cluster, options, &mut settings, &mut errors, &mut warnings);
        let (refused, warned): (Vec<_>, Vec<_>) = judge(&settings, quoting, options.cidr)
            .into_iter()
            .partition(|p| p.severity == Severity::Error);
        errors.extend(refused);
        warnings.extend(warned);
    }
    if !errors.is_empty() {
        return Err(relocate(errors));
    }
    let global_annotations =
        cluster::strings(cluster.value("/controlPlane/advanced/globalMetadata/annotations"));
    let version = cluster.chart_version();
    let edition = options
        .edition
        .unwrap_or_else(|| Edition::of(version.as_ref()));
    let workload_namespace = cluster
        .text("/experimental/syncSettings/targetNamespace")
        .filter(|_| {
            version
                .as_ref()
                .is_some_and(edition::ChartVersion::has_target_namespace)
        })
        .filter(|target| Some(*target) != cluster.namespace.as_deref());
    if workload_namespace.is_some() && settings.enabled {
        warnings.push(
            Problem::warning(
                code::TARGET_NAMESPACE,
                "the workloads run in another namespace (experimental.syncSettings.targetNamespace); \
                 vc-work goes there, and the documented rules do not connect the two namespaces",
            )
            .help(
                "allow what must pass between them in workload.egress, controlPlane.ingress and \
                 controlPlane.egress, with a namespaceSelector",
            ),
        );
    }
    let chart = cluster.chart.as_deref().and_then(edition::clean_label);
    let subject = Subject {
        release: &cluster.name,
        namespace: cluster.namespace.as_deref(),
        workload_namespace,
        chart: chart.as_deref(),
        heritage: cluster.heritage.as_deref().unwrap_or("Helm"),
        edition,
        private_nodes: cluster.flag("/privateNodes/enabled").unwrap_or(false),
        separate_dns: cluster
            .flag("/controlPlane/coredns/enabled")
            .unwrap_or(true)
            && !cluster
                .flag("/controlPlane/coredns/embedded")
                .unwrap_or(false),
        global_annotations: &global_annotations,
        project_namespace_label: options
            .project_namespace_label
            .as_deref()
            .unwrap_or(PROJECT_NAMESPACE_LABEL),
    };
    let policies = policy::policies(&subject, &settings);
    let companions = if options.companions || settings.companions {
        policy::companions(&subject, &settings)
    } else {
        Vec::new()
    };
    if settings.enabled {
        let errors: Vec<Problem> = policies
            .iter()
            .chain(&companions)
            .flat_map(|policy| judge_policy(policy, cluster, options.cidr))
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
    }
    let unwanted = [policy::Role::Workload, policy::Role::ControlPlane]
        .into_iter()
        .filter(|role| !policies.iter().any(|p| p.role == *role))
        .map(|role| role.policy_name(&cluster.name))
        .collect();
    let allowed = |w: &Problem| {
        w.code
            .is_some_and(|c| settings.allow.iter().any(|a| a == c))
    };
    warnings.retain(|w| !allowed(w));
    let mut warnings = relocate(warnings);
    // A config from several files can say the same thing of each.
    warnings.dedup();
    let mut comments = vec![format!(
        "vcluster-netpol: edition {edition}, config from {}.",
        cluster.source
    )];
    comments.extend(warnings.iter().map(comment_of));
    Ok((
        Plan {
            enabled: settings.enabled,
            policies,
            companions,
            unwanted,
            comments,
        },
        warnings,
    ))
}

/// A warning as a comment of the policies: the one place where Helm shows it to the user.
fn comment_of(warning: &Problem) -> String {
    let path = warning
        .place
        .path
        .as_ref()
        .map(|p| format!("{p}: "))
        .unwrap_or_default();
    let code = warning.code.unwrap_or_default();
    format!("warning[{code}]: {path}{}", warning.message)
}

/// Gives a problem with a path below the config its place in the text that says so.
fn relocate(cluster: &VirtualCluster, mut problem: Problem) -> Problem {
    let field = problem.place.path.clone().unwrap_or_default();
    let located = cluster
        .documents
        .iter()
        .rev()
        .find_map(|d| d.locate(&field).map(|found| (d, found)));
    problem.place = match located {
        Some((document, (path, position))) => document.origin().place.at(path, Some(position)),
        None => match cluster.documents.last() {
            Some(document) => document.origin().place.at(document.path_of(&field), None),
            None => Place::default(),
        },
    };
    if problem.place.path.as_deref() == Some("") {
        problem.place.path = None;
    }
    problem
}

/// Puts the project's name in for the placeholder.
fn resolve_project(
    cluster: &VirtualCluster,
    options: &Options,
    settings: &mut Settings,
    errors: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) {
    let of_secret = cluster.text("/loft/project");
    let known = match (of_secret, options.project.as_deref()) {
        (Some(a), Some(b)) if a != b => {
            errors.push(
                Problem::error("--project and loft.project of the config Secret name two projects")
                    .help("leave --project out"),
            );
            return;
        }
        (a, b) => a.or(b),
    };
    for (key, value) in &mut settings.labels {
        if !is_placeholder(value) {
            continue;
        }
        let mut problem = match known {
            Some(project) => {
                project.clone_into(value);
                continue;
            }
            None => Problem::error("nothing says which project {{ .Values.loft.project }} is")
                .help("name it with --project NAME, or let the Platform set loft.project"),
        };
        problem.place.path = Some(crate::shape::join("labels", key));
        errors.push(problem);
    }
    match settings.labels.get(PROJECT_LABEL).map(String::as_str) {
        Some("") => {
            let mut problem = Problem::warning(
                code::EMPTY_PROJECT,
                "the label names no project, so no rules are made for one",
            )
            .help("give it the project's name, or remove it");
            problem.place.path = Some(crate::shape::join("labels", PROJECT_LABEL));
            warnings.push(problem);
        }
        None if options.project.is_some() => {
            let message =
                format!("--project has no effect: the config has no label {PROJECT_LABEL}");
            let help = format!("set labels: {{{PROJECT_LABEL}: NAME}} in the config");
            warnings.push(Problem::warning(code::NO_EFFECT, message).help(help));
        }
        _ => {}
    }
}

/// Whether a value is `{{ .Values.loft.project }}`, with whatever blanks.
fn is_placeholder(value: &str) -> bool {
    value
        .trim()
        .strip_prefix("{{")
        .and_then(|v| v.strip_suffix("}}"))
        .is_some_and(|v| v.trim_matches(['-', ' ', '\t']) == PROJECT_PLACEHOLDER)
}

/// What the API server would refuse of the user's part of the policies, and what it would warn of.
fn judge(settings: &Settings, quoting: Quoting, cidr: CidrRule) -> Vec<Problem> {
    let origin = Origin {
        place: Place::default(),
        quoting,
    };
    let ctx = validate::Context {
        origin: &origin,
        cidr,
    };
    let spot = |path: &str| Spot::new(path, None);
    let mut problems = validate::labels(&settings.labels, &spot("labels"), &ctx);
    problems.extend(validate::annotations(
        &settings.annotations,
        &spot("annotations"),
        &ctx,
    ));
    let public = &settings.public_egress;
    if public.enabled {
        let block = policy::public_block(public);
        let found = validate::ip_block(&block, &spot(public.field), &ctx);
        problems.extend(found.into_iter().map(|p| public.reindexed(p)));
    }
    for rules in [&settings.workload, &settings.control_plane] {
        for user in &rules.egress {
            problems.extend(validate::egress_rule(&user.rule, &spot(&user.field), &ctx));
        }
        for user in &rules.ingress {
            problems.extend(validate::ingress_rule(&user.rule, &spot(&user.field), &ctx));
        }
    }
    problems
}

/// What the API server would refuse of a whole policy: names and labels come from the stream too.
fn judge_policy(policy: &Policy, cluster: &VirtualCluster, cidr: CidrRule) -> Vec<Problem> {
    let origin = Origin {
        place: Place {
            object: Some(format!("{} {}", crate::kube::KIND, policy.name)),
            ..Place::default()
        },
        quoting: Quoting::Show,
    };
    let ctx = validate::Context {
        origin: &origin,
        cidr,
    };
    let metadata = Spot::new("metadata", None);
    let labels: BTreeMap<String, String> = policy.labels.iter().cloned().collect();
    let mut problems: Vec<Problem> = validate::name(&policy.name, &metadata.field("name"), &ctx)
        .into_iter()
        .collect();
    if let Some(namespace) = &policy.namespace {
        problems.extend(validate::namespace(
            namespace,
            &metadata.field("namespace"),
            &ctx,
        ));
    }
    problems.extend(validate::labels(&labels, &metadata.field("labels"), &ctx));
    problems.extend(validate::annotations(
        &policy.annotations,
        &metadata.field("annotations"),
        &ctx,
    ));
    problems.extend(validate::policy(
        &policy.spec(),
        &Spot::new("spec", None),
        &ctx,
    ));
    problems.retain(|p| p.severity == Severity::Error);
    for problem in &mut problems {
        problem
            .help
            .get_or_insert_with(|| format!("it comes from the {}", cluster.describe()));
    }
    problems
}

/// The stream being edited.
struct Work<'a> {
    stream: &'a [u8],
    index: &'a Index,
    claimed: Vec<bool>,
    edits: Vec<Edit>,
    missing: Vec<Missing>,
    actions: Vec<Action>,
    errors: Report,
}

/// A policy that the stream does not have.
struct Missing {
    block: String,
    flow: String,
    header: Option<String>,
}

impl Work<'_> {
    /// The copies of a policy in the stream, none of which has been taken for another's.
    fn copies(&mut self, name: &str, namespaces: &[Option<&str>]) -> Vec<Object> {
        let mut found = Vec::new();
        for (object, claimed) in self.index.objects.iter().zip(&mut self.claimed) {
            let here =
                object.namespace.is_none() || namespaces.contains(&object.namespace.as_deref());
            let ours = object.is_network_policy()
                && object.name.as_deref() == Some(name)
                && here
                && !object.is_hook();
            if ours && !*claimed {
                *claimed = true;
                found.push(object.clone());
            }
        }
        found
    }

    fn place(&mut self, cluster: &VirtualCluster, plan: &Plan) {
        for policy in &plan.policies {
            let namespaces = [
                policy.namespace.as_deref(),
                cluster.stream_namespace.as_deref(),
            ];
            let copies = self.copies(&policy.name, &namespaces);
            self.put(cluster, policy, &plan.comments, copies);
        }
        for policy in &plan.companions {
            let namespaces = [policy.namespace.as_deref()];
            if self.copies(&policy.name, &namespaces).is_empty() {
                self.put(cluster, policy, &plan.comments, Vec::new());
            }
        }
        for name in &plan.unwanted {
            for copy in self.copies(name, &[cluster.namespace.as_deref()]) {
                self.remove(&copy);
            }
        }
    }

    /// Writes a policy over the first of its copies, or notes that it is missing.
    fn put(
        &mut self,
        cluster: &VirtualCluster,
        policy: &Policy,
        comments: &[String],
        copies: Vec<Object>,
    ) {
        let mut copies = copies.into_iter();
        let first = copies.next();
        for copy in copies {
            self.remove(&copy);
        }
        let template = cluster.template.as_deref().map(networkpolicy_template);
        let filename = match &first {
            Some(object) if object.seat.helm4 => object.seat.template.clone(),
            _ if cluster.helm4 => template.clone(),
            _ => None,
        };
        let mut annotations: BTreeMap<String, String> = policy.annotations.clone();
        annotations.remove(FILENAME);
        if let Some(filename) = filename {
            annotations.insert(FILENAME.to_owned(), filename);
        }
        let comments = match &first {
            // Comments above an item would not be part of it the next time.
            Some(object) if object.seat.item.is_some() => &[],
            _ => comments,
        };
        let block = emit::block(policy, &annotations, comments);
        let flow = emit::flow(policy, &annotations);
        for text in [&block, &flow] {
            if let Err(problem) = readback::check(text, policy, &annotations) {
                self.errors.push(problem);
            }
        }
        let action = |deed, document| Action {
            deed,
            policy: policy.name.clone(),
            namespace: policy.namespace.clone(),
            document,
        };
        let Some(object) = first else {
            self.actions.push(action(Deed::Injected, None));
            let header = (!cluster.helm4)
                .then_some(template)
                .flatten()
                .map(|t| survey::source_line(&t));
            self.missing.push(Missing {
                block,
                flow,
                header,
            });
            return;
        };
        let edit = match &object.seat.item {
            None => edit::replace_document(self.stream, &object, &block),
            Some(item) if item.referred_to => {
                let message = "the policy stands in a list, and an alias elsewhere refers to it";
                let help = "take the anchor out of the policy, or the policy out of the list";
                self.errors.push(
                    Problem::error(message)
                        .help(help)
                        .at(object.place(self.stream)),
                );
                return;
            }
            Some(item) => edit::replace_item(self.stream, item, &block, &flow),
        };
        let same = self.stream.get(edit.span.clone()) == Some(edit.text.as_bytes());
        let deed = if same {
            Deed::Unchanged
        } else {
            Deed::Replaced
        };
        self.actions.push(action(deed, Some(object.seat.number)));
        if !same {
            self.edits.push(edit);
        }
    }

    fn remove(&mut self, object: &Object) {
        let edit = match &object.seat.item {
            None => Some(edit::remove_document(object)),
            Some(item) if item.referred_to => None,
            Some(item) => edit::remove_item(self.stream, item),
        };
        match edit {
            Some(edit) => {
                self.actions.push(Action {
                    deed: Deed::Removed,
                    policy: object.name.clone().unwrap_or_default(),
                    namespace: object.namespace.clone(),
                    document: Some(object.seat.number),
                });
                self.edits.push(edit);
            }
            None => self.errors.push(
                Problem::error("a further copy of the policy can't be taken out of its list")
                    .help("remove it from the template that renders it")
                    .at(object.place(self.stream)),
            ),
        }
    }

    /// Policies of a virtual cluster whose config is disabled stay, and a warning says so.
    fn disabled(&mut self, cluster: &VirtualCluster) -> Vec<Problem> {
        let namespaces = [
            cluster.namespace.as_deref(),
            cluster.stream_namespace.as_deref(),
        ];
        let stream = self.stream;
        [policy::Role::Workload, policy::Role::ControlPlane]
            .into_iter()
            .flat_map(|role| self.copies(&role.policy_name(&cluster.name), &namespaces))
            .map(|object| {
                let message = format!(
                    "the config of {} is disabled, but this policy is in the stream and stays",
                    cluster.describe()
                );
                Problem::warning(code::DISABLED, message)
                    .help("enable the config, or remove the policy from the chart")
                    .at(object.place(stream))
            })
            .collect()
    }

    /// Puts in what is missing.
    fn insert(&mut self, list: Option<&SoleList>) {
        if self.missing.is_empty() {
            return;
        }
        if let Some(list) = list {
            let texts: Vec<krm::Text> = self
                .missing
                .iter()
                .map(|m| krm::Text {
                    // An item has no comments above it, see `put`.
                    block: m
                        .block
                        .lines()
                        .skip_while(|l| l.starts_with('#'))
                        .fold(String::new(), |text, line| text + line + "\n"),
                    flow: m.flow.clone(),
                })
                .collect();
            self.edits.extend(list.insert(self.stream, &texts));
            return;
        }
        let gap = survey::gap(self.stream);
        let mut text = String::new();
        if gap.needs_break {
            text.push('\n');
        }
        for missing in &self.missing {
            text.push_str("---\n");
            text.push_str(missing.header.as_deref().unwrap_or_default());
            text.push_str(&missing.block);
        }
        match gap.closing {
            Closing::None => {}
            Closing::Marker => text.push_str("---\n"),
            Closing::End => text.push_str("...\n"),
        }
        let line_break = stream::line_break(self.stream, gap.at);
        self.edits.push(Edit {
            span: gap.at..gap.at,
            text: edit::with_line_breaks(&text, line_break),
        });
    }
}

/// The chart's template of network policies, beside the carrier's.
fn networkpolicy_template(carrier: &str) -> String {
    let chart = carrier
        .rfind("/templates/")
        .map_or_else(|| carrier.split('/').next(), |i| carrier.get(..i))
        .unwrap_or(carrier);
    format!("{chart}/templates/networkpolicy.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_lies_beside_the_carriers() {
        for (carrier, expected) in [
            (
                "vcluster/templates/config-secret.yaml",
                "vcluster/templates/networkpolicy.yaml",
            ),
            (
                "u/charts/a/templates/x/y.yaml",
                "u/charts/a/templates/networkpolicy.yaml",
            ),
            ("odd.yaml", "odd.yaml/templates/networkpolicy.yaml"),
        ] {
            assert_eq!(networkpolicy_template(carrier), expected);
        }
    }

    #[test]
    fn placeholders_are_known_in_every_spelling() {
        for text in [
            "{{ .Values.loft.project }}",
            "{{.Values.loft.project}}",
            "{{- .Values.loft.project -}}",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            ".Values.loft.project",
            "{{ .Values.loft.projects }}",
            "x-{{ .Values.loft.project }}",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
