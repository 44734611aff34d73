//! Identifiers: a UUID of version 7 behind a prefix that says what it names (`or_…`, `st_…`).
//!
//! The text is a `TypeID` (github.com/jetify-com/typeid, version 0.3): the prefix, an underscore
//! and the UUID in 26 characters of Crockford's base 32, lower case. It sorts by age.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 128 bits in groups of five, the first group holding three.
const TEXT_LEN: usize = 26;

/// Says which prefix an [`Id`] carries.
pub trait Kind: 'static {
    /// The part before the underscore.
    const PREFIX: &'static str;
}

/// An identifier of one kind of thing; `K` only says which.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// A text that is not an identifier of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of the form {prefix}_ and 26 characters")]
pub struct BadId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $alias:ident $marker:ident $prefix:literal;)+) => {$(
        #[doc = concat!("The kind of `", $prefix, "_…`.")]
        #[derive(Debug)]
        pub enum $marker {}
        impl Kind for $marker { const PREFIX: &'static str = $prefix; }
        $(#[$doc])*
        pub type $alias = Id<$marker>;
    )+};
}
kinds! {
    /// A tenant: one platform, strictly apart from all others.
    TenantId TenantKind "tn";
    /// A store: a restaurant or shop that prepares orders.
    StoreId StoreKind "st";
    /// A driver: a courier.
    DriverId DriverKind "dr";
    /// An order.
    OrderId OrderKind "or";
    /// An event of the log.
    EventId EventKind "ev";
    /// A credential: an API key or the identity of a token.
    CredentialId CredentialKind "cr";
    /// A webhook: an endpoint that a tenant's events are posted to.
    WebhookId WebhookKind "wh";
    /// An offer: one courier asked for one order.
    OfferId OfferKind "of";
    /// A batch: orders that one courier carries in one tour.
    BatchId BatchKind "ba";
    /// A proof: what shows that an order was handed over.
    ProofId ProofIdKind "pf";
}

impl<K> Id<K> {
    /// A new identifier, later in sort order than those made in earlier milliseconds.
    pub fn new() -> Self {
        Self(Uuid::now_v7(), PhantomData)
    }
    /// The identifier with this UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }
    /// The UUID, as the database holds it.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl<K> Default for Id<K> {
    fn default() -> Self {
        Self::new()
    }
}
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.as_u128();
        let mut text = [0_u8; TEXT_LEN];
        for (place, byte) in text.iter_mut().enumerate() {
            let shift = 5 * (TEXT_LEN - 1 - place);
            let group = usize::try_from((bits >> shift) & 31).unwrap_or_default();
            *byte = ALPHABET.get(group).copied().unwrap_or(b'0');
        }
        let text = std::str::from_utf8(&text).map_err(|_not_ascii| fmt::Error)?;
        f.pad(&format!("{}_{text}", K::PREFIX))
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId { prefix: K::PREFIX };
        let digits = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|digits| digits.len() == TEXT_LEN)
            .ok_or(bad)?;
        let mut bits = 0_u128;
        for (place, digit) in digits.bytes().enumerate() {
            let group = ALPHABET.iter().position(|known| *known == digit).ok_or(bad)?;
            // The first character holds three bits: anything above 7 would not fit 128.
            if place == 0 && group > 7 {
                return Err(bad);
            }
            bits = (bits << 5) | u128::try_from(group).map_err(|_too_wide| bad)?;
        }
        Ok(Self::from_uuid(Uuid::from_u128(bits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_the_typeid_specification() {
        // From the specification's valid.yml, "valid-uuidv7".
        let uuid: Uuid = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let text = OrderId::from_uuid(uuid).to_string();
        assert_eq!(text, "or_01h455vb4pex5vsknk084sn02q");
        assert_eq!(text.parse(), Ok(OrderId::from_uuid(uuid)));
    }

    #[test]
    fn a_text_of_another_kind_or_length_or_alphabet_is_refused() {
        for text in [
            "st_01h455vb4pex5vsknk084sn02q",
            "or_01h455vb4pex5vsknk084sn02",
            "or_01H455VB4PEX5VSKNK084SN02Q",
            "or_81h455vb4pex5vsknk084sn02q",
            "or01h455vb4pex5vsknk084sn02q",
            "",
        ] {
            assert_eq!(text.parse::<OrderId>(), Err(BadId { prefix: "or" }), "{text}");
        }
    }
}
