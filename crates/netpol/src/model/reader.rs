//! Reads a [`ClusterModel`] from manifests: a rendered chart, `kubectl get -o yaml`, files put together.
//!
//! It takes what the questions need and passes over everything else. It does not judge: a field
//! that Kubernetes doesn't know is ignored here as it is in the cluster.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;

use crate::evaluate::Policies;
use crate::kubernetes;
use crate::model::cluster::{ClusterModel, Draft};
use crate::model::pod::{POD, Pod, PodNetwork};
use crate::model::policy::{Direction, Policy};
use crate::model::tier::{self, TierPolicy};
use crate::model::unknown::UnknownPolicy;
use crate::sets::addresses::parse_address;
use crate::sets::ports::{NamedPort, Protocol};
use crate::sets::selector::Labels;
use crate::validate::{self, CidrRule, FieldSpot};
use manifest::diagnostic::{Diagnostic, Diagnostics, Location, Position, Quoting, Severity};
use manifest::documents;
use manifest::schema::{self, Origin, Shape, Unknown};
use manifest::yaml::{Node, Tree};

/// The kinds that run pods, and where the pod's template stands.
const TEMPLATES: [(&str, &[&str]); 7] = [
    ("Deployment", &["spec", "template"]),
    ("StatefulSet", &["spec", "template"]),
    ("DaemonSet", &["spec", "template"]),
    ("ReplicaSet", &["spec", "template"]),
    ("ReplicationController", &["spec", "template"]),
    ("Job", &["spec", "template"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template"]),
];

/// A document without any of these words is of no interest, and need not even be YAML.
const NEEDLES: [&str; 10] = [
    "NetworkPolicy",
    "Namespace",
    "Pod",
    "List",
    "Deployment",
    "Set",
    "ReplicationController",
    "Job",
    "Node",
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
        nodes: Vec::new(),
        policies: Vec::new(),
        tiers: Vec::new(),
        named: HashMap::new(),
        warnings: Diagnostics::default(),
        not_understood: Diagnostics::default(),
        unknown_policies: Vec::new(),
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
    let mut policies: Policies = reader.policies.into_iter().collect();
    for policy in reader.tiers {
        policies.add_tier(policy);
    }
    let model = ClusterModel::new(reader.namespaces, reader.drafts, policies);
    let model = model
        .with_not_understood(reader.not_understood)
        .with_unknown_policies(reader.unknown_policies);
    let nodes = reader.nodes.into_iter().collect();
    Ok(model.with_nodes(nodes).with_warnings(reader.warnings))
}

struct Reader<'r> {
    file: &'r str,
    namespace: &'r str,
    namespaces: BTreeMap<String, Labels>,
    drafts: Vec<Draft>,
    nodes: Vec<IpAddr>,
    policies: Vec<Policy>,
    tiers: Vec<TierPolicy>,
    /// The place of each policy in the list, by namespace and name.
    named: HashMap<(String, String), usize>,
    warnings: Diagnostics,
    not_understood: Diagnostics,
    unknown_policies: Vec<UnknownPolicy>,
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
            (POD, "") => self.pod(node, node, POD),
            ("Node", "") => {
                let addresses = node.dig(&["status", "addresses"]);
                let addresses = addresses.into_iter().flat_map(Node::items);
                let addresses = addresses.filter_map(|item| text(item, &["address"]));
                self.nodes
                    .extend(addresses.filter_map(|a| parse_address(&a)));
            }
            (kubernetes::KIND, "" | kubernetes::GROUP | kubernetes::OLD_GROUP) => {
                return self.policy(node, line);
            }
            (kind, _) if kind.ends_with("NetworkPolicy") => {
                self.cluster_policy(node, line, kind, &version);
            }
            (kind, "" | "apps" | "batch") => {
                if let Some((_, path)) = TEMPLATES.iter().find(|(known, _)| *known == kind)
                    && let Some(template) = node.dig(path)
                {
                    self.pod(node, template, kind);
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

    fn pod(&mut self, object: Node<'_>, pod: Node<'_>, kind: &str) {
        let is_pod = kind == POD;
        let phase = text(pod, &["status", "phase"]).unwrap_or_default();
        let is_on_host = text(pod, &["spec", "hostNetwork"]).is_some_and(|text| text == "true");
        let network = if is_pod && matches!(phase.as_str(), "Succeeded" | "Failed") {
            PodNetwork::Ended
        } else if is_on_host {
            PodNetwork::Host
        } else {
            PodNetwork::Own
        };
        let addresses = if is_pod && network != PodNetwork::Ended {
            addresses(pod)
        } else {
            Vec::new()
        };
        if is_pod {
            let many = pod.dig(&["status", "hostIPs"]).into_iter();
            let many = many
                .flat_map(Node::items)
                .filter_map(|ip| text(ip, &["ip"]));
            let all = many.chain(text(pod, &["status", "hostIP"]));
            self.nodes.extend(all.filter_map(|ip| parse_address(&ip)));
        }
        self.drafts.push(Draft {
            pod: Pod {
                namespace: self.namespace_of(object),
                name: text(object, &["metadata", "name"]).unwrap_or_default(),
                labels: labels(pod.dig(&["metadata", "labels"])),
                ports: Some(ports(pod)),
                kind: kind.to_owned(),
                network,
                owner: owner(object),
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
            let origin = origin_of(&place);
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
        self.warnings.extend(unknown_version(node, &place));
        self.warnings.extend(refused_by_the_server(
            node,
            spec,
            &typed,
            &origin_of(&place),
            line,
        ));
        self.add(policy, &place);
        Ok(())
    }

    /// Reads a policy of the whole cluster, or says that it is of a kind that is not understood.
    fn cluster_policy(&mut self, node: Node<'_>, line: usize, kind: &str, version: &str) {
        let name = text(node, &["metadata", "name"]).unwrap_or_default();
        let place = Location {
            object: Some(format!("{kind} {name} of {}", self.file)),
            stream_line: Some(line),
            ..Location::default()
        };
        let Some(dialect) = tier::Dialect::of(kind, version) else {
            let message = format!(
                "a {kind} of {version} is not understood, so what it allows or denies is not taken \
                 into account"
            );
            self.not_understood.push(warning(message, place));
            self.unknown_policies
                .push(unknown_policy(node, kind, version, name));
            return;
        };
        let (policy, problems) = TierPolicy::read(dialect, kind, node);
        for problem in problems {
            let message = if problem.is_rejected {
                format!("the API server rejects this policy: {}", problem.message)
            } else {
                problem.message
            };
            let position = problem.position.map(|at| of_the_file(at, line));
            self.warnings
                .push(warning(message, place.at(problem.path, position)));
        }
        let same = self.tiers.iter().find(|known| {
            (known.tier, known.priority) == (policy.tier, policy.priority)
                && known.name != policy.name
        });
        if let Some(same) = same {
            let message = format!(
                "{same} has the same tier and priority: where both match, Kubernetes does not define \
                 which one decides; here it is the first by name"
            );
            self.warnings.push(warning(message, place));
        }
        self.tiers.push(policy);
    }

    /// Adds a policy. In a cluster the last of one name is the one that counts.
    fn add(&mut self, policy: Policy, place: &Location) {
        let name = (policy.namespace.clone(), policy.name.clone());
        // A policy of which the server makes the name is always another one.
        let known = (!policy.name.is_empty()).then(|| self.named.get(&name).copied());
        match known.flatten().and_then(|i| self.policies.get_mut(i)) {
            None => {
                self.named.insert(name, self.policies.len());
                self.policies.push(policy);
            }
            Some(old) => {
                if (
                    &old.selector,
                    old.rules(Direction::Ingress),
                    old.rules(Direction::Egress),
                ) != (
                    &policy.selector,
                    policy.rules(Direction::Ingress),
                    policy.rules(Direction::Egress),
                ) {
                    self.warnings.push(warning(
                        "another NetworkPolicy of this name in this namespace says something else; \
                         the last one counts, as it would in a cluster",
                        place.clone(),
                    ));
                }
                *old = policy;
            }
        }
    }
}

/// A policy of a kind that is not evaluated. A kind of the whole cluster ignores a namespace.
fn unknown_policy(node: Node<'_>, kind: &str, version: &str, name: String) -> UnknownPolicy {
    let mut content = node.to_json();
    if let Some(fields) = content.as_object_mut() {
        fields.retain(|field, _| field != "metadata" && field != "status");
    }
    let is_of_the_cluster = kind.contains("Cluster") || kind.contains("Global");
    UnknownPolicy {
        kind: kind.to_owned(),
        api_version: version.to_owned(),
        namespace: text(node, &["metadata", "namespace"])
            .filter(|namespace| !namespace.is_empty() && !is_of_the_cluster),
        name,
        content,
    }
}

fn origin_of(place: &Location) -> Origin {
    Origin {
        place: place.clone(),
        quoting: Quoting::Show,
    }
}

fn warning(message: impl Into<String>, place: Location) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        ..Diagnostic::error(message).at(place)
    }
}

/// What is wrong with the version of a policy. An item of a list can leave it to the list.
fn unknown_version(node: Node<'_>, place: &Location) -> Option<Diagnostic> {
    let version = text(node, &["apiVersion"])?;
    if matches!(
        version.as_str(),
        kubernetes::API_VERSION | kubernetes::OLD_API_VERSION | ""
    ) {
        return None;
    }
    let message = format!(
        "the API server rejects this policy: there is no {} in {version}; write {}",
        kubernetes::KIND,
        kubernetes::API_VERSION
    );
    Some(warning(message, place.at("apiVersion", None)))
}

/// What the API server would not accept in a policy, which then is in no cluster.
fn refused_by_the_server(
    node: Node<'_>,
    spec: Option<Node<'_>>,
    typed: &NetworkPolicySpec,
    origin: &Origin,
    line: usize,
) -> Vec<Diagnostic> {
    let ctx = validate::Context {
        origin,
        cidr: CidrRule::default(),
        use_of: validate::Use::AsTheyAre,
    };
    let at = FieldSpot::new("", Some(node));
    let mut problems = Vec::new();
    if spec.is_some() {
        problems.extend(validate::policy(typed, &at.field("spec"), &ctx));
    }
    let labels = labels(node.dig(&["metadata", "labels"]));
    problems.extend(validate::labels(
        &labels,
        &at.field("metadata").field("labels"),
        &ctx,
    ));
    let errors = problems
        .into_iter()
        .filter(|p| p.severity == Severity::Error);
    let as_warning = |mut problem: Diagnostic| {
        problem.message = format!("the API server rejects this policy: {}", problem.message);
        problem.severity = Severity::Warning;
        problem.place.position = problem.place.position.map(|at| of_the_file(at, line));
        problem
    };
    errors.map(as_warning).collect()
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

/// The controller of an object, by kind and name.
fn owner(object: Node<'_>) -> Option<(String, String)> {
    let owners = object.dig(&["metadata", "ownerReferences"]).into_iter();
    let controller = |owner: &Node<'_>| text(*owner, &["controller"]).is_some_and(|t| t == "true");
    let owner = owners.flat_map(Node::items).find(controller)?;
    Some((text(owner, &["kind"])?, text(owner, &["name"])?))
}

fn ports(pod: Node<'_>) -> Vec<NamedPort> {
    let mut ports = Vec::new();
    for list in ["containers", "initContainers"] {
        // An init container has ended when the pod can be reached, unless it is a sidecar.
        let runs = |container: &Node<'_>| {
            list == "containers"
                || text(*container, &["restartPolicy"]).is_some_and(|policy| policy == "Always")
        };
        let containers = pod.dig(&["spec", list]).into_iter().flat_map(Node::items);
        let containers = containers.filter(runs);
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
    fn who_has_an_address_and_which_ports_run() {
        let model = model(
            "kind: PodList\nitems:\n\
             - {metadata: {name: a}, status: {podIP: 10.0.0.1, phase: Running}, spec: {\
             containers: [{ports: [{name: http, containerPort: 80}]}], initContainers: [\
             {ports: [{name: once, containerPort: 81}]}, \
             {restartPolicy: Always, ports: [{name: proxy, containerPort: 82}]}]}}\n\
             - {metadata: {name: b}, status: {podIP: 10.0.0.1, phase: Succeeded}}\n\
             - {metadata: {name: c}, status: {podIP: 10.0.0.9}, spec: {hostNetwork: true}}\n---\n\
             kind: ReplicationController\nmetadata: {name: d}\nspec: {template: {metadata: {}}}\n",
        );
        let names: Vec<String> = (model.pod("home", "a").unwrap().ports.iter().flatten())
            .map(|port| port.name.clone())
            .collect();
        assert_eq!(names, ["http", "proxy"]);
        let at = |net: &str| -> Vec<Option<String>> {
            let found = model.at(&crate::sets::addresses::parse_net(net).unwrap().into());
            found
                .into_iter()
                .map(|e| Some(e.pod?.name.clone()))
                .collect()
        };
        assert_eq!(at("10.0.0.1"), [Some("a".to_owned())]);
        assert_eq!(at("10.0.0.9"), [None]);
        let same = |name: &str| {
            let pod = model.pod("home", name).unwrap();
            let end = crate::model::pod::Endpoint::pod(std::sync::Arc::clone(pod));
            end.is_same_pod(&end.clone())
        };
        assert!(same("a") && !same("d"));
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
