//! Who is at the other end of the built-in rules: the documented peers, narrowed or widened by what
//! the config says of the host.
//!
//! Each method gives the peers, and the origin of a rule that uses them. Without host settings they
//! are those of the vCluster documentation.

use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::actors::MANAGED_BY;
use super::config::host_fit::{DnsPods, HostFit};
use super::policies::Subject;
use netpol::model::cluster::NAMESPACE_NAME_LABEL;
use netpol::model::policy::Origin;

/// Ports and peers of a rule, and what made them so.
pub(super) struct Target {
    pub(super) origin: Origin,
    pub(super) ports: Vec<NetworkPolicyPort>,
    pub(super) peers: Vec<NetworkPolicyPeer>,
}

/// The peers of the rules of one policy.
pub(super) struct Peers<'a> {
    subject: &'a Subject<'a>,
    host: &'a HostFit,
    /// The namespace of the policy.
    namespace: Option<&'a str>,
}

impl<'a> Peers<'a> {
    /// The peers of the rules of a policy in a namespace.
    pub(super) fn new(
        subject: &'a Subject<'a>,
        host: &'a HostFit,
        namespace: Option<&'a str>,
    ) -> Self {
        Self {
            subject,
            host,
            namespace,
        }
    }

    /// The workloads of the virtual cluster, in all its namespaces.
    pub(super) fn workloads(&self) -> Vec<NetworkPolicyPeer> {
        let selector = workload_pods(self.subject.release);
        let main = self.subject.workload_namespace.or(self.subject.namespace);
        let mapped = self.subject.mapped_namespaces.iter().map(String::as_str);
        if self.subject.mapped_namespaces.is_empty() {
            return vec![pods(selector)];
        }
        let others: Vec<&str> = main
            .into_iter()
            .chain(mapped)
            .filter(|namespace| Some(*namespace) != self.namespace)
            .collect();
        let mut peers = vec![pods(selector.clone())];
        if !others.is_empty() {
            peers.push(pods_in(named(&others), selector));
        }
        peers
    }

    /// The control plane of the virtual cluster.
    pub(super) fn control_plane(&self) -> Vec<NetworkPolicyPeer> {
        let selector = control_plane_pods(self.subject.release);
        let is_mapped =
            (self.subject.mapped_namespaces.iter()).any(|mapped| Some(&**mapped) == self.namespace);
        match self.subject.namespace {
            Some(namespace) if is_mapped => vec![pods_in(named(&[namespace]), selector)],
            _ => vec![pods(selector)],
        }
    }

    /// The origin of a rule between workloads, or between workloads and their control plane.
    pub(super) fn inner_origin(&self) -> Origin {
        if self.subject.mapped_namespaces.is_empty() {
            Origin::BuiltIn
        } else {
            Origin::Setting("mappedNamespaces".to_owned())
        }
    }

    /// The DNS of the host.
    pub(super) fn host_dns(&self) -> Target {
        let Some(dns) = &self.host.dns else {
            let documented = labelled("k8s-app", "kube-dns");
            return Target {
                origin: self.hardened_origin(),
                ports: Vec::new(),
                peers: vec![pods_in(
                    named(&["kube-system"]),
                    self.untenanted(documented),
                )],
            };
        };
        let pods = dns.pods.as_ref().map(|DnsPods { namespace, labels }| {
            let mut selector = LabelSelector::default();
            for (key, values) in labels {
                if let [value] = values.as_slice() {
                    let labels = selector.match_labels.get_or_insert_default();
                    labels.insert(key.clone(), value.clone());
                } else {
                    let expressions = selector.match_expressions.get_or_insert_default();
                    expressions.push(requirement(key, "In", Some(values.clone())));
                }
            }
            pods_in(named(&[namespace]), self.untenanted(selector))
        });
        let both = |number: &i32| [port(*number, "UDP"), port(*number, "TCP")];
        Target {
            origin: Origin::Setting("hostDns".to_owned()),
            ports: dns.ports.iter().flat_map(both).collect(),
            peers: pods.into_iter().chain(blocks(&dns.addresses)).collect(),
        }
    }

    /// The API server of the host.
    pub(super) fn host_api(&self) -> Target {
        let api = &self.host.api_server;
        let is_set = api.cidrs.is_some() || api.ports.is_some();
        let documented = [443, 8443, 6443].as_slice();
        let numbers = api.ports.as_deref().unwrap_or(documented);
        Target {
            origin: if is_set {
                Origin::Setting("apiServer".to_owned())
            } else {
                Origin::BuiltIn
            },
            ports: numbers.iter().map(|number| port(*number, "TCP")).collect(),
            peers: blocks(api.cidrs.as_deref().unwrap_or_default()).collect(),
        }
    }

    /// The Platform, in whatever namespace it runs unless the config names one.
    pub(super) fn platform(&self) -> Option<Target> {
        let platform = &self.host.platform;
        if platform.enabled == Some(false) {
            return None;
        }
        let selector = match &platform.pod_labels {
            None => labelled("app", "loft"),
            Some(labels) => LabelSelector {
                match_labels: Some(labels.clone()),
                match_expressions: None,
            },
        };
        let namespaces = platform.namespace.as_deref();
        let namespaces = namespaces.map_or_else(LabelSelector::default, |name| named(&[name]));
        Some(Target {
            origin: if platform.is_set() {
                Origin::Setting("platform".to_owned())
            } else {
                self.hardened_origin()
            },
            ports: Vec::new(),
            peers: vec![pods_in(namespaces, self.untenanted(selector))],
        })
    }

    /// The pods that take snapshots.
    pub(super) fn snapshots(&self) -> LabelSelector {
        self.untenanted(labelled("app", "vcluster-snapshot"))
    }

    /// The API of the control planes of a project.
    pub(super) fn project_control_planes(&self, project: &str) -> NetworkPolicyPeer {
        let label = self.subject.project_namespace_label;
        pods_in(
            labelled(label, project),
            self.untenanted(labelled("app", "vcluster")),
        )
    }

    /// The DNS pods of the virtual cluster. A tenant can give the label `k8s-app` to any pod, but
    /// the syncer sets the label of the pod's namespace.
    pub(super) fn own_dns(&self) -> LabelSelector {
        let mut selector = workload_pods(self.subject.release);
        let labels = selector.match_labels.get_or_insert_default();
        labels.insert("k8s-app".to_owned(), "vcluster-kube-dns".to_owned());
        if self.host.hardened {
            labels.insert(
                "vcluster.loft.sh/namespace".to_owned(),
                "kube-system".to_owned(),
            );
        }
        selector
    }

    /// The origin of a rule whose peers `hardened` changes.
    pub(super) fn hardened_origin(&self) -> Origin {
        if self.host.hardened {
            Origin::Setting("hardened".to_owned())
        } else {
            Origin::BuiltIn
        }
    }

    /// Pods with labels that a tenant can set too; `hardened` leaves the tenants' pods out.
    fn untenanted(&self, mut selector: LabelSelector) -> LabelSelector {
        if self.host.hardened {
            let expressions = selector.match_expressions.get_or_insert_default();
            expressions.push(requirement(MANAGED_BY, "DoesNotExist", None));
        }
        selector
    }
}

fn blocks(cidrs: &[String]) -> impl Iterator<Item = NetworkPolicyPeer> {
    cidrs.iter().map(|cidr| NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.clone(),
            except: None,
        }),
        ..NetworkPolicyPeer::default()
    })
}

fn requirement(key: &str, operator: &str, values: Option<Vec<String>>) -> LabelSelectorRequirement {
    LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values,
    }
}

/// A port of a rule.
pub(super) fn port(number: i32, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    }
}

/// What has a label.
pub(super) fn labelled(key: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some([(key.to_owned(), value.to_owned())].into()),
        match_expressions: None,
    }
}

/// Namespaces by their names.
pub(super) fn named(namespaces: &[&str]) -> LabelSelector {
    if let [namespace] = namespaces {
        return labelled(NAMESPACE_NAME_LABEL, namespace);
    }
    let names = namespaces.iter().map(|name| (*name).to_owned()).collect();
    LabelSelector {
        match_labels: None,
        match_expressions: Some(vec![requirement(NAMESPACE_NAME_LABEL, "In", Some(names))]),
    }
}

/// The workloads of a virtual cluster.
pub(super) fn workload_pods(release: &str) -> LabelSelector {
    labelled(MANAGED_BY, release)
}

/// The control plane of a virtual cluster.
pub(super) fn control_plane_pods(release: &str) -> LabelSelector {
    labelled("release", release)
}

/// Pods of the policy's own namespace.
pub(super) fn pods(selector: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(selector),
        ..NetworkPolicyPeer::default()
    }
}

/// Pods of some namespaces.
pub(super) fn pods_in(namespaces: LabelSelector, selector: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(namespaces),
        pod_selector: Some(selector),
        ip_block: None,
    }
}

/// The workloads of all virtual clusters in the namespaces of a project.
pub(super) fn project_workloads(namespace_label: &str, project: &str) -> NetworkPolicyPeer {
    let exists = LabelSelector {
        match_labels: None,
        match_expressions: Some(vec![requirement(MANAGED_BY, "Exists", None)]),
    };
    pods_in(labelled(namespace_label, project), exists)
}
