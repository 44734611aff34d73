//! Who acts: a role and the identity behind it.

use super::words::words;

words! {
    /// What an actor is to an order.
    Role "role" {
        /// The customer who ordered.
        Customer "customer",
        /// The store that prepares.
        Store "store",
        /// A courier.
        Driver "driver",
        /// A dispatcher.
        Ops "ops",
        /// The platform's back end.
        Platform "platform",
        /// ordercast itself, by a timer or as a consequence.
        System "system",
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    /// What the actor is.
    pub role: Role,
    /// Which one: the text of a store's or driver's identifier, or the subject of a token.
    pub id: String,
}

impl Actor {
    /// ordercast itself.
    pub fn system() -> Self {
        Self { role: Role::System, id: "ordercast".to_owned() }
    }
}
