//! Who is who, in words: the parts of a virtual cluster that a selector means.
//!
//! Names only what the selector says exactly; everything else is called by its labels.

use serde::Serialize;

use crate::vcluster::actors::MANAGED_BY;
use manifest::escape::terminal;
use netpol::allowed::PodClass;
use netpol::model::policy::{Namespaces, Peer, Policy};
use netpol::query;
use netpol::sets::selector::Selector;

/// Somebody, by name and by labels or addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Party {
    /// Who it is, in words.
    pub who: String,
    /// The labels or addresses that say so, all of them; empty where the words say it all.
    pub by: String,
    /// The same for people, where it is so long that some of it is only counted.
    #[serde(skip)]
    pub short: Option<String>,
}

impl Party {
    /// Everyone: a rule without peers.
    #[must_use]
    pub fn everyone() -> Self {
        Self {
            who: "everyone".to_owned(),
            by: "any pod, any address".to_owned(),
            short: None,
        }
    }

    /// The pods that a policy is for.
    #[must_use]
    pub fn subject(policy: &Policy) -> Self {
        let own_namespace = Namespaces::Own(policy.namespace.clone());
        pods(&own_namespace, &policy.selector)
    }

    /// A peer of a rule.
    #[must_use]
    pub fn peer(peer: &Peer) -> Self {
        match peer {
            Peer::Pods {
                namespaces,
                pods: selector,
            } => pods(namespaces, selector),
            Peer::Block(addresses) => {
                let covers = |part: &netpol::sets::addresses::AddressSet| {
                    part.difference(addresses).is_empty()
                };
                let who = match (covers(&query::internet()), covers(&query::internet6())) {
                    (true, true) => "the internet",
                    (true, false) => "the IPv4 internet",
                    (false, true) => "the IPv6 internet",
                    (false, false) => "addresses",
                };
                let (full, short) = (addresses.in_full(), addresses.to_string());
                Self {
                    who: who.to_owned(),
                    short: (short != full).then_some(short),
                    by: full,
                }
            }
        }
    }

    /// The labels or addresses as people read them.
    #[must_use]
    pub fn label(&self) -> &str {
        self.short.as_ref().unwrap_or(&self.by)
    }

    /// The same, fit to be shown to people.
    #[must_use]
    pub fn shown(&self) -> Self {
        Self {
            who: terminal(&self.who).into_owned(),
            by: terminal(self.label()).into_owned(),
            short: None,
        }
    }

    /// Pods that a policy names together.
    #[must_use]
    pub fn class(class: &PodClass) -> Self {
        pods(&class.namespaces, &class.pods)
    }

    /// Both in one line.
    #[must_use]
    pub fn in_line(&self) -> String {
        match self.label() {
            "" => self.who.clone(),
            by => format!("{} ({by})", self.who),
        }
    }
}

fn pods(namespaces: &Namespaces, selector: &Selector) -> Party {
    let labels = selector.to_string();
    let place = match namespaces {
        Namespaces::Own(_) => String::new(),
        Namespaces::Labelled(s) if s.is_empty() => " in any namespace".to_owned(),
        Namespaces::Labelled(s) => format!(" in namespaces {s}"),
    };
    let own = matches!(namespaces, Namespaces::Own(_));
    let any = matches!(namespaces, Namespaces::Labelled(s) if s.is_empty());
    let managed_by = |text: &str| {
        let name = text.strip_prefix(MANAGED_BY)?.strip_prefix('=')?;
        (!name.contains(',')).then(|| name.to_owned())
    };
    let who = if let Some(name) = managed_by(&labels).filter(|_| own) {
        format!("workloads of {name}")
    } else if let Some(name) = (labels.strip_prefix("k8s-app=vcluster-kube-dns,"))
        .and_then(managed_by)
        .filter(|_| own)
    {
        format!("DNS of {name}")
    } else if let Some(name) =
        (labels.strip_prefix("release=")).filter(|name| own && !name.contains(','))
    {
        format!("control plane of {name}")
    } else if own && labels == "app=vcluster-snapshot" {
        "snapshot pods".to_owned()
    } else if any && labels == "app=loft" {
        "vCluster Platform".to_owned()
    } else if labels == "k8s-app=kube-dns" && place.ends_with("/metadata.name=kube-system") {
        "DNS of the host".to_owned()
    } else if !own && labels == MANAGED_BY {
        "workloads of virtual clusters".to_owned()
    } else if !own && labels == "app=vcluster" {
        "control planes of virtual clusters".to_owned()
    } else if selector.is_empty() {
        "every pod".to_owned()
    } else {
        "pods".to_owned()
    };
    let by = format!("{labels}{place}");
    Party {
        who,
        by: if selector.is_empty() && own {
            "of the same namespace".to_owned()
        } else {
            by.trim_start().to_owned()
        },
        short: None,
    }
}
