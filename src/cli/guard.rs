//! The command `guard`: what closes the holes that a NetworkPolicy can't close.
//!
//! Arguments and inputs; the objects are made in [`crate::guard`].

use std::borrow::Cow;
use std::collections::HashSet;

use anyhow::Context as _;
use clap::{Args as ClapArgs, ValueEnum, ValueHint};

use super::args;
use super::input;
use super::pipe;
use super::{Exit, log, usage_error};
use crate::filter::Options;
use crate::filter::clusters::{self, ClusterPlan, PlannedCluster};
use crate::guard::{self, GuardOptions};
use crate::vcluster::edition::Edition;
use manifest::diagnostic::{Diagnostic, Diagnostics};
use manifest::escape;

/// What the command expects.
const WANTED: &str = "rendered charts or the objects of a cluster, as files, folders or on standard \
                      input";

/// Prints what closes the holes that a NetworkPolicy can't close, for each virtual cluster.
///
/// It reads what `audit` reads. For each virtual cluster it prints ValidatingAdmissionPolicies with
/// bindings: for the tenant's pods (labels that network policies trust, the network of the node), for
/// the tenant's network policies if the values sync them, and against changes of the policies that
/// isolate it. And a ClusterNetworkPolicy for its control plane and its workloads. The objects need
/// Kubernetes 1.31 or later, and a network plugin that implements the last kind. Begin with --action
/// warn, read the audit log, and then apply the output without it: see docs/hardening.md.
///
/// Exit code: 0 each virtual cluster has its objects; 1 one of them has none, which standard error
/// names, or a config is rejected (then standard output is empty); 2 wrong usage, or there is no
/// virtual cluster; 3 a file can't be read.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    paths: input::Paths,
    #[command(flatten)]
    config: args::ConfigFiles,
    #[command(flatten)]
    policies: args::Policies,
    /// What happens to a request that an admission policy refuses
    #[arg(long, value_name = "ACTION", default_value = "deny")]
    action: Action,
    /// The kind of the cluster-wide network policies
    #[arg(long, value_name = "KIND", default_value = "cnp")]
    dialect: Dialect,
    /// The priority of the first of the two cluster-wide network policies; the other has the next
    /// number; lower numbers decide first
    #[arg(long, value_name = "NUMBER", default_value_t = 50,
          value_parser = clap::value_parser!(i32).range(0..=999))]
    priority: i32,
    /// Deny workloads all pods and private networks of the host that their policies do not name
    #[arg(long)]
    deny_host: bool,
    /// Deny workloads all other virtual clusters that their policies do not name
    #[arg(long)]
    deny_tenants: bool,
    /// Let only USER change and delete the policies of virtual clusters; may be repeated
    #[arg(long, value_name = "USER", value_hint = ValueHint::Other)]
    allow_user: Vec<String>,
    /// Let only members of GROUP, and each USER, do so; may be repeated
    #[arg(long, value_name = "GROUP", value_hint = ValueHint::Other)]
    allow_group: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// It is refused
    Deny,
    /// It passes with a warning, and an entry in the audit log
    Warn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// ClusterNetworkPolicy, policy.networking.k8s.io/v1alpha2
    Cnp,
    /// AdminNetworkPolicy, policy.networking.k8s.io/v1alpha1
    Anp,
}

impl Args {
    fn options(&self) -> GuardOptions {
        GuardOptions {
            action: match self.action {
                Action::Deny => guard::Action::Deny,
                Action::Warn => guard::Action::Warn,
            },
            dialect: match self.dialect {
                Dialect::Cnp => guard::Dialect::Cnp,
                Dialect::Anp => guard::Dialect::Anp,
            },
            priority: self.priority,
            deny_host: self.deny_host,
            deny_tenants: self.deny_tenants,
            allow_users: self.allow_user.clone(),
            allow_groups: self.allow_group.clone(),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let options = Options {
        // The rules of companions count: charts since 0.31 render them.
        companions: true,
        ..args.policies.options(args.config.read()?)?
    };
    let mut errors = Diagnostics::default();
    let planned = read_clusters(args, &options, &mut errors)?;
    if planned.is_empty() && !errors.has_errors() {
        return Err(usage_error(
            "there is no virtual cluster to guard; give a rendered chart, or the Secrets \
             vc-config-NAME of the cluster",
        ));
    }
    let (text, left_out) = objects(&planned, &args.options(), &mut errors);
    if errors.has_errors() {
        log(&errors);
        return Ok(Exit::Rejected);
    }
    for cluster in &left_out {
        log(escape::terminal(&not_guarded(cluster)));
    }
    pipe::answer(text.as_bytes()).context("can't write standard output")?;
    Ok(if left_out.is_empty() {
        Exit::Done
    } else {
        Exit::Rejected
    })
}

/// The virtual clusters of all inputs, with their policies.
fn read_clusters(
    args: &Args,
    options: &Options,
    errors: &mut Diagnostics,
) -> anyhow::Result<Vec<PlannedCluster>> {
    let mut planned = Vec::new();
    for input in input::read(&args.paths.paths, WANTED)? {
        let mut options = Cow::Borrowed(options);
        let is_config_alone = input.is_blank() && !options.overrides.files.is_empty();
        if is_config_alone && options.edition.is_none() {
            let newest = Edition::newest();
            log(args::assumed_edition(newest));
            options.to_mut().edition = Some(newest);
        }
        match clusters::clusters(&input.bytes, &options) {
            Ok(found) => planned.extend(found),
            Err(problems) => {
                let file = input.source.file();
                errors.extend(problems.into_iter().map(|mut problem| {
                    problem.place.file = problem.place.file.take().or_else(|| file.clone());
                    problem
                }));
            }
        }
    }
    Ok(planned)
}

/// The objects of the virtual clusters as text, and the virtual clusters that get none.
fn objects<'p>(
    planned: &'p [PlannedCluster],
    options: &GuardOptions,
    errors: &mut Diagnostics,
) -> (String, Vec<&'p PlannedCluster>) {
    let mut text = String::new();
    let mut left_out = Vec::new();
    let mut seen = HashSet::new();
    for cluster in planned {
        let summary = &cluster.summary;
        if !seen.insert((&summary.namespace, &summary.release)) {
            let message = format!("the {} is there twice", summary.describe());
            let help = "give the objects of one cluster, or leave one of the inputs out";
            errors.push(Diagnostic::error(message).help(help));
        }
        match &cluster.plan {
            ClusterPlan::Policies(made) => match guard::guard(made, options) {
                Ok(objects) => text.push_str(&objects),
                Err(problem) => errors.push(problem),
            },
            ClusterPlan::Rejected(problems) => errors.extend(problems.clone()),
            ClusterPlan::Disabled | ClusterPlan::WithoutConfig => left_out.push(cluster),
        }
    }
    (text, left_out)
}

/// Why a virtual cluster gets no objects.
fn not_guarded(cluster: &PlannedCluster) -> String {
    let summary = &cluster.summary;
    let reason = summary.reason.as_deref().unwrap_or("it has no policies");
    format!("NOT GUARDED: {}: {reason}", summary.describe())
}
