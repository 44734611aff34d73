-- release_webhook: gives a webhook free, disables it for a reason if there is one, and asks whether
-- there is more to deliver.
-- $1 id uuid   $2 process uuid   $3 reason text?
-- => more bool
-- locks: the webhook
-- index: webhooks_pkey, events_tenant
-- used by: store::webhooks
update webhooks w
set leased_by = null, leased_until = null,
    enabled = w.enabled and $3::text is null,
    disabled_reason = case when w.enabled then $3 else w.disabled_reason end,
    disabled_at = case when w.enabled and $3 is not null then now() else w.disabled_at end
where w.id = $1 and w.leased_by = $2
returning w.enabled and (select e.position from events e
                         where e.tenant_id = w.tenant_id and e.position > w.cursor
                         order by e.position limit 1) is not null as more
