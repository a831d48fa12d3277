//! The command `lint`: what the API server, and a careful colleague, would say.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::Exit;
use super::show::{self, Format, Source};
use crate::codes;
use crate::lint::{self, Findings};
use crate::report::{Place, Problem, Report};
use crate::validate::CidrRule;

/// Says what is wrong with the network policies of a rendered chart, and changes nothing.
///
/// Every NetworkPolicy is held against the API server's rules. Exit code 0: nothing is wrong;
/// 1: something is, or there was nothing to check.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    /// Rendered manifests; standard input without any, or for -
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The Kubernetes version of the cluster, such as 1.36: from 1.36 on fewer CIDRs are accepted
    #[arg(long, value_name = "VERSION", env = "KUBE_VERSION", value_parser = kube_version)]
    kube_version: Option<CidrRule>,
    /// The namespace that the policies are sent to: one that names another is refused, as by
    /// kubectl --namespace
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Leave out the warnings of this code, such as VNP105
    #[arg(long, value_name = "CODE", value_parser = code)]
    allow: Vec<&'static str>,
    /// How to print what was found
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// Argo CD sets the variable empty where it knows no version.
pub(super) fn kube_version(text: &str) -> Result<CidrRule, String> {
    if text.is_empty() {
        return Ok(CidrRule::default());
    }
    text.parse()
}

pub(super) fn code(text: &str) -> Result<&'static str, String> {
    codes::find(text)
        .map(|code| code.name)
        .ok_or_else(|| format!("there is no warning {text}; docs/warnings.md lists them"))
}

/// A stream that was read.
struct Input {
    file: Option<String>,
    bytes: Vec<u8>,
}

/// Checks the files, or standard input.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let options = lint::Options {
        cidr: args.kube_version.unwrap_or_default(),
        namespace: args.namespace.clone(),
    };
    let inputs = read(&args.files)?;
    let checked: Vec<(&Input, Findings)> = inputs
        .iter()
        .map(|input| {
            let found = lint::policies(&input.bytes, input.file.as_deref(), &options);
            (input, found)
        })
        .collect();
    let mut report = Report::default();
    for (input, found) in &checked {
        report.extend(found.report.iter().cloned());
        if found.policies == 0 {
            report.push(nothing(input));
        }
    }
    report.allow(&args.allow);
    if args.strict {
        report.be_strict();
    }
    let sources: Vec<Source<'_>> = checked
        .iter()
        .map(|(input, found)| Source {
            file: input.file.as_deref(),
            text: &input.bytes,
            quotable: &found.quotable,
        })
        .collect();
    show::report(&report, &sources, args.output).context("can't write the findings")?;
    Ok(if report.has_errors() {
        Exit::Rejected
    } else {
        Exit::Done
    })
}

/// A check that checks nothing must not be green.
fn nothing(input: &Input) -> Problem {
    Problem::error("there is nothing to check: no NetworkPolicy was found")
        .help("give it the output of `helm template`, or the manifests themselves")
        .at(Place {
            file: input.file.clone(),
            ..Place::default()
        })
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin } else { files };
    files
        .iter()
        .map(|path| {
            if path.as_os_str() == "-" {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .lock()
                    .read_to_end(&mut bytes)
                    .context("can't read standard input")?;
                return Ok(Input { file: None, bytes });
            }
            let file = path.display().to_string();
            let bytes = std::fs::read(path).with_context(|| format!("can't read {file}"))?;
            Ok(Input {
                file: Some(file),
                bytes,
            })
        })
        .collect()
}
