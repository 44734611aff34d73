//! How fast the evening goes, and how long it lasts.

use std::time::Duration;

use rand::Rng as _;

/// Couriers of the city.
pub(super) const COURIERS: u32 = 40;
/// Orders a minute up to which everything takes its usual time.
const CALM: f64 = 240.0;
/// How much shorter than usual things may take.
const SHORTEST: f64 = 0.4;
/// Seconds from a courier's assignment to its delivery, as usual, on average.
const ERRAND: f64 = 14.0;
/// Part of the couriers' places that is in use, on average.
const LOAD: f64 = 0.6;
/// How much longer than usual things take where people are to follow them.
const CALMER: f64 = 6.0;
/// Longest evening.
const SPAN_MAX: Duration = Duration::from_hours(24);

/// How fast the evening goes.
///
/// Up to 240 orders a minute an order lives for some 10 to 25 seconds. Beyond that people hurry
/// and couriers carry more at once, so that orders still end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    per_minute: u32,
    hurry: f64,
    capacity: u32,
}

impl Pace {
    /// A pace of 1 to 6,000 orders a minute.
    pub(super) fn new(per_minute: u32) -> Self {
        let rate = f64::from(per_minute.max(1));
        let hurry = (CALM / rate).sqrt().clamp(SHORTEST, 1.0);
        let busy = rate / 60.0 * ERRAND * hurry;
        let places = busy / (f64::from(COURIERS) * LOAD);
        let capacity = (2..50).find(|capacity| f64::from(*capacity) >= places).unwrap_or(50);
        Self { per_minute: per_minute.max(1), hurry, capacity }
    }

    /// The pace of those whom people follow, or stand in for.
    pub(super) const fn calm(self) -> Self {
        Self { hurry: CALMER, ..self }
    }

    /// Orders a minute.
    pub(super) const fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// Orders a courier carries at once.
    pub(super) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Time to the next order: even, with jitter of a half.
    pub(super) fn gap(&self) -> Duration {
        let even = Duration::from_mins(1) / self.per_minute;
        even.mul_f64(rand::rng().random_range(0.5..1.5))
    }

    /// How long something takes that usually takes so many seconds.
    pub(super) fn takes(&self, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(rand::rng().random_range(least..most) * self.hurry)
    }
}

/// True once in so many times, on average.
pub(super) fn once_in(times: u32) -> bool {
    rand::rng().random_ratio(1, times.max(1))
}

/// One of these.
pub(super) fn one_of<T: Copy>(all: &[T]) -> Option<T> {
    all.get(rand::rng().random_range(0..all.len().max(1))).copied()
}

/// Reads `30s`, `5m` or `1h`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let unit = [("s", 1), ("m", 60), ("h", 3_600)];
    let found = unit.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds).map(Duration::from_secs)
    });
    found
        .filter(|span| (Duration::from_secs(1)..=SPAN_MAX).contains(span))
        .ok_or_else(|| "must be 1s to 24h, as in 30s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(span("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(span("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(span("1h"), Ok(Duration::from_hours(1)));
        for text in ["", "30", "s", "0s", "-1s", "1.5m", "25h", "18446744073709551615h", "1 h"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_couriers_have_room_for_every_pace() {
        for per_minute in [1, 120, 600, 3_000, 6_000] {
            let pace = Pace::new(per_minute);
            let busy = f64::from(per_minute) / 60.0 * ERRAND * pace.hurry;
            let room = f64::from(COURIERS * pace.capacity);
            assert!(busy < room * 0.7, "{per_minute} a minute: {busy} of {room}");
        }
    }

    #[test]
    fn gaps_are_even_on_average() {
        let pace = Pace::new(600);
        let total: Duration = (0..1_000).map(|_| pace.gap()).sum();
        assert!((95.0..105.0).contains(&total.as_secs_f64()), "{total:?}");
    }
}
