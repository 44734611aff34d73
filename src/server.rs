//! The worker threads: each serves HTTP and sockets, and has a hub of its own.

use std::io;
use std::net::{TcpListener, ToSocketAddrs as _};
use std::rc::Rc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive, Request};
use actix_rt::net::TcpStream;
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactory, fn_factory, fn_service, map_config};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App as WebApp, Error as WebError};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::config;
use crate::http;
use crate::hub::{Hub, Hubs, LocalHub};
use crate::session::{self, Source};

/// How a server is set up, besides what it serves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads, requests, connections.
    pub server: config::Server,
    /// Batches that may wait for one worker.
    pub worker_queue_len: usize,
}

/// A listening socket on the configured address.
pub fn listen(settings: &config::Server) -> io::Result<TcpListener> {
    let address = format!("{}:{}", settings.host, settings.port);
    let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Serves `source`'s sockets, and the routes that `configure` adds, on `listener`.
pub fn serve<S: Source>(
    settings: Settings,
    source: web::Data<S>,
    hubs: Hubs<S::News>,
    configure: fn(&mut ServiceConfig),
    listener: TcpListener,
) -> io::Result<Server> {
    let Settings { server, worker_queue_len } = settings;
    let workers = match server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    // Above it actix lets clients hang in the accept queue; we refuse sockets by 503 instead.
    let connections = source.settings().max_sockets.saturating_mul(2);
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(server.shutdown_timeout_s.secs())
        .disable_signals();
    let draining = builder.graceful_shutdown_signal();
    let limit = server.body_limit_bytes;
    let (unread_timeout, unsent) = (server.unread_timeout_s.get(), server.unsent_bytes);
    // Runs once on each worker's thread.
    let factory = move || {
        let (hub, messages) = hubs.join(worker_queue_len);
        actix_rt::spawn(Rc::clone(&hub).run(messages));
        let draining = draining.clone();
        let app = {
            let (source, hub) = (web::Data::clone(&source), Rc::clone(&hub));
            move || app(limit, web::Data::clone(&source), Rc::clone(&hub), configure)
        };
        let plain = map_config(app(), |()| AppConfig::default());
        let upgrade = {
            let (source, hub) = (web::Data::clone(&source), Rc::clone(&hub));
            fn_factory(move || {
                let (source, hub) = (web::Data::clone(&source), Rc::clone(&hub));
                let app = map_config(app(), |()| AppConfig::default()).new_service(());
                async move {
                    let app = Rc::new(app.await.map_err(|()| actix_http::Error::from(no_app()))?);
                    Ok::<_, actix_http::Error>(fn_service(move |(request, framed)| {
                        let (app, source, hub) =
                            (Rc::clone(&app), web::Data::clone(&source), Rc::clone(&hub));
                        session::take_over(app, source, hub, request, framed)
                    }))
                }
            })
        };
        HttpService::<TcpStream, _, _>::build()
            .on_connect_ext(move |stream: &TcpStream, _| bound(stream, unread_timeout, unsent))
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(KeepAlive::Timeout(server.keep_alive_s.get()))
            .client_request_timeout(server.request_head_timeout_s.get())
            .tcp_nodelay(true)
            .h1_allow_half_closed(false)
            .upgrade(upgrade)
            .finish(plain)
            .tcp()
    };
    Ok(builder.listen("http", listener, factory)?.run())
}

/// Bounds what a client costs that does not read: HTTP's own buffers have a bound, but nothing in
/// them ever gives up.
#[cfg(target_os = "linux")]
fn bound(stream: &TcpStream, unread_timeout: Duration, unsent: u32) {
    let socket = SockRef::from(stream);
    let set = socket
        .set_tcp_user_timeout(Some(unread_timeout))
        .and_then(|()| socket.set_tcp_notsent_lowat(unsent));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection's bounds could not be set");
    }
}

/// Only Linux has such bounds.
#[cfg(not(target_os = "linux"))]
const fn bound(_stream: &TcpStream, _unread_timeout: Duration, _unsent: u32) {}

fn no_app() -> actix_http::error::PayloadError {
    actix_http::error::PayloadError::Incomplete(None)
}

/// The routes, as every worker has them.
fn app<S: Source>(
    body_limit: usize,
    source: web::Data<S>,
    hub: Rc<Hub<S::News>>,
    configure: fn(&mut ServiceConfig),
) -> impl ServiceFactory<
    Request,
    Config = AppConfig,
    Response = ServiceResponse<impl actix_web::body::MessageBody + 'static>,
    Error = WebError,
    InitError = (),
> {
    WebApp::new()
        .app_data(web::PayloadConfig::new(body_limit))
        .app_data(source)
        .app_data(web::Data::new(LocalHub(hub)))
        .configure(session::configure::<S>)
        .configure(configure)
        .wrap(from_fn(http::finish))
        .into_factory()
}
