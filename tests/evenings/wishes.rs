//! What people ask of an order: what goes with where it stands, and what does not.

use ordercast::domain::{DriverId, StoreId};
use serde_json::json;
use uuid::Uuid;

use crate::call::Call;
use crate::support::merged;
use crate::town::{Person, Seen, Town};

/// Every action that somebody could ask for, whether or not it is one of an order there.
const ACTIONS: &[&str] = &[
    "release",
    "accept",
    "reject",
    "start",
    "ready",
    "unready",
    "pickup",
    "deliver",
    "collect",
    "cancel",
    "fail",
    "return",
    "returned",
    "redeliver",
    "drop",
    "at_store",
    "at_door",
    "note",
    "update",
    "prep",
    "eta",
    "assign",
    "unassign",
    "search",
    "stop_search",
];

pub fn of_driver(id: Uuid) -> String {
    DriverId::from_uuid(id).to_string()
}

/// What somebody who knows the order might ask of it, with what goes with it.
pub async fn command(town: &mut Town<'_>, order: &Seen) -> Call {
    let driver = order.driver.map(of_driver);
    let has_driver = matches!(order.leg.as_str(), "assigned" | "at_store" | "en_route" | "at_door");
    let mut ideas: Vec<(&'static str, &'static str)> = Vec::new();
    // Else most orders would be over before anything had happened to them.
    let ending = town.chance.one_in(5);
    if town.chance.one_in(4) {
        ideas.extend([("ops", "note"), ("platform", "update")]);
    }
    match order.status.as_str() {
        "scheduled" => {
            ideas.extend([("ops", "release"), ("platform", "release"), ("store", "accept")]);
        }
        "placed" => ideas.extend([
            ("store", "accept"),
            ("store", "accept"),
            ("ops", "accept"),
            ("platform", "accept"),
            ("ops", "assign"),
        ]),
        "accepted" => ideas.extend([("store", "start"), ("store", "ready"), ("store", "prep")]),
        "preparing" => {
            ideas.extend([
                ("store", "ready"),
                ("store", "ready"),
                ("ops", "ready"),
                ("ops", "prep"),
            ]);
        }
        "ready" => {
            ideas.extend([("ops", "unready"), ("store", "collect"), ("customer", "collect")]);
        }
        "picked_up" => ideas.extend([
            ("driver", "deliver"),
            ("driver", "deliver"),
            ("driver", "at_door"),
            ("store", "deliver"),
            ("ops", "deliver"),
            ("driver", "return"),
            ("ops", "return"),
            ("ops", "assign"),
            ("driver", "eta"),
        ]),
        "returning" => ideas.extend([
            ("store", "returned"),
            ("driver", "returned"),
            ("ops", "redeliver"),
            ("platform", "redeliver"),
            ("ops", "fail"),
            ("ops", "assign"),
        ]),
        _ => ideas.extend([("driver", "note"), ("store", "note")]),
    }
    if matches!(order.status.as_str(), "accepted" | "preparing" | "ready") {
        ideas.push(("platform", "eta"));
        match order.fulfilment.as_str() {
            "delivery" => {
                ideas.extend([("ops", "search"), ("platform", "search"), ("ops", "assign")]);
                if order.leg == "offering" {
                    ideas.push(("ops", "stop_search"));
                }
            }
            "store_delivery" => ideas.extend([("store", "pickup"), ("ops", "pickup")]),
            _ => {}
        }
        if has_driver {
            ideas.extend([
                ("driver", "at_store"),
                ("driver", "pickup"),
                ("driver", "pickup"),
                ("driver", "pickup"),
                ("ops", "pickup"),
                ("driver", "drop"),
                ("driver", "drop"),
                ("platform", "unassign"),
                ("ops", "assign"),
            ]);
        }
    }
    if ending {
        ideas.extend(match order.status.as_str() {
            "placed" => [("store", "reject"), ("customer", "cancel")],
            "picked_up" => [("driver", "fail"), ("ops", "fail")],
            _ => [("platform", "cancel"), ("customer", "cancel")],
        });
    }
    if ideas.is_empty() {
        ideas.push(("ops", "note"));
    }
    let (role, action) = *town.chance.pick(&ideas);
    let who = match role {
        "ops" => town.ops.clone(),
        "platform" => town.platform.clone(),
        "store" => {
            let id = StoreId::from_uuid(order.store).to_string();
            town.stores.iter().find(|it| it.id == id).unwrap().clone()
        }
        "driver" => match driver.and_then(|id| town.drivers.iter().find(|it| it.id == id)) {
            Some(driver) => driver.clone(),
            None => town.chance.pick(&town.drivers).clone(),
        },
        _ => town.customer(&order.id).await,
    };
    asking(town, &who, action, order).await
}

/// Anything, by anybody.
pub async fn wild(town: &mut Town<'_>, order: &Seen) -> Call {
    let action = *town.chance.pick(ACTIONS);
    let who = match town.chance.below(5) {
        0 => town.platform.clone(),
        1 => town.ops.clone(),
        2 => town.chance.pick(&town.stores).clone(),
        3 => town.chance.pick(&town.drivers).clone(),
        _ => {
            // Of another order, if it comes so.
            let of = town.chance.pick(&town.orders).clone();
            town.customer(&of).await
        }
    };
    asking(town, &who, action, order).await
}

/// The call with a body that goes with it, or almost.
async fn asking(town: &mut Town<'_>, who: &Person, action: &str, order: &Seen) -> Call {
    let number = town.number();
    let now = town.world.clock.now().await;
    let later = |minutes| (now + jiff::SignedDuration::from_mins(minutes)).to_string();
    let chance = &mut town.chance;
    let photo = json!({"kind": "photo", "ref": "https://example.com/1.jpg"});
    let signature = json!({"kind": "signature", "ref": "https://example.com/2.png"});
    let store_speaks = who.role == "store" || action == "reject";
    let body = match action {
        "accept" => match chance.below(3) {
            0 => json!({}),
            1 => json!({"prep_min": chance.below(30)}),
            _ => json!({"prep_min": *chance.pick(&[0, 5, 240, 241])}),
        },
        "prep" => json!({"prep_min": chance.below(60), "why": "busy"}),
        "reject" | "cancel" => {
            let reasons: &[&str] = if store_speaks {
                &["too_busy", "closed", "item_unavailable"]
            } else {
                &["customer_request", "duplicate", "fraud"]
            };
            json!({"reason": *chance.pick(reasons)})
        }
        "fail" | "return" => {
            let reasons = ["refused", "no_answer", "lost", "damaged", "wrong_address"];
            json!({"reason": *chance.pick(&reasons)})
        }
        "drop" => json!({"reason": *chance.pick(&["vehicle", "too_far", "personal"])}),
        "unassign" => match chance.below(2) {
            0 => json!({}),
            _ => json!({"reason": "courier_incident"}),
        },
        "deliver" | "collect" => {
            let pin = order.pin.clone().unwrap_or_else(|| "0000".to_owned());
            let pin = if chance.one_in(4) { "12".to_owned() } else { pin };
            let mut body = if chance.one_in(5) { json!({}) } else { json!({"pin": pin}) };
            if action == "deliver" && !chance.one_in(5) {
                body["proofs"] = json!([photo, signature]);
            }
            body
        }
        "pickup" | "returned" if chance.one_in(3) => json!({"proofs": [photo]}),
        "note" => json!({"note": format!("remark {number}")}),
        "update" => match chance.below(4) {
            0 => json!({"note": format!("wish {number}")}),
            1 => json!({"meta": {"number": number}}),
            2 => {
                json!({"dropoff": {"name": "Ann Lee", "address": format!("Elm St {number}, Berlin"),
                                    "lat": 52.531, "lng": 13.412}})
            }
            _ => json!({"window": {"from": later(90), "to": later(120)}}),
        },
        "eta" => {
            let minutes = i64::try_from(5 + chance.below(60)).unwrap();
            if order.status == "picked_up" || chance.one_in(2) {
                json!({"dropoff_eta": later(minutes)})
            } else {
                json!({"dropoff_eta": later(minutes + 20), "pickup_eta": later(minutes)})
            }
        }
        "assign" => json!({"driver": chance.pick(&town.drivers).id}),
        "search" => {
            let mut body = match chance.below(3) {
                0 => json!({}),
                1 => json!({"mode": "broadcast"}),
                _ => json!({"mode": "one_by_one", "offer_s": 20}),
            };
            if chance.one_in(2) {
                let count = 1 + chance.below(3);
                let named = (0..count).map(|_| chance.pick(&town.drivers).id.clone());
                body["drivers"] = named.collect::<Vec<_>>().into();
            }
            body
        }
        _ => json!({}),
    };
    let steps = ["accept", "ready", "pickup", "deliver", "at_store", "at_door", "drop", "fail"];
    let mut body = merged(body, json!({"order": order.id}));
    if steps.contains(&action) && chance.one_in(4) {
        body["at"] = later(*chance.pick(&[-3000, -2, 0, 1, 30])).into();
        body["lat"] = 52.52.into();
        body["lng"] = 13.4.into();
    }
    let mut call = Call::new(who, &format!("order.{action}"), body);
    if chance.one_in(4) {
        call.key = Some(format!("key {number}"));
    }
    if chance.one_in(8) {
        call.if_match = Some(order.version - i64::from(chance.one_in(4)));
    }
    call
}
