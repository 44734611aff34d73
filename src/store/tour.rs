//! Judging a tour: in which order a courier goes to its stops.

use super::change::{Change, Outcome};
use super::judge::Room;
use super::writes::Writes;
use crate::domain::{BatchId, Command, DriverId, Facts, Judgement, OrderId, Refusal, Step};
use crate::view::Sheet;

impl Room {
    /// Every open order of the courier has its place in the tour, or nothing changes.
    pub(super) fn judge_route(
        &mut self,
        change: &Change,
        driver: DriverId,
        fresh: BatchId,
        stops: &[OrderId],
        writes: &mut Writes,
    ) -> Outcome {
        let found = self.drivers.get(&driver).filter(|(driver, _)| {
            driver.tenant == change.tenant && !self.deleted_drivers.contains(&driver.id)
        });
        let Some((_driver, active)) = found else {
            return Outcome::Refused(Refusal::NotFound, None);
        };
        let active = *active;
        let stands = |id: &OrderId| {
            let order = self.orders.get(id);
            let order = order.filter(|order| order.tenant == change.tenant);
            order.filter(|order| order.driver == Some(driver) && !order.status.is_terminal())
        };
        let orders: Option<Vec<_>> = stops.iter().map(stands).collect();
        let whole = i64::try_from(stops.len()).is_ok_and(|count| count == active);
        let Some(orders) = orders.filter(|_| whole) else {
            let detail = "must name each open order of the courier once".to_owned();
            return Outcome::Refused(Refusal::Validation { field: "orders", detail }, None);
        };
        // The same tour in another order is the same tour.
        let known = orders.first().and_then(|order| order.route.batch);
        let known =
            known.filter(|batch| orders.iter().all(|order| order.route.batch == Some(*batch)));
        let batch = known.unwrap_or(fresh);
        let mut moved: Vec<(OrderId, Step)> = Vec::new();
        for (order, before) in orders.into_iter().zip(0..) {
            let Some((store, rules)) = self.stores.get(&order.store) else {
                return Outcome::Refused(Refusal::NotFound, None);
            };
            let facts =
                Facts { courier: self.courier(driver), ..self.facts(change, store, *rules) };
            let command = Command::Route { batch, seq: before + 1, before };
            match order.judge(&command, &change.by, &facts) {
                Judgement::Accepted(step) => moved.push((order.id, *step)),
                Judgement::Repeated => {}
                Judgement::Refused(refusal) => return Outcome::Refused(refusal, None),
            }
        }
        for (id, step) in moved {
            // Where a stop comes is the whole of what has changed: nobody else waits for it.
            self.take_steps(change, id, vec![step], writes);
        }
        let sheets = stops.iter().filter_map(|id| Some(*self.sheet(self.orders.get(id)?)?));
        Outcome::Routed(sheets.collect::<Vec<Sheet>>())
    }
}
