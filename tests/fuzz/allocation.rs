//! An allocator that counts, so that "bounded memory" is a number.
#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// The system's allocator, counting.
pub struct Counting;

/// Bytes held by the whole process.
static HELD: AtomicI64 = AtomicI64::new(0);

#[derive(Clone, Copy)]
struct Tally {
    /// Bytes that this thread holds; what it freed for others counts against it.
    held: i64,
    /// The most it held since the measure began.
    peak: i64,
    /// All it ever asked for.
    asked: i64,
}

thread_local! {
    // Without a destructor, so that it can be counted on to the last.
    static TALLY: Cell<Tally> = const { Cell::new(Tally { held: 0, peak: 0, asked: 0 }) };
}

fn note(change: i64) {
    HELD.fetch_add(change, Ordering::Relaxed);
    TALLY.with(|tally| {
        let Tally { held, peak, asked } = tally.get();
        let held = held + change;
        tally.set(Tally { held, peak: peak.max(held), asked: asked + change.max(0) });
    });
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

// SAFETY: all is the system allocator's; the counting allocates nothing and cannot panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(-signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(signed(size) - signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Bytes held by the whole process now.
pub fn held() -> i64 {
    HELD.load(Ordering::Relaxed)
}

/// What a piece of work took of this thread's memory, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// The most it held at a time.
    pub peak: i64,
    /// All it asked for.
    pub asked: i64,
}

/// Does a piece of work and says what it took. What it returns counts as held.
pub fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let before = TALLY.with(|tally| {
        let now = tally.get();
        tally.set(Tally { peak: now.held, ..now });
        now
    });
    let outcome = work();
    let after = TALLY.with(Cell::get);
    (outcome, Cost { peak: after.peak - before.held, asked: after.asked - before.asked })
}
