//! Posts one body to one endpoint, and says what came of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use awc::error::{ConnectError, SendRequestError};
use awc::http::Uri;
use awc::http::header::{HeaderMap, HttpDate, RETRY_AFTER};
use awc::{Client, Connector};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use super::guard::NoAddress;
use super::secret::signatures;
use super::{Guard, Secret};
use crate::store::Webhook;
use crate::{auth, config, tls};

/// Addresses of one name that are tried after one another.
const ADDRESSES: usize = 4;

/// What came of posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered by a status of success.
    Delivered,
    /// Answered by another status; a redirection is one, as none is followed.
    Status,
    /// Not answered in time.
    Timeout,
    /// The name cannot be looked up.
    Lookup,
    /// Nobody could be connected to, or the certificate does not do.
    Connect,
    /// The connection ended, or what came is not HTTP.
    Broken,
    /// Nothing may be posted there.
    Forbidden,
}

impl Outcome {
    /// The word on the wire and in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Status => "status",
            Self::Timeout => "timeout",
            Self::Lookup => "lookup",
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Forbidden => "forbidden",
        }
    }
}

/// What came of posting, with its circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// In one word.
    pub outcome: Outcome,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub duration: Duration,
    /// How long the endpoint asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// What is to be posted.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// The `webhook-id`: the event's, the same at each try.
    pub id: &'a str,
    /// The body.
    pub body: &'a str,
}

/// How to post; for all threads.
#[derive(Debug, Clone)]
pub struct Poster {
    guard: Guard,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    answer_limit: usize,
}

impl Poster {
    /// A poster with these settings.
    pub fn new(settings: &config::Webhooks) -> Result<Self, tls::Error> {
        let roots = Some(settings.ca_file.as_str()).filter(|path| !path.is_empty());
        Ok(Self {
            guard: Guard::new(settings),
            tls: tls::client(roots.map(Path::new))?,
            timeout: settings.timeout_ms.get(),
            answer_limit: settings.answer_limit_bytes,
        })
    }

    /// What judges where may be posted to.
    pub const fn guard(&self) -> Guard {
        self.guard
    }

    /// Whether the URL's name stands for addresses that may be connected to, as far as it can be
    /// looked up now.
    pub async fn may_reach(&self, uri: &Uri) -> bool {
        let until = Instant::now() + self.timeout;
        let found = timeout_at(until, self.guard.addresses(uri)).await;
        !matches!(found, Ok(Err(NoAddress::Bad(_))))
    }

    /// A way to one endpoint.
    pub fn line(&self) -> Line<'_> {
        Line { poster: self, kept: None }
    }
}

/// A way to one endpoint: its connection is kept from one letter to the next. Belongs to one
/// thread, as its HTTP client does.
pub struct Line<'a> {
    poster: &'a Poster,
    kept: Option<Kept>,
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("webhooks::Line")
    }
}

/// A client whose connections all lead to one address, which was judged.
struct Kept {
    url: String,
    client: Client,
    address: std::net::SocketAddr,
}

/// An answer's head.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
}

impl Line<'_> {
    /// Posts one letter to a webhook's endpoint, signed by each of its secrets. Takes at most
    /// `webhooks.timeout_ms`.
    pub async fn post(&mut self, webhook: &Webhook, letter: Letter<'_>) -> Sent {
        let began = Instant::now();
        let until = began + self.poster.timeout;
        let posted = timeout_at(until, self.try_post(webhook, letter, until)).await;
        let (outcome, status, retry_after) = match posted {
            Ok(Ok(answer)) => {
                let good = (200..300).contains(&answer.status);
                let outcome = if good { Outcome::Delivered } else { Outcome::Status };
                (outcome, Some(answer.status), answer.retry_after)
            }
            Ok(Err(outcome)) => (outcome, None, None),
            Err(_late) => (Outcome::Timeout, None, None),
        };
        if outcome != Outcome::Delivered {
            self.kept = None;
        }
        Sent { outcome, status, duration: began.elapsed(), retry_after }
    }

    async fn try_post(
        &mut self,
        webhook: &Webhook,
        letter: Letter<'_>,
        until: Instant,
    ) -> Result<Answer, Outcome> {
        if let Some(kept) = self.kept.take_if(|kept| kept.url == webhook.url) {
            // It may have been closed meanwhile: then another is made.
            match self.exchange(kept, webhook, letter, until).await {
                Err(Outcome::Broken | Outcome::Connect) => {}
                done => return done,
            }
        }
        let uri = self.poster.guard.read(&webhook.url).map_err(|_bad| Outcome::Forbidden)?;
        let addresses = self.poster.guard.addresses(&uri).await.map_err(|none| match none {
            NoAddress::Bad(why) => {
                tracing::debug!(webhook = %webhook.id, %why, "an endpoint may not be posted to");
                Outcome::Forbidden
            }
            NoAddress::Lookup(error) => {
                tracing::debug!(webhook = %webhook.id, %error, "an endpoint cannot be looked up");
                Outcome::Lookup
            }
        })?;
        let mut failed = Outcome::Connect;
        for address in addresses.into_iter().take(ADDRESSES) {
            let url = webhook.url.clone();
            let kept = Kept { url, client: self.poster.client(), address };
            match self.exchange(kept, webhook, letter, until).await {
                Err(Outcome::Connect) => failed = Outcome::Connect,
                done => return done,
            }
        }
        Err(failed)
    }

    /// Posts, and reads the answer; the connection is kept if it can be used again.
    async fn exchange(
        &mut self,
        kept: Kept,
        webhook: &Webhook,
        letter: Letter<'_>,
        until: Instant,
    ) -> Result<Answer, Outcome> {
        let Letter { id, body } = letter;
        let now = auth::now();
        let prior = webhook.prior.iter().filter(|(_secret, until)| *until > now);
        let secrets = std::iter::once(&webhook.secret).chain(prior.map(|(secret, _)| secret));
        let secrets: Vec<Secret> = secrets.map(|secret| Secret::from_bytes(secret)).collect();
        let request = kept
            .client
            .post(webhook.url.as_str())
            .address(kept.address)
            .insert_header(("content-type", "application/json"))
            .insert_header(("webhook-id", id))
            .insert_header(("webhook-timestamp", now.as_second().to_string()))
            .insert_header(("webhook-signature", signatures(&secrets, id, now, body)));
        let mut answer = request.send_body(body.to_owned()).await.map_err(|error| {
            tracing::debug!(webhook = %webhook.id, %error, "an endpoint cannot be posted to");
            outcome_of(&error)
        })?;
        let status = answer.status().as_u16();
        let retry_after = retry_after(answer.headers());
        // The head decides. The rest is read for the connection's sake.
        let rest = answer.body().limit(self.poster.answer_limit);
        if let Ok(Ok(_rest)) = timeout_at(until, rest).await {
            self.kept = Some(kept);
        }
        Ok(Answer { status, retry_after })
    }
}

impl Poster {
    /// A client that follows no redirection.
    fn client(&self) -> Client {
        // Whoever posts has the patience for the whole; the client's own must not end before.
        let longer = self.timeout.saturating_mul(2);
        let connector = Connector::new().timeout(longer).handshake_timeout(longer).limit(1);
        let connector = connector.rustls_0_23(Arc::clone(&self.tls));
        Client::builder()
            .connector(connector)
            .disable_timeout()
            .disable_redirects()
            .add_default_header(("user-agent", concat!("ordercast/", env!("CARGO_PKG_VERSION"))))
            .finish()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "more errors may come, of either kind")]
fn outcome_of(error: &SendRequestError) -> Outcome {
    match error {
        SendRequestError::Timeout => Outcome::Timeout,
        SendRequestError::Connect(error) => match error {
            ConnectError::Timeout => Outcome::Timeout,
            ConnectError::Disconnected => Outcome::Broken,
            _ => Outcome::Connect,
        },
        _ => Outcome::Broken,
    }
}

/// What `Retry-After` asks for: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date: HttpDate = value.parse().ok()?;
    let now = SystemTime::from(auth::now());
    Some(SystemTime::from(date).duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use awc::http::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("100"), Some(Duration::from_secs(100)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let later =
            HttpDate::from(SystemTime::from(auth::now()) + Duration::from_secs(100)).to_string();
        let read_back = read(&later).unwrap();
        assert!(Duration::from_secs(90) < read_back && read_back <= Duration::from_secs(100));
        for nonsense in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn each_outcome_has_a_word_of_its_own() {
        let all = [
            Outcome::Delivered,
            Outcome::Status,
            Outcome::Timeout,
            Outcome::Lookup,
            Outcome::Connect,
            Outcome::Broken,
            Outcome::Forbidden,
        ];
        let words: std::collections::HashSet<_> = all.iter().map(|it| it.word()).collect();
        assert_eq!(words.len(), all.len());
    }
}
