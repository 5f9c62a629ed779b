//! Manual pages: one for the program and each of its commands, made by `clap_mangen`, and one for each topic of the reference.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::document::{Block, Look, Text, plain};
use super::{TOPICS, Topic};

/// A manual page.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its file's name, such as `pingone-bypass-grant.1`.
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
}

/// The day of the texts, which a manual page has in its foot. To be moved on with a release.
const DAY: &str = "2026-11-27";

/// All pages of `program`: commands in section 1, topics in section 7.
pub(crate) fn pages(program: &Command) -> io::Result<Vec<Page>> {
    let mut program = program.clone().disable_help_subcommand(true).propagate_version(true);
    program.build();
    let commands = std::iter::once(&program).chain(program.get_subcommands());
    let mut pages = commands.map(|command| command_page(command.clone())).collect::<io::Result<Vec<_>>>()?;
    pages.extend(TOPICS.iter().map(|topic| topic_page(program.get_name(), *topic)));
    Ok(pages)
}

fn command_page(command: Command) -> io::Result<Page> {
    // clap_mangen leaves out the text of an option that `-h` does not show.
    let command = command.mut_args(|argument| argument.hide_short_help(false));
    let (page, mut text) = (Man::new(command).date(DAY).source(source()), Vec::new());
    page.render(&mut text)?;
    // clap_mangen 0.3 breaks the line around an empty one, which mandoc warns of: the empty line alone is the same.
    let text = String::from_utf8_lossy(&text).replace(".br\n\n.br\n", ".sp\n");
    Ok(Page { name: page.get_filename(), text: text.into_bytes() })
}

/// The program and its version, in the foot of a page.
fn source() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

fn topic_page(program: &str, topic: Topic) -> Page {
    let name = format!("{program}-{}", topic.name);
    let document = topic.document();
    let mut roff = Roff::new();
    roff.control("TH", [name.as_str(), "7", DAY, &source()]);
    roff.control("SH", ["NAME"]).text([roman(format!("{name} - {}", document.title()))]);
    roff.control("SH", ["DESCRIPTION"]);
    // A heading begins a paragraph by itself.
    let mut is_begun = true;
    for block in &document.0 {
        push(&mut roff, block, is_begun);
        is_begun = matches!(block, Block::Title(_) | Block::Heading(_));
    }
    Page { name: format!("{name}.7"), text: roff.render().into_bytes() }
}

fn push(roff: &mut Roff, block: &Block, is_begun: bool) {
    match block {
        Block::Title(_) => {}
        Block::Heading(text) => {
            roff.control("SH", [plain(text).to_uppercase().as_str()]);
        }
        Block::Paragraph(text) => {
            paragraph(roff, is_begun).text(inlines(text));
        }
        Block::Point(text) => {
            roff.control("IP", ["\\(bu", "2"]).text(inlines(text));
        }
        Block::Code(lines) => {
            paragraph(roff, is_begun).control("RS", ["4"]).control("nf", []);
            for line in lines.lines() {
                roff.text([roman(line)]);
            }
            roff.control("fi", []).control("RE", []);
        }
        Block::Table { head, rows } => {
            for row in rows {
                push_row(roff, head, row);
            }
        }
    }
}

fn paragraph(roff: &mut Roff, is_begun: bool) -> &mut Roff {
    if is_begun { roff } else { roff.control("PP", []) }
}

/// A row of a table: its first cell, and the others below it, each with its column's head.
fn push_row(roff: &mut Roff, head: &[Text], row: &[Text]) {
    let [name, cells @ ..] = row else { return };
    roff.control("TP", ["4"]);
    let is_named = !name.is_empty();
    roff.text(if is_named { vec![bold(plain(name))] } else { vec![roman("\u{2013}")] });
    let cells: Vec<_> = head.iter().skip(1).zip(cells).filter(|(_, cell)| !cell.is_empty()).collect();
    for (at, (head, cell)) in cells.iter().enumerate() {
        if at > 0 {
            roff.control("br", []);
        }
        let mut line = inlines(cell);
        if cells.len() > 1 && at > 0 {
            line.insert(0, roman(format!("{}: ", plain(head))));
        }
        roff.text(line);
    }
}

fn inlines(text: &Text) -> Vec<Inline> {
    text.iter()
        .map(|span| match span.look {
            Look::Plain => roman(span.text.as_str()),
            Look::Code | Look::Strong => bold(span.text.as_str()),
        })
        .collect()
}
