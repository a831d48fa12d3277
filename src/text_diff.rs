//! The difference of two texts as a patch, in the unified format.
//!
//! It is made for few changes in a long text: lines that were added, and lines that were changed.
//! The patch is right for any two texts, but not always the shortest.

use std::fmt::Write as _;

/// The lines shown around a change.
const CONTEXT: usize = 3;

/// How far ahead a line is searched for.
const MAX_SEARCH: usize = 1000;

/// A line of the patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Both(&'t str),
    Old(&'t str),
    New(&'t str),
}

/// The patch that makes `new` of `old`; empty where they are equal.
#[must_use]
pub fn unified(name: &str, old: &str, new: &str) -> String {
    let lines = aligned(
        &old.split_inclusive('\n').collect::<Vec<_>>(),
        &new.split_inclusive('\n').collect::<Vec<_>>(),
    );
    let mut patch = String::new();
    for (start, end) in hunks(&lines) {
        if patch.is_empty() {
            let _ = write!(patch, "--- {name}\n+++ {name}\n");
        }
        let before = lines.get(..start).unwrap_or_default();
        let hunk = lines.get(start..end).unwrap_or_default();
        let _ = writeln!(
            patch,
            "@@ -{} +{} @@",
            range(before, hunk, is_old),
            range(before, hunk, is_new)
        );
        for line in hunk {
            let (sign, text) = match line {
                Line::Both(text) => (' ', text),
                Line::Old(text) => ('-', text),
                Line::New(text) => ('+', text),
            };
            patch.push(sign);
            patch.push_str(text);
            if !text.ends_with('\n') {
                patch.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    patch
}

fn is_old(line: &Line<'_>) -> bool {
    !matches!(line, Line::New(_))
}

fn is_new(line: &Line<'_>) -> bool {
    !matches!(line, Line::Old(_))
}

/// The lines of one side that a hunk is about, as `first,count`.
fn range(before: &[Line<'_>], hunk: &[Line<'_>], is_of_side: fn(&Line<'_>) -> bool) -> String {
    let count = |lines: &[Line<'_>]| lines.iter().filter(|line| is_of_side(line)).count();
    let (skipped, count) = (count(before), count(hunk));
    // A side without lines is named by the line before.
    let first = if count == 0 { skipped } else { skipped + 1 };
    format!("{first},{count}")
}

/// Both texts as one list of lines.
fn aligned<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(from), Some(to)) = (old.get(i), new.get(j)) {
        if from == to {
            lines.push(Line::Both(from));
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let ahead = new
            .iter()
            .skip(j)
            .take(MAX_SEARCH)
            .position(|line| line == from);
        let is_one_line = old.get(i + 1) == new.get(j + 1);
        match ahead {
            Some(ahead) if !is_one_line => {
                lines.extend(new.iter().skip(j).take(ahead).map(|line| Line::New(line)));
                j += ahead;
            }
            _ => {
                lines.extend([Line::Old(from), Line::New(to)]);
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    lines.extend(old.iter().skip(i).map(|line| Line::Old(line)));
    lines.extend(new.iter().skip(j).map(|line| Line::New(line)));
    lines
}

/// The ranges of lines to show: each change with the lines around it.
fn hunks(lines: &[Line<'_>]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if matches!(line, Line::Both(_)) {
            continue;
        }
        let (start, end) = (
            at.saturating_sub(CONTEXT),
            lines.len().min(at + CONTEXT + 1),
        );
        match hunks.last_mut() {
            Some((_, last)) if *last >= start => *last = end,
            _ => hunks.push((start, end)),
        }
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_patch_shows_what_was_added_and_changed() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj";
        let new = "a\nb\nc\nd\nx\ny\ne\nf\ng\nh\ni\nJ\n";
        assert_eq!(
            unified("f", old, new),
            "--- f\n+++ f\n@@ -2,9 +2,11 @@\n b\n c\n d\n+x\n+y\n e\n f\n g\n h\n i\n-j\n\
             \\ No newline at end of file\n+J\n"
        );
        assert_eq!(unified("f", old, old), "");
    }

    proptest! {
        /// Either side of the list is that text.
        #[test]
        fn each_side_is_its_text(old in "[ab\n]{0,30}", new in "[ab\n]{0,30}") {
            let (from, to): (Vec<_>, Vec<_>) = (
                old.split_inclusive('\n').collect(),
                new.split_inclusive('\n').collect(),
            );
            let lines = aligned(&from, &to);
            let side = |is: fn(&Line<'_>) -> bool| -> String {
                let of_side = lines.iter().filter(|line| is(line));
                let text = |line: &Line<'_>| match *line {
                    Line::Both(text) | Line::Old(text) | Line::New(text) => text.to_owned(),
                };
                of_side.map(text).collect()
            };
            prop_assert_eq!(side(is_old), old.clone());
            prop_assert_eq!(side(is_new), new);
        }
    }
}
