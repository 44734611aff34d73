//! REST: handlers that read a request, ask [`crate::api`], and write the answer.
//!
//! Absent on purpose: no handler knows SQL or a rule about orders. HTTP statuses of problems
//! live in one table, in `problem`.

mod answer;
mod bulk;
mod document;
mod events;
mod extract;
mod health;
mod links;
mod offers;
mod orders;
mod parameters;
mod parties;
pub mod problem;
mod proofs;
mod tenant;
mod webhooks;

use actix_web::web::{self, ServiceConfig};

pub use document::Document;
pub use problem::HttpProblem;
pub(crate) use problem::finish;

/// Adds every route of the API.
pub fn configure(services: &mut ServiceConfig) {
    services
        .service(web::resource("/healthz").route(web::get().to(health::healthz)))
        .service(web::resource("/metrics").route(web::get().to(health::numbers)))
        .service(web::resource("/readyz").route(web::get().to(health::readyz)))
        .service(
            web::resource("/v1/orders")
                .route(web::post().to(orders::create))
                .route(web::get().to(orders::list)),
        )
        .configure(bulk::configure)
        .service(
            web::resource("/v1/orders/{order}")
                .route(web::get().to(orders::get))
                .route(web::patch().to(orders::update)),
        )
        .service(web::resource("/v1/orders/{order}/events").route(web::get().to(events::of_order)))
        .service(web::resource("/v1/orders/{order}/prep").route(web::put().to(orders::prep)))
        .service(web::resource("/v1/orders/{order}/eta").route(web::put().to(orders::eta)))
        .configure(offers::configure)
        .configure(proofs::configure)
        .service(
            web::resource("/v1/orders/{order}/driver")
                .route(web::put().to(orders::assign))
                .route(web::delete().to(orders::unassign)),
        )
        .configure(links::configure)
        .service(web::resource("/v1/orders/{order}/{action}").route(web::post().to(orders::act)))
        .service(web::resource("/v1/events").route(web::get().to(events::of_tenant)))
        .service(
            web::resource("/v1/stores")
                .route(web::post().to(parties::create_store))
                .route(web::get().to(parties::list_stores)),
        )
        .service(
            web::resource("/v1/stores/ext/{external_id}").route(web::put().to(parties::put_store)),
        )
        .service(
            web::resource("/v1/stores/{store}")
                .route(web::get().to(parties::get_store))
                .route(web::patch().to(parties::patch_store))
                .route(web::delete().to(parties::delete_store)),
        )
        .service(web::resource("/v1/stores/{store}/pause").route(web::put().to(parties::pause)))
        .service(
            web::resource("/v1/drivers")
                .route(web::post().to(parties::create_driver))
                .route(web::get().to(parties::list_drivers)),
        )
        .service(
            web::resource("/v1/drivers/ext/{external_id}")
                .route(web::put().to(parties::put_driver)),
        )
        .service(
            web::resource("/v1/drivers/{driver}")
                .route(web::get().to(parties::get_driver))
                .route(web::patch().to(parties::patch_driver))
                .route(web::delete().to(parties::delete_driver)),
        )
        .service(web::resource("/v1/drivers/{driver}/duty").route(web::put().to(parties::duty)))
        .service(web::resource("/v1/tokens").route(web::post().to(parties::issue_token)))
        .service(web::resource("/v1/tokens/{token}").route(web::delete().to(parties::revoke_token)))
        .configure(tenant::configure)
        .configure(webhooks::configure);
}
