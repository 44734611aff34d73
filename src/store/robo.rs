//! Couriers of orders that go their way by themselves: made as they are needed, and somewhere on
//! the map.

use std::collections::HashMap;

use futures::future::join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Database, Error, Location, read};
use crate::domain::{DriverId, Leg, OrderId, Place, TenantId, Word as _};

/// Degrees to the north of the store, some 450 m, from where such a courier comes.
const COMES_FROM: f64 = 0.004;

/// An order that is about to take a step with a courier.
struct Walker {
    order: OrderId,
    tenant: TenantId,
    driver: Option<DriverId>,
    leg: Leg,
    at: Timestamp,
    store: Place,
    door: Option<Place>,
}

impl Walker {
    fn from_row(row: &tokio_postgres::Row) -> Result<Self, Error> {
        let door = row.try_get::<_, Option<f64>>("lat")?.zip(row.try_get("lng")?);
        Ok(Self {
            order: OrderId::from_uuid(row.try_get("order_id")?),
            tenant: TenantId::from_uuid(row.try_get("tenant_id")?),
            driver: row.try_get::<_, Option<Uuid>>("driver_id")?.map(DriverId::from_uuid),
            leg: Leg::find(row.try_get("leg")?)?,
            at: row.try_get("at")?,
            store: Place { lat: row.try_get("store_lat")?, lng: row.try_get("store_lng")? },
            door: door.map(|(lat, lng)| Place { lat, lng }),
        })
    }

    /// Where its courier is as it takes the step.
    fn place(&self) -> Place {
        let Self { store, door, .. } = *self;
        let door = door.unwrap_or(store);
        match self.leg {
            Leg::None | Leg::Offering => Place { lat: (store.lat + COMES_FROM).min(90.0), ..store },
            Leg::Assigned | Leg::Closed => store,
            // It sets out, and the way is shown by its middle.
            Leg::AtStore => Place {
                lat: f64::midpoint(store.lat, door.lat),
                lng: f64::midpoint(store.lng, door.lng),
            },
            Leg::EnRoute | Leg::AtDoor => door,
        }
    }
}

impl Database {
    /// Who is to bring those of `orders` that go their way by themselves and whose courier's turn
    /// has come: one who is free for each, made if there are too few. The couriers of all that
    /// are about to take a step are moved on the map.
    pub async fn find_robo_couriers(
        &self,
        orders: &[OrderId],
    ) -> Result<HashMap<OrderId, DriverId>, Error> {
        let ids: Vec<Uuid> = orders.iter().map(|id| id.uuid()).collect();
        let rows = read!(self, FIND_ROBO_ORDERS, /* orders */ &ids);
        let mut walkers: Vec<Walker> =
            rows.iter().map(Walker::from_row).collect::<Result<_, _>>()?;
        let mut wanting: HashMap<TenantId, Vec<OrderId>> = HashMap::new();
        for walker in walkers.iter().filter(|walker| walker.driver.is_none()) {
            wanting.entry(walker.tenant).or_default().push(walker.order);
        }
        let mut found = HashMap::new();
        for (tenant, orders) in wanting {
            let couriers = self.robo_couriers(tenant, orders.len()).await?;
            found.extend(orders.into_iter().zip(couriers));
        }
        for walker in &mut walkers {
            walker.driver = walker.driver.or_else(|| found.get(&walker.order).copied());
        }
        let moved = join_all(walkers.iter().map(|walker| self.move_robo(walker))).await;
        for error in moved.into_iter().filter_map(Result::err) {
            // The order goes on all the same.
            tracing::debug!(%error, "a robo courier could not be moved");
        }
        Ok(found)
    }

    /// So many couriers of a tenant who are free; fewer when another process makes them too.
    async fn robo_couriers(&self, tenant: TenantId, count: usize) -> Result<Vec<DriverId>, Error> {
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = read!(
            self,
            FIND_ROBO_COURIERS,
            /* tenant */ &tenant.uuid(),
            /* limit */ &limit
        );
        let id = |row: &tokio_postgres::Row| Ok(DriverId::from_uuid(row.try_get("id")?));
        let mut couriers = rows.iter().map(id).collect::<Result<Vec<_>, Error>>()?;
        let missing = count - couriers.len();
        if missing > 0 {
            let fresh: Vec<Uuid> = (0..missing).map(|_| DriverId::new().uuid()).collect();
            let rows = read!(
                self,
                INSERT_ROBO_COURIERS,
                /* ids */ &fresh,
                /* tenant */ &tenant.uuid()
            );
            couriers.extend(rows.iter().map(id).collect::<Result<Vec<_>, Error>>()?);
        }
        Ok(couriers)
    }

    async fn move_robo(&self, walker: &Walker) -> Result<(), Error> {
        let Some(driver) = walker.driver else { return Ok(()) };
        let location = Location {
            n: walker.at.as_millisecond(),
            at: walker.at,
            place: walker.place(),
            accuracy_m: None,
            heading: None,
            speed: None,
            battery: None,
        };
        self.note_location(walker.tenant, driver, &location).await?;
        Ok(())
    }
}
