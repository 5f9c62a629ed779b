//! The reference from outside: `explain` and `man`, on a terminal, in a pipe, and as other programs read the pages.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Done, done, tool};
use crate::terminal::Terminal;

/// The topics of the reference, by the names of their files.
fn topics() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/explain/topics");
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

fn run(words: &[&str]) -> Done {
    done(tool().args(words).output().expect("the tool runs"))
}

#[test]
fn without_a_name_the_topics_are_listed_each_of_which_is_shown() {
    let list = run(&["explain"]);
    assert_eq!((list.code, list.stderr.as_str()), (0, ""));
    let topics = topics();
    assert!(topics.len() > 10, "{topics:?}");
    for topic in topics {
        assert!(list.stdout.lines().any(|line| line.split_whitespace().next() == Some(&topic)), "{topic}: {}", list.stdout);
        let shown = run(&["explain", &topic]);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{topic}");
        assert!(shown.stdout.lines().count() > 3 && !shown.stdout.contains('\u{1b}'), "{topic}: {}", shown.stdout);
    }
}

#[test]
fn results_columns_codes_and_options_are_explained() {
    for (name, said) in [
        ("mismatch", "mismatch (result)\n"),
        ("MISMATCH", "mismatch (result)\n"),
        ("errorId", "errorId (column)\n"),
        ("3", "3 (exit code)\n"),
        ("--canary", "--canary <N> (grant, audit, end)\n"),
        ("-o", "-o, --output <PATH> (grant, audit, end, users, page)\n"),
    ] {
        let shown = run(&["explain", name]);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{name}");
        assert!(shown.stdout.contains(said), "{name}: {}", shown.stdout);
    }
}

#[test]
fn an_unknown_name_is_refused_with_a_hint() {
    for (name, hint) in [
        ("mismtach", "hint: did you mean `mismatch`"),
        ("--cannary", "hint: did you mean `--canary`"),
        ("qqqqqqq", "hint: `pingone-bypass explain` lists the topics"),
    ] {
        let refused = run(&["explain", name]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains(&format!("`{name}` is no topic")) && refused.stderr.contains(hint), "{}", refused.stderr);
    }
}

/// On a terminal of 24 lines a topic is longer than the screen, and goes through the pager.
#[test]
fn a_long_topic_goes_through_the_pager_in_colour_unless_there_is_to_be_none() {
    for (no_color, has_color) in [(None, true), (Some(""), true), (Some("1"), false)] {
        let mut tool = tool();
        tool.args(["explain", "results"]).env("PAGER", "cat; echo the pager has ended");
        if let Some(value) = no_color {
            tool.env("NO_COLOR", value);
        }
        let (code, shown) = Terminal::of(&tool, 100).ended();
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("mismatch") && shown.ends_with("the pager has ended\r\n"), "{shown}");
        assert_eq!(shown.contains("\u{1b}[1m"), has_color, "{no_color:?}: {shown}");
        assert_eq!(shown.contains('\u{1b}'), has_color, "{no_color:?}: {shown}");
    }
}

#[test]
fn what_fits_the_screen_and_what_no_pager_can_show_is_shown_without_one() {
    for (name, pager) in [("mismatch", "echo paged; cat"), ("results", "/nonexistent/pager 2>/dev/null")] {
        let mut tool = tool();
        tool.args(["explain", name]).env("PAGER", pager);
        let (code, shown) = Terminal::of(&tool, 100).ended();
        assert!(code == Some(0) && shown.contains("mismatch") && !shown.contains("paged"), "{name}: {shown}");
    }
}

/// The manual pages, in a folder that `man` has made.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.join("new/man");
    let written = run(&["man", &folder.display().to_string()]);
    assert_eq!((written.code, written.stdout.as_str(), written.stderr.as_str()), (0, "", ""));
    std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn there_is_a_page_for_the_program_each_command_and_each_topic() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = pages(folder.path());
    let names: Vec<String> = pages.iter().map(|page| page.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    let commands = [
        "",
        "-grant",
        "-audit",
        "-end",
        "-users",
        "-diff",
        "-merge",
        "-verify",
        "-page",
        "-doctor",
        "-explain",
        "-man",
        "-completions",
        "-sandbox",
    ];
    let of_commands = commands.iter().map(|command| format!("pingone-bypass{command}.1"));
    let of_topics = topics().into_iter().map(|topic| format!("pingone-bypass-{topic}.7"));
    let mut expected: Vec<String> = of_commands.chain(of_topics).collect();
    let mut found = names.clone();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let grant = std::fs::read_to_string(folder.path().join("new/man/pingone-bypass-grant.1")).expect("text");
    let options = grant.split("\n.TP\n\\fB\\-").skip(1);
    let (mut seen, mut blank) = (0, Vec::new());
    for option in options {
        seen += 1;
        let (usage, text) = option.split_once('\n').expect("lines");
        if text.lines().next().is_none_or(|line| line.len() < 10) {
            blank.push(usage);
        }
    }
    assert!(seen > 40 && blank.is_empty(), "{seen} options, of which these have no text: {blank:?}");
    let of_program = run(&["man"]);
    assert!(of_program.code == 0 && of_program.stdout.contains(".TH pingone-bypass 1"), "{}", of_program.stdout);
}

#[expect(clippy::print_stderr, reason = "a test that does nothing should not look like one that passed")]
fn skipped(program: &str, error: &std::io::Error) {
    eprintln!("skipped: {program} cannot be run: {error}");
}

/// A page is what `man` and mandoc take for one, without a warning. Passes over the one that is not installed.
#[test]
fn man_and_mandoc_have_nothing_to_warn_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = pages(folder.path());
    for (program, arguments) in [("man", &["--warnings", "--local-file"][..]), ("mandoc", &["-T", "lint", "-W", "warning"])] {
        // `man` has no exit code for warnings, and mandoc prints them to standard output.
        if let Err(error) = Command::new(program).arg("--version").output() {
            skipped(program, &error);
            continue;
        }
        for page in &pages {
            let mut reader = Command::new(program);
            reader.args(arguments).arg(page).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100").env("MANPAGER", "cat");
            let read = done(reader.output().expect("it runs"));
            let warned = if program == "man" { &read.stderr } else { &read.stdout };
            assert_eq!((read.code, warned.as_str(), read.stderr.as_str()), (0, "", ""), "{program} {}", page.display());
        }
    }
}
