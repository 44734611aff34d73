//! Erasing what is personal of an order: nothing of it may be given out from memory once that is
//! answered.

use tokio::time::timeout;

use super::{Api, Problem};

impl Api {
    /// Waits until this process has heard of all that is committed by now, and so has forgotten
    /// what was erased: see [`crate::feed`]. Asking again is safe, and waits again.
    pub(super) async fn has_forgotten(&self) -> Result<(), Problem> {
        let head = self.database.read_head().await?;
        let mut feed = self.feed.clone();
        let reached = feed.wait_for(|state| state.cursor >= head);
        match timeout(self.config.socket.reply_timeout_ms.get(), reached).await {
            Ok(Ok(_state)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Problem {
                detail: "it is erased, but this process may still remember; ask again".to_owned(),
                ..Problem::overloaded()
            }),
        }
    }
}
