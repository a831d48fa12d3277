//! With `hardened`, a rule without a destination.

use super::config::{Direction, Findings, View};
use super::{Audience, Rule};
use crate::vcluster::policies::Role;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP123",
    title: "rule without a destination in a hardened config",
    audience: Audience::Everyone,
    documentation: "\
**A rule without a destination in a hardened config.** With `hardened: true`, every rule should name whom it allows connections to. The documented rule for the API server of the host names ports only, so the control plane can connect to any address on them.

Fix: set `apiServer.cidrs` to the addresses of the API server (`kubectl get endpointslices -n default kubernetes`). Add `to` to a rule of your own.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    if !view.settings.host.hardened {
        return;
    }
    for list in view.rule_lists() {
        if list.direction != Direction::Egress {
            continue;
        }
        let open = list.flows.iter().enumerate();
        for (index, rule) in open.filter(|(_, rule)| rule.peers.is_empty()) {
            match rule.origin.setting().filter(|field| field.ends_with(']')) {
                Some(field) => findings.add(
                    &RULE,
                    list.part(index),
                    field,
                    "the config is hardened, and the rule names no destination",
                    "name the destinations in `to`",
                ),
                None if list.role == Role::ControlPlane => findings.add(
                    &RULE,
                    list.part(index),
                    "apiServer",
                    "the config is hardened, and nothing says where the host's API server is: the \
                     control plane can connect to any address on its ports",
                    "set apiServer.cidrs to the addresses of the API server",
                ),
                None => {}
            }
        }
    }
}
