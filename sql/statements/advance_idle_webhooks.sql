-- advance_idle_webhooks: moves the cursors of webhooks that have missed nothing to the head of the
-- log, so that none is left behind where the log is dropped for its age.
-- locks: webhooks that have missed nothing
-- index: events_tenant
-- used by: store::sweep
update webhooks w
set cursor = h.last
from log_head h
where w.cursor < h.last and coalesce(w.leased_until <= now(), true)
  and (select e.position from events e where e.tenant_id = w.tenant_id and e.position > w.cursor
       order by e.position limit 1) is null
