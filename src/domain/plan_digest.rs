//! The digest of a plan, by which one person approves what another, or a job, carries out.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::quote;

/// The length of a digest, in bytes: that of a SHA-256.
const BYTES: usize = 32;

/// The SHA-256 of everything in a plan that decides what is sent to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlanDigest([u8; BYTES]);

/// Text that is not the digest of a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a plan's digest: expected the 64 hexadecimal digits that `--dry-run` prints", quote(.0))]
pub(crate) struct NotAPlanDigest(String);

impl PlanDigest {
    /// The digest of a plan in its canonical form.
    pub(crate) fn of(canonical: &[u8]) -> Self {
        Self(Sha256::digest(canonical).into())
    }
}

impl FromStr for PlanDigest {
    type Err = NotAPlanDigest;

    /// Reads 64 hexadecimal digits, in any case.
    fn from_str(text: &str) -> Result<Self, NotAPlanDigest> {
        let refused = || NotAPlanDigest(text.to_owned());
        let digits: Option<Vec<u8>> =
            text.trim().chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        let digits = digits.filter(|digits| digits.len() == 2 * BYTES).ok_or_else(refused)?;
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_back_in_any_case() {
        let digest = PlanDigest::of(b"abc");
        // Source: FIPS 180-4's example.
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for text in [digest.to_string(), digest.to_string().to_uppercase(), format!(" {digest}\n")] {
            assert_eq!(text.parse(), Ok(digest), "{text}");
        }
        let text = digest.to_string();
        for bad in
            ["", "ba7816bf", &text[1..], &format!("{text}0"), &text.replace('b', "g"), &text.replace('b', "é"), &format!("+{}", &text[1..])]
        {
            assert!(bad.parse::<PlanDigest>().is_err(), "{bad}");
        }
    }
}
