//! Deprecated fields moved in block style: one key in a line.

use super::Rewrite;
use super::fields::Parcel;
use manifest::entries::{Entry, Lines};
use manifest::yaml::Node;

/// By how much a text is indented that does not show it.
pub(super) const UNIT: usize = 2;

impl Rewrite<'_> {
    /// Rewrites an object in block style.
    pub(super) fn in_block(
        &mut self,
        node: Node<'_>,
        parcels: &[(&str, Parcel<'_>)],
        removed: &[Entry<'_>],
    ) {
        let lines = self.lines;
        let mut taken: Vec<usize> = Vec::new();
        let column = first_column(node, &lines).unwrap_or(0);
        let unit = step(node, &lines);
        for (name, parcel) in parcels.iter().filter(|(_, p)| !p.is_empty()) {
            let parent = Entry::of(node, name);
            if let Some(parent) = parent.filter(|parent| !parent.is_empty()) {
                self.fill_parent(&parent, parcel, column, unit);
                continue;
            }
            let text = new_parent(&lines, name, parcel, column, unit);
            // It takes the place of an empty parent, or else of what moves.
            let place = parent.or(parcel.rules);
            if let Some(place) = place.or(parcel.containers.first().copied()) {
                let extent = lines.extent(&place);
                let own = parent.map(|parent| lines.comments(&parent, column));
                taken.push(extent.start);
                self.replace(extent, own.unwrap_or_default() + &text);
            }
        }
        let nothing_left =
            parcels.iter().all(|(_, p)| p.is_empty()) && node.pairs().count() == removed.len();
        for (i, entry) in removed.iter().enumerate() {
            let extent = lines.extent(entry);
            if i == 0 && nothing_left {
                self.replace(extent, lines.line(column, "{}"));
            } else if !taken.contains(&extent.start) {
                self.replace(extent, "");
            }
        }
    }

    /// Puts a parcel into a `controlPlane` or `workload` that holds something already.
    fn fill_parent(&mut self, parent: &Entry<'_>, parcel: &Parcel<'_>, column: usize, unit: usize) {
        let lines = self.lines;
        if parent.value.is_flow() || parent.value.is_alias() {
            let text = opened(&lines, parent, parcel, column, unit);
            self.replace(lines.extent(parent), text);
            return;
        }
        let inner = first_column(parent.value, &lines).unwrap_or(column + unit);
        let mut behind = String::new();
        if let Some(rules) = &parcel.rules {
            match Entry::of(parent.value, "egress") {
                Some(egress) => self.fill_egress(&egress, rules, inner, unit),
                None => behind += &lines.render(rules, "egress", inner),
            }
        }
        if !parcel.block.is_empty() {
            match Entry::of(parent.value, "publicEgress") {
                Some(public) => self.fill_public_egress(&public, parcel, inner, unit),
                None => behind += &new_public(&lines, parcel, inner, unit),
            }
        }
        if !behind.is_empty() {
            self.insert(lines.extent(parent).end, &behind);
        }
    }

    /// Adds rules to an `egress` that is there.
    fn fill_egress(&mut self, egress: &Entry<'_>, rules: &Entry<'_>, column: usize, unit: usize) {
        let lines = self.lines;
        if egress.is_empty() {
            let text = lines.comments(egress, column) + &lines.render(rules, "egress", column);
            self.replace(lines.extent(egress), text);
        } else if egress.value.is_flow() || egress.value.is_alias() {
            let text = lines.comments(egress, column)
                + &joined(&lines, egress, rules, column, column + unit);
            self.replace(lines.extent(egress), text);
        } else {
            let items = lines.items(rules, lines.dash_column(egress));
            self.insert(lines.extent(egress).end, &items);
        }
    }

    /// Adds the fields of a block to a `publicEgress` that is there.
    fn fill_public_egress(
        &mut self,
        public: &Entry<'_>,
        parcel: &Parcel<'_>,
        column: usize,
        unit: usize,
    ) {
        let lines = self.lines;
        if public.is_empty() || public.value.is_flow() {
            let text = lines.comments(public, column)
                + &opened_public(&lines, public, parcel, column, unit);
            self.replace(lines.extent(public), text);
            return;
        }
        for entry in &parcel.block {
            let name = entry.key.key_text().unwrap_or_default();
            if let Some(null) = Entry::of(public.value, &name) {
                self.replace(lines.extent(&null), "");
            }
        }
        let inner = first_column(public.value, &lines).unwrap_or(column + unit);
        let text = block_lines(&lines, parcel, inner);
        self.insert(lines.extent(public).end, &text);
    }
}

/// The column of the keys of a mapping.
fn first_column(mapping: Node<'_>, lines: &Lines<'_>) -> Option<usize> {
    let (key, _) = mapping.pairs().next()?;
    Some(lines.column(key.span().start))
}

/// By how much this text indents: as the mappings in it, or else as it stands below its own key.
fn step(node: Node<'_>, lines: &Lines<'_>) -> usize {
    let Some((first, _)) = node.pairs().next() else {
        return UNIT;
    };
    let own = lines.column(first.span().start);
    let inner = node
        .pairs()
        .filter(|(_, value)| value.is_mapping() && !value.is_flow())
        .find_map(|(_, value)| first_column(value, lines));
    let below = inner.and_then(|inner| inner.checked_sub(own));
    let parent = lines.indentation_above(first.span().start);
    below
        .or_else(|| own.checked_sub(parent?))
        .filter(|step| *step > 0)
        .unwrap_or(UNIT)
}

/// `controlPlane:` or `workload:` with what goes into it.
pub(super) fn new_parent(
    lines: &Lines<'_>,
    name: &str,
    parcel: &Parcel<'_>,
    column: usize,
    unit: usize,
) -> String {
    let mut text = lines.line(column, &format!("{name}:"));
    if let Some(rules) = &parcel.rules {
        text += &lines.render(rules, "egress", column + unit);
    }
    if !parcel.block.is_empty() {
        text += &new_public(lines, parcel, column + unit, unit);
    }
    text
}

fn new_public(lines: &Lines<'_>, parcel: &Parcel<'_>, column: usize, unit: usize) -> String {
    let mut text = String::new();
    for container in &parcel.containers {
        text += &lines.comments(container, column);
        if !container.value.is_flow() {
            text += &lines.comment_behind_key(container, column);
        } else if !container.flow {
            let comment = lines.comment_behind(container.end());
            if !comment.is_empty() {
                text += &lines.line(column, comment);
            }
        }
    }
    text += &lines.line(column, "publicEgress:");
    for entry in &parcel.block {
        let name = entry.key.key_text().unwrap_or_default();
        text += &lines.render(entry, &name, column + unit);
    }
    text
}

/// The fields of the block alone, the comments of their containers above them.
fn block_lines(lines: &Lines<'_>, parcel: &Parcel<'_>, column: usize) -> String {
    let text = new_public(lines, parcel, column, 0);
    let key = lines.line(column, "publicEgress:");
    text.replacen(&key, "", 1)
}

/// The pairs of a flow mapping as lines of a block mapping, without some.
fn pair_lines(lines: &Lines<'_>, mapping: Node<'_>, without: &[&str], column: usize) -> String {
    mapping
        .pairs()
        .filter(|(key, _)| {
            key.key_text()
                .is_none_or(|text| !without.contains(&text.as_ref()))
        })
        .map(|(key, value)| {
            let entry = Entry {
                key,
                value,
                flow: true,
            };
            lines.line(column, &lines.pair(&entry, lines.get(key.span())))
        })
        .collect()
}

/// A flow `publicEgress` as a block, with what joins it.
fn opened_public(
    lines: &Lines<'_>,
    public: &Entry<'_>,
    parcel: &Parcel<'_>,
    column: usize,
    unit: usize,
) -> String {
    let comment = if public.flow {
        ""
    } else {
        lines.comment_behind(public.end())
    };
    let mut text = lines.line(column, format!("publicEgress: {comment}").trim_end());
    let names: Vec<_> = parcel
        .block
        .iter()
        .filter_map(|e| e.key.key_text())
        .collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    text += &pair_lines(lines, public.value, &names, column + unit);
    text + &block_lines(lines, parcel, column + unit)
}

/// A flow list as a block list, with the items that join it.
fn joined(
    lines: &Lines<'_>,
    egress: &Entry<'_>,
    rules: &Entry<'_>,
    column: usize,
    dashes: usize,
) -> String {
    let comment = if egress.flow {
        ""
    } else {
        lines.comment_behind(egress.end())
    };
    let own = Entry {
        flow: true,
        ..*egress
    };
    lines.line(column, format!("egress: {comment}").trim_end())
        + &lines.items(&own, dashes)
        + &lines.items(rules, dashes)
}

/// A flow `controlPlane` or `workload` as a block, with what goes into it.
fn opened(
    lines: &Lines<'_>,
    parent: &Entry<'_>,
    parcel: &Parcel<'_>,
    column: usize,
    unit: usize,
) -> String {
    let inner = column + unit;
    let name = parent.key.key_text().unwrap_or_default();
    let comment = lines.comment_behind(parent.end());
    let mut text = lines.comments(parent, column);
    text += &lines.line(column, format!("{name}: {comment}").trim_end());
    let mut without = Vec::new();
    if parcel.rules.is_some() {
        without.push("egress");
    }
    if !parcel.block.is_empty() {
        without.push("publicEgress");
    }
    text += &pair_lines(lines, parent.value, &without, inner);
    let there = |name| Entry::of(parent.value, name).filter(|entry| !entry.is_empty());
    if let Some(rules) = &parcel.rules {
        text += &match there("egress") {
            Some(egress) => joined(lines, &egress, rules, inner, inner + unit),
            None => lines.render(rules, "egress", inner),
        };
    }
    if !parcel.block.is_empty() {
        text += &match there("publicEgress") {
            Some(public) => opened_public(lines, &public, parcel, inner, unit),
            None => new_public(lines, parcel, inner, unit),
        };
    }
    text
}
