//! Builds everything, supervises it, and ends it in order.
//!
//! A process is: worker threads that serve HTTP and sockets, each with a hub of its own; one
//! writer; one feed; one keeper of timers; one sweeper; one deliverer to webhooks. If one of them
//! ends by itself the process ends: a loud restart beats a silent half-service.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_server::ServerHandle;
use actix_web::web::{self, ServiceConfig};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::api::{Api, ApiKeys, Limits, Places, SharedReads};
use crate::auth::Keys;
use crate::config::Config;
use crate::feed::{Feed, Revoked};
use crate::hub::{Hubs, Message, Presence, Publication};
use crate::jwks::{self, Jwks};
use crate::locations::{Announcer, Flusher, Locations, Publisher};
use crate::presence::{Attendance, Keeper};
use crate::protocol::code::Disconnect;
use crate::session::{House, Streams};
use crate::store::{self, Database, SchemaState, Writer};
use crate::webhooks::{Poster, Worker};
use crate::{channels, dashboard, http, server, timers, tls};

/// Why a process does not start, or ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used.
    #[error("preparing the database")]
    Database(#[from] store::Error),
    /// The schema is not the one this release knows.
    #[error("the database's schema does not fit this release: {0}")]
    Schema(String),
    /// The public keys that tokens are verified by cannot be read.
    #[error("preparing the public keys")]
    Keys(#[from] jwks::Error),
    /// The roots that endpoints of webhooks are certified by do not do.
    #[error("preparing webhooks.ca_file")]
    Roots(#[source] tls::Error),
    /// The address cannot be listened on.
    #[error("listening on {address}")]
    Listen {
        /// Which.
        address: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The server of connections failed.
    #[error("serving connections")]
    Serving(#[source] io::Error),
    /// A task that should live as long as the process ended.
    #[error("the {0} ended by itself")]
    Ended(&'static str),
}

/// How long the timers claimed at a stop may take to be done.
const TIMERS_END: Duration = Duration::from_secs(5);

/// A running process.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    api: Arc<Api>,
    hubs: Hubs<Publication>,
    server: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    writing: JoinHandle<()>,
    timing: JoinHandle<()>,
    /// Set when no timer is to be claimed any more.
    stop_timing: watch::Sender<bool>,
    feeding: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    attending: JoinHandle<()>,
    locating: Locating,
    /// Lives on the thread that started it.
    delivering: JoinHandle<()>,
    stop_delivering: watch::Sender<bool>,
    /// Lives on the thread that started it; only where there are public keys.
    reading_keys: Option<JoinHandle<()>>,
}

impl App {
    /// Starts everything; returns once the feed is up and connections are accepted. `config`
    /// names a database whose schema is current and a secret. To be called within an actix system,
    /// on whose thread the public keys are fetched and webhooks delivered to.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let keys = Keys::configured(&config.auth);
        let (jwks, key_reader) = match jwks::Reader::start(&config.auth, keys.clone()).await? {
            Some((jwks, reader)) => (jwks, Some(reader)),
            None => (Jwks::default(), None),
        };
        check_schema(&config).await?;
        let config = Arc::new(config);
        let poster = Poster::new(&config.webhooks).map_err(Error::Roots)?;
        let (database, mut listening) = Database::new(&config.database)?;
        let (writer, queue) = Writer::new(&config.writer);
        let hubs = Hubs::default();
        let pace = config.socket.close_pace_ms.get();
        let (presence, moves) = Presence::new(config.socket.moves_len);
        let (presence, attendance) =
            (Arc::new(presence), Arc::new(Attendance::new(database.clone())));
        let streams = Arc::<Streams>::default();
        let told = listening.take_told().ok_or(Error::Ended("ear"))?;
        let keeper = Keeper::new(
            Arc::clone(&attendance),
            Arc::clone(&presence),
            hubs.clone(),
            Arc::clone(&streams),
        );
        let attending = tokio::spawn(keeper.run(moves, told));
        // A key that was believed when it was revoked must not be believed again from memory.
        let longest = config.auth.token_ttl_max_s.max(config.auth.api_key_cache_s);
        let revoked = Arc::new(Revoked::new(longest.get()));
        let located = listening.take_located().ok_or(Error::Ended("ear"))?;
        let locations = Locations::new(config.locations.clone());
        let kept = (Arc::clone(&revoked), Arc::clone(&locations));
        let (feed, mut feed_state) =
            Feed::new(listening, hubs.clone(), kept, config.feed.clone(), pace);
        let api = Arc::new(Api {
            keys,
            jwks,
            api_keys: ApiKeys::new(
                config.auth.api_key_cache_s.get(),
                config.auth.api_key_cache_size,
            ),
            database: database.clone(),
            writer: writer.clone(),
            revoked,
            locations: Arc::clone(&locations),
            feed: feed_state.clone(),
            window: Arc::clone(feed.window()),
            shared: SharedReads::new(config.database.shared_reads_max),
            long_polls: Semaphore::new(config.api.long_polls_max),
            poster: poster.clone(),
            proof_uploads: Semaphore::new(config.proofs.uploads_max),
            pings: Semaphore::new(config.webhooks.deliveries_max),
            attendance,
            limits: Limits::new(&config.limits),
            link_places: Places::new(config.links.sockets_max),
            store_places: Places::new(config.limits.store_sockets_max),
            house: House::new(presence, streams),
            config: Arc::clone(&config),
        });
        let writing = tokio::spawn(store::run_writer(database.clone(), queue));
        let ttl = config.writer.idempotency_ttl_s.get();
        let attempts_ttl = config.webhooks.attempts_ttl_s.get();
        let retention = config.retention.clone();
        let keep_links = config.links.keep_s.get();
        let sweep = store::run_sweep(database.clone(), ttl, attempts_ttl, keep_links, retention);
        let sweeping = tokio::spawn(sweep);
        let news = (feed_state.clone(), Arc::clone(feed.window()));
        let feeding = tokio::spawn(feed.run());
        let reading_keys = key_reader.map(|reader| actix_rt::spawn(reader.run()));
        let (stop_delivering, stopping) = watch::channel(false);
        let worker = Worker::new(database.clone(), poster, config.webhooks.clone(), news, stopping);
        // Nothing is served before the log is heard. The sender lives as long as the feed.
        feed_state.wait_for(|state| state.up).await.map_err(|_ended| Error::Ended("feed"))?;
        let listener = server::listen(&config.server).map_err(|source| Error::Listen {
            address: format!("{}:{}", config.server.host, config.server.port),
            source,
        })?;
        let locating = locate(locations, &database, &writer, hubs.clone(), located);
        let (stop_timing, stop) = watch::channel(false);
        let people = timers::Watch {
            presence: Arc::clone(&api.house.presence),
            attendance: Arc::clone(&api.attendance),
            locations: Arc::clone(&api.locations),
        };
        let timing = timers::run(database, writer, config.timers.clone(), people, stop);
        let timing = tokio::spawn(timing);
        let delivering = actix_rt::spawn(worker.run());
        let address = listener.local_addr().map_err(Error::Serving)?;
        let settings = server::Settings {
            server: config.server.clone(),
            worker_queue_len: config.feed.worker_queue_len,
        };
        let source = web::Data::from(Arc::clone(&api));
        let server = server::serve(settings, source, hubs.clone(), routes, listener)
            .map_err(Error::Serving)?;
        let handle = server.handle();
        let serving = tokio::spawn(server);
        tracing::info!(%address, "serving");
        let server = handle;
        Ok(Self {
            address,
            api,
            hubs,
            server,
            serving,
            writing,
            timing,
            stop_timing,
            feeding,
            sweeping,
            attending,
            locating,
            delivering,
            stop_delivering,
            reading_keys,
        })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What handlers share.
    pub const fn api(&self) -> &Arc<Api> {
        &self.api
    }

    /// Waits until something ends that should not.
    pub async fn supervise(&mut self) -> Error {
        tokio::select! {
            _ = &mut self.writing => Error::Ended("writer"),
            _ = &mut self.timing => Error::Ended("keeper of timers"),
            _ = &mut self.feeding => Error::Ended("feed"),
            _ = &mut self.sweeping => Error::Ended("sweeper"),
            _ = &mut self.attending => Error::Ended("keeper of presence"),
            name = self.locating.ended() => Error::Ended(name),
            _ = &mut self.delivering => Error::Ended("deliverer to webhooks"),
            () = ended(self.reading_keys.as_mut()) => Error::Ended("reader of public keys"),
            ended = &mut self.serving => match ended {
                Ok(Err(error)) => Error::Serving(error),
                Ok(Ok(())) | Err(_) => Error::Ended("server"),
            },
        }
    }

    /// Stops in order: not ready, no new sockets; sockets closed with 3001; requests ended; the
    /// timers; the last batch written; the feed; the connections.
    pub async fn stop(mut self) {
        tracing::info!("stopping");
        self.api.house.stopping.store(true, Ordering::Relaxed);
        self.stop_delivering.send_replace(true);
        let pace = self.api.config.socket.close_pace_ms.get();
        self.hubs.send(&Message::EndAll { why: Disconnect::SHUTDOWN, pace }).await;
        // The workers wait for their requests, and know nothing of sockets.
        let patience = self.api.config.server.shutdown_timeout_s.get();
        if tokio::time::timeout(patience, self.api.house.emptied()).await.is_err() {
            tracing::warn!(sockets = self.api.house.sockets(), "sockets are cut off");
        }
        self.server.stop(true).await;
        if let Ok(Err(error)) = self.serving.await {
            tracing::warn!(%error, "the server ended badly");
        }
        // What they have not told yet the next points of couriers tell. One of them has a share of
        // the writer.
        self.locating.stop().await;
        let database = self.api.database.clone();
        let patience = self.api.config.webhooks.timeout_ms.get() * 2;
        let attendance = Arc::clone(&self.api.attendance);
        self.stop_timing.send_replace(true);
        if !self.timing.is_finished()
            && tokio::time::timeout(TIMERS_END, &mut self.timing).await.is_err()
        {
            // Whatever it has claimed another process does, or this one after its next start.
            self.timing.abort();
            drop(self.timing.await);
        }
        // The workers' shares of it are gone with them: with ours the writer's queue closes, and
        // the writer ends once it is empty.
        drop(self.api);
        // What is answered is noted; who takes longer is posted to once more by another process.
        let _delivered = tokio::time::timeout(patience, self.delivering).await;
        let _written = tokio::time::timeout(Duration::from_secs(30), self.writing).await;
        self.feeding.abort();
        self.sweeping.abort();
        self.attending.abort();
        attendance.end().await;
        if let Some(reading) = self.reading_keys {
            reading.abort();
        }
        database.close();
        tracing::info!("stopped");
    }
}

/// The tasks that tell where couriers are.
#[derive(Debug)]
struct Locating {
    flushing: JoinHandle<()>,
    announcing: JoinHandle<()>,
    publishing: JoinHandle<()>,
}

/// Batches of couriers that may wait to be published, and orders that may wait to be looked at.
const FLUSHED_WAITING: usize = 16;
const ARRIVING_WAITING: usize = 1_024;

fn locate(
    locations: Arc<Locations>,
    database: &Database,
    writer: &Writer,
    hubs: Hubs<Publication>,
    located: mpsc::Receiver<String>,
) -> Locating {
    let process = Uuid::new_v4();
    let (written, to_publish) = mpsc::channel(FLUSHED_WAITING);
    let (arriving, to_announce) = mpsc::channel(ARRIVING_WAITING);
    let shared = Arc::clone(&locations);
    let flusher = Flusher::new(shared, database.clone(), process, written, arriving);
    let publisher = Publisher::new(locations, hubs, process);
    Locating {
        flushing: tokio::spawn(flusher.run()),
        announcing: tokio::spawn(Announcer::new(writer.clone(), to_announce).run()),
        publishing: tokio::spawn(publisher.run(to_publish, located)),
    }
}

impl Locating {
    /// Waits until one ends that should not; its name.
    async fn ended(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.flushing => "writer of locations",
            _ = &mut self.announcing => "announcer of arrivals",
            _ = &mut self.publishing => "publisher of locations",
        }
    }

    async fn stop(self) {
        for task in [self.flushing, self.announcing, self.publishing] {
            task.abort();
            drop(task.await);
        }
    }
}

/// Resolves when the task ends; never, if there is none.
async fn ended(task: Option<&mut JoinHandle<()>>) {
    match task {
        Some(task) => drop(task.await),
        None => std::future::pending().await,
    }
}

async fn check_schema(config: &Config) -> Result<(), Error> {
    let advice = match store::schema_state(&config.database.url.0).await? {
        SchemaState::Current => return Ok(()),
        SchemaState::Older { missing } => {
            format!("{missing} migrations are missing; run `ordercast migrate`")
        }
        SchemaState::Newer { version } => {
            format!("it has migration {version}, which is newer; run a newer release")
        }
        SchemaState::Different { version } => {
            format!("migration {version} was applied with another text")
        }
    };
    Err(Error::Schema(advice))
}

/// Every route but those of sockets.
fn routes(services: &mut ServiceConfig) {
    services
        .configure(http::configure)
        .configure(channels::configure)
        .configure(dashboard::configure);
}
