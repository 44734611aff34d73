//! The routes by which events are heard as they happen. What is spoken on them is the Centrifuge
//! client protocol, which no schema of HTTP describes: `AsyncAPI` does.

use serde_json::{Map, Value, json};

/// Adds the routes.
pub(super) fn add(paths: &mut Map<String, Value>) {
    let all = [
        (
            "/connection/websocket",
            json!({"get": {
                "operationId": "connect_websocket",
                "summary": "A WebSocket that speaks the Centrifuge client protocol.",
                "description": "In JSON; in Protobuf by the subprotocol `centrifuge-protobuf`. The \
                    token comes in the connect command.",
                "parameters": [query("format", "`protobuf` for Protobuf."),
                    query("cf_protocol", "The same.")],
                "responses": switching(),
                "x-problems": ["malformed", "role_not_allowed"],
            }}),
        ),
        (
            "/connection/uni_websocket",
            json!({"get": {
                "operationId": "connect_uni_websocket",
                "summary": "A WebSocket that only listens.",
                "parameters": [query("cf_connect", "The connect command as JSON, without a token."),
                    query("cf_ws_frame_ping_pong", "`true` for pings of the WebSocket itself.")],
                "responses": switching(),
                "x-problems": ["malformed", "role_not_allowed"],
            }}),
        ),
        (
            "/connection/http_stream",
            json!({"post": {
                "operationId": "connect_http_stream",
                "summary": "The same protocol as a long answer of lines.",
                "requestBody": commands(),
                "responses": stream("application/json"),
                "x-problems": ["role_not_allowed"],
            }}),
        ),
        (
            "/connection/sse",
            json!({
                "get": {
                    "operationId": "connect_sse",
                    "summary": "The same protocol as Server-Sent Events.",
                    "parameters": [query("cf_connect", "The connect command as JSON.")],
                    "responses": stream("text/event-stream"),
                    "x-problems": ["role_not_allowed"],
                },
                "post": {
                    "operationId": "connect_sse_by_body",
                    "summary": "The same protocol as Server-Sent Events.",
                    "requestBody": commands(),
                    "responses": stream("text/event-stream"),
                    "x-problems": ["role_not_allowed"],
                },
            }),
        ),
        (
            "/emulation",
            json!({"post": {
                "operationId": "emulate",
                "summary": "Commands for a stream.",
                "requestBody": commands(),
                "responses": {"204": {"description": "Handed over."}},
                "x-problems": ["role_not_allowed", "not_found"],
            }}),
        ),
        (
            "/v1/sse",
            json!({"get": {
                "operationId": "follow",
                "summary": "One channel as Server-Sent Events.",
                "description": "First the event `snapshot`, then each event of the channel as a \
                    `message`; `end` says why it ends. The token comes in the header or by a cookie.",
                "parameters": [
                    {"name": "channel", "in": "query", "required": true,
                        "description": "Which channel.", "schema": {"type": "string", "minLength": 1}},
                    query("store", "On `dispatch`, only of these stores."),
                    query("status", "On `dispatch`, only in one of these."),
                    query("last_event_id", "What was heard last, where no header can be set."),
                    {"name": "Last-Event-ID", "in": "header",
                        "description": "What was heard last.", "schema": {"type": "string"}},
                ],
                "security": [{"bearer": []}, {"cookie": []}],
                "responses": stream("text/event-stream"),
                "x-problems": ["unauthenticated", "token_expired", "role_not_allowed", "not_found"],
            }}),
        ),
        (
            "/v1/sse/cookie",
            json!({"post": {
                "operationId": "give_cookie",
                "summary": "The token of the request as a cookie for `/v1/sse`.",
                "security": [{"bearer": []}],
                "responses": {"204": {
                    "description": "The cookie.",
                    "headers": {"Set-Cookie": {"schema": {"type": "string"}}},
                }},
                "x-problems": ["unauthenticated", "token_expired", "role_not_allowed"],
            }}),
        ),
    ];
    for (path, mut operations) in all {
        for operation in operations.as_object_mut().into_iter().flat_map(Map::values_mut) {
            operation["tags"] = json!(["Connections"]);
            // Whom a connection speaks for, its first command says.
            if operation.get("security").is_none() {
                operation["security"] = json!([{}]);
            }
        }
        paths.insert(path.to_owned(), operations);
    }
}

fn query(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": "string"}})
}

fn switching() -> Value {
    json!({"101": {"description": "The socket is open."}})
}

fn stream(kind: &str) -> Value {
    json!({"200": {
        "description": "Goes on until one of both ends it.",
        "content": {kind: {"schema": {"type": "string"}}},
    }})
}

fn commands() -> Value {
    json!({
        "required": true,
        "description": "Commands of the protocol, the first being the connect.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/octet-stream": {"schema": {"type": "string"}},
        },
    })
}
