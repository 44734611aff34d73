//! One batch: the changes of one transaction.
//!
//! Two round trips. The first locks and reads all that the changes concern; the order machine
//! then judges each change in memory, in batch order; the second, pipelined, writes what was
//! decided and commits. The log's head is locked last, so that the batches of several processes
//! overlap until there. Locks are taken in one order everywhere (orders, couriers, stores, new
//! external ids, keys, revocations, head; each ascending), so writers cannot deadlock. A timer is
//! written only under the lock of what it is of, and whoever claims timers waits for no lock.

use std::collections::HashSet;
use std::time::Duration;

use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::change::{Change, Outcome, Target};
use super::commit::write_and_commit;
use super::judge::{Room, key_scope};
use super::kept::{Before, What};
use super::offers::offer_of;
use super::pipeline::Step;
use super::record::{DriverRecord, OrderRecord, StoreRecord};
use super::writes::Writes;
use super::{Error, statement};
use crate::domain::{
    Command, CredentialId, Driver, DriverId, OfferMode, OfferRules, Order, OrderId, Place, Status,
    Store, StoreId, TenantId, TenantRules, Word as _,
};

/// That nobody at a store sees its orders is told no more often.
const SILENCE_PAUSE: Duration = Duration::from_mins(10);

/// How a batch failed.
#[derive(Debug)]
pub(super) enum BatchError {
    /// Nothing was committed.
    Failed(Error),
    /// The connection was lost while committing: these are the outcomes if it did commit, one for
    /// each change, and what tells whether it did.
    Unknown(Trace, Vec<Outcome>),
}

/// What a batch leaves behind if it commits.
///
/// The transaction's id alone does not tell: a crash of the server forgets ids whose writes it
/// had not yet synced, and gives them out again, so that another transaction's commit would pass
/// for ours. The event was drawn by us and is nobody else's.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    /// The transaction's id, as `pg_xact_status` takes it.
    pub(super) xid: String,
    /// A position before all of the batch's events.
    pub(super) after: i64,
    /// One of its events; absent when it has none.
    pub(super) event: Option<Uuid>,
}

impl From<Error> for BatchError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
impl From<tokio_postgres::Error> for BatchError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// A batch's outcomes, one for each change, and how far the log reaches after it.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) outcomes: Vec<Outcome>,
    /// The position of the batch's last event; absent when it wrote none.
    pub(super) last: Option<u64>,
    /// How long until the first of what it made due; absent when that is nothing.
    pub(super) due_in: Option<Duration>,
    /// Couriers whose tours have lost a stop.
    pub(super) tours: Vec<DriverId>,
}

/// Runs one batch in one transaction. No two changes may concern the same order, external id,
/// courier's duty, store's pause, token or key; a store is deleted by a batch without another.
pub(super) async fn run_batch(
    client: &Object,
    changes: &[&Change],
) -> Result<Committed, BatchError> {
    let result = attempt(client, changes).await;
    if matches!(result, Err(BatchError::Failed(_))) && !client.is_closed() {
        // Whether or not a transaction was begun, none must be left behind.
        if let Err(error) = client.batch_execute("rollback").await {
            tracing::debug!(%error, "rolling back a failed batch");
        }
    }
    result
}

async fn attempt(client: &Object, changes: &[&Change]) -> Result<Committed, BatchError> {
    // Boxed: it holds every step of its pipeline, and would be part of all that awaits it.
    let (mut room, mut trace) = Box::pin(lock_and_read(client, changes)).await?;
    let mut writes = Writes::default();
    let outcomes: Vec<Outcome> =
        changes.iter().map(|change| room.judge(change, &mut writes)).collect();
    if writes.is_empty() {
        client.batch_execute("rollback").await?;
        return Ok(Committed { outcomes, last: None, due_in: None, tours: Vec::new() });
    }
    trace.event = writes.events.first().map(|event| event.id);
    // Boxed: it holds every step of the pipeline, and would be part of all that awaits it.
    match Box::pin(write_and_commit(client, &writes, room.now)).await {
        Ok(last) => {
            let due_in = writes.due_in(room.now);
            let tours = writes.tours.into_iter().collect();
            Ok(Committed { outcomes, last, due_in, tours })
        }
        // The commit may have been carried out and only its answer lost.
        Err(error) if error.is_disconnect() => Err(BatchError::Unknown(trace, outcomes)),
        Err(error) => Err(error.into()),
    }
}

/// The first round trip.
async fn lock_and_read(client: &Object, changes: &[&Change]) -> Result<(Room, Trace), BatchError> {
    let mut tenants = HashSet::new();
    let (mut orders, mut drivers, mut assigned) = (vec![], vec![], vec![]);
    let (mut elapsing, mut answered, mut unseen) = (vec![], vec![], vec![]);
    let (mut placing, mut paused, mut ending) = (vec![], vec![], vec![]);
    let (mut revoked_tenants, mut revoked_ids) = (vec![], vec![]);
    let (mut placed_tenants, mut placed_ids) = (vec![], vec![]);
    let (mut key_tenants, mut key_scopes, mut key_texts) = (vec![], vec![], vec![]);
    for change in changes {
        tenants.insert(change.tenant.uuid());
        match &change.target {
            Target::Place { draft, .. } => {
                placing.push(draft.store.uuid());
                placed_tenants.push(change.tenant.uuid());
                placed_ids.push(draft.external_id.as_str());
            }
            Target::Elapse { order, looked_up } => {
                orders.push(order.uuid());
                elapsing.push(order.uuid());
                assigned.extend(looked_up.robo.map(DriverId::uuid));
                unseen.extend(looked_up.unseen_at.map(StoreId::uuid));
            }
            Target::Order { id, command } => {
                orders.push(id.uuid());
                if let Command::Assign { driver } = command.as_ref() {
                    assigned.push(driver.uuid());
                }
                if let Command::AcceptOffer { offer } | Command::DeclineOffer { offer } =
                    command.as_ref()
                {
                    assigned.extend(change.by.id.parse().map(DriverId::uuid));
                    answered.push(offer.uuid());
                }
            }
            Target::Route { driver, orders: stops, .. } => {
                assigned.push(driver.uuid());
                orders.extend(stops.iter().map(|stop| stop.uuid()));
            }
            Target::Duty { driver, .. } | Target::DeleteDriver { driver } => {
                drivers.push(driver.uuid());
            }
            Target::Pause { store, .. } => paused.push(store.uuid()),
            Target::DeleteStore { store } => ending.push(store.uuid()),
            Target::Revoke { token, .. } => {
                revoked_tenants.push(change.tenant.uuid());
                revoked_ids.push(token.uuid());
            }
        }
        if let Some(key) = &change.idempotency {
            key_tenants.push(change.tenant.uuid());
            key_scopes.push(key_scope(change));
            key_texts.push(key.key.as_str());
        }
    }
    drivers.extend_from_slice(&assigned);
    let stores = [placing.as_slice(), paused.as_slice(), ending.as_slice()].concat();
    let tenants: Vec<Uuid> = tenants.into_iter().collect();

    let transaction = statement::READ_TRANSACTION.prepare(client).await?;
    let lock_orders = Step::prepare(client, !orders.is_empty(), statement::LOCK_ORDERS).await?;
    let lock_drivers = Step::prepare(client, !drivers.is_empty(), statement::LOCK_DRIVERS).await?;
    // With those that are told to be silent: two statements would each lock theirs in order, and
    // both together in none.
    let marked = [paused.as_slice(), unseen.as_slice()].concat();
    let lock_stores = Step::prepare(client, !marked.is_empty(), statement::LOCK_STORES).await?;
    let hold_stores = Step::prepare(client, !placing.is_empty(), statement::HOLD_STORES).await?;
    let lock_ending =
        Step::prepare(client, !ending.is_empty(), statement::LOCK_ENDING_STORES).await?;
    let find_busy = Step::prepare(client, !ending.is_empty(), statement::FIND_BUSY_STORES).await?;
    let find_revoked =
        Step::prepare(client, !revoked_ids.is_empty(), statement::FIND_REVOKED_TOKENS).await?;
    let find_placed =
        Step::prepare(client, !placed_ids.is_empty(), statement::FIND_PLACED_ORDERS).await?;
    let read_stores = Step::prepare(
        client,
        !orders.is_empty() || !stores.is_empty(),
        statement::READ_BATCH_STORES,
    )
    .await?;
    let read_drivers = Step::prepare(
        client,
        !orders.is_empty() || !drivers.is_empty(),
        statement::READ_BATCH_DRIVERS,
    )
    .await?;
    let read_offers =
        Step::prepare(client, !orders.is_empty(), statement::READ_BATCH_OFFERS).await?;
    let read_stops =
        Step::prepare(client, !elapsing.is_empty(), statement::READ_BATCH_STOPS).await?;
    let note_silent =
        Step::prepare(client, !unseen.is_empty(), statement::NOTE_SILENT_STORES).await?;
    let pause_s = SILENCE_PAUSE.as_secs_f64();
    let find_keys =
        Step::prepare(client, !key_texts.is_empty(), statement::FIND_IDEMPOTENCY_KEYS).await?;

    // Sent in this order without waiting in between; each statement sees what the locks of the
    // ones before it have settled.
    let (
        begun,
        transaction,
        locked,
        _drivers,
        _marked,
        silent_rows,
        _held,
        _ending,
        placed,
        store_rows,
        driver_rows,
        busy_rows,
        key_rows,
        revoked_rows,
        offer_rows,
        stop_rows,
    ) = futures::join!(
        client.batch_execute("begin"),
        client.query_one(&transaction, &[]),
        lock_orders.run(client, vec![&orders, &tenants]),
        lock_drivers.run(client, vec![&drivers, &tenants]),
        lock_stores.run(client, vec![&marked, &tenants]),
        note_silent.run(client, vec![&unseen, &tenants, &pause_s]),
        hold_stores.run(client, vec![&placing, &tenants]),
        lock_ending.run(client, vec![&ending, &tenants]),
        find_placed.run(client, vec![&placed_tenants, &placed_ids]),
        read_stores.run(client, vec![&orders, &stores, &tenants]),
        read_drivers.run(client, vec![&orders, &drivers, &tenants]),
        find_busy.run(client, vec![&ending, &tenants]),
        find_keys.run(client, vec![&key_tenants, &key_scopes, &key_texts]),
        find_revoked.run(client, vec![&revoked_tenants, &revoked_ids]),
        read_offers.run(client, vec![&orders, &answered, &tenants]),
        read_stops.run(client, vec![&elapsing, &tenants]),
    );
    begun?;
    let transaction = transaction?;
    let mut room = Room { now: transaction.try_get("at")?, ..Room::default() };
    for row in locked? {
        let order = order_of(&row)?;
        room.orders.insert(order.id, order);
    }
    for row in placed? {
        let order = order_of(&row)?;
        let hash = row.try_get("request_hash")?;
        room.placed.insert((order.tenant, order.external_id.clone()), (order, hash));
    }
    room.add_parties(&store_rows?, &driver_rows?)?;
    for row in offer_rows? {
        let offer = offer_of(&row)?;
        room.offers.entry(offer.order).or_default().push(offer);
    }
    for row in stop_rows? {
        let stops: i64 = row.try_get("stops")?;
        let order = OrderId::from_uuid(row.try_get("order_id")?);
        room.stops.insert(order, i32::try_from(stops).unwrap_or(i32::MAX));
    }
    for row in silent_rows? {
        room.silent.insert(StoreId::from_uuid(row.try_get("id")?));
    }
    for row in busy_rows? {
        room.busy_stores.insert(StoreId::from_uuid(row.try_get("id")?));
    }
    for row in revoked_rows? {
        let tenant = TenantId::from_uuid(row.try_get("tenant_id")?);
        room.revoked.insert((tenant, CredentialId::from_uuid(row.try_get("id")?)));
    }
    for row in key_rows? {
        let tenant = TenantId::from_uuid(row.try_get("tenant_id")?);
        let key = (tenant, row.try_get("scope")?, row.try_get("key")?);
        let record: Option<OrderRecord> = row.try_get("record")?;
        let what = match record {
            Some(record) => What::Order(Box::new(record.try_into().map_err(Error::from)?)),
            None => What::Other(row.try_get("answer")?),
        };
        let (request_hash, created) = (row.try_get("request_hash")?, row.try_get("created")?);
        room.keys.insert(key, Before { request_hash, created, what });
    }
    room.complete(client, &tenants).await?;
    let (xid, after) = (transaction.try_get("xid")?, transaction.try_get("last")?);
    Ok((room, Trace { xid, after, event: None }))
}

fn order_of(row: &Row) -> Result<Order, Error> {
    let record: OrderRecord = row.try_get("record")?;
    Ok(record.try_into()?)
}

fn offer_rules(row: &Row) -> Result<OfferRules, Error> {
    let mode: Option<&str> = row.try_get("offer_mode")?;
    let lead_s: i32 = row.try_get("search_lead_s")?;
    Ok(OfferRules {
        mode: mode.map(OfferMode::find).transpose()?,
        offer_s: row.try_get("offer_s")?,
        rounds: row.try_get("offer_rounds")?,
        lead: Duration::from_secs(u64::from(lead_s.unsigned_abs())),
    })
}

impl Room {
    fn add_parties(&mut self, stores: &[Row], drivers: &[Row]) -> Result<(), Error> {
        for row in stores {
            let record: StoreRecord = row.try_get("store")?;
            let store = Store::from(record);
            let accept_s: i32 = row.try_get("accept_s")?;
            let rules = TenantRules {
                accept_window: Duration::from_secs(u64::from(accept_s.unsigned_abs())),
                customer_cancel_until: Status::find(row.try_get("customer_cancel_until")?)?,
                offers: offer_rules(row)?,
                robo: row.try_get("robo")?,
            };
            if row.try_get("deleted")? {
                self.deleted_stores.insert(store.id);
            }
            self.stores.insert(store.id, (store, rules));
        }
        for row in drivers {
            let record: DriverRecord = row.try_get("driver")?;
            let driver = Driver::try_from(record)?;
            if row.try_get("deleted")? {
                self.deleted_drivers.insert(driver.id);
            }
            let place = row.try_get::<_, Option<f64>>("lat")?.zip(row.try_get("lng")?);
            let seen_at: Option<Timestamp> = row.try_get("seen_at")?;
            if let Some(((lat, lng), at)) = place.zip(seen_at) {
                self.seen.insert(driver.id, (Place { lat, lng }, at));
            }
            self.drivers.insert(driver.id, (driver, row.try_get("active")?));
        }
        Ok(())
    }

    /// Reads the parties of orders that were found by external id or key: seldom needed, and
    /// only to answer with the whole order.
    async fn complete(&mut self, client: &Object, tenants: &[Uuid]) -> Result<(), BatchError> {
        let kept = || {
            self.keys.values().filter_map(|before| match &before.what {
                What::Order(order) => Some(&**order),
                What::Other(_) => None,
            })
        };
        let found = || self.placed.values().map(|(order, _)| order).chain(kept());
        let stores: Vec<Uuid> = found()
            .filter(|order| !self.stores.contains_key(&order.store))
            .map(|order| order.store.uuid())
            .collect();
        let drivers: Vec<Uuid> = found()
            .filter_map(|order| order.driver)
            .filter(|driver| !self.drivers.contains_key(driver))
            .map(DriverId::uuid)
            .collect();
        if stores.is_empty() && drivers.is_empty() {
            return Ok(());
        }
        let read_stores = Step::prepare(client, true, statement::READ_BATCH_STORES).await?;
        let read_drivers = Step::prepare(client, true, statement::READ_BATCH_DRIVERS).await?;
        let none: &[Uuid] = &[];
        let (store_rows, driver_rows) = futures::try_join!(
            read_stores.run(client, vec![&none, &stores, &tenants]),
            read_drivers.run(client, vec![&none, &drivers, &tenants]),
        )?;
        self.add_parties(&store_rows, &driver_rows)?;
        Ok(())
    }
}
