//! An issuer of tokens as others run them: a server of public keys, over HTTP or TLS.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use tokio::sync::watch;

use super::{Signer, key_set, until};

/// What it answers.
#[derive(Clone)]
struct Says {
    status: u16,
    body: String,
    /// With a status of redirection.
    location: Option<String>,
}

#[derive(Clone)]
struct State {
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<u32>>,
    /// Answers wait while it is false.
    open: watch::Receiver<bool>,
}

async fn answer(state: web::Data<State>) -> HttpResponse {
    *state.asked.lock().unwrap() += 1;
    let mut open = state.open.clone();
    // Once the test is over it is all the same.
    drop(open.wait_for(|open| *open).await);
    let says = state.says.lock().unwrap().clone();
    let mut response =
        HttpResponse::build(actix_web::http::StatusCode::from_u16(says.status).unwrap());
    if let Some(location) = says.location {
        response.insert_header(("location", location));
    }
    response.content_type("application/json").body(says.body)
}

/// A server of public keys at `url`.
pub struct Issuer {
    pub url: String,
    address: SocketAddr,
    state: State,
    gate: watch::Sender<bool>,
    server: Option<ServerHandle>,
}

impl Issuer {
    /// One that publishes the keys of these signers.
    pub fn start(signers: &[&Signer]) -> Self {
        let (gate, open) = watch::channel(true);
        let says = Says { status: 200, body: key_set(signers).to_string(), location: None };
        let state = State { says: Arc::new(Mutex::new(says)), asked: Arc::default(), open };
        let mut issuer = Self {
            url: String::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            state,
            gate,
            server: None,
        };
        issuer.come_back();
        issuer.url = format!("http://{}/jwks.json", issuer.address);
        issuer
    }

    /// Publishes the keys of these signers, and no others, from now on.
    pub fn publish(&self, signers: &[&Signer]) {
        self.say(200, &key_set(signers));
    }

    /// Answers this from now on.
    pub fn say(&self, status: u16, body: &Value) {
        self.say_text(status, &body.to_string());
    }

    pub fn say_text(&self, status: u16, body: &str) {
        let body = body.to_owned();
        *self.state.says.lock().unwrap() = Says { status, body, location: None };
    }

    /// Answers by a redirection from now on.
    pub fn redirect(&self, location: &str) {
        let location = Some(location.to_owned());
        *self.state.says.lock().unwrap() = Says { status: 302, body: String::new(), location };
    }

    /// Lets who asks wait, until [`Self::answer_all`].
    pub fn fall_silent(&self) {
        self.gate.send_replace(false);
    }

    pub fn answer_all(&self) {
        self.gate.send_replace(true);
    }

    /// How often it was asked.
    pub fn asked(&self) -> u32 {
        *self.state.asked.lock().unwrap()
    }

    /// Waits until it was asked so often.
    pub async fn asked_times(&self, times: u32) {
        until("the issuer to be asked", async || (self.asked() >= times).then_some(())).await;
    }

    /// Ends the server: nobody listens there any more.
    pub async fn go_down(&mut self) {
        self.server.take().unwrap().stop(false).await;
    }

    /// Listens again, at the same address.
    pub fn come_back(&mut self) {
        let state = web::Data::new(self.state.clone());
        let server = HttpServer::new(move || {
            let jwks = web::resource("/jwks.json").route(web::get().to(answer));
            App::new().app_data(web::Data::clone(&state)).service(jwks)
        });
        let server = server.workers(1).disable_signals().bind(self.address).unwrap();
        self.address = server.addrs()[0];
        let server = server.run();
        self.server = Some(server.handle());
        actix_web::rt::spawn(server);
    }
}

/// A test fixture: a certificate for 127.0.0.1 that signs itself, and its key, which openssl made
/// for these tests alone. Nobody trusts it who is not told to.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBpTCCAUqgAwIBAgIUQ8qnzxiDMdltmckSxnMruidXG84wCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPb3JkZXJjYXN0IHRlc3RzMCAXDTI2MTEyMjE0NDYwOFoYDzIx
MjYxMDI5MTQ0NjA4WjAaMRgwFgYDVQQDDA9vcmRlcmNhc3QgdGVzdHMwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAATAoPDs4DUey9ub/d9QCEiRwzLwACFGTZcx1pPx
p0RuAoEHqFrZmr3H92PJH0GlEXkRbIgJRV652mZVhUtTloDgo2wwajAdBgNVHQ4E
FgQUEm7fqmBuXr5Pwksj2mUVtbdt/E0wHwYDVR0jBBgwFoAUEm7fqmBuXr5Pwksj
2mUVtbdt/E0wDAYDVR0TAQH/BAIwADAaBgNVHREEEzARhwR/AAABgglsb2NhbGhv
c3QwCgYIKoZIzj0EAwIDSQAwRgIhAOb0VnP1VQnY+1DPs9stnOQvcHuv2i3IzTPa
80b/ibNrAiEAt1Fy2A3pvdxbQiajD4ZeIdq6cuMDdsPmZRegStam0MQ=
-----END CERTIFICATE-----
";
const CERTIFICATE_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWTFmkwkXWovYJKgg
QQWxrhZqHMM6WHsCdnpFasdPLJyhRANCAATAoPDs4DUey9ub/d9QCEiRwzLwACFG
TZcx1pPxp0RuAoEHqFrZmr3H92PJH0GlEXkRbIgJRV652mZVhUtTloDg
-----END PRIVATE KEY-----
";

/// The certificate of an issuer over TLS.
pub struct Certificate;

impl Certificate {
    /// As it is given to those who shall trust it.
    pub const PEM: &str = CERTIFICATE;

    /// Serves `body` over TLS to everybody who shakes hands, for the life of this process; its
    /// URL.
    pub fn serve(body: &Value) -> String {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(CERTIFICATE_KEY.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/jwks.json", listener.local_addr().unwrap());
        let body = body.to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(session, stream);
                let mut request = [0; 4_096];
                // A client that does not trust us ends the handshake.
                if stream.read(&mut request).is_ok() {
                    drop(stream.write_all(format!("{head}{body}").as_bytes()));
                    stream.conn.send_close_notify();
                    drop(stream.flush());
                }
            }
        });
        url
    }
}
