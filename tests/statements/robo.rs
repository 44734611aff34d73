//! Orders that go their way by themselves: their couriers, and where these are.

use ordercast::domain::{
    Actor, Command, Draft, Leg, OrderId, Place, ReasonCode, Role, Status, TenantPatch,
};
use ordercast::store::{LookedUp, Outcome, Target};
use ordercast::view::Sheet;
use serde_json::json;

use crate::bindings::{Walk, actor};

/// Its next step is due, and taken.
async fn step(walk: &Walk, order: OrderId) -> (Sheet, Option<Place>) {
    let due = "update orders set robo_at = now() - interval '1 s' where id = $1";
    assert_eq!(walk.client.execute(due, &[&order.uuid()]).await.unwrap(), 1);
    let found = walk.database.find_robo_couriers(&[order]).await.unwrap();
    let place = found.places.first().map(|(_, _, location)| location.place);
    let robo = found.couriers.get(&order).copied();
    let target = Target::Elapse { order, looked_up: LookedUp { robo, ..LookedUp::default() } };
    match walk.submit(Actor::system(), None, target).await {
        Outcome::Changed(sheet) => (*sheet, place),
        other => panic!("{other:?}"),
    }
}

/// To where it needs a courier.
async fn ready(walk: &Walk, name: &str) -> OrderId {
    let meta = json!({"robo": {"step_s": 3600}});
    let draft = Draft { external_id: name.to_owned(), window: None, meta, ..walk.draft() };
    let id = draft.id;
    assert!(matches!(walk.place(draft, None).await, Outcome::Placed(_)));
    assert!(walk.database.find_robo_couriers(&[id]).await.unwrap().couriers.is_empty());
    while step(walk, id).await.0.order.status != Status::Ready {}
    id
}

pub(crate) async fn robo(walk: &Walk) {
    let (database, tenant) = (&walk.database, walk.tenant);
    let on = TenantPatch { robo: Some(true), ..TenantPatch::default() };
    assert!(database.update_tenant(tenant, &on).await.unwrap().unwrap().robo);
    let orders = [ready(walk, "robo one").await, ready(walk, "robo two").await];
    let due = "update orders set robo_at = now() - interval '1 s' where id = any ($1)";
    let ids = orders.map(OrderId::uuid);
    walk.client.execute(due, &[&ids.as_slice()]).await.unwrap();
    // One for each, and the same again while nobody has given them anything.
    let couriers = database.find_robo_couriers(&orders).await.unwrap().couriers;
    assert_eq!(couriers.len(), 2, "{couriers:?}");
    assert_ne!(couriers[&orders[0]], couriers[&orders[1]]);
    let mut again: Vec<_> =
        database.find_robo_couriers(&orders).await.unwrap().couriers.into_values().collect();
    let mut known: Vec<_> = couriers.into_values().collect();
    again.sort_unstable();
    known.sort_unstable();
    assert_eq!(again, known);
    let named = database.list_drivers(tenant, None, Some("robo"), 9).await.unwrap();
    assert_eq!((named.len(), named[0].capacity), (1, 1));
    assert!(known.contains(&named[0].id));

    let (sheet, from) = step(walk, orders[0]).await;
    let order = sheet.order;
    assert_eq!((order.leg, order.status), (Leg::Assigned, Status::Ready));
    let store = database.find_store(tenant, walk.store.id).await.unwrap().unwrap().place;
    let from = from.unwrap();
    assert!(from.lat > store.lat && from.lat < store.lat + 0.01, "{from:?}");
    let (at_store, there) = step(walk, orders[0]).await;
    assert_eq!((at_store.order.leg, there), (Leg::AtStore, Some(store)));
    let (picked_up, _there) = step(walk, orders[0]).await;
    assert_eq!((picked_up.order.leg, picked_up.order.proofs.len()), (Leg::EnRoute, 0));
    let (at_door, there) = step(walk, orders[0]).await;
    let door = order.dropoff.unwrap().place;
    assert_eq!((at_door.order.leg, there), (Leg::AtDoor, Some(door)));
    // With the proofs and the PIN that it asks for; and nobody else is asked for it.
    let (delivered, _there) = step(walk, orders[0]).await;
    assert_eq!(delivered.order.status, Status::Delivered);
    assert_eq!(delivered.order.robo.unwrap().at, None);

    let reason = (ReasonCode::Duplicate, None);
    walk.change(actor(Role::Ops, "o"), orders[1], Command::Cancel { reason }).await;
    let off = TenantPatch { robo: Some(false), ..TenantPatch::default() };
    database.update_tenant(tenant, &off).await.unwrap();
}
