//! Who speaks: tokens and API keys.
//!
//! A token is a JWT. A connection token names a tenant, a role and a subject; a subscription
//! token a tenant, a subject and one channel. We sign with a shared secret (HS256); others, whose
//! public keys we are told to trust, by RS256, ES256 or `EdDSA`. An API key is 256 random bits of
//! which only the hash is kept, and speaks for the platform. A tracking link's token is as long, made
//! of the link's identifier by the secret, and speaks for a customer of one order who may only
//! look. Verifying takes the time as an argument; [`now`] is the only clock of the process that
//! dates anything.
//!
//! Absent on purpose: it looks nothing up and fetches nothing. Whose an API key or a link is, the
//! database knows; public keys are brought by the `jwks` room.

mod claims;
mod grant;
mod info;
mod jwks;
mod keys;
mod link;
mod permit;
mod principal;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

pub use grant::{Grant, SubscriptionGrant};
pub use info::Info;
pub use jwks::{JwksError, PublicKeys};
pub use keys::{Keys, TokenError};
pub use link::{LINK_PREFIX, is_link_token};
pub use permit::Permit;
pub use principal::{Principal, bearer};

/// What an API key begins with, so that scanners for leaked secrets can find it.
pub const API_KEY_PREFIX: &str = "ock_";

/// The clock that tokens are judged by.
#[expect(clippy::disallowed_methods, reason = "the one clock of the process")]
pub fn now() -> Timestamp {
    Timestamp::now()
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

/// What is kept of an API key or a tracking link's token, and what tells two requests apart. A plain
/// hash does, as each has 256 random bits: there is nothing to guess.
pub fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}
