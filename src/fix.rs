//! Suggestions written into the user's own text: what `lint --fix` changes.
//!
//! Everything else keeps its bytes: comments, order, quoting, blank lines, line breaks. The new text
//! is parsed again and must mean the old one with the change, and nothing else. Where a text is
//! written in a way that can't be changed safely, it stays as it is. A path may lead into a string
//! that holds values, if that is a literal block. Files belong to the command.

use serde_json::{Map, Value};

use crate::values_files;
use manifest::diagnostic::{Change, Suggestion};
use manifest::documents::{self, Document};
use manifest::edit::{self, Edit};
use manifest::entries::{Entry, Lines};
use manifest::line_index::LineIndex;
use manifest::yaml::{self, Node, Paths, Step, Tree, write};

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The new text; the old one, where nothing was done.
    pub text: String,
    /// The suggestions that are in it now.
    pub done: Vec<Suggestion>,
}

/// A suggestion and the line of the file that it is about, if that is known.
pub type Placed = (Option<usize>, Suggestion);

/// Makes the changes that need nobody's answer, each in its document. Paths begin at the root of
/// the document. Of several documents, the line says which.
#[must_use]
pub fn apply(text: &str, suggestions: &[Placed]) -> Fixed {
    let mut fixed = Fixed {
        text: String::with_capacity(text.len()),
        done: Vec::new(),
    };
    let body = |document: &Document| text.get(document.body.clone()).unwrap_or_default();
    let documents: Vec<Document> = documents::split(text.as_bytes())
        .filter(|document| !documents::says_nothing(body(document).as_bytes()))
        .collect();
    let lines = LineIndex::default();
    let first_lines: Vec<usize> = documents
        .iter()
        .map(|document| lines.line(text.as_bytes(), document.body.start))
        .collect();
    let mut by_document: Vec<Vec<Suggestion>> = vec![Vec::new(); documents.len()];
    for (line, suggestion) in suggestions {
        let index = match line {
            _ if documents.len() == 1 => Some(0),
            Some(line) => first_lines
                .partition_point(|first| first <= line)
                .checked_sub(1),
            None => None,
        };
        if let Some(list) = index.and_then(|index| by_document.get_mut(index)) {
            list.push(suggestion.clone());
        }
    }
    let mut at = 0;
    for (document, suggestions) in documents.iter().zip(&by_document) {
        let new = apply_to_document(body(document), suggestions);
        fixed.text += text.get(at..document.body.start).unwrap_or_default();
        fixed.text += &new.text;
        fixed.done.extend(new.done);
        at = document.body.end;
    }
    fixed.text += text.get(at..).unwrap_or_default();
    fixed
}

fn apply_to_document(text: &str, suggestions: &[Suggestion]) -> Fixed {
    let mut fixed = Fixed {
        text: text.to_owned(),
        done: Vec::new(),
    };
    let mut here: Vec<Suggestion> = Vec::new();
    let mut in_texts: Vec<(String, Vec<Suggestion>)> = Vec::new();
    let tree = Tree::parse(text).ok();
    let mut paths = tree.as_ref().and_then(Tree::root).map(Paths::new);
    for suggestion in suggestions {
        let Some((outer, inner)) = paths
            .as_mut()
            .and_then(|paths| into_string(paths, &suggestion.path))
        else {
            here.push(suggestion.clone());
            continue;
        };
        let inner = Suggestion {
            path: inner,
            ..suggestion.clone()
        };
        match in_texts.iter_mut().find(|(path, _)| *path == outer) {
            Some((_, list)) => list.push(inner),
            None => in_texts.push((outer, vec![inner])),
        }
    }
    for (path, suggestions) in in_texts {
        if let Some(changed) = change_string(&fixed.text, &path, &suggestions) {
            fixed.text = changed.text;
            fixed.done.extend(changed.done);
        }
    }
    let changed = change_values(&fixed.text, &here);
    fixed.text = changed.text;
    fixed.done.extend(changed.done);
    fixed
}

/// The path of the string that a path leads into, and the path inside its values.
fn into_string(paths: &mut Paths<'_>, path: &str) -> Option<(String, String)> {
    let mut ends = path.char_indices().filter(|(_, c)| matches!(c, '.' | '['));
    let (end, _) = ends.find(|(end, _)| {
        let outer = path.get(..*end).and_then(|outer| paths.find(outer));
        outer.is_some_and(|node| !node.is_null() && node.text().is_some())
    })?;
    let inner = path.get(end..)?;
    let inner = inner.strip_prefix('.').unwrap_or(inner);
    Some((path.get(..end)?.to_owned(), inner.to_owned()))
}

/// The text with changes in the values of a string, which must be a literal block.
fn change_string(text: &str, path: &str, suggestions: &[Suggestion]) -> Option<Fixed> {
    let tree = Tree::parse(text).ok()?;
    let root = tree.root()?;
    let node = Paths::new(root).find(path)?;
    if node.is_alias() || node.is_referred_to() {
        return None;
    }
    let literal = values_files::literal(text, node)?;
    let changed = change_values(text.get(literal.range.clone())?, suggestions);
    if changed.done.is_empty() {
        return None;
    }
    let meaning = Tree::parse(&changed.text).ok()?.root()?.to_json();
    let edit = Edit {
        span: literal.range,
        text: changed.text,
    };
    let new = String::from_utf8(edit::apply(text.as_bytes(), vec![edit]).ok()?.concat()).ok()?;
    let mut expected = root.to_json();
    let mut now = Tree::parse(&new).ok()?.root()?.to_json();
    find_mut(&mut expected, path)?.take();
    let values = find_mut(&mut now, path)?.take();
    let means_it = Tree::parse(values.as_str()?).ok()?.root()?.to_json() == meaning;
    if !means_it || now != expected {
        return None;
    }
    let in_document = |suggestion: Suggestion| Suggestion {
        path: format!("{path}.{}", suggestion.path),
        ..suggestion
    };
    Some(Fixed {
        text: new,
        done: changed.done.into_iter().map(in_document).collect(),
    })
}

/// The text with changes of its own values.
fn change_values(text: &str, suggestions: &[Suggestion]) -> Fixed {
    let mut fixed = Fixed {
        text: text.to_owned(),
        done: Vec::new(),
    };
    let exact = suggestions
        .iter()
        .filter(|suggestion| suggestion.is_exact());
    let mut sets: Vec<&Suggestion> = Vec::new();
    let mut lists: Vec<(&str, Vec<&Suggestion>)> = Vec::new();
    for suggestion in exact {
        match suggestion.change {
            Change::Set(_) => sets.push(suggestion),
            Change::Add(_) => match lists.iter_mut().find(|(path, _)| *path == suggestion.path) {
                Some((_, list)) if list.contains(&suggestion) => {}
                Some((_, list)) => list.push(suggestion),
                None => lists.push((&suggestion.path, vec![suggestion])),
            },
        }
    }
    if let Some(text) = set_values(&fixed.text, &sets) {
        fixed.text = text;
        fixed.done.extend(sets.into_iter().cloned());
    }
    for (path, suggestions) in lists {
        let items: Vec<&Value> = suggestions.iter().filter_map(|s| item(s)).collect();
        if let Some(text) = add_items(&fixed.text, path, &items) {
            fixed.text = text;
            fixed.done.extend(suggestions.into_iter().cloned());
        }
    }
    fixed
}

fn item(suggestion: &Suggestion) -> Option<&Value> {
    match &suggestion.change {
        Change::Add(item) => Some(item),
        Change::Set(_) => None,
    }
}

/// The text with values in the place of others, all of them or none.
fn set_values(text: &str, suggestions: &[&Suggestion]) -> Option<String> {
    let tree = Tree::parse(text).ok()?;
    let root = tree.root()?;
    let mut paths = Paths::new(root);
    let mut expected = root.to_json();
    let mut edits: Vec<Edit> = Vec::new();
    for suggestion in suggestions {
        let Change::Set(value) = &suggestion.change else {
            continue;
        };
        let node = paths.find(&suggestion.path)?;
        // Another place may mean the same node.
        if node.text().is_none() || node.is_alias() || node.is_referred_to() {
            return None;
        }
        let span = node.span();
        let is_quoted = text.get(span.clone())?.starts_with('"');
        let new = if is_quoted && value.is_string() {
            value.to_string()
        } else {
            write::flow(value)
        };
        let edit = Edit { span, text: new };
        if !edits.contains(&edit) {
            edits.push(edit);
        }
        *find_mut(&mut expected, &suggestion.path)? = value.clone();
    }
    if edits.is_empty() {
        return None;
    }
    verified(text, edits, &expected)
}

/// The text with items at the end of a list, which is made if it is missing.
fn add_items(text: &str, path: &str, items: &[&Value]) -> Option<String> {
    let tree = Tree::parse(text).ok()?;
    let root = tree.root()?;
    let steps = yaml::steps(path)?;
    // An object has no field for values at its root.
    let is_object = root.get("kind").is_some() || root.get("apiVersion").is_some();
    if let (true, Some(Step::Key(key))) = (is_object, steps.first())
        && root.get(key).is_none()
    {
        return None;
    }
    let mut expected = root.to_json();
    let mut slot = &mut expected;
    for step in &steps {
        slot = match step {
            Step::Key(key) => {
                if slot.is_null() {
                    *slot = Value::Object(Map::new());
                }
                slot.as_object_mut()?.entry(*key).or_insert(Value::Null)
            }
            Step::Item(index) => slot.get_mut(index)?,
        };
    }
    if slot.is_null() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut()?.extend(items.iter().copied().cloned());
    let insertion = Insertion {
        lines: Lines::new(text),
        is_json: serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        items: Value::Array(items.iter().copied().cloned().collect()),
    };
    let edits = insertion.below(root, &steps)?;
    verified(text, edits, &expected)
}

/// The new text, if it means what it must.
fn verified(text: &str, edits: Vec<Edit>, expected: &Value) -> Option<String> {
    let pieces = edit::apply(text.as_bytes(), edits).ok()?;
    let new = String::from_utf8(pieces.concat()).ok()?;
    let tree = Tree::parse(&new).ok()?;
    let means_it = tree.root()?.to_json() == *expected;
    drop(tree);
    if means_it { Some(new) } else { None }
}

/// The value at a path of keys and positions (`egress[0].ports[1].port`).
fn find_mut<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    yaml::steps(path)?
        .iter()
        .try_fold(value, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Item(index) => value.get_mut(index),
        })
}

/// Items that go into a text.
struct Insertion<'t> {
    lines: Lines<'t>,
    /// Whether the text is JSON, where keys and strings are quoted.
    is_json: bool,
    items: Value,
}

impl Insertion<'_> {
    /// The changes that put the items into the list that `steps` lead to, from a node on.
    fn below(&self, node: Node<'_>, steps: &[Step<'_>]) -> Option<Vec<Edit>> {
        let mut node = node;
        let mut steps = steps;
        loop {
            if node.is_alias() || node.is_referred_to() {
                return None;
            }
            let (step, rest) = steps.split_first()?;
            let key = match step {
                Step::Item(index) => {
                    node = node.items().nth(*index)?;
                    steps = rest;
                    continue;
                }
                Step::Key(key) if node.is_mapping() => key,
                Step::Key(_) => return None,
            };
            let Some(entry) = Entry::of(node, key) else {
                return self.new_entry(node, steps);
            };
            if rest.is_empty() {
                return self.for_list(&entry);
            }
            if entry.value.is_null() {
                return self.for_empty(&entry, rest);
            }
            node = entry.value;
            steps = rest;
        }
    }

    /// Into a list that is there, or an entry that is empty.
    fn for_list(&self, entry: &Entry<'_>) -> Option<Vec<Edit>> {
        let list = entry.value;
        if list.is_alias() || list.is_referred_to() {
            return None;
        }
        if list.is_null() || (list.is_sequence() && entry.is_empty()) {
            return self.for_empty(entry, &[]);
        }
        let end_item = list.items().last().filter(|_| list.is_sequence())?;
        if list.is_flow() {
            let at = end_item.span().end;
            let items = self.items.as_array()?;
            let mut text = String::new();
            for item in items {
                text.push_str(", ");
                text.push_str(&self.flow(item));
            }
            return Some(vec![Edit { span: at..at, text }]);
        }
        let end = self.lines.extent(entry).end;
        let column = self.lines.dash_column(entry);
        Some(vec![self.lines_at(end, &write::block(&self.items), column)])
    }

    /// Into an entry without a value, or with an empty list: below its key, or in its line.
    fn for_empty(&self, entry: &Entry<'_>, steps: &[Step<'_>]) -> Option<Vec<Edit>> {
        let key_end = entry.key.span().end;
        let end = entry.end();
        let colon = key_end + self.lines.get(key_end..end.max(key_end + 1)).find(':')? + 1;
        if entry.flow || self.is_json {
            let text = format!(" {}", self.flow(&self.nested(steps)?));
            return Some(vec![Edit {
                span: colon..end.max(colon),
                text,
            }]);
        }
        let column = self.lines.column(entry.key.span().start) + 2;
        let block = write::block(&self.nested(steps)?);
        let line_end = self.lines.line_end(end);
        Some(vec![
            Edit {
                span: colon..end.max(colon),
                text: String::new(),
            },
            self.lines_at(line_end, &block, column),
        ])
    }

    /// As a new entry at the end of a mapping.
    fn new_entry(&self, mapping: Node<'_>, steps: &[Step<'_>]) -> Option<Vec<Edit>> {
        let nested = self.nested(steps)?;
        let last = mapping.pairs().last();
        if mapping.is_flow() {
            let flow = self.flow(&nested);
            // Without its braces.
            let inner = flow.get(1..flow.len().checked_sub(1)?)?;
            let (at, text) = match last.and_then(|(key, _)| Entry::of(mapping, &key.key_text()?)) {
                Some(last) => (last.end(), format!(", {inner}")),
                None => (mapping.span().start + 1, inner.to_owned()),
            };
            return Some(vec![Edit { span: at..at, text }]);
        }
        let (key, value) = last?;
        let last = Entry {
            key,
            value,
            flow: false,
        };
        let column = self.lines.column(key.span().start);
        let end = self.lines.extent(&last).end;
        Some(vec![self.lines_at(end, &write::block(&nested), column)])
    }

    /// The list below keys. A list on the way must be there.
    fn nested(&self, steps: &[Step<'_>]) -> Option<Value> {
        let below = |value, step: &Step<'_>| match step {
            Step::Key(key) => Some(Value::Object(Map::from_iter([((*key).to_owned(), value)]))),
            Step::Item(_) => None,
        };
        steps.iter().rev().try_fold(self.items.clone(), below)
    }

    fn flow(&self, value: &Value) -> String {
        if self.is_json {
            value.to_string()
        } else {
            write::flow(value)
        }
    }

    /// Whole lines at the beginning of a line, each indented.
    fn lines_at(&self, at: usize, block: &str, column: usize) -> Edit {
        let before = self.lines.get(0..at);
        let mut text = String::new();
        if !before.is_empty() && !before.ends_with('\n') {
            text.push_str(self.lines.eol);
        }
        for line in block.lines() {
            text.push_str(&self.lines.line(column, line));
        }
        Edit { span: at..at, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The text with an item added to `a.list`.
    fn added(text: &str) -> Option<String> {
        let suggestion = Suggestion::add("a.list", json!({"ports": [{"port": 1}]}));
        let fixed = apply(text, &[(None, suggestion)]);
        let again = apply(&fixed.text, &[]);
        assert_eq!(again.text, fixed.text);
        if fixed.done.is_empty() {
            assert_eq!(fixed.text, text);
            return None;
        }
        Some(fixed.text)
    }

    #[test]
    fn items_are_added_in_the_style_of_the_text() {
        for (text, expected) in [
            (
                "a:\n  list:\n    - x # x\n    # end\nb: 1\n",
                "a:\n  list:\n    - x # x\n    # end\n    - ports:\n        - port: 1\nb: 1\n",
            ),
            (
                "a:\n  list:\n  - {x: 1}\n\n# b\nb: 1\n",
                "a:\n  list:\n  - {x: 1}\n  - ports:\n      - port: 1\n\n# b\nb: 1\n",
            ),
            (
                "a:\n  list: [] # none\n",
                "a:\n  list: # none\n    - ports:\n        - port: 1\n",
            ),
            (
                "a:\n  list:\nb: 1\n",
                "a:\n  list:\n    - ports:\n        - port: 1\nb: 1\n",
            ),
            (
                "a:\n  list: null\n",
                "a:\n  list:\n    - ports:\n        - port: 1\n",
            ),
            (
                "a:\n  list: [x, {y: 1}]\n",
                "a:\n  list: [x, {y: 1}, {ports: [{port: 1}]}]\n",
            ),
            (
                "a: {list: [], z: 1}\n",
                "a: {list: [{ports: [{port: 1}]}], z: 1}\n",
            ),
            ("a: {z: 1}\n", "a: {z: 1, list: [{ports: [{port: 1}]}]}\n"),
            ("a: {}\n", "a: {list: [{ports: [{port: 1}]}]}\n"),
            ("a:\n", "a:\n  list:\n    - ports:\n        - port: 1\n"),
            (
                "b: 1",
                "b: 1\na:\n  list:\n    - ports:\n        - port: 1\n",
            ),
            (
                "# top\nb:\n  c: |\n    text\n\n# end\n",
                "# top\nb:\n  c: |\n    text\na:\n  list:\n    - ports:\n        - port: 1\n\n# end\n",
            ),
            (
                "a:\r\n  z: 1\r\n",
                "a:\r\n  z: 1\r\n  list:\r\n    - ports:\r\n        - port: 1\r\n",
            ),
            (
                "{\"a\": {\"list\": []}}\n",
                "{\"a\": {\"list\": [{\"ports\":[{\"port\":1}]}]}}\n",
            ),
            (
                "{\"b\": 1}",
                "{\"b\": 1, \"a\":{\"list\":[{\"ports\":[{\"port\":1}]}]}}",
            ),
        ] {
            assert_eq!(added(text).as_deref(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_others_refer_to_stays() {
        for text in [
            "x: &x {z: 1}\na: *x\n",
            "a: &a\n  list: [x]\nb: *a\n",
            "a: 1\n",
            "a: {list: x}\n",
            "a: [",
        ] {
            assert_eq!(added(text), None, "{text:?}");
        }
    }

    #[test]
    fn values_are_set_with_their_quotes() {
        let set = |path: &str, value: Value| (None, Suggestion::set(path, value));
        let suggestions = [
            set("l[0].protocol", json!("UDP")),
            set("l[1].protocol", json!("TCP")),
            set("l[1].port", json!(1053)),
        ];
        let text = "l:\n  - {protocol: udp} # x\n  - protocol: \"tcp\"\n    port: 53\n";
        let fixed = apply(text, &suggestions);
        assert_eq!(
            fixed.text,
            "l:\n  - {protocol: UDP} # x\n  - protocol: \"TCP\"\n    port: 1053\n"
        );
        let shared = "x: &x udp\nl: [{protocol: *x}]\n";
        let one = [set("l[0].protocol", json!("UDP"))];
        assert_eq!(apply(shared, &one).text, shared);
    }
}
