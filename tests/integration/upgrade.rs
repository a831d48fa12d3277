//! The policies that `diff --from-chart --to-chart` compares are those that the charts render.

use std::fs;
use std::path::Path;

use netpol::evaluate::Policies;
use netpol::model::reader;
use serde_json::Value;
use vcluster_netpol::explain::diff::Diff;
use vcluster_netpol::explain::view::View;
use vcluster_netpol::filter::Options;
use vcluster_netpol::vcluster::edition::{ChartVersion, Edition};
use vcluster_netpol::vcluster::policies::Role;
use vcluster_netpol::vcluster::sources::{ConfigFile, Overrides};

use crate::support::shared::shared;

crate::registry::tests! {
    slow: [each_chart_renders_the_policies_that_are_compared],
}

/// The renders of the real charts, each with the values that it was rendered with.
fn each_chart_renders_the_policies_that_are_compared() {
    let Ok(corpus) = shared("corpus") else {
        return;
    };
    let mut compared = 0;
    for version in fs::read_dir(corpus).unwrap() {
        for case in fs::read_dir(version.unwrap().path()).into_iter().flatten() {
            compared += usize::from(compare(&case.unwrap().path()));
        }
    }
    assert!(compared > 100, "{compared} renders were compared");
}

/// Compares one render; false where there is nothing to compare.
fn compare(folder: &Path) -> bool {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let meta: Value = serde_json::from_str(&read("meta.json")).unwrap_or_default();
    let text = |name: &str| meta[name].as_str().unwrap_or_default().to_owned();
    let has = |name: &str| {
        let value = &meta[name];
        !(value.as_object().is_some_and(serde_json::Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty))
    };
    // The API server refuses what some charts render.
    let is_refused = has("chart_renders_non_strings_at") || has("api_server_would_reject");
    // This one chart selects no DNS pod of the host: vCluster pull request 2393 corrected it.
    let is_wrong = text("chart_version") == "0.22.0";
    // No chart renders the rules of a project.
    let values = read("values.yaml");
    let has_project = values.contains("vcluster.io/project");
    if text("kind") != "chart"
        || !meta["umbrella"].is_null()
        || meta["enabled"] != true
        || is_refused
        || is_wrong
        || has_project
    {
        return false;
    }
    let chart = ChartVersion::from_option(&text("chart_version")).unwrap();
    let options = Options {
        overrides: Overrides {
            files: vec![ConfigFile {
                name: "values.yaml".to_owned(),
                text: values,
            }],
            release: Some(text("release")),
            namespace: Some(text("namespace")),
            ..Overrides::default()
        },
        edition: Some(Edition::rendered_by(&chart)),
        companions: chart.has_documented_policies(),
        ..Options::default()
    };
    let Ok(view) = View::read(b"", "", &options) else {
        return false;
    };
    let roles = [
        Role::Workload,
        Role::ControlPlane,
        Role::KubeDns,
        Role::Snapshot,
    ];
    let names = roles.map(|role| role.policy_name(&text("release")));
    let rendered = reader::read(read("rendered.yaml").as_bytes(), "rendered.yaml", "").unwrap();
    let rendered = rendered.policies().iter();
    let rendered: Policies = rendered
        .filter(|policy| names.contains(&policy.name))
        .cloned()
        .collect();
    let diff = Diff::between(&rendered, view.model.policies());
    assert!(diff.is_empty(), "{}: {diff:?}", folder.display());
    true
}
