//! The bare call: standard input to standard output.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, ValueHint};

use super::Exit;
use super::args;
use super::input;
use super::log;
use super::pipe;
use super::run_report;
use crate::filter::helm;
use crate::filter::{Options, Requirement, render};
use manifest::escape;

/// What the filter expects on standard input.
const WANTED: &str = "it a rendered chart, as in `helm template NAME CHART | vcluster-netpol`; see \
                      vcluster-netpol --help";

/// The variable that is `--require` where arguments can't be given.
pub(super) const REQUIRE: &str = "VCLUSTER_NETPOL_REQUIRE";

/// The options of the filter.
#[derive(Debug, Clone, Default, Parser)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) config: args::ConfigFiles,
    #[command(flatten)]
    pub(super) policies: args::Policies,
    /// Fail unless every virtual cluster of the input ends with its policies
    ///
    /// The input must contain at least one virtual cluster, or only hooks. A config that says
    /// enabled: false is an error; --require=config accepts it. Values of the variable: 1, true,
    /// yes, on, or config; 0, false, no, off or empty to require nothing.
    #[arg(
        long,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "policies",
        env = REQUIRE,
        value_hint = ValueHint::Other
    )]
    require: Option<Requirement>,
    #[command(flatten)]
    pub(super) run_report: run_report::Args,
}

impl Args {
    /// The options with the files read and the environment looked at.
    pub(super) fn options(&self) -> anyhow::Result<Options> {
        let options = self.policies.options(self.config.read()?)?;
        Ok(Options {
            require: self.require.unwrap_or_default(),
            without_notes: !self.run_report.wants_notes(),
            ..options
        })
    }
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
    input::refuse_terminal(WANTED)?;
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
            let exit = refuse(
                stream,
                &run_report.rejection(&errors),
                Exit::Rejected,
                reader,
            )?;
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
