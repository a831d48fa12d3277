//! What is to be done for one virtual cluster: its policies, settled and judged.
//!
//! Brings config, chart and options together. Knows nothing of where policies stand in the stream.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::Options;
use super::widening;
use crate::rules::{
    Audience, annotation_disables, annotation_widens, argocd_hook,
    config::{self, Dns, Field, Note, View},
    empty_project, mapped_namespaces, newer_chart, option_without_effect, target_namespace,
    values::Values,
};

use crate::tenant::powers::Powers;
use crate::vcluster::config::document::ConfigDocument;
use crate::vcluster::config::fields;
use crate::vcluster::config::settings::{PublicEgress, Settings, merge};
use crate::vcluster::edition::{self, ChartVersion, Edition};
use crate::vcluster::mapped::{self, MappedNamespaces};
use crate::vcluster::policies::{
    self, PROJECT_LABEL, PROJECT_NAMESPACE_LABEL, Policy, Role, Subject,
};
use crate::vcluster::sources::{self, Source, VirtualCluster};
use crate::vcluster::syncer::Syncer;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position, Quoting, Severity, Sink};
use manifest::schema::{self, Origin, Shape};
use manifest::yaml::{Node, Paths, Tree};
use netpol::cidr::Cidr;
use netpol::validate::{self, CidrRule, FieldSpot, Use};

/// The value of the project label that the Platform expands before Helm runs.
const PROJECT_PLACEHOLDER: &str = ".Values.loft.project";

/// The values that the policies need beyond the config, and that may hold anything.
const GLOBAL_ANNOTATIONS: &str = "controlPlane.advanced.globalMetadata.annotations";
const TARGET_NAMESPACE: &str = "experimental.syncSettings.targetNamespace";

/// What is to be done for one virtual cluster.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) enabled: bool,
    pub(super) edition: Edition,
    pub(super) policies: Vec<Policy>,
    /// Written only where the stream has none.
    pub(super) companions: Vec<Policy>,
    /// The names of those of the two that the edition does not have.
    pub(super) unwanted: Vec<String>,
    /// What is written above each policy.
    pub(super) comments: Vec<String>,
    /// What the values need and the policies block, and what the values open.
    pub(super) notes: Vec<Diagnostic>,
}

/// The policies of one virtual cluster and where they come from, for those who explain them.
#[derive(Debug, Clone)]
pub struct GeneratedPolicies {
    /// The Helm release.
    pub name: String,
    /// The namespace, if anything says.
    pub namespace: Option<String>,
    /// What the config was read from, in words.
    pub source: String,
    /// The shape of the policies.
    pub edition: Edition,
    /// Whether the config enables them.
    pub enabled: bool,
    /// What the values let the tenant do beside choosing labels.
    pub powers: Powers,
    /// The two, and the companions that were asked for. Origins have their paths as they stand in
    /// the text of the config.
    pub policies: Vec<Policy>,
    /// What the values need and the policies block, and what the values open.
    pub notes: Vec<Diagnostic>,
    /// Who writes the tenant's objects into the host cluster.
    pub syncer: Syncer,
}

impl Plan {
    /// The policies alone, with full paths in their origins.
    pub(super) fn made(self, cluster: VirtualCluster) -> GeneratedPolicies {
        let documents = cluster.documents.as_slice();
        let has_comments = documents.iter().any(ConfigDocument::shows_comments);
        // Nothing has to be looked for where there is only one, and no comment in it.
        let trees = if documents.len() > 1 || has_comments {
            trees(documents)
        } else {
            Vec::new()
        };
        let mut texts = texts(documents, &trees);
        let mut policies = self.policies;
        policies.extend(self.companions);
        for policy in &mut policies {
            let egress = policy.egress.iter_mut();
            let egress = egress.map(|rule| (&mut rule.origin, &mut rule.comment));
            let ingress = policy.ingress.iter_mut();
            let ingress = ingress.map(|rule| (&mut rule.origin, &mut rule.comment));
            for (origin, comment) in egress.chain(ingress) {
                note_user(documents, &mut texts, origin, comment);
            }
        }
        let namespace = cluster.namespace.as_deref();
        GeneratedPolicies {
            powers: Powers::of(cluster.values.as_ref(), &cluster.name, namespace),
            syncer: Syncer::of(cluster.values.as_ref(), &cluster.name),
            name: cluster.name,
            namespace: cluster.namespace,
            source: cluster.source,
            edition: self.edition,
            enabled: self.enabled,
            policies,
            notes: self.notes,
        }
    }

    /// Settles config, chart and options, and judges what comes of them. `None` if anything is
    /// rejected, which the sink says.
    pub(super) fn of(
        subject: usize,
        cluster: &VirtualCluster,
        options: &Options,
        sink: &mut Sink,
    ) -> Option<Self> {
        let mut settings = checked_settings(subject, cluster, options, sink)?;
        settings.write_cidrs_for_policies();
        let chart = ChartFacts::of(subject, cluster, &settings, options, sink)?;
        let about = chart.subject(cluster, options);
        let policies = policies::policies(&about, &settings);
        let companions = companions(&about, &settings, options);
        let view = View {
            settings: &settings,
            policies: &policies,
            dns: dns(cluster, &about, !companions.is_empty()),
            quoting: quoting(&cluster.documents),
            audience: options.audience,
            release: &cluster.name,
            namespace: cluster.namespace.as_deref(),
            values: Values::new(cluster.values.as_ref()),
            planned: &OnceCell::new(),
        };
        sink.extend(Some(subject), relocate(cluster, config::warnings(&view)));
        let mut notes = Vec::new();
        if options.audience == Audience::Reviewer || !options.without_notes {
            notes = located_notes(cluster, config::notes(&view));
            notes.retain(|note| !is_allowed(note, &settings, options));
        }
        if options.audience == Audience::Reviewer {
            sink.extend(Some(subject), notes.clone());
        }
        let made: Vec<Policy> = policies.iter().chain(&companions).cloned().collect();
        let mut found = Vec::new();
        if settings.enabled {
            let of_policy = |policy| judge_policy(policy, cluster, options.cidr);
            found.extend(made.iter().flat_map(of_policy));
            found.extend(global_hooks(cluster, &chart.global_annotations, options));
        }
        let overriding = overriding(cluster, options, &about, &settings, &made);
        let mut all = found.iter().chain(&overriding);
        let is_rejected = all.any(|p| p.severity == Severity::Error);
        sink.extend(Some(subject), found);
        if let Some(problem) = overriding {
            sink.push_for_caller(subject, problem);
        }
        if is_rejected {
            return None;
        }
        let edition = chart.edition;
        Some(Self {
            enabled: settings.enabled,
            edition,
            unwanted: unwanted(&policies, &cluster.name),
            policies,
            companions,
            notes,
            comments: vec![format!(
                "vcluster-netpol: edition {edition}, config from {}.",
                cluster.source
            )],
        })
    }

    /// Adds the warnings to what is written above each policy: where Helm hides stderr, it is the
    /// one place where the user sees them.
    pub(super) fn comment(&mut self, warnings: &Diagnostics) {
        self.comments.extend(warnings.iter().map(comment_of));
    }
}

/// What the chart and the options say about a virtual cluster, beside its config.
struct ChartFacts {
    edition: Edition,
    workload_namespace: Option<String>,
    mapped_namespaces: Vec<String>,
    chart: Option<String>,
    global_annotations: BTreeMap<String, String>,
}

impl ChartFacts {
    /// Gathers them, and says what is to be said about them.
    fn of(
        subject: usize,
        cluster: &VirtualCluster,
        settings: &Settings,
        options: &Options,
        sink: &mut Sink,
    ) -> Option<Self> {
        let version = cluster.chart_version();
        let edition = options
            .edition
            .unwrap_or_else(|| Edition::of(version.as_ref()));
        let workload_namespace = workload_namespace(cluster).map(str::to_owned);
        let mut warnings = Vec::new();
        if workload_namespace.is_some() && settings.enabled {
            warnings.push(two_namespaces());
        }
        if let Some(version) = version.filter(ChartVersion::is_newer_than_known)
            && settings.enabled
            && options.edition.is_none()
        {
            warnings.push(newer_chart(&version, edition));
        }
        let mapped = mapped_namespaces(cluster, settings);
        let (mapped_namespaces, found) = match mapped {
            Ok((namespaces, warning)) => (Some(namespaces), warning),
            Err(problem) => (None, Some(problem)),
        };
        warnings.extend(found);
        sink.extend(Some(subject), relocate(cluster, warnings));
        Some(Self {
            edition,
            workload_namespace,
            mapped_namespaces: mapped_namespaces?,
            chart: cluster.chart.as_deref().and_then(edition::clean_label),
            global_annotations: sources::strings(
                cluster.value("/controlPlane/advanced/globalMetadata/annotations"),
            ),
        })
    }

    /// What the policies are about.
    fn subject<'c>(&'c self, cluster: &'c VirtualCluster, options: &'c Options) -> Subject<'c> {
        Subject {
            release: &cluster.name,
            namespace: cluster.namespace.as_deref(),
            workload_namespace: self.workload_namespace.as_deref(),
            mapped_namespaces: &self.mapped_namespaces,
            chart: self.chart.as_deref(),
            heritage: cluster.heritage.as_deref().unwrap_or("Helm"),
            edition: self.edition,
            private_nodes: cluster.flag("/privateNodes/enabled").unwrap_or(false),
            separate_dns: Syncer::of(cluster.values.as_ref(), &cluster.name).has_dns_pods,
            global_annotations: &self.global_annotations,
            project_namespace_label: options
                .project_namespace_label
                .as_deref()
                .unwrap_or(PROJECT_NAMESPACE_LABEL),
        }
    }
}

/// Whether the config or the caller allows a warning.
fn is_allowed(warning: &Diagnostic, settings: &Settings, options: &Options) -> bool {
    let Some(code) = warning.code else {
        return false;
    };
    let mut allowed = settings.allow.iter().chain(&options.allow);
    allowed.any(|allowed| allowed.eq_ignore_ascii_case(code))
}

/// The names of those of the two policies that the edition does not have.
fn unwanted(policies: &[Policy], release: &str) -> Vec<String> {
    let roles = [Role::Workload, Role::ControlPlane].into_iter();
    let missing = roles.filter(|role| !policies.iter().any(|policy| policy.role == *role));
    missing.map(|role| role.policy_name(release)).collect()
}

/// The settings of a virtual cluster. All that is wrong with the config in shape and values goes
/// into the sink; if any of it is an error, there are no settings.
fn checked_settings(
    subject: usize,
    cluster: &VirtualCluster,
    options: &Options,
    sink: &mut Sink,
) -> Option<Settings> {
    let is_error = |p: &Diagnostic| p.severity == Severity::Error;
    let shape = cluster.documents.iter().flat_map(|d| &d.problems);
    let shape: Vec<Diagnostic> = shape.cloned().collect();
    let (settings, mut found) = settings_of(&cluster.documents, cluster, options);
    let mut errors = shape.iter().filter(|p| is_error(p)).peekable();
    let is_accepted = errors.peek().is_none() && !found.iter().any(is_error);
    // That a value of the wrong type can't be decoded has been said, and better.
    if errors.peek().is_some() {
        found.retain(|p| p.place.path.as_deref() != Some(""));
    }
    found = relocate(cluster, found);
    let wrong: Vec<&str> = errors.filter_map(|p| p.place.path.as_deref()).collect();
    found.retain(|p| {
        let path = p.place.path.as_deref().unwrap_or_default();
        !wrong
            .iter()
            .any(|wrong| is_within(path, wrong) || is_within(wrong, path))
    });
    let mut all: Vec<Diagnostic> = shape.iter().cloned().chain(found).collect();
    if cluster.origin == Source::Secret
        && let Some(problem) = all.iter_mut().find(|p| is_error(p))
    {
        hint_at_own_file(problem, cluster);
    }
    sink.extend(Some(subject), all);
    let settings = settings?;
    sink.allow(subject, settings.allow.iter().cloned());
    if is_accepted { Some(settings) } else { None }
}

/// Whether a field is another one or inside of it.
fn is_within(path: &str, outer: &str) -> bool {
    let rest = path.strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Says how to see an error of a Secret, whose values are not shown, in a file of one's own.
fn hint_at_own_file(problem: &mut Diagnostic, cluster: &VirtualCluster) {
    let hint = format!(
        "values of a Secret are not shown; `vcluster-netpol lint values.yaml` shows the line in your \
         own file, and `helm get values {}` prints the values of an installed release",
        cluster.name
    );
    problem.help = Some(match problem.help.take() {
        Some(help) => format!("{help} ({hint})"),
        None => hint,
    });
}

fn companions(subject: &Subject<'_>, settings: &Settings, options: &Options) -> Vec<Policy> {
    if options.companions || settings.companions {
        policies::companions(subject, settings)
    } else {
        Vec::new()
    }
}

/// What is to be said of an annotation that takes back what the Secret's config closes.
///
/// Everybody who can add an object to the stream can annotate it. So the annotation can't allow this
/// itself: only the caller can, or the config that it takes the place of.
fn overriding(
    cluster: &VirtualCluster,
    options: &Options,
    subject: &Subject<'_>,
    settings: &Settings,
    policies: &[Policy],
) -> Option<Diagnostic> {
    let secret = cluster.overridden.as_ref()?;
    let (of_secret, problems) = settings_of(std::slice::from_ref(secret), cluster, options);
    let is_readable = problems.iter().all(|p| p.severity == Severity::Warning);
    let of_secret = of_secret.filter(|of_secret| is_readable && of_secret.enabled)?;
    let (code, message) = if settings.enabled {
        let mut before = policies::policies(subject, &of_secret);
        before.extend(companions(subject, &of_secret, options));
        let (policy, direction) = widening::widened(&before, policies)?;
        let message = format!(
            "the annotation opens more than the config of the Secret vc-config-{}, which it \
             overrides: {policy} allows more {direction}",
            cluster.name
        );
        (annotation_widens::RULE.code, message)
    } else {
        let message = format!(
            "the annotation disables the policies that the config of the Secret vc-config-{} \
             enables",
            cluster.name
        );
        (annotation_disables::RULE.code, message)
    };
    let mut problem = Diagnostic::warning(code, message).help(format!(
        "change the values instead, or remove the annotation; --allow {code} takes it as it is"
    ));
    if is_allowed(&problem, &of_secret, options) {
        return None;
    }
    if let Some(document) = cluster.documents.last() {
        problem.place = document.origin().place.clone();
    }
    if options.require.is_some() {
        problem.severity = Severity::Error;
    }
    Some(problem)
}

/// The settings that some documents say for a virtual cluster, where they can be read, and what is
/// wrong with them; problems have paths below the config.
fn settings_of(
    documents: &[ConfigDocument],
    cluster: &VirtualCluster,
    options: &Options,
) -> (Option<Settings>, Vec<Diagnostic>) {
    let quoting = quoting(documents);
    let config = documents
        .iter()
        .filter_map(|d| d.network_policy.as_ref())
        .map(|(value, _)| value.clone())
        .reduce(merge)
        .filter(|config| !config.is_null())
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let config = if documents.iter().any(ConfigDocument::has_errors) {
        judgeable(config)
    } else {
        config
    };
    let (mut settings, mut found) = match Settings::from_json(config, quoting) {
        Ok(settings) => settings,
        Err(errors) => return (None, errors),
    };
    if settings.enabled {
        found.extend(resolve_project(cluster, options, &mut settings));
        found.extend(judge(&settings, cluster, quoting, options));
    }
    (Some(settings), found)
}

/// A config without the values of the wrong type, which have been told. With the policies enabled,
/// so that what else is wrong is told at once.
fn judgeable(config: Value) -> Value {
    let is_unclear = config.get("enabled").is_some_and(|on| !on.is_boolean());
    let fit = schema::fitting(config, Shape::Object(&fields::NETWORK_POLICY));
    let mut config = fit.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if let Some(fields) = config.as_object_mut().filter(|_| is_unclear) {
        fields.insert("enabled".to_owned(), Value::Bool(true));
    }
    config
}

/// Whether the values of a config may be shown.
fn quoting(documents: &[ConfigDocument]) -> Quoting {
    documents
        .last()
        .map_or(Quoting::Hide, |d| d.origin().quoting)
}

/// How CoreDNS gets to names outside. Charts before 0.31 render no vc-kube-dns for it.
fn dns(cluster: &VirtualCluster, subject: &Subject<'_>, companions: bool) -> Dns {
    let renders_none = cluster
        .chart_version()
        .is_some_and(|version| !version.has_documented_policies());
    if !subject.separate_dns {
        Dns::Embedded
    } else if (renders_none || subject.edition.is_egress_only) && !companions {
        Dns::AsWorkload
    } else {
        Dns::WithPolicy
    }
}

/// The namespace of the workloads, where the chart puts them into another one.
fn workload_namespace(cluster: &VirtualCluster) -> Option<&str> {
    let version = cluster.chart_version()?;
    cluster
        .text("/experimental/syncSettings/targetNamespace")
        .filter(|target| {
            version.has_target_namespace() && Some(*target) != cluster.namespace.as_deref()
        })
}

/// The namespaces of workloads beside that of the release, where the config asks for policies in
/// them; and what is to be said of those that get none.
fn mapped_namespaces(
    cluster: &VirtualCluster,
    settings: &Settings,
) -> Result<(Vec<String>, Option<Diagnostic>), Diagnostic> {
    const FIELD: &str = "mappedNamespaces";
    if !settings.host.mapped_namespaces || !settings.enabled {
        return Ok((Vec::new(), None));
    }
    let at = |mut problem: Diagnostic| {
        problem.place.path = Some(FIELD.to_owned());
        problem
    };
    let namespace = cluster.namespace.as_deref();
    let mapped = MappedNamespaces::of(cluster.values.as_ref(), &cluster.name, namespace);
    if namespace.is_none() && !mapped.exact.is_empty() {
        let message = "policies in mapped namespaces name the namespace of the control plane, and \
                       nothing says which it is";
        let problem = Diagnostic::error(message).help("name it with --namespace");
        return Err(at(problem));
    }
    let warning = |message: String, help: &str| {
        at(Diagnostic::warning(mapped_namespaces::RULE.code, message).help(help))
    };
    let warning = if mapped.has_patterns {
        Some(warning(
            format!(
                "{MAPPINGS} has patterns: the workloads in their namespaces get no policy",
                MAPPINGS = mapped::MAPPINGS
            ),
            "map each namespace by its name, or give those namespaces policies in another way",
        ))
    } else if mapped.exact.is_empty() {
        Some(warning(
            format!("no other host namespace is named in {}", mapped::MAPPINGS),
            "set sync.toHost.namespaces in the values, or remove mappedNamespaces; the values are \
             read in the Secret vc-config-NAME, or else in the config",
        ))
    } else {
        None
    };
    Ok((mapped.exact, warning))
}

fn newer_chart(version: &ChartVersion, edition: Edition) -> Diagnostic {
    let message = format!(
        "the chart's version {version} is newer than the newest that is known; the policies are \
         those of edition {edition}"
    );
    Diagnostic::warning(newer_chart::RULE.code, message).help(format!(
        "update vcluster-netpol, or settle it with --edition {edition}"
    ))
}

fn two_namespaces() -> Diagnostic {
    Diagnostic::warning(
        target_namespace::RULE.code,
        "the workloads run in another namespace (experimental.syncSettings.targetNamespace); \
         vc-work goes there, and the documented rules do not connect the two namespaces",
    )
    .help(
        "allow what must pass between them in workload.egress, controlPlane.ingress and \
         controlPlane.egress, with a namespaceSelector",
    )
}

/// A warning as a comment of the policies: the one place where Helm shows it to the user.
fn comment_of(warning: &Diagnostic) -> String {
    let path = warning
        .place
        .path
        .as_ref()
        .map(|p| format!("{p}: "))
        .unwrap_or_default();
    let code = warning.code.unwrap_or_default();
    format!("warning[{code}]: {path}{}", warning.message)
}

/// A text of the config, with the places of its fields, where it could be read.
struct Text<'c> {
    document: &'c ConfigDocument,
    paths: Option<Paths<'c>>,
}

impl Text<'_> {
    /// The full path and the position of a field, where it is in this text.
    fn locate(&mut self, field: &str) -> Option<(String, Position)> {
        self.document.locate(field, self.paths.as_mut()?)
    }

    /// The comment above a field, where it is in this text.
    fn comment_above(&mut self, field: &str) -> Option<String> {
        self.document.comment_above(field, self.paths.as_mut()?)
    }

    /// The place of what is nearest to a field that is in no text.
    fn nearest(&mut self, field: &str) -> Location {
        let paths = self.paths.as_mut();
        let position = paths.and_then(|paths| self.document.nearest(field, paths));
        let path = self.document.path_of(field);
        self.document.origin().place.at(path, position)
    }
}

/// Gives a rule the full path of the field that made it, and the comment that the user wrote above
/// that field in the text that has it.
fn note_user(
    documents: &[ConfigDocument],
    texts: &mut [Text<'_>],
    origin: &mut netpol::model::policy::Origin,
    comment: &mut String,
) {
    let Some(path) = origin.setting_mut() else {
        return;
    };
    let found = texts.iter_mut().find_map(|text| {
        let (full, _) = text.locate(path)?;
        Some((full, text.comment_above(path)))
    });
    match (found, documents) {
        (Some((full, own)), _) => {
            *path = full;
            if let Some(own) = own {
                *comment = own;
            }
        }
        (None, [.., last]) => *path = last.path_of(path),
        (None, []) => {}
    }
}

fn trees(documents: &[ConfigDocument]) -> Vec<Option<Tree<'_>>> {
    documents.iter().map(ConfigDocument::tree).collect()
}

/// The texts of a config, the one that overrides the others first.
fn texts<'c>(documents: &'c [ConfigDocument], trees: &'c [Option<Tree<'c>>]) -> Vec<Text<'c>> {
    let texts = documents.iter().zip(trees).map(|(document, tree)| Text {
        document,
        paths: tree.as_ref().and_then(Tree::root).map(Paths::new),
    });
    texts.rev().collect()
}

/// Gives problems with paths below the config their places in the texts that say so. Each text is
/// parsed once, however many problems there are.
fn relocate(cluster: &VirtualCluster, mut problems: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if problems.is_empty() {
        return problems;
    }
    let trees = trees(&cluster.documents);
    let mut texts = texts(&cluster.documents, &trees);
    for problem in &mut problems {
        problem.place = place_in(
            &mut texts,
            problem.place.path.as_deref().unwrap_or_default(),
        );
        if problem.place.path.as_deref() == Some("") {
            problem.place.path = None;
        }
        if let (Some(suggestion), Some(text)) = (&mut problem.suggestion, texts.first()) {
            suggestion.path = text.document.path_of(&suggestion.path);
        }
        // A path may hold a key that a Secret keeps.
        if quoting(&cluster.documents) == Quoting::Hide {
            problem.place.path = problem
                .place
                .path
                .take()
                .map(|p| schema::without_free_keys(&p, &[PROJECT_LABEL]));
        }
    }
    problems
}

/// The notes with their places: of a field of the config as [`relocate`] finds it, of another value
/// in the text of the values.
fn located_notes(cluster: &VirtualCluster, notes: Vec<Note>) -> Vec<Diagnostic> {
    if notes.is_empty() {
        return Vec::new();
    }
    let trees = trees(&cluster.documents);
    let mut texts = texts(&cluster.documents, &trees);
    let mut located = Vec::new();
    for Note { field, mut problem } in notes {
        problem.place = match field {
            Field::Config(path) => place_in(&mut texts, &path),
            Field::Value(path) => place_of_value(cluster, &mut texts, &path),
            Field::HiddenValue(path) => Location {
                position: None,
                ..place_of_value(cluster, &mut texts, &path)
            },
        };
        if let Some(suggestion) = &mut problem.suggestion
            && let Some(text) = texts.first()
        {
            suggestion.path = text.document.path_of(&suggestion.path);
        }
        // A path may hold a key that a Secret keeps.
        if quoting(&cluster.documents) == Quoting::Hide
            && let Some(path) = &mut problem.place.path
        {
            *path = schema::without_free_keys(path, &[]);
        }
        located.push(problem);
    }
    located
}

/// The place of a value: in the text that says it last, or nearest to it in the text that lies over
/// the others. Without such a text it is just its path.
fn place_of_value(cluster: &VirtualCluster, texts: &mut [Text<'_>], path: &str) -> Location {
    let mut nearest = None;
    for text in texts {
        let (Some(_), Some(paths)) = (&text.document.values, &mut text.paths) else {
            continue;
        };
        let place = &text.document.origin().place;
        if let Some(node) = paths.find(path) {
            return place.at(path, Some(node.position()));
        }
        nearest.get_or_insert_with(|| place.at(path, paths.nearest(path).map(Node::position)));
    }
    nearest.unwrap_or_else(|| Location {
        object: Some(format!("values of the {}", cluster.describe())),
        path: Some(path.to_owned()),
        ..Location::default()
    })
}

/// The place of a field in the texts of a config.
fn place_in(texts: &mut [Text<'_>], field: &str) -> Location {
    for text in &mut *texts {
        if let Some((path, position)) = text.locate(field) {
            return text.document.origin().place.at(path, Some(position));
        }
    }
    let last = texts.first_mut().map(|text| text.nearest(field));
    last.unwrap_or_default()
}

/// Puts the project's name in for the placeholder.
fn resolve_project(
    cluster: &VirtualCluster,
    options: &Options,
    settings: &mut Settings,
) -> Vec<Diagnostic> {
    let of_secret = cluster.text("/loft/project");
    let known = match (of_secret, options.project.as_deref()) {
        (Some(a), Some(b)) if a != b => {
            let message = "--project and loft.project of the config Secret name two projects";
            return vec![Diagnostic::error(message).help("leave --project out")];
        }
        (a, b) => a.or(b),
    };
    let mut found = Vec::new();
    for (key, value) in &mut settings.labels {
        if !is_placeholder(value) {
            continue;
        }
        if known.is_none() {
            let message = "nothing says which project {{ .Values.loft.project }} is";
            let help = "name it with --project NAME, or let the Platform set loft.project";
            let mut problem = Diagnostic::error(message).help(help);
            problem.place.path = Some(schema::join("labels", key));
            found.push(problem);
        }
        // Nothing more is to be said of a placeholder that stays.
        known.unwrap_or_default().clone_into(value);
    }
    if !found.is_empty() {
        return found;
    }
    match settings.labels.get(PROJECT_LABEL).map(String::as_str) {
        Some("") => {
            let mut problem = Diagnostic::warning(
                empty_project::RULE.code,
                "the label names no project, so no rules are made for one",
            )
            .help("give it the project's name, or remove it");
            problem.place.path = Some(schema::join("labels", PROJECT_LABEL));
            found.push(problem);
        }
        None if options.project.is_some() => {
            let message =
                format!("--project has no effect: the config has no label {PROJECT_LABEL}");
            let help = format!("set labels: {{{PROJECT_LABEL}: NAME}} in the config");
            found.push(Diagnostic::warning(option_without_effect::RULE.code, message).help(help));
        }
        _ => {}
    }
    found
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
fn judge(
    settings: &Settings,
    cluster: &VirtualCluster,
    quoting: Quoting,
    options: &Options,
) -> Vec<Diagnostic> {
    let origin = Origin {
        place: Location::default(),
        quoting,
    };
    let ctx = validate::Context {
        origin: &origin,
        cidr: options.cidr,
        use_of: Use::ForPolicies,
    };
    let mut problems = judge_metadata(settings, cluster, options, &ctx);
    problems.extend(judge_public_egress(&settings.public_egress, &ctx));
    problems.extend(settings.host.problems(&ctx));
    let spot = |path: &str| FieldSpot::new(path, None);
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

/// The same of the user's labels and annotations.
fn judge_metadata(
    settings: &Settings,
    cluster: &VirtualCluster,
    options: &Options,
    ctx: &validate::Context<'_>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for (key, value) in &settings.labels {
        let label = BTreeMap::from([(key.clone(), value.clone())]);
        let path = schema::join("labels", key);
        problems.extend(validate::labels(&label, &FieldSpot::new(&path, None), ctx));
    }
    let at = FieldSpot::new("annotations", None);
    let annotations = &settings.annotations;
    problems.extend(validate::annotations(annotations, &at, ctx));
    if cluster.helm4 {
        problems.extend(validate::annotations_through_helm_4(annotations, &at, ctx));
    }
    problems.extend(hook_annotations(annotations.keys(), options, |key| {
        Location::default().at(schema::join("annotations", key), None)
    }));
    problems
}

/// The same of the address blocks that workloads reach by default.
fn judge_public_egress(public: &PublicEgress, ctx: &validate::Context<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if !public.enabled {
        return problems;
    }
    let mut block = public.block();
    let at = FieldSpot::new(public.field, None);
    // The default excepts were chosen for the cidr as it goes out, and nobody wrote them.
    if public.has_default_excepts
        && let Some(parsed) = Cidr::parse(&block.cidr)
    {
        problems.extend(validate::cidr(&block.cidr, &at.field("cidr"), ctx));
        block.cidr = parsed.for_policy(&block.cidr);
    }
    let found = validate::ip_block(&block, &at, ctx);
    problems.extend(found.into_iter().map(|p| public.reindexed(p)));
    for (index, block) in public.further.iter().enumerate() {
        let field = PublicEgress::field_of_further(index);
        problems.extend(validate::ip_block(
            block,
            &FieldSpot::new(&field, None),
            ctx,
        ));
    }
    problems
}

/// The same of the annotations that the chart puts on all its objects: errors and warnings.
fn global_hooks(
    cluster: &VirtualCluster,
    annotations: &BTreeMap<String, String>,
    options: &Options,
) -> Vec<Diagnostic> {
    let at = |_: &str| Location {
        object: Some(format!("values of the {}", cluster.describe())),
        path: Some(GLOBAL_ANNOTATIONS.to_owned()),
        ..Location::default()
    };
    hook_annotations(annotations.keys(), options, at)
}

/// What is to be said of annotations that make hooks of the policies; `at` says where one is.
///
/// Helm's make hooks of them wherever the chart is installed. To anything but Argo CD its own mean
/// nothing.
fn hook_annotations<'k>(
    keys: impl Iterator<Item = &'k String>,
    options: &Options,
    at: impl Fn(&str) -> Location,
) -> Vec<Diagnostic> {
    let problem = |key: &String| {
        let help = "remove it; the policies are placed before anything that runs";
        let problem = if key.starts_with("helm.sh/hook") {
            Diagnostic::error(
                "an annotation helm.sh/hook makes hooks of the policies: they would not be part \
                 of the release, and --no-hooks would leave them out",
            )
        } else if key.starts_with("argocd.argoproj.io/hook") {
            let mut problem = Diagnostic::warning(
                argocd_hook::RULE.code,
                "an annotation argocd.argoproj.io/hook makes hooks of the policies: Argo CD \
                 deletes hooks and creates them anew at each sync",
            );
            if options.overrides.app_name.is_some() {
                problem.severity = Severity::Error;
            }
            problem
        } else {
            return None;
        };
        Some(problem.help(help).at(at(key)))
    };
    keys.filter_map(problem).collect()
}

/// The value that names a policy's namespace, where that is not the virtual cluster's own.
fn values_field_of_namespace(policy: &Policy, cluster: &VirtualCluster) -> Option<&'static str> {
    if policy.namespace == cluster.namespace {
        return None;
    }
    match workload_namespace(cluster) {
        Some(target) if Some(target) == policy.namespace.as_deref() => Some(TARGET_NAMESPACE),
        _ => Some(mapped::MAPPINGS),
    }
}

/// What is wrong with the annotations of a policy that come from the global ones: those of the
/// config have been judged where they are written.
fn judge_global_annotations(
    policy: &Policy,
    cluster: &VirtualCluster,
    ctx: &validate::Context<'_>,
) -> Vec<Diagnostic> {
    let at = FieldSpot::new(GLOBAL_ANNOTATIONS, None);
    let mut problems = validate::annotations(&policy.annotations, &at, ctx);
    if cluster.helm4 {
        let lost = validate::annotations_through_helm_4(&policy.annotations, &at, ctx);
        // The keys of the Secret are not shown.
        problems.extend(lost.into_iter().map(|mut problem| {
            problem.place.path = Some(GLOBAL_ANNOTATIONS.to_owned());
            problem
        }));
    }
    problems
}

/// What the API server would refuse of a whole policy: names and labels come from the stream too.
///
/// The config's part has been judged where it is written. What is left are names and labels of
/// objects, which may be shown, and values of the Secret, which may not.
fn judge_policy(policy: &Policy, cluster: &VirtualCluster, cidr: CidrRule) -> Vec<Diagnostic> {
    let origin = |quoting| Origin {
        place: Location {
            object: Some(format!("{} {}", netpol::kubernetes::KIND, policy.name)),
            ..Location::default()
        },
        quoting,
    };
    let (public, secret) = (origin(Quoting::Show), origin(Quoting::Hide));
    let of_config = origin(quoting(&cluster.documents));
    let context = |origin| validate::Context {
        origin,
        cidr,
        use_of: Use::AsTheyAre,
    };
    let metadata = FieldSpot::new("metadata", None);
    let name = validate::name(&policy.name, &metadata.field("name"), &context(&public));
    let mut problems: Vec<Diagnostic> = name.into_iter().collect();
    if let Some(namespace) = &policy.namespace {
        let (origin, at) = match values_field_of_namespace(policy, cluster) {
            Some(field) => (&secret, FieldSpot::new(field, None)),
            None => (&public, metadata.field("namespace")),
        };
        problems.extend(validate::namespace(namespace, &at, &context(origin)));
    }
    let labels_at = metadata.field("labels");
    for (key, value) in &policy.labels {
        let is_charts = policies::CHART_LABELS.contains(&key.as_str());
        let origin = if is_charts { &public } else { &of_config };
        let label = BTreeMap::from([(key.clone(), value.clone())]);
        problems.extend(validate::labels(&label, &labels_at, &context(origin)));
    }
    problems.extend(judge_global_annotations(policy, cluster, &context(&secret)));
    let spec_at = FieldSpot::new("spec", None);
    let spec = validate::policy(&policy.spec(), &spec_at, &context(&of_config));
    problems.extend(spec);
    problems.retain(|p| p.severity == Severity::Error);
    for problem in &mut problems {
        problem
            .help
            .get_or_insert_with(|| format!("it comes from the {}", cluster.describe()));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

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
