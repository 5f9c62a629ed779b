use super::*;

fn faults(rows: &[u64], of: u64, has_gaps: bool) -> Vec<Option<String>> {
    let mut order = Order { last: 0, rows: of, has_gaps };
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
