//! The fields of `policies.networkPolicy`, as the vCluster chart has them since 0.31, the
//! deprecated ones of 0.20 to 0.30, and what this tool adds.
//!
//! Shapes only; defaults and meaning are in [`super::settings`].

use manifest::schema::{Field, Object, Shape};
use netpol::kubernetes;

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

static WORKLOAD: Object = Object {
    name: "networkPolicy.workload",
    fields: &[
        Field::new(
            "publicEgress",
            Shape::Object(&PUBLIC_EGRESS),
            "The rule that lets workloads reach the internet.",
        ),
        Field::new(
            "ingress",
            Shape::List(&Shape::Object(&kubernetes::INGRESS_RULE)),
            "Further ingress rules.",
        ),
        Field::new(
            "egress",
            Shape::List(&Shape::Object(&kubernetes::EGRESS_RULE)),
            "Further egress rules.",
        ),
    ],
};

static CONTROL_PLANE: Object = Object {
    name: "networkPolicy.controlPlane",
    fields: &[
        Field::new(
            "ingress",
            Shape::List(&Shape::Object(&kubernetes::INGRESS_RULE)),
            "Further ingress rules.",
        ),
        Field::new(
            "egress",
            Shape::List(&Shape::Object(&kubernetes::EGRESS_RULE)),
            "Further egress rules.",
        ),
    ],
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
