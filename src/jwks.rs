//! Brings the public keys of others: reads a JSON Web Key Set from a file or a URL, at the start,
//! at intervals, and when a token names a key that is not known.
//!
//! One task reads, so whoever waits for newer keys waits for the same read; and no two reads begin
//! within `auth.jwks_min_refresh_s`, whatever tokens come. A set that cannot be read changes
//! nothing: the last good one holds. One that can be read replaces it, even by nothing: what is
//! not in it any more has been withdrawn.
//!
//! Absent on purpose: it judges no key and no token; `auth` does.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use awc::error::PayloadError;
use awc::http::Uri;
use awc::{Client, Connector};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::auth::{JwksError, Keys, PublicKeys};
use crate::{config, tls};

/// Why keys could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The roots of `auth.jwks_ca_file` cannot be used.
    #[error("reading the roots in auth.jwks_ca_file")]
    Roots(#[from] tls::Error),
    /// The URL cannot be read as one.
    #[error("auth.jwks_url is no URL")]
    NotAUrl,
    /// The file cannot be read.
    #[error("reading auth.jwks_file")]
    File(#[source] io::Error),
    /// The server could not be asked.
    #[error("fetching auth.jwks_url: {0}")]
    Fetch(String),
    /// The server answered, but not by the keys.
    #[error("auth.jwks_url was answered by status {0}")]
    Answer(u16),
    /// It took too long.
    #[error("reading the public keys took more than auth.jwks_timeout_ms")]
    Late,
    /// It is too big.
    #[error("the public keys have more than auth.jwks_limit_bytes")]
    TooBig,
    /// It cannot be understood.
    #[error("reading the set of public keys")]
    Set(#[from] JwksError),
    /// No key of it can be used; only told at the start.
    #[error("no public key can be used: {}", .0.join("; "))]
    NoKey(Vec<String>),
}

/// How far the reading has come.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// Reads that have ended, well or badly.
    ended: u64,
    /// When the latest began.
    began: Instant,
    /// Whether one is going on.
    reading: bool,
    /// Whether the last that ended did so well.
    good: bool,
}

#[derive(Debug, Clone)]
struct Ears {
    rounds: watch::Receiver<Round>,
    wanted: Arc<Notify>,
    pause: Duration,
}

/// Asks for newer keys. Used by all threads.
#[derive(Debug, Clone, Default)]
pub struct Jwks(Option<Ears>);

impl Jwks {
    /// Has the keys read again, unless that was done just now, and waits until it is done: at
    /// most `auth.jwks_timeout_ms`. Whether the keys at hand are then their owner's latest
    /// word; false when they cannot be read.
    pub async fn renew(&self) -> bool {
        // Nobody has keys for us: there is nothing newer.
        let Some(ears) = &self.0 else { return true };
        let mut rounds = ears.rounds.clone();
        let seen = *rounds.borrow_and_update();
        if !seen.reading && seen.began.elapsed() < ears.pause {
            return seen.good;
        }
        ears.wanted.notify_one();
        let ended = rounds.wait_for(|round| round.ended > seen.ended).await;
        ended.is_ok_and(|round| round.good)
    }
}

/// Where the keys come from.
enum Source {
    File(PathBuf),
    Url { client: Client, url: Uri },
}

/// Reads the keys. Belongs to one thread, as its HTTP client does.
pub struct Reader {
    source: Source,
    keys: Keys,
    timeout: Duration,
    limit: usize,
    keys_max: usize,
    refresh: Duration,
    pause: Duration,
    rounds: watch::Sender<Round>,
    wanted: Arc<Notify>,
    /// The set last trusted, to tell what is new.
    last: Vec<u8>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("jwks::Reader")
    }
}

impl Reader {
    /// Reads the public keys for the first time and has `keys` trust them; none when none are
    /// configured. What cannot be read or used now is a mistake in the configuration.
    pub async fn start(auth: &config::Auth, keys: Keys) -> Result<Option<(Jwks, Self)>, Error> {
        let source = if !auth.jwks_file.is_empty() {
            Source::File(PathBuf::from(&auth.jwks_file))
        } else if !auth.jwks_url.is_empty() {
            let url = auth.jwks_url.parse().map_err(|_| Error::NotAUrl)?;
            let roots = Some(auth.jwks_ca_file.as_str()).filter(|path| !path.is_empty());
            Source::Url { client: client(roots.map(Path::new), auth.jwks_timeout_ms.get())?, url }
        } else {
            return Ok(None);
        };
        let began = Instant::now();
        let round = Round { ended: 0, began, reading: true, good: false };
        let (rounds, heard) = watch::channel(round);
        let wanted = Arc::new(Notify::new());
        let pause = auth.jwks_min_refresh_s.get();
        let mut reader = Self {
            source,
            keys,
            timeout: auth.jwks_timeout_ms.get(),
            limit: auth.jwks_limit_bytes,
            keys_max: auth.jwks_keys_max,
            refresh: auth.jwks_refresh_s.get(),
            pause,
            rounds,
            wanted: Arc::clone(&wanted),
            last: Vec::new(),
        };
        let json = reader.read().await?;
        let set = PublicKeys::parse(&json, reader.keys_max)?;
        if set.usable() == 0 {
            return Err(Error::NoKey(set.left_out().to_vec()));
        }
        reader.trust(json, set);
        reader.rounds.send_replace(Round { ended: 1, reading: false, good: true, ..round });
        Ok(Some((Jwks(Some(Ears { rounds: heard, wanted, pause })), reader)))
    }

    /// Reads again at intervals and when asked, for the life of the process.
    pub async fn run(mut self) {
        loop {
            let round = *self.rounds.borrow();
            let rest = if round.good { self.refresh } else { self.pause };
            let due = round.began + rest;
            tokio::select! {
                () = sleep_until(due) => {}
                () = wanted(&self.wanted, round.began + self.pause) => {}
            }
            let began = Instant::now();
            self.rounds.send_replace(Round { began, reading: true, ..round });
            let good = match self.renew().await {
                Ok(()) => true,
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::warn!(error, "the public keys cannot be read; the last ones hold");
                    false
                }
            };
            let ended = round.ended + 1;
            self.rounds.send_replace(Round { ended, began, reading: false, good });
        }
    }

    async fn renew(&mut self) -> Result<(), Error> {
        let json = self.read().await?;
        if json != self.last {
            let set = PublicKeys::parse(&json, self.keys_max)?;
            self.trust(json, set);
        }
        Ok(())
    }

    fn trust(&mut self, json: Vec<u8>, set: PublicKeys) {
        tracing::info!(usable = set.usable(), "read the public keys");
        for left_out in set.left_out() {
            tracing::warn!(left_out, "a public key cannot be used");
        }
        if set.usable() == 0 {
            tracing::warn!("there is no public key any more: only the secret verifies tokens");
        }
        self.keys.trust(set);
        self.last = json;
    }

    /// The set as it is written, within the limits of size and time.
    async fn read(&self) -> Result<Vec<u8>, Error> {
        let reading = async {
            match &self.source {
                Source::File(path) => read_file(path, self.limit).await,
                Source::Url { client, url } => fetch(client, url, self.limit).await,
            }
        };
        timeout(self.timeout, reading).await.map_err(|_late| Error::Late)?
    }
}

/// Resolves when someone asks and may: asking before `from` is of no use.
async fn wanted(wanted: &Notify, from: Instant) {
    loop {
        wanted.notified().await;
        if Instant::now() >= from {
            return;
        }
    }
}

/// A client that trusts these roots, or Mozilla's, follows no redirect and keeps no connection.
fn client(roots: Option<&Path>, timeout: Duration) -> Result<Client, Error> {
    let tls = tls::client(roots)?;
    // Whoever reads has the patience for the whole; the client's own must not end before.
    let longer = timeout.saturating_mul(2);
    let connector = Connector::new().timeout(longer).handshake_timeout(longer);
    let connector = connector.rustls_0_23(tls);
    Ok(Client::builder().connector(connector).disable_timeout().disable_redirects().finish())
}

async fn fetch(client: &Client, url: &Uri, limit: usize) -> Result<Vec<u8>, Error> {
    // Closed after, as the next is minutes away.
    let request = client.get(url.clone()).insert_header(("accept", "application/json"));
    let answer = request.force_close().send().await;
    let mut answer = answer.map_err(|error| Error::Fetch(error.to_string()))?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(Error::Answer(status));
    }
    match answer.body().limit(limit).await {
        Ok(body) => Ok(body.to_vec()),
        Err(PayloadError::Overflow) => Err(Error::TooBig),
        Err(error) => Err(Error::Fetch(error.to_string())),
    }
}

async fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    let path = path.to_owned();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let reading = tokio::task::spawn_blocking(move || {
        // A pipe would keep us waiting for its other end.
        if !path.metadata()?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let mut json = Vec::new();
        File::open(path)?.take(most).read_to_end(&mut json)?;
        Ok(json)
    });
    let json = reading.await.map_err(io::Error::other).flatten().map_err(Error::File)?;
    if json.len() > limit { Err(Error::TooBig) } else { Ok(json) }
}

/// An error with its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
