//! The files of a release, as scripts/package makes them and as their users take them. And that all
//! files that name the version name the same one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::helm::{FOURS, Helm, Run};
use crate::support::release::{Host, VERSION, archive, done, lay, script, sums};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A release for this machine, of a program that only says its version: that packs faster.
fn package(folder: &Path, key: Option<&Key>) {
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
    if let Some(key) = key {
        command
            .env("GNUPGHOME", key.home.path())
            .env("VCLUSTER_NETPOL_SIGN_KEY", &key.fingerprint);
    }
    done(&mut command);
}

/// A folder whose path is short enough for the socket of gpg's agent.
fn gpg_home() -> tempfile::TempDir {
    let mut folder = tempfile::Builder::new();
    folder.prefix("gpg").tempdir_in("/tmp").expect("a folder")
}

/// Runs gpg, which must do its work, with the keys of this folder.
#[track_caller]
fn gpg(home: &Path, words: &[&str]) -> Vec<u8> {
    let mut command = Command::new("gpg");
    command
        .env("GNUPGHOME", home)
        .args(["--batch", "--quiet", "--passphrase", ""])
        .args(words);
    let output = command.output().expect("gpg starts: install gnupg");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    output.stdout
}

/// A key for signing, made for one test.
struct Key {
    home: tempfile::TempDir,
    fingerprint: String,
}

impl Key {
    fn new(kind: &str) -> Self {
        let home = gpg_home();
        let who = "Nobody <nobody@localhost>";
        gpg(
            home.path(),
            &["--quick-generate-key", who, kind, "sign", "1d"],
        );
        let listed = gpg(home.path(), &["--list-keys", "--with-colons"]);
        let listed = String::from_utf8(listed).expect("UTF-8");
        let fingerprint = listed
            .lines()
            .find_map(|line| line.strip_prefix("fpr:")?.split(':').nth(8))
            .expect("a fingerprint")
            .to_owned();
        Self { home, fingerprint }
    }

    #[track_caller]
    fn gpg(&self, words: &[&str]) -> Vec<u8> {
        gpg(self.home.path(), words)
    }
}

impl Drop for Key {
    /// Ends the agent that gpg started for this key.
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        end.args(["--kill", "all"])
            .env("GNUPGHOME", self.home.path());
        drop(end.output());
    }
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

fn helm_4_verifies_and_installs_its_archive_when_it_is_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::new("rsa3072");
    let keyring = key.home.path().join("public.gpg");
    fs::write(&keyring, key.gpg(&["--export"])).expect("a keyring");
    package(folder.path(), Some(&key));

    let file = helm4_archive(folder.path());
    for helm in FOURS {
        verifies_and_installs(helm, &file, &keyring);
    }

    let signature = folder.path().join(format!("{}.asc", sums(VERSION)));
    key.gpg(&[
        "--verify",
        text(&signature),
        text(&folder.path().join(sums(VERSION))),
    ]);

    let mut bytes = fs::read(&file).expect("the archive");
    bytes.push(0);
    fs::write(&file, bytes).expect("a tampered archive");
    for helm in FOURS {
        for task in ["verify", "install"] {
            let home = tempfile::tempdir().expect("a folder");
            let words = ["plugin", task, text(&file), "--keyring", text(&keyring)];
            let run = Run::of(&mut fresh(helm, home.path(), &words), "");
            assert_ne!(run.code, Some(0), "{helm} took a tampered archive");
        }
    }
}

fn verifies_and_installs(helm: Helm, file: &Path, keyring: &Path) {
    let home = tempfile::tempdir().expect("a folder");
    let run = |words: &[&str]| Run::of(&mut fresh(helm, home.path(), words), "");
    let by_keyring = ["--keyring", text(keyring)];
    let verify = [&["plugin", "verify", text(file)][..], &by_keyring].concat();
    let said = run(&verify);
    assert!(said.code == Some(0), "{helm}: {}", said.stderr);

    let install = [&["plugin", "install", text(file)][..], &by_keyring].concat();
    run(&install).printed();
    let version = run(&["vcluster-netpol", "--version"]).printed();
    assert_eq!(version, format!("vcluster-netpol {VERSION}\n"), "{helm}");
    let list = run(&["plugin", "list"]).printed();
    let ours = list
        .lines()
        .find(|line| line.starts_with("vcluster-netpol "))
        .expect("the plugin");
    let words: Vec<&str> = ours.split_whitespace().collect();
    assert!(
        words.contains(&"postrenderer/v1") && words.contains(&"signed"),
        "{helm}: {list}"
    );
    run(&["plugin", "uninstall", "vcluster-netpol"]).printed();
    let left = fs::read_dir(home.path().join("data/plugins")).expect("a folder");
    assert_eq!(left.count(), 0, "{helm}");
}

/// A release signed by a key, on a host, and a machine that installs it.
struct Signed {
    host: Host,
    key: Key,
    home: tempfile::TempDir,
    plugin: tempfile::TempDir,
}

impl Signed {
    fn new() -> Self {
        let signed = Self {
            host: Host::empty(),
            key: Key::new("ed25519"),
            home: gpg_home(),
            plugin: tempfile::tempdir().expect("a folder"),
        };
        package(signed.host.file("").as_path(), Some(&signed.key));
        lay(signed.plugin.path(), VERSION);
        signed.name_key(&signed.key.fingerprint);
        signed
    }

    /// Names the release key in install.sh.
    fn name_key(&self, fingerprint: &str) {
        let file = self.plugin.path().join("install.sh");
        let script = fs::read_to_string(&file).expect("the script");
        let lines: String = script
            .lines()
            .map(|line| {
                if line.starts_with("release_key=") {
                    format!("release_key={fingerprint}\n")
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        fs::write(file, lines).expect("the script");
    }

    fn command(&self) -> Command {
        let mut command = Command::new("sh");
        command
            .arg(self.plugin.path().join("install.sh"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("VCLUSTER_NETPOL_BASE_URL", self.host.url());
        command
    }

    #[track_caller]
    fn assert_installed(&self, command: &mut Command, said: &str) {
        let run = Run::of(command, "");
        let all = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(0), "{all}");
        assert!(all.contains(said), "{all}");
        let bin = self.plugin.path().join("bin");
        assert!(bin.join("vcluster-netpol").exists());
        fs::remove_dir_all(bin).expect("the folder was there");
    }

    #[track_caller]
    fn assert_refused(&self, command: &mut Command, said: &str) {
        let run = Run::of(command, "");
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(run.stderr.contains(said), "{}", run.stderr);
        assert!(!self.plugin.path().join("bin").exists());
    }

    /// Packs the release again on the host, with another program in it, and by another key.
    fn replace(&self, key: Option<&Key>) {
        let files = tempfile::tempdir().expect("a folder");
        package(files.path(), key);
        for entry in fs::read_dir(files.path()).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            fs::copy(entry.path(), self.host.file(&name)).expect("a copy");
        }
    }
}

fn install_sh_checks_the_signature_with_the_key_that_it_names() {
    let signed = Signed::new();
    let said = format!("signed by the key {}", signed.key.fingerprint);
    signed.assert_installed(&mut signed.command(), &said);

    // The key of a fork, by the variable: it is named, and spaces as gpg prints them are fine.
    signed.name_key("");
    let spaced = signed.key.fingerprint.replace('A', "a");
    let spaced = format!("{} {}", &spaced[..4], &spaced[4..]);
    let mut command = signed.command();
    let said = format!(
        "takes the key {} from VCLUSTER_NETPOL_KEY",
        signed.key.fingerprint
    );
    signed.assert_installed(command.env("VCLUSTER_NETPOL_KEY", spaced), &said);
    for wrong in ["ABCD", "nobody@localhost", &signed.key.fingerprint[24..]] {
        let mut command = signed.command();
        signed.assert_refused(
            command.env("VCLUSTER_NETPOL_KEY", wrong),
            "not the whole fingerprint",
        );
    }
}

fn install_sh_refuses_a_release_that_the_key_did_not_sign() {
    let signed = Signed::new();
    let other = Key::new("ed25519");
    // All of the release is another's, its key too.
    signed.replace(Some(&other));
    signed.assert_refused(&mut signed.command(), "is not signed by the key");
    // The other's release beside the right key.
    let key = format!("vcluster-netpol-{VERSION}-key.asc");
    let right = signed.key.gpg(&["--armor", "--export"]);
    fs::write(signed.host.file(&key), right).expect("the key");
    signed.assert_refused(&mut signed.command(), "is not signed by the key");
    // Checksums that were changed after they were signed.
    signed.replace(Some(&signed.key));
    let file = signed.host.file(&sums(VERSION));
    let text = fs::read_to_string(&file).expect("the sums");
    fs::write(&file, format!("{text}\n")).expect("the sums");
    signed.assert_refused(&mut signed.command(), "is not signed by the key");
    // No signature at all, and no key.
    signed.replace(Some(&signed.key));
    signed.assert_installed(&mut signed.command(), "signed by the key");
    fs::remove_file(signed.host.file(&key)).expect("removed");
    signed.assert_refused(&mut signed.command(), "is not in your keyring");
    fs::remove_file(signed.host.file(&format!("{}.asc", sums(VERSION)))).expect("removed");
    signed.assert_refused(&mut signed.command(), "must be signed by the key");
}

fn install_sh_believes_the_users_keyring_that_a_key_was_revoked() {
    let signed = Signed::new();
    let keyring = gpg_home();
    let public = keyring.path().join("public.asc");
    fs::write(&public, signed.key.gpg(&["--armor", "--export"])).expect("the key");
    gpg(keyring.path(), &["--import", text(&public)]);
    let mut command = signed.command();
    command.env("GNUPGHOME", keyring.path());
    // The key of the keyring is enough.
    let key = format!("vcluster-netpol-{VERSION}-key.asc");
    fs::remove_file(signed.host.file(&key)).expect("removed");
    signed.assert_installed(&mut command, "signed by the key");

    let name = format!("openpgp-revocs.d/{}.rev", signed.key.fingerprint);
    let revocation = fs::read_to_string(signed.key.home.path().join(name)).expect("it");
    let file = keyring.path().join("revocation.asc");
    fs::write(&file, revocation.replace(":-----BEGIN", "-----BEGIN")).expect("a file");
    gpg(keyring.path(), &["--import", text(&file)]);
    signed.assert_refused(&mut command, "was revoked");
}

/// What install.sh needs beside gpg.
const TOOLS: [&str; 21] = [
    "awk",
    "basename",
    "chmod",
    "cp",
    "curl",
    "cut",
    "dirname",
    "git",
    "grep",
    "gzip",
    "ln",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "tar",
    "tr",
    "uname",
];

fn install_sh_says_when_it_could_not_check_the_signature_and_why() {
    let signed = Signed::new();
    let tools = tempfile::tempdir().expect("a folder");
    for tool in TOOLS {
        let real = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
        let real = real.iter().find(|file| file.exists()).expect(tool);
        std::os::unix::fs::symlink(real, tools.path().join(tool)).expect("a link");
    }
    let mut without_gpg = signed.command();
    without_gpg.env("PATH", tools.path());
    signed.assert_installed(&mut without_gpg, "was NOT checked: gpg is missing");
    // Who names a key asks for the check.
    without_gpg.env("VCLUSTER_NETPOL_KEY", &signed.key.fingerprint);
    signed.assert_refused(&mut without_gpg, "gpg is missing");

    signed.name_key("");
    signed.assert_installed(
        &mut signed.command(),
        "was NOT checked: no release key is known",
    );
}

/// Runs scripts/import-signing-key beside an install.sh that names this key.
fn import(named: &str, secret: &str) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let keyring = gpg_home();
    fs::create_dir(folder.path().join("scripts")).expect("a folder");
    let script = folder.path().join("scripts/import-signing-key");
    fs::copy(Path::new(ROOT).join("scripts/import-signing-key"), &script).expect("a copy");
    let text = format!("#!/bin/sh\nrelease_key={named}\n");
    fs::write(folder.path().join("install.sh"), text).expect("a file");
    let mut command = Command::new("sh");
    command
        .arg(script)
        .env("GNUPGHOME", keyring.path())
        .env("SIGNING_KEY", secret);
    let run = Run::of(&mut command, "");
    let mut end = Command::new("gpgconf");
    end.args(["--kill", "all"]);
    drop(end.env("GNUPGHOME", keyring.path()).output());
    run
}

fn a_release_needs_the_key_that_install_sh_names() {
    let key = Key::new("ed25519");
    let text = |words: &[&str]| String::from_utf8(key.gpg(words)).expect("UTF-8");
    let secret = text(&["--armor", "--export-secret-keys"]);
    let public = text(&["--armor", "--export"]);
    let fingerprint = key.fingerprint.as_str();
    assert_eq!(
        import(fingerprint, &secret).printed(),
        format!("{fingerprint}\n")
    );
    for (named, given, why) in [
        ("", "", "SIGNING_KEY is not set"),
        (fingerprint, "", "SIGNING_KEY is not set"),
        ("", secret.as_str(), "names the release key (none)"),
        (&"A".repeat(40), &secret, "names the release key AAAA"),
        (fingerprint, "something", "does not take SIGNING_KEY"),
        (fingerprint, &public, "needs the secret one"),
    ] {
        let run = import(named, given);
        assert_eq!(run.code, Some(1), "{why}: {}", run.stdout);
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert!(!run.stderr.contains("PRIVATE KEY"), "{}", run.stderr);
    }
    // Both jobs of the workflow ask for it, whatever is set.
    let workflow = fs::read_to_string(Path::new(ROOT).join(".github/workflows/release.yaml"));
    let workflow: serde_yaml::Value = serde_yaml::from_str(&workflow.expect("it")).expect("YAML");
    for job in ["check", "release"] {
        let steps = workflow["jobs"][job]["steps"].as_sequence().expect("steps");
        let step = steps
            .iter()
            .find(|step| {
                step["run"]
                    .as_str()
                    .is_some_and(|run| run.contains("scripts/import-signing-key"))
            })
            .expect(job);
        assert!(step.get("if").is_none(), "{job}");
    }
    assert_eq!(workflow["jobs"]["build"]["needs"], "check");
    assert_eq!(workflow["jobs"]["release"]["needs"], "build");
}

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
    let placed = format!("REGISTRY/{image}@sha256:DIGEST");
    assert_eq!(line("argocd/sidecar-patch.yaml", "image:"), placed);
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

/// An image's tag can be moved to another image, its digest can't.
fn no_image_is_taken_by_a_tag() {
    let container = fs::read_to_string(Path::new(ROOT).join("argocd/Containerfile")).expect("it");
    let before_stages = container.split("\nFROM ").next().expect("a beginning");
    let mut count = 0;
    for from in container
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
    {
        let image = from.split(' ').next().expect("an image");
        let name = image
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or_else(|| panic!("{image} is not an argument"));
        let declared = format!("ARG {name}");
        assert!(
            before_stages.lines().any(|line| line == declared),
            "{name} must be an argument without a default"
        );
        assert!(
            container.contains(&format!("\"${name}\"")),
            "{name} is checked"
        );
        count += 1;
    }
    assert_eq!(count, 3);
    // No step of a workflow and no manifest names an image by another way than its digest.
    for folder in ["argocd", ".github/workflows"] {
        for entry in fs::read_dir(Path::new(ROOT).join(folder)).expect(folder) {
            let path = entry.expect("an entry").path();
            let lines = fs::read_to_string(&path).expect("a file");
            for image in lines.lines().filter_map(|line| {
                let word = line.trim().trim_start_matches("- ");
                word.strip_prefix("image:")
                    .or(word.strip_prefix("container:"))
            }) {
                assert!(image.contains("@sha256:"), "{}: {image}", path.display());
            }
        }
    }
}

/// Somebody can move the tag of an action to another commit. The comment lets dependabot update both.
fn workflows_pin_actions_by_commit_and_dependencies_by_lock_file() {
    let mut count = 0;
    for entry in fs::read_dir(Path::new(ROOT).join(".github/workflows")).expect("workflows") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a file");
        for line in text.lines().map(str::trim) {
            if let Some((_, action)) = line.split_once("uses: ") {
                let (commit, version) = action
                    .split_once('@')
                    .and_then(|(_, rest)| rest.split_once(" # v"))
                    .unwrap_or_else(|| panic!("{}: {line}", path.display()));
                let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
                assert!(
                    is_commit && version.split('.').count() == 3,
                    "{}: {line}",
                    path.display()
                );
                count += 1;
            }
            let takes_lock_file = ["build", "check", "test", "install"]
                .iter()
                .any(|command| line.contains(&format!("cargo {command} ")));
            if takes_lock_file {
                assert!(line.contains("--locked"), "{}: {line}", path.display());
            }
        }
    }
    assert!(count > 0, "no workflow uses an action");
}

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

crate::registry::tests! {
    fast: [
        every_file_names_the_same_version,
        no_image_is_taken_by_a_tag,
        the_plugins_name_the_same_program,
        workflows_pin_actions_by_commit_and_dependencies_by_lock_file,
        the_workflow_builds_what_install_sh_asks_for,
    ],
    slow: [
        the_same_program_gives_the_same_bytes_and_sums_that_fit,
        install_sh_takes_the_program_from_the_release,
        helm_3_installs_its_archive,
        helm_4_verifies_and_installs_its_archive_when_it_is_signed,
        install_sh_checks_the_signature_with_the_key_that_it_names,
        install_sh_refuses_a_release_that_the_key_did_not_sign,
        install_sh_believes_the_users_keyring_that_a_key_was_revoked,
        install_sh_says_when_it_could_not_check_the_signature_and_why,
        a_release_needs_the_key_that_install_sh_names,
        the_bill_of_materials_names_what_is_compiled_in,
    ],
}
