//! What the fields of a body may hold.

use crate::domain::{Dropoff, Item, Refusal, Window};

/// Lines of an order's summary.
const ITEMS: std::ops::RangeInclusive<usize> = 1..=100;
/// Characters of the platform's own name for an order.
const EXTERNAL_ID_LEN: usize = 128;
/// Characters of any free text.
const NOTE_LEN: usize = 1_000;
/// Bytes of the platform's own data as compact JSON.
const META_BYTES: usize = 4_096;
/// Minutes of preparation.
const PREP_MIN: std::ops::RangeInclusive<i32> = 0..=240;

pub(super) fn invalid(field: &'static str, detail: String) -> Refusal {
    Refusal::Validation { field, detail }
}

fn ensure(good: bool, field: &'static str, detail: impl FnOnce() -> String) -> Result<(), Refusal> {
    if good { Ok(()) } else { Err(invalid(field, detail())) }
}

pub(super) fn external_id(text: &str) -> Result<(), Refusal> {
    let good = (1..=EXTERNAL_ID_LEN).contains(&text.chars().count());
    ensure(good, "external_id", || format!("1 to {EXTERNAL_ID_LEN} characters"))
}

pub(super) fn items(items: &[Item]) -> Result<(), Refusal> {
    ensure(ITEMS.contains(&items.len()), "items", || {
        format!("{} to {} lines", ITEMS.start(), ITEMS.end())
    })?;
    for item in items {
        ensure(!item.name.trim().is_empty(), "items.name", || "must not be empty".to_owned())?;
        ensure(item.qty >= 1, "items.qty", || "1 or more".to_owned())?;
    }
    Ok(())
}

/// Free text that someone has to read.
pub(super) fn short(field: &'static str, text: &str) -> Result<(), Refusal> {
    let good = text.chars().nth(NOTE_LEN).is_none();
    ensure(good, field, || format!("at most {NOTE_LEN} characters"))
}

pub(super) fn window(window: Window) -> Result<(), Refusal> {
    ensure(window.from < window.to, "window", || "`from` must be before `to`".to_owned())
}

pub(super) fn dropoff(dropoff: &Dropoff) -> Result<(), Refusal> {
    let place = dropoff.place;
    ensure((-90.0..=90.0).contains(&place.lat), "dropoff.lat", || "-90 to 90".to_owned())?;
    ensure((-180.0..=180.0).contains(&place.lng), "dropoff.lng", || "-180 to 180".to_owned())
}

pub(super) fn meta(meta: &serde_json::Value) -> Result<(), Refusal> {
    ensure(meta.is_object(), "meta", || "must be an object".to_owned())?;
    let bytes = meta.to_string().len();
    ensure(bytes <= META_BYTES, "meta", || format!("{bytes} bytes, at most {META_BYTES}"))
}

pub(super) fn prep_min(minutes: i32) -> Result<(), Refusal> {
    ensure(PREP_MIN.contains(&minutes), "prep_min", || {
        format!("{} to {} minutes", PREP_MIN.start(), PREP_MIN.end())
    })
}
