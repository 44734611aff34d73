//! Events: an order's, and the tenant's log as a cursor feed with long poll.

use actix_web::http::header;
use actix_web::web::{self, Path};
use actix_web::{HttpRequest, HttpResponse};

use super::extract::{Caller, pairs};
use super::parameters;
use super::problem::{HttpProblem, words};
use crate::api::answers::EventsPage;
use crate::api::{Api, EventsQuery, Problem, ProblemCode, tenant_topic};
use crate::hub::{LocalHub, Publication};
use crate::view::schema::OrderId;

type Answer = Result<HttpResponse, HttpProblem>;

fn respond(page: &serde_json::Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(page)
}

/// Reads an order's events as the caller may see them.
#[utoipa::path(
    get, path = "/v1/orders/{order}/events", operation_id = "order.events", tag = "Events",
    params(("order" = OrderId, Path, description = "Which order."), parameters::EventsQuery),
    responses((status = 200, description = "A page.", body = EventsPage)),
    extensions(("x-problems" = json!(words(&[ProblemCode::CursorTooOld])))),
)]
pub(super) async fn of_order(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Answer {
    let query = EventsQuery::from_pairs(&pairs(&request)?, false)?;
    Ok(respond(&api.order_events(&caller.0, &path, &query).await?))
}

/// Reads the tenant's log.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "events.list", tag = "Events",
    params(parameters::EventsQuery, parameters::WaitQuery),
    responses((status = 200, description = "A page.", body = EventsPage)),
    extensions(("x-problems" = json!(words(&[ProblemCode::CursorTooOld])))),
)]
pub(super) async fn of_tenant(
    api: web::Data<Api>,
    hub: web::Data<LocalHub<Publication>>,
    caller: Caller,
    request: HttpRequest,
) -> Answer {
    let query = EventsQuery::from_pairs(&pairs(&request)?, true)?;
    let _place = if query.wait.is_zero() {
        None
    } else {
        Some(api.long_polls.try_acquire().map_err(|_full| Problem::overloaded())?)
    };
    let bell = hub.0.bell(tenant_topic(&caller.0));
    Ok(respond(&api.events(&caller.0, &query, &bell).await?))
}
