//! Changes to a stream as text over spans; everything else goes out as it came in.
//!
//! Knows bytes, documents and lists, not what the text means.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use crate::documents::line_range;
use crate::documents::{self, Start};
use crate::objects::{Item, Object, source_lines_end};

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
    let document = &object.location.document;
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
    let line_break = documents::line_break(stream, document.body.start);
    Edit {
        span: start..document.body.end,
        text: with_line_breaks(&format!("{lead}{text}"), line_break),
    }
}

/// Takes a document out. An end marker stays, as what follows may need it.
#[must_use]
pub fn remove_document(object: &Object) -> Edit {
    let document = &object.location.document;
    Edit {
        span: document.span.start..document.body.end,
        text: String::new(),
    }
}

/// Puts a new text in place of an item of a list, in the style that [`is_flow_item`] says.
#[must_use]
pub fn replace_item(stream: &[u8], item: &Item, text: &str) -> Edit {
    let text = if is_flow_item(stream, item) {
        text.to_owned()
    } else {
        let line_break = documents::line_break(stream, item.span.start);
        with_line_breaks(indented(text, item.column).trim_end(), line_break)
    };
    Edit {
        span: item.span.clone(),
        text,
    }
}

/// Whether an item must be written in flow style: its list is, or it is itself.
#[must_use]
pub fn is_flow_item(stream: &[u8], item: &Item) -> bool {
    item.flow || stream.get(item.span.start) == Some(&b'{')
}

/// Takes items out of their list. All of them must be of one list.
///
/// `None` where the list is written in a way that leaves no clean cut.
#[must_use]
pub fn remove_items(stream: &[u8], items: &[&Item]) -> Option<Vec<Edit>> {
    let first = items.first()?;
    let siblings = &first.siblings;
    let leaving: HashSet<usize> = items.iter().map(|item| item.index).collect();
    let goes = |i: usize| leaving.contains(&i);
    if (0..siblings.len()).all(goes) {
        let (span, text) = if first.flow {
            (first.list.clone(), "[]")
        } else {
            // In block style the list stands on lines of its own, and must stay deeper than its
            // key. Its node may begin behind the first dash, and end behind the last line break.
            let dash = dash_of(stream, siblings.first()?.start)?;
            (dash..siblings.last()?.end, "  []")
        };
        return Some(vec![Edit {
            span,
            text: text.to_owned(),
        }]);
    }
    let last_kept = (0..siblings.len()).rev().find(|i| !goes(*i))?;
    let mut edits = Vec::new();
    let mut cut = |span| {
        edits.push(Edit {
            span,
            text: String::new(),
        });
    };
    for item in items {
        if !item.flow {
            let dash = dash_of(stream, item.span.start)?;
            let lead = line_range(stream, dash);
            let blank = stream.get(lead.start..dash)?.iter().all(|b| *b == b' ');
            let end = line_range(stream, item.span.end.saturating_sub(1)).end;
            cut(blank.then_some(lead.start..end)?);
            continue;
        }
        // With each item goes one comma: the next one, or at the end of the list the one before.
        let (from, to) = if item.index < last_kept {
            (item.span.end, siblings.get(item.index + 1)?.start)
        } else {
            (
                siblings.get(item.index.checked_sub(1)?)?.end,
                item.span.start,
            )
        };
        let comma = comma_in(stream, from..to)?;
        let mut end = item.span.end;
        if item.index < last_kept && comma == end {
            // The blank behind the comma belongs to the item that goes.
            let blanks = stream.get(comma + 1..to)?;
            end = comma + 1 + blanks.iter().take_while(|b| **b == b' ').count();
        } else {
            cut(comma..comma + 1);
        }
        cut(item.span.start..end);
    }
    Some(edits)
}

/// The comma between two items of a flow list, which is not one in a comment.
fn comma_in(stream: &[u8], gap: Range<usize>) -> Option<usize> {
    let mut comment = false;
    stream
        .get(gap.clone())?
        .iter()
        .enumerate()
        .find_map(|(i, b)| {
            match b {
                b'#' => comment = true,
                b'\n' => comment = false,
                b',' if !comment => return Some(gap.start + i),
                _ => {}
            }
            None
        })
}

/// The dash of an item of a block list, where nothing but blanks stands between the two.
#[must_use]
pub fn dash_of(stream: &[u8], item: usize) -> Option<usize> {
    let before = stream.get(..item)?;
    let dash = before.iter().rposition(|b| !b.is_ascii_whitespace())?;
    (before.get(dash) == Some(&b'-')).then_some(dash)
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
