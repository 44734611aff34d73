//! Whether the process lives, and whether it can work.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::problem::HttpProblem;
use crate::api::{Api, Problem};

/// The process answers.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// The process hears the log, reaches the database and is not about to stop.
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
