//! What a token says about its bearer to others.

use serde_json::Value;

/// Any JSON but null, that others on a channel may see: as text without blanks, of at most
/// [`Info::MAX_BYTES`]. Text, because a connection keeps it for hours and only passes it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info(Box<str>);

impl Info {
    /// The longest text.
    pub const MAX_BYTES: usize = 1_024;

    /// The value as info; none for null and when it is too long.
    pub fn new(value: &Value) -> Option<Self> {
        let text = value.to_string();
        (!value.is_null() && text.len() <= Self::MAX_BYTES).then(|| Self(text.into()))
    }

    /// The JSON text.
    pub fn json(&self) -> &str {
        &self.0
    }
}
