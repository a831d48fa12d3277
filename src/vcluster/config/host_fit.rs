//! What a config says of the host cluster: its DNS, its API server, the Platform, and how strict
//! the built-in rules are.
//!
//! All of it is opt-in: a config without these fields gets the documented policies. The vCluster
//! chart refuses the fields in its values, so they are for the annotation and for config files.
//! Pure: what the API server would refuse is judged here, what the policies make of it elsewhere.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::IPBlock;
use serde::Deserialize;

use manifest::diagnostic::Diagnostic;
use netpol::cidr::{Cidr, Network};
use netpol::validate::{self, Context, FieldSpot};

/// The ranges that `hardened` adds to the excepts of public egress: link-local addresses with the
/// metadata services of clouds, Azure's host agent, and ranges that are not public.
pub const HARDENED_EXCEPT: [&str; 5] = [
    "169.254.0.0/16",
    "168.63.129.16/32",
    "198.18.0.0/15",
    "240.0.0.0/4",
    "fe80::/10",
];

/// The ranges that a further IPv6 block leaves out by default. The range of IPv4-mapped addresses
/// is not among them: the API server reads it as 0.0.0.0/0, which is not inside any IPv6 range.
pub const DEFAULT_EXCEPT_V6: [&str; 4] = ["fc00::/7", "fe80::/10", "::1/128", "64:ff9b::/96"];

/// The settings for the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFit {
    /// Where the host's DNS is, if it is not where the documentation says.
    pub dns: Option<HostDns>,
    /// Where the host's API server is.
    pub api_server: ApiServer,
    /// Where the Platform is.
    pub platform: PlatformFit,
    /// Whether the built-in rules trust no label that a tenant can set.
    pub hardened: bool,
    /// Whether the workloads in mapped namespaces get policies.
    pub mapped_namespaces: bool,
}

/// The host's DNS: pods, addresses, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDns {
    /// Its pods; none where only addresses are given.
    pub pods: Option<DnsPods>,
    /// Addresses, such as that of a cache on each node.
    pub addresses: Vec<String>,
    /// The ports; none for all.
    pub ports: Vec<i32>,
}

/// The pods of the host's DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsPods {
    /// Their namespace.
    pub namespace: String,
    /// Their labels, each with the values that it may have.
    pub labels: Vec<(String, Vec<String>)>,
}

/// The host's API server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub struct ApiServer {
    /// Its addresses; without them, any.
    pub cidrs: Option<Vec<String>>,
    /// Its ports; without them, the documented ones.
    pub ports: Option<Vec<i32>>,
}

/// The vCluster Platform.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub struct PlatformFit {
    /// Its namespace; without one, any.
    pub namespace: Option<String>,
    /// The labels of its pods; without them, the documented ones.
    pub pod_labels: Option<BTreeMap<String, String>>,
    /// Whether the rules towards it and from it are there. Default: true.
    pub enabled: Option<bool>,
}

/// The fields as they are written, beside those that need no change.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawHostDns {
    Name(String),
    Pods(RawDnsPods),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub(super) struct RawDnsPods {
    namespace: Option<String>,
    pod_labels: Option<BTreeMap<String, String>>,
    ports: Option<Vec<i32>>,
    addresses: Vec<String>,
}

/// A kind of host whose DNS is known.
struct KnownDns {
    name: &'static str,
    namespace: &'static str,
    label: &'static str,
    /// The label's values, whichever the host's version uses.
    values: &'static [&'static str],
    addresses: &'static [&'static str],
    ports: &'static [i32],
}

/// The names that `hostDns` takes.
pub static DNS_NAMES: [&str; 4] = ["kube-dns", "openshift", "rke2", "nodelocal"];

static KNOWN_DNS: [KnownDns; 4] = [
    KnownDns {
        name: DNS_NAMES[0],
        namespace: "kube-system",
        label: "k8s-app",
        values: &["kube-dns"],
        addresses: &[],
        ports: &[53],
    },
    KnownDns {
        name: DNS_NAMES[1],
        namespace: "openshift-dns",
        label: "dns.operator.openshift.io/daemonset-dns",
        values: &["default"],
        addresses: &[],
        ports: &[5353],
    },
    KnownDns {
        name: DNS_NAMES[2],
        namespace: "kube-system",
        label: "k8s-app",
        values: &["kube-dns", "rke2-coredns"],
        addresses: &[],
        ports: &[53],
    },
    KnownDns {
        name: DNS_NAMES[3],
        namespace: "kube-system",
        label: "k8s-app",
        values: &["kube-dns"],
        addresses: &["169.254.20.10/32"],
        ports: &[53],
    },
];

impl RawHostDns {
    /// The DNS that is meant.
    pub(super) fn settle(self) -> Result<HostDns, Diagnostic> {
        let raw = match self {
            Self::Pods(raw) => raw,
            Self::Name(name) => return known_dns(&name),
        };
        let default_labels = || {
            let [documented, ..] = &KNOWN_DNS;
            BTreeMap::from([(documented.label.to_owned(), "kube-dns".to_owned())])
        };
        if raw.pod_labels.as_ref().is_some_and(BTreeMap::is_empty) {
            let message = "no labels select every pod of the namespace";
            let help = "name the labels of the DNS pods, or leave podLabels out";
            return Err(at("hostDns.podLabels", Diagnostic::error(message)).help(help));
        }
        if raw.ports.as_ref().is_some_and(Vec::is_empty) {
            return Err(empty_list("hostDns.ports", "any port"));
        }
        let is_given = raw.namespace.is_some() || raw.pod_labels.is_some();
        let pods = (is_given || raw.addresses.is_empty()).then(|| {
            let labels = raw.pod_labels.unwrap_or_else(default_labels).into_iter();
            DnsPods {
                namespace: raw.namespace.unwrap_or_else(|| "kube-system".to_owned()),
                labels: labels.map(|(key, value)| (key, vec![value])).collect(),
            }
        });
        Ok(HostDns {
            pods,
            addresses: raw.addresses,
            ports: raw.ports.unwrap_or_default(),
        })
    }
}

fn known_dns(name: &str) -> Result<HostDns, Diagnostic> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let Some(known) = KNOWN_DNS.iter().find(|known| known.name == name) else {
        let message = "the host DNS is not known by this name";
        let help = format!(
            "the names are {}; for any other write namespace, podLabels, ports and addresses",
            DNS_NAMES.join(", ")
        );
        return Err(at("hostDns", Diagnostic::error(message)).help(help));
    };
    Ok(HostDns {
        pods: Some(DnsPods {
            namespace: known.namespace.to_owned(),
            labels: vec![(known.label.to_owned(), owned(known.values))],
        }),
        addresses: owned(known.addresses),
        ports: known.ports.to_vec(),
    })
}

impl PlatformFit {
    /// Whether the config says anything of it.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }
}

impl HostFit {
    /// What makes the settings contradict each other.
    pub(super) fn contradictions(&self, deprecated_platform: Option<bool>) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        if self.api_server.cidrs.as_ref().is_some_and(Vec::is_empty) {
            problems.push(empty_list("apiServer.cidrs", "any address"));
        }
        if self.api_server.ports.as_ref().is_some_and(Vec::is_empty) {
            problems.push(empty_list("apiServer.ports", "the default ports"));
        }
        let is_on = self.platform.enabled != Some(false);
        if self.hardened && is_on && self.platform.namespace.is_none() {
            let message = "hardened needs the Platform's namespace: pods of any namespace can have \
                           the label app: loft, and the rules of the Platform let them in";
            let help = "set platform.namespace to the namespace of the Platform, or \
                        platform.enabled to false if there is none";
            problems.push(at("hardened", Diagnostic::error(message)).help(help));
        }
        if deprecated_platform == Some(false) && self.platform.enabled == Some(true) {
            let message = "outgoingConnections.platform is false, and platform.enabled is true";
            let help = "remove outgoingConnections.platform";
            problems.push(at("platform.enabled", Diagnostic::error(message)).help(help));
        }
        if self
            .platform
            .pod_labels
            .as_ref()
            .is_some_and(BTreeMap::is_empty)
        {
            let message = "no labels select every pod";
            let help = "name the labels of the Platform's pods, or leave podLabels out";
            problems.push(at("platform.podLabels", Diagnostic::error(message)).help(help));
        }
        problems
    }

    /// What the API server would refuse.
    #[must_use]
    pub fn problems(&self, ctx: &Context<'_>) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let spot = |path: &str| FieldSpot::new(path, None);
        if let Some(dns) = &self.dns {
            if let Some(DnsPods { namespace, labels }) = &dns.pods {
                problems.extend(validate::namespace(
                    namespace,
                    &spot("hostDns.namespace"),
                    ctx,
                ));
                for (key, values) in labels {
                    let label = values.iter().map(|value| (key.clone(), value.clone()));
                    problems.extend(validate::labels(
                        &label.collect(),
                        &spot("hostDns.podLabels"),
                        ctx,
                    ));
                }
            }
            problems.extend(cidrs(&dns.addresses, "hostDns.addresses", ctx));
            problems.extend(ports(&dns.ports, "hostDns.ports", ctx));
        }
        let api = &self.api_server;
        let given = api.cidrs.as_deref().unwrap_or_default();
        problems.extend(cidrs(given, "apiServer.cidrs", ctx));
        let given = api.ports.as_deref().unwrap_or_default();
        problems.extend(ports(given, "apiServer.ports", ctx));
        if let Some(namespace) = &self.platform.namespace {
            let at = spot("platform.namespace");
            problems.extend(validate::namespace(namespace, &at, ctx));
        }
        if let Some(labels) = &self.platform.pod_labels {
            problems.extend(validate::labels(labels, &spot("platform.podLabels"), ctx));
        }
        problems
    }

    /// The texts of all CIDRs, to be written in another form.
    pub(super) fn cidrs_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let addresses = self.dns.as_mut().map(|dns| dns.addresses.iter_mut());
        let addresses = addresses.into_iter().flatten();
        addresses.chain(self.api_server.cidrs.iter_mut().flatten())
    }
}

fn cidrs(texts: &[String], field: &str, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let each = texts.iter().enumerate();
    each.filter_map(|(i, text)| {
        validate::cidr(text, &FieldSpot::new(format!("{field}[{i}]"), None), ctx)
    })
    .collect()
}

fn ports(numbers: &[i32], field: &str, ctx: &Context<'_>) -> Vec<Diagnostic> {
    let each = numbers.iter().enumerate();
    each.filter_map(|(i, number)| {
        validate::port_number(*number, &FieldSpot::new(format!("{field}[{i}]"), None), ctx)
    })
    .collect()
}

/// An empty list reads as "nothing", and would open `meaning`.
fn empty_list(field: &str, meaning: &str) -> Diagnostic {
    let message = format!("the list is empty, which would mean {meaning}");
    at(field, Diagnostic::error(message)).help("fill the list, or leave the field out")
}

fn at(field: &str, mut problem: Diagnostic) -> Diagnostic {
    problem.place.path = Some(field.to_owned());
    problem
}

/// The ranges of `wanted` that a block of public egress must leave out and does not yet.
///
/// # Errors
/// With the range that leaves nothing of the block.
pub(super) fn missing_excepts(block: &IPBlock, wanted: &[&str]) -> Result<Vec<String>, String> {
    let range = |text: &str| Cidr::parse(text).map(Cidr::range);
    let Some(outer) = range(&block.cidr) else {
        return Ok(Vec::new());
    };
    let excepts = block.except.iter().flatten();
    let excepts: Vec<Network> = excepts.filter_map(|text| range(text)).collect();
    let mut missing = Vec::new();
    for text in wanted {
        let Some(inner) = range(text) else { continue };
        if inner.contains(outer) {
            return Err((*text).to_owned());
        }
        let is_left_out = excepts.iter().any(|except| except.contains(inner));
        if outer.contains(inner) && !is_left_out {
            missing.push((*text).to_owned());
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::diagnostic::{Location, Quoting};
    use manifest::schema::Origin;
    use netpol::validate::{CidrRule, Use};

    fn block(cidr: &str, except: &[&str]) -> IPBlock {
        IPBlock {
            cidr: cidr.to_owned(),
            except: Some(except.iter().map(|e| (*e).to_owned()).collect()),
        }
    }

    #[test]
    fn each_name_is_a_known_host() {
        for name in DNS_NAMES {
            assert!(known_dns(name).is_ok(), "{name}");
        }
        assert!(known_dns("coredns").is_err());
    }

    #[test]
    fn excepts_are_added_where_they_are_inside_and_missing() {
        let missing =
            |cidr, except: &[&str]| missing_excepts(&block(cidr, except), &HARDENED_EXCEPT);
        let all = missing("0.0.0.0/0", &[]).unwrap();
        assert_eq!(all, HARDENED_EXCEPT[..4]);
        assert_eq!(missing("::/0", &[]).unwrap(), ["fe80::/10"]);
        assert_eq!(missing("::/0", &["fe80::/9"]).unwrap(), [""; 0]);
        let rest = missing("0.0.0.0/0", &["128.0.0.0/1"]).unwrap();
        assert_eq!(rest, [""; 0]);
        assert_eq!(missing("8.0.0.0/8", &[]).unwrap(), [""; 0]);
        assert_eq!(
            missing("169.254.169.254/32", &[]),
            Err("169.254.0.0/16".to_owned())
        );
    }

    /// The API server refuses the range of IPv4-mapped addresses as an except of any IPv6 range.
    #[test]
    fn defaults_for_ipv6_are_excepts_that_the_server_takes() {
        let origin = Origin {
            place: Location::default(),
            quoting: Quoting::Show,
        };
        let ctx = Context {
            origin: &origin,
            cidr: CidrRule::From136,
            use_of: Use::AsTheyAre,
        };
        let problems = |except: &[&str]| {
            validate::ip_block(&block("::/0", except), &FieldSpot::new("", None), &ctx)
        };
        assert!(problems(&DEFAULT_EXCEPT_V6).is_empty());
        assert!(!problems(&["::ffff:0:0/96"]).is_empty());
    }
}
