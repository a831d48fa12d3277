//! What kubectl says of a cluster.

use std::path::PathBuf;
use std::process::Command;

use clap::ValueHint;

use super::subprocess::{Deadline, ask};
use crate::doctor::{self, Cluster, Failure, Finding, Question};

/// Which cluster is asked, and with which program.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Kubectl {
    /// The kubectl program to run
    #[arg(
        long,
        value_name = "PROGRAM",
        default_value = "kubectl",
        value_hint = ValueHint::CommandName
    )]
    kubectl: PathBuf,
    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    context: Option<String>,
}

impl Kubectl {
    /// Whether a flag chooses the cluster.
    pub(super) fn has_context(&self) -> bool {
        self.context.is_some()
    }

    /// What kubectl prints when it is run with some words.
    pub(super) fn ask(&self, words: &[String], deadline: Deadline) -> Result<String, Failure> {
        let mut command = Command::new(&self.kubectl);
        command.args(words);
        // kubectl tries several times, so its own limit is none for all of them.
        command.arg(format!("--request-timeout={}s", deadline.seconds()));
        command.args(self.context.iter().map(|name| format!("--context={name}")));
        ask(&mut command, deadline)
    }

    /// Whether the cluster's network plugin enforces network policies.
    pub(super) fn network_plugin(&self, deadline: Deadline) -> Finding {
        let mut cluster = Cluster::default();
        while let Some(question) = cluster.next_question() {
            let answer = self.ask(&question.words(), deadline).and_then(|text| {
                let no_json = |_| Failure::Message("kubectl printed no JSON".to_owned());
                serde_json::from_str(&text).map_err(no_json)
            });
            match answer {
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
}
