//! Deprecated fields moved in flow style: JSON, or YAML between braces.

use std::ops::Range;

use super::Rewrite;
use super::fields::Parcel;
use manifest::entries::Entry;
use manifest::yaml::Node;

impl Rewrite<'_> {
    /// Rewrites an object in flow style.
    pub(super) fn in_flow(
        &mut self,
        node: Node<'_>,
        parcels: &[(&str, Parcel<'_>)],
        removed: &[Entry<'_>],
    ) {
        let lines = self.lines;
        let is_quoted = removed
            .first()
            .is_some_and(|entry| lines.get(entry.key.span()).starts_with('"'));
        let name = |text: &str| {
            if is_quoted {
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
            let fields: Vec<&str> = parcel
                .block
                .iter()
                .map(|e| lines.get(e.key.span().start..e.end()))
                .collect();
            let fields = fields.join(", ");
            let public =
                (!fields.is_empty()).then(|| format!("{}: {{{fields}}}", name("publicEgress")));
            let parent = Entry::of(node, parent_name);
            if let Some(parent) = parent.filter(|p| !p.is_empty()) {
                if let (Some(text), Some(entry)) = (rules, parcel.rules) {
                    self.flow_rules(&parent, &entry, text);
                }
                if let Some(text) = public {
                    self.flow_public(&parent, text, &fields);
                }
                continue;
            }
            let parts: Vec<String> = rules.into_iter().chain(public).collect();
            let text = format!("{}: {{{}}}", name(parent_name), parts.join(", "));
            let place = parent.or(parcel.rules);
            if let Some(place) = place.or(parcel.containers.first().copied()) {
                gone.retain(|e| e.key.span() != place.key.span());
                self.replace(place.key.span().start..place.end(), text);
            }
        }
        self.delete(node, &gone);
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
