//! The rate asked for.

use std::fmt;
use std::str::FromStr;

use crate::domain::quote;

/// The most requests a second, from 0.001 to 100,000; or no limit of ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    PerSecond(f64),
    /// As fast as the concurrency allows.
    Unlimited,
}

/// The lowest rate that can be asked for, a second: one request in about a quarter of an hour.
const LOWEST: f64 = 0.001;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a rate: expected a form such as `50/s`, `600/m`, `0.5/s` or `unlimited`, from 0.001/s to 100000/s", quote(.0))]
pub(crate) struct NotARate(String);

impl Rate {
    /// The share of each of this many processes that share it evenly.
    pub(crate) fn shared_by(self, processes: u32) -> Self {
        match self {
            Self::PerSecond(rate) => Self::PerSecond(rate / f64::from(processes)),
            Self::Unlimited => Self::Unlimited,
        }
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let (number, seconds) = match text.split_once('/') {
            None => (text, 1.0),
            Some((number, "s")) => (number, 1.0),
            Some((number, "m")) => (number, 60.0),
            Some(_) => return Err(NotARate(text.to_owned())),
        };
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match number.parse::<f64>().map(|count| count / seconds) {
            Ok(rate) if plain && (LOWEST..=100_000.0).contains(&rate) => Ok(Self::PerSecond(rate)),
            _ => Err(NotARate(text.to_owned())),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The lowest rate has three decimals. A share that is lower still keeps its digits.
            Self::PerSecond(rate) if *rate >= LOWEST => write!(f, "{}/s", (rate * 1000.0).round() / 1000.0),
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_read_and_nothing_else() {
        let read = |text: &str| text.parse::<Rate>();
        assert_eq!(read("50"), Ok(Rate::PerSecond(50.0)));
        assert_eq!(read("50/s"), Ok(Rate::PerSecond(50.0)));
        assert_eq!(read("600/m"), Ok(Rate::PerSecond(10.0)));
        assert_eq!(read("0.5/s"), Ok(Rate::PerSecond(0.5)));
        assert_eq!(read("unlimited"), Ok(Rate::Unlimited));
        for bad in ["", "0", "-1", "1e3", "inf", "NaN", "50/h", "50/", "/s", "0.0001", "100001", " 5", "1.2.3"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_slowest_and_fastest_rates_are_valid_and_nothing_beyond() {
        let read = |text: &str| text.parse::<Rate>().ok();
        assert_eq!(read("0.001/s"), Some(Rate::PerSecond(0.001)));
        assert_eq!(read("0.06/m"), Some(Rate::PerSecond(0.001)));
        assert_eq!(read("100000/s"), Some(Rate::PerSecond(100_000.0)));
        assert_eq!(read("90/m"), Some(Rate::PerSecond(1.5)));
        assert_eq!((read("0.0009/s"), read("0.05/m"), read("100000.1/s"), read("+5/s"), read("Unlimited")), (None, None, None, None, None));
        assert_eq!("50/h".parse::<Rate>(), Err(NotARate("50/h".to_owned())));
    }

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for text in ["50/s", "0.5/s", "0.001/s", "100000/s", "unlimited"] {
            assert_eq!(text.parse::<Rate>().expect("a rate").to_string(), text);
        }
    }

    #[test]
    fn several_processes_have_an_even_share_each() {
        let share = |text: &str, processes| text.parse::<Rate>().expect("a rate").shared_by(processes).to_string();
        assert_eq!(share("50/s", 8), "6.25/s");
        assert_eq!(share("50/s", 3), "16.667/s");
        assert_eq!(share("unlimited", 8), "unlimited");
        assert_eq!(share("0.001/s", 2), "0.0005/s");
    }
}
