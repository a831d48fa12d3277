//! A network policy as data, with all that the API server takes for the same thing made the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The annotation by which Helm 4 keeps track of a document's template.
pub(crate) const FILENAME: &str = "postrenderer.helm.sh/postrender-filename";

type Strings = BTreeMap<String, String>;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Policy {
    api_version: String,
    kind: String,
    pub(crate) metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    #[serde(default)]
    labels: Option<Strings>,
    #[serde(default)]
    pub(crate) annotations: Option<Strings>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    pod_selector: Option<Selector>,
    #[serde(default)]
    policy_types: Option<Vec<String>>,
    #[serde(default)]
    egress: Option<Vec<Rule>>,
    #[serde(default)]
    ingress: Option<Vec<Rule>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ports: Option<Vec<Port>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Vec<Peer>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Vec<Peer>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Port {
    #[serde(default)]
    protocol: Option<String>,
    #[serde(default, rename = "port", skip_serializing_if = "Option::is_none")]
    first: Option<Number>,
    #[serde(default, rename = "endPort", skip_serializing_if = "Option::is_none")]
    last: Option<i64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Name(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Peer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pod_selector: Option<Selector>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace_selector: Option<Selector>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip_block: Option<Block>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    cidr: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    except: Option<Vec<String>>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    match_labels: Option<Strings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    match_expressions: Option<Vec<Expression>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    key: String,
    operator: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
}

impl Policy {
    /// The same policy without what says nothing: empty lists and maps, the default protocol left
    /// out, Helm 4's annotation.
    pub(crate) fn normalised(mut self) -> Self {
        if let Some(annotations) = &mut self.metadata.annotations {
            annotations.remove(FILENAME);
        }
        drop_empty_map(&mut self.metadata.annotations);
        drop_empty_map(&mut self.metadata.labels);
        if let Some(selector) = &mut self.spec.pod_selector {
            selector.normalise();
        }
        for rules in [&mut self.spec.egress, &mut self.spec.ingress] {
            drop_empty(rules);
            for rule in rules.iter_mut().flatten() {
                rule.normalise();
            }
        }
        self
    }

    /// Where the two differ, line by line of their JSON; nothing when they are the same.
    pub(crate) fn difference(&self, want: &Self) -> Option<String> {
        if self == want {
            return None;
        }
        let json = |policy| serde_json::to_string_pretty(policy).expect("JSON");
        let (got, want) = (json(self), json(want));
        let (got, want): (Vec<&str>, Vec<&str>) = (got.lines().collect(), want.lines().collect());
        let first = got.iter().zip(&want).take_while(|(g, w)| g == w).count();
        let around = |lines: &[&str]| {
            let from = first.saturating_sub(3);
            let to = lines.len().min(first + 6);
            lines[from..to].join("\n    ")
        };
        Some(format!(
            "differs from line {first} of its JSON on:\n  got\n    {}\n  want\n    {}",
            around(&got),
            around(&want)
        ))
    }
}

impl Rule {
    fn normalise(&mut self) {
        drop_empty(&mut self.ports);
        for port in self.ports.iter_mut().flatten() {
            port.protocol.get_or_insert_with(|| "TCP".to_owned());
        }
        for peers in [&mut self.from, &mut self.to] {
            drop_empty(peers);
            for peer in peers.iter_mut().flatten() {
                for selector in peer
                    .pod_selector
                    .iter_mut()
                    .chain(&mut peer.namespace_selector)
                {
                    selector.normalise();
                }
                if let Some(block) = &mut peer.ip_block {
                    drop_empty(&mut block.except);
                }
            }
        }
    }
}

impl Selector {
    fn normalise(&mut self) {
        drop_empty_map(&mut self.match_labels);
        drop_empty(&mut self.match_expressions);
        for expression in self.match_expressions.iter_mut().flatten() {
            drop_empty(&mut expression.values);
        }
    }
}

fn drop_empty<T>(list: &mut Option<Vec<T>>) {
    list.take_if(|list| list.is_empty());
}

fn drop_empty_map(map: &mut Option<Strings>) {
    map.take_if(|map| map.is_empty());
}
