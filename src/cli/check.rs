//! `vcluster-netpol check`: may A talk to B, and which rule says so?
//!
//! One question, a table of them, or a file of promises. Files and exit codes are dealt with here,
//! everything else in [`netpol`].

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{ArgGroup, Parser, ValueEnum};

use super::Exit;
use super::args;
use super::log;
use super::pipe;
use crate::explain::origins;
use crate::vcluster::actors::VOCABULARY;
use manifest::escape;
use netpol::assertions;
use netpol::model::cluster::ClusterModel;
use netpol::model::reader;
use netpol::probe;
use netpol::query::{EndpointSpec, QueryScope, parse_destination};
use netpol::verdict::Question;

/// What is read from standard input.
const STDIN: &str = "-";

/// Says whether a connection is allowed, and by which rule.
///
/// FROM and TO are workload, control-plane, dns, host-dns, snapshot, platform, internet, internet6,
/// an address or CIDR, namespace/pod out of the manifest, or labels (pod:app=web,ns:team=a). TO
/// takes a port behind a colon: dns:1053/UDP, 10.0.0.0/8:443, internet:8000-8999/TCP; without one
/// every port is asked about. workload, control-plane, dns and snapshot belong to the virtual
/// cluster that --release names; objects without a namespace are in that of --namespace.
///
/// Exit code: 0 allowed (or every expectation kept), 1 denied, 2 a question that can't be answered,
/// 3 a file that can't be read.
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

    /// A manifest with policies (and pods and namespaces); without it, standard input.
    #[arg(long, value_name = "FILE")]
    policies: Vec<PathBuf>,

    #[command(flatten)]
    release: args::Release,

    /// How to say it: text, json; csv for probes; junit for expectations.
    #[arg(long, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Csv,
    Junit,
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
            Err(error) => Err(error),
        },
    }
}

/// Answers, and says whether it is a yes.
fn answer(args: &Args) -> anyhow::Result<bool> {
    let scope = QueryScope {
        vocabulary: &VOCABULARY,
        subject: args.release.release.clone(),
        namespace: args.release.namespace.clone(),
    };
    let table = args.probes.as_deref().or(args.expect.as_deref());
    let manifest_on_stdin =
        args.policies.is_empty() || (args.policies.iter()).any(|path| path.as_os_str() == STDIN);
    if manifest_on_stdin && table.is_some_and(|path| path.as_os_str() == STDIN) {
        return Err(unusable(
            "standard input can't be the manifest and the questions at once; name a file with \
             --policies",
        ));
    }
    if let (Some(from), Some(to)) = (&args.from, &args.to) {
        // The words first: a mistake in them needs no manifest to be seen.
        let from =
            EndpointSpec::parse(from, &VOCABULARY).map_err(|e| unusable(format!("--from: {e}")))?;
        let (to, ports) =
            parse_destination(to, &VOCABULARY).map_err(|e| unusable(format!("--to: {e}")))?;
        let question = Question { from, to, ports };
        allowed_formats(args, &[Format::Text, Format::Json])?;
        let model = model(args)?;
        let answer = question.ask(&model, &scope).map_err(unusable)?;
        write(&match args.output {
            Some(Format::Json) => json(&answer.to_json()),
            _ => answer.in_words(),
        })?;
        return Ok(answer.allowed());
    }
    if let Some(path) = &args.probes {
        allowed_formats(args, &[Format::Csv, Format::Json])?;
        let wrong = |e| unusable(format!("{}: {e}", path.display()));
        let probes = probe::read(&read_text(path)?).map_err(wrong)?;
        let rows = probe::run(probes, &model(args)?, &scope).map_err(wrong)?;
        write(&match args.output {
            Some(Format::Json) => json(&rows),
            _ => probe::to_csv(&rows),
        })?;
        return Ok(true);
    }
    let Some(path) = &args.expect else {
        return Err(unusable("give --from and --to, --probes, or --expect"));
    };
    allowed_formats(args, &[Format::Text, Format::Json, Format::Junit])?;
    let expectations =
        assertions::read(&read_text(path)?, &path.display().to_string(), &VOCABULARY)
            .map_err(refused)?;
    let outcomes = assertions::run(&expectations, &model(args)?, &scope).map_err(refused)?;
    write(&match args.output {
        Some(Format::Json) => json(&outcomes),
        Some(Format::Junit) => assertions::to_junit(&outcomes),
        _ => assertions::to_table(&outcomes),
    })?;
    Ok(assertions::broken(&outcomes) == 0)
}

fn unusable(message: impl fmt::Display) -> anyhow::Error {
    Unusable(escape::terminal(&format!("error: {message}")).into_owned()).into()
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

fn model(args: &Args) -> anyhow::Result<ClusterModel> {
    let stdin = [PathBuf::from(STDIN)];
    let paths = if args.policies.is_empty() {
        &stdin
    } else {
        args.policies.as_slice()
    };
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let name = if path.as_os_str() == STDIN {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        files.push((name, read(path)?));
    }
    let namespace = args.release.namespace.as_deref().unwrap_or("default");
    let named = files.iter().map(|(name, text)| (name.as_str(), &text[..]));
    let mut model = reader::read_all(named, namespace).map_err(refused)?;
    for (_, text) in &files {
        origins::note(&mut model, text, namespace);
    }
    Ok(model)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = if path.as_os_str() == STDIN {
        pipe::read_stdin().map(|stream| stream.to_vec())
    } else {
        std::fs::read(path)
    };
    read.with_context(|| format!("{} can't be read", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| unusable(format!("{} is not UTF-8", path.display())))
}

fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    escape::json(&text)
}

/// Writes the answer. A reader that closes the pipe early still gets the exit code.
fn write(text: &str) -> anyhow::Result<()> {
    pipe::answer(text.as_bytes()).context("the answer can't be written")
}
