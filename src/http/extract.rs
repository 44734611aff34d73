//! What handlers take from a request: who asks, and under which conditions.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};

use super::problem::HttpProblem;
use crate::api::{Api, Asked, Problem, ProblemCode, may_write};
use crate::auth::Principal;
use crate::session::bearer_token;

/// Whoever the `Authorization: Bearer` header speaks for.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Principal);

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, HttpProblem>>>>;

impl FromRequest for Caller {
    type Error = HttpProblem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let missing = Problem::unauthenticated;
            let api = request.app_data::<web::Data<Api>>().ok_or_else(missing)?;
            let value = request.headers().get(header::AUTHORIZATION).ok_or_else(missing)?;
            let token = bearer_token(value).ok_or_else(missing)?;
            let caller = api.authenticate(token).await?;
            let is_write = !request.method().is_safe();
            if is_write {
                may_write(&caller)?;
            }
            api.limits.admit(&caller, is_write)?;
            Ok(Self(caller))
        })
    }
}

/// Who asks for a change: the caller, the Idempotency-Key and the If-Match of the request.
#[derive(Debug, Clone)]
pub(super) struct Asking(pub(super) Asked);

impl FromRequest for Asking {
    type Error = HttpProblem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let principal = caller.await?.0;
            let text = |name: &str| -> Result<Option<String>, Problem> {
                let Some(value) = request.headers().get(name) else { return Ok(None) };
                let text = value.to_str().map_err(|_| Problem::field(name, "is not plain text"));
                Ok(Some(text?.to_owned()))
            };
            let if_match = match text("If-Match")? {
                None => None,
                Some(tag) if tag.trim() == "*" => None,
                Some(tag) => Some(version_of(&tag)?),
            };
            let idempotency_key = text("Idempotency-Key")?;
            Ok(Self(Asked { principal, idempotency_key, if_match }))
        })
    }
}

/// The version in an entity tag: `"7"`, `W/"7"` or plain `7`.
fn version_of(tag: &str) -> Result<i64, Problem> {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
    tag.parse().map_err(|_| Problem::field("If-Match", "is not the version of an order"))
}

/// The query as pairs, in order.
pub(super) fn pairs(request: &HttpRequest) -> Result<Vec<(String, String)>, HttpProblem> {
    web::Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map(web::Query::into_inner)
        .map_err(|_| {
            HttpProblem(Problem::new(ProblemCode::Malformed, "the query string cannot be read"))
        })
}
