//! The number of rows that may fail.

use std::fmt;
use std::str::FromStr;

use super::quote;

/// How many rows may fail: a number, or a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MaxFailures {
    Rows(u64),
    Percent(f64),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is neither a number of rows nor a share: expected a form such as `100` or `20%`", quote(.0))]
pub(crate) struct NotMaxFailures(String);

impl FromStr for MaxFailures {
    type Err = NotMaxFailures;

    fn from_str(text: &str) -> Result<Self, NotMaxFailures> {
        let refused = || NotMaxFailures(text.to_owned());
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(Self::Rows).map_err(|_| refused());
        };
        let plain = percent.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent = percent.parse::<f64>().map_err(|_| refused())?;
        if plain && (0.0..=100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(refused()) }
    }
}

impl fmt::Display for MaxFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_number_or_a_share() {
        for bad in ["", "%", "-1", "101%", "1e1%", "x", "1.5"] {
            assert!(bad.parse::<MaxFailures>().is_err(), "{bad}");
        }
        for good in ["0", "100", "0%", "2.5%", "100%"] {
            assert_eq!(good.parse::<MaxFailures>().expect("a budget").to_string(), good);
        }
    }
}
