//! The command `lint`: what the API server, and a careful colleague, would say.

use std::fmt::Write as _;
use std::ops::Range;

use anyhow::Context as _;
use clap::Args as ClapArgs;

use super::Exit;
use super::args;
use super::charts;
use super::explain::SOME_RELEASE;
use super::fix;
use super::input::{self, Input};
use super::output::{self, Outcome, Output, Report, Subject};
use super::parallel;
use crate::audit::words::counted;
use crate::explain::view;
use crate::filter::{self, render};
use crate::lint;
use crate::rules::Audience;
use crate::values_files::chart::Chart;
use crate::values_files::clusters::{self, Cluster};
use crate::vcluster::edition::Edition;
use crate::vcluster::sources::ConfigFile;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location};

/// What the command expects.
const WANTED: &str = "the output of `helm template`, a FILE or a folder, or --config FILE";

/// What a config is tried on where there is no rendered chart.
const STAND_IN: &[u8] = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stand-in}\n";

/// Reports what is wrong with network policies and configs, and corrects configs with --fix.
///
/// It reports what the API server would reject, rules that are probably mistakes, and traffic that
/// the values need and the policies block. A FILE is a rendered chart, manifests, or a config:
/// values with policies.networkPolicy, also those of a chart that depends on vCluster, a
/// networkPolicy object, a Flux HelmRelease, an Argo CD Application or a VirtualClusterTemplate. In
/// folders, files without a policy or config are skipped.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    paths: input::Paths,
    #[command(flatten)]
    config: args::ConfigFiles,
    #[command(flatten)]
    policies: args::Policies,
    #[command(flatten)]
    output: Output,
    /// Write safe corrections, and rules that are exact, into the config files
    ///
    /// Comments, order and quoting do not change. What needs your decision stays a message.
    #[arg(long, requires = "paths", conflicts_with = "config")]
    fix: bool,
    /// Print what --fix would change as a patch, and write nothing
    ///
    /// Exit code 1 if there is something to change.
    #[arg(long, requires = "paths", conflicts_with_all = ["config", "output"])]
    diff: bool,
}

/// By what an input is judged.
struct Judge<'a> {
    args: &'a Args,
    configs: &'a [ConfigFile],
    /// The options for a rendered stream.
    for_streams: filter::Options,
    /// The options for a config alone, which needs a release and an edition.
    for_configs: filter::Options,
}

/// What was found in an input.
#[derive(Debug, Default)]
struct Findings {
    diagnostics: Diagnostics,
    policies: usize,
    configs: usize,
    /// The bytes that may be shown.
    quotable: Vec<Range<usize>>,
    /// The edition that was assumed for a config alone.
    assumed_edition: Option<Edition>,
}

impl Findings {
    fn outcome(&self) -> Outcome {
        if self.diagnostics.has_errors() {
            Outcome::Failed
        } else if self.policies + self.configs == 0 {
            Outcome::Skipped
        } else {
            Outcome::Passed
        }
    }
}

/// Checks the files, or standard input, or a config alone.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let configs = args.config.read()?;
    let judge = Judge::new(args, &configs)?;
    let is_config_alone = args.paths.paths.is_empty() && !configs.is_empty();
    let inputs = if is_config_alone {
        Vec::new()
    } else {
        input::read(&args.paths.paths, WANTED)?
    };
    let check = |input: &Input| judge.input(input).diagnostics;
    if args.diff {
        let (_, changes) = fix::fix(inputs, fix::Mode::Show, check)?;
        return Ok(if changes > 0 {
            Exit::Rejected
        } else {
            Exit::Done
        });
    }
    let inputs = if args.fix {
        fix::fix(inputs, fix::Mode::Write, check)?.0
    } else {
        inputs
    };
    let mut findings = parallel::map("checking", &inputs, |input| judge.input(input));
    if is_config_alone {
        findings.push(judge.config(&configs));
    }
    let report = report(&configs, &inputs, &findings);
    if let Some(edition) = findings.iter().find_map(|found| found.assumed_edition) {
        super::log(args::assumed_edition(edition));
    }
    report
        .print(args.output.output)
        .context("can't write the findings")?;
    Ok(if report.has_failed() {
        Exit::Rejected
    } else {
        Exit::Done
    })
}

impl<'a> Judge<'a> {
    fn new(args: &'a Args, configs: &'a [ConfigFile]) -> anyhow::Result<Self> {
        let mut for_streams = args.policies.options(configs.to_vec())?;
        for_streams.audience = Audience::Reviewer;
        // What is allowed and what is strict is decided once, for all that was found.
        for_streams.strict = false;
        for_streams.allow.clear();
        let mut for_configs = for_streams.clone();
        let release = &mut for_configs.overrides.release;
        release.get_or_insert_with(|| SOME_RELEASE.to_owned());
        for_configs.edition.get_or_insert_with(Edition::newest);
        Ok(Self {
            args,
            configs,
            for_streams,
            for_configs,
        })
    }

    /// What is wrong with an input, of whichever kind it is.
    fn input(&self, input: &Input) -> Findings {
        let mut found = match std::str::from_utf8(&input.bytes) {
            Ok(text) => self.text(input, text),
            Err(_) => self.stream(input),
        };
        if found.outcome() == Outcome::Skipped && input.source.is_named() {
            found.diagnostics.push(nothing(input.source.file()));
        }
        found.diagnostics = self.finish(found.diagnostics);
        found
    }

    /// What is wrong with a text: with the values in it, and with everything else.
    fn text(&self, input: &Input, text: &str) -> Findings {
        let file = input.source.file();
        let chart = || {
            input
                .source
                .path()
                .map_or(Chart::Unknown, charts::of_values_file)
        };
        let clusters = clusters::of_file(text, file.as_deref(), chart);
        let nothing_found = clusters.found.is_empty() && clusters.problems.is_empty();
        if nothing_found && input.source.is_named() && view::is_config(&input.bytes) {
            // It may be a config with a mistake in the names that show it to be one.
            let config = ConfigFile {
                name: input.name(),
                text: text.to_owned(),
            };
            let mut found = self.config(&[&[config], self.configs].concat());
            found.quotable.push(0..text.len());
            return found;
        }
        let mut found = if clusters.has_others || nothing_found {
            self.stream(input)
        } else {
            Findings::default()
        };
        found.quotable.extend(clusters.quotable);
        found.quotable.sort_by_key(|range| range.start);
        found.diagnostics.extend(clusters.problems);
        for cluster in &clusters.found {
            self.cluster(cluster, &mut found);
        }
        found
    }

    /// What is wrong with the values of a virtual cluster.
    fn cluster(&self, cluster: &Cluster, found: &mut Findings) {
        let mut options = self.for_configs.clone();
        options.overrides.files = [cluster.config_files().as_slice(), self.configs].concat();
        let edition = self.args.policies.edition.or(cluster.edition);
        if edition.is_some() {
            options.edition = edition;
        } else {
            found.assumed_edition = options.edition;
        }
        let problems = match render(STAND_IN, &options) {
            Ok(output) => output.warnings,
            Err(errors) => errors,
        };
        let in_file = |problem: Diagnostic| {
            let object = problem.place.object.as_ref();
            if self
                .configs
                .iter()
                .any(|config| Some(&config.name) == object)
            {
                in_place(problem, self.configs, None)
            } else {
                cluster.in_file(problem)
            }
        };
        found.diagnostics.extend(problems.into_iter().map(in_file));
        found.configs += 1;
    }

    /// What is wrong with a stream: its policies first, then its configs.
    fn stream(&self, input: &Input) -> Findings {
        let file = input.source.file();
        let options = lint::Options {
            cidr: self.for_streams.cidr,
            namespace: self.for_streams.overrides.namespace.clone(),
        };
        let found = lint::policies(&input.bytes, file.as_deref(), &options);
        let mut report = found.report;
        let (problems, configs) = match render(&input.bytes, &self.for_streams) {
            Ok(output) => (output.warnings, output.found.len()),
            Err(errors) => (errors, 1),
        };
        let in_place = |problem| in_place(problem, self.configs, file.as_deref());
        report.extend(problems.into_iter().map(in_place));
        Findings {
            diagnostics: report,
            policies: found.policies,
            configs,
            quotable: found.quotable,
            assumed_edition: None,
        }
    }

    /// What is wrong with a config for which there is no stream.
    fn config(&self, configs: &[ConfigFile]) -> Findings {
        let mut options = self.for_configs.clone();
        options.overrides.files = configs.to_vec();
        let problems = match render(STAND_IN, &options) {
            Ok(output) => output.warnings,
            Err(errors) => errors,
        };
        let mut report = Diagnostics::default();
        report.extend(problems.into_iter().map(|p| in_place(p, configs, None)));
        Findings {
            diagnostics: self.finish(report),
            configs: 1,
            assumed_edition: if self.args.policies.edition.is_none() {
                options.edition
            } else {
                None
            },
            ..Findings::default()
        }
    }

    fn finish(&self, diagnostics: Diagnostics) -> Diagnostics {
        diagnostics.finish(&self.args.policies.allow, self.args.policies.strict)
    }
}

/// A problem with the file that it is in: one of the configs, or the one that was read.
fn in_place(mut problem: Diagnostic, configs: &[ConfigFile], file: Option<&str>) -> Diagnostic {
    let place = &mut problem.place;
    match &place.object {
        Some(object) if configs.iter().any(|c| c.name == *object) => {
            place.file = place.object.take();
        }
        _ => place.file = file.map(str::to_owned),
    }
    problem
}

/// Puts together what was found.
fn report<'r>(
    configs: &'r [ConfigFile],
    inputs: &'r [Input],
    findings: &'r [Findings],
) -> Report<'r> {
    let mut subjects = Vec::new();
    for (at, found) in findings.iter().enumerate() {
        let (name, file) = match inputs.get(at) {
            Some(input) => (input.name(), input.source.file()),
            None => (names(configs), None),
        };
        subjects.push(Subject {
            name,
            file,
            outcome: found.outcome(),
            diagnostics: found.diagnostics.clone(),
        });
    }
    if subjects.iter().all(|s| s.outcome == Outcome::Skipped)
        && let Some(first) = subjects.first_mut()
    {
        // A check that checks nothing must not be green.
        first.outcome = Outcome::Failed;
        first.diagnostics.push(nothing(None));
    }
    let of_configs = configs.iter().map(|config| output::Source {
        file: Some(config.name.clone()),
        text: config.text.as_bytes(),
        quotable: std::iter::once(0..config.text.len()).collect(),
    });
    let of_inputs = inputs
        .iter()
        .zip(findings)
        .map(|(input, found)| output::Source {
            file: input.source.file(),
            text: &input.bytes,
            quotable: found.quotable.clone(),
        });
    let mut report = Report {
        command: "lint",
        subjects,
        summary: String::new(),
        sources: of_configs.chain(of_inputs).collect(),
        codes: &[],
    };
    report.summary = summary(&report, findings);
    report
}

fn names(configs: &[ConfigFile]) -> String {
    let names: Vec<&str> = configs.iter().map(|config| config.name.as_str()).collect();
    names.join(", ")
}

/// What was checked, and how it ended, in one line.
fn summary(report: &Report<'_>, findings: &[Findings]) -> String {
    let policies: usize = findings.iter().map(|found| found.policies).sum();
    let configs = findings.iter().map(|found| found.configs).sum();
    let policies = if policies == 1 {
        "1 network policy".to_owned()
    } else {
        format!("{policies} network policies")
    };
    let mut summary = format!(
        "checked {policies} and {} in {}",
        counted(configs, "config"),
        counted(findings.len(), "input")
    );
    let skipped = report.count(Outcome::Skipped);
    if findings.len() > 1 {
        let _ = write!(summary, "; {} rejected", report.count(Outcome::Failed));
    }
    if skipped > 0 {
        let _ = write!(summary, ", {skipped} without a policy or config");
    }
    let (errors, warnings) = report.problem_counts();
    let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
    let _ = write!(summary, ": {errors}, {warnings}");
    summary
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
