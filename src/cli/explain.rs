//! The command `explain`: what the policies of a stream do.
//!
//! Arguments, files and the width of the terminal; everything else is in
//! [`explain`](crate::explain).

use std::io::{self, IsTerminal as _, Read as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};

use super::Exit;
use super::args;
use super::input::{self, Input, Source};
use super::log;
use super::pipe;
use super::usage_error;
use crate::explain::{self, Explanation};
use manifest::escape;

/// The release that a config is explained for where no other is named.
pub(super) const SOME_RELEASE: &str = "vcluster";

/// What the command expects.
const WANTED: &str = "a rendered chart, as in `helm template NAME CHART | vcluster-netpol explain`, \
                      a FILE, or --config FILE";

/// The width of text where there is no terminal to fit it to.
const WIDTH: usize = 100;

/// Shows who can connect to whom, on which ports, why, and because of which value or default.
///
/// Policies in the input are explained unchanged. Policies that the config enables and that are
/// missing are explained as the filter would generate them, and marked NOT IN THIS STREAM. With
/// --config and no input, it explains the policies of that config. Several files, or a folder, are
/// read as one input. At the end it lists what is open and perhaps not expected, and the most that
/// a tenant can reach.
///
/// Exit code: 0 explained, 1 a config is rejected (then standard output is empty), 2 wrong usage,
/// 3 a file can't be read.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    inputs: input::Paths,
    #[command(flatten)]
    config: args::ConfigFiles,
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
    /// Tables for a document
    Markdown,
    /// A flowchart for Markdown renderers; several of them in a Markdown document, if there are
    /// several virtual clusters or one flowchart is too large for Mermaid
    Mermaid,
    /// A graph for Graphviz
    Dot,
    /// A picture
    Svg,
    /// For programs
    Json,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let files = args.config.read()?;
    let inputs = read(&args.inputs.paths, files.is_empty())?;
    let is_blank = inputs.iter().all(Input::is_blank);
    if files.is_empty() && is_blank {
        let names: Vec<String> = inputs.iter().map(Input::name).collect();
        return Err(usage_error(format!(
            "there is nothing to explain: {} is empty; give {WANTED}",
            names.join(", ")
        )));
    }
    let mut options = args.policies.options(files)?;
    if !options.overrides.files.is_empty() && is_blank {
        (options.overrides.release).get_or_insert_with(|| SOME_RELEASE.to_owned());
    }
    let Some(view) = super::view_of(&inputs, &options) else {
        return Ok(Exit::Rejected);
    };
    if let Some(note) = view.cluster_policies() {
        log(note);
    }
    let explanation = Explanation::of(&view);
    let text = match args.output {
        Format::Text => explain::text(&explanation, width()),
        Format::Markdown => explain::markdown(&explanation),
        Format::Mermaid => explain::mermaid(&explanation),
        Format::Dot => explain::dot(&explanation),
        Format::Svg => explain::svg(&explanation),
        Format::Json => json(&explanation)?,
    };
    pipe::print(text.as_bytes()).context("can't write standard output")?;
    Ok(Exit::Done)
}

/// Reads the files. Standard input may be closed or a terminal where there is a config to explain.
fn read(paths: &[PathBuf], is_needed: bool) -> anyhow::Result<Vec<Input>> {
    if is_needed || !paths.is_empty() {
        return input::read(paths, WANTED);
    }
    if io::stdin().is_terminal() {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .context("can't read standard input")?;
    Ok(vec![Input::of(Source::Stdin, bytes)])
}

/// The width of the terminal: COLUMNS, else as the terminal says.
pub(super) fn width() -> usize {
    let told = std::env::var("COLUMNS").ok();
    let told = told.and_then(|columns| columns.trim().parse().ok());
    let columns = told.or_else(|| {
        let (width, _) = terminal_size::terminal_size()?;
        Some(usize::from(width.0))
    });
    columns.filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(escape::json(&text))
}
