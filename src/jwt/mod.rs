//! Signs JSON Web Tokens with a private key, and verifies them with the public key.
//!
//! ```text
//! a PEM file ──▶ pem (which key is it?) ──▶ key ──▶ jsonwebtoken ──▶ provider: ring signs and verifies
//! ```

mod der;
mod fault;
mod key;
mod pem;
mod provider;

pub(crate) use self::fault::KeyFault;
pub(crate) use self::key::{Claimed, PublicKey, SigningKey};

/// The type of a client assertion in a token request. From RFC 7523.
pub(crate) const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a token is signed. These are what PingOne documents for `PRIVATE_KEY_JWT`; ES256 on its workflow pages only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Algorithm {
    // RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    // The same with SHA-384.
    Rs384,
    // The same with SHA-512.
    Rs512,
    // ECDSA with P-256 and SHA-256.
    Es256,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Rs256, Self::Rs384, Self::Rs512, Self::Es256];

    /// Its name in the header of a token.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
        }
    }

    /// The kind of key that it needs.
    fn family(self) -> Family {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 => Family::Rsa,
            Self::Es256 => Family::P256,
        }
    }

    fn of_crate(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Rs384 => jsonwebtoken::Algorithm::RS384,
            Self::Rs512 => jsonwebtoken::Algorithm::RS512,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// The kinds of keys that sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
}

impl Family {
    /// The algorithm of such a key if none is named.
    fn usual(self) -> Algorithm {
        match self {
            Self::Rsa => Algorithm::Rs256,
            Self::P256 => Algorithm::Es256,
        }
    }

    fn algorithms(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| algorithm.family() == self)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rsa => "an RSA key",
            Self::P256 => "an EC key of the curve P-256",
        }
    }
}
