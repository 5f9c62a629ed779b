//! What is read from a page of the device report, and what is refused.

use super::*;

const ANN: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";

fn read(body: &str) -> Result<EntriesPage, NotUnderstood> {
    read_entries(&serde_json::from_str(body).expect("JSON"), &|text| text.replace("s3cr3t", "***"))
}

/// The date of an entry whose `bypassUntil` is this.
fn until(value: &str) -> Result<Option<String>, String> {
    let page = read(&format!(r#"{{"_embedded":{{"entries":[{{"userId":"{ANN}","bypassUntil":{value}}}]}}}}"#));
    page.map(|page| page.entries[0].until.map(|until| until.to_string())).map_err(|why| why.to_string())
}

#[test]
fn a_date_is_rfc_3339_or_seconds_or_milliseconds() {
    let date = |text: &str| Ok(Some(text.to_owned()));
    for (value, expected) in [
        (r#""2026-08-31T17:00:00Z""#, "2026-08-31T17:00:00.000Z"),
        (r#"" 2026-08-31T17:00:00.437Z ""#, "2026-08-31T17:00:00.437Z"),
        (r#""2026-08-31T19:00:00.437999+02:00""#, "2026-08-31T17:00:00.437Z"),
        ("1788195600", "2026-08-31T17:00:00.000Z"),
        (r#""1788195600""#, "2026-08-31T17:00:00.000Z"),
        ("1788195600437", "2026-08-31T17:00:00.437Z"),
        (r#""1788195600437""#, "2026-08-31T17:00:00.437Z"),
        ("99999999999", "5138-11-16T09:46:39.000Z"),
        ("100000000000", "1973-03-03T09:46:40.000Z"),
        ("253402300799999", "9999-12-31T23:59:59.999Z"),
        (r#""9999-12-31T23:59:59.999Z""#, "9999-12-31T23:59:59.999Z"),
        ("0", "1970-01-01T00:00:00.000Z"),
        ("1788195600.0", "2026-08-31T17:00:00.000Z"),
        ("1788195600.437999", "2026-08-31T17:00:00.437Z"),
        (r#""1788195600.5""#, "2026-08-31T17:00:00.500Z"),
        (r#""2026-08-31T17:00:00.437+0000""#, "2026-08-31T17:00:00.437Z"),
        (r#""2026-08-31T19:00:00+0200""#, "2026-08-31T17:00:00.000Z"),
    ] {
        assert_eq!(until(value), date(expected), "{value}");
    }
    for none in ["null", r#""""#, r#""  ""#] {
        assert_eq!(until(none), Ok(None), "{none}");
    }
}

#[test]
fn any_other_date_is_refused_with_the_value() {
    for value in [
        r#""2026-08-31""#,
        r#""2026-08-31T17:00:00""#,
        r#""2026-08-31 17:00:00Z""#,
        r#""31/08/2026""#,
        r#""true""#,
        r#""none""#,
        r#""-1""#,
        r#""99999999999999999999""#,
        "true",
        "-1",
        "178819560000.5",
        r#""1788195600.""#,
        r#"".5""#,
        r#""1788195600.5Z""#,
        "253402300800000",
        "18446744073709551615",
        "[]",
        r#"{"until":1}"#,
    ] {
        let why = until(value).expect_err(value);
        assert!(
            why.starts_with(&format!("the `bypassUntil` of user {ANN} is `{}`: expected an RFC 3339", value.trim_matches('"'))),
            "{why}"
        );
    }
    let long = until(&format!(r#""\u001b[2J{}s3cr3t""#, "x".repeat(5000))).expect_err("no date");
    assert!(long.len() < 350 && !long.contains('\u{1b}'), "{long}");
    assert!(until(r#""s3cr3t""#).expect_err("no date").contains("`***`"));
}

#[test]
fn entries_are_found_in_each_plausible_place() {
    let (entry, date) = (format!(r#"{{"userId":"{ANN}","username":"ann","bypassUntil":1788195600}}"#), "2026-08-31T17:00:00.000Z");
    for body in [
        format!(r#"{{"_embedded":{{"entries":[{entry}]}}}}"#),
        format!(r#"{{"entries":[{entry}]}}"#),
        format!(r#"{{"entries":{{"_embedded":{{"entries":[{entry}]}}}}}}"#),
        format!(r#"{{"_embedded":{{"devices":[{entry}],"other":1}}}}"#),
        format!(r#"{{"_embedded":{{"entries":[{{"id":"x","data":{entry}}}]}}}}"#),
        format!(r#"{{"_embedded":{{"entries":[{{"USERID":"{ANN}","userName":"ann","bypassuntil":"{date}"}}]}}}}"#),
        format!(
            r#"{{"_embedded":{{"entries":[{{"fields":[{{"name":"userId","value":"{ANN}"}},{{"name":"username","value":"ann"}},
            {{"name":"bypassUntil","value":"{date}"}}]}}]}}}}"#
        ),
    ] {
        let page = read(&body).expect("readable");
        let [DeviceEntry { user, username, until }] = &page.entries[..] else { panic!("{body}") };
        assert_eq!((user.to_string().as_str(), page.has_field), (ANN, true), "{body}");
        assert_eq!(username.as_ref().map(ToString::to_string).as_deref(), Some("ann"), "{body}");
        assert_eq!(until.map(|until| until.to_string()).as_deref(), Some(date), "{body}");
    }
    let bare = read(&format!(r#"{{"_embedded":{{"entries":[{{"userId":"{ANN}"}}]}}}}"#)).expect("readable");
    assert!(!bare.has_field && bare.entries[0].until.is_none());
    assert_eq!(read(r#"{"_embedded":{"entries":[]}}"#), Ok(EntriesPage::default()));
}

#[test]
fn a_next_page_is_linked_from_wherever() {
    for (link, expected) in [
        (r#""_links":{"self":{},"next":{"href":"u"}}"#, Ok(Some("u".to_owned()))),
        (r#""next":{"href":"u"}"#, Ok(Some("u".to_owned()))),
        (r#""next":"u""#, Ok(Some("u".to_owned()))),
        (r#""_links":{"next":null}"#, Ok(None)),
        (r#""_links":{}"#, Ok(None)),
        (r#""_links":{"next":{"href":7}}"#, Err(NotUnderstood::NoLink)),
        (r#""_links":{"next":{}}"#, Err(NotUnderstood::NoLink)),
    ] {
        let page = read(&format!(r#"{{"_embedded":{{"entries":[]}},{link}}}"#));
        assert_eq!(page.map(|page| page.next), expected, "{link}");
    }
}

#[test]
fn what_cannot_be_understood_is_told() {
    for (body, expected) in [
        ("{}", "a page has no list of entries: expected `_embedded.entries`, and it has no member at all"),
        (
            r#"{"_embedded":{"a":[],"b":[]},"x\u001b":1}"#,
            r"a page has no list of entries: expected `_embedded.entries`, and it has `_embedded`, `x\u{1b}`",
        ),
        (r#"{"entries":[{"user":"ann","device":7}]}"#, "an entry has no `userId`: it has `user`, `device`"),
        (r#"{"entries":[{"userId":null}]}"#, "the `userId` of an entry is `null`: expected a UUID"),
        (r#"{"entries":["ann"]}"#, "an entry has no `userId`: it has no members, being `ann`"),
        (r#"{"entries":[{"userId":"ann\n"}]}"#, r"the `userId` of an entry is `ann\n`: expected a UUID"),
        (r#"{"entries":[{"userId":7}]}"#, "the `userId` of an entry is `7`: expected a UUID"),
    ] {
        let why = read(body).expect_err(body).to_string();
        let sorted = |text: &str| {
            let mut words: Vec<_> = text.split([',', ' ']).map(str::to_owned).collect();
            words.sort();
            words
        };
        assert_eq!(sorted(&why), sorted(expected), "{why}");
    }
    let many: String = (0..100).map(|index| format!(r#""m{index:02}":1,"#)).collect();
    let why = read(&format!(r#"{{"entries":[{{{many}"z":1}}]}}"#)).expect_err("no user").to_string();
    assert!(why.ends_with(" and 93 more") && why.len() < 200, "{why}");
}

mod fuzz {
    use super::*;
    use crate::fuzz::{body, cases, parsed};
    use proptest::prelude::*;

    const BODIES: &[&str] = &[
        r#"{"_links":{"next":{"href":"?cursor=2"}},"_embedded":{"entries":[{"userId":"7e94b96e-0364-463b-a059-d97d1e4cb1d5","username":"ann","bypassUntil":"2026-08-31T17:00:00Z"},{"userId":"0a94b96e-0364-463b-a059-d97d1e4cb1d5","bypassUntil":null}]},"count":2}"#,
        r#"{"entries":[{"data":{"userId":"7e94b96e-0364-463b-a059-d97d1e4cb1d5","bypassUntil":1788195600437}}],"next":{"href":"x"}}"#,
        r#"{"entries":[{"fields":[{"name":"userId","value":"7e94b96e-0364-463b-a059-d97d1e4cb1d5"},{"name":"bypassUntil","value":"1788195600"}]}]}"#,
    ];
    const NAMES: &[&str] =
        &["_links", "next", "href", "_embedded", "entries", "userId", "username", "bypassUntil", "fields", "name", "value"];

    proptest! {
        #![proptest_config(cases(256))]

        /// A page is understood with all its entries, or refused in words that are safe to show.
        #[test]
        fn a_page_is_refused_or_has_all_its_entries(body in body(BODIES, NAMES)) {
            let Some(body) = parsed(&body) else { return Ok(()) };
            match read_entries(&body, &|text| text) {
                Ok(page) => {
                    let stand = entries_in(&body).map_or(0, Vec::len);
                    prop_assert_eq!(page.entries.len(), stand);
                }
                Err(why) => {
                    let why = why.to_string();
                    prop_assert!(why.len() < 4000 && !why.chars().any(char::is_control), "{}", why);
                }
            }
        }
    }
}
