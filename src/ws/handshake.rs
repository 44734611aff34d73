//! The handler of `/connection/websocket`: may this client have a socket at all?

use std::sync::atomic::Ordering;

use actix_web::http::header;
use actix_web::web::{self, Payload};
use actix_web::{Error, HttpRequest, HttpResponse};

use crate::api::{Api, Problem, ProblemCode};
use crate::http::HttpProblem;
use crate::protocol::Codec;

/// The subprotocol of the codec in binary frames.
const PROTOBUF: &str = "centrifuge-protobuf";

/// The mark in a response of 101: the socket is to be taken over.
#[derive(Debug, Clone, Copy)]
pub(super) struct TakeOver {
    pub(super) codec: Codec,
    /// Pings are WebSocket's own instead of the protocol's, for clients that are bare tools.
    pub(super) native_pings: bool,
}

/// Answers 101, or why not: overload and a coming stop by 503, a foreign origin by 403.
pub async fn connect(
    api: web::Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    let full = api.sockets.load(Ordering::Relaxed) >= api.config.socket.max_sockets;
    if full || api.stopping.load(Ordering::Relaxed) {
        return Err(HttpProblem(Problem::overloaded()).into());
    }
    if !is_origin_allowed(&request, &api.config.socket.allowed_origins) {
        let problem = Problem::new(ProblemCode::RoleNotAllowed, "this origin is not allowed");
        return Err(HttpProblem(problem).into());
    }
    // Session and stream of actix-ws are let go: its handshake is what is wanted.
    let (mut response, _session, _stream) =
        actix_ws::handle_with_protocols(&request, payload, &[PROTOBUF, "centrifuge-json"])?;
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let asks = |wanted: &str, for_value: &str| {
        let found = |(name, value): &(String, String)| name == wanted && value == for_value;
        query.as_ref().is_ok_and(|query| query.iter().any(found))
    };
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let protobuf = match chosen {
        Some(chosen) => chosen == PROTOBUF,
        None => asks("format", "protobuf") || asks("cf_protocol", "protobuf"),
    };
    let codec = if protobuf { Codec::Protobuf } else { Codec::Json };
    let native_pings = asks("cf_ws_frame_ping_pong", "true");
    response.extensions_mut().insert(TakeOver { codec, native_pings });
    Ok(response)
}

/// Browsers always send an origin, native SDKs never. Our own host is allowed, and those named.
fn is_origin_allowed(request: &HttpRequest, allowed: &[String]) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let origin_host = origin.split_once("://").map(|(_scheme, host)| host);
    (host.is_some() && origin_host == host) || allowed.iter().any(|known| known == origin)
}
