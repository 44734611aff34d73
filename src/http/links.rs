//! Tracking links, and what they show to whoever has one.

use actix_web::http::header::{self, ETag, EntityTag, Header as _, IfNoneMatch};
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::answer::respond;
use super::extract::{Asking, Caller};
use super::parameters::IfNew;
use super::problem::{HttpProblem, words};
use crate::api::answers::{Link, LinksPage};
use crate::api::{Api, LinkBody, ProblemCode, read_body};
use crate::view::schema::{CredentialId, LinkToken, Order, OrderId};

type Answer = Result<HttpResponse, HttpProblem>;

/// Adds the routes of links. Before those of an order's actions, which would take `links` for one.
pub(super) fn configure(services: &mut ServiceConfig) {
    services
        .service(
            web::resource("/v1/orders/{order}/links")
                .route(web::post().to(create))
                .route(web::get().to(list))
                .route(web::delete().to(revoke_all)),
        )
        .service(
            web::resource("/v1/orders/{order}/links/{link}").route(web::delete().to(revoke_one)),
        )
        .service(
            web::resource("/v1/track/{token}")
                .route(web::get().to(track))
                .route(web::head().to(peek)),
        );
}

/// Makes a tracking link: an address under which whoever has it sees the order.
#[utoipa::path(
    post, path = "/v1/orders/{order}/links", operation_id = "link.create", tag = "Tracking",
    params(("order" = OrderId, Path, description = "Which order.")),
    request_body = Option<LinkBody>,
    responses((status = 201, description = "The link.", body = Link)),
    extensions(("x-problems" = json!(words(&[ProblemCode::LinkEnded])))),
)]
async fn create(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(respond(&api.create_link(&asking.0, &path, read_body(&body)?).await?))
}

/// Lists an order's links that are not revoked.
#[utoipa::path(
    get, path = "/v1/orders/{order}/links", operation_id = "links.list", tag = "Tracking",
    params(("order" = OrderId, Path, description = "Which order.")),
    responses((status = 200, description = "The links, without their tokens.", body = LinksPage)),
)]
async fn list(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    let links = api.list_links(&caller.0, &path).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(links))
}

/// Revokes all links of an order.
#[utoipa::path(
    delete, path = "/v1/orders/{order}/links", operation_id = "revoke_links", tag = "Tracking",
    params(("order" = OrderId, Path, description = "Which order.")),
    responses((status = 204, description = "Done, also if there was none.")),
)]
async fn revoke_all(api: web::Data<Api>, asking: Asking, path: Path<String>) -> Answer {
    Ok(respond(&api.revoke_links(&asking.0, &path, None).await?))
}

/// Revokes a link, whether or not there is one.
#[utoipa::path(
    delete, path = "/v1/orders/{order}/links/{link}", operation_id = "link.revoke", tag = "Tracking",
    params(("order" = OrderId, Path, description = "Which order."), ("link" = CredentialId, Path, description = "Which of its links.")),
    responses((status = 204, description = "Done, also if it was before.")),
)]
async fn revoke_one(api: web::Data<Api>, asking: Asking, path: Path<(String, String)>) -> Answer {
    let (order, link) = path.into_inner();
    Ok(respond(&api.revoke_links(&asking.0, &order, Some(&link)).await?))
}

/// Reads the order of a tracking link as its bearer may see it, unless the caller has it as it is.
#[utoipa::path(
    get, path = "/v1/track/{token}", operation_id = "track", tag = "Tracking", security(()),
    params(("token" = LinkToken, Path, description = "The token of the link."), IfNew),
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Of what is shown."))), (status = 304, description = "The caller has it.", headers(("ETag" = String, description = "Of what is shown.")))),
    extensions(("x-problems" = json!(words(&[ProblemCode::LinkEnded, ProblemCode::RateLimited])))),
)]
async fn track(api: web::Data<Api>, request: HttpRequest, path: Path<String>) -> Answer {
    let tracked = api.track(&path).await?;
    let tag = EntityTag::new_strong(tracked.tag);
    let is_known = match IfNoneMatch::parse(&request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(tag)).insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(if is_known { response.finish() } else { response.json(tracked.body) })
}

/// Says whether the order of a tracking link is another than the caller has.
#[utoipa::path(
    head, path = "/v1/track/{token}", operation_id = "peek", tag = "Tracking", security(()),
    params(("token" = LinkToken, Path, description = "The token of the link."), IfNew),
    responses((status = 200, description = "It is.", headers(("ETag" = String, description = "Of what is shown."))), (status = 304, description = "The caller has it.", headers(("ETag" = String, description = "Of what is shown.")))),
    extensions(("x-problems" = json!(words(&[ProblemCode::LinkEnded, ProblemCode::RateLimited])))),
)]
async fn peek(api: web::Data<Api>, request: HttpRequest, path: Path<String>) -> Answer {
    track(api, request, path).await
}
