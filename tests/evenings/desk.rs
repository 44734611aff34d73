//! What is due by itself: done when it is, too early, too late, twice, and on what was looked up
//! some time ago.

use futures::future::join_all;
use ordercast::domain::{Actor, OrderId, StoreId};
use ordercast::store::{Candidates, Change, LookedUp, OrderFilter, Outcome, Target};
use ordercast::view::Sheet;

use crate::town::Town;

/// Times that everything is done before something would have to be wrong.
const ROUNDS: usize = 60;

impl Town<'_> {
    /// Does what is due of an order, on the word of whoever looked.
    pub async fn elapse(
        &self,
        app: usize,
        order: OrderId,
        candidates: Option<Candidates>,
        unseen_at: Option<StoreId>,
    ) {
        let robo = self.world.apis[app].database.find_robo_couriers(&[order]).await;
        let robo = robo.unwrap().couriers.remove(&order);
        let looked_up = LookedUp { candidates, unseen_at, robo };
        let change = Change {
            tenant: self.tenant(),
            by: Actor::system(),
            target: Target::Elapse { order, looked_up },
            idempotency: None,
            if_match: None,
            occurred_at: None,
            place: None,
        };
        match self.world.apis[app].writer.submit(change).await {
            Ok(Outcome::Changed(_)) => self.count("elapse: changed"),
            Ok(Outcome::Repeated(_)) => self.count("elapse: nothing"),
            other => self.find(format!("what is due of {order} came out as {other:?}")),
        }
    }

    /// Looks who could be asked for an order, as a process does before it does what is due.
    pub async fn candidates(&self, app: usize, order: OrderId) -> Option<Candidates> {
        let found = self.world.apis[app].database.find_candidates(&[order]).await;
        found.unwrap().remove(&order)
    }

    /// Looks, and does what is due.
    pub async fn do_due(&self, app: usize, order: OrderId) {
        let candidates = self.candidates(app, order).await;
        let unseen = self.world.apis[app].database.find_unseen_orders(&[order]).await.unwrap();
        let unseen = unseen.first().map(|(_order, store)| *store);
        self.elapse(app, order, candidates, unseen).await;
    }

    /// Every order of the evening, as the rows say.
    pub async fn sheets(&self) -> Vec<Sheet> {
        let database = &self.world.apis[0].database;
        let filter = OrderFilter::default();
        let scope = ordercast::store::Scope::Tenant;
        let page = database.list_orders(self.tenant(), scope, &filter, 100).await.unwrap();
        assert!(page.next.is_none(), "an evening has fewer orders");
        page.orders
    }

    /// Does what is due until nothing is.
    pub async fn run_dry(&mut self) {
        for round in 0..ROUNDS {
            let now = self.world.clock.now().await;
            let sheets = self.sheets().await;
            let overdue: Vec<&Sheet> = sheets
                .iter()
                .filter(|sheet| {
                    // Once all that is watched is looked at.
                    let watched = round == 0 && sheet.order.is_watched();
                    watched || sheet.order.due().is_some_and(|at| at <= now)
                })
                .collect();
            if overdue.is_empty() {
                return;
            }
            let app = self.chance.below(2);
            join_all(overdue.iter().map(|sheet| self.do_due(app, sheet.order.id))).await;
        }
        for sheet in self.sheets().await {
            let order = &sheet.order;
            let (status, leg, due) = (order.status, order.leg, order.due());
            self.find(format!(
                "something is always due of {}: {status:?}, {leg:?}, {due:?}",
                order.id
            ));
        }
    }
}
