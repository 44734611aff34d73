//! How much a courier may tell: so many messages and points a second, and for a while what it
//! did not tell before.

use std::time::Duration;

use tokio::time::Instant;

use crate::config;

/// What a courier may still tell.
#[derive(Debug)]
pub(super) struct Allowance {
    messages: f64,
    points: f64,
    at: Instant,
}

impl Allowance {
    /// Nothing was told yet.
    pub(super) fn full(settings: &config::Locations, now: Instant) -> Self {
        let (messages, points) = most(settings);
        Self { messages, points, at: now }
    }

    /// How many of `points` of a message may be taken now; none if it is a message too many.
    pub(super) fn take(
        &mut self,
        settings: &config::Locations,
        now: Instant,
        points: usize,
    ) -> usize {
        let gone = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let (messages, most_points) = most(settings);
        self.messages = (self.messages + gone * f64::from(settings.messages_per_s)).min(messages);
        self.points = (self.points + gone * f64::from(settings.points_per_s)).min(most_points);
        if self.messages < 1.0 {
            return 0;
        }
        self.messages -= 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a bounded count"
        )]
        let taken = points.min(self.points as usize);
        #[expect(clippy::cast_precision_loss, reason = "a bounded count")]
        let spent = taken as f64;
        self.points -= spent;
        taken
    }
}

fn most(settings: &config::Locations) -> (f64, f64) {
    let burst = Duration::max(settings.burst_s.get(), Duration::from_secs(1)).as_secs_f64();
    (f64::from(settings.messages_per_s) * burst, f64::from(settings.points_per_s) * burst)
}
