//! The words on the command line, and the edge of the program: arguments, files, exit codes.
//!
//! A bare call is the filter. Every other command has a file of its own beside this one.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Gives every vCluster in a rendered chart its two network policies.
#[derive(Debug, Parser)]
#[command(
    name = "vcluster-netpol",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {}

/// Runs the program and says how it ended: 0 done, 1 rejected, 2 usage, 3 input or output.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli.command {
        Some(command) => match command {},
        None => ExitCode::SUCCESS,
    }
}
