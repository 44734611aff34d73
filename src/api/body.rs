//! Bodies as callers send them, and how a bad one is told: the field and what is wrong with it.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Problem, ProblemCode};
use crate::domain::{
    Dropoff, Item, Place, Proof, ProofKind, ProofKinds, ProofRequired, ReasonCode, Window, Word,
};
use crate::view::schema;

/// Longest text of any field but those with a bound of their own, in characters.
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

/// A text of at most `max` characters, without U+0000.
pub(super) fn bounded_text(field: &str, text: String, max: usize) -> Result<String, Problem> {
    // As JSON Schema counts: characters, not bytes.
    if text.chars().nth(max).is_some() {
        return Err(Problem::field(field, format!("is longer than {max} characters")));
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

/// Where and to whom an order goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DropoffBody {
    /// The customer's full name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The customer's phone.
    #[schema(max_length = 40)]
    phone: Option<String>,
    /// Street and number first, then the rest, parted by commas.
    #[schema(min_length = 1, max_length = 1000)]
    address: String,
    /// Latitude of the door, WGS84 degrees.
    #[schema(minimum = -90, maximum = 90)]
    lat: f64,
    /// Longitude of the door, WGS84 degrees.
    #[schema(minimum = -180, maximum = 180)]
    lng: f64,
    /// How to find or ring, for the courier.
    #[schema(max_length = 1000)]
    notes: Option<String>,
    /// Whether it may be left at the door.
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

/// When the customer wants it: from 1970 to 9999, and `from` before `to`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowBody {
    /// Not before.
    #[schema(format = DateTime)]
    from: String,
    /// Not after.
    #[schema(format = DateTime)]
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

/// One line of an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ItemBody {
    /// What it is.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// How many.
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    qty: i32,
}

/// Which proofs its hand-overs need.
#[derive(Debug, Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one kind")]
struct ProofRequiredBody {
    /// At the drop-off, a picture.
    photo: bool,
    /// At the drop-off, a signature.
    signature: bool,
    /// At the drop-off, the customer's PIN.
    pin: bool,
    /// At the drop-off, a scanned code.
    scan: bool,
    /// Of these kinds at the pick-up.
    #[schema(value_type = Vec<schema::ProofKind>)]
    pickup: Vec<String>,
    /// Of these kinds when it is brought back.
    #[serde(rename = "return")]
    #[schema(value_type = Vec<schema::ProofKind>)]
    back: Vec<String>,
}

/// An order to place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    /// The platform's name for it.
    #[schema(min_length = 1, max_length = 128)]
    pub(super) external_id: String,
    /// Who prepares it.
    #[schema(value_type = schema::StoreId)]
    pub(super) store: String,
    /// How it reaches the customer; a delivery if nothing is said.
    #[schema(value_type = Option<schema::Fulfilment>)]
    pub(super) fulfilment: Option<String>,
    /// Where and to whom it goes; for all but what is collected.
    pub(super) dropoff: Option<DropoffBody>,
    /// What it consists of.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<ItemBody>,
    /// A wish to the store.
    #[schema(max_length = 1000)]
    pub(super) note: Option<String>,
    /// When the customer wants it; as soon as may be if nothing is said.
    pub(super) window: Option<WindowBody>,
    /// What becomes of it when it cannot be handed over; it returns if nothing is said.
    #[schema(value_type = Option<schema::Undeliverable>)]
    pub(super) undeliverable_action: Option<String>,
    /// Which proofs its delivery needs.
    #[serde(default)]
    proof_required: ProofRequiredBody,
    /// Data of the platform's own. Of a tenant in robo mode, `robo` says how the order goes its way:
    /// `end` (`delivered`, `rejected`, `cancelled`, `returned`, `failed`) and `step_s` (1 to 3600).
    #[schema(value_type = Option<schema::Meta>)]
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

/// Details of an order to change; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent leaves alone, null clears")]
pub struct PatchBody {
    /// A wish to the store; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    pub(super) note: Option<Option<String>>,
    /// Another door; only before pick-up.
    pub(super) dropoff: Option<DropoffBody>,
    /// Another window; only before the store has accepted.
    pub(super) window: Option<WindowBody>,
    /// Other data of the platform's own.
    #[schema(value_type = Option<schema::Meta>)]
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

/// When an order is picked up and delivered, by somebody's word: from 1970 to 9999.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EtaBody {
    /// When the courier has it.
    #[schema(format = DateTime)]
    pub(super) pickup_eta: Option<String>,
    /// When it is delivered.
    #[schema(format = DateTime)]
    pub(super) dropoff_eta: Option<String>,
    /// Not before; some minutes before `dropoff_eta` when absent.
    #[schema(format = DateTime)]
    pub(super) lo: Option<String>,
    /// Not after; some minutes after `dropoff_eta` when absent.
    #[schema(format = DateTime)]
    pub(super) hi: Option<String>,
}

/// What proves a hand-over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProofBody {
    /// What it is.
    #[schema(value_type = schema::ProofKind)]
    kind: String,
    /// Where it is: a URL, or a hash of what was shown.
    #[serde(rename = "ref")]
    #[schema(min_length = 1, max_length = 2048)]
    reference: String,
}

/// The body of an action. Which members an action takes, `ActionBody::only` says.
#[derive(Debug, Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionBody {
    /// Why; which codes there are depends on the action and the role, and `other` needs a note.
    #[schema(value_type = Option<schema::ReasonCode>)]
    reason: Option<String>,
    /// The reason in words.
    #[schema(max_length = 1000)]
    note: Option<String>,
    /// Minutes of preparation.
    #[schema(minimum = 0, maximum = 240)]
    pub(super) prep_min: Option<i32>,
    /// Why it takes longer or shorter.
    #[schema(max_length = 1000)]
    why: Option<String>,
    /// What the customer says at the door or the counter.
    #[schema(max_length = 16)]
    pin: Option<String>,
    /// What proves the hand-over.
    #[schema(max_items = 10)]
    proofs: Option<Vec<ProofBody>>,
    /// Which courier.
    #[schema(value_type = Option<schema::DriverId>)]
    pub(super) driver: Option<String>,
    /// When it happened by the device: from 1970 to 9999.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// Latitude of the device, WGS84 degrees; with `lng`.
    #[schema(minimum = -90, maximum = 90)]
    lat: Option<f64>,
    /// Longitude of the device, WGS84 degrees; with `lat`.
    #[schema(minimum = -180, maximum = 180)]
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

    /// Also where nothing would come of it: what was accepted already is not judged again.
    pub(super) fn check_prep_min(&self) -> Result<(), Problem> {
        match self.prep_min {
            Some(minutes) if !(0..=240).contains(&minutes) => {
                Err(Problem::field("prep_min", "must be 0 to 240"))
            }
            _ => Ok(()),
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
