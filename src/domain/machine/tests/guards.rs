//! The guards: what is checked in which order, and what a body must bring.

use jiff::SignedDuration;

use super::{PIN, Scene, actor, courier, courier_id, draft, try_place, why, window_in};
use crate::domain::machine::PIN_TRIES;
use crate::domain::{
    Actor, Command, Duty, Fact, Fulfilment, Item, Patch, Place, Proof, ProofKind, ProofRequired,
    ReasonCode, Refusal, Role, Status, Store,
};

use Fulfilment::{Collection, Delivery, StoreDelivery};

fn proof(kind: ProofKind) -> Proof {
    Proof { kind, reference: "https://example.org/1".to_owned() }
}

fn deliver(pin: Option<&str>, kinds: &[ProofKind]) -> Command {
    let proofs = kinds.iter().copied().map(proof).collect();
    Command::Deliver { pin: pin.map(str::to_owned), proofs }
}

fn collect(pin: Option<&str>) -> Command {
    Command::Collect { pin: pin.map(str::to_owned), proofs: vec![] }
}

#[track_caller]
fn is_invalid(refusal: &Refusal, expected: &str) {
    let Refusal::Validation { field, detail } = refusal else { panic!("{refusal:?}") };
    assert_eq!(*field, expected, "{detail}");
}

#[test]
fn a_repeat_is_known_before_the_version_and_the_version_before_the_transition() {
    let mut scene = Scene::at(Status::Ready, Delivery);
    scene.if_match = Some(1);
    scene.repeated(Role::Store, Command::Ready);
    assert_eq!(scene.refused(Role::Ops, Command::Ready), Refusal::VersionMismatch);
    assert_eq!(scene.refused(Role::Customer, Command::Ready), Refusal::RoleNotAllowed);
    let stranger = Actor { role: Role::Driver, id: courier_id(7).to_string() };
    assert_eq!(scene.refused_to(&stranger, Command::Ready), Refusal::NotFound);
    scene.if_match = Some(scene.order.version);
    assert_eq!(scene.refused(Role::Ops, Command::Ready), Refusal::InvalidTransition);
}

#[test]
fn a_repeat_is_the_same_actors_and_another_one_conflicts() {
    let scene = Scene::at(Status::Ready, Delivery);
    scene.repeated(Role::Store, Command::Ready);
    assert_eq!(scene.refused(Role::Platform, Command::Ready), Refusal::InvalidTransition);
    let mut ended = Scene::at(Status::PickedUp, Delivery);
    ended.accepted(Role::Driver, deliver(None, &[]));
    ended.repeated(Role::Driver, deliver(None, &[]));
    assert_eq!(ended.refused(Role::Ops, deliver(None, &[])), Refusal::InvalidTransition);
}

#[test]
fn the_other_way_to_the_same_status_is_no_repeat() {
    let mut gone = Scene::assigned(Status::Ready);
    gone.accepted(Role::Ops, Command::Pickup { proofs: vec![] });
    gone.repeated(Role::Ops, Command::Pickup { proofs: vec![] });
    assert_eq!(gone.refused(Role::Ops, Command::Redeliver), Refusal::InvalidTransition);
    gone.accepted(Role::Ops, deliver(None, &[]));
    assert_eq!(gone.refused(Role::Ops, collect(None)), Refusal::InvalidTransition);
    let mut fetched = Scene::at(Status::Ready, Collection);
    fetched.accepted(Role::Store, collect(None));
    fetched.repeated(Role::Store, collect(None));
    assert_eq!(fetched.refused(Role::Store, deliver(None, &[])), Refusal::InvalidTransition);
}

#[test]
fn accepting_again_is_a_repeat_also_when_preparing_began_at_once() {
    let mut scene = Scene::of(draft(Delivery));
    let accept = || Command::Accept { prep_min: None };
    scene.accepted(Role::Store, accept());
    assert_eq!(scene.order.status, Status::Preparing);
    scene.repeated(Role::Store, accept());
    assert_eq!(scene.refused(Role::Ops, accept()), Refusal::InvalidTransition);
    let mut wanted = draft(Delivery);
    wanted.window = Some(window_in(180));
    let mut scene = Scene::of(wanted);
    scene.accepted(Role::Store, accept());
    scene.repeated(Role::Store, accept());
    scene.wait(1);
    scene.accepted(Role::Store, Command::Start);
    assert_eq!(scene.refused(Role::Store, accept()), Refusal::InvalidTransition);
}

#[test]
fn of_two_couriers_one_gets_the_order_and_naming_the_same_again_is_a_repeat() {
    let mut scene = Scene::assigned(Status::Ready);
    scene.repeated(Role::Ops, Command::Assign { driver: courier_id(1) });
    scene.repeated(Role::Platform, Command::Assign { driver: courier_id(1) });
    scene.accepted(Role::Driver, Command::Drop { reason: why(ReasonCode::Personal) });
    let again = Command::Drop { reason: why(ReasonCode::Personal) };
    assert_eq!(scene.refused(Role::Driver, again), Refusal::NotFound);
    let unassign = Command::Unassign { reason: why(ReasonCode::Personal) };
    assert_eq!(scene.refused(Role::Ops, unassign), Refusal::InvalidTransition);
}

#[test]
fn a_courier_must_exist_be_on_duty_and_have_room() {
    let mut scene = Scene::at(Status::Ready, Delivery);
    let assign = || Command::Assign { driver: courier_id(1) };
    scene.driver = None;
    assert_eq!(scene.refused(Role::Ops, assign()), Refusal::NotFound);
    scene.driver = Some((courier(2), 0));
    assert_eq!(scene.refused(Role::Ops, assign()), Refusal::NotFound);
    for duty in [Duty::Off, Duty::Paused] {
        let mut tired = courier(1);
        tired.duty = duty;
        scene.driver = Some((tired, 0));
        assert_eq!(scene.refused(Role::Ops, assign()), Refusal::DriverOffDuty);
    }
    scene.driver = Some((courier(1), 2));
    assert_eq!(scene.refused(Role::Ops, assign()), Refusal::DriverAtCapacity);
    scene.driver = Some((courier(1), 1));
    scene.accepted(Role::Ops, assign());
}

#[test]
fn a_devices_time_is_kept_between_the_placing_and_two_minutes_from_now() {
    let placed = Scene::at(Status::Placed, Delivery).now;
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    scene.wait(30);
    let latest = scene.now + SignedDuration::from_mins(2);
    for (said, kept) in [
        (None, scene.now),
        (Some(scene.now - SignedDuration::from_mins(9)), scene.now - SignedDuration::from_mins(9)),
        (Some(placed - SignedDuration::from_mins(1)), placed),
        (Some(latest + SignedDuration::from_secs(1)), latest),
    ] {
        let mut scene = scene.clone();
        scene.occurred_at = said;
        let events = scene.accepted(Role::Driver, deliver(None, &[]));
        assert_eq!(events[0].occurred_at, kept);
        assert_eq!(scene.order.stamps.delivered, Some(scene.now), "stamps are the database's");
    }
}

/// Picked up, with everything required.
fn guarded() -> Scene {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    scene.order.proof_required =
        ProofRequired { photo: true, signature: true, pin: true, ..ProofRequired::default() };
    scene
}

#[test]
fn a_delivery_needs_the_proofs_it_requires_and_a_missing_one_costs_no_try() {
    use ProofKind::{Photo, Pin, Signature};
    let mut scene = guarded();
    let required = |kinds: &[ProofKind]| Refusal::ProofRequired(kinds.to_vec());
    let by = Role::Driver;
    assert_eq!(scene.refused(by, deliver(None, &[])), required(&[Photo, Signature, Pin]));
    assert_eq!(scene.refused(by, deliver(Some("0"), &[Photo])), required(&[Signature]));
    assert_eq!(scene.refused(by, deliver(None, &[Photo, Signature])), required(&[Pin]));
    let events = scene.accepted(by, deliver(Some(PIN), &[Signature, Photo]));
    let checked = Proof { kind: Pin, reference: String::new() };
    let proofs = vec![proof(Signature), proof(Photo), checked];
    assert_eq!(events[0].fact, Fact::Delivered { proofs });
}

#[test]
fn a_pin_is_compared_five_times_and_then_only_ops_goes_on() {
    let mut scene = guarded();
    scene.order.proof_required = ProofRequired { pin: true, ..ProofRequired::default() };
    for tries in 0..PIN_TRIES {
        scene.order.pin_tries = tries;
        let refusal = scene.refused(Role::Driver, deliver(Some("0000"), &[]));
        assert_eq!(refusal, Refusal::PinWrong { tries_left: PIN_TRIES - 1 - tries });
    }
    scene.order.pin_tries = PIN_TRIES;
    assert_eq!(scene.refused(Role::Driver, deliver(Some(PIN), &[])), Refusal::PinLocked);
    let events = scene.accepted(Role::Ops, deliver(None, &[]));
    assert_eq!(events[0].fact, Fact::Delivered { proofs: vec![] });
}

#[test]
fn a_pin_that_nobody_requires_is_not_compared_and_one_among_the_proofs_is_refused() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    is_invalid(&scene.refused(Role::Driver, deliver(None, &[ProofKind::Pin])), "proofs");
    let events = scene.accepted(Role::Driver, deliver(Some("0000"), &[]));
    assert_eq!(events[0].fact, Fact::Delivered { proofs: vec![] });
}

#[test]
fn a_customer_collects_with_the_code_a_store_may_check_it_and_ops_is_free() {
    let mut scene = Scene::at(Status::Ready, Collection);
    let missing = Refusal::ProofRequired(vec![ProofKind::Pin]);
    let wrong = Refusal::PinWrong { tries_left: 4 };
    assert_eq!(scene.refused(Role::Customer, collect(None)), missing);
    assert_eq!(scene.refused(Role::Customer, collect(Some("0000"))), wrong);
    assert_eq!(scene.refused(Role::Store, collect(Some("0000"))), wrong);
    scene.clone().accepted(Role::Store, collect(None));
    scene.clone().accepted(Role::Ops, collect(Some("0000")));
    let mut locked = scene.clone();
    locked.order.pin_tries = PIN_TRIES;
    for by in [Role::Customer, Role::Store] {
        assert_eq!(locked.refused(by, collect(Some(PIN))), Refusal::PinLocked);
    }
    let events = scene.accepted(Role::Customer, collect(Some(PIN)));
    let proofs = vec![Proof { kind: ProofKind::Pin, reference: String::new() }];
    assert_eq!(events[0].fact, Fact::Delivered { proofs });
}

/// Which codes pass, by asking for each of them.
fn passing(scene: &Scene, by: Role, command: impl Fn(ReasonCode) -> Command) -> String {
    use crate::domain::Word;
    let passes = |code: &&ReasonCode| {
        let judgement = scene.judge_by(&actor(by), &command(**code));
        matches!(judgement, crate::domain::Judgement::Accepted(_))
    };
    let words: Vec<_> = ReasonCode::ALL.iter().filter(passes).map(|code| code.word()).collect();
    words.join(" ")
}

fn noted(code: ReasonCode) -> (ReasonCode, Option<String>) {
    (code, Some("in other words".to_owned()))
}

#[test]
fn each_list_of_reasons_is_closed() {
    const STORE: &str = "too_busy closed item_unavailable closing_early cannot_meet_note other";
    const CANCEL: &str = "customer_request duplicate payment no_courier courier_incident \
        store_problem fraud other";
    const FAIL: &str = "no_answer wrong_address refused damaged lost unsafe age_check \
        failed_to_return other";
    let cancel = |code| Command::Cancel { reason: noted(code) };
    let reject = |code| Command::Reject { reason: noted(code) };
    let mut late = Scene::at(Status::Placed, Delivery);
    late.wait(9);
    assert_eq!(passing(&late, Role::Store, reject), STORE);
    assert_eq!(passing(&late, Role::Ops, reject), STORE);
    assert_eq!(passing(&late, Role::System, reject), "no_response");
    let ready = Scene::assigned(Status::Ready);
    assert_eq!(passing(&ready, Role::Store, cancel), STORE);
    assert_eq!(passing(&ready, Role::Ops, cancel), CANCEL);
    assert_eq!(passing(&ready, Role::Platform, cancel), CANCEL);
    let drop = |code| Command::Drop { reason: noted(code) };
    assert_eq!(passing(&ready, Role::Driver, drop), "vehicle too_far long_wait personal other");
    let unassign = |code| Command::Unassign { reason: noted(code) };
    let either = "customer_request duplicate payment no_courier courier_incident store_problem \
        fraud vehicle too_far long_wait personal other";
    assert_eq!(passing(&ready, Role::Ops, unassign), either);
    assert_eq!(passing(&ready, Role::System, unassign), format!("no_response {either}"));
    let returning = Scene::at(Status::Returning, Delivery);
    let fail = |code| Command::Fail { reason: noted(code) };
    assert_eq!(passing(&returning, Role::Ops, fail), FAIL);
    let mut at_door = Scene::at(Status::PickedUp, Delivery);
    at_door.accepted(Role::Driver, Command::AtDoor);
    at_door.wait(5);
    let turn_back = |code| Command::Return { reason: noted(code) };
    assert_eq!(passing(&at_door, Role::Driver, turn_back), FAIL);
}

#[test]
fn other_needs_a_note_and_no_note_is_endless() {
    let scene = Scene::at(Status::Ready, Delivery);
    for note in [None, Some("  ".to_owned()), Some("x".repeat(1_001))] {
        let command = Command::Cancel { reason: (ReasonCode::Other, note) };
        is_invalid(&scene.refused(Role::Ops, command), "reason");
    }
}

#[test]
fn preparing_takes_no_less_than_nothing_and_no_more_than_four_hours() {
    let placed = Scene::at(Status::Placed, Delivery);
    let mut scene = placed.clone();
    scene.accepted(Role::Store, Command::Accept { prep_min: None });
    for prep_min in [-1, 241] {
        let accept = Command::Accept { prep_min: Some(prep_min) };
        is_invalid(&placed.refused(Role::Store, accept), "prep_min");
        let prep = Command::Prep { prep_min, why: None };
        is_invalid(&scene.refused(Role::Store, prep), "prep_min");
    }
    for prep_min in [0, 240] {
        placed.clone().accepted(Role::Store, Command::Accept { prep_min: Some(prep_min) });
        scene.accepted(Role::Store, Command::Prep { prep_min, why: None });
    }
}

#[test]
fn only_a_platform_places_and_only_at_its_own_store() {
    for role in [Role::Customer, Role::Store, Role::Driver, Role::Ops, Role::System] {
        let refusal = try_place(draft(Delivery), role, &super::store()).unwrap_err();
        assert_eq!(refusal, Refusal::RoleNotAllowed);
    }
    let mut foreign = super::store();
    foreign.id = super::id(9);
    let others = Store { tenant: super::id(9), ..super::store() };
    for store in [foreign, others] {
        let refusal = try_place(draft(Delivery), Role::Platform, &store).unwrap_err();
        assert_eq!(refusal, Refusal::NotFound);
    }
}

#[test]
fn a_paused_store_takes_no_order_for_now_but_one_for_later() {
    let mut store = super::store();
    store.paused_until = Some(super::start_of_test() + SignedDuration::from_mins(15));
    let mut wanted = draft(Delivery);
    let refusal = try_place(wanted.clone(), Role::Platform, &store).unwrap_err();
    assert_eq!(refusal, Refusal::OutsideWindow("the store is paused"));
    wanted.window = Some(window_in(180));
    try_place(wanted.clone(), Role::Platform, &store).unwrap();
    wanted.window = None;
    store.paused_until = Some(super::start_of_test());
    try_place(wanted, Role::Platform, &store).unwrap();
}

#[test]
fn a_draft_is_refused_for_each_field_that_does_not_do() {
    type Spoil = fn(&mut crate::domain::Draft);
    let nowhere = |lat, lng| Place { lat, lng };
    let spoils: &[(&str, Spoil)] = &[
        ("external_id", |draft| draft.external_id = String::new()),
        ("external_id", |draft| draft.external_id = "x".repeat(129)),
        ("items", |draft| draft.items.clear()),
        ("items", |draft| draft.items = vec![Item { name: "a".to_owned(), qty: 1 }; 101]),
        ("items.qty", |draft| draft.items[0].qty = 0),
        ("items.name", |draft| draft.items[0].name = " ".to_owned()),
        ("note", |draft| draft.note = Some("x".repeat(1_001))),
        ("window", |draft| {
            let window = window_in(60);
            draft.window = Some(crate::domain::Window { to: window.from, ..window });
        }),
        ("dropoff", |draft| draft.dropoff = None),
        ("pin", |draft| {
            draft.pin = None;
            draft.proof_required.pin = true;
        }),
        ("meta", |draft| draft.meta = serde_json::json!([])),
        ("meta", |draft| draft.meta = serde_json::json!({ "x": "x".repeat(4_096 - 7) })),
    ];
    for (field, spoil) in spoils {
        for fulfilment in [Delivery, StoreDelivery] {
            let mut wanted = draft(fulfilment);
            spoil(&mut wanted);
            let refusal = try_place(wanted, Role::Platform, &super::store()).unwrap_err();
            is_invalid(&refusal, field);
        }
    }
    for (field, place) in [
        ("dropoff.lat", nowhere(90.1, 0.0)),
        ("dropoff.lat", nowhere(f64::NAN, 0.0)),
        ("dropoff.lng", nowhere(0.0, -180.1)),
    ] {
        let mut wanted = draft(Delivery);
        wanted.dropoff.as_mut().unwrap().place = place;
        let refusal = try_place(wanted, Role::Platform, &super::store()).unwrap_err();
        is_invalid(&refusal, field);
    }
    let mut full = draft(Delivery);
    full.external_id = "x".repeat(128);
    full.items = vec![Item { name: "a".to_owned(), qty: 1 }; 100];
    full.meta = serde_json::json!({ "x": "x".repeat(4_096 - 8) });
    try_place(full, Role::Platform, &super::store()).unwrap();
}

fn update(patch: Patch) -> Command {
    Command::Update(Box::new(patch))
}

#[test]
fn each_detail_changes_until_its_own_last_moment() {
    let noted = || Patch { note: Some(Some("later".to_owned())), ..Patch::default() };
    let moved = || {
        let mut dropoff = draft(Delivery).dropoff.unwrap();
        dropoff.address = "next door".to_owned();
        Patch { dropoff: Some(dropoff), ..Patch::default() }
    };
    let shifted = || Patch { window: Some(window_in(90)), ..Patch::default() };
    let mut placed = Scene::at(Status::Placed, Delivery);
    placed.clone().accepted(Role::Platform, update(shifted()));
    placed.accepted(Role::Store, Command::Accept { prep_min: None });
    let refusal = placed.refused(Role::Platform, update(shifted()));
    assert_eq!(refusal, Refusal::InvalidTransition);
    placed.accepted(Role::Platform, update(moved()));
    for status in [Status::PickedUp, Status::Returning] {
        let mut gone = Scene::at(status, Delivery);
        assert_eq!(gone.refused(Role::Ops, update(moved())), Refusal::AlreadyPickedUp);
        gone.accepted(Role::Ops, update(noted()));
    }
    let mut over = Scene::at(Status::Returning, Delivery);
    over.accepted(Role::Store, Command::Returned { proofs: vec![] });
    assert_eq!(over.refused(Role::Ops, update(noted())), Refusal::InvalidTransition);
}

#[test]
fn an_update_must_leave_an_order_as_sound_as_a_draft() {
    let scene = Scene::at(Status::Placed, Delivery);
    let mut dropoff = draft(Delivery).dropoff.unwrap();
    dropoff.place.lat = 91.0;
    let window = crate::domain::Window { to: window_in(1).from, from: window_in(2).from };
    for (field, patch) in [
        ("note", Patch { note: Some(Some("x".repeat(1_001))), ..Patch::default() }),
        ("dropoff.lat", Patch { dropoff: Some(dropoff), ..Patch::default() }),
        ("window", Patch { window: Some(window), ..Patch::default() }),
        ("meta", Patch { meta: Some(serde_json::json!(1)), ..Patch::default() }),
    ] {
        is_invalid(&scene.refused(Role::Ops, update(patch)), field);
    }
}
