//! The objects of a stream: who they are, and where they stand.
//!
//! The one walk over documents and the lists in them. Identity is group, kind, namespace and name,
//! read with a YAML parser and as the text of their scalars. What an object means is not known here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Location;
use crate::documents::{self, Document};
use crate::line_index::LineIndex;
use crate::yaml::{Node, Tree};
use memchr::memmem::Finder;

/// The annotation by which Helm 4 says which template a document came from.
pub const FILENAME: &str = "postrenderer.helm.sh/postrender-filename";

/// The comment by which Helm 3 does the same.
pub const SOURCE: &str = "# Source: ";

/// How deep lists of lists are followed.
const MAX_LIST_DEPTH: usize = 8;

/// An object of the stream.
#[derive(Debug, Clone)]
pub struct Object {
    /// `networking.k8s.io/v1`.
    pub api_version: String,
    /// `NetworkPolicy`.
    pub kind: String,
    /// `metadata.name`, as the text of its scalar.
    pub name: Option<String>,
    /// `metadata.namespace`, as the text of its scalar.
    pub namespace: Option<String>,
    /// `metadata.labels`, each value as the text of its scalar.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`, likewise.
    pub annotations: BTreeMap<String, String>,
    /// Where it is.
    pub location: ObjectLocation,
}

/// Where an object is in the stream.
#[derive(Debug, Clone)]
pub struct ObjectLocation {
    /// The document's number, counted from 1.
    pub number: usize,
    /// The document.
    pub document: Document,
    /// The template that rendered it, from Helm 3's comment or Helm 4's annotation.
    pub template: Option<String>,
    /// Whether Helm 4's annotation is there.
    pub helm4: bool,
    /// The item of a list, where the object is one.
    pub item: Option<Item>,
    /// The lines of the stream.
    pub lines: Arc<LineIndex>,
}

/// An object inside a `kind: List`.
#[derive(Debug, Clone)]
pub struct Item {
    /// The node, in bytes of the stream.
    pub span: Range<usize>,
    /// The column at which it begins, counted from 0: what its lines are indented by.
    pub column: usize,
    /// Whether the list is in flow style (JSON).
    pub flow: bool,
    /// The list's node, in bytes of the stream.
    pub list: Range<usize>,
    /// Its place among the items of the list, counted from 0.
    pub index: usize,
    /// The items of the list, in bytes of the stream.
    pub siblings: Arc<[Range<usize>]>,
    /// Whether an alias elsewhere refers to an anchor in it.
    pub referred_to: bool,
}

impl Object {
    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Whether Helm runs it as a hook.
    #[must_use]
    pub fn is_hook(&self) -> bool {
        self.annotations.contains_key("helm.sh/hook")
    }

    /// The object in words: `Secret team-a/vc-config-a`.
    #[must_use]
    pub fn describe(&self) -> String {
        let name = self.name.as_deref().unwrap_or("without a name");
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{name}", self.kind),
            None => format!("{} {name}", self.kind),
        }
    }

    /// The place of the object, for messages.
    #[must_use]
    pub fn place(&self, stream: &[u8]) -> Location {
        Location {
            object: Some(self.describe()),
            source: self.location.template.clone(),
            document: Some(self.location.number),
            stream_line: Some(
                self.location
                    .lines
                    .line(stream, self.location.document.span.start),
            ),
            ..Location::default()
        }
    }
}

impl ObjectLocation {
    /// The location of the object of a document that is looked at by itself.
    #[must_use]
    pub fn of_document(document: Document) -> Self {
        Self {
            number: 1,
            document,
            template: None,
            helm4: false,
            item: None,
            lines: Arc::default(),
        }
    }
}

/// Walks over a document, and over the lists in it. `root` was read from what begins at `offset`
/// of the stream; `take` gets each object with its node.
pub fn walk<'a>(
    root: Node<'a>,
    offset: usize,
    location: &ObjectLocation,
    take: &mut dyn FnMut(Object, Node<'a>),
) {
    let mut visit = Visit { offset, take };
    visit.node(root, location, Typed::default(), 0);
}

/// Walks over the documents of a stream that have one of the words, and over the lists in them;
/// `take` gets each object with its node and its document. What is no YAML is left out: that is an
/// error of the readers that judge policies and configs.
pub fn walk_documents_with(
    stream: &[u8],
    words: &[&str],
    take: &mut dyn FnMut(Object, Node<'_>, &Document),
) {
    let finders: Vec<Finder<'_>> = words.iter().copied().map(Finder::new).collect();
    for document in documents::split(stream) {
        let body = stream.get(document.body.clone()).unwrap_or_default();
        if finders.iter().all(|word| word.find(body).is_none()) {
            continue;
        }
        let text = std::str::from_utf8(body).ok();
        let Some(tree) = text.and_then(|text| Tree::parse_cluster(text).ok()) else {
            continue;
        };
        let Some(root) = tree.root() else { continue };
        let location = ObjectLocation::of_document(document.clone());
        walk(root, document.body.start, &location, &mut |object, node| {
            take(object, node, &document);
        });
    }
}

/// What a list says of its items: in a `SecretList` they may leave out kind and version.
#[derive(Debug, Clone, Default)]
struct Typed {
    kind: String,
    api_version: String,
}

/// The walk over one document.
struct Visit<'v, 'a> {
    /// Where the text begins in the stream.
    offset: usize,
    take: &'v mut dyn FnMut(Object, Node<'a>),
}

impl<'a> Visit<'_, 'a> {
    /// Takes up an object, or the items of a list.
    fn node(&mut self, node: Node<'a>, location: &ObjectLocation, typed: Typed, depth: usize) {
        let text = |key: &str| node.get(key).and_then(Node::text);
        let kind = text("kind").map_or(typed.kind, Cow::into_owned);
        let api_version = text("apiVersion").map_or(typed.api_version, Cow::into_owned);
        let list = node
            .get("items")
            .filter(|items| items.is_sequence() && kind.ends_with("List"));
        let Some(list) = list else {
            if node.is_mapping() {
                (self.take)(object(node, kind, api_version, location), node);
            }
            return;
        };
        let typed = match kind.strip_suffix("List") {
            Some("" | "Resource") | None => Typed::default(),
            Some(kind) => Typed {
                kind: kind.to_owned(),
                api_version,
            },
        };
        let offset = self.offset;
        let shift = |r: Range<usize>| r.start + offset..r.end + offset;
        let spans: Arc<[Range<usize>]> = list.items().map(|item| shift(item.span())).collect();
        for (index, item) in list.items().enumerate() {
            if !item.is_mapping() || depth >= MAX_LIST_DEPTH {
                continue;
            }
            let location = ObjectLocation {
                item: Some(Item {
                    span: shift(item.span()),
                    column: item.column(),
                    flow: list.is_flow(),
                    list: shift(list.span()),
                    index,
                    siblings: Arc::clone(&spans),
                    referred_to: item.is_referred_to(),
                }),
                ..location.clone()
            };
            self.node(item, &location, typed.clone(), depth + 1);
        }
    }
}

fn object(node: Node<'_>, kind: String, api_version: String, location: &ObjectLocation) -> Object {
    let text = |path: &[&str]| {
        node.dig(path)
            .and_then(Node::text)
            .map(std::borrow::Cow::into_owned)
    };
    let strings = |path: &[&str]| -> BTreeMap<String, String> {
        node.dig(path)
            .map(Node::entries)
            .unwrap_or_default()
            .into_iter()
            .map(|(k, v)| {
                (
                    k.into_owned(),
                    v.key_text().unwrap_or_default().into_owned(),
                )
            })
            .collect()
    };
    let name = text(&["metadata", "name"]);
    let annotations = strings(&["metadata", "annotations"]);
    let filename = annotations.get(FILENAME).cloned();
    Object {
        api_version,
        kind,
        name,
        namespace: text(&["metadata", "namespace"]).filter(|n| !n.is_empty()),
        labels: strings(&["metadata", "labels"]),
        annotations,
        location: ObjectLocation {
            helm4: filename.is_some(),
            template: filename.or_else(|| location.template.clone()),
            ..location.clone()
        },
    }
}

/// The template in the `# Source:` line at the head of a document.
#[must_use]
pub fn template(body: &[u8]) -> Option<String> {
    head_lines(body)
        .filter_map(|line| {
            std::str::from_utf8(line)
                .ok()?
                .strip_prefix(SOURCE)
                .map(str::trim)
        })
        .map(str::to_owned)
        .last()
}

/// Where the `# Source:` lines at the head of a document end, as an offset into its body; 0 where
/// there are none.
#[must_use]
pub fn source_lines_end(body: &[u8]) -> usize {
    let mut at = 0;
    let mut end = 0;
    for line in head_lines(body) {
        at += line.len();
        if line.starts_with(SOURCE.as_bytes()) {
            end = at;
        }
    }
    end
}

/// The lines, with their line breaks, before the first line of content.
fn head_lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    documents::lines(body).take_while(|line| documents::is_comment_or_blank(line))
}

/// The template of the document before, where that is nothing but its `# Source:` line: Helm 3
/// writes the header apart where a template begins with a marker of its own.
#[must_use]
pub fn lone_source(stream: &[u8], before: Option<&Document>) -> Option<String> {
    let body = stream.get(before?.body.clone())?;
    documents::says_nothing(body)
        .then(|| template(body))
        .flatten()
}
