-- rotate_webhook: gives a webhook a new secret; the old one signs as well for a while.
-- $1 tenant uuid   $2 id uuid   $3 secret bytea   $4 keep_s float8
-- => webhook webhook_record
-- locks: the webhook
-- index: webhooks_pkey
-- used by: store::webhooks
update webhooks w
set secret = $3,
    prior_secret = case when $4::float8 > 0 then w.secret end,
    prior_until = case when $4::float8 > 0 then now() + make_interval(secs => $4) end
where w.id = $2 and (w.tenant_id = $1) is true
returning webhook_record(w) as webhook
