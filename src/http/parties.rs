//! Stores, couriers, tokens.

use actix_web::http::header;
use actix_web::web::{self, Bytes, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::answer::respond;
use super::extract::{Asking, Caller, pairs};
use super::problem::HttpProblem;
use crate::api::{Api, read_body};

type Answer = Result<HttpResponse, HttpProblem>;

fn show(body: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

pub(super) async fn create_store(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.put_store(&asking.0, None, read_body(&body)?).await?))
}

pub(super) async fn put_store(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.put_store(&asking.0, Some(&path), read_body(&body)?).await?))
}

pub(super) async fn list_stores(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Answer {
    Ok(show(&api.list_stores(&caller.0, &pairs(&request)?).await?))
}

pub(super) async fn get_store(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.get_store(&caller.0, &path).await?))
}

pub(super) async fn patch_store(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.patch_store(&asking.0, &path, read_body(&body)?).await?))
}

pub(super) async fn pause(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.pause_store(&asking.0, &path, read_body(&body)?).await?))
}

pub(super) async fn create_driver(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.put_driver(&asking.0, None, read_body(&body)?).await?))
}

pub(super) async fn put_driver(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.put_driver(&asking.0, Some(&path), read_body(&body)?).await?))
}

pub(super) async fn list_drivers(
    api: web::Data<Api>,
    caller: Caller,
    request: HttpRequest,
) -> Answer {
    Ok(show(&api.list_drivers(&caller.0, &pairs(&request)?).await?))
}

pub(super) async fn get_driver(api: web::Data<Api>, caller: Caller, path: Path<String>) -> Answer {
    Ok(show(&api.get_driver(&caller.0, &path).await?))
}

pub(super) async fn patch_driver(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.patch_driver(&asking.0, &path, read_body(&body)?).await?))
}

pub(super) async fn duty(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
    body: Bytes,
) -> Answer {
    Ok(respond(&api.set_duty(&asking.0, &path, read_body(&body)?).await?))
}

pub(super) async fn issue_token(api: web::Data<Api>, asking: Asking, body: Bytes) -> Answer {
    Ok(respond(&api.issue_token(&asking.0, read_body(&body)?).await?))
}

pub(super) async fn revoke_token(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
) -> Answer {
    Ok(respond(&api.revoke_token(&asking.0, &path).await?))
}

pub(super) async fn delete_store(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
) -> Answer {
    Ok(respond(&api.delete_store(&asking.0, &path).await?))
}

pub(super) async fn delete_driver(
    api: web::Data<Api>,
    asking: Asking,
    path: Path<String>,
) -> Answer {
    Ok(respond(&api.delete_driver(&asking.0, &path).await?))
}
