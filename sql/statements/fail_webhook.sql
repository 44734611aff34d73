-- fail_webhook: notes an attempt that failed, gives the webhook free, and puts off the next try,
-- unless a change made a new beginning meanwhile; or disables it: for that reason, or because it has
-- failed for so long. The last try comes no later.
-- $1 id uuid   $2 process uuid   $3 event uuid   $4 position int8   $5 outcome text   $6 status int4?
-- $7 duration_ms int4   $8 delay_s float8   $9 patience_s float8   $10 reason text?   $11 kept int8
-- $12 tries int4
-- => webhook webhook_record
-- locks: the webhook, and attempts that are forgotten
-- index: webhooks_pkey, webhook_attempts_pkey
-- used by: store::webhooks
with failed as (
    update webhooks w
    set tries = w.tries + 1,
        failing_since = coalesce(w.failing_since, now()),
        next_try_at = case when w.tries = $12
            then least(now() + make_interval(secs => $8),
                       coalesce(w.failing_since, now()) + make_interval(secs => $9)) end,
        enabled = w.enabled and $10::text is null
            and coalesce(w.failing_since + make_interval(secs => $9) > now(), true),
        disabled_reason = case
            when not w.enabled then w.disabled_reason
            when $10::text is not null then $10
            when w.failing_since + make_interval(secs => $9) <= now() then 'failing' end,
        disabled_at = case
            when not w.enabled then w.disabled_at
            when $10::text is not null or w.failing_since + make_interval(secs => $9) <= now()
            then now() end,
        attempts = w.attempts + 1,
        leased_by = null, leased_until = null
    where w.id = $1 and w.leased_by = $2
    returning w.id, w.attempts, webhook_record(w) as webhook
), noted as (
    insert into webhook_attempts (webhook_id, nth, event_id, position, outcome, status, duration_ms)
    select f.id, f.attempts, $3, $4, $5, $6, $7
    from failed f
), forgotten as (
    delete from webhook_attempts a
    using failed f
    where a.webhook_id = f.id and a.nth <= f.attempts - $11
)
select f.webhook
from failed f
