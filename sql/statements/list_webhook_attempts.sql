-- list_webhook_attempts: what was posted to a webhook, newest first, a page before a number.
-- $1 tenant uuid   $2 webhook uuid   $3 before int8   $4 limit int8
-- => nth int8   event_id uuid   position int8?   outcome text   status int4?   duration_ms int4
-- => at timestamptz
-- index: webhooks_pkey, webhook_attempts_pkey
-- used by: store::webhooks
select a.nth, a.event_id, a.position, a.outcome, a.status, a.duration_ms, a.at
from webhook_attempts a
where a.webhook_id = $2 and a.nth < $3
  and exists (select from webhooks w where w.id = $2 and (w.tenant_id = $1) is true)
order by a.nth desc
limit $4
