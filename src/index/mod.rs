//! Who is who in a stream: the objects that can matter, with their identity and their place.
//!
//! Identity is group, kind, namespace and name, read with a YAML parser, never by text search: a
//! policy in a block scalar, of another API group or of another release stays what it is. Whether
//! an object's config is right, and what a policy should say, is decided elsewhere.

mod escapes;
mod look;
pub mod needle;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::kube;
use crate::lines::LineIndex;
use crate::report::Place;
use crate::stream::{self, Document, Start};
use crate::yaml::{Node, Tree};
use needle::{ANNOTATION, Needles};

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
    /// The config in a Secret `vc-config-NAME`.
    pub secret: Option<SecretConfig>,
    /// Where it is.
    pub seat: Seat,
}

/// What a config Secret holds under `config.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretConfig {
    /// `data`, in base64.
    Data(String),
    /// `stringData`, as it is.
    StringData(String),
    /// Neither, or no text.
    Missing,
}

/// Where an object is in the stream.
#[derive(Debug, Clone)]
pub struct Seat {
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

/// A document that has one of our words but cannot be read.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// The document's number, counted from 1.
    pub number: usize,
    /// The document.
    pub document: Document,
    /// Why not. Holds no text of the document.
    pub reason: String,
    /// What it looks like: the object of ours that it would be.
    pub looks_like: Option<String>,
}

/// What is known of a stream.
#[derive(Debug, Default)]
pub struct Index {
    /// The objects of documents that have one of our words.
    pub objects: Vec<Object>,
    /// The documents that have one but cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The lines of the stream.
    pub lines: Arc<LineIndex>,
}

impl Object {
    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Whether it is a NetworkPolicy of Kubernetes, of any version.
    #[must_use]
    pub fn is_network_policy(&self) -> bool {
        self.kind == kube::KIND && matches!(self.group(), kube::GROUP | kube::OLD_GROUP)
    }

    /// Whether it is named like one of the two policies that are made here.
    #[must_use]
    pub fn is_own_policy(&self) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        self.is_network_policy() && (name.starts_with("vc-work-") || name.starts_with("vc-cp-"))
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
    pub fn place(&self, stream: &[u8]) -> Place {
        Place {
            object: Some(self.describe()),
            source: self.seat.template.clone(),
            document: Some(self.seat.number),
            stream_line: Some(self.seat.lines.line(stream, self.seat.document.span.start)),
            ..Place::default()
        }
    }

    /// The config in the annotation, if there is one.
    #[must_use]
    pub fn config_annotation(&self) -> Option<&str> {
        self.annotations.get(ANNOTATION).map(String::as_str)
    }
}

impl Index {
    /// Reads the documents that can matter.
    #[must_use]
    pub fn of(stream: &[u8]) -> Self {
        let mut index = Self::default();
        let mut needles = Needles::new(stream);
        let mut before: Option<Document> = None;
        for (i, document) in stream::documents(stream).enumerate() {
            if needles.hit(&document.span) {
                index.read(stream, i + 1, &document, before.as_ref());
            }
            before = Some(document);
        }
        index
    }

    /// The objects that may carry a config: not our own policies, and no hooks.
    pub fn carriers(&self) -> impl Iterator<Item = &Object> {
        let carries = |o: &&Object| !o.is_own_policy() && !o.is_hook();
        self.objects.iter().filter(carries)
    }

    /// The objects of virtual clusters that need not have any of our words: those with the labels
    /// `app: vcluster` and `release`.
    #[must_use]
    pub fn relatives(stream: &[u8]) -> Vec<Object> {
        let mut index = Self::default();
        let words = ["vcluster", "release"].map(memchr::memmem::Finder::new);
        let mut before: Option<Document> = None;
        for (i, document) in stream::documents(stream).enumerate() {
            let body = stream.get(document.body.clone()).unwrap_or_default();
            if words.iter().all(|word| word.find(body).is_some()) {
                index.read(stream, i + 1, &document, before.as_ref());
            }
            before = Some(document);
        }
        let labelled = |o: &Object| {
            let app = o.labels.get("app").is_some_and(|app| app == "vcluster");
            app && o.labels.get("release").is_some_and(|r| !r.is_empty()) && !o.is_hook()
        };
        index.objects.retain(labelled);
        index.objects
    }

    fn read(
        &mut self,
        stream: &[u8],
        number: usize,
        document: &Document,
        before: Option<&Document>,
    ) {
        let bytes = stream.get(document.body.clone()).unwrap_or_default();
        let unreadable = |reason: String| Unreadable {
            number,
            document: document.clone(),
            reason,
            looks_like: look::of(bytes),
        };
        // Tags are declared in directives.
        let offset = match document.start {
            Start::Directives => document.span.start,
            _ => document.body.start,
        };
        let whole = stream.get(offset..document.body.end).unwrap_or_default();
        let Ok(text) = std::str::from_utf8(whole) else {
            self.unreadable
                .push(unreadable("the document is not UTF-8".to_owned()));
            return;
        };
        let tree = match Tree::parse(text) {
            Ok(tree) => tree,
            Err(error) => {
                let line = self.lines.line(stream, offset) + error.position.line - 1;
                let reason = format!("line {line} of the stream: {}", error.message);
                self.unreadable.push(unreadable(reason));
                return;
            }
        };
        let Some(root) = tree.root() else { return };
        let seat = Seat {
            number,
            document: document.clone(),
            template: template(bytes).or_else(|| lone_source(stream, before)),
            helm4: false,
            item: None,
            lines: Arc::clone(&self.lines),
        };
        let mut visit = Visit {
            offset,
            objects: &mut self.objects,
        };
        visit.node(root, &seat, Typed::default(), 0);
    }
}

/// What a list says of its items: in a `SecretList` they may leave out kind and version.
#[derive(Debug, Clone, Default)]
struct Typed {
    kind: String,
    api_version: String,
}

/// The walk over one document.
struct Visit<'v> {
    /// Where the text begins in the stream.
    offset: usize,
    objects: &'v mut Vec<Object>,
}

impl Visit<'_> {
    /// Takes up an object, or the items of a list.
    fn node(&mut self, node: Node<'_>, seat: &Seat, typed: Typed, depth: usize) {
        let text = |key: &str| node.get(key).and_then(Node::text);
        let kind = text("kind").map_or(typed.kind, Cow::into_owned);
        let api_version = text("apiVersion").map_or(typed.api_version, Cow::into_owned);
        let list = node
            .get("items")
            .filter(|items| items.is_sequence() && kind.ends_with("List"));
        let Some(list) = list else {
            if node.is_mapping() {
                self.objects.push(object(node, kind, api_version, seat));
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
            let seat = Seat {
                item: Some(Item {
                    span: shift(item.span()),
                    column: item.column(),
                    flow: list.is_flow(),
                    list: shift(list.span()),
                    index,
                    siblings: Arc::clone(&spans),
                    referred_to: item.is_referred_to(),
                }),
                ..seat.clone()
            };
            self.node(item, &seat, typed.clone(), depth + 1);
        }
    }
}

fn object(node: Node<'_>, kind: String, api_version: String, seat: &Seat) -> Object {
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
    let is_secret = kind == "Secret"
        && !api_version.contains('/')
        && name.as_deref().is_some_and(|n| n.starts_with("vc-config-"));
    Object {
        api_version,
        kind,
        secret: is_secret.then(|| {
            // As in Kubernetes, stringData goes over data.
            text(&["stringData", "config.yaml"])
                .map(SecretConfig::StringData)
                .or_else(|| text(&["data", "config.yaml"]).map(SecretConfig::Data))
                .unwrap_or(SecretConfig::Missing)
        }),
        name,
        namespace: text(&["metadata", "namespace"]).filter(|n| !n.is_empty()),
        labels: strings(&["metadata", "labels"]),
        annotations,
        seat: Seat {
            helm4: filename.is_some(),
            template: filename.or_else(|| seat.template.clone()),
            ..seat.clone()
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
    stream::lines(body).take_while(|line| stream::is_comment_or_blank(line))
}

/// The template of the document before, where that is nothing but its `# Source:` line: Helm 3
/// writes the header apart where a template begins with a marker of its own.
fn lone_source(stream: &[u8], before: Option<&Document>) -> Option<String> {
    let body = stream.get(before?.body.clone())?;
    stream::says_nothing(body).then(|| template(body)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(stream: &str) -> Index {
        Index::of(stream.as_bytes())
    }

    #[test]
    fn identity_is_read_as_text() {
        let found = index(
            "---\n# Source: v/templates/x.yaml\napiVersion: networking.k8s.io/v1\nkind: \"Network\\x50olicy\"\n\
             metadata:\n  name: &n vc-work-1e3\n  namespace: 123\n  labels: {release: 1e3, on: yes}\n",
        );
        let object = &found.objects[0];
        assert!(object.is_network_policy());
        assert_eq!(object.name.as_deref(), Some("vc-work-1e3"));
        assert_eq!(object.namespace.as_deref(), Some("123"));
        assert_eq!(object.labels["release"], "1e3");
        assert_eq!(object.labels["on"], "yes");
        assert_eq!(object.seat.template.as_deref(), Some("v/templates/x.yaml"));
    }

    #[test]
    fn items_of_a_list_are_objects_with_a_span() {
        let text = "kind: List\nitems:\n- kind: Secret\n  metadata: {name: vc-config-a}\n\
                    - apiVersion: extensions/v1beta1\n  kind: NetworkPolicy\n  metadata:\n    name: vc-cp-a\n";
        let found = index(text);
        assert_eq!(found.objects.len(), 2);
        assert_eq!(found.objects[0].secret, Some(SecretConfig::Missing));
        let item = found.objects[1].seat.item.as_ref().unwrap();
        assert!(text[item.span.clone()].starts_with("apiVersion: extensions"));
        assert!(text[item.span.clone()].ends_with("vc-cp-a"));
        assert_eq!((item.column, item.index, item.siblings.len()), (2, 1, 2));
    }

    #[test]
    fn a_source_line_can_stand_in_a_document_of_its_own() {
        let found =
            index("---\n# Source: v/t/a.yaml\n---\nkind: Secret\nmetadata:\n  name: vc-config-a\n");
        assert_eq!(
            found.objects[0].seat.template.as_deref(),
            Some("v/t/a.yaml")
        );
        let body = b"\n# x\n# Source: a\n# y\nkind: Z\n";
        assert_eq!(&body[source_lines_end(body)..], b"# y\nkind: Z\n");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_looks() {
        let found =
            index("kind: Secret\nmetadata:\n  name: vc-config-a\n bad: : [\n---\na: [vc-cp-\n");
        assert_eq!(
            found.unreadable[0].looks_like.as_deref(),
            Some("Secret vc-config-a")
        );
        assert_eq!(found.unreadable[1].looks_like, None);
    }
}
