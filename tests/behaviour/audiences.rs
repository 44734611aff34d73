//! Audiences: who sees which field of an order, when. The table of forbidden fields is written
//! down here from the specification; it walks all that is rendered and asks the code nothing.

use std::collections::HashSet;

use jiff::Timestamp;
use ordercast::domain::{
    Actor, Draft, Driver, DriverId, Dropoff, Duty, EventId, Fact, Facts, Fulfilment, Item, Leg,
    Order, OrderId, Place, Proof, ProofKind, ProofRequired, Reason, ReasonCode, Role, Status,
    Store, StoreId, TenantId, TenantRules, Undeliverable, Vehicle, Window, Word as _, place,
};
use ordercast::view::{self, Audience, LogEvent, Sheet, fact_data};
use serde_json::{Value, json};

use crate::support::{City, Server};

/// What is planted, each to be found by a text that nothing else holds.
const LAST_NAME: &str = "Quillfeather";
/// The last four digits of the customer's phone, and the last five, which no mask shows.
const PHONE: &str = "4445";
const PHONE_UNMASKED: &str = "34445";
const STREET: &str = "Streetsecret";
const AREA: &str = "Areaname";
const NOTES: &str = "Notesecret";
const DOOR: &str = "41.123456";
const PIN: &str = "PINSECRET";
const META: &str = "METASECRET";
const EXTERNAL_ID: &str = "EXTSECRET";
const ITEM: &str = "ITEMNAME";
const DRIVER_LAST_NAME: &str = "Longsurname";
const DRIVER_PHONE: &str = "0001";
const DRIVER_PHONE_UNMASKED: &str = "90001";
const PLATE: &str = "PLATE-7";
const REASON_NOTE: &str = "REASONNOTE";
const WHY: &str = "WHYSECRET";
const PROOF: &str = "PROOFREF";
const DEVICE: &str = "11.654321";
/// A reason that is nobody's business outside.
const INTERNAL: &str = "fraud";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct World {
    store: Store,
    driver: Driver,
    prior: DriverId,
    tenant: TenantId,
}

impl World {
    fn new() -> Self {
        let tenant = TenantId::new();
        let store = Store {
            id: StoreId::new(),
            tenant,
            external_id: "store".to_owned(),
            name: "Trattoria".to_owned(),
            place: Place { lat: 52.5, lng: 13.4 },
            tz: "Europe/Berlin".to_owned(),
            phone: Some("+49 30 777".to_owned()),
            auto_accept: false,
            default_prep_min: 20,
            paused_until: None,
        };
        let driver = Driver {
            id: DriverId::new(),
            tenant,
            external_id: "driver".to_owned(),
            name: format!("Corinna {DRIVER_LAST_NAME}"),
            display_name: "Corinna L.".to_owned(),
            phone: Some("+49 170 88899 90001".to_owned()),
            vehicle: Vehicle {
                kind: "scooter".to_owned(),
                make: None,
                colour: Some("red".to_owned()),
                plate: Some(PLATE.to_owned()),
            },
            duty: Duty::On,
            capacity: 2,
        };
        Self { store, driver, prior: DriverId::new(), tenant }
    }

    /// An order that stands so, with everything an order can hold.
    fn sheet(&self, fulfilment: Fulfilment, status: Status, leg: Leg) -> Sheet {
        let now = at("2025-01-02T18:00:00Z");
        let draft = Draft {
            id: OrderId::new(),
            tenant: self.tenant,
            external_id: EXTERNAL_ID.to_owned(),
            store: self.store.id,
            short_code: "SHRT".to_owned(),
            fulfilment,
            dropoff: Some(Dropoff {
                name: format!("Annabel {LAST_NAME}"),
                phone: Some("+49 151 2223334445".to_owned()),
                address: format!("{STREET} 17, {AREA}, Town"),
                place: Place { lat: 41.123_456, lng: 42.654_321 },
                notes: Some(NOTES.to_owned()),
                leave_at_door: false,
            }),
            items: vec![Item { name: ITEM.to_owned(), qty: 2 }],
            note: Some("no onions".to_owned()),
            window: None,
            undeliverable: Undeliverable::Return,
            proof_required: ProofRequired { photo: true, signature: false, pin: true },
            pin: Some(PIN.to_owned()),
            meta: json!({"basket": META}),
        };
        let rules = TenantRules {
            accept_window: std::time::Duration::from_mins(8),
            customer_cancel_until: Status::Placed,
        };
        let facts = Facts {
            now,
            rules,
            store: &self.store,
            driver: None,
            occurred_at: None,
            if_match: None,
        };
        let platform = Actor { role: Role::Platform, id: "back end".to_owned() };
        let (order, _events) = place(draft, &platform, &facts).unwrap();
        let with_driver =
            leg.has_driver() || (leg == Leg::Closed && fulfilment == Fulfilment::Delivery);
        let mut stamps = order.stamps;
        stamps.accepted = Some(now);
        let order = Order {
            status,
            leg,
            version: 9,
            driver: with_driver.then_some(self.driver.id),
            prep_min: Some(20),
            pickup_eta: Some(now),
            dropoff_eta: Some(now),
            reason: Some(Reason {
                code: ReasonCode::Fraud,
                by: Role::Ops,
                note: Some(REASON_NOTE.to_owned()),
            }),
            stamps,
            ..order
        };
        let driver = with_driver.then(|| self.driver.clone());
        Sheet { order, store: self.store.clone(), driver }
    }

    fn event(&self, fact: &Fact, sheet: &Sheet, by: Role) -> LogEvent {
        let alone = matches!(fact, Fact::DriverDuty { .. } | Fact::StorePaused { .. });
        let mut data = fact_data(fact, (!alone).then_some(sheet));
        data["place"] = json!({"lat": 11.654_321, "lng": 12.5});
        let lost = matches!(fact, Fact::CourierChanged { .. } | Fact::CourierUnassigned { .. });
        LogEvent {
            position: 90_213,
            id: EventId::new(),
            tenant: self.tenant,
            store: Some(self.store.id),
            order: (!alone).then_some(sheet.order.id),
            driver: sheet.order.driver,
            prior_driver: lost.then_some(self.prior),
            n: (!alone).then_some(9),
            kind: fact.kind().to_owned(),
            by: Actor { role: by, id: format!("ACTOR-{by}") },
            was: Some(Status::Placed),
            status: Some(sheet.order.status),
            occurred_at: at("2025-01-02T18:04:00Z"),
            recorded_at: at("2025-01-02T18:04:05.120Z"),
            data,
        }
    }
}

/// One of each fact. A new one does not compile until it is added below.
fn facts(by: Role) -> Vec<Fact> {
    let eta = at("2025-01-02T18:30:00Z");
    let reason = || Reason { code: ReasonCode::Fraud, by, note: Some(REASON_NOTE.to_owned()) };
    let proofs = || vec![Proof { kind: ProofKind::Photo, reference: PROOF.to_owned() }];
    let window = Window { from: eta, to: at("2025-01-02T19:00:00Z") };
    let why = Some(WHY.to_owned());
    let some = Some(eta);
    let all = vec![
        Fact::Placed,
        Fact::Scheduled { window, release_at: eta },
        Fact::Accepted { prep_min: 20, ready_eta: eta },
        Fact::Rejected { reason: reason() },
        Fact::Cancelled { reason: reason() },
        Fact::Preparing { ready_eta: eta },
        Fact::Ready { ready_eta: eta },
        Fact::Unready { ready_eta: eta },
        Fact::PrepChanged { prep_min: 20, ready_eta: eta, why },
        Fact::PickedUp { dropoff_eta: some, lo: some, hi: some, proofs: proofs() },
        Fact::Delivered { proofs: proofs() },
        Fact::Failed { reason: reason(), attempt: 1 },
        Fact::Returning { reason: reason(), attempt: 1 },
        Fact::Returned { attempt: 1, proofs: proofs() },
        Fact::Redelivery { attempt: 2, dropoff_eta: some },
        Fact::Updated { note: true, dropoff: true, window: true, meta: true },
        Fact::CourierSearching { round: 1 },
        Fact::CourierSearchFailed,
        Fact::CourierAssigned { pickup_eta: some },
        Fact::CourierChanged { pickup_eta: some },
        Fact::CourierUnassigned { reason: reason() },
        Fact::CourierAtStore,
        Fact::CourierAtDoor,
        Fact::DriverDuty { duty: Duty::On },
        Fact::StorePaused { until: some },
    ];
    for fact in &all {
        match fact {
            Fact::Placed
            | Fact::Scheduled { .. }
            | Fact::Accepted { .. }
            | Fact::Rejected { .. }
            | Fact::Cancelled { .. }
            | Fact::Preparing { .. }
            | Fact::Ready { .. }
            | Fact::Unready { .. }
            | Fact::PrepChanged { .. }
            | Fact::PickedUp { .. }
            | Fact::Delivered { .. }
            | Fact::Failed { .. }
            | Fact::Returning { .. }
            | Fact::Returned { .. }
            | Fact::Redelivery { .. }
            | Fact::Updated { .. }
            | Fact::CourierSearching { .. }
            | Fact::CourierSearchFailed
            | Fact::CourierAssigned { .. }
            | Fact::CourierChanged { .. }
            | Fact::CourierUnassigned { .. }
            | Fact::CourierAtStore
            | Fact::CourierAtDoor
            | Fact::DriverDuty { .. }
            | Fact::StorePaused { .. } => {}
        }
    }
    all
}

/// Where an order of each fulfilment can stand.
fn standings() -> Vec<(Fulfilment, Status, Leg)> {
    let mut standings = Vec::new();
    for fulfilment in Fulfilment::ALL {
        for status in Status::ALL {
            let legs: &[Leg] = match (fulfilment, status) {
                (_, status) if status.is_terminal() => &[Leg::Closed],
                (Fulfilment::Delivery, Status::Placed) => &[Leg::None, Leg::Assigned, Leg::AtStore],
                (Fulfilment::Delivery, Status::Accepted | Status::Preparing | Status::Ready) => {
                    &[Leg::None, Leg::Offering, Leg::Assigned, Leg::AtStore]
                }
                (Fulfilment::Delivery, Status::PickedUp | Status::Returning) => {
                    &[Leg::EnRoute, Leg::AtDoor]
                }
                _ => &[Leg::None],
            };
            standings.extend(legs.iter().map(|leg| (*fulfilment, *status, *leg)));
        }
    }
    standings
}

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
    let outside = [META, &tenant, LAST_NAME, PHONE_UNMASKED, DRIVER_PHONE_UNMASKED, DEVICE];
    let prior = world.prior.to_string();
    let driver = world.driver.id.to_string();
    let mut own = None;
    match audience {
        // Everything but the PIN.
        Audience::Ops | Audience::Platform => return vec![PIN.to_owned()],
        Audience::Customer => {
            no.extend([PHONE, EXTERNAL_ID, DRIVER_LAST_NAME, &driver, WHY, REASON_NOTE, INTERNAL]);
            if !matches!(leg, Leg::EnRoute | Leg::AtDoor) {
                no.push(DRIVER_PHONE);
            }
        }
        Audience::Store => {
            own = Some(Role::Store);
            no.extend([PIN, DRIVER_LAST_NAME]);
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
            no.extend([PIN, WHY, PROOF]);
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

/// Checks one rendered text against the table, and remembers what could be read.
fn check(
    what: &str,
    text: &str,
    audience: Audience,
    forbidden: &[String],
    read: &mut HashSet<(Audience, &'static str)>,
) {
    // In the text as it is sent: no member, however deep or new, can escape.
    for secret in forbidden {
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
        if audience == Audience::Customer {
            let key = path.rsplit('.').next().unwrap();
            let hidden = ["status", "leg", "stamps", "external_id", "meta", "tenant", "attempt"];
            assert!(!hidden.contains(&key), "{what}: a customer reads {path}");
        }
    });
}

const PLANTED: &[&str] = &[
    LAST_NAME,
    PHONE,
    STREET,
    AREA,
    NOTES,
    DOOR,
    PIN,
    META,
    EXTERNAL_ID,
    ITEM,
    DRIVER_LAST_NAME,
    DRIVER_PHONE,
    PLATE,
    REASON_NOTE,
    WHY,
    PROOF,
    DEVICE,
    INTERNAL,
];

/// Whether an audience hears of this type at all.
fn hears(audience: Audience, kind: &str) -> bool {
    let own_affair = ["courier.searching", "courier.search_failed"].contains(&kind);
    match audience {
        Audience::Ops | Audience::Platform => true,
        Audience::Customer => !own_affair && kind != "driver.duty" && kind != "store.paused",
        Audience::Store => kind != "driver.duty",
        Audience::Driver => !own_affair && kind != "store.paused",
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
            let text = view::order(&sheet, *audience).to_string();
            check(&what, &text, *audience, &no, &mut read);
        }
        for by in [Role::Store, Role::Driver, Role::Ops] {
            for fact in facts(by) {
                let event = world.event(&fact, &sheet, by);
                for audience in Audience::ALL {
                    let Some(text) = event.render(*audience) else {
                        let what = format!("{} is kept from {audience:?}", event.kind);
                        assert!(!hears(*audience, &event.kind), "{what}");
                        continue;
                    };
                    assert!(hears(*audience, &event.kind), "{} for {audience:?}", event.kind);
                    let value: Value = serde_json::from_str(&text).unwrap();
                    let what = format!("{} by {by}, {fulfilment} {status} {leg}", event.kind);
                    let no = forbidden(&world, *audience, standing, Some(by));
                    check(&what, &text, *audience, &no, &mut read);
                    // Who did it: everyone the role; which one, only those whose own it is.
                    assert_eq!(value["by"]["role"], by.word());
                    let own = match audience {
                        Audience::Ops | Audience::Platform => true,
                        Audience::Store => by == Role::Store,
                        Audience::Driver | Audience::FormerDriver => by == Role::Driver,
                        Audience::Customer => false,
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
