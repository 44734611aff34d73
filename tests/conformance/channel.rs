//! A channel's past: the newest of its notes, as many and as long as its namespace keeps.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ordercast::protocol::code::ErrorCode;
use tokio::time::Instant;
use uuid::Uuid;

use super::note::Note;

/// How long a note is kept.
const KEPT_FOR: Duration = Duration::from_mins(5);

/// Channels that are remembered at most; a new one is then refused (106).
const CHANNELS: usize = 100_000;

/// Notes that a channel of this name keeps; error 102 when there is no such namespace.
fn size(name: &str) -> Result<usize, ErrorCode> {
    match name.split_once(':') {
        None | Some(("recovery" | "delta", _)) => Ok(100),
        Some(("smallhistory", _)) => Ok(2),
        Some(_) => Err(ErrorCode::UNKNOWN_CHANNEL),
    }
}

/// All channels, made when they are first touched.
#[derive(Debug, Default)]
pub struct Channels(HashMap<Arc<str>, Channel>);

impl Channels {
    /// The channel of this name.
    pub fn touch(&mut self, name: &str) -> Result<&mut Channel, ErrorCode> {
        if !self.0.contains_key(name) {
            if self.0.len() >= CHANNELS {
                return Err(ErrorCode::LIMIT_EXCEEDED);
            }
            let name: Arc<str> = name.into();
            self.0.insert(Arc::clone(&name), Channel::new(Arc::clone(&name), size(&name)?));
        }
        let channel = self.0.get_mut(name).ok_or(ErrorCode::INTERNAL)?;
        channel.forget();
        Ok(channel)
    }
}

/// One channel.
#[derive(Debug)]
pub struct Channel {
    /// Its name.
    pub name: Arc<str>,
    /// What its offsets are offsets of.
    pub epoch: Arc<str>,
    /// The newest offset; the first note has 1.
    pub top: u64,
    size: usize,
    kept: VecDeque<(Instant, Arc<Note>)>,
}

impl Channel {
    fn new(name: Arc<str>, size: usize) -> Self {
        let epoch = Uuid::new_v4().simple().to_string();
        Self { name, epoch: epoch.into(), top: 0, size, kept: VecDeque::new() }
    }

    fn forget(&mut self) {
        let old = |(at, _): &(Instant, Arc<Note>)| at.elapsed() >= KEPT_FOR;
        while self.kept.len() > self.size || self.kept.front().is_some_and(old) {
            self.kept.pop_front();
        }
    }

    /// Keeps a note, whose offset is the next.
    pub fn keep(&mut self, note: Arc<Note>) {
        self.top = note.offset;
        self.kept.push_back((Instant::now(), note));
        self.forget();
    }

    /// Those that are kept, oldest first.
    pub fn notes(&self) -> impl DoubleEndedIterator<Item = &Arc<Note>> {
        self.kept.iter().map(|(_at, note)| note)
    }

    /// All notes after an offset, unless some of them are not kept any more. An empty epoch is
    /// any.
    pub fn missed(&self, offset: u64, epoch: &str) -> Option<impl Iterator<Item = &Arc<Note>>> {
        let known = epoch.is_empty() || *epoch == *self.epoch;
        let held = match self.kept.front() {
            _ if offset == self.top => true,
            Some((_, oldest)) => offset < self.top && oldest.offset <= offset + 1,
            None => false,
        };
        (known && held).then(|| self.notes().filter(move |note| note.offset > offset))
    }
}
