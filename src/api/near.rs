//! Couriers by where they are.

use serde_json::{Value, json};

use super::{Api, Problem, only};
use crate::auth::Principal;
use crate::domain::{Place, Role};
use crate::view;

/// Metres within which couriers are looked for when nobody says.
const RADIUS_M: f64 = 5_000.0;

impl Api {
    /// The couriers of the tenant within `radius` metres of `near`, `lat,lng`, the nearest first, each
    /// with its `location`, how long ago that was heard, and whether that is too long.
    pub async fn list_near_drivers(
        &self,
        principal: &Principal,
        query: &[(String, String)],
    ) -> Result<Value, Problem> {
        only(principal, &[Role::Platform, Role::Ops])?;
        let settings = self.locations.settings();
        let (mut near, mut radius_m, mut limit) = (None, RADIUS_M, settings.near_max);
        for (name, value) in query {
            match name.as_str() {
                "near" => near = Some(place(value)?),
                "radius" => {
                    let most = f64::from(settings.radius_max_m);
                    let radius = value.parse().ok().filter(|radius| (1.0..=most).contains(radius));
                    radius_m = radius.ok_or_else(|| {
                        Problem::field("radius", format!("must be 1 to {most} metres"))
                    })?;
                }
                "limit" => {
                    let asked = value.parse().ok().filter(|asked| *asked >= 1);
                    let asked: u32 =
                        asked.ok_or_else(|| Problem::field("limit", "must be 1 or more"))?;
                    limit = limit.min(asked);
                }
                other => return Err(Problem::field(other, "is no parameter beside near")),
            }
        }
        let near = near.ok_or_else(|| Problem::field("near", "is required"))?;
        let tenant = principal.tenant;
        let found = self.database.list_near_drivers(tenant, near, radius_m, limit).await?;
        let audience = super::audience(principal);
        let drivers = found.iter().map(|it| {
            let heard_at = Some(it.heard.heard_at);
            let location = view::location(it.driver.id, &it.heard.location, heard_at, audience);
            #[expect(clippy::cast_possible_truncation, reason = "saturates")]
            let age_s = it.age_s.max(0.0) as i64;
            let mut driver = view::driver(&it.driver);
            if let Some(driver) = driver.as_object_mut() {
                driver.insert("location".to_owned(), location);
                driver.insert("distance_m".to_owned(), it.distance_m.into());
                driver.insert("age_s".to_owned(), age_s.into());
                let stale = it.age_s > settings.stale_s.get().as_secs_f64();
                driver.insert("stale".to_owned(), stale.into());
            }
            driver
        });
        // The nearest are all there is: what is further away is another question.
        Ok(json!({"drivers": drivers.collect::<Value>(), "next": null}))
    }
}

/// `lat,lng`
fn place(text: &str) -> Result<Place, Problem> {
    let numbers = text.split_once(',').and_then(|(lat, lng)| {
        let lat = lat.trim().parse().ok().filter(|lat| (-90.0..=90.0).contains(lat))?;
        let lng = lng.trim().parse().ok().filter(|lng| (-180.0..=180.0).contains(lng))?;
        Some(Place { lat, lng })
    });
    numbers.ok_or_else(|| Problem::field("near", "must be lat,lng in degrees"))
}
