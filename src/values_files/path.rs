//! Paths to values in a document: keys and list positions, written as messages write fields.

use std::fmt;

use manifest::schema;
use serde_json::{Map, Value};

/// The path from the root of a document to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValuesPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Step {
    Key(String),
    Item(usize),
}

impl ValuesPath {
    /// The path of a key below this one.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// The path of a list item below this one.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.with(Step::Item(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// This path, and behind it another.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        let mut steps = self.0.clone();
        steps.extend(below.0.iter().cloned());
        Self(steps)
    }

    /// Whether this is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of a field below this one, which is written as in messages.
    #[must_use]
    pub fn field(&self, field: &str) -> String {
        let path = self.to_string();
        match (path.is_empty(), field.is_empty()) {
            (true, _) => field.to_owned(),
            (_, true) => path,
            _ if field.starts_with('[') => format!("{path}{field}"),
            _ => format!("{path}.{field}"),
        }
    }

    /// Puts a value at this path, and makes the mappings and lists that lead there.
    pub(super) fn insert(&self, root: &mut Value, value: Value) {
        let mut slot = root;
        for step in &self.0 {
            slot = match step {
                Step::Key(key) => {
                    if !slot.is_object() {
                        *slot = Value::Object(Map::new());
                    }
                    let Value::Object(map) = slot else { return };
                    map.entry(key.clone()).or_insert(Value::Null)
                }
                Step::Item(index) => {
                    if !slot.is_array() {
                        *slot = Value::Array(Vec::new());
                    }
                    let Value::Array(items) = slot else { return };
                    if items.len() <= *index {
                        items.resize(index + 1, Value::Null);
                    }
                    let Some(item) = items.get_mut(*index) else {
                        return;
                    };
                    item
                }
            };
        }
        *slot = value;
    }

    /// How many steps the path has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value at this path.
    #[must_use]
    pub fn find_mut<'v>(&self, root: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(root, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Item(index) => value.get_mut(index),
        })
    }
}

impl fmt::Display for ValuesPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.iter().fold(String::new(), |path, step| match step {
            Step::Key(key) => schema::join(&path, key),
            Step::Item(index) => format!("{path}[{index}]"),
        });
        f.write_str(&path)
    }
}
