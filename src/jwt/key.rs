//! The private key that signs, and the public key that verifies.

use std::str::FromStr;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::KeyFault;
use super::pem::{private_key, public_key};
use super::{Algorithm, Family, provider};

/// A private key and the algorithm that it signs with. Clears its memory when dropped.
#[derive(Debug)]
pub(crate) struct SigningKey {
    /// Its `Debug` does not show the key.
    key: EncodingKey,
    pub(crate) algorithm: Algorithm,
}

impl SigningKey {
    /// The private key in a PEM text, which signs with `algorithm`, or else with the usual one of its kind.
    pub(crate) fn from_pem(pem: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyFault> {
        provider::install();
        let found = private_key(pem)?;
        let algorithm = algorithm.unwrap_or(found.family.usual());
        if algorithm.family() != found.family {
            return Err(KeyFault::mismatch(algorithm, found.family));
        }
        let key = match found.family {
            Family::Rsa => EncodingKey::from_rsa_der(&found.der),
            Family::P256 => EncodingKey::from_ec_der(&found.der),
        };
        let key = Self { key, algorithm };
        // ring finds out only by signing whether all numbers of an RSA key fit each other.
        key.sign(&(), None).map_err(KeyFault::Unusable)?;
        Ok(key)
    }

    /// A token with these `claims`, or why it cannot be signed; `id` says in its header which key signed it.
    pub(crate) fn sign(&self, claims: &impl Serialize, id: Option<&str>) -> Result<SecretString, String> {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(self.algorithm.of_crate()) };
        let signed = jsonwebtoken::encode(&header, claims, &self.key);
        signed.map(SecretString::from).map_err(|error| {
            // What ring says, without what jsonwebtoken calls it.
            if let ErrorKind::Provider(why) = error.kind() { why.clone() } else { error.to_string() }
        })
    }
}

/// What a token must say.
#[derive(Debug)]
pub(crate) struct Claimed<'a> {
    /// `iss` and `sub`.
    pub(crate) issuer: &'a str,
    /// `aud` is one of these.
    pub(crate) audiences: [&'a str; 2],
}

/// A public key, in the form of `-----BEGIN PUBLIC KEY-----`.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key: DecodingKey,
    family: Family,
}

impl FromStr for PublicKey {
    type Err = KeyFault;

    fn from_str(pem: &str) -> Result<Self, KeyFault> {
        provider::install();
        let found = public_key(pem.as_bytes())?;
        let key = match found.family {
            Family::Rsa => DecodingKey::from_rsa_der(&found.der),
            Family::P256 => DecodingKey::from_ec_der(&found.der),
        };
        Ok(Self { key, family: found.family })
    }
}

impl PublicKey {
    /// The claims of a `token` that its private key signed, and that says what it must. Whether it is in time is left to the
    /// caller, who knows the time.
    pub(crate) fn verify<T: DeserializeOwned>(&self, token: &str, claimed: &Claimed<'_>) -> Result<T, String> {
        let mut rules = Validation::new(self.family.usual().of_crate());
        rules.algorithms = self.family.algorithms().map(Algorithm::of_crate).collect();
        rules.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
        rules.validate_exp = false;
        rules.set_issuer(&[claimed.issuer]);
        rules.sub = Some(claimed.issuer.to_owned());
        rules.set_audience(&claimed.audiences);
        jsonwebtoken::decode(token, &self.key, &rules).map(|read| read.claims).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
