//! Every write there is, each as one request and as another that is not the same.

use std::collections::BTreeSet;
use std::path::Path;

use awc::http::Method;
use serde_json::{Value, json};

use super::send;
use crate::support::{Answer, City, Rest, merged};
use crate::webhooks::hook;

/// One write, and another request that its key must not do for.
pub struct Write {
    /// As in the routes.
    pub route: &'static str,
    /// Who does it: `platform`, `ops` or `driver`.
    pub who: &'static str,
    pub path: String,
    pub body: Value,
    /// Path and body of another request.
    pub other: (String, Value),
    /// Method over a socket, and what its data has besides the body.
    pub rpc: (&'static str, Value),
}

impl Write {
    pub fn method(&self) -> Method {
        self.route.split(' ').next().unwrap().parse().unwrap()
    }

    pub async fn send(&self, who: &Rest, key: &str) -> Answer {
        send(who, self.method(), &self.path, &self.body, key).await
    }
}

/// Every write, about things that nothing was done to yet.
pub async fn writes(city: &City, url: &str) -> Vec<Write> {
    let mut writes = of_couriers(city).await;
    writes.extend(of_links(city).await);
    let mut add = |route: &'static str, path: String, body: Value, other, rpc| {
        // The platform does all but promise when an order will be ready, and prove that it left.
        let of_ops = ["/prep", "/proofs"].iter().any(|end| route.ends_with(end));
        let who = if of_ops { "ops" } else { "platform" };
        writes.push(Write { route, who, path, body, other, rpc });
    };
    let body = city.order_body(json!({}));
    let other = city.order_body(json!({}));
    let path = "/v1/orders".to_owned();
    let rpc = ("order.create", json!({}));
    add("POST /v1/orders", path.clone(), body, (path, other), rpc);
    let driver = city.new_driver(json!({})).await;
    for (route, more, body, other, method) in [
        ("PATCH /v1/orders/{order}", "", json!({"note": "a"}), json!({"note": "b"}), "update"),
        (
            "POST /v1/orders/{order}/{action}",
            "/ready",
            json!({}),
            json!({"at": "2026-01-01T00:00:00Z"}),
            "ready",
        ),
        (
            "PUT /v1/orders/{order}/prep",
            "/prep",
            json!({"prep_min": 50}),
            json!({"prep_min": 51}),
            "prep",
        ),
        (
            "PUT /v1/orders/{order}/driver",
            "/driver",
            json!({"driver": city.driver}),
            json!({"driver": driver}),
            "assign",
        ),
        (
            "DELETE /v1/orders/{order}/driver",
            "/driver",
            json!({}),
            json!({"reason": "other", "note": "late"}),
            "unassign",
        ),
    ] {
        let order = city.order_id().await;
        city.act(&city.platform, &order, "accept", json!({})).await;
        if method == "unassign" {
            city.assign(&order).await;
        }
        let path = format!("/v1/orders/{order}{more}");
        let method = ["update", "ready", "prep", "assign", "unassign"]
            .into_iter()
            .zip(["order.update", "order.ready", "order.prep", "order.assign", "order.unassign"])
            .find(|(action, _)| *action == method)
            .unwrap()
            .1;
        add(route, path.clone(), body, (path, other), (method, json!({"order": order})));
    }

    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    let path = format!("/v1/orders/{order}/proofs");
    let scan = |text: &str| json!({"point": "pickup", "kind": "scan", "ref": text});
    let rpc = ("proof.add", json!({"order": order}));
    add("POST /v1/orders/{order}/proofs", path.clone(), scan("a"), (path, scan("b")), rpc);

    let store = city.new_store(json!({})).await;
    let doomed = city.new_store(json!({})).await;
    let at = |noun: &str, id: &str, more: &str| format!("/v1/{noun}/{id}{more}");
    let store_body = |name: &str| json!({"name": name, "lat": 1, "lng": 2, "tz": "Europe/Paris"});
    let made = |name: &str| merged(store_body(name), json!({"external_id": driver}));
    let (one, other) = (made("One"), made("Other"));
    let all = "/v1/stores".to_owned();
    let rpc = ("store.create", json!({}));
    add("POST /v1/stores", all.clone(), one, (all, other), rpc);
    let ext = at("stores/ext", &store, "");
    let (one, other) = (store_body("One"), store_body("Other"));
    let rpc = ("store.create", json!({"external_id": store}));
    add("PUT /v1/stores/ext/{external_id}", ext.clone(), one, (ext, other), rpc);
    let path = at("stores", &store, "");
    let (one, other) = (json!({"name": "New"}), json!({"name": "Newer"}));
    let rpc = ("store.update", json!({"store": store}));
    add("PATCH /v1/stores/{store}", path.clone(), one, (path, other), rpc);
    let path = at("stores", &store, "/pause");
    let (one, other) = (json!({"until": "2099-01-01T00:00:00Z"}), json!({}));
    let rpc = ("store.pause", json!({"store": store}));
    add("PUT /v1/stores/{store}/pause", path.clone(), one, (path, other), rpc);
    let (path, other) = (at("stores", &doomed, ""), (at("stores", &store, ""), Value::Null));
    let rpc = ("store.delete", json!({"store": doomed}));
    add("DELETE /v1/stores/{store}", path, Value::Null, other, rpc);

    let doomed = city.new_driver(json!({})).await;
    let driver_body = |name: &str| json!({"name": name, "vehicle": {"type": "car"}});
    let made = |name: &str| merged(driver_body(name), json!({"external_id": store}));
    let (one, other) = (made("One"), made("Other"));
    let all = "/v1/drivers".to_owned();
    let rpc = ("driver.create", json!({}));
    add("POST /v1/drivers", all.clone(), one, (all, other), rpc);
    let ext = at("drivers/ext", &driver, "");
    let (one, other) = (driver_body("One"), driver_body("Other"));
    let rpc = ("driver.create", json!({"external_id": driver}));
    add("PUT /v1/drivers/ext/{external_id}", ext.clone(), one, (ext, other), rpc);
    let path = at("drivers", &driver, "");
    let (one, other) = (json!({"capacity": 7}), json!({"capacity": 8}));
    let rpc = ("driver.update", json!({"driver": driver}));
    add("PATCH /v1/drivers/{driver}", path.clone(), one, (path, other), rpc);
    let path = at("drivers", &driver, "/duty");
    let (one, other) = (json!({"duty": "paused"}), json!({"duty": "off"}));
    let rpc = ("driver.duty", json!({"driver": driver}));
    add("PUT /v1/drivers/{driver}/duty", path.clone(), one, (path, other), rpc);
    let (path, other) = (at("drivers", &doomed, ""), (at("drivers", &driver, ""), Value::Null));
    let rpc = ("driver.delete", json!({"driver": doomed}));
    add("DELETE /v1/drivers/{driver}", path, Value::Null, other, rpc);

    let path = "/v1/tenant".to_owned();
    let (one, other) = (json!({"link_ttl_h": 30}), json!({"link_ttl_h": 31}));
    add("PATCH /v1/tenant", path.clone(), one, (path, other), ("tenant.update", json!({})));

    let path = "/v1/tokens".to_owned();
    let body = |subject: &str| json!({"kind": "ops", "subject": subject, "info": {"a": 1}});
    let rpc = ("token.create", json!({}));
    add("POST /v1/tokens", path.clone(), body("ann"), (path.clone(), body("bob")), rpc);
    let issue = async || {
        let issued = city.platform.post(&path, body("cyd")).await.expect(201);
        issued["id"].as_str().unwrap().to_owned()
    };
    let (token, second) = (issue().await, issue().await);
    let other = (at("tokens", &second, ""), Value::Null);
    let rpc = ("token.revoke", json!({"token": token}));
    add("DELETE /v1/tokens/{token}", at("tokens", &token, ""), Value::Null, other, rpc);

    // The last: nothing is logged any more, that webhooks would move on by.
    // Disabled: nothing but what is asked for is posted.
    let path = "/v1/webhooks".to_owned();
    let body = json!({"url": url, "types": ["no.such"]});
    let other = (path.clone(), json!({"url": url}));
    add("POST /v1/webhooks", path, body, other, ("webhook.create", json!({})));
    let silent = async || {
        let made = hook(city, url, json!(["no.such"])).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let off = json!({"state": "disabled"});
        city.platform.patch(&at("webhooks", &id, ""), off).await.expect(200);
        id
    };
    let (webhook, doomed) = (silent().await, silent().await);
    let named = json!({"webhook": webhook});
    let path = at("webhooks", &webhook, "");
    let (one, other) = (json!({"types": ["no.other"]}), json!({"types": null}));
    let rpc = ("webhook.update", named.clone());
    add("PATCH /v1/webhooks/{webhook}", path.clone(), one, (path, other), rpc);
    let path = at("webhooks", &webhook, "/rotate");
    let (one, other) = (json!({"keep_s": 60}), json!({}));
    let rpc = ("webhook.rotate", named.clone());
    add("POST /v1/webhooks/{webhook}/rotate", path.clone(), one, (path, other), rpc);
    let path = at("webhooks", &webhook, "/replay?after=1");
    let other = (at("webhooks", &webhook, "/replay?after=0"), Value::Null);
    let rpc = ("webhook.replay", merged(named.clone(), json!({"after": 1})));
    add("POST /v1/webhooks/{webhook}/replay", path, Value::Null, other, rpc);
    let path = at("webhooks", &webhook, "/test");
    let other = (at("webhooks", &doomed, "/test"), Value::Null);
    add("POST /v1/webhooks/{webhook}/test", path, Value::Null, other, ("webhook.test", named));
    let (path, other) = (at("webhooks", &doomed, ""), (at("webhooks", &webhook, ""), Value::Null));
    let rpc = ("webhook.delete", json!({"webhook": doomed}));
    add("DELETE /v1/webhooks/{webhook}", path, Value::Null, other, rpc);
    writes
}

/// Those of tracking links.
async fn of_links(city: &City) -> Vec<Write> {
    let (order, doomed) = (city.order_id().await, city.order_id().await);
    let link = city.link(&doomed).await["id"].as_str().unwrap().to_owned();
    city.link(&order).await;
    let of = |order: &str| format!("/v1/orders/{order}/links");
    let revoke = "DELETE /v1/orders/{order}/links";
    let one = "DELETE /v1/orders/{order}/links/{link}";
    [
        (
            "POST /v1/orders/{order}/links",
            of(&order),
            json!({"ttl_h": 2}),
            (of(&order), json!({})),
            ("link.create", json!({"order": order})),
        ),
        (
            one,
            format!("{}/{link}", of(&doomed)),
            Value::Null,
            (of(&doomed), Value::Null),
            ("link.revoke", json!({"order": doomed, "link": link})),
        ),
        (
            revoke,
            of(&order),
            Value::Null,
            (of(&doomed), Value::Null),
            ("link.revoke", json!({"order": order})),
        ),
    ]
    .into_iter()
    .map(|(route, path, body, other, rpc)| Write { route, who: "platform", path, body, other, rpc })
    .collect()
}

/// Those of offers, tours, estimates and whereabouts.
async fn of_couriers(city: &City) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut add = |who, route, path: String, body: Value, other: (String, Value), rpc| {
        writes.push(Write { route, who, path, body, other, rpc });
    };
    let (searched, other) = (accepted(city).await, accepted(city).await);
    let of = |order: &str, more: &str| format!("/v1/orders/{order}/{more}");
    let ask = |seconds: u32| json!({"drivers": [city.driver], "offer_s": seconds});
    let path = of(&searched, "offers");
    let rpc = ("order.search", json!({"order": searched}));
    let route = "POST /v1/orders/{order}/offers";
    add("platform", route, path.clone(), ask(120), (path, ask(119)), rpc);
    let (order, _offer) = offered(city, &[&city.driver]).await;
    let rpc = ("order.stop_search", json!({"order": order}));
    let route = "DELETE /v1/orders/{order}/offers";
    let elsewhere = (of(&other, "offers"), Value::Null);
    add("ops", route, of(&order, "offers"), Value::Null, elsewhere, rpc);

    let route = "POST /v1/offers/{offer}/{answer}";
    let second = city.new_driver(json!({})).await;
    for (verb, other, method, asked) in [
        ("accept", "decline", "offer.accept", &[&*city.driver][..]),
        // Somebody is still asked, so the search does not go on at once.
        ("decline", "accept", "offer.decline", &[&*city.driver, &*second]),
    ] {
        let (_order, offer) = offered(city, asked).await;
        let answer = |verb: &str| format!("/v1/offers/{offer}/{verb}");
        let rpc = (method, json!({"offer": offer}));
        add("driver", route, answer(verb), json!({}), (answer(other), json!({})), rpc);
    }

    let driver = city.new_driver(json!({})).await;
    let mut stops = Vec::new();
    for _nth in 0..2 {
        let order = accepted(city).await;
        let body = json!({"driver": driver});
        city.platform.put(&of(&order, "driver"), body).await.expect(200);
        stops.push(order);
    }
    let tour = |first: usize| json!({"orders": [stops[first], stops[1 - first]]});
    let path = format!("/v1/drivers/{driver}/route");
    let rpc = ("driver.route", json!({"driver": driver}));
    add("platform", "PUT /v1/drivers/{driver}/route", path.clone(), tour(1), (path, tour(0)), rpc);
    // Long ago: nobody's arrival follows from it.
    let point = |n: u32| json!({"p": [[n, "2026-01-01T00:00:00Z", 48.1, 11.5]]});
    let path = "/v1/drivers/me/locations".to_owned();
    let rpc = ("locations", json!({}));
    add("driver", "POST /v1/drivers/me/locations", path.clone(), point(1), (path, point(2)), rpc);
    let path = of(&other, "eta");
    let eta = |year: u32| json!({"dropoff_eta": format!("{year}-01-01T12:00:00Z")});
    let rpc = ("order.eta", json!({"order": other}));
    let route = "PUT /v1/orders/{order}/eta";
    add("platform", route, path.clone(), eta(2099), (path, eta(2098)), rpc);
    writes
}

/// An order that is being cooked.
async fn accepted(city: &City) -> String {
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    order
}

/// The same, with these couriers asked to bring it for longer than any test takes: its id, and that
/// of the first one's offer.
pub async fn offered(city: &City, drivers: &[&str]) -> (String, String) {
    let order = accepted(city).await;
    let path = format!("/v1/orders/{order}/offers");
    let body = json!({"drivers": drivers, "offer_s": 120, "mode": "broadcast"});
    city.platform.post(&path, body).await.expect(200);
    let offers = city.platform.get(&path).await.expect(200)["offers"].clone();
    let offers = offers.as_array().unwrap();
    assert_eq!(offers.len(), drivers.len());
    let offer = offers.iter().find(|offer| offer["driver"] == drivers[0]).unwrap();
    (order, offer["offer"].as_str().unwrap().to_owned())
}

/// Every route that writes, as it stands in the code; bulk has tests of its own.
pub fn routes() -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    for entry in std::fs::read_dir(folder).unwrap() {
        let code = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for resource in code.split("web::resource(\"").skip(1) {
            let (path, rest) = resource.split_once('"').unwrap();
            for (method, word) in
                [("POST", "post"), ("PUT", "put"), ("PATCH", "patch"), ("DELETE", "delete")]
            {
                if rest.contains(&format!("web::{word}()")) && !path.contains("/bulk") {
                    routes.insert(format!("{method} {path}"));
                }
            }
        }
    }
    assert!(routes.len() > 20);
    routes
}
