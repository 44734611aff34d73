//! The tiles under maps: where browsers fetch them, if somebody serves them, and that they may.
//!
//! Absent on purpose: none are served or fetched from here.

use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::api::Api;

/// Adds what the maps ask for.
pub(super) fn configure(services: &mut ServiceConfig) {
    services.service(web::resource("/assets/tiles.json").route(web::get().to(tiles)));
}

/// `{"url":"https://…/{z}/{x}/{y}.png","credit":"…"}`; no `url` if there are none.
async fn tiles(api: web::Data<Api>) -> HttpResponse {
    let pages = &api.config.pages;
    let url = Some(pages.tile_url.as_str()).filter(|url| !url.is_empty());
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .json(json!({"url": url, "credit": pages.tile_credit}))
}

/// What a page may do by `policy`, with the tiles' host if there is one. The request tells of the
/// settings.
pub(super) fn policy(policy: &str, request: &HttpRequest) -> String {
    let api = request.app_data::<web::Data<Api>>();
    match api.and_then(|api| api.config.pages.tile_origin()) {
        Some(origin) => policy.replace("img-src", &format!("img-src {origin}")),
        None => policy.to_owned(),
    }
}
