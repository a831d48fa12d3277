//! The real Helm 3 and the two real Helm 4, each in a home of its own, with the filter as their post-renderer.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The filter as this test run built it.
pub(crate) const FILTER: &str = env!("CARGO_BIN_EXE_vcluster-netpol");

/// The name under which Helm 4 knows the filter, and which Helm 3 would look up on PATH.
pub(crate) const PLUGIN: &str = "vcluster-netpol";

/// The folder with the real programs; the first call brings them where they are not there yet.
fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bring-helm");
        let output = Command::new(script)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("scripts/bring-helm starts");
        assert!(
            output.status.success(),
            "scripts/bring-helm could not bring the real Helm, without which these tests say nothing"
        );
        let folder = String::from_utf8(output.stdout).expect("a path in UTF-8");
        PathBuf::from(folder.trim_end())
    })
}

/// What a program left behind.
pub(crate) struct Run {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Runs a command to its end, with `input` on its stdin.
    pub(crate) fn of(command: &mut Command, input: &str) -> Self {
        use std::io::Write as _;

        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut stdin = child.stdin.take().expect("a pipe");
        let output = std::thread::scope(|scope| {
            // A program that does not read its input closes the pipe: that is its own affair.
            scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
            child.wait_with_output().expect("an end")
        });
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("stdout in UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr in UTF-8"),
        }
    }

    /// Asserts that it failed with this code, that it printed nothing, and what it said.
    #[track_caller]
    pub(crate) fn assert_refused(&self, code: i32, said: &str) {
        let (stdout, stderr) = (self.stdout.as_str(), &self.stderr);
        assert_eq!((self.code, stdout), (Some(code), ""), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }

    /// What it printed, if it ended well.
    #[track_caller]
    pub(crate) fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "it failed:\n{}", self.stderr);
        self.stdout
    }
}

/// Runs a line of a shell in a folder, in which `$PROGRAM` is ours.
pub(crate) fn shell(folder: &Path, line: &str) -> Run {
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("PROGRAM", FILTER);
    Run::of(command.current_dir(folder), "")
}

/// One of the Helms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Helm {
    Three,
    /// Helm 4.1.
    Four,
    /// Helm 4.2, which can send hooks and the rest to a post-renderer apart.
    FourTwo,
}

pub(crate) const ALL: [Helm; 3] = [Helm::Three, Helm::Four, Helm::FourTwo];

/// Those that are a Helm 4.
pub(crate) const FOURS: [Helm; 2] = [Helm::Four, Helm::FourTwo];

impl fmt::Display for Helm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Helm {}", self.version())
    }
}

impl Helm {
    /// A word for the names of folders.
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Three => "helm3",
            Self::Four => "helm4",
            Self::FourTwo => "helm42",
        }
    }

    /// The version that it says it is.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Three => "v3.17.3",
            Self::Four => "v4.1.4",
            Self::FourTwo => "v4.2.3",
        }
    }

    /// Whether it is a Helm 4.
    pub(crate) fn is_four(self) -> bool {
        self != Self::Three
    }

    /// The home of this Helm: caches, settings and plugins, apart from the user's and from the
    /// other Helm's, which would stumble over a plugin.yaml that is not for it.
    fn home(self) -> &'static Path {
        static THREE: OnceLock<PathBuf> = OnceLock::new();
        static FOUR: OnceLock<PathBuf> = OnceLock::new();
        static FOUR_TWO: OnceLock<PathBuf> = OnceLock::new();
        let home = match self {
            Self::Three => &THREE,
            Self::Four => &FOUR,
            Self::FourTwo => &FOUR_TWO,
        };
        home.get_or_init(|| {
            // Beside the filter that it runs, so that a debug and a release build have one each.
            let beside = Path::new(FILTER).parent().expect("a folder");
            let home = beside.join("helm-homes").join(self.short());
            fs::create_dir_all(home.join("plugins")).expect("a home for Helm");
            if self.is_four() {
                plugin(&home, PLUGIN, FILTER);
                plugin(&home, "unchanged", "cat");
                plugin(&home, "recorded", "tee");
            }
            home
        })
    }

    /// The real program.
    pub(crate) fn program(self) -> PathBuf {
        tools().join(self.short()).join("helm")
    }

    /// `helm` with these arguments, seeing nothing of the user's settings or cluster.
    pub(crate) fn command<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Command {
        let home = self.home();
        let mut command = isolated(&self.program(), home);
        command
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("HELM_PLUGINS", home.join("plugins"))
            .args(args);
        command
    }

    /// Runs `helm` with these arguments.
    pub(crate) fn run<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Run {
        Run::of(&mut self.command(args), "")
    }

    /// The flag that makes the filter its post-renderer: Helm 3 takes a path, Helm 4 only the name
    /// of a plugin.
    pub(crate) fn filtered(self) -> &'static str {
        match self {
            Self::Three => concat!("--post-renderer=", env!("CARGO_BIN_EXE_vcluster-netpol")),
            Self::Four | Self::FourTwo => "--post-renderer=vcluster-netpol",
        }
    }

    /// The flag for a post-renderer that changes nothing: what Helm itself does to a chart.
    pub(crate) fn unchanged(self) -> &'static str {
        match self {
            Self::Three => "--post-renderer=cat",
            Self::Four | Self::FourTwo => "--post-renderer=unchanged",
        }
    }
}

/// The kubectl that goes with a Helm.
pub(crate) fn kubectl<A: AsRef<OsStr>>(helm: Helm, args: impl IntoIterator<Item = A>) -> Command {
    let name = match helm {
        Helm::Three => "kubectl31",
        Helm::Four => "kubectl35",
        Helm::FourTwo => "kubectl36",
    };
    let mut command = isolated(&tools().join(name), helm.home());
    command.args(args);
    command
}

/// A program that sees PATH and an empty home, and no cluster.
fn isolated(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("KUBECONFIG", home.join("no-cluster"));
    command
}

/// Installs a program as a Helm 4 post-renderer.
fn plugin(home: &Path, name: &str, program: &str) {
    let folder = home.join("plugins").join(name);
    fs::create_dir_all(folder.join("bin")).expect("a folder for the plugin");
    let command = if program.contains('/') {
        let link = folder.join("bin").join(name);
        if fs::read_link(&link).is_ok_and(|old| old != Path::new(program)) {
            fs::remove_file(&link).expect("an old link removed");
        }
        // Another run of the tests may have made it just now: then it is there, and right.
        let made = symlink(program, &link);
        assert!(
            made.is_ok() || link.exists(),
            "no link to the filter: {made:?}"
        );
        format!("${{HELM_PLUGIN_DIR}}/bin/{name}")
    } else {
        program.to_owned()
    };
    let manifest = format!(
        "apiVersion: v1\n\
         name: {name}\n\
         version: 0.0.0\n\
         type: postrenderer/v1\n\
         runtime: subprocess\n\
         runtimeConfig:\n  platformCommand:\n    - command: \"{command}\"\n"
    );
    fs::write(folder.join("plugin.yaml"), manifest).expect("a plugin.yaml");
}
