-- insert_robo_couriers: makes couriers who bring orders that go their way by themselves, on duty and
-- with room for one, so that where each is fits its order; the first is called robo.
-- $1 ids uuid[]   $2 tenant uuid
-- => id uuid
-- index: drivers_tenant_id_external_id_key
-- used by: store::robo
insert into drivers as d (id, tenant_id, external_id, name, display_name, vehicle_type, duty,
                          capacity, robo)
select i.id, $2,
       case when i.nth = 1 and not exists (select from drivers n
                                           where n.tenant_id = $2 and n.external_id = 'robo')
            then 'robo' else 'robo-' || substr(i.id::text, 25) end,
       'Robo Courier', 'Robo C.', 'scooter', 'on', 1, true
from unnest($1::uuid[]) with ordinality as i (id, nth)
on conflict (tenant_id, external_id) do nothing
returning d.id
