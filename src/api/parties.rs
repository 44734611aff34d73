//! Stores and couriers.

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{moment, optional_text, parse, place, required_text, word};
use super::{Answer, Api, Asked, Problem, only};
use crate::auth::Principal;
use crate::domain::{Driver, DriverId, Duty, Place, Role, Store, StoreId, Vehicle};
use crate::store::{DriverPatch, StorePatch, Target};
use crate::view;

/// A store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreBody {
    /// The platform's name for it; may be left out where the path says it.
    #[schema(min_length = 1, max_length = 128)]
    external_id: Option<String>,
    /// How it is called.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Latitude, WGS84 degrees.
    #[schema(minimum = -90, maximum = 90)]
    lat: f64,
    /// Longitude, WGS84 degrees.
    #[schema(minimum = -180, maximum = 180)]
    lng: f64,
    /// Its IANA time zone.
    #[schema(example = "Europe/Berlin")]
    tz: String,
    /// Its phone.
    #[schema(max_length = 40)]
    phone: Option<String>,
    /// Whether orders are accepted without anyone being asked.
    #[serde(default)]
    auto_accept: bool,
    /// Minutes of preparation where nothing else is said; 20 by default.
    #[schema(minimum = 0, maximum = 240)]
    default_prep_min: Option<i32>,
}

/// What to change of a store; what is absent or null stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StorePatchBody {
    /// How it is called.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Latitude, WGS84 degrees; with `lng`.
    #[schema(minimum = -90, maximum = 90)]
    lat: Option<f64>,
    /// Longitude, WGS84 degrees; with `lat`.
    #[schema(minimum = -180, maximum = 180)]
    lng: Option<f64>,
    /// Its IANA time zone.
    #[schema(example = "Europe/Berlin")]
    tz: Option<String>,
    /// Its phone.
    #[schema(max_length = 40)]
    phone: Option<String>,
    /// Whether orders are accepted without anyone being asked.
    auto_accept: Option<bool>,
    /// Minutes of preparation where nothing else is said.
    #[schema(minimum = 0, maximum = 240)]
    default_prep_min: Option<i32>,
}

/// A courier.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DriverBody {
    /// The platform's name for it; may be left out where the path says it.
    #[schema(min_length = 1, max_length = 128)]
    external_id: Option<String>,
    /// Its full name.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// How stores and customers see it called; the first name and an initial by default.
    #[schema(min_length = 1, max_length = 80)]
    display_name: Option<String>,
    /// Its phone.
    #[schema(max_length = 40)]
    phone: Option<String>,
    /// What it rides.
    vehicle: VehicleBody,
    /// How many orders it may have at once; 2 by default.
    #[schema(minimum = 1, maximum = 50)]
    capacity: Option<i32>,
}

/// What a courier rides.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VehicleBody {
    /// What it is, as `bike` or `scooter`.
    #[serde(rename = "type")]
    #[schema(min_length = 1, max_length = 40)]
    kind: String,
    /// Who made it.
    #[schema(max_length = 80)]
    make: Option<String>,
    /// Its colour.
    #[schema(max_length = 40)]
    colour: Option<String>,
    /// Its number plate.
    #[schema(max_length = 20)]
    plate: Option<String>,
}

/// What to change of a courier; what is absent or null stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DriverPatchBody {
    /// Its full name.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// How stores and customers see it called.
    #[schema(max_length = 80)]
    display_name: Option<String>,
    /// Its phone.
    #[schema(max_length = 40)]
    phone: Option<String>,
    /// What it rides.
    vehicle: Option<VehicleBody>,
    /// How many orders it may have at once.
    #[schema(minimum = 1, maximum = 50)]
    capacity: Option<i32>,
}

/// Whether a store takes orders.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// Not until then, from 1970 to 9999; absent or null opens it again.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Whether a courier takes orders.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DutyBody {
    /// It does, does not, or not now.
    #[schema(value_type = view::schema::Duty)]
    duty: String,
}

fn time_zone(field: &str, name: String) -> Result<String, Problem> {
    TimeZone::get(&name)
        .map_err(|_| Problem::field(field, "is not an IANA time zone, as Europe/Berlin"))?;
    Ok(name)
}

fn prep_min(minutes: i32) -> Result<i32, Problem> {
    if (0..=240).contains(&minutes) {
        Ok(minutes)
    } else {
        Err(Problem::field("default_prep_min", "must be 0 to 240"))
    }
}

fn capacity(orders: i32) -> Result<i32, Problem> {
    if (1..=50).contains(&orders) {
        Ok(orders)
    } else {
        Err(Problem::field("capacity", "must be 1 to 50"))
    }
}

fn vehicle(body: VehicleBody) -> Result<Vehicle, Problem> {
    Ok(Vehicle {
        kind: required_text("vehicle.type", body.kind, 40)?,
        make: optional_text("vehicle.make", body.make, 80)?,
        colour: optional_text("vehicle.colour", body.colour, 40)?,
        plate: optional_text("vehicle.plate", body.plate, 20)?,
    })
}

/// The external id of the path, or else that of the body; both must agree.
fn external_id(path: Option<&str>, body: Option<String>) -> Result<String, Problem> {
    let field = "external_id";
    match (path, body) {
        (Some(path), Some(body)) if path != body => {
            Err(Problem::field(field, "differs from the one in the path"))
        }
        (Some(path), _) => required_text(field, path.to_owned(), 128),
        (None, Some(body)) => required_text(field, body, 128),
        (None, None) => Err(Problem::field(field, "missing field `external_id`")),
    }
}

/// A page of a list: which external id, after which identifier, at most how many.
struct Page<I> {
    after: Option<I>,
    external_id: Option<String>,
    limit: u32,
}

impl Api {
    fn page<I: std::str::FromStr>(&self, query: &[(String, String)]) -> Result<Page<I>, Problem> {
        let limit = self.config.api.page_len_default;
        let mut page = Page { after: None, external_id: None, limit };
        for (name, value) in query {
            match name.as_str() {
                "external_id" => {
                    page.external_id = Some(required_text("external_id", value.clone(), 128)?);
                }
                "limit" => {
                    let limit = value.parse();
                    let limit = limit.map_err(|_| Problem::field("limit", "is not a number"))?;
                    page.limit = self.page_len(limit)?;
                }
                "cursor" => {
                    let after = value.parse();
                    let bad = |_| Problem::field("cursor", "is not a cursor of ours");
                    page.after = Some(after.map_err(bad)?);
                }
                _ => return Err(Problem::field(name.as_str(), "is no parameter of this request")),
            }
        }
        Ok(page)
    }

    /// Makes a store or brings the one with this external id up to date; true when made.
    pub async fn put_store(
        &self,
        asked: &Asked,
        path: Option<&str>,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform])?;
        let given = body.clone();
        let body: StoreBody = parse(body)?;
        let store = Store {
            id: StoreId::new(),
            tenant: principal.tenant,
            external_id: external_id(path, body.external_id)?,
            name: required_text("name", body.name, 200)?,
            place: place("", body.lat, body.lng)?,
            tz: time_zone("tz", body.tz)?,
            phone: optional_text("phone", body.phone, 40)?,
            auto_accept: body.auto_accept,
            default_prep_min: prep_min(body.default_prep_min.unwrap_or(20))?,
            paused_until: None,
        };
        self.once(asked, ("store.create", path.unwrap_or_default(), &given), async |database| {
            let (store, created) = database.upsert_store(&store).await?;
            Ok(Answer::made((view::store(&store), created)))
        })
        .await
    }

    /// Changes what is given of a store.
    pub async fn patch_store(
        &self,
        asked: &Asked,
        id: &str,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform])?;
        let id: StoreId = id.parse().map_err(|_| Problem::not_found())?;
        let given = body.clone();
        let body: StorePatchBody = parse(body)?;
        let patch = StorePatch {
            name: body.name.map(|name| required_text("name", name, 200)).transpose()?,
            place: both(body.lat, body.lng)?,
            tz: body.tz.map(|tz| time_zone("tz", tz)).transpose()?,
            phone: optional_text("phone", body.phone, 40)?,
            auto_accept: body.auto_accept,
            default_prep_min: body.default_prep_min.map(prep_min).transpose()?,
        };
        self.once(asked, ("store.update", &id.to_string(), &given), async |database| {
            let store = database.update_store(principal.tenant, id, &patch).await?;
            Ok(Answer::of(view::store(&store.ok_or_else(Problem::not_found)?)))
        })
        .await
    }

    /// One store: for the platform, dispatchers and the store itself.
    pub async fn get_store(&self, principal: &Principal, id: &str) -> Result<Value, Problem> {
        let id: StoreId = id.parse().map_err(|_| Problem::not_found())?;
        if principal.store() != Some(id) {
            only(principal, &[Role::Platform, Role::Ops]).map_err(|_| Problem::not_found())?;
        }
        let store = self.database.find_store(principal.tenant, id).await?;
        Ok(view::store(&store.ok_or_else(Problem::not_found)?))
    }

    /// A page of stores: `{"stores":[…],"next":"…"}`.
    pub async fn list_stores(
        &self,
        principal: &Principal,
        query: &[(String, String)],
    ) -> Result<Value, Problem> {
        only(principal, &[Role::Platform, Role::Ops])?;
        let page: Page<StoreId> = self.page(query)?;
        let external_id = page.external_id.as_deref();
        let stores = self
            .database
            .list_stores(principal.tenant, page.after, external_id, page.limit)
            .await?;
        let full = stores.len() >= usize::try_from(page.limit).unwrap_or(usize::MAX);
        let next = stores.last().filter(|_| full).map(|store| store.id.to_string());
        let stores: Vec<Value> = stores.iter().map(view::store).collect();
        Ok(json!({"stores": stores, "next": next}))
    }

    /// Pauses a store until a moment, or opens it.
    pub async fn pause_store(
        &self,
        asked: &Asked,
        id: &str,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        let id: StoreId = id.parse().map_err(|_| Problem::not_found())?;
        match principal.role {
            Role::Platform | Role::Ops => {}
            Role::Store if principal.store() == Some(id) => {}
            Role::Store => return Err(Problem::not_found()),
            Role::Customer | Role::Driver | Role::System => {
                return Err(Problem::role_not_allowed());
            }
        }
        let given = body.clone();
        let body: PauseBody = parse(body)?;
        let until = body.until.map(|until| moment("until", &until)).transpose()?;
        let target = Target::Pause { store: id, until };
        self.write_party(asked, ("store.pause", &id.to_string(), &given), target).await
    }

    /// Makes a courier or brings the one with this external id up to date; true when made.
    pub async fn put_driver(
        &self,
        asked: &Asked,
        path: Option<&str>,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform])?;
        let given = body.clone();
        let body: DriverBody = parse(body)?;
        let name = required_text("name", body.name, 200)?;
        let driver = Driver {
            id: DriverId::new(),
            tenant: principal.tenant,
            external_id: external_id(path, body.external_id)?,
            display_name: match body.display_name {
                Some(given) => required_text("display_name", given, 80)?,
                None => view::first_name_and_initial(&name),
            },
            name,
            phone: optional_text("phone", body.phone, 40)?,
            vehicle: vehicle(body.vehicle)?,
            duty: Duty::Off,
            capacity: capacity(body.capacity.unwrap_or(2))?,
        };
        self.once(asked, ("driver.create", path.unwrap_or_default(), &given), async |database| {
            let (driver, created) = database.upsert_driver(&driver).await?;
            Ok(Answer::made((view::driver(&driver), created)))
        })
        .await
    }

    /// Changes what is given of a courier.
    pub async fn patch_driver(
        &self,
        asked: &Asked,
        id: &str,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform])?;
        let id: DriverId = id.parse().map_err(|_| Problem::not_found())?;
        let given = body.clone();
        let body: DriverPatchBody = parse(body)?;
        let vehicle = body.vehicle.map(vehicle).transpose()?;
        let vehicle = vehicle.as_ref();
        let patch = DriverPatch {
            name: body.name.map(|name| required_text("name", name, 200)).transpose()?,
            display_name: optional_text("display_name", body.display_name, 80)?,
            phone: optional_text("phone", body.phone, 40)?,
            vehicle_type: vehicle.map(|vehicle| vehicle.kind.clone()),
            vehicle_make: vehicle.and_then(|vehicle| vehicle.make.clone()),
            vehicle_colour: vehicle.and_then(|vehicle| vehicle.colour.clone()),
            vehicle_plate: vehicle.and_then(|vehicle| vehicle.plate.clone()),
            capacity: body.capacity.map(capacity).transpose()?,
        };
        self.once(asked, ("driver.update", &id.to_string(), &given), async |database| {
            let driver = database.update_driver(principal.tenant, id, &patch).await?;
            Ok(Answer::of(view::driver(&driver.ok_or_else(Problem::not_found)?)))
        })
        .await
    }

    /// One courier: for the platform, dispatchers and the courier itself.
    pub async fn get_driver(&self, principal: &Principal, id: &str) -> Result<Value, Problem> {
        let id = driver_id(principal, id)?;
        if principal.driver() != Some(id) {
            only(principal, &[Role::Platform, Role::Ops]).map_err(|_| Problem::not_found())?;
        }
        let driver = self.database.find_driver(principal.tenant, id).await?;
        Ok(view::driver(&driver.ok_or_else(Problem::not_found)?))
    }

    /// A page of couriers: `{"drivers":[…],"next":"…"}`.
    pub async fn list_drivers(
        &self,
        principal: &Principal,
        query: &[(String, String)],
    ) -> Result<Value, Problem> {
        if query.iter().any(|(name, _)| name == "near") {
            return self.list_near_drivers(principal, query).await;
        }
        only(principal, &[Role::Platform, Role::Ops])?;
        let page: Page<DriverId> = self.page(query)?;
        let external_id = page.external_id.as_deref();
        let drivers = self
            .database
            .list_drivers(principal.tenant, page.after, external_id, page.limit)
            .await?;
        let full = drivers.len() >= usize::try_from(page.limit).unwrap_or(usize::MAX);
        let next = drivers.last().filter(|_| full).map(|driver| driver.id.to_string());
        let drivers: Vec<Value> = drivers.iter().map(view::driver).collect();
        Ok(json!({"drivers": drivers, "next": next}))
    }

    /// Changes a courier's duty: by itself (`me`), a dispatcher or the platform.
    pub async fn set_duty(&self, asked: &Asked, id: &str, body: Value) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        let id = driver_id(principal, id)?;
        match principal.role {
            Role::Platform | Role::Ops => {}
            Role::Driver if principal.driver() == Some(id) => {}
            Role::Driver => return Err(Problem::not_found()),
            Role::Customer | Role::Store | Role::System => {
                return Err(Problem::role_not_allowed());
            }
        }
        let given = body.clone();
        let body: DutyBody = parse(body)?;
        let duty = word("duty", &body.duty)?;
        let target = Target::Duty { driver: id, duty };
        self.write_party(asked, ("driver.duty", &id.to_string(), &given), target).await
    }
}

fn driver_id(principal: &Principal, text: &str) -> Result<DriverId, Problem> {
    match (text, principal.driver()) {
        ("me", Some(own)) => Ok(own),
        _ => text.parse().map_err(|_| Problem::not_found()),
    }
}

fn both(lat: Option<f64>, lng: Option<f64>) -> Result<Option<Place>, Problem> {
    match (lat, lng) {
        (None, None) => Ok(None),
        (Some(lat), Some(lng)) => place("", lat, lng).map(Some),
        (Some(_), None) => Err(Problem::field("lng", "is required with lat")),
        (None, Some(_)) => Err(Problem::field("lat", "is required with lng")),
    }
}
