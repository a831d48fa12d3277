//! The command `audit`: whether the virtual clusters of files, folders or a cluster are isolated.
//!
//! Arguments, inputs and kubectl; the judgement is [`crate::audit`]'s.

use std::sync::LazyLock;

use anyhow::{Context as _, bail};
use clap::{Args as ClapArgs, ValueEnum};

use super::Exit;
use super::args;
use super::explain::{json, width};
use super::input;
use super::kubectl::Kubectl;
use super::log;
use super::output::{self, Code, Outcome, Subject};
use super::parallel;
use super::pipe;
use super::subprocess::Deadline;
use crate::audit::live::{self, Question, Scope, Snapshot};
use crate::audit::verdict::{Finding, Unknown, Verdict};
use crate::audit::{self, AuditOptions, Detail, Input, Report, formats};
use crate::doctor::{Failure, Health};
use manifest::escape;

/// What the command expects.
const WANTED: &str = "rendered charts or the objects of a cluster, as files, folders or on standard \
                      input, or --live";

/// Reports for each virtual cluster whether it is isolated, and if not, why.
///
/// It reads rendered charts, what `helm get manifest` prints, and objects of a cluster as `kubectl
/// get -o yaml` prints them. Each file is a stream of its own; files that together hold the objects
/// of one cluster are read as one. For each virtual cluster the verdict is one of: isolated; off (the
/// config does not enable the policies); missing (it enables them, and they are not there);
/// different (they allow other traffic than the config says); widened (other policies allow its pods
/// more); not-enforced (they have no effect on some pods or all); unknown (there is no verdict).
///
/// Exit code: 0 all virtual clusters are isolated; 1 at least one is not, or is not known to be;
/// 2 wrong usage, or there is no virtual cluster; 3 a file can't be read, or the cluster does
/// not answer.
#[derive(Debug, Clone, ClapArgs)]
#[command(
    mut_arg("namespace", |argument| argument.short('n').help(
        "The namespace of objects that state none; with --live the only one to look in"
    )),
    mut_arg("companions", |argument| argument.help(
        "Demand vc-kube-dns-NAME and vc-snapshot-NAME too: one that is not there is missing"
    )),
    mut_arg("strict", |argument| argument.help(
        "A policy of a kind that is not evaluated, and that can allow something, makes the verdict \
         unknown"
    )),
)]
pub(super) struct Args {
    #[command(flatten)]
    paths: input::Paths,
    #[command(flatten)]
    config: args::ConfigFiles,
    #[command(flatten)]
    policies: args::Policies,
    /// All inputs hold the objects of one cluster
    ///
    /// This is the default if all objects come from an API server and none is in two files.
    #[arg(long, conflicts_with_all = ["separate", "live"])]
    together: bool,
    /// Read each input separately, in all cases
    #[arg(long, conflicts_with = "live")]
    separate: bool,
    /// Show the isolated virtual clusters too, and what is to be said of the values of each: traffic
    /// that they need and the policies block, and what they open; json and html always do
    #[arg(long)]
    all: bool,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    cluster: Cluster,
}

/// A cluster that is asked with kubectl.
#[derive(Debug, Clone, ClapArgs)]
#[group(skip)]
struct Cluster {
    /// Read the cluster with kubectl, instead of files
    ///
    /// Of Secrets only those with the label app=vcluster are read, and of these only the config.
    #[arg(long, conflicts_with = "paths")]
    live: bool,
    #[command(flatten)]
    kubectl: Kubectl,
    /// With --live: all namespaces, which is the default without --namespace
    #[arg(long, short = 'A', requires = "live", conflicts_with = "namespace")]
    all_namespaces: bool,
    /// With --live: assume that the cluster enforces NetworkPolicy if this can't be detected
    #[arg(long, requires = "live")]
    assume_enforced: bool,
    /// With --live: how long to wait for the cluster, for all its answers together
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Fitted to the terminal, or to COLUMNS
    Text,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations in the log of a GitHub workflow
    Github,
    #[value(help = "JUnit XML: a test case for each virtual cluster")]
    Junit,
    /// For a comment on a pull request, or a job summary
    Markdown,
    /// A page that needs no script and loads nothing
    Html,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let report = if args.cluster.live {
        live(args)?
    } else {
        files(args)?
    };
    let has_problems = report
        .streams
        .iter()
        .any(|stream| !stream.errors.is_empty());
    if report.clusters().next().is_none() && !has_problems {
        log(format!(
            "error: there is no virtual cluster in {}, so nothing could be judged; give the whole \
             rendered chart, or the Secrets vc-config-NAME, the NetworkPolicies and the pods of the \
             cluster",
            names(&report)
        ));
        return Ok(Exit::Usage);
    }
    print(&report, args).context("can't write standard output")?;
    Ok(if report.is_isolated() {
        Exit::Done
    } else {
        Exit::Rejected
    })
}

fn print(report: &Report, args: &Args) -> std::io::Result<()> {
    let text = match args.output {
        Format::Text => formats::text(report, args.all, width()),
        Format::Json => json(&formats::json(report)).map_err(std::io::Error::other)?,
        Format::Markdown => formats::markdown(report, args.all),
        Format::Html => formats::html(report),
        Format::Sarif => return shared(report, args).print(output::Format::Sarif),
        Format::Github => return shared(report, args).print(output::Format::Github),
        Format::Junit => return shared(report, args).print(output::Format::Junit),
    };
    pipe::answer(text.as_bytes())
}

/// The audit for the formats that all commands share.
fn shared(report: &Report, args: &Args) -> output::Report<'static> {
    let mut subjects = Vec::new();
    for stream in &report.streams {
        let about = formats::diagnostics::of_stream(stream);
        subjects.extend(about.map(|diagnostics| Subject {
            name: stream.name.clone(),
            file: stream.file.clone(),
            outcome: outcome(!diagnostics.has_errors()),
            diagnostics,
        }));
        subjects.extend(stream.clusters.iter().map(|cluster| Subject {
            name: cluster.title(),
            file: stream.file.clone(),
            outcome: outcome(cluster.verdict() == Verdict::Isolated),
            diagnostics: formats::diagnostics::of_cluster(cluster, stream, args.all),
        }));
    }
    output::Report {
        command: "audit",
        subjects,
        summary: formats::summary(report),
        sources: Vec::new(),
        codes: CODES.as_slice(),
    }
}

fn outcome(is_good: bool) -> Outcome {
    if is_good {
        Outcome::Passed
    } else {
        Outcome::Failed
    }
}

/// What the codes mean.
static CODES: LazyLock<Vec<Code>> = LazyLock::new(|| {
    let verdicts = Verdict::ALL.into_iter().map(formats::diagnostics::code);
    let all = verdicts.chain([formats::diagnostics::UNEVALUATED]);
    all.map(|(name, title, documentation)| Code {
        name,
        title,
        documentation,
    })
    .collect()
});

/// The inputs in words.
fn names(report: &Report) -> String {
    match report.streams.as_slice() {
        [stream] => escape::terminal(&stream.name).into_owned(),
        streams => format!("the {} inputs", streams.len()),
    }
}

fn options(args: &Args) -> anyhow::Result<AuditOptions> {
    let mut filter = args.policies.options(args.config.read()?)?;
    // The filter moves policies to the namespace that is given; here they are looked for where the
    // objects say.
    let namespace = filter.overrides.namespace.take();
    if namespace.is_some() && !args.cluster.live {
        filter.overrides.fallback_namespace = namespace;
    }
    Ok(AuditOptions {
        filter,
        strict: args.policies.strict,
        companions: args.policies.companions,
        detail: match args.output {
            Format::Json | Format::Html => Detail::Reach,
            _ if args.all => Detail::WorstTenants,
            _ => Detail::Verdicts,
        },
    })
}

/// Audits files, folders or standard input.
fn files(args: &Args) -> anyhow::Result<Report> {
    if args.cluster.kubectl.has_context() {
        return Err(super::usage_error(
            "error: --context has an effect with --live only",
        ));
    }
    let options = options(args)?;
    let inputs = input::read(&args.paths.paths, WANTED)?;
    let mut inputs: Vec<Input> = (inputs.into_iter())
        .map(|input| Input {
            name: input.name(),
            file: input.source.file(),
            is_named: input.source.is_named(),
            stream: input.bytes,
        })
        .collect();
    let is_one = args.together || (!args.separate && audit::are_parts_of_one_cluster(&inputs));
    if is_one && inputs.len() > 1 {
        inputs = vec![Input::joined(&inputs)];
    }
    let streams = parallel::map("auditing", &inputs, |input| audit::audit(input, &options));
    Ok(Report::of(streams))
}

/// Audits the cluster that kubectl sees.
fn live(args: &Args) -> anyhow::Result<Report> {
    let options = options(args)?;
    let namespace = args.policies.release.namespace.clone();
    let scope = namespace.map_or(Scope::All, Scope::Namespace);
    let deadline = Deadline::of(args.cluster.timeout);
    let input = Input {
        name: "the cluster".to_owned(),
        file: None,
        stream: snapshot(&args.cluster.kubectl, &scope, deadline)?,
        is_named: true,
    };
    let mut report = Report::of(vec![audit::audit(&input, &options)]);
    let plugin = args.cluster.kubectl.network_plugin(deadline);
    let (reason, remedy) = (plugin.what, plugin.help);
    match plugin.health {
        Health::Good => {}
        Health::Bad => report.note_enforcement(&Finding::NoEnforcement { reason, remedy }),
        Health::Unknown if args.cluster.assume_enforced => {}
        Health::Unknown => {
            let remedy = remedy.unwrap_or_default();
            let remedy = Some(format!(
                "{remedy}; if it is known that the cluster enforces policies, give --assume-enforced"
            ));
            let unknown = Unknown::Enforcement { reason, remedy };
            report.note_enforcement(&Finding::Unknown(unknown));
        }
    }
    Ok(report)
}

/// The objects of the cluster that an audit needs.
fn snapshot(kubectl: &Kubectl, scope: &Scope, deadline: Deadline) -> anyhow::Result<Vec<u8>> {
    let mut snapshot = Snapshot::default();
    let mut questions = Question::ALL.to_vec();
    while !questions.is_empty() {
        let question = questions.remove(0);
        let answer = kubectl.ask(&question.words(scope), deadline);
        let answer = answer.map_err(|failure| match failure {
            Failure::Late(seconds) => format!("kubectl did not answer in {seconds} s"),
            Failure::Message(message) => message,
        });
        let taken = answer.and_then(|answer| {
            if question == Question::Kinds {
                let kinds = live::other_kinds(&answer);
                if !kinds.is_empty() {
                    questions.push(Question::OtherPolicies(kinds));
                }
            }
            snapshot.take(&question, &answer)
        });
        let Err(problem) = taken else { continue };
        let message = format!(
            "{} of the cluster can't be read: {}",
            question.describe(),
            escape::terminal(&problem)
        );
        if question.is_needed() {
            bail!("{message}");
        }
        log(format!("warning: {message}"));
    }
    Ok(snapshot.stream())
}
