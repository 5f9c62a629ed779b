//! A set of row numbers.

/// A set of row numbers: one bit for each.
#[derive(Debug, Default)]
pub(crate) struct RowSet(Vec<u64>);

impl RowSet {
    fn place(row: u64) -> (usize, u64) {
        (usize::try_from(row / 64).expect("rows of a file are addressable"), 1 << (row % 64))
    }

    pub(crate) fn insert(&mut self, row: u64) {
        let (word, bit) = Self::place(row);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub(crate) fn contains(&self, row: u64) -> bool {
        let (word, bit) = Self::place(row);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}
