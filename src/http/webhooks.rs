//! Webhooks.

use actix_web::http::header;
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::answer::{respond, respond_at};
use super::extract::{Asking, Caller, pairs};
use super::parameters::{PageQuery, ReplayQuery};
use super::problem::{HttpProblem, words};
use crate::api::answers::{AttemptsPage, Ping, Webhook, WebhooksPage};
use crate::api::{
    Api, ProblemCode, RotateBody, WebhookBody, WebhookPatchBody, read_body, replay_after,
};
use crate::view::schema::WebhookId;

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

/// Makes a webhook; its secret is shown here.
#[utoipa::path(
    post, path = "/v1/webhooks", operation_id = "webhook.create", tag = "Webhooks",
    request_body = WebhookBody,
    responses((status = 201, description = "The webhook.", body = Webhook, headers(("Location" = String, description = "Where it is.")))),
)]
async fn create(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    let webhook = api.create_webhook(&asking.0, read_body(&body)?).await?;
    let id = webhook.body.as_ref().and_then(|body| body.get("id")).and_then(Value::as_str);
    let location = id.map(|id| format!("/v1/webhooks/{id}"));
    Ok(respond_at(&webhook, location))
}

/// Lists webhooks.
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "webhooks.list", tag = "Webhooks",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = WebhooksPage)),
)]
async fn list(api: web::Data<Api>, caller: Caller, request: HttpRequest) -> Answer {
    Ok(show(&api.list_webhooks(&caller.0, &pairs(&request)?).await?))
}

/// Reads a webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook}", operation_id = "webhook.get", tag = "Webhooks",
    params(("webhook" = WebhookId, Path, description = "Which one.")),
    responses((status = 200, description = "It.", body = Webhook)),
)]
async fn get(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.get_webhook(&caller.0, &path).await?))
}

/// Changes a webhook; one that is enabled goes on where it stopped.
#[utoipa::path(
    patch, path = "/v1/webhooks/{webhook}", operation_id = "webhook.update", tag = "Webhooks",
    params(("webhook" = WebhookId, Path, description = "Which one.")),
    request_body = Option<WebhookPatchBody>,
    responses((status = 200, description = "It, as it is now.", body = Webhook)),
    extensions(("x-problems" = json!(words(&[ProblemCode::CursorTooOld])))),
)]
async fn patch(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(respond(&api.patch_webhook(&asking.0, &path, read_body(&body)?).await?))
}

/// Forgets a webhook.
#[utoipa::path(
    delete, path = "/v1/webhooks/{webhook}", operation_id = "webhook.delete", tag = "Webhooks",
    params(("webhook" = WebhookId, Path, description = "Which one.")),
    responses((status = 204, description = "Done, also if it was before.")),
)]
async fn delete(api: web::Data<Api>, asking: Asking, path: Path<String>) -> Answer {
    Ok(respond(&api.delete_webhook(&asking.0, &path).await?))
}

/// Lists what was posted, newest first.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook}/attempts", operation_id = "attempts.list", tag = "Webhooks",
    params(("webhook" = WebhookId, Path, description = "Which one."), PageQuery),
    responses((status = 200, description = "A page.", body = AttemptsPage)),
)]
async fn attempts(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Answer {
    Ok(show(&api.list_webhook_attempts(&caller.0, &path, &pairs(&request)?).await?))
}

/// Gives a webhook a new secret, which is shown.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook}/rotate", operation_id = "webhook.rotate", tag = "Webhooks",
    params(("webhook" = WebhookId, Path, description = "Which one.")),
    request_body = Option<RotateBody>,
    responses((status = 200, description = "The webhook and its secret.", body = Webhook)),
)]
async fn rotate(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(respond(&api.rotate_webhook(&asking.0, &path, read_body(&body)?).await?))
}

/// Goes on after another position of the log.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook}/replay", operation_id = "webhook.replay", tag = "Webhooks",
    params(("webhook" = WebhookId, Path, description = "Which one."), ReplayQuery),
    responses((status = 200, description = "The webhook.", body = Webhook)),
    extensions(("x-problems" = json!(words(&[ProblemCode::CursorTooOld])))),
)]
async fn replay(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    request: HttpRequest,
) -> Answer {
    let after = replay_after(&pairs(&request)?)?;
    Ok(respond(&api.replay_webhook(&asking.0, &path, after).await?))
}

/// Posts one event of no meaning.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook}/test", operation_id = "webhook.test", tag = "Webhooks",
    params(("webhook" = WebhookId, Path, description = "Which one.")),
    responses((status = 200, description = "What came of it.", body = Ping)),
    extensions(("x-problems" = json!(words(&[ProblemCode::IdempotencyKeyInUse])))),
)]
async fn ping(api: web::Data<Api>, asking: Asking, path: Path<String>) -> Answer {
    Ok(respond(&api.ping_webhook(&asking.0, &path).await?))
}
