//! Tokens of tracking links: made of a link's identifier by the secret, so that none has to be kept
//! for it to be shown again.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::Keys;
use crate::domain::CredentialId;

/// What a tracking link's token begins with, so that scanners for leaked secrets can find it, and
/// to tell it from the others.
pub const LINK_PREFIX: &str = "tl_";

/// No head of a token has a zero byte, so nothing that is signed for one is ever a link's.
const PURPOSE: &[u8] = b"ordercast tracking link\0";

/// What makes the tokens of links out of one secret.
#[derive(Clone)]
pub(super) struct LinkKey(Hmac<Sha256>);

impl LinkKey {
    pub(super) fn of_secret(secret: &str) -> Self {
        let mac = Hmac::new_from_slice(secret.as_bytes());
        Self(mac.expect("of any length a text is a key"))
    }

    fn token(&self, id: CredentialId) -> String {
        let mut mac = self.0.clone();
        mac.update(PURPOSE);
        mac.update(id.uuid().as_bytes());
        let digest = mac.finalize().into_bytes();
        digest.iter().fold(LINK_PREFIX.to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl Keys {
    /// The token of a tracking link: 256 bits in hexadecimal that nobody can tell from random ones
    /// without the secret. For the same link and secret it is the same token.
    pub fn link_token(&self, id: CredentialId) -> String {
        self.links.token(id)
    }

    /// What its token can have been: by the secret that signs, and by those before it.
    pub fn link_tokens(&self, id: CredentialId) -> impl Iterator<Item = String> {
        std::iter::once(&self.links).chain(&self.prior_links).map(move |key| key.token(id))
    }
}

/// Whether a text can be the token of a tracking link at all.
pub fn is_link_token(text: &str) -> bool {
    let secret = text.strip_prefix(LINK_PREFIX);
    secret.is_some_and(|it| it.len() == 64 && it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
