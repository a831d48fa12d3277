//! The fields that chart 0.31 replaced: which of them have to move, and where to.
//!
//! How they are written is the matter of [`super::block`] and [`super::flow`].

use serde_json::{Map, Value};

use super::Rewrite;
use super::object;
use crate::vcluster::config::settings::{DEFAULT_CIDR, DEFAULT_EXCEPT};
use manifest::entries::Entry;
use manifest::schema::join;
use manifest::yaml::Node;

/// The deprecated fields of a networkPolicy object.
pub(super) const FIELDS: [&str; 3] = ["extraControlPlaneRules", "extraWorkloadRules", OUTGOING];

/// The paths of deprecated fields, and what replaces each of them, if anything does.
pub(super) const DEPRECATED: [(&str, Option<&str>); 4] = [
    ("extraControlPlaneRules", Some("controlPlane.egress")),
    ("extraWorkloadRules", Some("workload.egress")),
    ("outgoingConnections.ipBlock", Some("workload.publicEgress")),
    ("outgoingConnections.platform", None),
];

const OUTGOING: &str = "outgoingConnections";

/// A list of rules and where it goes.
const RULES: [(&str, &str); 2] = [
    ("extraControlPlaneRules", "controlPlane"),
    ("extraWorkloadRules", "workload"),
];

/// The fields of a block of addresses.
const BLOCK: [&str; 2] = ["cidr", "except"];

/// What an object with deprecated fields means, in today's fields.
pub(super) fn expected(old: &Value) -> Value {
    let Value::Object(old) = old else {
        return old.clone();
    };
    let mut new = old.clone();
    for (field, parent) in RULES {
        if let Some(Value::Array(rules)) = new.remove(field)
            && !rules.is_empty()
        {
            add_rules(&mut new, parent, rules);
        }
    }
    let outgoing = new.remove(OUTGOING).map(object).unwrap_or_default();
    let block = outgoing.get("ipBlock").cloned().map(object);
    for (field, value) in block.unwrap_or_default() {
        if !value.is_null() {
            add_to_public_egress(&mut new, field, value);
        }
    }
    Value::Object(new)
}

/// Adds rules to those that `controlPlane` or `workload` has, unless they are the same.
fn add_rules(new: &mut Map<String, Value>, parent: &str, rules: Vec<Value>) {
    let mut inner = new.remove(parent).map(object).unwrap_or_default();
    let mut egress = match inner.remove("egress") {
        Some(Value::Array(there)) => there,
        _ => Vec::new(),
    };
    if egress != rules {
        egress.extend(rules);
    }
    inner.insert("egress".to_owned(), Value::Array(egress));
    new.insert(parent.to_owned(), Value::Object(inner));
}

/// Sets a field of `workload.publicEgress` that is not set yet.
fn add_to_public_egress(new: &mut Map<String, Value>, field: String, value: Value) {
    let mut workload = new.get("workload").cloned().map(object).unwrap_or_default();
    let public = workload.remove("publicEgress").map(object);
    let mut public = public.unwrap_or_default();
    if public.get(&field).is_some_and(|there| !there.is_null()) {
        return;
    }
    public.insert(field, value);
    workload.insert("publicEgress".to_owned(), Value::Object(public));
    new.insert("workload".to_owned(), Value::Object(workload));
}

/// What goes into `controlPlane` or `workload`.
#[derive(Debug, Default)]
pub(super) struct Parcel<'a> {
    /// The list that becomes `egress`, or joins it.
    pub(super) rules: Option<Entry<'a>>,
    /// What becomes `publicEgress`, or joins it.
    pub(super) block: Vec<Entry<'a>>,
    /// The containers of the block whose comments move along.
    pub(super) containers: Vec<Entry<'a>>,
}

impl Parcel<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_none() && self.block.is_empty()
    }
}

impl Rewrite<'_> {
    /// Rewrites a `networkPolicy` object.
    pub(super) fn network_policy(&mut self, node: Node<'_>, path: &str) {
        let mut removed: Vec<Entry<'_>> = Vec::new();
        let mut parcels: Vec<(&str, Parcel<'_>)> = Vec::new();
        for (field, parent) in RULES {
            let mut parcel = Parcel::default();
            if let Some(entry) = self.entry(node, field, path) {
                removed.push(entry);
                parcel.rules = self.rules(node, entry, (field, parent), path);
            }
            parcels.push((parent, parcel));
        }
        if let Some(outgoing) = self.entry(node, OUTGOING, path) {
            removed.push(outgoing);
            if let Some((_, parcel)) = parcels.last_mut() {
                self.outgoing(node, outgoing, path, parcel);
            }
        }
        if !self.errors.is_empty() {
            return;
        }
        if node.is_flow() {
            self.in_flow(node, &parcels, &removed);
        } else {
            self.in_block(node, &parcels, &removed);
        }
    }

    /// The entry of a deprecated field, if it is there itself and not by way of a merge key.
    fn entry<'a>(&mut self, node: Node<'a>, field: &str, path: &str) -> Option<Entry<'a>> {
        let found = Entry::of(node, field);
        if found.is_none()
            && let Some(value) = node.get(field)
        {
            let path = join(path, field);
            self.error(
                value,
                &path,
                "the field comes in through a merge key and can't be moved",
                "write it out where it is merged in, and run this again",
            );
        }
        found
    }

    /// The list of rules that has to move, if it holds any that are not there already.
    fn rules<'a>(
        &mut self,
        node: Node<'a>,
        entry: Entry<'a>,
        (field, parent): (&str, &str),
        path: &str,
    ) -> Option<Entry<'a>> {
        let from = join(path, field);
        if !entry.value.is_sequence() && !entry.value.is_null() {
            let message = format!("must be a list, not {}", entry.value.kind());
            self.error(
                entry.value,
                &from,
                message,
                "correct it, and run this again",
            );
            return None;
        }
        let to = format!("{}.egress", join(path, parent));
        if entry.is_empty() {
            self.moved(entry.key, from, None);
            return None;
        }
        self.moved(entry.key, from, Some(to));
        let there = node.dig(&[parent, "egress"]).map(Node::to_json);
        (there != Some(entry.value.to_json())).then_some(entry)
    }

    /// Puts what has to move of `outgoingConnections` into a parcel. All of it must move or have no
    /// effect, so that nothing of it is left.
    fn outgoing<'a>(
        &mut self,
        node: Node<'a>,
        outgoing: Entry<'a>,
        path: &str,
        parcel: &mut Parcel<'a>,
    ) {
        let base = join(path, OUTGOING);
        if outgoing.is_empty() {
            self.moved(outgoing.key, base, None);
            return;
        }
        self.refuse_alias(&outgoing, &base);
        if !outgoing.value.is_mapping() {
            let message = format!("must be an object, not {}", outgoing.value.kind());
            self.error(
                outgoing.value,
                &base,
                message,
                "correct it, and run this again",
            );
        }
        for (key, _) in outgoing.value.pairs() {
            let name = key.key_text().unwrap_or_default();
            if !["ipBlock", "platform"].contains(&name.as_ref()) {
                self.error(
                    key,
                    &join(&base, &name),
                    "the field has no successor",
                    "the fields are ipBlock, platform",
                );
            }
        }
        if let Some(platform) = self.entry(outgoing.value, "platform", &base) {
            self.platform(&platform, &base);
        }
        if let Some(block) = self.entry(outgoing.value, "ipBlock", &base) {
            self.refuse_alias(&block, &join(&base, "ipBlock"));
            self.block(node, block, path, parcel);
            parcel.containers = vec![outgoing, block];
        }
    }

    fn refuse_alias(&mut self, entry: &Entry<'_>, path: &str) {
        if entry.value.is_alias() {
            self.error(
                entry.value,
                path,
                "the field is an alias and can't be moved",
                "write it out, and run this again",
            );
        }
    }

    /// `platform` has no successor. What it says by default is dropped.
    pub(super) fn platform(&mut self, entry: &Entry<'_>, base: &str) {
        let path = join(base, "platform");
        match entry.value.to_json() {
            Value::Null | Value::Bool(true) => self.moved(entry.key, path, None),
            Value::Bool(false) => self.error(
                entry.key,
                &path,
                "the field has no successor in the values, and charts since 0.31 reject it",
                "remove it, write platform: {enabled: false} into the annotation \
                 vcluster-netpol/config or into a file for --config, and run this again",
            ),
            _ => {
                let message = format!("must be true or false, not {}", entry.value.kind());
                self.error(
                    entry.value,
                    &path,
                    message,
                    "correct it, and run this again",
                );
            }
        }
    }

    /// Puts the fields of the block that have to move into a parcel.
    fn block<'a>(&mut self, node: Node<'a>, block: Entry<'a>, path: &str, parcel: &mut Parcel<'a>) {
        let base = below(path, "outgoingConnections.ipBlock");
        if block.is_empty() {
            self.moved(block.key, base, None);
            return;
        }
        for (key, value) in block.value.pairs() {
            let Some(name) = key.key_text() else { continue };
            let Some(field) = BLOCK.into_iter().find(|f| *f == name) else {
                let message = "unknown field in ipBlock";
                self.error(
                    key,
                    &join(&base, &name),
                    message,
                    "the fields are cidr, except",
                );
                continue;
            };
            let from = join(&base, field);
            if value.is_null() {
                self.moved(key, from, None);
                continue;
            }
            let to = format!("{}.{field}", below(path, "workload.publicEgress"));
            let there = node.dig(&["workload", "publicEgress", field]);
            match there.filter(|there| !there.is_null()).map(Node::to_json) {
                None => {
                    parcel.block.push(Entry {
                        key,
                        value,
                        flow: block.value.is_flow(),
                    });
                    self.moved(key, from, Some(to));
                }
                Some(there) if there == value.to_json() || is_default(field, &value.to_json()) => {
                    self.moved(key, from, None);
                }
                Some(_) => {
                    let message = format!("the field and its successor {to} differ");
                    self.error(key, &from, message, "remove the one that is not meant");
                }
            }
        }
    }
}

fn below(path: &str, fields: &str) -> String {
    if path.is_empty() {
        fields.to_owned()
    } else {
        format!("{path}.{fields}")
    }
}

fn is_default(field: &str, value: &Value) -> bool {
    match (field, value) {
        ("cidr", Value::String(cidr)) => cidr == DEFAULT_CIDR,
        ("except", Value::Array(list)) => {
            list.iter().map(Value::as_str).eq(DEFAULT_EXCEPT.map(Some))
        }
        _ => false,
    }
}
