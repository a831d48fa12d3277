//! The last check before a stream is written: the parts that change are read once more.
//!
//! Three things are proved. Each policy that was planned is in the new stream exactly once. It says
//! what was planned. And nothing else has changed: every other document of the changed parts is the
//! same bytes, and every other item of a changed list the same value. What no edit touches goes out
//! as a slice of the input, so it needs no proof.
//!
//! No text is read twice. What the index says of a document holds as long as the document is cut
//! the same way, and so does what was read back of a policy's text.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::Value;

use super::placement::Expected;
use crate::filter::index::{Index, IndexedObject as Object};
use crate::filter::roundtrip::Written;
use crate::vcluster::actors::{COMPANION_PREFIXES, POLICY_PREFIXES};
use manifest::diagnostic::Diagnostic;
use manifest::documents::{self, Document, Start};
use manifest::edit::{self, Edit};
use manifest::yaml::{Node, Tree};

/// How much of what follows a changed part is read with it: the marker of the next document.
const TAIL: usize = 4096;

/// What is to be proved.
pub(super) struct Claim<'c> {
    /// The stream as it came.
    pub(super) stream: &'c [u8],
    /// Its objects.
    pub(super) index: &'c Index,
    /// Whether the stream is one list.
    pub(super) is_list: bool,
    /// What changes.
    pub(super) edits: &'c [Edit],
    /// The policies that must be there, in the order of the plan.
    pub(super) expected: &'c [Expected<'c>],
}

/// Proves a claim.
///
/// # Errors
/// When the new stream would not be what was planned.
pub(super) fn prove(claim: &Claim<'_>) -> Result<(), Diagnostic> {
    let mut count = Count::of(claim.expected);
    let parts = changed_parts(claim);
    for object in &claim.index.objects {
        let at = object.location.document.span.start;
        let after = parts.partition_point(|part| part.span.start <= at);
        let changed = after
            .checked_sub(1)
            .and_then(|i| parts.get(i))
            .is_some_and(|part| at < part.span.end);
        if !changed {
            count.take(object);
        }
    }
    for part in &parts {
        part.prove(claim, &mut count)?;
    }
    match count.first_wrong() {
        Some(policy) => Err(unprovable(&format!(
            "{policy} would not be there exactly once"
        ))),
        None => Ok(()),
    }
}

fn unprovable(what: &str) -> Diagnostic {
    Diagnostic::error(format!("the stream can't be edited safely: {what}")).help(
        "nothing was written; please report this with the stream, its secrets removed. In a list, \
         write the items one below the other, each behind \"- \"",
    )
}

/// How often each of the planned policies is there.
struct Count<'c> {
    /// For each name and namespace the place of its policy among the expected ones.
    places: HashMap<(&'c str, Option<&'c str>), usize>,
    expected: &'c [Expected<'c>],
    found: Vec<usize>,
}

impl<'c> Count<'c> {
    fn of(expected: &'c [Expected<'c>]) -> Self {
        let mut places = HashMap::new();
        for (i, expected) in expected.iter().enumerate() {
            let policy = expected.policy;
            let place = (policy.name.as_str(), policy.namespace.as_deref());
            places.entry(place).or_insert(i);
        }
        Self {
            places,
            expected,
            found: vec![0; expected.len()],
        }
    }

    /// The planned policy that an object is, if it is one.
    fn planned(&self, object: &Object) -> Option<usize> {
        if !object.is_network_policy() || object.is_hook() {
            return None;
        }
        let place = (object.name.as_deref()?, object.namespace.as_deref());
        self.places.get(&place).copied()
    }

    fn take(&mut self, object: &Object) {
        if let Some(place) = self.planned(object) {
            self.take_place(place);
        }
    }

    fn take_place(&mut self, place: usize) {
        if let Some(found) = self.found.get_mut(place) {
            *found += 1;
        }
    }

    /// Whether an object in a document of its own is one of our policies.
    fn is_ours(&self, object: &Object) -> bool {
        let own = object.is_own_policy() || self.planned(object).is_some();
        own && object.location.item.is_none() && !object.is_hook()
    }

    /// The planned policy whose text a document is, to the byte: that text was read back and
    /// compared with the plan. Only comments of plain characters may stand before it.
    fn written(&self, body: &[u8], start: Start) -> Option<usize> {
        const NAME: &[u8] = b"\n  name: ";
        const NAMESPACE: &[u8] = b"\n  namespace: ";
        if !matches!(start, Start::Bare | Start::Marker) {
            return None;
        }
        let from_name = body.get(memchr::memmem::find(body, NAME)? + NAME.len()..)?;
        let (name, rest) = from_name.split_at_checked(memchr::memchr(b'\n', from_name)?)?;
        let namespace = rest.strip_prefix(NAMESPACE);
        let namespace = namespace.and_then(|n| n.get(..memchr::memchr(b'\n', n)?));
        let namespace = namespace.map(std::str::from_utf8).transpose().ok()?;
        let known = self
            .places
            .get(&(std::str::from_utf8(name).ok()?, namespace));
        known.copied().filter(|place| {
            let text = self.expected.get(*place).map(|e| e.text.as_bytes());
            text.and_then(|text| body.strip_suffix(text))
                .is_some_and(|before| is_plain_comment(before, start))
        })
    }

    fn first_wrong(&self) -> Option<&str> {
        let wrong = self.found.iter().position(|n| *n != 1)?;
        self.expected.get(wrong).map(|e| e.policy.name.as_str())
    }
}

/// A part of the stream in which something changes: whole documents.
struct Part<'c> {
    span: Range<usize>,
    edits: Vec<&'c Edit>,
}

/// The parts of the stream in which something changes, in order.
fn changed_parts<'c>(claim: &Claim<'c>) -> Vec<Part<'c>> {
    let mut documents: Vec<&Range<usize>> = claim
        .index
        .objects
        .iter()
        .map(|object| &object.location.document.span)
        .collect();
    documents.sort_by_key(|span| span.start);
    let mut edits: Vec<&Edit> = claim.edits.iter().collect();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut parts: Vec<Part<'c>> = Vec::new();
    for edit in edits {
        let span = if claim.is_list {
            0..claim.stream.len()
        } else {
            whole_documents(claim.stream, &edit.span, &documents)
        };
        match parts.last_mut() {
            Some(last) if span.start <= last.span.end => {
                last.span.end = last.span.end.max(span.end);
                last.edits.push(edit);
            }
            _ => parts.push(Part {
                span,
                edits: vec![edit],
            }),
        }
    }
    parts
}

/// The document that an edit changes, or the line at which it inserts.
fn whole_documents(
    stream: &[u8],
    edit: &Range<usize>,
    documents: &[&Range<usize>],
) -> Range<usize> {
    let after = documents.partition_point(|span| span.start <= edit.start);
    let document = after.checked_sub(1).and_then(|i| documents.get(i));
    if let Some(document) = document.filter(|d| edit.end <= d.end && edit.start < d.end) {
        return document.start..document.end;
    }
    let before = stream.get(..edit.start).unwrap_or_default();
    let line = memchr::memrchr(b'\n', before).map_or(0, |i| i + 1);
    line..edit.end
}

impl Part<'_> {
    fn prove(&self, claim: &Claim<'_>, count: &mut Count<'_>) -> Result<(), Diagnostic> {
        let stream = claim.stream;
        let begins_a_line = self.span.start == 0 || stream.get(self.span.start - 1) == Some(&b'\n');
        if !begins_a_line {
            return Err(unprovable("a change is not at the beginning of a line"));
        }
        let tail_end = self.span.end.saturating_add(TAIL).min(stream.len());
        let tail = stream.get(self.span.end..tail_end).unwrap_or_default();
        let before = stream.get(self.span.start..tail_end).unwrap_or_default();
        let mut after = self.edited(stream)?;
        let end = after.len();
        after.extend_from_slice(tail);
        let mut old_documents: Vec<Document> = documents::split(before).collect();
        let mut new_documents: Vec<Document> = documents::split(&after).collect();
        if self.span.start > 0
            && begins_bare(&after, &new_documents)
            && !begins_bare(before, &old_documents)
        {
            return Err(unprovable(
                "a text would become a part of the document before it",
            ));
        }
        // What follows the part and is cut the same way is the same.
        let same = old_documents.iter().rev().zip(new_documents.iter().rev());
        let same = same.take_while(|(old, new)| {
            new.span.start >= end && before.get(old.span.clone()) == after.get(new.span.clone())
        });
        let same = same.count();
        old_documents.truncate(old_documents.len() - same);
        new_documents.truncate(new_documents.len() - same);
        let old = View::of(before, old_documents, count, |document| {
            let ours = self.was_ours(document, claim.index, count)?;
            Some(if ours { Known::Ours } else { Known::Other })
        });
        let new = View::of(&after, new_documents, count, |document| {
            let body = after.get(document.body.clone())?;
            count.written(body, document.start).map(Known::Written)
        });
        if new.unreadable > old.unreadable {
            return Err(unprovable("a document would not be readable any more"));
        }
        old.compare(&new)?;
        new.compare_policies(count, end)
    }

    /// Whether a document of the part, as it was, is one of our policies; `None` where the index
    /// does not know it.
    fn was_ours(&self, document: &Document, index: &Index, count: &Count<'_>) -> Option<bool> {
        let at = |place: &usize| place + self.span.start;
        let start = at(&document.span.start);
        let first = index
            .objects
            .partition_point(|object| object.location.document.span.start < start);
        let mut objects = index
            .objects
            .iter()
            .skip(first)
            .take_while(|object| object.location.document.span.start == start)
            .peekable();
        let known = &objects.peek()?.location.document;
        let same_body = known.body == (at(&document.body.start)..at(&document.body.end));
        if !same_body || known.start != document.start {
            return None;
        }
        Some(objects.any(|object| count.is_ours(object)))
    }

    /// The part as it will be written.
    fn edited(&self, stream: &[u8]) -> Result<Vec<u8>, Diagnostic> {
        let shifted = self.edits.iter().map(|edit| Edit {
            span: edit.span.start - self.span.start..edit.span.end - self.span.start,
            text: edit.text.clone(),
        });
        let old = stream.get(self.span.clone()).unwrap_or_default();
        let pieces =
            edit::apply(old, shifted.collect()).map_err(|_| unprovable("two changes overlap"))?;
        Ok(pieces.concat())
    }
}

/// What is known of a document that is not read again.
#[derive(Clone, Copy)]
enum Known {
    /// It is one of our policies.
    Ours,
    /// It is something else.
    Other,
    /// It is the text that was written for the policy at this place among the expected ones.
    Written(usize),
}

/// A part of a stream, read.
struct View<'b> {
    bytes: &'b [u8],
    /// The documents that hold something else than one of our policies alone.
    others: Vec<Document>,
    /// The objects that are planned policies, with their places among the expected ones.
    policies: Vec<(Object, usize)>,
    /// The planned policies that were read back as they stand here, and where they begin.
    written: Vec<(usize, usize)>,
    unreadable: usize,
}

impl<'b> View<'b> {
    fn of(
        bytes: &'b [u8],
        documents: Vec<Document>,
        count: &Count<'_>,
        known: impl Fn(&Document) -> Option<Known>,
    ) -> Self {
        let mut ours: HashSet<usize> = HashSet::new();
        let mut written = Vec::new();
        let mut unknown = Vec::new();
        for document in &documents {
            let start = document.span.start;
            match known(document) {
                Some(Known::Ours) => _ = ours.insert(start),
                Some(Known::Other) => {}
                Some(Known::Written(place)) => {
                    ours.insert(start);
                    written.push((place, start));
                }
                None => unknown.push(document.clone()),
            }
        }
        let index = if unknown.is_empty() {
            Index::default()
        } else {
            Index::of_documents(bytes, unknown)
        };
        let mut policies = Vec::new();
        for object in index.objects {
            if count.is_ours(&object) {
                ours.insert(object.location.document.span.start);
            }
            if let Some(place) = count.planned(&object) {
                policies.push((object, place));
            }
        }
        let body = |d: &Document| bytes.get(d.body.clone()).unwrap_or_default();
        let mut others = documents;
        others.retain(|d| !ours.contains(&d.span.start) && !documents::says_nothing(body(d)));
        Self {
            bytes,
            others,
            policies,
            written,
            unreadable: index.unreadable.len(),
        }
    }

    fn body(&self, document: &Document) -> &'b [u8] {
        self.bytes.get(document.body.clone()).unwrap_or_default()
    }

    /// Whether all documents that are not ours are what they were.
    fn compare(&self, new: &View<'_>) -> Result<(), Diagnostic> {
        if self.others.len() != new.others.len() {
            return Err(unprovable("another document would be lost or cut in two"));
        }
        for (old_document, new_document) in self.others.iter().zip(&new.others) {
            let (old, new) = (self.body(old_document), new.body(new_document));
            if is_same_text(old, new) {
                continue;
            }
            if others_of_list(old).is_none() || others_of_list(old) != others_of_list(new) {
                return Err(unprovable("another object would change"));
            }
        }
        Ok(())
    }

    /// Whether each planned policy that begins before `end` says what was planned.
    fn compare_policies(&self, count: &mut Count<'_>, end: usize) -> Result<(), Diagnostic> {
        for (place, start) in &self.written {
            if *start < end {
                count.take_place(*place);
            }
        }
        let start = |object: &Object| object.location.document.span.start;
        // A document is read once, however many policies it has.
        let same_document = |a: &(Object, usize), b: &(Object, usize)| start(&a.0) == start(&b.0);
        for policies in self.policies.chunk_by(same_document) {
            let Some((first, _)) = policies.first().filter(|(object, _)| start(object) < end)
            else {
                continue;
            };
            let body = self.body(&first.location.document);
            let tree = std::str::from_utf8(body).ok().map(Tree::parse);
            let root = tree.as_ref().and_then(|tree| tree.as_ref().ok()?.root());
            let items = root.map(items_by_start).unwrap_or_default();
            for (object, place) in policies {
                count.take(object);
                let Some(expected) = count.expected.get(*place) else {
                    continue;
                };
                let node = match &object.location.item {
                    None => root,
                    Some(item) => (item.span.start)
                        .checked_sub(object.location.document.body.start)
                        .and_then(|start| items.get(&start).copied()),
                };
                compare_policy(node, expected)?;
            }
        }
        Ok(())
    }
}

/// Whether a part begins with content that no marker separates from what is before the part.
fn begins_bare(bytes: &[u8], documents: &[Document]) -> bool {
    documents.first().is_some_and(|first| {
        let body = bytes.get(first.body.clone()).unwrap_or_default();
        first.start == Start::Bare && !documents::says_nothing(body)
    })
}

/// Whether a text before a policy's says nothing to any reader: blank lines and comments, of plain
/// characters alone.
fn is_plain_comment(text: &[u8], start: Start) -> bool {
    // The first line stands behind the marker's dashes.
    let first = text.first().is_none_or(|b| matches!(b, b'\n' | b' '));
    let says_nothing = |line: &[u8]| {
        let line = line.trim_ascii();
        line.is_empty() || line.starts_with(b"#")
    };
    (first || start == Start::Bare)
        && (text.is_empty() || text.ends_with(b"\n"))
        && text.iter().all(|b| matches!(b, b'\n' | b' '..=b'~'))
        && text.split(|b| *b == b'\n').all(says_nothing)
}

/// Whether a document has the same text, but for what separates it from its neighbours: the first
/// one may get a marker, and the last one the line break that it lacked.
fn is_same_text(old: &[u8], new: &[u8]) -> bool {
    fn without_break(body: &[u8]) -> &[u8] {
        let body = body.strip_prefix(b"\r").unwrap_or(body);
        body.strip_prefix(b"\n").unwrap_or(body)
    }
    let new = without_break(new);
    let ended = new.strip_suffix(b"\n");
    let ended = ended.map(|text| text.strip_suffix(b"\r").unwrap_or(text));
    // An empty line at the beginning stays, behind the line break of the marker.
    let same = |old: &[u8]| old == new || ended == Some(old);
    same(without_break(old)) || same(old)
}

/// Whether a node says what was planned for a policy.
fn compare_policy(node: Option<Node<'_>>, expected: &Expected<'_>) -> Result<(), Diagnostic> {
    let written = node.and_then(|node| serde_json::from_value::<Written>(node.to_json()).ok());
    let name = &expected.policy.name;
    let Some(written) = written else {
        return Err(unprovable(&format!("{name} would not be readable")));
    };
    match written.difference(expected.policy, &expected.annotations) {
        Some(field) => Err(unprovable(&format!("{field} of {name} would be another"))),
        None => Ok(()),
    }
}

/// The items of a list and of the lists in it, each by the byte at which it begins.
fn items_by_start(list: Node<'_>) -> HashMap<usize, Node<'_>> {
    let mut found = HashMap::new();
    let mut lists = vec![list];
    while let Some(items) = lists.pop().map(|list| list.get("items")) {
        for item in items.into_iter().flat_map(Node::items) {
            // An item that several aliases name is looked at once.
            if found.insert(item.span().start, item).is_none() {
                lists.push(item);
            }
        }
    }
    found
}

/// The value of a list without our policies and without what a KRM function says of its work;
/// `None` for anything that is no list.
fn others_of_list(body: &[u8]) -> Option<Value> {
    let tree = std::str::from_utf8(body).ok().map(Tree::parse)?.ok()?;
    let root = tree.root()?;
    root.get("items").filter(|_| root.is_mapping())?;
    let mut value = root.to_json();
    if value.get("kind").and_then(Value::as_str) == Some("ResourceList")
        && let Some(fields) = value.as_object_mut()
    {
        fields.remove("results");
    }
    without_policies(&mut value);
    Some(value)
}

/// Takes our policies out of a list and out of the lists in it.
fn without_policies(value: &mut Value) {
    let Some(items) = value.get_mut("items") else {
        return;
    };
    let Some(list) = items.as_array_mut() else {
        if items.is_null() {
            *items = Value::Array(Vec::new());
        }
        return;
    };
    list.retain(|item| {
        let name = item.pointer("/metadata/name").and_then(Value::as_str);
        let named = name.is_some_and(|n| {
            POLICY_PREFIXES
                .iter()
                .chain(&COMPANION_PREFIXES)
                .any(|prefix| n.starts_with(prefix))
        });
        let kind = item.get("kind").and_then(Value::as_str);
        !(named && kind.is_none_or(|kind| kind == netpol::kubernetes::KIND))
    });
    for item in list {
        without_policies(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::emit;
    use crate::vcluster::config::settings::Settings;
    use crate::vcluster::policies::{self, Subject};
    use manifest::diagnostic::Quoting;
    use serde_json::json;
    use std::collections::BTreeMap;

    const BEFORE: &str = "kind: Pod\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                          metadata: {name: vc-cp-a, namespace: t}\n---\nkind: ConfigMap\n";

    /// The control plane's policy of a virtual cluster `a` in the namespace `t`.
    fn control_plane() -> policies::Policy {
        let (settings, _) = Settings::from_json(json!({"enabled": true}), Quoting::Show).unwrap();
        let subject = Subject {
            namespace: Some("t"),
            ..Subject::for_tests()
        };
        policies::policies(&subject, &settings).remove(1)
    }

    /// What comes of an edit that takes the place of `old` in a stream, whether the policy's text
    /// was read back or is read now.
    fn outcome(stream: &str, old: &str, new: &str) -> Result<(), String> {
        let outcome = outcome_with(&text(), stream, old, new);
        assert_eq!(outcome.is_ok(), outcome_with("", stream, old, new).is_ok());
        outcome
    }

    fn outcome_with(written: &str, stream: &str, old: &str, new: &str) -> Result<(), String> {
        let policy = control_plane();
        let start = stream.find(old).unwrap();
        let edits = [Edit {
            span: start..start + old.len(),
            text: new.to_owned(),
        }];
        let index = Index::of(stream.as_bytes());
        let expected = [Expected {
            policy: &policy,
            annotations: BTreeMap::new(),
            text: written.to_owned(),
        }];
        let claim = Claim {
            stream: stream.as_bytes(),
            index: &index,
            is_list: false,
            edits: &edits,
            expected: &expected,
        };
        prove(&claim).map_err(|problem| problem.message)
    }

    fn text() -> String {
        emit::block(&control_plane(), &BTreeMap::new(), &[])
    }

    const OURS: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                        metadata: {name: vc-cp-a, namespace: t}\n";

    #[test]
    fn what_was_planned_is_proved() {
        assert_eq!(outcome(BEFORE, OURS, &text()), Ok(()));
    }

    #[test]
    fn a_text_that_was_read_back_is_known_by_its_bytes_alone() {
        let policy = control_plane();
        let expected = [Expected {
            policy: &policy,
            annotations: BTreeMap::new(),
            text: text(),
        }];
        let count = Count::of(&expected);
        let written = |before: &str, start: Start, behind: &str| {
            let body = format!("{before}{}{behind}", text());
            count.written(body.as_bytes(), start)
        };
        for before in ["\n", "\n# Source: a/b.yaml\n", " # a\n\n# b\n", "  \n"] {
            assert_eq!(written(before, Start::Marker, ""), Some(0), "{before:?}");
        }
        assert_eq!(written("# a\n", Start::Bare, ""), Some(0));
        // What another reader may see in it is read.
        for before in [
            "#\n",
            "\na: b\n",
            "\n# \u{85}\n",
            "\n#\t\n",
            "\n# \r\n",
            "\n# a",
        ] {
            assert_eq!(written(before, Start::Marker, ""), None, "{before:?}");
        }
        assert_eq!(written("\n", Start::Directives, ""), None);
        assert_eq!(written("\n", Start::Glued, ""), None);
        assert_eq!(written("\n", Start::Marker, "a: b\n"), None);
    }

    #[test]
    fn a_policy_that_was_read_back_still_has_its_bounds_proved() {
        // It takes the next document's marker along.
        let next = format!("{OURS}---\n");
        assert!(outcome(BEFORE, &next, &text()).is_err());
        // It is there, and once more behind it.
        let again = format!("{0}---\n{0}", text());
        assert!(outcome(BEFORE, OURS, &again).unwrap_err().contains("once"));
        // Something follows it in its document.
        assert!(outcome(BEFORE, OURS, &format!("{}a: b\n", text())).is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        let fault = |text: &str| outcome(BEFORE, OURS, text).unwrap_err();
        // Another rule, or a rule less.
        assert!(fault(&text().replace("1053", "53")).contains("spec of vc-cp-a"));
        // The same policy twice.
        let twice = format!("{0}---\n{0}", text());
        assert!(fault(&twice).contains("exactly once"));
        // None.
        assert!(fault("kind: List\n").contains("lost or cut"));
        // One that runs into the next document, and takes it along.
        let stream = BEFORE.replace("---\nkind: ConfigMap", "---\nkind: Pod");
        assert!(outcome(&stream, "---\nkind: Pod\n", "").is_err());
        // One without its marker, which the document before it would take in.
        let with_marker = format!("---\n{OURS}");
        assert!(
            outcome(BEFORE, &with_marker, &text())
                .unwrap_err()
                .contains("before it")
        );
        // Another namespace.
        assert!(fault(&text().replace("namespace: t", "namespace: u")).contains("exactly once"));
    }

    #[test]
    fn items_of_a_list_beside_ours_must_stay() {
        let list = "apiVersion: v1\nkind: List\nitems:\n- {kind: Pod, metadata: {name: p}}\n\
                    - {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: vc-cp-a, namespace: t}}\n";
        let item = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: vc-cp-a, namespace: t}}";
        let flow = emit::flow(&control_plane(), &BTreeMap::new());
        assert_eq!(outcome(list, item, &flow), Ok(()));
        let both = "{kind: Pod, metadata: {name: p}}\n- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: vc-cp-a, namespace: t}}";
        assert!(
            outcome(list, both, &flow)
                .unwrap_err()
                .contains("another object")
        );
    }
}
