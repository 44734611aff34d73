//! Where couriers are, as their devices say.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{moment, parse};
use super::{Answer, Api, Asked, Problem, only};
use crate::domain::{Actor, OrderId, Place, Role, TenantId};
use crate::store::{Change, Location, LookedUp, Target};

/// Points of one message.
const POINTS_MAX: usize = 20;
/// A device's clock may run ahead by so much.
const AHEAD: SignedDuration = SignedDuration::from_mins(2);
/// A point that may be wrong by more metres says nothing.
const ACCURACY_MAX_M: f32 = 200.0;

/// Where a courier was.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocationsBody {
    /// The points.
    #[schema(schema_with = points)]
    p: Vec<Vec<Value>>,
}

/// `[[n, at, lat, lng, acc?, hdg?, spd?, bat?], …]`.
fn points() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
    use utoipa::openapi::{RefOr, Schema};

    let number = |least: f64, most: f64, kinds: SchemaType| {
        let number = ObjectBuilder::new().schema_type(kinds);
        Schema::from(number.minimum(Some(least)).maximum(Some(most)).build())
    };
    let must = || SchemaType::new(Type::Number);
    let may = || SchemaType::from_iter([Type::Number, Type::Null]);
    let time = SchemaType::from_iter([Type::String, Type::Integer]);
    let time = ObjectBuilder::new().schema_type(time);
    let values = vec![
        // Whole numbers that a double holds exactly.
        number(0.0, 9_007_199_254_740_991.0, SchemaType::new(Type::Integer)),
        time.description(Some("RFC 3339, or milliseconds since 1970.")).build().into(),
        number(-90.0, 90.0, must()),
        number(-180.0, 180.0, must()),
        number(0.0, 100_000.0, may()),
        number(0.0, 360.0, may()),
        number(0.0, 1_000.0, may()),
        number(0.0, 1.0, may()),
    ];
    let point = ArrayBuilder::new()
        .description(Some("`[n, at, lat, lng, acc?, hdg?, spd?, bat?]`, its number first."))
        .prefix_items(values)
        .min_items(Some(4))
        .max_items(Some(8))
        .build();
    let points = ArrayBuilder::new().items(RefOr::T(Schema::from(point))).min_items(Some(1));
    points.max_items(Some(POINTS_MAX)).build()
}

impl Api {
    /// Takes a courier's points, `{"p":[[n,at,lat,lng,acc,hdg,spd,bat],…]}`, the newest first;
    /// what comes after `lng` may be null or absent, `at` is RFC 3339 or milliseconds since 1970.
    /// Answers `{"n":…,"refused":…}`: the highest number among the points that make sense, and
    /// how many do not. The newest becomes where the courier is, unless that is newer already.
    pub async fn note_locations(&self, asked: &Asked, body: Value) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Driver])?;
        let given = body.clone();
        let driver = principal.driver().ok_or_else(Problem::not_found)?;
        let body: LocationsBody = parse(body)?;
        if body.p.is_empty() || body.p.len() > POINTS_MAX {
            return Err(Problem::field("p", format!("must have 1 to {POINTS_MAX} points")));
        }
        let now = self.now();
        let mut points = Vec::with_capacity(body.p.len());
        for (nth, values) in body.p.iter().enumerate() {
            points.push(point(&format!("p[{nth}]"), values)?);
        }
        let count = points.len();
        points.retain(|point| makes_sense(point, now));
        let refused = count - points.len();
        let highest = points.iter().map(|point| point.n).max();
        let newest = points.into_iter().max_by_key(|point| (point.at, point.n));
        let tenant = principal.tenant;
        let mut arriving = Vec::new();
        let answer = self.once(asked, ("locations", "", &given), async |database| {
            if let Some(newest) = &newest {
                arriving = database.note_location(tenant, driver, newest).await?;
            }
            Ok(Answer::of(json!({"n": highest, "refused": refused})))
        });
        let answer = answer.await?;
        // Only now: the writer sees what is committed, and needs a connection as well.
        self.tell_arrivals(tenant, arriving).await;
        Ok(answer)
    }

    /// Has orders looked at whose courier seems to be about to arrive.
    async fn tell_arrivals(&self, tenant: TenantId, orders: Vec<OrderId>) {
        for order in orders {
            let change = Change {
                tenant,
                by: Actor::system(),
                target: Target::Elapse { order, looked_up: LookedUp::default() },
                idempotency: None,
                if_match: None,
                occurred_at: None,
                place: None,
            };
            if let Err(error) = self.writer.submit(change).await {
                // The next point, or the next watch, finds it again.
                tracing::debug!(%error, "an arrival is told later");
            }
        }
    }
}

fn makes_sense(point: &Location, now: Timestamp) -> bool {
    let nowhere = point.place.lat == 0.0 && point.place.lng == 0.0;
    let vague = point.accuracy_m.is_some_and(|metres| metres > ACCURACY_MAX_M);
    point.at <= now + AHEAD && !nowhere && !vague
}

fn point(field: &str, values: &[Value]) -> Result<Location, Problem> {
    let bad = |nth: usize, detail: &str| Problem::field(format!("{field}[{nth}]"), detail);
    if !(4..=8).contains(&values.len()) {
        return Err(Problem::field(field, "must be [n, at, lat, lng, acc?, hdg?, spd?, bat?]"));
    }
    let number = |nth: usize| values.get(nth).and_then(Value::as_f64);
    let n = values.first().and_then(Value::as_i64).filter(|n| *n >= 0);
    let n = n.ok_or_else(|| bad(0, "must be a whole number"))?;
    let at = match values.get(1) {
        Some(Value::String(text)) => moment(&format!("{field}[1]"), text)?,
        Some(Value::Number(ms)) => {
            let at = ms.as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            at.ok_or_else(|| bad(1, "must be milliseconds since 1970"))?
        }
        _ => return Err(bad(1, "must be a time")),
    };
    let lat = number(2).filter(|lat| (-90.0..=90.0).contains(lat));
    let lng = number(3).filter(|lng| (-180.0..=180.0).contains(lng));
    let place = Place {
        lat: lat.ok_or_else(|| bad(2, "must be -90 to 90"))?,
        lng: lng.ok_or_else(|| bad(3, "must be -180 to 180"))?,
    };
    let optional = |nth: usize, least: f64, most: f64| match values.get(nth) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let value = value.as_f64().filter(|value| (least..=most).contains(value));
            #[expect(clippy::cast_possible_truncation, reason = "a measurement, within its bounds")]
            let value = value.map(|value| value as f32);
            value.map(Some).ok_or_else(|| bad(nth, &format!("must be {least} to {most}")))
        }
    };
    Ok(Location {
        n,
        at,
        place,
        accuracy_m: optional(4, 0.0, 100_000.0)?,
        heading: optional(5, 0.0, 360.0)?,
        speed: optional(6, 0.0, 1_000.0)?,
        battery: optional(7, 0.0, 1.0)?,
    })
}
