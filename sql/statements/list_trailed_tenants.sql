-- list_trailed_tenants: the tenants that want the ways of their couriers kept.
-- => id uuid
-- used by: store::trails
select t.id from tenants t where t.location_retention_h is not null
