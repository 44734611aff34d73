//! Offers as they stand, and who could be asked next.

use std::collections::HashMap;

use jiff::Timestamp;
use postgres_types::{FromSql, ToSql};
use uuid::Uuid;

use super::record::{OrderRecord, StoreRecord};
use super::{Database, Error, read, statement};
use crate::domain::{
    Candidate, DriverId, Offer, OfferId, OfferState, Order, OrderId, Store, StoreId, TenantId,
    UnknownWord, Word as _,
};

/// How far from the store couriers are asked, in metres: a quarter of an hour by scooter.
const RADIUS_M: f64 = 5_000.0;
/// The nearest couriers among whom those with room are looked for. More are only there where a
/// city is full of couriers, and then these have room.
const NEAREST: i64 = 200;
/// Candidates of one order.
const CANDIDATES: i64 = 20;
/// Couriers on duty looked through for some of whom nobody knows where they are.
const UNLOCATED_LOOKED_AT: i64 = 1_000;

#[derive(Debug, Clone, FromSql, ToSql)]
#[postgres(name = "offer_record")]
pub(super) struct OfferRecord {
    id: Uuid,
    tenant_id: Uuid,
    order_id: Uuid,
    driver_id: Uuid,
    since: Timestamp,
    round: i32,
    state: String,
    sent_at: Timestamp,
    expires_at: Timestamp,
    closed_at: Option<Timestamp>,
    distance_m: Option<i32>,
}

impl OfferRecord {
    pub(super) fn is(&self, offer: &Offer) -> bool {
        self.id == offer.id.uuid()
    }

    pub(super) fn of(offer: &Offer, tenant: TenantId) -> Self {
        Self {
            id: offer.id.uuid(),
            tenant_id: tenant.uuid(),
            order_id: offer.order.uuid(),
            driver_id: offer.driver.uuid(),
            since: offer.since,
            round: offer.round,
            state: offer.state.word().to_owned(),
            sent_at: offer.sent_at,
            expires_at: offer.expires_at,
            closed_at: offer.closed_at,
            distance_m: offer.distance_m,
        }
    }
}

impl TryFrom<OfferRecord> for Offer {
    type Error = UnknownWord;
    fn try_from(record: OfferRecord) -> Result<Self, UnknownWord> {
        Ok(Self {
            id: OfferId::from_uuid(record.id),
            order: OrderId::from_uuid(record.order_id),
            driver: DriverId::from_uuid(record.driver_id),
            since: record.since,
            round: record.round,
            state: OfferState::find(&record.state)?,
            sent_at: record.sent_at,
            expires_at: record.expires_at,
            closed_at: record.closed_at,
            distance_m: record.distance_m,
        })
    }
}

pub(super) fn offer_of(row: &tokio_postgres::Row) -> Result<Offer, Error> {
    let record: OfferRecord = row.try_get("offer")?;
    Ok(record.try_into()?)
}

/// An offer that waits for a courier's answer, and what it is of.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The offer.
    pub offer: Offer,
    /// What is to be brought.
    pub order: Order,
    /// Where from.
    pub store: Store,
}

/// Who could be asked to bring an order as it was looked at. Every round and every courier is an
/// event of the order, so at another version somebody among them may have been asked since.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// The order's version then.
    pub version: i64,
    /// They, the best first.
    pub couriers: Vec<Candidate>,
}

impl Database {
    /// One courier's offer.
    pub async fn find_offer(
        &self,
        tenant: TenantId,
        id: OfferId,
        driver: DriverId,
    ) -> Result<Option<Offer>, Error> {
        let rows = read!(
            self,
            FIND_OFFER,
            /* tenant */ &tenant.uuid(),
            /* id */ &id.uuid(),
            /* driver */ &driver.uuid(),
        );
        rows.first().map(offer_of).transpose()
    }

    /// Who was asked for an order, the latest first, at most `limit`.
    pub async fn list_order_offers(
        &self,
        tenant: TenantId,
        order: OrderId,
        limit: u32,
    ) -> Result<Vec<Offer>, Error> {
        let rows = read!(
            self,
            LIST_ORDER_OFFERS,
            /* tenant */ &tenant.uuid(),
            /* order */ &order.uuid(),
            /* limit */ &i64::from(limit),
        );
        rows.iter().map(offer_of).collect()
    }

    /// What a courier is asked now, what ends first first, at most `limit`.
    pub async fn list_driver_offers(
        &self,
        tenant: TenantId,
        driver: DriverId,
        limit: u32,
    ) -> Result<Vec<Asked>, Error> {
        let rows = read!(
            self,
            LIST_DRIVER_OFFERS,
            /* tenant */ &tenant.uuid(),
            /* driver */ &driver.uuid(),
            /* limit */ &i64::from(limit),
        );
        let asked = rows.iter().map(|row| {
            let order: OrderRecord = row.try_get("record")?;
            let store: StoreRecord = row.try_get("store")?;
            Ok(Asked { offer: offer_of(row)?, order: order.try_into()?, store: store.into() })
        });
        asked.collect()
    }

    /// Who could be asked for those of `orders` whose search goes on now, and for no others; no
    /// courier for more orders than it has room for.
    pub async fn find_candidates(
        &self,
        orders: &[OrderId],
    ) -> Result<HashMap<OrderId, Candidates>, Error> {
        self.candidates(orders, None, false).await
    }

    /// Who could be asked for this order, whether or not it searches; of `drivers` only, wherever
    /// they are, if some are named.
    pub async fn find_candidates_of(
        &self,
        order: OrderId,
        drivers: Option<&[DriverId]>,
    ) -> Result<Vec<Candidate>, Error> {
        let mut found = self.candidates(&[order], drivers, true).await?;
        Ok(found.remove(&order).map(|found| found.couriers).unwrap_or_default())
    }

    async fn candidates(
        &self,
        orders: &[OrderId],
        drivers: Option<&[DriverId]>,
        is_asked: bool,
    ) -> Result<HashMap<OrderId, Candidates>, Error> {
        let mut found = HashMap::new();
        if orders.is_empty() {
            return Ok(found);
        }
        let ids: Vec<Uuid> = orders.iter().map(|id| id.uuid()).collect();
        let named: Option<Vec<Uuid>> =
            drivers.map(|drivers| drivers.iter().map(|id| id.uuid()).collect());
        let client = self.reading().await?;
        let statement = statement::FIND_CANDIDATES.prepare(&client).await?;
        let parameters: &[&(dyn ToSql + Sync)] = &[
            /* orders */ &ids,
            /* drivers */ &named,
            /* is_asked */ &is_asked,
            /* radius_m */ &RADIUS_M,
            /* nearest */ &NEAREST,
            /* limit */ &CANDIDATES,
        ];
        let rows = client.query(&statement, parameters).await?;
        let mut taken: HashMap<DriverId, i64> = HashMap::new();
        for row in &rows {
            let order = OrderId::from_uuid(row.try_get("order_id")?);
            let version = row.try_get("version")?;
            let candidates =
                found.entry(order).or_insert_with(|| Candidates { version, couriers: Vec::new() });
            if let Some(driver) = row.try_get::<_, Option<Uuid>>("driver_id")? {
                let room = row.try_get::<_, Option<i64>>("room")?.unwrap_or_default();
                let distance_m = row.try_get("distance_m")?;
                let driver = DriverId::from_uuid(driver);
                offer_to(&mut candidates.couriers, &mut taken, driver, room, distance_m);
            }
        }
        if named.is_none() {
            let statement = statement::FIND_UNLOCATED.prepare(&client).await?;
            for (order, Candidates { couriers, .. }) in &mut found {
                if !couriers.is_empty() {
                    continue;
                }
                let parameters: &[&(dyn ToSql + Sync)] = &[
                    /* order */ &order.uuid(),
                    /* looked_at */ &UNLOCATED_LOOKED_AT,
                    /* limit */ &CANDIDATES,
                ];
                for row in &client.query(&statement, parameters).await? {
                    let driver = DriverId::from_uuid(row.try_get("driver_id")?);
                    offer_to(couriers, &mut taken, driver, row.try_get("room")?, None);
                }
            }
        }
        Ok(found)
    }

    /// Which of `orders` wait for an answer so long that it is to be looked whether anybody at
    /// their stores can see them.
    pub async fn find_unseen_orders(
        &self,
        orders: &[OrderId],
    ) -> Result<Vec<(OrderId, StoreId)>, Error> {
        let ids: Vec<Uuid> = orders.iter().map(|id| id.uuid()).collect();
        let rows = read!(self, FIND_UNSEEN_ORDERS, /* orders */ &ids);
        let unseen = rows.iter().map(|row| {
            let order = OrderId::from_uuid(row.try_get("order_id")?);
            Ok((order, StoreId::from_uuid(row.try_get("store_id")?)))
        });
        unseen.collect()
    }

    /// Has the other stops of these couriers' tours looked at soon. What is missed is looked at
    /// with the next watch.
    pub(super) async fn wake_tours(&self, drivers: &[DriverId]) -> Result<(), Error> {
        let drivers: Vec<Uuid> = drivers.iter().map(|id| id.uuid()).collect();
        let client = self.reading().await?;
        let statement = statement::WAKE_TOURS.prepare(&client).await?;
        client.execute(&statement, &[/* drivers */ &drivers]).await?;
        Ok(())
    }
}

/// One more candidate, unless others of the same look have taken its room. The first of several
/// is who is asked first, so only for that one room is taken.
fn offer_to(
    candidates: &mut Vec<Candidate>,
    taken: &mut HashMap<DriverId, i64>,
    driver: DriverId,
    room: i64,
    distance_m: Option<i32>,
) {
    let taken = taken.entry(driver).or_default();
    if *taken < room {
        if candidates.is_empty() {
            *taken += 1;
        }
        candidates.push(Candidate { offer: OfferId::new(), driver, distance_m });
    }
}
