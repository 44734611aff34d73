//! Where couriers are, what they have to do, and where they were.

use std::time::Duration;

use jiff::Timestamp;
use ordercast::domain::{DriverId, Leg, Location, OrderId, Place, TenantId};

use crate::bindings::Walk;

fn point(n: i64, lat: f64, lng: f64) -> Location {
    Location {
        n,
        at: Timestamp::from_second(1_900_000_000 + n).unwrap(),
        place: Place { lat, lng },
        accuracy_m: Some(5.0),
        heading: None,
        speed: Some(3.5),
        battery: (n % 2 == 0).then_some(0.5),
    }
}

/// Couriers far from any store, so that nobody else finds them.
pub(crate) async fn walk(walk: &Walk) {
    let (database, tenant) = (&walk.database, walk.tenant);
    let [one, other] = [walk.drivers[0].id, walk.drivers[1].id];
    let (east, west) = (point(1, -40.0, 179.99), point(2, -40.0, -179.99));
    // Who is not there spoils nothing.
    let nobody = (tenant, DriverId::new(), point(3, -40.0, 179.0));
    database.note_locations(&[(tenant, one, east), nobody, (tenant, other, west)]).await.unwrap();
    let found = database.find_locations(tenant, &[one, nobody.1]).await.unwrap();
    assert_eq!((found.len(), found[0].driver, found[0].location), (1, one, east));
    let hour = Duration::from_hours(1);
    assert_eq!(database.list_locations(tenant, hour, 9).await.unwrap().len(), 2);
    assert_eq!(database.list_locations(tenant, hour, 1).await.unwrap().len(), 1);
    assert_eq!(database.list_locations(tenant, Duration::ZERO, 9).await.unwrap(), []);
    // What is older than what is known is left alone; of the same time the higher number counts.
    let older = Location { n: 9, at: Timestamp::UNIX_EPOCH, ..east };
    let same = Location { n: 5, battery: Some(0.25), ..east };
    database.note_locations(&[(tenant, one, older)]).await.unwrap();
    database.note_locations(&[(tenant, one, same)]).await.unwrap();
    database.note_locations(&[(tenant, one, east)]).await.unwrap();
    assert_eq!(database.find_locations(tenant, &[one]).await.unwrap()[0].location, same);
    // Across the date line, the nearest first.
    let place = Place { lat: -40.0, lng: 179.985 };
    let near = database.list_near_drivers(tenant, place, 3_000.0, 9).await.unwrap();
    let ids: Vec<DriverId> = near.iter().map(|near| near.driver.id).collect();
    assert_eq!(ids, [one, other]);
    assert!((425..=427).contains(&near[0].distance_m), "{near:?}");
    assert!((2_128..=2_132).contains(&near[1].distance_m) && near[1].age_s < 60.0, "{near:?}");
    assert_eq!(near[1].heard.location, west);
    let near = database.list_near_drivers(tenant, place, 2_000.0, 9).await.unwrap();
    assert_eq!(near.len(), 1);
    database.notify_locations(&["told".to_owned()]).await.unwrap();

    let all = [-90.0, -180.0, 90.0, 180.0];
    assert_eq!(database.list_area_stores(tenant, all, 9).await.unwrap(), [walk.store.id]);
    for sides in [[-41.0, 179.0, -39.0, -179.0], [53.0, 13.0, 54.0, 14.0], [52.0, 14.0, 53.0, 13.0]]
    {
        assert_eq!(database.list_area_stores(tenant, sides, 9).await.unwrap(), []);
    }

    let (_position, found) =
        database.list_errands(&[(tenant, one), (tenant, nobody.1)]).await.unwrap();
    assert_eq!((found.len(), found[&one].open.len()), (1, 0));
    assert_eq!(found[&one].vehicle, "car");
    assert!(database.find_errands(tenant, nobody.1).await.unwrap().is_none());
    let gone = "delete from driver_locations";
    walk.client.batch_execute(gone).await.unwrap();
    trails(walk, one).await;
}

/// Their ways are kept only where somebody wants them, and only for as long.
async fn trails(walk: &Walk, driver: DriverId) {
    let (database, tenant) = (&walk.database, walk.tenant);
    assert!(database.list_trailed_tenants().await.unwrap().is_empty());
    let set = async |hours: &str| {
        let sql = format!("update tenants set location_retention_h = {hours}");
        walk.client.batch_execute(&sql).await.unwrap();
    };
    let count = async |sql: &str| -> i64 {
        walk.client.query_one(sql, &[]).await.unwrap().try_get(0).unwrap()
    };
    let parts = "select count(*) from pg_inherits where inhparent = 'location_trail'::regclass";
    database.keep_trails().await.unwrap();
    assert_eq!(count(parts).await, 0);
    set("2").await;
    assert!(database.list_trailed_tenants().await.unwrap().contains(&tenant));
    database.keep_trails().await.unwrap();
    database.keep_trails().await.unwrap();
    assert_eq!(count(parts).await, 3);
    let now = Timestamp::from_millisecond(ordercast::auth::now().as_millisecond()).unwrap();
    let points = [1_i64, 2].map(|n| {
        let at = now + jiff::SignedDuration::from_secs(n);
        (tenant, driver, Location { at, ..point(n, 1.5, 2.5) })
    });
    database.append_trail(&points).await.unwrap();
    let kept = "select count(*) from location_trail";
    assert_eq!(count(kept).await, 2);
    let (long_ago, later) = (Timestamp::UNIX_EPOCH, "2100-01-01T00:00:00Z".parse().unwrap());
    let trail = async |tenant, after, limit| {
        let trail = database.list_trail(tenant, driver, after, later, limit).await.unwrap();
        trail.iter().map(|it| it.location).collect::<Vec<_>>()
    };
    let kept_points = points.map(|(_, _, point)| point);
    assert_eq!(trail(tenant, (long_ago, -1), 9).await, kept_points);
    assert_eq!(trail(tenant, (long_ago, -1), 1).await, kept_points[..1]);
    let first = kept_points[0];
    assert_eq!(trail(tenant, (first.at, first.n), 9).await, kept_points[1..]);
    assert!(trail(TenantId::new(), (long_ago, -1), 9).await.is_empty());
    // An hour that all of it is older than is dropped as a whole.
    walk.client
        .batch_execute(
            "create table location_trail_2020010100 partition of location_trail
                 for values from ('2020-01-01 00:00Z') to ('2020-01-01 01:00Z');
             insert into location_trail select '2020-01-01 00:30Z', tenant_id, driver_id, n, at, lat, lng
             from location_trail",
        )
        .await
        .unwrap();
    assert_eq!(count(kept).await, 4);
    database.keep_trails().await.unwrap();
    assert_eq!((count(kept).await, count(parts).await), (2, 3));
    // Of a tenant that does not want it any more nothing stays, while another wants it.
    let id = tenant.uuid();
    let another = "insert into tenants (id, name, location_retention_h)
                   select gen_random_uuid(), 'another', 3 where $1::uuid is not null";
    walk.client.execute(another, &[&id]).await.unwrap();
    let stops = "update tenants set location_retention_h = null where id = $1";
    walk.client.execute(stops, &[&id]).await.unwrap();
    database.keep_trails().await.unwrap();
    assert_eq!((count(kept).await, count(parts).await), (0, 3));
    set("null").await;
}

/// Two orders of one courier, who comes to their store.
pub(crate) async fn errands(walk: &Walk, driver: DriverId, orders: [OrderId; 2]) {
    let (_position, found) = walk.database.list_errands(&[(walk.tenant, driver)]).await.unwrap();
    let open = &found[&driver].open;
    assert_eq!(open.len(), 2);
    for open in open {
        assert!(orders.contains(&open.errand.order));
        assert_eq!((open.errand.leg, open.errand.store), (Leg::Assigned, walk.store.id));
        let store = walk.database.find_store(walk.tenant, walk.store.id).await.unwrap().unwrap();
        assert_eq!(open.target, Some(store.place));
    }
}
