use super::document::Block;
use super::*;
use crate::cli::Cli;
use crate::domain::Outcome;
use crate::exit;
use crate::report::COLUMNS;

#[test]
fn every_topic_has_a_title_and_a_text() {
    for topic in TOPICS {
        assert!(topic.title().len() > 3, "{}", topic.name);
        let blocks = topic.document().0;
        assert!(blocks.len() > 2 && matches!(blocks[0], Block::Title(_)), "{}", topic.name);
    }
}

#[test]
fn what_is_misspelt_gets_similar_names() {
    let program = Cli::program();
    let names = |wanted| explain(wanted, &program).expect_err("no such name");
    assert_eq!(names("mismtach")[0], "mismatch");
    assert_eq!(names("--cannary")[0], "--canary");
    assert!(names("qqqqqqq").is_empty());
}

#[test]
fn an_option_says_who_has_it_and_where_to_read_on() {
    let program = Cli::program();
    let Ok(Explanation::Option(help, topics)) = explain("--canary", &program) else { panic!("an option") };
    assert_eq!(
        (help.name.as_str(), help.usage.as_str(), help.commands.join(" ").as_str()),
        ("--canary", "--canary <N>", "grant audit end")
    );
    assert!(topics.iter().any(|topic| topic.name == "safety"), "{topics:?}");
    let Ok(Explanation::Option(help, _)) = explain("-o", &program) else { panic!("an option") };
    assert_eq!(help.name, "--output");
}

#[test]
fn every_result_column_exit_code_and_option_is_explained() {
    let program = Cli::program();
    let of_kind = |name: &str, kind: &str| {
        let Ok(Explanation::Entries(entries)) = explain(name, &program) else { panic!("{name}: not explained") };
        let kinds: Vec<String> = entries.iter().map(|(_, row)| super::document::plain(&row.head[0])).collect();
        assert!(kinds.iter().any(|found| found == kind), "{name}: {kinds:?}");
    };
    for outcome in Outcome::ALL {
        of_kind(outcome.name(), "result");
    }
    for column in COLUMNS {
        of_kind(column, "column");
    }
    let codes = [
        exit::EXIT_SUCCESS,
        exit::EXIT_ROWS_FAILED,
        exit::EXIT_USAGE,
        exit::EXIT_STOPPED,
        exit::EXIT_REFUSED,
        exit::EXIT_FILES,
        exit::EXIT_SIGINT,
        exit::EXIT_SIGTERM,
        exit::EXIT_SIGHUP,
    ];
    for code in codes {
        of_kind(&code.to_string(), "exit code");
    }
    let mut options = 0;
    for name in OptionHelp::names(&program) {
        let Ok(Explanation::Option(help, _)) = explain(&name, &program) else { panic!("{name}: not explained") };
        assert!(help.name == name && help.text.len() > 5 && !help.commands.is_empty(), "{help:?}");
        options += 1;
    }
    assert!(options > 40, "{options}");
}

#[test]
fn results_count_as_the_program_counts_them() {
    let document = TOPICS.iter().find(|topic| topic.name == "results").expect("a topic").document();
    let rows = document.rows();
    for outcome in Outcome::ALL {
        let row = rows.iter().find(|row| row.head.len() == 3 && row.names().any(|name| name == outcome.name())).expect("a row");
        let mut tally = crate::domain::Tally::default();
        tally.add(outcome);
        let counts = super::document::plain(&row.cells[2]);
        let is_failure = tally.failures() == 1;
        assert_eq!(counts == "failure", is_failure, "{outcome}: {counts}");
    }
}

#[test]
fn every_failure_has_a_next_step_and_every_result_a_meaning() {
    for outcome in Outcome::ALL {
        assert!(said_of_result(outcome.name(), "meaning").is_some(), "{outcome}");
        let is_failure = outcome.counts() == crate::domain::Counts::Failure;
        assert_eq!(said_of_result(outcome.name(), "next step").is_some(), is_failure, "{outcome}");
    }
    let step = said_of_result("failed", "next step").expect("a step");
    assert!(step.contains(&("--resume".to_owned(), true)), "{step:?}");
}

#[test]
fn a_topic_is_named_by_no_option_that_is_not_there() {
    let program = Cli::program();
    let known: Vec<String> = OptionHelp::names(&program).collect();
    for topic in TOPICS {
        let words = topic.markdown.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| word.starts_with("--"));
        for word in words.filter(|word| word.len() > 3) {
            assert!(known.iter().any(|name| name == word), "{}: {word}", topic.name);
        }
    }
}

#[test]
fn lines_fit_the_width_and_no_colour_is_written_where_there_is_none() {
    for columns in [40, 80, 100] {
        for topic in TOPICS {
            let text = Style { columns, has_color: false }.explanation(&Explanation::Topic(*topic));
            assert!(!text.contains('\u{1b}'), "{}", topic.name);
            let is_prose = |line: &&str| !line.starts_with("    ");
            let longest = text.lines().filter(is_prose).map(|line| line.chars().count()).max().expect("lines");
            assert!(longest <= columns.max(60), "{}: {longest} of {columns}", topic.name);
            let coloured = Style { columns, has_color: true }.explanation(&Explanation::Topic(*topic));
            assert!(coloured.contains("\u{1b}[1m"), "{}", topic.name);
        }
    }
}

#[test]
fn there_is_a_manual_page_for_each_command_and_topic() {
    let program = Cli::program();
    let pages = pages(&program).expect("pages");
    let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
    assert_eq!(names.len(), 1 + program.get_subcommands().count() + TOPICS.len(), "{names:?}");
    for name in ["pingone-bypass.1", "pingone-bypass-grant.1", "pingone-bypass-exit-codes.7"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), names.len(), "{names:?}");
}
