//! The hooks for pre-commit and the GitHub Action: their commands, run as pre-commit and GitHub run
//! them, on a repository that is good and on one that is not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml::Value;
use tempfile::TempDir;

use crate::support::helm::{FILTER, Run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Values that each check accepts.
const GOOD: &str = "policies: {networkPolicy: {enabled: true}}\n";

/// Values that each check rejects.
const BAD: &str = "\
policies:
  networkPolicy:
    enabled: true
    extraWorkloadRules: [{to: [{ipBlock: {cidr: 10.0.0.1}}]}]
";

/// A repository with one values file, and the program where the commands look for it.
fn repository(values: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for below in ["repository/deploy", "temp/vcluster-netpol/bin"] {
        fs::create_dir_all(folder.path().join(below)).expect("a folder");
    }
    fs::write(folder.path().join("repository/deploy/values.yaml"), values).expect("values");
    let program = bin(&folder).join("vcluster-netpol");
    symlink(FILTER, program).expect("a link");
    folder
}

fn bin(folder: &TempDir) -> PathBuf {
    folder.path().join("temp/vcluster-netpol/bin")
}

fn manifest(name: &str) -> Value {
    let text = fs::read_to_string(Path::new(ROOT).join(name)).expect("a file");
    serde_yaml::from_str(&text).expect("YAML")
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text at {key}: {value:?}"))
}

/// A command in the repository, with nothing but the program on PATH.
fn command(program: &str, folder: &TempDir) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder.path().join("repository"))
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin(folder).display()));
    command
}

fn hooks_accept_what_is_good_and_reject_what_is_not() {
    let hooks = manifest(".pre-commit-hooks.yaml");
    let hooks = hooks.as_sequence().expect("hooks");
    assert_eq!(hooks.len(), 4);
    for hook in hooks {
        let id = text(hook, "id");
        let language = if id.ends_with("-system") {
            "system"
        } else {
            "rust"
        };
        assert_eq!(text(hook, "language"), language, "{id}");
        // pre-commit would add the names of the changed files.
        assert_eq!(hook["pass_filenames"], Value::Bool(false), "{id}");
        let words = hook["args"].as_sequence().expect("arguments");
        let words = words.iter().map(|word| word.as_str().expect("a word"));
        let words: Vec<&str> = text(hook, "entry").split(' ').chain(words).collect();
        for (values, code) in [(GOOD, 0), (BAD, 1), ("{{", 1)] {
            let folder = repository(values);
            let run = Run::of(command(words[0], &folder).args(&words[1..]), "");
            // Nothing to check is not a success: 1 of lint, 2 of migrate.
            let expected = if values == "{{" && id.contains("migrate") {
                2
            } else {
                code
            };
            assert_eq!(run.code, Some(expected), "{id}: {}", run.stderr);
        }
    }
}

/// Runs the steps of the action with these inputs, but for the build.
fn action(folder: &TempDir, inputs: &[(&str, &str)]) -> Vec<Run> {
    let action = manifest("action.yml");
    assert_eq!(text(&action["runs"], "using"), "composite");
    let input = |name: &str| {
        let given = inputs.iter().find(|(known, _)| *known == name);
        let default = || text(&action["inputs"][name], "default");
        given.map_or_else(default, |(_, value)| *value)
    };
    let steps = action["runs"]["steps"].as_sequence().expect("steps");
    let mut runs = Vec::new();
    for step in steps {
        if step.get("if").is_some() && input("migrate") != "true" {
            continue;
        }
        let script = text(step, "run");
        assert!(
            !script.contains("${{"),
            "an input could become a command: {script}"
        );
        // As GitHub runs a step of `shell: bash`.
        let mut bash = command("bash", folder);
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
            .env("RUNNER_TEMP", folder.path().join("temp"))
            .env("GITHUB_ACTION_PATH", ROOT);
        for (name, value) in step["env"].as_mapping().into_iter().flatten() {
            let expression = value.as_str().expect("an expression");
            let inner = expression
                .trim_start_matches("${{ inputs.")
                .trim_end_matches(" }}");
            bash.env(name.as_str().expect("a name"), input(inner));
        }
        runs.push(Run::of(&mut bash, ""));
    }
    runs
}

fn the_action_annotates_what_is_wrong() {
    let codes = |runs: &[Run]| -> Vec<Option<i32>> { runs.iter().map(|run| run.code).collect() };
    let good = repository(GOOD);
    assert_eq!(codes(&action(&good, &[])), [Some(0); 3]);
    // The advice of lint is a warning.
    let strict = action(&good, &[("strict", "true"), ("migrate", "false")]);
    assert_eq!(codes(&strict), [Some(0), Some(1)]);

    let bad = repository(BAD);
    let paths = "deploy\n\ndeploy/values.yaml\n";
    let runs = action(&bad, &[("paths", paths), ("sarif-file", "found.sarif")]);
    assert_eq!(codes(&runs), [Some(0), Some(1), Some(1)]);
    let annotation = "::error file=deploy/values.yaml,line=4";
    assert!(runs[1].stdout.contains(annotation), "{}", runs[1].stdout);
    assert!(
        runs[2].stderr.contains("deploy/values.yaml:4: "),
        "{}",
        runs[2].stderr
    );
    let sarif = fs::read_to_string(bad.path().join("repository/found.sarif")).expect("SARIF");
    let sarif: serde_json::Value = serde_json::from_str(&sarif).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");

    let nothing = action(&bad, &[("paths", "missing.yaml")]);
    assert_eq!(codes(&nothing), [Some(0), Some(3), Some(3)]);
    let option = action(&bad, &[("paths", "--allow\nVNP101")]);
    assert_eq!(codes(&option)[1], Some(3), "a path is no option");
}

/// pre-commit itself, which pip downloads into target/tools.
fn pre_commit() -> Option<PathBuf> {
    let folder = Path::new(ROOT).join("target/tools/pre-commit");
    let program = folder.join("bin/pre-commit");
    if !program.exists() {
        let venv = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&folder)
            .status();
        let pip = folder.join("bin/pip");
        let is_there = venv.is_ok_and(|status| status.success())
            && Command::new(pip)
                .args(["install", "--quiet", "pre-commit==4.7.0"])
                .status()
                .is_ok_and(|status| status.success());
        if !is_there {
            eprintln!("LEFT OUT: pip can't install pre-commit");
            return None;
        }
    }
    Some(program)
}

fn pre_commit_runs_the_hooks() {
    let Some(program) = pre_commit() else { return };
    // A clone has the hooks as they are committed; pre-commit reads them from its repository.
    for (values, code) in [(GOOD, 0), (BAD, 1)] {
        let folder = repository(values);
        let hooks = folder.path().join("hooks");
        fs::create_dir(&hooks).expect("a folder");
        let file = ".pre-commit-hooks.yaml";
        fs::copy(Path::new(ROOT).join(file), hooks.join(file)).expect("a copy");
        let git = |words: &[&str], place: &Path| {
            let mut git = command("git", &folder);
            git.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
            git.args(words).current_dir(place);
            Run::of(&mut git, "").printed()
        };
        let checkout = folder.path().join("repository");
        for place in [&hooks, &checkout] {
            git(&["init", "--quiet"], place);
            git(&["add", "."], place);
            git(&["commit", "--quiet", "-m", "a"], place);
        }
        for hook in [
            "vcluster-netpol-lint-system",
            "vcluster-netpol-migrate-system",
        ] {
            let mut pre_commit = command(program.to_str().expect("a path"), &folder);
            pre_commit
                .args(["try-repo", "--all-files", "--verbose"])
                .arg(&hooks)
                .arg(hook)
                .env("HOME", folder.path())
                .env("PRE_COMMIT_HOME", folder.path().join("cache"));
            let run = Run::of(&mut pre_commit, "");
            assert_eq!(
                run.code,
                Some(code),
                "{hook}: {}\n{}",
                run.stdout,
                run.stderr
            );
            let ran = if hook.contains("lint") {
                "checked 0 network policies"
            } else {
                "values"
            };
            assert!(
                code == 0 && hook.contains("migrate") || run.stdout.contains(ran),
                "{}",
                run.stdout
            );
        }
    }
}

crate::registry::tests! {
    fast: [
        hooks_accept_what_is_good_and_reject_what_is_not,
        the_action_annotates_what_is_wrong,
    ],
    slow: [
        pre_commit_runs_the_hooks,
    ],
}
