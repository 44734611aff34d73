//! The `OpenAPI` document: what the handlers say, completed by what holds for all of them.

use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use super::{METHODS, actions, at, bulk, connections, keys, problems, reference};
use crate::api::ProblemCode;
use crate::http;
use crate::view::schema;

/// No text may hold U+0000, which PostgreSQL cannot.
const PLAIN: &str = r"^[^\u0000]*$";
/// The same, and some of it is no blank.
const FILLED: &str = r"^[^\u0000]*[^\s\u0000][^\u0000]*$";

/// The whole document.
pub(super) fn document() -> Value {
    let mut document = json!(http::Document::openapi());
    document["info"] = json!({
        "title": "ordercast",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Tracks orders live. What happens is told over sockets, in order and \
            exactly once: see `/asyncapi.json`. What a caller may not see is not found.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    document["servers"] = json!([{"url": "/", "description": "The server of this document."}]);
    document["security"] = json!([{"bearer": []}]);
    document["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, which speaks for the platform, or a token of a store, \
                courier, customer or dispatcher.",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "ordercast_sse",
            "description": "The same token, as `/v1/sse/cookie` gives it to a browser.",
        },
    });
    document["tags"] = tags();
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        add_events(schemas);
    }
    bulk::complete(&mut document);
    actions::expand(&mut document);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        let bodies = schemas.iter_mut().filter(|(name, _)| name.ends_with("Body"));
        bodies.for_each(|(_name, schema)| bound_texts(schema));
        let codes: Value = ProblemCode::ALL.iter().map(|code| code.word()).collect();
        for problem in ["Problem", "ItemProblem"] {
            schemas[problem]["properties"]["code"]["enum"] = codes.clone();
        }
    }
    if let Some(paths) = document["paths"].as_object_mut() {
        connections::add(paths);
        for path in paths.values_mut().filter_map(Value::as_object_mut) {
            let operations = path.iter_mut().filter(|(name, _)| METHODS.contains(&name.as_str()));
            operations.for_each(|(method, operation)| complete(method, operation));
        }
    }
    document
}

fn tags() -> Value {
    json!([
        {"name": "Orders"},
        {"name": "Offers", "description": "Couriers are asked, and answer."},
        {"name": "Tracking", "description": "Links to one order, for whoever is given one."},
        {"name": "Proofs", "description": "What shows that an order was handed over."},
        {"name": "Events", "description": "What happened: an order's, and the whole log."},
        {"name": "Stores"},
        {"name": "Couriers"},
        {"name": "Tokens"},
        {"name": "Tenant"},
        {"name": "Webhooks", "description": "Events posted to endpoints, in order."},
        {"name": "Connections", "description": "Ways to hear events as they happen."},
        {"name": "Health"},
    ])
}

/// Every type of event as a schema of its own, and `Event` as any of them.
fn add_events(schemas: &mut Map<String, Value>) {
    let (mut any, mut mapping) = (Vec::new(), Map::new());
    for event in schema::events() {
        for (name, its) in &event.schemas {
            schemas.entry(name.clone()).or_insert_with(|| json!(its));
        }
        any.push(reference(&event.name()));
        mapping
            .insert(event.kind.to_owned(), format!("#/components/schemas/{}", event.name()).into());
        schemas.insert(event.name(), event.schema());
    }
    let event = json!({
        "description": "What happened, as it is published, recovered and read from the log. More \
            types will come: ignore what you do not know.",
        "oneOf": any,
        "discriminator": {"propertyName": "type", "mapping": mapping},
    });
    schemas.insert("Event".to_owned(), event);
}

/// Says of each text of a body what holds for all of them.
fn bound_texts(schema: &mut Value) {
    let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for member in members.values_mut() {
        bound_text(member);
        if let Some(items) = member.get_mut("items") {
            bound_text(items);
        }
    }
}

fn bound_text(schema: &mut Value) {
    let kind = at(schema, "/type");
    let is_text =
        kind == "string" || kind.as_array().is_some_and(|kinds| kinds.contains(&json!("string")));
    let says_more = ["pattern", "format", "enum"].iter().any(|key| schema.get(key).is_some());
    if is_text && !says_more {
        let pattern = if schema.get("minLength").is_some() { FILLED } else { PLAIN };
        schema["pattern"] = pattern.into();
    }
}

/// Completes one operation.
fn complete(method: &str, operation: &mut Value) {
    keys::add(method, operation);
    for parameter in
        operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
    {
        bound_text(&mut parameter["schema"]);
    }
    // A body that may be left out is an empty object then, and not null.
    if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json/schema") {
        let choices = body.get("oneOf").and_then(Value::as_array);
        if let Some(given) =
            choices.and_then(|all| all.iter().find(|one| one.get("$ref").is_some()))
        {
            *body = given.clone();
        }
    }
    problems::add(operation);
    if method == "head" {
        let answers = operation["responses"].as_object_mut().into_iter().flatten();
        for (_status, answer) in answers {
            answer.as_object_mut().and_then(|answer| answer.remove("content"));
        }
    }
}
