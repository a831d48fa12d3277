//! The chart that rendered a stream, and the edition of the policies that goes with it.
//!
//! Reads chart labels (`vcluster-0.31.0`), nothing else. A new edition is a new variant here and
//! its differences in [`crate::vcluster::policies`].

use std::fmt;

/// The shape of the policies: what the chart of a version documents and renders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edition {
    /// As documented for chart 0.31; for every chart up to 0.33.1 and for unknown ones.
    V0_31,
    /// For chart 0.33.2 and later: the API of the virtual cluster is reachable from anywhere, and
    /// with private nodes there is no policy for workloads.
    V0_33_2,
}

impl Edition {
    /// All of them, oldest first.
    pub const ALL: [Self; 2] = [Self::V0_31, Self::V0_33_2];

    /// The name that `--edition` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V0_31 => "0.31",
            Self::V0_33_2 => "0.33.2",
        }
    }

    /// The edition for a chart; an unknown chart gets the documented one.
    #[must_use]
    pub fn of(version: Option<&ChartVersion>) -> Self {
        match version {
            Some(v) if v.release() >= (0, 33, 2) => Self::V0_33_2,
            _ => Self::V0_31,
        }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The version of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartVersion {
    major: u64,
    minor: u64,
    patch: u64,
    /// `rc.1`, without the dash; empty for a release.
    pre: String,
}

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
        parts.next().is_none().then(|| Self {
            major,
            minor,
            patch,
            pre: pre.to_owned(),
        })
    }

    /// The version without its pre-release: a candidate has what its release will have.
    #[must_use]
    pub fn release(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }

    /// Whether the chart is newer than 0.37.0-rc.1, the newest whose fields are known.
    #[must_use]
    pub fn is_newer_than_known(&self) -> bool {
        match self.release() {
            (0, 37, 0) => !matches!(self.pre.as_str(), "rc.1") && !self.is_early_pre_release(),
            release => release > (0, 37, 0),
        }
    }

    /// Whether it comes before the first release candidate (`alpha.1`, `beta.2`, `next.3`).
    fn is_early_pre_release(&self) -> bool {
        !self.pre.is_empty() && !self.pre.starts_with("rc")
    }

    /// Whether the chart can put the workloads into another namespace
    /// (`experimental.syncSettings.targetNamespace`, charts 0.20 to 0.28).
    #[must_use]
    pub fn has_target_namespace(&self) -> bool {
        self.release() < (0, 29, 0)
    }
}

impl fmt::Display for ChartVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        Ok(())
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
            ("vcluster-0.31.0", Edition::V0_31),
            ("vcluster-0.33.1", Edition::V0_31),
            ("vcluster-0.33.2", Edition::V0_33_2),
            ("vcluster-0.33.2-rc.1", Edition::V0_33_2),
            ("vcluster-0.37.0-rc.1", Edition::V0_33_2),
            ("vcluster-v0.34.0", Edition::V0_33_2),
            ("tenant-1-0.34.0", Edition::V0_33_2),
            ("vcluster-0.31.0_sha.0-34-0", Edition::V0_31),
            ("vcluster-1.0.0", Edition::V0_33_2),
            ("vcluster-0.20.4", Edition::V0_31),
            ("vcluster", Edition::V0_31),
            ("vcluster-99999999999999999999999.0.0", Edition::V0_31),
        ] {
            let version = ChartVersion::of_label(label);
            assert_eq!(Edition::of(version.as_ref()), edition, "{label}");
        }
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
