//! Tests of keys as openssl writes them. Without openssl, those that need it pass without doing anything, and say so.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::jwt::der::{INTEGER, SEQUENCE, append};

const CLAIMED: Claimed<'static> = Claimed { issuer: "me", audiences: ["you", "he"] };

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Claims {
    jti: String,
}

/// A folder in which the `commands` of a shell have run; `None` if there is no openssl.
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn made(commands: &str) -> Option<TempDir> {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: there is no openssl");
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    run(&folder, commands);
    Some(folder)
}

fn run(folder: &TempDir, commands: &str) {
    let ran = Command::new("sh").args(["-ec", commands]).current_dir(folder).output().expect("a shell");
    assert!(ran.status.success(), "{commands}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn read(folder: &TempDir, name: &str) -> Vec<u8> {
    std::fs::read(folder.path().join(name)).expect("it was written")
}

fn public(folder: &TempDir) -> Result<PublicKey, KeyFault> {
    run(folder, "openssl pkey -in key.pem -pubout -out pub.pem");
    String::from_utf8(read(folder, "pub.pem")).expect("text").parse()
}

/// Checks a token with openssl, which shares no code with ring.
fn openssl_verifies(folder: &TempDir, token: &str, algorithm: Algorithm) {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let mut signature = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64");
    if algorithm == Algorithm::Es256 {
        // openssl takes the two numbers as DER.
        let mut numbers = Vec::new();
        for number in signature.chunks(32) {
            append(&mut numbers, INTEGER, &[&[0], number].concat());
        }
        signature.clear();
        append(&mut signature, SEQUENCE, &minimal(&numbers));
    }
    std::fs::write(folder.path().join("message"), message).expect("written");
    std::fs::write(folder.path().join("signature"), signature).expect("written");
    run(folder, &format!("openssl dgst -sha{} -verify pub.pem -signature signature message", &algorithm.name()[2..]));
}

/// Two positive numbers as DER, without zeros that are not needed.
fn minimal(numbers: &[u8]) -> Vec<u8> {
    let (mut rest, mut minimal) = (numbers, Vec::new());
    while !rest.is_empty() {
        let (number, left) = crate::jwt::der::element(rest, INTEGER).expect("a number");
        let zeros = number.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
        append(&mut minimal, INTEGER, &number[zeros..]);
        rest = left;
    }
    minimal
}

#[test]
fn keys_as_openssl_writes_them_sign_and_are_verified() {
    for (commands, usual) in [
        ("openssl genrsa -out key.pem 2048", Algorithm::Rs256),
        ("openssl genrsa -traditional -out key.pem 2048 || openssl genrsa -out key.pem 2048", Algorithm::Rs256),
        ("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem", Algorithm::Rs256),
        ("openssl ecparam -name prime256v1 -genkey -out key.pem", Algorithm::Es256),
        ("openssl ecparam -name prime256v1 -genkey -noout -out key.pem", Algorithm::Es256),
        ("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem", Algorithm::Es256),
        // As other programs write files: a byte order mark, CRLF, a certificate beside the key.
        ("openssl genrsa -out k.pem 2048; (printf '\\357\\273\\277'; sed 's/$/\\r/' k.pem) > key.pem", Algorithm::Rs256),
        ("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=a -keyout k.pem -out c.pem; cat c.pem k.pem > key.pem", Algorithm::Rs256),
    ] {
        let Some(folder) = made(commands) else {
            return;
        };
        let (pem, public) = (read(&folder, "key.pem"), public(&folder).expect(commands));
        assert_eq!(SigningKey::from_pem(&pem, None).expect(commands).algorithm, usual, "{commands}");
        for algorithm in Algorithm::ALL {
            let key = match SigningKey::from_pem(&pem, Some(algorithm)) {
                Ok(key) => key,
                Err(fault) => {
                    assert!(algorithm.family() != usual.family() && matches!(fault, KeyFault::Mismatch { .. }), "{commands}: {fault}");
                    continue;
                }
            };
            let claims = json!({"iss": "me", "sub": "me", "aud": "he", "exp": 1, "jti": "x"});
            let token = key.sign(&claims, Some("k1")).expect("signed");
            let token = token.expose_secret();
            assert_eq!(public.verify::<Claims>(token, &CLAIMED), Ok(Claims { jti: "x".into() }), "{commands}");
            let header = jsonwebtoken::decode_header(token).expect("a header");
            assert_eq!((header.alg, header.kid.as_deref()), (algorithm.of_crate(), Some("k1")));
            openssl_verifies(&folder, token, algorithm);
        }
        let shown = format!("{:?} {public:?}", SigningKey::from_pem(&pem, None));
        assert!(shown.contains("[redacted]") && shown.len() < 300, "{shown}");
    }
}

#[test]
fn what_is_no_usable_key_is_told_apart() {
    let Some(folder) = made("openssl genrsa -out rsa.pem 2048; openssl ecparam -name prime256v1 -genkey -noout -out ec.pem") else {
        return;
    };
    for (commands, message, hint) in [
        ("echo hello > key.pem", "there is no key in PEM form", "openssl pkey -inform DER -in key.pem"),
        ("openssl pkey -in rsa.pem -outform DER -out key.pem", "there is no key in PEM form", "openssl pkey -inform DER"),
        ("openssl pkey -in rsa.pem -pubout -out key.pem", "it has `-----BEGIN PUBLIC KEY-----`", "name the file of the private"),
        (
            "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=a -keyout k.pem -out key.pem",
            "it has `-----BEGIN CERTIFICATE-----`",
            "name the file of the private",
        ),
        ("openssl pkey -in rsa.pem -aes256 -passout pass:x -out key.pem", "is encrypted", "openssl pkey -in key.pem -out"),
        (
            "openssl rsa -in rsa.pem -aes256 -traditional -passout pass:x -out key.pem || \
             openssl rsa -in rsa.pem -aes256 -passout pass:x -out key.pem",
            "is encrypted",
            "--client-key-file <(openssl pkey -in key.pem)",
        ),
        ("openssl genrsa -out key.pem 1024", "this is an RSA key of 1024 bits: expected 2048 to 4096", "rsa_keygen_bits:3072"),
        (
            "openssl genrsa -3 -out key.pem 2048",
            "signs nothing: its numbers do not fit each other, or are too small (`TooSmall`)",
            "rsa_keygen_bits:3072",
        ),
        (
            "openssl ecparam -name secp384r1 -genkey -out key.pem",
            "an EC key of the curve P-384: expected one of the curve P-256",
            "genpkey",
        ),
        ("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp521r1 -out key.pem", "the curve P-521", "genpkey"),
        ("openssl genpkey -algorithm ED25519 -out key.pem", "this is an Ed25519 key", "genpkey"),
        ("openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out key.pem", "an RSA key for PSS alone", "genpkey"),
        (
            "openssl ecparam -name prime256v1 -genkey -noout -param_enc explicit -out key.pem",
            "an EC key that describes its curve by numbers",
            "-ec_param_enc named_curve",
        ),
        (
            "openssl ec -in ec.pem -conv_form compressed -out key.pem",
            "an EC key with a compressed public half",
            "-ec_conv_form uncompressed",
        ),
        ("openssl ec -in ec.pem -no_public -out key.pem", "an EC key without its public half", "genpkey"),
        ("cat rsa.pem rsa.pem > key.pem", "there are 2 keys", "leave in the file"),
        ("head -5 rsa.pem > key.pem", "the file is damaged", "genpkey"),
        ("sed '3s/./*/' rsa.pem > key.pem", "the file is damaged", "genpkey"),
        ("sed 3d rsa.pem > key.pem", "the file is damaged", "genpkey"),
        (
            "printf -- '-----BEGIN DSA PRIVATE KEY-----\nAA==\n-----END DSA PRIVATE KEY-----\n' > key.pem",
            "BEGIN DSA PRIVATE KEY",
            "genpkey",
        ),
        (
            "printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n-----END OPENSSH PRIVATE KEY-----\n' > key.pem",
            "BEGIN OPENSSH PRIVATE KEY",
            "ssh-keygen -p",
        ),
    ] {
        run(&folder, commands);
        let pem = read(&folder, "key.pem");
        let fault = SigningKey::from_pem(&pem, None).expect_err(commands);
        assert!(fault.to_string().contains(message), "{commands}: {fault}");
        let given = fault.hint(Path::new("key.pem"));
        assert!(given.contains(hint), "{commands}: {given}");
    }
}

#[test]
fn an_rsa_key_has_2048_to_4096_bits() {
    for (bytes, first, bits) in
        [(255, 0xff, Some(2040)), (256, 0x7f, Some(2047)), (513, 1, Some(4097)), (512, 0x80, None), (256, 0x80, None)]
    {
        let mut numbers = Vec::new();
        append(&mut numbers, INTEGER, &[0]);
        append(&mut numbers, INTEGER, &[&[0, first][..], &vec![1; bytes - 1]].concat());
        let mut der = Vec::new();
        append(&mut der, SEQUENCE, &numbers);
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", BASE64_STANDARD.encode(der));
        let fault = SigningKey::from_pem(pem.as_bytes(), None).expect_err("it has nothing but a modulus");
        assert_eq!(matches!(fault, KeyFault::RsaSize { bits: found, .. } if Some(found) == bits), bits.is_some(), "{bytes}: {fault}");
    }
}

#[test]
fn the_hint_for_an_unusual_ec_key_helps() {
    for unusual in ["-conv_form compressed", "-param_enc explicit"] {
        let commands = format!("openssl ecparam -name prime256v1 -genkey -noout -out k.pem; openssl ec -in k.pem {unusual} -out key.pem");
        let Some(folder) = made(&commands) else {
            return;
        };
        let fault = SigningKey::from_pem(&read(&folder, "key.pem"), None).expect_err(unusual);
        let hint = fault.hint(Path::new("key.pem"));
        run(&folder, hint.split('`').nth(1).expect("a command"));
        assert!(SigningKey::from_pem(&read(&folder, "client.pem"), None).is_ok(), "{hint}");
    }
}

#[test]
fn a_public_key_is_one_of_the_form_that_openssl_writes() {
    let Some(folder) = made("openssl genrsa -out key.pem 2048") else {
        return;
    };
    for (commands, message, hint) in [
        ("cp key.pem bad.pem", "this is a private key: expected the public key", "openssl pkey -in bad.pem -pubout"),
        ("echo hello > bad.pem", "such as `-----BEGIN PUBLIC KEY-----`", "openssl pkey -in bad.pem -pubout"),
        ("openssl rsa -in key.pem -RSAPublicKey_out -out bad.pem", "such as `-----BEGIN PUBLIC KEY-----`", "-pubout"),
        ("openssl genrsa 1024 | openssl pkey -pubout -out bad.pem", "an RSA key of 1024 bits", "genpkey"),
        ("openssl ecparam -name secp384r1 -genkey | openssl pkey -pubout -out bad.pem", "the curve P-384", "genpkey"),
        ("openssl genpkey -algorithm ED25519 | openssl pkey -pubout -out bad.pem", "an Ed25519 key", "genpkey"),
    ] {
        run(&folder, commands);
        let pem = String::from_utf8(read(&folder, "bad.pem")).expect("text");
        let fault = pem.parse::<PublicKey>().expect_err(commands);
        assert!(fault.to_string().contains(message), "{commands}: {fault}");
        let given = fault.hint(Path::new("bad.pem"));
        assert!(given.contains(hint), "{commands}: {given}");
    }
}

#[test]
fn a_token_that_says_something_else_or_is_signed_otherwise_is_refused() {
    let Some(folder) = made("openssl genrsa -out key.pem 2048") else {
        return;
    };
    let (pem, public) = (read(&folder, "key.pem"), public(&folder).expect("a key"));
    let key = SigningKey::from_pem(&pem, None).expect("a key");
    let good = json!({"iss": "me", "sub": "me", "aud": "you", "exp": 1, "jti": "x"});
    let verified = |token: &str| public.verify::<Claims>(token, &CLAIMED).map(|claims| claims.jti);
    let signed = |claims: &serde_json::Value| key.sign(claims, None).expect("signed").expose_secret().to_owned();
    assert_eq!(verified(&signed(&good)), Ok("x".to_owned()));
    for name in ["iss", "sub", "aud", "exp", "jti"] {
        let mut without = good.clone();
        without.as_object_mut().expect("an object").remove(name);
        assert!(verified(&signed(&without)).is_err(), "{name} is missing");
        if name != "jti" && name != "exp" {
            let mut other = good.clone();
            other[name] = "somebody".into();
            assert!(verified(&signed(&other)).is_err(), "{name} is another");
        }
    }
    let token = signed(&good);
    let (message, signature) = token.rsplit_once('.').expect("parts");
    let payload = message.split_once('.').expect("parts").1;
    let header = |alg: &str| BASE64_URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
    for forged in [
        format!("{}.{payload}.", header("none")),
        format!("{}.{payload}.{signature}", header("RS384")),
        format!("{}.{payload}.{signature}", header("HS256")),
        format!("{}.{payload}.{signature}", header("PS256")),
        format!("{message}."),
        format!("{message}.{}", signature.replacen(|c: char| c.is_ascii_digit(), "A", 1)),
        "a.b.c".to_owned(),
        String::new(),
    ] {
        assert!(verified(&forged).is_err(), "{forged}");
    }
    // The public key, taken for a shared secret.
    let secret = EncodingKey::from_secret(&read(&folder, "pub.pem"));
    assert!(jsonwebtoken::encode(&Header::new(jsonwebtoken::Algorithm::HS256), &good, &secret).is_err(), "ring signs with no secret");
}
