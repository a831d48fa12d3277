//! The files in which users write values of virtual clusters, and where in them the values are.
//!
//! Such a file is a values file of vCluster's chart or of a chart that depends on it, or an object
//! that holds values of Helm releases, such as a Flux HelmRelease or an Argo CD Application.
//! [`releases`] finds the values of a document, and [`sites`] the virtual clusters in them.
//! [`clusters`] makes of both what `lint` checks. Nothing here reads files.

pub mod chart;
pub mod clusters;
mod kinds;
pub mod parameters;
pub mod path;

use std::ops::Range;

use chart::Chart;
use kinds::{Form, KINDS, Kind, first_text, select};
use manifest::diagnostic::{Diagnostic, Location, Position};
use manifest::yaml::{Node, Paths, Tree};
use parameters::Parameter;
use path::ValuesPath;

use crate::rules::{unread_values, values_outside_dependency};
use crate::vcluster::config::fields;

/// How deep the values of an unknown chart are searched for those of virtual clusters.
const MAX_SEARCH_DEPTH: usize = 4;

/// How deep lists of objects are followed.
const MAX_LIST_DEPTH: usize = 8;

/// The values of one Helm release, as a document gives them.
#[derive(Debug)]
pub struct Release<'a> {
    /// The object in words (`HelmRelease team-a/tenant`); `None` for a values file.
    pub object: Option<String>,
    /// The chart that the values are for.
    pub chart: Chart,
    /// The version of the chart, as it is written.
    pub chart_version: Option<String>,
    /// The values, those that others override first.
    pub parts: Vec<Part<'a>>,
    /// The paths of values that are not in the document, and their positions.
    pub elsewhere: Vec<(ValuesPath, Position)>,
}

/// Values in a document.
#[derive(Debug)]
pub struct Part<'a> {
    /// The path from the root of the document.
    pub path: ValuesPath,
    /// The values.
    pub content: Content<'a>,
    /// Whether another part of the release makes Argo CD ignore this one.
    pub is_replaced: bool,
}

/// How values are written.
#[derive(Debug)]
pub enum Content<'a> {
    /// As a mapping.
    Mapping {
        /// The mapping.
        node: Node<'a>,
        /// Whether it may be a config alone: a networkPolicy object, or its fields.
        may_be_config: bool,
    },
    /// As YAML in a string.
    Text(Node<'a>),
    /// As single values.
    Parameters(Vec<Parameter>),
}

/// Whether a document is worth parsing: one of a kind that holds no values is left out, by its text
/// alone.
#[must_use]
pub fn may_hold_values(document: &str) -> bool {
    let names_a_kind = || KINDS.iter().any(|kind| document.contains(kind.name));
    match document.lines().find_map(|line| line.strip_prefix("kind:")) {
        Some(kind) => {
            let kind = kind.split('#').next().unwrap_or_default().trim();
            let kind = kind.trim_matches(['"', '\'']);
            let is_known = KINDS.iter().any(|known| known.name == kind);
            is_known || ((kind.is_empty() || kind.ends_with("List")) && names_a_kind())
        }
        // JSON has the field anywhere.
        None => !document.contains("\"kind\"") || names_a_kind(),
    }
}

/// The values of Helm releases in a document; `None` for an object of another kind.
///
/// `chart` is the chart that a values file is for. An object names its own.
#[must_use]
pub fn releases<'a>(root: Node<'a>, chart: &Chart) -> Option<Vec<Release<'a>>> {
    if !root.is_mapping() {
        return None;
    }
    if root.get("kind").is_none() && root.get("apiVersion").is_none() {
        return Some(vec![of_values_file(root, chart)]);
    }
    let mut releases = Vec::new();
    let is_known = collect(root, &ValuesPath::default(), 0, &mut releases);
    is_known.then_some(releases)
}

fn of_values_file<'a>(root: Node<'a>, chart: &Chart) -> Release<'a> {
    Release {
        object: None,
        chart: chart.clone(),
        chart_version: None,
        parts: vec![Part {
            path: ValuesPath::default(),
            content: Content::Mapping {
                node: root,
                may_be_config: true,
            },
            is_replaced: false,
        }],
        elsewhere: Vec::new(),
    }
}

/// Collects the releases of an object, or of the objects of a list. Says whether any object is of a
/// known kind.
fn collect<'a>(
    object: Node<'a>,
    path: &ValuesPath,
    depth: usize,
    releases: &mut Vec<Release<'a>>,
) -> bool {
    if let Some(kind) = Kind::of(object) {
        for start in kind.releases {
            for (below, node) in select(object, start) {
                releases.push(of_object(kind, object, node, &path.join(&below)));
            }
        }
        return true;
    }
    let items = object.get("items").filter(|_| depth < MAX_LIST_DEPTH);
    let mut is_known = false;
    for (index, item) in items.into_iter().flat_map(Node::items).enumerate() {
        let path = path.key("items").item(index);
        is_known |= collect(item, &path, depth + 1, releases);
    }
    is_known
}

fn of_object<'a>(
    kind: &'static Kind,
    object: Node<'a>,
    node: Node<'a>,
    path: &ValuesPath,
) -> Release<'a> {
    let chart = match first_text(node, &[kind.chart]) {
        Some(name) => Chart::named(&name),
        None if kind.is_for_vcluster => Chart::VCluster,
        None => Chart::Unknown,
    };
    let mut release = Release {
        object: Some(describe(kind, object)),
        chart,
        chart_version: first_text(node, &[kind.version]),
        parts: Vec::new(),
        elsewhere: Vec::new(),
    };
    for (start, form) in kind.parts {
        let is_replaced = match form {
            Form::TextUnless(other) => !select(node, other).is_empty(),
            _ => false,
        };
        for (below, value) in select(node, start) {
            let path = path.join(&below);
            match content(*form, value) {
                Some(content) => release.parts.push(Part {
                    path,
                    content,
                    is_replaced,
                }),
                None => release.elsewhere.push((path, value.position())),
            }
        }
    }
    release
}

fn content(form: Form, node: Node<'_>) -> Option<Content<'_>> {
    Some(match form {
        Form::Mapping | Form::Config => Content::Mapping {
            node,
            may_be_config: form == Form::Config,
        },
        Form::Text | Form::TextUnless(_) => Content::Text(node),
        Form::ParameterList => Content::Parameters(parameters::of_list(node)),
        Form::ParameterMap => Content::Parameters(parameters::of_map(node)),
        Form::Elsewhere => return None,
    })
}

fn describe(kind: &Kind, object: Node<'_>) -> String {
    let name = first_text(object, &["metadata.name", "metadata.generateName"]);
    match (first_text(object, &["metadata.namespace"]), name) {
        (Some(namespace), Some(name)) => format!("{} {namespace}/{name}", kind.name),
        (None, Some(name)) => format!("{} {name}", kind.name),
        (_, None) => kind.name.to_owned(),
    }
}

/// Where the values of virtual clusters are in the values of a release.
#[derive(Debug, Default)]
pub struct Sites<'a> {
    /// The paths from the root of the values, and the mappings there.
    pub found: Vec<(ValuesPath, Node<'a>)>,
    /// A config at the root of a wrapper's values, which Helm does not pass to vCluster.
    pub outside: Option<Outside>,
}

/// A config that no virtual cluster gets.
#[derive(Debug)]
pub struct Outside {
    field: &'static str,
    position: Position,
    below: Vec<ValuesPath>,
}

/// Finds the values of virtual clusters in the values of a release.
#[must_use]
pub fn sites<'a>(root: Node<'a>, chart: &Chart) -> Sites<'a> {
    let below: Vec<(ValuesPath, Node<'a>)> = match chart {
        Chart::VCluster => Vec::new(),
        Chart::Wrapper { below, .. } => {
            let mut paths = Paths::new(root);
            let found = below.iter().filter_map(|path| {
                let node = paths.find(&path.to_string())?;
                Some((path.clone(), node))
            });
            found.filter(|(_, node)| node.is_mapping()).collect()
        }
        Chart::Unknown => {
            let mut found = Vec::new();
            search(root, &ValuesPath::default(), &mut found);
            found
        }
    };
    let is_wrapper = matches!(chart, Chart::Wrapper { .. });
    let own = if is_wrapper || !below.is_empty() {
        config_field(root)
    } else {
        None
    };
    let outside = own.map(|(field, position)| Outside {
        field,
        position,
        below: match chart {
            Chart::Wrapper { below, .. } => below.clone(),
            _ => below.iter().map(|(path, _)| path.clone()).collect(),
        },
    });
    let mut found = below;
    // The root of an unknown chart's values may be vCluster's own.
    if !is_wrapper && (found.is_empty() || outside.is_some()) {
        found.insert(0, (ValuesPath::default(), root));
    }
    Sites { found, outside }
}

/// Searches mappings for those that hold a network-policy config of vCluster's values.
fn search<'a>(node: Node<'a>, path: &ValuesPath, found: &mut Vec<(ValuesPath, Node<'a>)>) {
    let depth = path.len();
    for (key, value) in node.entries() {
        // What is in a config is no values of another chart.
        if !value.is_mapping() || (depth == 0 && is_own_key(&key)) {
            continue;
        }
        let path = path.key(&key);
        if config_field(value).is_some() || is_misspelt_config(&key, value) {
            found.push((path, value));
        } else if depth + 1 < MAX_SEARCH_DEPTH {
            search(value, &path, found);
        }
    }
}

/// Whether a key at the root belongs to vCluster's own values or config.
fn is_own_key(key: &str) -> bool {
    matches!(key, "policies" | "networkPolicy" | "isolation")
        || fields::NETWORK_POLICY.field(key).is_some()
}

/// The field of vCluster's values that holds the config, and where it is.
fn config_field(values: Node<'_>) -> Option<(&'static str, Position)> {
    let fields = [
        ("policies.networkPolicy", ["policies", "networkPolicy"]),
        ("isolation.networkPolicy", ["isolation", "networkPolicy"]),
    ];
    fields.into_iter().find_map(|(field, [parent, name])| {
        let parent = values.get(parent)?;
        let node = parent.get(name).filter(|node| !node.is_null())?;
        let is_key = |(key, _): &(Node<'_>, Node<'_>)| key.key_text().as_deref() == Some(name);
        let key = parent.pairs().find(is_key).map(|(key, _)| key);
        Some((field, key.unwrap_or(node).position()))
    })
}

/// Whether values below the name of vCluster's chart hold policies of some kind: then reading them
/// gives the error for a misspelt field.
fn is_misspelt_config(key: &str, values: Node<'_>) -> bool {
    key.starts_with("vcluster") && values.get("policies").is_some_and(Node::is_mapping)
}

impl Outside {
    /// The warning about it. `place` is the place of the values, `prefix` their path.
    #[must_use]
    pub fn warning(&self, place: &Location, prefix: &ValuesPath, position: Position) -> Diagnostic {
        let below: Vec<String> = self
            .below
            .iter()
            .map(|path| path.field(self.field))
            .collect();
        let message = "the config is outside of the values of the chart's dependency, so no \
                       virtual cluster gets it";
        let help = format!(
            "Helm passes to a dependency only the values below its name or alias; write it as {}",
            below.join(", ")
        );
        Diagnostic::warning(values_outside_dependency::RULE.code, message)
            .help(help)
            .at(place.at(prefix.field(self.field), Some(position)))
    }

    /// The path of the config, below the root of the values.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Where the config is, in the document of its values.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

impl Release<'_> {
    /// A warning for each place that names values which are not in the document.
    pub fn elsewhere_warnings<'r>(
        &'r self,
        place: &'r Location,
    ) -> impl Iterator<Item = Diagnostic> + 'r {
        self.elsewhere.iter().map(|(path, position)| {
            Diagnostic::warning(
                unread_values::RULE.code,
                "the values that this names are not read here, and they may change the config",
            )
            .help("check them too: give their file, or the output of `helm template`")
            .at(place.at(path.to_string(), Some(*position)))
        })
    }
}

/// Whether a text that can't be read may hold a network-policy config.
#[must_use]
pub fn concerns_policies(text: &str) -> bool {
    text.to_lowercase().contains("networkpolic")
}

/// The lines of a literal block scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// Their bytes in the document.
    pub range: Range<usize>,
    /// How many lines the document has before them.
    pub lines_before: usize,
}

/// The lines of a literal block scalar as they are in the document, if they are YAML of the same
/// meaning as the scalar. Columns in them are those of the document.
#[must_use]
pub fn literal(document: &str, scalar: Node<'_>) -> Option<Literal> {
    let span = scalar.span();
    // The span begins with the content. The indicator is at the end of the line before.
    let before = document.get(..span.start)?;
    let header_end = before.trim_end().len();
    let header_start = before.get(..header_end)?.rfind('\n').map_or(0, |at| at + 1);
    let header = before.get(header_start..header_end)?;
    let header = header.split_once(" #").map_or(header, |(header, _)| header);
    let indicator = header.split_whitespace().next_back()?;
    if !indicator.starts_with('|') {
        return None;
    }
    let start = header_end + document.get(header_end..)?.find('\n')? + 1;
    let blank_lines = document.get(start..span.start)?.matches('\n').count();
    let last = span.end.saturating_sub(1);
    let end = document
        .get(last..)?
        .find('\n')
        .map_or(document.len(), |at| last + at + 1);
    let as_written = Tree::parse(document.get(start..end)?).ok()?;
    let decoded = scalar.text()?;
    let meant = Tree::parse(&decoded).ok()?;
    let json = |tree: &Tree<'_>| tree.root().map(Node::to_json);
    (json(&as_written) == json(&meant)).then(|| Literal {
        range: start..end,
        lines_before: scalar.position().line - 1 - blank_lines,
    })
}
