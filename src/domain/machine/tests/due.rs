//! What happens by itself: when it is due, what it comes to, and that asking again is harmless.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::{Scene, draft, merged, rules, window_in};
use crate::domain::{
    Actor, Command, Fulfilment, Judgement, Notice, Order, Patch, ReasonCode, Role, Status, Step,
    Word as _,
};

use Fulfilment::Delivery;

impl Scene {
    /// The types of what happens by itself now.
    pub(super) fn settled(&mut self) -> Vec<&'static str> {
        let steps = self.steps();
        let kinds = kinds_of(&steps);
        self.walk(steps);
        kinds
    }

    fn walk(&mut self, steps: Vec<Step>) {
        for step in steps {
            self.offers = merged(&self.offers, &step.offers);
            self.order = step.order;
        }
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        self.order.settle(&self.facts())
    }

    /// Lets time go on until something is due, and a little further or not quite as far.
    pub(super) fn come_due(&mut self, late: SignedDuration) {
        self.now = self.order.due().unwrap() + late;
    }
}

fn kinds_of(steps: &[Step]) -> Vec<&'static str> {
    steps.iter().flat_map(|step| &step.events).map(|event| event.fact.kind()).collect()
}

pub(super) const ON_TIME: SignedDuration = SignedDuration::ZERO;
pub(super) const TOO_EARLY: SignedDuration = SignedDuration::from_millis(-1);

/// A scene in which nothing is told of lateness and silence: of those there are tests of their own.
fn calm(mut scene: Scene) -> Scene {
    scene.order.told = Notice::ALL.to_vec();
    scene
}

fn for_later() -> Scene {
    let mut wanted = draft(Delivery);
    wanted.window = Some(window_in(180));
    calm(Scene::of(wanted))
}

fn accept() -> Command {
    Command::Accept { prep_min: None }
}

#[test]
fn t3_a_scheduled_order_is_placed_when_it_is_time_and_the_store_has_its_whole_time() {
    let mut scene = for_later();
    assert_eq!(scene.order.due(), scene.order.release_at);
    scene.come_due(TOO_EARLY);
    assert_eq!(scene.settled(), [""; 0]);
    scene.come_due(SignedDuration::from_hours(1));
    assert_eq!(scene.settled(), ["order.placed"]);
    assert_eq!(scene.order.stamps.placed, Some(scene.now));
    assert_eq!(scene.order.accept_by, Some(scene.now + rules().accept_window));
    assert_eq!(scene.order.due(), scene.order.accept_by);
    assert_eq!(scene.settled(), [""; 0], "asked again it does nothing");
}

#[test]
fn t5_an_order_that_nobody_answers_is_rejected_when_the_time_is_over() {
    let mut scene = calm(Scene::at(Status::Placed, Delivery));
    scene.come_due(TOO_EARLY);
    assert_eq!(scene.settled(), [""; 0]);
    scene.come_due(ON_TIME);
    assert_eq!(scene.settled(), ["order.rejected"]);
    let reason = scene.order.reason.clone().unwrap();
    assert_eq!((reason.code, reason.by), (ReasonCode::NoResponse, Role::System));
    assert_eq!((scene.order.due(), scene.settled()), (None, vec![]));
}

#[test]
fn t4_the_system_accepts_for_a_store_that_wants_it_but_not_while_that_is_paused_or_too_late() {
    let mut scene = for_later();
    scene.store.auto_accept = true;
    let mut paused = scene.clone();
    scene.come_due(ON_TIME);
    assert_eq!(scene.settled(), ["order.placed", "order.accepted"]);
    assert_eq!(scene.order.status_by, Actor::system());
    // Placed ten minutes before preparing has to start.
    assert_eq!(scene.order.due(), Some(scene.now + SignedDuration::from_mins(10)));

    paused.come_due(ON_TIME);
    paused.store.paused_until = Some(paused.now + SignedDuration::from_secs(1));
    assert_eq!(paused.settled(), ["order.placed"]);
    let mut opened = paused.clone();
    opened.wait(1);
    assert_eq!(opened.settled(), ["order.accepted"]);
    paused.come_due(SignedDuration::from_millis(1));
    assert_eq!(paused.settled(), ["order.rejected"]);
}

#[test]
fn t6_preparing_starts_when_it_must_and_a_new_promise_moves_it() {
    let mut scene = for_later();
    scene.accepted(Role::Store, accept());
    let start_at = scene.order.ready_eta.unwrap() - SignedDuration::from_mins(20);
    assert_eq!(scene.order.due(), Some(start_at));
    scene.accepted(Role::Store, Command::Prep { prep_min: 30, why: None });
    assert_eq!(scene.order.due(), Some(start_at - SignedDuration::from_mins(10)));
    scene.come_due(TOO_EARLY);
    assert_eq!(scene.settled(), [""; 0]);
    scene.come_due(ON_TIME);
    assert_eq!(scene.settled(), ["order.preparing"]);
    assert_eq!((scene.order.stamps.preparing, scene.order.due()), (Some(scene.now), None));
}

#[test]
fn what_is_due_at_once_comes_in_the_order_in_which_it_would_have_come_in_time() {
    // Due long ago: to be placed, to be accepted, to be prepared.
    let mut scene = for_later();
    scene.store.auto_accept = true;
    scene.come_due(SignedDuration::from_hours(5));
    let steps = scene.steps();
    assert_eq!(kinds_of(&steps), ["order.placed", "order.accepted", "order.preparing"]);
    let first = &steps[0].order;
    assert_eq!(first.status, Status::Placed, "each step shows the order as it was then");
    let events: Vec<_> = steps.iter().flat_map(|step| &step.events).collect();
    assert!(events.iter().map(|event| event.n).eq(2..=4));
    assert!(events.iter().all(|event| event.by == Actor::system()));
    assert!(events.iter().all(|event| event.occurred_at == scene.now));
}

#[test]
fn a_window_that_moves_moves_the_release() {
    let mut scene = for_later();
    let was_due = scene.order.due().unwrap();
    let window = Some(window_in(240));
    let patch = Patch { window, ..Patch::default() };
    scene.accepted(Role::Platform, Command::Update(Box::new(patch)));
    assert_eq!(scene.order.due(), Some(was_due + SignedDuration::from_hours(1)));
}

#[test]
fn nothing_is_due_of_an_order_that_is_being_made_or_on_its_way_or_over() {
    for status in [Status::Preparing, Status::Ready, Status::PickedUp, Status::Returning] {
        let mut scene = calm(Scene::at(Status::Ready, Delivery));
        scene.order.status = status;
        assert_eq!(scene.order.due(), None, "{status}");
    }
    for status in Status::ALL.iter().copied().filter(|status| status.is_terminal()) {
        let mut scene = calm(Scene::at(Status::Ready, Delivery));
        scene.order.status = status;
        scene.store.auto_accept = true;
        scene.wait(600);
        assert_eq!((scene.order.due(), scene.settled()), (None, vec![]), "{status}");
    }
}

/// An order for now or later, at a store of either kind, that has come to a status of its own.
fn any_scene() -> impl Strategy<Value = Scene> {
    let windows = prop_oneof![Just(None), (0_i64..300).prop_map(Some)];
    (windows, any::<bool>(), 0_u8..3).prop_map(|(window, auto_accept, walked)| {
        let mut wanted = draft(Delivery);
        wanted.window = window.map(window_in);
        let mut scene = calm(Scene::of(wanted));
        scene.store.auto_accept = auto_accept;
        // As the writer does with what has just been placed or released.
        scene.settled();
        let scheduled = scene.order.status == Status::Scheduled;
        if walked == 1 && (scheduled || scene.order.status == Status::Placed) {
            scene.accepted(Role::Store, accept());
        } else if walked == 2 && scheduled {
            scene.accepted(Role::Ops, Command::Release);
            scene.settled();
        }
        scene
    })
}

fn shown(order: &Order) -> (Status, i64) {
    (order.status, order.version)
}

proptest! {
    /// Whoever asks, as often as they like: what happens is what happens when each thing is
    /// asked for in its moment, and once it has happened nothing is due any more.
    #[test]
    fn asking_often_early_or_twice_changes_nothing(
        mut scene in any_scene(), asked in prop::collection::vec(0_i64..20_000, 0..20),
    ) {
        let mut prompt = scene.clone();
        while let Some(at) = prompt.order.due().filter(|at| *at < prompt.now + SignedDuration::from_hours(9)) {
            prompt.now = prompt.now.max(at);
            prop_assert!(!prompt.settled().is_empty());
            prop_assert_eq!(prompt.settled(), Vec::<&str>::new());
            prop_assert!(prompt.order.due().is_none_or(|at| at > prompt.now));
        }
        let mut asked = asked;
        asked.sort_unstable();
        let began = scene.now;
        for seconds in asked {
            scene.now = began + SignedDuration::from_secs(seconds);
            let was_due = scene.order.due().is_some_and(|at| at <= scene.now);
            prop_assert_eq!(!scene.settled().is_empty(), was_due);
            prop_assert_eq!(scene.settled(), Vec::<&str>::new());
            prop_assert!(scene.order.due().is_none_or(|at| at > scene.now));
        }
        // In the end, however late, it stands where it would have stood.
        while let Some(at) = scene.order.due() {
            scene.now = scene.now.max(at);
            scene.settled();
        }
        prop_assert!(matches!(scene.order.status, Status::Preparing | Status::Rejected));
        let accepts = prompt.store.auto_accept || scene.order.stamps.accepted.is_some();
        prop_assert_eq!(scene.order.status == Status::Preparing, accepts);
        prop_assert_eq!(shown(&prompt.order), shown(&scene.order));
    }
}

#[test]
fn of_a_late_answer_and_the_system_whoever_comes_first_wins() {
    let mut scene = calm(Scene::at(Status::Placed, Delivery));
    scene.come_due(ON_TIME);
    let mut answered = scene.clone();
    answered.accepted(Role::Store, accept());
    assert_eq!(answered.settled(), [""; 0]);
    assert_eq!(scene.settled(), ["order.rejected"]);
    let judged = scene.judge_by(&super::actor(Role::Store), &accept());
    assert!(matches!(judged, Judgement::Refused(_)), "{judged:?}");
}
