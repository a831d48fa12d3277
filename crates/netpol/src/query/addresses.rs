//! Words for sets of addresses: `internet`, `private`, `metadata`, `node`, `any-address`.
//!
//! They mean addresses as such, whichever pod has them. Pods are known to policies by their labels too,
//! so a question about pods names pods.

use crate::metadata::METADATA_SERVICES;
use crate::model::cluster::ClusterModel;
use crate::sets::addresses::{AddressSet, parse_net};

/// What the internet is not: the special-purpose blocks of IPv4 (IANA registry).
const NOT_PUBLIC: [&str; 16] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
];

/// The ranges that networks use for themselves: RFC 1918, RFC 6598 and RFC 4193.
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// A word and the addresses that it means.
#[derive(Debug)]
pub struct AddressWord {
    /// The word.
    pub name: &'static str,
    /// The addresses.
    pub addresses: fn(&ClusterModel) -> AddressSet,
}

/// All words for addresses.
pub static ADDRESS_WORDS: [AddressWord; 6] = [
    AddressWord {
        name: "internet",
        addresses: |_| internet(),
    },
    AddressWord {
        name: "internet6",
        addresses: |_| internet6(),
    },
    AddressWord {
        name: "private",
        addresses: |_| private(),
    },
    AddressWord {
        name: "metadata",
        addresses: |_| metadata(),
    },
    AddressWord {
        name: NODE,
        addresses: |model| nodes(model).unwrap_or_else(private),
    },
    AddressWord {
        name: "any-address",
        addresses: |_| AddressSet::all(),
    },
];

/// The word for the nodes of the cluster.
pub(super) const NODE: &str = "node";

/// Every public IPv4 address.
#[must_use]
pub fn internet() -> AddressSet {
    all_but("0.0.0.0/0", &NOT_PUBLIC)
}

/// Every public IPv6 address: 2000::/3 is what is given out; documentation addresses lie in it.
#[must_use]
pub fn internet6() -> AddressSet {
    all_but("2000::/3", &["2001:db8::/32"])
}

/// Every private address of both families.
#[must_use]
pub fn private() -> AddressSet {
    set(&PRIVATE)
}

/// The addresses of the nodes, where the manifests tell them.
pub(super) fn nodes(model: &ClusterModel) -> Option<AddressSet> {
    Some(model.nodes())
        .filter(|nodes| !nodes.is_empty())
        .cloned()
}

/// The word of that name.
pub(super) fn word(name: &str) -> Option<&'static AddressWord> {
    ADDRESS_WORDS.iter().find(|word| word.name == name)
}

fn set(cidrs: &[&str]) -> AddressSet {
    cidrs.iter().filter_map(|cidr| parse_net(cidr)).collect()
}

/// The metadata services of clouds.
fn metadata() -> AddressSet {
    let addresses = METADATA_SERVICES.iter().map(|service| service.address);
    addresses.collect()
}

fn all_but(whole: &str, special: &[&str]) -> AddressSet {
    set(&[whole]).difference(&set(special))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_address_is_one() {
        for cidr in NOT_PUBLIC.iter().chain(&PRIVATE) {
            assert!(parse_net(cidr).is_some(), "{cidr}");
        }
        assert!(private().intersection(&internet()).is_empty());
    }
}
