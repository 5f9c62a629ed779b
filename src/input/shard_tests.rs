//! The shards of an input: together they do its rows as one process would, and each plans what it does.

use proptest::prelude::*;

use super::tests::{checked_input, rules};
use super::*;
use crate::domain::{Operation, Shard};
use crate::fuzz::cases;

/// The plan of a shard, and its rows as they are sent: the number, and the work in words.
fn done_by(text: &str, shard: Shard) -> (Plan, Vec<(u64, String)>) {
    let rules = Rules { shard, ..rules(Operation::Grant) };
    let input = checked_input(text.as_bytes(), rules, &Dialect::default(), true).expect("bad rows are skipped");
    let (send, mut receive) = mpsc::channel(10_000);
    feed(&input, &Remaining::default(), &send).expect("unchanged");
    drop(send);
    let rows: Vec<Row> = std::iter::from_fn(|| receive.blocking_recv()).collect();
    assert_eq!(rows.len() as u64, input.own_rows());
    let requests = rows.iter().filter(|row| matches!(row.work, Work::Send(_))).count() as u64;
    assert_eq!((input.plan().to_send, input.plan().own_rows), (requests, input.own_rows()), "the plan is what is done: {text}");
    // The name of the input's temporary file is in the reason why a row is invalid.
    let work = |work: &Work| match work {
        Work::Invalid { user, why } => format!("invalid {user} {}", why.split_once(".tmp").map_or("", |(_, after)| after).len()),
        other @ (Work::Send(_) | Work::Duplicate(_) | Work::Expired(..) | Work::Unresolved { .. } | Work::Untouched { .. }) => {
            format!("{other:?}")
        }
    };
    (input.plan().clone(), rows.iter().map(|row| (row.number.0, work(&row.work))).collect())
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn together_they_do_the_rows_that_one_process_does(
        rows in prop::collection::vec((0..8_u8, prop::sample::select(vec!["+4h", "+4h", "+5h", "soon"])), 1..40),
        count in 1..10_u64,
    ) {
        let user = |user: u8| if user == 0 { "nobody".to_owned() } else { uuid::Uuid::from_u128(user.into()).to_string() };
        let lines: String = rows.iter().map(|(index, until)| format!("{},{until}\n", user(*index))).collect();
        let text = format!("userID,until\n{lines}");
        let (whole, expected) = done_by(&text, Shard::default());
        let shards = (0..count).map(|index| done_by(&text, format!("{index}/{count}").parse().expect("a shard")));
        let (plans, parts): (Vec<Plan>, Vec<_>) = shards.unzip();
        let mut together = parts.concat();
        together.sort();
        prop_assert_eq!(together, expected);
        prop_assert_eq!(plans.iter().map(|plan| plan.to_send).sum::<u64>(), whole.to_send);
        for plan in &plans {
            prop_assert_eq!((plan.rows, plan.duplicates, &plan.invalid, plan.dates), (whole.rows, whole.duplicates, &whole.invalid, whole.dates));
        }
    }
}
