//! Tests of the machine as a whole: every row, every pair, random sequences.

mod due;
mod estimates;
mod guards;
mod late;
mod legs;
mod offers;
mod pairs;
mod proofs;
mod robo;
mod rows;
mod sequences;

use std::borrow::Borrow;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Courier, Facts, Judgement, Step, merged, place};
use crate::domain::{
    Actor, Candidate, Command, Draft, Driver, DriverId, Dropoff, Duty, Event, Fulfilment, Given,
    Id, Item, Offer, OfferRules, Order, Place, ProofRequired, ReasonCode, Refusal, Role, Status,
    Store, TenantRules, Undeliverable, Vehicle, Window,
};

const PIN: &str = "4711";

fn id<K>(number: u128) -> Id<K> {
    Id::from_uuid(Uuid::from_u128(number))
}

fn actor(role: Role) -> Actor {
    let name = match role {
        Role::Store => id::<crate::domain::id::StoreKind>(2).to_string(),
        Role::Driver => courier_id(1).to_string(),
        Role::System => return Actor::system(),
        Role::Customer | Role::Ops | Role::Platform => format!("some {role}"),
    };
    Actor { role, id: name }
}

fn courier_id(number: u128) -> DriverId {
    id(100 + number)
}

fn courier(number: u128) -> Driver {
    Driver {
        id: courier_id(number),
        tenant: id(1),
        external_id: format!("courier {number}"),
        name: "Cori Rider".to_owned(),
        display_name: "Cori R.".to_owned(),
        phone: None,
        vehicle: Vehicle { kind: "scooter".to_owned(), ..Vehicle::default() },
        duty: Duty::On,
        capacity: 2,
    }
}

fn store() -> Store {
    Store {
        id: id(2),
        tenant: id(1),
        external_id: "store".to_owned(),
        name: "Trattoria".to_owned(),
        place: Place { lat: 52.516_275, lng: 13.377_704 },
        tz: "Europe/Berlin".to_owned(),
        phone: None,
        auto_accept: false,
        default_prep_min: 20,
        paused_until: None,
    }
}

fn draft(fulfilment: Fulfilment) -> Draft {
    let dropoff = Dropoff {
        name: "Ada Byron".to_owned(),
        phone: None,
        address: "Panoramastr. 1a, Berlin".to_owned(),
        place: Place { lat: 52.520_815, lng: 13.409_419 },
        notes: None,
        leave_at_door: false,
    };
    Draft {
        id: id(3),
        tenant: id(1),
        external_id: "A-1".to_owned(),
        store: id(2),
        short_code: "K7QX".to_owned(),
        fulfilment,
        dropoff: (fulfilment != Fulfilment::Collection).then_some(dropoff),
        items: vec![Item { name: "Pizza".to_owned(), qty: 1 }],
        note: None,
        window: None,
        undeliverable: Undeliverable::Return,
        proof_required: ProofRequired::default(),
        pin: Some(PIN.to_owned()),
        meta: serde_json::json!({}),
    }
}

fn why(code: ReasonCode) -> Given {
    (code, None)
}

/// One order with all that the machine has to know about it, and a clock that a test moves.
#[derive(Debug, Clone)]
struct Scene {
    now: Timestamp,
    store: Store,
    rules: TenantRules,
    driver: Option<(Driver, i64)>,
    occurred_at: Option<Timestamp>,
    if_match: Option<i64>,
    /// Where couriers were, and when that was heard.
    seen: Option<(Place, Timestamp)>,
    /// The courier who has the order, if it is not the one who is named.
    courier: Option<Driver>,
    stops_before: Option<i32>,
    offers: Vec<Offer>,
    candidates: Option<Vec<Candidate>>,
    unseen: bool,
    order: Order,
}

fn start_of_test() -> Timestamp {
    "2025-01-02T18:00:00Z".parse().unwrap()
}

fn rules() -> TenantRules {
    TenantRules {
        accept_window: std::time::Duration::from_mins(8),
        customer_cancel_until: Status::Placed,
        robo: false,
        offers: OfferRules {
            mode: None,
            offer_s: 30,
            rounds: 3,
            lead: std::time::Duration::from_mins(10),
        },
    }
}

/// A window that opens so many minutes after the start of the test.
fn window_in(minutes: i64) -> Window {
    let from = start_of_test() + SignedDuration::from_mins(minutes);
    Window { from, to: from + SignedDuration::from_mins(30) }
}

/// Places a draft at the start of the test.
fn try_place(draft: Draft, by: Role, store: &Store) -> Result<(Order, Vec<Event>), Refusal> {
    let Step { order, events, .. } = place(draft, &actor(by), &bare(start_of_test(), store))?;
    Ok((order, events))
}

/// What is so when nothing was looked up.
fn bare(now: Timestamp, store: &Store) -> Facts<'_> {
    Facts {
        now,
        rules: rules(),
        store,
        driver: None,
        courier: None,
        stops_before: None,
        offers: &[],
        candidates: None,
        unseen: false,
        occurred_at: None,
        if_match: None,
    }
}

impl Scene {
    fn of(draft: Draft) -> Self {
        let store = store();
        let (order, _) = try_place(draft, Role::Platform, &store).unwrap();
        Self {
            now: start_of_test(),
            store,
            rules: rules(),
            driver: Some((courier(1), 0)),
            occurred_at: None,
            if_match: None,
            seen: None,
            courier: None,
            stops_before: None,
            offers: Vec::new(),
            candidates: None,
            unseen: false,
            order,
        }
    }

    /// An order for now that has come to this status the usual way, by courier 1 if delivered.
    fn at(status: Status, fulfilment: Fulfilment) -> Self {
        let mut scene = Self::of(draft(fulfilment));
        let steps = [
            (Status::Accepted, Role::Store, Command::Accept { prep_min: None }),
            (Status::Ready, Role::Store, Command::Ready),
            (Status::PickedUp, Role::Ops, Command::Pickup { proofs: vec![] }),
            (Status::Returning, Role::Ops, Command::Return { reason: why(ReasonCode::Refused) }),
        ];
        for (reached, by, command) in steps {
            if reached > status {
                break;
            }
            if reached == Status::PickedUp && fulfilment == Fulfilment::Delivery {
                scene.accepted(Role::Ops, Command::Assign { driver: courier_id(1) });
            }
            scene.now += SignedDuration::from_mins(1);
            scene.accepted(by, command);
        }
        assert_eq!(scene.order.status, status);
        scene
    }

    /// The same, with courier 1 on the way to the store.
    fn assigned(status: Status) -> Self {
        let mut scene = Self::at(status, Fulfilment::Delivery);
        scene.accepted(Role::Ops, Command::Assign { driver: courier_id(1) });
        scene
    }

    fn wait(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
    }

    fn facts(&self) -> Facts<'_> {
        let named = self.driver.as_ref().map(|(driver, active)| (driver, *active));
        let holder = self.courier.as_ref().map(|driver| (driver, 1));
        let known = |(driver, active)| Courier { driver, active, seen: self.seen };
        Facts {
            rules: self.rules,
            driver: named.map(known),
            courier: holder.or(named).map(known),
            stops_before: self.stops_before,
            offers: &self.offers,
            candidates: self.candidates.as_deref(),
            unseen: self.unseen,
            occurred_at: self.occurred_at,
            if_match: self.if_match,
            ..bare(self.now, &self.store)
        }
    }

    fn judge_by(&self, by: &Actor, command: &Command) -> Judgement {
        self.order.judge(command, by, &self.facts())
    }

    /// The command must be carried out; the scene goes on with the order after it.
    #[track_caller]
    fn accepted(&mut self, by: Role, command: impl Borrow<Command>) -> Vec<Event> {
        let command = command.borrow();
        match self.judge_by(&actor(by), command) {
            Judgement::Accepted(step) => {
                self.offers = merged(&self.offers, &step.offers);
                self.order = step.order;
                step.events
            }
            other @ (Judgement::Repeated | Judgement::Refused(_)) => {
                panic!("{by} {command:?}: {other:?}")
            }
        }
    }

    /// The types of the events.
    #[track_caller]
    fn kinds(&mut self, by: Role, command: impl Borrow<Command>) -> Vec<&'static str> {
        self.accepted(by, command).iter().map(|event| event.fact.kind()).collect()
    }

    #[track_caller]
    fn refused(&self, by: Role, command: impl Borrow<Command>) -> Refusal {
        self.refused_to(&actor(by), command)
    }

    #[track_caller]
    fn refused_to(&self, by: &Actor, command: impl Borrow<Command>) -> Refusal {
        let command = command.borrow();
        match self.judge_by(by, command) {
            Judgement::Refused(refusal) => refusal,
            other @ (Judgement::Repeated | Judgement::Accepted(_)) => {
                panic!("{by:?} {command:?}: {other:?}")
            }
        }
    }

    #[track_caller]
    fn repeated(&self, by: Role, command: impl Borrow<Command>) {
        let command = command.borrow();
        assert_eq!(self.judge_by(&actor(by), command), Judgement::Repeated, "{command:?}");
    }
}
