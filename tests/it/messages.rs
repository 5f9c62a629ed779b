//! The most common errors, each provoked for real, and their messages: `messages.txt`. `UPDATE_MESSAGES=1 cargo test
//! messages` rewrites it; read it before committing.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pingone_bypass::sandbox::{ReportConfig, ReportFault, SandboxConfig};

use crate::harness::{Field, done, faulty, field, field_with};
use crate::terminal::without_terminal;
use crate::tls::behind_tls;

const A: &str = "7e94b96e-0364-463b-a059-d97d1e4cb1d5";

/// The error that `tool` ends with, without what varies from run to run.
fn error_of(field: &Field, mut tool: Command) -> String {
    let ended = done(tool.output().expect("the tool runs"));
    let lines = ended.stderr.lines().skip_while(|line| !line.starts_with("error:")).filter(|line| !line.starts_with("to resume:"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = text.replace(&field.sandbox.environment_id().to_string(), "<environment>");
    format!("exit {}\n{}", ended.code, without_what_varies(&text))
}

/// Replaces times by `<time>`, the server's IDs by `<id>`, ports by `<port>`.
fn without_what_varies(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        let bare = word.trim_end().trim_matches(|c| matches!(c, '`' | ',' | ':' | ';'));
        let is_digest = bare.len() == 64 && bare.bytes().all(|digit| digit.is_ascii_hexdigit()) && bare != "0".repeat(64);
        let is_time = bare.len() == 24 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T';
        let is_id = bare.len() == 36 && bare != A && bare.matches('-').count() == 4;
        let mark = if is_time {
            "<time>"
        } else if is_digest {
            "<digest>"
        } else if is_id {
            "<id>"
        } else {
            bare
        };
        shown.push_str(&word.replace(bare, mark));
    }
    shown
}

struct Provoked {
    field: Field,
    text: String,
}

impl Provoked {
    fn add(&mut self, title: &str, tool: Command) {
        let error = error_of(&self.field, tool);
        writeln!(self.text, "## {title}\n\n{error}\n").expect("memory");
    }

    /// A grant of an input with this text.
    fn input(&mut self, title: &str, text: impl AsRef<[u8]>, arguments: &[&str]) {
        self.field.write("in.csv", text);
        let tool = self.field.tool(&[&["grant", "in.csv"], arguments].concat());
        self.add(title, tool);
    }
}

fn provoke_inputs(all: &mut Provoked) {
    let utf16: Vec<u8> = "\u{feff}userID,until\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    all.input("A column that is not there", format!("uuid,until\n{A},+4h\n"), &[]);
    all.input("No header", format!("{A},+4h\n"), &[]);
    all.input("Semicolons, and a comma was said", format!("userID;until\n{A};+4h\n"), &["--delimiter", ","]);
    all.input("A date as Excel writes it", format!("userID,until\n{A},31/08/2099\n"), &[]);
    all.input("A date-time without an offset", format!("userID,until\n{A},2099-08-31T17:00:00\n"), &[]);
    all.input("A date that has passed", format!("userID,until\n{A},2020-08-31\n"), &[]);
    all.input("Too far ahead", format!("userID,until\n{A},+99999d\n"), &[]);
    all.input("No end date", format!("userID,until\n{A},\n"), &[]);
    all.input("One user, two end dates", format!("userID,until\n{A},2098-08-31\n{A},2099-08-31\n"), &[]);
    all.input("A quote that is never closed", format!("userID,until\n{A},\"+4h\n"), &["--skip-invalid"]);
    all.input("A user who cannot be looked up", "email,until\n\"ann@\nexample.com\",+4h\n", &[]);
    all.input("UTF-16", utf16, &[]);
    all.input("An Excel workbook", b"PK\x03\x04", &[]);
    all.input("Latin-1", [format!("userID,until,name\n{A},+4h,J").as_bytes(), b"\xf6rg\n"].concat(), &[]);
}

fn provoke_connection(all: &mut Provoked) {
    all.field.users(20, "+4h");
    let with = |field: &Field, arguments: &[&str], name: &str, value: &str| {
        let mut tool = field.tool(&[&["grant", "in.csv"], arguments].concat());
        tool.env(name, value);
        tool
    };
    let tool = with(&all.field, &[], "PINGONE_CLIENT_SECRET", "wrong");
    all.add("A wrong secret, or an application of another environment or region", tool);
    let tool = with(&all.field, &[], "PINGONE_API_ACCESS_TOKEN", "of-yesterday");
    all.add("A ready token that has expired", tool);
    let environment = all.field.sandbox.environment_id().to_string();
    let tool = all.field.tool(&["grant", "in.csv", "--environment-id", A, "--auth-environment-id", &environment]);
    all.add("A wrong environment", tool);
    let tool = with(&all.field, &[], "PINGONE_API_URL", "http://api.pingone.eu/v1");
    all.add("A URL that is not encrypted", tool);
    let mut tool = with(&all.field, &["--max-attempts", "1"], "HTTPS_PROXY", "http://127.0.0.1:9");
    tool.env_remove("PINGONE_API_URL").env_remove("PINGONE_AUTH_URL");
    all.add("A proxy that does not answer", tool);
    let mut tool = with(&all.field, &["--dry-run"], "HTTPS_PROXY", "http//me:s3cret@proxy.example.com:8080");
    tool.env_remove("PINGONE_API_URL").env_remove("PINGONE_AUTH_URL");
    all.add("A proxy that cannot be used", tool);
    let url = behind_tls(&all.field);
    let mut tool = with(&all.field, &[], "PINGONE_AUTH_URL", &url);
    tool.env("PINGONE_API_URL", format!("{url}/v1"));
    all.add("A certificate that is not trusted", tool);
    let mut tool = all.field.tool(&["grant", "in.csv"]);
    tool.env_remove("PINGONE_CLIENT_SECRET");
    all.add("No secret", tool);
    let mut tool = all.field.tool(&["grant", "in.csv"]);
    tool.env_remove("PINGONE_ENVIRONMENT_ID").env_remove("PINGONE_CLIENT_ID").env_remove("PINGONE_CLIENT_SECRET");
    all.add("No settings at all", tool);
    let mut tool = with(&all.field, &[], "PINGONE_ENVIRONMENT_ID", "nonsense");
    tool.arg("--dry-run");
    all.add("A variable that holds no environment's ID", tool);
    let mut tool = all.field.tool(&[]);
    tool.args(["grant", "in.csv"]);
    all.add("Nobody to ask", without_terminal(&tool));
    let mut tool = all.field.tool(&[]);
    tool.args(["audit", "in.csv", "--approve", &"0".repeat(64)]);
    all.add("Another plan than the approved one", tool);
}

fn provoke_reports(all: &mut Provoked) {
    for (title, fault) in [
        ("A device report without the field of bypasses", ReportFault::UnknownField),
        ("A device report that may not be read", ReportFault::Forbidden),
        ("A device report that is never made", ReportFault::Never),
    ] {
        let report = ReportConfig { report_fault: Some(fault), report_delay: Duration::ZERO, ..SandboxConfig::default().report };
        let field = field_with(SandboxConfig { report, ..SandboxConfig::default() });
        let error = error_of(&field, field.tool(&["audit", "--reported", "--give-up-after", "2s"]));
        writeln!(all.text, "## {title}\n\n{error}\n").expect("memory");
    }
}

fn provoke_files(all: &mut Provoked) {
    all.field.users(2, "+4h");
    let tool = all.field.tool(&["grant", "in.csv", "-o", "nowhere/out.csv"]);
    all.add("A folder that is not there", tool);
    let tool = all.field.tool(&["grant", "nowhere.csv"]);
    all.add("An input that is not there", tool);
    let tool = all.field.tool(&["grant", "."]);
    all.add("A folder in place of the input", tool);
    let tool = all.field.tool(&["grant"]);
    all.add("No input", tool);
    let tool = all.field.tool(&["audit"]);
    all.add("Nobody to audit", tool);
    let tool = all.field.tool(&["grant", "in.csv", "-o", "-", "--resume"]);
    all.add("A stream that is to be resumed", tool);
    let tool = all.field.tool(&["grant", "in.csv", "--client-secret-file", "nowhere"]);
    all.add("A file of the secret that is not there", tool);
    all.field.write("in.report.csv", "mine");
    let tool = all.field.tool(&["grant", "in.csv"]);
    all.add("A report that exists", tool);
    provoke_resumes(all);
    all.field.write("in.report.partial.csv", "mine");
    let tool = all.field.tool(&["grant", "in.csv"]);
    all.add("A run that has not finished", tool);
}

/// A run that crashed before its record was complete, and what is in the way of taking it up.
fn provoke_resumes(all: &mut Provoked) {
    all.field.write("few.csv", format!("userID\n{A}\n"));
    assert_eq!(all.field.run(&["grant", "few.csv", "--until", "+4h"]).code, 0);
    let record = std::fs::read_to_string(all.field.path("few.report.run.json")).expect("a record");
    all.field.write("few.report.run.json", record.replace("\"completed\"", "\"running\""));
    let tool = all.field.tool(&["grant", "few.csv", "--until", "+4h"]);
    all.add("A report whose record is not complete", tool);
    let tool = all.field.tool(&["grant", "few.csv", "--until", "+5h", "--resume"]);
    all.add("A resume with another end date", tool);
    let tool = all.field.tool(&["audit", "few.csv", "--resume"]);
    all.add("A resume as another operation", tool);
}

/// Shards of a run that do not make a whole.
fn provoke_merges(all: &mut Provoked) {
    all.field.users(4, "2099-08-31");
    for (shard, until) in [("0/3", "2099-01-01"), ("1/3", "2099-01-01"), ("2/3", "2099-01-02")] {
        let shard = all.field.run(&["grant", "in.csv", "--shard", shard, "--until", until]);
        assert_eq!(shard.code, 0, "{}", shard.stderr);
    }
    let [first, second, third] = [0, 1, 2].map(|index| format!("in.{index}-of-3.report.csv"));
    let tool = all.field.tool(&["merge", "whole.csv", &first, &second]);
    all.add("A shard that is missing from a merge", tool);
    let tool = all.field.tool(&["merge", "whole.csv", &first, &second, &second]);
    all.add("A shard that is merged twice", tool);
    let tool = all.field.tool(&["merge", "whole.csv", &first, &second, &third]);
    all.add("A shard of another run", tool);
    let text = std::fs::read_to_string(all.field.path(&first)).expect("there");
    all.field.write(&first, text.replacen("granted", "kept", 1));
    assert_eq!(all.field.run(&["grant", "in.csv", "--shard", "2/3", "--until", "2099-01-01", "--overwrite"]).code, 0);
    let tool = all.field.tool(&["merge", "whole.csv", &first, &second, &third]);
    all.add("A shard's report that has changed since", tool);
    let record = third.replace(".csv", ".run.json");
    let text = std::fs::read_to_string(all.field.path(&record)).expect("there");
    all.field.write(&record, text.replacen("\"completed\"", "\"interrupted\"", 1));
    let tool = all.field.tool(&["merge", "whole.csv", &first, &second, &third]);
    all.add("A shard that is not finished", tool);
}

fn provoke_usage(all: &mut Provoked) {
    for (title, arguments) in [
        ("An option that does not exist", &["grant", "in.csv", "--untl", "+4h"][..]),
        ("An option without its value", &["grant", "in.csv", "--until"]),
        ("A value that an option does not take", &["grant", "in.csv", "--rate", "fast"]),
        ("Options that exclude each other", &["grant", "in.csv", "--resume", "--overwrite"]),
        ("A command that does not exist", &["gramt"]),
    ] {
        let mut tool = all.field.tool(&[]);
        tool.args(arguments);
        all.add(title, tool);
    }
}

#[test]
fn the_commonest_faults_say_what_to_do() {
    let mut all = Provoked { field: field(), text: String::new() };
    provoke_inputs(&mut all);
    provoke_connection(&mut all);
    provoke_files(&mut all);
    provoke_merges(&mut all);
    provoke_usage(&mut all);
    provoke_reports(&mut all);
    all.field = faulty("403=100%");
    all.field.users(200, "+4h");
    let tool = all.field.tool(&["grant", "in.csv", "--rate", "unlimited", "--concurrency", "1"]);
    all.add("An application without the role", tool);
    all.field = faulty("400=100%");
    all.field.users(5, "+4h");
    let tool = all.field.tool(&["grant", "in.csv", "--max-failures", "1", "--concurrency", "1"]);
    all.add("More failures than are allowed", tool);
    all.field = faulty("403=100%");
    all.field.write("in.csv", "email\nann@example.com\n");
    let tool = all.field.tool(&["grant", "in.csv", "--until", "+4h"]);
    all.add("An application that may not read the user list", tool);
    all.field = field_with(SandboxConfig { faults: "429=100%".parse().expect("faults"), ..SandboxConfig::default() });
    all.field.users(5, "+4h");
    let tool = all.field.tool(&["grant", "in.csv", "--give-up-after", "500ms"]);
    all.add("A rate limit that outlasts the patience", tool);

    let text = all.text.trim_end().to_owned() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/messages.txt");
    if std::env::var_os("UPDATE_MESSAGES").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    let kept = std::fs::read_to_string(&path).expect("there");
    assert!(text == kept, "the messages are not those of {}:\n{text}", path.display());
    let each: Vec<&str> = text.split("## ").skip(1).collect();
    assert!(each.len() >= 40, "{}", each.len());
    for message in each {
        let hints: Vec<&str> = message.lines().filter_map(|line| line.strip_prefix("hint: ")).collect();
        assert!(hints.len() == 1 && message.trim_end().ends_with(hints[0]), "it ends in one hint: {message}");
    }
}
