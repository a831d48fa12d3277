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
pub mod legacy_cidr;
pub mod mapped_namespaces;
pub mod metadata_service;
pub mod missing_enabled;
pub mod missing_kind;
pub mod newer_chart;
pub mod null_excepts;
pub mod open_destination;
pub mod open_rule;
pub mod option_without_effect;
pub mod single_ip_family;
pub mod target_namespace;
pub mod unlabelled_secret;
pub mod unread_values;
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
        let files = std::fs::read_dir(folder).unwrap();
        let paths = files.map(|entry| entry.unwrap().path());
        let declares_rule = |path: &std::path::PathBuf| {
            path.is_file()
                && std::fs::read_to_string(path)
                    .unwrap()
                    .contains("\npub static RULE: ")
        };
        assert_eq!(paths.filter(declares_rule).count(), RULES.len());
    }

    /// With UPDATE=1 the page is written again. The text before the table is not changed.
    #[test]
    fn warnings_page_is_made_from_the_rules() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/warnings.md");
        let committed = std::fs::read_to_string(file).unwrap();
        let (introduction, _) = committed.split_once(TABLE).unwrap();
        let page = format!("{introduction}{}", documentation());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, page).unwrap();
        } else {
            assert!(
                committed == page,
                "docs/warnings.md is out of date: UPDATE=1 cargo test warnings_page"
            );
        }
    }
}
