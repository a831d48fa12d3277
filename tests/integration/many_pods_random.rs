//! Questions about all pods of a kind, against every pod of that kind one by one.
//!
//! The labels of policies are few, so all pods that they can tell apart can be enumerated: those
//! with and without each label, with each value that is named and one that is not.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use netpol::allowed::PodClass;
use netpol::evaluate::Decision;
use netpol::model::cluster::{ClusterModel, NAMESPACE_NAME_LABEL};
use netpol::model::pod::{Endpoint, Pod};
use netpol::model::policy::{Direction, Namespaces, Peer, Policy};
use netpol::other_pods::OtherPods;
use netpol::query::{
    EndpointSpec, QueryScope, Role, RoleNamespace, System, Vocabulary, parse_destination,
};
use netpol::sets::addresses::{AddressSet, parse_net};
use netpol::sets::ports::{NamedPort, Ports, Protocol};
use netpol::sets::selector::{Labels, Selector};
use netpol::verdict::Question;
use proptest::prelude::*;
use serde_json::Value;

use crate::reach_random::{policy, selector};

/// One address of each kind that the blocks of the policies tell apart, among those asked about.
const ADDRESSES: [&str; 5] = ["10.0.0.1", "10.0.0.5", "10.0.0.6", "fd00::4", "fd00::8"];

/// The addresses asked about.
const ASKED: [&str; 2] = ["10.0.0.0/29", "fd00::/16"];

fn read(policies: &[(String, Value)]) -> ClusterModel {
    let read = |(i, (namespace, spec)): (usize, &(String, Value))| {
        let spec = serde_json::from_value(spec.clone()).unwrap();
        Policy::read(namespace, &format!("policy-{i}"), Some(&spec)).unwrap()
    };
    ClusterModel::from(policies.iter().enumerate().map(read).collect::<Vec<_>>())
}

fn selector_of(value: &Value) -> Selector {
    let selector: LabelSelector = serde_json::from_value(value.clone()).unwrap();
    Selector::read(Some(&selector)).unwrap()
}

/// All label sets of two keys.
fn all_labels() -> Vec<Labels> {
    let values = [None, Some("x"), Some("y"), Some("other")];
    let pairs = values
        .iter()
        .flat_map(|a| values.iter().map(move |b| [("a", *a), ("b", *b)]));
    pairs
        .map(|pair| {
            let labels = pair
                .into_iter()
                .filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned())));
            labels.collect()
        })
        .collect()
}

fn all_pods(namespaces: &[&str]) -> Vec<Arc<Pod>> {
    let mut pods = Vec::new();
    for namespace in namespaces {
        for mut namespace_labels in all_labels() {
            namespace_labels.insert(NAMESPACE_NAME_LABEL.to_owned(), (*namespace).to_owned());
            let namespace_labels = Arc::new(namespace_labels);
            pods.extend(all_labels().into_iter().map(|labels| {
                Arc::new(Pod {
                    namespace: (*namespace).to_owned(),
                    namespace_labels: Arc::clone(&namespace_labels),
                    labels,
                    ..Pod::default()
                })
            }));
        }
    }
    pods
}

fn is_in(pod: &Pod, class: &PodClass) -> bool {
    let peer = Peer::Pods {
        namespaces: class.namespaces.clone(),
        pods: class.pods.clone(),
    };
    peer.selects(pod)
}

/// What some pod gets, could get, and does not get.
fn sets(decisions: &[Decision<'_>], asked: &Ports) -> [Ports; 3] {
    let union = |ports: Vec<Ports>| Ports::union_of(&ports);
    [
        union(decisions.iter().map(|d| d.open.ports()).collect()),
        union(decisions.iter().map(|d| d.possible_ports(asked)).collect()),
        union(decisions.iter().map(|d| d.closed.ports()).collect()),
    ]
}

/// A system whose workloads are the pods with the label a=x in two namespaces.
static SYSTEM: Vocabulary = Vocabulary {
    kind: "system",
    roles: &[],
    own: &[Role {
        name: "any-workload",
        namespace: RoleNamespace::Workloads,
        labels: |_| vec![("a", "x".to_owned())],
        absent: &[],
    }],
    systems: |_| Vec::new(),
    evidence: "policy",
    setting: |_, _| None,
};

fn scope() -> QueryScope {
    let system = System {
        namespace: "one".to_owned(),
        name: "s".to_owned(),
        workload_namespaces: vec!["one".to_owned(), "two".to_owned()],
    };
    QueryScope {
        vocabulary: &SYSTEM,
        ..QueryScope::default()
    }
    .of(system)
}

/// A few policies, or as many as PROPTEST_CASES says.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return default;
    }
    ProptestConfig {
        cases: 24,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    fn other_pods_are_all_pods_outside_of_some_classes(
        policies in prop::collection::vec(policy(), 1..5),
        except in prop::collection::vec((prop::option::of(selector()), selector()), 0..3),
        labels in prop::sample::select(all_labels()),
        has_ports in any::<bool>(),
    ) {
        let model = read(&policies);
        let class = |(namespaces, pods): &(Option<Value>, Value)| PodClass {
            namespaces: match namespaces {
                None => Namespaces::Own("one".to_owned()),
                Some(selector) => Namespaces::Labelled(selector_of(selector)),
            },
            pods: selector_of(pods),
        };
        let others = OtherPods {
            except: except.iter().map(class).collect(),
            addresses: ASKED.iter().filter_map(|net| parse_net(net)).collect(),
            are_addresses_assumed: false,
        };
        let http = NamedPort { name: "http".to_owned(), protocol: Protocol::Tcp, number: 80 };
        let subject = Endpoint::pod(Arc::new(Pod {
            namespace: "one".to_owned(),
            labels,
            ports: has_ports.then(|| vec![http]),
            ..Pod::default()
        }));
        let pods = all_pods(&["one", "two", "elsewhere"]);
        let pods: Vec<_> = pods.iter().filter(|p| !others.except.iter().any(|c| is_in(p, c))).collect();
        prop_assert_eq!(pods.is_empty(), others.is_empty());
        let asked = Ports::all_numbers();
        for direction in [Direction::Ingress, Direction::Egress] {
            let one_by_one: Vec<_> = (pods.iter())
                .flat_map(|pod| ADDRESSES.iter().map(|address| Endpoint {
                    pod: Some(Arc::clone(pod)),
                    addresses: address.parse::<IpAddr>().unwrap().into(),
                }))
                .map(|peer| model.policies().decide(direction, &subject, &peer, &asked))
                .collect();
            let together = [others.decide(model.policies(), direction, &subject, &asked)];
            let [open, possible, closed] = sets(&one_by_one, &asked);
            let [ours, our_possible, our_closed] = sets(&together, &asked);
            if pods.is_empty() {
                continue;
            }
            prop_assert_eq!(&ours, &open);
            prop_assert_eq!(&our_possible, &possible);
            prop_assert!(closed.difference(&our_closed).is_empty());
            if except.is_empty() {
                prop_assert_eq!(our_closed, closed);
            }
        }
    }

    fn own_pods_are_one_of_each_kind(
        policies in prop::collection::vec(policy(), 1..5),
        to in prop::sample::select(vec!["pod:a=y,ns:three", "pod:b=x,ns:one", "10.0.0.0/29", "any-workload"]),
    ) {
        let model = read(&policies);
        let ask = |from: EndpointSpec, to: &EndpointSpec| {
            let question = Question { from, to: to.clone(), ports: parse_destination("::1:*", &SYSTEM).unwrap().1 };
            question.ask(&model, &scope()).unwrap()
        };
        let own = EndpointSpec::parse("any-workload", &SYSTEM).unwrap();
        let to = EndpointSpec::parse(to, &SYSTEM).unwrap();
        let ours = ask(own, &to);
        // Every pod with the label, and with the addresses that are assumed.
        let addresses: AddressSet = netpol::query::private();
        let mut open = Vec::new();
        let mut is_open_everywhere = true;
        for namespace in ["one", "two"] {
            for labels in all_labels().into_iter().filter(|l| l.get("a").is_some_and(|a| a == "x")) {
                let from = EndpointSpec::Described {
                    labels,
                    namespace: Some([(NAMESPACE_NAME_LABEL.to_owned(), namespace.to_owned())].into()),
                    addresses: addresses.clone(),
                };
                let answer = ask(from, &to);
                is_open_everywhere &= answer.allowed();
                for pair in &answer.pairs {
                    let both = [&pair.verdict.egress, &pair.verdict.ingress];
                    open.push(both[0].open.ports().intersection(&both[1].open.ports()));
                }
            }
        }
        let all = |answer: &netpol::verdict::Answer<'_>| {
            let pairs = answer.pairs.iter().map(|pair| {
                let both = [&pair.verdict.egress, &pair.verdict.ingress];
                both[0].open.ports().intersection(&both[1].open.ports())
            });
            Ports::union_of(&pairs.collect::<Vec<_>>())
        };
        prop_assert_eq!(all(&ours), Ports::union_of(&open));
        prop_assert_eq!(ours.allowed(), is_open_everywhere);
    }
}

crate::registry::tests! {
    fast: [
        other_pods_are_all_pods_outside_of_some_classes,
        own_pods_are_one_of_each_kind,
    ],
}
