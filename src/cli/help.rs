//! The definition of the command line with what its parts do not say themselves: the groups of the
//! commands, examples, exit codes, and what shells complete.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _, ValueHint};

use super::Cli;

/// The commands by what they are for. Each command is in one group.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Render", &["exec", "argocd"]),
    ("Before the install", &["lint", "migrate", "schema"]),
    ("What policies do", &["explain", "check", "list", "diff"]),
    ("In the cluster", &["audit", "guard", "doctor"]),
    ("Other", &["completions", "man"]),
];

/// Examples and exit codes of a command.
struct Page {
    /// The command; empty for the filter.
    command: &'static str,
    examples: &'static [&'static str],
    /// What the exit codes mean, where the description of the command does not say it.
    exit_codes: &'static str,
}

const PAGES: [Page; 15] = [
    Page {
        command: "",
        examples: &[
            "helm template my-vc vcluster --repo https://charts.loft.sh | vcluster-netpol",
            "helm install my-vc ./vcluster --post-renderer vcluster-netpol",
            "vcluster-netpol --config netpol.yaml --require < rendered.yaml > isolated.yaml",
        ],
        exit_codes: "0 done, 1 a config or policy is rejected (then nothing is printed), 2 wrong \
                     usage, 3 reading or writing failed",
    },
    Page {
        command: "exec",
        examples: &[
            "vcluster-netpol exec --require -- helm template my-vc ./vcluster -f values.yaml",
        ],
        exit_codes: "that of CMD if CMD fails; otherwise that of the filter: 0 done, 1 a config or \
                     policy is rejected, 2 wrong usage, 3 reading or writing failed",
    },
    Page {
        command: "argocd",
        examples: &["vcluster-netpol argocd generate --require"],
        exit_codes: "that of Helm if Helm fails; otherwise that of the filter: 0 done, 1 a config or \
                     policy is rejected, 2 wrong usage, 3 reading or writing failed",
    },
    Page {
        command: "lint",
        examples: &[
            "vcluster-netpol lint values.yaml",
            "helm template my-vc ./vcluster -f values.yaml | vcluster-netpol lint --strict",
            "vcluster-netpol lint --output sarif clusters/ > netpol.sarif",
        ],
        exit_codes: "0 accepted, 1 something is rejected or there is nothing to check, 2 wrong \
                     usage, 3 a file can't be read",
    },
    Page {
        command: "migrate",
        examples: &[
            "vcluster-netpol migrate --check values.yaml",
            "vcluster-netpol migrate --in-place values.yaml",
        ],
        exit_codes: "",
    },
    Page {
        command: "schema",
        examples: &["vcluster-netpol schema > networkpolicy.schema.json"],
        exit_codes: "0 printed, 2 wrong usage, 3 writing failed",
    },
    Page {
        command: "explain",
        examples: &[
            "helm template my-vc ./vcluster -f values.yaml | vcluster-netpol explain",
            "vcluster-netpol explain --config values.yaml --output svg > policies.svg",
        ],
        exit_codes: "",
    },
    Page {
        command: "check",
        examples: &[
            "vcluster-netpol check --from workload --to internet:443 --policies rendered.yaml",
            "vcluster-netpol check --expect expectations.yaml --policies clusters/",
        ],
        exit_codes: "",
    },
    Page {
        command: "list",
        examples: &[
            "vcluster-netpol list manifests/",
            "vcluster-netpol list --matrix clusters/",
        ],
        exit_codes: "",
    },
    Page {
        command: "diff",
        examples: &[
            "vcluster-netpol diff old-values.yaml new-values.yaml",
            "vcluster-netpol diff --from-chart 0.30 --to-chart 0.37 --config values.yaml",
        ],
        exit_codes: "",
    },
    Page {
        command: "audit",
        examples: &[
            "helm get manifest my-vc | vcluster-netpol audit",
            "vcluster-netpol audit --live -A",
        ],
        exit_codes: "",
    },
    Page {
        command: "guard",
        examples: &[
            "helm template my-vc ./vcluster -f values.yaml | vcluster-netpol guard --action warn",
            "vcluster-netpol guard --deny-tenants --deny-host clusters/ > guard.yaml",
        ],
        exit_codes: "",
    },
    Page {
        command: "doctor",
        examples: &["vcluster-netpol doctor --context staging"],
        exit_codes: "0 no result is bad, 1 a result is bad, 2 wrong usage, 3 writing failed",
    },
    Page {
        command: "completions",
        examples: &["vcluster-netpol completions bash > /etc/bash_completion.d/vcluster-netpol"],
        exit_codes: "0 printed, 2 wrong usage, 3 writing failed",
    },
    Page {
        command: "man",
        examples: &[
            "vcluster-netpol man | man -l -",
            "vcluster-netpol man lint | man -l -",
        ],
        exit_codes: "0 printed, 2 wrong usage, 3 writing failed",
    },
];

/// The command line.
pub(super) fn command() -> Command {
    let mut program = Cli::command();
    program = with_page(program, "");
    let groups = groups(&program);
    let options = "{usage-heading} {usage}";
    let all = "Options:\n{options}{after-help}";
    program = program.help_template(format!(
        "{{about-with-newline}}\n{options}\n\n{groups}{all}"
    ));
    let program = program.mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        with_page(command, &name)
    });
    with_hints(program)
}

/// A command with its examples and exit codes after its options.
fn with_page(command: Command, name: &str) -> Command {
    let Some(page) = PAGES.iter().find(|page| page.command == name) else {
        return command;
    };
    let mut text = String::from("Examples:\n");
    for example in page.examples {
        let _ = writeln!(text, "  {example}");
    }
    if !page.exit_codes.is_empty() {
        let _ = write!(text, "\nExit code: {}", page.exit_codes);
    }
    command.after_long_help(text)
}

/// The commands under the headings of their groups, each with what it is about.
fn groups(program: &Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(text, "{heading}:");
        for name in names {
            let Some(command) = program.find_subcommand(name) else {
                continue;
            };
            let about = command.get_about().map(ToString::to_string);
            let _ = writeln!(text, "  {name:<12} {}", about.unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

/// Shells complete files where a file is meant, and nothing where a name or a number is.
fn with_hints(command: Command) -> Command {
    let hint = |argument: Arg| {
        let is_unknown = argument.get_value_hint() == ValueHint::Unknown;
        if is_unknown && argument.get_action().takes_values() && !argument.is_last_set() {
            argument.value_hint(ValueHint::Other)
        } else {
            argument
        }
    };
    command.mut_args(hint).mut_subcommands(with_hints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group_and_has_examples_and_exit_codes() {
        let mut program = command();
        let mut listed: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        let shown = program.render_long_help().to_string();
        assert!(
            shown.contains("Examples:") && shown.contains("Exit code: "),
            "{shown}"
        );
        for heading in GROUPS.map(|(heading, _)| heading) {
            assert!(shown.contains(&format!("\n{heading}:\n")), "{shown}");
        }
        for command in program.get_subcommands_mut() {
            let name = command.get_name().to_owned();
            if name == "help" {
                continue;
            }
            let at = listed.iter().position(|listed| *listed == name);
            assert!(at.is_some(), "{name} is in no group");
            listed.swap_remove(at.unwrap());
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:\n  "), "{name}: {help}");
            assert!(help.contains("Exit code"), "{name}: {help}");
        }
        assert!(listed.is_empty(), "{listed:?}");
        program.debug_assert();
    }
}
