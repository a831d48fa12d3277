//! Diagnostics for people, as compilers print them: the line that is meant, and a mark below it.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::Report;
use crate::cli::pipe;
use manifest::diagnostic::{Diagnostic, Diagnostics, Position, Severity};
use manifest::escape;

/// The longest line that is shown.
const MAX_LINE: usize = 400;

/// A text that may be quoted, at least in part.
#[derive(Debug)]
pub(in crate::cli) struct Source<'t> {
    /// The file, as problems name it; `None` for standard input.
    pub(in crate::cli) file: Option<String>,
    /// The bytes.
    pub(in crate::cli) text: &'t [u8],
    /// The parts that may be shown, in the order of the text.
    pub(in crate::cli) quotable: Vec<Range<usize>>,
}

/// Prints a report on standard error: its diagnostics, and the line that sums up.
pub(super) fn log_report(report: &Report<'_>) -> io::Result<()> {
    let mut out = anstream::stderr().lock();
    write_all(&mut out, report.diagnostics(), &report.sources)?;
    writeln!(out, "{}", escape::terminal(&report.summary))?;
    out.flush()
}

/// Prints diagnostics on standard error. That nobody reads them is no error.
pub(in crate::cli) fn log_diagnostics(
    diagnostics: &Diagnostics,
    sources: &[Source<'_>],
) -> io::Result<()> {
    // It takes the colours out where --color, the environment or the terminal asks for that.
    let mut out = anstream::stderr().lock();
    let written = write_all(&mut out, diagnostics.iter(), sources).and_then(|()| out.flush());
    pipe::until_enough(written)
}

fn write_all<'d>(
    out: &mut impl io::Write,
    diagnostics: impl Iterator<Item = &'d Diagnostic>,
    sources: &[Source<'_>],
) -> io::Result<()> {
    let texts = sources.iter().map(|s| (s.file.as_deref(), Lines::of(s)));
    let texts: Texts<'_> = texts.collect();
    for diagnostic in diagnostics {
        writeln!(out, "{}\n", like_a_compiler(diagnostic, &texts))?;
    }
    Ok(())
}

/// The texts by their files; standard input has none.
type Texts<'s> = HashMap<Option<&'s str>, Lines<'s>>;

/// A text, and where each of its lines begins.
struct Lines<'s> {
    source: &'s Source<'s>,
    /// Computed when the first diagnostic of the text is shown.
    starts: OnceCell<Vec<usize>>,
}

impl<'s> Lines<'s> {
    fn of(source: &'s Source<'s>) -> Self {
        Self {
            source,
            starts: OnceCell::new(),
        }
    }

    /// A line, counted from 0, with its line break, and where it begins.
    fn get(&self, line: usize) -> Option<(usize, &'s [u8])> {
        let starts = self.starts.get_or_init(|| {
            let breaks = memchr::memchr_iter(b'\n', self.source.text);
            std::iter::once(0).chain(breaks.map(|at| at + 1)).collect()
        });
        let start = *starts.get(line)?;
        let next = starts.get(line + 1).copied();
        let end = next.unwrap_or(self.source.text.len());
        Some((start, self.source.text.get(start..end)?))
    }

    /// The range of a byte that may be shown. The ranges are in the order of the text.
    fn quotable(&self, at: usize) -> Option<&'s Range<usize>> {
        let quotable = &self.source.quotable;
        let behind = quotable.partition_point(|range| range.start <= at);
        let last = behind.checked_sub(1).and_then(|i| quotable.get(i));
        last.filter(|range| at < range.end)
    }
}

fn like_a_compiler(problem: &Diagnostic, texts: &Texts<'_>) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(escape::terminal(&super::message(problem)).into_owned());
    let title = match problem.code {
        Some(code) => title.id(code),
        None => title,
    };
    let place = &problem.place;
    let line = place
        .position
        .and_then(|position| Some((position, quoted_line(problem, position, texts)?)));
    let name = escape::terminal(place.file.as_deref().unwrap_or("<stdin>"));
    let mut group = match &line {
        Some((position, text)) => {
            let (text, span) = escaped_line(text, token(text, *position));
            title.element(
                Snippet::source(text)
                    .line_start(position.line)
                    .path(name)
                    .annotation(AnnotationKind::Primary.span(span)),
            )
        }
        None => Group::with_title(title).element(Origin::path(place.to_string())),
    };
    if line.is_some() {
        let about = super::without_point(place).to_string();
        if !about.is_empty() {
            group = group.element(Level::NOTE.message(format!("in {about}")));
        }
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(escape::terminal(help).into_owned()));
    }
    if let Some(suggestion) = problem.addition() {
        group = group.element(Level::HELP.message(suggestion.to_string()));
    }
    Renderer::styled()
        .decor_style(DecorStyle::Ascii)
        .render(&[group])
}

/// The line of a problem, if its text is at hand and may be shown.
fn quoted_line(problem: &Diagnostic, position: Position, texts: &Texts<'_>) -> Option<String> {
    // Positions inside a part of an object are not those of the stream.
    if problem.place.part.is_some() {
        return None;
    }
    let lines = texts.get(&problem.place.file.as_deref())?;
    let (start, line) = lines.get(position.line.checked_sub(1)?)?;
    let range = lines.quotable(start)?;
    // Behind the policy, other objects may stand in the same line.
    let line = line.get(..range.end - start).unwrap_or(line);
    let line = std::str::from_utf8(line).ok()?;
    let line = line.strip_prefix('\u{feff}').unwrap_or(line).trim_end();
    (line.len() <= MAX_LINE).then(|| line.to_owned())
}

/// A line as it may be shown, and the same part of it. Tabs stay: the renderer sets them.
fn escaped_line(line: &str, span: Range<usize>) -> (String, Range<usize>) {
    let shown = |range: Range<usize>| -> String {
        let part = line.get(range).unwrap_or_default();
        let columns: Vec<_> = part.split('\t').map(escape::terminal).collect();
        columns.join("\t")
    };
    let (before, word) = (shown(0..span.start), shown(span.clone()));
    let span_shown = before.len()..before.len() + word.len();
    let text = [before, word, shown(span.end..line.len())].concat();
    (text, span_shown)
}

/// The bytes of the word at a position of a line.
fn token(line: &str, position: Position) -> Range<usize> {
    let start = line
        .char_indices()
        .nth(position.column.saturating_sub(1))
        .map_or(line.len(), |(i, _)| i);
    let rest = line.get(start..).unwrap_or_default();
    let mut chars = rest.chars();
    let length = match chars.next() {
        Some(quote @ ('"' | '\'')) => chars.as_str().find(quote).map_or(rest.len(), |end| end + 2),
        Some('{' | '[') => 1,
        _ => rest
            .find([',', ' ', '}', ']', '#', '\t'])
            .filter(|end| *end > 0)
            .map_or(rest.len(), |end| end),
    };
    let word = rest.get(..length).unwrap_or(rest);
    let word = word.strip_suffix(':').unwrap_or(word);
    start..start + word.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::diagnostic::Location;

    #[test]
    fn the_word_at_a_position_is_marked() {
        for (line, column, word) in [
            ("  cidr: 10.0.0.1/8  # x", 9, "10.0.0.1/8"),
            ("  polcyTypes: []", 3, "polcyTypes"),
            ("a: {b: \"x y\", c: 1}", 8, "\"x y\""),
            ("- {}", 3, "{"),
            ("a", 9, ""),
            ("é: ü", 4, "ü"),
        ] {
            let range = token(line, Position { line: 1, column });
            assert_eq!(&line[range], word);
        }
    }

    #[test]
    fn a_quoted_line_shows_what_it_holds() {
        let line = "a: \u{1b}[31m\tb\u{202e}c # ##[error]";
        let (text, span) = escaped_line(
            line,
            token(
                line,
                Position {
                    line: 1,
                    column: 10,
                },
            ),
        );
        assert_eq!(text, "a: \\x1b[31m\tb\\u{202e}c # #\\x23[error]");
        assert_eq!(&text[span], "b\\u{202e}c");
    }

    #[test]
    fn only_what_may_be_shown_is_shown() {
        let text = b"a: secret\nb: open\n";
        let second_line = 10..18;
        let source = Source {
            file: None,
            text,
            quotable: vec![second_line],
        };
        let problem = |line| {
            Diagnostic::error("wrong")
                .at(Location::default().at("x", Some(Position { line, column: 4 })))
        };
        let texts = |source| Texts::from([(None, Lines::of(source))]);
        let show = |line| like_a_compiler(&problem(line), &texts(&source));
        assert!(show(2).contains("b: open"));
        assert!(!show(1).contains("secret"));
        let first_half = 10..14;
        let source = Source {
            file: None,
            text,
            quotable: vec![first_half],
        };
        let shown = like_a_compiler(&problem(2), &texts(&source));
        assert!(shown.contains("b: o") && !shown.contains("open"), "{shown}");
    }
}
