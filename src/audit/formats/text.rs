//! An audit for a terminal or a log.

use std::fmt::Write as _;

use super::{diff, shown, summary};
use crate::audit::words::{counted, help, listed, message};
use crate::audit::{ClusterAudit, Report};
use crate::explain::diff as difference;
use crate::explain::table::wrap;
use manifest::escape::{lines, terminal};

/// The virtual clusters that are not isolated, or `all`, and one line that counts them. Lines are
/// no longer than `width`, as far as that is possible.
#[must_use]
pub fn text(report: &Report, all: bool, width: usize) -> String {
    let mut text = String::new();
    let names_inputs = report.streams.len() > 1;
    for stream in &report.streams {
        let place = if names_inputs {
            format!("  ({})", terminal(&stream.name))
        } else {
            String::new()
        };
        for cluster in shown(stream, all) {
            push_cluster(&mut text, cluster, &place, width);
            if all {
                push_notes(&mut text, cluster, width);
                push_worst_tenant(&mut text, cluster, width);
            }
        }
        let name = terminal(&stream.name);
        if !stream.errors.is_empty() {
            let _ = writeln!(text, "{name}: nothing in it could be judged");
            push_indented(&mut text, &lines(&stream.errors.to_string()));
        }
        if stream.is_empty {
            let _ = writeln!(
                text,
                "{name}: the input is empty: did the chart render anything?"
            );
        }
        if stream.has_nothing() {
            let _ = writeln!(text, "{name}: there is no virtual cluster in it");
        }
        if !stream.warnings.is_empty() {
            let _ = writeln!(text, "{}", lines(&stream.warnings.to_string()));
        }
        if !stream.unevaluated.is_empty() {
            let place = if names_inputs { place.trim() } else { "" };
            let warning = format!(
                "warning: policies that are not evaluated can allow more: {} {place}",
                terminal(&listed(&stream.unevaluated))
            );
            push_wrapped(&mut text, "", warning.trim_end(), width);
        }
    }
    let with_notes = report
        .clusters()
        .filter(|cluster| !cluster.notes.is_empty())
        .count();
    if with_notes > 0 && !all {
        let clusters = counted(with_notes, "virtual cluster");
        let note = format!(
            "note: the values of {clusters} open more than policies close, or need more than they \
             let through; --all shows it"
        );
        push_wrapped(&mut text, "", &note, width);
    }
    let _ = writeln!(text, "{}", summary(report));
    text
}

fn push_notes(text: &mut String, cluster: &ClusterAudit, width: usize) {
    for note in &cluster.notes {
        let code = note.code.unwrap_or_default();
        let path = note.place.path.iter().map(|path| format!("{path}: "));
        let line = format!("note[{code}]: {}{}", path.collect::<String>(), note.message);
        push_wrapped(text, "  ", &terminal(&line), width);
        if let Some(help) = &note.help {
            push_wrapped(text, "    ", &format!("help: {}", terminal(help)), width);
        }
    }
}

fn push_worst_tenant(text: &mut String, cluster: &ClusterAudit, width: usize) {
    let Some(tenant) = &cluster.worst_tenant else {
        return;
    };
    let mut line = |margin: &str, line: &str| push_wrapped(text, margin, &terminal(line), width);
    line("  ", &format!("worst tenant: {}", tenant.may));
    for most in tenant.most() {
        line("    ", &most);
    }
    if let Some(none) = tenant.without_holes() {
        line("    ", none);
    }
    for hole in &tenant.holes {
        line("    ", &format!("* {}", hole.what));
        if let Some(witness) = &hole.witness {
            line("      ", &format!("how: {witness}"));
        }
        line("      ", &format!("to close: {}", hole.close));
    }
    for remark in tenant.remarks() {
        line("    ", &remark);
    }
}

fn push_cluster(text: &mut String, cluster: &ClusterAudit, place: &str, width: usize) {
    let verdict = cluster.verdict().as_str().to_uppercase().replace('-', " ");
    let title = terminal(&cluster.title()).into_owned();
    let _ = writeln!(text, "{verdict}: {title}{place}");
    for finding in &cluster.findings {
        push_wrapped(text, "  ", &terminal(&message(finding)), width);
        if let Some(diff) = diff(finding) {
            let diff = difference::text(diff, width.saturating_sub(4));
            push_indented(text, diff.trim_end());
        }
        if let Some(help) = help(finding) {
            push_wrapped(text, "  ", &format!("help: {}", terminal(&help)), width);
        }
    }
}

fn push_wrapped(text: &mut String, margin: &str, line: &str, width: usize) {
    let room = width.saturating_sub(margin.len() + 2);
    for (i, line) in wrap(line, room).iter().enumerate() {
        let hanging = if i == 0 { "" } else { "  " };
        let _ = writeln!(text, "{margin}{hanging}{line}");
    }
}

fn push_indented(text: &mut String, block: &str) {
    for line in block.lines() {
        let margin = if line.is_empty() { "" } else { "    " };
        let _ = writeln!(text, "{margin}{line}");
    }
}
