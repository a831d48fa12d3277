//! An explanation as a picture: each policy's pods in the middle, who may come in at the left, whom
//! they may talk to at the right.
//!
//! Every rule has a row of its own, so its arrow is level, crosses no other, and has its ports
//! written above it. Letters are of one width, so that what fits here fits everywhere. Several
//! virtual clusters have a frame each, in columns, below an overview that links to them.

use std::fmt::Write as _;

use super::explained::{Explained, Line, OPEN_COLOR, OPEN_MEANING, OPEN_SIGN, RuleKind, Side};
use super::findings::Finding;
use super::heading;
use super::table::{length, wrap};
use super::tenant::TenantReport;
use super::words::Party;
use super::{Explanation, NO_POLICY, OVERVIEW, Section};
use manifest::escape::xml as escaped;
use netpol::model::policy::Direction;

/// The width of a letter and the height of a line at 12 pixels, in pixels.
const LETTER: usize = 8;
const LINE: usize = 16;

/// Letters in a box of a peer, above an arrow, in the box of the pods.
const PEER: usize = 49;
const PORTS: usize = 20;
/// Letters that the signs of a rule take.
const SIGNS: usize = 5;
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
/// Between two frames of virtual clusters.
const FRAME_GAP: usize = 32;
/// The most columns of frames.
const MOST_COLUMNS: usize = 5;

/// The look of a line of text.
#[derive(Debug, Clone, Copy)]
enum Style {
    Title,
    Strong,
    Plain,
    Faint,
    /// A policy that is not in the stream.
    Alarm,
}

impl Style {
    fn class(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Strong => "strong",
            Self::Plain => "plain",
            Self::Faint => "faint",
            Self::Alarm => "alarm",
        }
    }
}

/// Lines of text with their looks.
type Text = Vec<(Style, String)>;

/// One arrow and the box at its far end.
struct Row {
    text: Text,
    ports: Vec<String>,
    /// Its sign and color; none for a remark.
    sign: Option<(String, &'static str)>,
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
    let sections = explanation.sections();
    let mut body = String::new();
    let mut y = MARGIN;
    if explanation.policies.is_empty() {
        y = paragraph(&mut body, y, NO_POLICY, Style::Strong);
    } else {
        y = push_legend(&mut body, y);
    }
    let (mut width, mut height) = (WIDTH, y);
    if let [section] = sections.as_slice() {
        height = push_section(&mut body, y, section);
    } else if !sections.is_empty() {
        y = push_overview(&mut body, y, &sections) + FRAME_GAP;
        (width, height) = push_frames(&mut body, y, &sections);
    }
    picture(&body, width, height + MARGIN)
}

fn picture(body: &str, width: usize, height: usize) -> String {
    let mut kinds = String::new();
    for kind in RuleKind::ALL {
        let (class, color) = (kind.class(), kind.color());
        let _ = writeln!(kinds, ".{class} {{ fill: {color} }}");
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>Network policies</title>\n<style>\n\
         text {{ font: 12px 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace; \
         fill: #1f2933; white-space: pre }}\n\
         .title {{ font-size: 15px; font-weight: bold }}\n.strong {{ font-weight: bold }}\n\
         .faint {{ fill: #5b6875 }}\n.alarm {{ fill: #b35309; font-weight: bold }}\n\
         .sign {{ fill: #ffffff; font-weight: bold }}\n{kinds}.open {{ fill: {OPEN_COLOR} }}\n\
         .link {{ fill: #2f6fb0; text-decoration: underline }}\n\
         .box {{ fill: #ffffff; stroke: #7b8794 }}\n.pods {{ fill: #e3edf9; stroke: #2f6fb0 }}\n\
         .absent {{ fill: #fff4e6; stroke: #e8590c; stroke-width: 2; stroke-dasharray: 8 4 }}\n\
         .frame {{ fill: none; stroke: #9aa5b1 }}\n\
         .remark {{ fill: #fafafa; stroke: #9aa5b1; stroke-dasharray: 4 4 }}\n\
         .arrow {{ stroke: #1f2933; stroke-width: 1.5; marker-end: url(#head) }}\n\
         .none {{ stroke: #9aa5b1; stroke-dasharray: 4 4 }}\n</style>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" fill=\"#1f2933\"/>\
         </marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// The signs and colors of rules, in one line; gives the y below it.
fn push_legend(body: &mut String, y: usize) -> usize {
    let mut x = MARGIN;
    let kinds = RuleKind::ALL.map(|kind| (kind.sign(), kind.class(), kind.meaning()));
    for (sign, class, meaning) in kinds.into_iter().chain([(OPEN_SIGN, "open", OPEN_MEANING)]) {
        push_sign(body, (x, y), sign, class);
        x += SIGN + 6;
        push_text(body, x, y, &[(Style::Plain, meaning.to_owned())]);
        x += length(meaning) * LETTER + 2 * PADDING;
    }
    y + LINE + GAP
}

/// The side of the square behind a sign.
const SIGN: usize = 16;

fn push_sign(body: &mut String, (x, y): (usize, usize), sign: &str, class: &str) {
    let _ = writeln!(
        body,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{SIGN}\" height=\"{SIGN}\" rx=\"3\"/>"
    );
    let (x, y) = (x + 4, y + 12);
    let _ = writeln!(
        body,
        "<text class=\"sign\" x=\"{x}\" y=\"{y}\">{}</text>",
        escaped(sign)
    );
}

/// One row for each virtual cluster, with a link to its frame; gives the y below it.
fn push_overview(body: &mut String, top: usize, sections: &[Section<'_>]) -> usize {
    let rows: Vec<[String; 7]> = sections.iter().map(Section::overview).collect();
    let first = rows.iter().map(|row| length(&row[0])).max().unwrap_or(0);
    let column = |i: usize| match i {
        0 => MARGIN,
        i => MARGIN + (first.clamp(16, 60) + 4 + (i - 1) * 20) * LETTER,
    };
    for (i, heading) in OVERVIEW.iter().enumerate() {
        push_text(
            body,
            column(i),
            top,
            &[(Style::Strong, (*heading).to_owned())],
        );
    }
    let mut y = top + LINE + 4;
    for (s, row) in rows.iter().enumerate() {
        for (i, cell) in row.iter().enumerate() {
            if i == 0 {
                let (x, y) = (column(i), y + 12);
                let name = wrap(cell, 60).into_iter().next().unwrap_or_default();
                let name = escaped(&name);
                let _ = writeln!(
                    body,
                    "<a href=\"#frame{s}\"><text class=\"link\" x=\"{x}\" y=\"{y}\">{name}</text></a>"
                );
                continue;
            }
            let is_alarm = i == 2 && cell != "0";
            let style = if is_alarm { Style::Alarm } else { Style::Plain };
            push_text(body, column(i), y, &[(style, cell.clone())]);
        }
        y += LINE;
    }
    y
}

/// A frame for each section, in columns, each in the shortest column; gives width and height.
fn push_frames(body: &mut String, top: usize, sections: &[Section<'_>]) -> (usize, usize) {
    // As many columns as make the picture about as wide as it is high.
    let columns = match sections.len() {
        0..=3 => 1,
        4..=8 => 2,
        9..=20 => 4,
        _ => MOST_COLUMNS,
    };
    let mut bottoms = vec![top; columns];
    for (s, section) in sections.iter().enumerate() {
        let mut inner = String::new();
        let title = paragraph(&mut inner, MARGIN, &section.title(), Style::Title);
        let height = push_section(&mut inner, title, section) + MARGIN;
        let Some((column, y)) = (bottoms.iter().copied().enumerate()).min_by_key(|(_, y)| *y)
        else {
            continue;
        };
        let x = column * (WIDTH + FRAME_GAP);
        let _ = writeln!(body, "<g id=\"frame{s}\" transform=\"translate({x} {y})\">");
        push_box(body, "frame", (MARGIN / 2, 0), (WIDTH - MARGIN, height));
        let _ = writeln!(body, "{inner}</g>");
        if let Some(bottom) = bottoms.get_mut(column) {
            *bottom = y + height + FRAME_GAP;
        }
    }
    let width = columns * (WIDTH + FRAME_GAP) - FRAME_GAP;
    (width, bottoms.into_iter().max().unwrap_or(top))
}

fn push_section(body: &mut String, top: usize, section: &Section<'_>) -> usize {
    let mut y = top;
    if let Some(config) = section
        .cluster
        .and_then(|cluster| cluster.config.as_deref())
    {
        y = paragraph(body, y, config, Style::Plain);
    }
    if section.policies.is_empty() {
        y = paragraph(body, y, NO_POLICY, Style::Alarm);
    }
    for policy in &section.policies {
        y = push_policy(body, y + GAP, policy);
    }
    y = push_findings(body, y, &section.findings);
    match section.tenant {
        Some(tenant) => push_tenant(body, y, tenant),
        None => y,
    }
}

fn push_tenant(body: &mut String, top: usize, tenant: &TenantReport) -> usize {
    let mut y = paragraph(body, top + 2 * GAP, "The worst tenant", Style::Title);
    y = paragraph(body, y, &tenant.may, Style::Plain);
    for line in tenant.most() {
        y = paragraph(body, y, &line, Style::Faint);
    }
    if let Some(words) = tenant.without_holes() {
        y = paragraph(body, y + 6, words, Style::Strong);
    }
    for hole in &tenant.holes {
        y = paragraph(body, y + 6, &hole.what, Style::Plain);
        if let Some(witness) = &hole.witness {
            y = paragraph(body, y, &format!("with {witness}"), Style::Faint);
        }
        let close = format!("to close it: {}", hole.close);
        y = paragraph(body, y, &close, Style::Faint);
    }
    for words in &tenant.remarks() {
        y = paragraph(body, y + 6, words, Style::Alarm);
    }
    y
}

fn push_findings(body: &mut String, top: usize, findings: &[&Finding]) -> usize {
    let mut y = top;
    if !findings.is_empty() {
        let words = "Open, and perhaps not expected";
        y = paragraph(body, y + 2 * GAP, words, Style::Title);
    }
    for finding in findings {
        y = paragraph(body, y + 6, &finding.what, Style::Plain);
        let rules = format!("by {}", finding.rules.join(", "));
        y = paragraph(body, y, &rules, Style::Faint);
        let close = format!("to close it: {}", finding.close);
        y = paragraph(body, y, &close, Style::Faint);
    }
    y
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
    if let Some(note) = policy.presence.note() {
        y = paragraph(body, y, note, Style::Alarm) + 4;
    }
    let left = rows(&policy.ingress);
    let right = rows(&policy.egress);
    let pods_x = MARGIN + PEER_WIDTH + ARROW_WIDTH;
    let right_x = pods_x + PODS_WIDTH + ARROW_WIDTH;
    for (x, direction) in [(MARGIN, Direction::Ingress), (right_x, Direction::Egress)] {
        let words = format!("{direction}: {}", heading(direction));
        push_text(body, x, y, &[(Style::Faint, words)]);
    }
    y += LINE + 6;
    let total = |rows: &[Row]| rows.iter().map(|r| r.height() + GAP).sum::<usize>() - GAP;
    let pods = party_text(&policy.pods, PODS, Style::Strong);
    let pods_height = pods.len() * LINE + 2 * PADDING;
    let height = total(&left).max(total(&right)).max(pods_height);
    let class = match policy.presence.note() {
        Some(_) => "absent",
        None => "pods",
    };
    push_box(body, class, (pods_x, y), (PODS_WIDTH, height));
    let pods_y = y + (height - pods_height) / 2 + PADDING;
    push_text(body, pods_x + PADDING, pods_y, &pods);
    let left_y = y + (height - total(&left)) / 2;
    push_rows(body, left_y, &left, Direction::Ingress);
    let right_y = y + (height - total(&right)) / 2;
    push_rows(body, right_y, &right, Direction::Egress);
    y + height + GAP
}

/// The rules of one direction, one below the other.
fn push_rows(body: &mut String, top: usize, rows: &[Row], direction: Direction) {
    // Ports are written away from the head of the arrow.
    let (box_x, arrow_x, shift) = match direction {
        Direction::Ingress => (MARGIN, MARGIN + PEER_WIDTH, 4),
        Direction::Egress => {
            let arrow_x = MARGIN + PEER_WIDTH + ARROW_WIDTH + PODS_WIDTH;
            (arrow_x + ARROW_WIDTH, arrow_x, HEAD / 2)
        }
    };
    let mut y = top;
    for row in rows {
        let class = if row.is_remark { "remark" } else { "box" };
        push_box(body, class, (box_x, y), (PEER_WIDTH, row.height()));
        let text_y = y + (row.height() - row.text.len() * LINE) / 2;
        let mut text_x = box_x + PADDING;
        if let Some((sign, class)) = &row.sign {
            let mut x = text_x;
            for (i, letter) in sign.chars().enumerate() {
                // The sign of an open rule comes second, in its own color.
                let class = if i == 0 { class } else { "open" };
                push_sign(body, (x, text_y), &letter.to_string(), class);
                x += SIGN + 2;
            }
            text_x += SIGNS * LETTER;
        }
        push_text(body, text_x, text_y, &row.text);
        let middle = y + row.height() / 2;
        let class = if row.is_remark { "none" } else { "arrow" };
        let (from, to) = (arrow_x, arrow_x + ARROW_WIDTH);
        let _ = writeln!(
            body,
            "<line class=\"{class}\" x1=\"{from}\" y1=\"{middle}\" x2=\"{to}\" y2=\"{middle}\"/>"
        );
        let ports_y = middle - row.ports.len() * LINE - 3;
        let ports: Text = (row.ports.iter())
            .map(|line| (Style::Plain, line.clone()))
            .collect();
        push_text(body, arrow_x + shift, ports_y, &ports);
        y += row.height() + GAP;
    }
}

fn rows(side: &Side) -> Vec<Row> {
    if let Some(words) = side.without_rules() {
        let text = wrap(words, PEER).into_iter();
        return vec![Row {
            text: text.map(|line| (Style::Faint, line)).collect(),
            ports: Vec::new(),
            sign: None,
            is_remark: true,
        }];
    }
    side.rules.iter().map(row).collect()
}

fn row(rule: &Line) -> Row {
    let width = PEER - SIGNS;
    let mut text: Text = Vec::new();
    for party in &rule.peers {
        text.extend(party_text(party, width, Style::Strong));
    }
    for words in rule.why.iter().chain([&rule.cause.to_string()]) {
        let lines = wrap(words, width).into_iter();
        text.extend(lines.map(|line| (Style::Faint, line)));
    }
    Row {
        text,
        ports: wrap(&rule.ports, PORTS),
        sign: Some((rule.sign(), rule.kind.class())),
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
