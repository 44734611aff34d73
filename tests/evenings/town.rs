//! The tenant of one evening, and its people.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use ordercast::api::Api;
use ordercast::auth::Principal;
use ordercast::domain::OrderId;
use ordercast::store::Candidates;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::World;
use crate::call::Call;
use crate::chance::Chance;
use crate::support::{City, Rest};

/// Who calls: the same over each way in.
#[derive(Clone)]
pub struct Person {
    pub role: &'static str,
    /// A store's or courier's identifier.
    pub id: String,
    pub principal: Principal,
    pub rest: Rest,
}

/// An order as it stood a moment ago.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: String,
    pub uuid: Uuid,
    pub status: String,
    pub leg: String,
    pub fulfilment: String,
    pub version: i64,
    pub store: Uuid,
    pub driver: Option<Uuid>,
    pub pin: Option<String>,
}

/// Where two orders are at home.
#[derive(Clone)]
pub struct Home {
    pub order: String,
    pub other: String,
    pub platform: Person,
}

/// What was called with a key.
pub struct Keyed {
    pub call: Call,
    /// What was answered, if that is kept.
    pub kept: Option<Value>,
}

pub struct Town<'a> {
    pub world: &'a World,
    pub chance: Chance,
    pub city: City,
    pub client: Client,
    /// Where the log stood at the beginning.
    pub since: i64,
    pub platform: Person,
    pub ops: Person,
    pub stores: Vec<Person>,
    pub drivers: Vec<Person>,
    pub capacities: HashMap<String, i64>,
    /// Whether its orders walk by themselves.
    pub robo: bool,
    pub customers: HashMap<String, Person>,
    pub orders: Vec<String>,
    pub keyed: Vec<Keyed>,
    /// Who could be asked, looked up some time ago.
    pub held: Vec<(OrderId, Option<Candidates>)>,
    pub numbers: u64,
    pub findings: RefCell<Vec<String>>,
}

async fn person(world: &World, role: &'static str, id: &str, token: &str) -> Person {
    let principal = world.apis[0].authenticate(token).await.unwrap();
    Person { role, id: id.to_owned(), principal, rest: Rest::new(&world.urls[0], Some(token)) }
}

impl<'a> Town<'a> {
    pub async fn found(world: &'a World, mut chance: Chance, robo: bool) -> Self {
        let client = world.database.connect().await;
        let head = client.query_one("select last from log_head", &[]).await.unwrap();
        let since = head.try_get(0).unwrap();
        let city = City::found(&world.urls[0], &world.database).await;
        let mode: Option<&str> = *chance.pick(&[Some("one_by_one"), Some("broadcast"), None]);
        let until = *chance.pick(&["placed", "accepted", "ready"]);
        let rules = "update tenants set offer_mode = $2, customer_cancel_until = $3, offer_s = $4,
                            offer_rounds = $5, search_lead_s = $6, accept_s = $7 where id = $1";
        let tenant: ordercast::domain::TenantId = city.tenant.parse().unwrap();
        let (offer_s, rounds) = (*chance.pick(&[15, 30, 120]), *chance.pick(&[1, 2, 8]));
        let (lead, accept_s) = (*chance.pick(&[0, 600, 7200]), *chance.pick(&[60, 480, 3600]));
        let values: [&(dyn postgres_types::ToSql + Sync); 7] =
            [&tenant.uuid(), &mode, &until, &offer_s, &rounds, &lead, &accept_s];
        client.execute(rules, &values).await.unwrap();
        // Whose orders walk by themselves, whatever everybody does to them meanwhile.
        if robo {
            let robo = "update tenants set robo = true where id = $1";
            client.execute(robo, &[&tenant.uuid()]).await.unwrap();
        }

        let platform = person(world, "platform", "", &city.key).await;
        let ops = person(world, "ops", "", &city.ops_token().await).await;
        let mut stores = vec![city.store.clone()];
        for nth in 0..chance.below(3) {
            let auto = chance.one_in(2);
            let body = json!({
                "auto_accept": auto, "default_prep_min": chance.pick(&[0, 10, 20, 90]),
                "lat": 52.52 + f64::from(u32::try_from(nth).unwrap()) * 0.01,
            });
            stores.push(city.new_store(body).await);
        }
        let mut drivers = vec![city.driver.clone()];
        let mut capacities = HashMap::from([(city.driver.clone(), 50)]);
        for _ in 0..2 + chance.below(3) {
            let capacity = i64::try_from(1 + chance.below(3)).unwrap();
            let driver = city.new_driver(json!({"capacity": capacity})).await;
            capacities.insert(driver.clone(), capacity);
            drivers.push(driver);
        }
        // Who carries everything would leave nothing to the others.
        if !chance.one_in(4) {
            let duty = json!({"duty": "off"});
            let path = format!("/v1/drivers/{}/duty", city.driver);
            city.platform.put(&path, duty).await.expect(200);
        }
        let (mut store_people, mut driver_people) = (Vec::new(), Vec::new());
        for id in stores {
            let token = city.token("store", &id, &[]).await;
            store_people.push(person(world, "store", &id, &token).await);
        }
        for id in drivers {
            let token = city.token("driver", &id, &[]).await;
            driver_people.push(person(world, "driver", &id, &token).await);
        }
        Self {
            world,
            chance,
            client,
            since,
            platform,
            ops,
            stores: store_people,
            drivers: driver_people,
            capacities,
            robo,
            city,
            customers: HashMap::new(),
            orders: Vec::new(),
            keyed: Vec::new(),
            held: Vec::new(),
            numbers: 0,
            findings: RefCell::default(),
        }
    }

    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub fn find(&self, what: String) {
        self.findings.borrow_mut().push(what);
    }

    pub fn count(&self, what: &str) {
        *self.world.tally.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }

    pub fn api(&mut self) -> Arc<Api> {
        Arc::clone(self.chance.pick(&self.world.apis))
    }

    pub fn tenant(&self) -> ordercast::domain::TenantId {
        self.platform.principal.tenant
    }

    /// Who is the customer of an order.
    pub async fn customer(&mut self, order: &str) -> Person {
        if let Some(known) = self.customers.get(order) {
            return known.clone();
        }
        let token = self.city.customer_token(order).await;
        let customer = person(self.world, "customer", "customer-1", &token).await;
        self.customers.insert(order.to_owned(), customer.clone());
        customer
    }

    /// The orders as they stand.
    pub async fn look(&self) -> Vec<Seen> {
        let query = "select id, status, leg, fulfilment, version, store_id, driver_id, pin
                     from orders where tenant_id = $1 order by id";
        let rows = self.client.query(query, &[&self.tenant().uuid()]).await.unwrap();
        let seen = rows.iter().map(|row| {
            let uuid: Uuid = row.try_get(0).unwrap();
            Seen {
                id: OrderId::from_uuid(uuid).to_string(),
                uuid,
                status: row.try_get(1).unwrap(),
                leg: row.try_get(2).unwrap(),
                fulfilment: row.try_get(3).unwrap(),
                version: row.try_get(4).unwrap(),
                store: row.try_get(5).unwrap(),
                driver: row.try_get(6).unwrap(),
                pin: row.try_get(7).unwrap(),
            }
        });
        seen.collect()
    }
}
