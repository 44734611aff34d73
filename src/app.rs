//! Builds everything, supervises it, and ends it in order.
//!
//! A process is: worker threads that serve HTTP and sockets, each with a hub of its own; one
//! writer; one feed; one sweeper. If the writer or the feed ends by itself the process ends: a
//! loud restart beats a silent half-service.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix_http::{HttpService, KeepAlive, Request};
use actix_rt::net::TcpStream;
use actix_server::{Server, ServerHandle};
use actix_service::{IntoServiceFactory as _, ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App as WebApp, Error as WebError, web};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::api::{Api, ApiKeys};
use crate::auth::Keys;
use crate::config::Config;
use crate::feed::Feed;
use crate::hub::{Hub, Hubs, LocalHub, Message};
use crate::jwks::{self, Jwks};
use crate::protocol::code::Disconnect;
use crate::store::{self, Database, SchemaState, Writer};
use crate::{dashboard, http, ws};

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

/// A running process.
#[derive(Debug)]
pub struct App {
    address: SocketAddr,
    api: Arc<Api>,
    hubs: Hubs,
    server: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    writing: JoinHandle<()>,
    feeding: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    /// Lives on the thread that started it; only where there are public keys.
    reading_keys: Option<JoinHandle<()>>,
}

impl App {
    /// Starts everything; returns once the feed is up and connections are accepted. `config`
    /// names a database whose schema is current and a secret. To be called within an actix system,
    /// on whose thread the public keys are fetched.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let keys = Keys::configured(&config.auth);
        let (jwks, key_reader) = match jwks::Reader::start(&config.auth, keys.clone()).await? {
            Some((jwks, reader)) => (jwks, Some(reader)),
            None => (Jwks::default(), None),
        };
        check_schema(&config).await?;
        let config = Arc::new(config);
        let (database, listening) = Database::new(&config.database)?;
        let (writer, queue) = Writer::new(config.writer.queue_len, config.writer.batch_max);
        let hubs = Hubs::default();
        let pace = config.socket.close_pace_ms.get();
        let (feed, mut feed_state) = Feed::new(listening, hubs.clone(), config.feed.clone(), pace);
        let api = Arc::new(Api {
            keys,
            jwks,
            api_keys: ApiKeys::new(
                config.auth.api_key_cache_s.get(),
                config.auth.api_key_cache_size,
            ),
            database: database.clone(),
            writer,
            feed: feed_state.clone(),
            long_polls: Semaphore::new(config.api.long_polls_max),
            sockets: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            config: Arc::clone(&config),
        });
        let writing = tokio::spawn(store::run_writer(database.clone(), queue));
        let ttl = config.writer.idempotency_ttl_s.get();
        let sweeping = tokio::spawn(store::run_sweep(database, ttl));
        let feeding = tokio::spawn(feed.run());
        let reading_keys = key_reader.map(|reader| actix_rt::spawn(reader.run()));
        // Nothing is served before the log is heard. The sender lives as long as the feed.
        feed_state.wait_for(|state| state.up).await.map_err(|_ended| Error::Ended("feed"))?;
        let listener = listen(&config)?;
        let address = listener.local_addr().map_err(Error::Serving)?;
        let server = serve(Arc::clone(&api), hubs.clone(), listener).map_err(Error::Serving)?;
        let handle = server.handle();
        let serving = tokio::spawn(server);
        tracing::info!(%address, "serving");
        let server = handle;
        let tasks =
            Self { address, api, hubs, server, serving, writing, feeding, sweeping, reading_keys };
        Ok(tasks)
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
            _ = &mut self.feeding => Error::Ended("feed"),
            _ = &mut self.sweeping => Error::Ended("sweeper"),
            () = ended(self.reading_keys.as_mut()) => Error::Ended("reader of public keys"),
            ended = &mut self.serving => match ended {
                Ok(Err(error)) => Error::Serving(error),
                Ok(Ok(())) | Err(_) => Error::Ended("server"),
            },
        }
    }

    /// Stops in order: not ready, no new sockets; sockets closed with 3001; requests ended; the
    /// last batch written; the feed; the connections.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.api.stopping.store(true, Ordering::Relaxed);
        let pace = self.api.config.socket.close_pace_ms.get();
        self.hubs.send(&Message::EndAll { why: Disconnect::SHUTDOWN, pace }).await;
        self.server.stop(true).await;
        if let Ok(Err(error)) = self.serving.await {
            tracing::warn!(%error, "the server ended badly");
        }
        let database = self.api.database.clone();
        // The workers' shares of it are gone with them: with ours the writer's queue closes, and
        // the writer ends once it is empty.
        drop(self.api);
        let _written = tokio::time::timeout(std::time::Duration::from_secs(30), self.writing).await;
        self.feeding.abort();
        self.sweeping.abort();
        if let Some(reading) = self.reading_keys {
            reading.abort();
        }
        database.close();
        tracing::info!("stopped");
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

fn listen(config: &Config) -> Result<TcpListener, Error> {
    let address = format!("{}:{}", config.server.host, config.server.port);
    let bound = || -> io::Result<TcpListener> {
        let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(config.server.backlog).unwrap_or(i32::MAX))?;
        Ok(socket.into())
    };
    bound().map_err(|source| Error::Listen { address: address.clone(), source })
}

fn serve(api: Arc<Api>, hubs: Hubs, listener: TcpListener) -> io::Result<Server> {
    let server = api.config.server.clone();
    let workers = match server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let shutdown_timeout_s = server.shutdown_timeout_s.secs();
    // Above it actix lets clients hang in the accept queue; we refuse sockets by 503 instead.
    let connections = api.config.socket.max_sockets.saturating_mul(2);
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(shutdown_timeout_s)
        .disable_signals();
    let draining = builder.graceful_shutdown_signal();
    let api = web::Data::from(api);
    // Runs once on each worker's thread.
    let factory = move || {
        let (hub, messages) = hubs.join(api.config.feed.worker_queue_len);
        actix_rt::spawn(Rc::clone(&hub).run(messages));
        let draining = draining.clone();
        let upgrade = {
            let (api, hub) = (web::Data::clone(&api), Rc::clone(&hub));
            fn_factory(move || {
                let (api, hub) = (web::Data::clone(&api), Rc::clone(&hub));
                async move {
                    let app = app(web::Data::clone(&api), Rc::clone(&hub));
                    let app = map_config(app, |()| AppConfig::default()).new_service(()).await;
                    let app = Rc::new(app.map_err(|()| actix_http::Error::from(no_app()))?);
                    Ok::<_, actix_http::Error>(fn_service(move |(request, framed)| {
                        let (app, api, hub) =
                            (Rc::clone(&app), web::Data::clone(&api), Rc::clone(&hub));
                        ws::take_over(app, api, hub, request, framed)
                    }))
                }
            })
        };
        HttpService::<TcpStream, _, _>::build()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(KeepAlive::Timeout(server.keep_alive_s.get()))
            .client_request_timeout(server.request_head_timeout_s.get())
            .tcp_nodelay(true)
            .h1_allow_half_closed(false)
            .upgrade(upgrade)
            .finish(map_config(app(web::Data::clone(&api), hub), |()| AppConfig::default()))
            .tcp()
    };
    Ok(builder.listen("http", listener, factory)?.run())
}

fn no_app() -> actix_http::error::PayloadError {
    actix_http::error::PayloadError::Incomplete(None)
}

/// The routes, as every worker has them.
fn app(
    api: web::Data<Api>,
    hub: Rc<Hub>,
) -> impl ServiceFactory<
    Request,
    Config = AppConfig,
    Response = ServiceResponse<impl actix_web::body::MessageBody + 'static>,
    Error = WebError,
    InitError = (),
> {
    let limit = api.config.server.body_limit_bytes;
    WebApp::new()
        .app_data(web::PayloadConfig::new(limit))
        .app_data(api)
        .app_data(web::Data::new(LocalHub(hub)))
        .service(web::resource("/connection/websocket").route(web::get().to(ws::connect)))
        .configure(http::configure)
        .configure(dashboard::configure)
        .wrap(from_fn(http::finish))
        .into_factory()
}
