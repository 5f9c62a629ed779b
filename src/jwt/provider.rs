//! The cryptography of jsonwebtoken, done by ring, which rustls uses already.
//!
//! Of the providers that come with jsonwebtoken, one brings a second cryptographic library written in C, the other the `rsa`
//! crate, whose timing gives keys away (RUSTSEC-2023-0071).

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, Result, new_error};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{DecodingKey, EncodingKey};
use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::Algorithm;

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| signer(*algorithm, key),
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    // For JWKs, which are not used here.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes jsonwebtoken use ring.
pub(super) fn install() {
    // Fails if it is installed already, or if a program that uses this library has installed another, which reads the same keys.
    let _ = RING.install_default();
}

fn ours(algorithm: jsonwebtoken::Algorithm) -> Result<Algorithm> {
    let known = Algorithm::ALL.into_iter().find(|ours| ours.of_crate() == algorithm);
    known.ok_or_else(|| new_error(ErrorKind::UnsupportedAlgorithm))
}

fn rejected(why: KeyRejected) -> Error {
    new_error(ErrorKind::Provider(why.to_string()))
}

fn signer(algorithm: jsonwebtoken::Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let algorithm = ours(algorithm)?;
    let pair = match algorithm {
        Algorithm::Rs256 => rsa_pair(key, &RSA_PKCS1_SHA256)?,
        Algorithm::Rs384 => rsa_pair(key, &RSA_PKCS1_SHA384)?,
        Algorithm::Rs512 => rsa_pair(key, &RSA_PKCS1_SHA512)?,
        Algorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_bytes(), &SystemRandom::new());
            Pair::P256(Box::new(pair.map_err(rejected)?))
        }
    };
    Ok(Box::new(RingSigner { algorithm, pair }))
}

fn rsa_pair(key: &EncodingKey, encoding: &'static dyn RsaEncoding) -> Result<Pair> {
    Ok(Pair::Rsa(Box::new(RsaKeyPair::from_der(key.as_bytes()).map_err(rejected)?), encoding))
}

fn verifier(algorithm: jsonwebtoken::Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let algorithm = ours(algorithm)?;
    let by: &'static dyn VerificationAlgorithm = match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
    };
    Ok(Box::new(RingVerifier { algorithm, key: UnparsedPublicKey::new(by, key.try_get_as_bytes()?.to_vec()) }))
}

enum Pair {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    P256(Box<EcdsaKeyPair>),
}

struct RingSigner {
    algorithm: Algorithm,
    pair: Pair,
}

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        let random = SystemRandom::new();
        let signed = match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, message, &mut signed).map(|()| signed)
            }
            Pair::P256(pair) => pair.sign(&random, message).map(|signed| signed.as_ref().to_vec()),
        };
        // ring does not say why.
        signed.map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm.of_crate()
    }
}

struct RingVerifier {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        self.key.verify(message, signed).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm.of_crate()
    }
}
