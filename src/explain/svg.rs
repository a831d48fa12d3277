//! An explanation as a picture: each policy's pods in the middle, who may come in at the left, whom
//! they may talk to at the right.
//!
//! Every rule has a row of its own, so its arrow is level, crosses no other, and has its ports
//! written above it. Letters are of one width, so that what fits here fits everywhere.

use std::fmt::Write as _;

use super::Explained;
use super::Explanation;
use super::Line;
use super::Side;
use super::heading;
use super::table::{length, wrap};
use super::words::Party;
use manifest::escape::xml as escaped;
use netpol::model::policy::Direction;

/// The width of a letter and the height of a line at 12 pixels, in pixels.
const LETTER: usize = 8;
const LINE: usize = 16;

/// Letters in a box of a peer, above an arrow, in the box of the pods.
const PEER: usize = 44;
const PORTS: usize = 20;
const PODS: usize = 24;

const MARGIN: usize = 24;
const PADDING: usize = 10;
/// Between two rows.
const GAP: usize = 14;
/// Beyond the letters above an arrow.
const HEAD: usize = 24;

const PEER_WIDTH: usize = PEER * LETTER + 2 * PADDING;
const ARROW_WIDTH: usize = PORTS * LETTER + HEAD;
const PODS_WIDTH: usize = PODS * LETTER + 2 * PADDING;
const WIDTH: usize = 2 * MARGIN + 2 * PEER_WIDTH + 2 * ARROW_WIDTH + PODS_WIDTH;

/// The look of a line of text.
#[derive(Debug, Clone, Copy)]
enum Style {
    Title,
    Strong,
    Plain,
    Faint,
}

impl Style {
    fn class(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Strong => "strong",
            Self::Plain => "plain",
            Self::Faint => "faint",
        }
    }
}

/// Lines of text with their looks.
type Text = Vec<(Style, String)>;

/// One arrow and the box at its far end.
struct Row {
    text: Text,
    ports: Vec<String>,
    /// Nobody is there, or everybody for want of a restriction.
    is_remark: bool,
}

impl Row {
    fn height(&self) -> usize {
        let text = self.text.len() * LINE + 2 * PADDING;
        // The ports stand above the middle of the row.
        text.max(2 * (self.ports.len() * LINE + 6))
    }
}

/// The picture.
#[must_use]
pub fn svg(explanation: &Explanation) -> String {
    let explanation = &explanation.shown();
    let mut body = String::new();
    let mut y = MARGIN;
    for config in &explanation.configs {
        y = paragraph(&mut body, y, config, Style::Plain);
    }
    if explanation.policies.is_empty() {
        let words = "No NetworkPolicy: every pod may talk to everyone.";
        y = paragraph(&mut body, y, words, Style::Strong);
    }
    for policy in &explanation.policies {
        y = push_policy(&mut body, y + GAP, policy);
    }
    if !explanation.findings.is_empty() {
        y = paragraph(
            &mut body,
            y + 2 * GAP,
            "Open, and perhaps not expected",
            Style::Title,
        );
    }
    for finding in &explanation.findings {
        y = paragraph(&mut body, y + 6, &finding.what, Style::Plain);
        let rules = format!("by {}", finding.rules.join(", "));
        y = paragraph(&mut body, y, &rules, Style::Faint);
        let close = format!("to close it: {}", finding.close);
        y = paragraph(&mut body, y, &close, Style::Faint);
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>Network policies</title>\n<style>\n\
         text {{ font: 12px 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace; \
         fill: #1f2933; white-space: pre }}\n\
         .title {{ font-size: 15px; font-weight: bold }}\n.strong {{ font-weight: bold }}\n\
         .faint {{ fill: #5b6875 }}\n\
         .box {{ fill: #ffffff; stroke: #7b8794 }}\n.pods {{ fill: #e3edf9; stroke: #2f6fb0 }}\n\
         .remark {{ fill: #fafafa; stroke: #9aa5b1; stroke-dasharray: 4 4 }}\n\
         .arrow {{ stroke: #2f6fb0; stroke-width: 1.5; marker-end: url(#head) }}\n\
         .none {{ stroke: #9aa5b1; stroke-dasharray: 4 4 }}\n</style>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"#2f6fb0\"/>\
         </marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// A paragraph over the whole width; gives the y below it.
fn paragraph(body: &mut String, y: usize, words: &str, style: Style) -> usize {
    let room = (WIDTH - 2 * MARGIN) / LETTER;
    let lines: Text = (wrap(words, room).into_iter())
        .map(|line| (style, line))
        .collect();
    push_text(body, MARGIN, y, &lines);
    y + lines.len() * LINE + 4
}

fn push_policy(body: &mut String, top: usize, policy: &Explained) -> usize {
    let mut y = paragraph(body, top, &policy.title(), Style::Title) + 4;
    let left = rows(&policy.ingress);
    let right = rows(&policy.egress);
    let left_x = MARGIN;
    let left_arrow = left_x + PEER_WIDTH;
    let pods_x = left_arrow + ARROW_WIDTH;
    let right_arrow = pods_x + PODS_WIDTH;
    let right_x = right_arrow + ARROW_WIDTH;
    for (x, direction) in [(left_x, Direction::Ingress), (right_x, Direction::Egress)] {
        let words = format!("{direction}: {}", heading(direction));
        push_text(body, x, y, &[(Style::Faint, words)]);
    }
    y += LINE + 6;
    let total = |rows: &[Row]| rows.iter().map(|r| r.height() + GAP).sum::<usize>() - GAP;
    let pods = party_text(&policy.pods, PODS, Style::Strong);
    let pods_height = pods.len() * LINE + 2 * PADDING;
    let height = total(&left).max(total(&right)).max(pods_height);
    push_box(body, "pods", (pods_x, y), (PODS_WIDTH, height));
    let pods_y = y + (height - pods_height) / 2 + PADDING;
    push_text(body, pods_x + PADDING, pods_y, &pods);
    for (rows, box_x, arrow_x, inward) in [
        (&left, left_x, left_arrow, true),
        (&right, right_x, right_arrow, false),
    ] {
        let mut row_y = y + (height - total(rows)) / 2;
        for row in rows {
            let class = if row.is_remark { "remark" } else { "box" };
            push_box(body, class, (box_x, row_y), (PEER_WIDTH, row.height()));
            let text_height = row.text.len() * LINE;
            let text_y = row_y + (row.height() - text_height) / 2;
            push_text(body, box_x + PADDING, text_y, &row.text);
            let middle = row_y + row.height() / 2;
            let class = if row.is_remark { "none" } else { "arrow" };
            let (from, to) = (arrow_x, arrow_x + ARROW_WIDTH);
            let _ = writeln!(
                body,
                "<line class=\"{class}\" x1=\"{from}\" y1=\"{middle}\" x2=\"{to}\" y2=\"{middle}\"/>"
            );
            let ports_y = middle - row.ports.len() * LINE - 3;
            for (i, ports) in row.ports.iter().enumerate() {
                // Away from the head of the arrow.
                let shift = if inward { 4 } else { HEAD / 2 };
                let x = arrow_x + shift;
                push_text(
                    body,
                    x,
                    ports_y + i * LINE,
                    &[(Style::Plain, ports.clone())],
                );
            }
            row_y += row.height() + GAP;
        }
    }
    y + height + GAP
}

fn rows(side: &Side) -> Vec<Row> {
    if let Some(words) = side.without_rules() {
        let text = wrap(words, PEER).into_iter();
        return vec![Row {
            text: text.map(|line| (Style::Faint, line)).collect(),
            ports: Vec::new(),
            is_remark: true,
        }];
    }
    side.rules.iter().map(row).collect()
}

fn row(rule: &Line) -> Row {
    let mut text: Text = Vec::new();
    for party in &rule.peers {
        text.extend(party_text(party, PEER, Style::Strong));
    }
    for words in rule.why.iter().chain([&rule.cause.to_string()]) {
        let lines = wrap(words, PEER).into_iter();
        text.extend(lines.map(|line| (Style::Faint, line)));
    }
    Row {
        text,
        ports: wrap(&rule.ports, PORTS),
        is_remark: false,
    }
}

fn party_text(party: &Party, width: usize, style: Style) -> Text {
    let mut text: Text = wrap(&party.who, width)
        .into_iter()
        .map(|l| (style, l))
        .collect();
    if !party.by.is_empty() {
        text.extend(
            wrap(&party.by, width)
                .into_iter()
                .map(|l| (Style::Plain, l)),
        );
    }
    text
}

fn push_box(body: &mut String, class: &str, (x, y): (usize, usize), (w, h): (usize, usize)) {
    let _ = writeln!(
        body,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"6\"/>"
    );
}

fn push_text(body: &mut String, x: usize, y: usize, lines: &[(Style, String)]) {
    for (i, (style, line)) in lines.iter().enumerate() {
        let (class, y) = (style.class(), y + i * LINE + 12);
        debug_assert!(length(line) <= WIDTH / LETTER, "wrapped before");
        let _ = writeln!(
            body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>",
            escaped(line)
        );
    }
}
