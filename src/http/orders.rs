//! Orders.

use actix_web::http::header;
use actix_web::web::{self, Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::answer::REPLAYED;
use super::extract::{Asking, Caller, pairs};
use super::parameters::{Conditions, OrdersQuery};
use super::problem::{HttpProblem, OF_ORDERS, words};
use crate::api::answers::OrdersPage;
use crate::api::{ActionBody, Api, EtaBody, OrderAnswer, OrderBody, PatchBody, Problem, read_body};
use crate::view::schema::{Action, Order, OrderId};

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

/// Places an order. The same `external_id` and body again is answered by the order that
/// there is.
#[utoipa::path(
    post, path = "/v1/orders", operation_id = "order.create", tag = "Orders",
    params(Conditions),
    request_body = OrderBody,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version."))), (status = 201, description = "The order, made just now.", body = Order, headers(("ETag" = String, description = "Its version."), ("Location" = String, description = "Where it is.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
pub(super) async fn create(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.create_order(&asking.0, read_body(&body)?).await?))
}

/// Lists orders, newest first, as the caller may see them.
#[utoipa::path(
    get, path = "/v1/orders", operation_id = "orders.list", tag = "Orders",
    params(OrdersQuery),
    responses((status = 200, description = "A page.", body = OrdersPage)),
)]
pub(super) async fn list(api: web::Data<Api>, caller: Caller, request: HttpRequest) -> Answer {
    let page = api.list_orders(&caller.0, &pairs(&request)?).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(page))
}

/// Reads an order as the caller may see it.
#[utoipa::path(
    get, path = "/v1/orders/{order}", operation_id = "order.get", tag = "Orders",
    params(("order" = OrderId, Path, description = "Which order.")),
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
)]
pub(super) async fn get(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(respond(&api.get_order(&caller.0, &path).await?))
}

/// Changes details of an order.
#[utoipa::path(
    patch, path = "/v1/orders/{order}", operation_id = "order.update", tag = "Orders",
    params(("order" = OrderId, Path, description = "Which order."), Conditions),
    request_body = Option<PatchBody>,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
pub(super) async fn update(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "update", read_body(&body)?).await?))
}

/// Changes the promise when it is ready.
#[utoipa::path(
    put, path = "/v1/orders/{order}/prep", operation_id = "order.prep", tag = "Orders",
    params(("order" = OrderId, Path, description = "Which order."), Conditions),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
pub(super) async fn prep(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "prep", read_body(&body)?).await?))
}

/// Says when the order is picked up and delivered.
#[utoipa::path(
    put, path = "/v1/orders/{order}/eta", operation_id = "order.eta", tag = "Orders",
    params(("order" = OrderId, Path, description = "Which order."), Conditions),
    request_body = Option<EtaBody>,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
pub(super) async fn eta(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "eta", read_body(&body)?).await?))
}

/// Gives the order to a courier, or to another one.
#[utoipa::path(
    put, path = "/v1/orders/{order}/driver", operation_id = "order.assign", tag = "Orders",
    params(("order" = OrderId, Path, description = "Which order."), Conditions),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
pub(super) async fn assign(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "assign", read_body(&body)?).await?))
}

/// Takes the order from its courier.
#[utoipa::path(
    delete, path = "/v1/orders/{order}/driver", operation_id = "order.unassign", tag = "Orders",
    params(("order" = OrderId, Path, description = "Which order."), Conditions),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
pub(super) async fn unassign(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.act(&asking.0, &path, "unassign", read_body(&body)?).await?))
}

/// Moves the order on.
#[utoipa::path(
    post, path = "/v1/orders/{order}/{action}", operation_id = "order.{action}", tag = "Orders",
    params(("order" = OrderId, Path, description = "Which order."), ("action" = Action, Path, description = "What to do."), Conditions),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
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
