//! Fits a line to the columns of a terminal: leaves out what matters least, and cuts nothing.

use std::time::Duration;

/// Under two minutes, seconds are easier to read than minutes.
const IN_SECONDS: u64 = 120;

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// What is left out first has the highest; 0 is never left out.
    rank: u8,
    /// What stands between it and the piece before.
    before: &'static str,
    text: String,
}

impl Piece {
    /// A piece that is never left out.
    pub(super) fn always(text: String) -> Self {
        Self::kept(0, text)
    }

    /// A piece that is left out after all of a higher rank.
    pub(super) fn kept(rank: u8, text: String) -> Self {
        Self { rank, before: ", ", text }
    }

    /// Has this before it instead of a comma.
    pub(super) fn after(self, before: &'static str) -> Self {
        Self { before, ..self }
    }
}

/// The line of these pieces, without as many as it takes to fit into `columns`.
pub(super) fn fit(pieces: &[Piece], columns: usize) -> String {
    let mut most = pieces.iter().map(|piece| piece.rank).max().unwrap_or(0);
    loop {
        let mut line = String::new();
        for piece in pieces.iter().filter(|piece| piece.rank <= most && !piece.text.is_empty()) {
            line.push_str(if line.is_empty() { "" } else { piece.before });
            line.push_str(&piece.text);
        }
        if most == 0 || line.chars().count() <= columns {
            return line;
        }
        most -= 1;
    }
}

/// A duration to the second.
pub(super) fn spelt(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..IN_SECONDS => format!("{seconds} s"),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_least_is_left_out_and_nothing_is_cut() {
        let pieces = [
            Piece::always("5/10 50%".to_owned()),
            Piece::kept(1, "no answer for 3 s".to_owned()),
            Piece::kept(2, "(refused)".to_owned()).after(" "),
            Piece::kept(3, "2 rows are retried".to_owned()),
            Piece::always("granted 5".to_owned()),
        ];
        for (columns, expected) in [
            (80, "5/10 50%, no answer for 3 s (refused), 2 rows are retried, granted 5"),
            (60, "5/10 50%, no answer for 3 s (refused), granted 5"),
            (45, "5/10 50%, no answer for 3 s, granted 5"),
            (20, "5/10 50%, granted 5"),
            (3, "5/10 50%, granted 5"),
        ] {
            assert_eq!(fit(&pieces, columns), expected, "{columns}");
        }
        assert_eq!(fit(&[Piece::always(String::new())], 80), "");
    }

    #[test]
    fn a_duration_is_spelt_to_the_second() {
        let spelt = |millis| spelt(Duration::from_millis(millis));
        assert_eq!([spelt(0), spelt(2_999), spelt(119_999), spelt(348_000)], ["0 s", "2 s", "119 s", "5m 48s"]);
    }
}
