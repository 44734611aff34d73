//! How long to wait before the next try.

use std::time::Duration;

use rand::Rng as _;

/// Delays that double from the smallest to the largest, each with full jitter of its upper half,
/// so that processes that lost the same server do not all come back at once.
#[derive(Debug)]
pub(super) struct Backoff {
    smallest: Duration,
    largest: Duration,
    current: Duration,
}

impl Backoff {
    pub(super) const fn new(smallest: Duration, largest: Duration) -> Self {
        Self { smallest, largest, current: smallest }
    }

    /// Starts over; only after a success.
    pub(super) const fn reset(&mut self) {
        self.current = self.smallest;
    }

    /// The next delay.
    pub(super) fn next(&mut self) -> Duration {
        let delay = self.current.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.current = (self.current * 2).min(self.largest.max(self.smallest));
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_largest_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(300));
        for ceiling in [50, 100, 200, 300, 300] {
            let delay = backoff.next().as_millis();
            assert!((ceiling / 2..=ceiling).contains(&delay), "{delay} for {ceiling}");
        }
        backoff.reset();
        assert!(backoff.next().as_millis() <= 50);
    }
}
