//! The records that travel between the binary and PostgreSQL, and what they mean here.
//!
//! Each is a composite type of the schema with the same fields; the binding refuses a server
//! whose type differs.

use jiff::Timestamp;
use postgres_types::{FromSql, Json, ToSql};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::proofs::{kinds_of, words_of};
use super::webhooks::Webhook;
use crate::domain::{
    Actor, BatchId, Driver, DriverId, Dropoff, Duty, EtaSource, EventId, Fulfilment, HeldProof,
    Item, Leg, Notice, OfferMode, Order, OrderId, Place, ProofRequired, Reason, ReasonCode, Robo,
    RoboEnd, Role, Route, Search, Stamps, Status, Store, StoreId, TenantId, Undeliverable,
    UnknownWord, Vehicle, WebhookId, Window, Word as _,
};
use crate::view::LogEvent;

#[derive(Debug, Clone, FromSql, ToSql)]
#[postgres(name = "store_record")]
pub(super) struct StoreRecord {
    id: Uuid,
    tenant_id: Uuid,
    external_id: String,
    name: String,
    lat: f64,
    lng: f64,
    tz: String,
    phone: Option<String>,
    auto_accept: bool,
    default_prep_min: i32,
    paused_until: Option<Timestamp>,
}

impl From<StoreRecord> for Store {
    fn from(record: StoreRecord) -> Self {
        Self {
            id: StoreId::from_uuid(record.id),
            tenant: TenantId::from_uuid(record.tenant_id),
            external_id: record.external_id,
            name: record.name,
            place: Place { lat: record.lat, lng: record.lng },
            tz: record.tz,
            phone: record.phone,
            auto_accept: record.auto_accept,
            default_prep_min: record.default_prep_min,
            paused_until: record.paused_until,
        }
    }
}

#[derive(Debug, Clone, FromSql, ToSql)]
#[postgres(name = "driver_record")]
pub(super) struct DriverRecord {
    id: Uuid,
    tenant_id: Uuid,
    external_id: String,
    name: String,
    display_name: String,
    phone: Option<String>,
    vehicle_type: String,
    vehicle_make: Option<String>,
    vehicle_colour: Option<String>,
    vehicle_plate: Option<String>,
    duty: String,
    capacity: i32,
}

impl TryFrom<DriverRecord> for Driver {
    type Error = UnknownWord;
    fn try_from(record: DriverRecord) -> Result<Self, UnknownWord> {
        Ok(Self {
            id: DriverId::from_uuid(record.id),
            tenant: TenantId::from_uuid(record.tenant_id),
            external_id: record.external_id,
            name: record.name,
            display_name: record.display_name,
            phone: record.phone,
            vehicle: Vehicle {
                kind: record.vehicle_type,
                make: record.vehicle_make,
                colour: record.vehicle_colour,
                plate: record.vehicle_plate,
            },
            duty: Duty::find(&record.duty)?,
            capacity: record.capacity,
        })
    }
}

/// An item as it stands in the `items` column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ItemRecord {
    name: String,
    qty: i32,
}

#[derive(Debug, Clone, FromSql, ToSql)]
#[expect(clippy::struct_excessive_bools, reason = "as the table has them")]
#[postgres(name = "order_record")]
pub(super) struct OrderRecord {
    id: Uuid,
    tenant_id: Uuid,
    external_id: String,
    store_id: Uuid,
    short_code: String,
    fulfilment: String,
    status: String,
    leg: String,
    version: i64,
    driver_id: Option<Uuid>,
    dropoff_name: Option<String>,
    dropoff_phone: Option<String>,
    dropoff_address: Option<String>,
    dropoff_lat: Option<f64>,
    dropoff_lng: Option<f64>,
    dropoff_notes: Option<String>,
    leave_at_door: Option<bool>,
    items: Json<Vec<ItemRecord>>,
    note: Option<String>,
    window_from: Option<Timestamp>,
    window_to: Option<Timestamp>,
    prep_min: Option<i32>,
    undeliverable_action: String,
    proof_photo: bool,
    proof_signature: bool,
    proof_pin: bool,
    pin: Option<String>,
    pin_tries: i32,
    attempt: i32,
    created_at: Timestamp,
    placed_at: Option<Timestamp>,
    accepted_at: Option<Timestamp>,
    preparing_at: Option<Timestamp>,
    ready_at: Option<Timestamp>,
    assigned_at: Option<Timestamp>,
    at_store_at: Option<Timestamp>,
    picked_up_at: Option<Timestamp>,
    at_door_at: Option<Timestamp>,
    delivered_at: Option<Timestamp>,
    rejected_at: Option<Timestamp>,
    cancelled_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
    returning_at: Option<Timestamp>,
    returned_at: Option<Timestamp>,
    accept_by: Option<Timestamp>,
    release_at: Option<Timestamp>,
    ready_eta: Option<Timestamp>,
    pickup_eta: Option<Timestamp>,
    dropoff_eta: Option<Timestamp>,
    dropoff_eta_lo: Option<Timestamp>,
    dropoff_eta_hi: Option<Timestamp>,
    reason_code: Option<String>,
    reason_by: Option<String>,
    reason_note: Option<String>,
    status_by_role: String,
    status_by_id: String,
    meta: Value,
    batch_id: Option<Uuid>,
    stop_seq: Option<i32>,
    stops_before: i32,
    search_at: Option<Timestamp>,
    search_since: Option<Timestamp>,
    search_round: i32,
    search_mode: Option<String>,
    search_offer_s: i32,
    search_until: Option<Timestamp>,
    lost_by: Option<Uuid>,
    eta_source: Option<String>,
    eta_at: Option<Timestamp>,
    told: Vec<String>,
    erased_at: Option<Timestamp>,
    proof_scan: bool,
    proof_pickup: Vec<String>,
    proof_return: Vec<String>,
    proofs: Vec<String>,
    robo_end: Option<String>,
    robo_step_s: Option<i32>,
    robo_at: Option<Timestamp>,
    return_eta: Option<Timestamp>,
}

impl From<&Order> for OrderRecord {
    fn from(order: &Order) -> Self {
        let at = order.stamps;
        let door = order.dropoff.as_ref();
        let reason = order.reason.as_ref();
        let items = order.items.iter();
        Self {
            id: order.id.uuid(),
            tenant_id: order.tenant.uuid(),
            external_id: order.external_id.clone(),
            store_id: order.store.uuid(),
            short_code: order.short_code.clone(),
            fulfilment: order.fulfilment.word().to_owned(),
            status: order.status.word().to_owned(),
            leg: order.leg.word().to_owned(),
            version: order.version,
            driver_id: order.driver.map(DriverId::uuid),
            dropoff_name: door.map(|door| door.name.clone()),
            dropoff_phone: door.and_then(|door| door.phone.clone()),
            dropoff_address: door.map(|door| door.address.clone()),
            dropoff_lat: door.map(|door| door.place.lat),
            dropoff_lng: door.map(|door| door.place.lng),
            dropoff_notes: door.and_then(|door| door.notes.clone()),
            leave_at_door: door.map(|door| door.leave_at_door),
            items: Json(
                items.map(|item| ItemRecord { name: item.name.clone(), qty: item.qty }).collect(),
            ),
            note: order.note.clone(),
            window_from: order.window.map(|window| window.from),
            window_to: order.window.map(|window| window.to),
            prep_min: order.prep_min,
            undeliverable_action: order.undeliverable.word().to_owned(),
            proof_photo: order.proof_required.photo,
            proof_signature: order.proof_required.signature,
            proof_pin: order.proof_required.pin,
            pin: order.pin.clone(),
            pin_tries: order.pin_tries,
            attempt: order.attempt,
            created_at: at.created,
            placed_at: at.placed,
            accepted_at: at.accepted,
            preparing_at: at.preparing,
            ready_at: at.ready,
            assigned_at: at.assigned,
            at_store_at: at.at_store,
            picked_up_at: at.picked_up,
            at_door_at: at.at_door,
            delivered_at: at.delivered,
            rejected_at: at.rejected,
            cancelled_at: at.cancelled,
            failed_at: at.failed,
            returning_at: at.returning,
            returned_at: at.returned,
            accept_by: order.accept_by,
            release_at: order.release_at,
            ready_eta: order.ready_eta,
            pickup_eta: order.pickup_eta,
            dropoff_eta: order.dropoff_eta,
            dropoff_eta_lo: order.dropoff_eta_lo,
            dropoff_eta_hi: order.dropoff_eta_hi,
            reason_code: reason.map(|reason| reason.code.word().to_owned()),
            reason_by: reason.map(|reason| reason.by.word().to_owned()),
            reason_note: reason.and_then(|reason| reason.note.clone()),
            status_by_role: order.status_by.role.word().to_owned(),
            status_by_id: order.status_by.id.clone(),
            meta: order.meta.clone(),
            batch_id: order.route.batch.map(BatchId::uuid),
            stop_seq: order.route.seq,
            stops_before: order.route.before,
            search_at: order.search.at,
            search_since: order.search.since,
            search_round: order.search.round,
            search_mode: order.search.mode.map(|mode| mode.word().to_owned()),
            search_offer_s: order.search.offer_s,
            search_until: order.search.until,
            lost_by: order.search.lost_by.map(DriverId::uuid),
            eta_source: order.eta_source.map(|source| source.word().to_owned()),
            eta_at: order.eta_at,
            told: order.told.iter().map(|notice| notice.word().to_owned()).collect(),
            erased_at: order.erased_at,
            proof_scan: order.proof_required.scan,
            proof_pickup: words_of(order.proof_required.pickup),
            proof_return: words_of(order.proof_required.back),
            proofs: order.proofs.iter().map(HeldProof::text).collect(),
            robo_end: order.robo.map(|robo| robo.end.word().to_owned()),
            robo_step_s: order.robo.map(|robo| robo.step_s),
            robo_at: order.robo.and_then(|robo| robo.at),
            return_eta: order.return_eta,
        }
    }
}

fn robo(
    end: Option<&str>,
    step_s: Option<i32>,
    at: Option<Timestamp>,
) -> Result<Option<Robo>, UnknownWord> {
    let Some((end, step_s)) = end.zip(step_s) else { return Ok(None) };
    Ok(Some(Robo { end: RoboEnd::find(end)?, step_s, at }))
}

impl TryFrom<OrderRecord> for Order {
    type Error = UnknownWord;
    fn try_from(record: OrderRecord) -> Result<Self, UnknownWord> {
        let dropoff = match (record.dropoff_address, record.dropoff_lat, record.dropoff_lng) {
            (Some(address), Some(lat), Some(lng)) => Some(Dropoff {
                name: record.dropoff_name.unwrap_or_default(),
                phone: record.dropoff_phone,
                address,
                place: Place { lat, lng },
                notes: record.dropoff_notes,
                leave_at_door: record.leave_at_door.unwrap_or_default(),
            }),
            _ => None,
        };
        let reason = match (record.reason_code, record.reason_by) {
            (Some(code), Some(by)) => Some(Reason {
                code: ReasonCode::find(&code)?,
                by: Role::find(&by)?,
                note: record.reason_note,
            }),
            _ => None,
        };
        let window = record.window_from.zip(record.window_to);
        let items = record.items.0.into_iter();
        Ok(Self {
            id: OrderId::from_uuid(record.id),
            tenant: TenantId::from_uuid(record.tenant_id),
            external_id: record.external_id,
            store: StoreId::from_uuid(record.store_id),
            short_code: record.short_code,
            fulfilment: Fulfilment::find(&record.fulfilment)?,
            status: Status::find(&record.status)?,
            leg: Leg::find(&record.leg)?,
            version: record.version,
            driver: record.driver_id.map(DriverId::from_uuid),
            dropoff,
            items: items.map(|item| Item { name: item.name, qty: item.qty }).collect(),
            note: record.note,
            window: window.map(|(from, to)| Window { from, to }),
            prep_min: record.prep_min,
            undeliverable: Undeliverable::find(&record.undeliverable_action)?,
            proof_required: ProofRequired {
                photo: record.proof_photo,
                signature: record.proof_signature,
                pin: record.proof_pin,
                scan: record.proof_scan,
                pickup: kinds_of(&record.proof_pickup)?,
                back: kinds_of(&record.proof_return)?,
            },
            pin: record.pin,
            pin_tries: record.pin_tries,
            attempt: record.attempt,
            stamps: Stamps {
                created: record.created_at,
                placed: record.placed_at,
                accepted: record.accepted_at,
                preparing: record.preparing_at,
                ready: record.ready_at,
                assigned: record.assigned_at,
                at_store: record.at_store_at,
                picked_up: record.picked_up_at,
                at_door: record.at_door_at,
                delivered: record.delivered_at,
                rejected: record.rejected_at,
                cancelled: record.cancelled_at,
                failed: record.failed_at,
                returning: record.returning_at,
                returned: record.returned_at,
            },
            accept_by: record.accept_by,
            release_at: record.release_at,
            ready_eta: record.ready_eta,
            pickup_eta: record.pickup_eta,
            dropoff_eta: record.dropoff_eta,
            dropoff_eta_lo: record.dropoff_eta_lo,
            dropoff_eta_hi: record.dropoff_eta_hi,
            reason,
            status_by: Actor { role: Role::find(&record.status_by_role)?, id: record.status_by_id },
            meta: record.meta,
            route: Route {
                batch: record.batch_id.map(BatchId::from_uuid),
                seq: record.stop_seq,
                before: record.stops_before,
            },
            search: Search {
                at: record.search_at,
                since: record.search_since,
                round: record.search_round,
                mode: record.search_mode.as_deref().map(OfferMode::find).transpose()?,
                offer_s: record.search_offer_s,
                until: record.search_until,
                lost_by: record.lost_by.map(DriverId::from_uuid),
            },
            eta_source: record.eta_source.as_deref().map(EtaSource::find).transpose()?,
            eta_at: record.eta_at,
            told: record
                .told
                .iter()
                .map(|word| Notice::find(word))
                .collect::<Result<Vec<_>, _>>()?,
            erased_at: record.erased_at,
            return_eta: record.return_eta,
            robo: robo(record.robo_end.as_deref(), record.robo_step_s, record.robo_at)?,
            proofs: record
                .proofs
                .iter()
                .map(|text| HeldProof::parse(text))
                .collect::<Result<Vec<_>, _>>()?,
        })
    }
}

/// An event before its position is drawn.
#[derive(Debug, Clone, ToSql)]
#[postgres(name = "event_record")]
pub(super) struct EventRecord {
    pub(super) id: Uuid,
    pub(super) tenant_id: Uuid,
    pub(super) store_id: Option<Uuid>,
    pub(super) order_id: Option<Uuid>,
    pub(super) driver_id: Option<Uuid>,
    pub(super) prior_driver_id: Option<Uuid>,
    pub(super) n: Option<i64>,
    #[postgres(name = "type")]
    pub(super) kind: String,
    pub(super) actor_role: String,
    pub(super) actor_id: String,
    pub(super) was: Option<String>,
    pub(super) status: Option<String>,
    pub(super) occurred_at: Timestamp,
    pub(super) recorded_at: Timestamp,
    pub(super) data: Value,
}

#[derive(Debug, Clone, FromSql, ToSql)]
#[postgres(name = "webhook_record")]
pub(super) struct WebhookRecord {
    id: Uuid,
    tenant_id: Uuid,
    url: String,
    types: Option<Vec<String>>,
    secret: Vec<u8>,
    prior_secret: Option<Vec<u8>>,
    prior_until: Option<Timestamp>,
    enabled: bool,
    disabled_reason: Option<String>,
    disabled_at: Option<Timestamp>,
    cursor: i64,
    tries: i32,
    failing_since: Option<Timestamp>,
    next_try_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl From<WebhookRecord> for Webhook {
    fn from(record: WebhookRecord) -> Self {
        Self {
            id: WebhookId::from_uuid(record.id),
            tenant: TenantId::from_uuid(record.tenant_id),
            url: record.url,
            types: record.types,
            secret: record.secret,
            prior: record.prior_secret.zip(record.prior_until),
            enabled: record.enabled,
            disabled: record.disabled_reason.zip(record.disabled_at),
            cursor: record.cursor.unsigned_abs(),
            tries: record.tries.unsigned_abs(),
            failing_since: record.failing_since,
            next_try_at: record.next_try_at,
            created_at: record.created_at,
        }
    }
}

/// An event of the log from a row of one of the `read_…events` statements.
pub(super) fn event_from_row(row: &tokio_postgres::Row) -> Result<LogEvent, super::Error> {
    let status = |name: &str| -> Result<Option<Status>, super::Error> {
        let word: Option<&str> = row.try_get(name)?;
        Ok(word.map(Status::find).transpose()?)
    };
    let position: i64 = row.try_get("position")?;
    Ok(LogEvent {
        position: position.unsigned_abs(),
        id: EventId::from_uuid(row.try_get("id")?),
        tenant: TenantId::from_uuid(row.try_get("tenant_id")?),
        store: row.try_get::<_, Option<Uuid>>("store_id")?.map(StoreId::from_uuid),
        order: row.try_get::<_, Option<Uuid>>("order_id")?.map(OrderId::from_uuid),
        driver: row.try_get::<_, Option<Uuid>>("driver_id")?.map(DriverId::from_uuid),
        prior_driver: row.try_get::<_, Option<Uuid>>("prior_driver_id")?.map(DriverId::from_uuid),
        n: row.try_get("n")?,
        kind: row.try_get("type")?,
        by: Actor { role: Role::find(row.try_get("actor_role")?)?, id: row.try_get("actor_id")? },
        was: status("was")?,
        status: status("status")?,
        occurred_at: row.try_get("occurred_at")?,
        recorded_at: row.try_get("recorded_at")?,
        data: row.try_get("data")?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use postgres_types::Type;

    use super::*;
    use crate::store::tests::migrated;

    /// The fields of a record in this file, in order, and whether each may be absent.
    fn fields(record: &str) -> Vec<(String, bool)> {
        let source = include_str!("record.rs");
        let opening = format!("#[postgres(name = \"{record}\")]\npub(super) struct ");
        let (_, body) = source.split_once(&opening).unwrap();
        let (body, _) = body.split_once("\n}").unwrap();
        let mut renamed = None;
        let mut fields = Vec::new();
        for line in body.lines().skip(1).map(str::trim) {
            if let Some(name) = line.strip_prefix("#[postgres(name = \"") {
                renamed = Some(name.trim_end_matches("\")]").to_owned());
                continue;
            }
            let line = line.strip_prefix("pub(super) ").unwrap_or(line);
            let (name, kind) = line.split_once(": ").unwrap();
            let name = renamed.take().unwrap_or_else(|| name.to_owned());
            fields.push((name, kind.starts_with("Option<")));
        }
        fields
    }

    #[tokio::test]
    async fn each_record_is_the_schemas_composite_type() {
        let (client, _url) = migrated("records").await;
        let from = |kind: &Type| match kind.name() {
            "store_record" => <StoreRecord as FromSql<'_>>::accepts(kind),
            "driver_record" => <DriverRecord as FromSql<'_>>::accepts(kind),
            "order_record" => <OrderRecord as FromSql<'_>>::accepts(kind),
            "webhook_record" => <WebhookRecord as FromSql<'_>>::accepts(kind),
            // Written only.
            _ => true,
        };
        let to = |kind: &Type| match kind.name() {
            "store_record" => <StoreRecord as ToSql>::accepts(kind),
            "driver_record" => <DriverRecord as ToSql>::accepts(kind),
            "order_record" => <OrderRecord as ToSql>::accepts(kind),
            "webhook_record" => <WebhookRecord as ToSql>::accepts(kind),
            _ => <EventRecord as ToSql>::accepts(kind),
        };
        for (record, table) in [
            ("store_record", "stores"),
            ("driver_record", "drivers"),
            ("order_record", "orders"),
            ("event_record", "events"),
            ("webhook_record", "webhooks"),
        ] {
            let sql = format!("select null::{record}");
            let statement = client.prepare(&sql).await.unwrap();
            let kind = statement.columns()[0].type_();
            assert!(from(kind) && to(kind), "{record} is not {kind:?}");

            let sql = "select attname::text, not attnotnull from pg_attribute \
                       where attrelid = $1::text::regclass and attnum > 0 order by attnum";
            let attributes = async |relation: &str| -> Vec<(String, bool)> {
                let rows = client.query(sql, &[&relation]).await.unwrap();
                rows.iter().map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap())).collect()
            };
            // Of a composite type every attribute may be null: what may, the table says.
            let columns: BTreeMap<String, bool> = attributes(table).await.into_iter().collect();
            let wanted: Vec<(String, bool)> = attributes(record)
                .await
                .into_iter()
                .map(|(name, _)| (name.clone(), columns[&name]))
                .collect();
            assert_eq!(fields(record), wanted, "{record}, and its nullable columns in {table}");
        }
    }
}
