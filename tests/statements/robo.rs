//! Orders that go their way by themselves: their couriers, and where these are.

use ordercast::domain::{
    Actor, Command, Draft, DriverId, Leg, OrderId, ReasonCode, Role, Status, TenantPatch,
};
use ordercast::store::{LookedUp, Outcome, Target};
use ordercast::view::Sheet;
use serde_json::json;

use crate::bindings::{Walk, actor};

/// Its next step is due, and taken.
async fn step(walk: &Walk, order: OrderId) -> Sheet {
    let due = "update orders set robo_at = now() - interval '1 s' where id = $1";
    assert_eq!(walk.client.execute(due, &[&order.uuid()]).await.unwrap(), 1);
    let robo = walk.database.find_robo_couriers(&[order]).await.unwrap().remove(&order);
    let target = Target::Elapse { order, looked_up: LookedUp { robo, ..LookedUp::default() } };
    match walk.submit(Actor::system(), None, target).await {
        Outcome::Changed(sheet) => *sheet,
        other => panic!("{other:?}"),
    }
}

/// To where it needs a courier.
async fn ready(walk: &Walk, name: &str) -> OrderId {
    let meta = json!({"robo": {"step_s": 3600}});
    let draft = Draft { external_id: name.to_owned(), window: None, meta, ..walk.draft() };
    let id = draft.id;
    assert!(matches!(walk.place(draft, None).await, Outcome::Placed(_)));
    assert!(walk.database.find_robo_couriers(&[id]).await.unwrap().is_empty());
    while step(walk, id).await.order.status != Status::Ready {}
    id
}

async fn place(walk: &Walk, driver: DriverId) -> (f64, f64) {
    let sql = "select lat, lng from driver_locations where driver_id = $1";
    let row = walk.client.query_one(sql, &[&driver.uuid()]).await.unwrap();
    (row.try_get(0).unwrap(), row.try_get(1).unwrap())
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
    let couriers = database.find_robo_couriers(&orders).await.unwrap();
    assert_eq!(couriers.len(), 2, "{couriers:?}");
    assert_ne!(couriers[&orders[0]], couriers[&orders[1]]);
    let mut again: Vec<_> =
        database.find_robo_couriers(&orders).await.unwrap().into_values().collect();
    let mut known: Vec<_> = couriers.into_values().collect();
    again.sort_unstable();
    known.sort_unstable();
    assert_eq!(again, known);
    let named = database.list_drivers(tenant, None, Some("robo"), 9).await.unwrap();
    assert_eq!((named.len(), named[0].capacity), (1, 1));
    assert!(known.contains(&named[0].id));

    let sheet = step(walk, orders[0]).await;
    let (order, courier) = (sheet.order, sheet.driver.unwrap());
    assert_eq!((order.leg, order.status), (Leg::Assigned, Status::Ready));
    let store = database.find_store(tenant, walk.store.id).await.unwrap().unwrap().place;
    let from = place(walk, courier.id).await;
    assert!(from.0 > store.lat && from.0 < store.lat + 0.01, "{from:?}");
    assert_eq!(step(walk, orders[0]).await.order.leg, Leg::AtStore);
    assert_eq!(place(walk, courier.id).await, (store.lat, store.lng));
    let picked_up = step(walk, orders[0]).await;
    assert_eq!((picked_up.order.leg, picked_up.order.proofs.len()), (Leg::EnRoute, 0));
    assert_eq!(step(walk, orders[0]).await.order.leg, Leg::AtDoor);
    let door = order.dropoff.unwrap().place;
    assert_eq!(place(walk, courier.id).await, (door.lat, door.lng));
    // With the proofs and the PIN that it asks for; and nobody else is asked for it.
    let delivered = step(walk, orders[0]).await;
    assert_eq!(delivered.order.status, Status::Delivered);
    assert_eq!(delivered.order.robo.unwrap().at, None);

    let reason = (ReasonCode::Duplicate, None);
    walk.change(actor(Role::Ops, "o"), orders[1], Command::Cancel { reason }).await;
    let off = TenantPatch { robo: Some(false), ..TenantPatch::default() };
    database.update_tenant(tenant, &off).await.unwrap();
}
