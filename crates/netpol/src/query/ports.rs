//! The ports of a question: `443`, `53/UDP`, `8000-8999`, `80,443/TCP,53/UDP`, `http`, `!8443/TCP`.

use super::QueryError;
use crate::sets::ports::{PortNumbers, Ports, Protocol, every_number};
use crate::validate::names;

/// Which ports are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortSpec {
    /// All, of one protocol or of each.
    Every(Option<Protocol>),
    /// Numbers.
    Numbers(Protocol, u16, u16),
    /// A name, to be looked up on the destination.
    Name(Protocol, String),
    /// All of these.
    Several(Vec<PortSpec>),
    /// Every port of every protocol but these.
    AllBut(Box<PortSpec>),
}

impl PortSpec {
    /// Reads ports and a protocol that stand apart; nothing at all is every port. The protocol is
    /// that of the ports that have none of their own, TCP where it is not given.
    ///
    /// # Errors
    /// When one of them is neither empty nor what it should be.
    pub fn parse(ports: &str, protocol: &str) -> Result<Self, QueryError> {
        let (ports, protocol) = (ports.trim(), protocol.trim());
        let known = match protocol {
            "" | "*" => None,
            text => Some(parse_protocol(text)?),
        };
        if let Some(excluded) = ports.strip_prefix('!') {
            let excluded = list(excluded, known)?;
            let spec = Self::AllBut(Box::new(excluded));
            // A name can be any number, so nobody knows what is left without it.
            if spec.has_name() || spec.ports().is_empty() {
                return Err(QueryError::Port(ports.to_owned()));
            }
            return Ok(spec);
        }
        list(ports, known)
    }

    /// The set that is asked for.
    #[must_use]
    pub fn ports(&self) -> Ports {
        match self {
            Self::Every(None) => Ports::all_numbers(),
            Self::Every(Some(p)) => Ports::numbers(*p, every_number()),
            Self::Numbers(p, low, high) => Ports::numbers(*p, PortNumbers::span(*low, *high)),
            Self::Name(p, name) => Ports::named(*p, name.as_str()),
            Self::Several(items) => {
                let items: Vec<Ports> = items.iter().map(Self::ports).collect();
                Ports::union_of(&items)
            }
            Self::AllBut(excluded) => Ports::all_numbers().difference(&excluded.ports()),
        }
    }

    /// Whether a port is asked for by its name.
    #[must_use]
    pub fn has_name(&self) -> bool {
        match self {
            Self::Every(_) | Self::Numbers(..) => false,
            Self::Name(..) => true,
            Self::Several(items) => items.iter().any(Self::has_name),
            Self::AllBut(excluded) => excluded.has_name(),
        }
    }

    /// Whether a text can only be meant as ports: each item is a word, a number or a range, and
    /// has at most a protocol.
    pub(super) fn is_meant_by(text: &str) -> bool {
        let items = text.strip_prefix('!').unwrap_or(text).split(',');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '*' | '_');
        items.map(str::trim).all(|item| {
            let (port, protocol) = item.split_once('/').unwrap_or((item, "TCP"));
            !port.is_empty()
                && port.chars().all(plain)
                && !protocol.is_empty()
                && protocol.chars().all(|c| c.is_ascii_alphabetic())
        })
    }
}

fn parse_protocol(text: &str) -> Result<Protocol, QueryError> {
    let upper = text.to_ascii_uppercase();
    upper
        .parse()
        .map_err(|_| QueryError::Protocol(text.to_owned()))
}

/// Items with commas between them. The protocol of an item is also that of the items before it
/// that have none, as in `80,443/TCP`.
fn list(text: &str, protocol: Option<Protocol>) -> Result<PortSpec, QueryError> {
    let mut protocol = protocol;
    let mut items = Vec::new();
    for text in text.split(',').map(str::trim).rev() {
        let port = match text.split_once('/') {
            None => text,
            Some((port, own)) => {
                protocol = Some(parse_protocol(own)?);
                port
            }
        };
        items.push(item(port, protocol)?);
    }
    items.reverse();
    if items.len() > 1 {
        // An empty item beside others is a mistake; alone it means every port.
        if text.split(',').any(|item| item.trim().is_empty()) {
            return Err(QueryError::Port(text.to_owned()));
        }
        return Ok(PortSpec::Several(items));
    }
    items.pop().ok_or_else(|| QueryError::Port(text.to_owned()))
}

fn item(port: &str, known: Option<Protocol>) -> Result<PortSpec, QueryError> {
    if matches!(port, "" | "*") {
        return Ok(PortSpec::Every(known));
    }
    let protocol = known.unwrap_or(Protocol::Tcp);
    let number = |text: &str| text.parse::<u16>().ok().filter(|n| *n > 0);
    let wrong = || QueryError::Port(port.to_owned());
    if port.bytes().all(|b| b.is_ascii_digit()) {
        let number = number(port).ok_or_else(wrong)?;
        return Ok(PortSpec::Numbers(protocol, number, number));
    }
    if let Some((low, high)) = port.split_once('-')
        && let (Some(low), Some(high)) = (number(low), number(high))
    {
        if low > high {
            return Err(wrong());
        }
        return Ok(PortSpec::Numbers(protocol, low, high));
    }
    // 0-80 and 1-70000 would be names to the API server, and are meant as ranges.
    let is_range = port.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if is_range || names::port_name(port).is_some() {
        return Err(wrong());
    }
    Ok(PortSpec::Name(protocol, port.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_ports_are_the_union_of_their_items() {
        for (text, protocol, shown) in [
            ("80,443", "", "80,443/TCP"),
            ("80,443/UDP", "", "80,443/UDP"),
            ("80/TCP,53/UDP", "", "80/TCP, 53/UDP"),
            ("80,53-54/UDP,1", "SCTP", "53-54,80/UDP, 1/SCTP"),
            (
                "!443,8443",
                "",
                "1-442,444-8442,8444-65535/TCP, every UDP port, every SCTP port",
            ),
            ("!*/TCP", "", "every UDP port, every SCTP port"),
            ("*/UDP", "", "every UDP port"),
            ("http,80", "", "80,http/TCP"),
        ] {
            let spec = PortSpec::parse(text, protocol).unwrap();
            assert_eq!(spec.ports().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "0", "65536", "80-70", "0-80", "1-70000", "80,", ",", "HTTP", "80,,443", "!http", "!*",
            "!", "80/ICMP", "-", "a--b", "1-2-3",
        ] {
            assert!(PortSpec::parse(text, "").is_err(), "{text}");
        }
        assert!(PortSpec::parse("80", "ICMP").is_err());
    }
}
