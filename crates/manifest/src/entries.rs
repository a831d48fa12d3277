//! The entries of a YAML mapping as pieces of text that can be moved to another place.
//!
//! An entry is a key with its value and with the comments that belong to it: those directly above,
//! at the indentation of the key, and those below that are indented deeper. The changes themselves
//! are [`crate::edit::Edit`]s.

use std::ops::Range;

use crate::yaml::Node;

/// A text with its line break.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'t> {
    /// The text.
    pub text: &'t str,
    /// How its lines end.
    pub eol: &'static str,
}

/// A key with its value.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The key.
    pub key: Node<'a>,
    /// The value.
    pub value: Node<'a>,
    /// Whether the mapping that it belongs to is in flow style.
    pub flow: bool,
}

impl<'a> Entry<'a> {
    /// The entry of that key: the last, where there are several.
    #[must_use]
    pub fn of(parent: Node<'a>, name: &str) -> Option<Self> {
        let flow = parent.is_flow();
        parent
            .pairs()
            .filter(|(key, _)| key.key_text().is_some_and(|text| text == name))
            .last()
            .map(|(key, value)| Self { key, value, flow })
    }

    /// Whether nothing is in it: null, `{}` or `[]`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let value = self.value;
        value.is_null()
            || (value.is_mapping() && value.pairs().next().is_none())
            || (value.is_sequence() && value.items().next().is_none())
    }

    /// Where its value ends, or its key where there is no value.
    #[must_use]
    pub fn end(&self) -> usize {
        // A value that is not there can lie before the end of its key.
        self.value.span().end.max(self.key.span().end)
    }
}

impl<'t> Lines<'t> {
    /// The lines of a text.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { text, eol }
    }

    /// The text of a range; nothing, where the range is not in the text.
    #[must_use]
    pub fn get(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }

    /// Where the line of a byte begins.
    #[must_use]
    pub fn line_start(&self, at: usize) -> usize {
        self.get(0..at).rfind('\n').map_or(0, |i| i + 1)
    }

    /// Behind the line's break.
    #[must_use]
    pub fn line_end(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        rest.find('\n').map_or(self.text.len(), |i| at + i + 1)
    }

    /// How far a place is from the beginning of its line.
    #[must_use]
    pub fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    /// The indentation of the nearest line above that is no comment.
    #[must_use]
    pub fn indentation_above(&self, at: usize) -> Option<usize> {
        let above = self.get(0..self.line_start(at));
        let is_content = |line: &&str| !line.trim().is_empty() && !is_comment(line);
        above.lines().rev().find(is_content).map(indentation)
    }

    /// All lines of an entry of a block mapping, with the comments that belong to it.
    #[must_use]
    pub fn extent(&self, entry: &Entry<'_>) -> Range<usize> {
        let key_at = entry.key.span().start;
        let column = self.column(key_at);
        let mut start = self.line_start(key_at);
        while start > 0 {
            let before = self.line_start(start - 1);
            let line = self.get(before..start);
            if !(is_comment(line) && indentation(line) == column) {
                break;
            }
            start = before;
        }
        let mut end = self.line_end(entry.end());
        let mut at = end;
        while at < self.text.len() {
            let next = self.line_end(at);
            let line = self.get(at..next);
            at = next;
            if is_comment(line) && indentation(line) > column {
                end = next;
            } else if !line.trim().is_empty() {
                break;
            }
        }
        start..end
    }

    /// The comment lines above an entry, at another indentation.
    #[must_use]
    pub fn comments(&self, entry: &Entry<'_>, column: usize) -> String {
        if entry.flow {
            return String::new();
        }
        let start = self.extent(entry).start;
        let key_line = self.line_start(entry.key.span().start);
        self.indented(self.get(start..key_line), column)
    }

    /// The comment behind a key whose value begins in a later line, as a line of its own.
    #[must_use]
    pub fn comment_behind_key(&self, entry: &Entry<'_>, column: usize) -> String {
        let end = entry.key.span().end;
        let rest = self.get(end..self.line_end(end));
        match rest.trim().strip_prefix(':').map(str::trim) {
            Some(comment) if comment.starts_with('#') => self.line(column, comment),
            _ => String::new(),
        }
    }

    /// The comment at the end of the line in which a flow value ends.
    #[must_use]
    pub fn comment_behind(&self, at: usize) -> &'t str {
        let rest = self.get(at..self.line_end(at)).trim();
        if rest.starts_with('#') { rest } else { "" }
    }

    /// An entry under another key and at another indentation, in whole lines.
    #[must_use]
    pub fn render(&self, entry: &Entry<'_>, key: &str, column: usize) -> String {
        let key_end = entry.key.span().end;
        if entry.flow {
            return self.line(column, &self.pair(entry, key));
        }
        let extent = self.extent(entry);
        let first_end = self.line_end(key_end);
        let mut text = self.comments(entry, column);
        text += &self.line(column, &format!("{key}{}", self.get(key_end..first_end)));
        let from = self.column(entry.key.span().start);
        text += &self.shifted(self.get(first_end..extent.end), from, column);
        text
    }

    /// A pair of a flow mapping under another key.
    #[must_use]
    pub fn pair(&self, entry: &Entry<'_>, key: &str) -> String {
        let rest = self.get(entry.key.span().end..entry.end()).trim_start();
        // JSON needs no blank behind the colon, a plain key does.
        let value = rest.strip_prefix(':').unwrap_or(rest).trim_start();
        format!("{key}: {value}")
    }

    /// The items of a list as items of a block list whose dashes stand in `column`.
    #[must_use]
    pub fn items(&self, entry: &Entry<'_>, column: usize) -> String {
        let mut text = self.comments(entry, column);
        if entry.value.is_flow() || entry.flow {
            for item in entry.value.items() {
                text += &self.line(column, &format!("- {}", self.get(item.span())));
            }
            return text;
        }
        text += &self.comment_behind_key(entry, column);
        let region = self.line_end(entry.key.span().end)..self.extent(entry).end;
        let from = self.dash_column(entry);
        text + &self.shifted(self.get(region), from, column)
    }

    /// The column of the dashes of a block list.
    #[must_use]
    pub fn dash_column(&self, entry: &Entry<'_>) -> usize {
        let region = self.line_end(entry.key.span().end)..self.extent(entry).end;
        self.get(region)
            .lines()
            .find(|line| line.trim_start().starts_with('-'))
            .map_or(0, indentation)
    }

    /// One line.
    #[must_use]
    pub fn line(&self, column: usize, content: &str) -> String {
        format!("{}{}{}", " ".repeat(column), content.trim_end(), self.eol)
    }

    /// Lines, each at the same indentation.
    fn indented(&self, lines: &str, column: usize) -> String {
        lines
            .lines()
            .map(|line| self.line(column, line.trim_start()))
            .collect()
    }

    /// Lines moved sideways, whole and with a break at the end.
    fn shifted(&self, lines: &str, from: usize, to: usize) -> String {
        let mut text = String::new();
        for line in lines.split_inclusive('\n') {
            if line.trim().is_empty() {
                text += line;
            } else if to >= from {
                text += &" ".repeat(to - from);
                text += line;
            } else {
                let blanks = indentation(line).min(from - to);
                text += line.get(blanks..).unwrap_or(line);
            }
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text += self.eol;
        }
        text
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}
