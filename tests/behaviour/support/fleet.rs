//! A city whose couriers are searched for, and its clock.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Client;

use ordercast::config::Config;
use ordercast::domain::TenantId;

use super::{City, Rest, Scratch, Server, of, until};

/// Where the store of every city is.
pub const STORE: (f64, f64) = (52.52, 13.405);
/// Metres of one degree to the north.
const DEGREE_M: f64 = 111_195.0;

/// Looks often, as what a test changes in the database rings no bell.
pub fn attentive(config: &mut Config) {
    config.timers.poll_interval_ms = of(50);
    config.timers.gap_ms = of(5);
    // Couriers of tests stand now here, now there.
    config.locations.flush_ms = of(50);
    config.locations.speed_max = 1_000_000;
}

/// A city, its dispatcher, and a connection that moves its clock.
pub struct Fleet {
    pub city: City,
    pub ops: Rest,
    pub client: Client,
}

/// A courier on duty.
#[derive(Clone)]
pub struct Courier {
    pub id: String,
    pub token: String,
    pub rest: Rest,
    /// A dispatcher, who sees when it is known where it stands.
    pub ops: Rest,
}

impl Courier {
    /// Its device says that it is so many metres north of the store.
    pub async fn stand(&self, north_m: f64) {
        self.stand_at(STORE.0 + north_m / DEGREE_M, STORE.1).await;
    }

    /// Its device says where it is.
    pub async fn stand_at(&self, lat: f64, lng: f64) {
        let now = Timestamp::now();
        let body = json!({"p": [[now.as_millisecond(), now.to_string(), lat, lng, 10]]});
        let answer = self.rest.post("/v1/drivers/me/locations", body).await.expect(200);
        assert_eq!((&answer["refused"], &answer["n"]), (&json!(0), &json!(now.as_millisecond())));
        let near = format!("/v1/drivers?near={lat},{lng}&radius=10");
        until("it to be known where a courier is", async || {
            let found = self.ops.get(&near).await.expect(200);
            let found = found["drivers"].as_array().unwrap();
            let it = found.iter().find(|it| it["id"] == self.id.as_str())?;
            (it["location"]["n"] == answer["n"]).then_some(())
        })
        .await;
    }

    pub async fn duty(&self, duty: &str) {
        self.rest.put("/v1/drivers/me/duty", json!({"duty": duty})).await.expect(200);
    }

    /// What it is asked now.
    pub async fn asked(&self) -> Vec<Value> {
        let body = self.rest.get("/v1/drivers/me/offers").await.expect(200);
        body["offers"].as_array().unwrap().clone()
    }

    /// Waits until it is asked; the offer's id.
    pub async fn offer(&self) -> String {
        let offer = until("an offer", async || self.asked().await.pop()).await;
        offer["offer"].as_str().unwrap().to_owned()
    }

    /// Answers an offer: `accept` or `decline`.
    pub async fn answer(&self, offer: &str, answer: &str) -> super::Answer {
        self.rest.post(&format!("/v1/offers/{offer}/{answer}"), json!({})).await
    }
}

impl Fleet {
    /// Its couriers are searched for as `mode` says, by themselves; its first one is off duty.
    pub async fn found(server: &Server, mode: Option<&str>) -> Self {
        Self::at(&server.url, &server.database, mode).await
    }

    /// The same at a server that runs anywhere.
    pub async fn at(base: &str, database: &Scratch, mode: Option<&str>) -> Self {
        let city = City::found(base, database).await;
        let client = database.connect().await;
        let tenant = city.tenant.parse::<TenantId>().unwrap().uuid();
        let sql = "update tenants set offer_mode = $2 where id = $1";
        client.execute(sql, &[&tenant, &mode]).await.unwrap();
        let off = json!({"duty": "off"});
        city.platform.put(&format!("/v1/drivers/{}/duty", city.driver), off).await.expect(200);
        let ops = city.platform.with_token(&city.ops_token().await);
        Self { city, ops, client }
    }

    /// Sets a rule of all tenants.
    pub async fn rule(&self, rule: &str, value: i32) {
        self.client.execute(&format!("update tenants set {rule} = $1"), &[&value]).await.unwrap();
    }

    /// Another courier, so many metres north of the store, or nobody knows where.
    pub async fn courier(&self, north_m: Option<f64>) -> Courier {
        self.courier_with(json!({}), north_m).await
    }

    /// The same, with more about it.
    pub async fn courier_with(&self, more: Value, north_m: Option<f64>) -> Courier {
        let id = self.city.new_driver(more).await;
        let token = self.city.token("driver", &id, &[]).await;
        let (rest, ops) = (self.city.platform.with_token(&token), self.ops.clone());
        let courier = Courier { id, token, rest, ops };
        if let Some(north_m) = north_m {
            courier.stand(north_m).await;
        }
        courier
    }

    /// An order that its store has accepted, ready in so many minutes.
    pub async fn accepted(&self, prep_min: i32) -> String {
        let order = self.city.order_id().await;
        self.city.act(&self.ops, &order, "accept", json!({"prep_min": prep_min})).await;
        order
    }

    /// The order as dispatchers see it.
    pub async fn order(&self, order: &str) -> Value {
        self.ops.get(&format!("/v1/orders/{order}")).await.expect(200)
    }

    /// Begins a search.
    pub async fn search(&self, order: &str, body: Value) -> super::Answer {
        self.ops.post(&format!("/v1/orders/{order}/offers"), body).await
    }

    /// Assigns a courier.
    pub async fn assign(&self, order: &str, courier: &Courier) -> Value {
        let body = json!({"driver": courier.id});
        self.ops.put(&format!("/v1/orders/{order}/driver"), body).await.expect(200)
    }

    /// Waits until the order's leg is this.
    pub async fn leg(&self, order: &str, leg: &str) -> Value {
        until(&format!("the leg to be {leg}"), async || {
            Some(self.order(order).await).filter(|view| view["leg"] == leg)
        })
        .await
    }

    /// Who was asked for the order, the first first: courier, state and round.
    pub async fn offers(&self, order: &str) -> Vec<(String, String, i64)> {
        let body = self.ops.get(&format!("/v1/orders/{order}/offers")).await.expect(200);
        let text = |offer: &Value, key: &str| offer[key].as_str().unwrap().to_owned();
        let offers = body["offers"].as_array().unwrap().iter().rev();
        offers
            .map(|it| (text(it, "driver"), text(it, "state"), it["round"].as_i64().unwrap()))
            .collect()
    }

    /// The types of all events so far, by position, after `after`.
    pub async fn log(&self, after: u64) -> Vec<Value> {
        let path = format!("/v1/events?after={after}&limit=1000");
        let page = self.city.platform.get(&path).await.expect(200);
        page["events"].as_array().unwrap().clone()
    }

    /// How far the log reaches.
    pub async fn head(&self) -> u64 {
        let row = self.client.query_one("select last from log_head", &[]).await.unwrap();
        row.try_get::<_, i64>(0).unwrap().cast_unsigned()
    }

    /// The events of one type after a position.
    pub async fn of_type(&self, kind: &str, after: u64) -> Vec<Value> {
        let mut events = self.log(after).await;
        events.retain(|event| event["type"] == kind);
        events
    }

    /// Waits for so many events of a type after a position.
    pub async fn happened(&self, kind: &str, after: u64, count: usize) -> Vec<Value> {
        until(&format!("{count} times {kind}"), async || {
            let events = self.of_type(kind, after).await;
            assert!(events.len() <= count, "{events:#?}");
            (events.len() == count).then_some(events)
        })
        .await
    }

    /// Waits until nothing is due any more, so that what has not happened will not.
    pub async fn settled(&self) {
        // A claim ends at some microsecond; what an order waits for is dated in milliseconds.
        let busy = "select count(*) from timers
                    where due_at <= now() or extract(microseconds from due_at)::int % 1000 <> 0";
        until("nothing to be due", async || {
            let busy: i64 = self.client.query_one(busy, &[]).await.unwrap().try_get(0).unwrap();
            (busy == 0).then_some(())
        })
        .await;
    }

    /// Lets time go by for all that is waited for and remembered: in effect the database's clock
    /// goes forward, but for what the log says.
    pub async fn pass(&self, time: &str) {
        let mut sql = String::from("begin;");
        for table in ["orders", "stores", "offers", "timers", "driver_locations"] {
            let columns = "select string_agg(format('%I = %I - interval ''%s''', column_name,
                               column_name, $2::text), ', ')
                           from information_schema.columns
                           where table_name = $1::text and data_type = 'timestamp with time zone'
                             and is_generated = 'NEVER'";
            let row = self.client.query_one(columns, &[&table, &time]).await.unwrap();
            let set: String = row.try_get(0).unwrap();
            sql.extend(["update ", table, " set ", &set, ";"]);
        }
        self.client.batch_execute(&(sql + "commit")).await.unwrap();
    }
}
