//! Reading a checked input again: by other rules, with resolved users, and row by row.

use super::tests::{A, B, checked_input, rules};
use super::*;
use crate::domain::{Action, Detail, Operation, Resolution};

fn checked(text: &str, operation: Operation, dialect: &Dialect) -> ValidInput {
    checked_input(text.as_bytes(), rules(operation), dialect, true).expect("valid")
}

/// The rows that are fed, as `number work user date`.
fn fed(input: &ValidInput, remaining: &Remaining) -> Vec<String> {
    let (send, mut receive) = mpsc::channel(READ_TOGETHER);
    feed(input, remaining, &send).expect("unchanged");
    drop(send);
    let of = |action: &Action| format!("{} {}", action.user(), action.until().map(|until| until.to_string()).unwrap_or_default());
    let shown = |row: Row| {
        let task = match &row.work {
            Work::Send(action) => format!("send {}", of(action)),
            Work::Duplicate(action) => format!("duplicate {}", of(action)),
            Work::Expired(action, outcome) => format!("passed {} {outcome}", of(action)),
            Work::Unresolved { outcome, detail, .. } => format!("unresolved {outcome} {}", detail.message),
            Work::Untouched { result, .. } => format!("untouched {result}"),
            Work::Invalid { why, .. } => format!("invalid {}", why.rsplit(": ").next().unwrap_or_default()),
        };
        format!("{}{} {}", row.number.0, if row.in_doubt { "?" } else { "" }, task.trim_end())
    };
    std::iter::from_fn(|| receive.blocking_recv()).map(shown).collect()
}

#[test]
fn by_the_rules_of_another_start_spans_count_from_that() {
    let input = checked(&format!("userID,until\n{A},+4h\n{B},2026-03-01\n"), Operation::Grant, &Dialect::default());
    let earlier = Rules { start: "2026-02-01T00:00:00Z".parse().expect("an instant"), ..rules(Operation::Grant) };
    let again = input.with_rules(earlier).expect("valid");
    let expected = [format!("1 send {A} 2026-02-01T04:00:00.000Z"), format!("2 send {B} 2026-03-01T00:00:00.000Z")];
    assert_eq!(fed(&again, &Remaining::default()), expected);
    let (first, last) = again.plan().dates.span().expect("dates");
    assert_eq!((first.to_string(), last.to_string()), ("2026-02-01T04:00:00.000Z".to_owned(), "2026-03-01T00:00:00.000Z".to_owned()));
    let strict = input_of_two().with_rules(Rules { start: "2026-03-02T00:00:00Z".parse().expect("an instant"), ..rules(Operation::Grant) });
    let message = strict.expect_err("the date has passed").to_string();
    assert!(message.contains(": 1 of 2 rows is invalid; nothing was sent\n") && message.contains(":3: column `until`"), "{message}");
}

fn input_of_two() -> ValidInput {
    let text = format!("userID,until\n{A},+4h\n{B},2026-03-01\n");
    checked_input(text.as_bytes(), rules(Operation::Grant), &Dialect::default(), false).expect("valid")
}

#[test]
fn settled_rows_are_not_fed_again_and_only_what_is_sent_is_in_doubt() {
    let text = "email,until\na@x,+4h\nb@x,+4h\nc@x,+4h\nd@x,+4h\n";
    for (operation, until) in [(Operation::Grant, " 2026-02-27T14:20:30.000Z"), (Operation::Audit, "")] {
        let input = checked_input(text.as_bytes(), rules(operation), &Dialect::default(), false).expect("valid");
        let resolved = ResolvedUsers::new(&std::env::temp_dir(), input.rows()).expect("a file");
        let unresolved = Resolution::Unresolved(Outcome::NotFound, Box::new(Detail::own(None, "no such email".to_owned())));
        for row in 1..=4 {
            let user = Resolution::User(uuid::Uuid::from_u128(row.into()).into());
            resolved.set(RowNumber(row), if row == 3 { &user } else { &unresolved }).expect("written");
        }
        let input = input.with_users(resolved).expect("valid");
        let mut remaining = Remaining { in_doubt_up_to: 3, ..Remaining::default() };
        remaining.settled.insert(1);
        let expected = [
            "2? unresolved not_found no such email".to_owned(),
            format!("3? send 00000000-0000-0000-0000-000000000003{until}"),
            "4 unresolved not_found no such email".to_owned(),
        ];
        assert_eq!(fed(&input, &remaining), expected, "{operation:?}");
    }
}

#[test]
fn when_users_are_known_rows_may_contradict_each_other() {
    let input =
        checked_input(b"email,until\na@x,+4h\nb@x,+5h\nc@x,+5h\n", rules(Operation::Grant), &Dialect::default(), false).expect("valid");
    let resolved = ResolvedUsers::new(&std::env::temp_dir(), input.rows()).expect("a file");
    for (row, user) in [(1, A), (2, A), (3, B)] {
        resolved.set(RowNumber(row), &Resolution::User(user.parse().expect("a UUID"))).expect("written");
    }
    let message = input.with_users(resolved).expect_err("one user, two dates").to_string();
    assert!(message.contains(": 2 of 3 rows are invalid; nothing was changed by this command\n"), "{message}");
    assert!(
        message.contains(&format!(":2: column `until`: the user {A} has the end date `+4h` (`2026-02-27T14:20:30.000Z`) here")),
        "{message}"
    );
}

/// The header of the file of failed rows, and these rows in it.
fn original(text: &str, dialect: &Dialect, numbers: &[u64]) -> Vec<String> {
    let input = checked(text, Operation::Grant, dialect);
    let mut rows = input.original_rows().expect("unchanged");
    let joined = |record: ByteRecord| record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join("|");
    let header = rows.header().map_or("none".to_owned(), joined);
    let row = |number: &u64| joined(rows.row(*number, &ByteRecord::new()).expect("there is one"));
    std::iter::once(header).chain(numbers.iter().map(row)).collect()
}

#[test]
fn the_rows_that_failed_stand_as_they_were_whatever_their_form() {
    let named = |user: &str, until: Option<&str>| Dialect {
        user_column: Some(user.to_owned()),
        until_column: until.map(str::to_owned),
        ..Dialect::default()
    };
    let text = format!("userID,until,note\r\n{A},+1h,a\r\n{B},+1h\r\n{B},+1h,c,d\r\n\"\",+1h,\"e\r\n\"\r\n");
    assert_eq!(
        original(&text, &Dialect::default(), &[1, 2, 3, 4]),
        ["userID|until|note".to_owned(), format!("{A}|+1h|a"), format!("{B}|+1h"), format!("{B}|+1h|c|d"), "|+1h|e\r\n".to_owned()]
    );
    assert_eq!(original(&text, &Dialect::default(), &[1, 3])[2], format!("{B}|+1h|c|d"), "those between are passed over");
    // The result columns of a file of failed rows are not the input's own, unless it uses them.
    let failed = format!("userID,until,result,errorMessage\n{A},+1h,{B},+2h\n");
    assert_eq!(original(&failed, &Dialect::default(), &[1]), ["userID|until".to_owned(), format!("{A}|+1h")]);
    for dialect in [named("result", None), named("userID", Some("errorMessage")), named("errorMessage", Some("until"))] {
        let kept = original(&failed, &dialect, &[1]);
        assert_eq!(kept, ["userID|until|result|errorMessage".to_owned(), format!("{A}|+1h|{B}|+2h")], "{dialect:?}");
    }
    let others = format!("userID,until,errorMessage,result\n{A},+1h,x,y\n");
    assert_eq!(original(&others, &Dialect::default(), &[1])[0], "userID|until|errorMessage|result");
    let bare = Dialect { no_headers: true, ..Dialect::default() };
    let swapped = Dialect { user_column: Some("3".to_owned()), until_column: Some("1".to_owned()), ..bare };
    let text = format!("+1h,x,{A}\n");
    assert_eq!(original(&text, &swapped, &[1]), ["none".to_owned(), format!("+1h|x|{A}")]);
}
