//! Public egress for IPv4 or IPv6 alone.

use super::config::{Findings, Part, View};
use super::{Audience, Rule};
use manifest::schema;
use netpol::cidr::Cidr;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP107",
    title: "public egress for one IP family",
    audience: Audience::Reviewer,
    documentation: r#"**Public egress for one IP family.** There is only one `cidr`, and it is either IPv4 or IPv6. In a dual-stack cluster there is no public egress for the other family.

Fix: add a rule for the other family to `workload.egress`, such as `- to: [{ipBlock: {cidr: "::/0", except: ["fc00::/7", "fe80::/10"]}}]`. Suppress it in a single-stack cluster."#,
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    let public = &view.settings.public_egress;
    let Some(cidr) = Cidr::parse(&public.cidr).filter(|_| public.enabled) else {
        return;
    };
    let further = public.further.iter();
    let mut further = further.filter_map(|block| Cidr::parse(&block.cidr));
    if further.any(|other| other.is_v6() != cidr.is_v6()) {
        return;
    }
    let (has, lacks, all) = if cidr.is_v6() {
        ("IPv6", "IPv4", "0.0.0.0/0")
    } else {
        ("IPv4", "IPv6", "::/0")
    };
    findings.add(
        &RULE,
        Part::PublicEgress,
        &schema::join(public.field, "cidr"),
        format!("public egress is for {has} alone, so {lacks} is closed"),
        &format!(
            "in a cluster that has {lacks}, add a rule to workload.egress with the ipBlock {all}"
        ),
    );
}
