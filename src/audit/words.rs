//! The findings in sentences: what is wrong, and what to do.

use super::verdict::{Finding, Unknown};
use manifest::diagnostic::{Diagnostic, Diagnostics};
use netpol::kubernetes;

/// How many names a sentence lists.
const MAX_NAMES: usize = 5;

/// What is wrong, in one sentence without a full stop.
#[must_use]
pub fn message(finding: &Finding) -> String {
    match finding {
        Finding::Off {
            reason, present, ..
        } if present.is_empty() => reason.clone(),
        Finding::Off {
            reason, present, ..
        } => format!(
            "{reason}; the policies {} are there all the same, and the next upgrade can remove them",
            listed(present)
        ),
        Finding::Missing { policies, .. } => {
            let verb = if policies.len() == 1 { "is" } else { "are" };
            format!(
                "the config enables the policies, and {} {verb} not there",
                listed(policies)
            )
        }
        Finding::NoEnforcement { reason, .. } => reason.clone(),
        Finding::HostNetwork { pods } => format!(
            "no NetworkPolicy applies to pods on the network of their node (hostNetwork: true): {}",
            listed(pods)
        ),
        Finding::OutsideOfPolicies { pods } => format!(
            "workloads run in namespaces where the virtual cluster has no policy: {}",
            listed(pods)
        ),
        Finding::MappedNamespaces {
            namespaces,
            has_patterns,
        } => {
            let mut names = namespaces.clone();
            if *has_patterns {
                names.push("those of a pattern, which only the cluster knows".to_owned());
            }
            format!(
                "the values put workloads into namespaces where the virtual cluster has no policy \
                 (sync.toHost.namespaces): {}",
                listed(&names)
            )
        }
        Finding::Different { .. } => {
            "its policies allow other traffic than the config says".to_owned()
        }
        Finding::Widened {
            kind,
            policy,
            tenant,
            ..
        } => match tenant {
            Some(tenant) => format!(
                "{kind} {policy}, which the syncer copied out of virtual cluster {tenant}, \
                 allows its pods more than its config says"
            ),
            None => {
                format!("{kind} {policy} allows its pods more than its config says")
            }
        },
        Finding::Unknown(unknown) => unknown_in_words(unknown),
    }
}

fn unknown_in_words(unknown: &Unknown) -> String {
    match unknown {
        Unknown::NoConfig {
            reason, present, ..
        } if present.is_empty() => reason.clone(),
        Unknown::NoConfig {
            reason, present, ..
        } => format!(
            "{reason}; {} {} there, but nothing says whether {} right",
            listed(present),
            if present.len() == 1 { "is" } else { "are" },
            if present.len() == 1 {
                "it is"
            } else {
                "they are"
            },
        ),
        Unknown::Rejected { problems } => {
            format!("the config is rejected: {}", problems_in_line(problems))
        }
        Unknown::Unreadable { problems } => {
            format!("the policies can't be read: {}", problems_in_line(problems))
        }
        Unknown::Enforcement { reason, .. } => reason.clone(),
        Unknown::UnevaluatedPolicies { policies } => format!(
            "policies that are not evaluated can allow its pods more: {}",
            listed(policies)
        ),
    }
}

/// A few problems in one line, each with its object and field.
fn problems_in_line(problems: &Diagnostics) -> String {
    let in_line = |problem: &Diagnostic| {
        let object = problem.place.object.iter();
        let parts = object.chain(&problem.place.path).chain([&problem.message]);
        parts.cloned().collect::<Vec<_>>().join(": ")
    };
    let all: Vec<String> = problems.iter().map(in_line).collect();
    listed(&all)
}

/// What to do.
#[must_use]
pub fn help(finding: &Finding) -> Option<String> {
    let help = match finding {
        Finding::Off { remedy, .. } | Finding::Unknown(Unknown::NoConfig { remedy, .. }) => {
            remedy.clone()
        }
        Finding::Missing { elsewhere, .. } if !elsewhere.is_empty() => format!(
            "{} holds them: if the inputs are one cluster, give --together",
            listed(elsewhere)
        ),
        Finding::Missing { .. } => {
            "upgrade the release with --post-renderer vcluster-netpol; if the input is only a part \
             of the cluster's objects, add its NetworkPolicies"
                .to_owned()
        }
        Finding::NoEnforcement { remedy, .. }
        | Finding::Unknown(Unknown::Enforcement { remedy, .. }) => return remedy.clone(),
        Finding::HostNetwork { .. } => "forbid host networking with a Pod Security Standard, \
             policies.podSecurityStandard: baseline in the chart's values"
            .to_owned(),
        Finding::OutsideOfPolicies { .. } => {
            "sync.toHost.namespaces and experimental.syncSettings.targetNamespace put pods there: \
             write policies for these namespaces"
                .to_owned()
        }
        Finding::MappedNamespaces { .. } => {
            "set mappedNamespaces: true in an annotation vcluster-netpol/config or with --config, \
             and list the namespaces by name: then each gets a policy for its workloads"
                .to_owned()
        }
        Finding::Different { .. } => {
            "upgrade the release with --post-renderer vcluster-netpol, which replaces the policies"
                .to_owned()
        }
        Finding::Widened { tenant, kind, .. } => {
            help_with_widened(tenant.is_some(), kind).to_owned()
        }
        Finding::Unknown(Unknown::Rejected { problems }) => {
            help_of(problems, "correct the config; lint shows the places")
        }
        Finding::Unknown(Unknown::Unreadable { problems }) => help_of(
            problems,
            "the API server would reject it: correct the template that renders it",
        ),
        Finding::Unknown(Unknown::UnevaluatedPolicies { .. }) => {
            "look at these policies; without --strict, those of other kinds are a warning"
                .to_owned()
        }
    };
    Some(help)
}

/// What to do about a policy that opens more.
fn help_with_widened(is_of_tenant: bool, kind: &str) -> &'static str {
    if is_of_tenant {
        "set sync.toHost.networkPolicies.enabled: false in the chart's values, so that tenants \
         can't add policies"
    } else if kind != kubernetes::KIND {
        "exclude the namespace of the virtual cluster from its subject; what an earlier rule denies \
         is not taken off here, and check answers for single connections with all rules"
    } else {
        "remove the policy or narrow its podSelector; what the pods need belongs in the config \
         (policies.networkPolicy)"
    }
}

/// What the first of some problems says, or else `general`.
fn help_of(problems: &Diagnostics, general: &str) -> String {
    let mut own = problems.iter().filter_map(|problem| problem.help.clone());
    own.next().unwrap_or_else(|| general.to_owned())
}

/// A few names, and how many more there are.
#[must_use]
pub fn listed(names: &[String]) -> String {
    let few = names.get(..MAX_NAMES.min(names.len())).unwrap_or_default();
    let few = few.join(", ");
    match names.len().checked_sub(MAX_NAMES) {
        Some(more @ 1..) => format!("{few} and {more} more"),
        _ => few,
    }
}

/// `1 file`, `2 files`.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}
