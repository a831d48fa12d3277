//! The fields of a NetworkPolicy, as the API reference of networking.k8s.io/v1 lists them.
//!
//! Shapes only: which of the values the API server takes is judged in the room `validate`.

use manifest::schema::{Field, Object, Shape};

/// The API group of the policies.
pub const GROUP: &str = "networking.k8s.io";

/// The group in which NetworkPolicy began; some charts still write it.
pub const OLD_GROUP: &str = "extensions";

/// The API version of the policies.
pub const API_VERSION: &str = "networking.k8s.io/v1";

/// The API version of [`OLD_GROUP`].
pub const OLD_API_VERSION: &str = "extensions/v1beta1";

/// The kind of the policies.
pub const KIND: &str = "NetworkPolicy";

/// The protocols that a port may have.
pub const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// The directions that a policy may govern.
pub const POLICY_TYPES: [&str; 2] = ["Ingress", "Egress"];

/// The operators of a selector.
pub const OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];

/// A whole NetworkPolicy.
pub static POLICY: Object = Object {
    name: "NetworkPolicy",
    fields: &[
        Field::new("apiVersion", Shape::String, "networking.k8s.io/v1."),
        Field::new("kind", Shape::String, "NetworkPolicy."),
        Field::new("metadata", Shape::Object(&METADATA), "Who the policy is."),
        Field::new("spec", Shape::Object(&SPEC), "What the policy says."),
    ],
};

/// `ObjectMeta`.
pub static METADATA: Object = Object {
    name: "ObjectMeta",
    fields: &[
        Field::new("name", Shape::String, "The name."),
        Field::new("generateName", Shape::String, "The beginning of a name."),
        Field::new("namespace", Shape::String, "The namespace."),
        Field::new("selfLink", Shape::String, "Set by the server, once."),
        Field::new("uid", Shape::String, "Set by the server."),
        Field::new("resourceVersion", Shape::String, "Set by the server."),
        Field::new("generation", Shape::Long, "Set by the server."),
        Field::new("creationTimestamp", Shape::Time, "Set by the server."),
        Field::new("deletionTimestamp", Shape::Time, "Set by the server."),
        Field::new(
            "deletionGracePeriodSeconds",
            Shape::Long,
            "Set by the server.",
        ),
        Field::new("labels", Shape::Map(&Shape::String), "The labels."),
        Field::new(
            "annotations",
            Shape::Map(&Shape::String),
            "The annotations.",
        ),
        Field::new(
            "ownerReferences",
            Shape::List(&Shape::Object(&OWNER)),
            "The objects that this one goes with.",
        ),
        Field::new(
            "finalizers",
            Shape::List(&Shape::String),
            "Who must agree before it is deleted.",
        ),
        Field::new(
            "managedFields",
            Shape::List(&Shape::Object(&MANAGED_FIELDS)),
            "Set by the server.",
        ),
    ],
};

/// `OwnerReference`.
pub static OWNER: Object = Object {
    name: "OwnerReference",
    fields: &[
        Field::new("apiVersion", Shape::String, "The owner's API version."),
        Field::new("kind", Shape::String, "The owner's kind."),
        Field::new("name", Shape::String, "The owner's name."),
        Field::new("uid", Shape::String, "The owner's UID."),
        Field::new("controller", Shape::Bool, "Whether the owner controls it."),
        Field::new(
            "blockOwnerDeletion",
            Shape::Bool,
            "Whether the owner waits for its deletion.",
        ),
    ],
};

/// `ManagedFieldsEntry`.
pub static MANAGED_FIELDS: Object = Object {
    name: "ManagedFieldsEntry",
    fields: &[
        Field::new("manager", Shape::String, "Who manages the fields."),
        Field::new("operation", Shape::String, "Apply or Update."),
        Field::new("apiVersion", Shape::String, "The version of the fields."),
        Field::new("time", Shape::Time, "When they were last managed."),
        Field::new("fieldsType", Shape::String, "FieldsV1."),
        Field::new("fieldsV1", Shape::Any, "The fields."),
        Field::new("subresource", Shape::String, "The subresource."),
    ],
};

/// `NetworkPolicySpec`.
pub static SPEC: Object = Object {
    name: "NetworkPolicySpec",
    fields: &[
        Field::new(
            "podSelector",
            Shape::Object(&SELECTOR),
            "The pods that the policy applies to.",
        ),
        Field::new(
            "policyTypes",
            Shape::List(&Shape::OneOf(&POLICY_TYPES)),
            "Ingress, Egress or both.",
        ),
        Field::new(
            "ingress",
            Shape::List(&Shape::Object(&INGRESS_RULE)),
            "What may come in.",
        ),
        Field::new(
            "egress",
            Shape::List(&Shape::Object(&EGRESS_RULE)),
            "What may go out.",
        ),
    ],
};

/// `NetworkPolicyIngressRule`.
pub static INGRESS_RULE: Object = Object {
    name: "NetworkPolicyIngressRule",
    fields: &[
        Field::new(
            "from",
            Shape::List(&Shape::Object(&PEER)),
            "The sources; absent or empty: all.",
        ),
        Field::new(
            "ports",
            Shape::List(&Shape::Object(&PORT)),
            "The ports; absent or empty: all.",
        ),
    ],
};

/// `NetworkPolicyEgressRule`.
pub static EGRESS_RULE: Object = Object {
    name: "NetworkPolicyEgressRule",
    fields: &[
        Field::new(
            "to",
            Shape::List(&Shape::Object(&PEER)),
            "The destinations; absent or empty: all.",
        ),
        Field::new(
            "ports",
            Shape::List(&Shape::Object(&PORT)),
            "The ports; absent or empty: all.",
        ),
    ],
};

/// `NetworkPolicyPeer`.
pub static PEER: Object = Object {
    name: "NetworkPolicyPeer",
    fields: &[
        Field::new(
            "ipBlock",
            Shape::Object(&IP_BLOCK),
            "A range of addresses; alone in its peer.",
        ),
        Field::new(
            "namespaceSelector",
            Shape::Object(&SELECTOR),
            "Namespaces by their labels; {} is all.",
        ),
        Field::new(
            "podSelector",
            Shape::Object(&SELECTOR),
            "Pods by their labels; {} is all.",
        ),
    ],
};

/// `IPBlock`.
pub static IP_BLOCK: Object = Object {
    name: "IPBlock",
    fields: &[
        Field::new(
            "cidr",
            Shape::String,
            "The range, such as 192.168.1.0/24 or 2001:db8::/64.",
        ),
        Field::new(
            "except",
            Shape::List(&Shape::String),
            "Ranges strictly inside cidr that do not belong to it.",
        ),
    ],
};

/// `NetworkPolicyPort`.
pub static PORT: Object = Object {
    name: "NetworkPolicyPort",
    fields: &[
        Field::new(
            "port",
            Shape::IntOrString,
            "The port's number or name; absent: all.",
        ),
        Field::new(
            "endPort",
            Shape::Integer,
            "The last port of a range that begins at port.",
        ),
        Field::new(
            "protocol",
            Shape::OneOf(&PROTOCOLS),
            "TCP (the default), UDP or SCTP.",
        ),
    ],
};

/// `LabelSelector`.
pub static SELECTOR: Object = Object {
    name: "LabelSelector",
    fields: &[
        Field::new(
            "matchLabels",
            Shape::Map(&Shape::String),
            "Labels that must all be there.",
        ),
        Field::new(
            "matchExpressions",
            Shape::List(&Shape::Object(&REQUIREMENT)),
            "Requirements that must all hold.",
        ),
    ],
};

/// `LabelSelectorRequirement`.
pub static REQUIREMENT: Object = Object {
    name: "LabelSelectorRequirement",
    fields: &[
        Field::new("key", Shape::String, "The label."),
        Field::new(
            "operator",
            Shape::OneOf(&OPERATORS),
            "In, NotIn, Exists or DoesNotExist.",
        ),
        Field::new(
            "values",
            Shape::List(&Shape::String),
            "The values for In and NotIn.",
        ),
    ],
};
