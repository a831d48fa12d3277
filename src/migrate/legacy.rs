//! The values of charts up to 0.19: `isolation.networkPolicy`.
//!
//! Only what concerns network policies is moved; the rest of `isolation` governs quotas and pod
//! security, and `vcluster convert config` is the tool for those.

use serde_json::{Map, Value, json};

use super::Rewrite;
use super::fields::{expected, new_parent_text};
use super::object;
use super::text::Entry;
use manifest::yaml::Node;

impl Rewrite<'_> {
    /// Rewrites values that hold `isolation`, and says what they mean then; `None` for others.
    pub(super) fn isolation(&mut self, root: Node<'_>) -> Option<Value> {
        let isolation = Entry::of(root, "isolation").filter(|e| e.value.is_mapping())?;
        let policy = Entry::of(isolation.value, "networkPolicy");
        if let Some(namespace) = isolation.value.get("namespace").filter(|n| !n.is_null()) {
            self.error(
                namespace,
                "isolation.namespace",
                "the field has no successor",
                "remove it; workloads run in the namespace of the virtual cluster",
            );
        }
        let root_is_flow = root.is_flow();
        if root_is_flow || policy.is_some_and(|p| p.value.is_alias()) {
            self.error(
                isolation.key,
                "isolation",
                "the values are written in a way that can't be rewritten",
                "write them in block style, one key in a line, and run this again",
            );
        }
        if !self.errors.is_empty() {
            return None;
        }
        let meaning = meaning(root);
        self.moved(
            isolation.key,
            "isolation.networkPolicy".to_owned(),
            Some("policies.networkPolicy".to_owned()),
        );
        let text = self.policies(root, &isolation, policy.as_ref(), &meaning);
        let lines = self.lines;
        let extent = lines.extent(&isolation);
        let mut json = object(root.to_json());
        let mut rest = json.remove("isolation").map(object).unwrap_or_default();
        rest.remove("networkPolicy");
        match policy {
            Some(_) if rest.is_empty() => self.replace(extent.clone(), ""),
            Some(policy) if policy.flow => {
                self.delete(isolation.value, &[policy]);
                json.insert("isolation".to_owned(), Value::Object(rest));
            }
            Some(policy) => {
                self.replace(lines.extent(&policy), "");
                json.insert("isolation".to_owned(), Value::Object(rest));
            }
            None => {
                json.insert("isolation".to_owned(), Value::Object(rest));
            }
        }
        let mut policies = json.remove("policies").map(object).unwrap_or_default();
        policies.insert("networkPolicy".to_owned(), Value::Object(meaning));
        json.insert("policies".to_owned(), Value::Object(policies));
        match Entry::of(root, "policies") {
            Some(there) if !there.is_empty() && !there.value.is_flow() => {
                let inner: String = text.split_inclusive('\n').skip(1).collect();
                self.insert(lines.extent(&there).end, &inner);
            }
            Some(there) if !there.is_empty() => {
                self.error(
                    there.key,
                    "policies",
                    "the values are written in a way that can't be rewritten",
                    "write policies in block style, one key in a line, and run this again",
                );
            }
            Some(there) => self.replace(lines.extent(&there), text),
            None => self.insert(extent.end, &text),
        }
        Some(Value::Object(json))
    }

    /// `policies:` with all that was said in `isolation`.
    fn policies(
        &mut self,
        root: Node<'_>,
        isolation: &Entry<'_>,
        policy: Option<&Entry<'_>>,
        meaning: &Map<String, Value>,
    ) -> String {
        const UNIT: usize = 2;
        let lines = self.lines;
        let column = lines.column(isolation.key.span().start);
        let at = |level: usize| column + level * UNIT;
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
                Entry::of(root, "coredns").and_then(|c| Entry::of(c.value, "fallback"))
        {
            let written = lines.get(fallback.value.span());
            text += &lines.line(at(2), &format!("fallbackDns: {written}"));
        }
        let outgoing = policy.and_then(|p| Entry::of(p.value, "outgoingConnections"));
        let Some(outgoing) = outgoing else {
            return text;
        };
        if let Some(platform) = Entry::of(outgoing.value, "platform") {
            text += &lines.line(at(2), "outgoingConnections:");
            text += &lines.render(&platform, "platform", at(3));
            self.platform_stays(
                platform.key,
                "isolation.networkPolicy.outgoingConnections.platform".to_owned(),
            );
        }
        let Some(ip_block) = Entry::of(outgoing.value, "ipBlock") else {
            return text;
        };
        let fields: Vec<Entry<'_>> = ip_block
            .value
            .pairs()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| Entry {
                key,
                value,
                flow: ip_block.value.is_flow(),
            })
            .collect();
        if !fields.is_empty() {
            text += &new_parent_text(&lines, &fields, &[outgoing, ip_block], at(2), UNIT);
        }
        text
    }
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
