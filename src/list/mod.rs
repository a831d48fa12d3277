//! Every connection that is allowed, in words: who may connect to whom, on which ports.
//!
//! ```text
//! ClusterModel ──▶ Connections ──▶ Listing ──▶ text, CSV, JSON, Markdown, DOT
//! ```
//!
//! What is allowed is decided in [`netpol::connections`]. Here groups get their names.

pub mod clusters;
mod formats;
pub mod matrix;

use std::fmt::Write as _;

use serde::Serialize;

use crate::explain::words::Party;
use manifest::escape::terminal;
use netpol::connections::{Connection, Connections, End, Group};
use netpol::model::policy::{Namespaces, Peer};
use netpol::sets::ports::{Ports, Protocol};

pub use formats::{csv, dot, markdown, text};

/// How many workloads of a group a line of text names.
const MOST: usize = 6;

/// All connections that are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The version of this format.
    pub version: u8,
    /// Workloads whose pods no policy tells apart.
    pub groups: Vec<Workloads>,
    /// The connections.
    pub connections: Vec<Line>,
    /// Workloads on the network of their node. Kubernetes leaves open what policies do to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_host_network: Vec<String>,
}

/// A group of workloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workloads {
    /// What connections call it.
    pub id: usize,
    /// The workloads, as `namespace/name[Kind]`.
    pub workloads: Vec<String>,
    /// How many pods, and templates of pods, they have in the input.
    pub pods: usize,
    /// Which directions policies restrict.
    pub restricted: Restricted,
    /// Whether it was asked for, or nothing was.
    #[serde(skip)]
    pub is_in_focus: bool,
}

/// Which directions policies restrict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restricted {
    /// What comes in.
    pub ingress: bool,
    /// What goes out.
    pub egress: bool,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The source.
    pub from: Place,
    /// The destination.
    pub to: Place,
    /// The ports in words; `no port` if the address of a pod decides on all of them.
    pub ports: String,
    /// The same ports by protocol.
    pub allowed: Vec<ProtocolPorts>,
    /// Further ports that are open if the address of a pod, which is not known, is in a block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depending_on_address: Option<String>,
}

/// Who is at one end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A group of workloads.
    Group(usize),
    /// What is not in the input: everyone, addresses, pods.
    Outside(Party),
}

/// The ports of one protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProtocolPorts {
    /// TCP, UDP or SCTP.
    pub protocol: &'static str,
    /// The numbers, as pairs of the first and the last of a range.
    pub ranges: Vec<[u16; 2]>,
}

impl Listing {
    /// Names what was found.
    #[must_use]
    pub fn of(found: &Connections) -> Self {
        let groups = found.shown_groups().into_iter();
        Self {
            version: 1,
            groups: groups.map(|(id, group)| workloads(id, group)).collect(),
            connections: found.connections.iter().map(line).collect(),
            on_host_network: found.on_host.iter().map(ToString::to_string).collect(),
        }
    }

    /// What a line of text calls an end.
    fn name(&self, place: &Place) -> String {
        match place {
            Place::Outside(party) => party.shown().in_line(),
            Place::Group(id) => match self.groups.iter().find(|group| group.id == *id) {
                Some(group) => group.shown(MOST),
                None => String::new(),
            },
        }
    }

    /// Every workload of an end, or who it is.
    fn full_name(&self, place: &Place) -> String {
        match place {
            Place::Outside(party) => terminal(&party.in_line()).into_owned(),
            Place::Group(id) => match self.groups.iter().find(|group| group.id == *id) {
                Some(group) => group.shown(usize::MAX),
                None => String::new(),
            },
        }
    }
}

impl Workloads {
    fn shown(&self, most: usize) -> String {
        let shown: Vec<String> = (self.workloads.iter().take(most))
            .map(|name| terminal(name).into_owned())
            .collect();
        let mut text = shown.join(", ");
        if let Some(more @ 1..) = self.workloads.len().checked_sub(most) {
            let _ = write!(text, " and {more} more");
        }
        text
    }
}

fn workloads(id: usize, group: &Group) -> Workloads {
    let [ingress, egress] = group.restricted;
    Workloads {
        id,
        workloads: group.workloads.iter().map(ToString::to_string).collect(),
        pods: group.pods,
        restricted: Restricted { ingress, egress },
        is_in_focus: group.is_in_focus,
    }
}

fn line(connection: &Connection) -> Line {
    let Connection {
        from,
        to,
        ports,
        by_address,
    } = connection;
    Line {
        from: place(from),
        to: place(to),
        ports: ports.to_string(),
        allowed: by_protocol(ports),
        depending_on_address: (!by_address.is_empty()).then(|| by_address.to_string()),
    }
}

fn place(end: &End) -> Place {
    match end {
        End::Group(id) => Place::Group(*id),
        End::Everyone => Place::Outside(Party::everyone()),
        End::Addresses(addresses) => Place::Outside(Party::peer(&Peer::Block(addresses.clone()))),
        End::Pods(class) => {
            let mut party = Party::class(class);
            if let Namespaces::Own(name) = &class.namespaces {
                party.by = format!("{} in namespace {name}", class.pods);
            }
            Place::Outside(party)
        }
    }
}

fn by_protocol(ports: &Ports) -> Vec<ProtocolPorts> {
    let all = Protocol::ALL.into_iter().map(|protocol| ProtocolPorts {
        protocol: protocol.as_str(),
        ranges: (ports.numbers_of(protocol).spans())
            .map(|(low, high)| [low, high])
            .collect(),
    });
    all.filter(|of| !of.ranges.is_empty()).collect()
}
