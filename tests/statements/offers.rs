//! Couriers are asked: who could be, who is, and what is left of it.

use std::time::Duration;

use jiff::Timestamp;
use ordercast::domain::{
    Actor, BatchId, Command, Draft, Duty, Location, OfferState, OrderId, Place, Proof, ProofKind,
    ReasonCode, Role,
};
use ordercast::store::{Candidates, LookedUp, Outcome, Subject, Target};

use crate::bindings::{Walk, actor};

/// An order for now, accepted by its store.
async fn accepted(walk: &Walk, name: &str) -> OrderId {
    let draft = Draft { external_id: name.to_owned(), window: None, ..walk.draft() };
    let id = draft.id;
    let placed = walk.place(draft, None).await;
    assert!(matches!(placed, Outcome::Placed(_)), "{placed:?}");
    let store = actor(Role::Store, &walk.store.id.to_string());
    walk.change(store, id, Command::Accept { prep_min: Some(10) }).await;
    id
}

async fn elapse(walk: &Walk, order: OrderId, looked_up: LookedUp) -> Outcome {
    walk.submit(Actor::system(), None, Target::Elapse { order, looked_up }).await
}

/// The round that is under way ends then.
async fn until(walk: &Walk, order: OrderId, then: &str) {
    let sql = format!("update orders set search_until = {then} where id = $1");
    walk.client.execute(&sql, &[&order.uuid()]).await.unwrap();
}

/// A courier is so many degrees away from the store.
async fn is_at(walk: &Walk, nth: usize, off: f64, n: i64) {
    let driver = &walk.drivers[nth];
    let store = walk.database.find_store(walk.tenant, walk.store.id).await.unwrap().unwrap();
    let place = Place { lat: store.place.lat + off, ..store.place };
    let at = Timestamp::from_second(2_000_000_000 + n).unwrap();
    let location = Location {
        n,
        at,
        place,
        accuracy_m: Some(5.0),
        heading: None,
        speed: Some(3.5),
        battery: None,
    };
    walk.database.note_locations(&[(walk.tenant, driver.id, location)]).await.unwrap();
}

pub(crate) async fn offers(walk: &Walk) {
    let (database, tenant) = (&walk.database, walk.tenant);
    let mode = "update tenants set offer_mode = 'one_by_one'";
    walk.client.batch_execute(mode).await.unwrap();
    let open = Target::Pause { store: walk.store.id, until: None };
    assert!(matches!(walk.submit(actor(Role::Ops, "o"), None, open).await, Outcome::Store(_)));
    for driver in &walk.drivers {
        let target = Target::Duty { driver: driver.id, duty: Duty::On };
        walk.submit(actor(Role::Ops, "o"), None, target).await;
    }
    let order = accepted(walk, "asked").await;

    // Nobody knows where anybody is: whoever is on duty, in any order.
    let found = database.find_candidates(&[order]).await.unwrap();
    assert_eq!(found[&order].couriers.len(), 2, "{found:?}");
    assert!(found[&order].couriers.iter().all(|candidate| candidate.distance_m.is_none()));
    // One is near, one beyond reach.
    is_at(walk, 0, 0.01, 1).await;
    is_at(walk, 1, 0.1, 1).await;
    let found = database.find_candidates(&[order, OrderId::new()]).await.unwrap();
    let near = &found[&order].couriers;
    assert_eq!((near.len(), near[0].driver), (1, walk.drivers[0].id), "{found:?}");
    let metres = near[0].distance_m.unwrap();
    assert!((1_110..=1_115).contains(&metres), "{metres}");
    // Whoever is named is asked wherever it is.
    let named = [walk.drivers[1].id];
    let far = database.find_candidates_of(order, Some(&named)).await.unwrap();
    assert_eq!((far.len(), far[0].driver), (1, walk.drivers[1].id));
    // The nearer comes first; what is older than what is known is left alone.
    is_at(walk, 1, 0.005, 3).await;
    is_at(walk, 1, 0.1, 2).await;
    let both = database.find_candidates_of(order, None).await.unwrap();
    let drivers: Vec<_> = both.iter().map(|candidate| candidate.driver).collect();
    assert_eq!(drivers, [walk.drivers[1].id, walk.drivers[0].id]);

    let candidates = Candidates { version: found[&order].version, couriers: both };
    let looked_up = LookedUp { candidates: Some(candidates), ..LookedUp::default() };
    let outcome = elapse(walk, order, looked_up.clone()).await;
    assert!(matches!(&outcome, Outcome::Changed(sheet) if sheet.order.search.round == 1));
    // The round is over; who was looked up before it may be whom it asked.
    until(walk, order, "now()").await;
    let stale = elapse(walk, order, looked_up).await;
    assert!(matches!(&stale, Outcome::Repeated(sheet) if sheet.order.search.round == 1));
    until(walk, order, "now() + interval '1 h'").await;
    let asked = database.list_driver_offers(tenant, walk.drivers[1].id, 9).await.unwrap();
    assert_eq!((asked.len(), asked[0].order.id, asked[0].store.id), (1, order, walk.store.id));
    let offer = asked[0].offer.clone();
    let all = database.list_order_offers(tenant, order, 9).await.unwrap();
    assert_eq!(all, std::slice::from_ref(&offer));
    // Asked once a search, and not found by others.
    let again = database.find_candidates_of(order, None).await.unwrap();
    assert!(again.iter().all(|candidate| candidate.driver == walk.drivers[0].id));
    let other = walk.drivers[0].id;
    assert_eq!(database.find_offer(tenant, offer.id, other).await.unwrap(), None);
    let found = database.find_offer(tenant, offer.id, offer.driver).await.unwrap();
    assert_eq!(found, Some(offer.clone()));

    let rider = actor(Role::Driver, &offer.driver.to_string());
    let sheet = walk.change(rider.clone(), order, Command::AcceptOffer { offer: offer.id }).await;
    assert_eq!(sheet.order.driver, Some(offer.driver));
    let closed = database.find_offer(tenant, offer.id, offer.driver).await.unwrap().unwrap();
    assert_eq!(closed.state, OfferState::Accepted);
    assert!(closed.closed_at.is_some());
    // Said twice, it finds the offer as it is.
    let command = Box::new(Command::AcceptOffer { offer: offer.id });
    let repeated = walk.submit(rider.clone(), None, Target::Order { id: order, command }).await;
    assert!(matches!(repeated, Outcome::Repeated(_)), "{repeated:?}");

    // Two stops of one tour.
    let next = accepted(walk, "second").await;
    walk.change(actor(Role::Ops, "o"), next, Command::Assign { driver: offer.driver }).await;
    crate::locations::errands(walk, offer.driver, [order, next]).await;
    let tour =
        Target::Route { driver: offer.driver, batch: BatchId::new(), orders: vec![order, next] };
    let Outcome::Routed(stops) = walk.submit(rider.clone(), None, tour).await else {
        panic!("no tour")
    };
    let before: Vec<i32> = stops.iter().map(|stop| stop.order.route.before).collect();
    assert_eq!(before, [0, 1]);
    // The first stop is over: the timer of the second is brought forward, and it moves up.
    walk.client.batch_execute("update timers set due_at = now() + interval '1 h'").await.unwrap();
    let proofs = [ProofKind::Photo, ProofKind::Signature]
        .map(|kind| Proof { kind, reference: "here".to_owned() })
        .to_vec();
    walk.change(rider.clone(), order, Command::Pickup { proofs: vec![] }).await;
    let pin = Some("1234".to_owned());
    walk.change(rider, order, Command::Deliver { pin, proofs }).await;
    let woken = async || {
        let due = database.claim_timers(9, Duration::from_secs(1)).await.unwrap();
        due.claimed.iter().any(|(subject, _)| *subject == Subject::Order(next))
    };
    while !woken().await {
        tokio::task::yield_now().await;
    }
    let moved = elapse(walk, next, LookedUp::default()).await;
    assert!(matches!(&moved, Outcome::Changed(sheet) if sheet.order.route.before == 0));

    silence(walk).await;
    let reason = (ReasonCode::Duplicate, None);
    walk.change(actor(Role::Ops, "o"), next, Command::Cancel { reason }).await;
}

/// Orders wait, and nobody sees them: told once for the store.
async fn silence(walk: &Walk) {
    let mut waiting = Vec::new();
    for name in ["unseen", "unseen too"] {
        let draft = Draft { external_id: name.to_owned(), window: None, ..walk.draft() };
        waiting.push(draft.id);
        walk.place(draft, None).await;
    }
    assert_eq!(walk.database.find_unseen_orders(&waiting).await.unwrap(), []);
    let earlier =
        "update orders set placed_at = placed_at - interval '1 minute' where id = any ($1)";
    let ids: Vec<uuid::Uuid> = waiting.iter().map(|id| id.uuid()).collect();
    walk.client.execute(earlier, &[&ids]).await.unwrap();
    let unseen = walk.database.find_unseen_orders(&waiting).await.unwrap();
    assert_eq!(unseen.len(), 2);
    for (order, store) in unseen {
        let looked_up = LookedUp { unseen_at: Some(store), ..LookedUp::default() };
        elapse(walk, order, looked_up).await;
    }
    let told = "select count(*) from events where type = 'store.silent'";
    let told: i64 = walk.client.query_one(told, &[]).await.unwrap().try_get(0).unwrap();
    assert_eq!(told, 1);
    // It was told of the first one's store; the second is looked after again.
    let unseen = walk.database.find_unseen_orders(&waiting).await.unwrap();
    assert_eq!(unseen.len(), 1);
    for id in waiting {
        let reason = (ReasonCode::Duplicate, None);
        walk.change(actor(Role::Ops, "o"), id, Command::Cancel { reason }).await;
    }
}
