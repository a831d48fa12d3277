//! Where in a stream a new policy belongs: behind namespaces, before anything that runs.
//!
//! Helm 3 installs in the order of the stream, so a pod that stands before its policy starts
//! without it. The survey reads kinds, as few documents as it takes, and says where to put text; it
//! does not know which text.

use manifest::documents::{self, Document, Start};
use manifest::objects::{SOURCE, source_lines_end};
use manifest::yaml::{Node, Tree};

/// Kinds that must exist before a policy, in Helm's order of installation.
const BEFORE: [&str; 4] = [
    "PriorityClass",
    "Namespace",
    "CustomResourceDefinition",
    "NetworkPolicy",
];

/// Kinds that start nothing.
const PASSIVE: [&str; 30] = [
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "ConfigMapList",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "ServiceList",
    "Endpoints",
    "EndpointSlice",
    "Ingress",
    "IngressClass",
    "HorizontalPodAutoscaler",
    "ServiceMonitor",
    "PodMonitor",
    "PrometheusRule",
];

/// Where to put new documents, and what they need around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InsertionPoint {
    /// The byte of the stream.
    pub at: usize,
    /// Whether the text before lacks its line break.
    pub needs_break: bool,
    /// What must stand behind the new documents, as what follows brings no marker of its own.
    pub closing: Separator,
}

/// What separates new documents from what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// Nothing: a marker follows, or the end.
    None,
    /// A marker: a bare document follows.
    Marker,
    /// An end marker: directives follow.
    End,
}

/// What a document is, as far as order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Comments and blanks, or no object.
    Nothing,
    /// A Helm hook.
    Hook,
    /// Must come before policies.
    Before,
    /// Starts nothing.
    Passive,
    /// Runs, or may.
    Running,
}

/// Whether a stream holds no object but hooks: then nothing is to be injected.
#[must_use]
pub fn is_idle(stream: &[u8]) -> bool {
    documents::split(stream).all(|d| matches!(weigh(stream, &d), Weight::Nothing | Weight::Hook))
}

/// Whether a stream holds hooks and nothing else: Helm can run its post-renderer once more for them.
#[must_use]
pub fn holds_only_hooks(stream: &[u8]) -> bool {
    let hook = |d: Document| weigh(stream, &d) == Weight::Hook;
    is_idle(stream) && documents::split(stream).any(hook)
}

/// Where new policies go.
#[must_use]
pub fn gap(stream: &[u8]) -> InsertionPoint {
    // The earliest place that has all that must come before, and the place where something runs.
    let mut ideal = 0;
    let mut clean: Vec<(usize, usize)> = Vec::new();
    let mut previous: Option<Document> = None;
    let mut runs = None;
    let mut last_may_follow = false;
    for (i, document) in documents::split(stream).enumerate() {
        let header_apart = previous.as_ref().is_some_and(|p| is_lone_source(stream, p));
        // A byte order mark must stay in front of everything.
        let marked = i == 0 && stream.starts_with(documents::BOM);
        if document.is_apart() && !header_apart && !marked {
            clean.push((i, document.span.start));
        }
        match weigh(stream, &document) {
            Weight::Running => {
                runs = Some(document);
                break;
            }
            Weight::Before => ideal = i + 1,
            Weight::Nothing | Weight::Hook | Weight::Passive => {}
        }
        previous = Some(document);
        last_may_follow = ideal <= i;
    }
    if let Some((_, at)) = clean.iter().find(|(i, _)| *i >= ideal) {
        return InsertionPoint {
            at: *at,
            needs_break: false,
            closing: Separator::None,
        };
    }
    // Only what has no marker of its own stands before what runs: its start it is. The same where
    // a line break at the end would be one of a value.
    let last = previous.filter(|last| last_may_follow && ends_in_a_value(stream, last));
    match runs.or(last) {
        Some(document) => before(stream, &document),
        None => InsertionPoint {
            at: stream.len(),
            needs_break: !stream.is_empty() && !stream.ends_with(b"\n"),
            closing: Separator::None,
        },
    }
}

/// The gap right before a document.
fn before(stream: &[u8], document: &Document) -> InsertionPoint {
    let bom = if document.span.start == 0 && stream.starts_with(documents::BOM) {
        documents::BOM.len()
    } else {
        0
    };
    InsertionPoint {
        at: document.span.start + bom,
        needs_break: false,
        closing: match document.start {
            Start::Directives => Separator::End,
            Start::Bare | Start::Glued => Separator::Marker,
            Start::Marker => Separator::None,
        },
    }
}

/// Whether the last document ends, without a line break, in a block scalar: one more line break
/// would be a part of its value.
fn ends_in_a_value(stream: &[u8], document: &Document) -> bool {
    let body = stream.get(document.body.clone()).unwrap_or_default();
    if body.ends_with(b"\n") || memchr::memchr2(b'|', b'>', body).is_none() {
        return false;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return false;
    };
    let value = |text: &str| {
        let tree = Tree::parse(text).ok()?;
        Some(tree.root()?.to_json())
    };
    value(text) != value(&format!("{text}\n"))
}

/// Whether a document is nothing but the `# Source:` line of the next one.
fn is_lone_source(stream: &[u8], document: &Document) -> bool {
    let body = stream.get(document.body.clone()).unwrap_or_default();
    source_lines_end(body) > 0 && documents::says_nothing(body)
}

fn weigh(stream: &[u8], document: &Document) -> Weight {
    let body = stream.get(document.body.clone()).unwrap_or_default();
    if documents::says_nothing(body) {
        return Weight::Nothing;
    }
    let hook = memchr::memmem::find(body, b"helm.sh/hook").is_some();
    match kind_in_plain_sight(body) {
        Some(kind) if !hook => weigh_kind(kind),
        _ => weigh_parsed(body),
    }
}

/// The kind, where it stands at the beginning of a line in letters alone.
fn kind_in_plain_sight(body: &[u8]) -> Option<&str> {
    let needle = b"\nkind:";
    let rest = if body.starts_with(b"kind:") {
        body.get(5..)?
    } else {
        let at = memchr::memmem::find(body, needle)?;
        body.get(at + needle.len()..)?
    };
    let line = rest.split(|b| *b == b'\n').next()?.trim_ascii();
    let plain = !line.is_empty() && line.iter().all(u8::is_ascii_alphanumeric);
    plain.then(|| std::str::from_utf8(line).ok()).flatten()
}

fn weigh_parsed(body: &[u8]) -> Weight {
    let Some(tree) = std::str::from_utf8(body)
        .ok()
        .and_then(|t| Tree::parse(t).ok())
    else {
        // What can't be read may run.
        return Weight::Running;
    };
    let Some(root) = tree.root().filter(|r| r.is_mapping()) else {
        return Weight::Nothing;
    };
    let hook = root
        .dig(&["metadata", "annotations"])
        .is_some_and(|a| a.get("helm.sh/hook").is_some());
    if hook {
        return Weight::Hook;
    }
    let kind = root.get("kind").and_then(Node::text).unwrap_or_default();
    weigh_kind(&kind)
}

fn weigh_kind(kind: &str) -> Weight {
    if BEFORE.contains(&kind) {
        Weight::Before
    } else if PASSIVE.contains(&kind) {
        Weight::Passive
    } else {
        Weight::Running
    }
}

/// The first item of a list that a new policy must come before, as an index.
#[must_use]
pub fn item_index(kinds: &[String]) -> usize {
    let runs = kinds
        .iter()
        .position(|k| weigh_kind(k) == Weight::Running)
        .unwrap_or(kinds.len());
    kinds
        .get(..runs)
        .unwrap_or_default()
        .iter()
        .rposition(|k| weigh_kind(k) == Weight::Before)
        .map_or(0, |i| i + 1)
}

/// The line of a stream's `# Source:` comment for a template.
#[must_use]
pub fn source_line(template: &str) -> String {
    format!("{SOURCE}{}\n", manifest::escape::terminal(template))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stream: &str) -> (usize, Separator) {
        let gap = gap(stream.as_bytes());
        (gap.at, gap.closing)
    }

    #[test]
    fn policies_come_after_namespaces_and_before_pods() {
        let stream =
            "---\nkind: Namespace\n---\nkind: Secret\n---\nkind: Pod\n---\nkind: Namespace\n";
        assert_eq!(at(stream), (20, Separator::None));
        assert_eq!(at("---\nkind: Pod\n"), (0, Separator::None));
        assert_eq!(at("kind: Secret\n---\nkind: Pod\n"), (13, Separator::None));
    }

    #[test]
    fn a_document_without_a_marker_gets_one() {
        assert_eq!(at("kind: Pod\n"), (0, Separator::Marker));
        assert_eq!(at("\u{feff}kind: Pod\n"), (3, Separator::Marker));
        assert_eq!(at("\u{feff}---\nkind: Pod\n"), (3, Separator::None));
        assert_eq!(at("%YAML 1.1\n---\nkind: Pod\n"), (0, Separator::End));
        assert_eq!(at("kind: Secret\n"), (13, Separator::None));
        assert!(gap(b"kind: Secret").needs_break);
    }

    #[test]
    fn a_header_stays_with_its_document() {
        let stream = "---\n# Source: a/b.yaml\n---\nkind: Secret\n---\nkind: Pod\n";
        assert_eq!(at(stream), (0, Separator::None));
        let stream = "kind: Namespace\n---\n# Source: a/b.yaml\n---\nkind: Pod\n";
        assert_eq!(at(stream), (16, Separator::None));
    }

    #[test]
    fn hooks_alone_are_idle() {
        let hook = "kind: Job\nmetadata:\n  annotations: {helm.sh/hook: pre-install}\n";
        assert!(is_idle(hook.as_bytes()));
        assert!(is_idle(b"# a\n---\n\n"));
        assert!(!is_idle(b"kind: ConfigMap\ndata: {a: helm.sh/hook}\n"));
    }
}
