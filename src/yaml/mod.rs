//! One YAML document as a tree whose every node knows its place in the text.
//!
//! The tree keeps what editors and error messages need and a plain value loses: byte spans, lines,
//! quoting, duplicate keys, aliases. Scalars mean what they mean to Helm and kubectl (YAML 1.1 as
//! Go reads it, see [`scalar`]). It does not cut streams and knows nothing of Kubernetes.

pub mod scalar;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use crate::report::Position;
pub use scalar::Scalar;

/// The largest number of nodes that a document may have once its aliases are written out, beyond
/// those that it has anyway.
const MAX_EXPANDED_NODES: usize = 200_000;

/// The largest number of bytes of text that its aliases may stand for.
const MAX_EXPANDED_BYTES: usize = 8 * 1024 * 1024;

/// How many levels of merge keys (`<<`) are followed.
const MAX_MERGE_DEPTH: usize = 16;

/// Why a text is not one readable YAML document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// What is wrong. Never holds text of the document.
    pub message: String,
    /// Where.
    pub position: Position,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        write!(f, "line {line}, column {column}: {}", self.message)
    }
}

impl std::error::Error for YamlError {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NodeId(usize);

#[derive(Debug)]
struct NodeData<'t> {
    content: Content<'t>,
    span: Range<usize>,
    position: Position,
    tag: Option<String>,
}

#[derive(Debug)]
enum Content<'t> {
    Scalar {
        text: Cow<'t, str>,
        plain: bool,
    },
    Sequence {
        items: Vec<Child>,
        flow: bool,
    },
    Mapping {
        pairs: Vec<(Child, Child)>,
        flow: bool,
    },
}

/// A child: its node, and the span of the alias where it stands for another node.
#[derive(Debug, Clone)]
struct Child {
    node: NodeId,
    alias: Option<(Range<usize>, Position)>,
}

/// A YAML document.
#[derive(Debug)]
pub struct Tree<'t> {
    text: &'t str,
    nodes: Vec<NodeData<'t>>,
    root: Option<NodeId>,
    aliases: Vec<(Range<usize>, NodeId)>,
}

/// A node of a [`Tree`].
#[derive(Clone, Copy)]
pub struct Node<'a> {
    tree: &'a Tree<'a>,
    data: &'a NodeData<'a>,
    alias: Option<&'a (Range<usize>, Position)>,
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} at {:?})", self.kind(), self.position())
    }
}

impl<'t> Tree<'t> {
    /// Reads one document.
    ///
    /// # Errors
    /// When the text is not YAML, holds a second document, nests deeper than 255 levels, or has an
    /// alias inside its own anchor.
    pub fn parse(text: &'t str) -> Result<Self, YamlError> {
        Builder::default().build(text)
    }

    /// The root node; `None` for a document of comments and blanks.
    #[must_use]
    pub fn root<'a>(&'a self) -> Option<Node<'a>>
    where
        't: 'a,
    {
        self.root.and_then(|id| self.node(id, None))
    }

    fn node<'a>(
        &'a self,
        id: NodeId,
        alias: Option<&'a (Range<usize>, Position)>,
    ) -> Option<Node<'a>>
    where
        't: 'a,
    {
        // `Tree<'t>` and `NodeData<'t>` are covariant, so both shorten to the borrow.
        let tree: &'a Tree<'a> = self;
        let data = tree.nodes.get(id.0)?;
        Some(Node { tree, data, alias })
    }

    /// Whether something outside of `span` refers to an anchor inside of it.
    #[must_use]
    pub fn is_referred_to(&self, span: &Range<usize>) -> bool {
        self.aliases.iter().any(|(alias, target)| {
            let inside = |r: &Range<usize>| span.start <= r.start && r.end <= span.end;
            !inside(alias)
                && self
                    .nodes
                    .get(target.0)
                    .is_some_and(|node| inside(&node.span))
        })
    }

    /// Refuses a document that grows beyond all measure once its aliases are written out.
    ///
    /// # Errors
    /// When it does (an "alias bomb").
    pub fn check_expansion(&self) -> Result<(), YamlError> {
        let nodes = self.nodes.len().saturating_add(MAX_EXPANDED_NODES);
        let bytes = self.text.len().saturating_add(MAX_EXPANDED_BYTES);
        let mut sizes = vec![(1_usize, 0_usize); self.nodes.len()];
        for (id, node) in self.in_order_of_completion() {
            let add = |sum: (usize, usize), child: &Child| {
                let (n, b) = sizes.get(child.node.0).copied().unwrap_or((1, 0));
                (sum.0.saturating_add(n), sum.1.saturating_add(b))
            };
            let size = match &node.content {
                Content::Scalar { text, .. } => (1, text.len()),
                Content::Sequence { items, .. } => items.iter().fold((1, 0), add),
                Content::Mapping { pairs, .. } => {
                    pairs.iter().flat_map(|(k, v)| [k, v]).fold((1, 0), add)
                }
            };
            if size.0 > nodes || size.1 > bytes {
                return Err(YamlError {
                    message: "the document grows beyond all measure once its aliases are written \
                              out"
                    .to_owned(),
                    position: node.position,
                });
            }
            if let Some(slot) = sizes.get_mut(id) {
                *slot = size;
            }
        }
        Ok(())
    }

    /// The nodes such that all that a node holds, aliases too, comes before it.
    fn in_order_of_completion(&self) -> impl Iterator<Item = (usize, &NodeData<'t>)> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        // A container ends after all that it holds and begins before: by end, and where the ends
        // are equal the later beginning (the higher index) first.
        order.sort_by_key(|&i| {
            let end = self.nodes.get(i).map_or(0, |n| n.span.end);
            (end, usize::MAX - i)
        });
        order
            .into_iter()
            .filter_map(|i| self.nodes.get(i).map(|n| (i, n)))
    }
}

impl<'a> Node<'a> {
    /// Where the node begins in the text (at the alias, where it is one).
    #[must_use]
    pub fn position(self) -> Position {
        self.alias.map_or(self.data.position, |(_, p)| *p)
    }

    /// The bytes of the text that the node takes (those of the alias, where it is one).
    #[must_use]
    pub fn span(self) -> Range<usize> {
        self.alias
            .map_or_else(|| self.data.span.clone(), |(s, _)| s.clone())
    }

    /// The column at which the node begins, counted from 0, an anchor or tag before it included.
    #[must_use]
    pub fn column(self) -> usize {
        let start = self.span().start;
        let line = self.tree.text.get(..start).unwrap_or_default();
        line.chars().rev().take_while(|c| *c != '\n').count()
    }

    /// Whether the node is an alias that stands for another.
    #[must_use]
    pub fn is_alias(self) -> bool {
        self.alias.is_some()
    }

    /// What the node is, in a user's words.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self.scalar() {
            Some(Scalar::Null) => "null",
            Some(Scalar::Bool(_)) => "a boolean",
            Some(Scalar::Int(_) | Scalar::BigInt | Scalar::Float(_)) => "a number",
            Some(Scalar::String(_)) => "a string",
            None if self.is_mapping() => "a mapping",
            None => "a list",
        }
    }

    /// The text of a scalar, whatever type YAML gives it; `None` for null and for collections.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self.scalar()? {
            Scalar::Null => None,
            Scalar::String(text) => Some(text),
            _ => self.raw_text().map(Cow::Borrowed),
        }
    }

    fn raw_text(self) -> Option<&'a str> {
        match &self.data.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The value of a scalar; `None` for collections.
    #[must_use]
    pub fn scalar(self) -> Option<Scalar<'a>> {
        match &self.data.content {
            Content::Scalar { text, plain } => {
                Some(scalar::resolve(text, *plain, self.data.tag.as_deref()))
            }
            _ => None,
        }
    }

    /// Whether the node is absent in effect: null, `~` or nothing at all.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self.scalar(), Some(Scalar::Null))
    }

    /// Whether the node is a mapping.
    #[must_use]
    pub fn is_mapping(self) -> bool {
        matches!(self.data.content, Content::Mapping { .. })
    }

    /// Whether the node is a sequence.
    #[must_use]
    pub fn is_sequence(self) -> bool {
        matches!(self.data.content, Content::Sequence { .. })
    }

    /// Whether the node is a collection in flow style (`{}`, `[]`, JSON).
    #[must_use]
    pub fn is_flow(self) -> bool {
        matches!(
            self.data.content,
            Content::Mapping { flow: true, .. } | Content::Sequence { flow: true, .. }
        )
    }

    /// The items of a sequence; none for anything else.
    pub fn items(self) -> impl Iterator<Item = Node<'a>> {
        let items: &[Child] = match &self.data.content {
            Content::Sequence { items, .. } => items,
            _ => &[],
        };
        items.iter().filter_map(move |c| self.child(c))
    }

    /// The pairs of a mapping as they are written, duplicates and merge keys among them; none for
    /// anything else.
    pub fn pairs(self) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
        let pairs: &[(Child, Child)] = match &self.data.content {
            Content::Mapping { pairs, .. } => pairs,
            _ => &[],
        };
        pairs
            .iter()
            .filter_map(move |(k, v)| Some((self.child(k)?, self.child(v)?)))
    }

    /// The pairs of a mapping with merge keys (`<<`) applied and, of duplicate keys, the last one.
    #[must_use]
    pub fn entries(self) -> Vec<(Cow<'a, str>, Node<'a>)> {
        let mut entries = Vec::new();
        self.collect_entries(&mut entries, &mut HashMap::new(), 0);
        entries
    }

    /// `places` says where in `entries` each key is.
    fn collect_entries(
        self,
        entries: &mut Vec<(Cow<'a, str>, Node<'a>)>,
        places: &mut HashMap<Cow<'a, str>, usize>,
        depth: usize,
    ) {
        let mut merges = Vec::new();
        let known = entries.len();
        for (key, value) in self.pairs() {
            if key.is_merge_key() {
                merges.push(value);
                continue;
            }
            let Some(text) = key.key_text() else { continue };
            match places.get(&text) {
                Some(&i) if i >= known => {
                    if let Some(entry) = entries.get_mut(i) {
                        entry.1 = value;
                    }
                }
                Some(_) => {}
                None => {
                    places.insert(text.clone(), entries.len());
                    entries.push((text, value));
                }
            }
        }
        if depth < MAX_MERGE_DEPTH {
            for merge in merges {
                if merge.is_mapping() {
                    merge.collect_entries(entries, places, depth + 1);
                }
                for source in merge.items() {
                    source.collect_entries(entries, places, depth + 1);
                }
            }
        }
    }

    /// The value of a key: the last of duplicates, else what a merge key brings.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        self.entry(key, 0)
    }

    fn entry(self, wanted: &str, depth: usize) -> Option<Node<'a>> {
        let mut found = None;
        let mut merges = Vec::new();
        for (key, value) in self.pairs() {
            if key.is_merge_key() {
                merges.push(value);
            } else if key.key_text().is_some_and(|text| text == wanted) {
                found = Some(value);
            }
        }
        if found.is_some() || depth >= MAX_MERGE_DEPTH {
            return found;
        }
        merges.into_iter().find_map(|merge| {
            if merge.is_mapping() {
                return merge.entry(wanted, depth + 1);
            }
            merge.items().find_map(|m| m.entry(wanted, depth + 1))
        })
    }

    /// The value at the end of a path of keys.
    #[must_use]
    pub fn dig(self, path: &[&str]) -> Option<Node<'a>> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The node at the end of a path such as `egress[0].to[1].ipBlock` or `labels["a.b/c"]`.
    #[must_use]
    pub fn at_path(self, path: &str) -> Option<Node<'a>> {
        let mut node = self;
        let mut rest = path;
        while !rest.is_empty() {
            if let Some(bracket) = rest.strip_prefix('[') {
                if let Some(quoted) = bracket.strip_prefix('"') {
                    let end = quoted.find("\"]")?;
                    node = node.get(quoted.get(..end)?)?;
                    rest = quoted.get(end + 2..)?;
                } else {
                    let end = bracket.find(']')?;
                    let index: usize = bracket.get(..end)?.parse().ok()?;
                    node = node.items().nth(index)?;
                    rest = bracket.get(end + 1..)?;
                }
            } else {
                let field = rest.strip_prefix('.').unwrap_or(rest);
                let end = field.find(['.', '[']).unwrap_or(field.len());
                node = node.get(field.get(..end)?)?;
                rest = field.get(end..)?;
            }
        }
        Some(node)
    }

    /// Whether the node is a merge key (`<<`, unquoted).
    #[must_use]
    pub fn is_merge_key(self) -> bool {
        matches!(&self.data.content, Content::Scalar { text, plain: true } if text == "<<")
    }

    /// The node as the key of a mapping: the text of its scalar.
    #[must_use]
    pub fn key_text(self) -> Option<Cow<'a, str>> {
        match self.scalar()? {
            Scalar::String(text) => Some(text),
            _ => self.raw_text().map(Cow::Borrowed),
        }
    }

    /// The node as the key that Helm and kubectl make of it: to them `0x10` is the key `16`, and
    /// `yes` the key `true`.
    #[must_use]
    pub fn json_key(self) -> Option<Cow<'a, str>> {
        match self.scalar()? {
            Scalar::Bool(b) => Some(Cow::Borrowed(if b { "true" } else { "false" })),
            Scalar::Int(i) => Some(Cow::Owned(i.to_string())),
            Scalar::Float(f) => Some(Cow::Owned(scalar::float_to_key(f))),
            _ => self.key_text(),
        }
    }

    /// The value as JSON, the way Helm and kubectl convert it: merge keys applied, the last of
    /// duplicate keys, every key a string.
    ///
    /// Call [`Tree::check_expansion`] first on a document from outside.
    #[must_use]
    pub fn to_json(self) -> serde_json::Value {
        use serde_json::Value;
        match self.scalar() {
            Some(Scalar::Null) => Value::Null,
            Some(Scalar::Bool(b)) => Value::Bool(b),
            Some(Scalar::Int(i)) => Value::from(i),
            Some(Scalar::Float(f)) => scalar::float_to_json(f),
            Some(Scalar::BigInt) => Value::String(self.raw_text().unwrap_or_default().to_owned()),
            Some(Scalar::String(text)) => Value::String(text.into_owned()),
            None if self.is_mapping() => Value::Object(
                self.entries()
                    .into_iter()
                    .map(|(key, value)| (key.into_owned(), value.to_json()))
                    .collect(),
            ),
            None => Value::Array(self.items().map(Node::to_json).collect()),
        }
    }

    fn child(self, child: &'a Child) -> Option<Node<'a>> {
        self.tree.node(child.node, child.alias.as_ref())
    }
}

/// Puts events together to a tree, without recursion.
#[derive(Default)]
struct Builder<'t> {
    nodes: Vec<NodeData<'t>>,
    root: Option<NodeId>,
    aliases: Vec<(Range<usize>, NodeId)>,
    anchors: HashMap<usize, NodeId>,
    /// The open collections, each with the key that waits for its value.
    open: Vec<(NodeId, Option<Child>)>,
    /// Whether the document has begun.
    begun: bool,
    /// Where the last thing that was read ends.
    end: usize,
}

impl<'t> Builder<'t> {
    fn build(mut self, text: &'t str) -> Result<Tree<'t>, YamlError> {
        let options = granit_parser::options! { emit_comments: false };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|e| YamlError {
                message: e.info(),
                position: position(*e.marker()),
            })?;
            self.take(text, event, span)?;
        }
        Ok(Tree {
            text,
            nodes: self.nodes,
            root: self.root,
            aliases: self.aliases,
        })
    }

    fn take(&mut self, text: &'t str, event: Event<'t>, span: Span) -> Result<(), YamlError> {
        let range = span.byte_range().unwrap_or(self.end..self.end);
        let place = position(span.start);
        // A tag stands before the node that it belongs to.
        let start = span
            .tag_span()
            .and_then(|t| t.byte_range())
            .map_or(range.start, |t| t.start.min(range.start));
        match event {
            Event::DocumentStart(..) => {
                if self.begun {
                    return Err(YamlError {
                        message: "a second document begins here".to_owned(),
                        position: place,
                    });
                }
                self.begun = true;
            }
            Event::Scalar(value, style, anchor, tag) => {
                let nothing = range.is_empty() && style == ScalarStyle::Plain;
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let raw = text.get(range.clone()).unwrap_or_default();
                let value = with_breaks_of_yaml_1_1(value, raw, style, place.column - 1);
                let end = if nothing {
                    behind_colon(text, range.end)
                } else if block && raw.trim().is_empty() {
                    // An empty block scalar's mark lies at the next node; its header ends it.
                    let line = text.get(self.end..).unwrap_or_default();
                    let header = line.split_inclusive('\n').find(|l| l.contains(['|', '>']));
                    let before: usize = line
                        .split_inclusive('\n')
                        .take_while(|l| !l.contains(['|', '>']))
                        .map(str::len)
                        .sum();
                    self.end + before + header.map_or(0, |l| l.trim_end().len())
                } else {
                    block_end(text, &range, block)
                };
                // Nothing takes no bytes, unless a tag says of what type it is.
                let start = if nothing && start == range.start {
                    end
                } else {
                    start.min(end)
                };
                self.end = self.end.max(end);
                let id = self.add(NodeData {
                    content: Content::Scalar {
                        text: if nothing { Cow::Borrowed("") } else { value },
                        plain: style == ScalarStyle::Plain,
                    },
                    span: start..end,
                    position: place,
                    tag: tag.map(|t| t.to_string()),
                });
                self.anchor(anchor, id);
                self.attach(Child {
                    node: id,
                    alias: None,
                });
            }
            Event::Alias(anchor) => self.alias(anchor, range, place)?,
            Event::SequenceStart(style, anchor, tag) => {
                let content = Content::Sequence {
                    items: Vec::new(),
                    flow: style == StructureStyle::Flow,
                };
                self.begin(content, start, place, anchor, tag.map(|t| t.to_string()));
            }
            Event::MappingStart(style, anchor, tag) => {
                let content = Content::Mapping {
                    pairs: Vec::new(),
                    flow: style == StructureStyle::Flow,
                };
                self.begin(content, start, place, anchor, tag.map(|t| t.to_string()));
            }
            Event::SequenceEnd | Event::MappingEnd => self.finish(range.end),
            _ => {}
        }
        Ok(())
    }

    fn alias(
        &mut self,
        anchor: usize,
        range: Range<usize>,
        place: Position,
    ) -> Result<(), YamlError> {
        self.end = self.end.max(range.end);
        let Some(&target) = self.anchors.get(&anchor) else {
            return Ok(());
        };
        if self.open.iter().any(|(id, _)| *id == target) {
            return Err(YamlError {
                message: "an alias stands inside the node that it refers to".to_owned(),
                position: place,
            });
        }
        self.aliases.push((range.clone(), target));
        self.attach(Child {
            node: target,
            alias: Some((range, place)),
        });
        Ok(())
    }

    /// Closes the innermost open collection. One in block style ends with the last thing in it: the
    /// parser's own mark lies behind the comments that follow.
    fn finish(&mut self, mark: usize) {
        let Some((id, _)) = self.open.pop() else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(id.0) {
            let flow = matches!(
                node.content,
                Content::Mapping { flow: true, .. } | Content::Sequence { flow: true, .. }
            );
            if flow {
                self.end = self.end.max(mark);
            }
            node.span.end = node.span.start.max(self.end);
        }
    }

    fn begin(
        &mut self,
        content: Content<'t>,
        start: usize,
        place: Position,
        anchor: usize,
        tag: Option<String>,
    ) {
        let id = self.add(NodeData {
            content,
            span: start..start,
            position: place,
            tag,
        });
        self.anchor(anchor, id);
        self.attach(Child {
            node: id,
            alias: None,
        });
        self.open.push((id, None));
    }

    fn add(&mut self, node: NodeData<'t>) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    fn anchor(&mut self, anchor: usize, id: NodeId) {
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
    }

    fn attach(&mut self, child: Child) {
        let Some((parent, key)) = self.open.last_mut() else {
            self.root.get_or_insert(child.node);
            return;
        };
        match self.nodes.get_mut(parent.0).map(|n| &mut n.content) {
            Some(Content::Sequence { items, .. }) => items.push(child),
            Some(Content::Mapping { pairs, .. }) => match key.take() {
                Some(key) => pairs.push((key, child)),
                None => *key = Some(child),
            },
            _ => {}
        }
    }
}

/// YAML 1.1, which Go writes and reads, knows three more line breaks than 1.2: NEL, LS and PS.
///
/// The indentation behind them is no content; NEL is a plain line break, which becomes a space
/// where lines are folded, and the other two stay as they are (YAML 1.1, section 4.1.4).
fn with_breaks_of_yaml_1_1<'t>(
    value: Cow<'t, str>,
    raw: &str,
    style: ScalarStyle,
    indentation: usize,
) -> Cow<'t, str> {
    let breaks = ['\u{85}', '\u{2028}', '\u{2029}'];
    let escaped = style == ScalarStyle::DoubleQuoted && raw.contains('\\');
    if escaped || style == ScalarStyle::Folded || !value.contains(breaks) {
        return value;
    }
    let literal = style == ScalarStyle::Literal;
    let mut clean = String::with_capacity(value.len());
    for (i, line) in value.split_inclusive(breaks).enumerate() {
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        let skip = match i {
            0 => 0,
            _ if literal => blanks.min(indentation),
            _ => blanks,
        };
        let nel = if literal { "\n" } else { " " };
        clean.push_str(&line.get(skip..).unwrap_or_default().replace('\u{85}', nel));
    }
    Cow::Owned(clean)
}

/// The end of a value that is nothing at all: behind the colon of its key, where it has one.
fn behind_colon(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    if rest.get(blanks..).is_some_and(|r| r.starts_with(':')) {
        at + blanks + 1
    } else {
        at
    }
}

/// The end of a scalar: a block scalar's mark lies at the next token, behind blanks.
fn block_end(text: &str, range: &Range<usize>, block: bool) -> usize {
    let taken = text.get(range.clone()).unwrap_or_default();
    if block {
        range.start + taken.trim_end().len()
    } else {
        range.end
    }
}

fn position(marker: granit_parser::Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_path_and_the_last_duplicate_wins() {
        let tree = Tree::parse("a:\n  b: 1\n  b: 2\n").unwrap();
        let b = tree.root().unwrap().dig(&["a", "b"]).unwrap();
        assert_eq!(b.text().unwrap(), "2");
        assert_eq!(b.position(), Position { line: 3, column: 6 });
    }

    #[test]
    fn merge_keys_yield_to_the_keys_beside_them() {
        let tree = Tree::parse("x: &x {k: 1, l: 2}\ny:\n  <<: *x\n  l: 3\n").unwrap();
        let y = tree.root().unwrap().get("y").unwrap();
        assert_eq!(y.to_json(), serde_json::json!({"l": 3, "k": 1}));
        assert_eq!(y.get("k").unwrap().text().unwrap(), "1");
    }

    #[test]
    fn a_block_collection_ends_with_its_last_node() {
        let text = "items:\n- a: |\n    x\n\n  # tail\n- b: [1]\n";
        let tree = Tree::parse(text).unwrap();
        let spans: Vec<&str> = tree
            .root()
            .unwrap()
            .get("items")
            .unwrap()
            .items()
            .map(|n| &text[n.span()])
            .collect();
        assert_eq!(spans, ["a: |\n    x", "b: [1]"]);
    }

    #[test]
    fn an_empty_value_ends_behind_its_colon() {
        let text = "- a:\n    b:\n- c: |\n- d: !!str\n- &x e: >-\n\n- f: # g\n";
        let tree = Tree::parse(text).unwrap();
        let spans: Vec<&str> = tree
            .root()
            .unwrap()
            .items()
            .map(|n| &text[n.span()])
            .collect();
        assert_eq!(spans, ["a:\n    b:", "c: |", "d: !!str", "&x e: >-", "f:"]);
    }

    #[test]
    fn line_breaks_of_yaml_1_1_end_lines() {
        let tree = Tree::parse("a:\n    b: |-\n        x\u{2028}        y\n         z\n").unwrap();
        let b = tree.root().unwrap().dig(&["a", "b"]).unwrap();
        assert_eq!(b.text().unwrap(), "x\u{2028}y\n z");
        let tree = Tree::parse("a: 'x\u{2028}   y\u{85} z'\nb: \"x\\L  y\"\n").unwrap();
        let root = tree.root().unwrap();
        assert_eq!(root.get("a").unwrap().text().unwrap(), "x\u{2028}y z");
        assert_eq!(root.get("b").unwrap().text().unwrap(), "x\u{2028}  y");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 0..9 {
            let ten = vec![format!("*a{i}"); 10].join(", ");
            let next = i + 1;
            text += &[
                "b",
                &i.to_string(),
                ": &a",
                &next.to_string(),
                " [",
                &ten,
                "]\n",
            ]
            .concat();
        }
        let tree = Tree::parse(&text).unwrap();
        assert!(tree.check_expansion().is_err());
        assert!(Tree::parse("a: &a [*a]\n").is_err());
    }

    #[test]
    fn references_from_outside_a_span_are_seen() {
        let text = "- &a {x: 1}\n- *a\n- &b {y: *a}\n";
        let tree = Tree::parse(text).unwrap();
        let spans: Vec<_> = tree.root().unwrap().items().map(Node::span).collect();
        assert!(tree.is_referred_to(&spans[0]));
        assert!(!tree.is_referred_to(&spans[2]));
    }
}
