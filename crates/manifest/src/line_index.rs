//! From a byte of a text to its line and column, as often as one likes.
//!
//! Counting from the start of the text for each question takes time that grows with its square.
//! This counts once, and notes where each block of the text begins. Lines end at `\n`, as editors
//! count them; columns count characters. It knows nothing of YAML.

use std::sync::OnceLock;

use crate::diagnostic::Position;

/// How many bytes lie between two positions that are noted.
const BLOCK: usize = 1024;

/// The lines of one text. The text is counted at the first question, and never where none is asked.
///
/// It keeps 16 bytes for each 1024 bytes of text, and no reference to the text: the caller passes
/// the same text with each question.
#[derive(Debug, Clone, Default)]
pub struct LineIndex {
    /// Where each block begins.
    blocks: OnceLock<Box<[Position]>>,
}

impl LineIndex {
    /// The position of a byte of the text, line and column counted from 1. An offset behind the
    /// end of the text is its end.
    #[must_use]
    pub fn position(&self, text: &[u8], at: usize) -> Position {
        let blocks = self.blocks.get_or_init(|| count(text));
        let at = at.min(text.len());
        let block = (at / BLOCK).min(blocks.len().saturating_sub(1));
        let start = blocks.get(block).copied().unwrap_or(START);
        advance(start, text.get(block * BLOCK..at).unwrap_or_default())
    }

    /// The line of a byte of the text, counted from 1.
    #[must_use]
    pub fn line(&self, text: &[u8], at: usize) -> usize {
        self.position(text, at).line
    }
}

/// Where every text begins.
const START: Position = Position { line: 1, column: 1 };

/// The position of each block of a text.
fn count(text: &[u8]) -> Box<[Position]> {
    let mut position = START;
    let starts = text.chunks(BLOCK).map(|block| {
        let start = position;
        position = advance(position, block);
        start
    });
    starts.collect()
}

/// The position behind a piece of text that begins at `from`. A character counts at its first
/// byte, so a piece may begin or end inside of one.
fn advance(from: Position, piece: &[u8]) -> Position {
    match memchr::memrchr(b'\n', piece) {
        None => Position {
            column: from.column + characters(piece),
            ..from
        },
        Some(last) => Position {
            line: from.line + memchr::memchr_iter(b'\n', piece).count(),
            column: 1 + characters(piece.get(last + 1..).unwrap_or_default()),
        },
    }
}

/// How many characters of UTF-8 begin in some bytes.
fn characters(bytes: &[u8]) -> usize {
    // The bytes that continue a character are 0x80 to 0xBF.
    bytes.iter().filter(|b| **b & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The position, counted from the start of the text.
    fn counted(text: &str, at: usize) -> Position {
        let before = &text[..at];
        Position {
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
        }
    }

    #[test]
    fn an_offset_behind_the_end_is_the_end() {
        let lines = LineIndex::default();
        assert_eq!(
            lines.position(b"a\nbc", 99),
            Position { line: 2, column: 3 }
        );
        let full = "x".repeat(BLOCK);
        let lines = LineIndex::default();
        assert_eq!(lines.position(full.as_bytes(), BLOCK).column, BLOCK + 1);
        assert_eq!(LineIndex::default().position(b"", 0), START);
    }

    proptest! {
        #[test]
        fn every_character_is_where_counting_finds_it(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("\n".to_owned()), Just("\r\n".to_owned()), Just("ä€𝄞".to_owned()),
                    (1_usize..1500).prop_map(|n| "x".repeat(n)),
                    (1_usize..700).prop_map(|n| "€".repeat(n)),
                ],
                0..12,
            ),
        ) {
            let text = parts.concat();
            let lines = LineIndex::default();
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)).step_by(7) {
                prop_assert_eq!(lines.position(text.as_bytes(), at), counted(&text, at));
            }
        }
    }
}
