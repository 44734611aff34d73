//! An order with a secret in each field, at every place where an order can stand.

use std::sync::Arc;

use jiff::Timestamp;
use ordercast::domain::{
    Actor, BatchId, CredentialId, Draft, Driver, DriverId, Dropoff, Duty, EtaSource, EventId, Fact,
    Facts, Fulfilment, Item, Leg, NewProof, Notice, Offer, OfferId, OfferRules, OfferState, Order,
    OrderId, Picture, PictureType, Place, Proof, ProofContent, ProofId, ProofKind, ProofPoint,
    ProofRequired, Reason, ReasonCode, Role, Route, Search, Status, Store, StoreId, TenantId,
    TenantRules, Undeliverable, Vehicle, Window, Word as _, place,
};
use ordercast::view::{LogEvent, Sheet, fact_data};
use serde_json::json;

/// What is planted, each to be found by a text that nothing else holds.
pub(super) const LAST_NAME: &str = "Quillfeather";
/// The last four digits of the customer's phone, and the last five, which no mask shows. With the
/// end of the text: digits alone may be part of an identifier by chance.
pub(super) const PHONE: &str = "4445\"";
pub(super) const PHONE_UNMASKED: &str = "34445\"";
pub(super) const STREET: &str = "Streetsecret";
pub(super) const AREA: &str = "Areaname";
pub(super) const NOTES: &str = "Notesecret";
pub(super) const DOOR: &str = "41.123456";
pub(super) const PIN: &str = "PINSECRET";
pub(super) const META: &str = "METASECRET";
pub(super) const EXTERNAL_ID: &str = "EXTSECRET";
pub(super) const ITEM: &str = "ITEMNAME";
pub(super) const DRIVER_LAST_NAME: &str = "Longsurname";
pub(super) const DRIVER_PHONE: &str = "0001\"";
pub(super) const DRIVER_PHONE_UNMASKED: &str = "90001\"";
pub(super) const PLATE: &str = "PLATE-7";
pub(super) const REASON_NOTE: &str = "REASONNOTE";
pub(super) const WHY: &str = "WHYSECRET";
pub(super) const PROOF: &str = "PROOFREF";
/// The bytes of a picture, which nobody is told.
pub(super) const PICTURE: &str = "PICTUREBYTES";
pub(super) const DEVICE: &str = "11.654321";
pub(super) const REMARK: &str = "REMARKSECRET";
/// How many stops come before; no other number in what is planted is like it.
pub(super) const STOPS: i32 = 73_001;
/// A reason that is nobody's business outside.
pub(super) const INTERNAL: &str = "fraud";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) struct World {
    pub(super) store: Store,
    pub(super) driver: Driver,
    pub(super) prior: DriverId,
    pub(super) tenant: TenantId,
}

impl World {
    pub(super) fn new() -> Self {
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
    pub(super) fn sheet(&self, fulfilment: Fulfilment, status: Status, leg: Leg) -> Sheet {
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
            proof_required: ProofRequired {
                photo: true,
                pin: true,
                scan: true,
                pickup: [ProofKind::Scan].into_iter().collect(),
                ..ProofRequired::default()
            },
            pin: Some(PIN.to_owned()),
            meta: json!({"basket": META}),
        };
        let rules = TenantRules {
            accept_window: std::time::Duration::from_mins(8),
            customer_cancel_until: Status::Placed,
            robo: false,
            offers: OfferRules {
                mode: None,
                offer_s: 30,
                rounds: 8,
                lead: std::time::Duration::from_mins(10),
            },
        };
        let facts = Facts {
            now,
            rules,
            store: &self.store,
            driver: None,
            courier: None,
            stops_before: None,
            offers: &[],
            candidates: None,
            unseen: false,
            occurred_at: None,
            if_match: None,
        };
        let platform = Actor { role: Role::Platform, id: "back end".to_owned() };
        let order = place(draft, &platform, &facts).unwrap().order;
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
            eta_source: Some(EtaSource::Computed),
            route: Route { batch: Some(BatchId::new()), seq: Some(3), before: STOPS },
            told: Notice::ALL.to_vec(),
            search: Search { round: 2, until: Some(now), ..Search::default() },
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

    pub(super) fn event(&self, fact: &Fact, sheet: &Sheet, by: Role) -> LogEvent {
        let alone = matches!(
            fact,
            Fact::DriverDuty { .. }
                | Fact::StorePaused { .. }
                | Fact::StoreSilent
                | Fact::StoreDeleted
                | Fact::DriverDeleted
                | Fact::TokenRevoked { .. }
        );
        let mut data = fact_data(fact, (!alone).then_some(sheet));
        data["place"] = json!({"lat": 11.654_321, "lng": 12.5});
        let about_offer = matches!(fact, Fact::OfferSent(_) | Fact::OfferClosed(_));
        let lost = matches!(fact, Fact::CourierChanged { .. } | Fact::CourierUnassigned { .. });
        LogEvent {
            position: 90_213,
            id: EventId::new(),
            tenant: self.tenant,
            store: Some(self.store.id),
            order: (!alone).then_some(sheet.order.id),
            driver: if about_offer { Some(self.driver.id) } else { sheet.order.driver },
            prior_driver: lost.then_some(self.prior),
            n: (!alone && !about_offer).then_some(9),
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
pub(super) fn facts(by: Role) -> Vec<Fact> {
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
        Fact::Erased,
        Fact::CourierSearching { round: 1 },
        Fact::CourierSearchFailed,
        Fact::CourierAssigned { pickup_eta: some },
        Fact::CourierChanged { pickup_eta: some },
        Fact::CourierUnassigned { reason: reason() },
        Fact::CourierAtStore,
        Fact::CourierAtDoor,
        Fact::CourierNear { door: false },
        Fact::CourierNear { door: true },
        Fact::Eta,
        Fact::Late { kind: Notice::Accept, since: eta },
        Fact::Late { kind: Notice::Prep, since: eta },
        Fact::Late { kind: Notice::Pickup, since: eta },
        Fact::Late { kind: Notice::Delivery, since: eta },
        Fact::Noted { note: REMARK.to_owned() },
        Fact::OfferSent(Box::new(offer(OfferState::Pending))),
        Fact::OfferClosed(Box::new(offer(OfferState::Lost))),
        Fact::DriverDuty { duty: Duty::On },
        Fact::StorePaused { until: some },
        Fact::StoreSilent,
        Fact::StoreDeleted,
        Fact::DriverDeleted,
        Fact::TokenRevoked { token: CredentialId::new() },
    ];
    let all: Vec<Fact> = all.into_iter().chain(added()).collect();
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
            | Fact::Erased
            | Fact::CourierSearching { .. }
            | Fact::CourierSearchFailed
            | Fact::CourierAssigned { .. }
            | Fact::CourierChanged { .. }
            | Fact::CourierUnassigned { .. }
            | Fact::CourierAtStore
            | Fact::CourierAtDoor
            | Fact::CourierNear { .. }
            | Fact::Eta
            | Fact::Late { .. }
            | Fact::Noted { .. }
            | Fact::ProofAdded(_)
            | Fact::OfferSent(_)
            | Fact::OfferClosed(_)
            | Fact::DriverDuty { .. }
            | Fact::StorePaused { .. }
            | Fact::StoreSilent
            | Fact::StoreDeleted
            | Fact::DriverDeleted
            | Fact::TokenRevoked { .. } => {}
        }
    }
    all
}

/// Proofs of each hand-over and kind, kept here and elsewhere.
fn added() -> impl Iterator<Item = Fact> {
    let contents = |kind: ProofKind| match kind {
        ProofKind::Scan | ProofKind::Pin => vec![ProofContent::Text(PROOF.to_owned())],
        ProofKind::Photo | ProofKind::Signature => vec![
            ProofContent::Url(format!("https://example.org/{PROOF}")),
            ProofContent::Inline(PictureType::Png, Picture(Arc::from(PICTURE.as_bytes()))),
        ],
    };
    ProofPoint::ALL.iter().flat_map(move |point| {
        ProofKind::ALL.iter().filter(|kind| **kind != ProofKind::Pin).flat_map(move |kind| {
            contents(*kind).into_iter().map(|content| {
                let (point, kind) = (*point, *kind);
                let hash = PICTURE.as_bytes().to_vec();
                let id = ProofId::new();
                Fact::ProofAdded(Box::new(NewProof { id, point, kind, content, hash }))
            })
        })
    })
}

/// An offer of the order to somebody.
fn offer(state: OfferState) -> Offer {
    let sent_at = at("2025-01-02T18:04:00Z");
    Offer {
        id: OfferId::new(),
        order: OrderId::new(),
        driver: DriverId::new(),
        since: sent_at,
        round: 2,
        state,
        sent_at,
        expires_at: at("2025-01-02T18:04:30Z"),
        closed_at: None,
        distance_m: Some(1_400),
    }
}

/// Where an order of each fulfilment can stand.
pub(super) fn standings() -> Vec<(Fulfilment, Status, Leg)> {
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

pub(super) const PLANTED: &[&str] = &[
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
    REMARK,
    WHY,
    PROOF,
    DEVICE,
    INTERNAL,
];
