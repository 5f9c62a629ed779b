//! The reference, offline. Its texts are Markdown files in `topics`: [`terminal`] renders them for `explain`, [`manual`] as manual
//! pages, and the README's tables are copies of theirs, which a test compares.
//!
//! A *topic* is one text. An *entry* is one row of a topic's tables, found by its first cell: a result, a column, an exit code, a
//! guard. An *option* is described by clap, from the help of the commands that have it.

mod document;
mod manual;
mod option;
mod terminal;

use self::document::{Document, Row};

pub(crate) use self::manual::pages;
pub(crate) use self::option::OptionHelp;
pub(crate) use self::terminal::Style;

/// One text of the reference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    /// Its text, as Markdown.
    pub(crate) markdown: &'static str,
}

macro_rules! topics {
    ($($name:literal),* $(,)?) => {
        /// Every topic, in the order in which a newcomer would read them.
        pub(crate) const TOPICS: &[Topic] = &[$(Topic { name: $name, markdown: include_str!(concat!("topics/", $name, ".md")) }),*];
    };
}

topics![
    "incident",
    "input",
    "dates",
    "safety",
    "restore",
    "audits",
    "report",
    "results",
    "files",
    "page",
    "exit-codes",
    "resume",
    "pace",
    "secrets",
    "sandbox",
    "shards",
    "api",
];

impl Topic {
    fn document(self) -> Document {
        Document::parse(self.markdown)
    }

    /// Its title, without the name.
    pub(crate) fn title(self) -> String {
        self.document().title()
    }
}

/// What `explain NAME` found.
#[derive(Debug)]
pub(crate) enum Explanation {
    Topic(Topic),
    /// Rows of tables whose first cell is the name, each with its topic.
    Entries(Vec<(Topic, Row)>),
    Option(OptionHelp, Vec<Topic>),
}

/// Looks `name` up: a topic, an option of one of the commands of `program`, or an entry. Case does not matter.
///
/// # Errors
///
/// The names that are most like it, best first, if there is no such thing.
pub(crate) fn explain(name: &str, program: &clap::Command) -> Result<Explanation, Vec<String>> {
    let wanted = name.trim().to_lowercase();
    if let Some(topic) = TOPICS.iter().find(|topic| topic.name == wanted) {
        return Ok(Explanation::Topic(*topic));
    }
    if let Some(help) = OptionHelp::find(&wanted, program) {
        let topics = TOPICS.iter().copied().filter(|topic| topic.document().names(&help.name)).collect();
        return Ok(Explanation::Option(help, topics));
    }
    let entries: Vec<(Topic, Row)> = entries().filter(|(_, row)| row.names().any(|name| name.to_lowercase() == wanted)).collect();
    if !entries.is_empty() {
        return Ok(Explanation::Entries(entries));
    }
    Err(similar(&wanted, program))
}

/// Text of the reference, in pieces: each with whether it is a name or a value, as typed.
pub(crate) type Said = Vec<(String, bool)>;

/// What the topic `results` says of a result in its column `head`, `meaning` or `next step`; `None` if it says nothing.
pub(crate) fn said_of_result(result: &str, head: &str) -> Option<Said> {
    let rows = TOPICS.iter().find(|topic| topic.name == "results")?.document().rows();
    let mut cells = rows.iter().filter(|row| row.names().any(|name| name == result)).filter_map(|row| {
        let column = row.head.iter().position(|name| document::plain(name) == head)?;
        row.cells.get(column)
    });
    let text = cells.next()?;
    Some(text.iter().map(|span| (span.text.clone(), span.look == document::Look::Code)).collect())
}

/// Every row of every topic's tables.
fn entries() -> impl Iterator<Item = (Topic, Row)> {
    TOPICS.iter().flat_map(|topic| topic.document().rows().into_iter().map(|row| (*topic, row)))
}

/// Up to three known names that are similar to `wanted`.
fn similar(wanted: &str, program: &clap::Command) -> Vec<String> {
    /// As clap has it for its own suggestions.
    const LIKE: f64 = 0.7;
    let names = TOPICS.iter().map(|topic| topic.name.to_owned());
    let names =
        names.chain(OptionHelp::names(program)).chain(entries().flat_map(|(_, row)| row.names().map(str::to_owned).collect::<Vec<_>>()));
    let mut like: Vec<(f64, String)> =
        names.map(|name| (strsim::jaro(wanted, &name.to_lowercase()), name)).filter(|(how, _)| *how > LIKE).collect();
    like.sort_by(|(a, left), (b, right)| b.total_cmp(a).then_with(|| left.cmp(right)));
    like.dedup_by(|(_, left), (_, right)| left == right);
    like.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests;
