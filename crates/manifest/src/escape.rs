//! Text from outside, made fit for the place where it is shown.
//!
//! Names of objects, of files and of fields, comments and values come from charts and clusters, and
//! may hold anything: escape sequences that a terminal obeys, line breaks that begin a line of their
//! own, commands for the log of a CI system, marks that turn the direction of writing. Code that shows
//! such a text passes it through the function of the place. What is changed is written as Rust
//! writes it (`\n`, `\x1b`, `\u{202e}`), so the reader sees what is there. Names that a cluster
//! takes, and letters of any language, stay as they are.
//!
//! Each function may be applied to its own result and changes nothing then, except those for a
//! format ([`markdown`], [`markdown_code`], [`xml`], [`mermaid`], [`dot`]).

use std::borrow::Cow;
use std::fmt::Write as _;

/// A text as one line for a terminal, a log or a comment: without control characters, line breaks,
/// invisible characters, and commands for the logs of CI systems.
#[must_use]
pub fn terminal(text: &str) -> Cow<'_, str> {
    let suspicious = |b: u8| !(b' '..=b'~').contains(&b);
    if !text.bytes().any(suspicious) && !text.contains("::") && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        let is_command = match c {
            ':' => begins_command_at(text, at),
            '#' => ends_mark_at(text, at),
            _ => false,
        };
        if is_command || is_hidden(c) {
            push_escape(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Several lines, each as [`terminal`] has it. For text whose line breaks are meant.
#[must_use]
pub fn lines(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text
        .split('\n')
        .map(|line| terminal(line.strip_suffix('\r').unwrap_or(line)))
        .collect();
    lines.join("\n")
}

/// A text as Markdown that shows just this text: no markup, no HTML, no links, no table cells.
#[must_use]
pub fn markdown(text: &str) -> String {
    let text = terminal(text);
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let (before, rest) = text.split_at_checked(at).unwrap_or((&text, ""));
        // Bare addresses become links.
        let is_link = match c {
            ':' => rest.starts_with("://"),
            '.' => before.ends_with("www") || before.ends_with("WWW"),
            _ => false,
        };
        match c {
            '&' => escaped.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '#' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c if is_link => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text as code in Markdown, which may also stand in a table.
#[must_use]
pub fn markdown_code(text: &str) -> String {
    let text = terminal(text);
    if !text.is_empty() && !text.contains(['`', '|']) {
        return format!("`{text}`");
    }
    // No backtick can be escaped between backticks, and no pipe surely in a table.
    let mut code = String::from("<code>");
    for c in text.chars() {
        if c.is_alphanumeric() || c == ' ' {
            code.push(c);
        } else {
            let _ = write!(code, "&#{};", u32::from(c));
        }
    }
    code.push_str("</code>");
    code
}

/// A text between the tags of XML (SVG, JUnit), or in an attribute in double quotes.
#[must_use]
pub fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in lines(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text as the message of a command in the log of a GitHub workflow. Line breaks stay.
#[must_use]
pub fn github_message(text: &str) -> String {
    let text = lines(text).replace('%', "%25");
    text.replace('\n', "%0A")
}

/// A text as a property (a file, a title) of a command in the log of a GitHub workflow.
#[must_use]
pub fn github_property(text: &str) -> String {
    let text = terminal(text).replace('%', "%25");
    text.replace(':', "%3A").replace(',', "%2C")
}

/// The path of a file as a URI: relative as it is, absolute with the scheme `file`.
#[must_use]
pub fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

/// A text between the double quotes of a Mermaid label.
#[must_use]
pub fn mermaid(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in terminal(text).chars() {
        match c {
            '"' => escaped.push_str("#quot;"),
            '#' => escaped.push_str("#35;"),
            '<' => escaped.push_str("#lt;"),
            '>' => escaped.push_str("#gt;"),
            '&' => escaped.push_str("#amp;"),
            '`' => escaped.push_str("#96;"),
            // Mermaid takes `\n` for a line break.
            '\\' => escaped.push_str("#92;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text in a comment of Mermaid, where braces may begin a directive.
#[must_use]
pub fn mermaid_comment(text: &str) -> String {
    terminal(text).replace(['{', '}'], " ")
}

/// A text between the double quotes of a DOT label.
#[must_use]
pub fn dot(text: &str) -> String {
    terminal(text)
        .replace('&', "&amp;")
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
}

/// A cell of CSV (RFC 4180), in one line.
#[must_use]
pub fn csv(text: &str) -> String {
    let text = terminal(text);
    if text.contains(['"', ',']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into_owned()
    }
}

/// A JSON text with every hidden character, and the commands of CI systems, as `\u....`: JSON itself
/// allows most of them in strings. So it is also one that YAML reads alike, and a terminal shows.
#[must_use]
pub fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut units = [0; 2];
    for (at, c) in text.char_indices() {
        let is_command = c == '#' && ends_mark_at(text, at);
        // Between its strings, JSON has no other control characters than line breaks.
        if is_command || (is_hidden(c) && c != '\n') {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether a character acts instead of being seen, or can't be told from others: control
/// characters, line breaks, blanks other than the space, marks of direction, characters of no
/// width.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || (!c.is_ascii() && c.is_whitespace())
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}')
}

fn push_escape(shown: &mut String, c: char) {
    let code = u32::from(c);
    let _ = match c {
        '\n' => shown.write_str("\\n"),
        '\r' => shown.write_str("\\r"),
        '\t' => shown.write_str("\\t"),
        _ if code <= 0xff => write!(shown, "\\x{code:02x}"),
        _ => write!(shown, "\\u{{{code:x}}}"),
    };
}

/// Whether the colon at this place begins a command for the log of GitHub, `::name ...::`. An IPv6
/// address begins alike.
fn begins_command_at(text: &str, at: usize) -> bool {
    let Some(rest) = text.get(at..).and_then(|rest| rest.strip_prefix("::")) else {
        return false;
    };
    let is_part = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '_');
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let (name, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if name.is_empty() {
        return false;
    }
    let is_group = name.len() <= 4 && name.bytes().all(|b| b.is_ascii_hexdigit());
    tail.starts_with("::")
        || (!is_group && tail.starts_with(char::is_whitespace) && tail.contains("::"))
}

/// Whether the hash at this place is the second one of a command for the log of GitHub or Azure,
/// `##[name]` or `##vso[name]`.
fn ends_mark_at(text: &str, at: usize) -> bool {
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let name = rest.trim_start_matches('#');
    before.ends_with('#')
        && rest.len() == name.len() + 1
        && name
            .trim_start_matches(|c: char| c.is_ascii_alphabetic())
            .starts_with('[')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_names_stay() {
        for text in [
            "team-a/vc-work-my-vc",
            "vcluster.loft.sh/managed-by=a",
            "größe, 東京, Ωμέγα, 😀",
            r"C:\values.yaml",
            "::/0 and ::1, ::ffff:10.0.0.0/104 on every port; fd00::/8",
            "::ffff on 80/TCP, ::1",
            "std::env",
            "# Source: vcluster/templates/a.yaml",
            "a ## b",
        ] {
            assert_eq!(terminal(text), text);
            assert_eq!(lines(text), text);
        }
    }

    #[test]
    fn what_acts_is_written_out() {
        for (text, shown) in [
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[31mred", r"\x1b[31mred"),
            ("\u{7f}\u{85}\u{9b}", r"\x7f\x85\x9b"),
            (
                "\u{202e}a\u{2066}\u{200b}\u{feff}",
                r"\u{202e}a\u{2066}\u{200b}\u{feff}",
            ),
            ("\u{2028}\u{a0}\u{3000}", r"\u{2028}\xa0\u{3000}"),
            ("::error::x", r"\x3a:error::x"),
            ("::error file=a,line=1::x", r"\x3a:error file=a,line=1::x"),
            (
                "a ::add-mask::b::debug::c",
                r"a \x3a:add-mask\x3a:b\x3a:debug::c",
            ),
            (":::group::", r":\x3a:group::"),
            ("##[error]x", r"#\x23[error]x"),
            ("###vso[task.x]", r"##\x23vso[task.x]"),
        ] {
            assert_eq!(terminal(text), shown, "{text:?}");
            assert_eq!(terminal(shown), shown);
        }
        assert_eq!(lines("a\r\nb\u{1b}\n"), "a\nb\\x1b\n");
    }

    #[test]
    fn every_format_shows_the_text_and_nothing_else() {
        assert_eq!(
            markdown("<b>*a*|[x](http://e)\n&lt; www.e"),
            r"\<b\>\*a\*\|\[x\](http\://e)\\n&amp;lt; www\.e"
        );
        assert_eq!(markdown_code("a=b"), "`a=b`");
        assert_eq!(markdown_code("a`|<"), "<code>a&#96;&#124;&#60;</code>");
        assert_eq!(
            xml("<a b=\"&\">\u{1}"),
            "&lt;a b=&quot;&amp;&quot;&gt;\\x01"
        );
        assert_eq!(mermaid("\"#a\n\"&lt;"), "#quot;#35;a#92;n#quot;#amp;lt;");
        assert_eq!(mermaid_comment("%%{init}\n"), "%% init \\n");
        assert_eq!(dot("a\"\n&lt;"), "a\\\"\\\\n&amp;lt;");
        assert_eq!(
            json("{\"a\":\n\"\u{85}\u{e0001}\"}"),
            "{\"a\":\n\"\\u0085\\udb40\\udc01\"}"
        );
    }

    proptest! {
        #[test]
        fn one_line_stays_one_line_without_a_trace_of_control(
            text in r"(.|\n|\x1b|:|::error::|##\[|\u{202e}){0,20}"
        ) {
            let shown = terminal(&text).into_owned();
            prop_assert!(!shown.contains(is_hidden), "{:?}", shown);
            prop_assert!(!shown.contains("##["), "{:?}", shown);
            prop_assert_eq!(terminal(&shown).into_owned(), shown.clone());
            for format in [markdown(&text), markdown_code(&text), mermaid(&text), dot(&text)] {
                prop_assert!(!format.contains(is_hidden), "{:?}", format);
            }
            let value = serde_json::Value::from(text);
            let read: serde_json::Value =
                serde_json::from_str(&json(&value.to_string())).unwrap();
            prop_assert_eq!(read, value);
        }
    }
}
