//! The second round trip of a batch: what was decided is written and committed.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Object;
use jiff::Timestamp;
use uuid::Uuid;

use super::erase::Erasure;
use super::log::unsigned;
use super::pipeline::{Parameters, Step};
use super::timers::Subject;
use super::writes::Writes;
use super::{Error, statement};
use crate::domain::{TenantId, Word as _};

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
pub(super) async fn write_and_commit(
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
    let offers = Step::prepare(client, !writes.offers.is_empty(), statement::UPSERT_OFFERS).await?;
    let erased: Vec<Uuid> = writes.erased.iter().map(|id| id.uuid()).collect();
    let erasure = Erasure::read(client, &erased).await?;
    erasure.write(client).await?;
    let proofs = Step::prepare(client, !writes.proofs.is_empty(), statement::INSERT_PROOFS).await?;
    let append = Step::prepare(client, !writes.events.is_empty(), statement::APPEND_EVENTS).await?;

    let (duty_ids, duty_words): (Vec<Uuid>, Vec<&str>) =
        writes.duties.iter().map(|(id, duty)| (id.uuid(), duty.word())).unzip();
    let (pause_ids, pause_untils): (Vec<Uuid>, Vec<Option<Timestamp>>) =
        writes.pauses.iter().map(|(id, until)| (id.uuid(), *until)).unzip();
    let mut key_columns = (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
    for (tenant, scope, key, answer) in &writes.keys {
        key_columns.0.push(tenant.uuid());
        key_columns.1.push(scope.as_str());
        key_columns.2.push(key.key.as_str());
        key_columns.3.push(key.request_hash.as_slice());
        key_columns.4.push(answer.created);
        key_columns.5.push(answer.order.as_ref());
        key_columns.6.push(answer.body.as_ref());
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
        offered,
        proved,
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
                &key_columns.5,
                &key_columns.6,
                &now,
            ]
        ),
        send(&revoke, vec![&tenants, &ids, &now, &keep_untils]),
        send(&end_keys, vec![&tenants, &ids, &now]),
        send(&set_timers, vec![&set.kinds, &set.subjects, &set.tenants, &set.due_ats]),
        send(&end_timers, vec![&ended.kinds, &ended.subjects, &ended.tenants]),
        send(&offers, vec![&writes.offers]),
        send(&proofs, vec![&writes.proofs]),
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
    offered?;
    proved?;
    let appended = appended?;
    committed?;
    let last: Option<i64> = appended.first().map(|row| row.try_get("last")).transpose()?;
    Ok(last.map(unsigned))
}
