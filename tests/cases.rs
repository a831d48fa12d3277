//! The filter on streams that are kept in folders: tests/cases/NAME holds
//!
//! | file | what |
//! |---|---|
//! | input.yaml | standard input; absent: nothing |
//! | args | the arguments, one a line; `CASE/` stands for the folder |
//! | env | the environment, `NAME=value` in each line; absent: nothing |
//! | stdout.yaml | standard output; absent: nothing |
//! | stderr.txt | standard error; absent: nothing |
//! | exit | the exit code; absent: 0 |
//!
//! Where a stream is filtered, it is filtered a second time and must not change. With
//! `UPDATE_CASES=1` the outputs are written instead of compared: read the difference before you
//! commit it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// What a run gave.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    stdout: String,
    stderr: String,
    exit: i32,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn run(case: &Path, stdin: &[u8]) -> Run {
    let args = fs::read_to_string(case.join("args")).unwrap_or_default();
    let env = fs::read_to_string(case.join("env")).unwrap_or_default();
    let args: Vec<String> = args
        .lines()
        .map(|line| line.replace("CASE/", "./"))
        .collect();
    let output = Command::cargo_bin("vcluster-netpol")
        .unwrap()
        .args(args)
        .current_dir(case)
        .env_clear()
        .envs(env.lines().filter_map(|line| line.split_once('=')))
        .write_stdin(stdin)
        .output()
        .unwrap();
    Run {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        exit: output.status.code().expect("an exit code"),
    }
}

fn expected(case: &Path) -> Run {
    let text = |name: &str| fs::read(case.join(name)).unwrap_or_default();
    Run {
        stdout: String::from_utf8_lossy(&text("stdout.yaml")).into_owned(),
        stderr: String::from_utf8_lossy(&text("stderr.txt")).into_owned(),
        exit: String::from_utf8_lossy(&text("exit"))
            .trim()
            .parse()
            .unwrap_or(0),
    }
}

fn update(case: &Path, run: &Run) {
    let exit = match run.exit {
        0 => String::new(),
        code => format!("{code}\n"),
    };
    for (name, text) in [
        ("stdout.yaml", &run.stdout),
        ("stderr.txt", &run.stderr),
        ("exit", &exit),
    ] {
        if text.is_empty() {
            let _ = fs::remove_file(case.join(name));
        } else {
            fs::write(case.join(name), text).unwrap();
        }
    }
}

#[test]
fn every_case_comes_out_as_it_is_kept() {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(cases.len() > 40, "only {} cases are there", cases.len());
    let updating = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy();
        let input = fs::read(case.join("input.yaml")).unwrap_or_default();
        let given = run(case, &input);
        if updating {
            update(case, &given);
        }
        let kept = expected(case);
        if given != kept {
            wrong.push(format!("{name}:\n  given {given:#?}\n  kept {kept:#?}"));
        }
        let refused = given.exit != 0 || given.stdout.starts_with('|');
        if !refused && run(case, given.stdout.as_bytes()).stdout != given.stdout {
            wrong.push(format!("{name}: a second run changes the output"));
        }
        if given.exit != 0 && !given.stdout.is_empty() {
            wrong.push(format!("{name}: refused, but something is written"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
