//! What must be true of every difference. The runs of `vcluster-netpol diff` are in
//! tests/cases/diff.

use proptest::prelude::*;
use vcluster_netpol::explain::diff::Diff;
use vcluster_netpol::explain::view::View;
use vcluster_netpol::filter::Options;
use vcluster_netpol::vcluster::sources::{ConfigFile, Overrides};

/// Rules of which a config can have any.
const RULES: [&str; 9] = [
    "{ports: [{port: 443}]}",
    "{PEER: [{ipBlock: {cidr: 10.0.0.0/8}}]}",
    "{PEER: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}",
    "{PEER: [{ipBlock: {cidr: 'fd00::/8'}}]}",
    "{PEER: [{podSelector: {}}]}",
    "{PEER: [{podSelector: {matchLabels: {a: x}}}], ports: [{port: 80}]}",
    "{PEER: [{podSelector: {matchExpressions: [{key: a, operator: In, values: [x, z]}]}}], ports: \
     [{port: 80}, {port: 81}]}",
    "{PEER: [{podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [x]}]}, \
     namespaceSelector: {}}]}",
    "{PEER: [{namespaceSelector: {matchLabels: {team: b}}}], ports: [{port: 53, protocol: UDP}]}",
];

/// The rules of the four lists of a config, by number.
type Lists = [Vec<usize>; 4];

fn view(lists: &Lists) -> View {
    let list = |numbers: &[usize], peer: &str| -> String {
        let rules: Vec<String> = (numbers.iter())
            .filter_map(|n| RULES.get(*n))
            .map(|rule| rule.replace("PEER", peer))
            .collect();
        format!("[{}]", rules.join(", "))
    };
    let [work_out, work_in, cp_out, cp_in] = lists;
    let text = format!(
        "enabled: true\nworkload: {{egress: {}, ingress: {}}}\n\
         controlPlane: {{egress: {}, ingress: {}}}\n",
        list(work_out, "to"),
        list(work_in, "from"),
        list(cp_out, "to"),
        list(cp_in, "from"),
    );
    let options = Options {
        overrides: Overrides {
            files: vec![ConfigFile {
                name: "values.yaml".to_owned(),
                text,
            }],
            release: Some("a".to_owned()),
            ..Overrides::default()
        },
        ..Options::default()
    };
    View::read(b"", "nothing", &options).unwrap_or_else(|e| panic!("{e}"))
}

fn diff(old: &Lists, new: &Lists) -> Diff {
    Diff::between(view(old).model.policies(), view(new).model.policies())
}

fn lists() -> impl Strategy<Value = Lists> {
    let list = || prop::collection::vec(0..RULES.len(), 0..5);
    [list(), list(), list(), list()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    fn nothing_changes_from_a_config_to_itself_in_any_order(lists in lists()) {
        prop_assert!(diff(&lists, &lists).is_empty());
        let mut turned = lists.clone();
        for list in &mut turned {
            list.reverse();
            // A rule that stands there twice says nothing more.
            let first = list.first().copied();
            list.extend(first);
        }
        prop_assert_eq!(diff(&lists, &turned), Diff::default());
    }

    fn what_one_way_allows_the_other_way_takes(old in lists(), new in lists()) {
        let (forth, back) = (diff(&old, &new), diff(&new, &old));
        prop_assert_eq!(forth.changes.len(), back.changes.len());
        for (one, other) in forth.changes.iter().zip(&back.changes) {
            prop_assert_eq!(&one.pods, &other.pods);
            prop_assert_eq!(&one.newly_allowed, &other.no_longer_allowed);
            prop_assert_eq!(&one.no_longer_allowed, &other.newly_allowed);
        }
    }

    fn more_rules_take_nothing(old in lists(), more in lists()) {
        let mut new = old.clone();
        for (list, more) in new.iter_mut().zip(more) {
            list.extend(more);
        }
        for change in diff(&old, &new).changes {
            prop_assert_eq!(change.no_longer_allowed, []);
        }
    }
}

crate::registry::tests! {
    fast: [
        nothing_changes_from_a_config_to_itself_in_any_order,
        what_one_way_allows_the_other_way_takes,
        more_rules_take_nothing,
    ],
}
