//! What must be true of every migration, and of the files that it writes. The runs of
//! `vcluster-netpol migrate` are in tests/cases/migrate.

use std::path::{Path, PathBuf};

use manifest::diagnostic::Location;
use vcluster_netpol::migrate::migrate;
use vcluster_netpol::values_files::chart::Chart;

fn run(text: &str) -> Result<String, String> {
    let place = Location {
        object: Some("before.yaml".to_owned()),
        ..Location::default()
    };
    migrate(text, &place, &Chart::Unknown)
        .map(|migration| migration.text)
        .map_err(|report| format!("{report}\n"))
}

pub(crate) mod random {
    //! Random configs, in block style and in flow style, before and after.

    use manifest::diagnostic::{Quoting, Severity};
    use manifest::yaml::Tree;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};
    use vcluster_netpol::vcluster::config::settings::{DEFAULT_EXCEPT, Settings};

    use super::run;

    fn rules() -> impl Strategy<Value = Value> {
        let rule = prop_oneof![
            Just(json!({})),
            Just(json!({"ports": [{"port": 80, "protocol": "TCP"}]})),
            Just(json!({"to": [{"ipBlock": {"cidr": "10.1.0.0/16", "except": ["10.1.2.0/24"]}}]})),
            Just(json!({"to": [{"podSelector": {}}], "ports": [{"port": "dns"}]})),
        ];
        prop_oneof![
            1 => Just(Value::Null),
            4 => prop::collection::vec(rule, 0..3).prop_map(Value::Array),
        ]
    }

    fn block() -> impl Strategy<Value = Map<String, Value>> {
        let cidr = prop_oneof![
            Just(json!("0.0.0.0/0")),
            Just(json!("10.0.0.0/7")),
            Just(json!("11.0.0.0/8")),
            Just(Value::Null),
        ];
        let except = prop_oneof![
            Just(json!(DEFAULT_EXCEPT)),
            Just(json!([])),
            Just(json!(["10.2.0.0/16"])),
        ];
        (prop::option::of(cidr), prop::option::of(except))
            .prop_map(|(cidr, except)| object([("cidr", cidr), ("except", except)]))
    }

    fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
        fields
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }

    prop_compose! {
        fn config()(
            enabled in prop::option::of(any::<bool>()),
            (old_cp, old_work) in (prop::option::of(rules()), prop::option::of(rules())),
            (new_cp, new_work) in (prop::option::weighted(0.3, rules()), prop::option::weighted(0.3, rules())),
            outgoing in prop::option::of((prop::option::of(any::<bool>()), prop::option::of(block()))),
            public in prop::option::weighted(0.3, (block(), prop::option::of(any::<bool>()))),
            ingress in prop::option::of(rules()),
        ) -> Value {
            let public = public.map(|(mut public, enabled)| {
                public.extend(object([("enabled", enabled.map(Value::Bool))]));
                Value::Object(public)
            });
            let outgoing = outgoing.map(|(platform, block)| Value::Object(object([
                ("platform", platform.map(Value::Bool)),
                ("ipBlock", block.map(Value::Object)),
            ])));
            let work = object([("egress", new_work), ("publicEgress", public), ("ingress", ingress)]);
            let cp = object([("egress", new_cp)]);
            let some = |map: Map<String, Value>| (!map.is_empty()).then_some(Value::Object(map));
            Value::Object(object([
                ("enabled", enabled.map(Value::Bool)),
                ("extraControlPlaneRules", old_cp),
                ("extraWorkloadRules", old_work),
                ("outgoingConnections", outgoing),
                ("workload", some(work)),
                ("controlPlane", some(cp)),
            ]))
        }
    }

    /// What a text means, whatever the fields are called; `None` where old and new differ.
    fn meaning(text: &str) -> Option<Value> {
        let tree = Tree::parse(text).unwrap();
        let node = tree
            .root()
            .unwrap()
            .dig(&["policies", "networkPolicy"])
            .unwrap();
        let (s, found) = Settings::from_json(node.to_json(), Quoting::Show).ok()?;
        if found.iter().any(|p| p.severity == Severity::Error) {
            return None;
        }
        Some(json!({
            "enabled": s.enabled,
            "public": [json!(s.public_egress.enabled), json!(s.public_egress.cidr), json!(s.public_egress.except)],
            "platform": s.platform,
            "work": s.workload.egress.iter().map(|r| json!(r.rule)).collect::<Vec<_>>(),
            "workIn": s.workload.ingress.iter().map(|r| json!(r.rule)).collect::<Vec<_>>(),
            "cp": s.control_plane.egress.iter().map(|r| json!(r.rule)).collect::<Vec<_>>(),
        }))
    }

    fn has_deprecated(text: &str) -> bool {
        let tree = Tree::parse(text).unwrap();
        let node = tree
            .root()
            .unwrap()
            .dig(&["policies", "networkPolicy"])
            .unwrap();
        [
            &["extraControlPlaneRules"][..],
            &["extraWorkloadRules"],
            &["outgoingConnections"],
        ]
        .iter()
        .any(|path| node.dig(path).is_some())
    }

    /// The beginning of a document, up to the indentation of the values in it, and their path.
    const EMBEDDED: [(&str, &str); 4] = [
        ("tenants:\n  blue:\n     ", "tenants.blue"),
        ("kind: HelmRelease\nspec:\n  values:\n    ", "spec.values"),
        (
            "kind: Application\nspec:\n  sources:\n  - helm:\n      values: | # text\n          ",
            "spec.sources[0].helm.values",
        ),
        (
            "kind: VCluster\nspec:\n  helmRelease:\n    values: |+\n\n     ",
            "spec.helmRelease.values",
        ),
    ];

    proptest! {
        fn settings_are_the_same_before_and_after(config in config(), flow in 0..3) {
            let values = json!({"a": 1, "policies": {"networkPolicy": config}, "z": [2]});
            let before = match flow {
                0 => serde_json::to_string_pretty(&values).unwrap(),
                1 => serde_yaml::to_string(&values).unwrap(),
                // Block style above, flow style below.
                _ => {
                    let mut text = "policies:\n  networkPolicy:\n    labels: {}\n".to_owned();
                    for (key, value) in config.as_object().unwrap() {
                        text = format!("{text}    {key}: {value}\n");
                    }
                    text
                }
            };
            if let Ok(after) = run(&before) {
                prop_assert!(!has_deprecated(&after), "{after}");
                if let Some(meaning_before) = meaning(&before) {
                    prop_assert_eq!(Some(meaning_before), meaning(&after), "{}\n{}", before, after);
                }
                prop_assert_eq!(run(&after), Ok(after));
            } else {
                // Without the Platform there is no successor.
                let meaning = meaning(&before).filter(|meaning| meaning["platform"] == true);
                prop_assert_eq!(meaning, None, "{}", before);
            }
        }

        /// Values in an object change as the same values in a file of their own.
        fn embedded_values_change_as_plain_ones(config in config()) {
            let values = json!({"a": "x\n\ny\n", "policies": {"networkPolicy": config}, "z": [2]});
            let plain = run(&serde_yaml::to_string(&values).unwrap());
            for (head, path) in EMBEDDED {
                let indentation = head.lines().last().unwrap_or_default();
                let text = serde_yaml::to_string(&values).unwrap();
                let lines: Vec<&str> = text.lines().collect();
                let lines = lines.join(&format!("\n{indentation}"));
                let before = format!("{head}{lines}\n");
                let after = run(&before);
                prop_assert_eq!(plain.is_ok(), after.is_ok(), "{}\n{:?}", before, after);
                let (Ok(plain), Ok(after)) = (&plain, &after) else { continue };
                let tree = Tree::parse(after).unwrap();
                let embedded = tree.root().unwrap().at_path(path).unwrap();
                let embedded = match embedded.text() {
                    Some(text) => Tree::parse(&text).unwrap().root().unwrap().to_json(),
                    None => embedded.to_json(),
                };
                let plain = Tree::parse(plain).unwrap().root().unwrap().to_json();
                prop_assert_eq!(plain, embedded, "{}", after);
                prop_assert_eq!(run(after), Ok(after.clone()));
            }
        }

        fn any_text_is_survived(text in r"(?s)(policies:|networkPolicy:|extraWorkloadRules:|\{|\}|\[|\]|- |#|\n|  |&a|\*a|[a-z]|:|\||é){0,40}") {
            let _ = run(&text);
        }
    }

    crate::registry::tests! {
        fast: [settings_are_the_same_before_and_after, embedded_values_change_as_plain_ones, any_text_is_survived],
    }
}

/// What vCluster's own converter made of values of charts up to 0.19. The cases lie beside the
/// repository, in the folder that `VCLUSTER_NETPOL_SHARED` names.
fn old_values_mean_what_the_converter_of_vcluster_makes_of_them() {
    use manifest::diagnostic::Quoting;
    use manifest::yaml::Tree;
    use serde_json::Value;
    use vcluster_netpol::vcluster::config::settings::Settings;

    let shared = std::env::var_os("VCLUSTER_NETPOL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let file = shared.join("corpus/legacy-convert.json");
    let Ok(text) = std::fs::read(&file) else {
        eprintln!("LEFT OUT: {} is not there", file.display());
        return;
    };
    let cases: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let settings = |text: &str| {
        let tree = Tree::parse(text).unwrap();
        let config = tree
            .root()
            .and_then(|root| root.dig(&["policies", "networkPolicy"]))
            .map_or_else(|| serde_json::json!({}), manifest::yaml::Node::to_json);
        Settings::from_json(config, Quoting::Show).unwrap().0
    };
    let mut compared = 0;
    for case in &cases {
        let before = case["input"].as_str().unwrap();
        if !before.contains("isolation:") {
            continue;
        }
        let converted = case["convert-k8s-v0.31.0"].as_str().unwrap();
        compared += 1;
        match run(before) {
            Ok(after) => assert_eq!(settings(&after), settings(converted), "{before}"),
            Err(_) => assert!(
                converted.starts_with("ERR") || before.contains("platform: false"),
                "{before}"
            ),
        }
    }
    assert!(compared > 0);
}

pub(crate) mod in_place {
    //! Files that are written: whole or not at all, and with all that is not text left as it was.

    use std::fs::{self, Permissions};
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::Path;
    use std::process::Command;

    use tempfile::TempDir;

    use crate::support::helm::{FILTER, Run, shell};

    const OLD: &str = "policies:\n  networkPolicy:\n    extraWorkloadRules:\n    - {}\n";

    /// A folder with an old file in it.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), OLD).unwrap();
        folder
    }

    /// A larger file than the limit of one block lets us write.
    fn large(folder: &TempDir) -> String {
        let text = format!("{OLD}#{}\n", "x".repeat(9000));
        fs::write(folder.path().join("a.yaml"), &text).unwrap();
        text
    }

    fn read(folder: &TempDir, name: &str) -> String {
        fs::read_to_string(folder.path().join(name)).unwrap()
    }

    fn names(folder: &TempDir) -> usize {
        fs::read_dir(folder.path()).unwrap().count()
    }

    fn mode_and_links_stay() {
        let folder = folder();
        let file = folder.path().join("a.yaml");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("a.yaml", folder.path().join("link")).unwrap();
        symlink("link", folder.path().join("link-to-link")).unwrap();
        let output = shell(
            folder.path(),
            "umask 077; \"$PROGRAM\" migrate -i link-to-link",
        );
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stderr.contains("link-to-link:3: "));
        assert!(read(&folder, "a.yaml").contains("egress:"));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        let link = fs::read_link(folder.path().join("link")).unwrap();
        assert_eq!(link, Path::new("a.yaml"));
        assert_eq!(names(&folder), 3, "nothing is left beside the file");
    }

    fn the_owner_stays_or_nothing_is_written() {
        let folder = folder();
        let file = folder.path().join("a.yaml");
        if std::os::unix::fs::chown(&file, Some(12345), Some(54321)).is_err() {
            // Only root can give files away.
            return;
        }
        let output = shell(folder.path(), "\"$PROGRAM\" migrate -i a.yaml");
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let now = fs::metadata(&file).unwrap();
        assert_eq!((now.uid(), now.gid()), (12345, 54321));
        assert!(read(&folder, "a.yaml").contains("egress:"));
    }

    /// Migrates files where no file may be larger than a block, which is an error.
    fn migrate_with_limit(folder: &TempDir, files: &str) -> Run {
        // The limit is an error for who ignores its signal, as a full disk is for everybody.
        let line = format!("trap '' XFSZ; ulimit -f 1; exec \"$PROGRAM\" migrate -i {files}");
        let output = shell(folder.path(), &line);
        assert_eq!(output.code, Some(3), "{}", output.stderr);
        output
    }

    fn a_file_that_cannot_be_written_whole_is_left_as_it_was() {
        let folder = folder();
        let text = large(&folder);
        let output = migrate_with_limit(&folder, "a.yaml");
        let said = &output.stderr;
        assert!(said.contains("a.yaml, which is left as it was"), "{said}");
        assert!(!said.contains(" -> "), "nothing has moved: {said}");
        assert_eq!(read(&folder, "a.yaml"), text);
        assert_eq!(names(&folder), 1, "nothing is left beside the file");
    }

    fn all_files_are_written_or_none() {
        let folder = folder();
        let text = large(&folder);
        fs::write(folder.path().join("0.yaml"), OLD).unwrap();
        let output = migrate_with_limit(&folder, "0.yaml a.yaml");
        assert_eq!(read(&folder, "0.yaml"), OLD);
        assert_eq!(read(&folder, "a.yaml"), text);
        assert!(!output.stderr.contains(" -> "));
        assert_eq!(names(&folder), 2);
    }

    fn a_killed_program_leaves_the_file_as_it_was() {
        let folder = folder();
        let text = large(&folder);
        let output = shell(
            folder.path(),
            "ulimit -c 0; ulimit -f 1; exec \"$PROGRAM\" migrate -i a.yaml",
        );
        assert_eq!(output.code, None, "a signal ends it");
        assert_eq!(read(&folder, "a.yaml"), text);
    }

    fn two_paths_to_one_file_are_one_file() {
        let folder = folder();
        symlink("a.yaml", folder.path().join("link")).unwrap();
        let output = shell(
            folder.path(),
            "\"$PROGRAM\" migrate -i a.yaml ./a.yaml link",
        );
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert_eq!(output.stderr.matches(" -> ").count(), 1);
        assert!(read(&folder, "a.yaml").contains("egress:"));
    }

    fn what_cannot_be_replaced_without_a_loss_is_refused() {
        for (prepare, file, said) in [
            ("ln a.yaml b.yaml", "a.yaml", "hard links"),
            ("mkfifo p", "p", "not a regular file"),
            ("true", "/dev/null", "not a regular file"),
            ("ln -s nothing l", "l", "can't read l"),
        ] {
            let folder = folder();
            let line = format!("{prepare}; \"$PROGRAM\" migrate -i {file}");
            let output = shell(folder.path(), &line);
            assert_eq!(output.code, Some(3), "{line}: {}", output.stderr);
            assert!(output.stderr.contains(said), "{line}: {}", output.stderr);
            assert_eq!(read(&folder, "a.yaml"), OLD, "{line}");
        }
        let folder = folder();
        let output = shell(folder.path(), "\"$PROGRAM\" migrate -i - <a.yaml");
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        assert_eq!(names(&folder), 1, "no file is called -");
    }

    fn a_folder_that_cannot_be_written_is_named() {
        let folder = folder();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
        // Root may write everywhere, so there is nothing to see.
        let is_root = fs::write(folder.path().join("probe"), "").is_ok();
        if !is_root {
            let output = shell(folder.path(), "\"$PROGRAM\" migrate -i a.yaml");
            assert_eq!(output.code, Some(3));
            assert!(output.stderr.contains("make the folder writable"));
            assert_eq!(read(&folder, "a.yaml"), OLD);
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    }

    fn the_file_that_is_read_is_not_the_output() {
        let folder = folder();
        for line in ["migrate a.yaml", "migrate <a.yaml", "migrate - <a.yaml"] {
            let output = shell(folder.path(), &format!("\"$PROGRAM\" {line} >>a.yaml"));
            assert_eq!(output.code, Some(3), "{line}");
            assert_eq!(read(&folder, "a.yaml"), OLD, "{line}");
        }
    }

    fn a_name_needs_no_utf8() {
        let folder = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"\xffa.yaml");
        fs::write(folder.path().join(name), OLD).unwrap();
        let mut command = Command::new(FILTER);
        command.args(["migrate", "-i"]).arg(name);
        let output = Run::of(command.current_dir(folder.path()), "");
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.contains("egress:"));
    }

    crate::registry::tests! {
        fast: [mode_and_links_stay, the_owner_stays_or_nothing_is_written, a_file_that_cannot_be_written_whole_is_left_as_it_was, all_files_are_written_or_none, a_killed_program_leaves_the_file_as_it_was, two_paths_to_one_file_are_one_file, what_cannot_be_replaced_without_a_loss_is_refused, a_folder_that_cannot_be_written_is_named, the_file_that_is_read_is_not_the_output, a_name_needs_no_utf8],
    }
}

crate::registry::tests! {
    fast: [
    ],
    slow: [
        old_values_mean_what_the_converter_of_vcluster_makes_of_them,
    ],
}
