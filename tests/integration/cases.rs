//! Runs of the program that are kept in folders: tests/cases/COMMAND/CASE is a test by the name
//! `fast::cases::COMMAND::CASE`. The command `filter` is the program without a command.
//!
//! | file | what |
//! |---|---|
//! | args | the arguments behind the command, one a line; absent: none |
//! | env | the environment, `NAME=value` in each line; absent: nothing |
//! | input.yaml | standard input; absent: nothing |
//! | stdout.* | standard output, with the extension of its format; absent: nothing |
//! | stderr.txt | standard error; absent: nothing |
//! | exit | the exit code; absent: 0 |
//!
//! All other files are what the run reads: the case is run in its folder. A folder that holds
//! folders is a group `COMMAND::GROUP::CASE`, whose cases share its files and are run in it.
//!
//! With `UPDATE=1` the outputs are written instead of compared: read the difference before you
//! commit it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::registry::{Group, Tier};
use crate::support::helm::FILTER;

/// The folder of all cases.
pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");

/// How many cases of each command there are at least.
const LEAST: [(&str, usize); 9] = [
    ("audit", 40),
    ("check", 62),
    ("diff", 28),
    ("explain", 17),
    ("filter", 171),
    ("guard", 9),
    ("lint", 23),
    ("list", 17),
    ("migrate", 23),
];

/// A folder that keeps a run.
struct Case {
    command: String,
    /// The path below the folder of the command, with `::` between its parts.
    name: String,
    /// What is kept.
    folder: PathBuf,
    /// Where the program is run.
    directory: PathBuf,
}

/// What a run gave, or what is kept of it.
#[derive(PartialEq, Eq)]
struct Run {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exit: i32,
}

/// One test for each case.
pub(crate) fn trials() -> Vec<Trial> {
    let group = |name| Group {
        tier: Tier::Fast,
        module: module_path!(),
        name,
    };
    LEAST
        .iter()
        .flat_map(|(command, _)| {
            group(command).trials(Ok(cases(command)), |case| case.name.clone(), Case::judge)
        })
        .collect()
}

/// The cases of a command.
fn cases(command: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for folder in folders(&Path::new(FOLDER).join(command)) {
        let name = name(&folder);
        // A folder without arguments is data that the case reads.
        let mut inner = folders(&folder);
        inner.retain(|path| path.join("args").is_file());
        let case = |name: String, kept: PathBuf| Case {
            command: command.to_owned(),
            name,
            folder: kept,
            directory: folder.clone(),
        };
        if inner.is_empty() {
            cases.push(case(name, folder.clone()));
        } else {
            for kept in inner {
                cases.push(case(format!("{name}::{}", self::name(&kept)), kept));
            }
        }
    }
    cases
}

fn name(path: &Path) -> String {
    let name = path.file_name().expect("a name");
    name.to_str().expect("a name in UTF-8").to_owned()
}

/// The entries of a folder, in order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut paths = entries(folder);
    paths.retain(|path| path.is_dir());
    paths
}

impl Case {
    fn judge(&self) -> Result<(), String> {
        let given = self.run(&self.lines("args"), &self.bytes("input.yaml"));
        if std::env::var_os("UPDATE").is_some() {
            self.update(&given)?;
        }
        let kept = self.kept()?;
        if given != kept {
            return Err(given.difference(&kept));
        }
        if given.exit != 0 && !given.stdout.is_empty() && self.refuses_with_nothing() {
            return Err("refused, but something is written".to_owned());
        }
        self.judge_second_run(&given)?;
        if self.command == "lint" {
            self.judge_verdict(&given)?;
        }
        Ok(())
    }

    /// Whether an exit code that is not 0 means that there is nothing on stdout.
    fn refuses_with_nothing(&self) -> bool {
        matches!(self.command.as_str(), "filter" | "migrate")
    }

    /// A stream that was filtered, and a config that was migrated, do not change a second time.
    fn judge_second_run(&self, given: &Run) -> Result<(), String> {
        // Helm 4 reads errors on stdout, as a block scalar.
        let refused = given.exit != 0 || given.stdout.starts_with(b"|");
        let args = match self.command.as_str() {
            "filter" => self.lines("args"),
            "migrate" => Vec::new(),
            _ => return Ok(()),
        };
        if refused || self.run(&args, &given.stdout).stdout == given.stdout {
            return Ok(());
        }
        Err("a second run changes the output".to_owned())
    }

    /// The name of a case for `lint` says the verdict: `good-*` is accepted, `shape-*` is refused by
    /// the JSON Schema too (see `lint.rs`), `value-*` only by lint.
    fn judge_verdict(&self, given: &Run) -> Result<(), String> {
        let said = String::from_utf8_lossy(&given.stderr);
        let has_errors = said.contains("error:");
        let is = |start: &str| self.name.starts_with(start);
        if said.contains("do-not-show-me") {
            return Err("what must stay hidden is shown".to_owned());
        }
        // Other formats than plain text write errors in other ways, and a patch is no verdict.
        if is("formats::") || is("fix-") {
            return Ok(());
        }
        if given.exit != i32::from(has_errors) {
            return Err(format!("the exit code is {}: {said}", given.exit));
        }
        if has_errors && is("good-") {
            return Err(format!("good, but refused: {said}"));
        }
        if !has_errors && (is("shape-") || is("value-")) {
            return Err(format!("accepted: {said}"));
        }
        Ok(())
    }

    fn run(&self, args: &[String], stdin: &[u8]) -> Run {
        let mut command = Command::new(FILTER);
        if self.command != "filter" {
            command.arg(&self.command);
        }
        let env = self.lines("env");
        let env = env.iter().filter_map(|line| line.split_once('='));
        command
            .args(args)
            .current_dir(&self.directory)
            .env_clear()
            .envs(env);
        let output = assert_cmd::Command::from_std(command)
            .write_stdin(stdin)
            .output();
        let output = output.expect("the program starts");
        Run {
            stdout: output.stdout,
            stderr: output.stderr,
            exit: output.status.code().expect("an exit code"),
        }
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.folder.join(file)).unwrap_or_default()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = String::from_utf8(self.bytes(file)).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    /// The file that keeps standard output, if there is one.
    fn stdout_file(&self) -> Result<Option<PathBuf>, String> {
        let mut files = entries(&self.folder);
        files.retain(|path| name(path).starts_with("stdout."));
        let file = files.pop();
        if files.is_empty() {
            return Ok(file);
        }
        Err("more than one file keeps standard output".to_owned())
    }

    fn kept(&self) -> Result<Run, String> {
        let stdout = self.stdout_file()?;
        let has = |file: &str| self.folder.join(file).exists();
        if stdout.is_none() && !has("stderr.txt") && !has("exit") {
            return Err("nothing is kept: run it with UPDATE=1 and read what it writes".to_owned());
        }
        let exit = match self.lines("exit").first() {
            None => 0,
            Some(line) => line.parse().map_err(|_| format!("exit is {line:?}"))?,
        };
        let stdout = stdout.map(|file| fs::read(file).expect("a file"));
        Ok(Run {
            stdout: stdout.unwrap_or_default(),
            stderr: self.bytes("stderr.txt"),
            exit,
        })
    }

    fn update(&self, given: &Run) -> Result<(), String> {
        let new = || self.folder.join(format!("stdout.{}", self.extension()));
        let stdout = self.stdout_file()?.unwrap_or_else(new);
        // A case with nothing to keep but its good end keeps that.
        let is_bare = given.stdout.is_empty() && given.stderr.is_empty();
        let exit = match given.exit {
            0 if !is_bare => String::new(),
            code => format!("{code}\n"),
        };
        for (path, bytes) in [
            (stdout, given.stdout.as_slice()),
            (self.folder.join("stderr.txt"), &given.stderr),
            (self.folder.join("exit"), exit.as_bytes()),
        ] {
            if bytes.is_empty() {
                let _ = fs::remove_file(path);
            } else {
                fs::write(path, bytes).expect("the outputs can be written");
            }
        }
        Ok(())
    }

    /// The extension of a new file for standard output.
    fn extension(&self) -> &'static str {
        let args = self.lines("args");
        let format = args.iter().skip_while(|word| *word != "--output").nth(1);
        match (self.command.as_str(), format.map(String::as_str)) {
            ("filter" | "migrate", _) => "yaml",
            (_, Some("json")) => "json",
            (_, Some("sarif")) => "sarif",
            (_, Some("junit")) => "xml",
            (_, Some("svg")) => "svg",
            (_, Some("dot")) => "dot",
            (_, Some("mermaid")) => "mmd",
            (_, Some("markdown")) => "md",
            (_, Some("html")) => "html",
            _ => "txt",
        }
    }
}

impl Run {
    /// What differs from what is kept.
    fn difference(&self, kept: &Self) -> String {
        let mut found = Vec::new();
        for (what, given, kept) in [
            ("stdout", &self.stdout, &kept.stdout),
            ("stderr", &self.stderr, &kept.stderr),
        ] {
            if given != kept {
                found.push(format!("{what}: {}", parting(given, kept)));
            }
        }
        if self.exit != kept.exit {
            found.push(format!("exit: given {}, kept {}", self.exit, kept.exit));
        }
        found.push("UPDATE=1 writes what is given".to_owned());
        found.join("\n")
    }
}

/// Two texts from the first line on that differs.
fn parting(given: &[u8], kept: &[u8]) -> String {
    let (given, kept) = (
        String::from_utf8_lossy(given),
        String::from_utf8_lossy(kept),
    );
    let lines = |text: &str| -> Vec<String> {
        let lines = text.split_inclusive('\n');
        lines.map(|line| line.escape_debug().to_string()).collect()
    };
    let (given, kept) = (lines(&given), lines(&kept));
    let same = given.iter().zip(&kept).take_while(|(g, k)| g == k).count();
    let rest = |lines: &[String]| -> String {
        let rest = lines.iter().skip(same).take(12);
        let indented: Vec<String> = rest.map(|line| format!("\n    {line}")).collect();
        indented.concat()
    };
    let (given, kept) = (rest(&given), rest(&kept));
    format!(
        "differs from line {} on\n  given:{given}\n  kept:{kept}",
        same + 1
    )
}

fn no_case_is_lost() {
    let mut commands: Vec<String> = Vec::new();
    for path in entries(Path::new(FOLDER)) {
        assert!(path.is_dir(), "{} belongs to no case", path.display());
        commands.push(name(&path));
    }
    assert_eq!(commands, LEAST.map(|(command, _)| command));
    for (command, least) in LEAST {
        let cases = cases(command);
        let count = cases.len();
        assert!(count >= least, "only {count} cases of {command} are there");
        for case in cases.iter().filter(|case| case.directory != case.folder) {
            let group = Case {
                command: case.command.clone(),
                name: case.name.clone(),
                folder: case.directory.clone(),
                directory: case.directory.clone(),
            };
            let is_case = group.kept().is_ok() || group.folder.join("args").exists();
            assert!(
                !is_case,
                "{} is a case and a group",
                case.directory.display()
            );
        }
    }
}

crate::registry::tests! {
    fast: [no_case_is_lost],
}
