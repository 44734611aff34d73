//! Random sequences: whatever is asked in whatever order, the invariants hold.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{
    PIN, Scene, Step, actor, courier, courier_id, draft, id, merged, proofs, start_of_test,
    try_place, why, window_in,
};
use crate::domain::machine::Judgement;
use crate::domain::{
    Action, Actor, Candidate, Command, Draft, Driver, DriverId, Duty, Event, Fact, Fulfilment,
    Given, Leg, Notice, Offer, OfferId, OfferState, Order, Patch, Promise, Proof, ProofKind,
    ProofPoint, ProofRequired, ReasonCode, Refusal, Role, Stamps, Status, Undeliverable, Word,
};

/// Every change of status there is.
const EDGES: &[(&str, &str)] = &[
    ("scheduled", "placed accepted cancelled"),
    ("placed", "accepted rejected cancelled"),
    ("accepted", "preparing ready cancelled"),
    ("preparing", "ready cancelled"),
    ("ready", "preparing picked_up delivered cancelled"),
    ("picked_up", "delivered returning failed"),
    ("returning", "returned picked_up failed"),
];

fn is_edge(from: Status, to: Status) -> bool {
    let to_words = EDGES.iter().find(|(known, _)| *known == from.word()).map(|(_, to)| *to);
    to_words.unwrap_or_default().split(' ').any(|word| word == to.word())
}

/// One thing that someone asks, drawn at random.
#[derive(Debug, Clone, Copy)]
struct Ask {
    role: Role,
    /// Whether to choose among what is allowed, so that orders get somewhere.
    lawful: bool,
    choice: prop::sample::Index,
    body: u8,
    after: i64,
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let ask = (
        prop::sample::select(Role::ALL),
        prop::bool::weighted(0.7),
        any::<prop::sample::Index>(),
        any::<u8>(),
        0..4_i64,
    )
        .prop_map(|(role, lawful, choice, body, after)| Ask {
            role,
            lawful,
            choice,
            body,
            after,
        });
    prop::collection::vec(ask, 1..100)
}

fn drafts() -> impl Strategy<Value = Draft> {
    let proofs = (any::<bool>(), prop::bool::weighted(0.3))
        .prop_map(|(pin, photo)| ProofRequired { photo, pin, ..ProofRequired::default() });
    (
        prop::sample::select(Fulfilment::ALL),
        prop::sample::select(Undeliverable::ALL),
        proofs,
        prop::option::of(1..200_i64),
    )
        .prop_map(|(fulfilment, undeliverable, proof_required, window)| Draft {
            undeliverable,
            proof_required,
            window: window.map(window_in),
            ..draft(fulfilment)
        })
}

fn reason(body: u8) -> Given {
    let fitting =
        [ReasonCode::TooBusy, ReasonCode::CustomerRequest, ReasonCode::Refused, ReasonCode::Other];
    match body % 8 {
        0 => why(ReasonCode::NoResponse),
        1 => why(ReasonCode::NoAnswer),
        2 => why(ReasonCode::Lost),
        3 => why(ReasonCode::Vehicle),
        4 => (ReasonCode::Other, Some("just so".to_owned())),
        other => why(fitting[usize::from(other) % fitting.len()]),
    }
}

fn command(action: Action, body: u8) -> Command {
    let pin = match body % 4 {
        0 => None,
        1 => Some("0000".to_owned()),
        _ => Some(PIN.to_owned()),
    };
    let photo = Proof { kind: ProofKind::Photo, reference: "photo".to_owned() };
    let proofs = if body.is_multiple_of(3) { vec![] } else { vec![photo] };
    let reason = reason(body);
    match action {
        Action::Release => Command::Release,
        Action::Accept => Command::Accept {
            prep_min: [None, Some(0), Some(45), Some(999)][usize::from(body % 4)],
        },
        Action::Reject => Command::Reject { reason },
        Action::Start => Command::Start,
        Action::Ready => Command::Ready,
        Action::Unready => Command::Unready,
        Action::Prep => Command::Prep { prep_min: i32::from(body) - 5, why: None },
        Action::Pickup => Command::Pickup { proofs },
        Action::Deliver => Command::Deliver { pin, proofs },
        Action::Collect => Command::Collect { pin, proofs },
        Action::Cancel => Command::Cancel { reason },
        Action::Fail => Command::Fail { reason },
        Action::Return => Command::Return { reason },
        Action::Returned => Command::Returned { proofs },
        Action::Redeliver => Command::Redeliver,
        Action::Update => Command::Update(Box::new(Patch {
            note: Some((body.is_multiple_of(2)).then(|| format!("note {body}"))),
            window: (body.is_multiple_of(5)).then(|| window_in(i64::from(body))),
            dropoff: draft(Fulfilment::Delivery).dropoff.filter(|_| body.is_multiple_of(7)),
            meta: None,
        })),
        Action::Search => Command::Search(crate::domain::Ask {
            candidates: candidates(body),
            offer_s: Some(120),
            ..Default::default()
        }),
        Action::SearchFailed => Command::SearchFailed,
        Action::Assign => Command::Assign { driver: courier_id(u128::from(body % 3)) },
        Action::Unassign => Command::Unassign { reason },
        Action::Drop => Command::Drop { reason },
        Action::AtStore => Command::AtStore,
        Action::AtDoor => Command::AtDoor,
        Action::NextRound => Command::NextRound,
        Action::AcceptOffer => Command::AcceptOffer { offer: offer(body) },
        Action::DeclineOffer => Command::DeclineOffer { offer: offer(body) },
        Action::Route => Command::Route { batch: id(600), seq: 1, before: i32::from(body % 3) },
        Action::Eta => Command::Eta(Promise {
            dropoff: Some(start_of_test() + SignedDuration::from_mins(i64::from(body))),
            ..Promise::default()
        }),
        Action::Watch => Command::Watch,
        Action::Late => Command::Late(Notice::ALL[usize::from(body) % 4]),
        Action::Note => Command::Note { text: format!("note {body}") },
        Action::Erase => Command::Erase,
        Action::AddProof => proofs::upload(
            ProofPoint::ALL[usize::from(body) % 3],
            [ProofKind::Photo, ProofKind::Signature, ProofKind::Scan][usize::from(body / 3) % 3],
            &format!("{}", body % 16),
        ),
    }
}

fn offer(body: u8) -> OfferId {
    id(700 + u128::from(body % 4))
}

/// Couriers who could be asked, one of them the courier of these tests.
fn candidates(body: u8) -> Vec<Candidate> {
    let some = |nth: u128| Candidate {
        offer: id(700 + (u128::from(body) + nth) % 4),
        driver: courier_id((u128::from(body) + nth) % 3),
        distance_m: None,
    };
    (0..u128::from(body % 3)).map(some).collect()
}

/// What events alone say about an order.
#[derive(Debug, PartialEq)]
struct Folded {
    version: i64,
    status: Status,
    driver: Option<DriverId>,
    stamps: Stamps,
}

impl Folded {
    fn of(order: &Order) -> Self {
        let Order { version, status, driver, stamps, .. } = *order;
        Self { version, status, driver, stamps }
    }

    fn fold(mut self, event: &Event, leg: Leg, now: Timestamp) -> Self {
        self.version += 1;
        assert_eq!((event.n, event.was), (self.version, self.status));
        if event.was != event.status {
            assert!(is_edge(event.was, event.status), "{} to {}", event.was, event.status);
            stamp(&mut self.stamps, event.status, now);
        }
        match &event.fact {
            Fact::CourierAssigned { .. } | Fact::CourierChanged { .. } => {
                self.stamps.assigned = Some(now);
                if leg == Leg::Assigned {
                    self.stamps.at_store = None;
                }
            }
            Fact::CourierUnassigned { .. } => {
                (self.stamps.assigned, self.stamps.at_store) = (None, None);
            }
            Fact::CourierAtStore => self.stamps.at_store = Some(now),
            Fact::CourierAtDoor => self.stamps.at_door = Some(now),
            Fact::Unready { .. } => self.stamps.ready = None,
            Fact::Placed
            | Fact::Scheduled { .. }
            | Fact::Accepted { .. }
            | Fact::Rejected { .. }
            | Fact::Cancelled { .. }
            | Fact::Preparing { .. }
            | Fact::Ready { .. }
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
            | Fact::CourierNear { .. }
            | Fact::Eta
            | Fact::Late { .. }
            | Fact::Noted { .. }
            | Fact::ProofAdded(_)
            | Fact::OfferSent(_)
            | Fact::OfferClosed(_)
            | Fact::DriverDuty { .. }
            | Fact::StoreSilent
            | Fact::StorePaused { .. }
            | Fact::StoreDeleted
            | Fact::DriverDeleted
            | Fact::TokenRevoked { .. } => {}
        }
        assert_eq!(
            event.prior_driver,
            self.driver.filter(|driver| event.driver != Some(*driver)),
            "who lost the order is told"
        );
        (self.status, self.driver) = (event.status, event.driver);
        self
    }
}

fn stamp(stamps: &mut Stamps, status: Status, now: Timestamp) {
    let now = Some(now);
    match status {
        Status::Scheduled => {}
        Status::Placed => stamps.placed = now,
        Status::Accepted => stamps.accepted = now,
        Status::Preparing => stamps.preparing = now,
        Status::Ready => stamps.ready = now,
        Status::PickedUp => stamps.picked_up = now,
        Status::Delivered => stamps.delivered = now,
        Status::Rejected => stamps.rejected = now,
        Status::Cancelled => stamps.cancelled = now,
        Status::Failed => stamps.failed = now,
        Status::Returning => stamps.returning = now,
        Status::Returned => stamps.returned = now,
    }
}

/// Invariant 3, and what it leaves to the end of an order.
fn check_leg(order: &Order) {
    let (status, leg) = (order.status, order.leg);
    let is_delivery = order.fulfilment == Fulfilment::Delivery;
    assert_eq!(leg == Leg::Closed, status.is_terminal());
    if leg != Leg::Closed {
        assert_eq!(order.driver.is_some(), leg.has_driver());
    }
    if matches!(status, Status::PickedUp | Status::Returning) && is_delivery {
        assert!(matches!(leg, Leg::EnRoute | Leg::AtDoor));
    } else {
        assert!(!matches!(leg, Leg::EnRoute | Leg::AtDoor));
    }
    if !is_delivery {
        assert!(matches!(leg, Leg::None | Leg::Closed));
        assert_eq!(order.driver, None);
    }
}

fn check_accepted(before: &Order, after: &Order, events: &[Event], by: &Actor, now: Timestamp) {
    let is_erased = matches!(events, [event] if event.fact == Fact::Erased);
    let remarks =
        events.iter().all(|event| matches!(event.fact, Fact::Noted { .. } | Fact::ProofAdded(_)));
    let is_over = before.status.is_terminal();
    assert!(is_over || !is_erased, "only an order that is over is erased");
    assert!(!is_over || remarks || is_erased, "an order that is over is erased at most");
    assert_eq!(after.erased_at.is_some(), is_erased || before.erased_at.is_some());
    let folded =
        events.iter().fold(Folded::of(before), |folded, event| folded.fold(event, after.leg, now));
    assert_eq!(folded, Folded::of(after));
    if is_erased {
        let who = (before.status_by.role != Role::Customer).then_some(&before.status_by.id);
        assert_eq!(after.status_by.id, who.cloned().unwrap_or_default());
        let words = (&after.dropoff, &after.note, &after.meta);
        assert_eq!(words, (&None, &None, &serde_json::json!({})));
        assert!(after.reason.as_ref().is_none_or(|reason| reason.note.is_none()));
    } else if before.status == after.status {
        assert_eq!(before.status_by, after.status_by);
    } else {
        assert_eq!(after.status_by, *by);
    }
    let asked = events.iter().filter(|event| event.by == *by).count();
    let caused = events.iter().filter(|event| event.by == Actor::system()).count();
    assert!(
        events.is_empty()
            || asked >= 1 && (by.role == Role::System || asked + caused == events.len())
    );
    assert_eq!(after.pin_tries, before.pin_tries, "tries are the caller's to count");
    check_leg(after);
}

/// Invariant 5, and that nobody is asked for an order that is not searched for.
fn check_offers(scene: &Scene) {
    let of = |state: OfferState| scene.offers.iter().filter(move |offer| offer.state == state);
    assert!(scene.order.leg == Leg::Offering || of(OfferState::Pending).count() == 0);
    for offer in of(OfferState::Pending) {
        let same = |other: &&Offer| other.driver == offer.driver;
        assert_eq!(of(OfferState::Pending).filter(same).count(), 1);
    }
    for offer in of(OfferState::Accepted) {
        let same = |other: &&Offer| other.since == offer.since;
        assert_eq!(of(OfferState::Accepted).filter(same).count(), 1, "one courier a search");
    }
}

/// Puts one ask to the scene's order and goes on with what comes of it.
fn step(scene: &mut Scene, ask: Ask) -> Option<Action> {
    scene.wait(ask.after);
    // Couriers who are asked mostly answer.
    let asked = scene.order.leg == Leg::Offering && !ask.body.is_multiple_of(3);
    let by = actor(if asked { Role::Driver } else { ask.role });
    let allowed = scene.order.allowed(&by);
    // Orders that are called off early show little, so most asks leave that alone.
    let brief = [Action::Cancel, Action::Reject];
    let going_on = |action: &Action| ask.body < 32 || !brief.contains(action);
    let mut lawful: Vec<_> = allowed.iter().copied().filter(going_on).collect();
    let mine = |it: &&Offer| it.state == OfferState::Pending && it.driver.to_string() == by.id;
    let mine = scene.offers.iter().find(mine).filter(|_| by.role == Role::Driver);
    let mine = mine.map(|offer| offer.id);
    if mine.is_some() {
        lawful.extend([Action::AcceptOffer, Action::DeclineOffer]);
    }
    let is_lawful = ask.lawful && !lawful.is_empty();
    let action = *ask.choice.get(if is_lawful { lawful.as_slice() } else { Action::ALL });
    let command = match (action, mine) {
        (Action::AcceptOffer, Some(offer)) => Command::AcceptOffer { offer },
        (Action::DeclineOffer, Some(offer)) => Command::DeclineOffer { offer },
        _ => command(action, ask.body),
    };
    let named = if action == Action::AcceptOffer { 1 } else { u128::from(ask.body % 3) };
    scene.driver = Some((courier(named), i64::from(ask.body % 5 == 4) * 2));
    scene.courier = scene.order.driver.map(|driver| Driver {
        duty: if ask.body.is_multiple_of(2) { Duty::On } else { Duty::Off },
        ..courier((0..3).find(|number| courier_id(*number) == driver).unwrap())
    });
    scene.candidates = Some(candidates(ask.body));
    scene.stops_before = Some(i32::from(ask.body % 2));
    let places = [scene.store.place, draft(Fulfilment::Delivery).dropoff.unwrap().place];
    scene.seen = Some((places[usize::from(ask.body) % 2], scene.now));
    let before = scene.order.clone();
    let judgement = scene.judge_by(&by, &command);
    assert_eq!(scene.order, before);
    match judgement {
        Judgement::Accepted(step) => {
            let Step { order, events, offers } = *step;
            let elsewhere = [Action::AcceptOffer, Action::DeclineOffer].contains(&action);
            assert!(elsewhere || allowed.contains(&action), "{by:?} {command:?} was not allowed");
            check_accepted(&before, &order, &events, &by, scene.now);
            let quiet = [Action::Route, Action::DeclineOffer].contains(&action);
            assert!(quiet || !events.is_empty());
            scene.offers = merged(&scene.offers, &offers);
            scene.order = order;
            check_offers(scene);
            let again = scene.judge_by(&by, &command);
            let repeatable = [Action::Note, Action::NextRound, Action::Watch].contains(&action);
            let accepted = matches!(again, Judgement::Accepted(_));
            assert!(repeatable || !accepted, "twice: {by:?} {command:?}");
            Some(action)
        }
        Judgement::Repeated => None,
        Judgement::Refused(refusal) => {
            let never = [
                Refusal::VersionMismatch,
                Refusal::ExternalIdConflict,
                Refusal::IdempotencyKeyReused,
            ];
            assert!(!never.contains(&refusal), "{refusal:?}");
            let may = allowed.contains(&action);
            assert!(!(may && refusal == Refusal::AlreadyPickedUp && action == Action::Cancel));
            None
        }
    }
}

/// A scene for a draft, in which as much as possible is allowed.
fn scene_of(wanted: Draft, auto_accept: bool) -> Scene {
    let mut scene = Scene::of(wanted);
    scene.store.auto_accept = auto_accept;
    scene.rules.customer_cancel_until = Status::Preparing;
    scene
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_the_invariants_hold(
        wanted in drafts(),
        asks in asks(),
        auto_accept in any::<bool>(),
    ) {
        let (order, events) = try_place(wanted.clone(), Role::Platform, &super::store()).unwrap();
        prop_assert_eq!((order.version, events.len(), events[0].n), (1, 1, 1));
        check_leg(&order);
        let mut scene = scene_of(wanted, auto_accept);
        for ask in asks {
            step(&mut scene, ask);
        }
    }
}

/// Guards the property above against telling nothing because its orders get nowhere.
#[test]
fn random_asks_reach_every_status_and_every_action() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut statuses = std::collections::HashSet::new();
    let mut actions = std::collections::HashSet::new();
    for _ in 0..600 {
        let (wanted, asks, auto_accept) =
            (drafts(), asks(), any::<bool>()).new_tree(&mut runner).unwrap().current();
        let mut scene = scene_of(wanted, auto_accept);
        for ask in asks {
            actions.extend(step(&mut scene, ask));
            statuses.insert(scene.order.status);
        }
    }
    assert_eq!(Status::ALL.iter().find(|status| !statuses.contains(status)), None);
    assert_eq!(Action::ALL.iter().find(|action| !actions.contains(action)), None);
}
