//! What a subscription token opens: one channel, for one subject.

use jiff::Timestamp;

use super::Info;
use crate::domain::{CredentialId, TenantId};

/// What a subscription token opens. Whether there is such a channel, and whether whoever shows
/// the token is its subject, is for those to say who know the channel and the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// Whose data the channel carries.
    pub tenant: TenantId,
    /// Who may subscribe.
    pub subject: String,
    /// The channel's name on the wire.
    pub channel: String,
    /// What others on the channel may see of the subscription.
    pub info: Option<Info>,
    /// Which credential.
    pub credential: CredentialId,
    /// When the right ends.
    pub expires_at: Timestamp,
}
