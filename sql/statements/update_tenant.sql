-- update_tenant: changes what is given of a tenant's settings; the mode off and 0 hours are kept as
-- null.
-- $1 id uuid   $2 accept_s int4?   $3 customer_cancel_until text?   $4 robo bool?
-- $5 offer_mode text?   $6 offer_s int4?   $7 offer_rounds int4?   $8 search_lead_s int4?
-- $9 link_ttl_h int4?   $10 location_retention_h int4?
-- => id uuid   name text   accept_s int4   customer_cancel_until text   robo bool
-- => offer_mode text?   offer_s int4   offer_rounds int4   search_lead_s int4   link_ttl_h int4
-- => location_retention_h int4
-- index: tenants_pkey
-- used by: store::tenants
update tenants t set
    accept_s = coalesce($2, t.accept_s),
    customer_cancel_until = coalesce($3, t.customer_cancel_until),
    robo = coalesce($4, t.robo),
    offer_mode = nullif(coalesce($5, t.offer_mode), 'off'),
    offer_s = coalesce($6, t.offer_s), offer_rounds = coalesce($7, t.offer_rounds),
    search_lead_s = coalesce($8, t.search_lead_s), link_ttl_h = coalesce($9, t.link_ttl_h),
    location_retention_h = nullif(coalesce($10, t.location_retention_h), 0)
where t.id = $1
returning t.id, t.name, t.accept_s, t.customer_cancel_until, t.robo, t.offer_mode, t.offer_s,
          t.offer_rounds, t.search_lead_s, t.link_ttl_h,
          coalesce(t.location_retention_h, 0) as location_retention_h
