//! Cuts a stream into documents, as spans of its bytes, without changing or copying any.
//!
//! Sources: YAML 1.2.2, section 9 (document markers, the end marker `...`, directives), and what
//! Helm takes beyond it, which cuts templates at any line that begins with three dashes: a marker
//! glued to a comment (`---# Source: a`, which Helm 4 and kubectl take as well), to the first key
//! (`---apiVersion: v1`) or to JSON (`---{"kind": …}`). Nothing here reads YAML values or knows
//! Kubernetes; a line at column 0 decides, and inside any YAML scalar such a line would end the
//! document too.

use std::ops::Range;

use memchr::memmem::Finder;

/// The UTF-8 byte order mark.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// A stream in UTF-16 with its byte order mark, as UTF-8; `None` for any other, and for one that
/// cannot be read.
#[must_use]
pub fn from_utf16(stream: &[u8]) -> Option<String> {
    let (units, unit): (_, fn([u8; 2]) -> u16) = match stream {
        [0xff, 0xfe, units @ ..] => (units, u16::from_le_bytes),
        [0xfe, 0xff, units @ ..] => (units, u16::from_be_bytes),
        _ => return None,
    };
    let (pairs, rest) = units.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty())
}

/// How a document begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the stream, or behind `...`: there is no marker.
    Bare,
    /// With `---`, and a blank or a comment behind it.
    Marker,
    /// With directives (`%YAML 1.1`) and then `---`.
    Directives,
    /// With a marker that only Helm takes for one: `---apiVersion: v1`, `---{"kind": …}`.
    Glued,
}

/// One document: all spans are byte ranges of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// All of it: directives, marker, content, end marker. The spans of all documents join up to
    /// the stream.
    pub span: Range<usize>,
    /// What stands behind the marker's dashes, up to the end marker `...` or the next document.
    pub body: Range<usize>,
    /// How it begins.
    pub start: Start,
}

impl Document {
    /// Whether another document may be put before this one as it is: it brings its own marker.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.start == Start::Marker
    }
}

/// The documents of a stream, in order.
#[must_use]
pub fn split(stream: &[u8]) -> Documents<'_> {
    Documents {
        stream,
        at: 0,
        done: stream.is_empty(),
        dashes: Lines::new(b"\n---"),
        dots: Lines::new(b"\n..."),
    }
}

/// Iterator over the documents of a stream.
#[derive(Debug)]
pub struct Documents<'s> {
    stream: &'s [u8],
    at: usize,
    done: bool,
    dashes: Lines,
    dots: Lines,
}

/// Finds the lines that begin with three given bytes, in one pass over the stream.
#[derive(Debug)]
struct Lines {
    finder: Finder<'static>,
    marker: &'static [u8],
    /// What is known: searched from, searched to, found at.
    last: (usize, usize, Option<usize>),
}

impl Lines {
    /// Searches for a marker behind a line break, both in one needle.
    fn new(needle: &'static [u8]) -> Self {
        Self {
            finder: Finder::new(needle),
            marker: needle.strip_prefix(b"\n").unwrap_or(needle),
            last: (0, 0, None),
        }
    }

    /// The start of the first such line in a span.
    fn next(&mut self, stream: &[u8], span: Range<usize>) -> Option<usize> {
        let (from, to, found) = self.last;
        if from <= span.start && found.is_some_and(|at| at >= span.start) {
            return found.filter(|at| *at < span.end);
        }
        if from <= span.start && found.is_none() && to >= span.end {
            return None;
        }
        let found = if span.start == 0 && stream.starts_with(self.marker) {
            Some(0)
        } else {
            // The line break before and the marker at the very end belong to the search.
            let before = span.start.saturating_sub(1);
            let behind = span.end.saturating_add(2).min(stream.len());
            stream
                .get(before..behind)
                .and_then(|rest| self.finder.find(rest))
                .map(|i| before + i + 1)
        };
        self.last = (span.start, found.map_or(span.end, |at| at + 1), found);
        found.filter(|at| *at < span.end)
    }
}

/// The kind of line that three dashes begin.
fn dashes_at(stream: &[u8], at: usize) -> Option<Start> {
    let rest = stream.get(at + 3..).unwrap_or_default();
    match rest.first() {
        None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'#') => Some(Start::Marker),
        Some(b'{') => Some(Start::Glued),
        Some(c) if c.is_ascii_alphabetic() || matches!(c, b'"' | b'\'') => {
            let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
            line.contains(&b':').then_some(Start::Glued)
        }
        Some(_) => None,
    }
}

fn is_end_marker(stream: &[u8], at: usize) -> bool {
    matches!(
        stream.get(at + 3),
        None | Some(b' ' | b'\t' | b'\r' | b'\n')
    )
}

fn line_end(stream: &[u8], at: usize) -> usize {
    stream
        .get(at..)
        .and_then(|rest| memchr::memchr(b'\n', rest))
        .map_or(stream.len(), |i| at + i + 1)
}

impl Documents<'_> {
    /// The next marker at or behind `from`.
    fn marker(&mut self, mut from: usize) -> Option<(usize, Start)> {
        loop {
            let at = self.dashes.next(self.stream, from..self.stream.len())?;
            if let Some(start) = dashes_at(self.stream, at) {
                return Some((at, start));
            }
            from = at + 3;
        }
    }

    /// The first end marker in a span.
    fn end_marker(&mut self, mut span: Range<usize>) -> Option<usize> {
        loop {
            let at = self.dots.next(self.stream, span.clone())?;
            if is_end_marker(self.stream, at) {
                return Some(at);
            }
            span.start = at + 3;
        }
    }

    /// Whether only comments, blanks and at least one directive stand between two offsets.
    fn is_prologue(&self, from: usize, to: usize) -> bool {
        let Some(text) = self.stream.get(from..to) else {
            return false;
        };
        let text = text.strip_prefix(BOM).unwrap_or(text);
        let mut directives = false;
        lines(text).all(|line| {
            directives |= line.starts_with(b"%");
            line.starts_with(b"%") || is_comment_or_blank(line)
        }) && directives
    }
}

impl Iterator for Documents<'_> {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        if self.done {
            return None;
        }
        let begin = self.at;
        let bom = if begin == 0 && self.stream.starts_with(BOM) {
            BOM.len()
        } else {
            0
        };
        // A marker right behind a byte order mark is not at a line start to the finder.
        let own = if bom > 0 && self.stream.get(bom..bom + 3) == Some(b"---") {
            dashes_at(self.stream, bom).map(|start| (bom, start))
        } else {
            self.marker(begin)
        };
        let (start, body) = match own {
            Some((at, Start::Glued)) if at == begin + bom => (Start::Glued, at + 3),
            Some((at, start)) if at == begin + bom => (start, at + 3),
            Some((at, Start::Marker)) if self.is_prologue(begin, at) => (Start::Directives, at + 3),
            _ => (Start::Bare, begin + bom),
        };
        let next = self.marker(body).map_or(self.stream.len(), |(at, _)| at);
        // End markers are looked for no further than the document goes, while it is in the cache.
        let (content_end, end) = match self.end_marker(body..next) {
            Some(dots) => (dots, line_end(self.stream, dots)),
            None => (next, next),
        };
        self.at = end;
        self.done = end >= self.stream.len();
        Some(Document {
            span: begin..end,
            body: body..content_end.max(body),
            start,
        })
    }
}

/// Whether a line is a comment at column 0, or nothing but blanks.
#[must_use]
pub fn is_comment_or_blank(line: &[u8]) -> bool {
    line.starts_with(b"#") || line.iter().all(u8::is_ascii_whitespace)
}

/// Whether a text has no content: comments and blanks alone.
#[must_use]
pub fn says_nothing(text: &[u8]) -> bool {
    lines(text).all(is_comment_or_blank)
}

/// The lines of a text with their breaks, as Helm's reader ends them: at a line feed, a carriage
/// return, and at NEL, LS and PS.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (line, behind) = rest.split_at_checked(break_end(rest))?;
        rest = behind;
        (!line.is_empty()).then_some(line)
    })
}

/// Where the first line of a text ends, its break included.
fn break_end(text: &[u8]) -> usize {
    let end = memchr::memchr2(b'\n', b'\r', text).map_or(text.len(), |at| {
        let crlf = text.get(at..).is_some_and(|t| t.starts_with(b"\r\n"));
        at + 1 + usize::from(crlf)
    });
    let line = text.get(..end).unwrap_or_default();
    memchr::memchr2_iter(0xc2, 0xe2, line)
        .find_map(|at| {
            let rest = line.get(at..)?;
            let mark = [&b"\xc2\x85"[..], b"\xe2\x80\xa8", b"\xe2\x80\xa9"];
            let found = mark.into_iter().find(|mark| rest.starts_with(mark))?;
            Some(at + found.len())
        })
        .unwrap_or(end)
}

/// The line of a byte of the stream, counted from 1, for one question: where there may be many, a
/// [`LineIndex`](crate::line_index::LineIndex) answers them.
#[must_use]
pub fn line_of(stream: &[u8], at: usize) -> usize {
    let before = stream.get(..at).unwrap_or(stream);
    memchr::memchr_iter(b'\n', before).count() + 1
}

/// The line break that the text around a byte uses: that of the next line to end, else of the one
/// before.
#[must_use]
pub fn line_break(stream: &[u8], at: usize) -> &'static str {
    let ahead = stream.get(at..).unwrap_or_default();
    let behind = stream.get(..at).unwrap_or_default();
    let end = memchr::memchr(b'\n', ahead)
        .map(|i| at + i)
        .or_else(|| memchr::memrchr(b'\n', behind));
    let crlf = end.is_some_and(|i| i > 0 && stream.get(i - 1) == Some(&b'\r'));
    if crlf { "\r\n" } else { "\n" }
}

/// The range of a line that holds a byte, its line break included.
#[must_use]
pub fn line_range(stream: &[u8], at: usize) -> Range<usize> {
    let start = stream
        .get(..at)
        .and_then(|before| memchr::memrchr(b'\n', before))
        .map_or(0, |i| i + 1);
    let end = stream
        .get(at..)
        .and_then(|rest| memchr::memchr(b'\n', rest))
        .map_or(stream.len(), |i| at + i + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bodies(stream: &str) -> Vec<(&str, Start)> {
        split(stream.as_bytes())
            .map(|d| (&stream[d.body], d.start))
            .collect()
    }

    #[test]
    fn markers_cut_and_the_rest_does_not() {
        use Start::{Bare, Directives, Glued, Marker};
        assert_eq!(
            bodies("a: 1\n---\nb: 1"),
            [("a: 1\n", Bare), ("\nb: 1", Marker)]
        );
        assert_eq!(bodies("--- # c\na: 1\n"), [(" # c\na: 1\n", Marker)]);
        assert_eq!(
            bodies("----\n ---\n--- |\n x\n"),
            [("----\n ---\n", Bare), (" |\n x\n", Marker)]
        );
        assert_eq!(
            bodies("a: 1\n...\nb: 1\n..."),
            [("a: 1\n", Bare), ("b: 1\n", Bare)]
        );
        assert_eq!(bodies("a: 1\n....\n.. .\n"), [("a: 1\n....\n.. .\n", Bare)]);
        assert_eq!(
            bodies("---a: 1\n---b: 2\n"),
            [("a: 1\n", Glued), ("b: 2\n", Glued)]
        );
        assert_eq!(
            bodies("a: 1\n---# c\nb: 2\n---{\n\"c\": 3}\n---\"d\": 4\n---\"d\"\n"),
            [
                ("a: 1\n", Bare),
                ("# c\nb: 2\n", Marker),
                ("{\n\"c\": 3}\n", Glued),
                ("\"d\": 4\n---\"d\"\n", Glued)
            ]
        );
        assert_eq!(
            bodies("%YAML 1.1\n# c\n---\na: 1\n"),
            [("\na: 1\n", Directives)]
        );
        assert_eq!(
            bodies("# c\n---\na: 1\n"),
            [("# c\n", Bare), ("\na: 1\n", Marker)]
        );
        assert_eq!(bodies("\u{feff}---\na: 1\n"), [("\na: 1\n", Marker)]);
        assert_eq!(bodies("\u{feff}a: 1\n"), [("a: 1\n", Bare)]);
        assert_eq!(
            bodies("---\r\na: 1\r\n---\r\n"),
            [("\r\na: 1\r\n", Marker), ("\r\n", Marker)]
        );
        assert_eq!(bodies("---"), [("", Marker)]);
        assert_eq!(bodies("...\n---\na\n"), [("", Bare), ("\na\n", Marker)]);
        assert!(bodies("").is_empty());
    }

    #[test]
    fn every_line_break_ends_a_comment() {
        let all: Vec<&[u8]> =
            lines("# a\rb\r\n\n# c\u{85}d\u{2028}\u{e9}\u{2029}e".as_bytes()).collect();
        let expected = [
            "# a\r",
            "b\r\n",
            "\n",
            "# c\u{85}",
            "d\u{2028}",
            "\u{e9}\u{2029}",
            "e",
        ];
        assert_eq!(all, expected.map(str::as_bytes));
        assert!(says_nothing("# a\r\n# b\r# c\n\n".as_bytes()));
        for content in ["# a\rb: 1\n", "# a\u{85}b: 1", "# a\u{2028}b: 1\n"] {
            assert!(!says_nothing(content.as_bytes()), "{content:?}");
        }
    }

    #[test]
    fn lines_and_line_breaks() {
        assert_eq!(line_of(b"a\nb\nc", 4), 3);
        assert_eq!(line_break(b"a\r\nb\nc", 0), "\r\n");
        assert_eq!(line_break(b"a\r\nb\nc", 3), "\n");
        assert_eq!(line_break(b"a\r\nb", 3), "\r\n");
        assert_eq!(line_break(b"a", 0), "\n");
    }

    proptest! {
        #[test]
        fn the_documents_join_up_to_the_stream(
            lines in prop::collection::vec(
                prop_oneof![
                    Just("---"), Just("..."), Just("--- x"), Just("%YAML 1.1"), Just("# c"),
                    Just("a: 1"), Just(""), Just("---k: v"), Just("---{}"), Just("---#"), Just("----"), Just("\u{feff}"),
                ],
                0..12,
            ),
            ends in prop::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("")], 12),
        ) {
            let stream: String = lines.iter().zip(&ends).flat_map(|(l, e)| [*l, *e]).collect();
            let mut at = 0;
            for document in split(stream.as_bytes()) {
                prop_assert_eq!(document.span.start, at);
                prop_assert!(document.span.start <= document.body.start);
                prop_assert!(document.body.end <= document.span.end);
                prop_assert!(document.span.end > at);
                at = document.span.end;
            }
            prop_assert_eq!(at, stream.len());
        }
    }
}
