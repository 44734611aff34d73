//! What of an event is personal, and goes when the order's personal data is erased.

use serde_json::Value;

use super::LogEvent;
use crate::domain::Role;

/// Members of an event's data that may tell whom the order was for, wherever in it they stand:
/// the door, free words, the platform's own data, where somebody's device was, and what was shown
/// as proof. A member of this name anywhere is taken to be one.
const PERSONAL: &[&str] = &["dropoff", "note", "meta", "why", "place", "proof_refs", "url", "ref"];

/// Takes what is personal out of an event's data.
pub fn erase_data(data: &mut Value) {
    match data {
        Value::Object(members) => {
            members.retain(|name, _| !PERSONAL.contains(&name.as_str()));
            members.values_mut().for_each(erase_data);
        }
        Value::Array(members) => members.iter_mut().for_each(erase_data),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl LogEvent {
    /// The event without what is personal, as the log has it once that was erased.
    #[must_use]
    pub fn erased(&self) -> Self {
        let mut erased = self.clone();
        erase_data(&mut erased.data);
        if erased.by.role == Role::Customer {
            erased.by.id.clear();
        }
        erased
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_personal_goes_wherever_it_stands_and_all_else_stays() {
        let mut data = json!({
            "order": {
                "id": "or_1", "status": "failed", "dropoff": {"name": "Ann"}, "note": "no onions",
                "meta": {"ann": 1}, "items": [{"name": "Pizza", "qty": 1}],
                "reason": {"code": "other", "by": "driver", "note": "Ann was out"},
                "driver": {"name": "Cori Rossi"}, "stamps": {"created": "2025-01-01T00:00:00Z"},
            },
            "fields": ["note", "dropoff"], "code": "other", "note": "Ann was out", "why": "for Ann",
            "place": {"lat": 1, "lng": 2}, "proofs": ["photo"], "proof_refs": [{"ref": "…"}],
        });
        erase_data(&mut data);
        let left = json!({
            "order": {
                "id": "or_1", "status": "failed", "items": [{"name": "Pizza", "qty": 1}],
                "reason": {"code": "other", "by": "driver"}, "driver": {"name": "Cori Rossi"},
                "stamps": {"created": "2025-01-01T00:00:00Z"},
            },
            "fields": ["note", "dropoff"], "code": "other", "proofs": ["photo"],
        });
        assert_eq!(data, left);
    }
}
