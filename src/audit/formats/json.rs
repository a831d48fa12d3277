//! An audit for programs. The format is documented in docs/audit.md and has a version.

use serde_json::{Map, Value, json as value};

use super::{diff, summary};
use crate::audit::verdict::{Finding, Unknown, Verdict};
use crate::audit::words::{help, message};
use crate::audit::{ClusterAudit, Report, StreamAudit};

/// The version of the format. A field that is added does not change it.
const VERSION: u32 = 1;

/// The whole audit, isolated virtual clusters included.
#[must_use]
pub fn json(report: &Report) -> Value {
    let counts = report.counts();
    let counts: Map<String, Value> = Verdict::ALL
        .iter()
        .map(|verdict| {
            let count = counts.get(verdict).copied().unwrap_or_default();
            (verdict.as_str().to_owned(), value!(count))
        })
        .collect();
    value!({
        "version": VERSION,
        "isolated": report.is_isolated(),
        "summary": summary(report),
        "verdicts": counts,
        "inputs": report.streams.iter().map(stream).collect::<Vec<_>>(),
    })
}

fn stream(stream: &StreamAudit) -> Value {
    let mut object = value!({
        "name": stream.name,
        "virtual_clusters": stream.clusters.iter().map(cluster).collect::<Vec<_>>(),
        "errors": stream.errors,
        "warnings": stream.warnings,
        "empty": stream.is_empty,
        "unevaluated_policies": stream.unevaluated,
    });
    if let (Some(map), Some(reach)) = (object.as_object_mut(), &stream.reach) {
        map.insert("reach".to_owned(), value!(reach));
    }
    object
}

fn cluster(cluster: &ClusterAudit) -> Value {
    value!({
        "release": cluster.release,
        "namespace": cluster.namespace,
        "chart": cluster.chart,
        "config": cluster.config,
        "verdict": cluster.verdict(),
        "companions": cluster.companions,
        "notes": cluster.notes,
        "worst_tenant": cluster.worst_tenant,
        "findings": cluster.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
    set("verdict", value!(finding.verdict()));
    set("message", value!(message(finding)));
    if let Some(help) = help(finding) {
        set("help", value!(help));
    }
    match finding {
        Finding::Off { present, .. } | Finding::Unknown(Unknown::NoConfig { present, .. })
            if !present.is_empty() =>
        {
            set("present", value!(present));
        }
        Finding::Missing { policies, .. }
        | Finding::Unknown(Unknown::UnevaluatedPolicies { policies }) => {
            set("policies", value!(policies));
        }
        Finding::MappedNamespaces { namespaces, .. } => {
            set("namespaces", value!(namespaces));
        }
        Finding::HostNetwork { pods } | Finding::OutsideOfPolicies { pods } => {
            set("pods", value!(pods));
        }
        Finding::Widened {
            kind,
            policy,
            tenant,
            ..
        } => {
            set("kind", value!(kind));
            set("policy", value!(policy));
            set("tenant", value!(tenant));
        }
        Finding::Unknown(Unknown::Rejected { problems } | Unknown::Unreadable { problems }) => {
            set("problems", value!(problems));
        }
        _ => {}
    }
    if let Some(diff) = diff(finding) {
        set("changes", value!(diff.changes));
    }
    Value::Object(object)
}
