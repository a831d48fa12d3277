//! The JSON Schema of the config, made of the same tables by which configs are checked.
//!
//! Editors complete fields and show their meaning with it. It says of shapes what
//! [`manifest::schema::check`] says; whether a CIDR is one is told by `lint`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::vcluster::config::fields;
use manifest::schema::{Field, Object, Shape};

/// The dialect: the newest that every editor knows.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// What a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// The networkPolicy object alone, as in the annotation
    Config,
    /// Values that hold it under policies.networkPolicy
    Values,
}

/// The schema of a form.
#[must_use]
pub fn schema(form: Form) -> Value {
    let mut definitions = BTreeMap::new();
    let config = object(&fields::NETWORK_POLICY, &mut definitions);
    let (title, mut schema) = match form {
        Form::Config => ("vcluster-netpol config", config),
        Form::Values => {
            // Values hold much that is not ours.
            let policies =
                json!({"type": ["object", "null"], "properties": {"networkPolicy": config}});
            let values = json!({"type": "object", "properties": {"policies": policies}});
            ("vCluster values with policies.networkPolicy", values)
        }
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".to_owned(), Value::from(DIALECT));
        schema.insert("title".to_owned(), Value::from(title));
        let definitions: Map<String, Value> = definitions
            .into_iter()
            .map(|(name, definition)| (name.to_owned(), definition))
            .collect();
        schema.insert("definitions".to_owned(), Value::Object(definitions));
    }
    schema
}

type Definitions = BTreeMap<&'static str, Value>;

fn object(object: &'static Object, definitions: &mut Definitions) -> Value {
    let properties: Map<String, Value> = object
        .fields
        .iter()
        .map(|f| (f.name.to_owned(), property(f, definitions)))
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// A field: its shape or null, for a null field is an absent one.
fn property(field: &Field, definitions: &mut Definitions) -> Value {
    let shape = shape(field.shape, definitions);
    let mut property = Map::new();
    property.insert("description".to_owned(), Value::from(field.doc));
    if field.doc.starts_with("Deprecated") {
        property.insert("deprecated".to_owned(), Value::Bool(true));
    }
    property.insert("anyOf".to_owned(), json!([shape, {"type": "null"}]));
    Value::Object(property)
}

fn shape(of: Shape, definitions: &mut Definitions) -> Value {
    match of {
        Shape::NameOr(names, inner) => {
            json!({"anyOf": [{"enum": names}, shape(Shape::Object(inner), definitions)]})
        }
        Shape::Object(inner) => {
            if !definitions.contains_key(inner.name) {
                // Its place is taken before its fields are looked at: they may refer to it.
                definitions.insert(inner.name, Value::Bool(true));
                let definition = object(inner, definitions);
                definitions.insert(inner.name, definition);
            }
            json!({"$ref": format!("#/definitions/{}", inner.name)})
        }
        Shape::List(items) => json!({"type": "array", "items": shape(*items, definitions)}),
        Shape::Map(values) => {
            json!({"type": "object", "additionalProperties": shape(*values, definitions)})
        }
        Shape::String => json!({"type": "string"}),
        Shape::StringOrNull => json!({"type": ["string", "null"]}),
        Shape::OneOf(values) => json!({"enum": values}),
        Shape::Time => json!({"type": "string", "format": "date-time"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Integer => integer(i32::MIN.into(), i32::MAX.into()),
        Shape::Long => integer(i64::MIN, i64::MAX),
        Shape::IntOrString => {
            json!({"anyOf": [integer(i32::MIN.into(), i32::MAX.into()), {"type": "string"}]})
        }
        Shape::Any => Value::Bool(true),
    }
}

fn integer(least: i64, most: i64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}
