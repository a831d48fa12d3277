//! An explanation as text, fitted to the width of a terminal.

use std::fmt::Write as _;

use super::explained::{Explained, Line, OPEN_MEANING, OPEN_SIGN, RuleKind};
use super::findings::Finding;
use super::heading;
use super::table::{length, table, wrap};
use super::tenant::TenantReport;
use super::{Explanation, NO_POLICY, OVERVIEW, Section};
use netpol::model::policy::Direction;

/// Narrower than this a table is harder to read than one line after the other.
const NARROW: usize = 76;

/// How far the rules stand in.
const INDENT: usize = 2;

/// The explanation in lines no longer than `width`, as far as that is possible.
#[must_use]
pub fn text(explanation: &Explanation, width: usize) -> String {
    let explanation = &explanation.shown();
    let sections = explanation.sections();
    let mut text = String::new();
    if explanation.policies.is_empty() {
        let _ = writeln!(text, "{NO_POLICY}.");
    } else {
        push_legend(&mut text, width);
    }
    if let [_, _, ..] = sections.as_slice() {
        let rows: Vec<Vec<String>> = sections.iter().map(|s| s.overview().to_vec()).collect();
        text.push('\n');
        text.push_str(&table(&OVERVIEW, &rows, width));
    }
    for section in &sections {
        push_section(&mut text, section, sections.len() > 1, width);
    }
    text
}

fn push_legend(text: &mut String, width: usize) {
    let kinds = RuleKind::ALL.map(|kind| format!("{} {}", kind.sign(), kind.meaning()));
    let legend = format!("rules: {}; {OPEN_SIGN} {OPEN_MEANING}", kinds.join("; "));
    push_item(text, "", &legend, width);
}

fn push_section(text: &mut String, section: &Section<'_>, is_one_of_many: bool, width: usize) {
    if is_one_of_many {
        let title = section.title();
        let line = "#".repeat(length(&title).min(width));
        let _ = writeln!(text, "\n{line}\n{title}\n{line}");
    }
    if let Some(config) = section
        .cluster
        .and_then(|cluster| cluster.config.as_deref())
    {
        text.push_str(if text.is_empty() { "" } else { "\n" });
        push_item(text, "", config, width);
    }
    if is_one_of_many && section.policies.is_empty() {
        push_item(text, "", NO_POLICY, width);
    }
    for policy in &section.policies {
        push_policy(text, policy, width);
    }
    push_findings(text, &section.findings, width);
    if let Some(tenant) = section.tenant {
        push_tenant(text, tenant, width);
    }
}

fn push_policy(text: &mut String, policy: &Explained, width: usize) {
    let title = policy.title();
    let _ = writeln!(text, "\n{title}\n{}", "=".repeat(length(&title).min(width)));
    if let Some(note) = policy.presence.note() {
        push_item(text, "", note, width);
    }
    push_item(text, "", &format!("for {}", policy.pods.in_line()), width);
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

fn push_findings(text: &mut String, findings: &[&Finding], width: usize) {
    if !findings.is_empty() {
        text.push_str("\nOpen, and perhaps not expected\n==============================\n");
    }
    for finding in findings {
        push_item(text, "* ", &finding.what, width);
        push_item(text, "  by:       ", &finding.rules.join(", "), width);
        push_item(text, "  to close: ", &finding.close, width);
    }
}

fn push_tenant(text: &mut String, tenant: &TenantReport, width: usize) {
    text.push_str("\nThe worst tenant\n================\n");
    push_item(text, "", &tenant.may, width);
    for line in tenant.most() {
        push_item(text, "  ", &line, width);
    }
    if let Some(words) = tenant.without_holes() {
        push_item(text, "* ", words, width);
    }
    for hole in &tenant.holes {
        push_item(text, "* ", &hole.what, width);
        if let Some(witness) = &hole.witness {
            push_item(text, "  with:     ", witness, width);
        }
        if !hole.rules.is_empty() {
            push_item(text, "  by:       ", &hole.rules.join(", "), width);
        }
        push_item(text, "  to close: ", &hole.close, width);
    }
    for words in &tenant.remarks() {
        push_item(text, "* ", words, width);
    }
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
                format!("{} {}", rule.index, rule.sign()),
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
        let number = format!("{} {}  ", rule.index, rule.sign());
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
