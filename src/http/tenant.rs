//! The settings of the caller's tenant.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Bytes, ServiceConfig};

use super::answer::respond;
use super::extract::{Asking, Caller};
use super::problem::HttpProblem;
use crate::api::{Api, TenantPatchBody, read_body};
use crate::view::schema::Tenant;

type Answer = Result<HttpResponse, HttpProblem>;

pub(super) fn configure(services: &mut ServiceConfig) {
    services.service(
        web::resource("/v1/tenant").route(web::get().to(get)).route(web::patch().to(update)),
    );
}

/// Reads the tenant's settings.
#[utoipa::path(
    get, path = "/v1/tenant", operation_id = "tenant.get", tag = "Tenant",
    responses((status = 200, description = "It.", body = Tenant)),
)]
pub(super) async fn get(api: web::Data<Api>, caller: Caller) -> Answer {
    let tenant = api.get_tenant(&caller.0).await?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(tenant))
}

/// Changes what is given of the tenant's settings, for what happens from now on.
#[utoipa::path(
    patch, path = "/v1/tenant", operation_id = "tenant.update", tag = "Tenant",
    request_body = Option<TenantPatchBody>,
    responses((status = 200, description = "It, as it is now.", body = Tenant)),
)]
pub(super) async fn update(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.patch_tenant(&asking.0, read_body(&body)?).await?))
}
