//! Changes to a stream as text over spans; everything else goes out as it came in.
//!
//! Knows bytes, documents and lists, not what the text means.

use std::borrow::Cow;
use std::ops::Range;

use crate::index::{Item, Object, source_lines_end};
use crate::stream::{self, Start};
use crate::survey::line_range;

/// A span of the stream and the text that takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go; empty for an insertion.
    pub span: Range<usize>,
    /// What comes instead.
    pub text: String,
}

/// The pieces of the new stream, in order: parts of the old one, and new text.
///
/// # Errors
/// The offset at which two changes overlap.
pub fn apply(stream: &[u8], mut edits: Vec<Edit>) -> Result<Vec<Cow<'_, [u8]>>, usize> {
    edits.sort_by_key(|e| (e.span.start, e.span.end));
    let mut pieces = Vec::with_capacity(edits.len() * 2 + 1);
    let mut at = 0;
    for edit in edits {
        let before = stream.get(at..edit.span.start).ok_or(edit.span.start)?;
        if !before.is_empty() {
            pieces.push(Cow::Borrowed(before));
        }
        if !edit.text.is_empty() {
            pieces.push(Cow::Owned(edit.text.into_bytes()));
        }
        at = edit.span.end;
    }
    let rest = stream.get(at..).unwrap_or_default();
    if !rest.is_empty() {
        pieces.push(Cow::Borrowed(rest));
    }
    Ok(pieces)
}

/// Puts a new text in place of an object, in a document of its own: marker and `# Source:` lines
/// stay.
#[must_use]
pub fn replace_document(stream: &[u8], object: &Object, text: &str) -> Edit {
    let document = &object.seat.document;
    let body = stream.get(document.body.clone()).unwrap_or_default();
    let mut start = document.body.start;
    let mut lead = "";
    if document.start != Start::Bare {
        let line = body
            .split_inclusive(|b| *b == b'\n')
            .next()
            .unwrap_or_default();
        let rest = line.trim_ascii();
        // A comment needs a blank before it, and a glued marker has its key there.
        let bare = document.start != Start::Glued && (rest.is_empty() || rest.starts_with(b"#"));
        if bare && line.ends_with(b"\n") {
            start += line.len();
        } else {
            lead = "\n";
        }
    }
    let rest = stream.get(start..document.body.end).unwrap_or_default();
    if lead.is_empty() {
        start += source_lines_end(rest);
    }
    let line_break = stream::line_break(stream, document.body.start);
    Edit {
        span: start..document.body.end,
        text: with_line_breaks(&format!("{lead}{text}"), line_break),
    }
}

/// Takes a document out. An end marker stays, as what follows may need it.
#[must_use]
pub fn remove_document(object: &Object) -> Edit {
    let document = &object.seat.document;
    Edit {
        span: document.span.start..document.body.end,
        text: String::new(),
    }
}

/// Puts a new text in place of an item of a list: `block` in block style, `flow` in flow style.
#[must_use]
pub fn replace_item(stream: &[u8], item: &Item, block: &str, flow: &str) -> Edit {
    let text = if item.flow || is_flow_node(stream, item) {
        flow.to_owned()
    } else {
        let line_break = stream::line_break(stream, item.span.start);
        with_line_breaks(indented(block, item.column).trim_end(), line_break)
    };
    Edit {
        span: item.span.clone(),
        text,
    }
}

/// Whether an item of a block list is itself in flow style.
fn is_flow_node(stream: &[u8], item: &Item) -> bool {
    stream.get(item.span.start) == Some(&b'{')
}

/// Takes an item out of a list.
#[must_use]
pub fn remove_item(stream: &[u8], item: &Item) -> Option<Edit> {
    let nothing = |span| {
        Some(Edit {
            span,
            text: String::new(),
        })
    };
    if item.siblings == 1 {
        // In block style the list stands on lines of its own, and must stay deeper than its key.
        let text = if item.flow { "[]" } else { "  []" };
        return Some(Edit {
            span: item.list.clone(),
            text: text.to_owned(),
        });
    }
    if item.flow {
        let after = stream.get(item.span.end..)?;
        let blanks = after.iter().take_while(|b| b.is_ascii_whitespace()).count();
        if after.get(blanks) == Some(&b',') {
            let more = after
                .iter()
                .skip(blanks + 1)
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            return nothing(item.span.start..item.span.end + blanks + 1 + more);
        }
        let comma = memchr::memrchr(b',', stream.get(..item.span.start)?)?;
        return nothing(comma..item.span.end);
    }
    let first = line_range(stream, item.span.start);
    let lead = stream.get(first.start..item.span.start)?.trim_ascii();
    let last = line_range(stream, item.span.end.saturating_sub(1));
    (lead == b"-")
        .then(|| nothing(first.start..last.end))
        .flatten()
}

/// Lines behind the first one, indented.
#[must_use]
pub fn indented(text: &str, column: usize) -> String {
    text.split_inclusive('\n')
        .enumerate()
        .map(|(i, line)| match i {
            0 => line.to_owned(),
            _ => format!("{}{line}", " ".repeat(column)),
        })
        .collect()
}

/// A text with the line breaks of its surroundings.
#[must_use]
pub fn with_line_breaks(text: &str, line_break: &str) -> String {
    if line_break == "\n" {
        text.to_owned()
    } else {
        text.replace('\n', line_break)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Index;

    fn first(stream: &str) -> Object {
        Index::of(stream.as_bytes()).objects[0].clone()
    }

    fn after(stream: &str, edit: Edit) -> String {
        let pieces = apply(stream.as_bytes(), vec![edit]).unwrap();
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[test]
    fn markers_and_headers_stay() {
        for (stream, expected) in [
            (
                "---\n# Source: a\nname: vc-cp-a\n---\nb: 1\n",
                "---\n# Source: a\nnew\n---\nb: 1\n",
            ),
            ("--- # c\nname: vc-cp-a\n", "--- # c\nnew\n"),
            ("--- {name: vc-cp-a}\n---\n", "---\nnew\n---\n"),
            ("name: vc-cp-a", "new\n"),
            ("---\r\nname: vc-cp-a\r\n...\r\n", "---\r\nnew\r\n...\r\n"),
            (
                "%YAML 1.1\n---\n# x\nname: vc-cp-a\n",
                "%YAML 1.1\n---\nnew\n",
            ),
        ] {
            let edit = replace_document(stream.as_bytes(), &first(stream), "new\n");
            assert_eq!(after(stream, edit), expected);
        }
    }

    #[test]
    fn items_of_lists_are_replaced_and_removed() {
        let stream = "kind: List\nitems:\n- name: vc-cp-a\n  x: 1\n# c\n- {name: vc-cp-b}\n";
        let object = first(stream);
        let item = object.seat.item.as_ref().unwrap();
        let edit = replace_item(stream.as_bytes(), item, "n: 1\nm: 2\n", "{}");
        assert_eq!(
            after(stream, edit),
            "kind: List\nitems:\n- n: 1\n  m: 2\n# c\n- {name: vc-cp-b}\n"
        );
        let edit = remove_item(stream.as_bytes(), item).unwrap();
        assert_eq!(
            after(stream, edit),
            "kind: List\nitems:\n# c\n- {name: vc-cp-b}\n"
        );
        let stream = r#"{"kind":"List","items":[{"name":"vc-cp-a"}, {"name":"x"}]}"#;
        let object = first(stream);
        let edit = remove_item(stream.as_bytes(), object.seat.item.as_ref().unwrap()).unwrap();
        assert_eq!(
            after(stream, edit),
            r#"{"kind":"List","items":[{"name":"x"}]}"#
        );
    }

    #[test]
    fn overlapping_changes_are_refused() {
        let edit = |span: Range<usize>| Edit {
            span,
            text: String::new(),
        };
        assert_eq!(apply(b"abcdef", vec![edit(0..3), edit(2..4)]), Err(2));
    }
}
