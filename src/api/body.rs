//! Bodies as callers send them, and how a bad one is told: the field and what is wrong with it.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Problem, ProblemCode};
use crate::domain::{
    Dropoff, Item, Place, Proof, ProofKind, ProofKinds, ProofRequired, ReasonCode, Window, Word,
};

/// Longest text of any field but those with a bound of their own, in bytes.
const TEXT_MAX: usize = 1_000;

/// A field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Its path in the body, as in `dropoff.lat`.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Reads a body as JSON; an empty one is an empty object.
pub fn read_body(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let body: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    if body.is_object() { Ok(body) } else { Err(Problem::field("body", "must be an object")) }
}

/// Reads what a body says.
pub(super) fn parse<T: DeserializeOwned>(body: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(body).map_err(|error| bad_body(&error))
}

fn malformed(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    Problem::new(ProblemCode::Malformed, format!("the body is not JSON ({place})"))
}

fn bad_body(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let detail = error.inner().to_string();
    let path = error.path().to_string();
    let path = if path == "." { String::new() } else { path };
    // Names the member itself where serde only names what holds it.
    let member = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|start| detail.strip_prefix(start))
        .and_then(|rest| rest.split('`').next())
        .filter(|member| path.rsplit('.').next() != Some(member));
    let field = match (path.is_empty(), member) {
        (true, Some(member)) => member.to_owned(),
        (false, Some(member)) => format!("{path}.{member}"),
        (true, None) => "body".to_owned(),
        (false, None) => path,
    };
    Problem::field(field, detail)
}

/// The word of a closed list in a field.
pub(super) fn word<W: Word>(field: &str, text: &str) -> Result<W, Problem> {
    W::find(text).map_err(|error| Problem::field(field, error.to_string()))
}

/// A text that must not be empty.
pub(super) fn required_text(field: &str, text: String, max: usize) -> Result<String, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::field(field, "must not be empty"));
    }
    bounded_text(field, text, max)
}

/// A text of at most `max` bytes without control characters.
pub(super) fn bounded_text(field: &str, text: String, max: usize) -> Result<String, Problem> {
    if text.len() > max {
        return Err(Problem::field(field, format!("is longer than {max} bytes")));
    }
    if text.contains('\0') {
        return Err(Problem::field(field, "must not contain U+0000"));
    }
    Ok(text)
}

/// The same for a text that may be absent.
pub(super) fn optional_text(
    field: &str,
    text: Option<String>,
    max: usize,
) -> Result<Option<String>, Problem> {
    text.map(|text| bounded_text(field, text, max)).transpose()
}

/// A moment in RFC 3339, cut to the milliseconds of the wire.
pub(super) fn moment(field: &str, text: &str) -> Result<Timestamp, Problem> {
    let at: Timestamp = text
        .parse()
        .map_err(|_| Problem::field(field, "is not a time in RFC 3339, as 2025-01-02T18:04:05Z"))?;
    // What PostgreSQL and every client can hold.
    let year = at.as_second();
    if !(0..=253_402_300_799).contains(&year) {
        return Err(Problem::field(field, "lies outside the years 1970 to 9999"));
    }
    Ok(Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at))
}

/// A point on the map.
pub(super) fn place(field: &str, lat: f64, lng: f64) -> Result<Place, Problem> {
    let path = |name: &str| {
        if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
    };
    if !(-90.0..=90.0).contains(&lat) {
        return Err(Problem::field(path("lat"), "must be -90 to 90"));
    }
    if !(-180.0..=180.0).contains(&lng) {
        return Err(Problem::field(path("lng"), "must be -180 to 180"));
    }
    Ok(Place { lat, lng })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DropoffBody {
    name: String,
    phone: Option<String>,
    address: String,
    lat: f64,
    lng: f64,
    notes: Option<String>,
    #[serde(default)]
    leave_at_door: bool,
}

impl DropoffBody {
    pub(super) fn dropoff(self) -> Result<Dropoff, Problem> {
        Ok(Dropoff {
            name: required_text("dropoff.name", self.name, 200)?,
            phone: optional_text("dropoff.phone", self.phone, 40)?,
            address: required_text("dropoff.address", self.address, TEXT_MAX)?,
            place: place("dropoff", self.lat, self.lng)?,
            notes: optional_text("dropoff.notes", self.notes, TEXT_MAX)?,
            leave_at_door: self.leave_at_door,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowBody {
    from: String,
    to: String,
}

impl WindowBody {
    pub(super) fn window(&self) -> Result<Window, Problem> {
        let window =
            Window { from: moment("window.from", &self.from)?, to: moment("window.to", &self.to)? };
        if window.from >= window.to {
            return Err(Problem::field("window.to", "must be later than window.from"));
        }
        Ok(window)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemBody {
    name: String,
    qty: i32,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one kind")]
struct ProofRequiredBody {
    photo: bool,
    signature: bool,
    pin: bool,
    scan: bool,
    pickup: Vec<String>,
    #[serde(rename = "return")]
    back: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderBody {
    pub(super) external_id: String,
    pub(super) store: String,
    pub(super) fulfilment: Option<String>,
    pub(super) dropoff: Option<DropoffBody>,
    items: Vec<ItemBody>,
    pub(super) note: Option<String>,
    pub(super) window: Option<WindowBody>,
    pub(super) undeliverable_action: Option<String>,
    #[serde(default)]
    proof_required: ProofRequiredBody,
    pub(super) meta: Option<serde_json::Map<String, Value>>,
}

impl OrderBody {
    pub(super) fn items(&self) -> Result<Vec<Item>, Problem> {
        let item = |(nth, item): (usize, &ItemBody)| {
            let name = required_text(&format!("items[{nth}].name"), item.name.clone(), 200)?;
            if item.qty < 1 {
                return Err(Problem::field(format!("items[{nth}].qty"), "must be 1 or more"));
            }
            Ok(Item { name, qty: item.qty })
        };
        self.items.iter().enumerate().map(item).collect()
    }

    pub(super) fn proof_required(&self) -> Result<ProofRequired, Problem> {
        let body = &self.proof_required;
        let kinds = |point: &str, words: &[String]| -> Result<ProofKinds, Problem> {
            let kind = |(nth, text): (usize, &String)| {
                let path = format!("proof_required.{point}[{nth}]");
                let kind = word(&path, text)?;
                if kind == ProofKind::Pin {
                    return Err(Problem::field(path, "a PIN proves a drop-off only"));
                }
                Ok(kind)
            };
            if words.len() > ProofKind::ALL.len() {
                return Err(Problem::field(format!("proof_required.{point}"), "names too many"));
            }
            words.iter().enumerate().map(kind).collect()
        };
        Ok(ProofRequired {
            photo: body.photo,
            signature: body.signature,
            pin: body.pin,
            scan: body.scan,
            pickup: kinds("pickup", &body.pickup)?,
            back: kinds("return", &body.back)?,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent leaves alone, null clears")]
pub(super) struct PatchBody {
    #[serde(default, deserialize_with = "given")]
    pub(super) note: Option<Option<String>>,
    pub(super) dropoff: Option<DropoffBody>,
    pub(super) window: Option<WindowBody>,
    pub(super) meta: Option<serde_json::Map<String, Value>>,
}

/// Tells `null`, which clears, from absent, which leaves alone.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// When an order is picked up and delivered, by somebody's word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EtaBody {
    pub(super) pickup_eta: Option<String>,
    pub(super) dropoff_eta: Option<String>,
    pub(super) lo: Option<String>,
    pub(super) hi: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofBody {
    kind: String,
    #[serde(rename = "ref")]
    reference: String,
}

/// The body of an action. Which members an action takes, [`ActionBody::only`] says.
#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ActionBody {
    reason: Option<String>,
    note: Option<String>,
    pub(super) prep_min: Option<i32>,
    why: Option<String>,
    pin: Option<String>,
    proofs: Option<Vec<ProofBody>>,
    pub(super) driver: Option<String>,
    at: Option<String>,
    lat: Option<f64>,
    lng: Option<f64>,
}

impl ActionBody {
    /// Refuses members that the action does not take, rather than ignoring them.
    pub(super) fn only(&self, taken: &[&str]) -> Result<(), Problem> {
        let given = [
            ("reason", self.reason.is_some()),
            ("note", self.note.is_some()),
            ("prep_min", self.prep_min.is_some()),
            ("why", self.why.is_some()),
            ("pin", self.pin.is_some()),
            ("proofs", self.proofs.is_some()),
            ("driver", self.driver.is_some()),
        ];
        match given.iter().find(|(name, given)| *given && !taken.contains(name)) {
            Some((name, _)) => Err(Problem::field(*name, "this action takes no such member")),
            None => Ok(()),
        }
    }

    pub(super) fn reason(&self) -> Result<(ReasonCode, Option<String>), Problem> {
        let code = self.reason.as_deref();
        let code = code.ok_or_else(|| Problem::field("reason", "is required"))?;
        let note = optional_text("note", self.note.clone(), TEXT_MAX)?;
        Ok((word("reason", code)?, note))
    }

    /// A remark, which must be there.
    pub(super) fn text(&self) -> Result<String, Problem> {
        let note = self.note.clone();
        required_text("note", note.ok_or_else(|| Problem::field("note", "is required"))?, TEXT_MAX)
    }

    pub(super) fn has_reason(&self) -> bool {
        self.reason.is_some()
    }

    pub(super) fn why(&self) -> Result<Option<String>, Problem> {
        optional_text("why", self.why.clone(), TEXT_MAX)
    }

    pub(super) fn pin(&self) -> Result<Option<String>, Problem> {
        optional_text("pin", self.pin.clone(), 16)
    }

    pub(super) fn proofs(&self) -> Result<Vec<Proof>, Problem> {
        let proofs = self.proofs.as_deref().unwrap_or_default();
        if proofs.len() > 10 {
            return Err(Problem::field("proofs", "has more than 10 entries"));
        }
        let proof = |(nth, proof): (usize, &ProofBody)| {
            let path = format!("proofs[{nth}]");
            let kind: ProofKind = word(&format!("{path}.kind"), &proof.kind)?;
            let reference = required_text(&format!("{path}.ref"), proof.reference.clone(), 2_048)?;
            Ok(Proof { kind, reference })
        };
        proofs.iter().enumerate().map(proof).collect()
    }

    pub(super) fn occurred_at(&self) -> Result<Option<Timestamp>, Problem> {
        self.at.as_deref().map(|at| moment("at", at)).transpose()
    }

    pub(super) fn place(&self) -> Result<Option<Place>, Problem> {
        match (self.lat, self.lng) {
            (None, None) => Ok(None),
            (Some(lat), Some(lng)) => place("", lat, lng).map(Some),
            (Some(_), None) => Err(Problem::field("lng", "is required with lat")),
            (None, Some(_)) => Err(Problem::field("lat", "is required with lng")),
        }
    }
}
