//! Sets of (address, port) pairs: what an endpoint may reach, or who may reach it, to the last
//! address and port.
//!
//! Kept in one form only, so that equal sets are equal values and a difference is a set again.

use std::fmt;

use super::addresses::AddressSet;
use super::ports::Ports;

/// A set of (address, port) pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Region {
    // No address stands in two pieces, no two pieces have the same ports, none is empty; sorted.
    pieces: Vec<(AddressSet, Ports)>,
}

impl Region {
    /// Every one of these ports at every one of these addresses.
    #[must_use]
    pub fn new(addresses: AddressSet, ports: Ports) -> Self {
        let mut region = Self::default();
        if !addresses.is_empty() && !ports.is_empty() {
            region.pieces.push((addresses, ports));
        }
        region
    }

    /// The pieces: disjoint in their addresses, each with all ports of these addresses.
    #[must_use]
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = (&AddressSet, &Ports)> {
        self.pieces.iter().map(|(a, p)| (a, p))
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds these ports at these addresses.
    pub fn add(&mut self, addresses: &AddressSet, ports: &Ports) {
        if ports.is_empty() {
            return;
        }
        let mut rest = addresses.clone();
        let mut pieces = Vec::with_capacity(self.pieces.len() + 1);
        for (old_addresses, old_ports) in std::mem::take(&mut self.pieces) {
            let both = rest.intersection(&old_addresses);
            if both.is_empty() {
                pieces.push((old_addresses, old_ports));
                continue;
            }
            rest = rest.difference(&both);
            let alone = old_addresses.difference(&both);
            pieces.push((both, old_ports.union(ports)));
            pieces.push((alone, old_ports));
        }
        pieces.push((rest, ports.clone()));
        self.pieces = in_order(pieces);
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut pieces = Vec::new();
        for (addresses, ports) in &self.pieces {
            let mut rest = addresses.clone();
            for (theirs, their_ports) in &other.pieces {
                let both = rest.intersection(theirs);
                if both.is_empty() {
                    continue;
                }
                rest = rest.difference(&both);
                pieces.push((both, ports.difference(their_ports)));
            }
            pieces.push((rest, ports.clone()));
        }
        Self {
            pieces: in_order(pieces),
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut pieces = Vec::new();
        for (addresses, ports) in &self.pieces {
            for (theirs, their_ports) in &other.pieces {
                pieces.push((
                    addresses.intersection(theirs),
                    ports.intersection(their_ports),
                ));
            }
        }
        Self {
            pieces: in_order(pieces),
        }
    }

    /// The ports that are open at one address at least.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.pieces
            .iter()
            .fold(Ports::default(), |all, (_, ports)| all.union(ports))
    }
}

/// Joins pieces of equal ports, drops the empty ones, and sorts. Their addresses are disjoint.
fn in_order(pieces: Vec<(AddressSet, Ports)>) -> Vec<(AddressSet, Ports)> {
    let mut pieces: Vec<_> = pieces
        .into_iter()
        .filter(|(addresses, ports)| !addresses.is_empty() && !ports.is_empty())
        .collect();
    pieces.sort_by(|a, b| a.1.cmp(&b.1));
    let mut joined: Vec<(AddressSet, Ports)> = Vec::with_capacity(pieces.len());
    for (addresses, ports) in pieces {
        match joined.last_mut() {
            Some(last) if last.1 == ports => last.0 = last.0.union(&addresses),
            _ => joined.push((addresses, ports)),
        }
    }
    joined.sort();
    joined
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let words: Vec<String> = self
            .pieces
            .iter()
            .map(|(addresses, ports)| format!("{addresses} on {ports}"))
            .collect();
        f.write_str(&words.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::addresses::parse_net;
    use super::super::ports::{PortNumbers, Protocol};
    use super::*;

    fn net(cidr: &str) -> AddressSet {
        parse_net(cidr).unwrap().into()
    }

    fn tcp(port: u16) -> Ports {
        Ports::numbers(Protocol::Tcp, PortNumbers::span(port, port))
    }

    #[test]
    fn order_of_adding_makes_no_difference() {
        let parts = [
            (net("10.0.0.0/8"), tcp(80)),
            (net("10.1.0.0/16"), tcp(443)),
            (net("0.0.0.0/0"), tcp(443)),
        ];
        let mut forth = Region::default();
        let mut back = Region::default();
        for (a, p) in &parts {
            forth.add(a, p);
        }
        for (a, p) in parts.iter().rev() {
            back.add(a, p);
        }
        assert_eq!(forth, back);
        assert_eq!(forth.pieces().len(), 2);
    }

    #[test]
    fn difference_and_intersection_make_up_the_whole() {
        let mut a = Region::new(net("10.0.0.0/8"), tcp(80).union(&tcp(443)));
        a.add(&net("fd00::/8"), &tcp(80));
        let b = Region::new(net("10.5.0.0/16"), tcp(80));
        let mut again = a.difference(&b);
        assert!(again.intersection(&b).is_empty());
        for (addresses, ports) in a.intersection(&b).pieces() {
            again.add(addresses, ports);
        }
        assert_eq!(again, a);
    }
}
