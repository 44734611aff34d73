//! Validating: a bad field of a body, or a bad parameter, is refused by its name.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{City, Rest, Server};

fn text(length: usize) -> String {
    "x".repeat(length)
}

/// Sends each body and expects the named field to be at fault, and that nothing is written.
async fn refuses(
    server: &Server,
    who: &Rest,
    method: Method,
    path: &str,
    table: Vec<(Value, &str)>,
) {
    let before = server.database.contents().await;
    for (body, field) in table {
        let bytes = body.to_string().into_bytes();
        let answer = who.send(method.clone(), path, &[], bytes).await;
        let status = answer.status;
        assert_eq!(status, 422, "{method} {path} {body}: {}", answer.body);
        let problem = answer.expect_problem(422, "validation");
        assert_eq!(problem["fields"].as_array().map(Vec::len), Some(1), "{problem}");
        assert_eq!(problem["fields"][0]["field"], field, "{method} {path} {body}: {problem}");
        assert!(problem["fields"][0]["detail"].is_string());
    }
    assert_eq!(server.database.contents().await, before, "{method} {path}");
}

#[actix_web::test]
async fn an_order_with_a_bad_field_is_refused_by_the_name_of_the_field() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let door = |key: &str, value: Value| {
        let mut body = city.order_body(json!({}));
        body["dropoff"][key] = value;
        body
    };
    let item = |item: Value| json!({"items": [{"name": "Tea", "qty": 1}, item]});
    let window = |from: &str, to: &str| json!({"window": {"from": from, "to": to}});
    let unknown = ordercast::domain::StoreId::new().to_string();
    let day = "2099-01-01T00:00:00Z";
    let changes = vec![
        (json!({"external_id": ""}), "external_id"),
        (json!({"external_id": "  "}), "external_id"),
        (json!({"external_id": text(129)}), "external_id"),
        (json!({"external_id": null}), "external_id"),
        (json!({"external_id": 7}), "external_id"),
        (json!({"external_id": "a\u{0}b"}), "external_id"),
        (json!({"store": "st_1"}), "store"),
        (json!({"store": unknown}), "store"),
        (json!({"store": {"id": unknown}}), "store"),
        (json!({"fulfilment": "drone"}), "fulfilment"),
        (json!({"dropoff": null}), "dropoff"),
        (json!({"dropoff": null, "fulfilment": "store_delivery"}), "dropoff"),
        (json!({"dropoff": {}}), "dropoff.name"),
        (json!({"dropoff": "Hauptstr. 1"}), "dropoff"),
        (json!({"items": []}), "items"),
        (json!({"items": vec![json!({"name": "Tea", "qty": 1}); 101]}), "items"),
        (json!({"items": "tea"}), "items"),
        (item(json!({"name": "", "qty": 1})), "items[1].name"),
        (item(json!({"name": text(201), "qty": 1})), "items[1].name"),
        (item(json!({"name": "\u{0}", "qty": 1})), "items[1].name"),
        (item(json!({"name": "Tea"})), "items[1].qty"),
        (item(json!({"name": "Tea", "qty": 1.5})), "items[1].qty"),
        (item(json!({"name": "Tea", "qty": 3_000_000_000_u32})), "items[1].qty"),
        (item(json!({"name": "Tea", "qty": 1, "price": 3})), "items[1].price"),
        (item(json!({"name": "Tea", "qty": 0})), "items[1].qty"),
        (item(json!({"name": "Tea", "qty": -1})), "items[1].qty"),
        (json!({"note": text(1_001)}), "note"),
        (json!({"note": "a\u{0}"}), "note"),
        (json!({"note": ["x"]}), "note"),
        (json!({"window": {"from": day}}), "window.to"),
        (window("tomorrow", day), "window.from"),
        (window(day, "2099-01-01"), "window.to"),
        (window("1900-01-01T00:00:00Z", day), "window.from"),
        (window(day, day), "window.to"),
        (json!({"undeliverable_action": "burn"}), "undeliverable_action"),
        (json!({"proof_required": {"pin": "yes"}}), "proof_required.pin"),
        (json!({"proof_required": {"blood": true}}), "proof_required.blood"),
        (json!({"meta": []}), "meta"),
        (json!({"meta": {"a": text(4_096)}}), "meta"),
        (json!({"meta": {"a": ["\u{0}"]}}), "meta"),
        (json!({"meta": {"\u{0}": 1}}), "meta"),
        (json!({"tip": 1}), "tip"),
        (json!({"id": "or_1"}), "id"),
        (json!({"status": "delivered"}), "status"),
    ];
    let mut table: Vec<_> =
        changes.into_iter().map(|(more, field)| (city.order_body(more), field)).collect();
    table.extend([
        (door("name", json!("")), "dropoff.name"),
        (door("name", json!(text(201))), "dropoff.name"),
        (door("name", json!("a\u{0}")), "dropoff.name"),
        (door("phone", json!(text(41))), "dropoff.phone"),
        (door("phone", json!(49_151)), "dropoff.phone"),
        (door("phone", json!("\u{0}")), "dropoff.phone"),
        (door("address", json!(" ")), "dropoff.address"),
        (door("address", json!(text(1_001))), "dropoff.address"),
        (door("address", json!("a\u{0}")), "dropoff.address"),
        (door("lat", json!(90.1)), "dropoff.lat"),
        (door("lat", json!("52.5")), "dropoff.lat"),
        (door("lng", json!(-180.1)), "dropoff.lng"),
        (door("lng", json!(null)), "dropoff.lng"),
        (door("notes", json!(text(1_001))), "dropoff.notes"),
        (door("notes", json!("a\u{0}")), "dropoff.notes"),
        (door("leave_at_door", json!("yes")), "dropoff.leave_at_door"),
        (door("floor", json!(3)), "dropoff.floor"),
    ]);
    refuses(&server, &city.platform, Method::POST, "/v1/orders", table).await;
    assert_eq!(server.database.count("orders").await, 0);
    server.stop().await;
}

#[actix_web::test]
async fn an_action_with_a_bad_field_is_refused_by_the_name_of_the_field() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let ops = city.caller("ops", &order).await;
    let path = |action: &str| format!("/v1/orders/{order}/{action}");
    let post = async |action: &str, table: Vec<(Value, &str)>| {
        refuses(&server, &ops, Method::POST, &path(action), table).await;
    };
    post(
        "accept",
        vec![
            (json!({"prep_min": 241}), "prep_min"),
            (json!({"prep_min": -1}), "prep_min"),
            (json!({"prep_min": "soon"}), "prep_min"),
            (json!({"prep_min": 2.5}), "prep_min"),
            (json!({"prep_min": 99_999_999_999_u64}), "prep_min"),
            (json!({"reason": "other"}), "reason"),
            (json!({"speed": 3}), "speed"),
            (json!({"at": "now"}), "at"),
            (json!({"at": 1_735_689_600}), "at"),
            (json!({"lat": 52.5}), "lng"),
            (json!({"lng": 13.4}), "lat"),
            (json!({"lat": 91, "lng": 13.4}), "lat"),
            (json!({"lat": 52.5, "lng": 181}), "lng"),
        ],
    )
    .await;
    post(
        "reject",
        vec![
            (json!({}), "reason"),
            (json!({"reason": null}), "reason"),
            (json!({"reason": "bored"}), "reason"),
            (json!({"reason": "fraud"}), "reason"),
            (json!({"reason": "no_response"}), "reason"),
            (json!({"reason": "other"}), "reason"),
            (json!({"reason": "other", "note": " "}), "reason"),
            (json!({"reason": "closed", "note": text(1_001)}), "note"),
            (json!({"reason": "closed", "note": "\u{0}"}), "note"),
            (json!({"reason": "closed", "pin": "1234"}), "pin"),
        ],
    )
    .await;
    let pickup_proofs = |proof: Value| json!({"proofs": [proof]});
    post(
        "pickup",
        vec![
            (pickup_proofs(json!({"kind": "photo"})), "proofs[0].ref"),
            (pickup_proofs(json!({"kind": "song", "ref": "x"})), "proofs[0].kind"),
            (pickup_proofs(json!({"kind": "photo", "ref": ""})), "proofs[0].ref"),
            (pickup_proofs(json!({"kind": "photo", "ref": text(2_049)})), "proofs[0].ref"),
            (pickup_proofs(json!({"kind": "photo", "ref": "\u{0}"})), "proofs[0].ref"),
            (pickup_proofs(json!({"kind": "photo", "ref": "x", "a": 1})), "proofs[0].a"),
            (json!({"proofs": vec![json!({"kind": "scan", "ref": "x"}); 11]}), "proofs"),
            (json!({"proofs": {}}), "proofs"),
        ],
    )
    .await;
    post("deliver", vec![(json!({"pin": text(17)}), "pin"), (json!({"pin": 1234}), "pin")]).await;
    post("cancel", vec![(json!({"reason": "too_busy"}), "reason")]).await;
    for action in ["start", "ready", "unready", "release", "redeliver"] {
        post(action, vec![(json!({"prep_min": 5}), "prep_min")]).await;
    }
    let put = async |action: &str, table: Vec<(Value, &str)>| {
        refuses(&server, &ops, Method::PUT, &path(action), table).await;
    };
    let why = |why: Value| json!({"prep_min": 5, "why": why});
    put(
        "prep",
        vec![
            (json!({}), "prep_min"),
            (why(json!(text(1_001))), "why"),
            (why(json!("\u{0}")), "why"),
        ],
    )
    .await;
    put(
        "driver",
        vec![
            (json!({}), "driver"),
            (json!({"driver": "dr_1"}), "driver"),
            (json!({"driver": city.driver, "leg": "assigned"}), "leg"),
        ],
    )
    .await;
    let unassign = vec![(json!({"reason": "bored"}), "reason")];
    refuses(&server, &ops, Method::DELETE, &path("driver"), unassign).await;
    let patch = vec![
        (json!({"note": 5}), "note"),
        (json!({"note": text(1_001)}), "note"),
        (json!({"note": "\u{0}"}), "note"),
        (json!({"dropoff": {"name": "Ann"}}), "dropoff.address"),
        (json!({"window": {}}), "window.from"),
        (json!({"meta": 1}), "meta"),
        (json!({"meta": {"a": text(4_096)}}), "meta"),
        (json!({"items": []}), "items"),
        (json!({"status": "ready"}), "status"),
        (json!({"driver": city.driver}), "driver"),
    ];
    refuses(&server, &ops, Method::PATCH, &format!("/v1/orders/{order}"), patch).await;
    server.stop().await;
}

#[actix_web::test]
async fn stores_couriers_and_tokens_with_a_bad_field_are_refused_by_its_name() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let with = |mut body: Value, key: &str, value: Value| {
        body[key] = value;
        body
    };
    let store = |key: &str, value: Value| {
        let body = json!({"external_id": "s", "name": "S", "lat": 1, "lng": 2, "tz": "UTC"});
        with(body, key, value)
    };
    let stores = vec![
        (store("external_id", json!(null)), "external_id"),
        (store("external_id", json!(text(129))), "external_id"),
        (store("external_id", json!("\u{0}")), "external_id"),
        (store("name", json!("")), "name"),
        (store("name", json!("\u{0}")), "name"),
        (store("lat", json!(-91)), "lat"),
        (store("lng", json!(181)), "lng"),
        (store("tz", json!("Berlin")), "tz"),
        (store("tz", json!("\u{0}")), "tz"),
        (store("phone", json!(text(41))), "phone"),
        (store("phone", json!("\u{0}")), "phone"),
        (store("auto_accept", json!(1)), "auto_accept"),
        (store("default_prep_min", json!(241)), "default_prep_min"),
        (store("stars", json!(5)), "stars"),
    ];
    refuses(&server, &city.platform, Method::POST, "/v1/stores", stores).await;
    let differs = vec![(store("external_id", json!("other")), "external_id")];
    refuses(&server, &city.platform, Method::PUT, "/v1/stores/ext/s", differs).await;
    let nothing = store("name", json!("\u{0}"));
    refuses(&server, &city.platform, Method::PUT, "/v1/stores/ext/s", vec![(nothing, "name")])
        .await;
    let patch = vec![
        (json!({"lat": 1}), "lng"),
        (json!({"lng": 1}), "lat"),
        (json!({"name": ""}), "name"),
        (json!({"tz": "Nowhere/Town"}), "tz"),
        (json!({"external_id": "x"}), "external_id"),
    ];
    let path = format!("/v1/stores/{}", city.store);
    refuses(&server, &city.platform, Method::PATCH, &path, patch).await;
    let pause = vec![(json!({"until": "later"}), "until"), (json!({"for_min": 5}), "for_min")];
    refuses(&server, &city.platform, Method::PUT, &format!("{path}/pause"), pause).await;

    let driver = |key: &str, value: Value| {
        with(json!({"external_id": "d", "name": "D", "vehicle": {"type": "car"}}), key, value)
    };
    let drivers = vec![
        (driver("external_id", json!("")), "external_id"),
        (driver("name", json!(5)), "name"),
        (driver("display_name", json!("")), "display_name"),
        (driver("display_name", json!("\u{0}")), "display_name"),
        (driver("phone", json!("\u{0}")), "phone"),
        (driver("vehicle", json!({})), "vehicle.type"),
        (driver("vehicle", json!({"type": ""})), "vehicle.type"),
        (driver("vehicle", json!({"type": "car", "plate": text(21)})), "vehicle.plate"),
        (driver("vehicle", json!({"type": "car", "wheels": 4})), "vehicle.wheels"),
        (driver("capacity", json!(0)), "capacity"),
        (driver("capacity", json!(51)), "capacity"),
        (driver("duty", json!("on")), "duty"),
    ];
    refuses(&server, &city.platform, Method::POST, "/v1/drivers", drivers).await;
    let path = format!("/v1/drivers/{}", city.driver);
    let patch = vec![(json!({"capacity": 0}), "capacity"), (json!({"name": ""}), "name")];
    refuses(&server, &city.platform, Method::PATCH, &path, patch).await;
    let duty = vec![(json!({}), "duty"), (json!({"duty": "asleep"}), "duty")];
    refuses(&server, &city.platform, Method::PUT, &format!("{path}/duty"), duty).await;

    let token = |kind: &str, subject: &str| json!({"kind": kind, "subject": subject});
    let tokens = vec![
        (token("platform", "x"), "kind"),
        (token("system", "x"), "kind"),
        (token("king", "x"), "kind"),
        (token("ops", ""), "subject"),
        (token("ops", "\u{0}"), "subject"),
        (token("ops", &text(129)), "subject"),
        (token("store", "ann"), "subject"),
        (token("store", &city.driver), "subject"),
        (token("driver", &city.store), "subject"),
        (token("driver", &ordercast::domain::DriverId::new().to_string()), "subject"),
        (token("customer", "ann"), "orders"),
        (with(token("customer", "ann"), "orders", json!([])), "orders"),
        (with(token("customer", "ann"), "orders", json!(vec![&order; 11])), "orders"),
        (with(token("customer", "ann"), "orders", json!([order, "or_1"])), "orders[1]"),
        (with(token("ops", "ann"), "orders", json!([order])), "orders"),
        (with(token("ops", "ann"), "ttl_s", json!(0)), "ttl_s"),
        (with(token("ops", "ann"), "ttl_s", json!(86_401)), "ttl_s"),
        (with(token("ops", "ann"), "ttl_s", json!(-1)), "ttl_s"),
        (with(token("ops", "ann"), "scopes", json!([])), "scopes"),
    ];
    refuses(&server, &city.platform, Method::POST, "/v1/tokens", tokens).await;
    server.stop().await;
}

#[actix_web::test]
async fn parameters_that_do_not_do_are_refused_by_their_names() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    for (query, field) in [
        ("orders?limit=0", "limit"),
        ("orders?limit=101", "limit"),
        ("orders?limit=many", "limit"),
        ("orders?limit=-1", "limit"),
        ("orders?cursor=nonsense", "cursor"),
        ("orders?cursor=1.or_1", "cursor"),
        ("orders?status=eaten", "status"),
        ("orders?status=placed,eaten", "status"),
        ("orders?status=", "status"),
        ("orders?leg=broken", "leg"),
        ("orders?store=7", "store"),
        ("orders?driver=st_1", "driver"),
        ("orders?external_id=%00", "external_id"),
        ("orders?external_id=", "external_id"),
        ("orders?placed_from=monday", "placed_from"),
        ("orders?placed_to=1", "placed_to"),
        ("orders?updated_since=99999-01-01T00:00:00Z", "updated_since"),
        ("orders?batch=7", "batch"),
        ("orders?late=prep", "late"),
        ("orders?late=", "late"),
        ("orders?sort=asc", "sort"),
        ("stores?limit=0", "limit"),
        ("stores?cursor=x", "cursor"),
        ("stores?external_id=%00", "external_id"),
        ("stores?name=x", "name"),
        ("drivers?limit=101", "limit"),
        ("drivers?external_id=%00", "external_id"),
        ("drivers?duty=on", "duty"),
        ("events?after=-1", "after"),
        ("events?after=x", "after"),
        ("events?limit=0", "limit"),
        ("events?limit=1001", "limit"),
        ("events?wait=long", "wait"),
        ("events?since=1", "since"),
    ] {
        let problem = city.platform.get(&format!("/v1/{query}")).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{query}");
    }
    // A moment that PostgreSQL cannot hold.
    let early = format!("/v1/orders?cursor=-377705023201000000.{order}");
    city.platform.get(&early).await.expect_problem(422, "validation");
    let path = format!("/v1/orders/{order}/events");
    for (query, field) in [("limit=0", "limit"), ("wait=1", "wait"), ("after=no", "after")] {
        let problem = city.platform.get(&format!("{path}?{query}")).await;
        let problem = problem.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{query}");
    }
    server.stop().await;
}
