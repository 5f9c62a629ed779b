//! Makes untrusted text safe to show: text from a server, a file name or an input must not control a terminal, forge log lines,
//! be run as a formula by a spreadsheet, or look like something else.

use std::fmt;
use std::path::Path;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// At most this many characters of a server's text are kept and shown.
pub(crate) const MAX_TEXT: usize = 500;
/// At most this many characters of a value are shown in a message.
const MAX_QUOTED: usize = 60;

/// Untrusted text, which may be long or harmful. `Display` makes it short and harmless.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ForeignText(String);

impl ForeignText {
    /// The text as received, for comparisons and lookups. Do not show it.
    pub(crate) fn as_received(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies `change` to the whole text, and then cuts it to the length that is shown.
    pub(crate) fn map(self, change: impl FnOnce(String) -> String) -> Self {
        let mut text = change(self.0);
        if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
            text.truncate(end);
        }
        Self(text)
    }
}

impl From<String> for ForeignText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for ForeignText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// One line of bounded length, without invisible characters, and not a formula for a spreadsheet.
impl fmt::Display for ForeignText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(MAX_TEXT).map(|c| if is_unseen(c) { ' ' } else { c }).collect();
        // Spreadsheets may strip invisible characters before they look for a formula.
        let is_formula = self.0.starts_with(['\t', '\r']) || shown.trim_start().starts_with(FORMULA);
        write!(f, "{}{shown}", if is_formula { "'" } else { "" })
    }
}

/// The first characters of formulas, including their full-width forms. Source: OWASP, CSV Injection.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

impl fmt::Debug for ForeignText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

/// A number of things, by the `noun` for one of them: "1 user", "2 users".
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The verb after such a number.
pub(crate) fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// `value` for a message: invisible characters are escaped, and long text is cut.
pub(crate) fn quote(value: &str) -> String {
    let mut shown: String = value.chars().take(MAX_QUOTED).flat_map(escape).collect();
    if value.chars().nth(MAX_QUOTED).is_some() {
        shown.push('…');
    }
    shown
}

/// Target of messages that are shown at any log level.
pub(crate) const ALWAYS_SHOWN: &str = "pingone_bypass::told";

/// The whole `text` in one line, with invisible characters escaped.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().flat_map(escape).collect()
}

/// `text` with its line breaks, and all other invisible characters escaped.
pub(crate) fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// A path for a message: in one line, with invisible characters escaped.
pub(crate) fn shown(path: &Path) -> impl fmt::Display {
    escaped(&path.to_string_lossy())
}

/// Quotes a word for a shell, in one line. Invisible characters are escaped in the form that bash, ksh and zsh read.
pub(crate) fn shell_word(word: &str) -> String {
    if !word.chars().any(is_unseen) {
        return shlex::try_quote(word).map(Into::into).unwrap_or_default();
    }
    let escaped = |c: char| match c {
        '\'' | '\\' => format!("\\{c}"),
        c if is_unseen(c) => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        c => c.to_string(),
    };
    format!("$'{}'", word.chars().map(escaped).collect::<String>())
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let escaped = is_unseen(c).then(|| c.escape_default());
    let plain = escaped.is_none().then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

/// Whether a character is invisible but can control a terminal, break a line, or reorder, hide or distinguish the text around
/// it.
pub(crate) fn is_unseen(c: char) -> bool {
    match c {
        c if c.is_ascii() => c.is_ascii_control(),
        // Line and paragraph separators, annotations, and hieroglyph joiners.
        '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' => true,
        c => c.is_control() || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn foreign(text: &str) -> String {
        ForeignText::from(text).to_string()
    }

    #[test]
    fn a_foreign_text_is_no_formula_and_no_escape_sequence() {
        for (text, expected) in [
            ("plain - text", "plain - text"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("＝x", "'＝x"),
            ("\tx", "' x"),
            ("\rx", "' x"),
            (" =x", "' =x"),
            ("\n=x", "' =x"),
            ("\u{3000}=x", "'\u{3000}=x"),
            ("a\r\nb\u{1b}[2J\u{202e}", "a  b [2J "),
            ("", ""),
        ] {
            assert_eq!(foreign(text), expected, "{text:?}");
        }
        assert_eq!(foreign(&"é".repeat(9999)).chars().count(), MAX_TEXT);
    }

    /// One of each kind: C0, DEL, C1, soft hyphen, grapheme joiner, Arabic letter mark, fillers, vowel separators, zero width,
    /// line separators, bidirectional controls, invisible operators, variation selectors, annotations, musical beams, tags.
    const UNSEEN: &str = "\0\t\n\r\u{1b}\u{7f}\u{80}\u{9b}\u{ad}\u{34f}\u{61c}\u{115f}\u{17b4}\u{180e}\u{180f}\u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2064}\u{2066}\u{2069}\u{206f}\u{3164}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{fffb}\u{13430}\u{1bca0}\u{1d173}\u{e0001}\u{e0020}\u{e007f}\u{e0100}\u{e01ef}\u{e0fff}";

    #[test]
    fn invisible_characters_are_escaped_or_dropped_and_others_kept() {
        for c in UNSEEN.chars() {
            assert!(is_unseen(c), "{}", c.escape_unicode());
            assert_eq!(foreign(&format!("{c}=x{c}")), "' =x ", "{}", c.escape_unicode());
            assert_eq!(quote(&format!("a{c}b")), format!("a{}b", c.escape_default()));
        }
        for c in " ~éß中語ñ😀\u{301}\u{600}\u{e000}\u{a0}\u{3000}".chars() {
            assert!(!is_unseen(c), "{}", c.escape_unicode());
        }
    }

    #[test]
    fn one_is_singular_and_every_other_number_is_plural() {
        assert_eq!([0, 1, 2, 11, 21].map(|count| counted(count, "user")), ["0 users", "1 user", "2 users", "11 users", "21 users"]);
        assert_eq!([0, 1, 2].map(are), ["are", "is", "are"]);
    }

    #[test]
    fn messages_show_values_short_and_without_control_characters() {
        assert_eq!(quote("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(quote(&"x".repeat(100)), format!("{}…", "x".repeat(60)));
        assert_eq!(shown(Path::new("a\nerror: b\u{9b}.csv")).to_string(), "a\\nerror: b\\u{9b}.csv");
        assert_eq!(escaped_lines("a\n  b\r\u{7f}"), "a\n  b\\r\\u{7f}");
    }

    #[test]
    fn quoted_words_are_read_back_by_a_shell() {
        let words = ["a b.csv", "it's\nerror: \u{9b}\\\u{202e}1.csv", "=1", "", "$(x)", "\u{1b}f"];
        let line = words.map(shell_word).join(" ");
        assert!(!line.chars().any(is_unseen), "{line:?}");
        let printed = std::process::Command::new("bash").args(["-c", &format!("printf '%s\\0' {line}")]).output().expect("bash runs");
        let read = String::from_utf8(printed.stdout).expect("UTF-8");
        assert_eq!(read.split_terminator('\0').collect::<Vec<_>>(), words);
    }

    proptest! {
        #[test]
        fn any_text_is_shown_in_one_short_harmless_line(text in "\\PC*|(?s).{0,600}") {
            let shown = foreign(&text);
            prop_assert!(!shown.chars().any(is_unseen) && shown.chars().count() <= MAX_TEXT + 1);
            prop_assert!(!shown.trim_start().starts_with(FORMULA), "{}", shown);
            prop_assert_eq!(foreign(&shown).chars().take(MAX_TEXT).collect::<String>(), shown.chars().take(MAX_TEXT).collect::<String>());
            prop_assert!(!quote(&text).chars().any(is_unseen) && !escaped(&text).chars().any(is_unseen));
        }
    }
}
