//! Offers: who is asked, for how long, and what each answer and each silence leads to.

use jiff::SignedDuration;

use super::due::{ON_TIME, TOO_EARLY};
use super::{Scene, courier, courier_id, draft, id, why};
use crate::domain::{
    Actor, Ask, Candidate, Command, Duty, Fulfilment, Judgement, Leg, Notice, OfferId, OfferMode,
    OfferState, ReasonCode, Refusal, Role, Status, Word as _,
};

use Fulfilment::Delivery;
use OfferState::{Accepted, Declined, Expired, Lost, Pending, Withdrawn};

fn offer(number: u128) -> OfferId {
    id(700 + number)
}

/// Couriers 1 to `count`, each with an offer of its own number.
fn candidates(count: u128) -> Vec<Candidate> {
    let some = |number| Candidate {
        offer: offer(number),
        driver: courier_id(number),
        distance_m: Some(100),
    };
    (1..=count).map(some).collect()
}

fn ask(count: u128, mode: OfferMode) -> Command {
    Command::Search(Ask { mode: Some(mode), candidates: candidates(count), ..Ask::default() })
}

fn rider(number: u128) -> Actor {
    Actor { role: Role::Driver, id: courier_id(number).to_string() }
}

impl Scene {
    /// An accepted order for which these couriers were asked.
    fn asking(count: u128, mode: OfferMode) -> Self {
        let mut scene = Self::at(Status::Ready, Delivery);
        scene.rules.offers.mode = Some(mode);
        scene.order.told = Notice::ALL.to_vec();
        scene.accepted(Role::Ops, ask(count, mode));
        scene
    }

    fn states(&self) -> Vec<OfferState> {
        self.offers.iter().map(|offer| offer.state).collect()
    }

    /// A courier answers; it is named with its row, as the writer does.
    fn answer(&mut self, number: u128, accepts: bool) -> Judgement {
        self.driver = Some((courier(number), 0));
        let offer = offer(number);
        let command =
            if accepts { Command::AcceptOffer { offer } } else { Command::DeclineOffer { offer } };
        let judged = self.judge_by(&rider(number), &command);
        if let Judgement::Accepted(step) = &judged {
            self.offers = super::merged(&self.offers, &step.offers);
            self.order = step.order.clone();
        }
        judged
    }
}

#[test]
fn a_search_begins_by_itself_so_early_that_a_courier_is_there_in_time() {
    let mut scene = Scene::of(draft(Delivery));
    scene.rules.offers.mode = Some(OfferMode::OneByOne);
    scene.accepted(Role::Store, Command::Accept { prep_min: Some(30) });
    let at = scene.order.ready_eta.unwrap() - SignedDuration::from_mins(10);
    assert_eq!((scene.order.search.at, scene.order.due()), (Some(at), Some(at)));
    scene.accepted(Role::Store, Command::Prep { prep_min: 40, why: None });
    let at = at + SignedDuration::from_mins(10);
    assert_eq!(scene.order.due(), Some(at), "a new promise moves it");
    scene.come_due(TOO_EARLY);
    scene.candidates = Some(candidates(2));
    assert_eq!(scene.settled(), [""; 0]);
    scene.come_due(ON_TIME);
    scene.candidates = None;
    assert_eq!(scene.settled(), [""; 0], "nobody has looked who could be asked");
    scene.candidates = Some(candidates(2));
    assert_eq!(scene.settled(), ["courier.searching"]);
    assert_eq!((scene.order.leg, scene.states()), (Leg::Offering, vec![Pending]));
    assert_eq!(scene.order.due(), Some(scene.offers[0].expires_at));
}

#[test]
fn a_tenant_who_searches_itself_is_left_alone() {
    let mut scene = Scene::of(draft(Delivery));
    scene.accepted(Role::Store, Command::Accept { prep_min: None });
    assert_eq!(scene.order.search.at, None);
    let mut collected = Scene::of(draft(Fulfilment::Collection));
    collected.rules.offers.mode = Some(OfferMode::OneByOne);
    collected.accepted(Role::Store, Command::Accept { prep_min: None });
    assert_eq!(collected.order.search.at, None, "nobody brings it");
}

#[test]
fn one_by_one_the_next_is_asked_when_the_time_is_over_until_the_rounds_are() {
    let mut scene = Scene::asking(1, OfferMode::OneByOne);
    for round in 2..=3 {
        scene.come_due(TOO_EARLY);
        scene.candidates = Some(vec![]);
        assert_eq!(scene.settled(), [""; 0]);
        scene.come_due(ON_TIME);
        scene.candidates = Some(candidates(round).split_off(usize::try_from(round).unwrap() - 1));
        assert_eq!(scene.settled(), ["courier.searching"]);
        assert_eq!(scene.order.search.round, i32::try_from(round).unwrap());
    }
    assert_eq!(scene.states(), [Expired, Expired, Pending]);
    scene.come_due(ON_TIME);
    scene.candidates = Some(candidates(3));
    assert_eq!(scene.settled(), ["courier.search_failed"]);
    assert_eq!((scene.order.leg, scene.order.due()), (Leg::None, None));
    assert!(scene.states().iter().all(|state| *state == Expired));
    assert_eq!(scene.settled(), [""; 0], "it is not begun again by itself");
}

#[test]
fn a_round_without_anybody_lasts_as_long_and_counts() {
    let scene = Scene::asking(0, OfferMode::OneByOne);
    assert_eq!(scene.offers, []);
    assert_eq!(scene.order.due(), Some(scene.now + SignedDuration::from_secs(30)));
}

#[test]
fn a_broadcast_asks_all_and_the_first_who_accepts_has_it() {
    let mut scene = Scene::asking(3, OfferMode::Broadcast);
    assert_eq!(scene.states(), [Pending; 3]);
    let judged = scene.answer(2, true);
    let Judgement::Accepted(step) = judged else { panic!("{judged:?}") };
    assert_eq!(step.events.len(), 1);
    assert_eq!((step.events[0].fact.kind(), &step.events[0].by), ("courier.assigned", &rider(2)));
    assert_eq!(scene.states(), [Lost, Accepted, Lost]);
    assert_eq!((scene.order.leg, scene.order.driver), (Leg::Assigned, Some(courier_id(2))));
    assert_eq!(scene.answer(1, true), Judgement::Refused(Refusal::OfferClosed(Lost)));
    assert_eq!(scene.answer(3, false), Judgement::Refused(Refusal::OfferClosed(Lost)));
    assert_eq!(scene.answer(2, true), Judgement::Repeated, "said twice");
}

#[test]
fn a_no_ends_the_round_once_nobody_is_left_who_could_say_yes() {
    let mut scene = Scene::asking(2, OfferMode::Broadcast);
    let version = scene.order.version;
    assert!(matches!(scene.answer(1, false), Judgement::Accepted(step) if step.events.is_empty()));
    assert!(scene.order.due() > Some(scene.now));
    assert_eq!(scene.answer(1, false), Judgement::Repeated);
    assert_eq!(scene.answer(1, true), Judgement::Refused(Refusal::OfferClosed(Declined)));
    scene.answer(2, false);
    assert_eq!((scene.order.due(), scene.order.version), (Some(scene.now), version));
    scene.candidates = Some(vec![]);
    assert_eq!(scene.settled(), ["courier.searching"]);
}

#[test]
fn a_yes_that_comes_too_late_is_none_whether_or_not_the_timer_has_fired() {
    let mut scene = Scene::asking(1, OfferMode::OneByOne);
    scene.come_due(ON_TIME);
    assert_eq!(scene.answer(1, true), Judgement::Refused(Refusal::OfferClosed(Expired)));
    scene.candidates = Some(vec![]);
    scene.settled();
    assert_eq!(scene.answer(1, true), Judgement::Refused(Refusal::OfferClosed(Expired)));
}

#[test]
fn whoever_was_not_asked_finds_nothing() {
    let scene = Scene::asking(1, OfferMode::OneByOne);
    for stranger in [rider(2), Actor { role: Role::Driver, id: "nobody".to_owned() }] {
        let command = Command::AcceptOffer { offer: offer(1) };
        assert_eq!(scene.refused_to(&stranger, &command), Refusal::NotFound);
    }
    let command = Command::AcceptOffer { offer: offer(1) };
    assert_eq!(scene.refused(Role::Ops, command), Refusal::RoleNotAllowed);
}

#[test]
fn whoever_accepts_must_be_on_duty_and_have_room() {
    for (duty, active, refusal) in [
        (Duty::Off, 0, Refusal::DriverOffDuty),
        (Duty::Paused, 0, Refusal::DriverOffDuty),
        (Duty::On, 2, Refusal::DriverAtCapacity),
    ] {
        let mut scene = Scene::asking(1, OfferMode::OneByOne);
        let mut driver = courier(1);
        driver.duty = duty;
        scene.driver = Some((driver, active));
        let command = Command::AcceptOffer { offer: offer(1) };
        assert_eq!(scene.refused_to(&rider(1), command), refusal);
    }
}

#[test]
fn offers_are_withdrawn_with_the_order_and_lost_to_whoever_is_named() {
    let cancel = Command::Cancel { reason: why(ReasonCode::CustomerRequest) };
    for (by, command, state) in [
        (Role::Platform, cancel, Withdrawn),
        (Role::Ops, Command::SearchFailed, Withdrawn),
        (Role::Ops, Command::Assign { driver: courier_id(2) }, Lost),
    ] {
        let mut scene = Scene::asking(1, OfferMode::OneByOne);
        scene.driver = Some((courier(2), 0));
        scene.accepted(by, command);
        assert_eq!(scene.states(), [state]);
        assert_eq!(scene.answer(1, true), Judgement::Refused(Refusal::OfferClosed(state)));
    }
}

#[test]
fn who_drops_out_is_replaced_by_a_new_search_and_who_is_taken_off_is_not() {
    let drop = Command::Drop { reason: why(ReasonCode::Vehicle) };
    let gone = Command::Unassign { reason: why(ReasonCode::NoResponse) };
    let other = Command::Unassign { reason: why(ReasonCode::TooFar) };
    for (by, command, again) in
        [(Role::Driver, drop, true), (Role::System, gone, true), (Role::Ops, other, false)]
    {
        let mut scene = Scene::asking(1, OfferMode::OneByOne);
        scene.answer(1, true);
        scene.accepted(by, command);
        assert_eq!(scene.order.search.lost_by, Some(courier_id(1)));
        assert_eq!(scene.order.search.at.is_some(), again, "{by}");
        scene.candidates = Some(candidates(2).split_off(1));
        let wanted: &[&str] = if again { &["courier.searching"] } else { &[] };
        assert_eq!(scene.settled(), wanted);
    }
}

#[test]
fn how_long_a_courier_may_think_has_its_bounds() {
    let scene = Scene::at(Status::Ready, Delivery);
    for (seconds, good) in [(14, false), (15, true), (120, true), (121, false)] {
        let ask = Ask { offer_s: Some(seconds), ..Ask::default() };
        let judged = scene.judge_by(&super::actor(Role::Ops), &Command::Search(ask));
        assert_eq!(matches!(judged, Judgement::Accepted(_)), good, "{seconds}: {judged:?}");
    }
}

#[test]
fn a_search_among_couriers_of_whom_none_can_be_asked_is_refused_where_it_could_begin() {
    let ask = Command::Search(Ask { named: true, ..Ask::default() });
    for (status, code) in [(Status::Ready, "drivers"), (Status::Placed, "transition")] {
        let judged = Scene::at(status, Delivery).judge_by(&super::actor(Role::Ops), &ask);
        let Judgement::Refused(refusal) = judged else { panic!("{judged:?}") };
        let said = if let Refusal::Validation { field, .. } = &refusal { *field } else { "" };
        let is_early = refusal == Refusal::InvalidTransition;
        assert_eq!(if is_early { "transition" } else { said }, code, "{refusal:?}");
    }
}
