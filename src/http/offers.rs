//! Offers, tours, and where couriers are.

use actix_web::http::header;
use actix_web::web::{self, Bytes, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::answer::respond;
use super::extract::{Asking, Caller, pairs};
use super::orders;
use super::parameters::{Conditions, TrailQuery};
use super::problem::{HttpProblem, OF_ORDERS, words};
use crate::api::answers::{AskedPage, Noted, OfferAnswer, OffersPage, Tour, TrailPage};
use crate::api::{ActionBody, Api, LocationsBody, NothingBody, RouteBody, SearchBody, read_body};
use crate::view::schema::{DriverId, DriverOrMe, OfferId, OfferVerb, Order, OrderId};

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
        .service(web::resource("/v1/drivers/{driver}/trail").route(web::get().to(trail)))
        .service(web::resource("/v1/drivers/me/locations").route(web::post().to(locations)));
}

/// Asks couriers to bring an order.
#[utoipa::path(
    post, path = "/v1/orders/{order}/offers", operation_id = "order.search", tag = "Offers",
    params(("order" = OrderId, Path, description = "Which order."), Conditions),
    request_body = Option<SearchBody>,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
async fn search(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(orders::respond(&api.search_courier(&asking.0, &path, read_body(&body)?).await?))
}

/// Calls the search for a courier off; its offers are withdrawn.
#[utoipa::path(
    delete, path = "/v1/orders/{order}/offers", operation_id = "order.stop_search", tag = "Offers",
    params(("order" = OrderId, Path, description = "Which order."), Conditions),
    request_body = Option<NothingBody>,
    responses((status = 200, description = "The order.", body = Order, headers(("ETag" = String, description = "Its version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
async fn stop(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(orders::respond(&api.stop_search(&asking.0, &path, read_body(&body)?).await?))
}

/// Lists who was asked for an order, the latest first.
#[utoipa::path(
    get, path = "/v1/orders/{order}/offers", operation_id = "offers.list", tag = "Offers",
    params(("order" = OrderId, Path, description = "Which order.")),
    responses((status = 200, description = "The offers.", body = OffersPage)),
)]
async fn of_order(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.list_order_offers(&caller.0, &path).await?))
}

/// Lists what a courier is asked now.
#[utoipa::path(
    get, path = "/v1/drivers/{driver}/offers", operation_id = "driver.offers", tag = "Offers",
    params(("driver" = DriverOrMe, Path, description = "Which one; a courier calls itself `me`.")),
    responses((status = 200, description = "The offers.", body = AskedPage)),
)]
async fn of_driver(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.list_driver_offers(&caller.0, &path).await?))
}

/// A courier answers an offer.
#[utoipa::path(
    post, path = "/v1/offers/{offer}/{answer}", operation_id = "offer.{answer}", tag = "Offers",
    params(("offer" = OfferId, Path, description = "Which offer."), ("answer" = OfferVerb, Path, description = "Yes or no."), Conditions),
    request_body = Option<ActionBody>,
    responses((status = 200, description = "The order that was accepted, or the offer that was declined.", body = OfferAnswer)),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
async fn answer(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let (offer, verb) = path.into_inner();
    Ok(respond(&api.answer_offer(&asking.0, &offer, &verb, read_body(&body)?).await?))
}

/// Sets in which order a courier goes to its open orders.
#[utoipa::path(
    put, path = "/v1/drivers/{driver}/route", operation_id = "driver.route", tag = "Couriers",
    params(("driver" = DriverOrMe, Path, description = "Which one; a courier calls itself `me`.")),
    request_body = RouteBody,
    responses((status = 200, description = "Its tour.", body = Tour)),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
async fn route(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Bytes) -> Answer {
    Ok(respond(&api.set_route(&asking.0, &path, read_body(&body)?).await?))
}

/// Lists where a courier was, the oldest first, as far as that is kept.
#[utoipa::path(
    get, path = "/v1/drivers/{driver}/trail", operation_id = "driver.trail", tag = "Couriers",
    params(("driver" = DriverId, Path, description = "Which one."), TrailQuery),
    responses((status = 200, description = "A page.", body = TrailPage)),
)]
async fn trail(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    request: HttpRequest,
) -> Answer {
    Ok(show(&api.list_trail(&caller.0, &path, &pairs(&request)?).await?))
}

/// Takes where a courier was.
#[utoipa::path(
    post, path = "/v1/drivers/me/locations", operation_id = "driver.locations", tag = "Couriers",
    request_body = LocationsBody,
    responses((status = 200, description = "What was made of it.", body = Noted)),
)]
async fn locations(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.note_locations(&asking.0, read_body(&body)?).await?))
}
