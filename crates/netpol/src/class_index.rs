//! Finds, among many classes of pods, those that can have something to do with one class.
//!
//! Rules often name one label with a value each. Holding every class against every other takes
//! time in the square of the rules, though classes with different values of one label have no pod
//! in common.

use std::collections::HashMap;

use crate::allowed::PodClass;

/// Classes of pods by their labels. Classes are meant by their place in the order given.
pub(crate) struct ClassIndex<'c> {
    /// Those that no other shares a key with, by each of their keys.
    lonely: HashMap<&'c str, usize>,
    /// Those that fix a label to one value, by the label that tells them from most others.
    fixed: HashMap<&'c str, HashMap<&'c str, Vec<usize>>>,
    /// All others.
    rest: Vec<usize>,
}

impl<'c> ClassIndex<'c> {
    pub(crate) fn of(classes: impl Iterator<Item = &'c PodClass> + Clone) -> Self {
        // How many selectors of pods speak of each key, and how many fix it to each value.
        let mut users: HashMap<&str, usize> = HashMap::new();
        let mut fixing: HashMap<(&str, &str), usize> = HashMap::new();
        for class in classes.clone() {
            let mut last = None;
            for key in class.pods.keys() {
                if last.replace(key) != Some(key) {
                    *users.entry(key).or_default() += 1;
                }
            }
            for label in class.pods.fixed_pairs() {
                *fixing.entry(label).or_default() += 1;
            }
        }
        let users_of = |key: &str| users.get(key).copied().unwrap_or_default();
        let told_apart = |label: &(&str, &str)| {
            let alike = fixing.get(label).copied().unwrap_or_default();
            users_of(label.0).saturating_sub(alike)
        };
        let mut index = Self {
            lonely: HashMap::new(),
            fixed: HashMap::new(),
            rest: Vec::new(),
        };
        for (place, class) in classes.enumerate() {
            if !class.pods.is_empty() && class.pods.keys().all(|key| users_of(key) == 1) {
                let keys = class.pods.keys().map(|key| (key, place));
                index.lonely.extend(keys);
            } else if let Some((key, value)) = class.pods.fixed_pairs().max_by_key(told_apart) {
                let values = index.fixed.entry(key).or_default();
                values.entry(value).or_default().push(place);
            } else {
                index.rest.push(place);
            }
        }
        index
    }

    /// The places of those that can hold the class, by themselves or together with others, in
    /// their order.
    ///
    /// A selector whose keys nobody else asks about holds no class by itself, and some pods of the
    /// class are in none of these selectors, whatever their other labels are.
    pub(crate) fn that_can_hold(&self, class: &PodClass) -> Vec<usize> {
        let lonely = class.pods.keys().filter_map(|key| self.lonely.get(key));
        let mut places: Vec<usize> = lonely.chain(&self.rest).copied().collect();
        // What no pod matches is within every class, whatever its values.
        let is_possible = class.pods.can_match();
        for (key, values) in &self.fixed {
            match class.pods.fixed(key).filter(|_| is_possible) {
                Some(value) => places.extend(values.get(value).into_iter().flatten()),
                None => places.extend(values.values().flatten()),
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::Namespaces;
    use crate::sets::selector::Selector;

    fn class(selector: &str) -> PodClass {
        let selector = serde_yaml::from_str(selector).unwrap();
        PodClass {
            namespaces: Namespaces::Own("home".to_owned()),
            pods: Selector::read(Some(&selector)).unwrap(),
        }
    }

    #[test]
    fn only_classes_that_hold_no_pod_of_another_are_left_out() {
        let classes = [
            class("{}"),
            class("{matchLabels: {a: x}}"),
            class("{matchLabels: {a: y}}"),
            class("{matchLabels: {a: y, b: z}}"),
            class("{matchLabels: {b: z, lonely: x}}"),
            class("{matchExpressions: [{key: a, operator: In, values: [x, y]}]}"),
            class("{matchExpressions: [{key: b, operator: NotIn, values: [z]}]}"),
            class("{matchLabels: {a: x}, matchExpressions: [{key: a, operator: In, values: [y]}]}"),
        ];
        let index = ClassIndex::of(classes.iter());
        for of in &classes {
            let found = index.that_can_hold(of);
            for (place, known) in classes.iter().enumerate() {
                let related = of.is_within(known) || of.overlaps(known);
                assert!(found.contains(&place) || !related, "{of} and {known}");
            }
        }
        assert!(!index.that_can_hold(&classes[1]).contains(&2));
    }

    #[test]
    fn lonely_classes_are_found_by_their_own_keys_only() {
        let classes = [
            class("{matchLabels: {a: x}}"),
            class("{matchLabels: {b: x}}"),
        ];
        let index = ClassIndex::of(classes.iter());
        assert_eq!(index.that_can_hold(&class("{matchLabels: {b: y}}")), [1]);
        assert!(index.that_can_hold(&class("{}")).is_empty());
    }
}
