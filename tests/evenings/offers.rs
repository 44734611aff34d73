//! Offers and couriers' loads, replayed from the log in the order in which it was committed.

use std::collections::HashMap;

use ordercast::domain::{DriverId, Leg, OrderId};
use ordercast::view::LogEvent;

use crate::fold::Fold;

struct Offer {
    order: OrderId,
    driver: DriverId,
    search: u64,
    state: String,
}

/// What is known of all couriers and offers of a tenant at one position.
#[derive(Default)]
pub struct Replay {
    offers: HashMap<String, Offer>,
    /// How often each order was searched for from the beginning.
    searches: HashMap<OrderId, u64>,
    accepted: HashMap<(OrderId, u64), DriverId>,
    /// Who has each order that is open.
    load: HashMap<OrderId, DriverId>,
    /// Who has lost an order last.
    lost: HashMap<OrderId, DriverId>,
}

impl Replay {
    fn pending(&self, order: OrderId) -> impl Iterator<Item = (&String, &Offer)> {
        self.offers.iter().filter(move |(_, it)| it.order == order && it.state == "pending")
    }

    /// The state of each offer by its events.
    pub fn states(&self) -> HashMap<&str, &str> {
        self.offers.iter().map(|(id, it)| (id.as_str(), it.state.as_str())).collect()
    }

    /// An event that has changed an order.
    pub fn step(
        &mut self,
        event: &LogEvent,
        before: Option<Leg>,
        fold: &Fold,
        capacities: &HashMap<String, i64>,
    ) -> Result<(), String> {
        let Some(order) = event.order else { return Err("of no order".to_owned()) };
        if before.is_some_and(|leg| leg != Leg::Offering) && self.pending(order).next().is_some() {
            return Err(format!("somebody is asked for it while it is {before:?}"));
        }
        if event.kind == "courier.searching" && before == Some(Leg::None) {
            if event.data["round"] != 1 {
                return Err(format!("a search begins with {}", event.data));
            }
            *self.searches.entry(order).or_default() += 1;
        }
        if let Some(prior) = event.prior_driver {
            self.lost.insert(order, prior);
        }
        match fold.driver.filter(|_| !fold.status.is_terminal()) {
            Some(driver) => {
                // Those of robo mode have room for one.
                self.load.insert(order, driver);
                let load = self.load.values().filter(|it| **it == driver).count();
                let room = capacities.get(&driver.to_string()).copied().unwrap_or(1);
                if i64::try_from(load).unwrap_or(i64::MAX) > room {
                    return Err(format!("{driver} has {load} orders and room for {room}"));
                }
            }
            None => drop(self.load.remove(&order)),
        }
        Ok(())
    }

    /// An event about an offer.
    pub fn offer(&mut self, event: &LogEvent, fold: Option<&Fold>) -> Result<(), String> {
        let (Some(order), Some(driver), Some(fold)) = (event.order, event.driver, fold) else {
            return Err(format!("{} of nothing", event.kind));
        };
        let id = event.data["offer"].as_str().unwrap_or_default().to_owned();
        let search = self.searches.get(&order).copied().unwrap_or_default();
        if event.kind == "offer.sent" {
            if fold.leg != Leg::Offering {
                return Err(format!("{driver} is asked while it is {:?}", fold.leg));
            }
            if self.pending(order).any(|(_, it)| it.driver == driver) {
                return Err(format!("{driver} is asked twice at once"));
            }
            let mut asked = self.offers.values();
            if asked.any(|it| (it.order, it.driver, it.search) == (order, driver, search)) {
                return Err(format!("{driver} is asked twice in one search"));
            }
            if self.lost.get(&order) == Some(&driver) {
                return Err(format!("{driver} is asked, who has just lost it"));
            }
            let state = "pending".to_owned();
            if self.offers.insert(id, Offer { order, driver, search, state }).is_some() {
                return Err("an offer was made twice".to_owned());
            }
            return Ok(());
        }
        let state = event.data["state"].as_str().unwrap_or_default().to_owned();
        let known = self.offers.get_mut(&id).filter(|it| (it.order, it.driver) == (order, driver));
        let known = known.ok_or_else(|| format!("{id} was never made"))?;
        if known.state != "pending" || state == "pending" {
            return Err(format!("{id} was {} and is {state}", known.state));
        }
        known.state.clone_from(&state);
        let right = match state.as_str() {
            "accepted" => {
                let first = self.accepted.insert((order, search), driver).is_none();
                first && fold.driver == Some(driver) && fold.leg == Leg::Assigned
            }
            "lost" => fold.driver.is_some_and(|it| it != driver) || fold.leg == Leg::Assigned,
            "withdrawn" => fold.driver.is_none(),
            "declined" => fold.leg == Leg::Offering && event.by.id == driver.to_string(),
            "expired" => true,
            _ => false,
        };
        if right { Ok(()) } else { Err(format!("{id} is {state} while {:?}", fold.leg)) }
    }

    /// At the end nobody may be asked for what is not searched for.
    pub fn end(&self, folds: &HashMap<OrderId, Fold>) -> Result<(), String> {
        for (id, offer) in &self.offers {
            let leg = folds.get(&offer.order).map(|fold| fold.leg);
            if offer.state == "pending" && leg != Some(Leg::Offering) {
                return Err(format!("{id} is pending while {leg:?}"));
            }
        }
        Ok(())
    }
}
