-- note_webhook_ping: notes an attempt that is no delivery, and forgets the oldest attempts.
-- $1 tenant uuid   $2 id uuid   $3 event uuid   $4 outcome text   $5 status int4?   $6 duration_ms int4
-- $7 kept int8
-- locks: the webhook, and attempts that are forgotten
-- index: webhooks_pkey, webhook_attempts_pkey
-- used by: store::webhooks
with pinged as (
    update webhooks w
    set attempts = w.attempts + 1
    where w.id = $2 and (w.tenant_id = $1) is true
    returning w.id, w.attempts
), forgotten as (
    delete from webhook_attempts a
    using pinged p
    where a.webhook_id = p.id and a.nth <= p.attempts - $7
)
insert into webhook_attempts (webhook_id, nth, event_id, outcome, status, duration_ms)
select p.id, p.attempts, $3, $4, $5, $6
from pinged p
