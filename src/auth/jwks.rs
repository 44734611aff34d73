//! Public keys of others: a JSON Web Key Set (RFC 7517), read into keys that verify.
//!
//! A key that we cannot use, or that anybody could sign for, is left out and said so; the others
//! of its set serve. Where sets come from is not known here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::keys::Key;

/// Bits of an RSA modulus: fewer can be factored, more cost too much to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;
/// Bytes of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE: usize = 32;

/// Why a set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// It is no JSON object with a list `keys`.
    #[error("it is not a JSON Web Key Set")]
    NotASet(#[source] serde_json::Error),
    /// It has more keys than are looked at.
    #[error("it has {found} keys; auth.jwks_keys_max allows {most}")]
    TooMany {
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
}

/// The public keys that tokens are verified by.
#[derive(Clone, Default)]
pub struct PublicKeys {
    keys: Vec<Key>,
    left_out: Vec<String>,
}

impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeys({})", self.keys.len())
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// The private part, which has no place here.
    d: Option<Value>,
}

impl PublicKeys {
    /// Reads a set of at most `most` keys.
    pub fn parse(json: &[u8], most: usize) -> Result<Self, JwksError> {
        let set: Set = serde_json::from_slice(json).map_err(JwksError::NotASet)?;
        if set.keys.len() > most {
            return Err(JwksError::TooMany { found: set.keys.len(), most });
        }
        let mut read = Self::default();
        for (nth, jwk) in set.keys.into_iter().enumerate() {
            let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            match key(jwk) {
                Ok(key) => read.keys.push(key),
                Err(why) => {
                    let name = kid.unwrap_or_else(|| format!("number {nth}"));
                    read.left_out.push(format!("{name:?}: {why}"));
                }
            }
        }
        Ok(read)
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// How many can be used.
    pub fn usable(&self) -> usize {
        self.keys.len()
    }

    /// Which could not be used, and why.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }
}

/// The key, or why it cannot be used.
fn key(jwk: Value) -> Result<Key, &'static str> {
    let jwk: Jwk = serde_json::from_value(jwk).map_err(|_| "it is not a JSON Web Key")?;
    if jwk.usage.as_ref().is_some_and(|usage| usage != "sig") {
        return Err("it is not for signatures");
    }
    if jwk.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
        return Err("it is not for verifying");
    }
    if jwk.d.is_some() {
        return Err("its private part lies open");
    }
    let (algorithm, name, read): (_, _, fn(&Jwk) -> _) =
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => (Algorithm::RS256, "RS256", rsa),
            ("EC", Some("P-256")) => (Algorithm::ES256, "ES256", p256),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, "EdDSA", ed25519),
            _ => return Err("it is none of RSA, P-256 and Ed25519"),
        };
    if jwk.alg.as_ref().is_some_and(|alg| alg != name) {
        return Err("it is for none of RS256, ES256 and EdDSA");
    }
    let decoding = read(&jwk)?;
    Ok(Key { kid: jwk.kid, algorithm, decoding })
}

fn bytes(text: Option<&String>) -> Result<Vec<u8>, &'static str> {
    let text = text.ok_or("a part of it is missing")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a part of it is not base64url")
}

fn rsa(jwk: &Jwk) -> Result<DecodingKey, &'static str> {
    let (modulus, exponent) = (bytes(jwk.n.as_ref())?, bytes(jwk.e.as_ref())?);
    if !RSA_BITS.contains(&bits(&modulus)) {
        return Err("its modulus has not 2048 to 4096 bits");
    }
    // With 1 anybody can sign; no exponent in use is longer than 32 bits.
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if !(2..=32).contains(&bits(&exponent)) || !is_odd(&exponent) || !is_odd(&modulus) {
        return Err("it is no RSA key to rely on");
    }
    Ok(DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

/// Length of a number, the most significant byte first.
fn bits(number: &[u8]) -> usize {
    let mut rest = number.iter().skip_while(|byte| **byte == 0);
    let Some(first) = rest.next() else { return 0 };
    let first = usize::try_from(u8::BITS - first.leading_zeros()).unwrap_or_default();
    first + 8 * rest.count()
}

fn p256(jwk: &Jwk) -> Result<DecodingKey, &'static str> {
    let (x, y) = (bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?);
    if (x.len(), y.len()) != (COORDINATE, COORDINATE) {
        return Err("its coordinates have not 32 bytes");
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map_err(|_| "it is no point of P-256")?;
    Ok(DecodingKey::from_ec_der(&point))
}

fn ed25519(jwk: &Jwk) -> Result<DecodingKey, &'static str> {
    let bytes = bytes(jwk.x.as_ref())?;
    let point = <[u8; COORDINATE]>::try_from(bytes).map_err(|_| "it has not 32 bytes")?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(&point);
    // For a weak one a signature is found that fits many messages.
    if key.map_err(|_| "it is no point of Ed25519")?.is_weak() {
        return Err("it is a weak point of Ed25519");
    }
    Ok(DecodingKey::from_ed_der(&point))
}
