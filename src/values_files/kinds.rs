//! The kinds of objects that hold values of Helm releases, and where in them.
//!
//! A new kind is a row of `KINDS`.

use super::path::ValuesPath;
use manifest::yaml::Node;

/// A kind of object whose fields hold the values of Helm releases.
#[derive(Debug)]
pub(super) struct Kind {
    /// What the field `kind` says.
    pub(super) name: &'static str,
    /// The end of the API group, so that all groups of one vendor are one row.
    pub(super) group: &'static str,
    /// The parts of the object that describe one Helm release each.
    pub(super) releases: &'static [&'static str],
    /// Below such a part: the name of the chart, and its version.
    pub(super) chart: &'static str,
    pub(super) version: &'static str,
    /// Whether the chart is vCluster's where no name of a chart is given.
    pub(super) is_for_vcluster: bool,
    /// Below a release: where values are, in the order in which Helm merges them.
    pub(super) parts: &'static [(&'static str, Form)],
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A mapping of the object.
    Mapping,
    /// A mapping that is a config in any form: values, or a networkPolicy object.
    Config,
    /// YAML in a string.
    Text,
    /// As [`Text`](Self::Text), unless another part of the release replaces it.
    TextUnless(&'static str),
    /// A list of names and values, each as for `helm --set`.
    ParameterList,
    /// A mapping from names to values, each as for `helm --set`.
    ParameterMap,
    /// Values that are somewhere else.
    Elsewhere,
}

/// The parts of an Argo CD source: Argo CD's own Helm, and our plugin (docs/argocd.md).
const ARGOCD_PARTS: &[(&str, Form)] = &[
    ("helm.valueFiles[]", Form::Elsewhere),
    ("helm.values", Form::TextUnless("helm.valuesObject")),
    ("helm.valuesObject", Form::Mapping),
    ("helm.parameters", Form::ParameterList),
    ("helm.fileParameters[]", Form::Elsewhere),
    ("plugin.env[name=VALUES_FILES].value", Form::Elsewhere),
    ("plugin.env[name=CONFIG_FILES].value", Form::Elsewhere),
    ("plugin.env[name=VALUES].value", Form::Text),
    (
        "plugin.parameters[name=values-files].array[]",
        Form::Elsewhere,
    ),
    (
        "plugin.parameters[name=config-files].array[]",
        Form::Elsewhere,
    ),
    ("plugin.parameters[name=values].string", Form::Text),
    ("plugin.parameters[name=set].map", Form::ParameterMap),
];

/// All kinds.
pub(super) static KINDS: &[Kind] = &[
    Kind {
        name: "HelmRelease",
        group: "helm.toolkit.fluxcd.io",
        releases: &["spec"],
        chart: "chart.spec.chart",
        version: "chart.spec.version",
        is_for_vcluster: false,
        parts: &[("valuesFrom[]", Form::Elsewhere), ("values", Form::Mapping)],
    },
    Kind {
        name: "Application",
        group: "argoproj.io",
        releases: &["spec.source", "spec.sources[]"],
        chart: "chart",
        version: "targetRevision",
        is_for_vcluster: false,
        parts: ARGOCD_PARTS,
    },
    Kind {
        name: "ApplicationSet",
        group: "argoproj.io",
        releases: &["spec.template.spec.source", "spec.template.spec.sources[]"],
        chart: "chart",
        version: "targetRevision",
        is_for_vcluster: false,
        parts: ARGOCD_PARTS,
    },
    Kind {
        name: "VirtualClusterTemplate",
        group: "loft.sh",
        releases: &[
            "spec.template.helmRelease",
            "spec.versions[].template.helmRelease",
        ],
        chart: "chart.name",
        version: "chart.version",
        is_for_vcluster: true,
        parts: &[("values", Form::Text)],
    },
    Kind {
        name: "VirtualClusterInstance",
        group: "loft.sh",
        releases: &["spec.template.helmRelease"],
        chart: "chart.name",
        version: "chart.version",
        is_for_vcluster: true,
        parts: &[("values", Form::Text)],
    },
    // The Cluster API provider for vCluster.
    Kind {
        name: "VCluster",
        group: "cluster.x-k8s.io",
        releases: &["spec.helmRelease"],
        chart: "chart.name",
        version: "chart.version",
        is_for_vcluster: true,
        parts: &[("values", Form::Text), ("valuesObject", Form::Mapping)],
    },
    Kind {
        name: "Kustomization",
        group: "kustomize.config.k8s.io",
        releases: &["helmCharts[]"],
        chart: "name",
        version: "version",
        is_for_vcluster: false,
        parts: &[
            ("valuesFile", Form::Elsewhere),
            ("additionalValuesFiles[]", Form::Elsewhere),
            ("valuesInline", Form::Mapping),
        ],
    },
    // The config of our own KRM function.
    Kind {
        name: "NetworkPolicies",
        group: "vcluster-netpol",
        releases: &[""],
        chart: "",
        version: "",
        is_for_vcluster: true,
        parts: &[("spec", Form::Config)],
    },
];

impl Kind {
    /// The kind of an object; `None` for one that holds no values of Helm releases.
    pub(super) fn of(object: Node<'_>) -> Option<&'static Self> {
        let kind = object.get("kind").and_then(Node::text)?;
        let version = object.get("apiVersion").and_then(Node::text);
        // An object without a version is taken for what its kind says.
        let group = version
            .as_deref()
            .map(|v| v.split_once('/').map_or("", |(g, _)| g));
        KINDS.iter().find(|known| {
            known.name == kind && group.is_none_or(|group| is_of_group(group, known.group))
        })
    }
}

/// Whether an API group is this one, or below it (`management.loft.sh` is below `loft.sh`).
fn is_of_group(group: &str, known: &str) -> bool {
    group
        .strip_suffix(known)
        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The first text at one of these paths.
pub(super) fn first_text(object: Node<'_>, paths: &[&str]) -> Option<String> {
    paths
        .iter()
        .flat_map(|path| select(object, path))
        .find_map(|(_, node)| node.text())
        .map(std::borrow::Cow::into_owned)
        .filter(|text| !text.is_empty())
}

/// All nodes at a path such as `spec.sources[].helm.values`, or
/// `parameters[name=values].string`: `[]` stands for all items of a list, `[KEY=TEXT]` for those
/// that have this text.
pub(super) fn select<'a>(node: Node<'a>, path: &str) -> Vec<(ValuesPath, Node<'a>)> {
    let mut found = vec![(ValuesPath::default(), node)];
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (key, items) = match step.split_once('[') {
            Some((key, items)) => (key, Some(items.trim_end_matches(']'))),
            None => (step, None),
        };
        let below = found.into_iter().filter_map(|(path, node)| {
            let value = node.get(key).filter(|value| !value.is_null())?;
            Some((path.key(key), value))
        });
        found = match items {
            None => below.collect(),
            Some(wanted) => below
                .flat_map(|(path, list)| items_of(&path, list, wanted))
                .collect(),
        };
    }
    found
}

/// The items of a list; those that have a certain text under a certain key, where one is wanted.
fn items_of<'a>(path: &ValuesPath, list: Node<'a>, wanted: &str) -> Vec<(ValuesPath, Node<'a>)> {
    let wanted = wanted.split_once('=');
    let is_wanted = |item: &Node<'a>| {
        wanted.is_none_or(|(key, text)| item.get(key).and_then(Node::text).as_deref() == Some(text))
    };
    list.items()
        .enumerate()
        .filter(|(_, item)| is_wanted(item))
        .map(|(index, item)| (path.item(index), item))
        .collect()
}
