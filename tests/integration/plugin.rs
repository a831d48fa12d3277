//! The Helm plugin, installed, used, updated and uninstalled by the real Helms.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::helm::{ALL, FOURS, Helm, Run};
use crate::support::release::{self, Host, NEXT, VERSION, git, lay, repository, tag};

/// The small chart.
const MINI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charts/vcluster-mini");

/// A machine where nothing is installed yet, and a host that has the release.
struct Machine {
    home: tempfile::TempDir,
    host: Host,
}

impl Machine {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("a folder"),
            host: Host::with(VERSION),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where this Helm has its plugins.
    fn plugins(&self, helm: Helm) -> PathBuf {
        let folder = self.path(helm.short()).join("data/plugins");
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    fn command(&self, helm: Helm, words: &[&str]) -> Command {
        let home = self.path(helm.short());
        let mut command = Command::new(helm.program());
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.path("no-cluster"))
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("HELM_PLUGINS", self.plugins(helm))
            .env("VCLUSTER_NETPOL_BASE_URL", self.host.url())
            .args(words);
        command
    }

    fn run(&self, helm: Helm, words: &[&str]) -> Run {
        Run::of(&mut self.command(helm, words), "")
    }

    /// `helm plugin install`, as this Helm wants it for an archive without a signature.
    fn install(&self, helm: Helm, source: &str) -> Run {
        let mut words = vec!["plugin", "install", source];
        if helm.is_four() {
            words.push("--verify=false");
        }
        self.run(helm, &words)
    }

    /// A repository of the plugin, and its URL.
    fn repository(&self) -> (PathBuf, String) {
        let folder = self.path("repos/vcluster-netpol");
        repository(&folder);
        let url = format!("file://{}", folder.display());
        (folder, url)
    }

    /// What this Helm has, as `NAME VERSION`.
    fn list(&self, helm: Helm) -> Vec<String> {
        let printed = self.run(helm, &["plugin", "list"]).printed();
        let rows = printed.lines().skip(1);
        rows.map(|row| row.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// That the plugin does what it is for.
    #[track_caller]
    fn assert_works(&self, helm: Helm, version: &str) {
        let plugin = format!("vcluster-netpol {version}");
        let mut expected = vec![plugin.clone()];
        if helm.is_four() {
            expected.push(format!("vcluster-netpol-cli {version}"));
        }
        assert_eq!(self.list(helm), expected, "{helm}");
        let said = self.run(helm, &["vcluster-netpol", "--version"]).printed();
        assert_eq!(said.trim_end(), plugin, "{helm}");
        if version != VERSION {
            return;
        }
        let options = self
            .run(helm, &["vcluster-netpol", "exec", "--help"])
            .printed();
        assert!(options.contains("--require"), "{helm}: {options}");

        let bad = self.path("bad.yaml");
        fs::write(&bad, "policies: {networkPolicy: {enabled: 1}}\n").expect("a file");
        let lint = self.run(helm, &["vcluster-netpol", "lint", "--config", text(&bad)]);
        assert_eq!(lint.code, Some(1), "{helm}: {}", lint.stderr);
        let said = format!("{}{}", lint.stdout, lint.stderr);
        assert!(said.contains("enabled"), "{helm}: {said}");

        let words = [
            "template",
            "a",
            MINI,
            "--set=policies.networkPolicy.enabled=true",
            "--post-renderer",
            "vcluster-netpol",
        ];
        let mut template = self.command(helm, &words);
        if helm == Helm::Three {
            let bin = self.plugins(helm).join("vcluster-netpol/bin");
            template.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        }
        let printed = Run::of(&mut template, "").printed();
        assert!(
            printed.contains("vc-work-a") && printed.contains("vc-cp-a"),
            "{helm}"
        );
    }

    #[track_caller]
    fn assert_nothing_left(&self, helm: Helm) {
        let left: Vec<_> = fs::read_dir(self.plugins(helm))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert!(left.is_empty(), "{helm} is left with {left:?}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn from_a_git_url_it_is_installed_used_updated_and_uninstalled() {
    for helm in ALL {
        let machine = Machine::new();
        let (folder, url) = machine.repository();
        let said = machine.install(helm, &url).printed();
        assert!(
            said.contains("Installed plugin: vcluster-netpol"),
            "{helm}: {said}"
        );
        assert!(said.contains("its SHA-256 checked"), "{helm}: {said}");
        machine.assert_works(helm, VERSION);

        let clone = machine.plugins(helm).join("vcluster-netpol");
        assert_eq!(git(&clone, &["status", "--porcelain"]), "", "{helm}");
        machine.host.release(NEXT, NEXT);
        lay(&folder, NEXT);
        tag(&folder, NEXT);
        machine
            .run(helm, &["plugin", "update", "vcluster-netpol"])
            .printed();
        machine.assert_works(helm, NEXT);
        assert_eq!(git(&clone, &["status", "--porcelain"]), "", "{helm}");

        machine
            .run(helm, &["plugin", "uninstall", "vcluster-netpol"])
            .printed();
        machine.assert_nothing_left(helm);
    }
}

fn a_tag_can_be_asked_for() {
    for helm in ALL {
        let machine = Machine::new();
        let (folder, url) = machine.repository();
        machine.host.release(NEXT, NEXT);
        lay(&folder, NEXT);
        tag(&folder, NEXT);
        for version in [VERSION, NEXT] {
            let mut words = vec!["plugin", "install", &url, "--version", version];
            if helm.is_four() {
                words.push("--verify=false");
            }
            machine.run(helm, &words).printed();
            machine.assert_works(helm, version);
            machine
                .run(helm, &["plugin", "uninstall", "vcluster-netpol"])
                .printed();
            machine.assert_nothing_left(helm);
        }
    }
}

fn from_one_folder_all_helms_install_it_and_leave_the_folder_as_it_is() {
    let machine = Machine::new();
    let (folder, _) = machine.repository();
    for helm in ALL {
        machine.install(helm, text(&folder)).printed();
    }
    for helm in ALL {
        machine.assert_works(helm, VERSION);
        assert_eq!(git(&folder, &["status", "--porcelain"]), "", "{helm}");
    }
    for helm in ALL {
        machine
            .run(helm, &["plugin", "uninstall", "vcluster-netpol"])
            .printed();
        machine.assert_nothing_left(helm);
    }
    assert!(
        folder.join("plugin/helm4.yaml").exists(),
        "the user's folder stays"
    );
    assert_eq!(git(&folder, &["status", "--porcelain"]), "");
}

fn all_helms_have_it_on_one_machine() {
    let machine = Machine::new();
    let (_, url) = machine.repository();
    for helm in ALL {
        machine.install(helm, &url).printed();
    }
    for helm in ALL {
        machine.assert_works(helm, VERSION);
    }
    for helm in FOURS {
        machine
            .run(helm, &["plugin", "uninstall", "vcluster-netpol"])
            .printed();
    }
    machine.assert_works(Helm::Three, VERSION);
}

fn other_plugins_stay_loadable() {
    for helm in ALL {
        let machine = Machine::new();
        let (_, url) = machine.repository();
        let other = machine.plugins(helm).join("other");
        fs::create_dir_all(&other).expect("a folder");
        let manifest = "name: other\nversion: 1.0.0\nusage: u\ndescription: d\n\
                        command: \"echo other is here\"\n";
        fs::write(other.join("plugin.yaml"), manifest).expect("a manifest");
        let works = || machine.run(helm, &["other"]).printed() == "other is here\n";
        assert!(works(), "{helm}, before");
        machine.install(helm, &url).printed();
        assert!(works(), "{helm}, beside ours");
        machine
            .run(helm, &["plugin", "uninstall", "vcluster-netpol"])
            .printed();
        assert!(works(), "{helm}, after ours");
        assert_eq!(machine.list(helm), ["other 1.0.0"], "{helm}");
    }
}

fn a_failed_install_leaves_nothing_and_can_be_tried_again() {
    for helm in ALL {
        let machine = Machine::new();
        let (folder, url) = machine.repository();
        let archive = machine.host.file(&release::archive(VERSION));
        let whole = fs::read(&archive).expect("the archive");
        fs::write(&archive, b"something else").expect("a bad archive");
        for source in [url.as_str(), text(&folder)] {
            let run = machine.install(helm, source);
            assert_ne!(run.code, Some(0), "{helm}, {source}: {}", run.stdout);
            let said = format!("{}{}", run.stdout, run.stderr);
            assert!(
                said.contains("is not what the release says"),
                "{helm}: {said}"
            );
            machine.assert_nothing_left(helm);
            assert_eq!(machine.list(helm), [""; 0], "{helm}");
        }
        assert_eq!(git(&folder, &["status", "--porcelain", "--ignored"]), "");
        fs::write(&archive, whole).expect("the archive");
        machine.install(helm, &url).printed();
        machine.assert_works(helm, VERSION);
    }
}

fn a_failed_update_keeps_the_program_that_was_there() {
    for helm in ALL {
        let machine = Machine::new();
        let (folder, url) = machine.repository();
        machine.install(helm, &url).printed();
        lay(&folder, NEXT);
        tag(&folder, NEXT);
        let update = ["plugin", "update", "vcluster-netpol"];
        let run = machine.run(helm, &update);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("of another version"), "{helm}: {said}");
        assert_ne!(run.code, Some(0), "{helm}: {said}");
        let version = machine
            .run(helm, &["vcluster-netpol", "--version"])
            .printed();
        assert_eq!(version, format!("vcluster-netpol {VERSION}\n"), "{helm}");

        machine.host.release(NEXT, NEXT);
        machine.run(helm, &update).printed();
        machine.assert_works(helm, NEXT);
    }
}

/// Helm 4 links a folder below HELM_DATA_HOME, whatever HELM_PLUGINS says: perhaps into the folder
/// of a Helm 3, which then would load no plugin at all.
fn a_folder_that_helm_4_would_install_into_another_ones_plugins_is_refused() {
    for helm in FOURS {
        let machine = Machine::new();
        let (folder, _) = machine.repository();
        let apart = machine.path("apart");
        fs::create_dir_all(&apart).expect("a folder");
        let words = ["plugin", "install", text(&folder), "--verify=false"];
        let mut command = machine.command(helm, &words);
        let run = Run::of(command.env("HELM_PLUGINS", &apart), "");
        assert_ne!(run.code, Some(0), "{helm}: {}", run.stdout);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("set HELM_DATA_HOME"), "{helm}: {said}");
        machine.assert_nothing_left(helm);
    }
}

/// A user may have set some of Helm's variables; Helm 4 is none the less Helm 4.
fn variables_of_the_user_do_not_hide_which_helm_it_is() {
    for helm in FOURS {
        let machine = Machine::new();
        let (_, url) = machine.repository();
        let words = ["plugin", "install", &url, "--verify=false"];
        let mut command = machine.command(helm, &words);
        command
            .env("HELM_BIN", Helm::Three.program())
            .env("HELM_DEBUG", "false")
            .env("HELM_NAMESPACE", "team-x");
        Run::of(&mut command, "").printed();
        machine.assert_works(helm, VERSION);
    }
}

crate::registry::tests! {
    slow: [
        from_a_git_url_it_is_installed_used_updated_and_uninstalled,
        a_tag_can_be_asked_for,
        from_one_folder_all_helms_install_it_and_leave_the_folder_as_it_is,
        all_helms_have_it_on_one_machine,
        other_plugins_stay_loadable,
        a_failed_install_leaves_nothing_and_can_be_tried_again,
        a_failed_update_keeps_the_program_that_was_there,
        a_folder_that_helm_4_would_install_into_another_ones_plugins_is_refused,
        variables_of_the_user_do_not_hide_which_helm_it_is,
    ],
}
