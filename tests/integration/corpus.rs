//! Real charts as the real Helm rendered them, with the policies that must come of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use serde::Deserialize;

use crate::registry::{ClusterSummary, Group, Tier};
use crate::support::policy::{FILENAME, Policy};
use crate::support::shared::{self, Identity, body, chunks, filter, idempotent, judge_all, shared};

/// The annotation that carries a config.
const ANNOTATION: &str = "vcluster-netpol/config";

/// What a post-renderer reads, and what it is called.
const STREAMS: [(&str, &str); 4] = [
    ("rendered", "rendered.yaml"),
    ("stripped", "stripped.yaml"),
    ("rendered4", "rendered-helm4.yaml"),
    ("stripped4", "stripped-helm4.yaml"),
];

/// The environment in which Helm 4 runs its post-renderer.
const HELM_4: [(&str, &str); 1] = [("HELM_PLUGIN_NAME", "vcluster-netpol")];

/// What a case tells about itself.
#[derive(Clone, Deserialize)]
struct Meta {
    kind: String,
    enabled: bool,
    umbrella: Option<serde_json::Value>,
    release: String,
    namespace: String,
    annotation_key_placeholder: Option<String>,
    annotation_on: Option<String>,
}

/// What must come of a case.
#[derive(Clone, Deserialize)]
struct Expected {
    error: bool,
    policies: serde_json::Value,
    from: String,
    skip: Option<serde_json::Value>,
}

/// One stream of one case.
#[derive(Clone)]
struct Case {
    name: String,
    stream: PathBuf,
    values: PathBuf,
    helm_4: bool,
    stripped: bool,
    meta: Meta,
    expected: Expected,
}

/// One test for each version of the chart and each kind of stream.
pub(crate) fn trials() -> Vec<Trial> {
    let group = |name| Group {
        tier: Tier::Slow,
        module: module_path!(),
        name,
    };
    let rendered = group("every_rendered_chart_gets_the_policies_it_must_have");
    let rendered = rendered.trials(sets(), Set::name, |set| {
        judge_all(&set.cases(), |case| case.name.clone(), judge)
    });
    let hidden = group("a_file_gives_the_same_policies_where_the_secret_is_hidden");
    let hidden = hidden.trials(sets(), Set::name, |set| {
        judge_all(
            &set.cases_with_values(),
            |(case, order)| format!("{} {order:?}", case.name),
            |(case, order)| judge_without_secret(case, *order),
        )
    });
    rendered.into_iter().chain(hidden).collect()
}

/// The cases of one version of the chart in one kind of stream.
#[derive(Clone)]
struct Set {
    version: PathBuf,
    mode: &'static str,
    file: &'static str,
}

/// All sets, where they are at hand.
fn sets() -> ClusterSummary<Set> {
    let folder = shared("corpus")?;
    let sets = folders(&folder).into_iter().flat_map(|version| {
        STREAMS.map(|(mode, file)| Set {
            version: version.clone(),
            mode,
            file,
        })
    });
    let has_stream = |set: &Set| {
        let cases = folders(&set.version);
        cases.iter().any(|case| case.join(set.file).exists())
    };
    Ok(sets.filter(has_stream).collect())
}

impl Set {
    fn name(&self) -> String {
        let version = self.version.file_name().expect("a name");
        format!("{}::{}", version.display(), self.mode)
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for case in folders(&self.version) {
            let expected: Expected = json(&case.join("expected.json"));
            let stream = case.join(self.file);
            if expected.skip.is_some() || !stream.exists() {
                continue;
            }
            let name = case.file_name().expect("a name");
            cases.push(Case {
                name: format!("{} {}", name.display(), self.mode),
                values: case.join("values.yaml"),
                stream,
                helm_4: self.mode.ends_with('4'),
                stripped: self.mode.starts_with("stripped"),
                meta: json(&case.join("meta.json")),
                expected,
            });
        }
        cases
    }

    /// Those whose values can be given as a file, in both orders.
    fn cases_with_values(&self) -> Vec<(Case, Order)> {
        // Values of an umbrella chart are below its dependency, and an annotation has a config itself.
        let with_values = |case: &Case| {
            case.meta.kind == "chart"
                && case.meta.umbrella.is_none()
                && case.meta.enabled
                && !case.expected.error
        };
        self.cases()
            .into_iter()
            .filter(with_values)
            .flat_map(|case| {
                [
                    (case.clone(), Order::AsRendered),
                    (case, Order::ClusterRolesFirst),
                ]
            })
            .collect()
    }
}

/// In which order the documents of a stream are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    AsRendered,
    ClusterRolesFirst,
}

/// Gives the filter a stream without its Secret, and the values as a file.
fn judge_without_secret(case: &Case, order: Order) -> Result<(), String> {
    let input = without_secret(&input(case), order);
    let values = case.values.to_str().expect("a path in UTF-8");
    let run = Call {
        args: vec!["--config", values],
        env: vec![("HELM_NAMESPACE", &case.meta.namespace)],
    };
    judge_output(case, &input, &run)
}

/// A stream without its Secret `vc-config-NAME`.
fn without_secret(stream: &str, order: Order) -> String {
    let kind_of = |chunk: &[u8]| {
        let mut lines = chunk.split(|byte| *byte == b'\n');
        let kind = lines.find_map(|line| line.strip_prefix(b"kind: "));
        kind.map(<[u8]>::to_vec).unwrap_or_default()
    };
    let mut documents: Vec<&[u8]> = chunks(stream.as_bytes())
        .into_iter()
        .filter(|chunk| {
            let named = memchr::memmem::find(chunk, b"  name: \"vc-config-").is_some()
                || memchr::memmem::find(chunk, b"  name: vc-config-").is_some();
            !(named && kind_of(chunk) == b"Secret")
        })
        .collect();
    if order == Order::ClusterRolesFirst {
        documents.sort_by_key(|chunk| !kind_of(chunk).starts_with(b"ClusterRole"));
    }
    let mut sorted = Vec::new();
    for document in documents {
        if !shared::is_separator(document) {
            sorted.extend(b"---\n");
        }
        sorted.extend(document);
    }
    String::from_utf8(sorted).expect("a stream in UTF-8")
}

/// How the filter is called.
struct Call<'c> {
    args: Vec<&'c str>,
    env: Vec<(&'c str, &'c str)>,
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn json<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn judge(case: &Case) -> Result<(), String> {
    let input = input(case);
    let env = if case.helm_4 {
        HELM_4.to_vec()
    } else {
        Vec::new()
    };
    let call = Call {
        args: Vec::new(),
        env,
    };
    judge_output(case, &input, &call)
}

fn judge_output(case: &Case, input: &str, call: &Call<'_>) -> Result<(), String> {
    let output = filter(input.as_bytes(), &call.args, &call.env);
    if case.expected.error {
        let well = if case.helm_4 {
            output.code == Some(0) && is_block_scalar(&output.stdout)
        } else {
            matches!(output.code, Some(1 | 2))
                && output.stdout.is_empty()
                && output.stderr.contains("error")
        };
        return well.then_some(()).ok_or_else(|| {
            format!(
                "must be refused ({}), ends with {:?}, {:?}, {}",
                case.expected.from,
                output.code,
                String::from_utf8_lossy(&output.stdout[..output.stdout.len().min(80)]),
                output.stderr
            )
        });
    }
    if output.code != Some(0) {
        return Err(format!("ends with {:?}: {}", output.code, output.stderr));
    }

    let wanted = wanted(case);
    let before = Parted::of(input.as_bytes(), case, &wanted);
    let after = Parted::of(&output.stdout, case, &wanted);
    compare_others(&after.others, &before.others)?;
    let mut missing: Vec<&Key> = wanted.keys().collect();
    missing.retain(|key| is_own(&key.1, case));
    for ours in &after.ours {
        let Some(want) = wanted.get(&ours.key) else {
            return Err(format!("{:?} is there, the chart has none", ours.key));
        };
        if after.ours.iter().filter(|it| it.key == ours.key).count() > 1 {
            return Err(format!("{:?} is there more than once", ours.key));
        }
        if let Some(old) = before.ours.iter().find(|it| it.key == ours.key)
            && old.place != ours.place
        {
            return Err(format!("{:?} has left its place", ours.key));
        }
        let policy: Policy = serde_yaml::from_slice(ours.chunk)
            .map_err(|error| format!("{:?} is no policy: {error}", ours.key))?;
        let annotations = policy.metadata.annotations.as_ref();
        if case.helm_4 && annotations.is_none_or(|these| !these.contains_key(FILENAME)) {
            return Err(format!("{:?} lacks {FILENAME}", ours.key));
        }
        if let Some(difference) = policy.normalised().difference(want) {
            return Err(format!("{} {difference}", ours.key.1));
        }
        missing.retain(|key| **key != ours.key);
    }
    if !missing.is_empty() {
        return Err(format!("{missing:?} are missing"));
    }
    idempotent(&output.stdout, &call.args, &call.env)
}

/// The stream of a case, with the placeholder of the annotated cases replaced by our annotation,
/// inside of the Secret as well.
fn input(case: &Case) -> String {
    let text = fs::read_to_string(&case.stream).expect("a stream in UTF-8");
    let Some(placeholder) = &case.meta.annotation_key_placeholder else {
        return text;
    };
    let key = "  config.yaml: \"";
    let mut stream = String::new();
    for line in text.replace(placeholder, ANNOTATION).split_inclusive('\n') {
        let data = line.strip_prefix(key).and_then(|rest| rest.split_once('"'));
        if let Some((data, rest)) = data
            && let Ok(config) = STANDARD.decode(data)
        {
            let config = String::from_utf8(config).expect("a config in UTF-8");
            stream += key;
            stream += &STANDARD.encode(config.replace(placeholder, ANNOTATION));
            stream += "\"";
            stream += rest;
        } else {
            stream += line;
        }
    }
    stream
}

/// A policy by its namespace and name.
type Key = (Option<String>, String);

/// The policies that must come out, companions included.
fn wanted(case: &Case) -> BTreeMap<Key, Policy> {
    let mut policies = case.expected.policies.to_string();
    if case.meta.annotation_on.as_deref() == Some("global")
        && let Some(placeholder) = &case.meta.annotation_key_placeholder
    {
        policies = policies.replace(placeholder, ANNOTATION);
    }
    let policies: Vec<Policy> = serde_json::from_str(&policies)
        .unwrap_or_else(|error| panic!("{}: expected.json: {error}", case.name));
    policies
        .into_iter()
        .map(|policy| {
            let key = (
                policy.metadata.namespace.clone(),
                policy.metadata.name.clone(),
            );
            (key, policy.normalised())
        })
        .collect()
}

/// A stream in two: what nobody may touch, and our policies.
struct Parted<'a> {
    /// Every other document, byte for byte.
    others: Vec<&'a [u8]>,
    ours: Vec<Ours<'a>>,
}

/// One of our policies.
struct Ours<'a> {
    key: Key,
    chunk: &'a [u8],
    /// How many of the others stand before it.
    place: usize,
}

impl<'a> Parted<'a> {
    fn of(stream: &'a [u8], case: &Case, wanted: &BTreeMap<Key, Policy>) -> Self {
        let (mut others, mut ours) = (Vec::new(), Vec::new());
        for chunk in chunks(stream) {
            if let Some(key) = our_policy(chunk, case, wanted) {
                let place = others.len();
                ours.push(Ours { key, chunk, place });
            } else if !body(chunk).trim_ascii().is_empty() {
                others.push(body(chunk));
            }
        }
        Self { others, ours }
    }
}

/// Whether this is the name of one of the two policies of a case.
fn is_own(name: &str, case: &Case) -> bool {
    let release = &case.meta.release;
    name == format!("vc-work-{release}") || name == format!("vc-cp-{release}")
}

/// The key of a document that is one of our policies: the two, and where the stream was stripped
/// of them, their companions too.
fn our_policy(chunk: &[u8], case: &Case, wanted: &BTreeMap<Key, Policy>) -> Option<Key> {
    let text = std::str::from_utf8(chunk).ok()?;
    if !text.contains("NetworkPolicy") {
        return None;
    }
    let identity = Identity::of(chunk).filter(Identity::is_policy)?;
    let (namespace, name) = (identity.metadata.namespace, identity.metadata.name);
    let release = &case.meta.release;
    let companion =
        name == format!("vc-kube-dns-{release}") || name == format!("vc-snapshot-{release}");
    let in_release_namespace = namespace.as_ref() == Some(&case.meta.namespace);
    let near =
        in_release_namespace || namespace.is_none() || wanted.keys().any(|key| key.0 == namespace);
    (is_own(&name, case) && near || companion && in_release_namespace && case.stripped)
        .then_some((namespace, name))
}

/// All other documents are the same bytes in the same order.
fn compare_others(got: &[&[u8]], want: &[&[u8]]) -> Result<(), String> {
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        shared::same(&format!("document {at} of the others"), got, want)?;
    }
    if got.len() == want.len() {
        return Ok(());
    }
    Err(format!(
        "{} other documents came of {}",
        got.len(),
        want.len()
    ))
}

/// Whether a text is one literal block scalar that tells of an error, and nothing else.
fn is_block_scalar(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines();
    lines.next() == Some("|")
        && lines.all(|line| line.is_empty() || line.starts_with("  "))
        && matches!(
            serde_yaml::from_str(&text),
            Ok(serde_yaml::Value::String(message)) if message.starts_with("error: ")
        )
}
