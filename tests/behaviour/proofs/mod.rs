//! Proofs: handed in at each point by those whose it is, looked at by those who may, and asked for
//! before an order moves on.

mod handing_in;
mod looking;
mod required;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::support::{City, Rest, Server};

/// The first bytes of a PNG, and some that tell one from another.
pub fn png(salt: &str) -> Vec<u8> {
    [b"\x89PNG\r\n\x1A\n", salt.as_bytes()].concat()
}

pub fn inline(point: &str, kind: &str, salt: &str) -> Value {
    let data = BASE64.encode(png(salt));
    json!({"point": point, "kind": kind, "content_type": "image/png", "data": data})
}

pub fn proof(point: &str, kind: &str, salt: &str) -> Value {
    if kind == "scan" {
        json!({"point": point, "kind": kind, "ref": salt})
    } else {
        inline(point, kind, salt)
    }
}

pub fn proofs(order: &str) -> String {
    format!("/v1/orders/{order}/proofs")
}

pub async fn picture(who: &Rest, order: &str, proof: &Value) -> crate::support::Answer {
    who.get(&format!("{}/{}", proofs(order), proof["id"].as_str().unwrap())).await
}

pub struct Town {
    pub server: Server,
    pub city: City,
    pub ops: Rest,
}

impl Town {
    pub async fn found() -> Self {
        let server = Server::start().await;
        let city = City::found(&server.url, &server.database).await;
        let ops = city.caller("ops", "").await;
        Self { server, city, ops }
    }

    /// An order that has come so far, by the dispatcher: `ready`, `picked_up`, `returning`,
    /// `delivered` or `returned`.
    pub async fn order(&self, more: Value, status: &str) -> String {
        let order = self.city.order(more).await;
        let id = order["id"].as_str().unwrap().to_owned();
        let steps = [
            ("accept", json!({})),
            ("ready", json!({})),
            ("pickup", json!({})),
            if status == "delivered" {
                ("deliver", json!({}))
            } else {
                ("return", json!({"reason": "refused"}))
            },
            ("returned", json!({})),
        ];
        let far = match status {
            "ready" => 2,
            "picked_up" => 3,
            "returning" | "delivered" => 4,
            _ => 5,
        };
        for (action, body) in &steps[..far] {
            if *action == "ready" && order["fulfilment"] == "delivery" {
                self.city.assign(&id).await;
            }
            self.city.act(&self.ops, &id, action, body.clone()).await;
        }
        id
    }
}
