//! Does a text of the server's hold a secret? A server may echo what it was sent: whole or cut, as it was or
//! escaped. Every long piece of a secret is taken out, whatever stands around it.
//!
//! Of each secret the hashes of all its pieces of one length are kept, and none of its letters. A longer run of
//! the secret's letters is one such piece after another, so that it goes as a whole.

use std::fmt;

/// What stands in the place of a piece.
const REDACTED: &str = "[redacted]";
/// Nothing shorter is taken for a secret in a text: it would be found in every other word.
const SHORTEST: usize = 6;
/// So many letters in a row of a secret are a piece of it. Fewer are found by chance, and fit into many secrets…
const PIECE: usize = 16;
/// …but of one that has less than twice as many, half of its letters are much.
const LEAST_PIECE: usize = 8;
/// A text may be escaped so many times over: once by each server that it came through.
const MOST_ESCAPED: usize = 3;

/// The pieces of a secret.
pub(super) struct Pieces {
    /// How many letters each has.
    length: usize,
    /// By what the hashes are made, so that nobody else can tell them.
    base: u64,
    /// In ascending order.
    hashes: Vec<u64>,
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").finish_non_exhaustive()
    }
}

impl Pieces {
    /// The pieces of `secret`; whatever the case, since it matters not to every server.
    pub(super) fn of(secret: &str) -> Self {
        let letters = secret.to_ascii_lowercase().into_bytes();
        let length = (letters.len() / 2).clamp(LEAST_PIECE, PIECE).min(letters.len());
        let base = fastrand::u64(..) | 1;
        let mut hashes = if letters.len() < SHORTEST { Vec::new() } else { hashes(&letters, length, base).collect() };
        hashes.sort_unstable();
        Self { length, base, hashes }
    }

    /// Marks what of a text is a piece of the secret, as it is `read`.
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

/// The hash of each run of so many letters, from the first on: each of them is made of the one before.
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

/// `text` with `[redacted]` in the place of whatever is a piece of one of the `secrets`.
pub(super) fn redact(text: String, secrets: &[&Pieces]) -> String {
    if secrets.iter().all(|secret| text.len() < secret.length) {
        return text;
    }
    let mut marks = Vec::new();
    let mut read = Some(Reading::plain(&text));
    for _ in 0..=MOST_ESCAPED {
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

/// `text` with `[redacted]` in the place of each run that is marked.
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

/// A text as it can be read: small letters, and where each stands in the text.
struct Reading {
    letters: Vec<u8>,
    /// Where each letter begins, and where it ends.
    places: Vec<(usize, usize)>,
}

impl Reading {
    fn plain(text: &str) -> Self {
        let letters = text.to_ascii_lowercase().into_bytes();
        let places = (0..letters.len()).map(|at| (at, at + 1)).collect();
        Self { letters, places }
    }

    /// The text without one layer of escapes; `None` if there is none.
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

/// The letter that an escape at the beginning of `text` stands for, and how long the escape is: as URLs have it,
/// JSON and other languages, or HTML.
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

/// The byte that these digits stand for, if it is one.
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
    fn a_secret_goes_whole_in_pieces_and_however_it_is_escaped() {
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
    fn what_is_no_piece_of_a_secret_stays_as_it_is() {
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

    /// `letter` in one of the forms in which servers send it.
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

    /// `text` without any escapes of these forms.
    fn plain(text: &str) -> String {
        let mut read = Reading::plain(text);
        while let Some(next) = read.unescaped() {
            read = next;
        }
        String::from_utf8_lossy(&read.letters).into_owned()
    }

    proptest! {
        /// Whatever piece of whatever secret stands in a text, no 16 letters in a row of it are left.
        #[test]
        fn no_piece_of_a_secret_is_left(
            length in prop_oneof![100_usize..400, 100_usize..=8000],
            letters in prop_oneof![Just("0123456789abcdef"), Just("aA0-._~+/="), Just("!\"#$'()*+,-./:;<=>?@[]^_`{|}~")],
            seed in any::<u64>(),
            cut in any::<(prop::sample::Index, prop::sample::Index)>(),
            forms in prop::collection::vec(any::<u8>(), 1..40),
            around in "[ a-zé%&\\\\]{0,12}",
        ) {
            // Without what begins an escape: such a secret may be read in more ways than one.
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
        fn any_text_is_looked_through(before in any::<String>(), secret in "[!-~]{6,40}", after in any::<String>()) {
            let left = shown(&format!("{before}{secret}{after}"), &[&secret]);
            prop_assert!(!left.contains(&secret) && left.contains(REDACTED), "{}", left);
        }
    }
}
