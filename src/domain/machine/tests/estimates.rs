//! When an order is picked up and delivered: by whose word, and when that is told.

use jiff::{SignedDuration, Timestamp};

use super::{Scene, courier, courier_id, draft, id};
use crate::domain::{
    Command, Driver, Duty, EtaSource, Fact, Fulfilment, Leg, Notice, Place, Promise, Refusal, Role,
    Status, distance_m, travel_time,
};

use Fulfilment::{Collection, Delivery};

fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

/// So many metres north of a place.
fn north_of(place: Place, metres: f64) -> Place {
    Place { lat: place.lat + metres / 111_195.0, ..place }
}

fn promise(dropoff: Timestamp) -> Command {
    Command::Eta(Promise { dropoff: Some(dropoff), ..Promise::default() })
}

impl Scene {
    fn door(&self) -> Place {
        self.order.dropoff.as_ref().unwrap().place
    }

    /// The courier was heard of just now.
    fn is_at(&mut self, place: Place) {
        self.seen = Some((place, self.now));
    }
}

#[test]
fn what_is_accepted_is_expected_at_the_door_after_its_preparation_and_the_way() {
    let mut scene = Scene::of(draft(Delivery));
    scene.accepted(Role::Store, Command::Accept { prep_min: None });
    let way = travel_time(scene.store.place, scene.door(), "scooter");
    let eta = scene.order.ready_eta.unwrap() + way + minutes(2);
    let order = &scene.order;
    assert_eq!((order.dropoff_eta, order.eta_source), (Some(eta), Some(EtaSource::Computed)));
    assert_eq!(order.dropoff_eta_lo, Some(eta - minutes(5)));
    assert_eq!(order.dropoff_eta_hi, Some(eta + minutes(5)));
    scene.accepted(Role::Store, Command::Prep { prep_min: 40, why: None });
    assert_eq!(scene.order.dropoff_eta, Some(eta + minutes(20)), "it moves with the promise");
    let mut collected = Scene::of(draft(Collection));
    collected.accepted(Role::Store, Command::Accept { prep_min: None });
    assert_eq!(collected.order.dropoff_eta, None);
}

#[test]
fn a_courier_who_is_far_away_picks_up_when_it_can_be_there() {
    let mut scene = Scene::at(Status::Ready, Delivery);
    scene.driver = Some((
        Driver {
            vehicle: crate::domain::Vehicle { kind: "bicycle".to_owned(), ..Default::default() },
            ..courier(1)
        },
        0,
    ));
    scene.is_at(north_of(scene.store.place, 4_000.0));
    scene.accepted(Role::Ops, Command::Assign { driver: courier_id(1) });
    let there = travel_time(scene.seen.unwrap().0, scene.store.place, "bicycle");
    assert!(there > std::time::Duration::from_mins(20));
    assert_eq!(scene.order.pickup_eta, Some(scene.now + there));
}

#[test]
fn a_watch_tells_what_has_moved_by_two_minutes_and_no_more_often_than_every_half_minute() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    let told = scene.order.dropoff_eta.unwrap();
    scene.wait(1);
    scene.is_at(north_of(scene.door(), 1_900.0));
    scene.repeated(Role::System, Command::Watch);
    // A detour.
    scene.is_at(north_of(scene.door(), 4_000.0));
    let events = scene.accepted(Role::System, Command::Watch);
    assert_eq!((events.len(), &events[0].fact), (1, &Fact::Eta));
    assert!(scene.order.dropoff_eta.unwrap() > told + minutes(2));
    scene.now += SignedDuration::from_secs(29);
    scene.is_at(north_of(scene.door(), 800.0));
    scene.repeated(Role::System, Command::Watch);
    scene.now += SignedDuration::from_secs(1);
    scene.is_at(north_of(scene.door(), 800.0));
    assert_eq!(scene.kinds(Role::System, Command::Watch), ["order.eta"]);
}

#[test]
fn what_was_heard_long_ago_says_nothing() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    scene.is_at(north_of(scene.door(), 9_000.0));
    scene.wait(3);
    scene.repeated(Role::System, Command::Watch);
}

#[test]
fn the_word_of_a_platform_or_courier_holds_for_five_minutes() {
    for (by, source) in [(Role::Platform, EtaSource::Platform), (Role::Driver, EtaSource::Driver)] {
        let mut scene = Scene::at(Status::PickedUp, Delivery);
        let said = scene.now + minutes(50);
        assert_eq!(scene.kinds(by, promise(said)), ["order.eta"]);
        assert_eq!((scene.order.dropoff_eta, scene.order.eta_source), (Some(said), Some(source)));
        scene.repeated(by, promise(said + SignedDuration::from_secs(119)));
        scene.wait(4);
        scene.is_at(north_of(scene.door(), 400.0));
        scene.repeated(Role::System, Command::Watch);
        scene.wait(1);
        scene.is_at(north_of(scene.door(), 400.0));
        assert_eq!(scene.kinds(Role::System, Command::Watch), ["order.eta"]);
        assert_eq!(scene.order.eta_source, Some(EtaSource::Computed));
    }
}

#[test]
fn a_word_must_make_sense() {
    let scene = Scene::at(Status::PickedUp, Delivery);
    let later = |count| Some(scene.now + minutes(count));
    let say = |pickup, dropoff, lo, hi| Command::Eta(Promise { pickup, dropoff, lo, hi });
    for (command, field) in [
        (say(None, None, later(30), None), "dropoff_eta"),
        (say(None, later(30), later(31), None), "lo"),
        (say(None, later(30), None, later(29)), "hi"),
    ] {
        let refusal = scene.refused(Role::Platform, command);
        assert!(matches!(refusal, Refusal::Validation { field: at, .. } if at == field));
    }
    let gone = scene.refused(Role::Platform, say(later(1), None, None, None));
    assert_eq!(gone, Refusal::AlreadyPickedUp);
    for by in [Role::Store, Role::Customer, Role::Ops] {
        assert_eq!(scene.refused(by, promise(scene.now)), Refusal::RoleNotAllowed);
    }
}

#[test]
fn each_stop_before_costs_three_minutes_and_is_told() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    let alone = scene.order.dropoff_eta.unwrap();
    let stop = |seq, before| Command::Route { batch: id(600), seq, before };
    assert_eq!(scene.kinds(Role::Ops, stop(1, 0)), ["order.eta"], "it is one of a tour");
    assert_eq!(scene.kinds(Role::Driver, stop(3, 2)), ["order.eta"]);
    assert_eq!(scene.order.dropoff_eta, Some(alone + minutes(6)));
    scene.repeated(Role::Platform, stop(3, 2));
    // The first stop is done.
    scene.stops_before = Some(1);
    assert_eq!(scene.kinds(Role::System, Command::Watch), ["order.eta"]);
    assert_eq!((scene.order.route.before, scene.order.route.seq), (1, Some(3)));
}

#[test]
fn near_is_told_once_for_each_end_and_not_while_another_stop_comes_before() {
    let mut scene = Scene::assigned(Status::Ready);
    scene.is_at(north_of(scene.store.place, 500.0));
    scene.repeated(Role::System, Command::Watch);
    scene.is_at(north_of(scene.store.place, 79.0));
    let events = scene.accepted(Role::System, Command::Watch);
    assert_eq!(events[0].fact, Fact::CourierNear { door: false });
    scene.repeated(Role::System, Command::Watch);
    scene.accepted(Role::Driver, Command::Pickup { proofs: vec![] });
    scene.accepted(Role::Ops, Command::Route { batch: id(600), seq: 2, before: 1 });
    scene.is_at(scene.door());
    assert!(!scene.settled().contains(&"courier.near"));
    scene.stops_before = Some(0);
    scene.settled();
    scene.settled();
    assert!(scene.order.told.contains(&Notice::NearDoor));
}

#[test]
fn who_is_off_duty_and_silent_for_five_minutes_is_not_waited_for() {
    let off = Driver { duty: Duty::Off, ..courier(1) };
    for (holder, heard, minutes_later, gone) in [
        (courier(1), 0, 60, false),
        (off.clone(), 0, 4, false),
        (off.clone(), 0, 5, true),
        (off, 3, 7, false),
    ] {
        let mut scene = Scene::assigned(Status::Ready);
        scene.courier = Some(holder);
        scene.wait(heard);
        scene.is_at(north_of(scene.store.place, 5_000.0));
        scene.wait(minutes_later - heard);
        let kinds = scene.settled();
        assert_eq!(kinds.contains(&"courier.unassigned"), gone, "{kinds:?}");
        assert_eq!(scene.order.leg == Leg::None, gone);
    }
    let mut carried = Scene::at(Status::PickedUp, Delivery);
    carried.courier = Some(Driver { duty: Duty::Off, ..courier(1) });
    carried.wait(60);
    carried.settled();
    assert_eq!(carried.order.leg, Leg::EnRoute, "what is carried is not taken away");
}

#[test]
fn metres_are_metres() {
    let store = super::store().place;
    for metres in [0.0, 80.0, 12_345.0] {
        let off = f64::from(distance_m(store, north_of(store, metres))) - metres;
        assert!(off.abs() <= 1.0, "{off}");
    }
}
