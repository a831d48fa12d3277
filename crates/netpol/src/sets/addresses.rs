//! Sets of IP addresses, both families, exact to the address; and the CIDR notation of a policy.
//!
//! It is no place for what an address means: pods and the internet are described elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};

use crate::cidr::Cidr;
use crate::sets::intervals::Intervals;

/// A set of IPv4 and IPv6 addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressSet {
    v4: Intervals<u32>,
    v6: Intervals<u128>,
}

impl AddressSet {
    /// Every address of both families.
    #[must_use]
    pub fn all() -> Self {
        Self {
            v4: Intervals::all(),
            v6: Intervals::all(),
        }
    }

    /// Whether there is no address in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => self.v4.contains(a.to_bits()),
            IpAddr::V6(a) => self.v6.contains(a.to_bits()),
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.union(&other.v4),
            v6: self.v6.union(&other.v6),
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.intersection(&other.v4),
            v6: self.v6.intersection(&other.v6),
        }
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.difference(&other.v4),
            v6: self.v6.difference(&other.v6),
        }
    }

    /// Which addresses are in just the same of the sets, by the indices of these sets.
    #[must_use]
    pub fn overlay(sets: &[&Self]) -> BTreeMap<Vec<usize>, Self> {
        let v4: Vec<_> = sets.iter().map(|set| &set.v4).collect();
        let v6: Vec<_> = sets.iter().map(|set| &set.v6).collect();
        let mut overlay: BTreeMap<Vec<usize>, Self> = BTreeMap::new();
        for (these, addresses) in Intervals::overlay(&v4) {
            overlay.entry(these).or_default().v4 = addresses;
        }
        for (these, addresses) in Intervals::overlay(&v6) {
            overlay.entry(these).or_default().v6 = addresses;
        }
        overlay
    }

    /// The part that can talk to an address of `other`: a connection never crosses the families.
    #[must_use]
    pub fn of_the_families_of(&self, other: &Self) -> Self {
        let mut part = self.clone();
        if other.v4.is_empty() {
            part.v4 = Intervals::default();
        }
        if other.v6.is_empty() {
            part.v6 = Intervals::default();
        }
        part
    }

    /// The smallest CIDR around a set of one family.
    fn hull(&self) -> Option<IpNet> {
        let v4 = || {
            let (low, high) = (self.v4.spans().next()?.0, self.v4.spans().next_back()?.1);
            let prefix = u8::try_from((low ^ high).leading_zeros()).ok()?;
            Some(IpNet::V4(Ipv4Net::new(low.into(), prefix).ok()?.trunc()))
        };
        let v6 = || {
            let (low, high) = (self.v6.spans().next()?.0, self.v6.spans().next_back()?.1);
            let prefix = u8::try_from((low ^ high).leading_zeros()).ok()?;
            Some(IpNet::V6(Ipv6Net::new(low.into(), prefix).ok()?.trunc()))
        };
        v4().or_else(v6)
    }

    /// The fewest CIDRs that make up the set, in order, IPv4 first.
    #[must_use]
    pub fn cidrs(&self) -> Vec<IpNet> {
        let v4 = self
            .v4
            .spans()
            .flat_map(|(low, high)| Ipv4Subnets::new(low.into(), high.into(), 0).map(IpNet::V4));
        let v6 = self
            .v6
            .spans()
            .flat_map(|(low, high)| Ipv6Subnets::new(low.into(), high.into(), 0).map(IpNet::V6));
        v4.chain(v6).collect()
    }
}

impl From<IpAddr> for AddressSet {
    fn from(address: IpAddr) -> Self {
        IpNet::from(address).into()
    }
}

impl From<IpNet> for AddressSet {
    fn from(net: IpNet) -> Self {
        let mut set = Self::default();
        match net {
            IpNet::V4(n) => {
                set.v4 = Intervals::span(n.network().to_bits(), n.broadcast().to_bits());
            }
            IpNet::V6(n) => {
                set.v6 = Intervals::span(n.network().to_bits(), n.broadcast().to_bits());
            }
        }
        set
    }
}

impl<A: Into<AddressSet>> FromIterator<A> for AddressSet {
    /// The union of all: one sort, however many there are.
    fn from_iter<I: IntoIterator<Item = A>>(parts: I) -> Self {
        let parts: Vec<Self> = parts.into_iter().map(Into::into).collect();
        Self {
            v4: Intervals::union_of(parts.iter().map(|part| &part.v4)),
            v6: Intervals::union_of(parts.iter().map(|part| &part.v6)),
        }
    }
}

impl AddressSet {
    /// The set in words, each of its pieces: CIDRs, single addresses without `/32`, or `NET except
    /// A, B` where that is shorter; what is long either way as spans.
    fn words(&self) -> Vec<String> {
        const LONG: usize = 8;
        let mut words = Vec::new();
        for family in [
            Self {
                v4: self.v4.clone(),
                ..Self::default()
            },
            Self {
                v6: self.v6.clone(),
                ..Self::default()
            },
        ] {
            let cidrs = family.cidrs();
            let except = family.hull().map(|hull| {
                let holes = Self::from(hull).difference(&family).cidrs();
                (hull, holes)
            });
            match except {
                Some((hull, holes)) if holes.len() + 1 < cidrs.len() && holes.len() <= LONG => {
                    let holes: Vec<String> = holes.iter().map(short).collect();
                    words.push(format!("{} except {}", short(&hull), holes.join(", ")));
                }
                _ if cidrs.len() <= LONG => words.extend(cidrs.iter().map(short)),
                _ => words.extend(family.span_words()),
            }
        }
        words
    }

    fn span_words(&self) -> impl Iterator<Item = String> {
        let v4 = self.v4.spans().map(|(low, high)| {
            let (low, high) = (Ipv4Addr::from(low), Ipv4Addr::from(high));
            let nets = Ipv4Subnets::new(low, high, 0).map(IpNet::V4);
            span(&low, &high, nets)
        });
        let v6 = self.v6.spans().map(|(low, high)| {
            let (low, high) = (Ipv6Addr::from(low), Ipv6Addr::from(high));
            let nets = Ipv6Subnets::new(low, high, 0).map(IpNet::V6);
            span(&low, &high, nets)
        });
        v4.chain(v6)
    }

    /// The whole set in words, however long: for programs.
    #[must_use]
    pub fn in_full(&self) -> String {
        if self.is_empty() {
            return "no address".to_owned();
        }
        self.words().join(", ")
    }
}

impl fmt::Display for AddressSet {
    /// For people: the pieces of a long set are counted beyond the first of them. `{:#}` leaves
    /// nothing out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 24;
        if f.alternate() {
            return f.write_str(&self.in_full());
        }
        if self.is_empty() {
            return f.write_str("no address");
        }
        let mut words = self.words();
        // A set can have any number of pieces, a line of text not.
        let more = words.len().saturating_sub(MOST);
        words.truncate(MOST);
        f.write_str(&words.join(", "))?;
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        Ok(())
    }
}

fn short(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

/// A span as a CIDR where it is just one.
fn span<A: fmt::Display>(low: &A, high: &A, mut nets: impl Iterator<Item = IpNet>) -> String {
    match (nets.next(), nets.next()) {
        (Some(net), None) => short(&net),
        _ => format!("{low}-{high}"),
    }
}

/// Reads an address or a CIDR the way the cluster does.
///
/// Up to 1.35 the API server stores host bits, leading zeros and IPv4-mapped addresses, and what
/// enforces the policy then means the network, the decimal number, and the IPv4 network.
#[must_use]
pub fn parse_net(text: &str) -> Option<IpNet> {
    if text.contains('/') {
        let (network, prefix) = Cidr::parse(text)?.network_and_prefix();
        return IpNet::new(network, prefix).ok();
    }
    match parse_address(text)? {
        IpAddr::V6(a) => Some(a.to_ipv4_mapped().map_or(a.into(), IpAddr::from).into()),
        address @ IpAddr::V4(_) => Some(address.into()),
    }
}

/// Reads an address; leading zeros in IPv4 are decimal, as Kubernetes reads them.
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let mut bytes = Vec::with_capacity(4);
    for part in text.split('.') {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        bytes.push(part.parse::<u8>().ok()?);
    }
    let bytes: [u8; 4] = bytes.try_into().ok()?;
    Some(IpAddr::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Texts that are CIDRs, nearly CIDRs, or look like them.
    fn cidr() -> impl Strategy<Value = String> {
        let v4 = r"0{0,2}[0-9]{1,3}\.0?[0-9]{1,3}\.[0-9]{1,3}\.0{0,2}[0-9]{1,3}";
        let v6 = "(0{0,2}[0-9a-fA-F]{1,4}:{1,2}){0,8}[0-9a-f]{0,4}";
        let mapped = r"::(ffff|0ffff|FFFF|fffe):[0-9]{1,3}\.0?[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}";
        let mapped_in_hex = "::ffff:[0-9a-f]{1,4}:[0-9a-f]{1,4}";
        let address = prop_oneof![v4, v6, mapped, mapped_in_hex];
        (address, "0{0,2}[0-9]{1,3}").prop_map(|(address, prefix)| format!("{address}/{prefix}"))
    }

    proptest! {
        #[test]
        fn a_block_is_read_as_the_filter_reads_and_writes_it(text in cidr()) {
            let judged = Cidr::parse(&text);
            let read = parse_net(&text).map(AddressSet::from);
            prop_assert_eq!(read.is_some(), judged.is_some());
            if let Some(cidr) = judged {
                let written = cidr.for_policy(&text);
                prop_assert_eq!(parse_net(&written).map(AddressSet::from), read.clone());
                prop_assert_eq!(parse_net(&cidr.canonical()).map(AddressSet::from), read);
                // What was rewritten has nothing left that a plugin may not read.
                if written != text {
                    prop_assert_eq!(Cidr::parse(&written).and_then(|c| c.oddity(&written)), None);
                }
            }
        }
    }

    fn set(cidrs: &[&str]) -> AddressSet {
        cidrs.iter().map(|c| parse_net(c).unwrap()).collect()
    }

    #[test]
    fn everything_except_is_exact() {
        let public = set(&["0.0.0.0/0"]).difference(&set(&["10.0.0.0/8", "192.168.0.0/16"]));
        assert!(public.contains("9.255.255.255".parse().unwrap()));
        assert!(!public.contains("10.0.0.0".parse().unwrap()));
        assert!(!public.contains("::1".parse().unwrap()));
        let back = public.union(&set(&["192.168.0.0/16", "10.0.0.0/8"]));
        assert_eq!(back, set(&["0.0.0.0/0"]));
        assert_eq!(public.cidrs().into_iter().collect::<AddressSet>(), public);
    }

    #[test]
    fn odd_spellings_mean_what_the_cluster_makes_of_them() {
        assert_eq!(set(&["10.1.2.3/8"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["010.0.0.0/8"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["::ffff:10.0.0.0/104"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["::ffff:10.0.0.7"]), set(&["10.0.0.7/32"]));
        assert_eq!(set(&["0fd00::/16"]), set(&["fd00::/16"]));
        assert_eq!(set(&["::ffff:0:0/95"]), set(&["::fffe:0:0/95"]));
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "1.2.3.4/",
            "1.2.3.4/+8",
            "::/129",
            "a",
        ] {
            assert_eq!(parse_net(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shown_in_the_fewest_words() {
        assert_eq!(
            set(&["10.0.0.0/9", "10.128.0.0/9"]).to_string(),
            "10.0.0.0/8"
        );
        assert_eq!(
            set(&["10.0.0.1", "fd00::1"]).to_string(),
            "10.0.0.1, fd00::1"
        );
        assert_eq!(
            set(&["10.0.0.0/8"])
                .difference(&set(&["10.0.0.7"]))
                .to_string(),
            "10.0.0.0/8 except 10.0.0.7"
        );
    }
}
