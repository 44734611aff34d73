//! Each row T of the table by its name, and the details: what follows, who is told, what is stamped.

use jiff::SignedDuration;

use super::{Scene, actor, courier_id, draft, start_of_test, try_place, why, window_in};
use crate::domain::machine::travel_time;
use crate::domain::{
    Actor, Command, Fact, Fulfilment, Leg, Patch, ReasonCode, Refusal, Role, Status, Undeliverable,
};

use Fulfilment::{Collection, Delivery, StoreDelivery};

const ACCEPT: Command = Command::Accept { prep_min: Some(30) };
const PICKUP: Command = Command::Pickup { proofs: vec![] };

fn mins(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

#[test]
fn t1_an_order_for_now_is_placed_and_rings_for_the_accept_window() {
    let (order, events) = try_place(draft(Delivery), Role::Platform, &super::store()).unwrap();
    let now = start_of_test();
    assert_eq!((order.status, order.leg, order.version), (Status::Placed, Leg::None, 1));
    assert_eq!(order.accept_by, Some(now + mins(8)));
    assert_eq!((order.stamps.created, order.stamps.placed), (now, Some(now)));
    assert_eq!(order.status_by, actor(Role::Platform));
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.n, &event.fact), (1, &Fact::Placed));
    assert_eq!((event.was, event.status), (Status::Placed, Status::Placed));
    assert_eq!((&event.by, event.occurred_at), (&actor(Role::Platform), now));
}

#[test]
fn t2_an_order_for_later_is_scheduled_and_released_in_time_for_way_preparation_and_answer() {
    let store = super::store();
    let mut wanted = draft(Delivery);
    let window = window_in(120);
    wanted.window = Some(window);
    let way = travel_time(store.place, wanted.dropoff.as_ref().unwrap().place, "scooter");
    let (order, events) = try_place(wanted, Role::Platform, &store).unwrap();
    let release_at = window.from - way - mins(20 + 10);
    assert_eq!((order.status, order.version), (Status::Scheduled, 1));
    assert_eq!(order.release_at, Some(release_at));
    assert_eq!((order.accept_by, order.stamps.placed), (None, None));
    assert_eq!(events[0].fact, Fact::Scheduled { window, release_at });
}

#[test]
fn t2_the_lead_time_decides_and_a_customer_who_comes_has_no_way_in_it() {
    let mut wanted = draft(Collection);
    wanted.window = Some(window_in(30));
    let (order, _) = try_place(wanted.clone(), Role::Platform, &super::store()).unwrap();
    assert_eq!(order.status, Status::Placed);
    wanted.window = Some(window_in(31));
    let (order, _) = try_place(wanted, Role::Platform, &super::store()).unwrap();
    assert_eq!(order.status, Status::Scheduled);
    assert_eq!(order.release_at, Some(start_of_test() + mins(1)));
}

/// A collection in two hours: released at 90 minutes, prepared from 100.
fn scheduled() -> Scene {
    let mut wanted = draft(Collection);
    wanted.window = Some(window_in(120));
    Scene::of(wanted)
}

#[test]
fn t3_a_scheduled_order_is_placed_by_the_timer_when_due_and_by_people_earlier() {
    let mut scene = scheduled();
    scene.wait(89);
    let refusal = scene.refused(Role::System, Command::Release);
    assert!(matches!(refusal, Refusal::OutsideWindow(_)), "{refusal:?}");
    for by in [Role::Ops, Role::Platform] {
        assert_eq!(scene.clone().kinds(by, Command::Release), ["order.placed"]);
    }
    scene.wait(1);
    assert_eq!(scene.kinds(Role::System, Command::Release), ["order.placed"]);
    assert_eq!(scene.order.stamps.placed, Some(scene.now));
    assert_eq!(scene.order.accept_by, Some(scene.now + mins(8)));
}

#[test]
fn t4_an_order_for_now_is_accepted_and_preparing_at_once() {
    let mut scene = Scene::of(draft(Delivery));
    scene.wait(2);
    let events = scene.accepted(Role::Store, ACCEPT);
    let ready_eta = scene.now + mins(30);
    let [accepted, preparing] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((accepted.n, preparing.n, scene.order.version), (2, 3, 3));
    assert_eq!(accepted.fact, Fact::Accepted { prep_min: 30, ready_eta });
    assert_eq!(preparing.fact, Fact::Preparing { ready_eta });
    assert_eq!((&accepted.by, &preparing.by), (&actor(Role::Store), &Actor::system()));
    assert_eq!((accepted.was, accepted.status), (Status::Placed, Status::Accepted));
    assert_eq!((preparing.was, preparing.status), (Status::Accepted, Status::Preparing));
    assert_eq!(scene.order.status_by, actor(Role::Store));
    assert_eq!(scene.order.stamps.accepted, Some(scene.now));
    assert_eq!(scene.order.stamps.preparing, Some(scene.now));
    assert_eq!((scene.order.prep_min, scene.order.ready_eta), (Some(30), Some(ready_eta)));
}

#[test]
fn t4_an_early_accept_of_a_scheduled_order_waits_until_preparing_must_start() {
    let mut scene = scheduled();
    assert_eq!(scene.kinds(Role::Store, Command::Accept { prep_min: None }), ["order.accepted"]);
    assert_eq!(scene.order.status, Status::Accepted);
    assert_eq!(scene.order.ready_eta, Some(start_of_test() + mins(120)));
    assert_eq!((scene.order.prep_min, scene.order.stamps.preparing), (Some(20), None));
}

#[test]
fn t4_the_system_accepts_only_where_the_store_wants_it() {
    let mut scene = Scene::of(draft(Delivery));
    assert_eq!(scene.refused(Role::System, ACCEPT), Refusal::RoleNotAllowed);
    scene.store.auto_accept = true;
    assert_eq!(scene.kinds(Role::System, ACCEPT), ["order.accepted", "order.preparing"]);
}

#[test]
fn t4_after_the_accept_window_only_ops_accepts() {
    let mut scene = Scene::of(draft(Delivery));
    scene.wait(8);
    scene.clone().accepted(Role::Store, ACCEPT);
    scene.now += SignedDuration::from_millis(1);
    for by in [Role::Store, Role::Platform] {
        assert!(matches!(scene.refused(by, ACCEPT), Refusal::OutsideWindow(_)));
    }
    scene.accepted(Role::Ops, ACCEPT);
}

#[test]
fn t5_a_store_rejects_with_a_reason_and_the_timer_when_nobody_answered() {
    let mut scene = Scene::of(draft(Delivery));
    let silence = Command::Reject { reason: why(ReasonCode::NoResponse) };
    assert!(matches!(scene.refused(Role::System, silence.clone()), Refusal::OutsideWindow(_)));
    let mut late = scene.clone();
    late.wait(8);
    assert_eq!(late.kinds(Role::System, silence), ["order.rejected"]);
    let events = scene.accepted(Role::Store, Command::Reject { reason: why(ReasonCode::TooBusy) });
    let reason = scene.order.reason.clone().unwrap();
    assert_eq!((reason.code, reason.by), (ReasonCode::TooBusy, Role::Store));
    assert_eq!(events[0].fact, Fact::Rejected { reason });
    assert_eq!((scene.order.status, scene.order.leg), (Status::Rejected, Leg::Closed));
    assert_eq!(scene.order.stamps.rejected, Some(scene.now));
}

#[test]
fn t6_preparing_starts_by_hand_any_time_and_by_the_timer_when_due() {
    let mut scene = scheduled();
    scene.accepted(Role::Store, Command::Accept { prep_min: None });
    scene.wait(99);
    assert!(matches!(scene.refused(Role::System, Command::Start), Refusal::OutsideWindow(_)));
    assert_eq!(scene.clone().kinds(Role::Store, Command::Start), ["order.preparing"]);
    scene.wait(1);
    assert_eq!(scene.kinds(Role::System, Command::Start), ["order.preparing"]);
    assert_eq!(scene.order.stamps.preparing, Some(scene.now));
}

#[test]
fn t7_an_order_is_ready_from_accepted_and_from_preparing() {
    let mut early = scheduled();
    early.accepted(Role::Store, Command::Accept { prep_min: None });
    assert_eq!(early.kinds(Role::Store, Command::Ready), ["order.ready"]);
    assert_eq!((early.order.stamps.preparing, early.order.version), (None, 3));
    let mut scene = Scene::of(draft(Delivery));
    scene.accepted(Role::Store, ACCEPT);
    scene.wait(12);
    assert_eq!(scene.kinds(Role::Store, Command::Ready), ["order.ready"]);
    assert_eq!(scene.order.stamps.ready, Some(scene.now));
}

#[test]
fn t8_a_mistap_of_ready_is_undone() {
    let mut scene = Scene::at(Status::Ready, Delivery);
    let promised = scene.order.ready_eta;
    let mut late = scene.clone();
    assert_eq!(scene.kinds(Role::Store, Command::Unready), ["order.unready"]);
    assert_eq!(scene.order.status, Status::Preparing);
    assert_eq!((scene.order.stamps.ready, scene.order.ready_eta), (None, promised));
    late.wait(60);
    late.accepted(Role::Store, Command::Unready);
    assert_eq!(late.order.ready_eta, Some(late.now + mins(5)));
}

#[test]
fn t9_a_courier_picks_up_and_the_missing_ready_is_written_first() {
    let mut scene = Scene::assigned(Status::Placed);
    scene.accepted(Role::Store, ACCEPT);
    scene.wait(25);
    let events = scene.accepted(Role::Driver, PICKUP);
    let [ready, picked_up] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((ready.fact.kind(), picked_up.fact.kind()), ("order.ready", "order.picked_up"));
    assert_eq!((&ready.by, &picked_up.by), (&Actor::system(), &actor(Role::Driver)));
    assert_eq!((ready.status, picked_up.was), (Status::Ready, Status::Ready));
    assert_eq!(picked_up.n, scene.order.version);
    assert_eq!(scene.order.stamps.ready, Some(scene.now));
    assert_eq!(scene.order.stamps.picked_up, Some(scene.now));
    assert_eq!((scene.order.leg, picked_up.driver), (Leg::EnRoute, Some(courier_id(1))));
    let eta = scene.order.dropoff_eta.unwrap();
    let way = travel_time(scene.store.place, scene.order.dropoff.as_ref().unwrap().place, "");
    assert_eq!(eta, scene.now + way + mins(2));
    let (lo, hi) = (Some(eta - mins(5)), Some(eta + mins(5)));
    assert_eq!((scene.order.dropoff_eta_lo, scene.order.dropoff_eta_hi), (lo, hi));
    let fact = Fact::PickedUp { dropoff_eta: Some(eta), lo, hi, proofs: vec![] };
    assert_eq!(picked_up.fact, fact);
}

#[test]
fn t9_from_accepted_preparing_is_skipped_and_from_ready_one_event_suffices() {
    let mut wanted = draft(StoreDelivery);
    wanted.window = Some(window_in(120));
    let mut scene = Scene::of(wanted);
    scene.accepted(Role::Store, ACCEPT);
    assert_eq!(scene.kinds(Role::Store, PICKUP), ["order.ready", "order.picked_up"]);
    assert_eq!((scene.order.stamps.preparing, scene.order.leg), (None, Leg::None));
    let mut scene = Scene::assigned(Status::Ready);
    assert_eq!(scene.kinds(Role::Ops, PICKUP), ["order.picked_up"]);
}

#[test]
fn t9_nothing_leaves_without_a_courier_and_a_collection_never_does() {
    let alone = Scene::at(Status::Ready, Delivery);
    assert_eq!(alone.refused(Role::Ops, PICKUP), Refusal::InvalidTransition);
    assert_eq!(alone.refused(Role::Store, PICKUP), Refusal::InvalidTransition);
    let collection = Scene::at(Status::Ready, Collection);
    assert_eq!(collection.refused(Role::Ops, PICKUP), Refusal::InvalidTransition);
}

#[test]
fn t10_a_courier_delivers_and_stays_on_record() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    let events = scene.accepted(Role::Driver, Command::Deliver { pin: None, proofs: vec![] });
    assert_eq!(events[0].fact, Fact::Delivered { proofs: vec![] });
    assert_eq!(events[0].driver, Some(courier_id(1)));
    assert_eq!((scene.order.status, scene.order.leg), (Status::Delivered, Leg::Closed));
    assert_eq!(scene.order.driver, Some(courier_id(1)));
    assert_eq!(scene.order.stamps.delivered, Some(scene.now));
    let mut own = Scene::at(Status::PickedUp, StoreDelivery);
    own.accepted(Role::Store, Command::Deliver { pin: None, proofs: vec![] });
    assert_eq!((own.order.leg, own.order.driver), (Leg::Closed, None));
}

#[test]
fn t11_a_collection_ends_at_the_counter() {
    let mut scene = Scene::at(Status::Ready, Collection);
    let events = scene.accepted(Role::Store, Command::Collect { pin: None, proofs: vec![] });
    assert_eq!(events[0].fact, Fact::Delivered { proofs: vec![] });
    assert_eq!((scene.order.status, scene.order.leg), (Status::Delivered, Leg::Closed));
    let delivery = Scene::at(Status::Ready, Delivery);
    let refusal = delivery.refused(Role::Store, Command::Collect { pin: None, proofs: vec![] });
    assert_eq!(refusal, Refusal::InvalidTransition);
}

fn cancel(code: ReasonCode) -> Command {
    Command::Cancel { reason: why(code) }
}

#[test]
fn t12_a_store_cancels_what_is_scheduled_and_rejects_what_is_placed() {
    assert_eq!(scheduled().kinds(Role::Store, cancel(ReasonCode::Closed)), ["order.cancelled"]);
    let placed = Scene::of(draft(Delivery));
    let refusal = placed.refused(Role::Store, cancel(ReasonCode::Closed));
    assert_eq!(refusal, Refusal::InvalidTransition);
    let mut by_customer = placed.clone();
    by_customer.accepted(Role::Customer, cancel(ReasonCode::CustomerRequest));
    assert_eq!(by_customer.order.reason.unwrap().by, Role::Customer);
}

#[test]
fn t13_a_customer_cancels_until_the_tenants_limit_and_others_until_pickup() {
    let request = || cancel(ReasonCode::CustomerRequest);
    let mut scene = Scene::at(Status::Ready, Delivery);
    assert!(matches!(scene.refused(Role::Customer, request()), Refusal::OutsideWindow(_)));
    scene.clone().accepted(Role::Platform, request());
    scene.rules.customer_cancel_until = Status::Preparing;
    assert!(matches!(scene.refused(Role::Customer, request()), Refusal::OutsideWindow(_)));
    scene.rules.customer_cancel_until = Status::Ready;
    scene.accepted(Role::Customer, request());
    assert_eq!(scene.order.stamps.cancelled, Some(scene.now));
}

#[test]
fn t13_a_cancelled_delivery_closes_the_leg_and_names_its_courier_once_more() {
    let mut scene = Scene::assigned(Status::Ready);
    let events = scene.accepted(Role::Ops, cancel(ReasonCode::Fraud));
    assert_eq!((scene.order.leg, scene.order.driver), (Leg::Closed, Some(courier_id(1))));
    assert_eq!((events[0].driver, events[0].prior_driver), (Some(courier_id(1)), None));
    assert_eq!((events[0].was, events[0].status), (Status::Ready, Status::Cancelled));
}

#[test]
fn t13_after_pickup_the_way_out_is_another() {
    for status in [Status::PickedUp, Status::Returning] {
        let scene = Scene::at(status, Delivery);
        let refusal = scene.refused(Role::Ops, cancel(ReasonCode::Fraud));
        assert_eq!(refusal, Refusal::AlreadyPickedUp);
    }
}

#[test]
fn t14_an_order_turns_back_and_its_courier_leaves_the_door() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    scene.accepted(Role::Driver, Command::AtDoor);
    let reason = why(ReasonCode::Refused);
    let events = scene.accepted(Role::Driver, Command::Return { reason });
    assert_eq!(events[0].fact.kind(), "order.returning");
    assert_eq!((scene.order.status, scene.order.leg), (Status::Returning, Leg::EnRoute));
    assert_eq!((scene.order.dropoff_eta, scene.order.dropoff_eta_hi), (None, None));
    assert_eq!(scene.order.reason.unwrap().code, ReasonCode::Refused);
}

#[test]
fn t14_nobody_answered_only_after_five_minutes_at_the_door() {
    let no_answer = || Command::Return { reason: why(ReasonCode::NoAnswer) };
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    scene.wait(10);
    assert!(matches!(scene.refused(Role::Driver, no_answer()), Refusal::OutsideWindow(_)));
    scene.accepted(Role::Driver, Command::AtDoor);
    scene.wait(4);
    assert!(matches!(scene.refused(Role::Driver, no_answer()), Refusal::OutsideWindow(_)));
    scene.wait(1);
    assert_eq!(scene.kinds(Role::Driver, no_answer()), ["order.returning"]);
    let mut own = Scene::at(Status::PickedUp, StoreDelivery);
    assert_eq!(own.kinds(Role::Ops, no_answer()), ["order.returning"]);
}

#[test]
fn t15_what_cannot_go_back_fails_and_what_can_only_if_lost_or_damaged() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    let fail = |code| Command::Fail { reason: why(code) };
    let refusal = scene.refused(Role::Driver, fail(ReasonCode::Refused));
    assert_eq!(refusal, Refusal::InvalidTransition);
    for code in [ReasonCode::Lost, ReasonCode::Damaged] {
        assert_eq!(scene.clone().kinds(Role::Driver, fail(code)), ["order.failed"]);
    }
    for action in [Undeliverable::Dispose, Undeliverable::Leave] {
        let mut scene = scene.clone();
        scene.order.undeliverable = action;
        scene.accepted(Role::Driver, fail(ReasonCode::Refused));
        assert_eq!(scene.order.stamps.failed, Some(scene.now));
    }
    scene.accepted(Role::Driver, fail(ReasonCode::Lost));
    assert_eq!((scene.order.leg, scene.order.driver), (Leg::Closed, Some(courier_id(1))));
}

#[test]
fn t16_a_returned_order_ends_at_the_store() {
    for by in [Role::Store, Role::Ops, Role::Driver] {
        let mut scene = Scene::at(Status::Returning, Delivery);
        let events = scene.accepted(by, Command::Returned { proofs: vec![] });
        assert_eq!(events[0].fact, Fact::Returned { attempt: 1, proofs: vec![] });
        assert_eq!((scene.order.status, scene.order.leg), (Status::Returned, Leg::Closed));
        assert_eq!(scene.order.stamps.returned, Some(scene.now));
    }
}

#[test]
fn t17_a_second_attempt_has_a_new_estimate_and_no_reason() {
    let mut scene = Scene::at(Status::Returning, Delivery);
    scene.wait(7);
    let events = scene.accepted(Role::Ops, Command::Redeliver);
    let dropoff_eta = scene.order.dropoff_eta;
    assert!(dropoff_eta.is_some_and(|eta| eta > scene.now));
    assert_eq!(events[0].fact, Fact::Redelivery { attempt: 2, dropoff_eta });
    assert_eq!((scene.order.status, scene.order.leg), (Status::PickedUp, Leg::EnRoute));
    assert_eq!((scene.order.attempt, &scene.order.reason), (2, &None));
    scene.repeated(Role::Ops, Command::Redeliver);
    assert_eq!(scene.refused(Role::Platform, Command::Redeliver), Refusal::InvalidTransition);
}

#[test]
fn t18_what_could_not_be_returned_is_given_up_by_ops_only() {
    let mut scene = Scene::at(Status::Returning, Delivery);
    let give_up = || Command::Fail { reason: why(ReasonCode::FailedToReturn) };
    assert_eq!(scene.refused(Role::Driver, give_up()), Refusal::InvalidTransition);
    assert_eq!(scene.kinds(Role::Ops, give_up()), ["order.failed"]);
}

#[test]
fn a_preparation_time_is_promised_anew_and_a_second_tap_is_not_a_second_promise() {
    let mut scene = Scene::of(draft(Delivery));
    scene.accepted(Role::Store, ACCEPT);
    let longer = || Command::Prep { prep_min: 45, why: Some("busy".to_owned()) };
    let events = scene.accepted(Role::Store, longer());
    let ready_eta = scene.now + mins(45);
    let why = Some("busy".to_owned());
    assert_eq!(events[0].fact, Fact::PrepChanged { prep_min: 45, ready_eta, why });
    assert_eq!((scene.order.prep_min, scene.order.ready_eta), (Some(45), Some(ready_eta)));
    scene.now += SignedDuration::from_secs(59);
    scene.repeated(Role::Store, longer());
    scene.now += SignedDuration::from_secs(1);
    assert_eq!(scene.kinds(Role::Store, longer()), ["order.prep_changed"]);
}

#[test]
fn an_update_says_what_changed_and_one_that_changes_nothing_is_a_repeat() {
    let mut scene = scheduled();
    let patch = Patch {
        note: Some(Some("ring twice".to_owned())),
        window: Some(window_in(180)),
        ..Patch::default()
    };
    let command = || Command::Update(Box::new(patch.clone()));
    let events = scene.accepted(Role::Platform, command());
    let fact = Fact::Updated { note: true, dropoff: false, window: true, meta: false };
    assert_eq!(events[0].fact, fact);
    assert_eq!(scene.order.release_at, Some(start_of_test() + mins(150)));
    assert_eq!(scene.order.note.as_deref(), Some("ring twice"));
    scene.repeated(Role::Ops, command());
}
