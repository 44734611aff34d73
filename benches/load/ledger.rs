//! Exactly once, in order: what each socket heard is held against the log.
//!
//! A socket keeps a sum of what it heard and nothing else. Offsets that come in order grow, so
//! count and sum of their hashes agree with those of the log exactly if the socket heard all of
//! them, each once.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use ordercast::view::{Audience, is_for};
use serde::Deserialize;

use crate::http::{Http, request};
use crate::rig::Target;

/// Events of one page of the log.
const PAGE: usize = 1_000;

/// What was heard of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) count: u64,
    hash: u64,
    /// The last of them.
    pub(crate) last: u64,
    /// How many did not grow: repeated, or out of order.
    pub(crate) disordered: u64,
}

impl Sum {
    /// Adds an offset.
    pub(crate) fn add(&mut self, offset: u64) {
        if offset <= self.last {
            self.disordered += 1;
        }
        self.last = self.last.max(offset);
        self.count += 1;
        self.hash = self.hash.wrapping_add(hashed(offset));
    }

    /// Whether both heard the same.
    fn agrees(&self, other: &Self) -> bool {
        (self.count, self.hash) == (other.count, other.hash)
    }
}

/// Spreads the bits of an offset (the finalizer of splitmix64).
fn hashed(offset: u64) -> u64 {
    let mut hash = offset.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Entry>,
    next: u64,
}

#[derive(Deserialize)]
struct Entry {
    position: u64,
    #[serde(rename = "type")]
    kind: String,
    order: Option<String>,
    store: Option<String>,
    driver: Option<String>,
    #[serde(default)]
    data: Says,
}

/// What decides, besides the type, who hears it.
#[derive(Deserialize, Default)]
struct Says {
    kind: Option<String>,
    end: Option<String>,
}

impl Entry {
    /// Whether an audience hears it, as far as it is of the kind that a load makes.
    fn is_for(&self, audience: Audience) -> bool {
        let says = match (self.kind.as_str(), audience) {
            ("order.late", Audience::Customer) => self.data.kind.as_deref() == Some("delivery"),
            ("courier.near", Audience::Customer) => self.data.end.as_deref() == Some("door"),
            ("courier.near", Audience::Store) => self.data.end.as_deref() == Some("store"),
            _ => true,
        };
        says && is_for(&self.kind, audience)
    }
}

/// The log from a position on, by channel: for each the positions of its events.
#[derive(Debug, Default)]
pub(crate) struct Log {
    channels: HashMap<String, Vec<u64>>,
    /// All events.
    pub(crate) count: u64,
    /// The position read up to.
    pub(crate) last: u64,
}

impl Log {
    /// A log that is read from after `position`.
    pub(crate) fn after(position: u64) -> Self {
        Self { last: position, ..Self::default() }
    }

    /// Reads on to the end of the log.
    pub(crate) async fn read(&mut self, target: &Target) -> anyhow::Result<()> {
        let mut http = Http::open(target.address).await?;
        loop {
            let path = format!("/v1/events?after={}&limit={PAGE}", self.last);
            let answer = http.ask(&request("GET", &path, &target.key, "")).await?;
            let page: Page =
                serde_json::from_slice(answer.good()?).context("reading a page of the log")?;
            if page.events.is_empty() {
                return Ok(());
            }
            for event in &page.events {
                self.note(event);
            }
            self.last = page.next;
        }
    }

    fn note(&mut self, event: &Entry) {
        self.count += 1;
        let mut heard = |channel: String| {
            self.channels.entry(channel).or_default().push(event.position);
        };
        if let Some(order) = &event.order
            && event.is_for(Audience::Customer)
        {
            heard(format!("order:{order}"));
        }
        if let Some(store) = &event.store
            && event.is_for(Audience::Store)
        {
            heard(format!("store:{store}"));
        }
        if let Some(driver) = &event.driver
            && event.is_for(Audience::Driver)
        {
            heard(format!("driver:{driver}"));
        }
        heard("dispatch".to_owned());
    }

    /// What is to be heard on a channel after a position.
    fn expected(&self, channel: &str, after: u64) -> Sum {
        let mut sum = Sum::default();
        let positions = self.channels.get(channel).map(Vec::as_slice).unwrap_or_default();
        let from = positions.partition_point(|position| *position <= after);
        for position in positions.get(from..).unwrap_or_default() {
            sum.add(*position);
        }
        sum
    }

    /// Positions of a channel's last event; 0 when there is none.
    pub(crate) fn last_of(&self, channel: &str) -> u64 {
        self.channels.get(channel).and_then(|positions| positions.last().copied()).unwrap_or(0)
    }

    /// Holds what was heard on a channel since `after` against the log.
    pub(crate) fn check(&self, channel: &str, after: u64, heard: &Sum) -> anyhow::Result<()> {
        let expected = self.expected(channel, after);
        ensure!(heard.disordered == 0, "{channel}: {} events out of order", heard.disordered);
        ensure!(
            heard.agrees(&expected),
            "{channel}: heard {} events after {after}, the last {}; the log has {}, the last {}",
            heard.count,
            heard.last,
            expected.count,
            expected.last
        );
        Ok(())
    }
}
