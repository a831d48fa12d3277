//! What the policies of a stream do, for people who must decide whether to trust them.
//!
//! ```text
//! stream, config ──▶ View ──▶ Explanation ──▶ text, Markdown, Mermaid, DOT, SVG, JSON
//! two of them ─────▶ Views ──▶ Diff ────────▶ text, Markdown, JSON
//! ```
//!
//! [`view`] reads, [`origins`] brings the config's part in, [`words`] says who is who,
//! [`explained`] is one policy with its rules, [`findings`] asks the evaluator for what is open and
//! may not be expected. Each form has a file of its own.
//! What a policy lets through is decided in [`netpol`], never here.

pub mod diff;
mod dot;
pub mod explained;
pub mod findings;
mod markdown;
mod mermaid;
pub mod origins;
mod svg;
pub mod table;
pub mod tenant;
mod text;
pub mod view;
pub mod words;

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::filter::GeneratedPolicies;
use crate::tenant::{Tenant, worst_tenants};
use explained::{Explained, Line, RuleKind};
use findings::Finding;
use manifest::escape::terminal;
use netpol::model::policy::Direction;
use tenant::TenantReport;
use view::View;

pub use dot::dot;
pub use markdown::markdown;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

/// The version of the JSON output: a field that changes its meaning or its name raises it.
const VERSION: u32 = 1;

/// All policies of a stream, and what may surprise in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The version of this format.
    pub version: u32,
    /// The virtual clusters, in the order of their configs.
    pub clusters: Vec<Cluster>,
    /// The policies, in the order of the stream, generated ones behind them.
    pub policies: Vec<Explained>,
    /// What is open and may not be expected.
    pub findings: Vec<Finding>,
    /// The worst tenant of each virtual cluster.
    pub tenants: Vec<TenantReport>,
}

/// A virtual cluster that has a config, or policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Namespace and name: policies and findings refer to it.
    pub id: String,
    /// Which config it has and what comes of it, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

/// One virtual cluster with all that concerns it, or the policies that concern none.
pub(crate) struct Section<'e> {
    /// The virtual cluster.
    pub(crate) cluster: Option<&'e Cluster>,
    /// Its policies.
    pub(crate) policies: Vec<&'e Explained>,
    /// What is found in them.
    pub(crate) findings: Vec<&'e Finding>,
    /// Its worst tenant.
    pub(crate) tenant: Option<&'e TenantReport>,
}

impl Section<'_> {
    /// The virtual cluster, as a heading.
    fn title(&self) -> String {
        self.cluster.map_or_else(
            || "policies of no virtual cluster".to_owned(),
            |cluster| format!("virtual cluster {}", cluster.id),
        )
    }

    /// How many rules there are of a kind.
    fn count(&self, is_counted: impl Fn(&Line) -> bool) -> usize {
        let sides = self.policies.iter().flat_map(|policy| policy.sides());
        let rules = sides.flat_map(|(_, side)| &side.rules);
        rules.filter(|rule| is_counted(rule)).count()
    }

    /// One row of an overview: what is in the section, as numbers.
    fn overview(&self) -> [String; 7] {
        let absent = self.policies.iter();
        let absent = absent.filter(|policy| policy.presence.note().is_some());
        [
            self.cluster
                .map_or("none", |cluster| &cluster.id)
                .to_owned(),
            match self.policies.len() {
                0 => "none: NOT ISOLATED".to_owned(),
                count => count.to_string(),
            },
            absent.count().to_string(),
            self.count(|rule| rule.kind == RuleKind::User).to_string(),
            self.count(|rule| rule.open_to.is_some()).to_string(),
            self.findings.len().to_string(),
            (self.tenant.map_or(0, |tenant| tenant.holes.len())).to_string(),
        ]
    }
}

/// What there is to say where there are no policies.
const NO_POLICY: &str = "No NetworkPolicy: every pod may talk to everyone";

/// The headings of an overview.
const OVERVIEW: [&str; 7] = [
    "virtual cluster",
    "policies",
    "missing or outdated",
    "rules of the user",
    "open rules",
    "findings",
    "holes",
];

impl Explanation {
    /// Explains all policies of a view.
    #[must_use]
    pub fn of(view: &View) -> Self {
        let policies = view.model.policies();
        Self {
            version: VERSION,
            clusters: clusters(view),
            policies: (policies.iter())
                .map(|policy| {
                    let cluster = view.cluster_of(policy).map(str::to_owned);
                    Explained::of(policy, view.planned(policy), cluster, view.presence(policy))
                })
                .collect(),
            findings: findings::find(policies, |policy| view.cluster_of(policy)),
            tenants: tenants(view),
        }
    }

    /// The same with every text in one line, fit to be shown: the first step of each form that
    /// people read.
    #[must_use]
    fn shown(&self) -> Self {
        let cluster = |cluster: &Cluster| Cluster {
            id: terminal(&cluster.id).into_owned(),
            config: (cluster.config.as_deref()).map(|text| terminal(text).into_owned()),
        };
        let own_id = |id: &Option<String>| id.as_deref().map(|id| terminal(id).into_owned());
        Self {
            version: self.version,
            clusters: self.clusters.iter().map(cluster).collect(),
            policies: (self.policies.iter())
                .map(|policy| Explained {
                    cluster: own_id(&policy.cluster),
                    ..policy.shown()
                })
                .collect(),
            findings: (self.findings.iter())
                .map(|finding| Finding {
                    cluster: own_id(&finding.cluster),
                    what: terminal(&finding.what).into_owned(),
                    rules: shown(&finding.rules),
                    close: terminal(&finding.close).into_owned(),
                })
                .collect(),
            tenants: self.tenants.iter().map(TenantReport::shown).collect(),
        }
    }

    /// The virtual clusters one by one, each with its policies and findings; what belongs to none
    /// is the last one.
    fn sections(&self) -> Vec<Section<'_>> {
        let section = |cluster| Section {
            cluster,
            policies: Vec::new(),
            findings: Vec::new(),
            tenant: None,
        };
        let mut sections: Vec<Section<'_>> =
            self.clusters.iter().map(|c| section(Some(c))).collect();
        let places: HashMap<&str, usize> = (self.clusters.iter().enumerate())
            .map(|(place, cluster)| (cluster.id.as_str(), place))
            .collect();
        let none = sections.len();
        sections.push(section(None));
        let place = |cluster: &Option<String>| {
            let place = cluster.as_deref().and_then(|id| places.get(id));
            place.copied().unwrap_or(none)
        };
        for policy in &self.policies {
            if let Some(section) = sections.get_mut(place(&policy.cluster)) {
                section.policies.push(policy);
            }
        }
        for finding in &self.findings {
            if let Some(section) = sections.get_mut(place(&finding.cluster)) {
                section.findings.push(finding);
            }
        }
        for tenant in &self.tenants {
            let place = places.get(tenant.cluster.as_str());
            if let Some(section) = place.and_then(|place| sections.get_mut(*place)) {
                section.tenant = Some(tenant);
            }
        }
        sections
            .retain(|s| s.cluster.is_some() || !s.policies.is_empty() || !s.findings.is_empty());
        sections
    }
}

/// The virtual clusters that have a config, and those of which only the policies are there.
fn clusters(view: &View) -> Vec<Cluster> {
    let mut known = HashSet::new();
    let mut clusters = Vec::new();
    for made in &view.made {
        let id = view.id_of(made);
        if known.insert(id.clone()) {
            let config = Some(config_in_words(made, &id, view.assumed_edition.is_some()));
            clusters.push(Cluster { id, config });
        }
    }
    for policy in view.model.policies().iter() {
        if let Some(id) = view.cluster_of(policy)
            && known.insert(id.to_owned())
        {
            let id = id.to_owned();
            clusters.push(Cluster { id, config: None });
        }
    }
    clusters
}

/// The worst tenant of each virtual cluster.
fn tenants(view: &View) -> Vec<TenantReport> {
    let (ids, tenants): (Vec<String>, Vec<Tenant>) = view.tenants().into_iter().unzip();
    let answers = worst_tenants(&view.model, &tenants);
    let pairs = ids.into_iter().zip(&answers);
    pairs
        .map(|(id, answer)| TenantReport::of(id, answer))
        .collect()
}

fn shown(texts: &[String]) -> Vec<String> {
    texts.iter().map(|t| terminal(t).into_owned()).collect()
}

fn config_in_words(made: &GeneratedPolicies, id: &str, is_assumed: bool) -> String {
    let source = &made.source;
    if made.enabled {
        let edition = made.edition;
        let assumed = if is_assumed {
            " (the newest, assumed; set another with --edition)"
        } else {
            ""
        };
        format!("virtual cluster {id}: config from {source}, edition {edition}{assumed}")
    } else {
        format!(
            "virtual cluster {id}: NOT ISOLATED: the config from {source} does not enable the \
             policies"
        )
    }
}

/// Who is at the other end, as a heading.
fn heading(direction: Direction) -> &'static str {
    match direction {
        Direction::Egress => "may talk to",
        Direction::Ingress => "may be reached by",
    }
}
