//! A log that is long already: what other orders have left there before anything is measured.
//!
//! It is written by SQL before a server starts, by another tenant: 20,000 orders at once, each with
//! 16 events, then the next ones. The indexes are made afterwards, which is a few times faster.

use crate::database;
use anyhow::Context as _;

/// `$count` is the number of events.
const FILL: &str = "
create temp table made_again as
    select replace(indexdef, ' ON ONLY ', ' ON ') as sql, indexname as name
    from pg_indexes where tablename = 'events' and indexname <> 'events_pkey';
do $$ declare it record; begin
    alter table events drop constraint events_pkey;
    for it in select * from made_again loop execute format('drop index %I', it.name); end loop;
end $$;
insert into tenants (id, name) values (gen_random_uuid(), 'load: the past');
create function pg_temp.made(kind text, n bigint) returns uuid language sql immutable as $$
    select (left(md5(kind), 8) || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
$$;
insert into events (position, id, tenant_id, store_id, order_id, driver_id, n, type, actor_role,
                    actor_id, was, status, occurred_at, recorded_at, data)
select l.last + g, pg_temp.made('event', l.last + g), t.id, pg_temp.made('store', g % 5000),
       pg_temp.made('order', g / 320000 * 20000 + g % 20000), pg_temp.made('driver', g % 20000),
       g % 320000 / 20000 + 1, 'order.ready', 'store', 'someone', 'preparing', 'ready', now(),
       now(), json_build_object('note', repeat('x', 300))
from (select id from tenants where name = 'load: the past') t,
     (select last from log_head) l,
     generate_series(1, $count::bigint) g;
update log_head set last = last + $count;
set maintenance_work_mem = '256MB';
alter table events add constraint events_pkey primary key (position);
do $$ declare it record; begin
    for it in select * from made_again loop execute it.sql; end loop;
end $$;
";

/// Writes so many events.
pub(crate) async fn write(url: &str, count: u64) -> anyhow::Result<()> {
    eprintln!("writing {count} events of the past");
    let fill = format!("begin; {} commit", FILL.replace("$count", &count.to_string()));
    database::ask(url, async |client| {
        client.batch_execute(&fill).await.context("writing the past")?;
        client.batch_execute("vacuum analyze events").await?;
        // What it left to be written would otherwise be written while something is measured.
        client.batch_execute("checkpoint").await?;
        Ok(())
    })
    .await
}
