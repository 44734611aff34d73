//! Opaque cursors of lists.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::domain::{BadId, OrderId};

/// Where the next page of a list of orders begins: after this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When the last order of the page was made.
    pub at: Timestamp,
    /// The last order of the page.
    pub id: OrderId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.as_microsecond(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId { prefix: "a cursor" };
        let (at, id) = text.split_once('.').ok_or(bad)?;
        // No order was made before 1970, and PostgreSQL holds no time as early as a timestamp can be.
        let at = at.parse().ok().filter(|at| *at >= 0).ok_or(bad)?;
        Ok(Self { at: Timestamp::from_microsecond(at).map_err(|_| bad)?, id: id.parse()? })
    }
}
