//! An explanation as Markdown, for a document or a pull request.

use std::fmt::Write as _;

use super::explained::{Cause, Explained, Line, OPEN_MEANING, OPEN_SIGN, RuleKind};
use super::findings::Finding;
use super::heading;
use super::tenant::TenantReport;
use super::words::Party;
use super::{Explanation, NO_POLICY, OVERVIEW, Section};
use manifest::escape::{markdown as escaped, markdown_code as code};
use netpol::model::policy::{Direction, Origin};

/// The mark of an open rule: its sign and its color.
const OPEN_MARK: &str = "\u{1f534}";

/// The explanation with a table for each direction of each policy.
#[must_use]
pub fn markdown(explanation: &Explanation) -> String {
    let explanation = &explanation.shown();
    let sections = explanation.sections();
    let mut text = String::from("# Network policies\n");
    if explanation.policies.is_empty() {
        let _ = writeln!(text, "\n{NO_POLICY}.");
    } else {
        push_legend(&mut text);
    }
    if let [_, _, ..] = sections.as_slice() {
        let _ = writeln!(text, "\n| {} |", OVERVIEW.join(" | "));
        text.push_str("|---|---|---|---|---|---|---|\n");
        for section in &sections {
            let cells = section.overview().map(|cell| escaped(&cell));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    for section in &sections {
        push_section(&mut text, section, sections.len() > 1);
    }
    text
}

fn mark(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::BuiltIn => "\u{1f535}",
        RuleKind::User => "\u{1f7e2}",
        RuleKind::Unknown => "\u{26aa}",
    }
}

fn push_legend(text: &mut String) {
    let kinds = RuleKind::ALL;
    let kinds = kinds.map(|kind| format!("{} **{}** {}", mark(kind), kind.sign(), kind.meaning()));
    let kinds = kinds.join("; ");
    let _ = writeln!(
        text,
        "\nRules: {kinds}; {OPEN_MARK} **{OPEN_SIGN}** {OPEN_MEANING}."
    );
}

fn push_section(text: &mut String, section: &Section<'_>, is_one_of_many: bool) {
    if is_one_of_many {
        let _ = writeln!(text, "\n# {}", escaped(&section.title()));
    }
    if let Some(config) = section
        .cluster
        .and_then(|cluster| cluster.config.as_deref())
    {
        let _ = writeln!(text, "\n{}", escaped(config));
    }
    if is_one_of_many && section.policies.is_empty() {
        let _ = writeln!(text, "\n**{NO_POLICY}**");
    }
    for policy in &section.policies {
        push_policy(text, policy);
    }
    push_findings(text, &section.findings);
    if let Some(tenant) = section.tenant {
        push_tenant(text, tenant);
    }
}

fn push_policy(text: &mut String, policy: &Explained) {
    let _ = writeln!(text, "\n## {}", escaped(&policy.title()));
    if let Some(note) = policy.presence.note() {
        let _ = writeln!(text, "\n**{note}**");
    }
    let _ = writeln!(text, "\nFor {}.", party(&policy.pods));
    for (direction, side) in policy.sides() {
        let (name, who) = match direction {
            Direction::Egress => ("Egress", "To"),
            Direction::Ingress => ("Ingress", "From"),
        };
        let _ = writeln!(text, "\n### {name}: {}\n", heading(direction));
        if let Some(words) = side.without_rules() {
            let _ = writeln!(text, "{words}");
            continue;
        }
        let _ = writeln!(text, "| # | | {who} | Ports | Why | Cause |");
        text.push_str("|---|---|---|---|---|---|\n");
        for rule in &side.rules {
            push_rule(text, rule);
        }
    }
}

fn push_rule(text: &mut String, rule: &Line) {
    let peers: Vec<String> = rule.peers.iter().map(party).collect();
    let open = if rule.open_to.is_some() {
        OPEN_MARK
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "| {} | {}{open} **{}** | {} | {} | {} | {} |",
        rule.index,
        mark(rule.kind),
        rule.sign(),
        peers.join("<br>"),
        escaped(&rule.ports),
        escaped(rule.why.as_deref().unwrap_or_default()),
        cause(&rule.cause)
    );
}

fn push_findings(text: &mut String, findings: &[&Finding]) {
    if !findings.is_empty() {
        text.push_str("\n## Open, and perhaps not expected\n\n");
    }
    for finding in findings {
        let rules: Vec<String> = finding.rules.iter().map(|r| code(r)).collect();
        let _ = writeln!(text, "- **{}**", escaped(&finding.what));
        let _ = writeln!(text, "  By {}.", rules.join(", "));
        let _ = writeln!(text, "  To close it: {}.", escaped(&finding.close));
    }
}

fn push_tenant(text: &mut String, tenant: &TenantReport) {
    let _ = writeln!(text, "\n## The worst tenant\n\n{}.\n", escaped(&tenant.may));
    for line in tenant.most() {
        let _ = writeln!(text, "- {}", escaped(&line));
    }
    if let Some(words) = tenant.without_holes() {
        let _ = writeln!(text, "- **{words}**");
    }
    for hole in &tenant.holes {
        let _ = writeln!(text, "- **{}**", escaped(&hole.what));
        if let Some(witness) = &hole.witness {
            let _ = writeln!(text, "  With {}.", code(witness));
        }
        if !hole.rules.is_empty() {
            let rules: Vec<String> = hole.rules.iter().map(|r| code(r)).collect();
            let _ = writeln!(text, "  By {}.", rules.join(", "));
        }
        let _ = writeln!(text, "  To close it: {}.", escaped(&hole.close));
    }
    for words in &tenant.remarks() {
        let _ = writeln!(text, "- **{}**", escaped(words));
    }
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
