//! A caller of the REST API.

use std::time::Duration;

use awc::error::SendRequestError;
use awc::http::Method;
use awc::http::header::HeaderMap;
use serde_json::Value;

use super::contract::Exchange;

/// Calls with one token, or none.
#[derive(Clone)]
pub struct Rest {
    client: awc::Client,
    pub base: String,
    pub token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The body, if the status was as expected.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// Expects a problem: status, word, and that it is well formed.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        assert_eq!(self.body["code"], code, "{:#}", self.body);
        let kind = self.headers.get("content-type").unwrap().to_str().unwrap();
        assert_eq!(kind, "application/problem+json");
        assert!(self.body["detail"].is_string() && self.body["request_id"].is_string());
        self.body
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Rest {
    pub fn new(base: &str, token: Option<&str>) -> Self {
        let client = awc::Client::builder().timeout(Duration::from_secs(30)).finish();
        Self { client, base: base.to_owned(), token: token.map(str::to_owned) }
    }

    /// The same address with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Vec::new()).await
    }
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], body.to_string().into_bytes()).await
    }
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, &[], body.to_string().into_bytes()).await
    }
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, &[], body.to_string().into_bytes()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Vec::new()).await
    }

    /// Sends any request with any bytes and headers.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    /// A patch of which the answer may never come.
    pub async fn try_patch(&self, path: &str, body: Value) -> Result<Answer, SendRequestError> {
        self.try_send(Method::PATCH, path, &[], body.to_string().into_bytes()).await
    }

    async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, SendRequestError> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.insert_header(("authorization", format!("Bearer {token}")));
        }
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let mut response = request.send_body(body.clone()).await?;
        let bytes = response.body().limit(64 << 20).await.map_err(|_| SendRequestError::Timeout)?;
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap());
        let exchange = Exchange {
            method: method.as_str(),
            path,
            asked: &body,
            asked_kind: headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
                .map_or("application/json", |(_, kind)| kind),
            status: response.status().as_u16(),
            kind: kind.unwrap_or_default(),
            answer: &bytes,
            replayed: response.headers().contains_key("idempotent-replayed"),
        };
        exchange.check();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body })
    }
}
