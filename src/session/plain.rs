//! One channel as Server-Sent Events, for a bare `EventSource` or `curl`: the state of things and
//! what follows, or exactly what was missed. Each event says where the log stands with it, and
//! whoever comes back brings that along.
//!
//! It is a session like others, of one subscription, so it is served, bounded and ended by the
//! same means. Nothing is answered to a ping: who does not read is found slow, or gone.

use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web;
use rand::Rng as _;
use tokio::time::timeout;

use super::stream::{EVENTS, body_of, respond};
use super::upgrade::{Counted, enter};
use super::{Kind, Otherwise, Renewed, Source, Start, Turned};
use crate::config;
use crate::hub::{LocalHub, Mailbox, Outlet};
use crate::protocol::code::{Disconnect, ErrorCode};
use crate::protocol::{Codec, Position, Subscribe};
use crate::wire::{Wire, retry_event};

/// What one wants to follow.
#[derive(Debug)]
pub struct Follow<S: Source> {
    /// Whom it is for.
    pub renewed: Renewed<S>,
    /// The channel, and what of it.
    pub ask: Subscribe,
    /// The last that the client has; none on its first visit.
    pub last: Option<Position>,
}

/// Follows a channel: the answer goes on for as long as the right to it does. What one gets
/// instead is what a subscribe would be answered; nothing has been sent then.
pub async fn follow<S: Source>(
    source: web::Data<S>,
    hub: &LocalHub<S::News>,
    follow: Follow<S>,
) -> Result<HttpResponse, Turned> {
    let counted = Counted::new(&source);
    let settings = source.settings();
    let (wire, patience) = (Wire::resumable(), settings.reply_timeout_ms.get());
    let mailbox = Mailbox::new(Outlet::Body, wire, Codec::Json, settings.mailbox_bytes);
    mailbox.answer_as_it_is(retry_event(retry(settings)));
    let kind = Kind { is_of_one_channel: true, ..Kind::default() };
    let session = enter(web::Data::clone(&source), Rc::clone(&hub.0), mailbox, kind);
    let Follow { renewed, ask, last } = follow;
    let (who, member) = session.know(renewed)?;
    let start = match &last {
        None => Start::State,
        Some(Position { offset, epoch }) => {
            Start::After { offset: *offset, epoch, otherwise: Otherwise::State }
        }
    };
    let late = Err(ErrorCode::INTERNAL.into());
    let beginning = session.open_and_begin(&ask, start, &who, &member);
    let begun = timeout(patience, beginning).await.unwrap_or(late)?;
    session.stand_alone(begun)?;
    session.begin_pings();
    let body = body_of(&session.mailbox);
    actix_web::rt::spawn(async move {
        let _counted = counted;
        session.send_until_end(pin!(pending())).await;
    });
    Ok(respond(EVENTS).body(body))
}

/// An answer that ends at once and lets an `EventSource` come back later: any other status would
/// make it stop for good.
pub fn come_again<S: Source>(source: &S, why: Disconnect) -> HttpResponse {
    let goodbye = Wire::resumable().goodbye(Codec::Json, why);
    let mut body = retry_event(retry(source.settings())).to_vec();
    body.extend_from_slice(&goodbye);
    respond(EVENTS).body(body)
}

/// How long one who loses its stream waits before it comes back: another time for each.
fn retry(settings: &config::Socket) -> Duration {
    let (min, max) = (settings.sse_retry_min_ms.get(), settings.sse_retry_max_ms.get());
    min + max.saturating_sub(min).mul_f64(rand::rng().random_range(0.0..=1.0))
}
