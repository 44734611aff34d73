-- Tracking links: whoever has the address sees one order, until some time after its end.

alter table tenants add column link_ttl_h integer not null default 24 check (link_ttl_h between 1 and 8760);
comment on column tenants.link_ttl_h is 'Hours after an order''s end that its links show it, unless they say otherwise.';

create table tracking_links (
    id uuid primary key,
    tenant_id uuid not null references tenants (id),
    order_id uuid not null references orders (id) on delete cascade,
    hash bytea not null unique,
    ttl_h integer not null check (ttl_h between 1 and 8760),
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
comment on table tracking_links is
    'Addresses under which one order can be seen. The token in the address is never stored.';
comment on column tracking_links.id is 'As of a token: revoked_tokens and the event token.revoked name it too.';
comment on column tracking_links.hash is 'SHA-256 of the token, which has 256 random bits.';
comment on column tracking_links.ttl_h is 'Hours after the order''s end; then the link has ended too.';
create index tracking_links_order on tracking_links (order_id);
create index tracking_links_created on tracking_links (created_at);
