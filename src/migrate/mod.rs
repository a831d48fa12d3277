//! Deprecated fields rewritten to their successors, in the user's own text.
//!
//! Everything else keeps its bytes: comments, order, quoting, blank lines, line breaks. The comments
//! of a field move with it. The new text is parsed again and compared with the meaning of the old
//! one. A text that is written in an unusual way is rejected, and not damaged. Where values are in
//! a file is decided in [`crate::values_files`]; files and options belong to the command.

mod block;
mod fields;
mod flow;
mod legacy;

use std::collections::HashSet;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::values_files::chart::Chart;
use crate::values_files::parameters::Parameter;
use crate::values_files::path::ValuesPath;
use crate::values_files::{self, Content, Literal, Part, Release};
use crate::vcluster::config::document::MAX_BYTES;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position};
use manifest::documents;
use manifest::edit::{self, Edit};
use manifest::entries::Lines;
use manifest::line_index::LineIndex;
use manifest::yaml::{Node, Tree};

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The new text; the old one, where there is nothing to do.
    pub text: String,
    /// What has moved, in the order of the text.
    pub moves: Vec<Move>,
    /// What was not looked at, as warnings.
    pub warnings: Vec<Diagnostic>,
    /// Whether the text can hold values at all. An object of another kind can't.
    pub holds_values: bool,
}

/// A field that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The deprecated field.
    pub from: String,
    /// Its successor; `None` where it has no effect and is dropped.
    pub to: Option<String>,
    /// The line in which it stood.
    pub line: usize,
}

impl Migration {
    /// Whether there was something to do.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.moves.is_empty()
    }
}

/// Rewrites the deprecated fields of every document of a text; `place` is the file, and `chart` the
/// chart that a values file is for.
///
/// # Errors
/// When values are larger than a Secret may be, when a document is not YAML, when a field has no
/// successor or contradicts it, or when the text is written in a way that can't be rewritten
/// safely. Then nothing is rewritten.
pub fn migrate(text: &str, place: &Location, chart: &Chart) -> Result<Migration, Diagnostics> {
    let mut result = Migration {
        text: String::with_capacity(text.len()),
        moves: Vec::new(),
        warnings: Vec::new(),
        holds_values: false,
    };
    let mut report = Diagnostics::default();
    let mut at = 0;
    let lines = LineIndex::default();
    for document in documents::split(text.as_bytes()) {
        let body = text.get(document.body.clone()).unwrap_or_default();
        let line = lines.line(text.as_bytes(), document.body.start);
        result.text += text.get(at..document.body.start).unwrap_or_default();
        at = document.body.end;
        match migrate_document(body, line - 1, place, chart) {
            Ok(migrated) => {
                result.text += &migrated.text;
                result.moves.extend(migrated.moves);
                result.warnings.extend(migrated.warnings);
                result.holds_values |= migrated.holds_values;
            }
            Err(problems) => report.extend(problems),
        }
    }
    result.text += text.get(at..).unwrap_or_default();
    if report.is_empty() {
        Ok(result)
    } else {
        Err(report)
    }
}

/// Rewrites one document, which begins behind `lines` lines of its file.
fn migrate_document(
    body: &str,
    lines: usize,
    place: &Location,
    chart: &Chart,
) -> Result<Migration, Vec<Diagnostic>> {
    let in_file = |mut problem: Diagnostic| {
        let found = problem.place;
        problem.place = Location {
            object: found.object.or_else(|| place.object.clone()),
            path: found.path,
            position: found.position.map(|position| position.behind_lines(lines)),
            ..place.clone()
        };
        problem
    };
    let in_file_all = |problems: Vec<Diagnostic>| problems.into_iter().map(in_file).collect();
    let rewritten = rewrite_document(body, chart).map_err(in_file_all)?;
    let mut moves = rewritten.moves;
    for step in &mut moves {
        step.line += lines;
    }
    moves.sort_by_key(|step| step.line);
    Ok(Migration {
        moves,
        warnings: in_file_all(rewritten.warnings),
        ..rewritten
    })
}

/// Rewrites one document. Positions are those of the document.
fn rewrite_document(body: &str, chart: &Chart) -> Result<Migration, Vec<Diagnostic>> {
    let unchanged = |holds_values| Migration {
        text: body.to_owned(),
        moves: Vec::new(),
        warnings: Vec::new(),
        holds_values,
    };
    if !values_files::may_hold_values(body) {
        return Ok(unchanged(false));
    }
    if body.len() > MAX_BYTES {
        let message = format!(
            "the values have {} bytes, and no more than {MAX_BYTES} are read",
            body.len()
        );
        let help = "a config can't be larger: a Kubernetes Secret holds no more";
        return Err(vec![Diagnostic::error(message).help(help)]);
    }
    let tree = Tree::parse(body).map_err(|error| {
        let problem = Diagnostic::error(format!("this is not YAML: {}", error.message));
        vec![problem.at(Location {
            position: Some(error.position),
            ..Location::default()
        })]
    })?;
    let Some(root) = tree.root().filter(|root| !root.is_null()) else {
        return Ok(unchanged(false));
    };
    let Some(releases) = values_files::releases(root, chart) else {
        return Ok(unchanged(false));
    };
    let mut rewrite = Rewrite::new(body, root, ValuesPath::default());
    for release in &releases {
        rewrite.release(release);
    }
    if !rewrite.errors.is_empty() {
        return Err(rewrite.errors);
    }
    let moves = std::mem::take(&mut rewrite.moves);
    let warnings = std::mem::take(&mut rewrite.warnings);
    if moves.is_empty() {
        return Ok(Migration {
            warnings,
            ..unchanged(true)
        });
    }
    let first = moves.iter().map(|step| step.line).min();
    match rewrite.verified() {
        Some(text) => Ok(Migration {
            text,
            moves,
            warnings,
            holds_values: true,
        }),
        None => Err(vec![beyond_rewriting(&moves, first)]),
    }
}

/// The error for a text that would mean something else after the change.
fn beyond_rewriting(moves: &[Move], line: Option<usize>) -> Diagnostic {
    let steps: Vec<String> = moves
        .iter()
        .filter_map(|step| Some(format!("{} to {}", step.from, step.to.as_ref()?)))
        .collect();
    Diagnostic::error("the deprecated fields are written in a way that can't be rewritten safely")
        .help(format!("move by hand: {}", steps.join("; ")))
        .at(Location {
            position: line.map(|line| Position { line, column: 1 }),
            ..Location::default()
        })
}

/// The networkPolicy object of values, and its path.
fn config(values: Node<'_>, may_be_config: bool) -> Option<(Node<'_>, ValuesPath)> {
    let root = ValuesPath::default();
    if let Some(policies) = values.get("policies") {
        let node = policies.get("networkPolicy")?;
        return Some((node, root.key("policies").key("networkPolicy")));
    }
    if !may_be_config {
        return None;
    }
    if let Some(node) = values.get("networkPolicy") {
        return Some((node, root.key("networkPolicy")));
    }
    fields::FIELDS
        .iter()
        .any(|field| values.get(field).is_some())
        .then_some((values, root))
}

/// A text being rewritten: a document, or the values in a string of one.
struct Rewrite<'t> {
    lines: Lines<'t>,
    /// The path of the text's root in the document.
    base: ValuesPath,
    /// The object whose values are being rewritten, in words.
    object: Option<String>,
    edits: Vec<Edit>,
    moves: Vec<Move>,
    warnings: Vec<Diagnostic>,
    /// Errors with path and position in the text.
    errors: Vec<Diagnostic>,
    /// What the new text must mean.
    expected: Value,
    /// Strings that hold values, and what those must mean.
    texts: Vec<(ValuesPath, Value)>,
    /// Whether the release has a config, here or in a string.
    has_config: bool,
    /// Where the configs begin that were rewritten. An alias leads to one of them again.
    rewritten: HashSet<usize>,
}

impl<'t> Rewrite<'t> {
    fn new(text: &'t str, root: Node<'_>, base: ValuesPath) -> Self {
        Self {
            lines: Lines::new(text),
            base,
            object: None,
            edits: Vec::new(),
            moves: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            expected: root.to_json(),
            texts: Vec::new(),
            has_config: false,
            rewritten: HashSet::new(),
        }
    }

    fn release(&mut self, release: &Release<'_>) {
        self.object.clone_from(&release.object);
        self.has_config = release.chart == Chart::VCluster;
        for part in &release.parts {
            match &part.content {
                Content::Mapping {
                    node,
                    may_be_config,
                } => self.values(*node, &part.path, &release.chart, *may_be_config),
                Content::Text(node) => self.text(part, *node, &release.chart),
                Content::Parameters(parameters) => self.parameters(parameters, part),
            }
        }
        let place = Location {
            object: release.object.clone(),
            ..Location::default()
        };
        // Other charts have values from elsewhere too, and they do not matter here.
        if self.has_config {
            self.warnings.extend(release.elsewhere_warnings(&place));
        }
    }

    /// Rewrites values, which are at `path` in this text.
    fn values(&mut self, root: Node<'_>, path: &ValuesPath, chart: &Chart, may_be_config: bool) {
        let sites = values_files::sites(root, chart);
        if let Some(outside) = &sites.outside {
            let place = Location {
                object: self.object.clone(),
                ..Location::default()
            };
            let warning = outside.warning(&place, &self.base.join(path), outside.position());
            self.warnings.push(warning);
        }
        for (site, node) in sites.found {
            let may_be_config = may_be_config && site.is_root();
            self.site(node, &path.join(&site), may_be_config);
        }
    }

    /// Rewrites the values of one virtual cluster.
    fn site(&mut self, node: Node<'_>, path: &ValuesPath, may_be_config: bool) {
        let full = self.base.join(path);
        let meaning = match config(node, may_be_config) {
            Some((config, below)) => {
                if self.rewritten.insert(config.span().start) {
                    self.network_policy(config, &full.join(&below).to_string());
                }
                let mut json = node.to_json();
                if let Some(slot) = below.find_mut(&mut json) {
                    *slot = fields::expected(&config.to_json());
                }
                Some(json)
            }
            None => self.isolation(node, &full),
        };
        self.has_config |= meaning.is_some();
        if let (Some(meaning), Some(slot)) = (meaning, path.find_mut(&mut self.expected)) {
            *slot = meaning;
        }
    }

    /// Rewrites values that are YAML in a string.
    fn text(&mut self, part: &Part<'_>, node: Node<'_>, chart: &Chart) {
        let body = self.lines.text;
        let literal = values_files::literal(body, node);
        let decoded = node.text().unwrap_or_default();
        let text = match &literal {
            Some(literal) => body.get(literal.range.clone()).unwrap_or_default(),
            None => decoded.as_ref(),
        };
        let tree = match Tree::parse(text) {
            Ok(tree) => tree,
            Err(error) if values_files::concerns_policies(text) => {
                let message = format!("the values are not YAML: {}", error.message);
                self.error(node, &part.path.to_string(), message, "correct them");
                return;
            }
            Err(_) => return,
        };
        let Some(root) = tree.root().filter(|root| root.is_mapping()) else {
            return;
        };
        let mut inner = Rewrite::new(text, root, self.base.join(&part.path));
        inner.object.clone_from(&self.object);
        inner.values(root, &ValuesPath::default(), chart, false);
        match literal {
            Some(literal) => self.absorb(inner, part, &literal),
            None if inner.moves.is_empty() && inner.errors.is_empty() => {}
            None => self.error(
                node,
                &part.path.to_string(),
                "the values have deprecated fields, but are not in a literal block, so they can't \
                 be rewritten",
                "write them as a block behind `|`, and run this again",
            ),
        }
    }

    /// Takes over the changes of a part of the text.
    fn absorb(&mut self, inner: Rewrite<'_>, part: &Part<'_>, literal: &Literal) {
        let (start, lines) = (literal.range.start, literal.lines_before);
        let in_text = |mut problem: Diagnostic| {
            let position = problem.place.position;
            problem.place.position = position.map(|position| position.behind_lines(lines));
            problem
        };
        self.edits.extend(inner.edits.into_iter().map(|edit| Edit {
            span: start + edit.span.start..start + edit.span.end,
            text: edit.text,
        }));
        self.moves.extend(inner.moves.into_iter().map(|step| Move {
            line: step.line + lines,
            ..step
        }));
        self.warnings
            .extend(inner.warnings.into_iter().map(in_text));
        self.errors.extend(inner.errors.into_iter().map(in_text));
        self.has_config |= inner.has_config;
        self.texts.push((part.path.clone(), inner.expected));
    }

    /// Refuses single values of deprecated fields: a part of a list or of a block can't be moved.
    fn parameters(&mut self, parameters: &[Parameter], part: &Part<'_>) {
        for parameter in parameters {
            let Some((field, successor)) = deprecated_parameter(&parameter.name) else {
                continue;
            };
            self.errors.push(
                Diagnostic::error(format!(
                    "the parameter sets the deprecated field {field}, and parameters are not \
                     rewritten"
                ))
                .help(successor.map_or_else(
                    || "remove the parameter".to_owned(),
                    |successor| format!("set {successor} instead"),
                ))
                .at(Location {
                    object: self.object.clone(),
                    path: Some(self.base.join(&part.path).to_string()),
                    position: Some(parameter.position),
                    ..Location::default()
                }),
            );
        }
    }

    fn error(&mut self, node: Node<'_>, path: &str, message: impl Into<String>, help: &str) {
        self.errors
            .push(Diagnostic::error(message).help(help).at(Location {
                object: self.object.clone(),
                path: Some(path.to_owned()),
                position: Some(node.position()),
                ..Location::default()
            }));
    }

    fn moved(&mut self, key: Node<'_>, from: String, to: Option<String>) {
        let line = key.position().line;
        self.moves.push(Move { from, to, line });
    }

    fn replace(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.edits.push(Edit {
            span,
            text: text.into(),
        });
    }

    /// Whole lines put in at the beginning of a line, or at the end of the text.
    fn insert(&mut self, at: usize, text: &str) {
        let cut_short = !self.lines.get(0..at).ends_with('\n');
        let eol = if cut_short { self.lines.eol } else { "" };
        self.replace(at..at, format!("{eol}{text}"));
    }

    /// The new text, if it means what it must mean.
    fn verified(mut self) -> Option<String> {
        let old = self.lines.text;
        let pieces = edit::apply(old.as_bytes(), self.edits).ok()?;
        let mut text = String::from_utf8(pieces.concat()).ok()?;
        if !old.ends_with('\n') && text.ends_with('\n') {
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
        }
        let json = |text: &str| Some(Tree::parse(text).ok()?.root()?.to_json());
        let mut now = json(&text)?;
        for (path, meaning) in &self.texts {
            let Value::String(values) = path.find_mut(&mut now)?.take() else {
                return None;
            };
            if json(&values)? != *meaning {
                return None;
            }
            path.find_mut(&mut self.expected)?.take();
        }
        (now == self.expected).then_some(text)
    }
}

/// The deprecated field that a parameter sets, and what replaces it.
fn deprecated_parameter(name: &str) -> Option<(String, Option<String>)> {
    const CONFIG: &str = "policies.networkPolicy";
    const LEGACY: &str = "isolation.networkPolicy";
    if field_below(name, LEGACY).is_some() {
        return Some((LEGACY.to_owned(), Some(CONFIG.to_owned())));
    }
    let field = field_below(name, CONFIG)?;
    let deprecated = fields::DEPRECATED.iter().find(|(deprecated, _)| {
        let behind = field.strip_prefix(deprecated);
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['.', '[']))
    });
    deprecated.map(|(field, successor)| {
        let successor = successor.map(|successor| format!("{CONFIG}.{successor}"));
        (format!("{CONFIG}.{field}"), successor)
    })
}

/// What a path names below an object, which may be at the root or below other keys.
fn field_below<'n>(name: &'n str, object: &str) -> Option<&'n str> {
    let (before, field) = name.split_once(object)?;
    let is_key = before.is_empty() || before.ends_with('.');
    field.strip_prefix('.').filter(|_| is_key)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
