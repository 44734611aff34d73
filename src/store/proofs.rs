//! Proofs of hand-overs: written by the batch that records them, read by those who may see them.

use std::time::Duration;

use jiff::Timestamp;
use postgres_types::ToSql;
use uuid::Uuid;

use super::{Database, Error, read};
use crate::domain::{
    Event, Fact, Order, OrderId, Place, Proof, ProofContent, ProofId, ProofKind, ProofKinds,
    ProofPoint, Role, TenantId, UnknownWord, Word as _,
};
use crate::view::ShownProof;

/// Proofs of one order that are shown: more than it takes, but for many attempts.
const SHOWN: i64 = 200;

/// A proof as it is written.
#[derive(Debug, Clone, ToSql)]
#[postgres(name = "proof_record")]
pub(super) struct ProofRecord {
    id: Uuid,
    tenant_id: Uuid,
    order_id: Uuid,
    at_point: &'static str,
    kind: &'static str,
    attempt: i32,
    url: Option<String>,
    #[postgres(name = "ref")]
    reference: Option<String>,
    content_type: Option<&'static str>,
    hash: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
    by_role: &'static str,
    by_id: String,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
    lat: Option<f64>,
    lng: Option<f64>,
}

impl ProofRecord {
    /// The proofs that came with an event.
    pub(super) fn of(
        event: &Event,
        order: &Order,
        place: Option<Place>,
        now: Timestamp,
    ) -> Vec<Self> {
        let bare = |id: ProofId, point: ProofPoint, kind: ProofKind| Self {
            id: id.uuid(),
            tenant_id: order.tenant.uuid(),
            order_id: order.id.uuid(),
            at_point: point.word(),
            kind: kind.word(),
            attempt: order.attempt,
            url: None,
            reference: None,
            content_type: None,
            hash: None,
            data: None,
            by_role: event.by.role.word(),
            by_id: event.by.id.clone(),
            occurred_at: event.occurred_at,
            recorded_at: now,
            lat: place.map(|place| place.lat),
            lng: place.map(|place| place.lng),
        };
        let brought = |point: ProofPoint, proofs: &[Proof]| {
            let record = |proof: &Proof| {
                let text = Some(proof.reference.clone()).filter(|text| !text.is_empty());
                let (url, reference) = match text {
                    Some(text) if text.starts_with("https://") => (Some(text), None),
                    text => (None, text),
                };
                Self { url, reference, ..bare(ProofId::new(), point, proof.kind) }
            };
            proofs.iter().map(record).collect()
        };
        if let Fact::PickedUp { proofs, .. } = &event.fact {
            brought(ProofPoint::Pickup, proofs)
        } else if let Fact::Delivered { proofs } = &event.fact {
            brought(ProofPoint::Dropoff, proofs)
        } else if let Fact::Returned { proofs, .. } = &event.fact {
            brought(ProofPoint::Return, proofs)
        } else if let Fact::ProofAdded(proof) = &event.fact {
            let mut record = bare(proof.id, proof.point, proof.kind);
            record.hash = Some(proof.hash.clone());
            match &proof.content {
                ProofContent::Inline(kind, picture) => {
                    record.content_type = Some(kind.word());
                    record.data = Some(picture.0.to_vec());
                }
                ProofContent::Url(url) => record.url = Some(url.clone()),
                ProofContent::Text(text) => record.reference = Some(text.clone()),
            }
            vec![record]
        } else {
            Vec::new()
        }
    }
}

/// Kinds as a column has them.
pub(super) fn words_of(kinds: ProofKinds) -> Vec<String> {
    kinds.iter().map(|kind| kind.word().to_owned()).collect()
}

/// The kinds of a column.
pub(super) fn kinds_of(words: &[String]) -> Result<ProofKinds, UnknownWord> {
    words.iter().map(|word| ProofKind::find(word)).collect()
}

/// A picture that is kept here.
#[derive(Debug, Clone)]
pub struct KeptPicture {
    /// What it proves.
    pub point: ProofPoint,
    /// What it is.
    pub kind: ProofKind,
    /// Its content type.
    pub content_type: String,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl Database {
    /// An order's proofs that are not older than `max_age`, the oldest first.
    pub async fn list_proofs(
        &self,
        tenant: TenantId,
        order: OrderId,
        max_age: Duration,
    ) -> Result<Vec<ShownProof>, Error> {
        let rows = read!(
            self,
            LIST_PROOFS,
            /* tenant */ &tenant.uuid(),
            /* order */ &order.uuid(),
            /* max_age_s */ &max_age.as_secs_f64(),
            /* limit */ &SHOWN,
        );
        let shown = rows.iter().map(|row| {
            let place = row.try_get::<_, Option<f64>>("lat")?.zip(row.try_get("lng")?);
            Ok(ShownProof {
                id: ProofId::from_uuid(row.try_get("id")?),
                order,
                point: ProofPoint::find(row.try_get("at_point")?)?,
                kind: ProofKind::find(row.try_get("kind")?)?,
                attempt: row.try_get("attempt")?,
                url: row.try_get("url")?,
                reference: row.try_get("ref")?,
                content_type: row.try_get("content_type")?,
                hash: row.try_get("hash")?,
                bytes: row.try_get("bytes")?,
                by: crate::domain::Actor {
                    role: Role::find(row.try_get("by_role")?)?,
                    id: row.try_get("by_id")?,
                },
                occurred_at: row.try_get("occurred_at")?,
                recorded_at: row.try_get("recorded_at")?,
                place: place.map(|(lat, lng)| Place { lat, lng }),
            })
        });
        shown.collect()
    }

    /// One picture that is kept here and not older than `max_age`.
    pub async fn find_picture(
        &self,
        tenant: TenantId,
        order: OrderId,
        id: ProofId,
        max_age: Duration,
    ) -> Result<Option<KeptPicture>, Error> {
        let rows = read!(
            self,
            FIND_PICTURE,
            /* tenant */ &tenant.uuid(),
            /* order */ &order.uuid(),
            /* id */ &id.uuid(),
            /* max_age_s */ &max_age.as_secs_f64(),
        );
        let Some(row) = rows.first() else { return Ok(None) };
        let content_type: Option<String> = row.try_get("content_type")?;
        let data: Option<Vec<u8>> = row.try_get("data")?;
        let Some((content_type, data)) = content_type.zip(data) else { return Ok(None) };
        Ok(Some(KeptPicture {
            point: ProofPoint::find(row.try_get("at_point")?)?,
            kind: ProofKind::find(row.try_get("kind")?)?,
            content_type,
            data,
        }))
    }
}
