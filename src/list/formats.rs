//! A listing as text, CSV, Markdown and DOT. JSON is the listing itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Line, Listing, Place};
use manifest::escape;
use manifest::escape::dot as dot_escaped;

/// What a connection says of ports that an unknown address decides on.
fn ports(line: &Line) -> String {
    match (&line.depending_on_address, line.allowed.is_empty()) {
        (None, _) => line.ports.clone(),
        (Some(more), true) => format!("{more}, if the pod's address is in a block of a rule"),
        (Some(more), false) => {
            format!(
                "{}; {more} too, if the pod's address is in a block of a rule",
                line.ports
            )
        }
    }
}

/// One connection in each line.
#[must_use]
pub fn text(listing: &Listing) -> String {
    let mut text = String::new();
    for line in &listing.connections {
        let (from, to) = (listing.name(&line.from), listing.name(&line.to));
        let _ = writeln!(text, "{from} -> {to}: {}", escape::terminal(&ports(line)));
    }
    if listing.connections.is_empty() {
        text.push_str("No connection is allowed.\n");
    }
    for (direction, is_open) in [
        (
            "ingress",
            (|r| !r.ingress) as fn(&super::Restricted) -> bool,
        ),
        ("egress", |r| !r.egress),
    ] {
        let open = listing
            .groups
            .iter()
            .filter(|group| group.is_in_focus && is_open(&group.restricted));
        for group in open {
            let _ = writeln!(
                text,
                "no policy restricts {direction} of {}",
                group.shown(super::MOST)
            );
        }
    }
    for workload in &listing.on_host_network {
        let _ = writeln!(
            text,
            "not judged: {} uses the network of its node",
            escape::terminal(workload)
        );
    }
    text
}

/// One connection in each row, with every workload of a group in one cell.
#[must_use]
pub fn csv(listing: &Listing) -> String {
    let mut text = String::from("from,to,ports,depending_on_address\n");
    for line in &listing.connections {
        let more = line.depending_on_address.clone().unwrap_or_default();
        let cells = [
            listing.full_name(&line.from),
            listing.full_name(&line.to),
            if line.allowed.is_empty() && !more.is_empty() {
                String::new()
            } else {
                line.ports.clone()
            },
            more,
        ];
        let cells: Vec<String> = cells.iter().map(|cell| escape::csv(cell)).collect();
        let _ = writeln!(text, "{}", cells.join(","));
    }
    text
}

/// A table.
#[must_use]
pub fn markdown(listing: &Listing) -> String {
    let mut text = String::from("| from | to | ports |\n|---|---|---|\n");
    for line in &listing.connections {
        let cells = [
            listing.name(&line.from),
            listing.name(&line.to),
            ports(line),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| escape::markdown(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    for workload in &listing.on_host_network {
        let _ = writeln!(
            text,
            "\nNot judged: {} uses the network of its node.",
            escape::markdown(workload)
        );
    }
    text
}

/// A graph for Graphviz: groups and what is outside as boxes, connections as arrows.
#[must_use]
pub fn dot(listing: &Listing) -> String {
    let mut text = String::from(
        "digraph connections {\n  rankdir=LR\n  node [shape=box, fontname=\"sans-serif\", \
         fontsize=11]\n  edge [fontname=\"sans-serif\", fontsize=10]\n",
    );
    let mut nodes: BTreeMap<String, String> = BTreeMap::new();
    for group in &listing.groups {
        let label = dot_escaped(&group.shown(super::MOST)).replace(", ", "\\n");
        let _ = writeln!(text, "  g{} [label=\"{label}\", style=rounded]", group.id);
    }
    let mut edges = String::new();
    for line in &listing.connections {
        let mut id = |place: &Place| match place {
            Place::Group(id) => format!("g{id}"),
            Place::Outside(_) => {
                let count = nodes.len();
                (nodes.entry(listing.name(place)))
                    .or_insert_with(|| format!("o{count}"))
                    .clone()
            }
        };
        let (from, to) = (id(&line.from), id(&line.to));
        let _ = writeln!(
            edges,
            "  {from} -> {to} [label=\"{}\"]",
            dot_escaped(&ports(line))
        );
    }
    for (name, id) in &nodes {
        let _ = writeln!(
            text,
            "  {id} [label=\"{}\", style=dashed]",
            dot_escaped(name)
        );
    }
    text.push_str(&edges);
    text.push_str("}\n");
    text
}
