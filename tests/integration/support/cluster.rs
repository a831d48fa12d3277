//! A stand-in for the API server: enough of it for Helm and kubectl to find the kinds that they
//! ask for and to hand over their objects, which it keeps for the test to look at.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The groups, each with its versions.
const GROUPS: [(&str, &[&str]); 6] = [
    ("apps", &["v1"]),
    ("batch", &["v1"]),
    ("networking.k8s.io", &["v1"]),
    ("example.com", &["v1"]),
    ("admissionregistration.k8s.io", &["v1"]),
    ("policy.networking.k8s.io", &["v1alpha2", "v1alpha1"]),
];

/// Group, kind and plural; each in every version of its group.
const KINDS: [(&str, &str, &str); 17] = [
    ("", "ConfigMap", "configmaps"),
    ("", "Namespace", "namespaces"),
    ("", "Node", "nodes"),
    ("", "Pod", "pods"),
    ("", "Secret", "secrets"),
    ("", "Service", "services"),
    ("", "ServiceAccount", "serviceaccounts"),
    ("apps", "DaemonSet", "daemonsets"),
    ("apps", "Deployment", "deployments"),
    ("apps", "StatefulSet", "statefulsets"),
    ("batch", "Job", "jobs"),
    ("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
    ("example.com", "Widget", "widgets"),
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
    ),
    (
        "policy.networking.k8s.io",
        "ClusterNetworkPolicy",
        "clusternetworkpolicies",
    ),
    (
        "policy.networking.k8s.io",
        "AdminNetworkPolicy",
        "adminnetworkpolicies",
    ),
];

/// The kinds whose objects are in no namespace.
const CLUSTER_SCOPED: [&str; 6] = [
    "Namespace",
    "Node",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ClusterNetworkPolicy",
    "AdminNetworkPolicy",
];

/// A running stand-in on a port of its own.
pub(crate) struct Cluster {
    address: String,
    given: Arc<Mutex<Vec<Value>>>,
    /// The objects that it lists.
    objects: Arc<Mutex<Vec<Value>>>,
}

impl Cluster {
    /// Starts one; it ends with the test.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let given = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&given);
        let objects = Arc::new(Mutex::new(Vec::new()));
        let listed = Arc::clone(&objects);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                let listed = Arc::clone(&listed);
                thread::spawn(move || answer(&stream, &kept, &listed));
            }
        });
        Self {
            address,
            given,
            objects,
        }
    }

    /// Lets it list the objects of a stream, as a server has them: with texts of Secrets in base64.
    pub(crate) fn put(&self, stream: &str) {
        let documents = serde_yaml::Deserializer::from_str(stream);
        let mut objects = self.objects.lock().expect("no panic while held");
        for document in documents {
            let mut object: Value = serde::Deserialize::deserialize(document).expect("an object");
            if let Some(texts) = object["stringData"].take().as_object() {
                let packed = texts.iter().map(|(key, text)| {
                    let text = text.as_str().unwrap_or_default();
                    (key.clone(), Value::String(STANDARD.encode(text)))
                });
                object["data"] = Value::Object(packed.collect());
            }
            objects.push(object);
        }
    }

    /// Writes a kubeconfig that leads here, and says where it is.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> String {
        let path = folder.join("kubeconfig");
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.address}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        });
        std::fs::write(&path, text.to_string()).expect("a kubeconfig");
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    /// The objects that it was given, in the order in which they came.
    pub(crate) fn given(&self) -> Vec<Value> {
        self.given.lock().expect("no panic while held").clone()
    }
}

/// Answers the one request of a connection.
fn answer(
    stream: &TcpStream,
    given: &Mutex<Vec<Value>>,
    objects: &Mutex<Vec<Value>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or("");
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;

    let (status, reply) = if method == "GET" {
        let objects = objects.lock().expect("no panic while held");
        list(target, &objects).unwrap_or_else(|| read(path))
    } else {
        let object: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        given
            .lock()
            .expect("no panic while held")
            .push(object.clone());
        (if method == "POST" { 201 } else { 200 }, object)
    };
    let reply = reply.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{reply}",
        reply.len()
    )
}

/// The objects of the kind that a request lists, where there are any of that kind.
fn list(target: &str, objects: &[Value]) -> Option<(u16, Value)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let plural = path.rsplit('/').next()?;
    let (group, kind, _) = KINDS.iter().find(|(.., name)| *name == plural)?;
    if objects.is_empty() {
        return None;
    }
    let selector = query
        .split('&')
        .find_map(|part| part.strip_prefix("labelSelector="));
    let selector = selector
        .unwrap_or_default()
        .replace("%3D", "=")
        .replace("%2F", "/");
    let is_selected = |object: &&Value| {
        let label = |key: &str| object["metadata"]["labels"][key].as_str();
        match selector.split_once('=') {
            _ if selector.is_empty() => true,
            Some((key, value)) => label(key) == Some(value),
            None => label(&selector).is_some(),
        }
    };
    let items: Vec<&Value> = (objects.iter())
        .filter(|object| object["kind"] == *kind)
        .filter(is_selected)
        .collect();
    let version = if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    };
    let list = json!({
        "kind": format!("{kind}List"),
        "apiVersion": version,
        "metadata": {"resourceVersion": "1"},
        "items": items,
    });
    Some((200, list))
}

/// What there is to read: the kinds, the version, and not one object.
fn read(path: &str) -> (u16, Value) {
    match path {
        "/version" => (
            200,
            json!({"major": "1", "minor": "31", "gitVersion": "v1.31.0"}),
        ),
        "/api" => (200, json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => {
            let groups: Vec<Value> = GROUPS
                .iter()
                .map(|(group, versions)| {
                    let version = |version: &&str| {
                        json!({"groupVersion": format!("{group}/{version}"), "version": version})
                    };
                    let versions: Vec<Value> = versions.iter().map(version).collect();
                    json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
                })
                .collect();
            let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups});
            (200, list)
        }
        "/api/v1" => (200, resources("", "v1")),
        _ => {
            let of_group = path
                .strip_prefix("/apis/")
                .and_then(|path| path.split_once('/'));
            let is_known = |(group, version): &(&str, &str)| {
                let mut groups = GROUPS.iter();
                groups.any(|(name, versions)| name == group && versions.contains(version))
            };
            if let Some((group, version)) = of_group.filter(is_known) {
                return (200, resources(group, &format!("{group}/{version}")));
            }
            if path.ends_with("/secrets") {
                let none =
                    json!({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []});
                return (200, none);
            }
            let missing = json!({
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "reason": "NotFound",
                "code": 404,
            });
            (404, missing)
        }
    }
}

/// The kinds of one group.
fn resources(group: &str, group_version: &str) -> Value {
    let kinds: Vec<Value> = KINDS
        .iter()
        .filter(|kind| kind.0 == group)
        .map(|(_, kind, plural)| {
            json!({
                "name": plural,
                "singularName": kind.to_lowercase(),
                "namespaced": !CLUSTER_SCOPED.contains(kind),
                "kind": kind,
                "verbs": ["create", "delete", "get", "list", "patch", "update"],
            })
        })
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": kinds,
    })
}
