//! Items of many: each is the body of one, and what is said beside it.

use serde_json::{Map, Value, json};

use super::{actions, at};
use crate::api::members;
use crate::domain::{Action, Word as _};

/// The path of one action to many orders.
const PATH: &str = "/v1/orders/bulk/{action}";
/// What the items of an action may be made of: which members an action takes, its own body says.
const OF_ACTIONS: &[&str] = &["ActionBody", "PatchBody", "EtaBody"];

/// Completes the items, while the body of all actions is still there.
pub(super) fn complete(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    add(schemas, "PlacingBody", &["OrderBody"]);
    add(schemas, "ActingBody", OF_ACTIONS);
    schemas["ActingBody"]["dependentRequired"] = actions::device();
    // What has a path of its own is not done to many.
    let own = [Action::Update, Action::Eta];
    let actions = Action::ALL.iter().filter(|it| own.contains(it) || members(**it).is_some());
    let actions: Value = actions.map(|action| action.word()).collect();
    let parameters = document["paths"][PATH]["post"]["parameters"].as_array_mut();
    for parameter in parameters.into_iter().flatten() {
        if at(parameter, "/name") == "action" {
            parameter["schema"] = json!({"type": "string", "enum": actions});
        }
    }
}

/// Gives an item the members of these bodies. What one of them requires is required if there is no
/// other.
fn add(schemas: &mut Value, item: &str, bodies: &[&str]) {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for body in bodies {
        let members = |key: &str| at(schemas, &format!("/{body}/{key}")).clone();
        properties.extend(members("properties").as_object().cloned().unwrap_or_default());
        if bodies.len() == 1 {
            required = members("required").as_array().cloned().unwrap_or_default();
        }
    }
    let item = &mut schemas[item];
    properties.extend(at(item, "/properties").as_object().cloned().unwrap_or_default());
    required.extend(at(item, "/required").as_array().cloned().unwrap_or_default());
    item["properties"] = properties.into();
    item["required"] = required.into();
}
