//! `page`: every figure is that of the report, no text from outside acts, and nothing of a user is left where users are left out.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pingone_bypass::sandbox::SandboxConfig;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Field, Report, field, field_with};

/// What would act if it were not shown as text.
pub(crate) const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "\u{202e}\u{2066}gnp.exe\u{2069}\u{200b}",
    "&lt;&#60;]]>--><!--",
];
const REPORT: &str = "in.report.csv";
const RECORD: &str = "in.report.run.json";
const PAGE: &str = "in.report.html";

/// An element `data` of a page: its number, its name, its other attributes, and its text.
#[derive(Debug)]
struct Figure {
    value: u64,
    name: String,
    attributes: HashMap<String, String>,
    text: String,
}

/// The values of attributes, which are all quoted.
fn attributes(tag: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit([' ', '\n']).next().expect("a name");
        let (value, after) = after.split_once('"').expect("a quote that closes");
        assert!(found.insert(name.to_owned(), value.to_owned()).is_none(), "{tag}: twice");
        rest = after;
    }
    found
}

fn figures_of(page: &str) -> Vec<Figure> {
    let elements = page.split("<data ").skip(1).map(|rest| rest.split_once("</data>").expect("closed").0);
    let figure = |element: &str| {
        let (tag, text) = element.split_once('>').expect("a tag");
        let mut attributes = attributes(&format!(" {tag}"));
        let value = attributes.remove("value").expect("a value").parse().expect("a number");
        let name = attributes.remove("data-figure").expect("a name");
        Figure { value, name, attributes, text: text.to_owned() }
    };
    elements.map(figure).collect()
}

/// Checks that every element is closed in its order, and that no tag is there but those of the page itself.
pub(crate) fn assert_well_formed(page: &str) {
    const VOID: [&str; 1] = ["meta"];
    const OURS: &str = " html head title style body main footer h1 h2 h3 p strong bdi data time code dl dt dd div section table span caption thead tbody tr th td \
                        figure figcaption details summary ul li a svg defs pattern rect path line text ";
    let rest = page.strip_prefix("<!DOCTYPE html>").expect("a document type");
    let mut open: Vec<&str> = Vec::new();
    for piece in rest.split('<').skip(1) {
        let tag = piece.split('>').next().expect("a tag");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !VOID.contains(&name) && !tag.ends_with('/') {
            assert!(OURS.contains(&format!(" {name} ")), "{tag}");
            open.push(name);
        }
        for name in attributes(tag).keys() {
            assert!(!name.starts_with("on") && !["style", "src", "action", "srcdoc"].contains(&name.as_str()), "{tag}");
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// A report as rows of values, read by nothing that the program uses.
fn rows_of(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let (mut rows, mut row, mut value, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut value)),
            '\n' if !is_quoted => {
                row.push(std::mem::take(&mut value));
                rows.push(std::mem::take(&mut row));
            }
            c => value.push(c),
        }
    }
    let header = rows.remove(0);
    (header, rows)
}

/// A folder with the report of a grant that went in every way.
fn granted() -> Field {
    let faults = "400=6%,500=20%,otherdate=4%".parse().expect("faults");
    let field = field_with(SandboxConfig {
        users: Some(260),
        faults,
        rate_limit: Some("150".parse().expect("a limit")),
        ..SandboxConfig::default()
    });
    let until = |index: u64| if index.is_multiple_of(3) { "2099-08-30" } else { "2099-08-31T17:30:00Z" };
    let mut rows: String =
        (0..300).map(|index| format!("{},{},user{index}@example.com\n", field.sandbox.user_id(index), until(index))).collect();
    let (first, another) = (field.sandbox.user_id(0), field.sandbox.user_id(270));
    rows.extend([format!("{first},2099-08-30,twice\n"), "no-uuid,2099-08-30,bad\n".into(), format!("{another},31/12/2099,worse\n")]);
    field.write("in.csv", format!("userID,until,email\n{rows}"));
    let options = ["--skip-invalid", "--max-failures", "100%", "--max-attempts", "2", "--rate", "unlimited", "--reason", "INC-4711"];
    let done = field.run(&[&["grant", "in.csv"][..], &options].concat());
    assert_eq!(done.code, 1, "{}", done.stderr);
    field
}

fn page(field: &Field, options: &[&str], code: i32) -> String {
    let done = field.run(&[&["page", REPORT, "--overwrite"], options].concat());
    assert_eq!(done.code, code, "{}", done.stderr);
    fs::read_to_string(field.path(PAGE)).expect("a page")
}

/// The figures of a report, or of what `diff` wrote, are the same in each dialect.
#[test]
fn a_page_reads_each_dialect() {
    let field = field();
    let rows: String = (0..4).map(|index| format!("{}|+4h|a,b;c\n", field.sandbox.user_id(index))).collect();
    field.write("in.csv", format!("\u{feff}userID|until|team\n{rows}"));
    let mut found = Vec::new();
    for dialect in ["rfc4180", "excel", "same"] {
        let run = field.run(&["audit", "in.csv", "--delimiter", "|", "--output-dialect", dialect, "--overwrite"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let page = page(&field, &[], 0);
        assert!(!page.contains("is not as the record says"), "{dialect}");
        let sha256 = record(&field)["report"]["sha256"].as_str().expect("a digest").to_owned();
        assert!(page.contains(&sha256), "{dialect}");
        found.push(
            figures_of(&page).iter().filter(|figure| figure.name.starts_with("result-")).map(|figure| figure.value).collect::<Vec<_>>(),
        );
    }
    assert!(found[0].contains(&4) && found.iter().all(|figures| *figures == found[0]), "{found:?}");
    let changes = "userID,username,change,before,after\n00000000-0000-4000-8000-000000000001,x,new,inactive,2099-05-31T17:00:00.000Z\n";
    let pages = [",", ";", "|", "\t"].map(|delimiter| {
        field.write("changes.csv", format!("\u{feff}{}", changes.replace(',', delimiter).replace('\n', "\r\n")));
        let made = field.run(&["page", "changes.csv", "--overwrite"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        figures_of(&fs::read_to_string(field.path("changes.html")).expect("a page")).len()
    });
    assert!(pages[0] > 0 && pages.iter().all(|figures| *figures == pages[0]), "{pages:?}");
}

fn record(field: &Field) -> Value {
    serde_json::from_slice(&fs::read(field.path(RECORD)).expect("a record")).expect("JSON")
}

/// `number`, rounded up to two digits.
fn two_digits(number: u64) -> u64 {
    let mut unit = 1;
    while number / unit > 99 {
        unit *= 10;
    }
    number.div_ceil(unit) * unit
}

#[test]
fn every_figure_of_a_page_is_what_another_count_of_the_report_finds() {
    let field = granted();
    let mut told = record(&field);
    told["holds"] = json!({"count": 2, "seconds": 3.5, "episodes": [{"at": told["startedAt"], "seconds": 1.5}, {"at": told["startedAt"], "seconds": 2.0}]});
    field.write(RECORD, told.to_string());
    let page = page(&field, &[], 0);
    assert_well_formed(&page);
    let (header, rows) = rows_of(&fs::read_to_string(field.path(REPORT)).expect("a report"));
    let column = |name: &str| header.iter().position(|found| found == name).expect("a column");
    let values = |name: &str| rows.iter().map(|row| row[column(name)].clone()).collect::<Vec<_>>();
    let results = values("result");
    let of = |wanted: &str| results.iter().filter(|found| *found == wanted).count() as u64;
    let is_failure =
        |result: &str| ["mismatch", "changed", "not_found", "ambiguous", "rejected", "failed", "unknown", "invalid"].contains(&result);
    let attempts: Vec<u64> = values("attempts").iter().map(|text| text.parse().expect("a number")).collect();
    let mut sent: Vec<u64> = attempts.iter().copied().filter(|attempts| *attempts > 0).collect();
    let took = values("durationMs");
    let mut took: Vec<u64> =
        took.iter().zip(&attempts).filter(|(_, attempts)| **attempts > 0).map(|(text, _)| text.parse().expect("a number")).collect();
    took.sort_unstable();
    sent.sort_unstable();
    let open =
        |row: &Vec<String>| row[column("canBypassMFA")] == "true" && !["failed", "unknown"].contains(&row[column("result")].as_str());
    let ends: Vec<String> = rows.iter().filter(|row| open(row)).map(|row| row[column("bypassMFAEnabledUntil")].clone()).collect();
    let finished = told["finishedAt"].as_str().expect("a time");
    let (over, ends): (Vec<String>, Vec<String>) = ends.into_iter().partition(|end| end.as_str() <= finished);
    let percentile = |share: usize| two_digits(took[(took.len() * share).div_ceil(100) - 1]);
    let within = |numbers: &[u64], figure: &Figure| {
        let bound = |name: &str| figure.attributes.get(name).map(|text| text.parse::<u64>().expect("a number"));
        let (above, most) = (bound("data-above").expect("a bound"), bound("data-most").unwrap_or(u64::MAX));
        numbers.iter().filter(|number| (**number > above || above == 0) && **number <= most).count() as u64
    };
    let mut seen: HashMap<String, u64> = HashMap::new();
    for figure in figures_of(&page) {
        let expected = match figure.name.as_str() {
            "rows" | "lines" => rows.len() as u64,
            "failures" => results.iter().filter(|result| is_failure(result)).count() as u64,
            "granted" => of("granted"),
            "kept" => of("kept"),
            "can-bypass" => ends.len() as u64,
            "over" => over.len() as u64,
            "sent-once" => sent.iter().filter(|attempts| **attempts == 1).count() as u64,
            "attempts-most" => sent[sent.len() - 1],
            "duration-most" => took[took.len() - 1],
            "duration-p50" => percentile(50),
            "duration-p95" => percentile(95),
            "duration-p99" => percentile(99),
            "durations" => within(&took, &figure),
            "attempts" => within(&sent, &figure),
            "left" => {
                let at = &figure.attributes["data-at"];
                ends.iter().filter(|end| *end > at).count() as u64
            }
            "throttled" => told["requests"]["throttled"].as_u64().expect("a number"),
            "holds" => 2,
            "settled" | "settled-failed" | "cause" | "causes" => figure.value,
            name => of(name.strip_prefix("result-").unwrap_or_else(|| panic!("nobody counts {name}"))),
        };
        assert_eq!(figure.value, expected, "{figure:?}");
        if !figure.name.starts_with("duration-") {
            assert_eq!(figure.text.replace(',', ""), figure.value.to_string(), "{figure:?}");
        }
        *seen.entry(figure.name).or_default() += figure.value;
    }
    let failures = results.iter().filter(|result| is_failure(result)).count() as u64;
    assert_eq!((seen["cause"], seen["durations"], seen["attempts"]), (failures, took.len() as u64, sent.len() as u64));
    let failed_when_sent = results.iter().zip(&attempts).filter(|(result, attempts)| is_failure(result) && **attempts > 0).count() as u64;
    assert_eq!((seen["settled"], seen["settled-failed"]), (sent.len() as u64 - failed_when_sent, failed_when_sent));
    assert_eq!(page.matches("data-figure=\"hold\"").count(), 2);
    assert!(seen["left"] > 0 && seen["result-rejected"] > 0 && seen["result-duplicate"] == 1, "{seen:?}");
    assert_causes(&page, &header, &rows);
}

/// Checks the rows of each cause, by result, status and code.
fn assert_causes(page: &str, header: &[String], rows: &[Vec<String>]) {
    let column = |name: &str| header.iter().position(|found| found == name).expect("a column");
    let mut counted: HashMap<(String, String), u64> = HashMap::new();
    for part in page.split("<section class=\"cause\"").skip(1) {
        let about = attributes(part.split('>').next().expect("a tag"));
        let rows = figures_of(part).into_iter().find(|figure| figure.name == "cause").expect("its rows").value;
        *counted.entry((about["data-result"].clone(), about["data-status"].clone())).or_default() += rows;
        // Those are the first rows, with their users.
        let examples = part.split("<tbody>").nth(1).and_then(|table| table.split("</tbody>").next()).expect("examples");
        assert_eq!(examples.matches("<tr>").count() as u64, rows.min(100));
    }
    assert!(counted.len() >= 5, "{counted:?}");
    for ((result, status), rows_of_cause) in counted {
        let naive = rows.iter().filter(|row| row[column("result")] == result && row[column("httpStatus")] == status).count();
        assert_eq!(rows_of_cause, naive as u64, "{result} {status}");
    }
}

#[test]
fn the_first_sentence_says_who_did_what_where_and_why() {
    let field = granted();
    let mut told = record(&field);
    told["operator"] = json!({"user": "ann", "host": "jump1", "clientId": "c"});
    told["environment"] = json!({"id": told["environment"]["id"], "name": "Acme", "type": "PRODUCTION"});
    told["startedAt"] = "2026-11-27T19:02:11.000Z".into();
    told["finishedAt"] = "2026-11-27T19:19:50.000Z".into();
    field.write(RECORD, told.to_string());
    let page = page(&field, &[], 0);
    let text = text_of(&page);
    assert!(text.contains("On 27 November 2026 from 19:02 to 19:19 UTC, ann on jump1 granted an MFA bypass until dates from 00:00 UTC on 30 August 2099 to"), "{text}");
    assert!(text.contains(" of 303 rows in environment Acme (PRODUCTION)."), "{text}");
    assert!(text.contains("The reason given: “INC-4711”."), "{text}");
    assert!(text.contains("The run is complete: each of the 303 rows of the input has a line in the report."), "{text}");
    for what in ["run the same command with --resume", "mend the row in NAME.failed.csv", "what Ping's support asks for"] {
        assert!(text.contains(what), "{what}: the reference says what to do");
    }
}

#[test]
fn each_operation_has_a_sentence_of_its_own() {
    let field = field_with(SandboxConfig { users: Some(20), ..SandboxConfig::default() });
    field.users(5, "2099-08-30");
    assert_eq!(field.run(&["grant", "in.csv", "--look-first"]).code, 0);
    let told = |arguments: &[&str], expected: &[&str]| {
        let run = field.run(&[arguments, &["-o", "x.csv", "--overwrite"]].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let page = field.run(&["page", "x.csv", "-o", "-"]);
        assert_eq!((page.code, page.stderr.as_str()), (0, ""));
        assert_well_formed(&page.stdout);
        let text = text_of(&page.stdout);
        for expected in expected {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    };
    told(&["audit", "--all-users"], &["asked PingOne whether 20 users in environment ", " can bypass MFA: 7 can, and 13 cannot."]);
    told(
        &["audit", "--all-users", "--only", "active"],
        &[
            "whether 20 users",
            "can bypass MFA: 7 can.",
            "The report lists only the users who can bypass MFA now. By the record, 13 cannot, and 0 failed.",
        ],
    );
    told(
        &["grant", "in.csv", "--look-first"],
        &["granted an MFA bypass to 0 of 5 users", "5 had one that runs at least as long, and kept it."],
    );
    told(
        &["end", "in.report.csv", "--restore"],
        &[
            "undid a grant for 5 users in environment Sandbox (SANDBOX): 0 got back the end date that they had before it, and the bypass of 5 was ended.",
        ],
    );
    told(&["end", "in.csv"], &["ended the MFA bypass of", "of 5 users in environment", "No row failed."]);
    told(&["audit", "in.csv", "--sandbox"], &["A rehearsal: this run was sent to the sandbox, and no user of PingOne was touched."]);
}

/// The page's text, without its elements.
fn text_of(page: &str) -> String {
    let body = page.split("<body>").nth(1).expect("a body");
    let text: String = body.split('<').map(|piece| piece.split_once('>').map_or("", |(_, text)| text)).collect();
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[test]
fn the_policy_allows_the_style_of_the_page_and_nothing_else() {
    let field = granted();
    let page = page(&field, &[], 0);
    let style = page.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a style");
    let digest = BASE64_STANDARD.encode(Sha256::digest(style.as_bytes()));
    let policy = format!("content=\"default-src 'none'; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'\"");
    assert!(page.contains(&policy), "{policy}");
    assert_eq!(page.matches("<style").count(), 1);
    for wanted in
        ["<html lang=\"en\">", "name=\"viewport\"", "content=\"no-referrer\"", "prefers-color-scheme: dark", "@media print", "size: A4"]
    {
        assert!(page.contains(wanted), "{wanted}");
    }
    // No address but the report's own, beside the page.
    assert!(page.matches("href=\"").count() > 0 && page.matches("href=\"").count() == page.matches("href=\"./in.report.csv\"").count());
    let pictures = page.matches("<svg").count();
    assert!(
        pictures >= 10
            && pictures == page.matches("role=\"img\"").count()
            && pictures == page.matches("aria-label=\"").count() - page.matches("role=\"region\"").count()
    );
    assert_eq!(page.matches("<table>").count(), page.matches("<caption>").count());
}

/// A report and a record in which every text is hostile, and the record's digest is right.
pub(crate) fn hostile(field: &Field, mark: &str) {
    let text = fs::read_to_string(field.path(REPORT)).expect("a report");
    let report = Report::read(&text);
    let evil = |index: usize| format!("{}{mark}", HOSTILE[index % HOSTILE.len()]);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let own = 15;
    let header = report.columns.iter().take(own).cloned().chain([evil(0), evil(4)]);
    writer.write_record(header).expect("memory");
    for (index, line) in report.lines.iter().enumerate() {
        let value = |(column, value): (usize, &String)| match report.columns[column].as_str() {
            "row" | "result" | "canBypassMFA" | "bypassMFAEnabledUntil" | "httpStatus" | "completedAt" => value.clone(),
            _ => evil(index + column),
        };
        let line = line.iter().take(own).enumerate().map(value).chain([evil(index), evil(index + 1)]);
        writer.write_record(line).expect("memory");
    }
    let text = writer.into_inner().expect("memory");
    let mut told = record(field);
    told["report"]["sha256"] = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    for path in [
        "/reason",
        "/confirmed/approvedBy",
        "/confirmed/plan",
        "/environment/name",
        "/environment/type",
        "/environment/id",
        "/input/path",
        "/input/sha256",
        "/apiUrl",
        "/stopReason",
        "/version",
        "/runId",
        "/options/rate",
        "/operation",
    ] {
        *told.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = evil(path.len()).into();
    }
    told["operator"] = json!({"user": evil(0), "sudoUser": evil(1), "host": evil(2), "clientId": evil(3)});
    told["formatVersion"] = 3.into();
    field.write(REPORT, text);
    field.write(RECORD, told.to_string());
}

#[test]
fn hostile_text_in_every_field_is_shown_as_text() {
    let field = granted();
    hostile(&field, "");
    for options in [&[][..], &["--redact"]] {
        let page = page(&field, options, 0);
        assert_well_formed(&page);
        assert!(!page.contains("<script") && !page.contains("<img") && page.matches("</style").count() == 1);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("\\u{202e}\\u{2066}gnp.exe"));
        assert!(!page.chars().any(|c| ('\u{200b}'..='\u{200f}').contains(&c)
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)));
        assert!(!page.contains("href=\"javascript"));
    }
    let name = "javascript:alert(1)\"'<x>\u{202e}.csv";
    fs::rename(field.path(REPORT), field.path(name)).expect("renamed");
    let done = field.run(&["page", name, "-o", PAGE, "--overwrite"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let page = fs::read_to_string(field.path(PAGE)).expect("a page");
    assert_well_formed(&page);
    assert!(page.contains("href=\"./javascript%3Aalert%281%29%22%27%3Cx%3E%E2%80%AE.csv\""));
    assert!(done.stderr.contains("there is no record beside the report"), "{}", done.stderr);
    assert!(text_of(&page).contains("No record: there is no record beside the report: nothing here proves where it comes from"));
}

#[test]
fn a_redacted_page_names_no_user() {
    let field = granted();
    let report = field.report(REPORT);
    let whole = page(&field, &[], 0);
    let redacted = page(&field, &["--redact"], 0);
    let (mut there, mut users) = (0, 0);
    for (user, email) in report.column("userID").into_iter().zip(report.column("email")) {
        users += 1;
        there += usize::from(whole.contains(user) || whole.contains(email));
        assert!(user.len() < 4 || !redacted.contains(user), "{user}");
        assert!(!redacted.contains(email) || email.len() < 6, "{email}");
    }
    assert!(users == 303 && there > 40, "the whole page names those that failed: {there}");
    assert!(!redacted.contains("email") && !redacted.contains("no-uuid") && redacted.contains("Users are left out of this page"));
    let failures =
        |page: &str| figures_of(page).into_iter().filter(|figure| figure.name == "cause").map(|figure| figure.value).sum::<u64>();
    assert_eq!(failures(&whole), failures(&redacted));
    // A server that quotes the user in every text.
    let text = fs::read_to_string(field.path(REPORT)).expect("a report");
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&report.columns).expect("memory");
    for line in &report.lines {
        let mut line = line.clone();
        for column in [8, 9, 10, 11] {
            line[column] = line[1].clone();
        }
        writer.write_record(line).expect("memory");
    }
    field.write(REPORT, writer.into_inner().expect("memory"));
    let redacted = page(&field, &["--redact"], 1);
    assert!(report.column("userID").iter().all(|user| user.len() < 4 || !redacted.contains(user)));
    field.write(REPORT, text);
}

#[test]
fn a_report_that_is_not_as_its_record_says_gets_a_page_that_begins_with_a_warning() {
    let field = granted();
    let text = fs::read_to_string(field.path(REPORT)).expect("a report");
    field.write(REPORT, text.replacen("granted", "not_found", 1) + "garbage\n");
    let done = field.run(&["page", REPORT]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let page = fs::read_to_string(field.path(PAGE)).expect("a page");
    assert_well_formed(&page);
    let text = text_of(&page);
    assert!(text.trim_start().starts_with("Warning: do not rely on this page before you know why."), "{text}");
    for fault in [
        "the report is not the one that the run wrote",
        "the record has other totals than the report",
        "1 line cannot be read and is left out: line 305",
    ] {
        assert!(text.contains(fault) && done.stderr.contains(&format!("warning: {REPORT}: {fault}")), "{fault}: {}", done.stderr);
    }
}

#[test]
fn a_page_is_its_owners_and_replaces_nothing_unasked() {
    let field = field();
    field.users(3, "2099-08-30");
    assert_eq!(field.run(&["grant", "in.csv"]).code, 0);
    let done = field.run(&["page", REPORT]);
    assert_eq!((done.code, done.stderr.as_str()), (0, "in.report.html: the page of in.report.csv\n"));
    assert_eq!(fs::metadata(field.path(PAGE)).expect("there").permissions().mode() & 0o777, 0o600);
    let refused = |arguments: &[&str], message: &str| {
        let done = field.run(arguments);
        assert!(
            done.code == 2 && done.stderr.starts_with(message) && done.stderr.contains("\nhint: "),
            "{arguments:?}: {} {}",
            done.code,
            done.stderr
        );
    };
    refused(&["page", REPORT], "error: in.report.html: the file exists, and is not touched without `--overwrite`");
    refused(&["page", REPORT, "--overwrite", "-o", REPORT], "error: in.report.csv: the page would replace the report, `in.report.csv`");
    refused(&["page", REPORT, "--overwrite", "-o", RECORD], "error: in.report.run.json: the page would replace the run's record");
    refused(&["page", "in.csv"], "error: in.csv: this is no report and no output of `diff`: its header has no column `row`");
    refused(&["page", "nowhere.csv"], "error: nowhere.csv: the file cannot be read");
    field.write("x.partial.csv", "row,userID\n");
    refused(&["page", "x.partial.csv"], "error: x.partial.csv: this is the journal of a run that has not finished");
    refused(
        &["page", "x.csv"],
        "error: x.csv: the run has not finished, so there is no report yet: what it has settled is in `x.partial.csv`",
    );
    field.write("in.report.run.json", "{");
    refused(&["page", REPORT, "--overwrite"], "error: in.report.run.json: the file cannot be read");
    fs::remove_file(field.path(RECORD)).expect("there");
    let done = field.run(&["page", REPORT, "-o", "-"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_well_formed(&done.stdout);
}

#[test]
fn a_page_of_a_diff_says_who_is_new() {
    let field = field();
    let user = |index: u64| field.sandbox.user_id(index);
    let rows: String = (0..150).map(|index| format!("{},new,inactive,2099-08-31T17:00:00.000Z,ann{index}\n", user(index))).collect();
    let more = format!("{},lapsed,2099-08-31T17:00:00.000Z,inactive,<b>bob</b>\n{},undetermined,failed,inactive,x\n", user(200), user(201));
    field.write("changed.csv", format!("userID,change,before,after,username\n{rows}{more}"));
    let done = field.run(&["page", "changed.csv"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let page = fs::read_to_string(field.path("changed.html")).expect("a page");
    assert_well_formed(&page);
    let text = text_of(&page);
    assert!(text.contains("something changed for 151 users: 150 are new: they could not bypass MFA before, and now can."), "{text}");
    let figure = |name: &str| figures_of(&page).into_iter().find(|figure| figure.name == name).expect("a figure").value;
    assert_eq!(["change-new", "change-lapsed", "change-undetermined", "can-bypass"].map(figure), [150, 1, 1, 150]);
    assert!(page.contains(&user(99).to_string()) && !page.contains(&user(100).to_string()) && text.contains("The first 100 users of 150"));
    assert!(page.contains("&lt;b&gt;bob"));
    let done = field.run(&["page", "changed.csv", "--redact", "-o", "-"]);
    assert!(!done.stdout.contains(&user(0).to_string()) && !done.stdout.contains("ann0") && done.stdout.contains("150"));
}

/// A report of 50,000 rows with 900 failures of seven causes, as a run would write it.
#[test]
fn a_page_of_a_large_run_is_small() {
    let field = field();
    let header = "row,userID,result,canBypassMFA,bypassMFAEnabledUntil,requestedUntil,previousUntil,httpStatus,errorCode,errorMessage,errorId,correlationId,attempts,durationMs,completedAt,username,email\n";
    let mut text = header.to_owned();
    let until = "2099-08-31T17:00:00.000Z";
    for row in 1..=50_000_u64 {
        let user = field.sandbox.user_id(row);
        let second = row / 50;
        let completed = format!("2026-11-27T{:02}:{:02}:{:02}.{:03}Z", 19 + second / 3600, second / 60 % 60, second % 60, row % 1000);
        let ids = format!("{},{}", field.sandbox.user_id(100_000 + row), field.sandbox.user_id(200_000 + row));
        let about = match row % 55 {
            0 if row / 55 < 900 => {
                let status = 400 + row / 55 % 7;
                format!(
                    "rejected,,,{until},,{status},CODE_{},\"The request could not be completed, error {row}\",{ids}",
                    ["A", "B", "C", "D", "E", "F", "G"][(row / 55 % 7) as usize]
                )
            }
            _ => format!("granted,true,{until},{until},,200,,,,{}", field.sandbox.user_id(200_000 + row)),
        };
        text.extend([format!("{row},{user},{about},1,{},{completed},user{row},user{row}@example.com\n", 20 + row % 700)]);
    }
    field.write("large.csv", text);
    let done = field.run(&["page", "large.csv"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let page = fs::read_to_string(field.path("large.html")).expect("a page");
    assert!(page.len() <= 300_000, "{}", page.len());
    assert_eq!(page.matches("<section class=\"cause\"").count(), 7);
    assert_eq!(page.matches("class=\"examples\"").count(), 7);
}
