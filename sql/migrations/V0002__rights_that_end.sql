-- Rights end: a token is revoked, a store or a courier is deleted.

create table revoked_tokens (
    tenant_id uuid not null,
    id uuid not null,
    revoked_at timestamptz not null,
    keep_until timestamptz not null,
    primary key (tenant_id, id)
);
comment on table revoked_tokens is
    'Tokens and API keys that speak for nobody any more. Of the tenant that revoked them only.';
comment on column revoked_tokens.id is 'The jti of a token, or the id of an API key.';
comment on column revoked_tokens.keep_until is
    'Then every token that existed at revoked_at has expired, and the row may be forgotten.';
create index revoked_tokens_keep_until on revoked_tokens (keep_until);

alter table stores add column deleted_at timestamptz;
comment on column stores.deleted_at is 'Since then it is not found, but in orders of the past.';
alter table drivers add column deleted_at timestamptz;
comment on column drivers.deleted_at is 'Since then not found, but in orders of the past.';
