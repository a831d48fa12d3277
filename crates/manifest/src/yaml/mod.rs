//! One YAML document as a tree whose every node knows its place in the text.
//!
//! The tree keeps what editors and error messages need and a plain value loses: byte spans, lines,
//! quoting, duplicate keys, aliases. Scalars mean what they mean to Helm and kubectl (YAML 1.1 as
//! Go reads it, see [`scalar`]). It does not cut streams and knows nothing of Kubernetes.
//!
//! [`Tree::parse`] is the one way to read a text from outside. It refuses what would take too much
//! memory, time or stack of code that walks over the tree: too many bytes or nodes, too deep a
//! nesting, and aliases that stand for too much. A tree that exists is safe to walk with recursion,
//! aliases and merge keys followed.

mod comments;
pub mod dialect;
mod paths;
mod repair;
pub mod scalar;
pub mod write;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use crate::diagnostic::Position;
use crate::line_index::LineIndex;
use paths::step;
pub use paths::{Paths, Step, steps};
pub use scalar::Scalar;

/// The largest number of nodes that a document may have once its aliases are written out, beyond
/// those that it has anyway.
const MAX_EXPANDED_NODES: usize = 200_000;

/// The largest number of bytes of text that its aliases may stand for.
const MAX_EXPANDED_BYTES: usize = 8 * 1024 * 1024;

/// How many collections may lie inside each other once the aliases are written out.
const MAX_DEPTH: u32 = 255;

/// How many anchors a document may have.
const MAX_ANCHORS: usize = 100_000;

/// How large a document may be, and of how many nodes.
#[derive(Debug, Clone, Copy)]
struct Limits {
    bytes: usize,
    nodes: usize,
}

/// The largest document of a stream that is read. Kubernetes stores no object of more than 1.5 MiB,
/// and Helm no release whose manifests take more than 1 MiB compressed: a list of them all is
/// smaller than this.
pub const MAX_MANIFEST_BYTES: usize = 16 * 1024 * 1024;

/// A document of a stream.
const MANIFEST: Limits = Limits {
    bytes: MAX_MANIFEST_BYTES,
    nodes: 4_000_000,
};

/// What `kubectl get` prints of a whole cluster.
const CLUSTER: Limits = Limits {
    bytes: 1024 * 1024 * 1024,
    nodes: 256_000_000,
};

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

/// A node as it is stored: small, as the nodes of a document in flow style take many times the
/// bytes of its text.
///
/// The nodes lie in the order of the text: behind a collection all that it holds, and behind each
/// key its value. An alias is a node of its own, with a target that comes before it.
#[derive(Debug, Clone, Copy)]
struct NodeData {
    /// The bytes that the node takes, its tag included.
    start: u32,
    end: u32,
    /// The byte that its position is: behind the tag.
    place: u32,
    content: Content,
}

#[derive(Debug, Clone, Copy)]
enum Content {
    /// The bytes of its text, in the document or among the decoded texts.
    Scalar {
        from: u32,
        to: u32,
        decoded: bool,
        plain: bool,
        tag: Tag,
    },
    /// The index of the first node that is no longer in it.
    Sequence { after: u32, flow: bool },
    /// Likewise. Keys and values take turns.
    Mapping { after: u32, flow: bool },
    /// The index of the node that it stands for.
    Alias { target: u32 },
}

/// What a tag says, as far as it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    None,
    NonSpecific,
    String,
    Binary,
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    /// Another of YAML's own.
    Standard,
    /// One of somebody's.
    Foreign,
}

impl Tag {
    fn of(tag: Option<&granit_parser::Tag>) -> Self {
        let Some(tag) = tag else { return Self::None };
        match tag.to_string().as_str() {
            "!" => Self::NonSpecific,
            scalar::STR => Self::String,
            scalar::BINARY => Self::Binary,
            scalar::NULL => Self::Null,
            scalar::BOOL => Self::Bool,
            scalar::INT => Self::Int,
            scalar::FLOAT => Self::Float,
            scalar::TIMESTAMP => Self::Timestamp,
            other if other.starts_with(scalar::PREFIX) => Self::Standard,
            _ => Self::Foreign,
        }
    }

    fn text(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::NonSpecific => Some("!"),
            Self::String => Some(scalar::STR),
            Self::Binary => Some(scalar::BINARY),
            Self::Null => Some(scalar::NULL),
            Self::Bool => Some(scalar::BOOL),
            Self::Int => Some(scalar::INT),
            Self::Float => Some(scalar::FLOAT),
            Self::Timestamp => Some(scalar::TIMESTAMP),
            Self::Standard => Some(scalar::PREFIX),
            Self::Foreign => Some("!foreign"),
        }
    }
}

/// A YAML document.
#[derive(Debug)]
pub struct Tree<'t> {
    text: &'t str,
    nodes: Vec<NodeData>,
    /// The texts of scalars that are not in the document as they are: with escapes, or folded.
    decoded: String,
    /// The nodes that aliases stand for, in order, each with the last of its aliases.
    targets: Vec<(u32, u32)>,
    lines: LineIndex,
}

/// A node of a [`Tree`].
#[derive(Clone, Copy)]
pub struct Node<'a> {
    tree: &'a Tree<'a>,
    /// Its index.
    id: u32,
    data: &'a NodeData,
    alias: Option<&'a NodeData>,
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
    /// When the text is not YAML, holds a second document, or has an alias inside its own anchor;
    /// and when it is too large: more than 16 MiB, 4 million nodes, 100,000 anchors or 255 levels,
    /// or more than 200,000 nodes or 8 MiB of text by its aliases.
    pub fn parse(text: &'t str) -> Result<Self, YamlError> {
        Self::parse_within(text, MANIFEST)
    }

    /// Reads one document that may be as large as the objects of a whole cluster: memory grows with
    /// it. All other limits are those of [`parse`](Self::parse).
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_cluster(text: &'t str) -> Result<Self, YamlError> {
        Self::parse_within(text, CLUSTER)
    }

    fn parse_within(text: &'t str, limits: Limits) -> Result<Self, YamlError> {
        if text.len() > limits.bytes {
            let limit = limits.bytes / (1024 * 1024);
            return Err(YamlError {
                message: format!(
                    "the document has {} bytes, and no more than {limit} MiB are read",
                    text.len()
                ),
                position: Position { line: 1, column: 1 },
            });
        }
        let tree = Builder::new(limits).build(text, text);
        if tree.is_ok() && !repair::is_needed(text) {
            return tree;
        }
        let repaired = repair::repaired(text)
            .and_then(|readable| Builder::new(limits).build(text, &readable).ok());
        repaired.map_or(tree, Ok)
    }

    /// The root node; `None` for a document of comments and blanks.
    #[must_use]
    pub fn root<'a>(&'a self) -> Option<Node<'a>>
    where
        't: 'a,
    {
        self.node(0)
    }

    /// A node, or what an alias stands for.
    fn node<'a>(&'a self, id: u32) -> Option<Node<'a>>
    where
        't: 'a,
    {
        // `Tree<'t>` is covariant, so it shortens to the borrow.
        let tree: &'a Tree<'a> = self;
        let data = tree.nodes.get(id as usize)?;
        let Content::Alias { target } = data.content else {
            let alias = None;
            return Some(Node {
                tree,
                id,
                data,
                alias,
            });
        };
        Some(Node {
            tree,
            id: target,
            data: tree.nodes.get(target as usize)?,
            alias: Some(data),
        })
    }

    fn position(&self, offset: u32) -> Position {
        self.lines.position(self.text.as_bytes(), offset as usize)
    }
}

impl NodeData {
    /// The index of the next node that is not in this one, which has an index of its own.
    fn after(&self, id: u32) -> u32 {
        match self.content {
            Content::Sequence { after, .. } | Content::Mapping { after, .. } => after,
            Content::Scalar { .. } | Content::Alias { .. } => id.saturating_add(1),
        }
    }

    fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The nodes that a collection holds, one after the other.
struct Children<'a> {
    tree: &'a Tree<'a>,
    next: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if self.next >= self.end {
            return None;
        }
        let id = self.next;
        self.next = self.tree.nodes.get(id as usize)?.after(id);
        self.tree.node(id)
    }
}

impl<'a> Node<'a> {
    /// Where the node begins in the text (at the alias, where it is one).
    #[must_use]
    pub fn position(self) -> Position {
        self.tree.position(self.alias.unwrap_or(self.data).place)
    }

    /// The bytes of the text that the node takes (those of the alias, where it is one).
    #[must_use]
    pub fn span(self) -> Range<usize> {
        self.alias.unwrap_or(self.data).span()
    }

    /// The column at which the node begins, counted from 0, an anchor or tag before it included.
    #[must_use]
    pub fn column(self) -> usize {
        let start = self.alias.unwrap_or(self.data).start;
        self.tree.position(start).column - 1
    }

    /// Whether the node is an alias that stands for another.
    #[must_use]
    pub fn is_alias(self) -> bool {
        self.alias.is_some()
    }

    /// Whether an alias outside of the node refers to an anchor in its text.
    #[must_use]
    pub fn is_referred_to(self) -> bool {
        // Aliases stand behind their anchors. What an alias stands for is not in its own text.
        let after = self.data.after(self.id);
        let targets = &self.tree.targets;
        let first = targets.partition_point(|(target, _)| *target < self.id);
        self.alias.is_none()
            && targets
                .iter()
                .skip(first)
                .take_while(|(target, _)| *target < after)
                .any(|(_, last)| *last >= after)
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
        let Content::Scalar {
            from, to, decoded, ..
        } = self.data.content
        else {
            return None;
        };
        let whole = if decoded {
            &self.tree.decoded
        } else {
            self.tree.text
        };
        whole.get(from as usize..to as usize)
    }

    /// The value of a scalar; `None` for collections.
    #[must_use]
    pub fn scalar(self) -> Option<Scalar<'a>> {
        match self.data.content {
            Content::Scalar { plain, tag, .. } => {
                Some(scalar::resolve(self.raw_text()?, plain, tag.text()))
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
        self.children(self.is_sequence())
    }

    /// The pairs of a mapping as they are written, duplicates and merge keys among them; none for
    /// anything else.
    pub fn pairs(self) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
        let mut children = self.children(self.is_mapping());
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    fn children(self, any: bool) -> Children<'a> {
        let next = self.id.saturating_add(1);
        Children {
            tree: self.tree,
            next,
            end: if any { self.data.after(self.id) } else { next },
        }
    }

    /// The pairs of a mapping with merge keys (`<<`) applied and, of duplicate keys, the last one.
    #[must_use]
    pub fn entries(self) -> Vec<(Cow<'a, str>, Node<'a>)> {
        let mut entries = Vec::new();
        self.collect_entries(&mut entries, &mut HashMap::new());
        entries
    }

    /// `places` says where in `entries` each key is.
    fn collect_entries(
        self,
        entries: &mut Vec<(Cow<'a, str>, Node<'a>)>,
        places: &mut HashMap<Cow<'a, str>, usize>,
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
        for merge in merges {
            if merge.is_mapping() {
                merge.collect_entries(entries, places);
            }
            for source in merge.items() {
                source.collect_entries(entries, places);
            }
        }
    }

    /// The value of a key: the last of duplicates, else what a merge key brings.
    #[must_use]
    pub fn get(self, wanted: &str) -> Option<Node<'a>> {
        let mut found = None;
        let mut merges = Vec::new();
        for (key, value) in self.pairs() {
            if key.is_merge_key() {
                merges.push(value);
            } else if key.key_text().is_some_and(|text| text == wanted) {
                found = Some(value);
            }
        }
        if found.is_some() {
            return found;
        }
        merges.into_iter().find_map(|merge| {
            if merge.is_mapping() {
                return merge.get(wanted);
            }
            merge.items().find_map(|source| source.get(wanted))
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
            let (step, behind) = step(rest)?;
            node = match step {
                Step::Key(key) => node.get(key)?,
                Step::Item(index) => node.items().nth(index)?,
            };
            rest = behind;
        }
        Some(node)
    }

    /// Whether the node is a merge key (`<<`, unquoted).
    #[must_use]
    pub fn is_merge_key(self) -> bool {
        let plain = matches!(self.data.content, Content::Scalar { plain: true, .. });
        plain && self.raw_text() == Some("<<")
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
}

/// What a node amounts to once its aliases are written out.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    nodes: u32,
    /// The bytes of its texts.
    bytes: u32,
    /// How many collections lie inside each other, itself included.
    depth: u32,
}

impl Weight {
    fn collection() -> Self {
        Self {
            nodes: 1,
            bytes: 0,
            depth: 1,
        }
    }

    fn scalar(bytes: u32) -> Self {
        Self {
            nodes: 1,
            bytes,
            depth: 0,
        }
    }

    fn add(&mut self, child: Self) {
        self.nodes = self.nodes.saturating_add(child.nodes);
        self.bytes = self.bytes.saturating_add(child.bytes);
        self.depth = self.depth.max(child.depth.saturating_add(1));
    }
}

/// A collection that has begun and not ended.
#[derive(Debug)]
struct Open {
    node: u32,
    weight: Weight,
    /// Its place among the anchors.
    anchor: Option<usize>,
}

/// A node that has an anchor.
#[derive(Debug)]
struct Anchored {
    /// The parser's number of the anchor. Numbers rise.
    number: usize,
    node: u32,
    /// `None` as long as the node has not ended.
    weight: Option<Weight>,
    last_alias: Option<u32>,
}

/// How the parser reads what Go's library reads in another way than YAML 1.2 says.
fn options() -> granit_parser::Options {
    granit_parser::options! {
        emit_comments: false,
        bom_inside_document_as_content: true,
        block_scalar_eof_without_line_feed: true,
    }
}

/// A scalar as the parser reads it.
struct ReadScalar<'v> {
    value: Cow<'v, str>,
    style: ScalarStyle,
    tag: Tag,
    /// Where its text begins in its line, counted from 1.
    column: usize,
}

/// Puts events together to a tree, without recursion.
struct Builder {
    limits: Limits,
    nodes: Vec<NodeData>,
    decoded: String,
    anchors: Vec<Anchored>,
    /// The open collections, the innermost one last.
    open: Vec<Open>,
    /// Whether the document has begun.
    begun: bool,
    /// Where the last thing that was read ends.
    end: usize,
}

impl Builder {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            nodes: Vec::new(),
            decoded: String::new(),
            anchors: Vec::new(),
            open: Vec::new(),
            begun: false,
            end: 0,
        }
    }

    /// Builds the tree of `text` from `readable`, which has the same nodes at the same places.
    fn build<'t>(mut self, text: &'t str, readable: &str) -> Result<Tree<'t>, YamlError> {
        for event in Parser::new_from_str_with_options(readable, options()) {
            let (event, span) = event.map_err(|e| YamlError {
                message: e.info(),
                position: position(*e.marker()),
            })?;
            let place = position(span.start);
            self.take(text, event, span)?;
            self.check_limits(text, place)?;
        }
        let target = |a: Anchored| Some((a.node, a.last_alias?));
        Ok(Tree {
            text,
            nodes: self.nodes,
            decoded: self.decoded,
            targets: self.anchors.into_iter().filter_map(target).collect(),
            lines: LineIndex::default(),
        })
    }

    /// Refuses a document before it takes too much memory, or is too much to walk over.
    fn check_limits(&self, text: &str, position: Position) -> Result<(), YamlError> {
        let weight = self.open.last().map(|open| open.weight).unwrap_or_default();
        let nodes = self.nodes.len();
        let message = if nodes > self.limits.nodes {
            format!(
                "the document has more than {} nodes, and no more are read",
                self.limits.nodes
            )
        } else if self.anchors.len() > MAX_ANCHORS {
            format!("the document has more than {MAX_ANCHORS} anchors, and no more are read")
        } else if weight.depth > MAX_DEPTH {
            format!("the document nests deeper than {MAX_DEPTH} levels, its aliases written out")
        } else if weight.nodes as usize > nodes.saturating_add(MAX_EXPANDED_NODES)
            || weight.bytes as usize > text.len().saturating_add(MAX_EXPANDED_BYTES)
        {
            "the document grows beyond all measure once its aliases are written out".to_owned()
        } else {
            return Ok(());
        };
        Err(YamlError { message, position })
    }

    fn take(&mut self, text: &str, event: Event<'_>, span: Span) -> Result<(), YamlError> {
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
                let scalar = ReadScalar {
                    value,
                    style,
                    tag: Tag::of(tag.as_deref()),
                    column: place.column,
                };
                let node = self.scalar_node(text, scalar, start, &range);
                self.scalar(node, anchor);
            }
            Event::Alias(anchor) => self.alias(anchor, &range, place)?,
            Event::SequenceStart(style, anchor, _) => {
                let flow = style == StructureStyle::Flow;
                let content = Content::Sequence { after: 0, flow };
                self.begin(content, start, range.start, anchor);
            }
            Event::MappingStart(style, anchor, _) => {
                let flow = style == StructureStyle::Flow;
                let content = Content::Mapping { after: 0, flow };
                self.begin(content, start, range.start, anchor);
            }
            Event::SequenceEnd | Event::MappingEnd => self.finish(range.end),
            _ => {}
        }
        Ok(())
    }

    /// The node of a scalar. Its bytes begin at `start`, with its tag, and its text is at `range`.
    fn scalar_node(
        &mut self,
        text: &str,
        scalar: ReadScalar<'_>,
        start: usize,
        range: &Range<usize>,
    ) -> NodeData {
        let ReadScalar {
            value,
            style,
            tag,
            column,
        } = scalar;
        let is_absent = range.is_empty() && style == ScalarStyle::Plain;
        let raw = text.get(range.clone()).unwrap_or_default();
        let end = self.scalar_end(text, range, style);
        // An absent value takes no bytes, unless a tag says of what type it is.
        let start = if is_absent && start == range.start {
            end
        } else {
            start.min(end)
        };
        self.end = self.end.max(end);
        let value = if is_absent {
            Cow::Borrowed("")
        } else {
            borrowed(repair::value(value, raw, style, column - 1), raw)
        };
        let (from, to, decoded) = self.keep(text, &value);
        NodeData {
            start: offset(start),
            end: offset(end),
            place: offset(range.start),
            content: Content::Scalar {
                from,
                to,
                decoded,
                plain: style == ScalarStyle::Plain,
                tag,
            },
        }
    }

    /// The byte after a scalar.
    fn scalar_end(&self, text: &str, range: &Range<usize>, style: ScalarStyle) -> usize {
        if range.is_empty() && style == ScalarStyle::Plain {
            return behind_colon(text, range.end);
        }
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let raw = text.get(range.clone()).unwrap_or_default();
        if !is_block || !raw.trim().is_empty() {
            return block_end(text, range, is_block);
        }
        // The parser puts an empty block scalar at the next node; its header line ends it.
        let mut end = self.end;
        for line in text
            .get(self.end..)
            .unwrap_or_default()
            .split_inclusive('\n')
        {
            if line.contains(['|', '>']) {
                return end + line.trim_end().len();
            }
            end += line.len();
        }
        end
    }

    /// Where the text of a scalar is: in the document where it stands there as it is, else among
    /// the decoded texts.
    fn keep(&mut self, text: &str, value: &str) -> (u32, u32, bool) {
        let in_text = (value.as_ptr() as usize)
            .checked_sub(text.as_ptr() as usize)
            .filter(|at| text.get(*at..at + value.len()) == Some(value));
        let (from, decoded) = match in_text {
            Some(at) => (at, false),
            None if value.is_empty() => (0, false),
            None => {
                let at = self.decoded.len();
                self.decoded.push_str(value);
                (at, true)
            }
        };
        (offset(from), offset(from + value.len()), decoded)
    }

    fn scalar(&mut self, node: NodeData, anchor: usize) {
        let bytes = match node.content {
            Content::Scalar { from, to, .. } => to - from,
            _ => 0,
        };
        let weight = Weight::scalar(bytes);
        let id = self.add(node);
        if let Some(place) = self.anchor(anchor, id)
            && let Some(anchored) = self.anchors.get_mut(place)
        {
            anchored.weight = Some(weight);
        }
        self.weigh(weight);
    }

    fn alias(
        &mut self,
        anchor: usize,
        range: &Range<usize>,
        place: Position,
    ) -> Result<(), YamlError> {
        self.end = self.end.max(range.end);
        let id = offset(self.nodes.len());
        let anchored = self
            .anchors
            .binary_search_by_key(&anchor, |a| a.number)
            .ok()
            .and_then(|i| self.anchors.get_mut(i))
            .ok_or_else(|| YamlError {
                message: "an alias refers to no anchor".to_owned(),
                position: place,
            })?;
        let weight = anchored.weight.ok_or_else(|| YamlError {
            message: "an alias stands inside the node that it refers to".to_owned(),
            position: place,
        })?;
        anchored.last_alias = Some(id);
        let target = anchored.node;
        self.add(NodeData {
            start: offset(range.start),
            end: offset(range.end),
            place: offset(range.start),
            content: Content::Alias { target },
        });
        self.weigh(weight);
        Ok(())
    }

    /// Closes the innermost open collection. One in block style ends with the last thing in it: the
    /// parser's own mark lies behind the comments that follow.
    fn finish(&mut self, mark: usize) {
        let Some(open) = self.open.pop() else {
            return;
        };
        let next = offset(self.nodes.len());
        if let Some(node) = self.nodes.get_mut(open.node as usize) {
            if let Content::Sequence { after, flow } | Content::Mapping { after, flow } =
                &mut node.content
            {
                *after = next;
                if *flow {
                    self.end = self.end.max(mark);
                }
            }
            node.end = node.start.max(offset(self.end));
        }
        if let Some(anchored) = open.anchor.and_then(|i| self.anchors.get_mut(i)) {
            anchored.weight = Some(open.weight);
        }
        self.weigh(open.weight);
    }

    fn begin(&mut self, content: Content, start: usize, place: usize, anchor: usize) {
        let node = self.add(NodeData {
            start: offset(start),
            end: offset(start),
            place: offset(place),
            content,
        });
        let anchor = self.anchor(anchor, node);
        let weight = Weight::collection();
        self.open.push(Open {
            node,
            weight,
            anchor,
        });
    }

    fn add(&mut self, node: NodeData) -> u32 {
        self.nodes.push(node);
        offset(self.nodes.len() - 1)
    }

    /// Keeps an anchor, and says where.
    fn anchor(&mut self, number: usize, node: u32) -> Option<usize> {
        if number == 0 {
            return None;
        }
        self.anchors.push(Anchored {
            number,
            node,
            weight: None,
            last_alias: None,
        });
        Some(self.anchors.len() - 1)
    }

    /// Adds a node that has ended to the collection that holds it.
    fn weigh(&mut self, weight: Weight) {
        if let Some(open) = self.open.last_mut() {
            open.weight.add(weight);
        }
    }
}

/// An offset or an index. The limits keep both far below 4 GiB.
fn offset(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The value as a part of the document's text, where it stands there as it is.
fn borrowed<'t>(value: Cow<'_, str>, raw: &'t str) -> Cow<'t, str> {
    let unquoted = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    match [raw, unquoted].into_iter().find(|part| *part == value) {
        Some(part) => Cow::Borrowed(part),
        None => Cow::Owned(value.into_owned()),
    }
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
        assert!(Tree::parse(&text).is_err());
        assert!(Tree::parse("a: &a [*a]\n").is_err());
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_takes_memory() {
        let refusal = |text: &str| Tree::parse(text).unwrap_err().message;
        let blanks = " ".repeat(MANIFEST.bytes + 1);
        assert!(refusal(&blanks).contains("16 MiB"));
        let anchors = format!("[{}]", "&a x,".repeat(MAX_ANCHORS + 1));
        assert!(refusal(&anchors).contains("anchors"));
        let small = Limits {
            bytes: 100,
            nodes: 4,
        };
        assert!(Tree::parse_within("[1, 2, 3]", small).is_ok());
        let error = Tree::parse_within("[1, 2, 3, 4]", small).unwrap_err();
        assert!(error.message.contains("more than 4 nodes"));
        assert_eq!(size_of::<NodeData>(), 24);
    }

    #[test]
    fn aliases_count_for_depth_and_merges_are_followed_as_deep() {
        let chain = |height: usize| {
            let levels = (0..height).map(|i| format!("- &a{} {{<<: *a{i}, k{i}: {i}}}", i + 1));
            let lines: Vec<String> = levels.collect();
            format!("- &a0 {{k: 1}}\n{}\n", lines.join("\n"))
        };
        let text = chain(250);
        let tree = Tree::parse(&text).unwrap();
        let last = tree.root().unwrap().items().last().unwrap();
        assert_eq!(last.get("k").unwrap().text().unwrap(), "1");
        assert_eq!(last.entries().len(), 251);
        let error = Tree::parse(&chain(300)).unwrap_err();
        assert!(error.message.contains("255 levels"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn a_tree_of_any_text_can_be_walked_over(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "a", "b", ": ", ":", "- ", "\n", "\n  ", "\n", "{", "}", "[", "]", ", ", "&a ",
                    "*a", "<<: ", "? ", "!!str ", "!x ", "\"x\\n\"", "'y'", "|\n", ">-\n", "# c\n",
                    "é", "\r\n", "1", "~",
                ]),
                0..40,
            ),
        ) {
            let text = parts.concat();
            if let Ok(tree) = Tree::parse(&text) && let Some(root) = tree.root() {
                drop(root.to_json());
                walk(root, &text);
            }
            let lines = LineIndex::default();
            for (_, span) in Parser::new_from_str(&text).map_while(Result::ok) {
                if let Some(range) = span.byte_range() {
                    let computed = lines.position(text.as_bytes(), range.start);
                    proptest::prop_assert_eq!(computed, position(span.start));
                }
            }
        }
    }

    fn walk(node: Node<'_>, text: &str) {
        let span = node.span();
        let before = text.get(..span.start).unwrap();
        assert!(text.get(span).is_some());
        assert!(node.column() <= before.chars().count());
        assert!(!node.is_alias() || !node.is_referred_to());
        for item in node.items() {
            walk(item, text);
        }
        for (key, value) in node.pairs() {
            walk(key, text);
            walk(value, text);
        }
    }

    #[test]
    fn references_from_outside_a_span_are_seen() {
        let text = "- &a {x: 1}\n- *a\n- &b {y: *a}\n";
        let tree = Tree::parse(text).unwrap();
        let items: Vec<_> = tree.root().unwrap().items().collect();
        assert!(items[0].is_referred_to());
        assert!(!items[1].is_referred_to());
        assert!(!items[2].is_referred_to());
    }
}
