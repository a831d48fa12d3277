//! The bare call: standard input to standard output.

use std::env::VarError;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Parser;

use super::Exit;
use super::log;
use super::pipe;
use super::run_report;
use crate::filter::helm;
use crate::filter::{Options, Requirement, render};
use crate::rules::Audience;
use crate::vcluster::edition::Edition;
use crate::vcluster::sources::{ConfigFile, Overrides};
use manifest::escape;
use netpol::validate::CidrRule;

/// The variable that is `--require` where arguments can't be given.
pub(super) const REQUIRE: &str = "VCLUSTER_NETPOL_REQUIRE";

/// The options of the filter.
#[derive(Debug, Clone, Default, Parser)]
pub(super) struct Args {
    /// Take the config from FILE: values, a networkPolicy object, or a VirtualClusterTemplate
    ///
    /// It applies to every virtual cluster of the stream, or to the one that --release names.
    /// Several files are merged left to right, as Helm merges values.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// The Helm release, where the stream does not say it
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// The namespace of the policies; the stream's, where it is not given
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The shape of the policies; the chart's, where it is not given
    #[arg(long, value_name = "EDITION", value_parser = edition)]
    edition: Option<Edition>,
    /// Fail unless every virtual cluster of the stream ends with its policies
    ///
    /// There must be one at least, unless the stream holds nothing but hooks. A config that says
    /// enabled: false is not enough; with --require=config it is. The variable takes 1, true, yes,
    /// on or config; 0, false, no, off and nothing mean that nothing is required.
    #[arg(
        long,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "policies",
        env = REQUIRE
    )]
    require: Option<Requirement>,
    /// Generate vc-kube-dns-NAME and vc-snapshot-NAME where the chart did not
    #[arg(long)]
    companions: bool,
    /// The project that {{ .Values.loft.project }} stands for in the config's labels
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The label by which host namespaces name their project [default:
    /// loft.sh/vcluster-instance-project]
    #[arg(long, value_name = "LABEL")]
    project_namespace_label: Option<String>,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    /// Do not give the warning CODE (VNP101 …); may be repeated
    #[arg(long, value_name = "CODE", value_parser = super::warning)]
    allow: Vec<String>,
    /// The version of the cluster: from 1.36 on it refuses unusual spellings of CIDRs
    #[arg(long, value_name = "VERSION", env = "KUBE_VERSION")]
    kube_version: Option<CidrRule>,
    #[command(flatten)]
    pub(super) run_report: run_report::Args,
}

pub(super) fn edition(text: &str) -> Result<Edition, String> {
    text.parse()
}

impl Args {
    /// The options with the files read and the environment looked at.
    pub(super) fn options(&self) -> anyhow::Result<Options> {
        let files = self
            .config
            .iter()
            .map(|path| {
                Ok(ConfigFile {
                    name: path.display().to_string(),
                    text: read_config(path)?,
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Options {
            overrides: Overrides {
                files,
                release: self.release.clone(),
                namespace: self.namespace.clone(),
                app_name: variable("ARGOCD_APP_NAME")?,
                fallback_namespace: namespace_in_environment()?,
            },
            edition: self.edition,
            require: self.require.unwrap_or_default(),
            companions: self.companions,
            project: self.project.clone(),
            project_namespace_label: self.project_namespace_label.clone(),
            strict: self.strict,
            allow: self.allow.clone(),
            cidr: self.kube_version.unwrap_or_default(),
            audience: Audience::Everyone,
        })
    }
}

/// A variable of the environment, if it is set to something. One that can't be read is no variable
/// that is not set: the policies could go to another namespace.
pub(super) fn variable(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            bail!("the environment variable {name} is not UTF-8; correct it or unset it")
        }
    }
}

/// The namespace of the release, where nothing else says it.
pub(super) fn namespace_in_environment() -> anyhow::Result<Option<String>> {
    match variable("ARGOCD_APP_NAMESPACE")? {
        Some(namespace) => Ok(Some(namespace)),
        None => variable("HELM_NAMESPACE"),
    }
}

/// Reads a config file, but not much more of it than a config may have.
pub(super) fn read_config(path: &PathBuf) -> anyhow::Result<String> {
    let limit = crate::vcluster::config::document::MAX_BYTES as u64 + 1;
    let file = std::fs::File::open(path)
        .with_context(|| format!("can't read the config {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .with_context(|| format!("can't read the config {}", path.display()))?;
    if bytes.len() as u64 == limit {
        // Too large, which is said where the text is read; the cut may go through a character.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).with_context(|| format!("the config {} is not UTF-8", path.display()))
}

/// Who reads what the filter writes, and so where an error can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A Helm, whose post-renderer we are.
    Helm,
    /// Somebody who sees stderr and the exit code.
    Caller,
}

/// Filters standard input to standard output.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    pipe::check_both()?;
    if std::io::stdin().is_terminal() {
        log("reads a rendered chart from the terminal, up to Ctrl-D; see vcluster-netpol --help");
    }
    // The stream comes first: only it says where an error has to go.
    let stream = pipe::read_stdin().context("can't read standard input")?;
    match args.options() {
        Ok(options) => write(&stream, &options, &args.run_report, Reader::Helm),
        Err(error) => refuse(&stream, &in_one_line(&error), Exit::Io, Reader::Helm),
    }
}

/// Writes a stream with its policies to standard output, and reports it.
pub(super) fn write(
    stream: &[u8],
    options: &Options,
    run_report: &run_report::Args,
    reader: Reader,
) -> anyhow::Result<Exit> {
    match render(stream, options) {
        Ok(output) => {
            // Before the stream: what can't be told must not be done.
            if let Err(error) = run_report.report(&Ok(&output)) {
                return refuse(stream, &in_one_line(&error), Exit::Io, reader);
            }
            run_report.log(&output);
            if let Err(error) = pipe::write_stdout(&output.pieces) {
                // A reader that stopped early has half a chart, which must not look like a whole one.
                log(format!("error: can't write standard output: {error}"));
                return Ok(Exit::Io);
            }
            Ok(Exit::Done)
        }
        Err(errors) => {
            let reported = run_report.report(&Err(&errors));
            let exit = refuse(stream, &errors.to_string(), Exit::Rejected, reader)?;
            reported.map(|()| exit)
        }
    }
}

/// An error that may name files and quote what others said.
pub(super) fn in_one_line(error: &anyhow::Error) -> String {
    escape::terminal(&format!("error: {error:#}")).into_owned()
}

/// Tells the user why nothing is written, where the user can see it: on stderr, and to Helm 4 on
/// standard output.
pub(super) fn refuse(
    stream: &[u8],
    message: &str,
    exit: Exit,
    reader: Reader,
) -> anyhow::Result<Exit> {
    log(message);
    if reader == Reader::Caller || !helm::is_helm4(stream) || !is_called_by_helm4() {
        return Ok(exit);
    }
    let scalar = helm::block_scalar(message);
    pipe::write_stdout(&[scalar.as_bytes()]).context("can't write standard output")?;
    Ok(Exit::Done)
}

/// Whether the environment of the process is that of a post-renderer of Helm 4.
pub(super) fn is_called_by_helm4() -> bool {
    let plugin = std::env::var_os("HELM_PLUGIN_NAME");
    let folder = std::env::var_os("HELM_PLUGIN_DIR").map(PathBuf::from);
    let manifest = folder.and_then(|folder| std::fs::read(folder.join("plugin.yaml")).ok());
    let manifest = manifest.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    helm::is_called_by_helm4(
        plugin.as_ref().and_then(|name| name.to_str()),
        manifest.as_deref(),
    )
}
