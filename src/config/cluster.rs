//! Which virtual clusters a stream holds, and which config belongs to which.
//!
//! The Secrets `vc-config-NAME` name them; an annotation belongs to the one that its object points
//! to; a file holds for all, or for the one that is named. Knows objects, not bytes, and leaves the
//! meaning of a config to [`super::settings`].

use std::cell::OnceCell;
use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::Value;

use super::document::{ConfigDocument, ConfigText, Forms};
use crate::edition::ChartVersion;
use crate::index::needle::ANNOTATION;
use crate::index::{Index, Object, SecretConfig};
use crate::report::{Place, Problem, Quoting, Report, code};
use crate::shape::{Origin, Unknown};

/// What the user says beside the stream.
#[derive(Debug, Clone, Default)]
pub struct Said {
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

/// A config file.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The name, as the user gave it.
    pub name: String,
    /// What is in it.
    pub text: String,
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
    /// The config, most general first; later ones lie over earlier ones.
    pub documents: Vec<ConfigDocument>,
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

/// A virtual cluster while its carriers are being gathered.
#[derive(Debug)]
struct Draft<'i> {
    name: String,
    secret: Option<&'i Object>,
    annotated: Vec<&'i Object>,
    /// Other objects of the release, where the carriers leave something open.
    relatives: Vec<&'i Object>,
}

impl<'i> Draft<'i> {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            secret: None,
            annotated: Vec::new(),
            relatives: Vec::new(),
        }
    }

    fn namespace(&self) -> Option<&str> {
        // A Secret without a namespace says that the release's is meant.
        let relatives = self.relatives.iter().filter(|_| self.secret.is_none());
        self.carriers()
            .chain(relatives.copied())
            .find_map(|o| o.namespace.as_deref())
    }

    fn label(&self, key: &str) -> Option<String> {
        let all = self.secret.into_iter().chain(self.carriers());
        all.chain(self.relatives.iter().copied())
            .find_map(|o| o.labels.get(key).cloned())
    }

    /// Whether the carriers leave something open that other objects of the release may say.
    fn is_incomplete(&self) -> bool {
        self.label("chart").is_none()
            || self.label("heritage").is_none()
            || self.namespace().is_none()
    }

    /// Takes up the objects of the release.
    fn adopt(&mut self, relatives: &'i [Object]) {
        let namespace = self.namespace().map(str::to_owned);
        let near = |o: &&Object| {
            let here = namespace.is_none() || o.namespace.is_none() || o.namespace == namespace;
            here && o.labels.get("release") == Some(&self.name)
        };
        self.relatives = relatives.iter().filter(near).collect();
    }

    /// The objects that carry its config, the annotated ones first.
    fn carriers(&self) -> impl Iterator<Item = &Object> {
        self.annotated.iter().copied().chain(self.secret)
    }
}

/// The virtual clusters of a stream that have a config from anywhere, with warnings beside them.
///
/// # Errors
/// When a carrier cannot be read or assigned, or two carriers contradict each other; all at once.
pub fn virtual_clusters(
    index: &Index,
    said: &Said,
    stream: &[u8],
) -> Result<(Vec<VirtualCluster>, Report), Report> {
    let mut errors = Report::default();
    let mut warnings = Report::default();
    let relatives = OnceCell::new();
    let relatives = || -> &Vec<Object> { relatives.get_or_init(|| Index::relatives(stream)) };
    let mut drafts = drafts_of_secrets(index, said, stream, &mut errors, &mut warnings);
    assign_annotations(index, said, stream, &mut drafts, &mut errors);
    if !said.files.is_empty() && drafts.is_empty() {
        drafts = drafts_of_files(said, relatives());
        if drafts.is_empty() {
            errors.push(no_name(Place::default()));
        }
    }
    for draft in &mut drafts {
        if draft.is_incomplete() {
            draft.adopt(relatives());
        }
    }
    let mut clusters = Vec::new();
    for draft in &drafts {
        match finish(draft, said, stream) {
            Ok((cluster, found)) => {
                warnings.extend(found);
                clusters.push(cluster);
            }
            Err(found) => errors.extend(found),
        }
    }
    if errors.has_errors() {
        return Err(errors);
    }
    Ok((clusters, warnings))
}

/// The virtual clusters that files hold for, where no object carries a config: the one that is
/// named, or those that the stream's objects are of.
fn drafts_of_files<'i>(said: &Said, relatives: &'i [Object]) -> Vec<Draft<'i>> {
    if let Some(name) = said.release.as_ref().or(said.app_name.as_ref()) {
        return vec![Draft::new(name)];
    }
    let mut drafts: Vec<Draft<'i>> = Vec::new();
    for object in relatives {
        let Some(name) = object.labels.get("release") else {
            continue;
        };
        let known = |d: &&mut Draft<'i>| {
            d.name == *name
                && (d.namespace() == object.namespace.as_deref() || object.namespace.is_none())
        };
        match drafts.iter_mut().find(known) {
            Some(draft) => draft.relatives.push(object),
            None => drafts.push(Draft {
                relatives: vec![object],
                ..Draft::new(name)
            }),
        }
    }
    drafts
}

fn no_name(place: Place) -> Problem {
    Problem::error("nothing says which Helm release the config belongs to")
        .help("name it with --release NAME, or give the object the label release")
        .at(place)
}

fn drafts_of_secrets<'i>(
    index: &'i Index,
    said: &Said,
    stream: &[u8],
    errors: &mut Report,
    warnings: &mut Report,
) -> Vec<Draft<'i>> {
    let mut drafts: Vec<Draft<'i>> = Vec::new();
    for object in index.carriers().filter(|o| o.secret.is_some()) {
        let Some(name) = object
            .name
            .as_deref()
            .and_then(|n| n.strip_prefix("vc-config-"))
            .filter(|n| !n.is_empty())
        else {
            continue;
        };
        let label = |key: &str| object.labels.get(key).map(String::as_str);
        match (label("app"), label("release")) {
            (Some("vcluster"), Some(release)) if release == name => {}
            (Some("vcluster"), Some(_)) => {
                let message = "the Secret's name and its label release name two virtual clusters";
                let help = format!("the label release must be {name}");
                errors.push(Problem::error(message).help(help).at(object.place(stream)));
                continue;
            }
            _ => {
                let message = "the Secret is named like a vCluster's but lacks the labels \
                               app: vcluster and release, so it is not read";
                let warning = Problem::warning(code::UNLABELLED_SECRET, message).help(format!(
                    "label it app: vcluster and release: {name} if it is one"
                ));
                warnings.push(warning.at(object.place(stream)));
                continue;
            }
        }
        let same = |d: &&Draft<'_>| d.name == name && d.namespace() == object.namespace.as_deref();
        if let Some(first) = drafts.iter().find(same).and_then(|d| d.secret) {
            if first.secret != object.secret {
                errors.push(two_configs(first, object, stream));
            }
            continue;
        }
        drafts.push(Draft {
            secret: Some(object),
            ..Draft::new(name)
        });
    }
    if let Some(release) = &said.release
        && !drafts.is_empty()
        && !drafts.iter().any(|d| d.name == *release)
    {
        let names: Vec<&str> = drafts.iter().map(|d| d.name.as_str()).collect();
        let message = format!(
            "--release says {release}, but the stream holds the virtual cluster {}",
            names.join(", ")
        );
        errors.push(Problem::error(message).help("leave --release out, or correct it"));
    }
    drafts
}

fn two_configs(first: &Object, second: &Object, stream: &[u8]) -> Problem {
    let message = format!(
        "two different configs for one virtual cluster: here and in {} (document {})",
        first.describe(),
        first.seat.number
    );
    Problem::error(message)
        .help("leave one of them, or make them the same")
        .at(object_place(second, stream))
}

/// The place of an annotation's text, where the object has one.
fn object_place(object: &Object, stream: &[u8]) -> Place {
    Place {
        part: object
            .config_annotation()
            .map(|_| format!("annotation {ANNOTATION}")),
        ..object.place(stream)
    }
}

fn assign_annotations<'i>(
    index: &'i Index,
    said: &Said,
    stream: &[u8],
    drafts: &mut Vec<Draft<'i>>,
    errors: &mut Report,
) {
    let known = drafts.len();
    for object in index.carriers().filter(|o| o.config_annotation().is_some()) {
        let target = match owner(object, drafts, known, said) {
            Ok(target) => target,
            Err(problem) => {
                errors.push(problem.at(object_place(object, stream)));
                continue;
            }
        };
        match target {
            Owner::Known(i) => {
                if let Some(draft) = drafts.get_mut(i) {
                    draft.annotated.push(object);
                }
            }
            Owner::Named(name) => drafts.push(Draft {
                annotated: vec![object],
                ..Draft::new(&name)
            }),
        }
    }
}

enum Owner {
    Known(usize),
    Named(String),
}

/// The virtual cluster that an annotated object belongs to. The first `known` drafts have a Secret.
fn owner(
    object: &Object,
    drafts: &[Draft<'_>],
    known: usize,
    said: &Said,
) -> Result<Owner, Problem> {
    let label = |key: &str| object.labels.get(key).map(String::as_str);
    let near = |d: &Draft<'_>| match (d.namespace(), object.namespace.as_deref()) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    let find = |name: &str, among: &[Draft<'_>]| -> Result<Option<usize>, Problem> {
        let mut matching = among
            .iter()
            .enumerate()
            .filter(|(_, d)| d.name == name && near(d))
            .map(|(i, _)| i);
        match (matching.next(), matching.next()) {
            (Some(_), Some(_)) => {
                let message = format!(
                    "the virtual cluster {name} is in several namespaces, and nothing says to \
                     which of them the annotation belongs"
                );
                Err(Problem::error(message).help("give the object a metadata.namespace"))
            }
            (found, _) => Ok(found),
        }
    };
    let secrets = drafts.get(..known).unwrap_or_default();
    let release = label("release").filter(|r| !r.is_empty());
    let instance = label("app.kubernetes.io/instance").filter(|r| !r.is_empty());
    let own_name = object.name.as_deref().filter(|_| {
        matches!(
            object.kind.as_str(),
            "StatefulSet" | "Deployment" | "Service"
        )
    });
    if !secrets.is_empty() {
        let by_label = release.map_or(Ok(None), |r| find(r, secrets))?;
        // The name of anything else (a ServiceAccount vc-X) is not the virtual cluster's.
        let by_name = match (by_label, own_name, object.name.as_deref()) {
            (Some(_), own, _) => own.map_or(Ok(None), |n| find(n, secrets))?,
            (None, _, Some(name)) => owner_by_name(name, secrets, &find)?,
            (None, _, None) => None,
        };
        match (by_label, by_name) {
            (Some(a), Some(b)) if a != b => {
                let message = "the object's label release and its name point to two virtual \
                               clusters";
                let help = "give it the label release of the one that the config is for";
                return Err(Problem::error(message).help(help));
            }
            (Some(i), _) | (None, Some(i)) => return Ok(Owner::Known(i)),
            (None, None) => {}
        }
        if let Some(i) = instance.map_or(Ok(None), |r| find(r, secrets))? {
            return Ok(Owner::Known(i));
        }
        if let Some(other) = release.or(instance) {
            let names: Vec<&str> = secrets.iter().map(|d| d.name.as_str()).collect();
            let message = format!(
                "the object's labels say that it is of the release {other}, but the stream holds \
                 the virtual cluster {}",
                names.join(", ")
            );
            let help = "give it the label release of the one that the config is for";
            return Err(Problem::error(message).help(help));
        }
        // An object that points nowhere can only mean the only one that there is.
        let mut near = secrets.iter().enumerate().filter(|(_, d)| near(d));
        return match (near.next(), near.next()) {
            (Some((i, _)), None) => Ok(Owner::Known(i)),
            _ => Err(no_name(Place::default())),
        };
    }
    if let Some(named) = &said.release {
        if let Some(other) = release.or(instance).filter(|other| other != named) {
            let message = format!(
                "--release says {named}, but the object's labels say that it is of the release \
                 {other}"
            );
            return Err(Problem::error(message).help("leave --release out, or correct it"));
        }
        return Ok(find(named, drafts)?.map_or_else(|| Owner::Named(named.clone()), Owner::Known));
    }
    let Some(name) = release
        .or(instance)
        .or(own_name)
        .or(said.app_name.as_deref())
    else {
        return Err(no_name(Place::default()));
    };
    let stateful = object.kind == "StatefulSet" && label("app") == Some("vcluster");
    if let (true, Some(own)) = (stateful, own_name)
        && own != name
    {
        let message = format!(
            "the StatefulSet is named {own}, and its labels say that the release is {name}"
        );
        return Err(Problem::error(message).help("say which it is with --release NAME"));
    }
    let rest = drafts.get(known..).unwrap_or_default();
    Ok(find(name, rest)?.map_or_else(
        || Owner::Named(name.to_owned()),
        |i| Owner::Known(known + i),
    ))
}

/// The virtual cluster that an object's name points to: `X`, `X-headless`, `vc-X`, `vc-config-X`.
fn owner_by_name(
    name: &str,
    drafts: &[Draft<'_>],
    find: &impl Fn(&str, &[Draft<'_>]) -> Result<Option<usize>, Problem>,
) -> Result<Option<usize>, Problem> {
    let candidates = [
        Some(name),
        name.strip_suffix("-headless"),
        name.strip_prefix("vc-config-"),
        name.strip_prefix("vc-workload-"),
        name.strip_prefix("vc-"),
    ];
    for candidate in candidates.into_iter().flatten() {
        if let Some(found) = find(candidate, drafts)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Reads the config of one virtual cluster.
fn finish(
    draft: &Draft<'_>,
    said: &Said,
    stream: &[u8],
) -> Result<(VirtualCluster, Vec<Problem>), Vec<Problem>> {
    let chart = draft.label("chart");
    let heritage = draft.label("heritage");
    let newer = chart
        .as_deref()
        .and_then(ChartVersion::of_label)
        .is_some_and(|v| v.is_newer_than_known());
    let mut errors = Vec::new();
    let secret = match draft
        .secret
        .map(|o| read_secret(o, newer, stream))
        .transpose()
    {
        Ok(secret) => secret.flatten(),
        Err(problem) => {
            errors.push(problem);
            None
        }
    };
    let annotation = match read_annotations(&draft.annotated, stream) {
        Ok(annotation) => annotation,
        Err(problems) => {
            errors.extend(problems);
            None
        }
    };
    let files = if said.release.as_ref().is_none_or(|r| *r == draft.name) {
        read_files(&said.files, &mut errors)
    } else {
        Vec::new()
    };
    let values_of_secret = secret.as_ref().and_then(|s| s.values.clone());
    let (documents, source) = if !files.is_empty() {
        let names: Vec<&str> = said.files.iter().map(|f| f.name.as_str()).collect();
        (files, names.join(", "))
    } else if let Some((document, object)) = annotation {
        let source = format!(
            "the annotation of {} {}",
            object.kind,
            object.name.as_deref().unwrap_or_default()
        );
        (vec![document], source)
    } else {
        let source = format!("the Secret vc-config-{}", draft.name);
        (
            secret
                .into_iter()
                .filter(|s| s.network_policy.is_some())
                .collect(),
            source,
        )
    };
    // What is wrong with their shape is said together with what is wrong with their values.
    let warnings: Vec<Problem> = documents
        .iter()
        .flat_map(|document| &document.problems)
        .filter(|p| p.severity == crate::report::Severity::Warning)
        .cloned()
        .collect();
    // Without a Secret, values that were given as config say the rest too.
    let values = values_of_secret.or_else(|| {
        let given = documents.iter().filter_map(|d| d.values.clone());
        given.reduce(super::settings::merge)
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let stream_namespace = draft.namespace().map(str::to_owned);
    let cluster = VirtualCluster {
        name: draft.name.clone(),
        namespace: said
            .namespace
            .clone()
            .or_else(|| stream_namespace.clone())
            .or_else(|| said.fallback_namespace.clone()),
        stream_namespace,
        chart,
        heritage,
        template: draft
            .secret
            .into_iter()
            .chain(draft.carriers())
            .chain(draft.relatives.iter().copied())
            .find_map(|o| o.seat.template.clone()),
        helm4: draft
            .carriers()
            .chain(draft.relatives.iter().copied())
            .any(|o| o.seat.helm4),
        source,
        documents,
        values,
    };
    Ok((cluster, warnings))
}

fn read_secret(
    object: &Object,
    newer: bool,
    stream: &[u8],
) -> Result<Option<ConfigDocument>, Problem> {
    let mut place = object.place(stream);
    let text = match &object.secret {
        None => return Ok(None),
        Some(SecretConfig::Missing) => {
            let help = "the vCluster chart puts all values there; has the Secret been edited?";
            return Err(Problem::error("the Secret has no text under config.yaml")
                .help(help)
                .at(place));
        }
        Some(SecretConfig::StringData(text)) => {
            place.part = Some("stringData[\"config.yaml\"]".to_owned());
            text.clone()
        }
        Some(SecretConfig::Data(packed)) => {
            place.part = Some("data[\"config.yaml\"]".to_owned());
            decode(packed).map_err(|message| {
                Problem::error(message)
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
        unknown: if newer {
            Unknown::Warn(code::NEWER_CHART)
        } else {
            Unknown::Refuse
        },
    };
    ConfigDocument::read(&config, Forms::Values).map(Some)
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
) -> Result<Option<Annotation<'i>>, Vec<Problem>> {
    let mut first: Option<(Annotation<'i>, &str)> = None;
    let mut errors = Vec::new();
    for object in objects {
        let text = object.config_annotation().unwrap_or_default();
        // What `toJson | quote` makes of a value that is not there.
        if matches!(text.trim(), "" | "null" | "~") {
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

fn read_files(files: &[ConfigFile], errors: &mut Vec<Problem>) -> Vec<ConfigDocument> {
    let mut documents = Vec::new();
    let text_of = |file: &ConfigFile| ConfigText {
        text: file.text.clone(),
        origin: Origin {
            place: Place {
                object: Some(file.name.clone()),
                ..Place::default()
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

impl Index {
    /// The objects that may carry a config: not our own policies, and no hooks.
    fn carriers(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(|o| {
            let name = o.name.as_deref().unwrap_or_default();
            let ours = o.is_network_policy()
                && (name.starts_with("vc-work-") || name.starts_with("vc-cp-"));
            !ours && !o.is_hook()
        })
    }
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
