//! `exec -- CMD…`: the commands that fail, and the real Helms that don't.

use std::process::Command;

use crate::support::helm::{ALL, FILTER, Run};

/// The small chart.
const MINI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charts/vcluster-mini");

/// Two documents that the filter turns into four.
const STREAM: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: a
  namespace: team-a
  labels: {app: vcluster, release: a}
  annotations: {vcluster-netpol/config: '{\"enabled\": true}'}
---
kind: ConfigMap
";

fn exec(words: &[&str]) -> Run {
    Run::of(Command::new(FILTER).arg("exec").args(words), "")
}

/// `exec` of a shell script.
fn shell(options: &[&str], script: &str) -> Run {
    let words: Vec<&str> = options
        .iter()
        .copied()
        .chain(["--", "sh", "-c", script])
        .collect();
    exec(&words)
}

fn what_the_command_printed_is_filtered() {
    let script = format!("cat <<'EOF'\n{STREAM}EOF\n");
    let by_exec = shell(&[], &script).printed();
    let by_pipe = Run::of(&mut Command::new(FILTER), STREAM).printed();
    assert_eq!(by_exec, by_pipe);
    assert!(by_exec.contains("name: \"vc-work-a\"") || by_exec.contains("name: vc-work-a"));
}

fn the_options_of_the_filter_stand_before_the_dashes() {
    let run = shell(&["--require"], "echo 'kind: ConfigMap'");
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("--require"), "{}", run.stderr);
}

fn what_is_required_holds_for_what_the_command_printed() {
    let off = STREAM.replace("true", "false");
    let script = format!("cat <<'EOF'\n{off}EOF\n");
    let by_option = shell(&["--require"], &script);
    let words = ["exec", "--", "sh", "-c", &script];
    let by_variable = Run::of(
        Command::new(FILTER)
            .args(words)
            .env("VCLUSTER_NETPOL_REQUIRE", "1"),
        "",
    );
    for run in [by_option, by_variable] {
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
        let message = "virtual cluster team-a/a is not isolated";
        assert!(run.stderr.contains(message), "{}", run.stderr);
    }
    let config_only = shell(&["--require=config"], &script);
    assert_eq!((config_only.code, config_only.stdout), (Some(0), off));
    assert!(config_only.stderr.starts_with("NOT ISOLATED: "));
}

fn a_command_that_fails_passes_its_code_and_its_stderr_on_and_nothing_else() {
    let script = format!("cat <<'EOF'\n{STREAM}EOF\necho the chart is broken >&2; exit 42");
    let run = shell(&[], &script);
    assert_eq!((run.code, run.stdout.as_str()), (Some(42), ""));
    assert!(run.stderr.contains("the chart is broken"), "{}", run.stderr);
    assert!(
        run.stderr.contains("sh failed with exit code 42"),
        "{}",
        run.stderr
    );
}

fn a_command_that_a_signal_ended_has_failed() {
    let run = shell(&[], "echo 'kind: ConfigMap'; kill -15 $$");
    run.assert_refused(128 + 15, "signal 15");
}

fn a_command_that_is_not_there_or_cannot_run_is_named() {
    let run = exec(&["--", "no-such-program-anywhere", "template"]);
    run.assert_refused(
        3,
        "can't run no-such-program-anywhere: there is no such program",
    );
    let run = exec(&["--", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    run.assert_refused(3, "no program that this user may run");
}

fn without_a_command_the_call_is_wrong() {
    for words in [&[][..], &["--"], &["helm", "template"]] {
        let run = exec(words);
        run.assert_refused(2, "");
    }
}

fn a_command_that_prints_nothing_is_filtered_to_nothing() {
    let run = shell(&[], "true");
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), ""),
        "{}",
        run.stderr
    );
}

fn the_command_reads_our_stdin() {
    let run = Run::of(
        Command::new(FILTER).args(["exec", "--", "cat"]),
        "kind: ConfigMap\n",
    );
    assert_eq!(run.printed(), "kind: ConfigMap\n");
}

/// A refusal inside Helm 4 is a scalar on stdout with exit code 0; under `exec` no Helm reads us.
fn a_refused_config_is_told_by_exit_code_whatever_helm_rendered_the_stream() {
    let stream = STREAM.replace("true}", "5}").replace(
        "annotations: {",
        "annotations: {postrenderer.helm.sh/postrender-filename: c/t.yaml, ",
    );
    let run = shell(&[], &format!("cat <<'EOF'\n{stream}EOF\n"));
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("enabled"), "{}", run.stderr);
}

fn both_helms_are_run_and_their_failures_are_ours() {
    for helm in ALL {
        let good = helm.command([
            "template",
            "a",
            MINI,
            "--set=policies.networkPolicy.enabled=true",
        ]);
        let printed = Run::of(&mut through(&good), "").printed();
        assert!(printed.contains("vc-work-a"), "{helm}:\n{printed}");
        let bad = helm.command(["template", "a", "/no/such/chart"]);
        let run = Run::of(&mut through(&bad), "");
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{helm}");
        assert!(
            run.stderr.contains("/no/such/chart"),
            "{helm}: {}",
            run.stderr
        );
    }
}

/// The same command by way of `exec`.
fn through(inner: &Command) -> Command {
    let mut command = Command::new(FILTER);
    command
        .args(["exec", "--"])
        .arg(inner.get_program())
        .args(inner.get_args());
    command.env_clear();
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

crate::registry::tests! {
    fast: [
        what_the_command_printed_is_filtered,
        the_options_of_the_filter_stand_before_the_dashes,
        what_is_required_holds_for_what_the_command_printed,
        a_command_that_fails_passes_its_code_and_its_stderr_on_and_nothing_else,
        a_command_that_a_signal_ended_has_failed,
        a_command_that_is_not_there_or_cannot_run_is_named,
        without_a_command_the_call_is_wrong,
        a_command_that_prints_nothing_is_filtered_to_nothing,
        the_command_reads_our_stdin,
        a_refused_config_is_told_by_exit_code_whatever_helm_rendered_the_stream,
    ],
    slow: [
        both_helms_are_run_and_their_failures_are_ours,
    ],
}
