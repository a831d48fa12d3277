//! An explanation as Mermaid flowcharts: who may come in at the left, who may be reached at the
//! right of each policy's pods.
//!
//! Mermaid draws no text of more than 50,000 characters and no more than 500 arrows. What fits is
//! one flowchart. More is a Markdown document with several, each within these limits.

use std::fmt::Write as _;

use super::explained::{Explained, Line, OPEN_COLOR, OPEN_MEANING, OPEN_SIGN, RuleKind};
use super::words::Party;
use super::{Explanation, NO_POLICY, Section};
use manifest::escape::{markdown, mermaid as escaped, mermaid_comment};
use netpol::model::policy::Direction;

/// The most characters of one flowchart, a little below Mermaid's limit.
const MOST_CHARACTERS: usize = 48_000;

/// The most arrows of one flowchart, a little below Mermaid's limit.
const MOST_ARROWS: usize = 450;

/// What a flowchart has beside its policies: the legend and the classes.
const FRAME: usize = 2_000;

/// The most characters of a label.
const MOST_OF_LABEL: usize = 2_000;

/// The flowchart, with the findings as comments; or a Markdown document with several flowcharts,
/// where there are several virtual clusters or one flowchart would be too large.
#[must_use]
pub fn mermaid(explanation: &Explanation) -> String {
    let explanation = &explanation.shown();
    let sections = explanation.sections();
    if let [] | [_] = sections.as_slice() {
        let charts = sections.first().map(charts).unwrap_or_default();
        let chart = charts.first().cloned().unwrap_or_else(|| {
            let empty = format!("  none[\"{}\"]\n", escaped(NO_POLICY));
            whole_chart(&empty)
        });
        let with_comments = chart + &comments(sections.first());
        if charts.len() < 2 && with_comments.chars().count() < MOST_CHARACTERS {
            return with_comments;
        }
    }
    let mut text = String::from("# Network policies\n");
    for section in &sections {
        let _ = writeln!(text, "\n## {}", markdown(&section.title()));
        if section.policies.is_empty() {
            let _ = writeln!(text, "\n{NO_POLICY}");
        }
        for chart in charts(section) {
            let _ = write!(text, "\n```mermaid\n{chart}```\n");
        }
        for finding in &section.findings {
            let _ = writeln!(text, "\n- **{}**", markdown(&finding.what));
            let _ = writeln!(text, "  To close it: {}.", markdown(&finding.close));
        }
        for line in tenant_lines(section) {
            let _ = writeln!(text, "\n- {}", markdown(&line));
        }
    }
    text
}

fn comments(section: Option<&Section<'_>>) -> String {
    let mut text = String::new();
    for finding in section.into_iter().flat_map(|section| &section.findings) {
        let _ = writeln!(text, "%% open: {}", mermaid_comment(&finding.what));
        let _ = writeln!(text, "%%   to close: {}", mermaid_comment(&finding.close));
    }
    for line in section.map(tenant_lines).unwrap_or_default() {
        let _ = writeln!(text, "%% {}", mermaid_comment(&line));
    }
    text
}

/// The worst tenant, line by line.
fn tenant_lines(section: &Section<'_>) -> Vec<String> {
    let Some(tenant) = section.tenant else {
        return Vec::new();
    };
    let mut lines = vec![format!("the worst tenant: {}", tenant.may)];
    lines.extend(tenant.most());
    lines.extend(tenant.without_holes().map(str::to_owned));
    for hole in &tenant.holes {
        lines.push(format!("hole: {}", hole.what));
        lines.push(format!("to close: {}", hole.close));
    }
    lines.extend(tenant.remarks());
    lines
}

/// The flowcharts of a section.
fn charts(section: &Section<'_>) -> Vec<String> {
    let mut charts = Charts::default();
    for (p, policy) in section.policies.iter().enumerate() {
        charts.push_policy(p, policy);
    }
    charts.close();
    charts.done
}

/// A flowchart with the given statements, its classes and its legend.
fn whole_chart(statements: &str) -> String {
    let mut text = format!("flowchart LR\n{statements}");
    text.push_str("  subgraph legend[\"rules\"]\n");
    for kind in RuleKind::ALL {
        let (class, sign, meaning) = (kind.class(), kind.sign(), escaped(kind.meaning()));
        let _ = writeln!(text, "    legend_{class}[\"{sign} {meaning}\"]:::{class}");
    }
    let _ = writeln!(
        text,
        "    legend_open[\"{OPEN_SIGN} {OPEN_MEANING}\"]:::open\n  end"
    );
    for kind in RuleKind::ALL {
        let _ = writeln!(text, "  classDef {} stroke:{}", kind.class(), kind.color());
    }
    let _ = writeln!(text, "  classDef open stroke:{OPEN_COLOR},stroke-width:3px");
    text.push_str("  classDef nobody stroke-dasharray: 4 4\n");
    text.push_str("  classDef absent stroke:#e8590c,stroke-width:3px,stroke-dasharray: 8 4\n");
    text
}

/// Flowcharts that are filled one after the other.
#[derive(Default)]
struct Charts {
    done: Vec<String>,
    statements: String,
    arrows: usize,
}

impl Charts {
    fn close(&mut self) {
        if !self.statements.is_empty() {
            self.done.push(whole_chart(&self.statements));
            self.statements.clear();
            self.arrows = 0;
        }
    }

    fn push_policy(&mut self, p: usize, policy: &Explained) {
        let pods = pods(p, policy);
        let mut is_open = false;
        for (direction, side) in policy.sides() {
            let arrows: Vec<String> = match side.without_rules() {
                Some(words) => vec![remark(p, direction, words)],
                None => (side.rules.iter())
                    .flat_map(|rule| {
                        let peers = rule.peers.iter().enumerate();
                        peers.map(move |(n, peer)| arrow(p, direction, rule, n, peer))
                    })
                    .collect(),
            };
            for arrow in arrows {
                // Bytes are at least as many as characters.
                let length = self.statements.len() + arrow.len() + pods.len();
                let is_full = length > MOST_CHARACTERS - FRAME || self.arrows >= MOST_ARROWS;
                if !self.statements.is_empty() && is_full {
                    self.close();
                    is_open = false;
                }
                if !is_open {
                    self.statements.push_str(&pods);
                    is_open = true;
                }
                self.statements.push_str(&arrow);
                self.arrows += 1;
            }
        }
    }
}

/// The pods of a policy.
fn pods(p: usize, policy: &Explained) -> String {
    let mut text = String::new();
    let mut title = escaped(&policy.title());
    if let Some(note) = policy.presence.note() {
        let _ = write!(title, "<br/>{note}");
    }
    let _ = writeln!(text, "  subgraph s{p}[\"{title}\"]");
    let _ = writeln!(text, "    p{p}[\"{}\"]\n  end", label("", &policy.pods));
    if policy.presence.note().is_some() {
        let _ = writeln!(text, "  class s{p} absent");
    }
    text
}

/// What there is to say instead of rules.
fn remark(p: usize, direction: Direction, words: &str) -> String {
    let words = escaped(words);
    match direction {
        Direction::Egress => format!("  p{p}e[\"{words}\"]:::nobody\n  p{p} -.- p{p}e\n"),
        Direction::Ingress => format!("  p{p}i[\"{words}\"]:::nobody\n  p{p}i -.- p{p}\n"),
    }
}

/// One peer of a rule, and the arrow to it or from it.
fn arrow(p: usize, direction: Direction, rule: &Line, n: usize, peer: &Party) -> String {
    let ports = escaped(&shortened(&rule.ports));
    let class = if rule.open_to.is_some() {
        "open"
    } else {
        rule.kind.class()
    };
    let label = label(&format!("{} ", rule.sign()), peer);
    let letter = match direction {
        Direction::Egress => 'e',
        Direction::Ingress => 'i',
    };
    let id = format!("p{p}{letter}{}_{n}", rule.index);
    let node = format!("  {id}[\"{label}\"]:::{class}\n");
    match direction {
        Direction::Egress => format!("{node}  p{p} -->|\"{ports}\"| {id}\n"),
        Direction::Ingress => format!("{node}  {id} -->|\"{ports}\"| p{p}\n"),
    }
}

fn label(sign: &str, party: &Party) -> String {
    let who = escaped(&shortened(&party.who));
    if party.by.is_empty() {
        format!("{sign}{who}")
    } else {
        format!("{sign}{who}<br/>{}", escaped(&shortened(&party.by)))
    }
}

/// A text that fits into a label. A flowchart with one longer label could not be drawn at all.
fn shortened(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(MOST_OF_LABEL) else {
        return text.to_owned();
    };
    let more = text.chars().count() - MOST_OF_LABEL;
    let shown = text.get(..end).unwrap_or_default();
    format!("{shown} … ({more} characters more: see --output json)")
}
