//! Whether the policies will have an effect: judgements on what Helm and the cluster say.
//!
//! Everything is judged from text that somebody else fetched; nothing here runs a program. What is
//! not known is said to be unknown, never guessed. [`Cluster::next_question`] says what to ask a
//! cluster, so that the code that runs kubectl knows nothing of network plugins. A network plugin
//! that is learnt of is added to the table `KNOWN`.

use std::fmt;

use serde_json::Value;

use manifest::escape;

/// How a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Good,
    /// Nothing that could be told.
    Unknown,
    /// Something is to be done.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it weighs.
    pub health: Health,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Finding {
    /// A finding without advice.
    pub fn new(health: Health, what: impl Into<String>) -> Self {
        Self {
            health,
            what: what.into(),
            help: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.health {
            Health::Good => "good",
            Health::Unknown => "unknown",
            Health::Bad => "bad",
        };
        write!(f, "{word:<8}{}", escape::terminal(&self.what))?;
        match &self.help {
            Some(help) => write!(f, "\n        help: {}", escape::terminal(help)),
            None => Ok(()),
        }
    }
}

/// What decides whether a network plugin enforces policies, as far as its DaemonSet shows it.
#[derive(Debug, Clone, Copy)]
enum Enforces {
    Always,
    Never,
    /// If a container has this name.
    Container(&'static str),
    /// If this flag is set, or is not given and `default` says so.
    Flag {
        name: &'static str,
        default: bool,
    },
    /// From images of this date on, as in `kindnetd:v20240813-c6f155d6`, unless the flag
    /// `--network-policy` says it.
    Since(u32),
}

/// A key of a ConfigMap in the plugin's namespace that decides as well.
#[derive(Debug, Clone, Copy)]
struct Switch {
    config_map: &'static str,
    key: &'static str,
    value: &'static str,
    /// Whether policies are enforced with that value, or with every other one.
    enforces: bool,
}

/// A program that enforces network policies, or a network plugin that does not.
#[derive(Debug)]
struct Plugin {
    /// The name for people.
    title: &'static str,
    /// Names of its DaemonSet.
    sets: &'static [&'static str],
    /// Names of its container, or of the container's image without registry and tag. They find it
    /// in a DaemonSet of another name, and beside another plugin.
    containers: &'static [&'static str],
    enforces: Enforces,
    switch: Option<Switch>,
}

/// A plugin that one word decides.
const fn plugin(
    title: &'static str,
    sets: &'static [&'static str],
    containers: &'static [&'static str],
    enforces: Enforces,
) -> Plugin {
    Plugin {
        title,
        sets,
        containers,
        enforces,
        switch: None,
    }
}

/// Cilium's agent obeys `enable-policy: never`; it enforces with every other value and by default.
const CILIUM_SWITCH: Option<Switch> = Some(Switch {
    config_map: "cilium-config",
    key: "enable-policy",
    value: "never",
    enforces: false,
});

/// The agent on the nodes does nothing as long as the controller in EKS' control plane is off,
/// which is the default.
const AMAZON_SWITCH: Option<Switch> = Some(Switch {
    config_map: "amazon-vpc-cni",
    key: "enable-network-policy-controller",
    value: "true",
    enforces: true,
});

/// The network plugins that are known. A container with kube-network-policies makes flannel enforce
/// (its chart with `netpol.enabled`), so plugins that never do come last.
const KNOWN: [Plugin; 15] = [
    plugin(
        "Canal (Calico's policies)",
        &["canal", "rke2-canal"],
        &[],
        Enforces::Always,
    ),
    plugin(
        "Calico",
        &["calico-node"],
        &["calico-node"],
        Enforces::Always,
    ),
    Plugin {
        title: "GKE Dataplane V2 (Cilium)",
        sets: &["anetd"],
        containers: &[],
        enforces: Enforces::Always,
        switch: CILIUM_SWITCH,
    },
    Plugin {
        title: "Cilium",
        sets: &["cilium"],
        containers: &["cilium-agent"],
        enforces: Enforces::Always,
        switch: CILIUM_SWITCH,
    },
    plugin(
        "Antrea",
        &["antrea-agent"],
        &["antrea-agent"],
        Enforces::Always,
    ),
    plugin(
        "Weave Net",
        &["weave-net"],
        &["weave-npc"],
        Enforces::Container("weave-npc"),
    ),
    plugin(
        "kube-router",
        &["kube-router"],
        &["kube-router"],
        Enforces::Flag {
            name: "run-firewall",
            default: true,
        },
    ),
    plugin("OVN-Kubernetes", &["ovnkube-node"], &[], Enforces::Always),
    plugin("Kube-OVN", &["kube-ovn-cni"], &[], Enforces::Always),
    Plugin {
        title: "Amazon VPC CNI",
        sets: &["aws-node"],
        containers: &["aws-eks-nodeagent", "aws-network-policy-agent"],
        enforces: Enforces::Flag {
            name: "enable-network-policy",
            default: false,
        },
        switch: AMAZON_SWITCH,
    },
    plugin(
        "Azure Network Policy Manager",
        &["azure-npm"],
        &["azure-npm"],
        Enforces::Always,
    ),
    plugin(
        "kube-network-policies",
        &["kube-network-policies"],
        &["kube-network-policies"],
        Enforces::Always,
    ),
    plugin(
        "kindnet",
        &["kindnet"],
        &["kindnetd"],
        Enforces::Since(20_240_813),
    ),
    plugin(
        "flannel",
        &["kube-flannel-ds", "kube-flannel", "rke2-flannel"],
        &["kube-flannel"],
        Enforces::Never,
    ),
    plugin("Azure CNI", &["azure-cns"], &[], Enforces::Never),
];

/// Something to ask the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Its DaemonSets, in all namespaces.
    DaemonSets,
    /// A ConfigMap.
    ConfigMap {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: &'static str,
    },
    /// The version of the API server.
    Version,
    /// Its nodes.
    Nodes,
}

impl Question {
    /// The words that make kubectl print the answer in JSON.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let words: &[&str] = match self {
            Self::DaemonSets => &["get", "daemonsets", "--all-namespaces"],
            Self::ConfigMap { namespace, name } => &[
                "get",
                "configmap",
                *name,
                &format!("--namespace={namespace}"),
            ],
            Self::Version => &["version"],
            Self::Nodes => &["get", "nodes"],
        };
        let words = words.iter().copied().chain(["--output=json"]);
        words.map(str::to_owned).collect()
    }
}

/// What a cluster says of itself.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    answers: Vec<(Question, Option<Value>)>,
}

impl Cluster {
    /// Takes the answer to a question; `None` where there was none.
    pub fn answer(&mut self, question: Question, answer: Option<Value>) {
        self.answers.push((question, answer));
    }

    fn asked(&self, question: &Question) -> bool {
        self.answers.iter().any(|(asked, _)| asked == question)
    }

    fn reply(&self, question: &Question) -> Option<&Value> {
        let (_, answer) = self.answers.iter().find(|(asked, _)| asked == question)?;
        answer.as_ref()
    }

    /// What must still be asked before the network plugin can be judged.
    #[must_use]
    pub fn next_question(&self) -> Option<Question> {
        if !self.asked(&Question::DaemonSets) {
            return Some(Question::DaemonSets);
        }
        let seen = self.plugins();
        let config_maps = seen.iter().filter_map(|seen| seen.question.clone());
        let mut next: Vec<Question> = config_maps.collect();
        let decides = |seen: &Seen| matches!(seen.verdict, Verdict::Enforces | Verdict::Partly);
        if !seen.iter().any(decides) {
            next.push(Question::Version);
            // The version answers it where it is not that of a k3s; then the nodes say more.
            if self.distribution() != Distribution::Other {
                next.push(Question::Nodes);
            }
        }
        next.into_iter().find(|question| !self.asked(question))
    }

    /// The DaemonSets of known plugins, and what each does.
    fn plugins(&self) -> Vec<Seen> {
        let sets = self
            .reply(&Question::DaemonSets)
            .and_then(|sets| sets.get("items")?.as_array());
        let mut seen = Vec::new();
        for set in sets.into_iter().flatten() {
            let known = KNOWN.iter().filter(|plugin| plugin.is_in(set));
            seen.extend(known.map(|plugin| self.judge(plugin, set)));
        }
        seen
    }

    fn judge(&self, plugin: &Plugin, set: &Value) -> Seen {
        let namespace = text(set, "/metadata/namespace").unwrap_or("kube-system");
        let name = text(set, "/metadata/name").unwrap_or_default();
        let question = plugin.switch.map(|switch| Question::ConfigMap {
            namespace: namespace.to_owned(),
            name: switch.config_map,
        });
        let value = question.as_ref().and_then(|question| {
            let data = self.reply(question)?.get("data")?;
            data.get(plugin.switch?.key)?.as_str()
        });
        let decided = enforced(plugin.enforces, set).and_then(|by_set| {
            let by_switch = match (plugin.switch, value) {
                (Some(switch), Some(value)) => (value == switch.value) == switch.enforces,
                // Unread: what must be switched on is unknown, what must be switched off is on.
                (Some(switch), None) if switch.enforces && by_set => return None,
                (_, None) | (None, _) => true,
            };
            Some(by_set && by_switch)
        });
        let verdict = match (decided, Pods::of(set)) {
            (Some(false), _) => Verdict::Not,
            (None, _) => Verdict::Undecided,
            (Some(true), Pods::All) => Verdict::Enforces,
            (Some(true), Pods::Some) => Verdict::Partly,
            (Some(true), Pods::None) => Verdict::NotReady,
            (Some(true), Pods::Nowhere) => Verdict::Nowhere,
        };
        let name = format!("{namespace}/{name}");
        Seen {
            verdict,
            plugin: plugin.title,
            set: name.escape_debug().to_string(),
            question,
        }
    }

    /// Whether the cluster is a k3s, by the version of its API server or of its nodes.
    fn distribution(&self) -> Distribution {
        let server = self.reply(&Question::Version);
        let server = server.and_then(|reply| text(reply, "/serverVersion/gitVersion"));
        let nodes = self.nodes();
        let mut versions = nodes.filter_map(|node| text(node, "/status/nodeInfo/kubeletVersion"));
        if server.is_some_and(is_k3s) || versions.any(is_k3s) {
            return Distribution::K3s;
        }
        match server {
            Some(_) => Distribution::Other,
            None => Distribution::Unknown,
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Value> {
        let items = self
            .reply(&Question::Nodes)
            .and_then(|nodes| nodes.get("items")?.as_array());
        items.into_iter().flatten()
    }

    /// Whether k3s runs its own controller, as the arguments of its servers say.
    fn k3s_controller(&self) -> Option<bool> {
        let arguments = self.nodes().filter_map(|node| {
            let reply = node.pointer("/metadata/annotations")?;
            let reply = reply.get("k3s.io/node-args")?.as_str()?;
            serde_json::from_str::<Vec<String>>(reply).ok()
        });
        let mut servers = arguments
            .filter(|words| words.first().is_some_and(|word| word == "server"))
            .peekable();
        servers.peek()?;
        Some(servers.all(|words| !k3s_disables(&words)))
    }
}

fn is_k3s(version: &str) -> bool {
    version.contains("+k3s")
}

/// Whether a server of k3s has `--disable-network-policy`. The annotation splits a value off.
fn k3s_disables(words: &[String]) -> bool {
    let mut words = words.iter().peekable();
    let mut disables = false;
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), words.peek().map(|next| next.as_str())),
        };
        if name == "--disable-network-policy" {
            disables = value.and_then(boolean).unwrap_or(true);
        }
    }
    disables
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distribution {
    K3s,
    Other,
    Unknown,
}

/// What a DaemonSet of a known plugin does about policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Enforces,
    Partly,
    NotReady,
    Nowhere,
    Undecided,
    Not,
}

/// A DaemonSet of a known plugin.
#[derive(Debug)]
struct Seen {
    verdict: Verdict,
    plugin: &'static str,
    /// Its namespace and name, for people.
    set: String,
    /// What else must be asked about it.
    question: Option<Question>,
}

impl Seen {
    fn finding(&self) -> Finding {
        let Self { plugin, set, .. } = self;
        match self.verdict {
            Verdict::Enforces => Finding::new(
                Health::Good,
                format!("the cluster's network plugin {plugin} enforces NetworkPolicy (DaemonSet {set})"),
            ),
            Verdict::Partly => Finding::new(
                Health::Unknown,
                format!(
                    "{plugin} enforces NetworkPolicy, but on some nodes its pods are not ready \
                     (DaemonSet {set}); pods on these nodes are perhaps not isolated"
                ),
            )
            .help("see why its DaemonSet is not ready, and try again"),
            Verdict::NotReady => Finding::new(
                Health::Bad,
                format!(
                    "{plugin} would enforce NetworkPolicy, but none of its pods is ready \
                     (DaemonSet {set})"
                ),
            )
            .help("see why its DaemonSet is not ready"),
            Verdict::Nowhere => Finding::new(
                Health::Bad,
                format!(
                    "{plugin} would enforce NetworkPolicy, but it runs on no node (DaemonSet {set}): \
                     the policies have no effect"
                ),
            )
            .help("see the nodeSelector and the affinity of the DaemonSet, or switch its policies on"),
            Verdict::Undecided => {
                let what = format!(
                    "it is not known whether this {plugin} enforces NetworkPolicy (DaemonSet {set})"
                );
                let help = match &self.question {
                    Some(Question::ConfigMap { namespace, name }) => format!(
                        "see the ConfigMap {}/{name}, or {TRY}",
                        namespace.escape_debug()
                    ),
                    _ => TRY.to_owned(),
                };
                Finding::new(Health::Unknown, what).help(help)
            }
            Verdict::Not => Finding::new(
                Health::Bad,
                format!(
                    "the cluster's network plugin {plugin}, as it is set up, does not enforce \
                     NetworkPolicy (DaemonSet {set}): the policies have no effect"
                ),
            )
            .help("switch its network policies on, or install a plugin that enforces them"),
        }
    }
}

/// Whether the cluster's network plugin enforces network policies.
#[must_use]
pub fn network_plugin(cluster: &Cluster) -> Finding {
    let seen = cluster.plugins();
    let first = |verdict: Verdict| seen.iter().find(|seen| seen.verdict == verdict);
    // One plugin that enforces is enough, whatever stands beside it.
    if let Some(seen) = first(Verdict::Enforces).or_else(|| first(Verdict::Partly)) {
        return seen.finding();
    }
    if cluster.distribution() == Distribution::K3s {
        return k3s(cluster.k3s_controller());
    }
    let rest = [
        Verdict::NotReady,
        Verdict::Undecided,
        Verdict::Nowhere,
        Verdict::Not,
    ];
    if let Some(seen) = rest.into_iter().find_map(first) {
        return seen.finding();
    }
    let what = "it is not known whether the cluster enforces NetworkPolicy: none of its DaemonSets \
                is that of a network plugin we know";
    Finding::new(Health::Unknown, what).help(TRY)
}

/// k3s has a controller of its own, which no DaemonSet shows.
fn k3s(runs: Option<bool>) -> Finding {
    match runs {
        Some(true) => Finding::new(
            Health::Good,
            "k3s enforces NetworkPolicy by its built-in controller: no server was started with \
             --disable-network-policy",
        ),
        Some(false) => Finding::new(
            Health::Bad,
            "k3s was started with --disable-network-policy, and no other network plugin that \
             enforces NetworkPolicy is known here: the policies have no effect",
        )
        .help("start the servers without it, or install a plugin that enforces them"),
        None => Finding::new(
            Health::Unknown,
            "the cluster is a k3s, which enforces NetworkPolicy by its built-in controller unless \
             its servers were started with --disable-network-policy; that can't be seen from here",
        )
        .help(format!("see how the servers were started, or {TRY}")),
    }
}

/// Why the cluster did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// kubectl did not end in so many seconds.
    Late(u64),
    /// kubectl did not run, or said this.
    Message(String),
}

/// What it means that the DaemonSets could not be read.
#[must_use]
pub fn no_answer(failure: &Failure) -> Finding {
    let reply = match failure {
        Failure::Late(seconds) => {
            let what = format!(
                "nothing is known of the cluster: its API server did not answer in {seconds} s"
            );
            let help = "see whether `kubectl get --raw /readyz` answers, and whether kubectl waits \
                        for a login; --timeout waits longer, --no-cluster leaves it out";
            return Finding::new(Health::Unknown, what).help(help);
        }
        Failure::Message(reply) => reply,
    };
    let what = format!("nothing is known of the cluster: {reply}");
    let help = if reply.contains("Forbidden") || reply.contains("forbidden") {
        "you may not list DaemonSets (resource daemonsets, API group apps) in all namespaces. \
         `kubectl auth can-i list daemonsets -n kube-system` says whether you may where most network \
         plugins are. Ask for a ClusterRole that allows list on daemonsets, and a binding to it"
    } else if reply.contains("Unauthorized") || reply.contains("must be logged in") {
        "the API server does not accept your credentials: log in again, or choose another --context"
    } else {
        "give kubectl a cluster, or leave it out with --no-cluster"
    };
    Finding::new(Health::Unknown, what).help(help)
}

const TRY: &str = "try it: a policy that denies everything must cut a pod off";

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn containers(set: &Value) -> impl Iterator<Item = &Value> {
    set.pointer("/spec/template/spec/containers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Whether a container or its image has this name.
fn is_called(container: &Value, name: &str) -> bool {
    if text(container, "/name") == Some(name) {
        return true;
    }
    let image = text(container, "/image").unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    image.split([':', '@']).next() == Some(name)
}

impl Plugin {
    fn is_in(&self, set: &Value) -> bool {
        let name = text(set, "/metadata/name").unwrap_or_default();
        self.sets.contains(&name)
            || containers(set).any(|c| self.containers.iter().any(|name| is_called(c, name)))
    }
}

fn enforced(enforces: Enforces, set: &Value) -> Option<bool> {
    match enforces {
        Enforces::Always => Some(true),
        Enforces::Never => Some(false),
        Enforces::Container(name) => Some(containers(set).any(|c| is_called(c, name))),
        Enforces::Flag { name, default } => match flag(set, name) {
            Some(value) => boolean(&value),
            None => Some(default),
        },
        Enforces::Since(first) => match flag(set, "network-policy") {
            Some(value) => boolean(&value),
            None => containers(set)
                .filter_map(|c| text(c, "/image"))
                .find_map(date)
                .map(|date| date >= first),
        },
    }
}

/// The value of a flag among all arguments of a DaemonSet; the last one counts. A command that is
/// one text for a shell holds several words.
fn flag(set: &Value, name: &str) -> Option<String> {
    let arguments = containers(set)
        .flat_map(|c| {
            ["command", "args"]
                .into_iter()
                .filter_map(|k| c.get(k)?.as_array())
        })
        .flatten()
        .filter_map(Value::as_str);
    let words = arguments.flat_map(str::split_whitespace);
    words
        .filter_map(|word| {
            let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
            match flag.split_once('=') {
                Some((found, value)) if found == name => Some(value.to_owned()),
                None if flag == name => Some("true".to_owned()),
                _ => None,
            }
        })
        .last()
}

/// A boolean as Go's flags read it.
fn boolean(value: &str) -> Option<bool> {
    match value.trim_matches(['"', '\'']) {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The date in an image's tag.
fn date(image: &str) -> Option<u32> {
    let (_, tag) = image.rsplit_once(":v")?;
    tag.get(..8)?.parse().ok()
}

/// On how many of its nodes a DaemonSet is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pods {
    All,
    Some,
    None,
    /// It is to run on no node.
    Nowhere,
}

impl Pods {
    fn of(set: &Value) -> Self {
        let count = |name: &str| set.get("status")?.get(name)?.as_u64();
        match (count("desiredNumberScheduled"), count("numberReady")) {
            (Some(0), _) => Self::Nowhere,
            (Some(_), Some(0)) => Self::None,
            (Some(wanted), Some(ready)) if ready < wanted => Self::Some,
            _ => Self::All,
        }
    }
}

/// What it means that a Helm can't list its plugins.
#[must_use]
pub fn no_plugins(version: &str, why: &str) -> Finding {
    let what = format!("Helm {version} loads none of its plugins: {why}");
    let help = "one of Helm 4's among those of Helm 3 does that; give each Helm a HELM_PLUGINS and \
                HELM_DATA_HOME of its own: docs/install.md";
    Finding::new(Health::Bad, what).help(help)
}

/// Whether a Helm sees the plugin, from its version (`v3.17.3`) and what `helm plugin list` prints.
#[must_use]
pub fn helm(version: &str, plugins: &str, ours: &str, on_path: bool) -> Vec<Finding> {
    let rows: Vec<Vec<&str>> = plugins
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect())
        .collect();
    let row = |name: &str| rows.iter().find(|row| row.first() == Some(&name));
    let four = version.starts_with("v4.");
    let again = "install the plugin again: docs/install.md";
    let mut findings = Vec::new();
    match row("vcluster-netpol") {
        None if four => findings.push(
            Finding::new(
                Health::Bad,
                format!(
                    "Helm {version} has no plugin vcluster-netpol, and takes no other post-renderer"
                ),
            )
            .help("helm plugin install: docs/install.md"),
        ),
        None => {}
        Some(found) => {
            let has = found.get(1).copied().unwrap_or_default();
            if four && found.get(2) != Some(&"postrenderer/v1") {
                let what = format!(
                    "Helm {version} has the plugin vcluster-netpol as an older Helm installed it, \
                     which is no post-renderer"
                );
                findings.push(Finding::new(Health::Bad, what).help(again));
            } else if has == ours {
                let what = format!("Helm {version} has the plugin vcluster-netpol {has}");
                findings.push(Finding::new(Health::Good, what));
            } else {
                let what = format!(
                    "Helm {version} has the plugin vcluster-netpol {has}, and this is {ours}"
                );
                findings.push(
                    Finding::new(Health::Bad, what).help("helm plugin update vcluster-netpol"),
                );
            }
        }
    }
    if four && row("vcluster-netpol").is_some() && row("vcluster-netpol-cli").is_none() {
        let what = format!("Helm {version} has no command `helm vcluster-netpol`");
        findings.push(Finding::new(Health::Bad, what).help(again));
    }
    if !four {
        findings.push(if on_path {
            Finding::new(
                Health::Good,
                format!("Helm {version} finds the post-renderer vcluster-netpol on PATH"),
            )
        } else {
            Finding::new(
                Health::Bad,
                format!("Helm {version} looks for post-renderers on PATH, and vcluster-netpol is not there"),
            )
            .help("put its folder on PATH, or name it with its path: docs/install.md")
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(name: &str, containers: &Value) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "kube-system"},
            "spec": {"template": {"spec": {"containers": containers}}},
            "status": {"desiredNumberScheduled": 3, "numberReady": 3},
        })
    }

    fn cluster(items: &[Value]) -> Cluster {
        let mut cluster = Cluster::default();
        let proxy = json!({"metadata": {"name": "kube-proxy"}});
        let items: Vec<&Value> = [&proxy].into_iter().chain(items).collect();
        cluster.answer(Question::DaemonSets, Some(json!({"items": items})));
        cluster
    }

    fn health(name: &str, container: &Value) -> Health {
        network_plugin(&cluster(&[item(name, &json!([container]))])).health
    }

    fn config_map(cluster: &mut Cluster, name: &'static str, data: &Value) {
        let namespace = "kube-system".to_owned();
        let question = Question::ConfigMap { namespace, name };
        assert_eq!(cluster.next_question().as_ref(), Some(&question));
        cluster.answer(question, Some(json!({"data": data})));
    }

    #[test]
    fn plugins_that_always_enforce_and_one_that_never_does() {
        for name in [
            "calico-node",
            "canal",
            "cilium",
            "anetd",
            "antrea-agent",
            "ovnkube-node",
            "kube-ovn-cni",
            "azure-npm",
            "kube-network-policies",
            "rke2-canal",
        ] {
            assert_eq!(health(name, &json!({})), Health::Good, "{name}");
        }
        for name in [
            "kube-flannel-ds",
            "kube-flannel",
            "azure-cns",
            "rke2-flannel",
        ] {
            assert_eq!(health(name, &json!({})), Health::Bad, "{name}");
        }
    }

    #[test]
    fn a_plugin_is_known_by_its_container_in_a_set_of_any_name() {
        for container in [
            json!({"name": "calico-node", "image": "quay.io/calico/node:v3.30.0"}),
            json!({"name": "cilium-agent"}),
            json!({"name": "x", "image": "registry:5000/a/kube-network-policies:v1@sha256:0"}),
            json!({"name": "x", "image": "kube-router"}),
        ] {
            assert_eq!(health("my-cni", &container), Health::Good, "{container}");
        }
        let flannel = json!({"name": "kube-flannel", "image": "flannel:v0.25"});
        assert_eq!(health("my-cni", &flannel), Health::Bad);
    }

    #[test]
    fn flannel_enforces_with_the_container_that_its_chart_adds() {
        let both = json!([
            {"name": "kube-flannel", "image": "ghcr.io/flannel-io/flannel:v0.27.0"},
            {"name": "kube-network-policies", "image": "registry.k8s.io/networking/kube-network-policies:v0.7.0"},
        ]);
        for name in ["kube-flannel-ds", "kube-flannel", "mine"] {
            let found = network_plugin(&cluster(&[item(name, &both)]));
            assert_eq!(found.health, Health::Good, "{found}");
            assert!(found.what.contains(name), "{found}");
        }
        // The container alone, in a set that runs nowhere, helps nobody.
        let mut nowhere = item("kube-network-policies", &json!([]));
        nowhere["status"] = json!({"desiredNumberScheduled": 0, "numberReady": 0});
        let flannel = item("kube-flannel-ds", &json!([]));
        assert_eq!(
            network_plugin(&cluster(&[flannel, nowhere])).health,
            Health::Bad
        );
    }

    #[test]
    fn plugins_that_enforce_when_a_flag_says_so() {
        for (args, expected) in [
            (json!([]), Health::Good),
            (json!(["--run-firewall=true"]), Health::Good),
            (json!(["--run-firewall"]), Health::Good),
            (json!(["--run-firewall=false"]), Health::Bad),
            (json!(["--run-firewall=0"]), Health::Bad),
            (json!(["--run-firewall=F"]), Health::Bad),
            (
                json!(["--run-firewall=false", "--run-firewall=true"]),
                Health::Good,
            ),
            (json!(["--run-firewall=$(FIREWALL)"]), Health::Unknown),
            (json!(["--run-firewalls=false"]), Health::Good),
        ] {
            assert_eq!(
                health("kube-router", &json!({"args": args})),
                expected,
                "{args}"
            );
        }
        let shell = json!({"command": ["sh", "-c", "exec kube-router --run-firewall=false"]});
        assert_eq!(health("kube-router", &shell), Health::Bad);
        assert_eq!(
            health("weave-net", &json!({"name": "weave-npc"})),
            Health::Good
        );
        assert_eq!(health("weave-net", &json!({"name": "weave"})), Health::Bad);
        let image = |tag: &str| json!({"image": format!("docker.io/kindest/kindnetd:{tag}")});
        assert_eq!(
            health("kindnet", &image("v20240813-c6f155d6")),
            Health::Good
        );
        assert_eq!(health("kindnet", &image("v20230511-dc714da8")), Health::Bad);
        assert_eq!(health("kindnet", &image("latest")), Health::Unknown);
        let flagged = |value: &str| json!({"image": "kindnetd:stable", "command": [format!("--network-policy={value}")]});
        assert_eq!(health("kindnet", &flagged("true")), Health::Good);
        assert_eq!(health("kindnet", &flagged("false")), Health::Bad);
    }

    /// The agent's flag is not enough: without the controller nothing is enforced.
    #[test]
    fn amazons_plugin_needs_its_controller_as_well() {
        let set = |flag: &str| {
            let agent = json!({"name": "aws-eks-nodeagent", "args": [flag, "--enable-ipv6=false"]});
            item("aws-node", &json!([{"name": "aws-node"}, agent]))
        };
        let on = set("--enable-network-policy=true");
        assert_eq!(
            network_plugin(&cluster(std::slice::from_ref(&on))).health,
            Health::Unknown
        );
        for (data, expected) in [
            (
                json!({"enable-network-policy-controller": "true"}),
                Health::Good,
            ),
            (
                json!({"enable-network-policy-controller": "false"}),
                Health::Bad,
            ),
            (json!({}), Health::Unknown),
        ] {
            let mut asked = cluster(std::slice::from_ref(&on));
            config_map(&mut asked, "amazon-vpc-cni", &data);
            assert_eq!(network_plugin(&asked).health, expected, "{data}");
        }
        for off in ["--enable-network-policy=false", "--x"] {
            assert_eq!(
                network_plugin(&cluster(&[set(off)])).health,
                Health::Bad,
                "{off}"
            );
        }
    }

    #[test]
    fn cilium_can_be_told_to_enforce_nothing() {
        for (data, expected) in [
            (json!({"enable-policy": "never"}), Health::Bad),
            (json!({"enable-policy": "default"}), Health::Good),
            (json!({}), Health::Good),
        ] {
            let mut asked = cluster(&[item("cilium", &json!([]))]);
            config_map(&mut asked, "cilium-config", &data);
            assert_eq!(network_plugin(&asked).health, expected, "{data}");
        }
    }

    #[test]
    fn a_second_plugin_can_enforce_what_the_first_does_not() {
        let [flannel, calico] = ["kube-flannel-ds", "calico-node"].map(|n| item(n, &json!([])));
        assert_eq!(
            network_plugin(&cluster(&[flannel, calico])).health,
            Health::Good
        );
    }

    #[test]
    fn what_is_not_known_is_unknown_and_what_does_not_run_is_not_good() {
        assert_eq!(health("somebodys-cni", &json!({})), Health::Unknown);
        assert_eq!(network_plugin(&cluster(&[])).health, Health::Unknown);
        assert_eq!(network_plugin(&Cluster::default()).health, Health::Unknown);
        for (wanted, ready, expected, reply) in [
            (3, 0, Health::Bad, "none of its pods is ready"),
            (3, 2, Health::Unknown, "on some nodes"),
            (0, 0, Health::Bad, "runs on no node"),
            (3, 3, Health::Good, "enforces"),
        ] {
            let mut set = item("cilium", &json!([]));
            set["status"] = json!({"desiredNumberScheduled": wanted, "numberReady": ready});
            let found = network_plugin(&cluster(&[set]));
            assert_eq!(found.health, expected, "{found}");
            assert!(found.what.contains(reply), "{found}");
        }
    }

    fn k3s_cluster(version: Option<&str>, nodes: Option<Value>) -> Cluster {
        let mut cluster = cluster(&[]);
        assert_eq!(cluster.next_question(), Some(Question::Version));
        let version = version.map(|v| json!({"serverVersion": {"gitVersion": v}}));
        cluster.answer(Question::Version, version);
        if cluster.next_question() == Some(Question::Nodes) {
            cluster.answer(Question::Nodes, nodes);
        }
        assert_eq!(cluster.next_question(), None);
        cluster
    }

    fn node(arguments: &[&str]) -> Value {
        json!({
            "metadata": {"annotations": {"k3s.io/node-args": json!(arguments).to_string()}},
            "status": {"nodeInfo": {"kubeletVersion": "v1.33.4+k3s1"}},
        })
    }

    #[test]
    fn k3s_is_known_by_its_version_and_judged_by_its_arguments() {
        let k3s = Some("v1.33.4+k3s1");
        let found = network_plugin(&k3s_cluster(k3s, None));
        assert_eq!(found.health, Health::Unknown, "{found}");
        assert!(found.what.contains("--disable-network-policy"), "{found}");
        for (arguments, expected) in [
            (vec!["server"], Health::Good),
            (vec!["server", "--disable", "traefik"], Health::Good),
            (
                vec!["server", "--disable-network-policy", "--x"],
                Health::Bad,
            ),
            (vec!["server", "--disable-network-policy"], Health::Bad),
            (vec!["server", "--disable-network-policy=true"], Health::Bad),
            (
                vec!["server", "--disable-network-policy", "true"],
                Health::Bad,
            ),
            (
                vec!["server", "--disable-network-policy", "false"],
                Health::Good,
            ),
            // An agent does not say what its servers do.
            (vec!["agent"], Health::Unknown),
        ] {
            for version in [k3s, None] {
                let nodes = json!({"items": [node(&["agent"]), node(&arguments)]});
                let found = network_plugin(&k3s_cluster(version, Some(nodes)));
                assert_eq!(found.health, expected, "{arguments:?}: {found}");
            }
        }
        let found = network_plugin(&k3s_cluster(Some("v1.33.4"), None));
        assert!(!found.what.contains("k3s"), "{found}");
    }

    #[test]
    fn a_forbidden_list_and_a_silent_server_get_their_own_advice() {
        let reply = "Error from server (Forbidden): daemonsets.apps is forbidden: User \"a\" cannot \
                    list resource \"daemonsets\" in API group \"apps\" at the cluster scope";
        let found = no_answer(&Failure::Message(reply.to_owned())).to_string();
        assert!(
            found.contains("kubectl auth can-i list daemonsets -n kube-system"),
            "{found}"
        );
        assert!(
            found.contains("ClusterRole") && !found.contains("--no-cluster"),
            "{found}"
        );
        let found = no_answer(&Failure::Late(10)).to_string();
        assert!(found.contains("did not answer in 10 s"), "{found}");
        let reply = "error: You must be logged in to the server (Unauthorized)".to_owned();
        let found = no_answer(&Failure::Message(reply)).to_string();
        assert!(found.contains("log in again"), "{found}");
    }

    const HEAD4: &str = "NAME VERSION TYPE APIVERSION PROVENANCE SOURCE\n";

    fn worst(findings: &[Finding]) -> Option<Health> {
        let bad = findings.iter().find(|f| f.health == Health::Bad);
        bad.or(findings.first()).map(|f| f.health)
    }

    #[test]
    fn helm_4_needs_both_plugins_of_this_version() {
        let judge = |rows: &str| helm("v4.1.4", &format!("{HEAD4}{rows}"), "1.0.0", false);
        let ours = "vcluster-netpol 1.0.0 postrenderer/v1 v1\n";
        let command = "vcluster-netpol-cli 1.0.0 cli/v1 v1\n";
        assert_eq!(
            worst(&judge(&format!("{ours}{command}"))),
            Some(Health::Good)
        );
        assert_eq!(worst(&judge("")), Some(Health::Bad));
        assert_eq!(worst(&judge(ours)), Some(Health::Bad));
        assert_eq!(
            worst(&judge("vcluster-netpol 1.0.0 cli/v1 legacy\n")),
            Some(Health::Bad)
        );
        let old = ours.replace("1.0.0", "0.9.0");
        assert_eq!(worst(&judge(&format!("{old}{command}"))), Some(Health::Bad));
    }

    #[test]
    fn helm_3_needs_the_program_on_path_and_no_plugin() {
        let head = "NAME VERSION DESCRIPTION\n";
        assert_eq!(
            worst(&helm("v3.17.3", head, "1.0.0", true)),
            Some(Health::Good)
        );
        assert_eq!(
            worst(&helm("v3.17.3", head, "1.0.0", false)),
            Some(Health::Bad)
        );
        let plugin = format!("{head}vcluster-netpol 0.9.0 text\n");
        assert_eq!(
            worst(&helm("v3.17.3", &plugin, "1.0.0", true)),
            Some(Health::Bad)
        );
    }
}
