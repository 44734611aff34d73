//! Tokens as the suites sign them: HS256, of a connection or of one subscription.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use ordercast::auth::now;
use ordercast::protocol::RawJson;
use ordercast::session::Permitted;
use serde::Deserialize;

/// What a token says.
#[derive(Debug, Deserialize)]
pub struct Claims {
    /// The user; empty for an anonymous one.
    #[serde(default)]
    pub sub: String,
    /// The channel of a subscription's token.
    #[serde(default)]
    pub channel: String,
    /// What others may know.
    pub info: Option<Box<RawJson>>,
    exp: Option<i64>,
}

impl Claims {
    /// Time until it ends; none if it does not.
    pub fn ttl(&self) -> Option<Duration> {
        let left = self.exp? - now().as_second();
        Some(Duration::from_secs(u64::try_from(left).unwrap_or_default()))
    }

    /// What it gives as a subscription's.
    pub fn permitted(&self) -> Permitted {
        Permitted { ttl: self.ttl(), bearer: None }
    }
}

/// Why a token does not do.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It was good once.
    Expired,
    /// It never was.
    Invalid,
}

/// Verifies tokens.
pub struct Tokens(DecodingKey);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Signed by this secret.
    pub fn new(secret: &str) -> Self {
        Self(DecodingKey::from_secret(secret.as_bytes()))
    }

    /// What a token says, if it is good.
    pub fn verify(&self, token: &str) -> Result<Claims, Fault> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &self.0, &validation);
        let claims = claims.map_err(|_| Fault::Invalid)?.claims;
        if claims.ttl().is_some_and(|left| left.is_zero()) {
            return Err(Fault::Expired);
        }
        Ok(claims)
    }
}
