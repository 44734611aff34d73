//! Where couriers are, as part of a channel's state: those whom its listeners would hear of now.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::{DriverId, Errand, Order, TenantId};
use crate::hub::Filter;
use crate::locations::Locations;
use crate::session::Unread;
use crate::store::{Database, Heard, Scope};
use crate::view::{self, Audience, Sheet};

/// What is asked of the map.
pub(super) struct OnMap<'a> {
    pub(super) database: &'a Database,
    pub(super) locations: &'a Locations,
    pub(super) tenant: TenantId,
    pub(super) audience: Audience,
    pub(super) now: Timestamp,
}

impl OnMap<'_> {
    /// Puts where couriers are into the state of `scope`, which has these orders: `location` of one
    /// courier, or `locations` of all. The number of the last that had passed by then.
    pub(super) async fn put(
        &self,
        data: &mut Value,
        scope: Scope,
        orders: &[Sheet],
        filter: Option<&Filter>,
    ) -> Result<u64, Unread> {
        let mut orders = orders.iter().map(|sheet| &sheet.order);
        let inside = matches!(self.audience, Audience::Ops | Audience::Platform);
        match scope {
            Scope::Order(_) => {
                let of = |order: &Order| order.driver.filter(|_| order.leg.has_driver());
                let driver = match orders.next() {
                    Some(order) if inside => of(order),
                    Some(order) if self.is_for_customer(order).await? => of(order),
                    Some(_) | None => None,
                };
                self.put_one(data, driver).await
            }
            Scope::Driver(driver) => self.put_one(data, Some(driver)).await,
            Scope::Store(_) => {
                let comes = |order: &&Order| errand(order).store_sees();
                let drivers = orders.filter(comes).filter_map(|order| order.driver).collect();
                self.put_all(data, drivers).await
            }
            Scope::Tenant => {
                let asked = filter.is_some_and(|filter| filter.locations);
                if self.audience != Audience::Ops && !asked {
                    return Ok(0);
                }
                let limit = self.locations.settings().board_max;
                let age = self.locations.settings().board_age_s.get();
                let read = self.database.list_locations(self.tenant, age, limit).await?;
                let narrowed = filter.filter(|filter| filter.area.is_none());
                let stores = narrowed.and_then(|filter| filter.stores.as_ref());
                let drivers: BTreeSet<DriverId> = orders.filter_map(|order| order.driver).collect();
                let (passed, heard) = self.locations.know(self.tenant, read, &[]);
                let shown = heard.into_iter().filter(|heard| {
                    // The orders of a filter by stores are those of these stores.
                    let there = filter.and_then(|filter| filter.area);
                    there.is_none_or(|area| area.contains(heard.location.place))
                        && (stores.is_none() || drivers.contains(&heard.driver))
                });
                self.put_list(data, shown.collect());
                Ok(passed)
            }
        }
    }

    /// Whether a customer may see the courier of an order: by the order as it was read, and by all
    /// that the courier has to do.
    async fn is_for_customer(&self, order: &Order) -> Result<bool, Unread> {
        let shown = matches!(self.audience, Audience::Customer | Audience::Link);
        let own = errand(order);
        let Some(driver) = order.driver.filter(|_| shown && own.customer_sees(&[own])) else {
            return Ok(false);
        };
        let found = self.database.find_errands(self.tenant, driver).await?.unwrap_or_default();
        let all: Vec<Errand> = found.open.iter().map(|open| open.errand).collect();
        Ok(all.iter().any(|one| one.order == order.id && one.customer_sees(&all)))
    }

    async fn put_one(&self, data: &mut Value, driver: Option<DriverId>) -> Result<u64, Unread> {
        let Some(driver) = driver else { return Ok(0) };
        let read = self.database.find_locations(self.tenant, &[driver]).await?;
        let (passed, heard) = self.locations.know(self.tenant, read, &[driver]);
        if let (Some(heard), Some(members)) = (heard.first(), data.as_object_mut()) {
            members.insert("location".to_owned(), self.view(heard));
        }
        Ok(passed)
    }

    async fn put_all(&self, data: &mut Value, drivers: BTreeSet<DriverId>) -> Result<u64, Unread> {
        let drivers: Vec<DriverId> = drivers.into_iter().collect();
        let read = match drivers.as_slice() {
            [] => Vec::new(),
            drivers => self.database.find_locations(self.tenant, drivers).await?,
        };
        let (passed, heard) = self.locations.know(self.tenant, read, &drivers);
        self.put_list(data, heard);
        Ok(passed)
    }

    fn put_list(&self, data: &mut Value, mut heard: Vec<Heard>) {
        heard.sort_by_key(|heard| heard.driver);
        let shown: Value = heard.iter().map(|heard| self.view(heard)).collect();
        if let Some(members) = data.as_object_mut() {
            members.insert("locations".to_owned(), shown);
        }
    }

    fn view(&self, heard: &Heard) -> Value {
        let heard_at = Some(heard.heard_at.min(self.now));
        view::location(heard.driver, &heard.location, heard_at, self.audience)
    }
}

/// The order as part of what its courier has to do.
fn errand(order: &Order) -> Errand {
    Errand {
        order: order.id,
        store: order.store,
        status: order.status,
        leg: order.leg,
        toured: order.route.seq.is_some(),
        stops_before: order.route.before,
    }
}
