//! Chance that comes back: every run says its seed, and what a seed drew it draws again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// One source of chance.
pub struct Chance(StdRng);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    /// Whether the one case of so many has come.
    pub fn one_in(&mut self, many: u32) -> bool {
        self.0.random_ratio(1, many)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn byte(&mut self) -> u8 {
        self.0.random()
    }

    pub fn number(&mut self) -> u64 {
        // As often short as long, and at the edges of all widths.
        let shift = self.below(64);
        let number = self.0.random::<u64>() >> shift;
        match self.below(6) {
            0 => *self.pick(&[0, 1, 2, 127, 128, 255, 256, 16_383, 16_384, 65_535, 65_536]),
            1 => *self.pick(&[
                (1 << 31) - 1,
                1 << 31,
                (1 << 32) - 1,
                1 << 32,
                (1 << 53) - 1,
                1 << 53,
                i64::MAX.cast_unsigned(),
                1 << 63,
                u64::MAX,
            ]),
            _ => number,
        }
    }
}

/// Fuzzers go one after the other: some of them measure the memory of the whole process.
static TURN: Mutex<()> = Mutex::new(());

/// A run of one fuzzer: so long, from such a seed.
pub struct Run {
    _turn: MutexGuard<'static, ()>,
    name: &'static str,
    pub seed: u64,
    length: Duration,
    until: Instant,
    pub rounds: u64,
}

impl Run {
    /// Of `ORDERCAST_FUZZ_S` seconds, else of a few, from `ORDERCAST_FUZZ_SEED`, else from a seed
    /// that is always the same.
    pub fn begin(name: &'static str) -> Self {
        let setting = |name: &str| {
            std::env::var(name).ok().map(|text| text.parse::<u64>().expect("must be a number"))
        };
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = setting("ORDERCAST_FUZZ_S").unwrap_or(3);
        let seed = setting("ORDERCAST_FUZZ_SEED").unwrap_or(20_260_101);
        say(&format!("{name}: {seconds} s from ORDERCAST_FUZZ_SEED={seed}"));
        let length = Duration::from_secs(seconds);
        Self { _turn: turn, name, seed, length, until: Instant::now() + length, rounds: 0 }
    }

    /// How long it is to last.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// The chance of the next round; none when the time is up.
    pub fn next(&mut self) -> Option<Chance> {
        if Instant::now() >= self.until {
            return None;
        }
        self.rounds += 1;
        Some(Chance::new(self.seed.wrapping_mul(1_000_003).wrapping_add(self.rounds)))
    }

    /// Says how it went.
    pub fn end(&self, more: &str) {
        say(&format!("{}: {} rounds, {more}", self.name, self.rounds));
    }
}

/// Tells whoever watches the run.
#[expect(clippy::print_stderr, reason = "it is seen with --nocapture, and after a failure")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Says, if what is done while it lives fails, what was done.
pub struct Witness<F: FnMut() -> String>(pub F);

impl<F: FnMut() -> String> Drop for Witness<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&(self.0)());
        }
    }
}

/// Bytes as people read and paste them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
