//! Tracking links, and what they show to whoever has one.

use actix_web::http::header::{self, ETag, EntityTag, Header as _, IfNoneMatch};
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::answer::respond;
use super::extract::{Asking, Caller};
use super::problem::HttpProblem;
use crate::api::{Api, read_body};

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
                .route(web::head().to(track)),
        );
}

async fn create(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(respond(&api.create_link(&asking.0, &path, read_body(&body)?).await?))
}

async fn list(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    let links = api.list_links(&caller.0, &path).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(links))
}

async fn revoke_all(api: web::Data<Api>, asking: Asking, path: Path<String>) -> Answer {
    Ok(respond(&api.revoke_links(&asking.0, &path, None).await?))
}

async fn revoke_one(api: web::Data<Api>, asking: Asking, path: Path<(String, String)>) -> Answer {
    let (order, link) = path.into_inner();
    Ok(respond(&api.revoke_links(&asking.0, &order, Some(&link)).await?))
}

/// The order, unless the caller has it as it is.
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
