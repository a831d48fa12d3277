//! Tables of text, fitted to a width: columns shrink, cells wrap, nothing is cut off.
//!
//! Knows strings alone.

/// The gap between columns.
const GAP: usize = 2;

/// Lays a table out, headings first; rows that wrap stay readable because each cell wraps in its
/// column.
#[must_use]
pub fn table(headings: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|h| length(h)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.lines().map(length).max().unwrap_or(0));
        }
    }
    let gaps = GAP * widths.len().saturating_sub(1);
    let widths = fit(&widths, width.saturating_sub(gaps));
    let mut text = String::new();
    let headings: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
    push_row(&mut text, &headings, &widths);
    let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    push_row(&mut text, &rule, &widths);
    for row in rows {
        push_row(&mut text, row, &widths);
    }
    text
}

/// The widest columns shrink to one measure, until all fit.
fn fit(natural: &[usize], room: usize) -> Vec<usize> {
    let total = |cap: usize| natural.iter().map(|w| (*w).min(cap)).sum::<usize>();
    let widest = natural.iter().copied().max().unwrap_or(0);
    let cap = (1..=widest).rev().find(|cap| total(*cap) <= room);
    let cap = cap.unwrap_or(1).max(8);
    let mut widths: Vec<usize> = natural.iter().map(|w| (*w).min(cap)).collect();
    // What is left over goes to those that were cut, from the left.
    let mut left = room.saturating_sub(widths.iter().sum());
    for (width, natural) in widths.iter_mut().zip(natural) {
        let more = natural.saturating_sub(*width).min(left);
        *width += more;
        left -= more;
    }
    widths
}

fn push_row(text: &mut String, row: &[String], widths: &[usize]) {
    let cells: Vec<Vec<String>> = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| cell.lines().flat_map(|line| wrap(line, *width)).collect())
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for i in 0..height {
        let mut line = String::new();
        let mut end = 0;
        for (cell, width) in cells.iter().zip(widths) {
            let part = cell.get(i).map_or("", String::as_str);
            if !part.is_empty() {
                line.push_str(&" ".repeat(end - length(&line)));
                line.push_str(part);
            }
            end += width + GAP;
        }
        text.push_str(&line);
        text.push('\n');
    }
}

/// Breaks a line at blanks; a word that is too long, behind a separator of labels and addresses.
#[must_use]
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_whitespace() {
        let gap = usize::from(!current.is_empty());
        if length(&current) + gap + length(word) <= width {
            if gap == 1 {
                current.push(' ');
            }
            current.push_str(word);
            continue;
        }
        if !current.is_empty() {
            lines.push(std::mem::take(&mut current));
        }
        let mut rest = word;
        let mut left = length(word);
        while left > width {
            let (head, tail) = break_word(rest, width);
            lines.push(head.to_owned());
            left -= length(head);
            rest = tail;
        }
        rest.clone_into(&mut current);
    }
    if !current.is_empty() || lines.is_empty() {
        lines.push(current);
    }
    lines
}

fn break_word(word: &str, width: usize) -> (&str, &str) {
    let within = |(i, c): (usize, char)| i + c.len_utf8();
    let ends: Vec<(usize, char)> = (word.char_indices().take(width))
        .map(|at| (within(at), at.1))
        .collect();
    let separator = |c: char| matches!(c, '/' | ',' | '=' | '.' | ':' | '-' | '_');
    let at = ends
        .iter()
        .skip(width / 3)
        .rev()
        .find(|(_, c)| separator(*c))
        .or(ends.last())
        .map_or(word.len(), |(end, _)| *end);
    word.split_at_checked(at).unwrap_or((word, ""))
}

/// How many columns a text takes.
#[must_use]
pub fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_asked_and_nothing_is_lost() {
        let cells = [
            "0",
            "control plane of a very-long-name-that-has-no-blank/vcluster.loft.sh/managed-by=a",
            "443,6443,8443/TCP",
            "The control plane calls the host's API server, at whatever address.",
        ];
        let row: Vec<String> = cells.iter().map(|c| (*c).to_owned()).collect();
        for width in [40, 60, 100, 200] {
            let text = table(
                &["#", "to", "ports", "why"],
                std::slice::from_ref(&row),
                width,
            );
            assert!(text.lines().all(|l| length(l) <= width), "{width}\n{text}");
            let mut all: String = text.split_whitespace().collect();
            for word in cells.iter().flat_map(|c| c.chars()).filter(|c| *c != ' ') {
                let at = all.find(word);
                assert!(at.is_some(), "{word} in {text}");
                all.remove(at.unwrap_or_default());
            }
        }
    }

    #[test]
    fn long_words_break_behind_separators() {
        assert_eq!(
            wrap("vcluster.loft.sh/managed-by=a", 20),
            ["vcluster.loft.sh/", "managed-by=a"]
        );
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
