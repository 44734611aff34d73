//! Webhooks, statement by statement: leases, cursors, failures, and what is kept of attempts.

use std::time::Duration;

use ordercast::domain::{EventId, TenantId, WebhookId};
use ordercast::store::{Database, Delivered, Failed, Webhook, WebhookPatch};
use tokio_postgres::Client;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_hours(24);

fn failed(outcome: &str) -> Failed<'_> {
    Failed {
        tries: 0,
        event: EventId::new(),
        position: 1,
        outcome,
        status: None,
        duration: Duration::from_millis(7),
        delay: Duration::from_secs(5),
        patience: DAY,
        reason: None,
    }
}

/// Runs each statement about webhooks, on a log that has some events of the tenant.
pub(crate) async fn walk(client: &Client, database: &Database, tenant: TenantId) {
    let last = database.read_head().await.unwrap();
    let types = ["order.ready".to_owned()];
    let insert = async |id, types| {
        let url = "https://example.com/hook";
        database.insert_webhook((tenant, id), url, types, b"secret", 2).await.unwrap()
    };
    assert!(!database.has_webhooks().await.unwrap());
    let id = WebhookId::new();
    let made = insert(id, Some(types.as_slice())).await.unwrap();
    assert_eq!((made.id, made.tenant, made.cursor), (id, tenant, last));
    assert_eq!((made.types.as_deref(), made.enabled), (Some(types.as_slice()), true));
    let other = insert(WebhookId::new(), None).await.unwrap();
    assert_eq!(insert(WebhookId::new(), None).await, None, "the tenant has enough");

    let stranger = TenantId::new();
    assert_eq!(database.find_webhook(tenant, id).await.unwrap(), Some(made.clone()));
    assert_eq!(database.find_webhook(stranger, id).await.unwrap(), None);
    assert!(database.has_webhooks().await.unwrap());
    let both = [made.clone(), other.clone()];
    assert_eq!(database.list_webhooks(tenant, None, 9).await.unwrap(), both);
    assert_eq!(database.list_webhooks(tenant, Some(id), 9).await.unwrap(), both[1..]);
    assert_eq!(database.list_webhooks(stranger, None, 9).await.unwrap(), []);

    let patch = WebhookPatch { types: Some(None), enabled: Some(false), ..WebhookPatch::default() };
    assert_eq!(database.update_webhook(stranger, id, &patch).await.unwrap(), None);
    let off = database.update_webhook(tenant, id, &patch).await.unwrap().unwrap();
    assert_eq!((off.types, off.enabled), (None, false));
    assert_eq!(off.disabled.unwrap().0, "asked");
    let patch = WebhookPatch { enabled: Some(true), ..WebhookPatch::default() };
    let on = database.update_webhook(tenant, id, &patch).await.unwrap().unwrap();
    assert_eq!((on.enabled, on.disabled), (true, None));

    assert_eq!(database.rotate_webhook(stranger, id, b"new", DAY).await.unwrap(), None);
    let rotated = database.rotate_webhook(tenant, id, b"new", DAY).await.unwrap().unwrap();
    assert_eq!((rotated.secret, rotated.prior.unwrap().0), (b"new".to_vec(), b"secret".to_vec()));

    leases(client, database, tenant, (id, other.id), last).await;
    failures(client, database, tenant, id).await;

    database.delete_webhook(stranger, id).await.unwrap();
    assert!(database.find_webhook(tenant, id).await.unwrap().is_some());
    database.delete_webhook(tenant, id).await.unwrap();
    assert_eq!(database.find_webhook(tenant, id).await.unwrap(), None);
    database.delete_webhook(tenant, other.id).await.unwrap();
}

async fn leases(
    client: &Client,
    database: &Database,
    tenant: TenantId,
    (id, other): (WebhookId, WebhookId),
    last: u64,
) {
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let claim = async |process, tenants: Option<&[TenantId]>| -> Vec<Webhook> {
        database.claim_webhooks(process, LEASE, tenants, 9).await.unwrap()
    };
    assert_eq!(claim(one, None).await, [], "nothing has come since");
    assert_eq!(database.replay_webhook(TenantId::new(), id, 0).await.unwrap(), None);
    let moved = database.replay_webhook(tenant, id, 0).await.unwrap().unwrap();
    assert_eq!(moved.cursor, 0);
    assert_eq!(claim(one, Some(&[TenantId::new()])).await, []);
    let claimed = claim(one, Some(&[tenant])).await;
    assert!(matches!(claimed.as_slice(), [it] if it.id == id), "{claimed:?}");
    assert_eq!(claim(two, None).await, [], "it is taken");

    // One of two processes has it, and only this one moves it.
    let webhook = &claimed[0];
    let delivered =
        Delivered { event: EventId::new(), status: Some(204), duration: Duration::from_millis(12) };
    let advance = async |process, webhook: &Webhook, upto, delivered| {
        database.advance_webhook(process, (webhook, upto), LEASE, delivered, 3).await.unwrap()
    };
    assert_eq!(advance(two, webhook, 1, Some(delivered)).await, None);
    let now = advance(one, webhook, 1, Some(delivered)).await.unwrap();
    assert_eq!(now.cursor, 1);
    // The cursor that somebody set meanwhile stays.
    database.replay_webhook(tenant, id, 0).await.unwrap();
    let now = advance(one, &now, 2, Some(delivered)).await.unwrap();
    assert_eq!(now.cursor, 0);
    let now = advance(one, &now, 2, None).await.unwrap();
    assert_eq!(now.cursor, 2);
    assert!(!database.release_webhook(two, id, None).await.unwrap());
    assert!(database.release_webhook(one, id, None).await.unwrap(), "there is more");
    assert_eq!(claim(two, None).await.len(), 1);

    // A lease that has ended is free for others.
    let ended = "update webhooks set leased_until = now()";
    client.batch_execute(ended).await.unwrap();
    assert_eq!(claim(one, None).await.len(), 1);
    assert_eq!(advance(two, &now, 3, None).await, None);
    let now = advance(one, &now, last, None).await.unwrap();
    assert_eq!(now.cursor, last);
    assert!(!database.release_webhook(one, id, None).await.unwrap(), "there is no more");

    let ping = Delivered { event: EventId::new(), status: None, duration: Duration::ZERO };
    database.note_webhook_ping((tenant, id), ping, "timeout", 3).await.unwrap();
    database.note_webhook_ping((TenantId::new(), id), ping, "timeout", 3).await.unwrap();
    database.note_webhook_ping((tenant, id), ping, "timeout", 3).await.unwrap();
    let tried = async |before, limit| {
        database.list_webhook_attempts(tenant, id, before, limit).await.unwrap()
    };
    let newest = tried(None, 9).await;
    let seen: Vec<_> =
        newest.iter().map(|it| (it.nth, it.outcome.as_str(), it.status, it.position)).collect();
    let wanted = [
        (4, "timeout", None, None),
        (3, "timeout", None, None),
        (2, "delivered", Some(204), Some(2)),
    ];
    assert_eq!(seen, wanted, "the newest three");
    assert_eq!(newest[2].event, delivered.event);
    assert_eq!(newest[2].duration, delivered.duration);
    assert_eq!(tried(Some(4), 1).await, newest[1..2]);
    let stranger = database.list_webhook_attempts(TenantId::new(), id, None, 9).await.unwrap();
    assert_eq!(stranger, []);
    assert!(!database.sweep_webhooks(DAY).await.unwrap());
    assert_eq!(tried(None, 9).await.len(), 3);
    database.sweep_webhooks(Duration::ZERO).await.unwrap();
    assert_eq!(tried(None, 9).await, []);

    // Of two whose tenant has something after their cursor and one that has not, one is moved.
    database.replay_webhook(tenant, other, last - 1).await.unwrap();
    let idle = "update log_head set last = last + 1";
    client.batch_execute(idle).await.unwrap();
    database.sweep_webhooks(DAY).await.unwrap();
    client.batch_execute("update log_head set last = last - 1").await.unwrap();
    let cursor = async |id| database.find_webhook(tenant, id).await.unwrap().unwrap().cursor;
    assert_eq!((cursor(id).await, cursor(other).await), (last + 1, last - 1));
}

async fn failures(client: &Client, database: &Database, tenant: TenantId, id: WebhookId) {
    let process = Uuid::new_v4();
    let claim = async || {
        database.replay_webhook(tenant, id, 0).await.unwrap();
        let claimed = database.claim_webhooks(process, LEASE, None, 9).await.unwrap();
        claimed.into_iter().any(|it| it.id == id)
    };
    assert!(claim().await);
    let fail = async |failed| database.fail_webhook(process, id, failed, 3).await.unwrap().unwrap();
    let now = fail(failed("connect")).await;
    let (since, next) = (now.failing_since.unwrap(), now.next_try_at.unwrap());
    assert_eq!((now.tries, now.enabled), (1, true));
    assert_eq!(next.duration_since(since).as_secs(), 5);
    let claimed = database.claim_webhooks(process, LEASE, None, 9).await.unwrap();
    assert!(claimed.iter().all(|it| it.id != id), "not before its time");
    let due = "update webhooks set next_try_at = now(), leased_until = null";
    client.batch_execute(due).await.unwrap();
    let claimed = database.claim_webhooks(process, LEASE, None, 9).await.unwrap();
    let mut claimed = claimed.into_iter().filter(|it| it.id == id);
    let claimed = claimed.next().unwrap();
    assert_eq!(claimed.tries, 1);

    // The last try is not put off beyond the end of patience.
    let aged = "update webhooks set failing_since = now() - interval '23 hours 59 minutes'";
    client.batch_execute(aged).await.unwrap();
    let again = Failed { tries: 1, ..failed("connect") };
    let now = fail(Failed { delay: Duration::from_hours(6), ..again }).await;
    assert_eq!((now.tries, now.enabled), (2, true));
    let patience = now.next_try_at.unwrap().duration_since(now.failing_since.unwrap());
    assert_eq!(patience.as_secs(), 86_400);
    let spent = "update webhooks set failing_since = now() - interval '1 day', next_try_at = now(),
                 leased_until = null";
    client.batch_execute(spent).await.unwrap();
    assert!(!database.claim_webhooks(process, LEASE, None, 9).await.unwrap().is_empty());
    let now = fail(failed("connect")).await;
    assert_eq!((now.tries, now.enabled), (3, false));
    assert_eq!(now.disabled.unwrap().0, "failing");
    assert!(!claim().await, "nothing is posted to it");

    let on = WebhookPatch { enabled: Some(true), ..WebhookPatch::default() };
    let now = database.update_webhook(tenant, id, &on).await.unwrap().unwrap();
    assert_eq!((now.tries, now.failing_since, now.next_try_at), (0, None, None));
    // What failed before such a change puts nothing off after it.
    assert!(claim().await);
    let now = fail(Failed { tries: 7, delay: Duration::from_hours(6), ..failed("connect") }).await;
    assert_eq!((now.tries, now.next_try_at), (1, None));
    assert!(claim().await);
    let now = fail(Failed { status: Some(410), reason: Some("gone"), ..failed("status") }).await;
    assert_eq!(now.disabled.unwrap().0, "gone");
    let attempts = database.list_webhook_attempts(tenant, id, None, 9).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|it| (it.outcome.as_str(), it.status)).collect();
    let connect = ("connect", None);
    assert_eq!(outcomes, [("status", Some(410)), connect, connect], "the newest three");

    database.update_webhook(tenant, id, &on).await.unwrap();
    assert!(claim().await);
    assert!(!database.release_webhook(process, id, Some("cursor_too_old")).await.unwrap());
    let now = database.find_webhook(tenant, id).await.unwrap().unwrap();
    assert_eq!(now.disabled.unwrap().0, "cursor_too_old");
}
