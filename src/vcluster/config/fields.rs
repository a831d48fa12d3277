//! The fields of `policies.networkPolicy`, as the vCluster chart has them since 0.31, the
//! deprecated ones of 0.20 to 0.30, and what this tool adds.
//!
//! Shapes only; defaults and meaning are in [`super::settings`].

use manifest::schema::{Field, Object, Shape};
use netpol::kubernetes;

use super::host_fit;

/// `policies.networkPolicy`.
pub static NETWORK_POLICY: Object = Object {
    name: "networkPolicy",
    fields: &[
        Field::new(
            "enabled",
            Shape::Bool,
            "Whether the virtual cluster gets its network policies. Default: false.",
        ),
        Field::new(
            "fallbackDns",
            Shape::String,
            "The DNS server that CoreDNS falls back to. Default: 8.8.8.8.",
        ),
        Field::new(
            "labels",
            Shape::Map(&Shape::StringOrNull),
            "Extra labels of the policies.",
        ),
        Field::new(
            "annotations",
            Shape::Map(&Shape::StringOrNull),
            "Extra annotations of the policies.",
        ),
        Field::new(
            "workload",
            Shape::Object(&WORKLOAD),
            "What the virtual cluster's workload pods may do beyond the built-in rules.",
        ),
        Field::new(
            "controlPlane",
            Shape::Object(&CONTROL_PLANE),
            "What the virtual cluster's control plane may do beyond the built-in rules.",
        ),
        Field::new(
            "companions",
            Shape::Bool,
            "Whether vc-kube-dns and vc-snapshot are generated where the chart did not. \
             Default: false.",
        ),
        Field::new(
            "allow",
            Shape::List(&Shape::String),
            "Codes of warnings that are not to be given.",
        ),
        Field::new(
            "hostDns",
            Shape::NameOr(&host_fit::DNS_NAMES, &HOST_DNS),
            "Where the host's DNS is: the name of a kind of host, or its pods and addresses. \
             Default: kube-dns in kube-system, all ports.",
        ),
        Field::new(
            "apiServer",
            Shape::Object(&API_SERVER),
            "Where the host's API server is. Default: any address, ports 443, 8443 and 6443.",
        ),
        Field::new(
            "platform",
            Shape::Object(&PLATFORM),
            "Where the vCluster Platform is. Default: pods app=loft in any namespace.",
        ),
        Field::new(
            "hardened",
            Shape::Bool,
            "Whether the built-in rules trust no label that a tenant can set, and public egress \
             leaves out link-local and other special addresses. Default: false.",
        ),
        Field::new(
            "mappedNamespaces",
            Shape::Bool,
            "Whether vc-work is also made in each host namespace that \
             sync.toHost.namespaces.mappings.byName names exactly. Default: false.",
        ),
        Field::new(
            "extraControlPlaneRules",
            Shape::List(&Shape::Object(&kubernetes::EGRESS_RULE)),
            "Deprecated: use controlPlane.egress.",
        ),
        Field::new(
            "extraWorkloadRules",
            Shape::List(&Shape::Object(&kubernetes::EGRESS_RULE)),
            "Deprecated: use workload.egress.",
        ),
        Field::new(
            "outgoingConnections",
            Shape::Object(&OUTGOING_CONNECTIONS),
            "Deprecated: use workload.publicEgress.",
        ),
    ],
};

static INGRESS_RULE: Shape = Shape::Object(&kubernetes::INGRESS_RULE);
static EGRESS_RULE: Shape = Shape::Object(&kubernetes::EGRESS_RULE);

const FURTHER_INGRESS: Field = Field::new(
    "ingress",
    Shape::List(&INGRESS_RULE),
    "Further ingress rules.",
);

const FURTHER_EGRESS: Field =
    Field::new("egress", Shape::List(&EGRESS_RULE), "Further egress rules.");

static WORKLOAD: Object = Object {
    name: "networkPolicy.workload",
    fields: &[
        Field::new(
            "publicEgress",
            Shape::Object(&PUBLIC_EGRESS),
            "The rule that lets workloads reach the internet.",
        ),
        FURTHER_INGRESS,
        FURTHER_EGRESS,
    ],
};

static CONTROL_PLANE: Object = Object {
    name: "networkPolicy.controlPlane",
    fields: &[FURTHER_INGRESS, FURTHER_EGRESS],
};

static PUBLIC_EGRESS: Object = Object {
    name: "networkPolicy.workload.publicEgress",
    fields: &[
        Field::new(
            "enabled",
            Shape::Bool,
            "Whether the rule is there. Default: true.",
        ),
        Field::new(
            "cidr",
            Shape::String,
            "What workloads may reach. Default: 0.0.0.0/0.",
        ),
        Field::new(
            "except",
            Shape::List(&Shape::String),
            "What they may not reach of it; strictly inside cidr. Default: the private ranges.",
        ),
        Field::new(
            "cidrs",
            Shape::List(&Shape::Object(&kubernetes::IP_BLOCK)),
            "Further ranges, IPv6 among them; without except, each leaves out the default ranges \
             of its family.",
        ),
    ],
};

static HOST_DNS: Object = Object {
    name: "networkPolicy.hostDns",
    fields: &[
        Field::new(
            "namespace",
            Shape::String,
            "The namespace of the DNS pods. Default: kube-system.",
        ),
        Field::new(
            "podLabels",
            Shape::Map(&Shape::String),
            "The labels of the DNS pods. Default: k8s-app: kube-dns.",
        ),
        Field::new(
            "ports",
            Shape::List(&Shape::Integer),
            "The ports of the DNS pods, for UDP and TCP. Default: all.",
        ),
        Field::new(
            "addresses",
            Shape::List(&Shape::String),
            "Addresses of DNS servers as CIDRs, such as 169.254.20.10/32. Given alone, there are \
             no DNS pods.",
        ),
    ],
};

static API_SERVER: Object = Object {
    name: "networkPolicy.apiServer",
    fields: &[
        Field::new(
            "cidrs",
            Shape::List(&Shape::String),
            "Its addresses as CIDRs. Default: any address.",
        ),
        Field::new(
            "ports",
            Shape::List(&Shape::Integer),
            "Its TCP ports. Default: 443, 8443 and 6443.",
        ),
    ],
};

static PLATFORM: Object = Object {
    name: "networkPolicy.platform",
    fields: &[
        Field::new("namespace", Shape::String, "Its namespace. Default: any."),
        Field::new(
            "podLabels",
            Shape::Map(&Shape::String),
            "The labels of its pods. Default: app: loft.",
        ),
        Field::new(
            "enabled",
            Shape::Bool,
            "Whether the rules towards it and from it are there. Default: true.",
        ),
    ],
};

static OUTGOING_CONNECTIONS: Object = Object {
    name: "networkPolicy.outgoingConnections",
    fields: &[
        Field::new(
            "platform",
            Shape::Bool,
            "Deprecated: whether the control plane may reach the vCluster Platform.",
        ),
        Field::new(
            "ipBlock",
            Shape::Object(&kubernetes::IP_BLOCK),
            "Deprecated: use workload.publicEgress.",
        ),
    ],
};

/// `isolation.networkPolicy` of the charts up to 0.19.
pub static LEGACY: Object = Object {
    name: "isolation.networkPolicy",
    fields: &[
        Field::new(
            "enabled",
            Shape::Bool,
            "Whether the policies are there, if isolation.enabled is true.",
        ),
        Field::new(
            "outgoingConnections",
            Shape::Object(&OUTGOING_CONNECTIONS),
            "Use policies.networkPolicy.workload.publicEgress.",
        ),
    ],
};
