//! All label sets that some selectors can tell apart, one of each kind.
//!
//! Whether several selectors together cover another is decided on these: exactly, as long as there
//! are not too many of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::cluster::NAMESPACE_NAME_LABEL;
use crate::model::policy::Namespaces;
use crate::sets::selector::{ANY_VALUE, Labels, Selector};

/// The most kinds that are looked at.
const MOST: usize = 4096;

/// One label set of each kind that the selectors can tell apart; `None` where there are too many.
#[must_use]
pub fn cells<'s>(selectors: impl IntoIterator<Item = &'s Selector>) -> Option<Vec<Labels>> {
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for selector in selectors {
        for (key, values) in selector.named_values() {
            named.entry(key).or_default().extend(values);
        }
    }
    let mut cells = vec![Labels::new()];
    for (key, values) in named {
        // Every namespace has its name; every other label can be missing. What no selector names
        // comes first, for there a cover has its gaps.
        let missing = (key != NAMESPACE_NAME_LABEL).then_some(None);
        let named = values.into_iter().map(Some);
        let values: Vec<Option<&str>> = (missing.into_iter())
            .chain([Some(ANY_VALUE)])
            .chain(named)
            .collect();
        if cells.len().saturating_mul(values.len()) > MOST {
            return None;
        }
        cells = (cells.iter())
            .flat_map(|labels| {
                values.iter().map(|value| {
                    let mut labels = labels.clone();
                    if let Some(value) = value {
                        labels.insert(key.to_owned(), (*value).to_owned());
                    }
                    labels
                })
            })
            .collect();
    }
    Some(cells)
}

/// The selector of the namespaces that are meant.
#[must_use]
pub fn namespace_selector(namespaces: &Namespaces) -> Selector {
    match namespaces {
        Namespaces::Own(name) => Selector::namespace(name),
        Namespaces::Labelled(selector) => selector.clone(),
    }
}
