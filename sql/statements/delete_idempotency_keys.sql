-- delete_idempotency_keys: forgets what is older than a key is honoured, a bounded number at once.
-- $1 age_s int8   $2 limit int8
-- index: idempotency_keys_created
-- used by: store::sweep
delete from idempotency_keys i
using (select k.tenant_id, k.scope, k.key from idempotency_keys k
       where k.created_at < now() - $1::int8 * interval '1 second'
       order by k.created_at limit $2) as old
where i.tenant_id = old.tenant_id and i.scope = old.scope and i.key = old.key
