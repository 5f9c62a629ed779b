//! Properties of the reader for arbitrary bytes and for mutated inputs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::dialect_tests::failed_file;
use super::tests::{A, B, checked_input, rules};
use super::*;
use crate::domain::{Attribute, BypassUntil, Operation};
use crate::fuzz::{bytes, cases, spoilt};

/// Typical inputs, mutated.
fn inputs() -> impl Strategy<Value = Vec<u8>> {
    spoilt([
        format!("userID,bypassMFAEnabledUntil\n{A},2026-08-31\n{B},+4h\n"),
        format!("\u{feff}userID,until\r\n{A},2026-08-31T17:00:00Z\r\n{B},+4h"),
        format!("note;user_id;until\n\"a;\r\n\"\"b\"\"\";{A};+4h\n;{B};\n\n;;\n{A};+4h\n"),
        format!("USER-ID\tEnd Date\tteam\n {A} \t\u{a0}2026-08-31\tx\n\"{B}\"\t\"+4h\"\ty\n"),
        "email,until,result,errorMessage\nann@example.com,+4h,failed,no\n \"bob\" ,+1h,unknown,\"a\nb\"\n,,,\n".to_owned(),
        format!("userID,until\n{A},+4h\n{A},+5h\n{B},+4h\n{B},2026-02-27T14:20:30Z\n{A},+4h\nx,+4h\n"),
        format!("row,userID,result,note\n1,{A},granted,\u{e9}\n2,,not_found,\n3,{B},failed,\"\"\n"),
    ])
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let column = || prop::option::weighted(0.2, prop::sample::select(vec!["userID", "note", "until", "1", "2", "0", "9", ""]));
    let delimiter = prop::option::weighted(0.3, prop::sample::select(vec![b',', b';', b'\t', b'|', b'"', b' ']));
    let lookup_by = prop::option::weighted(0.2, prop::sample::select(&Attribute::ALL));
    (column(), column(), lookup_by, delimiter, prop::bool::weighted(0.2)).prop_map(|(user, until, lookup_by, delimiter, no_headers)| {
        Dialect { user_column: user.map(str::to_owned), until_column: until.map(str::to_owned), lookup_by, delimiter, no_headers }
    })
}

/// The rows that a checked input feeds into the pipeline.
fn fed(input: &ValidInput) -> Vec<Row> {
    let (send, mut receive) = mpsc::channel(10_000);
    feed(input, &Remaining::default(), &send).expect("the input has not changed");
    drop(send);
    std::iter::from_fn(|| receive.blocking_recv()).collect()
}

/// Fails unless every row is accounted for, in order, and the plan agrees with the work of the rows.
fn check(input: &ValidInput) -> Result<(), TestCaseError> {
    let plan = input.plan();
    if plan.lookups.rows > 0 {
        // These rows must be looked up first, so only their number is checked.
        let (mut rows, mut value, mut lookups) = (input.lookup_rows().expect("unchanged"), String::new(), 0);
        while rows.next_row(&mut value).expect("unchanged").is_some() {
            lookups += 1;
        }
        prop_assert_eq!(lookups, plan.lookups.rows);
        return Ok(());
    }
    let rows = fed(input);
    let numbers: Vec<u64> = rows.iter().map(|row| row.number.0).collect();
    prop_assert_eq!(numbers, (1..=plan.rows).collect::<Vec<_>>());
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut asked: BTreeMap<_, Vec<Option<BypassUntil>>> = BTreeMap::new();
    for row in &rows {
        prop_assert_eq!(row.carried.len(), input.layout.carried.len());
        let what = match &row.work {
            Work::Send(action) => {
                asked.entry(action.user()).or_default().push(action.until());
                "sent"
            }
            Work::Duplicate(action) => {
                prop_assert_eq!(asked.get(&action.user()), Some(&vec![action.until()]), "it repeats an earlier row");
                "duplicate"
            }
            Work::Invalid { .. } => "invalid",
            Work::Expired(..) | Work::Unresolved { .. } | Work::Untouched { .. } => "other",
        };
        *counts.entry(what).or_default() += 1;
    }
    prop_assert!(asked.values().all(|dates| dates.len() == 1), "no user is sent twice");
    let count = |what: &str| counts.get(what).copied().unwrap_or_default();
    prop_assert_eq!((count("sent"), count("duplicate"), count("other")), (plan.to_send, plan.duplicates, 0));
    prop_assert_eq!(count("invalid"), plan.invalid.values().sum::<u64>());
    let dates: Vec<_> = asked.values().flatten().flatten().copied().collect();
    let (first, last) = (dates.iter().min().copied(), dates.iter().max().copied());
    let planned = plan.dates.span();
    prop_assert!(first.is_none_or(|first| planned.is_some_and(|(from, _)| from <= first)));
    prop_assert!(last.is_none_or(|last| planned.is_some_and(|(_, to)| to >= last)));
    Ok(())
}

/// All rows as if they had failed.
fn rewritten(input: &ValidInput) -> Vec<u8> {
    failed_file(input, &(1..=input.rows()).map(|row| (row, "why; not, known\t")).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_bytes_are_refused_or_every_row_is_accounted_for(text in bytes(), dialect in dialects(), is_grant in any::<bool>()) {
        let operation = if is_grant { Operation::Grant } else { Operation::Audit };
        if let Ok(input) = checked_input(&text, rules(operation), &dialect, true) {
            check(&input)?;
        }
    }

    #[test]
    fn a_spoilt_input_is_refused_or_every_row_is_accounted_for(
        text in inputs(),
        dialect in dialects(),
        is_grant in any::<bool>(),
        goes_on in any::<bool>(),
    ) {
        let operation = if is_grant { Operation::Grant } else { Operation::Audit };
        if let Ok(input) = checked_input(&text, rules(operation), &dialect, goes_on) {
            check(&input)?;
            let invalid: u64 = input.plan().invalid.values().sum();
            prop_assert!(goes_on || invalid == 0);
        }
    }

    /// Failed rows are written as an input that means the same as the original one.
    #[test]
    fn rows_that_are_written_again_mean_the_same(text in inputs()) {
        let before = checked_input(&text, rules(Operation::Grant), &Dialect::default(), true);
        // A row that is invalid only in one of the result columns becomes valid by being written without it.
        let is_of_failures = |input: &ValidInput| input.layout.names.ends_with(&FAILED_COLUMNS.map(str::to_owned));
        if let Ok(before) = before
            && before.plan().lookups.rows == 0
            && (before.plan().invalid.is_empty() || !is_of_failures(&before))
        {
            let written = rewritten(&before);
            let after = match checked_input(&written, rules(Operation::Grant), &Dialect::default(), true) {
                Ok(after) => after,
                Err(why) => return Err(TestCaseError::fail(format!("{why}: {}", String::from_utf8_lossy(&written)))),
            };
            let requests = |input: &ValidInput| -> Vec<_> {
                fed(input)
                    .iter()
                    .map(|row| match &row.work {
                        Work::Send(action) | Work::Duplicate(action) | Work::Expired(action, _) => Some((action.user(), action.until())),
                        Work::Unresolved { .. } | Work::Untouched { .. } | Work::Invalid { .. } => None,
                    })
                    .collect()
            };
            prop_assert_eq!(requests(&before), requests(&after));
        }
    }
}
