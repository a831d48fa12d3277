//! Line and column of a byte offset, without a walk from the beginning of the text.
//!
//! Nodes store byte offsets alone, as few positions are ever shown. Lines end where the parser ends
//! them: at LF, CR, or both.

use crate::report::Position;

/// How many bytes lie between two marks at least: what one question walks over at most.
const STRIDE: usize = 512;

/// Marks in regular distances of a text, each with its line and column.
#[derive(Debug)]
pub(super) struct Positions {
    marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    offset: usize,
    position: Position,
}

impl Positions {
    /// Walks over a text once.
    pub(super) fn of(text: &str) -> Self {
        let mut mark = Mark {
            offset: 0,
            position: Position { line: 1, column: 1 },
        };
        let mut marks = vec![mark];
        let mut rest = text;
        while let Some((stretch, behind)) = split(rest) {
            mark.position = advance(mark.position, stretch);
            mark.offset += stretch.len();
            marks.push(mark);
            rest = behind;
        }
        Self { marks }
    }

    /// The position of an offset in the text that was walked over.
    pub(super) fn at(&self, text: &str, offset: usize) -> Position {
        let behind = self.marks.partition_point(|mark| mark.offset <= offset);
        let Some(mark) = self.marks.get(behind.saturating_sub(1)) else {
            return Position { line: 1, column: 1 };
        };
        let stretch = text.get(mark.offset..offset).unwrap_or_default();
        advance(mark.position, stretch)
    }
}

/// The first stretch of a text, and what is behind it. CR and LF stay together.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut at = STRIDE;
    while !text.is_char_boundary(at) || text.as_bytes().get(at) == Some(&b'\n') {
        at += 1;
        if at > text.len() {
            return None;
        }
    }
    text.split_at_checked(at)
}

/// The position behind a stretch of text.
fn advance(mut position: Position, stretch: &str) -> Position {
    let mut chars = stretch.chars().peekable();
    while let Some(c) = chars.next() {
        let ends = c == '\n' || (c == '\r' && chars.peek() != Some(&'\n'));
        if ends {
            position.line += 1;
            position.column = 1;
        } else {
            position.column += 1;
        }
    }
    position
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_offset_has_the_position_that_a_walk_from_the_beginning_gives(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("a"), Just("é"), Just("\n"), Just("\r"), Just("\r\n"), Just("\u{2028}"),
                    Just("0123456789012345678901234567890123456789"), Just("\n\n\n\n\n\n"),
                ],
                0..200,
            ),
        ) {
            let text = parts.concat();
            let positions = Positions::of(&text);
            for (offset, _) in text.char_indices() {
                let inside_a_break = text[..offset].ends_with('\r') && text[offset..].starts_with('\n');
                if inside_a_break {
                    continue;
                }
                let start = Position { line: 1, column: 1 };
                prop_assert_eq!(positions.at(&text, offset), advance(start, &text[..offset]));
            }
        }
    }
}
