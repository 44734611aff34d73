//! What the bearer of a tracking link is not shown of what a customer sees who is signed in.

use serde_json::{Map, Value};

use super::Audience;
use super::order::{shorten, within};

/// Takes from a customer's view what a link does not show.
pub(super) fn trim_for_link(view: &mut Map<String, Value>, audience: Audience) {
    match audience {
        Audience::Link => within(view, "dropoff", |door| {
            // They are for the courier, and may hold the code of the door.
            door.remove("notes");
            shorten(door, "address", street);
        }),
        // Without name, address and map.
        Audience::PastLink => {
            for key in ["dropoff", "driver", "pin", "note"] {
                view.remove(key);
            }
            within(view, "store", |store| {
                for key in ["lat", "lng"] {
                    store.remove(key);
                }
            });
        }
        Audience::Customer
        | Audience::Store
        | Audience::Driver
        | Audience::FormerDriver
        | Audience::Ops
        | Audience::Platform => {}
    }
}

/// The part of an address that says which street: all before the first comma or line break, and
/// the next part too where the first is no more than a number.
fn street(address: &str) -> String {
    let mut parts = address.split([',', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default();
    let is_number = first.starts_with(|start: char| start.is_ascii_digit())
        && !first.contains(char::is_whitespace);
    match parts.next().filter(|_| is_number) {
        Some(second) => format!("{first}, {second}"),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_the_street_is_left() {
        for (address, left) in [
            ("Elm St 1, Berlin", "Elm St 1"),
            ("Hauptstr. 1, Mitte, Berlin", "Hauptstr. 1"),
            ("Elm St 1\n10115 Berlin", "Elm St 1"),
            ("12, Elm Street, London", "12, Elm Street"),
            ("12a, Elm Street, London", "12a, Elm Street"),
            ("12 Elm Street, London", "12 Elm Street"),
            ("1er étage, rue X", "1er étage"),
            (", Elm St 1, Berlin", "Elm St 1"),
            ("Elm St 1", "Elm St 1"),
            (" , ", ""),
            ("", ""),
        ] {
            assert_eq!(street(address), left, "{address:?}");
        }
    }
}
