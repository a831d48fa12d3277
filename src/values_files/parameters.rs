//! Helm parameters: single values by their paths, as `helm --set` reads them.

use super::path::ValuesPath;
use manifest::diagnostic::Position;
use manifest::yaml::Node;
use serde_json::{Map, Value};

/// The largest position in a list that is read. Helm fills a list with nulls up to it.
const MAX_INDEX: usize = 100;

/// A single value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The path as it is written.
    pub name: String,
    /// Where it is written.
    pub position: Position,
    /// The path, in steps; `None` where Helm can't read it.
    pub(super) path: Option<ValuesPath>,
    value: Value,
}

/// The parameters of an Argo CD source: a list of names and values.
pub(super) fn of_list(list: Node<'_>) -> Vec<Parameter> {
    list.items()
        .filter_map(|item| {
            let node = item.get("name")?;
            let (name, position) = (node.text()?.into_owned(), node.position());
            let value = item.get("value").and_then(Node::text).unwrap_or_default();
            let is_string = item.get("forceString").map(Node::to_json) == Some(Value::Bool(true));
            Some(parameter(name, position, &value, is_string))
        })
        .collect()
}

/// The parameters of a mapping from names to values.
pub(super) fn of_map(map: Node<'_>) -> Vec<Parameter> {
    map.pairs()
        .filter_map(|(key, value)| {
            let name = key.key_text()?.into_owned();
            let text = value.text().unwrap_or_default();
            Some(parameter(name, key.position(), &text, false))
        })
        .collect()
}

/// The values that names and values as for `helm --set` make together.
#[must_use]
pub fn values<'p>(set: impl Iterator<Item = (&'p str, &'p str)>) -> Value {
    let nowhere = Position { line: 1, column: 1 };
    let parameters: Vec<Parameter> = set
        .map(|(name, value)| parameter(name.to_owned(), nowhere, value, false))
        .collect();
    merged(&parameters)
}

/// The value that all parameters make together.
pub(super) fn merged(parameters: &[Parameter]) -> Value {
    let mut root = Value::Object(Map::new());
    for parameter in parameters {
        if let Some(path) = &parameter.path {
            path.insert(&mut root, parameter.value.clone());
        }
    }
    root
}

fn parameter(name: String, position: Position, value: &str, is_string: bool) -> Parameter {
    Parameter {
        path: path(&name),
        value: if is_string {
            Value::String(value.to_owned())
        } else {
            read(value)
        },
        name,
        position,
    }
}

/// The steps of a path such as `a.b[0].c`, in which a backslash takes the next character as it is.
fn path(name: &str) -> Option<ValuesPath> {
    let mut path = ValuesPath::default();
    let mut key = String::new();
    let mut chars = name.chars();
    let mut behind_item = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => key.push(chars.next()?),
            '.' => {
                path = end_of_key(path, &mut key, behind_item)?;
                behind_item = false;
            }
            '[' => {
                path = end_of_key(path, &mut key, behind_item)?;
                let digits: String = chars.by_ref().take_while(|c| *c != ']').collect();
                let index = digits.parse().ok().filter(|index| *index <= MAX_INDEX)?;
                path = path.item(index);
                behind_item = true;
            }
            '=' | ',' => return None,
            c => key.push(c),
        }
    }
    end_of_key(path, &mut key, behind_item)
}

fn end_of_key(path: ValuesPath, key: &mut String, behind_item: bool) -> Option<ValuesPath> {
    match (key.is_empty(), behind_item) {
        (true, true) => Some(path),
        (false, false) => Some(path.key(&std::mem::take(key))),
        _ => None,
    }
}

/// A value of the type that Helm gives it.
fn read(text: &str) -> Value {
    if let Some(items) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        let items = items.split(',').filter(|item| !item.is_empty());
        return Value::Array(items.map(|item| scalar(item.trim())).collect());
    }
    scalar(&text.replace("\\,", ","))
}

fn scalar(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        "0" => Value::from(0),
        _ if text.starts_with('0') => Value::from(text),
        _ => text
            .parse::<i64>()
            .map_or_else(|_| Value::from(text), Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_read_as_helm_reads_them() {
        let position = Position { line: 1, column: 1 };
        let given = [
            ("a.b", "true"),
            ("a.c", "8.8.8.8"),
            ("a.d", "012"),
            ("a.e", "12"),
            ("a.f", "{10.0.0.0/8,x}"),
            ("l[1].x", "a\\,b"),
            ("m\\.n/o", "null"),
            ("n", ""),
            ("a.b[", "x"),
            ("a[1000]", "x"),
            ("a..b", "x"),
        ];
        let parameters: Vec<Parameter> = given
            .iter()
            .map(|(name, value)| parameter((*name).to_owned(), position, value, false))
            .collect();
        assert_eq!(
            merged(&parameters),
            json!({
                "a": {"b": true, "c": "8.8.8.8", "d": "012", "e": 12, "f": ["10.0.0.0/8", "x"]},
                "l": [null, {"x": "a,b"}],
                "m.n/o": null,
                "n": "",
            })
        );
        let unread = parameters.iter().filter(|p| p.path.is_none());
        assert_eq!(unread.count(), 3);
    }
}
