-- upsert_driver: makes a courier or brings the one with this external id up to date;
-- one that was deleted is there again.
-- $1 id uuid   $2 tenant uuid   $3 external_id text   $4 name text   $5 display_name text
-- $6 phone text?   $7 vehicle_type text   $8 vehicle_make text?   $9 vehicle_colour text?
-- $10 vehicle_plate text?   $11 capacity int4
-- => driver driver_record   created bool
-- index: drivers_tenant_id_external_id_key
-- used by: store::parties
insert into drivers as d (id, tenant_id, external_id, name, display_name, phone, vehicle_type,
                          vehicle_make, vehicle_colour, vehicle_plate, capacity)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (tenant_id, external_id) do update set
    name = excluded.name, display_name = excluded.display_name, phone = excluded.phone,
    vehicle_type = excluded.vehicle_type, vehicle_make = excluded.vehicle_make,
    vehicle_colour = excluded.vehicle_colour, vehicle_plate = excluded.vehicle_plate,
    capacity = excluded.capacity, deleted_at = null
returning driver_record(d) as driver, d.id = $1 as created
