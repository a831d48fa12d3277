//! The command `lint`: what the API server, and a careful colleague, would say.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::Exit;
use super::args;
use super::diagnostics::{self, Format, Source};
use super::input;
use crate::filter::{self, render};
use crate::lint;
use crate::rules::Audience;
use crate::vcluster::sources::ConfigFile;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location};

/// What the command expects.
const WANTED: &str = "the output of `helm template`, a FILE or a folder, or --config FILE";

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
    #[command(flatten)]
    paths: input::Paths,
    #[command(flatten)]
    config: args::ConfigFiles,
    #[command(flatten)]
    policies: args::Policies,
    /// How to print what was found
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// A stream that was read.
#[derive(Debug)]
struct Input {
    file: Option<String>,
    /// Whether the caller named it: then there must be something to check.
    is_named: bool,
    bytes: Vec<u8>,
    /// Whether it was really read, and does not merely carry a config.
    real: bool,
    /// The bytes that may be shown.
    quotable: Vec<std::ops::Range<usize>>,
}

/// Checks the files, or standard input, or a config alone.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let configs = args.config.read()?;
    let mut inputs = if args.paths.paths.is_empty() && !configs.is_empty() {
        vec![Input {
            file: None,
            is_named: true,
            bytes: STAND_IN.to_vec(),
            real: false,
            quotable: Vec::new(),
        }]
    } else {
        read(&args.paths.paths)?
    };
    let mut report = Diagnostics::default();
    let mut checked = 0;
    for input in &mut inputs {
        let (found, count) = check(input, args, &configs)?;
        checked += count;
        if count == 0 && input.is_named {
            report.push(nothing(input.file.clone()));
        }
        report.extend(found);
    }
    if checked == 0 && report.is_empty() {
        report.push(nothing(None));
    }
    let allowed: Vec<&str> = args.policies.allow.iter().map(String::as_str).collect();
    report.allow(&allowed);
    if args.policies.strict {
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

/// What is wrong with one stream, its policies first, then its configs; and how many of both it has.
fn check(
    input: &mut Input,
    args: &Args,
    configs: &[ConfigFile],
) -> anyhow::Result<(Diagnostics, usize)> {
    let mut report = Diagnostics::default();
    let mut checked = 0;
    if input.real {
        let options = lint::Options {
            cidr: args.policies.kube_version.unwrap_or_default(),
            namespace: args.policies.release.namespace.clone(),
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
    let problems = match render(&input.bytes, &options(args, configs, input.real)?) {
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
    Ok((report, checked))
}

fn options(args: &Args, configs: &[ConfigFile], real: bool) -> anyhow::Result<filter::Options> {
    let mut options = args.policies.options(configs.to_vec())?;
    options.audience = Audience::Reviewer;
    // What is allowed and what is strict is decided once, for all that was found.
    options.strict = false;
    options.allow.clear();
    if !real {
        let release = &mut options.overrides.release;
        release.get_or_insert_with(|| SOME_RELEASE.to_owned());
    }
    Ok(options)
}

/// A check that checks nothing must not be green.
fn nothing(file: Option<String>) -> Diagnostic {
    Diagnostic::error("there is nothing to check: no NetworkPolicy and no config was found")
        .help("give it the output of `helm template`, the manifests themselves, or --config FILE")
        .at(Location {
            file,
            ..Location::default()
        })
}

fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let inputs = input::read(paths, WANTED)?;
    let real = |input: input::Input| Input {
        file: input.source.file(),
        is_named: input.source.is_named(),
        bytes: input.bytes,
        real: true,
        quotable: Vec::new(),
    };
    Ok(inputs.into_iter().map(real).collect())
}
