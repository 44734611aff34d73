//! The problems that an operation may be answered with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::at;
use crate::api::ProblemCode;
use crate::http::problem::status;

/// What a handler says beside what holds for all.
const OWN: &str = "x-problems";

/// Adds an answer for each status, with the codes that share it.
pub(super) fn add(operation: &mut Value) {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes(operation) {
        by_status.entry(status(code).as_u16()).or_default().push(code.word());
    }
    if let Some(members) = operation.as_object_mut() {
        members.remove(OWN);
    }
    for (status, words) in by_status {
        operation["responses"][status.to_string()] = answer(status, &words);
    }
}

fn codes(operation: &Value) -> Vec<ProblemCode> {
    use ProblemCode as Code;

    let mut wanted = vec![Code::Internal, Code::Overloaded];
    // The document's own rule holds unless the operation has one.
    if operation.get("security").is_none() {
        wanted.extend([Code::Unauthenticated, Code::TokenExpired, Code::RoleNotAllowed]);
        wanted.push(Code::RateLimited);
    }
    if operation.get("requestBody").is_some() {
        wanted.extend([Code::Malformed, Code::PayloadTooLarge, Code::Validation]);
    }
    for parameter in at(operation, "/parameters").as_array().into_iter().flatten() {
        match at(parameter, "/in").as_str() {
            Some("path") => wanted.push(Code::NotFound),
            Some("query") => wanted.extend([Code::Malformed, Code::Validation]),
            _ => wanted.push(Code::Validation),
        }
    }
    let own = at(operation, &format!("/{OWN}")).as_array().into_iter().flatten();
    let own: Vec<&str> = own.filter_map(Value::as_str).collect();
    let all = Code::ALL.iter().copied();
    all.filter(|code| wanted.contains(code) || own.contains(&code.word())).collect()
}

fn answer(status: u16, words: &[&str]) -> Value {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let mut headers = json!({});
    let seconds = json!({"type": "integer", "minimum": 1});
    match status {
        401 => headers["WWW-Authenticate"] = header("`Bearer`.", &json!({"type": "string"})),
        409 if words.contains(&ProblemCode::IdempotencyKeyInUse.word()) => {
            headers["Retry-After"] = header("Seconds until it may do.", &seconds);
            // Only of that one.
            headers["Retry-After"]["required"] = false.into();
        }
        429 => {
            headers["Retry-After"] = header("Seconds until it may do.", &seconds);
            let text = json!({"type": "string"});
            headers["RateLimit-Policy"] = header("Which limit, and how much it allows.", &text);
            headers["RateLimit"] = header("What is left of it, and for how long.", &text);
        }
        503 => headers["Retry-After"] = header("Seconds until it may do.", &seconds),
        _ => {}
    }
    let schema = json!({
        "$ref": "#/components/schemas/Problem",
        "properties": {"code": {"enum": words}},
    });
    let mut answer = json!({
        "description": format!("{}.", quoted.join(", ")),
        "content": {"application/problem+json": {"schema": schema}},
    });
    if headers.as_object().is_some_and(|headers| !headers.is_empty()) {
        answer["headers"] = headers;
    }
    answer
}

fn header(description: &str, schema: &Value) -> Value {
    json!({"description": description, "required": true, "schema": schema})
}
