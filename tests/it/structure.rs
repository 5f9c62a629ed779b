//! The tree keeps its shape: imports between modules point down the table of `src/lib.rs`, and no file grows beyond 400 lines.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest that a file of `src` may be.
const MOST_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file below `folder`, with its text.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
    found
}

/// The row of each module in the table of `src/lib.rs`, counted from the top.
fn rows() -> HashMap<String, usize> {
    let text = fs::read_to_string(root().join("lib.rs")).expect("text");
    let cells = text.lines().filter_map(|line| line.strip_prefix("//! | ")).filter_map(|row| row.split(" | ").next());
    let named = cells.enumerate().flat_map(|(row, cell)| cell.split('`').skip(1).step_by(2).map(move |name| (name.to_owned(), row)));
    named.collect()
}

/// The module of `src` that a file belongs to.
fn module(path: &Path) -> String {
    let first = path.strip_prefix(root()).expect("below src").components().next().expect("a name");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Whether a file is compiled for tests alone.
fn is_of_tests(path: &Path) -> bool {
    let name = path.file_name().expect("a name").to_string_lossy();
    let for_tests = ["fuzz.rs", "logged.rs", "script.rs", "user_list.rs"];
    name.ends_with("tests.rs") || for_tests.contains(&&*name) || path.components().any(|part| part.as_os_str() == "simulation")
}

/// The code of a file up to the tests that stand in it. A test module in a file of its own is only named: what follows counts.
fn without_tests(text: &str) -> &str {
    const TESTS: &str = "#[cfg(test)]\nmod ";
    let inline = text.match_indices(TESTS).find(|(at, _)| text[at + TESTS.len()..].lines().next().is_some_and(|rest| rest.ends_with('{')));
    inline.map_or(text, |(at, _)| &text[..at])
}

/// The modules that the code of a file imports, tests and comments left out.
fn imports(text: &str) -> Vec<String> {
    let lines = without_tests(text).lines().filter(|line| !line.trim_start().starts_with("//"));
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    lines.flat_map(|line| line.split("crate::").skip(1).map(name)).filter(|name| !name.is_empty()).collect()
}

#[test]
fn imports_between_modules_point_down() {
    let rows = rows();
    assert!(rows.len() > 15, "{rows:?}");
    let mut upwards = Vec::new();
    let mut seen = 0;
    for (path, text) in files(&root()) {
        let from = module(&path);
        if is_of_tests(&path) || from == "main" || from == "lib" {
            continue;
        }
        for to in imports(&text) {
            let is_down = match (rows.get(&from), rows.get(&to)) {
                (Some(own), Some(other)) => own < other || from == to || (from.as_str(), to.as_str()) == ("config", "cli"),
                (Some(_) | None, None) | (None, Some(_)) => !rows.contains_key(&to) && to == "fuzz",
            };
            seen += 1;
            if !is_down {
                upwards.push(format!("{}: {from} -> {to}", path.display()));
            }
        }
    }
    assert!(seen > 100, "{seen}");
    assert!(upwards.is_empty(), "{upwards:#?}");
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let long: Vec<String> = files(&root())
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(path, lines)| format!("{}: {lines}", path.display()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// The files beside it that a file imports from.
fn neighbours(path: &Path, text: &str) -> Vec<PathBuf> {
    let lines = without_tests(text).lines().filter(|line| line.trim_start().starts_with("use "));
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let names = lines.flat_map(|line| line.split("super::").skip(1).map(name));
    names.map(|name| path.with_file_name(format!("{name}.rs"))).filter(|other| other.exists()).collect()
}

#[test]
fn no_files_of_a_folder_import_each_other_in_a_circle() {
    let all: HashMap<PathBuf, Vec<PathBuf>> = files(&root())
        .into_iter()
        .filter(|(path, _)| !is_of_tests(path) && path.file_name().is_some_and(|name| name != "mod.rs"))
        .map(|(path, text)| (path.clone(), neighbours(&path, &text)))
        .collect();
    assert!(all.values().map(Vec::len).sum::<usize>() > 100, "{all:?}");
    // What imports nothing that is left is taken out until nothing changes: what stays is in a circle, or imports one.
    let mut left = all;
    loop {
        let free: Vec<PathBuf> = left
            .iter()
            .filter(|(_, imports)| imports.iter().all(|other| !left.contains_key(other)))
            .map(|(path, _)| path.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        for path in free {
            left.remove(&path);
        }
    }
    assert!(left.is_empty(), "{:#?}", left.keys());
}
