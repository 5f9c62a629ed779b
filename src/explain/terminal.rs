//! Texts of the reference for a terminal, or for whatever standard output is.

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use console::Style as Paint;

use super::document::{Block, Look, Row, Text, plain};
use super::{Explanation, OptionHelp, TOPICS, Topic};

/// How wide a text may be, in columns, and whether it has colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) columns: usize,
    pub(crate) has_color: bool,
}

const RULE: LineStyle = LineStyle { left: None, fill: Some('─'), junction: Some('─'), right: None };
/// A line below the head, and nothing else.
const RULED: TableStyle = TableStyle::new().header_separator(RULE);

/// Below the list of topics and an unknown name.
const ALSO: &str = "`pingone-bypass explain NAME` also takes a result, a column, an exit code or an option, \
                    such as `explain mismatch`, `explain 3`, `explain --canary`.";

impl Style {
    /// The list of topics.
    pub(crate) fn topics(self) -> String {
        let rows = TOPICS.iter().map(|topic| vec![self.strong(topic.name), topic.title()]);
        format!("{}\n{}\n", self.table(None, rows), self.wrapped(ALSO, "", ""))
    }

    pub(crate) fn explanation(self, explanation: &Explanation) -> String {
        match explanation {
            Explanation::Topic(topic) => self.topic(*topic),
            Explanation::Entries(entries) => self.entries(entries),
            Explanation::Option(help, topics) => self.option(help, topics),
        }
    }

    fn topic(self, topic: Topic) -> String {
        let blocks = topic.document().0;
        let mut text = String::new();
        for (at, block) in blocks.iter().enumerate() {
            // Points of one list stand without blank lines between them.
            let goes_on = at > 0 && matches!((&blocks[at - 1], block), (Block::Point(_), Block::Point(_)));
            if at > 0 && !goes_on {
                text.push('\n');
            }
            text.push_str(&self.block(block));
        }
        text
    }

    fn block(self, block: &Block) -> String {
        match block {
            Block::Title(text) | Block::Heading(text) => self.strong(&plain(text)) + "\n",
            Block::Paragraph(text) => self.wrapped(&self.shown(text), "", ""),
            Block::Point(text) => self.wrapped(&self.shown(text), "- ", "  "),
            Block::Code(lines) => lines.lines().map(|line| format!("    {line}\n")).collect(),
            Block::Table { head, rows } => {
                let cells = |row: &Vec<Text>| row.iter().map(|text| plain(text)).collect();
                self.table(Some(head.iter().map(|text| plain(text)).collect()), rows.iter().map(cells))
            }
        }
    }

    /// Rows of tables: for each kind of thing, its name, the cells of all its rows, and where they stand.
    fn entries(self, entries: &[(Topic, Row)]) -> String {
        let of_one_kind = |(a, left): &(Topic, Row), (b, right): &(Topic, Row)| a.name == b.name && left.head[0] == right.head[0];
        let kinds = entries.chunk_by(of_one_kind).filter_map(|rows| self.entry(rows));
        kinds.collect::<Vec<_>>().join("\n")
    }

    fn entry(self, rows: &[(Topic, Row)]) -> Option<String> {
        let (topic, first) = rows.first()?;
        let mut text = format!("{} ({})\n", self.strong(&plain(first.cells.first()?)), plain(first.head.first()?));
        let cells = rows.iter().flat_map(|(_, row)| row.head.iter().zip(&row.cells).skip(1));
        for (head, cell) in cells.filter(|(_, cell)| !cell.is_empty()) {
            text.push_str(&self.wrapped(&format!("{}: {}", plain(head), self.shown(cell)), "  ", "    "));
        }
        Some(text + &self.see(&[*topic]))
    }

    fn option(self, help: &OptionHelp, topics: &[Topic]) -> String {
        let mut text = format!("{} ({})\n", self.strong(&help.usage), help.commands.join(", "));
        for paragraph in help.text.split("\n\n") {
            text.push_str(&self.wrapped(paragraph, "  ", "  "));
        }
        for note in &help.notes {
            text.push_str(&self.wrapped(note, "  ", "    "));
        }
        text + &self.see(topics)
    }

    fn see(self, topics: &[Topic]) -> String {
        let names: Vec<String> = topics.iter().map(|topic| format!("`explain {}`", topic.name)).collect();
        if names.is_empty() { String::new() } else { self.wrapped(&format!("see {}", names.join(", ")), "  ", "  ") }
    }

    /// A text in one line. Code is bold where there are colours, and between backticks where not.
    fn shown(self, text: &Text) -> String {
        let shown = |look, text: &str| match look {
            Look::Plain => text.to_owned(),
            Look::Code if self.has_color => self.strong(text),
            Look::Code => format!("`{text}`"),
            Look::Strong => self.strong(text),
        };
        text.iter().map(|span| shown(span.look, &span.text)).collect()
    }

    fn strong(self, text: &str) -> String {
        Paint::new().bold().force_styling(self.has_color).apply_to(text).to_string()
    }

    /// The text in lines that end in a line feed: the first begins with `first`, the others with `others`.
    fn wrapped(self, text: &str, first: &str, others: &str) -> String {
        let options = textwrap::Options::new(self.columns).initial_indent(first).subsequent_indent(others).break_words(false);
        textwrap::fill(text, options) + "\n"
    }

    fn table(self, head: Option<Vec<String>>, rows: impl Iterator<Item = Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(RULED);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::try_from(self.columns).unwrap_or(u16::MAX));
        if let Some(head) = head {
            table.set_header(head);
        }
        table.add_rows(rows);
        let lines = table.trim_fmt();
        lines.lines().map(|line| format!("{line}\n")).collect()
    }
}
