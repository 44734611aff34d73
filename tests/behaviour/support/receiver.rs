//! A receiver of webhooks: a real HTTP server that notes what is posted to it, answers as it is
//! told, and can go down and come back.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ordercast::config::Config;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::until;

/// Settings by which tests can be posted to.
pub fn delivering(config: &mut Config) {
    config.webhooks.allow_http = true;
    config.webhooks.allow_private = true;
    config.webhooks.look_interval_ms = super::of(100);
}

/// What was posted.
#[derive(Clone, Debug)]
pub struct Letter {
    pub id: String,
    pub timestamp: String,
    pub signatures: String,
    pub kind: String,
    pub body: String,
}

impl Letter {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether one of its signatures is by this secret. Made from the specification and from
    /// SHA-256 alone.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        assert!((24..=64).contains(&key.len()));
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        let padded = |with: u8| -> Vec<u8> {
            (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect()
        };
        let inner = Sha256::new().chain_update(padded(0x36)).chain_update(signed).finalize();
        let mac = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
        let wanted = format!("v1,{}", STANDARD.encode(mac));
        self.signatures.split(' ').any(|signature| signature == wanted)
    }
}

/// How it answers.
#[derive(Clone, Debug)]
pub struct Says {
    pub status: u16,
    pub header: Option<(&'static str, String)>,
    pub body: String,
}

impl Says {
    pub fn status(status: u16) -> Self {
        Self { status, header: None, body: String::new() }
    }
}

#[derive(Clone)]
struct State {
    letters: Arc<Mutex<Vec<Letter>>>,
    /// Answers to the next letters; after them all is well.
    next: Arc<Mutex<VecDeque<Says>>>,
    /// Answers wait while it is false.
    open: watch::Receiver<bool>,
}

async fn receive(state: web::Data<State>, request: HttpRequest, body: String) -> HttpResponse {
    let header = |name: &str| {
        request.headers().get(name).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let letter = Letter {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signatures: header("webhook-signature"),
        kind: header("content-type"),
        body,
    };
    let says = state.next.lock().unwrap().pop_front().unwrap_or(Says::status(204));
    state.letters.lock().unwrap().push(letter);
    let mut open = state.open.clone();
    // Once the test is over it is all the same.
    drop(open.wait_for(|open| *open).await);
    let mut response = HttpResponse::build(StatusCode::from_u16(says.status).unwrap());
    if let Some(header) = says.header {
        response.insert_header(header);
    }
    response.body(says.body)
}

/// A receiver at `url`.
pub struct Receiver {
    pub url: String,
    address: SocketAddr,
    state: State,
    gate: watch::Sender<bool>,
    server: Option<ServerHandle>,
}

impl Receiver {
    pub fn start() -> Self {
        let (gate, open) = watch::channel(true);
        let state = State { letters: Arc::default(), next: Arc::default(), open };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut receiver = Self { url: String::new(), address, state, gate, server: None };
        receiver.come_back();
        receiver.url = format!("http://{}/hook?a=b", receiver.address);
        receiver
    }

    /// Ends the server: nobody listens there any more.
    pub async fn go_down(&mut self) {
        self.server.take().unwrap().stop(false).await;
    }

    /// Listens again, at the same address.
    pub fn come_back(&mut self) {
        let state = web::Data::new(self.state.clone());
        let server = HttpServer::new(move || {
            let hook = web::resource("/hook").route(web::post().to(receive));
            App::new().app_data(web::Data::clone(&state)).service(hook)
        });
        let server = server.workers(1).disable_signals().bind(self.address).unwrap();
        self.address = server.addrs()[0];
        let server = server.run();
        self.server = Some(server.handle());
        actix_web::rt::spawn(server);
    }

    /// Answers the next letter so, after those that were told before.
    pub fn say(&self, says: Says) {
        self.state.next.lock().unwrap().push_back(says);
    }

    /// Answers nobody, until [`Self::answer_all`].
    pub fn fall_silent(&self) {
        self.gate.send_replace(false);
    }

    pub fn answer_all(&self) {
        self.gate.send_replace(true);
    }

    /// Everything posted so far, in order.
    pub fn letters(&self) -> Vec<Letter> {
        self.state.letters.lock().unwrap().clone()
    }

    /// Waits until so many letters have come; all of them.
    pub async fn received(&self, count: usize) -> Vec<Letter> {
        until("letters to come", async || {
            let letters = self.letters();
            (letters.len() >= count).then_some(letters)
        })
        .await
    }
}
