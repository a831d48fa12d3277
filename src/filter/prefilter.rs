//! Which documents can matter at all: a search for a few words over the raw bytes.
//!
//! Parsing YAML costs a hundred times more than searching, and almost every document is none of
//! our business. A document without any of the words cannot hold a config or a policy of ours,
//! unless a spelling hides them: an escape in a double-quoted scalar (`"Network\x50olicy"`), or a
//! scalar in base64 (`!!binary`). Both are looked for as well, and the ways to hide the tag:
//! percent escapes and a handle of one's own. Anchors and other tags hide nothing: the word stands
//! in the same document.

use std::ops::Range;

use memchr::memmem::Finder;

use super::escapes::{self, Escaped};
use crate::vcluster::actors::{COMPANION_PREFIXES, POLICY_PREFIXES, SECRET_PREFIX};

/// The annotation that holds a config.
pub const ANNOTATION: &str = "vcluster-netpol/config";

/// The words that a document of ours has: the annotation, and what the names of the Secret and of
/// the policies begin with, which is `vc-` for all of them.
const WORDS: [&[u8]; 6] = [
    ANNOTATION.as_bytes(),
    SECRET_PREFIX.as_bytes(),
    POLICY_PREFIXES[0].as_bytes(),
    POLICY_PREFIXES[1].as_bytes(),
    COMPANION_PREFIXES[0].as_bytes(),
    COMPANION_PREFIXES[1].as_bytes(),
];

/// Longer than the longest word.
const WINDOW: usize = 32;

/// How many decoded bytes are gathered before they are searched.
const GATHERED: usize = 16 * 1024;

/// Longer than the longest tag that means base64, with every letter as a percent escape.
const LONGEST_TAG: usize = 128;

/// How far each search goes at least: small enough to stay in the processor's cache until the
/// others have gone over the same bytes.
const STRIDE: usize = 64 * 1024;

/// How many searches look for what makes a document matter.
const HITS: usize = 5;

/// Searches a stream from front to back, document by document.
#[derive(Debug)]
pub(super) struct Prefilter<'s> {
    stream: &'s [u8],
    vc: Finder<'static>,
    annotation: Finder<'static>,
    binary: Finder<'static>,
    percent: Finder<'static>,
    vcluster: Finder<'static>,
    escapes: EscapedWords,
    /// How far each search has gone, and what it found.
    searches: [(usize, Option<usize>); HITS + 1],
}

impl<'s> Prefilter<'s> {
    pub(super) fn new(stream: &'s [u8]) -> Self {
        Self {
            stream,
            vc: Finder::new(b"vc-"),
            annotation: Finder::new(ANNOTATION.as_bytes()),
            binary: Finder::new(b"binary"),
            percent: Finder::new(b"%"),
            vcluster: Finder::new(b"vcluster"),
            escapes: EscapedWords::default(),
            searches: [(0, None); HITS + 1],
        }
    }

    /// Whether a span, which must lie behind all spans asked for before, can matter.
    pub(super) fn hit(&mut self, span: &Range<usize>) -> bool {
        (0..HITS).any(|search| self.advance(search, span))
    }

    /// Whether a span, likewise, has the word that all objects of a virtual cluster have in a label.
    pub(super) fn mentions_vcluster(&mut self, span: &Range<usize>) -> bool {
        self.advance(HITS, span)
    }

    /// Takes one search to the end of a span, and says whether it found something in there.
    fn advance(&mut self, search: usize, span: &Range<usize>) -> bool {
        let Some(&(mut searched, mut found)) = self.searches.get(search) else {
            return false;
        };
        loop {
            if found.is_some_and(|at| at < span.start) {
                found = None;
            }
            if found.is_some() || searched >= span.end {
                break;
            }
            let from = searched.max(span.start);
            let to = (from + STRIDE).max(span.end).min(self.stream.len());
            found = self.search(search, from..to);
            searched = found.map_or(to, |at| at + 1);
        }
        if let Some(slot) = self.searches.get_mut(search) {
            *slot = (searched, found);
        }
        found.is_some_and(|at| at < span.end)
    }

    /// The first hit that begins in a range; it may end behind it.
    fn search(&mut self, search: usize, range: Range<usize>) -> Option<usize> {
        match search {
            0 => self.first(&self.vc, range, |at| {
                let rest = self.stream.get(at..).unwrap_or_default();
                WORDS.iter().any(|word| rest.starts_with(word))
            }),
            1 => self.first(&self.annotation, range, |_| true),
            2 => self.escapes.search(self.stream, &range),
            3 => self.first(&self.percent, range, |at| self.hides_tag(at)),
            HITS => self.first(&self.vcluster, range, |_| true),
            // A tag: `!!binary`, `!<tag:yaml.org,2002:binary>`.
            _ => self.first(&self.binary, range, |at| {
                let before = at.checked_sub(1).and_then(|i| self.stream.get(i));
                matches!(before, Some(b'!' | b':'))
            }),
        }
    }

    fn first(
        &self,
        finder: &Finder<'_>,
        range: Range<usize>,
        accept: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let behind = (range.end + finder.needle().len() - 1).min(self.stream.len());
        let text = self.stream.get(range.start..behind)?;
        finder
            .find_iter(text)
            .map(|i| range.start + i)
            .find(|at| accept(*at))
    }

    /// Whether a percent sign can hide the word `binary`: in a directive (`%TAG !b! …:bin`), or as
    /// an escape in a tag (`!!bin%61ry`).
    fn hides_tag(&self, at: usize) -> bool {
        let tail = self.stream.get(at + 1..).unwrap_or_default();
        if tail.starts_with(b"TAG") {
            return true;
        }
        let before = self
            .stream
            .get(at.saturating_sub(LONGEST_TAG)..at)
            .unwrap_or_default();
        let escape = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
        let tag = memchr::memrchr(b'!', before).and_then(|i| before.get(i..));
        tail.get(..2).is_some_and(escape)
            && tag.is_some_and(|tag| !tag.iter().any(u8::is_ascii_whitespace))
    }
}

/// The search for words that escapes hide. It goes over each byte once, however many escapes there
/// are, and goes on where it stopped.
#[derive(Debug)]
struct EscapedWords {
    /// What has been gone over without a gap.
    done: Range<usize>,
    /// The text around escapes, decoded; empty far from any escape.
    decoded: Vec<u8>,
    /// Where in the stream the escape is that a decoded byte comes from; `None` for bytes that are
    /// there as they are.
    origins: Vec<Option<usize>>,
    /// How many bytes there are as they are behind the last escape.
    plain: usize,
    vc: Finder<'static>,
    annotation: Finder<'static>,
}

impl Default for EscapedWords {
    fn default() -> Self {
        Self {
            done: 0..0,
            decoded: Vec::new(),
            origins: Vec::new(),
            plain: 0,
            vc: Finder::new(b"vc-"),
            annotation: Finder::new(ANNOTATION.as_bytes()),
        }
    }
}

impl EscapedWords {
    /// The first escape in a range that hides one of the words. The words that end in the range are
    /// found.
    fn search(&mut self, stream: &[u8], range: &Range<usize>) -> Option<usize> {
        if range.start < self.done.start || range.start > self.done.end {
            self.done = range.start..range.start;
            self.forget();
        }
        while self.done.end < range.end {
            if self.decoded.is_empty() {
                self.skip(stream, range.end);
                continue;
            }
            self.step(stream);
            if self.plain >= WINDOW {
                let found = self.find();
                self.forget();
                if found.is_some() {
                    return found;
                }
            } else if self.decoded.len() >= GATHERED {
                let found = self.find();
                if found.is_some() {
                    return found;
                }
            }
        }
        self.find()
    }

    /// Goes to the next escape, and takes up the bytes before it.
    fn skip(&mut self, stream: &[u8], end: usize) {
        let rest = stream.get(self.done.end..end).unwrap_or_default();
        let Some(next) = memchr::memchr(b'\\', rest) else {
            self.done.end = end;
            return;
        };
        self.done.end += next;
        let before = self.done.end.saturating_sub(WINDOW);
        self.decoded
            .extend_from_slice(stream.get(before..self.done.end).unwrap_or_default());
        self.origins.resize(self.decoded.len(), None);
        self.plain = 0;
        self.step(stream);
    }

    /// Takes up one byte, or one escape.
    fn step(&mut self, stream: &[u8]) {
        let at = self.done.end;
        let rest = stream.get(at..).unwrap_or_default();
        match escapes::read(rest) {
            Some((Escaped::Char(c), length)) => {
                self.decoded
                    .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                self.origins.resize(self.decoded.len(), Some(at));
                self.plain = 0;
                self.done.end += length;
            }
            Some((Escaped::Nothing, length)) => {
                // What stands before and behind it meets: the byte before stands for it.
                if let Some(origin) = self.origins.last_mut() {
                    *origin = Some(at);
                }
                self.plain = 0;
                self.done.end += length;
            }
            None => {
                self.decoded.extend(rest.first());
                self.origins.resize(self.decoded.len(), None);
                self.plain += 1;
                self.done.end += 1;
            }
        }
    }

    /// The first escape of a word among the decoded bytes, of which only as many stay as a word can
    /// begin with.
    fn find(&mut self) -> Option<usize> {
        let decoded = &self.decoded;
        let words = self.vc.find_iter(decoded).filter_map(|at| {
            let rest = decoded.get(at..)?;
            let word = WORDS.iter().find(|word| rest.starts_with(word))?;
            Some(at..at + word.len())
        });
        let annotations = self.annotation.find_iter(decoded);
        let annotations = annotations.map(|at| at..at + ANNOTATION.len());
        let escape = |word: Range<usize>| self.origins.get(word)?.iter().find_map(|o| *o);
        let found = words.chain(annotations).find_map(escape);
        if found.is_some() {
            self.forget();
        } else {
            let gone = self.decoded.len().saturating_sub(WINDOW);
            self.decoded.drain(..gone);
            self.origins.drain(..gone);
        }
        found
    }

    fn forget(&mut self) {
        self.decoded.clear();
        self.origins.clear();
        self.plain = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(stream: &str) -> bool {
        Prefilter::new(stream.as_bytes()).hit(&(0..stream.len()))
    }

    #[test]
    fn words_are_found_in_any_spelling() {
        for text in [
            "name: vc-work-a",
            "vcluster-netpol/config: x",
            "\"vcluster-netpol\\/config\": x",
            "name: \"vc\\x2dcp-a\"",
            "name: \"\\x76\\x63\\x2d\\x63\\x70\\x2d\\x61\"",
            "name: \"vc-\\u0077ork-a\"",
            "name: \"vc-\\\n    work-a\"",
            "name: !!binary dmMtd29yay1h",
            "name: !<tag:yaml.org,2002:binary> dmMtd29yay1h",
            "name: !!bin%61ry dmMtd29yay1h",
            "name: !<tag:yaml.org,2002:bi%6Eary> dmMtd29yay1h",
            "%TAG !b! tag:yaml.org,2002:bin\n---\nname: !b!ary dmMtd29yay1h",
            "name: \"vc-w\\\r\n   \\\n\\\n\to\\u0072\\\u{85}  k-a\"",
        ] {
            assert!(hits(text), "{text}");
        }
    }

    #[test]
    fn other_text_is_passed_over() {
        for text in [
            "name: vc-workload-a",
            "kind: NetworkPolicy\nname: other",
            "binaryData: {}",
            "x: \"\\u003cscript\\u003e\"",
            "run: |\n  a \\\n  b",
            "x: 100%20y! %41",
        ] {
            assert!(!hits(text), "{text}");
        }
    }

    #[test]
    fn a_word_may_have_any_number_of_escaped_line_breaks_and_be_anywhere() {
        for before in [0, 1, STRIDE - 40, STRIDE - 3, GATHERED - 5, 3 * STRIDE + 7] {
            for (text, gap) in [("a", "\\\n   ".repeat(200)), ("\\x41", String::new())] {
                let lead = text.repeat(before.div_ceil(text.len()));
                let stream =
                    format!("a: 1\n---\nn: \"{lead} v{gap}c\\x2d{gap}work-a\"\n---\nb: 1\n");
                let mut needles = Prefilter::new(stream.as_bytes());
                let end = stream.len() - 9;
                assert!(!needles.hit(&(0..5)));
                assert!(needles.hit(&(5..end)), "{before}");
                assert!(!needles.hit(&(end..stream.len())));
            }
        }
    }

    #[test]
    fn spans_are_searched_in_order() {
        let stream = "a: vc-work-x\n---\nb: 1\n---\nc: vc-cp-x\n";
        let mut needles = Prefilter::new(stream.as_bytes());
        assert!(needles.hit(&(0..13)));
        assert!(!needles.hit(&(13..22)));
        assert!(needles.hit(&(22..stream.len())));
    }
}
