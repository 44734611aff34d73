//! Connections without a socket, by the name their clients know.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Messages of commands that may wait for one connection; those who bring more wait.
const COMMANDS_WAITING: usize = 16;

/// Where the commands of each such connection go, whichever thread they come to.
#[derive(Debug)]
pub struct Streams {
    /// This process, as clients name it.
    node: String,
    open: Mutex<HashMap<Uuid, mpsc::Sender<Bytes>>>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { node: Uuid::new_v4().to_string(), open: Mutex::default() }
    }
}

impl Streams {
    /// This process, as clients name it.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// A new connection: what its client names it by, as hard to guess as a key, and the queue of
    /// its commands.
    pub fn enter(&self) -> (Uuid, mpsc::Receiver<Bytes>) {
        let id = Uuid::new_v4();
        let (sender, commands) = mpsc::channel(COMMANDS_WAITING);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        (id, commands)
    }

    /// A connection is over.
    pub fn leave(&self, id: Uuid) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The way to a connection's commands, if it is in this process.
    pub fn find(&self, node: &str, session: &str) -> Option<mpsc::Sender<Bytes>> {
        if node != self.node {
            return None;
        }
        let id: Uuid = session.parse().ok()?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}
