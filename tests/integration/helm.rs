//! The filter as the post-renderer of the real Helm 3 and both real Helm 4, on a small chart that
//! has the objects of the vCluster chart, and beside them whatever else a chart can hold.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::cluster::Cluster;
use crate::support::helm::{ALL, FILTER, FOURS, Helm, PLUGIN, Run, kubectl};
use crate::support::stream::{Document, documents};

/// The small chart.
const MINI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charts/vcluster-mini");

/// An umbrella chart for it.
const UMBRELLA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/charts/umbrella");

/// Switches the policies on.
const ENABLED: &str = "--set=policies.networkPolicy.enabled=true";

/// Makes the chart render two policies of its own.
const OWN: &str = "--set=renderPolicies=true";

/// The template that the two policies belong to, in the chart and where it renders none.
const TEMPLATE: &str = "vcluster/templates/networkpolicy.yaml";

/// Names that Kubernetes allows and that YAML reads as something else, and the longest of all.
const NAMES: [&str; 5] = [
    "my-vcluster",
    "123",
    "1e3",
    "true",
    "a-release-name-of-fifty-three-characters-in-all-01234",
];

/// `helm template NAME` of the small chart in the namespace team-x.
fn template(helm: Helm, name: &str, flags: &[&str]) -> Run {
    let words = ["template", name, MINI, "--namespace=team-x"];
    helm.run(words.iter().chain(flags))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A file of a test's own.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let file = folder.path().join(name);
    fs::write(&file, text).expect("a file");
    path(&file).to_owned()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The documents that are no network policy, byte for byte.
fn others(stream: &[Document]) -> Vec<&str> {
    stream
        .iter()
        .filter(|document| !document.is_policy())
        .map(|document| document.text.as_str())
        .collect()
}

/// The names of the network policies, in their order.
fn policies(stream: &[Document]) -> Vec<&str> {
    stream
        .iter()
        .filter(|document| document.is_policy())
        .map(Document::name)
        .collect()
}

/// Where the document of this kind and name stands.
#[track_caller]
fn place(stream: &[Document], kind: &str, name: &str) -> usize {
    stream
        .iter()
        .position(|document| document.kind() == kind && document.name() == name)
        .unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn the_two_policies_are_injected_and_nothing_else_changes() {
    for helm in ALL {
        let unchanged = template(helm, "my-vcluster", &[ENABLED, helm.unchanged()]).printed();
        let filtered = template(helm, "my-vcluster", &[ENABLED, helm.filtered()]).printed();
        let (unchanged, filtered) = (documents(&unchanged), documents(&filtered));

        assert_eq!(policies(&unchanged), [""; 0], "{helm}");
        assert_eq!(
            policies(&filtered),
            ["vc-work-my-vcluster", "vc-cp-my-vcluster"],
            "{helm}"
        );
        assert_eq!(others(&filtered), others(&unchanged), "{helm}");
        for policy in filtered.iter().filter(|document| document.is_policy()) {
            assert_eq!(policy.source.as_deref(), Some(TEMPLATE), "{helm}");
            let metadata = &policy.value["metadata"];
            assert_eq!(metadata["namespace"], "team-x", "{helm}");
            assert_eq!(metadata["labels"]["app"], "vcluster", "{helm}");
            assert_eq!(metadata["labels"]["chart"], "vcluster-0.31.0", "{helm}");
            assert_eq!(metadata["labels"]["release"], "my-vcluster", "{helm}");
            assert_eq!(metadata["labels"]["heritage"], "Helm", "{helm}");
            assert!(
                metadata.get("annotations").is_none(),
                "{helm}: Helm 4's own annotation is gone, and nobody asked for another:\n{}",
                policy.text
            );
        }
    }
}

fn the_policies_come_before_anything_that_runs() {
    for helm in ALL {
        let printed = template(helm, "my-vcluster", &[ENABLED, helm.filtered()]).printed();
        let stream = documents(&printed);
        let cp = place(&stream, "NetworkPolicy", "vc-cp-my-vcluster");
        assert!(
            cp < place(&stream, "StatefulSet", "my-vcluster"),
            "{helm}:\n{printed}"
        );
    }
}

fn policies_that_the_chart_rendered_are_replaced_in_their_places() {
    for helm in ALL {
        let with = |flag| template(helm, "my-vcluster", &[ENABLED, OWN, flag]).printed();
        let unchanged = documents(&with(helm.unchanged()));
        let filtered = documents(&with(helm.filtered()));

        let order = |stream: &[Document]| -> Vec<(String, String)> {
            stream
                .iter()
                .map(|document| (document.kind().to_owned(), document.name().to_owned()))
                .collect()
        };
        assert_eq!(order(&filtered), order(&unchanged), "{helm}");
        assert_eq!(others(&filtered), others(&unchanged), "{helm}");
        for (ours, theirs) in filtered.iter().zip(&unchanged) {
            assert_eq!(ours.source, theirs.source, "{helm}");
            if ours.is_policy() {
                assert!(theirs.text.contains("rendered-by: chart"), "{helm}");
                assert!(!ours.text.contains("rendered-by"), "{helm}:\n{}", ours.text);
                assert_eq!(
                    ours.value["spec"]["policyTypes"],
                    serde_yaml::from_str::<serde_yaml::Value>("[Egress, Ingress]").expect("YAML"),
                    "{helm}"
                );
            }
        }
    }
}

fn disabled_policies_leave_everything_to_helm() {
    for helm in ALL {
        for own in ["--set=renderPolicies=false", OWN] {
            let with = |flag| template(helm, "my-vcluster", &[own, flag]).printed();
            let filtered = with(helm.filtered());
            assert_eq!(filtered, with(helm.unchanged()), "{helm}");
            if helm == Helm::Three {
                let without = template(helm, "my-vcluster", &[own]).printed();
                assert_eq!(filtered, without);
            }
        }
    }
}

fn show_only_selects_the_injected_policies_and_the_replaced_ones() {
    let show = "--show-only=templates/networkpolicy.yaml";
    for helm in ALL {
        for own in ["--set=renderPolicies=false", OWN] {
            let shown = template(helm, "my-vcluster", &[ENABLED, own, show, helm.filtered()]);
            let shown = documents(&shown.printed());
            assert_eq!(
                policies(&shown),
                ["vc-work-my-vcluster", "vc-cp-my-vcluster"],
                "{helm}, {own}"
            );
            assert_eq!(others(&shown), [""; 0], "{helm}, {own}");
        }
    }
}

fn show_only_still_selects_every_other_template() {
    for helm in ALL {
        for template_file in ["config-secret.yaml", "statefulset.yaml", "service.yaml"] {
            let show = format!("--show-only=templates/{template_file}");
            let shown = template(helm, "my-vcluster", &[ENABLED, &show, helm.filtered()]);
            let unchanged = template(helm, "my-vcluster", &[ENABLED, &show, helm.unchanged()]);
            assert_eq!(shown.printed(), unchanged.printed(), "{helm}");
        }
    }
}

fn arguments_reach_the_filter() {
    let folder = folder();
    let config = file(
        &folder,
        "my config.yaml",
        "policies:\n  networkPolicy:\n    enabled: true\n    labels: {team: platform}\n",
    );
    let config = format!("--post-renderer-args={config}");
    for helm in ALL {
        let flags = ["--post-renderer-args=--config", &config, helm.filtered()];
        // The chart itself leaves the policies disabled.
        let run = template(helm, "my-vcluster", &flags);
        let stream = documents(&run.printed());
        let work = &stream[place(&stream, "NetworkPolicy", "vc-work-my-vcluster")];
        assert_eq!(
            work.value["metadata"]["labels"]["team"], "platform",
            "{helm}"
        );
    }
}

fn the_annotation_configures_what_the_values_leave_out() {
    let folder = folder();
    let values = file(
        &folder,
        "values.yaml",
        "controlPlane:\n  statefulSet:\n    annotations:\n      vcluster-netpol/config: |\n        \
         enabled: true\n        workload:\n          publicEgress:\n            enabled: false\n",
    );
    let values = format!("--values={values}");
    for helm in ALL {
        let stream =
            documents(&template(helm, "my-vcluster", &[&values, helm.filtered()]).printed());
        let work = &stream[place(&stream, "NetworkPolicy", "vc-work-my-vcluster")];
        let egress = work.value["spec"]["egress"].as_sequence().expect("rules");
        assert_eq!(egress.len(), 2, "{helm}: no public egress:\n{}", work.text);
        place(&stream, "NetworkPolicy", "vc-cp-my-vcluster");
    }
}

/// What kubectl takes a stream for, its own parser included.
fn read_by_kubectl(helm: Helm, cluster: &Cluster, stream: &str) -> Vec<Value> {
    let folder = folder();
    let flags = [
        "create",
        "--filename=-",
        "--dry-run=client",
        "--validate=false",
        "--output=json",
    ];
    let mut command = kubectl(helm, flags);
    command.env("KUBECONFIG", cluster.kubeconfig(folder.path()));
    let printed = Run::of(&mut command, stream).printed();
    // One object is printed as it is, several as one JSON text after the other, or as a List.
    serde_json::Deserializer::from_str(&printed)
        .into_iter::<Value>()
        .flat_map(|object| {
            let object = object.expect("JSON");
            match object["items"].as_array() {
                Some(items) if object["kind"] == "List" => items.clone(),
                _ => vec![object],
            }
        })
        .collect()
}

/// Every label and selector of a policy of a release, held against what it must say.
#[track_caller]
fn assert_names_are_strings(policy: &Value, name: &str) {
    let metadata = &policy["metadata"];
    assert_eq!(metadata["labels"]["release"], name);
    assert_eq!(metadata["namespace"], "team-x");
    let spec = &policy["spec"];
    let selector = if metadata["name"] == format!("vc-work-{name}") {
        "vcluster.loft.sh/managed-by"
    } else {
        assert_eq!(metadata["name"], format!("vc-cp-{name}"));
        "release"
    };
    assert_eq!(spec["podSelector"]["matchLabels"][selector], name);
    for (direction, peers) in [("egress", "to"), ("ingress", "from")] {
        let rules = spec[direction].as_array().expect("rules");
        let selected: Vec<&Value> = rules
            .iter()
            .filter_map(|rule| rule[peers].as_array())
            .flatten()
            .filter_map(|peer| peer["podSelector"]["matchLabels"].as_object())
            .flat_map(|labels| labels.values())
            .collect();
        assert!(selected.iter().any(|value| *value == name));
        assert!(
            selected.iter().all(|value| value.is_string()),
            "{selected:?}"
        );
    }
}

fn kubectl_reads_every_release_name_as_a_string() {
    let cluster = Cluster::start();
    for helm in ALL {
        for name in NAMES {
            let show = "--show-only=templates/networkpolicy.yaml";
            let printed = template(helm, name, &[ENABLED, show, helm.filtered()]).printed();
            let objects = read_by_kubectl(helm, &cluster, &printed);
            assert_eq!(objects.len(), 2, "{helm}, {name}:\n{printed}");
            for policy in &objects {
                assert_names_are_strings(policy, name);
            }
        }
    }
}

fn hooks_custom_resources_and_subcharts_survive() {
    for helm in ALL {
        let with =
            |flag| template(helm, "my-vcluster", &[ENABLED, "--include-crds", flag]).printed();
        let (filtered, unchanged) = (with(helm.filtered()), with(helm.unchanged()));
        let stream = documents(&filtered);
        assert_eq!(others(&stream), others(&documents(&unchanged)), "{helm}");

        place(&stream, "CustomResourceDefinition", "widgets.example.com");
        place(&stream, "Widget", "anchored");
        let hook = &stream[place(&stream, "Job", "before-my-vcluster")];
        assert_eq!(
            hook.value["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade",
            "{helm}"
        );
        let decoy = &stream[place(&stream, "ConfigMap", "sidekick-my-vcluster")];
        assert!(
            decoy.value["data"]["decoy"]
                .as_str()
                .is_some_and(|text| text.contains("name: vc-work-my-vcluster")),
            "{helm}"
        );
    }
}

/// `helm install NAME` of the small chart, with the stand-in for the API server in reach, which
/// Helm 3 asks even under `--dry-run=client`.
fn install(helm: Helm, cluster: &Cluster, name: &str, flags: &[&str]) -> Run {
    let folder = folder();
    let words = [
        "install",
        name,
        MINI,
        "--namespace=team-x",
        "--skip-crds",
        "--disable-openapi-validation",
        ENABLED,
    ];
    let mut command = helm.command(words.iter().chain(flags));
    command.env("KUBECONFIG", cluster.kubeconfig(folder.path()));
    Run::of(&mut command, "")
}

fn a_dry_run_of_install_shows_the_policies_the_hooks_and_the_notes() {
    let cluster = Cluster::start();
    for helm in ALL {
        for name in NAMES {
            let flags = ["--dry-run=client", helm.filtered()];
            let printed = install(helm, &cluster, name, &flags).printed();
            let manifest = printed
                .split_once("\nMANIFEST:\n")
                .and_then(|(_, rest)| rest.split_once("\nNOTES:\n"))
                .unwrap_or_else(|| panic!("{helm} shows no manifest:\n{printed}"));
            let stream = documents(manifest.0);
            assert_eq!(
                policies(&stream),
                [format!("vc-work-{name}"), format!("vc-cp-{name}")],
                "{helm}"
            );
            assert!(
                manifest.1.starts_with(&format!("The notes of {name}:")),
                "{helm}:\n{}",
                manifest.1
            );
            assert!(
                printed.contains(&format!("before-{name}")),
                "{helm}: the hook"
            );
        }
    }
    assert_eq!(
        cluster.given(),
        [Value::Null; 0],
        "a dry run gives nothing away"
    );
}

fn an_install_gives_the_policies_to_the_api_server() {
    for helm in ALL {
        for name in NAMES {
            let cluster = Cluster::start();
            install(helm, &cluster, name, &["--no-hooks", helm.filtered()]).printed();
            let given = cluster.given();
            let position = |kind: &str, name: &str| {
                given
                    .iter()
                    .position(|object| object["kind"] == kind && object["metadata"]["name"] == name)
                    .unwrap_or_else(|| panic!("{helm} gave no {kind} {name}: {given:#?}"))
            };
            let work = position("NetworkPolicy", &format!("vc-work-{name}"));
            let cp = position("NetworkPolicy", &format!("vc-cp-{name}"));
            let runs = position("StatefulSet", name);
            assert!(
                work < runs && cp < runs,
                "{helm}: a pod before its policies"
            );
            for policy in [work, cp] {
                assert_names_are_strings(&given[policy], name);
            }
        }
    }
}

fn without_the_secret_there_is_nothing_to_do() {
    let cluster = Cluster::start();
    for helm in ALL {
        let flags = ["--dry-run=client", "--hide-secret", helm.filtered()];
        let printed = install(helm, &cluster, "my-vcluster", &flags).printed();
        assert!(
            printed.contains("HIDDEN: The Secret output has been suppressed"),
            "{helm}"
        );
    }
}

/// A value that no policy can hold. It comes by way of a Secret, so no message may show it.
const BAD: &str = "--set=policies.networkPolicy.workload.publicEgress.cidr=10.0.0.0/99";

fn helm_3_shows_the_user_why_the_config_is_refused() {
    let helm = Helm::Three;
    let run = template(helm, "my-vcluster", &[ENABLED, BAD, helm.filtered()]);
    assert_eq!(run.code, Some(1));
    assert_eq!(run.stdout, "");
    assert!(
        run.stderr.contains("the value is not a CIDR") && !run.stderr.contains("10.0.0.0/99"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("publicEgress.cidr"), "{}", run.stderr);
}

fn helm_4_shows_the_user_why_the_config_is_refused() {
    for helm in FOURS {
        let run = template(helm, "my-vcluster", &[ENABLED, BAD, helm.filtered()]);
        assert_eq!(run.code, Some(1), "{helm}");
        assert_eq!(run.stdout, "", "{helm}");
        let said = &run.stderr;
        assert!(
            said.contains("wrong node kind: expected MappingNode but got ScalarNode"),
            "{helm}: {said}"
        );
        assert!(
            said.contains("the value is not a CIDR") && !said.contains("10.0.0.0/99"),
            "{helm}: {said}"
        );
        assert!(said.contains("publicEgress.cidr"), "{helm}: {said}");
    }
}

fn an_install_with_a_refused_config_gives_nothing_to_the_api_server() {
    for helm in ALL {
        let cluster = Cluster::start();
        let run = install(helm, &cluster, "my-vcluster", &[BAD, helm.filtered()]);
        assert_eq!(run.code, Some(1), "{helm}");
        assert!(
            run.stderr.contains("is not a CIDR"),
            "{helm}: {}",
            run.stderr
        );
        assert_eq!(cluster.given(), [Value::Null; 0], "{helm}");
    }
}

/// Programs built with Helm's SDK since 4.2 can call a post-renderer for the hooks and for the rest
/// apart. The command line can't, so its stream is recorded and split as the SDK does it.
fn hooks_apart_stay_as_they_are_and_the_rest_gets_the_policies() {
    for helm in FOURS {
        let folder = folder();
        let record = folder.path().join("stream");
        let to = format!("--post-renderer-args={}", path(&record));
        let flags = [ENABLED, "--post-renderer=recorded", &to];
        template(helm, "my-vcluster", &flags).printed();
        let stream = fs::read_to_string(&record).expect("the stream");
        let (hooks, rest): (Vec<&str>, Vec<&str>) = stream
            .split("\n---\n")
            .partition(|document| document.contains("\"helm.sh/hook\":"));
        assert_eq!(
            (hooks.len(), rest.is_empty()),
            (1, false),
            "{helm}:\n{stream}"
        );
        let hooks = hooks.join("\n---\n") + "\n";
        for args in [&[][..], &["--require"]] {
            let filtered = Run::of(Command::new(FILTER).args(args), &hooks);
            assert_eq!(filtered.printed(), hooks, "{helm}");
        }
        let rest = rest.join("\n---\n");
        let filtered = Run::of(Command::new(FILTER).arg("--require"), &rest).printed();
        let filtered = documents(&filtered);
        assert_eq!(
            policies(&filtered),
            ["vc-work-my-vcluster", "vc-cp-my-vcluster"]
        );
        for policy in filtered.iter().filter(|document| document.is_policy()) {
            let name = &policy.value["metadata"]["annotations"];
            let name = &name["postrenderer.helm.sh/postrender-filename"];
            assert_eq!(
                name, TEMPLATE,
                "{helm}: so that it gets no name by its position"
            );
        }
    }
}

fn helm_3_finds_the_filter_on_the_path_by_the_name_that_helm_4_knows() {
    let folder = Path::new(FILTER).parent().expect("a folder");
    let search = std::env::join_paths([folder]).expect("a path");
    for helm in ALL {
        let words = [
            "template",
            "my-vcluster",
            MINI,
            ENABLED,
            "--post-renderer",
            PLUGIN,
        ];
        let run = Run::of(helm.command(words).env("PATH", &search), "");
        let stream = documents(&run.printed());
        assert_eq!(policies(&stream).len(), 2, "{helm}");
    }
}

fn helm_4_takes_a_name_and_no_path() {
    let path = Helm::Three.filtered();
    for helm in FOURS {
        let run = template(helm, "my-vcluster", &[ENABLED, path]);
        assert_eq!(
            run.code,
            Some(1),
            "{helm} came to take a path: say so in the README"
        );
        assert!(run.stderr.contains("not found"), "{helm}: {}", run.stderr);
    }
}

fn what_helm_template_printed_can_be_piped_through_the_filter() {
    for helm in ALL {
        let printed = template(helm, "my-vcluster", &[ENABLED]).printed();
        let filtered = Run::of(&mut Command::new(FILTER), &printed).printed();
        let (before, after) = (documents(&printed), documents(&filtered));
        assert_eq!(others(&after), others(&before), "{helm}");
        assert_eq!(
            policies(&after),
            ["vc-work-my-vcluster", "vc-cp-my-vcluster"],
            "{helm}"
        );
        let again = Run::of(&mut Command::new(FILTER), &filtered).printed();
        assert_eq!(again, filtered, "{helm}: a second run changes nothing");
    }
}

fn helm_3_template_with_an_output_folder_does_without_a_post_renderer() {
    let helm = Helm::Three;
    let folder = folder();
    let output = format!("--output-dir={}", path(folder.path()));
    template(helm, "my-vcluster", &[ENABLED, &output, helm.filtered()]).printed();
    assert!(
        folder
            .path()
            .join("vcluster/templates/statefulset.yaml")
            .exists()
    );
    assert!(
        !folder.path().join(TEMPLATE).exists(),
        "Helm 3 came to use the result: say so in the README"
    );
}

/// The umbrella chart with the small chart inside, in a folder of its own.
fn umbrella() -> tempfile::TempDir {
    let folder = folder();
    copy(Path::new(UMBRELLA), folder.path());
    copy(Path::new(MINI), &folder.path().join("charts/vcluster"));
    folder
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn an_umbrella_chart_and_its_alias_are_seen_through() {
    let umbrella = umbrella();
    for helm in ALL {
        let show = "--show-only=charts/tenant/templates/networkpolicy.yaml";
        let words = ["template", "all", path(umbrella.path()), helm.filtered()];
        let stream = documents(&helm.run(words).printed());
        assert_eq!(policies(&stream), ["vc-work-all", "vc-cp-all"], "{helm}");
        for policy in stream.iter().filter(|document| document.is_policy()) {
            assert_eq!(
                policy.source.as_deref(),
                Some("umbrella/charts/tenant/templates/networkpolicy.yaml"),
                "{helm}"
            );
            assert_eq!(
                policy.value["metadata"]["labels"]["chart"], "tenant-0.31.0",
                "{helm}"
            );
        }
        let shown = documents(&helm.run(words.into_iter().chain([show])).printed());
        assert_eq!(shown.len(), 2, "{helm}");
    }
}

/// `scripts/against-chart` with one values file.
fn against_chart(chart: &Path, values: &str) -> Run {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let values = root.join("tests/values").join(values);
    let mut command = Command::new(root.join("scripts/against-chart"));
    Run::of(command.arg("--values").arg(values).arg(chart), "")
}

fn our_policies_are_compared_with_those_of_a_chart() {
    const FILE: &str = "public-egress-cidr.yaml";
    let values = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/values/public-egress-cidr.yaml"
    );
    let flags = ["--values", values, Helm::Three.filtered()];
    let stream = template(Helm::Three, "my-vcluster", &flags).printed();
    let ours = documents(&stream);
    let ours: Vec<&str> = ours
        .iter()
        .filter(|document| document.is_policy())
        .map(|document| document.text.as_str())
        .collect();
    assert_eq!(ours.len(), 2, "{stream}");

    // A chart that renders our own policies is equal to us.
    let folder = folder();
    let chart = folder.path().join("vcluster");
    copy(Path::new(MINI), &chart);
    let policies = chart.join("templates/networkpolicy.yaml");
    let text = ours.join("\n---\n");
    fs::write(&policies, &text).expect("a template");
    let equal = against_chart(&chart, FILE);
    assert_eq!(equal.code, Some(0), "{}{}", equal.stdout, equal.stderr);
    let summary = "2 runs: 2 equal; 4 policies are equal";
    assert!(equal.stdout.contains(summary), "{}", equal.stdout);
    let warnings = "Warnings about the values: 1 runs: 1 equal;";
    assert!(equal.stdout.contains(warnings), "{}", equal.stdout);

    // One port differs.
    fs::write(&policies, text.replacen("1053", "1054", 1)).expect("a template");
    let differs = against_chart(&chart, FILE);
    assert_eq!(differs.code, Some(1), "{}", differs.stdout);
    let field = "spec.egress[0].ports[0].port: ours is 1053, expected is 1054";
    assert!(differs.stdout.contains(field), "{}", differs.stdout);

    // Nothing to compare.
    fs::write(&policies, "").expect("a template");
    let nothing = against_chart(&chart, "disabled.yaml");
    assert_eq!(nothing.code, Some(1), "{}", nothing.stdout);
    assert!(nothing.stderr.contains("Nothing was compared"));

    // No chart at all.
    assert_eq!(against_chart(folder.path(), FILE).code, Some(2));
}

fn each_values_file_says_what_it_tries() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/values");
    let files: Vec<_> = fs::read_dir(root)
        .expect("a folder")
        .map(|file| file.expect("a file").path())
        .collect();
    assert!(files.len() >= 20, "{}", files.len());
    for file in files {
        let text = fs::read_to_string(&file).expect("text");
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("# ") && first.ends_with('.'),
            "{}",
            file.display()
        );
    }
}

crate::registry::tests! {
    slow: [
        the_two_policies_are_injected_and_nothing_else_changes,
        the_policies_come_before_anything_that_runs,
        policies_that_the_chart_rendered_are_replaced_in_their_places,
        disabled_policies_leave_everything_to_helm,
        show_only_selects_the_injected_policies_and_the_replaced_ones,
        show_only_still_selects_every_other_template,
        arguments_reach_the_filter,
        the_annotation_configures_what_the_values_leave_out,
        kubectl_reads_every_release_name_as_a_string,
        hooks_custom_resources_and_subcharts_survive,
        a_dry_run_of_install_shows_the_policies_the_hooks_and_the_notes,
        an_install_gives_the_policies_to_the_api_server,
        without_the_secret_there_is_nothing_to_do,
        helm_3_shows_the_user_why_the_config_is_refused,
        helm_4_shows_the_user_why_the_config_is_refused,
        an_install_with_a_refused_config_gives_nothing_to_the_api_server,
        hooks_apart_stay_as_they_are_and_the_rest_gets_the_policies,
        helm_3_finds_the_filter_on_the_path_by_the_name_that_helm_4_knows,
        helm_4_takes_a_name_and_no_path,
        what_helm_template_printed_can_be_piped_through_the_filter,
        helm_3_template_with_an_output_folder_does_without_a_post_renderer,
        an_umbrella_chart_and_its_alias_are_seen_through,
        our_policies_are_compared_with_those_of_a_chart,
        each_values_file_says_what_it_tries,
    ],
}
