//! How an input's format is detected: the role of each column, what is looked up, and the error messages.

use std::time::Duration;

use super::tests::{A, B, checked_input, rules};
use super::*;
use crate::domain::{Attribute, Operation};

fn dialect() -> Dialect {
    Dialect::default()
}

/// An input with this `text`.
fn opened(text: &str) -> Source {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    Source::open(file.path()).expect("readable")
}

/// The layout as `user column, lookup, end dates, carried columns, superseded columns`.
fn layout(header: &str, operation: Operation, dialect: &Dialect, has_until: bool) -> String {
    let source = opened(&format!("{header}\nx,y\n"));
    match Layout::of(&source, operation, dialect, has_until) {
        Ok(layout) => {
            let lookup = layout.lookup.as_ref().map_or("-", |lookup| lookup.by.name());
            let until = layout.until.as_ref().map_or("-", |until| until.name.as_str());
            let carried: Vec<_> = layout.carried_names().collect();
            format!("{} {lookup} {until} {} {}", layout.user.name, carried.join("+"), layout.superseded.join("+"))
        }
        Err(error) => {
            let text = error.to_string();
            let parts: Vec<_> = text.rsplit(": ").collect();
            if parts[0].starts_with("the columns are") { parts[1] } else { parts[0] }.to_owned()
        }
    }
}

#[test]
fn each_column_has_its_part() {
    use Operation::{Audit, Grant};
    const REPORT: &str = "row,userID,result,canBypassMFA,bypassMFAEnabledUntil,requestedUntil,httpStatus,errorCode,errorMessage,errorId,\
                          attempts,durationMs,completedAt";
    let user = |name: &str| Dialect { user_column: Some(name.to_owned()), ..Dialect::default() };
    let until = |name: &str| Dialect { until_column: Some(name.to_owned()), ..Dialect::default() };
    let bare = Dialect { no_headers: true, ..Dialect::default() };
    for (header, operation, dialect, has_until, expected) in [
        ("userID,until,note", Grant, dialect(), false, "userID - until note "),
        ("userID,until,note", Audit, dialect(), false, "userID - - until+note "),
        ("userID,note,Result", Audit, dialect(), false, "userID - - note Result"),
        // Next to user IDs, an attribute is a column like any other.
        ("email,userID", Audit, dialect(), false, "userID - - email "),
        ("note,email", Audit, dialect(), false, "email email - note+email "),
        ("E-mail,External ID,User Name", Audit, dialect(), false, "User Name username - E-mail+External ID+User Name "),
        ("who,e_mail", Audit, user("Email"), false, "e_mail email - who+e_mail "),
        ("who,id", Audit, user("who"), false, "who - - id "),
        // `--until` can be combined with a column of end dates.
        ("userID,note", Grant, dialect(), true, "userID - - note "),
        ("userID,until", Grant, dialect(), true, "userID - until  "),
        ("userID,note", Grant, until("note"), true, "userID - note  "),
        ("userID,until", Grant, until("date"), true, "there is no column `date`"),
        ("userID,note", Grant, dialect(), false, "there is no column `bypassMFAEnabledUntil`"),
        // Without a header, the first column is the user's, and the second the end date.
        ("u,+4h,x", Grant, bare.clone(), false, "column1 - column2 column3 "),
        ("u,+4h,x", Audit, bare.clone(), false, "column1 - - column2+column3 "),
        ("u", Grant, bare.clone(), true, "column1 - -  "),
    ] {
        assert_eq!(layout(header, operation, &dialect, has_until), expected, "{header} {operation:?} {dialect:?} {has_until}");
    }
    let by = |column: Option<&str>, lookup_by| Dialect { user_column: column.map(str::to_owned), lookup_by, ..Dialect::default() };
    let (email, external) = (Some(Attribute::Email), Some(Attribute::ExternalId));
    for (header, dialect, expected) in [
        ("Email Address,note", by(Some("Email Address"), email), "Email Address email - Email Address+note "),
        ("who,e_mail", by(Some("email"), email), "e_mail email - who+e_mail "),
        ("username,email", by(None, email), "email email - username+email "),
        ("note,ID", by(None, external), "ID externalId - note+ID "),
        // The report has a column of this name: the values are carried under that of the attribute.
        ("userID,note", by(None, email), "userID email - email+note "),
        ("userID,email", by(Some("userID"), email), "userID email - userID as given+email "),
        (
            "who,username",
            by(Some("username"), email),
            "its values are to be looked up as `email`, as `--lookup-by` says, and its name says another",
        ),
        (
            "userID,email",
            by(None, email),
            "there are two columns of users, `userID` and `email`, and `--lookup-by` does not say which is meant",
        ),
        ("who,note", by(None, email), "there is no column `email`"),
        ("u,note", Dialect { no_headers: true, ..by(Some("1"), email) }, "column1 email - column1+column2 "),
    ] {
        assert_eq!(layout(header, Audit, &dialect, false), expected, "{header} {dialect:?}");
    }
    // In the report of an input of emails, users that were not found are looked up again.
    let report = format!("{REPORT},email,team");
    assert!(layout(&report, Audit, &dialect(), false).starts_with("userID email - email+team row+result+canBypassMFA"));
    let twice = format!("{REPORT},email,Email");
    assert!(layout(&twice, Audit, &dialect(), false).starts_with("userID - - email+Email row+result"));
    for (header, is_of_a_report) in [(REPORT, true), (report.as_str(), true), (&REPORT[4..], false)] {
        let layout = Layout::of(&opened(&format!("{header}\nx\n")), Audit, &dialect(), false).expect("a header");
        assert_eq!(layout.is_of_a_report(), is_of_a_report, "{header}");
    }
}

/// The lookup values and their rows.
fn lookup_value(text: &str) -> Vec<(u64, String)> {
    let input = checked_input(text.as_bytes(), rules(Operation::Audit), &dialect(), true).expect("valid");
    let (mut rows, mut value, mut found) = (input.lookup_rows().expect("unchanged"), String::new(), Vec::new());
    while let Some(row) = rows.next_row(&mut value).expect("unchanged") {
        found.push((row.0, value.clone()));
    }
    assert_eq!(found.len() as u64, input.plan().lookups.rows);
    found
}

#[test]
fn lookup_values_are_read_as_the_input_has_them() {
    let is = |expected: &[(u64, &str)]| expected.iter().map(|(row, value)| (*row, (*value).to_owned())).collect::<Vec<_>>();
    let text = "username,note\n ann ,x\n \"bob\" ,x\n\"\"\"Big\"\" Bill\",x\n,no name\n\"c\u{7}d\",bell\n";
    assert_eq!(lookup_value(text), is(&[(1, "ann"), (2, "bob"), (3, "\"Big\" Bill")]));
    let (most, more) = ("é".repeat(256), "é".repeat(257));
    assert_eq!(lookup_value(&format!("username\nx\n{most}\n{more}\n")), is(&[(1, "x"), (2, &most)]));
    // In a report, users with an ID are not looked up.
    let header = crate::report::COLUMNS.join(",");
    let line = |user: &str, email: &str| format!("1,{user},failed,,,,,,,,,,1,0,t,{email}\n");
    let report = format!("{header},email\n{}{}{}", line(A, "a@x"), line("", "b@x"), line("nobody", "c@x"));
    assert_eq!(lookup_value(&report), is(&[(2, "b@x")]));
}

#[test]
fn a_value_that_cannot_be_looked_up_is_reported_and_its_row_names_no_user() {
    let long = "x".repeat(257);
    let text = format!("email,note\n,x\n\"a\u{7}b\",y\n{long},z\n");
    let message = checked_input(text.as_bytes(), rules(Operation::Audit), &dialect(), false).expect_err("bad rows");
    let expected = [
        "in.csv: 3 of 3 rows are invalid; nothing was sent".to_owned(),
        "  in.csv:2: column `email`: there is no value: expected one to look the user up by".to_owned(),
        "  in.csv:3: column `email`: `a\\u{7}b` cannot be looked up: expected text without control characters".to_owned(),
        format!("  in.csv:4: column `email`: `{}` cannot be looked up: expected at most 256 characters", crate::domain::quote(&long)),
    ];
    assert_eq!(message.lines().collect::<Vec<_>>(), expected);
    let text = format!("email\n{long}\nann\n");
    let input = checked_input(text.as_bytes(), rules(Operation::Audit), &dialect(), true).expect("valid");
    assert_eq!(input.plan().invalid, [("without a value that can be looked up", 1)].into());
    let (send, mut receive) = mpsc::channel(READ_TOGETHER);
    // No user has been looked up: the first row is invalid without a lookup, but the second needs one.
    feed(&input, &Remaining::default(), &send).expect_err("no user has been looked up");
    drop(send);
    let first = receive.blocking_recv().expect("the first row");
    assert!(matches!(&first.work, Work::Invalid { user, .. } if user.is_empty()), "{:?}", first.work);
}

#[test]
fn an_end_date_may_be_as_far_ahead_as_the_window_is_long() {
    let windowed = |text: &str| {
        let rules = Rules { max_window: Some(Duration::from_secs(4 * 3600)), ..rules(Operation::Grant) };
        checked_input(format!("userID,until\n{A},{text}\n").as_bytes(), rules, &dialect(), false).map(|input| input.plan().to_send)
    };
    assert_eq!((windowed("+4h"), windowed("+1h")), (Ok(1), Ok(1)));
    for text in ["+4h1s", "+5h"] {
        let message = windowed(text).expect_err("too far ahead");
        assert!(message.contains("in.csv:2: column `until`: `") && message.contains(" is further ahead than 4 h"), "{message}");
    }
    let rules = Rules { max_window: Some(Duration::from_secs(60)), ..rules(Operation::Grant) };
    let kinds = checked_input(format!("userID,until\n{A},+4h\n{B},+1m\n").as_bytes(), rules, &dialect(), true).expect("one is valid");
    assert_eq!(kinds.plan().invalid, [("beyond `--max-window`", 1)].into());
}

#[test]
fn rows_that_are_invalid_are_counted_by_what_is_wrong_with_them() {
    let conflict = format!("{A},+1h\n{}", format!("{A},+2h\n").repeat(99));
    let text = format!("userID,until\n{conflict}{B},+1h,x\n{B}\n{B},2020-01-01\n{B},\n{B},soon\n");
    let mut text = text.into_bytes();
    text.extend(b"\xff,+1h\n");
    let plan = checked_input(&text, rules(Operation::Grant), &dialect(), true).expect("it may go on").plan().clone();
    let expected = [
        ("with several end dates for one user", 100),
        ("with too many or too few values", 2),
        ("with an end date that has passed", 1),
        ("without an end date that can be read", 2),
        ("not UTF-8", 1),
    ];
    assert_eq!((plan.rows, plan.to_send, plan.invalid), (106, 0, expected.into()));
}

#[test]
fn the_message_names_each_bad_row_and_counts_no_others() {
    let refused = |text: &str| checked_input(text.as_bytes(), rules(Operation::Grant), &dialect(), false).expect_err("bad rows");
    assert_eq!(
        refused(&format!("userID,until\n{A},+4h\nx,+4h\n")),
        "in.csv: 1 of 2 rows is invalid; nothing was sent\n  in.csv:3: column `userID`: `x` is not a UUID: expected a form such as \
         `7e94b96e-0364-463b-a059-d97d1e4cb1d5`"
    );
    let twenty = refused(&format!("userID,until\n{}", "x,+4h\n".repeat(20)));
    assert!(twenty.ends_with("; 20 rows are like this: `x` (lines 2 to 21)"), "{twenty}");
    let one_more = refused(&format!("userID,until\n{}", "x,+4h\n".repeat(21)));
    assert!(one_more.ends_with("; 21 rows are like this: `x` (lines 2 to 21), …"), "{one_more}");
    // Conflicts are found last, but are named in the order of the lines.
    let order = refused(&format!("userID,until\n{A},+4h\nx,+4h\n{A},+5h\n"));
    let lines: Vec<_> = order.lines().skip(1).map(|line| line.trim_start().split(": ").next().unwrap_or_default()).collect();
    assert_eq!(lines, ["in.csv:2", "in.csv:3", "in.csv:4"]);
}

/// The hint for an input.
fn hint(text: &[u8], dialect: &Dialect) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    let rules = rules(Operation::Grant);
    let checked = Source::open(file.path()).and_then(|source| {
        let layout = Layout::of(&source, rules.operation, dialect, false)?;
        ValidInput::check(source, layout, rules, false).and_then(|input| input.approve(None))
    });
    let error = checked.expect_err("it is refused");
    assert!(!error.is_of_the_disk(), "{error}");
    error.hint()
}

#[test]
fn each_refusal_says_what_can_be_done() {
    let data = format!("{A},+4h\n");
    let unclosed = format!("userID,until\n{A},\"+4h\n");
    for (text, expected) in [
        (b"userID,until\nx,+4h\n".as_slice(), "mend the rows, or check that the file"),
        (b"userID,until\n\xff,+4h\n", "in Excel, save as `CSV UTF-8 (Comma delimited)`"),
        (unclosed.as_bytes(), "close the quote"),
        (b"\xff\xfeu\0", "in Excel, save as `CSV UTF-8 (Comma delimited)`; elsewhere, `iconv"),
        (b"user\0ID", "export the users as a CSV file in UTF-8"),
        (b"", "name a CSV file with a header"),
        (b"userID,until\n", "add a line for each user"),
        (b"userID,until\rx,+4h\r", "in Excel, save as"),
        (b"PK\x03\x04", "in Excel, save as"),
        (data.as_bytes(), "the first line looks like data"),
        (b"name,until\nx,+4h\n", "`user_id` and `id` are understood too"),
        (b"userID,date\nx,+4h\n", "`until` and `end_date` are understood too"),
        (b"id,ID,until\nx,y,+4h\n", "rename one of them"),
        (b"userID,unt\xefl\nx,+4h\n", "in Excel, save as"),
    ] {
        let found = hint(text, &dialect());
        assert!(found.starts_with(expected), "{found}\nshould be: {expected}");
    }
    let numbered = Dialect { user_column: Some("x".to_owned()), no_headers: true, ..dialect() };
    assert!(hint(data.as_bytes(), &numbered).starts_with("give the column's number"));
    let not_kept = InputError::NotKept { name: "standard input".to_owned(), source: io::ErrorKind::StorageFull.into() };
    assert!(not_kept.is_of_the_disk() && not_kept.hint().starts_with("make room in this folder"));
}

#[test]
fn an_input_of_any_length_has_its_first_line_as_header() {
    let bare = Dialect { no_headers: true, ..dialect() };
    let one = checked_input(A.as_bytes(), rules(Operation::Audit), &bare, false).expect("a row without a line feed");
    assert_eq!((one.rows(), one.plan().to_send), (1, 1));
    let header_alone = checked_input(b"userID", rules(Operation::Audit), &dialect(), false);
    assert_eq!(header_alone.err().as_deref(), Some("in.csv: there are no rows below the header"));
    let long = format!("userID\n{}{A}\n", format!("{B}\n").repeat(3000));
    let plan = checked_input(long.as_bytes(), rules(Operation::Audit), &dialect(), false)
        .expect("longer than what is looked at first")
        .plan()
        .clone();
    assert_eq!((plan.rows, plan.duplicates, plan.to_send), (3001, 2999, 2));
    let late_zero = [long.as_bytes(), b"x\0".repeat(40_000).as_slice()].concat();
    assert!(checked_input(&late_zero, rules(Operation::Audit), &dialect(), false).is_err());
    let early_zero = [b"userID\0note\n".as_slice(), long.as_bytes()].concat();
    let message = checked_input(&early_zero, rules(Operation::Audit), &dialect(), false).expect_err("zero bytes");
    assert_eq!(message, "in.csv: this is not text: there are zero bytes in it");
}
