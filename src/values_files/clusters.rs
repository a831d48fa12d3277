//! The virtual clusters of a document, each with the texts of its values and their positions.
//!
//! A text is cut out of the document so that its lines and columns stay those of the document. What
//! can't be cut out (an alias, a quoted text, single parameters) is written again, and its problems
//! are reported at the place in the document that the values are from.

use std::collections::HashMap;
use std::ops::Range;
use std::str::FromStr as _;

use super::chart::Chart;
use super::parameters::{self, Parameter};
use super::path::ValuesPath;
use super::{
    Content, Part, Release, concerns_policies, config_field, literal, may_hold_values, releases,
    sites,
};
use crate::vcluster::config::fields;
use crate::vcluster::edition::Edition;
use crate::vcluster::sources::ConfigFile;
use manifest::diagnostic::{Diagnostic, Location, Position};
use manifest::documents::{self, Document};
use manifest::line_index::LineIndex;
use manifest::yaml::{Node, Tree};

/// What a document says of virtual clusters.
#[derive(Debug, Default)]
pub struct Clusters {
    /// Those with a network-policy config.
    pub found: Vec<Cluster>,
    /// What is wrong before any config is looked at.
    pub problems: Vec<Diagnostic>,
    /// The bytes of the documents that hold them. None of these holds a Secret.
    pub quotable: Vec<Range<usize>>,
    /// Whether there are documents of other kinds.
    pub has_others: bool,
}

/// A virtual cluster with a config.
#[derive(Debug)]
pub struct Cluster {
    /// The edition of the policies, where the document names the version of vCluster's chart.
    pub edition: Option<Edition>,
    layers: Vec<Layer>,
    place: Location,
    /// Whether the release also has values that are not in the document.
    has_values_elsewhere: bool,
}

/// A text with values, which later ones override.
#[derive(Debug, Clone)]
struct Layer {
    text: String,
    /// The path from the root of the document to these values.
    path: ValuesPath,
    /// The part of that path that is below the root of the release's values.
    site: ValuesPath,
    positions: Positions,
    may_be_config: bool,
}

/// How a position in a text becomes one in the file.
#[derive(Debug, Clone)]
enum Positions {
    /// The text stands behind so many lines of the file.
    Lines(usize),
    /// Everything is reported here.
    At(Position),
    /// Each path has its own position.
    Parameters(Vec<(String, Position)>),
}

/// Finds the virtual clusters of a file; `chart` says which chart it is for, if it is a values file.
#[must_use]
pub fn of_file(text: &str, file: Option<&str>, chart: impl FnOnce() -> Chart) -> Clusters {
    let place = Location {
        file: file.map(str::to_owned),
        ..Location::default()
    };
    let documents: Vec<Document> = documents::split(text.as_bytes()).collect();
    let body = |document: &Document| text.get(document.body.clone()).unwrap_or_default();
    let mut clusters = Clusters::default();
    if !documents.iter().any(|d| may_hold_values(body(d))) {
        clusters.has_others = true;
        return clusters;
    }
    let chart = chart();
    let lines = LineIndex::default();
    for document in &documents {
        let text_of = body(document);
        let line = lines.line(text.as_bytes(), document.body.start);
        let is_known = documents::says_nothing(text_of.as_bytes())
            || (may_hold_values(text_of)
                && of_document(text_of, line - 1, &place, &chart, &mut clusters));
        if is_known {
            clusters.quotable.push(document.span.clone());
        } else {
            clusters.has_others = true;
        }
    }
    clusters
}

/// Finds the virtual clusters of a document that begins behind `lines` lines of its file. Says
/// whether the document is a values file, or of a kind that holds values.
fn of_document(
    text: &str,
    lines: usize,
    place: &Location,
    chart: &Chart,
    clusters: &mut Clusters,
) -> bool {
    let Ok(tree) = Tree::parse(text) else {
        return false;
    };
    let Some(releases) = tree.root().and_then(|root| releases(root, chart)) else {
        return false;
    };
    for release in &releases {
        let place = Location {
            object: release.object.clone(),
            ..place.clone()
        };
        let before = clusters.found.len();
        of_release(text, lines, release, &place, clusters);
        // Other charts have values from elsewhere too, and they do not matter here.
        if clusters.found.len() > before || release.chart == Chart::VCluster {
            let warnings = release.elsewhere_warnings(&place);
            let moved = warnings.map(|warning| moved_down(warning, lines));
            clusters.problems.extend(moved);
        }
    }
    // The objects of a list are of all kinds, and only some of them are known.
    tree.root().is_some_and(|root| root.get("items").is_none())
}

fn of_release(
    text: &str,
    lines: usize,
    release: &Release<'_>,
    place: &Location,
    clusters: &mut Clusters,
) {
    let mut layers = Vec::new();
    for part in release.parts.iter().filter(|part| !part.is_replaced) {
        match Layer::of_part(text, lines, part) {
            Ok(layer) => layers.push(layer),
            Err(_) if !is_concerned(part) => {}
            Err(problem) => {
                let path = problem.place.path.clone().unwrap_or_default();
                let place = place.at(path, problem.place.position);
                clusters.problems.push(problem.at(place));
            }
        }
    }
    let trees: Vec<(&Layer, Tree<'_>)> = layers
        .iter()
        .filter_map(|layer| Some((layer, Tree::parse(&layer.text).ok()?)))
        .collect();
    // The virtual clusters of all layers: one layer can say what another overrides.
    let mut by_site: Vec<Vec<Layer>> = Vec::new();
    let mut indices: HashMap<ValuesPath, usize> = HashMap::new();
    for (layer, tree) in &trees {
        let Some(root) = tree.root().filter(|root| root.is_mapping()) else {
            continue;
        };
        let sites = sites(root, &release.chart);
        if let Some(outside) = &sites.outside {
            let position = layer.position(outside.field(), Some(outside.position()));
            clusters
                .problems
                .push(outside.warning(place, &layer.path, position));
        }
        for (site, node) in sites.found {
            let layer = layer.narrowed(&site, node);
            let index = *indices.entry(site).or_insert(by_site.len());
            match by_site.get_mut(index) {
                Some(layers) => layers.push(layer),
                None => by_site.push(vec![layer]),
            }
        }
    }
    let edition = release.chart_version.as_deref();
    let edition = edition
        .filter(|_| release.chart == Chart::VCluster)
        .and_then(|version| Edition::from_str(version).ok());
    for layers in by_site {
        if layers.iter().any(Layer::has_config) {
            clusters.found.push(Cluster {
                edition,
                layers,
                place: place.clone(),
                has_values_elsewhere: !release.elsewhere.is_empty(),
            });
        }
    }
}

/// Whether values that can't be read may hold a config.
fn is_concerned(part: &Part<'_>) -> bool {
    match &part.content {
        Content::Text(node) => concerns_policies(&node.text().unwrap_or_default()),
        _ => false,
    }
}

impl Cluster {
    /// Its values as config files, in the order in which they override each other.
    #[must_use]
    pub fn config_files(&self) -> Vec<ConfigFile> {
        let files = self.layers.iter().map(|layer| ConfigFile {
            name: self.name_of(layer),
            text: layer.text.clone(),
        });
        files.collect()
    }

    /// A problem that names one of these config files, with its place in the user's file.
    #[must_use]
    pub fn in_file(&self, mut problem: Diagnostic) -> Diagnostic {
        let named = problem.place.object.take();
        let layer = named.and_then(|name| self.layers.iter().find(|l| self.name_of(l) == name));
        let mut place = self.place.clone();
        if let Some(layer) = layer {
            let field = problem.place.path.take().unwrap_or_default();
            place.position = problem
                .place
                .position
                .map(|position| layer.position(&field, Some(position)));
            let path = layer.path.field(&field);
            place.path = Some(path).filter(|path| !path.is_empty());
        } else {
            place.path = problem.place.path.take();
        }
        if let Some(suggestion) = &mut problem.suggestion
            && let Some(last) = self.layers.last()
        {
            suggestion.path = last.path.field(&suggestion.path);
            // A list in one place hides the list of another, so an item can take rules away.
            suggestion.by_hand |= self.layers.len() > 1 || self.has_values_elsewhere;
        }
        problem.at(place)
    }

    /// The file and the path of a text in words.
    fn name_of(&self, layer: &Layer) -> String {
        let file = self.place.file.as_deref().unwrap_or("standard input");
        let object = self
            .place
            .object
            .as_deref()
            .map(|object| format!(", {object}"));
        let path = match layer.path.to_string() {
            path if path.is_empty() => path,
            path => format!(", {path}"),
        };
        format!("{file}{}{path}", object.unwrap_or_default())
    }
}

impl Layer {
    fn of_part(text: &str, lines: usize, part: &Part<'_>) -> Result<Self, Diagnostic> {
        let layer = |text: String, positions: Positions| Self {
            text,
            path: part.path.clone(),
            site: ValuesPath::default(),
            positions,
            may_be_config: false,
        };
        match &part.content {
            Content::Mapping {
                node,
                may_be_config,
            } => {
                let (text, positions) = cut_out(text, *node, &Positions::Lines(lines));
                Ok(Self {
                    may_be_config: *may_be_config,
                    ..layer(text, positions)
                })
            }
            Content::Text(node) => {
                of_text(text, lines, *node).map(|(text, positions)| layer(text, positions))
            }
            Content::Parameters(parameters) => {
                let text = parameters::merged(parameters).to_string();
                let position = |p: &Parameter| {
                    Some((p.path.as_ref()?.to_string(), p.position.behind_lines(lines)))
                };
                let positions = parameters.iter().filter_map(position).collect();
                Ok(layer(text, Positions::Parameters(positions)))
            }
        }
        .map_err(|problem: Diagnostic| {
            let position = problem.place.position;
            problem.at(Location::default().at(part.path.to_string(), position))
        })
    }

    /// The values at a site of these values.
    fn narrowed(&self, site: &ValuesPath, node: Node<'_>) -> Self {
        if site.is_root() {
            return self.clone();
        }
        let (text, positions) = cut_out(&self.text, node, &self.positions);
        Self {
            text,
            path: self.path.join(site),
            site: site.clone(),
            positions,
            may_be_config: false,
        }
    }

    /// The position in the file of a field and of a position in the text.
    fn position(&self, field: &str, position: Option<Position>) -> Position {
        self.positions.in_file(&self.site.field(field), position)
    }

    fn has_config(&self) -> bool {
        let Ok(tree) = Tree::parse(&self.text) else {
            return false;
        };
        tree.root().is_some_and(|root| {
            let mut policies = root.get("policies").into_iter().flat_map(Node::pairs);
            let is_near = |(key, _): (Node<'_>, Node<'_>)| {
                let key = key.key_text().unwrap_or_default().to_lowercase();
                key.contains("network") || key.contains("polic")
            };
            config_field(root).is_some()
                || policies.any(is_near)
                || (self.may_be_config && is_config_alone(root))
        })
    }
}

/// Whether a mapping is a networkPolicy object, or holds nothing but one.
///
/// Values of other charts also have fields called `labels` or `networkPolicy`.
fn is_config_alone(root: Node<'_>) -> bool {
    let keys: Vec<_> = root.pairs().filter_map(|(key, _)| key.key_text()).collect();
    let is_field = |key: &str| fields::NETWORK_POLICY.field(key).is_some();
    let common = ["enabled", "labels", "annotations", "controlPlane"];
    match keys.as_slice() {
        [only] if only == "networkPolicy" => true,
        keys => {
            keys.iter().all(|key| is_field(key))
                && keys.iter().any(|key| !common.contains(&key.as_ref()))
        }
    }
}

/// The text of values that are written as YAML in a string.
fn of_text(
    document: &str,
    lines: usize,
    node: Node<'_>,
) -> Result<(String, Positions), Diagnostic> {
    if let Some(literal) = literal(document, node) {
        let text = document.get(literal.range).unwrap_or_default();
        let positions = Positions::Lines(lines + literal.lines_before);
        return Ok((text.to_owned(), positions));
    }
    let position = node.position().behind_lines(lines);
    let text = node.text().unwrap_or_default();
    if let Err(error) = Tree::parse(&text) {
        let problem = Diagnostic::error(format!("the values are not YAML: {}", error.message));
        let problem = if text.contains("{{") {
            problem.help("write template expressions between quotes, so that the values are YAML")
        } else {
            problem
        };
        return Err(problem.at(Location::default().at("", Some(position))));
    }
    Ok((text.into_owned(), Positions::At(position)))
}

/// The text of a mapping, with its columns, and its positions. `document` has the positions `base`.
fn cut_out(document: &str, node: Node<'_>, base: &Positions) -> (String, Positions) {
    let at = node.position();
    let text = " ".repeat(at.column - 1) + document.get(node.span()).unwrap_or_default();
    let json = node.to_json();
    let is_same =
        Tree::parse(&text).is_ok_and(|tree| tree.root().is_some_and(|root| root.to_json() == json));
    match base {
        Positions::Lines(lines) if is_same => (text, Positions::Lines(lines + at.line - 1)),
        Positions::Lines(lines) => (json.to_string(), Positions::At(at.behind_lines(*lines))),
        other => (json.to_string(), other.clone()),
    }
}

impl Positions {
    fn in_file(&self, field: &str, position: Option<Position>) -> Position {
        let start = Position { line: 1, column: 1 };
        match self {
            Self::Lines(lines) => position.unwrap_or(start).behind_lines(*lines),
            Self::At(position) => *position,
            Self::Parameters(positions) => {
                // The parameter of the field, of a part of it, or of what it is a part of.
                let common = |name: &str| {
                    let same = name.bytes().zip(field.bytes()).take_while(|(a, b)| a == b);
                    same.count()
                };
                let nearest = positions.iter().max_by_key(|(name, _)| common(name));
                nearest.map_or(start, |(_, position)| *position)
            }
        }
    }
}

fn moved_down(mut problem: Diagnostic, lines: usize) -> Diagnostic {
    problem.place.position = problem
        .place
        .position
        .map(|position| position.behind_lines(lines));
    problem
}
