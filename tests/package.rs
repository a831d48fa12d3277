//! The files of a release, as scripts/package makes them and as their users take them. And that all
//! files that name the version name the same one.

#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by stopping"
)]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/helm.rs"]
mod helm;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/release.rs"]
mod release;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use helm::{Helm, Run};
use release::{Host, VERSION, archive, done, lay, script, sums};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A release for this machine, of a program that only says its version: that packs faster.
fn package(folder: &Path, key: Option<(&Path, &str)>) {
    let system = archive(VERSION);
    let system = system
        .strip_prefix(&format!("vcluster-netpol-{VERSION}-"))
        .and_then(|rest| rest.strip_suffix(".tar.gz"))
        .expect("a system");
    let built = tempfile::tempdir().expect("a folder");
    let program = built.path().join("vcluster-netpol");
    script(&program, &format!("echo 'vcluster-netpol {VERSION}'\n"));
    let mut command = Command::new(Path::new(ROOT).join("scripts/package"));
    command
        .arg(folder)
        .arg(format!("{system}={}", program.display()))
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env_remove("VCLUSTER_NETPOL_SIGN_KEY");
    if let Some((home, key)) = key {
        command
            .env("GNUPGHOME", home)
            .env("VCLUSTER_NETPOL_SIGN_KEY", key);
    }
    done(&mut command);
}

/// The archive for Helm 4.
fn helm4_archive(folder: &Path) -> PathBuf {
    folder.join(archive(VERSION).replace(".tar.gz", ".tgz"))
}

/// A Helm that has nothing yet.
fn fresh(helm: Helm, home: &Path, words: &[&str]) -> Command {
    let plugins = home.join("data/plugins");
    fs::create_dir_all(&plugins).expect("a folder");
    let mut command = Command::new(helm.program());
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home)
        .env("HELM_CACHE_HOME", home.join("cache"))
        .env("HELM_CONFIG_HOME", home.join("config"))
        .env("HELM_DATA_HOME", home.join("data"))
        .env("HELM_PLUGINS", plugins)
        .current_dir(home)
        .args(words);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn the_same_program_gives_the_same_bytes_and_sums_that_fit() {
    let folders = [tempfile::tempdir(), tempfile::tempdir()].map(|f| f.expect("a folder"));
    for folder in &folders {
        package(folder.path(), None);
        let mut check = Command::new("sha256sum");
        check
            .args(["--check", "--strict", "--quiet"])
            .arg(sums(VERSION));
        done(check.current_dir(folder.path()));
    }
    let [one, other] = folders.map(|folder| {
        let names = fs::read_dir(folder.path()).expect("a folder");
        let mut files: Vec<(String, Vec<u8>)> = names
            .map(|entry| entry.expect("an entry"))
            .map(|entry| {
                let name = entry.file_name().into_string().expect("UTF-8");
                (name, fs::read(entry.path()).expect("a file"))
            })
            .collect();
        files.sort();
        files
    });
    let names: Vec<&str> = one.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    for ((name, ours), (_, theirs)) in one.iter().zip(&other) {
        assert!(ours == theirs, "{name} differs");
    }
    let said = String::from_utf8(
        one.iter()
            .find(|(name, _)| *name == sums(VERSION))
            .expect("the sums")
            .1
            .clone(),
    )
    .expect("UTF-8");
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn install_sh_takes_the_program_from_the_release() {
    let host = Host::empty();
    package(host.file("").as_path(), None);
    let folder = tempfile::tempdir().expect("a folder");
    lay(folder.path(), VERSION);
    let mut command = Command::new("sh");
    command
        .arg(folder.path().join("install.sh"))
        .env("VCLUSTER_NETPOL_BASE_URL", host.url())
        .env_remove("HELM_PLUGIN_DIR");
    let said = Run::of(&mut command, "").printed();
    assert!(said.contains("its SHA-256 checked"), "{said}");
}

#[test]
fn helm_3_installs_its_archive() {
    let host = Host::empty();
    package(host.file("").as_path(), None);
    let home = tempfile::tempdir().expect("a folder");
    let run = |words: &[&str]| Run::of(&mut fresh(Helm::Three, home.path(), words), "");
    let url = format!("{}/{}", host.url(), archive(VERSION));
    let said = run(&["plugin", "install", &url]).printed();
    assert!(said.contains("takes the program that is there"), "{said}");
    let version = run(&["vcluster-netpol", "--version"]).printed();
    assert_eq!(version, format!("vcluster-netpol {VERSION}\n"));
    run(&["plugin", "uninstall", "vcluster-netpol"]).printed();
    let left = fs::read_dir(home.path().join("data/plugins")).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[test]
fn helm_4_verifies_and_installs_its_archive_when_it_is_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = tempfile::Builder::new()
        .prefix("gpg")
        .tempdir_in("/tmp")
        .expect("a folder whose path is short enough for gpg's socket");
    let gpg = |words: &[&str]| {
        let mut command = Command::new("gpg");
        command
            .env("GNUPGHOME", keys.path())
            .args(["--batch", "--quiet", "--passphrase", ""])
            .args(words);
        let output = command.output().expect("gpg starts: install gnupg");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let who = "Nobody <nobody@localhost>";
    gpg(&["--quick-generate-key", who, "rsa3072", "sign", "1d"]);
    let keyring = keys.path().join("public.gpg");
    fs::write(&keyring, gpg(&["--export"])).expect("a keyring");
    package(folder.path(), Some((keys.path(), "nobody@localhost")));

    let home = tempfile::tempdir().expect("a folder");
    let run = |words: &[&str]| Run::of(&mut fresh(Helm::Four, home.path(), words), "");
    let file = helm4_archive(folder.path());
    let by_keyring = ["--keyring", text(&keyring)];
    let verify = [&["plugin", "verify", text(&file)][..], &by_keyring].concat();
    let said = run(&verify);
    assert!(said.code == Some(0), "{}", said.stderr);

    let install = [&["plugin", "install", text(&file)][..], &by_keyring].concat();
    run(&install).printed();
    let version = run(&["vcluster-netpol", "--version"]).printed();
    assert_eq!(version, format!("vcluster-netpol {VERSION}\n"));
    let list = run(&["plugin", "list"]).printed();
    let ours = list
        .lines()
        .find(|line| line.starts_with("vcluster-netpol "))
        .expect("the plugin");
    let words: Vec<&str> = ours.split_whitespace().collect();
    assert!(
        words.contains(&"postrenderer/v1") && words.contains(&"signed"),
        "{list}"
    );
    run(&["plugin", "uninstall", "vcluster-netpol"]).printed();
    let left = fs::read_dir(home.path().join("data/plugins")).expect("a folder");
    assert_eq!(left.count(), 0);

    let signature = folder.path().join(format!("{}.asc", sums(VERSION)));
    gpg(&[
        "--verify",
        text(&signature),
        text(&folder.path().join(sums(VERSION))),
    ]);

    let mut bytes = fs::read(&file).expect("the archive");
    bytes.push(0);
    fs::write(&file, bytes).expect("a tampered archive");
    assert_ne!(run(&verify).code, Some(0), "a tampered archive");
    assert_ne!(run(&install).code, Some(0), "a tampered archive");
}

#[test]
fn the_bill_of_materials_names_what_is_compiled_in() {
    let printed = done(&mut Command::new(Path::new(ROOT).join("scripts/sbom")));
    let bill: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["version"], VERSION);
    let named: Vec<&str> = bill["components"]
        .as_array()
        .expect("components")
        .iter()
        .map(|component| component["name"].as_str().expect("a name"))
        .collect();
    for package in ["clap", "k8s-openapi", "granit-parser", "serde_json"] {
        assert!(named.contains(&package), "{package} is missing");
    }
    for package in ["proptest", "assert_cmd", "windows-sys"] {
        assert!(!named.contains(&package), "{package} is not compiled in");
    }
}

/// The value of the first line that begins with this.
#[track_caller]
fn line(file: &str, start: &str) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(file)).expect(file);
    let found = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(start));
    found
        .unwrap_or_else(|| panic!("{file} has no {start}"))
        .trim()
        .to_owned()
}

#[test]
fn every_file_names_the_same_version() {
    for file in [
        "plugin.yaml",
        "plugin/helm3.yaml",
        "plugin/helm4.yaml",
        "plugin/helm4-command.yaml",
    ] {
        assert_eq!(line(file, "version:"), VERSION, "{file}");
    }
    let image = format!("vcluster-netpol-argocd:{VERSION}");
    assert_eq!(line("argocd/sidecar-patch.yaml", "image:"), image);
    let container = fs::read_to_string(Path::new(ROOT).join("argocd/Containerfile")).expect("it");
    assert!(container.contains(&image));
    let changelog = fs::read_to_string(Path::new(ROOT).join("CHANGELOG.md")).expect("it");
    let mut headings = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## ["));
    assert_eq!(headings.next(), Some("Unreleased]"), "CHANGELOG.md");
    // Before the first release there is no other.
    if let Some(newest) = headings.next() {
        assert!(
            newest.starts_with(&format!("{VERSION}]")),
            "CHANGELOG.md: {newest}"
        );
    }
}

#[test]
fn the_plugins_name_the_same_program() {
    for file in ["plugin/helm3.yaml", "plugin/helm4.yaml"] {
        assert_eq!(line(file, "name:"), "vcluster-netpol", "{file}");
    }
    assert_eq!(
        line("plugin/helm4-command.yaml", "name:"),
        "vcluster-netpol-cli"
    );
    let usage = line("plugin/helm4-command.yaml", "usage:");
    assert!(usage.starts_with("\"vcluster-netpol "), "{usage}");
}

/// The files of a release that install.sh asks for are those that the workflow has made.
#[test]
fn the_workflow_builds_what_install_sh_asks_for() {
    let read = |file: &str| fs::read_to_string(Path::new(ROOT).join(file)).expect(file);
    let workflow = read(".github/workflows/release.yaml");
    let yaml: serde_yaml::Value = serde_yaml::from_str(&workflow).expect("YAML");
    let built: Vec<&str> = yaml["jobs"]["build"]["strategy"]["matrix"]["include"]
        .as_sequence()
        .expect("systems")
        .iter()
        .map(|row| row["system"].as_str().expect("a system"))
        .collect();
    let script = read("install.sh");
    let words = |variable: &str| -> Vec<String> {
        let start = format!("{variable}=");
        let values = script.lines().filter_map(|line| line.split_once(") "));
        values
            .filter_map(|(_, rest)| rest.strip_prefix(&start)?.strip_suffix(" ;;"))
            .map(str::to_owned)
            .collect()
    };
    let mut asked = Vec::new();
    for os in words("os") {
        for cpu in words("cpu") {
            asked.push(format!("{os}-{cpu}"));
        }
    }
    assert_eq!(asked, built);
    for system in built {
        assert!(
            workflow.contains(&format!("{system}=built/{system}")),
            "{system}"
        );
    }
    let platforms = read("scripts/sbom");
    for row in yaml["jobs"]["build"]["strategy"]["matrix"]["include"]
        .as_sequence()
        .expect("targets")
    {
        let target = row["target"].as_str().expect("a target");
        assert!(platforms.contains(&format!("\"{target}\"")), "{target}");
    }
}
