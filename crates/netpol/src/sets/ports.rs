//! Sets of ports of the three protocols, by number and by name.
//!
//! A name is a coordinate of its own as long as nobody knows the pod that it would be looked up
//! on; with the pod at hand it becomes numbers. Nothing here knows a policy.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::sets::intervals::Intervals;

/// What a NetworkPolicy can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// All three, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The name that Kubernetes has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No protocol of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownProtocol(pub String);

impl fmt::Display for UnknownProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol {:?} is none of TCP, UDP, SCTP", self.0)
    }
}

impl std::error::Error for UnknownProtocol {}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    /// As a policy spells it: in capitals.
    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        Self::ALL
            .into_iter()
            .find(|p| p.as_str() == text)
            .ok_or_else(|| UnknownProtocol(text.to_owned()))
    }
}

/// Port numbers.
pub type PortNumbers = Intervals<u16>;

/// The numbers that a port can have: 0 is none.
#[must_use]
pub fn every_number() -> PortNumbers {
    PortNumbers::span(1, u16::MAX)
}

/// Port names: some, or all but some.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Names {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}

impl Names {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }

    fn complement(&self) -> Self {
        match self {
            Self::Only(names) => Self::AllBut(names.clone()),
            Self::AllBut(names) => Self::Only(names.clone()),
        }
    }

    fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(a & b),
            (Self::Only(a), Self::AllBut(b)) | (Self::AllBut(b), Self::Only(a)) => {
                Self::Only(a - b)
            }
            (Self::AllBut(a), Self::AllBut(b)) => Self::AllBut(a | b),
        }
    }

    fn union(&self, other: &Self) -> Self {
        Self::union_of([self, other])
    }

    fn union_of<'n>(sets: impl IntoIterator<Item = &'n Self>) -> Self {
        let mut some: BTreeSet<&String> = BTreeSet::new();
        let mut left_out: Option<BTreeSet<String>> = None;
        for set in sets {
            match set {
                Self::Only(names) => some.extend(names),
                Self::AllBut(names) => {
                    left_out = Some(left_out.map_or_else(|| names.clone(), |known| &known & names));
                }
            }
        }
        match left_out {
            None => Self::Only(some.into_iter().cloned().collect()),
            Some(mut names) => {
                names.retain(|name| !some.contains(name));
                Self::AllBut(names)
            }
        }
    }
}

/// A container port that has a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedPort {
    /// Its name.
    pub name: String,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
}

/// The ports of one protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Of {
    numbers: PortNumbers,
    names: Names,
}

/// A set of ports: for each protocol its numbers, and the names that stand for a number unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    tcp: Of,
    udp: Of,
    sctp: Of,
}

impl Ports {
    /// Everything that a rule without `ports` allows: each number and name of each protocol.
    #[must_use]
    pub fn all() -> Self {
        Protocol::ALL
            .into_iter()
            .fold(Self::default(), |all, p| all.union(&Self::whole(p)))
    }

    /// Every number of every protocol: what one asks for when one asks for everything.
    #[must_use]
    pub fn all_numbers() -> Self {
        Protocol::ALL.into_iter().fold(Self::default(), |all, p| {
            all.union(&Self::numbers(p, every_number()))
        })
    }

    /// All of one protocol, names too.
    #[must_use]
    pub fn whole(protocol: Protocol) -> Self {
        Self::numbers(protocol, every_number()).with_names_of_whole_protocols()
    }

    /// Numbers of one protocol.
    #[must_use]
    pub fn numbers(protocol: Protocol, numbers: PortNumbers) -> Self {
        let mut ports = Self::default();
        ports.of_mut(protocol).numbers = numbers;
        ports
    }

    /// One name of one protocol, its number unknown.
    #[must_use]
    pub fn named(protocol: Protocol, name: impl Into<String>) -> Self {
        let mut ports = Self::default();
        ports.of_mut(protocol).names = Names::Only(BTreeSet::from([name.into()]));
        ports
    }

    fn of(&self, protocol: Protocol) -> &Of {
        match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
            Protocol::Sctp => &self.sctp,
        }
    }

    fn of_mut(&mut self, protocol: Protocol) -> &mut Of {
        match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Udp => &mut self.udp,
            Protocol::Sctp => &mut self.sctp,
        }
    }

    /// The numbers of one protocol.
    #[must_use]
    pub fn numbers_of(&self, protocol: Protocol) -> &PortNumbers {
        &self.of(protocol).numbers
    }

    /// Whether there is no port in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Protocol::ALL
            .into_iter()
            .all(|p| self.of(p).numbers.is_empty() && self.of(p).names.is_empty())
    }

    /// The same set once the destination is known: each name becomes the numbers that the pod gives
    /// it, and a name that the pod doesn't have becomes nothing.
    #[must_use]
    pub fn resolved(&self, known: &[NamedPort]) -> Self {
        let mut ports = self.clone();
        for protocol in Protocol::ALL {
            let of = ports.of_mut(protocol);
            if let Names::Only(names) = &mut of.names {
                let names = std::mem::take(names);
                for port in known {
                    if port.protocol == protocol && names.contains(&port.name) {
                        let number = PortNumbers::span(port.number, port.number);
                        of.numbers = of.numbers.union(&number);
                    }
                }
            }
        }
        ports
    }

    /// The part of `asked` that this set opens if a name in one of the two is a number in the
    /// other, as it can be where the names of the destination's ports are not known.
    #[must_use]
    pub fn unknown_among(&self, asked: &Self) -> Self {
        let mut part = Self::default();
        for protocol in Protocol::ALL {
            let (ours, theirs) = (self.of(protocol), asked.of(protocol));
            let is_named = |of: &Of| matches!(&of.names, Names::Only(names) if !names.is_empty());
            let of = part.of_mut(protocol);
            if is_named(ours) {
                of.numbers = theirs.numbers.clone();
            }
            if !ours.numbers.is_empty() && is_named(theirs) {
                of.names = theirs.names.intersection(&ours.names.complement());
            }
        }
        part
    }

    /// The same set at a destination whose owner chooses which numbers its names stand for: each
    /// name can be any number of its protocol.
    #[must_use]
    pub fn with_any_number_for_names(&self) -> Self {
        let mut ports = self.clone();
        for protocol in Protocol::ALL {
            let of = ports.of_mut(protocol);
            if !of.names.is_empty() {
                of.numbers = every_number();
            }
        }
        ports.with_names_of_whole_protocols()
    }

    /// Whether some name in it still waits for its pod.
    #[must_use]
    pub fn has_names(&self) -> bool {
        Protocol::ALL
            .into_iter()
            .any(|p| matches!(&self.of(p).names, Names::Only(names) if !names.is_empty()))
    }

    fn combine(
        &self,
        other: &Self,
        numbers: impl Fn(&PortNumbers, &PortNumbers) -> PortNumbers,
        names: impl Fn(&Names, &Names) -> Names,
    ) -> Self {
        let one = |p: Protocol| Of {
            numbers: numbers(&self.of(p).numbers, &other.of(p).numbers),
            names: names(&self.of(p).names, &other.of(p).names),
        };
        Self {
            tcp: one(Protocol::Tcp),
            udp: one(Protocol::Udp),
            sctp: one(Protocol::Sctp),
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.combine(other, Intervals::union, Names::union)
    }

    /// What is in any of them: one sort, however many there are.
    #[must_use]
    pub fn union_of<'p>(sets: impl IntoIterator<Item = &'p Self>) -> Self {
        let sets: Vec<&Self> = sets.into_iter().collect();
        let one = |p: Protocol| Of {
            numbers: Intervals::union_of(sets.iter().map(|set| &set.of(p).numbers)),
            names: Names::union_of(sets.iter().map(|set| &set.of(p).names)),
        };
        Self {
            tcp: one(Protocol::Tcp),
            udp: one(Protocol::Udp),
            sctp: one(Protocol::Sctp),
        }
    }

    /// The same set, and every name of a protocol of which it has all numbers: whatever number the
    /// name stands for, it is among them.
    #[must_use]
    pub fn with_names_of_whole_protocols(mut self) -> Self {
        for protocol in Protocol::ALL {
            let of = self.of_mut(protocol);
            if of.numbers == every_number() {
                of.names = Names::AllBut(BTreeSet::new());
            }
        }
        self
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, Intervals::intersection, Names::intersection)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, Intervals::difference, |a, b| {
            a.intersection(&b.complement())
        })
    }
}

impl fmt::Display for Ports {
    /// `80,8000-8999/TCP, dns/UDP`; `every port` for all of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every = every_number();
        if Protocol::ALL
            .into_iter()
            .all(|p| *self.numbers_of(p) == every)
        {
            return f.write_str("every port");
        }
        let mut words = Vec::new();
        for protocol in Protocol::ALL {
            let Of { numbers, names } = self.of(protocol);
            if *numbers == every {
                words.push(format!("every {protocol} port"));
                continue;
            }
            let mut items: Vec<String> = numbers
                .spans()
                .map(|(low, high)| {
                    if low == high {
                        low.to_string()
                    } else {
                        format!("{low}-{high}")
                    }
                })
                .collect();
            if let Names::Only(names) = names {
                items.extend(names.iter().cloned());
            }
            if !items.is_empty() {
                words.push(format!("{}/{protocol}", items.join(",")));
            }
        }
        if words.is_empty() {
            words.push("no port".to_owned());
        }
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(low: u16, high: u16) -> Ports {
        Ports::numbers(Protocol::Tcp, PortNumbers::span(low, high))
    }

    #[test]
    fn a_name_is_no_number() {
        let http = Ports::named(Protocol::Tcp, "http");
        assert!(http.intersection(&tcp(80, 80)).is_empty());
        assert!(http.difference(&Ports::all()).is_empty());
        assert!(!Ports::all().difference(&http).is_empty());
        assert!(
            http.intersection(&Ports::named(Protocol::Udp, "http"))
                .is_empty()
        );
    }

    #[test]
    fn two_halves_are_a_whole() {
        let both = tcp(1, 999).union(&tcp(1000, u16::MAX));
        assert_eq!(both, Ports::numbers(Protocol::Tcp, every_number()));
        let both = both.with_names_of_whole_protocols();
        assert_eq!(both, Ports::whole(Protocol::Tcp));
        assert_eq!(both.to_string(), "every TCP port");
    }

    #[test]
    fn shown_as_one_would_write_them() {
        let some = tcp(80, 80)
            .union(&tcp(8000, 8999))
            .union(&Ports::named(Protocol::Udp, "dns"));
        assert_eq!(some.to_string(), "80,8000-8999/TCP, dns/UDP");
        assert_eq!(Ports::all_numbers().to_string(), "every port");
        assert_eq!(Ports::default().to_string(), "no port");
    }
}
