//! A whole NetworkPolicy, read as strictly as the API server decodes one.
//!
//! First the server decodes: types, then duplicate keys, then unknown fields; only what decodes is
//! judged further. All is said at once here, in that order. Sources: the verdicts of real servers
//! under strict field validation. What the values of the spec may be is told beside this file.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicySpec;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Context;
use super::FieldSpot;
use super::annotations;
use super::labels;
use super::name;
use super::names;
use super::namespace;
use super::policy;
use crate::codes;
use crate::kubernetes;
use manifest::diagnostic::Diagnostic;
use manifest::schema::{self, Finding, Mistake, Reader, Shape, Unknown};
use manifest::yaml::Node;

/// The finalizers that need no domain before them.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// How much of `generateName` the server keeps before the characters that it adds.
const MAX_GENERATED_START: usize = 58;

/// What is wrong with an object that is sent to the server as a new NetworkPolicy.
///
/// `target` is the namespace that it is sent to, where that is known.
#[must_use]
pub fn policy_document(
    root: Option<Node<'_>>,
    target: Option<&str>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let at = FieldSpot::new("", root);
    let mut problems = Vec::new();
    if let Some(root) = root.filter(|root| !root.is_null()) {
        if !root.is_mapping() {
            let message = format!("a NetworkPolicy must be a mapping, not {}", root.kind());
            return vec![ctx.error(&at, message)];
        }
        if let Some(problem) = identity(&at, ctx) {
            return vec![problem];
        }
        let (mistakes, decodes) = decode(root, ctx);
        problems.extend(mistakes);
        if !decodes {
            return problems;
        }
    }
    let meta_at = at.field("metadata");
    match read::<Metadata>(meta_at.node, Shape::Object(&kubernetes::METADATA)) {
        Ok(metadata) => problems.extend(metadata_problems(&metadata, target, &meta_at, ctx)),
        Err(error) => problems.push(ctx.error(&meta_at, error)),
    }
    let spec_at = at.field("spec");
    match read::<NetworkPolicySpec>(spec_at.node, Shape::Object(&kubernetes::SPEC)) {
        Ok(spec) => problems.extend(policy(&spec, &spec_at, ctx)),
        Err(error) => problems.push(ctx.error(&spec_at, error)),
    }
    // Those that only the store refuses come last.
    problems.extend(missing_identity(&at, ctx));
    problems
}

/// Whether a node is meant to be a NetworkPolicy of Kubernetes: apiVersion and kind say so, or
/// would but for their spelling.
#[must_use]
pub fn is_meant_as_policy(node: Node<'_>) -> bool {
    let text = |key| node.get(key).and_then(Node::text).unwrap_or_default();
    let near = |text: &str, name: &str| strsim::levenshtein(&text.to_lowercase(), name) <= 3;
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    // Other groups have NetworkPolicies of their own; the core group has none.
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let ours = group.is_empty() || group == kubernetes::OLD_GROUP || near(group, kubernetes::GROUP);
    if kind.is_empty() {
        let fields = ["podSelector", "policyTypes", "ingress", "egress"];
        return ours
            && (!group.is_empty() || fields.iter().any(|f| node.dig(&["spec", f]).is_some()));
    }
    ours && near(&kind, "networkpolicy")
}

/// The typed value of a node that was found to have the shape, by the server's rules: nulls are
/// absent or empty values.
///
/// # Errors
/// When the value does not have the shape after all.
pub fn read<T: DeserializeOwned + Default>(
    node: Option<Node<'_>>,
    shape: Shape,
) -> Result<T, String> {
    match node.filter(|node| !node.is_null()) {
        Some(node) => serde_json::from_value(value(node, shape)).map_err(|e| e.to_string()),
        None => Ok(T::default()),
    }
}

/// The value of a node as JSON, nulls written out as the empty values that the server takes them
/// for.
fn value(node: Node<'_>, shape: Shape) -> Value {
    match shape {
        Shape::Object(object) => {
            let mut fields = Map::new();
            for (key, node) in node.entries() {
                if let Some(field) = object.field(&key)
                    && !node.is_null()
                {
                    fields.insert(key.into_owned(), value(node, field.shape));
                }
            }
            Value::Object(fields)
        }
        Shape::Map(values) => {
            let renamed: BTreeMap<_, _> = node
                .pairs()
                .filter_map(|(key, _)| Some((key.key_text()?, key.json_key()?)))
                .filter(|(text, key)| text != key)
                .collect();
            Value::Object(
                node.entries()
                    .into_iter()
                    .map(|(text, node)| {
                        let key = renamed.get(&text).unwrap_or(&text);
                        (key.to_string(), item(node, *values))
                    })
                    .collect(),
            )
        }
        Shape::List(items) => Value::Array(node.items().map(|n| item(n, *items)).collect()),
        Shape::Integer | Shape::Long => schema::whole_number(node).map_or(Value::Null, Value::from),
        Shape::IntOrString => {
            schema::whole_number(node).map_or_else(|| node.to_json(), Value::from)
        }
        Shape::String
        | Shape::StringOrNull
        | Shape::OneOf(_)
        | Shape::NameOr(..)
        | Shape::Time
        | Shape::Bool => node.to_json(),
        Shape::Any => Value::Null,
    }
}

fn item(node: Node<'_>, shape: Shape) -> Value {
    if !node.is_null() {
        return value(node, shape);
    }
    match shape {
        Shape::Object(_) | Shape::Map(_) => Value::Object(Map::new()),
        Shape::List(_) => Value::Array(Vec::new()),
        Shape::String | Shape::OneOf(_) => Value::from(""),
        _ => Value::Null,
    }
}

/// The mistakes of decoding in the server's order, and whether there is anything to judge beyond
/// them.
fn decode(root: Node<'_>, ctx: &Context<'_>) -> (Vec<Diagnostic>, bool) {
    let shape = Shape::Object(&kubernetes::POLICY);
    let mut findings = schema::find(root, shape, "", ctx.origin, Unknown::Refuse, Reader::Server);
    // The server goes through the fields of an object in the order of their names.
    findings.sort_by_cached_key(|finding| (finding.mistake, by_name(finding)));
    let decodes = findings
        .iter()
        .all(|finding| matches!(finding.mistake, Mistake::Key | Mistake::Unknown));
    let problems = findings.into_iter().map(|f| f.problem).collect();
    (problems, decodes)
}

/// A path by which findings sort as the server meets them; keys stay in the order of the text.
fn by_name(finding: &Finding) -> Vec<(String, usize)> {
    if finding.mistake == Mistake::Key {
        return Vec::new();
    }
    let path = finding.problem.place.path.as_deref().unwrap_or_default();
    path.split(['.', '[', ']'])
        .filter(|part| !part.is_empty())
        .map(|part| match part.parse() {
            Ok(index) => (String::new(), index),
            Err(_) => (part.to_owned(), 0),
        })
        .collect()
}

/// What is wrong with apiVersion and kind.
fn identity(at: &FieldSpot<'_>, ctx: &Context<'_>) -> Option<Diagnostic> {
    for (field, right) in [
        ("apiVersion", kubernetes::API_VERSION),
        ("kind", kubernetes::KIND),
    ] {
        let at = at.field(field);
        let Some(node) = at.node.filter(|node| !node.is_null()) else {
            continue;
        };
        if let Some(schema::Finding { problem, .. }) = schema::find(
            node,
            Shape::String,
            &at.path,
            ctx.origin,
            Unknown::Refuse,
            Reader::Server,
        )
        .pop()
        {
            return Some(problem);
        }
        let text = node.text().unwrap_or_default();
        if !text.is_empty() && text != right {
            let shown = ctx.origin.quoting.value(&text);
            return Some(
                ctx.error(
                    &at,
                    format!("{shown} is not the {field} of a NetworkPolicy"),
                )
                .help(format!("write {right}")),
            );
        }
    }
    None
}

/// The server knows what it is sent; kubectl and Helm do not.
fn missing_identity(at: &FieldSpot<'_>, ctx: &Context<'_>) -> Option<Diagnostic> {
    at.node.filter(|root| root.is_mapping())?;
    let missing: Vec<&str> = ["apiVersion", "kind"]
        .into_iter()
        .filter(|field| {
            let node = at.field(field).node;
            node.and_then(Node::text).is_none_or(|text| text.is_empty())
        })
        .collect();
    (!missing.is_empty()).then(|| {
        ctx.origin
            .warning(
                codes::MISSING_KIND,
                missing.first().copied().unwrap_or_default(),
                at.position,
                match missing.as_slice() {
                    [one] => format!("{one} is missing"),
                    _ => format!("{} are missing", missing.join(" and ")),
                },
            )
            .help("kubectl and Helm refuse such a document; the API server itself takes it")
    })
}

/// The fields of the metadata that the server judges.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    generate_name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    owner_references: Vec<OwnerReference>,
    finalizers: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OwnerReference {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    controller: bool,
}

fn metadata_problems(
    metadata: &Metadata,
    target: Option<&str>,
    at: &FieldSpot<'_>,
    ctx: &Context<'_>,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let namespace_at = at.field("namespace");
    if let Some(target) =
        target.filter(|t| !metadata.namespace.is_empty() && *t != metadata.namespace)
    {
        let shown = ctx.origin.quoting.value(&metadata.namespace);
        problems.push(
            ctx.error(
                &namespace_at,
                format!("namespace {shown} is not {target:?}, to which the policy is sent"),
            )
            .help("remove one of the two"),
        );
    }
    problems.extend(names_of(metadata, at, ctx));
    if !metadata.namespace.is_empty() {
        problems.extend(namespace(&metadata.namespace, &namespace_at, ctx));
    }
    problems.extend(labels(&metadata.labels, &at.field("labels"), ctx));
    problems.extend(annotations(
        &metadata.annotations,
        &at.field("annotations"),
        ctx,
    ));
    problems.extend(owners(
        &metadata.owner_references,
        &at.field("ownerReferences"),
        ctx,
    ));
    problems.extend(finalizers(
        &metadata.finalizers,
        &at.field("finalizers"),
        ctx,
    ));
    // An object with a UID was read from a server. Sent back, it is an update, which takes both.
    let version = metadata.resource_version.parse::<u64>();
    if version.is_ok_and(|version| version != 0) && metadata.uid.is_empty() {
        problems.push(
            ctx.error(
                &at.field("resourceVersion"),
                "resourceVersion can't be given for a new object",
            )
            .help("remove it; the server sets it"),
        );
    }
    problems
}

/// What is wrong with the name, or with the beginning of one that the server makes.
fn names_of(metadata: &Metadata, at: &FieldSpot<'_>, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let (name_at, start_at) = (at.field("name"), at.field("generateName"));
    let start = &metadata.generate_name;
    let mut problems = Vec::new();
    if !start.is_empty() {
        let fault = names::subdomain(&without_hyphen(start));
        problems.extend(fault.map(|f| ctx.fault(&start_at, start, &f)));
    }
    if metadata.name.is_empty() && !start.is_empty() {
        let made: String = start.chars().take(MAX_GENERATED_START).collect();
        let fault = names::subdomain(&format!("{made}aaaaa"));
        problems.extend(fault.map(|f| ctx.fault(&name_at, &made, &f)));
    } else {
        problems.extend(name(&metadata.name, &name_at, ctx));
    }
    problems
}

/// A hyphen may end the beginning of a name, for the server adds letters and digits: it judges the
/// text with a letter in place of the last two characters.
fn without_hyphen(start: &str) -> String {
    let mut text = start.to_owned();
    if text.len() > 1 && text.ends_with('-') {
        text.pop();
        text.pop();
        text.push('a');
    }
    text
}

/// The server names the list, not the item.
fn owners(owners: &[OwnerReference], at: &FieldSpot<'_>, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut controller = false;
    for (owner, item) in owners.iter().zip(at.items(owners.len())) {
        let field = |name: &str| FieldSpot {
            path: schema::join(&at.path, name),
            ..item.field(name)
        };
        if version_of(&owner.api_version).is_none() {
            problems.push(
                ctx.error(
                    &field("apiVersion"),
                    "the owner's apiVersion has no version",
                )
                .help("write it as v1 or group/v1"),
            );
        }
        for (name, value) in [
            ("kind", &owner.kind),
            ("name", &owner.name),
            ("uid", &owner.uid),
        ] {
            if value.is_empty() {
                problems.push(ctx.error(&field(name), format!("the owner's {name} is missing")));
            }
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            problems.push(ctx.error(at, "an Event can't be an owner"));
        }
        if owner.controller && std::mem::replace(&mut controller, true) {
            problems.push(
                ctx.error(at, "two owners are said to be the controller")
                    .help("set controller on one of them only"),
            );
        }
    }
    problems
}

/// The version in an apiVersion.
fn version_of(api_version: &str) -> Option<&str> {
    let version = match api_version.split_once('/') {
        Some((_, version)) if version.contains('/') => return None,
        Some((_, version)) => version,
        None => api_version,
    };
    Some(version).filter(|version| !version.is_empty())
}

fn finalizers(finalizers: &[String], at: &FieldSpot<'_>, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for finalizer in finalizers {
        if let Some(fault) = names::qualified(finalizer) {
            problems.push(ctx.fault(at, finalizer, &fault));
        }
    }
    let has = |name: &str| finalizers.iter().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        problems.push(
            ctx.error(at, "orphan and foregroundDeletion can't both be finalizers")
                .help("remove one of them"),
        );
    }
    for (finalizer, at) in finalizers.iter().zip(at.items(finalizers.len())) {
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer.as_str()) {
            let shown = ctx.origin.quoting.value(finalizer);
            problems.push(
                ctx.error(
                    &at,
                    format!("{shown} is no finalizer that Kubernetes knows"),
                )
                .help("put a domain before it, such as example.com/name"),
            );
        }
    }
    problems
}
