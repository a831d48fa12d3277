//! YAML text that every reader understands alike.
//!
//! Helm and kubectl read YAML 1.1, other tools 1.2, and they disagree on what a bare `yes`, `1e3`
//! or `1_000` is. So a string is plain only where no reader can take it for anything else, and in
//! double quotes with escapes otherwise.

use std::fmt::Write as _;

use serde_json::Value;

use crate::escape;

/// A string as a YAML scalar that no reader takes for another type or another text.
#[must_use]
pub fn string(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if escape::is_hidden(c) => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(quoted, "\\x{code:02x}"),
                    0x100..=0xffff => write!(quoted, "\\u{code:04x}"),
                    _ => write!(quoted, "\\U{code:08x}"),
                };
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a string can stand without quotes in every version of YAML.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-'))
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A value in block style, each line with a line break. Items of a list are indented below their
/// key.
#[must_use]
pub fn block(value: &Value) -> String {
    let mut text = String::new();
    write_block(value, 0, &mut text);
    text
}

/// A value in flow style, in one line.
#[must_use]
pub fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field =
                |(key, value): (&String, &Value)| format!("{}: {}", string(key), flow(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Whether a value is written in the line of its key.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => true,
    }
}

fn write_block(value: &Value, column: usize, text: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                indent(column, text);
                text.push_str("- ");
                let from = text.len();
                write_block(item, column + 2, text);
                // The dash takes the place of the indentation of the first line.
                if !is_short(item) {
                    text.replace_range(from..from + column + 2, "");
                }
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                indent(column, text);
                text.push_str(&string(key));
                text.push(':');
                if is_short(value) {
                    text.push(' ');
                } else {
                    text.push('\n');
                }
                write_block(value, column + 2, text);
            }
        }
        _ => {
            text.push_str(&flow(value));
            text.push('\n');
        }
    }
}

fn indent(column: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', column));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_and_flows_say_the_same_as_their_value() {
        let value = json!([
            {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}, {}], "ports": []},
            [["yes", 1], null, "a b"],
            {"a": {"b": [true]}},
            "x"
        ]);
        let text = block(&value);
        let read: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(read, value, "{text}");
        let read: Value = serde_yaml::from_str(&flow(&value)).unwrap();
        assert_eq!(read, value);
        assert_eq!(
            block(&json!([{"ports": [{"port": 1, "protocol": "TCP"}]}])),
            "- ports:\n    - port: 1\n      protocol: TCP\n"
        );
    }
}
