//! `doctor`: asks the programs on PATH and the cluster, and says what [`crate::doctor`] thinks of it.

use std::process::Command;

use anyhow::Context as _;
use clap::Parser;

use super::Exit;
use super::kubectl::Kubectl;
use super::pipe;
use super::subprocess::{Deadline, ask};
use crate::doctor::{self, Failure, Finding, Health};

const NAME: &str = "vcluster-netpol";

/// Checks the installation, and whether the cluster enforces network policies
///
/// Without a network plugin that enforces them, policies have no effect, and Kubernetes does not
/// report it. Each result is good, bad or unknown. Unknown is not a failure.
#[derive(Debug, Clone, Parser)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    kubectl: Kubectl,
    /// Check only the installation, and no cluster
    #[arg(long)]
    no_cluster: bool,
    /// How long to wait for the cluster, for all its answers together
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

/// Looks at everything, and says what it found.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let (program, on_path) = program();
    let mut findings = vec![program];
    findings.extend(helm(on_path));
    if !args.no_cluster {
        findings.push(args.kubectl.network_plugin(Deadline::of(args.timeout)));
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    pipe::answer((lines.join("\n") + "\n").as_bytes()).context("can't write standard output")?;
    let bad = findings.iter().any(|f| f.health == Health::Bad);
    Ok(if bad { Exit::Rejected } else { Exit::Done })
}

/// How long a program of this machine may take to say its version or its plugins.
const LOCAL: u64 = 60;

/// What a program of this machine prints, or why there is no answer.
fn ask_here(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    ask(command, Deadline::of(LOCAL)).map_err(|failure| match failure {
        Failure::Message(why) => why,
        Failure::Late(seconds) => format!("{name} did not end in {seconds} s"),
    })
}

/// The program that PATH names, and whether there is one.
fn program() -> (Finding, bool) {
    let ours = env!("CARGO_PKG_VERSION");
    match ask_here(Command::new(NAME).arg("--version")) {
        Ok(reply) if reply.trim() == format!("{NAME} {ours}") => {
            let what = format!("{NAME} {ours} is on PATH");
            (Finding::new(Health::Good, what), true)
        }
        Ok(reply) => {
            let what = format!(
                "the program on PATH is {}, and this is {ours}",
                reply.trim()
            );
            let help = "remove the one that is too old";
            (Finding::new(Health::Bad, what).help(help), true)
        }
        Err(_) => {
            let what = format!("{NAME} is not on PATH, which Helm 4 does not need");
            (Finding::new(Health::Unknown, what), false)
        }
    }
}

/// The Helm that runs us as its command, or else the one that PATH names.
fn helm(on_path: bool) -> Vec<Finding> {
    let program = std::env::var_os("HELM_BIN").unwrap_or_else(|| "helm".into());
    let version = ask_here(Command::new(&program).args(["version", "--template", "{{.Version}}"]));
    let plugins = ask_here(Command::new(&program).args(["plugin", "list"]));
    let version = match &version {
        Ok(version) => version.trim(),
        Err(why) => {
            let what = format!("nothing is known of Helm: {why}");
            return vec![Finding::new(Health::Unknown, what)];
        }
    };
    match plugins {
        Ok(rows) => doctor::helm(version, &rows, env!("CARGO_PKG_VERSION"), on_path),
        Err(why) => vec![doctor::no_plugins(version, &why)],
    }
}
