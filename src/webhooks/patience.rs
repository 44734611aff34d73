//! How long to wait after a failure.

use std::time::Duration;

use rand::Rng as _;

/// Waits after the first failure, the second, and so on; after the last it stays.
const WAITS: [Duration; 8] = [
    FIRST,
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(3),
    Duration::from_hours(6),
];
const FIRST: Duration = Duration::from_secs(5);

/// How long to wait after a failure when `tries` failed before. What the endpoint asks for by
/// Retry-After counts instead, but not less than the shortest wait and not more than `most`. Up to
/// a fifth longer, so that endpoints that failed together are not tried together.
pub(super) fn delay(tries: u32, retry_after: Option<Duration>, most: Duration) -> Duration {
    let nth = usize::try_from(tries).unwrap_or(usize::MAX).min(WAITS.len() - 1);
    let wait = match retry_after {
        Some(asked) => asked.max(FIRST).min(most.max(FIRST)),
        None => WAITS.get(nth).copied().unwrap_or(FIRST),
    };
    wait.mul_f64(rand::rng().random_range(1.0..=1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_about(delay: Duration, wait: Duration) -> bool {
        (wait..=wait.mul_f64(1.2)).contains(&delay)
    }

    #[test]
    fn each_failure_waits_longer_up_to_six_hours() {
        let most = Duration::from_hours(1);
        let waits = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 21_600];
        for (tries, wait) in (0..).zip(waits) {
            assert!(is_about(delay(tries, None, most), Duration::from_secs(wait)), "{tries}");
        }
        assert!(is_about(delay(u32::MAX, None, most), Duration::from_hours(6)));
    }

    #[test]
    fn what_the_endpoint_asks_for_counts_within_bounds() {
        let most = Duration::from_hours(1);
        for (asked, wait) in [(0, 5), (5, 5), (77, 77), (3_600, 3_600), (86_400, 3_600)] {
            let asked = Some(Duration::from_secs(asked));
            for tries in [0, 7] {
                assert!(is_about(delay(tries, asked, most), Duration::from_secs(wait)));
            }
        }
    }
}
