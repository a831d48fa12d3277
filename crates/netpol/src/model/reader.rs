//! Reads a [`ClusterModel`] from manifests: a rendered chart, `kubectl get -o yaml`, files put together.
//!
//! It takes what the questions need and passes over everything else. It does not judge: a field
//! that Kubernetes doesn't know is ignored here as it is in the cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;

use crate::evaluate::Policies;
use crate::kubernetes;
use crate::model::cluster::{ClusterModel, Draft};
use crate::model::pod::Pod;
use crate::model::policy::{Direction, Policy};
use crate::sets::addresses::parse_address;
use crate::sets::ports::{NamedPort, Protocol};
use crate::sets::selector::Labels;
use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position, Quoting, Severity};
use manifest::documents;
use manifest::schema::{self, Origin, Shape, Unknown};
use manifest::yaml::{Node, Tree};

/// The kinds that run pods, and where the pod's template stands.
const TEMPLATES: [(&str, &[&str]); 6] = [
    ("Deployment", &["spec", "template"]),
    ("StatefulSet", &["spec", "template"]),
    ("DaemonSet", &["spec", "template"]),
    ("ReplicaSet", &["spec", "template"]),
    ("Job", &["spec", "template"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template"]),
];

/// A document without any of these words is of no interest, and need not even be YAML.
const NEEDLES: [&str; 8] = [
    "NetworkPolicy",
    "Namespace",
    "Pod",
    "List",
    "Deployment",
    "Set",
    "Job",
    "\\",
];

/// How deep lists of lists are followed.
const MAX_LISTS: usize = 8;

/// Reads one manifest. Objects without a namespace are put into `namespace`.
///
/// # Errors
/// A document that should be read and is no YAML, and a policy that can't be understood.
pub fn read(text: &[u8], file: &str, namespace: &str) -> Result<ClusterModel, Diagnostics> {
    read_all([(file, text)], namespace)
}

/// Reads several manifests, each with its name, into one model.
///
/// # Errors
/// As for [`read`].
pub fn read_all<'t>(
    files: impl IntoIterator<Item = (&'t str, &'t [u8])>,
    namespace: &str,
) -> Result<ClusterModel, Diagnostics> {
    let mut reader = Reader {
        file: "",
        namespace,
        namespaces: BTreeMap::new(),
        drafts: Vec::new(),
        policies: Policies::default(),
    };
    for (file, text) in files {
        reader.file = file;
        let (mut line, mut counted) = (1, 0);
        for document in documents::split(text) {
            let before = text.get(counted..document.body.start).unwrap_or_default();
            line += memchr::memchr_iter(b'\n', before).count();
            counted = document.body.start;
            let body = text.get(document.body).unwrap_or_default();
            reader.document(line, body)?;
        }
    }
    Ok(ClusterModel::new(
        reader.namespaces,
        reader.drafts,
        reader.policies,
    ))
}

struct Reader<'r> {
    file: &'r str,
    namespace: &'r str,
    namespaces: BTreeMap<String, Labels>,
    drafts: Vec<Draft>,
    policies: Policies,
}

impl Reader<'_> {
    fn document(&mut self, line: usize, bytes: &[u8]) -> Result<(), Diagnostics> {
        let place = Location {
            object: Some(self.file.to_owned()),
            stream_line: Some(line),
            ..Location::default()
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            let policy = b"NetworkPolicy";
            if bytes.windows(policy.len()).any(|w| w == policy) {
                let message = "a document that speaks of a NetworkPolicy is not UTF-8";
                return Err(Diagnostic::error(message).at(place).into());
            }
            return Ok(());
        };
        if !NEEDLES.iter().any(|needle| text.contains(needle)) {
            return Ok(());
        }
        let unreadable = |e: manifest::yaml::YamlError| {
            Diagnostic::error(e.message).at(Location {
                position: Some(of_the_file(e.position, line)),
                ..place.clone()
            })
        };
        let tree = Tree::parse_cluster(text).map_err(unreadable)?;
        match tree.root() {
            Some(root) => self.object(root, line, None, 0),
            None => Ok(()),
        }
    }

    fn object(
        &mut self,
        node: Node<'_>,
        line: usize,
        kind: Option<&str>,
        depth: usize,
    ) -> Result<(), Diagnostics> {
        let own_kind = text(node, &["kind"]);
        let Some(kind) = own_kind.as_deref().or(kind) else {
            return Ok(());
        };
        if let Some(of) = kind.strip_suffix("List")
            && depth < MAX_LISTS
        {
            for item in node.get("items").into_iter().flat_map(Node::items) {
                self.object(item, line, Some(of), depth + 1)?;
            }
            return Ok(());
        }
        let version = text(node, &["apiVersion"]).unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        match (kind, group) {
            ("Namespace", "") => {
                if let Some(name) = text(node, &["metadata", "name"]) {
                    let labels = labels(node.dig(&["metadata", "labels"]));
                    self.namespaces.insert(name, labels);
                }
            }
            ("Pod", "") => self.pod(node, node, true),
            (kubernetes::KIND, "" | kubernetes::GROUP | kubernetes::OLD_GROUP) => {
                return self.policy(node, line);
            }
            (kind, "" | "apps" | "batch") => {
                if let Some((_, path)) = TEMPLATES.iter().find(|(known, _)| *known == kind)
                    && let Some(template) = node.dig(path)
                {
                    self.pod(node, template, false);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn namespace_of(&self, node: Node<'_>) -> String {
        text(node, &["metadata", "namespace"])
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| self.namespace.to_owned())
    }

    fn pod(&mut self, object: Node<'_>, pod: Node<'_>, is_pod: bool) {
        let addresses = if is_pod { addresses(pod) } else { Vec::new() };
        self.drafts.push(Draft {
            pod: Pod {
                namespace: self.namespace_of(object),
                name: text(object, &["metadata", "name"]).unwrap_or_default(),
                labels: labels(pod.dig(&["metadata", "labels"])),
                ports: Some(ports(pod)),
                ..Pod::default()
            },
            addresses,
            is_pod,
        });
    }

    fn policy(&mut self, node: Node<'_>, line: usize) -> Result<(), Diagnostics> {
        let namespace = self.namespace_of(node);
        let name = text(node, &["metadata", "name"]).unwrap_or_default();
        let place = Location {
            object: Some(format!("NetworkPolicy {namespace}/{name} of {}", self.file)),
            stream_line: Some(line),
            ..Location::default()
        };
        let spec = node.get("spec").filter(|spec| !spec.is_null());
        if let Some(spec) = spec {
            let origin = Origin {
                place: place.clone(),
                quoting: Quoting::Show,
            };
            let shape = Shape::Object(&kubernetes::SPEC);
            // The cluster has no use for a field that it doesn't know, and neither have we.
            let found = schema::check(spec, shape, "spec", &origin, Unknown::Warn(""));
            let mut errors = Diagnostics::default();
            errors.extend(
                found
                    .into_iter()
                    .filter(|p| p.severity == Severity::Error)
                    .map(|mut problem| {
                        let own = problem.place.position;
                        problem.place.position = own.map(|at| of_the_file(at, line));
                        problem
                    }),
            );
            if errors.has_errors() {
                return Err(errors);
            }
        }
        let typed: NetworkPolicySpec = match spec {
            None => NetworkPolicySpec::default(),
            Some(spec) => serde_json::from_value(spec.to_json())
                .map_err(|e| Diagnostic::error(e.to_string()).at(place.at("spec", None)))?,
        };
        let mut policy = Policy::read(&namespace, &name, Some(&typed))
            .map_err(|e| Diagnostic::error(e.message).at(place.at(e.path, None)))?;
        for (direction, list) in [
            (Direction::Ingress, "ingress"),
            (Direction::Egress, "egress"),
        ] {
            let rules = spec.and_then(|spec| spec.get(list)).into_iter();
            let comments = rules.flat_map(Node::items).map(Node::comment_above);
            policy.note_comments(direction, comments);
        }
        self.policies.add(policy);
        Ok(())
    }
}

/// A position in a document that begins on a line of its file.
fn of_the_file(position: Position, line: usize) -> Position {
    Position {
        line: position.line + line - 1,
        ..position
    }
}

fn text(node: Node<'_>, path: &[&str]) -> Option<String> {
    Some(node.dig(path)?.text()?.into_owned())
}

fn labels(node: Option<Node<'_>>) -> Labels {
    let entries = node.map(Node::entries).unwrap_or_default();
    entries
        .into_iter()
        .map(|(key, value)| {
            let value = value.text().unwrap_or_default().into_owned();
            (key.into_owned(), value)
        })
        .collect()
}

fn addresses(pod: Node<'_>) -> Vec<IpAddr> {
    let many = pod.dig(&["status", "podIPs"]).into_iter();
    let many = many
        .flat_map(Node::items)
        .filter_map(|ip| text(ip, &["ip"]));
    let mut addresses: Vec<IpAddr> = many
        .chain(text(pod, &["status", "podIP"]))
        .filter_map(|ip| parse_address(&ip))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn ports(pod: Node<'_>) -> Vec<NamedPort> {
    let mut ports = Vec::new();
    // Sidecars are init containers that go on running.
    for list in ["containers", "initContainers"] {
        let containers = pod.dig(&["spec", list]).into_iter().flat_map(Node::items);
        for port in containers.flat_map(|c| c.get("ports").into_iter().flat_map(Node::items)) {
            let protocol = match text(port, &["protocol"]) {
                None => Ok(Protocol::Tcp),
                Some(text) => text.parse(),
            };
            let number = port.get("containerPort").and_then(schema::whole_number);
            let number = number.and_then(|n| u16::try_from(n).ok());
            if let (Some(name), Ok(protocol), Some(number)) =
                (text(port, &["name"]), protocol, number)
            {
                ports.push(NamedPort {
                    name,
                    protocol,
                    number,
                });
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(text: &str) -> ClusterModel {
        read(text.as_bytes(), "test", "home").unwrap()
    }

    #[test]
    fn lists_templates_and_pods_are_found() {
        let model = model(
            "kind: List\napiVersion: v1\nitems:\n\
             - {kind: Pod, metadata: {name: a}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}\n\
             - {apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: x}, \
             spec: {template: {metadata: {labels: {n: 1}}}}}\n\
             ---\nno: [yaml\n---\nkind: PodList\nitems: [{metadata: {name: b, namespace: x}}]\n",
        );
        assert_eq!(model.pods().len(), 3);
        assert_eq!(model.pod("home", "a").unwrap().addresses.cidrs().len(), 2);
        assert_eq!(model.pod("x", "d").unwrap().labels["n"], "1");
        let own = &model.namespace_labels("x")["kubernetes.io/metadata.name"];
        assert_eq!(own, "x");
    }

    #[test]
    fn other_peoples_policies_are_no_network_policies() {
        let model = model(
            "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: a}\n\
             spec: {selector: all()}\n---\napiVersion: extensions/v1beta1\nkind: NetworkPolicy\n\
             metadata: {name: b}\n---apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {name: c}\n",
        );
        let names: Vec<&str> = model.policies().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
    }

    #[test]
    fn the_comment_above_a_rule_is_kept() {
        let model = model(
            "kind: NetworkPolicy\nmetadata: {name: a}\nspec:\n  # Not this.\n  egress:\n\
             \x20 # Reach the\n  # world.\n  - to:\n    - ipBlock: {cidr: 0.0.0.0/0}\n  # Far.\n\n\
             \x20 - ports: [{port: 1}]\n",
        );
        let policy = model.policies().iter().next().unwrap();
        let rules = policy.rules(Direction::Egress).unwrap();
        assert_eq!(rules[0].comment.as_deref(), Some("Reach the world."));
        assert_eq!(rules[1].comment, None);
    }

    #[test]
    fn a_bad_policy_is_named_with_its_place() {
        let text = "kind: NetworkPolicy\nmetadata: {name: a}\n\
                    spec: {egress: [{to: [{ipBlock: {cidr: 10.0.0.0}}]}]}\n";
        let problem = read(text.as_bytes(), "f.yaml", "home")
            .unwrap_err()
            .to_string();
        assert!(
            problem.contains("spec.egress[0].to[0].ipBlock.cidr"),
            "{problem}"
        );
        assert!(problem.contains("home/a"), "{problem}");
    }
}
