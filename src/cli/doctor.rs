//! `doctor`: asks the programs on PATH and the cluster, and says what [`crate::doctor`] thinks of it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use clap::Parser;
use serde_json::Value;

use super::{Exit, pipe};
use crate::doctor::{self, Finding, Health};

const NAME: &str = "vcluster-netpol";

/// Says whether Helm sees the plugin, and whether the cluster enforces network policies
///
/// Without a network plugin that enforces them, policies have no effect, and nothing else says so.
/// Exit code 1: something is to be done. What can't be told is said to be unknown, and is no reason
/// to fail.
#[derive(Debug, Clone, Parser)]
#[group(skip)]
pub(super) struct Args {
    /// The kubectl to ask the cluster with
    #[arg(long, value_name = "PROGRAM", default_value = "kubectl")]
    kubectl: PathBuf,
    /// The context of the kubeconfig; the current one, where it is not given
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Don't ask a cluster
    #[arg(long)]
    no_cluster: bool,
}

/// Looks at everything, and says what it found.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let (program, on_path) = program();
    let mut findings = vec![program];
    findings.extend(helm(on_path));
    if !args.no_cluster {
        findings.push(cluster(args));
    }
    let lines: Vec<String> = findings.iter().map(|f| format!("{f}\n")).collect();
    pipe::write_stdout(&lines).context("can't write standard output")?;
    let bad = findings.iter().any(|f| f.health == Health::Bad);
    Ok(if bad { Exit::Rejected } else { Exit::Done })
}

/// What a program prints, or why it can't be told.
fn ask(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name} can't be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    Err(format!("{name} failed: {last}"))
}

/// The program that PATH names, and whether there is one.
fn program() -> (Finding, bool) {
    let ours = env!("CARGO_PKG_VERSION");
    match ask(Command::new(NAME).arg("--version")) {
        Ok(said) if said.trim() == format!("{NAME} {ours}") => {
            let what = format!("{NAME} {ours} is on PATH");
            (Finding::new(Health::Good, what), true)
        }
        Ok(said) => {
            let what = format!("the program on PATH is {}, and this is {ours}", said.trim());
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
    let version = ask(Command::new(&program).args(["version", "--template", "{{.Version}}"]));
    let plugins = ask(Command::new(&program).args(["plugin", "list"]));
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

/// The network plugin of the cluster.
fn cluster(args: &Args) -> Finding {
    let mut command = Command::new(&args.kubectl);
    command.args(["get", "daemonsets", "--all-namespaces", "--output=json"]);
    command.arg("--request-timeout=10s");
    command.args(args.context.iter().map(|name| format!("--context={name}")));
    let read = ask(&mut command).and_then(|text| {
        serde_json::from_str::<Value>(&text).map_err(|_| "kubectl printed no JSON".to_owned())
    });
    match read {
        Ok(sets) => doctor::network_plugin(&sets),
        Err(why) => {
            let what = format!("nothing is known of the cluster: {why}");
            Finding::new(Health::Unknown, what)
                .help("give kubectl a cluster, or leave it out with --no-cluster")
        }
    }
}
