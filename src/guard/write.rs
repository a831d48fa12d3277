//! Objects as YAML text, with a comment above each.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Object, Protected};
use crate::filter::emit;

/// The fields of an object that are written first, as people expect them.
const FIRST: [&str; 5] = ["apiVersion", "kind", "metadata", "name", "spec"];

/// The objects of a virtual cluster as documents of a stream.
pub(super) fn documents(cluster: &Protected<'_>, objects: &[Object]) -> String {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        let title = format!("Virtual cluster {}/{}.", cluster.namespace, cluster.name);
        for line in std::iter::once(&title).chain(&object.comment) {
            let _ = writeln!(text, "# {}", manifest::escape::terminal(line));
        }
        fields(&object.value, 0, &mut text);
    }
    text
}

/// The fields of a mapping, each on a line of its own.
fn fields(value: &Value, indent: usize, text: &mut String) {
    let Some(map) = value.as_object() else { return };
    let first = FIRST.iter().filter_map(|name| map.get_key_value(*name));
    let rest = (map.iter()).filter(|(name, _)| !FIRST.contains(&name.as_str()));
    for (name, value) in first.chain(rest) {
        let _ = write!(text, "{:indent$}{}:", "", emit::string(name));
        entry(value, indent, text);
    }
}

/// A value behind its key or dash.
fn entry(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            fields(value, indent + 2, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            for item in items {
                list_item(item, indent + 2, text);
            }
        }
        // Expressions are plain ASCII; a line break in one makes it a block.
        Value::String(block) if block.contains('\n') && block.is_ascii() => {
            text.push_str(" |-\n");
            for line in block.lines() {
                let _ = writeln!(text, "{:1$}{line}", "", indent + 2);
            }
        }
        Value::String(scalar) => {
            let _ = writeln!(text, " {}", emit::string(scalar));
        }
        other => {
            let _ = writeln!(text, " {other}");
        }
    }
}

fn list_item(item: &Value, indent: usize, text: &mut String) {
    if item.as_object().is_none_or(serde_json::Map::is_empty) {
        let _ = write!(text, "{:indent$}-", "");
        return entry(item, indent, text);
    }
    let mut inner = String::new();
    fields(item, indent + 2, &mut inner);
    let _ = write!(text, "{:indent$}- {}", "", inner.trim_start());
}
