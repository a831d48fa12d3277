//! Releases of the plugin as its users meet them: a repository, and a host with the archives.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::helm::FILTER;

/// The version that is under test.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A later one, whose program says nothing but its version.
pub(crate) const NEXT: &str = "99.1.0";

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The name of this machine's archive.
pub(crate) fn archive(version: &str) -> String {
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!(
        "vcluster-netpol-{version}-{}-{cpu}.tar.gz",
        std::env::consts::OS
    )
}

/// The name of the file with the sums.
pub(crate) fn sums(version: &str) -> String {
    format!("vcluster-netpol-{version}-checksums.txt")
}

/// Lays the plugin's files into a folder, as a clone has them, at this version.
pub(crate) fn lay(folder: &Path, version: &str) {
    fs::create_dir_all(folder.join("plugin")).expect("a folder");
    for file in [
        "install.sh",
        ".gitignore",
        "plugin/helm3.yaml",
        "plugin/helm4.yaml",
        "plugin/helm4-command.yaml",
    ] {
        let text = fs::read_to_string(Path::new(ROOT).join(file)).expect("a file of the plugin");
        let text = text.replace(
            &format!("\nversion: {VERSION}\n"),
            &format!("\nversion: {version}\n"),
        );
        fs::write(folder.join(file), text).expect("a copy");
    }
    let manifest = folder.join("plugin.yaml");
    if fs::symlink_metadata(&manifest).is_err() {
        let target = fs::read_link(Path::new(ROOT).join("plugin.yaml")).expect("a link");
        symlink(target, manifest).expect("a link");
    }
}

/// Writes a program that says it is this version.
pub(crate) fn program(file: &Path, version: &str) {
    if version == VERSION {
        place(Path::new(FILTER), file);
    } else {
        script(file, &format!("echo 'vcluster-netpol {version}'\n"));
    }
}

/// Writes a shell script that can be run.
pub(crate) fn script(file: &Path, text: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let written = folder.path().join("script");
    fs::write(&written, format!("#!/bin/sh\n{text}")).expect("a script");
    place(&written, file);
}

/// Copies a program. Another program does it, as a file that this one has open for writing may
/// still be open in a child of another thread, and then cannot be run.
fn place(from: &Path, to: &Path) {
    let mut install = Command::new("install");
    install.args(["-D", "-m", "755"]).arg(from).arg(to);
    done(&mut install);
}

/// Runs a program of the machine that has to do its work.
#[track_caller]
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// `git` in a folder, without the user's settings.
#[track_caller]
pub(crate) fn git(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=nobody",
            "-c",
            "user.email=nobody@localhost",
        ])
        .args(words)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    done(&mut command)
}

/// Commits all that lies in a repository, and tags it.
pub(crate) fn tag(folder: &Path, version: &str) {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--message", version]);
    git(folder, &["tag", &format!("v{version}")]);
}

/// A repository of the plugin with one version.
pub(crate) fn repository(folder: &Path) {
    lay(folder, VERSION);
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    tag(folder, VERSION);
}

/// A web server on this machine that serves the files of a folder.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    url: String,
}

impl Host {
    /// A host with the release of a version.
    pub(crate) fn with(version: &str) -> Self {
        let host = Self::empty();
        host.release(version, version);
        host
    }

    /// A host that has nothing.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let root = folder.path().to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away early is its own affair.
                drop(serve(stream, &root));
            }
        });
        Self { folder, url }
    }

    /// The URL of its folder.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A file that it serves. What ends in `.cut` is sent in part.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes the archive of a version, with a program that says it is `said`, and its sums.
    pub(crate) fn release(&self, version: &str, said: &str) {
        // The filter takes seconds to pack, and every test wants it.
        static OURS: OnceLock<Vec<u8>> = OnceLock::new();
        let file = self.file(&archive(version));
        if said == VERSION {
            fs::write(file, OURS.get_or_init(|| packed(said))).expect("an archive");
        } else {
            fs::write(file, packed(said)).expect("an archive");
        }
        self.sum(version);
    }

    /// Writes the sums of what lies there.
    pub(crate) fn sum(&self, version: &str) {
        let mut sha256 = Command::new("sha256sum");
        sha256.current_dir(self.folder.path()).arg(archive(version));
        fs::write(self.file(&sums(version)), done(&mut sha256)).expect("the sums");
    }
}

/// An archive with a program that says it is this version.
fn packed(said: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    program(&folder.path().join("bin/vcluster-netpol"), said);
    let file = folder.path().join("archive");
    let mut tar = Command::new("tar");
    tar.args(["--use-compress-program", "gzip -1", "-cf"])
        .arg(&file)
        .arg("-C")
        .arg(folder.path())
        .arg("bin");
    done(&mut tar);
    fs::read(file).expect("the archive")
}

/// Answers one request.
fn serve(mut stream: TcpStream, root: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::from("more");
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let name = request
        .split(' ')
        .nth(1)
        .unwrap_or("/")
        .trim_start_matches('/');
    let cut = root.join(format!("{name}.cut")).exists();
    let Ok(body) = fs::read(root.join(name)) else {
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(missing.as_bytes());
    };
    // Helm 3 takes an archive from a host only if it is called one.
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if request.starts_with("HEAD ") {
        return Ok(());
    }
    let end = if cut { body.len() / 2 } else { body.len() };
    stream.write_all(&body[..end])
}
