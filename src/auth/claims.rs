//! What a token says once its signature is known to be good.
//!
//! A connection token has a `role` and no `channel`, a subscription token a `channel` and
//! neither `role` nor `orders`: so none passes as the other, whoever signed it.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Variant, Version};

use super::grant::{Grant, SubscriptionGrant};
use super::{Info, Permit, Principal, TokenError};
use crate::domain::{CredentialId, Role, Word as _};

/// The longest subject and channel, in bytes.
const NAME_MAX: usize = 255;

/// The claims we know, of either kind of token; others are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    sub: String,
    pub(super) tenant: String,
    role: Option<String>,
    orders: Option<Vec<String>>,
    channel: Option<String>,
    info: Option<Value>,
    nbf: Option<Date>,
    exp: Date,
    jti: Option<String>,
    pub(super) iss: Option<String>,
    pub(super) aud: Option<Audience>,
}

/// Whom a token is for: one or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub(super) fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(name) => name == wanted,
            Self::Many(names) => names.iter().any(|name| name == wanted),
        }
    }
}

/// Seconds since 1970. JWT allows fractions; they are cut off.
#[derive(Debug, Clone, Copy)]
struct Date(i64);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        if let Some(seconds) = number.as_i64() {
            return Ok(Self(seconds));
        }
        // Far beyond any date, and far within what is exact.
        let seconds = number.as_f64().filter(|seconds| seconds.abs() < 1e12);
        #[expect(clippy::cast_possible_truncation, reason = "it has just been bounded")]
        let seconds = seconds.map(|seconds| seconds.floor() as i64);
        seconds.map(Self).ok_or_else(|| serde::de::Error::custom("not a date"))
    }
}

impl Claims {
    /// As a connection token. `signed` is what the signature stands for.
    pub(super) fn principal(
        self,
        signed: &str,
        now: i64,
        leeway: i64,
    ) -> Result<Principal, TokenError> {
        if self.channel.is_some() {
            return Err(TokenError::Invalid);
        }
        let role = Role::find(self.role.as_deref().ok_or(TokenError::Invalid)?);
        let orders = self.orders.iter().flatten().map(|order| order.parse());
        let orders = orders.collect::<Result<_, _>>().map_err(|_| TokenError::Invalid)?;
        let principal = Principal {
            tenant: self.tenant.parse().map_err(|_| TokenError::Invalid)?,
            role: role.map_err(|_| TokenError::Invalid)?,
            orders,
            info: self.info()?,
            credential: self.credential(signed),
            expires_at: Some(self.expires_at()?),
            link: None,
            subject: name(self.sub)?,
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
        in_time(self.nbf, self.exp, now, leeway)?;
        Ok(principal)
    }

    /// As a subscription token. `signed` is what the signature stands for.
    pub(super) fn permit(self, signed: &str, now: i64, leeway: i64) -> Result<Permit, TokenError> {
        if self.role.is_some() || self.orders.is_some() {
            return Err(TokenError::Invalid);
        }
        let permit = Permit {
            tenant: self.tenant.parse().map_err(|_| TokenError::Invalid)?,
            info: self.info()?,
            credential: self.credential(signed),
            expires_at: self.expires_at()?,
            channel: name(self.channel.ok_or(TokenError::Invalid)?)?,
            subject: name(self.sub)?,
        };
        in_time(self.nbf, self.exp, now, leeway)?;
        Ok(permit)
    }

    fn info(&self) -> Result<Option<Info>, TokenError> {
        let info = self.info.as_ref();
        info.map(|info| Info::new(info).ok_or(TokenError::Invalid)).transpose()
    }

    fn expires_at(&self) -> Result<Timestamp, TokenError> {
        Timestamp::from_second(self.exp.0).map_err(|_| TokenError::Invalid)
    }

    /// The credential's identifier: `jti` if it is one of our form; else one made of `jti`, or of
    /// all that was signed. Not of the signature: some can be changed and stay good, and a
    /// revoked token must not come back as another.
    fn credential(&self, signed: &str) -> CredentialId {
        let own = self.jti.as_deref().and_then(|jti| jti.parse().ok());
        own.unwrap_or_else(|| {
            let digest = match &self.jti {
                Some(jti) => {
                    let issuer = self.iss.as_deref().unwrap_or_default();
                    Sha256::digest(format!("jti\0{}\0{issuer}\0{jti}", self.tenant))
                }
                None => Sha256::digest(format!("token\0{signed}")),
            };
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(digest).for_each(|(byte, of_digest)| *byte = of_digest);
            let uuid = Builder::from_bytes(bytes)
                .with_version(Version::Custom)
                .with_variant(Variant::RFC4122)
                .into_uuid();
            CredentialId::from_uuid(uuid)
        })
    }
}

/// Not empty, not long, and nothing that the database cannot keep.
fn name(text: String) -> Result<String, TokenError> {
    let fits = (1..=NAME_MAX).contains(&text.len()) && !text.contains('\0');
    if fits { Ok(text) } else { Err(TokenError::Invalid) }
}

/// The last thing asked, so that expired and forged stay apart.
fn in_time(nbf: Option<Date>, exp: Date, now: i64, leeway: i64) -> Result<(), TokenError> {
    if nbf.is_some_and(|nbf| now.saturating_add(leeway) < nbf.0) {
        return Err(TokenError::Invalid);
    }
    if now >= exp.0 { Err(TokenError::Expired) } else { Ok(()) }
}

/// The claims of a token of our own.
#[derive(Debug, Serialize)]
pub(super) struct OwnClaims<'a> {
    sub: &'a str,
    tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    orders: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Value>,
    iat: i64,
    exp: i64,
    jti: String,
}

impl<'a> OwnClaims<'a> {
    pub(super) fn of_connection(id: CredentialId, grant: &'a Grant, now: Timestamp) -> Self {
        Self {
            sub: &grant.subject,
            tenant: grant.tenant.to_string(),
            role: Some(grant.role.word()),
            orders: grant.orders.iter().map(ToString::to_string).collect(),
            channel: None,
            info: value(grant.info.as_ref()),
            iat: now.as_second(),
            exp: grant.expires_at.as_second(),
            jti: id.to_string(),
        }
    }

    pub(super) fn of_subscription(
        id: CredentialId,
        grant: &'a SubscriptionGrant,
        now: Timestamp,
    ) -> Self {
        Self {
            sub: &grant.subject,
            tenant: grant.tenant.to_string(),
            role: None,
            orders: vec![],
            channel: Some(&grant.channel),
            info: value(grant.info.as_ref()),
            iat: now.as_second(),
            exp: grant.expires_at.as_second(),
            jti: id.to_string(),
        }
    }
}

fn value(info: Option<&Info>) -> Option<Value> {
    info.and_then(|info| serde_json::from_str(info.json()).ok())
}
