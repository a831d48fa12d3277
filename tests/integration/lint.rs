//! What lint and the JSON Schema say of the cases in tests/cases/lint, and of what is random.
//!
//! The name of a case says the verdict: `good-*` is accepted, `shape-*` is refused by the JSON
//! Schema too, `value-*` only by lint.

use std::path::{Path, PathBuf};
use std::process::Command;

use manifest::yaml::Tree;
use serde_json::Value;
use vcluster_netpol::json_schema::{Form, schema};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(crate::cases::FOLDER).join("lint");
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

pub(crate) mod random {
    //! What the filter accepts, lint accepts too; and nothing makes either of them panic.

    use netpol::validate::CidrRule;
    use proptest::prelude::*;
    use vcluster_netpol::filter::{Options, render};
    use vcluster_netpol::lint;

    /// A stream whose one object carries a config.
    fn stream(config: &str) -> String {
        let indented = config
            .lines()
            .fold(String::new(), |text, line| text + "      " + line + "\n");
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: a\n  labels: {{app: \
             vcluster, release: a}}\n  annotations:\n    vcluster-netpol/config: |\n{indented}"
        )
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("a".to_owned()),
            Just("\"\"".to_owned()),
            Just("'a b'".to_owned()),
            Just("yes".to_owned()),
            Just("~".to_owned()),
            Just("example.com/x".to_owned()),
            Just("1e3".to_owned()),
            "[a-zA-Z0-9._/-]{1,6}",
        ]
    }

    fn cidr() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("0.0.0.0/0".to_owned()),
            Just("10.0.0.0/8".to_owned()),
            Just("10.1.0.0/16".to_owned()),
            Just("10.1.2.3/8".to_owned()),
            Just("\"::/0\"".to_owned()),
            Just("\"fd00::/8\"".to_owned()),
            Just("\"::ffff:10.0.0.0/104\"".to_owned()),
            Just("010.0.0.0/8".to_owned()),
            Just("10.0.0.0".to_owned()),
        ]
    }

    fn port() -> impl Strategy<Value = String> {
        let number = prop_oneof![
            Just("0"),
            Just("80"),
            Just("\"80\""),
            Just("http"),
            Just("70000")
        ];
        let protocol = prop_oneof![Just(""), Just(", protocol: UDP"), Just(", protocol: udp")];
        let end = prop_oneof![Just(""), Just(", endPort: 90"), Just(", endPort: 1")];
        (number, end, protocol).prop_map(|(n, e, p)| format!("{{port: {n}{e}{p}}}"))
    }

    fn peer() -> impl Strategy<Value = String> {
        prop_oneof![
            (cidr(), prop::collection::vec(cidr(), 0..2))
                .prop_map(|(c, e)| format!("{{ipBlock: {{cidr: {c}, except: [{}]}}}}", e.join(", "))),
            (word(), word())
                .prop_map(|(k, v)| format!("{{podSelector: {{matchLabels: {{{k}: {v}}}}}}}")),
            (word(), word()).prop_map(|(k, v)| format!(
                "{{namespaceSelector: {{matchExpressions: [{{key: {k}, operator: In, values: [{v}]}}]}}}}"
            )),
            Just("{}".to_owned()),
        ]
    }

    prop_compose! {
        fn config()(
            cidr in cidr(),
            except in prop::collection::vec(cidr(), 0..3),
            labels in prop::collection::vec((word(), word()), 0..2),
            peers in prop::collection::vec(peer(), 0..3),
            ports in prop::collection::vec(port(), 0..3),
        ) -> String {
            let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}: {v}")).collect();
            let (peers, ports) = (peers.join(", "), ports.join(", "));
            format!(
                "enabled: true\nlabels: {{{}}}\nworkload:\n  publicEgress: {{cidr: {cidr}, except: \
                 [{}]}}\n  egress:\n  - {{to: [{peers}], ports: [{ports}]}}\ncontrolPlane:\n  \
                 ingress: [{{from: [{peers}]}}]\n",
                labels.join(", "),
                except.join(", "),
            )
        }
    }

    proptest! {
        fn what_the_filter_accepts_lint_accepts(config in config(), strict in any::<bool>()) {
            let cidr = if strict { CidrRule::From136 } else { CidrRule::UpTo135 };
            let stream = stream(&config);
            let options = Options { cidr, ..Options::default() };
            if let Ok(output) = render(stream.as_bytes(), &options) {
                let bytes = output.pieces.concat();
                let found = lint::policies(&bytes, None, &lint::Options { cidr, namespace: None });
                prop_assert_eq!(found.policies, 2);
                prop_assert!(!found.report.has_errors(), "{}\n{}", config, found.report);
            }
        }

        fn any_config_is_survived(
            config in r#"(?s)(enabled: true|labels|workload:|egress:|\{|\}|\[|\]|- |: |,|#|\n|  |&a|\*a|<<|!!int|"|'|[a-z0-9]|\||é|\t){0,40}"#,
        ) {
            let _ = render(stream(&config).as_bytes(), &Options::default());
            let _ = lint::policies(config.as_bytes(), None, &lint::Options::default());
            let policy = format!("kind: NetworkPolicy\nmetadata: {{name: a}}\nspec: {{{config}}}\n");
            let _ = lint::policies(policy.as_bytes(), None, &lint::Options::default());
        }

        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = lint::policies(&bytes, None, &lint::Options::default());
        }
    }

    crate::registry::tests! {
        fast: [what_the_filter_accepts_lint_accepts, any_config_is_survived, any_bytes_are_survived],
    }
}

fn utf_16_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: NAME}\n\
                  spec: {podSelector: {}}\n";
    for (name, accepted) in [("a", true), ("A", false)] {
        for little in [true, false] {
            let text = format!("\u{feff}{}", policy.replace("NAME", name));
            let bytes: Vec<u8> = text
                .encode_utf16()
                .flat_map(|unit| {
                    if little {
                        unit.to_le_bytes()
                    } else {
                        unit.to_be_bytes()
                    }
                })
                .collect();
            let path = folder.path().join("policy.yaml");
            std::fs::write(&path, bytes).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_vcluster-netpol"))
                .arg("lint")
                .arg(&path)
                .output()
                .unwrap();
            assert_eq!(output.status.success(), accepted, "{output:?}");
        }
    }
}

/// Nobody types a chart: without a file, a terminal is an error that says what to do.
fn a_terminal_is_no_input() {
    for words in ["", "lint", "explain", "audit"] {
        let call = format!("{} {words}", env!("CARGO_BIN_EXE_vcluster-netpol"));
        // It gives the program a terminal of its own, and passes on the exit code.
        let output = Command::new("script")
            .args(["-qec", &call, "/dev/null"])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("script of util-linux");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{words}: {shown}");
        assert!(
            shown.contains("standard input is a terminal"),
            "{words}: {shown}"
        );
    }
}

crate::registry::tests! {
    fast: [
        the_schema_agrees,
        utf_16_is_read,
        a_terminal_is_no_input,
    ],
}
