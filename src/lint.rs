//! Every NetworkPolicy of a stream, held against the API server's rules.
//!
//! Reads each document of a stream, of any owner, and takes up what is meant as a NetworkPolicy,
//! in lists too. Nothing is changed, and other kinds are passed over. How findings are shown is
//! decided at the edge.

use std::ops::Range;

use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position, Quoting, Severity};
use manifest::documents::{self, BOM, Document, Start};
use manifest::line_index::LineIndex;
use manifest::schema::Origin;
use manifest::yaml::{self, Node, Tree};
use netpol::kubernetes;
use netpol::model::tier::{Dialect, TierPolicy};
use netpol::validate::document::{is_meant_as_policy, policy_document};
use netpol::validate::{CidrRule, Context, Use};

const LEADING_END_MARKER: &str = "an end marker (...) stands before the first document";

/// How deep lists of lists are followed.
const MAX_LIST_DEPTH: usize = 8;

/// By whose rules.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which CIDRs the target server takes.
    pub cidr: CidrRule,
    /// The namespace that the policies are sent to.
    pub namespace: Option<String>,
}

/// What was found in a stream.
#[derive(Debug, Default)]
pub struct Findings {
    /// The problems, in the order of the stream; positions are those of the stream.
    pub report: Diagnostics,
    /// How many policies were judged.
    pub policies: usize,
    /// The bytes of the stream that may be shown: documents that hold no Secret.
    pub quotable: Vec<Range<usize>>,
}

/// Judges every NetworkPolicy of a stream; `file` is its name, where it has one.
#[must_use]
pub fn policies(stream: &[u8], file: Option<&str>, options: &Options) -> Findings {
    let mut lint = Lint {
        stream,
        lines: LineIndex::default(),
        file,
        options,
        findings: Findings::default(),
        blank: true,
        stray_end: None,
    };
    for (i, document) in documents::split(stream).enumerate() {
        lint.document(i + 1, &document);
    }
    if lint.blank {
        lint.nothing();
    }
    lint.findings
}

struct Lint<'s> {
    stream: &'s [u8],
    lines: LineIndex,
    file: Option<&'s str>,
    options: &'s Options,
    findings: Findings,
    /// Whether no document has had content yet.
    blank: bool,
    /// Where an end marker stands that ends nothing, with no policy behind it yet.
    stray_end: Option<Position>,
}

impl Lint<'_> {
    fn document(&mut self, number: usize, document: &Document) {
        let bytes = self.stream.get(document.body.clone()).unwrap_or_default();
        let place = Location {
            file: self.file.map(str::to_owned),
            document: Some(number),
            source: manifest::objects::template(bytes),
            ..Location::default()
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.blank = false;
            let mention = String::from_utf8_lossy(bytes);
            self.unreadable(&mention, &place, "the document is not UTF-8", None);
            return;
        };
        let start = self.position_of(document.body.start);
        let tree = match Tree::parse(text) {
            Ok(tree) => tree,
            Err(error) => {
                self.blank = false;
                let message = format!("the document is not YAML: {}", error.message);
                let position = shifted(error.position, start);
                self.unreadable(text, &place, &message, Some(position));
                return;
            }
        };
        let Some(root) = tree.root() else {
            let rest = self.stream.get(document.body.end..document.span.end);
            if document.start == Start::Bare && rest.is_some_and(|rest| rest.starts_with(b"...")) {
                self.stray_end = Some(self.position_of(document.body.end));
            }
            return;
        };
        self.blank = false;
        let mut objects = Vec::new();
        gather(root, 0, &mut objects);
        let policies: Vec<Node<'_>> = objects
            .iter()
            .copied()
            .filter(|node| is_meant_as_policy(*node) || tier_of(*node).is_some())
            .collect();
        if policies.is_empty() {
            return;
        }
        self.dialect(document, &tree, &place);
        let is_secret = |node: &Node<'_>| kind_of(*node) == "Secret";
        if !objects.iter().any(is_secret) {
            self.findings.quotable.push(document.span.clone());
        }
        for policy in policies {
            let mut place = place.clone();
            place.object = Some(describe(policy));
            match tier_of(policy) {
                Some(dialect) => self.tier_policy(policy, dialect, &place, start),
                None => self.policy(policy, place, start),
            }
        }
    }

    /// A document that our reader takes may still be none to Helm and kubectl.
    fn dialect(&mut self, document: &Document, tree: &Tree<'_>, place: &Location) {
        let start = match document.start {
            Start::Glued => document.body.start,
            _ => document.span.start,
        };
        let bytes = self.stream.get(start..document.span.end);
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(text) = text else { return };
        let mark = if start == 0 && text.as_bytes().starts_with(BOM) {
            BOM.len()
        } else {
            0
        };
        let text = text.get(mark..).unwrap_or_default();
        let first = document.span.start == 0;
        if first && is_json(text) {
            return;
        }
        let origin = self.position_of(start + mark);
        let body = document.body.start.saturating_sub(start + mark);
        let stray = self.stray_end.take();
        let stray = stray.map(|position| (position, LEADING_END_MARKER.to_owned()));
        let refused = yaml::dialect::check(text, body, tree).err();
        let refused = refused.map(|error| (shifted(error.position, origin), error.message));
        if let Some((position, message)) = stray.or(refused) {
            let place = Location {
                position: Some(position),
                ..place.clone()
            };
            let message = format!("Helm and kubectl can't read this YAML: {message}");
            let help = "write it in YAML 1.1; quotes around a value often help";
            let problem = Diagnostic::error(message).help(help).at(place);
            self.findings.report.push(problem);
        }
    }

    fn policy(&mut self, node: Node<'_>, place: Location, start: Position) {
        let origin = Origin {
            place,
            quoting: Quoting::Show,
        };
        let ctx = Context {
            origin: &origin,
            cidr: self.options.cidr,
            use_of: Use::AsTheyAre,
        };
        let problems = policy_document(Some(node), self.options.namespace.as_deref(), &ctx);
        self.findings.policies += 1;
        self.findings
            .report
            .extend(problems.into_iter().map(|mut p| {
                p.place.position = p.place.position.map(|at| shifted(at, start));
                p
            }));
    }

    /// A policy of the whole cluster: what the server rejects is an error, what it takes although it
    /// can't be meant is a warning.
    fn tier_policy(&mut self, node: Node<'_>, dialect: Dialect, place: &Location, start: Position) {
        self.findings.policies += 1;
        let (_, problems) = TierPolicy::read(dialect, &kind_of(node), node);
        let problems = problems.into_iter().map(|problem| {
            let position = problem.position.map(|at| shifted(at, start));
            let mut found = Diagnostic::error(problem.message).at(place.at(problem.path, position));
            if !problem.is_rejected {
                found.severity = Severity::Warning;
            }
            found
        });
        self.findings.report.extend(problems);
    }

    /// An empty stream is an error: a check that checks nothing must not be green. The server names
    /// the same field.
    fn nothing(&mut self) {
        let place = Location {
            file: self.file.map(str::to_owned),
            path: Some("metadata.name".to_owned()),
            ..Location::default()
        };
        let message = "there is nothing to check, the stream is empty";
        let help = "did the chart render anything? With --output-dir, Helm prints nothing";
        let problem = Diagnostic::error(message).help(help).at(place);
        self.findings.report.push(problem);
    }

    /// A document that can't be read concerns us if it speaks of network policies.
    fn unreadable(
        &mut self,
        text: &str,
        place: &Location,
        message: &str,
        position: Option<Position>,
    ) {
        if !text.to_lowercase().contains("networkpolic") {
            return;
        }
        self.findings.policies += 1;
        let place = Location {
            position,
            ..place.clone()
        };
        self.findings
            .report
            .push(Diagnostic::error(message.to_owned()).at(place));
    }

    /// Line and column of a byte of the stream. A byte order mark takes no column.
    fn position_of(&self, at: usize) -> Position {
        let mut position = self.lines.position(self.stream, at);
        if position.line == 1 && at >= BOM.len() && self.stream.starts_with(BOM) {
            position.column -= 1;
        }
        position
    }
}

/// What a policy of the whole cluster is, if the node is one.
fn tier_of(node: Node<'_>) -> Option<Dialect> {
    Dialect::of(&kind_of(node), &node.get("apiVersion")?.text()?)
}

/// Whether a text is what kubectl reads as JSON, whose rules differ in places from YAML's.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A position in a text that begins at `start`.
fn shifted(at: Position, start: Position) -> Position {
    Position {
        line: at.line + start.line - 1,
        column: if at.line == 1 {
            at.column + start.column - 1
        } else {
            at.column
        },
    }
}

/// The objects of a document: itself, or the items of a list.
fn gather<'a>(node: Node<'a>, depth: usize, objects: &mut Vec<Node<'a>>) {
    let items = node
        .get("items")
        .filter(|items| items.is_sequence() && kind_of(node).ends_with("List"));
    match items {
        Some(items) if depth < MAX_LIST_DEPTH => {
            for item in items.items() {
                gather(item, depth + 1, objects);
            }
        }
        _ if node.is_mapping() => objects.push(node),
        _ => {}
    }
}

fn kind_of(node: Node<'_>) -> std::borrow::Cow<'_, str> {
    node.get("kind").and_then(Node::text).unwrap_or_default()
}

/// The object in words: `NetworkPolicy team-a/web`.
fn describe(node: Node<'_>) -> String {
    let text = |field| node.dig(&["metadata", field]).and_then(Node::text);
    let name = text("name")
        .or_else(|| text("generateName"))
        .unwrap_or("without a name".into());
    if tier_of(node).is_some() {
        return format!("{} {name}", kind_of(node));
    }
    match text("namespace").filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => format!("{} {namespace}/{name}", kubernetes::KIND),
        None => format!("{} {name}", kubernetes::KIND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lint(stream: &str) -> (Vec<String>, usize) {
        let found = policies(stream.as_bytes(), None, &Options::default());
        let problems = found
            .report
            .iter()
            .map(|p| {
                let at = p.place.position.unwrap();
                let path = p.place.path.as_deref().unwrap_or_default();
                format!("{}:{} {path}: {}", at.line, at.column, p.message)
            })
            .collect();
        (problems, found.policies)
    }

    const HEAD: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n";

    #[test]
    fn positions_are_those_of_the_stream() {
        let (problems, count) = lint(&format!(
            "a: 1\n--- # x\n{HEAD}metadata: {{name: a}}\nspec: {{polcyTypes: []}}\n\
             --- {{kind: NetworkPolicy, metadata: {{name: A}}, apiVersion: networking.k8s.io/v1}}\n"
        ));
        assert_eq!(count, 2);
        assert_eq!(
            problems,
            [
                "6:8 spec.polcyTypes: unknown field in NetworkPolicySpec",
                "7:44 metadata.name: \"A\" is not a valid name (a DNS subdomain)",
            ]
        );
    }

    #[test]
    fn items_of_lists_are_judged_and_other_kinds_are_not() {
        let (problems, count) = lint(
            "kind: List\nitems:\n- kind: Secret\n  data: {x: 1}\n\
             - {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a b}}\n\
             ---\napiVersion: crd.projectcalico.org/v1\nkind: NetworkPolicy\nspec: {order: 1}\n\
             ---\nkind: Ingress\napiVersion: networking.k8s.io/v1\nspec: {rules: []}\n",
        );
        assert_eq!(count, 1);
        assert_eq!(problems.len(), 1, "{problems:?}");
    }

    #[test]
    fn a_document_with_a_secret_is_not_quotable() {
        let stream = format!(
            "{HEAD}metadata: {{name: a}}\n---\nkind: List\nitems:\n- {{kind: Secret}}\n\
             - {{kind: NetworkPolicy}}\n"
        );
        let found = policies(stream.as_bytes(), None, &Options::default());
        assert_eq!(found.quotable.len(), 1);
        assert_eq!(found.policies, 2);
    }

    #[test]
    fn what_cannot_be_read_counts_where_it_speaks_of_policies() {
        assert_eq!(lint("a: [\n---\nb: 1\n").0, Vec::<String>::new());
        assert_eq!(lint("kind: NetworkPolicy\na: [\n").0.len(), 1);
    }

    #[test]
    fn what_helm_and_kubectl_cannot_read_is_refused() {
        let policy = format!("{HEAD}metadata:\n  name: a\nspec: {{podSelector: {{}}}}\n");
        let refused = |stream: String| {
            let (problems, count) = lint(&stream);
            assert_eq!((problems.len(), count), (1, 1), "{stream:?}: {problems:?}");
            problems.concat()
        };
        let words = "Helm and kubectl can't read this YAML: ";
        assert_eq!(
            refused(format!("a: 1\n...\n%YAML 1.2\n---\n{policy}")),
            format!("3:1 : {words}they take %YAML 1.1 alone")
        );
        assert_eq!(
            refused(format!("...\n---\n{policy}")),
            format!("1:1 : {words}an end marker (...) stands before the first document")
        );
        assert_eq!(
            refused(format!(
                "a: 1\n---\n{}",
                policy.replace("a\n", "!!null a\n")
            )),
            format!("6:9 : {words}the text is not what its tag !!null says")
        );
        assert!(refused(format!("\u{feff}\u{feff}{policy}")).starts_with("1:1 "));
        let colons = policy.replace("Selector: {}", "Selector: {matchLabels: {a: ::1}}");
        let problems = lint(&colons).0;
        assert!(
            problems.concat().starts_with(&format!("5:39 : {words}")),
            "{problems:?}"
        );
        for stream in [
            format!("%YAML 1.1\n---\n{policy}...\n"),
            format!("\u{feff}{policy}---\n\u{feff}{policy}"),
            policy.replace('\n', "\u{85}"),
            "%YAML 1.2\n---\na: ::1\n---\n".to_owned() + &policy,
        ] {
            assert_eq!(lint(&stream).0, Vec::<String>::new(), "{stream:?}");
        }
    }

    #[test]
    fn json_is_read_as_json() {
        let json = r#"{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata":
            {"name": "a", "annotations": {"b": "c\/d"}}, "spec": {"podSelector": {}}}"#;
        assert_eq!(lint(json).0, Vec::<String>::new());
        assert_eq!(lint(&format!("---\n{json}")).0.len(), 1);
    }

    #[test]
    fn keys_are_the_same_by_value() {
        let keys = |one: &str, two: &str| {
            let labels = format!("{{{one}: a, {two}: b}}");
            let spec = "spec: {podSelector: {}}\n";
            lint(&format!(
                "{HEAD}metadata: {{name: a, labels: {labels}}}\n{spec}"
            ))
            .0
        };
        assert_eq!(keys("1", "0x1").len(), 1);
        assert_eq!(keys("y", "\"y\"").len(), 0);
        assert_eq!(keys("1", "\"1\"").len(), 0);
        assert_eq!(keys("yes", "true").len(), 1);
        assert_eq!(keys("1", "1.0").len(), 0);
    }
}
