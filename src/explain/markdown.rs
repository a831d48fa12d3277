//! An explanation as Markdown, for a document or a pull request.

use std::fmt::Write as _;

use super::heading;
use super::words::Party;
use super::{Cause, Explanation};
use manifest::escape::{markdown as escaped, markdown_code as code};
use netpol::model::policy::{Direction, Origin};

/// The explanation with a table for each direction of each policy.
#[must_use]
pub fn markdown(explanation: &Explanation) -> String {
    let explanation = &explanation.shown();
    let mut text = String::from("# Network policies\n");
    for config in &explanation.configs {
        let _ = writeln!(text, "\n{}", escaped(config));
    }
    if explanation.policies.is_empty() {
        text.push_str("\nNo NetworkPolicy: every pod may talk to everyone.\n");
    }
    for policy in &explanation.policies {
        let _ = writeln!(
            text,
            "\n## {}\n\nFor {}.",
            escaped(&policy.title()),
            party(&policy.pods)
        );
        for (direction, side) in policy.sides() {
            let name = match direction {
                Direction::Egress => "Egress",
                Direction::Ingress => "Ingress",
            };
            let _ = writeln!(text, "\n### {name}: {}\n", heading(direction));
            if let Some(words) = side.without_rules() {
                let _ = writeln!(text, "{words}");
                continue;
            }
            let who = match direction {
                Direction::Egress => "To",
                Direction::Ingress => "From",
            };
            let _ = writeln!(text, "| # | {who} | Ports | Why | Cause |");
            text.push_str("|---|---|---|---|---|\n");
            for rule in &side.rules {
                let peers: Vec<String> = rule.peers.iter().map(party).collect();
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {} |",
                    rule.index,
                    peers.join("<br>"),
                    escaped(&rule.ports),
                    escaped(rule.why.as_deref().unwrap_or_default()),
                    cause(&rule.cause)
                );
            }
        }
    }
    if !explanation.findings.is_empty() {
        text.push_str("\n## Open, and perhaps not expected\n\n");
    }
    for finding in &explanation.findings {
        let rules: Vec<String> = finding.rules.iter().map(|r| code(r)).collect();
        let _ = writeln!(text, "- **{}**", escaped(&finding.what));
        let _ = writeln!(text, "  By {}.", rules.join(", "));
        let _ = writeln!(text, "  To close it: {}.", escaped(&finding.close));
    }
    text
}

/// Somebody by name, with labels or addresses as code.
fn party(party: &Party) -> String {
    if party.by.is_empty() {
        escaped(&party.who)
    } else {
        format!("{} ({})", escaped(&party.who), code(&party.by))
    }
}

/// A path is code, words are not.
fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Origin(Origin::Default(path)) => Origin::Default(code(path)).to_string(),
        Cause::Origin(Origin::Setting(path)) | Cause::Written(path) => code(path),
        Cause::Origin(origin @ (Origin::BuiltIn | Origin::Label(_))) => {
            escaped(&origin.to_string())
        }
    }
}
