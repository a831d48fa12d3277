//! The command `diff`: what changes in reachability from one stream, or config, to another.
//!
//! Arguments and files; everything else is in [`explain`](crate::explain::diff).

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};

use super::Exit;
use super::args;
use super::explain::{SOME_RELEASE, json, width};
use super::input::{self, Input, Source};
use super::log;
use super::pipe;
use super::upgrade;
use crate::explain::diff::{self, Diff};
use crate::explain::view::{self, View};
use crate::vcluster::sources::ConfigFile;
use manifest::diagnostic::Diagnostics;
use manifest::escape;

/// Shows which connections are newly allowed, and which no longer are.
///
/// OLD and NEW are each a rendered chart, a folder of manifests, or a config (values, a networkPolicy
/// object, or a VirtualClusterTemplate). For each policy's pods and direction it lists the
/// connections that change. Another order or spelling of rules is no change. For manifests it also
/// lists what changes between workloads because one of them changed.
///
/// --from-chart and --to-chart show what an upgrade of the chart changes, for the files of --config.
/// Warnings that apply only to the new chart are printed too.
///
/// Exit code: 0 no change, 1 something changes, or a config is rejected (then standard output is
/// empty), 2 wrong usage, or nothing to compare, 3 a file can't be read.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    /// The state before: a file, a folder, or - for standard input
    #[arg(
        value_name = "OLD",
        required_unless_present = "from_chart",
        conflicts_with = "from_chart"
    )]
    old: Option<PathBuf>,
    /// The state after: a file, a folder, or - for standard input
    #[arg(
        value_name = "NEW",
        required_unless_present = "from_chart",
        conflicts_with = "from_chart"
    )]
    new: Option<PathBuf>,
    #[command(flatten)]
    upgrade: upgrade::Args,
    #[command(flatten)]
    policies: args::Policies,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Fitted to the terminal, or to COLUMNS
    Text,
    /// For a comment on a pull request
    Markdown,
    /// For programs
    Json,
}

/// A file, or all files of a folder.
struct Side {
    /// What the caller named.
    name: String,
    inputs: Vec<Input>,
    is_config: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(views) = args.upgrade.views(&args.policies)? {
        return match views {
            Ok((old, new)) => answer(args, &old, &new),
            Err(report) => {
                log(report);
                Ok(Exit::Rejected)
            }
        };
    }
    let (Some(old), Some(new)) = (&args.old, &args.new) else {
        log("error: give OLD and NEW, or --from-chart, --to-chart and --config");
        return Ok(Exit::Usage);
    };
    if input::is_stdin(old) && input::is_stdin(new) {
        log("error: only one of OLD and NEW can be standard input");
        return Ok(Exit::Usage);
    }
    let (old_input, new_input) = (side(old)?, side(new)?);
    if let Some(message) = different_kinds(&old_input, &new_input) {
        log(escape::terminal(&message));
        return Ok(Exit::Usage);
    }
    let views = (args.view(&old_input)?, args.view(&new_input)?);
    let (old, new) = match views {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => {
            for report in [old.err(), new.err()].into_iter().flatten() {
                log(report);
            }
            return Ok(Exit::Rejected);
        }
    };
    let inputs = [(&old_input, &old), (&new_input, &new)];
    for (input, view) in inputs {
        note(input, view);
    }
    if let Some(edition) = old.assumed_edition.or(new.assumed_edition) {
        log(args::assumed_edition(edition));
    }
    if inputs.iter().all(|(_, view)| has_nothing(view)) {
        log(
            "error: there is nothing to compare: neither OLD nor NEW has a NetworkPolicy or a config",
        );
        return Ok(Exit::Usage);
    }
    answer(args, &old, &new)
}

/// Writes what changes.
fn answer(args: &Args, old: &View, new: &View) -> anyhow::Result<Exit> {
    let diff = Diff::between_models(&old.model, &new.model);
    let text = match args.output {
        Format::Text => diff::text(&diff, width()),
        Format::Markdown => diff::markdown(&diff),
        Format::Json => json(&diff)?,
    };
    pipe::answer(text.as_bytes()).context("can't write standard output")?;
    Ok(if diff.is_empty() {
        Exit::Done
    } else {
        Exit::Rejected
    })
}

/// Why two inputs can't be compared, if one is a config and the other a rendered stream.
fn different_kinds(old: &Side, new: &Side) -> Option<String> {
    if old.is_config == new.is_config || old.is_empty() || new.is_empty() {
        return None;
    }
    let kind = |input: &Side| {
        if input.is_config {
            "a config"
        } else {
            "a rendered stream"
        }
    };
    Some(format!(
        "error: {} is {}, and {} is {}; give two of one kind",
        old.name,
        kind(old),
        new.name,
        kind(new)
    ))
}

/// Whether nothing in an input says which connections are allowed.
fn has_nothing(view: &View) -> bool {
    view.made.is_empty() && view.model.policies().is_empty()
}

/// Says what is wrong with an input that can be read, and that it says nothing.
fn note(input: &Side, view: &View) {
    for warnings in [view.model.warnings(), view.model.not_understood()] {
        if !warnings.is_empty() {
            log(warnings);
        }
    }
    if let Some(note) = view.cluster_policies() {
        log(note);
    }
    let name = escape::terminal(&input.name);
    if input.is_empty() {
        log(format!(
            "note: {name} is empty, so it is compared as if no policy restricted any pod"
        ));
    } else if has_nothing(view) {
        log(format!(
            "note: {name} has no NetworkPolicy, so it is compared as if no policy restricted any pod"
        ));
    }
}

impl Args {
    fn view(&self, side: &Side) -> anyhow::Result<Result<View, Diagnostics>> {
        let mut files = Vec::new();
        let mut texts: Vec<(&str, &[u8])> = Vec::new();
        let names: Vec<String> = side.inputs.iter().map(Input::name).collect();
        for (input, name) in side.inputs.iter().zip(&names) {
            if side.is_config {
                files.push(ConfigFile {
                    name: name.clone(),
                    text: String::from_utf8_lossy(&input.bytes).into_owned(),
                });
            } else {
                texts.push((name, &input.bytes));
            }
        }
        let mut options = self.policies.options(files)?;
        if side.is_config {
            (options.overrides.release).get_or_insert_with(|| SOME_RELEASE.to_owned());
        }
        Ok(View::read_all(&texts, &options))
    }
}

impl Side {
    fn is_empty(&self) -> bool {
        self.inputs.iter().all(Input::is_blank)
    }
}

/// Reads a file, or all manifests of a folder as one cluster. Policies of both sides belong together
/// by their namespaces, whatever the files are called.
fn side(path: &Path) -> anyhow::Result<Side> {
    let inputs = input::read(&[path.to_owned()], "a FILE")?;
    let is_config = |input: &Input| view::is_config(&input.bytes);
    let is_file = inputs
        .iter()
        .all(|input| input.source.is_named() || input.source == Source::Stdin);
    let (configs, streams): (Vec<Input>, Vec<Input>) = inputs
        .into_iter()
        .partition(|input| is_config(input) && !input.is_blank());
    let name = if input::is_stdin(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    if is_file && !configs.is_empty() {
        return Ok(Side {
            name,
            inputs: configs,
            is_config: true,
        });
    }
    // A config says nothing of a release or a namespace, so nothing could be its counterpart.
    for config in &configs {
        log(format!(
            "note: {} is a config and no manifest, so it is left out; compare configs file by file",
            escape::terminal(&config.name())
        ));
    }
    Ok(Side {
        name,
        inputs: streams,
        is_config: false,
    })
}
