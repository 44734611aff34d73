//! RPC methods, read from the routes: each write is a method with the same body, and what stands
//! in the path, the query and the headers there stands in the data here.

use serde_json::{Map, Value, json};

use super::{METHODS, at, reference, referred};

/// One method.
#[derive(Clone)]
pub(super) struct Method {
    /// Its name, as `order.accept`.
    pub(super) name: String,
    /// What it does.
    pub(super) summary: String,
    /// The schema of its data.
    pub(super) data: Value,
    /// The schema of its answer.
    pub(super) answer: Value,
}

/// Every method, by name.
pub(super) fn methods(openapi: &Value) -> Vec<Method> {
    let mut found = Vec::new();
    let paths = at(openapi, "/paths").as_object().into_iter().flatten();
    for (_path, operations) in paths {
        // What only reads has no method, and what is no write of ours no name with a dot.
        let writes = METHODS.iter().filter(|method| !matches!(**method, "get" | "head"));
        for operation in writes.filter_map(|method| operations.get(method)) {
            let name = at(operation, "/operationId").as_str().unwrap_or_default();
            if name.contains('.') {
                found.push(Method {
                    name: name.to_owned(),
                    summary: at(operation, "/summary").as_str().unwrap_or_default().to_owned(),
                    data: data(openapi, operation),
                    answer: answer(operation),
                });
            }
        }
    }
    // As it is called every few seconds, it has a short name too.
    if let Some(locations) = found.iter().find(|method| method.name == "driver.locations") {
        found.push(Method { name: "locations".to_owned(), ..locations.clone() });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn data(openapi: &Value, operation: &Value) -> Value {
    let body = at(operation, "/requestBody/content/application~1json/schema");
    let named = referred(body).map(|name| at(openapi, &format!("/components/schemas/{name}")));
    let mut schema = named.cloned().unwrap_or_else(
        || json!({"type": "object", "properties": {}, "additionalProperties": false}),
    );
    let mut required = at(&schema, "/required").as_array().cloned().unwrap_or_default();
    let mut members = at(&schema, "/properties").as_object().cloned().unwrap_or_default();
    for parameter in at(operation, "/parameters").as_array().into_iter().flatten() {
        let name = at(parameter, "/name").as_str().unwrap_or_default();
        let mut its = at(parameter, "/schema").clone();
        let member = match name {
            "Idempotency-Key" => "idempotency_key",
            "If-Match" => {
                its = json!({"type": "integer", "format": "int64"});
                "if_match"
            }
            // Couriers and stores need not name themselves.
            name => name,
        };
        let themselves = matches!(
            (at(operation, "/operationId").as_str(), name),
            (Some("store.pause"), "store")
                | (Some("driver.duty"), "driver")
                // Of none that is named: all of the order.
                | (Some("link.revoke"), "link")
        );
        if at(parameter, "/required") == true && !themselves {
            required.push(member.into());
        }
        members.insert(member.to_owned(), its);
    }
    schema["properties"] = Value::Object(members);
    schema["required"] = Value::Array(required);
    schema
}

fn answer(operation: &Value) -> Value {
    let answers = at(operation, "/responses").as_object().into_iter().flatten();
    let mut good = answers.filter(|(status, _)| status.starts_with('2'));
    let schema = good.find_map(|(_status, answer)| {
        referred(at(answer, "/content/application~1json/schema")).map(reference)
    });
    // Where HTTP answers without a body.
    schema.unwrap_or_else(|| Value::Object(Map::from_iter([("type".to_owned(), "object".into())])))
}
