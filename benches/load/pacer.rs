//! Sends requests at the times they are meant for, whether or not earlier ones are answered, over
//! HTTP connections that are kept. What waits for a connection goes on aging: latencies are from
//! the time a request was meant for, so that no stall hides itself.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::http::{Answer, Http};
use crate::rig::Target;

/// The status of an answer to nothing: no request came in time.
const REQUEST_TIMEOUT: u16 = 408;
/// Longest wait at the end for what is under way.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// What is asked, and what becomes of the answers.
pub(crate) trait Work: Send + Sync + 'static {
    /// The request that is due for this subject; none when it is finished.
    fn request(&self, subject: usize, due: Instant) -> Option<Vec<u8>>;
    /// Its answer; when the subject is due next, if it is.
    fn answered(
        &self,
        subject: usize,
        due: Instant,
        at: Instant,
        answer: &Answer,
    ) -> anyhow::Result<Option<Instant>>;
}

struct Line {
    http: Mutex<Option<Http>>,
    sender: Mutex<Arc<tokio::net::TcpStream>>,
    job: Mutex<Option<Job>>,
}

/// What is asked on a connection.
struct Job {
    subject: usize,
    /// Since when it should have been.
    due: Instant,
    request: Vec<u8>,
    /// The connection had been closed before.
    unsent: bool,
}

#[derive(Default)]
struct Queue {
    /// Soonest first.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    /// By turns, so that none idles for longer than the server lets one.
    idle: VecDeque<usize>,
    under_way: usize,
    /// After it nothing is sent.
    until: Option<Instant>,
    failed: Option<anyhow::Error>,
    ended: bool,
    sent: u64,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    lines: Vec<Line>,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the work until `until`, over `lines` connections; how many requests that were.
pub(crate) async fn pace(
    target: &Target,
    lines: usize,
    work: Arc<dyn Work>,
    due: impl IntoIterator<Item = (Instant, usize)>,
    until: Instant,
) -> anyhow::Result<u64> {
    let mut connections = Vec::with_capacity(lines);
    for _ in 0..lines {
        let http = Http::open(target.address).await?;
        let sender = Mutex::new(http.sender());
        connections.push(Line { http: Mutex::new(Some(http)), sender, job: Mutex::default() });
    }
    let queue = Queue {
        due: due.into_iter().map(Reverse).collect(),
        idle: (0..lines).collect(),
        until: Some(until),
        ..Queue::default()
    };
    let changed = Condvar::new();
    let shared = Arc::new(Shared { queue: Mutex::new(queue), changed, lines: connections });
    let mut readers = JoinSet::new();
    for nth in 0..lines {
        readers.spawn(read(Arc::clone(&shared), nth, Arc::clone(&work), target.address));
    }
    let sending = {
        let (shared, work) = (Arc::clone(&shared), Arc::clone(&work));
        std::thread::Builder::new().name("pacer".to_owned()).spawn(move || send(&shared, &*work))?
    };
    let end = until + LAST_ANSWERS;
    let outcome = loop {
        sleep(Duration::from_millis(10)).await;
        let mut queue = shared.queue();
        if let Some(error) = queue.failed.take() {
            break Err(error);
        }
        let idle = queue.under_way == 0;
        if idle && (Instant::now() >= until || (queue.due.is_empty() && queue.sent > 0)) {
            break Ok(queue.sent);
        }
        if Instant::now() > end {
            break Err(anyhow::anyhow!("{} requests are not answered", queue.under_way));
        }
    };
    shared.queue().ended = true;
    shared.changed.notify_all();
    ensure!(sending.join().is_ok(), "the pacer panicked");
    readers.abort_all();
    outcome
}

/// The thread that sends: the runtime's own timers are too coarse.
fn send(shared: &Shared, work: &dyn Work) {
    let mut queue = shared.queue();
    loop {
        if queue.ended {
            return;
        }
        let now = Instant::now();
        let next = queue.due.peek().map(|Reverse((due, _))| *due);
        let over = queue.until.is_some_and(|until| now >= until || next >= Some(until));
        queue = match next {
            Some(due) if due <= now && !over && !queue.idle.is_empty() => {
                let Some(Reverse((due, subject))) = queue.due.pop() else { continue };
                let Some(line) = queue.idle.pop_front() else { continue };
                queue.under_way += 1;
                queue.sent += 1;
                drop(queue);
                let sent = send_one(shared, work, line, subject, due);
                let mut queue = shared.queue();
                match sent {
                    Ok(true) => {}
                    // Nothing was to be sent.
                    Ok(false) => {
                        queue.under_way -= 1;
                        queue.sent -= 1;
                        queue.idle.push_front(line);
                    }
                    Err(error) => queue.failed = Some(error),
                }
                queue
            }
            Some(due) if due > now && !over => {
                let waited = shared.changed.wait_timeout(queue, due - now);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            _ => {
                let moment = Duration::from_millis(20);
                let waited = shared.changed.wait_timeout(queue, moment);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

fn send_one(
    shared: &Shared,
    work: &dyn Work,
    line: usize,
    subject: usize,
    due: Instant,
) -> anyhow::Result<bool> {
    let Some(request) = work.request(subject, due) else { return Ok(false) };
    put(shared, line, Job { subject, due, request, unsent: false })?;
    Ok(true)
}

/// Notes what is asked on a connection, and sends it.
fn put(shared: &Shared, line: usize, job: Job) -> anyhow::Result<()> {
    let line = shared.lines.get(line).context("a connection")?;
    let sender = Arc::clone(&line.sender.lock().unwrap_or_else(PoisonError::into_inner));
    // Held until all is sent: who reads the answer takes the job.
    let mut asked = line.job.lock().unwrap_or_else(PoisonError::into_inner);
    let job = asked.insert(job);
    let mut rest = job.request.as_slice();
    while !rest.is_empty() {
        match sender.try_write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            // Only while the kernel has no room: one request a connection is far below that.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::yield_now();
            }
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                // Who reads finds that out, and asks on another.
                job.unsent = true;
                break;
            }
            Err(error) => return Err(error).context("sending a request"),
        }
    }
    Ok(())
}

async fn read(shared: Arc<Shared>, nth: usize, work: Arc<dyn Work>, address: SocketAddr) {
    let Some(line) = shared.lines.get(nth) else { return };
    let Some(mut http) = line.http.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        return;
    };
    loop {
        let answer = http.answer().await;
        let at = Instant::now();
        let job = line.job.lock().unwrap_or_else(PoisonError::into_inner).take();
        let next = match (answer, job) {
            // It was given up as idle while this was on its way, and nobody has read it.
            (answer, Some(job)) if job.unsent || is_given_up(&answer) => {
                match again(&shared, nth, job, address).await {
                    Ok(fresh) => {
                        http = fresh;
                        continue;
                    }
                    Err(error) => Err(error),
                }
            }
            (Ok(answer), Some(Job { subject, due, .. })) => work
                .answered(subject, due, at, &answer)
                .map(|next| next.map(|next| Reverse((next, subject)))),
            // It has idled for as long as the server lets one: another takes its place.
            (_, None) => match renew(&shared, nth, address).await {
                Ok(fresh) => {
                    http = fresh;
                    continue;
                }
                Err(error) => Err(error),
            },
            (Err(error), Some(_)) => Err(error),
        };
        let mut queue = shared.queue();
        queue.under_way = queue.under_way.saturating_sub(1);
        match next {
            Ok(next) => {
                queue.due.extend(next);
                queue.idle.push_back(nth);
            }
            Err(error) => {
                queue.failed.get_or_insert(error);
                return;
            }
        }
        drop(queue);
        shared.changed.notify_one();
    }
}

/// Whether the server has closed the connection before it read a request.
fn is_given_up(answer: &anyhow::Result<Answer>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.status == REQUEST_TIMEOUT)
}

/// Another connection in place of one that idles, or that is just to be used: what is asked on it
/// is then asked on the new one.
async fn renew(shared: &Shared, nth: usize, address: SocketAddr) -> anyhow::Result<Http> {
    loop {
        {
            let mut queue = shared.queue();
            if let Some(place) = queue.idle.iter().position(|line| *line == nth) {
                queue.idle.remove(place);
                break;
            }
        }
        let line = shared.lines.get(nth).context("a connection")?;
        let job = line.job.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(job) = job {
            return again(shared, nth, job, address).await;
        }
        // The pacer has taken it a moment ago, and has not said yet for what.
        tokio::task::yield_now().await;
    }
    let http = reopen(shared, nth, address).await?;
    shared.queue().idle.push_back(nth);
    Ok(http)
}

async fn reopen(shared: &Shared, nth: usize, address: SocketAddr) -> anyhow::Result<Http> {
    let http = Http::open(address).await?;
    let line = shared.lines.get(nth).context("a connection")?;
    *line.sender.lock().unwrap_or_else(PoisonError::into_inner) = http.sender();
    Ok(http)
}

/// Asks the same over another connection.
async fn again(shared: &Shared, nth: usize, job: Job, address: SocketAddr) -> anyhow::Result<Http> {
    let http = reopen(shared, nth, address).await?;
    put(shared, nth, job)?;
    Ok(http)
}
