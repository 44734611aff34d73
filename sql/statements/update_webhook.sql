-- update_webhook: changes what is given of a webhook; null stays. What failed before is forgotten,
-- as another address, another choice of types or a switch is a new beginning.
-- $1 tenant uuid   $2 id uuid   $3 url text?   $4 sets_types bool   $5 types text[]?   $6 enabled bool?
-- => webhook webhook_record
-- locks: the webhook
-- index: webhooks_pkey
-- used by: store::webhooks
update webhooks w
set url = coalesce($3, w.url),
    types = case when $4 then $5 else w.types end,
    enabled = coalesce($6, w.enabled),
    disabled_reason = case when coalesce($6, w.enabled) then null
                           else coalesce(w.disabled_reason, 'asked') end,
    disabled_at = case when coalesce($6, w.enabled) then null else coalesce(w.disabled_at, now()) end,
    tries = 0, failing_since = null, next_try_at = null
where w.id = $2 and (w.tenant_id = $1) is true
returning webhook_record(w) as webhook
