//! The addresses at which clouds give machines, tasks and pods their metadata.
//!
//! Most of them give out credentials to any client that connects. The list follows the documentation of the
//! clouds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A metadata service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataService {
    /// Its address.
    pub address: IpAddr,
    /// Whose it is.
    pub provider: &'static str,
}

/// All metadata services that are known, IPv4 first.
pub const METADATA_SERVICES: [MetadataService; 13] = [
    at(
        IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
        "AWS, Azure, Google Cloud, Oracle Cloud, DigitalOcean, OpenStack and others",
    ),
    at(IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)), "Amazon ECS"),
    at(
        IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
        "Amazon EKS Pod Identity",
    ),
    at(IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)), "Tencent Cloud"),
    at(IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)), "Scaleway"),
    at(IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), "Azure"),
    at(IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)), "Oracle Cloud"),
    at(
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        "Alibaba Cloud",
    ),
    at(
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
        "AWS",
    ),
    at(
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
        "Amazon EKS Pod Identity",
    ),
    at(
        IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
        "Google Cloud",
    ),
    at(
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)),
        "Scaleway",
    ),
    at(
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
        "OpenStack",
    ),
];

/// The range of most of them.
pub const LINK_LOCAL: &str = "169.254.0.0/16";

/// What to except in order to close some addresses. The IPv4 ones of the link-local range are closed
/// together where `has_link_local` says that the whole range is open: apart from resolvers, pods
/// need no address of it.
#[must_use]
pub fn excepts(addresses: &[IpAddr], has_link_local: bool) -> Vec<String> {
    let mut ranges: Vec<String> = Vec::new();
    for address in addresses {
        let range = match address {
            IpAddr::V4(v4) if v4.is_link_local() && has_link_local => LINK_LOCAL.to_owned(),
            IpAddr::V4(v4) => format!("{v4}/32"),
            IpAddr::V6(v6) => format!("{v6}/128"),
        };
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    ranges
}

const fn at(address: IpAddr, provider: &'static str) -> MetadataService {
    MetadataService { address, provider }
}
