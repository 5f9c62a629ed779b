//! The page as HTML. maud escapes every text; what is not escaped are our own style and pictures.

mod changes;
mod course;
mod ends;
mod evidence;
mod failures;
mod parts;
mod results;
mod story;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::changes::Changes;
use super::figures::RunFigures;
use super::told::Told;
use super::{Link, Users};

use self::parts::foreign;

/// The only style of the page.
const STYLE: &str = include_str!("style.css");

/// The file that the page is about.
#[derive(Debug)]
pub(super) struct Source {
    /// Its name, without its folder.
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) users: Users,
    pub(super) link: Link,
}

/// The page of a run's report.
pub(super) fn page_of_run(source: &Source, figures: &RunFigures, told: Option<&Told>, faults: &[String]) -> String {
    let title = story::title(source, told);
    let parts = html! {
        (story::story(figures, told, faults))
        (story::facts(source, told))
        (results::results(figures, told))
        (failures::failures(source, figures, told))
        (course::course(figures, told))
        (ends::ends(figures))
        (evidence::evidence(source, told, faults))
    };
    document(source, &title, faults, &parts)
}

/// The page of what `diff` has written.
pub(super) fn page_of_diff(source: &Source, changes: &Changes, faults: &[String]) -> String {
    let parts = html! {
        (changes::changes(source, changes))
        (ends::ends_of_changed(&changes.ends))
        (evidence::evidence_of_diff(source))
    };
    document(source, "What changed between two audits of MFA bypasses", faults, &parts)
}

fn document(source: &Source, title: &str, faults: &[String], parts: &Markup) -> String {
    let digest = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    @if !faults.is_empty() { (warning(faults)) }
                    h1 { (title) }
                    (parts)
                }
                footer {
                    p {
                        "Made by pingone-bypass " (env!("CARGO_PKG_VERSION")) " from " (report(source))
                        ". All times are UTC. This file loads nothing and runs nothing; it can be mailed, printed and kept."
                    }
                    @if source.users == Users::LeftOut {
                        p { "Users are left out of this page: no IDs, names or columns of the input, and no messages that may name them." }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// What is wrong, before everything else.
fn warning(faults: &[String]) -> Markup {
    html! {
        div.warning role="alert" {
            p { strong { "Warning: do not rely on this page before you know why." } }
            ul { @for fault in faults { li { (foreign(fault)) } } }
        }
    }
}

/// The report by its name, as a link if it is known to stand beside the page. The name cannot be taken for an address: it begins
/// with `./`, and all but plain characters are percent-encoded.
fn report(source: &Source) -> Markup {
    match source.link {
        Link::Beside => html! { a href=(address(&source.name)) { (foreign(&source.name)) } },
        Link::Elsewhere => html! { code { (foreign(&source.name)) } },
    }
}

fn address(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let encoded = name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    format!("./{}", encoded.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_no_address_of_another_kind() {
        for (name, expected) in [
            ("users.report.csv", "./users.report.csv"),
            ("javascript:alert(1).csv", "./javascript%3Aalert%281%29.csv"),
            ("a b\"><x>\u{202e}.csv", "./a%20b%22%3E%3Cx%3E%E2%80%AE.csv"),
            ("..", "./.."),
        ] {
            assert_eq!(address(name), expected);
        }
    }

    #[test]
    fn the_style_cannot_end_its_element_and_names_no_address() {
        assert!(!STYLE.contains('<') && !STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
