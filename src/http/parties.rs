//! Stores, couriers, tokens.

use actix_web::http::header;
use actix_web::web::{self, Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::answer::respond;
use super::extract::{Asking, Caller, pairs};
use super::parameters::{DriversQuery, PartiesQuery};
use super::problem::{HttpProblem, words};
use crate::api::answers::{DriversPage, StoresPage, Token};
use crate::api::{
    Api, DriverBody, DriverPatchBody, DutyBody, PauseBody, ProblemCode, StoreBody, StorePatchBody,
    TokenBody, read_body,
};
use crate::view::schema::{CredentialId, Driver, DriverId, DriverOrMe, Store, StoreId};

type Answer = Result<HttpResponse, HttpProblem>;

fn show(body: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// Makes a store, or brings the one with this `external_id` up to date.
#[utoipa::path(
    post, path = "/v1/stores", operation_id = "store.create", tag = "Stores",
    request_body = StoreBody,
    responses((status = 200, description = "It was there and is up to date.", body = Store), (status = 201, description = "It was made.", body = Store)),
)]
pub(super) async fn create_store(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.put_store(&asking.0, None, read_body(&body)?).await?))
}

/// Makes a store, or brings the one with this name up to date; one that was deleted is there again.
#[utoipa::path(
    put, path = "/v1/stores/ext/{external_id}", operation_id = "put_store", tag = "Stores",
    params(("external_id" = String, Path, description = "The platform's name for it.", min_length = 1, max_length = 128)),
    request_body = StoreBody,
    responses((status = 200, description = "It was there and is up to date.", body = Store), (status = 201, description = "It was made.", body = Store)),
)]
pub(super) async fn put_store(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.put_store(&asking.0, Some(&path), read_body(&body)?).await?))
}

/// Lists stores.
#[utoipa::path(
    get, path = "/v1/stores", operation_id = "stores.list", tag = "Stores",
    params(PartiesQuery),
    responses((status = 200, description = "A page.", body = StoresPage)),
)]
pub(super) async fn list_stores(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Answer {
    Ok(show(&api.list_stores(&caller.0, &pairs(&request)?).await?))
}

/// Reads a store.
#[utoipa::path(
    get, path = "/v1/stores/{store}", operation_id = "store.get", tag = "Stores",
    params(("store" = StoreId, Path, description = "Which one.")),
    responses((status = 200, description = "It.", body = Store)),
)]
pub(super) async fn get_store(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.get_store(&caller.0, &path).await?))
}

/// Changes what is given of a store.
#[utoipa::path(
    patch, path = "/v1/stores/{store}", operation_id = "store.update", tag = "Stores",
    params(("store" = StoreId, Path, description = "Which one.")),
    request_body = Option<StorePatchBody>,
    responses((status = 200, description = "It, as it is now.", body = Store)),
)]
pub(super) async fn patch_store(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.patch_store(&asking.0, &path, read_body(&body)?).await?))
}

/// Pauses a store until a moment, or opens it again.
#[utoipa::path(
    put, path = "/v1/stores/{store}/pause", operation_id = "store.pause", tag = "Stores",
    params(("store" = StoreId, Path, description = "Which one.")),
    request_body = Option<PauseBody>,
    responses((status = 200, description = "It, as it is now.", body = Store)),
)]
pub(super) async fn pause(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.pause_store(&asking.0, &path, read_body(&body)?).await?))
}

/// Makes a courier, or brings the one with this `external_id` up to date.
#[utoipa::path(
    post, path = "/v1/drivers", operation_id = "driver.create", tag = "Couriers",
    request_body = DriverBody,
    responses((status = 200, description = "It was there and is up to date.", body = Driver), (status = 201, description = "It was made.", body = Driver)),
)]
pub(super) async fn create_driver(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.put_driver(&asking.0, None, read_body(&body)?).await?))
}

/// Makes a courier, or brings the one with this name up to date; one that was deleted is there again.
#[utoipa::path(
    put, path = "/v1/drivers/ext/{external_id}", operation_id = "put_driver", tag = "Couriers",
    params(("external_id" = String, Path, description = "The platform's name for it.", min_length = 1, max_length = 128)),
    request_body = DriverBody,
    responses((status = 200, description = "It was there and is up to date.", body = Driver), (status = 201, description = "It was made.", body = Driver)),
)]
pub(super) async fn put_driver(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.put_driver(&asking.0, Some(&path), read_body(&body)?).await?))
}

/// Lists couriers; with `near` those around a place, with where they are.
#[utoipa::path(
    get, path = "/v1/drivers", operation_id = "drivers.list", tag = "Couriers",
    params(DriversQuery),
    responses((status = 200, description = "A page.", body = DriversPage)),
)]
pub(super) async fn list_drivers(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Answer {
    Ok(show(&api.list_drivers(&caller.0, &pairs(&request)?).await?))
}

/// Reads a courier.
#[utoipa::path(
    get, path = "/v1/drivers/{driver}", operation_id = "driver.get", tag = "Couriers",
    params(("driver" = DriverOrMe, Path, description = "Which one; a courier calls itself `me`.")),
    responses((status = 200, description = "It.", body = Driver)),
)]
pub(super) async fn get_driver(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.get_driver(&caller.0, &path).await?))
}

/// Changes what is given of a courier.
#[utoipa::path(
    patch, path = "/v1/drivers/{driver}", operation_id = "driver.update", tag = "Couriers",
    params(("driver" = DriverId, Path, description = "Which one.")),
    request_body = Option<DriverPatchBody>,
    responses((status = 200, description = "It, as it is now.", body = Driver)),
)]
pub(super) async fn patch_driver(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.patch_driver(&asking.0, &path, read_body(&body)?).await?))
}

/// Changes a courier's duty.
#[utoipa::path(
    put, path = "/v1/drivers/{driver}/duty", operation_id = "driver.duty", tag = "Couriers",
    params(("driver" = DriverOrMe, Path, description = "Which one; a courier calls itself `me`.")),
    request_body = DutyBody,
    responses((status = 200, description = "It, as it is now.", body = Driver)),
)]
pub(super) async fn duty(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.set_duty(&asking.0, &path, read_body(&body)?).await?))
}

/// Issues a token.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "token.create", tag = "Tokens",
    request_body = TokenBody,
    responses((status = 201, description = "The token.", body = Token)),
)]
pub(super) async fn issue_token(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.issue_token(&asking.0, read_body(&body)?).await?))
}

/// Revokes a token or an API key, whether or not there is one.
#[utoipa::path(
    delete, path = "/v1/tokens/{token}", operation_id = "token.revoke", tag = "Tokens",
    params(("token" = CredentialId, Path, description = "The `id` of the token or API key.")),
    responses((status = 204, description = "Done, also if it was before.")),
)]
pub(super) async fn revoke_token(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
) -> Answer {
    Ok(respond(&api.revoke_token(&asking.0, &path).await?))
}

/// Deletes a store without open orders. Past orders keep showing it.
#[utoipa::path(
    delete, path = "/v1/stores/{store}", operation_id = "store.delete", tag = "Stores",
    params(("store" = StoreId, Path, description = "Which one.")),
    responses((status = 204, description = "Done, also if it was before.")),
    extensions(("x-problems" = json!(words(&[ProblemCode::HasOpenOrders])))),
)]
pub(super) async fn delete_store(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
) -> Answer {
    Ok(respond(&api.delete_store(&asking.0, &path).await?))
}

/// Deletes a courier without open orders. Past orders keep showing it.
#[utoipa::path(
    delete, path = "/v1/drivers/{driver}", operation_id = "driver.delete", tag = "Couriers",
    params(("driver" = DriverId, Path, description = "Which one.")),
    responses((status = 204, description = "Done, also if it was before.")),
    extensions(("x-problems" = json!(words(&[ProblemCode::HasOpenOrders])))),
)]
pub(super) async fn delete_driver(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
) -> Answer {
    Ok(respond(&api.delete_driver(&asking.0, &path).await?))
}
