use super::*;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::jwt::{Claimed, PublicKey, SigningKey};

const URL: &str = "http://127.0.0.1:1/e/as/token";

/// What every public key of P-256 begins with, as DER, before its point.
const PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

fn key_pair() -> (SigningKey, PublicKey) {
    let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("random numbers");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random).expect("a key");
    let public = pem("PUBLIC KEY", &[PREFIX, pair.public_key().as_ref()].concat());
    let private = SigningKey::from_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes(), None).expect("a key");
    (private, public.parse().expect("a key"))
}

#[test]
fn an_assertion_is_accepted_once_and_in_time() {
    let (private, public) = key_pair();
    let noon = DateTime::from_timestamp(1_800_014_400, 0).expect("in range");
    let mut seen = Assertions::default();
    let mut check = |jti: &str, exp: i64, nbf: i64, after: i64| {
        let claims =
            json!({"iss": "me", "sub": "me", "aud": URL, "exp": noon.timestamp() + exp, "nbf": noon.timestamp() + nbf, "jti": jti});
        let token = private.sign(&claims, None).expect("signed");
        let claimed = Claimed { issuer: "me", audiences: [URL, "http://127.0.0.1:1/e/as"] };
        let claims = public.verify(token.expose_secret(), &claimed).expect("a signed assertion");
        let checked = seen.check(claims, noon + TimeDelta::seconds(after));
        checked.map_err(|why| why.to_string()).err().unwrap_or_default()
    };
    for (jti, exp, nbf, after, refusal) in [
        ("a", 60, 0, 0, ""),
        ("b", 3600, 0, 0, ""),
        ("a", 60, 0, 0, "its jti was used before"),
        ("a", 70, 0, 59, "its jti was used before"),
        ("c", 60, 0, 60, "it has expired"),
        ("d", 3601, 0, 0, "it expires more than an hour from now"),
        ("e", 60, 5, 0, "it is not valid yet"),
        ("f", i64::MAX / 2 - 1_800_014_400, 0, 0, "exp is no date"),
    ] {
        let why = check(jti, exp, nbf, after);
        assert!(if refusal.is_empty() { why.is_empty() } else { why.ends_with(refusal) }, "{jti} {exp} {after}: {why}");
    }
}

#[test]
fn an_assertion_of_another_key_is_refused() {
    let ((private, _), (_, public)) = (key_pair(), key_pair());
    let noon = DateTime::from_timestamp(1_800_014_400, 0).expect("in range");
    let claims = json!({"iss": "me", "sub": "me", "aud": URL, "exp": noon.timestamp() + 60, "jti": "a"});
    let token = private.sign(&claims, None).expect("signed");
    let claimed = Claimed { issuer: "me", audiences: [URL, URL] };
    let refused = public.verify::<Claims>(token.expose_secret(), &claimed).err();
    assert_eq!(refused.as_deref(), Some("InvalidSignature"));
}
