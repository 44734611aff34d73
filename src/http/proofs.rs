//! Proofs of hand-overs.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Path, Payload, ServiceConfig};

use super::answer::REPLAYED;
use super::extract::{Asking, Caller};
use super::problem::HttpProblem;
use crate::api::{Api, Problem, ProblemCode, read_body};

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

/// Reads the body itself: pictures may be larger than other requests.
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

async fn of_order(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    let proofs = api.list_proofs(&caller.0, &path).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(proofs))
}

/// The bytes as they came, for nothing but looking at them.
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
