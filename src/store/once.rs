//! Writes that are not the writer's, each done once for an Idempotency-Key.
//!
//! What a write answers is kept in the transaction of its effect, so that there is either both or
//! neither. The key is written last: as in a batch it comes after the rows that are changed, so
//! nobody who waits for one holds the other. Of two at once the second finds the key there, and
//! takes back what it did.
//!
//! What has its effect elsewhere, where no transaction reaches, takes its key first, for the
//! length of a lease.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::change::IdempotencyKey;
use super::{Database, Error, read, statement};
use crate::domain::{Actor, TenantId, Word as _};

/// A key as a caller brought it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose data the write is about.
    pub tenant: TenantId,
    /// Who asks: keys of two callers never meet.
    pub by: Actor,
    /// The key, and of what.
    pub key: IdempotencyKey,
}

impl Claim {
    fn scope(&self) -> String {
        scope(&self.by)
    }
}

/// Role and identity: what an Idempotency-Key belongs to.
pub(super) fn scope(by: &Actor) -> String {
    format!("{}:{}", by.role.word(), by.id)
}

/// What was answered to a key, but for an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Whether it had just been made.
    pub created: bool,
    /// The answer, without secrets; absent where there was nothing to say.
    pub body: Option<Value>,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// This request was answered before.
    Answered(Kept),
    /// Another request came with it.
    Reused,
    /// This request is being answered; somebody else may take it up after this time.
    UnderWay(Duration),
}

/// A connection of a pool, or the one that a transaction has.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack, for one statement")]
pub(super) enum Connection {
    Pooled(Object),
    Held(Arc<Hold>),
}

impl Deref for Connection {
    type Target = ClientWrapper;
    fn deref(&self) -> &ClientWrapper {
        match self {
            Self::Pooled(object) => object,
            Self::Held(hold) => hold.object.get().expect("made before it was given out"),
        }
    }
}

/// A connection with a transaction, begun by its first use.
#[derive(Debug, Default)]
pub(super) struct Hold {
    object: OnceCell<Object>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // The transaction is still open, as whoever was at it has stopped: the connection ends,
        // and with it the transaction.
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

impl Database {
    /// A connection: this one's own, if it has one.
    pub(super) async fn reading(&self) -> Result<Connection, Error> {
        let Some(hold) = &self.hold else { return Ok(Connection::Pooled(self.pool.get().await?)) };
        hold.object
            .get_or_try_init(|| async {
                let object = self.pool.get().await?;
                object.batch_execute("begin").await?;
                Ok::<_, Error>(object)
            })
            .await?;
        Ok(Connection::Held(Arc::clone(hold)))
    }

    /// The same database, by a connection of its own from its first use on, whose writes last when
    /// [`Database::keep`] says so. Nothing that begins or ends transactions may be asked of it.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { hold: Some(Arc::default()), ..self.clone() }
    }

    /// Commits what was written by this database, which is [apart](Self::apart), together with its
    /// answer; false when the key is there already, and nothing was written.
    pub async fn keep(self, claim: &Claim, answer: &Kept) -> Result<bool, Error> {
        let client = self.reading().await?;
        let statement = statement::KEEP_IDEMPOTENCY_KEY.prepare(&client).await?;
        let kept = client
            .execute(
                &statement,
                &[
                    /* tenant */ &claim.tenant.uuid(),
                    /* scope */ &claim.scope(),
                    /* key */ &claim.key.key,
                    /* hash */ &claim.key.request_hash,
                    /* created */ &answer.created,
                    /* answer */ &answer.body,
                ],
            )
            .await?;
        let is_first = kept > 0;
        client.batch_execute(if is_first { "commit" } else { "rollback" }).await?;
        drop(client);
        self.give_back();
        Ok(is_first)
    }

    /// Takes back what was written by this database, which is [apart](Self::apart).
    pub async fn take_back(self) -> Result<(), Error> {
        if self.hold.as_ref().is_some_and(|hold| hold.object.initialized()) {
            self.reading().await?.batch_execute("rollback").await?;
        }
        self.give_back();
        Ok(())
    }

    /// The transaction has ended: others may have the connection.
    fn give_back(self) {
        let hold = self.hold.and_then(Arc::into_inner);
        drop(hold.and_then(|mut hold| hold.object.take()));
    }

    /// What is known of a key; `None` when nobody has brought it, or whoever did has given up.
    pub async fn find_known(&self, claim: &Claim) -> Result<Option<Known>, Error> {
        let rows = read!(
            self,
            FIND_IDEMPOTENCY_KEY,
            /* tenant */ &claim.tenant.uuid(),
            /* scope */ &claim.scope(),
            /* key */ &claim.key.key,
        );
        let Some(row) = rows.first() else { return Ok(None) };
        let claimed_s: Option<f64> = row.try_get("claimed_s")?;
        let hash: &[u8] = row.try_get("request_hash")?;
        Ok(match claimed_s {
            _ if hash != claim.key.request_hash => Some(Known::Reused),
            Some(left) if left <= 0.0 => None,
            Some(left) => Some(Known::UnderWay(Duration::from_secs_f64(left))),
            None => Some(Known::Answered(Kept {
                created: row.try_get("created")?,
                body: row.try_get("answer")?,
            })),
        })
    }

    /// Takes a key for the length of `lease`; false when somebody has it.
    pub async fn claim(&self, claim: &Claim, lease: Duration) -> Result<bool, Error> {
        let client = self.reading().await?;
        let statement = statement::CLAIM_IDEMPOTENCY_KEY.prepare(&client).await?;
        let taken = client
            .execute(
                &statement,
                &[
                    /* tenant */ &claim.tenant.uuid(),
                    /* scope */ &claim.scope(),
                    /* key */ &claim.key.key,
                    /* hash */ &claim.key.request_hash,
                    /* lease_s */ &lease.as_secs_f64(),
                ],
            )
            .await?;
        Ok(taken > 0)
    }

    /// Keeps what is answered to a key that was taken.
    pub async fn answer(&self, claim: &Claim, answer: &Kept) -> Result<(), Error> {
        let client = self.reading().await?;
        let statement = statement::ANSWER_IDEMPOTENCY_KEY.prepare(&client).await?;
        client
            .execute(
                &statement,
                &[
                    /* tenant */ &claim.tenant.uuid(),
                    /* scope */ &claim.scope(),
                    /* key */ &claim.key.key,
                    /* hash */ &claim.key.request_hash,
                    /* created */ &answer.created,
                    /* answer */ &answer.body,
                ],
            )
            .await?;
        Ok(())
    }
}
