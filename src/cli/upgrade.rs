//! The part of `diff` that compares what two versions of the vCluster chart make of one config.
//!
//! Arguments and messages; the policies of each chart are made in [`vcluster`](crate::vcluster),
//! and the difference is found in [`explain`](crate::explain::diff).

use clap::Args as ClapArgs;

use super::args::{ConfigFiles, Policies};
use super::explain::SOME_RELEASE;
use super::{log, usage_error};
use crate::explain::view::View;
use crate::rules::Audience;
use crate::vcluster::edition::{ChartVersion, Edition};
use crate::vcluster::sources::ConfigFile;
use manifest::diagnostic::{Diagnostic, Diagnostics};

/// The two charts, and the config.
#[derive(Debug, Clone, ClapArgs)]
#[group(skip)]
pub(super) struct Args {
    /// Compare what two charts make of the files of --config: the chart that is installed
    ///
    /// Compared are the policies that the charts render themselves. Charts before 0.31 have
    /// policies for egress only.
    #[arg(
        long,
        value_name = "VERSION",
        requires = "to_chart",
        requires = "config",
        conflicts_with_all = ["edition", "companions"],
        value_parser = ChartVersion::from_option
    )]
    pub(super) from_chart: Option<ChartVersion>,
    /// The chart that it is upgraded to
    #[arg(
        long,
        value_name = "VERSION",
        requires = "from_chart",
        value_parser = ChartVersion::from_option
    )]
    pub(super) to_chart: Option<ChartVersion>,
    #[command(flatten)]
    pub(super) files: ConfigFiles,
}

impl Args {
    /// The policies of both charts, if two charts are given.
    ///
    /// # Errors
    /// A file that can't be read, a variable that can't be used.
    pub(super) fn views(
        &self,
        policies: &Policies,
    ) -> anyhow::Result<Option<Result<(View, View), Diagnostics>>> {
        let (Some(from), Some(to)) = (&self.from_chart, &self.to_chart) else {
            return Ok(None);
        };
        let files = self.files.read()?;
        let old = view(from, policies, files.clone())?;
        let new = view(to, policies, files)?;
        Ok(Some(match (old, new) {
            (Ok(old), Ok(new)) => {
                if new.made.iter().all(|cluster| !cluster.enabled) {
                    let message = "the config does not enable the policies, so there is nothing to \
                                   compare";
                    return Err(usage_error(message));
                }
                report(from, to, &old, &new);
                Ok((old, new))
            }
            (Err(errors), _) | (_, Err(errors)) => Err(errors),
        }))
    }
}

/// The policies that a chart renders for a config.
fn view(
    chart: &ChartVersion,
    policies: &Policies,
    files: Vec<ConfigFile>,
) -> anyhow::Result<Result<View, Diagnostics>> {
    let mut options = policies.options(files)?;
    (options.overrides.release).get_or_insert_with(|| SOME_RELEASE.to_owned());
    options.edition = Some(Edition::rendered_by(chart));
    // Charts since 0.31 render the companions too.
    options.companions = chart.has_documented_policies();
    options.audience = Audience::Reviewer;
    Ok(View::read(&[], "", &options))
}

/// Says what is compared, and which warnings hold for the new chart alone.
fn report(from: &ChartVersion, to: &ChartVersion, old: &View, new: &View) {
    let name = |chart: &ChartVersion| {
        let edition = Edition::rendered_by(chart);
        format!("chart {chart} (policies of edition {edition})")
    };
    log(format!(
        "note: compared are the policies that the charts render: {} and {}",
        name(from),
        name(to)
    ));
    let is_new = |warning: &&Diagnostic| !old.warnings.iter().any(|known| known == *warning);
    let mut brought = Diagnostics::default();
    brought.extend(new.warnings.iter().filter(is_new).cloned());
    if !brought.is_empty() {
        log(brought);
    }
}
