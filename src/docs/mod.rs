//! The documents: what can be asked (`OpenAPI`) and what can be heard (`AsyncAPI`).
//!
//! Both are made from the code that they are about: routes from the handlers' own descriptions,
//! bodies from the types that read them, answers and events from the schemas of the views,
//! problems and codes from their tables, RPC methods from the routes. The behaviour tests hold
//! them against the running server: its routes, its answers, its frames.
//!
//! Absent on purpose: it serves nothing and knows no request; the pages do that.

#![expect(
    clippy::indexing_slicing,
    reason = "what is indexed is a document of our own making, and made the same each time"
)]

mod actions;
mod asyncapi;
mod bulk;
mod connections;
mod keys;
mod openapi;
mod problems;
mod rpc;

use std::sync::LazyLock;

use serde_json::Value;

/// The `OpenAPI` document as JSON text; made once.
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
    &TEXT
}

/// The `AsyncAPI` document as JSON text; made once.
pub fn asyncapi() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| asyncapi::document(&openapi::document()).to_string());
    &TEXT
}

/// The methods of a path that have an operation.
const METHODS: &[&str] = &["get", "put", "post", "delete", "patch", "head"];

/// What stands at a JSON pointer; nothing, when nothing does.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// A reference to a schema that both documents have.
fn reference(name: &str) -> Value {
    serde_json::json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The name of the schema that a reference is to.
fn referred(schema: &Value) -> Option<&str> {
    at(schema, "/$ref").as_str()?.strip_prefix("#/components/schemas/")
}
