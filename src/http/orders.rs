//! Orders.

use actix_web::http::header;
use actix_web::web::{self, Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::answer::REPLAYED;
use super::extract::{Asking, Caller, pairs};
use super::problem::HttpProblem;
use crate::api::{Api, OrderAnswer, Problem, read_body};

type Answer = Result<HttpResponse, HttpProblem>;

pub(super) fn respond(answer: &OrderAnswer) -> HttpResponse {
    let mut response = if answer.created { HttpResponse::Created() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, format!("\"{}\"", answer.version)));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if answer.replayed {
        response.insert_header((REPLAYED, "true"));
    }
    if answer.created
        && let Some(id) = answer.body.get("id").and_then(serde_json::Value::as_str)
    {
        response.insert_header((header::LOCATION, format!("/v1/orders/{id}")));
    }
    response.json(&answer.body)
}

pub(super) async fn create(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.create_order(&asking.0, read_body(&body)?).await?))
}

pub(super) async fn list(api: web::Data<Api>, caller: Caller, request: HttpRequest) -> Answer {
    let page = api.list_orders(&caller.0, &pairs(&request)?).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(page))
}

pub(super) async fn get(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(respond(&api.get_order(&caller.0, &path).await?))
}

pub(super) async fn update(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "update", read_body(&body)?).await?))
}

pub(super) async fn prep(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "prep", read_body(&body)?).await?))
}

pub(super) async fn eta(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "eta", read_body(&body)?).await?))
}

pub(super) async fn assign(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "assign", read_body(&body)?).await?))
}

pub(super) async fn unassign(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "unassign", read_body(&body)?).await?))
}

pub(super) async fn act(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let (order, action) = path.into_inner();
    // These have a method and a path of their own.
    if matches!(action.as_str(), "update" | "prep" | "eta" | "assign" | "unassign") {
        return Err(Problem::not_found().into());
    }
    Ok(respond(&api.act(&asking.0, &order, &action, read_body(&body)?).await?))
}
