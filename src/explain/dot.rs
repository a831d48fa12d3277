//! An explanation as a graph for Graphviz: who may come in at the left, who may be reached at the
//! right of each policy's pods.

use std::fmt::Write as _;

use super::Explained;
use super::Explanation;
use super::table::wrap;
use super::words::Party;
use manifest::escape::dot as escaped;
use netpol::model::policy::Direction;

/// How many characters a line of a box has at most.
const BOX: usize = 44;

/// How many characters a line below the graph has at most.
const NOTE: usize = 120;

/// The graph; what may finding stands below it.
#[must_use]
pub fn dot(explanation: &Explanation) -> String {
    let explanation = &explanation.shown();
    let mut text = String::from(
        "digraph policies {\n  rankdir=LR\n  ranksep=2\n  fontname=\"sans-serif\"\n  \
         node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=11]\n  \
         edge [fontname=\"sans-serif\", fontsize=10]\n",
    );
    if explanation.policies.is_empty() {
        text.push_str("  none [label=\"No NetworkPolicy: every pod may talk to everyone\"]\n");
    }
    for (p, policy) in explanation.policies.iter().enumerate() {
        push_policy(&mut text, p, policy);
    }
    if !explanation.findings.is_empty() {
        text.push_str("  labelloc=b\n  labeljust=l\n  label=\"Open, and perhaps not expected\\l");
        for finding in &explanation.findings {
            for (mark, words) in [("- ", &finding.what), ("  to close: ", &finding.close)] {
                for (i, line) in wrap(words, NOTE).iter().enumerate() {
                    let mark = if i == 0 { mark } else { "  " };
                    let _ = write!(text, "{mark}{}\\l", escaped(line));
                }
            }
        }
        text.push_str("\"\n");
    }
    text.push_str("}\n");
    text
}

fn push_policy(text: &mut String, p: usize, policy: &Explained) {
    let title = lines(&policy.title());
    let pods = lines(&policy.pods.in_line());
    let _ = writeln!(
        text,
        "  p{p} [label=\"{title}\\n{pods}\", style=\"rounded,filled\", fillcolor=\"#e3edf9\"]"
    );
    for (direction, side) in policy.sides() {
        let (letter, egress) = match direction {
            Direction::Egress => ('e', true),
            Direction::Ingress => ('i', false),
        };
        let edge = |text: &mut String, id: &str, attributes: &str| {
            let _ = if egress {
                writeln!(text, "  p{p} -> {id} [{attributes}]")
            } else {
                writeln!(text, "  {id} -> p{p} [{attributes}]")
            };
        };
        if let Some(words) = side.without_rules() {
            let id = format!("p{p}{letter}");
            let lines = lines(words);
            let _ = writeln!(text, "  {id} [label=\"{lines}\", style=\"rounded,dashed\"]");
            edge(text, &id, "style=dashed, arrowhead=none");
            continue;
        }
        for rule in &side.rules {
            for (n, peer) in rule.peers.iter().enumerate() {
                let id = format!("p{p}{letter}{}_{n}", rule.index);
                let _ = writeln!(text, "  {id} [{}]", label(peer));
                let ports = wrap(&rule.ports, BOX / 2)
                    .iter()
                    .map(|l| escaped(l))
                    .collect::<Vec<_>>();
                edge(text, &id, &format!("label=\"{}\"", ports.join("\\n")));
            }
        }
    }
}

fn label(party: &Party) -> String {
    if party.by.is_empty() {
        format!("label=\"{}\"", lines(&party.who))
    } else {
        format!("label=\"{}\\n{}\"", lines(&party.who), lines(&party.by))
    }
}

fn lines(text: &str) -> String {
    let lines: Vec<String> = wrap(text, BOX).iter().map(|l| escaped(l)).collect();
    lines.join("\\n")
}
