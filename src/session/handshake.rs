//! The handlers of the WebSocket paths: may this client have a socket at all?

use std::sync::atomic::Ordering;

use actix_web::error::{ErrorBadRequest, ErrorForbidden, ErrorServiceUnavailable};
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, Payload};
use actix_web::{Error, HttpRequest, HttpResponse};
use bytes::Bytes;

use super::{Kind, Source};
use crate::protocol::{Codec, Connect};
use crate::wire::Wire;

/// The subprotocol of the codec in binary frames.
const PROTOBUF: &str = "centrifuge-protobuf";

/// The mark in a response of 101: the socket is to be taken over.
#[derive(Debug, Clone)]
pub(super) struct TakeOver {
    pub(super) codec: Codec,
    pub(super) wire: Wire,
    pub(super) kind: Kind,
}

/// A socket for commands both ways. Answers 101, or why not: overload and a coming stop by 503,
/// a foreign origin by 403.
pub(super) async fn connect<S: Source>(
    source: web::Data<S>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    admit(&**source, &request)?;
    // Session and stream of actix-ws are let go: its handshake is what is wanted.
    let (mut response, _session, _stream) =
        actix_ws::handle_with_protocols(&request, payload, &[PROTOBUF, "centrifuge-json"])?;
    let query = query(&request);
    let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let protobuf = match chosen {
        Some(chosen) => chosen == PROTOBUF,
        None => asks(&query, "format", "protobuf") || asks(&query, "cf_protocol", "protobuf"),
    };
    let codec = if protobuf { Codec::Protobuf } else { Codec::Json };
    let kind = Kind { native_pings: asks(&query, NATIVE_PINGS, "true"), ..Kind::default() };
    response.extensions_mut().insert(TakeOver { codec, wire: Wire::Socket, kind });
    Ok(response)
}

/// A socket for a client that only listens, in JSON. Its connect comes as its first message, or
/// in the query as `cf_connect`; its token there or in the `Authorization` header, but never in
/// the query, which ends up in logs: 400.
pub(super) async fn connect_one_way<S: Source>(
    source: web::Data<S>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    admit(&**source, &request)?;
    let (mut response, _session, _stream) = actix_ws::handle(&request, payload)?;
    let query = query(&request);
    let connect = match query.iter().find(|(name, _)| name == "cf_connect") {
        None => None,
        Some((_, text)) => {
            let connect = Connect::from_json(text.as_bytes())
                .map_err(|_| ErrorBadRequest("cf_connect: cannot be read"))?;
            if !connect.token.is_empty() {
                return Err(ErrorBadRequest("cf_connect: a token must not stand in an address"));
            }
            Some(Bytes::copy_from_slice(text.as_bytes()))
        }
    };
    let kind = Kind {
        native_pings: asks(&query, NATIVE_PINGS, "true"),
        connect,
        bearer: bearer(&request),
        ..Kind::default()
    };
    response.extensions_mut().insert(TakeOver { codec: Codec::Json, wire: Wire::OneWay, kind });
    Ok(response)
}

const NATIVE_PINGS: &str = "cf_ws_frame_ping_pong";

/// Whether there is room, and the origin may come.
pub(super) fn admit<S: Source>(source: &S, request: &HttpRequest) -> Result<(), Error> {
    if !has_room(source) {
        return Err(ErrorServiceUnavailable("no room for another connection"));
    }
    if !is_origin_allowed(request, &source.settings().allowed_origins) {
        return Err(ErrorForbidden("this origin is not allowed"));
    }
    Ok(())
}

/// Whether another connection may be made: there are not too many, and the process does not stop.
pub fn has_room<S: Source>(source: &S) -> bool {
    let house = source.house();
    let full = house.sockets() >= source.settings().max_sockets;
    !full && !house.stopping.load(Ordering::Relaxed)
}

fn query(request: &HttpRequest) -> Vec<(String, String)> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    query.map(web::Query::into_inner).unwrap_or_default()
}

fn asks(query: &[(String, String)], wanted: &str, for_value: &str) -> bool {
    query.iter().any(|(name, value)| name == wanted && value == for_value)
}

/// The token of the `Authorization` header, if there is one.
fn bearer(request: &HttpRequest) -> Option<String> {
    bearer_token(request.headers().get(header::AUTHORIZATION)?).map(str::to_owned)
}

/// The token of an `Authorization` header's value: `Bearer` and the token (RFC 6750, section 2.1).
pub fn bearer_token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Browsers send an origin to other hosts and with sockets, native SDKs never. Our own host is allowed, and those named.
pub fn is_origin_allowed(request: &HttpRequest, allowed: &[String]) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let origin_host = origin.split_once("://").map(|(_scheme, host)| host);
    (host.is_some() && origin_host == host) || allowed.iter().any(|known| known == origin)
}
