//! Whether the process lives, whether it can work, and how busy it is.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::problem::{HttpProblem, words};
use crate::api::answers::{Alive, Ready};
use crate::api::{Api, Problem, ProblemCode};
use crate::telemetry::{Gauges, metrics};

/// The media type of `OpenMetrics` 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

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

/// Numbers of the process for Prometheus. None of them is of a tenant.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "Health", security(()),
    responses((status = 200, description = "The numbers.", body = String, content_type = "application/openmetrics-text")),
    extensions(("x-problems" = json!(words(&[ProblemCode::NotFound])))),
)]
pub(super) async fn numbers(api: web::Data<Api>) -> Result<HttpResponse, HttpProblem> {
    if !api.config.server.metrics {
        return Err(Problem::not_found().into());
    }
    let feed = api.feed.borrow().clone();
    let gauges = Gauges {
        connections: api.house.sockets(),
        queued: api.writer.queued(),
        heard: feed.up,
        published: feed.cursor,
        committed: api.database.committed(),
    };
    let text = metrics().text(gauges).map_err(|_never| Problem::overloaded())?;
    Ok(HttpResponse::Ok().content_type(OPEN_METRICS).body(text))
}
