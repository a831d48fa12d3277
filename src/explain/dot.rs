//! An explanation as a graph for Graphviz: who may come in at the left, who may be reached at the
//! right of each policy's pods; each virtual cluster in a box of its own where there are several.

use std::fmt::Write as _;

use super::explained::{Explained, Line, OPEN_MEANING, OPEN_SIGN, RuleKind};
use super::table::wrap;
use super::words::Party;
use super::{Explanation, NO_POLICY, Section};
use manifest::escape::dot as escaped;
use netpol::model::policy::Direction;

/// How many characters a line of a box has at most.
const BOX: usize = 44;

/// How many characters a line below the graph has at most.
const NOTE: usize = 120;

/// The graph; the legend and what may surprise stand below it.
#[must_use]
pub fn dot(explanation: &Explanation) -> String {
    let explanation = &explanation.shown();
    let mut text = String::from(
        "digraph policies {\n  rankdir=LR\n  ranksep=2\n  fontname=\"sans-serif\"\n  \
         node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=11]\n  \
         edge [fontname=\"sans-serif\", fontsize=10]\n",
    );
    if explanation.policies.is_empty() {
        let _ = writeln!(text, "  none [label=\"{}\"]", escaped(NO_POLICY));
    }
    let sections = explanation.sections();
    let mut p = 0;
    for (s, section) in sections.iter().enumerate() {
        let is_one_of_many = sections.len() > 1;
        if is_one_of_many {
            let title = lines(&section.title());
            let _ = writeln!(text, "  subgraph cluster_{s} {{\n  label=\"{title}\"");
        }
        if is_one_of_many && section.policies.is_empty() {
            let words = lines(NO_POLICY);
            let _ = writeln!(
                text,
                "  none{s} [label=\"{words}\", style=\"rounded,dashed\"]"
            );
        }
        for policy in &section.policies {
            push_policy(&mut text, p, policy);
            p += 1;
        }
        if is_one_of_many {
            text.push_str("  }\n");
        }
    }
    push_notes(&mut text, &sections, !explanation.policies.is_empty());
    text.push_str("}\n");
    text
}

/// The label of the whole graph: the legend, and the findings.
fn push_notes(text: &mut String, sections: &[Section<'_>], has_policies: bool) {
    let mut notes = String::new();
    if has_policies {
        let kinds = RuleKind::ALL.map(|kind| format!("{} {}", kind.sign(), kind.meaning()));
        let legend = format!("rules: {}; {OPEN_SIGN} {OPEN_MEANING}", kinds.join("; "));
        push_note(&mut notes, "", &legend);
    }
    if sections.iter().any(|section| !section.findings.is_empty()) {
        push_note(&mut notes, "", "Open, and perhaps not expected");
    }
    for finding in sections.iter().flat_map(|section| &section.findings) {
        push_note(&mut notes, "- ", &finding.what);
        push_note(&mut notes, "  to close: ", &finding.close);
    }
    for tenant in sections.iter().filter_map(|section| section.tenant) {
        push_note(&mut notes, "", &format!("The worst tenant: {}", tenant.may));
        for line in tenant.most() {
            push_note(&mut notes, "- ", &line);
        }
        if let Some(words) = tenant.without_holes() {
            push_note(&mut notes, "- ", words);
        }
        for hole in &tenant.holes {
            push_note(&mut notes, "- ", &hole.what);
            push_note(&mut notes, "  to close: ", &hole.close);
        }
        for words in &tenant.remarks() {
            push_note(&mut notes, "- ", words);
        }
    }
    if !notes.is_empty() {
        let _ = writeln!(text, "  labelloc=b\n  labeljust=l\n  label=\"{notes}\"");
    }
}

fn push_note(notes: &mut String, mark: &str, words: &str) {
    for (i, line) in wrap(words, NOTE).iter().enumerate() {
        let mark = if i == 0 { mark } else { "  " };
        let _ = write!(notes, "{mark}{}\\l", escaped(line));
    }
}

fn push_policy(text: &mut String, p: usize, policy: &Explained) {
    let title = lines(&policy.title());
    let pods = lines(&policy.pods.in_line());
    match policy.presence.note() {
        None => {
            let _ = writeln!(
                text,
                "  p{p} [label=\"{title}\\n{pods}\", style=\"rounded,filled\", \
                 fillcolor=\"#e3edf9\"]"
            );
        }
        Some(note) => {
            let _ = writeln!(
                text,
                "  p{p} [label=\"{title}\\n{}\\n{pods}\", style=\"rounded,filled,dashed\", \
                 fillcolor=\"#fff4e6\", color=\"#e8590c\", penwidth=2]",
                lines(note)
            );
        }
    }
    for (direction, side) in policy.sides() {
        if let Some(words) = side.without_rules() {
            let id = format!("p{p}{}", letter(direction));
            let lines = lines(words);
            let _ = writeln!(text, "  {id} [label=\"{lines}\", style=\"rounded,dashed\"]");
            push_edge(text, p, direction, &id, "style=dashed, arrowhead=none");
            continue;
        }
        for rule in &side.rules {
            push_rule(text, p, direction, rule);
        }
    }
}

fn push_rule(text: &mut String, p: usize, direction: Direction, rule: &Line) {
    let color = rule.color();
    let width = if rule.open_to.is_some() { 2.5 } else { 1.0 };
    let look = format!("color=\"{color}\", penwidth={width}");
    for (n, peer) in rule.peers.iter().enumerate() {
        let id = format!("p{p}{}{}_{n}", letter(direction), rule.index);
        let label = label(&rule.sign(), peer);
        let _ = writeln!(text, "  {id} [label=\"{label}\", {look}]");
        let ports = wrap(&rule.ports, BOX / 2);
        let ports: Vec<String> = ports.iter().map(|line| escaped(line)).collect();
        let attributes = format!("label=\"{}\", {look}", ports.join("\\n"));
        push_edge(text, p, direction, &id, &attributes);
    }
}

fn push_edge(text: &mut String, p: usize, direction: Direction, id: &str, attributes: &str) {
    let _ = match direction {
        Direction::Egress => writeln!(text, "  p{p} -> {id} [{attributes}]"),
        Direction::Ingress => writeln!(text, "  {id} -> p{p} [{attributes}]"),
    };
}

fn letter(direction: Direction) -> char {
    match direction {
        Direction::Egress => 'e',
        Direction::Ingress => 'i',
    }
}

fn label(sign: &str, party: &Party) -> String {
    let who = lines(&format!("{sign} {}", party.who));
    if party.by.is_empty() {
        who
    } else {
        format!("{who}\\n{}", lines(&party.by))
    }
}

fn lines(text: &str) -> String {
    let lines: Vec<String> = wrap(text, BOX).iter().map(|l| escaped(l)).collect();
    lines.join("\\n")
}
