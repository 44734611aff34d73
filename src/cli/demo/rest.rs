//! The REST API as a platform's back end or a phone calls it.

use std::time::Duration;

use awc::Client;
use awc::error::SendRequestError;
use awc::http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

use super::wire::text;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer: a page of 1,000 events.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// How often one request is made when the server is too busy or the connection is lost.
const TRIES: u32 = 4;
/// Connections at once; further requests wait.
const CONNECTIONS: usize = 256;

/// Why there is no answer to what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denied {
    /// The server said no: the problem's code and its sentence.
    Refused {
        /// As in `invalid_transition`.
        word: String,
        /// For people.
        detail: String,
    },
    /// There was none, or none that could be read.
    Failed(String),
}

impl Denied {
    /// Whether this is how two players at the same order find out who came first. Customers who
    /// change their mind, stores and couriers do not agree on anything before they act.
    pub(super) fn is_a_race(&self) -> bool {
        match self {
            Self::Refused { word, .. } => matches!(
                word.as_str(),
                "invalid_transition"
                    | "already_picked_up"
                    | "outside_window"
                    | "driver_at_capacity"
                    | "driver_off_duty"
                    | "not_found"
            ),
            Self::Failed(_) => false,
        }
    }

    /// Whether it is the courier who cannot, and another one might.
    pub(super) fn is_about_courier(&self) -> bool {
        match self {
            Self::Refused { word, .. } => {
                matches!(word.as_str(), "driver_at_capacity" | "driver_off_duty")
            }
            Self::Failed(_) => false,
        }
    }
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { word, detail } => write!(f, "{word}: {detail}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Denied {}

/// A client of the REST API.
pub(super) struct Rest {
    client: Client,
    base: String,
}

impl Rest {
    /// A client of the API at this address, as in `http://127.0.0.1:8080`.
    pub(super) fn new(base: &str) -> Self {
        let connector = awc::Connector::new().limit(CONNECTIONS).timeout(TIMEOUT);
        let client = Client::builder().connector(connector).timeout(TIMEOUT).finish();
        Self { client, base: base.to_owned() }
    }

    /// Reads.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &str,
    ) -> Result<T, Denied> {
        let bytes = self.ask(Method::GET, path, token, None).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Denied::Failed(format!("GET {path}: {error}")))
    }

    /// Writes; a repetition of it by us has no second effect.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Value, Denied> {
        let what = format!("{method} {path}");
        let bytes = self.ask(method, path, token, Some(body)).await?;
        serde_json::from_slice(&bytes).map_err(|error| Denied::Failed(format!("{what}: {error}")))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Vec<u8>, Denied> {
        let key = Uuid::new_v4().to_string();
        let mut pause = Duration::from_millis(50);
        let mut tries = 1;
        loop {
            let denied = match self.once(&method, path, token, &key, body).await {
                Ok((true, bytes)) => return Ok(bytes),
                Ok((false, bytes)) => refusal(&bytes),
                Err(lost) => Denied::Failed(lost),
            };
            let may_pass = match &denied {
                Denied::Refused { word, .. } => word == "overloaded",
                Denied::Failed(_) => true,
            };
            if !may_pass || tries == TRIES {
                let what = |why: &str| format!("{method} {path}: {why}");
                return Err(match denied {
                    Denied::Refused { word, detail } => {
                        Denied::Refused { word, detail: what(&detail) }
                    }
                    Denied::Failed(why) => Denied::Failed(what(&why)),
                });
            }
            tries += 1;
            sleep(pause).await;
            pause *= 4;
        }
    }

    /// Whether it went well, and what was answered.
    async fn once(
        &self,
        method: &Method,
        path: &str,
        token: &str,
        key: &str,
        body: Option<&Value>,
    ) -> Result<(bool, Vec<u8>), String> {
        let mut request =
            self.client.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(token);
        if method != Method::GET {
            request = request.insert_header(("Idempotency-Key", key));
        }
        let text = |error: SendRequestError| error.to_string();
        let mut response = match body {
            Some(body) => request.send_json(body).await.map_err(text)?,
            None => request.send().await.map_err(text)?,
        };
        let bytes = response.body().limit(ANSWER_MAX).await.map_err(|error| error.to_string())?;
        Ok((response.status().is_success(), bytes.to_vec()))
    }
}

/// The problem of an answer.
fn refusal(bytes: &[u8]) -> Denied {
    let problem: Value = serde_json::from_slice(bytes).unwrap_or_default();
    match text(&problem, "code") {
        "" => Denied::Failed("an answer that is no problem of the API".to_owned()),
        word => {
            Denied::Refused { word: word.to_owned(), detail: text(&problem, "detail").to_owned() }
        }
    }
}
