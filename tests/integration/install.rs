//! install.sh by itself: where it takes the program from, what it checks, and what it leaves behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::helm::Run;
use crate::support::release::{self, Host, NEXT, VERSION, archive, lay, program, script, sums};

/// The plugin's folder, installed by hand.
struct Plugin {
    folder: tempfile::TempDir,
}

impl Plugin {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        lay(&folder.path().join("plugin-folder"), VERSION);
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("plugin-folder")
    }

    fn program(&self) -> PathBuf {
        self.path().join("bin/vcluster-netpol")
    }

    /// What the program in place says it is.
    fn installed(&self) -> String {
        Run::of(Command::new(self.program()).arg("--version"), "")
            .printed()
            .trim_end()
            .to_owned()
    }

    /// The script, with a release to be had at this URL and no other programs than the system's.
    fn command(&self, base_url: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .arg(self.path().join("install.sh"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("VCLUSTER_NETPOL_BASE_URL", base_url);
        command
    }

    fn install(&self, base_url: &str) -> Run {
        Run::of(&mut self.command(base_url), "")
    }

    /// That nothing is there but what was before.
    #[track_caller]
    fn assert_untouched(&self) {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .expect("the folder is still there")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        names.sort();
        assert_eq!(names, [".gitignore", "install.sh", "plugin", "plugin.yaml"]);
    }
}

fn ours() -> String {
    format!("vcluster-netpol {VERSION}")
}

/// A folder with a `cargo` that builds nothing and puts a program where cargo would.
fn cargo(folder: &Path, version: &str) {
    let built = folder.join("built");
    program(&built, version);
    let text = format!(
        "root=\n\
         while [ $# -gt 0 ]; do\n\
         case $1 in --root) root=$2; shift ;; esac\n\
         shift\n\
         done\n\
         mkdir -p \"$root/bin\"\n\
         cp '{}' \"$root/bin/vcluster-netpol\"\n",
        built.display()
    );
    script(&folder.join("cargo"), &text);
}

fn the_release_is_downloaded_and_checked() {
    let (plugin, host) = (Plugin::new(), Host::with(VERSION));
    let said = plugin.install(host.url()).printed();
    assert_eq!(plugin.installed(), ours());
    assert!(
        said.contains(&format!("downloads {}/{}", host.url(), archive(VERSION)))
            && said.contains("its SHA-256 checked"),
        "{said}"
    );
    let entries = fs::read_dir(plugin.path()).expect("a folder").count();
    assert_eq!(entries, 5, "bin/ is all that came along");
}

fn a_tampered_archive_is_refused_whatever_else_could_be_done() {
    let (plugin, host) = (Plugin::new(), Host::with(VERSION));
    let honest = fs::read(host.file(&sums(VERSION))).expect("the sums");
    host.release(VERSION, "6.6.6");
    fs::write(host.file(&sums(VERSION)), honest).expect("the sums");
    fs::write(plugin.path().join("Cargo.toml"), "").expect("a file");
    let tools = tempfile::tempdir().expect("a folder");
    cargo(tools.path(), VERSION);
    let search = format!("{}:/usr/bin:/bin", tools.path().display());
    let run = Run::of(plugin.command(host.url()).env("PATH", search), "");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stderr.contains("is not what the release says") && run.stderr.contains("SHA-256"),
        "{}",
        run.stderr
    );
    assert!(!run.stdout.contains("cargo"), "{}", run.stdout);
    fs::remove_file(plugin.path().join("Cargo.toml")).expect("removed");
    plugin.assert_untouched();
}

fn a_truncated_archive_is_refused() {
    let (plugin, host) = (Plugin::new(), Host::with(VERSION));
    let file = host.file(&archive(VERSION));
    let whole = fs::read(&file).expect("the archive");
    fs::write(&file, &whole[..whole.len() / 2]).expect("half of it");
    let run = plugin.install(host.url());
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stderr.contains("is not what the release says"),
        "{}",
        run.stderr
    );
    plugin.assert_untouched();
    fs::write(&file, &whole).expect("all of it");
    plugin.install(host.url()).printed();
    assert_eq!(plugin.installed(), ours(), "another try works");
}

fn a_connection_that_breaks_off_is_no_release() {
    let (plugin, host) = (Plugin::new(), Host::with(VERSION));
    let cut = host.file(&format!("{}.cut", archive(VERSION)));
    fs::write(&cut, "").expect("a mark");
    let run = plugin.install(host.url());
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stdout.contains("could not be downloaded"),
        "{}",
        run.stdout
    );
    plugin.assert_untouched();
    fs::remove_file(cut).expect("removed");
    plugin.install(host.url()).printed();
    assert_eq!(plugin.installed(), ours(), "another try works");
}

fn without_a_release_the_program_is_built() {
    let (plugin, host) = (Plugin::new(), Host::empty());
    let run = plugin.install(host.url());
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stdout.contains("could not be downloaded") && run.stdout.contains("cargo (Rust)"),
        "{}",
        run.stdout
    );
    plugin.assert_untouched();

    fs::write(plugin.path().join("Cargo.toml"), "").expect("a file");
    let tools = tempfile::tempdir().expect("a folder");
    cargo(tools.path(), VERSION);
    let search = format!("{}:/usr/bin:/bin", tools.path().display());
    let said = Run::of(plugin.command(host.url()).env("PATH", search), "").printed();
    assert!(said.contains("builds the program with cargo"), "{said}");
    assert_eq!(plugin.installed(), ours());
}

fn a_build_of_another_version_is_not_put_in_place() {
    let (plugin, host) = (Plugin::new(), Host::empty());
    fs::write(plugin.path().join("Cargo.toml"), "").expect("a file");
    let tools = tempfile::tempdir().expect("a folder");
    cargo(tools.path(), NEXT);
    let search = format!("{}:/usr/bin:/bin", tools.path().display());
    let run = Run::of(plugin.command(host.url()).env("PATH", search), "");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    fs::remove_file(plugin.path().join("Cargo.toml")).expect("removed");
    plugin.assert_untouched();
}

fn a_program_that_is_there_is_taken_if_it_is_of_the_version() {
    let (plugin, host) = (Plugin::new(), Host::empty());
    program(&plugin.program(), VERSION);
    let said = plugin.install(host.url()).printed();
    assert!(said.contains("takes the program that is there"), "{said}");

    let (plugin, host) = (Plugin::new(), Host::with(VERSION));
    program(&plugin.program(), "0.0.1");
    plugin.install(host.url()).printed();
    assert_eq!(plugin.installed(), ours());
}

fn a_release_that_does_not_name_the_archive_is_refused() {
    let (plugin, host) = (Plugin::new(), Host::with(VERSION));
    let other = "0000  another.tar.gz\n";
    fs::write(host.file(&sums(VERSION)), other).expect("the sums");
    let run = plugin.install(host.url());
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("does not name"), "{}", run.stderr);
    plugin.assert_untouched();
}

fn an_archive_with_another_program_is_refused() {
    let (plugin, host) = (Plugin::new(), Host::empty());
    host.release(VERSION, NEXT);
    let run = plugin.install(host.url());
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stderr.contains("does not run here as version"),
        "{}",
        run.stderr
    );
    plugin.assert_untouched();
}

/// A `curl` that would give itself away: no request may leave the machine without TLS.
fn another_host_is_asked_over_tls_only() {
    let plugin = Plugin::new();
    let tools = tempfile::tempdir().expect("a folder");
    script(&tools.path().join("curl"), "echo \"CURL $*\"\nexit 7\n");
    let search = format!("{}:/usr/bin:/bin", tools.path().display());
    let try_out = |url: &str| Run::of(plugin.command(url).env("PATH", &search), "");
    for url in [
        "http://example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://localhost:1@example.com/",
        "http://example.com/?http://127.0.0.1",
        "http://[::1].example.com",
        "ftp://127.0.0.1/",
        "file:///tmp",
    ] {
        let run = try_out(url);
        assert_eq!(run.code, Some(1), "{url}: {}", run.stdout);
        assert!(run.stderr.contains("use https"), "{url}: {}", run.stderr);
        assert!(!run.stdout.contains("CURL"), "{url}: {}", run.stdout);
    }
    for url in [
        "http://127.0.0.1:1",
        "http://localhost:1/a",
        "http://[::1]:1/",
    ] {
        let run = try_out(url);
        assert!(
            run.stdout.contains("--proto =http,https"),
            "{url}: {}",
            run.stdout
        );
        assert!(
            !run.stdout.contains("-fsSL"),
            "{url}: no redirection is followed"
        );
    }
    let run = try_out("https://example.com/releases");
    assert!(
        run.stdout
            .contains("--proto =https --proto-redir =https --tlsv1.2"),
        "{}",
        run.stdout
    );
    plugin.assert_untouched();
}

fn the_release_lies_beside_the_repository_that_the_plugin_came_from() {
    let tools = tempfile::tempdir().expect("a folder");
    script(&tools.path().join("curl"), "exit 7\n");
    let search = format!("{}:/usr/bin:/bin", tools.path().display());
    for (origin, base) in [
        (
            "https://example.com/a/b.git",
            Some("https://example.com/a/b"),
        ),
        ("https://example.com/a/b", Some("https://example.com/a/b")),
        (
            "https://user:secret@example.com/a/b.git",
            Some("https://example.com/a/b"),
        ),
        ("git@example.com:a/b.git", Some("https://example.com/a/b")),
        (
            "ssh://git@example.com/a/b.git",
            Some("https://example.com/a/b"),
        ),
        ("file:///srv/git/b.git", None),
        ("/srv/git/b", None),
    ] {
        let plugin = Plugin::new();
        release::git(&plugin.path(), &["init", "--quiet"]);
        release::git(&plugin.path(), &["remote", "add", "origin", origin]);
        let mut command = plugin.command("");
        let run = Run::of(command.env("PATH", &search), "");
        assert_eq!(run.code, Some(1));
        let said = match base {
            Some(base) => format!(
                "downloads {base}/releases/download/v{VERSION}/{}\n",
                archive(VERSION)
            ),
            None => "came from this machine".to_owned(),
        };
        assert!(run.stdout.contains(&said), "{origin}: {}", run.stdout);
        assert!(!run.stdout.contains("secret"));
    }
}

/// Every file below a folder, and what it holds or leads to.
fn tree(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a type");
        if kind.is_dir() {
            found.push((entry.path(), "folder".to_owned()));
            found.extend(tree(&entry.path()));
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).expect("a link");
            found.push((entry.path(), format!("-> {}", target.display())));
        } else {
            let bytes = fs::read(entry.path()).expect("a file");
            found.push((entry.path(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    found.sort();
    found
}

/// Another plugin's folder, as its author made it.
fn another_plugin(folder: &Path, name: &str) {
    fs::create_dir_all(folder.join("bin")).expect("a folder");
    let manifest = format!("name: {name}\nversion: 1.0.0\nusage: u\ndescription: d\n");
    fs::write(folder.join("plugin.yaml"), manifest).expect("a manifest");
    fs::write(folder.join("bin/data"), "precious").expect("a file");
}

impl Plugin {
    /// The script as Helm's hook calls it, for a folder that is said to be the plugin's. There is no
    /// program to be had, so it fails.
    fn hook(&self, plugin_dir: &Path, plugin_name: &str, helm: &str) -> Run {
        let host = Host::empty();
        let mut command = self.command(host.url());
        command
            .env("HELM_PLUGIN_DIR", plugin_dir)
            .env("HELM_PLUGIN_NAME", plugin_name)
            .env("VCLUSTER_NETPOL_HELM", helm);
        Run::of(&mut command, "")
    }
}

fn the_folder_of_another_plugin_stays_as_it_is() {
    for helm in ["3", "4"] {
        for plugin_name in ["other", "vcluster-netpol"] {
            for suffix in ["", "/", "//", "/."] {
                let plugin = Plugin::new();
                let root = plugin.folder.path();
                let other = root.join("other");
                another_plugin(&other, "other");
                another_plugin(&root.join("other-cli"), "other-cli");
                let before = tree(root);
                let given = PathBuf::from(format!("{}{suffix}", other.display()));
                let run = plugin.hook(&given, plugin_name, helm);
                assert_eq!(run.code, Some(1), "{suffix}: {}", run.stdout);
                assert!(run.stderr.contains("HELM_PLUGIN_DIR"), "{}", run.stderr);
                assert_eq!(tree(root), before, "{plugin_name}, {suffix}");
            }
        }
    }
}

fn a_link_to_another_plugin_stays_as_it_is() {
    let plugin = Plugin::new();
    let root = plugin.folder.path();
    another_plugin(&root.join("other"), "other");
    std::os::unix::fs::symlink("other", root.join("link")).expect("a link");
    for given in ["link", "link/"] {
        let before = tree(root);
        let run = plugin.hook(&root.join(given), "vcluster-netpol", "4");
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert_eq!(tree(root), before, "{given}");
    }
}

/// Two copies of the plugin: the script of one says nothing about the other.
fn a_script_does_not_remove_the_copy_that_it_does_not_lie_in() {
    let plugin = Plugin::new();
    let root = plugin.folder.path();
    let copy = root.join("copy");
    lay(&copy, VERSION);
    let before = tree(root);
    let run = plugin.hook(&copy, "vcluster-netpol", "3");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("does not lie in"), "{}", run.stderr);
    assert_eq!(tree(root), before);
}

/// A folder that only looks like the plugin's: the script lies in it, but the manifest is another's.
fn a_folder_with_the_script_and_another_manifest_is_not_ours() {
    let plugin = Plugin::new();
    let manifest = "name: other\nversion: 0.1.0\n";
    fs::write(plugin.path().join("plugin/helm3.yaml"), manifest).expect("a manifest");
    let before = tree(plugin.folder.path());
    let run = plugin.hook(&plugin.path(), "vcluster-netpol", "3");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stderr.contains("is not the folder of"),
        "{}",
        run.stderr
    );
    assert_eq!(tree(plugin.folder.path()), before);
}

fn a_plugin_dir_that_is_missing_or_empty_removes_nothing() {
    let plugin = Plugin::new();
    let before = tree(plugin.folder.path());
    let missing = plugin.folder.path().join("missing");
    let run = plugin.hook(&missing, "vcluster-netpol", "3");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let run = plugin.hook(Path::new(""), "vcluster-netpol", "3");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(tree(plugin.folder.path()), before);
}

/// Only Helm's hook for this very plugin gives both variables.
fn an_install_for_another_plugins_name_removes_nothing() {
    let plugin = Plugin::new();
    let before = tree(plugin.folder.path());
    let run = plugin.hook(&plugin.path(), "other", "3");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(tree(plugin.folder.path()), before);
}

fn a_failed_hook_removes_its_own_folder_and_no_neighbour() {
    for helm in ["3", "4"] {
        let plugin = Plugin::new();
        let neighbour = plugin.folder.path().join("plugin-folder-cli");
        another_plugin(&neighbour, "other");
        let before = tree(&neighbour);
        let run = plugin.hook(&plugin.path(), "vcluster-netpol", helm);
        assert_eq!(run.code, Some(1), "{}", run.stdout);
        assert!(!plugin.path().exists(), "{}", run.stderr);
        assert!(run.stderr.contains("install it again"), "{}", run.stderr);
        assert_eq!(tree(&neighbour), before, "Helm {helm}");
    }
}

/// The command for Helm 4 is a second folder beside the plugin's. Where another plugin has that
/// name, the install stops.
fn the_command_of_helm_4_takes_no_other_plugins_folder() {
    let plugin = Plugin::new();
    program(&plugin.program(), VERSION);
    let neighbour = plugin.folder.path().join("plugin-folder-cli");
    another_plugin(&neighbour, "other");
    let before = tree(&neighbour);
    let run = plugin.hook(&plugin.path(), "vcluster-netpol", "4");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stderr.contains("belongs to another plugin"),
        "{}",
        run.stderr
    );
    assert_eq!(tree(&neighbour), before);
}

/// A clone in which somebody works is more than what Helm put there.
fn a_failed_hook_keeps_a_clone_with_work_in_it() {
    let plugin = Plugin::new();
    release::git(&plugin.path(), &["init", "--quiet"]);
    release::tag(&plugin.path(), VERSION);
    fs::write(plugin.path().join("notes"), "precious").expect("a file");
    let run = plugin.hook(&plugin.path(), "vcluster-netpol", "3");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stderr.contains("is kept"), "{}", run.stderr);
    let notes = fs::read_to_string(plugin.path().join("notes")).expect("it is still there");
    assert_eq!(notes, "precious");
    release::git(&plugin.path(), &["add", "notes"]);
    release::git(&plugin.path(), &["commit", "--quiet", "--message", "n"]);
    let run = plugin.hook(&plugin.path(), "vcluster-netpol", "3");
    assert!(run.stderr.contains("is kept"), "{}", run.stderr);
    release::git(&plugin.path(), &["reset", "--quiet", "--hard", "HEAD~1"]);
    plugin.hook(&plugin.path(), "vcluster-netpol", "3");
    assert!(!plugin.path().exists(), "a clean clone is removed");
}

fn a_failed_hook_keeps_a_plugin_that_worked_before() {
    let plugin = Plugin::new();
    program(&plugin.program(), "0.0.1");
    let run = plugin.hook(&plugin.path(), "vcluster-netpol", "3");
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert_eq!(plugin.installed(), "vcluster-netpol 0.0.1");
}

crate::registry::tests! {
    slow: [
        the_release_is_downloaded_and_checked,
        a_tampered_archive_is_refused_whatever_else_could_be_done,
        a_truncated_archive_is_refused,
        a_connection_that_breaks_off_is_no_release,
        without_a_release_the_program_is_built,
        a_build_of_another_version_is_not_put_in_place,
        a_program_that_is_there_is_taken_if_it_is_of_the_version,
        a_release_that_does_not_name_the_archive_is_refused,
        an_archive_with_another_program_is_refused,
        another_host_is_asked_over_tls_only,
        the_release_lies_beside_the_repository_that_the_plugin_came_from,
        the_folder_of_another_plugin_stays_as_it_is,
        a_link_to_another_plugin_stays_as_it_is,
        a_script_does_not_remove_the_copy_that_it_does_not_lie_in,
        a_folder_with_the_script_and_another_manifest_is_not_ours,
        a_plugin_dir_that_is_missing_or_empty_removes_nothing,
        an_install_for_another_plugins_name_removes_nothing,
        a_failed_hook_removes_its_own_folder_and_no_neighbour,
        the_command_of_helm_4_takes_no_other_plugins_folder,
        a_failed_hook_keeps_a_clone_with_work_in_it,
        a_failed_hook_keeps_a_plugin_that_worked_before,
    ],
}
