//! Audiences: who sees which field of an order, when. The table of forbidden fields is written
//! down here from the specification; it walks all that is rendered and asks the code nothing.

mod world;

use std::collections::HashSet;

use ordercast::domain::{Fact, Fulfilment, Leg, Role, Status, Word as _};
use ordercast::view::{self, Audience, LogEvent};
use serde_json::{Value, json};

use crate::support::{City, Server, contract};

use world::*;

/// What this audience must not read of an order that stands so, after something `by` did.
fn forbidden(
    world: &World,
    audience: Audience,
    (fulfilment, status, leg): (Fulfilment, Status, Leg),
    by: Option<Role>,
) -> Vec<String> {
    let tenant = world.tenant.to_string();
    let closed = status.is_terminal();
    let mut no: Vec<&str> = Vec::new();
    let outside =
        [META, &tenant, LAST_NAME, PHONE_UNMASKED, DRIVER_PHONE_UNMASKED, DEVICE, PICTURE];
    let prior = world.prior.to_string();
    let driver = world.driver.id.to_string();
    let stops = STOPS.to_string();
    let mut own = None;
    match audience {
        // Everything but the PIN.
        Audience::Ops | Audience::Platform => return vec![PIN.to_owned(), PICTURE.to_owned()],
        // What a customer may not see, and of the address no more than the street.
        Audience::Link | Audience::PastLink => {
            let mut no = forbidden(world, Audience::Customer, (fulfilment, status, leg), by);
            no.extend([NOTES, AREA].map(str::to_owned));
            if audience == Audience::PastLink {
                let past = ["Annabel", STREET, DOOR, PIN, PLATE, "Corinna", DRIVER_PHONE, "52.5"];
                no.extend(past.map(str::to_owned));
            }
            return no;
        }
        Audience::Customer => {
            no.extend([
                PROOF,
                PHONE,
                EXTERNAL_ID,
                DRIVER_LAST_NAME,
                &driver,
                WHY,
                REASON_NOTE,
                INTERNAL,
            ]);
            no.push(REMARK);
            if !matches!(leg, Leg::EnRoute | Leg::AtDoor) {
                no.push(DRIVER_PHONE);
            }
        }
        Audience::Store => {
            own = Some(Role::Store);
            no.extend([PIN, DRIVER_LAST_NAME, &stops, PROOF]);
            if by != own {
                no.push(REMARK);
            }
            if closed {
                no.push(PHONE);
            }
            if fulfilment != Fulfilment::StoreDelivery {
                no.extend([STREET, NOTES, DOOR]);
            }
            if !matches!(leg, Leg::Assigned | Leg::AtStore) {
                no.push(DRIVER_PHONE);
            }
        }
        Audience::Driver => {
            own = Some(Role::Driver);
            no.extend([PIN, WHY, PROOF, REMARK]);
            if closed {
                no.extend([PHONE, STREET, AREA, NOTES, DOOR]);
            }
        }
        Audience::FormerDriver => {
            no.extend([
                PIN,
                PHONE,
                STREET,
                AREA,
                NOTES,
                DOOR,
                ITEM,
                EXTERNAL_ID,
                "SHRT",
                "Annabel",
            ]);
            no.extend([DRIVER_LAST_NAME, DRIVER_PHONE, PLATE, &driver, WHY, REASON_NOTE, PROOF]);
        }
    }
    no.extend(outside);
    no.push(&prior);
    if own.is_some() && by != own {
        no.extend([REASON_NOTE, INTERNAL]);
    }
    no.into_iter().map(str::to_owned).collect()
}

/// Calls `visit` with the path and the text of everything in `value`, keys included.
fn walk(path: &str, value: &Value, visit: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = format!("{path}.{key}");
                visit(&path, key);
                walk(&path, value, visit);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(path, value, visit)),
        Value::String(text) => visit(path, text),
        Value::Null | Value::Bool(_) | Value::Number(_) => visit(path, &value.to_string()),
    }
}

/// Whether a text is an identifier.
fn is_id(text: &str) -> bool {
    let (prefix, digits) = text.split_once('_').unwrap_or_default();
    prefix.len() == 2 && digits.len() == 26 && digits.bytes().all(|it| it.is_ascii_alphanumeric())
}

/// A JSON text without its identifiers, which may end in the digits of a phone by chance.
fn without_ids(text: &str) -> String {
    text.split('"').filter(|part| !is_id(part)).collect::<Vec<_>>().join("\"")
}

/// Checks one rendered text against the table, and remembers what could be read.
fn check(
    what: &str,
    text: &str,
    audience: Audience,
    forbidden: &[String],
    read: &mut HashSet<(Audience, &'static str)>,
) {
    // In the text as it is sent: no member, however deep or new, can escape.
    let bare = without_ids(text);
    for secret in forbidden {
        let text = if is_id(secret) { text } else { &bare };
        assert!(!text.contains(secret), "{what}: {audience:?} reads {secret} in {text}");
    }
    for secret in PLANTED {
        if text.contains(secret) {
            read.insert((audience, secret));
        }
    }
    if matches!(audience, Audience::Ops | Audience::Platform) {
        return;
    }
    walk("", &serde_json::from_str(text).unwrap(), &mut |path, text| {
        if path.ends_with("dropoff.phone") || path.ends_with("driver.phone") {
            let digits = text.chars().filter(char::is_ascii_digit).count();
            assert!(text == "phone" || digits <= 4, "{what}: {audience:?} reads {text} at {path}");
        }
        if matches!(audience, Audience::Customer | Audience::Link | Audience::PastLink) {
            let key = path.rsplit('.').next().unwrap();
            let hidden = ["status", "leg", "stamps", "external_id", "meta", "tenant", "attempt"];
            assert!(!hidden.contains(&key), "{what}: a customer reads {path}");
        }
    });
}

/// Whether an audience hears of this at all.
fn hears(audience: Audience, event: &LogEvent) -> bool {
    let kind = event.kind.as_str();
    let own_affair = ["courier.searching", "courier.search_failed"].contains(&kind);
    let of_a_store = ["store.paused", "store.deleted", "store.silent"].contains(&kind);
    let of_a_courier = ["driver.duty", "driver.deleted"].contains(&kind);
    let asks = ["offer.sent", "offer.closed"].contains(&kind);
    let others = !["token.revoked", "order.erased"].contains(&kind);
    // Of an arrival whoever waits there; of lateness a customer only when it is the door's.
    let end = (kind == "courier.near").then(|| event.data["end"].as_str().unwrap());
    let late = (kind == "order.late").then(|| event.data["kind"].as_str().unwrap());
    let noted = kind == "order.noted";
    // Of proofs a customer hears what shows its own hand-over.
    let data = &event.data;
    let proved = kind != "proof.added"
        || (data["point"] == "dropoff" && (data["kind"] == "photo" || data["kind"] == "signature"));
    match audience {
        Audience::Ops | Audience::Platform => true,
        Audience::Customer | Audience::Link | Audience::PastLink => {
            let theirs = end.is_none_or(|end| end == "door")
                && late.is_none_or(|late| late == "delivery")
                && !noted
                && proved;
            theirs && others && !own_affair && !of_a_courier && !of_a_store && !asks
        }
        Audience::Store => {
            let theirs =
                end.is_none_or(|end| end == "store") && (!noted || event.by.role == Role::Store);
            theirs && others && !of_a_courier && !asks
        }
        Audience::Driver => others && !own_affair && !of_a_store && !noted,
        Audience::FormerDriver => ["courier.changed", "courier.unassigned"].contains(&kind),
    }
}

#[test]
fn no_audience_reads_what_the_table_forbids_in_any_event_or_view_at_any_status() {
    let world = World::new();
    let mut read = HashSet::new();
    let mut rendered = 0_u32;
    for standing in standings() {
        let (fulfilment, status, leg) = standing;
        let sheet = world.sheet(fulfilment, status, leg);
        for audience in Audience::ALL {
            let no = forbidden(&world, *audience, standing, None);
            let what = format!("the view of {fulfilment} {status} {leg}");
            let seen = view::order(&sheet, *audience);
            if *audience != Audience::FormerDriver {
                contract::check(&what, &json!({"$ref": "#/components/schemas/Order"}), &seen, true);
            }
            let text = seen.to_string();
            check(&what, &text, *audience, &no, &mut read);
        }
        for by in [Role::Store, Role::Driver, Role::Ops] {
            for fact in facts(by) {
                let event = world.event(&fact, &sheet, by);
                for audience in Audience::ALL {
                    let Some(text) = event.render(*audience) else {
                        let what = format!("{} is kept from {audience:?}", event.kind);
                        assert!(!hears(*audience, &event), "{what}");
                        continue;
                    };
                    assert!(hears(*audience, &event), "{} for {audience:?}", event.kind);
                    let value: Value = serde_json::from_str(&text).unwrap();
                    // Here every event is of an order, as those of others never are.
                    if event.kind.starts_with("order.") || event.kind.starts_with("courier.") {
                        contract::check_event(&value);
                    }
                    let what = format!("{} by {by}, {fulfilment} {status} {leg}", event.kind);
                    let mut no = forbidden(&world, *audience, standing, Some(by));
                    if event.kind.starts_with("offer.") && *audience == Audience::Driver {
                        // Enough to say yes or no, and to find neither order nor door by.
                        no.retain(|secret| secret != AREA);
                        let order = sheet.order.id.to_string();
                        let secrets = [PHONE, STREET, NOTES, DOOR, ITEM, EXTERNAL_ID, "SHRT"];
                        no.extend(secrets.map(str::to_owned).into_iter().chain([order]));
                        no.extend(["Annabel", "dropoff_eta"].map(str::to_owned));
                    }
                    check(&what, &text, *audience, &no, &mut read);
                    // Who did it: everyone the role; which one, only those whose own it is.
                    assert_eq!(value["by"]["role"], by.word());
                    let own = match audience {
                        Audience::Ops | Audience::Platform => true,
                        Audience::Store => by == Role::Store,
                        Audience::Driver | Audience::FormerDriver => by == Role::Driver,
                        Audience::Customer | Audience::Link | Audience::PastLink => false,
                    };
                    assert_eq!(value["by"].get("id").is_some(), own, "{what} for {audience:?}");
                    rendered += 1;
                }
            }
        }
    }
    assert!(rendered > 9_000, "{rendered}");
    // The table above would hold for an empty page too: what is to be read is read somewhere.
    for (audience, secrets) in [
        (Audience::Customer, &[PIN, STREET, NOTES, DOOR, ITEM, PLATE, DRIVER_PHONE][..]),
        (Audience::Link, &[PIN, STREET, DOOR, ITEM, PLATE, DRIVER_PHONE]),
        (Audience::PastLink, &[ITEM]),
        (
            Audience::Store,
            &[
                PHONE,
                AREA,
                STREET,
                NOTES,
                DOOR,
                ITEM,
                PLATE,
                DRIVER_PHONE,
                REASON_NOTE,
                INTERNAL,
                WHY,
            ],
        ),
        (Audience::Driver, &[PHONE, STREET, AREA, NOTES, DOOR, ITEM, REASON_NOTE, INTERNAL]),
        (Audience::FormerDriver, &[]),
    ] {
        for secret in secrets {
            assert!(read.contains(&(audience, *secret)), "{audience:?} should read {secret}");
        }
    }
    for secret in PLANTED.iter().filter(|secret| **secret != PIN) {
        for audience in [Audience::Ops, Audience::Platform] {
            assert!(read.contains(&(audience, *secret)), "{audience:?} should read {secret}");
        }
    }
}

/// All that a text says, with where; of an address only that there is one, as a link's is shorter.
fn says(text: &str) -> HashSet<(String, String)> {
    let mut said = HashSet::new();
    walk("", &serde_json::from_str(text).unwrap(), &mut |path, text| {
        let text = if path.ends_with(".dropoff.address") { "" } else { text };
        said.insert((path.to_owned(), text.to_owned()));
    });
    said
}

#[test]
fn a_link_shows_nothing_that_its_customer_does_not_see_and_less_when_the_order_is_past() {
    let world = World::new();
    let narrowing = [Audience::Customer, Audience::Link, Audience::PastLink];
    for (fulfilment, status, leg) in standings() {
        let sheet = world.sheet(fulfilment, status, leg);
        let views = narrowing.map(|audience| says(&view::order(&sheet, audience).to_string()));
        assert!(views[2].is_subset(&views[1]) && views[1].is_subset(&views[0]), "{status} {leg}");
        for by in [Role::Store, Role::Driver, Role::Ops] {
            for fact in facts(by) {
                let event = world.event(&fact, &sheet, by);
                let texts = narrowing.map(|audience| event.render(audience));
                let heard = texts.each_ref().map(Option::is_some);
                let what = format!("{} by {by}, {fulfilment} {status} {leg}", event.kind);
                assert_eq!(heard, [heard[0]; 3], "{what}");
                let said = texts.map(|text| text.map(|text| says(&text)).unwrap_or_default());
                for (more, less) in [(&said[0], &said[1]), (&said[1], &said[2])] {
                    let added: Vec<_> = less.difference(more).collect();
                    assert!(added.is_empty(), "{what}: {added:?}");
                }
            }
        }
    }
}

#[test]
fn phones_are_readable_only_while_they_are_needed() {
    let world = World::new();
    for (fulfilment, status, leg) in standings() {
        let sheet = world.sheet(fulfilment, status, leg);
        let what = format!("{fulfilment} {status} {leg}");
        let phone = |audience: Audience, whose: &str| {
            view::order(&sheet, audience)[whose].get("phone").is_some()
        };
        let carried = matches!(leg, Leg::EnRoute | Leg::AtDoor);
        assert_eq!(phone(Audience::Customer, "driver"), carried, "{what}");
        let coming = matches!(leg, Leg::Assigned | Leg::AtStore);
        assert_eq!(phone(Audience::Store, "driver"), coming, "{what}");
        assert_eq!(phone(Audience::Store, "dropoff"), !status.is_terminal(), "{what}");
        assert_eq!(phone(Audience::Driver, "dropoff"), !status.is_terminal(), "{what}");
        assert!(!phone(Audience::Customer, "dropoff"), "{what}");
    }
}

#[test]
fn a_mask_shows_four_digits_at_most_whatever_it_hides() {
    let mut world = World::new();
    for phone in ["", "1", "12", "1234", "12345", "+1 (555) 010-9999", "tel:++++", "٠١٢٣٤٥٦٧٨٩"]
    {
        world.driver.phone = Some(phone.to_owned());
        let mut sheet = world.sheet(Fulfilment::Delivery, Status::PickedUp, Leg::EnRoute);
        sheet.order.dropoff.as_mut().unwrap().phone = Some(phone.to_owned());
        for (audience, whose) in [(Audience::Customer, "driver"), (Audience::Driver, "dropoff")] {
            let view = view::order(&sheet, audience);
            let shown = view[whose]["phone"].as_str().unwrap_or_default();
            let digits = shown.chars().filter(|c| c.is_numeric()).count();
            let all = phone.chars().filter(|c| c.is_numeric()).count();
            assert!(digits <= 4 && digits <= all / 2 + 1, "{phone} as {shown}");
        }
    }
}

#[test]
fn a_change_of_what_one_may_not_see_is_not_even_told() {
    let world = World::new();
    let sheet = world.sheet(Fulfilment::Delivery, Status::Accepted, Leg::Assigned);
    let fact = Fact::Updated { note: false, dropoff: false, window: false, meta: true };
    let event = world.event(&fact, &sheet, Role::Platform);
    for audience in [Audience::Customer, Audience::Store, Audience::Driver] {
        assert_eq!(event.render(audience), None, "{audience:?}");
    }
    for audience in [Audience::Ops, Audience::Platform] {
        assert!(event.render(audience).unwrap().contains(META));
    }
}

/// The names of an object's members.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[actix_web::test]
async fn over_rest_each_reads_its_own_view_and_the_answer_to_a_change_is_the_same() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let more = json!({"meta": {"m": META}, "external_id": EXTERNAL_ID, "note": "no onions"});
    let order = city.order(more).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/orders/{order}");
    let store = city.caller("store", &order).await;
    let accepted = city.act(&store, &order, "accept", json!({"prep_min": 10})).await;
    assert_eq!(store.get(&path).await.expect(200), accepted);
    assert_eq!(keys(&accepted["dropoff"]), ["address", "leave_at_door", "name", "phone"]);
    assert_eq!(accepted["dropoff"]["address"], "Mitte, Berlin");
    assert_eq!(accepted["dropoff"]["name"], "Ann L.");
    assert_eq!(accepted["dropoff"]["phone"], "•••7766");
    city.assign(&order).await;
    let driver = city.caller("driver", &order).await;
    let carried = city.act(&driver, &order, "pickup", json!({})).await;
    assert_eq!(driver.get(&path).await.expect(200), carried);
    assert_eq!(carried["dropoff"]["address"], "Hauptstr. 1, Mitte, Berlin");
    assert_eq!(carried["dropoff"]["phone"], "•••7766");
    assert_eq!(carried.get("meta"), None);
    let customer = city.caller("customer", &order).await;
    let seen = customer.get(&path).await.expect(200);
    assert_eq!(
        keys(&seen),
        [
            "driver",
            "dropoff",
            "dropoff_eta",
            "dropoff_eta_hi",
            "dropoff_eta_lo",
            "eta_source",
            "fulfilment",
            "id",
            "items",
            "note",
            "proof_required",
            "ready_eta",
            "short_code",
            "steps",
            "store",
            "version",
        ]
    );
    assert_eq!(
        seen["driver"],
        json!({
            "name": "Cori R.", "phone": "•••4321",
            "vehicle": {"type": "scooter", "colour": "red", "plate": "B-CR 1"},
        })
    );
    let steps: Vec<&Value> = seen["steps"].as_array().unwrap().iter().map(|s| &s["step"]).collect();
    assert_eq!(steps, ["received", "preparing", "on_the_way"]);
    // The log says no more than the order does.
    let log = customer.get(&format!("{path}/events")).await.expect(200);
    let text = log.to_string();
    for secret in [META, EXTERNAL_ID, &city.driver, &city.tenant, "Rossi", "7766", "\"leg\""] {
        assert!(!text.contains(secret), "a customer's log holds {secret}");
    }
    let delivered = city.act(&driver, &order, "deliver", json!({})).await;
    assert_eq!(delivered["dropoff"], json!({"name": "Ann L.", "leave_at_door": false}));
    assert_eq!(customer.get(&path).await.expect(200)["driver"].get("phone"), None);
    assert_eq!(store.get(&path).await.expect(200)["dropoff"].get("phone"), None);
    // A dispatcher and the platform read everything still.
    for role in ["ops", "platform"] {
        let view = city.caller(role, &order).await.get(&path).await.expect(200);
        assert_eq!(view["dropoff"]["phone"], "+49 151 99887766");
        assert_eq!(view["driver"]["phone"], "+49 170 7654321");
        assert_eq!(view["meta"], json!({"m": META}));
    }
    server.stop().await;
}
