//! Where a courier was.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::body::moment;
use super::{Api, Problem, only};
use crate::auth::Principal;
use crate::domain::{DriverId, Role};
use crate::view;

/// How far back one looks who does not say.
const LOOK: SignedDuration = SignedDuration::from_hours(1);

impl Api {
    /// The points of a courier's trail from `from` (an hour before `to`) up to before `to` (now), the
    /// oldest first, as far as the tenant has them kept: `points`, at most `limit`, and the cursor
    /// `next`.
    pub async fn list_trail(
        &self,
        principal: &Principal,
        driver: &str,
        query: &[(String, String)],
    ) -> Result<Value, Problem> {
        only(principal, &[Role::Platform, Role::Ops])?;
        let driver: DriverId = driver.parse().map_err(|_| Problem::not_found())?;
        let tenant = principal.tenant;
        let there = self.database.find_driver(tenant, driver).await?;
        there.ok_or_else(Problem::not_found)?;
        let (mut from, mut to, mut after) = (None, self.now(), None);
        let mut limit = self.locations.settings().trail_page_max;
        for (name, value) in query {
            match name.as_str() {
                "from" => from = Some(moment(name, value)?),
                "to" => to = moment(name, value)?,
                "limit" => {
                    let most = self.locations.settings().trail_page_max;
                    let asked = value.parse().ok().filter(|asked| (1..=most).contains(asked));
                    let wrong = || Problem::field("limit", format!("must be 1 to {most}"));
                    limit = asked.ok_or_else(wrong)?;
                }
                "cursor" => {
                    let cursor = cursor(value);
                    after = Some(
                        cursor
                            .ok_or_else(|| Problem::field("cursor", "is not a cursor of ours"))?,
                    );
                }
                _ => return Err(Problem::field(name.as_str(), "is no parameter of this request")),
            }
        }
        let from = from.unwrap_or_else(|| to.checked_sub(LOOK).unwrap_or(Timestamp::UNIX_EPOCH));
        if from > to {
            return Err(Problem::field("from", "must not be after to"));
        }
        // No point has a number below 0.
        let after = after.filter(|(at, _)| *at >= from).unwrap_or((from, -1));
        let mut trail = self.database.list_trail(tenant, driver, after, to, limit + 1).await?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = trail.len() > most;
        trail.truncate(most);
        let last = trail.last().filter(|_| more).map(|last| last.location);
        let next = last.map(|last| format!("{}.{}", last.at.as_millisecond(), last.n));
        let audience = super::audience(principal);
        let points: Value = trail
            .iter()
            .map(|it| view::location(driver, &it.location, Some(it.heard_at), audience))
            .collect();
        Ok(json!({"points": points, "next": next}))
    }
}

/// `milliseconds.number` of the last point of the page before.
fn cursor(text: &str) -> Option<(Timestamp, i64)> {
    let (at, n) = text.split_once('.')?;
    let at = Timestamp::from_millisecond(at.parse().ok().filter(|at| *at >= 0)?).ok()?;
    Some((at, n.parse().ok()?))
}
