//! An explanation as a Mermaid flowchart: who may come in at the left, who may be reached at the
//! right of each policy's pods.

use std::fmt::Write as _;

use super::Explanation;
use super::words::Party;
use manifest::escape::{mermaid as escaped, mermaid_comment};
use netpol::model::policy::Direction;

/// The flowchart; what may finding stands in comments at its end.
#[must_use]
pub fn mermaid(explanation: &Explanation) -> String {
    let explanation = &explanation.shown();
    let mut text = String::from("flowchart LR\n");
    for (p, policy) in explanation.policies.iter().enumerate() {
        let _ = writeln!(text, "  subgraph s{p}[\"{}\"]", escaped(&policy.title()));
        let _ = writeln!(text, "    p{p}[\"{}\"]\n  end", label(&policy.pods));
        for (direction, side) in policy.sides() {
            let (letter, egress) = match direction {
                Direction::Egress => ('e', true),
                Direction::Ingress => ('i', false),
            };
            if let Some(words) = side.without_rules() {
                let id = format!("p{p}{letter}");
                let _ = writeln!(text, "  {id}[\"{}\"]:::nobody", escaped(words));
                let _ = if egress {
                    writeln!(text, "  p{p} -.- {id}")
                } else {
                    writeln!(text, "  {id} -.- p{p}")
                };
                continue;
            }
            for rule in &side.rules {
                for (n, peer) in rule.peers.iter().enumerate() {
                    let id = format!("p{p}{letter}{}_{n}", rule.index);
                    let ports = escaped(&rule.ports);
                    let _ = writeln!(text, "  {id}[\"{}\"]", label(peer));
                    let _ = if egress {
                        writeln!(text, "  p{p} -->|\"{ports}\"| {id}")
                    } else {
                        writeln!(text, "  {id} -->|\"{ports}\"| p{p}")
                    };
                }
            }
        }
    }
    if explanation.policies.is_empty() {
        text.push_str("  none[\"No NetworkPolicy: every pod may talk to everyone\"]\n");
    }
    text.push_str("  classDef nobody stroke-dasharray: 4 4\n");
    for finding in &explanation.findings {
        let _ = writeln!(text, "%% open: {}", mermaid_comment(&finding.what));
        let _ = writeln!(text, "%%   to close: {}", mermaid_comment(&finding.close));
    }
    text
}

fn label(party: &Party) -> String {
    if party.by.is_empty() {
        escaped(&party.who)
    } else {
        format!("{}<br/>{}", escaped(&party.who), escaped(&party.by))
    }
}
