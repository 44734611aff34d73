-- claim_webhooks: takes up webhooks with something to deliver that nobody delivers to, those that
-- waited longest first; of these tenants, or of all.
-- $1 process uuid   $2 lease_s float8   $3 tenants uuid[]?   $4 limit int8
-- => webhook webhook_record
-- locks: webhooks that no one else locks
-- index: webhooks_pkey, events_tenant
-- used by: store::webhooks
update webhooks w
set leased_by = $1, leased_until = now() + make_interval(secs => $2), claimed_at = now(),
    prior_secret = case when w.prior_until > now() then w.prior_secret end,
    prior_until = case when w.prior_until > now() then w.prior_until end
where w.id = any (array(
    select k.id from webhooks k
    where k.enabled and ($3::uuid[] is null or k.tenant_id = any ($3))
      and coalesce(k.next_try_at <= now(), true) and coalesce(k.leased_until <= now(), true)
      and (select e.position from events e where e.tenant_id = k.tenant_id and e.position > k.cursor
           order by e.position limit 1) is not null
    order by k.claimed_at
    limit $4
    for update of k skip locked))
returning webhook_record(w) as webhook
