//! A subscriber as an SDK and an app make one: it keeps its position over any number of
//! connections, and folds what it hears into what it knows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Phone;

/// Ids of commands that share a message, out of the way of the phone's own.
const CONNECT: u32 = 1_000_001;
const SUBSCRIBE: u32 = 1_000_002;

/// One order as far as the events of a feed tell.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Known {
    pub version: i64,
    /// Absent for customers, who only see steps.
    pub status: Option<String>,
    pub leg: Option<String>,
    pub note: Value,
    pub ready_eta: Value,
    /// How the courier is called; null without one, and for couriers themselves.
    pub driver: Value,
}

impl Known {
    /// What a view of the order says.
    pub fn from_view(view: &Value) -> Self {
        let text = |key: &str| view[key].as_str().map(str::to_owned);
        Self {
            version: view["version"].as_i64().unwrap(),
            status: text("status"),
            leg: text("leg"),
            note: view["note"].clone(),
            ready_eta: view["ready_eta"].clone(),
            driver: view["driver"]["name"].clone(),
        }
    }

    pub fn is_closed(&self) -> bool {
        let ends = ["delivered", "rejected", "cancelled", "failed", "returned"];
        self.status.as_deref().is_some_and(|status| ends.contains(&status))
    }

    /// One more event, which must be the very next.
    fn apply(&mut self, event: &Value) {
        let n = event["n"].as_i64().unwrap();
        assert_eq!(n, self.version + 1, "an event is missing or repeated: {event}");
        self.version = n;
        let data = &event["data"];
        let (status, leg) = match event["type"].as_str().unwrap() {
            "order.accepted" => ("accepted", ""),
            "order.preparing" | "order.unready" => ("preparing", ""),
            "order.ready" => ("ready", ""),
            "order.picked_up" => ("picked_up", "en_route"),
            "order.redelivery" => ("picked_up", ""),
            "order.returning" => ("returning", "en_route"),
            "order.delivered" => ("delivered", "closed"),
            "order.rejected" => ("rejected", "closed"),
            "order.cancelled" => ("cancelled", "closed"),
            "order.failed" => ("failed", "closed"),
            "order.returned" => ("returned", "closed"),
            "courier.assigned" => ("", "assigned"),
            "courier.changed" => {
                let carried = matches!(self.leg.as_deref(), Some("en_route" | "at_door"));
                ("", if carried { "" } else { "assigned" })
            }
            "courier.unassigned" => ("", "none"),
            "courier.at_store" => ("", "at_store"),
            "courier.at_door" => ("", "at_door"),
            "order.prep_changed" => ("", ""),
            "order.updated" => {
                if let Some(note) = data.get("note") {
                    self.note = note.clone();
                }
                ("", "")
            }
            other => panic!("what is {other}?"),
        };
        if !status.is_empty() && self.status.is_some() {
            self.status = Some(status.to_owned());
        }
        if !leg.is_empty() && self.leg.is_some() {
            self.leg = Some(leg.to_owned());
        }
        if let Some(eta) = data.get("ready_eta") {
            self.ready_eta = eta.clone();
        }
        match event["type"].as_str().unwrap() {
            "courier.assigned" | "courier.changed" => {
                self.driver = data["driver"]["name"].clone();
            }
            "courier.unassigned" => self.driver = Value::Null,
            _ => {}
        }
    }
}

/// A subscriber of one channel.
#[derive(Debug)]
pub struct Follower {
    pub channel: String,
    pub token: String,
    /// Offset of the last publication taken, or of the reply; absent before the first.
    pub offset: Option<u64>,
    pub epoch: String,
    /// The position of the first snapshot.
    pub from: u64,
    /// Every offset taken since.
    pub heard: Vec<u64>,
    /// From where to where it could not recover.
    pub lost: Vec<(u64, u64)>,
    /// Every order it knows of.
    pub orders: BTreeMap<String, Known>,
}

impl Follower {
    pub fn new(channel: &str, token: &str) -> Self {
        Self {
            channel: channel.to_owned(),
            token: token.to_owned(),
            offset: None,
            epoch: String::new(),
            from: 0,
            heard: Vec::new(),
            lost: Vec::new(),
            orders: BTreeMap::new(),
        }
    }

    /// Connects and subscribes in one message, as SDKs do, from where it stands.
    pub async fn join(&mut self, base: &str) -> Phone {
        let mut phone = Phone::open(base).await;
        let connect = json!({"id": CONNECT, "connect": {"token": self.token}});
        let subscribe = match self.offset {
            None => json!({"channel": self.channel}),
            Some(offset) => json!({
                "channel": self.channel, "recover": true, "offset": offset, "epoch": self.epoch,
            }),
        };
        let subscribe = json!({"id": SUBSCRIBE, "subscribe": subscribe});
        phone.send_text(&format!("{connect}\n{subscribe}")).await;
        let reply = phone.reply(CONNECT).await;
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        let reply = phone.reply(SUBSCRIBE).await;
        assert!(phone.pushes.is_empty(), "a push before the reply: {:?}", phone.pushes);
        assert!(reply["subscribe"].is_object(), "{}: {reply}", self.channel);
        self.take_reply(&reply["subscribe"]);
        phone
    }

    /// Takes pushes until it has the one at `position`.
    pub async fn follow(&mut self, phone: &mut Phone, position: u64) {
        while self.offset < Some(position) {
            let push = phone.push().await;
            self.take_push(&push);
        }
    }

    /// Takes the result of a subscribe.
    pub fn take_reply(&mut self, reply: &Value) {
        assert_eq!((&reply["recoverable"], &reply["positioned"]), (&json!(true), &json!(true)));
        let offset = reply["offset"].as_u64().unwrap_or(0);
        let asked = self.offset;
        assert_eq!(reply["was_recovering"] == true, asked.is_some(), "{reply}");
        if reply["recovered"] == true {
            assert_eq!(Some(offset), asked, "{reply}");
            assert_eq!(reply["epoch"], self.epoch.as_str());
            assert!(reply.get("data").is_none(), "{reply}");
            for publication in reply["publications"].as_array().into_iter().flatten() {
                self.take(publication);
            }
            return;
        }
        assert!(reply.get("publications").is_none(), "{reply}");
        match asked {
            None => self.from = offset,
            Some(asked) => self.lost.push((asked, offset)),
        }
        self.offset = Some(offset);
        reply["epoch"].as_str().unwrap().clone_into(&mut self.epoch);
        let data = &reply["data"];
        let views = data["orders"].as_array().cloned().unwrap_or_default();
        let views = views.into_iter().chain(data.get("order").cloned());
        self.orders = views
            .map(|view| (view["id"].as_str().unwrap().to_owned(), Known::from_view(&view)))
            .collect();
    }

    pub fn take_push(&mut self, push: &Value) {
        assert_eq!(push["channel"], self.channel.as_str(), "{push}");
        self.take(&push["pub"]);
    }

    fn take(&mut self, publication: &Value) {
        let offset = publication["offset"].as_u64().unwrap();
        let event = &publication["data"];
        assert_eq!(event["position"], offset, "{publication}");
        assert!(Some(offset) > self.offset, "{offset} after {:?}: {event}", self.offset);
        self.offset = Some(offset);
        self.heard.push(offset);
        let Some(order) = event["order"].as_str() else { return };
        let kind = event["type"].as_str().unwrap();
        let whole = match kind {
            "order.placed" => Some(&event["data"]),
            _ => event["data"].get("order"),
        };
        if let Some(view) = whole {
            let known = Known::from_view(view);
            assert_eq!(event["n"], known.version);
            self.orders.insert(order.to_owned(), known);
        } else if self.channel.starts_with("driver:")
            && matches!(kind, "courier.changed" | "courier.unassigned")
        {
            // Not ours any more: nothing but that may be said.
            assert!(self.orders.remove(order).is_some(), "{}: {event}", self.channel);
        } else {
            let known = self.orders.get_mut(order);
            known.unwrap_or_else(|| panic!("{} never heard of {event}", self.channel)).apply(event);
        }
    }
}
