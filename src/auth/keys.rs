//! Signs tokens with the secret, and verifies them by the secrets and by public keys.
//!
//! Each key belongs to one algorithm and is asked for no other: the head of a token only says
//! which keys are worth trying. Secrets and public keys are kept apart, so what anybody may know
//! never serves as a secret.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto, encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::claims::{Claims, OwnClaims};
use super::grant::{Grant, SubscriptionGrant};
use super::jwks::PublicKeys;
use super::link::LinkKey;
use super::{Permit, Principal, hash};
use crate::config;
use crate::domain::CredentialId;

/// Why a token does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// It names a public key that is not at hand; with newer keys it may be good.
    #[error("the token names a key that is not known")]
    UnknownKey,
    /// It is not one of ours, or says what no token of ours says.
    #[error("the token is not valid")]
    Invalid,
}

/// One key and the one algorithm it is for.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl Key {
    fn of_secret(secret: &str) -> Self {
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        Self { kid: Some(secret_kid(secret)), algorithm: Algorithm::HS256, decoding }
    }
}

/// What tokens signed by others must say besides.
#[derive(Debug, Clone, Default)]
struct Trust {
    /// Their `iss`; empty: any.
    issuer: String,
    /// Among their `aud`; empty: any.
    audience: String,
    /// The one tenant they may speak for; empty: any.
    tenant: String,
}

impl Trust {
    fn covers(&self, claims: &Claims) -> bool {
        let audience = claims.aud.as_ref();
        (self.issuer.is_empty() || claims.iss.as_ref() == Some(&self.issuer))
            && (self.audience.is_empty()
                || audience.is_some_and(|audience| audience.names(&self.audience)))
            && (self.tenant.is_empty() || claims.tenant == self.tenant)
    }
}

/// Signs and verifies tokens. Clones share the public keys.
#[derive(Clone)]
pub struct Keys {
    encoding: EncodingKey,
    /// The one that signs first.
    secrets: Vec<Key>,
    /// Of the secret that signs, and of those before it.
    pub(super) links: LinkKey,
    pub(super) prior_links: Vec<LinkKey>,
    public: Arc<RwLock<Arc<PublicKeys>>>,
    trust: Trust,
    /// Bytes of the longest token looked at.
    token_limit: usize,
    /// Public keys tried for a token that names none.
    tries: usize,
    /// Seconds that `nbf` may lie ahead, as clocks differ.
    leeway: i64,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// What the head of a token says, as far as it matters.
#[derive(Debug, Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    /// Names of extensions that must be understood; we understand none.
    crit: Option<Value>,
}

impl Keys {
    /// The keys made of a shared secret, at least 32 bytes; no public ones.
    pub fn new(secret: &str) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            secrets: vec![Key::of_secret(secret)],
            links: LinkKey::of_secret(secret),
            prior_links: vec![],
            public: Arc::default(),
            trust: Trust::default(),
            token_limit: 8_192,
            tries: 4,
            leeway: 0,
        }
    }

    /// The keys of the configuration; the public ones are still to be [trusted](Self::trust).
    pub fn configured(auth: &config::Auth) -> Self {
        let mut keys = Self::new(&auth.secret.0);
        for secret in &auth.previous_secrets {
            keys.secrets.push(Key::of_secret(&secret.0));
            keys.prior_links.push(LinkKey::of_secret(&secret.0));
        }
        keys.trust = Trust {
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            tenant: auth.jwks_tenant.clone(),
        };
        keys.token_limit = auth.token_limit_bytes;
        keys.tries = auth.kidless_tries_max;
        keys.leeway = i64::try_from(auth.not_before_leeway_s.secs()).unwrap_or_default();
        keys
    }

    /// Verifies by these public keys from now on, and by no others.
    pub fn trust(&self, keys: PublicKeys) {
        let mut public = self.public.write().unwrap_or_else(PoisonError::into_inner);
        *public = Arc::new(keys);
    }

    /// A signed connection token. Fails only when the JSON of the claims cannot be made.
    pub fn issue(&self, grant: &Grant, now: Timestamp) -> Result<String, TokenError> {
        self.issue_as(CredentialId::new(), grant, now)
    }

    /// The same by a given identifier: with the same grant, time and secret it is the same token.
    pub fn issue_as(
        &self,
        id: CredentialId,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<String, TokenError> {
        self.sign(&OwnClaims::of_connection(id, grant, now))
    }

    /// A signed subscription token. Fails only when the JSON of the claims cannot be made.
    pub fn issue_subscription(
        &self,
        grant: &SubscriptionGrant,
        now: Timestamp,
    ) -> Result<String, TokenError> {
        self.issue_subscription_as(CredentialId::new(), grant, now)
    }

    /// The same by a given identifier: with the same grant, time and secret it is the same token.
    pub fn issue_subscription_as(
        &self,
        id: CredentialId,
        grant: &SubscriptionGrant,
        now: Timestamp,
    ) -> Result<String, TokenError> {
        self.sign(&OwnClaims::of_subscription(id, grant, now))
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, TokenError> {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = self.secrets.first().and_then(|key| key.kid.clone());
        encode(&header, claims, &self.encoding).map_err(|_| TokenError::Invalid)
    }

    /// Who the connection token speaks for.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let (claims, signed) = self.open(token)?;
        claims.principal(signed, now.as_second(), self.leeway)
    }

    /// What the subscription token opens.
    pub fn verify_subscription(&self, token: &str, now: Timestamp) -> Result<Permit, TokenError> {
        let (claims, signed) = self.open(token)?;
        claims.permit(signed, now.as_second(), self.leeway)
    }

    /// The claims of a token that one of our keys has signed, and the text that was signed.
    fn open<'a>(&self, token: &'a str) -> Result<(Claims, &'a str), TokenError> {
        if token.len() > self.token_limit {
            return Err(TokenError::Invalid);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Invalid)?;
        let (head, body) = signed.split_once('.').ok_or(TokenError::Invalid)?;
        let head: Head = decoded(head)?;
        if head.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        let is_good = |key: &&Key| {
            crypto::verify(signature, signed.as_bytes(), &key.decoding, key.algorithm) == Ok(true)
        };
        let names = |key: &Key| head.kid.is_none() || head.kid == key.kid;
        if head.alg == "HS256" {
            self.secrets
                .iter()
                .filter(|key| names(key))
                .find(is_good)
                .ok_or(TokenError::Invalid)?;
            return Ok((decoded(body)?, signed));
        }
        let algorithm = match head.alg.as_str() {
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            _ => return Err(TokenError::Invalid),
        };
        let public = Arc::clone(&self.public.read().unwrap_or_else(PoisonError::into_inner));
        if head.kid.is_some() && !public.keys().iter().any(names) {
            return Err(TokenError::UnknownKey);
        }
        let fit = public.keys().iter().filter(|key| key.algorithm == algorithm && names(key));
        fit.take(self.tries).find(is_good).ok_or(TokenError::Invalid)?;
        let claims = decoded(body)?;
        if self.trust.covers(&claims) { Ok((claims, signed)) } else { Err(TokenError::Invalid) }
    }
}

/// A part of a token: JSON in base 64.
fn decoded<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Invalid)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Invalid)
}

/// The name of a secret in the head of tokens. It gives away no more than a token does: either
/// can be held against a guess.
fn secret_kid(secret: &str) -> String {
    let digest = hash(&format!("ordercast kid\0{secret}"));
    digest
        .iter()
        .take(8)
        .fold(String::with_capacity(16), |text, byte| text + &format!("{byte:02x}"))
}
