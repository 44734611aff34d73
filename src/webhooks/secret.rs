//! Secrets of webhooks, and what they sign.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use rand::Rng as _;
use sha2::Sha256;

/// Bytes of a secret; the specification asks for 24 to 64.
const LEN: usize = 32;

/// What signs deliveries.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(set)")
    }
}

impl Secret {
    /// A secret that nobody knows yet.
    pub fn draw() -> Self {
        Self(rand::rng().random::<[u8; LEN]>().to_vec())
    }

    /// The secret of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Its bytes, as the database holds them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it is shown to its owner: `whsec_` and base 64.
    pub fn text(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    /// The signature of a body that is sent at `at` under `id`.
    fn sign(&self, id: &str, at: Timestamp, body: &str) -> String {
        // Of any length a key is one.
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).map(|mut mac| {
            for part in [id, ".", &at.as_second().to_string(), ".", body] {
                mac.update(part.as_bytes());
            }
            mac.finalize().into_bytes()
        });
        format!("v1,{}", mac.map(|mac| STANDARD.encode(mac)).unwrap_or_default())
    }
}

/// The header `webhook-signature`: a signature by each secret.
pub(super) fn signatures(secrets: &[Secret], id: &str, at: Timestamp, body: &str) -> String {
    let mut header = String::new();
    for secret in secrets {
        if !header.is_empty() {
            header.push(' ');
        }
        // Writing to a text cannot fail.
        write!(header, "{}", secret.sign(id, at, body)).ok();
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_reference_library() {
        // The example of the specification's reference libraries.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let secret_read = Secret::from_bytes(&key);
        assert_eq!(secret_read.text(), secret);
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let signed = secret_read.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs() {
        let (one, two) = (Secret::draw(), Secret::draw());
        assert_ne!(one.bytes(), two.bytes());
        let at = Timestamp::UNIX_EPOCH;
        let header = signatures(&[one.clone(), two.clone()], "ev", at, "{}");
        assert_eq!(header, format!("{} {}", one.sign("ev", at, "{}"), two.sign("ev", at, "{}")));
        assert_ne!(one.sign("ev", at, "{}"), two.sign("ev", at, "{}"));
    }

    #[test]
    fn a_secret_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", Secret::draw()), "(set)");
    }
}
