//! Deprecated fields rewritten to their successors, in the user's own text.
//!
//! Whatever is not concerned keeps its bytes: comments, order, quoting, blank lines, line breaks.
//! What moves takes its comments along. The new text is read again and held against what the old
//! one means, so a text that is beyond this room is refused and never spoilt. It knows values
//! files, config files and VirtualClusterTemplates; files and options are the command's business.

mod fields;
mod legacy;
mod text;

use serde_json::{Map, Value};

use crate::rules::deprecated_field;
use crate::vcluster::config::document::MAX_BYTES;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position};
use manifest::documents;
use manifest::line_index::LineIndex;
use manifest::yaml::{Node, Tree};
use text::{Edit, Lines, apply, indentation};

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The new text; the old one, where there is nothing to do.
    pub text: String,
    /// What has moved, in the order of the text.
    pub moves: Vec<Move>,
    /// What can't be moved, as warnings.
    pub left: Vec<Diagnostic>,
}

/// A field that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The deprecated field.
    pub from: String,
    /// Its successor; `None` where it was empty and is dropped.
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

/// Rewrites the deprecated fields of every document of a text; `place` is the file.
///
/// # Errors
/// When the text is larger than a config may be, when a document is not YAML, when a field and its
/// successor contradict each other, or when the text is written in a way that can't be rewritten
/// with care. Then nothing is rewritten.
pub fn migrate(text: &str, place: &Location) -> Result<Migration, Diagnostics> {
    if text.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes, and no more than {MAX_BYTES} are read",
            text.len()
        );
        let help = "a config can't be larger: a Kubernetes Secret holds no more";
        return Err(Diagnostic::error(message)
            .help(help)
            .at(place.clone())
            .into());
    }
    let mut result = Migration {
        text: String::with_capacity(text.len()),
        moves: Vec::new(),
        left: Vec::new(),
    };
    let mut report = Diagnostics::default();
    let mut at = 0;
    let lines = LineIndex::default();
    for document in documents::split(text.as_bytes()) {
        let body = text.get(document.body.clone()).unwrap_or_default();
        let line = lines.line(text.as_bytes(), document.body.start);
        result.text += text.get(at..document.body.start).unwrap_or_default();
        at = document.body.end;
        match migrate_document(body, line - 1, place) {
            Ok(migrated) => {
                result.text += &migrated.text;
                result.moves.extend(migrated.moves);
                result.left.extend(migrated.left);
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
) -> Result<Migration, Vec<Diagnostic>> {
    let fail = |message: String, position: Option<Position>| {
        let position = position.map(|p| moved_down(p, lines));
        Diagnostic::error(message).at(Location {
            position,
            ..place.clone()
        })
    };
    let tree = Tree::parse(body).map_err(|e| {
        vec![fail(
            format!("this is not YAML: {}", e.message),
            Some(e.position),
        )]
    })?;
    let unchanged = Migration {
        text: body.to_owned(),
        moves: Vec::new(),
        left: Vec::new(),
    };
    let Some(root) = tree.root().filter(|root| root.is_mapping()) else {
        return Ok(unchanged);
    };
    if root.get("kind").and_then(Node::text).as_deref() == Some("VirtualClusterTemplate") {
        return migrate_template(body, root, lines, place).map(|m| m.unwrap_or(unchanged));
    }
    let mut rewrite = Rewrite {
        lines: Lines::new(body),
        edits: Vec::new(),
        moves: Vec::new(),
        left: Vec::new(),
        errors: Vec::new(),
    };
    let expected = match config(root) {
        Some((node, path)) => {
            rewrite.network_policy(node, &path);
            root_with(root, &path, fields::expected(&node.to_json()))
        }
        None => rewrite.isolation(root),
    };
    let place_of = |mut problem: Diagnostic| {
        let position = problem.place.position.map(|p| moved_down(p, lines));
        problem.place = place.at(problem.place.path.unwrap_or_default(), position);
        problem
    };
    if !rewrite.errors.is_empty() {
        return Err(rewrite.errors.into_iter().map(place_of).collect());
    }
    let text = apply(body, rewrite.edits)
        .filter(|text| {
            let tree = Tree::parse(text).ok();
            let root = tree.as_ref().and_then(Tree::root).map(Node::to_json);
            rewrite.moves.is_empty() || root == expected
        })
        .ok_or_else(|| {
            vec![
                fail(
                    "the deprecated fields are written in a way that can't be rewritten safely"
                        .to_owned(),
                    rewrite.moves.first().map(|m| Position {
                        line: m.line,
                        column: 1,
                    }),
                )
                .help(by_hand(&rewrite.moves)),
            ]
        })?;
    let mut moves = rewrite.moves;
    for step in &mut moves {
        step.line += lines;
    }
    moves.sort_by_key(|step| step.line);
    Ok(Migration {
        text,
        moves,
        left: rewrite.left.into_iter().map(place_of).collect(),
    })
}

fn by_hand(moves: &[Move]) -> String {
    let moves: Vec<String> = moves
        .iter()
        .filter_map(|step| Some(format!("{} to {}", step.from, step.to.as_ref()?)))
        .collect();
    format!("move by hand: {}", moves.join("; "))
}

fn moved_down(position: Position, lines: usize) -> Position {
    Position {
        line: position.line + lines,
        ..position
    }
}

/// The networkPolicy object of a text, and its path.
fn config(root: Node<'_>) -> Option<(Node<'_>, Vec<&'static str>)> {
    if let Some(policies) = root.get("policies") {
        let node = policies.get("networkPolicy")?;
        return Some((node, vec!["policies", "networkPolicy"]));
    }
    if let Some(node) = root.get("networkPolicy") {
        return Some((node, vec!["networkPolicy"]));
    }
    let known = [
        "extraControlPlaneRules",
        "extraWorkloadRules",
        "outgoingConnections",
    ];
    known
        .iter()
        .any(|field| root.get(field).is_some())
        .then(|| (root, Vec::new()))
}

/// The JSON of a document with another value at a path.
fn root_with(root: Node<'_>, path: &[&str], value: Value) -> Option<Value> {
    let mut json = root.to_json();
    let slot = path
        .iter()
        .try_fold(&mut json, |json, key| json.get_mut(*key))?;
    *slot = value;
    Some(json)
}

/// Rewrites the values in a VirtualClusterTemplate; `None` where there are none.
fn migrate_template(
    body: &str,
    root: Node<'_>,
    lines: usize,
    place: &Location,
) -> Result<Option<Migration>, Vec<Diagnostic>> {
    const PATH: [&str; 3] = ["spec", "template", "helmRelease"];
    let Some(entry) = root
        .dig(&PATH)
        .and_then(|release| text::Entry::of(release, "values"))
    else {
        return Ok(None);
    };
    let Some(values) = entry.value.text() else {
        return Ok(None);
    };
    let all = Lines::new(body);
    let key_end = entry.key.span().end;
    let start = all.line_end(key_end);
    let column = all.column(entry.key.span().start);
    // The block ends with the first line that is not indented deeper than its key.
    let mut end = start;
    let mut at = start;
    while at < body.len() {
        let next = all.line_end(at);
        let line = all.get(at..next);
        if !line.trim().is_empty() {
            if indentation(line) <= column {
                break;
            }
            end = next;
        }
        at = next;
    }
    let block = all.get(start..end);
    let indent = block
        .lines()
        .find(|line| !line.trim().is_empty())
        .map_or(0, indentation);
    let inner: String = block
        .split_inclusive('\n')
        .map(|line| match line.get(..indent) {
            Some(blanks) if blanks.trim().is_empty() => line.get(indent..).unwrap_or(line),
            _ => line.trim_start_matches(' '),
        })
        .collect();
    let block_line = documents::line_of(body.as_bytes(), start) - 1;
    let inner_place = Location {
        part: Some("spec.template.helmRelease.values".to_owned()),
        ..place.clone()
    };
    let is_literal = all
        .get(key_end..start)
        .trim_start_matches([':', ' '])
        .starts_with('|');
    let same = inner.replace("\r\n", "\n").trim_end() == values.trim_end();
    if !is_literal || !same {
        let migrated = migrate_document(&values, 0, &inner_place)?;
        if !migrated.is_needed() {
            return Ok(None);
        }
        return Err(vec![
            Diagnostic::error("the values are not in a literal block, so they can't be rewritten")
                .help("write them as a block behind `values: |`")
                .at(place.at(
                    "spec.template.helmRelease.values",
                    Some(moved_down(entry.key.position(), lines)),
                )),
        ]);
    }
    let mut migrated = migrate_document(&inner, lines + block_line, &inner_place)?;
    let pad = " ".repeat(indent);
    let indented: String = migrated
        .text
        .split_inclusive('\n')
        .map(|line| {
            if line.trim().is_empty() {
                line.to_owned()
            } else {
                format!("{pad}{line}")
            }
        })
        .collect();
    if migrated.is_needed() {
        let edit = Edit {
            span: start..end,
            text: indented,
        };
        body.clone_into(&mut migrated.text);
        migrated.text = apply(body, vec![edit]).unwrap_or(migrated.text);
    } else {
        body.clone_into(&mut migrated.text);
    }
    Ok(Some(migrated))
}

/// A document being rewritten.
struct Rewrite<'t> {
    lines: Lines<'t>,
    edits: Vec<Edit>,
    moves: Vec<Move>,
    left: Vec<Diagnostic>,
    /// Errors with path and position in the document.
    errors: Vec<Diagnostic>,
}

impl Rewrite<'_> {
    fn error(&mut self, node: Node<'_>, path: &str, message: impl Into<String>, help: &str) {
        self.errors.push(
            Diagnostic::error(message)
                .help(help)
                .at(Location::default().at(path, Some(node.position()))),
        );
    }

    fn moved(&mut self, key: Node<'_>, from: String, to: Option<String>) {
        let line = key.position().line;
        self.moves.push(Move { from, to, line });
    }

    /// `outgoingConnections.platform` has no successor.
    fn platform_stays(&mut self, key: Node<'_>, path: String) {
        self.left.push(
            Diagnostic::warning(
                deprecated_field::RULE.code,
                "the field has no successor and is left as it is; charts since 0.31 refuse it",
            )
            .help(
                "true is the default: then remove it; false is honoured in the annotation \
                 vcluster-netpol/config only",
            )
            .at(Location::default().at(path, Some(key.position()))),
        );
    }

    fn replace(&mut self, span: std::ops::Range<usize>, text: impl Into<String>) {
        self.edits.push(Edit {
            span,
            text: text.into(),
        });
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
