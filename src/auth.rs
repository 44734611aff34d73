//! Who speaks: tokens and API keys.
//!
//! A token is a JWT (HS256) that names a tenant, a role and a subject; an API key is 256 random
//! bits of which only the hash is kept, and speaks for the platform. Verifying takes the time as
//! an argument; [`now`] is the only clock of the process that dates anything.
//!
//! Absent on purpose: it looks nothing up. Whose an API key is, the database knows.

use std::fmt;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::{Actor, CredentialId, DriverId, OrderId, Role, StoreId, TenantId, Word as _};

/// What an API key begins with, so that scanners for leaked secrets can find it.
pub const API_KEY_PREFIX: &str = "ock_";

/// The clock that tokens are judged by.
#[expect(clippy::disallowed_methods, reason = "the one clock of the process")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Whoever a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose data it may touch.
    pub tenant: TenantId,
    /// As what.
    pub role: Role,
    /// Which one: a store's or courier's identifier, or a name of the platform's own.
    pub subject: String,
    /// The orders a customer may see.
    pub orders: Vec<OrderId>,
    /// Which credential.
    pub credential: CredentialId,
    /// When the right ends; absent for an API key.
    pub expires_at: Option<Timestamp>,
}

impl Principal {
    /// What tells its credential from all others, also of other tenants.
    pub fn bearer(&self) -> [u128; 2] {
        bearer(self.tenant, self.credential)
    }
    /// The same as an actor of the order machine.
    pub fn actor(&self) -> Actor {
        Actor { role: self.role, id: self.subject.clone() }
    }
    /// The store it is, if it is one.
    pub fn store(&self) -> Option<StoreId> {
        if self.role == Role::Store { self.subject.parse().ok() } else { None }
    }
    /// The courier it is, if it is one.
    pub fn driver(&self) -> Option<DriverId> {
        if self.role == Role::Driver { self.subject.parse().ok() } else { None }
    }
}

/// What tells a tenant's credential from all others: tenants may give theirs the same identifiers.
pub fn bearer(tenant: TenantId, credential: CredentialId) -> [u128; 2] {
    [tenant.uuid().as_u128(), credential.uuid().as_u128()]
}

/// What a new token shall say.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Whose data it may touch.
    pub tenant: TenantId,
    /// As what.
    pub role: Role,
    /// Which one.
    pub subject: String,
    /// The orders a customer may see.
    pub orders: Vec<OrderId>,
    /// When it ends.
    pub expires_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: String,
    tenant: String,
    role: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    orders: Vec<String>,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Why a token does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// It is not one of ours, or says what no token of ours says.
    #[error("the token is not valid")]
    Invalid,
}

/// Signs and verifies tokens.
#[derive(Clone)]
pub struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// The keys made of a shared secret, at least 32 bytes.
    pub fn new(secret: &str) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
        }
    }

    /// A signed token. Fails only when the JSON of the claims cannot be made.
    pub fn issue(&self, grant: &Grant, now: Timestamp) -> Result<String, TokenError> {
        let claims = Claims {
            sub: grant.subject.clone(),
            tenant: grant.tenant.to_string(),
            role: grant.role.word().to_owned(),
            orders: grant.orders.iter().map(ToString::to_string).collect(),
            iat: now.as_second(),
            exp: grant.expires_at.as_second(),
            jti: CredentialId::new().to_string(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|_| TokenError::Invalid)
    }

    /// Who the token speaks for.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Judged below, by the time we are given, so that expired and forged stay apart.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &self.decoding, &validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        let invalid = |_| TokenError::Invalid;
        let principal = Principal {
            tenant: claims.tenant.parse().map_err(|_| TokenError::Invalid)?,
            role: Role::find(&claims.role).map_err(|_| TokenError::Invalid)?,
            subject: claims.sub,
            orders: claims
                .orders
                .iter()
                .map(|order| order.parse())
                .collect::<Result<_, _>>()
                .map_err(|_| TokenError::Invalid)?,
            credential: claims.jti.parse().map_err(|_| TokenError::Invalid)?,
            expires_at: Some(Timestamp::from_second(claims.exp).map_err(invalid)?),
        };
        let names_itself = match principal.role {
            Role::Store => principal.store().is_some(),
            Role::Driver => principal.driver().is_some(),
            Role::Customer => !principal.orders.is_empty(),
            Role::Ops | Role::Platform => true,
            // The system acts by itself and carries no token.
            Role::System => false,
        };
        if !names_itself {
            return Err(TokenError::Invalid);
        }
        if now.as_second() >= claims.exp {
            return Err(TokenError::Expired);
        }
        Ok(principal)
    }
}

/// 256 random bits in hexadecimal.
pub fn new_secret() -> String {
    let halves: [u128; 2] = rand::random();
    halves.iter().fold(String::with_capacity(64), |text, half| text + &format!("{half:032x}"))
}

/// A new API key and what is kept of it.
pub fn new_api_key() -> (String, Vec<u8>) {
    let key = format!("{API_KEY_PREFIX}{}", new_secret());
    let hash = hash(&key);
    (key, hash)
}

/// What is kept of an API key, and what tells two requests apart. A plain hash does, as the key
/// has 256 random bits: there is nothing to guess.
pub fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(role: Role, subject: &str, expires_at: Timestamp) -> Grant {
        Grant {
            tenant: TenantId::new(),
            role,
            subject: subject.to_owned(),
            orders: vec![],
            expires_at,
        }
    }
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_says_what_it_was_granted_until_it_expires() {
        let keys = Keys::new("a secret of at least thirty-two bytes");
        let store = StoreId::new().to_string();
        let granted = grant(Role::Store, &store, at(200));
        let token = keys.issue(&granted, at(100)).unwrap();
        let principal = keys.verify(&token, at(199)).unwrap();
        assert_eq!(principal.tenant, granted.tenant);
        assert_eq!(principal.store().unwrap().to_string(), store);
        assert_eq!(keys.verify(&token, at(200)), Err(TokenError::Expired));
    }

    #[test]
    fn another_secret_and_another_algorithm_are_refused() {
        let keys = Keys::new("a secret of at least thirty-two bytes");
        let token = keys.issue(&grant(Role::Ops, "ann", at(200)), at(100)).unwrap();
        let others = Keys::new("another secret of thirty-two bytes!!");
        assert_eq!(others.verify(&token, at(150)), Err(TokenError::Invalid));
        // {"alg":"none"} and the same claims.
        let body = token.split('.').nth(1).unwrap();
        let forged = format!("eyJhbGciOiJub25lIn0.{body}.");
        assert_eq!(keys.verify(&forged, at(150)), Err(TokenError::Invalid));
    }

    #[test]
    fn a_store_token_must_name_a_store_and_nobody_is_the_system() {
        let keys = Keys::new("a secret of at least thirty-two bytes");
        for (role, subject) in [(Role::Store, "ann"), (Role::Driver, "bob"), (Role::System, "x")] {
            let token = keys.issue(&grant(role, subject, at(200)), at(100)).unwrap();
            assert_eq!(keys.verify(&token, at(150)), Err(TokenError::Invalid), "{role}");
        }
    }

    #[test]
    fn an_api_key_is_kept_as_its_hash_only() {
        let (key, kept) = new_api_key();
        assert_eq!(hash(&key), kept);
        assert_ne!(new_api_key().0, key);
    }
}
