//! Public egress includes the cloud's metadata service.

use std::net::IpAddr;

use super::config::{Findings, Part, View, host_block, reaches};
use super::{Audience, Rule};
use manifest::schema;
use netpol::cidr::Cidr;
use netpol::metadata::{self, LINK_LOCAL, METADATA_SERVICES};

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP105",
    title: "cloud metadata service within reach",
    audience: Audience::Reviewer,
    documentation: "\
**A cloud metadata service is reachable.** Clouds give metadata of a machine, and often its credentials, to any process that connects to an address of the cloud. The default excepts contain the private ranges, and with them 100.100.100.200 of Alibaba Cloud. They leave open 169.254.169.254 (most clouds), 169.254.170.2 (Amazon ECS), 169.254.170.23 (Amazon EKS), 168.63.129.16 (Azure) and 192.0.0.192 (Oracle Cloud). A public egress for IPv6 can reach fd00:ec2::254 and others.

Fix: repeat the default list and add the ranges:
```yaml
workload:
  publicEgress:
    except: [100.64.0.0/10, 127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 168.63.129.16/32, 192.0.0.192/32]
```
Resolvers of nodes can be link-local too: on Google Cloud at 169.254.169.254, on AWS at 169.254.169.253. CoreDNS asks them first, and an except closes them for every port ([VNP306](#vnp306)). Suppress the warning if the nodes are protected in another way, for example by IMDSv2 with a hop limit of 1.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let public = &view.settings.public_egress;
    let Some(cidr) = Cidr::parse(&public.cidr).filter(|_| public.enabled) else {
        return;
    };
    let excepts = public.except.iter();
    let excepts: Vec<Cidr> = excepts.filter_map(|e| Cidr::parse(e)).collect();
    let reached: Vec<IpAddr> = (METADATA_SERVICES.iter())
        .map(|service| service.address)
        .filter(|address| reaches(cidr, &excepts, &host_block(*address)))
        .collect();
    if reached.is_empty() {
        return;
    }
    let ranges = metadata::excepts(&reached, reaches(cidr, &[], LINK_LOCAL));
    let reached: Vec<String> = reached.iter().map(IpAddr::to_string).collect();
    findings.add(
        &RULE,
        Part::PublicEgress,
        &schema::join(public.field, "except"),
        format!(
            "public egress leaves metadata services of clouds within reach: {}",
            reached.join(", ")
        ),
        &format!("add {} to except", ranges.join(", ")),
    );
}
