//! Whether the process lives, and whether it can work.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::problem::HttpProblem;
use crate::api::answers::{Alive, Ready};
use crate::api::{Api, Problem};

/// The process answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "Health", security(()),
    responses((status = 200, description = "It does.", body = Alive)),
)]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// The process hears the log, reaches the database and is not about to stop.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "Health", security(()),
    responses((status = 200, description = "It is and does.", body = Ready)),
)]
pub(super) async fn readyz(api: web::Data<Api>) -> Result<HttpResponse, HttpProblem> {
    if !api.is_ready() {
        return Err(Problem::overloaded().into());
    }
    let last = api.database.read_head().await.map_err(Problem::from)?;
    let cursor = api.feed.borrow().cursor;
    let epoch = api.database.epoch();
    Ok(HttpResponse::Ok().json(json!({
        "status": "ready",
        "epoch": &*epoch,
        "position": last,
        "lag": last.saturating_sub(cursor),
    })))
}
