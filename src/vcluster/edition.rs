//! The chart that rendered a stream, and the edition of the policies that goes with it.
//!
//! Reads chart labels (`vcluster-0.31.0`), nothing else. A new edition is a new row of
//! `EDITIONS`; what it does differently is read in [`crate::vcluster::policies`].

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use semver::{Prerelease, Version};

/// All editions, oldest first.
static EDITIONS: [EditionRow; 2] = [
    EditionRow {
        name: "0.31",
        // Charts before 0.31 have policies for egress only: the documented ones replace them.
        first_chart: Version::new(0, 0, 0),
        api_open_to_everyone: false,
        private_nodes_have_no_workload_policy: false,
        is_egress_only: false,
    },
    EditionRow {
        name: "0.33.2",
        first_chart: Version::new(0, 33, 2),
        api_open_to_everyone: true,
        private_nodes_have_no_workload_policy: true,
        is_egress_only: false,
    },
];

/// What the charts before 0.31 render themselves. No option takes it: the filter replaces these
/// policies.
static RENDERED_BEFORE: EditionRow = EditionRow {
    name: "before 0.31",
    first_chart: Version::new(0, 0, 0),
    api_open_to_everyone: false,
    private_nodes_have_no_workload_policy: false,
    is_egress_only: true,
};

/// The newest chart whose fields are known.
const NEWEST_KNOWN_CHART: &str = "0.37.0-rc.1";

/// The policies that the charts from one version on document and render.
#[derive(Debug, PartialEq, Eq)]
pub struct EditionRow {
    /// The name that `--edition` takes.
    pub name: &'static str,
    first_chart: Version,
    /// The first ingress rule of the control plane allows TCP 8443 from anywhere.
    pub api_open_to_everyone: bool,
    /// With `privateNodes.enabled` there are no policies for workloads and their DNS, which the
    /// host cluster does not run.
    pub private_nodes_have_no_workload_policy: bool,
    /// The policies are for egress only.
    pub is_egress_only: bool,
}

/// One of the editions; its differences are the fields of its [`EditionRow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition(&'static EditionRow);

impl Deref for Edition {
    type Target = EditionRow;

    fn deref(&self) -> &EditionRow {
        self.0
    }
}

impl Edition {
    /// As documented for chart 0.31: for every chart before the next edition, and for unknown ones.
    #[must_use]
    pub fn documented() -> Self {
        let [documented, ..] = &EDITIONS;
        Self(documented)
    }

    /// All editions, the oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        EDITIONS.iter().map(Self)
    }

    /// The newest: for a config alone, without the chart that it is for.
    #[must_use]
    pub fn newest() -> Self {
        let [.., newest] = &EDITIONS;
        Self(newest)
    }

    /// What a chart renders itself, to be compared: not what the filter makes of it.
    #[must_use]
    pub fn rendered_by(version: &ChartVersion) -> Self {
        if version.has_documented_policies() {
            Self::of(Some(version))
        } else {
            Self(&RENDERED_BEFORE)
        }
    }

    /// The edition for a chart; an unknown chart gets the documented one.
    #[must_use]
    pub fn of(version: Option<&ChartVersion>) -> Self {
        let release = version.map(ChartVersion::release);
        let row = release.and_then(|release| {
            let mut newest_first = EDITIONS.iter().rev();
            newest_first.find(|row| row.first_chart <= release)
        });
        row.map_or_else(Self::documented, Self)
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Edition {
    type Err = String;

    /// An edition by its name, or by the version of any chart that it is for.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(row) = EDITIONS.iter().find(|row| row.name == text) {
            return Ok(Self(row));
        }
        let Some(version) = ChartVersion::parse(text) else {
            let names: Vec<&str> = EDITIONS.iter().map(|row| row.name).collect();
            return Err(format!(
                "the editions are {}; any chart version will do, such as 0.36.1",
                names.join(" and ")
            ));
        };
        Ok(Self::of(Some(&version)))
    }
}

/// The version of a chart, without its build metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartVersion(Version);

impl ChartVersion {
    /// The version behind the last `-` of a chart label that begins one; a dependency's alias can
    /// stand before it (`tenant-a-0.31.0`).
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        label
            .rmatch_indices('-')
            .map(|(i, _)| i + 1)
            .find_map(|i| Self::parse(label.get(i..)?))
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        // Build metadata: the chart writes `_` for the `+` that a label can't hold.
        let text = text.split(['+', '_', '@']).next()?;
        let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = numbers.split('.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u64>().ok()).flatten()
        });
        let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() {
            return None;
        }
        // A pre-release that is none (`rc.01`) counts as the release.
        let pre = Prerelease::new(pre).unwrap_or(Prerelease::EMPTY);
        Some(Self(Version {
            pre,
            ..Version::new(major, minor, patch)
        }))
    }

    /// The version that a person writes: the patch may be missing.
    ///
    /// # Errors
    /// With what to write instead.
    pub fn from_option(text: &str) -> Result<Self, String> {
        let with_patch = || Self::parse(&format!("{text}.0"));
        Self::parse(text)
            .or_else(with_patch)
            .ok_or_else(|| "write the version of a chart, such as 0.30 or 0.36.1".to_owned())
    }

    /// The version without its pre-release: a candidate has what its release will have.
    fn release(&self) -> Version {
        Version::new(self.0.major, self.0.minor, self.0.patch)
    }

    /// Whether the chart is newer than the newest whose fields are known.
    #[must_use]
    pub fn is_newer_than_known(&self) -> bool {
        Version::parse(NEWEST_KNOWN_CHART).is_ok_and(|known| self.0 > known)
    }

    /// Whether the chart has the documented config and all four policies (charts since 0.31).
    #[must_use]
    pub fn has_documented_policies(&self) -> bool {
        self.release() >= Version::new(0, 31, 0)
    }

    /// Whether the chart can put the workloads into another namespace
    /// (`experimental.syncSettings.targetNamespace`, charts 0.20 to 0.28).
    #[must_use]
    pub fn has_target_namespace(&self) -> bool {
        self.release() < Version::new(0, 29, 0)
    }
}

impl fmt::Display for ChartVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A chart label as a label value may be: 63 characters, `+` and `@` as `_`, no separator at the
/// ends. `None` where nothing is left.
#[must_use]
pub fn clean_label(label: &str) -> Option<String> {
    let clean: String = label
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
            _ => '_',
        })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(63)
        .collect();
    let clean = clean.trim_end_matches(['-', '_', '.']);
    (!clean.is_empty()).then(|| clean.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edition_follows_the_version_in_the_label() {
        for (label, edition) in [
            ("vcluster-0.31.0", "0.31"),
            ("vcluster-0.33.1", "0.31"),
            ("vcluster-0.33.2", "0.33.2"),
            ("vcluster-0.33.2-rc.1", "0.33.2"),
            ("vcluster-0.37.0-rc.1", "0.33.2"),
            ("vcluster-v0.34.0", "0.33.2"),
            ("tenant-1-0.34.0", "0.33.2"),
            ("vcluster-0.31.0_sha.0-34-0", "0.31"),
            ("vcluster-1.0.0", "0.33.2"),
            ("vcluster-0.20.4", "0.31"),
            ("vcluster", "0.31"),
            ("vcluster-0.33.2-rc.01_x", "0.33.2"),
            ("vcluster-0.33.02", "0.33.2"),
            ("vcluster-99999999999999999999999.0.0", "0.31"),
        ] {
            let version = ChartVersion::of_label(label);
            assert_eq!(Edition::of(version.as_ref()).name, edition, "{label}");
        }
    }

    #[test]
    fn an_edition_is_found_by_its_name_and_by_every_chart_version() {
        for (text, edition) in [
            ("0.31", "0.31"),
            ("0.33.2", "0.33.2"),
            ("0.33.1", "0.31"),
            ("0.19.5", "0.31"),
            ("0.36.1", "0.33.2"),
            ("v0.36.1", "0.33.2"),
            ("0.37.0-rc.1", "0.33.2"),
        ] {
            assert_eq!(text.parse::<Edition>().unwrap().name, edition, "{text}");
        }
        for text in ["", "0.36", "latest", "vcluster-0.36.1", "0.36.x"] {
            let error = text.parse::<Edition>().unwrap_err();
            assert!(error.contains("0.31 and 0.33.2"), "{error}");
        }
    }

    #[test]
    fn the_editions_stand_in_the_order_of_their_charts() {
        assert!(EDITIONS.is_sorted_by(|a, b| a.first_chart < b.first_chart));
        let [oldest, ..] = &EDITIONS;
        assert_eq!(oldest.first_chart, Version::new(0, 0, 0));
    }

    #[test]
    fn what_is_newer_than_known() {
        let newer = |v: &str| {
            ChartVersion::of_label(&format!("x-{v}"))
                .unwrap()
                .is_newer_than_known()
        };
        for known in ["0.31.0", "0.36.9", "0.37.0-rc.1", "0.37.0-alpha.3"] {
            assert!(!newer(known), "{known}");
        }
        for unknown in ["0.37.0-rc.2", "0.37.0", "0.37.1", "0.38.0-alpha.1", "1.0.0"] {
            assert!(newer(unknown), "{unknown}");
        }
    }

    #[test]
    fn labels_are_made_valid() {
        assert_eq!(
            clean_label("vcluster-0.31.0+build@x").as_deref(),
            Some("vcluster-0.31.0_build_x")
        );
        let long = format!("vcluster-0.31.0-{}.", "a".repeat(46));
        assert_eq!(clean_label(&long).unwrap().len(), 62);
        assert_eq!(clean_label("-._"), None);
    }
}
