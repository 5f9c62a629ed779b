//! Injects faults. The seed, the user and the number of earlier requests for the user decide which request meets which
//! fault, so that a run can be repeated whatever order its requests arrive in.

use std::str::FromStr;

use clap::ValueEnum;
use sha2::{Digest, Sha256};

use super::others::Share;
use crate::domain::{UserId, quote};

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum FaultKind {
    /// An answer with this status, in PingOne's own form; the request is not applied.
    #[value(skip)]
    Status(u16),
    /// A gateway's answer, 502 with HTML; the request is applied.
    Html,
    /// The connection is closed without an answer; every other PUT is applied.
    Reset,
    /// The answer breaks off half-way; the request is applied.
    Truncate,
    /// The answer takes two seconds longer.
    Slow,
    /// The token is revoked.
    Expired,
    /// The request is applied, and the answer has another end date.
    OtherDate,
    /// The request is not applied, and the answer says that the user cannot bypass MFA.
    NoBypass,
}

impl FaultKind {
    fn named(name: &str) -> Option<Self> {
        let status = || name.parse().ok().filter(|status| (400..=599).contains(status)).map(Self::Status);
        <Self as ValueEnum>::from_str(name, false).ok().or_else(status)
    }
}

/// Faults and their shares of the requests, as in `500=5%,reset=0.02`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults(Vec<(FaultKind, Share)>);

/// Text that is not a list of faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a list of faults: expected a form such as `500=5%,reset=2%`, of a status from 400 to 599, html, reset, truncate, \
     slow, expired, otherdate or nobypass, and shares that are together at most 100%",
    quote(.0)
)]
pub struct NotFaults(String);

impl FromStr for Faults {
    type Err = NotFaults;

    fn from_str(text: &str) -> Result<Self, NotFaults> {
        let refused = || NotFaults(text.to_owned());
        let mut faults = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (kind, share) = part.split_once('=').ok_or_else(refused)?;
            let kind = FaultKind::named(kind.trim()).ok_or_else(refused)?;
            faults.push((kind, share.parse::<Share>().map_err(|_| refused())?));
        }
        let sum: f64 = faults.iter().map(|(_, share)| share.get()).sum();
        if sum <= 1.0 + 1e-9 { Ok(Self(faults)) } else { Err(refused()) }
    }
}

impl Faults {
    /// The fault of the `nth` request for `user`, and whether the request is applied if the kind leaves that open.
    pub(crate) fn of(&self, seed: u64, user: UserId, nth: u64) -> Option<(FaultKind, bool)> {
        if self.0.is_empty() {
            return None;
        }
        let (high, low) = user.uuid().as_u64_pair();
        let bits = drawn(seed, "fault", &[high, low, nth]);
        let word = u32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]);
        let mut left = f64::from(word) / (f64::from(u32::MAX) + 1.0);
        for (kind, share) in &self.0 {
            if left < share.get() {
                return Some((*kind, bits[4] & 1 == 1));
            }
            left -= share.get();
        }
        None
    }
}

/// Bits derived from the seed, a purpose, and some numbers.
pub(crate) fn drawn(seed: u64, purpose: &str, numbers: &[u64]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(purpose);
    for number in numbers {
        hash.update(number.to_le_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_or_refused() {
        let read = |text: &str| text.parse::<Faults>();
        let share = |text: &str| text.parse::<Share>().expect("a share");
        assert_eq!(read("500=5%, reset=0.02"), Ok(Faults(vec![(FaultKind::Status(500), share("5%")), (FaultKind::Reset, share("0.02"))])));
        assert_eq!(read(""), Ok(Faults::default()));
        for bad in ["500", "200=5%", "flood=1%", "500=x", "500=-1%", "500=101%", "500=60%,503=60%", "500=NaN"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_met_and_depend_on_the_seed_alone() {
        let faults: Faults = "500=10%,reset=5%".parse().expect("faults");
        let user = |n: u64| UserId::from(uuid::Uuid::from_u64_pair(1, n));
        let count = |seed| (0..10_000).filter(|n| faults.of(seed, user(*n), 0).is_some()).count();
        assert!((1350..1650).contains(&count(1)), "{}", count(1));
        assert_eq!(faults.of(1, user(7), 3), faults.of(1, user(7), 3));
        assert!((0..100).any(|n| faults.of(1, user(n), 0) != faults.of(2, user(n), 0)));
        assert!((0..100).any(|n| faults.of(1, user(n), 0) != faults.of(1, user(n), 1)));
    }
}
