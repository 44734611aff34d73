//! How processes tell each other where couriers are: many in one notification.
//!
//! A notification is text of fewer than 8,000 bytes; what is in it is binary, in Base64. All
//! processes that speak through one database are of one release or the next: what cannot be read
//! is let go, as every point is followed by another.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use bytes::{Buf, BufMut as _};
use jiff::Timestamp;
use uuid::Uuid;

use super::memory::Telling;
use crate::domain::{DriverId, Errand, Leg, Location, OrderId, Place, StoreId, TenantId, Word};
use crate::store::{Errands, OpenErrand};

/// Bytes of a notification before Base64; PostgreSQL allows fewer than 8,000 after it.
const PACKET_BYTES: usize = 5_900;
/// The form of what follows.
const FORM: u8 = 1;
/// Parts of a degree.
const GRAIN: f64 = 1e7;

/// Packs what is told; each packet is short enough for a notification.
pub(super) fn pack(process: Uuid, tellings: &[Telling]) -> Vec<String> {
    let mut packets = Vec::new();
    let begin = || {
        let mut packet = Vec::with_capacity(PACKET_BYTES);
        packet.put_u8(FORM);
        packet.put_slice(process.as_bytes());
        packet
    };
    let mut packet = begin();
    let empty = packet.len();
    let mut entry = Vec::with_capacity(256);
    for telling in tellings {
        entry.clear();
        put(&mut entry, telling);
        if packet.len() + entry.len() > PACKET_BYTES && packet.len() > empty {
            packets.push(BASE64.encode(&packet));
            packet = begin();
        }
        packet.put_slice(&entry);
    }
    if packet.len() > empty {
        packets.push(BASE64.encode(&packet));
    }
    packets
}

/// What another process tells; nothing of what this one told itself, or cannot read.
pub(super) fn unpack(process: Uuid, text: &str) -> Vec<Telling> {
    let Ok(packet) = BASE64.decode(text) else { return Vec::new() };
    let mut rest = packet.as_slice();
    let head = (rest.try_get_u8(), rest.try_get_u128());
    let (Ok(FORM), Ok(other)) = head else { return Vec::new() };
    let mut tellings = Vec::new();
    if other != process.as_u128() {
        while !rest.is_empty() {
            let Some(telling) = take(&mut rest) else {
                tracing::warn!(
                    "another process told where couriers are in words that are not ours"
                );
                break;
            };
            tellings.push(telling);
        }
    }
    tellings
}

fn put(entry: &mut Vec<u8>, telling: &Telling) {
    let Telling { tenant, driver, location, heard_at, as_of, errands } = telling;
    entry.put_slice(tenant.uuid().as_bytes());
    entry.put_slice(driver.uuid().as_bytes());
    entry.put_u64(*as_of);
    entry.put_i64(heard_at.as_millisecond());
    entry.put_i64(location.n);
    entry.put_i64(location.at.as_millisecond());
    #[expect(clippy::cast_possible_truncation, reason = "at most 1.8e9")]
    let grains = |degrees: f64| (degrees * GRAIN).round() as i32;
    entry.put_i32(grains(location.place.lat));
    entry.put_i32(grains(location.place.lng));
    let measured = [location.accuracy_m, location.heading, location.speed, location.battery];
    let bits = measured.iter().rev().fold(0, |bits, value| bits << 1 | u8::from(value.is_some()));
    entry.put_u8(bits);
    for value in measured.into_iter().flatten() {
        entry.put_f32(value);
    }
    // A courier with more open orders than that does not exist; capacities end at 50.
    let open = errands.open.iter().take(60);
    entry.put_u8(u8::try_from(open.len()).unwrap_or_default());
    for OpenErrand { errand, .. } in open {
        entry.put_slice(errand.order.uuid().as_bytes());
        entry.put_slice(errand.store.uuid().as_bytes());
        entry.put_u8(place_of(errand.status));
        entry.put_u8(place_of(errand.leg) << 1 | u8::from(errand.toured));
        entry.put_u8(u8::try_from(errand.stops_before).unwrap_or(u8::MAX));
    }
}

fn take(rest: &mut &[u8]) -> Option<Telling> {
    let mut id = || rest.try_get_u128().ok().map(Uuid::from_u128);
    let (tenant, driver) = (TenantId::from_uuid(id()?), DriverId::from_uuid(id()?));
    let as_of = rest.try_get_u64().ok()?;
    let heard_at = Timestamp::from_millisecond(rest.try_get_i64().ok()?).ok()?;
    let n = rest.try_get_i64().ok()?;
    let at = Timestamp::from_millisecond(rest.try_get_i64().ok()?).ok()?;
    let lat = f64::from(rest.try_get_i32().ok()?) / GRAIN;
    let lng = f64::from(rest.try_get_i32().ok()?) / GRAIN;
    let bits = rest.try_get_u8().ok()?;
    let mut measured = [None; 4];
    for (nth, value) in measured.iter_mut().enumerate() {
        if bits >> nth & 1 == 1 {
            *value = Some(rest.try_get_f32().ok()?);
        }
    }
    let [accuracy_m, heading, speed, battery] = measured;
    let place = Place { lat, lng };
    let location = Location { n, at, place, accuracy_m, heading, speed, battery };
    let mut open = Vec::new();
    for _ in 0..rest.try_get_u8().ok()? {
        let mut id = || rest.try_get_u128().ok().map(Uuid::from_u128);
        let (order, store) = (OrderId::from_uuid(id()?), StoreId::from_uuid(id()?));
        let status = word_at(rest.try_get_u8().ok()?)?;
        let leg = rest.try_get_u8().ok()?;
        let stops_before = i32::from(rest.try_get_u8().ok()?);
        let (toured, leg): (bool, Leg) = (leg & 1 == 1, word_at(leg >> 1)?);
        let errand = Errand { order, store, status, leg, toured, stops_before };
        open.push(OpenErrand { errand, target: None });
    }
    let errands = Arc::new(Errands { vehicle: String::new(), open });
    Some(Telling { tenant, driver, location, heard_at, as_of, errands })
}

/// A word by its place in its list.
fn place_of<W: Word>(word: W) -> u8 {
    let place = W::WORDS.iter().position(|known| *known == word.word());
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX >> 1)
}

fn word_at<W: Word>(place: u8) -> Option<W> {
    W::find(W::WORDS.get(usize::from(place))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Status;

    fn telling(n: i64, orders: usize) -> Telling {
        let errand = |nth: usize| Errand {
            order: OrderId::new(),
            store: StoreId::new(),
            status: Status::ALL[nth % Status::ALL.len()],
            leg: if nth == 0 { Leg::EnRoute } else { Leg::Closed },
            toured: nth.is_multiple_of(2),
            stops_before: i32::try_from(nth).unwrap(),
        };
        let open = (0..orders).map(|nth| OpenErrand { errand: errand(nth), target: None });
        let place = Place { lat: -52.123_456_7, lng: 179.999_999_9 };
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let location = Location {
            n,
            at,
            place,
            accuracy_m: (n % 2 == 0).then_some(12.5),
            heading: None,
            speed: Some(6.25),
            battery: (n % 3 == 0).then_some(0.5),
        };
        Telling {
            tenant: TenantId::new(),
            driver: DriverId::new(),
            location,
            heard_at: at,
            as_of: u64::from(u32::MAX) * 7,
            errands: Arc::new(Errands { vehicle: String::new(), open: open.collect() }),
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_and_no_packet_is_too_long() {
        let told: Vec<Telling> =
            (0..500).zip((0..5).cycle()).map(|(n, open)| telling(n, open)).collect();
        let told = [told, vec![telling(1, 50)]].concat();
        let packets = pack(Uuid::new_v4(), &told);
        assert!(packets.len() > 5 && packets.iter().all(|packet| packet.len() < 8_000));
        let heard: Vec<Telling> =
            packets.iter().flat_map(|packet| unpack(Uuid::new_v4(), packet)).collect();
        assert_eq!(heard.len(), told.len());
        for (heard, told) in heard.iter().zip(&told) {
            assert_eq!((heard.tenant, heard.driver), (told.tenant, told.driver));
            assert_eq!((heard.location, heard.as_of), (told.location, told.as_of));
            assert_eq!(heard.heard_at, told.heard_at);
            assert_eq!(heard.errands.open, told.errands.open);
        }
    }

    #[test]
    fn a_process_does_not_hear_itself_nor_nonsense() {
        let process = Uuid::new_v4();
        let packets = pack(process, &[telling(1, 1)]);
        assert!(unpack(process, &packets[0]).is_empty());
        assert_eq!(unpack(Uuid::new_v4(), &packets[0]).len(), 1);
        let cut = packets[0].get(..packets[0].len() - 8).unwrap();
        for text in ["", "A", "nonsense", cut] {
            assert!(unpack(Uuid::new_v4(), text).is_empty(), "{text}");
        }
        assert!(pack(process, &[]).is_empty());
    }
}
