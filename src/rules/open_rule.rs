//! A rule without peers and ports.

use super::config::{Direction, Findings, View};
use super::{Audience, Rule};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use netpol::cidr::Cidr;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP106",
    title: "rule open to everything",
    audience: Audience::Everyone,
    documentation: "\
**A rule open to everything.** The rule names no ports, and no peers or every address. So the policy isolates nothing in that direction. Rules only add, and no other rule can deny what one allows.

Fix: name the peers or the ports. A rule `{}` is often left over from a list item whose content was removed.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    for list in view.rule_lists() {
        let message = match list.direction {
            Direction::Egress => "the rule lets everything out, to everywhere",
            Direction::Ingress => "the rule lets everything in, from everywhere",
        };
        let help = "name the ports or the peers that are meant";
        for (index, field, rule) in list.written() {
            if rule.ports.is_empty() && is_everybody(rule.peers) {
                findings.add(&RULE, list.part(index), field, message, help);
            }
        }
    }
}

/// Whether peers are everybody, for all that addresses can tell.
fn is_everybody(peers: &[NetworkPolicyPeer]) -> bool {
    peers.is_empty()
        || peers.iter().any(|peer| {
            peer.ip_block.as_ref().is_some_and(|block| {
                Cidr::parse(&block.cidr).is_some_and(|cidr| cidr.prefix() == 0)
                    && block.except.as_deref().unwrap_or_default().is_empty()
            })
        })
}
