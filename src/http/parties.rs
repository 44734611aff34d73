//! Stores, couriers, tokens.

use actix_web::http::header;
use actix_web::web::{self, Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::extract::{Caller, pairs};
use super::problem::HttpProblem;
use crate::api::{Api, read_body};

type Answer = Result<HttpResponse, HttpProblem>;

fn respond(body: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

fn respond_made((body, created): &(Value, bool)) -> HttpResponse {
    if *created { HttpResponse::Created().json(body) } else { respond(body) }
}

fn respond_ended() -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, "no-store")).finish()
}

pub(super) async fn create_store(api: web::Data<Api>, caller: Caller, body: Bytes) -> Answer {
    Ok(respond_made(&api.put_store(&caller.0, None, read_body(&body)?).await?))
}

pub(super) async fn put_store(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond_made(&api.put_store(&caller.0, Some(&path), read_body(&body)?).await?))
}

pub(super) async fn list_stores(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Answer {
    Ok(respond(&api.list_stores(&caller.0, &pairs(&request)?).await?))
}

pub(super) async fn get_store(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(respond(&api.get_store(&caller.0, &path).await?))
}

pub(super) async fn patch_store(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.patch_store(&caller.0, &path, read_body(&body)?).await?))
}

pub(super) async fn pause(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.pause_store(&caller.0, &path, read_body(&body)?).await?))
}

pub(super) async fn create_driver(api: web::Data<Api>, caller: Caller, body: Bytes) -> Answer {
    Ok(respond_made(&api.put_driver(&caller.0, None, read_body(&body)?).await?))
}

pub(super) async fn put_driver(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond_made(&api.put_driver(&caller.0, Some(&path), read_body(&body)?).await?))
}

pub(super) async fn list_drivers(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Answer {
    Ok(respond(&api.list_drivers(&caller.0, &pairs(&request)?).await?))
}

pub(super) async fn get_driver(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(respond(&api.get_driver(&caller.0, &path).await?))
}

pub(super) async fn patch_driver(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.patch_driver(&caller.0, &path, read_body(&body)?).await?))
}

pub(super) async fn duty(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.set_duty(&caller.0, &path, read_body(&body)?).await?))
}

pub(super) async fn issue_token(api: web::Data<Api>, caller: Caller, body: Bytes) -> Answer {
    let token = api.issue_token(&caller.0, read_body(&body)?).await?;
    Ok(HttpResponse::Created().insert_header((header::CACHE_CONTROL, "no-store")).json(token))
}

pub(super) async fn revoke_token(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
) -> Answer {
    api.revoke_token(&caller.0, &path).await?;
    Ok(respond_ended())
}

pub(super) async fn delete_store(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
) -> Answer {
    api.delete_store(&caller.0, &path).await?;
    Ok(respond_ended())
}

pub(super) async fn delete_driver(
    api: web::Data<Api>,
    caller: Caller,
    path: Path<String>,
) -> Answer {
    api.delete_driver(&caller.0, &path).await?;
    Ok(respond_ended())
}
