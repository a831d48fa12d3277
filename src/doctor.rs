//! Whether the policies will have an effect: judgements on what Helm and the cluster say.
//!
//! Everything is judged from text that somebody else fetched; nothing here runs a program. What is
//! not known is said to be unknown, never guessed. A network plugin that is learnt of is added to
//! the table `KNOWN`.

use std::fmt;

use serde_json::Value;

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
        write!(f, "{word:<8}{}", self.what)?;
        match &self.help {
            Some(help) => write!(f, "\n        help: {help}"),
            None => Ok(()),
        }
    }
}

/// What is known of a network plugin.
#[derive(Debug, Clone, Copy)]
enum Enforces {
    Always,
    Never,
    /// If a container of this name is there.
    Container(&'static str),
    /// If a container has this argument.
    Argument(&'static str),
    /// Unless a container has this argument.
    WithoutArgument(&'static str),
    /// From images of this date on, as in `kindnetd:v20240813-c6f155d6`.
    Since(u32),
}

/// DaemonSets by their names, the plugins they belong to, and when those enforce network policies.
const KNOWN: [(&str, &str, Enforces); 17] = [
    ("calico-node", "Calico", Enforces::Always),
    ("canal", "Canal (Calico's policies)", Enforces::Always),
    ("rke2-canal", "Canal (Calico's policies)", Enforces::Always),
    ("cilium", "Cilium", Enforces::Always),
    ("anetd", "GKE Dataplane V2 (Cilium)", Enforces::Always),
    ("antrea-agent", "Antrea", Enforces::Always),
    ("weave-net", "Weave Net", Enforces::Container("weave-npc")),
    (
        "kube-router",
        "kube-router",
        Enforces::WithoutArgument("--run-firewall=false"),
    ),
    ("ovnkube-node", "OVN-Kubernetes", Enforces::Always),
    ("kube-ovn-cni", "Kube-OVN", Enforces::Always),
    (
        "aws-node",
        "Amazon VPC CNI",
        Enforces::Argument("--enable-network-policy=true"),
    ),
    (
        "azure-npm",
        "Azure Network Policy Manager",
        Enforces::Always,
    ),
    (
        "kube-network-policies",
        "kube-network-policies",
        Enforces::Always,
    ),
    ("kindnet", "kindnet", Enforces::Since(20_240_813)),
    ("kube-flannel-ds", "flannel", Enforces::Never),
    ("kube-flannel", "flannel", Enforces::Never),
    ("azure-cns", "Azure CNI", Enforces::Never),
];

/// Whether the cluster's network plugin enforces network policies, from its DaemonSets
/// (`kubectl get daemonsets --all-namespaces --output=json`).
#[must_use]
pub fn network_plugin(daemon_sets: &Value) -> Finding {
    let items = daemon_sets.get("items").and_then(Value::as_array);
    let mut silent: Option<&str> = None;
    let mut undecided: Option<&str> = None;
    let mut idle: Option<&str> = None;
    for set in items.into_iter().flatten() {
        let name = set.pointer("/metadata/name").and_then(Value::as_str);
        let Some((_, plugin, enforces)) = KNOWN.iter().find(|(known, ..)| Some(*known) == name)
        else {
            continue;
        };
        match enforced(*enforces, set) {
            Some(true) if is_idle(set) => idle = Some(plugin),
            Some(true) => {
                let what = format!("the cluster's network plugin {plugin} enforces NetworkPolicy");
                return Finding::new(Health::Good, what);
            }
            Some(false) => silent = Some(plugin),
            None => undecided = Some(plugin),
        }
    }
    if let Some(plugin) = idle {
        let what = format!("{plugin} would enforce NetworkPolicy, but none of its pods is ready");
        return Finding::new(Health::Bad, what).help("see why its DaemonSet is not ready");
    }
    if let Some(plugin) = undecided {
        let what = format!("whether this {plugin} enforces NetworkPolicy can't be told");
        return Finding::new(Health::Unknown, what).help(TRY);
    }
    if let Some(plugin) = silent {
        let what = format!(
            "the cluster's network plugin {plugin}, as it is set up, does not enforce \
             NetworkPolicy: the policies have no effect"
        );
        return Finding::new(Health::Bad, what)
            .help("switch its network policies on, or install a plugin that enforces them");
    }
    let what = "whether the cluster enforces NetworkPolicy can't be told: none of its DaemonSets is \
                that of a network plugin we know";
    Finding::new(Health::Unknown, what).help(TRY)
}

const TRY: &str = "try it: a policy that denies everything must cut a pod off";

fn containers(set: &Value) -> impl Iterator<Item = &Value> {
    set.pointer("/spec/template/spec/containers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn enforced(enforces: Enforces, set: &Value) -> Option<bool> {
    let has_argument = |wanted: &str| {
        containers(set)
            .flat_map(|c| {
                ["args", "command"]
                    .into_iter()
                    .filter_map(|k| c.get(k)?.as_array())
            })
            .flatten()
            .any(|word| word.as_str() == Some(wanted))
    };
    match enforces {
        Enforces::Always => Some(true),
        Enforces::Never => Some(false),
        Enforces::Container(name) => {
            Some(containers(set).any(|c| c.get("name").and_then(Value::as_str) == Some(name)))
        }
        Enforces::Argument(word) => Some(has_argument(word)),
        Enforces::WithoutArgument(word) => Some(!has_argument(word)),
        Enforces::Since(first) => containers(set)
            .filter_map(|c| c.get("image")?.as_str())
            .find_map(date)
            .map(|date| date >= first),
    }
}

/// The date in an image's tag.
fn date(image: &str) -> Option<u32> {
    let (_, tag) = image.rsplit_once(":v")?;
    tag.get(..8)?.parse().ok()
}

fn is_idle(set: &Value) -> bool {
    let count = |name: &str| set.get("status")?.get(name)?.as_u64();
    count("desiredNumberScheduled").is_some_and(|n| n > 0) && count("numberReady") == Some(0)
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

    fn set(name: &str, container: &Value) -> Value {
        json!({"items": [
            {"metadata": {"name": "kube-proxy"}},
            {"metadata": {"name": name},
             "spec": {"template": {"spec": {"containers": [container]}}},
             "status": {"desiredNumberScheduled": 3, "numberReady": 3}},
        ]})
    }

    fn health(name: &str, container: &Value) -> Health {
        network_plugin(&set(name, container)).health
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
        for name in ["kube-flannel-ds", "kube-flannel", "azure-cns"] {
            assert_eq!(health(name, &json!({})), Health::Bad, "{name}");
        }
    }

    #[test]
    fn plugins_that_enforce_when_they_are_told_to() {
        let agent = json!({"args": ["--enable-network-policy=true", "--x"]});
        assert_eq!(health("aws-node", &agent), Health::Good);
        let agent = json!({"args": ["--enable-network-policy=false"]});
        assert_eq!(health("aws-node", &agent), Health::Bad);
        assert_eq!(health("kube-router", &json!({"args": []})), Health::Good);
        let off = json!({"args": ["--run-firewall=false"]});
        assert_eq!(health("kube-router", &off), Health::Bad);
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
    }

    #[test]
    fn a_second_plugin_can_enforce_what_the_first_does_not() {
        let two = json!({"items": [
            {"metadata": {"name": "kube-flannel-ds"}},
            {"metadata": {"name": "calico-node"}},
        ]});
        assert_eq!(network_plugin(&two).health, Health::Good);
    }

    #[test]
    fn what_is_not_known_is_unknown_and_what_does_not_run_is_bad() {
        assert_eq!(health("somebodys-cni", &json!({})), Health::Unknown);
        assert_eq!(
            network_plugin(&json!({"items": []})).health,
            Health::Unknown
        );
        assert_eq!(network_plugin(&Value::Null).health, Health::Unknown);
        let mut idle = set("cilium", &json!({}));
        idle["items"][1]["status"]["numberReady"] = json!(0);
        let found = network_plugin(&idle);
        assert_eq!(found.health, Health::Bad);
        assert!(found.what.contains("none of its pods is ready"));
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
