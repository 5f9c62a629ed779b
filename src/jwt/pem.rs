//! Finds the one key in a PEM file: as `openssl genrsa`, `genpkey` and `ecparam -genkey` write it.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use secrecy::zeroize::Zeroizing;

use super::Family;
use super::der::{self, BITS, FIRST_OPTIONAL, INTEGER, OCTETS, OID, SECOND_OPTIONAL, SEQUENCE, element, only, whole_bytes};
use super::fault::KeyFault;

/// The shortest RSA key, in bits, that ring signs with and RFC 7518 (section 3.3) allows.
const LEAST_BITS: usize = 2048;
/// The longest RSA key, in bits, that ring signs with.
const MOST_BITS: usize = 4096;

/// Object identifiers, without tag and length.
const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// The kinds of keys that cannot be used, by their object identifiers.
const KINDS: [(&[u8], &str); 6] = [
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "an RSA key for PSS alone"),
    (b"\x2b\x65\x70", "an Ed25519 key"),
    (b"\x2b\x65\x71", "an Ed448 key"),
    (b"\x2b\x65\x6e", "an X25519 key"),
    (b"\x2b\x65\x6f", "an X448 key"),
    (b"\x2a\x86\x48\xce\x38\x04\x01", "a DSA key"),
];

/// The curves that cannot be used.
const CURVES: [(&[u8], &str); 4] = [
    (b"\x2b\x81\x04\x00\x21", "the curve P-224"),
    (b"\x2b\x81\x04\x00\x22", "the curve P-384"),
    (b"\x2b\x81\x04\x00\x23", "the curve P-521"),
    (b"\x2b\x81\x04\x00\x0a", "the curve secp256k1"),
];

/// A key in the one form that all providers of jsonwebtoken read.
pub(super) struct FoundKey {
    pub(super) family: Family,
    /// RSA: PKCS#1. EC: PKCS#8 of a private key, the point of a public one.
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// The labels of the sections of a PEM text, such as `PRIVATE KEY`.
fn labels(pem: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(pem);
    let label = |line: &str| Some(line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")?.to_owned());
    // Old versions of `ecparam -genkey` and `dsaparam -genkey` write parameters before the key.
    text.lines().filter_map(label).filter(|label| !label.ends_with(" PARAMETERS")).collect()
}

/// Whether a PEM text says that it is encrypted, in the new form or in the old one.
fn is_encrypted(pem: &[u8], labels: &[String]) -> bool {
    let has_header = String::from_utf8_lossy(pem).lines().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"));
    has_header || labels.iter().any(|label| label.starts_with("ENCRYPTED "))
}

/// The private key in a PEM text.
pub(super) fn private_key(pem: &[u8]) -> Result<FoundKey, KeyFault> {
    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem);
    let labels = labels(pem);
    let private: Vec<&String> = labels.iter().filter(|label| label.ends_with("PRIVATE KEY")).collect();
    if is_encrypted(pem, &labels) {
        return Err(KeyFault::Encrypted);
    }
    match (&private[..], labels.first()) {
        ([_], _) => {}
        ([], None) => return Err(KeyFault::NotPem { expected: "PRIVATE KEY" }),
        ([], Some(label)) if label.ends_with("PUBLIC KEY") || label.contains("CERTIFICATE") => return Err(KeyFault::Public(label.clone())),
        ([], Some(label)) => return Err(KeyFault::Unknown(label.clone())),
        (several, _) => return Err(KeyFault::Several(several.len())),
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    match keys.next() {
        Some(Ok(key)) => read_private(&Zeroizing::new(key)),
        Some(Err(_)) => Err(KeyFault::Damaged),
        // A label that is not known, such as `DSA PRIVATE KEY`; or no end.
        None => Err(private.first().map_or(KeyFault::Damaged, |label| KeyFault::Unknown((*label).clone()))),
    }
}

/// The public key in a PEM text.
pub(super) fn public_key(pem: &[u8]) -> Result<FoundKey, KeyFault> {
    let labels = labels(pem);
    if labels.iter().any(|label| label.ends_with("PRIVATE KEY")) {
        return Err(KeyFault::Private);
    }
    match labels.iter().filter(|label| *label == "PUBLIC KEY").count() {
        0 => Err(KeyFault::NotPem { expected: "PUBLIC KEY" }),
        1 => read_public(&SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyFault::Damaged)?),
        several => Err(KeyFault::Several(several)),
    }
}

fn read_private(key: &PrivateKeyDer<'static>) -> Result<FoundKey, KeyFault> {
    match key {
        PrivateKeyDer::Pkcs1(key) => rsa(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => {
            let key = key.secret_sec1_der();
            let fields = optional_ec_fields(key).ok_or(KeyFault::Damaged)?;
            check_curve(element(fields, FIRST_OPTIONAL).ok_or(KeyFault::Form("without the name of its curve"))?.0)?;
            check_point(key)?;
            Ok(FoundKey { family: Family::P256, der: in_pkcs8(key) })
        }
        PrivateKeyDer::Pkcs8(key) => read_pkcs8(key.secret_pkcs8_der()),
        _ => Err(KeyFault::Kind("a key of another kind")),
    }
}

fn read_pkcs8(der: &[u8]) -> Result<FoundKey, KeyFault> {
    let parts = || {
        let (_, rest) = element(only(der, SEQUENCE)?, INTEGER)?;
        let (algorithm, rest) = element(rest, SEQUENCE)?;
        let (kind, parameters) = element(algorithm, OID)?;
        Some((kind, parameters, element(rest, OCTETS)?.0))
    };
    let (kind, parameters, key) = parts().ok_or(KeyFault::Damaged)?;
    match kind {
        RSA => rsa(key),
        EC => {
            check_curve(parameters)?;
            check_point(key)?;
            Ok(FoundKey { family: Family::P256, der: Zeroizing::new(der.to_vec()) })
        }
        other => Err(other_kind(other)),
    }
}

fn read_public(der: &[u8]) -> Result<FoundKey, KeyFault> {
    let parts = || {
        let (algorithm, rest) = element(only(der, SEQUENCE)?, SEQUENCE)?;
        let (kind, parameters) = element(algorithm, OID)?;
        Some((kind, parameters, whole_bytes(only(rest, BITS)?)?))
    };
    let (kind, parameters, key) = parts().ok_or(KeyFault::Damaged)?;
    match kind {
        RSA => {
            let modulus = only(key, SEQUENCE).and_then(|numbers| element(numbers, INTEGER)).ok_or(KeyFault::Damaged)?.0;
            check_size(modulus)?;
            Ok(FoundKey { family: Family::Rsa, der: Zeroizing::new(key.to_vec()) })
        }
        EC => {
            check_curve(parameters)?;
            Ok(FoundKey { family: Family::P256, der: Zeroizing::new(key.to_vec()) })
        }
        other => Err(other_kind(other)),
    }
}

fn other_kind(kind: &[u8]) -> KeyFault {
    KeyFault::Kind(KINDS.iter().find(|(oid, _)| *oid == kind).map_or("a key of another kind", |(_, name)| name))
}

/// An RSA private key in the form of PKCS#1.
fn rsa(der: &[u8]) -> Result<FoundKey, KeyFault> {
    let modulus = || Some(element(element(only(der, SEQUENCE)?, INTEGER)?.1, INTEGER)?.0);
    check_size(modulus().ok_or(KeyFault::Damaged)?)?;
    Ok(FoundKey { family: Family::Rsa, der: Zeroizing::new(der.to_vec()) })
}

fn check_size(modulus: &[u8]) -> Result<(), KeyFault> {
    match der::bits(modulus) {
        LEAST_BITS..=MOST_BITS => Ok(()),
        bits => Err(KeyFault::RsaSize { bits, least: LEAST_BITS, most: MOST_BITS }),
    }
}

/// Checks the parameters of an EC key: the name of its curve, or all its numbers.
fn check_curve(parameters: &[u8]) -> Result<(), KeyFault> {
    match only(parameters, OID) {
        Some(P256) => Ok(()),
        Some(other) => Err(KeyFault::Curve(CURVES.iter().find(|(oid, _)| *oid == other).map_or("another curve", |(_, name)| name))),
        None => Err(KeyFault::Form("that describes its curve by numbers")),
    }
}

/// The optional fields of an EC private key: its parameters, and its public point.
fn optional_ec_fields(der: &[u8]) -> Option<&[u8]> {
    let (_, rest) = element(only(der, SEQUENCE)?, INTEGER)?;
    element(rest, OCTETS).map(|(_, rest)| rest)
}

/// Checks that an EC private key has the public point beside it, uncompressed: ring takes no other.
fn check_point(der: &[u8]) -> Result<(), KeyFault> {
    let fields = optional_ec_fields(der).ok_or(KeyFault::Damaged)?;
    let fields = element(fields, FIRST_OPTIONAL).map_or(fields, |(_, rest)| rest);
    let (point, _) = element(fields, SECOND_OPTIONAL).ok_or(KeyFault::NoPublicHalf)?;
    match only(point, BITS).and_then(whole_bytes).and_then(<[u8]>::first) {
        Some(4) => Ok(()),
        Some(2 | 3) => Err(KeyFault::Form("with a compressed public half")),
        Some(_) | None => Err(KeyFault::Damaged),
    }
}

/// An EC private key of P-256, wrapped as PKCS#8.
fn in_pkcs8(key: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut algorithm = Vec::new();
    der::append(&mut algorithm, OID, EC);
    der::append(&mut algorithm, OID, P256);
    // Room for all, so that growing leaves no copies of the key behind.
    let mut body = Zeroizing::new(Vec::with_capacity(key.len() + 64));
    der::append(&mut body, INTEGER, &[0]);
    der::append(&mut body, SEQUENCE, &algorithm);
    der::append(&mut body, OCTETS, key);
    let mut whole = Zeroizing::new(Vec::with_capacity(body.len() + 8));
    der::append(&mut whole, SEQUENCE, &body);
    whole
}
