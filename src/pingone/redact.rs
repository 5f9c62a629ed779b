//! Removes secrets from the server's texts. A server may echo what it was sent: whole or cut, plain or escaped. Every long piece
//! of a secret is removed, whatever surrounds it.
//!
//! For each secret, only the hashes of all its substrings of one length are kept (a rolling hash), not its characters. A longer
//! piece of the secret is a sequence of overlapping substrings, so it is removed as a whole.

use std::fmt;

/// Replaces a piece of a secret.
const REDACTED: &str = "[redacted]";
/// Shorter secrets are not redacted: they would be found in every other word.
const MIN_SECRET: usize = 6;
/// The length of a piece. Shorter ones match by chance and reveal little…
const PIECE: usize = 16;
/// …except of a secret shorter than two pieces: there, the length is half the secret's, and at least this.
const MIN_PIECE: usize = 8;
/// At most this many layers of escapes are removed: one for each server on the way.
const MAX_LAYERS: usize = 3;

/// The hashes of the pieces of a secret.
pub(super) struct Pieces {
    /// The length of each piece, in bytes.
    length: usize,
    /// The random base of the hashes, so that they cannot be predicted.
    base: u64,
    /// Sorted.
    hashes: Vec<u64>,
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").finish_non_exhaustive()
    }
}

impl Pieces {
    /// The pieces of `secret`, in lower case: a server may change the case.
    pub(super) fn of(secret: &str) -> Self {
        let letters = secret.to_ascii_lowercase().into_bytes();
        let length = (letters.len() / 2).clamp(MIN_PIECE, PIECE).min(letters.len());
        let base = fastrand::u64(..) | 1;
        let mut hashes = if letters.len() < MIN_SECRET { Vec::new() } else { hashes(&letters, length, base).collect() };
        hashes.sort_unstable();
        Self { length, base, hashes }
    }

    /// Marks the bytes of a text that belong to a piece of the secret in this reading of it. `length` is the text's.
    fn mark(&self, read: &Reading, marks: &mut Vec<bool>, length: usize) {
        if self.hashes.is_empty() {
            return;
        }
        for (from, hash) in hashes(&read.letters, self.length, self.base).enumerate() {
            if self.hashes.binary_search(&hash).is_ok() {
                marks.resize(length, false);
                let (first, last) = (&read.places[from], &read.places[from + self.length - 1]);
                marks[first.0..last.1].fill(true);
            }
        }
    }
}

/// The hash of each substring of `length` bytes, in order: a rolling hash, each computed from the one before.
fn hashes(letters: &[u8], length: usize, base: u64) -> impl Iterator<Item = u64> {
    let gone = (0..length).fold(1, |power: u64, _| power.wrapping_mul(base));
    let with = move |hash: u64, letter: &u8| hash.wrapping_mul(base).wrapping_add(u64::from(*letter));
    let first = letters.get(..length).map(|letters| letters.iter().fold(0, with));
    let rest = letters.get(length..).unwrap_or_default().iter().zip(letters);
    let next = move |hash: &mut u64, (letter, before): (&u8, &u8)| {
        *hash = with(*hash, letter).wrapping_sub(gone.wrapping_mul(u64::from(*before)));
        Some(*hash)
    };
    first.into_iter().chain(rest.scan(first.unwrap_or_default(), next))
}

/// Replaces each piece of one of the `secrets` in `text` with `[redacted]`.
pub(super) fn redact(text: String, secrets: &[&Pieces]) -> String {
    if secrets.iter().all(|secret| text.len() < secret.length) {
        return text;
    }
    let mut marks = Vec::new();
    let mut read = Some(Reading::plain(&text));
    for _ in 0..=MAX_LAYERS {
        let Some(now) = read else {
            break;
        };
        for secret in secrets {
            secret.mark(&now, &mut marks, text.len());
        }
        read = now.unescaped();
    }
    if marks.is_empty() { text } else { without(&text, &marks) }
}

/// Replaces each marked run in `text` with `[redacted]`.
fn without(text: &str, marks: &[bool]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = false;
    for (at, letter) in text.char_indices() {
        match (marks[at], before) {
            (true, false) => shown.push_str(REDACTED),
            (true, true) => {}
            (false, _) => shown.push(letter),
        }
        before = marks[at];
    }
    shown
}

/// A text in lower case, without some layers of escapes, and the place of each byte in the original.
struct Reading {
    letters: Vec<u8>,
    /// Where each byte begins and ends in the original text.
    places: Vec<(usize, usize)>,
}

impl Reading {
    fn plain(text: &str) -> Self {
        let letters = text.to_ascii_lowercase().into_bytes();
        let places = (0..letters.len()).map(|at| (at, at + 1)).collect();
        Self { letters, places }
    }

    /// Removes one layer of escapes; `None` if there is none.
    fn unescaped(&self) -> Option<Self> {
        memchr::memchr3(b'%', b'\\', b'&', &self.letters)?;
        let mut plain = Self { letters: Vec::new(), places: Vec::new() };
        let mut at = 0;
        while at < self.letters.len() {
            let (letter, length) = escape(&self.letters[at..]).unwrap_or((self.letters[at], 1));
            plain.letters.push(letter.to_ascii_lowercase());
            plain.places.push((self.places[at].0, self.places[at + length - 1].1));
            at += length;
        }
        (plain.letters.len() < self.letters.len()).then_some(plain)
    }
}

/// Decodes the escape at the start of `text`: the byte that it stands for, and the escape's length. Knows the escapes of URLs,
/// of JSON and other languages, and of HTML.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', digits @ ..] => Some((number(digits.get(..2)?, 16)?, 3)),
        [b'\\', b'u', digits @ ..] => Some((number(digits.get(..4)?, 16)?, 6)),
        [b'\\', b'x', digits @ ..] => Some((number(digits.get(..2)?, 16)?, 4)),
        [b'\\', letter, ..] => Some((*letter, 2)),
        [b'&', b'#', rest @ ..] => {
            // `&#x10ffff;` is the longest.
            let end = rest.iter().take(8).position(|byte| *byte == b';')?;
            let letter = rest[..end].strip_prefix(b"x").map_or_else(|| number(&rest[..end], 10), |digits| number(digits, 16));
            Some((letter?, end + 3))
        }
        [b'&', ..] => {
            let named = [(&b"&amp;"[..], b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
            named.into_iter().find(|(name, _)| text.starts_with(name)).map(|(name, letter)| (letter, name.len()))
        }
        _ => None,
    }
}

/// The number that these digits stand for, if it is a byte.
fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(digits, radix).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn shown(text: &str, secrets: &[&str]) -> String {
        let pieces: Vec<Pieces> = secrets.iter().map(|secret| Pieces::of(secret)).collect();
        redact(text.to_owned(), &pieces.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_secret_is_redacted_whole_in_pieces_and_escaped() {
        let secret = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln+bmF/dHVyZQ==";
        for (text, expected) in [
            (format!("you sent Bearer {secret}!"), "you sent Bearer [redacted]!"),
            (format!("cut: {}", &secret[..40]), "cut: [redacted]"),
            (format!("…{}", &secret[11..]), "…[redacted]"),
            (format!("{} and {}", &secret[3..19], &secret[30..46]), "[redacted] and [redacted]"),
            (secret.to_ascii_uppercase(), "[redacted]"),
            (secret.replace('.', "%2E").replace('+', "%2b").replace('/', "%2F"), "[redacted]"),
            (secret.replace('.', "%252e").replace('=', "%253D"), "[redacted]"),
            (secret.replace('+', "\\u002b").replace('/', "\\/"), "[redacted]"),
            (secret.replace('.', "\\\\u002E"), "[redacted]"),
            (secret.replace('+', "&#43;").replace('/', "&#x2F;"), "[redacted]"),
            (secret.chars().map(|letter| format!("%{:02X}", u32::from(letter))).collect(), "[redacted]"),
        ] {
            assert_eq!(shown(&text, &[secret]), expected, "{text}");
        }
    }

    #[test]
    fn other_text_is_left_unchanged() {
        let secret = "abcdefghijklmnopqrstuvwxyz0123456789";
        for text in ["", "abcdefghijklmno", "%", "%4", "\\", "\\u12", "&#;", "&#x110000;", "100 % é \u{2028} \\u00e9 &amp; %C3%A9", "&&&"]
        {
            assert_eq!(shown(text, &[secret, "", "short"]), text);
        }
        assert_eq!(shown("it is short", &["short"]), "it is short", "five letters stand in other words");
        assert_eq!(shown("a s3cret, s3cre", &["s3cret"]), "a [redacted], s3cre");
        assert_eq!(shown("s3cret", &["s3cret"]), "[redacted]", "nothing but the secret");
        assert_eq!(shown("sent s3&<>r\"t'", &["s3&<>r\"t'"]), "sent [redacted]");
        assert_eq!(shown("sent s3&amp;&lt;&gt;r&quot;t&apos;!", &["s3&<>r\"t'"]), "sent [redacted]!");
        assert_eq!(shown("half: 0123456789", &["0123456789abcdefghij"]), "half: [redacted]", "a short secret has shorter pieces");
    }

    /// `letter`, plain or in one of the escapes that servers use.
    fn escaped(letter: char, form: u8) -> String {
        let code = u32::from(letter);
        match form % 12 {
            0 => format!("%{code:02x}"),
            1 => format!("%{code:02X}"),
            2 => format!("\\u{code:04x}"),
            3 => format!("\\x{code:02X}"),
            4 => format!("%25{code:02X}"),
            5 => format!("&#{code};"),
            _ => letter.to_string(),
        }
    }

    /// `text` without any such escapes.
    fn plain(text: &str) -> String {
        let mut read = Reading::plain(text);
        while let Some(next) = read.unescaped() {
            read = next;
        }
        String::from_utf8_lossy(&read.letters).into_owned()
    }

    proptest! {
        /// Whatever piece of a secret a text contains, no 16 characters in a row of it are left.
        #[test]
        fn no_piece_of_a_secret_is_left(
            length in prop_oneof![100_usize..400, 100_usize..=8000],
            letters in prop_oneof![Just("0123456789abcdef"), Just("aA0-._~+/="), Just("!\"#$'()*+,-./:;<=>?@[]^_`{|}~")],
            seed in any::<u64>(),
            cut in any::<(prop::sample::Index, prop::sample::Index)>(),
            forms in prop::collection::vec(any::<u8>(), 1..40),
            around in "[ a-zé%&\\\\]{0,12}",
        ) {
            // No characters that start an escape: such a secret would be ambiguous.
            let mut random = fastrand::Rng::with_seed(seed);
            let secret: String = (0..length).filter_map(|_| random.choice(letters.as_bytes())).map(|letter| char::from(*letter)).collect();
            let (one, other) = (cut.0.index(secret.len() + 1), cut.1.index(secret.len() + 1));
            let piece = &secret[one.min(other)..one.max(other)];
            let echoed: String = piece.chars().zip(forms.iter().cycle()).map(|(letter, form)| escaped(letter, *form)).collect();
            let text = format!("{around} {echoed} {around}");
            let left = shown(&text, &[&secret]);
            if piece.len() < PIECE {
                prop_assert_eq!(&left, &text);
            } else {
                let expected = format!("{around} [redacted] {around}");
                prop_assert_eq!(&left, &expected);
            }
            let (left, secret) = (plain(&left), secret.to_ascii_lowercase());
            let pieces: HashSet<&[u8]> = secret.as_bytes().windows(PIECE).collect();
            prop_assert!(!left.as_bytes().windows(PIECE).any(|run| pieces.contains(run)));
        }

        #[test]
        fn a_secret_is_found_in_any_text(before in any::<String>(), secret in "[!-~]{6,40}", after in any::<String>()) {
            let left = shown(&format!("{before}{secret}{after}"), &[&secret]);
            prop_assert!(!left.contains(&secret) && left.contains(REDACTED), "{}", left);
        }
    }
}
