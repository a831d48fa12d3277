//! A policy as text that every reader of YAML understands alike.
//!
//! Helm and kubectl read YAML 1.1, other tools 1.2, and they disagree on what a bare `yes`, `1e3`
//! or `1_000` is. So a string is plain only where no reader can take it for anything else, and in
//! double quotes with escapes otherwise. Where the text goes is not decided here.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use crate::vcluster::policies::Policy;
use manifest::escape;
pub use manifest::yaml::write::string;

/// Lines of YAML, each with its indentation.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    indent: usize,
    /// What the next line begins with: the dash of a list item.
    dash: bool,
}

impl Lines {
    fn line(&mut self, content: impl AsRef<str>) {
        let dash = std::mem::take(&mut self.dash);
        let indent = if dash {
            self.indent.saturating_sub(2)
        } else {
            self.indent
        };
        self.text.push_str(&" ".repeat(indent));
        if dash {
            self.text.push_str("- ");
        }
        self.text.push_str(content.as_ref());
        self.text.push('\n');
    }

    fn comment(&mut self, text: &str) {
        // Control characters and further lines would end the comment.
        self.line(format!("# {}", escape::terminal(text)));
    }

    fn pair(&mut self, key: &str, value: &str) {
        self.line(format!("{}: {}", string(key), string(value)));
    }

    fn block(&mut self, head: impl AsRef<str>, inner: impl FnOnce(&mut Self)) {
        self.line(head);
        self.indent += 2;
        inner(self);
        self.indent -= 2;
    }

    /// A list item: its lines follow the dash.
    fn item(&mut self, inner: impl FnOnce(&mut Self)) {
        self.indent += 4;
        self.dash = true;
        inner(self);
        self.dash = false;
        self.indent -= 4;
    }
}

/// A policy as a YAML document, without a marker: `comments` first, each in a line of its own.
#[must_use]
pub fn block(
    policy: &Policy,
    annotations: &BTreeMap<String, String>,
    comments: &[String],
) -> String {
    let mut lines = Lines::default();
    for comment in comments {
        lines.comment(comment);
    }
    lines.line("apiVersion: networking.k8s.io/v1");
    lines.line("kind: NetworkPolicy");
    lines.block("metadata:", |l| {
        l.pair("name", &policy.name);
        if let Some(namespace) = &policy.namespace {
            l.pair("namespace", namespace);
        }
        l.block("labels:", |l| {
            for (key, value) in &policy.labels {
                l.pair(key, value);
            }
        });
        if !annotations.is_empty() {
            l.block("annotations:", |l| {
                for (key, value) in annotations {
                    l.pair(key, value);
                }
            });
        }
    });
    lines.block("spec:", |l| {
        selector(l, "podSelector", &policy.pod_selector);
        l.block("policyTypes:", |l| {
            l.line("- Egress");
            l.line("- Ingress");
        });
        let egress = policy
            .egress
            .iter()
            .map(|r| (&r.comment, &r.rule.ports, &r.rule.to));
        rules(l, "egress", "to", egress);
        let ingress = policy
            .ingress
            .iter()
            .map(|r| (&r.comment, &r.rule.ports, &r.rule.from));
        rules(l, "ingress", "from", ingress);
    });
    lines.text
}

type RuleParts<'p> = (
    &'p String,
    &'p Option<Vec<NetworkPolicyPort>>,
    &'p Option<Vec<NetworkPolicyPeer>>,
);

fn rules<'p>(
    lines: &mut Lines,
    direction: &str,
    peers_field: &str,
    rules: impl Iterator<Item = RuleParts<'p>>,
) {
    let mut rules = rules.peekable();
    if rules.peek().is_none() {
        return;
    }
    lines.block(format!("{direction}:"), |l| {
        for (comment, ports, peers) in rules {
            l.comment(comment);
            let ports = ports.as_deref().unwrap_or_default();
            let peers = peers.as_deref().unwrap_or_default();
            if ports.is_empty() && peers.is_empty() {
                l.line("- {}");
                continue;
            }
            l.indent -= 2;
            l.item(|l| {
                list(l, "ports", ports, port);
                list(l, peers_field, peers, peer);
            });
            l.indent += 2;
        }
    });
}

fn list<T>(lines: &mut Lines, name: &str, items: &[T], mut write: impl FnMut(&mut Lines, &T)) {
    if items.is_empty() {
        return;
    }
    lines.line(format!("{name}:"));
    for item in items {
        lines.item(|l| write(l, item));
    }
}

fn port(lines: &mut Lines, port: &NetworkPolicyPort) {
    match &port.port {
        Some(IntOrString::Int(number)) => lines.line(format!("port: {number}")),
        Some(IntOrString::String(name)) => lines.pair("port", name),
        None => {}
    }
    if let Some(end) = port.end_port {
        lines.line(format!("endPort: {end}"));
    }
    if let Some(protocol) = &port.protocol {
        lines.pair("protocol", protocol);
    }
    if lines.dash {
        lines.line("{}");
    }
}

fn peer(lines: &mut Lines, peer: &NetworkPolicyPeer) {
    // The selector that says something first, as the documentation writes it.
    let everywhere = peer
        .namespace_selector
        .as_ref()
        .is_some_and(|s| *s == LabelSelector::default());
    if let (Some(namespaces), false) = (&peer.namespace_selector, everywhere) {
        selector(lines, "namespaceSelector", namespaces);
    }
    if let Some(pods) = &peer.pod_selector {
        selector(lines, "podSelector", pods);
    }
    if let (Some(namespaces), true) = (&peer.namespace_selector, everywhere) {
        selector(lines, "namespaceSelector", namespaces);
    }
    if let Some(block) = &peer.ip_block {
        lines.block("ipBlock:", |l| {
            l.pair("cidr", &block.cidr);
            let except = block.except.as_deref().unwrap_or_default();
            if !except.is_empty() {
                l.block("except:", |l| {
                    for entry in except {
                        l.line(format!("- {}", string(entry)));
                    }
                });
            }
        });
    }
    if lines.dash {
        lines.line("{}");
    }
}

fn selector(lines: &mut Lines, name: &str, selector: &LabelSelector) {
    let labels = selector.match_labels.iter().flatten().collect::<Vec<_>>();
    let expressions = selector.match_expressions.as_deref().unwrap_or_default();
    if labels.is_empty() && expressions.is_empty() {
        lines.line(format!("{name}: {{}}"));
        return;
    }
    lines.block(format!("{name}:"), |l| {
        if !labels.is_empty() {
            l.block("matchLabels:", |l| {
                for (key, value) in labels {
                    l.pair(key, value);
                }
            });
        }
        list(l, "matchExpressions", expressions, |l, requirement| {
            l.pair("key", &requirement.key);
            l.pair("operator", &requirement.operator);
            let values = requirement.values.as_deref().unwrap_or_default();
            if !values.is_empty() {
                l.block("values:", |l| {
                    for value in values {
                        l.line(format!("- {}", string(value)));
                    }
                });
            }
        });
    });
}

/// A policy as JSON on one line, for a place inside a flow collection: without comments.
#[must_use]
pub fn flow(policy: &Policy, annotations: &BTreeMap<String, String>) -> String {
    let mut metadata = json!({ "name": policy.name });
    if let Some(object) = metadata.as_object_mut() {
        if let Some(namespace) = &policy.namespace {
            object.insert("namespace".to_owned(), json!(namespace));
        }
        let labels: serde_json::Map<String, Value> = policy
            .labels
            .iter()
            .map(|(k, v)| (k.clone(), json!(v)))
            .collect();
        object.insert("labels".to_owned(), Value::Object(labels));
        if !annotations.is_empty() {
            object.insert("annotations".to_owned(), json!(annotations));
        }
    }
    let value = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": policy.spec(),
    });
    // YAML 1.1 takes some characters for line breaks that JSON leaves as they are.
    escape::json(&value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_that_readers_disagree_on_are_quoted() {
        for text in [
            "yes",
            "No",
            "y",
            "1e3",
            "123",
            "0x1f",
            "1_000",
            "012",
            "2001-01-01",
            "~",
            "",
            "null",
            "a: b",
            "a #b",
            "- a",
            "a\nb",
            "é\u{85}",
            "\u{feff}a",
            "=",
            "<<",
            ".5",
            "0.0.0.0/0",
        ] {
            assert!(string(text).starts_with('"'), "{text:?}");
        }
        for text in ["kube-dns", "vcluster.loft.sh/managed-by", "v1", "Nope"] {
            assert_eq!(string(text), text);
        }
    }

    proptest! {
        #[test]
        fn every_string_is_read_back(text in any::<String>(), key in any::<String>()) {
            let document = format!("{}: {}\n", string(&key), string(&text));
            let by_serde: BTreeMap<String, String> = serde_yaml::from_str(&document).unwrap();
            prop_assert_eq!(by_serde.get(&key), Some(&text));
            let tree = manifest::yaml::Tree::parse(&document).unwrap();
            let read = tree.root().unwrap().get(&key).unwrap().to_json();
            prop_assert_eq!(read, json!(text));
        }
    }
}
