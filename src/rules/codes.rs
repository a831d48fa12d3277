//! The stable names of the warnings: one table, from which messages, `--allow` and the docs speak.
//!
//! A new warning is a line here, a section in docs/warnings.md, and the place that gives it.

/// What a warning is called, and who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The stable name (`VNP101`).
    pub name: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Who is told.
    pub audience: Audience,
}

/// Who is told of a warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// Everybody: something that was written does not mean what its author thinks.
    #[default]
    Everyone,
    /// Who asks with `lint`: worth knowing, but as the defaults have it, or perhaps meant so.
    Reviewer,
}

/// A field of an older chart.
pub const DEPRECATED: &str = "VNP101";
/// Port 53 towards a DNS server that listens on 1053.
pub const DNS_PORT: &str = "VNP102";
/// CoreDNS can't reach its fallback.
pub const FALLBACK_DNS: &str = "VNP103";
/// Default excepts that are not inside a custom cidr.
pub const DEFAULT_EXCEPTS: &str = "VNP104";
/// Public egress includes the cloud's metadata service.
pub const METADATA_SERVICE: &str = "VNP105";
/// A rule without peers and ports.
pub const OPEN_RULE: &str = "VNP106";
/// Public egress for IPv4 or IPv6 alone.
pub const ONE_FAMILY: &str = "VNP107";
/// A rule that adds nothing.
pub const COVERED_RULE: &str = "VNP108";
/// A disabled config while policies of ours are in the stream.
pub const DISABLED: &str = "VNP109";
/// The label of a project without a value.
pub const EMPTY_PROJECT: &str = "VNP110";
/// A chart newer than the newest known, or an unknown field in the values of one.
pub const NEWER_CHART: &str = "VNP111";
/// A CIDR that Kubernetes 1.36 refuses, or would write in another way.
pub const LEGACY_CIDR: &str = "VNP112";
/// Workloads that run in another namespace than the control plane.
pub const TARGET_NAMESPACE: &str = "VNP113";
/// A config that does not say whether the policies are enabled.
pub const NOT_ENABLED: &str = "VNP114";
/// An option that has no effect on this stream.
pub const NO_EFFECT: &str = "VNP115";
/// A Secret that looks like a vCluster's but lacks its labels.
pub const UNLABELLED_SECRET: &str = "VNP116";
/// A policy that does not say what it is.
pub const MISSING_KIND: &str = "VNP117";
/// An annotation that disables what the Secret's config enables.
pub const ANNOTATION_DISABLES: &str = "VNP118";
/// An annotation that opens more than the Secret's config.
pub const ANNOTATION_WIDENS: &str = "VNP119";
/// Default excepts that a null has removed.
pub const NO_EXCEPTS: &str = "VNP120";
/// An annotation that makes hooks of the policies in Argo CD.
pub const ARGO_CD_HOOK: &str = "VNP121";

/// All of them, in order.
pub static ALL: &[Code] = &[
    everyone(DEPRECATED, "deprecated field"),
    everyone(DNS_PORT, "port 53 towards a DNS server on port 1053"),
    everyone(FALLBACK_DNS, "fallbackDns out of reach"),
    everyone(DEFAULT_EXCEPTS, "default excepts outside of the cidr"),
    reviewer(METADATA_SERVICE, "cloud metadata service within reach"),
    everyone(OPEN_RULE, "rule open to everything"),
    reviewer(ONE_FAMILY, "public egress for one IP family"),
    reviewer(COVERED_RULE, "rule covered by a wider one"),
    everyone(DISABLED, "disabled, but policies are there"),
    everyone(EMPTY_PROJECT, "project label without a project"),
    everyone(NEWER_CHART, "chart newer than the newest known"),
    everyone(LEGACY_CIDR, "old spelling of a CIDR"),
    everyone(TARGET_NAMESPACE, "workloads in another namespace"),
    everyone(NOT_ENABLED, "config without enabled"),
    everyone(NO_EFFECT, "option without effect"),
    everyone(UNLABELLED_SECRET, "Secret without vCluster's labels"),
    everyone(MISSING_KIND, "policy without apiVersion or kind"),
    everyone(
        ANNOTATION_DISABLES,
        "annotation that disables the Secret's config",
    ),
    everyone(
        ANNOTATION_WIDENS,
        "annotation that opens more than the Secret's config",
    ),
    everyone(NO_EXCEPTS, "default excepts removed by a null"),
    everyone(ARGO_CD_HOOK, "annotation that makes hooks in Argo CD"),
];

const fn everyone(name: &'static str, title: &'static str) -> Code {
    Code {
        name,
        title,
        audience: Audience::Everyone,
    }
}

const fn reviewer(name: &'static str, title: &'static str) -> Code {
    Code {
        name,
        title,
        audience: Audience::Reviewer,
    }
}

/// The code of that name, in any case of letters.
#[must_use]
pub fn find(name: &str) -> Option<&'static Code> {
    ALL.iter().find(|code| code.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_order() {
        let names: Vec<&str> = ALL.iter().map(|c| c.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        assert_eq!(find("vnp101").map(|c| c.name), Some(DEPRECATED));
    }

    #[test]
    fn every_warning_is_documented() {
        let docs = include_str!("../../docs/warnings.md");
        for code in ALL {
            let section = format!("\n## {}\n", code.name);
            assert_eq!(docs.matches(&section).count(), 1, "{}", code.name);
            let row = format!(
                "| [{0}](#{1}) | {2} |",
                code.name,
                code.name.to_lowercase(),
                code.title
            );
            assert!(docs.contains(&row), "{row}");
        }
    }
}
