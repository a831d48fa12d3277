//! The values of charts up to 0.19: `isolation.networkPolicy`.
//!
//! Only what concerns network policies is moved; the rest of `isolation` governs quotas and pod
//! security, and `vcluster convert config` is the tool for those.

use serde_json::{Map, Value, json};

use super::Rewrite;
use super::block::{UNIT, new_parent};
use super::fields::{Parcel, expected};
use super::object;
use crate::values_files::path::ValuesPath;
use manifest::entries::Entry;
use manifest::yaml::Node;

impl Rewrite<'_> {
    /// Rewrites values that hold `isolation`, which are at `path`, and says what they mean then;
    /// `None` for others.
    pub(super) fn isolation(&mut self, values: Node<'_>, path: &ValuesPath) -> Option<Value> {
        let isolation = Entry::of(values, "isolation").filter(|e| e.value.is_mapping())?;
        let policy = Entry::of(isolation.value, "networkPolicy");
        let json = without_isolation(values);
        if !self.rewritten.insert(isolation.value.span().start) {
            return Some(json);
        }
        self.refuse_isolation(values, &isolation, policy.as_ref(), path);
        if !self.errors.is_empty() {
            return None;
        }
        self.moved(
            isolation.key,
            path.field("isolation.networkPolicy"),
            Some(path.field("policies.networkPolicy")),
        );
        let text = self.policies(values, &isolation, policy.as_ref(), path);
        let lines = self.lines;
        let extent = lines.extent(&isolation);
        match policy {
            Some(_) if isolation.value.pairs().count() == 1 => self.replace(extent.clone(), ""),
            Some(policy) if policy.flow => self.delete(isolation.value, &[policy]),
            Some(policy) => self.replace(lines.extent(&policy), ""),
            None => {}
        }
        match Entry::of(values, "policies") {
            Some(there) if !there.is_empty() => {
                let inner: String = text.split_inclusive('\n').skip(1).collect();
                self.insert(lines.extent(&there).end, &inner);
            }
            Some(there) => self.replace(lines.extent(&there), text),
            None => self.insert(extent.end, &text),
        }
        Some(json)
    }

    /// Refuses what has no successor, and values that are not written in lines.
    fn refuse_isolation(
        &mut self,
        values: Node<'_>,
        isolation: &Entry<'_>,
        policy: Option<&Entry<'_>>,
        path: &ValuesPath,
    ) {
        let namespace = isolation.value.get("namespace");
        if let Some(namespace) = namespace.filter(|namespace| !namespace.is_null()) {
            self.error(
                namespace,
                &path.field("isolation.namespace"),
                "the field has no successor",
                "remove it; workloads run in the namespace of the virtual cluster",
            );
        }
        let policies = Entry::of(values, "policies").filter(|policies| !policies.is_empty());
        let unusual = [
            (
                isolation,
                values.is_flow() || policy.is_some_and(|p| p.value.is_alias()),
            ),
            (
                policies.as_ref().unwrap_or(isolation),
                policies.is_some_and(|policies| policies.value.is_flow()),
            ),
        ];
        for (entry, _) in unusual.iter().filter(|(_, is_unusual)| *is_unusual) {
            let name = entry.key.key_text().unwrap_or_default();
            self.error(
                entry.key,
                &path.field(&name),
                "the values are written in a way that can't be rewritten",
                "write them in block style, one key in a line, and run this again",
            );
        }
    }

    /// `policies:` with what `isolation` says.
    fn policies(
        &mut self,
        values: Node<'_>,
        isolation: &Entry<'_>,
        policy: Option<&Entry<'_>>,
        path: &ValuesPath,
    ) -> String {
        let lines = self.lines;
        let column = lines.column(isolation.key.span().start);
        let at = |level: usize| column + level * UNIT;
        let meaning = meaning(values);
        let mut text = lines.line(column, "policies:");
        if let Some(policy) = policy {
            text += &lines.comments(policy, at(1));
        }
        text += &lines.line(at(1), "networkPolicy:");
        let enabled = policy.and_then(|p| Entry::of(p.value, "enabled"));
        let value = meaning.get("enabled").cloned().unwrap_or_default();
        if let Some(enabled) = &enabled {
            text += &lines.comments(enabled, at(2));
        }
        let comment = enabled
            .filter(|e| !e.flow)
            .map_or("", |e| lines.comment_behind(e.end()));
        text += &lines.line(at(2), &format!("enabled: {value} {comment}"));
        if meaning.contains_key("fallbackDns")
            && let Some(fallback) =
                Entry::of(values, "coredns").and_then(|c| Entry::of(c.value, "fallback"))
        {
            let written = lines.get(fallback.value.span());
            text += &lines.line(at(2), &format!("fallbackDns: {written}"));
        }
        let outgoing = policy.and_then(|p| Entry::of(p.value, "outgoingConnections"));
        text + &outgoing.map_or_else(String::new, |o| self.workload(&o, at(2), path))
    }

    /// `workload:` with the block of addresses that `outgoingConnections` has.
    fn workload(&mut self, outgoing: &Entry<'_>, column: usize, path: &ValuesPath) -> String {
        if let Some(platform) = Entry::of(outgoing.value, "platform") {
            let base = path.field("isolation.networkPolicy.outgoingConnections");
            self.platform(&platform, &base);
        }
        let Some(block) = Entry::of(outgoing.value, "ipBlock") else {
            return String::new();
        };
        let fields: Vec<Entry<'_>> = block
            .value
            .pairs()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| Entry {
                key,
                value,
                flow: block.value.is_flow(),
            })
            .collect();
        if fields.is_empty() {
            return String::new();
        }
        let parcel = Parcel {
            rules: None,
            block: fields,
            containers: vec![*outgoing, block],
        };
        new_parent(&self.lines, "workload", &parcel, column, UNIT)
    }
}

/// The values with `policies.networkPolicy` in place of `isolation.networkPolicy`.
fn without_isolation(values: Node<'_>) -> Value {
    let mut json = object(values.to_json());
    let mut rest = json.remove("isolation").map(object).unwrap_or_default();
    let had_policy = rest.remove("networkPolicy").is_some();
    if !had_policy || !rest.is_empty() {
        json.insert("isolation".to_owned(), Value::Object(rest));
    }
    let mut policies = json.remove("policies").map(object).unwrap_or_default();
    policies.insert("networkPolicy".to_owned(), Value::Object(meaning(values)));
    json.insert("policies".to_owned(), Value::Object(policies));
    Value::Object(json)
}

/// What the values say of network policies, in today's fields.
fn meaning(root: Node<'_>) -> Map<String, Value> {
    let isolation = root.get("isolation").map(Node::to_json).unwrap_or_default();
    let old = isolation.get("networkPolicy").cloned().unwrap_or_default();
    let flag = |value: &Value, default: bool| {
        value
            .get("enabled")
            .and_then(Value::as_bool)
            .unwrap_or(default)
    };
    let mut new = object(expected(&object_or_empty(&old)));
    new.insert(
        "enabled".to_owned(),
        json!(flag(&isolation, false) && flag(&old, true)),
    );
    if let Some(fallback) = root
        .dig(&["coredns", "fallback"])
        .filter(|fallback| !fallback.is_null())
    {
        new.insert("fallbackDns".to_owned(), fallback.to_json());
    }
    new
}

fn object_or_empty(value: &Value) -> Value {
    Value::Object(object(value.clone()))
}
