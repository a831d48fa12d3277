//! `exec -- CMD…`: runs a command and filters what it printed.
//!
//! A pipe loses the exit code of its left side: `helm template … | vcluster-netpol` goes on with
//! half a chart, or with none, when Helm fails. Here nothing is written before the command has
//! ended well. It knows no Helm: any command that prints manifests will do.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context as _;
use clap::Parser;

use super::Exit;
use super::filter;
use super::log;
use manifest::escape;

/// The options of `exec`.
#[derive(Debug, Clone, Parser)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    filter: filter::Args,
    /// The command that prints the manifests, and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command, and filters its output if it ends well.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let options = args.filter.options()?;
    let Some((program, words)) = args.command.split_first() else {
        return Ok(Exit::Usage);
    };
    let mut command = Command::new(program);
    command.args(words);
    match output(&mut command)? {
        Ok(stream) => filter::write(
            &stream,
            &options,
            &args.filter.run_report,
            filter::Reader::Caller,
        ),
        Err(exit) => Ok(exit),
    }
}

/// All that a command prints, or the exit code that its failure calls for, which the user has then
/// been told. Its stdin and stderr are ours.
pub(super) fn output(command: &mut Command) -> anyhow::Result<Result<Vec<u8>, Exit>> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped());
    let child = command
        .spawn()
        .map_err(|error| anyhow::anyhow!(why_not(&error, &name)))?;
    let output = child
        .wait_with_output()
        .with_context(|| format!("can't read what {name} prints"))?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let (how, exit) = ending(output.status);
    let message = format!("error: {name} {how}, so nothing is written");
    log(escape::terminal(&message));
    Ok(Err(exit))
}

fn why_not(error: &io::Error, name: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "can't run {name}: there is no such program; install it, or name it with its whole path"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("can't run {name}: it is no program that this user may run; see `ls -l` for it")
        }
        _ => format!("can't run {name}: {error}"),
    }
}

/// How a command ended that did not end well, and what our own exit code then is: its own, and
/// 128 and the signal's number where a signal ended it, as in a shell.
fn ending(status: ExitStatus) -> (String, Exit) {
    if let Some(code) = status.code() {
        // A code beyond a byte occurs on Windows alone.
        let code = u8::try_from(code).unwrap_or(u8::MAX);
        return (format!("failed with exit code {code}"), Exit::Code(code));
    }
    match signal(status) {
        Some(number) => {
            let code = u8::try_from(number).map_or(u8::MAX, |n| n.saturating_add(128));
            (format!("was ended by signal {number}"), Exit::Code(code))
        }
        None => ("failed".to_owned(), Exit::Io),
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}
