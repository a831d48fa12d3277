//! ValidatingAdmissionPolicies with their bindings: for the pods and the network policies that the
//! syncer writes, and for the policies that isolate the virtual cluster.

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::cel::{self, Range};
use super::{Action, GuardOptions, Object, Protected};
use crate::tenant::powers::Networks;
use crate::tenant::reach::VIRTUAL_NAMESPACE;
use crate::vcluster::actors::MANAGED_BY;
use crate::vcluster::policies::{Policy, Role};
use netpol::model::cluster::NAMESPACE_NAME_LABEL;
use netpol::model::policy::Origin;

/// The API version of admission policies and their bindings.
pub(super) const API_VERSION: &str = "admissionregistration.k8s.io/v1";
/// The kind of the policies.
pub(super) const POLICY: &str = "ValidatingAdmissionPolicy";
/// The kind of the bindings that put policies in force.
pub(super) const BINDING: &str = "ValidatingAdmissionPolicyBinding";

/// The longest name of an admission policy.
const LONGEST_NAME: usize = 253;

/// How much a synced policy may hold. The server limits what an expression may cost, and a policy
/// that reaches the limit is refused; with these limits the reason is a clear one.
const MAX_RULES: usize = 100;
const MAX_PEERS: usize = 50;
const MAX_EXCEPTS: usize = 30;

/// Controllers of the cluster that delete what a namespace holds: without them it never terminates.
const CONTROLLERS: [&str; 3] = [
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:kube-controller-manager",
];

/// The group of the cluster's administrators.
const ADMINISTRATORS: &str = "system:masters";

/// An expression that must be true, and what a refused request is told.
struct Validation {
    expression: String,
    message: String,
}

/// What distinguishes one admission policy from the others.
struct Rules<'r> {
    what: &'r str,
    comment: Vec<String>,
    /// API group and resource.
    resource: (&'r str, &'r str),
    operations: &'r [&'r str],
    conditions: Vec<(&'r str, String)>,
    variables: Vec<(String, String)>,
    validations: Vec<Validation>,
}

/// The admission policies of a virtual cluster, each with its binding.
pub(super) fn objects(cluster: &Protected<'_>, options: &GuardOptions) -> Vec<Object> {
    let powers = &cluster.made.powers;
    let mut rules = Vec::new();
    // With nodes of its own, nothing of the tenant runs on the host.
    if powers.networks != Networks::PrivateNodes {
        rules.push(pods(cluster));
        if powers.syncs_policies || !powers.values_known {
            rules.push(synced_policies(cluster));
        }
    }
    rules.push(own_policies(cluster, options));
    rules
        .into_iter()
        .flat_map(|rules| admission_policy(cluster, rules, options.action))
        .collect()
}

/// The admission policy for the tenant's pods and its binding, as they are in force.
pub(super) fn for_pods(cluster: &Protected<'_>) -> [Object; 2] {
    admission_policy(cluster, pods(cluster), Action::Deny)
}

/// Which requests an admission policy is asked about.
fn match_constraints(cluster: &Protected<'_>, rules: &Rules<'_>) -> Value {
    let (group, resource) = rules.resource;
    let mut constraints = json!({"resourceRules": [{
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": rules.operations,
        "resources": [resource],
    }]});
    // The namespaces of a pattern are not known, so every request is looked at.
    if !cluster.made.powers.has_namespace_patterns
        && let Some(constraints) = constraints.as_object_mut()
    {
        let selector = cluster.namespace_selector("In");
        constraints.insert("namespaceSelector".to_owned(), selector);
    }
    constraints
}

/// The `spec` of an admission policy.
fn policy_spec(cluster: &Protected<'_>, rules: Rules<'_>) -> Value {
    let constraints = match_constraints(cluster, &rules);
    let named =
        |(name, expression): (String, String)| json!({"name": name, "expression": expression});
    let conditions = rules.conditions.into_iter();
    let conditions: Vec<Value> = conditions
        .map(|(name, expression)| named((name.to_owned(), expression)))
        .collect();
    let variables: Vec<Value> = rules.variables.into_iter().map(named).collect();
    let validations: Vec<Value> = (rules.validations.into_iter())
        .map(|rule| {
            json!({"expression": rule.expression, "message": rule.message, "reason": "Forbidden"})
        })
        .collect();
    let mut spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": constraints,
        "matchConditions": conditions,
        "validations": validations,
    });
    if !variables.is_empty()
        && let Some(spec) = spec.as_object_mut()
    {
        spec.insert("variables".to_owned(), Value::Array(variables));
    }
    spec
}

fn admission_policy(cluster: &Protected<'_>, mut rules: Rules<'_>, action: Action) -> [Object; 2] {
    let name = cluster.object_name(rules.what, LONGEST_NAME);
    let comment = std::mem::take(&mut rules.comment);
    let (actions, effect) = match action {
        Action::Deny => (
            json!(["Deny"]),
            "The API server refuses what the admission policy refuses.",
        ),
        Action::Warn => (
            json!(["Warn", "Audit"]),
            "Nothing is refused yet: the caller gets a warning, and the audit log an entry.",
        ),
    };
    let metadata = cluster.metadata(&name);
    let object = |kind: &str, spec: Value| {
        json!({
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": metadata,
            "spec": spec,
        })
    };
    [
        Object {
            comment,
            value: object(POLICY, policy_spec(cluster, rules)),
        },
        Object {
            comment: vec![effect.to_owned()],
            value: object(
                BINDING,
                json!({"policyName": name, "validationActions": actions}),
            ),
        },
    ]
}

/// The conditions that every policy for synced objects has. What is being deleted may lose its
/// finalizers, and objects from before the policy may be touched by the controllers of the cluster.
fn synced_conditions(cluster: &Protected<'_>, changed: &str) -> Vec<(&'static str, String)> {
    let syncer = cel::is_syncer(cluster);
    vec![
        (
            "of-the-virtual-cluster",
            format!("{syncer} ||\n{}", cel::is_marked(cluster)),
        ),
        (
            "not-being-deleted",
            "!has(object.metadata.deletionTimestamp)".to_owned(),
        ),
        (
            "changes-what-counts",
            format!("request.operation == 'CREATE' ||\n{syncer} ||\n{changed}"),
        ),
    ]
}

/// What the admission policy for the tenant's pods does, and what it does not close.
fn comment_about_pods(cluster: &Protected<'_>) -> Vec<String> {
    let namespace = cluster.namespace;
    let mut comment = vec![
        "Refuses pods of the tenant that have a label which a network policy trusts, or that use the \
         network of the node, where no network policy applies."
            .to_owned(),
        "Needs Kubernetes 1.31 or later.".to_owned(),
    ];
    if cluster.made.powers.networks == Networks::PodsAndHost {
        comment.push(format!(
            "Simpler against the network of the node, and against privileged pods and host ports too: \
             kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=baseline"
        ));
    }
    if cluster.made.powers.has_namespace_patterns {
        comment.push(
            "Some namespaces are mapped by patterns, so the pods of all namespaces are looked at, and \
             there only what the syncer itself writes."
                .to_owned(),
        );
    }
    comment.extend(rules_that_trust_labels(cluster));
    comment
}

/// The tenant's pods: no label that the policies trust, and not the network of the node.
fn pods(cluster: &Protected<'_>) -> Rules<'static> {
    let mut validations = vec![Validation {
        expression: cel::has_mark("object.metadata.labels", cluster),
        message: format!("the pod must have the label {MANAGED_BY}={}", cluster.name),
    }];
    for labels in trusted_labels(cluster) {
        let worn: Vec<String> = labels
            .iter()
            .map(|(key, value)| {
                let (key, value) = (cel::string(key), cel::string(value));
                format!("variables.labels[?{key}].orValue('') == {value}")
            })
            .collect();
        let shown: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        validations.push(Validation {
            expression: format!("!({})", worn.join(" && ")),
            message: format!(
                "the label {} is not for pods of a virtual cluster: network policies trust it",
                shown.join(",")
            ),
        });
    }
    validations.push(dns_label(cluster));
    validations.push(Validation {
        expression: "!object.spec.?hostNetwork.orValue(false)".to_owned(),
        message: "pods of a virtual cluster may not use the network of the node".to_owned(),
    });
    Rules {
        what: "pods",
        comment: comment_about_pods(cluster),
        resource: ("", "pods"),
        operations: &["CREATE", "UPDATE"],
        conditions: synced_conditions(
            cluster,
            "object.?metadata.labels != oldObject.?metadata.labels",
        ),
        variables: vec![(
            "labels".to_owned(),
            "has(object.metadata.labels) ? object.metadata.labels : {}".to_owned(),
        )],
        validations,
    }
}

/// The label of the virtual cluster's own DNS pods: a pod with it may query the host's DNS.
fn dns_label(cluster: &Protected<'_>) -> Validation {
    let worn = "variables.labels[?'k8s-app'].orValue('') != 'vcluster-kube-dns'";
    let (expression, who) = if cluster.made.syncer.has_dns_pods {
        let key = cel::string(VIRTUAL_NAMESPACE);
        (
            format!("{worn} ||\nvariables.labels[?{key}].orValue('') == 'kube-system'"),
            "only for pods of kube-system",
        )
    } else {
        (
            worn.to_owned(),
            "not for pods: the DNS runs in the control plane",
        )
    };
    Validation {
        expression,
        message: format!("the label k8s-app=vcluster-kube-dns is {who}"),
    }
}

/// The labels by which built-in rules know pods that are not the tenant's, and that a pod of the
/// tenant can have.
fn trusted_labels(cluster: &Protected<'_>) -> Vec<Vec<(String, String)>> {
    // vc-snapshot-NAME is there in charts since 0.31, whether or not it is generated.
    let snapshot = vec![("app".to_owned(), "vcluster-snapshot".to_owned())];
    let mut found = vec![snapshot];
    for policy in &cluster.made.policies {
        let ingress = policy.ingress.iter();
        let ingress = ingress.map(|r| (&r.origin, r.rule.from.iter().flatten()));
        let egress = policy.egress.iter();
        let egress = egress.map(|r| (&r.origin, r.rule.to.iter().flatten()));
        for (origin, peers) in ingress.chain(egress) {
            if is_of_user(origin) {
                continue;
            }
            for peer in peers {
                let Some(selector) = &peer.pod_selector else {
                    continue;
                };
                let labels: Vec<(String, String)> = (selector.match_labels.iter().flatten())
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                let is_protected = labels
                    .iter()
                    .any(|(key, _)| key == "release" || key == MANAGED_BY);
                let is_out_of_reach =
                    is_in_other_namespace(peer.namespace_selector.as_ref(), cluster);
                if labels.is_empty() || is_protected || is_out_of_reach || found.contains(&labels) {
                    continue;
                }
                found.push(labels);
            }
        }
    }
    found
}

/// What is to be said of rules of the user that let pods with certain labels to the control plane:
/// a pod of the tenant can have these labels, and may be meant.
fn rules_that_trust_labels(cluster: &Protected<'_>) -> Option<String> {
    let rules = cluster
        .policies(Role::ControlPlane)
        .flat_map(|p| &p.ingress);
    let trusts = |peer: &NetworkPolicyPeer| {
        peer.pod_selector.is_some()
            && !is_in_other_namespace(peer.namespace_selector.as_ref(), cluster)
    };
    let fields: Vec<&str> = rules
        .filter(|rule| is_of_user(&rule.origin))
        .filter(|rule| rule.rule.from.iter().flatten().any(trusts))
        .filter_map(|rule| rule.origin.setting())
        .collect();
    if fields.is_empty() {
        return None;
    }
    Some(format!(
        "Not closed: {}. Pods of the tenant can have the labels that these rules trust.",
        fields.join(", ")
    ))
}

/// Whether a rule is one that the user wrote.
pub(super) fn is_of_user(origin: &Origin) -> bool {
    let field = origin.setting();
    field.is_some_and(|field| field.ends_with(']') && !field.contains("publicEgress"))
}

/// Whether a selector names namespaces, and none of the virtual cluster's.
fn is_in_other_namespace(selector: Option<&LabelSelector>, cluster: &Protected<'_>) -> bool {
    let labels = selector.and_then(|selector| selector.match_labels.as_ref());
    labels
        .and_then(|labels| labels.get(NAMESPACE_NAME_LABEL))
        .is_some_and(|name| !cluster.namespaces().any(|own| own == name))
}

/// The network policies of the tenant: nothing wider than the config of the virtual cluster.
fn synced_policies(cluster: &Protected<'_>) -> Rules<'static> {
    let mut comment = vec![
        "Refuses network policies of the tenant that open more than the config of the virtual cluster \
         does."
            .to_owned(),
        "Needs Kubernetes 1.31 or later.".to_owned(),
    ];
    if !cluster.made.powers.values_known {
        comment.push(
            "The values are not known. Without sync.toHost.networkPolicies it has no effect."
                .to_owned(),
        );
    }
    let mut variables = vec![
        (
            "egress".to_owned(),
            "object.spec.?egress.orValue([]).map(r, r.?to.orValue([]))".to_owned(),
        ),
        (
            "ingress".to_owned(),
            "object.spec.?ingress.orValue([]).map(r, r.?from.orValue([]))".to_owned(),
        ),
        (
            "peers".to_owned(),
            "variables.egress + variables.ingress".to_owned(),
        ),
    ];
    let mut declared = |direction: &str, mut ranges: Vec<Range>| -> Vec<String> {
        // The policies of several namespaces have the same.
        ranges.dedup();
        let named = ranges.iter().enumerate().map(|(index, range)| {
            let name = format!("{direction}Range{index}");
            variables.extend(range.variables(&name));
            name
        });
        named.collect()
    };
    let workload = || cluster.policies(Role::Workload);
    let egress = declared("egress", workload().flat_map(egress_ranges).collect());
    let ingress = declared("ingress", workload().flat_map(ingress_ranges).collect());
    Rules {
        what: "networkpolicies",
        comment,
        resource: ("networking.k8s.io", "networkpolicies"),
        operations: &["CREATE", "UPDATE"],
        conditions: synced_conditions(cluster, "object.spec != oldObject.spec"),
        validations: synced_validations(cluster, &egress, &ingress),
        variables,
    }
}

/// What a network policy of the tenant must fulfil. `egress` and `ingress` are the names of the
/// variables with the blocks that it may open.
fn synced_validations(
    cluster: &Protected<'_>,
    egress: &[String],
    ingress: &[String],
) -> Vec<Validation> {
    let rule = |expression: String, message: &str| Validation {
        expression,
        message: message.to_owned(),
    };
    vec![
        rule(
            format!(
                "size(variables.egress) <= {MAX_RULES} && size(variables.ingress) <= {MAX_RULES} &&\n\
                 variables.peers.all(ps, size(ps) <= {MAX_PEERS} &&\n  \
                 ps.all(p, !has(p.ipBlock) || size(p.ipBlock.?except.orValue([])) <= {MAX_EXCEPTS}))"
            ),
            &format!(
                "a network policy may have {MAX_RULES} rules in each direction, {MAX_PEERS} peers in \
                 each rule and {MAX_EXCEPTS} excepts in each ipBlock"
            ),
        ),
        rule(
            format!(
                "has(object.spec.podSelector) && {}",
                cel::has_mark("object.spec.podSelector.matchLabels", cluster)
            ),
            "the network policy must select pods of the virtual cluster only",
        ),
        rule(
            "variables.peers.all(ps, size(ps) > 0)".to_owned(),
            "a rule without peers opens everything: name the pods or the addresses",
        ),
        rule(
            format!(
                "variables.peers.all(ps, ps.all(p, has(p.ipBlock) ||\n  \
                 (!has(p.namespaceSelector) && has(p.podSelector) &&\n    {})))",
                cel::has_mark("p.podSelector.matchLabels", cluster)
            ),
            "peers must be pods of the virtual cluster, or addresses",
        ),
        rule(
            cel::blocks_lie_in("egress", egress),
            "an ipBlock opens addresses that the virtual cluster may not reach, or is not written as \
             the server writes it; leave out what workload.publicEgress.except leaves out",
        ),
        rule(
            cel::blocks_lie_in("ingress", ingress),
            "an ipBlock opens the virtual cluster to addresses that may not reach it",
        ),
    ]
}

/// The blocks that the workloads may reach on every port.
fn egress_ranges(policy: &Policy) -> Vec<Range> {
    let rules = policy.egress.iter().map(|rule| &rule.rule);
    let open = rules.filter(|rule| rule.ports.is_none());
    ranges(open.flat_map(|rule| rule.to.iter().flatten()))
}

/// The blocks that may reach the workloads on every port.
fn ingress_ranges(policy: &Policy) -> Vec<Range> {
    let rules = policy.ingress.iter().map(|rule| &rule.rule);
    let open = rules.filter(|rule| rule.ports.is_none());
    ranges(open.flat_map(|rule| rule.from.iter().flatten()))
}

fn ranges<'p>(peers: impl Iterator<Item = &'p NetworkPolicyPeer>) -> Vec<Range> {
    let blocks = peers.filter_map(|peer| peer.ip_block.as_ref());
    blocks
        .filter_map(|block| Range::of(&block.cidr, block.except.as_deref().unwrap_or_default()))
        .collect()
}

/// The policies that isolate the virtual cluster: who may change and delete them.
fn own_policies(cluster: &Protected<'_>, options: &GuardOptions) -> Rules<'static> {
    let mut names: Vec<&str> = (cluster.made.policies.iter())
        .map(|policy| policy.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let group = format!("system:serviceaccounts:{}", cluster.namespace);
    let is_in = |group: &str| {
        format!(
            "(has(request.userInfo.groups) && {} in request.userInfo.groups)",
            cel::string(group)
        )
    };
    let (expression, who) = if options.allow_users.is_empty() && options.allow_groups.is_empty() {
        (
            format!("!({} ||\n  {})", cel::is_syncer(cluster), is_in(&group)),
            format!("service accounts of the namespace {}", cluster.namespace),
        )
    } else {
        let users = CONTROLLERS.into_iter();
        let users = users.chain(options.allow_users.iter().map(String::as_str));
        let groups = std::iter::once(ADMINISTRATORS);
        let groups = groups.chain(options.allow_groups.iter().map(String::as_str));
        let allowed: Vec<String> = std::iter::once(format!(
            "request.userInfo.username in {}",
            cel::strings(users)
        ))
        .chain(groups.map(is_in))
        .collect();
        (
            allowed.join(" ||\n"),
            "everybody but the allowed users and groups, the administrators and the controllers of \
             the cluster"
                .to_owned(),
        )
    };
    Rules {
        what: "protection",
        comment: vec![format!(
            "Refuses {who} to change or delete the policies that isolate the virtual cluster."
        )],
        resource: ("networking.k8s.io", "networkpolicies"),
        operations: &["UPDATE", "DELETE"],
        conditions: vec![(
            "isolates-the-virtual-cluster",
            format!(
                "oldObject.metadata.name in {} &&\nrequest.namespace in {}",
                cel::strings(names),
                cel::strings(cluster.namespaces())
            ),
        )],
        variables: Vec::new(),
        validations: vec![Validation {
            expression,
            message: "this policy isolates a virtual cluster, and may not be changed by this user"
                .to_owned(),
        }],
    }
}
