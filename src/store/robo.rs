//! Couriers of orders that go their way by themselves: made as they are needed, and somewhere on
//! the map.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Database, Error, read};
use crate::domain::{DriverId, Leg, Location, OrderId, Place, TenantId, Word as _};

/// Degrees to the north of the store, some 450 m, from where such a courier comes.
const COMES_FROM: f64 = 0.004;

/// Who brings orders that go their way by themselves.
#[derive(Debug, Default)]
pub struct RoboCouriers {
    /// The courier that each order is to be given to.
    pub couriers: HashMap<OrderId, DriverId>,
    /// Where the couriers are as they take the next step.
    pub places: Vec<(TenantId, DriverId, Location)>,
}

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

    fn location(&self) -> Location {
        Location {
            n: self.at.as_millisecond(),
            at: self.at,
            place: self.place(),
            accuracy_m: None,
            heading: None,
            speed: None,
            battery: None,
        }
    }
}

impl Database {
    /// Who is to bring those of `orders` that go their way by themselves and whose courier's turn
    /// has come: one who is free for each, made if there are too few; and where the couriers of
    /// all that are about to take a step are.
    pub async fn find_robo_couriers(&self, orders: &[OrderId]) -> Result<RoboCouriers, Error> {
        let ids: Vec<Uuid> = orders.iter().map(|id| id.uuid()).collect();
        let rows = read!(self, FIND_ROBO_ORDERS, /* orders */ &ids);
        let walkers: Vec<Walker> = rows.iter().map(Walker::from_row).collect::<Result<_, _>>()?;
        let mut wanting: HashMap<TenantId, Vec<OrderId>> = HashMap::new();
        for walker in walkers.iter().filter(|walker| walker.driver.is_none()) {
            wanting.entry(walker.tenant).or_default().push(walker.order);
        }
        let mut couriers: HashMap<OrderId, DriverId> = HashMap::new();
        for (tenant, orders) in wanting {
            let found = self.robo_couriers(tenant, orders.len()).await?;
            couriers.extend(orders.into_iter().zip(found));
        }
        let moved = walkers.iter().filter_map(|walker| {
            let driver = walker.driver.or_else(|| couriers.get(&walker.order).copied())?;
            Some((walker.tenant, driver, walker.location()))
        });
        let places = moved.collect();
        Ok(RoboCouriers { couriers, places })
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
}
