//! Sets of numbers as sorted, disjoint, non-touching closed intervals.
//!
//! Ports and addresses are both kept this way, so that "everything except …" is exact and two equal
//! sets are equal values. Nothing here knows what the numbers mean.

use std::collections::{BTreeMap, BTreeSet};

/// A number that has neighbours: what an interval is made of.
pub trait Step: Copy + Ord {
    /// The smallest number.
    const LOWEST: Self;
    /// The greatest number.
    const HIGHEST: Self;
    /// The next number, if there is one.
    fn next(self) -> Option<Self>;
    /// The number before, if there is one.
    fn previous(self) -> Option<Self>;
}

macro_rules! step {
    ($($t:ty),*) => {$(
        impl Step for $t {
            const LOWEST: Self = <$t>::MIN;
            const HIGHEST: Self = <$t>::MAX;
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
        }
    )*};
}
step!(u16, u32, u128);

/// A set of numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Intervals<T> {
    spans: Vec<(T, T)>,
}

impl<T> Default for Intervals<T> {
    fn default() -> Self {
        Self { spans: Vec::new() }
    }
}

impl<T: Step> Intervals<T> {
    /// Every number.
    #[must_use]
    pub fn all() -> Self {
        Self::span(T::LOWEST, T::HIGHEST)
    }

    /// The numbers from `low` to `high`, both included; none if `high` is below `low`.
    #[must_use]
    pub fn span(low: T, high: T) -> Self {
        Self {
            spans: if low <= high {
                vec![(low, high)]
            } else {
                Vec::new()
            },
        }
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The intervals, in order.
    #[must_use]
    pub fn spans(&self) -> impl ExactSizeIterator<Item = (T, T)> + DoubleEndedIterator {
        self.spans.iter().copied()
    }

    /// Whether the number is in the set.
    #[must_use]
    pub fn contains(&self, number: T) -> bool {
        let after = self.spans.partition_point(|&(low, _)| low <= number);
        after
            .checked_sub(1)
            .and_then(|i| self.spans.get(i))
            .is_some_and(|&(_, high)| number <= high)
    }

    /// What is in any of them.
    #[must_use]
    pub fn union_of<'s>(sets: impl IntoIterator<Item = &'s Self>) -> Self
    where
        T: 's,
    {
        let mut spans: Vec<(T, T)> = Vec::new();
        for set in sets {
            spans.extend(&set.spans);
        }
        spans.sort_unstable();
        let mut joined: Vec<(T, T)> = Vec::with_capacity(spans.len());
        for (low, high) in spans {
            match joined.last_mut() {
                // Touching counts as one: 1-5 and 6-9 are 1-9.
                Some(last) if last.1.next().is_none_or(|next| low <= next) => {
                    last.1 = last.1.max(high);
                }
                _ => joined.push((low, high)),
            }
        }
        Self { spans: joined }
    }

    /// Which numbers are in just the same of the sets, by the indices of these sets; those in none
    /// are left out. One sort, however many sets there are.
    #[must_use]
    pub fn overlay(sets: &[&Self]) -> BTreeMap<Vec<usize>, Self> {
        let mut events: Vec<(T, usize)> = Vec::new();
        for (i, set) in sets.iter().enumerate() {
            for &(low, high) in &set.spans {
                events.push((low, i));
                events.extend(high.next().map(|behind| (behind, i)));
            }
        }
        events.sort_unstable();
        let mut overlay: BTreeMap<Vec<usize>, Self> = BTreeMap::new();
        let mut inside: BTreeSet<usize> = BTreeSet::new();
        let mut events = events.into_iter().peekable();
        while let Some((at, i)) = events.next() {
            // The spans of one set do not touch: whatever begins here did not end here.
            if !inside.remove(&i) {
                inside.insert(i);
            }
            let next = events.peek().map(|(next, _)| *next);
            if next == Some(at) || inside.is_empty() {
                continue;
            }
            let high = next.and_then(Step::previous).unwrap_or(T::HIGHEST);
            let these = overlay.entry(inside.iter().copied().collect());
            these.or_default().spans.push((at, high));
        }
        overlay
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::union_of([self, other])
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut spans = Vec::new();
        let (mut left, mut right) = (self.spans.iter(), other.spans.iter());
        let (mut a, mut b) = (left.next(), right.next());
        while let (Some(&(a_low, a_high)), Some(&(b_low, b_high))) = (a, b) {
            let (low, high) = (a_low.max(b_low), a_high.min(b_high));
            if low <= high {
                spans.push((low, high));
            }
            if a_high < b_high {
                a = left.next();
            } else {
                b = right.next();
            }
        }
        Self { spans }
    }

    /// What is in none of it.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut spans = Vec::with_capacity(self.spans.len() + 1);
        let mut from = Some(T::LOWEST);
        for &(low, high) in &self.spans {
            if let (Some(start), Some(end)) = (from, low.previous())
                && start <= end
            {
                spans.push((start, end));
            }
            from = high.next();
        }
        if let Some(start) = from {
            spans.push((start, T::HIGHEST));
        }
        Self { spans }
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(spans: &[(u16, u16)]) -> Intervals<u16> {
        spans.iter().fold(Intervals::default(), |all, &(a, b)| {
            all.union(&Intervals::span(a, b))
        })
    }

    #[test]
    fn touching_spans_are_one() {
        assert_eq!(set(&[(6, 9), (1, 5)]), set(&[(1, 9)]));
        assert_eq!(set(&[(u16::MAX, u16::MAX), (0, 1)]).spans().len(), 2);
    }

    #[test]
    fn an_overlay_parts_what_the_sets_part() {
        let sets = [
            set(&[(0, 9), (20, 29)]),
            set(&[(5, 24)]),
            set(&[]),
            set(&[(20, 22), (40, u16::MAX)]),
        ];
        let overlay = Intervals::overlay(&sets.iter().collect::<Vec<_>>());
        let expected = [
            (vec![0], set(&[(0, 4), (25, 29)])),
            (vec![0, 1], set(&[(5, 9), (23, 24)])),
            (vec![0, 1, 3], set(&[(20, 22)])),
            (vec![1], set(&[(10, 19)])),
            (vec![3], set(&[(40, u16::MAX)])),
        ];
        assert_eq!(overlay, expected.into_iter().collect());
    }

    #[test]
    fn complement_is_exact_at_both_ends() {
        assert_eq!(Intervals::<u16>::all().complement(), Intervals::default());
        assert_eq!(Intervals::<u16>::default().complement(), Intervals::all());
        assert_eq!(
            set(&[(0, 0), (5, 6), (u16::MAX, u16::MAX)]).complement(),
            set(&[(1, 4), (7, u16::MAX - 1)])
        );
    }

    #[test]
    fn difference_cuts_holes() {
        let holes = set(&[(1, 100)]).difference(&set(&[(10, 20), (30, 30), (90, 200)]));
        assert_eq!(holes, set(&[(1, 9), (21, 29), (31, 89)]));
        assert!(holes.contains(29) && !holes.contains(30) && !holes.contains(0));
    }
}
