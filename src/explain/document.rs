//! A text of the reference as blocks, parsed from Markdown.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A whole text.
#[derive(Debug, Default)]
pub(super) struct Document(pub(super) Vec<Block>);

/// A part of a text that begins on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    Title(Text),
    Heading(Text),
    Paragraph(Text),
    /// One point of a list.
    Point(Text),
    /// Lines to be shown as they are.
    Code(String),
    Table {
        head: Vec<Text>,
        rows: Vec<Vec<Text>>,
    },
}

/// Text in one line, in pieces of different looks.
pub(super) type Text = Vec<Span>;

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) look: Look,
}

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    /// A name or a value, as typed.
    Code,
    Strong,
}

/// A row of a table, with the table's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(super) head: Vec<Text>,
    pub(super) cells: Vec<Text>,
}

impl Row {
    /// What the first cell names: each piece of code in it, or all of it if there is none.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let first = self.cells.first().map(Vec::as_slice).unwrap_or_default();
        let has_code = first.iter().any(|span| span.look == Look::Code);
        first.iter().filter(move |span| !has_code || span.look == Look::Code).map(|span| span.text.as_str())
    }
}

impl Document {
    pub(super) fn parse(markdown: &str) -> Self {
        let mut reader = Reader::default();
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
            reader.take(event);
        }
        Self(reader.blocks)
    }

    pub(super) fn title(&self) -> String {
        self.0.iter().find_map(|block| if let Block::Title(text) = block { Some(plain(text)) } else { None }).unwrap_or_default()
    }

    /// Whether a piece of code in the text begins with `name`, as a whole word.
    pub(super) fn names(&self, name: &str) -> bool {
        let is_named = |text: &str| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).any(|word| word == name);
        self.texts().any(|text| text.iter().any(|span| span.look == Look::Code && is_named(&span.text)))
    }

    fn texts(&self) -> impl Iterator<Item = &Text> {
        self.0.iter().flat_map(|block| match block {
            Block::Title(text) | Block::Heading(text) | Block::Paragraph(text) | Block::Point(text) => vec![text],
            Block::Code(_) => vec![],
            Block::Table { rows, .. } => rows.iter().flatten().collect(),
        })
    }

    /// Every row of every table.
    pub(super) fn rows(&self) -> Vec<Row> {
        let of = |block: &Block| match block {
            Block::Table { head, rows } => rows.iter().map(|cells| Row { head: head.clone(), cells: cells.clone() }).collect(),
            Block::Title(_) | Block::Heading(_) | Block::Paragraph(_) | Block::Point(_) | Block::Code(_) => Vec::new(),
        };
        self.0.iter().flat_map(of).collect()
    }
}

/// A text without its looks.
pub(super) fn plain(text: &[Span]) -> String {
    text.iter().map(|span| span.text.as_str()).collect()
}

/// Collects blocks from the events of the parser.
#[derive(Debug, Default)]
struct Reader {
    blocks: Vec<Block>,
    text: Text,
    strong: usize,
    code: Option<String>,
    row: Vec<Text>,
    head: Vec<Text>,
    rows: Vec<Vec<Text>>,
    is_point: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.push(&text, if self.strong > 0 { Look::Strong } else { Look::Plain }),
            },
            Event::Code(text) => self.push(&text, Look::Code),
            Event::SoftBreak | Event::HardBreak => self.push(" ", Look::Plain),
            // `<auth>` is no element of HTML here but a placeholder.
            Event::InlineHtml(text) | Event::Html(text) => self.push(&text, Look::Plain),
            Event::InlineMath(_) | Event::DisplayMath(_) | Event::FootnoteReference(_) | Event::Rule | Event::TaskListMarker(_) => {}
        }
    }

    fn push(&mut self, text: &str, look: Look) {
        match self.text.last_mut() {
            Some(last) if last.look == look && look != Look::Code => last.text.push_str(text),
            Some(_) | None => self.text.push(Span { text: text.to_owned(), look }),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's events; the texts have no others")]
    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::CodeBlock(_) => self.code = Some(String::new()),
            Tag::Strong => self.strong += 1,
            Tag::Item => self.is_point = true,
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's events; the texts have no others")]
    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(pulldown_cmark::HeadingLevel::H1) => self.close(Block::Title),
            TagEnd::Heading(_) => self.close(Block::Heading),
            TagEnd::Paragraph => self.close(Block::Paragraph),
            TagEnd::Item => {
                self.close(Block::Point);
                self.is_point = false;
            }
            TagEnd::CodeBlock => self.blocks.extend(self.code.take().map(Block::Code)),
            TagEnd::Strong => self.strong -= 1,
            TagEnd::TableCell => self.row.push(std::mem::take(&mut self.text)),
            TagEnd::TableHead => self.head = std::mem::take(&mut self.row),
            TagEnd::TableRow => self.rows.push(std::mem::take(&mut self.row)),
            TagEnd::Table => {
                self.blocks.push(Block::Table { head: std::mem::take(&mut self.head), rows: std::mem::take(&mut self.rows) });
            }
            _ => {}
        }
    }

    /// Ends a block of text.
    fn close(&mut self, block: fn(Text) -> Block) {
        if !self.text.is_empty() {
            let text = std::mem::take(&mut self.text);
            self.blocks.push(if self.is_point { Block::Point(text) } else { block(text) });
        }
    }
}
