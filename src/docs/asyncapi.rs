//! The `AsyncAPI` document: where sockets are, which channels there are and what is heard on
//! each, and which methods can be called.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::{at, reference, rpc};
use crate::protocol::code::{ErrorCode, problem};
use crate::view::schema::{
    DriverLocation, DriverSnapshot, EventSchema, OrderSnapshot, OrdersSnapshot, StoreSnapshot,
    events,
};
use crate::view::{Audience, LOCATION_KIND, is_for};

/// The name of the schema and the message of where a courier is.
const LOCATION: &str = "DriverLocation";

/// One kind of channel.
struct Channel {
    key: &'static str,
    address: &'static str,
    /// The parameter of the address, and what it is.
    parameter: Option<(&'static str, &'static str)>,
    description: &'static str,
    /// As whom its listeners see events.
    audiences: &'static [Audience],
    /// Only of these nouns; of all, when there are none.
    nouns: &'static [&'static str],
    /// The name of the schema of its state.
    snapshot: Option<&'static str>,
    /// Whether it may carry where couriers are.
    locations: bool,
}

const CHANNELS: &[Channel] = &[
    Channel {
        key: "order",
        address: "order:{order}",
        parameter: Some(("order", "The id of an order, `or_…`.")),
        description: "One order: for its customer, its courier while it has it, dispatchers and \
            the platform.",
        audiences: Audience::ALL,
        nouns: &["order", "courier", "offer", "proof"],
        snapshot: Some("OrderSnapshot"),
        locations: true,
    },
    Channel {
        key: "store",
        address: "store:{store}",
        parameter: Some(("store", "The id of a store, `st_…`.")),
        description: "A store's orders and the store: for itself.",
        audiences: &[Audience::Store],
        nouns: &[],
        snapshot: Some("StoreSnapshot"),
        locations: true,
    },
    Channel {
        key: "driver",
        address: "driver:{driver}",
        parameter: Some(("driver", "The id of a courier, `dr_…`.")),
        description: "A courier's orders while it has them, the loss of one, its duty: for itself.",
        audiences: &[Audience::Driver, Audience::FormerDriver],
        nouns: &[],
        snapshot: Some("DriverSnapshot"),
        locations: false,
    },
    Channel {
        key: "dispatch",
        address: "dispatch",
        parameter: None,
        description: "Everything of the tenant: for dispatchers. The subscribe's `data` may \
            narrow it by `store`, `status`, and `area`: `[south, west, north, east]`, the stores and \
            couriers there.",
        audiences: &[Audience::Ops],
        nouns: &[],
        snapshot: Some("OrdersSnapshot"),
        locations: true,
    },
    Channel {
        key: "tenant",
        address: "tenant",
        parameter: None,
        description: "Everything of the tenant: for the platform. Where couriers are only with \
            `\"locations\": true` in the subscribe's `data`.",
        audiences: &[Audience::Platform],
        nouns: &[],
        snapshot: Some("OrdersSnapshot"),
        locations: true,
    },
    Channel {
        key: "personal",
        address: "#{subject}",
        parameter: Some(("subject", "The subject of the token.")),
        description: "What a store, courier or customer could hear by itself, under one name and \
            without a snapshot; made by the server for who connects with \
            `\"data\":{\"personal\":true}`.",
        audiences: &[Audience::Customer, Audience::Store, Audience::Driver, Audience::FormerDriver],
        nouns: &[],
        snapshot: None,
        locations: true,
    },
];

impl Channel {
    fn carries(&self, event: &EventSchema) -> bool {
        let noun = event.kind.split('.').next().unwrap_or_default();
        (self.nouns.is_empty() || self.nouns.contains(&noun))
            && self.audiences.iter().any(|audience| is_for(event.kind, *audience))
    }
}

/// The whole document; `openapi` is the other one, whose schemas it shares.
pub(super) fn document(openapi: &Value) -> Value {
    let mut schemas = at(openapi, "/components/schemas").as_object().cloned().unwrap_or_default();
    // Said of the HTTP answers alone, in the terms of that document.
    schemas.remove("Problem");
    // Here the name alone says it.
    if let Some(event) = schemas.get_mut("Event") {
        event["discriminator"] = "type".into();
    }
    add_snapshots(&mut schemas);
    let (mut messages, mut channels) = (Map::new(), Map::new());
    let mut operations = Map::new();
    let events = events();
    for event in &events {
        messages.insert(event.name(), message(event.kind, "An event.", &reference(&event.name())));
    }
    let summary = "Where a courier is: a publication without an offset, in no log.";
    messages.insert(LOCATION.to_owned(), message(LOCATION_KIND, summary, &reference(LOCATION)));
    for channel in CHANNELS {
        let mut carried: Vec<String> =
            events.iter().filter(|event| channel.carries(event)).map(EventSchema::name).collect();
        if channel.locations {
            carried.push(LOCATION.to_owned());
        }
        if let Some(snapshot) = channel.snapshot {
            let summary = "The state, as `data` of the subscribe's result: when nothing is \
                recovered.";
            messages.insert(snapshot.to_owned(), message(snapshot, summary, &reference(snapshot)));
            carried.push(snapshot.to_owned());
        }
        add_channel(&mut channels, channel, &carried);
        operations.insert(
            format!("hear_{}", channel.key),
            json!({
                "action": "send",
                "summary": format!("What is heard on `{}`.", channel.address),
                "channel": {"$ref": format!("#/channels/{}", channel.key)},
                "messages": references(&format!("channels/{}/messages", channel.key), &carried),
            }),
        );
    }
    let calls = rpc::methods(openapi);
    let mut spoken = vec!["Error".to_owned()];
    messages.insert("Error".to_owned(), message("error", "A refusal.", &refusal()));
    for call in &calls {
        let (asked, answered) = (format!("{}.call", call.name), format!("{}.reply", call.name));
        messages.insert(asked.clone(), message(&asked, &call.summary, &command(call)));
        messages.insert(answered.clone(), message(&answered, "The answer.", &reply(&call.answer)));
        let channel = json!({"$ref": "#/channels/rpc"});
        let replies = [answered.clone(), "Error".to_owned()];
        operations.insert(call.name.clone(), json!({
            "action": "receive",
            "summary": call.summary,
            "channel": channel,
            "messages": references("channels/rpc/messages", std::slice::from_ref(&asked)),
            "reply": {"channel": channel, "messages": references("channels/rpc/messages", &replies)},
        }));
        spoken.extend([asked, answered]);
    }
    channels.insert("rpc".to_owned(), json!({
        "address": null,
        "title": "Calls",
        "description": "Writes over a socket: a command of the protocol, and its reply by `id`. \
            Only sockets and streams that speak both ways take them.",
        "servers": [{"$ref": "#/servers/websocket"}, {"$ref": "#/servers/http_stream"},
            {"$ref": "#/servers/sse"}],
        "messages": by_name(&spoken),
    }));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "ordercast",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What happens to orders, told in order and exactly once. What is \
                spoken is the Centrifuge client protocol, for which there are SDKs; messages are \
                what its publications, snapshots and calls carry. Everything else is REST: see \
                `/openapi.json`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": servers(),
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    })
}

fn servers() -> Value {
    let server = |path: &str, protocol: &str, description: &str| {
        json!({
            "host": "{host}",
            "pathname": path,
            "protocol": protocol,
            "description": description,
            "variables": {"host": {"default": "127.0.0.1:8080", "description": "Where it runs."}},
        })
    };
    json!({
        "websocket": server("/connection/websocket", "ws",
            "The Centrifuge client protocol in JSON, or in Protobuf by the subprotocol \
             `centrifuge-protobuf`. The token comes in the connect command."),
        "uni_websocket": server("/connection/uni_websocket", "ws",
            "Only listens: the first message is the connect, pushes come bare."),
        "http_stream": server("/connection/http_stream", "http",
            "The same as lines of a long answer; commands go to `/emulation`."),
        "sse": server("/connection/sse", "http",
            "The same as Server-Sent Events; commands go to `/emulation`."),
        "plain_sse": server("/v1/sse", "http",
            "One channel as Server-Sent Events, for who has no SDK: `snapshot`, then each event."),
    })
}

fn add_channel(channels: &mut Map<String, Value>, channel: &Channel, carried: &[String]) {
    let mut its = json!({
        "address": channel.address,
        "description": channel.description,
        "messages": by_name(carried),
    });
    if let Some((name, description)) = channel.parameter {
        let mut parameters = Map::new();
        parameters.insert(name.to_owned(), json!({"description": description}));
        its["parameters"] = Value::Object(parameters);
    }
    channels.insert(channel.key.to_owned(), its);
}

fn message(name: &str, summary: &str, payload: &Value) -> Value {
    json!({"name": name, "summary": summary, "payload": payload})
}

/// Messages of a channel, each under its own name.
fn by_name(names: &[String]) -> Value {
    let message =
        |name: &String| (name.clone(), json!({"$ref": format!("#/components/messages/{name}")}));
    Value::Object(names.iter().map(message).collect())
}

fn references(place: &str, names: &[String]) -> Value {
    names.iter().map(|name| json!({"$ref": format!("#/{place}/{name}")})).collect()
}

fn add_snapshots(schemas: &mut Map<String, Value>) {
    fn add<T: ToSchema>(found: &mut Vec<(String, RefOr<Schema>)>) {
        found.push((T::name().into_owned(), T::schema()));
        T::schemas(found);
    }
    let mut found = Vec::new();
    add::<OrderSnapshot>(&mut found);
    add::<StoreSnapshot>(&mut found);
    add::<DriverSnapshot>(&mut found);
    add::<OrdersSnapshot>(&mut found);
    add::<DriverLocation>(&mut found);
    for (name, schema) in found {
        schemas.entry(name).or_insert_with(|| json!(schema));
    }
}

/// A command as the socket takes it.
fn command(call: &rpc::Method) -> Value {
    json!({
        "type": "object",
        "required": ["id", "rpc"],
        "properties": {
            "id": {"type": "integer", "minimum": 1, "maximum": u32::MAX},
            "rpc": {
                "type": "object",
                "required": ["method", "data"],
                "properties": {
                    "method": {"type": "string", "const": call.name},
                    "data": call.data,
                },
            },
        },
    })
}

/// A reply as the socket sends it.
fn reply(answer: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["id", "rpc"],
        "properties": {
            "id": {"type": "integer"},
            "rpc": {"type": "object", "required": ["data"], "properties": {"data": answer}},
        },
    })
}

/// A reply that says no.
fn refusal() -> Value {
    let mut codes: Vec<u32> = ErrorCode::ALL.iter().map(|error| error.code).collect();
    codes.extend(problem::ALL.iter().map(|error| error.code));
    json!({
        "type": "object",
        "required": ["id", "error"],
        "properties": {
            "id": {"type": "integer"},
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "integer", "enum": codes},
                    "message": {"type": "string"},
                    "temporary": {"type": "boolean"},
                },
            },
        },
    })
}
