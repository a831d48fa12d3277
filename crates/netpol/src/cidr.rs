//! CIDRs as the API server reads them, before and since Kubernetes 1.36.
//!
//! The server has always parsed them generously: `010.0.0.0/08` is a range to it, and so is
//! `10.0.0.1/8`. Since 1.36 it refuses what other programs read in another way. So one parser takes
//! all that was ever taken and notes what is unusual about it. Sources: Kubernetes API validation
//! of ipBlock, and the verdicts of servers of both kinds. It knows nothing of policies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use manifest::escape;

/// Which CIDRs the target server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CidrRule {
    /// Kubernetes up to 1.35: unusual ones are stored, with a warning.
    #[default]
    UpTo135,
    /// Kubernetes from 1.36 on: unusual ones are refused.
    From136,
}

impl FromStr for CidrRule {
    type Err = String;

    /// Reads the version of a server: `1.36`, `v1.36.2-gke.1`, `v1.35+`. Nothing is no version: a
    /// variable may be set and empty.
    fn from_str(version: &str) -> Result<Self, Self::Err> {
        if version.is_empty() {
            return Ok(Self::default());
        }
        let mut numbers = version
            .trim()
            .trim_start_matches(['v', 'V'])
            .split('.')
            .map(|part| {
                let digits = part
                    .find(|c: char| !c.is_ascii_digit())
                    .map_or(part, |end| part.get(..end).unwrap_or_default());
                digits.parse::<u32>().ok()
            });
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) if (major, minor) >= (1, 36) => Ok(Self::From136),
            (Some(_), Some(_)) => Ok(Self::UpTo135),
            _ => Err(format!(
                "{:?} is not a Kubernetes version; write one such as 1.36 or v1.35.2",
                escape::terminal(version)
            )),
        }
    }
}

/// What is unusual about a CIDR that the server parses all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// `::ffff:10.0.0.0/104`.
    Mapped,
    /// `010.0.0.0/8`, `10.0.0.0/08`.
    LeadingZeros,
    /// `10.0.0.1/8`.
    HostBits,
    /// `fd00:0::/8`: fine on every server, but another spelling is usual.
    NotCanonical,
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    v6: bool,
    /// The address as it is written, IPv4 in the low 32 bits.
    address: u128,
    prefix: u32,
    leading_zeros: bool,
}

/// A range of addresses whatever its spelling: equal ranges are equal values. They sort by their
/// first address, the wider ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    v6: bool,
    first: u128,
    /// The number of bits that are fixed.
    pub prefix: u32,
}

impl Network {
    /// The range of fewer fixed bits that holds this one; itself where it has no more.
    #[must_use]
    pub fn widened(self, prefix: u32) -> Self {
        let prefix = prefix.min(self.prefix);
        Self {
            first: mask(self.v6, self.first, prefix),
            prefix,
            ..self
        }
    }

    /// Whether every address of `other` lies in this range.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.prefix <= other.prefix && other.widened(self.prefix) == self
    }
}

/// The bits before an IPv4-mapped address: 80 zeros and 16 ones.
const MAPPED: u128 = 0xffff_0000_0000;

impl Cidr {
    /// Reads a CIDR as generously as the server does.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let mut zeros = Zeros(false);
        let (v6, address) = match v4(address.as_bytes(), &mut zeros) {
            Some(address) => (false, u128::from(address)),
            None => (true, v6(address.as_bytes(), &mut zeros)?),
        };
        let (number, rest) = decimal(prefix.as_bytes(), &mut zeros)?;
        let bits = if v6 { 128 } else { 32 };
        (rest.is_empty() && number <= bits).then_some(Self {
            v6,
            address,
            prefix: number,
            leading_zeros: zeros.0,
        })
    }

    /// What is unusual about the spelling, the weightiest first.
    #[must_use]
    pub fn oddity(self, text: &str) -> Option<Oddity> {
        if self.v6 && is_mapped(self.address) {
            Some(Oddity::Mapped)
        } else if self.leading_zeros {
            Some(Oddity::LeadingZeros)
        } else if self.network() != self.address {
            Some(Oddity::HostBits)
        } else if self.v6 && self.canonical() != text {
            Some(Oddity::NotCanonical)
        } else {
            None
        }
    }

    /// The range in the form that every server takes.
    #[must_use]
    pub fn canonical(self) -> String {
        let (v6, network, prefix) = self.unmapped();
        format!("{}/{prefix}", display(v6, network))
    }

    /// The text of this range as it goes into a policy.
    ///
    /// Zeros in front and IPv4-mapped addresses give way to the canonical form: a network plugin
    /// that can't read its policy's CIDR may let everything through. Other spellings, host bits
    /// among them, are read alike by all, and stay.
    #[must_use]
    pub fn for_policy(self, text: &str) -> String {
        let is_v4 = self.v6 && !self.is_v6();
        if is_v4 || self.leading_zeros {
            self.canonical()
        } else {
            text.to_owned()
        }
    }

    /// The range as network and prefix, a mapped one as IPv4.
    #[must_use]
    pub fn network_and_prefix(self) -> (IpAddr, u8) {
        let (v6, network, prefix) = self.unmapped();
        let address = match (v6, u32::try_from(network)) {
            (false, Ok(network)) => IpAddr::from(Ipv4Addr::from(network)),
            _ => IpAddr::from(Ipv6Addr::from(network)),
        };
        (address, u8::try_from(prefix).unwrap_or(u8::MAX))
    }

    /// The address as a range of its own (what the author of `10.0.0.1/8` may have meant).
    #[must_use]
    pub fn single(self) -> String {
        let mapped = self.v6 && is_mapped(self.address);
        let v6 = self.v6 && !mapped;
        let bits = if v6 { 128 } else { 32 };
        format!("{}/{bits}", display(v6, low(self.address, v6)))
    }

    /// The range, whatever its spelling.
    #[must_use]
    pub fn range(self) -> Network {
        let (v6, first, prefix) = self.unmapped();
        Network { v6, first, prefix }
    }

    /// Whether the range is one of IPv6.
    #[must_use]
    pub fn is_v6(self) -> bool {
        self.unmapped().0
    }

    /// The number of bits that are fixed.
    #[must_use]
    pub fn prefix(self) -> u32 {
        self.unmapped().2
    }

    /// Whether `other` lies in this range, and is smaller, as the server asks of an except.
    #[must_use]
    pub fn strictly_contains(self, other: Self) -> bool {
        // The server compares the lengths as they are written, mapped or not.
        self.holds(other) && self.prefix < other.prefix
    }

    /// Whether every address of `other` lies in this range.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.holds(other) && self.prefix() <= other.prefix()
    }

    /// Whether the first address of `other` lies in this range.
    fn holds(self, other: Self) -> bool {
        let (v6, network, prefix) = self.unmapped();
        let (other_v6, other_network, _) = other.unmapped();
        v6 == other_v6 && mask(v6, other_network, prefix) == network
    }

    fn network(self) -> u128 {
        mask(self.v6, self.address, self.prefix)
    }

    /// Family, network and prefix, a mapped network as IPv4.
    fn unmapped(self) -> (bool, u128, u32) {
        let network = self.network();
        if self.v6 && is_mapped(network) && self.prefix >= 96 {
            return (false, low(network, false), self.prefix - 96);
        }
        (self.v6, network, self.prefix)
    }
}

/// What is wrong with a text that is no CIDR, as far as it can be told: what to write instead.
#[must_use]
pub fn suggestion(text: &str) -> Option<String> {
    let text = text.trim();
    let address = text.split('/').next().unwrap_or_default();
    if let Some((_, mask)) = text.split_once('/')
        && let (Ok(ip), Ok(mask)) = (address.parse::<Ipv4Addr>(), mask.parse::<Ipv4Addr>())
    {
        let mask = u32::from(mask);
        return (mask.leading_ones() == mask.count_ones())
            .then(|| format!("{ip}/{}", mask.leading_ones()));
    }
    if text != address {
        return None;
    }
    if let Ok(ip) = address.parse::<Ipv4Addr>() {
        return Some(format!("{ip}/32"));
    }
    address
        .parse::<Ipv6Addr>()
        .ok()
        .map(|ip| format!("{ip}/128"))
}

fn is_mapped(address: u128) -> bool {
    address & !0xffff_ffff == MAPPED
}

fn low(address: u128, v6: bool) -> u128 {
    if v6 { address } else { address & 0xffff_ffff }
}

fn mask(v6: bool, address: u128, prefix: u32) -> u128 {
    let bits: u32 = if v6 { 128 } else { 32 };
    let free = bits.saturating_sub(prefix);
    // A shift by all 128 bits would overflow.
    let ones = 1_u128
        .checked_shl(free)
        .map_or(u128::MAX, |n| n.wrapping_sub(1));
    address & !ones
}

fn display(v6: bool, address: u128) -> String {
    if v6 {
        return Ipv6Addr::from(address).to_string();
    }
    u32::try_from(address).map_or_else(|_| String::new(), |a| Ipv4Addr::from(a).to_string())
}

/// Whether a number with needless zeros in front was met.
struct Zeros(bool);

/// A decimal number at the start, and what follows it.
fn decimal<'a>(text: &'a [u8], zeros: &mut Zeros) -> Option<(u32, &'a [u8])> {
    let (digits, rest) = split(text, u8::is_ascii_digit);
    zeros.0 |= digits.len() > 1 && digits.first() == Some(&b'0');
    number(digits, 10).map(|n| (n, rest))
}

fn split(text: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !belongs(b)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

/// A number of at least one digit that stays small, whatever the zeros in front of it.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |sum, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        Some(sum * radix + digit).filter(|sum| *sum < 0xff_ffff)
    })
}

fn v4(mut text: &[u8], zeros: &mut Zeros) -> Option<u32> {
    let mut address = 0_u32;
    let mut found = Zeros(false);
    for i in 0..4 {
        if i > 0 {
            text = text.strip_prefix(b".")?;
        }
        let (octet, rest) = decimal(text, &mut found)?;
        address = address << 8 | u32::from(u8::try_from(octet).ok()?);
        text = rest;
    }
    zeros.0 |= found.0;
    text.is_empty().then_some(address)
}

fn v6(mut text: &[u8], zeros: &mut Zeros) -> Option<u128> {
    let mut groups: Vec<u16> = Vec::with_capacity(8);
    // How many groups stand before the `::`.
    let mut gap: Option<usize> = None;
    if let Some(rest) = text.strip_prefix(b"::") {
        gap = Some(0);
        text = rest;
    }
    while !text.is_empty() {
        if groups.len() >= 8 {
            return None;
        }
        let (digits, rest) = split(text, u8::is_ascii_hexdigit);
        let group = number(digits, 16)?;
        if rest.first() == Some(&b'.') {
            let full = groups.len() == 6 || (gap.is_some() && groups.len() < 6);
            let low = v4(text, zeros).filter(|_| full)?;
            groups.extend([low >> 16, low & 0xffff].map(|half| u16::try_from(half).unwrap_or(0)));
            break;
        }
        zeros.0 |= digits.len() > 4;
        groups.push(u16::try_from(group).ok()?);
        if rest.is_empty() {
            break;
        }
        text = rest.strip_prefix(b":").filter(|rest| !rest.is_empty())?;
        if let Some(rest) = text.strip_prefix(b":") {
            if gap.is_some() {
                return None;
            }
            gap = Some(groups.len());
            text = rest;
        }
    }
    let missing = 8_usize.checked_sub(groups.len())?;
    match gap {
        Some(at) if missing > 0 => {
            groups.splice(at..at, std::iter::repeat_n(0, missing));
        }
        None if missing == 0 => {}
        _ => return None,
    }
    Some(
        groups
            .into_iter()
            .fold(0, |address, group| address << 16 | u128::from(group)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_parses_is_parsed() {
        for (text, canonical, oddity) in [
            ("10.0.0.0/8", "10.0.0.0/8", None),
            ("0.0.0.0/0", "0.0.0.0/0", None),
            ("::/0", "::/0", None),
            ("10.0.0.1/8", "10.0.0.0/8", Some(Oddity::HostBits)),
            ("010.0.0.0/8", "10.0.0.0/8", Some(Oddity::LeadingZeros)),
            ("10.0.0.0/08", "10.0.0.0/8", Some(Oddity::LeadingZeros)),
            ("0fd00::/16", "fd00::/16", Some(Oddity::LeadingZeros)),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8", Some(Oddity::Mapped)),
            ("::ffff:0:0/96", "0.0.0.0/0", Some(Oddity::Mapped)),
            ("fd00:0::/8", "fd00::/8", Some(Oddity::NotCanonical)),
            ("::10.0.0.0/104", "::a00:0/104", Some(Oddity::NotCanonical)),
            (
                "1:2:3:4:5:6:7.8.9.10/128",
                "1:2:3:4:5:6:708:90a/128",
                Some(Oddity::NotCanonical),
            ),
            ("FD00::/8", "fd00::/8", Some(Oddity::NotCanonical)),
            (
                "1:2:3:4:5:6:7::/112",
                "1:2:3:4:5:6:7:0/112",
                Some(Oddity::NotCanonical),
            ),
        ] {
            let cidr = Cidr::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(cidr.canonical(), canonical, "{text}");
            assert_eq!(cidr.oddity(text), oddity, "{text}");
        }
    }

    #[test]
    fn only_what_a_plugin_may_not_read_is_rewritten() {
        for (text, written) in [
            ("010.244.0.0/24", "10.244.0.0/24"),
            ("10.244.0.0/024", "10.244.0.0/24"),
            ("010.244.0.1/24", "10.244.0.0/24"),
            ("0fd00::/16", "fd00::/16"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0a00:0001/128", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", "::ffff:0:0/95"),
            ("::0ffff:0:0/95", "::fffe:0:0/95"),
            ("::ffff:10.0.0.0/64", "::ffff:10.0.0.0/64"),
            ("10.0.0.1/8", "10.0.0.1/8"),
            ("FD00:0::/8", "FD00:0::/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            let cidr = Cidr::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(cidr.for_policy(text), written, "{text}");
        }
    }

    #[test]
    fn what_the_server_refuses_is_refused() {
        for text in [
            "",
            "/",
            "/8",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0/24",
            "10.0.0.0.0/8",
            "256.0.0.0/8",
            "0x0a.0.0.0/8",
            " 10.0.0.0/8",
            "10.0.0.0/8\n",
            "10.0.0.0/8/8",
            "fd00::",
            "fd00::/129",
            "fd00::1::/64",
            "fd000::/16",
            "fd00:1/64",
            "1:2:3:4:5:6:7:8::/128",
            "1:2:3:4:5:6:7:8:9/128",
            "fe80::1%eth0/64",
            ":1::/64",
            "1:/64",
            "::1.2.3/128",
            "1:2:3:4:5:1.2.3.4/128",
            "any",
            ":::/0",
            "10.0.0.0/99999999999999999999",
        ] {
            assert_eq!(Cidr::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        for (text, rule) in [
            ("v1.36.2-gke.1", CidrRule::From136),
            ("1.36", CidrRule::From136),
            ("v1.36+", CidrRule::From136),
            ("2.0.0", CidrRule::From136),
            ("v1.35.9+k3s1", CidrRule::UpTo135),
            ("1.9", CidrRule::UpTo135),
        ] {
            assert_eq!(text.parse(), Ok(rule), "{text}");
        }
        assert!("latest".parse::<CidrRule>().is_err());
        assert!("1".parse::<CidrRule>().is_err());
    }

    #[test]
    fn containment_is_strict_and_knows_mapped_ranges() {
        let cidr = |text| Cidr::parse(text).unwrap();
        assert!(cidr("10.0.0.0/8").strictly_contains(cidr("10.1.0.0/16")));
        assert!(!cidr("10.0.0.0/8").strictly_contains(cidr("10.0.0.0/8")));
        assert!(cidr("10.0.0.0/8").contains(cidr("10.0.0.0/8")));
        assert!(cidr("10.0.0.0/8").strictly_contains(cidr("::ffff:10.1.0.0/112")));
        assert!(!cidr("::/0").strictly_contains(cidr("10.0.0.0/8")));
        assert!(!cidr("::/0").strictly_contains(cidr("::ffff:0:0/96")));
        assert!(cidr("::/0").strictly_contains(cidr("fd00::/8")));
    }

    #[test]
    fn addresses_and_masks_are_turned_into_ranges() {
        assert_eq!(suggestion("10.1.2.3").as_deref(), Some("10.1.2.3/32"));
        assert_eq!(suggestion("fd00::1").as_deref(), Some("fd00::1/128"));
        assert_eq!(
            suggestion("10.0.0.0/255.0.0.0").as_deref(),
            Some("10.0.0.0/8")
        );
        assert_eq!(suggestion("any"), None);
    }
}
