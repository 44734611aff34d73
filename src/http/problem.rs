//! Problems as HTTP answers: `application/problem+json` (RFC 9457), and the one table of
//! statuses.

use std::fmt;
use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Problem, ProblemCode};
use crate::telemetry::metrics;

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The HTTP status of each problem.
pub const fn status(code: ProblemCode) -> StatusCode {
    match code {
        ProblemCode::Malformed => StatusCode::BAD_REQUEST,
        ProblemCode::Unauthenticated | ProblemCode::TokenExpired => StatusCode::UNAUTHORIZED,
        ProblemCode::RoleNotAllowed => StatusCode::FORBIDDEN,
        ProblemCode::NotFound => StatusCode::NOT_FOUND,
        ProblemCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ProblemCode::InvalidTransition
        | ProblemCode::AlreadyPickedUp
        | ProblemCode::VersionMismatch
        | ProblemCode::DriverAtCapacity
        | ProblemCode::DriverOffDuty
        | ProblemCode::OfferClosed
        | ProblemCode::ExternalIdConflict
        | ProblemCode::IdempotencyKeyReused
        | ProblemCode::IdempotencyKeyInUse
        | ProblemCode::HasOpenOrders => StatusCode::CONFLICT,
        ProblemCode::LinkEnded | ProblemCode::CursorTooOld => StatusCode::GONE,
        ProblemCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemCode::Validation
        | ProblemCode::ProofRequired
        | ProblemCode::PinWrong
        | ProblemCode::PinLocked
        | ProblemCode::OutsideWindow => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ProblemCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ProblemCode::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What may become of a change of an order, beside what may become of any request.
pub(super) const OF_ORDERS: &[ProblemCode] = &[
    ProblemCode::InvalidTransition,
    ProblemCode::AlreadyPickedUp,
    ProblemCode::VersionMismatch,
    ProblemCode::DriverAtCapacity,
    ProblemCode::DriverOffDuty,
    ProblemCode::OfferClosed,
    ProblemCode::ExternalIdConflict,
    ProblemCode::IdempotencyKeyReused,
    ProblemCode::ProofRequired,
    ProblemCode::PinWrong,
    ProblemCode::PinLocked,
    ProblemCode::OutsideWindow,
];

/// The words of codes, as a handler's description names them.
pub(super) fn words(codes: &[ProblemCode]) -> Vec<&'static str> {
    codes.iter().map(|code| code.word()).collect()
}

/// A problem on its way out as an HTTP answer.
#[derive(Debug, Clone)]
pub struct HttpProblem(pub Problem);

impl fmt::Display for HttpProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.word(), self.0.detail)
    }
}

impl From<Problem> for HttpProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl ResponseError for HttpProblem {
    fn status_code(&self) -> StatusCode {
        status(self.0.code)
    }
    fn error_response(&self) -> HttpResponse {
        respond(&self.0, None)
    }
}

/// The members of a problem.
pub(super) fn body(problem: &Problem) -> Value {
    let status = status(problem.code);
    let mut body = problem.body();
    if let Some(members) = body.as_object_mut() {
        let order_status = members.remove("status");
        members.insert("type".to_owned(), "about:blank".into());
        members.insert("title".to_owned(), status.canonical_reason().unwrap_or_default().into());
        // An order's status takes the place of the number that the status line says anyway.
        members.insert("status".to_owned(), order_status.unwrap_or(json!(status.as_u16())));
    }
    body
}

/// The answer to a problem.
pub fn respond(problem: &Problem, request_id: Option<&str>) -> HttpResponse {
    let status = status(problem.code);
    let mut body = body(problem);
    if let (Some(members), Some(id)) = (body.as_object_mut(), request_id) {
        members.insert("request_id".to_owned(), Value::from(id));
    }
    let mut response = HttpResponse::build(status);
    response.content_type("application/problem+json");
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(wait) = problem.retry_after {
        let seconds = wait.as_secs().max(1);
        response.insert_header((header::RETRY_AFTER, seconds));
        if let Some(quota) = &problem.quota {
            // draft-ietf-httpapi-ratelimit-headers-10.
            let policy = format!("\"{}\";q={};w=1", quota.name, quota.per_s);
            response.insert_header(("RateLimit-Policy", policy));
            let left = format!("\"{}\";r=0;t={seconds}", quota.name);
            response.insert_header(("RateLimit", left));
        }
    }
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    response.body(body.to_string())
}

/// The last that touches every answer: gives it a request id, and makes a problem of every
/// failure that is not one yet.
pub(crate) async fn finish<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let id = Uuid::now_v7().simple().to_string();
    let method = request.method().clone();
    let began = Instant::now();
    let response = next.call(request).await?;
    // Asked for only now, as the router has matched by then and need not do so again.
    let pattern = response.request().match_pattern();
    let status = response.status().as_u16();
    metrics().answered(method.as_str(), pattern.as_deref(), status, began.elapsed());
    let problem = problem_of(&response);
    if let Some(problem) = &problem {
        // The pattern, not the path: a path may carry a secret.
        tracing::debug!(request_id = %id, %method, route = pattern, code = problem.code.word(), detail = problem.detail, "a problem was answered");
    }
    let mut response = match problem {
        Some(problem) => {
            let (request, replaced) = response.into_parts();
            let mut answer = respond(&problem, Some(&id));
            // Which methods there are only the router knows.
            if let Some(allow) = replaced.headers().get(header::ALLOW) {
                answer.headers_mut().insert(header::ALLOW, allow.clone());
            }
            ServiceResponse::new(request, answer).map_into_right_body()
        }
        None => response.map_into_left_body(),
    };
    // An address may be a secret, and none is for search engines.
    for (name, value) in [(header::REFERRER_POLICY, "no-referrer"), (ROBOTS, "noindex")] {
        if !response.headers().contains_key(&name) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response)
}

fn problem_of<B>(response: &ServiceResponse<B>) -> Option<Problem> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let error = response.response().error();
    if let Some(problem) = error.and_then(Error::as_error::<HttpProblem>) {
        return Some(problem.0.clone());
    }
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        // Pages tell people what is wrong in their own way.
        [&b"application/problem+json"[..], b"text/html"]
            .iter()
            .any(|known| kind.as_bytes().starts_with(known))
    });
    if is_ours {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(ProblemCode::MethodNotAllowed, "this path does not take this method")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(ProblemCode::PayloadTooLarge, "the body is too large")
        }
        StatusCode::UNAUTHORIZED => Problem::unauthenticated(),
        StatusCode::FORBIDDEN => {
            Problem::new(ProblemCode::RoleNotAllowed, "this origin is not allowed")
        }
        StatusCode::SERVICE_UNAVAILABLE => Problem::overloaded(),
        _ if status.is_client_error() => {
            Problem::new(ProblemCode::Malformed, "the request could not be read")
        }
        _ => {
            tracing::error!(%status, error = ?error, "a handler failed");
            Problem::new(ProblemCode::Internal, "something is wrong on our side")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_problem_has_a_status_that_is_a_failure_and_a_word_of_its_own() {
        let words: HashSet<_> = ProblemCode::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(words.len(), ProblemCode::ALL.len());
        for code in ProblemCode::ALL {
            assert!(status(*code).is_client_error() || status(*code).is_server_error());
        }
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let response = respond(&Problem::overloaded(), Some("r1"));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "1");
    }
}
