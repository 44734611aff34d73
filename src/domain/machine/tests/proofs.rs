//! Proofs by themselves: when they count, for whom and how often.

use std::sync::Arc;

use super::{Scene, actor, courier, courier_id, draft, id, try_place, why};
use crate::domain::{
    Command, Fact, Fulfilment, NewProof, Picture, PictureType, Proof, ProofContent, ProofKind,
    ProofPoint, ProofRequired, ReasonCode, Refusal, Role, Status,
};

use Fulfilment::{Collection, Delivery, StoreDelivery};
use ProofKind::{Photo, Pin, Scan, Signature};
use ProofPoint::{Dropoff, Pickup, Return};

/// A proof that is told from others by its text.
pub(super) fn upload(point: ProofPoint, kind: ProofKind, text: &str) -> Command {
    let bytes: Arc<[u8]> = Arc::from(text.as_bytes());
    let content = match kind {
        Scan => ProofContent::Text(text.to_owned()),
        Photo | Signature | Pin => ProofContent::Inline(PictureType::Png, Picture(bytes)),
    };
    let hash = text.bytes().cycle().take(32).collect();
    Command::AddProof(Box::new(NewProof { id: id(800), point, kind, content, hash }))
}

fn needs(pickup: &[ProofKind], back: &[ProofKind]) -> ProofRequired {
    ProofRequired {
        pickup: pickup.iter().copied().collect(),
        back: back.iter().copied().collect(),
        ..ProofRequired::default()
    }
}

fn pickup() -> Command {
    Command::Pickup { proofs: vec![] }
}
fn deliver() -> Command {
    Command::Deliver { pin: None, proofs: vec![] }
}
fn returned() -> Command {
    Command::Returned { proofs: vec![] }
}

#[test]
fn a_proof_is_one_event_and_the_same_again_is_none() {
    let mut scene = Scene::assigned(Status::Ready);
    let version = scene.order.version;
    let events = scene.accepted(Role::Driver, upload(Pickup, Photo, "a"));
    assert_eq!(events.len(), 1);
    assert!(matches!(&events[0].fact, Fact::ProofAdded(proof) if proof.kind == Photo));
    assert_eq!(scene.order.version, version + 1);
    scene.wait(1);
    scene.repeated(Role::Driver, upload(Pickup, Photo, "a"));
    // Another picture, another kind and another hand-over are others.
    scene.accepted(Role::Driver, upload(Pickup, Photo, "b"));
    scene.accepted(Role::Driver, upload(Pickup, Scan, "a"));
    scene.accepted(Role::Driver, pickup());
    scene.accepted(Role::Driver, upload(Dropoff, Photo, "a"));
    assert_eq!(scene.order.proofs.len(), 4);
}

#[test]
fn what_is_missing_is_named_and_what_was_uploaded_counts() {
    let mut scene = Scene::assigned(Status::Ready);
    scene.order.proof_required = ProofRequired { photo: true, ..needs(&[Scan, Photo], &[Photo]) };
    let missing = |kinds: &[ProofKind]| Refusal::ProofRequired(kinds.to_vec());
    assert_eq!(scene.refused(Role::Driver, pickup()), missing(&[Photo, Scan]));
    scene.accepted(Role::Driver, upload(Pickup, Scan, "a"));
    assert_eq!(scene.refused(Role::Driver, pickup()), missing(&[Photo]));
    let photo = Proof { kind: Photo, reference: "https://example.org/1".to_owned() };
    scene.accepted(Role::Driver, Command::Pickup { proofs: vec![photo] });
    assert_eq!(scene.order.proofs_of(Pickup).iter().collect::<Vec<_>>(), [Photo, Scan]);
    assert_eq!(scene.refused(Role::Driver, deliver()), missing(&[Photo]));
    scene.accepted(Role::Driver, Command::Return { reason: why(ReasonCode::Refused) });
    assert_eq!(scene.refused(Role::Store, returned()), missing(&[Photo]));
    let mut by_courier = scene.clone();
    by_courier.accepted(Role::Driver, upload(Return, Photo, "b"));
    by_courier.accepted(Role::Driver, returned());
    scene.accepted(Role::Store, upload(Return, Photo, "c"));
    scene.accepted(Role::Store, returned());
}

#[test]
fn a_dispatcher_goes_on_without_any_proof() {
    let mut scene = Scene::assigned(Status::Ready);
    scene.order.proof_required = ProofRequired {
        photo: true,
        signature: true,
        pin: true,
        scan: true,
        ..needs(&[Scan], &[Photo])
    };
    scene.accepted(Role::Ops, pickup());
    let mut back = scene.clone();
    scene.accepted(Role::Ops, deliver());
    back.accepted(Role::Ops, Command::Return { reason: why(ReasonCode::Refused) });
    back.accepted(Role::Ops, returned());
}

#[test]
fn a_second_attempt_is_proved_anew() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    scene.order.proof_required.photo = true;
    scene.accepted(Role::Driver, upload(Dropoff, Photo, "a"));
    scene.wait(1);
    scene.accepted(Role::Driver, Command::Return { reason: why(ReasonCode::Refused) });
    scene.wait(1);
    scene.accepted(Role::Ops, Command::Redeliver);
    assert_eq!(scene.refused(Role::Driver, deliver()), Refusal::ProofRequired(vec![Photo]));
    scene.wait(1);
    // The very same may be shown at the second door too, as a code on a parcel is.
    scene.accepted(Role::Driver, upload(Dropoff, Photo, "a"));
    scene.accepted(Role::Driver, deliver());
}

#[test]
fn whoever_takes_over_before_the_pick_up_proves_it_anew_and_after_it_not() {
    let mut scene = Scene::assigned(Status::Ready);
    scene.order.proof_required = needs(&[Scan], &[]);
    scene.accepted(Role::Driver, upload(Pickup, Scan, "a"));
    scene.wait(1);
    scene.driver = Some((courier(2), 0));
    let mut changed = scene.clone();
    changed.accepted(Role::Ops, Command::Assign { driver: courier_id(2) });
    let second = crate::domain::Actor { role: Role::Driver, id: courier_id(2).to_string() };
    let refusal = changed.refused_to(&second, pickup());
    assert_eq!(refusal, Refusal::ProofRequired(vec![Scan]));
    scene.accepted(Role::Driver, pickup());
    scene.wait(1);
    scene.accepted(Role::Ops, Command::Assign { driver: courier_id(2) });
    assert!(scene.order.proofs_of(Pickup).contains(Scan));
}

#[test]
fn a_proof_that_another_process_dates_earlier_than_the_step_before_counts_for_it() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    scene.order.proof_required.photo = true;
    scene.now -= jiff::SignedDuration::from_millis(3);
    scene.accepted(Role::Driver, upload(Dropoff, Photo, "a"));
    scene.accepted(Role::Driver, deliver());
}

#[test]
fn each_hand_over_is_proved_by_those_whose_it_is_once_it_can_happen() {
    let who = [Role::Customer, Role::Store, Role::Driver, Role::Ops, Role::Platform];
    let may = |scene: &Scene, point: ProofPoint| {
        let taken = |role: &&Role| {
            let judgement = scene.judge_by(&actor(**role), &upload(point, Photo, "a"));
            matches!(judgement, super::Judgement::Accepted(_))
        };
        who.iter().filter(taken).map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    for (status, fulfilment, expected) in [
        (Status::Placed, Delivery, ["", "", ""]),
        (Status::Ready, StoreDelivery, ["store ops", "", ""]),
        (Status::Ready, Collection, ["", "store ops", ""]),
        (Status::PickedUp, Delivery, ["driver ops", "driver ops", ""]),
        (Status::PickedUp, StoreDelivery, ["store ops", "store ops", ""]),
        (Status::Returning, Delivery, ["driver ops", "driver ops", "store driver ops"]),
        (Status::Returning, StoreDelivery, ["store ops", "store ops", "store ops"]),
    ] {
        let scene = Scene::at(status, fulfilment);
        for (point, roles) in [Pickup, Dropoff, Return].into_iter().zip(expected) {
            assert_eq!(may(&scene, point), roles, "{point} of {fulfilment} {status}");
        }
    }
    let mut ended = Scene::at(Status::PickedUp, Delivery);
    ended.accepted(Role::Driver, deliver());
    assert_eq!(may(&ended, Dropoff), "driver ops", "after the end");
    let mut off = Scene::assigned(Status::Ready);
    off.accepted(Role::Ops, Command::Cancel { reason: why(ReasonCode::Duplicate) });
    assert_eq!(may(&off, Pickup), "");
}

#[test]
fn an_order_takes_so_many_proofs_and_no_pin_among_them() {
    let mut scene = Scene::at(Status::PickedUp, Delivery);
    let invalid = |refusal: Refusal, at: &str| {
        assert!(matches!(refusal, Refusal::Validation { field, .. } if field == at));
    };
    invalid(scene.refused(Role::Driver, upload(Dropoff, Pin, "4711")), "kind");
    for nth in 0..20 {
        scene.accepted(Role::Driver, upload(Dropoff, Photo, &format!("picture {nth}")));
    }
    invalid(scene.refused(Role::Driver, upload(Dropoff, Photo, "one more")), "point");
    scene.repeated(Role::Driver, upload(Dropoff, Photo, "picture 3"));
    scene.accepted(Role::Driver, deliver());
}

#[test]
fn a_collection_is_proved_by_the_store_with_what_is_required() {
    let mut scene = Scene::at(Status::Ready, Collection);
    scene.order.proof_required =
        ProofRequired { signature: true, pin: true, ..ProofRequired::default() };
    let collect = |pin: Option<&str>, kinds: &[ProofKind]| Command::Collect {
        pin: pin.map(str::to_owned),
        proofs: kinds.iter().map(|kind| Proof { kind: *kind, reference: "x".to_owned() }).collect(),
    };
    let both = Refusal::ProofRequired(vec![Signature, Pin]);
    assert_eq!(scene.refused(Role::Store, collect(None, &[])), both);
    assert_eq!(scene.refused(Role::Customer, collect(None, &[])), both);
    let wrong = scene.refused(Role::Store, collect(Some("0000"), &[Signature]));
    assert_eq!(wrong, Refusal::PinWrong { tries_left: 4 });
    scene.clone().accepted(Role::Store, collect(Some(super::PIN), &[Signature]));
    scene.clone().accepted(Role::Ops, collect(None, &[]));
    scene.accepted(Role::Store, upload(Dropoff, Signature, "a"));
    scene.accepted(Role::Customer, collect(Some(super::PIN), &[]));
}

#[test]
fn a_pin_is_asked_for_at_the_drop_off_only() {
    for required in [needs(&[Pin], &[]), needs(&[], &[Photo, Pin])] {
        let mut draft = draft(Delivery);
        draft.proof_required = required;
        let refusal = try_place(draft, Role::Platform, &super::store()).unwrap_err();
        assert!(matches!(refusal, Refusal::Validation { .. }), "{refusal:?}");
    }
}
