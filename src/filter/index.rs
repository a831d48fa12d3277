//! Who is who in a stream: the objects that can matter, with their identity and their place.
//!
//! Identity is group, kind, namespace and name, read with a YAML parser, never by text search: a
//! policy in a block scalar, of another API group or of another release stays what it is. Whether
//! an object's config is right, and what a policy should say, is decided elsewhere.

use std::ops::Deref;
use std::sync::Arc;

use crate::filter::look;
use crate::filter::prefilter::{ANNOTATION, Prefilter};
use crate::vcluster::actors::{MANAGED_BY, POLICY_PREFIXES, SECRET_PREFIX};
use manifest::documents::{self, Document, Start};
use manifest::line_index::LineIndex;
use manifest::objects::{self, Object, ObjectLocation};
use manifest::yaml::{Node, Tree};
use netpol::kubernetes;

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
    pub objects: Vec<IndexedObject>,
    /// The documents that have one but cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The lines of the stream.
    pub lines: Arc<LineIndex>,
    /// The documents that may hold an object of a virtual cluster. They are read when somebody asks.
    mentions: Vec<Mention>,
}

/// A document that has the word `vcluster`.
#[derive(Debug)]
struct Mention {
    number: usize,
    document: Document,
    before: Option<Document>,
    /// Whether its objects are in the index already.
    is_read: bool,
}

/// An object of a document that has one of our words.
#[derive(Debug, Clone)]
pub struct IndexedObject {
    /// The object.
    pub object: Object,
    /// The config in a Secret `vc-config-NAME`.
    pub secret: Option<SecretConfig>,
}

impl Deref for IndexedObject {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
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

impl IndexedObject {
    /// Whether it is a NetworkPolicy of Kubernetes, of any version.
    #[must_use]
    pub fn is_network_policy(&self) -> bool {
        self.kind == kubernetes::KIND
            && matches!(self.group(), kubernetes::GROUP | kubernetes::OLD_GROUP)
    }

    /// Whether it is named like one of the two policies that are made here.
    #[must_use]
    pub fn is_own_policy(&self) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        self.is_network_policy() && POLICY_PREFIXES.iter().any(|p| name.starts_with(p))
    }

    /// Whether the syncer copied it out of a virtual cluster.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.labels.contains_key(MANAGED_BY)
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
        Self::of_documents(stream, documents::split(stream))
    }

    /// Reads those of some documents of a stream that can matter; they come in their order.
    #[must_use]
    pub fn of_documents(stream: &[u8], documents: impl IntoIterator<Item = Document>) -> Self {
        let mut index = Self::default();
        let mut needles = Prefilter::new(stream);
        let mut before: Option<Document> = None;
        for (i, document) in documents.into_iter().enumerate() {
            let is_read = needles.hit(&document.span);
            if is_read {
                index.read(stream, i + 1, &document, before.as_ref());
            }
            if needles.mentions_vcluster(&document.span) {
                index.mentions.push(Mention {
                    number: i + 1,
                    document: document.clone(),
                    before: before.clone(),
                    is_read,
                });
            }
            before = Some(document);
        }
        index
    }

    /// The objects that may carry a config: not our own policies, no hooks, and nothing that the
    /// syncer copied out of a virtual cluster, where a tenant writes annotations.
    pub fn carriers(&self) -> impl Iterator<Item = &IndexedObject> {
        let carries = |o: &&IndexedObject| !o.is_own_policy() && !o.is_hook() && !o.is_synced();
        self.objects.iter().filter(carries)
    }

    /// The objects of virtual clusters that need not have any of our words: those with the labels
    /// `app: vcluster` and `release`.
    #[must_use]
    pub fn release_objects(&self, stream: &[u8]) -> Vec<IndexedObject> {
        self.labelled(stream, |_| true)
    }

    /// Those of them that can run a control plane: StatefulSets and Deployments.
    #[must_use]
    pub fn workloads(&self, stream: &[u8]) -> Vec<IndexedObject> {
        let kinds = ["StatefulSet", "Deployment"].map(memchr::memmem::Finder::new);
        self.labelled(stream, |body| {
            kinds.iter().any(|kind| kind.find(body).is_some())
        })
    }

    /// The objects with the labels of a virtual cluster, of documents that are accepted.
    fn labelled(&self, stream: &[u8], accepts: impl Fn(&[u8]) -> bool) -> Vec<IndexedObject> {
        let mut index = Self {
            lines: Arc::clone(&self.lines),
            ..Self::default()
        };
        let release = memchr::memmem::Finder::new("release");
        for mention in &self.mentions {
            let document = &mention.document;
            let body = stream.get(document.body.clone()).unwrap_or_default();
            if release.find(body).is_none() || !accepts(body) {
                continue;
            }
            if mention.is_read {
                index
                    .objects
                    .extend_from_slice(self.of_document(mention.number));
            } else {
                index.read(stream, mention.number, document, mention.before.as_ref());
            }
        }
        let labelled = |o: &IndexedObject| {
            let app = o.labels.get("app").is_some_and(|app| app == "vcluster");
            let release = o.labels.get("release").is_some_and(|r| !r.is_empty());
            app && release && !o.is_hook() && !o.is_synced()
        };
        index.objects.retain(labelled);
        index.objects
    }

    /// The objects of a document. Objects are in the order of their documents.
    fn of_document(&self, number: usize) -> &[IndexedObject] {
        let objects = &self.objects;
        let first = objects.partition_point(|object| object.location.number < number);
        let end = objects.partition_point(|object| object.location.number <= number);
        objects.get(first..end).unwrap_or_default()
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
        let location = ObjectLocation {
            number,
            document: document.clone(),
            template: objects::template(bytes).or_else(|| objects::lone_source(stream, before)),
            helm4: false,
            item: None,
            lines: Arc::clone(&self.lines),
        };
        objects::walk(root, offset, &location, &mut |object, node| {
            let secret = secret_config(&object, node);
            self.objects.push(IndexedObject { object, secret });
        });
    }
}

/// The config that a Secret named `vc-config-NAME` holds.
fn secret_config(object: &Object, node: Node<'_>) -> Option<SecretConfig> {
    let is_named = object
        .name
        .as_deref()
        .is_some_and(|name| name.starts_with(SECRET_PREFIX));
    if object.kind != "Secret" || object.api_version.contains('/') || !is_named {
        return None;
    }
    let text = |field: &str| {
        let node = node.dig(&[field, "config.yaml"])?;
        node.text().map(std::borrow::Cow::into_owned)
    };
    // As in Kubernetes, stringData goes over data.
    Some(
        text("stringData")
            .map(SecretConfig::StringData)
            .or_else(|| text("data").map(SecretConfig::Data))
            .unwrap_or(SecretConfig::Missing),
    )
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
        assert_eq!(
            object.location.template.as_deref(),
            Some("v/templates/x.yaml")
        );
    }

    #[test]
    fn items_of_a_list_are_objects_with_a_span() {
        let text = "kind: List\nitems:\n- kind: Secret\n  metadata: {name: vc-config-a}\n\
                    - apiVersion: extensions/v1beta1\n  kind: NetworkPolicy\n  metadata:\n    name: vc-cp-a\n";
        let found = index(text);
        assert_eq!(found.objects.len(), 2);
        assert_eq!(found.objects[0].secret, Some(SecretConfig::Missing));
        let item = found.objects[1].location.item.as_ref().unwrap();
        assert!(text[item.span.clone()].starts_with("apiVersion: extensions"));
        assert!(text[item.span.clone()].ends_with("vc-cp-a"));
        assert_eq!((item.column, item.index, item.siblings.len()), (2, 1, 2));
    }

    #[test]
    fn a_source_line_can_stand_in_a_document_of_its_own() {
        let found =
            index("---\n# Source: v/t/a.yaml\n---\nkind: Secret\nmetadata:\n  name: vc-config-a\n");
        assert_eq!(
            found.objects[0].location.template.as_deref(),
            Some("v/t/a.yaml")
        );
        let body = b"\n# x\n# Source: a\n# y\nkind: Z\n";
        assert_eq!(&body[objects::source_lines_end(body)..], b"# y\nkind: Z\n");
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
