//! The command `explain`: what the policies of a stream do.
//!
//! Arguments, files and the width of the terminal; everything else is in
//! [`explain`](crate::explain).

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum};

use super::Exit;
use super::filter::{edition, namespace_in_environment, read_config, variable};
use super::log;
use super::pipe;
use crate::explain::{self, Explanation, view::View};
use crate::filter::Options;
use crate::vcluster::edition::Edition;
use crate::vcluster::sources::{ConfigFile, Overrides};
use manifest::escape;

/// The release that a config is explained for where no other is named.
pub(super) const SOME_RELEASE: &str = "vcluster";

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
    /// Explain what the filter makes of this config: values, a networkPolicy object, or a
    /// VirtualClusterTemplate; may be repeated, and is merged as Helm merges values
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    #[command(flatten)]
    setting: Setting,
    /// The form
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// What the policies are made for, where the stream does not say it.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Setting {
    /// The Helm release, where the stream does not say it
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// The namespace of the policies; the stream's, where it is not given
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The shape of the policies; the chart's, where it is not given
    #[arg(long, value_name = "EDITION", value_parser = edition)]
    edition: Option<Edition>,
    /// Make vc-kube-dns-NAME and vc-snapshot-NAME too, where they are missing
    #[arg(long)]
    companions: bool,
    /// The project that {{ .Values.loft.project }} stands for in the config's labels
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The label by which host namespaces name their project
    #[arg(long, value_name = "LABEL")]
    project_namespace_label: Option<String>,
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

impl Setting {
    /// The options of the filter that say the same.
    pub(super) fn options(&self, files: Vec<ConfigFile>) -> anyhow::Result<Options> {
        Ok(Options {
            overrides: Overrides {
                files,
                release: self.release.clone(),
                namespace: self.namespace.clone(),
                app_name: variable("ARGOCD_APP_NAME")?,
                fallback_namespace: namespace_in_environment()?,
            },
            edition: self.edition,
            companions: self.companions,
            project: self.project.clone(),
            project_namespace_label: self.project_namespace_label.clone(),
            ..Options::default()
        })
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let is_stdin = (args.file.as_deref()).is_none_or(|path| path.as_os_str() == "-");
    let (name, stream) = if !is_stdin && let Some(path) = &args.file {
        (path.display().to_string(), read(path)?)
    } else if io::stdin().is_terminal() {
        if args.config.is_empty() {
            log("error: there is nothing to explain: pipe a rendered chart in, or name a FILE");
            return Ok(Exit::Usage);
        }
        ("standard input".to_owned(), Vec::new())
    } else {
        let stream = read_optional(args)?;
        ("standard input".to_owned(), stream)
    };
    let files = (args.config.iter())
        .map(|path| {
            Ok(ConfigFile {
                name: path.display().to_string(),
                text: read_config(path)?,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut options = args.setting.options(files)?;
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

/// Standard input, which may be missing where there is a config to explain.
fn read_optional(args: &Args) -> anyhow::Result<Vec<u8>> {
    let read = if args.config.is_empty() {
        pipe::read_stdin().map(|stream| stream.to_vec())
    } else {
        let mut stream = Vec::new();
        io::stdin().lock().read_to_end(&mut stream).map(|_| stream)
    };
    read.context("can't read standard input")
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

pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(escape::json(&text))
}
