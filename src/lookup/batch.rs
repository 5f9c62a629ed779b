//! Batches of values that one request looks up: the rows' values in order, as many as fit its URL.

use std::collections::HashMap;
use std::io;

use crate::domain::{Attribute, RowNumber};
use crate::input::{LookupRows, ResolvedUsers};
use crate::pingone::encoded_len;

/// The operator between two terms of a filter.
const OR: &str = " or ";
/// The most values in a request: a page holds twice as many users, so that one page is enough.
const MOST_VALUES: usize = 100;
/// The most rows in a request, however often a value is repeated in the input.
const MOST_ROWS: usize = 10_000;

/// The filter that selects the users with one of these values. Values are quoted and escaped, so none can break out.
pub(super) fn filter(by: Attribute, values: &[&str]) -> String {
    values.iter().map(|value| term(by, value)).collect::<Vec<_>>().join(OR)
}

fn term(by: Attribute, value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{} eq \"{escaped}\"", by.name())
}

/// Values that are looked up together, and their rows.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Each value once.
    pub(super) values: Vec<String>,
    /// The rows, with the index of their value.
    pub(super) rows: Vec<(RowNumber, usize)>,
    places: HashMap<String, usize>,
    /// The filter's length in a URL.
    len: usize,
}

impl Batch {
    /// Adds a row if its value fits; the first always does.
    fn takes(&mut self, row: RowNumber, value: &str, by: Attribute, room: usize) -> bool {
        if self.rows.len() == MOST_ROWS {
            return false;
        }
        if let Some(place) = self.places.get(value) {
            self.rows.push((row, *place));
            return true;
        }
        let or = if self.values.is_empty() { 0 } else { encoded_len(OR) };
        let len = self.len + or + encoded_len(&term(by, value));
        let is_full = len > room || self.values.len() == MOST_VALUES;
        if is_full && !self.values.is_empty() {
            return false;
        }
        self.len = len;
        self.places.insert(value.to_owned(), self.values.len());
        self.rows.push((row, self.values.len()));
        self.values.push(value.to_owned());
        true
    }
}

/// All batches of the `rows`. Those that are resolved in `resolved` already are skipped.
pub(super) fn batches<'a>(
    mut rows: LookupRows<'a>,
    by: Attribute,
    room: usize,
    resolved: Option<&'a ResolvedUsers>,
) -> impl Iterator<Item = io::Result<Batch>> + 'a {
    let mut value = String::new();
    // A row that did not fit the previous batch.
    let mut left = None;
    let mut next_batch = move || {
        let mut batch = Batch::default();
        loop {
            let row = match left.take() {
                Some(row) => Some(row),
                None => next_row(&mut rows, &mut value, resolved)?,
            };
            match row {
                Some(row) if batch.takes(row, &value, by, room) => {}
                row => {
                    left = row;
                    return Ok((!batch.rows.is_empty()).then_some(batch));
                }
            }
        }
    };
    std::iter::from_fn(move || next_batch().transpose())
}

/// The next row to look up; its value is written to `value`.
fn next_row(rows: &mut LookupRows<'_>, value: &mut String, resolved: Option<&ResolvedUsers>) -> io::Result<Option<RowNumber>> {
    while let Some(row) = rows.next_row(value)? {
        if resolved.map_or(Ok(None), |resolved| resolved.of(row))?.is_none() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_value_breaks_out_of_its_quotes() {
        let filter = filter(Attribute::Email, &[r#"a" or email sw ""#, r"b\"]);
        assert_eq!(filter, r#"email eq "a\" or email sw \"" or email eq "b\\""#);
    }

    /// The batches of `values`, with this `room` in each.
    fn batches(values: &[String], room: usize) -> Vec<Batch> {
        let mut batches = vec![Batch::default()];
        for (index, value) in values.iter().enumerate() {
            let row = RowNumber(index as u64 + 1);
            if !batches.last_mut().expect("one").takes(row, value, Attribute::Username, room) {
                let mut next = Batch::default();
                assert!(next.takes(row, value, Attribute::Username, room));
                batches.push(next);
            }
        }
        batches
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_batch_and_each_batch_fits(values in prop::collection::vec("[a-c\"\\\\ é😀]{1,3}", 1..300), room in 1_usize..900) {
            let batches = batches(&values, room);
            let rows: Vec<_> = batches.iter().flat_map(|batch| batch.rows.iter().map(|(row, place)| (row.0, batch.values[*place].clone()))).collect();
            let expected: Vec<_> = (1..).zip(values).collect();
            prop_assert_eq!(rows, expected);
            for batch in &batches {
                let values: Vec<&str> = batch.values.iter().map(String::as_str).collect();
                let len = encoded_len(&filter(Attribute::Username, &values));
                prop_assert!(len == batch.len && (len <= room || values.len() == 1), "{} of {}", len, room);
                prop_assert!(values.len() <= MOST_VALUES);
            }
        }
    }
}
