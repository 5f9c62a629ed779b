//! Says what is waited for: the texts for the bar, the plain lines and the notices.

use std::time::Duration;

use super::fit::{Piece, spelt};
use crate::pingone::{Silence, Wanted};

/// What is waited for before the first row.
pub(super) fn waiting_for(silence: &Silence) -> Vec<Piece> {
    let mut pieces = vec![Piece::always(format!("waiting for {} from {}", silence.wanted.name(), silence.host))];
    if let Some(tries) = tries(silence) {
        pieces.push(Piece::kept(1, tries).after(": "));
        pieces.extend(silence.next_try.map(|wait| Piece::kept(3, format!("in {:.0} s", wait.as_secs_f64().ceil())).after(" ")));
    }
    pieces.push(Piece::kept(4, format!("{} so far", spelt(silence.lasted))));
    pieces.extend(gives_up(silence).map(|within| Piece::kept(1, within)));
    pieces.extend(silence.reason.iter().map(|reason| Piece::kept(2, reason.in_short()).after(": ")));
    pieces
}

/// What the bar and the plain line of a run say while there is no answer.
pub(super) fn no_answer(silence: &Silence) -> Vec<Piece> {
    let mut pieces = vec![Piece::kept(1, format!("no answer for {}", spelt(silence.lasted)))];
    pieces.extend(silence.reason.iter().map(|reason| Piece::kept(4, format!("({})", reason.in_short())).after(" ")));
    match silence.wanted {
        Wanted::Rows => pieces.push(Piece::kept(5, format!("{} retried", rows_are(silence.rows)))),
        Wanted::Token | Wanted::Environment | Wanted::Licence | Wanted::Users | Wanted::Report => {
            pieces.push(Piece::kept(2, format!("waiting for {}", silence.wanted.name())));
            pieces.extend(tries(silence).map(|tries| Piece::kept(5, tries)));
        }
    }
    pieces.extend(gives_up(silence).map(|within| Piece::kept(3, within)));
    pieces
}

/// The notice that an outage has begun.
pub(super) fn outage(silence: &Silence) -> String {
    let reason = silence.reason.as_ref().map(|reason| match reason.in_short() {
        short if short.starts_with("HTTP") => format!(" ({reason})"),
        short => format!(" ({short})"),
    });
    let what = match silence.wanted {
        Wanted::Rows => format!("{} waiting and being retried", rows_are(silence.rows)),
        Wanted::Token | Wanted::Environment | Wanted::Licence | Wanted::Users | Wanted::Report => {
            format!("{} is waited for, and the request is retried", silence.wanted.name())
        }
    };
    let until = silence.gives_up_within.map(|within| format!(" for at most {} more", spelt(within))).unwrap_or_default();
    format!("outage: no answer from {} for {}{}: {what}{until}", silence.host, spelt(silence.lasted), reason.unwrap_or_default())
}

fn rows_are(rows: usize) -> String {
    if rows == 1 { "1 row is".to_owned() } else { format!("{rows} rows are") }
}

fn tries(silence: &Silence) -> Option<String> {
    let (this, most) = silence.tries.filter(|(_, most)| *most > 1)?;
    Some(format!("try {this} of {most}"))
}

fn gives_up(silence: &Silence) -> Option<String> {
    silence.gives_up_within.map(|within| format!("gives up within {}", spelt(within)))
}

/// How long PingOne holds the run back, if it does.
pub(super) fn held(held: Duration) -> String {
    format!("held by PingOne for {:.0} s", held.as_secs_f64().ceil())
}

#[cfg(test)]
mod tests {
    use super::super::fit::fit;
    use super::*;
    use crate::domain::Detail;

    fn silence(wanted: Wanted) -> Silence {
        let refused = "error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)";
        Silence {
            wanted,
            host: "auth.pingone.eu".to_owned(),
            lasted: Duration::from_millis(12_900),
            tries: (wanted != Wanted::Rows).then_some((3, 8)),
            next_try: None,
            gives_up_within: Some(Duration::from_secs(348)),
            reason: Some(Detail::own(None, refused.to_owned()).into()),
            rows: 5,
        }
    }

    #[test]
    fn before_the_first_row_it_is_said_what_is_waited_for_and_for_how_long_still() {
        let token = silence(Wanted::Token);
        let whole = "waiting for a token from auth.pingone.eu: try 3 of 8, 12 s so far, gives up within 5m 48s: Connection refused";
        assert_eq!(fit(&waiting_for(&token), usize::MAX), whole);
        let at_80 = "waiting for a token from auth.pingone.eu: try 3 of 8, gives up within 5m 48s";
        assert_eq!(fit(&waiting_for(&token), 80), at_80);
        let backing_off = Silence { next_try: Some(Duration::from_millis(3_400)), reason: None, ..token };
        assert!(fit(&waiting_for(&backing_off), 200).contains(": try 3 of 8 in 4 s, 12 s so far"));
    }

    #[test]
    fn the_notice_of_an_outage_says_what_since_when_why_and_until_when() {
        let rows = "outage: no answer from auth.pingone.eu for 12 s (Connection refused): 5 rows are waiting and being retried for at most 5m 48s more";
        assert_eq!(outage(&silence(Wanted::Rows)), rows);
        let busy = Detail { status: Some(503), code: "BUSY".into(), message: "Later.".into(), ..Detail::default() };
        let one = Silence { rows: 1, reason: Some(busy.into()), gives_up_within: None, ..silence(Wanted::Rows) };
        assert_eq!(
            outage(&one),
            "outage: no answer from auth.pingone.eu for 12 s (HTTP 503, BUSY, Later.): 1 row is waiting and being retried"
        );
        let hangs = Silence { reason: None, ..silence(Wanted::Token) };
        let token =
            "outage: no answer from auth.pingone.eu for 12 s: a token is waited for, and the request is retried for at most 5m 48s more";
        assert_eq!(outage(&hangs), token);
    }
}
