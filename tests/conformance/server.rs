//! Starts and stops the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_server::ServerHandle;
use actix_web::web;
use ordercast::config::Config;
use ordercast::hub::{Hubs, Message, Presence};
use ordercast::protocol::code::Disconnect;
use ordercast::server;
use ordercast::session::House;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::memory::Memory;
use super::note::Note;
use super::panel;
use super::token::Tokens;

/// What the suites must know.
#[derive(Debug)]
pub struct Settings {
    /// 0 takes a free one.
    pub port: u16,
    /// Signs tokens.
    pub secret: String,
    /// Opens the HTTP API.
    pub api_key: String,
    /// Whether clients may ask who is there.
    pub offers_presence: bool,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub url: String,
    memory: web::Data<Memory>,
    hubs: Hubs<Note>,
    handle: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    telling: JoinHandle<()>,
}

impl Server {
    /// Starts it with the bounds of `config`, whose database is not used.
    pub fn start(mut config: Config, settings: Settings) -> io::Result<Self> {
        config.server.port = settings.port;
        let hubs = Hubs::default();
        let (presence, mut moves) = Presence::new(config.socket.moves_len);
        let workers = hubs.clone();
        let telling = tokio::spawn(async move {
            while let Some(moved) = moves.recv().await {
                workers.send(&Message::Moved(moved)).await;
            }
        });
        let memory = web::Data::new(Memory {
            socket: config.socket,
            house: House::new(Arc::new(presence), Arc::default()),
            hubs: hubs.clone(),
            tokens: Tokens::new(&settings.secret),
            api_key: settings.api_key,
            offers_presence: settings.offers_presence,
            channels: Mutex::default(),
        });
        let listener = server::listen(&config.server)?;
        let url = format!("http://{}", listener.local_addr()?);
        let worker_queue_len = config.feed.worker_queue_len;
        let settings = server::Settings { server: config.server, worker_queue_len };
        let source = web::Data::clone(&memory);
        let server = server::serve(settings, source, hubs.clone(), panel::configure, listener)?;
        let handle = server.handle();
        let serving = tokio::spawn(server);
        Ok(Self { url, memory, hubs, handle, serving, telling })
    }

    /// Closes all connections (3001), and waits until all has ended.
    pub async fn stop(self) {
        self.memory.house.stopping.store(true, Ordering::Relaxed);
        let pace = self.memory.socket.close_pace_ms.get();
        self.hubs.send(&Message::EndAll { why: Disconnect::SHUTDOWN, pace }).await;
        self.handle.stop(true).await;
        // How it ended is of no use to anybody any more.
        drop(self.serving.await);
        self.telling.abort();
    }
}
