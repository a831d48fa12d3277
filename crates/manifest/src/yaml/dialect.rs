//! What Helm and kubectl refuse in a document although [`super::Tree`] reads it.
//!
//! Both read YAML with a Go library that descends from libyaml. Its grammar is narrower than ours
//! in places, so a second reader of that family looks at the text, and what the Go library refuses
//! beyond it is looked for here. Only a judge of documents (`lint`) asks; a filter must pass what
//! it can read.

use std::ops::Range;

use base64::Engine as _;
use granit_parser::{Event, Parser, ScalarStyle};
use serde::Deserialize as _;
use serde::de::IgnoredAny;

use super::Content;
use super::Node;
use super::NodeData;
use super::Tag;
use super::Tree;
use super::YamlError;
use super::repair;
use super::scalar::{self, Scalar};
use crate::diagnostic::Position;

/// Checks one document as Go's YAML library reads it.
///
/// `text` is all of the document with its directives and its marker; `tree` was read from what
/// begins at `body`. Positions of errors count from the start of `text`.
///
/// # Errors
/// At the first thing that the library refuses.
pub fn check(text: &str, body: usize, tree: &Tree<'_>) -> Result<(), YamlError> {
    version(text.get(..body).unwrap_or_default())?;
    byte_order_mark(text, body)?;
    for (id, data) in tree.nodes.iter().enumerate() {
        let node = u32::try_from(id).ok().and_then(|id| tree.node(id));
        let problem = match (data.content, node.and_then(Node::raw_text)) {
            (Content::Scalar { tag, .. }, Some(text)) => undecodable(text, tag, data),
            _ => None,
        };
        let problem = problem.or_else(|| glued_tag(tree, data));
        if let Some((at, message)) = problem {
            let position = position_at(text, body + at);
            return Err(YamlError { message, position });
        }
    }
    spelling(text, body, tree)?;
    grammar(text)
}

/// Reads the text with a library that shares its grammar with Go's.
///
/// It refuses one thing more: a colon that ends a text in a flow collection (`{a:, b: c}`). Go's
/// library makes it a part of the text, so that the key is `a:`, which no field and no label is.
fn grammar(text: &str) -> Result<(), YamlError> {
    let Some(document) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok(());
    };
    IgnoredAny::deserialize(document)
        .map(|_| ())
        .map_err(|error| as_ours(&error))
}

fn as_ours(error: &serde_yaml::Error) -> YamlError {
    let position = error
        .location()
        .map_or(Position { line: 1, column: 1 }, |at| Position {
            line: at.line(),
            column: at.column(),
        });
    // The library's words are followed by its own account of the place.
    let words = error.to_string();
    let end = [" at line ", " at position ", ", while "]
        .iter()
        .filter_map(|mark| words.find(mark))
        .min();
    let message = words.get(..end.unwrap_or(words.len())).unwrap_or_default();
    YamlError {
        message: message.to_owned(),
        position,
    }
}

/// The Go library knows version 1.1 alone.
fn version(prologue: &str) -> Result<(), YamlError> {
    for (i, line) in prologue.lines().enumerate() {
        let Some(version) = line.strip_prefix("%YAML") else {
            continue;
        };
        let version = version.split_whitespace().next().unwrap_or_default();
        let parts: Vec<Option<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
        if parts != [Some(1), Some(1)] {
            return Err(YamlError {
                message: "they take %YAML 1.1 alone".to_owned(),
                position: Position {
                    line: i + 1,
                    column: 1,
                },
            });
        }
    }
    Ok(())
}

/// A byte order mark before the content that is not the first character is part of the first key.
fn byte_order_mark(text: &str, body: usize) -> Result<(), YamlError> {
    let mut at = body;
    for line in text.get(body..).unwrap_or_default().split_inclusive('\n') {
        // Behind the marker's own line a document of its own begins.
        let begins = at > body && text.get(body..at).is_some_and(|t| t.trim().is_empty());
        if line.starts_with('\u{feff}') {
            let first = begins
                && text
                    .get(body..at)
                    .is_some_and(|t| t.matches('\n').count() == 1);
            if first && body > 0 && !line.trim_start_matches('\u{feff}').is_empty() {
                return match line.chars().nth(1) {
                    Some('\u{feff}') => Err(misplaced(text, at)),
                    _ => Ok(()),
                };
            }
            return Err(misplaced(text, at));
        }
        if !line.trim().is_empty() && !line.starts_with('#') {
            return Ok(());
        }
        at += line.len();
    }
    Ok(())
}

fn misplaced(text: &str, at: usize) -> YamlError {
    YamlError {
        message: "a second byte order mark stands before the content".to_owned(),
        position: position_at(text, at),
    }
}

/// A tag goes on to the next blank: `,` and `[` are a part of it.
fn glued_tag(tree: &Tree<'_>, node: &NodeData) -> Option<(usize, String)> {
    let start = node.span().start;
    let raw = tree.text.get(start..)?;
    let mut at = 0;
    loop {
        let rest = raw.get(at..)?;
        let word = rest.split(char::is_whitespace).next().unwrap_or_default();
        match word.chars().next() {
            Some('!') if !word.starts_with("!<") && word.contains([',', '[', ']', '{', '}']) => {
                let message = "white space must follow a tag".to_owned();
                return Some((start + at, message));
            }
            Some('!' | '&') => {}
            _ => return None,
        }
        let behind = rest.get(word.len()..)?;
        at += rest.len() - behind.trim_start().len();
    }
}

/// Looks at what only the events of the parser show: names of anchors, and escapes.
fn spelling(text: &str, body: usize, tree: &Tree<'_>) -> Result<(), YamlError> {
    let readable = repair::repaired(tree.text);
    let readable = readable.as_deref().unwrap_or(tree.text);
    let mut options = super::options();
    options.emit_anchor_events = true;
    for event in Parser::new_from_str_with_options(readable, options) {
        let Ok((event, span)) = event else { break };
        let range = span.byte_range().unwrap_or_default();
        let problem = match event {
            Event::Anchor(_, name) if !is_anchor(&name) => Some((
                range.start,
                "the name of an anchor has letters and digits alone",
            )),
            Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) => {
                let raw = readable.get(range.clone()).unwrap_or_default();
                let slash = escaped_slash(raw).map(|at| range.start + at);
                slash.map(|at| (at, "they do not know the escape \\/"))
            }
            _ => None,
        };
        if let Some((at, message)) = problem {
            return Err(YamlError {
                message: message.to_owned(),
                position: position_at(text, body + at),
            });
        }
    }
    Ok(())
}

/// To our reader the name of an anchor may hold signs, at which Go's library ends it.
fn is_anchor(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The place of the escape `\/`, which JSON and YAML 1.2 have.
fn escaped_slash(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in quoted.char_indices() {
        if escaped && c == '/' {
            return Some(i - 1);
        }
        escaped = !escaped && c == '\\';
    }
    None
}

/// A tag that names a type which the text is not of.
fn undecodable(text: &str, tag: Tag, node: &NodeData) -> Option<(usize, String)> {
    let kind = tag.text()?.strip_prefix(scalar::PREFIX)?;
    let value = scalar::resolve_plain(text);
    let fits = match tag {
        Tag::Null => value == Scalar::Null,
        Tag::Bool => matches!(value, Scalar::Bool(_)),
        Tag::Int => matches!(value, Scalar::Int(_) | Scalar::BigInt),
        Tag::Float => matches!(value, Scalar::Int(_) | Scalar::BigInt | Scalar::Float(_)),
        Tag::Timestamp => is_timestamp(text),
        Tag::Binary => {
            let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            base64::engine::general_purpose::STANDARD
                .decode(packed)
                .is_ok()
        }
        _ => true,
    };
    let message = format!("the text is not what its tag !!{kind} says");
    (!fits).then_some((node.span().start, message))
}

/// A day, `2001-1-31`, or a point in time, in the forms that Go's library takes.
fn is_timestamp(text: &str) -> bool {
    let (day, time) = match text.find(['T', 't', ' ']) {
        Some(i) => (text.get(..i).unwrap_or_default(), text.get(i..)),
        None => (text, None),
    };
    is_day(day) && time.is_none_or(is_time_of_day)
}

fn number(text: &str, digits: Range<usize>) -> Option<u32> {
    let fits = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

fn is_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let (Some(year), Some(month), Some(day)) =
        (number(year, 4..5), number(month, 1..3), number(day, 1..3))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// The time behind the day, with the character between them; only `T` and `t` take a zone.
fn is_time_of_day(text: &str) -> bool {
    let zoned = text.starts_with(['T', 't']);
    let text = text.get(1..).unwrap_or_default();
    let (clock, zone) = match text.find(['Z', '+', '-']) {
        Some(i) if zoned => text.split_at(i),
        None if !zoned => (text, "Z"),
        _ => return false,
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else {
        return false;
    };
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    let below = |text: &str, limit: u32| number(text, 1..3).is_some_and(|n| n < limit);
    below(hour, 24)
        && below(minute, 60)
        && below(second, 60)
        && number(fraction, 1..10).is_some()
        && is_zone(zone)
}

fn is_zone(text: &str) -> bool {
    if text == "Z" {
        return true;
    }
    let Some((hours, minutes)) = text.get(1..).and_then(|t| t.split_once(':')) else {
        return false;
    };
    number(hours, 2..3).is_some_and(|n| n <= 24) && number(minutes, 2..3).is_some_and(|n| n < 60)
}

fn position_at(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position {
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is refused in a document that our reader takes, without its first line where that is a
    /// marker.
    fn refusal(text: &str) -> Option<String> {
        let body = text.find("---\n").map_or(0, |at| at + 3);
        let tree = Tree::parse(&text[body..]).unwrap();
        check(text, body, &tree).err().map(|e| e.to_string())
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for (text, place) in [
            ("a: {cidr: ::/0}\n", "line 1, column"),
            ("a: {b:, c: d}\n", "line 1, column"),
            ("a: [fd00::/8, ::1/128]\n", "line 1, column"),
            ("%YAML 1.2\n---\na: 1\n", "line 1, column 1"),
            ("%YAML 1.1\n%YAML 1.1\n---\na: 1\n", "line 2, column 1"),
            ("# c\n%FOO bar\n---\na: 1\n", "line 2, column 5"),
            ("%TAG ! a:\n%TAG ! a:\n---\na: 1\n", "line 2, column 1"),
            ("a: 1\nb: \"x \\\\\\/\"\n", "line 2, column 9"),
            ("b: !!str \"\\/\"\n", "line 1, column 11"),
            ("a: &x.y 1\nb: *x.y\n", "line 1, column 4"),
            ("a: &\u{e9} 1\n", "line 1, column 4"),
            ("a:\n- {&k: b}\n", "line 2, column 4"),
            ("a: !!null x\n", "line 1, column 4"),
            ("a: !!int abc\n", "line 1, column 4"),
            ("a: !!int 1.5\n", "line 1, column 4"),
            ("a: !!bool 1\n", "line 1, column 4"),
            ("a: !!float x\n", "line 1, column 4"),
            ("a: !!binary '?'\n", "line 1, column 4"),
            ("a: !!timestamp 2001-02-29\n", "line 1, column 4"),
            ("a: {b: !!str, c: d}\n", "line 1, column 8"),
            ("a:\n    b: c\n    \t\n", "line 3, column"),
            ("\u{feff}a: 1\n", "line 1, column 1"),
            ("# c\n\u{feff}a: 1\n", "line 2, column 1"),
            ("---\n\u{feff}\u{feff}a: 1\n", "line 2, column 1"),
        ] {
            let refusal = refusal(text).unwrap_or_default();
            assert!(refusal.starts_with(place), "{text:?}: {refusal}");
        }
    }

    #[test]
    fn what_go_takes_is_taken() {
        for text in [
            "%YAML 1.1\n---\na: 1\n",
            "%TAG ! tag:x,2000:\n%TAG !e! tag:x,2001:\n---\na: 1\n",
            "a: \"x \\\\/\"\nb: '\\/'\nc: \\/\nd: |\n  \"\\/\"\n",
            "a: &x-1_B 1\nb: *x-1_B\n",
            "a: !!null ~\nb: !!int 0x1\nc: !!int '1'\nd: !!float 1\ne: !!bool yes\nf: !foo x\n",
            "a: !!binary aGVs\nb: !!timestamp 2001-2-28\nc: !!timestamp 2001-02-28T01:02:03.5Z\n",
            "a: !!timestamp 2001-02-28 01:02:03\nb: !!timestamp 2001-02-28t1:2:3+01:00\n",
            "a:\tb\nc: {d:\t1}\n",
            "a: {b: c,# d\n  e: f}\n",
            "a: [b,\n\tc]\n",
            "a: x\u{feff}y\nb: \u{feff}x\n",
            "---\n\u{feff}a: 1\n",
            "a: b\u{85}c: d\u{2028}e: f\u{2029}",
        ] {
            assert_eq!(refusal(text), None, "{text:?}");
        }
    }
}
