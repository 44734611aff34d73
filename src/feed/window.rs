//! The newest committed events of the process, held in memory, so that a short absence is made
//! up for without the database.
//!
//! All threads share one window. Only the feed writes to it, once for each page it reads; those
//! who recover read it, and never wait for one another.
//!
//! Invariants: the positions held are contiguous and end at `last`, so "nothing else on this
//! topic" is known and not guessed. For each of its topics an event knows the one before it, and
//! each topic knows its newest, so a read takes as many steps as there are events to return,
//! however much is held. The epoch is kept with the events and under the same lock: what is
//! answered is always of one log.
//!
//! Absent on purpose: it judges no right. The topics of an order, a store and a courier name no
//! tenant, so whoever asks compares the tenant of what it is given with its own; and that a topic
//! has no events says nothing about whether the order exists.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::hub::{News, Publication, Topic};

/// What has a place in the log and is published on topics.
pub trait Placed {
    /// What one can listen to.
    type Topic: Clone + Eq + Hash;
    /// Its place in the log, from 1 on.
    fn position(&self) -> u64;
    /// Every topic it is published on.
    fn topics(&self) -> impl Iterator<Item = Self::Topic>;
}

impl Placed for Publication {
    type Topic = Topic;

    fn position(&self) -> u64 {
        News::position(self)
    }

    fn topics(&self) -> impl Iterator<Item = Topic> {
        News::topics(self)
    }
}

/// What the window knows of a topic since a position.
#[derive(Debug)]
pub enum Since<P> {
    /// Everything of the topic after the position and up to `last`, in order.
    Whole {
        /// The events; none when nothing happened.
        events: Vec<Arc<P>>,
        /// Up to where this is everything.
        last: u64,
        /// The log they are from, to be told to whoever named none.
        epoch: Arc<str>,
    },
    /// What came after the position is not held, or not all of it: ask the log.
    Older,
    /// The position lies beyond what this process has read. Another process may have come
    /// further, or the log was rewound: ask the log.
    Ahead,
    /// There are more events than the limit.
    TooMany,
    /// The window holds another log than the one named, or none yet.
    OtherLog,
}

/// The newest committed events, at most as many as it is long.
pub struct Window<P: Placed = Publication> {
    len: usize,
    held: RwLock<Held<P>>,
}

struct Held<P: Placed> {
    /// Which log; absent before the feed has first connected.
    epoch: Option<Arc<str>>,
    /// The position up to which everything is known.
    last: u64,
    /// Oldest first; the newest is at `last`.
    entries: VecDeque<Entry<P>>,
    /// The newest position of each topic that an entry has.
    newest: HashMap<P::Topic, u64>,
}

struct Entry<P: Placed> {
    placed: Arc<P>,
    /// Each of its topics once, with the position of the event before it on that topic. One that
    /// has since been evicted lies before the oldest entry, as 0 does, which stands for none.
    before: Vec<(P::Topic, u64)>,
}

impl<P: Placed> Window<P> {
    /// A window of at most `len` events; of none it holds nothing and has the log asked always.
    /// It belongs to no log until it is first cleared.
    pub fn new(len: usize) -> Self {
        let held = Held { epoch: None, last: 0, entries: VecDeque::new(), newest: HashMap::new() };
        Self { len, held: RwLock::new(held) }
    }

    /// Forgets everything, to go on after `position` of the log `epoch`.
    pub fn clear(&self, epoch: &Arc<str>, position: u64) {
        let mut held = self.write();
        held.epoch = Some(Arc::clone(epoch));
        let forgotten = held.forget(position);
        // What is freed is freed while nobody waits for it.
        drop(held);
        drop(forgotten);
    }

    /// Adds a page that continues the log. One that does not, clears what is held before it.
    pub fn append(&self, page: &[Arc<P>]) {
        let entries: Vec<Entry<P>> = page
            .iter()
            .map(|placed| Entry {
                placed: Arc::clone(placed),
                before: placed.topics().map(|topic| (topic, 0)).collect(),
            })
            .collect();
        let mut forgotten = Vec::new();
        let mut evicted = Vec::new();
        let mut held = self.write();
        for entry in entries {
            let position = entry.placed.position();
            if held.last.checked_add(1) != Some(position) {
                forgotten.push(held.forget(position.saturating_sub(1)));
            }
            held.push(entry);
            if held.entries.len() > self.len {
                evicted.extend(held.evict());
            }
        }
        drop(held);
        drop((forgotten, evicted));
    }

    /// Puts what `anew` makes of them in the place of all events of `topic` that are held.
    pub fn replace(&self, topic: &P::Topic, anew: impl Fn(&P) -> P) {
        let mut replaced = Vec::new();
        let mut held = self.write();
        let mut position = held.newest.get(topic).copied();
        while let Some(entry) = position.and_then(|position| held.get_mut(position)) {
            let placed = Arc::new(anew(&entry.placed));
            replaced.push(std::mem::replace(&mut entry.placed, placed));
            let before = entry.before.iter().find(|(other, _)| other == topic);
            position = before.map(|(_, before)| *before);
        }
        drop(held);
        drop(replaced);
    }

    /// The position up to which the window is complete. Known also when it holds nothing.
    pub fn last(&self) -> u64 {
        self.read().last
    }

    /// The oldest position held; when there is none, the one that will come next.
    pub fn first(&self) -> u64 {
        self.read().first()
    }

    /// The events of `topic` after the position `after`, at most `limit`, for one who knows the
    /// log as `epoch`; an empty `epoch` names none.
    ///
    /// The feed fills the window before it publishes. So one who listens first, asks then, and
    /// drops what it hears up to `last`, has neither a gap nor a repetition.
    pub fn since(&self, epoch: &str, topic: &P::Topic, after: u64, limit: usize) -> Since<P> {
        let held = self.read();
        let Some(known) =
            held.epoch.as_ref().filter(|known| epoch.is_empty() || ***known == *epoch)
        else {
            return Since::OtherLog;
        };
        if self.len == 0 {
            return Since::Older;
        }
        if after > held.last {
            return Since::Ahead;
        }
        if after.saturating_add(1) < held.first() {
            return Since::Older;
        }
        let mut events = Vec::new();
        let mut entry = held.newest(topic);
        while let Some(found) = entry.filter(|entry| entry.placed.position() > after) {
            if events.len() == limit {
                return Since::TooMany;
            }
            events.push(Arc::clone(&found.placed));
            entry = held.before(found, topic);
        }
        events.reverse();
        Since::Whole { events, last: held.last, epoch: Arc::clone(known) }
    }

    /// Every event after the position `after` that is held, and whether these are all there are.
    pub fn after(&self, after: u64) -> (Vec<Arc<P>>, bool) {
        let held = self.read();
        let first = held.first();
        let skipped = after.saturating_add(1).saturating_sub(first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let events = held.entries.iter().skip(skipped).map(|entry| Arc::clone(&entry.placed));
        (events.collect(), after.saturating_add(1) >= first)
    }

    /// The newest event of `topic` that is held.
    pub fn newest(&self, topic: &P::Topic) -> Option<Arc<P>> {
        self.read().newest(topic).map(|entry| Arc::clone(&entry.placed))
    }

    fn read(&self) -> RwLockReadGuard<'_, Held<P>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held<P>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Placed> fmt::Debug for Window<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.read();
        f.debug_struct("Window")
            .field("epoch", &held.epoch)
            .field("first", &held.first())
            .field("last", &held.last)
            .finish_non_exhaustive()
    }
}

impl<P: Placed> Held<P> {
    fn first(&self) -> u64 {
        let len = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.last.saturating_sub(len).saturating_add(1)
    }

    fn get(&self, position: u64) -> Option<&Entry<P>> {
        let index = position.checked_sub(self.first())?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    fn get_mut(&mut self, position: u64) -> Option<&mut Entry<P>> {
        let index = position.checked_sub(self.first())?;
        self.entries.get_mut(usize::try_from(index).ok()?)
    }

    fn newest(&self, topic: &P::Topic) -> Option<&Entry<P>> {
        self.get(*self.newest.get(topic)?)
    }

    /// The entry before this one on the topic.
    fn before(&self, entry: &Entry<P>, topic: &P::Topic) -> Option<&Entry<P>> {
        let (_, position) = entry.before.iter().find(|(other, _)| other == topic)?;
        self.get(*position)
    }

    /// Empties it, to go on after `position`; what it held.
    fn forget(&mut self, position: u64) -> VecDeque<Entry<P>> {
        self.last = position;
        self.newest.clear();
        std::mem::take(&mut self.entries)
    }

    /// Adds the entry whose position comes next.
    fn push(&mut self, mut entry: Entry<P>) {
        let position = entry.placed.position();
        let newest = &mut self.newest;
        entry.before.retain_mut(|(topic, before)| match newest.insert(topic.clone(), position) {
            // The same topic twice: linked to itself, it would never end.
            Some(same) if same == position => false,
            earlier => {
                *before = earlier.unwrap_or(0);
                true
            }
        });
        self.last = position;
        self.entries.push_back(entry);
    }

    /// Takes out the oldest entry.
    fn evict(&mut self) -> Option<Entry<P>> {
        let entry = self.entries.pop_front()?;
        let position = entry.placed.position();
        for (topic, _) in &entry.before {
            if self.newest.get(topic) == Some(&position) {
                self.newest.remove(topic);
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// An event of nothing but its place and topics.
    #[derive(Debug, Clone, PartialEq)]
    struct Dot {
        position: u64,
        topics: Vec<u8>,
    }

    impl Placed for Dot {
        type Topic = u8;

        fn position(&self) -> u64 {
            self.position
        }

        fn topics(&self) -> impl Iterator<Item = u8> {
            self.topics.iter().copied()
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// Events that follow one another, the first after so many that were passed over.
        Append { passed_over: u64, topics: Vec<Vec<u8>> },
        /// Back to a position, perhaps of another log.
        Clear { epoch: u8, position: u64 },
    }

    const TOPICS: u8 = 5;

    fn step() -> impl Strategy<Value = Step> {
        // A topic may come twice: the window must not rely on its callers for that.
        let page = || vec(vec(0..TOPICS, 0..4), 0..12);
        prop_oneof![
            12 => page().prop_map(|topics| Step::Append { passed_over: 0, topics }),
            1 => (1..4_u64, page())
                .prop_map(|(passed_over, topics)| Step::Append { passed_over, topics }),
            1 => (0..2_u8, 0..60_u64).prop_map(|(epoch, position)| Step::Clear { epoch, position }),
        ]
    }

    /// The same, looked up by going through everything.
    #[derive(Debug, Default)]
    struct Model {
        len: usize,
        epoch: Option<String>,
        last: u64,
        dots: Vec<Dot>,
    }

    impl Model {
        fn append(&mut self, page: &[Arc<Dot>]) {
            for dot in page {
                if dot.position != self.last + 1 {
                    self.dots.clear();
                }
                self.last = dot.position;
                self.dots.push((**dot).clone());
                if self.dots.len() > self.len {
                    self.dots.remove(0);
                }
            }
        }

        fn of(&self, topic: u8) -> impl DoubleEndedIterator<Item = &Dot> {
            self.dots.iter().filter(move |dot| dot.topics.contains(&topic))
        }

        fn since(&self, epoch: &str, topic: u8, after: u64, limit: usize) -> String {
            let first = self.dots.first().map_or(self.last + 1, |dot| dot.position);
            if self.epoch.as_deref().is_none_or(|known| !epoch.is_empty() && known != epoch) {
                return "OtherLog".to_owned();
            }
            if self.len == 0 {
                return "Older".to_owned();
            }
            if after > self.last {
                return "Ahead".to_owned();
            }
            if after + 1 < first {
                return "Older".to_owned();
            }
            let found: Vec<u64> =
                self.of(topic).map(|dot| dot.position).filter(|one| *one > after).collect();
            if found.len() > limit {
                return "TooMany".to_owned();
            }
            let epoch = self.epoch.as_deref().unwrap();
            format!("{found:?} to {} of {epoch}", self.last)
        }
    }

    fn told(since: Since<Dot>) -> String {
        match since {
            Since::Whole { events, last, epoch } => {
                let found: Vec<u64> = events.iter().map(|dot| dot.position).collect();
                format!("{found:?} to {last} of {epoch}")
            }
            Since::Older => "Older".to_owned(),
            Since::Ahead => "Ahead".to_owned(),
            Since::TooMany => "TooMany".to_owned(),
            Since::OtherLog => "OtherLog".to_owned(),
        }
    }

    fn epoch(number: u8) -> Arc<str> {
        Arc::from(format!("log {number}"))
    }

    proptest! {
        #[test]
        fn it_answers_as_one_who_looks_through_everything(
            len in prop_oneof![0..4_usize, 4..40_usize],
            steps in vec(step(), 1..12),
        ) {
            let window = Window::new(len);
            let mut model = Model { len, ..Model::default() };
            for step in steps {
                match step {
                    Step::Append { passed_over, topics } => {
                        let first = model.last + 1 + passed_over;
                        let page: Vec<_> = (first..)
                            .zip(topics)
                            .map(|(position, topics)| Arc::new(Dot { position, topics }))
                            .collect();
                        window.append(&page);
                        model.append(&page);
                    }
                    Step::Clear { epoch: number, position } => {
                        window.clear(&epoch(number), position);
                        model = Model {
                            len, epoch: Some(epoch(number).to_string()), last: position, dots: vec![],
                        };
                    }
                }
                prop_assert_eq!(window.last(), model.last);
                let first = model.dots.first().map_or(model.last + 1, |dot| dot.position);
                prop_assert_eq!(window.first(), first);
                for after in first.saturating_sub(3)..model.last + 2 {
                    let (events, whole) = window.after(after);
                    let found = events.iter().map(|dot| dot.position);
                    let wanted = model.dots.iter().map(|dot| dot.position);
                    prop_assert!(found.eq(wanted.filter(|position| *position > after)));
                    prop_assert_eq!(whole, after + 1 >= first);
                }
                for topic in 0..TOPICS {
                    let newest = window.newest(&topic);
                    prop_assert_eq!(newest.as_deref(), model.of(topic).next_back());
                    let ends = [first, first.midpoint(model.last), model.last];
                    let near = ends.iter().flat_map(|end| end.saturating_sub(3)..end + 2);
                    for after in near.chain([0, u64::MAX - 1]) {
                        for limit in [0, 1, 3, 100] {
                            for log in ["", "log 0", "log 1"] {
                                prop_assert_eq!(
                                    told(window.since(log, &topic, after, limit)),
                                    model.since(log, topic, after, limit),
                                    "{} after {} at most {} of {:?}", topic, after, limit, log
                                );
                            }
                        }
                    }
                }
                // Nothing stays behind of what was evicted.
                let held = window.read();
                let topics: HashSet<u8> =
                    model.dots.iter().flat_map(|dot| dot.topics.iter().copied()).collect();
                prop_assert_eq!(held.newest.keys().copied().collect::<HashSet<_>>(), topics);
                prop_assert!(held.entries.len() <= len);
            }
        }
    }

    #[test]
    fn what_is_replaced_is_so_on_all_its_topics_and_nothing_else_is() {
        let dot = |position, topics: &[u8]| Arc::new(Dot { position, topics: topics.to_vec() });
        let window = Window::new(4);
        window.clear(&epoch(0), 0);
        window.append(&[dot(1, &[1]), dot(2, &[1, 2]), dot(3, &[2]), dot(4, &[1]), dot(5, &[3])]);
        // Who has been given one before keeps it; a topic that is not held is none.
        let before = window.newest(&1);
        for topic in [1, 9] {
            window.replace(&topic, |dot| Dot { topics: vec![7; dot.topics.len()], ..dot.clone() });
        }
        let topics = |after| -> Vec<Vec<u8>> {
            window.after(after).0.iter().map(|dot| dot.topics.clone()).collect()
        };
        assert_eq!(topics(0), [vec![7, 7], vec![2], vec![7], vec![3]]);
        assert_eq!(before.unwrap().topics, [1]);
        // They are found as before.
        for (topic, found) in [(1, "[2, 4]"), (2, "[2, 3]"), (3, "[5]")] {
            assert_eq!(told(window.since("", &topic, 1, 9)), format!("{found} to 5 of log 0"));
        }
    }

    #[test]
    fn the_largest_position_is_one_like_others() {
        let window = Window::new(2);
        window.clear(&epoch(0), u64::MAX - 1);
        window.append(&[Arc::new(Dot { position: u64::MAX, topics: vec![1] })]);
        let told = |after| told(window.since("", &1, after, 9));
        assert_eq!(told(u64::MAX), format!("[] to {} of log 0", u64::MAX));
        assert_eq!(told(u64::MAX - 1), format!("[{0}] to {0} of log 0", u64::MAX));
        assert_eq!(told(u64::MAX - 2), "Older");
    }

    #[test]
    fn readers_see_a_page_whole_or_not_at_all() {
        const PAGE: u64 = 10;
        let window = Window::new(50);
        window.clear(&epoch(0), 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for page in 0..2_000 {
                    let first = page * PAGE + 1;
                    let page: Vec<_> = (first..first + PAGE)
                        .map(|position| Arc::new(Dot { position, topics: vec![1] }))
                        .collect();
                    window.append(&page);
                }
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut after = 0;
                    while after < 2_000 * PAGE {
                        match window.since("log 0", &1, after, 1_000) {
                            Since::Whole { events, last, .. } => {
                                assert_eq!(last % PAGE, 0);
                                let positions = events.iter().map(|dot| dot.position);
                                assert!(positions.eq(after + 1..=last));
                                after = last;
                            }
                            // Left behind: go on from where it begins now.
                            Since::Older => {
                                assert!(after + 1 < window.first());
                                after = window.first() - 1;
                            }
                            other @ (Since::Ahead | Since::TooMany | Since::OtherLog) => {
                                panic!("{other:?}")
                            }
                        }
                    }
                });
            }
        });
    }
}
