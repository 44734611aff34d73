//! Offers, tours, and where couriers are.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use serde_json::Value;

use super::answer::respond;
use super::extract::{Asking, Caller};
use super::orders;
use super::problem::HttpProblem;
use crate::api::{Api, read_body};

type Answer = Result<HttpResponse, HttpProblem>;

fn show(body: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// Adds their routes.
pub(super) fn configure(services: &mut ServiceConfig) {
    services
        .service(
            web::resource("/v1/orders/{order}/offers")
                .route(web::post().to(search))
                .route(web::get().to(of_order))
                .route(web::delete().to(stop)),
        )
        .service(web::resource("/v1/offers/{offer}/{answer}").route(web::post().to(answer)))
        .service(web::resource("/v1/drivers/{driver}/offers").route(web::get().to(of_driver)))
        .service(web::resource("/v1/drivers/{driver}/route").route(web::put().to(route)))
        .service(web::resource("/v1/drivers/me/locations").route(web::post().to(locations)));
}

async fn search(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(orders::respond(&api.search_courier(&asking.0, &path, read_body(&body)?).await?))
}

async fn stop(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(orders::respond(&api.stop_search(&asking.0, &path, read_body(&body)?).await?))
}

async fn of_order(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.list_order_offers(&caller.0, &path).await?))
}

async fn of_driver(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.list_driver_offers(&caller.0, &path).await?))
}

async fn answer(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let (offer, verb) = path.into_inner();
    Ok(respond(&api.answer_offer(&asking.0, &offer, &verb, read_body(&body)?).await?))
}

async fn route(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(respond(&api.set_route(&asking.0, &path, read_body(&body)?).await?))
}

async fn locations(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.note_locations(&asking.0, read_body(&body)?).await?))
}
