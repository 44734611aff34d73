//! What a write is answered with, but for those of one order.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName};

use crate::api::Answer;

/// Says that a key was answered like this before, and nothing was done this time.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// 201 with a body where something was made, 204 where there is nothing to say.
pub(super) fn respond(answer: &Answer) -> HttpResponse {
    respond_at(answer, None)
}

/// The same; what was made is found there.
pub(super) fn respond_at(answer: &Answer, location: Option<String>) -> HttpResponse {
    let mut response = match (&answer.body, answer.created) {
        (None, _) => HttpResponse::NoContent(),
        (Some(_), true) => HttpResponse::Created(),
        (Some(_), false) => HttpResponse::Ok(),
    };
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if answer.replayed {
        response.insert_header((REPLAYED, "true"));
    }
    if let Some(location) = location {
        response.insert_header((header::LOCATION, location));
    }
    match &answer.body {
        Some(body) => response.json(body),
        None => response.finish(),
    }
}
