//! Erasing what is personal of orders, wherever it lies: with the change of the order's own row,
//! in the batch's transaction. Whoever stores more about an order that is personal erases it here.

use deadpool_postgres::Object;
use serde_json::Value;
use uuid::Uuid;

use super::{Error, statement};
use crate::view::erase_data;

/// What is to be written of the events of the orders that one batch erases.
#[derive(Debug, Default)]
pub(super) struct Erasure {
    orders: Vec<Uuid>,
    positions: Vec<i64>,
    datas: Vec<Value>,
}

impl Erasure {
    /// Reads what the log holds of orders whose rows are locked, so that nothing is added meanwhile.
    pub(super) async fn read(client: &Object, orders: &[Uuid]) -> Result<Self, Error> {
        if orders.is_empty() {
            return Ok(Self::default());
        }
        let statement = statement::READ_ERASED_EVENTS.prepare(client).await?;
        let mut erasure = Self { orders: orders.to_vec(), ..Self::default() };
        for row in client.query(&statement, &[/* orders */ &orders]).await? {
            let mut data: Value = row.try_get("data")?;
            erase_data(&mut data);
            erasure.positions.push(row.try_get("position")?);
            erasure.datas.push(data);
        }
        Ok(erasure)
    }

    /// Writes it.
    pub(super) async fn write(&self, client: &Object) -> Result<(), tokio_postgres::Error> {
        if self.orders.is_empty() {
            return Ok(());
        }
        let events = statement::ERASE_EVENTS.prepare(client).await?;
        let keys = statement::ERASE_IDEMPOTENCY_KEYS.prepare(client).await?;
        client
            .execute(&events, &[/* positions */ &self.positions, /* datas */ &self.datas])
            .await?;
        client.execute(&keys, &[/* orders */ &self.orders]).await?;
        let proofs = statement::ERASE_PROOFS.prepare(client).await?;
        client.execute(&proofs, &[/* orders */ &self.orders]).await?;
        Ok(())
    }
}
