//! Each folder in tests/lint is a case: a `config.yaml` or a `stream.yaml`, and in `expected.txt`
//! the very words that lint says of it. `UPDATE=1 cargo test` writes them anew.
//!
//! The folder's name tells the verdict: `good-*` is accepted, `shape-*` is refused by the JSON
//! Schema too, `value-*` only by lint.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vcluster_netpol::schema::{Form, schema};
use vcluster_netpol::yaml::Tree;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn name(case: &Path) -> &str {
    case.file_name().unwrap().to_str().unwrap()
}

#[test]
fn every_case_gets_the_words_expected() {
    for case in cases() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vcluster-netpol"));
        command.current_dir(&case).arg("lint");
        if case.join("config.yaml").exists() {
            command.args(["--config", "config.yaml"]);
        } else {
            command.arg("stream.yaml");
        }
        let output = command.env_remove("KUBE_VERSION").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("do-not-show-me"), "{}", name(&case));
        let expected = case.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &said).unwrap();
        }
        assert_eq!(
            said,
            std::fs::read_to_string(expected).unwrap(),
            "{}",
            name(&case)
        );
        let errors = said.contains("error:");
        assert_eq!(output.status.code(), Some(i32::from(errors)));
        assert_eq!(errors, !name(&case).starts_with("good-") && errors);
        if name(&case).starts_with("shape-") || name(&case).starts_with("value-") {
            assert!(errors, "{}", name(&case));
        }
    }
}

#[test]
fn the_schema_agrees() {
    for case in cases() {
        let Ok(text) = std::fs::read_to_string(case.join("config.yaml")) else {
            continue;
        };
        let tree = Tree::parse(&text).unwrap();
        let config = tree.root().unwrap().to_json();
        let form = if config.get("policies").is_some() {
            Form::Values
        } else {
            Form::Config
        };
        // What stands twice is once in JSON.
        if name(&case) == "shape-twice" {
            continue;
        }
        let root = schema(form);
        let refused = name(&case).starts_with("shape-");
        assert_eq!(accepts(&root, &root, &config), !refused, "{}", name(&case));
    }
}

/// Whether a schema accepts a value: the keywords that the schema uses, and no others.
fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else {
        return schema.as_bool().unwrap();
    };
    keywords
        .iter()
        .all(|(keyword, wanted)| match keyword.as_str() {
            "$schema" | "title" | "description" | "deprecated" | "definitions" | "format" => true,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                accepts(root, root.pointer(pointer).unwrap(), value)
            }
            "anyOf" => wanted
                .as_array()
                .unwrap()
                .iter()
                .any(|s| accepts(root, s, value)),
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|v| v >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|v| v <= wanted.as_f64().unwrap()),
            "type" => match wanted {
                Value::Array(any) => any.iter().any(|t| is(value, t)),
                one => is(value, one),
            },
            "items" => value
                .as_array()
                .is_none_or(|items| items.iter().all(|item| accepts(root, wanted, item))),
            "properties" => value.as_object().is_none_or(|object| {
                object
                    .iter()
                    .all(|(key, v)| wanted.get(key).is_none_or(|s| accepts(root, s, v)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|object| {
                object
                    .iter()
                    .filter(|(key, _)| schema["properties"].get(key).is_none())
                    .all(|(_, v)| accepts(root, wanted, v))
            }),
            other => panic!("unknown keyword {other}"),
        })
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("unknown type {other}"),
    }
}
