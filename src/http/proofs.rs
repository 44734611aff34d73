//! Proofs of hand-overs.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Path, Payload, ServiceConfig};

use super::answer::REPLAYED;
use super::extract::{Asking, Caller};
use super::parameters::Conditions;
use super::problem::{HttpProblem, OF_ORDERS, words};
use crate::api::answers::{Proof, ProofsPage};
use crate::api::{Api, NewProofBody, Problem, ProblemCode, read_body};
use crate::view::schema::{OrderId, ProofId};

type Answer = Result<HttpResponse, HttpProblem>;

/// Adds their routes.
pub(super) fn configure(services: &mut ServiceConfig) {
    services
        .service(
            web::resource("/v1/orders/{order}/proofs")
                .route(web::post().to(add))
                .route(web::get().to(of_order)),
        )
        .service(web::resource("/v1/orders/{order}/proofs/{proof}").route(web::get().to(picture)));
}

/// Hands in a proof; the same of the same hand-over is there once.
#[utoipa::path(
    post, path = "/v1/orders/{order}/proofs", operation_id = "proof.add", tag = "Proofs",
    params(("order" = OrderId, Path, description = "Which order."), Conditions),
    request_body = NewProofBody,
    responses((status = 200, description = "It was there.", body = Proof, headers(("ETag" = String, description = "The order's version."))), (status = 201, description = "The proof.", body = Proof, headers(("ETag" = String, description = "The order's version.")))),
    extensions(("x-problems" = json!(words(OF_ORDERS)))),
)]
// It reads the body itself: pictures may be larger than other requests.
async fn add(api: web::Data<Api>, asking: Asking, path: Path<String>, body: Payload) -> Answer {
    let limit = api.config.proofs.body_limit_bytes;
    let body = body.to_bytes_limited(limit).await;
    let body = body
        .map_err(|_| Problem::new(ProblemCode::PayloadTooLarge, "the body is too large"))?
        .map_err(|_| Problem::new(ProblemCode::Malformed, "the request could not be read"))?;
    let answer = api.add_proof(&asking.0, &path, read_body(&body)?).await?;
    let mut response = if answer.created { HttpResponse::Created() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, format!("\"{}\"", answer.version)));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if answer.replayed {
        response.insert_header((REPLAYED, "true"));
    }
    Ok(response.json(&answer.body))
}

/// Lists the proofs of an order that the caller may look at.
#[utoipa::path(
    get, path = "/v1/orders/{order}/proofs", operation_id = "proofs.list", tag = "Proofs",
    params(("order" = OrderId, Path, description = "Which order.")),
    responses((status = 200, description = "The proofs.", body = ProofsPage)),
)]
async fn of_order(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    let proofs = api.list_proofs(&caller.0, &path).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(proofs))
}

/// Shows the picture of a proof, if it is kept here.
#[utoipa::path(
    get, path = "/v1/orders/{order}/proofs/{proof}", operation_id = "proof.picture", tag = "Proofs",
    params(("order" = OrderId, Path, description = "Which order."), ("proof" = ProofId, Path, description = "Which of its proofs.")),
    responses((status = 200, description = "The picture.", content((String = "image/jpeg"), (String = "image/png"), (String = "image/webp")))),
)]
// The bytes as they came, for nothing but looking at them.
async fn picture(api: web::Data<Api>, caller: Caller, path: Path<(String, String)>) -> Answer {
    let (order, proof) = path.into_inner();
    let picture = api.find_picture(&caller.0, &order, &proof).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, picture.content_type))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_DISPOSITION, "inline"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .body(picture.data))
}
