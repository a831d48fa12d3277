//! Servers as values name them: data sources, endpoints and URLs.
//!
//! Such a text can hold a password. So nothing of it is kept but a port, an IP address, or the
//! namespace in the full name of a Service.

use std::net::IpAddr;

use super::{Need, Other, fill_in, is_namespace};
use crate::rules::Rule;
use crate::rules::config::{Direction, View};
use crate::vcluster::policies::Role;
use manifest::diagnostic::FillIn;
use netpol::sets::ports::Protocol;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    host: Host,
    port: u16,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// At this address.
    Address(IpAddr),
    /// Behind a Service of this namespace.
    Service(String),
    /// Behind a Service of the release's namespace.
    OwnService,
    /// Somewhere that only its name tells.
    Elsewhere,
}

/// The servers of a data source of kine.
pub(super) fn of_data_source(source: &str) -> Vec<Server> {
    let Some((scheme, rest)) = source.split_once("://") else {
        return Vec::new();
    };
    let default = match scheme {
        "mysql" => 3306,
        "postgres" | "postgresql" => 5432,
        "nats" => 4222,
        _ => return Vec::new(),
    };
    if scheme == "mysql" {
        // USER:PASSWORD@tcp(HOST:PORT)/NAME: the last slash ends the address.
        let address = rest.rsplit_once('/').map_or(rest, |(address, _)| address);
        let address = address
            .rsplit_once('@')
            .map_or(address, |(_, address)| address);
        let Some((network, address)) = address.split_once('(') else {
            return of_hosts(address, default);
        };
        return match network {
            "tcp" => of_hosts(address.trim_end_matches(')'), default),
            _ => Vec::new(),
        };
    }
    of_hosts(authority(rest), default)
}

/// The servers of a list of `HOST:PORT`, each with or without a scheme.
pub(super) fn of_endpoints(endpoints: &str, default: u16) -> Vec<Server> {
    let endpoints = endpoints
        .split(',')
        .map(str::trim)
        .filter(|e| !e.is_empty());
    let addresses = endpoints.map(|e| authority(e.split_once("://").map_or(e, |(_, rest)| rest)));
    addresses
        .flat_map(|address| of_hosts(address, default))
        .collect()
}

/// The part of a URL that says where the server is, without a password.
fn authority(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

fn of_hosts(hosts: &str, default: u16) -> Vec<Server> {
    let hosts = hosts.split(',').filter(|host| !host.is_empty());
    hosts.filter_map(|host| of_host(host, default)).collect()
}

fn of_host(text: &str, default: u16) -> Option<Server> {
    let unbracketed = text.trim_matches(['[', ']']);
    if let Ok(address) = unbracketed.parse() {
        return Some(Server {
            host: Host::Address(address),
            port: default,
        });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, default),
    };
    let host = match host.trim_matches(['[', ']']).parse() {
        Ok(address) => Host::Address(address),
        Err(_) => of_name(host),
    };
    Some(Server { host, port })
}

/// A name: that of a Service has its namespace in it.
fn of_name(name: &str) -> Host {
    let labels: Vec<&str> = name.split('.').collect();
    match labels.as_slice() {
        [_] => Host::OwnService,
        [_, namespace, "svc", ..] if is_namespace(namespace) => {
            Host::Service((*namespace).to_owned())
        }
        _ => Host::Elsewhere,
    }
}

impl Server {
    /// That the control plane reaches the server. `what` is the server in words, `unknown` what to
    /// fill in where only its name is known.
    pub(super) fn need<'a>(
        &self,
        rule: &'static Rule,
        value: &'a str,
        what: &str,
        unknown: &FillIn,
        view: &View<'_>,
    ) -> Need<'a> {
        let (others, fill_in) = self.others(unknown, view);
        Need {
            rule,
            value,
            role: Role::ControlPlane,
            direction: Direction::Egress,
            others,
            ports: vec![(self.port, Protocol::Tcp)],
            message: format!(
                "the control plane can't reach its {what} on port {}",
                self.port
            ),
            fill_in,
        }
    }

    /// Who the server is, and what to look at before the rule is added.
    fn others(&self, unknown: &FillIn, view: &View<'_>) -> (Vec<Other>, Vec<FillIn>) {
        let of_service = |namespace: &str| {
            let port = fill_in(
                &self.port.to_string(),
                "the port of the pods behind the Service, if it is another",
            );
            (vec![Other::Namespace(namespace.to_owned())], vec![port])
        };
        match (&self.host, view.namespace) {
            (Host::Address(address), _) => (vec![Other::Address(*address)], vec![]),
            (Host::Service(namespace), _) => of_service(namespace),
            (Host::OwnService, Some(namespace)) => of_service(namespace),
            (Host::OwnService | Host::Elsewhere, _) => {
                (vec![Other::UnknownAddress(unknown.clone())], vec![])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(found: &[Server]) -> Vec<String> {
        let words = |server: &Server| match &server.host {
            Host::Address(address) => format!("{address} {}", server.port),
            Host::Service(namespace) => format!("in {namespace} {}", server.port),
            Host::OwnService => format!("own {}", server.port),
            Host::Elsewhere => format!("? {}", server.port),
        };
        found.iter().map(words).collect()
    }

    #[test]
    fn data_sources_are_read_without_their_passwords() {
        for (source, expected) in [
            ("mysql://u:p@tcp(db.example.com:3306)/x", vec!["? 3306"]),
            (
                "mysql://u:p@s/10.9.9.9@tcp(10.1.2.3:3307)/x?a=b",
                vec!["10.1.2.3 3307"],
            ),
            (
                "mysql://u:p@tcp([2001:db8::1]:3306)/x",
                vec!["2001:db8::1 3306"],
            ),
            ("mysql://u:p@unix(/run/sock)/x", vec![]),
            ("postgres://u:p%40@db.prod.svc:5432/x", vec!["in prod 5432"]),
            (
                "postgres://u:10.0.0.1@a.b.svc.cluster.local/x",
                vec!["in b 5432"],
            ),
            (
                "postgresql://10.0.0.1:1,10.0.0.2:2/x",
                vec!["10.0.0.1 1", "10.0.0.2 2"],
            ),
            ("postgres://db/x", vec!["own 5432"]),
            ("postgres://u:p@host:port/x", vec![]),
            ("sqlite:///x", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(servers(&of_data_source(source)), expected, "{source}");
        }
    }

    #[test]
    fn endpoints_are_lists() {
        for (endpoints, expected) in [
            ("my-example-service:2379", vec!["own 2379"]),
            (
                "https://10.0.0.1:2380, etcd.infra.svc",
                vec!["10.0.0.1 2380", "in infra 2379"],
            ),
            ("http://u:p@proxy.corp.example:3128/", vec!["? 3128"]),
            ("::1", vec!["::1 2379"]),
            (",", vec![]),
        ] {
            assert_eq!(
                servers(&of_endpoints(endpoints, 2379)),
                expected,
                "{endpoints}"
            );
        }
    }
}
