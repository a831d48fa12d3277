//! The escapes of double-quoted scalars, one by one and without knowledge of quotes.
//!
//! A search for a word reads every backslash as an escape: outside of quotes that finds
//! words that are none, and misses none.

/// What an escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escaped {
    /// A character.
    Char(char),
    /// Nothing: an escaped line break, with the blanks of the next line.
    Nothing,
}

/// The line breaks that YAML 1.1 has beside CR and LF: NEL, LS and PS.
const WIDE_BREAKS: [&[u8]; 3] = [b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9"];

/// Reads the escape at the beginning of a text, and how many bytes it takes; `None` where there is
/// none that can be part of a word.
pub(super) fn read(text: &[u8]) -> Option<(Escaped, usize)> {
    let tail = text.strip_prefix(b"\\")?;
    match tail.first()? {
        b'x' => hex(tail, 2),
        b'u' => hex(tail, 4),
        b'U' => hex(tail, 8),
        c @ (b'/' | b'\\') => Some((Escaped::Char(char::from(*c)), 2)),
        _ => {
            let blanks = blanks(tail);
            let first = tail.get(..blanks)?;
            let is_break = matches!(first.first()?, b'\r' | b'\n')
                || WIDE_BREAKS.iter().any(|b| first.starts_with(b));
            is_break.then_some((Escaped::Nothing, blanks + 1))
        }
    }
}

/// How many bytes of blanks and line breaks a text begins with.
pub(super) fn blanks(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let length = match rest.first() {
            Some(b' ' | b'\t' | b'\r' | b'\n') => 1,
            Some(b'\xc2' | b'\xe2') => WIDE_BREAKS
                .iter()
                .find(|b| rest.starts_with(b))
                .map_or(0, |b| b.len()),
            _ => 0,
        };
        if length == 0 {
            break;
        }
        at += length;
    }
    at
}

fn hex(tail: &[u8], digits: usize) -> Option<(Escaped, usize)> {
    let mut code = 0_u32;
    for digit in tail.get(1..=digits)? {
        code = code.checked_mul(16)? + char::from(*digit).to_digit(16)?;
    }
    Some((Escaped::Char(char::from_u32(code)?), digits + 2))
}
