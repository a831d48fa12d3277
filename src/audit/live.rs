//! What to ask a cluster, so that it can be audited as a stream is.
//!
//! Nothing here runs a program. Only Secrets with the chart's label are asked for, and of these only
//! the name, two labels and the config: no other value leaves kubectl.

use serde_json::{Value, json};

use crate::vcluster::actors::{MANAGED_BY, SECRET_PREFIX};

/// Where in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In all namespaces.
    All,
    /// In one.
    Namespace(String),
}

/// Something to ask kubectl.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// All NetworkPolicies.
    Policies,
    /// What runs the control planes.
    Workloads,
    /// The pods that the syncer made.
    WorkloadPods,
    /// The pods of control planes, and others that a policy of theirs can select.
    ControlPlanePods,
    /// The namespaces with their labels.
    Namespaces,
    /// The configs.
    Secrets,
    /// Which kinds the cluster has.
    Kinds,
    /// The policies of these other kinds.
    OtherPolicies(Vec<String>),
}

/// One line for each Secret: what is read of it, with tabs between.
const SECRET_FIELDS: &str = "jsonpath={range .items[*]}{.metadata.namespace}{\"\\t\"}\
     {.metadata.name}{\"\\t\"}{.metadata.labels.release}{\"\\t\"}{.metadata.labels.chart}{\"\\t\"}\
     {.data.config\\.yaml}{\"\\n\"}{end}";

impl Question {
    /// All of them, but for those about other kinds, which [`other_kinds`] tells.
    pub const ALL: [Self; 7] = [
        Self::Policies,
        Self::Workloads,
        Self::WorkloadPods,
        Self::ControlPlanePods,
        Self::Namespaces,
        Self::Secrets,
        Self::Kinds,
    ];

    /// Whether nothing can be judged without an answer.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        matches!(
            self,
            Self::Policies | Self::Workloads | Self::WorkloadPods | Self::ControlPlanePods
        )
    }

    /// What is asked for, in words.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Policies => "NetworkPolicies",
            Self::Workloads => "StatefulSets and Deployments",
            Self::WorkloadPods | Self::ControlPlanePods => "pods",
            Self::Namespaces => "namespaces",
            Self::Secrets => "the Secrets vc-config-NAME",
            Self::Kinds => "the kinds of the cluster",
            Self::OtherPolicies(_) => "policies of other kinds",
        }
    }

    /// The words for kubectl.
    #[must_use]
    pub fn words(&self, scope: &Scope) -> Vec<String> {
        let (kinds, selector) = match self {
            Self::Policies => ("networkpolicies.networking.k8s.io", None),
            Self::Workloads => ("statefulsets.apps,deployments.apps", Some("app=vcluster")),
            Self::WorkloadPods => ("pods", Some(MANAGED_BY)),
            Self::ControlPlanePods => ("pods", Some("release")),
            Self::Namespaces => ("namespaces", None),
            Self::Secrets => ("secrets", Some("app=vcluster")),
            Self::OtherPolicies(kinds) => (&*kinds.join(","), None),
            Self::Kinds => {
                let words = ["api-resources", "--verbs=list", "--output=name"];
                return words.map(str::to_owned).to_vec();
            }
        };
        let output = if *self == Self::Secrets {
            SECRET_FIELDS
        } else {
            "json"
        };
        let mut words = vec!["get".to_owned(), kinds.to_owned()];
        match (scope, self) {
            // Namespaces are in none.
            (_, Self::Namespaces) => {}
            (Scope::All, _) => words.push("--all-namespaces".to_owned()),
            (Scope::Namespace(name), _) => words.push(format!("--namespace={name}")),
        }
        words.extend(selector.map(|selector| format!("--selector={selector}")));
        words.push(format!("--output={output}"));
        words
    }
}

/// The kinds of policies that are not NetworkPolicies of Kubernetes, of those that a cluster has.
#[must_use]
pub fn other_kinds(answer: &str) -> Vec<String> {
    let names = answer.lines().map(str::trim);
    let is_other = |name: &&str| {
        let (kind, group) = name.split_once('.').unwrap_or((name, ""));
        kind.contains("networkpolic") && !matches!(group, "networking.k8s.io" | "extensions")
    };
    names.filter(is_other).map(str::to_owned).collect()
}

/// The answers as one stream of manifests.
#[derive(Debug, Default)]
pub struct Snapshot {
    documents: Vec<Vec<u8>>,
}

impl Snapshot {
    /// Takes the answer to a question.
    ///
    /// # Errors
    /// Where kubectl printed something else than it was asked for.
    pub fn take(&mut self, question: &Question, answer: &str) -> Result<(), String> {
        let document = match question {
            Question::Kinds => return Ok(()),
            Question::Secrets => secrets(answer)?.to_string().into_bytes(),
            _ => {
                // An answer that was cut off must not look like a whole one.
                let list: Value = serde_json::from_str(answer)
                    .map_err(|_| "kubectl printed no JSON".to_owned())?;
                if list.get("kind").is_none() {
                    return Err("kubectl printed no list of objects".to_owned());
                }
                answer.as_bytes().to_vec()
            }
        };
        self.documents.push(document);
        Ok(())
    }

    /// All answers.
    #[must_use]
    pub fn stream(&self) -> Vec<u8> {
        super::joined(self.documents.iter().map(Vec::as_slice))
    }
}

/// The Secrets with configs as a list of objects.
fn secrets(answer: &str) -> Result<Value, String> {
    let mut items = Vec::new();
    for line in answer.lines().filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [namespace, name, release, chart, config] = fields.as_slice() else {
            return Err("kubectl printed Secrets in another form than it was asked for".to_owned());
        };
        if !name.starts_with(SECRET_PREFIX) {
            continue;
        }
        let mut labels = serde_json::Map::from_iter([("app".to_owned(), json!("vcluster"))]);
        for (key, value) in [("release", release), ("chart", chart)] {
            if !value.is_empty() {
                labels.insert(key.to_owned(), json!(value));
            }
        }
        items.push(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": namespace, "name": name, "labels": labels},
            "data": {"config.yaml": config},
        }));
    }
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_policies_of_other_kinds_are_named() {
        let answer = "pods\nnetworkpolicies.networking.k8s.io\nnetworkpolicies.extensions\n\
                      ciliumnetworkpolicies.cilium.io\nnetworkpolicies.crd.projectcalico.org\n\
                      adminnetworkpolicies.policy.networking.k8s.io\n";
        assert_eq!(
            other_kinds(answer),
            [
                "ciliumnetworkpolicies.cilium.io",
                "networkpolicies.crd.projectcalico.org",
                "adminnetworkpolicies.policy.networking.k8s.io"
            ]
        );
    }

    #[test]
    fn of_a_secret_only_the_config_is_asked_for() {
        let words = Question::Secrets.words(&Scope::Namespace("a".to_owned()));
        assert_eq!(
            words[..4],
            ["get", "secrets", "--namespace=a", "--selector=app=vcluster"]
        );
        assert!(words[4].contains(".data.config\\.yaml"), "{}", words[4]);
        let mut snapshot = Snapshot::default();
        let line = "team\tvc-config-a\ta\tvcluster-0.31.0\tZTog\nteam\tother\t\t\t\n";
        snapshot.take(&Question::Secrets, line).unwrap();
        let stream = String::from_utf8(snapshot.stream()).unwrap();
        assert!(
            stream.contains("vc-config-a") && !stream.contains("other"),
            "{stream}"
        );
        assert!(snapshot.take(&Question::Secrets, "a\tb\n").is_err());
        assert!(
            snapshot
                .take(&Question::Policies, "{\"kind\": \"Li")
                .is_err()
        );
    }
}
