//! Public egress includes the cloud's metadata service.

use super::config::{Findings, Part, View, reaches};
use super::{Audience, Rule};
use manifest::schema;
use netpol::cidr::Cidr;

/// The address at which clouds hand out credentials of the node to any process that connects.
const METADATA_SERVICE: &str = "169.254.169.254/32";

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP105",
    title: "cloud metadata service within reach",
    audience: Audience::Reviewer,
    documentation: "\
**The cloud metadata service is reachable.** The default excepts contain the private ranges, but not 169.254.0.0/16. In most clouds, any process that can connect to 169.254.169.254 gets credentials of the node.

Fix: repeat the default list and add the range:
```yaml
workload:
  publicEgress:
    except: [100.64.0.0/10, 127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16]
```
Suppress it if the nodes are protected in another way, for example by IMDSv2 with a hop limit of 1.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let public = &view.settings.public_egress;
    let Some(cidr) = Cidr::parse(&public.cidr).filter(|_| public.enabled) else {
        return;
    };
    let excepts = public.except.iter();
    let excepts: Vec<Cidr> = excepts.filter_map(|e| Cidr::parse(e)).collect();
    if reaches(cidr, &excepts, METADATA_SERVICE) {
        findings.add(
            &RULE,
            Part::PublicEgress,
            &schema::join(public.field, "except"),
            "public egress leaves the cloud's metadata service at 169.254.169.254 within reach",
            "add 169.254.0.0/16 to except, or at least 169.254.169.254/32",
        );
    }
}
