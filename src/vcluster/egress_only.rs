//! The policies that the charts from 0.20 to 0.30 render: for egress only.
//!
//! The filter replaces them by the documented ones. They are here to be compared with those, before
//! a chart is upgraded. Source: renders of these charts.

use k8s_openapi::api::networking::v1::{
    NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::config::settings::Settings;
use super::peers::{control_plane_pods, labelled, named, pods, pods_in, port, workload_pods};
use super::policies::{Policy, Role, Rule, Subject, built_in, egress, of_user, policy};

/// The two policies.
pub(super) fn policies(subject: &Subject<'_>, settings: &Settings) -> Vec<Policy> {
    let release = subject.release;
    let namespace = subject.workload_namespace.or(subject.namespace);
    let workload = Policy {
        namespace: namespace.map(str::to_owned),
        ..policy(
            subject,
            settings,
            Role::Workload,
            workload_pods(release),
            workload_egress(release, settings),
            vec![],
        )
    };
    let control_plane = policy(
        subject,
        settings,
        Role::ControlPlane,
        control_plane_pods(release),
        control_plane_egress(settings),
        vec![],
    );
    [workload, control_plane]
        .map(|policy| Policy {
            is_egress_only: true,
            ..policy
        })
        .into()
}

fn workload_egress(release: &str, settings: &Settings) -> Vec<Rule<NetworkPolicyEgressRule>> {
    let public = &settings.public_egress;
    let block = NetworkPolicyPeer {
        ip_block: Some(public.block()),
        ..NetworkPolicyPeer::default()
    };
    let mut rules = vec![
        built_in(
            "Workloads call the API at their own control plane.",
            egress(ports(&[443, 8443]), vec![pods(control_plane_pods(release))]),
        ),
        built_in(
            "Workloads query any DNS server.",
            egress(vec![port(53, "UDP"), port(53, "TCP")], vec![]),
        ),
        built_in(
            "Workloads reach the internet and each other.",
            egress(vec![], vec![pods(workload_pods(release)), block]),
        ),
    ];
    rules.extend(settings.workload.egress.iter().map(of_user));
    rules
}

fn control_plane_egress(settings: &Settings) -> Vec<Rule<NetworkPolicyEgressRule>> {
    let mut peers = vec![
        pods(LabelSelector::default()),
        pods_in(named(&["kube-system"]), labelled("k8s-app", "kube-dns")),
    ];
    if settings.platform {
        peers.push(pods_in(LabelSelector::default(), labelled("app", "loft")));
    }
    let mut rules = vec![
        built_in(
            "The control plane calls the host's API server, at whatever address.",
            egress(ports(&[443, 8443, 6443]), vec![]),
        ),
        built_in(
            "The control plane reaches its namespace, the host's DNS and the Platform.",
            egress(vec![], peers),
        ),
    ];
    rules.extend(settings.control_plane.egress.iter().map(of_user));
    rules
}

fn ports(numbers: &[i32]) -> Vec<NetworkPolicyPort> {
    numbers.iter().map(|number| port(*number, "TCP")).collect()
}
