//! Who is there, over all processes.
//!
//! Each process knows its own members ([`hub::Presence`](crate::hub::Presence)) and answers from
//! memory. While others live as well it keeps a copy of them in the database, a little behind,
//! where the others look; and who came or went is told to them by notification, so that those
//! who want to hear it do, wherever they are connected.
//!
//! Invariants: the copy is of members alone, never of the log, and nothing durable depends on it.
//! A process that dies is believed for `ALIVE` at most. What could not be written is written
//! anew as a whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use crate::hub::{Hubs, Member, Message, Move, Presence, Publication, Topic};
use crate::store::{Database, Error, MemberRow};

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(5);
/// How long a process is believed to live: two signs may be lost.
const ALIVE: Duration = Duration::from_secs(15);
/// After which a process is forgotten with its members.
const SILENT: Duration = Duration::from_mins(1);
/// Moves written at once, and between two writes: 4,000 a second, so that a herd that comes back
/// leaves the database to those who recover.
const FLUSH_LEN: usize = 1_000;
const FLUSH_EVERY: Duration = Duration::from_millis(250);
/// Bytes of one notification; PostgreSQL allows fewer than 8,000.
const PAYLOAD_BYTES: usize = 7_900;

/// What a process tells the others, and asks them.
#[derive(Debug)]
pub struct Attendance {
    database: Database,
    process: Uuid,
    others: AtomicBool,
}

impl Attendance {
    /// A process that knows of no other yet.
    pub fn new(database: Database) -> Self {
        Self { database, process: Uuid::new_v4(), others: AtomicBool::new(false) }
    }

    /// Who is on the topics at other processes, at most `limit`. No question is asked while there
    /// is no other process.
    pub async fn elsewhere(&self, topics: &[Topic], limit: u32) -> Result<Vec<Arc<Member>>, Error> {
        if !self.others.load(Ordering::Relaxed) {
            return Ok(vec![]);
        }
        let channels: Vec<String> = topics.iter().map(ToString::to_string).collect();
        let rows = self.database.list_members(self.process, &channels, ALIVE, limit).await?;
        Ok(rows.into_iter().map(|row| Arc::new(member(row))).collect())
    }

    /// The process ends: its members are forgotten.
    pub async fn end(&self) {
        if self.others.load(Ordering::Relaxed)
            && let Err(error) = self.database.delete_process(self.process).await
        {
            tracing::debug!(%error, "the members of this process are left to be forgotten");
        }
    }
}

fn member(row: MemberRow) -> Member {
    let conn_info = row.info.and_then(|info| RawValue::from_string(info).ok());
    Member { client: row.client.to_string(), user: row.user, conn_info, chan_info: None }
}

/// A move as processes tell each other.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    channel: String,
    client: Uuid,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Box<RawValue>>,
    joined: bool,
}

#[derive(Serialize)]
struct Telling<'a> {
    process: Uuid,
    moves: &'a [Box<RawValue>],
}

#[derive(Deserialize)]
struct Heard {
    process: Uuid,
    moves: Vec<Told>,
}

/// Keeps the attendance of a process.
#[derive(Debug)]
pub struct Keeper {
    attendance: Arc<Attendance>,
    presence: Arc<Presence<Topic>>,
    hubs: Hubs<Publication>,
    /// The newest move of each connection on each channel that is not written yet.
    pending: HashMap<(Topic, String), Move<Topic>>,
    /// Whether the database knows all but what is pending.
    is_copied: bool,
}

impl Keeper {
    /// A keeper that has written nothing yet.
    pub fn new(
        attendance: Arc<Attendance>,
        presence: Arc<Presence<Topic>>,
        hubs: Hubs<Publication>,
    ) -> Self {
        Self { attendance, presence, hubs, pending: HashMap::new(), is_copied: false }
    }

    /// Runs for the life of the process: `moves` are its own, `told` what others tell.
    pub async fn run(
        mut self,
        mut moves: mpsc::Receiver<Move<Topic>>,
        mut told: mpsc::Receiver<String>,
    ) {
        let mut beat = interval(BEAT);
        let mut flush = interval(FLUSH_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forgotten = Instant::now();
        loop {
            tokio::select! {
                Some(newest) = moves.recv() => {
                    self.hubs.send(&Message::Moved(newest.clone())).await;
                    if self.is_copied {
                        let key = (newest.topic, newest.member.client.clone());
                        self.pending.insert(key, newest);
                    }
                }
                Some(text) = told.recv() => self.hear(&text).await,
                _ = beat.tick() => {
                    let forgets = forgotten.elapsed() >= SILENT;
                    if forgets {
                        forgotten = Instant::now();
                    }
                    self.live(forgets).await;
                }
                _ = flush.tick(), if !self.pending.is_empty() => {
                    if let Err(error) = self.write().await {
                        self.lose(&error);
                    }
                }
            }
        }
    }

    fn lose(&mut self, error: &Error) {
        tracing::debug!(%error, "who is there could not be told to other processes");
        self.is_copied = false;
        self.pending.clear();
    }

    /// Says that this process lives, looks for others, and begins or ends to keep the copy.
    async fn live(&mut self, forgets: bool) {
        let Attendance { database, process, .. } = &*self.attendance;
        let lived = async {
            if forgets {
                database.delete_silent_processes(SILENT).await?;
            }
            let seen = database.upsert_process(*process, ALIVE).await?;
            if seen.others > 0 && !seen.is_new && !self.is_copied {
                // What was written before it was lost may be wrong by now.
                database.delete_process(*process).await?;
                database.upsert_process(*process, ALIVE).await?;
            }
            Ok(seen)
        };
        match lived.await {
            Ok(seen) if seen.others == 0 => {
                self.attendance.others.store(false, Ordering::Relaxed);
                self.is_copied = false;
                self.pending.clear();
            }
            Ok(seen) => {
                if seen.is_new || !self.is_copied {
                    self.is_copied = true;
                    let all = self.presence.all().into_iter();
                    self.pending = all
                        .map(|moved| ((moved.topic, moved.member.client.clone()), moved))
                        .collect();
                }
                self.attendance.others.store(true, Ordering::Relaxed);
            }
            Err(error) => self.lose(&error),
        }
    }

    /// Writes some of what is pending, and tells the other processes.
    async fn write(&mut self) -> Result<(), Error> {
        let Attendance { database, process, .. } = &*self.attendance;
        let keys: Vec<_> = self.pending.keys().take(FLUSH_LEN).cloned().collect();
        let moves: Vec<_> = keys.iter().filter_map(|key| self.pending.remove(key)).collect();
        let (mut came, mut went, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for Move { topic, member, joined } in &moves {
            let Ok(client) = member.client.parse::<Uuid>() else { continue };
            let (channel, user) = (topic.to_string(), member.user.clone());
            if *joined {
                let info = member.conn_info.as_ref().map(|info| info.get().to_owned());
                let (channel, user) = (channel.clone(), user.clone());
                came.push(MemberRow { channel, client, user, info });
            } else {
                went.push((channel.clone(), client));
            }
            let info = member.conn_info.clone();
            told.push(Told { channel, client, user, info, joined: *joined });
        }
        if !went.is_empty() {
            database.delete_members(*process, &went).await?;
        }
        if !came.is_empty() {
            database.insert_members(*process, &came).await?;
        }
        database.notify_moves(&payloads(*process, &told)).await
    }

    /// Tells the hubs what another process told.
    async fn hear(&self, text: &str) {
        let Ok(heard) = serde_json::from_str::<Heard>(text) else {
            tracing::warn!("another process told who is there in words that are not ours");
            return;
        };
        if heard.process == self.attendance.process {
            return;
        }
        for Told { channel, client, user, info, joined } in heard.moves {
            let Some(topic) = Topic::find(&channel) else { continue };
            let client = client.to_string();
            let member = Arc::new(Member { client, user, conn_info: info, chan_info: None });
            self.hubs.send(&Message::Moved(Move { topic, member, joined })).await;
        }
    }
}

/// The moves as notifications, each short enough. One that alone is too long is not told.
fn payloads(process: Uuid, told: &[Told]) -> Vec<String> {
    let write = |moves: &[Box<RawValue>]| {
        serde_json::to_string(&Telling { process, moves }).unwrap_or_default()
    };
    let mut payloads = Vec::new();
    let mut open: Vec<Box<RawValue>> = Vec::new();
    let around = write(&[]).len();
    let mut length = around;
    for one in told {
        let Ok(text) = serde_json::value::to_raw_value(one) else { continue };
        let more = text.get().len() + 1;
        if around + more > PAYLOAD_BYTES {
            continue;
        }
        if length + more > PAYLOAD_BYTES {
            payloads.push(write(&open));
            open.clear();
            length = around;
        }
        length += more;
        open.push(text);
    }
    if !open.is_empty() {
        payloads.push(write(&open));
    }
    payloads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(user: String) -> Told {
        let (channel, client) = ("order:x".to_owned(), Uuid::new_v4());
        Told { channel, client, user, info: None, joined: true }
    }

    #[test]
    fn every_move_is_told_once_in_payloads_that_are_short_enough() {
        let process = Uuid::new_v4();
        let mut all: Vec<Told> = (0..500).map(|nth| told(format!("user {nth}"))).collect();
        all.push(told("x".repeat(PAYLOAD_BYTES)));
        let payloads = payloads(process, &all);
        assert!(payloads.len() > 1 && payloads.iter().all(|text| text.len() <= PAYLOAD_BYTES));
        let heard: Vec<String> = payloads
            .iter()
            .map(|text| serde_json::from_str::<Heard>(text).unwrap())
            .inspect(|heard| assert_eq!(heard.process, process))
            .flat_map(|heard| heard.moves)
            .map(|moved| moved.user)
            .collect();
        let expected: Vec<String> = (0..500).map(|nth| format!("user {nth}")).collect();
        assert_eq!(heard, expected, "all but the one that no notification can hold");
    }

    #[test]
    fn nothing_is_told_of_nobody() {
        assert!(payloads(Uuid::new_v4(), &[]).is_empty());
    }
}
