//! What must be true of every explanation. The runs of `vcluster-netpol explain` are in
//! tests/cases/explain.

use vcluster_netpol::explain::view::View;
use vcluster_netpol::explain::{self, Explanation};
use vcluster_netpol::filter::Options;
use vcluster_netpol::vcluster::sources::{ConfigFile, Overrides};

fn options(config: &str) -> Options {
    Options {
        overrides: Overrides {
            files: vec![ConfigFile {
                name: "values.yaml".to_owned(),
                text: config.to_owned(),
            }],
            release: Some("a".to_owned()),
            ..Overrides::default()
        },
        ..Options::default()
    }
}

fn explanation(config: &str, companions: bool) -> Explanation {
    let options = Options {
        companions,
        ..options(config)
    };
    Explanation::of(&View::read(b"", "nothing", &options).unwrap())
}

fn findings(config: &str, companions: bool) -> String {
    let found = explanation(config, companions).findings;
    let found: Vec<String> = found.into_iter().map(|s| s.what).collect();
    found.join("\n")
}

const DEFAULTS: &str = "enabled: true\n";

fn what_is_open_by_default_is_found() {
    let found = findings(DEFAULTS, false);
    for part in [
        "control plane of a may talk to everyone on 443,6443,8443/TCP",
        "everyone may come in to control plane of a on 8443/TCP",
        "workloads of a can reach 169.254.169.254",
        "every pod with app=loft, in whatever namespace, may come in to control plane of a",
    ] {
        assert!(found.contains(part), "{part}:\n{found}");
    }
    assert_eq!(found.lines().count(), 4, "{found}");
}

fn what_a_config_closes_is_not_said_to_be_open() {
    let excepted =
        "{enabled: true, workload: {publicEgress: {except: [10.0.0.0/8, 169.254.0.0/16]}}}";
    assert!(!findings(excepted, false).contains("169.254"));
    let none = "{enabled: true, workload: {publicEgress: {enabled: false}}}";
    assert!(!findings(none, false).contains("169.254"));
}

fn what_a_config_opens_is_said_with_its_field() {
    let open = "{enabled: true, workload: {egress: [{to: [{ipBlock: {cidr: 'fd00::/8'}}]}], \
                ingress: [{ports: [{port: 80}]}]}, controlPlane: {ingress: \
                [{from: [{namespaceSelector: {}}], ports: [{port: 9}]}]}}";
    let found = explanation(open, false).findings;
    let close = |part: &str| -> &str {
        let found = found.iter().find(|s| s.what.contains(part));
        &found.unwrap_or_else(|| panic!("nothing says {part}")).close
    };
    assert!(
        close("everyone may come in to workloads of a on 80/TCP").contains("workload.ingress[0]")
    );
    assert!(close("every pod, in whatever namespace").contains("controlPlane.ingress[0]"));
    assert!(close("fd00:ec2::254").contains("workload.egress[0]"));
}

/// The holes of the only virtual cluster.
fn holes(config: &str, companions: bool) -> String {
    let tenants = explanation(config, companions).tenants;
    let found = tenants.iter().flat_map(|tenant| &tenant.holes);
    let found: Vec<String> = found
        .map(|hole| format!("{}: {}", hole.kind, hole.what))
        .collect();
    found.join("\n")
}

fn a_label_is_a_way_out_only_where_a_policy_gives_one() {
    let alone = holes(DEFAULTS, false);
    assert!(alone.starts_with("host-network: "), "{alone}");
    assert_eq!(alone.lines().count(), 1, "its own egress stops it: {alone}");
    let with = holes(DEFAULTS, true);
    for part in [
        "a pod with app=vcluster-snapshot may talk to control plane of a on ",
        "may talk to everyone on 443,6443,8443/TCP",
        "a pod with k8s-app=vcluster-kube-dns may talk to DNS of the host",
    ] {
        assert!(with.contains(part), "{part}:\n{with}");
    }
}

fn values_open_and_close_holes() {
    let values = |more: &str| format!("policies: {{networkPolicy: {{enabled: true}}{more}");
    let closed = holes(&values(", podSecurityStandard: baseline}"), false);
    assert_eq!(closed, "");
    let synced = values(
        ", podSecurityStandard: restricted}\nsync: {toHost: {networkPolicies: {enabled: true}, \
         namespaces: {enabled: true, mappings: {byName: {x: host-x, 'y-*': 'h-*'}}}, customResources: \
         {ciliumnetworkpolicies.cilium.io: {enabled: true}}}}",
    );
    let found = holes(&synced, false);
    for kind in [
        "synced-policies",
        "policy-resources",
        "namespace-patterns",
        "no-policy",
        "labels",
    ] {
        assert!(found.contains(&format!("{kind}: ")), "{kind}:\n{found}");
    }
    assert!(!found.contains("host-network"), "{found}");
    let private = values("}\nprivateNodes: {enabled: true}");
    assert_eq!(holes(&private, false), "");
}

fn rules_that_a_stream_has_otherwise_than_its_config_have_no_cause() {
    let options = options("{enabled: true, workload: {egress: [{ports: [{port: 7}]}]}}");
    let made = explanation(
        "{enabled: true, workload: {egress: [{ports: [{port: 7}]}]}}",
        false,
    );
    assert_eq!(
        made.policies[0].egress.rules[3].cause.to_string(),
        "workload.egress[0]"
    );
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: vc-config-a\n  labels: {app: \
                  vcluster, release: a}\nstringData:\n  config.yaml: |\n    policies: {networkPolicy: \
                  {enabled: true}}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                  metadata: {name: vc-work-a}\nspec:\n  podSelector: {matchLabels: \
                  {vcluster.loft.sh/managed-by: a}}\n  policyTypes: [Ingress]\n  ingress:\n  - from: \
                  [{podSelector: {matchLabels: {release: a}}}]\n  - from: [{podSelector: {}}]\n";
    let view = View::read(secret.as_bytes(), "stream", &Options::default()).unwrap();
    let stream = Explanation::of(&view);
    let causes: Vec<String> = (stream.policies[0].ingress.rules.iter())
        .map(|r| r.cause.to_string())
        .collect();
    assert_eq!(causes, ["built-in default", "spec.ingress[1]"]);
    // A config that is given takes the place of what stands there.
    let options = Options {
        overrides: Overrides {
            release: None,
            ..options.overrides
        },
        ..options
    };
    let view = View::read(secret.as_bytes(), "stream", &options).unwrap();
    let rules = &Explanation::of(&view).policies[0].egress.rules;
    assert_eq!(rules[3].cause.to_string(), "workload.egress[0]");
}

fn no_form_is_broken_by_what_a_name_may_hold() {
    let stream = "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {name: 'a\"|<b>`#'}\n\
                  spec:\n  podSelector: {matchLabels: {a: '\"]-->x|`<script>'}}\n  ingress:\n  # a | \"b\" \
                  <c>\n  - ports: [{port: 1}]\n";
    let view = View::read(stream.as_bytes(), "stream", &Options::default()).unwrap();
    let explanation = Explanation::of(&view);
    let svg = explain::svg(&explanation);
    assert!(
        !svg.contains("<script>") && svg.contains("&lt;script&gt;"),
        "{svg}"
    );
    for line in explain::dot(&explanation).lines() {
        let quotes = line
            .replace("\\\\", "")
            .replace("\\\"", "")
            .matches('"')
            .count();
        assert_eq!(quotes % 2, 0, "{line}");
    }
    for line in explain::mermaid(&explanation)
        .lines()
        .filter(|l| !l.starts_with("%%"))
    {
        assert_eq!(line.matches('"').count() % 2, 0, "{line}");
        assert!(!line.contains("<script>"), "{line}");
    }
    let tables = explain::markdown(&explanation);
    for row in tables.lines().filter(|l| l.starts_with("| 0")) {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 7, "{row}");
    }
    for width in [20, 76, 100] {
        assert!(!explain::text(&explanation, width).is_empty());
    }
}

/// A policy with one rule for each peer.
fn policy_with_rules(name: &str, peers: impl Iterator<Item = String>) -> String {
    let rules: Vec<String> = peers.map(|peer| format!("  - to: [{peer}]\n")).collect();
    let rules = rules.concat();
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, \
         namespace: {name}}}\nspec:\n  podSelector: {{}}\n  policyTypes: [Egress]\n  egress:\n{rules}"
    )
}

fn every_flowchart_is_within_the_limits_of_mermaid() {
    let blocks =
        (0..3000).map(|i| format!("{{ipBlock: {{cidr: 10.0.{}.{}/32}}}}", i / 256, i % 256));
    let labels = (0..40).map(|i| {
        let values: Vec<String> = (0..2000).map(|n| format!("value-{i}-{n}")).collect();
        let values = values.join(", ");
        format!(
            "{{podSelector: {{matchExpressions: [{{key: a, operator: In, values: [{values}]}}]}}}}"
        )
    });
    let mut stream = policy_with_rules("many", blocks) + &policy_with_rules("long", labels);
    for i in 0..30 {
        stream += &policy_with_rules(
            &format!("vc-work-a{i}"),
            std::iter::once("{podSelector: {}}".to_owned()),
        );
    }
    let view = View::read(stream.as_bytes(), "stream", &Options::default()).unwrap();
    let document = explain::mermaid(&Explanation::of(&view));
    let charts: Vec<&str> = document
        .split("```mermaid\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(charts.len() > 30, "{}", charts.len());
    let arrows = |chart: &str| chart.matches("-->").count() + chart.matches("-.-").count();
    for chart in &charts {
        assert!(chart.starts_with("flowchart LR\n"), "{chart}");
        assert!(chart.chars().count() < 50_000, "{}", chart.len());
        assert!((1..=500).contains(&arrows(chart)), "{chart}");
    }
    let all: usize = charts.iter().map(|chart| arrows(chart)).sum();
    assert_eq!(
        all,
        3000 + 40 + 30 + 32,
        "a remark for the ingress of each policy"
    );
}

fn json_names_every_address() {
    let block = |i| format!("{{ipBlock: {{cidr: 10.0.{i}.0/25}}}}");
    let excepts: Vec<String> = (0..60).map(|i| format!("10.1.{}.0/24", 2 * i)).collect();
    let block_with_excepts = format!(
        "{{ipBlock: {{cidr: 10.1.0.0/16, except: [{}]}}}}",
        excepts.join(", ")
    );
    let peers: Vec<String> = (0..60).map(block).chain([block_with_excepts]).collect();
    let stream = policy_with_rules("many", std::iter::once(peers.join(", ")));
    let view = View::read(stream.as_bytes(), "stream", &Options::default()).unwrap();
    let explanation = Explanation::of(&view);
    let json = serde_json::to_string(&explanation).unwrap();
    for i in 0..60 {
        assert!(json.contains(&format!("10.0.{i}.0/25")), "{json}");
        assert!(json.contains(&format!("10.1.{}.0", 2 * i + 1)), "{json}");
    }
    assert!(!json.contains(" more"), "{json}");
    assert!(explain::text(&explanation, 200).contains(" more"));
}

crate::registry::tests! {
    fast: [
        every_flowchart_is_within_the_limits_of_mermaid,
        json_names_every_address,
        what_is_open_by_default_is_found,
        what_a_config_closes_is_not_said_to_be_open,
        what_a_config_opens_is_said_with_its_field,
        a_label_is_a_way_out_only_where_a_policy_gives_one,
        values_open_and_close_holes,
        rules_that_a_stream_has_otherwise_than_its_config_have_no_cause,
        no_form_is_broken_by_what_a_name_may_hold,
    ],
}
