//! An order as it stands, in full and for each audience.

use serde_json::{Map, Value, json};

use super::link::trim_for_link;
use super::party::{driver_in_order, store_in_order};
use super::proof::{put_held, required};
use super::{
    Audience, Sheet, area, first_name, first_name_and_initial, mask_phone, put, put_text, put_time,
    put_word,
};
use crate::domain::{Fulfilment, Leg, Notice, Order, ReasonCode, Status, Word as _};

/// The order for one audience.
pub fn order(sheet: &Sheet, audience: Audience) -> Value {
    let mut view = full_order(sheet);
    trim_order(&mut view, audience, Moment::AsItSays);
    Value::Object(view)
}

/// The order with every field any audience may see; what the log keeps.
pub fn full_order(sheet: &Sheet) -> Map<String, Value> {
    let order = &sheet.order;
    let mut view = Map::new();
    put(&mut view, "id", order.id.to_string());
    put(&mut view, "tenant", order.tenant.to_string());
    put(&mut view, "external_id", order.external_id.as_str());
    put(&mut view, "short_code", order.short_code.as_str());
    put_word(&mut view, "fulfilment", order.fulfilment);
    put_word(&mut view, "status", order.status);
    put_word(&mut view, "leg", order.leg);
    put(&mut view, "version", order.version);
    put(&mut view, "store", Value::Object(store_in_order(&sheet.store)));
    if let Some(driver) = &sheet.driver {
        put(&mut view, "driver", Value::Object(driver_in_order(driver)));
    }
    if let Some(dropoff) = &order.dropoff {
        let mut door = Map::new();
        put(&mut door, "name", dropoff.name.as_str());
        put_text(&mut door, "phone", dropoff.phone.as_ref());
        put(&mut door, "address", dropoff.address.as_str());
        put(&mut door, "lat", dropoff.place.lat);
        put(&mut door, "lng", dropoff.place.lng);
        put_text(&mut door, "notes", dropoff.notes.as_ref());
        put(&mut door, "leave_at_door", dropoff.leave_at_door);
        put(&mut view, "dropoff", Value::Object(door));
    }
    let items = order.items.iter().map(|item| json!({"name": item.name, "qty": item.qty}));
    put(&mut view, "items", items.collect::<Vec<_>>());
    put_text(&mut view, "note", order.note.as_ref());
    if let Some(window) = order.window {
        let mut span = Map::new();
        put_time(&mut span, "from", Some(window.from));
        put_time(&mut span, "to", Some(window.to));
        put(&mut view, "window", Value::Object(span));
    }
    if let Some(minutes) = order.prep_min {
        put(&mut view, "prep_min", minutes);
    }
    put_word(&mut view, "undeliverable_action", order.undeliverable);
    put(&mut view, "proof_required", required(order));
    put_held(&mut view, order);
    put_text(&mut view, "pin", order.pin.as_ref());
    put(&mut view, "attempt", order.attempt);
    put(&mut view, "stamps", Value::Object(stamps(order)));
    put(&mut view, "steps", steps(order));
    put_time(&mut view, "accept_by", order.accept_by);
    put_time(&mut view, "release_at", order.release_at);
    put_time(&mut view, "ready_eta", order.ready_eta);
    put_time(&mut view, "pickup_eta", order.pickup_eta);
    put_time(&mut view, "dropoff_eta", order.dropoff_eta);
    put_time(&mut view, "dropoff_eta_lo", order.dropoff_eta_lo);
    put_time(&mut view, "dropoff_eta_hi", order.dropoff_eta_hi);
    put_time(&mut view, "return_eta", order.return_eta);
    if let Some(source) = order.eta_source {
        put_word(&mut view, "eta_source", source);
    }
    put_route(&mut view, order);
    let late = Notice::LATE.iter().filter(|notice| order.told.contains(notice));
    let late: Vec<&str> = late.map(|notice| notice.word()).collect();
    if !late.is_empty() {
        put(&mut view, "late", late);
    }
    if order.leg == Leg::Offering {
        // Until when, each of its offers says.
        put(&mut view, "search", json!({"round": order.search.round}));
    }
    if let Some(reason) = &order.reason {
        let mut why = Map::new();
        put_word(&mut why, "code", reason.code);
        put_word(&mut why, "by", reason.by);
        put_text(&mut why, "note", reason.note.as_ref());
        put(&mut view, "reason", Value::Object(why));
    }
    put(&mut view, "meta", order.meta.clone());
    put_time(&mut view, "erased_at", order.erased_at);
    view
}

/// Where the order comes in its courier's tour, if there is one.
pub(super) fn put_route(view: &mut Map<String, Value>, order: &Order) {
    if let Some((batch, seq)) = order.route.batch.zip(order.route.seq) {
        put(view, "batch", batch.to_string());
        put(view, "stop_seq", seq);
        put(view, "stops_before", order.route.before);
    }
}

fn stamps(order: &Order) -> Map<String, Value> {
    let at = order.stamps;
    let mut view = Map::new();
    put_time(&mut view, "created", Some(at.created));
    for (key, at) in [
        ("placed", at.placed),
        ("accepted", at.accepted),
        ("preparing", at.preparing),
        ("ready", at.ready),
        ("assigned", at.assigned),
        ("at_store", at.at_store),
        ("picked_up", at.picked_up),
        ("at_door", at.at_door),
        ("delivered", at.delivered),
        ("rejected", at.rejected),
        ("cancelled", at.cancelled),
        ("failed", at.failed),
        ("returning", at.returning),
        ("returned", at.returned),
    ] {
        put_time(&mut view, key, at);
    }
    view
}

/// The steps a customer follows, each passed one with its time; the last is where it stands.
fn steps(order: &Order) -> Value {
    let at = order.stamps;
    // A second attempt takes back the door and the return of the first.
    let at_door = at.at_door.filter(|door| at.picked_up.is_none_or(|left| *door >= left));
    let returning = at
        .returning
        .filter(|_| matches!(order.status, Status::Returning | Status::Returned | Status::Failed));
    let mut passed =
        vec![("received", Some(at.created)), ("preparing", at.preparing.or(at.accepted))];
    if order.fulfilment == Fulfilment::Collection {
        passed.push(("ready", at.ready));
        passed.push(("collected", at.delivered));
    } else {
        passed.push(("on_the_way", at.picked_up));
        passed.push(("arriving", at_door));
        passed.push(("delivered", at.delivered));
    }
    passed.extend([
        ("rejected", at.rejected),
        ("cancelled", at.cancelled),
        ("failed", at.failed),
        ("returning", returning),
        ("returned", at.returned),
    ]);
    let mut passed: Vec<_> =
        passed.into_iter().filter_map(|(step, at)| at.map(|at| (at, step))).collect();
    // Stable: steps of one moment stay in the order above.
    passed.sort_by_key(|(at, _step)| *at);
    let step = |(at, step): (_, &str)| json!({"step": step, "at": super::stamp(at)});
    passed.into_iter().map(step).collect()
}

/// Codes that are nobody's business outside; customers read `other` instead.
fn public_code(code: &str) -> &str {
    match ReasonCode::find(code) {
        Ok(
            ReasonCode::Fraud
            | ReasonCode::Unsafe
            | ReasonCode::CourierIncident
            | ReasonCode::Personal
            | ReasonCode::Payment,
        ) => ReasonCode::Other.word(),
        _ => code,
    }
}

/// Where the order of a view stands when it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Where the view says: it is shown as it is, or as it was heard at the time.
    AsItSays,
    /// Over by now: what a party needed to do its work is not shown to it any more.
    Closed,
}

/// Takes from a full view what `audience` may not see.
pub(super) fn trim_order(view: &mut Map<String, Value>, audience: Audience, standing: Moment) {
    let word = |key: &str| view.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let status = Status::find(&word("status"));
    let leg = Leg::find(&word("leg")).unwrap_or(Leg::None);
    let store_delivery = word("fulfilment") == Fulfilment::StoreDelivery.word();
    let closed = standing == Moment::Closed || status.is_ok_and(Status::is_terminal);
    let leg = if closed { Leg::Closed } else { leg };
    if !audience.is_customer() {
        view.remove("pin");
        view.remove("steps");
    }
    if !audience.is_inside() {
        view.remove("erased_at");
    }
    match audience {
        Audience::Ops | Audience::Platform => {}
        Audience::FormerDriver => view.retain(|key, _| matches!(key.as_str(), "id" | "version")),
        Audience::Customer | Audience::Link | Audience::PastLink => {
            for key in [
                "status",
                "leg",
                "tenant",
                "external_id",
                "meta",
                "undeliverable_action",
                "attempt",
                "accept_by",
                "release_at",
                "pickup_eta",
                "return_eta",
                "prep_min",
                "stamps",
                "batch",
                "stop_seq",
                "late",
                "search",
                "proofs",
            ] {
                view.remove(key);
            }
            within(view, "dropoff", |door| {
                door.remove("phone");
                shorten(door, "name", first_name);
            });
            trim_driver(view, matches!(leg, Leg::EnRoute | Leg::AtDoor));
            within(view, "driver", |driver| {
                driver.remove("id");
            });
            within(view, "store", |store| {
                store.remove("id");
            });
            trim_reason(view, None);
            trim_for_link(view, audience);
        }
        Audience::Store => {
            for key in ["tenant", "meta", "batch", "stop_seq", "stops_before", "search"] {
                view.remove(key);
            }
            within(view, "dropoff", |door| {
                shorten(door, "name", first_name_and_initial);
                if closed {
                    door.remove("phone");
                } else {
                    shorten(door, "phone", mask_phone);
                }
                if !store_delivery {
                    for key in ["lat", "lng", "notes"] {
                        door.remove(key);
                    }
                    shorten(door, "address", area);
                }
            });
            trim_driver(view, matches!(leg, Leg::Assigned | Leg::AtStore));
            trim_reason(view, Some("store"));
        }
        Audience::Driver => {
            for key in ["tenant", "meta", "driver", "search"] {
                view.remove(key);
            }
            within(view, "dropoff", |door| {
                shorten(door, "name", first_name_and_initial);
                shorten(door, "phone", mask_phone);
                if closed {
                    for key in ["phone", "address", "lat", "lng", "notes"] {
                        door.remove(key);
                    }
                }
            });
            trim_reason(view, Some("driver"));
        }
    }
}

/// The courier as others see it: how it is called and what it rides, the phone only while it
/// may be needed.
fn trim_driver(view: &mut Map<String, Value>, phone: bool) {
    within(view, "driver", |driver| {
        if let Some(display_name) = driver.remove("display_name") {
            driver.insert("name".to_owned(), display_name);
        }
        if phone {
            shorten(driver, "phone", mask_phone);
        } else {
            driver.remove("phone");
        }
    });
}

/// The reason in public words; the note only for the role that wrote it.
fn trim_reason(view: &mut Map<String, Value>, own: Option<&str>) {
    within(view, "reason", |reason| trim_reason_fields(reason, own));
}

/// The same for an event's data, where the fields stand by themselves.
pub(super) fn trim_reason_fields(reason: &mut Map<String, Value>, own: Option<&str>) {
    let by = reason.get("by").and_then(Value::as_str).map(str::to_owned);
    if own.is_none() || by.as_deref() != own {
        reason.remove("note");
        shorten(reason, "code", |code| public_code(code).to_owned());
    }
}

pub(super) fn within(
    view: &mut Map<String, Value>,
    key: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    if let Some(Value::Object(inner)) = view.get_mut(key) {
        change(inner);
    }
}

pub(super) fn shorten(
    view: &mut Map<String, Value>,
    key: &str,
    shorter: impl FnOnce(&str) -> String,
) {
    let text = view.get(key).and_then(Value::as_str).map(shorter);
    match text {
        Some(text) if !text.is_empty() => put(view, key, text),
        Some(_) => drop(view.remove(key)),
        None => {}
    }
}
