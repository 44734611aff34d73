//! Lateness: each kind once, when it is so and not before.

use jiff::SignedDuration;

use super::due::{ON_TIME, TOO_EARLY};
use super::{Scene, courier_id, draft};
use crate::domain::{Command, Fact, Fulfilment, Notice, Refusal, Role, Status};

use Fulfilment::{Collection, Delivery};

/// What was told of by the steps that are due now.
fn told(scene: &Scene) -> Vec<Notice> {
    let events = scene.steps().into_iter().flat_map(|step| step.events);
    events
        .filter_map(
            |event| {
                if let Fact::Late { kind, .. } = event.fact { Some(kind) } else { None }
            },
        )
        .collect()
}

#[test]
fn a_store_is_late_with_its_answer_at_half_its_time_and_that_is_told_once() {
    let mut scene = Scene::of(draft(Delivery));
    scene.order.told.push(Notice::Silence);
    assert_eq!(scene.order.due(), Some(scene.now + SignedDuration::from_mins(4)));
    scene.come_due(TOO_EARLY);
    assert_eq!(told(&scene), []);
    scene.come_due(ON_TIME);
    assert_eq!(told(&scene), [Notice::Accept]);
    assert_eq!(scene.settled(), ["order.late"]);
    assert_eq!((scene.settled(), scene.order.version), (vec![], 2));
    assert_eq!(scene.order.due(), scene.order.accept_by);
}

#[test]
fn an_order_is_late_with_each_thing_in_its_turn() {
    let mut scene = Scene::of(draft(Delivery));
    scene.accepted(Role::Store, Command::Accept { prep_min: None });
    scene.accepted(Role::Ops, Command::Assign { driver: courier_id(1) });
    let (ready, hi) = (scene.order.ready_eta.unwrap(), scene.order.dropoff_eta_hi.unwrap());
    assert!(ready < hi);
    let grace = SignedDuration::from_mins(2);
    scene.now = ready + grace;
    assert_eq!(told(&scene), [Notice::Prep, Notice::Pickup]);
    let events: Vec<_> = scene.steps().into_iter().flat_map(|step| step.events).collect();
    assert!(matches!(events[0].fact, Fact::Late { since, .. } if since == ready + grace));
    scene.settled();
    scene.now = scene.order.dropoff_eta_hi.unwrap();
    assert_eq!(told(&scene), [Notice::Delivery]);
    scene.settled();
    scene.wait(600);
    assert_eq!(told(&scene), []);
}

#[test]
fn what_is_not_late_is_not_told_and_only_the_system_tells() {
    let scene = Scene::at(Status::Ready, Collection);
    let late = |kind| Command::Late(kind);
    let early = Refusal::OutsideWindow("it is not late with this");
    for kind in Notice::LATE {
        assert_eq!(scene.refused(Role::System, late(*kind)), early, "{kind}");
        assert_eq!(scene.refused(Role::Ops, late(*kind)), Refusal::RoleNotAllowed);
    }
}

#[test]
fn an_order_that_waits_is_looked_after_each_minute_until_nobody_can_see_it() {
    let mut scene = Scene::of(draft(Delivery));
    let minute = SignedDuration::from_mins(1);
    let placed = scene.now;
    assert_eq!(scene.order.next_look(placed), Some(placed + minute));
    assert_eq!(scene.order.next_look(placed + minute / 2), Some(placed + minute));
    scene.now = placed + minute;
    assert_eq!(scene.steps(), [], "somebody can, or nobody has looked");
    assert_eq!(scene.order.next_look(scene.now), Some(scene.now + minute));
    scene.now += minute;
    scene.unseen = true;
    let version = scene.order.version;
    assert_eq!(scene.settled(), [""; 0], "that is the store's affair, not the order's");
    assert_eq!(
        (scene.order.told.as_slice(), scene.order.version),
        ([Notice::Silence].as_slice(), version)
    );
    assert_eq!((scene.steps(), scene.order.next_look(scene.now)), (vec![], None));
}
