//! What each audience sees: the one place where fields are shown, shortened or left out.
//!
//! Everything that leaves ordercast about an order goes through [`order()`] (as it stands) or
//! [`LogEvent::render`] (as it changed), for one [`Audience`]. Both are pure: what a subscriber
//! hears live, and what it recovers from the log a day later, are the same bytes. Only who looks
//! back at an order that is over ([`LogEvent::render_at`]) is shown less of it.
//!
//! Absent on purpose: it asks nobody and knows no channel; who is which audience is decided by
//! those who check tokens.

mod erase;
mod event;
mod fact;
mod link;
mod offer;
mod order;
mod party;
mod proof;
pub mod schema;

pub use erase::erase_data;
pub use event::{LogEvent, is_for};
pub use fact::fact_data;
pub use offer::{asked, offer};
pub use order::{Moment, full_order, order};
pub use party::{driver, store, tenant, tour};
pub use proof::{ShownProof, proof, shows_proof};

use crate::domain::{Driver, Order, Store, Word};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// An order with those it refers to, as they stood at one moment.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The order.
    pub order: Order,
    /// Who prepares it.
    pub store: Store,
    /// Who brings it, or brought it.
    pub driver: Option<Driver>,
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// The customer, signed in.
    Customer,
    /// The bearer of a tracking link: the customer, or whoever was given the address.
    Link,
    /// The same when the order has been over for a while: sees how it ended.
    PastLink,
    /// The store of the order.
    Store,
    /// The courier who has the order.
    Driver,
    /// A courier who has just lost the order: hears of that and no more.
    FormerDriver,
    /// A dispatcher.
    Ops,
    /// The platform's back end.
    Platform,
}

impl Audience {
    /// Every audience, for tests by enumeration.
    pub const ALL: &'static [Self] = &[
        Self::Customer,
        Self::Link,
        Self::PastLink,
        Self::Store,
        Self::Driver,
        Self::FormerDriver,
        Self::Ops,
        Self::Platform,
    ];

    /// Whether it is who waits for the order, and follows it by its steps.
    const fn is_customer(self) -> bool {
        matches!(self, Self::Customer | Self::Link | Self::PastLink)
    }

    /// Whether it sees everything but the PIN.
    const fn is_inside(self) -> bool {
        matches!(self, Self::Ops | Self::Platform)
    }
}

/// A moment as on the wire: UTC, RFC 3339, milliseconds.
pub fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn put(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    map.insert(key.to_owned(), value.into());
}

fn put_time(map: &mut Map<String, Value>, key: &str, at: Option<Timestamp>) {
    if let Some(at) = at {
        put(map, key, stamp(at));
    }
}

fn put_text(map: &mut Map<String, Value>, key: &str, text: Option<&String>) {
    if let Some(text) = text {
        put(map, key, text.as_str());
    }
}

fn put_word<W: Word>(map: &mut Map<String, Value>, key: &str, word: W) {
    put(map, key, word.word());
}

/// A phone number of which only the end is readable.
fn mask_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    // Four digits are enough to recognise a caller and too few to call.
    let shown = digits.len().saturating_sub(4);
    let end: String = digits.iter().skip(shown.max(digits.len() / 2)).collect();
    format!("•••{end}")
}

fn first_name(name: &str) -> String {
    name.split_whitespace().next().unwrap_or_default().to_owned()
}

/// How a person is called in front of those who need no full name: `Cori R.`
pub fn first_name_and_initial(name: &str) -> String {
    let mut words = name.split_whitespace();
    let first = words.next().unwrap_or_default();
    match words.next_back().and_then(|last| last.chars().next()) {
        Some(initial) => format!("{first} {initial}."),
        None => first.to_owned(),
    }
}

/// The part of an address that says where about: all after the first comma, which parts the
/// street and number from the rest.
fn area(address: &str) -> String {
    address.split_once(',').map(|(_street, rest)| rest.trim().to_owned()).unwrap_or_default()
}
