//! Sets of small numbers, such as the places of selectors in a list, one bit for each.

/// A set of numbers below a length that is fixed when it is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits {
    words: Vec<u64>,
}

const WIDTH: usize = 64;

impl Bits {
    /// No number of those below `length`.
    #[must_use]
    pub fn none(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(WIDTH)],
        }
    }

    /// Every number below `length`.
    #[must_use]
    pub fn all(length: usize) -> Self {
        let mut bits = Self::none(length);
        for number in 0..length {
            bits.set(number, true);
        }
        bits
    }

    /// Puts a number in, or takes it out.
    pub fn set(&mut self, number: usize, is_in: bool) {
        if let Some(word) = self.words.get_mut(number / WIDTH) {
            let bit = 1 << (number % WIDTH);
            if is_in {
                *word |= bit;
            } else {
                *word &= !bit;
            }
        }
    }

    /// Whether the number is in it.
    #[must_use]
    pub fn contains(&self, number: usize) -> bool {
        let word = self.words.get(number / WIDTH).copied().unwrap_or(0);
        word & (1 << (number % WIDTH)) != 0
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                Some(i * WIDTH + bit)
            })
        })
    }

    /// How many numbers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether there is no number in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether a number is in both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Whether all of it is in the other.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.words
            .iter()
            .zip(&other.words)
            .all(|(a, b)| a & !b == 0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.combined(other, |a, b| a & b)
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.combined(other, |a, b| a | b)
    }

    /// What is in this one and not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.combined(other, |a, b| a & !b)
    }

    fn combined(&self, other: &Self, of: impl Fn(u64, u64) -> u64) -> Self {
        let words = self.words.iter().zip(&other.words);
        Self {
            words: words.map(|(a, b)| of(*a, *b)).collect(),
        }
    }
}

impl Bits {
    /// The set of these numbers.
    #[must_use]
    pub fn of(length: usize, numbers: impl IntoIterator<Item = usize>) -> Self {
        let mut bits = Self::none(length);
        for number in numbers {
            bits.set(number, true);
        }
        bits
    }
}
