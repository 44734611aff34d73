//! Takes a socket out of HTTP's hands.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use actix_codec::Framed;
use actix_http::body::{BodySize, MessageBody, to_bytes_limited};
use actix_http::{ConnectionType, Request, Response, h1};
use actix_rt::net::TcpStream;
use actix_service::Service;
use actix_web::dev::ServiceResponse;
use actix_web::web;
use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio_util::codec::Encoder as _;

use super::handshake::TakeOver;
use super::{Kind, Session, Source};
use crate::hub::{Hub, Mailbox, Outlet};
use crate::protocol::code::Disconnect;

/// Largest body of an answer that is not an upgrade: a problem, or a page asked for oddly.
const ANSWER_MAX: usize = 1 << 20;

/// Counts a connection for as long as it lives.
pub(super) struct Counted<S: Source>(web::Data<S>);

impl<S: Source> Counted<S> {
    pub(super) fn new(source: &web::Data<S>) -> Self {
        source.house().came();
        Self(web::Data::clone(source))
    }
}
impl<S: Source> Drop for Counted<S> {
    fn drop(&mut self) {
        self.0.house().went();
    }
}

/// Serves a request that asks to upgrade: the app answers it; when it says so the socket becomes
/// a session, else the answer is sent and the connection closed.
pub async fn take_over<S, A, B>(
    app: Rc<A>,
    source: web::Data<S>,
    hub: Rc<Hub<S::News>>,
    request: Request,
    framed: Framed<TcpStream, h1::Codec>,
) -> Result<(), actix_http::Error>
where
    S: Source,
    A: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    // Boxed, so that the future that lives for hours stays small.
    let taken = Box::pin(answer(app, request, framed)).await;
    if let Some((stream, mark, early)) = taken {
        let settings = source.settings();
        let socket = SockRef::from(&stream);
        // A stalled reader otherwise pins megabytes in the kernel; the rest is courtesy.
        let set = socket
            .set_send_buffer_size(settings.send_buffer_bytes)
            .and_then(|()| socket.set_tcp_nodelay(true));
        if let Err(error) = set {
            tracing::debug!(%error, "a socket's options could not be set");
        }
        let counted = Counted::new(&source);
        let TakeOver { codec, wire, kind } = mark;
        let mailbox = Mailbox::new(Outlet::Socket(stream), wire, codec, settings.mailbox_bytes);
        let session = enter(web::Data::clone(&source), hub, mailbox, kind);
        // A task of its own: that of the request has room for all of HTTP, which is twice as much
        // as an idle session needs.
        actix_rt::spawn(async move {
            session.run(early).await;
            drop(counted);
        });
    }
    Ok(())
}

/// A new session, known to its worker's hub.
pub(super) fn enter<S: Source>(
    source: web::Data<S>,
    hub: Rc<Hub<S::News>>,
    mailbox: Mailbox,
    kind: Kind,
) -> Rc<Session<S>> {
    let mailbox = Rc::new(mailbox);
    hub.enter(&mailbox);
    // The stop may have passed the hub before this connection came to it.
    if source.house().stopping.load(Ordering::Relaxed) {
        mailbox.end(Disconnect::SHUTDOWN);
    }
    Session::new(source, hub, mailbox, kind)
}

async fn answer<A, B>(
    app: Rc<A>,
    request: Request,
    framed: Framed<TcpStream, h1::Codec>,
) -> Option<(TcpStream, TakeOver, BytesMut)>
where
    A: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let mut parts = framed.into_parts();
    let mut response: Response<_> = match app.call(request).await {
        Ok(response) => response.map_into_boxed_body().into(),
        Err(error) => error.error_response().into(),
    };
    let mark = response.extensions_mut().remove::<TakeOver>();
    let mut out = BytesMut::new();
    if mark.is_some() {
        let (head, _body) = response.into_parts();
        parts.codec.encode(h1::Message::Item((head, BodySize::Stream)), &mut out).ok()?;
    } else {
        response.head_mut().set_connection_type(ConnectionType::Close);
        let (head, body) = response.into_parts();
        let body = to_bytes_limited(body, ANSWER_MAX).await.ok()?.ok()?;
        let size = BodySize::Sized(u64::try_from(body.len()).unwrap_or(u64::MAX));
        parts.codec.encode(h1::Message::Item((head, size)), &mut out).ok()?;
        out.extend_from_slice(&body);
    }
    parts.io.write_all(&out).await.ok()?;
    let Some(mark) = mark else {
        parts.io.shutdown().await.ok()?;
        return None;
    };
    // What the client sent right behind its handshake has been read already.
    Some((parts.io, mark, parts.read_buf))
}
