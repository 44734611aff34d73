-- find_tenant: one tenant with its settings.
-- $1 id uuid
-- => id uuid   name text   accept_s int4   customer_cancel_until text   robo bool
-- => offer_mode text?   offer_s int4   offer_rounds int4   search_lead_s int4   link_ttl_h int4
-- => location_retention_h int4
-- index: tenants_pkey
-- used by: store::tenants
select t.id, t.name, t.accept_s, t.customer_cancel_until, t.robo, t.offer_mode, t.offer_s,
       t.offer_rounds, t.search_lead_s, t.link_ttl_h,
       coalesce(t.location_retention_h, 0) as location_retention_h
from tenants t where t.id = $1
