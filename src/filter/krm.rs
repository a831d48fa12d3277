//! Streams that are one list: a KRM function's ResourceList, or a JSON list.
//!
//! There a new policy must become an item, as a document beside the list would be lost (KRM) or
//! break the reader (JSON). And a ResourceList has a field for what the function has to say.
//! Sources: the KRM Functions Specification; `kubectl get -o json`.

use std::ops::Range;

use serde_json::{Value, json};

use crate::filter::install_order;
use crate::vcluster::policies::Policy;
use manifest::diagnostic::{Diagnostic, Severity};
use manifest::documents::{self, Document};
use manifest::edit::{self, Edit, indented, with_line_breaks};
use manifest::escape;
use manifest::yaml::{MAX_MANIFEST_BYTES, Node, Tree};
use netpol::kubernetes;

/// A stream that is one list.
#[derive(Debug, Clone)]
pub struct SoleList {
    /// Whether it is a ResourceList.
    pub is_krm: bool,
    kinds: Vec<String>,
    items: Vec<Range<usize>>,
    list: Option<Range<usize>>,
    flow: bool,
    results: Option<Range<usize>>,
    root: Range<usize>,
    root_flow: bool,
    root_column: usize,
    /// The config in `functionConfig.spec`, as text with its place unknown.
    pub function_config: Option<String>,
}

impl SoleList {
    /// The stream's only object, if it is a ResourceList or a list in flow style.
    #[must_use]
    pub fn of(stream: &[u8]) -> Option<Self> {
        let document = sole_document(stream)?;
        let body = stream.get(document.body.clone())?;
        let json = body.trim_ascii_start().starts_with(b"{");
        if !json && memchr::memmem::find(body, b"ResourceList").is_none() {
            return None;
        }
        let text = std::str::from_utf8(body).ok()?;
        let tree = Tree::parse(text).ok()?;
        let root = tree.root()?;
        let kind = root.get("kind").and_then(Node::text)?;
        let is_krm = kind == "ResourceList";
        let is_json_list = kind.ends_with("List") && root.is_flow();
        if !(is_krm || is_json_list) {
            return None;
        }
        let offset = document.body.start;
        let shift = |r: Range<usize>| r.start + offset..r.end + offset;
        let list = root.get("items");
        let items: Vec<Node<'_>> = list.into_iter().flat_map(Node::items).collect();
        let kind_of = |n: &Node<'_>| {
            n.get("kind")
                .and_then(Node::text)
                .unwrap_or_default()
                .into_owned()
        };
        Some(Self {
            is_krm,
            kinds: items.iter().map(kind_of).collect(),
            items: items.iter().map(|n| shift(n.span())).collect(),
            list: list.map(|n| shift(n.span())),
            flow: list.is_some_and(Node::is_flow),
            results: root
                .pairs()
                .find(|(k, _)| k.key_text().is_some_and(|t| t == "results"))
                .map(|(k, v)| shift(k.span().start..v.span().end)),
            root: shift(root.span()),
            root_flow: root.is_flow(),
            root_column: root.column(),
            function_config: root
                .dig(&["functionConfig", "spec"])
                .filter(|n| n.is_mapping())
                .map(|n| n.to_json().to_string()),
        })
    }

    /// What is wrong with a stream that seems to be one list, and cannot be read as one: a policy
    /// beside it would be lost, and a config in it passed over.
    #[must_use]
    pub fn unreadable(stream: &[u8]) -> Option<Diagnostic> {
        let document = sole_document(stream)?;
        let body = stream.get(document.body)?;
        let json = body.trim_ascii_start().starts_with(b"{");
        let word = |word: &[u8]| memchr::memmem::find(body, word).is_some();
        let large = body.len() > MAX_MANIFEST_BYTES && json && word(b"List");
        if !large && !word(b"kind: ResourceList") && !word(b"\"ResourceList\"") {
            return None;
        }
        let reason = match std::str::from_utf8(body) {
            Ok(text) => Tree::parse(text).err()?.to_string(),
            Err(_) => "it is not UTF-8".to_owned(),
        };
        Some(
            Diagnostic::error(format!("the list cannot be read: {reason}"))
                .help("correct it, or give its items as documents of their own"),
        )
    }

    /// Whether new items must be written in flow style.
    #[must_use]
    pub fn takes_flow(&self) -> bool {
        self.flow || self.items.is_empty()
    }

    /// Puts policies, written in the style that [`takes_flow`](Self::takes_flow) says, among the
    /// items: behind namespaces, before anything that runs.
    ///
    /// `None` where there are no items, or they are written in a way that leaves no clean place.
    #[must_use]
    pub fn insert(&self, stream: &[u8], texts: &[&str]) -> Option<Edit> {
        let list = self.list.clone()?;
        let line_break = documents::line_break(stream, list.start);
        let index = install_order::item_index(&self.kinds);
        if self.takes_flow() {
            let joined = texts.join(",");
            let (at, text) = match (self.items.get(index), self.items.last()) {
                (Some(span), _) => (span.start, format!("{joined},")),
                (None, Some(span)) => (span.end, format!(",{joined}")),
                // `[]`, or nothing at all.
                (None, None) => {
                    return Some(Edit {
                        span: list,
                        text: format!(" [{joined}]"),
                    });
                }
            };
            return Some(Edit { span: at..at, text });
        }
        let beside = self.items.get(index).or_else(|| self.items.last())?;
        let dash = edit::dash_of(stream, beside.start)?;
        let line = documents::line_range(stream, dash);
        let blank = stream.get(line.start..dash)?.iter().all(|b| *b == b' ');
        let column = blank.then_some(dash - line.start)?;
        let lead = " ".repeat(column);
        let items = texts
            .iter()
            .map(|t| [&lead, "- ", &indented(t.trim_end(), column + 2), "\n"].concat());
        let block = with_line_breaks(&items.collect::<String>(), line_break);
        if index < self.items.len() {
            return Some(Edit {
                span: line.start..line.start,
                text: block,
            });
        }
        let at = documents::line_range(stream, beside.end.saturating_sub(1)).end;
        let whole = stream.get(..at)?.ends_with(b"\n");
        let lead = if whole { "" } else { line_break };
        Some(Edit {
            span: at..at,
            text: format!("{lead}{block}"),
        })
    }

    /// Writes the field `results` of a ResourceList, in place of what was there.
    #[must_use]
    pub fn results(&self, stream: &[u8], results: &[Value]) -> Option<Edit> {
        if !self.is_krm {
            return None;
        }
        let text = escape::json(&Value::Array(results.to_vec()).to_string());
        if let Some(span) = &self.results {
            let key = if self.root_flow {
                "\"results\""
            } else {
                "results"
            };
            return Some(Edit {
                span: span.clone(),
                text: format!("{key}: {text}"),
            });
        }
        if self.root_flow {
            let at = self.root.end.checked_sub(1)?;
            return Some(Edit {
                span: at..at,
                text: format!(",\"results\": {text}"),
            });
        }
        let at = documents::line_range(stream, self.root.end.saturating_sub(1)).end;
        let line_break = documents::line_break(stream, self.root.start);
        let lead = if stream.get(..at)?.ends_with(b"\n") {
            ""
        } else {
            line_break
        };
        let indent = " ".repeat(self.root_column);
        Some(Edit {
            span: at..at,
            text: format!("{lead}{indent}results: {text}{line_break}"),
        })
    }
}

/// A problem as a result of a KRM function.
#[must_use]
pub fn result(problem: &Diagnostic) -> Value {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut message = problem.message.clone();
    if let Some(help) = &problem.help {
        message = format!("{message} ({help})");
    }
    let message = escape::terminal(&message);
    let mut result = json!({ "message": message, "severity": severity });
    if let (Some(path), Some(object)) = (&problem.place.path, result.as_object_mut()) {
        object.insert("field".to_owned(), json!({ "path": path }));
    }
    result
}

/// A policy as a result of a KRM function.
#[must_use]
pub fn made(policy: &Policy, source: &str) -> Value {
    let mut reference = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": kubernetes::KIND,
        "name": policy.name,
    });
    if let (Some(namespace), Some(object)) = (&policy.namespace, reference.as_object_mut()) {
        object.insert("namespace".to_owned(), json!(namespace));
    }
    json!({
        "message": escape::terminal(&format!("the policy is as {source} says")),
        "severity": "info",
        "resourceRef": reference,
    })
}

/// The document of a stream that has no other.
fn sole_document(stream: &[u8]) -> Option<Document> {
    let mut documents = documents::split(stream).filter(|d| !is_blank(stream, d));
    match (documents.next(), documents.next()) {
        (Some(document), None) => Some(document),
        _ => None,
    }
}

fn is_blank(stream: &[u8], document: &Document) -> bool {
    documents::says_nothing(stream.get(document.body.clone()).unwrap_or_default())
}
