//! Webhooks.

use actix_web::http::header;
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::answer::{respond, respond_at};
use super::extract::{Asking, Caller, pairs};
use super::problem::HttpProblem;
use crate::api::{Api, read_body, replay_after};

type Answer = Result<HttpResponse, HttpProblem>;

/// Adds the routes of webhooks.
pub(super) fn configure(services: &mut ServiceConfig) {
    services
        .service(
            web::resource("/v1/webhooks").route(web::post().to(create)).route(web::get().to(list)),
        )
        .service(
            web::resource("/v1/webhooks/{webhook}")
                .route(web::get().to(get))
                .route(web::patch().to(patch))
                .route(web::delete().to(delete)),
        )
        .service(web::resource("/v1/webhooks/{webhook}/attempts").route(web::get().to(attempts)))
        .service(web::resource("/v1/webhooks/{webhook}/rotate").route(web::post().to(rotate)))
        .service(web::resource("/v1/webhooks/{webhook}/replay").route(web::post().to(replay)))
        .service(web::resource("/v1/webhooks/{webhook}/test").route(web::post().to(ping)));
}

fn show(body: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

async fn create(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    let webhook = api.create_webhook(&asking.0, read_body(&body)?).await?;
    let id = webhook.body.as_ref().and_then(|body| body.get("id")).and_then(Value::as_str);
    let location = id.map(|id| format!("/v1/webhooks/{id}"));
    Ok(respond_at(&webhook, location))
}

async fn list(api: web::Data<Api>, caller: Caller, request: HttpRequest) -> Answer {
    Ok(show(&api.list_webhooks(&caller.0, &pairs(&request)?).await?))
}

async fn get(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.get_webhook(&caller.0, &path).await?))
}

async fn patch(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(respond(&api.patch_webhook(&asking.0, &path, read_body(&body)?).await?))
}

async fn delete(api: web::Data<Api>, asking: Asking, path: Path<String>) -> Answer {
    Ok(respond(&api.delete_webhook(&asking.0, &path).await?))
}

async fn attempts(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Answer {
    Ok(show(&api.list_webhook_attempts(&caller.0, &path, &pairs(&request)?).await?))
}

async fn rotate(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(respond(&api.rotate_webhook(&asking.0, &path, read_body(&body)?).await?))
}

async fn replay(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    request: HttpRequest,
) -> Answer {
    let after = replay_after(&pairs(&request)?)?;
    Ok(respond(&api.replay_webhook(&asking.0, &path, after).await?))
}

async fn ping(api: web::Data<Api>, asking: Asking, path: Path<String>) -> Answer {
    Ok(respond(&api.ping_webhook(&asking.0, &path).await?))
}
