//! The fields that chart 0.31 replaced: `extra*Rules` and `outgoingConnections.ipBlock`.

use std::ops::Range;

use serde_json::Value;

use super::Rewrite;
use super::object;
use super::text::{Entry, Lines};
use crate::vcluster::config::settings::{DEFAULT_CIDR, DEFAULT_EXCEPT};
use manifest::schema::join;
use manifest::yaml::Node;

/// A list of rules and where it goes.
const RULES: [(&str, &str); 2] = [
    ("extraControlPlaneRules", "controlPlane"),
    ("extraWorkloadRules", "workload"),
];

/// The fields of a block of addresses.
const BLOCK: [&str; 2] = ["cidr", "except"];

/// What an object that holds fields of old means in today's fields.
pub(super) fn expected(old: &Value) -> Value {
    let Value::Object(old) = old else {
        return old.clone();
    };
    let mut new = old.clone();
    for (field, parent) in RULES {
        let Some(Value::Array(rules)) = new.remove(field) else {
            continue;
        };
        if rules.is_empty() {
            continue;
        }
        let mut inner = new.remove(parent).map(object).unwrap_or_default();
        let mut egress = match inner.remove("egress") {
            Some(Value::Array(there)) => there,
            _ => Vec::new(),
        };
        if egress != rules {
            egress.extend(rules);
        }
        inner.insert("egress".to_owned(), Value::Array(egress));
        new.insert(parent.to_owned(), Value::Object(inner));
    }
    let mut outgoing = new
        .remove("outgoingConnections")
        .map(object)
        .unwrap_or_default();
    let block = outgoing.remove("ipBlock").map(object).unwrap_or_default();
    for (field, value) in block {
        let there = new
            .get("workload")
            .and_then(|w| w.get("publicEgress"))
            .and_then(|p| p.get(&field));
        if value.is_null() || there.is_some_and(|v| !v.is_null()) {
            continue;
        }
        let mut workload = new.remove("workload").map(object).unwrap_or_default();
        let mut public = workload
            .remove("publicEgress")
            .map(object)
            .unwrap_or_default();
        public.insert(field, value);
        workload.insert("publicEgress".to_owned(), Value::Object(public));
        new.insert("workload".to_owned(), Value::Object(workload));
    }
    if !outgoing.is_empty() {
        new.insert("outgoingConnections".to_owned(), Value::Object(outgoing));
    }
    Value::Object(new)
}

/// What goes into `controlPlane` or `workload`.
#[derive(Debug, Default)]
struct Parcel<'a> {
    /// The list that becomes `egress`, or joins it.
    rules: Option<Entry<'a>>,
    /// What becomes `publicEgress`, or joins it.
    block: Vec<Entry<'a>>,
    /// The containers of the block whose comments move along.
    containers: Vec<Entry<'a>>,
}

impl Parcel<'_> {
    fn is_empty(&self) -> bool {
        self.rules.is_none() && self.block.is_empty()
    }
}

/// `outgoingConnections`, as far as it matters.
struct Outgoing<'a> {
    entry: Entry<'a>,
    ip_block: Entry<'a>,
    /// Whether something else is in it and stays.
    stays: bool,
}

impl Rewrite<'_> {
    /// Rewrites a `networkPolicy` object.
    pub(super) fn network_policy(&mut self, node: Node<'_>, path: &[&str]) {
        let path = path.join(".");
        let mut removed: Vec<Entry<'_>> = Vec::new();
        let mut parcels: Vec<(&str, Parcel<'_>)> = Vec::new();
        for (field, parent) in RULES {
            let mut parcel = Parcel::default();
            if let Some(entry) = self.entry(node, field, &path) {
                removed.push(entry);
                parcel.rules = self.rules(node, entry, (field, parent), &path);
            }
            parcels.push((parent, parcel));
        }
        let outgoing = match Entry::of(node, "outgoingConnections") {
            Some(entry) if entry.is_empty() => {
                self.moved(entry.key, below(&path, "outgoingConnections"), None);
                removed.push(entry);
                None
            }
            _ => self.outgoing(node, &path),
        };
        if let (Some(outgoing), Some((_, parcel))) = (&outgoing, parcels.last_mut()) {
            self.block(node, outgoing, &path, parcel);
            if !outgoing.stays {
                removed.push(outgoing.entry);
            }
        }
        if !self.errors.is_empty() {
            return;
        }
        if node.is_flow() {
            self.in_flow(node, &parcels, outgoing.as_ref(), &removed);
        } else {
            self.in_block(node, &parcels, outgoing.as_ref(), &removed);
        }
    }

    /// The entry of a deprecated field, if it is there itself and not by way of a merge key.
    fn entry<'a>(&mut self, node: Node<'a>, field: &str, path: &str) -> Option<Entry<'a>> {
        let found = Entry::of(node, field);
        if found.is_none()
            && let Some(value) = node.get(field)
        {
            let path = join(path, field);
            self.error(
                value,
                &path,
                "the field comes in through a merge key and can't be moved",
                "write it out where it is merged in, and run this again",
            );
        }
        found
    }

    /// The list of rules that has to move, if it holds any that are not there already.
    fn rules<'a>(
        &mut self,
        node: Node<'a>,
        entry: Entry<'a>,
        (field, parent): (&str, &str),
        path: &str,
    ) -> Option<Entry<'a>> {
        let from = join(path, field);
        if !entry.value.is_sequence() && !entry.value.is_null() {
            let message = format!("must be a list, not {}", entry.value.kind());
            self.error(
                entry.value,
                &from,
                message,
                "correct it, and run this again",
            );
            return None;
        }
        let to = format!("{}.egress", join(path, parent));
        if entry.is_empty() {
            self.moved(entry.key, from, None);
            return None;
        }
        self.moved(entry.key, from, Some(to));
        let there = node.dig(&[parent, "egress"]).map(Node::to_json);
        (there != Some(entry.value.to_json())).then_some(entry)
    }

    fn outgoing<'a>(&mut self, node: Node<'a>, path: &str) -> Option<Outgoing<'a>> {
        let entry = self.entry(node, "outgoingConnections", path)?;
        let path = join(path, "outgoingConnections");
        let ip_block = self.entry(entry.value, "ipBlock", &path);
        let platform = Entry::of(entry.value, "platform");
        if let Some(platform) = platform {
            self.platform_stays(platform.key, join(&path, "platform"));
        }
        let ip_block = ip_block?;
        for (entry, path) in [(entry, path.clone()), (ip_block, join(&path, "ipBlock"))] {
            if entry.value.is_alias() {
                self.error(
                    entry.value,
                    &path,
                    "the field is an alias and can't be moved",
                    "write it out, and run this again",
                );
            }
        }
        let stays = entry.value.pairs().count() > 1;
        Some(Outgoing {
            entry,
            ip_block,
            stays,
        })
    }

    /// Puts the fields of the block that have to move into a parcel.
    fn block<'a>(
        &mut self,
        node: Node<'a>,
        outgoing: &Outgoing<'a>,
        path: &str,
        parcel: &mut Parcel<'a>,
    ) {
        let block = outgoing.ip_block;
        let base = below(path, "outgoingConnections.ipBlock");
        if block.is_empty() {
            self.moved(block.key, base, None);
            return;
        }
        for (key, value) in block.value.pairs() {
            let Some(name) = key.key_text() else { continue };
            let Some(field) = BLOCK.into_iter().find(|f| *f == name) else {
                let message = "unknown field in ipBlock";
                self.error(
                    key,
                    &join(&base, &name),
                    message,
                    "the fields are cidr, except",
                );
                continue;
            };
            let from = join(&base, field);
            if value.is_null() {
                self.moved(key, from, None);
                continue;
            }
            let to = format!("{}.{field}", below(path, "workload.publicEgress"));
            let there = node.dig(&["workload", "publicEgress", field]);
            match there.filter(|there| !there.is_null()).map(Node::to_json) {
                None => {
                    parcel.block.push(Entry {
                        key,
                        value,
                        flow: block.value.is_flow(),
                    });
                    self.moved(key, from, Some(to));
                }
                Some(there) if there == value.to_json() || is_default(field, &value.to_json()) => {
                    self.moved(key, from, None);
                }
                Some(_) => {
                    let message = format!("the field and its successor {to} differ");
                    self.error(key, &from, message, "remove the one that is not meant");
                }
            }
        }
        parcel.containers = vec![block];
        if !outgoing.stays {
            parcel.containers.insert(0, outgoing.entry);
        }
    }

    /// Rewrites an object in block style.
    fn in_block(
        &mut self,
        node: Node<'_>,
        parcels: &[(&str, Parcel<'_>)],
        outgoing: Option<&Outgoing<'_>>,
        removed: &[Entry<'_>],
    ) {
        let lines = self.lines;
        let mut taken: Vec<usize> = Vec::new();
        let column = node
            .pairs()
            .next()
            .map_or(0, |(key, _)| lines.column(key.span().start));
        let unit = step(node, &lines);
        for (name, parcel) in parcels.iter().filter(|(_, p)| !p.is_empty()) {
            let parent = Entry::of(node, name);
            match parent {
                Some(parent) if !parent.is_empty() => {
                    self.fill_parent(&parent, parcel, column, unit);
                }
                _ => {
                    let text = new_parent(&lines, name, parcel, column, unit);
                    let location = parent.or(parcel.rules).or_else(|| {
                        let outgoing = outgoing?;
                        (!outgoing.stays).then_some(outgoing.entry)
                    });
                    match (location, outgoing) {
                        (Some(location), _) => {
                            let extent = lines.extent(&location);
                            let own = if parent.is_some() {
                                lines.comments(&location, column)
                            } else {
                                String::new()
                            };
                            taken.push(extent.start);
                            self.replace(extent, own + &text);
                        }
                        (None, Some(outgoing)) => {
                            let end = lines.extent(&outgoing.entry).end;
                            self.insert(end, &text);
                        }
                        (None, None) => {}
                    }
                }
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
        if let Some(outgoing) = outgoing.filter(|o| o.stays) {
            if outgoing.ip_block.flow {
                self.delete(outgoing.entry.value, &[outgoing.ip_block]);
            } else {
                let extent = lines.extent(&outgoing.ip_block);
                self.replace(extent, "");
            }
        }
    }

    /// Whole lines put in at the beginning of a line, or at the end of the text.
    pub(super) fn insert(&mut self, at: usize, text: &str) {
        let cut_short = !self.lines.get(0..at).ends_with('\n');
        let eol = if cut_short { self.lines.eol } else { "" };
        self.replace(at..at, format!("{eol}{text}"));
    }

    /// Puts a parcel into a `controlPlane` or `workload` that holds something already.
    fn fill_parent(&mut self, parent: &Entry<'_>, parcel: &Parcel<'_>, column: usize, unit: usize) {
        let lines = self.lines;
        if parent.value.is_flow() || parent.value.is_alias() {
            let text = opened(&lines, parent, parcel, column, unit);
            let extent = lines.extent(parent);
            self.replace(extent, text);
            return;
        }
        let inner = parent
            .value
            .pairs()
            .next()
            .map_or(column + unit, |(key, _)| lines.column(key.span().start));
        let end = lines.extent(parent).end;
        let mut behind = String::new();
        if let Some(rules) = &parcel.rules {
            match Entry::of(parent.value, "egress") {
                Some(egress) if egress.is_empty() => {
                    let text =
                        lines.comments(&egress, inner) + &lines.render(rules, "egress", inner);
                    self.replace(lines.extent(&egress), text);
                }
                Some(egress) if egress.value.is_flow() || egress.value.is_alias() => {
                    let text = lines.comments(&egress, inner)
                        + &joined(&lines, &egress, rules, inner, inner + unit);
                    self.replace(lines.extent(&egress), text);
                }
                Some(egress) => {
                    let items = lines.items(rules, lines.dash_column(&egress));
                    self.insert(lines.extent(&egress).end, &items);
                }
                None => behind += &lines.render(rules, "egress", inner),
            }
        }
        if !parcel.block.is_empty() {
            match Entry::of(parent.value, "publicEgress") {
                Some(public) if public.is_empty() || public.value.is_flow() => {
                    let mut text = lines.comments(&public, inner);
                    text += &opened_public(&lines, &public, parcel, inner, unit);
                    self.replace(lines.extent(&public), text);
                }
                Some(public) => {
                    let column = public
                        .value
                        .pairs()
                        .next()
                        .map_or(inner + unit, |(key, _)| lines.column(key.span().start));
                    for entry in &parcel.block {
                        let name = entry.key.key_text().unwrap_or_default();
                        if let Some(null) = Entry::of(public.value, &name) {
                            self.replace(lines.extent(&null), "");
                        }
                    }
                    let text = block_lines(&lines, parcel, column);
                    self.insert(lines.extent(&public).end, &text);
                }
                None => behind += &new_public(&lines, parcel, inner, unit),
            }
        }
        if !behind.is_empty() {
            self.insert(end, &behind);
        }
    }

    /// Rewrites an object in flow style.
    fn in_flow(
        &mut self,
        node: Node<'_>,
        parcels: &[(&str, Parcel<'_>)],
        outgoing: Option<&Outgoing<'_>>,
        removed: &[Entry<'_>],
    ) {
        let lines = self.lines;
        let quoted = removed
            .first()
            .copied()
            .or(outgoing.map(|o| o.entry))
            .is_some_and(|e| lines.get(e.key.span()).starts_with('"'));
        let name = |text: &str| {
            if quoted {
                format!("\"{text}\"")
            } else {
                text.to_owned()
            }
        };
        let mut gone: Vec<Entry<'_>> = removed.to_vec();
        for (parent_name, parcel) in parcels.iter().filter(|(_, p)| !p.is_empty()) {
            let rules = parcel
                .rules
                .map(|entry| lines.pair(&entry, &name("egress")));
            let fields: Vec<String> = parcel
                .block
                .iter()
                .map(|e| lines.get(e.key.span().start..e.end()).to_owned())
                .collect();
            let fields = fields.join(", ");
            let public =
                (!fields.is_empty()).then(|| format!("{}: {{{fields}}}", name("publicEgress")));
            let parent = Entry::of(node, parent_name);
            let Some(parent) = parent.filter(|p| !p.is_empty()) else {
                let parts: Vec<String> = rules.into_iter().chain(public).collect();
                let text = format!("{}: {{{}}}", name(parent_name), parts.join(", "));
                let location = parent
                    .or(parcel.rules)
                    .or(outgoing.filter(|o| !o.stays).map(|o| o.entry));
                match (location, outgoing) {
                    (Some(location), _) => {
                        gone.retain(|e| e.key.span() != location.key.span());
                        self.replace(location.key.span().start..location.end(), text);
                    }
                    (None, Some(outgoing)) => {
                        let end = outgoing.entry.end();
                        self.replace(end..end, format!(", {text}"));
                    }
                    (None, None) => {}
                }
                continue;
            };
            if let (Some(text), Some(entry)) = (rules, parcel.rules) {
                self.flow_rules(&parent, &entry, text);
            }
            if let Some(text) = public {
                self.flow_public(&parent, text, &fields);
            }
        }
        self.delete(node, &gone);
        if let Some(outgoing) = outgoing.filter(|o| o.stays) {
            self.delete(outgoing.entry.value, &[outgoing.ip_block]);
        }
    }

    fn flow_rules(&mut self, parent: &Entry<'_>, rules: &Entry<'_>, text: String) {
        let Some(egress) = Entry::of(parent.value, "egress") else {
            self.append(parent.value, &text);
            return;
        };
        if egress.is_empty() {
            self.replace(egress.key.span().start..egress.end(), text);
            return;
        }
        let items: Vec<&str> = rules
            .value
            .items()
            .map(|item| self.lines.get(item.span()))
            .collect();
        let items = format!(", {}", items.join(", "));
        if let Some(last) = egress.value.items().last() {
            let end = last.span().end;
            self.replace(end..end, items);
        }
    }

    fn flow_public(&mut self, parent: &Entry<'_>, text: String, fields: &str) {
        match Entry::of(parent.value, "publicEgress") {
            None => self.append(parent.value, &text),
            Some(public) if public.is_empty() => {
                self.replace(public.key.span().start..public.end(), text);
            }
            Some(public) => self.append(public.value, fields),
        }
    }

    /// Adds a pair to a flow mapping that has some.
    fn append(&mut self, mapping: Node<'_>, pair: &str) {
        if let Some((key, value)) = mapping.pairs().last() {
            let last = Entry {
                key,
                value,
                flow: true,
            };
            self.replace(last.end()..last.end(), format!(", {pair}"));
        }
    }

    /// Takes pairs out of a flow mapping, each with one comma.
    pub(super) fn delete(&mut self, mapping: Node<'_>, gone: &[Entry<'_>]) {
        let pairs: Vec<Entry<'_>> = mapping
            .pairs()
            .map(|(key, value)| Entry {
                key,
                value,
                flow: true,
            })
            .collect();
        let is_gone = |e: &Entry<'_>| gone.iter().any(|g| g.key.span() == e.key.span());
        let mut spans: Vec<Range<usize>> = Vec::new();
        let mut kept_end = None;
        for (i, pair) in pairs.iter().enumerate() {
            if !is_gone(pair) {
                kept_end = Some(pair.end());
                continue;
            }
            let next_kept = pairs
                .get(i + 1..)
                .unwrap_or_default()
                .iter()
                .any(|e| !is_gone(e));
            match (next_kept, pairs.get(i + 1), kept_end) {
                (true, Some(next), _) => {
                    spans.push(pair.key.span().start..next.key.span().start);
                }
                (_, _, Some(end)) => {
                    spans.push(end..pair.end());
                    kept_end = Some(pair.end());
                }
                (_, Some(next), None) => spans.push(pair.key.span().start..next.key.span().start),
                (_, None, None) => spans.push(pair.key.span().start..pair.end()),
            }
        }
        for span in spans {
            self.replace(span, "");
        }
    }
}

fn below(path: &str, fields: &str) -> String {
    if path.is_empty() {
        fields.to_owned()
    } else {
        format!("{path}.{fields}")
    }
}

fn is_default(field: &str, value: &Value) -> bool {
    match (field, value) {
        ("cidr", Value::String(cidr)) => cidr == DEFAULT_CIDR,
        ("except", Value::Array(list)) => {
            list.iter().map(Value::as_str).eq(DEFAULT_EXCEPT.map(Some))
        }
        _ => false,
    }
}

/// By how much this text indents.
fn step(node: Node<'_>, lines: &Lines<'_>) -> usize {
    let own = node
        .pairs()
        .next()
        .map_or(0, |(key, _)| lines.column(key.span().start));
    let inner = node
        .pairs()
        .filter(|(_, value)| value.is_mapping() && !value.is_flow())
        .find_map(|(_, value)| value.pairs().next())
        .map(|(key, _)| lines.column(key.span().start));
    match inner {
        Some(inner) if inner > own => inner - own,
        _ if own.is_multiple_of(4) && own >= 8 => 4,
        _ => 2,
    }
}

/// `controlPlane:` or `workload:` with what goes into it.
pub(super) fn new_parent_text(
    lines: &Lines<'_>,
    block: &[Entry<'_>],
    containers: &[Entry<'_>],
    column: usize,
    unit: usize,
) -> String {
    let parcel = Parcel {
        rules: None,
        block: block.to_vec(),
        containers: containers.to_vec(),
    };
    new_parent(lines, "workload", &parcel, column, unit)
}

fn new_parent(
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
    let comment = lines.comment_behind(public.end());
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
    let egress = Entry::of(parent.value, "egress").filter(|e| !e.is_empty());
    let public = Entry::of(parent.value, "publicEgress").filter(|e| !e.is_empty());
    let mut without = Vec::new();
    if parcel.rules.is_some() {
        without.push("egress");
    }
    if !parcel.block.is_empty() {
        without.push("publicEgress");
    }
    text += &pair_lines(lines, parent.value, &without, inner);
    if let Some(rules) = &parcel.rules {
        text += &match egress {
            Some(egress) => joined(lines, &egress, rules, inner, inner + unit),
            None => lines.render(rules, "egress", inner),
        };
    }
    if !parcel.block.is_empty() {
        text += &match public {
            Some(public) => {
                let inside = Entry {
                    flow: true,
                    ..public
                };
                let mut names = Vec::new();
                names.extend(parcel.block.iter().filter_map(|e| e.key.key_text()));
                let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
                lines.line(inner, "publicEgress:")
                    + &pair_lines(lines, inside.value, &names, inner + unit)
                    + &block_lines(lines, parcel, inner + unit)
            }
            None => new_public(lines, parcel, inner, unit),
        };
    }
    text
}
