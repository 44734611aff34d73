//! The frames that wait for one socket.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker};

use actix_rt::net::TcpStream;
use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::news::Bearer;
use crate::protocol::Codec;
use crate::protocol::code::Disconnect;
use crate::telemetry::metrics;
use crate::wire::Wire;

/// Frames handed to the kernel by one call; Linux takes up to 1,024.
const FRAMES_PER_WRITE: usize = 64;

/// Bytes handed to an HTTP answer at once; one frame may be longer.
const CHUNK_BYTES: usize = 16 * 1024;

/// What a frame that passes is about, and for which listener: a newer one takes its place.
type Place = (u128, usize);

/// Where the frames of a mailbox go.
#[derive(Debug)]
pub enum Outlet {
    /// A socket, which is written whenever it takes something.
    Socket(TcpStream),
    /// The body of an HTTP answer, which asks by [`Mailbox::poll_chunk`].
    Body,
}

/// One session's way out and the frames waiting for it, oldest first.
///
/// Invariants: `bytes` is what is yet to be written of `frames`, and `answers` is no more; once
/// `ended` is set it stays set, and only the close frame is queued after it.
///
/// The limit is for publications: a snapshot longer than it says nothing about its reader. It
/// is bytes rather than frames because memory is what a stalled phone costs us.
/// Filling up ends the session (3008, slow) and drops no frame silently: on reconnect the
/// subscriber recovers from its last offset, so it may be late but never has a gap.
#[derive(Debug)]
pub struct Mailbox {
    outlet: Outlet,
    wire: Wire,
    codec: Codec,
    limit: usize,
    queue: RefCell<Queue>,
    /// Set while the mailbox is on its hub's list of those to be written.
    touched: Cell<bool>,
    ended: Cell<Option<Disconnect>>,
    /// The socket is gone; nothing can be written any more.
    broken: Cell<bool>,
    /// Rung when the session's own task must act: the socket is full, or the session has ended.
    wake: Notify,
    /// Rung when a body has taken something.
    taken: Notify,
    /// Who waits for the next chunk of a body.
    reader: RefCell<Option<Waker>>,
    /// The credential that its session stands on.
    bearer: Cell<Option<Bearer>>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    /// Bytes of the first frame that the kernel has taken.
    written: usize,
    bytes: usize,
    /// How many of `bytes` answers may account for: never more than all of them.
    answers: usize,
    /// The number of the first frame, counted over the life of the mailbox.
    first: u64,
    /// The number of the newest frame of each place. It may be gone by now, and is forgotten as
    /// soon as nothing waits.
    passing: Option<HashMap<Place, u64>>,
}

impl Queue {
    fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    /// Bytes of publications.
    fn published(&self) -> usize {
        self.bytes - self.answers
    }

    fn took(&mut self, mut count: usize) {
        self.bytes = self.bytes.saturating_sub(count);
        self.answers = self.answers.min(self.bytes);
        count += self.written;
        while let Some(first) = self.frames.front() {
            if count < first.len() {
                break;
            }
            count -= first.len();
            self.frames.pop_front();
            self.first += 1;
        }
        self.written = count;
        self.trim();
    }

    /// Forgets the places of what has left, and frames whose place another has taken.
    fn trim(&mut self) {
        while self.frames.front().is_some_and(Bytes::is_empty) {
            self.frames.pop_front();
            self.first += 1;
        }
        if self.frames.is_empty() {
            // An idle socket holds no queue.
            self.frames = VecDeque::new();
            self.passing = None;
        }
    }

    /// Takes away what waits of a place. It does not go on in that place, but behind all that
    /// waits: what came in between may be what makes the newer one right.
    fn let_go(&mut self, place: Place) {
        let number = self.passing.as_ref().and_then(|passing| passing.get(&place));
        let nth = number.and_then(|number| number.checked_sub(self.first));
        let Some(nth) = nth.and_then(|nth| usize::try_from(nth).ok()) else { return };
        // The kernel has a part of it.
        if nth == 0 && self.written > 0 {
            return;
        }
        if let Some(frame) = self.frames.get_mut(nth) {
            self.bytes -= frame.len();
            *frame = Bytes::new();
            self.trim();
        }
    }
}

impl Mailbox {
    /// A mailbox in which at most `limit` bytes of publications wait.
    pub fn new(outlet: Outlet, wire: Wire, codec: Codec, limit: usize) -> Self {
        Self {
            outlet,
            wire,
            codec,
            limit,
            queue: RefCell::default(),
            touched: Cell::new(false),
            ended: Cell::new(None),
            broken: Cell::new(false),
            wake: Notify::new(),
            taken: Notify::new(),
            reader: RefCell::new(None),
            bearer: Cell::new(None),
        }
    }

    /// The socket, for reading, if there is one.
    pub const fn stream(&self) -> Option<&TcpStream> {
        match &self.outlet {
            Outlet::Socket(stream) => Some(stream),
            Outlet::Body => None,
        }
    }

    /// The way its messages go.
    pub const fn wire(&self) -> &Wire {
        &self.wire
    }

    /// How its messages are written.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The credential that its session stands on, once known.
    pub const fn bearer(&self) -> Option<Bearer> {
        self.bearer.get()
    }

    /// Says which credential its session stands on from now on.
    pub fn bear(&self, bearer: Option<Bearer>) {
        self.bearer.set(bearer);
    }

    /// Why the session ends, once it does.
    pub const fn ended(&self) -> Option<Disconnect> {
        self.ended.get()
    }

    /// Whether the socket is gone.
    pub const fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Queues a publication. False when it was not queued: the session has ended, or ends now
    /// because too much waits already.
    pub(super) fn push(&self, frame: Bytes) -> bool {
        if self.ended.get().is_some() {
            return false;
        }
        let frame = self.wire.carry(self.codec, frame);
        let mut queue = self.queue.borrow_mut();
        // An answer on its way says nothing about its reader: a snapshot alone may be larger than
        // the limit, and whoever was ended for it would ask for it again.
        if queue.published() + frame.len() > self.limit {
            drop(queue);
            self.end(Disconnect::SLOW);
            return false;
        }
        queue.push(frame);
        true
    }

    /// Queues what passes, instead of an older one that waits for the same place. False when it was
    /// not queued: the session has ended, or too much waits already. What passes takes at most half
    /// of the room, so no event is ever without room for its sake.
    pub(super) fn pass(&self, place: Place, frame: Bytes) -> bool {
        if self.ended.get().is_some() {
            return false;
        }
        let frame = self.wire.carry(self.codec, frame);
        let mut queue = self.queue.borrow_mut();
        queue.let_go(place);
        if queue.published() + frame.len() > self.limit / 2 {
            return false;
        }
        let number = queue.first + queue.frames.len() as u64;
        queue.passing.get_or_insert_default().insert(place, number);
        queue.push(frame);
        true
    }

    /// Queues what answers a command, whatever waits: one command at a time is answered, and the
    /// next is not read before [`Mailbox::roomy`].
    pub fn answer(&self, frame: Bytes) {
        if self.ended.get().is_none() {
            let frame = self.wire.carry(self.codec, frame);
            let mut queue = self.queue.borrow_mut();
            queue.answers += frame.len();
            queue.push(frame);
        }
    }

    /// The same for bytes that are no message and go out as they are, such as a pong.
    pub fn answer_as_it_is(&self, frame: Bytes) {
        if self.ended.get().is_none() {
            let mut queue = self.queue.borrow_mut();
            queue.answers += frame.len();
            queue.push(frame);
        }
    }

    /// Whether another command may be taken.
    pub fn roomy(&self) -> bool {
        self.queue.borrow().bytes <= self.limit
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.borrow().frames.is_empty()
    }

    /// Ends the session: a close frame is the last that is queued. A slow one loses what waits,
    /// as it could not be sent anyway; others are sent theirs first.
    pub fn end(&self, disconnect: Disconnect) {
        if self.ended.get().is_some() {
            return;
        }
        self.ended.set(Some(disconnect));
        let mut queue = self.queue.borrow_mut();
        if disconnect.code == Disconnect::SLOW.code {
            // A frame that the kernel has a part of must be finished: what follows would
            // otherwise be read as its rest.
            let keep = usize::from(queue.written > 0);
            queue.frames.truncate(keep);
            queue.bytes = queue.frames.front().map_or(0, |first| first.len() - queue.written);
            queue.answers = 0;
        }
        queue.push(self.wire.goodbye(self.codec, disconnect));
        drop(queue);
        self.wake.notify_one();
        self.wake_reader();
    }

    /// Queues a frame that answers the peer's own close.
    pub fn end_with(&self, frame: Bytes, disconnect: Disconnect) {
        if self.ended.get().is_none() {
            self.queue.borrow_mut().push(frame);
            self.end_as_it_is(disconnect);
        }
    }

    /// Ends the session without a word: the last that is queued has said why.
    pub fn end_as_it_is(&self, disconnect: Disconnect) {
        if self.ended.get().is_none() {
            self.ended.set(Some(disconnect));
            self.wake.notify_one();
            self.wake_reader();
        }
    }

    /// Puts it on the list of those to be written; false when it is there already.
    pub(super) fn touch(&self) -> bool {
        !self.touched.replace(true)
    }

    /// Writes what waits, as far as the kernel takes it. When it takes no more, the session's
    /// own task is woken to wait for it.
    pub fn flush(&self) {
        self.touched.set(false);
        let Outlet::Socket(stream) = &self.outlet else {
            self.wake_reader();
            return;
        };
        if let Err(error) = self.try_write(stream) {
            if error.kind() != io::ErrorKind::WouldBlock {
                self.broken.set(true);
            }
            self.wake.notify_one();
        }
    }

    fn wake_reader(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn try_write(&self, stream: &TcpStream) -> io::Result<()> {
        let mut queue = self.queue.borrow_mut();
        while let Some(first) = queue.frames.front() {
            let written = if queue.frames.len() == 1 {
                stream.try_write(first.get(queue.written..).unwrap_or_default())?
            } else {
                let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
                let mut skip = queue.written;
                let mut count = 0;
                for (slice, frame) in slices.iter_mut().zip(&queue.frames) {
                    *slice = IoSlice::new(frame.get(skip..).unwrap_or_default());
                    skip = 0;
                    count += 1;
                }
                stream.try_write_vectored(slices.get(..count).unwrap_or_default())?
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            metrics().wrote();
            queue.took(written);
        }
        Ok(())
    }

    /// Writes whenever the socket takes something again, until the session has ended or the
    /// socket is gone. The session's own task runs this.
    pub async fn serve(&self) {
        while self.ended.get().is_none() && !self.broken.get() {
            match &self.outlet {
                Outlet::Socket(stream) if !self.is_empty() => tokio::select! {
                    // Ended, while the socket takes nothing.
                    () = self.wake.notified() => {}
                    // Boxed: seldom, and idle sessions should not carry the room for it.
                    () = Box::pin(self.write_on(stream)) => {}
                },
                Outlet::Socket(_) | Outlet::Body => self.wake.notified().await,
            }
        }
    }

    /// Waits until another command may be taken, or there is nobody to answer.
    pub async fn room(&self) {
        self.emptied_to(|mailbox| mailbox.roomy() || mailbox.ended().is_some()).await;
    }

    /// Writes all that waits, the close frame last; until then, or until the socket is gone.
    pub async fn finish(&self) {
        self.emptied_to(Self::is_empty).await;
    }

    async fn emptied_to(&self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) && !self.broken.get() {
            match &self.outlet {
                Outlet::Socket(stream) => self.write_on(stream).await,
                Outlet::Body => self.taken.notified().await,
            }
        }
    }

    async fn write_on(&self, stream: &TcpStream) {
        let written = match stream.writable().await {
            Ok(()) => self.try_write(stream),
            Err(error) => Err(error),
        };
        if let Err(error) = written
            && error.kind() != io::ErrorKind::WouldBlock
        {
            self.broken.set(true);
        }
    }

    /// The next chunk of a body; none once the session has ended and all is taken.
    pub fn poll_chunk(&self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut queue = self.queue.borrow_mut();
        let Some(first) = queue.frames.pop_front() else {
            if self.ended.get().is_some() {
                return Poll::Ready(None);
            }
            self.reader.replace(Some(context.waker().clone()));
            return Poll::Pending;
        };
        let mut length = first.len();
        let more = queue.frames.iter().take_while(|frame| {
            length += frame.len();
            length <= CHUNK_BYTES
        });
        let more = more.count();
        let taken = more + 1;
        let chunk = match more {
            0 => first,
            more => {
                let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
                chunk.extend_from_slice(&first);
                queue.frames.drain(..more).for_each(|frame| chunk.extend_from_slice(&frame));
                chunk.freeze()
            }
        };
        queue.first += taken as u64;
        queue.trim();
        queue.bytes = queue.bytes.saturating_sub(chunk.len());
        queue.answers = queue.answers.min(queue.bytes);
        drop(queue);
        self.taken.notify_one();
        Poll::Ready(Some(chunk))
    }

    /// The reader of a body is gone.
    pub fn hang_up(&self) {
        self.broken.set(true);
        self.wake.notify_one();
        self.taken.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    const LIMIT: usize = 16_384;
    /// More than the kernel takes before the peer reads.
    const SNAPSHOT: usize = 16 * 1_024 * 1_024;

    async fn pair() -> (Mailbox, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (Mailbox::new(Outlet::Socket(stream), Wire::Socket, Codec::Json, LIMIT), peer)
    }

    #[actix_web::test]
    async fn an_answer_on_its_way_does_not_make_its_reader_slow() {
        let (mailbox, mut peer) = pair().await;
        mailbox.answer(Bytes::from(vec![b'a'; SNAPSHOT]));
        mailbox.flush();
        assert!(mailbox.push(Bytes::from_static(b"event")), "{:?}", mailbox.ended());
        let mut heard = vec![0; SNAPSHOT + 5];
        let ((), read) = tokio::join!(mailbox.finish(), peer.read_exact(&mut heard));
        read.unwrap();
        assert!(heard.ends_with(b"aevent"));
    }

    #[actix_web::test]
    async fn publications_behind_an_answer_keep_their_bound() {
        let (mailbox, _peer) = pair().await;
        mailbox.answer(Bytes::from(vec![b'a'; SNAPSHOT]));
        mailbox.flush();
        let event = || Bytes::from(vec![b'e'; LIMIT / 4]);
        assert!((0..4).all(|_| mailbox.push(event())));
        assert!(!mailbox.push(event()));
        assert_eq!(mailbox.ended(), Some(Disconnect::SLOW));
    }

    #[actix_web::test]
    async fn what_passes_takes_the_place_of_what_waits_and_goes_behind_all_others() {
        let mailbox = Mailbox::new(Outlet::Body, Wire::Socket, Codec::Json, LIMIT);
        let text = |text: &'static str| Bytes::from_static(text.as_bytes());
        let (one, other) = ((1, 1), (2, 1));
        assert!(mailbox.pass(one, text("a1 ")) && mailbox.pass(other, text("b1 ")));
        assert!(mailbox.push(text("event ")));
        assert!(mailbox.pass(one, text("a2 ")) && mailbox.pass(one, text("a3 ")));
        let mut heard = Vec::new();
        let take = |heard: &mut Vec<u8>| {
            while let Poll::Ready(Some(chunk)) =
                mailbox.poll_chunk(&Context::from_waker(Waker::noop()))
            {
                assert!(!chunk.is_empty());
                heard.extend_from_slice(&chunk);
            }
        };
        take(&mut heard);
        assert_eq!(heard, b"b1 event a3 ");
        assert!(mailbox.is_empty() && mailbox.queue.borrow().bytes == 0);
        // What has left is not looked for.
        assert!(mailbox.push(text("event ")) && mailbox.pass(one, text("a4 ")));
        take(&mut heard);
        assert_eq!(heard, b"b1 event a3 event a4 ");
    }

    #[actix_web::test]
    async fn what_passes_leaves_room_for_events_and_ends_nobody() {
        let (mailbox, mut peer) = pair().await;
        mailbox.answer(Bytes::from(vec![b'a'; SNAPSHOT]));
        mailbox.flush();
        let point = || Bytes::from(vec![b'p'; LIMIT / 8]);
        let places = (0..100).map(|nth| (nth, 1));
        assert_eq!(places.filter(|place| mailbox.pass(*place, point())).count(), 4);
        assert!(mailbox.pass((3, 1), point()), "it takes its own place");
        let event = || Bytes::from(vec![b'e'; LIMIT / 8]);
        assert!((0..4).all(|_| mailbox.push(event())) && mailbox.ended().is_none());
        let mut heard = vec![0; SNAPSHOT + LIMIT];
        let ((), read) = tokio::join!(mailbox.finish(), peer.read_exact(&mut heard));
        read.unwrap();
        let (points, events) = heard.split_at(SNAPSHOT).1.split_at(LIMIT / 2);
        assert!(points.iter().all(|byte| *byte == b'p'));
        assert!(events.iter().all(|byte| *byte == b'e'));
    }
}
