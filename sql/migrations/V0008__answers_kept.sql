-- A key may come with any write, not only with those of orders.

alter table idempotency_keys
    alter column order_id drop not null,
    add column created boolean not null default false,
    add column answer jsonb,
    add column claimed_until timestamptz;
comment on column idempotency_keys.order_id is 'The order it was about; null if it was about none.';
comment on column idempotency_keys.created is 'Whether what was answered had just been made.';
comment on column idempotency_keys.answer is
    'What was answered where that is no order, but for secrets; null if that was nothing.';
comment on column idempotency_keys.claimed_until is
    'While the answer is being made: until when nobody else makes it. Null once it is made.';
