//! Deleting stores and couriers: what is deleted is not found, but where it belongs to the past;
//! and nothing is ever left with a store or courier that is gone.

use futures::future::{join, join_all};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{City, Phone, Process, Rest, Scratch, Server, check_log, until, waiting};

async fn events(city: &City, kinds: &str) -> Vec<Value> {
    let log = city.platform.get(&format!("/v1/events?types={kinds}")).await.expect(200);
    log["events"].as_array().unwrap().clone()
}

fn ids(page: &Value, list: &str) -> Vec<String> {
    let of = |one: &Value| one["id"].as_str().unwrap().to_owned();
    page[list].as_array().unwrap().iter().map(of).collect()
}

async fn cancel(city: &City, order: &str) {
    let reason = json!({"reason": "duplicate"});
    city.act(&city.platform, order, "cancel", reason).await;
}

/// Nothing may be open in a deleted store, nor with a deleted courier, nor come later.
async fn check_ends(database: &Scratch) {
    check_log(database).await;
    let wrong = "
        select count(*) from orders o
        where o.closed_at is null
          and (exists (select from stores s where s.id = o.store_id and s.deleted_at is not null)
               or exists (select from drivers d
                          where d.id = o.driver_id and d.deleted_at is not null))";
    let late = "
        select count(*) from events e
        join events l on l.position > e.position and l.order_id is not null
         and (e.type = 'store.deleted' and l.store_id = e.store_id
              or e.type = 'driver.deleted' and l.driver_id = e.driver_id)";
    let client = database.connect().await;
    for query in [wrong, late] {
        let count: i64 = client.query_one(query, &[]).await.unwrap().try_get(0).unwrap();
        assert_eq!(count, 0, "{query}");
    }
}

#[actix_web::test]
async fn a_deleted_store_is_not_found_but_in_its_past_orders_and_can_be_revived() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let past = city.order_id().await;
    let (path, store) = (format!("/v1/stores/{}", city.store), city.store_token().await);
    let store = city.platform.with_token(&store);
    let before = server.database.contents().await;
    let problem = city.platform.delete(&path).await.expect_problem(409, "has_open_orders");
    assert_eq!(problem["status"], 409);
    assert_eq!(server.database.contents().await, before);
    cancel(&city, &past).await;
    let view = city.platform.get(&path).await.expect(200);

    assert_eq!(city.platform.delete(&path).await.expect(204), json!(""));
    let before = server.database.contents().await;
    city.platform.delete(&path).await.expect(204);
    assert_eq!(server.database.contents().await, before, "a repetition writes nothing");
    let deleted = events(&city, "store.deleted").await;
    assert_eq!(deleted.len(), 1);
    assert_eq!((&deleted[0]["store"], &deleted[0]["data"]), (&json!(city.store), &json!({})));

    let pause = format!("{path}/pause");
    for who in [&city.platform, &city.caller("ops", "").await, &store] {
        who.get(&path).await.expect_problem(404, "not_found");
        who.put(&pause, json!({"until": null})).await.expect_problem(404, "not_found");
    }
    let renamed = city.platform.patch(&path, json!({"name": "Still here"})).await;
    renamed.expect_problem(404, "not_found");
    let external_id = view["external_id"].as_str().unwrap();
    for query in [String::new(), format!("?external_id={external_id}")] {
        let page = city.platform.get(&format!("/v1/stores{query}")).await.expect(200);
        assert_eq!(page["stores"], json!([]));
    }
    let token = json!({"kind": "store", "subject": city.store});
    city.platform.post("/v1/tokens", token).await.expect_problem(422, "validation");
    let placed = city.platform.post("/v1/orders", city.order_body(json!({}))).await;
    let mut placed = placed.expect_problem(422, "validation");
    let nowhere = ordercast::domain::StoreId::new().to_string();
    let nowhere = city.order_body(json!({"store": nowhere}));
    let nowhere = city.platform.post("/v1/orders", nowhere).await;
    let mut nowhere = nowhere.expect_problem(422, "validation");
    for problem in [&mut placed, &mut nowhere] {
        problem.as_object_mut().unwrap().remove("request_id");
    }
    assert_eq!(placed, nowhere, "as if there were no such store");
    let mut phone = Phone::connect(&server.url, store.token.as_ref().unwrap()).await;
    let channel = format!("store:{}", city.store);
    let reply = phone.ask(json!({"subscribe": {"channel": channel}})).await;
    assert_eq!(reply["error"]["code"], 103, "{reply}");

    // Its past stays what it was, and is found by it.
    let order = city.platform.get(&format!("/v1/orders/{past}")).await.expect(200);
    assert_eq!((&order["store"]["id"], &order["store"]["name"]), (&view["id"], &view["name"]));
    let page = city.platform.get(&format!("/v1/orders?store={}", city.store)).await.expect(200);
    assert_eq!(ids(&page, "orders"), [past.as_str()]);
    assert_eq!(ids(&store.get("/v1/orders").await.expect(200), "orders"), [past.as_str()]);

    let body = json!({"name": "Trattoria", "lat": 52.52, "lng": 13.405, "tz": "Europe/Berlin"});
    let again = city.platform.put(&format!("/v1/stores/ext/{external_id}"), body).await.expect(200);
    assert_eq!(again["id"], view["id"]);
    store.get(&path).await.expect(200);
    phone.subscribe(&channel).await;
    city.order_id().await;
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_deleted_courier_is_not_found_but_in_past_orders_and_comes_back_off_duty() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let past = city.order_id().await;
    city.assign(&past).await;
    let (path, token) = (format!("/v1/drivers/{}", city.driver), city.driver_token().await);
    let courier = city.platform.with_token(&token);
    let before = server.database.contents().await;
    city.platform.delete(&path).await.expect_problem(409, "has_open_orders");
    assert_eq!(server.database.contents().await, before);
    cancel(&city, &past).await;
    let view = city.platform.get(&path).await.expect(200);
    assert_eq!(view["duty"], "on");

    city.platform.delete(&path).await.expect(204);
    let before = server.database.contents().await;
    city.platform.delete(&path).await.expect(204);
    assert_eq!(server.database.contents().await, before, "a repetition writes nothing");
    let told = events(&city, "driver.deleted,driver.duty").await;
    let kinds: Vec<&Value> = told.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["driver.duty", "driver.deleted"], "on at first; then the end alone");
    assert_eq!((&told[1]["driver"], &told[1]["data"]), (&json!(city.driver), &json!({})));

    let duty = format!("{path}/duty");
    for who in [&city.platform, &city.caller("ops", "").await, &courier] {
        who.get(&path).await.expect_problem(404, "not_found");
        who.put(&duty, json!({"duty": "on"})).await.expect_problem(404, "not_found");
    }
    courier.get("/v1/drivers/me").await.expect_problem(404, "not_found");
    let renamed = city.platform.patch(&path, json!({"name": "Still Here"})).await;
    renamed.expect_problem(404, "not_found");
    assert_eq!(city.platform.get("/v1/drivers").await.expect(200)["drivers"], json!([]));
    let body = json!({"kind": "driver", "subject": city.driver});
    city.platform.post("/v1/tokens", body).await.expect_problem(422, "validation");
    let order = city.order_id().await;
    let assign = format!("/v1/orders/{order}/driver");
    let assigned = city.platform.put(&assign, json!({"driver": city.driver})).await;
    assigned.expect_problem(404, "not_found");
    let mut phone = Phone::connect(&server.url, &token).await;
    let channel = format!("driver:{}", city.driver);
    let reply = phone.ask(json!({"subscribe": {"channel": channel}})).await;
    assert_eq!(reply["error"]["code"], 103, "{reply}");
    let order = city.platform.get(&format!("/v1/orders/{past}")).await.expect(200);
    assert_eq!(order["driver"]["id"], view["id"]);

    let external_id = view["external_id"].as_str().unwrap();
    let body = json!({"name": "Cori Rossi", "vehicle": {"type": "scooter"}});
    let again = format!("/v1/drivers/ext/{external_id}");
    let again = city.platform.put(&again, body).await.expect(200);
    assert_eq!((&again["id"], &again["duty"]), (&view["id"], &json!("off")));
    courier.put("/v1/drivers/me/duty", json!({"duty": "on"})).await.expect(200);
    let assigned = city.platform.put(&assign, json!({"driver": city.driver})).await;
    assigned.expect(200);
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn the_end_is_told_to_those_it_concerns_and_can_be_asked_for_over_a_socket() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    // Which would hide nothing: another store's order for the customer.
    let order = city.order(json!({"store": city.new_store(json!({})).await})).await;
    let order = order["id"].as_str().unwrap();
    let colleague = city.new_driver(json!({})).await;
    let mut all = Vec::new();
    for (hears, channel, token) in [
        (vec!["store.deleted", "driver.deleted"], "dispatch".to_owned(), city.ops_token().await),
        (vec!["store.deleted", "driver.deleted"], "tenant".to_owned(), city.key.clone()),
        (vec!["store.deleted"], format!("store:{}", city.store), city.store_token().await),
        (vec!["driver.deleted"], format!("driver:{}", city.driver), city.driver_token().await),
        (vec![], format!("order:{order}"), city.customer_token(order).await),
        (vec![], format!("driver:{colleague}"), city.token("driver", &colleague, &[]).await),
    ] {
        let mut phone = Phone::connect(&server.url, &token).await;
        phone.subscribe(&channel).await;
        all.push((hears, channel, phone));
    }
    let mut platform = Phone::connect(&server.url, &city.key).await;
    for (method, data) in [
        ("store.delete", json!({"store": city.store})),
        ("driver.delete", json!({"driver": city.driver})),
    ] {
        for (data, code) in [(json!({}), 422), (json!({"store": "x", "driver": "x"}), 404)] {
            let reply = platform.rpc(method, data).await;
            assert_eq!(reply["error"]["code"], code, "{reply}");
        }
        for _ in 0..2 {
            let reply = platform.rpc(method, data.clone()).await;
            assert_eq!(reply["rpc"]["data"], json!({}), "{reply}");
        }
    }
    let body = json!({"driver": colleague});
    city.platform.put(&format!("/v1/orders/{order}/driver"), body).await.expect(200);
    for (hears, channel, phone) in &mut all {
        for kind in hears.iter() {
            let event = phone.event().await;
            assert_eq!(event["type"], *kind, "{channel}");
            assert_eq!(event["data"], json!({}), "{channel}");
            let (party, id) = kind.split_once('.').map_or(("", ""), |(party, _)| match party {
                "store" => ("store", city.store.as_str()),
                _ => ("driver", city.driver.as_str()),
            });
            assert_eq!(event[party], id, "{channel}");
        }
        // Who heard of its own end is asked no more: the order is none of its business.
        if hears.len() != 1 {
            assert_eq!(phone.event().await["type"], "courier.assigned", "{channel}");
        }
    }
    let busy = platform.rpc("driver.delete", json!({"driver": colleague})).await;
    let error = &busy["error"];
    assert_eq!(error["code"], 1417, "{busy}");
    assert!(error["message"].as_str().unwrap().starts_with("has_open_orders: "), "{busy}");
    server.stop().await;
}

/// Two processes on one database, and a city with callers at both.
struct Two {
    database: Scratch,
    client: Client,
    _processes: [Process; 2],
    city: City,
    callers: [Rest; 2],
}

impl Two {
    async fn start() -> Self {
        let database = Scratch::create().await;
        let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
        let city = City::found(&one.url, &database).await;
        let callers = [&one, &two].map(|process| Rest::new(&process.url, Some(&city.key)));
        let client = database.connect().await;
        Self { database, client, _processes: [one, two], city, callers }
    }

    /// Runs `first` on one process up to where it would append to the log, and holds it there
    /// until `second` waits too.
    async fn cross<A, B>(
        &self,
        first: impl Future<Output = A>,
        second: impl Future<Output = B>,
    ) -> (A, B) {
        let holder = self.database.connect().await;
        holder.batch_execute("begin; select from log_head for update").await.unwrap();
        let then = async {
            until("the first to wait", async || (waiting(&self.client).await == 1).then_some(()))
                .await;
            let releasing = async {
                let both = async || (waiting(&self.client).await == 2).then_some(());
                until("the second to wait", both).await;
                holder.batch_execute("rollback").await.unwrap();
            };
            join(second, releasing).await.0
        };
        join(first, then).await
    }
}

#[actix_web::test]
async fn an_order_under_way_to_a_store_and_its_end_wait_for_each_other() {
    let two = Two::start().await;
    let [one, other] = &two.callers;
    let store = two.city.new_store(json!({})).await;
    let body = two.city.order_body(json!({"store": store}));
    let path = format!("/v1/stores/{store}");
    let (placed, deleted) = two.cross(one.post("/v1/orders", body), other.delete(&path)).await;
    let order = placed.expect(201)["id"].as_str().unwrap().to_owned();
    deleted.expect_problem(409, "has_open_orders");
    cancel(&two.city, &order).await;
    let body = two.city.order_body(json!({"store": store}));
    let (deleted, placed) = two.cross(one.delete(&path), other.post("/v1/orders", body)).await;
    deleted.expect(204);
    placed.expect_problem(422, "validation");
    check_ends(&two.database).await;
}

#[actix_web::test]
async fn an_assignment_under_way_to_a_courier_and_its_end_wait_for_each_other() {
    let two = Two::start().await;
    let [one, other] = &two.callers;
    let order = two.city.order_id().await;
    let assign = format!("/v1/orders/{order}/driver");
    let body = json!({"driver": two.city.driver});
    let path = format!("/v1/drivers/{}", two.city.driver);
    let (assigned, deleted) = two.cross(one.put(&assign, body.clone()), other.delete(&path)).await;
    assigned.expect(200);
    deleted.expect_problem(409, "has_open_orders");
    one.delete(&assign).await.expect(200);
    let (deleted, assigned) = two.cross(one.delete(&path), other.put(&assign, body)).await;
    deleted.expect(204);
    assigned.expect_problem(404, "not_found");
    let order = one.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(order["leg"], "none");
}

#[actix_web::test]
async fn however_they_meet_no_order_is_left_in_a_deleted_store_or_with_a_deleted_courier() {
    let two = Two::start().await;
    let city = &two.city;
    for round in 0..15 {
        let (store, driver) = (city.new_store(json!({})).await, city.new_driver(json!({})).await);
        let order = city.order_id().await;
        let asked: Vec<(&str, u16)> = join_all((0..10).map(async |nth: usize| {
            let who = &two.callers[(nth + round) % 2];
            // Pauses of other stores in the same batches: no lock may wait in a circle.
            let (kind, answer) = match (nth * 7 + round) % 5 {
                0 => ("end", who.delete(&format!("/v1/stores/{store}")).await),
                1 => ("end", who.delete(&format!("/v1/drivers/{driver}")).await),
                2 => {
                    let path = format!("/v1/orders/{order}/driver");
                    ("assign", who.put(&path, json!({"driver": driver})).await)
                }
                3 => {
                    let both = [&store, &city.store];
                    let path = format!("/v1/stores/{}/pause", both[nth % 2]);
                    ("pause", who.put(&path, json!({"until": null})).await)
                }
                _ => {
                    let body = city.order_body(json!({"store": store}));
                    ("place", who.post("/v1/orders", body).await)
                }
            };
            (kind, answer.status)
        }))
        .await;
        for (kind, status) in &asked {
            let may: &[u16] = match *kind {
                "end" => &[204, 409],
                "assign" | "pause" => &[200, 404],
                _ => &[201, 422],
            };
            assert!(may.contains(status), "round {round}: {asked:?}");
        }
        check_ends(&two.database).await;
    }
}
