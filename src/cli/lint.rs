//! The command `lint`: what the API server, and a careful colleague, would say.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::Exit;
use super::diagnostics::{self, Format, Source};
use super::filter::{edition, read_config};
use super::pipe;
use crate::filter::{self, render};
use crate::lint;
use crate::rules::Audience;
use crate::vcluster::edition::Edition;
use crate::vcluster::sources::{ConfigFile, Overrides};
use manifest::diagnostic::{Diagnostic, Diagnostics, Location};
use manifest::documents;
use netpol::validate::CidrRule;

/// What a config is tried on where there is no rendered chart.
const STAND_IN: &[u8] = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stand-in}\n";

/// The release that a config is tried for where no other is named.
const SOME_RELEASE: &str = "vcluster";

/// Says what is wrong with the network policies of a rendered chart, and changes nothing.
///
/// Every NetworkPolicy is held against the API server's rules, and every network-policy config
/// against those and against good advice. Exit code 0: nothing is wrong; 1: something is, or there
/// was nothing to check.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    /// Rendered manifests; standard input without any, or for -
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Check this config: values, a networkPolicy object, or a VirtualClusterTemplate
    ///
    /// With manifests it is checked together with them, else alone. Several are merged left to
    /// right, as Helm merges values.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// The Helm release, where the manifests do not say it
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// The shape of the policies; the chart's, where it is not given
    #[arg(long, value_name = "EDITION", value_parser = edition)]
    edition: Option<Edition>,
    /// The project that {{ .Values.loft.project }} stands for in the config's labels
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The Kubernetes version of the cluster, such as 1.36: from 1.36 on fewer CIDRs are accepted
    #[arg(long, value_name = "VERSION", env = "KUBE_VERSION")]
    kube_version: Option<CidrRule>,
    /// The namespace that the policies are sent to: one that names another is refused, as by
    /// kubectl --namespace
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Leave out the warnings of this code, such as VNP105; may be repeated
    #[arg(long, value_name = "CODE", value_parser = super::warning)]
    allow: Vec<String>,
    /// How to print what was found
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// A stream that was read.
#[derive(Debug)]
struct Input {
    file: Option<String>,
    bytes: Vec<u8>,
    /// Whether it was really read, and does not merely carry a config.
    real: bool,
    /// The bytes that may be shown.
    quotable: Vec<std::ops::Range<usize>>,
}

/// Checks the files, or standard input, or a config alone.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let configs = read_configs(&args.config)?;
    let mut inputs = if args.files.is_empty() && !configs.is_empty() {
        vec![Input {
            file: None,
            bytes: STAND_IN.to_vec(),
            real: false,
            quotable: Vec::new(),
        }]
    } else {
        read(&args.files)?
    };
    let mut report = Diagnostics::default();
    for input in &mut inputs {
        report.extend(check(input, args, &configs));
    }
    let allowed: Vec<&str> = args.allow.iter().map(String::as_str).collect();
    report.allow(&allowed);
    if args.strict {
        report.be_strict();
    }
    let whole: Vec<_> = configs.iter().map(|c| 0..c.text.len()).collect();
    let of_configs = configs.iter().zip(&whole).map(|(config, whole)| Source {
        file: Some(&config.name),
        text: config.text.as_bytes(),
        quotable: std::slice::from_ref(whole),
    });
    let of_inputs = inputs.iter().filter(|i| i.real).map(|input| Source {
        file: input.file.as_deref(),
        text: &input.bytes,
        quotable: &input.quotable,
    });
    let sources: Vec<Source<'_>> = of_configs.chain(of_inputs).collect();
    diagnostics::report(&report, &sources, args.output).context("can't write the findings")?;
    Ok(if report.has_errors() {
        Exit::Rejected
    } else {
        Exit::Done
    })
}

/// What is wrong with one stream: its policies first, then its configs.
fn check(input: &mut Input, args: &Args, configs: &[ConfigFile]) -> Diagnostics {
    let mut report = Diagnostics::default();
    let mut checked = 0;
    if input.real {
        let options = lint::Options {
            cidr: args.kube_version.unwrap_or_default(),
            namespace: args.namespace.clone(),
        };
        let found = lint::policies(&input.bytes, input.file.as_deref(), &options);
        report.extend(found.report);
        input.quotable = found.quotable;
        checked += found.policies;
    }
    let in_place = |mut problem: Diagnostic| {
        let place = &mut problem.place;
        match &place.object {
            Some(object) if configs.iter().any(|c| c.name == *object) => {
                place.file = place.object.take();
            }
            _ => place.file.clone_from(&input.file),
        }
        problem
    };
    let problems = match render(&input.bytes, &options(args, configs, input.real)) {
        Ok(output) => {
            checked += output.found.len();
            output.warnings
        }
        Err(errors) => {
            checked += 1;
            errors
        }
    };
    report.extend(problems.into_iter().map(in_place));
    if checked == 0 {
        report.push(nothing(input));
    }
    report
}

fn options(args: &Args, configs: &[ConfigFile], real: bool) -> filter::Options {
    let release = args.release.clone();
    filter::Options {
        overrides: Overrides {
            files: configs.to_vec(),
            release: if real {
                release
            } else {
                release.or_else(|| Some(SOME_RELEASE.to_owned()))
            },
            ..Overrides::default()
        },
        edition: args.edition,
        project: args.project.clone(),
        cidr: args.kube_version.unwrap_or_default(),
        audience: Audience::Reviewer,
        ..filter::Options::default()
    }
}

/// A check that checks nothing must not be green.
fn nothing(input: &Input) -> Diagnostic {
    Diagnostic::error("there is nothing to check: no NetworkPolicy and no config was found")
        .help("give it the output of `helm template`, the manifests themselves, or --config FILE")
        .at(Location {
            file: input.file.clone(),
            ..Location::default()
        })
}

fn read_configs(paths: &[PathBuf]) -> anyhow::Result<Vec<ConfigFile>> {
    paths
        .iter()
        .map(|path| {
            Ok(ConfigFile {
                name: path.display().to_string(),
                text: read_config(path)?,
            })
        })
        .collect()
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let stdin = [PathBuf::from("-")];
    let files = if files.is_empty() { &stdin } else { files };
    files
        .iter()
        .map(|path| {
            let (file, bytes) = if path.as_os_str() == "-" {
                let stream = pipe::read_stdin().context("can't read standard input")?;
                (None, stream.to_vec())
            } else {
                let file = path.display().to_string();
                let bytes = std::fs::read(path).with_context(|| format!("can't read {file}"))?;
                (Some(file), bytes)
            };
            // The server and kubectl read UTF-16 too.
            let bytes = documents::from_utf16(&bytes).map_or(bytes, String::into_bytes);
            Ok(Input {
                file,
                bytes,
                real: true,
                quotable: Vec::new(),
            })
        })
        .collect()
}
