//! Runs of the program that are kept in folders. A folder below tests/FOLDER holds what the runs
//! read, and for each run:
//!
//! | file | what |
//! |---|---|
//! | NAME.args | the arguments, one a line; a line `COLUMNS=60` is a variable |
//! | NAME.stdin | standard input; absent: nothing |
//! | NAME.stdout | standard output; absent: nothing |
//! | NAME.stderr | standard error; absent: nothing |
//! | NAME.exit | the exit code; absent: 0 |
//!
//! With `UPDATE_CASES=1` the outputs are written instead of compared: read the difference before
//! you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// Makes every run of a folder of tests/, `least` of them at least.
#[track_caller]
pub(crate) fn compare(folder: &str, least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut runs: Vec<PathBuf> = entries(&root)
        .filter(|path| path.is_dir())
        .flat_map(|case| entries(&case).collect::<Vec<_>>())
        .filter(|path| path.extension().is_some_and(|e| e == "args"))
        .collect();
    runs.sort();
    assert!(runs.len() >= least, "only {} runs are there", runs.len());
    let updating = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong = Vec::new();
    for args in &runs {
        for (extension, given) in run(args) {
            let file = args.with_extension(extension);
            if updating && given.is_empty() {
                let _ = fs::remove_file(&file);
            } else if updating {
                fs::write(&file, &given).unwrap();
            }
            let kept = fs::read_to_string(&file).unwrap_or_default();
            if given != kept {
                wrong.push(format!("{}:\n{given}\n-- kept:\n{kept}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap().path())
}

/// What a run gives, by the extension of the file that keeps it.
fn run(file: &Path) -> [(&'static str, String); 3] {
    let lines = fs::read_to_string(file).unwrap();
    let is_variable = |line: &&str| line.starts_with("COLUMNS=");
    let variables = lines.lines().filter(is_variable);
    let output = Command::cargo_bin("vcluster-netpol")
        .unwrap()
        .args(lines.lines().filter(|line| !is_variable(line)))
        .current_dir(file.parent().unwrap())
        .env_clear()
        .envs(variables.filter_map(|line| line.split_once('=')))
        .write_stdin(fs::read(file.with_extension("stdin")).unwrap_or_default())
        .output()
        .unwrap();
    let exit = match output.status.code().expect("an exit code") {
        0 => String::new(),
        code => format!("{code}\n"),
    };
    [
        ("stdout", String::from_utf8(output.stdout).unwrap()),
        ("stderr", String::from_utf8(output.stderr).unwrap()),
        ("exit", exit),
    ]
}
