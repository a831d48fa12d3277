//! Suggestions written into the user's own text: what `lint --fix` changes.
//!
//! Everything else keeps its bytes: comments, order, quoting, blank lines, line breaks. The new text
//! is parsed again and must mean the old one with the change, and nothing else. Where a text is
//! written in a way that can't be changed safely, it stays as it is. Files belong to the command.

use serde_json::{Map, Value};

use manifest::diagnostic::{Change, Suggestion};
use manifest::edit::{self, Edit};
use manifest::entries::{Entry, Lines};
use manifest::yaml::{Node, Paths, Tree, write};

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// The new text; the old one, where nothing was done.
    pub text: String,
    /// The suggestions that are in it now.
    pub done: Vec<Suggestion>,
}

/// Makes the changes that need nobody's answer. Paths begin at the root of the text.
#[must_use]
pub fn apply(text: &str, suggestions: &[Suggestion]) -> Fixed {
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
    let mut expected = root.to_json();
    let mut slot = &mut expected;
    for key in path.split('.') {
        if slot.is_null() {
            *slot = Value::Object(Map::new());
        }
        slot = slot.as_object_mut()?.entry(key).or_insert(Value::Null);
    }
    if slot.is_null() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut()?.extend(items.iter().copied().cloned());
    let keys: Vec<&str> = path.split('.').collect();
    let insertion = Insertion {
        lines: Lines::new(text),
        is_json: serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        items: Value::Array(items.iter().copied().cloned().collect()),
    };
    let edits = insertion.below(root, &keys)?;
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
    let mut value = value;
    for part in path.split('.') {
        let mut steps = part.split('[');
        let key = steps.next()?;
        value = value.get_mut(key)?;
        for index in steps {
            let index: usize = index.strip_suffix(']')?.parse().ok()?;
            value = value.get_mut(index)?;
        }
    }
    Some(value)
}

/// Items that go into a text.
struct Insertion<'t> {
    lines: Lines<'t>,
    /// Whether the text is JSON, where keys and strings are quoted.
    is_json: bool,
    items: Value,
}

impl Insertion<'_> {
    /// The changes that put the items into the list that `keys` lead to, from a mapping on.
    fn below(&self, mapping: Node<'_>, keys: &[&str]) -> Option<Vec<Edit>> {
        let mut mapping = mapping;
        let mut keys = keys;
        loop {
            if !mapping.is_mapping() || mapping.is_alias() || mapping.is_referred_to() {
                return None;
            }
            let (key, rest) = keys.split_first()?;
            let Some(entry) = Entry::of(mapping, key) else {
                return self.new_entry(mapping, keys);
            };
            if rest.is_empty() {
                return self.for_list(&entry);
            }
            if entry.value.is_null() {
                return self.for_empty(&entry, rest);
            }
            mapping = entry.value;
            keys = rest;
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
    fn for_empty(&self, entry: &Entry<'_>, keys: &[&str]) -> Option<Vec<Edit>> {
        let key_end = entry.key.span().end;
        let end = entry.end();
        let colon = key_end + self.lines.get(key_end..end.max(key_end + 1)).find(':')? + 1;
        if entry.flow || self.is_json {
            let text = format!(" {}", self.flow(&self.nested(keys)));
            return Some(vec![Edit {
                span: colon..end.max(colon),
                text,
            }]);
        }
        let column = self.lines.column(entry.key.span().start) + 2;
        let block = write::block(&self.nested(keys));
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
    fn new_entry(&self, mapping: Node<'_>, keys: &[&str]) -> Option<Vec<Edit>> {
        let nested = self.nested(keys);
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

    /// The list below keys.
    fn nested(&self, keys: &[&str]) -> Value {
        keys.iter().rev().fold(self.items.clone(), |value, key| {
            Value::Object(Map::from_iter([((*key).to_owned(), value)]))
        })
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
        let fixed = apply(text, std::slice::from_ref(&suggestion));
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
        let set = |path: &str, value: Value| Suggestion::set(path, value);
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
