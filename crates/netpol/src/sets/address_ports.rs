//! Sets of (address, port) pairs: what an endpoint may reach, or who may reach it, to the last
//! address and port.
//!
//! Kept in one form only, so that equal sets are equal values and a difference is a set again.

use std::collections::BTreeMap;
use std::fmt;

use crate::sets::addresses::AddressSet;
use crate::sets::ports::Ports;

/// A set of (address, port) pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPortSet {
    // No address stands in two pieces, no two pieces have the same ports, none is empty; sorted.
    pieces: Vec<(AddressSet, Ports)>,
}

impl AddressPortSet {
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

    /// All of these ports at their addresses.
    #[must_use]
    pub fn union_of<'p>(pieces: impl IntoIterator<Item = (&'p AddressSet, &'p Ports)>) -> Self {
        let (addresses, ports): (Vec<_>, Vec<_>) = pieces.into_iter().unzip();
        let overlay = AddressSet::overlay(&addresses).into_iter();
        let joined = overlay.map(|(these, addresses)| {
            let theirs = these.iter().filter_map(|i| ports.get(*i).copied());
            (addresses, Ports::union_of(theirs))
        });
        Self {
            pieces: in_order(joined),
        }
    }

    /// The same set, as [`Ports::with_names_of_whole_protocols`] at each address.
    #[must_use]
    pub fn with_names_of_whole_protocols(self) -> Self {
        let pieces = self.pieces.into_iter();
        let pieces = pieces.map(|(a, ports)| (a, ports.with_names_of_whole_protocols()));
        Self {
            pieces: in_order(pieces),
        }
    }

    /// Adds these ports at these addresses.
    pub fn add(&mut self, addresses: &AddressSet, ports: &Ports) {
        if !ports.is_empty() {
            *self = Self::union_of(self.pieces().chain([(addresses, ports)]));
        }
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combined(other, |ours, theirs| match theirs {
            Some(theirs) => ours.difference(theirs),
            None => ours.clone(),
        })
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.combined(other, |ours, theirs| {
            theirs.map_or_else(Ports::default, |theirs| ours.intersection(theirs))
        })
    }

    /// The addresses of this set, each with what becomes of its ports beside those that the other
    /// set has for it.
    fn combined(&self, other: &Self, ports: impl Fn(&Ports, Option<&Ports>) -> Ports) -> Self {
        let count = self.pieces.len();
        let all: Vec<_> = self.pieces.iter().chain(&other.pieces).collect();
        let addresses: Vec<&AddressSet> = all.iter().map(|(addresses, _)| addresses).collect();
        let overlay = AddressSet::overlay(&addresses).into_iter();
        let pieces = overlay.filter_map(|(these, addresses)| {
            // The pieces of one set lie apart: there is one of each at most.
            let (ours, theirs): (Vec<usize>, Vec<usize>) = these.iter().partition(|i| **i < count);
            let of = |these: Vec<usize>| all.get(*these.first()?).map(|(_, ports)| ports);
            Some((addresses, ports(of(ours)?, of(theirs))))
        });
        Self {
            pieces: in_order(pieces),
        }
    }

    /// The ports that are open at one address at least.
    #[must_use]
    pub fn ports(&self) -> Ports {
        Ports::union_of(self.pieces.iter().map(|(_, ports)| ports))
    }
}

/// Joins pieces of equal ports, drops the empty ones, and sorts. Their addresses are disjoint.
fn in_order(pieces: impl IntoIterator<Item = (AddressSet, Ports)>) -> Vec<(AddressSet, Ports)> {
    let mut by_ports: BTreeMap<Ports, Vec<AddressSet>> = BTreeMap::new();
    for (addresses, ports) in pieces {
        if !addresses.is_empty() && !ports.is_empty() {
            by_ports.entry(ports).or_default().push(addresses);
        }
    }
    let joined = by_ports.into_iter();
    let mut joined: Vec<_> = joined
        .map(|(ports, addresses)| (addresses.into_iter().collect(), ports))
        .collect();
    joined.sort();
    joined
}

impl fmt::Display for AddressPortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let words: Vec<String> = self
            .pieces
            .iter()
            .map(|(addresses, ports)| {
                if f.alternate() {
                    format!("{addresses:#} on {ports}")
                } else {
                    format!("{addresses} on {ports}")
                }
            })
            .collect();
        f.write_str(&words.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::addresses::parse_net;
    use crate::sets::ports::{PortNumbers, Protocol};

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
        let mut forth = AddressPortSet::default();
        let mut back = AddressPortSet::default();
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
        let mut a = AddressPortSet::new(net("10.0.0.0/8"), tcp(80).union(&tcp(443)));
        a.add(&net("fd00::/8"), &tcp(80));
        let b = AddressPortSet::new(net("10.5.0.0/16"), tcp(80));
        let mut again = a.difference(&b);
        assert!(again.intersection(&b).is_empty());
        for (addresses, ports) in a.intersection(&b).pieces() {
            again.add(addresses, ports);
        }
        assert_eq!(again, a);
    }
}
