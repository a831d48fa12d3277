//! The worst tenant of a virtual cluster, in words.
//!
//! What it reaches is computed in [`tenant`](crate::tenant); here are only the sentences.

use serde::Serialize;

use super::words::Party;
use crate::tenant::gains::{Gain, GainedPeer};
use crate::tenant::powers::{CUSTOM_RESOURCES, Networks, POD_SECURITY, Powers, SYNCED_POLICIES};
use crate::tenant::reach::{NEVER, VIRTUAL_NAMESPACE};
use crate::tenant::{Hole, PodAdmission, Tenant, WorstTenant, chosen};
use crate::vcluster::actors::MANAGED_BY;
use crate::vcluster::mapped::MAPPINGS;
use manifest::escape::terminal;
use netpol::allowed::AllowedTraffic;
use netpol::model::policy::{Direction, Peer};
use netpol::sets::selector::Labels;

/// The kind of the hole that the network of a node is.
const HOST_NETWORK: &str = "host-network";

/// What there is to say where not everything could be compared.
const TOO_MANY_LABELS: &str = "not everything could be compared: the policies make too many combinations of labels, and the \
     answer may be too large, never too small";

/// What there is to say where the cluster has policies of other tiers.
const TIERS: &str = "policies of the whole cluster are not taken into account: where they deny, this answer is too \
     large, and where they allow, it can be too small; ask check or list";

/// What a tenant that uses all its powers reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantReport {
    /// The virtual cluster, by its identifier.
    pub cluster: String,
    /// What it may do, in a sentence.
    pub may: String,
    /// The same for programs.
    pub powers: Powers,
    /// Whom its own end lets it talk to at most, one line for each.
    pub egress: Vec<String>,
    /// Who its own end lets in at most.
    pub ingress: Vec<String>,
    /// What it gains beyond its plain pods, and how.
    pub holes: Vec<TenantHole>,
    /// What its values open and an admission policy of the host cluster closes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<ClosedHole>,
    /// Admission policies that could close something, and count for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_in_force: Vec<String>,
    /// Whether everything could be compared.
    pub exact: bool,
    /// Why it could not: nothing where it is exact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_exact: Vec<&'static str>,
}

/// A way past the policies that is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClosedHole {
    /// Of which kind it is.
    pub kind: &'static str,
    /// What closes it: kind and name of an object.
    pub by: String,
}

/// One way past the policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantHole {
    /// Of which kind it is.
    pub kind: &'static str,
    /// What it opens, in one sentence.
    pub what: String,
    /// What the tenant writes for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
    /// The rules that open it.
    pub rules: Vec<String>,
    /// How to close it.
    pub close: String,
}

impl TenantReport {
    /// The words for an answer; `cluster` is what the virtual cluster is called.
    #[must_use]
    pub fn of(cluster: String, answer: &WorstTenant) -> Self {
        let tenant = &answer.tenant;
        let holes = answer.holes.iter();
        let mut not_exact = Vec::new();
        if !answer.is_exact {
            not_exact.push(TOO_MANY_LABELS);
        }
        if answer.leaves_out_tiers {
            not_exact.push(TIERS);
        }
        Self {
            cluster,
            may: powers_in_words(&tenant.powers, &tenant.namespace),
            powers: tenant.powers.clone(),
            egress: lines(&answer.egress),
            ingress: lines(&answer.ingress),
            holes: holes.map(|hole| in_words(hole, answer)).collect(),
            closed: closed(tenant),
            not_in_force: not_in_force(tenant),
            exact: not_exact.is_empty(),
            not_exact,
        }
    }

    /// The same, fit to be shown.
    pub(super) fn shown(&self) -> Self {
        let lines = |lines: &[String]| lines.iter().map(|l| terminal(l).into_owned()).collect();
        Self {
            cluster: terminal(&self.cluster).into_owned(),
            may: terminal(&self.may).into_owned(),
            powers: self.powers.clone(),
            egress: lines(&self.egress),
            ingress: lines(&self.ingress),
            holes: self.holes.iter().map(TenantHole::shown).collect(),
            closed: (self.closed.iter())
                .map(|closed| ClosedHole {
                    kind: closed.kind,
                    by: terminal(&closed.by).into_owned(),
                })
                .collect(),
            not_in_force: lines(&self.not_in_force),
            exact: self.exact,
            not_exact: self.not_exact.clone(),
        }
    }

    /// What there is to say where nothing was found.
    #[must_use]
    pub fn without_holes(&self) -> Option<&'static str> {
        if !self.holes.is_empty() || !self.exact {
            None
        } else if self.powers.networks == Networks::PrivateNodes {
            Some("none: its pods run on private nodes, and none on the host")
        } else {
            Some("none: nothing that it may choose opens more than its plain pods have")
        }
    }

    /// What is closed, what closes nothing, and why the answer is not exact: a sentence for each.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let closed = self.closed.iter();
        let closed = closed.map(|c| format!("closed for new pods: {} (by {})", c.kind, c.by));
        let not_exact = self.not_exact.iter().map(|reason| (*reason).to_owned());
        closed
            .chain(self.not_in_force.iter().cloned())
            .chain(not_exact)
            .collect()
    }

    /// What its own end lets through at most, in a line for each direction.
    #[must_use]
    pub fn most(&self) -> [String; 2] {
        let most = |words: &str, lines: &[String]| {
            let lines = if lines.is_empty() {
                "nobody".to_owned()
            } else {
                lines.join("; ")
            };
            format!("at most it {words} {lines}")
        };
        [
            most("may talk to", &self.egress),
            most("may be reached by", &self.ingress),
        ]
    }
}

impl TenantHole {
    fn shown(&self) -> Self {
        Self {
            kind: self.kind,
            what: terminal(&self.what).into_owned(),
            witness: self.witness.as_deref().map(|w| terminal(w).into_owned()),
            rules: self
                .rules
                .iter()
                .map(|r| terminal(r).into_owned())
                .collect(),
            close: terminal(&self.close).into_owned(),
        }
    }
}

fn closed(tenant: &Tenant) -> Vec<ClosedHole> {
    let name = tenant.host_network_closed_by();
    name.map(|name| ClosedHole {
        kind: HOST_NETWORK,
        by: format!("ValidatingAdmissionPolicy {name}"),
    })
    .into_iter()
    .collect()
}

fn not_in_force(tenant: &Tenant) -> Vec<String> {
    match &tenant.admission {
        PodAdmission::Different { name, differs } => vec![format!(
            "ValidatingAdmissionPolicy {name} counts for nothing: {differs}"
        )],
        PodAdmission::Absent | PodAdmission::InForce { .. } => Vec::new(),
    }
}

/// What a tenant may do, in a sentence.
fn powers_in_words(powers: &Powers, namespace: &str) -> String {
    let labels = NEVER.iter().copied().chain([VIRTUAL_NAMESPACE, MANAGED_BY]);
    let labels: Vec<&str> = labels.collect();
    let policies = if powers.syncs_policies {
        "may add NetworkPolicies"
    } else {
        "may add no NetworkPolicies"
    };
    let network = match powers.networks {
        Networks::PodsAndHost => "may use hostNetwork",
        Networks::Pods => "may not use hostNetwork",
        Networks::PrivateNodes => "has nodes of its own",
    };
    let assumed = if powers.values_known {
        ""
    } else {
        " (the values are not known: the chart's defaults are assumed)"
    };
    let own = (!namespace.is_empty()).then(|| namespace.to_owned());
    let namespaces: Vec<String> = own.into_iter().chain(powers.namespaces.clone()).collect();
    let place = match namespaces.as_slice() {
        [] => String::new(),
        [one] => format!(", and runs in the host namespace {one}"),
        several => format!(", and runs in the host namespaces {}", several.join(", ")),
    };
    format!(
        "the tenant chooses every label of its pods but {}; it {policies}, {network}{place}{assumed}",
        labels.join(", ")
    )
}

fn lines(allowed: &AllowedTraffic) -> Vec<String> {
    let mut lines = Vec::new();
    let everyone = allowed.everyone();
    if !everyone.is_empty() {
        lines.push(format!("everyone on {everyone}"));
    }
    for (addresses, ports) in allowed.addresses().pieces() {
        let ports = ports.difference(everyone);
        if !ports.is_empty() {
            let party = Party::peer(&Peer::Block(addresses.clone()));
            lines.push(format!("{} on {ports}", party.in_line()));
        }
    }
    for (class, ports) in allowed.pods() {
        let party = Party::class(class);
        lines.push(format!("{} on {ports}", party.in_line()));
    }
    lines
}

fn in_words(hole: &Hole, answer: &WorstTenant) -> TenantHole {
    match hole {
        Hole::HostNetwork => host_network(&answer.tenant.namespace),
        Hole::SyncedPolicies => synced_policies(),
        Hole::PolicyResources(names) => policy_resources(names),
        Hole::NoPolicy {
            namespace,
            directions,
        } => no_policy(namespace, directions, answer),
        Hole::NamespacePatterns => namespace_patterns(),
        Hole::Labels {
            namespace,
            labels,
            gains,
        } => by_labels(namespace, labels, gains),
    }
}

fn host_network(namespace: &str) -> TenantHole {
    let namespace = match namespace {
        "" => String::new(),
        name => format!(" {name}"),
    };
    TenantHole {
        kind: HOST_NETWORK,
        what: "a pod in the network of its node is in no NetworkPolicy: it reaches every address, \
               the cloud's metadata service and every pod of its node among them"
            .to_owned(),
        witness: Some("spec: {hostNetwork: true}".to_owned()),
        rules: Vec::new(),
        close: format!(
            "set {POD_SECURITY} to baseline or restricted, or label the host namespace{namespace} \
             pod-security.kubernetes.io/enforce: baseline"
        ),
    }
}

fn synced_policies() -> TenantHole {
    TenantHole {
        kind: "synced-policies",
        what: "the tenant's NetworkPolicies are added to those of the host, and a NetworkPolicy only \
               allows: its pods reach every address, and everyone reaches them"
            .to_owned(),
        witness: Some(
            "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: open}, spec: \
             {podSelector: {}, policyTypes: [Egress, Ingress], egress: [{}], ingress: [{}]}}"
                .to_owned(),
        ),
        rules: Vec::new(),
        close: format!(
            "set {SYNCED_POLICIES} to false, or let an admission policy of the host cluster refuse \
             what is wider than the virtual cluster's own config"
        ),
    }
}

fn policy_resources(names: &[String]) -> TenantHole {
    TenantHole {
        kind: "policy-resources",
        what: format!(
            "the tenant writes {} on the host: policies of the network plugin, which are not read \
             here and can allow anything, for pods of others too",
            names.join(", ")
        ),
        witness: None,
        rules: Vec::new(),
        close: format!("remove them from {CUSTOM_RESOURCES}"),
    }
}

fn no_policy(namespace: &str, directions: &[Direction], answer: &WorstTenant) -> TenantHole {
    let is_mapped = answer
        .tenant
        .powers
        .namespaces
        .iter()
        .any(|n| n == namespace);
    let directions: Vec<String> = directions.iter().map(ToString::to_string).collect();
    let (witness, close) = if is_mapped {
        (
            format!("a pod in a namespace that is mapped to {namespace}"),
            "set mappedNamespaces: true in the config of the annotation or of --config".to_owned(),
        )
    } else {
        (
            "any pod".to_owned(),
            "enable policies.networkPolicy, and run the filter".to_owned(),
        )
    };
    TenantHole {
        kind: "no-policy",
        what: format!(
            "no policy restricts the {} of the tenant's pods in the host namespace {namespace}",
            directions.join(" and ")
        ),
        witness: Some(witness),
        rules: Vec::new(),
        close,
    }
}

fn namespace_patterns() -> TenantHole {
    TenantHole {
        kind: "namespace-patterns",
        what: "pods run in host namespaces that only patterns name: which they are, and whether a \
               policy restricts them there, is not known"
            .to_owned(),
        witness: Some("a pod in a namespace that a pattern maps".to_owned()),
        rules: Vec::new(),
        close: format!(
            "name the host namespaces exactly in {MAPPINGS}, and set mappedNamespaces: true in the \
             config of the annotation or of --config"
        ),
    }
}

fn by_labels(namespace: &str, labels: &Labels, gains: &[Gain]) -> TenantHole {
    let mut labels = chosen(labels);
    let virtual_namespace = labels.remove(VIRTUAL_NAMESPACE).unwrap_or_default();
    let mut pod = Vec::new();
    if !labels.is_empty() {
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pod.push(format!("with {}", labels.join(",")));
    }
    // Another namespace of the tenant gains the same.
    let is_any = virtual_namespace == "any" || virtual_namespace.starts_with("any-");
    if !is_any {
        pod.push(format!("in the tenant's namespace {virtual_namespace}"));
    }
    let pod = pod.join(" ");
    let place = match namespace {
        "" => String::new(),
        name => format!(" (host namespace {name})"),
    };
    let words: Vec<String> = gains.iter().map(gain_in_words).collect();
    let mut rules: Vec<String> = Vec::new();
    for rule in gains.iter().flat_map(|gain| &gain.rules) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    let written: Vec<String> = labels
        .iter()
        .map(|(k, v)| format!("{k}: \"{v}\""))
        .collect();
    let mut metadata = Vec::new();
    if !is_any {
        metadata.push(format!("namespace: {virtual_namespace}"));
    }
    if !written.is_empty() {
        metadata.push(format!("labels: {{{}}}", written.join(", ")));
    }
    TenantHole {
        kind: "labels",
        what: format!("a pod {pod}{place} {}", words.join(", and ")),
        witness: Some(format!("metadata: {{{}}}", metadata.join(", "))),
        rules,
        close: {
            let hardened = if gains.iter().any(|gain| gain.is_built_in) {
                "set hardened: true in the config of the annotation or of --config, or "
            } else {
                ""
            };
            format!(
                "{hardened}let an admission policy of the host cluster refuse pods {pod} that have \
                 {MANAGED_BY}, or narrow the rules"
            )
        },
    }
}

fn gain_in_words(gain: &Gain) -> String {
    let who = match &gain.peer {
        GainedPeer::Everyone => "everyone".to_owned(),
        GainedPeer::Addresses(addresses) => Party::peer(&Peer::Block(addresses.clone())).in_line(),
        GainedPeer::Pods(class) => pods_in_words(class),
        GainedPeer::PodsOf { pods, others, .. } => match others {
            0 => pods_in_words(pods),
            1 => format!("{} and those of one more policy", pods_in_words(pods)),
            more => format!("{} and those of {more} more policies", pods_in_words(pods)),
        },
    };
    let way = match gain.direction {
        Direction::Egress => "may talk to",
        Direction::Ingress => "may be reached by",
    };
    format!("{way} {who} on {}", gain.ports)
}

fn pods_in_words(class: &netpol::allowed::PodClass) -> String {
    let party = Party::class(class);
    let place = match &class.namespaces {
        netpol::model::policy::Namespaces::Own(name) if !name.is_empty() => {
            format!(" in namespace {name}")
        }
        _ => String::new(),
    };
    if party.who == "pods" {
        format!("pods {}{place}", party.label())
    } else {
        format!("{}{place}", party.who)
    }
}
