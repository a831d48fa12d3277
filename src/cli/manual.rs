//! `completions` and `man`: what the definitions of the command line say, for shells and for `man`.

use anyhow::Context as _;
use clap::Parser;
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::Exit;
use super::help;
use super::log;
use super::pipe;

/// Prints shell completions
///
/// For bash: vcluster-netpol completions bash >/etc/bash_completion.d/vcluster-netpol
#[derive(Debug, Clone, Parser)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// Prints the manual page, of the program or of one of its commands
///
/// To read it: vcluster-netpol man | man -l -
#[derive(Debug, Clone, Parser)]
pub(super) struct Man {
    /// The command
    command: Option<String>,
}

/// Prints the completions.
pub(super) fn completions(args: &Completions) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    let mut command = help::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut text);
    print(&text)
}

/// Prints a manual page.
pub(super) fn man(args: &Man) -> anyhow::Result<Exit> {
    let mut program = help::command();
    program.build();
    let command = match &args.command {
        None => Some(&program),
        Some(name) => program.find_subcommand(name),
    };
    let Some(command) = command else {
        log("error: there is no such command; see vcluster-netpol --help");
        return Ok(Exit::Usage);
    };
    let mut text = Vec::new();
    Page::new(command.clone())
        .render(&mut text)
        .context("can't make the manual page")?;
    print(&text)
}

fn print(text: &[u8]) -> anyhow::Result<Exit> {
    pipe::print(text).context("can't write standard output")?;
    Ok(Exit::Done)
}
