//! `doctor`: with the real Helms, and a kubectl that says what a cluster would.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::helm::{FILTER, FOURS, Helm, Run, kubectl};
use crate::support::release::{NEXT, VERSION, lay, program, script};

/// A machine with these programs and no others beside the system's.
struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    fn new(helm: Option<Helm>, on_path: bool) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let bin = home.path().join("bin");
        fs::create_dir_all(home.path().join("data/plugins")).expect("a folder");
        fs::create_dir_all(&bin).expect("a folder");
        if let Some(helm) = helm {
            symlink(helm.program(), bin.join("helm")).expect("a link");
        }
        if on_path {
            symlink(FILTER, bin.join("vcluster-netpol")).expect("a link");
        }
        Self { home }
    }

    fn command(&self, program: &str) -> Command {
        let home = self.home.path();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", home.join("bin").display()),
            )
            .env("HOME", home)
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("HELM_PLUGINS", home.join("data/plugins"))
            .env("KUBECONFIG", home.join("no-cluster"));
        command
    }

    fn doctor(&self, words: &[&str]) -> Run {
        Run::of(self.command(FILTER).arg("doctor").args(words), "")
    }

    /// Installs the plugin from a folder that holds the program.
    fn install(&self, version: &str) {
        let folder = self.home.path().join("vcluster-netpol");
        lay(&folder, version);
        program(&folder.join("bin/vcluster-netpol"), version);
        let mut helm = self.command("helm");
        helm.args(["plugin", "install", folder.to_str().expect("UTF-8")]);
        Run::of(&mut helm, "").printed();
    }

    /// A kubectl that prints this.
    fn kubectl(&self, text: &str) -> String {
        let file = self.home.path().join("bin/fake-kubectl");
        script(&file, &format!("cat <<'END'\n{text}\nEND\n"));
        format!("--kubectl={}", file.display())
    }
}

fn a_helm_4_without_the_plugin_and_with_it() {
    FOURS.into_iter().for_each(with_and_without_the_plugin);
}

fn with_and_without_the_plugin(helm: Helm) {
    let machine = Machine::new(Some(helm), false);
    let run = machine.doctor(&["--no-cluster"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let version = helm.version();
    let said = format!("bad     Helm {version} has no plugin");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    machine.install(VERSION);
    let run = machine.doctor(&["--no-cluster"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let said = format!("good    Helm {version} has the plugin vcluster-netpol {VERSION}");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    // As Helm's own command, it asks the Helm that runs it.
    let mut by_helm = machine.command(helm.program().to_str().expect("UTF-8"));
    by_helm
        .args(["vcluster-netpol", "doctor", "--no-cluster"])
        .env("PATH", "/usr/bin:/bin");
    let printed = Run::of(&mut by_helm, "").printed();
    assert!(printed.contains(&said), "{printed}");
}

fn a_plugin_of_another_version() {
    for helm in FOURS {
        let machine = Machine::new(Some(helm), false);
        machine.install(NEXT);
        let run = machine.doctor(&["--no-cluster"]);
        assert_eq!(run.code, Some(1), "{helm}: {}", run.stdout);
        assert!(run.stdout.contains(NEXT), "{helm}: {}", run.stdout);
    }
}

fn a_helm_3_needs_the_program_on_path() {
    let run = Machine::new(Some(Helm::Three), false).doctor(&["--no-cluster"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("Helm v3.17.3 looks for post-renderers on PATH"),
        "{}",
        run.stdout
    );
    let run = Machine::new(Some(Helm::Three), true).doctor(&["--no-cluster"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
}

fn a_helm_3_that_meets_a_plugin_of_helm_4_loads_none() {
    let machine = Machine::new(Some(Helm::Three), true);
    let other = machine.home.path().join("data/plugins/other");
    fs::create_dir_all(&other).expect("a folder");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/plugin/helm4.yaml");
    fs::copy(manifest, other.join("plugin.yaml")).expect("a manifest");
    let run = machine.doctor(&["--no-cluster"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("bad     Helm v3.17.3 loads none of its plugins"),
        "{}",
        run.stdout
    );
}

fn what_the_cluster_says_is_judged() {
    let machine = Machine::new(Some(Helm::Three), true);
    for (name, word, code) in [
        ("cilium", "good    ", 0),
        ("kube-flannel-ds", "bad     ", 1),
        ("somebodys-cni", "unknown ", 0),
    ] {
        let sets = format!("{{\"items\": [{{\"metadata\": {{\"name\": \"{name}\"}}}}]}}");
        let run = machine.doctor(&[&machine.kubectl(&sets)]);
        assert_eq!(run.code, Some(code), "{name}: {}", run.stdout);
        let found = run
            .stdout
            .lines()
            .any(|line| line.starts_with(word) && line.contains("NetworkPolicy"));
        assert!(found, "{name}: {}", run.stdout);
    }
}

fn what_cannot_be_asked_is_unknown() {
    let run = Machine::new(None, true).doctor(&["--kubectl=/no/such/kubectl"]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(
        run.stdout.contains("unknown nothing is known of Helm"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("unknown nothing is known of the cluster"),
        "{}",
        run.stdout
    );
}

/// A kubectl that runs this shell script, with what it was asked in `$*`.
impl Machine {
    fn kubectl_script(&self, text: &str) -> String {
        let file = self.home.path().join("bin/fake-kubectl");
        script(&file, text);
        format!("--kubectl={}", file.display())
    }
}

/// The real kubectl, and a server that takes connections and never answers them.
fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        // Held open: a closed connection would be an answer.
        let held: Vec<_> = listener.incoming().collect();
        drop(held);
    });
    let machine = Machine::new(None, true);
    let config = machine.home.path().join("config");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: a,\n\
         clusters: [{{name: a, cluster: {{server: \"http://{address}\"}}}}],\n\
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}],\n\
         users: [{{name: a, user: {{}}}}]}}\n"
    );
    fs::write(&config, text).expect("a kubeconfig");
    let kubectl = kubectl(Helm::FourTwo, [""; 0]);
    let kubectl = kubectl.get_program().to_str().expect("UTF-8");
    let started = std::time::Instant::now();
    let mut command = machine.command(FILTER);
    command
        .args(["doctor", "--timeout=2", "--kubectl", kubectl])
        .env("KUBECONFIG", config);
    let run = Run::of(&mut command, "");
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    let said = "unknown nothing is known of the cluster: its API server did not answer in 2 s";
    assert!(run.stdout.contains(said), "{}", run.stdout);
}

/// A kubectl that ends, and leaves something running that has its output open.
fn a_program_left_running_by_kubectl_is_not_waited_for() {
    let machine = Machine::new(None, true);
    let kubectl = machine.kubectl_script("sleep 30 &\nexit 1\n");
    let started = std::time::Instant::now();
    let run = Run::of(
        machine
            .command(FILTER)
            .args(["doctor", "--timeout=1", &kubectl]),
        "",
    );
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(started.elapsed().as_secs() < 15, "{:?}", started.elapsed());
}

fn the_deadline_is_for_all_questions_together() {
    let machine = Machine::new(None, true);
    let kubectl = machine.kubectl_script(
        "case \"$*\" in *daemonsets*) echo '{\"items\": []}' ;; *) exec sleep 30 ;; esac\n",
    );
    let started = std::time::Instant::now();
    let run = machine.doctor(&["--timeout=1", &kubectl]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(started.elapsed().as_secs() < 15, "{:?}", started.elapsed());
    assert!(
        run.stdout.contains("unknown it is not known whether"),
        "{}",
        run.stdout
    );
}

fn a_k3s_is_known_by_its_nodes() {
    let machine = Machine::new(None, true);
    let kubectl = machine.kubectl_script(
        "case \"$*\" in\n\
         *daemonsets*) echo '{\"items\": []}' ;;\n\
         *nodes*) echo '{\"items\": [{\"status\": {\"nodeInfo\": {\"kubeletVersion\": \"v1.33.4+k3s1\"}}}]}' ;;\n\
         *) exit 1 ;;\n\
         esac\n",
    );
    let run = machine.doctor(&[&kubectl]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(
        run.stdout.contains("unknown the cluster is a k3s")
            && run.stdout.contains("--disable-network-policy"),
        "{}",
        run.stdout
    );
}

fn a_forbidden_list_says_which_permission_is_missing() {
    let machine = Machine::new(None, true);
    let kubectl = machine.kubectl_script(
        "echo 'Error from server (Forbidden): daemonsets.apps is forbidden: User \"a\" cannot list \
         resource \"daemonsets\" in API group \"apps\" at the cluster scope' >&2\nexit 1\n",
    );
    let run = machine.doctor(&[&kubectl]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("kubectl auth can-i list daemonsets -n kube-system")
            && run.stdout.contains("ClusterRole"),
        "{}",
        run.stdout
    );
}

crate::registry::tests! {
    slow: [
        a_helm_4_without_the_plugin_and_with_it,
        a_plugin_of_another_version,
        a_helm_3_needs_the_program_on_path,
        a_helm_3_that_meets_a_plugin_of_helm_4_loads_none,
        what_the_cluster_says_is_judged,
        what_cannot_be_asked_is_unknown,
        a_server_that_never_answers_is_given_up_at_the_deadline,
        a_program_left_running_by_kubectl_is_not_waited_for,
        the_deadline_is_for_all_questions_together,
        a_k3s_is_known_by_its_nodes,
        a_forbidden_list_says_which_permission_is_missing,
    ],
}
