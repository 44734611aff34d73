//! Connections: made on one runtime whoever asks, with our session settings, and for the feed
//! with an ear for notifications.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use futures::FutureExt as _;
use futures::future::{BoxFuture, poll_fn};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use super::{Error, listen, members};
use crate::config;

/// How a connection that listens reports.
#[derive(Debug, Clone)]
pub(super) struct Ear {
    /// A notification came. One place: a bell that rings is heard once.
    pub(super) bell: mpsc::Sender<()>,
    /// What another process told came.
    pub(super) tell: mpsc::Sender<String>,
    /// Where another process says that couriers are.
    pub(super) locate: mpsc::Sender<String>,
    /// The connection ended.
    pub(super) down: Arc<Notify>,
}

/// Makes connections for a pool.
struct Connector {
    /// Where connections live. Handlers run on threads of their own that may end; a connection
    /// that a pool shares must not end with them.
    runtime: Handle,
    ear: Option<Ear>,
}

impl Connect for Connector {
    fn connect(
        &self,
        config: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let (config, ear, runtime) = (config.clone(), self.ear.clone(), self.runtime.clone());
        async move {
            let connecting = runtime.spawn(async move { config.connect(NoTls).await });
            // A cancelled or panicked task can only mean that the runtime is shutting down.
            let (client, mut connection) =
                connecting.await.map_err(|_| tokio_postgres::Error::__private_api_timeout())??;
            let driving = self.runtime.spawn(async move {
                while let Some(message) = poll_fn(|context| connection.poll_message(context)).await
                {
                    match (message, &ear) {
                        (Ok(AsyncMessage::Notification(told)), Some(ear))
                            if told.channel() == members::CHANNEL =>
                        {
                            // More than is listened to is let go.
                            ear.tell.try_send(told.payload().to_owned()).ok();
                        }
                        (Ok(AsyncMessage::Notification(told)), Some(ear))
                            if told.channel() == listen::LOCATIONS =>
                        {
                            // The same: the next point says it anew.
                            ear.locate.try_send(told.payload().to_owned()).ok();
                        }
                        (Ok(AsyncMessage::Notification(_)), Some(ear)) => {
                            // Full means that the bell already rings.
                            ear.bell.try_send(()).ok();
                        }
                        (Ok(_), _) => {}
                        (Err(error), _) => {
                            tracing::debug!(%error, "a PostgreSQL connection ended");
                            break;
                        }
                    }
                }
                if let Some(ear) = ear {
                    ear.down.notify_one();
                }
            });
            Ok((client, driving))
        }
        .boxed()
    }
}

/// A pool of `size` connections to `url`.
pub(super) fn pool(
    url: &str,
    size: usize,
    name: &str,
    extra: &str,
    settings: &config::Database,
    ear: Option<Ear>,
) -> Result<Pool, Error> {
    let mut config: Config = url.parse().map_err(Error::Url)?;
    let timeout = settings.statement_timeout_ms.get();
    let given = config.get_options().unwrap_or_default();
    // Each statement has its index. A plan made while a table was young would scan it until the
    // first analyze, or for as long as the connection lasts. For the same reason statements ask
    // `(tenant_id = $1) is true` beside an identifier: no index answers that, so none but the
    // identifier's can be taken.
    let options = format!(
        "{given} -c statement_timeout={} -c idle_in_transaction_session_timeout={} \
         -c timezone=UTC -c enable_seqscan=off {extra}",
        timeout.as_millis(),
        // A transaction of ours awaits nothing but the database: idling in one is a fault.
        timeout.as_millis(),
    );
    config
        .options(options.trim())
        .application_name(format!("ordercast {name}"))
        .connect_timeout(settings.connect_timeout_ms.get())
        .keepalives_idle(Duration::from_secs(15));
    let manager = Manager::from_connect(
        config,
        Connector { runtime: Handle::current(), ear },
        ManagerConfig { recycling_method: RecyclingMethod::Fast },
    );
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(settings.pool_wait_ms.get()))
        .create_timeout(Some(settings.connect_timeout_ms.get()))
        .recycle_timeout(Some(settings.connect_timeout_ms.get()))
        .build()
        .map_err(Error::Pool)
}
