//! Webhooks: where they stand, who delivers to them, and what was tried.
//!
//! A process that delivers holds a lease, which every step renews and checks: who has lost it
//! writes nothing.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::log::{signed, unsigned};
use super::record::WebhookRecord;
use super::{Database, Error, read, statement};
use crate::domain::{EventId, TenantId, WebhookId};

/// An endpoint that a tenant's events are posted to.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its identifier.
    pub id: WebhookId,
    /// Whose events.
    pub tenant: TenantId,
    /// Where to.
    pub url: String,
    /// The types that it wants; `None` means all.
    pub types: Option<Vec<String>>,
    /// What deliveries are signed by.
    pub secret: Vec<u8>,
    /// The secret before, and until when it signs as well.
    pub prior: Option<(Vec<u8>, Timestamp)>,
    /// Whether anything is posted.
    pub enabled: bool,
    /// Why not, and since when.
    pub disabled: Option<(String, Timestamp)>,
    /// Position up to which everything that it wants has been delivered.
    pub cursor: u64,
    /// Failures since the last delivery.
    pub tries: u32,
    /// The first of these.
    pub failing_since: Option<Timestamp>,
    /// Nothing is posted before.
    pub next_try_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for Webhook {
    /// Without its secrets, and without its URL, which may hold one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("enabled", &self.enabled)
            .field("cursor", &self.cursor)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}

/// What to change of a webhook; `None` stays.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of Webhook")]
pub struct WebhookPatch {
    pub url: Option<String>,
    pub types: Option<Option<Vec<String>>>,
    pub enabled: Option<bool>,
}

/// One attempt, as it was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number among those of its webhook, from 1 on.
    pub nth: u64,
    /// The event that was posted.
    pub event: EventId,
    /// Its position; absent for a ping.
    pub position: Option<u64>,
    /// What came of it, in one word.
    pub outcome: String,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
    /// When it ended.
    pub at: Timestamp,
}

/// A delivery, to be noted.
#[derive(Debug, Clone, Copy)]
pub struct Delivered {
    /// The event.
    pub event: EventId,
    /// The HTTP status.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
}

/// A failure, to be noted.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// How many failures there were before, as far as who posted knows. If they were forgotten
    /// meanwhile, as something else was asked for, the next try is not put off.
    pub tries: u32,
    /// The event.
    pub event: EventId,
    /// Its position.
    pub position: u64,
    /// What came of it, in one word.
    pub outcome: &'a str,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
    /// How long to wait before the next try.
    pub delay: Duration,
    /// How long it may have been failing; then it is disabled.
    pub patience: Duration,
    /// Disables it at once, with this reason.
    pub reason: Option<&'a str>,
}

fn webhook_of(row: &tokio_postgres::Row) -> Result<Webhook, Error> {
    let record: WebhookRecord = row.try_get("webhook")?;
    Ok(record.into())
}

fn first(rows: &[tokio_postgres::Row]) -> Result<Option<Webhook>, Error> {
    rows.first().map(webhook_of).transpose()
}

/// Milliseconds as the database holds them; what is longer than weeks is cut.
fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

impl Database {
    /// Makes a webhook for what is committed from now on; `None` when its tenant has `most`.
    pub async fn insert_webhook(
        &self,
        (tenant, id): (TenantId, WebhookId),
        url: &str,
        types: Option<&[String]>,
        secret: &[u8],
        most: u32,
    ) -> Result<Option<Webhook>, Error> {
        let rows = read!(
            self,
            INSERT_WEBHOOK,
            /* id */ &id.uuid(),
            /* tenant */ &tenant.uuid(),
            /* url */ &url,
            /* types */ &types,
            /* secret */ &secret,
            /* most */ &i64::from(most),
        );
        first(&rows)
    }

    /// One webhook.
    pub async fn find_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, Error> {
        first(&read!(
            self,
            FIND_WEBHOOK,
            /* tenant */ &tenant.uuid(),
            /* id */ &id.uuid()
        ))
    }

    /// The tenant's webhooks after `after`, in order of their ids, at most `limit`.
    pub async fn list_webhooks(
        &self,
        tenant: TenantId,
        after: Option<WebhookId>,
        limit: u32,
    ) -> Result<Vec<Webhook>, Error> {
        let rows = read!(
            self,
            LIST_WEBHOOKS,
            /* tenant */ &tenant.uuid(),
            /* after */ &after.map_or(Uuid::nil(), WebhookId::uuid),
            /* limit */ &i64::from(limit),
        );
        rows.iter().map(webhook_of).collect()
    }

    /// Changes what is given of a webhook, and forgets what failed before.
    pub async fn update_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        patch: &WebhookPatch,
    ) -> Result<Option<Webhook>, Error> {
        let rows = read!(
            self,
            UPDATE_WEBHOOK,
            /* tenant */ &tenant.uuid(),
            /* id */ &id.uuid(),
            /* url */ &patch.url,
            /* sets_types */ &patch.types.is_some(),
            /* types */ &patch.types.as_ref().and_then(Option::as_ref),
            /* enabled */ &patch.enabled,
        );
        first(&rows)
    }

    /// Forgets a webhook.
    pub async fn delete_webhook(&self, tenant: TenantId, id: WebhookId) -> Result<(), Error> {
        let client = self.reading().await?;
        let statement = statement::DELETE_WEBHOOK.prepare(&client).await?;
        let deleted = &[/* tenant */ &tenant.uuid() as _, /* id */ &id.uuid() as _];
        client.execute(&statement, deleted).await?;
        Ok(())
    }

    /// Gives a webhook a new secret; the old one signs as well for `keep`.
    pub async fn rotate_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        secret: &[u8],
        keep: Duration,
    ) -> Result<Option<Webhook>, Error> {
        let rows = read!(
            self,
            ROTATE_WEBHOOK,
            /* tenant */ &tenant.uuid(),
            /* id */ &id.uuid(),
            /* secret */ &secret,
            /* keep_s */ &keep.as_secs_f64(),
        );
        first(&rows)
    }

    /// Has a webhook go on after another position, at once.
    pub async fn replay_webhook(
        &self,
        tenant: TenantId,
        id: WebhookId,
        after: u64,
    ) -> Result<Option<Webhook>, Error> {
        let rows = read!(
            self,
            REPLAY_WEBHOOK,
            /* tenant */ &tenant.uuid(),
            /* id */ &id.uuid(),
            /* after */ &signed(after),
        );
        first(&rows)
    }

    /// Whether anything is to be posted to anybody.
    pub async fn has_webhooks(&self) -> Result<bool, Error> {
        let rows = read!(self, FIND_ENABLED_WEBHOOK,);
        Ok(rows.first().map(|row| row.try_get("found")).transpose()?.unwrap_or(false))
    }

    /// Takes up at most `limit` webhooks with something to deliver that nobody delivers to, for
    /// `lease`: of `tenants`, or of all. They are the process's until it gives them free or the
    /// lease ends.
    pub async fn claim_webhooks(
        &self,
        process: Uuid,
        lease: Duration,
        tenants: Option<&[TenantId]>,
        limit: usize,
    ) -> Result<Vec<Webhook>, Error> {
        let tenants: Option<Vec<Uuid>> =
            tenants.map(|tenants| tenants.iter().map(|tenant| tenant.uuid()).collect());
        let rows = read!(
            self,
            CLAIM_WEBHOOKS,
            /* process */ &process,
            /* lease_s */ &lease.as_secs_f64(),
            /* tenants */ &tenants,
            /* limit */ &i64::try_from(limit).unwrap_or(i64::MAX),
        );
        rows.iter().map(webhook_of).collect()
    }

    /// Moves a webhook's cursor to `upto`, unless somebody moved it meanwhile, renews the lease,
    /// and notes the delivery if there was one, keeping the newest `kept` attempts. The webhook as
    /// it is now; `None` when the lease is lost.
    pub async fn advance_webhook(
        &self,
        process: Uuid,
        (webhook, upto): (&Webhook, u64),
        lease: Duration,
        delivered: Option<Delivered>,
        kept: u32,
    ) -> Result<Option<Webhook>, Error> {
        let status = delivered.and_then(|it| it.status).map(i32::from);
        let rows = read!(
            self,
            ADVANCE_WEBHOOK,
            /* id */ &webhook.id.uuid(),
            /* process */ &process,
            /* from */ &signed(webhook.cursor),
            /* upto */ &signed(upto),
            /* lease_s */ &lease.as_secs_f64(),
            /* event */ &delivered.map(|it| it.event.uuid()),
            /* status */ &status,
            /* duration_ms */ &delivered.map(|it| millis(it.duration)),
            /* kept */ &i64::from(kept),
        );
        first(&rows)
    }

    /// Notes a failure, gives the webhook free, and puts off the next try or disables it. The
    /// webhook as it is now; `None` when the lease is lost.
    pub async fn fail_webhook(
        &self,
        process: Uuid,
        webhook: WebhookId,
        failed: Failed<'_>,
        kept: u32,
    ) -> Result<Option<Webhook>, Error> {
        let rows = read!(
            self,
            FAIL_WEBHOOK,
            /* id */ &webhook.uuid(),
            /* process */ &process,
            /* event */ &failed.event.uuid(),
            /* position */ &signed(failed.position),
            /* outcome */ &failed.outcome,
            /* status */ &failed.status.map(i32::from),
            /* duration_ms */ &millis(failed.duration),
            /* delay_s */ &failed.delay.as_secs_f64(),
            /* patience_s */ &failed.patience.as_secs_f64(),
            /* reason */ &failed.reason,
            /* kept */ &i64::from(kept),
            /* tries */ &i32::try_from(failed.tries).unwrap_or(i32::MAX),
        );
        first(&rows)
    }

    /// Gives a webhook free, and disables it if there is a reason; whether there is more to
    /// deliver. False as well when the lease is lost.
    pub async fn release_webhook(
        &self,
        process: Uuid,
        webhook: WebhookId,
        reason: Option<&str>,
    ) -> Result<bool, Error> {
        let rows = read!(
            self,
            RELEASE_WEBHOOK,
            /* id */ &webhook.uuid(),
            /* process */ &process,
            /* reason */ &reason,
        );
        Ok(rows.first().map(|row| row.try_get("more")).transpose()?.unwrap_or(false))
    }

    /// Notes an attempt that is no delivery, keeping the newest `kept`.
    pub async fn note_webhook_ping(
        &self,
        (tenant, webhook): (TenantId, WebhookId),
        ping: Delivered,
        outcome: &str,
        kept: u32,
    ) -> Result<(), Error> {
        read!(
            self,
            NOTE_WEBHOOK_PING,
            /* tenant */ &tenant.uuid(),
            /* id */ &webhook.uuid(),
            /* event */ &ping.event.uuid(),
            /* outcome */ &outcome,
            /* status */ &ping.status.map(i32::from),
            /* duration_ms */ &millis(ping.duration),
            /* kept */ &i64::from(kept),
        );
        Ok(())
    }

    /// What was posted to a webhook before the attempt `before`, newest first, at most `limit`.
    pub async fn list_webhook_attempts(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Attempt>, Error> {
        let rows = read!(
            self,
            LIST_WEBHOOK_ATTEMPTS,
            /* tenant */ &tenant.uuid(),
            /* webhook */ &webhook.uuid(),
            /* before */ &before.map_or(i64::MAX, signed),
            /* limit */ &i64::from(limit),
        );
        rows.iter()
            .map(|row| {
                let duration: i32 = row.try_get("duration_ms")?;
                let status: Option<i32> = row.try_get("status")?;
                Ok(Attempt {
                    nth: unsigned(row.try_get("nth")?),
                    event: EventId::from_uuid(row.try_get("event_id")?),
                    position: row.try_get::<_, Option<i64>>("position")?.map(unsigned),
                    outcome: row.try_get("outcome")?,
                    status: status.and_then(|status| u16::try_from(status).ok()),
                    duration: Duration::from_millis(duration.unsigned_abs().into()),
                    at: row.try_get("at")?,
                })
            })
            .collect()
    }
}
