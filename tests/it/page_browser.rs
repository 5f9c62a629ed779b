//! A page in a browser: it loads nothing, runs nothing, and says nothing on the console. Skipped where no Chromium is installed.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pingone_bypass::sandbox::SandboxConfig;

use crate::harness::{Field, field_with};
use crate::page::{assert_well_formed, hostile};

/// The browser, if there is one: `$CHROMIUM`, or the first on the search path.
fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

#[expect(clippy::print_stderr, reason = "a test that does nothing should not look like one that passed")]
fn skipped() {
    eprintln!("skipped: no Chromium is installed");
}

/// What the browser made of a file.
struct Seen {
    /// The document after it was opened.
    document: String,
    /// The messages on the page's console.
    console: Vec<String>,
    /// What the page asked for over the network, by the browser's own log.
    asked: Vec<String>,
}

fn open(browser: &Path, field: &Field, name: &str) -> Seen {
    let log = field.path("net.json");
    let mut profile = OsString::from("--user-data-dir=");
    profile.push(field.path("profile"));
    let mut network = OsString::from("--log-net-log=");
    network.push(&log);
    let done = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"])
        .args(["--disable-sync", "--no-first-run", "--disable-default-apps", "--disable-extensions", "--enable-logging=stderr", "--v=0"])
        .args(["--virtual-time-budget=3000", "--dump-dom"])
        .args([profile, network])
        .arg(format!("file://{}", field.path(name).display()))
        .output()
        .expect("the browser runs");
    let messages = String::from_utf8_lossy(&done.stderr).into_owned();
    let document = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(document.contains("</html>"), "{messages}");
    // The browser looks for updates and accounts by itself; what a page asks for goes to the hosts that the page names.
    let log = fs::read_to_string(log).expect("a log");
    let asked = log.lines().filter(|line| line.contains("\"url\":\"http://127.0.0.1") || line.contains("\"url\":\"http://page.invalid"));
    let console = messages.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Seen { document, console, asked: asked.map(str::to_owned).collect() }
}

/// A server that counts who connects to it.
fn trap() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicU64::new(0));
    let connections = Arc::clone(&count);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            connections.fetch_add(1, Ordering::SeqCst);
            if let Ok(mut connection) = connection {
                drop(connection.set_read_timeout(Some(Duration::from_millis(200))));
                drop(connection.read(&mut [0; 1024]));
            }
        }
    });
    (url, count)
}

fn granted() -> Field {
    let faults = "400=20%,500=20%".parse().expect("faults");
    let field = field_with(SandboxConfig { users: Some(60), faults, ..SandboxConfig::default() });
    field.users(70, "2099-08-30");
    let done = field.run(&["grant", "in.csv", "--max-failures", "100%", "--max-attempts", "2", "--rate", "unlimited", "--reason", "r"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    field
}

#[test]
fn a_browser_asks_for_nothing_and_has_nothing_to_say_whatever_the_report_holds() {
    let Some(browser) = browser() else {
        return skipped();
    };
    let field = granted();
    let (url, connections) = trap();
    // What would be asked for, if any of it were read as HTML, CSS or an address.
    let mark = format!(
        "<img src={url}/a><link rel=stylesheet href={url}/b><script src={url}/c></script><style>@import '{url}/d';</style>\
         \"'><svg onload=\"fetch('{url}/e')\"><meta http-equiv=refresh content='0;url={url}/f'><iframe src={url}/g></iframe>"
    );
    hostile(&field, &mark);
    let done = field.run(&["page", "in.report.csv"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_well_formed(&fs::read_to_string(field.path("in.report.html")).expect("a page"));
    let seen = open(&browser, &field, "in.report.html");
    assert_eq!(seen.console, Vec::<String>::new());
    assert_eq!(seen.asked, Vec::<String>::new());
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    for absent in ["<script", "<img", "<link", "<iframe"] {
        assert!(!seen.document.contains(&format!("{absent} ")) && !seen.document.contains(&format!("{absent}>")), "{absent}");
    }
    // The parser has found nothing to mend: the document has as many elements of each kind as the file.
    let file = fs::read_to_string(field.path("in.report.html")).expect("a page");
    for element in ["<meta", "<section", "<table", "<tr", "<td", "<svg", "<data", "<details", "<bdi", "<p"] {
        let count = |text: &str| [" ", ">"].iter().map(|end| text.matches(&format!("{element}{end}")).count()).sum::<usize>();
        assert_eq!(count(&seen.document), count(&file), "{element}");
    }
}

#[test]
fn a_browser_that_is_asked_for_more_is_noticed() {
    let Some(browser) = browser() else {
        return skipped();
    };
    let field = field_with(SandboxConfig::default());
    let (url, connections) = trap();
    field.write("bad.html", format!("<!DOCTYPE html><html><body><img src=\"{url}/a\"><script>console.log('said')</script></body></html>"));
    let seen = open(&browser, &field, "bad.html");
    assert!(!seen.console.is_empty() && !seen.asked.is_empty() && connections.load(Ordering::SeqCst) > 0, "{:?}", seen.console);
}

#[test]
fn the_policy_stops_what_would_be_there_by_a_fault() {
    let Some(browser) = browser() else {
        return skipped();
    };
    let field = granted();
    let (url, connections) = trap();
    assert_eq!(field.run(&["page", "in.report.csv"]).code, 0);
    let page = fs::read_to_string(field.path("in.report.html")).expect("a page");
    let evil = format!("<img src=\"{url}/a\"><script>fetch('{url}/b'); document.title = 'taken'</script></main>");
    field.write("in.report.html", page.replacen("</main>", &evil, 1));
    let seen = open(&browser, &field, "in.report.html");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    assert!(!seen.console.is_empty() && !seen.document.contains("<title>taken"), "{:?}", seen.console);
}
