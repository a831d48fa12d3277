//! An explanation as text, fitted to the width of a terminal.

use std::fmt::Write as _;

use super::Explanation;
use super::Line;
use super::heading;
use super::table::{length, table, wrap};
use netpol::model::policy::Direction;

/// Narrower than this a table is harder to read than one line after the other.
const NARROW: usize = 76;

/// How far the rules stand in.
const INDENT: usize = 2;

/// The explanation in lines no longer than `width`, as far as that is possible.
#[must_use]
pub fn text(explanation: &Explanation, width: usize) -> String {
    let explanation = &explanation.shown();
    let mut text = String::new();
    for config in &explanation.configs {
        push_wrapped(&mut text, config, "", width);
    }
    if explanation.policies.is_empty() {
        text.push_str("No NetworkPolicy: every pod may talk to everyone.\n");
    }
    for policy in &explanation.policies {
        if !text.is_empty() {
            text.push('\n');
        }
        let title = policy.title();
        let _ = writeln!(text, "{title}\n{}", "=".repeat(length(&title).min(width)));
        push_wrapped(
            &mut text,
            &format!("for {}", policy.pods.in_line()),
            "",
            width,
        );
        for (direction, side) in policy.sides() {
            let _ = writeln!(text, "\n{direction}: {}", heading(direction));
            if let Some(words) = side.without_rules() {
                let _ = writeln!(text, "  {words}");
                continue;
            }
            let room = width.saturating_sub(INDENT);
            let lines = if width < NARROW {
                stacked(&side.rules, room)
            } else {
                in_columns(&side.rules, direction, room)
            };
            for line in lines.lines() {
                let _ = writeln!(text, "{}{line}", " ".repeat(INDENT));
            }
        }
    }
    if !explanation.findings.is_empty() {
        text.push_str("\nOpen, and perhaps not expected\n==============================\n");
    }
    for finding in &explanation.findings {
        push_item(&mut text, "* ", &finding.what, width);
        push_item(&mut text, "  by:       ", &finding.rules.join(", "), width);
        push_item(&mut text, "  to close: ", &finding.close, width);
    }
    text
}

fn in_columns(rules: &[Line], direction: Direction, width: usize) -> String {
    let who = match direction {
        Direction::Egress => "to",
        Direction::Ingress => "from",
    };
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|rule| {
            let peers: Vec<String> = (rule.peers.iter())
                .map(|p| format!("{}\n  {}", p.who, p.by).trim_end().to_owned())
                .collect();
            vec![
                rule.index.to_string(),
                peers.join("\n"),
                rule.ports.clone(),
                rule.why.clone().unwrap_or_default(),
                rule.cause.to_string(),
            ]
        })
        .collect();
    table(&["#", who, "ports", "why", "cause"], &rows, width)
}

fn stacked(rules: &[Line], width: usize) -> String {
    let mut text = String::new();
    for rule in rules {
        let number = format!("{}  ", rule.index);
        let margin = " ".repeat(number.len());
        for (i, peer) in rule.peers.iter().enumerate() {
            let mark = if i == 0 { &number } else { &margin };
            push_item(&mut text, mark, &peer.in_line(), width);
        }
        push_item(&mut text, &margin, &format!("on {}", rule.ports), width);
        if let Some(why) = &rule.why {
            push_item(&mut text, &margin, why, width);
        }
        push_item(&mut text, &margin, &format!("cause: {}", rule.cause), width);
    }
    text
}

/// A paragraph whose further lines stand as far in as the words behind the mark.
fn push_item(text: &mut String, mark: &str, words: &str, width: usize) {
    let margin = " ".repeat(length(mark));
    let room = width.saturating_sub(margin.len());
    for (i, line) in wrap(words, room).iter().enumerate() {
        let start = if i == 0 { mark } else { &margin };
        let _ = writeln!(text, "{start}{line}");
    }
}

fn push_wrapped(text: &mut String, words: &str, margin: &str, width: usize) {
    push_item(text, margin, words, width);
}
