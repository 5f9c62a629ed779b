use super::*;

fn faults(rows: &[u64], of: u64, has_gaps: bool) -> Vec<Option<String>> {
    let mut order = Order { last: 0, rows: of, shard: Shard::default(), has_gaps };
    rows.iter().map(|row| order.fault(*row)).collect()
}

#[test]
fn each_row_has_one_line_in_the_inputs_order() {
    assert_eq!(faults(&[1, 2, 3], 3, false), [None, None, None]);
    let fault = |text: &str| Some(text.to_owned());
    assert_eq!(faults(&[2, 2], 3, false), [fault("row 1 has no line"), fault("row 2 has a line already")]);
    assert_eq!(faults(&[1, 9], 9, false), [None, fault("rows 2 to 8 have no lines")]);
    assert_eq!(faults(&[1, 3, 2], 3, false)[2], fault("row 2 stands after row 3"));
    assert_eq!(
        faults(&[0, 4, u64::MAX], 3, false),
        [fault("there is no row 0"), fault("there is no row 4"), fault("there is no row 18446744073709551615")]
    );
}

#[test]
fn rows_may_be_left_out_of_some_reports_but_stand_in_order() {
    assert_eq!(faults(&[2, 7, u64::MAX], u64::MAX, true), [None, None, None]);
    assert_eq!(faults(&[2, 7, 5], 9, true)[2], Some("row 5 stands after row 7".to_owned()));
}

#[test]
fn a_shard_has_every_nth_row() {
    let mut order = Order { last: 0, rows: 12, shard: "1/4".parse().expect("a shard"), has_gaps: false };
    let faults = [2, 3, 10, 14].map(|row| order.fault(row));
    let fault = |text: &str| Some(text.to_owned());
    assert_eq!(faults, [None, fault("row 3 is not in shard 1/4"), fault("row 6 has no line"), fault("there is no row 14")]);
    let mut order = Order { last: 0, rows: 12, shard: "0/3".parse().expect("a shard"), has_gaps: false };
    assert_eq!(order.fault(10), fault("rows 1 to 7 have no lines"));
}

/// The error after `error`. The compiler asks here for a new one.
fn next(error: &VerifyError) -> Option<VerifyError> {
    let path = || PathBuf::from("r.csv");
    Some(match error {
        VerifyError::Path(_) => VerifyError::NoRecord { report: path(), record: path() },
        VerifyError::NoRecord { .. } => VerifyError::File(FileError::new("read", &path(), io::ErrorKind::NotFound.into())),
        VerifyError::File(_) => VerifyError::OtherFormat { path: path(), found: "9".into() },
        VerifyError::OtherFormat { .. } => return None,
    })
}

#[test]
fn each_report_that_cannot_be_checked_says_what_to_do() {
    let first = VerifyError::Path(OutputError::NotAFile("r/".into()));
    assert_eq!(crate::hint_tests::assert_all_told(first, next, |error| error.hint().to_owned()), 4);
}
