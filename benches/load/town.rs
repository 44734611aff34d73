//! What a load acts on: stores, couriers, open orders, and those who speak for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::http::{Answer, Http, request};
use crate::rig::Target;

/// Connections by which a town is made.
const BUILDERS: usize = 16;
/// Between two signs of life.
const QUIET: Duration = Duration::from_secs(5);
/// Orders of one request.
pub(crate) const BULK: usize = 500;

/// Asks all of it over some connections; the answers in the order of the requests.
pub(crate) async fn spread(
    target: &Target,
    requests: Vec<Vec<u8>>,
    connections: usize,
) -> anyhow::Result<Vec<Answer>> {
    let requests = Arc::new(requests);
    let done = Arc::<AtomicUsize>::default();
    let mut shown = Instant::now();
    let mut tasks = JoinSet::new();
    for first in 0..connections.min(requests.len()) {
        let (requests, address) = (Arc::clone(&requests), target.address);
        let done = Arc::clone(&done);
        tasks.spawn(async move {
            let mut http = Http::open(address).await?;
            let mut answers = Vec::new();
            for nth in (first..requests.len()).step_by(connections) {
                let Some(request) = requests.get(nth) else { break };
                answers.push((nth, http.ask(request).await?));
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = Vec::with_capacity(requests.len());
    loop {
        match timeout(QUIET, tasks.join_next()).await {
            Ok(Some(done)) => answers.extend(done??),
            Ok(None) => break,
            Err(_waiting) if shown.elapsed() >= QUIET => {
                shown = Instant::now();
                let done = done.load(Ordering::Relaxed);
                eprintln!("preparing: {done} of {} requests", requests.len());
            }
            Err(_waiting) => {}
        }
    }
    answers.sort_by_key(|(nth, _)| *nth);
    Ok(answers.into_iter().map(|(_nth, answer)| answer).collect())
}

/// A text in an answer.
pub(crate) fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let text = value.pointer(pointer).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {pointer} in {value}"))?.to_owned())
}

/// The body of a new order.
pub(crate) fn order(store: &str, name: &str) -> Value {
    json!({
        "external_id": name, "store": store,
        "items": [{"name": "Pizza Margherita", "qty": 2}, {"name": "Water", "qty": 1}],
        "dropoff": {"name": "Ann Lee", "phone": "+49 151 99887766",
            "address": "Hauptstr. 1, Mitte, Berlin", "lat": 52.53, "lng": 13.41,
            "notes": "ring twice"},
    })
}

impl Target {
    /// Makes stores; their ids.
    pub(crate) async fn stores(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let requests = (0..count).map(|nth| {
            let body = json!({"external_id": format!("store-{}", uuid::Uuid::now_v7()),
                "name": format!("Trattoria {nth}"), "lat": 52.52, "lng": 13.405,
                "tz": "Europe/Berlin", "phone": "+49 30 1234567"});
            request("POST", "/v1/stores", &self.key, &body.to_string())
        });
        self.ids(requests.collect()).await.context("making stores")
    }

    /// Makes couriers and calls them on duty; their ids.
    pub(crate) async fn drivers(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let requests = (0..count).map(|_| {
            let body = json!({"external_id": format!("driver-{}", uuid::Uuid::now_v7()),
                "name": "Cori Rossi", "phone": "+49 170 7654321", "capacity": 50,
                "vehicle": {"type": "scooter", "colour": "red", "plate": "B-CR 1"}});
            request("POST", "/v1/drivers", &self.key, &body.to_string())
        });
        let drivers = self.ids(requests.collect()).await.context("making couriers")?;
        let duty = drivers.iter().map(|driver| {
            let path = format!("/v1/drivers/{driver}/duty");
            request("PUT", &path, &self.key, r#"{"duty":"on"}"#)
        });
        for answer in spread(self, duty.collect(), BUILDERS).await? {
            answer.good().context("calling couriers on duty")?;
        }
        Ok(drivers)
    }

    async fn ids(&self, requests: Vec<Vec<u8>>) -> anyhow::Result<Vec<String>> {
        let answers = spread(self, requests, BUILDERS).await?;
        answers.iter().map(|answer| text(&answer.json()?, "/id")).collect()
    }

    /// Places orders, in turns at the stores, and accepts them; their ids, in order.
    pub(crate) async fn open_orders(
        &self,
        stores: &[String],
        count: usize,
    ) -> anyhow::Result<Vec<String>> {
        let bodies: Vec<Value> = stores
            .iter()
            .cycle()
            .take(count)
            .map(|store| order(store, &format!("order-{}", uuid::Uuid::now_v7())))
            .collect();
        let requests = bodies.chunks(BULK).map(|bodies| {
            let body = json!({"orders": bodies}).to_string();
            request("POST", "/v1/orders/bulk", &self.key, &body)
        });
        let mut orders = Vec::with_capacity(count);
        for answer in spread(self, requests.collect(), 2).await? {
            let answer = answer.json()?;
            for result in answer.pointer("/results").and_then(Value::as_array).into_iter().flatten()
            {
                orders.push(text(result, "/order/id").context("placing orders")?);
            }
        }
        // Long enough that nothing is late while it is measured.
        self.bulk(&self.key, "accept", &orders, &json!({"prep_min": 240})).await?;
        Ok(orders)
    }

    /// Does the same to many orders.
    pub(crate) async fn bulk(
        &self,
        token: &str,
        action: &str,
        orders: &[String],
        body: &Value,
    ) -> anyhow::Result<()> {
        let requests = orders.chunks(BULK).map(|orders| bulk(token, action, orders, body));
        for answer in spread(self, requests.collect(), 2).await? {
            all_done(&answer).with_context(|| format!("{action} in bulk"))?;
        }
        Ok(())
    }

    /// A token of a dispatcher, a store or a courier.
    pub(crate) async fn token(&self, kind: &str, subject: &str) -> anyhow::Result<Arc<str>> {
        let body = json!({"kind": kind, "subject": subject, "ttl_s": 86_400});
        let mut http = Http::open(self.address).await?;
        let issued = http.call("POST", "/v1/tokens", &self.key, &body).await?;
        Ok(text(&issued, "/token")?.into())
    }

    /// Tokens of stores or couriers, in order.
    pub(crate) async fn tokens(&self, kind: &str, of: &[String]) -> anyhow::Result<Vec<Arc<str>>> {
        let bodies =
            of.iter().map(|subject| json!({"kind": kind, "subject": subject, "ttl_s": 86_400}));
        self.issued(bodies.collect()).await
    }

    /// Tokens of customers, each for its own order, in order.
    pub(crate) async fn customers(&self, orders: &[String]) -> anyhow::Result<Vec<Arc<str>>> {
        let bodies = orders.iter().enumerate().map(|(nth, order)| {
            let subject = format!("customer-{nth}");
            json!({"kind": "customer", "subject": subject, "orders": [order], "ttl_s": 86_400})
        });
        self.issued(bodies.collect()).await
    }

    async fn issued(&self, bodies: Vec<Value>) -> anyhow::Result<Vec<Arc<str>>> {
        let requests = bodies
            .into_iter()
            .map(|body| request("POST", "/v1/tokens", &self.key, &body.to_string()));
        let answers = spread(self, requests.collect(), BUILDERS).await?;
        let tokens = answers.iter().map(|answer| Ok(text(&answer.json()?, "/token")?.into()));
        tokens.collect::<anyhow::Result<_>>().context("making tokens")
    }
}

/// A request to do the same to at most [`BULK`] orders.
pub(crate) fn bulk(token: &str, action: &str, orders: &[String], body: &Value) -> Vec<u8> {
    let items = orders.iter().map(|order| {
        let mut item = body.clone();
        if let Some(members) = item.as_object_mut() {
            members.insert("order".to_owned(), order.as_str().into());
        }
        item
    });
    let body = json!({"items": items.collect::<Vec<_>>()}).to_string();
    request("POST", &format!("/v1/orders/bulk/{action}"), token, &body)
}

/// Whether every item of a bulk request was done.
pub(crate) fn all_done(answer: &Answer) -> anyhow::Result<()> {
    if answer.status == 200 {
        return Ok(());
    }
    let body = answer.good()?;
    anyhow::bail!("not all was done: {}", String::from_utf8_lossy(body.get(..500).unwrap_or(body)))
}
