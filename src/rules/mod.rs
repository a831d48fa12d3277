//! The warnings: what the API server accepts, but may not do what its author means.
//!
//! Each warning is a file with its code, title, audience and documentation, and its check if it is
//! one over settings and policies. Other warnings have no check here: their file names the place
//! that gives them, and that place refers to the file's `RULE`. [`RULES`] lists all of them, and
//! docs/warnings.md is made of it.

pub mod annotation_disables;
pub mod annotation_widens;
pub mod argocd_hook;
pub mod config;
pub mod covered_rule;
pub mod default_excepts;
pub mod deprecated_field;
pub mod disabled_with_policies;
pub mod dns_port;
pub mod empty_project;
pub mod fallback_dns;
pub mod holes;
pub mod legacy_cidr;
pub mod mapped_namespaces;
pub mod metadata_service;
pub mod missing_enabled;
pub mod missing_kind;
pub mod needs;
pub mod newer_chart;
pub mod null_excepts;
pub mod open_destination;
pub mod open_rule;
pub mod option_without_effect;
pub mod single_ip_family;
pub mod target_namespace;
pub mod unlabelled_secret;
pub mod unread_values;
pub mod values;
pub mod values_outside_dependency;

use config::{Findings, View};

/// A warning.
#[derive(Debug)]
pub struct Rule {
    /// The stable name (`VNP101`).
    pub code: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Who reads it.
    pub audience: Audience,
    /// Its section in docs/warnings.md, without the heading.
    pub documentation: &'static str,
    /// The check over settings and policies. Without one the warning is given elsewhere.
    pub check: Option<fn(&View<'_>, &mut Findings)>,
}

/// Who reads a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// Everybody: something that was written does not mean what its author thinks.
    #[default]
    Everyone,
    /// Who asks with `lint`: worth knowing, but as the defaults have it, or perhaps meant so.
    Reviewer,
    /// Who asks with `lint`, or with `--verbose` of the filter: what the values need and the policies
    /// block, and what the values open. Never a comment in the policies.
    OnRequest,
}

/// All warnings, in the order of their codes.
pub static RULES: &[&Rule] = &[
    &deprecated_field::RULE,
    &dns_port::RULE,
    &fallback_dns::RULE,
    &default_excepts::RULE,
    &metadata_service::RULE,
    &open_rule::RULE,
    &single_ip_family::RULE,
    &covered_rule::RULE,
    &disabled_with_policies::RULE,
    &empty_project::RULE,
    &newer_chart::RULE,
    &legacy_cidr::RULE,
    &target_namespace::RULE,
    &missing_enabled::RULE,
    &option_without_effect::RULE,
    &unlabelled_secret::RULE,
    &missing_kind::RULE,
    &annotation_disables::RULE,
    &annotation_widens::RULE,
    &null_excepts::RULE,
    &argocd_hook::RULE,
    &mapped_namespaces::RULE,
    &open_destination::RULE,
    &values_outside_dependency::RULE,
    &unread_values::RULE,
    &needs::ingress_to_workloads::RULE,
    &needs::api_from_outside::RULE,
    &needs::service_monitor::RULE,
    &needs::metrics_server::RULE,
    &needs::external_database::RULE,
    &needs::iam_credentials::RULE,
    &needs::external_etcd::RULE,
    &needs::coredns_host_dns::RULE,
    &needs::replicated_services::RULE,
    &needs::resolved_names::RULE,
    &needs::admission_webhooks::RULE,
    &needs::istio_mesh::RULE,
    &needs::istio_sleep::RULE,
    &needs::sleep_mode::RULE,
    &needs::private_nodes::RULE,
    &needs::node_kubelets::RULE,
    &needs::proxy::RULE,
    &needs::mapped_namespaces::RULE,
    &holes::tenant_policies::RULE,
    &holes::tenant_plugin_policies::RULE,
    &holes::host_network::RULE,
    &holes::mapped_without_policy::RULE,
    &holes::borrowed_labels::RULE,
    &holes::link_local_resolvers::RULE,
];

/// The rule with that code, in any case of letters.
#[must_use]
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES
        .iter()
        .find(|rule| rule.code.eq_ignore_ascii_case(code))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::diagnostic::Suggestion;
    use std::fmt::Write as _;

    /// The first line of docs/warnings.md that is made from the registry.
    const TABLE: &str = "| code | about | shown |\n";

    /// The table and the sections of docs/warnings.md.
    fn documentation() -> String {
        let mut page = format!("{TABLE}|---|---|---|\n");
        for rule in RULES {
            let anchor = rule.code.to_lowercase();
            let shown = match rule.audience {
                Audience::Everyone => "always",
                Audience::Reviewer => "*lint*",
                Audience::OnRequest => "*lint*, *verbose*",
            };
            let (code, title) = (rule.code, rule.title);
            writeln!(page, "| [{code}](#{anchor}) | {title} | {shown} |").unwrap();
        }
        for rule in RULES {
            write!(page, "\n## {}\n{}\n", rule.code, rule.documentation).unwrap();
        }
        page
    }

    #[test]
    fn codes_are_unique_and_in_order() {
        let codes: Vec<&str> = RULES.iter().map(|rule| rule.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        assert_eq!(
            find("vnp101").map(|rule| rule.code),
            Some(deprecated_field::RULE.code)
        );
    }

    /// A file that is not in the list compiles, but its check never runs.
    #[test]
    fn every_rule_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules");
        let folders = ["", "/needs", "/holes"].map(|inner| format!("{folder}{inner}"));
        let files = folders
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let paths = files.map(|entry| entry.unwrap().path());
        let declares_rule = |path: &std::path::PathBuf| {
            path.is_file()
                && std::fs::read_to_string(path)
                    .unwrap()
                    .contains("\npub static RULE: ")
        };
        assert_eq!(paths.filter(declares_rule).count(), RULES.len());
    }

    /// The line of docs/needs.md behind which everything is made from the rules and their cases.
    const NEEDS_TABLE: &str =
        "| warning | edition 0.31 | edition 0.33.2 | the rule to add |\n|---|---|---|---|\n";

    /// The first lines of a case of tests/cases/lint: its values.
    fn values_of_cases(rule: &Rule) -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/lint");
        let prefix = format!("good-{}-", rule.code.to_lowercase());
        let entries = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path());
        let is_of_rule = |path: &std::path::PathBuf| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(&prefix)
        };
        let mut cases: Vec<_> = entries.filter(is_of_rule).collect();
        cases.sort();
        let texts = cases
            .iter()
            .filter_map(|case| std::fs::read_to_string(case.join("values.yaml")).ok());
        texts.collect()
    }

    /// What lint suggests of a rule for some values.
    fn suggestions(rule: &Rule, values: &str, edition: &str) -> Vec<Suggestion> {
        use crate::filter::{Options, plans};
        use crate::vcluster::sources::{ConfigFile, Overrides};
        let options = Options {
            overrides: Overrides {
                files: vec![ConfigFile {
                    name: "values.yaml".to_owned(),
                    text: values.to_owned(),
                }],
                release: Some("vcluster".to_owned()),
                namespace: Some("team-a".to_owned()),
                ..Overrides::default()
            },
            edition: Some(edition.parse().unwrap()),
            ..Options::default()
        };
        let (made, _) = plans(b"", &options).unwrap();
        let notes = made.into_iter().flat_map(|made| made.notes);
        let notes = notes.filter(|note| note.code == Some(rule.code));
        notes.filter_map(|note| Some(*note.suggestion?)).collect()
    }

    /// Whether the rules to add are complete.
    fn exactness(suggested: &[Suggestion], is_without_case: bool) -> &'static str {
        let exact = suggested.iter().filter(|one| one.is_exact()).count();
        match exact {
            _ if is_without_case => "exact",
            0 => "something to fill in",
            all if all == suggested.len() => "exact",
            _ => "exact where the values name the other side",
        }
    }

    /// The values of a case, and what they need. Empty if no edition blocks anything.
    fn example_of_need(rule: &Rule, values: &str) -> String {
        let mut found = suggestions(rule, values, "0.31");
        if found.is_empty() {
            found = suggestions(rule, values, "0.33.2");
        }
        if found.is_empty() {
            return String::new();
        }
        // It keeps another warning away.
        let values = values.replace("  podSecurityStandard: baseline\n", "");
        let values = values.replace("podSecurityStandard: baseline, ", "");
        let mut text = format!("\nWith these values:\n\n```yaml\n{values}```\n\nadd:\n\n```yaml\n");
        for suggestion in found {
            writeln!(text, "# {}", suggestion.path).unwrap();
            for part in &suggestion.fill_in {
                writeln!(text, "# {}: {}", part.placeholder, part.meaning).unwrap();
            }
            text += &suggestion.yaml();
        }
        text + "```\n"
    }

    fn needs() -> String {
        let needs = RULES.iter().filter(|rule| rule.code.starts_with("VNP2"));
        let (mut table, mut sections) = (NEEDS_TABLE.to_owned(), String::new());
        for rule in needs {
            let cases = values_of_cases(rule);
            let all = |edition| -> Vec<_> {
                let found = cases
                    .iter()
                    .flat_map(|values| suggestions(rule, values, edition));
                found.collect()
            };
            let (old, new) = (all("0.31"), all("0.33.2"));
            let word = |found: &[_]| {
                if found.is_empty() {
                    "passes"
                } else {
                    "blocked"
                }
            };
            let some = if old.is_empty() { &new } else { &old };
            let exactness = exactness(some, cases.is_empty());
            let anchor = rule.code.to_lowercase();
            let (old, new) = if cases.is_empty() {
                ("passes; blocked before chart 0.31", "passes")
            } else {
                (word(&old), word(&new))
            };
            writeln!(
                table,
                "| [{}](#{anchor}): {} | {old} | {new} | {exactness} |",
                rule.code, rule.title
            )
            .unwrap();
            write!(sections, "\n## {}\n\n", rule.code).unwrap();
            writeln!(sections, "{}", rule.documentation).unwrap();
            for values in &cases {
                sections += &example_of_need(rule, values);
            }
        }
        table + &sections
    }

    /// With UPDATE=1 the page is written again. The text before the table is not changed.
    #[test]
    fn needs_page_is_made_from_the_rules_and_their_cases() {
        check_page("needs.md", NEEDS_TABLE, &needs());
    }

    /// With UPDATE=1 the page is written again. The text before the table is not changed.
    #[test]
    fn warnings_page_is_made_from_the_rules() {
        check_page("warnings.md", TABLE, &documentation());
    }

    fn check_page(name: &str, first: &str, made: &str) {
        let file = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
        let committed = std::fs::read_to_string(&file).unwrap();
        let (introduction, _) = committed.split_once(first).unwrap();
        let page = format!("{introduction}{made}");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, page).unwrap();
        } else {
            assert!(
                committed == page,
                "docs/{name} is out of date: UPDATE=1 cargo test page_is_made"
            );
        }
    }
}
