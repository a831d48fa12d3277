//! The shape that a piece of YAML must have: which fields, of which types.
//!
//! One table per structure ([`Object`]) serves for all: finding unknown fields with the nearest
//! known name, wrong types with what to write instead, and the JSON Schema. It says nothing about
//! what a value means (whether a CIDR is one): that is judged where the values are used.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Location, Position, Quoting};
use crate::yaml::{Node, Scalar};
use serde_json::{Map, Value};

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A mapping with known fields.
    Object(&'static Object),
    /// A list of one type.
    List(&'static Shape),
    /// A mapping from free keys to one type.
    Map(&'static Shape),
    /// Text.
    String,
    /// Text, or null for nothing: Helm merges a value away with a null.
    StringOrNull,
    /// Text, one of a few. That it is one of them is judged where the value is used.
    OneOf(&'static [&'static str]),
    /// Text, one of a few, or a mapping with known fields.
    NameOr(&'static [&'static str], &'static Object),
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Long,
    /// A point in time, as RFC 3339 writes it.
    Time,
    /// A whole number or a name (a port).
    IntOrString,
    /// Anything at all.
    Any,
}

/// A mapping with known fields.
#[derive(Debug)]
pub struct Object {
    /// What it is called in the documentation (`NetworkPolicyPeer`).
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// A field of an [`Object`].
#[derive(Debug)]
pub struct Field {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub shape: Shape,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

impl Field {
    /// A field.
    #[must_use]
    pub const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, doc }
    }
}

impl Object {
    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// The known name that is nearest to a misspelt one, if any is near.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.fields.iter().map(|field| field.name))
    }
}

/// The known name that is nearest to a misspelt one, if any is near.
#[must_use]
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|known| {
            let distance = strsim::damerau_levenshtein(&known.to_lowercase(), &lower);
            (distance, known)
        })
        .filter(|(distance, known)| *distance <= (known.len().max(3) / 3).min(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Where the checked text comes from, for the messages.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The object or file, without path and position.
    pub place: Location,
    /// Whether its values may be shown.
    pub quoting: Quoting,
}

impl Origin {
    /// An error at a field.
    #[must_use]
    pub fn error(
        &self,
        path: &str,
        position: Option<Position>,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(message).at(self.place.at(path, position))
    }

    /// A warning at a field.
    #[must_use]
    pub fn warning(
        &self,
        code: &'static str,
        path: &str,
        position: Option<Position>,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::warning(code, message).at(self.place.at(path, position))
    }
}

/// A value without the parts that do not have their shape, so that the others can be judged too.
/// `None` where the value itself does not have it.
///
/// An item of a list that does not fit becomes an empty one, so that the others keep their places.
#[must_use]
pub fn fitting(value: Value, shape: Shape) -> Option<Value> {
    let is_number = |value: &Value| value.is_i64() || value.is_u64();
    match (shape, value) {
        (Shape::Object(object) | Shape::NameOr(_, object), Value::Object(fields)) => {
            let fields = fields.into_iter().filter_map(|(name, value)| {
                let value = fitting(value, object.field(&name)?.shape)?;
                Some((name, value))
            });
            Some(Value::Object(fields.collect()))
        }
        (Shape::Map(values), Value::Object(entries)) => {
            let entries = entries.into_iter();
            let fit = entries.filter_map(|(key, value)| Some((key, fitting(value, *values)?)));
            Some(Value::Object(fit.collect()))
        }
        (Shape::List(items), Value::Array(list)) => {
            let item = |value| fitting(value, *items).unwrap_or_else(|| empty(*items));
            Some(Value::Array(list.into_iter().map(item).collect()))
        }
        (Shape::Integer | Shape::Long | Shape::IntOrString, value) if is_number(&value) => {
            Some(value)
        }
        (
            Shape::String
            | Shape::StringOrNull
            | Shape::OneOf(_)
            | Shape::NameOr(..)
            | Shape::Time
            | Shape::IntOrString,
            Value::String(text),
        ) => Some(Value::String(text)),
        (Shape::StringOrNull, Value::Null) => Some(Value::Null),
        (Shape::Bool, Value::Bool(value)) => Some(Value::Bool(value)),
        (Shape::Any, value) => Some(value),
        _ => None,
    }
}

/// What stands for an item of a list that does not have its shape.
fn empty(shape: Shape) -> Value {
    match shape {
        Shape::Object(_) | Shape::Map(_) => Value::Object(Map::new()),
        Shape::List(_) => Value::Array(Vec::new()),
        _ => Value::String(String::new()),
    }
}

/// How many findings one text may have before unknown fields are passed over.
const MAX_FINDINGS: usize = 200;

/// What an unknown field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// An error.
    Refuse,
    /// A warning of that code.
    Warn(&'static str),
}

/// Who will read the text in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// We do: a null in a list or a map of strings is a slip, and merge keys yield to their
    /// neighbours.
    Config,
    /// The API server: it takes such a null for an empty value, and the key that overrides a
    /// merged one for a duplicate.
    Server,
}

/// What kind of mistake a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mistake {
    /// A value of the wrong type that ends the server's reading at once (a port, a time).
    Fatal,
    /// Any other value of the wrong type.
    Type,
    /// A key that is there twice, or is no key.
    Key,
    /// A field that does not exist.
    Unknown,
}

/// A problem with the kind of mistake that it is.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The kind.
    pub mistake: Mistake,
    /// The problem.
    pub problem: Diagnostic,
}

/// Checks a node against a shape and gives all that is wrong with it, in the order of the text.
#[must_use]
pub fn check(
    node: Node<'_>,
    shape: Shape,
    path: &str,
    origin: &Origin,
    unknown: Unknown,
) -> Vec<Diagnostic> {
    find(node, shape, path, origin, unknown, Reader::Config)
        .into_iter()
        .map(|finding| finding.problem)
        .collect()
}

/// The same as [`check`] for a given reader, each problem with the kind of mistake.
#[must_use]
pub fn find(
    node: Node<'_>,
    shape: Shape,
    path: &str,
    origin: &Origin,
    unknown: Unknown,
    reader: Reader,
) -> Vec<Finding> {
    let mut checker = Checker {
        origin,
        unknown,
        reader,
        findings: Vec::new(),
    };
    checker.check(node, shape, path);
    checker.findings
}

/// A key as the server compares it: `1` and `0x1` are one key, `1` and `"1"` are two.
fn value_of_key(key: Node<'_>, text: &str) -> String {
    match key.scalar() {
        Some(Scalar::Bool(value)) => format!("bool {value}"),
        Some(Scalar::Int(value)) => format!("int {value}"),
        Some(Scalar::Float(value)) => format!("float {value}"),
        Some(Scalar::BigInt) => format!("number {text}"),
        _ => format!("string {text}"),
    }
}

/// The path of a field in an object.
#[must_use]
pub fn join(path: &str, field: &str) -> String {
    let plain = !field.is_empty()
        && field
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    match (path.is_empty(), plain) {
        (true, true) => field.to_owned(),
        (false, true) => format!("{path}.{field}"),
        (_, false) => format!("{path}[{field:?}]"),
    }
}

/// What stands in a path for a key that is not shown.
const HIDDEN_KEY: &str = "<key>";

/// The same path without the keys that the user chose (of labels and annotations): they are content,
/// as values are. Those that are `known` to everybody stay.
#[must_use]
pub fn without_free_keys(path: &str, known: &[&str]) -> String {
    let maps = ["labels", "annotations", "matchLabels"];
    let starts = path.match_indices(['.', '[']);
    for (at, _) in starts {
        let (before, key) = path.split_at_checked(at).unwrap_or((path, ""));
        let parent = before.rsplit(['.', ']']).next().unwrap_or_default();
        let is_free = maps.contains(&parent) || key.starts_with("[\"");
        let is_known = known.iter().any(|name| key == format!("[{name:?}]"));
        if is_free && !is_known {
            return format!("{before}.{HIDDEN_KEY}");
        }
    }
    path.to_owned()
}

/// Whether a key may be the name of a field, though of none that is known: such a name is shown.
fn is_field_name(key: &str) -> bool {
    const LONGEST: usize = 32;
    key.len() <= LONGEST
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|b| b.is_ascii_alphanumeric())
}

struct Checker<'o> {
    origin: &'o Origin,
    unknown: Unknown,
    reader: Reader,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn check(&mut self, node: Node<'_>, shape: Shape, path: &str) {
        // A null field is an absent field.
        if node.is_null() {
            return;
        }
        match shape {
            Shape::Any => {}
            Shape::Object(object) | Shape::NameOr(_, object) if node.is_mapping() => {
                self.object(node, object, path);
            }
            Shape::Map(values) if node.is_mapping() => {
                self.duplicates(node, path, None);
                for (key, value) in node.entries() {
                    let path = self.key_path(path, &key, false);
                    if value.is_null()
                        && matches!(values, Shape::String)
                        && self.reader == Reader::Config
                    {
                        self.wrong_type(value, *values, &path);
                    }
                    self.check(value, *values, &path);
                }
            }
            Shape::List(items) if node.is_sequence() => {
                for (i, item) in node.items().enumerate() {
                    let path = format!("{path}[{i}]");
                    if item.is_null() && self.reader == Reader::Config {
                        self.wrong_type(item, *items, &path);
                    }
                    self.check(item, *items, &path);
                }
            }
            Shape::String
            | Shape::StringOrNull
            | Shape::OneOf(_)
            | Shape::NameOr(..)
            | Shape::IntOrString
                if matches!(node.scalar(), Some(Scalar::String(_))) => {}
            Shape::Time if node.text().is_some_and(|text| is_time(&text)) => {}
            Shape::Bool if matches!(node.scalar(), Some(Scalar::Bool(_))) => {}
            Shape::Long if whole_number(node).is_some() => {}
            Shape::Integer | Shape::IntOrString if whole_number(node).is_some() => {
                let fits = whole_number(node).is_some_and(|i| i32::try_from(i).is_ok());
                if !fits {
                    let message = format!("{} is out of range", self.quote(node));
                    self.push(mistake(shape), node, path, message, None);
                }
            }
            _ => self.wrong_type(node, shape, path),
        }
    }

    fn object(&mut self, node: Node<'_>, object: &'static Object, path: &str) {
        self.duplicates(node, path, Some(object));
        for (key, value) in node.entries() {
            match object.field(&key) {
                Some(field) => self.check(value, field.shape, &join(path, &key)),
                None => self.unknown_field(node, &key, value, object, path),
            }
        }
    }

    /// Each of them is looked for among its neighbours, so there is an end to it.
    fn unknown_field(
        &mut self,
        node: Node<'_>,
        key: &str,
        value: Node<'_>,
        object: &'static Object,
        path: &str,
    ) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        let position = node
            .pairs()
            .find(|(k, _)| k.key_text().is_some_and(|text| text == key))
            .map_or(value.position(), |(k, _)| k.position());
        let path = self.key_path(path, key, is_field_name(key));
        let message = format!("unknown field in {}", object.name);
        let help = object.nearest(key).map_or_else(
            || {
                let known: Vec<&str> = object.fields.iter().map(|f| f.name).collect();
                format!("the fields are {}", known.join(", "))
            },
            |near| format!("did you mean {near}?"),
        );
        let problem = match self.unknown {
            Unknown::Refuse => self.origin.error(&path, Some(position), message),
            Unknown::Warn(code) => self.origin.warning(code, &path, Some(position), message),
        };
        self.findings.push(Finding {
            mistake: Mistake::Unknown,
            problem: problem.help(help),
        });
    }

    /// The path of a key. One that is not the name of a field is as secret as a value.
    fn key_path(&self, path: &str, key: &str, is_field: bool) -> String {
        if is_field || self.origin.quoting == Quoting::Show {
            return join(path, key);
        }
        let gap = if path.is_empty() { "" } else { "." };
        format!("{path}{gap}{HIDDEN_KEY}")
    }

    /// Finds keys that are there twice; without an object, the user chooses the keys.
    fn duplicates(&mut self, node: Node<'_>, path: &str, object: Option<&'static Object>) {
        let mut seen: HashMap<String, Position> = HashMap::new();
        for (key, value) in node.pairs() {
            if key.is_merge_key() {
                self.merged(key, value, (path, object), &mut seen);
                continue;
            }
            let text = key.key_text();
            let Some(text) = text.filter(|_| !key.is_null() || self.reader == Reader::Config)
            else {
                self.key_mistake(key, path, "a key must be a string".to_owned(), None);
                continue;
            };
            self.count(&text, key, (path, object), &mut seen);
        }
    }

    fn count(
        &mut self,
        text: &str,
        key: Node<'_>,
        (path, object): (&str, Option<&'static Object>),
        seen: &mut HashMap<String, Position>,
    ) {
        let known = match self.reader {
            Reader::Server => value_of_key(key, text),
            Reader::Config => text.to_owned(),
        };
        if let Some(first) = seen.get(&known) {
            let message = format!("the key is there twice, first in line {}", first.line);
            let help = "remove one of the two";
            let is_field = object.is_some() && is_field_name(text);
            let path = self.key_path(path, text, is_field);
            self.key_mistake(key, &path, message, Some(help));
        } else {
            seen.insert(known, key.position());
        }
    }

    /// Counts the keys that a merge key brings, for the reader to whom they are keys like others.
    fn merged(
        &mut self,
        key: Node<'_>,
        value: Node<'_>,
        (path, object): (&str, Option<&'static Object>),
        seen: &mut HashMap<String, Position>,
    ) {
        if self.reader == Reader::Config {
            return;
        }
        let sources: Vec<Node<'_>> = if value.is_mapping() {
            vec![value]
        } else {
            value.items().collect()
        };
        if !value.is_mapping() && !value.is_sequence() || !sources.iter().all(|s| s.is_mapping()) {
            self.key_mistake(key, path, "a merge key needs a mapping".to_owned(), None);
            return;
        }
        for source in sources {
            for (text, _) in source.entries() {
                self.count(&text, key, (path, object), seen);
            }
        }
    }

    fn key_mistake(&mut self, key: Node<'_>, path: &str, message: String, help: Option<&str>) {
        let mut problem = self.origin.error(path, Some(key.position()), message);
        problem.help = help.map(str::to_owned);
        self.findings.push(Finding {
            mistake: Mistake::Key,
            problem,
        });
    }

    fn wrong_type(&mut self, node: Node<'_>, shape: Shape, path: &str) {
        let expected = expected(shape);
        let fraction = matches!(node.scalar(), Some(Scalar::Float(_)));
        let kind = match shape {
            Shape::Integer | Shape::Long | Shape::IntOrString if fraction => "a fraction",
            _ => node.kind(),
        };
        let message = format!("must be {expected}, not {kind}");
        let shown = self.origin.quoting == Quoting::Show;
        let text = node.text().unwrap_or_default();
        let help = match expected {
            "a string" if node.is_null() => Some("write \"\" for an empty string".to_owned()),
            "a string" if node.scalar().is_some() => Some(if shown {
                format!("write it in quotes: {text:?}")
            } else {
                "write it in quotes".to_owned()
            }),
            "a boolean" => Some(match text.to_lowercase().as_str() {
                "true" | "yes" | "on" => "write true, without quotes".to_owned(),
                "false" | "no" | "off" => "write false, without quotes".to_owned(),
                _ => "write true or false, without quotes".to_owned(),
            }),
            "a whole number" if node.scalar().is_some() => {
                Some("write the digits alone, without quotes".to_owned())
            }
            "a list" => Some("put each entry on a line of its own behind \"- \"".to_owned()),
            _ => None,
        };
        self.push(mistake(shape), node, path, message, help);
    }

    fn push(
        &mut self,
        mistake: Mistake,
        node: Node<'_>,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        let mut problem = self.origin.error(path, Some(node.position()), message);
        problem.help = help;
        self.findings.push(Finding { mistake, problem });
    }

    fn quote(&self, node: Node<'_>) -> String {
        self.origin.quoting.value(&node.text().unwrap_or_default())
    }
}

/// The value of a scalar that JSON would have as a whole number (`80`, `80.0`).
#[must_use]
pub fn whole_number(node: Node<'_>) -> Option<i64> {
    match node.scalar()? {
        Scalar::Int(i) => Some(i),
        Scalar::BigInt => Some(i64::MAX),
        Scalar::Float(_) => node.to_json().as_i64(),
        _ => None,
    }
}

fn expected(shape: Shape) -> &'static str {
    match shape {
        Shape::Object(_) | Shape::Map(_) => "a mapping",
        Shape::List(_) => "a list",
        Shape::String | Shape::StringOrNull | Shape::OneOf(_) => "a string",
        Shape::NameOr(..) => "a name or a mapping",
        Shape::Bool => "a boolean",
        Shape::Integer | Shape::Long => "a whole number",
        Shape::Time => "a time such as 2006-01-02T15:04:05Z",
        Shape::IntOrString => "a whole number or a name",
        Shape::Any => "anything",
    }
}

fn mistake(shape: Shape) -> Mistake {
    match shape {
        Shape::IntOrString | Shape::Time => Mistake::Fatal,
        _ => Mistake::Type,
    }
}

/// Whether a text is a time as RFC 3339 has it.
fn is_time(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| -> Option<u32> {
        let digits = text.get(range)?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    };
    let mark = |at: usize, mark: &str| text.get(at..=at) == Some(mark);
    let fields = [4..7, 7..10, 10..13, 13..16, 16..19];
    let marks = ["-", "-", "T", ":", ":"];
    let separated = fields.iter().zip(marks).all(|(f, m)| mark(f.start, m));
    let Some(year) = number(0..4) else {
        return false;
    };
    let parts: Option<Vec<u32>> = fields.iter().map(|f| number(f.start + 1..f.end)).collect();
    let Some(&[month, day, hour, minute, second]) = parts.as_deref() else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    let rest = text.get(19..).unwrap_or_default();
    let zone = match rest.strip_prefix(['.', ',']) {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    let offset = |zone: &str| {
        let start = text.len() - zone.len();
        zone.len() == 6
            && zone.starts_with(['+', '-'])
            && mark(start + 3, ":")
            && number(start + 1..start + 3).is_some_and(|h| h <= 24)
            && number(start + 4..start + 6).is_some_and(|m| m < 60)
    };
    separated
        && (1..=12).contains(&month)
        && (1..=days).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && (zone == "Z" || offset(zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Tree;
    use serde_json::json;

    static PORT: Object = Object {
        name: "Port",
        fields: &[
            Field::new("port", Shape::IntOrString, ""),
            Field::new("protocol", Shape::String, ""),
        ],
    };
    static RULE: Object = Object {
        name: "Rule",
        fields: &[
            Field::new("ports", Shape::List(&Shape::Object(&PORT)), ""),
            Field::new("enabled", Shape::Bool, ""),
            Field::new("labels", Shape::Map(&Shape::String), ""),
        ],
    };

    fn problems(text: &str) -> Vec<String> {
        let tree = Tree::parse(text).unwrap();
        let origin = Origin {
            place: Location::default(),
            quoting: Quoting::Show,
        };
        check(
            tree.root().unwrap(),
            Shape::Object(&RULE),
            "",
            &origin,
            Unknown::Refuse,
        )
        .into_iter()
        .map(|p| {
            format!(
                "{} {} [{}]",
                p.place.path.unwrap(),
                p.message,
                p.help.unwrap_or_default()
            )
        })
        .collect()
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_lists_keep_their_places() {
        static INNER: Object = Object {
            name: "inner",
            fields: &[
                Field::new("on", Shape::Bool, ""),
                Field::new("port", Shape::IntOrString, ""),
            ],
        };
        static OUTER: Object = Object {
            name: "outer",
            fields: &[
                Field::new("list", Shape::List(&Shape::Object(&INNER)), ""),
                Field::new("words", Shape::List(&Shape::String), ""),
                Field::new("map", Shape::Map(&Shape::StringOrNull), ""),
            ],
        };
        let value = json!({
            "list": [{"on": "yes", "port": 1.5}, "x", {"on": true, "port": "http", "more": 1}],
            "words": ["a", 1],
            "map": {"a": null, "b": 2, "c": "d"},
            "unknown": 1,
        });
        let fit = json!({
            "list": [{}, {}, {"on": true, "port": "http"}],
            "words": ["a", ""],
            "map": {"a": null, "c": "d"},
        });
        assert_eq!(fitting(value, Shape::Object(&OUTER)), Some(fit));
        assert_eq!(fitting(json!([]), Shape::Object(&OUTER)), None);
    }

    #[test]
    fn every_error_is_found_in_one_go() {
        assert_eq!(
            problems(
                "prots: 1\nenabled: \"true\"\nlabels: {a: 8080}\nports:\n- port: [1]\n  protcol: TCP\n- null\n"
            ),
            [
                "prots unknown field in Rule [did you mean ports?]",
                "enabled must be a boolean, not a string [write true, without quotes]",
                "labels.a must be a string, not a number [write it in quotes: \"8080\"]",
                "ports[0].port must be a whole number or a name, not a list []",
                "ports[0].protcol unknown field in Port [did you mean protocol?]",
                "ports[1] must be a mapping, not null []",
            ]
        );
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        for good in [
            "2020-01-01T00:00:00Z",
            "2024-02-29T23:59:59.123+02:00",
            "1999-12-31T00:00:00-11:30",
        ] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "",
            "yesterday",
            "2020-01-01",
            "2023-02-29T00:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01 00:00:00Z",
            "2020-01-01T00:00:00.Z",
            "2020-13-01T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:00:00+0200",
            "é020-01-01T00:00:00Z",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }

    #[test]
    fn absent_and_null_are_fine() {
        assert!(problems("enabled: null\nports:\nlabels: {}\n").is_empty());
        assert_eq!(
            problems("enabled: yes\nenabled: no\n"),
            ["enabled the key is there twice, first in line 1 [remove one of the two]"]
        );
    }
}
