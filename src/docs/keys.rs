//! Keys of writes: every one takes one, and says whether it was answered before.

use serde_json::{Map, Value, json};

use super::at;
use crate::api::ProblemCode;

/// Adds the key, if the operation is a write of somebody who is known.
pub(super) fn add(method: &str, operation: &mut Value) {
    if matches!(method, "get" | "head") || operation.get("security").is_some() {
        return;
    }
    let key = json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same request within 24 hours: the same answer, and \
            no second effect.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            // What follows the last of them HTTP takes away.
            "pattern": "^[!-~][\t -~]*$",
        },
    });
    push(operation, "parameters", key);
    push(operation, "x-problems", ProblemCode::IdempotencyKeyReused.word().into());
    let answers = operation.get_mut("responses").and_then(Value::as_object_mut);
    let answers = answers.into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
    for (_status, answer) in answers {
        let mut headers = at(answer, "/headers").as_object().cloned().unwrap_or_else(Map::new);
        let replayed = json!({
            "description": "The key was answered like this before, and nothing was done this time.",
            "schema": {"type": "string", "const": "true"},
        });
        headers.insert("Idempotent-Replayed".to_owned(), replayed);
        answer["headers"] = headers.into();
    }
}

fn push(operation: &mut Value, list: &str, entry: Value) {
    match operation.get_mut(list).and_then(Value::as_array_mut) {
        Some(entries) => entries.push(entry),
        None => operation[list] = json!([entry]),
    }
}
