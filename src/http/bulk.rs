//! Many orders in one request.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::answer::REPLAYED;
use super::extract::Asking;
use super::problem::{self, HttpProblem};
use crate::api::answers::BulkResults;
use crate::api::{Api, Bulk, BulkBody, OrderAnswer, OrdersBody, Problem, ProblemCode, read_body};
use crate::view::schema::Action;

type Answer = Result<HttpResponse, HttpProblem>;

/// Adds the routes, which must come before those of one order.
pub(super) fn configure(services: &mut ServiceConfig) {
    services
        .service(web::resource("/v1/orders/bulk").route(web::post().to(create)))
        .service(web::resource("/v1/orders/bulk/{action}").route(web::post().to(act)));
}

/// Places orders, each for itself.
#[utoipa::path(
    post, path = "/v1/orders/bulk", operation_id = "order.bulk_create", tag = "Orders",
    request_body = OrdersBody,
    responses((status = 200, description = "All were placed, now or before.", body = BulkResults), (status = 207, description = "Some were not.", body = BulkResults)),
)]
async fn create(api: web::Data<Api>, asking: Asking, payload: Payload) -> Answer {
    let body = read(&api, payload).await?;
    Ok(respond(api.create_orders(&asking.0, body).await?))
}

/// Does one action to orders, each for itself.
#[utoipa::path(
    post, path = "/v1/orders/bulk/{action}", operation_id = "order.bulk", tag = "Orders",
    params(("action" = Action, Path, description = "What to do.")),
    request_body = BulkBody,
    responses((status = 200, description = "It was done to all, now or before.", body = BulkResults), (status = 207, description = "To some it was not.", body = BulkResults)),
)]
async fn act(
    api: web::Data<Api>,
    asking: Asking,
    request: HttpRequest,
    payload: Payload,
) -> Answer {
    let body = read(&api, payload).await?;
    let action = request.match_info().query("action");
    Ok(respond(api.act_on_orders(&asking.0, action, body).await?))
}

/// The body, which may be longer than others.
async fn read(api: &Api, payload: Payload) -> Result<Value, HttpProblem> {
    let too_large = || Problem::new(ProblemCode::PayloadTooLarge, "the body is too large");
    let limit = api.config.api.bulk_body_limit_bytes;
    let bytes = payload.to_bytes_limited(limit).await.map_err(|_over| too_large())?;
    let broken = |_| Problem::new(ProblemCode::Malformed, "the request could not be read");
    Ok(read_body(&bytes.map_err(broken)?)?)
}

/// 200 if all was done, and 207 if anything was refused.
fn respond(bulk: Bulk) -> HttpResponse {
    let retry_after = bulk.results.iter().filter_map(|result| result.as_ref().err()?.retry_after);
    let retry_after = retry_after.max();
    let is_done = bulk.results.iter().all(Result::is_ok);
    let mut response =
        HttpResponse::build(if is_done { StatusCode::OK } else { StatusCode::MULTI_STATUS });
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if bulk.is_replayed() {
        response.insert_header((REPLAYED, "true"));
    }
    if let Some(wait) = retry_after {
        response.insert_header((header::RETRY_AFTER, wait.as_secs().max(1)));
    }
    response.json(bulk.body(told))
}

/// What each would have been answered with by itself.
fn told(result: &Result<OrderAnswer, Problem>) -> Map<String, Value> {
    let status = match result {
        Ok(answer) if answer.created => StatusCode::CREATED,
        Ok(_) => StatusCode::OK,
        Err(problem) => problem::status(problem.code),
    };
    let mut told = Map::new();
    told.insert("status".to_owned(), json!(status.as_u16()));
    if let Err(problem) = result {
        told.insert("problem".to_owned(), problem::body(problem));
    }
    told
}
