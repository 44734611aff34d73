//! A proof of a hand-over as each audience sees it. The picture itself is another matter: who may
//! look at it, [`shows_proof`] says.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Audience, Sheet, put, put_text, put_time, put_word};
use crate::domain::{
    Actor, NewProof, Order, OrderId, Place, Proof, ProofContent, ProofId, ProofKind, ProofKinds,
    ProofPoint, Word as _,
};

/// A proof as it is kept, without the bytes of its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownProof {
    /// Which one.
    pub id: ProofId,
    /// The order's.
    pub order: OrderId,
    /// What it proves.
    pub point: ProofPoint,
    /// What it is.
    pub kind: ProofKind,
    /// The delivery attempt that it is of.
    pub attempt: i32,
    /// Where it is, if it is kept elsewhere.
    pub url: Option<String>,
    /// The text of a scanned code, or another reference.
    pub reference: Option<String>,
    /// What its picture is, if that is kept here.
    pub content_type: Option<String>,
    /// SHA-256 of what was uploaded.
    pub hash: Option<Vec<u8>>,
    /// Bytes of its picture.
    pub bytes: Option<i32>,
    /// Who made it.
    pub by: Actor,
    /// When, by the device that made it.
    pub occurred_at: Timestamp,
    /// When the database recorded it.
    pub recorded_at: Timestamp,
    /// Where the device was.
    pub place: Option<Place>,
}

/// Whether an audience may look at a proof. A customer sees what shows its own hand-over, and so
/// does whoever has its link, as long as that lasts; a courier hands proofs in and looks at none.
pub fn shows_proof(point: ProofPoint, kind: ProofKind, audience: Audience) -> bool {
    match audience {
        Audience::Ops | Audience::Platform | Audience::Store => true,
        Audience::Customer | Audience::Link => hears_of(point, kind),
        // Without a name, which a signature is.
        Audience::PastLink => hears_of(point, kind) && kind == ProofKind::Photo,
        Audience::Driver | Audience::FormerDriver => false,
    }
}

/// Whether a customer is told of it.
pub(super) fn hears_of(point: ProofPoint, kind: ProofKind) -> bool {
    point == ProofPoint::Dropoff && matches!(kind, ProofKind::Photo | ProofKind::Signature)
}

/// The proof for one audience; where it is to be looked at only for those who may.
pub fn proof(proof: &ShownProof, audience: Audience) -> Value {
    let mut view = Map::new();
    put(&mut view, "id", proof.id.to_string());
    put(&mut view, "order", proof.order.to_string());
    put_word(&mut view, "point", proof.point);
    put_word(&mut view, "kind", proof.kind);
    put_time(&mut view, "at", Some(proof.recorded_at));
    put_text(&mut view, "content_type", proof.content_type.as_ref());
    if let Some(bytes) = proof.bytes {
        put(&mut view, "bytes", bytes);
    }
    if shows_proof(proof.point, proof.kind, audience) {
        put_text(&mut view, "url", proof.url.as_ref());
        if proof.content_type.is_some() {
            put(&mut view, "href", format!("/v1/orders/{}/proofs/{}", proof.order, proof.id));
        }
    }
    let inside = matches!(audience, Audience::Ops | Audience::Platform);
    if !audience.is_customer() {
        put(&mut view, "attempt", proof.attempt);
        put_time(&mut view, "occurred_at", Some(proof.occurred_at));
        let mut by = Map::new();
        put_word(&mut by, "role", proof.by.role);
        if inside {
            put(&mut by, "id", proof.by.id.as_str());
        }
        put(&mut view, "by", Value::Object(by));
    }
    if inside {
        put_text(&mut view, "ref", proof.reference.as_ref());
        if let Some(place) = proof.place {
            put(&mut view, "place", json!({"lat": place.lat, "lng": place.lng}));
        }
    }
    Value::Object(view)
}

/// What the log keeps of one that is added: never its bytes.
pub(super) fn added(proof: &NewProof, sheet: Option<&Sheet>) -> Map<String, Value> {
    let mut data = Map::new();
    put(&mut data, "proof", proof.id.to_string());
    put_word(&mut data, "point", proof.point);
    put_word(&mut data, "kind", proof.kind);
    if let Some(sheet) = sheet {
        put(&mut data, "attempt", sheet.order.attempt);
    }
    match &proof.content {
        ProofContent::Inline(kind, picture) => {
            put_word(&mut data, "content_type", *kind);
            put(&mut data, "bytes", picture.0.len());
        }
        ProofContent::Url(url) => put(&mut data, "url", url.as_str()),
        ProofContent::Text(text) => put(&mut data, "ref", text.as_str()),
    }
    data
}

/// What those outside are told of it: where it is they ask for, as long as they may.
pub(super) fn trim_added(data: &mut Map<String, Value>) {
    data.remove("url");
    data.remove("ref");
}

/// Whether a customer hears of such an event.
pub(super) fn is_for_customer(data: &Map<String, Value>) -> bool {
    let word = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    match (ProofPoint::find(word("point")), ProofKind::find(word("kind"))) {
        (Ok(point), Ok(kind)) => hears_of(point, kind),
        _ => false,
    }
}

/// Which proofs an order needs.
pub(super) fn required(order: &Order) -> Value {
    let required = order.proof_required;
    let mut view = Map::new();
    put(&mut view, "photo", required.photo);
    put(&mut view, "signature", required.signature);
    put(&mut view, "pin", required.pin);
    put(&mut view, "scan", required.scan);
    for (key, kinds) in [("pickup", required.pickup), ("return", required.back)] {
        if !kinds.is_empty() {
            put(&mut view, key, words(kinds));
        }
    }
    Value::Object(view)
}

/// Which it has, by hand-over; absent while it has none.
pub(super) fn put_held(view: &mut Map<String, Value>, order: &Order) {
    let mut held = Map::new();
    for point in ProofPoint::ALL {
        let kinds = order.proofs_of(*point);
        if !kinds.is_empty() {
            put(&mut held, point.word(), words(kinds));
        }
    }
    if !held.is_empty() {
        put(view, "proofs", Value::Object(held));
    }
}

fn words(kinds: ProofKinds) -> Vec<&'static str> {
    kinds.iter().map(crate::domain::Word::word).collect()
}

/// The proofs of the hand-over that an event is of: all that the order has of it, and where those
/// are that came with it.
pub(super) fn put_proofs(
    data: &mut Map<String, Value>,
    point: ProofPoint,
    proofs: &[Proof],
    sheet: Option<&Sheet>,
) {
    let held = sheet.map(|sheet| sheet.order.proofs_of(point)).unwrap_or_default();
    let kinds: ProofKinds = held.iter().chain(proofs.iter().map(|proof| proof.kind)).collect();
    if kinds.is_empty() {
        return;
    }
    put(data, "proofs", words(kinds));
    let references = proofs.iter().filter(|proof| !proof.reference.is_empty()).map(|proof| {
        let mut view = Map::new();
        put_word(&mut view, "kind", proof.kind);
        put(&mut view, "ref", proof.reference.as_str());
        Value::Object(view)
    });
    let references: Vec<Value> = references.collect();
    put(data, "proof_refs", references);
}
