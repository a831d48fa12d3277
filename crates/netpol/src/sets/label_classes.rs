//! All label sets that some selectors can tell apart, one of each kind.
//!
//! Whether several selectors together cover another, and which pods a set of policies selects alike,
//! is decided on these: exactly, as long as there are not too many of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::model::cluster::NAMESPACE_NAME_LABEL;
use crate::model::policy::Namespaces;
use crate::sets::bits::Bits;
use crate::sets::selector::{ANY_VALUE, Labels, Selector};

/// Whose labels are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelsOf {
    /// Those of pods.
    Pods,
    /// Those of namespaces, which all have the label of their name.
    Namespaces,
}

/// The label sets that the same selectors match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelClass {
    /// One of them.
    pub labels: Labels,
    /// The selectors that match it, by their places.
    pub matched: Bits,
}

/// What the selectors say of one key.
#[derive(Default)]
struct KeyUse<'s> {
    selectors: BTreeSet<usize>,
    values: BTreeMap<&'s str, Vec<usize>>,
}

/// The classes of label sets that the selectors tell apart, as far as one of `wanted` matches them;
/// `None` where there are more than `most`.
///
/// The keys are taken one after the other. Label sets that the same selectors can still match are
/// one class, so the number of combinations does not grow with values that nobody combines.
#[must_use]
pub fn classes(
    selectors: &[&Selector],
    of: LabelsOf,
    wanted: &Bits,
    most: usize,
) -> Option<Vec<LabelClass>> {
    let mut keys: BTreeMap<&str, KeyUse<'_>> = BTreeMap::new();
    for (i, selector) in selectors.iter().enumerate() {
        for (key, values) in selector.named_values() {
            let used = keys.entry(key).or_default();
            used.selectors.insert(i);
            for value in values {
                used.values.entry(value).or_default().push(i);
            }
        }
    }
    let all = Bits::all(selectors.len());
    let mut found = vec![LabelClass {
        labels: Labels::new(),
        matched: all,
    }];
    for (key, used) in keys {
        let choices = choices(key, of, &used, selectors);
        let mut next: Vec<LabelClass> = Vec::new();
        let mut known: HashSet<Bits> = HashSet::new();
        for mut class in found {
            let mut parts: Vec<(Option<&str>, Bits)> = Vec::new();
            for (value, refused) in &choices {
                let matched = class.matched.without(refused);
                if matched.intersects(wanted) && !known.contains(&matched) {
                    known.insert(matched.clone());
                    parts.push((*value, matched));
                }
            }
            if next.len() + parts.len() > most {
                return None;
            }
            // The last part takes the labels of the class: copies for every key would add up.
            let last = parts.len().saturating_sub(1);
            for (i, (value, matched)) in parts.into_iter().enumerate() {
                let mut labels = if i == last {
                    std::mem::take(&mut class.labels)
                } else {
                    class.labels.clone()
                };
                if let Some(value) = value {
                    labels.insert(key.to_owned(), value.to_owned());
                }
                next.push(LabelClass { labels, matched });
            }
        }
        found = next;
    }
    Some(found)
}

/// The values of a key that the selectors tell apart, each with the selectors that refuse it. No
/// value at all comes first.
fn choices<'s>(
    key: &str,
    of: LabelsOf,
    used: &KeyUse<'s>,
    selectors: &[&Selector],
) -> Vec<(Option<&'s str>, Bits)> {
    let takes = |i: usize, value| selectors.get(i).is_some_and(|s| s.takes(key, value));
    let refused = |value| {
        let refusing = used.selectors.iter().copied().filter(|i| !takes(*i, value));
        Bits::of(selectors.len(), refusing)
    };
    let mut choices: Vec<(Option<&str>, Bits)> = Vec::new();
    if of == LabelsOf::Pods || key != NAMESPACE_NAME_LABEL {
        choices.push((None, refused(None)));
    }
    let other = refused(Some(ANY_VALUE));
    choices.push((Some(ANY_VALUE), other.clone()));
    for (value, naming) in &used.values {
        // Selectors that don't name the value take it like any other.
        let mut refused = other.clone();
        for i in naming {
            refused.set(*i, !takes(*i, Some(value)));
        }
        choices.push((Some(value), refused));
    }
    let mut seen: BTreeSet<Bits> = BTreeSet::new();
    choices.retain(|(_, refused)| seen.insert(refused.clone()));
    choices
}

/// Puts selectors into groups that have no key in common, by their places. Selectors that ask for
/// nothing are in none.
#[must_use]
pub fn independent_groups(selectors: &[&Selector]) -> Vec<Vec<usize>> {
    let keys = selectors.iter().map(|s| s.keys());
    groups_by(keys)
}

/// Puts things into groups that have no key in common, by their places. Those without a key are in
/// none.
pub fn groups_by<K: Ord>(keys: impl Iterator<Item = impl Iterator<Item = K>>) -> Vec<Vec<usize>> {
    let mut group_of: Vec<Option<usize>> = Vec::new();
    let mut by_key: BTreeMap<K, usize> = BTreeMap::new();
    for (i, keys) in keys.enumerate() {
        group_of.push(None);
        for key in keys {
            let first = *by_key.entry(key).or_insert(i);
            let (a, b) = (root(&group_of, first), root(&group_of, i));
            for (place, group) in [(a, a.min(b)), (b, a.min(b))] {
                if let Some(known) = group_of.get_mut(place) {
                    *known = Some(group);
                }
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, group) in group_of.iter().enumerate() {
        if group.is_some() {
            groups.entry(root(&group_of, i)).or_default().push(i);
        }
    }
    groups.into_values().collect()
}

/// The first of the group that a place belongs to.
fn root(group_of: &[Option<usize>], mut i: usize) -> usize {
    while let Some(&Some(next)) = group_of.get(i)
        && next != i
    {
        i = next;
    }
    i
}

/// The selector of the namespaces that are meant.
#[must_use]
pub fn namespace_selector(namespaces: &Namespaces) -> Selector {
    match namespaces {
        Namespaces::Own(name) => Selector::namespace(name),
        Namespaces::Labelled(selector) => selector.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(yaml: &str) -> Selector {
        Selector::read(Some(&serde_yaml::from_str(yaml).unwrap())).unwrap()
    }

    #[test]
    fn classes_are_what_the_selectors_tell_apart_however_many_values_there_are() {
        let many: Vec<Selector> = (0..500)
            .map(|i| selector(&format!("{{matchLabels: {{app: a{i}, tier: t}}}}")))
            .chain([selector("{}")])
            .collect();
        let many: Vec<&Selector> = many.iter().collect();
        let wanted = Bits::all(many.len());
        let found = classes(&many, LabelsOf::Pods, &wanted, 1000).unwrap();
        assert_eq!(found.len(), 501);
        for class in &found {
            for (i, selector) in many.iter().enumerate() {
                assert_eq!(selector.matches(&class.labels), class.matched.contains(i));
            }
        }
        assert_eq!(classes(&many, LabelsOf::Pods, &wanted, 500), None);
        let one = classes(&many, LabelsOf::Pods, &Bits::of(many.len(), [7]), 1).unwrap();
        assert_eq!(one[0].labels["app"], "a7");
    }

    #[test]
    fn groups_share_no_key() {
        let selectors = [
            selector("{matchLabels: {a: x}}"),
            selector("{}"),
            selector("{matchLabels: {b: x}}"),
            selector("{matchLabels: {c: x, a: y}}"),
        ];
        let selectors: Vec<&Selector> = selectors.iter().collect();
        assert_eq!(independent_groups(&selectors), [vec![0, 3], vec![2]]);
    }
}
