//! The words on the command line, and the edge of the program: arguments, files, exit codes.
//!
//! A bare call is the filter. Every other command has a file of its own beside this one.

mod argocd;
mod args;
mod audit;
mod charts;
mod check;
mod diff;
mod doctor;
mod exec;
mod explain;
mod file;
mod filter;
mod fix;
mod guard;
mod help;
mod input;
mod kubectl;
mod lint;
mod list;
mod manual;
mod migrate;
mod output;
mod parallel;
pub(crate) mod pipe;
mod run_report;
mod schema;
mod subprocess;
mod upgrade;

use std::fmt::{self, Display};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ColorChoice, FromArgMatches as _, Parser, Subcommand};

use crate::explain::view::View;
use crate::filter::Options;
use input::Input;
use manifest::escape;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// A config or policy was rejected, or the answer is no.
    Rejected,
    /// The call was wrong.
    Usage,
    /// Reading or writing failed.
    Io,
    /// A command that we ran failed with this code.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Rejected => 1,
            Exit::Usage => 2,
            Exit::Io => 3,
            Exit::Code(code) => code,
        })
    }
}

/// Adds to every vCluster of a rendered chart its two network policies.
///
/// Without a command it is a filter: it reads a rendered chart from standard input and prints it
/// with vc-work-NAME and vc-cp-NAME added or replaced. All other bytes stay unchanged.
#[derive(Debug, Parser)]
#[command(
    name = "vcluster-netpol",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    filter: filter::Args,
    /// When to use colors; auto also reads NO_COLOR and FORCE_COLOR from the environment
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Audit(audit::Args),
    Check(check::Args),
    Diff(diff::Args),
    Explain(explain::Args),
    Guard(guard::Args),
    Lint(lint::Args),
    List(list::Args),
    Migrate(migrate::Args),
    Schema(schema::Args),
    /// Runs a command that prints a rendered chart, and adds the policies to its output
    ///
    /// If the command fails, nothing is printed, and the exit code is that of the command. A shell
    /// pipe would ignore the failure.
    Exec(exec::Args),
    /// Renders an application inside Argo CD, as its config management plugin, and adds the policies
    Argocd(argocd::Args),
    Doctor(doctor::Args),
    Completions(manual::Completions),
    Man(manual::Man),
}

/// Runs the program and says how it ended: 0 done, 1 rejected, 2 usage, 3 input or output.
#[must_use]
pub fn run() -> ExitCode {
    // A bare call, as Helm makes it, needs no words explained: that is a third of its start.
    let options = ["KUBE_VERSION", filter::REQUIRE];
    let has_options = options.iter().any(|name| std::env::var_os(name).is_some());
    if std::env::args_os().len() <= 1 && !has_options {
        return end(filter::run(&filter::Args::default()));
    }
    let parsed = help::command().try_get_matches();
    let cli = match parsed.and_then(|words| Cli::from_arg_matches(&words)) {
        Ok(cli) => cli,
        Err(error) => return misused(&shown(error)),
    };
    output::color::choose(cli.color);
    end(match cli.command {
        Some(Command::Audit(args)) => audit::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Diff(args)) => diff::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Guard(args)) => guard::run(&args),
        Some(Command::Lint(args)) => lint::run(&args),
        Some(Command::List(args)) => list::run(&args),
        Some(Command::Migrate(args)) => migrate::run(&args),
        Some(Command::Schema(args)) => schema::run(&args),
        Some(Command::Exec(args)) => exec::run(&args),
        Some(Command::Argocd(args)) => argocd::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Completions(args)) => manual::completions(&args),
        Some(Command::Man(args)) => manual::man(&args),
        None => filter::run(&cli.filter),
    })
}

/// The exit code of a command, with a word on stderr where it could not do its work.
fn end(ended: anyhow::Result<Exit>) -> ExitCode {
    ended
        .unwrap_or_else(|error| {
            log(filter::in_one_line(&error));
            if error.is::<UsageError>() {
                Exit::Usage
            } else {
                Exit::Io
            }
        })
        .into()
}

/// A call that is wrong, or that gives nothing to judge.
#[derive(Debug)]
struct UsageError(String);

impl Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// An error for which a command ends with the exit code of a wrong call.
fn usage_error(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}

/// Says something on stderr. That nobody listens there is no reason to fail.
pub(crate) fn log(message: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}

/// Reads the model that `explain` and `list` are about, and prints its warnings. `None` after an
/// error, which is printed too.
fn view_of(inputs: &[Input], options: &Options) -> Option<View> {
    let names: Vec<String> = inputs.iter().map(Input::name).collect();
    let texts = inputs.iter().map(|input| input.bytes.as_slice());
    let texts: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(texts).collect();
    let view = View::read_all(&texts, options)
        .inspect_err(|report| log(report))
        .ok()?;
    if !view.warnings.is_empty() {
        log(&view.warnings);
    }
    Some(view)
}

/// Ends a call that is wrong, or that asks for help.
fn misused(error: &clap::Error) -> ExitCode {
    let filter = std::env::args_os()
        .nth(1)
        .is_none_or(|word| word.as_encoded_bytes().starts_with(b"-"));
    // Helm 4 names its plugin to it, gives it a stream, and shows nobody what it says on stderr.
    let by_helm4 = filter::is_called_by_helm4();
    if error.use_stderr() && filter && by_helm4 && !std::io::stdin().is_terminal() {
        let tip = one_word(error).unwrap_or_default();
        let message = format!("{}\n{tip}", error.render().to_string().trim_end());
        let ended = pipe::read_stdin().map_err(Into::into).and_then(|stream| {
            filter::refuse(
                &stream,
                message.trim_end(),
                Exit::Usage,
                filter::Reader::Helm,
            )
        });
        return ended.unwrap_or(Exit::Usage).into();
    }
    if let Err(error) = pipe::until_enough(error.print()) {
        log(format!("error: can't write: {error}"));
        return Exit::Io.into();
    }
    if let Some(tip) = one_word(error) {
        log(tip);
    }
    u8::try_from(error.exit_code()).map_or(Exit::Usage.into(), ExitCode::from)
}

/// What to write where an option and its value came as one word, as happens with Helm's
/// --post-renderer-args.
fn one_word(error: &clap::Error) -> Option<String> {
    let word = match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(word) if error.kind() == ErrorKind::UnknownArgument => word,
        _ => return None,
    };
    let (option, value) = word.split_once(' ')?;
    let value = value.trim();
    if !option.starts_with("--") || value.is_empty() {
        return None;
    }
    Some(format!(
        "the option and its value came as one word; write {option}={value}, or two words (with \
         Helm: --post-renderer-args={option}={value})"
    ))
}

/// The same error, with the words of the call that it quotes fit to be shown.
fn shown(mut error: clap::Error) -> clap::Error {
    let text = |text: &String| escape::terminal(text).into_owned();
    let quoted: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| {
            let value = match value {
                ContextValue::String(word) => ContextValue::String(text(word)),
                ContextValue::Strings(words) => {
                    ContextValue::Strings(words.iter().map(text).collect())
                }
                _ => return None,
            };
            Some((kind, value))
        })
        .collect();
    for (kind, value) in quoted {
        error.insert(kind, value);
    }
    error
}
