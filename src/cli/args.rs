//! The flags that several commands share, each defined once.
//!
//! A command flattens the groups that it takes. What a flag means is decided where the group is
//! read, so that `lint` and `explain` see the same policies as the filter.

use std::env::VarError;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueHint;
use clap::builder::{PossibleValue, TypedValueParser};

use crate::filter::Options;
use crate::rules::{self, Audience};
use crate::vcluster::config::document::MAX_BYTES;
use crate::vcluster::edition::Edition;
use crate::vcluster::sources::{ConfigFile, Overrides};
use manifest::escape;
use netpol::validate::CidrRule;

/// The files of `--config`.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(super) struct ConfigFiles {
    /// Take the config from FILE: values, a networkPolicy object, or a VirtualClusterTemplate
    ///
    /// It applies to every virtual cluster of the input, or only to the one that --release names.
    /// Several files are merged left to right, as Helm merges values.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Vec<PathBuf>,
}

/// The virtual cluster that is meant.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(super) struct Release {
    /// The Helm release, if the input does not name it
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub(super) release: Option<String>,
    /// The namespace of the release [default: as in the input]
    #[arg(long, value_name = "NAMESPACE", value_hint = ValueHint::Other)]
    pub(super) namespace: Option<String>,
}

/// Which policies are made, and what is said about them.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub(super) struct Policies {
    #[command(flatten)]
    pub(super) release: Release,
    /// The edition of the policies, or a chart version [default: that of the chart]
    #[arg(
        long,
        value_name = "EDITION",
        value_parser = EditionParser,
        hide_possible_values = true
    )]
    pub(super) edition: Option<Edition>,
    /// Generate vc-kube-dns-NAME and vc-snapshot-NAME if the chart did not
    #[arg(long)]
    pub(super) companions: bool,
    /// The project that replaces {{ .Values.loft.project }} in the config's labels
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Other)]
    pub(super) project: Option<String>,
    /// The label by which host namespaces name their project [default:
    /// loft.sh/vcluster-instance-project]
    #[arg(long, value_name = "LABEL", value_hint = ValueHint::Other)]
    pub(super) project_namespace_label: Option<String>,
    /// The Kubernetes version of the cluster: from 1.36 on it rejects unusual spellings of CIDRs
    #[arg(
        long,
        value_name = "VERSION",
        env = "KUBE_VERSION",
        value_hint = ValueHint::Other
    )]
    pub(super) kube_version: Option<CidrRule>,
    /// Treat warnings as errors
    #[arg(long)]
    pub(super) strict: bool,
    /// Suppress the warning CODE, such as VNP105; may be repeated
    #[arg(
        long,
        value_name = "CODE",
        value_delimiter = ',',
        value_parser = CodeParser,
        hide_possible_values = true
    )]
    pub(super) allow: Vec<String>,
}

impl ConfigFiles {
    /// Reads the files.
    pub(super) fn read(&self) -> anyhow::Result<Vec<ConfigFile>> {
        let read = |path: &PathBuf| {
            Ok(ConfigFile {
                name: path.display().to_string(),
                text: read_config(path)?,
            })
        };
        self.config.iter().map(read).collect()
    }
}

impl Policies {
    /// The options of the filter that say the same, with what the environment says of the release.
    pub(super) fn options(&self, files: Vec<ConfigFile>) -> anyhow::Result<Options> {
        Ok(Options {
            overrides: Overrides {
                files,
                release: self.release.release.clone(),
                namespace: self.release.namespace.clone(),
                app_name: variable("ARGOCD_APP_NAME")?,
                fallback_namespace: namespace_in_environment()?,
            },
            edition: self.edition,
            companions: self.companions,
            project: self.project.clone(),
            project_namespace_label: self.project_namespace_label.clone(),
            strict: self.strict,
            allow: self.allow.clone(),
            cidr: self.kube_version.unwrap_or_default(),
            audience: Audience::Everyone,
            ..Options::default()
        })
    }
}

/// Reads `--edition`: an edition, which completions offer, or any chart version.
#[derive(Debug, Clone, Copy)]
struct EditionParser;

impl TypedValueParser for EditionParser {
    type Value = Edition;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Edition, clap::Error> {
        let parser = |text: &str| text.parse::<Edition>();
        TypedValueParser::parse_ref(&parser, command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            Edition::all().map(|edition| PossibleValue::new(edition.name)),
        ))
    }
}

/// Reads `--allow`: the code of a warning, in any case of letters.
#[derive(Debug, Clone, Copy)]
struct CodeParser;

impl TypedValueParser for CodeParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        let parser = |text: &str| code(text);
        TypedValueParser::parse_ref(&parser, command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            rules::RULES
                .iter()
                .map(|rule| PossibleValue::new(rule.code).help(rule.title)),
        ))
    }
}

/// The code of a warning, as the registry writes it.
fn code(text: &str) -> Result<String, String> {
    let text = text.trim();
    if let Some(rule) = rules::find(text) {
        return Ok(rule.code.to_owned());
    }
    let shown = escape::terminal(text);
    let codes = rules::RULES.iter().map(|rule| rule.code);
    let near = codes
        .map(|code| {
            (
                strsim::damerau_levenshtein(code, &text.to_uppercase()),
                code,
            )
        })
        .filter(|(distance, _)| *distance <= 1)
        .min();
    Err(match near {
        Some((_, code)) => format!("there is no warning {shown}; did you mean {code}?"),
        None => format!(
            "there is no warning {shown}; write a code such as VNP105, which stands in \
                         brackets before the warning; docs/warnings.md lists them"
        ),
    })
}

/// The note that a config is judged without a chart, so for an edition that nothing says.
pub(super) fn assumed_edition(edition: Edition) -> String {
    format!(
        "note: no chart is given: edition {edition}, the newest, is assumed; set another with \
         --edition"
    )
}

/// A variable of the environment, if it is set to something. One that can't be read is no variable
/// that is not set: the policies could go to another namespace.
pub(super) fn variable(name: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            bail!("the environment variable {name} is not UTF-8; correct it or unset it")
        }
    }
}

/// The namespace of the release, where nothing else says it.
fn namespace_in_environment() -> anyhow::Result<Option<String>> {
    match variable("ARGOCD_APP_NAMESPACE")? {
        Some(namespace) => Ok(Some(namespace)),
        None => variable("HELM_NAMESPACE"),
    }
}

/// Reads a config file, but not much more of it than a config may have.
fn read_config(path: &Path) -> anyhow::Result<String> {
    let limit = MAX_BYTES as u64 + 1;
    let unreadable = || format!("can't read the config {}", path.display());
    let file = std::fs::File::open(path).with_context(unreadable)?;
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .with_context(unreadable)?;
    if bytes.len() as u64 == limit {
        // Too large, which is said where the text is read; the cut may go through a character.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).with_context(|| format!("the config {} is not UTF-8", path.display()))
}
