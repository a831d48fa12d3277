//! The control plane can't reach its HTTP proxy.

use super::fill_in;
use super::server;
use crate::rules::config::{Findings, View};
use crate::rules::{Audience, Rule};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP217",
    title: "HTTP proxy is out of reach",
    audience: Audience::OnRequest,
    documentation: "\
**The control plane can't reach its HTTP proxy.** `HTTPS_PROXY` or `HTTP_PROXY` in `controlPlane.statefulSet.env` names a proxy, and the policies don't allow its port.

Fix: add the rule to `controlPlane.egress`. An IP address in the variable makes the rule exact. The name of a Service gives its namespace, and the port can differ from that of the pods. For any other name, fill in the addresses of the proxy.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let value = "controlPlane.statefulSet.env";
    let unknown = fill_in(
        "PROXY_CIDR",
        "the addresses of the proxy, such as 10.1.2.3/32",
    );
    let mut servers: Vec<server::Server> = Vec::new();
    for variable in view.values.items(value) {
        let name = variable.text("name").unwrap_or_default();
        let is_proxy = ["HTTPS_PROXY", "HTTP_PROXY"]
            .iter()
            .any(|p| name.eq_ignore_ascii_case(p));
        if is_proxy && let Some(url) = variable.text("value") {
            let default = if url.starts_with("https:") { 443 } else { 80 };
            let found = server::of_endpoints(url, default).into_iter();
            servers.extend(
                found
                    .filter(|server| !servers.contains(server))
                    .collect::<Vec<_>>(),
            );
        }
    }
    for server in servers {
        server
            .need(&RULE, value, "HTTP proxy", &unknown, view)
            .check(view, findings);
    }
}
