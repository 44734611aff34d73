//! The HTTP API by which a suite's own back end publishes and looks back.

use actix_web::error::{ErrorBadRequest, ErrorUnauthorized};
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{Error, HttpRequest, HttpResponse};
use ordercast::protocol::code::ErrorCode;
use ordercast::protocol::{History, RawJson};
use serde::Deserialize;
use serde_json::{Value, json};

use super::memory::Memory;

/// Adds its routes.
pub fn configure(services: &mut ServiceConfig) {
    services
        .service(web::resource("/api/publish").route(web::post().to(publish)))
        .service(web::resource("/api/history").route(web::post().to(history)));
}

#[derive(Deserialize)]
struct Publish {
    channel: String,
    data: Box<RawJson>,
}

fn read<'a, T: Deserialize<'a>>(
    memory: &Memory,
    request: &HttpRequest,
    body: &'a [u8],
) -> Result<T, Error> {
    let key = request.headers().get("X-API-Key");
    if key.is_none_or(|key| key.as_bytes() != memory.api_key.as_bytes()) {
        return Err(ErrorUnauthorized("another X-API-Key is wanted"));
    }
    serde_json::from_slice(body).map_err(ErrorBadRequest)
}

/// A refusal is an answer like any other, as Centrifugo has it.
fn answer(result: Result<Value, ErrorCode>) -> HttpResponse {
    HttpResponse::Ok().json(match result {
        Ok(result) => json!({"result": result}),
        Err(ErrorCode { code, message, .. }) => {
            json!({"error": {"code": code, "message": message}})
        }
    })
}

async fn publish(
    memory: web::Data<Memory>,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Error> {
    let Publish { channel, data } = read(&memory, &request, &body)?;
    Ok(answer(memory.tell(&channel, data, None).await.map(|()| json!({}))))
}

async fn history(
    memory: web::Data<Memory>,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Error> {
    let ask: History = read(&memory, &request, &body)?;
    let past = memory.past(&ask).await.map(|(past, notes)| {
        let note = |offset: u64, data: &RawJson| json!({"offset": offset, "data": data});
        let notes: Vec<_> = notes.iter().map(|it| note(it.offset, &it.data)).collect();
        json!({"epoch": *past.epoch, "offset": past.offset, "publications": notes})
    });
    Ok(answer(past))
}
