//! The part of YAML that the samples keep to: block maps and lists, flow maps and lists, scalars, comments, several documents. It panics at
//! anything else. Where Python has a YAML parser, a test in `kubernetes` holds it against that.

use serde_json::{Map, Value};

/// The documents of a text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let documents = text.split("\n---\n").map(|document| {
        let lines = document.lines().filter_map(|line| {
            let shown = without_comment(line);
            let text = shown.trim_start();
            (!text.is_empty()).then(|| (shown.len() - text.len(), text.to_owned()))
        });
        let mut block = Block { lines: lines.collect(), at: 0 };
        let value = block.value(0);
        assert_eq!(block.at, block.lines.len(), "not read: {:?}", block.lines[block.at..].first());
        value
    });
    documents.collect()
}

/// A line up to its comment. No sample has a `#` in quotes.
fn without_comment(line: &str) -> &str {
    let comment = if line.trim_start().starts_with('#') { Some(0) } else { line.find(" #") };
    line[..comment.unwrap_or(line.len())].trim_end()
}

/// A key, and what follows it.
fn key_of(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.split_once(':')?;
    let is_plain = key.chars().all(|char| char.is_ascii_alphanumeric() || "._/-".contains(char)) && !key.starts_with('-');
    (is_plain && (rest.is_empty() || rest.starts_with(' '))).then(|| (key, rest.trim_start()))
}

/// Lines with their indents, and the next of them.
struct Block {
    lines: Vec<(usize, String)>,
    at: usize,
}

impl Block {
    fn next(&self, indent: usize) -> Option<String> {
        self.lines.get(self.at).filter(|(found, _)| *found == indent).map(|(_, text)| text.clone())
    }

    /// The map, list or scalar that begins at the next line.
    fn value(&mut self, indent: usize) -> Value {
        let text = self.next(indent).expect("a value");
        if text.starts_with("- ") {
            self.list(indent)
        } else if key_of(&text).is_some() {
            self.map(indent)
        } else {
            self.at += 1;
            flow(&text)
        }
    }

    fn list(&mut self, indent: usize) -> Value {
        let mut items = Vec::new();
        while let Some(text) = self.next(indent).and_then(|text| text.strip_prefix("- ").map(str::to_owned)) {
            self.lines[self.at] = (indent + 2, text);
            items.push(self.value(indent + 2));
        }
        Value::Array(items)
    }

    fn map(&mut self, indent: usize) -> Value {
        let mut map = Map::new();
        while let Some(text) = self.next(indent).filter(|text| !text.starts_with("- ")) {
            let (key, rest) = key_of(&text).unwrap_or_else(|| panic!("a key: {text}"));
            self.at += 1;
            let value = if rest.is_empty() { self.value(self.lines[self.at].0) } else { flow(rest) };
            assert!(map.insert(key.to_owned(), value).is_none(), "`{key}` is there twice");
        }
        Value::Object(map)
    }
}

/// What stands in one line.
fn flow(text: &str) -> Value {
    if text.starts_with(['[', '{']) {
        let (value, rest) = inner(text);
        assert_eq!(rest, "", "{text}");
        value
    } else {
        scalar(text)
    }
}

/// A value within brackets, and what follows it.
fn inner(text: &str) -> (Value, &str) {
    if let Some(mut rest) = text.strip_prefix('[') {
        let mut items = Vec::new();
        while let Some(more) = until_closed(rest, ']') {
            let (item, after) = inner(more);
            items.push(item);
            rest = after;
        }
        return (Value::Array(items), closed(rest, ']'));
    }
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut map = Map::new();
        while let Some(more) = until_closed(rest, '}') {
            let (key, more) = more.split_once(':').expect("a key");
            let (item, after) = inner(more.trim_start());
            map.insert(key.to_owned(), item);
            rest = after;
        }
        return (Value::Object(map), closed(rest, '}'));
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let (quoted, rest) = quoted.split_once('"').expect("a closing quote");
        return (Value::String(quoted.to_owned()), rest);
    }
    let end = text.find([',', ']', '}']).expect("a closing bracket");
    (scalar(text[..end].trim_end()), &text[end..])
}

/// The next item, unless the bracket is closed.
fn until_closed(text: &str, bracket: char) -> Option<&str> {
    let text = text.trim_start().trim_start_matches(',').trim_start();
    (!text.starts_with(bracket)).then_some(text)
}

fn closed(text: &str, bracket: char) -> &str {
    text.trim_start().strip_prefix(bracket).expect("a closing bracket")
}

fn scalar(text: &str) -> Value {
    if let Some(quoted) = text.strip_prefix('"') {
        return Value::String(quoted.strip_suffix('"').expect("a closing quote").to_owned());
    }
    assert!(!text.starts_with(['\'', '|', '>', '&', '*', '!', '%', '@', '`']), "not read here: {text}");
    let is_number = text.chars().all(|char| char.is_ascii_digit());
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if is_number && text.len() > 1 && text.starts_with('0') => i64::from_str_radix(text, 8).expect("octal").into(),
        _ if is_number => text.parse::<i64>().expect("a number").into(),
        _ => Value::String(text.to_owned()),
    }
}
