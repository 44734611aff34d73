-- advance_webhook: moves a webhook's cursor, unless another was set meanwhile, and renews the lease;
-- notes the delivery, if there was one, and forgets the oldest attempts.
-- $1 id uuid   $2 process uuid   $3 from int8   $4 upto int8   $5 lease_s float8   $6 event uuid?
-- $7 status int4?   $8 duration_ms int4?   $9 kept int8
-- => webhook webhook_record
-- locks: the webhook, and attempts that are forgotten
-- index: webhooks_pkey, webhook_attempts_pkey
-- used by: store::webhooks
with moved as (
    update webhooks w
    set cursor = case when w.cursor = $3 then $4 else w.cursor end,
        leased_until = now() + make_interval(secs => $5),
        tries = case when $6::uuid is null then w.tries else 0 end,
        failing_since = case when $6::uuid is null then w.failing_since end,
        next_try_at = case when $6::uuid is null then w.next_try_at end,
        attempts = w.attempts + case when $6::uuid is null then 0 else 1 end,
        prior_secret = case when w.prior_until > now() then w.prior_secret end,
        prior_until = case when w.prior_until > now() then w.prior_until end
    where w.id = $1 and w.leased_by = $2
    returning w.id, w.attempts, webhook_record(w) as webhook
), noted as (
    insert into webhook_attempts (webhook_id, nth, event_id, position, outcome, status, duration_ms)
    select m.id, m.attempts, $6, $4, 'delivered', $7, $8
    from moved m
    where $6 is not null
), forgotten as (
    delete from webhook_attempts a
    using moved m
    where a.webhook_id = m.id and a.nth <= m.attempts - $9
)
select m.webhook
from moved m
