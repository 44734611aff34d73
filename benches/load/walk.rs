//! An order's way from its placing to its end, one change at a time.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::http::request;
use crate::message::{member, number};
use crate::town;

/// One order after the other at a store, each placed, accepted, ready and cancelled: all of it
/// what the platform may do.
#[derive(Debug, Clone)]
pub(crate) struct Walk {
    store: String,
    order: String,
    step: usize,
    version: u64,
}

const STEPS: [&str; 4] = ["create", "accept", "ready", "cancel"];

impl Walk {
    pub(crate) fn new(store: &str) -> Self {
        Self { store: store.to_owned(), order: String::new(), step: 0, version: 0 }
    }

    fn word(&self) -> &'static str {
        STEPS.get(self.step).copied().unwrap_or("create")
    }

    fn body(&self) -> Value {
        match self.word() {
            "accept" => json!({"prep_min": 10}),
            "cancel" => json!({"reason": "customer_request"}),
            "create" => town::order(&self.store, &format!("walk-{}", uuid::Uuid::new_v4())),
            _ => json!({}),
        }
    }

    /// The next change as a request.
    pub(crate) fn request(&self, key: &str) -> Vec<u8> {
        let path = match self.word() {
            "create" => "/v1/orders".to_owned(),
            word => format!("/v1/orders/{}/{word}", self.order),
        };
        request("POST", &path, key, &self.body().to_string())
    }

    /// The next change as a call: its method and its data.
    pub(crate) fn call(&self) -> (String, String) {
        let mut body = self.body();
        if let Some(members) = body.as_object_mut().filter(|_| self.step > 0) {
            members.insert("order".to_owned(), self.order.as_str().into());
        }
        (format!("order.{}", self.word()), body.to_string())
    }

    /// Takes the order as it was answered; how many events that change was.
    pub(crate) fn take(&mut self, answer: &[u8]) -> anyhow::Result<u64> {
        let readable = || format!("{}: {}", self.word(), String::from_utf8_lossy(answer));
        let version = number(member(answer, b"\"version\":").with_context(readable)?);
        if self.step == 0 {
            let id = member(answer, b"\"id\":\"or_").with_context(readable)?;
            let id: Vec<u8> = id.iter().copied().take_while(|byte| *byte != b'"').collect();
            self.order = format!("or_{}", String::from_utf8_lossy(&id));
            self.version = 0;
        }
        let events = version.saturating_sub(self.version);
        self.version = version;
        self.step = (self.step + 1) % STEPS.len();
        Ok(events)
    }
}
