//! Why a file holds no key that can be used, with a hint for each case.

use std::path::Path;

use super::{Algorithm, Family};
use crate::domain::{quote, shell_word};

/// Why a file of a key is refused. No part of the key is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("there is no key in PEM form: expected a file with a line such as `-----BEGIN {expected}-----`")]
    NotPem { expected: &'static str },
    #[error("this is what PingOne gets, not the private key: it has `-----BEGIN {}-----`", quote(.0))]
    Public(String),
    #[error("this is a private key: expected the public key, `-----BEGIN PUBLIC KEY-----`")]
    Private,
    #[error("the private key is encrypted: expected one without a passphrase")]
    Encrypted,
    #[error("there is no private key of a known form: it has `-----BEGIN {}-----`", quote(.0))]
    Unknown(String),
    #[error("there are {0} keys: expected one")]
    Several(usize),
    #[error("the key cannot be read: the file is damaged")]
    Damaged,
    #[error("this is {0}: expected an RSA key or an EC key of the curve P-256")]
    Kind(&'static str),
    #[error("this is an EC key of {0}: expected one of the curve P-256 (`prime256v1`)")]
    Curve(&'static str),
    #[error("this is an RSA key of {bits} bits: expected {least} to {most}")]
    RsaSize { bits: usize, least: usize, most: usize },
    /// It is written in an unusual way.
    #[error("this is an EC key {0}, which is not understood")]
    Form(&'static str),
    #[error("this is an EC key without its public half, which is not understood")]
    NoPublicHalf,
    #[error("this is a key that signs nothing: its numbers do not fit each other, or are too small (`{0}`)")]
    Unusable(String),
    #[error("`--client-key-alg` is {}, and this is {}: expected {}", .asked, .family, .fitting)]
    Mismatch { asked: &'static str, family: &'static str, fitting: String },
}

impl KeyFault {
    pub(super) fn mismatch(asked: Algorithm, key: Family) -> Self {
        let names: Vec<&str> = key.algorithms().map(Algorithm::name).collect();
        Self::Mismatch { asked: asked.name(), family: key.name(), fitting: names.join(", ") }
    }

    /// What the operator can do about the file at `path`, in one line.
    pub(crate) fn hint(&self, path: &Path) -> String {
        let file = shell_word(&path.to_string_lossy());
        let fresh = "make a key pair with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out client.pem`, and give its public \
                     key to the application in PingOne";
        match self {
            Self::NotPem { expected: "PUBLIC KEY" } | Self::Private => {
                format!("write the public key with `openssl pkey -in {file} -pubout -out client.pub.pem`")
            }
            Self::NotPem { .. } => {
                format!(
                    "if it is a key in DER form, write it as PEM with `(umask 077; openssl pkey -inform DER -in {file} -out client.pem)`"
                )
            }
            Self::Public(_) => "name the file of the private key that was made together with it".into(),
            Self::Encrypted => format!(
                "decrypt it with `(umask 077; openssl pkey -in {file} -out client.pem)`, or hand it over without a file: \
                 `--client-key-file <(openssl pkey -in {file})`"
            ),
            Self::Unknown(label) if label.contains("OPENSSH") => {
                format!("write a copy of it as PEM with `ssh-keygen -p -N '' -m PKCS8 -f COPY`, or {fresh}")
            }
            Self::Several(_) => "leave in the file the one key that PingOne knows".into(),
            Self::Form(_) => format!(
                "write it in the usual way with `(umask 077; openssl pkey -in {file} -ec_param_enc named_curve -ec_conv_form uncompressed \
                 -out client.pem)`"
            ),
            Self::Mismatch { fitting, .. } => format!("say `--client-key-alg` {fitting}, or name another key"),
            Self::Unknown(_)
            | Self::Damaged
            | Self::Kind(_)
            | Self::Curve(_)
            | Self::RsaSize { .. }
            | Self::NoPublicHalf
            | Self::Unusable(_) => fresh.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint_tests::assert_all_told;

    /// The fault after `fault`. The compiler asks here for a new one.
    fn next(fault: &KeyFault) -> Option<KeyFault> {
        Some(match fault {
            KeyFault::NotPem { expected: "PUBLIC KEY" } => KeyFault::NotPem { expected: "PRIVATE KEY" },
            KeyFault::NotPem { .. } => KeyFault::Public("PUBLIC KEY".into()),
            KeyFault::Public(_) => KeyFault::Private,
            KeyFault::Private => KeyFault::Encrypted,
            KeyFault::Encrypted => KeyFault::Unknown("OPENSSH PRIVATE KEY".into()),
            KeyFault::Unknown(label) if label.contains("OPENSSH") => KeyFault::Unknown("X".into()),
            KeyFault::Unknown(_) => KeyFault::Several(2),
            KeyFault::Several(_) => KeyFault::Damaged,
            KeyFault::Damaged => KeyFault::Kind("an Ed25519 key"),
            KeyFault::Kind(_) => KeyFault::Curve("the curve P-384"),
            KeyFault::Curve(_) => KeyFault::RsaSize { bits: 1024, least: 2048, most: 8192 },
            KeyFault::RsaSize { .. } => KeyFault::Form("with explicit parameters"),
            KeyFault::Form(_) => KeyFault::NoPublicHalf,
            KeyFault::NoPublicHalf => KeyFault::Unusable("TooSmall".into()),
            KeyFault::Unusable(_) => KeyFault::Mismatch { asked: "RS384", family: "an EC key", fitting: "ES256".into() },
            KeyFault::Mismatch { .. } => return None,
        })
    }

    #[test]
    fn each_key_that_cannot_be_used_says_what_to_do() {
        let hint = |fault: &KeyFault| fault.hint(Path::new("client.pem"));
        assert_eq!(assert_all_told(KeyFault::NotPem { expected: "PUBLIC KEY" }, next, hint), 16);
    }
}
