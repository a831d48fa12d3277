//! The config management plugin: the very command of argocd/plugin.yaml, in the environment that
//! Argo CD gives it and no other, with the real Helm 3 and Helm 4.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use serde_yaml::Value;

use crate::support::helm::{ALL, FILTER, FOURS, Helm, Run};
use crate::support::stream::documents;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A file of argocd/, read.
fn manifest(name: &str) -> Value {
    let text = fs::read_to_string(Path::new(ROOT).join("argocd").join(name)).expect("a file");
    serde_yaml::from_str(&text).expect("YAML")
}

/// The sidecar's checkout of a repository, with the chart in a folder below.
struct Checkout {
    folder: tempfile::TempDir,
}

impl Checkout {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let checkout = Self { folder };
        fs::create_dir_all(checkout.path("repo/apps")).expect("a folder");
        fs::create_dir_all(checkout.path("bin")).expect("a folder");
        symlink(FILTER, checkout.path("bin/vcluster-netpol")).expect("a link");
        let status = Command::new("cp")
            .arg("-r")
            .arg(Path::new(ROOT).join("tests/charts/vcluster-mini"))
            .arg(checkout.app())
            .status()
            .expect("cp starts");
        assert!(status.success());
        checkout.write(
            "repo/apps/a/on.yaml",
            "policies: {networkPolicy: {enabled: true}}\n",
        );
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn app(&self) -> PathBuf {
        self.path("repo/apps/a")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    /// Runs the plugin's command as Argo CD does.
    fn generate(&self, helm: Helm, variables: &[(&str, &str)]) -> Run {
        let plugin = manifest("plugin.yaml");
        let generate = &plugin["spec"]["generate"];
        let words: Vec<&str> = ["command", "args"]
            .iter()
            .filter_map(|key| generate[*key].as_sequence())
            .flatten()
            .map(|word| word.as_str().expect("a word"))
            .collect();
        let link = self.path("bin/helm");
        if link.exists() {
            fs::remove_file(&link).expect("an old link");
        }
        symlink(helm.program(), &link).expect("a link");
        let mut command = Command::new("env");
        command
            .current_dir(self.app())
            .arg("-i")
            .arg(format!("PATH={}:/usr/bin:/bin", self.path("bin").display()))
            .arg(format!("TMPDIR={}", self.path("").display()))
            .args([
                "ARGOCD_APP_NAME=my-vcluster",
                "ARGOCD_APP_NAMESPACE=team-x",
                "ARGOCD_APP_PROJECT_NAME=default",
                "ARGOCD_APP_REVISION=0123456789abcdef0123456789abcdef01234567",
                "ARGOCD_APP_SOURCE_PATH=apps/a",
                "ARGOCD_APP_SOURCE_REPO_URL=https://git.example.com/r.git",
                "ARGOCD_APP_SOURCE_TARGET_REVISION=main",
                "KUBE_VERSION=1.35",
                "KUBE_API_VERSIONS=v1,apps/v1,example.com/v1/Widget",
            ])
            .args(variables.iter().map(|(k, v)| format!("{k}={v}")))
            .args(words);
        Run::of(&mut command, "")
    }

    /// The same with these parameters, handed over in both of Argo CD's ways.
    fn with(&self, helm: Helm, parameters: &serde_json::Value) -> Run {
        self.generate(helm, &[("ARGOCD_APP_PARAMETERS", &parameters.to_string())])
    }
}

fn values_files(files: &[&str]) -> serde_json::Value {
    json!([{"name": "values-files", "array": files}])
}

/// The names of the network policies in a stream, and their namespaces.
fn policies(printed: &str) -> Vec<(String, String)> {
    documents(printed)
        .iter()
        .filter(|document| document.is_policy())
        .map(|document| {
            let namespace = document.value["metadata"]["namespace"].as_str();
            (
                document.name().to_owned(),
                namespace.unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

fn both(release: &str, namespace: &str) -> Vec<(String, String)> {
    ["work", "cp"]
        .iter()
        .map(|kind| (format!("vc-{kind}-{release}"), namespace.to_owned()))
        .collect()
}

fn a_good_application_gets_its_policies() {
    let checkout = Checkout::new();
    for helm in ALL {
        let printed = checkout.with(helm, &values_files(&["on.yaml"])).printed();
        assert_eq!(policies(&printed), both("my-vcluster", "team-x"), "{helm}");
        let kinds: Vec<_> = documents(&printed)
            .iter()
            .map(|document| document.kind().to_owned())
            .collect();
        for kind in ["StatefulSet", "Secret", "Job", "CustomResourceDefinition"] {
            assert!(
                kinds.iter().any(|k| k == kind),
                "{helm}: no {kind} in {kinds:?}"
            );
        }
    }
}

fn parameters_come_as_json_or_one_by_one() {
    let checkout = Checkout::new();
    for helm in ALL {
        let json = json!([
            {"name": "release-name", "string": "other"},
            {"name": "namespace", "string": "elsewhere"},
            {"name": "values-files", "array": ["on.yaml"]},
            {"name": "skip-crds", "string": "true"},
        ]);
        let printed = checkout.with(helm, &json).printed();
        assert_eq!(policies(&printed), both("other", "elsewhere"), "{helm}");
        assert!(!printed.contains("CustomResourceDefinition"), "{helm}");

        let run = checkout.generate(
            helm,
            &[
                ("PARAM_RELEASE_NAME", "other"),
                ("PARAM_NAMESPACE", "elsewhere"),
                ("PARAM_VALUES_FILES_0", "on.yaml"),
                ("PARAM_SKIP_CRDS", "true"),
            ],
        );
        assert_eq!(run.printed(), printed, "{helm}");

        let run = checkout.generate(
            helm,
            &[
                ("ARGOCD_ENV_RELEASE_NAME", "other"),
                ("ARGOCD_ENV_NAMESPACE", "elsewhere"),
                ("ARGOCD_ENV_VALUES_FILES", "on.yaml"),
                ("ARGOCD_ENV_SKIP_CRDS", "true"),
            ],
        );
        assert_eq!(run.printed(), printed, "{helm}");
    }
}

fn values_and_single_values_and_config_files_are_taken() {
    let checkout = Checkout::new();
    for helm in ALL {
        for parameters in [
            json!([{"name": "values", "string": "policies: {networkPolicy: {enabled: true}}"}]),
            json!([{"name": "set", "map": {"policies.networkPolicy.enabled": "true"}}]),
            json!([{"name": "config-files", "array": ["on.yaml"]}]),
        ] {
            let printed = checkout.with(helm, &parameters).printed();
            assert_eq!(
                policies(&printed),
                both("my-vcluster", "team-x"),
                "{helm}, {parameters}"
            );
        }
    }
}

fn the_chart_sees_the_cluster() {
    let checkout = Checkout::new();
    checkout.write(
        "repo/apps/a/templates/seen.yaml",
        "kind: ConfigMap\nmetadata: {name: seen}\ndata:\n  version: {{ .Capabilities.KubeVersion | quote }}\n  \
         widget: {{ .Capabilities.APIVersions.Has \"example.com/v1/Widget\" | quote }}\n",
    );
    for helm in ALL {
        let printed = checkout.generate(helm, &[]).printed();
        let stream = documents(&printed);
        let seen = stream
            .iter()
            .find(|document| document.name() == "seen")
            .expect("the template");
        assert_eq!(seen.value["data"]["widget"], "true", "{helm}");
        let version = seen.value["data"]["version"].as_str().expect("a version");
        assert!(version.contains("1.35"), "{helm}: {version}");
    }
}

fn a_failing_chart_fails_the_application() {
    let checkout = Checkout::new();
    checkout.write(
        "repo/apps/a/templates/bad.yaml",
        "{{ fail \"on purpose\" }}\n",
    );
    for helm in ALL {
        let run = checkout.with(helm, &values_files(&["on.yaml"]));
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{helm}");
        assert!(run.stderr.contains("on purpose"), "{helm}: {}", run.stderr);
    }
}

fn a_missing_values_file_fails_the_application() {
    let checkout = Checkout::new();
    for helm in ALL {
        let run = checkout.with(helm, &values_files(&["on.yaml", "missing.yaml"]));
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{helm}");
        assert!(
            run.stderr.contains("can't read missing.yaml"),
            "{helm}: {}",
            run.stderr
        );
    }
}

fn a_refused_config_fails_the_application() {
    let checkout = Checkout::new();
    checkout.write(
        "repo/apps/a/bad.yaml",
        "policies: {networkPolicy: {enabled: true, publicEgress: 1}}\n",
    );
    for helm in ALL {
        let run = checkout.with(helm, &values_files(&["bad.yaml"]));
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{helm}");
        assert!(
            run.stderr.contains("publicEgress"),
            "{helm}: {}",
            run.stderr
        );
    }
}

fn a_chart_that_renders_nothing_is_nothing() {
    let checkout = Checkout::new();
    for folder in ["templates", "charts", "crds"] {
        fs::remove_dir_all(checkout.app().join(folder)).expect("removed");
    }
    checkout.write(
        "repo/apps/a/Chart.yaml",
        "apiVersion: v2\nname: empty\nversion: 1.0.0\n",
    );
    for helm in ALL {
        let run = checkout.generate(helm, &[]);
        assert_eq!(run.code, Some(0), "{helm}: {}", run.stderr);
        assert_eq!(run.stdout.trim(), "", "{helm}");
    }
}

fn files_lie_in_the_repository() {
    FOURS.into_iter().for_each(files_lie_in_the_repository_with);
}

fn files_lie_in_the_repository_with(helm: Helm) {
    let checkout = Checkout::new();
    checkout.write(
        "repo/shared.yaml",
        "policies: {networkPolicy: {enabled: true}}\n",
    );
    checkout.write(
        "outside.yaml",
        "policies: {networkPolicy: {enabled: true}}\n",
    );
    symlink(
        checkout.path("outside.yaml"),
        checkout.app().join("link.yaml"),
    )
    .expect("a link");
    for name in ["/shared.yaml", "../../shared.yaml"] {
        let printed = checkout.with(helm, &values_files(&[name])).printed();
        assert_eq!(policies(&printed), both("my-vcluster", "team-x"), "{name}");
    }
    for (name, said) in [
        ("../../../outside.yaml", "leads out of"),
        ("link.yaml", "leads out of"),
        ("http://127.0.0.1:1/values.yaml", "nothing is fetched"),
        ("$values/team/values.yaml", "put team/values.yaml into"),
        ("on.yaml,../../shared.yaml", "a comma"),
    ] {
        let run = checkout.with(helm, &values_files(&[name]));
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{name}");
        assert!(run.stderr.contains(said), "{name}: {}", run.stderr);
        let config = json!([{"name": "config-files", "array": [name]}]);
        let run = checkout.with(helm, &config);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{name}");
    }
}

/// A program in the place of Helm, that says in comments which folders it was given.
fn folders_of_helm(checkout: &Checkout, variables: &[(&str, &str)]) -> Run {
    use std::os::unix::fs::PermissionsExt as _;

    let script = checkout.path("bin/helm-that-tells");
    let text = "#!/bin/sh\n\
        for home in \"$HELM_CACHE_HOME\" \"$HELM_CONFIG_HOME\" \"$HELM_DATA_HOME\"; do\n\
        mkdir -p \"$home\" && echo \"# $home $(stat -c %a \"${home%/*}\")\"\n\
        done\n";
    fs::write(&script, text).expect("a file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a program");
    let program = format!("HELM_BIN={}", script.display());
    let (name, value) = program.split_once('=').expect("both");
    let variables = [variables, &[(name, value)]].concat();
    checkout.generate(Helm::Four, &variables)
}

fn the_folders_of_helm_are_private_and_go_away() {
    let checkout = Checkout::new();
    let temporary = || {
        let entries = fs::read_dir(checkout.path("")).expect("a folder");
        let mut names: Vec<_> = entries.map(|e| e.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let before = temporary();
    let run = || folders_of_helm(&checkout, &[]).printed();
    let (first, second) = (run(), run());
    assert_ne!(first, second, "nobody foresees the name");
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines.len(), 3, "{first}");
    for (line, folder) in lines.iter().zip(["/cache", "/config", "/data"]) {
        let start = format!("# {}vcluster-netpol-", checkout.path("").display());
        assert!(line.starts_with(&start), "{line}");
        assert!(line.ends_with(&format!("{folder} 700")), "{line}");
    }
    assert_eq!(temporary(), before, "nothing is left");

    let cache = checkout.path("cache");
    let named = [("HELM_CACHE_HOME", cache.to_str().expect("UTF-8"))];
    let told = folders_of_helm(&checkout, &named).printed();
    assert!(
        told.starts_with(&format!("# {} ", cache.display())),
        "{told}"
    );
    assert!(cache.exists(), "what the caller names stays");
}

fn a_release_name_is_no_option() {
    let checkout = Checkout::new();
    for helm in ALL {
        let json = json!([{"name": "release-name", "string": "--post-renderer=touch"}]);
        let run = checkout.with(helm, &json);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{helm}");
        assert!(
            run.stderr.contains("release name"),
            "{helm}: {}",
            run.stderr
        );
    }
}

fn dependencies_are_built_where_none_is_there() {
    let checkout = Checkout::new();
    fs::rename(
        checkout.app().join("charts/sidekick"),
        checkout.path("repo/apps/sidekick"),
    )
    .expect("moved");
    fs::remove_dir(checkout.app().join("charts")).expect("removed");
    let chart = fs::read_to_string(checkout.app().join("Chart.yaml")).expect("a chart");
    let chart = chart.replace("repository: \"\"", "repository: \"file://../sidekick\"");
    checkout.write("repo/apps/a/Chart.yaml", &chart);
    for helm in ALL {
        let run = checkout.with(helm, &values_files(&["on.yaml"]));
        assert!(run.code == Some(0), "{helm}: {}", run.stderr);
        let stream = documents(&run.stdout);
        assert_eq!(
            policies(&run.stdout),
            both("my-vcluster", "team-x"),
            "{helm}"
        );
        assert!(
            stream
                .iter()
                .any(|document| document.name() == "sidekick-my-vcluster"),
            "{helm}: the dependency"
        );
        fs::remove_dir_all(checkout.app().join("charts")).expect("removed");
    }
}

/// A chart that depends on vCluster passes to it only the values below the dependency's alias.
fn a_config_outside_of_the_dependency_is_reported() {
    let checkout = Checkout::new();
    fs::create_dir_all(checkout.path("repo/apps/wrapper/charts")).expect("a folder");
    fs::rename(
        checkout.app(),
        checkout.path("repo/apps/wrapper/charts/vcluster"),
    )
    .expect("moved");
    fs::rename(checkout.path("repo/apps/wrapper"), checkout.app()).expect("moved");
    checkout.write(
        "repo/apps/a/Chart.yaml",
        "apiVersion: v2\nname: wrapper\nversion: 1.0.0\ndependencies:\n\
         - {name: vcluster, alias: blue, version: 0.31.0, repository: \"\"}\n",
    );
    let on = "policies: {networkPolicy: {enabled: true}}\n";
    checkout.write("repo/apps/a/outside.yaml", on);
    checkout.write("repo/apps/a/below.yaml", &format!("blue:\n  {on}"));
    let warning = "warning[VNP128]: policies.networkPolicy: the config is outside of the values";
    for helm in ALL {
        let run = checkout.with(helm, &values_files(&["below.yaml"]));
        assert_eq!(
            policies(&run.printed()),
            both("my-vcluster", "team-x"),
            "{helm}"
        );
        let warned = [
            values_files(&["outside.yaml"]),
            json!([{"name": "values", "string": on}]),
            json!([{"name": "set", "map": {"policies.networkPolicy.enabled": "true"}}]),
        ];
        for parameters in warned {
            let run = checkout.with(helm, &parameters);
            assert_eq!(run.code, Some(0), "{helm}: {}", run.stderr);
            assert_eq!(policies(&run.stdout), [], "{helm}");
            assert!(run.stderr.contains(warning), "{helm}: {}", run.stderr);
            assert!(
                run.stderr.contains("write it as blue.policies"),
                "{helm}: {}",
                run.stderr
            );
            assert!(
                run.stderr.contains("NOT ISOLATED"),
                "{helm}: {}",
                run.stderr
            );
        }
    }
}

fn the_manifests_fit_together() {
    let plugin = manifest("plugin.yaml");
    assert_eq!(plugin["kind"], "ConfigManagementPlugin");
    let name = plugin["metadata"]["name"].as_str().expect("a name");
    assert!(
        plugin["spec"].get("discover").is_none(),
        "it would take every chart"
    );
    assert!(
        plugin["spec"].get("version").is_none(),
        "applications give the name alone"
    );
    let announced: Vec<&str> = plugin["spec"]["parameters"]["static"]
        .as_sequence()
        .expect("parameters")
        .iter()
        .map(|parameter| parameter["name"].as_str().expect("a name"))
        .collect();

    let application = manifest("application.yaml");
    let used = &application["spec"]["source"]["plugin"];
    assert_eq!(used["name"], name);
    for parameter in used["parameters"].as_sequence().expect("parameters") {
        let name = parameter["name"].as_str().expect("a name");
        assert!(announced.contains(&name), "{name} is not announced");
    }

    // Each announced parameter is known, and no other is.
    let checkout = Checkout::new();
    for name in announced {
        let kind = plugin["spec"]["parameters"]["static"]
            .as_sequence()
            .and_then(|all| all.iter().find(|p| p["name"] == name))
            .and_then(|p| p["collectionType"].as_str());
        let parameter = match kind {
            Some("array") => json!([{"name": name, "array": []}]),
            Some("map") => json!([{"name": name, "map": {}}]),
            _ => json!([{"name": name, "string": ""}]),
        };
        for helm in FOURS {
            checkout.with(helm, &parameter).printed();
        }
    }
    let run = checkout.with(Helm::Four, &json!([{"name": "value-files", "array": []}]));
    assert_eq!(run.code, Some(2));

    let patch = manifest("sidecar-patch.yaml");
    let container = &patch["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"][0], "/var/run/argocd/argocd-cmp-server");
    assert_eq!(container["securityContext"]["runAsUser"], 999);
    for variable in container["env"].as_sequence().expect("variables") {
        let value = variable["value"].as_str().expect("a value");
        assert!(value.starts_with("/tmp/"), "{value}");
    }
}

crate::registry::tests! {
    slow: [
        a_good_application_gets_its_policies,
        parameters_come_as_json_or_one_by_one,
        values_and_single_values_and_config_files_are_taken,
        the_chart_sees_the_cluster,
        a_failing_chart_fails_the_application,
        a_missing_values_file_fails_the_application,
        a_refused_config_fails_the_application,
        a_chart_that_renders_nothing_is_nothing,
        files_lie_in_the_repository,
        the_folders_of_helm_are_private_and_go_away,
        a_release_name_is_no_option,
        dependencies_are_built_where_none_is_there,
        a_config_outside_of_the_dependency_is_reported,
        the_manifests_fit_together,
    ],
}
