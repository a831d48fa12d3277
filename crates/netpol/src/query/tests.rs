//! Which words mean whom, and what is refused with which hint.

use super::*;
use crate::sets::ports::Protocol;

fn destination(text: &str) -> (EndpointSpec, PortSpec) {
    parse_destination(text, &NO_ROLES).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn addresses(text: &str) -> EndpointSpec {
    let base = match ADDRESS_WORDS.iter().find(|word| word.name == text) {
        Some(word) => AddressBase::Word(word.name),
        None => AddressBase::Net(text.parse().unwrap()),
    };
    EndpointSpec::Addresses {
        base,
        except: Vec::new(),
    }
}

#[test]
fn a_destination_is_who_and_port_and_protocol() {
    use PortSpec::{Every, Name, Numbers};
    let cases = [
        ("internet", Every(None)),
        ("internet:443", Numbers(Protocol::Tcp, 443, 443)),
        ("internet:53/udp", Numbers(Protocol::Udp, 53, 53)),
        ("internet/UDP", Every(Some(Protocol::Udp))),
        ("internet:*/SCTP", Every(Some(Protocol::Sctp))),
        ("internet:8000-8999", Numbers(Protocol::Tcp, 8000, 8999)),
        ("internet:https", Name(Protocol::Tcp, "https".to_owned())),
    ];
    for (text, ports) in cases {
        assert_eq!(destination(text), (addresses("internet"), ports), "{text}");
    }
}

#[test]
fn colons_of_addresses_and_labels_are_not_those_of_ports() {
    let v6 = addresses("2001:db8::1/128");
    assert_eq!(destination("2001:db8::1").0, v6);
    assert_eq!(destination("[2001:db8::1]:80").0, v6);
    for (text, ports) in [
        ("10.0.0.0/8:80/TCP", "80/TCP"),
        ("2001:db8::/32/UDP", "every UDP port"),
        (
            "pod:app=web,tier=db,ns:team=a,ip:[fd00::7]:http/TCP",
            "http/TCP",
        ),
        ("pod:app=web,ns:team-a:4317", "4317/TCP"),
        ("pod:app=web:80,443", "80,443/TCP"),
        ("ns:team-a:80/TCP,53/UDP", "80/TCP, 53/UDP"),
        ("ip:10.0.0.1:80", "80/TCP"),
        (
            "internet:!443/TCP",
            "1-442,444-65535/TCP, every UDP port, every SCTP port",
        ),
        ("any-other-pod except pod:a=b,ns:c:80", "80/TCP"),
        ("any-other-pod except ns:c", "every port"),
        ("any-address except 10.0.0.0/8, private:80", "80/TCP"),
        ("any-address except ::/0", "every port"),
        ("pod:app=web", "every port"),
    ] {
        assert_eq!(destination(text).1.ports().to_string(), ports, "{text}");
    }
    let EndpointSpec::Described {
        labels,
        namespace,
        addresses,
    } = destination("pod:app=web,tier=db,ns:team=a,ip:[fd00::7]:http/TCP").0
    else {
        panic!("not described")
    };
    assert_eq!((labels.len(), namespace.unwrap().len()), (2, 1));
    assert_eq!(addresses.to_string(), "fd00::7");
}

#[test]
fn exceptions_are_roles_descriptions_or_addresses() {
    let who = destination("any-other-pod except pod:a=b,c=d,ns:x,pod:e=f,ns:*").0;
    let EndpointSpec::OtherPods { except, .. } = who else {
        panic!("not the pods of others")
    };
    assert_eq!(except.len(), 2);
    let who = destination("10.0.0.0/8 except 10.1.0.0/16, 10.2.0.1").0;
    let EndpointSpec::Addresses { except, .. } = who else {
        panic!("no addresses")
    };
    assert_eq!(except.len(), 2);
}

#[test]
fn what_means_nothing_is_refused_with_a_hint() {
    for (wrong, hint) in [
        ("", "means nobody"),
        ("web", "means nobody"),
        ("a/b/c", "means nobody"),
        ("A/b", "means nobody"),
        ("10.0.0.0/33", "means nobody"),
        ("internet:0", "no port"),
        ("internet:65536", "no port"),
        ("internet:9-8", "no port"),
        ("internet:0-80", "no port"),
        ("internet:HTTP", "no port"),
        ("internet:443/ICMP", "none of TCP, UDP, SCTP"),
        ("pod:web", "write key=value"),
        ("pod:", "nothing stands behind pod:"),
        ("ns:", "nothing stands behind ns:"),
        ("pod:a=b,", "nothing stands behind a comma"),
        ("pod:a=b,a=c", "nobody is meant"),
        ("ip:x", "no address"),
        ("/", "means nobody"),
        ("internet:/", "means nobody"),
        ("a b/c", "means nobody"),
        ("internet:1-2-3", "no port"),
        ("namespace=x", "did you mean ns:x?"),
        ("ns=x", "did you mean ns:x?"),
        ("namespace:x", "did you mean ns:x?"),
        ("app=web", "did you mean pod:app=web?"),
        ("labels:app=web", "did you mean pod:app=web?"),
        ("interent", "did you mean internet?"),
        (
            "pod:app=web,ns=monitoring:4317",
            "did you mean ns:monitoring?",
        ),
        (
            "pod:app=web:4317,ns:monitoring",
            "a port stands at the very end",
        ),
        ("pod:app=we b", "not a valid label value"),
        ("pod:-a=b", "not a valid key"),
        ("ns:Team", "not a valid namespace name"),
        ("ns:*", "stands only behind except"),
        ("internet except pod:a=b", "cannot be excepted"),
        ("any-other-pod except internet", "cannot be excepted"),
        ("pod:a=b except pod:a=b", "take exceptions"),
        ("any-other-pod,10.0.0.0/8", "no address"),
    ] {
        let parsed = parse_destination(wrong, &NO_ROLES);
        let error = parsed.map(|_| ()).expect_err(wrong).to_string();
        assert!(error.contains(hint), "{wrong}: {error}");
    }
    let error = EndpointSpec::parse("internet:443", &NO_ROLES).unwrap_err();
    assert!(error.to_string().contains("a source has none"), "{error}");
}

#[test]
fn exceptions_that_leave_nothing_are_refused() {
    let scope = QueryScope::default();
    let model = ClusterModel::default();
    let who = destination("10.0.0.0/8 except private").0;
    let error = scope.ends(&who, &model).unwrap_err();
    assert!(matches!(error, QueryError::NothingLeft(_)), "{error}");
}
