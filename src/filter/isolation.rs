//! Which virtual clusters of a stream end without their policies, and why.
//!
//! The chart's Secret always holds a config, and by default that config says `enabled: false`. So a
//! config alone protects nobody: what counts is whether a virtual cluster ends with its policies.

use serde_json::Value;

use super::ClusterSummary;
use super::Options;
use super::plan::Plan;
use crate::vcluster::edition::{ChartVersion, Edition};
use crate::vcluster::running::Running;
use crate::vcluster::sources::{Source, VirtualCluster};
use manifest::diagnostic::{Diagnostic, Location};

/// What turns the policies on, in the chart's values.
const FIELD: &str = "policies.networkPolicy.enabled: true";

/// What a stream without a virtual cluster, or a virtual cluster without policies, is to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Requirement {
    /// It goes out as it came.
    #[default]
    Nothing,
    /// A stream without any config is an error.
    Config,
    /// A virtual cluster without its policies is an error, and so is a stream without any.
    Policies,
}

impl Requirement {
    /// Whether anything is required.
    #[must_use]
    pub fn is_some(self) -> bool {
        self != Self::Nothing
    }

    /// The option, as it is written.
    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Config => "--require=config",
            Self::Nothing | Self::Policies => "--require",
        }
    }
}

impl std::str::FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" | "policies" => Ok(Self::Policies),
            "" | "0" | "false" | "no" | "off" => Ok(Self::Nothing),
            "config" => Ok(Self::Config),
            _ => Err("write policies, config, or no, as in --require=config or \
                 VCLUSTER_NETPOL_REQUIRE=1"
                .to_owned()),
        }
    }
}

/// A virtual cluster that ends without its policies.
#[derive(Debug, Clone)]
pub(super) struct NotIsolated {
    pub(super) found: ClusterSummary,
    place: Location,
}

impl NotIsolated {
    /// One whose config does not enable the policies.
    pub(super) fn disabled(cluster: &VirtualCluster, plan: &Plan) -> Self {
        let says_so = cluster.documents.iter().any(|document| {
            let config = document.network_policy.as_ref().map(|(config, _)| config);
            config
                .and_then(|config| config.get("enabled"))
                .is_some_and(Value::is_boolean)
        });
        let reason = if says_so {
            format!("the config from {} says enabled: false", cluster.source)
        } else {
            format!(
                "the config from {} does not say enabled: true",
                cluster.source
            )
        };
        Self {
            found: ClusterSummary {
                release: cluster.name.clone(),
                namespace: cluster.namespace.clone(),
                chart: cluster.chart.clone(),
                edition: plan.edition.name,
                config: Some(cluster.source.clone()),
                enabled: false,
                isolated: false,
                reason: Some(reason),
                remedy: Some(remedy(cluster)),
            },
            place: place(cluster),
        }
    }

    /// One whose Secret or annotation says nothing of policies.
    pub(super) fn silent(cluster: &VirtualCluster, options: &Options) -> Self {
        let reason = match cluster.origin {
            Source::Secret => format!(
                "the values in {} say nothing of policies.networkPolicy",
                cluster.source
            ),
            Source::Annotation | Source::Files => {
                "its annotation vcluster-netpol/config says nothing, and the stream holds no \
                 Secret with its config"
                    .to_owned()
            }
        };
        Self::of_cluster(cluster, reason, remedy(cluster), options)
    }

    /// One whose config is rejected.
    pub(super) fn rejected(cluster: &VirtualCluster, options: &Options) -> Self {
        let reason = format!("the config from {} is rejected", cluster.source);
        let remedy = "correct the config: lint shows what is wrong with it".to_owned();
        let mut rejected = Self::of_cluster(cluster, reason, remedy, options);
        rejected.found.config = Some(cluster.source.clone());
        rejected
    }

    fn of_cluster(
        cluster: &VirtualCluster,
        reason: String,
        remedy: String,
        options: &Options,
    ) -> Self {
        let running = Running {
            name: cluster.name.clone(),
            namespace: cluster.namespace.clone(),
            chart: cluster.chart.clone(),
            place: place(cluster),
        };
        Self::without(&running, reason, remedy, options)
    }

    /// One that runs, and to which no config belongs.
    pub(super) fn running(running: &Running, options: &Options) -> Self {
        let reason = format!(
            "the stream holds no config for it, neither the Secret vc-config-{} nor an annotation \
             (with --hide-secret Helm 3 takes the Secret away)",
            running.name
        );
        let remedy = format!(
            "set {FIELD} in the chart's values and leave --hide-secret out, or give the config \
             with the annotation vcluster-netpol/config or --config FILE"
        );
        Self::without(running, reason, remedy, options)
    }

    fn without(running: &Running, reason: String, remedy: String, options: &Options) -> Self {
        let version = running.chart.as_deref().and_then(ChartVersion::of_label);
        let edition = options
            .edition
            .unwrap_or_else(|| Edition::of(version.as_ref()));
        Self {
            found: ClusterSummary {
                release: running.name.clone(),
                namespace: running.namespace.clone(),
                chart: running.chart.clone(),
                edition: edition.name,
                config: None,
                enabled: false,
                isolated: false,
                reason: Some(reason),
                remedy: Some(remedy),
            },
            place: running.place.clone(),
        }
    }

    /// The error for it, where policies are required.
    pub(super) fn refused(&self) -> Diagnostic {
        let found = &self.found;
        let message = format!(
            "{} is not isolated, and --require is set: {}",
            found.describe(),
            found.reason.as_deref().unwrap_or_default()
        );
        Diagnostic::error(message)
            .help(found.remedy.clone().unwrap_or_default())
            .at(self.place.clone())
    }
}

/// Where to say what.
fn remedy(cluster: &VirtualCluster) -> String {
    match cluster.origin {
        Source::Secret => format!("set {FIELD} in the chart's values"),
        Source::Annotation => format!(
            "set enabled: true in the annotation vcluster-netpol/config, or remove the annotation \
             and set {FIELD} in the chart's values"
        ),
        Source::Files => format!(
            "set enabled: true in {}, where it holds values as {FIELD}",
            cluster.source
        ),
    }
}

/// The text that says what the last word is.
fn place(cluster: &VirtualCluster) -> Location {
    let last = cluster.documents.last();
    last.map_or_else(
        || cluster.place.clone(),
        |document| document.origin().place.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_environment_are_known() {
        for (words, meant) in [
            (
                &["1", "true", "Yes", "ON", "policies"][..],
                Requirement::Policies,
            ),
            (&["", "0", "false", "No", "off"][..], Requirement::Nothing),
            (&["config"][..], Requirement::Config),
        ] {
            for word in words {
                assert_eq!(word.parse(), Ok(meant), "{word}");
            }
        }
        assert!("maybe".parse::<Requirement>().is_err());
        assert!("2".parse::<Requirement>().is_err());
    }
}
