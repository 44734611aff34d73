//! One batch: the changes of one transaction.
//!
//! Two round trips. The first locks and reads all that the changes concern; the order machine
//! then judges each change in memory, in batch order; the second, pipelined, writes what was
//! decided and commits. The log's head is locked last, so that the batches of several processes
//! overlap until there. Locks are taken in one order everywhere (orders, couriers, stores, new
//! external ids, keys, revocations, head; each ascending), so writers cannot deadlock. A timer is
//! written only under the lock of what it is of, and whoever claims timers waits for no lock.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::change::{Change, Outcome, Target};
use super::erase::Erasure;
use super::judge::{Room, Writes, key_scope};
use super::log::unsigned;
use super::record::{DriverRecord, OrderRecord, StoreRecord};
use super::timers::Subject;
use super::{Error, statement};
use crate::domain::{
    Command, CredentialId, Driver, DriverId, Order, Status, Store, StoreId, TenantId, TenantRules,
    Word as _,
};

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
    let (mut room, mut trace) = lock_and_read(client, changes).await?;
    let mut writes = Writes::default();
    let outcomes: Vec<Outcome> =
        changes.iter().map(|change| room.judge(change, &mut writes)).collect();
    if writes.is_empty() {
        client.batch_execute("rollback").await?;
        return Ok(Committed { outcomes, last: None, due_in: None });
    }
    trace.event = writes.events.first().map(|event| event.id);
    // Boxed: it holds every step of the pipeline, and would be part of all that awaits it.
    match Box::pin(write_and_commit(client, &writes, room.now)).await {
        Ok(last) => Ok(Committed { outcomes, last, due_in: writes.due_in(room.now) }),
        // The commit may have been carried out and only its answer lost.
        Err(error) if error.is_disconnect() => Err(BatchError::Unknown(trace, outcomes)),
        Err(error) => Err(error.into()),
    }
}

type Parameters<'a> = Vec<&'a (dyn postgres_types::ToSql + Sync)>;

/// One statement of a pipeline; one that no change needs is left out.
struct Step(Option<tokio_postgres::Statement>);

impl Step {
    async fn prepare(
        client: &Object,
        wanted: bool,
        statement: statement::Statement,
    ) -> Result<Self, tokio_postgres::Error> {
        Ok(Self(if wanted { Some(statement.prepare(client).await?) } else { None }))
    }

    /// Sends the statement when first polled, and waits for its rows.
    async fn run(
        &self,
        client: &Object,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        match &self.0 {
            Some(statement) => client.query(statement, &parameters).await,
            None => Ok(Vec::new()),
        }
    }
}

/// The first round trip.
async fn lock_and_read(client: &Object, changes: &[&Change]) -> Result<(Room, Trace), BatchError> {
    let mut tenants = HashSet::new();
    let (mut orders, mut drivers, mut assigned) = (vec![], vec![], vec![]);
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
            Target::Elapse { order } => orders.push(order.uuid()),
            Target::Order { id, command } => {
                orders.push(id.uuid());
                if let Command::Assign { driver } = command.as_ref() {
                    assigned.push(driver.uuid());
                }
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
    let lock_stores = Step::prepare(client, !paused.is_empty(), statement::LOCK_STORES).await?;
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
    let find_keys =
        Step::prepare(client, !key_texts.is_empty(), statement::FIND_IDEMPOTENCY_KEYS).await?;

    // Sent in this order without waiting in between; each statement sees what the locks of the
    // ones before it have settled.
    let (
        begun,
        transaction,
        locked,
        _drivers,
        _paused,
        _held,
        _ending,
        placed,
        store_rows,
        driver_rows,
        busy_rows,
        key_rows,
        revoked_rows,
    ) = futures::join!(
        client.batch_execute("begin"),
        client.query_one(&transaction, &[]),
        lock_orders.run(client, vec![&orders, &tenants]),
        lock_drivers.run(client, vec![&drivers, &tenants]),
        lock_stores.run(client, vec![&paused, &tenants]),
        hold_stores.run(client, vec![&placing, &tenants]),
        lock_ending.run(client, vec![&ending, &tenants]),
        find_placed.run(client, vec![&placed_tenants, &placed_ids]),
        read_stores.run(client, vec![&orders, &stores, &tenants]),
        read_drivers.run(client, vec![&orders, &drivers, &tenants]),
        find_busy.run(client, vec![&ending, &tenants]),
        find_keys.run(client, vec![&key_tenants, &key_scopes, &key_texts]),
        find_revoked.run(client, vec![&revoked_tenants, &revoked_ids]),
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
    for row in busy_rows? {
        room.busy_stores.insert(StoreId::from_uuid(row.try_get("id")?));
    }
    for row in revoked_rows? {
        let tenant = TenantId::from_uuid(row.try_get("tenant_id")?);
        room.revoked.insert((tenant, CredentialId::from_uuid(row.try_get("id")?)));
    }
    for row in key_rows? {
        let record: Option<OrderRecord> = row.try_get("record")?;
        if let Some(record) = record {
            let tenant = TenantId::from_uuid(row.try_get("tenant_id")?);
            let key = (tenant, row.try_get("scope")?, row.try_get("key")?);
            let order = Order::try_from(record).map_err(Error::from)?;
            room.keys.insert(key, (row.try_get("request_hash")?, order));
        }
    }
    room.complete(client, &tenants).await?;
    let (xid, after) = (transaction.try_get("xid")?, transaction.try_get("last")?);
    Ok((room, Trace { xid, after, event: None }))
}

fn order_of(row: &Row) -> Result<Order, Error> {
    let record: OrderRecord = row.try_get("record")?;
    Ok(record.try_into()?)
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
            self.drivers.insert(driver.id, (driver, row.try_get("active")?));
        }
        Ok(())
    }

    /// Reads the parties of orders that were found by external id or key: seldom needed, and
    /// only to answer with the whole order.
    async fn complete(&mut self, client: &Object, tenants: &[Uuid]) -> Result<(), BatchError> {
        let found = || {
            self.placed.values().map(|(order, _)| order).chain(self.keys.values().map(|(_, o)| o))
        };
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

/// Timers, as arrays of equal length.
#[derive(Default)]
struct TimerColumns {
    kinds: Vec<&'static str>,
    subjects: Vec<Uuid>,
    tenants: Vec<Uuid>,
    due_ats: Vec<Option<Timestamp>>,
}

impl TimerColumns {
    fn of(timers: Vec<&(Subject, TenantId, Option<Timestamp>)>) -> Self {
        let mut columns = Self::default();
        for (subject, tenant, due_at) in timers {
            columns.kinds.push(subject.kind());
            columns.subjects.push(subject.uuid());
            columns.tenants.push(tenant.uuid());
            columns.due_ats.push(*due_at);
        }
        columns
    }
}

/// The second round trip. The position of the last event, if there is one.
async fn write_and_commit(
    client: &Object,
    writes: &Writes,
    now: Timestamp,
) -> Result<Option<u64>, Error> {
    let insert =
        Step::prepare(client, !writes.inserted.is_empty(), statement::INSERT_ORDERS).await?;
    let update =
        Step::prepare(client, !writes.updated.is_empty(), statement::UPDATE_ORDERS).await?;
    let duty = Step::prepare(client, !writes.duties.is_empty(), statement::UPDATE_DUTY).await?;
    let pause = Step::prepare(client, !writes.pauses.is_empty(), statement::UPDATE_PAUSE).await?;
    let keys =
        Step::prepare(client, !writes.keys.is_empty(), statement::INSERT_IDEMPOTENCY_KEYS).await?;
    let revoke =
        Step::prepare(client, !writes.revoked.is_empty(), statement::INSERT_REVOKED_TOKENS).await?;
    let end_keys =
        Step::prepare(client, !writes.revoked.is_empty(), statement::END_CREDENTIALS).await?;
    let end_stores =
        Step::prepare(client, !writes.ended_stores.is_empty(), statement::END_STORES).await?;
    let end_drivers =
        Step::prepare(client, !writes.ended_drivers.is_empty(), statement::END_DRIVERS).await?;
    let (set, ended): (Vec<_>, Vec<_>) =
        writes.timers.iter().partition(|(_subject, _tenant, due_at)| due_at.is_some());
    let set_timers = Step::prepare(client, !set.is_empty(), statement::UPSERT_TIMERS).await?;
    let end_timers = Step::prepare(client, !ended.is_empty(), statement::DELETE_TIMERS).await?;
    let append = Step::prepare(client, !writes.events.is_empty(), statement::APPEND_EVENTS).await?;
    let erased: Vec<Uuid> = writes.erased.iter().map(|id| id.uuid()).collect();
    let erasure = Erasure::read(client, &erased).await?;
    erasure.write(client).await?;

    let (duty_ids, duty_words): (Vec<Uuid>, Vec<&str>) =
        writes.duties.iter().map(|(id, duty)| (id.uuid(), duty.word())).unzip();
    let (pause_ids, pause_untils): (Vec<Uuid>, Vec<Option<Timestamp>>) =
        writes.pauses.iter().map(|(id, until)| (id.uuid(), *until)).unzip();
    let mut key_columns = (vec![], vec![], vec![], vec![], vec![]);
    for (tenant, scope, key, record) in &writes.keys {
        key_columns.0.push(tenant.uuid());
        key_columns.1.push(scope.as_str());
        key_columns.2.push(key.key.as_str());
        key_columns.3.push(key.request_hash.as_slice());
        key_columns.4.push(record);
    }
    let mut revoked_columns = (vec![], vec![], vec![]);
    for (tenant, id, keep_until) in &writes.revoked {
        revoked_columns.0.push(tenant.uuid());
        revoked_columns.1.push(id.uuid());
        revoked_columns.2.push(*keep_until);
    }
    let (tenants, ids, keep_untils) = revoked_columns;
    let ended_stores: Vec<Uuid> = writes.ended_stores.iter().map(|id| id.uuid()).collect();
    let ended_drivers: Vec<Uuid> = writes.ended_drivers.iter().map(|id| id.uuid()).collect();
    let (set, ended) = (TimerColumns::of(set), TimerColumns::of(ended));
    // A parameter that cannot be sent fails at once, before the commit below is sent: it must
    // then not be. What the server refuses makes the commit a rollback by itself.
    let unsent = AtomicBool::new(false);
    let send = async |step: &Step, parameters: Parameters<'_>| {
        let rows = step.run(client, parameters).await;
        unsent.fetch_or(rows.is_err(), Ordering::Relaxed);
        rows
    };
    let commit = async {
        client
            .batch_execute(if unsent.load(Ordering::Relaxed) { "rollback" } else { "commit" })
            .await
    };
    let (
        inserted,
        updated,
        on_duty,
        drivers_ended,
        paused,
        stores_ended,
        kept,
        revoked,
        keys_ended,
        timers_set,
        timers_ended,
        appended,
        committed,
    ) = futures::join!(
        send(&insert, vec![&writes.inserted, &writes.request_hashes, &now]),
        send(&update, vec![&writes.updated, &writes.closed, &now]),
        send(&duty, vec![&duty_ids, &duty_words]),
        send(&end_drivers, vec![&ended_drivers, &now]),
        send(&pause, vec![&pause_ids, &pause_untils]),
        send(&end_stores, vec![&ended_stores, &now]),
        send(
            &keys,
            vec![
                &key_columns.0,
                &key_columns.1,
                &key_columns.2,
                &key_columns.3,
                &key_columns.4,
                &now,
            ]
        ),
        send(&revoke, vec![&tenants, &ids, &now, &keep_untils]),
        send(&end_keys, vec![&tenants, &ids, &now]),
        send(&set_timers, vec![&set.kinds, &set.subjects, &set.tenants, &set.due_ats]),
        send(&end_timers, vec![&ended.kinds, &ended.subjects, &ended.tenants]),
        send(&append, vec![&writes.events]),
        commit,
    );
    // The first that failed made the server refuse those after it, and turned the commit into a
    // rollback that reports success: so they are looked at in order, the commit last.
    inserted?;
    updated?;
    on_duty?;
    drivers_ended?;
    paused?;
    stores_ended?;
    kept?;
    revoked?;
    keys_ended?;
    timers_set?;
    timers_ended?;
    let appended = appended?;
    committed?;
    let last: Option<i64> = appended.first().map(|row| row.try_get("last")).transpose()?;
    Ok(last.map(unsigned))
}
