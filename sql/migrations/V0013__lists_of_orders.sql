-- The orders of one tour, whoever brought it and however long ago.

create index orders_tenant_batch on orders (tenant_id, batch_id, created_at desc, id desc) where batch_id is not null;
