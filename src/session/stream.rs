//! Connections without a socket, for networks that deny them: what is sent is the body of one
//! long answer, and commands come by requests of their own (the SDKs call this emulation).

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::error::{ErrorBadRequest, ErrorNotFound, ErrorServiceUnavailable};
use actix_web::http::header;
use actix_web::web::{self, Payload};
use actix_web::{Error, HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use tokio::time::timeout;

use super::handshake::admit;
use super::upgrade::{Counted, enter};
use super::{Kind, Source};
use crate::hub::{LocalHub, Mailbox, Outlet};
use crate::protocol::{Codec, Emulation};
use crate::wire::Wire;

/// `POST /connection/http_stream`: the body holds the first commands, the answer is a line for
/// each reply and push. Protobuf when the body says it is (`application/octet-stream`).
pub(super) async fn open_lines<S: Source>(
    source: web::Data<S>,
    hub: web::Data<LocalHub<S::News>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    admit(&**source, &request)?;
    let codec = codec_of(&request);
    let first = read(&**source, payload).await?;
    Ok(open(source, &hub, Wire::Lines, codec, first))
}

/// `GET /connection/sse?cf_connect=…`, or a POST of the same: the first commands, answered by
/// Server-Sent Events.
pub(super) async fn open_events<S: Source>(
    source: web::Data<S>,
    hub: web::Data<LocalHub<S::News>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    admit(&**source, &request)?;
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let connect = query
        .ok()
        .and_then(|query| query.into_inner().into_iter().find(|(name, _)| name == "cf_connect"));
    let first = match connect {
        Some((_, connect)) => Bytes::from(connect),
        None => read(&**source, payload).await?,
    };
    Ok(open(source, &hub, Wire::Events, Codec::Json, first))
}

/// `POST /emulation`: more commands of such a connection. 204, or 404 when there is none; another
/// process is handed what is its own.
pub(super) async fn emulate<S: Source>(
    source: web::Data<S>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    let body = read(&**source, payload).await?;
    let emulation = Emulation::read(codec_of(&request), &body)
        .map_err(|_| ErrorBadRequest("the body cannot be read"))?;
    let streams = &source.house().streams;
    if emulation.node != streams.node() {
        let is_gone = !source.forward(&emulation).await;
        return if is_gone {
            Err(ErrorNotFound("no such connection here"))
        } else {
            Ok(HttpResponse::NoContent().finish())
        };
    }
    let commands = streams
        .find(&emulation.node, &emulation.session)
        .ok_or_else(|| ErrorNotFound("no such connection here"))?;
    // A client whose commands are not carried out as fast as it sends them waits, but not for ever.
    let patience = source.settings().reply_timeout_ms.get();
    match timeout(patience, commands.send(emulation.data)).await {
        Ok(Ok(())) => Ok(HttpResponse::NoContent().finish()),
        Ok(Err(_ended)) => Err(ErrorNotFound("no such connection here")),
        Err(_late) => Err(ErrorServiceUnavailable("the connection is busy")),
    }
}

fn codec_of(request: &HttpRequest) -> Codec {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let binary = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/octet-stream"));
    if binary { Codec::Protobuf } else { Codec::Json }
}

async fn read<S: Source>(source: &S, payload: Payload) -> Result<Bytes, Error> {
    payload
        .to_bytes_limited(source.settings().message_limit_bytes)
        .await
        .map_err(|_| actix_web::error::ErrorPayloadTooLarge("the body is too large"))?
}

fn open<S: Source>(
    source: web::Data<S>,
    hub: &LocalHub<S::News>,
    wire: Wire,
    codec: Codec,
    first: Bytes,
) -> HttpResponse {
    let events = wire == Wire::Events;
    let mailbox = Mailbox::new(Outlet::Body, wire, codec, source.settings().mailbox_bytes);
    let hub = Rc::clone(&hub.0);
    let (id, commands) = source.house().streams.enter();
    let kind = Kind { stream: Some(id), ..Kind::default() };
    let session = enter(web::Data::clone(&source), hub, mailbox, kind);
    let body = body_of(&session.mailbox);
    let counted = Counted::new(&source);
    actix_web::rt::spawn(async move {
        let _counted = counted;
        session.run_stream(first, commands).await;
        source.house().streams.leave(id);
    });
    respond(match (events, codec) {
        (true, _) => EVENTS,
        (false, Codec::Json) => "application/json; charset=utf-8",
        (false, Codec::Protobuf) => "application/octet-stream",
    })
    .body(body)
}

/// The content of Server-Sent Events.
pub(super) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// The head of a long answer, which nobody on its way may keep or hold back.
pub(super) fn respond(content: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "private, no-cache, no-store, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"))
        .content_type(content);
    response
}

/// What is left in a mailbox, as the body of an answer; when nobody reads it any more the
/// mailbox is told.
pub(super) fn body_of(mailbox: &Rc<Mailbox>) -> impl MessageBody + 'static {
    Body(Rc::clone(mailbox))
}

struct Body(Rc<Mailbox>);

impl MessageBody for Body {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.0.poll_chunk(context).map(|chunk| chunk.map(Ok))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}
