-- find_robo_couriers: couriers of a tenant who were made to bring orders that go their way by
-- themselves, and have none.
-- $1 tenant uuid   $2 limit int8
-- => id uuid
-- index: drivers_robo, orders_driver_open
-- used by: store::robo
select d.id from drivers d
where d.tenant_id = $1 and d.robo and d.deleted_at is null and d.duty = 'on'
  and not exists (select from orders a where a.driver_id = d.id and a.closed_at is null)
order by d.id limit $2
