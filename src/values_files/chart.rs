//! Helm charts and their dependencies: below which keys of a chart's values vCluster's values are.
//!
//! Helm passes to a dependency only the values below its alias, or below its name without one. So a
//! chart that depends on vCluster has vCluster's values there, and not at the root. The files are
//! read by the caller.

use super::path::ValuesPath;
use manifest::yaml::{Node, Tree};

/// How vCluster's own chart is called, and how it was called up to 0.19.
const VCLUSTER_CHARTS: [&str; 6] = [
    "vcluster",
    "vcluster-k8s",
    "vcluster-k0s",
    "vcluster-eks",
    "vcluster-pro",
    "vcluster-pro-k8s",
];

/// How deep dependencies of dependencies are followed.
const MAX_DEPTH: usize = 8;

/// The chart that values are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chart {
    /// Nothing says which; the values show it.
    Unknown,
    /// vCluster's own.
    VCluster,
    /// A chart that depends on vCluster's.
    Wrapper {
        /// Its name.
        name: String,
        /// The keys below which the values of its virtual clusters are.
        below: Vec<ValuesPath>,
    },
}

impl Chart {
    /// The chart of this name, which need not be a wrapper: nothing says what it depends on.
    #[must_use]
    pub fn named(name: &str) -> Self {
        if VCLUSTER_CHARTS.contains(&name) {
            Self::VCluster
        } else {
            Self::Unknown
        }
    }
}

/// A chart as it lies in a folder or an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChartFolder {
    /// The name that Chart.yaml gives it.
    pub name: String,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// The charts in its folder `charts`, and those that its dependencies name by a path.
    pub subcharts: Vec<ChartFolder>,
}

/// A dependency in Chart.yaml, or in requirements.yaml of older charts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependency {
    /// The name of the chart.
    pub name: String,
    /// The key of its values, where that is not its name.
    pub alias: Option<String>,
    /// Where the chart is from.
    pub repository: String,
}

impl ChartFolder {
    /// Reads the texts of Chart.yaml and requirements.yaml. What can't be read is left out: Helm
    /// itself refuses such a chart.
    #[must_use]
    pub fn parse(texts: &[&str]) -> Self {
        let mut chart = Self::default();
        for text in texts {
            let Ok(tree) = Tree::parse(text) else {
                continue;
            };
            let Some(root) = tree.root() else { continue };
            if let Some(name) = text_of(root, "name") {
                chart.name = name;
            }
            let list = root.get("dependencies").map(Node::items);
            chart
                .dependencies
                .extend(list.into_iter().flatten().filter_map(|item| {
                    Some(Dependency {
                        name: text_of(item, "name")?,
                        alias: text_of(item, "alias").filter(|alias| !alias.is_empty()),
                        repository: text_of(item, "repository").unwrap_or_default(),
                    })
                }));
        }
        chart
    }

    /// A chart of which only the name of its archive is known (`vcluster-0.31.0.tgz`).
    #[must_use]
    pub fn of_archive(file_name: &str) -> Option<Self> {
        let stem = file_name.strip_suffix(".tgz")?;
        let (at, _) = stem.match_indices('-').find(|(at, _)| {
            let version = stem.get(at + 1..).unwrap_or_default();
            let version = version.strip_prefix('v').unwrap_or(version);
            version.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.')
        })?;
        Some(Self {
            name: stem.get(..at)?.to_owned(),
            ..Self::default()
        })
    }

    /// What the chart is for values that are given to it.
    #[must_use]
    pub fn chart(&self) -> Chart {
        if let Chart::VCluster = Chart::named(&self.name) {
            return Chart::VCluster;
        }
        let mut below = Vec::new();
        self.collect(&ValuesPath::default(), 0, &mut below);
        below.sort();
        below.dedup();
        if below.is_empty() {
            return Chart::Unknown;
        }
        Chart::Wrapper {
            name: self.name.clone(),
            below,
        }
    }

    fn collect(&self, path: &ValuesPath, depth: usize, below: &mut Vec<ValuesPath>) {
        if depth == MAX_DEPTH {
            return;
        }
        for dependency in &self.dependencies {
            let path = path.key(dependency.alias.as_ref().unwrap_or(&dependency.name));
            let is_same = |chart: &&Self| chart.name == dependency.name;
            match self.subcharts.iter().find(is_same) {
                _ if Chart::named(&dependency.name) == Chart::VCluster => below.push(path),
                Some(chart) => chart.collect(&path, depth + 1, below),
                None => {}
            }
        }
        // Helm also takes charts of the folder that Chart.yaml does not name.
        let is_named = |chart: &Self| self.dependencies.iter().any(|d| d.name == chart.name);
        for chart in self.subcharts.iter().filter(|chart| !is_named(chart)) {
            let path = path.key(&chart.name);
            if Chart::named(&chart.name) == Chart::VCluster {
                below.push(path);
            } else {
                chart.collect(&path, depth + 1, below);
            }
        }
    }
}

fn text_of(node: Node<'_>, key: &str) -> Option<String> {
    node.get(key)
        .and_then(Node::text)
        .map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(chart: &ChartFolder) -> Vec<String> {
        match chart.chart() {
            Chart::Wrapper { below, .. } => below.iter().map(ToString::to_string).collect(),
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn values_are_below_the_alias_or_the_name_of_a_dependency() {
        let own = |text: &str| below(&ChartFolder::parse(&[text]));
        let dependency = "name: w\ndependencies:\n- name: vcluster\n";
        assert_eq!(own("name: vcluster\n"), ["VCluster"]);
        assert_eq!(own("name: w\ndependencies:\n- name: redis\n"), ["Unknown"]);
        assert_eq!(own(dependency), ["vcluster"]);
        assert_eq!(
            own(&format!(
                "{dependency}  alias: b\n- {{name: vcluster, alias: a}}\n"
            )),
            ["a", "b"]
        );
        let old = ["name: w\n", "dependencies:\n- name: vcluster-k8s\n"];
        assert_eq!(below(&ChartFolder::parse(&old)), ["vcluster-k8s"]);
    }

    #[test]
    fn dependencies_of_dependencies_are_followed() {
        let mut outer = ChartFolder::parse(&["name: o\ndependencies:\n- {name: w, alias: x.y}\n"]);
        outer.subcharts = vec![
            ChartFolder::parse(&["name: w\ndependencies:\n- name: vcluster\n"]),
            ChartFolder::of_archive("vcluster-0.31.0.tgz").unwrap(),
        ];
        assert_eq!(below(&outer), ["vcluster", "[\"x.y\"].vcluster"]);
    }

    #[test]
    fn archives_are_known_by_their_names() {
        for (file, name) in [
            ("vcluster-0.31.0.tgz", Some("vcluster")),
            ("my-chart-v1.2.3-rc.1.tgz", Some("my-chart")),
            ("vcluster.tgz", None),
            ("Chart.yaml", None),
        ] {
            let found = ChartFolder::of_archive(file).map(|chart| chart.name);
            assert_eq!(found.as_deref(), name, "{file}");
        }
    }
}
