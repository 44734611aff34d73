//! Every action of an order as an operation of its own, with the body that it takes.

use serde_json::{Map, Value, json};

use super::{at, reference, referred};
use crate::api::members;
use crate::domain::{Action, Word as _};

/// The members that every action takes.
const DEVICE: &[&str] = &["at", "lat", "lng"];
/// What all bodies of actions are read as.
const BODY: &str = "ActionBody";
/// What is no action by that path, and takes the same beside its own.
const PROOF: &str = "NewProofBody";

/// Puts an operation for each action into the place of the one for all, and a body for each into
/// the place of that for all.
pub(super) fn expand(document: &mut Value) {
    let whole = document["components"]["schemas"][BODY].take();
    let proof = &mut document["components"]["schemas"][PROOF];
    for member in DEVICE {
        proof["properties"][*member] = at(&whole, &format!("/properties/{member}")).clone();
    }
    proof["dependentRequired"] = device();
    let mut bodies = Map::new();
    let mut added = Map::new();
    if let Some(paths) = document["paths"].as_object_mut() {
        let actions = Action::ALL.iter().filter(|action| has_common_path(**action));
        let actions: Vec<&str> = actions.map(|action| action.word()).collect();
        for (last, words) in [("action", actions.as_slice()), ("answer", &["accept", "decline"])] {
            let ending = format!("{{{last}}}");
            // Not that of many orders, which stays one.
            let is_of_one = |path: &&String| path.ends_with(&ending) && !path.contains("/bulk/");
            let all = paths.keys().find(is_of_one).cloned();
            let Some((path, template)) = all.and_then(|path| paths.remove_entry(&path)) else {
                continue;
            };
            let of_path = path.trim_end_matches(&ending);
            for word in words {
                let mut operations = template.clone();
                rename(&mut operations["post"], last, word);
                added.insert(format!("{of_path}{word}"), operations);
            }
        }
        paths.append(&mut added);
        let operations = paths.values_mut().filter_map(Value::as_object_mut);
        for operation in operations.flat_map(Map::values_mut) {
            let text = operation.to_string();
            if text.contains(&format!("#/components/schemas/{BODY}\"")) {
                give_body(operation, &whole, &mut bodies);
            }
        }
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.remove(BODY);
        schemas.append(&mut bodies);
    }
}

/// Whether the action is asked for by the path that all share.
fn has_common_path(action: Action) -> bool {
    let own = matches!(action, Action::Prep | Action::Assign | Action::Unassign);
    !own && members(action).is_some()
}

/// Makes the operation of all words that of one; `last` is the parameter that said which.
fn rename(operation: &mut Value, last: &str, word: &str) {
    let id = at(operation, "/operationId").as_str().unwrap_or_default();
    operation["operationId"] = id.replace(&format!("{{{last}}}"), word).into();
    let summary = at(operation, "/summary").as_str().unwrap_or_default().trim_end_matches('.');
    operation["summary"] = format!("{summary}: `{word}`.").into();
    if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
        parameters.retain(|parameter| at(parameter, "/name") != last);
    }
}

/// The body that the operation's action takes, as a schema of its own.
fn give_body(operation: &mut Value, whole: &Value, bodies: &mut Map<String, Value>) {
    let word = at(operation, "/operationId").as_str().and_then(|id| id.strip_prefix("order."));
    let action = word.and_then(|word| Action::find(word).ok());
    // What is no action of an order takes what all of them do.
    let (taken, asks) = action.and_then(members).unwrap_or_default();
    let named = action.filter(|_| !taken.is_empty()).map(body_name);
    let name = named.unwrap_or_else(|| "PlainActionBody".to_owned());
    let mut properties = Map::new();
    for member in taken.iter().chain(DEVICE) {
        properties
            .insert((*member).to_owned(), at(whole, &format!("/properties/{member}")).clone());
    }
    let needed: Vec<&str> = taken.iter().filter(|_| asks).take(1).copied().collect();
    for member in &needed {
        if let Some(schema) = properties.get_mut(*member) {
            forbid_null(schema);
        }
    }
    let body = json!({
        "type": "object",
        "description": "How, and when and where by the device.",
        "properties": properties,
        "required": needed,
        "additionalProperties": false,
        "dependentRequired": device(),
    });
    operation["requestBody"] = json!({
        "content": {"application/json": {"schema": reference(&name)}},
        "required": asks,
    });
    bodies.insert(name, body);
}

/// A place is both or none.
pub(super) fn device() -> Value {
    json!({"lat": ["lng"], "lng": ["lat"]})
}

/// `AtStoreBody` for `at_store`.
fn body_name(action: Action) -> String {
    let words = action.word().split('_').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<String>() + "Body"
}

/// A member that must be there must be something.
fn forbid_null(schema: &mut Value) {
    let described = schema.get("description").cloned();
    let choices = schema.get("oneOf").and_then(Value::as_array);
    let given = choices.and_then(|all| all.iter().find(|one| referred(one).is_some())).cloned();
    if let Some(given) = given {
        *schema = given;
        if let Some(described) = described {
            schema["description"] = described;
        }
    } else if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [only] = kinds.as_slice() {
            schema["type"] = only.clone();
        }
    }
}
