//! Where couriers are, as their devices say.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{moment, parse};
use super::{Answer, Api, Asked, Problem, only};
use crate::domain::{Location, Place, Role};
use crate::locations::Taken;
use crate::store::Database;

/// Points of one message.
const POINTS_MAX: usize = 20;
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
    /// Answers `{"n":…,"refused":…}`: the highest number among the points that are known by now,
    /// and how many make no sense or were known before; `dropped` when more came than may. The
    /// newest becomes where the courier is, unless that is newer already; it is written and told
    /// a moment later.
    pub async fn note_locations(&self, asked: &Asked, body: Value) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Driver])?;
        let given = body.clone();
        let driver = principal.driver().ok_or_else(Problem::not_found)?;
        let body: LocationsBody = parse(body)?;
        if body.p.is_empty() || body.p.len() > POINTS_MAX {
            return Err(Problem::field("p", format!("must have 1 to {POINTS_MAX} points")));
        }
        let mut points = Vec::with_capacity(body.p.len());
        for (nth, values) in body.p.iter().enumerate() {
            points.push(point(&format!("p[{nth}]"), values)?);
        }
        // A repetition under its key is answered without a look at the points.
        let take = async |_database: &Database| {
            let taken = self.locations.take(principal.tenant, driver, points, self.now());
            let Taken { highest, refused, dropped } = taken.ok_or_else(Problem::overloaded)?;
            let mut answer = Answer::of(json!({"n": highest, "refused": refused}));
            if dropped > 0 {
                answer.put("dropped", dropped.into());
            }
            Ok(answer)
        };
        self.once(asked, ("locations", "", &given), take).await
    }
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
