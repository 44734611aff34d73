//! Calls of one connection that are carried out side by side.
//!
//! What a client asks takes effect, and is answered, in the order in which it asked. But a call
//! that waits for its commit need not hold up another one that has nothing to do with it: the
//! [`Source`] says what a call is about, its lane. Calls of one lane follow each other; one without
//! a lane, and every other command, waits until all calls before it have been answered, and is then
//! carried out alone.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;

use super::source::Known;
use super::{Session, Source};
use crate::protocol::{ErrorReply, RawJson, Reply};

/// The calls that are not yet answered. Boxed at the first, as most connections only listen.
#[derive(Debug, Default)]
pub(super) struct Beside(OnceCell<Box<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    /// In the order in which they were asked for.
    queue: RefCell<VecDeque<Call>>,
    /// The number of the first of them.
    first: Cell<u64>,
    /// Rung when there are fewer, or a lane is free again.
    fewer: Notify,
}

#[derive(Debug)]
enum Call {
    /// In this lane.
    UnderWay(u64),
    /// This is its reply; empty if there is none.
    Ended(Vec<u8>),
}

impl Beside {
    /// Waits until all calls have been answered.
    pub(super) async fn answered(&self) {
        let Some(calls) = self.0.get() else { return };
        calls.until(VecDeque::is_empty).await;
    }

    /// Waits until this lane is free and fewer than `most` calls are unanswered; the number of the
    /// call that has the lane now.
    async fn take(&self, lane: u64, most: usize) -> u64 {
        let calls = self.0.get_or_init(Box::default);
        let taken = |call: &Call| matches!(call, Call::UnderWay(its) if *its == lane);
        calls.until(|calls| calls.len() < most && !calls.iter().any(taken)).await;
        let mut queue = calls.queue.borrow_mut();
        queue.push_back(Call::UnderWay(lane));
        calls.first.get() + queue.len() as u64 - 1
    }

    /// The call has ended with this reply; the replies that may be sent now, in order.
    fn end(&self, number: u64, reply: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(calls) = self.0.get() else { return Vec::new() };
        let mut queue = calls.queue.borrow_mut();
        let place = usize::try_from(number.wrapping_sub(calls.first.get())).unwrap_or(usize::MAX);
        if let Some(call @ Call::UnderWay(_)) = queue.get_mut(place) {
            *call = Call::Ended(reply);
        }
        let mut replies = Vec::new();
        while let Some(Call::Ended(reply)) = queue.front_mut() {
            replies.push(std::mem::take(reply));
            queue.pop_front();
            calls.first.set(calls.first.get() + 1);
        }
        calls.fewer.notify_one();
        replies
    }
}

impl Calls {
    /// The reader alone waits, so one ring is heard or kept.
    async fn until(&self, enough: impl Fn(&VecDeque<Call>) -> bool) {
        while !enough(&self.queue.borrow()) {
            self.fewer.notified().await;
        }
    }
}

/// A call under way. It ends with its reply, or without when it breaks off: the others go on.
struct UnderWay<S: Source> {
    session: Rc<Session<S>>,
    number: u64,
    reply: Vec<u8>,
}

impl<S: Source> UnderWay<S> {
    fn end(mut self, reply: Vec<u8>) {
        self.reply = reply;
    }
}

impl<S: Source> Drop for UnderWay<S> {
    fn drop(&mut self) {
        let replies = self.session.beside.end(self.number, std::mem::take(&mut self.reply));
        self.session.send_all(replies.iter().filter(|reply| !reply.is_empty()));
    }
}

impl<S: Source> Session<S> {
    /// Calls a method. Beside others, if it has a lane; then only its turn is waited for, and its
    /// answer follows when it and all before it have ended.
    pub(super) async fn call(
        self: &Rc<Self>,
        id: u32,
        who: &Known<S>,
        method: String,
        data: Option<Box<RawJson>>,
    ) {
        let Some(lane) = self.source.lane(&method, data.as_deref()) else {
            self.beside.answered().await;
            let answer = self.source.call(who, &method, data.as_deref()).await;
            self.send(&self.answer(id, answer));
            return;
        };
        let number = self.beside.take(lane, self.source.settings().calls_beside_max).await;
        let under_way = UnderWay { session: Rc::clone(self), number, reply: Vec::new() };
        let who = Rc::clone(who);
        actix_web::rt::spawn(async move {
            let session = &under_way.session;
            let answer = session.source.call(&who, &method, data.as_deref()).await;
            let reply = session.answer(id, answer);
            under_way.end(reply);
        });
    }

    fn answer(&self, id: u32, answer: Result<Box<RawJson>, ErrorReply<'static>>) -> Vec<u8> {
        match answer {
            Ok(data) => self.encoded(id, &Reply::Rpc { data: &data }),
            Err(error) => self.encoded(id, &Reply::Error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn calls_are_answered_in_order_however_they_end() {
        let beside = Beside::default();
        beside.answered().await;
        let mut numbers = Vec::new();
        for lane in [7, 8, 9, 10] {
            numbers.push(beside.take(lane, 4).await);
        }
        assert_eq!(numbers, [0, 1, 2, 3]);
        let reply = |word: &str| word.as_bytes().to_vec();
        assert!(beside.end(1, reply("second")).is_empty());
        assert!(beside.end(2, Vec::new()).is_empty());
        let mut answered = std::pin::pin!(beside.answered());
        assert!(poll!(&mut answered).is_pending());
        assert_eq!(beside.end(0, reply("first")), [reply("first"), reply("second"), vec![]]);
        assert!(poll!(&mut answered).is_pending());
        assert_eq!(beside.end(3, reply("last")), [reply("last")]);
        answered.await;
        assert_eq!(beside.take(7, 4).await, 4);
    }

    #[tokio::test]
    async fn a_lane_is_taken_by_one_call_and_so_many_wait_for_answers() {
        let beside = Beside::default();
        let first = beside.take(1, 2).await;
        let second = {
            let mut same = std::pin::pin!(beside.take(1, 2));
            assert!(poll!(&mut same).is_pending());
            beside.end(first, Vec::new());
            same.await
        };
        let third = beside.take(2, 2).await;
        let mut fourth = std::pin::pin!(beside.take(3, 2));
        assert!(poll!(&mut fourth).is_pending());
        // Its answer waits for the one before it, and counts until then.
        beside.end(third, Vec::new());
        assert!(poll!(&mut fourth).is_pending());
        beside.end(second, Vec::new());
        assert_eq!(fourth.await, 3);
    }
}
