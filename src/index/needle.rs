//! Which documents can matter at all: a search for a few words over the raw bytes.
//!
//! Parsing YAML costs a hundred times more than searching, and almost every document is none of
//! our business. A document without any of the words cannot hold a config or a policy of ours,
//! unless a spelling hides them: an escape in a double-quoted scalar (`"Network\x50olicy"`), or a
//! scalar in base64 (`!!binary`). Both are looked for as well. Anchors and other tags hide
//! nothing: the word stands in the same document.

use std::ops::Range;

use memchr::memmem::Finder;

/// The annotation that holds a config.
pub const ANNOTATION: &str = "vcluster-netpol/config";

/// The words that a document of ours has: the annotation, and the `vc-` of the Secret
/// (`vc-config-NAME`) and of the policies (`vc-work-NAME`, `vc-cp-NAME`).
const WORDS: [&[u8]; 6] = [
    ANNOTATION.as_bytes(),
    b"vc-config-",
    b"vc-work-",
    b"vc-cp-",
    b"vc-kube-dns-",
    b"vc-snapshot-",
];

/// Longer than the longest word.
const WINDOW: usize = 32;

/// How many steps an escaped word may take: each letter, and line breaks between them.
const MAX_STEPS: usize = 64;

/// How far each search goes at least: small enough to stay in the processor's cache until the
/// others have gone over the same bytes.
const STRIDE: usize = 64 * 1024;

/// Searches a stream from front to back, document by document.
#[derive(Debug)]
pub(super) struct Needles<'s> {
    stream: &'s [u8],
    vc: Finder<'static>,
    annotation: Finder<'static>,
    binary: Finder<'static>,
    /// How far each search has gone, and what it found.
    searches: [(usize, Option<usize>); 4],
}

impl<'s> Needles<'s> {
    pub(super) fn new(stream: &'s [u8]) -> Self {
        Self {
            stream,
            vc: Finder::new(b"vc-"),
            annotation: Finder::new(ANNOTATION.as_bytes()),
            binary: Finder::new(b"binary"),
            searches: [(0, None); 4],
        }
    }

    /// Whether a span, which must lie behind all spans asked for before, can matter.
    pub(super) fn hit(&mut self, span: &Range<usize>) -> bool {
        (0..self.searches.len()).any(|search| self.advance(search, span))
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
    fn search(&self, search: usize, range: Range<usize>) -> Option<usize> {
        match search {
            0 => self.first(&self.vc, range, |at| {
                let rest = self.stream.get(at..).unwrap_or_default();
                WORDS.iter().any(|word| rest.starts_with(word))
            }),
            1 => self.first(&self.annotation, range, |_| true),
            2 => self.first_escape(range),
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

    /// The first escape that hides one of the words.
    fn first_escape(&self, range: Range<usize>) -> Option<usize> {
        let text = self.stream.get(range.clone())?;
        memchr::memchr_iter(b'\\', text)
            .map(|i| range.start + i)
            .find(|&at| {
                let hides = matches!(
                    self.stream.get(at + 1),
                    Some(b'x' | b'u' | b'U' | b'/' | b'\n' | b'\r')
                );
                hides && self.hides_word(at)
            })
    }

    /// Whether one of the words appears around an escape once escapes are decoded.
    fn hides_word(&self, at: usize) -> bool {
        let before = self
            .stream
            .get(at.saturating_sub(WINDOW)..at)
            .unwrap_or_default();
        let mut decoded = before.to_vec();
        let mut rest = self.stream.get(at..).unwrap_or_default();
        for _ in 0..MAX_STEPS {
            if decoded.len() >= before.len() + WINDOW {
                break;
            }
            let Some((&first, tail)) = rest.split_first() else {
                break;
            };
            if first != b'\\' {
                decoded.push(first);
                rest = tail;
                continue;
            }
            let hex = |n: usize| {
                let digits = tail.get(1..=n)?;
                let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                Some((char::from_u32(code)?, tail.get(1 + n..).unwrap_or_default()))
            };
            let (c, next) = match tail.first() {
                Some(b'x') => hex(2),
                Some(b'u') => hex(4),
                Some(b'U') => hex(8),
                Some(b'/') => Some(('/', tail.get(1..).unwrap_or_default())),
                // An escaped line break takes the indentation that follows with it.
                Some(b'\r' | b'\n') => {
                    rest = tail.trim_ascii_start();
                    continue;
                }
                _ => None,
            }
            .unwrap_or(('\\', tail.get(1..).unwrap_or_default()));
            decoded.extend(c.to_string().bytes());
            rest = next;
        }
        WORDS
            .iter()
            .any(|word| memchr::memmem::find(&decoded, word).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(stream: &str) -> bool {
        Needles::new(stream.as_bytes()).hit(&(0..stream.len()))
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
        ] {
            assert!(!hits(text), "{text}");
        }
    }

    #[test]
    fn spans_are_searched_in_order() {
        let stream = "a: vc-work-x\n---\nb: 1\n---\nc: vc-cp-x\n";
        let mut needles = Needles::new(stream.as_bytes());
        assert!(needles.hit(&(0..13)));
        assert!(!needles.hit(&(13..22)));
        assert!(needles.hit(&(22..stream.len())));
    }
}
