//! What one player heard on one channel, and the judgement of it against the log.

use std::collections::HashSet;

/// What came, in the order in which it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// The channel's state at a position: it stands for every event up to there.
    Snapshot(u64),
    /// The event at a position.
    Heard(u64),
}

/// What one player heard on one channel.
///
/// Grows by 16 bytes for each event; the evening ends before that matters (see
/// [`super::city::EVENTS_MAX`]).
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    reached: Option<u64>,
}

/// How what was heard compares with what should have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Events that should have been heard.
    pub(super) expected: u64,
    /// Different events that were heard.
    pub(super) heard: u64,
    /// Should have been heard and were not.
    pub(super) missed: u64,
    /// Came again, or after a snapshot that stands for them.
    pub(super) repeated: u64,
    /// Came after a later one, or a snapshot that is older than what came before it.
    pub(super) reordered: u64,
    /// Are not this channel's to hear, or not in the log at all.
    pub(super) foreign: u64,
}

impl Verdict {
    /// Whether everything was heard once, in order, and nothing else.
    pub(super) const fn is_clean(&self) -> bool {
        self.missed + self.repeated + self.reordered + self.foreign == 0
    }

    pub(super) const fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.heard += other.heard;
        self.missed += other.missed;
        self.repeated += other.repeated;
        self.reordered += other.reordered;
        self.foreign += other.foreign;
    }
}

impl Ledger {
    /// Notes a snapshot: the first begins the subscription.
    pub(super) fn see(&mut self, position: u64) {
        self.entries.push(Entry::Snapshot(position));
        self.reached = self.reached.max(Some(position));
    }

    /// Notes an event.
    pub(super) fn hear(&mut self, position: u64) {
        self.entries.push(Entry::Heard(position));
        self.reached = self.reached.max(Some(position));
    }

    /// The furthest position it has come to; none before the first snapshot.
    pub(super) const fn reached(&self) -> Option<u64> {
        self.reached
    }

    /// Compares with `truth`: the positions of the channel's events, ascending, read from the
    /// log up to `end`. What was heard beyond `end` was not in that reading and is left out.
    ///
    /// Expected is every event after the first snapshot that no later snapshot stands for. A
    /// recovery brings events and no snapshot, so it excuses nothing.
    pub(super) fn judge(&self, truth: &[u64], end: u64) -> Verdict {
        let mut verdict = Verdict::default();
        let mut heard = HashSet::new();
        // From (exclusive) and to (inclusive) of what snapshots stand for, ascending.
        let mut excused: Vec<(u64, u64)> = Vec::new();
        let mut reached: Option<u64> = None;
        for entry in &self.entries {
            match (*entry, reached) {
                (Entry::Snapshot(position), Some(before)) if position < before => {
                    verdict.reordered += 1;
                }
                (Entry::Snapshot(position), before) => {
                    excused.push((before.unwrap_or(0), position));
                    reached = Some(position);
                }
                (Entry::Heard(position), _) if position > end => {}
                (Entry::Heard(position), before) => {
                    let stands_for = |span: &(u64, u64)| span.0 < position && position <= span.1;
                    if !heard.insert(position) || excused.iter().any(stands_for) {
                        verdict.repeated += 1;
                    } else if before.is_some_and(|before| position < before) {
                        verdict.reordered += 1;
                    }
                    if truth.binary_search(&position).is_err() {
                        verdict.foreign += 1;
                    }
                    reached = reached.max(Some(position));
                }
            }
        }
        verdict.heard = u64::try_from(heard.len()).unwrap_or(u64::MAX);
        if excused.is_empty() {
            // Never subscribed: nothing was promised.
            return verdict;
        }
        let mut excused = excused.iter().peekable();
        for position in truth.iter().filter(|position| **position <= end) {
            while excused.next_if(|(_from, to)| to < position).is_some() {}
            if excused.peek().is_some_and(|(from, _to)| from < position) {
                continue;
            }
            verdict.expected += 1;
            verdict.missed += u64::from(!heard.contains(position));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: &[u64] = &[3, 5, 8, 9, 12];

    fn ledger(entries: &[Entry]) -> Ledger {
        let mut ledger = Ledger::default();
        for entry in entries {
            match entry {
                Entry::Snapshot(position) => ledger.see(*position),
                Entry::Heard(position) => ledger.hear(*position),
            }
        }
        ledger
    }

    fn judge(snapshot: u64, heard: &[u64]) -> Verdict {
        let mut entries = vec![Entry::Snapshot(snapshot)];
        entries.extend(heard.iter().copied().map(Entry::Heard));
        ledger(&entries).judge(TRUTH, 12)
    }

    #[test]
    fn everything_after_the_snapshot_once_and_in_order_is_clean() {
        let verdict = judge(4, &[5, 8, 9, 12]);
        assert_eq!(verdict, Verdict { expected: 4, heard: 4, ..Verdict::default() });
        assert!(verdict.is_clean());
    }

    #[test]
    fn a_missed_event_is_found_in_the_middle_and_at_the_end() {
        assert_eq!(judge(4, &[5, 9, 12]).missed, 1);
        assert_eq!(judge(4, &[5, 8, 9]).missed, 1);
        assert_eq!(judge(0, &[]).missed, 5);
    }

    #[test]
    fn a_repeated_event_is_found_wherever_it_comes_again() {
        for heard in [&[5, 5, 8, 9, 12][..], &[5, 8, 9, 12, 8]] {
            let verdict = judge(4, heard);
            assert_eq!((verdict.repeated, verdict.reordered, verdict.missed), (1, 0, 0));
        }
    }

    #[test]
    fn an_event_that_the_snapshot_stood_for_is_repeated() {
        let verdict = judge(4, &[3, 5, 8, 9, 12]);
        assert_eq!((verdict.repeated, verdict.reordered), (1, 0));
    }

    #[test]
    fn a_reordered_event_is_found_and_not_missed() {
        let verdict = judge(4, &[5, 9, 8, 12]);
        assert_eq!((verdict.reordered, verdict.missed, verdict.repeated), (1, 0, 0));
    }

    #[test]
    fn an_event_of_another_channel_is_foreign() {
        assert_eq!(judge(4, &[5, 6, 8, 9, 12]).foreign, 1);
    }

    #[test]
    fn a_later_snapshot_stands_for_what_was_not_heard() {
        use Entry::{Heard, Snapshot};
        let verdict = ledger(&[Snapshot(4), Heard(5), Snapshot(9), Heard(12)]).judge(TRUTH, 12);
        assert_eq!(verdict, Verdict { expected: 2, heard: 2, ..Verdict::default() });
        // What it did not stand for is still missed.
        let verdict = ledger(&[Snapshot(4), Heard(5), Snapshot(8), Heard(12)]).judge(TRUTH, 12);
        assert_eq!((verdict.expected, verdict.missed), (3, 1));
    }

    #[test]
    fn a_snapshot_older_than_what_was_heard_is_reordered() {
        use Entry::{Heard, Snapshot};
        let verdict = ledger(&[Snapshot(4), Heard(5), Heard(8), Snapshot(5)]).judge(TRUTH, 8);
        assert_eq!((verdict.reordered, verdict.missed), (1, 0));
    }

    #[test]
    fn what_came_after_the_reading_of_the_log_is_left_out() {
        let mut entries = vec![Entry::Snapshot(8)];
        entries.extend([9, 12, 15].map(Entry::Heard));
        assert!(ledger(&entries).judge(TRUTH, 12).is_clean());
    }

    #[test]
    fn who_never_subscribed_is_promised_nothing() {
        assert_eq!(Ledger::default().judge(TRUTH, 12), Verdict::default());
    }
}
