//! `vcluster-netpol check`: is a connection from A to B allowed, and which rule says so?
//!
//! One question, a table of them, or a file of expectations. Files and exit codes are dealt with
//! here, everything else in [`netpol`] and [`check`](crate::check).

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ArgGroup, Parser, ValueEnum, ValueHint};

use super::Exit;
use super::args;
use super::explain::json;
use super::input;
use super::log;
use super::output::{self, Code, Outcome, Subject};
use super::parallel;
use super::pipe;
use crate::check::{CheckModel, Manifest, ManifestPlan, NotIsolated};
use crate::vcluster::actors::VOCABULARY;
use manifest::diagnostic::{Diagnostic, Diagnostics};
use manifest::escape;
use netpol::assertions::{self, Expectation, Group, Report};
use netpol::probe;
use netpol::query::{EndpointSpec, QueryScope, System, parse_destination};
use netpol::verdict::Question;

/// What the command reads.
const WANTED: &str = "manifests with policies, or a rendered chart: a FILE, a folder, or a pipe";

/// Reports whether a connection is allowed, and by which rule.
///
/// FROM and TO are workload, control-plane, dns, host-dns, snapshot, platform, any-workload,
/// any-control-plane, any-other-pod, internet, internet6, private, metadata, node, any-address, an
/// address or CIDR, namespace/pod of the manifests, or labels (pod:app=web,ns:team-a). Words with
/// any- and addresses take exceptions: "any-other-pod except platform". In TO, ports follow a colon:
/// dns:1053/UDP, 10.0.0.0/8:80,443, internet:8000-8999/TCP, control-plane:!8443/TCP (every other
/// port). Without ports, the question is about every port.
///
/// workload, control-plane, dns and snapshot belong to the virtual cluster that --release names;
/// objects without a namespace are in that of --namespace. Without --release, expectations are
/// compared with every virtual cluster.
///
/// For a rendered chart without policies, it uses the policies that the filter would add.
///
/// Exit code: 0 allowed, or every expectation passed; 1 denied, an expectation failed, or a manifest
/// is rejected; 2 wrong usage, or the question has no answer; 3 a file can't be read.
#[derive(Debug, Parser)]
#[command(group = ArgGroup::new("question").required(true).args(["from", "probes", "expect"]))]
pub(super) struct Args {
    /// The source of the connection.
    #[arg(long, requires = "to")]
    from: Option<String>,

    /// The destination, with port and protocol.
    #[arg(long, requires = "from")]
    to: Option<String>,

    /// A table of questions, CSV or JSON, with from, to, protocol, port.
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    probes: Option<PathBuf>,

    /// A file of expectations: lists `allow` and `deny` of from, to, reason.
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    expect: Option<PathBuf>,

    /// The same as FILE; may be repeated
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    policies: Vec<PathBuf>,

    #[command(flatten)]
    release: args::Release,

    #[command(flatten)]
    paths: input::Paths,

    /// The output format
    #[arg(long, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// A table, for --probes
    Csv,
    #[value(help = "JUnit XML, for --expect")]
    Junit,
    /// SARIF 2.1.0, for --expect
    Sarif,
    /// Annotations in the log of a GitHub workflow, for --expect
    Github,
    /// For a comment on a pull request, for --expect
    Markdown,
}

/// Why there is no answer: something that was given can't be used.
#[derive(Debug)]
struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// Why a manifest can't be judged: it is no YAML, or a policy or config in it has no meaning.
#[derive(Debug)]
struct RejectedManifest(String);

impl fmt::Display for RejectedManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RejectedManifest {}

/// Runs the command. A question that can't be answered is an error of usage, never a no.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    match answer(args) {
        Ok(true) => Ok(Exit::Done),
        Ok(false) => Ok(Exit::Rejected),
        Err(error) => match error.downcast::<Unusable>() {
            Ok(unusable) => {
                log(unusable);
                Ok(Exit::Usage)
            }
            Err(error) => match error.downcast::<RejectedManifest>() {
                Ok(rejected) => {
                    log(rejected);
                    Ok(Exit::Rejected)
                }
                Err(error) => Err(error),
            },
        },
    }
}

/// Answers, and says whether it is a yes.
fn answer(args: &Args) -> anyhow::Result<bool> {
    let table = args.probes.as_deref().or(args.expect.as_deref());
    let paths = args.manifests();
    let manifest_on_stdin = paths.is_empty() || paths.iter().any(|path| input::is_stdin(path));
    if manifest_on_stdin && table.is_some_and(input::is_stdin) {
        return Err(unusable(
            "standard input can't be the manifest and the questions at once; name a FILE",
        ));
    }
    if let (Some(from), Some(to)) = (&args.from, &args.to) {
        return answer_question(args, from, to);
    }
    match (&args.probes, &args.expect) {
        (Some(path), _) => answer_probes(args, path),
        (None, Some(path)) => answer_expectations(args, path),
        (None, None) => Err(unusable("give --from and --to, --probes, or --expect")),
    }
}

fn answer_question(args: &Args, from: &str, to: &str) -> anyhow::Result<bool> {
    // The words first: a mistake in them needs no manifest to be seen.
    let from =
        EndpointSpec::parse(from, &VOCABULARY).map_err(|e| unusable(format!("--from: {e}")))?;
    let (to, ports) =
        parse_destination(to, &VOCABULARY).map_err(|e| unusable(format!("--to: {e}")))?;
    let question = Question { from, to, ports };
    allowed_formats(args, &[Format::Text, Format::Json])?;
    let check = args.model()?;
    log_not_isolated(&check);
    let mut answer = (question.ask(&check.model, &args.scope()))
        .and_then(netpol::verdict::Answer::judged)
        .map_err(|e| args.unanswered(&e, &check))?;
    answer.assumptions.extend(check.notes);
    write(&match args.output {
        Some(Format::Json) => json(&answer.to_json())?,
        _ => answer.in_words() + &answer.additions_in_words(),
    })?;
    Ok(answer.allowed())
}

fn answer_probes(args: &Args, path: &Path) -> anyhow::Result<bool> {
    allowed_formats(args, &[Format::Csv, Format::Json])?;
    let wrong = |e| unusable(format!("{}: {e}", path.display()));
    let probes = probe::read(&read_text(path)?).map_err(wrong)?;
    let check = args.model()?;
    log_not_isolated(&check);
    let rows = probe::run(probes, &check.model, &args.scope()).map_err(wrong)?;
    check.notes.iter().for_each(|note| log_note(note));
    write(&match args.output {
        Some(Format::Json) => json(&rows)?,
        _ => probe::to_csv(&rows),
    })?;
    Ok(true)
}

fn answer_expectations(args: &Args, path: &Path) -> anyhow::Result<bool> {
    let is_answer = |format: &Format| *format != Format::Csv;
    let formats: Vec<Format> = Format::value_variants()
        .iter()
        .copied()
        .filter(is_answer)
        .collect();
    allowed_formats(args, &formats)?;
    let name = path.display().to_string();
    let expectations = assertions::read(&read_text(path)?, &name, &VOCABULARY).map_err(refused)?;
    let check = args.model()?;
    let report = report(&expectations, &check, &args.scope())?;
    check.notes.iter().for_each(|note| log_note(note));
    write(&match args.output {
        Some(Format::Json) => json(&report.to_json())?,
        Some(Format::Junit) => assertions::to_junit(&report),
        Some(Format::Sarif) => return print(&report, &name, output::Format::Sarif),
        Some(Format::Github) => return print(&report, &name, output::Format::Github),
        Some(Format::Markdown) => return print(&report, &name, output::Format::Markdown),
        _ => assertions::to_table(&report),
    })?;
    Ok(report.has_passed())
}

/// What the codes of the diagnostics mean.
const CODES: [Code; 2] = [
    Code {
        name: "expectation-failed",
        title: "an expectation about a connection failed",
        documentation: "An `allow` fails if the policies deny the connection, all or in part. A \
                        `deny` fails if they allow some of it, or could.",
    },
    Code {
        name: "not-isolated",
        title: "a virtual cluster has no policies",
        documentation: "The config of the virtual cluster does not enable the policies, or there \
                        is no config. Nothing isolates it.",
    },
];

/// Prints the results in a format that all commands share, and says whether all passed.
fn print(report: &Report, file: &str, format: output::Format) -> anyhow::Result<bool> {
    let table = assertions::to_table(report);
    let shared = output::Report {
        command: "check",
        subjects: report
            .groups
            .iter()
            .map(|group| subject(group, file))
            .collect(),
        summary: table.lines().next_back().unwrap_or_default().to_owned(),
        sources: Vec::new(),
        codes: &CODES,
    };
    shared
        .print(format)
        .context("the answer can't be written")?;
    Ok(report.has_passed())
}

/// One virtual cluster and the expectations that failed for it.
fn subject(group: &Group, file: &str) -> Subject {
    let name = group.name.as_deref().unwrap_or("the manifests");
    let [failed, not_isolated] = CODES.map(|code| code.name);
    let mut diagnostics = Diagnostics::default();
    if let Some(reason) = &group.not_judged {
        let message = format!("{name} is not isolated: {reason}");
        diagnostics.push(error(not_isolated, message));
    }
    for outcome in group.outcomes.iter().filter(|outcome| !outcome.passed) {
        let expected = outcome.expected.as_str();
        let (from, to, why) = (&outcome.from, &outcome.to, assertions::why(outcome));
        let message = format!("{expected} {from} -> {to} fails for {name}: {why}");
        let diagnostic = error(failed, message).at(outcome.place.clone());
        diagnostics.push(if outcome.reason.is_empty() {
            diagnostic
        } else {
            diagnostic.help(format!("it is expected because {}", outcome.reason))
        });
    }
    Subject {
        name: name.to_owned(),
        file: Some(file.to_owned()),
        outcome: if diagnostics.has_errors() {
            Outcome::Failed
        } else {
            Outcome::Passed
        },
        diagnostics,
    }
}

fn error(code: &'static str, message: String) -> Diagnostic {
    Diagnostic {
        code: Some(code),
        ..Diagnostic::error(message)
    }
}

/// Compares the expectations with each virtual cluster, or with the manifests where there is none.
fn report(
    expectations: &[Expectation],
    check: &CheckModel,
    scope: &QueryScope,
) -> anyhow::Result<Report> {
    let is_meant = |cluster: &&NotIsolated| {
        let fits = |given: &Option<String>, own: &str| given.as_ref().is_none_or(|g| g == own);
        fits(&scope.subject, &cluster.name) && fits(&scope.namespace, &cluster.namespace)
    };
    let not_isolated: Vec<&NotIsolated> = check.not_isolated.iter().filter(is_meant).collect();
    let mut groups: Vec<Group> = (not_isolated.iter())
        .map(|cluster| Group {
            name: Some(format!("{}/{}", cluster.namespace, cluster.name)),
            not_judged: Some(cluster.reason.clone()),
            outcomes: Vec::new(),
        })
        .collect();
    let systems = scope.systems(&check.model).unwrap_or_default();
    // A release or namespace that was given and is nowhere is an error, and not the manifests.
    if systems.is_empty() && groups.is_empty() && scope.subject.is_some() {
        scope.systems(&check.model).map_err(unusable)?;
    }
    if systems.is_empty() && groups.is_empty() {
        let outcomes = assertions::run(expectations, &check.model, scope).map_err(refused)?;
        groups.push(Group {
            outcomes,
            ..Group::default()
        });
    }
    let run = |system: &System| {
        let outcomes = assertions::run(expectations, &check.model, &scope.of(system.clone()));
        outcomes.map(|outcomes| Group {
            name: Some(format!("{}/{}", system.namespace, system.name)),
            not_judged: None,
            outcomes,
        })
    };
    let mut problems = Diagnostics::default();
    for group in parallel::map("comparing", &systems, run) {
        match group {
            Ok(group) => groups.push(group),
            Err(found) => problems.extend(found),
        }
    }
    if problems.has_errors() {
        return Err(refused(without_repetition(problems)));
    }
    // A virtual cluster whose config is rejected must not be left out silently.
    groups.extend(check.not_planned.iter().map(|manifest| Group {
        name: Some(manifest.clone()),
        not_judged: Some(
            "a config in it is rejected, so nothing says which virtual clusters it has".to_owned(),
        ),
        outcomes: Vec::new(),
    }));
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Report {
        kind: VOCABULARY.kind,
        groups,
        notes: check.notes.clone(),
    })
}

/// Names the virtual clusters without policies. A report of expectations contains them itself.
fn log_not_isolated(check: &CheckModel) {
    const MOST: usize = 10;
    for cluster in check.not_isolated.iter().take(MOST) {
        let (namespace, name) = (&cluster.namespace, &cluster.name);
        let reason = &cluster.reason;
        let line = format!("NOT ISOLATED: virtual cluster {namespace}/{name}: {reason}");
        log(escape::terminal(&line));
    }
    if let Some(more @ 1..) = check.not_isolated.len().checked_sub(MOST) {
        log(format!("NOT ISOLATED: {more} more virtual clusters"));
    }
}

/// The same problem of many virtual clusters is said once.
fn without_repetition(problems: Diagnostics) -> Diagnostics {
    let mut seen = HashSet::new();
    let mut once = Diagnostics::default();
    once.extend(
        problems
            .into_iter()
            .filter(|problem| seen.insert(problem.clone())),
    );
    once
}

fn log_note(note: &str) {
    log(escape::terminal(&format!("note: {note}")));
}

fn unusable(message: impl fmt::Display) -> anyhow::Error {
    Unusable(escape::terminal(&format!("error: {message}")).into_owned()).into()
}

/// A manifest that is rejected ends every command with the same exit code.
fn rejected(report: impl fmt::Display) -> anyhow::Error {
    RejectedManifest(report.to_string()).into()
}

/// A report brings its own words for how much it weighs.
fn refused(report: impl fmt::Display) -> anyhow::Error {
    Unusable(report.to_string()).into()
}

fn allowed_formats(args: &Args, formats: &[Format]) -> anyhow::Result<()> {
    match args.output {
        Some(format) if !formats.contains(&format) => {
            let names: Vec<String> = formats
                .iter()
                .map(|f| format!("{f:?}").to_lowercase())
                .collect();
            Err(unusable(format!(
                "this question is answered with --output {}",
                names.join(" or ")
            )))
        }
        _ => Ok(()),
    }
}

impl Args {
    fn scope(&self) -> QueryScope {
        QueryScope {
            vocabulary: &VOCABULARY,
            subject: self.release.release.clone(),
            namespace: self.release.namespace.clone(),
            system: None,
        }
    }

    /// The files and folders with the manifests.
    fn manifests(&self) -> Vec<PathBuf> {
        let paths = self.policies.iter().chain(&self.paths.paths);
        paths.cloned().collect()
    }

    /// Reads the manifests. A model without any policy answers nothing.
    fn model(&self) -> anyhow::Result<CheckModel> {
        let inputs = input::read(&self.manifests(), WANTED)?;
        let manifests = inputs.into_iter().map(|input| Manifest {
            name: input.name(),
            text: input.bytes,
        });
        let manifests: Vec<Manifest> = manifests.collect();
        let namespace = self.release.namespace.as_deref();
        let plan = |manifest: &Manifest| ManifestPlan::of(manifest, namespace);
        let plans = parallel::map("planning", &manifests, plan);
        let check = CheckModel::read(&manifests, plans, namespace).map_err(rejected)?;
        for warnings in [check.model.warnings(), check.model.not_understood()] {
            if !warnings.is_empty() {
                log(warnings);
            }
        }
        let has_policies = !check.model.policies().is_empty();
        if check.rejected.has_errors() {
            if !has_policies {
                return Err(rejected(&check.rejected));
            }
            log(&check.rejected);
            log_note("a config is rejected; the policies in the manifests are judged as they are");
        }
        if !has_policies {
            log_not_isolated(&check);
            return Err(unusable(
                "there is no NetworkPolicy in the manifests, so there is nothing to judge; give \
                 the policies, or a rendered chart whose config enables them",
            ));
        }
        Ok(check)
    }

    /// The error of a question. About a virtual cluster that has no policies it says why.
    fn unanswered(&self, error: &impl fmt::Display, check: &CheckModel) -> anyhow::Error {
        let named = self.release.release.as_ref();
        let mut disabled = check.not_isolated.iter();
        let cluster = disabled.find(|cluster| named == Some(&cluster.name));
        match cluster {
            Some(NotIsolated { name, reason, .. }) => unusable(format!(
                "the virtual cluster {name} has no policies: {reason}"
            )),
            None => unusable(error),
        }
    }
}

/// Reads the questions, which can also stand on standard input.
fn read_text(path: &Path) -> anyhow::Result<String> {
    let input = input::read_one(path)?;
    String::from_utf8(input.bytes).map_err(|_| unusable(format!("{} is not UTF-8", path.display())))
}

/// Writes the answer. A reader that closes the pipe early still gets the exit code.
fn write(text: &str) -> anyhow::Result<()> {
    pipe::answer(text.as_bytes()).context("the answer can't be written")
}
