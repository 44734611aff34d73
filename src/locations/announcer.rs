//! Has orders looked at whose courier is about to arrive.

use tokio::sync::mpsc;

use crate::domain::{Actor, OrderId, TenantId};
use crate::store::{Change, LookedUp, Target, Writer};

/// Asks the writer, apart from whoever writes where couriers are: that must not wait for orders.
#[derive(Debug)]
pub struct Announcer {
    writer: Writer,
    arriving: mpsc::Receiver<(TenantId, OrderId)>,
}

impl Announcer {
    /// One that takes from `arriving`.
    pub const fn new(writer: Writer, arriving: mpsc::Receiver<(TenantId, OrderId)>) -> Self {
        Self { writer, arriving }
    }

    /// Runs for the life of the process.
    pub async fn run(mut self) {
        while let Some((tenant, order)) = self.arriving.recv().await {
            let change = Change {
                tenant,
                by: Actor::system(),
                target: Target::Elapse { order, looked_up: LookedUp::default() },
                idempotency: None,
                if_match: None,
                occurred_at: None,
                place: None,
            };
            if let Err(error) = self.writer.submit(change).await {
                // The next point, or the next watch, finds it again.
                tracing::debug!(%error, "an arrival is told later");
            }
        }
    }
}
