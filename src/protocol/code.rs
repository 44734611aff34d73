//! Every number of the wire with its text: error replies, ends of subscriptions, ends of
//! connections.
//!
//! The one table. What an SDK does next depends on these numbers (on the `temporary` flag for
//! error replies), so a new row is a decision about clients and not only a name.

use super::ErrorReply;

/// Declares the rows of one table and `ALL`, so that no row can be forgotten by a test.
macro_rules! table {
    ($kind:ident: $($(#[$doc:meta])* $name:ident = $row:ident($code:literal, $text:literal);)*) => {
        $($(#[$doc])* pub const $name: $kind = $kind::$row($code, $text);)*
        /// Every row of this table, in the order of the codes.
        pub const ALL: &[$kind] = &[$($kind::$row($code, $text)),*];
    };
}

/// What an error reply says: the answer "no" to one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    /// 100 to 113 are the protocol's, 400 to 1999 ours.
    pub code: u32,
    /// For people and logs; SDKs do not read it.
    pub message: &'static str,
    /// Whether SDKs repeat a connect or a subscribe by themselves.
    pub temporary: bool,
}

/// The protocol's own errors.
impl ErrorCode {
    table! { ErrorCode:
        /// We failed; a repetition may work.
        INTERNAL = temporary(100, "internal server error");
        /// No right to connect at all.
        UNAUTHORIZED = lasting(101, "unauthorized");
        /// No channel looks like this.
        UNKNOWN_CHANNEL = lasting(102, "unknown channel");
        /// The channel or the action is not for this principal.
        PERMISSION_DENIED = lasting(103, "permission denied");
        /// No RPC has this name.
        METHOD_NOT_FOUND = lasting(104, "method not found");
        /// The connection has this subscription already.
        ALREADY_SUBSCRIBED = lasting(105, "already subscribed");
        /// A bound of the connection is reached, such as its number of subscriptions.
        LIMIT_EXCEEDED = lasting(106, "limit exceeded");
        /// The command can be read but makes no sense.
        BAD_REQUEST = lasting(107, "bad request");
        /// A part of the protocol that we do not offer.
        NOT_AVAILABLE = lasting(108, "not available");
        /// The SDK fetches a new token and comes again.
        TOKEN_EXPIRED = lasting(109, "token expired");
        /// Stops the SDK for good: [`ErrorCode::TOKEN_EXPIRED`] is nearly always meant.
        EXPIRED = lasting(110, "expired");
        /// The SDK repeats after a back-off.
        TOO_MANY_REQUESTS = temporary(111, "too many requests");
        /// Only for a client that asked to be refused when it cannot recover.
        UNRECOVERABLE_POSITION = lasting(112, "unrecoverable position");
        /// Map subscriptions only.
        CONCURRENT_PAGINATION = temporary(113, "concurrent pagination");
    }

    const fn lasting(code: u32, message: &'static str) -> Self {
        Self { code, message, temporary: false }
    }

    const fn temporary(code: u32, message: &'static str) -> Self {
        Self { code, message, temporary: true }
    }
}

/// Our errors of an RPC: one per problem code of the REST surface, with its word as the message.
///
/// Where a problem code has an HTTP status of its own the number is that status; those which
/// share one are numbered from 1400 on.
pub mod problem {
    use super::ErrorCode;

    table! { ErrorCode:
        /// The body is not what its method takes.
        MALFORMED = lasting(400, "malformed");
        /// The token does not say who this is.
        UNAUTHENTICATED = lasting(401, "unauthenticated");
        /// The token was good once.
        TOKEN_EXPIRED = lasting(402, "token_expired");
        /// The role never does this.
        ROLE_NOT_ALLOWED = lasting(403, "role_not_allowed");
        /// No such thing, or not the principal's.
        NOT_FOUND = lasting(404, "not_found");
        /// The body is longer than its bound.
        PAYLOAD_TOO_LARGE = lasting(413, "payload_too_large");
        /// A field of the body does not do.
        VALIDATION = lasting(422, "validation");
        /// Too many of these from this principal.
        RATE_LIMITED = temporary(429, "rate_limited");
        /// We failed; repeating with the same idempotency key is safe.
        INTERNAL = temporary(500, "internal");
        /// We shed load; repeating with the same idempotency key is safe.
        OVERLOADED = temporary(503, "overloaded");
        /// The order does not take this step from where it stands.
        INVALID_TRANSITION = lasting(1409, "invalid_transition");
        /// A cancellation after pick-up.
        ALREADY_PICKED_UP = lasting(1410, "already_picked_up");
        /// The caller saw another version.
        VERSION_MISMATCH = lasting(1411, "version_mismatch");
        /// The courier has no room.
        DRIVER_AT_CAPACITY = lasting(1412, "driver_at_capacity");
        /// The courier is not on duty.
        DRIVER_OFF_DUTY = lasting(1413, "driver_off_duty");
        /// Another order has this external id and another content.
        EXTERNAL_ID_CONFLICT = lasting(1414, "external_id_conflict");
        /// The idempotency key was used for another request.
        IDEMPOTENCY_KEY_REUSED = lasting(1415, "idempotency_key_reused");
        /// The offer was answered or ended before.
        OFFER_CLOSED = lasting(1416, "offer_closed");
        /// A store or courier with open orders cannot be deleted.
        HAS_OPEN_ORDERS = lasting(1417, "has_open_orders");
        /// A request with this idempotency key is being carried out.
        IDEMPOTENCY_KEY_IN_USE = temporary(1418, "idempotency_key_in_use");
        /// The hand-over needs a proof that is missing.
        PROOF_REQUIRED = lasting(1422, "proof_required");
        /// The PIN is wrong.
        PIN_WRONG = lasting(1423, "pin_wrong");
        /// Too many wrong PINs; a dispatcher can go on.
        PIN_LOCKED = lasting(1424, "pin_locked");
        /// Too early or too late.
        OUTSIDE_WINDOW = lasting(1425, "outside_window");
        /// The tracking link shows nothing any more.
        LINK_ENDED = lasting(1430, "link_ended");
        /// The log no longer reaches back to the cursor.
        CURSOR_TOO_OLD = lasting(1431, "cursor_too_old");
    }
}

/// Why we end one subscription of a connection that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribed {
    /// Below 2500 it is final; from 2500 on the SDK subscribes again at once, with recovery.
    pub code: u32,
    /// For people and logs.
    pub reason: &'static str,
}

impl Unsubscribed {
    table! { Unsubscribed:
        /// The subscription was taken away.
        SERVER = new(2000, "server unsubscribe");
        /// We cannot vouch that nothing was missed; recovery tells.
        INSUFFICIENT_STATE = new(2500, "insufficient state");
        /// The subscription's token ran out and was not renewed.
        EXPIRED = new(2501, "subscription expired");
        /// The SDK drops its token and position, so it starts from a snapshot.
        STATE_INVALIDATED = new(2502, "state invalidated");
    }

    const fn new(code: u32, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

/// Why we end a connection: code and reason of the WebSocket close frame.
///
/// The reason is never empty and never reads as JSON: centrifuge-js ignores the code of a close
/// without a reason, and obeys a reason that it can parse instead of the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnect {
    /// Decides whether the client comes again: see [`lets_reconnect`].
    pub code: u16,
    /// At most 123 bytes.
    pub reason: &'static str,
}

impl Disconnect {
    table! { Disconnect:
        /// WebSocket itself: the answer to a close that gave no code.
        NORMAL = new(1000, "normal closure");
        /// WebSocket itself: the peer broke the framing.
        PROTOCOL_ERROR = new(1002, "protocol error");
        /// WebSocket itself: a text that is not UTF-8.
        INVALID_TEXT = new(1007, "text is not UTF-8");
        /// WebSocket itself: over the inbound limit. SDKs do not come again.
        MESSAGE_TOO_BIG = new(1009, "message too big");
        /// Nothing to say about coming again.
        CONNECTION_CLOSED = new(3000, "connection closed");
        /// This process stops.
        SHUTDOWN = new(3001, "shutdown");
        /// We failed.
        SERVER_ERROR = new(3004, "internal server error");
        /// The connection's token ran out and was not renewed.
        EXPIRED = new(3005, "connection expired");
        /// The token of a subscription ran out and was not renewed.
        SUBSCRIPTION_EXPIRED = new(3006, "subscription expired");
        /// The mailbox is full or the write deadline passed.
        SLOW = new(3008, "slow");
        /// The socket refused bytes.
        WRITE_ERROR = new(3009, "write error");
        /// We cannot vouch that nothing was missed.
        INSUFFICIENT_STATE = new(3010, "insufficient state");
        /// Somebody asked for a new connection.
        FORCE_RECONNECT = new(3011, "force reconnect");
        /// A ping stayed unanswered.
        NO_PONG = new(3012, "no pong");
        /// More commands than the connection may send.
        TOO_MANY_REQUESTS = new(3013, "too many requests");
        /// The SDK drops its tokens and positions as well.
        STATE_INVALIDATED = new(3014, "state invalidated");
        /// The token cannot be verified.
        INVALID_TOKEN = new(3500, "invalid token");
        /// The message cannot be read, or breaks the order of commands.
        BAD_REQUEST = new(3501, "bad request");
        /// Nobody connected within the time given.
        STALE = new(3502, "stale");
        /// Somebody asked for this connection to end.
        FORCE_DISCONNECT = new(3503, "force disconnect");
        /// The principal has too many connections.
        CONNECTION_LIMIT = new(3504, "connection limit");
        /// Too many subscriptions.
        CHANNEL_LIMIT = new(3505, "channel limit");
        /// The codec cannot carry what was to be sent, or the frame kind is not the codec's.
        INAPPROPRIATE_PROTOCOL = new(3506, "inappropriate protocol");
        /// The principal may not be here.
        PERMISSION_DENIED = new(3507, "permission denied");
        /// A part of the protocol that we do not offer and that has no reply to say so.
        NOT_AVAILABLE = new(3508, "not available");
        /// The client keeps making mistakes.
        TOO_MANY_ERRORS = new(3509, "too many errors");
    }

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }

    /// How a connection without replies is told that its connect was answered by an error.
    pub fn instead_of(error: &ErrorReply<'_>) -> Self {
        match error.code {
            109 | 110 => Self::EXPIRED,
            111 => Self::TOO_MANY_REQUESTS,
            102 | 103 => Self::PERMISSION_DENIED,
            // What it asks for will not do the next time either.
            106 => Self::CHANNEL_LIMIT,
            107 => Self::BAD_REQUEST,
            108 => Self::NOT_AVAILABLE,
            _ => Self::SERVER_ERROR,
        }
    }
}

/// Whether an SDK whose connection ends by this code comes again by itself.
#[must_use]
pub const fn lets_reconnect(code: u16) -> bool {
    !matches!(code, 1009 | 3500..=3999 | 4500..=4999)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_errors_share_a_code() {
        let all: Vec<_> = ErrorCode::ALL.iter().chain(problem::ALL).collect();
        let codes: HashSet<_> = all.iter().map(|e| e.code).collect();
        assert_eq!(codes.len(), all.len());
    }

    #[test]
    fn errors_stay_in_their_ranges() {
        assert!(ErrorCode::ALL.iter().map(|e| e.code).eq(100..=113));
        assert!(problem::ALL.iter().all(|e| (400..=1999).contains(&e.code)));
    }

    #[test]
    fn every_problem_has_a_word_of_its_own() {
        let words: HashSet<_> = problem::ALL.iter().map(|e| e.message).collect();
        assert_eq!(words.len(), problem::ALL.len());
        let is_word = |w: &str| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(words.iter().all(|w| is_word(w)));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_temporary() {
        let codes = ErrorCode::ALL.iter().chain(problem::ALL).filter(|e| e.temporary);
        assert!(codes.map(|e| e.code).eq([100, 111, 113, 429, 500, 503, 1418]));
    }

    #[test]
    fn ends_of_subscriptions_are_distinct_and_below_3000() {
        assert!(Unsubscribed::ALL.iter().map(|u| u.code).eq([2000, 2500, 2501, 2502]));
    }

    #[test]
    fn ends_of_connections_are_distinct_and_in_their_ranges() {
        let codes: HashSet<_> = Disconnect::ALL.iter().map(|d| d.code).collect();
        assert_eq!(codes.len(), Disconnect::ALL.len());
        assert!(
            codes
                .iter()
                .all(|c| matches!(c, 1000 | 1002 | 1007 | 1009 | 3000..=3014 | 3500..=3509))
        );
    }

    #[test]
    fn every_close_has_a_reason_that_is_plain_text_and_fits() {
        for Disconnect { code, reason } in Disconnect::ALL {
            assert!(!reason.is_empty() && reason.len() <= 123, "{code}");
            assert!(serde_json::from_str::<serde_json::Value>(reason).is_err(), "{code}");
        }
    }

    #[test]
    fn the_range_of_a_code_decides_whether_a_client_comes_again() {
        for code in [1000, 1001, 1006, 3000, 3001, 3008, 3014, 3499, 4000, 4499] {
            assert!(lets_reconnect(code), "{code}");
        }
        for code in [1009, 3500, 3501, 3509, 3999, 4500, 4999] {
            assert!(!lets_reconnect(code), "{code}");
        }
    }
}
