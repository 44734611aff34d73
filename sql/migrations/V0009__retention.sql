-- Retention: the log is held in partitions, which are dropped when they are old; and what is
-- personal in an order that is over can be erased.

-- The log so far becomes the first partition, where it lies: nothing is copied or read.
alter table events rename to events_from_1;
alter index events_pkey rename to events_from_1_pkey;
alter index events_order rename to events_from_1_order;
alter index events_store rename to events_from_1_store;
alter index events_driver rename to events_from_1_driver;
alter index events_prior_driver rename to events_from_1_prior_driver;
alter index events_tenant rename to events_from_1_tenant;

create table events (like events_from_1 including comments) partition by range (position);
comment on table events is
    'The log: the source of truth. A position is drawn under the lock of log_head. Append-only, but for what is erased and what is dropped for its age.';
comment on column events.actor_id is 'Empty once it was erased.';
alter table events add constraint events_pkey primary key (position);
create index events_order on events (order_id, position) where order_id is not null;
create index events_store on events (store_id, position) where store_id is not null;
create index events_driver on events (driver_id, position) where driver_id is not null;
create index events_prior_driver on events (prior_driver_id, position) where prior_driver_id is not null;
create index events_tenant on events (tenant_id, position);
-- Every position is one of it, which spares the look at each row; and the indexes are those above.
alter table events attach partition events_from_1 for values from (minvalue) to (maxvalue);
-- A dead row of the log is one that was erased: it is to go soon, however few there are.
alter table events_from_1
    set (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

alter table log_head add column oldest bigint not null default 1;
comment on column log_head.oldest is
    'Where the log that is still held begins: what was before has been dropped for its age.';

-- What follows is done by whichever process looks after the log, one step a transaction. Each step
-- looks at where the one before has left things, so that any process may go on where another has
-- died; one at a time does so, which the advisory lock of a transaction sees to.

create function newest_events() returns regclass language sql stable as $$
    select i.inhrelid::regclass
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'events'::regclass
      and pg_get_expr(c.relpartbound, c.oid) like '% TO (MAXVALUE)'
$$;
comment on function newest_events is 'The partition that is written to: it has no end yet.';

create function begin_cut(every_days integer, patience_ms integer) returns boolean
language plpgsql as $$
declare
    newest regclass := newest_events();
    first_at timestamptz;
    since record;
    head bigint;
    begins text;
    border bigint;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ordercast: upkeep', 0)) then
        return false;
    end if;
    if exists (select from pg_constraint k where k.conrelid = newest and k.conname = 'events_border') then
        return true;
    end if;
    execute format('select e.recorded_at from %s e order by e.position limit 1', newest) into first_at;
    if first_at is null
        or (first_at at time zone 'UTC')::date + every_days > (now() at time zone 'UTC')::date then
        return false;
    end if;
    -- As far ahead as twice of what ten minutes bring at the latest pace.
    select h.last into head from log_head h;
    execute format('select e.position, e.recorded_at from %s e where e.position > $1 - 10000
                    order by e.position limit 1', newest) into since using head;
    border := head + 100 + 2 * ceil(
        (head - since.position) * 600
        / greatest(extract(epoch from clock_timestamp() - since.recorded_at), 1));
    begins := substring(pg_get_expr((select c.relpartbound from pg_class c where c.oid = newest), newest)
                        from 'FROM \(''?([0-9]+)');
    perform set_config('lock_timeout', patience_ms::text, true);
    -- With where it begins: the partition is to be told as a whole by it.
    execute format('alter table %s add constraint events_border check (position < %s %s) not valid',
                   newest, border, 'and position >= ' || begins);
    return true;
end $$;
comment on function begin_cut is
    'Draws a border ahead of the head of the log, if the newest partition began so many days (UTC) ago; whether there is one now.';

create function check_cut() returns boolean language plpgsql as $$
declare
    newest regclass := newest_events();
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ordercast: upkeep', 0)) then
        return false;
    end if;
    if not exists (select from pg_constraint k where k.conrelid = newest and k.conname = 'events_border') then
        return false;
    end if;
    -- Those who read and write go on meanwhile.
    execute format('alter table %s validate constraint events_border', newest);
    return true;
end $$;
comment on function check_cut is
    'Looks through the newest partition, so that it need not be looked through under a lock; whether there is a border.';

create function finish_cut(patience_ms integer) returns bigint language plpgsql as $$
declare
    newest regclass := newest_events();
    begins text;
    border text;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ordercast: upkeep', 0)) then
        return null;
    end if;
    -- This one waits for a vacuum, which gives way; nobody else waits for it.
    execute format('lock table %s in share update exclusive mode', newest);
    perform set_config('lock_timeout', patience_ms::text, true);
    -- Everybody has this lock before that of any partition, and before that of the head.
    lock table only events in access exclusive mode;
    select substring(pg_get_constraintdef(k.oid) from '< ''?([0-9]+)') into border
    from pg_constraint k
    where k.conrelid = newest and k.conname = 'events_border' and k.convalidated;
    if border is null or newest <> newest_events() then
        return null;
    end if;
    begins := coalesce(
        substring(pg_get_expr((select c.relpartbound from pg_class c where c.oid = newest), newest)
                  from 'FROM \(''?([0-9]+)'), 'minvalue');
    execute format('alter table events detach partition %s', newest);
    execute format('alter table events attach partition %s for values from (%s) to (%s)',
                   newest, begins, border);
    execute format('alter table %s drop constraint events_border', newest);
    execute format('create table events_from_%s partition of events for values from (%1$s) to (maxvalue)
                    with (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0)', border);
    return border;
end $$;
comment on function finish_cut is
    'Ends the newest partition at its border, and has the next begin there; null if there was no border that was looked through.';

create function lift_border(patience_ms integer) returns void language plpgsql as $$
begin
    perform set_config('lock_timeout', patience_ms::text, true);
    execute format('alter table %s drop constraint if exists events_border', newest_events());
end $$;
comment on function lift_border is 'Takes the border away that the log has come to.';

create function drop_old_events(days integer, patience_ms integer) returns bigint
language plpgsql as $$
declare
    part record;
    last_at timestamptz;
begin
    if not pg_try_advisory_xact_lock(hashtextextended('ordercast: upkeep', 0)) then
        return null;
    end if;
    select i.inhrelid::regclass as name,
           substring(pg_get_expr(c.relpartbound, c.oid) from ' TO \(''?([0-9]+)')::bigint as ends
    into part
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'events'::regclass
    order by 2 limit 1;
    if part.ends is null then
        return null;
    end if;
    execute format('select e.recorded_at from %s e order by e.position desc limit 1', part.name)
    into last_at;
    if last_at >= now() - make_interval(days => days) then
        return null;
    end if;
    execute format('lock table %s in share update exclusive mode', part.name);
    perform set_config('lock_timeout', patience_ms::text, true);
    lock table only events in access exclusive mode;
    execute format('drop table %s', part.name);
    update log_head h set oldest = part.ends where h.singleton;
    return part.ends;
end $$;
comment on function drop_old_events is
    'Drops the oldest partition if all in it is older than so many days; where the log begins now, or null.';

alter table orders add column erased_at timestamptz;
comment on column orders.erased_at is
    'When all that is personal in it was erased; absent before. Its request_hash is empty since.';
-- By order, to erase what was answered. Only writes that bring a key have one.
create index idempotency_keys_order on idempotency_keys (order_id);

-- Of each attribute that there is by now the column.
alter type order_record add attribute erased_at timestamptz;
do $do$ begin
    execute format('create or replace function order_record(o orders) returns order_record
language sql immutable as $$
    select row(%s)::order_record
$$', (select string_agg(format('o.%I', a.attname), ', ' order by a.attnum)
       from pg_attribute a
       where a.attrelid = 'order_record'::regclass and a.attnum > 0 and not a.attisdropped));
end $do$;
