-- Where couriers were: kept only for tenants that want it, in partitions of an hour each.

alter table tenants add column location_retention_h integer
    check (location_retention_h between 1 and 8760);
comment on column tenants.location_retention_h is
    'Hours for which the ways of its couriers are kept; null keeps none.';

create table location_trail (
    recv_at timestamptz not null default now(),
    tenant_id uuid not null,
    driver_id uuid not null,
    n bigint not null,
    at timestamptz not null,
    lat double precision not null,
    lng double precision not null,
    acc_m real,
    heading real,
    speed real,
    battery real
) partition by range (recv_at);
comment on table location_trail is
    'Every point of couriers whose tenant wants their ways kept. Appended only, dropped by age.';
comment on column location_trail.recv_at is 'When it was written; decides how long it is kept.';
comment on column location_trail.n is 'The number that the courier''s device gave the point.';
comment on column location_trail.at is 'When it was there, by its device.';
comment on column location_trail.acc_m is 'Metres by which it may be wrong.';
comment on column location_trail.heading is 'Degrees clockwise from north.';
comment on column location_trail.speed is 'Metres a second.';
comment on column location_trail.battery is 'Of its device: 0 to 1.';
create index location_trail_driver on location_trail (tenant_id, driver_id, at);

-- Makes the partitions of this hour and the next two, if any tenant wants trails; drops those that
-- are older than any tenant keeps them, and from the others what its tenant does not keep.
create function keep_trails() returns integer language plpgsql as $$
declare
    longest integer := (select max(location_retention_h) from tenants);
    hour timestamptz;
    part text;
    tenant record;
    dropped integer := 0;
begin
    -- Several processes may come at once.
    perform pg_advisory_xact_lock(5302412207);
    for ahead in 0 .. 2 loop
        hour := date_trunc('hour', now() at time zone 'UTC') at time zone 'UTC'
                + ahead * interval '1 hour';
        part := 'location_trail_' || to_char(hour at time zone 'UTC', 'YYYYMMDDHH24');
        if longest is not null and to_regclass(part) is null then
            execute format('create table %I partition of location_trail for values from (%L) to (%L)',
                           part, hour, hour + interval '1 hour');
        end if;
    end loop;
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'location_trail'::regclass
          and to_timestamp(right(c.relname, 10) || '+00', 'YYYYMMDDHH24TZH')
              + make_interval(hours => 1 + coalesce(longest, 0)) < now()
    loop
        execute format('drop table %I', part);
        dropped := dropped + 1;
    end loop;
    for tenant in
        select t.id, coalesce(t.location_retention_h, 0) as hours from tenants t
        where coalesce(t.location_retention_h, 0) < longest
          and exists (select from location_trail l where l.tenant_id = t.id)
    loop
        delete from location_trail l
        where l.tenant_id = tenant.id and l.recv_at < now() - make_interval(hours => tenant.hours);
    end loop;
    return dropped;
end
$$;
