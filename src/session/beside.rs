//! Calls of one connection that are carried out side by side.
//!
//! What a client asks takes effect in the order in which it asked. But a call that waits for its
//! commit need not hold up another one that has nothing to do with it: the [`Source`] says what a
//! call is about, its lane. Calls of one lane follow each other; one without a lane, and every
//! other command, waits until all calls before it have ended, and is then carried out alone.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

use super::source::Known;
use super::{Session, Source};
use crate::protocol::{ErrorReply, RawJson, Reply};

/// The lanes that are taken. Boxed at the first call, as most connections only listen.
#[derive(Debug, Default)]
pub(super) struct Beside(OnceCell<Box<Lanes>>);

#[derive(Debug, Default)]
struct Lanes {
    taken: RefCell<Vec<u64>>,
    /// Rung when one is free again.
    freed: Notify,
}

impl Beside {
    /// Waits until no call is under way.
    pub(super) async fn ended(&self) {
        let Some(lanes) = self.0.get() else { return };
        lanes.until(<[u64]>::is_empty).await;
    }

    /// Waits until this lane is free and fewer than `most` are taken, and takes it.
    async fn take(&self, lane: u64, most: usize) {
        let lanes = self.0.get_or_init(Box::default);
        lanes.until(|taken| taken.len() < most && !taken.contains(&lane)).await;
        lanes.taken.borrow_mut().push(lane);
    }

    fn free(&self, lane: u64) {
        let Some(lanes) = self.0.get() else { return };
        lanes.taken.borrow_mut().retain(|it| *it != lane);
        lanes.freed.notify_one();
    }
}

impl Lanes {
    /// The reader alone waits, so one ring is heard or kept.
    async fn until(&self, enough: impl Fn(&[u64]) -> bool) {
        while !enough(&self.taken.borrow()) {
            self.freed.notified().await;
        }
    }
}

/// A call under way; its lane is free again when it has ended, however it did.
struct UnderWay<S: Source> {
    session: Rc<Session<S>>,
    lane: u64,
}

impl<S: Source> Drop for UnderWay<S> {
    fn drop(&mut self) {
        self.session.beside.free(self.lane);
    }
}

impl<S: Source> Session<S> {
    /// Calls a method. Beside others, if it has a lane; then only its turn is waited for, and its
    /// answer follows when it has ended, however the connection fares meanwhile.
    pub(super) async fn call(
        self: &Rc<Self>,
        id: u32,
        who: &Known<S>,
        method: String,
        data: Option<Box<RawJson>>,
    ) {
        let Some(lane) = self.source.lane(&method, data.as_deref()) else {
            self.beside.ended().await;
            let answer = self.source.call(who, &method, data.as_deref()).await;
            self.answer(id, answer);
            return;
        };
        self.beside.take(lane, self.source.settings().calls_beside_max).await;
        let under_way = UnderWay { session: Rc::clone(self), lane };
        let who = Rc::clone(who);
        actix_web::rt::spawn(async move {
            let session = &under_way.session;
            let answer = session.source.call(&who, &method, data.as_deref()).await;
            session.answer(id, answer);
        });
    }

    fn answer(&self, id: u32, answer: Result<Box<RawJson>, ErrorReply<'static>>) {
        match answer {
            Ok(data) => self.reply(id, &Reply::Rpc { data: &data }),
            Err(error) => self.refuse(id, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn a_lane_is_taken_by_one_call_and_so_many_at_once() {
        let beside = Beside::default();
        beside.ended().await;
        beside.take(1, 2).await;
        {
            let mut same = std::pin::pin!(beside.take(1, 2));
            assert!(poll!(&mut same).is_pending());
            beside.free(1);
            same.await;
        }
        beside.take(2, 2).await;
        {
            let mut third = std::pin::pin!(beside.take(3, 2));
            assert!(poll!(&mut third).is_pending());
            beside.free(1);
            third.await;
        }
        let mut ended = std::pin::pin!(beside.ended());
        assert!(poll!(&mut ended).is_pending());
        beside.free(3);
        assert!(poll!(&mut ended).is_pending());
        beside.free(2);
        ended.await;
    }
}
