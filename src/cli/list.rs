//! The command `list`: every connection that the policies of some manifests allow.
//!
//! Arguments and files; what is allowed is decided in [`netpol::connections`], and put in words in
//! [`list`](crate::list).

use std::collections::BTreeSet;

use anyhow::Context as _;
use clap::builder::PossibleValue;
use clap::{Args as ClapArgs, ValueEnum, ValueHint};

use super::args;
use super::explain::json;
use super::input::{self, Input, Paths};
use super::{Exit, log, pipe, usage_error};
use crate::explain::view::View;
use crate::list::{self, Listing, clusters, matrix};
use manifest::escape;
use netpol::connections::{Wanted, WorkloadName};
use netpol::model::cluster::ClusterModel;
use netpol::model::policy::Direction;
use netpol::query::PortSpec;
use netpol::sets::ports::Ports;

/// What the command reads.
const WANTED: &str = "manifests with workloads and policies: a file, a folder, or a rendered chart \
                      on standard input";

/// Lists every connection that the policies of the manifests allow.
///
/// Between workloads of the manifests, both ends must allow the connection. Other ends are listed as
/// the policies name them: addresses, pods, or everyone. Workloads that no policy distinguishes are
/// one line. For a rendered chart without policies, it uses the policies that the filter would add.
/// One line stands for the workloads of each virtual cluster, which the chart does not contain.
///
/// Exit code: 0 listed, 1 a policy or config is rejected, 2 wrong usage, or no workload, 3 a file
/// can't be read.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Args {
    #[command(flatten)]
    inputs: Paths,
    #[command(flatten)]
    policies: args::Policies,
    /// Only connections of this workload: NAME, NAMESPACE/NAME or NAMESPACE/NAME[KIND]; may be
    /// repeated
    #[arg(long, value_name = "WORKLOAD", value_hint = ValueHint::Other)]
    focus: Vec<WorkloadName>,
    /// Only connections into workloads, or only those out of workloads
    #[arg(long, value_name = "DIRECTION")]
    direction: Option<Way>,
    /// Only these ports: 443, 53/UDP, 8000-8999/TCP
    #[arg(long, value_name = "PORT", value_parser = ports)]
    port: Option<Ports>,
    /// Who may connect to whom in a table, by virtual cluster (the default) or by namespace
    #[arg(
        long,
        value_name = "UNIT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "clusters",
        conflicts_with_all = ["focus", "direction", "port"]
    )]
    matrix: Option<Unit>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One connection in each line
    Text,
    /// One connection in each row
    Csv,
    /// For programs
    Json,
    /// A table in Markdown
    Md,
    /// A graph for Graphviz
    Dot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unit {
    /// Virtual clusters; pods of none of them by their namespace
    Clusters,
    /// Namespaces
    Namespaces,
}

/// A direction, as the command line names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way(Direction);

impl ValueEnum for Way {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Direction::Ingress), Self(Direction::Egress)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self.0 {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }))
    }
}

/// Reads a port of the command line.
fn ports(text: &str) -> Result<Ports, String> {
    let (port, protocol) = text.rsplit_once('/').unwrap_or((text, ""));
    match PortSpec::parse(port, protocol) {
        Ok(PortSpec::Name(..)) => Err("a port is a number or a range here".to_owned()),
        Ok(spec) => Ok(spec.ports()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let inputs = input::read(&args.inputs.paths, WANTED)?;
    let options = args.policies.options(Vec::new())?;
    let Some(mut view) = super::view_of(&inputs, &options) else {
        return Ok(Exit::Rejected);
    };
    let clusters = clusters::of(&view);
    let missing = clusters::missing_pods(&clusters, &view.model);
    view.model.add_pods(missing);
    if view.model.pods().is_empty() {
        let names: Vec<String> = inputs.iter().map(Input::name).collect();
        return Err(usage_error(format!(
            "there is nothing to list: no workload is in {}; give {WANTED}",
            escape::terminal(&names.join(", "))
        )));
    }
    if view.model.policies().is_empty() {
        log("note: there is no NetworkPolicy, so every connection is allowed");
    }
    let text = match args.matrix {
        Some(unit) => args.matrix(unit, &view.model, &clusters)?,
        None => args.listing(&view)?,
    };
    pipe::answer(text.as_bytes()).context("can't write standard output")?;
    Ok(Exit::Done)
}

impl Args {
    fn matrix(
        &self,
        unit: Unit,
        model: &ClusterModel,
        clusters: &BTreeSet<(String, String)>,
    ) -> anyhow::Result<String> {
        let found = match unit {
            Unit::Namespaces => model.matrix(),
            Unit::Clusters => model.matrix_of(model.pods(), |pod| clusters::unit(pod, clusters)),
        };
        let table = matrix::Table::from(&found);
        Ok(match self.output {
            Format::Text => matrix::text(&table),
            Format::Csv => matrix::csv(&table),
            Format::Json => json(&table)?,
            Format::Md => matrix::markdown(&table),
            Format::Dot => matrix::dot(&table),
        })
    }

    fn listing(&self, view: &View) -> anyhow::Result<String> {
        let found = view.model.connections(&self.wanted(view)?);
        let listing = Listing::of(&found);
        Ok(match self.output {
            Format::Text => list::text(&listing),
            Format::Csv => list::csv(&listing),
            Format::Json => json(&listing)?,
            Format::Md => list::markdown(&listing),
            Format::Dot => list::dot(&listing),
        })
    }

    /// What is asked for. A workload that is not there is an error: an empty list would read as if
    /// nothing could reach it.
    fn wanted(&self, view: &View) -> anyhow::Result<Wanted> {
        let workloads = view.model.workloads();
        for name in &self.focus {
            if !workloads.iter().any(|workload| name.is(workload)) {
                let known = workloads.iter().map(ToString::to_string);
                let near = known.min_by_key(|known| strsim::levenshtein(known, &name.to_string()));
                let near = near
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                return Err(usage_error(
                    escape::terminal(&format!("there is no workload {name}{near}")).into_owned(),
                ));
            }
        }
        Ok(Wanted {
            focus: self.focus.clone(),
            direction: self.direction.map(|way| way.0),
            ports: self.port.clone(),
        })
    }
}
