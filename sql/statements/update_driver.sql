-- update_driver: changes what is given of a courier.
-- $1 tenant uuid   $2 id uuid   $3 name text?   $4 display_name text?   $5 phone text?
-- $6 vehicle_type text?   $7 vehicle_make text?   $8 vehicle_colour text?   $9 vehicle_plate text?
-- $10 capacity int4?
-- => driver driver_record
-- index: drivers_pkey
-- used by: store::parties
update drivers d set
    name = coalesce($3, d.name), display_name = coalesce($4, d.display_name),
    phone = coalesce($5, d.phone), vehicle_type = coalesce($6, d.vehicle_type),
    vehicle_make = coalesce($7, d.vehicle_make), vehicle_colour = coalesce($8, d.vehicle_colour),
    vehicle_plate = coalesce($9, d.vehicle_plate), capacity = coalesce($10, d.capacity)
where d.id = $2 and (d.tenant_id = $1) is true and d.deleted_at is null
returning driver_record(d) as driver
