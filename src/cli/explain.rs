//! The command `explain`: what the policies of a stream do.
//!
//! Arguments, files and the width of the terminal; everything else is in
//! [`explain`](crate::explain).

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};

use super::Exit;
use super::args;
use super::input::{self, Input, Source};
use super::log;
use super::pipe;
use super::usage_error;
use crate::explain::{self, Explanation, view::View};
use manifest::escape;

/// The release that a config is explained for where no other is named.
pub(super) const SOME_RELEASE: &str = "vcluster";

/// What the command expects.
const WANTED: &str = "a rendered chart, as in `helm template NAME CHART | vcluster-netpol explain`, \
                      a FILE, or --config FILE";

/// The width of text where there is no terminal to fit it to.
const WIDTH: usize = 100;

/// Says what the network policies of a rendered chart do: who, on which ports, why, and because of
/// which value or default.
///
/// Policies that stand in the stream are explained as they stand; those that its config asks for
/// and that are missing, as the filter would make them. With --config and no stream it explains
/// what would be made of that config alone. It ends with what is open and perhaps not expected.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    /// The rendered manifests; standard input without it, or for -
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    config: args::ConfigFiles,
    #[command(flatten)]
    policies: args::Policies,
    /// The form
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Fitted to the terminal, or to COLUMNS
    Text,
    /// Tables for a document
    Markdown,
    /// A flowchart, as Markdown renderers draw it
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
    let input = match &args.file {
        None if io::stdin().is_terminal() && !files.is_empty() => None,
        file => Some(read(file.as_deref(), files.is_empty())?),
    };
    let name = input
        .as_ref()
        .map_or_else(|| "standard input".to_owned(), Input::name);
    if files.is_empty() && input.as_ref().is_some_and(Input::is_blank) {
        return Err(usage_error(format!(
            "there is nothing to explain: {name} is empty; give {WANTED}"
        )));
    }
    let stream = input.map(|input| input.bytes).unwrap_or_default();
    let mut options = args.policies.options(files)?;
    if !options.overrides.files.is_empty() && stream.trim_ascii().is_empty() {
        (options.overrides.release).get_or_insert_with(|| SOME_RELEASE.to_owned());
    }
    let view = match View::read(&stream, &name, &options) {
        Ok(view) => view,
        Err(report) => {
            log(&report);
            return Ok(Exit::Rejected);
        }
    };
    if !view.warnings.is_empty() {
        log(&view.warnings);
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

/// Reads the stream. Standard input may be closed where there is a config to explain.
fn read(file: Option<&Path>, is_needed: bool) -> anyhow::Result<Input> {
    let is_stdin = file.is_none_or(input::is_stdin);
    if is_needed || !is_stdin {
        return input::read_one(file, WANTED);
    }
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .context("can't read standard input")?;
    Ok(Input::of(Source::Stdin, bytes))
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
