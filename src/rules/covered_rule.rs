//! A rule that adds nothing.

mod coverage;

use super::config::{Findings, View};
use super::{Audience, Rule};
use coverage::Coverage;
use netpol::model::policy::Origin;

/// The warning.
pub static RULE: Rule = Rule {
    code: "VNP108",
    title: "rule covered by a wider one",
    audience: Audience::Reviewer,
    documentation: "\
**A rule that adds nothing.** A built-in rule, or another rule of yours, already allows everything that it allows. It does no harm, but removing it denies nothing. Of two equal rules the second one is always reported. In a config with hundreds of rules, some wider rules may not be found. Each rule is compared with at most 256 rules that share its first peer or its first port. The total work is limited in proportion to the size of the config.

Fix: remove it, or narrow the wider one.",
    check: Some(check),
};

fn check(view: &View<'_>, findings: &mut Findings) {
    for list in view.rule_lists() {
        let coverage = Coverage::of(&list.flows);
        for (index, field, _) in list.written() {
            // Public egress is one of the documented rules: nobody wrote it beside the wider one.
            if !field.ends_with(']') {
                continue;
            }
            let wider = coverage.wider(index).and_then(|i| list.flows.get(i));
            let by = match wider.map(|wider| wider.origin) {
                None => continue,
                Some(Origin::BuiltIn) => "a built-in rule".to_owned(),
                Some(Origin::Label(_)) => "a rule of the project".to_owned(),
                Some(Origin::Setting(field) | Origin::Default(field)) => field.clone(),
            };
            let message = format!("the rule allows nothing that {by} does not allow already");
            let help = "remove it, or narrow the other one";
            findings.add(&RULE, list.part(index), field, message, help);
        }
    }
}
