//! A fact's data as the log keeps it: everything any audience may see.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::offer::full_offer;
use super::order::{full_order, put_route};
use super::party::driver_in_order;
use super::proof::{added, put_proofs};
use super::{Sheet, put, put_text, put_time, put_word};
use crate::domain::{Fact, ProofPoint, Reason};

/// What another door changes as well.
const AFTER_DROPOFF: &[&str] =
    &["pickup_eta", "dropoff_eta", "dropoff_eta_lo", "dropoff_eta_hi", "eta_source"];
/// What another window changes as well.
const AFTER_WINDOW: &[&str] = &["release_at"];

/// The data of `fact`, given the order after it. `sheet` is absent for facts about no order.
pub fn fact_data(fact: &Fact, sheet: Option<&Sheet>) -> Value {
    let mut data = Map::new();
    match fact {
        Fact::Placed => {
            if let Some(sheet) = sheet {
                data = full_order(sheet);
            }
        }
        Fact::Scheduled { window, release_at } => {
            let mut span = Map::new();
            put_time(&mut span, "from", Some(window.from));
            put_time(&mut span, "to", Some(window.to));
            put(&mut data, "window", Value::Object(span));
            put_time(&mut data, "release_at", Some(*release_at));
            put_order(&mut data, sheet);
        }
        Fact::Accepted { prep_min, ready_eta } => {
            put(&mut data, "prep_min", *prep_min);
            put_time(&mut data, "ready_eta", Some(*ready_eta));
            put_etas(&mut data, sheet);
        }
        Fact::Rejected { reason }
        | Fact::Cancelled { reason }
        | Fact::CourierUnassigned { reason } => put_reason(&mut data, reason),
        Fact::Preparing { ready_eta } | Fact::Ready { ready_eta } | Fact::Unready { ready_eta } => {
            put_time(&mut data, "ready_eta", Some(*ready_eta));
            put_etas(&mut data, sheet);
        }
        Fact::PrepChanged { prep_min, ready_eta, why } => {
            put(&mut data, "prep_min", *prep_min);
            put_time(&mut data, "ready_eta", Some(*ready_eta));
            put_text(&mut data, "why", why.as_ref());
            put_etas(&mut data, sheet);
        }
        Fact::PickedUp { dropoff_eta, lo, hi, proofs } => {
            put_time(&mut data, "dropoff_eta", *dropoff_eta);
            put_time(&mut data, "lo", *lo);
            put_time(&mut data, "hi", *hi);
            put_source(&mut data, sheet);
            put_proofs(&mut data, ProofPoint::Pickup, proofs, sheet);
        }
        Fact::Delivered { proofs } => put_proofs(&mut data, ProofPoint::Dropoff, proofs, sheet),
        Fact::Failed { reason, attempt } | Fact::Returning { reason, attempt } => {
            put_reason(&mut data, reason);
            put(&mut data, "attempt", *attempt);
            if matches!(fact, Fact::Returning { .. }) {
                put_time(&mut data, "return_eta", sheet.and_then(|it| it.order.return_eta));
            }
        }
        Fact::Returned { attempt, proofs } => {
            put(&mut data, "attempt", *attempt);
            put_proofs(&mut data, ProofPoint::Return, proofs, sheet);
        }
        Fact::Redelivery { attempt, dropoff_eta } => {
            put(&mut data, "attempt", *attempt);
            put_time(&mut data, "dropoff_eta", *dropoff_eta);
            if let Some(sheet) = sheet {
                put_time(&mut data, "lo", sheet.order.dropoff_eta_lo);
                put_time(&mut data, "hi", sheet.order.dropoff_eta_hi);
            }
            put_source(&mut data, sheet);
        }
        Fact::Updated { note, dropoff, window, meta } => {
            let changed =
                [(*note, "note"), (*dropoff, "dropoff"), (*window, "window"), (*meta, "meta")];
            let fields = changed.iter().filter(|(changed, _)| *changed).map(|(_, key)| *key);
            let mut fields: Vec<_> = fields.collect();
            let order = sheet.map(full_order).unwrap_or_default();
            // With them changes what hangs on them.
            for (changed, followers) in [(*dropoff, AFTER_DROPOFF), (*window, AFTER_WINDOW)] {
                let followers = followers.iter().filter(|key| order.contains_key(**key));
                fields.extend(followers.filter(|_| changed));
            }
            put(&mut data, "fields", fields);
            put_order(&mut data, sheet);
        }
        Fact::CourierSearching { round } => put(&mut data, "round", *round),
        Fact::Erased
        | Fact::CourierSearchFailed
        | Fact::CourierAtStore
        | Fact::CourierAtDoor
        | Fact::StoreSilent
        | Fact::StoreDeleted
        | Fact::DriverDeleted => {}
        Fact::CourierAssigned { pickup_eta } | Fact::CourierChanged { pickup_eta } => {
            put_assignment(&mut data, *pickup_eta, sheet);
        }
        Fact::CourierNear { door } => {
            put(&mut data, "end", if *door { "door" } else { "store" });
        }
        Fact::Eta => {
            put_etas(&mut data, sheet);
            if let Some(order) = sheet.map(|sheet| &sheet.order) {
                put_route(&mut data, order);
            }
        }
        Fact::Late { kind, since } => {
            put_word(&mut data, "kind", *kind);
            put_time(&mut data, "since", Some(*since));
        }
        Fact::Noted { note } => put(&mut data, "note", note.as_str()),
        Fact::ProofAdded(proof) => data = added(proof, sheet),
        Fact::OfferSent(offer) => {
            if let Some(sheet) = sheet {
                data = full_offer(offer, &sheet.order, &sheet.store);
            }
        }
        Fact::OfferClosed(offer) => {
            put(&mut data, "offer", offer.id.to_string());
            put(&mut data, "driver", offer.driver.to_string());
            put_word(&mut data, "state", offer.state);
        }
        Fact::TokenRevoked { token } => put(&mut data, "token", token.to_string()),
        Fact::DriverDuty { duty } => put_word(&mut data, "duty", *duty),
        Fact::StorePaused { until } => match until {
            Some(until) => put_time(&mut data, "until", Some(*until)),
            None => put(&mut data, "until", Value::Null),
        },
    }
    Value::Object(data)
}

fn put_order(data: &mut Map<String, Value>, sheet: Option<&Sheet>) {
    if let Some(sheet) = sheet {
        put(data, "order", Value::Object(full_order(sheet)));
    }
}

fn put_assignment(
    data: &mut Map<String, Value>,
    pickup_eta: Option<Timestamp>,
    sheet: Option<&Sheet>,
) {
    if let Some(driver) = sheet.and_then(|sheet| sheet.driver.as_ref()) {
        put(data, "driver", Value::Object(driver_in_order(driver)));
    }
    put_time(data, "pickup_eta", pickup_eta);
    put_etas(data, sheet);
    put_order(data, sheet);
}

/// When it is picked up, delivered or brought back, as the order has it after the event.
fn put_etas(data: &mut Map<String, Value>, sheet: Option<&Sheet>) {
    if let Some(order) = sheet.map(|sheet| &sheet.order) {
        put_time(data, "pickup_eta", order.pickup_eta);
        put_time(data, "dropoff_eta", order.dropoff_eta);
        put_time(data, "lo", order.dropoff_eta_lo);
        put_time(data, "hi", order.dropoff_eta_hi);
        put_time(data, "return_eta", order.return_eta);
    }
    put_source(data, sheet);
}

/// Who says when.
fn put_source(data: &mut Map<String, Value>, sheet: Option<&Sheet>) {
    if let Some(source) = sheet.and_then(|sheet| sheet.order.eta_source) {
        put_word(data, "source", source);
    }
}

fn put_reason(data: &mut Map<String, Value>, reason: &Reason) {
    put_word(data, "code", reason.code);
    put_word(data, "by", reason.by);
    put_text(data, "note", reason.note.as_ref());
}
