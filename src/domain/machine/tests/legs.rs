//! Each row L of the table by its name: what follows, who is told, what is stamped.

use super::{Scene, courier, courier_id, draft, why};
use crate::domain::{Ask, Command, Fact, Fulfilment, Leg, ReasonCode, Refusal, Role, Status};

use Fulfilment::{Delivery, StoreDelivery};

#[test]
fn l1_a_search_asks_couriers_and_l4_its_end_leaves_nobody() {
    let mut scene = Scene::at(Status::Ready, Delivery);
    assert_eq!(scene.kinds(Role::System, Command::Search(Ask::default())), ["courier.searching"]);
    assert_eq!(scene.order.leg, Leg::Offering);
    assert_eq!(scene.kinds(Role::System, Command::SearchFailed), ["courier.search_failed"]);
    assert_eq!((scene.order.leg, scene.order.version), (Leg::None, 6));
}

#[test]
fn l2_and_l3_a_courier_is_assigned_from_a_search_or_directly() {
    let assign = || Command::Assign { driver: courier_id(1) };
    for search in [true, false] {
        let mut scene = Scene::of(draft(Delivery));
        scene.accepted(Role::Store, Command::Accept { prep_min: None });
        if search {
            scene.accepted(Role::Ops, Command::Search(Ask::default()));
        }
        scene.wait(3);
        let events = scene.accepted(Role::Platform, assign());
        let pickup_eta = scene.order.ready_eta;
        assert_eq!(events[0].fact, Fact::CourierAssigned { pickup_eta });
        assert_eq!((events[0].driver, events[0].prior_driver), (Some(courier_id(1)), None));
        assert_eq!((scene.order.leg, scene.order.pickup_eta), (Leg::Assigned, pickup_eta));
        assert_eq!(scene.order.stamps.assigned, Some(scene.now));
    }
    Scene::of(draft(Delivery)).accepted(Role::Ops, assign());
    let own = Scene::at(Status::Ready, StoreDelivery);
    assert_eq!(own.refused(Role::Ops, assign()), Refusal::InvalidTransition);
}

#[test]
fn l3_a_courier_on_the_way_is_exchanged_and_starts_anew() {
    let mut scene = Scene::assigned(Status::Ready);
    scene.accepted(Role::Driver, Command::AtStore);
    scene.driver = Some((courier(2), 0));
    let events = scene.accepted(Role::Platform, Command::Assign { driver: courier_id(2) });
    assert_eq!(events[0].fact.kind(), "courier.changed");
    assert_eq!(events[0].prior_driver, Some(courier_id(1)));
    assert_eq!(events[0].driver, Some(courier_id(2)));
    assert_eq!((scene.order.leg, scene.order.stamps.at_store), (Leg::Assigned, None));
    assert_eq!(scene.refused(Role::Driver, Command::AtStore), Refusal::NotFound);
}

#[test]
fn l5_a_courier_says_that_it_is_at_the_store() {
    let mut scene = Scene::assigned(Status::Placed);
    assert_eq!(scene.kinds(Role::Driver, Command::AtStore), ["courier.at_store"]);
    assert_eq!((scene.order.leg, scene.order.stamps.at_store), (Leg::AtStore, Some(scene.now)));
    scene.repeated(Role::Driver, Command::AtStore);
}

#[test]
fn l6_a_courier_drops_out_or_is_taken_off_and_hears_of_it_once_more() {
    let taken = |code| Command::Unassign { reason: why(code) };
    for (by, command) in [
        (Role::Driver, Command::Drop { reason: why(ReasonCode::Vehicle) }),
        (Role::Ops, taken(ReasonCode::CourierIncident)),
        (Role::Platform, taken(ReasonCode::TooFar)),
        (Role::System, taken(ReasonCode::NoResponse)),
    ] {
        let mut scene = Scene::assigned(Status::Ready);
        scene.accepted(Role::Driver, Command::AtStore);
        let events = scene.accepted(by, command);
        assert_eq!(events[0].fact.kind(), "courier.unassigned");
        assert_eq!((events[0].driver, events[0].prior_driver), (None, Some(courier_id(1))));
        assert_eq!((scene.order.leg, scene.order.driver), (Leg::None, None));
        assert_eq!((scene.order.pickup_eta, scene.order.reason), (None, None));
        let stamps = scene.order.stamps;
        assert_eq!((stamps.assigned, stamps.at_store), (None, None));
    }
}

#[test]
fn l7_and_l8_the_courier_is_on_the_way_and_then_at_the_door() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    assert_eq!(scene.order.leg, Leg::EnRoute);
    assert_eq!(scene.kinds(Role::Driver, Command::AtDoor), ["courier.at_door"]);
    assert_eq!((scene.order.leg, scene.order.stamps.at_door), (Leg::AtDoor, Some(scene.now)));
    scene.repeated(Role::Driver, Command::AtDoor);
}

#[test]
fn l9_ops_hands_an_order_over_on_the_road_and_the_leg_stays() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    scene.accepted(Role::Driver, Command::AtDoor);
    scene.driver = Some((courier(2), 0));
    let command = || Command::Assign { driver: courier_id(2) };
    assert_eq!(scene.refused(Role::Platform, command()), Refusal::InvalidTransition);
    let events = scene.accepted(Role::Ops, command());
    assert_eq!(events[0].fact.kind(), "courier.changed");
    assert_eq!(
        (events[0].driver, events[0].prior_driver),
        (Some(courier_id(2)), Some(courier_id(1)))
    );
    assert_eq!((scene.order.leg, scene.order.status), (Leg::AtDoor, Status::PickedUp));
}

#[test]
fn l10_every_end_closes_the_leg() {
    let mut scene = Scene::at(Status::Ready, StoreDelivery);
    scene.accepted(Role::Ops, Command::Cancel { reason: why(ReasonCode::StoreProblem) });
    assert_eq!(scene.order.leg, Leg::Closed);
}

#[test]
fn a_courier_who_is_named_late_should_have_the_order_now() {
    let assign = Command::Assign { driver: courier_id(1) };
    let mut overdue = Scene::at(Status::Placed, Delivery);
    overdue.accepted(Role::Store, Command::Accept { prep_min: None });
    overdue.wait(25);
    let mut early = Scene::at(Status::Ready, Delivery);
    for scene in [&mut overdue, &mut early] {
        scene.accepted(Role::Ops, &assign);
        assert_eq!(scene.order.pickup_eta, Some(scene.now));
    }
}
