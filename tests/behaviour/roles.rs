//! Roles: each may do what is its to do.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{City, Server};

/// Which roles may ask for what, written down from the specification's tables and not from the
/// code: method, path, body, roles. `{o}`, `{s}` and `{d}` stand for an order, store, courier.
fn rights() -> Vec<(Method, &'static str, Value, &'static [&'static str])> {
    const ALL: &[&str] = &["platform", "ops", "store", "driver", "customer"];
    let empty = json!({});
    let busy = json!({"reason": "too_busy"});
    let refused = json!({"reason": "refused"});
    let store = json!({"name": "S", "lat": 1, "lng": 2, "tz": "UTC"});
    let driver = json!({"name": "D", "vehicle": {"type": "car"}});
    vec![
        (Method::POST, "/v1/orders", json!({"new": true}), &["platform"]),
        (Method::GET, "/v1/orders", empty.clone(), &["platform", "ops", "store", "driver"]),
        (Method::GET, "/v1/orders/{o}", empty.clone(), ALL),
        (Method::GET, "/v1/orders/{o}/events", empty.clone(), ALL),
        (Method::PATCH, "/v1/orders/{o}", json!({"note": "x"}), &["platform", "ops"]),
        (Method::POST, "/v1/orders/{o}/release", empty.clone(), &["platform", "ops"]),
        (Method::POST, "/v1/orders/{o}/accept", empty.clone(), &["store", "ops", "platform"]),
        (Method::POST, "/v1/orders/{o}/reject", busy.clone(), &["store", "ops"]),
        (Method::POST, "/v1/orders/{o}/start", empty.clone(), &["store", "ops", "platform"]),
        (Method::POST, "/v1/orders/{o}/ready", empty.clone(), &["store", "ops", "platform"]),
        (Method::POST, "/v1/orders/{o}/unready", empty.clone(), &["store", "ops"]),
        (Method::PUT, "/v1/orders/{o}/prep", json!({"prep_min": 9}), &["store", "ops"]),
        (Method::POST, "/v1/orders/{o}/pickup", empty.clone(), &["driver", "ops", "store"]),
        (Method::POST, "/v1/orders/{o}/deliver", empty.clone(), &["driver", "ops", "store"]),
        (Method::POST, "/v1/orders/{o}/collect", empty.clone(), &["store", "ops", "customer"]),
        (
            Method::POST,
            "/v1/orders/{o}/cancel",
            json!({"reason": "other", "note": "x"}),
            &["customer", "platform", "ops", "store"],
        ),
        (Method::POST, "/v1/orders/{o}/fail", refused.clone(), &["driver", "ops"]),
        (Method::POST, "/v1/orders/{o}/return", refused, &["driver", "ops"]),
        (Method::POST, "/v1/orders/{o}/returned", empty.clone(), &["store", "ops", "driver"]),
        (Method::POST, "/v1/orders/{o}/redeliver", empty.clone(), &["ops", "platform"]),
        (Method::POST, "/v1/orders/{o}/at_store", empty.clone(), &["driver"]),
        (Method::POST, "/v1/orders/{o}/at_door", empty.clone(), &["driver"]),
        (Method::POST, "/v1/orders/{o}/drop", json!({"reason": "vehicle"}), &["driver"]),
        (Method::PUT, "/v1/orders/{o}/driver", json!({"driver": "{d}"}), &["ops", "platform"]),
        (Method::DELETE, "/v1/orders/{o}/driver", empty.clone(), &["ops", "platform"]),
        (
            Method::POST,
            "/v1/orders/{o}/proofs",
            json!({"point": "pickup", "kind": "scan", "ref": "x"}),
            &["driver", "ops", "store"],
        ),
        (
            Method::GET,
            "/v1/orders/{o}/proofs",
            empty.clone(),
            &["platform", "ops", "store", "customer"],
        ),
        (Method::GET, "/v1/events", empty.clone(), &["platform", "ops"]),
        (Method::POST, "/v1/tokens", json!({"kind": "ops", "subject": "x"}), &["platform"]),
        (Method::PUT, "/v1/stores/ext/s", store, &["platform"]),
        (Method::GET, "/v1/stores", empty.clone(), &["platform", "ops"]),
        (Method::PATCH, "/v1/stores/{s}", empty.clone(), &["platform"]),
        (Method::PUT, "/v1/stores/{s}/pause", empty.clone(), &["platform", "ops", "store"]),
        (Method::PUT, "/v1/drivers/ext/d", driver, &["platform"]),
        (Method::GET, "/v1/drivers", empty.clone(), &["platform", "ops"]),
        (Method::PATCH, "/v1/drivers/{d}", empty.clone(), &["platform"]),
        (Method::DELETE, "/v1/tokens/cr_01h455vb4pex5vsknk084sn02q", empty.clone(), &["platform"]),
        // Both have open orders.
        (Method::DELETE, "/v1/stores/{s}", empty.clone(), &["platform"]),
        (Method::DELETE, "/v1/drivers/{d}", empty, &["platform"]),
        (
            Method::PUT,
            "/v1/drivers/{d}/duty",
            json!({"duty": "on"}),
            &["platform", "ops", "driver"],
        ),
    ]
}

#[actix_web::test]
async fn each_role_may_do_what_is_its_to_do_and_nothing_else() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let fill = |text: &str, order: &str| {
        text.replace("{o}", order).replace("{s}", &city.store).replace("{d}", &city.driver)
    };
    let body_of = |body: &Value, order: &str| {
        let body = if body["new"] == true { city.order_body(json!({})) } else { body.clone() };
        fill(&body.to_string(), order).into_bytes()
    };
    let shared = city.order_id().await;
    city.assign(&shared).await;
    let roles = ["platform", "ops", "store", "driver", "customer"];
    let mut callers = Vec::new();
    for role in roles {
        callers.push((role, city.caller(role, &shared).await));
    }
    for (method, path, body, may) in rights() {
        let before = server.database.contents().await;
        for (role, who) in callers.iter().filter(|(role, _)| !may.contains(role)) {
            let answer =
                who.send(method.clone(), &fill(path, &shared), &[], body_of(&body, &shared)).await;
            assert_eq!(answer.status, 403, "{role} {method} {path}: {}", answer.body);
            let problem = answer.expect_problem(403, "role_not_allowed");
            assert_eq!(problem["detail"], "your role may not do this");
        }
        assert_eq!(server.database.contents().await, before, "{method} {path}");
        for role in may {
            // An order of its own for each: what is allowed has an effect.
            // Without a courier unless one has to have it: a courier's room is bounded.
            let order = city.order_id().await;
            if *role == "driver" {
                city.assign(&order).await;
            }
            let who = city.caller(role, &order).await;
            let answer =
                who.send(method.clone(), &fill(path, &order), &[], body_of(&body, &order)).await;
            let good = matches!(answer.status, 200 | 201 | 204 | 409)
                || matches!(answer.body["code"].as_str(), Some("outside_window" | "validation"));
            assert!(good, "{role} {method} {path}: {} {}", answer.status, answer.body);
        }
    }
    // One store and one courier are the business of themselves and those who run the city.
    for (role, who) in &callers {
        for (path, itself) in [("/v1/stores/{s}", "store"), ("/v1/drivers/{d}", "driver")] {
            let answer = who.get(&fill(path, "")).await;
            if ["platform", "ops", itself].contains(role) {
                answer.expect(200);
            } else {
                answer.expect_problem(404, "not_found");
            }
        }
    }
    server.stop().await;
}
