//! `doctor`: asks the programs on PATH and the cluster, and says what [`crate::doctor`] thinks of it.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use serde_json::Value;

use super::Exit;
use super::pipe;
use crate::doctor::{self, Cluster, Failure, Finding, Health, Question};

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
        findings.push(cluster(args));
    }
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    pipe::answer((lines.join("\n") + "\n").as_bytes()).context("can't write standard output")?;
    let bad = findings.iter().any(|f| f.health == Health::Bad);
    Ok(if bad { Exit::Rejected } else { Exit::Done })
}

/// Until when a program may run.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    end: Instant,
    seconds: u64,
}

impl Deadline {
    fn of(seconds: u64) -> Self {
        let end = Instant::now() + Duration::from_secs(seconds);
        Self { end, seconds }
    }

    fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

/// How long a program of this machine may take to say its version or its plugins.
const LOCAL: u64 = 60;

/// The most that a program's answer is read of.
const MOST: u64 = 256 << 20;

/// What a program prints, or why there is no answer. It is killed when it takes too long.
fn ask(command: &mut Command, deadline: Deadline) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::Message(format!("{name} can't be run: {error}")))?;
    let stdout = read(child.stdout.take());
    let stderr = read(child.stderr.take());
    let late = Failure::Late(deadline.seconds);
    let status = wait(&mut child, deadline).ok_or_else(|| late.clone())?;
    // A program that this one started may have the pipe still open: its end is not waited for
    // beyond the deadline either.
    let printed = stdout.recv_timeout(deadline.left()).map_err(|_| late)?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&printed).into_owned());
    }
    let reply = stderr.recv_timeout(deadline.left()).unwrap_or_default();
    let reply = String::from_utf8_lossy(&reply);
    let last = reply.trim().lines().last().unwrap_or_default();
    Err(Failure::Message(format!("{name} failed: {last}")))
}

/// Reads a pipe to its end in a thread of its own, so that a full pipe stops nobody.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is all there is to judge.
            drop(pipe.take(MOST).read_to_end(&mut bytes));
        }
        drop(sender.send(bytes));
    });
    receiver
}

/// How a program ended; `None` where it had to be killed.
fn wait(child: &mut Child, deadline: Deadline) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if deadline.left().is_zero() {
            // It may just have ended by itself; then there is nothing to kill.
            drop(child.kill());
            drop(child.wait());
            return None;
        }
        std::thread::sleep(Duration::from_millis(5).min(deadline.left()));
    }
}

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

/// The network plugin of the cluster.
fn cluster(args: &Args) -> Finding {
    let deadline = Deadline::of(args.timeout);
    let mut cluster = Cluster::default();
    while let Some(question) = cluster.next_question() {
        match ask_cluster(args, &question, deadline) {
            Ok(answer) => cluster.answer(question, Some(answer)),
            Err(failure) if question == Question::DaemonSets => {
                return doctor::no_answer(&failure);
            }
            // The others make a judgement more certain; without an answer it says less.
            Err(_) => cluster.answer(question, None),
        }
    }
    doctor::network_plugin(&cluster)
}

/// The answer of kubectl to a question.
fn ask_cluster(args: &Args, question: &Question, deadline: Deadline) -> Result<Value, Failure> {
    let mut command = Command::new(&args.kubectl);
    command.args(question.words());
    // kubectl tries several times, so its own limit is none for all of them.
    command.arg(format!("--request-timeout={}s", args.timeout));
    command.args(args.context.iter().map(|name| format!("--context={name}")));
    let text = ask(&mut command, deadline)?;
    serde_json::from_str(&text).map_err(|_| Failure::Message("kubectl printed no JSON".to_owned()))
}
