//! Who is shown which event, and who is never shown what.

use ordercast::domain::Role;
use ordercast::view::{Audience, LogEvent};
use serde_json::Value;

/// Whether the audience hears of it; `None` where that hangs on which details have changed.
fn hears(event: &LogEvent, audience: Audience) -> Option<bool> {
    let kind = event.kind.as_str();
    let (noun, verb) = kind.split_once('.').unwrap_or_default();
    let says = |key: &str, value: &str| event.data[key] == value;
    let customer = match (noun, verb) {
        ("order", "noted") => false,
        ("order", "late") => says("kind", "delivery"),
        ("order", _) => true,
        ("courier", "near") => says("end", "door"),
        ("courier", verb) => !verb.starts_with("search"),
        _ => false,
    };
    let heard = match audience {
        Audience::Ops | Audience::Platform => true,
        _ if kind == "order.updated" => return None,
        Audience::Customer | Audience::Link | Audience::PastLink => customer,
        Audience::Store => match (noun, verb) {
            ("order", "noted") => event.by.role == Role::Store,
            ("courier", "near") => says("end", "store"),
            ("order" | "courier" | "store", _) => true,
            _ => false,
        },
        Audience::Driver => match (noun, verb) {
            ("order", "noted") => event.driver.is_some_and(|it| it.to_string() == event.by.id),
            ("courier", verb) => !verb.starts_with("search"),
            ("order" | "offer" | "driver", _) => true,
            _ => false,
        },
        Audience::FormerDriver => matches!(kind, "courier.changed" | "courier.unassigned"),
    };
    Some(heard)
}

/// Whether `value` holds these digits, or a member of this name.
fn holds(value: &Value, digits: Option<&str>, name: &str) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(key, value)| {
            key == name && !value.is_boolean()
                // Drawn by chance as well, of other characters.
                || key != "short_code" && holds(value, digits, name)
        }),
        Value::Array(values) => values.iter().any(|value| holds(value, digits, name)),
        Value::String(text) => digits == Some(text.as_str()),
        _ => false,
    }
}

/// Checks what each audience is shown of an event of an order with this PIN.
pub fn check(event: &LogEvent, pin: Option<&str>) -> Result<(), String> {
    for audience in Audience::ALL {
        let shown = event.render(*audience);
        let kind = &event.kind;
        if hears(event, *audience).is_some_and(|heard| heard != shown.is_some()) {
            return Err(format!("{kind} for {audience:?}: {shown:?}"));
        }
        let Some(shown) = shown else { continue };
        let shown: Value = serde_json::from_str(&shown).map_err(|error| error.to_string())?;
        let customer = matches!(audience, Audience::Customer | Audience::Link);
        if !customer && holds(&shown, pin, "pin") {
            return Err(format!("{kind} tells {audience:?} the PIN: {shown}"));
        }
        let inside = matches!(audience, Audience::Ops | Audience::Platform);
        let own = matches!(
            (audience, event.by.role),
            (Audience::Store, Role::Store)
                | (Audience::Driver | Audience::FormerDriver, Role::Driver)
        );
        if !inside && !own && !shown["by"]["id"].is_null() {
            return Err(format!("{kind} tells {audience:?} who did it: {shown}"));
        }
        if !inside && !shown["tenant"].is_null() {
            return Err(format!("{kind} tells {audience:?} the tenant: {shown}"));
        }
        // Whoever is asked learns the area, and whoever has lost it nothing more.
        let asked = *audience == Audience::Driver && kind.starts_with("offer.");
        if (asked || *audience == Audience::FormerDriver)
            && ["address", "phone", "notes"].iter().any(|name| holds(&shown["data"], None, name))
        {
            return Err(format!("{kind} tells {audience:?} where it goes: {shown}"));
        }
        if asked && !shown["order"].is_null() {
            return Err(format!("{kind} tells who is asked which order: {shown}"));
        }
        let numbered = event.n.is_some();
        if numbered != shown["n"].is_i64() || shown["position"] != event.position {
            return Err(format!("{kind} for {audience:?} has another number: {shown}"));
        }
    }
    Ok(())
}

/// What a type of event must have: a number exactly if it has changed an order.
pub fn is_numbered(kind: &str) -> bool {
    kind.starts_with("order.") || kind.starts_with("courier.")
}
