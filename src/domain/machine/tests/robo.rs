//! Robo mode: walks end, whatever the order is, and what stops them stops them for good.

use jiff::SignedDuration;
use serde_json::json;

use super::{Scene, actor, bare, draft, rules, start_of_test, store};
use crate::domain::{
    Command, Draft, Fulfilment, Leg, PIN_TRIES, ProofKind, ProofRequired, Refusal, RoboEnd, Role,
    Status, TenantRules, Undeliverable, Word as _, place,
};

/// An order that walks, as it was placed.
fn placed(draft: Draft) -> Result<Scene, Refusal> {
    let (store, mut scene) = (store(), Scene::of(draft.clone()));
    let facts = super::Facts {
        rules: TenantRules { robo: true, ..rules() },
        ..bare(start_of_test(), &store)
    };
    scene.order = place(draft, &actor(Role::Platform), &facts)?.order;
    Ok(scene)
}

fn walker(end: RoboEnd, fulfilment: Fulfilment) -> Draft {
    let meta = json!({"robo": {"end": end.word(), "step_s": 1}});
    Draft { meta, ..draft(fulfilment) }
}

/// Goes on until nothing is due; how often something was.
fn walk(scene: &mut Scene) -> usize {
    for steps in 0..20 {
        let Some(due) = scene.order.robo.unwrap().at else { return steps };
        scene.now = scene.now.max(due);
        scene.settled();
        assert_ne!(scene.order.robo.unwrap().at, Some(due), "it would be due for ever");
    }
    panic!("it walks for ever: {:?}", scene.order);
}

#[test]
fn every_walk_comes_to_its_end_with_every_proof_that_is_asked_for() {
    let all = ProofRequired {
        photo: true,
        signature: true,
        pin: true,
        scan: true,
        pickup: [ProofKind::Photo, ProofKind::Scan].into_iter().collect(),
        back: [ProofKind::Signature].into_iter().collect(),
    };
    for end in RoboEnd::ALL.iter().copied() {
        for fulfilment in Fulfilment::ALL.iter().copied() {
            for undeliverable in Undeliverable::ALL.iter().copied() {
                let goes_back =
                    fulfilment != Fulfilment::Collection && undeliverable == Undeliverable::Return;
                let fits = match end {
                    RoboEnd::Returned => goes_back,
                    RoboEnd::Failed => fulfilment != Fulfilment::Collection,
                    RoboEnd::Delivered | RoboEnd::Rejected | RoboEnd::Cancelled => true,
                };
                let draft = Draft { undeliverable, proof_required: all, ..walker(end, fulfilment) };
                let what = format!("{end} {fulfilment} {undeliverable}");
                let Ok(mut scene) = placed(draft) else {
                    assert!(!fits, "{what}");
                    continue;
                };
                assert!(fits, "{what}");
                walk(&mut scene);
                assert_eq!(scene.order.status.word(), end.word(), "{what}");
            }
        }
    }
}

#[test]
fn without_a_courier_it_waits_and_after_five_wrong_pins_it_stops() {
    let delivery = Fulfilment::Delivery;
    let pin = ProofRequired { pin: true, ..ProofRequired::default() };
    let mut scene =
        placed(Draft { proof_required: pin, ..walker(RoboEnd::Delivered, delivery) }).unwrap();
    let courier = scene.driver.take();
    while scene.order.status != Status::Ready {
        scene.now = scene.order.robo.unwrap().at.unwrap();
        scene.settled();
    }
    for _ in 0..5 {
        let due = scene.order.robo.unwrap().at.unwrap();
        scene.now = due;
        assert_eq!(scene.settled(), [] as [&str; 0]);
        assert_eq!(scene.order.robo.unwrap().at, Some(due + SignedDuration::from_secs(1)));
    }
    assert_eq!(scene.order.leg, Leg::None);
    // One without room is none.
    scene.driver = courier.clone().map(|(driver, _)| (driver.clone(), driver.capacity.into()));
    scene.now += SignedDuration::from_secs(1);
    assert_eq!(scene.settled(), [] as [&str; 0]);
    scene.driver = courier;
    scene.order.pin_tries = PIN_TRIES;
    walk(&mut scene);
    assert_eq!((scene.order.status, scene.order.leg), (Status::PickedUp, Leg::AtDoor));
    scene.accepted(Role::Ops, Command::Deliver { pin: None, proofs: vec![] });
}

#[test]
fn what_is_accepted_ahead_of_its_time_is_made_in_its_time() {
    let window = Some(super::window_in(180));
    let early = Draft { window, ..walker(RoboEnd::Delivered, Fulfilment::Delivery) };
    let mut scene = placed(early).unwrap();
    assert_eq!((scene.order.status, scene.order.robo.unwrap().at), (Status::Scheduled, None));
    scene.accepted(Role::Store, Command::Accept { prep_min: None });
    assert_eq!((scene.order.status, scene.order.robo.unwrap().at), (Status::Accepted, None));
    while scene.order.status == Status::Accepted {
        scene.now = scene.order.due().unwrap();
        scene.settled();
    }
    walk(&mut scene);
    assert_eq!(scene.order.status, Status::Delivered);
}

#[test]
fn of_an_order_that_does_not_walk_the_system_does_no_more_than_ever() {
    let scene = Scene::assigned(Status::Ready);
    for command in [Command::AtStore, Command::Pickup { proofs: vec![] }, Command::Ready] {
        assert_eq!(scene.refused(Role::System, command), Refusal::RoleNotAllowed);
    }
}
