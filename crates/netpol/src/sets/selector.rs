//! Label selectors: which sets of labels one matches, and whether one is narrower than another.
//!
//! A selector knows neither pods nor namespaces, only labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::model::cluster::NAMESPACE_NAME_LABEL;

/// The labels of a pod or a namespace.
pub type Labels = BTreeMap<String, String>;

/// What one requirement asks of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Ask {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
}

impl Ask {
    /// Whether a label of this value, or its absence, meets the requirement.
    fn takes(&self, value: Option<&str>) -> bool {
        match self {
            Self::In(values) => value.is_some_and(|v| values.contains(v)),
            // A key that is not there is not among the values either.
            Self::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
            Self::Exists => value.is_some(),
            Self::DoesNotExist => value.is_none(),
        }
    }

    /// Whether every label that meets this requirement meets the other, by these two alone.
    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::In(a), Self::In(b)) => a.is_subset(b),
            (Self::In(a), Self::NotIn(b)) => a.is_disjoint(b),
            (Self::NotIn(a), Self::NotIn(b)) => a.is_superset(b),
            (Self::In(_) | Self::Exists, Self::Exists)
            | (Self::DoesNotExist, Self::DoesNotExist | Self::NotIn(_)) => true,
            _ => false,
        }
    }
}

/// A value for a key of which only the presence matters. The API server takes it for no value, so
/// no selector names it.
pub(crate) const ANY_VALUE: &str = "(any)";

/// A selector; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    // Sorted and without doubles, so that equal selectors are equal values.
    requirements: BTreeSet<(String, Ask)>,
}

/// A requirement that the API server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectorError {
    /// The operator is none of the four.
    Operator {
        /// Index of the requirement.
        index: usize,
        /// What stands there.
        operator: String,
    },
    /// In and NotIn need values, the other two must have none.
    Values {
        /// Index of the requirement.
        index: usize,
        /// Its operator.
        operator: String,
    },
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { index, operator } => write!(
                f,
                "matchExpressions[{index}].operator: {operator:?} is none of In, NotIn, Exists, \
                 DoesNotExist"
            ),
            Self::Values { index, operator } => {
                let must = if matches!(operator.as_str(), "In" | "NotIn") {
                    "needs at least one value"
                } else {
                    "takes no values"
                };
                write!(f, "matchExpressions[{index}].values: {operator} {must}")
            }
        }
    }
}

impl std::error::Error for SelectorError {}

impl Selector {
    /// Reads one; a selector that is not there is the empty one.
    ///
    /// # Errors
    /// What the API server refuses: an unknown operator, values where none belong or none where
    /// some do.
    pub fn read(selector: Option<&LabelSelector>) -> Result<Self, SelectorError> {
        let mut requirements = BTreeSet::new();
        let Some(selector) = selector else {
            return Ok(Self::default());
        };
        for (key, value) in selector.match_labels.iter().flatten() {
            requirements.insert((key.clone(), Ask::In(BTreeSet::from([value.clone()]))));
        }
        for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
            let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
            let operator = expression.operator.clone();
            let ask = match (operator.as_str(), values.is_empty()) {
                ("In", false) => Ask::In(values),
                ("NotIn", false) => Ask::NotIn(values),
                ("Exists", true) => Ask::Exists,
                ("DoesNotExist", true) => Ask::DoesNotExist,
                ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {
                    return Err(SelectorError::Values { index, operator });
                }
                _ => return Err(SelectorError::Operator { index, operator }),
            };
            requirements.insert((expression.key.clone(), ask));
        }
        Ok(Self { requirements })
    }

    /// The selector of one namespace, by the label that every namespace has.
    #[must_use]
    pub fn namespace(name: &str) -> Self {
        let key = NAMESPACE_NAME_LABEL.to_owned();
        let ask = Ask::In(BTreeSet::from([name.to_owned()]));
        Self {
            requirements: BTreeSet::from([(key, ask)]),
        }
    }

    /// Whether the labels meet every requirement.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements
            .iter()
            .all(|(key, ask)| ask.takes(labels.get(key).map(String::as_str)))
    }

    /// The selector of all that have these labels.
    #[must_use]
    pub fn of_labels(labels: &Labels) -> Self {
        let ask = |value: &String| Ask::In(BTreeSet::from([value.clone()]));
        Self {
            requirements: (labels.iter().map(|(key, value)| (key.clone(), ask(value)))).collect(),
        }
    }

    /// The same selector, which also demands that these keys are missing.
    #[must_use]
    pub fn without_keys(mut self, keys: &[&str]) -> Self {
        let absent = keys
            .iter()
            .map(|key| ((*key).to_owned(), Ask::DoesNotExist));
        self.requirements.extend(absent);
        self
    }

    /// The requirements that the labels do not meet: each key, and the requirement as kubectl
    /// writes it.
    pub fn unmet<'s>(&'s self, labels: &'s Labels) -> impl Iterator<Item = (&'s str, String)> {
        self.requirements
            .iter()
            .filter(|(key, ask)| !ask.takes(labels.get(key).map(String::as_str)))
            .map(|requirement| (requirement.0.as_str(), in_words(requirement)))
    }

    /// Whether it has no requirement.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The one value that any match must have of a key.
    #[must_use]
    pub fn fixed(&self, key: &str) -> Option<&str> {
        let mut pairs = self.fixed_pairs().filter(|(fixed, _)| *fixed == key);
        pairs.next_back().map(|(_, value)| value)
    }

    /// Each requirement that fixes a key to one value.
    #[must_use]
    pub fn fixed_pairs(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.requirements.iter().filter_map(|(key, ask)| match ask {
            Ask::In(values) if values.len() == 1 => Some((key.as_str(), values.first()?.as_str())),
            _ => None,
        })
    }

    /// The labels that any match must have, where the selector fixes them to one value.
    #[must_use]
    pub fn fixed_labels(&self) -> Labels {
        let pairs = self.fixed_pairs();
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// Label sets that it matches, one for each choice of values that it leaves (`In` of several):
    /// together they stand for all that it can tell apart. Every other key gets a value that no
    /// selector is likely to name, or is left out.
    #[must_use]
    pub fn examples(&self) -> Vec<Labels> {
        const MOST: usize = 64;
        let mut examples = vec![Labels::new()];
        let keys: BTreeSet<&String> = self.requirements.iter().map(|(key, _)| key).collect();
        for key in keys {
            let asks =
                || (self.requirements.iter()).filter_map(|(k, ask)| (k == key).then_some(ask));
            let fits = |value: Option<&str>| asks().all(|ask| ask.takes(value));
            let named: BTreeSet<&str> = asks()
                .filter_map(|ask| match ask {
                    Ask::In(values) => Some(values),
                    _ => None,
                })
                .flatten()
                .map(String::as_str)
                .filter(|value| fits(Some(value)))
                .collect();
            let values: Vec<&str> = if !named.is_empty() {
                named.into_iter().collect()
            } else if fits(Some(ANY_VALUE)) && !fits(None) {
                vec![ANY_VALUE]
            } else if fits(None) {
                continue;
            } else {
                return Vec::new();
            };
            examples = (examples.iter())
                .flat_map(|labels| {
                    values.iter().map(|value| {
                        let mut labels = labels.clone();
                        labels.insert(key.clone(), (*value).to_owned());
                        labels
                    })
                })
                .take(MOST)
                .collect();
        }
        examples
    }

    /// One set of labels that it matches, with as few labels as possible, which can be written in a
    /// manifest.
    #[must_use]
    pub fn example(&self) -> Option<Labels> {
        let mut labels = Labels::new();
        let mut previous: Option<&str> = None;
        for (key, _) in &self.requirements {
            if previous.replace(key) == Some(key.as_str()) {
                continue;
            }
            let left = self.values_of(key);
            if left.missing {
                continue;
            }
            let value = if left.all_but {
                unnamed_value(|value| left.values.contains(value))
            } else {
                (*left.values.first()?).to_owned()
            };
            labels.insert(key.clone(), value);
        }
        Some(labels)
    }

    /// The keys that it speaks of, each with the values that it names; one entry for each
    /// requirement.
    pub fn named_values(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.requirements.iter().map(|(key, ask)| {
            let values = match ask {
                Ask::In(values) | Ask::NotIn(values) => values.iter().map(String::as_str).collect(),
                Ask::Exists | Ask::DoesNotExist => Vec::new(),
            };
            (key.as_str(), values)
        })
    }

    /// The keys that it speaks of; one entry for each requirement.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().map(|(key, _)| key.as_str())
    }

    /// Whether both fix one key to different values, so that nothing matches both.
    #[must_use]
    pub fn differs_in_a_label(&self, other: &Self) -> bool {
        self.requirements.iter().any(|(key, ask)| match ask {
            Ask::In(values) if values.len() == 1 => {
                (other.fixed(key)).is_some_and(|value| !values.contains(value))
            }
            _ => false,
        })
    }

    /// The selector of what both match.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            requirements: self
                .requirements
                .union(&other.requirements)
                .cloned()
                .collect(),
        }
    }

    /// Whether everything that this one matches is matched by the other too.
    ///
    /// Exact, for pods as well as for namespaces: a namespace has its name, which only makes two
    /// selectors equal that [`Selector::of_namespaces`] has made equal already.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let all = other.requirements.iter().all(|(key, theirs)| {
            let alone = |(k, ours): &(String, Ask)| k == key && ours.is_within(theirs);
            self.requirements.iter().any(alone)
                || self.values_of(key).is_within(&KeyValues::of([theirs]))
        });
        all || !self.can_match()
    }

    /// Whether some set of labels meets every requirement.
    #[must_use]
    pub fn can_match(&self) -> bool {
        // One requirement can always be met, so only a key with several can be impossible.
        let mut previous: Option<&str> = None;
        self.requirements.iter().all(|(key, _)| {
            let seen = previous.replace(key) == Some(key.as_str());
            !seen || self.values_of(key).is_possible()
        })
    }

    /// Whether a label of this value, or its absence, meets all requirements on the key.
    #[must_use]
    pub fn takes(&self, key: &str, value: Option<&str>) -> bool {
        self.asks_of(key).all(|ask| ask.takes(value))
    }

    /// The requirements on a key, found in their order.
    fn asks_of<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'s Ask> {
        // Of all requirements on the key this one would be the first.
        let first = (key.to_owned(), Ask::In(BTreeSet::new()));
        let asks = self.requirements.range(first..);
        asks.take_while(move |(k, _)| k == key).map(|(_, ask)| ask)
    }

    /// What all requirements on a key leave of its values.
    fn values_of<'s>(&'s self, key: &'s str) -> KeyValues<'s> {
        KeyValues::of(self.asks_of(key))
    }

    /// The same selector where it is one of namespaces. Every namespace has the label of its name,
    /// so asking that it exists asks nothing.
    #[must_use]
    pub fn of_namespaces(mut self) -> Self {
        self.requirements
            .retain(|(key, ask)| key != NAMESPACE_NAME_LABEL || *ask != Ask::Exists);
        self
    }

    /// Whether some namespace can meet every requirement: none lacks the label of its name.
    #[must_use]
    pub fn can_match_namespace(&self) -> bool {
        let mut name = self.values_of(NAMESPACE_NAME_LABEL);
        name.missing = false;
        name.is_possible() && self.can_match()
    }
}

/// A value that a label can have and that is not named.
fn unnamed_value(is_named: impl Fn(&str) -> bool) -> String {
    let numbered = (0..).map(|number| format!("any-{number}"));
    let mut values = std::iter::once("any".to_owned()).chain(numbered);
    values.find(|value| !is_named(value)).unwrap_or_default()
}

/// The same labels for the selectors, with values that can be written in a manifest: a value that
/// stands for all others becomes one that no selector names.
#[must_use]
pub fn writable(mut labels: Labels, selectors: &[&Selector]) -> Labels {
    for (key, value) in &mut labels {
        if value == ANY_VALUE {
            let is_named = |text: &str| {
                let named = selectors.iter().flat_map(|s| s.named_values());
                let mut named = named
                    .filter(|(k, _)| k == key)
                    .flat_map(|(_, values)| values);
                named.any(|known| known == text)
            };
            *value = unnamed_value(is_named);
        }
    }
    labels
}

/// The values that a label may have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyValues<'s> {
    /// The values; with `all_but` the ones that it must not have.
    values: BTreeSet<&'s str>,
    all_but: bool,
    /// Whether the label may be missing.
    missing: bool,
}

impl<'s> KeyValues<'s> {
    /// What all of the requirements leave.
    fn of(asks: impl IntoIterator<Item = &'s Ask>) -> Self {
        let mut left = Self {
            values: BTreeSet::new(),
            all_but: true,
            missing: true,
        };
        for ask in asks {
            left.missing &= ask.takes(None);
            match ask {
                Ask::In(values) => left.keep(values),
                Ask::NotIn(values) if left.all_but => {
                    left.values.extend(values.iter().map(String::as_str));
                }
                Ask::NotIn(values) => left.values.retain(|value| !values.contains(*value)),
                Ask::DoesNotExist => {
                    left.values.clear();
                    left.all_but = false;
                }
                Ask::Exists => {}
            }
        }
        left
    }

    fn keep(&mut self, these: &'s BTreeSet<String>) {
        let known = std::mem::take(&mut self.values);
        let all_but = std::mem::replace(&mut self.all_but, false);
        let these = these.iter().map(String::as_str);
        self.values = these.filter(|v| known.contains(v) != all_but).collect();
    }

    fn is_possible(&self) -> bool {
        self.missing || self.all_but || !self.values.is_empty()
    }

    fn is_within(&self, other: &Self) -> bool {
        let values = match (self.all_but, other.all_but) {
            (false, false) => self.values.is_subset(&other.values),
            (false, true) => self.values.is_disjoint(&other.values),
            (true, true) => self.values.is_superset(&other.values),
            // There are values without end, and the other names some.
            (true, false) => false,
        };
        values && (other.missing || !self.missing)
    }
}

impl fmt::Display for Selector {
    /// As kubectl writes them: `app=web,tier in (a,b),!old`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.requirements.iter().map(in_words).collect();
        f.write_str(&words.join(","))
    }
}

/// One requirement as kubectl writes it.
fn in_words((key, ask): &(String, Ask)) -> String {
    let list = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
    match ask {
        Ask::In(values) if values.len() == 1 => format!("{key}={}", list(values)),
        Ask::In(values) => format!("{key} in ({})", list(values)),
        Ask::NotIn(values) => format!("{key} notin ({})", list(values)),
        Ask::Exists => key.clone(),
        Ask::DoesNotExist => format!("!{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(yaml: &str) -> Selector {
        Selector::read(Some(&serde_yaml::from_str(yaml).unwrap())).unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let own = |&(k, v): &(&str, &str)| (k.to_owned(), v.to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn not_in_takes_a_missing_key() {
        let s = selector("{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}");
        assert!(s.matches(&labels(&[])) && s.matches(&labels(&[("a", "y")])));
        assert!(!s.matches(&labels(&[("a", "x")])));
    }

    #[test]
    fn all_requirements_must_hold() {
        let s =
            selector("{matchLabels: {a: x}, matchExpressions: [{key: b, operator: DoesNotExist}]}");
        assert!(s.matches(&labels(&[("a", "x")])));
        assert!(!s.matches(&labels(&[("a", "x"), ("b", "")])));
        assert_eq!(s.to_string(), "a=x,!b");
    }

    #[test]
    fn narrower_is_within_wider() {
        let narrow = selector("{matchLabels: {a: x, b: y}}");
        let wide = selector("{matchExpressions: [{key: a, operator: In, values: [x, z]}]}");
        assert!(narrow.is_within(&wide) && !wide.is_within(&narrow));
        assert!(wide.is_within(&Selector::default()));
        assert!(narrow.is_within(&selector(
            "{matchExpressions: [{key: b, operator: Exists}]}"
        )));
    }

    #[test]
    fn examples_match_and_are_one_for_each_choice() {
        let s = selector(
            "{matchLabels: {a: x}, matchExpressions: [{key: b, operator: In, values: [y, z, w]}, \
             {key: b, operator: NotIn, values: [w]}, {key: c, operator: Exists}, \
             {key: d, operator: DoesNotExist}, {key: e, operator: NotIn, values: [v]}]}",
        );
        let examples = s.examples();
        assert_eq!(examples.len(), 2);
        assert!(examples.iter().all(|labels| s.matches(labels)));
        let never =
            selector("{matchLabels: {a: x}, matchExpressions: [{key: a, operator: DoesNotExist}]}");
        assert!(never.examples().is_empty());
        assert_eq!(Selector::default().examples(), [Labels::new()]);
    }

    #[test]
    fn what_the_api_server_refuses_is_refused() {
        for wrong in [
            "{matchExpressions: [{key: a, operator: in, values: [x]}]}",
            "{matchExpressions: [{key: a, operator: In}]}",
            "{matchExpressions: [{key: a, operator: Exists, values: [x]}]}",
        ] {
            assert!(Selector::read(Some(&serde_yaml::from_str(wrong).unwrap())).is_err());
        }
    }
}
