//! What Go's YAML library reads and our parser does not, rewritten byte for byte.
//!
//! Helm and kubectl end lines at NEL, LS and PS too, begin a comment right behind a comma, and take
//! a tab before the next item of a flow collection. Each is replaced by as many bytes that mean the
//! same, so that all places in the text stay what they are.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, StructureStyle};

/// How many comments and tabs of one document are rewritten.
const MAX_REPAIRS: usize = 100;

/// How many bytes are parsed again for that, all in all: each one takes a parse of the text.
const MAX_REPAIRED_BYTES: usize = 64 * 1024 * 1024;

/// The line breaks that only YAML 1.1 has.
const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Whether a text may have line breaks that only YAML 1.1 has.
fn has_breaks(text: &str) -> bool {
    // All three begin with a rare byte, or with one that is rare outside of punctuation.
    memchr::memchr2(0xc2, 0xe2, text.as_bytes()).is_some() && text.contains(BREAKS)
}

/// Whether a text that the parser reads may mean something else to Go's library.
pub(super) fn is_needed(text: &str) -> bool {
    has_breaks(text) || glued_question_marks(text).next().is_some()
}

/// The text as the parser can read it; `None` where nothing helps.
pub(super) fn repaired(text: &str) -> Option<String> {
    let text = if has_breaks(text) {
        with_plain_breaks(text)
    } else {
        text.to_owned()
    };
    let text = without_obstacles(text)?;
    if glued_question_marks(&text).next().is_none() {
        return Some(text);
    }
    without_question_marks(text)
}

/// The places of `?` at the start of a word, with no blank behind it.
fn glued_question_marks(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'?', bytes).filter(|at| {
        let before = at.checked_sub(1).and_then(|i| bytes.get(i));
        let behind = bytes.get(at + 1);
        before.is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'{' | b'[' | b','))
            && behind.is_some_and(|b| !b.is_ascii_whitespace())
    })
}

/// In a flow collection the mark begins a key even where no blank follows: `{?a: b}`.
fn without_question_marks(text: String) -> Option<String> {
    let mut places = Vec::new();
    let mut flows = Vec::new();
    for event in Parser::new_from_str_with_options(&text, super::options()) {
        let (event, span) = event.ok()?;
        match event {
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                flows.push(style == StructureStyle::Flow);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                flows.pop();
            }
            Event::Scalar(value, ScalarStyle::Plain, ..)
                if value.starts_with('?') && flows.last() == Some(&true) =>
            {
                places.push(span.byte_range()?.start);
            }
            _ => {}
        }
    }
    let mut text = text;
    for at in places {
        text.replace_range(at..=at, " ");
    }
    Some(text)
}

/// The value of a scalar whose text has breaks that [`repaired`] made plain ones.
///
/// NEL is a line break like any other; LS and PS stay as they are where others are folded (YAML
/// 1.1, section 4.1.4).
pub(super) fn value<'v>(
    value: Cow<'v, str>,
    raw: &str,
    style: ScalarStyle,
    indentation: usize,
) -> Cow<'v, str> {
    if !raw.contains(BREAKS) {
        return value;
    }
    let quoted = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    match style {
        ScalarStyle::Plain => Cow::Owned(folded(raw)),
        ScalarStyle::SingleQuoted => Cow::Owned(folded(quoted).replace("''", "'")),
        ScalarStyle::DoubleQuoted if !quoted.contains('\\') => Cow::Owned(folded(quoted)),
        ScalarStyle::Literal => {
            let end = value.len() - value.trim_end_matches('\n').len();
            let lines = literal(raw.trim_end(), indentation);
            Cow::Owned(lines + &"\n".repeat(end))
        }
        ScalarStyle::DoubleQuoted | ScalarStyle::Folded => value,
    }
}

/// The lines of a text with the break behind each; only the last has none.
fn lines(text: &str) -> Vec<(&str, Option<char>)> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c| matches!(c, '\r' | '\n') || BREAKS.contains(&c)) {
        let (line, behind) = rest.split_at(at);
        let mark = behind.chars().next();
        let end = if behind.starts_with("\r\n") {
            2
        } else {
            mark.map_or(1, char::len_utf8)
        };
        let kept = mark.filter(|c| matches!(c, '\u{2028}' | '\u{2029}'));
        lines.push((line, kept.or(Some('\n'))));
        rest = behind.get(end..).unwrap_or_default();
    }
    lines.push((rest, None));
    lines
}

/// A plain or quoted text without escapes, its lines put together.
fn folded(text: &str) -> String {
    let lines = lines(text);
    let last = lines.len() - 1;
    let mut value = String::with_capacity(text.len());
    // The breaks since the last text.
    let mut breaks = String::new();
    for (i, (line, mark)) in lines.into_iter().enumerate() {
        let mut line = line;
        if i > 0 {
            line = line.trim_start_matches([' ', '\t']);
        }
        if i < last {
            line = line.trim_end_matches([' ', '\t']);
        }
        if !line.is_empty() || i == last {
            match breaks.strip_prefix('\n') {
                Some("") => value.push(' '),
                Some(more) => value.push_str(more),
                None => value.push_str(&breaks),
            }
            breaks.clear();
        }
        value.push_str(line);
        breaks.extend(mark);
    }
    value
}

/// The lines of a literal block scalar without their indentation.
fn literal(text: &str, indentation: usize) -> String {
    let mut value = String::with_capacity(text.len());
    for (i, (line, mark)) in lines(text).into_iter().enumerate() {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        let skip = if i == 0 { 0 } else { blanks.min(indentation) };
        value.push_str(line.get(skip..).unwrap_or_default());
        value.extend(mark);
    }
    value
}

/// Every break of YAML 1.1 as blanks and a line feed.
fn with_plain_breaks(text: &str) -> String {
    text.replace('\u{85}', " \n")
        .replace(['\u{2028}', '\u{2029}'], "  \n")
}

/// Takes away what stops the parser, one thing after another.
fn without_obstacles(mut text: String) -> Option<String> {
    let mut tabs = Vec::new();
    let most = MAX_REPAIRED_BYTES / text.len().max(1);
    for _ in 0..most.clamp(1, MAX_REPAIRS) {
        let Some((kind, at)) = first_error(&text) else {
            return Some(text).filter(|text| are_in_flows(text, &tabs));
        };
        let rest = text.get(at?..)?;
        let range = match kind {
            ErrorKind::CommentNotSeparated => {
                let start = at? + rest.find('#')?;
                let line = text.get(start..)?.find(['\n', '\r']);
                start..line.map_or(text.len(), |i| start + i)
            }
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInBlockIndentation => {
                let before = text.get(..at?)?.trim_end_matches([' ', '\t']);
                let behind = rest.trim_start_matches([' ', '\t']);
                tabs.push(before.len());
                before.len()..text.len() - behind.len()
            }
            _ => return None,
        };
        if range.is_empty() {
            return None;
        }
        let blanks = " ".repeat(range.len());
        text.replace_range(range, &blanks);
    }
    None
}

/// Whether all the places lie in flow collections: elsewhere a tab is no indentation.
fn are_in_flows(text: &str, places: &[usize]) -> bool {
    if places.is_empty() {
        return true;
    }
    let mut flows = Vec::new();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (event, span) in Parser::new_from_str_with_options(text, super::options()).flatten() {
        let at = span.byte_range().unwrap_or_default();
        match event {
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                flows.push((style == StructureStyle::Flow, at.start));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((true, start)) = flows.pop() {
                    ranges.push(start..at.end);
                }
            }
            _ => {}
        }
    }
    places
        .iter()
        .all(|place| ranges.iter().any(|range| range.contains(place)))
}

fn first_error(text: &str) -> Option<(ErrorKind, Option<usize>)> {
    Parser::new_from_str_with_options(text, super::options())
        .find_map(Result::err)
        .map(|error| (error.kind().clone(), error.marker().byte_offset()))
}

#[cfg(test)]
mod tests {
    use crate::yaml::Tree;

    fn json(text: &str) -> String {
        let tree = Tree::parse(text).unwrap();
        tree.root().unwrap().to_json().to_string()
    }

    #[test]
    fn line_breaks_of_yaml_1_1_end_lines_between_nodes_too() {
        for mark in ["\u{85}", "\u{2028}", "\u{2029}"] {
            let text = "a:Nb: cN# dNe:N- fN- {g: h,N  i: j}N".replace('N', mark);
            let expected = r#"{"a":null,"b":"c","e":["f",{"g":"h","i":"j"}]}"#;
            assert_eq!(json(&text), expected);
            let tree = Tree::parse(&text).unwrap();
            let b = tree.root().unwrap().get("b").unwrap();
            assert_eq!(&text[b.span()], "c");
        }
    }

    #[test]
    fn line_breaks_of_yaml_1_1_in_scalars() {
        for (text, value) in [
            ("a: b\u{85}  c", r#""b c""#),
            ("a: b\u{85}\u{85}  c", r#""b\nc""#),
            ("a: b\u{2028}  c", r#""b\u2028c""#),
            ("a: b\n\u{2028}  c", r#""b\u2028c""#),
            ("a: 'b \u{85} it''s'", r#""b it's""#),
            ("a: \"b\u{2028}  \"", r#""b\u2028""#),
            ("a: \"b\\x41\u{85}  c\"", r#""bA c""#),
            ("a: |\u{85}  b\u{85}  c\u{85}", r#""b\nc\n""#),
            ("a: |-\n  b\u{2028}   c\n", r#""b\u2028 c""#),
        ] {
            let expected = format!("{{\"a\":{value}}}").replace("\\u2028", "\u{2028}");
            assert_eq!(json(text), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_tabs_and_keys_that_only_go_reads() {
        assert_eq!(json("{a: b,# c\n d: e# f\n}"), r#"{"a":"b","d":"e# f"}"#);
        assert_eq!(json("{a: \"b\"# c\n}"), r#"{"a":"b"}"#);
        assert_eq!(json("a: [b,\n\tc,\n\t\td]"), r#"{"a":["b","c","d"]}"#);
        assert_eq!(json("{?a: b, c: d}"), r#"{"a":"b","c":"d"}"#);
        assert_eq!(json("a: ?b\n?c: d"), r#"{"?c":"d","a":"?b"}"#);
        assert!(Tree::parse("a:\n\tb: c\n").is_err());
    }

    #[test]
    fn a_great_many_obstacles_come_to_an_end() {
        let text = format!("[{}]", "1,#\n".repeat(20_000));
        assert!(Tree::parse(&text).is_err());
    }
}
