//! A set of numbers.

/// A set of numbers: one bit for each up to the greatest.
#[derive(Debug, Default)]
pub(crate) struct BitSet(Vec<u64>);

impl BitSet {
    fn place(number: u64) -> (usize, u64) {
        (usize::try_from(number / 64).expect("what is numbered is addressable"), 1 << (number % 64))
    }

    pub(crate) fn insert(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}
