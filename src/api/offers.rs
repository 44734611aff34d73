//! Couriers are searched for, answer, and are sent on tours.

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{ActionBody, parse, word};
use super::orders::{id, order_id};
use super::{Answer, Api, Asked, OrderAnswer, Problem, only};
use crate::auth::Principal;
use crate::domain::{Ask, BatchId, Command, DriverId, OfferId, OfferMode, OrderId, Role};
use crate::store::{Change, Claim, Target};
use crate::view;

/// Couriers that may be named at once.
const DRIVERS_MAX: usize = 20;
/// Stops of a tour: as many as a courier may carry.
const STOPS_MAX: usize = 50;
/// Offers of an order, or of a courier, that are shown.
const SHOWN: u32 = 200;

/// How to search for a courier.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// One after the other, or all at once; as the tenant has it if nothing is said.
    #[schema(value_type = Option<view::schema::OfferMode>)]
    mode: Option<String>,
    /// Seconds that a courier has to answer; as the tenant has it if nothing is said.
    #[schema(minimum = 15, maximum = 120)]
    offer_s: Option<i32>,
    /// Whom to ask; the nearest who have room if nothing is said.
    #[schema(value_type = Option<Vec<view::schema::DriverId>>, min_items = 1, max_items = 20)]
    drivers: Option<Vec<String>>,
}

/// Nothing is to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NothingBody {}

/// In which order a courier goes to its open orders.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteBody {
    /// The first first, each once.
    #[schema(value_type = Vec<view::schema::OrderId>, max_items = 50)]
    orders: Vec<String>,
}

impl Api {
    /// Asks couriers to bring an order: those who are named, or the nearest who have room.
    pub async fn search_courier(
        &self,
        asked: &Asked,
        order: &str,
        body: Value,
    ) -> Result<OrderAnswer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform, Role::Ops])?;
        let order = order_id(order)?;
        let fingerprint = body.clone();
        let body: SearchBody = parse(body)?;
        let mode = body.mode.as_deref().map(|mode| word::<OfferMode>("mode", mode)).transpose()?;
        let named = body.drivers.map(|drivers| drivers_of(&drivers)).transpose()?;
        let request = ("search", order.to_string(), fingerprint);
        let claim = asked.claim((request.0, &request.1, &request.2))?;
        // Whoever was asked by the first request is free no longer when it is repeated.
        let candidates = if self.is_known(claim.as_ref()).await? {
            Vec::new()
        } else {
            // Of another tenant's order nobody is found, and it is not found itself either.
            if self.database.find_order(principal.tenant, order).await?.is_none() {
                return Err(Problem::not_found());
            }
            self.database.find_candidates_of(order, named.as_deref()).await?
        };
        let ask = Ask { mode, offer_s: body.offer_s, named: named.is_some(), candidates };
        self.command(asked, order, Command::Search(ask), request, ActionBody::default()).await
    }

    /// Whether the writer has answered this key before, and will again.
    async fn is_known(&self, claim: Option<&Claim>) -> Result<bool, Problem> {
        let Some(claim) = claim else { return Ok(false) };
        Ok(self.recall(claim).await?.is_some())
    }

    /// Calls a search off; its offers are withdrawn.
    pub async fn stop_search(
        &self,
        asked: &Asked,
        order: &str,
        body: Value,
    ) -> Result<OrderAnswer, Problem> {
        let NothingBody {} = parse(body)?;
        let id = order_id(order)?;
        let request = ("stop_search", id.to_string(), Value::Null);
        self.command(asked, id, Command::SearchFailed, request, ActionBody::default()).await
    }

    pub(super) async fn command(
        &self,
        asked: &Asked,
        order: OrderId,
        command: Command,
        (method, what, body): (&str, String, Value),
        place: ActionBody,
    ) -> Result<OrderAnswer, Problem> {
        let change = Change {
            tenant: asked.principal.tenant,
            by: asked.principal.actor(),
            target: Target::Order { id: order, command: Box::new(command) },
            idempotency: asked.idempotency((method, &what, &body))?,
            if_match: asked.if_match,
            occurred_at: place.occurred_at()?,
            place: place.place()?,
        };
        self.change(&asked.principal, change).await
    }

    /// A courier answers an offer: `accept` is answered with the order, `decline` with the offer.
    pub async fn answer_offer(
        &self,
        asked: &Asked,
        offer: &str,
        verb: &str,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Driver])?;
        let driver = principal.driver().ok_or_else(Problem::not_found)?;
        let id: OfferId = offer.parse().map_err(|_| Problem::not_found())?;
        let given = body.clone();
        let body: ActionBody = parse(body)?;
        body.only(&[])?;
        let found = self.database.find_offer(principal.tenant, id, driver).await?;
        let offer = found.ok_or_else(Problem::not_found)?;
        let command = match verb {
            "accept" => Command::AcceptOffer { offer: id },
            "decline" => Command::DeclineOffer { offer: id },
            _ => return Err(Problem::not_found()),
        };
        let declined = matches!(command, Command::DeclineOffer { .. });
        let request = (verb, id.to_string(), given);
        let answer = self.command(asked, offer.order, command, request, body).await?;
        let body = if declined {
            json!({"offer": id.to_string(), "state": "declined"})
        } else {
            answer.body
        };
        Ok(Answer { replayed: answer.replayed, ..Answer::of(body) })
    }

    /// Who was asked for an order, the latest first: `{"offers":[…]}`.
    pub async fn list_order_offers(
        &self,
        principal: &Principal,
        order: &str,
    ) -> Result<Value, Problem> {
        only(principal, &[Role::Platform, Role::Ops])?;
        let order = order_id(order)?;
        self.visible_order(principal, order).await?;
        let offers = self.database.list_order_offers(principal.tenant, order, SHOWN).await?;
        let offers: Vec<Value> = offers.iter().map(view::offer).collect();
        Ok(json!({"offers": offers}))
    }

    /// What a courier is asked now: `{"offers":[…]}`.
    pub async fn list_driver_offers(
        &self,
        principal: &Principal,
        driver: &str,
    ) -> Result<Value, Problem> {
        let driver = own_driver(principal, driver)?;
        if self.database.find_driver(principal.tenant, driver).await?.is_none() {
            return Err(Problem::not_found());
        }
        Ok(json!({"offers": self.pending_offers(principal, driver).await?}))
    }

    /// The same as a list.
    pub async fn pending_offers(
        &self,
        principal: &Principal,
        driver: DriverId,
    ) -> Result<Vec<Value>, Problem> {
        let asked = self.database.list_driver_offers(principal.tenant, driver, SHOWN).await?;
        Ok(asked.iter().map(|it| view::asked(&it.offer, &it.order, &it.store)).collect())
    }

    /// Sets in which order a courier goes to its open orders: `{"orders":[…]}`, the first first.
    /// Answers `{"batch":…,"orders":[{"id","version","stop_seq","stops_before"}]}`.
    pub async fn set_route(
        &self,
        asked: &Asked,
        driver: &str,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        let driver = own_driver(principal, driver)?;
        let given = body.clone();
        let body: RouteBody = parse(body)?;
        if body.orders.len() > STOPS_MAX {
            return Err(Problem::field("orders", format!("has more than {STOPS_MAX} entries")));
        }
        let mut orders: Vec<OrderId> = Vec::with_capacity(body.orders.len());
        for (nth, text) in body.orders.iter().enumerate() {
            let field = format!("orders[{nth}]");
            let order = id(&field, text)?;
            if orders.contains(&order) {
                return Err(Problem::field(field, "is named twice"));
            }
            orders.push(order);
        }
        let target = Target::Route { driver, batch: BatchId::new(), orders };
        self.write_party(asked, ("driver.route", &driver.to_string(), &given), target).await
    }
}

/// The courier of a path: `me`, or whoever it names for dispatchers and the platform.
fn own_driver(principal: &Principal, text: &str) -> Result<DriverId, Problem> {
    match (principal.role, text, principal.driver()) {
        (Role::Driver, "me", Some(own)) => Ok(own),
        (Role::Driver, text, Some(own)) if text == own.to_string() => Ok(own),
        (Role::Driver, ..) => Err(Problem::not_found()),
        (Role::Platform | Role::Ops, text, _) => text.parse().map_err(|_| Problem::not_found()),
        (Role::Customer | Role::Store | Role::System, ..) => Err(Problem::role_not_allowed()),
    }
}

fn drivers_of(texts: &[String]) -> Result<Vec<DriverId>, Problem> {
    if texts.is_empty() || texts.len() > DRIVERS_MAX {
        return Err(Problem::field("drivers", format!("must have 1 to {DRIVERS_MAX} entries")));
    }
    let mut named: Vec<DriverId> = Vec::with_capacity(texts.len());
    for (nth, text) in texts.iter().enumerate() {
        let field = format!("drivers[{nth}]");
        let driver = id(&field, text)?;
        if named.contains(&driver) {
            return Err(Problem::field(field, "is named twice"));
        }
        named.push(driver);
    }
    Ok(named)
}
