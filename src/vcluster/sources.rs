//! The virtual clusters of a stream, each with the config that is valid for it.
//!
//! A file given with `--config` wins over an annotation, and an annotation over the Secret. Which
//! object belongs to which virtual cluster is decided in [`super::ownership`], and what a config
//! means in [`super::config::settings`].

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use serde_json::Value;

use super::ownership::{Draft, Ownership, ReleaseObjects, says_nothing, two_configs};
use super::running::{self, Running};
use crate::filter::helm;
use crate::filter::index::{Index, IndexedObject as Object, SecretConfig};
use crate::filter::prefilter::ANNOTATION;
use crate::rules::newer_chart;
use crate::vcluster::config::document::{ConfigDocument, ConfigText, Forms};
use crate::vcluster::edition::ChartVersion;
use manifest::diagnostic::{Diagnostic, Location, Quoting, Sink};
use manifest::schema::{Origin, Unknown};

/// What the user says beside the stream.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The files given with `--config`, in order.
    pub files: Vec<ConfigFile>,
    /// `--release`.
    pub release: Option<String>,
    /// `--namespace`.
    pub namespace: Option<String>,
    /// `ARGOCD_APP_NAME`.
    pub app_name: Option<String>,
    /// `ARGOCD_APP_NAMESPACE`, else `HELM_NAMESPACE`.
    pub fallback_namespace: Option<String>,
}

impl Overrides {
    /// The namespace of objects that state none, if anything says it.
    #[must_use]
    pub fn default_namespace(&self) -> Option<&str> {
        let told = self.namespace.as_deref();
        told.or(self.fallback_namespace.as_deref())
    }

    /// The namespace that is told, or the only one of those that are stated; empty where nothing
    /// says it.
    pub(crate) fn namespace_or_sole<'n>(
        &self,
        mut stated: impl Iterator<Item = &'n String>,
    ) -> String {
        let first = stated.next();
        let sole = first.filter(|first| stated.all(|other| other == *first));
        (self.namespace.as_ref())
            .or(sole)
            .or(self.fallback_namespace.as_ref())
            .cloned()
            .unwrap_or_default()
    }
}

/// A config file.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The name, as the user gave it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What kind of text a config was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Files that the user gave.
    Files,
    /// An annotation, or an object that could have had one.
    Annotation,
    /// The chart's Secret.
    Secret,
}

/// The virtual clusters of a stream.
#[derive(Debug)]
pub struct VirtualClusters {
    /// Those that a Secret, an annotation or a file speaks of. Some have no config in it.
    pub found: Vec<VirtualCluster>,
    /// Those that only run.
    pub running: Vec<Running>,
}

/// A virtual cluster with its config.
#[derive(Debug)]
pub struct VirtualCluster {
    /// The Helm release.
    pub name: String,
    /// The namespace of its policies, if anything says.
    pub namespace: Option<String>,
    /// The namespace that the stream says, where an option says another.
    pub stream_namespace: Option<String>,
    /// Whether no other virtual cluster of the stream has its name.
    pub has_name_alone: bool,
    /// The label `chart`, as it stands.
    pub chart: Option<String>,
    /// The label `heritage`.
    pub heritage: Option<String>,
    /// The template that rendered the carrier.
    pub template: Option<String>,
    /// Whether the stream is Helm 4's.
    pub helm4: bool,
    /// What the config was read from, in words: `the Secret vc-config-a`.
    pub source: String,
    /// What kind of text that is.
    pub origin: Source,
    /// The object that speaks of it first.
    pub place: Location,
    /// The config, most general first; later ones lie over earlier ones.
    pub documents: Vec<ConfigDocument>,
    /// The config of the Secret, where an annotation says another.
    pub overridden: Option<ConfigDocument>,
    /// All values: those of the Secret, or else those that were given as config.
    pub values: Option<Value>,
}

impl VirtualCluster {
    /// The version of its chart.
    #[must_use]
    pub fn chart_version(&self) -> Option<ChartVersion> {
        self.chart.as_deref().and_then(ChartVersion::of_label)
    }

    /// A value of the Secret.
    #[must_use]
    pub fn value(&self, path: &str) -> Option<&Value> {
        self.values.as_ref()?.pointer(path)
    }

    /// A boolean of the Secret.
    #[must_use]
    pub fn flag(&self, path: &str) -> Option<bool> {
        self.value(path)?.as_bool()
    }

    /// A string of the Secret that is not empty.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.value(path)?.as_str().filter(|s| !s.is_empty())
    }

    /// The virtual cluster in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("virtual cluster {namespace}/{}", self.name),
            None => format!("virtual cluster {}", self.name),
        }
    }
}

/// The virtual clusters of a stream, with their configs. A virtual cluster is the subject of
/// diagnostics by its position among those that are found.
///
/// `None` where the objects of the stream contradict each other, so nothing more can be told. A
/// config that can't be read is an error in the sink, and its virtual cluster is left out.
pub fn virtual_clusters(
    index: &Index,
    overrides: &Overrides,
    stream: &[u8],
    sink: &mut Sink,
) -> Option<VirtualClusters> {
    let release_objects = ReleaseObjects::of(index, stream);
    let mut ownership = Ownership::new(index, overrides, stream);
    let drafts = ownership.drafts(&release_objects);
    let is_clear = !ownership.errors.has_errors();
    sink.extend(None, ownership.errors);
    let mut clusters = Vec::new();
    for draft in &drafts {
        match finish(draft, overrides, stream) {
            Ok(cluster) => clusters.push(cluster),
            Err(found) => sink.extend(None, found),
        }
    }
    for (name, warning) in ownership.warnings {
        let of_name = |cluster: &VirtualCluster| cluster.name == name;
        sink.push(clusters.iter().position(of_name), warning);
    }
    if !is_clear {
        return None;
    }
    let mut names: HashMap<String, usize> = HashMap::new();
    for cluster in &clusters {
        *names.entry(cluster.name.clone()).or_default() += 1;
    }
    let helm4 = !clusters.is_empty() && helm::is_helm4(stream);
    for cluster in &mut clusters {
        cluster.helm4 = helm4;
        cluster.has_name_alone = names.get(&cluster.name) == Some(&1);
    }
    Some(VirtualClusters {
        found: clusters,
        running: running::without_config(&drafts, &release_objects, overrides, stream),
    })
}

/// The place of an annotation's text, where the object has one.
pub(super) fn object_place(object: &Object, stream: &[u8]) -> Location {
    Location {
        part: object
            .config_annotation()
            .map(|_| format!("annotation {ANNOTATION}")),
        ..object.place(stream)
    }
}

/// The config of one virtual cluster; the fields are those of [`VirtualCluster`].
struct Config {
    documents: Vec<ConfigDocument>,
    source: String,
    origin: Source,
    overridden: Option<ConfigDocument>,
    values: Option<Value>,
}

impl Config {
    /// Reads the files that were given, the annotations and the Secret.
    fn read(
        draft: &Draft<'_>,
        version: Option<&ChartVersion>,
        overrides: &Overrides,
        stream: &[u8],
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let secret = draft.secret.and_then(|object| {
            read_secret(object, version, stream).unwrap_or_else(|problem| {
                errors.push(problem);
                None
            })
        });
        let annotation = read_annotations(&draft.annotated, stream).unwrap_or_else(|problems| {
            errors.extend(problems);
            None
        });
        let files = if overrides.release.as_ref().is_none_or(|r| *r == draft.name) {
            read_files(&overrides.files, &mut errors)
        } else {
            Vec::new()
        };
        let values_of_secret = secret.as_ref().and_then(|s| s.values.clone());
        let secret = secret.filter(|s| s.network_policy.is_some());
        let mut config = if files.is_empty() {
            Self::of_stream(draft, annotation, secret)
        } else {
            let names: Vec<&str> = overrides.files.iter().map(|f| f.name.as_str()).collect();
            Self {
                documents: files,
                source: names.join(", "),
                origin: Source::Files,
                overridden: None,
                values: None,
            }
        };
        // Without a Secret, values that were given as config say the rest too.
        config.values = values_of_secret.or_else(|| {
            let given = config.documents.iter().filter_map(|d| d.values.clone());
            given.reduce(crate::vcluster::config::settings::merge)
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(config)
    }

    /// The config that the stream has: an annotation, or else the Secret.
    fn of_stream(
        draft: &Draft<'_>,
        annotation: Option<Annotation<'_>>,
        secret: Option<ConfigDocument>,
    ) -> Self {
        if let Some((document, object)) = annotation {
            let name = object.name.as_deref().unwrap_or_default();
            return Self {
                documents: vec![document],
                source: format!("the annotation of {} {name}", object.kind),
                origin: Source::Annotation,
                overridden: secret,
                values: None,
            };
        }
        Self {
            documents: secret.into_iter().collect(),
            source: format!("the Secret vc-config-{}", draft.name),
            origin: match draft.secret {
                Some(_) => Source::Secret,
                None => Source::Annotation,
            },
            overridden: None,
            values: None,
        }
    }
}

/// Reads the config of one virtual cluster.
fn finish(
    draft: &Draft<'_>,
    overrides: &Overrides,
    stream: &[u8],
) -> Result<VirtualCluster, Vec<Diagnostic>> {
    let chart = draft.label("chart").map(str::to_owned);
    let heritage = draft.label("heritage").map(str::to_owned);
    let version = chart.as_deref().and_then(ChartVersion::of_label);
    let config = Config::read(draft, version.as_ref(), overrides, stream)?;
    let stream_namespace = draft.namespace.clone();
    let cluster = VirtualCluster {
        name: draft.name.clone(),
        namespace: overrides
            .namespace
            .clone()
            .or_else(|| stream_namespace.clone())
            .or_else(|| overrides.fallback_namespace.clone()),
        stream_namespace,
        has_name_alone: true,
        helm4: false,
        chart,
        heritage,
        template: draft.objects().find_map(|o| o.location.template.clone()),
        source: config.source,
        origin: config.origin,
        place: draft
            .objects()
            .next()
            .map(|object| object_place(object, stream))
            .unwrap_or_default(),
        documents: config.documents,
        overridden: config.overridden,
        values: config.values,
    };
    Ok(cluster)
}

fn read_secret(
    object: &Object,
    version: Option<&ChartVersion>,
    stream: &[u8],
) -> Result<Option<ConfigDocument>, Diagnostic> {
    let mut place = object.place(stream);
    let text = match &object.secret {
        None => return Ok(None),
        Some(SecretConfig::Missing) => {
            let help = "the vCluster chart puts all values there; has the Secret been edited?";
            return Err(
                Diagnostic::error("the Secret has no text under config.yaml")
                    .help(help)
                    .at(place),
            );
        }
        Some(SecretConfig::StringData(text)) => {
            place.part = Some("stringData[\"config.yaml\"]".to_owned());
            text.clone()
        }
        Some(SecretConfig::Data(packed)) => {
            place.part = Some("data[\"config.yaml\"]".to_owned());
            decode(packed).map_err(|message| {
                Diagnostic::error(message)
                    .help("encode it again, for example with `base64 config.yaml`")
                    .at(place.clone())
            })?
        }
    };
    let config = ConfigText {
        text,
        origin: Origin {
            place,
            quoting: Quoting::Hide,
        },
        unknown: if version.is_some_and(ChartVersion::is_newer_than_known) {
            Unknown::Warn(newer_chart::RULE.code)
        } else {
            Unknown::Refuse
        },
    };
    let mut document = ConfigDocument::read(&config, Forms::Values)?;
    // Charts before 0.31 have no such field.
    if version.is_none_or(ChartVersion::has_documented_policies) {
        document.take_missing_as_null();
    }
    Ok(Some(document))
}

/// Decodes base64, line breaks and all, without saying anything of what is in it.
fn decode(packed: &str) -> Result<String, String> {
    let packed: String = packed.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|e| match e {
            base64::DecodeError::InvalidByte(at, _) => {
                format!(
                    "the value is not base64: character {} does not belong there",
                    at + 1
                )
            }
            base64::DecodeError::InvalidLength(length) => {
                format!("the value is not base64: it ends too early, after {length} characters")
            }
            _ => "the value is not base64: it ends wrongly".to_owned(),
        })?;
    String::from_utf8(bytes).map_err(|_| "the value is base64, but not of UTF-8 text".to_owned())
}

type Annotation<'i> = (ConfigDocument, &'i Object);

/// The config of the annotations of one virtual cluster: they must all say the same.
fn read_annotations<'i>(
    objects: &[&'i Object],
    stream: &[u8],
) -> Result<Option<Annotation<'i>>, Vec<Diagnostic>> {
    let mut first: Option<(Annotation<'i>, &str)> = None;
    let mut errors = Vec::new();
    for object in objects {
        let text = object.config_annotation().unwrap_or_default();
        if says_nothing(text) {
            continue;
        }
        if first.as_ref().is_some_and(|(_, known)| *known == text) {
            continue;
        }
        let config = ConfigText {
            text: text.to_owned(),
            origin: Origin {
                place: object_place(object, stream),
                quoting: Quoting::Show,
            },
            unknown: Unknown::Refuse,
        };
        match ConfigDocument::read(&config, Forms::Any) {
            Ok(document) => match &first {
                None => first = Some(((document, *object), text)),
                Some(((known, other), _)) => {
                    let says =
                        |d: &ConfigDocument| d.network_policy.as_ref().map(|(v, _)| v.clone());
                    if says(known) != says(&document) {
                        errors.push(two_configs(other, object, stream));
                    }
                }
            },
            Err(problem) => errors.push(problem),
        }
    }
    if errors.is_empty() {
        Ok(first.map(|(annotation, _)| annotation))
    } else {
        Err(errors)
    }
}

fn read_files(files: &[ConfigFile], errors: &mut Vec<Diagnostic>) -> Vec<ConfigDocument> {
    let mut documents = Vec::new();
    let text_of = |file: &ConfigFile| ConfigText {
        text: file.text.clone(),
        origin: Origin {
            place: Location {
                object: Some(file.name.clone()),
                ..Location::default()
            },
            quoting: Quoting::Show,
        },
        unknown: Unknown::Refuse,
    };
    let found = errors.len();
    for file in files {
        match ConfigDocument::read(&text_of(file), Forms::Overlay) {
            Ok(document) => documents.push(document),
            Err(problem) => errors.push(problem),
        }
    }
    // One of them may say nothing of it, but not all.
    let silent = documents.iter().all(|d| d.network_policy.is_none());
    if let Some(last) = files.last().filter(|_| silent && errors.len() == found) {
        errors.extend(ConfigDocument::read(&text_of(last), Forms::Any).err());
    }
    documents
}

/// The labels of a map that are not empty, for annotations that merge as the chart merges them.
#[must_use]
pub fn strings(value: Option<&Value>) -> BTreeMap<String, String> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(k, v)| {
            let text = match v {
                Value::String(s) => s.clone(),
                Value::Null => return None,
                other => other.to_string(),
            };
            Some((k.clone(), text))
        })
        .collect()
}
