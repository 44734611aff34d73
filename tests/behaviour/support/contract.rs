//! What the documents promise. Every answer, event and snapshot that any test sees is held
//! against them, so that they cannot say what is not so.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use ordercast::docs;
use serde_json::{Value, json};

static OPENAPI: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(docs::openapi()).unwrap());
static ASYNCAPI: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(docs::asyncapi()).unwrap());
/// Made once each, as few tests need many.
static MADE: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
/// The types of events that were heard in this process.
static HEARD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub fn openapi() -> &'static Value {
    &OPENAPI
}

pub fn asyncapi() -> &'static Value {
    &ASYNCAPI
}

/// The types of events that were held against their schemas so far.
pub fn heard() -> BTreeSet<String> {
    HEARD.lock().unwrap().clone()
}

/// A request, and what became of it.
pub struct Exchange<'a> {
    pub method: &'a str,
    /// With the query.
    pub path: &'a str,
    pub asked: &'a [u8],
    /// Of what was asked.
    pub asked_kind: &'a str,
    pub status: u16,
    pub kind: &'a str,
    pub answer: &'a [u8],
    /// Whether the answer says that its key was answered before.
    pub replayed: bool,
}

impl Exchange<'_> {
    /// Panics if the document says otherwise. What it does not know is for
    /// `every_route_is_documented` to find.
    pub fn check(&self) {
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let Some(operations) = operations(path) else { return };
        let Some(operation) = operations.get(self.method.to_lowercase()) else { return };
        let about = format!("{} {} answered {}", self.method, self.path, self.status);
        let answer = &operation["responses"][self.status.to_string()];
        assert!(answer.is_object(), "{about}, which is not documented");
        // 207 is where some of it was not taken.
        if (200..300).contains(&self.status) && self.status != 207 {
            self.check_asked(operation, query, &about);
        }
        let may_be_replayed = answer["headers"]["Idempotent-Replayed"].is_object();
        assert!(may_be_replayed || !self.replayed, "{about}, replayed, which is not documented");
        let Some(contents) = answer["content"].as_object() else {
            assert!(self.answer.is_empty(), "{about} with a body, which is not documented");
            return;
        };
        let kind = self.kind.split(';').next().unwrap_or_default();
        let content = contents.get(kind);
        let content = content.unwrap_or_else(|| panic!("{about} as {kind}, not documented"));
        if kind.ends_with("json") {
            let body: Value = serde_json::from_slice(self.answer).unwrap();
            check(&about, &content["schema"], &body, true);
        }
    }

    /// What was taken must be what is said to be taken.
    fn check_asked(&self, operation: &Value, query: &str, about: &str) {
        let known = operation["parameters"].as_array().into_iter().flatten();
        let known: Vec<&str> = known.filter_map(|it| it["name"].as_str()).collect();
        for name in query.split('&').filter_map(|pair| pair.split('=').next()) {
            let name = name.replace("%5F", "_");
            assert!(name.is_empty() || known.contains(&&*name), "{about}, but {name} is unknown");
        }
        let schema = &operation["requestBody"]["content"][self.asked_kind]["schema"];
        let body = self.asked.trim_ascii();
        if body.is_empty() {
            assert_ne!(operation["requestBody"]["required"], true, "{about} without its body");
        } else if schema.is_object() && self.asked_kind.ends_with("json") {
            let body: Value = serde_json::from_slice(body).unwrap();
            check(&format!("what was asked: {about}"), schema, &body, false);
        }
    }
}

/// The operations of a path; those that name more of it win.
pub fn operations(path: &str) -> Option<&'static Value> {
    let given: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        let same = |(part, given): (&&str, &&str)| {
            part == given || part.starts_with('{') && !given.is_empty()
        };
        parts.len() == given.len() && parts.iter().zip(&given).all(same)
    };
    let paths = OPENAPI["paths"].as_object().unwrap().iter();
    let fitting = paths.filter(|(template, _)| fits(template));
    fitting.min_by_key(|(template, _)| template.matches('{').count()).map(|(_, found)| found)
}

/// Holds an event against the schema of its type; whatever is none of ours is passed over.
pub fn check_event(event: &Value) {
    let is_ours = event["position"].is_u64() || event["type"] == "driver.location";
    let Some(kind) = event["type"].as_str().filter(|_| is_ours) else { return };
    let messages = ASYNCAPI["components"]["messages"].as_object().unwrap();
    let message = messages.values().find(|message| message["name"] == kind);
    let message = message.unwrap_or_else(|| panic!("{kind} is not documented: {event}"));
    check(&format!("the event {kind}"), &message["payload"], event, true);
    HEARD.lock().unwrap().insert(kind.to_owned());
}

/// Holds a call that was answered, and its answer, against what is said of the method.
pub fn check_call(mut call: Value, reply: &Value) {
    let Some(method) = call["rpc"]["method"].as_str().map(str::to_owned) else { return };
    let message = |what: &str| &ASYNCAPI["components"]["messages"][format!("{method}.{what}")];
    // What is no write is answered by the protocol alone.
    if !message("reply").is_object() {
        return;
    }
    if reply.get("error").is_some() {
        let refusal = &ASYNCAPI["components"]["messages"]["Error"]["payload"];
        check(&format!("the refusal of {method}"), refusal, reply, true);
        return;
    }
    let data = &reply["rpc"]["data"];
    check(&format!("the answer to {method}"), &message("reply")["payload"], reply, true);
    // As one of many it may be wrong.
    let is_partial = data["results"]
        .as_array()
        .is_some_and(|results| results.iter().any(|result| result.get("problem").is_some()));
    if !is_partial {
        call["id"] = reply["id"].clone();
        check(&format!("the call of {method}"), &message("call")["payload"], &call, false);
    }
}

/// Holds the state that a subscribe brought against the schema of its channel.
pub fn check_state(channel: &str, state: &Value) {
    let schema = match channel.split(':').next().unwrap() {
        "order" => "OrderSnapshot",
        "store" => "StoreSnapshot",
        "driver" => "DriverSnapshot",
        "dispatch" | "tenant" => "OrdersSnapshot",
        _ => return,
    };
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    check(&format!("the state of {channel}"), &schema, state, true);
}

/// Holds a value against a schema. What we send must have no member that is not documented, even
/// though clients are told to ignore those.
pub fn check(about: &str, schema: &Value, value: &Value, strict: bool) {
    let key = format!("{strict} {schema}");
    let made = MADE.lock().unwrap().get(&key).map(Arc::clone);
    let validator = made.unwrap_or_else(|| {
        let validator = Arc::new(validator(schema, strict));
        MADE.lock().unwrap().insert(key, Arc::clone(&validator));
        validator
    });
    let errors = validator.iter_errors(value);
    let errors: Vec<String> =
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{about}: {}\n{value:#}", errors.join("\n"));
}

fn validator(schema: &Value, strict: bool) -> Validator {
    let mut schemas = serde_json::Map::new();
    collect(schema, &mut schemas);
    let mut schema = schema.clone();
    if strict {
        close(&mut schema);
        schemas.values_mut().for_each(close);
    }
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": {"schemas": schemas},
        "allOf": [schema],
    });
    jsonschema::draft202012::options().should_validate_formats(true).build(&whole).unwrap()
}

/// Every schema that this one needs.
fn collect(schema: &Value, found: &mut serde_json::Map<String, Value>) {
    match schema {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str) {
                let name = name.strip_prefix("#/components/schemas/").unwrap();
                if !found.contains_key(name) {
                    let all = [&OPENAPI, &ASYNCAPI];
                    let its = all.map(|document| &document["components"]["schemas"][name]);
                    let its = its.into_iter().find(|its| its.is_object());
                    let its = its.unwrap_or_else(|| panic!("there is no schema {name}"));
                    found.insert(name.to_owned(), its.clone());
                    collect(its, found);
                }
            }
            members.iter().filter(|(key, _)| *key != "discriminator").for_each(|(_, inner)| {
                collect(inner, found);
            });
        }
        Value::Array(all) => all.iter().for_each(|inner| collect(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Lets an object have no members but those that it names.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && members.get("type") == Some(&json!("object")) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
