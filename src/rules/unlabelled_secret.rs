//! A Secret that looks like a vCluster's but lacks its labels.
//!
//! Given where the virtual clusters are found (`vcluster::ownership`).

use super::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP116",
    title: "Secret without vCluster's labels",
    audience: Audience::Everyone,
    documentation: "\
**A Secret that looks like vCluster's.** A Secret is named `vc-config-NAME` but does not have the labels `app: vcluster` and `release: NAME`. So the program does not read it as the config of a virtual cluster.

Fix: add the labels if it is such a config; otherwise rename it.",
    check: None,
};
